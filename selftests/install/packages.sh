#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Builds the Debian packages, asks lintian about them, and installs, uses and removes them in a
# fresh Debian in a virtual machine, where DKMS builds the module: most of the time goes there, as a
# compiler under emulation takes minutes. Prints TAP.
#
#   packages.sh [--root]
#
# --root only makes the root file system, which the cache keeps, and says where it is.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

cd "$ROOT"
need_packages "the tests of the packages" "${PKGS_BUILD[@]}" "${PKGS_DEB[@]}" "${PKGS_ROOT[@]}" \
	"${PKGS_VM[@]}"
KERNEL=$(scripts/kernel stock)
RELEASE=$(cat "$KERNEL/release")
# shellcheck disable=SC1091 # the system's
SUITE=$(. /etc/os-release && echo "$VERSION_CODENAME")
WORK=$(mktemp -d "${TMPDIR:-/tmp}/pagearena-packages.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

# What a machine has on which somebody installs the packages, and what the test needs there.
# The kernel's headers bring gcc and the kernel.
ROOT_PKGS=(dkms make "linux-headers-$RELEASE" systemd udev kmod adduser libc6-dev pkg-config crun
	tiny-initramfs bpftrace linux-perf)

# The root file system as a tarball, which the cache keeps.
root_tar()
{
	local key tar

	# Raise "recipe" when that which follows changes.
	key=$(printf '%s\n' recipe=1 "$SUITE" "${ROOT_PKGS[@]}" | sha256sum | cut -c 1-12)
	tar=$CACHE/roots/$SUITE-$key.tar
	if [ ! -f "$tar" ]; then
		mkdir -p "$CACHE/roots"
		say "Debian $SUITE with what DKMS needs: download, install (minutes, once)"
		# No documentation but for the packages that are to be tested.
		run_logged "root file system" "$LOGS/root.log" "make check-install" as_root \
			mmdebstrap --variant=minbase --include="$(IFS=,; echo "${ROOT_PKGS[*]}")" \
			--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
			--dpkgopt='path-exclude=/usr/share/locale/*' \
			--dpkgopt='path-exclude=/usr/bin/*lto-dump*' \
			--dpkgopt='path-exclude=/usr/lib/gcc/*/*/lto1' \
			--customize-hook='rm -f "$1"/boot/* "$1"/etc/dpkg/dpkg.cfg.d/*' \
			"$SUITE" "$WORK/root.tar" || return
		mv "$WORK/root.tar" "$tar"
	fi
	echo "$tar"
}

if [ "${1:-}" = --root ]; then
	root_tar
	exit
fi

echo "TAP version 13"
status=0
scripts/deb --lintian >"$WORK/deb.out" 2>&1 || status=$?
[ $status -eq 0 ] || printf 'not '
echo "ok 1 the packages are built, and lintian has nothing to say"
sed 's/^/# /' "$WORK/deb.out"
ls build/deb/*.deb >/dev/null 2>&1 || {
	echo "Bail out! no packages"
	exit 1
}

tar=$(root_tar)
mkdir "$WORK/debs"
for f in build/deb/*.deb; do
	case $f in *-dbgsym_*) ;; *) cp "$f" "$WORK/debs/" ;; esac
done
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md >"$WORK/readme.c"

say "virtual machine: Debian $SUITE, install, use, remove"
guest=0
scripts/vm --kernel "$KERNEL" --module virtio_blk --module virtio_pci --disk "$tar" --memory 4G \
	--timeout "${PAGEARENA_VM_SECONDS:-3600}" --log "$LOGS/packages-kernel.log" \
	--add "$WORK/debs:/debs" --add "$WORK/readme.c:/readme.c" \
	--add "selftests/install/guest-packages.sh:/guest-packages.sh" \
	selftests/install/guest-root.sh >"$WORK/guest.out" || guest=$?
# The guest counts from 2.
grep -v '^1\.\.' "$WORK/guest.out" || true
n=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$WORK/guest.out" | tail -n 1)
echo "1..${n:-2}"
[ "$guest" -eq 0 ] || echo "# the guest ended with status $guest"
[ $status -eq 0 ] && [ "$guest" -eq 0 ]
