#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# In the virtual machine: unpacks the root file system from the disk, and runs the tests in it.

mkdir /new
mount -t tmpfs -o size=3500m tmpfs /new
tar -xf /dev/vda -C /new || exit
mkdir -p /new/packages
cp /debs/*.deb /readme.c /guest-packages.sh /new/packages/
mount -t devtmpfs dev /new/dev
mkdir -p /new/dev/shm
ln -sf /proc/self/fd /new/dev/fd
for d in proc sys; do
	mount --rbind /$d /new/$d
done
mount -t tmpfs tmpfs /new/run
mount -t tmpfs tmpfs /new/tmp
chmod 1777 /new/tmp
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C TERM=dumb \
	chroot /new /bin/bash /packages/guest-packages.sh
