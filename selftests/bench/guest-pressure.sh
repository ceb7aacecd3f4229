#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The part of "run-pressure" that runs in the virtual machine: prints a line of figures for
# each way. /settings has the options of "pressure".

insmod /pagearena.ko || exit 1
options=$(cat /settings)
echo "@@ available $(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)"
for layout in "" --scatter; do
	for way in alone arena arena-small madv-free madv-free-thp keep; do
		[ "$way$layout" != alone--scatter ] || continue
		echo "@@ way $way $layout"
		# The kernel is not done with the last one, or with booting.
		sleep 5
		# shellcheck disable=SC2086 # options, split at blanks
		pressure $way $layout $options || exit 1
	done
done
rmmod pagearena
