#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Tests of libpagearena-malloc.so in the virtual machine: guest.sh [MIB [OPERATIONS]]. Programs
# with a heap of so many MiB, redis-benchmark with so many operations. Prints TAP, and
# "row: PROGRAM,ALLOCATOR,WHAT,VALUE" for what is compared.

mib=${1:-24}
requests=${2:-1500}
export PATH=/bin:/usr/bin
lib=/tests/malloc/libpagearena-malloc.so
out=/tmp/malloc-out
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

skip()
{
	n=$((n + 1))
	echo "ok $n $1 # SKIP $2"
}

# row PROGRAM ALLOCATOR WHAT VALUE
row()
{
	echo "row: $1,$2,$3,$4"
}

on_arena()
{
	pagearena run --library $lib "$@"
}

now_ms()
{
	awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime
}

# resident PID: KiB
resident()
{
	awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}

echo "TAP version 13"

on_arena python3 -c 'print(open("/proc/self/maps").read())' >$out 2>&1
grep -q '/dev/pagearena' $out
result $? "a program has an arena"
on_arena --report --limit 64M -- python3 -c 1 >$out 2>&1
grep -q 'most in use' $out
result $? "a report is made"
PAGEARENA_MALLOC=require,nonsense=1 LD_PRELOAD=$lib /usr/bin/python3 -c 'print(6 * 7)' >$out 2>&1
grep -q 42 $out && grep -q 'not a setting: nonsense' $out
result $? "a bad setting is told, and does not stop the program"
on_arena --limit 48M python3 -c 'bytearray(64 << 20)' >$out 2>&1
grep -q MemoryError $out
result $? "malloc() fails at a hard limit"
on_arena sh -c 'exit 7' >$out 2>&1
[ $? -eq 7 ]
result $? "the status is the program's"

on_arena /tests/malloc/segv 200 >$out 2>&1
result $? "fork() beside a thread that handles SIGSEGV"

# --- Python ---

# python ALLOCATOR COMMAND...: the load, with its figures in $out.
python()
{
	allocator=$1
	shift
	LOAD_WAIT=20 PYTHONMALLOC=malloc "$@" /usr/bin/python3 /tests/malloc/load.py "$mib" >$out 2>&1
	status=$?
	awk -v a="$allocator" '{ printf "row: python,%s,%s KiB,%d\n", a, $1, $2 }' $out |
		grep -E ',(peak|freed|later) KiB,'
	result $status "python3 runs its load, with threads and fork(): $allocator"
}

python glibc env
python arena pagearena run --library $lib
peak=$(sed -n 's/^peak //p' $out)
later=$(sed -n 's/^later //p' $out)
echo "resident at the peak $peak KiB, later $later KiB" >>$out
[ $((peak - later)) -gt $((mib * 1024 * 3 / 4)) ]
result $? "what python3 freed went back by itself"

# What Python brings along to test itself, as far as it is about memory and processes.
tests=0
for t in list dict fork1 zlib; do
	[ -f /usr/lib/python3.11/test/test_$t.py ] || continue
	PYTHONMALLOC=malloc on_arena python3 -m unittest -q test.test_$t >$out 2>&1
	result $? "python3's own test_$t"
	tests=$((tests + 1))
done
[ $tests -gt 0 ] || skip "python3's own tests" "$(cat /usr/missing)"

# --- record ---

# What is recorded here is replayed there.
pagearena record --library $lib --output /tmp/recorded.csv -- \
	python3 -c 'big = [bytes(50000) for i in range(200)]; del big' >$out 2>&1
result $? "an allocation trace is recorded"
pagearena replay /tmp/recorded.csv >$out 2>&1
status=$?
grep -q '^contents  *ok' $out || status=1
result $status "and replayed"
allocs=$(sed -n 's/^# ops: .*a=\([0-9]*\).*/\1/p' /tmp/recorded.csv)
echo "allocations: $allocs" >>$out
[ "$allocs" -ge 200 ]
result $? "it has what the program allocated"

# --- redis ---

redis()
{
	redis-cli -s /tmp/redis.sock "$@"
}

# The keys' digest in the file that BGSAVE has written, as another server reads it.
saved_digest()
{
	redis-server --port 0 --unixsocket /tmp/second.sock --save '' --dir /tmp \
		--enable-debug-command yes >/tmp/second.log 2>&1 &
	second=$!
	i=0
	until redis-cli -s /tmp/second.sock ping 2>/dev/null | grep -q PONG; do
		i=$((i + 1))
		[ $i -lt 150 ] || break
		sleep 0.2
	done
	redis-cli -s /tmp/second.sock debug digest
	kill -9 $second
	wait $second 2>/dev/null
}

# redis_load ALLOCATOR COMMAND...
redis_load()
{
	allocator=$1
	shift
	rm -f /tmp/redis.sock /tmp/dump.rdb
	"$@" redis-server --port 0 --unixsocket /tmp/redis.sock --save '' --dir /tmp \
		--loglevel warning --enable-debug-command yes >/tmp/redis.log 2>&1 &
	server=$!
	i=0
	until redis ping 2>/dev/null | grep -q PONG; do
		i=$((i + 1))
		if [ $i -ge 150 ] || ! kill -0 $server; then
			cp /tmp/redis.log $out
			result 1 "redis starts: $allocator"
			return 1
		fi
		sleep 0.2
	done

	# A pass that is not measured: whatever is emulated is translated now.
	redis-benchmark -s /tmp/redis.sock -q -n 200 -t set,get,lpush,lpop >/dev/null 2>&1
	redis debug populate $((mib * 1024)) key 1000 >$out 2>&1
	redis-benchmark -s /tmp/redis.sock --csv -n "$requests" -r "$requests" -d 1000 \
		-t set,get,lpush,lpop,hset >$out 2>&1
	result $? "redis-benchmark runs: $allocator"
	awk -F '"' -v a="$allocator" 'NR > 1 && $2 != "test" {
		printf "row: redis,%s,%s/s,%d\n", a, $2, $4 }' $out

	peak=$(resident $server)
	digest=$(redis debug digest)
	start=$(now_ms)
	redis bgsave >$out 2>&1
	redis ping >>$out
	row redis "$allocator" "ms until BGSAVE is forked" $(($(now_ms) - start))
	# The parent goes on, the child must have what was there.
	redis debug populate 2000 later 1000 >>$out
	i=0
	while redis info persistence | grep -q 'rdb_bgsave_in_progress:1' && [ $i -lt 300 ]; do
		i=$((i + 1))
		sleep 0.2
	done
	redis info persistence | grep rdb_last_bgsave_status >>$out
	grep -q 'status:ok' $out
	result $? "BGSAVE succeeds: $allocator"
	saved=$(saved_digest)
	echo "digest before $digest, in the file $saved" >$out
	[ -n "$saved" ] && [ "$saved" = "$digest" ]
	result $? "BGSAVE has saved what was there when it began: $allocator"

	redis flushall >$out 2>&1
	row redis "$allocator" "peak KiB" "$peak"
	row redis "$allocator" "after FLUSHALL KiB" "$(resident $server)"
	# Nobody asks for anything meanwhile. It has settled when three looks see the same.
	i=0
	same=0
	later=0
	while [ $same -lt 3 ] && [ $i -lt 40 ]; do
		sleep 1
		was=$later
		later=$(resident $server)
		same=$((same + 1))
		if [ "$was" -ne "$later" ] ||
			{ [ "$allocator" = arena ] && [ $((peak - later)) -le $((mib * 768)) ]; }; then
			same=0
		fi
		i=$((i + 1))
	done
	row redis "$allocator" "later KiB" "$later"
	if [ "$allocator" = arena ]; then
		pagearena top >>$out
		echo "resident at the peak $peak KiB, later $later KiB" >>$out
		[ $((peak - later)) -gt $((mib * 1024 * 3 / 4)) ]
		result $? "what redis freed went back by itself"
	fi
	redis shutdown nosave >$out 2>&1
	wait $server
	result $? "redis ends well: $allocator"
}

if [ -e /usr/bin/redis-server ]; then
	redis_load jemalloc env
	redis_load arena pagearena run --library $lib
else
	skip "redis" "$(cat /usr/missing)"
fi

echo "1..$n"
exit $bad
