#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# "make fuzz" runs this in the virtual machine. /settings/args has the fuzzer's arguments.

status=0
insmod /pagearena.ko || exit
/fuzz --control || status=1
# shellcheck disable=SC2046 # arguments, split at blanks
[ $status -ne 0 ] || /fuzz $(cat /settings/args) || status=1
rmmod pagearena || status=1
exit $status
