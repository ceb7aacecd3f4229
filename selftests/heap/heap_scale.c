// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Every operation takes O(log n) for n spans: counts the tree nodes that are looked at and
 * the rotations (see userlib/compat/linux/rbtree.h), in a heap of a thousand spans and in
 * one of a hundred thousand.  No operation may take more than VISITS * log2(n), and the
 * larger heap may not need more on average than the logarithms' ratio and half as much
 * again.  What takes as long as there are free spans in a range has a bound.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/rbtree.h>

#include "span_heap.h"
#include "tap.h"

#define SMALL	1000
#define LARGE	100000
#define ROUNDS	500
#define VISITS	60

enum { ALLOC, ALLOC_ALIGNED, FREE, SCAVENGE, BYTES, AGE, UNSCAVENGE, FIND, KINDS };

static const char *const names[KINDS] = {
	"alloc", "aligned alloc", "free", "scavenge", "scavenge by amount", "scavenge by age",
	"unscavenge", "find"
};

/** struct cost - what the operations of a kind took */
struct cost {
	u64 sum;
	u64 max;
	u64 number;
};

static const char *const fits[] = { "best", "first", "placed" };
static u64 rng = 1, now = 1;

static u64 draw(u64 n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (rng >> 33) % n;
}

static bool prefer(void *ctx, u64 offset, u64 len)
{
	(void)ctx;
	return (offset ^ len) >> 12 & 1;
}

static const struct span_heap_ops ops = { .prefer = prefer };

static void free_span(struct span *s)
{
	free(s);
}

static void free_index(struct span_index *x)
{
	free(x);
}

static void add_spares(struct span_heap *heap)
{
	struct span_index *x;
	struct span *s;

	while (heap->nr_spares < SPAN_HEAP_SPARES) {
		s = malloc(sizeof(*s));
		if (!s)
			abort();
		span_heap_add_spare(heap, s);
	}
	while (heap->nr_indices < SPAN_HEAP_SPARES + heap->nr_recent) {
		x = malloc(sizeof(*x));
		if (!x)
			abort();
		span_heap_add_index(heap, x);
	}
}

/* n spans of 1 to 8 pages: allocated, and in between by turns free and scavenged. */
static void build(struct span_heap *heap, u64 n, int fit, u64 granule_shift)
{
	struct span_heap_config cfg = {
		.page_shift = 12,
		.granule_shift = granule_shift,
		.huge_shift = 21,
		.size = (u64)n * 16 << 12,
		.growth = (u64)n * 16 << 12,
		.fit = fit,
	};
	struct span *s;
	u64 i, base, next = 0;

	if (span_heap_init(heap, &cfg, &ops, NULL))
		abort();
	for (i = 0; i < n; i++) {
		add_spares(heap);
		if (span_heap_alloc(heap, 1 + draw(8), 0, &s, NULL))
			abort();
	}
	for (i = 0; (s = span_heap_find(heap, next)); i++) {
		base = s->base;
		next = base + s->npages;
		if (i % 2 || s->state != SPAN_INUSE)
			continue;
		add_spares(heap);
		if (span_heap_free(heap, base, 0, ++now))
			abort();
		if (draw(2))
			span_heap_scavenge(heap, span_heap_find(heap, base));
	}
}

static void count(struct cost *cost, u64 before)
{
	u64 n = compat_rb_visits + compat_rb_rotations - before;

	cost->sum += n;
	cost->max = max(cost->max, n);
	cost->number++;
}

#define COUNT(kind, call) do {					\
	u64 before = compat_rb_visits + compat_rb_rotations;	\
	call;							\
	count(&cost[kind], before);				\
} while (0)

static void measure(struct span_heap *heap, struct cost *cost)
{
	u64 pages = heap->cfg.size >> heap->cfg.page_shift, g, page;
	struct span *s, *other;
	int i, err, order, orders = SPAN_HEAP_SLOTS;

	if (heap->cfg.fit == SPAN_FIT_FIRST)
		orders = SPAN_HEAP_SLOTS / 2 - 1;

	g = max(1ULL, 1ULL << heap->cfg.granule_shift >> heap->cfg.page_shift);
	/*
	 * An alignment is indexed when it is first asked for, in a pass over all spans.  So
	 * only as many as are indexed at a time; with first fit, that is half as many, and
	 * no alignment is one of them.
	 */
	for (order = 1; order <= orders; order++) {
		add_spares(heap);
		if (!span_heap_alloc(heap, 1, 1ULL << order, &s, NULL))
			span_heap_free(heap, s->base, 0, ++now);
	}
	for (i = 0; i < ROUNDS; i++) {
		add_spares(heap);
		order = 1 + draw(orders);
		COUNT(ALLOC_ALIGNED,
		      err = span_heap_alloc(heap, 1 + draw(8), 1ULL << order, &s, NULL));
		if (err)
			abort();
		COUNT(FREE, span_heap_free(heap, s->base, 0, ++now));
		add_spares(heap);
		COUNT(ALLOC, err = span_heap_alloc(heap, 1 + draw(8), 0, &s, NULL));
		if (err)
			abort();
		/* One span for another; the grown heap never gets full. */
		page = draw(pages);
		COUNT(FIND, other = span_heap_find(heap, page));
		if (other->state == SPAN_INUSE)
			s = other;
		COUNT(FREE, span_heap_free(heap, s->base, 0, ++now));
		s = span_heap_find(heap, page);
		if (s->state == SPAN_FREE && !s->scavenged)
			COUNT(SCAVENGE, span_heap_scavenge(heap, s));
		/*
		 * With P < G, spans of up to two granules may hold no whole one, and by amount
		 * they are passed over one by one.
		 */
		if (g == 1)
			COUNT(BYTES, span_heap_scavenge_bytes(heap, 1, NULL));
		COUNT(AGE, span_heap_scavenge_age(heap, now, 0, 1, NULL));
		COUNT(UNSCAVENGE, span_heap_unscavenge(heap, page / g * g, g, ++now));
	}
}

/* At most an integer above it. */
static u64 log2_of(u64 n)
{
	return ilog2(n) + 1;
}

static bool test(int fit, u64 granule_shift)
{
	struct cost small[KINDS] = { 0 }, large[KINDS] = { 0 };
	struct span_heap heap;
	bool good = true;
	int k;

	build(&heap, SMALL, fit, granule_shift);
	measure(&heap, small);
	span_heap_destroy(&heap, free_span, free_index);
	build(&heap, LARGE, fit, granule_shift);
	measure(&heap, large);
	good = span_heap_recount(&heap, NULL) == 0;
	span_heap_destroy(&heap, free_span, free_index);

	for (k = 0; k < KINDS; k++) {
		u64 a, b, bound = VISITS * log2_of(LARGE);

		if (!small[k].number && !large[k].number)
			continue;
		a = 100 * small[k].sum / max(1ULL, small[k].number);
		b = 100 * large[k].sum / max(1ULL, large[k].number);
		printf("# %-18s %3llu.%02llu nodes for %d spans, at most %llu;", names[k],
		       a / 100, a % 100, SMALL, small[k].max);
		printf(" %3llu.%02llu for %d, at most %llu\n", b / 100, b % 100, LARGE,
		       large[k].max);
		if (large[k].max > bound ||
		    2 * b * log2_of(SMALL) > 3 * max(a, 100ULL) * log2_of(LARGE)) {
			printf("# too many\n");
			good = false;
		}
	}
	return good;
}

/* Free spans and scavenged ones by turns, which do not merge: one too many for a call, and not. */
static bool pieces(void)
{
	const u64 n = SPAN_HEAP_PIECES_MAX + 2;
	struct span_heap_config cfg = {
		.page_shift = 12, .granule_shift = 12, .huge_shift = 21,
		.size = (n + 8) << 12, .growth = (n + 8) << 12,
		.fit = SPAN_FIT_FIRST,
	};
	struct span_heap_stats before;
	struct span_heap heap;
	struct span *s;
	bool good;
	u64 i, odd;

	if (span_heap_init(&heap, &cfg, &ops, NULL))
		abort();
	for (i = 0; i < n; i++) {
		add_spares(&heap);
		if (span_heap_alloc(&heap, 1, 0, &s, NULL) || s->base != i)
			abort();
	}
	for (odd = 0; odd < 2; odd++)
		for (i = odd; i < n; i += 2) {
			add_spares(&heap);
			if (span_heap_free(&heap, i, 0, ++now))
				abort();
			if (!odd && span_heap_scavenge(&heap, span_heap_find(&heap, i)) != 4096)
				abort();
		}
	span_heap_settle(&heap);
	add_spares(&heap);
	before = heap.stats;
	good = before.spans_free + before.spans_scavenged > n;
	good = good && span_heap_alloc_at(&heap, 0, n, &s, NULL) == -ENOMEM;
	good = good && !memcmp(&before, &heap.stats, sizeof(before));
	good = good && !span_heap_alloc_at(&heap, 0, 1, &s, NULL);
	add_spares(&heap);
	good = good && span_heap_resize(&heap, 0, 1, n, ++now, &s, NULL) == -ENOMEM;
	good = good && !span_heap_resize(&heap, 0, 1, n - 1, ++now, &s, NULL);
	good = good && s->npages == n - 1 && !span_heap_recount(&heap, NULL);
	span_heap_destroy(&heap, free_span, free_index);
	return good;
}

int main(void)
{
	int fit;

	tap_plan(2 * ARRAY_SIZE(fits) + 1);
	tap_ok(pieces(), "a bound for the free spans that become one");
	for (fit = 0; fit < (int)ARRAY_SIZE(fits); fit++) {
		tap_ok(test(fit, 12), "scale: %s fit, G = P", fits[fit]);
		tap_ok(test(fit, 14), "scale: %s fit, G = 4 P", fits[fit]);
	}
	return tap_status();
}
