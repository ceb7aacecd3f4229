#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Runs the corpus through the fuzz target, then fuzzes for FUZZ_TIME seconds; prints TAP.
#
#   fuzz.sh TARGET CORPUS OUTPUT
#
# TARGET may be "-" where there is no libFuzzer: both tests are skipped.

set -euo pipefail

target=$1
corpus=$2
out=$3
failed=0

# run NUMBER NAME ARGUMENTS...
run()
{
	local number=$1 name=$2

	shift 2
	if "$target" "$@" >"$out/fuzz-$number.log" 2>&1; then
		echo "ok $number $name"
	else
		tail -n 40 "$out/fuzz-$number.log" | sed 's/^/# /'
		echo "# log: $out/fuzz-$number.log; input: $out/crash-*; again:"
		echo "# FUZZ_HEAP_TRACE=1 $target INPUT"
		echo "not ok $number $name"
		failed=1
	fi
}

echo "TAP version 13"
echo "1..2"
if [ "$target" = - ]; then
	echo "ok 1 fuzz: corpus # SKIP no clang with libFuzzer"
	echo "ok 2 fuzz # SKIP no clang with libFuzzer"
	exit 0
fi

files=("$corpus"/*)
if [ ! -f "${files[0]}" ]; then
	echo "not ok 1 fuzz: corpus # $corpus is empty"
	failed=1
else
	run 1 "fuzz: corpus of ${#files[@]}" -artifact_prefix="$out/" "${files[@]}"
fi
mkdir -p "$out/found"
run 2 "fuzz: ${FUZZ_TIME:-20} s" -max_total_time="${FUZZ_TIME:-20}" -max_len=1024 -timeout=60 \
	-artifact_prefix="$out/" "$out/found" "$corpus"
exit $failed
