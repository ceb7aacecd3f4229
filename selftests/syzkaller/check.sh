#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Does the description of the ABI for syzkaller agree with the header? Prints TAP.
#
#   check.sh             compare
#   check.sh --update    write pagearena.txt.const anew from the header
#
# Compared are every call's number, every structure's size, the place and size of every field, the
# values of the constants, and whether anything of the header is missing.

set -euo pipefail
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
UAPI=$HERE/../../uapi
HEADER=$UAPI/linux/pagearena.h
TEXT=$HERE/pagearena.txt
CONST=$TEXT.const
WORK=$(mktemp -d "${TMPDIR:-/tmp}/pagearena-syz.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

compile()
{
	${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -I"$UAPI" "$@"
}

head_of_c()
{
	echo '#include <fcntl.h>'
	echo '#include <stddef.h>'
	echo '#include <stdio.h>'
	echo '#include <sys/mman.h>'
	echo '#include <linux/pagearena.h>'
}

# names: every constant that the description uses.
names()
{
	sed 's/#.*//' "$TEXT" | grep -oE '\<([A-Z]+_[A-Z_]*[A-Z])\>' | sort -u
}

# The file that syz-extract would make. The numbers of the calls are not the same on all machines,
# so it is for those only that the module is for.
make_const()
{
	{
		head_of_c
		echo 'int main(void) {'
		echo 'puts("# Made by check.sh --update from the header.");'
		echo 'puts("# SPDX-License-Identifier: GPL-2.0-only OR MIT");'
		echo 'puts("arches = 386, amd64, arm64");'
		names | sed 's/.*/printf("& = %llu\\n", (unsigned long long)(&));/'
		echo 'return 0; }'
	} >"$WORK/const.c"
	# AT_FDCWD is negative; syzkaller wants it as 64 bits.
	compile -o "$WORK/const" "$WORK/const.c" && "$WORK/const"
}

if [ "${1:-}" = --update ]; then
	make_const >"$WORK/new"
	mv "$WORK/new" "$CONST"
	exit 0
fi

N=0
BAD=0

# result NAME STATUS: what is on stdin explains a failure.
result()
{
	N=$((N + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $N $1"
		cat >/dev/null
	else
		echo "not ok $N $1"
		sed 's/^/# /'
		BAD=1
	fi
}

# compare NAME COMMAND...: passes if the command succeeds, and shows what it prints if not.
compare()
{
	local name=$1 status=0
	shift

	"$@" >"$WORK/out" 2>&1 || status=$?
	result "$name" $status <"$WORK/out"
}

echo "TAP version 13"

# layout [-v EDIT=...]: C that asserts what the description says of each structure. Types are of
# the kind "int32", "const[0, int64]", "ptr64[...]", "array[int64, 16]", or the name of another.
layout()
{
	head_of_c
	awk '
	function bytes(type,	parts, n) {
		sub(/\(.*\)$/, "", type)
		gsub(/[ \t]+$/, "", type)
		if (type in size)
			return size[type]
		if (type ~ /^ptr64\[/)
			return 8
		if (type ~ /^array\[.*, [0-9]+\]$/) {
			n = type
			sub(/.*, /, "", n)
			sub(/\]$/, "", n)
			sub(/^array\[/, "", type)
			sub(/, [0-9]+\]$/, "", type)
			return n * bytes(type)
		}
		if (match(type, /int(8|16|32|64)(\[[0-9:]+\])?\]?$/)) {
			n = substr(type, RSTART + 3)
			sub(/[^0-9].*/, "", n)
			return n / 8
		}
		print "#error \"cannot tell the size of " type "\""
		return 0
	}
	/^resource / {
		name = $2
		kind = $2
		sub(/\[.*/, "", name)
		sub(/^[^[]*\[/, "", kind)
		sub(/\].*/, "", kind)
		if (kind ~ /^int/)
			size[name] = bytes(kind)
	}
	/^pagearena_[a-z_]* \{$/ {
		# What is to be 0 on its way in is the same structure.
		name = $1
		real = name == "pagearena_no_span" ? "pagearena_span" : name
		at = 0
		widest = 1
		next
	}
	name && /^\}/ {
		printf "_Static_assert(sizeof(struct %s) == %d, \"size of %s\");\n", real, at, name
		size[name] = at
		name = ""
	}
	name && /^\t/ {
		field = $1
		type = $0
		sub(/^\t[^ \t]+[ \t]+/, "", type)
		width = bytes(type)
		printf "_Static_assert(offsetof(struct %s, %s) == %d, \"place of %s.%s\");\n",
		       real, field, at, name, field
		printf "_Static_assert(sizeof(((struct %s *)0)->%s) == %d, \"size of %s.%s\");\n",
		       real, field, width, name, field
		at += width
	}' "$TEXT"
}

check_layout()
{
	layout >"$WORK/layout.c"
	[ "$(grep -c 'size of pagearena_[a-z_]*"' "$WORK/layout.c")" -ge 10 ] || {
		echo "no structures found"
		return 1
	}
	compile -fsyntax-only "$WORK/layout.c"
}
compare "structures have the header's layout" check_layout

check_const()
{
	make_const >"$WORK/const.txt" && diff -u "$CONST" "$WORK/const.txt"
}
compare "constants have the header's values" check_const

# What the header defines is in the description: calls, flags and values that go in, structures,
# and fields, in their order.
check_whole()
{
	local name bad=0

	names >"$WORK/names"
	for name in $(sed -n 's/^#define \(PAGEARENA_[A-Z_]*\)[\t ].*/\1/p' "$HEADER"); do
		case $name in
		# What only comes out, bounds, and the version.
		*_VERSION | *_NR | *_MAX | *_IOC_TYPE | PAGEARENA_FEATURE_* | PAGEARENA_ALLOCED_* | \
			PAGEARENA_SPAN_* | PAGEARENA_PRESSURE_* | PAGEARENA_PROMOTE_[ABDELNPS]*)
			continue
			;;
		esac
		grep -qx "$name" "$WORK/names" || {
			echo "$name"
			bad=1
		}
	done
	awk '/^struct pagearena_/ { on = 1; print $2 } /^};/ { on = 0 }
		on && /;/ { sub(/[;[].*/, "", $NF); print "\t" $NF }' "$HEADER" >"$WORK/theirs"
	awk '/^pagearena_[a-z_]* \{$/ { on = $1 != "pagearena_no_span"; if (on) print $1 }
		/^\}/ { on = 0 } on && /^\t/ { print "\t" $1 }' "$TEXT" >"$WORK/ours"
	by_struct "$WORK/theirs" >"$WORK/theirs.1"
	by_struct "$WORK/ours" >"$WORK/ours.1"
	diff -u "$WORK/theirs.1" "$WORK/ours.1" || bad=1
	for name in $(sed -n 's/^#define \(PAGEARENA_IOC_[A-Z]*\)\t_IO(.*/\1/p' "$HEADER"); do
		grep -q "^ioctl[$]$name(fd fd_pagearena, cmd const\[$name\]," "$TEXT" || {
			echo "no call $name"
			bad=1
		}
	done
	return $bad
}

# by_struct FILE: one line for each structure, sorted.
by_struct()
{
	awk '/^[^\t]/ { if (line) print line; line = $1 ":" } /^\t/ { line = line " " $1 }
		END { print line }' "$1" | sort
}
compare "nothing of the header is missing" check_whole

# A check that cannot fail is none: with one thing wrong, each of them must find it.
check_check()
{
	local bad=0

	sed 's/^\tlimit_soft\t\tint32/\tlimit_soft\t\tint64/' "$TEXT" >"$WORK/wrong.txt"
	! (TEXT=$WORK/wrong.txt && check_layout) >/dev/null 2>&1 || {
		echo "a field of another size is not found"
		bad=1
	}
	sed 's/^\(PAGEARENA_IOC_QUERY = .*\)/\10/' "$CONST" >"$WORK/wrong.const"
	! (CONST=$WORK/wrong.const && check_const) >/dev/null 2>&1 || {
		echo "another number is not found"
		bad=1
	}
	sed '/^ioctl\$PAGEARENA_IOC_BATCH/d' "$TEXT" >"$WORK/wrong.txt"
	! (TEXT=$WORK/wrong.txt && check_whole) >/dev/null 2>&1 || {
		echo "a missing call is not found"
		bad=1
	}
	return $bad
}
compare "an error would be found" check_check

echo "1..$N"
exit $BAD
