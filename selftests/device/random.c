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
static bool a_limit;	/* it has a limit */
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

/* Is all of a range free?  What is beyond the arena's end is not. */
static bool range_free(__u64 at, __u64 len)
{
	__u64 i;

	if (at + len > ARENA)
		return false;
	for (i = at / UNIT; i < (at + len) / UNIT; i++)
		if (unit[i].what != FREE)
			return false;
	return true;
}

/* [at, at + len) has been allocated. */
static void take(__u64 at, __u64 len, __u32 flags, __u32 out_flags)
{
	__u64 i;

	CHECK_OP(at + len, <=, ARENA);
	if (flags & PAGEARENA_ALLOC_ZERO)
		CHECK(out_flags & PAGEARENA_ALLOCED_ZERO);
	if (flags & PAGEARENA_ALLOC_POPULATE)
		CHECK(out_flags & PAGEARENA_ALLOCED_BACKED);
	for (i = at / UNIT; i < (at + len) / UNIT; i++) {
		if (unit[i].what != FREE)
			pa_fail("%llu is allocated twice", (unsigned long long)i * UNIT);
		unit[i].what = out_flags & PAGEARENA_ALLOCED_ZERO ? ZERO : UNKNOWN;
	}
	inuse += len;
}

static void give(__u64 at, __u64 len)
{
	__u64 i;

	for (i = at / UNIT; i < (at + len) / UNIT; i++)
		unit[i].what = FREE;
	inuse -= len;
}

static __u64 random_len(void)
{
	return random_below(16) ? random_below(16 * a.page) + 1 : random_below(3 * MiB) + 1;
}

/* An ALLOC, on its own or of a batch, and what must come of it. */
static struct pagearena_op random_alloc(void)
{
	struct pagearena_op op = { .op = PAGEARENA_OP_ALLOC, .flags = (__u32)random_below(4),
				   .length = random_len() };

	if (random_below(4)) {
		op.align = random_below(4) ? 0 : (__u64)UNIT << random_below(10);
		return op;
	}
	op.flags |= PAGEARENA_ALLOC_FIXED;
	op.offset = random_below(ARENA / a.page) * a.page;
	return op;
}

static void after_alloc(const struct pagearena_op *asked, const struct pagearena_op *got)
{
	__u64 len = ALIGN_UP(asked->length, a.page);

	if (asked->flags & PAGEARENA_ALLOC_FIXED && !range_free(asked->offset, len)) {
		pa_expect(got->result == (asked->offset + len > ARENA ? -ENOMEM : -EEXIST) ||
				  (a_limit && got->result == -ENOMEM),
			  "ALLOC at %llu, %llu bytes: %d", (unsigned long long)asked->offset,
			  (unsigned long long)len, got->result);
		return;
	}
	if (got->result) {
		CHECK_EQ(got->result, -ENOMEM);
		/* There is room at the place. */
		CHECK(!(asked->flags & PAGEARENA_ALLOC_FIXED) || a_limit);
		return;
	}
	CHECK_EQ(got->length, len);
	if (asked->flags & PAGEARENA_ALLOC_FIXED)
		CHECK_EQ(got->offset, asked->offset);
	CHECK_EQ(got->offset % MAX(asked->align, a.page), 0);
	take(got->offset, len, asked->flags, got->out_flags);
	span[nr_spans].at = got->offset;
	span[nr_spans].len = len;
	nr_spans++;
}

static void do_alloc(void)
{
	struct pagearena_op asked = random_alloc(), got = asked;
	struct pagearena_alloc req = { .size = sizeof(req), .flags = asked.flags,
				       .length = asked.length, .align = asked.align,
				       .offset = asked.offset };

	if (nr_spans == SPANS)
		return;
	got.result = ioctl(a.fd, PAGEARENA_IOC_ALLOC, &req) ? -errno : 0;
	got.offset = req.offset;
	got.length = req.length;
	got.out_flags = req.out_flags;
	after_alloc(&asked, &got);
	if (!got.result)
		CHECK_EQ(pa_query(&a, req.offset).backed == req.length,
			 !!(req.out_flags & PAGEARENA_ALLOCED_BACKED));
}

static void do_free(unsigned int n)
{
	check_span(n);
	CHECK(!pa_free_fd(a.fd, span[n].at, random_below(2) ? span[n].len : 0));
	give(span[n].at, span[n].len);
	span[n] = span[--nr_spans];
}

static struct pagearena_op random_resize(unsigned int n)
{
	struct pagearena_op op = { .op = PAGEARENA_OP_RESIZE, .flags = (__u32)random_below(4),
				   .offset = span[n].at };

	op.length = random_below(2) ? random_below(span[n].len) + 1 :
				      span[n].len + random_below(random_len()) + 1;
	return op;
}

static void after_resize(unsigned int n, const struct pagearena_op *asked,
			 const struct pagearena_op *got)
{
	__u64 len = ALIGN_UP(asked->length, a.page), end = span[n].at + span[n].len;

	if (len > span[n].len && !range_free(end, len - span[n].len)) {
		pa_expect(got->result == -EEXIST || (got->result == -ENOMEM &&
						     (a_limit || span[n].at + len > ARENA)),
			  "RESIZE of %llu from %llu to %llu: %d",
			  (unsigned long long)span[n].at, (unsigned long long)span[n].len,
			  (unsigned long long)len, got->result);
		return;
	}
	if (got->result) {
		CHECK_EQ(got->result, -ENOMEM);
		CHECK(a_limit && len > span[n].len);
		return;
	}
	CHECK_EQ(got->length, len);
	if (len > span[n].len)
		take(end, len - span[n].len, asked->flags, got->out_flags);
	else
		give(span[n].at + len, span[n].len - len);
	span[n].len = len;
}

static void do_resize(unsigned int n)
{
	struct pagearena_op asked = random_resize(n), got = asked;
	struct pagearena_resize req = { .size = sizeof(req), .flags = asked.flags,
					.offset = asked.offset, .length = asked.length,
					.old_length = random_below(2) ? span[n].len : 0 };
	__u64 had = span[n].len;

	check_span(n);
	got.result = ioctl(a.fd, PAGEARENA_IOC_RESIZE, &req) ? -errno : 0;
	got.length = req.length;
	got.out_flags = req.out_flags;
	after_resize(n, &asked, &got);
	if (!got.result)
		CHECK_EQ(req.old_length, had);
	check_span(n);
}

/* Many of everything.  A span is in one operation at most. */
static void do_batch(void)
{
	struct pagearena_op asked[48], got[48];
	unsigned int of[48], nr = 1 + (unsigned int)random_below(48), i, used = 0, failed = 0;
	struct pagearena_batch req = { .size = sizeof(req), .ops = (uintptr_t)got, .count = nr };
	__u64 huge = pa_info(a.fd).huge_size, step = MAX(a.page, a.granule), at = 0;

	if (nr_spans + nr > SPANS)
		return;
	for (i = 0; i < nr; i++) {
		asked[i] = (struct pagearena_op){};
		switch (random_below(16)) {
		default:
			asked[i] = random_alloc();
			break;
		case 6 ... 11:
			if (used == nr_spans)
				break;
			of[i] = used++;
			check_span(of[i]);
			asked[i].op = PAGEARENA_OP_FREE;
			asked[i].offset = span[of[i]].at;
			asked[i].length = random_below(2) ? span[of[i]].len : 0;
			break;
		case 12:
		case 13:
			if (used == nr_spans)
				break;
			of[i] = used++;
			asked[i] = random_resize(of[i]);
			break;
		case 14:
			/* Often where the last one ended. */
			if (random_below(4) == 0 || at + step > ARENA)
				at = random_below(ARENA / step) * step;
			asked[i].op = PAGEARENA_OP_SCAVENGE;
			asked[i].flags = random_below(2) ? 0 : PAGEARENA_SCAVENGE_BREAK;
			asked[i].offset = at;
			asked[i].length = (1 + random_below((ARENA - at) / step)) * step;
			at += asked[i].length;
			break;
		case 15:
			asked[i].op = PAGEARENA_OP_PROMOTE;
			asked[i].offset = random_below(ARENA / huge) * huge;
			asked[i].length = huge;
			break;
		}
		got[i] = asked[i];
		got[i].result = 12345;
	}
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_BATCH, &req));
	CHECK_EQ(req.done, nr);
	for (i = 0; i < nr; i++) {
		failed += got[i].result < 0;
		switch (asked[i].op) {
		case PAGEARENA_OP_ALLOC:
			after_alloc(&asked[i], &got[i]);
			break;
		case PAGEARENA_OP_FREE:
			CHECK_EQ(got[i].result, 0);
			give(span[of[i]].at, span[of[i]].len);
			span[of[i]].len = 0;
			break;
		case PAGEARENA_OP_RESIZE:
			after_resize(of[i], &asked[i], &got[i]);
			break;
		case PAGEARENA_OP_PROMOTE:
			if (pa_info(a.fd).huge == PAGEARENA_HUGE_OFF) {
				CHECK_EQ(got[i].result, -EOPNOTSUPP);
				break;
			}
			/* fall through */
		default:
			pa_expect(got[i].result >= 0, "operation %u: %d", asked[i].op,
				  got[i].result);
		}
	}
	CHECK_EQ(req.failed, failed);
	/* The last ones first, which the places of those that are gone are filled with. */
	while (used--)
		if (!span[used].len)
			span[used] = span[--nr_spans];
	for (i = 0; i < nr_spans; i++)
		check_span(i);
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
		if (pa_info(a.fd).huge == PAGEARENA_HUGE_OFF) {
			CHECK_ERR(pa_promote_fd(a.fd, at, huge, NULL), EOPNOTSUPP);
			break;
		}
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
	a_limit = setup.limit;
	alias = mmap(NULL, ARENA, PROT_READ, MAP_SHARED, a.fd, 0);
	CHECK(alias != MAP_FAILED);
	for (i = 0; i < ops; i++) {
		__u64 dice = random_below(100);

		/* Phases in which the heap tends to fill, and to empty. */
		if (dice < (i / 500 % 2 ? 25 : 40))
			do_alloc();
		else if (dice < 65 && nr_spans)
			do_free((unsigned int)random_below(nr_spans));
		else if (dice < 72 && nr_spans)
			do_resize((unsigned int)random_below(nr_spans));
		else if (dice < 75)
			do_batch();
		else if (dice < 92 && nr_spans)
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
STORM(off, .granule = 65536, .huge = PAGEARENA_HUGE_OFF)
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
	{ "span page 8 KiB, granule 64 KiB, huge off", test_off },
	{ "span page 8 KiB, granule 2 MiB, always huge", test_granule_huge },
	{ "span page 64 KiB, granule 4 KiB, always huge", test_large_page },
	{ "within a limit, always huge", test_limit },
	{ "debug", test_debug },
	{ "debug, granule 64 KiB, always huge", test_debug_granule },
};

PA_MAIN(tests)
