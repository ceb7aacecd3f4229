#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Runs as process 1 in the virtual machine: sets it up, runs /run.sh, tells its exit status.
# Of the serial ports the first is the kernel's console, the second takes what the script prints,
# the third the status. Where the machine has but one, the others are virtual consoles.

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

out=/dev/ttyS1
state=/dev/ttyS2
if [ -c /dev/hvc0 ]; then
	out=/dev/hvc0
	state=/dev/hvc1
fi
# No newline translation: what is printed arrives byte for byte.
stty -F $out raw -echo
stty -F $state raw -echo
echo "up $(cut -d ' ' -f 1 /proc/uptime)" >$state

# Controllers for whatever cgroups the script makes.
echo "+memory" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
echo "+io" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null

# A trial whether a machine comes up at all ends here.
if grep -q pagearena_trial /proc/cmdline; then
	echo "exit 0" >$state
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
	setsid /run.sh </dev/null >$out 2>&1
	status=$?
fi

sync
echo "exit $status" >$state
reboot -f
