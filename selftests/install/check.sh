#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Does "make install" put everything where it can be used, and "make uninstall" take all of it
# away? Does DKMS build the module, and say why where it does not? All of it below a scratch
# directory. Prints TAP.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

cd "$ROOT"
need_packages "the tests of the installation" "${PKGS_BUILD[@]}" "${PKGS_INSTALL[@]}" \
	"${PKGS_MALLOC[@]}" "${PKGS_DOCS[@]}"
KERNEL=$(scripts/kernel stock)
KDIR=$KERNEL/build
RELEASE=$(cat "$KERNEL/release")
VERSION=$(sed -n 's/^VERSION := //p' Makefile)

WORK=$(mktemp -d "${TMPDIR:-/tmp}/pagearena-install.XXXXXX")
# DKMS may have written there as root.
trap 'as_root rm -rf "$WORK"' EXIT
DEST=$WORK/dest

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

# passes NAME COMMAND...
passes()
{
	local name=$1 status=0
	shift

	# In the background a function ends with its first command that fails; bash would ignore
	# "set -e" to the left of ||.
	"$@" >"$WORK/out" 2>&1 </dev/null &
	wait $! || status=$?
	result "$name" $status < <(tail -n 30 "$WORK/out")
}

echo "TAP version 13"

# --- What says the version ---

says()
{
	[ "$2" = "$VERSION" ] || {
		echo "$1 says $2, the Makefile $VERSION"
		return 1
	}
}

versions_agree()
{
	says kmod/main.c "$(sed -n 's/^MODULE_VERSION("\(.*\)");/\1/p' kmod/main.c)"
	says CHANGELOG.md "$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)"
	says debian/changelog "$(sed -n '1s/.*(\(.*\)-[^-]*).*/\1/p' debian/changelog)"
	case $VERSION in
	"$(sed -n 's/^VERSION := //p' userlib/Makefile)".*) ;;
	*) echo "userlib/Makefile says something else" && return 1 ;;
	esac
}
passes "all say the same version" versions_agree

# Package-building compares the library with this list, and fails if a symbol is gone.
symbols_listed()
{
	sed -n 's/^\t\(pagearena_[a-z_]*\);/\1/p' userlib/libpagearena.map | sort >"$WORK/map"
	sed -n 's/^ \(pagearena_[a-z_]*\)@PAGEARENA_.*/\1/p' debian/libpagearena0.symbols |
		sort >"$WORK/symbols"
	diff "$WORK/map" "$WORK/symbols"
}
passes "the Debian symbols file has the library's symbols" symbols_listed

# --- make install ---

make_in()
{
	make -j"$JOBS" "$@" DESTDIR="$DEST" KDIR="$KDIR"
}

passes "make install modules_install" make_in install modules_install PREFIX=/usr

files_there()
{
	local f

	for f in usr/bin/pagearena usr/include/pagearena.h usr/include/pagearena.hpp \
		usr/include/linux/pagearena.h \
		usr/lib/libpagearena.a usr/lib/libpagearena.so usr/lib/libpagearena.so.0 \
		usr/lib/pkgconfig/libpagearena.pc usr/lib/udev/rules.d/60-pagearena.rules \
		usr/share/pagearena/tracing/calls.bt usr/lib/libpagearena-malloc.so \
		usr/share/man/man1/pagearena.1 usr/share/man/man3/pagearena_open.3 \
		usr/share/man/man4/pagearena.4 \
		usr/share/bash-completion/completions/pagearena; do
		[ -s "$DEST/$f" ] || {
			echo "no $f"
			return 1
		}
	done
	[ "$(readlink "$DEST/usr/lib/libpagearena.so")" = libpagearena.so.0 ]
}
passes "the files are where they belong" files_there

no_foreign_path()
{
	! grep -rIlF -e "$DEST" -e "$ROOT" "$DEST"
}
passes "no installed text names where it was built" no_foreign_path

loadable()
{
	cp "$KERNEL"/modules/modules.{order,builtin,builtin.modinfo} \
		"$DEST/lib/modules/$RELEASE/" 2>/dev/null || true
	/sbin/depmod -b "$DEST" "$RELEASE"
	/sbin/modprobe -d "$DEST" -S "$RELEASE" --show-depends pagearena |
		grep "updates/pagearena.ko"
	[ "$(/sbin/modinfo -b "$DEST" -k "$RELEASE" -F version pagearena)" = "$VERSION" ]
	rm -f "$DEST/lib/modules/$RELEASE"/modules.*
}
passes "modprobe finds the module" loadable

program_builds()
{
	local flags

	awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md >"$WORK/readme.c"
	export PKG_CONFIG_LIBDIR=$DEST/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DEST
	export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
	flags=$(pkg-config --cflags --libs libpagearena)
	echo "$flags"
	# shellcheck disable=SC2086 # several flags
	${CC:-cc} -Wall -Werror -o "$WORK/readme" "$WORK/readme.c" $flags
	readelf -d "$WORK/readme" | grep 'NEEDED.*libpagearena.so.0'
	# It begins to run, whether there is a device or not.
	status=0
	LD_LIBRARY_PATH=$DEST/usr/lib "$WORK/readme" || status=$?
	[ $status -le 1 ]
}
passes "a program finds the library with pkg-config" program_builds

again()
{
	make_in install modules_install PREFIX=/usr
	files_there
}
passes "it can be installed over what is there" again

# --- make sign ---

signs()
{
	openssl req -new -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=pagearena test/" \
		-outform DER -keyout "$WORK/key.pem" -out "$WORK/cert.der" 2>/dev/null
	make sign KDIR="$KDIR" KEY="$WORK/key.pem" CERT="$WORK/cert.der"
	[ "$(/sbin/modinfo -F signer "build/kmod-$RELEASE/pagearena.ko")" = "pagearena test" ]
	# What is installed is what was signed.
	make_in modules_install
	[ "$(/sbin/modinfo -F signer "$DEST/lib/modules/$RELEASE"/updates/pagearena.ko*)" = \
		"pagearena test" ]
	# Nothing signed with a key that is gone stays in build/.
	rm "build/kmod-$RELEASE/pagearena.ko"
}
passes "make sign signs what make modules_install installs" signs

no_key()
{
	! make sign KDIR="$KDIR" KEY=/nowhere CERT=/nowhere
}
passes "make sign without a key fails" no_key

# --- make uninstall ---

nothing_left()
{
	make_in uninstall PREFIX=/usr
	find "$DEST" ! -type d -o -name '*pagearena*' >"$WORK/left"
	cat "$WORK/left"
	! [ -s "$WORK/left" ]
}
passes "make uninstall leaves nothing" nothing_left

only_ours()
{
	mkdir -p "$DEST/usr/bin" "$DEST/usr/lib/pkgconfig"
	touch "$DEST/usr/bin/other" "$DEST/usr/lib/pkgconfig/other.pc"
	make_in install PREFIX=/usr LIBDIR=/usr/lib/somewhere UDEVDIR=/lib/udev/rules.d
	[ -s "$DEST/usr/lib/somewhere/libpagearena.so.0" ]
	[ -s "$DEST/lib/udev/rules.d/60-pagearena.rules" ]
	make_in uninstall PREFIX=/usr LIBDIR=/usr/lib/somewhere UDEVDIR=/lib/udev/rules.d
	(cd "$DEST" && find . ! -type d | sort) | tee "$WORK/left"
	[ "$(tr '\n' ' ' <"$WORK/left")" = "./usr/bin/other ./usr/lib/pkgconfig/other.pc " ]
}
passes "other places work too, and what is others' stays" only_ours

# --- DKMS ---

SRC=$WORK/src/pagearena-$VERSION
DKMS=(--dkmstree "$WORK/tree" --sourcetree "$WORK/src" --installtree "$WORK/modules")
mkdir -p "$WORK/tree" "$WORK/modules"

run_dkms()
{
	as_root dkms "$1" "${DKMS[@]}" "${@:2}"
}

dkms_builds()
{
	scripts/dkms-source "$VERSION" "$SRC"
	run_dkms add "pagearena/$VERSION"
	run_dkms build -j "$JOBS" -k "$RELEASE" --kernelsourcedir "$KDIR" "pagearena/$VERSION"
	run_dkms status | grep "^pagearena/$VERSION, $RELEASE, .*: built"
	ls "$WORK/tree/pagearena/$VERSION/$RELEASE"/*/module/pagearena.ko*
}
passes "DKMS builds the module" dkms_builds

# skipped RELEASE WORDS: DKMS does not build, and these are among what it says.
skipped()
{
	local status=0

	run_dkms build -k "$1" --kernelsourcedir "$WORK/fake" "pagearena/$VERSION" \
		>"$WORK/said" 2>&1 || status=$?
	cat "$WORK/said"
	# 77 is what makes the packages' scripts go on.
	[ $status -eq 77 ]
	[ "$(grep -cF "not built for $1: $2" "$WORK/said")" -eq 1 ]
}
mkdir -p "$WORK/fake"
sed '/^CONFIG_64BIT=/d' "$KDIR/.config" >"$WORK/fake/.config"
passes "DKMS skips a kernel that is too old, and says so" \
	skipped 5.10.0-1-test "it needs Linux 6.1 or later"
passes "DKMS skips a kernel without what it needs, and says so" \
	skipped "$RELEASE-test" "it needs a kernel with CONFIG_64BIT"

# The reasons are read from headers; this is one with a newest kernel.
reasons()
{
	local compat=$WORK/compat.h

	printf '#if LINUX_VERSION_CODE >= KERNEL_VERSION(9, 2, 0)\n#error "no"\n#endif\n' >"$compat"
	printf '#ifndef CONFIG_FOO\n#define X 1\n#endif\n' >>"$compat"
	[ "$(packaging/dkms-skip 9.1.300-x "$WORK/fake" "$compat")" = "" ]
	packaging/dkms-skip 9.2-rc1 "$WORK/fake" "$compat" | grep "not ready for Linux 9.2"
	packaging/dkms-skip 10.0.1 "$WORK/fake" "$compat" | grep "not ready for Linux 9.2"
	{
		printf '#define PA_FIRST KERNEL_VERSION(6, 3, 2)\n#define PA_END\tKERNEL_VERSION(7, 0, 0)\n'
		printf '#if LINUX_VERSION_CODE < PA_FIRST\n#error "old"\n'
		printf '#elif LINUX_VERSION_CODE >= PA_END\n#error "new"\n#endif\n'
	} >"$compat.named"
	packaging/dkms-skip 6.3.1 "$WORK/fake" "$compat.named" | grep "Linux 6.3.2 or later"
	[ "$(packaging/dkms-skip 6.9.1 "$WORK/fake" "$compat.named" "$compat")" = "" ]
	packaging/dkms-skip 7.0.1 "$WORK/fake" "$compat" "$compat.named" |
		grep "not ready for Linux 7.0"
	[ "$(packaging/dkms-skip "" "" "$compat")" = "" ]
	[ "$(packaging/dkms-skip 6.1.0 /nowhere)" = "" ]
	packaging/dkms-skip 6.0.19 /nowhere | grep "Linux 6.1 or later"
}
passes "the reasons are those of kernels.h and compat.h" reasons

dkms_leaves_nothing()
{
	run_dkms remove "pagearena/$VERSION" --all
	find "$WORK/tree" "$WORK/modules" -name '*pagearena*' >"$WORK/left"
	cat "$WORK/left"
	! [ -s "$WORK/left" ]
}
passes "DKMS removes it again" dkms_leaves_nothing

echo "1..$N"
exit $BAD
