#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Checks the model of a chunk's protocol (chunk.pml) with spin. Prints TAP.
#
#   run.sh [DIRECTORY]
#
# DIRECTORY: where to build, and where traces of errors stay; a temporary one if none is named.
# MODEL_MB: memory for one search (2000). All searches are exhaustive: one that ran out of
# memory or of depth is a failure.
# MODEL_CACHE: where to keep the programs that search, as to compile them takes longest.
#
# To see how an error comes about:
#   cd DIRECTORY/NAME && spin FLAGS -t -p -g chunk.pml     (FLAGS are in the file "flags")

set -euo pipefail
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
MODEL_MB=${MODEL_MB:-2000}
if [ $# -gt 0 ]; then
	OUT=$1
	mkdir -p "$OUT"
	OUT=$(cd "$OUT" && pwd)
else
	OUT=$(mktemp -d "${TMPDIR:-/tmp}/pagearena-model.XXXXXX")
	trap 'rm -rf "$OUT"' EXIT
fi

# Who takes part. All at once are too many states, so the scenes are chosen such that every two
# whose steps touch the same thing meet in one of them.
ONE="USERS=1 SMALL_FOLIOS=2 CHUNKS=1"
declare -A SCENES=(
	[release]="USERS=2 SCAVENGER=1 ZEROING=1"
	[reclaim]="USERS=2 CHUNKS=1 SHRINKER=1"
	[promote]="USERS=2 CHUNKS=1 PROMOTER=1 ZEROING=1"
	[all]="$ONE SCAVENGER=1 SHRINKER=1 PROMOTER=1 ZEROING=1"
	[pin-promote]="$ONE PROMOTER=1 PINNER=1 ZEROING=1"
	[pin-release]="$ONE SCAVENGER=1 PINNER=1"
	[pin-reclaim]="$ONE SHRINKER=1 PINNER=1"
	[zap-promote]="$ONE PROMOTER=1 ZAPPER=1"
	[zap-release]="$ONE SCAVENGER=1 ZAPPER=1"
	[zap-reclaim]="$ONE SHRINKER=1 ZAPPER=1"
)
SCENE_ORDER=(release reclaim promote all pin-promote pin-release pin-reclaim zap-promote
	zap-release zap-reclaim)

# Mutations: the number in chunk.pml, the scene, what is left out.
MUTATIONS=(
	"1 zap-release  release does not wait for faults under way (pa_folio_settle)"
	"2 all  a fault returns the page unlocked"
	"3 all  a fault does not look at the heap again after its allocation"
	"4 all  the range leaves transit without a zap"
	"5 all  promotion copies before the zap"
	"6 pin-promote  promotion does not ask who else holds the pages (pa_small_alone)"
	"7 all  promotion asks what is alive before the zap"
	"8 all  promotion and filling do not look for spans in transit"
	"9 pin-release  demotion does not ask who else holds the folio"
	"10 all  demotion copies before the zap"
	"11 all  the shrinker waits for the chunk's lock"
	"12 all  the shrinker waits for folio locks"
	"13 release  a dead chunk is not looked up again (pa_chunk_create)"
	"14 all  the arena does not wait for the shrinker (pa_reclaim_stop)"
	"15 all  the chunks of a dead arena stay with the shrinker (pa_backing_forget)"
	"16 all  a dead chunk stays with the shrinker (pa_item_detach)"
	"17 all  a fault locks the folio after it has unlocked the chunk"
	"18 all  a folio is not zeroed"
	"19 all  the shrinker does not look for faults under way (pa_chunk_take)"
	"20 all  a range is released without being in transit"
	"21 all  ALLOC says zero of what is backed"
	"22 all  promotion does not clear what it does not copy"
)

# build NAME SCENE OPT [FLAG...]: OUT/NAME/pan
build()
{
	local name=$1 scene=$2 OPT=$3 dir=$OUT/$1 who flags=() kept=
	shift 3

	for who in SCAVENGER SHRINKER PROMOTER PINNER ZAPPER ZEROING; do
		case " ${SCENES[$scene]} " in
		*" $who="*) ;;
		*) flags+=("-D$who=0") ;;
		esac
	done
	for who in ${SCENES[$scene]}; do
		flags+=("-D$who")
	done
	flags+=("$@")
	mkdir -p "$dir"
	cp "$HERE/chunk.pml" "$dir/"
	cd "$dir"
	echo "${flags[*]}" >flags
	[ -z "${MODEL_CACHE:-}" ] || kept=$MODEL_CACHE/$(key "$OPT" "${flags[*]}")
	if [ -n "$kept" ] && [ -x "$kept" ]; then
		cp "$kept" pan
		return
	fi
	spin "${flags[@]}" -a chunk.pml >spin.log 2>&1 &&
		"${CC:-cc}" "$OPT" -w -DSAFETY -DCOLLAPSE -DMEMLIM="$MODEL_MB" -o pan pan.c \
			>cc.log 2>&1 || return
	if [ -n "$kept" ]; then
		mkdir -p "$MODEL_CACHE"
		cp pan "$kept.$$" && mv "$kept.$$" "$kept"
	fi
}

# key TEXT...: what a program that searches is made of.
VERSIONS=$({ "${CC:-cc}" --version; spin -V; } 2>/dev/null || true)
key()
{
	printf '%s\n' "$VERSIONS" "$MODEL_MB" "$@" | cat - "$HERE/chunk.pml" "$HERE/run.sh" |
		sha256sum | cut -c 1-16
}

# search NAME: runs it; the report is in OUT/NAME/report.
search()
{
	cd "$OUT/$1"
	./pan -n -m1000000 >report 2>&1
}

# What a report says, as comments.
explain()
{
	cat "$OUT/$1"/{spin.log,cc.log,report} 2>/dev/null | grep -v '^$' | head -n 12 |
		sed 's/^/# /' || true
	[ ! -s "$OUT/$1/chunk.pml.trail" ] || echo "# the trace is chunk.pml.trail"
}

figure()
{
	awk "/$2/ { print \$$3; exit }" "$OUT/$1/report"
}

# A scene must come to its end without an error.
check_scene()
{
	build "$1" "$1" -O2 && search "$1" && grep -q 'errors: 0$' "$OUT/$1/report" &&
		! grep -qiE 'search not completed|max search depth|out of memory|MEMLIM' \
			"$OUT/$1/report"
}

# A mutation must be found out.
check_mutation()
{
	local name=mutation-$1

	build "$name" "$2" -O1 "-DMUTATE=$1" || return
	search "$name" || true
	grep -qE 'assertion violated|invalid end state' "$OUT/$name/report"
}

echo "TAP version 13"
echo "1..$((${#SCENE_ORDER[@]} + ${#MUTATIONS[@]}))"
command -v spin >/dev/null || {
	echo "Bail out! no spin"
	exit 1
}

N=0
BAD=0
for scene in "${SCENE_ORDER[@]}"; do
	N=$((N + 1))
	if (check_scene "$scene"); then
		echo "ok $N $scene: ${SCENES[$scene]}"
		echo "# $(figure "$scene" 'states, stored' 1) states," \
			"$(figure "$scene" 'total actual memory' 1) MB"
	else
		echo "not ok $N $scene: ${SCENES[$scene]}"
		explain "$scene"
		BAD=1
	fi
done

for mutation in "${MUTATIONS[@]}"; do
	N=$((N + 1))
	read -r number scene text <<<"$mutation"
	if (check_mutation "$number" "$scene"); then
		echo "ok $N mutation $number is caught: $text"
		echo "# $(grep -oE -m 1 'assertion violated.*|invalid end state' \
			"$OUT/mutation-$number/report" | cut -c 1-90)"
	else
		echo "not ok $N mutation $number is caught: $text"
		explain "mutation-$number"
		BAD=1
	fi
done
exit $BAD
