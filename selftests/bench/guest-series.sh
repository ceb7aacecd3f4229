#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The part of "run-series" that runs in the virtual machine. For every trace in /traces, with
# and without huge folios, and for each way to release memory, it prints
#
#	@@ run TRACE HUGE RELEASE PACE SECONDS
#	the results as JSON
#	@@ series
#	figures over time as CSV
#	@@ end
#
# SECONDS is the length of the trace. /settings has the pace to begin with, the seconds after
# the last operation, and the number of lines of CSV.

# How late a replay may be, in percent of the time it takes, before it is paced slower.
LATE=5

age=/sys/module/pagearena/parameters/scavenge_age_ms
insmod /pagearena.ko || exit 1
read -r first tail lines </settings
default=$(cat $age)

# figure NAME: a number of the results in /tmp/json.
figure()
{
	sed -n "s/.*\"$1\": \([0-9]*\),*\$/\1/p" /tmp/json
}

# run TRACE HUGE RELEASE: replays a trace at a pace that it can keep up with.
run()
{
	name=$(basename "$1" .csv)
	end=$(tail -n 1 "$1" | cut -d , -f 1)
	interval=$(awk "BEGIN { print ($end / 1e6 + $tail * 1e3) / $lines }")
	pace=$first
	while :; do
		# The clock of the trace is slow, and that of the kernel is not.
		echo $((default * pace)) >$age
		pagearena replay --json --huge "$2" --release "$3" --pace $pace --tail "$tail" \
			--interval "$interval" --series /tmp/csv "$1" >/tmp/json || {
			cat /tmp/json
			exit 1
		}
		late=$(figure late_ns)
		[ $((late * 100)) -gt $((end * pace * LATE)) ] || break
		echo "@@ late $name $2 $3 $pace: $late ns"
		# The pace matters to the background only.
		if [ "$3" = default ]; then
			pace=$((pace * 2))
		else
			pace=$((pace * 4))
		fi
	done
	echo "@@ run $name $2 $3 $pace $(awk "BEGIN { print $end / 1e9 }")"
	cat /tmp/json
	echo "@@ series"
	cat /tmp/csv
	echo "@@ end"
}

for trace in /traces/*.csv; do
	for huge in auto never; do
		for release in never default at-once; do
			run "$trace" $huge $release
		done
	done
done
rmmod pagearena
