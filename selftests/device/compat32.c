// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A 32-bit program on a 64-bit kernel: every call, and mappings of all of an arena. compat.c has
 * it in it, and runs it.
 */
#include <poll.h>

#include "pa_test.h"

_Static_assert(sizeof(void *) == 4, "this is for a 32-bit compiler");
_Static_assert(sizeof(off_t) == 8, "offsets of files have 64 bits");

/* More than a 32-bit program can map, or name by a pointer. */
#define FAR	(64 * GiB)

/* An arena of which nothing is mapped. */
static struct arena far_arena(void)
{
	struct pagearena_info info;
	struct arena a = { .fd = open(DEVICE, O_RDWR | O_CLOEXEC) };

	CHECK(a.fd >= 0);
	CHECK(!pa_setup_fd(a.fd, (struct pagearena_setup){ .arena_bytes = FAR,
							   .growth = FAR }));
	CHECK(!pa_background_fd(a.fd, 0));
	info = pa_info(a.fd);
	a.bytes = info.arena_bytes;
	a.id = info.arena_id;
	a.page = info.span_page;
	a.granule = info.granule;
	CHECK_EQ(a.bytes, FAR);
	CHECK_EQ(info.growth, FAR);
	CHECK_EQ(info.abi_version, PAGEARENA_ABI_VERSION);
	return a;
}

static __u64 alloc_at(struct arena *a, __u64 offset, __u64 length)
{
	struct pagearena_alloc req = {
		.size = sizeof(req),
		.flags = PAGEARENA_ALLOC_FIXED,
		.length = length,
		.offset = offset,
	};

	CHECK(!ioctl(a->fd, PAGEARENA_IOC_ALLOC, &req));
	CHECK_EQ(req.offset, offset);
	CHECK_EQ(req.length, length);
	return offset;
}

/* Lengths and offsets beyond 4 GiB arrive, and come back, whole. */
static void test_large(void)
{
	const __u64 at = 33 * GiB, len = 6 * GiB, page = 64 * KiB;
	struct arena a = far_arena();
	struct pagearena_resize resize = { .size = sizeof(resize), .offset = at,
					   .length = len + page, .old_length = len };
	struct pagearena_free bad = { .size = sizeof(bad), .offset = at, .length = len };
	struct pagearena_span span;

	alloc_at(&a, at, len);
	span = pa_query(&a, at + 5 * GiB);
	CHECK_EQ(span.offset, at);
	CHECK_EQ(span.length, len);
	CHECK_EQ(span.state, PAGEARENA_SPAN_INUSE);
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_RESIZE, &resize));
	CHECK_EQ(resize.length, len + page);
	CHECK_EQ(resize.old_length, len);
	CHECK_EQ(pa_stats(a.fd).heap_inuse, len + page);
	CHECK_EQ(pa_stats(a.fd).heap_sys, FAR);
	/* The lower half alone would be another span's. */
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_FREE, &bad), EINVAL);
	bad.offset = (__u32)at;
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_FREE, &bad), ENOENT);
	CHECK(!pa_free_fd(a.fd, at, len + page));
	CHECK_EQ(pa_stats(a.fd).heap_inuse, 0);
	pa_check(&a);
	close(a.fd);
}

/* Pieces from all over the arena, mapped at offsets of 64 bits. */
static void test_map(void)
{
	static const __u64 at[] = { 0, GiB, 4 * GiB - MiB, 4 * GiB, 5 * GiB, FAR - MiB };
	struct arena a = far_arena();
	char *map[ARRAY_SIZE(at)], *again;
	const size_t len = MiB;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		alloc_at(&a, at[i], len);
		map[i] = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, (off_t)at[i]);
		CHECK(map[i] != MAP_FAILED);
		pa_fill(map[i], len, i + 1);
	}
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		again = mmap(NULL, len, PROT_READ, MAP_SHARED, a.fd, (off_t)at[i]);
		CHECK(again != MAP_FAILED);
		CHECK(pa_filled(again, len, i + 1));
		CHECK(!munmap(again, len));
	}
	CHECK_EQ(pa_stats(a.fd).backed_inuse, ARRAY_SIZE(at) * len);
	/* What is not allocated is out of reach, and so is what lies behind the end. */
	again = mmap(NULL, len, PROT_READ, MAP_SHARED, a.fd, (off_t)(9 * GiB));
	CHECK(again != MAP_FAILED);
	CHECK_EQ(pa_peek(again, NULL), SIGSEGV);
	CHECK_ERR((long)mmap(NULL, 2 * len, PROT_READ, MAP_SHARED, a.fd, (off_t)(FAR - MiB)),
		  EINVAL);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		CHECK(!munmap(map[i], len));
		pa_free(&a, at[i]);
	}
	pa_check(&a);
	close(a.fd);
}

/* Pointers within structures have 64 bits, all of which count. */
static void test_pointers(void)
{
	const __u64 high = 1ULL << 32;
	struct arena a;
	struct pagearena_span spans[4] = {};
	struct pagearena_op op = { .op = PAGEARENA_OP_ALLOC, .length = 64 * KiB };
	__u32 result = 77;
	struct pagearena_spans list = { .size = sizeof(list), .count = ARRAY_SIZE(spans),
					.spans = (uintptr_t)spans + high };
	struct pagearena_batch batch = { .size = sizeof(batch), .count = 1,
					 .ops = (uintptr_t)&op + high };
	struct pagearena_promote promote = { .size = sizeof(promote), .nr_results = 1,
					     .results = (uintptr_t)&result + high };

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB });
	pa_alloc(&a, 64 * KiB, 0, 0);
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_SPANS, &list), EFAULT);
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_BATCH, &batch), EFAULT);
	promote.length = pa_info(a.fd).huge_size;
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &promote), EFAULT);
	CHECK_EQ(result, 77);
	CHECK_EQ(op.result, 0);
	CHECK_EQ(pa_stats(a.fd).spans_inuse, 1);

	list.spans -= high;
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_SPANS, &list));
	CHECK_EQ(list.count, 2);
	CHECK_EQ(spans[0].length, 64 * KiB);
	CHECK_EQ(spans[1].state, PAGEARENA_SPAN_FREE);
	batch.ops -= high;
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_BATCH, &batch));
	CHECK_EQ(batch.done, 1);
	CHECK_EQ(op.result, 0);
	CHECK_EQ(op.length, 64 * KiB);
	promote.results -= high;
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &promote));
	CHECK_OP(result, <, PAGEARENA_PROMOTE_NR);
	CHECK_EQ(promote.counts[result], 1);
	pa_check(&a);
	pa_close(&a);
}

/* A batch with each of its operations. */
static void test_batch(void)
{
	struct arena a;
	struct pagearena_op ops[6] = {
		{ .op = PAGEARENA_OP_NOP },
		{ .op = PAGEARENA_OP_ALLOC, .flags = PAGEARENA_ALLOC_FIXED, .length = 2 * MiB,
		  .offset = 4 * MiB },
		{ .op = PAGEARENA_OP_RESIZE, .offset = 4 * MiB, .length = 1 * MiB },
		{ .op = PAGEARENA_OP_SCAVENGE, .offset = 5 * MiB, .length = 1 * MiB },
		{ .op = PAGEARENA_OP_PROMOTE, .offset = 4 * MiB, .length = 2 * MiB },
		{ .op = PAGEARENA_OP_FREE, .offset = 4 * MiB },
	};
	struct pagearena_batch req = { .size = sizeof(req), .count = ARRAY_SIZE(ops),
				       .ops = (uintptr_t)ops };
	unsigned int i;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB });
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_BATCH, &req));
	CHECK_EQ(req.done, ARRAY_SIZE(ops));
	CHECK_EQ(req.failed, 0);
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		CHECK_EQ(ops[i].result, 0);
	CHECK_EQ(ops[2].length, 1 * MiB);
	CHECK_EQ(pa_stats(a.fd).heap_inuse, 0);
	pa_check(&a);
	pa_close(&a);
}

/* Huge folios: promoted, mapped anew by the call that did it, scavenged. */
static void test_huge(void)
{
	struct pagearena_policy policy = { .size = sizeof(policy) };
	const size_t len = 64 * MiB;
	struct arena a;
	__u64 huge, at, backed;
	char *room;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = len,
					      .huge = PAGEARENA_HUGE_NEVER });
	huge = pa_info(a.fd).huge_size;
	/* Where addresses are few, the kernel does not align: that would tell too much of them. */
	CHECK(!munmap(a.base, len));
	room = mmap(NULL, len + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(room != MAP_FAILED);
	a.base = (char *)(uintptr_t)ALIGN_UP((uintptr_t)room, huge);
	CHECK(mmap(a.base, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, a.fd, 0) == a.base);
	at = pa_alloc(&a, huge, huge, 0);
	pa_fill(a.base + at, huge, 3);
	switch (pa_promote(&a, at)) {
	case PAGEARENA_PROMOTE_DONE:
		break;
	case PAGEARENA_PROMOTE_NOMEM:
		SKIP("no huge folio could be had");
	default:
		pa_fail("not promoted");
	}
	CHECK(pa_filled(a.base + at, huge, 3));
	if (pa_info(a.fd).pmd_size == huge)
		CHECK_EQ(pa_smaps(a.base, len).pmd, huge);
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_POLICY, &policy));
	CHECK_EQ(policy.limit, 0);
	policy = (struct pagearena_policy){ .size = sizeof(policy), .limit = huge,
					    .set = PAGEARENA_POLICY_LIMIT };
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_POLICY, &policy));
	CHECK_EQ(policy.limit, huge);
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, NULL), ENOMEM);
	pa_free(&a, at);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, &backed), huge);
	CHECK_EQ(backed, huge);
	pa_close(&a);
}

/* The pressure of an arena that reached its limit is told by poll() and by STATS. */
static void test_poll(void)
{
	struct arena a;
	struct pollfd p;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB, .limit = 1 * MiB });
	p = (struct pollfd){ .fd = a.fd, .events = POLLPRI };
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_ERR(pa_alloc_fd(a.fd, 2 * MiB, 0, 0, NULL), ENOMEM);
	CHECK_EQ(poll(&p, 1, 1000), 1);
	CHECK_EQ(p.revents, POLLPRI);
	CHECK_EQ(pa_stats_seen(a.fd).pressure_flags, PAGEARENA_PRESSURE_LIMIT);
	CHECK_EQ(poll(&p, 1, 0), 0);
	pa_close(&a);
}

/* An arena that the 64-bit program made: its descriptor, and what it wrote. */
static void test_shared(void)
{
	__u64 fd = pa_env("PAGEARENA_SHARED_FD", ALL);
	__u64 at = pa_env("PAGEARENA_SHARED_AT", ALL), len = 64 * KiB;
	struct arena a = {};
	struct pagearena_span span;

	if (fd == ALL)
		SKIP("run by hand: nobody has passed an arena");
	a.fd = (int)fd;
	a.bytes = pa_info(a.fd).arena_bytes;
	a.page = pa_info(a.fd).span_page;
	CHECK_OP(at, >, 4 * GiB);
	span = pa_query(&a, at);
	CHECK_EQ(span.offset, at);
	CHECK_EQ(span.length, len);
	CHECK_EQ(span.state, PAGEARENA_SPAN_INUSE);
	a.base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, (off_t)at);
	CHECK(a.base != MAP_FAILED);
	CHECK(pa_filled(a.base, len, 64));
	pa_fill(a.base, len, 32);
	CHECK(!munmap(a.base, len));
}

static const struct pa_test tests[] = {
	{ "lengths and offsets beyond 4 GiB", test_large },
	{ "mappings at offsets beyond 4 GiB", test_map },
	{ "pointers in structures", test_pointers },
	{ "batch", test_batch },
	{ "huge folios", test_huge },
	{ "poll", test_poll },
	{ "an arena of a 64-bit program", test_shared },
};

PA_MAIN(tests)
