#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Does the tree keep to the ABI that abi/ has on record, for each version? Prints TAP.
#
# For the version in development (VERSION of the Makefile) and for all since 1.0 of the same major
# version, things may only be added. What 0.x had and this 0.y has not stands in CHANGELOG.md
# under "### ABI". "make golden" puts the tree's ABI on record.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

cd "$ROOT"
need_packages "the checks of the ABI" "${PKGS_BUILD[@]}" "${PKGS_ABI[@]}"
VERSION=$(sed -n 's/^VERSION := //p' Makefile)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/pagearena-abi.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

N=0
BAD=0

# passes NAME COMMAND...
passes()
{
	local name=$1 status=0
	shift

	"$@" >"$WORK/out" 2>&1 </dev/null || status=$?
	N=$((N + 1))
	if [ $status -eq 0 ]; then
		echo "ok $N $name"
	else
		echo "not ok $N $name"
		tail -n 40 "$WORK/out" | sed 's/^/# /'
		BAD=1
	fi
}

# library MAP OUTPUT: the shared library with these symbols, with debugging information.
library()
{
	${CC:-cc} -std=gnu11 -g -O2 -fPIC -shared -pthread -Iuserlib -Iuapi -Iuserlib/compat -Ikmod \
		-D_FILE_OFFSET_BITS=64 -Wl,-soname,libpagearena.so.0 "-Wl,--version-script=$1" -o "$2" \
		userlib/*.c kmod/span_heap.c
}

# compare_library OLD NEW: the old one as "make golden" has it. Returns 4 if it has changed.
compare_library()
{
	local status=0

	abidiff --suppressions selftests/abi/libpagearena.suppr --no-added-syms "$1" "$2" ||
		status=$?
	# Its other bits are errors of its own, and that what changed is sure to break programs.
	[ $((status & 3)) -eq 0 ] || return $status
	return $((status & 4))
}

# broken_library NEW: has changed, and that was seen.
broken_library()
{
	local status=0

	compare_library "abi/$VERSION/libpagearena.abi" "$1" || status=$?
	[ $status -eq 4 ]
}

# Versions that differ in what stands before the first dot, or are both 0.x, may differ, if the
# changelog says so.
deliberate()
{
	[ "$1" != "$VERSION" ] || return 1
	case $VERSION in
	0.* | "${1%%.*}".*) ;;
	*) return 0 ;;
	esac
	[ "${VERSION%%.*}" = 0 ] &&
		awk '/^## / { n++ } n == 1 && /^### ABI/ { found = 1 } END { exit !found }' \
			CHANGELOG.md
}

# kept VERSION COMMAND...
kept()
{
	local version=$1
	shift

	"$@" && return
	deliberate "$version" && return
	echo "If that is what you want: say so in CHANGELOG.md, and \"make golden\"."
	return 1
}

echo "TAP version 13"
selftests/abi/dump-uapi >"$WORK/uapi.txt"
library userlib/libpagearena.map "$WORK/libpagearena.so"

on_record()
{
	[ -s "abi/$VERSION/uapi.txt" ] && [ -s "abi/$VERSION/libpagearena.abi" ]
}
passes "the ABI of $VERSION is on record" on_record
for dir in abi/*; do
	v=${dir##*/}
	passes "the calls of $v are kept" \
		kept "$v" selftests/abi/compare-uapi "$dir/uapi.txt" "$WORK/uapi.txt"
	passes "the library of $v is kept" \
		kept "$v" compare_library "$dir/libpagearena.abi" "$WORK/libpagearena.so"
done

# --- Would these tests notice? ---

# differs SED-SCRIPT: the changed header is refused; grows SED-SCRIPT: it is accepted.
changed()
{
	sed "$1" uapi/linux/pagearena.h >"$WORK/changed.h"
	! cmp -s uapi/linux/pagearena.h "$WORK/changed.h" || {
		echo "$1 does nothing"
		return 1
	}
	selftests/abi/dump-uapi "$WORK/changed.h" >"$WORK/changed.txt" || return
}

differs()
{
	changed "$1" || return
	! selftests/abi/compare-uapi "$WORK/uapi.txt" "$WORK/changed.txt"
}

grows()
{
	changed "$1" || return
	selftests/abi/compare-uapi "$WORK/uapi.txt" "$WORK/changed.txt"
}
passes "a number that changes is noticed" differs 's/\(PAGEARENA_IOC_FREE.*\)0x83/\10x93/'
passes "a flag that goes is noticed" differs '/^#define PAGEARENA_ALLOC_POPULATE/d'
passes "a field that moves is noticed" differs \
	'/^struct pagearena_free {/,/^};/ { /offset;/ { h; d }; /length;/ { G } }'
passes "a structure may grow" grows \
	'/^struct pagearena_free {/,/^};/ s/^};/\t__aligned_u64 more;\n};/'
passes "a constant may be added" grows 's/^#define PAGEARENA_FIT_BEST.*/&\n#define PAGEARENA_MORE 7/'

symbol_gone()
{
	grep -v pagearena_query userlib/libpagearena.map >"$WORK/map"
	library "$WORK/map" "$WORK/less.so" || return
	broken_library "$WORK/less.so"
}
passes "a function that goes is noticed" symbol_gone

# changed_library SED-SCRIPT FILE: the library from changed sources.
changed_library()
{
	rm -rf "$WORK/tree"
	mkdir "$WORK/tree"
	cp -r userlib uapi kmod "$WORK/tree/"
	sed -i "$1" "$WORK/tree/$2"
	! cmp -s "$2" "$WORK/tree/$2" || return
	(cd "$WORK/tree" && library userlib/libpagearena.map "$WORK/changed.so")
}

options_grow()
{
	changed_library 's/^\tuint64_t cache_bytes;/&\n\tuint64_t more;/' userlib/pagearena.h &&
		compare_library "abi/$VERSION/libpagearena.abi" "$WORK/changed.so"
}
inside_changes()
{
	changed_library 's/^struct pagearena {/&\n\tint more;/' userlib/internal.h &&
		compare_library "abi/$VERSION/libpagearena.abi" "$WORK/changed.so"
}
options_move()
{
	changed_library 's/^\tuint64_t span_page;/\tuint64_t more;\n&/' userlib/pagearena.h &&
		broken_library "$WORK/changed.so"
}
passes "its options may grow" options_grow
passes "what programs do not see may change" inside_changes
passes "an option that moves is noticed" options_move

echo "1..$N"
exit $BAD
