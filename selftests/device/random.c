// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Random calls against a model of what every page must hold.  No span may ever lose or
 * share a byte, and the arena's figures are recounted as it goes.
 *
 * PAGEARENA_SEED repeats a run; PAGEARENA_OPS sets the number of operations per geometry.
 */
#include "pa_test.h"

#define ARENA	(24 * MiB)
#define UNIT	4096	/* the model's page, the smallest span page */
#define UNITS	(ARENA / UNIT)
#define SPANS	512

/* What is known of a unit of an allocated span. */
enum { FREE, UNKNOWN, ZERO, WRITTEN };

static struct {
	__u8 what;
	__u64 seed;	/* WRITTEN: for pa_fill() */
} unit[UNITS];

static struct {
	__u64 at;
	__u64 len;
} span[SPANS];

static unsigned int nr_spans;
static __u64 inuse, rng;
static struct arena a;
static char *alias;	/* the arena once more, read-only */

static __u64 random_below(__u64 n)
{
	return pa_random(&rng) % n;
}

static bool unit_good(const char *base, __u64 i)
{
	const char *p = base + i * UNIT;

	if (unit[i].what == ZERO)
		return pa_zero(p, UNIT);
	if (unit[i].what == WRITTEN)
		return pa_filled(p, UNIT, unit[i].seed);
	return true;
}

static void check_span(unsigned int n)
{
	const char *base = random_below(4) ? a.base : alias;
	__u64 i;

	for (i = span[n].at / UNIT; i < (span[n].at + span[n].len) / UNIT; i++) {
		if (unit[i].what == FREE)
			pa_fail("the model is wrong at %llu", (unsigned long long)i * UNIT);
		if (!unit_good(base, i))
			pa_fail("the %s unit at %llu is not what it was",
				unit[i].what == ZERO ? "zero" : "written",
				(unsigned long long)i * UNIT);
	}
}

static void check_all(void)
{
	struct pagearena_stats stats = pa_stats(a.fd);
	unsigned int n;

	for (n = 0; n < nr_spans; n++)
		check_span(n);
	CHECK_EQ(stats.heap_inuse, inuse);
	CHECK_EQ(stats.spans_inuse, nr_spans);
	pa_check(&a);
}

static void do_alloc(void)
{
	__u64 len = random_below(16) ? random_below(16 * a.page) + 1 : random_below(3 * MiB) + 1;
	__u64 align = random_below(4) ? 0 : (__u64)UNIT << random_below(10), i;
	__u32 flags = (__u32)random_below(4);
	struct pagearena_alloc req;

	if (nr_spans == SPANS)
		return;
	if (pa_alloc_fd(a.fd, len, align, flags, &req)) {
		CHECK_EQ(errno, ENOMEM);
		return;
	}
	CHECK_EQ(req.length, ALIGN_UP(len, a.page));
	CHECK_EQ(req.offset % MAX(align, a.page), 0);
	CHECK_OP(req.offset + req.length, <=, ARENA);
	if (flags & PAGEARENA_ALLOC_ZERO)
		CHECK(req.out_flags & PAGEARENA_ALLOCED_ZERO);
	if (flags & PAGEARENA_ALLOC_POPULATE)
		CHECK(req.out_flags & PAGEARENA_ALLOCED_BACKED);
	CHECK_EQ(pa_query(&a, req.offset).backed == req.length,
		 !!(req.out_flags & PAGEARENA_ALLOCED_BACKED));
	for (i = req.offset / UNIT; i < (req.offset + req.length) / UNIT; i++) {
		if (unit[i].what != FREE)
			pa_fail("%llu is allocated twice", (unsigned long long)i * UNIT);
		unit[i].what = req.out_flags & PAGEARENA_ALLOCED_ZERO ? ZERO : UNKNOWN;
	}
	span[nr_spans].at = req.offset;
	span[nr_spans].len = req.length;
	nr_spans++;
	inuse += req.length;
}

static void do_free(unsigned int n)
{
	__u64 i;

	check_span(n);
	CHECK(!pa_free_fd(a.fd, span[n].at, random_below(2) ? span[n].len : 0));
	for (i = span[n].at / UNIT; i < (span[n].at + span[n].len) / UNIT; i++)
		unit[i].what = FREE;
	inuse -= span[n].len;
	span[n] = span[--nr_spans];
}

static void do_write(unsigned int n)
{
	__u64 units = span[n].len / UNIT, first = random_below(units);
	__u64 nr = MIN(units - first, 1 + random_below(16)), i;

	for (i = span[n].at / UNIT + first; nr--; i++) {
		unit[i].what = WRITTEN;
		unit[i].seed = pa_random(&rng);
		pa_fill(a.base + i * UNIT, UNIT, unit[i].seed);
	}
}

static void do_other(void)
{
	__u64 huge = pa_info(a.fd).huge_size, at = random_below(ARENA / huge) * huge, i;
	struct pagearena_promote promote;

	switch (random_below(8)) {
	case 0:
		pa_scavenge(&a, ALL, 0, NULL);
		break;
	case 1:
		pa_scavenge(&a, 1 + random_below(MiB), 0, NULL);
		break;
	case 2:
		pa_scavenge(&a, ALL, 1 + random_below(1000000), NULL);
		break;
	case 3:
		pa_scavenge_flags(&a, random_below(2) ? ALL : 1 + random_below(MiB), 0,
				  PAGEARENA_SCAVENGE_BREAK |
				  (random_below(2) ? PAGEARENA_SCAVENGE_FORCE : 0));
		break;
	case 4:
		CHECK(!pa_promote_fd(a.fd, at, MIN(ARENA - at, huge * (1 + random_below(3))),
				     &promote));
		CHECK_EQ(promote.counts[PAGEARENA_PROMOTE_PINNED], 0);
		break;
	case 5:
		CHECK(!madvise(a.base + at, huge, MADV_DONTNEED));
		break;
	case 6:
		/* What is wrong changes nothing. */
		i = random_below(ARENA / a.page) * a.page;
		if (unit[i / UNIT].what == FREE)
			CHECK_ERR(pa_free_fd(a.fd, i, 0), ENOENT);
		break;
	case 7:
		/* A free page is read, if that is still possible; it must not become memory. */
		i = random_below(UNITS);
		if (unit[i].what == FREE) {
			__u64 backed = pa_stats(a.fd).backed;

			pa_peek(a.base + i * UNIT, NULL);
			CHECK_EQ(pa_stats(a.fd).backed, backed);
		}
		break;
	}
}

static void storm(struct pagearena_setup setup)
{
	__u64 ops = pa_ops(2000), i;

	if (setup.granule && setup.granule < (__u64)getpagesize())
		setup.granule = 0;
	rng = pa_env("PAGEARENA_SEED", 1);
	nr_spans = 0;
	inuse = 0;
	memset(unit, 0, sizeof(unit));
	setup.arena_bytes = ARENA;
	setup.growth = 4 * MiB;
	pa_open(&a, setup);
	alias = mmap(NULL, ARENA, PROT_READ, MAP_SHARED, a.fd, 0);
	CHECK(alias != MAP_FAILED);
	for (i = 0; i < ops; i++) {
		__u64 dice = random_below(100);

		/* Phases in which the heap tends to fill, and to empty. */
		if (dice < (i / 500 % 2 ? 25 : 40))
			do_alloc();
		else if (dice < 65 && nr_spans)
			do_free((unsigned int)random_below(nr_spans));
		else if (dice < 90 && nr_spans)
			do_write((unsigned int)random_below(nr_spans));
		else
			do_other();
		if (i % 100 == 99)
			check_all();
	}
	while (nr_spans)
		do_free(nr_spans - 1);
	pa_scavenge(&a, ALL, 0, NULL);
	CHECK_EQ(pa_stats(a.fd).heap_released, pa_stats(a.fd).heap_sys);
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	check_all();
	CHECK(!munmap(alias, ARENA));
	pa_close(&a);
}

#define STORM(name, ...)						\
	static void test_##name(void)					\
	{								\
		storm((struct pagearena_setup){ __VA_ARGS__ });		\
	}

STORM(placed, .huge = PAGEARENA_HUGE_AUTO)
STORM(best_fit, .fit = PAGEARENA_FIT_BEST, .huge = PAGEARENA_HUGE_AUTO)
STORM(first_fit, .fit = PAGEARENA_FIT_FIRST, .huge = PAGEARENA_HUGE_NEVER)
STORM(equal, .span_page = 4096, .granule = 4096, .fit = PAGEARENA_FIT_BEST,
	.huge = PAGEARENA_HUGE_ALWAYS)
STORM(granule_4k, .span_page = 4096, .granule = 65536, .huge = PAGEARENA_HUGE_NEVER)
STORM(granule_8k, .span_page = 8192, .granule = 65536, .fit = PAGEARENA_FIT_FIRST)
STORM(granule_huge, .span_page = 8192, .granule = 2 << 20, .huge = PAGEARENA_HUGE_ALWAYS)
STORM(large_page, .span_page = 65536, .granule = 4096, .huge = PAGEARENA_HUGE_ALWAYS)
STORM(limit, .limit = 6 << 20, .huge = PAGEARENA_HUGE_ALWAYS)
STORM(debug, .flags = PAGEARENA_SETUP_DEBUG, .huge = PAGEARENA_HUGE_AUTO)
STORM(debug_granule, .flags = PAGEARENA_SETUP_DEBUG, .granule = 65536,
	.huge = PAGEARENA_HUGE_ALWAYS)

static const struct pa_test tests[] = {
	{ "span page 8 KiB, granule 4 KiB, placed", test_placed },
	{ "span page 8 KiB, granule 4 KiB, best fit", test_best_fit },
	{ "span page 8 KiB, granule 4 KiB, first fit, no huge", test_first_fit },
	{ "span page = granule = 4 KiB, always huge", test_equal },
	{ "span page 4 KiB, granule 64 KiB, no huge", test_granule_4k },
	{ "span page 8 KiB, granule 64 KiB, first fit", test_granule_8k },
	{ "span page 8 KiB, granule 2 MiB, always huge", test_granule_huge },
	{ "span page 64 KiB, granule 4 KiB, always huge", test_large_page },
	{ "within a limit, always huge", test_limit },
	{ "debug", test_debug },
	{ "debug, granule 64 KiB, always huge", test_debug_granule },
};

PA_MAIN(tests)
