#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Tests of the pagearena command, in the virtual machine: guest.sh [OPERATIONS]. Of every
# trace in /traces that many operations are replayed. Prints TAP.

ops=${1:-3000}
out=/tmp/tools-out
n=0
bad=0

# result STATUS NAME: of a test whose output is in $out.
result()
{
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n $2"
	else
		echo "not ok $n $2"
		sed 's/^/# /' $out
		bad=1
	fi
}

# succeeds NAME COMMAND...
succeeds()
{
	name=$1
	shift
	"$@" >$out 2>&1
	result $? "$name"
}

# fails STATUS NAME COMMAND...
fails()
{
	want=$1
	name=$2
	shift 2
	"$@" >$out 2>&1
	got=$?
	echo "exit status $got, wanted $want" >>$out
	[ $got -eq "$want" ]
	result $? "$name"
}

# replay NAME ARGUMENT...: it must say that contents and recount are good, and that nothing
# is left when all is freed.
replay()
{
	name=$1
	shift
	pagearena replay --ops "$ops" "$@" >$out 2>&1
	status=$?
	grep -q '^contents  *ok' $out || status=1
	grep -q '^recount  *ok' $out || status=1
	grep -q '^left when all is freed  *0 B' $out || status=1
	result $status "$name"
}

echo "TAP version 13"

succeeds "info" pagearena info
grep -q '^abi_version' $out
result $? "info tells the version of the ABI"
fails 2 "an unknown command is refused" pagearena nonsense
fails 2 "replay without a trace is refused" pagearena replay
fails 1 "a trace that is not there is an error" pagearena replay /nowhere.csv

traces=0
for trace in /traces/*.csv; do
	replay "replay ${trace##*/}" "$trace"
	traces=$((traces + 1))
done
[ $traces -gt 0 ]
result $? "there are traces"

replay "replay beside mmap" --compare /traces/go126_httpjson.csv
replay "replay, every word checked" --touch full /traces/je53_redis.csv
replay "replay, address-ordered first fit" --fit first /traces/je53_redis.csv
replay "replay, span page below the granule" --span-page 4K --granule 64K \
	/traces/je53_redis.csv
replay "replay, huge folios always" --huge always /traces/je53_redis.csv
replay "replay, huge folios never" --huge never /traces/je53_redis.csv

# A free of what is not allocated.
printf '1,a,1,4\n2,f,2,4\n' >/tmp/broken.csv
pagearena replay /tmp/broken.csv >$out 2>&1
[ $? -ne 0 ]
result $? "a broken trace is an error"

echo "1..$n"
exit $bad
