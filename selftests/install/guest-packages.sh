#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# In a fresh Debian in the virtual machine, as root: installs the packages in /packages, uses
# what they bring as an administrator and as a user would, and removes them. Prints TAP.

set -euo pipefail
cd /packages
WORK=/tmp/work
mkdir -p "$WORK"
RELEASE=$(uname -r)
N=1
BAD=0

# A test that fails may leave the module unloaded, and the next ones would say nothing.
ready()
{
	[ -c /dev/pagearena ] || {
		modprobe pagearena
		udevadm settle
	}
}

# passes NAME COMMAND...
passes()
{
	local name=$1 status=0
	shift

	# In the background a function ends with its first command that fails.
	"$@" >"$WORK/out" 2>&1 </dev/null &
	wait $! || status=$?
	N=$((N + 1))
	if [ $status -eq 0 ]; then
		echo "ok $N $name"
	else
		echo "not ok $N $name"
		tail -n 30 "$WORK/out" | sed 's/^/# /'
		BAD=1
	fi
}

# Everything that bears the name, but for what dpkg and apt keep to themselves.
ours()
{
	find / -xdev \( -path /packages -o -path /proc -o -path /sys -o -path /var/lib/dpkg \
		-o -path /var/log -o -path /tmp -o -path /dev \) -prune -o -iname '*pagearena*' \
		-print | sort
}

fresh()
{
	[ "$(ours)" = "" ]
	! getent group pagearena
}
passes "nothing of it is there before" fresh

installs()
{
	dpkg -i ./*.deb
	for p in pagearena-dkms libpagearena0 libpagearena-dev pagearena-tools; do
		dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$p" | grep '^installed '
	done
}
passes "the packages are installed" installs

built()
{
	dkms status
	dkms status | grep "^pagearena/.*, $RELEASE, .*: installed"
	modinfo -F version pagearena
}
passes "DKMS has built the module for this kernel" built

# --- udev, group, loading ---

device()
{
	/lib/systemd/systemd-udevd --daemon
	modprobe pagearena
	udevadm settle
	stat -c '%a %U:%G' /dev/pagearena
	[ "$(stat -c '%a %U:%G' /dev/pagearena)" = "660 root:pagearena" ]
}
passes "the device belongs to the group" device

useradd -m -G pagearena member
useradd -m stranger

as()
{
	setpriv --reuid "$1" --regid "$1" --init-groups "${@:2}"
}

member_may()
{
	as member pagearena info
}
passes "who is in the group may use it" member_may

stranger_may_not()
{
	! as stranger pagearena info
	! as stranger cat /sys/kernel/debug/pagearena/1/spans
}
passes "nobody else may" stranger_may_not

program()
{
	# shellcheck disable=SC2046 # several flags
	gcc -Wall -Werror -o "$WORK/readme" readme.c $(pkg-config --cflags --libs libpagearena)
	chmod 755 "$WORK" "$WORK/readme"
	as member "$WORK/readme" | tee "$WORK/said"
	grep '^8388608 bytes went back' "$WORK/said"
}
passes "the README's program is compiled and runs" program

examples()
{
	local c

	for c in /usr/share/doc/libpagearena-dev/examples/*.c*; do
		case $c in *.gz) gzip -dc "$c" >"$WORK/e.c" ;; *) cp "$c" "$WORK/e.c" ;; esac
		# shellcheck disable=SC2046 # several flags
		gcc -O2 -pthread -I/usr/share/doc/libpagearena-dev/examples -o "$WORK/e" "$WORK/e.c" \
			$(pkg-config --cflags --libs libpagearena)
		chmod 755 "$WORK/e"
		as member "$WORK/e"
	done
}
passes "the examples are compiled and run" examples

# dpkg -L, and not man, which would be half of another system.
manuals()
{
	local page

	for page in pagearena-tools:man1/pagearena.1 pagearena-tools:man7/libpagearena-malloc.7 \
		libpagearena-dev:man3/pagearena_open.3 pagearena-dkms:man4/pagearena.4; do
		echo "$page"
		dpkg -L "${page%%:*}" | grep -x "/usr/share/man/${page#*:}.gz"
		gzip -dc "/usr/share/man/${page#*:}.gz" | grep '^\.TH'
	done
}
passes "manual pages are where they belong" manuals

loads_by_example()
{
	rmmod pagearena
	mkdir -p /etc/modules-load.d
	cp /usr/share/doc/pagearena-dkms/examples/modules-load.conf \
		/etc/modules-load.d/pagearena.conf
	# What an administrator does: every # off.
	sed 's/^#options/options/' /usr/share/doc/pagearena-dkms/examples/modprobe.conf \
		>/etc/modprobe.d/pagearena.conf
	/lib/systemd/systemd-modules-load
	udevadm settle
	[ -c /dev/pagearena ]
	# Each parameter that the example sets has that value.
	grep -o '[a-z_]*=[0-9]*' /etc/modprobe.d/pagearena.conf >"$WORK/options"
	[ -s "$WORK/options" ]
	while IFS='=' read -r name value; do
		echo "$name $value $(cat "/sys/module/pagearena/parameters/$name")"
		[ "$(cat "/sys/module/pagearena/parameters/$name")" = "$value" ]
	done <"$WORK/options"
	rm /etc/modules-load.d/pagearena.conf /etc/modprobe.d/pagearena.conf
	rmmod pagearena
	modprobe pagearena
	udevadm settle
}
passes "the examples for modules-load.d and modprobe.d work" loads_by_example

# --- Tracing ---

# workload: does a little of everything.
workload()
{
	ready
	cat >"$WORK/busy.c" <<'END'
#include <pagearena.h>
#include <string.h>
#include <time.h>

int main(void)
{
	struct pagearena_options opts = { .size = sizeof(opts), .arena_bytes = 64 << 20,
					  .huge = PAGEARENA_HUGE_NEVER, .limit = 32 << 20,
					  .cache_bytes = PAGEARENA_NO_CACHE };
	struct timespec second = { .tv_sec = 1, .tv_nsec = 300000000 };
	struct pagearena *a = pagearena_open(&opts);
	char *p, *q;
	int i;

	if (!a)
		return 1;
	for (i = 0; i < 100; i++) {
		p = pagearena_alloc(a, 16384, 0);
		*p = 1;
		pagearena_free(a, p);
	}
	p = pagearena_alloc(a, 16 << 20, 0);
	memset(p, 1, 16 << 20);
	pagearena_promote(a, p, 4 << 20, NULL, 0, NULL);
	pagearena_free(a, p);
	/* Past the limit: what is free goes. */
	q = pagearena_aligned_alloc(a, 2 << 20, 24 << 20, 0);
	if (pagearena_alloc(a, 48 << 20, 0))
		return 2;
	nanosleep(&second, NULL);
	pagearena_free(a, q);
	pagearena_close(a);
	return 0;
}
END
	# shellcheck disable=SC2046 # several flags
	gcc -g -fno-omit-frame-pointer -o "$WORK/busy" "$WORK/busy.c" \
		$(pkg-config --cflags --libs libpagearena)
	"$WORK/busy"
}
passes "a program to be watched" workload

SCRIPTS=/usr/share/pagearena/tracing

# watched SCRIPT PATTERN...: the script runs, and every pattern is in what it says.
watched()
{
	local script=$1 pattern
	shift

	case $script in
	*.bt) timeout 300 bpftrace "$SCRIPTS/$script" -c "$WORK/busy" ;;
	*) timeout 300 "$SCRIPTS/$script" "$WORK/busy" ;;
	esac >"$WORK/said" 2>&1
	cat "$WORK/said"
	for pattern; do
		grep -q -e "$pattern" "$WORK/said" || {
			echo "not there: $pattern"
			return 1
		}
	done
}
passes "calls.bt" watched calls.bt '@calls\[busy, [0-9]*, alloc\]: 1' \
	'@kbytes\[busy, [0-9]*, released for the limit\]: ' '@calls\[busy, [0-9]*, refused\]: 1'
passes "refused.bt" watched refused.bt 'busy .* 1 .* 50331648 .*12$' '@refused\[busy, 1, 12\]: 1'
passes "lifetimes.bt" watched lifetimes.bt '@lifetime_us\[busy\]' '@kbytes\[busy\]'
passes "huge.bt" watched huge.bt '@promotions_by_result\[[0-9]*, call, ' \
	'@faults\[[0-9]*, small\]: '
passes "pressure.bt" watched pressure.bt 'limit .* by busy' 'the owner is told: limit'
passes "perf-stat" watched perf-stat ' 102 *pagearena:pagearena_alloc' \
	' 1 *pagearena:pagearena_refuse'
passes "perf-first-touch" watched perf-first-touch '100.00%  *busy' 'main'

tested=$(sed -n 's/^passes "[^"]*" watched \([^ ]*\) .*/\1/p' "$0" | sort)
all_watched()
{
	# shellcheck disable=SC2012 # plain names
	diff <(ls "$SCRIPTS" | sort) <(echo "$tested")
}
passes "that is all of the scripts" all_watched

# --- A container: what "docker run --device /dev/pagearena --memory 64m" asks the runtime for ---

# bundle DEVICES RULES COMMAND...: the configuration for crun.
bundle()
{
	local devices=$1 rules=$2 args
	shift 2

	args=$(printf '"%s",' "$@")
	rm -rf "$WORK/bundle"
	mkdir -p "$WORK/bundle/root"
	cat >"$WORK/bundle/config.json" <<END
{
	"ociVersion": "1.0.2",
	"process": { "user": { "uid": 0, "gid": 0 }, "cwd": "/", "args": [ ${args%,} ],
		"env": [ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" ],
		"capabilities": {} },
	"root": { "path": "root" },
	"hostname": "box",
	"mounts": [
		{ "destination": "/proc", "type": "proc", "source": "proc" },
		{ "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
		{ "destination": "/usr", "type": "bind", "source": "/usr",
			"options": [ "bind", "ro" ] },
		{ "destination": "/lib", "type": "bind", "source": "/usr/lib",
			"options": [ "bind", "ro" ] },
		{ "destination": "/lib64", "type": "bind", "source": "/usr/lib64",
			"options": [ "bind", "ro" ] },
		{ "destination": "/t", "type": "bind", "source": "$WORK",
			"options": [ "bind", "ro" ] }
	],
	"linux": {
		"cgroupsPath": "/box",
		"namespaces": [ { "type": "pid" }, { "type": "mount" }, { "type": "uts" },
			{ "type": "ipc" } ],
		"devices": [ $devices ],
		"resources": {
			"memory": { "limit": 67108864 },
			"devices": [ { "allow": false, "access": "rwm" } $rules ]
		}
	}
}
END
}

run_box()
{
	crun --cgroup-manager=cgroupfs run --bundle "$WORK/bundle" box
}

node()
{
	local major minor

	ready
	major=$((16#$(stat -c %t /dev/pagearena)))
	minor=$((16#$(stat -c %T /dev/pagearena)))
	NODE='{ "path": "/dev/pagearena", "type": "c", "major": '$major', "minor": '$minor',
		"fileMode": 432, "uid": 0, "gid": 0 }'
	RULE=', { "allow": true, "type": "c", "major": '$major', "minor": '$minor', "access": "rw" }'
}

container()
{
	node
	bundle "$NODE" "$RULE" /t/readme
	run_box | tee "$WORK/said"
	grep '^8388608 bytes went back' "$WORK/said"
}
passes "a container with the device and the cgroup rule can use it" container

container_without()
{
	node
	# The node alone is of no use: the cgroup says who may open it.
	bundle "$NODE" "" /t/readme
	! run_box
}
passes "a container without the rule cannot" container_without

container_limit()
{
	cat >"$WORK/big.c" <<'END'
#include <pagearena.h>
#include <stdio.h>
#include <string.h>

/* A container of 64 MiB: 32 MiB at a time, freed and allocated anew, with 192 MiB in all. */
int main(void)
{
	struct pagearena_options opts = { .size = sizeof(opts), .arena_bytes = 1 << 30,
					  .huge = PAGEARENA_HUGE_NEVER };
	struct pagearena *a = pagearena_open(&opts);
	int i;

	if (!a)
		return 1;
	for (i = 0; i < 6; i++) {
		char *p = pagearena_alloc(a, 32 << 20, 0), *hole = pagearena_alloc(a, 8192, 0);

		if (!p || !hole)
			return 2;
		memset(p, i, 32 << 20);
		pagearena_free(a, p);
		/* So that the next one does not fit into the old place. */
		if (!pagearena_alloc_at(a, p, 8192, 0))
			puts("moved on");
	}
	pagearena_close(a);
	return 0;
}
END
	# shellcheck disable=SC2046 # several flags
	gcc -o "$WORK/big" "$WORK/big.c" $(pkg-config --cflags --libs libpagearena)
	node
	bundle "$NODE" "$RULE" /t/big
	run_box
}
passes "its memory limit holds, and free memory goes back before anything is killed" container_limit

# --- Removal ---

skips()
{
	local status=0

	dkms build -k 5.10.0-fake --kernelsourcedir /nowhere \
		"pagearena/$(modinfo -F version pagearena)" >"$WORK/skip" 2>&1 || status=$?
	cat "$WORK/skip"
	[ $status -ne 0 ]
	grep "pagearena is not built for 5.10.0-fake: " "$WORK/skip"
}
passes "DKMS says why it skips an old kernel" skips

removes()
{
	rmmod pagearena || true
	# The group stays as long as somebody is in it.
	gpasswd -d member pagearena
	dpkg --purge pagearena-tools libpagearena-dev libpagearena0 pagearena-dkms
	! modprobe pagearena
	[ "$(dkms status | grep -c pagearena)" = 0 ]
}
passes "the packages are removed" removes

nothing_left()
{
	ours
	[ "$(ours)" = "" ]
	! getent group pagearena
}
rm -rf "$WORK"/{readme,bundle}
passes "nothing is left" nothing_left

udevadm control --exit 2>/dev/null || true
echo "1..$N"
exit $BAD
