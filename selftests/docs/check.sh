#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Do the documents agree with the tree? Prints TAP.
#
#   check.sh [PROGRAM]
#
# PROGRAM: where to put the README's example, linked statically; run it where the device is.

set -euo pipefail
export LC_ALL=C

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/pagearena-docs.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
PROGRAM=${1:-$WORK/example}

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

# none NAME COMMAND...: passes if the command, which looks for what is missing, prints nothing.
none()
{
	local name=$1 status=0
	shift

	"$@" >"$WORK/missing" 2>&1 || status=$?
	[ ! -s "$WORK/missing" ] || status=1
	result "$name" $status <"$WORK/missing"
}

echo "TAP version 13"

# compile SOURCE PROGRAM [ARGUMENT...]
compile()
{
	local source=$1 program=$2
	shift 2

	[ -s "$source" ] || {
		echo "no example found"
		return 1
	}
	${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror -DPAGEARENA_KERNEL_ONLY -Iuserlib -Iuapi -static \
		-o "$program" "$source" "$@"
}

# The block between ```c and ``` in the README.
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md >"$WORK/readme.c"
status=0
out=$(compile "$WORK/readme.c" "$PROGRAM" userlib/libpagearena.c userlib/cache.c 2>&1) || status=$?
result "the README's example compiles" $status <<<"$out"

# The indented block with main() in the chapter "Example".
awk '/^Example$/ { on = 1 } /^Limits$/ { on = 0 }
	on && /^\t/ { sub(/^\t/, ""); print } on && /^$/' Documentation/user-api.rst >"$WORK/user-api.c"
status=0
out=$(compile "$WORK/user-api.c" "$WORK/user-api" 2>&1) || status=$?
result "the example of user-api.rst compiles" $status <<<"$out"

# Every call, flag and field of the header is in user-api.rst, but for the fields of STATS,
# which it leaves to the header. Names that share a prefix are abbreviated there.
missing_names()
{
	local name

	for name in $(sed -n 's/^#define PAGEARENA_IOC_\([A-Z]*\)\t_IO(.*/\1/p' \
		uapi/linux/pagearena.h); do
		grep -q "\<$name\>" Documentation/user-api.rst || echo "$name"
	done
	for name in $(sed -n '/_IOC_/d; s/^#define PAGEARENA_[A-Z]*\(_[A-Z_]*\)[\t ].*/\1/p' \
		uapi/linux/pagearena.h); do
		case $name in _VERSION | _NR) continue ;; esac
		grep -q "[A-Z\`]$name\`\`" Documentation/user-api.rst || echo "$name"
	done
	for name in $(awk '/^struct pagearena_/ { on = $2 != "pagearena_stats" } /^};/ { on = 0 }
		on && $1 ~ /^__[us]|^__al/ { gsub(/[;[].*/, "", $2); print $2 }' \
		uapi/linux/pagearena.h | sort -u | grep -v '^__'); do
		grep -q "\`\`$name\`\`" Documentation/user-api.rst || echo "$name"
	done
}
none "user-api.rst has every call, flag and field" missing_names

# The README shows the rows of the table of kernels as they were recorded.
matrix()
{
	diff <(awk '/^$/ { exit } !/^#/' Documentation/figures/matrix.txt) <(awk '
		on && /^```$/ { if (inside) exit; inside = 1; next }
		inside { print }
		/^<!-- Documentation\/figures\/matrix.txt -->$/ { on = 1 }' README.md)
}
none "the README's table of kernels is the one recorded" matrix

# tracing.rst has each tracepoint of trace.h with its fields, in their order, and no other.
tracepoints_of_header()
{
	awk '
	/^TRACE_EVENT\(/ { sub(/.*\(/, ""); sub(/,.*/, ""); event = $0; fields = "" }
	/__field\(/ { sub(/.*, */, ""); sub(/\).*/, ""); fields = fields " " $0 }
	/^\);/ && event { print event fields; event = "" }' kmod/trace.h | sort
}

tracepoints_of_document()
{
	sed -n 's/^\(``pagearena_[a-z_]*``\): \(``.*\)$/\1 \2/p' Documentation/tracing.rst |
		tr -d '`,' | sort
}

wrong_tracepoints()
{
	tracepoints_of_header >"$WORK/header"
	tracepoints_of_document >"$WORK/document"
	[ -s "$WORK/header" ] || echo "no tracepoints found"
	diff "$WORK/header" "$WORK/document"
}
none "tracing.rst has every tracepoint and its fields" wrong_tracepoints

missing_scripts()
{
	local f

	for f in tools/tracing/*; do
		grep -q "^\`\`${f##*/}\`\` " Documentation/tracing.rst || echo "$f"
	done
}
none "tracing.rst has every script" missing_scripts

# The FAQ names a test behind each answer: "[``program``: name]".
missing_tests()
{
	local program name

	grep -o '\[``[a-z]*``: [^]]*\]' Documentation/faq.rst | tr -d '[]`' >"$WORK/tests"
	[ -s "$WORK/tests" ] || echo "no tests named"
	while IFS= read -r line; do
		program=${line%%: *}
		name=${line#*: }
		grep -qF "{ \"$name\"," "selftests/device/$program.c" || echo "$line"
	done <"$WORK/tests"
	# Some answers need none.
	awk '/^====/ { if (q && !tested && q !~ /malloc/) print "no test: " q; q = last; tested = 0 }
		/^\[``/ { tested = 1 } { last = $0 }' Documentation/faq.rst | grep -v Questions || true
}
none "the tests that the FAQ names exist, and each answer has one" missing_tests

wrong_badges()
{
	local f

	mkdir "$WORK/badges"
	scripts/badges "$WORK/badges"
	for f in "$WORK"/badges/*; do
		cmp -s "$f" "Documentation/figures/${f##*/}" ||
			echo "${f##*/} says something else than the tree: run scripts/badges"
	done
}
none "the badges are true" wrong_badges

missing_paths()
{
	local path

	grep -ohE '`[^` ]+`' ./*.md Documentation/*.rst |
		tr -d '`' >"$WORK/quoted"
	for path in $(grep -E '^(kmod|uapi|userlib|tools|selftests|scripts|Documentation|LICENSES)/' \
		"$WORK/quoted" | sort -u); do
		[ -e "$path" ] || echo "$path"
	done
}
none "paths that the documents name exist" missing_paths

missing_targets()
{
	local target

	for target in $(grep -ohE '(^ +|`|^	)make [a-z][a-z0-9-]*' ./*.md \
		Documentation/*.rst | sed 's/.*make //' | sort -u); do
		make -n "$target" >/dev/null 2>&1 || echo "make $target"
	done
}
none "targets of make that the documents name exist" missing_targets

broken_links()
{
	local path

	for path in $(grep -ohE '\]\([^)#:]*\)|^\[[^]]*\]: [^ :]*$' ./*.md |
		sed 's/^](\(.*\))/\1/; s/.*: //'); do
		[ -e "$path" ] || echo "$path"
	done
}
none "links lead somewhere" broken_links

# security.rst: functions and tests that it names. A test is "program/its name".
missing_in_review()
{
	local name

	tr '\n' ' ' <Documentation/security.rst | grep -oE '``[^`]+``' | tr -d '`' |
		sed 's/[\t ]\+/ /g' | sort -u >"$WORK/named"
	for name in $(sed -n 's/^\(\(pa\|span\|caps\)_[a-z_]*\)()$/\1/p' "$WORK/named"); do
		grep -qE "^[a-z].*[ *]$name\(|^$name\(|PA_LRU_WALK\($name\)" kmod/*.[ch] ||
			echo "$name()"
	done
	[ "$(grep -c '()$' "$WORK/named")" -ge 30 ] || echo "functions"
	grep -E '^[a-z0-9]+/[^/]+$' "$WORK/named" | grep -v '^kmod/\|^udev/' >"$WORK/tests" || true
	while IFS=/ read -r program name; do
		grep -qF "\"$name\"" "selftests/device/$program.c" || echo "$program/$name"
	done <"$WORK/tests"
	[ "$(wc -l <"$WORK/tests")" -ge 30 ] || echo "tests"
}
none "functions and tests that security.rst names exist" missing_in_review

# --- The command: its code, its help, its manual pages and its completion agree ---

status=0
out=$(make -s -C tools O="$WORK/tools" 2>&1) || status=$?
result "the command compiles" $status <<<"$out"
tool=$WORK/tools/pagearena
mapfile -t commands < <("$tool" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p')

# help_options COMMAND
help_options()
{
	{
		"$tool" "$1" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p'
		echo help
	} | sort -u
}

# Those that the code takes.
code_options()
{
	{
		sed -n 's/^\t*{ "\([a-z-]*\)", [a-z]*_argument, .*/\1/p' "tools/$1.c"
		! grep -q '^	*OPTION_HELP,' "tools/$1.c" || echo help
		! grep -q '^	*OPTION_FD,' "tools/$1.c" || echo fd
	} | sort -u
}

no_help()
{
	local c

	[ ${#commands[@]} -ge 10 ] || echo "only ${#commands[@]} commands"
	for c in "${commands[@]}"; do
		[ -f "tools/$c.c" ] || echo "no tools/$c.c"
		diff <(code_options "$c") <(help_options "$c") | sed -n "s/^[<>]/$c:/p"
	done
	for c in tools/*.c; do
		c=$(sed -n 's/^const struct command cmd_\([a-z]*\) .*/\1/p' "$c")
		[ -z "$c" ] || [[ " ${commands[*]} " == *" $c "* ]] || echo "$c is not in the help"
	done
}
none "every command's help has the options that it takes, and no others" no_help

status=0
out=$(scripts/man "$WORK/man" "$tool" 2>&1) || status=$?
result "the manual pages are made" $status <<<"$out"

no_page()
{
	local c f

	for c in "${commands[@]}"; do
		f=$WORK/man/man1/pagearena-$c.1
		[ -f "$f" ] || {
			echo "no $f"
			continue
		}
		diff <(help_options "$c") <(sed -n 's/^\(\.BI\? \)\?\\fB\\-\\-\([a-z\\-]*\)\\fP.*/\2/p' "$f" | tr -d '\\' | sort -u) |
			sed -n "s/^[<>]/$c:/p"
	done
	for c in $(sed -n 's/^\t\(pagearena_[a-z_]*\);/\1/p' userlib/libpagearena.map); do
		[ -f "$WORK/man/man3/$c.3" ] || echo "no page of $c"
	done
	for c in $(sed -n 's/^#define \(PAGEARENA_IOC_[A-Z]*\)\t_IO(.*/\1/p' uapi/linux/pagearena.h); do
		grep -qF "${c//_/_}" "$WORK/man/man4/pagearena.4" || echo "$c is not in pagearena(4)"
	done
}
none "every command, function and call has its page, with the options of the help" no_page

bad_pages()
{
	local f

	for f in "$WORK"/man/man?/*; do
		MANWIDTH=80 man --warnings -E UTF-8 -l "$f" 2>"$WORK/man.err" >/dev/null
		cat "$WORK/man.err"
	done
}
if command -v man >/dev/null; then
	none "man has nothing to complain of in the pages" bad_pages
fi

# shellcheck disable=SC2034 # COMP_WORDS and COMP_CWORD are for the completion
incomplete()
{
	local c

	# shellcheck source=/dev/null
	source tools/completion/pagearena
	COMP_WORDS=("$tool" "")
	COMP_CWORD=1
	_pagearena
	diff <(printf '%s\n' "${commands[@]}" --help --version | sort) \
		<(printf '%s\n' "${COMPREPLY[@]}" | sort)
	for c in "${commands[@]}"; do
		COMP_WORDS=("$tool" "$c" --)
		COMP_CWORD=2
		_pagearena
		diff <(help_options "$c" | sed 's/^/--/') <(printf '%s\n' "${COMPREPLY[@]}" | sort) |
			sed -n "s/^[<>]/$c:/p"
	done
}
none "the completion offers what the help has" incomplete

echo "1..$N"
exit $BAD
