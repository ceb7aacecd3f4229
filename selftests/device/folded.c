// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Where an MMU page is larger than 4 KiB: huge folios that are smaller than what a PMD maps, so
 * that their entries are folded instead, and spans that are smaller than a page.
 */
#include "pa_test.h"

/* Opens an arena with a chunk that a PMD does not map; skips where there is no such. */
static __u64 open_arena(struct arena *a, __u32 huge)
{
	struct pagearena_info info;

	pa_open(a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .huge = huge });
	info = pa_info(a->fd);
	if (info.pmd_size == info.huge_size)
		SKIP("a PMD maps a chunk");
	if (!(info.features & PAGEARENA_FEATURE_HUGE))
		SKIP("this kernel has no huge folios");
	CHECK_OP(info.pmd_size, >, info.huge_size);
	return info.huge_size;
}

static __u64 faults(struct arena *a)
{
	return pa_stats(a->fd).nr_fault;
}

static __u64 mapped_whole(struct arena *a)
{
	return pa_smaps(a->base, a->bytes).pmd;
}

/* Wherever a mapping begins, chunks lie at their multiples. */
static void test_aligned(void)
{
	struct arena a;
	__u64 huge = open_arena(&a, PAGEARENA_HUGE_AUTO), at;
	char *map;

	CHECK_EQ((uintptr_t)a.base % huge, 0);
	for (at = 0; at < 2 * huge; at += 5 * pa_page) {
		map = mmap(NULL, huge + 3 * pa_page, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd,
			   (off_t)at);
		CHECK(map != MAP_FAILED);
		CHECK_EQ((uintptr_t)map % huge, at % huge);
		CHECK(!munmap(map, huge + 3 * pa_page));
	}
	/* What asks for a place gets it. */
	map = mmap(NULL, 3 * huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	CHECK(mmap(map + pa_page, huge, PROT_READ, MAP_SHARED | MAP_FIXED, a.fd, 0) ==
	      map + pa_page);
	pa_close(&a);
}

/* One touch, wherever in a chunk, maps all of it. */
static void test_touch(void)
{
	static const unsigned int policies[] = { PAGEARENA_HUGE_AUTO, PAGEARENA_HUGE_ALWAYS };
	unsigned int p, i;

	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		struct arena a;
		__u64 huge = open_arena(&a, policies[p]), at, before;
		const __u64 touch[] = { 0, huge / 2 + 5, huge - 1, 7 * pa_page };

		for (i = 0; i < ARRAY_SIZE(touch); i++) {
			at = pa_alloc(&a, huge, huge, 0);
			before = faults(&a);
			if (i % 2)
				CHECK_EQ(pa_poke(a.base + at + touch[i], 1), 0);
			else
				CHECK_EQ(pa_peek(a.base + at + touch[i], NULL), 0);
			if (pa_stats(a.fd).nr_huge_failed)
				SKIP("no huge folio could be had");
			CHECK_EQ(pa_stats(a.fd).huge_bytes, (i + 1) * huge);
			CHECK_EQ(faults(&a), before + 1);
			CHECK_EQ(mapped_whole(&a), (i + 1) * huge);
			/* Reading and writing all of it takes no more faults. */
			pa_fill(a.base + at, huge, i);
			CHECK(pa_filled(a.base + at, huge, i));
			CHECK_EQ(faults(&a), before + 1);
		}
		CHECK_EQ(pa_smaps(a.base, a.bytes).rss, i * huge);
		pa_check(&a);
		pa_close(&a);
	}
}

/* Small, promoted, broken, and promoted again. */
static void test_promote(void)
{
	struct arena a;
	__u64 huge = open_arena(&a, PAGEARENA_HUGE_NEVER), at, before, page, nr;
	struct pagearena_stats stats;

	nr = huge / pa_page;
	at = pa_alloc(&a, pa_page, huge, 0);
	for (page = 1; page < nr; page++)
		CHECK_EQ(pa_alloc(&a, pa_page, 0, 0), at + page * pa_page);
	before = faults(&a);
	for (page = 0; page < nr; page++)
		pa_fill(a.base + at + page * pa_page, pa_page, page);
	CHECK_EQ(faults(&a), before + nr);

	if (pa_promote(&a, at) == PAGEARENA_PROMOTE_NOMEM)
		SKIP("no huge folio could be had");
	CHECK_EQ(pa_stats(a.fd).huge_bytes, huge);
	before = faults(&a);
	CHECK_EQ(pa_peek(a.base + at + 3 * pa_page, NULL), 0);
	CHECK_EQ(faults(&a), before + 1);
	CHECK_EQ(mapped_whole(&a), huge);
	for (page = 0; page < nr; page++)
		CHECK(pa_filled(a.base + at + page * pa_page, pa_page, page));
	pa_check(&a);

	for (page = 0; page < nr; page += 2)
		pa_free(&a, at + page * pa_page);
	pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK);
	stats = pa_stats(a.fd);
	CHECK_EQ(stats.nr_demote, 1);
	CHECK_EQ(stats.huge_bytes, 0);
	CHECK_EQ(stats.backed, huge / 2);
	for (page = 1; page < nr; page += 2) {
		CHECK(pa_filled(a.base + at + page * pa_page, pa_page, page));
		CHECK_EQ(pa_peek(a.base + at + (page - 1) * pa_page, NULL), SIGSEGV);
	}
	CHECK_EQ(mapped_whole(&a), 0);
	pa_check(&a);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	for (page = 1; page < nr; page += 2)
		CHECK(pa_filled(a.base + at + page * pa_page, pa_page, page));
	CHECK_EQ(mapped_whole(&a), huge);
	pa_check(&a);
	pa_close(&a);
}

/* A mapping of a part of a chunk gets that part, and one that is not aligned gets all, too. */
static void test_parts(void)
{
	struct arena a;
	__u64 huge = open_arena(&a, PAGEARENA_HUGE_ALWAYS), at, before;
	const size_t len = 5 * pa_page;
	char *part, *room;

	at = pa_alloc(&a, huge, huge, 0);
	pa_fill(a.base + at, huge, 9);
	if (pa_stats(a.fd).huge_bytes != huge)
		SKIP("no huge folio could be had");
	part = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd,
		    (off_t)(at + 3 * pa_page));
	CHECK(part != MAP_FAILED);
	before = faults(&a);
	CHECK(!memcmp(part, a.base + at + 3 * pa_page, len));
	CHECK_EQ(faults(&a), before + 1);
	CHECK_EQ(pa_smaps(part, len).rss, len);
	CHECK(!munmap(part, len));

	room = mmap(NULL, 2 * huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(room != MAP_FAILED);
	part = (char *)(uintptr_t)ALIGN_UP((uintptr_t)room, huge) + pa_page;
	if (part + huge > room + 2 * huge)
		part -= huge;
	CHECK(mmap(part, huge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, a.fd,
		   (off_t)at) == part);
	before = faults(&a);
	CHECK(!memcmp(part, a.base + at, huge));
	CHECK_EQ(faults(&a), before + 1);
	CHECK_EQ(pa_smaps(part, huge).rss, huge);
	CHECK_EQ(pa_smaps(part, huge).pmd, 0);
	CHECK(!munmap(room, 2 * huge));

	/* Parts that go and come back; a protection that is changed in the middle. */
	CHECK(!madvise(a.base + at + 2 * pa_page, len, MADV_DONTNEED));
	CHECK(pa_filled(a.base + at, huge, 9));
	CHECK_EQ(mapped_whole(&a), huge);
	CHECK(!mprotect(a.base + at + 4 * pa_page, pa_page, PROT_READ));
	CHECK_EQ(pa_poke(a.base + at + 4 * pa_page, 1), SIGSEGV);
	CHECK_EQ(pa_poke(a.base + at + 5 * pa_page, 1), 0);
	CHECK(!mprotect(a.base + at + 4 * pa_page, pa_page, PROT_READ | PROT_WRITE));
	pa_fill(a.base + at, huge, 10);
	CHECK(!munmap(a.base + at + 8 * pa_page, 2 * pa_page));
	CHECK(pa_filled(a.base + at, 8 * pa_page, 10));
	pa_free(&a, at);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), huge);
	CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
	pa_check(&a);
	pa_close(&a);
}

/* The granule is 64 KiB anyway, and the machine's setting counts as it does elsewhere. */
static void test_off(void)
{
	struct arena a;
	__u64 huge = open_arena(&a, PAGEARENA_HUGE_OFF), at, before;

	at = pa_alloc(&a, huge, huge, 0);
	before = faults(&a);
	pa_fill(a.base + at, huge, 1);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, 0);
	CHECK_OP(faults(&a) - before, >, 1);
	CHECK_OP(faults(&a) - before, <=, huge / pa_page);
	CHECK(pa_filled(a.base + at, huge, 1));
	pa_check(&a);
	pa_close(&a);
}

/* Spans that share a page with others. */
static void test_small_spans(void)
{
	static const __u64 sizes[] = { 4 * KiB, 8 * KiB, 16 * KiB, 32 * KiB };
	struct pagearena_alloc req;
	struct arena a;
	unsigned int i, j, nr;
	__u64 at, len;

	if (pa_page == 4 * KiB)
		SKIP("no span page is smaller than an MMU page");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i];
		if (len >= pa_page)
			continue;
		nr = (unsigned int)(4 * pa_page / len);
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB, .span_page = len,
						      .huge = PAGEARENA_HUGE_NEVER });
		for (j = 0; j < nr; j++) {
			CHECK_EQ(pa_alloc(&a, len, 0, 0), j * len);
			pa_fill(a.base + j * len, len, j);
		}
		CHECK_EQ(pa_stats(a.fd).backed, 4 * pa_page);
		CHECK_EQ(pa_query(&a, len).backed, len);
		/* One in each page stays, and with it the page, and what it holds. */
		for (j = 0; j < nr; j++)
			if (j * len % pa_page)
				pa_free(&a, j * len);
		CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 0);
		CHECK_EQ(pa_stats(a.fd).backed, 4 * pa_page);
		for (at = 0; at < 4 * pa_page; at += pa_page)
			CHECK(pa_filled(a.base + at, len, at / len));
		pa_check(&a);
		/* What is cleared is the span, not the page. */
		CHECK(!pa_alloc_fd(a.fd, len, 0, 0, &req));
		CHECK(!(req.out_flags & PAGEARENA_ALLOCED_ZERO));
		pa_free(&a, req.offset);
		CHECK(!pa_alloc_fd(a.fd, pa_page - len, 0, PAGEARENA_ALLOC_ZERO, &req));
		CHECK(req.out_flags & PAGEARENA_ALLOCED_ZERO);
		CHECK(pa_zero(a.base + req.offset, pa_page - len));
		for (at = 0; at < 4 * pa_page; at += pa_page)
			CHECK(pa_filled(a.base + at, len, at / len));
		pa_free(&a, req.offset);
		/* The first page goes when nobody touches it any more. */
		pa_free(&a, 0);
		CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), pa_page);
		CHECK_EQ(pa_peek(a.base, NULL), SIGSEGV);
		CHECK_EQ(pa_stats(a.fd).backed, 3 * pa_page);
		pa_check(&a);
		pa_close(&a);
	}
}

/* A freed span is out of reach at once, as soon as no other touches its page. */
static void test_small_debug(void)
{
	const __u64 len = 8 * KiB;
	struct arena a;
	__u64 at;

	if (pa_page <= len)
		SKIP("no span page is smaller than an MMU page");
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB, .span_page = len,
					      .flags = PAGEARENA_SETUP_DEBUG });
	for (at = 0; at < 2 * pa_page; at += len) {
		CHECK_EQ(pa_alloc(&a, len, 0, 0), at);
		pa_fill(a.base + at, len, at);
	}
	for (at = 0; at < pa_page - len; at += len) {
		pa_free(&a, at);
		CHECK(pa_filled(a.base + pa_page - len, len, pa_page - len));
	}
	pa_free(&a, at);
	for (at = 0; at < pa_page; at += len)
		CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
	for (; at < 2 * pa_page; at += len)
		CHECK(pa_filled(a.base + at, len, at));
	pa_check(&a);
	pa_close(&a);
}

/* What a hard limit grants can be touched, also if it is little of many pages. */
static void test_small_limit(void)
{
	const __u64 len = 8 * KiB, nr = 16;
	struct pagearena_policy policy = { .size = sizeof(policy), .set = PAGEARENA_POLICY_LIMIT };
	struct pagearena_alloc req;
	struct arena a;
	__u64 i;

	if (pa_page <= len)
		SKIP("no span page is smaller than an MMU page");
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .span_page = len,
					      .limit = nr * pa_page });
	for (i = 0; i <= nr; i++) {
		req = (struct pagearena_alloc){ .size = sizeof(req), .length = len,
						.flags = PAGEARENA_ALLOC_FIXED,
						.offset = (2 * i + 1) * pa_page - len };
		if (i < nr)
			CHECK(!ioctl(a.fd, PAGEARENA_IOC_ALLOC, &req));
		else
			CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_ALLOC, &req), ENOMEM);
	}
	/* In pages that count anyway there is room. */
	CHECK(!pa_alloc_fd(a.fd, len, 0, 0, &req));
	CHECK_EQ(req.offset % (2 * pa_page) < pa_page, 1);
	for (i = 0; i < nr; i++)
		pa_fill(a.base + (2 * i + 1) * pa_page - len, len, i);
	CHECK_EQ(pa_stats(a.fd).backed, nr * pa_page);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	pa_check(&a);
	/* Nor is a limit taken that they pass. */
	policy.limit = (nr - 1) * pa_page;
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_POLICY, &policy), ENOMEM);
	pa_free(&a, req.offset);
	for (i = 0; i < nr; i++) {
		CHECK(pa_filled(a.base + (2 * i + 1) * pa_page - len, len, i));
		pa_free(&a, (2 * i + 1) * pa_page - len);
		pa_check(&a);
	}
	CHECK(!pa_alloc_fd(a.fd, nr * pa_page, pa_page, PAGEARENA_ALLOC_POPULATE, &req));
	pa_close(&a);
}

static const struct pa_test tests[] = {
	{ "mappings are aligned for chunks", test_aligned },
	{ "one touch maps a chunk", test_touch },
	{ "promoted and broken", test_promote },
	{ "parts of a chunk", test_parts },
	{ "without huge folios", test_off },
	{ "spans smaller than a page", test_small_spans },
	{ "spans smaller than a page, debug", test_small_debug },
	{ "spans smaller than a page, a limit", test_small_limit },
};

PA_MAIN(tests)
