// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Every call, fault and system call on a mapping, with each of its allocations and copies made
 * to fail in turn.
 *
 * The kernel's fail-nth makes the n-th allocation (failslab, fail_page_alloc) or copy from or to
 * user space (fail_usercopy) of this thread fail.  A case is a situation and a call.  For n = 1,
 * 2, ... the situation is made from scratch, and the call is made with fail-nth = n, until
 * it gets to its end without a failure.  After each:
 *
 *  - the errno (or the signal) is one that is documented,
 *  - the recount of the arena holds,
 *  - a call that failed has changed nothing, or what its case says that it may change,
 *  - all contents are there,
 *  - the same call now works, and all figures agree,
 *  - the arena goes when it is closed, and its memory with it.
 *
 * A case into which no failure could be injected has failed, unless it says why that is so.
 */
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#if __GLIBC_PREREQ(2, 35)
#include <sys/rseq.h>
#endif

#include "pa_test.h"

#define FAIL_PAGES "/sys/kernel/debug/fail_page_alloc"
#define FAIL_SLAB "/sys/kernel/debug/failslab"
#define FAIL_COPY "/sys/kernel/debug/fail_usercopy"
#define FAIL_NTH "/proc/thread-self/fail-nth"

#define CHUNK (2 * MiB)
#define PAGE (4 * KiB)
#define LIVE_MAX 128
/* More than the spans that an arena gets memory for at a time. */
#define SPARES_MAX 10
/* More allocations than any case here makes. */
#define NTH_MAX 3000

/* Two lengths that are several pages, whatever a page is: what is alive, what is freed. */
#define ALIVE MAX(32 * KiB, 2 * pa_page)
#define ROOM MAX(64 * KiB, 2 * pa_page)

/* What may be left of a cgroup's charge: partly used slabs, and what each CPU has put by. */
#define LEAK_SLACK (24 * pa_page)

/* A situation. */
struct sit {
	struct arena a;
	/* What is allocated and filled, each with its offset as the seed. */
	struct {
		__u64 at, length;
	} live[LIVE_MAX];
	unsigned int nr;
	/* What the call is about, as the situation has it. */
	__u64 at, length;
	/* Debugfs is not there when its memory could not be had, and then nothing is amiss. */
	bool no_files;
	/* What the call made. */
	void *map;
	__u64 map_length;
	int fd;
	/* Where contents are copied to. */
	char buf[64 * 1024];
};

/* Of a case. */
#define LOOSE 1 /* a failure may leave memory backed or released; spans stay */
#define STANDS 2 /* after EFAULT what was done stands */
#define SPARES 4 /* it may need memory for spans, or have some from before */
#define CLEAN 8 /* without a failure once more at the end */
#define TABLES 16 /* from 6.14 on MADV_DONTNEED may have taken page tables, too */
/*
 * Never where a PMD maps more than a chunk: its page table stays, and the mapping is VM_MIXEDMAP,
 * which is not locked.
 */
#define FOLDED 32

struct attempt {
	const char *name;
	void (*make)(struct sit *s);
	/* Returns 0, an errno, or a signal as a negative number. */
	int (*call)(struct sit *s);
	int errs[4];
	unsigned int flags;
	/* Why nothing can fail. */
	const char *never;
	/* How many allocations and copies come before those that are to fail. */
	unsigned int (*before)(void);
};

/* The kernel's side */

static int nth_fd = -1;

/*
 * The kernel writes to a thread's rseq whenever it was preempted.  If that fails, as a page is to
 * be copied after fork() and the failure hits just that, the thread is killed.
 */
static void rseq_off(void)
{
#ifdef RSEQ_SIG
	const unsigned int unregister = 1, length = 32;

	if (__rseq_size)
		syscall(SYS_rseq,
			(char *)__builtin_thread_pointer() + __rseq_offset,
			length, unregister, RSEQ_SIG);
#endif
}

static void faults_setup(void)
{
	static const char *const dirs[] = { FAIL_PAGES, FAIL_SLAB, FAIL_COPY };
	static const struct {
		const char *file, *text;
	} knobs[] = {
		{ "probability", "0" },	 { "times", "-1" },
		{ "verbose", "0" },	 { "ignore-gfp-wait", "N" },
		{ "cache-filter", "N" }, { "ignore-gfp-highmem", "N" },
		{ "min-order", "0" },
	};
	char path[128];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (access(dirs[i], F_OK))
			SKIP("no %s in this kernel", dirs[i]);
		for (j = 0; j < ARRAY_SIZE(knobs); j++) {
			snprintf(path, sizeof(path), "%s/%s", dirs[i],
				 knobs[j].file);
			if (!access(path, F_OK))
				pa_set(path, knobs[j].text);
		}
	}
	rseq_off();
	nth_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		SKIP("no %s in this kernel", FAIL_NTH);
}

static void nth_on(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	CHECK_EQ(pwrite(nth_fd, text, (size_t)len, 0), len);
}

/* What is left of what nth_on() set. */
static unsigned long nth_left;

/* Was a failure injected?  The file's own copies count, too, so they may be what fails. */
static bool nth_off(void)
{
	bool hit = true;
	char text[16];
	ssize_t n;

	n = pread(nth_fd, text, sizeof(text) - 1, 0);
	nth_left = 0;
	if (n < 0) {
		hit = false;
	} else {
		text[n] = 0;
		nth_left = strtoul(text, NULL, 10);
		hit = !nth_left;
	}
	while (pwrite(nth_fd, "0", 1, 0) != 1)
		hit = false;
	return hit;
}

/* Situations */

static void add_live(struct sit *s, __u64 at, __u64 length)
{
	CHECK_OP(s->nr, <, LIVE_MAX);
	s->live[s->nr].at = at;
	s->live[s->nr++].length = length;
}

/* At most so much of a span is filled and compared. */
#define FILLED(length) MIN(length, 16 * KiB)

static __u64 live(struct sit *s, __u64 length, __u64 align)
{
	__u64 at;

	length = ALIGN_UP(length, s->a.page);
	at = pa_alloc(&s->a, length, align, 0);
	pa_fill(s->a.base + at, FILLED(length), at);
	add_live(s, at, length);
	return at;
}

static void forget(struct sit *s, unsigned int i)
{
	s->live[i] = s->live[--s->nr];
}

static void warm(struct sit *s, __u64 length, __u64 align)
{
	__u64 at = pa_alloc(&s->a, length, align, 0);

	pa_fill(s->a.base + at, FILLED(length), at);
	pa_free(&s->a, at);
}

static void contents(struct sit *s, const char *when)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (!pa_filled(s->a.base + s->live[i].at,
			       FILLED(s->live[i].length), s->live[i].at))
			pa_fail("%s: what is at %llu is lost", when,
				(unsigned long long)s->live[i].at);
}

static void make_nothing(struct sit *s)
{
	s->a.fd = -1;
}

/* A descriptor, and no SETUP. */
static void make_bare(struct sit *s)
{
	s->a.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(s->a.fd >= 0);
}

static void make_arena(struct sit *s, struct pagearena_setup setup)
{
	if (!setup.arena_bytes)
		setup.arena_bytes = 4 * CHUNK;
	pa_open(&s->a, setup);
	s->length = 64 * KiB;
}

static void make_empty(struct sit *s)
{
	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER });
}

static void make_empty_huge(struct sit *s)
{
	make_arena(s,
		   (struct pagearena_setup){ .huge = PAGEARENA_HUGE_ALWAYS });
}

/* Spans of one span page, every other of which is free and warm. */
static void make_fragmented(struct sit *s)
{
	__u64 at[48];
	unsigned int i;

	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER });
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = pa_alloc(&s->a, s->a.page, 0, 0);
		pa_fill(s->a.base + at[i], s->a.page, at[i]);
	}
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		if (i % 2)
			pa_free(&s->a, at[i]);
		else
			add_live(s, at[i], s->a.page);
	}
	s->at = s->live[2].at;
	s->length = s->a.page;
}

/* A chunk of small folios: something live at its beginning and in its middle. */
static void make_small(struct sit *s)
{
	__u64 at;

	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER });
	s->at = live(s, ALIVE, 0);
	at = pa_alloc(&s->a, ROOM, 0, 0);
	pa_fill(s->a.base + at, ROOM, at);
	live(s, 16 * KiB, 0);
	pa_free(&s->a, at);
	s->length = 64 * KiB;
}

/* One that is huge and allocated whole, one that is huge and free. */
static void make_huge(struct sit *s)
{
	make_arena(s,
		   (struct pagearena_setup){ .huge = PAGEARENA_HUGE_ALWAYS });
	s->at = live(s, CHUNK, CHUNK);
	warm(s, CHUNK, CHUNK);
}

/* A huge chunk with little alive in it. */
static void make_sparse(struct sit *s)
{
	__u64 at, b;

	make_arena(s,
		   (struct pagearena_setup){ .huge = PAGEARENA_HUGE_ALWAYS });
	s->at = live(s, 16 * KiB, 0);
	at = pa_alloc(&s->a, CHUNK / 2, 0, 0);
	live(s, 8 * KiB, 0);
	b = pa_alloc(&s->a, CHUNK / 4, 0, 0);
	pa_free(&s->a, at);
	pa_free(&s->a, b);
	CHECK_EQ(pa_query(&s->a, 0).huge, pa_query(&s->a, 0).length);
}

/*
 * As much allocated as a hard limit allows but for 128 KiB, or some pages, which are warm
 * elsewhere.  There is room for SPARES_MAX spans of a page and one of 64 KiB, if these go.
 */
static void make_limit(struct sit *s)
{
	__u64 at, warm = MAX(128 * KiB, 12 * pa_page);

	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER,
						.limit = MAX(MiB + 16 * KiB, 27 * pa_page),
						.fit = PAGEARENA_FIT_FIRST });
	s->at = live(s, 32 * KiB, 0);
	at = pa_alloc(&s->a, warm, 0, 0);
	live(s, 32 * KiB, 0);
	pa_fill(s->a.base + at, warm, at);
	CHECK(!pa_alloc_fd(s->a.fd, MiB - 192 * KiB, 0,
			   PAGEARENA_ALLOC_POPULATE, NULL));
	pa_free(&s->a, at);
}

/* The limit broken by a huge chunk that is mostly free. */
static void make_limit_huge(struct sit *s)
{
	__u64 at;

	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_ALWAYS,
						.limit = 2 * CHUNK });
	s->at = live(s, 16 * KiB, 0);
	at = pa_alloc(&s->a, CHUNK - MAX(64 * KiB, 2 * pa_page), 0, 0);
	live(s, 16 * KiB, 0);
	pa_free(&s->a, at);
	live(s, CHUNK, CHUNK);
	s->length = CHUNK - MAX(256 * KiB, 12 * pa_page);
}

/* A soft limit that is reached. */
static void make_soft(struct sit *s)
{
	__u64 at;

	make_arena(s, (struct pagearena_setup){
			      .huge = PAGEARENA_HUGE_NEVER,
			      .limit = 128 * KiB,
			      .flags = PAGEARENA_SETUP_SOFT_LIMIT });
	s->at = live(s, 64 * KiB, 0);
	pa_fill(s->a.base + s->at, 64 * KiB, s->at);
	at = pa_alloc(&s->a, 64 * KiB, 0, 0);
	pa_fill(s->a.base + at, 64 * KiB, at);
	pa_free(&s->a, at);
}

/* All allocated but for one place. */
static void make_full(struct sit *s)
{
	__u64 hole = 0;
	unsigned int i;

	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER,
						.arena_bytes = MiB,
						.span_page = 64 * KiB });
	for (i = 0; i < 16; i++) {
		if (i == 7)
			hole = pa_alloc(&s->a, 64 * KiB, 0, 0);
		else
			live(s, 64 * KiB, 0);
	}
	pa_free(&s->a, hole);
	s->at = s->live[6].at;
}

/* A freed span is released at once. */
static void make_debug(struct sit *s)
{
	/* So many pages that the core wants memory to collect what it unmaps. */
	__u64 at, many = 24 * pa_page;

	make_arena(s, (struct pagearena_setup){ .flags = PAGEARENA_SETUP_DEBUG,
						.granule = 64 * KiB });
	s->at = live(s, many, 0);
	pa_fill(s->a.base + s->at, many, s->at);
	at = pa_alloc(&s->a, 64 * KiB, 0, 0);
	live(s, 16 * KiB, 0);
	pa_fill(s->a.base + at, 64 * KiB, at);
	pa_free(&s->a, at);
}

/*
 * The arena has memory for some spans in advance.  What is allocated here, each next to the
 * one before, takes of it.
 */
static void use_spares(struct sit *s, __u64 at, unsigned int nr)
{
	for (; nr; nr--, at += s->a.page) {
		struct pagearena_alloc req = {
			.size = sizeof(req),
			.flags = PAGEARENA_ALLOC_FIXED,
			.offset = at,
			.length = s->a.page,
		};

		CHECK(!ioctl(s->a.fd, PAGEARENA_IOC_ALLOC, &req));
	}
}

/* Memory is released in larger units than it is allocated in. */
static void make_granule(struct sit *s)
{
	__u64 at[24];
	unsigned int i;

	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER,
						.span_page = 4 * KiB,
						.granule = 64 * KiB });
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = pa_alloc(&s->a, 12 * KiB, 0, 0);
		pa_fill(s->a.base + at[i], 12 * KiB, at[i]);
	}
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		if (i % 12)
			pa_free(&s->a, at[i]);
		else
			add_live(s, at[i], 12 * KiB);
	}
	s->at = s->live[1].at;
	s->length = 100 * KiB;
	/* As many as came back when spans that are free now grew together. */
	use_spares(s, s->a.bytes - CHUNK / 2, ARRAY_SIZE(at));
}

/*
 * Never a huge folio: the arena maps its small folios by itself, several at a time, and where it
 * releases 64 KiB or more there are folios of 64 KiB.
 */
static void make_off(struct sit *s)
{
	__u64 at;

	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_OFF });
	s->at = live(s, ALIVE, 0);
	at = pa_alloc(&s->a, ROOM, 0, 0);
	pa_fill(s->a.base + at, ROOM, at);
	live(s, 16 * KiB, 0);
	pa_free(&s->a, at);
}

static void make_off_mid(struct sit *s)
{
	__u64 at;

	make_arena(s, (struct pagearena_setup){ .huge = PAGEARENA_HUGE_OFF,
						.granule = 64 * KiB });
	s->at = live(s, 128 * KiB, 64 * KiB);
	at = pa_alloc(&s->a, 128 * KiB, 64 * KiB, 0);
	pa_fill(s->a.base + at, 128 * KiB, at);
	live(s, 16 * KiB, 0);
	pa_free(&s->a, at);
}

/* Calls */

/* The n-th shall fail; 0: none.  Whether one did. */
static unsigned int nth;
static bool nth_hit;

#define NTH(expr)			\
	({				\
		long r_;		\
		int e_;			\
					\
		nth_on(nth);		\
		r_ = (long)(expr);	\
		e_ = errno;		\
		nth_hit = nth_off();	\
		errno = e_;		\
		r_;			\
	})

/* A structure that is longer than it need be is copied another way. */
#define LONGER(type)                       \
	struct {                           \
		struct pagearena_##type r; \
		__u64 tail;                \
	}

static int ioc(struct sit *s, unsigned long cmd, void *req)
{
	return NTH(ioctl(s->a.fd, cmd, req)) ? errno : 0;
}

static int call_open(struct sit *s)
{
	long fd = NTH(open(DEVICE, O_RDWR | O_CLOEXEC));

	if (fd < 0)
		return errno;
	s->a.fd = (int)fd;
	return 0;
}

static int call_info(struct sit *s)
{
	struct pagearena_info req = { .size = sizeof(req) };
	int err = ioc(s, PAGEARENA_IOC_INFO, &req);

	if (!err)
		CHECK_EQ(req.page_size, pa_page);
	return err;
}

static int setup(struct sit *s, struct pagearena_setup req)
{
	char path[128];
	int err;

	req.size = sizeof(req);
	err = ioc(s, PAGEARENA_IOC_SETUP, &req);
	if (!err || pa_info(s->a.fd).arena_bytes) {
		struct pagearena_info info = pa_info(s->a.fd);

		/* It is all there or not at all. */
		CHECK_EQ(info.arena_bytes, req.arena_bytes);
		s->a.bytes = info.arena_bytes;
		s->a.id = info.arena_id;
		s->a.page = info.span_page;
		s->a.granule = info.granule;
		pa_map(&s->a);
		live(s, 64 * KiB, 0);
		snprintf(path, sizeof(path), DEBUGFS "/%llu/recount",
			 (unsigned long long)s->a.id);
		s->no_files = nth_hit && access(path, F_OK);
	}
	return err;
}

static int call_setup(struct sit *s)
{
	return setup(s, (struct pagearena_setup){ .arena_bytes = 64 * MiB });
}

static int call_setup_limit(struct sit *s)
{
	return setup(s, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						  .limit = 16 * MiB,
						  .granule = 64 * KiB,
						  .span_page = 4 * KiB });
}

/*
 * By a user who has a quota.  To become one takes memory, too, and to set fail-nth takes root,
 * so that is part of the call.
 */
static int call_setup_quota(struct sit *s)
{
	struct pagearena_setup req = { .size = sizeof(req), .arena_bytes = CHUNK };
	int err = 0;

	pa_write_text(PARAMETERS "user_bytes_max", "67108864");
	nth_on(nth);
	if (seteuid(65534)) {
		err = errno;
	} else {
		if (ioctl(s->a.fd, PAGEARENA_IOC_SETUP, &req))
			err = errno;
		while (seteuid(0))
			;
	}
	nth_hit = nth_off();
	pa_write_text(PARAMETERS "user_bytes_max", "0");
	return err;
}

static int call_setup_debug(struct sit *s)
{
	return setup(s, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						  .flags = PAGEARENA_SETUP_DEBUG });
}

static int alloc(struct sit *s, __u64 length, __u64 align, __u32 flags,
		 __u64 at, size_t size)
{
	LONGER(alloc)
	req = {
		.r = { .size = (__u32)size,
		       .length = length,
		       .align = align,
		       .flags = flags,
		       .offset = at },
	};
	int err = ioc(s, PAGEARENA_IOC_ALLOC, &req);

	if (err)
		return err;
	if (flags & PAGEARENA_ALLOC_ZERO) {
		CHECK(req.r.out_flags & PAGEARENA_ALLOCED_ZERO);
		CHECK(pa_zero(s->a.base + req.r.offset, FILLED(req.r.length)));
	}
	if (flags & PAGEARENA_ALLOC_POPULATE)
		CHECK_EQ(pa_query(&s->a, req.r.offset).backed, req.r.length);
	pa_fill(s->a.base + req.r.offset, FILLED(req.r.length), req.r.offset);
	add_live(s, req.r.offset, req.r.length);
	return 0;
}

static int call_alloc(struct sit *s)
{
	return alloc(s, s->length, 0, 0, 0, sizeof(struct pagearena_alloc));
}

static int call_alloc_longer(struct sit *s)
{
	return alloc(s, s->length, 0, 0, 0, sizeof(struct pagearena_alloc) + 8);
}

static int call_alloc_aligned(struct sit *s)
{
	return alloc(s, s->length, 256 * KiB, 0, 0,
		     sizeof(struct pagearena_alloc));
}

static int call_alloc_zero(struct sit *s)
{
	return alloc(s, s->length, 0, PAGEARENA_ALLOC_ZERO, 0,
		     sizeof(struct pagearena_alloc));
}

static int call_alloc_populate(struct sit *s)
{
	return alloc(s, s->length, 0, PAGEARENA_ALLOC_POPULATE, 0,
		     sizeof(struct pagearena_alloc));
}

static int call_alloc_both(struct sit *s)
{
	return alloc(s, s->length, 0,
		     PAGEARENA_ALLOC_POPULATE | PAGEARENA_ALLOC_ZERO, 0,
		     sizeof(struct pagearena_alloc) + 8);
}

/* Far from all others, so that there is a gap before it. */
static int call_alloc_fixed(struct sit *s)
{
	return alloc(s, 64 * KiB, 0, PAGEARENA_ALLOC_FIXED,
		     s->a.bytes - MIN(CHUNK, s->a.bytes / 2),
		     sizeof(struct pagearena_alloc));
}

static int call_alloc_chunk(struct sit *s)
{
	return alloc(s, CHUNK, CHUNK, PAGEARENA_ALLOC_POPULATE, 0,
		     sizeof(struct pagearena_alloc));
}

static int release(struct sit *s, size_t size)
{
	LONGER(free) req = { .r = { .size = (__u32)size, .offset = s->at } };
	int err = ioc(s, PAGEARENA_IOC_FREE, &req);
	unsigned int i;

	for (i = 0; !err && i < s->nr; i++)
		if (s->live[i].at == s->at)
			forget(s, i);
	return err;
}

static int call_free(struct sit *s)
{
	return release(s, sizeof(struct pagearena_free));
}

static int call_free_longer(struct sit *s)
{
	return release(s, sizeof(struct pagearena_free) + 8);
}

static int resize(struct sit *s, __u64 length, __u32 flags)
{
	struct pagearena_resize req = {
		.size = sizeof(req),
		.offset = s->at,
		.length = length,
		.flags = flags,
	};
	int err = ioc(s, PAGEARENA_IOC_RESIZE, &req);
	unsigned int i;

	if (err)
		return err;
	for (i = 0; i < s->nr; i++) {
		if (s->live[i].at != s->at)
			continue;
		CHECK_EQ(req.old_length, s->live[i].length);
		if (flags & PAGEARENA_ALLOC_ZERO)
			CHECK(pa_zero(s->a.base + s->at + req.old_length,
				      req.length - req.old_length));
		s->live[i].length = MIN(req.old_length, req.length);
	}
	return 0;
}

static int call_shrink(struct sit *s)
{
	struct pagearena_span span = pa_query(&s->a, s->at);

	return resize(s, MAX(ALIGN_DOWN(span.length / 2, s->a.page), s->a.page),
		      0);
}

static int call_grow(struct sit *s)
{
	return resize(s, pa_query(&s->a, s->at).length + s->a.page, 0);
}

static int call_grow_populate(struct sit *s)
{
	return resize(s, pa_query(&s->a, s->at).length + 2 * s->a.page,
		      PAGEARENA_ALLOC_POPULATE | PAGEARENA_ALLOC_ZERO);
}

static int scavenge(struct sit *s, __u64 bytes, __u32 flags)
{
	struct pagearena_scavenge req = { .size = sizeof(req),
					  .bytes = bytes,
					  .flags = flags };

	return ioc(s, PAGEARENA_IOC_SCAVENGE, &req);
}

static int call_scavenge(struct sit *s)
{
	return scavenge(s, ALL, 0);
}

/* So little that a span has to be split. */
static int call_scavenge_part(struct sit *s)
{
	return scavenge(s, 4 * KiB, 0);
}

static int call_scavenge_break(struct sit *s)
{
	return scavenge(s, ALL,
			PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE);
}

static int call_promote(struct sit *s)
{
	__u32 results[4] = {};
	struct pagearena_promote req = {
		.size = sizeof(req),
		.length = ALIGN_UP(s->a.bytes, CHUNK),
		.results = (uintptr_t)results,
		.nr_results = 4,
		.flags = PAGEARENA_PROMOTE_COMPACT,
	};

	return ioc(s, PAGEARENA_IOC_PROMOTE, &req);
}

static int call_stats(struct sit *s)
{
	struct pagearena_stats req = { .size = sizeof(req) };

	return ioc(s, PAGEARENA_IOC_STATS, &req);
}

static int call_spans(struct sit *s)
{
	struct pagearena_span list[80];
	struct pagearena_spans req = {
		.size = sizeof(req),
		.spans = (uintptr_t)list,
		.count = ARRAY_SIZE(list),
	};

	memset(list, 0, sizeof(list));
	return ioc(s, PAGEARENA_IOC_SPANS, &req);
}

static int call_query(struct sit *s)
{
	struct pagearena_query req = { .size = sizeof(req), .offset = s->at };

	return ioc(s, PAGEARENA_IOC_QUERY, &req);
}

static int call_policy(struct sit *s)
{
	struct pagearena_policy req = {
		.size = sizeof(req),
		.set = PAGEARENA_POLICY_RETAIN_PERCENT,
		.retain_percent = 20,
	};

	return ioc(s, PAGEARENA_IOC_POLICY, &req);
}

/*
 * Down to what is allocated, so that free memory has to go; but for parts of granules, and of pages
 * that spans share.
 */
static int call_policy_limit(struct sit *s)
{
	struct pagearena_policy req = {
		.size = sizeof(req),
		.set = PAGEARENA_POLICY_LIMIT,
		.limit = pa_stats(s->a.fd).heap_inuse +
			 2 * (s->a.granule - MIN(s->a.page, s->a.granule)) +
			 (s->a.page < pa_page ? pa_page : 0),
	};

	return ioc(s, PAGEARENA_IOC_POLICY, &req);
}

static int call_policy_pool(struct sit *s)
{
	struct pagearena_policy req = {
		.size = sizeof(req),
		.set = PAGEARENA_POLICY_POOL,
		.pool_bytes = CHUNK,
	};

	return ioc(s, PAGEARENA_IOC_POLICY, &req);
}

static int batch(struct sit *s, struct pagearena_op *ops, unsigned int nr)
{
	struct pagearena_batch req = {
		.size = sizeof(req),
		.ops = (uintptr_t)ops,
		.count = nr,
	};
	int err = ioc(s, PAGEARENA_IOC_BATCH, &req);
	unsigned int i, j;

	for (i = 0; i < req.done; i++) {
		struct pagearena_op *op = &ops[i];

		if (op->result < 0) {
			CHECK_EQ(op->result,
				 op->op == PAGEARENA_OP_PROMOTE ? -EOPNOTSUPP : -ENOMEM);
			continue;
		}
		for (j = 0; op->op == PAGEARENA_OP_FREE && j < s->nr; j++)
			if (s->live[j].at == op->offset)
				forget(s, j);
		if (op->op == PAGEARENA_OP_ALLOC) {
			pa_fill(s->a.base + op->offset, FILLED(op->length),
				op->offset);
			add_live(s, op->offset, op->length);
		}
	}
	return err;
}

/* More than are copied at a time. */
static int call_batch_alloc(struct sit *s)
{
	struct pagearena_op ops[40] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		ops[i].op = PAGEARENA_OP_ALLOC;
		ops[i].length = s->a.page * (1 + i % 3);
		ops[i].flags = i % 8 == 7 ? PAGEARENA_ALLOC_POPULATE : 0;
	}
	return batch(s, ops, ARRAY_SIZE(ops));
}

static int call_batch_free(struct sit *s)
{
	struct pagearena_op ops[LIVE_MAX] = {};
	unsigned int i;

	for (i = 0; i < s->nr; i++) {
		ops[i].op = PAGEARENA_OP_FREE;
		ops[i].offset = s->live[i].at;
	}
	return batch(s, ops, s->nr);
}

static int call_batch_mixed(struct sit *s)
{
	__u64 unit = MAX(s->a.page, s->a.granule);
	struct pagearena_op ops[] = {
		{ .op = PAGEARENA_OP_SCAVENGE,
		  .length = ALIGN_DOWN(s->a.bytes, unit),
		  .flags = PAGEARENA_SCAVENGE_BREAK |
			   PAGEARENA_SCAVENGE_FORCE },
		{ .op = PAGEARENA_OP_ALLOC,
		  .length = s->a.page,
		  .align = 64 * KiB },
		{ .op = PAGEARENA_OP_PROMOTE,
		  .length = ALIGN_UP(s->a.bytes, CHUNK) },
		{ .op = PAGEARENA_OP_ALLOC,
		  .length = s->a.page,
		  .flags = PAGEARENA_ALLOC_ZERO | PAGEARENA_ALLOC_POPULATE },
		{ .op = PAGEARENA_OP_FREE, .offset = s->at },
	};

	return batch(s, ops, ARRAY_SIZE(ops));
}

/* Faults */

struct touch {
	volatile char *p;
	bool write;
};

/* Counts from here on, as what pa_guarded() does before makes copies, too. */
static void touch(void *arg)
{
	struct touch *t = arg;

	nth_on(nth);
	if (t->write)
		*t->p = *t->p;
	else
		(void)*t->p;
}

static int touch_at(struct sit *s, __u64 at, bool write)
{
	struct touch t = { s->a.base + at, write };
	int sig = pa_guarded(touch, &t);

	nth_hit = nth_off();
	return -sig;
}

/* What is allocated last has nothing behind it. */
static void make_untouched(struct sit *s)
{
	make_small(s);
	s->at = pa_alloc(&s->a, 256 * KiB, 0, 0) + 64 * KiB;
}

/* A place where the arena has not even a chunk. */
static void make_untouched_far(struct sit *s)
{
	make_small(s);
	s->at = pa_alloc(&s->a, CHUNK, CHUNK, 0) + 64 * KiB;
}

static void make_untouched_huge(struct sit *s)
{
	make_huge(s);
	CHECK(!pa_alloc_fd(s->a.fd, CHUNK, CHUNK, 0, NULL));
	s->at = pa_alloc(&s->a, CHUNK, CHUNK, 0) + 64 * KiB;
}

/* A huge folio lies ready. */
static void make_untouched_pool(struct sit *s)
{
	struct pagearena_policy req = { .set = PAGEARENA_POLICY_POOL,
					.pool_bytes = CHUNK };
	unsigned int i;

	make_empty_huge(s);
	s->at = pa_alloc(&s->a, CHUNK, CHUNK, 0);
	CHECK(!pa_policy_fd(s->a.fd, &req));
	for (i = 0; pa_stats(s->a.fd).pool_bytes != CHUNK; i++) {
		CHECK_OP(i, <, 10000);
		usleep(1000);
	}
}

/* A soft limit is reached, and there is something free to release first. */
static void make_untouched_soft(struct sit *s)
{
	make_soft(s);
	s->at = pa_alloc(&s->a, 256 * KiB, 0, 0) + 128 * KiB;
}

/* Backed, and not mapped. */
static void make_unmapped(struct sit *s)
{
	make_small(s);
	CHECK(!madvise(s->a.base, s->a.bytes, MADV_DONTNEED));
}

static void make_unmapped_huge(struct sit *s)
{
	make_huge(s);
	CHECK(!madvise(s->a.base, s->a.bytes, MADV_DONTNEED));
}

static void make_untouched_debug(struct sit *s)
{
	make_debug(s);
	s->at = pa_alloc(&s->a, 256 * KiB, 0, 0) + 64 * KiB;
}

static void make_untouched_granule(struct sit *s)
{
	make_granule(s);
	s->at = pa_alloc(&s->a, 256 * KiB, 64 * KiB, 0) + 64 * KiB;
}

static void make_untouched_off(struct sit *s)
{
	make_off(s);
	s->at = pa_alloc(&s->a, 256 * KiB, 0, 0) + 64 * KiB;
}

static void make_untouched_off_mid(struct sit *s)
{
	make_off_mid(s);
	s->at = pa_alloc(&s->a, 256 * KiB, 64 * KiB, 0) + 64 * KiB;
}

/* Nor is there a chunk or a page table. */
static void make_untouched_off_far(struct sit *s)
{
	make_off_mid(s);
	s->at = pa_alloc(&s->a, CHUNK, CHUNK, 0) + 64 * KiB;
}

static void make_unmapped_off(struct sit *s)
{
	make_off_mid(s);
	CHECK(!madvise(s->a.base, s->a.bytes, MADV_DONTNEED));
}

static int call_read_fault(struct sit *s)
{
	return touch_at(s, s->at, false);
}

static int call_write_fault(struct sit *s)
{
	return touch_at(s, s->at, true);
}

/* The kernel touches it: from a pipe. */
static int call_read(struct sit *s)
{
	int p[2], err;

	CHECK(!pipe(p));
	CHECK_EQ(write(p[1], "x", 1), 1);
	err = NTH(read(p[0], s->a.base + s->at, 1)) == 1 ? 0 : errno;
	close(p[0]);
	close(p[1]);
	return err;
}

static int call_gup(struct sit *s)
{
	struct iovec to = { s->buf, 4 * PAGE },
		     from = { s->a.base + s->at, 4 * PAGE };
	long n;

	memset(s->buf, 0xff, sizeof(s->buf));
	n = NTH(process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	if (n < 0)
		return errno;
	/* What was read is what is there. */
	CHECK(!memcmp(s->buf, s->a.base + s->at, (size_t)n));
	return n == 4 * (long)PAGE || nth_hit ? 0 : EIO;
}

/* Mappings */

static int call_mmap(struct sit *s)
{
	void *p = (void *)NTH(mmap(NULL, s->a.bytes, PROT_READ | PROT_WRITE,
				   MAP_SHARED, s->a.fd, 0));

	if (p == MAP_FAILED)
		return errno;
	s->map = p;
	s->map_length = s->a.bytes;
	CHECK_EQ(*(__u64 *)((char *)p + s->at), *(__u64 *)(s->a.base + s->at));
	return 0;
}

static int call_mmap_populate(struct sit *s)
{
	void *p = (void *)NTH(mmap(NULL, 16 * KiB, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_POPULATE, s->a.fd,
				   (off_t)s->at));

	if (p == MAP_FAILED)
		return errno;
	s->map = p;
	s->map_length = 16 * KiB;
	return 0;
}

/* Mapped a second time, and touched there. */
static void make_twice(struct sit *s)
{
	make_small(s);
	s->map = mmap(NULL, s->a.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      s->a.fd, 0);
	CHECK(s->map != MAP_FAILED);
	s->map_length = s->a.bytes;
	CHECK(pa_filled((char *)s->map + s->at, FILLED(32 * KiB), s->at));
}

static void make_twice_huge(struct sit *s)
{
	make_huge(s);
	s->map = mmap(NULL, s->a.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      s->a.fd, 0);
	CHECK(s->map != MAP_FAILED);
	s->map_length = s->a.bytes;
	CHECK(pa_filled((char *)s->map + s->at, FILLED(32 * KiB), s->at));
}

/* A hole in a mapping makes two of it. */
static int call_munmap(struct sit *s)
{
	const __u64 part = MAX(8 * KiB, pa_page);

	return NTH(munmap((char *)s->map + s->at + part, part)) ? errno : 0;
}

static int call_mprotect(struct sit *s)
{
	const __u64 part = MAX(8 * KiB, pa_page);

	return NTH(mprotect((char *)s->map + s->at + part, part, PROT_READ)) ? errno : 0;
}

static int call_mremap(struct sit *s)
{
	__u64 length = s->map_length + 64 * MiB;
	void *to = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0),
	     *p;

	CHECK(to != MAP_FAILED);
	p = (void *)NTH(mremap(s->map, s->map_length, length,
			       MREMAP_MAYMOVE | MREMAP_FIXED, to));
	if (p == MAP_FAILED) {
		int err = errno;

		CHECK(!munmap(to, length));
		return err;
	}
	/* Where the core has no memory to unmap what was moved, it stays mapped there, too. */
	CHECK(!munmap(s->map, s->map_length));
	s->map = p;
	s->map_length += 64 * MiB;
	CHECK(pa_filled((char *)s->map + s->at, FILLED(32 * KiB), s->at));
	return 0;
}

static int call_mlock(struct sit *s)
{
	if (NTH(mlock((char *)s->map + s->at, 16 * KiB)))
		return errno;
	CHECK(!munlock(s->map, s->map_length));
	return 0;
}

static int call_populate(struct sit *s)
{
	return NTH(madvise(s->a.base + s->at, 16 * KiB, MADV_POPULATE_WRITE)) ?
		       errno :
		       0;
}

static int call_fork(struct sit *s)
{
	pid_t pid;
	int err;

	CHECK(!madvise(s->a.base, s->a.bytes, MADV_DOFORK));
	nth_on(nth);
	pid = fork();
	/* The child does not count, and its descriptor is about its parent. */
	if (!pid) {
		contents(s, "in the child");
		_exit(0);
	}
	err = errno;
	nth_hit = nth_off();
	if (pid < 0)
		return err;
	pa_wait_ok(pid);
	return 0;
}

/* The last descriptor; and the last mapping. */
static int call_close(struct sit *s)
{
	if (s->a.base)
		CHECK(!munmap(s->a.base, s->a.bytes));
	CHECK(!NTH(close(s->a.fd)));
	s->a.fd = -1;
	s->a.base = NULL;
	return 0;
}

static int call_last_munmap(struct sit *s)
{
	if (s->a.fd >= 0)
		CHECK(!close(s->a.fd));
	s->a.fd = -1;
	if (NTH(munmap(s->a.base, s->a.bytes)))
		return errno;
	s->a.base = NULL;
	return 0;
}

/* Loading */

/* PAGEARENA_KO says where the module is. */
static void make_unloaded(struct sit *s)
{
	unsigned int i;

	s->a.fd = -1;
	if (!getenv("PAGEARENA_KO") || access(getenv("PAGEARENA_KO"), R_OK))
		SKIP("PAGEARENA_KO does not say where the module is");
	/* What is left of the last arena may take the kernel a moment. */
	for (i = 0; syscall(SYS_delete_module, "pagearena", O_NONBLOCK); i++) {
		if (errno != EAGAIN && errno != EBUSY && errno != ENOENT)
			SKIP("delete_module: %s", strerror(errno));
		if (errno == ENOENT)
			break;
		CHECK_OP(i, <, 1000);
		usleep(1000);
	}
}

static int load(struct sit *s, const char *parameters)
{
	int fd = open(getenv("PAGEARENA_KO"), O_RDONLY | O_CLOEXEC), err;

	(void)s;
	CHECK(fd >= 0);
	err = NTH(syscall(SYS_finit_module, fd, parameters, 0)) ? errno : 0;
	CHECK(!close(fd));
	/* All of it is there, or nothing. */
	CHECK(!access(DEVICE, F_OK) == !err);
	return err;
}

static int call_load(struct sit *s)
{
	return load(s, "");
}

/*
 * What the core does before it looks at parameters is its own, and some of it warns when it
 * fails.
 */
static unsigned int before_load(void)
{
	struct sit s;
	unsigned int n;

	make_unloaded(&s);
	nth = NTH_MAX;
	CHECK_EQ(load(&s, "promote_percent=none"), EINVAL);
	n = NTH_MAX - (unsigned int)nth_left;
	nth = 0;
	return n;
}

/* Looks */

static int call_poll(struct sit *s)
{
	struct pollfd p = { .fd = s->a.fd, .events = POLLPRI };

	return NTH(poll(&p, 1, 0)) < 0 ? errno : 0;
}

static int look(const char *path)
{
	/* Large enough for all, so that there is one read. */
	static char text[4096];
	int fd, err = 0;

	nth_on(nth);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text)) < 0)
		err = errno;
	nth_hit = nth_off();
	if (fd >= 0)
		close(fd);
	return err;
}

static int call_recount(struct sit *s)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/%llu/recount",
		 (unsigned long long)s->a.id);
	return look(path);
}

static int call_fdinfo(struct sit *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s->a.fd);
	return look(path);
}

/* After each */

static void unmake(struct sit *s)
{
	if (s->map_length)
		CHECK(!munmap(s->map, s->map_length));
	pa_close(&s->a);
}

/* Counters of tries, which a try that failed may move. */
static void mask(struct pagearena_stats *st)
{
	memset(st->nr_refused, 0, sizeof(st->nr_refused));
	st->nr_fault = 0;
	st->nr_fault_huge = 0;
	st->nr_fault_failed = 0;
	st->nr_zap = 0;
	st->nr_huge_alloc = 0;
	st->nr_huge_failed = 0;
	st->nr_demote_failed = 0;
	st->bytes_zeroed = 0;
	st->background_hold_max = 0;
}

static bool inuse_same(const struct snapshot *a, const struct snapshot *b)
{
	__u32 i, j = 0;

	for (i = 0; i < a->nr; i++) {
		if (a->spans[i].state != PAGEARENA_SPAN_INUSE)
			continue;
		while (j < b->nr && b->spans[j].state != PAGEARENA_SPAN_INUSE)
			j++;
		if (j == b->nr || b->spans[j].offset != a->spans[i].offset ||
		    b->spans[j].length != a->spans[i].length)
			return false;
		j++;
	}
	return a->stats.spans_inuse == b->stats.spans_inuse &&
	       a->stats.heap_inuse == b->stats.heap_inuse;
}

/* A failure with @err: what has become of what there was @before? */
static void unchanged(struct sit *s, const struct attempt *t,
		      struct snapshot *before, int err)
{
	struct snapshot now;
	unsigned int i;

	if (t->flags & STANDS && err == EFAULT) {
		/* What was to be freed may be, and is not looked at any more. */
		for (i = s->nr; i-- > 0;)
			if (pa_query(&s->a, s->live[i].at).state !=
				    PAGEARENA_SPAN_INUSE ||
			    pa_query(&s->a, s->live[i].at).offset !=
				    s->live[i].at)
				forget(s, i);
		for (i = 0; i < s->nr; i++)
			s->live[i].length =
				MIN(s->live[i].length,
				    pa_query(&s->a, s->live[i].at).length);
		return;
	}
	now = pa_snapshot(s->a.fd);
	mask(&now.stats);
	mask(&before->stats);
	if (t->flags & LOOSE) {
		if (!inuse_same(before, &now))
			pa_fail("%s, n = %u: spans changed though it failed with %s",
				t->name, nth, strerror(err));
	} else if (memcmp(&now.stats, &before->stats, sizeof(now.stats)) ||
		   now.nr != before->nr ||
		   memcmp(now.spans, before->spans,
			  now.nr * sizeof(*now.spans))) {
		pa_unchanged(s->a.fd, before);
		pa_fail("%s, n = %u: changed though it failed with %s", t->name,
			nth, strerror(err));
	}
	free(now.spans);
}

static bool documented(const struct attempt *t, int err)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t->errs); i++)
		if (t->errs[i] && t->errs[i] == err)
			return true;
	return false;
}

/* One n.  Returns whether a failure was injected; *@refused if the call failed. */
static bool once(const struct attempt *t, unsigned int spares, unsigned int n,
		 unsigned int *refused)
{
	static struct sit sit;
	struct sit *s = &sit;
	struct snapshot before = {};
	bool hit;
	int err;

	memset(s, 0, offsetof(struct sit, buf));
	nth = 0;
	t->make(s);
	use_spares(s, s->a.bytes - MAX(CHUNK / 4, SPARES_MAX * s->a.page), spares);
	if (s->a.bytes)
		before = pa_snapshot(s->a.fd);
	nth = n;
	err = t->call(s);
	hit = nth_hit;
	nth = 0;
	if (err) {
		if (!hit)
			pa_fail("%s: fails without a failure: %s", t->name,
				strerror(abs(err)));
		if (!documented(t, err))
			pa_fail("%s, n = %u: %s %s", t->name, n,
				err < 0 ? "signal" : "errno",
				err < 0 ? strsignal(-err) : strerror(err));
		++*refused;
	}
	if (s->a.bytes && s->a.fd >= 0 && !s->no_files) {
		pa_recount(s->a.id);
		if (err && before.stats.size)
			unchanged(s, t, &before, err);
	}
	if (s->a.base)
		contents(s, t->name);
	if (err && !(t->flags & STANDS && err == EFAULT)) {
		err = t->call(s);
		if (err)
			pa_fail("%s, n = %u: again: %s", t->name, n,
				strerror(abs(err)));
	}
	if (s->a.base) {
		contents(s, t->name);
		if (s->a.fd >= 0 && !s->no_files)
			pa_check(&s->a);
	}
	free(before.spans);
	unmake(s);
	return hit;
}

static struct cgroup cg;

static bool charge_gone(void *arg)
{
	return pa_cgroup_key(&cg, "memory.stat", "kernel") <=
	       *(__u64 *)arg + LEAK_SLACK;
}

/*
 * All failures of all cases take minutes where KASAN and lockdep look on.  So there is a time
 * for all cases together, in which each has its part; of one that does not come to an end in
 * it, failures are picked all over.  0: all of them.
 */
#define FAIL_SECONDS 40

static __u64 budget(unsigned int nr);

/* Failures of a case, one by one, until there are no more, or the time is over. */
struct sweep {
	const struct attempt *t;
	__u64 until;
	unsigned int before, injected, refused;
	bool complete;
};

static bool sweep_over(struct sweep *w)
{
	return w->until && pa_now() > w->until;
}

static void sweep_all(struct sweep *w, unsigned int spares)
{
	unsigned int n;

	for (n = w->before + 1; once(w->t, spares, n, &w->refused); n++) {
		CHECK_OP(n, <, NTH_MAX);
		w->injected++;
	}
}

/* The first, the last, then by steps that leave nothing out in the end. */
static void sweep_some(struct sweep *w, unsigned int spares, unsigned int places)
{
	unsigned int i, n, step = places * 5 / 8 | 1;

	/* No common divisor, so that all are met. */
	for (; step > 1; step--) {
		unsigned int a = places, b = step;

		while (b) {
			unsigned int r = a % b;

			a = b;
			b = r;
		}
		if (a == 1)
			break;
	}
	for (i = 0; i < places; i++) {
		if (i > 1 && sweep_over(w)) {
			w->complete = false;
			return;
		}
		n = w->before + places - i * (unsigned long)step % places;
		w->injected += once(w->t, spares, n, &w->refused);
	}
}

static void sweep(struct sweep *w)
{
	unsigned int spares, places = 0;

	w->complete = true;
	w->before = w->t->before ? w->t->before() : 0;
	for (spares = 0; spares <= (w->t->flags & SPARES ? SPARES_MAX : 0); spares++) {
		if (!w->until) {
			sweep_all(w, spares);
			continue;
		}
		/* But for a case that has not come to a place where it can fail. */
		if (w->injected && sweep_over(w)) {
			w->complete = false;
			return;
		}
		/* How many allocations and copies it makes when nothing fails. */
		once(w->t, spares, NTH_MAX, &w->refused);
		places = NTH_MAX - (unsigned int)nth_left;
		places -= MIN(places, w->before);
		sweep_some(w, spares, places);
	}
}

static void run(const struct attempt *tries, unsigned int nr)
{
	__u64 slice = budget(nr), start = pa_now(), charge;
	unsigned int i, arenas = pa_arenas();

	faults_setup();
	cg = pa_cgroup_make(NULL, true);
	pa_cgroup_join(&cg);
	for (i = 0; i < nr; i++) {
		struct sweep w = { .t = &tries[i] };
		__u64 begin = pa_now();

		w.until = slice ? start + slice * (i + 1) / nr : 0;
		/* What is made at the first time for good is not this case's. */
		once(w.t, 0, NTH_MAX, &w.refused);
		charge = pa_cgroup_key(&cg, "memory.stat", "kernel");
		sweep(&w);
		if (w.t->flags & CLEAN)
			once(w.t, 0, NTH_MAX, &w.refused);
		pa_say("%s: %u failures injected%s, %u calls failed, %llu ms%s%s", w.t->name,
		       w.injected, w.complete ? "" : " and more left", w.refused,
		       (unsigned long long)(pa_now() - begin) / 1000000,
		       w.t->never ? "; none to be expected: " : "", w.t->never ?: "");
		pa_expect(w.injected || w.t->never ||
				  (w.t->flags & FOLDED && pa_folding_chunk()),
			  "%s: no failure could be injected", w.t->name);
		pa_expect(!w.injected || !w.t->never || w.t->flags & TABLES,
			  "%s: a failure was injected after all", w.t->name);
		if (!pa_wait_until(charge_gone, &charge, 5000))
			pa_expect(false, "%s: charged %llu before, %llu after", w.t->name,
				  (unsigned long long)charge,
				  (unsigned long long)pa_cgroup_key(&cg, "memory.stat",
								    "kernel"));
	}
	CHECK_EQ(pa_arenas(), arenas);
	pa_cgroup_quit();
}

#define TRY(n, m, c, ...)                                    \
	{                                                    \
		.name = n, .make = m, .call = c, __VA_ARGS__ \
	}
#define MAY(...) .errs = { __VA_ARGS__ }

/* clang-format off */

static const struct attempt opens[] = {
	TRY("open", make_nothing, call_open, MAY(ENOMEM, EFAULT)),
};

static const struct attempt infos[] = {
	TRY("INFO, before SETUP", make_bare, call_info, MAY(EFAULT)),
	TRY("INFO", make_small, call_info, MAY(EFAULT)),
};

static const struct attempt setups[] = {
	TRY("SETUP", make_bare, call_setup, MAY(ENOMEM, EFAULT), .flags = STANDS),
	TRY("SETUP, limit", make_bare, call_setup_limit, MAY(ENOMEM, EFAULT), .flags = STANDS),
	TRY("SETUP, quota", make_bare, call_setup_quota, MAY(ENOMEM, EFAULT, EAGAIN),
	    .flags = STANDS),
	TRY("SETUP, debug", make_bare, call_setup_debug, MAY(ENOMEM, EFAULT), .flags = STANDS),
};

#define FAST	"two fields are copied one by one, and there are spares"

static const struct attempt allocs[] = {
	TRY("ALLOC, empty", make_empty, call_alloc, MAY(ENOMEM), .flags = SPARES),
	TRY("ALLOC, fragmented", make_fragmented, call_alloc, MAY(ENOMEM), .flags = SPARES),
	TRY("ALLOC, warm", make_small, call_alloc, MAY(ENOMEM), .flags = SPARES),
	TRY("ALLOC, longer", make_small, call_alloc_longer, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
	TRY("ALLOC, aligned", make_fragmented, call_alloc_aligned, MAY(ENOMEM),
	    .flags = SPARES),
	TRY("ALLOC, limit", make_limit, call_alloc, MAY(ENOMEM), .flags = SPARES | LOOSE),
	TRY("ALLOC, limit, huge", make_limit_huge, call_alloc, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("ALLOC, soft limit", make_soft, call_alloc, MAY(ENOMEM), .flags = SPARES),
	TRY("ALLOC, the last place", make_full, call_alloc, MAY(ENOMEM),
	    .never = "the span is there as it is wanted"),
	TRY("ALLOC, huge off", make_off_mid, call_alloc, MAY(ENOMEM), .flags = SPARES),
	TRY("ALLOC, debug", make_debug, call_alloc, MAY(ENOMEM), .flags = SPARES),
	TRY("ALLOC, granules", make_granule, call_alloc, MAY(ENOMEM), .flags = SPARES),
	TRY("ALLOC, at a place", make_fragmented, call_alloc_fixed, MAY(ENOMEM),
	    .flags = SPARES),
	TRY("ALLOC, at a place, granules", make_granule, call_alloc_fixed, MAY(ENOMEM),
	    .flags = SPARES),
};

static const struct attempt alloc_flags[] = {
	TRY("ZERO, warm", make_small, call_alloc_zero, MAY(ENOMEM), .flags = SPARES | LOOSE),
	TRY("ZERO, huge", make_huge, call_alloc_zero, MAY(ENOMEM), .flags = SPARES | LOOSE),
	TRY("ZERO, sparse huge", make_sparse, call_alloc_zero, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, empty", make_empty, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, empty, huge", make_empty_huge, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, a chunk", make_empty_huge, call_alloc_chunk, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, fragmented", make_fragmented, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, limit", make_limit, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, soft limit", make_soft, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, debug", make_debug, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, granules", make_granule, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, huge off", make_off, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE, huge off, granules", make_off_mid, call_alloc_populate, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("ZERO, huge off, granules", make_off_mid, call_alloc_zero, MAY(ENOMEM),
	    .flags = SPARES | LOOSE),
	TRY("POPULATE and ZERO, longer", make_small, call_alloc_both, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
};

static const struct attempt frees[] = {
	TRY("FREE, fragmented", make_fragmented, call_free, MAY(EFAULT), .never = FAST),
	TRY("FREE, small", make_small, call_free, MAY(EFAULT), .never = FAST),
	TRY("FREE, huge", make_huge, call_free, MAY(EFAULT), .never = FAST),
	TRY("FREE, full", make_full, call_free, MAY(EFAULT), .never = FAST),
	TRY("FREE, debug", make_debug, call_free, MAY(EFAULT)),
	TRY("FREE, granules", make_granule, call_free, MAY(EFAULT), .never = FAST),
	TRY("FREE, huge off", make_off_mid, call_free, MAY(EFAULT), .never = FAST),
	TRY("FREE, longer", make_small, call_free_longer, MAY(EFAULT)),
};

static const struct attempt resizes[] = {
	TRY("RESIZE, shorter, small", make_small, call_shrink, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | STANDS),
	TRY("RESIZE, shorter, huge", make_huge, call_shrink, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | STANDS),
	TRY("RESIZE, shorter, debug", make_debug, call_shrink, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | STANDS),
	TRY("RESIZE, shorter, granules", make_granule, call_shrink, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | STANDS),
	TRY("RESIZE, longer, fragmented", make_fragmented, call_grow, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
	TRY("RESIZE, longer, small", make_small, call_grow, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
	TRY("RESIZE, longer, full", make_full, call_grow, MAY(ENOMEM, EFAULT), .flags = LOOSE),
	TRY("RESIZE, longer, limit", make_limit, call_grow, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
	TRY("RESIZE, longer, soft limit", make_soft, call_grow, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
	TRY("RESIZE, populated, small", make_small, call_grow_populate, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
	TRY("RESIZE, populated, sparse", make_sparse, call_grow_populate, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
	TRY("RESIZE, populated, granules", make_granule, call_grow_populate, MAY(ENOMEM, EFAULT),
	    .flags = SPARES | LOOSE),
	TRY("RESIZE, populated, huge off, granules", make_off_mid, call_grow_populate,
	    MAY(ENOMEM, EFAULT), .flags = SPARES | LOOSE),
};

static const struct attempt scavenges[] = {
	TRY("SCAVENGE, empty", make_empty, call_scavenge, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("SCAVENGE, fragmented", make_fragmented, call_scavenge, MAY(EFAULT),
	    .flags = SPARES | STANDS),
	TRY("SCAVENGE, small", make_small, call_scavenge, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("SCAVENGE, part of a span", make_small, call_scavenge_part, MAY(EFAULT),
	    .flags = SPARES | STANDS),
	TRY("SCAVENGE, huge", make_huge, call_scavenge, MAY(EFAULT), .flags = STANDS),
	TRY("SCAVENGE, sparse", make_sparse, call_scavenge, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("SCAVENGE, break", make_sparse, call_scavenge_break, MAY(EFAULT),
	    .flags = SPARES | STANDS),
	TRY("SCAVENGE, break, limit", make_limit_huge, call_scavenge_break, MAY(EFAULT),
	    .flags = SPARES | STANDS),
	TRY("SCAVENGE, full", make_full, call_scavenge, MAY(EFAULT), .flags = STANDS),
	TRY("SCAVENGE, granules", make_granule, call_scavenge, MAY(EFAULT),
	    .flags = SPARES | STANDS),
	TRY("SCAVENGE, huge off", make_off, call_scavenge, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("SCAVENGE, huge off, granules", make_off_mid, call_scavenge, MAY(EFAULT),
	    .flags = SPARES | STANDS),
	TRY("SCAVENGE, part, granules", make_granule, call_scavenge_part, MAY(EFAULT),
	    .flags = SPARES | STANDS),
};

static const struct attempt promotes[] = {
	TRY("PROMOTE, empty", make_empty, call_promote, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("PROMOTE, small", make_small, call_promote, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("PROMOTE, fragmented", make_fragmented, call_promote, MAY(EFAULT),
	    .flags = SPARES | STANDS),
	TRY("PROMOTE, huge", make_huge, call_promote, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("PROMOTE, limit", make_limit, call_promote, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("PROMOTE, granules", make_granule, call_promote, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("PROMOTE, debug", make_debug, call_promote, MAY(EFAULT), .flags = SPARES | STANDS),
	TRY("PROMOTE, mapped twice", make_twice, call_promote, MAY(EFAULT),
	    .flags = SPARES | STANDS),
};

static const struct attempt asks[] = {
	TRY("STATS", make_small, call_stats, MAY(EFAULT)),
	TRY("SPANS, empty", make_empty, call_spans, MAY(EFAULT, ENOMEM)),
	TRY("SPANS, fragmented", make_fragmented, call_spans, MAY(EFAULT, ENOMEM)),
	TRY("SPANS, huge", make_sparse, call_spans, MAY(EFAULT, ENOMEM)),
	TRY("QUERY", make_small, call_query, MAY(EFAULT)),
	TRY("poll", make_small, call_poll, MAY(EFAULT)),
	TRY("recount", make_fragmented, call_recount, MAY(ENOMEM, EFAULT)),
	TRY("fdinfo, before SETUP", make_bare, call_fdinfo, MAY(ENOMEM, EFAULT, ENOENT)),
	TRY("fdinfo", make_huge, call_fdinfo, MAY(ENOMEM, EFAULT, ENOENT)),
};

static const struct attempt policies[] = {
	TRY("POLICY", make_small, call_policy, MAY(EFAULT), .flags = STANDS),
	TRY("POLICY, limit, small", make_small, call_policy_limit, MAY(ENOMEM, EFAULT),
	    .flags = LOOSE | STANDS),
	TRY("POLICY, limit, sparse", make_sparse, call_policy_limit, MAY(ENOMEM, EFAULT),
	    .flags = LOOSE | STANDS),
	TRY("POLICY, limit, granules", make_granule, call_policy_limit, MAY(ENOMEM, EFAULT),
	    .flags = LOOSE | STANDS),
	TRY("POLICY, limit, huge off", make_off_mid, call_policy_limit, MAY(ENOMEM, EFAULT),
	    .flags = LOOSE | STANDS),
	TRY("POLICY, pool", make_huge, call_policy_pool, MAY(ENOMEM, EFAULT), .flags = STANDS),
};

static const struct attempt batches[] = {
	TRY("BATCH, ALLOC, empty", make_empty, call_batch_alloc, MAY(EFAULT), .flags = STANDS),
	TRY("BATCH, ALLOC, fragmented", make_fragmented, call_batch_alloc, MAY(EFAULT),
	    .flags = STANDS),
	TRY("BATCH, ALLOC, huge", make_sparse, call_batch_alloc, MAY(EFAULT), .flags = STANDS),
	TRY("BATCH, ALLOC, full", make_full, call_batch_alloc, MAY(EFAULT), .flags = STANDS),
	TRY("BATCH, ALLOC, limit", make_limit, call_batch_alloc, MAY(EFAULT), .flags = STANDS),
	TRY("BATCH, FREE, fragmented", make_fragmented, call_batch_free, MAY(EFAULT),
	    .flags = STANDS),
	TRY("BATCH, FREE, debug", make_debug, call_batch_free, MAY(EFAULT), .flags = STANDS),
	TRY("BATCH, mixed, small", make_small, call_batch_mixed, MAY(EFAULT), .flags = STANDS),
	TRY("BATCH, mixed, sparse", make_sparse, call_batch_mixed, MAY(EFAULT), .flags = STANDS),
	TRY("BATCH, mixed, granules", make_granule, call_batch_mixed, MAY(EFAULT),
	    .flags = STANDS),
	TRY("BATCH, ALLOC, huge off", make_off, call_batch_alloc, MAY(EFAULT), .flags = STANDS),
	TRY("BATCH, mixed, huge off", make_off_mid, call_batch_mixed, MAY(EFAULT),
	    .flags = STANDS),
	TRY("BATCH, mixed, debug", make_debug, call_batch_mixed, MAY(EFAULT), .flags = STANDS),
};

static const struct attempt faults[] = {
	TRY("fault, chunk with pages", make_untouched, call_write_fault, MAY(-SIGBUS)),
	TRY("read fault, chunk with pages", make_untouched, call_read_fault, MAY(-SIGBUS)),
	TRY("fault, no chunk", make_untouched_far, call_write_fault, MAY(-SIGBUS)),
	TRY("read fault, no chunk", make_untouched_far, call_read_fault, MAY(-SIGBUS)),
	TRY("fault, huge", make_untouched_huge, call_write_fault, MAY(-SIGBUS)),
	TRY("fault, pool", make_untouched_pool, call_write_fault, MAY(-SIGBUS)),
	TRY("fault, soft limit", make_untouched_soft, call_write_fault, MAY(-SIGBUS),
	    .flags = LOOSE),
	TRY("fault, debug", make_untouched_debug, call_write_fault, MAY(-SIGBUS)),
	TRY("fault, granules", make_untouched_granule, call_write_fault, MAY(-SIGBUS)),
	TRY("fault, huge off", make_untouched_off, call_write_fault, MAY(-SIGBUS)),
	TRY("fault, huge off, granules", make_untouched_off_mid, call_write_fault, MAY(-SIGBUS)),
	TRY("fault, huge off, no chunk", make_untouched_off_far, call_write_fault, MAY(-SIGBUS),
	    .flags = LOOSE),
	TRY("fault, huge off, backed", make_unmapped_off, call_write_fault, MAY(-SIGBUS),
	    .never = "page tables are there, too", .flags = TABLES),
	TRY("fault, backed", make_unmapped, call_write_fault, MAY(-SIGBUS),
	    .never = "page tables are there, too", .flags = TABLES),
	TRY("fault, backed, huge", make_unmapped_huge, call_write_fault, MAY(-SIGBUS),
	    .flags = FOLDED),
};

static const struct attempt kernel_faults[] = {
	TRY("read() into it", make_untouched, call_read, MAY(EFAULT), .flags = LOOSE),
	TRY("read() into it, huge", make_untouched_huge, call_read, MAY(EFAULT), .flags = LOOSE),
	TRY("process_vm_readv(), small", make_untouched, call_gup, MAY(EFAULT, ENOMEM),
	    .flags = LOOSE),
	TRY("process_vm_readv(), huge", make_untouched_huge, call_gup, MAY(EFAULT, ENOMEM),
	    .flags = LOOSE),
	TRY("read() into it, huge off", make_untouched_off_mid, call_read, MAY(EFAULT),
	    .flags = LOOSE),
	TRY("process_vm_readv(), huge off", make_untouched_off_mid, call_gup, MAY(EFAULT, ENOMEM),
	    .flags = LOOSE),
	TRY("MADV_POPULATE_WRITE, huge off", make_untouched_off_mid, call_populate,
	    MAY(EFAULT, ENOMEM), .flags = LOOSE),
	TRY("process_vm_readv(), backed", make_unmapped, call_gup, MAY(EFAULT, ENOMEM)),
	TRY("MADV_POPULATE_WRITE", make_untouched, call_populate, MAY(EFAULT, ENOMEM),
	    .flags = LOOSE),
	TRY("MADV_POPULATE_WRITE, huge", make_untouched_huge, call_populate, MAY(EFAULT, ENOMEM),
	    .flags = LOOSE),
};

static const struct attempt mappings[] = {
	TRY("mmap", make_small, call_mmap, MAY(ENOMEM)),
	TRY("mmap, huge", make_huge, call_mmap, MAY(ENOMEM)),
	TRY("mmap, huge off", make_off_mid, call_mmap, MAY(ENOMEM)),
	TRY("mmap, huge off, populated", make_untouched_off_mid, call_mmap_populate, MAY(ENOMEM),
	    .flags = LOOSE),
	TRY("mmap, populated", make_untouched, call_mmap_populate, MAY(ENOMEM), .flags = LOOSE),
	TRY("munmap of a part", make_twice, call_munmap, MAY(ENOMEM)),
	TRY("munmap of a part, huge", make_twice_huge, call_munmap, MAY(ENOMEM)),
	TRY("mprotect of a part", make_twice, call_mprotect, MAY(ENOMEM)),
	TRY("mprotect of a part, huge", make_twice_huge, call_mprotect, MAY(ENOMEM)),
	TRY("mremap", make_twice, call_mremap, MAY(ENOMEM)),
	TRY("mremap, huge", make_twice_huge, call_mremap, MAY(ENOMEM)),
	TRY("mlock", make_twice, call_mlock, MAY(ENOMEM, EAGAIN), .flags = LOOSE | FOLDED),
};

static const struct attempt forks[] = {
	TRY("fork, small", make_small, call_fork, MAY(ENOMEM, EAGAIN)),
	TRY("fork, huge off", make_off_mid, call_fork, MAY(ENOMEM, EAGAIN)),
	TRY("fork, huge", make_huge, call_fork, MAY(ENOMEM, EAGAIN)),
};

static const struct attempt closes[] = {
	TRY("close, bare", make_bare, call_close, MAY(0), .never = "it frees only"),
	TRY("close, fragmented", make_fragmented, call_close, MAY(0), .never = "it frees only"),
	TRY("close, huge", make_sparse, call_close, MAY(0), .never = "it frees only"),
	TRY("close, huge off", make_off_mid, call_close, MAY(0), .never = "it frees only"),
	TRY("close, debug", make_debug, call_close, MAY(0), .never = "it frees only"),
	TRY("close, pool", make_untouched_pool, call_close, MAY(0), .never = "it frees only"),
	TRY("munmap, the last, small", make_small, call_last_munmap, MAY(ENOMEM)),
	TRY("munmap, the last, huge", make_huge, call_last_munmap, MAY(ENOMEM)),
};

static const struct attempt loads[] = {
	TRY("load the module", make_unloaded, call_load, MAY(ENOMEM, EFAULT), .flags = CLEAN,
	    .before = before_load),
};

/* Nanoseconds for some of the cases; 0: no limit. */
static __u64 budget(unsigned int nr)
{
	const __u64 all = ARRAY_SIZE(opens) + ARRAY_SIZE(infos) + ARRAY_SIZE(setups) +
			  ARRAY_SIZE(allocs) + ARRAY_SIZE(alloc_flags) + ARRAY_SIZE(frees) +
			  ARRAY_SIZE(resizes) + ARRAY_SIZE(scavenges) + ARRAY_SIZE(promotes) +
			  ARRAY_SIZE(asks) + ARRAY_SIZE(policies) + ARRAY_SIZE(batches) +
			  ARRAY_SIZE(faults) + ARRAY_SIZE(kernel_faults) + ARRAY_SIZE(mappings) +
			  ARRAY_SIZE(forks) + ARRAY_SIZE(closes) + ARRAY_SIZE(loads);

	return pa_env("PAGEARENA_FAIL_SECONDS", FAIL_SECONDS) * 1000000000 * nr / all;
}

#define DEFINE(which)							\
	static void test_##which(void)					\
	{								\
		run(which, ARRAY_SIZE(which));				\
	}
DEFINE(opens)
DEFINE(infos)
DEFINE(setups)
DEFINE(allocs)
DEFINE(alloc_flags)
DEFINE(frees)
DEFINE(resizes)
DEFINE(scavenges)
DEFINE(promotes)
DEFINE(asks)
DEFINE(policies)
DEFINE(batches)
DEFINE(faults)
DEFINE(kernel_faults)
DEFINE(mappings)
DEFINE(forks)
DEFINE(closes)
DEFINE(loads)

static const struct pa_test tests[] = {
	{ "open", test_opens },
	{ "INFO", test_infos },
	{ "SETUP", test_setups },
	{ "ALLOC", test_allocs },
	{ "ALLOC with flags", test_alloc_flags },
	{ "FREE", test_frees },
	{ "RESIZE", test_resizes },
	{ "SCAVENGE", test_scavenges },
	{ "PROMOTE", test_promotes },
	{ "STATS, SPANS, QUERY and files", test_asks },
	{ "POLICY", test_policies },
	{ "BATCH", test_batches },
	{ "faults", test_faults },
	{ "faults of the kernel", test_kernel_faults },
	{ "mappings", test_mappings },
	{ "fork", test_forks },
	{ "close", test_closes },
	{ "load", test_loads },
};

/* clang-format on */

int main(int argc, char **argv)
{
	/* Who wants all knows that it takes long. */
	if (!pa_env("PAGEARENA_FAIL_SECONDS", FAIL_SECONDS))
		setenv("PAGEARENA_TEST_TIMEOUT", "3600", 0);
	return pa_run(argc, argv, tests, ARRAY_SIZE(tests));
}
