#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# "make coverage" runs this in the virtual machine: the tests, then what the kernel has counted,
# as a tar file in base64 between two lines that scripts/coverage looks for.

sh /guest-check.sh
status=$?

# The files' sizes are not known before they are read.
mkdir /tmp/counts
find /sys/kernel/debug/gcov -name '*.gcda' -path '*/kmod/*' | while read -r file; do
	cat "$file" >"/tmp/counts/${file##*/}"
done
echo
echo "@@ begin counts"
tar -C /tmp/counts -c . | gzip | base64
echo "@@ end counts"
exit $status
