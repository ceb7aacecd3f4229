// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Operations on descriptors, processes and the machine. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ops.h"

int do_pass(struct actor *a, const __u64 *arg)
{
	unsigned int to = (unsigned int)(arg[0] % run->prog->cfg.procs);
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	(void)a;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &arena_fd, sizeof(int));
	return result(sendmsg(run->proc[to].inbox[1], &msg, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* What was passed is the arena, and takes the old descriptor's place. */
int do_receive(struct actor *a, const __u64 *arg)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct pagearena_info info = { .size = sizeof(info) };
	struct cmsghdr *cmsg;
	int fd;

	(void)a;
	(void)arg;
	if (recvmsg(run->proc[self].inbox[0], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
		return SKIPPED;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return SKIPPED;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	if (ioctl(fd, PAGEARENA_IOC_INFO, &info) || info.arena_id != run->arena_id)
		fail("receive: arena %llu", info.arena_id);
	dup3(fd, arena_fd, O_CLOEXEC);
	close(fd);
	return 0;
}

/* An arena of its own: nothing of anybody else is found in it. */
static int other_arena(__u64 seed)
{
	struct pagearena_setup setup = { .size = sizeof(setup), .arena_bytes = 4 * MiB };
	struct pagearena_alloc req = { .size = sizeof(req) };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), err;
	__u64 *p, i;

	if (fd < 0)
		return -errno;
	setup.huge = (__u32)below(&seed, 4);
	req.length = 4096 * (1 + below(&seed, 64));
	if (below(&seed, 4) == 0)
		req.length = 2 * MiB;
	req.flags = (__u32)below(&seed, 4);
	err = result(ioctl(fd, PAGEARENA_IOC_SETUP, &setup));
	err = err ?: result(ioctl(fd, PAGEARENA_IOC_ALLOC, &req));
	if (err) {
		close(fd);
		return err;
	}
	p = mmap(NULL, setup.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return -errno;
	if (!may_oom)
		for (i = req.offset / 8; i < (req.offset + req.length) / 8; i++) {
			__u64 was = ((volatile __u64 *)p)[i];

			if (was)
				fail("a new arena holds %llx at %llx", was, i * 8);
			/* Bytes that must not be seen elsewhere. */
			p[i] = 0xdead000000000000ULL | i;
		}
	return result(munmap(p, setup.arena_bytes));
}

int do_dup(struct actor *a, const __u64 *arg)
{
	int fd;

	(void)a;
	if (arg[0] & 1)
		return other_arena(arg[0]);
	fd = dup(arena_fd);
	return fd < 0 ? -errno : result(close(fd));
}

/* The runner starts the process anew, at the line after the one that it was at. */
int do_kill(struct actor *a, const __u64 *arg)
{
	struct proc_entry *victim = &run->proc[arg[0] % run->prog->cfg.procs];
	pid_t pid = atomic_load(&victim->pid);

	(void)a;
	if (!atomic_load(&victim->ready) || pid <= 0)
		return SKIPPED;
	atomic_store(&victim->killed, true);
	return result(kill(pid, SIGKILL));
}

int do_signal(struct actor *a, const __u64 *arg)
{
	struct proc_entry *victim = &run->proc[arg[0] % run->prog->cfg.procs];
	pid_t pid = atomic_load(&victim->pid);

	(void)a;
	if (!atomic_load(&victim->ready) || pid <= 0)
		return SKIPPED;
	return result(kill(pid, SIGUSR1));
}

/* Calls that a file of this kind has little to do with. */
int do_other(struct actor *a, const __u64 *arg)
{
	long at = (long)(arg[1] % (bytes / UNIT) * UNIT);
	struct stat st;
	char buf[64];
	int fd[2], err;

	(void)a;
	switch (arg[0] % 14) {
	case 0:
		return result(read(arena_fd, buf, sizeof(buf)));
	case 1:
		return result(write(arena_fd, buf, 0));
	case 2:
		return result(pread(arena_fd, buf, sizeof(buf), at));
	case 3:
		return result(lseek(arena_fd, at, SEEK_SET));
	case 4:
		return result(ftruncate(arena_fd, at));
	case 5:
		return result(fallocate(arena_fd, (int)(arg[3] & 7), at, UNIT));
	case 6:
		return result(fsync(arena_fd));
	case 7:
		return result(fstat(arena_fd, &st));
	case 8:
		return result(posix_fadvise(arena_fd, at, UNIT, (int)(arg[3] % 6)));
	case 9:
		return result(fcntl(arena_fd, F_SETFL, arg[3] & 1 ? O_NONBLOCK : 0));
	case 10:
		return result(readahead(arena_fd, at, UNIT));
	case 11:
		return result(fcntl(arena_fd, F_SETSIG, 0));
	default:
		if (pipe2(fd, O_NONBLOCK | O_CLOEXEC))
			return -errno;
		if (arg[0] % 14 == 12)
			err = result(splice(arena_fd, NULL, fd[1], NULL, UNIT, SPLICE_F_NONBLOCK));
		else
			err = result(sendfile(fd[1], arena_fd, NULL, UNIT));
		close(fd[0]);
		close(fd[1]);
		return err;
	}
}

int do_poll(struct actor *a, const __u64 *arg)
{
	struct pollfd p = { .fd = arena_fd, .events = POLLIN | POLLOUT | POLLPRI };

	(void)a;
	(void)arg;
	return result(poll(&p, 1, 0));
}

static int slurp(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	ssize_t got;

	if (fd < 0)
		return -errno;
	while ((got = read(fd, buf, sizeof(buf))) > 0)
		;
	close(fd);
	return result(got);
}

static int spit(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = result(write(fd, text, strlen(text)));
	close(fd);
	return err;
}

int do_proc(struct actor *a, const __u64 *arg)
{
	char name[64];
	__u64 buf[64];
	int fd, err;

	(void)a;
	switch (arg[0] % 8) {
	case 0:
		return slurp("/proc/self/smaps");
	case 1:
		return slurp("/proc/self/smaps_rollup");
	case 2:
		return slurp("/proc/self/maps");
	case 3:
		return slurp("/proc/self/numa_maps");
	case 4:
		snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", arena_fd);
		return slurp(name);
	case 5:
		return spit("/proc/self/clear_refs", arg[1] & 1 ? "1" : "4");
	case 6:
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		err = result(pread(fd, buf, sizeof(buf),
				   (long)((uintptr_t)slot_addr(arg[1] % SLOTS, arg[1] * UNIT) /
					  mmu_page * 8)));
		close(fd);
		return err;
	default:
		return slurp("/proc/self/oom_score");
	}
}

int do_recount(struct actor *a, const __u64 *arg)
{
	char text[256];

	(void)a;
	(void)arg;
	if (!recount_ok(run->arena_id, text, sizeof(text)))
		fail("recount: %s", text);
	return 0;
}

/* The kernel takes memory back: by the shrinker alone, where debugfs lets one ask it. */
int do_reclaim(struct actor *a, const __u64 *arg)
{
	static const char dir[] = "/sys/kernel/debug/shrinker";
	char name[512], text[64];
	struct dirent *d;
	int err = -ENOENT;
	DIR *list;

	(void)a;
	switch (arg[0] % 8) {
	case 0:
		return spit("/proc/sys/vm/drop_caches", "2");
	case 1:
		return spit("/proc/sys/vm/compact_memory", "1");
	}
	list = opendir(dir);
	if (!list)
		return -errno;
	while ((d = readdir(list)))
		if (!strncmp(d->d_name, "pagearena", 9)) {
			snprintf(name, sizeof(name), "%s/%s/scan", dir, d->d_name);
			/* cgroup, node, objects */
			snprintf(text, sizeof(text), "0 0 %llu", 1 + arg[1] / UNIT);
			err = spit(name, text);
		}
	closedir(list);
	return err;
}
