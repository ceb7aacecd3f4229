#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Runs as process 1 in the virtual machine: sets it up, runs /run.sh, tells its exit status.
# ttyS0 is the kernel's console, ttyS1 takes what the script prints, ttyS2 the status.

export PATH=/bin HOME=/root TERM=dumb LC_ALL=C

mount -t devtmpfs dev /dev 2>/dev/null
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
hostname pagearena
ip link set lo up 2>/dev/null

# No newline translation: what is printed arrives byte for byte.
stty -F /dev/ttyS1 raw -echo
stty -F /dev/ttyS2 raw -echo
echo "up $(cut -d ' ' -f 1 /proc/uptime)" >/dev/ttyS2

# Controllers for whatever cgroups the script makes.
echo "+memory" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
echo "+io" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null

# A trial whether a machine comes up at all ends here.
if grep -q pagearena_trial /proc/cmdline; then
	echo "exit 0" >/dev/ttyS2
	reboot -f
fi

status=0
if [ -f /lib/modules/list ]; then
	while read -r module; do
		insmod "/lib/modules/$module.ko" || status=$?
	done </lib/modules/list
fi
if [ $status -eq 0 ]; then
	cd /root || exit
	setsid /run.sh </dev/null >/dev/ttyS1 2>&1
	status=$?
fi

sync
echo "exit $status" >/dev/ttyS2
reboot -f
