#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The benchmark on the machine itself, for who is root there: counts instructions with a
# performance counter, or takes the time where there is none. Interrupts and other programs are
# in the figures, so the medians are what to look at.
#
#   native.sh [--traces] [--out FILE] [BENCH-ARGUMENT...]
#
# Loads the module that is built for the running kernel, if none is loaded. Changes settings of
# transparent huge pages while it runs, and sets them back. Writes CSV to FILE (default:
# build/bench/native.csv) and prints it as a table. What QEMU's plugin counts in "run-bench" is
# here what each row knows of itself: pages zeroed, faults, calls.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

OUT=$BUILD/bench/native.csv
ARGUMENTS=()
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		sed -n '4,14s/^# \?//p' "$0"
		exit 0
		;;
	--traces)
		mkdir -p "$BUILD/bench/traces"
		for trace in "$ROOT"/selftests/traces/*.csv.xz; do
			name=$BUILD/bench/traces/$(basename "$trace" .xz)
			xz -dc "$trace" >"$name"
			ARGUMENTS+=(--trace "$name")
		done
		;;
	--out)
		[ $# -ge 2 ] || die "--out needs a value"
		OUT=$2
		shift
		;;
	*) ARGUMENTS+=("$1") ;;
	esac
	shift
done
[ "$(id -u)" -eq 0 ] || die "must be root"
need_packages "the benchmark" "${PKGS_BUILD[@]}" python3

loaded=
saved=()
# save FILE: remembers a setting.
save()
{
	local value

	[ -w "$1" ] || return 0
	value=$(cat "$1")
	# Of choices, the one in brackets is in force.
	case $value in
	*\[*) value=${value#*[} value=${value%%]*} ;;
	esac
	saved+=("$1=$value")
}

restore()
{
	local s

	for s in "${saved[@]}"; do
		echo "${s#*=}" >"${s%%=*}" || true
	done
	[ -z "$loaded" ] || rmmod pagearena || true
}
trap restore EXIT

thp=/sys/kernel/mm/transparent_hugepage
save $thp/enabled
save $thp/shmem_enabled
save $thp/hugepages-64kB/enabled
save /proc/sys/vm/nr_hugepages

run_logged "build of the benchmark" "$LOGS/bench-build.log" "make -C selftests/bench" \
	make -C "$ROOT/selftests/bench" O="$BUILD/bench/native" "$BUILD/bench/native/bench"
if ! [ -e /dev/pagearena ]; then
	module=$("$ROOT/scripts/kmod" "/lib/modules/$(uname -r)/build")/pagearena.ko
	insmod "$module"
	loaded=1
fi
mkdir -p "$(dirname "$OUT")"
"$BUILD/bench/native/bench" --native "${ARGUMENTS[@]}" >"$OUT.raw"
"$ROOT/selftests/bench/report" csv "$OUT.raw" --about "date=$(date -u +%F)" \
	--about "kernel=$(uname -r)" \
	--about "machine=$(sed -n 's/^model name[[:blank:]]*: //p' /proc/cpuinfo | head -n 1)" >"$OUT"
rm -f "$OUT.raw"
"$ROOT/selftests/bench/report" table "$OUT"
say "wrote $(short_path "$OUT")"
