// SPDX-License-Identifier: MIT
/* Finding an arena: every open() makes a new one, so it takes the descriptor itself. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd.h"

int arena_call(int fd, unsigned long nr, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, nr, arg);
	while (ret < 0 && errno == EINTR);
	return ret;
}

/* Is this a descriptor of an arena?  Complains under the given name if not. */
bool check_arena(int fd, const char *name, struct pagearena_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	if (!arena_call(fd, PAGEARENA_IOC_INFO, info))
		return true;
	if (errno == ENOTTY)
		failed("%s: this is not an arena", name);
	else
		failed("%s: %s", name, strerror(errno));
	return false;
}

/* Is there something to be seen in an arena? */
bool check_setup(const char *name, const struct pagearena_info *info)
{
	if (!info->arena_bytes)
		failed("%s: this arena has not been set up yet", name);
	return info->arena_bytes;
}

/* The one descriptor of a process that leads to the device, or -1 and a complaint. */
static int find_arena(pid_t pid)
{
	char path[64], to[256], list[256] = "";
	int found = -1, count = 0;
	struct dirent *entry;
	ssize_t len;
	size_t used;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir) {
		failed("%s: %s", path, strerror(errno));
		return -1;
	}
	while ((entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, to, sizeof(to) - 1);
		if (len < 0)
			continue;
		to[len] = '\0';
		if (strcmp(to, PAGEARENA_DEVICE))
			continue;
		found = atoi(entry->d_name);
		count++;
		used = strlen(list);
		snprintf(list + used, sizeof(list) - used, " %d:%d", (int)pid, found);
	}
	closedir(dir);
	if (count == 1)
		return found;
	if (count)
		failed("process %d has %d arenas, name one of them:%s", (int)pid, count, list);
	else
		failed("process %d has no arena", (int)pid);
	return -1;
}

/* A copy of a descriptor of another process, or -1 with errno. */
int copy_descriptor(int pid, int fd)
{
	int pidfd, copy, error;

	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -1;
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	error = errno;
	close(pidfd);
	errno = error;
	return copy;
}

/*
 * A copy of the descriptor that a target names; -1 after a complaint, -2 for a target
 * that is none.
 */
int open_target(const char *target)
{
	char buf[24], *colon;
	uint64_t pid, fd;
	int copy;

	if (snprintf(buf, sizeof(buf), "%s", target) >= (int)sizeof(buf))
		return -2;
	colon = strchr(buf, ':');
	if (colon)
		*colon++ = '\0';
	if (!parse_u64(buf, &pid) || pid < 1 || pid > INT32_MAX)
		return -2;
	if (colon) {
		if (!parse_u64(colon, &fd) || fd > INT32_MAX)
			return -2;
	} else {
		int only = find_arena((pid_t)pid);

		if (only < 0)
			return -1;
		fd = (uint64_t)only;
	}
	copy = copy_descriptor((int)pid, (int)fd);
	if (copy < 0)
		failed("descriptor %d of process %s: %s%s", (int)fd, buf, strerror(errno),
		       errno == EPERM ? " (this needs the right to ptrace the process)" : "");
	return copy;
}

/* The options that all have; true if there is nothing more to do but return the status. */
bool common_option(const struct command *c, int opt, struct target *t, int *status)
{
	uint64_t number;

	switch (opt) {
	case OPT_HELP:
		*status = print_help(c);
		return true;
	case OPT_FD:
		if (t->fd >= 0)
			*status = usage_error("%s: one target is enough", c->name);
		else if (!parse_u64(optarg, &number) || number > INT32_MAX)
			*status = usage_error("%s: --fd needs a descriptor", c->name);
		else
			*status = -1;
		if (*status >= 0)
			return true;
		t->fd = (int)number;
		t->name = optarg;
		return false;
	default:
		*status = usage_error("see 'pagearena %s --help'", c->name);
		return true;
	}
}

/* The first argument that is no option, if --fd did not name the target. */
int target_argument(const struct command *c, int argc, char **argv, struct target *t)
{
	if (t->fd < 0 && optind < argc) {
		t->name = argv[optind++];
		t->fd = open_target(t->name);
		if (t->fd == -2)
			return usage_error("%s: not a target: %s", c->name, t->name);
		if (t->fd < 0)
			return STATUS_FAILED;
	}
	if (t->fd < 0)
		return usage_error("%s: of which arena?", c->name);
	return STATUS_OK;
}

/* After the target there may be nothing more. */
int last_argument(const struct command *c, int argc, char **argv)
{
	if (optind < argc)
		return usage_error("%s: one argument too many: %s", c->name, argv[optind]);
	return STATUS_OK;
}
