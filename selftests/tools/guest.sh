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
replay "replay, through the cache" --cache /traces/je53_redis.csv
replay "replay, through the cache, every word checked" --cache --touch full \
	/traces/go126_httpjson.csv
replay "replay, address-ordered first fit" --fit first /traces/je53_redis.csv
replay "replay, span page below the granule" --span-page 4K --granule 64K \
	/traces/je53_redis.csv
replay "replay, huge folios always" --huge always /traces/je53_redis.csv
replay "replay, huge folios never" --huge never /traces/je53_redis.csv

# Time: 4 MiB are in use for 0.2 s.
printf '# page_size: 4096\n0,a,1,1024\n200000000,f,1,1024\n' >/tmp/short.csv
series=/tmp/series.csv
age=/sys/module/pagearena/parameters/scavenge_age_ms

# timed NAME CONDITION ARGUMENT...: replays that trace. CONDITION is one for awk, about what
# the results say as JSON, by name, and the first and the last line of the series with
# something in use, or with nothing: "used" and "end" are what was backed, "time" is when it
# ended, "lines" their number.
timed()
{
	name=$1
	condition=$2
	shift 2
	pagearena replay --json --series $series --interval 20 "$@" /tmp/short.csv >$out 2>&1
	status=$?
	awk -F , '
	FNR == NR {
		if (FNR > 1) { lines++; time = $1; end = $3 }
		if (FNR > 1 && $2 > 0 && $3 > used) used = $3
		next
	}
	/"contents": "ok"/ { good++ }
	match($0, /"[a-z_]+": [0-9]+/) {
		split(substr($0, RSTART, RLENGTH), kv, /[": ]+/)
		if (!(kv[2] in got)) got[kv[2]] = kv[3]
	}
	END {
		print "used", used, "end", end, "time", time, "lines", lines, "good", good
		exit !(good && used == 4194304 && ('"$condition"'))
	}' $series $out >/tmp/timed || status=1
	cat /tmp/timed >>$out
	result $status "$name"
}

was=$(cat $age)
echo 200 >$age
timed "replay at half speed" 'time >= 0.2 && lines > 5 && got["elapsed_ns"] >= 300000000' --pace 2
timed "replay at once, with time that is only counted" 'time == 0.2 && lines > 5'
timed "replay, nothing is released" \
	'time >= 1.2 && end == 4194304 && !got["background"] && !got["released"]' \
	--pace 1 --tail 1 --release never
timed "replay, every free releases" \
	'end == 0 && !got["background"] && got["released"] == 4194304' --release at-once
timed "replay, the background releases" \
	'end == 0 && got["background"] == 4194304 && !got["released"]' \
	--pace 1 --tail 3 --release default
timed "replay beside mmap, with a series" 'lines > 5' --compare
grep -c . $series.mmap >$out && [ "$(wc -l <$series.mmap)" -gt 5 ]
result $? "mmap has a series, too"
echo "$was" >$age

fails 2 "a pace of 0 is refused" pagearena replay --pace 0 /tmp/short.csv
fails 2 "an unknown way to release is refused" pagearena replay --release replay /tmp/short.csv
fails 2 "two ways to release are refused" \
	pagearena replay --release never --scavenge-every 9 /tmp/short.csv
fails 2 "a series of two traces is refused" \
	pagearena replay --series $series /tmp/short.csv /tmp/short.csv
fails 1 "a series that cannot be written is an error" \
	pagearena replay --series /nowhere/series /tmp/short.csv

# A free of what is not allocated.
printf '1,a,1,4\n2,f,2,4\n' >/tmp/broken.csv
pagearena replay /tmp/broken.csv >$out 2>&1
[ $? -ne 0 ]
result $? "a broken trace is an error"

echo "1..$n"
exit $bad
