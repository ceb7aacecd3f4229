// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Directed tests of the span heap's rules.  Each runs on a heap and its model side by side
 * (pair.h), which already compares everything; what is expected here is written out by
 * hand, so that a mistake that both share is seen.
 *
 * Layouts: spans in address order, U allocated, F free, S scavenged, with the number of
 * pages, z for needzero and @ unusedsince if that is not 0.  Calls: m map, u used,
 * r unused, h hugepage, f fault, each with its first page and number of pages.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bug.h>
#include <linux/kernel.h>

#include "pair.h"
#include "tap.h"

#define PAGE_SHIFT	13
#define PAGE		((u64)1 << PAGE_SHIFT)

static struct pair pair;
static bool good;

static void failed(struct pair *p)
{
	(void)p;
	tap_ok(false, "heap and model agree");
	exit(EXIT_FAILURE);
}

__attribute__((__format__(__printf__, 2, 3)))
static void check(bool ok, const char *fmt, ...)
{
	va_list ap;

	if (ok)
		return;
	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	good = false;
}

#define expect(cond) check(cond, "%s:%d: not %s", __func__, __LINE__, #cond)

/* Begins with a heap; sizes in pages, G/P and H/P as numbers of pages. */
static void heap_new(u64 pages, u64 growth, u64 granule, u64 huge, enum span_fit fit, bool debug)
{
	struct span_heap_config cfg = {
		.size = pages * PAGE,
		.growth = growth * PAGE,
		.page_shift = PAGE_SHIFT,
		.granule_shift = ilog2(granule * PAGE),
		.huge_shift = ilog2(huge * PAGE),
		.fit = fit,
		.debug = debug,
	};

	pair.failed = failed;
	pair_init(&pair, &cfg);
}

/* A plain one: best fit, G = P, H = 64 P, all grown at once and scavenged. */
static void heap_plain(u64 pages)
{
	heap_new(pages, pages, 1, 64, SPAN_FIT_BEST, false);
}

static void heap_end(void)
{
	pair_destroy(&pair);
}

static struct op_result run(enum op_kind kind, u64 a, u64 b, unsigned int spares)
{
	struct op op = { .kind = kind, .a = a, .b = b, .spares = spares, .stop = -1 };
	struct op_result res = pair_do(&pair, &op);

	pair_check(&pair);
	return res;
}

/* The base, or an error. */
static s64 alloc_aligned(u64 npages, u64 align)
{
	struct op_result res = run(OP_ALLOC, npages, align, SPAN_HEAP_SPARES);

	return res.ret ? res.ret : (s64)res.base;
}

static s64 alloc(u64 npages)
{
	return alloc_aligned(npages, 0);
}

static s64 release(u64 base)
{
	return run(OP_FREE, base, 0, 0).ret;
}

/* Released pages, or an error. */
static s64 scavenge(u64 page)
{
	s64 ret = run(OP_SCAVENGE, page, 0, SPAN_HEAP_SPARES).ret;

	return ret < 0 ? ret : ret / (s64)PAGE;
}

static u64 scavenge_bytes(u64 pages)
{
	return run(OP_BYTES, pages * PAGE, 0, 0).ret / PAGE;
}

static u64 scavenge_age(u64 limit)
{
	return run(OP_AGE, limit, U64_MAX, 0).ret / PAGE;
}

static void at_time(u64 now)
{
	run(OP_TIME, now - pair.now, 0, 0);
}

static u64 released(void)
{
	return pair.heap.stats.heap_released / PAGE;
}

static bool same(const char *what, const char *got, const char *want)
{
	if (!strcmp(got, want))
		return true;
	printf("# %s: \"%s\", not \"%s\"\n", what, got, want);
	return false;
}

static bool layout(const char *want)
{
	char got[4096] = "";
	struct span *s;
	size_t n = 0;

	for (s = span_heap_first(&pair.heap); s; s = span_heap_next(s)) {
		n += snprintf(got + n, sizeof(got) - n, "%s%c%llu%s", n ? " " : "",
			      s->state == SPAN_INUSE ? 'U' : s->scavenged ? 'S' : 'F',
			      (u64)s->npages, s->needzero ? "z" : "");
		if (s->unusedsince)
			n += snprintf(got + n, sizeof(got) - n, "@%llu", s->unusedsince);
	}
	return same("layout", got, want);
}

/* The calls of the last operation, but for trim(). */
static bool calls(const char *want)
{
	char got[4096] = "";
	unsigned int i;
	size_t n = 0;

	for (i = 0; i < pair.nr_log; i++)
		if (pair.log[i].what != 't')
			n += snprintf(got + n, sizeof(got) - n, "%s%c%llu+%llu", n ? " " : "",
				      pair.log[i].what, pair.log[i].a / PAGE,
				      pair.log[i].b / PAGE);
	return same("calls", got, want);
}

/* A span of 5000 pages and two of 5 are free, whose structs have all orders in memory. */
static void rule1_best_fit(void)
{
	static const int orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 }
	};
	s64 base[3];
	size_t i;
	int j;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		heap_plain(5013);
		base[0] = alloc(5000);
		alloc(1);
		base[1] = alloc(5);
		alloc(1);
		base[2] = alloc(5);
		alloc(1);
		for (j = 0; j < 3; j++)
			expect(release(base[orders[i][j]]) == 0);
		expect(layout("F5000z@1 U1 F5z@1 U1 F5z@1 U1"));
		expect(alloc(5) == 5001);
		expect(alloc(5) == 5007);
		expect(alloc(5) == 0);
		expect(layout("U5z F4995z@1 U1 U5z U1 U5z U1"));
		heap_end();
	}
}

static void rule1_first_fit(void)
{
	heap_new(32, 32, 1, 64, SPAN_FIT_FIRST, false);
	alloc(1);
	alloc(8);
	alloc(1);
	alloc(4);
	alloc(18);
	release(1);
	release(10);
	expect(layout("U1 F8z@1 U1 F4z@1 U18"));
	expect(alloc(4) == 1);
	expect(alloc(5) == -ENOMEM);
	expect(alloc(4) == 5);
	heap_end();
}

static void rule2_order(void)
{
	heap_new(64, 32, 1, 64, SPAN_FIT_BEST, false);
	alloc(4);
	alloc(1);
	alloc(8);
	alloc(1);
	release(0);
	release(5);
	expect(scavenge(0) == 4);
	expect(layout("S4z@1 U1 F8z@1 U1 S18"));
	/* The scavenged span fits exactly, but a backed one fits too. */
	expect(alloc(4) == 5);
	/* Of the scavenged ones the best. */
	expect(alloc(5) == 14);
	expect(alloc(4) == 9);
	expect(alloc(4) == 0);
	expect(calls("u0+4"));
	expect(layout("U4z U1 U4z U4z U1 U5 S13"));
	/* Grows only when nothing is large enough. */
	expect(alloc(13) == 19);
	expect(pair.heap.stats.heap_sys == 32 * PAGE);
	expect(alloc(32) == 32);
	expect(calls("m32+32 u32+32"));
	expect(alloc(1) == -ENOMEM);
	heap_end();
}

static void rule3_aligned(void)
{
	heap_new(64, 64, 8, 64, SPAN_FIT_BEST, false);
	expect(alloc(3) == 0);
	/* The front keeps no whole granule, so it is backed; the tail keeps some. */
	expect(alloc_aligned(2, 4) == 4);
	expect(layout("U3 F1 U2 S58"));
	expect(calls("u4+2"));
	/* 8 is in reach too, but only a scavenged span holds it. */
	expect(alloc_aligned(8, 16) == 16);
	expect(layout("U3 F1 U2 S10 U8 S40"));
	expect(released() == 8 + 40);
	/* The smallest that holds an aligned block, not the smallest that is large enough. */
	expect(alloc_aligned(10, 8) == 24);
	expect(layout("U3 F1 U2 S10 U8 U10 S30"));
	expect(alloc_aligned(1, 1ULL << 63) == -ENOMEM);
	release(0);
	expect(layout("F4z@1 U2 S10 U8 U10 S30"));
	expect(alloc_aligned(1, 1ULL << 63) == 0);
	heap_end();
}

/* From a scavenged span of two granules, and from a backed one. */
static void rule6_tail(void)
{
	char want[64];
	u64 n;

	for (n = 1; n < 16; n++) {
		heap_new(16, 16, 8, 64, SPAN_FIT_BEST, false);
		expect(alloc(n) == 0);
		snprintf(want, sizeof(want), "U%llu %c%llu", n, n <= 8 ? 'S' : 'F', 16 - n);
		expect(layout(want));
		expect(released() == (n <= 8 ? 8 : 0));
		snprintf(want, sizeof(want), "m0+16 u0+%llu", n);
		expect(calls(want));
		heap_end();

		heap_new(16, 16, 8, 64, SPAN_FIT_BEST, false);
		alloc(16);
		at_time(7);
		release(0);
		expect(alloc(n) == 0);
		snprintf(want, sizeof(want), "U%lluz F%lluz@7", n, 16 - n);
		expect(layout(want));
		expect(released() == 0);
		expect(calls(""));
		heap_end();
	}
}

/* A backed span before a scavenged one, and behind one. */
static void rule14_realign(void)
{
	u64 n, backed;
	char want[64];

	for (n = 1; n < 16; n++) {
		backed = n <= 8 ? 8 : 16;

		heap_new(24, 24, 8, 64, SPAN_FIT_BEST, false);
		alloc(n);
		at_time(3);
		release(0);
		snprintf(want, sizeof(want), "F%lluz@3 S%llu", backed, 24 - backed);
		expect(layout(want));
		expect(released() == 24 - backed);
		heap_end();

		heap_new(24, 24, 8, 64, SPAN_FIT_BEST, false);
		alloc(24 - n);
		alloc(n);
		release(0);
		expect(scavenge(0) == (s64)(24 - backed));
		at_time(3);
		release(24 - n);
		snprintf(want, sizeof(want), "S%lluz@1 F%lluz@3", 24 - backed, backed);
		expect(layout(want));
		expect(released() == 24 - backed);
		heap_end();
	}
}

static void rule9_growth(void)
{
	heap_new(40, 8, 1, 64, SPAN_FIT_BEST, false);
	expect(alloc(3) == 0);
	expect(calls("m0+8 u0+3"));
	/* Three more units, for the 5 pages at the end of the heap count. */
	expect(alloc(29) == 3);
	expect(calls("m8+24 u3+29"));
	expect(layout("U3 U29"));
	/* No room: nothing grows. */
	expect(alloc(9) == -ENOMEM);
	expect(calls(""));
	expect(pair.heap.stats.heap_sys == 32 * PAGE);
	expect(pair.heap.stats.nr_grow == 2);
	/* A backed span at the end does not count. */
	release(3);
	expect(alloc(30) == -ENOMEM);
	expect(alloc_aligned(2, 32) == 32);
	expect(layout("U3 F29z@1 U2 S6"));
	heap_end();

	/* The last unit may be smaller. */
	heap_new(20, 16, 1, 64, SPAN_FIT_BEST, false);
	expect(alloc(16) == 0);
	expect(alloc(5) == -ENOMEM);
	expect(alloc(4) == 16);
	expect(calls("m16+4 u16+4"));
	heap_end();
}

static void rule10_errors(void)
{
	static const u64 no_spans[] = { 1, 3, 4, 15, 16, 32, 1000, U64_MAX, 1ULL << 51 };
	unsigned int spares;
	size_t i;

	heap_new(32, 16, 1, 64, SPAN_FIT_BEST, false);
	alloc(4);
	alloc(4);
	alloc(4);
	release(4);
	for (i = 0; i < ARRAY_SIZE(no_spans); i++)
		expect(release(no_spans[i]) == -ENOENT);
	expect(run(OP_FREE, 0, 3, 0).ret == -EINVAL);
	expect(run(OP_FREE, 4, 3, 0).ret == -ENOENT);
	expect(alloc(0) == -EINVAL);
	expect(alloc(SPAN_HEAP_MAX_PAGES + 1) == -EINVAL);
	expect(alloc(SPAN_HEAP_MAX_PAGES) == -ENOMEM);
	expect(alloc(U64_MAX) == -EINVAL);
	expect(alloc_aligned(1, 3) == -EINVAL);
	expect(alloc_aligned(1, U64_MAX) == -EINVAL);
	for (spares = 0; spares < SPAN_HEAP_SPARES; spares++)
		expect(run(OP_ALLOC, 1, 0, spares).ret == -ENOMEM);
	expect(span_heap_find(&pair.heap, 15));
	expect(!span_heap_find(&pair.heap, 16));
	expect(!span_heap_find(&pair.heap, U64_MAX));
	expect(layout("U4 F4z@1 U4 S4"));
	expect(run(OP_FREE, 0, 4, 0).ret == 0);
	expect(release(0) == -ENOENT);
	expect(layout("F8z@1 U4 S4"));
	heap_end();
}

static void rule12_merge(void)
{
	heap_plain(16);
	alloc(4);
	alloc(4);
	alloc(4);
	alloc(4);
	at_time(5);
	release(0);
	at_time(6);
	release(8);
	at_time(9);
	release(4);
	/* The one that is freed keeps its own time. */
	expect(layout("F12z@9 U4"));
	expect(scavenge(0) == 12);
	expect(calls("r0+12"));
	expect(alloc(2) == 0);
	/* Scavenged memory stays "may hold something". */
	expect(layout("U2z S10z@9 U4"));
	heap_end();
}

static void rule15_hugepage(void)
{
	heap_new(32, 32, 1, 4, SPAN_FIT_BEST, false);
	alloc(2);
	alloc(3);
	alloc(3);
	alloc(24);
	release(0);
	expect(calls(""));
	release(5);
	expect(calls(""));
	/* Two huge pages that no part held, marked as a whole. */
	release(2);
	expect(calls("h0+8"));
	/* Six and two are eight: nothing new. */
	release(8);
	expect(calls(""));
	heap_end();

	/* Not for scavenged spans; and what realigning adds counts. */
	heap_new(32, 32, 8, 8, SPAN_FIT_BEST, false);
	alloc(4);
	release(0);
	expect(calls("h0+8"));
	expect(layout("F8z@1 S24"));
	expect(scavenge(0) == 8);
	expect(calls("r0+8"));
	expect(layout("S32z@1"));
	heap_end();
}

static void rule16_scavenge(void)
{
	heap_new(32, 32, 8, 64, SPAN_FIT_BEST, false);
	alloc(3);
	alloc(18);
	alloc(4);
	alloc(7);
	release(3);
	release(25);
	expect(layout("U3 F18z@1 U4 F7z@1"));
	/* Only the granules inside: pages 8 to 16. */
	expect(scavenge(3) == 8);
	expect(calls("r8+8"));
	/* None inside. */
	expect(scavenge(25) == 0);
	expect(calls(""));
	/* Not free, and already scavenged. */
	expect(scavenge(0) == 0);
	expect(scavenge(3) == 0);
	expect(layout("U3 S18z@1 U4 F7z@1"));
	expect(released() == 8);
	heap_end();
}

static void rule17_age(void)
{
	u64 i;

	/* The time does not go back: in the order of their addresses, from the last. */
	heap_plain(8);
	for (i = 0; i < 8; i++)
		alloc(1);
	for (i = 1; i < 5; i++) {
		at_time(10 * i);
		release(9 - 2 * i);
	}
	expect(layout("U1 F1z@40 U1 F1z@30 U1 F1z@20 U1 F1z@10"));
	at_time(50);
	expect(scavenge_age(40) == 0);
	expect(calls(""));
	expect(scavenge_age(39) == 1);
	expect(calls("r7+1"));
	expect(scavenge_age(10) == 2);
	expect(calls("r5+1 r3+1"));
	expect(layout("U1 F1z@40 U1 S1z@30 U1 S1z@20 U1 S1z@10"));
	expect(scavenge_age(0) == 1);
	heap_end();

	/* All of one age: by address, until there is enough. */
	heap_plain(8);
	for (i = 0; i < 8; i++)
		alloc(1);
	for (i = 7; i < 8; i -= 2)
		release(i);
	at_time(2);
	expect(run(OP_AGE, 0, 2 * PAGE, 0).ret == 2 * (s64)PAGE);
	expect(calls("r1+1 r3+1"));
	heap_end();
}

static void rule17_amount(void)
{
	static const u64 sizes[] = { 2, 5, 5, 3, 1 };
	u64 base = 0;
	size_t i;

	heap_new(32, 32, 1, 64, SPAN_FIT_BEST, false);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		alloc(sizes[i]);
		alloc(1);
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		release(base);
		base += sizes[i] + 1;
	}
	expect(layout("F2z@1 U1 F5z@1 U1 F5z@1 U1 F3z@1 U1 F1z@1 U1 S11"));
	expect(scavenge_bytes(0) == 0);
	expect(calls(""));
	/* The largest, of two equal ones the one behind, and whole. */
	expect(scavenge_bytes(1) == 5);
	expect(calls("r9+5"));
	expect(scavenge_bytes(7) == 8);
	expect(calls("r3+5 r15+3"));
	expect(run(OP_BYTES, U64_MAX, 0, 0).ret == 3 * (s64)PAGE);
	expect(calls("r0+2 r19+1"));
	expect(pair.heap.stats.heap_released == pair.heap.stats.heap_idle);
	heap_end();
}

static void debug_heap(void)
{
	heap_new(32, 16, 8, 64, SPAN_FIT_BEST, true);
	expect(alloc(16) == 0);
	expect(calls("m0+16 m0+16 u0+16"));
	expect(release(0) == 0);
	expect(calls("f0+16"));
	expect(layout("S16z@1"));
	expect(released() == 16);
	expect(alloc(4) == 0);
	expect(calls("m0+4 u0+4"));
	/* No granule inside: nothing to fault, and it takes back the rest of the granule. */
	expect(release(0) == 0);
	expect(calls(""));
	expect(layout("F8z@1 S8z@1"));
	heap_end();
}

/* Every callback may be missing. */
static void no_callbacks(void)
{
	static const struct span_heap_ops none;
	struct span_heap_config cfg = {
		.size = 32 * PAGE,
		.growth = 16 * PAGE,
		.page_shift = PAGE_SHIFT,
		.granule_shift = PAGE_SHIFT + 1,
		.huge_shift = PAGE_SHIFT + 2,
		.fit = SPAN_FIT_PLACED,
		.debug = true,
	};
	static struct span mem[8];
	static struct span_index indices[8];
	struct span_heap heap;
	struct span *s;
	unsigned int i;

	expect(span_heap_init(&heap, &cfg, &none, NULL) == 0);
	for (i = 0; i < ARRAY_SIZE(indices); i++)
		span_heap_add_index(&heap, &indices[i]);
	for (i = 0; i < ARRAY_SIZE(mem); i++)
		span_heap_add_spare(&heap, &mem[i]);
	expect(span_heap_alloc(&heap, 8, 1, &s, NULL) == 0 && s->base == 0);
	expect(span_heap_alloc(&heap, 20, 8, &s, NULL) == 0 && s->base == 8);
	expect(span_heap_free(&heap, 0, 8, 5) == 0);
	expect(span_heap_scavenge_age(&heap, 9, 0, U64_MAX, NULL) == 8 * PAGE);
	expect(span_heap_unscavenge(&heap, 2, 2, 9) == 0);
	expect(span_heap_scavenge_bytes(&heap, 1, NULL) == 2 * PAGE);
	expect(span_heap_recount(&heap, NULL) == 0);
	while (span_heap_take_spare(&heap))
		i--;
	expect(i == heap.stats.spans_inuse + heap.stats.spans_free + heap.stats.spans_scavenged);
}

/* Memory for indices runs out: no call fails halfway. */
static void no_indices(void)
{
	static const struct span_heap_ops none;
	static const struct span_heap_config cfg = {
		.size = 64 * PAGE,
		.growth = 64 * PAGE,
		.page_shift = PAGE_SHIFT,
		.granule_shift = PAGE_SHIFT,
		.huge_shift = PAGE_SHIFT + 2,
		.fit = SPAN_FIT_PLACED,
		.reuse = true,
	};
	static struct span mem[16];
	static struct span_index indices[SPAN_HEAP_SPARES];
	struct span_heap_stats stats;
	struct span_index *x = NULL;
	struct span_heap heap;
	struct span *s;
	unsigned int i;

	expect(span_heap_init(&heap, &cfg, &none, NULL) == 0);
	for (i = 0; i < ARRAY_SIZE(mem); i++)
		span_heap_add_spare(&heap, &mem[i]);
	expect(!span_heap_ready(&heap) && !span_heap_may_free(&heap));
	expect(span_heap_alloc(&heap, 1, 0, &s, NULL) == -ENOMEM);
	for (i = 0; i < ARRAY_SIZE(indices); i++)
		span_heap_add_index(&heap, &indices[i]);
	expect(span_heap_ready(&heap));
	/* The one free span behind it takes an index. */
	expect(span_heap_alloc(&heap, 4, 0, &s, NULL) == 0);
	expect(heap.nr_indices == SPAN_HEAP_SPARES - 1 && !span_heap_ready(&heap));
	stats = heap.stats;
	expect(span_heap_alloc(&heap, 4, 0, &s, NULL) == -ENOMEM);
	expect(span_heap_alloc_at(&heap, 8, 4, &s, NULL) == -ENOMEM);
	expect(span_heap_resize(&heap, 0, 4, 2, 1, &s, NULL) == -ENOMEM);
	expect(span_heap_unscavenge(&heap, 8, 4, 1) == -ENOMEM);
	expect(!memcmp(&stats, &heap.stats, sizeof(stats)));
	for (i = 0; heap.nr_indices; i++)
		x = span_heap_take_index(&heap);
	expect(i == SPAN_HEAP_SPARES - 1 && !span_heap_take_index(&heap));
	expect(!span_heap_may_free(&heap));
	expect(span_heap_free(&heap, 0, 4, 1) == -ENOMEM);
	/* What the call did wrong is told first. */
	expect(span_heap_free(&heap, 0, 3, 1) == -EINVAL);
	expect(span_heap_free(&heap, 1, 0, 1) == -ENOENT);
	expect(!memcmp(&stats, &heap.stats, sizeof(stats)));
	/* One is enough, and it is kept for the span that waits. */
	span_heap_add_index(&heap, x);
	expect(span_heap_free(&heap, 0, 4, 1) == 0 && heap.nr_recent == 1);
	expect(heap.nr_indices == 1 && !span_heap_may_free(&heap));
	expect(span_heap_recount(&heap, NULL) == 0);
	expect(span_heap_reuse(&heap, 4) == s && span_heap_may_free(&heap));
	expect(span_heap_free(&heap, 0, 4, 2) == 0);
	span_heap_settle(&heap);
	expect(!heap.nr_indices && heap.stats.spans_free == 1);
	expect(span_heap_recount(&heap, NULL) == 0);
	/* Whole spans are released without. */
	expect(span_heap_scavenge(&heap, span_heap_find(&heap, 0)) == 4 * PAGE);
	expect(heap.nr_indices == 1 && heap.stats.spans_scavenged == 1);
	expect(span_heap_recount(&heap, NULL) == 0);
}

static void bad_geometry(void)
{
	static const struct span_heap_ops none;
	static const struct span_heap_config fine = {
		.size = 64 << 12, .growth = 16 << 12,
		.page_shift = 12, .granule_shift = 14, .huge_shift = 15,
	};
	struct span_heap_config cfg;
	struct span_heap heap;

#define BAD(field, value) do {						\
	cfg = fine;							\
	cfg.field = (value);						\
	expect(span_heap_init(&heap, &cfg, &none, NULL) == -EINVAL);	\
} while (0)
	cfg = fine;
	expect(span_heap_init(&heap, &cfg, &none, NULL) == 0);
	BAD(size, 0);
	BAD(size, (64 << 12) + 1);
	BAD(size, 65 << 12);
	BAD(size, (u64)1 << (SPAN_HEAP_MAX_SHIFT + 12));
	BAD(growth, 0);
	BAD(growth, 17 << 12);
	BAD(growth, 1);
	BAD(huge_shift, 13);
	BAD(fit, SPAN_FIT_PLACED + 1);
#undef BAD
}

/* Rule 13, after a heap was damaged on purpose. */
static void rule13_broken(void)
{
	struct span_heap *heap = &pair.heap;
	unsigned long before;
	struct span *s;
	int i;

	heap_new(32, 32, 8, 64, SPAN_FIT_BEST, false);
	alloc(8);
	alloc(4);
	span_heap_find(heap, 8)->scavenged = 1;
	for (i = 0; i < SPAN_HEAP_SPARES; i++) {
		span_heap_add_spare(heap, calloc(1, sizeof(*s)));
		pair.live++;
	}
	before = compat_warnings;
	printf("# a warning is expected here\n");
	fflush(stdout);
	span_heap_free(heap, 8, 0, 1);
	expect(compat_warnings == before + 1);
	expect(heap->broken);
	s = span_heap_find(heap, 8);
	expect(span_heap_alloc(heap, 1, 0, &s, NULL) == -EUCLEAN);
	expect(span_heap_lookup(heap, 0, 0, &s) == -EUCLEAN);
	expect(span_heap_free(heap, 0, 0, 1) == -EUCLEAN);
	expect(span_heap_scavenge(heap, s) == -EUCLEAN);
	expect(span_heap_scavenge_bytes(heap, U64_MAX, NULL) == 0);
	expect(span_heap_scavenge_age(heap, 9, 0, U64_MAX, NULL) == 0);
	expect(span_heap_unscavenge(heap, 0, 8, 1) == -EUCLEAN);
	expect(span_heap_recount(heap, NULL) == -EUCLEAN);
	expect(compat_warnings == before + 1);
	heap_end();
}

/* The recount finds what is wrong, and only then complains. */
static void recount_finds(void)
{
	struct span_heap *heap = &pair.heap;
	struct span *u, *f, *s;
	const char *what;

#define FINDS(lvalue, value) do {					\
	__typeof__((lvalue) + 0) old = (lvalue);			\
	(lvalue) = (value);						\
	what = NULL;							\
	expect(span_heap_recount(heap, &what) == -EUCLEAN && what);	\
	(lvalue) = old;							\
	expect(span_heap_recount(heap, &what) == 0);			\
} while (0)
	heap_new(64, 64, 8, 64, SPAN_FIT_BEST, false);
	alloc(16);
	alloc(16);
	release(0);
	expect(layout("F16z@1 U16 S32"));
	f = span_heap_find(heap, 0);
	u = span_heap_find(heap, 16);
	s = span_heap_find(heap, 32);
	FINDS(heap->stats.heap_sys, old + PAGE);
	FINDS(heap->stats.heap_inuse, old + PAGE);
	FINDS(heap->stats.heap_idle, old - PAGE);
	FINDS(heap->stats.heap_released, old - 8 * PAGE);
	FINDS(heap->stats.spans_inuse, old + 1);
	FINDS(heap->stats.spans_free, old + 1);
	FINDS(heap->stats.spans_scavenged, old + 1);
	FINDS(heap->stats.spans_transit, old + 1);
	FINDS(u->npages, old - 1);
	FINDS(u->base, old + 1);
	FINDS(u->state, SPAN_FREE);
	FINDS(f->state, SPAN_INUSE);
	FINDS(f->scavenged, 1);
	FINDS(s->scavenged, 0);
	FINDS(s->npages, old + 8);
	FINDS(heap->fit[0].rb_node, NULL);
	FINDS(heap->fit[1].rb_node, NULL);
	FINDS(heap->age.rb_node, NULL);
#undef FINDS
	heap_end();
}

static void unscavenge(void)
{
	heap_new(64, 64, 8, 64, SPAN_FIT_BEST, false);
	alloc(4);
	alloc(4);
	release(0);
	expect(layout("F4z@1 U4 S56"));
	at_time(3);
	expect(run(OP_UNSCAVENGE, 0, 32, SPAN_HEAP_SPARES).ret == 0);
	expect(calls("u8+24"));
	expect(layout("F4z@1 U4 F24z@3 S32"));
	expect(released() == 32);
	expect(run(OP_UNSCAVENGE, 32, 16, SPAN_HEAP_SPARES - 1).ret == -ENOMEM);
	expect(run(OP_UNSCAVENGE, 31, 1, SPAN_HEAP_SPARES).ret == -EINVAL);
	expect(run(OP_UNSCAVENGE, 56, 16, SPAN_HEAP_SPARES).ret == -EINVAL);
	at_time(4);
	expect(run(OP_UNSCAVENGE, 48, 8, SPAN_HEAP_SPARES).ret == 0);
	expect(layout("F4z@1 U4 F24z@3 S16 F8z@4 S8"));
	heap_end();
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "rule 1: best fit, ties", rule1_best_fit },
		{ "rule 1: first fit", rule1_first_fit },
		{ "rule 2: free, scavenged, grow", rule2_order },
		{ "rule 3: aligned", rule3_aligned },
		{ "rule 6: the tail at every offset", rule6_tail },
		{ "rule 9: growth", rule9_growth },
		{ "rule 10: errors change nothing", rule10_errors },
		{ "rule 12: merge", rule12_merge },
		{ "rule 13: a broken heap", rule13_broken },
		{ "rule 14: the boundary at every offset", rule14_realign },
		{ "rule 15: hugepage", rule15_hugepage },
		{ "rule 16: the granules inside", rule16_scavenge },
		{ "rule 17: ages", rule17_age },
		{ "rule 17: amounts", rule17_amount },
		{ "debug heap", debug_heap },
		{ "unscavenge", unscavenge },
		{ "no callbacks", no_callbacks },
		{ "no indices", no_indices },
		{ "bad geometry", bad_geometry },
		{ "recount", recount_finds },
	};
	size_t i;

	tap_plan(ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		good = true;
		tests[i].run();
		tap_ok(good, "rules: %s", tests[i].name);
	}
	return tap_status();
}
