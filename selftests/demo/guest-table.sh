#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The part of "huge-table" that runs in the virtual machine: prints "@@ TRACE FIT HUGE" and the
# results as JSON, for every configuration of every trace.

insmod /pagearena.ko || exit 1
read -r runs </demo/runs

# replay FIT HUGE TRACE
replay()
{
	i=0
	while [ $i -lt "$runs" ]; do
		echo "@@ $(basename "$3" .csv) $1 $2"
		# shellcheck disable=SC2046 # options, split at spaces
		pagearena replay --json --fit "$1" --huge "$2" $(cat /demo/args) "$3" || exit 1
		i=$((i + 1))
	done
}

for trace in /demo/*.csv; do
	replay placed auto "$trace"
	replay best auto "$trace"
	replay first auto "$trace"
	replay placed never "$trace"
	replay placed always "$trace"
done
rmmod pagearena
