#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Tests of the pagearena command, in the virtual machine: guest.sh [OPERATIONS]. Of every
# trace in /traces that many operations are replayed. /tests/holder is a process to look at.
# Prints TAP.

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
		tail -n 40 $out | sed 's/^/# /'
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


# --- Looking at another process ---

holder=/tests/holder
esc=$(printf '\033')

# hold [churn]: starts one; $target is PID:FD then, $pid the process.
hold()
{
	rm -f /tmp/holder
	$holder "$@" >/tmp/holder &
	pid=$!
	i=0
	until [ -s /tmp/holder ] || [ $i -ge 100 ]; do
		i=$((i + 1))
		sleep 0.2
	done
	target=$(cat /tmp/holder)
}

# says NAME PATTERN COMMAND...: it succeeds, and what it prints matches.
says()
{
	name=$1
	pattern=$2
	shift 2
	"$@" >$out 2>&1
	status=$?
	grep -Eq "$pattern" $out || status=1
	result $status "$name"
}

# complains STATUS NAME PATTERN COMMAND...
complains()
{
	want=$1
	name=$2
	pattern=$3
	shift 3
	"$@" >$out 2>&1
	got=$?
	echo "exit status $got, wanted $want" >>$out
	[ $got -eq "$want" ] && grep -Eq "$pattern" $out
	result $? "$name"
}

# number NAME: of the JSON in $out.
number()
{
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" $out | head -n 1
}

hold
says "info tells the geometry" '^arena_bytes +1073741824' pagearena info "$target"
says "stats by PID:FD" '^spans_inuse ' pagearena stats "$target"
says "stats by PID" '^spans_inuse ' pagearena stats "$pid"
pagearena stats --json "$target" >$out 2>&1
inuse=$(number heap_inuse)
backed=$(number backed)
warm=$(number backed_free)
[ -n "$inuse" ] && [ "$inuse" -gt 0 ] && [ -n "$backed" ] && [ -n "$warm" ]
result $? "stats as JSON"
complains 1 "a process without an arena" "has no arena" pagearena stats $$
complains 2 "a target that is none" "not a target" pagearena stats x
complains 2 "no target" "of which arena" pagearena stats
pagearena spans --json "$target" >$out 2>&1
result $? "spans as JSON"
awk -v want="$inuse" '/"state": "in use"/ { if (match($0, /"length": [0-9]+/))
	sum += substr($0, RSTART + 10, RLENGTH - 10) }
	END { print "spans in use", sum, "stats", want; exit sum != want }' $out >/tmp/sum
status=$?
cat /tmp/sum >>$out
result $status "spans and stats agree"

pagearena top --json >$out 2>&1
grep -q "\"pid\": $pid, \"command\": \"holder\", \"arenas\": 1" $out &&
	[ "$(number heap_inuse)" = "$inuse" ]
result $? "top finds it, with the figures of stats"
says "top, arenas" "^$target +[0-9]+ .* holder\$" pagearena top --arenas
complains 2 "top does not sort by nonsense" "not a value" pagearena top --sort colour

says "map by words" "end of the heap" pagearena map "$target"
! grep -q "$esc" $out
result $? "no colour in a pipe"
says "replay without the module, with a map" "end of the heap" \
	env PAGEARENA_BACKEND=user pagearena replay --map --ops 300 /traces/je53_redis.csv
grep -Eq '^recount +not here' $out
result $? "and without another arena's recount"
: >"/tmp/a b.so"
complains 1 "a library that the loader would not find" "cannot be preloaded" \
	pagearena run --library "/tmp/a b.so" true
says "map, coloured on demand" "$esc" pagearena map --color always "$target"
says "map of a part" "^ *200000 .*\$" pagearena map --zoom 0-4M --columns 64 "$target"
! grep -q '^ *400000 |' $out
result $? "and no more than that"
# Spans may share a page where it is larger than a span page: to the map each has its part, to
# stats the page is in use.
shared=$(awk '/^KernelPageSize/ { print ($2 > 8); exit }' /proc/self/smaps)
pagearena map --svg /tmp/map.svg "$target" >$out 2>&1
status=$?
awk -v shared="$shared" -v inuse="$inuse" -v backed="$backed" -v warm="$warm" '
	match($0, /data-kind="[a-z-]+" data-bytes="[0-9]+"/) {
		split(substr($0, RSTART, RLENGTH), p, "\"")
		sum[p[2]] = p[4]
	}
	END {
		u = sum["inuse-huge"] + sum["inuse-small"] + sum["inuse-untouched"]
		w = sum["warm-huge"] + sum["warm-small"]
		b = sum["inuse-huge"] + sum["inuse-small"] + w
		print "in use", u, inuse, "warm", w, warm, "backed", b, backed
		exit !(u == inuse && (w == warm || shared && w > warm) && b == backed)
	}' /tmp/map.svg >>$out || status=1
result $status "the SVG has the figures of stats"
complains 1 "PNG needs a tool" "rsvg-convert" pagearena map --svg /tmp/map.png "$target"
# It was killed by SIGPIPE if the tool's process ended first.
status=0
for i in 1 2 3 4 5 6 7 8; do
	pagearena map --svg /tmp/map.png "$target" >/tmp/png.$i 2>&1
	[ $? -eq 1 ] || status=1
done
cat /tmp/png.* >>$out
result $status "a missing tool for PNG kills nobody"
# The commands that come meanwhile have $out for themselves.
pagearena map --watch 1 "$target" >/tmp/watched 2>&1 &
watcher=$!

says "policy" '^scavenge_age_ns +3000000000' pagearena policy "$target" scavenge_age_ns=3s
says "policy stays" '^scavenge_age_ns +3000000000' pagearena policy "$target"
complains 2 "policy takes no nonsense" "not a setting" pagearena policy "$target" colour=1
complains 1 "policy that is out of range" "cannot set" \
	pagearena policy "$target" scavenge_percent=101

# With a right to nothing.
cp /bin/pagearena /tmp/pagearena
echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd
if su nobody -c true >/dev/null 2>&1; then
	complains 1 "another user's arena" "ermitted|ermission" \
		su nobody -c "pagearena stats $target"
fi

sleep 2
kill "$pid"
wait "$pid" 2>/dev/null
wait $watcher
status=$?
cat /tmp/watched >$out
[ "$(grep -c 'end of the heap' $out)" -ge 2 ] || status=1
result $status "map --watch draws again, and ends with the process"

hold churn
says "top, rates of calls" '"allocs_per_s": [1-9]' \
	pagearena top --json --batch 2 --interval 300 --calls
kill "$pid"
wait "$pid" 2>/dev/null

says "bench measures" '"name": "fresh_mmap", .*"ns": [0-9.]+' pagearena bench --json --time 20

# --- doctor ---

says "doctor finds nothing that fails" '^ok +access' pagearena doctor
! grep -q "$esc" $out && ! grep -q '^fail' $out
result $? "doctor, without colour in a pipe"
says "doctor as JSON" '"fail": 0}' pagearena doctor --json

# A machine without the module, as doctor is shown it.
fake=/tmp/machine
release=$(uname -r)
mkdir -p $fake/lib/modules/"$release" $fake/dev $fake/sys/kernel/security $fake/etc \
	$fake/sys/firmware/efi/efivars $fake/proc/sys/kernel/yama
efivar=$fake/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
printf '\006\0\0\0\001' >$efivar
echo 'none [integrity] confidentiality' >$fake/sys/kernel/security/lockdown
echo 3 >$fake/proc/sys/kernel/yama/ptrace_scope
complains 1 "doctor, no module" '^fail module .*none for this kernel.*remedy' \
	pagearena doctor --sysroot $fake
for line in '^fail headers .*remedy: apt-get install linux-headers-' \
	'^warn secure-boot .*remedy: sign' '^fail lockdown +integrity.*remedy' \
	'^fail device .*remedy: load' '^warn ptrace .*remedy: boot'; do
	grep -Eq "$line" $out || break
	line=
done
[ -z "$line" ]
result $? "doctor, what else keeps it from working${line:+: $line}"
echo "updates/pagearena.ko:" >$fake/lib/modules/"$release"/modules.dep
complains 1 "doctor, installed but not loaded" '^fail module .*remedy: modprobe' \
	pagearena doctor --sysroot $fake
mkdir -p $fake/sys/module/pagearena $fake/sys/class/misc/pagearena $fake/usr/lib
echo 9.9.9 >$fake/sys/module/pagearena/version
ln -sf libpagearena.so.9.9 $fake/usr/lib/libpagearena.so.0
echo x >$fake/usr/lib/libpagearena.so.9.9
echo 'arenas:x:77:' >$fake/etc/group
complains 1 "doctor, a module of another release" '^warn module .*version 9.9.9' \
	pagearena doctor --sysroot $fake
grep -Eq '^warn library .*version 9.9' $out && grep -Eq '^fail device .*--device' $out
result $? "doctor, a library of another release, and no node"
mknod $fake/dev/pagearena c 10 250
echo 10:251 >$fake/sys/class/misc/pagearena/dev
complains 1 "doctor, a node of another number" '^fail device .*10:250.*10:251' \
	pagearena doctor --sysroot $fake
echo 10:250 >$fake/sys/class/misc/pagearena/dev
chmod 666 $fake/dev/pagearena
complains 1 "doctor, a node for everybody" '^warn device .*0666.*remedy' \
	pagearena doctor --sysroot $fake
chmod 660 $fake/dev/pagearena
chgrp 77 $fake/dev/pagearena
complains 1 "doctor, a good node" '^ok +device .*0660, group arenas' \
	pagearena doctor --sysroot $fake

echo "1..$n"
exit $bad
