#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The checks run this in the virtual machine. Every suite's output stands between two lines
# that scripts/suites.sh looks for: "@@ begin NAME" and "@@ end NAME STATUS SECONDS".
#
# /replay has traces for the unit tests. /suites has a line for each suite: its name, the limit in seconds, the command.
# Further suites are made here: "kunit", where there is a pagearena_kunit.ko, and "module",
# what loading and unloading leaves behind.

export PAGEARENA_KO=/pagearena.ko

KMEMLEAK=/sys/kernel/debug/kmemleak
OWNERS=/sys/kernel/debug/page_owner_stacks
KCSAN=/sys/kernel/debug/kcsan

begin()
{
	echo
	echo "@@ begin $1"
	read -r started _ </proc/uptime
}

end()
{
	read -r now _ </proc/uptime
	echo
	echo "@@ end $1 $2 $((${now%.*} - ${started%.*}))"
}

# Tests of the suite "module" are noted on the way, and reported at the end.
results=/tmp/module-results
: >$results

# check NAME COMMAND...: a test that passes if the command does.
check()
{
	name=$1
	shift
	if "$@"; then
		echo "ok $name" >>$results
	else
		echo "not ok $name" >>$results
	fi
}

skip()
{
	echo "ok $1 # SKIP $2" >>$results
}

# Leaks of kernel memory: an object counts when it is some seconds old, and is not referenced
# in a second scan either.
no_leak()
{
	sleep 6
	echo scan >$KMEMLEAK
	echo scan >$KMEMLEAK
	cat $KMEMLEAK >/tmp/leaks
	! [ -s /tmp/leaks ] || {
		head -n 60 /tmp/leaks
		return 1
	}
}

# Pages are not seen by kmemleak, but every page knows the stack that asked for it. Slabs stay
# with their cache for a while, and are kmemleak's concern; KASAN's store of stacks never shrinks.
no_page_left()
{
	awk '
	/pagearena/ { ours = 1 }
	/alloc(ate)?_slab|stack_depot_save/ { slab = 1 }
	{ text = text "\n" $0 }
	/^nr_base_pages:/ { if (ours && !slab && $2 > 0) { print text; left = 1 } }
	/^$/ || /^nr_base_pages:/ { ours = 0; slab = 0; text = "" }
	END { exit left }' $OWNERS/show_stacks
}

# Where the kernel looks for data races: those between two functions of the module, or between one
# and the trees that it shares. The core has races of its own, by the thousand. When the module was
# loaded anew its functions lie elsewhere.
watched=
watch_races()
{
	[ -e $KCSAN ] || return 0
	now=$(grep -m 1 '[[]pagearena]$' /proc/kallsyms)
	[ "$now" != "$watched" ] || return 0
	watched=$now
	echo whitelist >$KCSAN
	{
		awk '$2 ~ /^[tT]$/ && $4 == "[pagearena]" { print $3 }' /proc/kallsyms
		printf '%s\n' rb_erase rb_insert_color __rb_insert_augmented rb_next rb_prev rb_first \
			rb_last __rb_erase_color memset memcpy
	} | while read -r f; do
		echo "!$f" >$KCSAN
	done 2>/dev/null
	echo on >$KCSAN
	echo "# $(grep -c . $KCSAN) lines in $KCSAN"
}

no_module_left()
{
	! grep -q '^pagearena' /proc/modules && ! [ -e /dev/pagearena ] &&
		! [ -d /sys/kernel/debug/pagearena ]
}

[ ! -e $KMEMLEAK ] || echo clear >$KMEMLEAK
[ ! -d $OWNERS ] || echo 0 >$OWNERS/count_threshold

check "loads" insmod /pagearena.ko
watch_races

if [ -f /pagearena_kunit.ko ]; then
	begin kunit
	status=0
	insmod /pagearena_kunit.ko replay=/replay || status=$?
	cat /sys/kernel/debug/kunit/*/results || status=$?
	end kunit $status
	check "unloads the unit tests" rmmod pagearena_kunit
fi

while read -r suite limit command; do
	begin "$suite"
	watch_races
	# shellcheck disable=SC2086 # a command and its arguments
	timeout -k 5 "$limit" $command </dev/null
	status=$?
	[ $status -ne 143 ] || echo "Bail out! not done in $limit s"
	end "$suite" $status
done </suites

begin module
if [ -d $OWNERS ]; then
	check "has no page when all arenas are closed" no_page_left
else
	skip "has no page when all arenas are closed" "no page_owner_stacks in this kernel"
fi
check "unloads after the tests" rmmod pagearena
check "leaves nothing behind" no_module_left
check "loads once more" insmod /pagearena.ko
check "unloads at once" rmmod pagearena
if [ -e $KMEMLEAK ]; then
	check "leaks no kernel memory" no_leak
else
	skip "leaks no kernel memory" "no kmemleak in this kernel"
fi
echo "TAP version 13"
echo "1..$(grep -c . $results)"
cat $results
end module 0
