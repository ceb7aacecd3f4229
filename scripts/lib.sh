# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# What the scripts share: places, messages, progress, packages. Source it, do not run it.
#
# Everything that is said goes to stderr, so that a script's stdout is its result.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
LOGS=$BUILD/logs
CACHE=${PAGEARENA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pagearena}
mkdir -p "$LOGS" "$CACHE"

# Builds use two jobs at most: memory, and other people's work on a shared machine.
JOBS=$(nproc)
[ "$JOBS" -le 2 ] || JOBS=2

# Under "make" these would carry its options, and its jobs, into builds of other trees.
unset MAKEFLAGS MFLAGS MAKELEVEL

# Nothing here reads or writes translated text.
export LC_ALL=C

# Scripts that call each other count the time from the start of the first.
export PAGEARENA_T0=${PAGEARENA_T0:-$EPOCHSECONDS}

elapsed()
{
	echo $((EPOCHSECONDS - PAGEARENA_T0))
}

# say TEXT: one line with the time elapsed.
say()
{
	printf '[%4ds] %s\n' "$(elapsed)" "$*" >&2
}

die()
{
	printf '[%4ds] error: %s\n' "$(elapsed)" "$*" >&2
	exit 1
}

# short_path FILE: relative to the checkout where that is shorter.
short_path()
{
	echo "${1#"$ROOT"/}"
}

# fail_with_log WHAT LOG REPEAT: the end of the log, and how to repeat just this step.
fail_with_log()
{
	{
		printf '[%4ds] FAILED: %s; the last lines of %s:\n' "$(elapsed)" "$1" \
			"$(short_path "$2")"
		tail -n 20 "$2" 2>/dev/null | sed 's/^/    | /'
		printf '    to repeat just this step: %s\n' "$3"
	} >&2
}

# progress_start COMMAND [ARG...]: prints the command's one-line output now and then: every
# 3 seconds on a terminal (on one line), every 30 seconds elsewhere. progress_stop ends it.
PROGRESS_PID=

progress_start()
{
	(
		# Only the text of the last report matters, not how it was made.
		set +e
		if [ -t 2 ]; then
			pause=3
		else
			pause=30
		fi
		# Nothing ever comes through this pipe. A "sleep" would outlive this process,
		# and hold the locks and pipes that it has inherited.
		exec 3<> <(:)
		while ! read -r -t "$pause" -u 3; do
			if [ -t 2 ]; then
				printf '\r\033[K[%4ds]   %s' "$(elapsed)" "$("$@")" >&2
			else
				say "  $("$@")"
			fi
		done
	) >/dev/null 7>&- 8>&- 9>&- &
	PROGRESS_PID=$!
}

progress_stop()
{
	[ -n "$PROGRESS_PID" ] || return 0
	kill "$PROGRESS_PID" 2>/dev/null || true
	wait "$PROGRESS_PID" 2>/dev/null || true
	PROGRESS_PID=
	if [ -t 2 ]; then
		printf '\r\033[K' >&2
	fi
}

# run_logged WHAT LOG REPEAT COMMAND...: runs a step with its output in a log. On failure the
# end of the log is shown, and the command's status returned.
run_logged()
{
	local what=$1 log=$2 repeat=$3 status=0
	shift 3

	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 </dev/null || status=$?
	progress_stop
	if [ "$status" -ne 0 ]; then
		fail_with_log "$what" "$log" "$repeat"
	fi
	return "$status"
}

# --- Debian packages ---

# Packages by purpose.
# shellcheck disable=SC2034 # used by the scripts that source this file
{
	PKGS_BUILD=(build-essential libelf-dev xz-utils kmod)
	PKGS_VM=(qemu-system-x86 busybox-static cpio xz-utils kmod)
	PKGS_KERNEL=(build-essential bc bison flex libelf-dev libssl-dev xz-utils kmod perl)
	PKGS_LINT=(sparse shellcheck perl)
	PKGS_KERNEL_CLANG=(clang lld llvm)
	PKGS_CLANG=(clang libclang-rt-dev)
	PKGS_MODEL=(spin)
	PKGS_ARM64=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm)
	PKGS_INSTALL=(pkg-config openssl dkms)
	PKGS_DEB=(dpkg-dev debhelper dh-dkms g++ libjemalloc-dev python3-docutils)
	PKGS_BINDINGS=(g++ cargo rustc)
	PKGS_ABI=(abigail-tools)
	PKGS_ROOT=(mmdebstrap lintian)
	PKGS_DOCS=(python3 python3-docutils man-db)
	PKGS_MALLOC=(libjemalloc-dev python3)
}

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

have_package()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# apt_update: refreshes the package index, once per run of the outermost script.
apt_update()
{
	[ -z "${PAGEARENA_APT_UPDATED:-}" ] || return 0
	say "package index: apt-get update${1:+ ($1)}"
	run_logged "apt-get update" "$LOGS/apt-update.log" "apt-get update" \
		as_root apt-get -q -o DPkg::Lock::Timeout=300 update || return
	export PAGEARENA_APT_UPDATED=1
}

apt_knows()
{
	apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

# need_packages PURPOSE PACKAGE...: installs what is missing. A machine that has them all
# needs neither root nor network.
need_packages()
{
	local purpose=$1 missing=() p status=0
	shift

	for p in "$@"; do
		case " ${missing[*]} " in
		*" $p "*) ;;
		*) have_package "$p" || missing+=("$p") ;;
		esac
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || die "$purpose needs packages; as root:" \
			"apt-get install ${missing[*]}"
		say "packages for $purpose, with sudo: ${missing[*]}"
	else
		say "packages for $purpose: ${missing[*]}"
	fi
	for p in "${missing[@]}"; do
		if ! apt_knows "$p"; then
			apt_update "no $p in it" || exit 1
			break
		fi
	done
	apt_install "${missing[@]}" && return 0
	# An index that is out of date names files that are gone.
	if [ -z "${PAGEARENA_APT_UPDATED:-}" ]; then
		apt_update "the installation failed" || exit 1
		apt_install "${missing[@]}" && return 0
	fi
	fail_with_log "installation of packages" "$LOGS/apt-install.log" \
		"apt-get install ${missing[*]}"
	exit 1
}

apt_install()
{
	local status=0

	progress_start tail -c 100 "$LOGS/apt-install.progress"
	: >"$LOGS/apt-install.progress"
	{
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
			-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "$@" 2>&1 </dev/null |
			tee "$LOGS/apt-install.log" |
			while IFS= read -r line; do
				printf '%.70s\n' "$line" >"$LOGS/apt-install.progress"
			done
	} || status=$?
	progress_stop
	return "$status"
}
