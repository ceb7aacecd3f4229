// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Operations on mappings and contents. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops.h"

/* What lies in the pipe, in units, oldest first; behind a lock. */
#define PIPE_UNITS	16
static pthread_mutex_t pipe_lock = PTHREAD_MUTEX_INITIALIZER;
static int pipe_fd[2], mem_fd;
static __u64 pipe_unit[PIPE_UNITS];
static unsigned int pipe_nr;

/* Most units that are copied at once. */
#define COPY_UNITS	16

bool maps_begin(void)
{
	mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	return mem_fd >= 0 && !pipe2(pipe_fd, O_NONBLOCK | O_CLOEXEC);
}

/* Contents */

/* Writes through a slot; also where the caller does not know what happened in between. */
static void write_span(unsigned int slot, __u64 u, __u64 nr, __u64 seed)
{
	struct work w = { .u = u, .nr = nr, .seed = seed };

	set_units(u, nr, UNKNOWN, 0);
	access_units(slot, &w, write_units, "write");
	if (!may_oom)
		set_units(u, nr, WRITTEN, seed);
}

int do_write(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	__u64 u, nr;

	if (!e)
		return SKIPPED;
	nr = pick_units(e, arg[1], 1 + arg[2] % 64, &u);
	write_span((unsigned int)(arg[3] >> 3) % SLOTS, u, nr, arg[3]);
	put(e);
	return 0;
}

int do_check(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	__u64 u, nr;

	if (!e)
		return SKIPPED;
	nr = pick_units(e, arg[1], 1 + arg[2] % 64, &u);
	check_units((unsigned int)arg[1] % SLOTS, u, nr);
	put(e);
	return 0;
}

/* Reads of anything: zero, or what was written there; or a signal. */
int do_peek(struct actor *a, const __u64 *arg)
{
	__u64 u = arg[0] % bytes / UNIT;
	struct work w = { .u = u, .nr = MIN(1 + arg[1] % 16, bytes / UNIT - u) };
	int sig;

	(void)a;
	w.p = slot_addr((unsigned int)arg[2] % SLOTS, u * UNIT);
	sig = guarded(weak_units, &w);
	if (!sig)
		complain(&w, "peek");
	return sig ? -EFAULT : 0;
}

static void touch_units(void *arg)
{
	struct work *w = arg;
	__u64 i;

	for (i = 0; i < w->nr; i++)
		atomic_fetch_or((_Atomic __u64 *)(w->p + i * UNIT), 0);
}

/* Writes that change nothing. */
int do_stray(struct actor *a, const __u64 *arg)
{
	__u64 u = arg[0] % bytes / UNIT;
	struct work w = { .u = u, .nr = MIN(1 + arg[1] % 64, bytes / UNIT - u) };

	(void)a;
	w.p = slot_addr((unsigned int)arg[2] % SLOTS, u * UNIT);
	return guarded(touch_units, &w) ? -EFAULT : 0;
}

/* Mappings */

/*
 * A range of a slot that is not slot 0, as arguments tell it: whole MMU pages, of which the last
 * may be the one that the arena ends in.
 */
static unsigned int pick_range(const __u64 *arg, __u64 *u, __u64 *nr)
{
	*u = arg[1] % bytes / mmu_page * (mmu_page / UNIT);
	*nr = MIN(MAX(arg[2] / UNIT, (__u64)1), bytes / UNIT - *u);
	*nr = ALIGN_UP(*nr, mmu_page / UNIT);
	return 1 + (unsigned int)(arg[0] % (SLOTS - 1));
}

static void mark(unsigned int slot, __u64 u, __u64 nr, __u8 what)
{
	memset(&slot_map[slot][u], what, nr);
}

/* Where something is mapped, nobody knows how from now on. */
static void mark_odd(unsigned int slot, __u64 u, __u64 nr)
{
	for (; nr--; u++)
		if (slot_map[slot][u])
			slot_map[slot][u] |= M_ODD;
}

static const struct {
	int prot;
	__u8 what;
} prots[] = {
	{ PROT_READ | PROT_WRITE, M_READ | M_WRITE },
	{ PROT_READ | PROT_WRITE, M_READ | M_WRITE },
	{ PROT_READ, M_READ },
	{ PROT_WRITE, 0 },
	{ PROT_NONE, 0 },
};

int do_mmap(struct actor *a, const __u64 *arg)
{
	unsigned int slot, how = (unsigned int)(arg[3] % ARRAY_SIZE(prots));
	int flags = MAP_SHARED | MAP_FIXED, err;
	__u64 u, nr;
	void *p;

	(void)a;
	slot = pick_range(arg, &u, &nr);
	if (arg[4] & 8 && arg[4] & 16) {
		/* These are refused. */
		if (arg[4] & 1)
			p = mmap(NULL, nr * UNIT, PROT_READ, MAP_PRIVATE, arena_fd,
				 (long)(u * UNIT));
		else
			p = mmap(NULL, nr * UNIT, PROT_READ | PROT_EXEC, MAP_SHARED, arena_fd,
				 (long)(u * UNIT));
		err = p == MAP_FAILED ? -errno : 0;
		if (!err)
			fail("mmap() that must not be succeeds");
		return err;
	}
	if ((arg[4] & 192) == 192) {
		u = 0;
		nr = bytes / UNIT;
	}
	if (arg[4] & 1)
		flags |= MAP_POPULATE;
	if ((arg[4] & 6) == 6)
		flags |= MAP_LOCKED;
	if (arg[4] & 32)
		flags |= MAP_NORESERVE;
	pthread_mutex_lock(&map_lock);
	p = mmap(slot_addr(slot, u * UNIT), nr * UNIT, prots[how].prot, flags, arena_fd,
		 (long)(u * UNIT));
	err = p == MAP_FAILED ? -errno : 0;
	if (!err)
		mark(slot, u, nr, M_MAPPED | prots[how].what);
	else
		mark_odd(slot, u, nr);
	pthread_mutex_unlock(&map_lock);
	MAY(err, EAGAIN, ENOMEM, EINTR);
	return err;
}

int do_munmap(struct actor *a, const __u64 *arg)
{
	unsigned int slot;
	__u64 u, nr;
	int err;

	(void)a;
	slot = pick_range(arg, &u, &nr);
	pthread_mutex_lock(&map_lock);
	err = result(munmap(slot_addr(slot, u * UNIT), nr * UNIT));
	if (!err)
		mark(slot, u, nr, 0);
	else
		mark_odd(slot, u, nr);
	pthread_mutex_unlock(&map_lock);
	MAY(err, EINTR, ENOMEM);
	return err;
}

/* Moves, shrinks and grows, also beyond the arena; what is seen stays at its offset. */
int do_mremap(struct actor *a, const __u64 *arg)
{
	unsigned int from, to;
	__u64 u, nr, was, max = UNITS_MAX + MARGIN;
	__u8 what;
	void *p;
	int err;

	(void)a;
	from = pick_range(arg, &u, &was);
	nr = MAX(arg[4] / UNIT, (__u64)1);
	if (arg[3] & 16)
		nr = was;
	nr = MIN(ALIGN_UP(nr, mmu_page / UNIT), max - u);
	to = 1 + (unsigned int)(arg[3] % (SLOTS - 1));
	pthread_mutex_lock(&map_lock);
	what = slot_map[from][u];
	if (to == from)
		p = mremap(slot_addr(from, u * UNIT), was * UNIT, nr * UNIT, 0);
	else
		p = mremap(slot_addr(from, u * UNIT), was * UNIT, nr * UNIT,
			   MREMAP_MAYMOVE | MREMAP_FIXED, slot_addr(to, u * UNIT));
	err = p == MAP_FAILED ? -errno : 0;
	if (err) {
		mark_odd(from, u, MAX(was, nr));
		mark_odd(to, u, nr);
	} else if (to == from && nr <= was) {
		/* Only the end goes; there may be gaps before it. */
		mark(from, u + nr, was - nr, 0);
	} else {
		mark(from, u, was, 0);
		mark(to, u, nr, what);
	}
	pthread_mutex_unlock(&map_lock);
	MAY(err, EFAULT, ENOMEM, EINVAL, EINTR, EAGAIN);
	return err;
}

int do_mprotect(struct actor *a, const __u64 *arg)
{
	unsigned int slot, how = (unsigned int)(arg[3] % (ARRAY_SIZE(prots) + 1));
	__u64 u, nr, i;
	int err;

	(void)a;
	slot = pick_range(arg, &u, &nr);
	pthread_mutex_lock(&map_lock);
	err = result(mprotect(slot_addr(slot, u * UNIT), nr * UNIT,
			      how == ARRAY_SIZE(prots) ? PROT_READ | PROT_EXEC : prots[how].prot));
	if (!err && how == ARRAY_SIZE(prots))
		fail("mprotect(): executable");
	if (err)
		mark_odd(slot, u, nr);
	for (i = u; !err && i < u + nr; i++)
		slot_map[slot][i] = (slot_map[slot][i] & ~(M_READ | M_WRITE)) | prots[how].what;
	pthread_mutex_unlock(&map_lock);
	MAY(err, ENOMEM, EACCES, EINTR, EAGAIN);
	return err;
}

/*
 * MADV_COLD and MADV_PAGEOUT try to split a huge folio that they hit in part.  The core refuses
 * that, as the folio is in no file's page cache, but 6.12 looks first for the queue that it might
 * be in, and so at its cgroup, without the lock that lockdep then asks for: a warning of the
 * core's, for nothing is done with what it has found.
 */
static bool core_would_warn(int advice)
{
	static int lockdep = -1;

	if (lockdep < 0)
		lockdep = !access("/proc/lockdep", F_OK);
	return lockdep && (advice == 20 || advice == 21);
}

/*
 * Every advice there is, and some that are none; but for HWPOISON, which takes the memory away
 * for good.
 */
int do_madvise(struct actor *a, const __u64 *arg)
{
	static const int advices[] = {
		0, 1, 2, 3, 4, 4, 4, 8, 9, 10, 11, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
		22, 23, 23, 24, 25, 25, 101, 102, 103, 5, 6, 7, 26, 99, -1,
	};
	int advice = advices[arg[3] % ARRAY_SIZE(advices)], err;
	unsigned int slot;
	__u64 u, nr, i;

	(void)a;
	if (core_would_warn(advice))
		return SKIPPED;
	slot = pick_range(arg, &u, &nr);
	if (arg[3] >= 128 && advice != 102)
		slot = 0;
	pthread_mutex_lock(&map_lock);
	err = result(madvise(slot_addr(slot, u * UNIT), nr * UNIT, advice));
	for (i = u; i < u + nr; i++) {
		__u8 *m = &slot_map[slot][i];

		if (!*m)
			continue;
		if (advice == MADV_DOFORK || advice == MADV_DONTFORK) {
			/* Where there are gaps the rest is done all the same. */
			if (err && err != -ENOMEM)
				*m |= slot ? M_ODD : 0;
			else
				*m = (*m & ~M_FORK) | (advice == MADV_DOFORK ? M_FORK : 0);
		}
		if (!err && (advice == 102 || advice == 103))
			*m |= M_ODD;
	}
	pthread_mutex_unlock(&map_lock);
	if (!err && (advice == MADV_FREE || advice == MADV_REMOVE || advice == MADV_WIPEONFORK))
		fail("madvise(%d) succeeds", advice);
	MAY(err, EINVAL, ENOMEM, EFAULT, EBUSY, EIO, EINTR, EAGAIN, EOPNOTSUPP, EPERM, EACCES,
	    EBADF, ENODEV, EHWPOISON);
	return err;
}

/* Other calls on a range. */
int do_range(struct actor *a, const __u64 *arg)
{
	static unsigned char vec[UNITS_MAX];
	unsigned int slot, i;
	void *pages[8], *p;
	int nodes[8] = {}, status[8];
	__u64 u, nr;

	(void)a;
	slot = pick_range(arg, &u, &nr);
	if (arg[3] & 64)
		slot = 0;
	p = slot_addr(slot, u * UNIT);
	switch (arg[3] % 9) {
	case 0:
		return result(mlock(p, nr * UNIT));
	case 1:
		return result(syscall(SYS_mlock2, p, nr * UNIT, 1));
	case 2:
		return result(munlock(p, nr * UNIT));
	case 3:
		return result(msync(p, nr * UNIT, MS_SYNC | MS_INVALIDATE));
	case 4:
		return result(msync(p, nr * UNIT, MS_ASYNC));
	case 5:
		return result(mincore(p, nr * UNIT, vec));
	case 6:
		return result(syscall(SYS_mbind, p, nr * UNIT, 0, NULL, 0, 2 /* MPOL_MF_MOVE */));
	default:
		for (i = 0; i < 8; i++)
			pages[i] = (char *)p + (i % nr) * UNIT;
		return result(syscall(SYS_move_pages, 0, 8, pages, arg[3] & 32 ? nodes : NULL,
				      status, 2 /* MPOL_MF_MOVE */));
	}
}

/* Children */

/* In the child: the range is mapped as fork() left it, or not at all. */
static int child(unsigned int slot, __u64 u, __u64 nr, __u64 seed)
{
	struct work w = { .p = slot_addr(slot, u * UNIT), .u = u, .nr = nr, .seed = seed };
	bool odd = false, mapped_all = true, none = true, writable = true;
	__u64 i;
	int sig;

	for (i = u; i < u + nr; i++) {
		__u8 m = slot_map[slot][i];

		odd = odd || m & M_ODD;
		mapped_all = mapped_all && m & M_FORK && m & M_READ;
		writable = writable && m & M_WRITE;
		none = none && !(m & M_FORK);
	}
	if (mapped_all && writable && !odd) {
		sig = guarded(write_units, &w);
		return sig ? 2 : 1;
	}
	sig = guarded(weak_units, &w);
	if (w.bad)
		complain(&w, "child");
	if (!odd && none && sig != SIGSEGV)
		return 3;
	if (!odd && mapped_all && sig)
		return 2;
	return 0;
}

int do_fork(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	unsigned int slot = (unsigned int)(arg[2] % SLOTS);
	int status = 0;
	__u64 u, nr;
	pid_t pid;

	if (!e)
		return SKIPPED;
	nr = pick_units(e, arg[1], 1 + arg[2] % 16, &u);
	set_units(u, nr, UNKNOWN, 0);
	pthread_mutex_lock(&map_lock);
	pid = fork();
	if (!pid)
		_exit(child(slot, u, nr, arg[1]));
	pthread_mutex_unlock(&map_lock);
	if (pid < 0) {
		put(e);
		return -errno;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && !may_oom)
		fail("fork: the child died of signal %d", WTERMSIG(status));
	if (WIFEXITED(status) && WEXITSTATUS(status) > 1 && !may_oom)
		fail("fork: %s, slot %u, unit %llu and the %llu after it",
		     WEXITSTATUS(status) == 2 ? "the child cannot reach what it inherits" :
		     "the child reaches what it does not inherit", slot, u, nr);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		set_units(u, nr, WRITTEN, arg[1]);
	check_units(0, u, nr);
	put(e);
	return 0;
}

/* Pages held by others */

int do_vmsplice(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	struct iovec iov;
	ssize_t got;
	__u64 u, nr, i;

	if (!e)
		return SKIPPED;
	nr = pick_units(e, arg[1], 1 + arg[2] % 8, &u);
	pthread_mutex_lock(&pipe_lock);
	nr = MIN(nr, (__u64)(PIPE_UNITS - pipe_nr));
	iov.iov_base = slot_addr(0, u * UNIT);
	iov.iov_len = nr * UNIT;
	got = nr ? vmsplice(pipe_fd[1], &iov, 1, SPLICE_F_NONBLOCK) : -1;
	if (got > 0 && got % UNIT)
		fail("vmsplice: %zd bytes", got);
	for (i = 0; got > 0 && i < (__u64)got / UNIT; i++)
		pipe_unit[pipe_nr++] = u + i;
	pthread_mutex_unlock(&pipe_lock);
	put(e);
	return got < 0 ? -EAGAIN : 0;
}

/* What was in the page when it was put there, or later: no other place's. */
int do_drain(struct actor *a, const __u64 *arg)
{
	__u64 buf[UNIT / 8];
	unsigned int nr = 1 + (unsigned int)(arg[0] % PIPE_UNITS);
	ssize_t got;
	int null;

	(void)a;
	pthread_mutex_lock(&pipe_lock);
	while (nr-- && pipe_nr) {
		struct work w = { .p = (char *)buf, .u = pipe_unit[0], .nr = 1,
				  .torn = true };

		if (arg[1] & 1) {
			null = open("/dev/null", O_WRONLY | O_CLOEXEC);
			got = splice(pipe_fd[0], NULL, null, NULL, UNIT, SPLICE_F_NONBLOCK);
			close(null);
		} else {
			got = read(pipe_fd[0], buf, UNIT);
			if (got == UNIT)
				weak_units(&w);
			complain(&w, "drain");
		}
		if (got != UNIT) {
			if (got < 0 && errno == EINTR)
				break;
			fail("drain: %zd of %u, %s", got, UNIT, strerror(errno));
		}
		memmove(pipe_unit, pipe_unit + 1, --pipe_nr * sizeof(pipe_unit[0]));
	}
	pthread_mutex_unlock(&pipe_lock);
	return 0;
}

/* Copies by the kernel */

/* From this process' memory, or another's. */
int do_readv(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	char buf[COPY_UNITS * UNIT] __attribute__((aligned(8)));
	unsigned int who = (unsigned int)(arg[1] % run->prog->cfg.procs);
	struct iovec to, from;
	struct work w = { .p = buf };
	ssize_t got;

	if (!e)
		return SKIPPED;
	w.nr = pick_units(e, arg[1], 1 + arg[2] % COPY_UNITS, &w.u);
	to.iov_base = buf;
	from.iov_base = slot_addr(0, w.u * UNIT);
	to.iov_len = w.nr * UNIT;
	from.iov_len = to.iov_len;
	if (arg[2] & 32)
		got = pread(mem_fd, buf, to.iov_len, (long)from.iov_base);
	else if (!atomic_load(&run->proc[who].ready))
		got = -1;
	else
		got = process_vm_readv(atomic_load(&run->proc[who].pid), &to, 1, &from, 1, 0);
	if (got > 0) {
		w.nr = (__u64)got / UNIT;
		strong_units(&w);
		complain(&w, "readv");
	}
	put(e);
	return got < 0 ? -EFAULT : 0;
}

static void make_units(char *buf, __u64 u, __u64 nr, __u64 seed)
{
	struct work w = { .p = buf, .u = u, .nr = nr, .seed = seed };

	write_units(&w);
}

/* What was written stands, how far that may be; the rest is not known. */
static void written(__u64 u, __u64 nr, __u64 seed, ssize_t got)
{
	set_units(u, nr, UNKNOWN, 0);
	if (got > 0)
		set_units(u, (__u64)got / UNIT, WRITTEN, seed);
	check_units(0, u, nr);
}

int do_writev(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	char buf[COPY_UNITS * UNIT] __attribute__((aligned(8)));
	unsigned int who = (unsigned int)(arg[1] % run->prog->cfg.procs);
	struct iovec to, from;
	ssize_t got = -1;
	__u64 u, nr;

	if (!e)
		return SKIPPED;
	nr = pick_units(e, arg[1], 1 + arg[3] % COPY_UNITS, &u);
	make_units(buf, u, nr, arg[2]);
	set_units(u, nr, UNKNOWN, 0);
	from.iov_base = buf;
	to.iov_base = slot_addr(0, u * UNIT);
	from.iov_len = nr * UNIT;
	to.iov_len = from.iov_len;
	if (arg[3] & 32)
		got = pwrite(mem_fd, buf, from.iov_len, (long)to.iov_base);
	else if (atomic_load(&run->proc[who].ready))
		got = process_vm_writev(atomic_load(&run->proc[who].pid), &from, 1, &to, 1, 0);
	written(u, nr, arg[2], got);
	put(e);
	return got < 0 ? -EFAULT : 0;
}

/* read() of a pipe into the arena, and write() to it from there. */
int do_pipe(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	char buf[COPY_UNITS * UNIT] __attribute__((aligned(8)));
	struct work w = { .p = buf };
	int fd[2];
	ssize_t got;
	__u64 u, nr;

	if (!e)
		return SKIPPED;
	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC)) {
		put(e);
		return -errno;
	}
	nr = pick_units(e, arg[1], 1 + arg[3] % COPY_UNITS, &u);
	make_units(buf, u, nr, arg[2]);
	got = write(fd[1], buf, nr * UNIT);
	set_units(u, nr, UNKNOWN, 0);
	if (got > 0)
		got = read(fd[0], slot_addr(0, u * UNIT), (size_t)got);
	written(u, nr, arg[2], got);
	w.u = u;
	w.nr = nr;
	got = write(fd[1], slot_addr(0, u * UNIT), nr * UNIT);
	if (got > 0)
		got = read(fd[0], buf, (size_t)got);
	w.nr = got > 0 ? (__u64)got / UNIT : 0;
	strong_units(&w);
	complain(&w, "pipe");
	close(fd[0]);
	close(fd[1]);
	put(e);
	return 0;
}
