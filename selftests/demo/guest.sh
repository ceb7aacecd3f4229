#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# "make demo" runs this in the virtual machine: real programs' allocations, replayed through
# the library, the ioctls and the module. Arguments for "pagearena replay" are in /demo/args.

bad=0

insmod /pagearena.ko || exit 1
pagearena info || exit 1

for trace in /demo/*.csv; do
	echo
	# shellcheck disable=SC2046 # options, split at spaces
	pagearena replay $(cat /demo/args) "$trace" || bad=1
done

echo
rmmod pagearena || bad=1
[ $bad -eq 0 ] && echo "Every span kept its contents, and the module is unloaded."
exit $bad
