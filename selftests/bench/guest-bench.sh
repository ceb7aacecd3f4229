#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The part of "run-bench" that runs in the virtual machine. /settings has the options of
# "bench".

insmod /pagearena.ko || exit 1
# shellcheck disable=SC2046 # options, split at blanks
bench $(cat /settings) || exit 1
rmmod pagearena
