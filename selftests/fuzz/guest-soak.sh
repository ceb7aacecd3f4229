#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# "make soak" runs this in the virtual machine: for /settings/seconds, at once
#
#   free      the fuzzer, with memory as it likes
#   tight     the fuzzer in a memory cgroup that is reclaimed from all the time
#   short     the fuzzer in a memory cgroup in which memory runs out (memory.max)
#   traces    replays of traces, every span checked
#   pressure  the machine's memory is filled, and emptied again
#
# Lines that begin with @@ are for selftests/fuzz/soak.

seconds=$(cat /settings/seconds)
seed=$(cat /settings/seed)
cgroup=/sys/fs/cgroup
out=/tmp/soak
mkdir -p $out
insmod /pagearena.ko || exit
read -r boot _ </proc/uptime
boot=${boot%.*}

now()
{
	read -r up _ </proc/uptime
	echo $((${up%.*} - boot))
}

meminfo()
{
	awk -v key="$1:" '$1 == key { print int($2 / 1024) }' /proc/meminfo
}

# worker NAME COMMAND...
worker()
{
	name=$1
	shift
	(
		"$@" >$out/"$name" 2>&1
		echo "$?" >$out/"$name".status
	) &
}

# in_cgroup NAME MAX COMMAND...
in_cgroup()
{
	mkdir -p $cgroup/"$1"
	echo "$2" >$cgroup/"$1"/memory.max
	group=$cgroup/$1
	shift 2
	# Only the command, not who notes what became of it.
	# shellcheck disable=SC2016 # for the inner shell
	sh -c 'echo $$ >"$0"/cgroup.procs && exec "$@"' "$group" "$@"
}

replays()
{
	while [ "$(now)" -lt "$seconds" ]; do
		for t in /traces/*; do
			/pagearena replay --ops 4000 "$t" >$out/replay 2>&1 || {
				cat $out/replay
				return 1
			}
			echo 4000
			[ "$(now)" -lt "$seconds" ] || break
		done
	done
}

# In steps, and no longer than there is some room for what the others come to need meanwhile: a
# replay may take half of the machine.
pressure()
{
	while [ "$(now)" -lt "$seconds" ]; do
		sleep 15
		n=0
		while [ $n -lt 100 ] && [ "$(meminfo MemAvailable)" -gt 160 ]; do
			dd if=/dev/zero of=/dev/shm/hog.$n bs=1M count=16 2>/dev/null || break
			n=$((n + 1))
		done
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			[ "$(meminfo MemAvailable)" -gt 80 ] || break
			usleep 200000
		done
		rm -f /dev/shm/hog.*
		[ $n -eq 0 ] || echo 1
	done
}

# A request that is not met in full fails, but takes what there is.
reclaim()
{
	while [ "$(now)" -lt "$seconds" ]; do
		usleep 300000
		echo 128K >$cgroup/tight/memory.reclaim && echo 1
	done 2>/dev/null
	return 0
}

# operations NAME: what it says that it has done
operations()
{
	sed -n 's/^# .* programs, \([0-9]*\) operations.*/\1/p' $out/"$1" | tail -n 1
}

sample()
{
	for w in free tight short; do
		n=$(operations $w)
		eval "ops_$w=${n:-0}"
	done
	arenas=$(find /sys/kernel/debug/pagearena -mindepth 1 -maxdepth 1 | grep -c .)
	# shellcheck disable=SC2154 # by eval
	echo "@@ sample $(now),$ops_free,$ops_tight,$ops_short,$(awk '{ n += $1 } END {
		print n + 0 }' $out/traces),$(grep -c 1 $out/pressure),$(grep -c 1 \
		$out/reclaim),$arenas,$(meminfo \
		MemAvailable),$(meminfo SUnreclaim)"
}

echo "@@ before $(meminfo MemAvailable) $(meminfo SUnreclaim)"
fuzz="/fuzz --kmsg --quiet --limit 300 --seconds $seconds --seed"
# shellcheck disable=SC2086 # a command and its arguments
{
	worker free in_cgroup free max $fuzz "$seed"
	worker tight in_cgroup tight max $fuzz $((seed + 1))
	worker short in_cgroup short 10M $fuzz $((seed + 2)) --oom
}
worker traces replays
worker pressure pressure
worker reclaim reclaim

bad=
while [ "$(now)" -lt "$seconds" ]; do
	sleep 20
	sample
	for w in free tight short traces pressure reclaim; do
		[ ! -e $out/$w.status ] || [ "$(cat $out/$w.status)" = 0 ] || bad=$w
	done
	[ -z "$bad" ] || break
done
if [ -n "$bad" ]; then
	echo "@@ failed $bad"
	tail -n 700 $out/$bad
	exit 1
fi
wait

status=0
sample
for w in free tight short traces pressure reclaim; do
	s=$(cat $out/$w.status)
	echo "@@ worker $w $s"
	case $w in
	free | tight | short) sed "s/^# /@@ kind $w /" $out/$w ;;
	esac
	[ "$s" = 0 ] || status=1
done
for w in tight short; do
	echo "@@ cgroup $w $(tr '\n' ' ' <$cgroup/$w/memory.events)peak" \
		"$(($(cat $cgroup/$w/memory.peak) >> 10)) KiB"
done
rmdir $cgroup/*/ 2>/dev/null
rmmod pagearena || status=1
echo 3 >/proc/sys/vm/drop_caches
sleep 2
echo "@@ after $(meminfo MemAvailable) $(meminfo SUnreclaim)"
exit $status
