# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# A virtual machine in which a nanosecond of the clock is one instruction, for programs that
# measure. When its one CPU is idle, the clock leaps to the next timer. So a machine that is
# slow, or busy with other things, measures the same, and waiting takes no time. Source it
# after scripts/lib.sh.

# PAGEARENA_BENCH_CPU is QEMU's -cpu, see run-promote.
BENCH_CPU=${PAGEARENA_BENCH_CPU:-max,la57=off,erms=off}

# More options for QEMU.
BENCH_QEMU=()

# bench_kernel [NAME]: sets BENCH_IMAGE, BENCH_RELEASE and BENCH_MODULE: a kernel of
# scripts/kernel (default: Debian's) and the module for it. With PAGEARENA_BENCH_MODULE, for
# trying things out, that module; with PAGEARENA_BENCH_KERNEL, which needs it, that image.
# PAGEARENA_BENCH_TREE is another checkout whose module and header to take.
# BENCH_SERIES is the series of a kernel that is built here, default: that of scripts/kernel.
BENCH_SERIES=
BENCH_TREE=${PAGEARENA_BENCH_TREE:-$ROOT}
bench_kernel()
{
	local kernel

	if [ -n "${PAGEARENA_BENCH_KERNEL:-}" ]; then
		BENCH_IMAGE=$PAGEARENA_BENCH_KERNEL
		BENCH_RELEASE=$(basename "$BENCH_IMAGE")
		BENCH_MODULE=$PAGEARENA_BENCH_MODULE
		return
	fi
	[ "$BENCH_SERIES" != newest ] || BENCH_SERIES=$("$ROOT/scripts/kernel" newest)
	# shellcheck disable=SC2086 # none or one
	kernel=$("$ROOT/scripts/kernel" "${1:-stock}" $BENCH_SERIES)
	BENCH_IMAGE=$kernel/vmlinuz
	BENCH_RELEASE=$(cat "$kernel/release")
	BENCH_MODULE=${PAGEARENA_BENCH_MODULE:-}
	if [ -z "$BENCH_MODULE" ]; then
		BENCH_MODULE=$("$BENCH_TREE/scripts/kmod" "$kernel/build")/pagearena.ko
	fi
}

# bench_build DIR: what runs in the machine, and the plugin, into DIR.
bench_build()
{
	run_logged "build of the benchmark" "$LOGS/bench-build.log" "make -C selftests/bench" \
		make -C "$ROOT/selftests/bench" O="$1" TREE="$BENCH_TREE"
}

# bench_plugin PLUGIN OUT [OPTION...]: has QEMU count into OUT, see plugin.c. After
# bench_kernel with a kernel that was built here.
bench_plugin()
{
	local map plugin=$1,out=$2 name address
	shift 2

	map=$(dirname "$BENCH_IMAGE")/System.map
	[ -f "$map" ] || die "no System.map beside $BENCH_IMAGE"
	while read -r address _ name; do
		case $name in
		clear_page_rep | clear_page_orig | clear_page_erms | __clear_pages_unrolled) plugin+=,clear=$address ;;
		asm_exc_page_fault) plugin+=,fault=$address ;;
		asm_common_interrupt | asm_sysvec_apic_timer_interrupt | asm_exc_nmi)
			plugin+=,irq=$address
			;;
		entry_SYSCALL_64) plugin+=,syscall=$address ;;
		_raw_spin_lock | _raw_spin_lock_irq | _raw_spin_lock_irqsave | _raw_spin_lock_bh | \
			_raw_spin_trylock) plugin+=,lock=$address ;;
		esac
	done < <(grep -E ' [tT] ' "$map")
	for name in "$@"; do
		plugin+=,$name
	done
	BENCH_QEMU=(-plugin "$plugin")
}

# bench_last FILE: the last line that begins with "@@" and says more than a word.
bench_last()
{
	{ grep -aE '^@@ [a-z-]+ .' "$1" || true; } | tail -n 1 | cut -c 4-73
}

# bench_vm NAME MEMORY SECONDS DIR SCRIPT: boots BENCH_IMAGE with what is in DIR, the module
# at /pagearena.ko, and busybox, and runs SCRIPT as root in a cgroup of its own (named bench).
# What that prints comes out on stdout. Fails unless the script succeeds. The kernel's log is
# build/logs/bench-NAME.log.
bench_vm()
{
	local name=$1 memory=$2 seconds=$3 dir=$4 script=$5 log=$LOGS/bench-$1.log applet status=0

	mkdir -p "$dir"/{bin,dev,proc,sys,tmp}
	cp /bin/busybox "$dir/bin/busybox"
	for applet in $(/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -sf busybox "$dir/bin/$applet"
	done
	cp "$BENCH_MODULE" "$dir/pagearena.ko"
	cp "$script" "$dir/run.sh"
	cat >"$dir/init" <<-'END'
		#!/bin/sh
		export PATH=/bin
		mount -t devtmpfs dev /dev
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t tmpfs tmpfs /tmp
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control
		mkdir /sys/fs/cgroup/bench
		echo $$ >/sys/fs/cgroup/bench/cgroup.procs
		stty -F /dev/ttyS1 raw -echo
		sh /run.sh >/dev/ttyS1 2>&1 && echo "@@ done" >/dev/ttyS1
		poweroff -f
	END
	chmod +x "$dir/init"
	(cd "$dir" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >"$dir.cpio"
	say "$BENCH_RELEASE, -cpu $BENCH_CPU, $memory; kernel log $(short_path "$log")"
	: >"$dir.out"
	progress_start bench_last "$dir.out"
	timeout -k 5 "$seconds" qemu-system-x86_64 \
		-accel tcg,thread=single -icount shift=0,sleep=off -smp 1 -seed 1 \
		-rtc base=2024-01-01T00:00:00,clock=vm -cpu "$BENCH_CPU" -m "$memory" \
		-display none -monitor none -nodefaults -no-reboot -nic none \
		-serial "file:$log" -serial stdio \
		-kernel "$BENCH_IMAGE" -initrd "$dir.cpio" \
		-append "console=ttyS0 panic=-1 oops=panic nokaslr loglevel=6 ${BENCH_APPEND:-}" \
		"${BENCH_QEMU[@]}" \
		</dev/null >"$dir.out" || status=$?
	progress_stop
	rm -f "$dir.cpio"
	grep -v '^@@ done' "$dir.out" || true
	if ! grep -q '^@@ done' "$dir.out"; then
		fail_with_log "the run in the virtual machine ($status)" "$log" "$(basename "$0")"
		return 1
	fi
	"$ROOT/scripts/splat-scan" "$log" >&2
}
