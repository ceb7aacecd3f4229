# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Suites of tests, on this machine and in virtual machines, and their sum: what scripts/check,
# check-matrix and check-debug share. Source it, do not run it.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

STATIC=$BUILD/static

# suites_start NAME [SUITE VM]: output goes to build/NAME. Ends what is still running at exit. A
# suite in a VM may take SUITE seconds, and the VM as a whole VM.
suites_start()
{
	OUT=$BUILD/$1
	SUITE_SECONDS=${PAGEARENA_SUITE_SECONDS:-${2:-900}}
	VM_SECONDS=${PAGEARENA_VM_SECONDS:-${3:-2400}}
	# All of them share build/static and what the module is built in.
	exec 8>"$BUILD/.lock-check"
	flock -n 8 || die "another check runs in this checkout"
	rm -rf "$OUT"
	mkdir -p "$OUT"
	trap suites_cleanup EXIT
	trap 'exit 130' INT TERM HUP
}

VM_PIDS=()
suites_cleanup()
{
	local pid

	progress_stop
	# scripts/vm takes its QEMU with it.
	for pid in "${VM_PIDS[@]}" $(cat "$OUT"/*.pid 2>/dev/null); do
		kill "$pid" 2>/dev/null || true
	done
}

# --- Suites: OUT/NAME.tap has the output, NAME.count what tap-count makes of it ---

# plan SUITE: it must report, whatever becomes of it.
plan()
{
	echo "$1" >>"$OUT/suites"
}

# finish SUITE STATUS SECONDS REPEAT
finish()
{
	local suite=$1 status=$2 seconds=$3 repeat=$4 passed failed skipped bad=0

	"$ROOT/scripts/tap-count" --status "$status" "$OUT/$suite.tap" >"$OUT/$suite.count" || bad=1
	read -r passed failed skipped <"$OUT/$suite.count"
	say "$(printf '  %-28s %4d passed, %d failed, %d skipped (%d s)' "$suite" \
		"$passed" "$failed" "$skipped" "$seconds")"
	[ $bad -ne 0 ] || return 0
	{
		sed -n 's/^\(FAIL\|BAD\)/    &/p' "$OUT/$suite.count" | head -n 20
		echo "    the last lines of $(short_path "$OUT/$suite.tap"):"
		grep -v '^ok ' "$OUT/$suite.tap" | tail -n 20 | sed 's/^/    | /'
		echo "    to repeat just this step: $repeat"
	} >&2
}

# run_suite SUITE REPEAT COMMAND...: a suite on this machine.
run_suite()
{
	local suite=$1 repeat=$2 status=0 start=$EPOCHSECONDS
	shift 2

	plan "$suite"
	progress_start last_line "$OUT/$suite.tap"
	"$@" >"$OUT/$suite.tap" 2>&1 </dev/null || status=$?
	progress_stop
	finish "$suite" $status $((EPOCHSECONDS - start)) "$repeat"
}

last_line()
{
	tail -n 1 "$1" 2>/dev/null | cut -c 1-70
}

# --- Virtual machines ---

# The command lines of the kernels that are built here. Later ones than 6.12 run unit tests at
# once only if they are told to.
# shellcheck disable=SC2034 # used by the scripts that source this file
{
	DEBUG_APPEND="pci=off kasan_multi_shot page_owner=on page_poison=1"
	OWN_APPEND="pci=off page_owner=on kunit.autorun=1"
}

# last_suites: what the guests are at.
last_suites()
{
	local f

	printf 'now in: '
	for f in "$OUT"/*.current; do
		[ -s "$f" ] && printf '%s ' "$(cat "$f")"
	done
}

# collect NAME REPEAT: takes apart what the guest prints.
collect()
{
	local name=$1 repeat=$2 line file=$OUT/$1-guest.out word suite status seconds

	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		'@@ begin '*)
			suite=$name-${line#@@ begin }
			file=$OUT/$suite.tap
			: >"$file"
			echo "$suite" >"$OUT/$name.current"
			;;
		'@@ end '*)
			read -r _ _ word status seconds <<<"$line"
			finish "$name-$word" "$status" "$seconds" "$repeat"
			file=$OUT/$name-guest.out
			;;
		*)
			printf '%s\n' "$line" >>"$file"
			;;
		esac
	done
}

# Before each command in the guest: the matrices are not about time, and may run beside other work,
# so a subtest gets half of its suite's time.
TEST_ENV=

# add_suite NAME SUITE COMMAND...: to the guest's list.
add_suite()
{
	local name=$1 suite=$2
	shift 2

	plan "$name-$suite"
	echo "$suite $SUITE_SECONDS $TEST_ENV $*" >>"$OUT/$name.list"
}

# add_programs NAME PREFIX PROGRAM...: every one is a suite. They get ARGUMENTS.
ARGUMENTS=
add_programs()
{
	local name=$1 prefix=$2 p
	shift 2

	for p in "$@"; do
		VM_FILES+=(--add "$p:/tests/$prefix/${p##*/}")
		add_suite "$name" "$prefix-${p##*/}" "/tests/$prefix/${p##*/}" "$ARGUMENTS"
	done
}

# vm_run NAME KERNEL APPEND REPEAT LOG: runs the guest's list; the status is scripts/vm's.
vm_run()
{
	local name=$1 kernel=$2 append=$3 repeat=$4 log=$5 status=0 vm_pid

	mkfifo "$OUT/$name.fifo"
	"$ROOT/scripts/vm" --kernel "$kernel" --append "$append" --timeout "$VM_SECONDS" \
		--log "$log" --module brd --add "$OUT/$name.list:/suites" "${VM_FILES[@]}" \
		"$ROOT/scripts/guest-check.sh" >"$OUT/$name.fifo" 2>"$OUT/$name-vm.err" &
	vm_pid=$!
	echo $vm_pid >"$OUT/$name.pid"
	collect "$name" "$repeat" <"$OUT/$name.fifo"
	wait $vm_pid || status=$?
	rm -f "$OUT/$name.pid" "$OUT/$name.fifo"
	rm -f "$OUT/$name.current"
	return $status
}

# vm NAME KERNEL APPEND REPEAT: all suites of one kernel. The suite NAME-vm is about the VM itself.
# Where the emulator was at fault, which scripts/vm knows, all is run once more, and once only.
vm()
{
	local name=$1 status=0 repeat=$4
	local log=$LOGS/${OUT##*/}-$1-kernel.log start=$EPOCHSECONDS

	vm_run "$@" "$log" || status=$?
	if [ $status -eq 123 ]; then
		say "$name: the emulator's fault, not the kernel's; once more"
		mv "$log" "$log.emulator"
		rm -f "$OUT/$name"-*.count
		status=0
		vm_run "$@" "$log" || status=$?
	fi

	{
		echo "TAP version 13"
		echo "1..2"
		case $status in
		0 | 120) echo "ok 1 runs to the end" ;;
		*) echo "not ok 1 runs to the end" ;;
		esac
		if "$ROOT/scripts/splat-scan" "$log"; then
			echo "ok 2 the kernel did not complain"
		else
			echo "not ok 2 the kernel did not complain"
			echo "# its log: $(short_path "$log")"
		fi
		cat "$OUT/$name-vm.err"
	} >"$OUT/$name-vm.tap" 2>&1
	finish "$name-vm" 0 $((EPOCHSECONDS - start)) "$repeat"
}

# has_kunit KERNEL
has_kunit()
{
	grep -qE '^CONFIG_KUNIT=[ym]' "$1/build/.config"
}

# prepare_module NAME KERNEL REPEAT [ARG...]: builds it, and begins VM_FILES, the guest's list and
# the plan. With PAGEARENA_KUNIT=1 among the arguments the unit tests, too.
VM_FILES=()
prepare_module()
{
	local name=$1 kernel=$2 repeat=$3 kmod
	shift 3

	kmod=$BUILD/kmod-$(basename "$(realpath "$kernel")")
	say "module: build for $(cat "$kernel/release")"
	run_built "module-$name" "$repeat" build_module "$kernel" "$kmod" "$@" || return
	prepare_vm "$name" "$kernel"
}

# What is replayed: trace-64k where pages have 64 KiB.
TRACE=trace

# prepare_vm NAME KERNEL: for a module that was built already.
prepare_vm()
{
	local name=$1 kmod

	kmod=$BUILD/kmod-$(basename "$(realpath "$2")")
	: >"$OUT/$name.list"
	VM_FILES=(--add "$kmod/pagearena.ko:/pagearena.ko" --add "$STATIC/differ/$TRACE:/replay")
	plan "$name-module"
	plan "$name-vm"
}

# prepare_kunit NAME KERNEL
prepare_kunit()
{
	local kmod

	kmod=$BUILD/kmod-$(basename "$(realpath "$2")")
	VM_FILES+=(--add "$kmod/pagearena_kunit.ko:/pagearena_kunit.ko")
	plan "$1-kunit"
}

# only NAME...: is one of them to be run?
only()
{
	local name

	for name in "$@"; do
		case " ${ONLY:-$name} " in *" $name "*) return 0 ;; esac
	done
	return 1
}

# How long the fuzzer runs in each virtual machine.
FUZZ_SECONDS=10

# What the test kernel runs in "make check", which is to be quick: of the programs that take as long
# as all the others together, the subtests whose names have one of these words. "make check-debug"
# runs all of them.
declare -A QUICK=(
	[pressure]="small own drop_caches sparse scattered"
	[policy]="changes old retained sleeps batch breaks"
	[pool]="ready zero hard cgroup shrinker closed"
	[races]="GUP exit shrinker mapping"
	[failnth]="ALLOC FREE faults fork close"
	[batch]="result ranges EFAULT signals debug"
)

# prepare_device NAME OPS [all|quick]: what opens the device. OPS of each trace are replayed. "quick"
# leaves away what QUICK says, and what needs no kernel with checks: the library and the tools. ONLY,
# in the environment, names the programs that are run, where not all are, with all of their subtests;
# "lib" and "tools" are two more.
prepare_device()
{
	local name=$1 ops=$2 part=${3:-all} list t

	[ -z "${ONLY:-}" ] || part=all
	mapfile -t list < <(make -s -C "$ROOT/selftests/device" O="$STATIC/device" list)
	[ ${#list[@]} -gt 0 ] || die "no device tests"
	for t in "${list[@]}"; do
		only "${t##*/}" || continue
		ARGUMENTS=
		[ "$part" = all ] || ARGUMENTS=${QUICK[${t##*/}]:-}
		add_programs "$name" device "$t"
	done
	ARGUMENTS=
	if [ "$part" != all ]; then
		add_fuzz "$name"
		return 0
	fi
	mapfile -t list < <(make -s -C "$ROOT/userlib" O="$STATIC/userlib" list-tests)
	[ ${#list[@]} -gt 0 ] || die "no library tests"
	! only lib || add_programs "$name" lib "${list[@]}"
	if [ -z "${NO_BINDINGS:-}" ]; then
		mapfile -t list < <(make -s -C "$ROOT/bindings" O="$STATIC/bindings" list-tests)
		[ ${#list[@]} -gt 0 ] || die "no tests of the bindings"
		! only bindings || add_programs "$name" bindings "${list[@]}"
	fi
	only tools || return 0

	if [ ! -d "$OUT/traces" ]; then
		mkdir -p "$OUT/traces"
		for t in "$ROOT"/selftests/traces/*.csv.xz; do
			xz -dc "$t" >"$OUT/traces/$(basename "$t" .xz)"
		done
	fi
	VM_FILES+=(--add "$STATIC/tools/pagearena:/bin/pagearena"
		--add "$STATIC/tools-tests/holder:/tests/holder"
		--add "$ROOT/selftests/tools/guest.sh:/tests/tools.sh" --add "$OUT/traces:/traces")
	add_suite "$name" tools "/tests/tools.sh $ops"
	add_fuzz "$name"
}

# add_fuzz NAME: the fuzzer for some seconds, and the device against the traces that say what
# must come of every operation.
add_fuzz()
{
	VM_FILES+=(--add "$STATIC/fuzz/fuzz:/tests/fuzz/fuzz"
		--add "$STATIC/differ/differ:/tests/differ"
		--add "$ROOT/selftests/fuzz/corpus:/corpus")
	add_suite "$1" fuzz-control /tests/fuzz/fuzz --control
	add_suite "$1" fuzz "/tests/fuzz/fuzz --seconds $FUZZ_SECONDS --quiet --kmsg --corpus /corpus"
	add_suite "$1" differ "/tests/differ device /replay"
}

# run_built NAME REPEAT COMMAND...: a build, which is a suite of one test.
run_built()
{
	local suite=build-$1 repeat=$2 status=0 start=$EPOCHSECONDS
	shift 2

	plan "$suite"
	"$@" >"$LOGS/$suite.log" 2>&1 </dev/null || status=$?
	{
		echo "TAP version 13"
		echo "1..1"
		[ $status -eq 0 ] || echo -n "not "
		echo "ok 1 builds"
		[ $status -eq 0 ] || tail -n 20 "$LOGS/$suite.log" | sed 's/^/# /'
	} >"$OUT/$suite.tap"
	finish "$suite" $status $((EPOCHSECONDS - start)) "$repeat"
	return $status
}

# build_module KERNEL OUT [ARG...]
build_module()
{
	local kernel=$1 out=$2 made_with=()
	shift 2

	[ ! -s "$kernel/args" ] || read -ra made_with <"$kernel/args"
	"$ROOT/scripts/kmod" "$kernel/build" --out "$out" "${made_with[@]}" "$@" &&
		! grep -E '(warning|error):' "$LOGS/${out##*/}.log"
}

build_user()
{
	make -C "$ROOT/userlib" O="$STATIC/userlib" STATIC=1 all &&
		{ [ -n "${NO_BINDINGS:-}" ] ||
			make -C "$ROOT/bindings" O="$STATIC/bindings" USERLIB="$STATIC/userlib" \
				STATIC=1 all; } &&
		make -C "$ROOT/selftests/tools" O="$STATIC/tools-tests" all &&
		make -C "$ROOT/tools" O="$STATIC/tools" STATIC=1 all &&
		make -C "$ROOT/selftests/device" O="$STATIC/device" STATIC=1 all &&
		make -C "$ROOT/selftests/fuzz" O="$STATIC/fuzz" STATIC=1 all &&
		build_trace
}

# build_trace: what the model says, written by a program of this machine.
build_trace()
{
	local here=$BUILD/static/differ

	env -u CC -u AR make -C "$ROOT/selftests/differ" O="$here" trace || return
	[ "$STATIC/differ" != "$here" ] || return 0
	make -C "$ROOT/selftests/differ" O="$STATIC/differ" all && cp "$here/trace" "$here/trace-64k" "$STATIC/differ/"
}

# --- The sum ---

suite_table()
{
	local suite passed failed skipped

	printf '\n%-30s %7s %7s %7s\n' suite passed failed skipped
	while read -r suite; do
		read -r passed failed skipped <"$OUT/$suite.count"
		printf '%-30s %7d %7d %7d\n' "$suite" "$passed" "$failed" "$skipped"
	done <"$OUT/suites"
	for what in SKIP FAIL BAD; do
		grep -H "^$what" "$OUT"/*.count 2>/dev/null |
			sed "s|^$OUT/\([^:]*\)\.count:$what|${what,,} \1:|" || true
	done
}

# sum_up TABLE: the command TABLE prints what was counted; then come the last lines. The status is
# 0 if something passed and nothing failed.
sum_up()
{
	local suite passed failed skipped
	local total_passed=0 total_failed=0 total_skipped=0

	touch "$OUT/suites"
	while read -r suite; do
		if ! [ -f "$OUT/$suite.count" ]; then
			# Begun, or not even that: it never came to its end.
			touch "$OUT/$suite.tap"
			"$ROOT/scripts/tap-count" --status 255 "$OUT/$suite.tap" \
				>"$OUT/$suite.count" || true
		fi
		read -r passed failed skipped <"$OUT/$suite.count"
		total_passed=$((total_passed + passed))
		total_failed=$((total_failed + failed))
		total_skipped=$((total_skipped + skipped))
	done <"$OUT/suites"
	"$1"
	echo "output of every suite: $(short_path "$OUT")/SUITE.tap; $(elapsed) s"
	echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
	[ "$total_failed" -eq 0 ] && [ "$total_passed" -gt 0 ]
}

# --- Matrices: one row for each kernel ---

# skip_suite SUITE WHY
skip_suite()
{
	plan "$1"
	printf 'TAP version 13\n1..0 # SKIP %s\n' "$2" >"$OUT/$1.tap"
	finish "$1" 0 0 -
}

# row_kernel ROW REPEAT ARG...: scripts/kernel ARG..., which is a suite of one test; the directory
# goes to KERNEL. Fails if there is none.
row_kernel()
{
	local row=$1 repeat=$2 status=0 start=$EPOCHSECONDS
	shift 2

	# shellcheck disable=SC2034 # the result
	KERNEL=$("$ROOT/scripts/kernel" "$@") || status=$?
	[ $status -eq 0 ] || echo "$row|none|$*|0" >>"$OUT/rows"
	if [ $status -eq 3 ]; then
		skip_suite "$row-kernel" "no such kernel in Debian's package index"
		return 1
	fi
	plan "$row-kernel"
	{
		echo "TAP version 13"
		echo "1..1"
		[ $status -eq 0 ] || echo -n "not "
		echo "ok 1 is there"
	} >"$OUT/$row-kernel.tap"
	finish "$row-kernel" $status $((EPOCHSECONDS - start)) "$repeat"
	return $status
}

# run_row ROW WHAT KERNEL APPEND OPS: everything on one kernel.
run_row()
{
	local row=$1 what=$2 kernel=$3 append=$4 ops=$5 start=$EPOCHSECONDS args=(W=1) repeat
	local kunit=no

	TEST_ENV="env PAGEARENA_TEST_TIMEOUT=$((SUITE_SECONDS / 2))"
	repeat="make ${OUT##*/} MATRIX=$row"
	if has_kunit "$kernel"; then
		kunit=yes
		args+=(PAGEARENA_KUNIT=1)
	fi
	if prepare_module "$row" "$kernel" "$repeat" "${args[@]}"; then
		if [ $kunit = yes ]; then
			prepare_kunit "$row" "$kernel"
		else
			skip_suite "$row-kunit" "no KUnit in this kernel"
		fi
		prepare_device "$row" "$ops"
		say "virtual machine: $row ($what); log" \
			"$(short_path "$LOGS/${OUT##*/}-$row-kernel.log")"
		vm "$row" "$kernel" "$append" "$repeat" 8>&-
	fi
	printf '%s|%s|%s|%d\n' "$row" "$(cat "$kernel/release")" "$what" \
		$((EPOCHSECONDS - start)) >>"$OUT/rows"
}

# The columns, and the suites that belong to them, as regular expressions for what follows
# the row's name.
COLUMNS_OF_ROWS="build=(kernel|build-module) kunit=kunit device=device-.* library=lib-.* tools=tools
	unload=module log=vm"

# table_lines: a line for each row, passed/failed/skipped of each column.
table_lines()
{
	awk -F '|' -v columns="$COLUMNS_OF_ROWS" -v date="$(date +%F)" '
	FILENAME == ARGV[1] {
		split($0, w, " ")
		if (w[2] ~ /^[0-9]+$/)
			counts[w[1]] = w[2] " " w[3] " " w[4]
		next
	}
	{
		ncol = split(columns, cols, /[ \t\n]+/)
		printf "%-13s", $1
		for (i = 1; i <= ncol; i++) {
			split(cols[i], c, "=")
			p = f = s = 0
			for (suite in counts) {
				name = suite
				if (suite == "build-module-" $1)
					name = $1 "-build-module"
				if (index(name, $1 "-") != 1)
					continue
				if (substr(name, length($1) + 2) !~ "^(" c[2] ")$")
					continue
				split(counts[suite], n, " ")
				p += n[1]
				f += n[2]
				s += n[3]
			}
			printf " %9s", p + f + s ? p "/" f "/" s : "-"
		}
		printf " %5d  %s  %s, %s\n", $4, date, $2, $3
	}' "$OUT/all" "$OUT/rows"
}

table_head()
{
	printf '%-13s' row
	# shellcheck disable=SC2086 # words
	printf ' %9s' $(sed 's/=[^ ]*//g' <<<$COLUMNS_OF_ROWS)
	printf ' %5s  %-10s  %s\n' s date kernel
}

# skip_lines: what was skipped, and why. Of many tests of a row with the same reason, the number.
skip_lines()
{
	awk '
	FILENAME == ARGV[1] {
		split($0, w, "|")
		rows[w[1]]
		next
	}
	$2 == "SKIP" {
		suite = $1
		for (row in rows)
			if (index($1, row "-") == 1 && length(row) > length(best))
				best = row
		why = $0
		sub(/^[^ ]* SKIP .*: /, "", why)
		key = sprintf("%-13s %s", best, why)
		best = ""
		if (!n[key]++)
			order[++keys] = key
	}
	END {
		for (i = 1; i <= keys; i++)
			print order[i] (n[order[i]] > 1 ? " (" n[order[i]] " tests)" : "")
	}' "$OUT/rows" "$OUT/all"
}

# record FILE: puts the rows of this run into a table that is kept, in place of what they were
# there. Rows stand in the order of ROWS; those that it does not name come last.
record()
{
	local file=$1 part

	touch "$file"
	{
		echo "# SPDX-License-Identifier: GPL-2.0-only OR MIT"
		echo "# make ${OUT##*/} RECORD=1; passed/failed/skipped"
		table_head
		for part in lines skips; do
			[ $part = lines ] || printf '\nskipped\n'
			{
				cat "$OUT/$part"
				# The others, of the same half of the file.
				awk -v part=$part '
				FILENAME == ARGV[1] { split($0, w, "|"); new[w[1]]; next }
				/^#/ || /^row / || /^$/ { next }
				/^skipped$/ { skips = 1; next }
				(part == "skips") == (skips + 0) && !($1 in new)' \
					"$OUT/rows" "$file"
			} | awk -v order="${ROWS_ORDER[*]}" '
				BEGIN { n = split(order, o, " ") }
				{
					place = n + 1
					for (i = 1; i <= n; i++)
						if ($1 == o[i])
							place = i
					print place "\t" NR "\t" $0
				}' | sort -n -k 1,1 -k 2,2 | cut -f 3-
		done
	} >"$OUT/recorded"
	cp "$OUT/recorded" "$file"
	say "recorded in $(short_path "$file")"
}

# row_table: the rows; then what was skipped, and why; then failures.
row_table()
{
	local f

	touch "$OUT/rows"
	for f in "$OUT"/*.count; do
		sed "s|^|$(basename "$f" .count) |" "$f"
	done >"$OUT/all"
	table_lines >"$OUT/lines"
	skip_lines >"$OUT/skips"
	echo
	table_head
	cat "$OUT/lines"
	printf '\nskipped\n'
	cat "$OUT/skips"
	echo
	awk '$2 == "FAIL" || $2 == "BAD" {
		suite = $1
		what = tolower($2)
		sub(/^[^ ]* [A-Z]+ /, "")
		print what " " suite ": " $0
	}' "$OUT/all"
	[ -z "${RECORD:-}" ] || [ -n "${ONLY:-}" ] || record "$ROOT/Documentation/figures/${OUT##*/check-}.txt"
}
