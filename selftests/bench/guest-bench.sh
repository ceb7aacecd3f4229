#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The part of "run-micro" and "run-bench" that runs in the virtual machine. /settings has the
# options of "bench"; the module's symbols are for profiles.

insmod /pagearena.ko || exit 1
awk '$4 == "[pagearena]" { print "symbol," $1 "," $3 }' /proc/kallsyms
# shellcheck disable=SC2046 # options, split at blanks
bench $(cat /settings) || exit 1
rmmod pagearena
