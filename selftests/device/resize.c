// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * RESIZE, and ALLOC at a place.
 */
#include "pa_test.h"

#define NR_PAGES(a, n)	((n) * (a)->page)

static int resize(int fd, __u64 offset, __u64 length, __u64 old, __u32 flags,
		  struct pagearena_resize *out)
{
	struct pagearena_resize req = {
		.size = sizeof(req),
		.flags = flags,
		.offset = offset,
		.length = length,
		.old_length = old,
	};
	int ret = ioctl(fd, PAGEARENA_IOC_RESIZE, &req);

	if (out)
		*out = req;
	return ret;
}

static int alloc_at(struct arena *a, __u64 offset, __u64 length, __u32 flags,
		    struct pagearena_alloc *out)
{
	struct pagearena_alloc req = {
		.size = sizeof(req),
		.flags = PAGEARENA_ALLOC_FIXED | flags,
		.length = length,
		.offset = offset,
	};
	int ret = ioctl(a->fd, PAGEARENA_IOC_ALLOC, &req);

	if (out)
		*out = req;
	return ret;
}

static void open_small(struct arena *a, __u64 span_page, __u32 flags)
{
	pa_open(a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .growth = 16 * MiB,
					     .span_page = span_page, .flags = flags,
					     .huge = PAGEARENA_HUGE_NEVER });
}

/* Shorter and longer again, in arenas of all kinds of span pages. */
static void shrink_and_grow(__u64 span_page, __u32 flags)
{
	struct pagearena_resize res;
	struct pagearena_stats st;
	struct arena a;
	__u64 at, next;

	open_small(&a, span_page, flags);
	at = pa_alloc(&a, NR_PAGES(&a, 8), 0, 0);
	next = pa_alloc(&a, NR_PAGES(&a, 3), 0, 0);
	CHECK_EQ(next, at + NR_PAGES(&a, 8));
	pa_fill(a.base + at, NR_PAGES(&a, 8), 1);
	pa_fill(a.base + next, NR_PAGES(&a, 3), 2);
	pa_check(&a);

	CHECK(!resize(a.fd, at, NR_PAGES(&a, 5) - 1, 0, 0, &res));
	CHECK_EQ(res.length, NR_PAGES(&a, 5));
	CHECK_EQ(res.old_length, NR_PAGES(&a, 8));
	CHECK_EQ(res.out_flags, PAGEARENA_ALLOCED_ZERO | PAGEARENA_ALLOCED_BACKED);
	CHECK(pa_filled(a.base + at, NR_PAGES(&a, 5), 1));
	CHECK(pa_filled(a.base + next, NR_PAGES(&a, 3), 2));
	st = pa_stats(a.fd);
	CHECK_EQ(st.heap_inuse, NR_PAGES(&a, 8));
	CHECK_EQ(pa_query(&a, at + NR_PAGES(&a, 5)).state, PAGEARENA_SPAN_FREE);
	CHECK_EQ(pa_query(&a, at).length, NR_PAGES(&a, 5));
	pa_check(&a);

	/* Not into the next span. */
	CHECK_ERR(resize(a.fd, at, NR_PAGES(&a, 9), 0, 0, NULL), EEXIST);
	CHECK(!resize(a.fd, at, NR_PAGES(&a, 7), NR_PAGES(&a, 5), 0, &res));
	CHECK_EQ(res.old_length, NR_PAGES(&a, 5));
	CHECK(pa_filled(a.base + at, NR_PAGES(&a, 5), 1));
	pa_check(&a);
	/* What was free may hold something; asked to, it is cleared. */
	CHECK(!resize(a.fd, at, NR_PAGES(&a, 8), 0, PAGEARENA_ALLOC_ZERO, &res));
	CHECK(res.out_flags & PAGEARENA_ALLOCED_ZERO);
	CHECK(pa_zero(a.base + at + NR_PAGES(&a, 7), NR_PAGES(&a, 1)));
	CHECK(pa_filled(a.base + at, NR_PAGES(&a, 5), 1));
	CHECK(pa_filled(a.base + next, NR_PAGES(&a, 3), 2));
	pa_check(&a);

	/* All of the rest, past what the heap has grown to. */
	CHECK(!resize(a.fd, next, 40 * MiB, 0, PAGEARENA_ALLOC_POPULATE, &res));
	CHECK_EQ(res.length, 40 * MiB);
	CHECK(res.out_flags & PAGEARENA_ALLOCED_BACKED);
	/* Unless it begins in a page that was backed. */
	if (NR_PAGES(&a, 11) % pa_page == 0)
		CHECK(res.out_flags & PAGEARENA_ALLOCED_ZERO);
	CHECK(pa_filled(a.base + next, NR_PAGES(&a, 3), 2));
	CHECK(pa_zero(a.base + next + NR_PAGES(&a, 3), 40 * MiB - NR_PAGES(&a, 3)));
	CHECK_EQ(pa_stats(a.fd).heap_sys, 48 * MiB);
	pa_check(&a);
	CHECK(!resize(a.fd, next, 1, 0, 0, &res));
	CHECK_EQ(res.length, a.page);
	pa_check(&a);
	pa_free(&a, at);
	pa_free(&a, next);
	CHECK_EQ(pa_stats(a.fd).heap_inuse, 0);
	pa_check(&a);
	pa_close(&a);
}

static void test_default(void)
{
	shrink_and_grow(0, 0);
}

static void test_small_pages(void)
{
	shrink_and_grow(4 * KiB, 0);
}

static void test_medium_pages(void)
{
	shrink_and_grow(16 * KiB, 0);
}

static void test_large_pages(void)
{
	shrink_and_grow(64 * KiB, 0);
}

static void test_debug(void)
{
	struct pagearena_resize res;
	struct arena a;
	__u64 at;

	open_small(&a, 0, PAGEARENA_SETUP_DEBUG);
	at = pa_alloc(&a, NR_PAGES(&a, 8), 0, 0);
	pa_fill(a.base + at, NR_PAGES(&a, 8), 1);
	CHECK(!resize(a.fd, at, NR_PAGES(&a, 3), 0, 0, &res));
	CHECK(pa_filled(a.base + at, NR_PAGES(&a, 3), 1));
	/* What is cut off is out of reach at once. */
	CHECK_EQ(pa_peek(a.base + at + NR_PAGES(&a, 3), NULL), SIGSEGV);
	CHECK(!resize(a.fd, at, NR_PAGES(&a, 8), 0, 0, &res));
	CHECK(pa_zero(a.base + at + NR_PAGES(&a, 3), NR_PAGES(&a, 5)));
	pa_check(&a);
	pa_close(&a);
}

/* Into free and scavenged memory together; only what is there changes hands. */
static void test_mixed(void)
{
	struct pagearena_resize res;
	struct pagearena_stats st;
	__u64 at, b, c, d;
	struct arena a;

	open_small(&a, 0, 0);
	at = pa_alloc(&a, NR_PAGES(&a, 2), 0, 0);
	b = pa_alloc(&a, NR_PAGES(&a, 4), 0, 0);
	c = pa_alloc(&a, NR_PAGES(&a, 4), 0, 0);
	d = pa_alloc(&a, NR_PAGES(&a, 2), 0, 0);
	pa_fill(a.base + at, NR_PAGES(&a, 12), 1);
	pa_free(&a, b);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), NR_PAGES(&a, 4));
	pa_free(&a, c);
	st = pa_stats(a.fd);
	CHECK(!resize(a.fd, at, NR_PAGES(&a, 9), 0, 0, &res));
	CHECK_EQ(res.out_flags, 0);
	CHECK_EQ(pa_stats(a.fd).heap_released, st.heap_released - NR_PAGES(&a, 4));
	CHECK(pa_zero(a.base + b, NR_PAGES(&a, 4)));
	CHECK_EQ(pa_query(&a, c + NR_PAGES(&a, 3)).length, NR_PAGES(&a, 1));
	pa_check(&a);
	CHECK_ERR(resize(a.fd, at, NR_PAGES(&a, 11), 0, 0, NULL), EEXIST);
	CHECK(!resize(a.fd, at, NR_PAGES(&a, 10), 0, 0, &res));
	CHECK_EQ(pa_query(&a, d).length, NR_PAGES(&a, 2));
	CHECK(pa_filled(a.base + at, NR_PAGES(&a, 2), 1));
	pa_check(&a);
	pa_close(&a);
}

/* A hard limit holds for what is added, too. */
static void test_limit(void)
{
	struct arena a;
	__u64 at;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .limit = 4 * MiB });
	at = pa_alloc(&a, 3 * MiB, 0, 0);
	pa_fill(a.base + at, 3 * MiB, 1);
	CHECK_ERR(resize(a.fd, at, 5 * MiB, 0, 0, NULL), ENOMEM);
	CHECK_EQ(pa_query(&a, at).length, 3 * MiB);
	CHECK(!resize(a.fd, at, 4 * MiB, 0, PAGEARENA_ALLOC_POPULATE, NULL));
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, NULL), ENOMEM);
	CHECK(!resize(a.fd, at, MiB, 0, 0, NULL));
	CHECK(!alloc_at(&a, 8 * MiB, 3 * MiB, PAGEARENA_ALLOC_POPULATE, NULL));
	CHECK_ERR(alloc_at(&a, 16 * MiB, a.page, 0, NULL), ENOMEM);
	CHECK_OP(pa_stats(a.fd).backed, <=, 4 * MiB);
	CHECK(pa_filled(a.base + at, MiB, 1));
	pa_check(&a);
	pa_close(&a);
}

static void test_at(void)
{
	struct pagearena_alloc out;
	struct arena a;
	__u64 i;

	open_small(&a, 0, 0);
	/* A buffer manager's pages, from the top down. */
	for (i = 16; i-- > 0;) {
		CHECK(!alloc_at(&a, i * 2 * MiB + 5 * a.page, NR_PAGES(&a, 3), 0, &out));
		CHECK_EQ(out.offset, i * 2 * MiB + 5 * a.page);
		CHECK_EQ(out.length, NR_PAGES(&a, 3));
		CHECK_EQ(out.out_flags, PAGEARENA_ALLOCED_ZERO);
		pa_fill(a.base + out.offset, out.length, i);
	}
	CHECK_EQ(pa_stats(a.fd).heap_sys, 32 * MiB);
	pa_check(&a);
	for (i = 0; i < 16; i++) {
		__u64 at = i * 2 * MiB + 5 * a.page;

		CHECK(pa_filled(a.base + at, NR_PAGES(&a, 3), i));
		CHECK_ERR(alloc_at(&a, at + a.page, a.page, 0, NULL), EEXIST);
		CHECK_ERR(alloc_at(&a, at - a.page, NR_PAGES(&a, 2), 0, NULL), EEXIST);
		if (i % 2)
			pa_free(&a, at);
	}
	/* Warm memory is what it was, or zero if asked for. */
	CHECK(!alloc_at(&a, 2 * MiB + 5 * a.page, NR_PAGES(&a, 3), 0, &out));
	CHECK_EQ(out.out_flags, PAGEARENA_ALLOCED_BACKED);
	CHECK(!alloc_at(&a, 6 * MiB + 4 * a.page, NR_PAGES(&a, 5), PAGEARENA_ALLOC_ZERO, &out));
	CHECK(out.out_flags & PAGEARENA_ALLOCED_ZERO);
	CHECK(pa_zero(a.base + out.offset, out.length));
	CHECK(!alloc_at(&a, 10 * MiB, MiB, PAGEARENA_ALLOC_POPULATE, &out));
	CHECK(out.out_flags & PAGEARENA_ALLOCED_BACKED);
	pa_check(&a);
	/* All of what is left behind the heap's end, and not a page more. */
	CHECK(!alloc_at(&a, 32 * MiB, 32 * MiB, 0, &out));
	CHECK_ERR(alloc_at(&a, 64 * MiB, a.page, 0, NULL), ENOMEM);
	pa_check(&a);
	pa_close(&a);
}

/* Across spans that are warm, released and new, of which the ends stay what they were. */
static void test_at_mixed(void)
{
	struct pagearena_alloc out;
	struct pagearena_stats st;
	__u64 b, c, end;
	struct arena a;

	open_small(&a, 0, 0);
	pa_alloc(&a, NR_PAGES(&a, 2), 0, 0);
	b = pa_alloc(&a, NR_PAGES(&a, 4), 0, 0);
	c = pa_alloc(&a, NR_PAGES(&a, 4), 0, 0);
	end = pa_alloc(&a, NR_PAGES(&a, 1), 0, 0);
	pa_fill(a.base + b, NR_PAGES(&a, 8), 1);
	pa_free(&a, b);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), NR_PAGES(&a, 4));
	pa_free(&a, c);
	CHECK_ERR(alloc_at(&a, b + a.page, NR_PAGES(&a, 8), 0, NULL), EEXIST);
	CHECK_EQ(pa_stats(a.fd).heap_idle - pa_stats(a.fd).heap_released, NR_PAGES(&a, 4));
	CHECK(!alloc_at(&a, b + a.page, NR_PAGES(&a, 6), 0, &out));
	CHECK_EQ(out.out_flags, 0);
	CHECK(pa_zero(a.base + b + a.page, NR_PAGES(&a, 3)));
	CHECK_EQ(pa_query(&a, b).length, a.page);
	CHECK(pa_query(&a, b).flags & PAGEARENA_SPAN_SCAVENGED);
	CHECK_EQ(pa_query(&a, c + NR_PAGES(&a, 3)).length, a.page);
	CHECK(!(pa_query(&a, c + NR_PAGES(&a, 3)).flags & PAGEARENA_SPAN_SCAVENGED));
	pa_check(&a);

	/* In the middle of a free span, which becomes two. */
	CHECK(!alloc_at(&a, 4 * MiB, NR_PAGES(&a, 2), PAGEARENA_ALLOC_ZERO, &out));
	CHECK_EQ(pa_query(&a, end + a.page).length, 4 * MiB - end - a.page);
	CHECK_EQ(pa_query(&a, 4 * MiB + NR_PAGES(&a, 2)).offset, 4 * MiB + NR_PAGES(&a, 2));
	/* From what the heap has grown to, on past its end. */
	st = pa_stats(a.fd);
	CHECK(!alloc_at(&a, st.heap_sys - a.page, NR_PAGES(&a, 2), 0, NULL));
	CHECK_EQ(pa_stats(a.fd).heap_sys, st.heap_sys + 16 * MiB);
	CHECK_EQ(pa_stats(a.fd).nr_grow, st.nr_grow + 1);
	pa_check(&a);
	pa_close(&a);
}

/* In a debug arena, what was freed is zero when it is allocated at its place again. */
static void test_at_debug(void)
{
	struct pagearena_alloc out;
	struct arena a;
	__u64 i;

	open_small(&a, 0, PAGEARENA_SETUP_DEBUG);
	for (i = 0; i < 4; i++) {
		CHECK(!alloc_at(&a, 3 * MiB, NR_PAGES(&a, 3), 0, &out));
		CHECK_EQ(out.out_flags, PAGEARENA_ALLOCED_ZERO);
		CHECK(pa_zero(a.base + 3 * MiB, NR_PAGES(&a, 3)));
		pa_fill(a.base + 3 * MiB, NR_PAGES(&a, 3), i);
		pa_free(&a, 3 * MiB);
		CHECK_EQ(pa_peek(a.base + 3 * MiB, NULL), SIGSEGV);
		pa_check(&a);
	}
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	pa_close(&a);
}

/* In and out of a chunk that is huge. */
static void test_huge(void)
{
	struct pagearena_resize res;
	struct pagearena_stats st;
	struct arena a;
	__u64 at;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	at = pa_alloc(&a, 3 * MiB, 2 * MiB, 0);
	pa_fill(a.base + at, 3 * MiB, 1);
	st = pa_stats(a.fd);
	if (st.huge_bytes != 4 * MiB)
		SKIP("no huge folio to be had");
	CHECK_EQ(st.huge_inuse, 3 * MiB);
	CHECK(!resize(a.fd, at, MiB, 3 * MiB, 0, NULL));
	st = pa_stats(a.fd);
	CHECK_EQ(st.huge_inuse, MiB);
	CHECK_EQ(st.backed_free, 3 * MiB);
	pa_check(&a);
	/* The chunk that is free now goes whole, and the rest of the other stays. */
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL) % (2 * MiB), 0);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, 2 * MiB);
	CHECK(!resize(a.fd, at, 4 * MiB, MiB, PAGEARENA_ALLOC_ZERO, &res));
	CHECK(res.out_flags & PAGEARENA_ALLOCED_ZERO);
	CHECK(pa_filled(a.base + at, MiB, 1));
	CHECK(pa_zero(a.base + at + MiB, 3 * MiB));
	pa_check(&a);
	pa_close(&a);
}

static void test_at_sparse(void)
{
	struct pagearena_alloc out;
	struct arena a;
	__u64 i;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = TiB, .huge = PAGEARENA_HUGE_NEVER });
	for (i = 0; i < 64; i++) {
		CHECK(!alloc_at(&a, (i * 37 % 64) * 16 * GiB + i * a.page, a.page, 0, &out));
		pa_fill(a.base + out.offset, a.page, i);
	}
	for (i = 0; i < 64; i++)
		CHECK(pa_filled(a.base + (i * 37 % 64) * 16 * GiB + i * a.page, a.page, i));
	CHECK_EQ(pa_stats(a.fd).backed, 64 * a.page);
	pa_check(&a);
	pa_close(&a);
}

/* A structure that cannot be written to changes nothing. */
static void test_fault(void)
{
	struct pagearena_resize *req = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct arena a;
	__u64 at;

	CHECK(req != MAP_FAILED);
	open_small(&a, 0, 0);
	at = pa_alloc(&a, NR_PAGES(&a, 4), 0, 0);
	*req = (struct pagearena_resize){ .size = sizeof(*req), .offset = at, .length = a.page };
	CHECK(!mprotect(req, 4096, PROT_READ));
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_RESIZE, req), EFAULT);
	CHECK_EQ(pa_query(&a, at).length, NR_PAGES(&a, 4));
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_RESIZE, NULL), EFAULT);
	pa_check(&a);
	pa_close(&a);
}

static const struct pa_test tests[] = {
	{ "shorter and longer", test_default },
	{ "span pages of 4 KiB", test_small_pages },
	{ "span pages of 16 KiB", test_medium_pages },
	{ "span pages of 64 KiB", test_large_pages },
	{ "a debug arena", test_debug },
	{ "into free and scavenged memory", test_mixed },
	{ "a hard limit", test_limit },
	{ "ALLOC at a place", test_at },
	{ "a place across free and released memory", test_at_mixed },
	{ "a place in a debug arena", test_at_debug },
	{ "huge chunks", test_huge },
	{ "places in an arena of 1 TiB", test_at_sparse },
	{ "a structure that cannot be written", test_fault },
};

PA_MAIN(tests)
