// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Races on purpose.
 *
 * A duel has two sides, which do something to one arena at the same time, many times over.
 * Each says which window it aims at: the place between two steps of the first side where the
 * second one must do no harm.  After every round the contents of what is alive, the figures,
 * the recount, and what the duel itself says must be so are looked at.
 *
 * A module that was built for tests (kmod/race.h) holds the first side up in a window for a
 * few milliseconds, and tells that it is there: then the second side begins.  So it comes in
 * between in each of these rounds, and a window that nobody comes to fails the test.  With any
 * module, and without windows, the second side begins after a time that differs from round to
 * round, from nothing to a little more than what the first side takes.
 *
 * PAGEARENA_RACE_SECONDS is how long it takes for all duels together; a machine may be too slow
 * for that, as there is a round in every window, and a few without.
 */
#include <pthread.h>
#include <sys/uio.h>

#include "pa_test.h"

#define CHUNK		(2 * MiB)
#define PAGE		pa_page
#define PAGE_MAX	(64 * KiB)
/* Rounds of a duel: at most so many in each window, at least so many without. */
#define ROUNDS_MAX	8
#define ROUNDS_MIN	3
#define DROP_CACHES	"/proc/sys/vm/drop_caches"

/* As in kmod/race.h. */
enum window {
	NONE,
	CHUNK_FOUND,
	FILL,
	MAP,
	DETACHED,
	ZAPPED,
	PROMOTE_ZAP,
	PROMOTE_COPY,
	PROMOTE_SET,
	DEMOTE_ZAP,
	DEMOTE_COPY,
	DEMOTE_SET,
	SHRINK,
	SHRUNK,
	ANEW,
	MAPPING,
	DESTROY,
	FORGOTTEN,
};

/* What is always alive, at both sides of what a duel is about, in the same chunk. */
#define KEPT		MAX(16 * KiB, PAGE)
#define OBJECT		MAX(64 * KiB, 2 * PAGE)
#define OBJECT_MAX	(2 * PAGE_MAX)

struct ring {
	struct arena a;
	__u64 kept[2];
	/* What it is about: a span of OBJECT bytes. */
	__u64 at;
	/* It is allocated, and these are its contents; 0: whatever. */
	bool alive;
	__u64 seed;
	/* Another mapping. */
	char *second;
	__u64 second_length;
	/* Addresses that were reserved for it to move to. */
	char *hole;
	/* Another process that has it mapped, and how it hears of things. */
	pid_t pid;
	volatile int *signals;
	int pipe[2];
	unsigned int arenas;
	/* What a call reads and writes. */
	void *page;
	/* What came of it, for check(). */
	int one, other;
	__u64 mark;
};

struct duel {
	const char *name;
	void (*make)(struct ring *r);
	void (*one)(struct ring *r);
	void (*other)(struct ring *r);
	/* What must be so, apart from what is always so. */
	void (*check)(struct ring *r);
	enum window windows[6];
};

/* Situations */

static void make(struct ring *r, struct pagearena_setup setup, bool touched)
{
	unsigned int i;

	setup.arena_bytes = 4 * CHUNK;
	pa_open(&r->a, setup);
	r->kept[0] = pa_alloc(&r->a, KEPT, 0, 0);
	/* Whole granules. */
	r->at = pa_alloc(&r->a, OBJECT, OBJECT, 0);
	r->kept[1] = pa_alloc(&r->a, KEPT, 0, 0);
	for (i = 0; i < 2; i++)
		pa_fill(r->a.base + r->kept[i], KEPT, 1 + r->kept[i]);
	r->alive = true;
	if (touched) {
		r->seed = 5;
		pa_fill(r->a.base + r->at, OBJECT, r->seed);
	}
}

static void make_untouched(struct ring *r)
{
	make(r, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER }, false);
}

/* So many empty chunks stay in an arena; see PA_KEPT_MAX. */
#define KEPT_CHUNKS	128

/* A chunk with nothing but a page of what it is about, which will not stay when it is empty. */
static void make_lonely(struct ring *r)
{
	struct pagearena_alloc req = {
		.size = sizeof(req),
		.flags = PAGEARENA_ALLOC_FIXED,
		.length = OBJECT,
		.offset = (KEPT_CHUNKS + 8) * CHUNK,
	};
	__u64 at[KEPT_CHUNKS];
	unsigned int i;

	pa_open(&r->a, (struct pagearena_setup){ .arena_bytes = (KEPT_CHUNKS + 16) * CHUNK,
						 .huge = PAGEARENA_HUGE_NEVER });
	for (i = 0; i < 2; i++) {
		r->kept[i] = pa_alloc(&r->a, KEPT, 0, 0);
		pa_fill(r->a.base + r->kept[i], KEPT, 1 + r->kept[i]);
	}
	for (i = 0; i < KEPT_CHUNKS; i++) {
		at[i] = pa_alloc(&r->a, PAGE, CHUNK, 0);
		CHECK_EQ(pa_poke(r->a.base + at[i], 1), 0);
	}
	for (i = 0; i < KEPT_CHUNKS; i++)
		pa_free(&r->a, at[i]);
	pa_scavenge(&r->a, ALL, 0, NULL);
	CHECK(!ioctl(r->a.fd, PAGEARENA_IOC_ALLOC, &req));
	r->at = req.offset;
	r->alive = true;
	CHECK_EQ(pa_poke(r->a.base + r->at + PAGE, 1), 0);
}

static void make_small(struct ring *r)
{
	make(r, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER }, true);
}

static void make_off(struct ring *r)
{
	make(r, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_OFF, .granule = 64 * KiB }, true);
}

static void make_off_untouched(struct ring *r)
{
	make(r, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_OFF, .granule = 64 * KiB },
	     false);
}

static void make_huge(struct ring *r)
{
	make(r, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_ALWAYS }, true);
	CHECK_EQ(pa_stats(r->a.fd).huge_bytes, CHUNK);
}

static void make_debug(struct ring *r)
{
	make(r, (struct pagearena_setup){ .flags = PAGEARENA_SETUP_DEBUG }, true);
}

static void unmap(struct ring *r)
{
	CHECK(!madvise(r->a.base, r->a.bytes, MADV_DONTNEED));
}

static void make_unmapped(struct ring *r)
{
	make_small(r);
	unmap(r);
}

static void make_unmapped_huge(struct ring *r)
{
	make_huge(r);
	unmap(r);
}

static void free_object(struct ring *r)
{
	pa_free(&r->a, r->at);
	r->alive = false;
}

/* As much is free elsewhere in the chunk that the shrinker is told of it at once. */
static void make_warm(struct ring *r)
{
	__u64 at;

	make_small(r);
	at = pa_alloc(&r->a, 8 * OBJECT, 0, 0);
	pa_fill(r->a.base + at, 8 * OBJECT, 3);
	pa_free(&r->a, at);
}

static void make_free(struct ring *r)
{
	make_warm(r);
	free_object(r);
}

static void make_warm_unmapped(struct ring *r)
{
	make_warm(r);
	unmap(r);
}

/* It is a huge chunk of its own. */
static void make_whole_unmapped(struct ring *r)
{
	make_huge(r);
	free_object(r);
	r->at = pa_alloc(&r->a, CHUNK, CHUNK, 0);
	r->alive = true;
	r->seed = 5;
	pa_fill(r->a.base + r->at, OBJECT, r->seed);
	CHECK_EQ(pa_stats(r->a.fd).huge_bytes, 2 * CHUNK);
	unmap(r);
}

/* Of a huge chunk only a little is alive. */
static void make_sparse(struct ring *r)
{
	make_huge(r);
	free_object(r);
}

static void make_sparse_unmapped(struct ring *r)
{
	make_sparse(r);
	unmap(r);
}

static void map_second(struct ring *r)
{
	r->second_length = r->a.bytes;
	r->second = mmap(NULL, r->second_length, PROT_READ | PROT_WRITE, MAP_SHARED, r->a.fd, 0);
	CHECK(r->second != MAP_FAILED);
	CHECK(pa_filled(r->second + r->at, OBJECT, r->seed));
}

static void make_twice(struct ring *r)
{
	make_small(r);
	map_second(r);
}

static void make_twice_huge(struct ring *r)
{
	make_huge(r);
	map_second(r);
}

/* Background work is due. */
static void make_busy(struct ring *r)
{
	struct pagearena_policy req = {
		.set = PAGEARENA_POLICY_POOL | PAGEARENA_POLICY_PROMOTE_PERCENT |
		       PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_PROMOTE_DENSITY |
		       PAGEARENA_POLICY_SCAVENGE_AGE,
		.pool_bytes = CHUNK,
		.promote_percent = 100,
		.promote_density = 1,
		.scavenge_percent = 100,
	};

	make(r, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_ALWAYS }, true);
	CHECK(!pa_policy_fd(r->a.fd, &req));
	free_object(r);
}

/* A child that has it mapped, touches it all the time, and waits to be killed. */
static void start_child(struct ring *r)
{
	CHECK(!madvise(r->a.base, r->a.bytes, MADV_DOFORK));
	r->pid = fork();
	CHECK(r->pid >= 0);
	if (r->pid)
		return;
	for (;;) {
		unsigned char c;

		pa_peek(r->a.base + r->kept[0], &c);
		pa_peek(r->a.base + r->at, &c);
	}
}

static void make_small_child(struct ring *r)
{
	make_small(r);
	start_child(r);
}

static void make_huge_child(struct ring *r)
{
	make_huge(r);
	start_child(r);
}

/* Sides */

static int sig_or_zero(int sig)
{
	return -sig;
}

static void mark(struct ring *r, int *ret)
{
	*ret = sig_or_zero(pa_poke(r->a.base + r->at, 0xa5));
	/* The page is not as it was filled. */
	r->seed = 0;
}

static void one_touch(struct ring *r)
{
	mark(r, &r->one);
}

static void one_touch_kept(struct ring *r)
{
	unsigned char c;

	r->one = sig_or_zero(pa_peek(r->a.base + r->kept[0], &c));
}

static int release(struct ring *r)
{
	struct pagearena_scavenge req = { .size = sizeof(req), .bytes = ALL };

	r->alive = false;
	if (pa_free_fd(r->a.fd, r->at, OBJECT))
		return errno;
	return ioctl(r->a.fd, PAGEARENA_IOC_SCAVENGE, &req) ? errno : 0;
}

static void one_release(struct ring *r)
{
	r->one = release(r);
}

static void other_release(struct ring *r)
{
	r->other = release(r);
}

/* The structure is on a page of its own. */
static void make_structure(struct ring *r)
{
	struct pagearena_alloc req = {
		.size = sizeof(req),
		.flags = PAGEARENA_ALLOC_POPULATE,
		.length = OBJECT,
	};

	make_small(r);
	r->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(r->page != MAP_FAILED);
	memcpy(r->page, &req, sizeof(req));
}

static void one_alloc(struct ring *r)
{
	r->one = ioctl(r->a.fd, PAGEARENA_IOC_ALLOC, r->page) ? errno : 0;
}

static void other_mprotect(struct ring *r)
{
	CHECK(!mprotect(r->page, PAGE, PROT_NONE));
}

/* What could not be told of is not there. */
static void check_alloc(struct ring *r)
{
	CHECK(r->one == 0 || r->one == EFAULT);
	CHECK_EQ(pa_stats(r->a.fd).spans_inuse, r->one ? 3 : 4);
}

static int promote(struct ring *r)
{
	struct pagearena_promote req = { .size = sizeof(req), .length = CHUNK };

	return ioctl(r->a.fd, PAGEARENA_IOC_PROMOTE, &req) ? errno : 0;
}

static void one_promote(struct ring *r)
{
	r->one = promote(r);
}

static void other_promote(struct ring *r)
{
	r->other = promote(r);
}

static int demote(struct ring *r)
{
	struct pagearena_scavenge req = {
		.size = sizeof(req),
		.bytes = ALL,
		.flags = PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE,
	};

	return ioctl(r->a.fd, PAGEARENA_IOC_SCAVENGE, &req) ? errno : 0;
}

static void one_demote(struct ring *r)
{
	r->one = demote(r);
}

static void other_demote(struct ring *r)
{
	r->other = demote(r);
}

static int shrink(struct ring *r)
{
	(void)r;
	return pa_write_text(DROP_CACHES, "2") ? 0 : errno;
}

static void one_shrink(struct ring *r)
{
	r->one = shrink(r);
}

static void other_shrink(struct ring *r)
{
	r->other = shrink(r);
}

static void other_touch(struct ring *r)
{
	mark(r, &r->other);
}

/* Writes to what is being released, and then wants just that place. */
static void other_touch_and_alloc(struct ring *r)
{
	struct pagearena_alloc req = {
		.size = sizeof(req),
		.flags = PAGEARENA_ALLOC_FIXED | PAGEARENA_ALLOC_ZERO,
		.offset = r->at,
		.length = OBJECT,
	};
	__u64 i;

	for (i = 0; i < OBJECT; i += PAGE)
		pa_poke(r->a.base + r->at + i, 0xa5);
	r->other = ioctl(r->a.fd, PAGEARENA_IOC_ALLOC, &req) ? errno : 0;
	if (r->other)
		return;
	CHECK(pa_zero(r->a.base + r->at, OBJECT));
	pa_fill(r->a.base + r->at, OBJECT, 9);
}

/* It is free, and the shrinker wants it. */
static void other_free_and_shrink(struct ring *r)
{
	free_object(r);
	r->other = shrink(r);
}

/* All of it goes, and is there again. */
static void other_release_and_alloc(struct ring *r)
{
	struct pagearena_alloc req = {
		.size = sizeof(req),
		.flags = PAGEARENA_ALLOC_FIXED,
		.offset = r->at,
		.length = OBJECT,
	};

	r->other = release(r);
	CHECK(!ioctl(r->a.fd, PAGEARENA_IOC_ALLOC, &req));
	r->alive = true;
	pa_fill(r->a.base + r->at + PAGE, OBJECT - PAGE, 17);
}

/* Something else that is allocated, written and verified, with what it needs of the kernel. */
static void other_alloc(struct ring *r)
{
	__u64 at = pa_alloc(&r->a, OBJECT, 0, 0);

	pa_fill(r->a.base + at, OBJECT, 7);
	CHECK(pa_filled(r->a.base + at, OBJECT, 7));
	pa_free(&r->a, at);
}

/* A span goes, another comes, most likely to the same place. */
static void other_free_and_alloc(struct ring *r)
{
	pa_free(&r->a, r->at);
	r->at = pa_alloc(&r->a, OBJECT, 0, 0);
	r->seed = 11;
	pa_fill(r->a.base + r->at, OBJECT, r->seed);
}

/* The other way round: it comes to a place where nothing was alive. */
static void other_alloc_and_free(struct ring *r)
{
	__u64 at = pa_alloc(&r->a, OBJECT, 0, 0);

	pa_fill(r->a.base + at, OBJECT, 15);
	pa_free(&r->a, r->at);
	r->at = at;
	r->seed = 15;
}

static void other_free(struct ring *r)
{
	r->other = pa_free_fd(r->a.fd, r->at, OBJECT) ? errno : 0;
}

static void one_free(struct ring *r)
{
	r->alive = false;
	r->one = pa_free_fd(r->a.fd, r->at, OBJECT) ? errno : 0;
}

static void other_munmap_part(struct ring *r)
{
	CHECK(!munmap(r->second + r->at, OBJECT));
	CHECK(pa_filled(r->second + r->kept[0], KEPT, 1 + r->kept[0]));
	CHECK(pa_filled(r->second + r->kept[1], KEPT, 1 + r->kept[1]));
}

static void other_mremap(struct ring *r)
{
	char *to;

	r->hole = mmap(NULL, r->a.bytes + CHUNK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(r->hole != MAP_FAILED);
	/* Whole page tables move where the distance is a multiple of what they map. */
	to = (char *)ALIGN_UP((uintptr_t)r->hole, CHUNK) + (uintptr_t)r->second % CHUNK;
	CHECK(mremap(r->second, r->second_length, r->second_length,
		     MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	r->second = to;
}

/* Takes a page into a pipe, which holds it, and then writes to it. */
static void other_gup(struct ring *r)
{
	struct iovec iov = { r->a.base + r->at, PAGE };

	CHECK(!pipe(r->pipe));
	CHECK_EQ(vmsplice(r->pipe[1], &iov, 1, 0), PAGE);
	r->mark = pa_now();
	*(volatile __u64 *)(r->a.base + r->at) = r->mark;
	r->seed = 0;
}

/* Reads through the kernel, as a debugger does. */
static void other_peek(struct ring *r)
{
	static char copy[OBJECT_MAX];
	struct iovec to = { copy, OBJECT }, from = { r->a.base + r->at, OBJECT };

	CHECK_EQ(process_vm_readv(getpid(), &to, 1, &from, 1, 0), OBJECT);
	CHECK(pa_filled(copy, OBJECT, r->seed));
}

/* The child looks at what was released when the release is over. */
static void other_fork(struct ring *r)
{
	unsigned char c;

	CHECK(!madvise(r->a.base, r->a.bytes, MADV_DOFORK));
	CHECK(!pipe(r->pipe));
	r->pid = fork();
	CHECK(r->pid >= 0);
	if (r->pid)
		return;
	if (read(r->pipe[0], &c, 1) != 1 || pa_peek(r->a.base + r->at, &c) != SIGSEGV ||
	    !pa_filled(r->a.base + r->kept[0], KEPT, 1 + r->kept[0]))
		_exit(KSFT_FAIL);
	_exit(0);
}

static void end_child(struct ring *r)
{
	CHECK(!kill(r->pid, SIGKILL));
	CHECK_EQ(waitpid(r->pid, NULL, 0), r->pid);
	r->pid = 0;
}

static void other_kill(struct ring *r)
{
	end_child(r);
}

static void other_kill_only(struct ring *r)
{
	CHECK(!kill(r->pid, SIGKILL));
}

/* A child that makes the call when it is told to. */
static void call_in_child(struct ring *r, int (*call)(struct ring *r))
{
	r->signals = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(r->signals != MAP_FAILED);
	CHECK(!madvise(r->a.base, r->a.bytes, MADV_DOFORK));
	r->pid = fork();
	CHECK(r->pid >= 0);
	if (r->pid) {
		while (!r->signals[0])
			usleep(100);
		return;
	}
	/* So that it is this process that maps its chunks anew. */
	pa_map(&r->a);
	CHECK(pa_filled(r->a.base + r->at, OBJECT, r->seed));
	r->signals[0] = 1;
	while (!r->signals[1])
		;
	call(r);
	_exit(0);
}

static void make_promoting_child(struct ring *r)
{
	make_small(r);
	call_in_child(r, promote);
}

static void make_demoting_child(struct ring *r)
{
	make_huge(r);
	call_in_child(r, demote);
}

static void make_releasing_child(struct ring *r)
{
	make_small(r);
	call_in_child(r, release);
}

static void one_child(struct ring *r)
{
	siginfo_t info;

	r->signals[1] = 1;
	/* Its number stays its own until clear(). */
	CHECK(!waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOWAIT));
}

static void drop_mappings(struct ring *r)
{
	if (r->a.base)
		CHECK(!munmap(r->a.base, r->a.bytes));
	r->a.base = NULL;
}

/* One that is not mapped, so that the descriptor is all there is. */
static void make_closed_mapping(struct ring *r)
{
	make_small(r);
	drop_mappings(r);
}

static void one_mmap(struct ring *r)
{
	char *p = mmap(NULL, r->a.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->a.fd, 0);

	r->one = p == MAP_FAILED ? errno : 0;
	if (!r->one)
		r->a.base = p;
}

static void other_close(struct ring *r)
{
	CHECK(!close(r->a.fd));
	r->a.fd = -1;
}

static void close_all(struct ring *r)
{
	drop_mappings(r);
	other_close(r);
}

static void one_closing(struct ring *r)
{
	other_close(r);
}

static void one_close(struct ring *r)
{
	close_all(r);
}

static void other_close_all(struct ring *r)
{
	close_all(r);
}

static void one_munmap(struct ring *r)
{
	drop_mappings(r);
}

/* What debugfs has of an arena that is just going, and a new arena. */
static void make_looked_at(struct ring *r)
{
	char path[128];

	make_small(r);
	snprintf(path, sizeof(path), DEBUGFS "/%llu/recount", (unsigned long long)r->a.id);
	r->pipe[0] = open(path, O_RDONLY | O_CLOEXEC);
	r->pipe[1] = dup(r->pipe[0]);
}

static void other_look(struct ring *r)
{
	char text[64];
	struct arena a;
	ssize_t n = r->pipe[0] < 0 ? 0 : pread(r->pipe[0], text, sizeof(text) - 1, 0);

	if (n > 0) {
		text[n] = 0;
		CHECK(!strcmp(text, "ok\n"));
	}
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = CHUNK });
	pa_poke(a.base + pa_alloc(&a, PAGE, 0, 0), 1);
	pa_close(&a);
}

/* Something else is mapped where the arena was. */
static void other_map_over(struct ring *r)
{
	CHECK(mmap(r->a.base, r->a.bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == r->a.base);
	pa_fill(r->a.base + r->at, OBJECT, 13);
}

static void other_munmap_all(struct ring *r)
{
	drop_mappings(r);
}

/* Checks */

/* What is released is out of reach, wherever, and its memory is not there. */
static void check_released(struct ring *r)
{
	struct pagearena_stats st = pa_stats(r->a.fd);
	unsigned char c;

	CHECK(r->one == 0 || r->one == -SIGSEGV);
	CHECK(r->other == 0 || r->other == -SIGSEGV);
	CHECK_EQ(st.backed_free, 0);
	CHECK_EQ(st.backed, 2 * KEPT);
	CHECK_EQ(pa_peek(r->a.base + r->at, &c), SIGSEGV);
	if (r->second)
		CHECK_EQ(pa_peek(r->second + r->at, &c), SIGSEGV);
	if (r->pid) {
		CHECK_EQ(write(r->pipe[1], "x", 1), 1);
		pa_wait_ok(r->pid);
		r->pid = 0;
	}
}

static void check_again(struct ring *r)
{
	CHECK(r->one == 0 || r->one == -SIGSEGV);
	CHECK_EQ(r->other, 0);
	CHECK(pa_filled(r->a.base + r->at + PAGE, OBJECT - PAGE, 17));
}

static void check_realloc(struct ring *r)
{
	CHECK_EQ(r->one, 0);
	CHECK(r->other == 0 || r->other == EBUSY || r->other == EEXIST);
	if (!r->other) {
		r->alive = true;
		r->seed = 9;
	}
}

/* A page that somebody holds is the page that the arena has. */
static void check_gup(struct ring *r)
{
	static __u64 words[PAGE_MAX / sizeof(__u64)];

	CHECK_EQ(r->one, 0);
	CHECK_EQ(*(volatile __u64 *)(r->a.base + r->at), r->mark);
	/* Nobody has moved it, and nobody will as long as it is held. */
	*(volatile __u64 *)(r->a.base + r->at) = ++r->mark;
	CHECK_EQ(read(r->pipe[0], words, PAGE), PAGE);
	if (words[0] != r->mark)
		pa_fail("a write was lost: the page that a pipe holds is another one");
}

static void check_marked(struct ring *r)
{
	CHECK_EQ(*(volatile unsigned char *)(r->a.base + r->at), 0xa5);
	CHECK(r->one == 0 && r->other == 0);
}

static void check_once(struct ring *r)
{
	CHECK((!r->one && r->other == ENOENT) || (r->one == ENOENT && !r->other));
}

static void check_went_well(struct ring *r)
{
	CHECK_EQ(r->one, 0);
	CHECK_EQ(r->other, 0);
}

/* The descriptor is gone; what was mapped before that stays. */
static void check_mapped(struct ring *r)
{
	CHECK(r->one == 0 || r->one == EBADF);
	if (r->one)
		return;
	CHECK(pa_filled(r->a.base + r->kept[0], KEPT, 1 + r->kept[0]));
	if (r->seed)
		CHECK(pa_filled(r->a.base + r->at, OBJECT, r->seed));
	drop_mappings(r);
}

static void check_map_over(struct ring *r)
{
	CHECK_EQ(r->one, 0);
	CHECK(pa_filled(r->a.base + r->at, OBJECT, 13));
	CHECK(!munmap(r->a.base, r->a.bytes));
	pa_map(&r->a);
}

static void check_unmapped(struct ring *r)
{
	CHECK_EQ(r->one, 0);
	pa_map(&r->a);
}

/* A child may have released it, or not come to that. */
static void check_maybe_free(struct ring *r)
{
	struct pagearena_span span = pa_query(&r->a, r->at);

	r->alive = span.state == PAGEARENA_SPAN_INUSE;
}

/* Rounds */

static int hits_fd = -1, window_fd = -1;

static bool windows_open(void)
{
	if (access(PARAMETERS "race_window", W_OK))
		return false;
	/* Both are set back, however the subtest ends. */
	pa_set_u64(PARAMETERS "race_window", NONE);
	pa_set_u64(PARAMETERS "race_us", 0);
	hits_fd = open(PARAMETERS "race_hits", O_RDONLY | O_CLOEXEC);
	window_fd = open(PARAMETERS "race_window", O_WRONLY | O_CLOEXEC);
	CHECK(hits_fd >= 0 && window_fd >= 0);
	return true;
}

static void set_window(enum window where)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", where);

	CHECK_EQ(pwrite(window_fd, text, (size_t)n, 0), n);
}

static void set_us(__u64 us)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)us);
	CHECK(pa_write_text(PARAMETERS "race_us", text));
}

static unsigned long hits(void)
{
	char text[32] = "";

	CHECK(pread(hits_fd, text, sizeof(text) - 1, 0) > 0);
	return strtoul(text, NULL, 10);
}

/* The first side has a thread of its own. */
static struct {
	const struct duel *d;
	struct ring *r;
	pthread_t thread;
	pthread_barrier_t begin, end;
	bool stop;
	volatile bool over;
	__u64 took;
} side;

static void *side_main(void *arg)
{
	(void)arg;
	for (;;) {
		__u64 start;

		pthread_barrier_wait(&side.begin);
		if (side.stop)
			return NULL;
		start = pa_now();
		side.d->one(side.r);
		side.took = pa_now() - start;
		side.over = true;
		pthread_barrier_wait(&side.end);
	}
}

static void side_start(void)
{
	CHECK(!pthread_barrier_init(&side.begin, NULL, 2));
	CHECK(!pthread_barrier_init(&side.end, NULL, 2));
	side.stop = false;
	CHECK(!pthread_create(&side.thread, NULL, side_main, NULL));
}

static void side_stop(void)
{
	side.stop = true;
	pthread_barrier_wait(&side.begin);
	CHECK(!pthread_join(side.thread, NULL));
}

static bool arenas_gone(void *arg)
{
	return pa_arenas() == *(unsigned int *)arg;
}

static void clear(struct ring *r)
{
	unsigned int i;

	if (r->pid)
		end_child(r);
	for (i = 0; i < 2; i++)
		if (r->pipe[i] > 0)
			close(r->pipe[i]);
	if (r->page)
		CHECK(!munmap(r->page, PAGE));
	if (r->signals)
		CHECK(!munmap((void *)r->signals, PAGE));
	if (r->hole)
		CHECK(!munmap(r->hole, r->a.bytes + CHUNK));
	else if (r->second)
		CHECK(!munmap(r->second, r->second_length));
	if (r->hole && r->second)
		/* Where it ends may be beyond what was reserved. */
		munmap(r->second, r->second_length);
	pa_close(&r->a);
	if (!pa_wait_until(arenas_gone, &r->arenas, 5000))
		pa_fail("%u arenas are left, %u were there", pa_arenas(), r->arenas);
}

/* What is free and has nothing behind it is out of reach. */
static void check_reach(struct arena *a)
{
	struct pagearena_span *list;
	__u32 nr = pa_spans(a->fd, &list), i;
	unsigned char c;

	for (i = 0; i < nr; i++) {
		if (list[i].state != PAGEARENA_SPAN_FREE || list[i].backed)
			continue;
		if (pa_peek(a->base + list[i].offset, &c) != SIGSEGV ||
		    pa_peek(a->base + list[i].offset + list[i].length - 1, &c) != SIGSEGV)
			pa_fail("what is free at %llu is within reach, and is not there",
				(unsigned long long)list[i].offset);
	}
	free(list);
}

/* One round: the other side begins after @delay, or when somebody is held up at @where. */
static bool fight(const struct duel *d, enum window where, __u64 delay)
{
	struct ring r = { .arenas = pa_arenas() };
	unsigned long before = 0;
	__u64 until;
	bool hit = false;

	d->make(&r);
	side.d = d;
	side.r = &r;
	side.over = false;
	if (where != NONE) {
		set_window(where);
		before = hits();
	}
	pthread_barrier_wait(&side.begin);
	if (where != NONE) {
		while (!hit && !side.over)
			hit = hits() != before;
		hit = hit || hits() != before;
		/* Nobody else shall be held up. */
		set_window(NONE);
	} else {
		until = pa_now() + delay;
		while (pa_now() < until)
			;
	}
	d->other(&r);
	pthread_barrier_wait(&side.end);

	if (d->check)
		d->check(&r);
	if (r.a.fd >= 0 && r.a.base) {
		unsigned int i;

		for (i = 0; i < 2; i++)
			if (!pa_filled(r.a.base + r.kept[i], KEPT, 1 + r.kept[i]))
				pa_fail("what is at %llu lost its contents",
					(unsigned long long)r.kept[i]);
		if (r.alive && r.seed && !pa_filled(r.a.base + r.at, OBJECT, r.seed))
			pa_fail("what it is about lost its contents");
		check_reach(&r.a);
		pa_check(&r.a);
	}
	clear(&r);
	return hit;
}

static const char *const window_names[] = {
	"none", "chunk found", "fill", "map", "detached", "zapped", "promote, zap",
	"promote, copy", "promote, set", "demote, zap", "demote, copy", "demote, set", "shrink",
	"shrunk",
	"map anew", "mmap", "destroy", "forgotten",
};

static __u64 budget(unsigned int nr);

/* Rounds with a window, as many as there are in @ns, and one for each. */
static unsigned int held_up(const struct duel *d, __u64 ns)
{
	__u64 us = pa_env("PAGEARENA_RACE_US", 4000), end = pa_now() + ns;
	unsigned int held = 0, seen = 0, i, k;

	set_us(us);
	for (i = 0; !i || (i < ROUNDS_MAX && pa_now() < end); i++) {
		for (k = 0; k < ARRAY_SIZE(d->windows) && d->windows[k]; k++) {
			/* A chance missed is made up for at once. */
			bool hit = fight(d, d->windows[k], 0) ||
				   (!(seen >> k & 1) && fight(d, d->windows[k], 0));

			held += hit;
			seen |= (unsigned int)hit << k;
		}
	}
	set_us(0);
	for (k = 0; k < ARRAY_SIZE(d->windows) && d->windows[k]; k++)
		/* Nothing is mapped anew where a PMD maps more than a chunk. */
		pa_expect(seen >> k & 1 || (d->windows[k] == ANEW && pa_folding_chunk()),
			  "%s: nobody came to the window \"%s\"", d->name,
			  window_names[d->windows[k]]);
	return held;
}

static void duels(const struct duel *list, unsigned int nr)
{
	__u64 slice = budget(nr) / nr;
	bool windows = windows_open();
	unsigned int j;

	CHECK_EQ(ARRAY_SIZE(window_names), FORGOTTEN + 1);
	side_start();
	for (j = 0; j < nr; j++) {
		const struct duel *d = &list[j];
		__u64 end = pa_now() + slice, took = 0, n;
		unsigned int held = 0;

		if (windows && d->windows[0])
			held = held_up(d, slice / 2);
		/* Spread evenly, without a pattern. */
		for (n = 0; n < ROUNDS_MIN || pa_now() < end; n++) {
			__u64 average = n ? took / n : 0;

			fight(d, NONE, average * 6 / 5 * (n * 618 % 1000) / 1000);
			took += side.took;
		}
		pa_say("%s: %llu rounds, %u with a window, %llu us", d->name,
		       (unsigned long long)n, held, (unsigned long long)(took / n / 1000));
	}
	side_stop();
}

/* Duels */

/*
 * A fault has seen that the span is allocated; it is freed and released before the fault has
 * its chunk, its folio, or its page in the page table.  It must be refused, or its page released.
 */
static const struct duel fault_release[] = {
	{ "fault, release", make_untouched, one_touch, other_release, check_released,
	  { CHUNK_FOUND, FILL, MAP } },
	{ "fault, release; huge off", make_off_untouched, one_touch, other_release,
	  check_released, { CHUNK_FOUND, FILL, MAP } },
	{ "fault, release of the chunk", make_lonely, one_touch, other_release, check_released,
	  { CHUNK_FOUND, FILL, MAP } },
	{ "fault, another chunk in its place", make_lonely, one_touch, other_release_and_alloc,
	  check_again, { CHUNK_FOUND } },
	{ "fault of what is backed, release", make_unmapped, one_touch, other_release,
	  check_released, { CHUNK_FOUND, MAP } },
};

/*
 * Pages are out of their chunk, and still mapped; or not mapped, and not free.  Whoever writes
 * there must not be seen by whoever gets the place next, and nobody gets it now.
 */
static const struct duel release_fault[] = {
	{ "release, fault and ALLOC", make_small, one_release, other_touch_and_alloc,
	  check_realloc, { DETACHED, ZAPPED } },
	{ "release, fault and ALLOC; huge off", make_off, one_release, other_touch_and_alloc,
	  check_realloc, { DETACHED, ZAPPED } },
	{ "release, ALLOC elsewhere", make_small, one_release, other_alloc, NULL,
	  { DETACHED, ZAPPED } },
};

/*
 * The zap goes through the mappings of the arena while one of them goes, moves with its page
 * tables, or is copied.  No copy of an entry may be left.
 */
static const struct duel release_munmap[] = {
	{ "release, munmap", make_twice, one_release, other_munmap_part, check_released,
	  { DETACHED, ZAPPED } },
	{ "release, mremap", make_twice, one_release, other_mremap, check_released,
	  { DETACHED, ZAPPED } },
	{ "release, fork", make_small, one_release, other_fork, check_released,
	  { DETACHED, ZAPPED } },
	{ "promote, mremap", make_twice, one_promote, other_mremap, check_went_well,
	  { PROMOTE_ZAP, PROMOTE_COPY, PROMOTE_SET } },
	{ "demote, mremap", make_twice_huge, one_demote, other_mremap, check_went_well,
	  { DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
};

/*
 * Somebody gets hold of a page when faults have settled, but page tables have it still; or
 * wants it when it is being copied.  Either it is seen, and the page stays where it is; or who
 * wants it gets the new one.  Whatever is written through either must be one and the same.
 */
static const struct duel promote_gup[] = {
	{ "promote, GUP", make_small, one_promote, other_gup, check_gup,
	  { PROMOTE_ZAP, PROMOTE_COPY, PROMOTE_SET } },
	{ "promote, process_vm_readv()", make_small, one_promote, other_peek, check_went_well,
	  { PROMOTE_ZAP, PROMOTE_COPY, PROMOTE_SET } },
	{ "promote, write", make_small, one_promote, other_touch, check_marked,
	  { PROMOTE_ZAP, PROMOTE_COPY, PROMOTE_SET } },
};

static const struct duel demote_gup[] = {
	{ "demote, GUP", make_huge, one_demote, other_gup, check_gup,
	  { DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
	{ "demote, process_vm_readv()", make_huge, one_demote, other_peek, check_went_well,
	  { DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
	{ "demote, write", make_huge, one_demote, other_touch, check_marked,
	  { DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
};

/* A fault has a page that is not mapped yet; what moves the chunk must wait for it. */
static const struct duel fault_move[] = {
	{ "fault, promote", make_unmapped, one_touch, other_promote, check_marked,
	  { CHUNK_FOUND, MAP } },
	{ "fault, demote", make_unmapped_huge, one_touch, other_demote, check_marked,
	  { CHUNK_FOUND, MAP } },
	{ "fault of a new page, promote", make_untouched, one_touch, other_promote, check_marked,
	  { CHUNK_FOUND, FILL, MAP } },
};

/* What is alive was copied; then something dies, and something else is born. */
static const struct duel move_spans[] = {
	{ "promote, FREE and ALLOC", make_small, one_promote, other_free_and_alloc, NULL,
	  { PROMOTE_ZAP, PROMOTE_COPY, PROMOTE_SET } },
	{ "demote, FREE and ALLOC", make_huge, one_demote, other_free_and_alloc, NULL,
	  { DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
	{ "demote, ALLOC and FREE", make_huge, one_demote, other_alloc_and_free, NULL,
	  { DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
	{ "promote, ALLOC and FREE", make_small, one_promote, other_alloc_and_free, NULL,
	  { PROMOTE_ZAP, PROMOTE_COPY, PROMOTE_SET } },
	{ "demote, ALLOC", make_sparse, one_demote, other_alloc, NULL,
	  { DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
	{ "promote, demote", make_small, one_promote, other_demote, check_went_well,
	  { PROMOTE_ZAP, PROMOTE_SET } },
	{ "demote, promote", make_huge, one_demote, other_promote, check_went_well,
	  { DEMOTE_ZAP, DEMOTE_SET } },
	{ "promote, promote", make_small, one_promote, other_promote, check_went_well,
	  { PROMOTE_ZAP, PROMOTE_SET } },
	{ "promote, release", make_small, one_promote, other_release, NULL,
	  { PROMOTE_ZAP, PROMOTE_COPY, PROMOTE_SET } },
};

/* Two faults of one page: both make a folio, and one of them stays. */
static const struct duel fault_fault[] = {
	{ "fault, fault", make_untouched, one_touch, other_touch, check_marked,
	  { CHUNK_FOUND, FILL, MAP } },
	{ "fault, fault; huge off", make_off_untouched, one_touch, other_touch, check_marked,
	  { CHUNK_FOUND, FILL, MAP } },
};

/*
 * The shrinker has found a chunk and pinned its arena, when the last reference goes: the arena
 * must wait for it.  Or the arena is going when the shrinker comes.
 */
static const struct duel shrink_close[] = {
	{ "shrinker, close", make_free, one_shrink, other_close_all, NULL,
	  { SHRINK, SHRUNK, DETACHED, ZAPPED } },
	{ "shrinker that breaks, close", make_sparse, one_shrink, other_close_all, NULL,
	  { SHRINK, SHRUNK, DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
	{ "close, shrinker", make_free, one_close, other_shrink, NULL, { DESTROY, FORGOTTEN } },
	{ "close with background work due", make_busy, one_close, other_shrink, NULL,
	  { DESTROY, FORGOTTEN } },
};

/* The shrinker has a chunk that somebody uses again; or comes when a fault has its page. */
static const struct duel shrink_use[] = {
	{ "shrinker, ALLOC", make_free, one_shrink, other_alloc, NULL,
	  { SHRINK, DETACHED, ZAPPED } },
	{ "shrinker that breaks, ALLOC", make_sparse, one_shrink, other_alloc, NULL,
	  { SHRINK, DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
	{ "shrinker, release", make_warm, one_shrink, other_release, NULL,
	  { SHRINK, DETACHED, ZAPPED } },
	{ "fault, FREE and shrinker", make_warm_unmapped, one_touch, other_free_and_shrink, NULL,
	  { CHUNK_FOUND, MAP } },
	{ "fault, FREE and shrinker; huge", make_whole_unmapped, one_touch, other_free_and_shrink,
	  NULL, { CHUNK_FOUND, MAP } },
	{ "fault, shrinker", make_sparse_unmapped, one_touch_kept, other_shrink, NULL,
	  { CHUNK_FOUND, MAP } },
};

/*
 * A process that has the arena mapped dies while another one's call zaps it, copies it, or
 * frees its memory; or dies in the call.  The rest goes on as if it had never been.
 */
static const struct duel call_exit[] = {
	{ "release, exit", make_small_child, one_release, other_kill, check_released,
	  { DETACHED, ZAPPED } },
	{ "promote, exit", make_small_child, one_promote, other_kill, check_went_well,
	  { PROMOTE_ZAP, PROMOTE_COPY, PROMOTE_SET } },
	{ "demote, exit", make_huge_child, one_demote, other_kill, check_went_well,
	  { DEMOTE_ZAP, DEMOTE_COPY, DEMOTE_SET } },
	{ "exit in PROMOTE", make_promoting_child, one_child, other_kill_only, NULL,
	  { PROMOTE_ZAP, PROMOTE_SET, ANEW } },
	{ "exit in SCAVENGE", make_demoting_child, one_child, other_kill_only, NULL,
	  { DEMOTE_ZAP, DEMOTE_SET } },
	{ "exit in a release", make_releasing_child, one_child, other_kill_only,
	  check_maybe_free, { DETACHED, ZAPPED } },
};

/*
 * The descriptor goes while it is being mapped; the last mapping and the last descriptor go at
 * once; a fault still has a page when the descriptor goes.  The arena goes once, with the last.
 */
static const struct duel fput_mapping[] = {
	{ "mmap, close", make_closed_mapping, one_mmap, other_close, check_mapped, { MAPPING } },
	{ "munmap, close", make_small, one_munmap, other_close, NULL, {} },
	{ "close, munmap", make_huge, one_closing, other_munmap_all, NULL, {} },
	{ "fault, close", make_unmapped, one_touch, other_close, check_mapped, { MAP } },
	{ "close, debugfs and open", make_looked_at, one_close, other_look, NULL, { DESTROY } },
};

/* The place at which chunks are to be mapped anew is somebody else's by then. */
static const struct duel anew_munmap[] = {
	{ "map anew, munmap", make_small, one_promote, other_munmap_all, check_unmapped,
	  { ANEW } },
	{ "map anew, mmap", make_small, one_promote, other_map_over, check_map_over, { ANEW } },
	{ "map anew, write", make_small, one_promote, other_touch, check_marked, { ANEW } },
};

/* A span is allocated, and then it cannot be told where. */
static const struct duel alloc_mprotect[] = {
	{ "ALLOC, mprotect", make_structure, one_alloc, other_mprotect, check_alloc, { FILL } },
};

/* In an arena for debugging FREE releases, without the lock: the span is free only once. */
static const struct duel free_free[] = {
	{ "FREE, FREE", make_small, one_free, other_free, check_once, {} },
	{ "FREE, FREE; debug", make_debug, one_free, other_free, check_once,
	  { DETACHED, ZAPPED } },
	{ "FREE, ALLOC; debug", make_debug, one_free, other_alloc, NULL, { DETACHED, ZAPPED } },
};

/* Nanoseconds for some of the duels. */
static __u64 budget(unsigned int nr)
{
	const __u64 all = ARRAY_SIZE(fault_release) + ARRAY_SIZE(release_fault) +
			  ARRAY_SIZE(release_munmap) + ARRAY_SIZE(promote_gup) +
			  ARRAY_SIZE(demote_gup) + ARRAY_SIZE(fault_move) +
			  ARRAY_SIZE(move_spans) + ARRAY_SIZE(fault_fault) +
			  ARRAY_SIZE(shrink_close) + ARRAY_SIZE(shrink_use) +
			  ARRAY_SIZE(call_exit) + ARRAY_SIZE(fput_mapping) +
			  ARRAY_SIZE(anew_munmap) + ARRAY_SIZE(alloc_mprotect) +
			  ARRAY_SIZE(free_free);

	return pa_env("PAGEARENA_RACE_SECONDS", 30) * 1000000000 * nr / all;
}

#define DEFINE(which)							\
	static void test_##which(void)					\
	{								\
		duels(which, ARRAY_SIZE(which));				\
	}
DEFINE(fault_release)
DEFINE(release_fault)
DEFINE(release_munmap)
DEFINE(promote_gup)
DEFINE(demote_gup)
DEFINE(fault_move)
DEFINE(move_spans)
DEFINE(fault_fault)
DEFINE(shrink_close)
DEFINE(shrink_use)
DEFINE(call_exit)
DEFINE(fput_mapping)
DEFINE(alloc_mprotect)
DEFINE(free_free)

static void test_anew_munmap(void)
{
	if (pa_folding_chunk())
		SKIP("nothing is mapped anew where a PMD maps more than a chunk");
	duels(anew_munmap, ARRAY_SIZE(anew_munmap));
}

static const struct pa_test tests[] = {
	{ "fault against release", test_fault_release },
	{ "release against fault", test_release_fault },
	{ "release against munmap", test_release_munmap },
	{ "promote against GUP", test_promote_gup },
	{ "demote against GUP", test_demote_gup },
	{ "fault against promote and demote", test_fault_move },
	{ "promote and demote against spans", test_move_spans },
	{ "fault against fault", test_fault_fault },
	{ "shrinker against close", test_shrink_close },
	{ "shrinker against use", test_shrink_use },
	{ "ioctl against exit_mm", test_call_exit },
	{ "last fput against mapping", test_fput_mapping },
	{ "mapping anew against munmap", test_anew_munmap },
	{ "ALLOC against mprotect", test_alloc_mprotect },
	{ "free against free", test_free_free },
};

PA_MAIN(tests)
