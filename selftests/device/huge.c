// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Huge folios: which chunks get them, promotion and its refusals, demotion and the order of
 * scavenging, the background promotion, and what a process sees of it all.
 */
#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "pa_test.h"

#define HUGE		(2 * MiB)
#define PAGE		pa_page
#define BREAK		PAGEARENA_SCAVENGE_BREAK
#define FORCE		(PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE)

#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"
#define DEFRAG		"/sys/kernel/mm/transparent_hugepage/defrag"

/* What PAGEARENA_HUGE_AUTO lets be backed and free, whatever is allocated. */
#define AUTO_SLACK	(4 * MiB)

static void open_arena(struct arena *a, __u32 policy, __u64 bytes)
{
	pa_open(a, (struct pagearena_setup){ .arena_bytes = bytes, .huge = policy });
	CHECK_EQ(pa_info(a->fd).huge_size, HUGE);
}

/* Spans lie one behind the other, as they are allocated. */
static void open_packed(struct arena *a)
{
	pa_open(a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .fit = PAGEARENA_FIT_BEST,
					     .huge = PAGEARENA_HUGE_NEVER });
}

static bool is_huge(struct arena *a, __u64 offset)
{
	struct pagearena_span s = pa_query(a, offset);

	/* Only of spans inside one chunk does this say something. */
	CHECK_EQ(s.offset / HUGE, (s.offset + s.length - 1) / HUGE);
	return s.backed && s.huge == s.backed;
}

static __u64 nr_huge(struct arena *a)
{
	return pa_stats(a->fd).huge_bytes / HUGE;
}

/*
 * A chunk of a live span and a free one, both written.  It is huge, unless the policy is
 * NEVER.  Returns the offset of the live span; the free one follows it.
 */
static __u64 part_live(struct arena *a, __u64 live, __u64 seed)
{
	__u64 at = pa_alloc(a, live, HUGE, 0), rest[16];
	unsigned int n = 0;

	/* Whatever else the heap likes better is taken first. */
	while (live < HUGE && (!n || rest[n - 1] != at + live)) {
		CHECK_OP(n, <, ARRAY_SIZE(rest));
		rest[n++] = pa_alloc(a, HUGE - live, 0, 0);
	}
	pa_fill(a->base + at, HUGE, seed);
	while (n)
		pa_free(a, rest[--n]);
	return at;
}

static void read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = 0;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* First touch */

static void test_first_touch(void)
{
	struct arena a;
	__u64 at, i;

	pa_want_thp();
	/* A chunk that is allocated whole. */
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	at = pa_alloc(&a, HUGE, HUGE, 0);
	CHECK_EQ(nr_huge(&a), 0);
	a.base[at + 12345] = 1;
	CHECK_EQ(nr_huge(&a), 1);
	CHECK_EQ(pa_stats(a.fd).huge_inuse, HUGE);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, HUGE);
	CHECK_EQ(pa_stats(a.fd).nr_fault, 1);
	CHECK_EQ(pa_stats(a.fd).nr_fault_huge, 1);
	pa_check(&a);
	pa_close(&a);

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = pa_alloc(&a, HUGE, HUGE, 0);
	for (i = 0; i < HUGE; i += PAGE)
		a.base[at + i] = 1;
	CHECK_EQ(nr_huge(&a), 0);
	CHECK_EQ(pa_stats(a.fd).small_bytes, HUGE);
	CHECK_EQ(pa_stats(a.fd).nr_huge_alloc, 0);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 0);
	pa_check(&a);
	pa_close(&a);

	/* However little is allocated. */
	open_arena(&a, PAGEARENA_HUGE_ALWAYS, 64 * MiB);
	for (i = 0; i < 8; i++) {
		at = pa_alloc(&a, a.page, HUGE, 0);
		CHECK_EQ(at, i * HUGE);
		a.base[at] = 1;
		CHECK_EQ(nr_huge(&a), i + 1);
	}
	CHECK_EQ(pa_stats(a.fd).backed, 8 * HUGE);
	CHECK_EQ(pa_stats(a.fd).backed_inuse, 8 * a.page);
	CHECK_EQ(pa_stats(a.fd).huge_inuse, 8 * a.page);
	pa_check(&a);
	pa_close(&a);
}

/* AUTO backs what is not asked for only up to a bound. */
static void test_auto_bound(void)
{
	struct pagearena_stats st;
	struct arena a;
	__u64 at, i, big;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, GiB);
	for (i = 0; i < AUTO_SLACK / HUGE + 4; i++) {
		at = pa_alloc(&a, a.page, HUGE, 0);
		a.base[at] = 1;
		st = pa_stats(a.fd);
		CHECK_OP(st.backed_free, <=, AUTO_SLACK);
	}
	CHECK_OP(st.huge_bytes, >=, HUGE);
	CHECK_OP(st.small_bytes, >=, a.page);
	/* What is allocated more allows for more. */
	big = pa_alloc(&a, 16 * AUTO_SLACK, HUGE, 0);
	CHECK_EQ(big % HUGE, 0);
	for (i = 0; i < 4; i++) {
		at = pa_alloc(&a, a.page, HUGE, 0);
		a.base[at] = 1;
		CHECK(is_huge(&a, at));
		st = pa_stats(a.fd);
		CHECK_OP(st.backed_free, <=, st.heap_inuse / 4);
	}
	pa_check(&a);
	pa_close(&a);
}

/* For chunks that are half allocated it is twice as much. */
static void test_auto_dense(void)
{
	struct pagearena_stats st;
	unsigned int dense = 0;
	struct arena a;
	__u64 at, i;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, GiB);
	do {
		at = pa_alloc(&a, a.page, HUGE, 0);
		a.base[at] = 1;
	} while (is_huge(&a, at));
	for (i = 0; i < 2 * AUTO_SLACK / MiB; i++) {
		at = pa_alloc(&a, HUGE / 2, HUGE, 0);
		a.base[at] = 1;
		dense += is_huge(&a, at);
		st = pa_stats(a.fd);
		CHECK_OP(st.backed_free, <=, 2 * AUTO_SLACK);
		/* The others get nothing of it. */
		at = pa_alloc(&a, HUGE / 2 - a.page, HUGE, 0);
		a.base[at] = 1;
		CHECK(!is_huge(&a, at));
	}
	CHECK_OP(dense, >=, AUTO_SLACK / MiB);
	CHECK_OP(dense, <, 2 * AUTO_SLACK / MiB);
	pa_check(&a);
	pa_close(&a);
}

/* Promotion */

static void test_promote(void)
{
	struct pagearena_stats st, was;
	struct arena a;
	__u64 at, part;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	/* All of it. */
	at = part_live(&a, HUGE, 1);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	CHECK(is_huge(&a, at));
	CHECK(pa_filled(a.base + at, HUGE, 1));
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, HUGE);
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_promote, 1);
	CHECK_EQ(st.bytes_copied, HUGE);
	CHECK_EQ(st.backed, HUGE);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_ALREADY);
	CHECK_EQ(pa_stats(a.fd).bytes_copied, HUGE);

	/* Free and warm: not copied, but backed, and zero it is not said to be. */
	part = part_live(&a, 512 * KiB, 2);
	was = pa_stats(a.fd);
	CHECK_EQ(pa_promote(&a, part), PAGEARENA_PROMOTE_DONE);
	st = pa_stats(a.fd);
	CHECK_EQ(st.bytes_copied - was.bytes_copied, 512 * KiB);
	CHECK_EQ(st.backed, was.backed);
	CHECK(pa_filled(a.base + part, 512 * KiB, 2));
	pa_check(&a);

	/* Free and scavenged: counts as backed afterwards. */
	part = part_live(&a, 512 * KiB, 3);
	CHECK_EQ(pa_scavenge(&a, 1536 * KiB, 0, NULL), 1536 * KiB);
	was = pa_stats(a.fd);
	CHECK_EQ(pa_promote(&a, part), PAGEARENA_PROMOTE_DONE);
	st = pa_stats(a.fd);
	CHECK_EQ(st.bytes_copied - was.bytes_copied, 512 * KiB);
	CHECK_EQ(st.backed - was.backed, 1536 * KiB);
	CHECK_EQ(was.heap_released - st.heap_released, 1536 * KiB);
	CHECK(pa_filled(a.base + part, 512 * KiB, 3));
	pa_check(&a);

	/* Allocated and never touched: neither copied nor anything but zero. */
	at = pa_alloc(&a, HUGE, HUGE, 0);
	pa_fill(a.base + at + MiB, 64 * KiB, 4);
	was = pa_stats(a.fd);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	st = pa_stats(a.fd);
	CHECK_EQ(st.bytes_copied - was.bytes_copied, 64 * KiB);
	CHECK(pa_filled(a.base + at + MiB, 64 * KiB, 4));
	CHECK(pa_zero(a.base + at, MiB));
	CHECK(pa_zero(a.base + at + MiB + 64 * KiB, MiB - 64 * KiB));
	pa_check(&a);
	pa_close(&a);
}

static void test_refused(void)
{
	struct arena a;
	__u64 at, low;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	/* Nothing allocated, not even grown. */
	CHECK_EQ(pa_promote(&a, 0), PAGEARENA_PROMOTE_EMPTY);
	/* Allocated and not backed. */
	at = pa_alloc(&a, HUGE, HUGE, 0);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_EMPTY);
	/* Backed and not allocated. */
	pa_fill(a.base + at, HUGE, 1);
	pa_free(&a, at);
	CHECK_EQ(pa_stats(a.fd).backed_free, HUGE);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_EMPTY);
	CHECK_EQ(pa_stats(a.fd).nr_refused[PAGEARENA_PROMOTE_EMPTY], 3);
	CHECK_EQ(nr_huge(&a), 0);
	CHECK_EQ(pa_stats(a.fd).nr_huge_alloc, 0);
	pa_check(&a);
	pa_close(&a);

	/* Part of the chunk is not grown yet. */
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .growth = MiB });
	low = pa_alloc(&a, a.page, 0, 0);
	pa_fill(a.base + low, a.page, 2);
	CHECK_EQ(pa_stats(a.fd).heap_sys, MiB);
	CHECK_EQ(nr_huge(&a), 0);
	CHECK_EQ(pa_promote(&a, 0), PAGEARENA_PROMOTE_BUSY);
	CHECK(pa_filled(a.base + low, a.page, 2));
	at = pa_alloc(&a, MiB, 0, 0);
	CHECK_EQ(pa_promote(&a, 0), PAGEARENA_PROMOTE_DONE);
	CHECK(pa_filled(a.base + low, a.page, 2));
	CHECK_EQ(pa_stats(a.fd).nr_refused[PAGEARENA_PROMOTE_BUSY], 1);
	pa_check(&a);
	pa_close(&a);
}

static int promote(struct arena *a, struct pagearena_promote *req)
{
	req->size = sizeof(*req);
	return ioctl(a->fd, PAGEARENA_IOC_PROMOTE, req);
}

/* A quarter of the chunk is allocated and backed. */
static void test_density(void)
{
	struct pagearena_promote req;
	struct arena a;
	__u64 at;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = part_live(&a, 512 * KiB, 1);
	req = (struct pagearena_promote){ .offset = at, .length = HUGE, .min_density = 26 };
	CHECK(!promote(&a, &req));
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_SPARSE], 1);
	CHECK_EQ(nr_huge(&a), 0);
	CHECK_EQ(pa_stats(a.fd).nr_refused[PAGEARENA_PROMOTE_SPARSE], 1);
	req = (struct pagearena_promote){ .offset = at, .length = HUGE, .min_density = 25 };
	CHECK(!promote(&a, &req));
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_DONE], 1);
	CHECK(pa_filled(a.base + at, 512 * KiB, 1));
	req = (struct pagearena_promote){ .offset = at, .length = HUGE, .min_density = 101 };
	CHECK_ERR(promote(&a, &req), EINVAL);
	pa_check(&a);
	pa_close(&a);
}

static void test_limit(void)
{
	struct arena a;
	__u64 first, second;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .limit = 3 * MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	first = pa_alloc(&a, a.page, HUGE, 0);
	second = pa_alloc(&a, a.page, HUGE, 0);
	CHECK_OP(first / HUGE, !=, second / HUGE);
	pa_fill(a.base + first, a.page, 1);
	pa_fill(a.base + second, a.page, 2);
	CHECK_EQ(pa_promote(&a, first), PAGEARENA_PROMOTE_DONE);
	CHECK_EQ(pa_promote(&a, second), PAGEARENA_PROMOTE_LIMIT);
	CHECK_EQ(pa_stats(a.fd).nr_refused[PAGEARENA_PROMOTE_LIMIT], 1);
	CHECK_OP(pa_stats(a.fd).backed_peak, <=, 3 * MiB);
	CHECK_EQ(nr_huge(&a), 1);
	/* The limit breaks the huge chunk when it must: all of it but one page is free. */
	pa_alloc(&a, 2 * MiB, 0, PAGEARENA_ALLOC_POPULATE);
	CHECK_OP(pa_stats(a.fd).backed, <=, 3 * MiB);
	CHECK(pa_filled(a.base + first, a.page, 1));
	CHECK(pa_filled(a.base + second, a.page, 2));
	pa_check(&a);
	pa_close(&a);
}

static void test_deadline(void)
{
	struct pagearena_promote req;
	__u32 results[8];
	struct arena a;
	__u64 at, i;
	bool late;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = pa_alloc(&a, 8 * HUGE, HUGE, 0);
	for (i = 0; i < 8 * HUGE; i += PAGE)
		a.base[at + i] = (char)(i / PAGE);
	req = (struct pagearena_promote){
		.offset = at,
		.length = 8 * HUGE,
		.results = (uintptr_t)results,
		.nr_results = 8,
		.deadline_ns = 1,
	};
	CHECK(!promote(&a, &req));
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_DEADLINE], 8);
	CHECK_EQ(nr_huge(&a), 0);
	CHECK_EQ(pa_stats(a.fd).nr_refused[PAGEARENA_PROMOTE_DEADLINE], 8);

	/* In the midst of it: nothing is begun after the first that was too late. */
	memset(req.counts, 0, sizeof(req.counts));
	req.deadline_ns = 2000000;
	CHECK(!promote(&a, &req));
	for (i = 0, late = false; i < 8; i++) {
		CHECK(results[i] == PAGEARENA_PROMOTE_DONE ||
		      results[i] == PAGEARENA_PROMOTE_DEADLINE);
		CHECK(!late || results[i] == PAGEARENA_PROMOTE_DEADLINE);
		late |= results[i] == PAGEARENA_PROMOTE_DEADLINE;
	}
	CHECK_EQ(nr_huge(&a), req.counts[PAGEARENA_PROMOTE_DONE]);
	memset(req.counts, 0, sizeof(req.counts));
	req.deadline_ns = ALL;
	CHECK(!promote(&a, &req));
	CHECK_EQ(nr_huge(&a), 8);
	for (i = 0; i < 8 * HUGE; i += PAGE)
		CHECK_EQ(a.base[at + i], (char)(i / PAGE));
	pa_check(&a);
	pa_close(&a);
}

/* One call for a range of chunks that fare differently. */
static void test_results(void)
{
	struct pagearena_promote req;
	__u64 dense, huge, sparse;
	__u32 results[5];
	struct arena a;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	dense = part_live(&a, HUGE, 1);
	huge = part_live(&a, HUGE, 2);
	sparse = part_live(&a, 512 * KiB, 3);
	CHECK_EQ(pa_promote(&a, huge), PAGEARENA_PROMOTE_DONE);
	CHECK(dense + HUGE == huge && huge + HUGE == sparse);
	memset(results, 0xff, sizeof(results));
	req = (struct pagearena_promote){
		.offset = dense,
		.length = 4 * HUGE,
		.results = (uintptr_t)results,
		.nr_results = 3,
		.min_density = 50,
	};
	CHECK(!promote(&a, &req));
	CHECK_EQ(results[0], PAGEARENA_PROMOTE_DONE);
	CHECK_EQ(results[1], PAGEARENA_PROMOTE_ALREADY);
	CHECK_EQ(results[2], PAGEARENA_PROMOTE_SPARSE);
	CHECK_EQ(results[3], ~0U);
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_DONE], 1);
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_ALREADY], 1);
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_SPARSE], 1);
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_EMPTY], 1);
	/* Room for more results than there are chunks; these are left alone. */
	memset(results, 0xff, sizeof(results));
	req = (struct pagearena_promote){
		.offset = dense,
		.length = HUGE,
		.results = (uintptr_t)results,
		.nr_results = 5,
	};
	CHECK(!promote(&a, &req));
	CHECK_EQ(results[0], PAGEARENA_PROMOTE_ALREADY);
	CHECK_EQ(results[1], ~0U);
	CHECK(pa_filled(a.base + dense, HUGE, 1));
	CHECK(pa_filled(a.base + huge, HUGE, 2));
	CHECK(pa_filled(a.base + sparse, 512 * KiB, 3));
	pa_check(&a);
	pa_close(&a);
}

/* Pins */

/* A pipe that holds @len bytes of the arena by reference. */
static void pipe_pin(struct arena *a, int ends[2], __u64 at, __u64 len)
{
	struct iovec iov = { a->base + at, len };

	CHECK(!pipe(ends));
	if (vmsplice(ends[1], &iov, 1, 0) < 0)
		SKIP("vmsplice: %s", strerror(errno));
}

static void pipe_expect(int ends[2], __u64 len, __u64 seed)
{
	static char buf[64 * KiB];

	CHECK_OP(len, <=, sizeof(buf));
	CHECK_EQ(read(ends[0], buf, len), len);
	CHECK(pa_filled(buf, len, seed));
	close(ends[0]);
	close(ends[1]);
}

static void test_pinned_pipe(void)
{
	struct pagearena_stats st;
	struct arena a;
	int ends[2];
	__u64 at;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = part_live(&a, HUGE, 1);
	pipe_pin(&a, ends, at + MiB, PAGE);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_PINNED);
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_refused[PAGEARENA_PROMOTE_PINNED], 1);
	CHECK_EQ(st.bytes_copied, 0);
	CHECK_EQ(st.huge_bytes, 0);
	CHECK(pa_filled(a.base + at, HUGE, 1));
	/* The page is still the one that the pipe holds. */
	pa_fill(a.base + at + MiB, PAGE, 7);
	pipe_expect(ends, PAGE, 7);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	CHECK(pa_filled(a.base + at, MiB, 1));
	CHECK(pa_filled(a.base + at + MiB, PAGE, 7));
	pa_check(&a);
	pa_close(&a);
}

/* As little of io_uring as moves bytes through a registered buffer. */
struct ring {
	int fd;
	struct io_uring_params p;
	char *sq;
	char *cq;
	struct io_uring_sqe *sqes;
};

static void ring_open(struct ring *r, void *buf, __u64 len)
{
	struct iovec iov = { buf, len };

	memset(r, 0, sizeof(*r));
	r->fd = (int)syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		SKIP("io_uring_setup: %s", strerror(errno));
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * sizeof(__u32),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED, r->fd, IORING_OFF_SQES);
	CHECK(r->sq != MAP_FAILED && r->cq != MAP_FAILED && (void *)r->sqes != MAP_FAILED);
	if (syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_BUFFERS, &iov, 1)) {
		/* Kernels before 6.5 take no memory that belongs to files. */
		if (errno == EOPNOTSUPP)
			SKIP("this kernel registers no memory of files");
		pa_fail("IORING_REGISTER_BUFFERS: %s", strerror(errno));
	}
}

static void ring_close(struct ring *r)
{
	CHECK(!syscall(SYS_io_uring_register, r->fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
	munmap(r->sq, r->p.sq_off.array + r->p.sq_entries * sizeof(__u32));
	munmap(r->cq, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe));
	munmap(r->sqes, r->p.sq_entries * sizeof(*r->sqes));
	close(r->fd);
}

static __s32 ring_do(struct ring *r, __u8 opcode, int fd, void *addr, __u32 len, __u64 pos)
{
	__u32 *sq_tail = (void *)(r->sq + r->p.sq_off.tail);
	__u32 *sq_mask = (void *)(r->sq + r->p.sq_off.ring_mask);
	__u32 *sq_array = (void *)(r->sq + r->p.sq_off.array);
	__u32 *cq_head = (void *)(r->cq + r->p.cq_off.head);
	__u32 *cq_mask = (void *)(r->cq + r->p.cq_off.ring_mask);
	struct io_uring_cqe *cqes = (void *)(r->cq + r->p.cq_off.cqes);
	__u32 i = *sq_tail & *sq_mask;
	__s32 res;

	r->sqes[i] = (struct io_uring_sqe){
		.opcode = opcode,
		.fd = fd,
		.off = pos,
		.addr = (uintptr_t)addr,
		.len = len,
	};
	sq_array[i] = i;
	__atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_RELEASE);
	CHECK_EQ(syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
	res = cqes[*cq_head & *cq_mask].res;
	__atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
	return res;
}

/* A file with a pattern to read. */
static int make_file(__u64 len, __u64 seed)
{
	int fd = (int)syscall(SYS_memfd_create, "pagearena-test", 1U);
	char *buf = malloc(len);

	CHECK(fd >= 0 && buf);
	pa_fill(buf, len, seed);
	CHECK_EQ(pwrite(fd, buf, len, 0), len);
	free(buf);
	return fd;
}

/* What io_uring has left to do for this thread counts as a signal. */
static __u64 scavenge_again(struct arena *a, __u32 flags)
{
	__u64 released = 0;
	int ret;

	do {
		struct pagearena_scavenge req = {
			.size = sizeof(req),
			.flags = flags,
			.bytes = ALL,
		};

		ret = ioctl(a->fd, PAGEARENA_IOC_SCAVENGE, &req);
		if (ret && errno != EINTR)
			pa_fail("SCAVENGE: %s", strerror(errno));
		released += req.released;
	} while (ret);
	return released;
}

/* A registered buffer is pinned for as long as it is registered. */
static void test_pinned_uring(void)
{
	int fd = make_file(64 * KiB, 5);
	struct pagearena_stats st;
	struct arena a;
	struct ring r;
	__u64 at;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = part_live(&a, 512 * KiB, 1);
	ring_open(&r, a.base + at + 128 * KiB, 64 * KiB);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_PINNED);
	CHECK_EQ(ring_do(&r, IORING_OP_READ_FIXED, fd, a.base + at + 128 * KiB, 64 * KiB, 0),
		 64 * KiB);
	CHECK(pa_filled(a.base + at + 128 * KiB, 64 * KiB, 5));
	ring_close(&r);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	CHECK(pa_filled(a.base + at, 128 * KiB, 1));
	CHECK(pa_filled(a.base + at + 128 * KiB, 64 * KiB, 5));

	/* The same for demotion. */
	pa_fill(a.base + at, 512 * KiB, 2);
	ring_open(&r, a.base + at + 128 * KiB, 64 * KiB);
	CHECK_EQ(scavenge_again(&a, FORCE), 0);
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_demote, 0);
	CHECK_OP(st.nr_demote_failed, >, 0);
	CHECK(is_huge(&a, at));
	CHECK_EQ(ring_do(&r, IORING_OP_READ_FIXED, fd, a.base + at + 128 * KiB, 64 * KiB, 0),
		 64 * KiB);
	CHECK(pa_filled(a.base + at + 128 * KiB, 64 * KiB, 5));
	pa_check(&a);
	ring_close(&r);
	CHECK_EQ(scavenge_again(&a, FORCE), 1536 * KiB);
	CHECK_EQ(pa_stats(a.fd).nr_demote, 1);
	CHECK(!is_huge(&a, at));
	CHECK(pa_filled(a.base + at, 128 * KiB, 2));
	CHECK(pa_filled(a.base + at + 128 * KiB, 64 * KiB, 5));
	pa_check(&a);
	pa_close(&a);
}

#define DIRECT	(512 * KiB)

static int open_disk(void)
{
	struct stat st;
	int fd = open("/dev/ram0", O_RDWR | O_CLOEXEC | O_DIRECT);

	/* 1 is the major number of RAM disks, as of all memory devices. */
	if (fd < 0 || fstat(fd, &st) || !S_ISBLK(st.st_mode) || major(st.st_rdev) != 1)
		SKIP("no RAM disk /dev/ram0 for direct I/O");
	if (lseek(fd, 0, SEEK_END) < (off_t)DIRECT)
		SKIP("/dev/ram0 is too small");
	return fd;
}

struct reader {
	int fd;
	char *to;
	ssize_t got;
	int done;
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;

	r->got = pread(r->fd, r->to, DIRECT, 0);
	__atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static char slow_cgroup[96];

/* Makes the disk so slow that its reads take seconds: their pages are pinned all the while. */
static bool disk_slow(int fd)
{
	char path[160], text[96];
	struct stat st;
	bool set;

	if (fstat(fd, &st))
		return false;
	write_text(CGROUP "/cgroup.subtree_control", "+io");
	snprintf(slow_cgroup, sizeof(slow_cgroup), CGROUP "/pagearena-io-%d", getpid());
	if (mkdir(slow_cgroup, 0755))
		return false;
	snprintf(path, sizeof(path), "%s/io.max", slow_cgroup);
	snprintf(text, sizeof(text), "%u:%u rbps=%llu", major(st.st_rdev), minor(st.st_rdev),
		 (unsigned long long)(DIRECT / 3));
	/*
	 * In 7.3 blkg_conf_prep() allocates under a mutex that reclaim may need, which lockdep
	 * reports now and then.  So reclaim does no I/O for that.
	 */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	set = write_text(path, text);
	prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0);
	if (set) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", slow_cgroup);
		CHECK(write_text(path, "0"));
		return true;
	}
	rmdir(slow_cgroup);
	return false;
}

static void disk_fast(void)
{
	CHECK(write_text(CGROUP "/cgroup.procs", "0"));
	rmdir(slow_cgroup);
}

/* Neither way is a chunk moved while a direct read is on its way into it. */
static void test_pinned_direct(void)
{
	struct reader r = { .fd = open_disk() };
	struct pagearena_stats st;
	__u64 at, i, start;
	struct arena a;
	pthread_t t;
	__u32 ret;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = part_live(&a, DIRECT, 1);
	CHECK_EQ(pwrite(r.fd, a.base + at, DIRECT, 0), DIRECT);
	if (!disk_slow(r.fd))
		SKIP("no io controller in cgroup2 to slow the disk down");
	for (i = 0; i < 2; i++) {
		memset(a.base + at, 0, DIRECT);
		r.to = a.base + at;
		r.done = 0;
		CHECK(!pthread_create(&t, NULL, reader_thread, &r));
		start = pa_now();
		/* It is under way soon; until then, the chunk may go back and forth. */
		do {
			if (pa_now() - start > 20000000000ULL)
				pa_fail("the direct read never pinned anything");
			if (__atomic_load_n(&r.done, __ATOMIC_ACQUIRE)) {
				disk_fast();
				SKIP("the RAM disk cannot be slowed down");
			}
			usleep(10000);
			if (i == 0) {
				ret = pa_promote(&a, at);
				if (ret == PAGEARENA_PROMOTE_DONE)
					pa_scavenge_flags(&a, ALL, 0, FORCE);
			} else {
				ret = pa_scavenge_flags(&a, ALL, 0, FORCE) ? 0 :
				      PAGEARENA_PROMOTE_PINNED;
				if (ret != PAGEARENA_PROMOTE_PINNED)
					pa_promote(&a, at);
			}
		} while (ret != PAGEARENA_PROMOTE_PINNED);
		st = pa_stats(a.fd);
		CHECK_EQ(__atomic_load_n(&r.done, __ATOMIC_ACQUIRE), 0);
		CHECK(!pthread_join(t, NULL));
		CHECK_EQ(r.got, DIRECT);
		CHECK(pa_filled(a.base + at, DIRECT, 1));
		/* And then it goes. */
		if (i == 0) {
			CHECK_OP(st.nr_refused[PAGEARENA_PROMOTE_PINNED], >, 0);
			CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
		} else {
			CHECK_OP(st.nr_demote_failed, >, 0);
			CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, FORCE), HUGE - DIRECT);
		}
		CHECK(pa_filled(a.base + at, DIRECT, 1));
		pa_check(&a);
	}
	disk_fast();
	pa_close(&a);
	close(r.fd);
}

struct mover {
	struct arena *a;
	__u64 at;
	int stop;
};

static void *mover_thread(void *arg)
{
	struct mover *m = arg;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		pa_promote(m->a, m->at);
		pa_scavenge_flags(m->a, ALL, 0, FORCE);
	}
	return NULL;
}

/* Direct reads, with the chunk on the move all the time. */
static void test_moved_direct(void)
{
	struct pagearena_stats st;
	int fd = open_disk();
	struct mover m = {};
	struct arena a;
	pthread_t t;
	__u64 at, i;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = part_live(&a, DIRECT, 1);
	CHECK_EQ(pwrite(fd, a.base + at, DIRECT, 0), DIRECT);
	m.a = &a;
	m.at = at;
	CHECK(!pthread_create(&t, NULL, mover_thread, &m));
	for (i = 0; i < 40; i++) {
		memset(a.base + at, 0, DIRECT);
		CHECK_EQ(pread(fd, a.base + at, DIRECT, 0), DIRECT);
		CHECK(pa_filled(a.base + at, DIRECT, 1));
	}
	__atomic_store_n(&m.stop, 1, __ATOMIC_RELEASE);
	CHECK(!pthread_join(t, NULL));
	st = pa_stats(a.fd);
	pa_say("%llu promotions, %llu demotions, refused %llu and %llu for pins",
	       (unsigned long long)st.nr_promote, (unsigned long long)st.nr_demote,
	       (unsigned long long)st.nr_refused[PAGEARENA_PROMOTE_PINNED],
	       (unsigned long long)st.nr_demote_failed);
	CHECK_OP(st.nr_promote + st.nr_refused[PAGEARENA_PROMOTE_PINNED], >, 0);
	pa_check(&a);
	pa_close(&a);
	close(fd);
}

/* Demotion and the order of scavenging */

static void test_order(void)
{
	static const __u64 live[] = { 1536 * KiB, 512 * KiB, MiB };
	struct arena a;
	__u64 at[3];
	int i;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	for (i = 0; i < 3; i++)
		at[i] = part_live(&a, live[i], i);
	CHECK_EQ(nr_huge(&a), 3);
	/* Huge folios with live memory are left alone, unless it is asked for. */
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 0);
	CHECK_EQ(nr_huge(&a), 3);
	CHECK_EQ(pa_stats(a.fd).backed, 3 * HUGE);

	/* The sparsest goes first, and no more go than are asked for. */
	CHECK_EQ(pa_scavenge_flags(&a, 1, 0, BREAK), HUGE - live[1]);
	CHECK(is_huge(&a, at[0]) && !is_huge(&a, at[1]) && is_huge(&a, at[2]));
	CHECK_EQ(pa_stats(a.fd).bytes_copied, live[1]);
	CHECK_EQ(pa_stats(a.fd).backed, 2 * HUGE + live[1]);
	CHECK_EQ(pa_scavenge_flags(&a, 1, 0, BREAK), HUGE - live[2]);
	CHECK(is_huge(&a, at[0]) && !is_huge(&a, at[2]));
	/* More would be copied than won. */
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, BREAK), 0);
	CHECK(is_huge(&a, at[0]));
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, FORCE), HUGE - live[0]);
	CHECK_EQ(nr_huge(&a), 0);
	CHECK_EQ(pa_stats(a.fd).nr_demote, 3);
	CHECK_EQ(pa_stats(a.fd).backed, live[0] + live[1] + live[2]);
	for (i = 0; i < 3; i++)
		CHECK(pa_filled(a.base + at[i], live[i], i));
	pa_check(&a);
	pa_close(&a);
}

/* A chunk that is live as a whole is never broken. */
static void test_full(void)
{
	struct arena a;
	__u64 at;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	at = part_live(&a, HUGE, 1);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, FORCE), 0);
	CHECK(is_huge(&a, at));
	CHECK_EQ(pa_stats(a.fd).nr_demote, 0);
	pa_check(&a);
	pa_close(&a);
}

/* Whole free chunks go before larger spans that hold none. */
static void test_whole_first(void)
{
	__u64 first, odd, live, whole;
	struct arena a;

	open_packed(&a);
	first = pa_alloc(&a, 256 * KiB, HUGE, 0);
	odd = pa_alloc(&a, 3584 * KiB, 0, 0);
	live = pa_alloc(&a, 256 * KiB, 0, 0);
	CHECK(first == 0 && odd == 256 * KiB && live == 3840 * KiB);
	whole = part_live(&a, HUGE, 1);
	CHECK_EQ(whole, 2 * HUGE);
	pa_alloc(&a, 256 * KiB, 0, 0);
	pa_fill(a.base, 2 * HUGE, 2);
	CHECK_EQ(pa_promote(&a, whole), PAGEARENA_PROMOTE_DONE);
	pa_free(&a, odd);
	pa_free(&a, whole);
	CHECK_EQ(pa_scavenge(&a, 1, 0, NULL), HUGE);
	CHECK_EQ(nr_huge(&a), 0);
	CHECK(pa_query(&a, whole).flags & PAGEARENA_SPAN_SCAVENGED);
	CHECK(!(pa_query(&a, odd).flags & PAGEARENA_SPAN_SCAVENGED));
	CHECK_EQ(pa_scavenge(&a, 1, 0, NULL), 3584 * KiB);
	CHECK(pa_query(&a, odd).flags & PAGEARENA_SPAN_SCAVENGED);
	CHECK(pa_filled(a.base, 256 * KiB, 2));
	pa_check(&a);
	pa_close(&a);
}

/* A free span over a huge chunk, a whole one and a small one is split where it must be. */
static void test_split(void)
{
	struct pagearena_span s;
	__u64 head, rest, tail;
	struct arena a;

	open_packed(&a);
	head = pa_alloc(&a, MiB, HUGE, 0);
	rest = pa_alloc(&a, 4 * MiB, 0, 0);
	tail = pa_alloc(&a, MiB, 0, 0);
	CHECK(head == 0 && rest == MiB && tail == 5 * MiB);
	pa_fill(a.base, 6 * MiB, 1);
	CHECK_EQ(pa_promote(&a, 0), PAGEARENA_PROMOTE_DONE);
	pa_free(&a, rest);

	/* Whole chunks: 2 to 4 MiB of the span from 1 to 5 MiB. */
	CHECK_EQ(pa_scavenge(&a, 1, 0, NULL), HUGE);
	s = pa_query(&a, 3 * MiB);
	CHECK_EQ(s.offset, HUGE);
	CHECK_EQ(s.length, HUGE);
	CHECK(s.flags & PAGEARENA_SPAN_SCAVENGED);
	CHECK_EQ(s.backed, 0);
	pa_check(&a);
	/* Then what lies in small folios; it joins what is scavenged already. */
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), MiB);
	s = pa_query(&a, 3 * MiB);
	CHECK_EQ(s.offset, HUGE);
	CHECK_EQ(s.length, 3 * MiB);
	/* The rest of the huge chunk stays. */
	s = pa_query(&a, rest);
	CHECK_EQ(s.offset, MiB);
	CHECK_EQ(s.length, MiB);
	CHECK(!(s.flags & PAGEARENA_SPAN_SCAVENGED));
	CHECK_EQ(s.huge, MiB);
	pa_check(&a);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, BREAK), MiB);
	s = pa_query(&a, rest);
	CHECK_EQ(s.offset, MiB);
	CHECK_EQ(s.length, 4 * MiB);
	CHECK_EQ(s.backed, 0);
	CHECK(pa_filled(a.base, MiB, 1));
	CHECK_EQ(pa_stats(a.fd).backed, 2 * MiB);
	pa_check(&a);
	pa_close(&a);
}

/* BREAK goes by age, too. */
static void test_break_age(void)
{
	struct arena a;
	__u64 at;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	at = part_live(&a, 512 * KiB, 1);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 3600000000000ULL, BREAK), 0);
	CHECK(is_huge(&a, at));
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 1, BREAK), 1536 * KiB);
	CHECK(!is_huge(&a, at));
	CHECK(pa_filled(a.base + at, 512 * KiB, 1));
	pa_check(&a);
	pa_close(&a);
}

static void test_demote_pinned(void)
{
	struct arena a;
	__u64 at, other;
	int ends[2];

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	at = part_live(&a, 512 * KiB, 1);
	other = part_live(&a, MiB, 2);
	pipe_pin(&a, ends, at, PAGE);
	/* The sparser one is pinned: only the other one is told. */
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, BREAK), MiB);
	CHECK(is_huge(&a, at) && !is_huge(&a, other));
	CHECK_EQ(pa_stats(a.fd).nr_demote_failed, 1);
	CHECK_EQ(pa_stats(a.fd).backed, HUGE + MiB);
	pa_check(&a);
	pa_fill(a.base + at, PAGE, 7);
	pipe_expect(ends, PAGE, 7);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, BREAK), 1536 * KiB);
	CHECK(pa_filled(a.base + at, PAGE, 7));
	CHECK(pa_filled(a.base + other, MiB, 2));
	CHECK_EQ(nr_huge(&a), 0);
	pa_check(&a);
	pa_close(&a);
}

/* A chunk that was demoted is not small for ever. */
static void test_again(void)
{
	struct arena a;
	__u64 at;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	at = part_live(&a, 512 * KiB, 1);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, BREAK), 1536 * KiB);
	CHECK(!is_huge(&a, at));
	/* All of it free, and then allocated anew as one span. */
	pa_free(&a, at);
	pa_scavenge(&a, ALL, 0, NULL);
	CHECK_EQ(pa_alloc(&a, HUGE, HUGE, 0), at);
	a.base[at] = 1;
	CHECK(is_huge(&a, at));
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, HUGE);
	CHECK(pa_zero(a.base + at + 1, HUGE - 1));
	pa_check(&a);
	pa_close(&a);
}

/*
 * Rule 15: when free spans coalesce into a whole chunk again, its next touch makes it huge.
 * Nothing is scavenged here, so the chunk is never empty.
 */
static void test_coalesced(void)
{
	struct arena a;
	__u64 at, rest;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 2 * MiB);
	at = part_live(&a, 512 * KiB, 1);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, BREAK), 1536 * KiB);
	CHECK(!is_huge(&a, at));
	rest = pa_alloc(&a, 1536 * KiB, 0, 0);
	CHECK_EQ(rest, at + 512 * KiB);
	a.base[rest] = 1;
	CHECK(!is_huge(&a, at));
	pa_free(&a, at);
	pa_free(&a, rest);
	CHECK_EQ(pa_query(&a, 0).length, HUGE);
	CHECK_EQ(pa_alloc(&a, HUGE, HUGE, 0), at);
	pa_fill(a.base + at, HUGE, 3);
	CHECK(is_huge(&a, at));
	CHECK(pa_filled(a.base + at, HUGE, 3));
	pa_check(&a);
	pa_close(&a);
}

/* What processes see */

static void test_pmd(void)
{
	struct arena a;
	__u64 at, i;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = pa_alloc(&a, 16 * HUGE, HUGE, 0);
	for (i = 0; i < 16 * HUGE; i += PAGE)
		a.base[at + i] = (char)(i / PAGE);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 0);
	CHECK_EQ(pa_smaps(a.base, a.bytes).nr, 1);
	/* One by one, in an order that leaves holes; then the rest at once. */
	for (i = 0; i < 16; i += 3) {
		CHECK_EQ(pa_promote(&a, at + i * HUGE), PAGEARENA_PROMOTE_DONE);
		a.base[at + i * HUGE + MiB]++;
		CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, (i / 3 + 1) * HUGE);
		CHECK_EQ(pa_smaps(a.base, a.bytes).nr, 1);
	}
	CHECK(!pa_promote_fd(a.fd, at, 16 * HUGE, NULL));
	for (i = 0; i < 16; i++)
		a.base[at + i * HUGE]++;
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 16 * HUGE);
	CHECK_EQ(pa_smaps(a.base, a.bytes).nr, 1);
	for (i = 1; i < HUGE / PAGE; i++)
		CHECK(i == MiB / PAGE ||
		      a.base[at + 3 * HUGE + i * PAGE] == (char)(3 * HUGE / PAGE + i));
	pa_check(&a);
	pa_close(&a);
}

/*
 * Memory that was anonymous before keeps its old index in the kernel's book; that must not be
 * in the way.
 */
static void test_pmd_used(void)
{
	struct pagearena_stats st;
	struct arena a;
	__u64 at, i;
	char *p;

	pa_want_thp();
	p = mmap(NULL, 64 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	CHECK(!madvise(p, 64 * MiB, MADV_HUGEPAGE));
	for (i = 0; i < 64 * MiB; i += PAGE)
		p[i] = 1;
	CHECK(!munmap(p, 64 * MiB));
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	at = pa_alloc(&a, 16 * HUGE, HUGE, 0);
	for (i = 0; i < 16 * HUGE; i += PAGE)
		a.base[at + i] = (char)(i / PAGE);
	st = pa_stats(a.fd);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, st.huge_bytes);
	CHECK_OP(st.huge_bytes, >, 0);
	pa_check(&a);
	pa_close(&a);
}

/* A chunk that was mapped page by page, was scavenged whole and is touched again. */
static void test_pmd_scavenged(void)
{
	struct arena a;
	__u64 at, small, i;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	at = part_live(&a, 512 * KiB, 1);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, BREAK), 1536 * KiB);
	small = pa_alloc(&a, 1536 * KiB, 0, 0);
	CHECK_EQ(small, at + 512 * KiB);
	for (i = 0; i < HUGE; i += PAGE)
		a.base[at + i] = 1;
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 0);
	pa_free(&a, at);
	pa_free(&a, small);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), HUGE);
	CHECK_EQ(pa_alloc(&a, HUGE, HUGE, 0), at);
	a.base[at] = 1;
	CHECK(is_huge(&a, at));
	/* The page table is still there; the next call finds the chunk huge and maps it anew. */
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 0);
	a.base[at] = 1;
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, HUGE);
	CHECK_EQ(pa_smaps(a.base, a.bytes).nr, 1);
	pa_check(&a);
	pa_close(&a);
}

/* From 7.2 on one fault maps all of a folio, so small chunks get larger ones. */
static void test_mid(void)
{
	unsigned int major, minor;
	struct pagearena_alloc req;
	__u64 at, i, faults;
	char release[64];
	struct arena a;
	int n;

	read_text("/proc/sys/kernel/osrelease", release, sizeof(release));
	n = sscanf(release, "%u.%u", &major, &minor);
	CHECK_EQ(n, 2);
	if (major < 7 || (major == 7 && minor < 2))
		SKIP("this kernel maps a folio page by page");
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB, .granule = 64 * KiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	at = pa_alloc(&a, MiB, HUGE, 0);
	/* The first touch of 64 KiB is the only fault for all of it. */
	for (i = 0; i < MiB; i += 64 * KiB) {
		faults = pa_stats(a.fd).nr_fault;
		pa_fill(a.base + at + i + 20 * KiB, PAGE, i + 1);
		CHECK(pa_zero(a.base + at + i, 20 * KiB));
		pa_fill(a.base + at + i, 64 * KiB, i + 1);
		CHECK_EQ(pa_stats(a.fd).nr_fault, faults + 1);
		CHECK_EQ(pa_stats(a.fd).nr_mid_alloc, i / (64 * KiB) + 1);
		CHECK_EQ(pa_stats(a.fd).small_bytes, i + 64 * KiB);
	}
	for (i = 0; i < MiB; i += 64 * KiB)
		CHECK(pa_filled(a.base + at + i, 64 * KiB, i + 1));

	/* A span that does not cover 64 KiB gets single pages. */
	CHECK_EQ(pa_alloc(&a, 32 * KiB, 0, 0), at + MiB);
	a.base[at + MiB] = 1;
	CHECK_EQ(pa_stats(a.fd).nr_mid_alloc, 16);
	CHECK_EQ(pa_stats(a.fd).small_bytes, MiB + PAGE);
	pa_free(&a, at + MiB);
	pa_free(&a, at);

	/* One granule among live ones goes, and comes back clear. */
	for (i = 0; i < 8; i++)
		CHECK_EQ(pa_alloc(&a, 64 * KiB, 0, 0), at + i * 64 * KiB);
	pa_free(&a, at + 3 * 64 * KiB);
	CHECK_OP(pa_scavenge(&a, ALL, 0, NULL), >=, 64 * KiB);
	CHECK_EQ(pa_stats(a.fd).small_bytes, 7 * 64 * KiB);
	CHECK_EQ(pa_smaps(a.base, a.bytes).rss, 7 * 64 * KiB);
	for (i = 0; i < 8; i++)
		CHECK(i == 3 || pa_filled(a.base + at + i * 64 * KiB, 64 * KiB, i * 64 * KiB + 1));
	CHECK(!pa_alloc_fd(a.fd, 64 * KiB, 0, 0, &req));
	CHECK_EQ(req.offset, at + 3 * 64 * KiB);
	CHECK_EQ(req.out_flags & PAGEARENA_ALLOCED_ZERO, PAGEARENA_ALLOCED_ZERO);
	CHECK(pa_zero(a.base + at + 3 * 64 * KiB, 64 * KiB));
	CHECK_EQ(pa_stats(a.fd).small_bytes, 8 * 64 * KiB);

	/* They move to a huge folio and back. */
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	CHECK_EQ(pa_stats(a.fd).bytes_copied, 8 * 64 * KiB);
	CHECK_OP(pa_scavenge_flags(&a, ALL, 0, FORCE), >=, HUGE - 8 * 64 * KiB);
	CHECK_EQ(pa_stats(a.fd).small_bytes, 8 * 64 * KiB);
	for (i = 0; i < 8; i++)
		CHECK(i == 3 || pa_filled(a.base + at + i * 64 * KiB, 64 * KiB, i * 64 * KiB + 1));
	pa_check(&a);
	pa_close(&a);
}

/* A field of the mapping that holds an address, as smaps shows it. */
static void smaps_field(const void *addr, const char *key, char *buf, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long from, to;
	size_t len = strlen(key);
	bool inside = false;
	char line[512];

	CHECK(f);
	buf[0] = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			inside = from <= (uintptr_t)addr && (uintptr_t)addr < to;
		else if (inside && !strncmp(line, key, len) && line[len] == ':')
			snprintf(buf, size, "%s ", line + len + 1);
	}
	fclose(f);
	buf[strcspn(buf, "\n")] = ' ';
}

static bool has_flag(const void *addr, const char *flag)
{
	char buf[512];

	smaps_field(addr, "VmFlags", buf, sizeof(buf));
	return strstr(buf, flag);
}

/* What the program has changed of its mapping is not undone. */
static void test_changed(void)
{
	struct arena a;
	__u64 at[5];
	char *end;
	int i;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	if (pa_folding_chunk())
		SKIP("nothing is mapped anew where a PMD maps more than a chunk");
	for (i = 0; i < 5; i++)
		at[i] = part_live(&a, HUGE, i);
	end = a.base + a.bytes;
	/* One read only, one locked, one that is not dumped, half of one with no access. */
	CHECK(!mprotect(a.base + at[0], HUGE, PROT_READ));
	CHECK(!mlock(a.base + at[1], HUGE));
	CHECK(!madvise(a.base + at[2], HUGE, MADV_DONTDUMP));
	CHECK(!mprotect(a.base + at[3] + MiB, MiB, PROT_NONE));
	CHECK(has_flag(a.base + at[1], " lo "));
	CHECK(has_flag(a.base + at[2], " dd "));
	for (i = 0; i < 5; i++) {
		__u32 result = pa_promote(&a, at[i]);

		/* mlock() leaves references in the processors' batches, for a while. */
		if (i != 1 || result != PAGEARENA_PROMOTE_PINNED)
			CHECK_EQ(result, PAGEARENA_PROMOTE_DONE);
	}
	CHECK_EQ(pa_poke(a.base + at[0], 1), SIGSEGV);
	CHECK(pa_filled(a.base + at[0], HUGE, 0));
	CHECK(has_flag(a.base + at[1], " lo "));
	CHECK(pa_filled(a.base + at[1], HUGE, 1));
	CHECK(has_flag(a.base + at[2], " dd "));
	CHECK(pa_filled(a.base + at[2], HUGE, 2));
	CHECK_EQ(pa_peek(a.base + at[3] + MiB, NULL), SIGSEGV);
	CHECK(pa_filled(a.base + at[3], MiB, 3));
	CHECK_EQ(pa_poke(a.base + at[4], 1), 0);
	/* The last one was left as it was, and is mapped by one entry. */
	CHECK_EQ(pa_smaps(a.base + at[4], (__u64)(end - a.base) - at[4]).pmd, HUGE);
	CHECK(!mprotect(a.base + at[3] + MiB, MiB, PROT_READ));
	CHECK(pa_filled(a.base + at[3], HUGE, 3));
	pa_check(&a);
	pa_close(&a);
}

/* What is in the place of the mapping by now is not hit. */
static void test_replaced(void)
{
	char *there, *moved, *p;
	struct arena a, b;
	__u64 at[4];
	int i;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	for (i = 0; i < 4; i++)
		at[i] = part_live(&a, HUGE, i);
	/* Something else; nothing at all; another arena. */
	there = a.base + at[0];
	p = mmap(there, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0);
	CHECK(p == there);
	pa_fill(p, HUGE, 10);
	CHECK(!munmap(a.base + at[1], HUGE));
	b.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(b.fd >= 0);
	CHECK(!pa_setup_fd(b.fd, (struct pagearena_setup){ .arena_bytes = 64 << 20 }));
	p = mmap(a.base + at[2], HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b.fd,
		 (off_t)at[2]);
	CHECK(p == a.base + at[2]);
	for (i = 0; i < 4; i++)
		CHECK_EQ(pa_promote(&a, at[i]), PAGEARENA_PROMOTE_DONE);
	CHECK(pa_filled(there, HUGE, 10));
	CHECK_EQ(pa_peek(a.base + at[1], NULL), SIGSEGV);
	CHECK_EQ(pa_peek(a.base + at[2], NULL), SIGSEGV);
	CHECK_EQ(pa_stats(b.fd).nr_fault_denied, 1);
	CHECK(pa_filled(a.base + at[3], HUGE, 3));

	/* The contents are found where the arena is mapped anew. */
	p = mmap(NULL, a.bytes, PROT_READ, MAP_SHARED, a.fd, 0);
	CHECK(p != MAP_FAILED);
	for (i = 0; i < 4; i++)
		CHECK(pa_filled(p + at[i], HUGE, i));
	/* A mapping that has moved: nothing appears where it was. */
	moved = mremap(p, a.bytes, a.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, a.base + GiB);
	CHECK(moved == a.base + GiB);
	pa_scavenge_flags(&a, ALL, 0, FORCE);
	CHECK(!pa_promote_fd(a.fd, 0, a.bytes, NULL));
	CHECK_EQ(pa_peek(p, NULL), SIGSEGV);
	for (i = 0; i < 4; i++)
		CHECK(pa_filled(moved + at[i], HUGE, i));
	CHECK_EQ(pa_poke(moved + at[0], 1), SIGSEGV);
	close(b.fd);
	pa_check(&a);
}

static unsigned int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned int nr = 0;
	int c;

	CHECK(f);
	while ((c = getc(f)) != EOF)
		nr += c == '\n';
	fclose(f);
	return nr;
}

/*
 * Where a process has more mappings than it may have, the core maps nothing anew, and says so
 * before it asks for the place.  What is not mapped there is not to be mapped in its stead.
 */
static void test_many_mappings(void)
{
	struct arena a;
	__u64 at[2];
	int i;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	for (i = 0; i < 2; i++)
		at[i] = part_live(&a, HUGE, i);
	CHECK(!munmap(a.base + at[0], HUGE));
	pa_set_u64("/proc/sys/vm/max_map_count", mappings() - 3);
	for (i = 0; i < 2; i++)
		CHECK_EQ(pa_promote(&a, at[i]), PAGEARENA_PROMOTE_DONE);
	CHECK_EQ(pa_peek(a.base + at[0], NULL), SIGSEGV);
	CHECK(pa_filled(a.base + at[1], HUGE, 1));
	pa_set_u64("/proc/sys/vm/max_map_count", 65530);
	pa_check(&a);
	pa_close(&a);
}

/* A flag that the module gives mmap() when it maps anew. */
#define MAP_ANEW	(1ULL << 40)

/* The same, while another process asks for its places with the flag that the module uses. */
static void test_many_mappings_asked(void)
{
	enum { NR = 16 };
	struct arena a;
	__u64 at[NR];
	void *mine;
	char byte, *more;
	int to[2], i;
	pid_t pid;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	for (i = 0; i < NR; i++)
		at[i] = part_live(&a, HUGE, i);
	CHECK(!pipe(to));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		mine = mmap(NULL, a.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, 0);
		CHECK(mine != MAP_FAILED);
		CHECK_EQ(write(to[1], "", 1), 1);
		/* Found good, and refused for the flag. */
		for (;;)
			CHECK_ERR(syscall(SYS_mmap, mine, a.bytes, PROT_READ | PROT_WRITE,
					  MAP_SHARED_VALIDATE | MAP_FIXED | MAP_ANEW, a.fd, 0),
				  EOPNOTSUPP);
	}
	CHECK_EQ(read(to[0], &byte, 1), 1);
	/* The limit is everybody's; the other process is to stay below it. */
	more = mmap(NULL, 64 * pa_page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(more != MAP_FAILED);
	for (i = 0; i < 64; i += 2)
		CHECK(!mprotect(more + i * pa_page, pa_page, PROT_NONE));
	/* The last one to map it is who is served. */
	CHECK(mmap(a.base, a.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, a.fd, 0) ==
	      a.base);
	for (i = 0; i < NR - 1; i++)
		CHECK(!munmap(a.base + at[i], HUGE));
	/* Builds for tests can wait in the window, see race.h; 14 is PA_RACE_ANEW. */
	if (!access(PARAMETERS "race_window", W_OK)) {
		pa_set_u64(PARAMETERS "race_us", 20000);
		pa_set_u64(PARAMETERS "race_window", 14);
	}
	pa_set_u64("/proc/sys/vm/max_map_count", mappings() - 3);
	for (i = 0; i < NR; i++)
		CHECK_EQ(pa_promote(&a, at[i]), PAGEARENA_PROMOTE_DONE);
	for (i = 0; i < NR - 1; i++)
		CHECK_EQ(pa_peek(a.base + at[i], NULL), SIGSEGV);
	CHECK(pa_filled(a.base + at[NR - 1], HUGE, NR - 1));
	pa_set_u64("/proc/sys/vm/max_map_count", 65530);
	CHECK(!kill(pid, SIGKILL));
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	pa_check(&a);
	pa_close(&a);
}

/* Other mappings see the same contents, before and after; a child has none at all. */
static void test_others(void)
{
	int there[2], back[2];
	char *ro, *rw, byte;
	struct arena a;
	__u64 at;
	pid_t pid;

	open_arena(&a, PAGEARENA_HUGE_NEVER, 64 * MiB);
	at = part_live(&a, MiB, 1);
	ro = mmap(NULL, a.bytes, PROT_READ, MAP_SHARED, a.fd, 0);
	CHECK(ro != MAP_FAILED);
	CHECK(pa_filled(ro + at, MiB, 1));
	CHECK(!pipe(there) && !pipe(back));
	pid = fork();
	if (!pid) {
		CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
		rw = mmap(NULL, a.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, 0);
		CHECK(rw != MAP_FAILED);
		CHECK(pa_filled(rw + at, MiB, 1));
		CHECK_EQ(write(back[1], "", 1), 1);
		CHECK_EQ(read(there[0], &byte, 1), 1);
		/* Promoted by the parent. */
		CHECK(pa_filled(rw + at, MiB, 2));
		CHECK_EQ(pa_smaps(rw, a.bytes).nr, 1);
		pa_fill(rw + at, MiB, 3);
		/* Demoted and promoted by the child. */
		CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, BREAK), MiB);
		CHECK(pa_filled(rw + at, MiB, 3));
		CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
		CHECK(pa_filled(rw + at, MiB, 3));
		CHECK_EQ(pa_smaps(rw, a.bytes).nr, 1);
		CHECK_EQ(pa_smaps(rw, a.bytes).pmd, HUGE);
		_exit(0);
	}
	CHECK_EQ(read(back[0], &byte, 1), 1);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	CHECK(pa_filled(ro + at, MiB, 1));
	pa_fill(a.base + at, MiB, 2);
	CHECK_EQ(write(there[1], "", 1), 1);
	pa_wait_ok(pid);
	CHECK(pa_filled(a.base + at, MiB, 3));
	CHECK(pa_filled(ro + at, MiB, 3));
	CHECK_EQ(pa_poke(ro + at, 1), SIGSEGV);
	CHECK_EQ(pa_smaps(a.base, a.bytes).nr, 1);
	CHECK_EQ(pa_smaps(ro, a.bytes).nr, 1);
	pa_check(&a);
	CHECK(!munmap(ro, a.bytes));
	pa_close(&a);
}

/* Policy */

static int policy(struct arena *a, struct pagearena_policy *req)
{
	req->size = sizeof(*req);
	return ioctl(a->fd, PAGEARENA_IOC_POLICY, req);
}

#define SET_PERCENT	PAGEARENA_POLICY_PROMOTE_PERCENT
#define SET_DENSITY	PAGEARENA_POLICY_PROMOTE_DENSITY

static void test_policy(void)
{
	struct pagearena_policy req = {};
	unsigned int i;
	struct arena a;
	/* clang-format off */
	static const struct pagearena_policy bad[] = {
		{ .set = 1U << 31 },
		{ .set = SET_PERCENT, .promote_percent = 101 },
		{ .set = SET_DENSITY, .promote_density = 0 },
		{ .set = SET_DENSITY, .promote_density = 101 },
		{ .promote_percent = 1 },
		{ .promote_density = 1 },
		{ .set = SET_PERCENT, .promote_percent = 5, .promote_density = 5 },
	};
	/* clang-format on */

	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	req = (struct pagearena_policy){ .set = SET_PERCENT | SET_DENSITY, .promote_percent = 7,
					 .promote_density = 60 };
	CHECK(!policy(&a, &req));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		req = bad[i];
		CHECK_ERR(policy(&a, &req), EINVAL);
		req = (struct pagearena_policy){};
		CHECK(!policy(&a, &req));
		CHECK_EQ(req.promote_percent, 7);
		CHECK_EQ(req.promote_density, 60);
	}
	/* One field leaves the other. */
	req = (struct pagearena_policy){ .set = SET_PERCENT, .promote_percent = 0 };
	CHECK(!policy(&a, &req));
	CHECK_EQ(req.promote_percent, 0);
	CHECK_EQ(req.promote_density, 60);
	pa_close(&a);
	a.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	req = (struct pagearena_policy){};
	CHECK_ERR(policy(&a, &req), EBADFD);
	close(a.fd);
}

/* Does the chunk become huge within some seconds? */
static bool becomes_huge(struct arena *a, __u64 at, unsigned int ms)
{
	unsigned int i;

	for (i = 0; i < ms / 50 && !is_huge(a, at); i++)
		usleep(50000);
	return is_huge(a, at);
}

/* A demoted chunk with live spans of @live bytes, the last of them of one page. */
static __u64 make_small(struct arena *a, __u64 live)
{
	__u64 at = part_live(a, 512 * KiB, 1), more;

	CHECK(is_huge(a, at));
	CHECK_EQ(pa_scavenge_flags(a, ALL, 0, BREAK), 1536 * KiB);
	more = pa_alloc(a, live - 512 * KiB, 0, 0);
	CHECK_EQ(more, at + 512 * KiB);
	/* From now on the background may make it huge again, if the policy says so. */
	pa_fill(a->base + more, live - 512 * KiB, 2);
	return at;
}

static void test_background(void)
{
	struct pagearena_policy req;
	struct pagearena_stats st;
	struct arena a;
	__u64 at;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	/* Off. */
	at = make_small(&a, 1536 * KiB);
	CHECK(!becomes_huge(&a, at, 1000));
	CHECK_EQ(pa_stats(a.fd).nr_promote, 0);
	/* Not dense enough, until another page comes. */
	pa_free(&a, at);
	pa_free(&a, at + 512 * KiB);
	pa_scavenge(&a, ALL, 0, NULL);
	req = (struct pagearena_policy){ .set = SET_PERCENT | SET_DENSITY, .promote_percent = 100,
					 .promote_density = 50 };
	CHECK(!policy(&a, &req));
	at = make_small(&a, MiB - PAGE * 2);
	CHECK(!becomes_huge(&a, at, 1000));
	CHECK_EQ(pa_stats(a.fd).nr_promote, 0);
	a.base[pa_alloc(&a, 2 * PAGE, 0, 0)] = 1;
	a.base[at + MiB - PAGE] = 1;
	CHECK(becomes_huge(&a, at, 20000));
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_promote, 1);
	CHECK_EQ(st.nr_promote_background, 1);
	CHECK_EQ(st.bytes_copied, 512 * KiB * 2 + MiB);
	CHECK(pa_filled(a.base + at, 512 * KiB, 1));
	CHECK(pa_filled(a.base + at + 512 * KiB, 512 * KiB - 2 * PAGE, 2));
	pa_check(&a);
	pa_close(&a);
}

/* Chunks that became dense while it was off are found when it is switched on. */
static void test_background_on(void)
{
	struct pagearena_policy req;
	struct arena a;
	__u64 at;

	pa_want_thp();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	req = (struct pagearena_policy){ .set = SET_PERCENT | SET_DENSITY, .promote_percent = 1,
					 .promote_density = 50 };
	CHECK(!policy(&a, &req));
	at = make_small(&a, 1536 * KiB);
	CHECK(!pa_background_fd(a.fd, 0));
	usleep(300000);
	CHECK(!pa_background_fd(a.fd, 100));
	CHECK(becomes_huge(&a, at, 20000));
	pa_check(&a);
	pa_close(&a);
}

/* Sets one of a list of words; the one before is returned, for restoring it. */
static void sysfs_set(const char *path, const char *text, char *was, size_t size)
{
	char buf[128], *open, *close;

	if (was) {
		read_text(path, buf, sizeof(buf));
		open = strchr(buf, '[');
		close = strchr(buf, ']');
		if (!open || !close)
			SKIP("no %s", path);
		*close = 0;
		snprintf(was, size, "%s", open + 1);
	}
	if (!write_text(path, text))
		SKIP("cannot write to %s", path);
}

/* The module looks at it once a second. */
static void thp_set(const char *text, char *was, size_t size)
{
	sysfs_set(THP, text, was, size);
	usleep(1300000);
}

static void test_thp_never(void)
{
	struct arena a, b, c;
	char was[32];
	bool huge[3];
	__u64 at;

	pa_want_thp();
	thp_set("never", was, sizeof(was));
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	at = pa_alloc(&a, HUGE, HUGE, 0);
	a.base[at] = 1;
	huge[0] = is_huge(&a, at);
	/* ALWAYS does not look, and neither does PROMOTE. */
	open_arena(&b, PAGEARENA_HUGE_ALWAYS, 64 * MiB);
	at = pa_alloc(&b, b.page, HUGE, 0);
	b.base[at] = 1;
	huge[1] = is_huge(&b, at);
	huge[2] = pa_promote(&a, 0) == PAGEARENA_PROMOTE_DONE;
	thp_set(was, NULL, 0);
	CHECK(!huge[0]);
	CHECK(huge[1]);
	CHECK(huge[2]);
	/* And AUTO uses them again, once somebody has looked. */
	open_arena(&c, PAGEARENA_HUGE_AUTO, HUGE);
	pa_close(&c);
	at = pa_alloc(&a, HUGE, HUGE, 0);
	a.base[at] = 1;
	CHECK(is_huge(&a, at));
	pa_check(&a);
	pa_check(&b);
	pa_close(&a);
	pa_close(&b);
}

/* No huge pages to be had */

/* An arena's memory is charged to whoever made it, and huge folios only while they fit. */
static void test_cgroup(void)
{
	struct pagearena_stats st;
	char path[160], text[32];
	struct arena a;
	__u64 at;

	pa_want_thp();
	if (pa_page > 4 * KiB)
		SKIP("a cgroup is charged in batches of 64 pages, which is more than a chunk here");
	pa_cgroup_enter();
	open_arena(&a, PAGEARENA_HUGE_AUTO, 64 * MiB);
	snprintf(path, sizeof(path), CGROUP "/pagearena-%d/memory.max", getpid());
	snprintf(text, sizeof(text), "%llu",
		 (unsigned long long)(pa_cgroup_charge() + HUGE - 64 * KiB));
	CHECK(write_text(path, text));
	at = pa_alloc(&a, HUGE, HUGE, 0);
	pa_fill(a.base + at, MiB, 1);
	st = pa_stats(a.fd);
	CHECK_EQ(st.huge_bytes, 0);
	CHECK_OP(st.nr_huge_failed, >, 0);
	CHECK_EQ(st.nr_fault_failed, 0);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_NOMEM);
	CHECK_EQ(pa_stats(a.fd).nr_refused[PAGEARENA_PROMOTE_NOMEM], 1);
	CHECK_EQ(pa_stats(a.fd).nr_huge_failed, st.nr_huge_failed + 1);
	CHECK(pa_filled(a.base + at, MiB, 1));
	CHECK(write_text(path, "max"));
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	CHECK(pa_filled(a.base + at, MiB, 1));
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_leave();
}

/* Free blocks of at least 2 MiB in the machine, in 2 MiB. */
static __u64 free_blocks(void)
{
	FILE *f = fopen("/proc/buddyinfo", "re");
	unsigned int order;
	__u64 sum = 0;
	char line[512], *p, *end;

	if (!f)
		SKIP("no /proc/buddyinfo");
	while (fgets(line, sizeof(line), f)) {
		p = strstr(line, "zone");
		if (!p)
			continue;
		p += 4;
		p += strspn(p, " ");
		p += strcspn(p, " ");
		for (order = 0;; order++, p = end) {
			__u64 n = strtoull(p, &end, 10);

			if (end == p)
				break;
			if (order >= 9)
				sum += n << (order - 9);
		}
	}
	fclose(f);
	return sum;
}

static __u64 vm_counter(const char *key)
{
	FILE *f = fopen("/proc/vmstat", "re");
	unsigned long long value = 0;
	size_t len = strlen(key);
	char line[128];

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len) && line[len] == ' ')
			value = strtoull(line + len, NULL, 10);
	fclose(f);
	return value;
}

/* Takes blocks of 2 MiB, from @from on, until @keep are left or no more can be had. */
static __u64 hog_blocks(char *hog, __u64 from, __u64 size, __u64 keep)
{
	__u64 left, before = ALL;

	while ((left = free_blocks()) > keep && left < before) {
		before = left;
		for (left = MIN(left - keep, 32ULL); left && from < size; left--, from += HUGE)
			hog[from] = 1;
	}
	return from;
}

/*
 * Takes all blocks of 2 MiB and leaves free memory in pieces: of a range of small pages, all
 * but one of each 16, so that enough is left that nobody is killed, and no block comes of it.
 * Returns the hog, of *@size bytes.
 */
static char *fragment(__u64 *size, __u64 pieces)
{
	__u64 total = pa_proc_kb("/proc/meminfo", "MemTotal") * KiB, i;
	char *hog;

	if (total > 6 * GiB)
		SKIP("too much memory to use all of it up");
	*size = ALIGN_UP(total, HUGE) + 2 * pieces;
	hog = mmap(NULL, *size + HUGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(hog != MAP_FAILED);
	hog += -(uintptr_t)hog & (HUGE - 1);
	CHECK(!madvise(hog, pieces, MADV_NOHUGEPAGE));
	CHECK(!madvise(hog + pieces, *size - pieces, MADV_HUGEPAGE));
	for (i = 0; i < pieces; i += PAGE)
		hog[i] = 1;
	/* Some remain for the kernel's own needs, or it kills. */
	i = hog_blocks(hog, pieces, *size, 32);
	/* With the pieces free again, more can be had: what was held back for emergencies. */
	for (total = 0; total < pieces; total += 16 * PAGE)
		CHECK(!madvise(hog + total + PAGE, 15 * PAGE, MADV_DONTNEED));
	i = hog_blocks(hog, i, *size, 0);
	pa_say("%llu MiB taken; %llu blocks of 2 MiB are left", (unsigned long long)i >> 20,
	       (unsigned long long)free_blocks());
	return hog;
}

static void test_exhausted(void)
{
	struct pagearena_promote req;
	struct pagearena_stats st;
	__u64 at, size, stalls, wakes, left, n;
	struct arena a;
	char was[32];
	char *hog;

	if (pa_folding_chunk())
		SKIP("a program gets no folios of 2 MiB, so it cannot use them up");
	open_arena(&a, PAGEARENA_HUGE_ALWAYS, 64 * MiB);
	at = pa_alloc(&a, 16 * HUGE, HUGE, 0);
	/* The hog shall not compact what it leaves. */
	sysfs_set(DEFRAG, "never", was, sizeof(was));
	hog = fragment(&size, 64 * MiB);
	sysfs_set(DEFRAG, was, NULL, 0);
	stalls = vm_counter("compact_stall");
	/* The processors' own lists may hold some more, so a few may be huge. */
	for (n = 0; n < 16; n++)
		pa_fill(a.base + at + n * HUGE, 256 * KiB, n);
	st = pa_stats(a.fd);
	pa_say("%llu of 16 chunks are huge, %llu times none could be had",
	       (unsigned long long)st.huge_bytes / HUGE, (unsigned long long)st.nr_huge_failed);
	if (st.huge_bytes == 16 * HUGE)
		SKIP("the kernel found 16 huge folios in the pieces that were left");
	CHECK_OP(st.nr_huge_failed, >, 0);
	CHECK_EQ(st.nr_fault_failed, 0);
	req = (struct pagearena_promote){ .offset = at, .length = 16 * HUGE };
	CHECK(!promote(&a, &req));
	CHECK_OP(req.counts[PAGEARENA_PROMOTE_NOMEM], >, 0);
	st = pa_stats(a.fd);
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_NOMEM], st.nr_refused[PAGEARENA_PROMOTE_NOMEM]);
	/* Nothing of that waited for compaction. */
	CHECK_EQ(vm_counter("compact_stall"), stalls);
	for (n = 0; n < 16; n++)
		CHECK(pa_filled(a.base + at + n * HUGE, 256 * KiB, n));

	/*
	 * If it is asked for, it may: unless there is enough for who may take the last of it, or
	 * kcompactd has made it meanwhile.
	 */
	left = free_blocks();
	wakes = vm_counter("compact_daemon_wake");
	req = (struct pagearena_promote){ .offset = at, .length = 16 * HUGE,
					  .flags = PAGEARENA_PROMOTE_COMPACT };
	CHECK(!promote(&a, &req));
	pa_say("with compaction: %llu promoted, %llu without memory",
	       (unsigned long long)req.counts[PAGEARENA_PROMOTE_DONE],
	       (unsigned long long)req.counts[PAGEARENA_PROMOTE_NOMEM]);
	CHECK(req.counts[PAGEARENA_PROMOTE_DONE] <= left + 4 ||
	      vm_counter("compact_stall") > stalls ||
	      vm_counter("compact_daemon_wake") > wakes ||
	      vm_counter("allocstall_normal") + vm_counter("allocstall_dma32"));
	CHECK(!munmap(hog, size));
	req = (struct pagearena_promote){ .offset = at, .length = 16 * HUGE };
	CHECK(!promote(&a, &req));
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_NOMEM], 0);
	CHECK_EQ(nr_huge(&a), 16);
	for (n = 0; n < 16; n++)
		CHECK(pa_filled(a.base + at + n * HUGE, 256 * KiB, n));
	pa_check(&a);
	pa_close(&a);
}

static const struct pa_test tests[] = {
	{ "first touch by policy", test_first_touch },
	{ "AUTO backs little that is not asked for", test_auto_bound },
	{ "AUTO backs more in dense chunks", test_auto_dense },
	{ "promotion copies what is live", test_promote },
	{ "promotion refused: empty, not grown", test_refused },
	{ "promotion refused: sparse", test_density },
	{ "promotion refused: limit", test_limit },
	{ "promotion refused: deadline", test_deadline },
	{ "promotion of a range", test_results },
	{ "promotion refused: in a pipe", test_pinned_pipe },
	{ "pinned by io_uring, both ways", test_pinned_uring },
	{ "pinned by direct I/O, both ways", test_pinned_direct },
	{ "direct I/O into a chunk on the move", test_moved_direct },
	{ "demotion, the sparsest first", test_order },
	{ "what is live as a whole is not broken", test_full },
	{ "whole chunks are scavenged first", test_whole_first },
	{ "spans are split where only a part goes", test_split },
	{ "demotion by age", test_break_age },
	{ "demotion refused: pinned", test_demote_pinned },
	{ "huge again after demotion", test_again },
	{ "huge again when spans coalesce", test_coalesced },
	{ "mapped by one entry after promotion", test_pmd },
	{ "mapped by one entry after scavenging", test_pmd_scavenged },
	{ "mapped by one entry, in used memory", test_pmd_used },
	{ "small chunks of 64 KiB folios", test_mid },
	{ "mappings that were changed stay so", test_changed },
	{ "mappings that are gone stay so", test_replaced },
	{ "mappings that are gone stay so, where there are too many", test_many_mappings },
	{ "and while another process asks for them", test_many_mappings_asked },
	{ "other mappings and processes", test_others },
	{ "policy", test_policy },
	{ "background promotion", test_background },
	{ "background promotion, switched on late", test_background_on },
	{ "transparent huge pages: never", test_thp_never },
	{ "no huge folio for the cgroup", test_cgroup },
	{ "no huge folio in the machine", test_exhausted },
};

PA_MAIN(tests)
