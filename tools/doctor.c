// SPDX-License-Identifier: MIT
/*
 * pagearena doctor: whether an arena can be had here, and if not, what to do about it.
 *
 * It changes nothing and loads nothing.  With --sysroot it looks at files below another
 * directory, as they lie in /, which is how the tests show it machines that they do not have.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmd.h"

/* The oldest kernel that the module builds for. */
#define KERNEL_MAJOR 6
#define KERNEL_MINOR 1

#define EFI_VARIABLE \
	"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

#define RULE "KERNEL==\"pagearena\", GROUP=\"pagearena\", MODE=\"0660\""

enum verdict { OK, WARN, FAIL };

static const char *const verdicts[] = { "ok", "warn", "fail" };

/* What is found on the way. */
struct state {
	const char *root;
	bool json;
	bool color;
	unsigned int count[3];
	struct utsname uts;
	bool loaded;
	bool secure_boot;
	bool lockdown;
	bool node;
	int fd;
	int open_error;
	struct pagearena_info info;
};

/* A line of the report; the remedy is for verdicts other than ok. */
__printf(5, 6) static void report(struct state *s, enum verdict v, const char *name,
				  const char *remedy, const char *fmt, ...)
{
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m" };
	unsigned int before = s->count[OK] + s->count[WARN] + s->count[FAIL];
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->count[v]++;
	if (v == OK)
		remedy = NULL;
	if (!s->json) {
		printf("%s%-4s%s %-12s %s%s%s\n", s->color ? colors[v] : "", verdicts[v],
		       s->color ? "\033[0m" : "", name, text, remedy ? "; remedy: " : "",
		       remedy ? remedy : "");
		return;
	}
	printf("%s\n  {\"check\": \"%s\", \"verdict\": \"%s\", \"text\": ", before ? "," : "", name,
	       verdicts[v]);
	json_string(stdout, text);
	if (remedy) {
		printf(", \"remedy\": ");
		json_string(stdout, remedy);
	}
	printf("}");
}

__printf(2, 3) static char *in_root(const struct state *s, const char *fmt, ...)
{
	static char path[2][512];
	static unsigned int which;
	char tail[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(tail, sizeof(tail), fmt, ap);
	va_end(ap);
	which = !which;
	snprintf(path[which], sizeof(path[which]), "%.100s%s", s->root, tail);
	return path[which];
}

/* The first line of a file; false if it cannot be read. */
static bool first_line(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "re");
	bool good;

	if (!f)
		return false;
	good = fgets(buf, (int)len, f);
	fclose(f);
	if (good)
		buf[strcspn(buf, "\n")] = '\0';
	return good;
}

/*
 * The name of a group, from the file: getgrgid() would want shared libraries of a static
 * program, and does not look below --sysroot.
 */
static const char *group_name(const struct state *s, gid_t gid)
{
	FILE *f = fopen(in_root(s, "/etc/group"), "re");
	static char name[64];
	unsigned int number;
	char line[1024];

	snprintf(name, sizeof(name), "%u", (unsigned int)gid);
	while (f && fgets(line, sizeof(line), f)) {
		/* name:password:gid:members */
		char *second = strchr(line, ':');
		char *third = second ? strchr(second + 1, ':') : NULL;

		if (third && sscanf(third, ":%u:", &number) == 1 && number == gid) {
			snprintf(name, sizeof(name), "%.*s", (int)(second - line), line);
			break;
		}
	}
	if (f)
		fclose(f);
	return name;
}

static void check_kernel(struct state *s)
{
	unsigned int major = 0, minor = 0;

	if (sscanf(s->uts.release, "%u.%u", &major, &minor) != 2)
		major = 0;
	if (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR))
		report(s, FAIL, "kernel", "boot Linux 6.1 or later", "Linux %s is too old",
		       s->uts.release);
	else if (sizeof(long) < 8)
		report(s, FAIL, "kernel", "boot a 64-bit kernel", "Linux %s %s is no 64-bit kernel",
		       s->uts.release, s->uts.machine);
	else if (strcmp(s->uts.machine, "x86_64") && strcmp(s->uts.machine, "aarch64"))
		report(s, WARN, "kernel", "use x86-64 or arm64, or tell how it went",
		       "Linux %s on %s: only x86-64 and arm64 have been tried", s->uts.release,
		       s->uts.machine);
	else
		report(s, OK, "kernel", NULL, "Linux %s %s", s->uts.release, s->uts.machine);
}

static void check_headers(struct state *s)
{
	char remedy[256];

	if (!access(in_root(s, "/lib/modules/%s/build/Makefile", s->uts.release), R_OK)) {
		report(s, OK, "headers", NULL, "/lib/modules/%s/build", s->uts.release);
		return;
	}
	snprintf(remedy, sizeof(remedy), "apt-get install linux-headers-%s", s->uts.release);
	/* Who has the module does not need them until the next kernel. */
	report(s, s->loaded ? WARN : FAIL, "headers", remedy,
	       "no kernel headers in /lib/modules/%s/build: the module cannot be built",
	       s->uts.release);
}

/* The signing of modules: why a module that is there may not be loaded. */
static void check_secure_boot(struct state *s)
{
	unsigned char var[5];
	ssize_t got = -1;
	int fd;

	if (access(in_root(s, "/sys/firmware/efi"), F_OK)) {
		report(s, OK, "secure-boot", NULL, "not booted by EFI");
		return;
	}
	fd = open(in_root(s, EFI_VARIABLE), O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, var, sizeof(var));
		close(fd);
	}
	/* Four bytes of attributes, then the value. */
	s->secure_boot = got == sizeof(var) && var[4] == 1;
	if (got != sizeof(var))
		report(s, WARN, "secure-boot", "mokutil --sb-state tells",
		       "its state cannot be read: %s", got < 0 ? strerror(errno) : "too short");
	else if (!s->secure_boot)
		report(s, OK, "secure-boot", NULL, "off");
	else if (s->loaded)
		report(s, OK, "secure-boot", NULL, "on, and the module is loaded all the same");
	else
		report(s, WARN, "secure-boot",
		       "sign the module with a key that mokutil --import has enrolled",
		       "on: the kernel may want modules signed");
}

static void check_lockdown(struct state *s)
{
	char line[128], sig[16], *mode, *end;

	if (first_line(in_root(s, "/sys/module/module/parameters/sig_enforce"), sig, sizeof(sig)) &&
	    *sig == 'Y' && !s->loaded) {
		report(s, WARN, "lockdown", "sign the module with a key that the kernel knows",
		       "the kernel takes no unsigned modules (module.sig_enforce)");
		return;
	}
	if (!first_line(in_root(s, "/sys/kernel/security/lockdown"), line, sizeof(line))) {
		report(s, OK, "lockdown", NULL, "none to be seen");
		return;
	}
	mode = strchr(line, '[');
	end = mode ? strchr(mode, ']') : NULL;
	if (end)
		*end = '\0';
	mode = end ? mode + 1 : line;
	s->lockdown = strcmp(mode, "none");
	if (!s->lockdown || s->loaded)
		report(s, OK, "lockdown", NULL, "%s%s", mode,
		       s->lockdown ? ", and the module is loaded all the same" : "");
	else
		report(s, FAIL, "lockdown",
		       "sign the module with a key that the kernel knows, or boot with lockdown=none",
		       "%s: unsigned modules are refused", mode);
}

/* Is it installed, if not loaded?  modules.dep has every module that depmod has seen. */
static bool installed(struct state *s)
{
	FILE *f = fopen(in_root(s, "/lib/modules/%s/modules.dep", s->uts.release), "re");
	char line[1024];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, "/pagearena.ko") && strchr(line, ':') &&
			strstr(line, "/pagearena.ko") < strchr(line, ':');
	fclose(f);
	return found;
}

static void check_module(struct state *s)
{
	char version[64], want[32];

	snprintf(want, sizeof(want), "%d.%d", PAGEARENA_VERSION >> 16, PAGEARENA_VERSION & 0xffff);
	if (!s->loaded && installed(s)) {
		report(s, FAIL, "module", "modprobe pagearena", "installed but not loaded");
	} else if (!s->loaded) {
		report(s, FAIL, "module",
		       "make modules, then insmod build/kmod-*/pagearena.ko (README.md)",
		       "not loaded, and none for this kernel in /lib/modules/%s", s->uts.release);
	} else if (!first_line(in_root(s, "/sys/module/pagearena/version"), version,
			       sizeof(version))) {
		report(s, WARN, "module", "install the module of this release",
		       "loaded, of an unknown version");
	} else if (strncmp(version, want, strlen(want)) ||
		   (version[strlen(want)] && version[strlen(want)] != '.')) {
		report(s, WARN, "module", "install module and tools of the same release",
		       "loaded, version %s; this command is of %s", version, want);
	} else {
		report(s, OK, "module", NULL, "loaded, version %s", version);
	}
}

static void check_library(struct state *s)
{
	static const char *const dirs[] = {
		"/usr/local/lib", NULL /* that of the machine */, "/usr/lib64", "/usr/lib", "/lib",
	};
	char path[512], version[64], *file, *so, dir[128];
	ssize_t len;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (dirs[i])
			snprintf(dir, sizeof(dir), "%s", dirs[i]);
		else
			snprintf(dir, sizeof(dir), "/usr/lib/%s-linux-gnu", s->uts.machine);
		file = in_root(s, "%s/libpagearena.so.0", dir);
		if (access(file, R_OK))
			continue;
		/* The name of the file behind the link has the version. */
		len = readlink(file, path, sizeof(path) - 1);
		path[len > 0 ? len : 0] = '\0';
		so = strstr(path, ".so.");
		snprintf(version, sizeof(version), "%d.%d", PAGEARENA_VERSION >> 16,
			 PAGEARENA_VERSION & 0xffff);
		if (!so)
			report(s, OK, "library", NULL, "%s/libpagearena.so.0", dir);
		else if (strcmp(so + 4, version))
			report(s, WARN, "library", "install library and tools of the same release",
			       "%s/libpagearena.so.0 is version %s; this command is of %s", dir,
			       so + 4, version);
		else
			report(s, OK, "library", NULL, "%s/libpagearena.so.%s", dir, so + 4);
		return;
	}
	report(s, WARN, "library", "make && make install",
	       "no libpagearena.so.0 in the usual places (this command does not need it)");
}

/* Mode and group of the node, and whether the numbers are those of the module. */
static void check_node(struct state *s)
{
	char dev[32], want[32];
	const char *name;
	struct stat st;

	if (stat(in_root(s, PAGEARENA_DEVICE), &st)) {
		if (s->loaded)
			report(s, FAIL, "device",
			       "in a container: --device " PAGEARENA_DEVICE
			       "; else mount devtmpfs, or mknod",
			       "no " PAGEARENA_DEVICE " though the module is loaded");
		else
			report(s, FAIL, "device", "load the module", "no " PAGEARENA_DEVICE);
		return;
	}
	if (!S_ISCHR(st.st_mode)) {
		report(s, FAIL, "device", "rm " PAGEARENA_DEVICE " and load the module again",
		       PAGEARENA_DEVICE " is no character device");
		return;
	}
	snprintf(dev, sizeof(dev), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (first_line(in_root(s, "/sys/class/misc/pagearena/dev"), want, sizeof(want)) &&
	    strcmp(dev, want)) {
		report(s, FAIL, "device", "mknod it anew, or let devtmpfs or udev do it",
		       PAGEARENA_DEVICE " is %s, the module has %s", dev, want);
		return;
	}
	s->node = true;
	name = group_name(s, st.st_gid);
	if (st.st_mode & 0007)
		report(s, WARN, "device", "a group for it, and mode 0660, by a udev rule: " RULE,
		       PAGEARENA_DEVICE " has mode %04o: every user may take memory",
		       st.st_mode & 07777);
	else if ((st.st_mode & 0060) != 0060 || !st.st_gid)
		report(s, WARN, "device", "groupadd --system pagearena, and a udev rule: " RULE,
		       PAGEARENA_DEVICE " has mode %04o, group %s: only root can open it",
		       st.st_mode & 07777, name);
	else
		report(s, OK, "device", NULL, PAGEARENA_DEVICE " has mode %04o, group %s",
		       st.st_mode & 07777, name);
}

/* What a user without rights to the node is to do. */
static void check_access(struct state *s)
{
	struct stat st;
	char remedy[128];

	if (!s->node) {
		report(s, FAIL, "access", "see device", "there is nothing to be opened");
		return;
	}
	s->fd = open(in_root(s, PAGEARENA_DEVICE), O_RDWR | O_CLOEXEC);
	s->open_error = s->fd < 0 ? errno : 0;
	switch (s->open_error) {
	case 0:
		report(s, OK, "access", NULL, "user %d can open it", (int)geteuid());
		break;
	case EACCES:
		snprintf(remedy, sizeof(remedy), "run it as root");
		if (!stat(in_root(s, PAGEARENA_DEVICE), &st) && st.st_gid)
			snprintf(remedy, sizeof(remedy), "usermod -aG %.63s USER, then log in anew",
				 group_name(s, st.st_gid));
		report(s, FAIL, "access", remedy, "user %d may not open it", (int)geteuid());
		break;
	case EPERM:
		report(s, FAIL, "access", "see cgroup", "user %d is refused in spite of its mode",
		       (int)geteuid());
		break;
	case ENXIO:
	case ENODEV:
		report(s, FAIL, "access", "load the module", "the node leads nowhere");
		break;
	default:
		report(s, FAIL, "access", "see dmesg", "open: %s", strerror(s->open_error));
	}
}

/*
 * The rules of version 2 are programs that cannot be read: whether the device can be opened
 * tells.  EPERM, where the mode would give EACCES, is their answer.
 */
static void check_cgroup(struct state *s)
{
	if (s->open_error == EPERM)
		report(s, FAIL, "cgroup",
		       "DeviceAllow=" PAGEARENA_DEVICE " rw (systemd), --device " PAGEARENA_DEVICE
		       " (podman, docker)",
		       "a device rule of the cgroup refuses " PAGEARENA_DEVICE);
	else if (s->fd >= 0)
		report(s, OK, "cgroup", NULL, "no device rule is in the way");
	else
		report(s, WARN, "cgroup", "see access",
		       "device rules cannot be told before the device can be opened");
}

static void check_abi(struct state *s)
{
	unsigned int major, minor;

	if (s->fd < 0) {
		report(s, WARN, "abi", "see access", "not known: the device cannot be opened");
		return;
	}
	s->info.size = sizeof(s->info);
	if (arena_call(s->fd, PAGEARENA_IOC_INFO, &s->info)) {
		report(s, FAIL, "abi", "install module and tools of the same release",
		       "the device does not answer INFO: %s", strerror(errno));
		return;
	}
	major = s->info.abi_version >> 16;
	minor = s->info.abi_version & 0xffff;
	if (major != PAGEARENA_ABI_VERSION >> 16)
		report(s, FAIL, "abi", "install module and tools of the same release",
		       "the module speaks %u.%u, this command %d.%d", major, minor,
		       PAGEARENA_ABI_VERSION >> 16, PAGEARENA_ABI_VERSION & 0xffff);
	else if (minor < (PAGEARENA_ABI_VERSION & 0xffff))
		report(s, WARN, "abi", "install the module of this release",
		       "the module speaks %u.%u, this command %d.%d: some calls are missing", major,
		       minor, PAGEARENA_ABI_VERSION >> 16, PAGEARENA_ABI_VERSION & 0xffff);
	else
		report(s, OK, "abi", NULL, "the module speaks %u.%u", major, minor);
}

static void check_huge(struct state *s)
{
	char line[128];

	if (s->info.size && !(s->info.features & PAGEARENA_FEATURE_HUGE))
		report(s, WARN, "huge-pages", "a kernel with CONFIG_TRANSPARENT_HUGEPAGE",
		       "the kernel cannot map them");
	else if (!first_line(in_root(s, "/sys/kernel/mm/transparent_hugepage/enabled"), line,
			     sizeof(line)))
		report(s, WARN, "huge-pages", "a kernel with CONFIG_TRANSPARENT_HUGEPAGE",
		       "no transparent huge pages");
	else if (strstr(line, "[never]"))
		report(s, WARN, "huge-pages",
		       "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",
		       "turned off: arenas use them only where they are told to");
	else
		report(s, OK, "huge-pages", NULL, "%s", line);
}

static void check_memcg(struct state *s)
{
	if (s->info.size && !(s->info.features & PAGEARENA_FEATURE_MEMCG))
		report(s, WARN, "memcg", "a kernel with CONFIG_MEMCG",
		       "memory is not charged to cgroups");
	else if (s->info.size)
		report(s, OK, "memcg", NULL, "memory is charged to who opens the device");
}

static void check_ptrace(struct state *s)
{
	char line[16];

	if (!first_line(in_root(s, "/proc/sys/kernel/yama/ptrace_scope"), line, sizeof(line)) ||
	    *line == '0')
		report(s, OK, "ptrace", NULL, "processes of the same user can be looked at");
	else if (*line == '3')
		report(s, WARN, "ptrace", "boot with kernel.yama.ptrace_scope below 3",
		       "ptrace_scope is 3: only 'top' sees other processes");
	else
		report(s, geteuid() ? WARN : OK, "ptrace",
		       "run map, stats, spans and policy as root, or with CAP_SYS_PTRACE",
		       "ptrace_scope is %s: only root looks into other processes", line);
}

static int run(int argc, char **argv)
{
	enum { OPT_JSON = OPT_COMMON, OPT_SYSROOT };
	static const struct option longs[] = {
		OPTION_HELP,
		{ "json", no_argument, NULL, OPT_JSON },
		{ "sysroot", required_argument, NULL, OPT_SYSROOT },
		{ NULL, 0, NULL, 0 },
	};
	struct state s = { .root = "", .color = has_color(stdout), .fd = -1 };
	struct target t = TARGET_NONE;
	int c, status;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPT_JSON)
			s.json = true;
		else if (c == OPT_SYSROOT)
			s.root = optarg;
		else if (common_option(&cmd_doctor, c, &t, &status))
			return status;
	}
	if (last_argument(&cmd_doctor, argc, argv))
		return STATUS_USAGE;
	if (uname(&s.uts))
		return failed("uname: %s", strerror(errno));
	s.loaded = !access(in_root(&s, "/sys/module/pagearena"), F_OK);

	if (s.json)
		printf("{\"checks\": [");
	check_kernel(&s);
	check_headers(&s);
	check_secure_boot(&s);
	check_lockdown(&s);
	check_module(&s);
	check_library(&s);
	check_node(&s);
	check_access(&s);
	check_cgroup(&s);
	check_abi(&s);
	check_huge(&s);
	check_memcg(&s);
	check_ptrace(&s);
	if (s.json)
		printf("\n], \"ok\": %u, \"warn\": %u, \"fail\": %u}\n", s.count[OK], s.count[WARN],
		       s.count[FAIL]);
	return s.count[FAIL] ? STATUS_FAILED : STATUS_OK;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.args = "[OPTION]...",
	.what = "whether arenas can be had here, and if not, what to do",
	.help =
		"Looks at the kernel, its headers, Secure Boot and lockdown, the module, the library,\n"
		"the device with its mode and group, the device rules of the cgroup, the versions of\n"
		"the ABI, huge pages, accounting and the right to look into other processes.  A line\n"
		"for each: ok, warn or fail, what there is, and a remedy.  Nothing is changed.\n"
		"\n"
		"  --json         as JSON\n"
		"  --sysroot DIR  look at files below DIR, as they lie in /\n"
		"\n"
		"Exit status: 0 nothing failed, 1 something did, 2 wrong usage.\n",
	.run = run,
};
