// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * KUnit tests of the span heap, by the numbers of the rules in span_heap.c.
 *
 * Three kinds of tests:
 *
 *  - Tables.  A row gives a heap as a picture, a script to run on it, the log of what the
 *    heap called and returned, and the picture afterwards.
 *  - Exhaustive small cases, and random ones.  Each step is done twice: by the heap and by
 *    a naive one (below) that states the rules over an array.  Both must agree.
 *  - Plain code, where neither fits.
 *
 * After every step of every test the heap's own recount runs, and audit(), which verifies
 * the same invariants by other means.
 *
 * Pictures: spans in address order, from page 0.  A letter for the kind, U allocated,
 * F free, S scavenged, T in transit; the number of pages; z if needzero is set; @ and
 * unusedsince, unless that is 0.  "U4 F3z@9 S9" is a heap of 16 pages.
 *
 * Scripts, numbers in span pages:
 *
 *	aN		allocate N pages
 *	aN/A		allocate N pages at a multiple of A
 *	AB:N		allocate N pages at B (span_heap_alloc_at())
 *	zB:N		make the span at B N pages long (span_heap_resize())
 *	fB, fB:N	free the span at B, and that it has N pages
 *	sB		scavenge the span at B
 *	bN		scavenge by amount: N pages
 *	oL, oL:N	scavenge by age: above L, at most (about) N pages
 *	cB:N		count N pages at B as backed again (span_heap_unscavenge())
 *	tN		the time is N from now on (it begins at 9)
 *	eN		the next N calls of unused() and fault() fail
 *	pN		the stop callback lets N spans pass
 *	lB:N		prefer() likes spans that begin in the N pages at B (at first: none)
 *	gN		trim() narrows ranges to whole groups of N pages; 0: not at all (at first)
 *	kN		the heap has N spares, and unused() does not get it more (at first:
 *			SPAN_HEAP_SPARES)
 *	w		wipe the log
 *	?		log [heap_sys:heap_inuse:heap_idle:heap_released]
 *
 * Log: mB+N map, uB+N used, rB+N unused ("release"), hB+N hugepage, xB+N fault, lB+N
 * prefer ("like"), tB+N trim, if g is not 0; =N the result of a call (the base with z for
 * needzero and s for scavenged; pages released), !ERROR an error.
 */
#include <kunit/test.h>
#include <linux/ctype.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>

/* The very source that the module is built from, so that its static functions can be tested. */
#include "span_heap.c"

static unsigned long seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "seed of the random tests");

static unsigned int iterations = 200;
module_param(iterations, uint, 0444);
MODULE_PARM_DESC(iterations, "operations in each of the random tests");

static unsigned int small_spans = 4;
module_param(small_spans, uint, 0444);
MODULE_PARM_DESC(small_spans, "most spans in the exhaustive cases, up to 6");

#define HT_PAGE_SHIFT	12
#define HT_START_TIME	9
#define HT_TEXT		768

/**
 * struct ht_steer - what prefer() and trim() answer
 * @like: prefer() likes spans that begin at this span page ...
 * @like_end: ... or behind it, but before this one
 * @group: trim() narrows a range to whole groups of so many span pages; 0: not at all
 */
struct ht_steer {
	u64 like;
	u64 like_end;
	u64 group;
};

static bool steer_likes(const struct ht_steer *steer, u64 base)
{
	return base >= steer->like && base < steer->like_end;
}

static bool steer_trim(const struct ht_steer *steer, u64 *base, u64 *npages)
{
	u64 start, end;

	if (!steer->group)
		return true;
	start = (*base + steer->group - 1) / steer->group * steer->group;
	end = (*base + *npages) / steer->group * steer->group;
	if (start >= end)
		return false;
	*base = start;
	*npages = end - start;
	return true;
}

/* The naive heap: the rules again, over an array, in the plainest way. */

#define NAIVE_MAX	320

struct naive_span {
	u64 base;
	u64 npages;
	u64 unusedsince;
	enum span_state state;
	bool scavenged;
	bool needzero;
};

/**
 * struct naive - a naive heap
 * @granule: G in span pages, 1 if it is not larger than one
 * @huge: H in span pages
 * @arena: size of the arena in span pages
 * @growth: growth unit in span pages
 * @sys: what the heap has grown to, in span pages
 * @fit: &enum span_fit
 * @debug: free takes spans out of reach
 * @steer: what prefer() and trim() answer
 * @events: sum over the hashes of all calls of operations
 * @bad: what is wrong, if anything
 * @nr: number of spans
 * @s: the spans
 */
struct naive {
	u64 granule;
	u64 huge;
	u64 arena;
	u64 growth;
	u64 sys;
	enum span_fit fit;
	bool debug;
	const struct ht_steer *steer;
	u64 events;
	const char *bad;
	unsigned int nr;
	struct naive_span s[NAIVE_MAX];
};

/**
 * struct ht_geometry - what heap a test wants
 * @gp: log2(G / P)
 * @hp: log2(H / P); 0 means that no case of the test reaches a huge page
 * @fit: &enum span_fit
 * @debug: as in &struct span_heap_config
 * @reuse: as in &struct span_heap_config, with SPAN_FIT_PLACED
 * @arena: span pages; 0: as many as the first picture has
 * @growth: span pages; 0: the arena
 * @group: &ht_steer.group, in the exhaustive cases
 */
struct ht_geometry {
	s8 gp;
	u8 hp;
	u8 fit;
	bool debug;
	bool reuse;
	u64 arena;
	u64 growth;
	u64 group;
};

/**
 * struct ht - a heap under test
 * @test: the running test
 * @heap: the heap
 * @now: the time
 * @fail: how many calls of unused() and fault() shall fail
 * @pass: how many spans the stop callback lets pass
 * @spares: how many spares a call that scavenges finds at least
 * @steer: what prefer() and trim() answer
 * @events: as &naive.events, of the heap
 * @inside: script to run in the next call of unused() or fault()
 * @inside_want: the picture after it, still in that call, or NULL
 * @naive: a naive heap to hold this one against, or NULL
 * @rnd: state of the random numbers
 * @rnd_pages: largest random request
 * @step: random operations done, for messages
 * @peak: most that heap_inuse has been
 * @nr_alloc: as in &struct span_heap_stats, counted here
 * @nr_free: same
 * @nr_grow: same
 * @nr_scavenge: same
 * @released: the last unused() succeeded, but its call has not returned yet
 * @nest: unused() and fault() shall run random operations
 * @log_len: length of @log
 * @log: log of calls and results
 * @text: room for a picture
 */
struct ht {
	struct kunit *test;
	struct span_heap heap;
	u64 now;
	unsigned int fail;
	unsigned int pass;
	unsigned int spares;
	struct ht_steer steer;
	u64 events;
	const char *inside;
	const char *inside_want;
	struct naive *naive;
	u64 rnd;
	u64 rnd_pages;
	unsigned int step;
	u64 peak;
	u64 nr_alloc;
	u64 nr_free;
	u64 nr_grow;
	u64 nr_scavenge;
	bool released;
	bool nest;
	size_t log_len;
	char log[HT_TEXT];
	char text[HT_TEXT];
};

/* All struct spans that heaps have; tests run one after the other. */
static long nr_structs;
static long nr_indices;

/*
 * Struct spans for later, where a test wants that: with a debugging allocator the
 * exhaustive cases would do little else than allocate and free them.
 */
static bool keep_structs;
static struct span *kept_structs;
static struct span_index *kept_indices;

static u64 ht_pages(const struct ht *ht, u64 bytes)
{
	return bytes >> ht->heap.cfg.page_shift;
}

/* A sum of these over a set of events does not depend on their order. */
static u64 event_hash(char op, u64 base, u64 npages)
{
	u64 h = ((u64)op << 56) ^ (base * 0x9e3779b97f4a7c15ULL) ^ (npages * 0xc2b2ae3d27d4eb4fULL);

	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ULL;
	return h ^ (h >> 32);
}

static __printf(2, 3) void ht_log(struct ht *ht, const char *fmt, ...)
{
	va_list args;

	if (ht->log_len)
		ht->log_len += scnprintf(ht->log + ht->log_len, HT_TEXT - ht->log_len, " ");
	va_start(args, fmt);
	ht->log_len += vscnprintf(ht->log + ht->log_len, HT_TEXT - ht->log_len, fmt, args);
	va_end(args);
}

/* Pictures */

static char span_letter(const struct span *s)
{
	if (s->state == SPAN_FREE)
		return s->scavenged ? 'S' : 'F';
	return s->state == SPAN_INUSE ? 'U' : 'T';
}

static const char *ht_picture(struct ht *ht)
{
	size_t len = 0;
	struct span *s;

	ht->text[0] = '\0';
	for (s = span_heap_first(&ht->heap); s; s = span_heap_next(s)) {
		len += scnprintf(ht->text + len, HT_TEXT - len, "%s%c%llu%s", len ? " " : "",
				 span_letter(s), (u64)s->npages, s->needzero ? "z" : "");
		if (s->unusedsince)
			len += scnprintf(ht->text + len, HT_TEXT - len, "@%llu", s->unusedsince);
	}
	return ht->text;
}

/* Invariants, from the list of all spans and from the trees, without the heap's own helpers */

static u64 audit_inside(u64 base, u64 npages, u64 granule)
{
	u64 start = (base + granule - 1) / granule * granule;
	u64 end = (base + npages) / granule * granule;

	return end > start ? end - start : 0;
}

static u64 audit_granule(const struct span_heap *heap)
{
	return heap->cfg.granule_shift > heap->cfg.page_shift ?
		       1ULL << (heap->cfg.granule_shift - heap->cfg.page_shift) : 1;
}

static const char *audit_size_tree(const struct span_heap *heap, int kind, u64 want)
{
	const struct span *last = NULL, *s;
	struct rb_node *node;
	u64 count = 0;

	for (node = rb_first(&heap->fit[kind]); node; node = rb_next(node)) {
		s = rb_entry(node, struct span_index, fit)->span;
		if (s->state != SPAN_FREE || s->scavenged != kind || s->recent)
			return "a size tree holds a wrong span";
		if (last && (last->npages > s->npages ||
			     (last->npages == s->npages && last->base >= s->base)))
			return "a size tree is out of order";
		last = s;
		count++;
	}
	return count == want ? NULL : "a size tree misses a span";
}

/* Is it found without the lock as well? */
static bool audit_peek(const struct span_heap *heap, u64 page, const struct span *s)
{
	struct span_seen seen;

	return !span_heap_peek(heap, page, &seen) && seen.end == s->base + s->npages &&
	       seen.inuse == (s->state == SPAN_INUSE) && span_heap_still(heap, seen.seq);
}

static const char *audit(struct ht *ht)
{
	struct span_heap *heap = &ht->heap;
	const struct span_heap_stats *stats = &heap->stats;
	u64 granule = audit_granule(heap), pages[3] = {}, count[4] = {}, released = 0, end = 0;
	long indices = 0;
	const struct span *before = NULL;
	const char *what = NULL;
	struct span_seen seen;
	struct span *s;

	if (span_heap_recount(heap, &what) || what)
		return what ?: "the recount fails and does not say why";

	for (s = span_heap_first(heap); s; s = span_heap_next(s)) {
		bool both_free = before && before->state == SPAN_FREE && s->state == SPAN_FREE;

		if (s->base != end || !s->npages)
			return "spans do not tile the heap";
		end += s->npages;
		if (span_heap_find(heap, s->base) != s || span_heap_find(heap, end - 1) != s)
			return "a span is not found by its first and last page";
		if (!audit_peek(heap, s->base, s) || !audit_peek(heap, end - 1, s))
			return "a span is not seen without the lock";
		if (both_free && before->scavenged == s->scavenged)
			return "free neighbours of one kind";
		if (both_free && s->base % granule)
			return "free neighbours meet inside a granule";
		if (s->scavenged && s->state != SPAN_FREE)
			return "a scavenged span is not free";
		if (s->scavenged && !audit_inside(s->base, s->npages, granule))
			return "a scavenged span has nothing released";
		if (s->scavenged)
			released += audit_inside(s->base, s->npages, granule);
		if (s->state == SPAN_INUSE && s->unusedsince)
			return "an allocated span has an age";
		pages[s->state] += s->npages;
		count[s->scavenged ? 3 : s->state]++;
		indices += !s->recent && s->index;
		before = s;
	}
	if (span_heap_find(heap, end) || span_heap_peek(heap, end, &seen) != -ENOENT)
		return "something is found behind the heap";
	if (ht_pages(ht, stats->heap_sys) != end ||
	    ht_pages(ht, stats->heap_inuse) != pages[SPAN_INUSE] ||
	    ht_pages(ht, stats->heap_idle) != pages[SPAN_FREE] + pages[SPAN_TRANSIT])
		return "heap_sys, heap_inuse or heap_idle is wrong";
	if (ht_pages(ht, stats->heap_released) != released || released > pages[SPAN_FREE])
		return "heap_released is wrong";
	if (stats->spans_free != count[SPAN_FREE] || stats->spans_inuse != count[SPAN_INUSE] ||
	    stats->spans_transit != count[SPAN_TRANSIT] || stats->spans_scavenged != count[3])
		return "a number of spans is wrong";
	if (nr_structs != count[0] + count[1] + count[2] + count[3] + heap->nr_spares)
		return "a struct span was lost";
	if (nr_indices != indices + heap->nr_indices)
		return "a struct span_index was lost";
	if (stats->inuse_peak != ht->peak)
		return "inuse_peak is wrong";
	if (stats->nr_alloc != ht->nr_alloc || stats->nr_free != ht->nr_free ||
	    stats->nr_grow != ht->nr_grow || stats->nr_scavenge != ht->nr_scavenge)
		return "a count of operations is wrong";
	what = audit_size_tree(heap, 0, count[SPAN_FREE] - heap->nr_recent);
	return what ?: audit_size_tree(heap, 1, count[3]);
}

static void ht_audit(struct ht *ht)
{
	const char *what = audit(ht);

	if (what)
		KUNIT_ASSERT_STREQ_MSG(ht->test, what, "", "seed %lu step %u: %s", seed, ht->step,
				       ht_picture(ht));
}

/* The naive heap's rules */

static u64 naive_pb(const struct naive *n, const struct naive_span *s)
{
	return audit_inside(s->base, s->npages, n->granule);
}

static u64 naive_hugepages(const struct naive *n, const struct naive_span *s)
{
	return audit_inside(s->base, s->npages, n->huge) / n->huge;
}

static bool naive_free_kind(const struct naive_span *s, bool scavenged)
{
	return s->state == SPAN_FREE && s->scavenged == scavenged;
}

static void naive_insert(struct naive *n, unsigned int i, const struct naive_span *s)
{
	if (n->nr == NAIVE_MAX) {
		n->bad = "the naive heap is full";
		return;
	}
	memmove(&n->s[i + 1], &n->s[i], (n->nr - i) * sizeof(*s));
	n->s[i] = *s;
	n->nr++;
}

static void naive_remove(struct naive *n, unsigned int i)
{
	n->nr--;
	memmove(&n->s[i], &n->s[i + 1], (n->nr - i) * sizeof(n->s[0]));
}

/* Rule 14, for spans i and i + 1. */
static void naive_realign(struct naive *n, unsigned int i)
{
	struct naive_span *a = &n->s[i], *b = &n->s[i + 1];

	/* Page by page into the scavenged span until the boundary lies on a granule. */
	while (b->base % n->granule) {
		int step = a->scavenged ? -1 : 1;

		a->npages += step;
		b->base += step;
		b->npages -= step;
	}
}

/* Rule 12: span i + 1 and i become one, which keeps the age of @keep. */
static void naive_merge(struct naive *n, unsigned int i, u64 unusedsince)
{
	struct naive_span *a = &n->s[i], *b = &n->s[i + 1];

	if (a->scavenged && b->base % n->granule)
		n->bad = "rule 13";
	a->npages += b->npages;
	a->needzero |= b->needzero;
	a->unusedsince = unusedsince;
	naive_remove(n, i + 1);
}

static void naive_coalesce(struct naive *n, unsigned int i)
{
	u64 parts = naive_hugepages(n, &n->s[i]), since = n->s[i].unusedsince;
	bool scavenged = n->s[i].scavenged;

	if (i && naive_free_kind(&n->s[i - 1], scavenged)) {
		parts += naive_hugepages(n, &n->s[i - 1]);
		naive_merge(n, --i, since);
	} else if (i && naive_free_kind(&n->s[i - 1], !scavenged)) {
		naive_realign(n, i - 1);
	}
	if (i + 1 < n->nr && naive_free_kind(&n->s[i + 1], scavenged)) {
		parts += naive_hugepages(n, &n->s[i + 1]);
		naive_merge(n, i, since);
	} else if (i + 1 < n->nr && naive_free_kind(&n->s[i + 1], !scavenged)) {
		naive_realign(n, i);
	}
	if (!scavenged && naive_hugepages(n, &n->s[i]) > parts)
		n->events += event_hash('h', n->s[i].base, n->s[i].npages);
}

static int naive_find(const struct naive *n, u64 base)
{
	unsigned int i;

	for (i = 0; i < n->nr; i++)
		if (n->s[i].base == base)
			return i;
	return -1;
}

static u64 naive_block(const struct naive_span *s, u64 align)
{
	return (s->base + align - 1) / align * align;
}

/* Of the first SPAN_HEAP_TIES spans that are as good as span @best, one that is liked. */
static int naive_liked(struct naive *n, int best)
{
	unsigned int i, ties = 0;

	for (i = best; i < n->nr && ties < SPAN_HEAP_TIES; i++) {
		const struct naive_span *s = &n->s[i];

		if (!naive_free_kind(s, n->s[best].scavenged) || s->npages != n->s[best].npages)
			continue;
		n->events += event_hash('l', s->base, s->npages);
		if (steer_likes(n->steer, s->base))
			return i;
		ties++;
	}
	return best;
}

static int naive_choose(struct naive *n, u64 npages, u64 align)
{
	int kind, best = -1;
	unsigned int i;

	for (kind = 0; kind < 2 && best < 0; kind++) {
		for (i = 0; i < n->nr; i++) {
			const struct naive_span *s = &n->s[i];

			if (!naive_free_kind(s, kind) ||
			    naive_block(s, align) + npages > s->base + s->npages)
				continue;
			if (best < 0 ||
			    (n->fit != SPAN_FIT_FIRST && s->npages < n->s[best].npages))
				best = i;
		}
	}
	/* Where an alignment is given, prefer() is not asked. */
	return best < 0 || n->fit != SPAN_FIT_PLACED || align > 1 ? best : naive_liked(n, best);
}

static bool naive_grow(struct naive *n, u64 npages, u64 align)
{
	struct naive_span new = { .base = n->sys, .scavenged = true }, all;
	const struct naive_span *last = n->nr ? &n->s[n->nr - 1] : NULL;

	do {
		if (n->sys + new.npages == n->arena)
			return false;
		new.npages = min(new.npages + n->growth, n->arena - n->sys);
		all = new;
		if (last && naive_free_kind(last, true)) {
			all.base = last->base;
			all.npages += last->npages;
		}
	} while (naive_block(&all, align) + npages > all.base + all.npages);

	n->sys += new.npages;
	n->events += event_hash('m', new.base, new.npages);
	naive_insert(n, n->nr, &new);
	naive_coalesce(n, n->nr - 1);
	return true;
}

/* Where in a span that has room for it a request goes */
static u64 naive_place(const struct naive *n, const struct naive_span *s, u64 npages, u64 align)
{
	u64 aligned = naive_block(s, max(align, n->huge));

	if (n->fit == SPAN_FIT_PLACED && npages >= n->huge &&
	    aligned + npages <= s->base + s->npages)
		return aligned;
	return naive_block(s, align);
}

/* Released pages may be used again. */
static void naive_used(struct naive *n, u64 base, u64 npages)
{
	if (n->debug)
		n->events += event_hash('m', base, npages);
	n->events += event_hash('u', base, npages);
}

/* Returns the base, or an error. */
static s64 naive_alloc(struct naive *n, u64 npages, u64 align)
{
	int i = naive_choose(n, npages, align);
	struct naive_span old, part;
	u64 base;

	if (i < 0 && !naive_grow(n, npages, align))
		return -ENOMEM;
	if (i < 0)
		i = naive_choose(n, npages, align);
	old = n->s[i];
	base = naive_place(n, &old, npages, align);
	n->s[i].base = base;
	n->s[i].npages = npages;
	n->s[i].state = SPAN_INUSE;
	n->s[i].scavenged = false;
	n->s[i].unusedsince = 0;

	if (base > old.base) {
		part = old;
		part.npages = base - old.base;
		part.scavenged = old.scavenged && naive_pb(n, &part);
		naive_insert(n, i, &part);
		naive_coalesce(n, i);
		i = naive_find(n, base);
	}
	if (base + npages < old.base + old.npages) {
		part = old;
		part.base = base + npages;
		part.npages = old.base + old.npages - part.base;
		part.scavenged = old.scavenged && naive_pb(n, &part);
		naive_insert(n, i + 1, &part);
		naive_coalesce(n, i + 1);
	}
	if (old.scavenged)
		naive_used(n, base, npages);
	return base;
}

/* A span goes into transit ... */
static void naive_leave(struct naive *n, unsigned int i, char op)
{
	struct naive_span *s = &n->s[i];

	s->state = SPAN_TRANSIT;
	n->events += event_hash(op, naive_block(s, n->granule), naive_pb(n, s));
}

/* ... and comes back.  Returns how many pages were released. */
static u64 naive_return(struct naive *n, u64 base, bool ok)
{
	unsigned int i = naive_find(n, base);
	struct naive_span *s = &n->s[i];
	u64 pb = naive_pb(n, s);
	bool torn;

	torn = (i && naive_free_kind(s - 1, true) && base % n->granule) ||
	       (i + 1 < n->nr && naive_free_kind(s + 1, true) && s[1].base % n->granule);
	if (ok && torn) {
		naive_used(n, naive_block(s, n->granule), pb);
		ok = false;
	}
	s->state = SPAN_FREE;
	s->scavenged = ok;
	naive_coalesce(n, i);
	return ok ? pb : 0;
}

/* Rule 11, up to where fault() is called; true if it is. */
static bool naive_free(struct naive *n, unsigned int i, u64 now)
{
	struct naive_span *s = &n->s[i];

	s->needzero = true;
	s->unusedsince = now;
	if (n->debug && naive_pb(n, s)) {
		naive_leave(n, i, 'x');
		return true;
	}
	s->state = SPAN_FREE;
	naive_coalesce(n, i);
	return false;
}

static bool naive_can_scavenge(const struct naive *n, unsigned int i)
{
	return naive_free_kind(&n->s[i], false) && naive_pb(n, &n->s[i]);
}

/*
 * What trim() lets go of a span that can be scavenged: false if nothing, else its base and
 * end, with the rest of a granule at an end that it left alone.
 */
static bool naive_trim(const struct naive *n, unsigned int i, u64 *base, u64 *end)
{
	const struct naive_span *s = &n->s[i];
	u64 pb = naive_block(s, n->granule), len = naive_pb(n, s), start = pb, left = len;

	if (!steer_trim(n->steer, &start, &left))
		return false;
	*base = start == pb ? s->base : start;
	*end = start + left == pb + len ? s->base + s->npages : start + left;
	return true;
}

/* Rule 16, up to where unused() is called.  Returns the base of what is in transit, or -1. */
static s64 naive_take(struct naive *n, unsigned int i)
{
	struct naive_span whole = n->s[i], part = whole;
	u64 base, end;

	if (!naive_can_scavenge(n, i))
		return -1;
	if (n->steer->group)
		n->events += event_hash('t', naive_block(&whole, n->granule), naive_pb(n, &whole));
	if (!naive_trim(n, i, &base, &end))
		return -1;
	n->s[i].base = base;
	n->s[i].npages = end - base;
	if (end < whole.base + whole.npages) {
		part.base = end;
		part.npages = whole.base + whole.npages - end;
		naive_insert(n, i + 1, &part);
	}
	if (base > whole.base) {
		part.base = whole.base;
		part.npages = base - whole.base;
		naive_insert(n, i++, &part);
	}
	naive_leave(n, i, 'r');
	return base;
}

static u64 naive_scavenge(struct naive *n, unsigned int i)
{
	s64 base = naive_take(n, i);

	return base < 0 ? 0 : naive_return(n, base, true);
}

/* What the scavenged spans have in [base, end) becomes free and unscavenged. */
static void naive_unscavenge(struct naive *n, u64 base, u64 end, u64 now)
{
	struct naive_span old, part;
	u64 next = 0;
	int i;

	while (next < end) {
		for (i = 0; n->s[i].base + n->s[i].npages <= next; i++)
			;
		old = n->s[i];
		next = old.base + old.npages;
		if (next <= base || !naive_free_kind(&old, true))
			continue;
		n->s[i].base = max(old.base, base);
		n->s[i].npages = min(next, end) - n->s[i].base;
		n->s[i].scavenged = false;
		n->s[i].needzero = true;
		n->s[i].unusedsince = now;
		n->s[i].state = SPAN_TRANSIT;
		naive_used(n, n->s[i].base, n->s[i].npages);
		if (old.base < base) {
			part = old;
			part.npages = base - old.base;
			part.scavenged = naive_pb(n, &part);
			naive_insert(n, i, &part);
			naive_coalesce(n, i);
		}
		i = naive_find(n, max(old.base, base));
		if (next > end) {
			part = old;
			part.base = end;
			part.npages = next - end;
			part.scavenged = naive_pb(n, &part);
			naive_insert(n, i + 1, &part);
			naive_coalesce(n, i + 1);
		}
		i = naive_find(n, max(old.base, base));
		n->s[i].state = SPAN_FREE;
		naive_coalesce(n, i);
	}
}

/*
 * Rule 17 by amount.  Each span gets one chance; what trim() left of it is smaller, so that
 * gets its own.
 */
static u64 naive_scavenge_bytes(struct naive *n, u64 npages, u64 *count)
{
	struct naive_span last = { .npages = U64_MAX };
	u64 released = 0;

	while (released < npages) {
		int i, largest = -1;
		u64 got;

		for (i = 0; i < n->nr; i++) {
			const struct naive_span *s = &n->s[i];

			if (naive_can_scavenge(n, i) &&
			    (s->npages < last.npages ||
			     (s->npages == last.npages && s->base < last.base)) &&
			    (largest < 0 || s->npages >= n->s[largest].npages))
				largest = i;
		}
		if (largest < 0)
			break;
		last = n->s[largest];
		got = naive_scavenge(n, largest);
		released += got;
		*count += got != 0;
	}
	return released;
}

/* Rule 17 by age.  Of what trim() left of a span only the part behind gets a chance. */
static u64 naive_scavenge_age(struct naive *n, u64 now, u64 limit, u64 npages, u64 *count)
{
	u64 released = 0, since = 0, next = 0;

	while (released < npages) {
		int i, oldest = -1;
		u64 got;

		for (i = 0; i < n->nr; i++) {
			const struct naive_span *s = &n->s[i];

			if (naive_can_scavenge(n, i) && s->unusedsince + limit < now &&
			    (s->unusedsince > since ||
			     (s->unusedsince == since && s->base >= next)) &&
			    (oldest < 0 || s->unusedsince < n->s[oldest].unusedsince))
				oldest = i;
		}
		if (oldest < 0)
			break;
		since = n->s[oldest].unusedsince;
		next = n->s[oldest].base + 1;
		got = naive_scavenge(n, oldest);
		released += got;
		*count += got != 0;
	}
	return released;
}

/* Both heaps say the same: every span, and every operation that was called. */
static const char *naive_compare(struct ht *ht)
{
	const struct naive *n = ht->naive;
	unsigned int i = 0;
	struct span *s;

	if (n->bad)
		return n->bad;
	for (s = span_heap_first(&ht->heap); s; s = span_heap_next(s), i++) {
		const struct naive_span *t = &n->s[i];

		if (i == n->nr || s->base != t->base || s->npages != t->npages)
			return "a span is not where it should be";
		if (s->state != t->state || s->scavenged != t->scavenged)
			return "a span is of another kind";
		if (s->needzero != t->needzero)
			return "needzero is wrong";
		if (s->unusedsince != t->unusedsince)
			return "unusedsince is wrong";
	}
	if (i != n->nr)
		return "a span is missing";
	if (ht_pages(ht, ht->heap.stats.heap_sys) != n->sys)
		return "the heap has another size";
	return ht->events == n->events ? NULL : "other operations were called";
}

static void naive_check(struct ht *ht)
{
	const char *what;

	ht_audit(ht);
	what = naive_compare(ht);
	if (what)
		KUNIT_ASSERT_STREQ_MSG(ht->test, what, "", "seed %lu step %u: %s", seed, ht->step,
				       ht_picture(ht));
}

static void naive_init(struct naive *n, const struct ht *ht)
{
	const struct span_heap *heap = &ht->heap;

	n->granule = audit_granule(heap);
	n->huge = 1ULL << (heap->cfg.huge_shift - heap->cfg.page_shift);
	n->arena = heap->cfg.size >> heap->cfg.page_shift;
	n->growth = heap->cfg.growth >> heap->cfg.page_shift;
	n->fit = heap->cfg.fit;
	n->debug = heap->cfg.debug;
	n->steer = &ht->steer;
	n->events = 0;
	n->bad = NULL;
	n->sys = 0;
	n->nr = 0;
}

/* Operations that write down that they were called */

static void ht_run(struct ht *ht, const char *script);
static void ht_spares(struct ht *ht, unsigned int want);
static void random_step(struct ht *ht);
static u64 next_random(struct ht *ht, u64 below);

static void ht_event(struct ht *ht, char op, u64 offset, u64 len)
{
	u64 mask = (1ULL << ht->heap.cfg.page_shift) - 1;

	KUNIT_ASSERT_EQ_MSG(ht->test, (offset | len) & mask, 0, "operation %c at %llx+%llx", op,
			    offset, len);
	ht->events += event_hash(op, ht_pages(ht, offset), ht_pages(ht, len));
	if (!ht->naive)
		ht_log(ht, "%c%llu+%llu", op, ht_pages(ht, offset), ht_pages(ht, len));
}

static void ht_map(void *ctx, u64 offset, u64 len)
{
	ht_event(ctx, 'm', offset, len);
}

static void ht_used(void *ctx, u64 offset, u64 len)
{
	ht_event(ctx, 'u', offset, len);
}

static void ht_hugepage(void *ctx, u64 offset, u64 len)
{
	struct ht *ht = ctx;
	struct span_seen seen;

	ht_event(ht, 'h', offset, len);
	/* Spans are changing. */
	KUNIT_EXPECT_EQ(ht->test, span_heap_peek(&ht->heap, 0, &seen), -EAGAIN);
}

static bool ht_trim(void *ctx, u64 *offset, u64 *len)
{
	struct ht *ht = ctx;
	u64 base = ht_pages(ht, *offset), npages = ht_pages(ht, *len);
	bool some;

	if (ht->steer.group)
		ht_event(ht, 't', *offset, *len);
	some = steer_trim(&ht->steer, &base, &npages);
	*offset = base << ht->heap.cfg.page_shift;
	*len = npages << ht->heap.cfg.page_shift;
	return some;
}

static bool ht_prefer(void *ctx, u64 offset, u64 len)
{
	struct ht *ht = ctx;

	ht_event(ht, 'l', offset, len);
	return steer_likes(&ht->steer, ht_pages(ht, offset));
}

/* Gets the heap the spares that a call which scavenges may want. */
static void ht_fill_spares(struct ht *ht)
{
	ht_spares(ht, max(ht->heap.nr_spares, ht->spares));
}

/* What can happen while unused() and fault() have dropped the heap lock. */
static int ht_unlocked(struct ht *ht)
{
	const char *script = ht->inside;
	bool fails = ht->fail;

	if (fails)
		ht->fail--;
	ht_audit(ht);
	if (script) {
		ht->inside = NULL;
		ht_log(ht, "{");
		ht_run(ht, script);
		if (ht->inside_want)
			KUNIT_EXPECT_STREQ_MSG(ht->test, ht_picture(ht), ht->inside_want,
					       "while the lock was dropped");
		ht_log(ht, "}");
	}
	if (ht->nest) {
		unsigned int i, n = next_random(ht, 4);

		ht->nest = false;
		for (i = 0; i < n; i++)
			random_step(ht);
		ht->nest = true;
	}
	return fails ? -EBUSY : 0;
}

static int ht_unused(void *ctx, u64 offset, u64 len)
{
	struct ht *ht = ctx;
	int err;

	ht_event(ht, 'r', offset, len);
	/* One call that scavenges several spans has counted all but this one. */
	ht->nr_scavenge += ht->released;
	ht->released = false;
	err = ht_unlocked(ht);
	ht_fill_spares(ht);
	ht->released = !err;
	return err;
}

static int ht_fault(void *ctx, u64 offset, u64 len)
{
	ht_event(ctx, 'x', offset, len);
	return ht_unlocked(ctx);
}

static bool ht_stop(void *ctx)
{
	struct ht *ht = ctx;

	return !ht->pass--;
}

static const struct span_heap_ops ht_ops = {
	.map = ht_map,
	.used = ht_used,
	.unused = ht_unused,
	.hugepage = ht_hugepage,
	.fault = ht_fault,
	.trim = ht_trim,
	.prefer = ht_prefer,
};

/* Making heaps */

static struct span *ht_new_span(void)
{
	struct span *s = kept_structs;

	if (s)
		kept_structs = s->next_spare;
	else
		s = kzalloc(sizeof(*s), GFP_KERNEL);
	nr_structs += !!s;
	return s;
}

static void ht_free_span(struct span *s)
{
	nr_structs--;
	if (!keep_structs) {
		kfree(s);
		return;
	}
	s->next_spare = kept_structs;
	kept_structs = s;
}

static struct span_index *ht_new_index(void)
{
	struct span_index *x = kept_indices;

	if (x)
		kept_indices = x->next_spare;
	else
		x = kzalloc(sizeof(*x), GFP_KERNEL);
	nr_indices += !!x;
	return x;
}

static void ht_free_index(struct span_index *x)
{
	nr_indices--;
	if (!keep_structs) {
		kfree(x);
		return;
	}
	x->next_spare = kept_indices;
	kept_indices = x;
}

static void ht_free_kept(void)
{
	keep_structs = false;
	while (kept_indices) {
		struct span_index *x = kept_indices;

		kept_indices = x->next_spare;
		kfree(x);
	}
	while (kept_structs) {
		struct span *s = kept_structs;

		kept_structs = s->next_spare;
		kfree(s);
	}
}

/* Indices never run out, but where a test is about that. */
static void ht_indices(struct ht *ht)
{
	while (ht->heap.nr_indices < ht->heap.nr_recent + 8 * SPAN_HEAP_SPARES) {
		struct span_index *x = ht_new_index();

		KUNIT_ASSERT_NOT_NULL(ht->test, x);
		span_heap_add_index(&ht->heap, x);
	}
}

static void ht_spares(struct ht *ht, unsigned int want)
{
	ht_indices(ht);
	while (ht->heap.nr_spares > want)
		ht_free_span(span_heap_take_spare(&ht->heap));
	while (ht->heap.nr_spares < want) {
		struct span *s = ht_new_span();

		KUNIT_ASSERT_NOT_NULL(ht->test, s);
		span_heap_add_spare(&ht->heap, s);
	}
}

static void ht_config(const struct ht_geometry *g, struct span_heap_config *cfg)
{
	/* No test has P = 2^62 bytes, so there is always room above G and P for an H. */
	u8 hp = g->hp ? g->hp : 24;

	memset(cfg, 0, sizeof(*cfg));
	cfg->granule_shift = HT_PAGE_SHIFT + (g->gp > 0 ? g->gp : 0);
	cfg->page_shift = cfg->granule_shift - g->gp;
	cfg->huge_shift = cfg->page_shift + hp;
	cfg->size = g->arena << cfg->page_shift;
	cfg->growth = (g->growth ? g->growth : g->arena) << cfg->page_shift;
	cfg->fit = g->fit;
	cfg->debug = g->debug;
	cfg->reuse = g->reuse;
	if (g->reuse)
		cfg->fit = SPAN_FIT_PLACED;
}

static void ht_destroy(struct ht *ht)
{
	span_heap_destroy(&ht->heap, ht_free_span, ht_free_index);
}

/* Makes an empty heap, in place of the one that there may be. */
static void ht_make(struct ht *ht, const struct ht_geometry *g)
{
	struct span_heap_config cfg;

	ht_destroy(ht);
	KUNIT_ASSERT_EQ(ht->test, nr_structs, 0);
	KUNIT_ASSERT_EQ(ht->test, nr_indices, 0);
	ht_config(g, &cfg);
	KUNIT_ASSERT_EQ(ht->test, span_heap_init(&ht->heap, &cfg, &ht_ops, ht), 0);
	ht->now = HT_START_TIME;
	ht->fail = 0;
	ht->spares = SPAN_HEAP_SPARES;
	memset(&ht->steer, 0, sizeof(ht->steer));
	ht->events = 0;
	ht->inside = NULL;
	ht->log_len = 0;
	ht->log[0] = '\0';
	ht->peak = 0;
	ht->nr_alloc = 0;
	ht->nr_free = 0;
	ht->nr_grow = 0;
	ht->nr_scavenge = 0;
	ht->released = false;
	if (ht->naive)
		naive_init(ht->naive, ht);
}

static int ht_alloc(struct ht *ht, u64 npages, u64 align, struct span **s, bool *scavenged)
{
	u64 sys = ht->heap.stats.heap_sys;
	int err;

	ht_spares(ht, max_t(unsigned int, ht->heap.nr_spares, SPAN_HEAP_SPARES));
	err = span_heap_alloc(&ht->heap, npages, align, s, scavenged);
	ht->nr_alloc += !err;
	ht->nr_grow += ht->heap.stats.heap_sys != sys;
	ht->peak = max(ht->peak, ht->heap.stats.heap_inuse);
	return err;
}

static u64 ht_alloc_at(struct ht *ht, u64 npages)
{
	struct span *s = NULL;

	KUNIT_ASSERT_EQ(ht->test, ht_alloc(ht, npages, 1, &s, NULL), 0);
	return s->base;
}

static int ht_free(struct ht *ht, u64 base, u64 npages)
{
	struct span *s = NULL;
	int found = span_heap_lookup(&ht->heap, base, npages, &s), err;

	if (found)
		KUNIT_EXPECT_NULL(ht->test, s);
	else
		KUNIT_EXPECT_EQ(ht->test, s->base, base);
	/* Counted before: fault() may look at the heap.  Frees need no spares. */
	ht->nr_free += !found;
	ht_indices(ht);
	err = span_heap_free(&ht->heap, base, npages, ht->now);
	KUNIT_EXPECT_EQ(ht->test, err, found);
	return err;
}

/* @ret is what the call that may have scavenged something returned. */
static s64 ht_scavenged(struct ht *ht, s64 ret)
{
	ht->nr_scavenge += ht->released && ret > 0;
	ht->released = false;
	return ret;
}

static s64 ht_scavenge(struct ht *ht, u64 base)
{
	ht_fill_spares(ht);
	return ht_scavenged(ht, span_heap_scavenge(&ht->heap, span_heap_find(&ht->heap, base)));
}

static int ht_unscavenge(struct ht *ht, u64 base, u64 npages)
{
	ht_spares(ht, max_t(unsigned int, ht->heap.nr_spares, SPAN_HEAP_SPARES));
	return span_heap_unscavenge(&ht->heap, base, npages, ht->now);
}

/* One span of a picture */
struct ht_token {
	char kind;
	u64 npages;
	bool needzero;
	u64 unusedsince;
};

/* Reads a number off @text; 0 if there is none. */
static u64 next_number(const char **text)
{
	u64 n = 0;

	while (isdigit(**text))
		n = n * 10 + *(*text)++ - '0';
	return n;
}

static bool next_token(const char **text, struct ht_token *t)
{
	const char *p = skip_spaces(*text);

	if (!*p)
		return false;
	t->kind = *p++;
	t->npages = next_number(&p);
	t->needzero = *p == 'z';
	p += t->needzero;
	t->unusedsince = 0;
	if (*p == '@') {
		p++;
		t->unusedsince = next_number(&p);
	}
	*text = p;
	return true;
}

static u64 picture_pages(const char *picture)
{
	struct ht_token t;
	u64 npages = 0;

	while (next_token(&picture, &t))
		npages += t.npages;
	return npages;
}

/*
 * Brings a heap into the state that a picture shows: allocates everything at once, frees
 * it, and takes the spans of the picture from that in order.  Then those that shall be
 * scavenged are freed and scavenged, while nothing next to them is unscavenged, and then
 * the rest is freed.  Only needzero and the ages of scavenged spans are forged.  Best fit
 * places the spans in order, so that stands in for SPAN_FIT_PLACED, which has the same trees.
 */
static void ht_draw(struct ht *ht, const struct ht_geometry *geometry, const char *picture)
{
	u64 npages = picture_pages(picture), base;
	struct ht_geometry g = *geometry;
	bool debug = g.debug;
	const char *text;
	struct ht_token t;

	g.debug = false;
	g.reuse = false;
	if (g.fit == SPAN_FIT_PLACED)
		g.fit = SPAN_FIT_BEST;
	if (!g.arena)
		g.arena = npages;
	ht_make(ht, &g);
	ht->now = 0;
	if (npages) {
		ht_alloc_at(ht, npages);
		KUNIT_ASSERT_EQ(ht->test, ht_free(ht, 0, npages), 0);
	}
	for (text = picture, base = 0; next_token(&text, &t); base += t.npages)
		KUNIT_ASSERT_EQ(ht->test, ht_alloc_at(ht, t.npages), base);
	for (text = picture, base = 0; next_token(&text, &t); base += t.npages) {
		if (t.kind != 'S')
			continue;
		KUNIT_ASSERT_EQ(ht->test, ht_free(ht, base, t.npages), 0);
		KUNIT_ASSERT_GT(ht->test, ht_scavenge(ht, base), 0);
		span_heap_find(&ht->heap, base)->unusedsince = t.unusedsince;
	}
	for (text = picture, base = 0; next_token(&text, &t); base += t.npages) {
		ht->now = t.unusedsince;
		if (t.kind == 'F')
			KUNIT_ASSERT_EQ(ht->test, ht_free(ht, base, t.npages), 0);
		span_heap_find(&ht->heap, base)->needzero = t.needzero;
	}
	ht_audit(ht);
	KUNIT_ASSERT_STREQ_MSG(ht->test, ht_picture(ht), picture, "the picture cannot be drawn");
	ht->heap.cfg.debug = debug;
	ht->heap.cfg.fit = geometry->reuse ? SPAN_FIT_PLACED : geometry->fit;
	ht->heap.cfg.reuse = geometry->reuse;
	ht->now = HT_START_TIME;
	ht->pass = UINT_MAX;
	ht->log_len = 0;
	ht->log[0] = '\0';
}

/* Running scripts */

static const char *error_name(int err)
{
	switch (err) {
	case -EINVAL:
		return "EINVAL";
	case -ENOENT:
		return "ENOENT";
	case -EEXIST:
		return "EEXIST";
	case -ENOMEM:
		return "ENOMEM";
	case -EBUSY:
		return "EBUSY";
	case -EUCLEAN:
		return "EUCLEAN";
	}
	return "E?";
}

static void ht_log_result(struct ht *ht, s64 ret)
{
	if (ret < 0)
		ht_log(ht, "!%s", error_name(ret));
	else
		ht_log(ht, "=%llu", ht_pages(ht, ret));
}

static void ht_log_stats(struct ht *ht)
{
	const struct span_heap_stats *stats = &ht->heap.stats;

	ht_log(ht, "[%llu:%llu:%llu:%llu]", ht_pages(ht, stats->heap_sys),
	       ht_pages(ht, stats->heap_inuse), ht_pages(ht, stats->heap_idle),
	       ht_pages(ht, stats->heap_released));
}

static void script_alloc(struct ht *ht, u64 npages, u64 align)
{
	struct span *s = NULL;
	bool scavenged = false;
	int err = ht_alloc(ht, npages, align, &s, &scavenged);

	if (err) {
		ht_log_result(ht, err);
		return;
	}
	KUNIT_EXPECT_EQ(ht->test, (u64)s->npages, npages);
	ht_log(ht, "=%llu%s%s", s->base, s->needzero ? "z" : "", scavenged ? "s" : "");
}

static void script_alloc_at(struct ht *ht, u64 base, u64 npages)
{
	u64 sys = ht->heap.stats.heap_sys;
	struct span *s = NULL;
	bool scavenged;
	int err;

	ht_spares(ht, max_t(unsigned int, ht->heap.nr_spares, SPAN_HEAP_SPARES));
	err = span_heap_alloc_at(&ht->heap, base, npages, &s, &scavenged);
	ht->nr_alloc += !err;
	ht->nr_grow += ht->heap.stats.heap_sys != sys;
	ht->peak = max(ht->peak, ht->heap.stats.heap_inuse);
	if (err) {
		ht_log_result(ht, err);
		return;
	}
	KUNIT_EXPECT_EQ(ht->test, s->base, base);
	KUNIT_EXPECT_EQ(ht->test, (u64)s->npages, npages);
	ht_log(ht, "=%llu%s%s", s->base, s->needzero ? "z" : "", scavenged ? "s" : "");
}

static void script_resize(struct ht *ht, u64 base, u64 npages)
{
	u64 sys = ht->heap.stats.heap_sys;
	struct span *s = NULL;
	bool scavenged;
	int err;

	ht_spares(ht, max_t(unsigned int, ht->heap.nr_spares, SPAN_HEAP_SPARES));
	err = span_heap_resize(&ht->heap, base, 0, npages, ht->now, &s, &scavenged);
	ht->nr_grow += ht->heap.stats.heap_sys != sys;
	ht->peak = max(ht->peak, ht->heap.stats.heap_inuse);
	if (err)
		ht_log_result(ht, err);
	else
		ht_log(ht, "=%llu%s", base, scavenged ? "s" : "");
}

static void script_scavenge(struct ht *ht, char op, u64 n, u64 m)
{
	struct span_heap *heap = &ht->heap;
	u8 shift = heap->cfg.page_shift;
	s64 ret;

	ht_fill_spares(ht);
	if (op == 's')
		ret = span_heap_scavenge(heap, span_heap_find(heap, n));
	else if (op == 'b')
		ret = span_heap_scavenge_bytes(heap, n << shift, ht_stop);
	else
		ret = span_heap_scavenge_age(heap, ht->now, n, m ? m << shift : U64_MAX, ht_stop);
	ht_log_result(ht, ht_scavenged(ht, ret));
}

static void ht_run(struct ht *ht, const char *script)
{
	const char *p = skip_spaces(script);

	while (*p) {
		char op = *p++, between = 0;
		u64 n = next_number(&p), m = 0;

		if (*p == '/' || *p == ':') {
			between = *p++;
			m = next_number(&p);
		}
		switch (op) {
		case 'a':
			script_alloc(ht, n, between ? m : 1);
			break;
		case 'A':
			script_alloc_at(ht, n, m);
			break;
		case 'z':
			script_resize(ht, n, m);
			break;
		case 'f':
			ht_log_result(ht, ht_free(ht, n, m));
			break;
		case 's':
		case 'b':
		case 'o':
			script_scavenge(ht, op, n, m);
			break;
		case 'c':
			ht_log_result(ht, ht_unscavenge(ht, n, m));
			break;
		case 't':
			ht->now = n;
			break;
		case 'e':
			ht->fail = n;
			break;
		case 'p':
			ht->pass = n;
			break;
		case 'l':
			ht->steer.like = n;
			ht->steer.like_end = n + m;
			break;
		case 'g':
			ht->steer.group = n;
			break;
		case 'k':
			ht->spares = n;
			ht_spares(ht, n);
			break;
		case 'w':
			ht->log_len = 0;
			ht->log[0] = '\0';
			break;
		case '?':
			ht_log_stats(ht);
			break;
		default:
			KUNIT_FAIL(ht->test, "bad script: %s", script);
			return;
		}
		ht_audit(ht);
		p = skip_spaces(p);
	}
}

/**
 * struct rule_case - a row of the table
 * @name: rule and what about it
 * @g: geometry; {} is P = G, best fit, an arena of the size of @start
 * @start: picture before
 * @run: script
 * @log: what it logs
 * @want: picture afterwards
 * @inside: script to run in the first call of unused() or fault()
 * @inside_want: picture after it, still in that call
 */
struct rule_case {
	const char *name;
	struct ht_geometry g;
	const char *start;
	const char *run;
	const char *log;
	const char *want;
	const char *inside;
	const char *inside_want;
};

static const struct rule_case rule_cases[] = {
	/* Rule 1: best fit, ties to the lowest base */
	{ "rule 1: exact fit", {},
	  "F7z U1 F5z U1 F6z", "a5", "=8z", "F7z U1 U5z U1 F6z" },
	{ "rule 1: smallest that is large enough", {},
	  "F9z U1 F7z U1 F8z", "a6", "=10z", "F9z U1 U6z F1z U1 F8z" },
	{ "rule 1: 5 pages, not 5000", {},
	  "F5000z U1 F5z U1 F5001z", "a5", "=5001z", "F5000z U1 U5z U1 F5001z" },
	{ "rule 1: 5 pages, not 5000, scavenged", {},
	  "S5000z U1 S5z U1 S5001z", "a5", "u5001+5 =5001zs", "S5000z U1 U5z U1 S5001z" },
	{ "rule 1: tie", {},
	  "U1 F5z@3 U1 F5z@2 U1 F5z@1", "a5", "=1z", "U1 U5z U1 F5z@2 U1 F5z@1" },
	{ "rule 1: tie, freed from the top", {},
	  "U1 U5 U1 U5 U1 U5", "f13 f7 f1 a5", "=0 =0 =0 =1z", "U1 U5z U1 F5z@9 U1 F5z@9" },
	{ "rule 1: tie, freed from the bottom", {},
	  "U1 U5 U1 U5 U1 U5", "f1 f7 f13 a5 a5 a5", "=0 =0 =0 =1z =7z =13z",
	  "U1 U5z U1 U5z U1 U5z" },
	{ "rule 1: tie among scavenged spans", {},
	  "U1 S5 U1 S5", "a3", "u1+3 =1s", "U1 U3 S2 U1 S5" },
	{ "rule 1: first fit, lowest base", { .fit = SPAN_FIT_FIRST },
	  "F3z U1 F9z U1 F5z", "a5", "=4z", "F3z U1 U5z F4z U1 F5z" },
	{ "rule 1: nothing large enough", {},
	  "F3z U1 F4z", "a5", "!ENOMEM", "F3z U1 F4z" },

	/* Rule 2: free, then scavenged, then grow */
	{ "rule 2: a free span before a fitting scavenged one", {},
	  "S5 U1 F9z", "a5", "=6z", "S5 U1 U5z F4z" },
	{ "rule 2: best fit among scavenged spans", {},
	  "S9 U1 S5", "a5", "u10+5 =10s", "S9 U1 U5" },
	{ "rule 2: a scavenged span before growing", { .arena = 32, .growth = 16 },
	  "F4z U7 S5", "a5", "u11+5 =11s", "F4z U7 U5" },
	{ "rule 2: growing last", { .arena = 32, .growth = 16 },
	  "F4z U12", "a5", "m16+16 u16+5 =16s", "F4z U12 U5 S11" },
	{ "rule 2: neither of two kinds is joined for a request", {},
	  "F4z S4", "a5", "!ENOMEM", "F4z S4" },
	{ "rule 2: first fit, free before scavenged", { .fit = SPAN_FIT_FIRST },
	  "S9 U1 F9z U1 F5z", "a5", "=10z", "S9 U1 U5z F4z U1 F5z" },
	{ "rule 2: first fit among scavenged spans", { .fit = SPAN_FIT_FIRST },
	  "F2z U1 S9 U1 S5", "a5", "u3+5 =3s", "F2z U1 U5 S4 U1 S5" },
	{ "rule 2: first fit, growing last", { .fit = SPAN_FIT_FIRST, .arena = 32, .growth = 16 },
	  "F4z U8 S4", "a5", "m16+16 u12+5 =12s", "F4z U8 U5 S15" },

	/* Rule 3: alignment */
	{ "rule 3: front and tail", {},
	  "U1 F12z@5 U3", "a4/4", "=4z", "U1 F3z@5 U4z F5z@5 U3" },
	{ "rule 3: front and tail of a scavenged span", {},
	  "U1 S12z@5 U3", "? a4/4 ?", "[16:4:12:12] u4+4 =4zs [16:8:8:8]",
	  "U1 S3z@5 U4z S5z@5 U3" },
	{ "rule 3: the smallest that holds a block", {},
	  "U1 F4z U1 F7z U3", "a4/4", "=8z", "U1 F4z U1 F2z U4z F1z U3" },
	{ "rule 3: lowest block of the span", {},
	  "U3 F13z", "a2/4", "=4z", "U3 F1z U2z F10z" },
	{ "rule 3: best fit", {},
	  "U1 F12z U1 F4z U2", "a2/4", "=16z", "U1 F12z U1 F2z U2z U2" },
	{ "rule 3: tie", {},
	  "U1 F6z U1 F6z U2", "a2/4", "=4z", "U1 F3z U2z F1z U1 F6z U2" },
	{ "rule 3: first fit", { .fit = SPAN_FIT_FIRST },
	  "U1 F12z U1 F4z U2", "a2/4", "=4z", "U1 F3z U2z F7z U1 F4z U2" },
	{ "rule 3: first fit, but with room", { .fit = SPAN_FIT_FIRST },
	  "U1 F5z U1 F6z U3", "a4/4", "=8z", "U1 F5z U1 F1z U4z F1z U3" },
	{ "rule 3: a scavenged span that holds a block before growing",
	  { .arena = 32, .growth = 16 },
	  "U1 F6z U1 S8", "a4/4", "u8+4 =8s", "U1 F6z U1 U4 S4" },
	{ "rule 3: growing", { .arena = 32, .growth = 16 },
	  "U8 F8z", "a1/16", "m16+16 u16+1 =16s", "U8 F8z U1 S15" },
	{ "rule 3: no room", {},
	  "U8 F8z", "a1/16", "!ENOMEM", "U8 F8z" },
	{ "rule 3: page 0 is a multiple of everything", {},
	  "F8z U8", "a1/9223372036854775808", "=0z", "U1z F7z U8" },
	{ "rule 3: front and tail keep granules, P < G", { .gp = 2 },
	  "U1 S15", "? a4/8 ?", "[16:1:15:12] u8+4 =8s [16:5:11:8]", "U1 S7 U4 S4" },
	{ "rule 3: front without a granule", { .gp = 2 },
	  "U1 S15", "? a2/2 ?", "[16:1:15:12] u2+2 =2s [16:3:13:12]", "U1 F1 U2 S12" },
	{ "rule 3: front coalesces with what precedes it", { .gp = 3 },
	  "U7 F1z@5 S16@3", "a4/2 ?", "u8+4 =8s [24:11:13:8]", "U7 F1z@5 U4 S12@3" },
	{ "rule 3: front without a granule joins what precedes it", { .gp = 3 },
	  "U2 F6z@5 S10@3 U6", "? a4/4 a2/4 ?",
	  "[24:8:16:8] =4z u8+2 =8s [24:14:10:0]", "U2 F2z@5 U4z U2 F8@3 U6" },
	{ "rule 3: more alignments than are indexed", {},
	  "U1 F255z", "a1/128 a1/64 a1/32 a1/16 a1/8 a1/4 a1/2 a1/64",
	  "=128z =64z =32z =16z =8z =4z =2z =192z",
	  "U1 F1z U1z F1z U1z F3z U1z F7z U1z F15z U1z F31z U1z F63z U1z F63z U1z F63z" },

	/* Rules 4 to 8: trimming and used() */
	{ "rule 5: tail of a free span", {},
	  "F16z@7", "? a5 ?", "[16:0:16:0] =0z [16:5:11:0]", "U5z F11z@7" },
	{ "rule 5: no tail", {},
	  "F5z@7 U1", "a5", "=0z", "U5z U1" },
	{ "rule 6: tail of fresh memory", {},
	  "S16", "? a5 ?", "[16:0:16:16] u0+5 =0s [16:5:11:11]", "U5 S11" },
	{ "rule 6: tail keeps needzero and age", {},
	  "S16z@7", "a5", "u0+5 =0zs", "U5z S11z@7" },
	{ "rule 6: tail with a granule", { .gp = 3 },
	  "S20 U4", "? a5 ?", "[24:4:20:16] u0+5 =0s [24:9:15:8]", "U5 S15 U4" },
	{ "rule 6: tail without a granule is not scavenged", { .gp = 3 },
	  "S20 U4", "? a9 ?", "[24:4:20:16] u0+9 =0s [24:13:11:0]", "U9 F11 U4" },
	{ "rule 6: tail that is a granule less a page", { .gp = 3 },
	  "S24@4", "a17 ?", "u0+17 =0s [24:17:7:0]", "U17 F7@4" },
	{ "rule 6: tail coalesces with what follows", { .gp = 3 },
	  "S16@4 F8z@7", "a9", "u0+9 =0s", "U9 F15z@4" },
	{ "rule 6: P > G, the tail is always whole", { .gp = -1 },
	  "S4", "? a1 ?", "[4:0:4:4] u0+1 =0s [4:1:3:3]", "U1 S3" },
	{ "rule 7: used() once, on the trimmed part", {},
	  "U2 S14", "a3 a2 a9", "u2+3 =2s u5+2 =5s u7+9 =7s", "U2 U3 U2 U9" },
	{ "rule 7: not for a free span", {},
	  "U2 F14z", "a3 a2 a9", "=2z =5z =7z", "U2 U3z U2z U9z" },
	{ "rule 7: inside a granule too", { .gp = 3 },
	  "S16", "a1 a1 a6 a8", "u0+1 =0s u1+1 =1s u2+6 =2s u8+8 =8s", "U1 U1 U6 U8" },

	/* Rule 9: growing */
	{ "rule 9: one unit", { .arena = 64, .growth = 16 },
	  "", "? a5 ?", "[0:0:0:0] m0+16 u0+5 =0s [16:5:11:11]", "U5 S11" },
	{ "rule 9: whole units", { .arena = 64, .growth = 16 },
	  "", "a17 ?", "m0+32 u0+17 =0s [32:17:15:15]", "U17 S15" },
	{ "rule 9: exactly whole units", { .arena = 64, .growth = 16 },
	  "", "a32", "m0+32 u0+32 =0s", "U32" },
	{ "rule 9: only when needed", { .arena = 64, .growth = 16 },
	  "", "a5 a5 a7", "m0+16 u0+5 =0s u5+5 =5s m16+16 u10+7 =10s", "U5 U5 U7 S15" },
	{ "rule 9: the end of a small arena", { .arena = 40, .growth = 16 },
	  "U32", "a8 ?", "m32+8 u32+8 =32s [40:40:0:0]", "U32 U8" },
	{ "rule 9: less than a unit is left", { .arena = 40, .growth = 16 },
	  "", "a40", "m0+40 u0+40 =0s", "U40" },
	{ "rule 9: the rest of the arena is too small", { .arena = 40, .growth = 16 },
	  "U32", "a9 ?", "!ENOMEM [32:32:0:0]", "U32" },
	{ "rule 9: larger than the arena", { .arena = 40, .growth = 16 },
	  "", "a41 ?", "!ENOMEM [0:0:0:0]", "" },
	{ "rule 9: merges with a scavenged end", { .arena = 64, .growth = 16 },
	  "U10 S6", "a20 ?", "m16+16 u10+20 =10s [32:30:2:2]", "U10 U20 S2" },
	{ "rule 9: the scavenged end's needzero stays, its age does not",
	  { .arena = 64, .growth = 16 },
	  "U10 S6z@7", "a20", "m16+16 u10+20 =10zs", "U10 U20z S2z" },
	{ "rule 9: the scavenged end fills the rest of the arena", { .arena = 24, .growth = 16 },
	  "U10 S6", "a14", "m16+8 u10+14 =10s", "U10 U14" },
	{ "rule 9: a free end does not count", { .arena = 64, .growth = 16 },
	  "U10 F6z", "a20 ?", "m16+32 u16+20 =16s [48:30:18:12]", "U10 F6z U20 S12" },
	{ "rule 9: up to an aligned block", { .arena = 64, .growth = 16 },
	  "U16", "a4/32 ?", "m16+32 u32+4 =32s [48:20:28:28]", "U16 S16 U4 S12" },
	{ "rule 9: an aligned block beyond the arena", { .arena = 64, .growth = 16 },
	  "U16", "a4/64", "!ENOMEM", "U16" },
	{ "rule 9: beside a leftover without a granule", { .gp = 3, .arena = 64, .growth = 8 },
	  "U5 F3", "a4", "m8+8 u8+4 =8s", "U5 F3 U4 F4" },
	{ "rule 9: with a scavenged end inside a granule", { .gp = 3, .arena = 64, .growth = 16 },
	  "U5 S11", "? a12 ?", "[16:5:11:8] m16+16 u5+12 =5s [32:17:15:8]", "U5 U12 S15" },

	/* Rule 10: what cannot be freed, and other errors */
	{ "rule 10: inside a span", {},
	  "U4 F4z U8", "f1 f3 f9 f15", "!ENOENT !ENOENT !ENOENT !ENOENT", "U4 F4z U8" },
	{ "rule 10: a free span", {},
	  "U4 F4z U4 S4", "f4 f12", "!ENOENT !ENOENT", "U4 F4z U4 S4" },
	{ "rule 10: beyond the heap", { .arena = 32, .growth = 16 },
	  "U16", "f16 f31 f32 f18446744073709551615", "!ENOENT !ENOENT !ENOENT !ENOENT", "U16" },
	{ "rule 10: empty heap", { .arena = 32 },
	  "", "f0", "!ENOENT", "" },
	{ "rule 10: wrong size", {},
	  "U4 U4", "f0:3 f0:5 f0:8 f4:8 f0:18446744073709551615",
	  "!EINVAL !EINVAL !EINVAL !EINVAL !EINVAL", "U4 U4" },
	{ "rule 10: right size", {},
	  "U4 U4", "f4:4", "=0", "U4 F4z@9" },
	{ "rule 10: wrong base and wrong size", {},
	  "U4 F4z", "f4:3 f1:3", "!ENOENT !ENOENT", "U4 F4z" },
	{ "rule 10: twice", {},
	  "U4 U4", "f0 f0", "=0 !ENOENT", "F4z@9 U4" },
	{ "rule 10: twice, merged away in between", {},
	  "U4 U4 U4", "f0 f4 f4 f0", "=0 =0 !ENOENT !ENOENT", "F8z@9 U4" },
	{ "alloc: bad sizes", {},
	  "F8z", "a0 a4294967295 a4294967296 a18446744073709551615",
	  "!EINVAL !EINVAL !EINVAL !EINVAL", "F8z" },
	{ "alloc: bad alignments", {},
	  "F8z", "a1/3 a1/6 a1/9223372036854775809 a1/18446744073709551615",
	  "!EINVAL !EINVAL !EINVAL !EINVAL", "F8z" },
	{ "alloc: alignment 0 is 1", {},
	  "U1 F7z", "a2/0 a2/1", "=1z =3z", "U1 U2z U2z F3z" },
	{ "alloc: largest alignment", { .arena = 32, .growth = 8 },
	  "U8", "a1/9223372036854775808", "!ENOMEM", "U8" },

	/* Rules 11 and 12: freeing and merging */
	{ "rule 11: needzero and age", {},
	  "U4 U4 U8", "t7 f4 ?", "=0 [16:12:4:0]", "U4 F4z@7 U8" },
	{ "rule 12: predecessor", {},
	  "F4z@3 U4 U8", "f4", "=0", "F8z@9 U8" },
	{ "rule 12: successor", {},
	  "U8 U4 F4z@3", "f8", "=0", "U8 F8z@9" },
	{ "rule 12: both", {},
	  "F4z@3 U4 F4z@5 U4", "f4", "=0", "F12z@9 U4" },
	{ "rule 12: neither", {},
	  "U4 U4 U8", "f4", "=0", "U4 F4z@9 U8" },
	{ "rule 12: needzero of the predecessor", {},
	  "S4z F4@3 U8", "s4", "r4+4 =4", "S8z@3 U8" },
	{ "rule 12: needzero of the span itself", {},
	  "S4 F4z@3 U8", "s4", "r4+4 =4", "S8z@3 U8" },
	{ "rule 12: needzero of the successor", {},
	  "U8 F4@3 S4z", "s8", "r8+4 =4", "U8 S8z@3" },
	{ "rule 12: no needzero", {},
	  "S4@1 F4@3 S4@2 U4", "? s4 ?", "[16:4:12:8] r4+4 =4 [16:4:12:12]", "S12@3 U4" },
	{ "rule 12: one neighbour of each kind", {},
	  "S4 U4 F4z@2 U4", "f4", "=0", "S4 F8z@9 U4" },
	{ "rule 12: one neighbour of each kind, mirrored", {},
	  "F4z@2 U4 S4 U4", "f4", "=0", "F8z@9 S4 U4" },

	/* Rule 14; every offset is tried below */
	{ "rule 14: before the span", { .gp = 3 },
	  "S12 U12", "? f12 ?", "[24:12:12:8] =0 [24:0:24:8]", "S8 F16z@9" },
	{ "rule 14: behind the span", { .gp = 3 },
	  "U12 S12", "? f0 ?", "[24:12:12:8] =0 [24:0:24:8]", "F16z@9 S8" },
	{ "rule 14: on both sides", { .gp = 3 },
	  "S12@1 U8 S12@2", "? f12 ?", "[32:8:24:16] =0 [32:0:32:16]", "S8@1 F16z@9 S8@2" },
	{ "rule 14: beside a merge", { .gp = 3 },
	  "F3z U7 S14", "? f3 ?", "[24:7:17:8] =0 [24:0:24:8]", "F16z@9 S8" },
	{ "rule 14: on a granule already", { .gp = 3 },
	  "S16 U8", "f16", "=0", "S16 F8z@9" },
	{ "rule 14: nothing to do for P = G", {},
	  "S3 U5 S8", "f3", "=0", "S3 F5z@9 S8" },
	{ "rule 14: nothing to do for P > G", { .gp = -1 },
	  "S3 U5 S8", "f3", "=0", "S3 F5z@9 S8" },

	/* Rule 15: huge pages of 8 */
	{ "rule 15: two halves", { .hp = 3 },
	  "U4 U4 U8", "f0 f4", "=0 h0+8 =0", "F8z@9 U8" },
	{ "rule 15: the whole span", { .hp = 3 },
	  "F3z U3 F7z U3", "f3", "h0+13 =0", "F13z@9 U3" },
	{ "rule 15: not aligned", { .hp = 3 },
	  "U1 F3z U4 F7z U1", "f4", "=0", "U1 F14z@9 U1" },
	{ "rule 15: the blocks of the parts", { .hp = 3 },
	  "F8z U8 U8", "f8", "=0", "F16z@9 U8" },
	{ "rule 15: one more than the parts", { .hp = 3 },
	  "F12z U4 U8", "f12", "h0+16 =0", "F16z@9 U8" },
	{ "rule 15: one more than all three parts", { .hp = 3 },
	  "F12z U5 F15z", "f12", "h0+32 =0", "F32z@9" },
	{ "rule 15: as many as all three parts", { .hp = 3 },
	  "F8z U16 F8z", "f8", "=0", "F32z@9" },
	{ "rule 15: no neighbours", { .hp = 3 },
	  "U8 U8", "f0", "=0", "F8z@9 U8" },
	{ "rule 15: not for a scavenged span", { .hp = 3 },
	  "S4 F4z U8", "s4", "r4+4 =4", "S8z U8" },
	{ "rule 15: not across kinds", { .hp = 3 },
	  "S4 U4 S8", "f4", "=0", "S4 F4z@9 S8" },
	{ "rule 15: a realigned boundary", { .gp = 3, .hp = 3 },
	  "U5 S19", "f0", "h0+8 =0", "F8z@9 S16" },
	{ "rule 15: H = P", { .gp = -2, .hp = 1 },
	  "U1 U1 U2", "f0 f1", "=0 h0+2 =0", "F2z@9 U2" },

	/* Rule 16: scavenging one */
	{ "rule 16: whole", {},
	  "F8z@3 U8", "? s0 ?", "[16:8:8:0] r0+8 =8 [16:8:8:8]", "S8z@3 U8" },
	{ "rule 16: the granules inside", { .gp = 3 },
	  "U3 F20z@3 U1", "? s3 ?", "[24:4:20:0] r8+8 =8 [24:4:20:8]", "U3 S20z@3 U1" },
	{ "rule 16: no granule inside", { .gp = 3 },
	  "U4 F10z@3 U2", "s4", "=0", "U4 F10z@3 U2" },
	{ "rule 16: P > G", { .gp = -1 },
	  "U1 F3z", "s1 ?", "r1+3 =3 [4:1:3:3]", "U1 S3z" },
	{ "rule 16: merges", {},
	  "S4@1 F4z@3 S4z@2 U4", "s4 ?", "r4+4 =4 [16:4:12:12]", "S12z@3 U4" },
	{ "rule 16: neither allocated nor scavenged spans", {},
	  "U8 S8", "s0 s8", "=0 =0", "U8 S8" },
	{ "rule 16: unused() fails", {},
	  "S2 U1 F5z@3 U4 S4", "? e1 s3 ? s3", "[16:5:11:6] r3+5 !EBUSY [16:5:11:6] r3+5 =5",
	  "S2 U1 S5z@3 U4 S4" },

	/* Rule 17: scavenging many */
	{ "rule 17: by age, strictly", {},
	  "F4z@3 U4 F4z@5 U4", "o4", "r0+4 =4", "S4z@3 U4 F4z@5 U4" },
	{ "rule 17: by age, none old enough", {},
	  "F4z@3 U4 F4z@5 U4", "o6", "=0", "F4z@3 U4 F4z@5 U4" },
	{ "rule 17: by age, all", {},
	  "F4z@8 U4 F4z@5 U4", "o0", "r8+4 r0+4 =8", "S4z@8 U4 S4z@5 U4" },
	{ "rule 17: by age, freed at this moment", {},
	  "F4z@9 U4 F4z@8 U4", "o0", "r8+4 =4", "F4z@9 U4 S4z@8 U4" },
	{ "rule 17: by age, the time went back", {},
	  "F4z@9 U4 F4z@5 U4", "t6 o0", "r8+4 =4", "F4z@9 U4 S4z@5 U4" },
	{ "rule 17: by age, equal ages by base", {},
	  "U1 F4z@5 U1 F2z@5 U1 F7z@4", "o1", "r9+7 r1+4 r6+2 =13",
	  "U1 S4z@5 U1 S2z@5 U1 S7z@4" },
	{ "rule 17: by age, up to an amount", {},
	  "F4z@1 U1 F4z@2 U1 F6z@3", "o0:5", "r0+4 r5+4 =8", "S4z@1 U1 S4z@2 U1 F6z@3" },
	{ "rule 17: by age, nothing to release", { .gp = 3 },
	  "F4z@1 U4 F8z@2 U8", "o0", "r8+8 =8", "F4z@1 U4 S8z@2 U8" },
	{ "rule 17: by age, unused() fails", {},
	  "F4z@1 U1 F4z@2 U1 F6z@3", "e1 o0", "r0+4 r5+4 r10+6 =10",
	  "F4z@1 U1 S4z@2 U1 S6z@3" },
	{ "rule 17: by age, stopped", {},
	  "F4z@1 U1 F4z@2 U1 F6z@3", "p1 o0", "r0+4 =4", "S4z@1 U1 F4z@2 U1 F6z@3" },
	{ "rule 17: by amount, the largest first", {},
	  "F4z U1 F6z U1 F4z", "b1", "r5+6 =6", "F4z U1 S6z U1 F4z" },
	{ "rule 17: by amount, the highest base first", {},
	  "F4z U1 F6z U1 F4z", "b7", "r5+6 r12+4 =10", "F4z U1 S6z U1 S4z" },
	{ "rule 17: by amount, just reached", {},
	  "F4z U1 F6z U1 F4z", "b6", "r5+6 =6", "F4z U1 S6z U1 F4z" },
	{ "rule 17: by amount, all there is", {},
	  "F4z U1 F6z U1 F4z", "b100 ?", "r5+6 r12+4 r0+4 =14 [16:2:14:14]",
	  "S4z U1 S6z U1 S4z" },
	{ "rule 17: by amount, nothing", {},
	  "F4z U1 F3z", "b0", "=0", "F4z U1 F3z" },
	{ "rule 17: by amount, nothing to release", { .gp = 3 },
	  "U4 F10z U2 F8z", "b100", "r16+8 =8", "U4 F10z U2 S8z" },
	{ "rule 17: by amount, less than the span is released", { .gp = 3 },
	  "U1 F22z U1 F8z", "b9", "r8+8 r24+8 =16", "U1 S22z U1 S8z" },
	{ "rule 17: by amount, unused() fails", {},
	  "F4z U1 F6z U1 F4z", "e1 b5", "r5+6 r12+4 r0+4 =8", "S4z U1 F6z U1 S4z" },
	{ "rule 17: by amount, stopped", {},
	  "F4z U1 F6z U1 F4z", "p2 b100", "r5+6 r12+4 =10", "F4z U1 S6z U1 S4z" },
	{ "rule 17: stopped before the first", {},
	  "F4z U1 F6z U1 F4z", "p0 b100 p0 o0", "=0 =0", "F4z U1 F6z U1 F4z" },

	/* Counting as backed again */
	{ "unscavenge: a whole span", {},
	  "U4 S4z@3 U8", "? c4:4 ?", "[16:12:4:4] u4+4 =0 [16:12:4:0]", "U4 F4z@9 U8" },
	{ "unscavenge: the middle", {},
	  "S16@3", "c4:4", "u4+4 =0", "S4@3 F4z@9 S8@3" },
	{ "unscavenge: merges", {},
	  "F4z@3 S8 F4z@5", "c4:4 c8:4", "u4+4 =0 u8+4 =0", "F16z@9" },
	{ "unscavenge: several spans", {},
	  "S4z@1 U4 S4@2 F2z@4 S2", "t8 c0:16", "u0+4 u8+4 u14+2 =0",
	  "F4z@8 U4 F8z@8" },
	{ "unscavenge: nothing to do", {},
	  "U4 F4z@3 U8", "c0:16", "=0", "U4 F4z@3 U8" },
	{ "unscavenge: P < G, the ends have granules", { .gp = 2 },
	  "U3 S20 U1", "? c8:8 ?", "[24:4:20:16] u8+8 =0 [24:4:20:8]", "U3 S5 F8z@9 S7 U1" },
	{ "unscavenge: P < G, the ends have none", { .gp = 3 },
	  "U5 S14@3 U5", "? c8:8 ?", "[24:10:14:8] u8+8 =0 [24:10:14:0]", "U5 F14z@9 U5" },
	{ "unscavenge: huge pages", { .hp = 3 },
	  "F4z@3 S12", "c4:4", "u4+4 h0+8 =0", "F8z@9 S8" },
	{ "unscavenge: debug", { .debug = true },
	  "U4 S12", "c8:4", "m8+4 u8+4 =0", "U4 S4 F4z@9 S4" },
	{ "unscavenge: bad ranges", { .gp = 2, .arena = 32, .growth = 16 },
	  "S16", "c0:0 c1:4 c2:2 c0:5 c0:20 c16:4 c12:8 c4:18446744073709551612",
	  "!EINVAL !EINVAL !EINVAL !EINVAL !EINVAL !EINVAL !EINVAL !EINVAL", "S16" },

	/* Allocating a certain range */
	{ "at: in the middle of a free span", {},
	  "U2 F10z@5 U4", "A4:3 ?", "=4z [16:9:7:0]", "U2 F2z@5 U3z F5z@5 U4" },
	{ "at: all of a scavenged span", {},
	  "U2 S10 U4", "A2:10 ?", "u2+10 =2s [16:16:0:0]", "U2 U10 U4" },
	{ "at: across both kinds", {},
	  "U2 F4z@5 S6 F2z@3 U2", "? A3:10 ?", "[16:4:12:6] u6+6 =3z [16:14:2:0]",
	  "U2 F1z@5 U10z F1z@3 U2" },
	{ "at: beyond what has grown", { .arena = 64, .growth = 16 },
	  "U10 S6", "A12:24 ?", "m16+32 u12+24 =12s [48:34:14:14]", "U10 S2 U24 S12" },
	{ "at: from behind the heap", { .arena = 64, .growth = 16 },
	  "U16", "A40:4", "m16+32 u40+4 =40s", "U16 S24 U4 S4" },
	{ "at: part is allocated", {},
	  "U2 F4z U1 F9z", "A2:5 A1:2 A6:1", "!EEXIST !EEXIST !EEXIST", "U2 F4z U1 F9z" },
	{ "at: beyond the arena", { .arena = 32, .growth = 16 },
	  "U16", "A31:2 A32:1 A18446744073709551615:2", "!ENOMEM !ENOMEM !ENOMEM", "U16" },
	{ "at: bad sizes", {},
	  "F8z", "A0:0 A0:4294967295", "!EINVAL !EINVAL", "F8z" },
	{ "at: front without a granule", { .gp = 3 },
	  "U4 S20", "? A6:10 ?", "[24:4:20:16] u6+10 =6s [24:14:10:8]", "U4 F2 U10 S8" },

	/* Resizing */
	{ "resize: shorter", {},
	  "U8 U8", "z0:3 ?", "=0 [16:11:5:0]", "U3 F5z@9 U8" },
	{ "resize: what is cut off coalesces", {},
	  "U8 F8z@5", "z0:3", "=0", "U3 F13z@9" },
	{ "resize: what is cut off is realigned", { .gp = 3 },
	  "U12 S12", "z0:9 ?", "=0 [24:9:15:8]", "U9 F7z@9 S8" },
	{ "resize: longer, from a free span", {},
	  "U4 F8z@5 U4", "z0:7 ?", "=0 [16:11:5:0]", "U7z F5z@5 U4" },
	{ "resize: longer, from a scavenged span", {},
	  "U4 S8 U4", "z0:12 ?", "u4+8 =0s [16:16:0:0]", "U12 U4" },
	{ "resize: longer, the heap grows", { .arena = 64, .growth = 16 },
	  "U16", "z0:20", "m16+16 u16+4 =0s", "U20 S12" },
	{ "resize: the same", {},
	  "U4 F12z", "z0:4", "=0", "U4 F12z" },
	{ "resize: no room", {},
	  "U4 F4z U8", "z0:9 z8:9", "!EEXIST !ENOMEM", "U4 F4z U8" },
	{ "resize: no such span", {},
	  "U4 F4z U8", "z1:2 z4:2 z0:0", "!ENOENT !ENOENT !EINVAL", "U4 F4z U8" },
	{ "resize: debug, shorter", { .debug = true },
	  "U8 U8", "z0:3", "x3+5 =0", "U3 S5z@9 U8" },

	/* Recently freed */
	{ "reuse: the last that was freed, not the lowest", { .reuse = true },
	  "U1 U5 U1 U5 U1 U5", "f1 f13 f7 a5 a5 a5", "=0 =0 =0 =7z =13z =1z",
	  "U1 U5z U1 U5z U1 U5z" },
	{ "reuse: other sizes are found by their trees", { .reuse = true },
	  "U1 U5 U1 U5 U1 U6", "f7 f1 a6 a3", "=0 =0 !ENOMEM l1+5 l7+5 =1z",
	  "U1 U3z F2z@9 U1 F5z@9 U1 U6" },
	{ "reuse: what coalesces does not wait", { .reuse = true },
	  "U1 U5 U5 U1", "f1 f6 a5", "=0 =0 l1+10 =1z", "U1 U5z F5z@9 U1" },
	{ "reuse: one of another size in its list", { .reuse = true },
	  "U1 U3 U1 U19 U1 U3", "f1 f5 f25 a3 a3", "=0 =0 =0 =25z l1+3 =1z",
	  "U1 U3z U1 F19z@9 U1 U3z" },
	{ "reuse: an aligned request does not ask", { .reuse = true },
	  "U1 U7 U1 U7", "f9 f1 a7/1 a4/4", "=0 =0 =1z =12z", "U1 U7z U1 F3z@9 U4z" },
	{ "reuse: scavenging finds them", { .reuse = true },
	  "U1 U5 U1 U5", "f1 f7 s1 b18 a5", "=0 =0 r1+5 =5 r7+5 =5 l1+5 l7+5 u1+5 =1zs",
	  "U1 U5z U1 S5z@9" },
	{ "reuse: by age", { .reuse = true },
	  "U1 U5 U1 U5", "f1 t20 f7 o5", "=0 =0 r1+5 =5", "U1 S5z@9 U1 F5z@20" },
	{ "reuse: beside a scavenged span", { .reuse = true },
	  "U1 U5 S5 U1", "f1 a5", "=0 =1z", "U1 U5z S5 U1" },

	/* Placed: ties */
	{ "placed: nothing is preferred", { .fit = SPAN_FIT_PLACED },
	  "U1 F5z@3 U1 F5z@2 U1 F6z@1", "a5", "l1+5 l7+5 =1z", "U1 U5z U1 F5z@2 U1 F6z@1" },
	{ "placed: the first that is preferred", { .fit = SPAN_FIT_PLACED },
	  "U1 F5z U1 F5z@2 U1 F5z@1", "l7:12 a5", "l1+5 l7+5 =7z", "U1 F5z U1 U5z U1 F5z@1" },
	{ "placed: not a larger span, though preferred", { .fit = SPAN_FIT_PLACED },
	  "U1 F6z U1 F5z U1 F6z", "l1:1 a5", "l8+5 =8z", "U1 F6z U1 U5z U1 F6z" },
	{ "placed: ties are larger than the request", { .fit = SPAN_FIT_PLACED },
	  "U1 F6z U1 F5z U1 F5z", "l14:1 a3", "l8+5 l14+5 =14z", "U1 F6z U1 F5z U1 U3z F2z" },
	{ "placed: the last of the ties", { .fit = SPAN_FIT_PLACED },
	  "U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z", "l15:1 a1",
	  "l1+1 l3+1 l5+1 l7+1 l9+1 l11+1 l13+1 l15+1 =15z",
	  "U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 U1z U1 F1z" },
	{ "placed: more ties than are asked about", { .fit = SPAN_FIT_PLACED },
	  "U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z", "l17:1 a1",
	  "l1+1 l3+1 l5+1 l7+1 l9+1 l11+1 l13+1 l15+1 =1z",
	  "U1 U1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z U1 F1z" },
	{ "placed: free before scavenged, though preferred", { .fit = SPAN_FIT_PLACED },
	  "U1 F5z U1 S5", "l7:1 a5", "l1+5 =1z", "U1 U5z U1 S5" },
	{ "placed: tie among scavenged spans", { .fit = SPAN_FIT_PLACED },
	  "U1 S5 U1 S5", "l7:1 a3", "l1+5 l7+5 u7+3 =7s", "U1 S5 U1 U3 S2" },
	{ "placed: an alignment does not ask", { .fit = SPAN_FIT_PLACED },
	  "U2 F4z U2 F4z", "l8:1 a2/2", "=2z", "U2 U2z F2z U2 F4z" },
	{ "placed: alignments 0 and 1 ask", { .fit = SPAN_FIT_PLACED },
	  "U2 F4z U2 F4z", "l8:1 a4/0 a4/1", "l2+4 l8+4 =8z l2+4 =2z", "U2 U4z U2 U4z" },
	{ "placed: after an aligned request", { .fit = SPAN_FIT_PLACED },
	  "U2 F4z U2 F4z U4 F4z", "l8:1 a4/8 a4", "=8z l2+4 l16+4 =2z",
	  "U2 U4z U2 U4z U4 F4z" },
	{ "placed: growing", { .arena = 32, .growth = 16, .fit = SPAN_FIT_PLACED },
	  "U16", "a4", "m16+16 l16+16 u16+4 =16s", "U16 U4 S12" },
	{ "placed: best fit does not ask", {},
	  "U1 F5z U1 F5z", "l7:1 a5", "=1z", "U1 U5z U1 F5z" },
	{ "placed: first fit does not ask", { .fit = SPAN_FIT_FIRST },
	  "U1 F5z U1 F5z", "l7:1 a5", "=1z", "U1 U5z U1 F5z" },
	/* Placed: huge pages of 8 */
	{ "placed: huge, in a free span", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F21z@5", "? a8 ?", "[24:3:21:0] l3+21 =8z [24:11:13:0]", "U3 F5z@5 U8z F8z@5" },
	{ "placed: huge, just room", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F13z", "a8", "l3+13 =8z", "U3 F5z U8z" },
	{ "placed: huge, a page too little", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F12z U1", "a8", "l3+12 =3z", "U3 U8z F4z U1" },
	{ "placed: huge, aligned already", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U8 F16z", "a8", "l8+16 =8z", "U8 U8z F8z" },
	{ "placed: huge, not in a larger span", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F9z U1 F16z U3", "a8", "l3+9 =3z", "U3 U8z F1z U1 F16z U3" },
	{ "placed: huge, not in a scavenged span", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F9z U4 S16", "a8", "l3+9 =3z", "U3 U8z F1z U4 S16" },
	{ "placed: less than a huge page", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F21z", "a7", "l3+21 =3z", "U3 U7z F14z" },
	{ "placed: more than a huge page", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F21z", "a12", "l3+21 =8z", "U3 F5z U12z F4z" },
	{ "placed: huge, a tie", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F13z U3 F13z", "l19:1 a8", "l3+13 l19+13 =24z", "U3 F13z U3 F5z U8z" },
	{ "placed: huge, in a scavenged span", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 S21@5", "? a8 ?", "[24:3:21:21] l3+21 u8+8 =8s [24:11:13:13]",
	  "U3 S5@5 U8 S8@5" },
	{ "placed: huge, in a scavenged span, P < G", { .gp = 3, .hp = 3, .fit = SPAN_FIT_PLACED },
	  "U3 S21", "? a8 ?", "[24:3:21:16] l3+21 u8+8 =8s [24:11:13:8]", "U3 F5 U8 S8" },
	{ "placed: huge, in a grown span",
	  { .hp = 3, .arena = 64, .growth = 16, .fit = SPAN_FIT_PLACED },
	  "U11 S5", "a8", "m16+16 l11+21 u16+8 =16s", "U11 S5 U8 S8" },
	{ "placed: huge, no growing for it",
	  { .hp = 3, .arena = 64, .growth = 8, .fit = SPAN_FIT_PLACED },
	  "U11 S5", "a10", "m16+8 l11+13 u11+10 =11s", "U11 U10 S3" },
	{ "placed: huge, no error for want of it", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U1 S8 U7", "a8", "l1+8 u1+8 =1s", "U1 U8 U7" },
	{ "placed: huge, a smaller alignment", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F21z", "a8/2", "=8z", "U3 F5z U8z F8z" },
	{ "placed: huge, only the smaller alignment has room", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F11z U2", "a8/2", "=4z", "U3 F1z U8z F2z U2" },
	{ "placed: huge, a larger alignment", { .fit = SPAN_FIT_PLACED, .hp = 3 },
	  "U3 F29z", "a8/16", "=16z", "U3 F13z U8z F8z" },
	{ "placed: best fit has no huge placement", { .hp = 3 },
	  "U3 F21z", "a8", "=3z", "U3 U8z F13z" },
	{ "placed: H = P", { .gp = -2, .hp = 1, .fit = SPAN_FIT_PLACED },
	  "U1 F3z", "a2", "l1+3 =2z", "U1 F1z U2z" },
	/* Trimming */
	{ "trim: in front", {},
	  "U3 F13z@3", "g8 ? s3 ?", "[16:3:13:0] t3+13 r8+8 =8 [16:3:13:8]", "U3 F5z@3 S8z@3" },
	{ "trim: at the end", {},
	  "F13z@3 U3", "g8 s0 ?", "t0+13 r0+8 =8 [16:3:13:8]", "S8z@3 F5z@3 U3" },
	{ "trim: on both sides", {},
	  "U3 F18@3 U3", "g8 s3 ?", "t3+18 r8+8 =8 [24:6:18:8]", "U3 F5@3 S8@3 F5@3 U3" },
	{ "trim: nothing is left", {},
	  "U3 F12z@3 U1", "g8 k0 s3", "t3+12 =0", "U3 F12z@3 U1" },
	{ "trim: all of it, for which no spare is needed", {},
	  "F16z@3 U8", "g8 k0 s0", "t0+16 r0+16 =16", "S16z@3 U8" },
	{ "trim: too few spares", {},
	  "U3 F18z@3 U3", "g8 k0 s3 k1 s3 k2 s3 k3 s3 ?",
	  "t3+18 !ENOMEM t3+18 !ENOMEM t3+18 !ENOMEM t3+18 !ENOMEM [24:6:18:0]",
	  "U3 F18z@3 U3" },
	{ "trim: too few spares for by amount", {},
	  "F12z@1 U4 F8z@2", "g8 k3 b100 k4 b100", "t0+12 t16+8 r16+8 =8 t0+12 r0+8 t8+4 =8",
	  "S8z@1 F4z@1 U4 S8z@2" },
	{ "trim: P < G, on both sides", { .gp = 2 },
	  "U3 F20z@3 U1", "g8 s3 ?", "t4+16 r8+8 =8 [24:4:20:8]", "U3 F5z@3 S8z@3 F7z@3 U1" },
	{ "trim: P < G, the rests of granules stay", { .gp = 2 },
	  "U6 F13z@3 U5", "g8 k0 s6 ?", "t8+8 r8+8 =8 [24:11:13:8]", "U6 S13z@3 U5" },
	{ "trim: P < G, the rest in front stays", { .gp = 2 },
	  "U6 F15z@3 U3", "g8 s6 ?", "t8+12 r8+8 =8 [24:9:15:8]", "U6 S10z@3 F5z@3 U3" },
	{ "trim: P < G, the rest behind stays", { .gp = 2 },
	  "U3 F15z@3 U6", "g8 s3 ?", "t4+12 r8+8 =8 [24:9:15:8]", "U3 F5z@3 S10z@3 U6" },
	{ "trim: P < G, no granule to ask about", { .gp = 3 },
	  "U4 F10z@3 U2", "g8 s4", "=0", "U4 F10z@3 U2" },
	{ "trim: P > G", { .gp = -1 },
	  "U1 F3z@3", "g2 s1", "t1+3 r2+2 =2", "U1 F1z@3 S2z@3" },
	{ "trim: merges", {},
	  "S8@1 F13z@3 U3", "g8 s8", "t8+13 r8+8 =8", "S16z@3 F5z@3 U3" },
	{ "trim: between scavenged spans", {},
	  "S3@1 F18z@3 S3@2", "g8 s3 ?", "t3+18 r8+8 =8 [24:0:24:14]",
	  "S3@1 F5z@3 S8z@3 F5z@3 S3@2" },
	{ "trim: unused() fails", {},
	  "U3 F18z@3 U3", "g8 e1 s3 ? s3", "t3+18 r8+8 !EBUSY [24:6:18:0] t3+18 r8+8 =8",
	  "U3 F5z@3 S8z@3 F5z@3 U3" },
	{ "trim: unused() fails, one span again", {},
	  "U3 F18z@3 U3", "g8 e1 s3", "t3+18 r8+8 !EBUSY", "U3 F18z@3 U3" },
	{ "trim: unused() fails, one huge page again", { .hp = 4 },
	  "U1 F31z@3", "g3 e1 s1", "t1+31 r3+27 h1+31 !EBUSY", "U1 F31z@3" },
	{ "trim: first fit", { .fit = SPAN_FIT_FIRST },
	  "U3 F18z@3 U3", "g8 s3 a5 a6", "t3+18 r8+8 =8 =3z u8+6 =8zs",
	  "U3 U5z U6z S2z@3 F5z@3 U3" },
	{ "trim: by amount, the rests are asked about", {},
	  "U3 F18z@3 U3", "g8 b100", "t3+18 r8+8 t16+5 t3+5 =8", "U3 F5z@3 S8z@3 F5z@3 U3" },
	{ "trim: by amount, a refused span does not count", {},
	  "U1 F9z U2 F8z", "g8 b1", "t1+9 t12+8 =0", "U1 F9z U2 F8z" },
	{ "trim: by age, the rest behind is asked about", {},
	  "U3 F18z@3 U3", "g8 o0", "t3+18 r8+8 t16+5 =8", "U3 F5z@3 S8z@3 F5z@3 U3" },
	{ "trim: by age, up to an amount", {},
	  "F12z@1 U4 F12z@2 U4 F8z@3", "g8 o0:16", "t0+12 r0+8 t8+4 t16+12 r16+8 =16",
	  "S8z@1 F4z@1 U4 S8z@2 F4z@2 U4 F8z@3" },
	{ "trim: unscavenge", {},
	  "U3 F18z@3 U3", "g8 s3 c8:8", "t3+18 r8+8 =8 u8+8 =0", "U3 F18z@9 U3" },
	{ "trim: not when a debug heap frees", { .debug = true },
	  "U3 U13", "g8 f3", "x3+13 =0", "U3 S13z@9" },
	{ "trim: what is cut off can be allocated at once", {},
	  "U3 F18z@3 U3", "g8 s3", "t3+18 r8+8 { =3z =16z } =8", "U3 U5z S8z@3 U5z U3",
	  "a5 a5", "U3 U5z T8z@3 U5z U3" },
	{ "trim: what is cut off is merged at once", {},
	  "U3 F18z@3 U3", "g8 s3", "t3+18 r8+8 { =0 =0 } =8", "F8z@9 S8z@3 F8z@9",
	  "f0 f21", "F8z@9 T8z@3 F8z@9" },
	{ "trim: unused() fails, the parts have changed", {},
	  "U3 F18z@3 U3", "g8 e1 s3", "t3+18 r8+8 { =3z =0 } !EBUSY", "U3 U5z F16z@3",
	  "a5 f21", "U3 U5z T8z@3 F8z@9" },

	/* In transit: what happens while unused() has dropped the lock */
	{ "transit: a free neighbour is not merged", {},
	  "F4z U4 U8", "s0 ?", "r0+4 { =0 } =4 [16:8:8:4]", "S4z F4z@9 U8",
	  "f4", "T4z F4z@9 U8" },
	{ "transit: neighbours on both sides", {},
	  "U4 F4z U4 U4", "s4", "r4+4 { =0 =0 } =4", "F4z@9 S4z F4z@9 U4",
	  "f0 f8", "F4z@9 T4z F4z@9 U4" },
	{ "transit: a scavenged neighbour is merged afterwards", {},
	  "F4z@1 U4 U8", "s0 ?", "r0+4 { =0 r4+4 =4 [16:8:8:4] } =4 [16:8:8:8]", "S8z@1 U8",
	  "f4 s4 ?", "T4z@1 S4z@9 U8" },
	{ "transit: free neighbours are merged when it fails", { .hp = 3 },
	  "U4 F4z@1 U4 U4", "e1 s4", "r4+4 { =0 =0 } h0+12 !EBUSY", "F12z@1 U4",
	  "f0 f8", "F4z@9 T4z@1 F4z@9 U4" },
	{ "transit: is not allocated", {},
	  "F4z U4 S8", "s0", "r0+4 { u8+4 =8s } =4", "S4z U4 U4 S4",
	  "a4", "T4z U4 U4 S4" },
	{ "transit: is not allocated, first fit", { .fit = SPAN_FIT_FIRST },
	  "F4z U4 S8", "s0", "r0+4 { u8+4 =8s } =4", "S4z U4 U4 S4",
	  "a4", "T4z U4 U4 S4" },
	{ "transit: is not out of the way of a growing heap", { .arena = 32, .growth = 16 },
	  "U8 F8z", "s8", "r8+8 { m16+16 u16+12 =16s } =8", "U8 S8z U12 S4",
	  "a12", "U8 T8z U12 S4" },
	{ "transit: merges with what the heap grew", { .arena = 32, .growth = 16 },
	  "U8 F8z", "s8", "r8+8 { m16+16 u16+12 =16s =0 r16+12 =12 } =8", "U8 S24z",
	  "a12 f16 s16", "U8 T8z S16z@9" },
	{ "transit: is neither freed nor scavenged", {},
	  "F4z U4 F3z U5", "s0", "r0+4 { !ENOENT !ENOENT =0 r8+3 =3 =0 } =4", "S4z U4 S3z U5",
	  "f0 f1 s0 b100 o0", "T4z U4 S3z U5" },
	{ "transit: by age, the next is allocated away", {},
	  "F4z@1 U4 F4z@2 U4", "o0", "r0+4 { =8z } =4", "S4z@1 U4 U4z U4",
	  "a4", "T4z@1 U4 U4z U4" },
	{ "transit: by age, the next has grown", {},
	  "F4z@1 U4 F4z@2 U4", "t20 o0", "r0+4 { =0 =0 } r4+12 =16", "S16z@10",
	  "t10 f4 f12", "T4z@1 F12z@10" },
	{ "transit: by age, the next is young now", {},
	  "F4z@1 U4 F4z@2 U4", "t20 o0", "r0+4 { =0 } =4", "S4z@1 F8z@20 U4",
	  "f4", "T4z@1 F8z@20 U4" },
	{ "transit: by amount, the next has grown", {},
	  "F6z U2 F4z U4", "b100", "r0+6 { =0 =0 } =6", "S6z F10z@9",
	  "f6 f12", "T6z F10z@9" },
	{ "transit: P < G, boundary inside a granule", { .gp = 3 },
	  "F12z U12", "s0 ?", "r0+8 { =0 } =8 [24:0:24:8]", "S8z F16z@9",
	  "f12", "T12z F12z@9" },
	{ "transit: P < G, boundary inside a granule, before it", { .gp = 3 },
	  "U12 F12z", "s12 ?", "r16+8 { =0 } =8 [24:0:24:8]", "F16z@9 S8z",
	  "f0", "F12z@9 T12z" },
	{ "transit: P < G, a scavenged neighbour inside a granule", { .gp = 3 },
	  "F12z U12", "s0 ?", "r0+8 { =0 r16+8 =8 } u0+8 =0 [24:0:24:8]", "F16z S8z@9",
	  "f12 s12", "T12z S12z@9" },
	{ "transit: P < G, a scavenged neighbour before it", { .gp = 3 },
	  "U12 F12z", "s12 ?", "r16+8 { =0 r0+8 =8 } u16+8 =0 [24:0:24:8]", "S8z@9 F16z",
	  "f0 s0", "S12z@9 T12z" },
	{ "transit: P < G, a scavenged neighbour on a granule", { .gp = 3 },
	  "F16z U8", "s0 ?", "r0+16 { =0 r16+8 =8 } =16 [24:0:24:24]", "S24z",
	  "f16 s16", "T16z S8z@9" },
	{ "transit: P < G, fails beside a scavenged neighbour", { .gp = 3 },
	  "F12z U12", "e1 s0 ?", "r0+8 { =0 r16+8 =8 } !EBUSY [24:0:24:8]", "F16z S8z@9",
	  "f12 s12", "T12z S12z@9" },

	/* Debug heaps */
	{ "debug: free takes out of reach", { .debug = true },
	  "U8 U8", "f0 ?", "x0+8 =0 [16:8:8:8]", "S8z@9 U8" },
	{ "debug: alloc maps again", { .debug = true },
	  "U8 U8", "f0 a8", "x0+8 =0 m0+8 u0+8 =0zs", "U8z U8" },
	{ "debug: alloc maps the trimmed part", { .debug = true },
	  "U8 U8", "f0 a3", "x0+8 =0 m0+3 u0+3 =0zs", "U3z S5z@9 U8" },
	{ "debug: fault() fails", { .debug = true },
	  "U8 U8", "e1 f0 ? a8", "x0+8 =0 [16:8:8:0] =0z", "U8z U8" },
	{ "debug: merges", { .debug = true },
	  "S4@3 U4 U8", "f4 ?", "x4+4 =0 [16:8:8:8]", "S8z@9 U8" },
	{ "debug: no granule inside", { .debug = true, .gp = 3 },
	  "U4 U20", "f0", "=0", "F4z@9 U20" },
	{ "debug: the granules inside", { .debug = true, .gp = 3 },
	  "U4 U20", "f4 ?", "x8+16 =0 [24:4:20:16]", "U4 S20z@9" },
	{ "debug: beside a span without a granule", { .debug = true, .gp = 3 },
	  "F4z@2 U20", "f4 ?", "x8+16 =0 [24:0:24:16]", "F8z@2 S16z@9" },
	{ "debug: beside a scavenged span inside a granule", { .debug = true, .gp = 3 },
	  "S12@1 U12", "f12 ?", "x16+8 m16+8 u16+8 =0 [24:0:24:8]", "S8@1 F16z@9" },
	{ "debug: before a scavenged span inside a granule", { .debug = true, .gp = 3 },
	  "U12 S12@1", "f0 ?", "x0+8 m0+8 u0+8 =0 [24:0:24:8]", "F16z@9 S8@1" },
	{ "debug: two frees at a time", { .debug = true, .gp = 3 },
	  "U12 U12", "f0 ?", "x0+8 { x16+8 =0 } m0+8 u0+8 =0 [24:0:24:8]", "F16z@9 S8z@9",
	  "f12", "T12z@9 S12z@9" },
	{ "debug: the same free twice at a time", { .debug = true },
	  "U8 U8", "f0", "x0+8 { !ENOENT } =0", "S8z@9 U8",
	  "f0", "T8z@9 U8" },
	{ "debug: growing", { .debug = true, .arena = 32, .growth = 16 },
	  "U16", "a4", "m16+16 m16+4 u16+4 =16s", "U16 U4 S12" },

	/* Extremes */
	{ "limits: largest spans", { .arena = (1ULL << 48) - 1, .growth = 1ULL << 28 },
	  "", "a4294967294 w a4294967294",
	  "m4294967296+4294967296 u4294967294+4294967294 =4294967294s",
	  "U4294967294 U4294967294 S4" },
	{ "limits: a free span of more than 2^32 pages",
	  { .arena = (1ULL << 48) - 1, .growth = 1ULL << 32 },
	  "", "a4294967294 a4294967294 w f0 f4294967294 a4294967294/2147483648 a1/4294967296",
	  "=0 h0+8589934588 =0 =0z =4294967296z",
	  "U4294967294z F2z@9 U1z F4294967291z@9 S4" },
	{ "limits: the end of an arena of 2^44 bytes",
	  { .arena = 1ULL << 32, .growth = 1ULL << 18 },
	  "", "a4294967294 a3 a2 a1",
	  "m0+4294967296 u0+4294967294 =0s !ENOMEM u4294967294+2 =4294967294s !ENOMEM",
	  "U4294967294 U2" },
	{ "limits: the last aligned block of an arena of 2^60 bytes",
	  { .arena = (1ULL << 48) - 1, .growth = 1ULL << 28 },
	  "", "a4294967294/281474976710656 f0 a1/140737488355328 w a1/140737488355328",
	  "m4294967296+140733461823488 u140737488355328+1 =140737488355328s",
	  "U1z F4294967293z@9 S140733193388034 U1 S268435455" },
	{ "limits: by amount, all there is", { .arena = (1ULL << 48) - 1, .growth = 1ULL << 28 },
	  "", "a4294967294 w f0 b4503599627370495 ?",
	  "=0 r0+4294967294 =4294967294 [4294967296:0:4294967296:4294967296]",
	  "S4294967296z@9" },
};

static void rule_case_name(const struct rule_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rule, rule_cases, rule_case_name);

static void span_heap_rules(struct kunit *test)
{
	const struct rule_case *c = test->param_value;
	struct ht *ht = test->priv;

	ht_draw(ht, &c->g, c->start);
	ht->inside = c->inside;
	ht->inside_want = c->inside_want;
	ht_run(ht, c->run);
	KUNIT_EXPECT_STREQ(test, ht->log, c->log);
	KUNIT_EXPECT_STREQ(test, ht_picture(ht), c->want);
	KUNIT_EXPECT_NULL(test, ht->inside);
}

/* Geometries of everything that is tried at every offset in a granule */
static const struct ht_geometry offset_geometries[] = {
	{ .gp = 1 }, { .gp = 3 }, { .gp = 4 }, { .gp = 0 }, { .gp = -1 },
};

static void geometry_name(const struct ht_geometry *g, char *desc)
{
	static const char * const fits[] = {
		[SPAN_FIT_BEST] = "best",
		[SPAN_FIT_FIRST] = "first",
		[SPAN_FIT_PLACED] = "placed",
	};

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s%d, %s fit%s%s", g->gp < 0 ? "P/G=" : "G/P=",
		 1 << abs(g->gp), fits[g->fit], g->debug ? ", debug" : "",
		 g->group ? ", trimmed" : "");
}

KUNIT_ARRAY_PARAM(offset, offset_geometries, geometry_name);

/* Formats the picture that is expected and compares. */
static __printf(2, 3) void ht_expect(struct ht *ht, const char *fmt, ...)
{
	char *want = kunit_kzalloc(ht->test, HT_TEXT, GFP_KERNEL);
	va_list args;

	KUNIT_ASSERT_NOT_NULL(ht->test, want);
	va_start(args, fmt);
	vscnprintf(want, HT_TEXT, fmt, args);
	va_end(args);
	KUNIT_EXPECT_STREQ(ht->test, ht_picture(ht), want);
	kunit_kfree(ht->test, want);
}

static __printf(3, 4) void ht_drawf(struct ht *ht, const struct ht_geometry *g, const char *fmt,
				    ...)
{
	char *start = kunit_kzalloc(ht->test, HT_TEXT, GFP_KERNEL);
	va_list args;

	KUNIT_ASSERT_NOT_NULL(ht->test, start);
	va_start(args, fmt);
	vscnprintf(start, HT_TEXT, fmt, args);
	va_end(args);
	ht_draw(ht, g, start);
	kunit_kfree(ht->test, start);
}

static __printf(2, 3) void ht_runf(struct ht *ht, const char *fmt, ...)
{
	char script[64];
	va_list args;

	va_start(args, fmt);
	vscnprintf(script, sizeof(script), fmt, args);
	va_end(args);
	ht_run(ht, script);
}

static u64 ht_released(const struct ht *ht)
{
	return ht_pages(ht, ht->heap.stats.heap_released);
}

static bool same_stats(const struct span_heap_stats *a, const struct span_heap_stats *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Rules 4 to 7: an allocation of every size from three granules of scavenged memory. */
static void span_heap_trim_offsets(struct kunit *test)
{
	const struct ht_geometry *g = test->param_value;
	u64 granule = g->gp > 0 ? 1 << g->gp : 1, size = 3 * granule, draw, n;
	struct ht *ht = test->priv;

	for (n = 1; n < size; n++) {
		u64 left = (size - n) / granule * granule;

		ht_drawf(ht, g, "S%llu@5", size);
		KUNIT_EXPECT_EQ(test, ht_released(ht), size);
		draw = ht->events;
		ht_runf(ht, "a%llu", n);
		ht_expect(ht, "U%llu %c%llu@5", n, left ? 'S' : 'F', size - n);
		KUNIT_EXPECT_EQ(test, ht_released(ht), left);
		KUNIT_EXPECT_EQ(test, ht->events, draw + event_hash('u', 0, n));
	}
}

/*
 * Rule 14, at every offset in a granule, in both directions: a scavenged span that ends at
 * @at next to one that is freed there, and one that begins there.
 */
static void realign_scavenged(struct ht *ht, const struct ht_geometry *g, u64 granule, u64 at)
{
	u64 end = 3 * granule, down = at / granule * granule;
	u64 up = end - (end - at) / granule * granule;

	ht_drawf(ht, g, "S%llu@5 U%llu", at, end - at);
	KUNIT_EXPECT_EQ(ht->test, ht_released(ht), down);
	ht_runf(ht, "f%llu", at);
	ht_expect(ht, "S%llu@5 F%lluz@9", down, end - down);
	KUNIT_EXPECT_EQ(ht->test, ht_released(ht), down);

	ht_drawf(ht, g, "U%llu S%llu@5", at, end - at);
	KUNIT_EXPECT_EQ(ht->test, ht_released(ht), end - up);
	ht_runf(ht, "f0");
	ht_expect(ht, "F%lluz@9 S%llu@5", up, end - up);
	KUNIT_EXPECT_EQ(ht->test, ht_released(ht), end - up);
}

/* The same, where the span that comes is the scavenged one, as its neighbour was freed. */
static void realign_free(struct ht *ht, const struct ht_geometry *g, u64 granule, u64 at)
{
	u64 end = 3 * granule, down = at / granule * granule;
	u64 up = end - (end - at) / granule * granule;
	char inside[32];

	scnprintf(inside, sizeof(inside), "f%llu", at);
	ht_drawf(ht, g, "F%lluz@5 U%llu", at, end - at);
	ht->inside = inside;
	ht->inside_want = NULL;
	ht_runf(ht, "s0");
	ht_expect(ht, "S%lluz@5 F%lluz@9", down, end - down);
	KUNIT_EXPECT_EQ(ht->test, ht_released(ht), down);

	ht_drawf(ht, g, "U%llu F%lluz@5", at, end - at);
	ht->inside = "f0";
	ht->inside_want = NULL;
	ht_runf(ht, "s%llu", at);
	ht_expect(ht, "F%lluz@9 S%lluz@5", up, end - up);
	KUNIT_EXPECT_EQ(ht->test, ht_released(ht), end - up);
}

/*
 * The same, where both sides were released one in the other.  A granule that the boundary
 * cuts was released by neither, so they can only stay scavenged together if there is none.
 */
static void realign_torn(struct ht *ht, const struct ht_geometry *g, u64 granule, u64 at)
{
	u64 end = 3 * granule, down = at / granule * granule;
	u64 up = end - (end - at) / granule * granule;
	char inside[32];

	scnprintf(inside, sizeof(inside), "f%llu s%llu", at, at);
	ht_drawf(ht, g, "F%lluz@5 U%llu", at, end - at);
	ht->inside = inside;
	ht->inside_want = NULL;
	ht_runf(ht, "s0");
	if (at % granule)
		ht_expect(ht, "F%lluz@5 S%lluz@9", up, end - up);
	else
		ht_expect(ht, "S%lluz@5", end);
	KUNIT_EXPECT_EQ(ht->test, ht_released(ht), at % granule ? end - up : end);

	ht_drawf(ht, g, "U%llu F%lluz@5", at, end - at);
	ht->inside = "f0 s0";
	ht->inside_want = NULL;
	ht_runf(ht, "s%llu", at);
	if (at % granule)
		ht_expect(ht, "S%lluz@9 F%lluz@5", down, end - down);
	else
		ht_expect(ht, "S%lluz@5", end);
	KUNIT_EXPECT_EQ(ht->test, ht_released(ht), at % granule ? down : end);
}

static void span_heap_realign_offsets(struct kunit *test)
{
	const struct ht_geometry *g = test->param_value;
	u64 granule = g->gp > 0 ? 1 << g->gp : 1, at;
	struct ht *ht = test->priv;

	/* On both sides of the boundary there is a granule of its own. */
	for (at = granule; at <= 2 * granule; at++) {
		realign_scavenged(ht, g, granule, at);
		realign_free(ht, g, granule, at);
		realign_torn(ht, g, granule, at);
	}
}

/* Rule 13: two spans that meet at every offset in two granules.  Asks, as merging would warn. */
static void span_heap_may_merge(struct kunit *test)
{
	const struct ht_geometry *g = test->param_value;
	u64 granule = g->gp > 0 ? 1 << g->gp : 1, at;
	struct ht_geometry whole = *g;
	struct ht *ht = test->priv;

	whole.arena = 64;
	ht_make(ht, &whole);
	for (at = 1; at <= 2 * granule; at++) {
		struct span a = { .base = 0, .npages = at };
		struct span b = { .base = at, .npages = 3 * granule };

		KUNIT_EXPECT_TRUE(test, may_merge(&ht->heap, &a, &b));
		KUNIT_EXPECT_TRUE(test, may_merge(&ht->heap, &b, &a));
		a.scavenged = 1;
		b.scavenged = 1;
		KUNIT_EXPECT_EQ(test, may_merge(&ht->heap, &a, &b), at % granule == 0);
		KUNIT_EXPECT_EQ(test, may_merge(&ht->heap, &b, &a), at % granule == 0);
	}
}

/* Rule 13: a heap that knows itself broken refuses everything, and stays as it is. */
static void span_heap_broken(struct kunit *test)
{
	static const char picture[] = "U4 F4z@1 S4z@2 U4";
	const struct ht_geometry g = {};
	struct span_heap_stats stats;
	struct ht *ht = test->priv;
	const char *what = NULL;
	struct span_heap *heap;
	struct span *s = NULL;

	heap = &ht->heap;
	ht_draw(ht, &g, picture);
	ht_spares(ht, SPAN_HEAP_SPARES);
	stats = heap->stats;
	heap->broken = true;
	KUNIT_EXPECT_EQ(test, span_heap_alloc(heap, 1, 1, &s, NULL), -EUCLEAN);
	KUNIT_EXPECT_NULL(test, s);
	KUNIT_EXPECT_EQ(test, span_heap_free(heap, 0, 0, 9), -EUCLEAN);
	KUNIT_EXPECT_EQ(test, span_heap_scavenge(heap, span_heap_find(heap, 4)), -EUCLEAN);
	KUNIT_EXPECT_EQ(test, span_heap_scavenge_bytes(heap, U64_MAX, NULL), 0);
	KUNIT_EXPECT_EQ(test, span_heap_scavenge_age(heap, 9, 0, U64_MAX, NULL), 0);
	KUNIT_EXPECT_EQ(test, span_heap_unscavenge(heap, 8, 4, 9), -EUCLEAN);
	KUNIT_EXPECT_EQ(test, span_heap_lookup(heap, 0, 4, &s), -EUCLEAN);
	KUNIT_EXPECT_NULL(test, s);
	KUNIT_EXPECT_EQ(test, span_heap_recount(heap, &what), -EUCLEAN);
	KUNIT_EXPECT_NOT_NULL(test, what);
	KUNIT_EXPECT_STREQ(test, ht_picture(ht), picture);
	KUNIT_EXPECT_STREQ(test, ht->log, "");
	KUNIT_EXPECT_TRUE(test, same_stats(&stats, &heap->stats));
	heap->broken = false;
	ht_audit(ht);
}

/* One thing is wrong in a heap: the recount has to see it, and to say what it is. */
static void recount_sees(struct ht *ht, const char *which)
{
	const char *what = NULL;

	KUNIT_EXPECT_EQ_MSG(ht->test, span_heap_recount(&ht->heap, &what), -EUCLEAN, "%s", which);
	KUNIT_EXPECT_TRUE_MSG(ht->test, what && !strncmp(what, which, strlen(which)),
			      "%s, but the recount says %s", which, what);
}

/* Moves the boundary between two neighbours. */
static void forge_boundary(struct span *a, struct span *b, int pages)
{
	a->npages += pages;
	b->base += pages;
	b->npages -= pages;
}

static void span_heap_recount_sees(struct kunit *test)
{
	const struct ht_geometry g = { .gp = 2 };
	struct ht *ht = test->priv;
	struct span_heap *heap = &ht->heap;
	struct span_heap_stats *stats = &heap->stats, good;
	struct span *u, *f, *s, *u2, *f2;
	u64 *figure;

	ht_draw(ht, &g, "U4 F8z@3 S8z@2 U4 F8z@1");
	u = span_heap_find(heap, 0);
	f = span_heap_find(heap, 4);
	s = span_heap_find(heap, 12);
	u2 = span_heap_find(heap, 20);
	f2 = span_heap_find(heap, 24);

	/* Every figure up to the numbers of spans, which come before nr_alloc. */
	good = *stats;
	for (figure = (u64 *)stats; figure < &stats->nr_alloc; figure++) {
		++*figure;
		recount_sees(ht, figure == &stats->heap_released ? "I1" :
				 figure < &stats->heap_released ? "I2" : "numbers of spans");
		*stats = good;
	}
	heap->nr_spares++;
	recount_sees(ht, "numbers of spans");
	heap->nr_spares--;

	s->scavenged = 0;
	recount_sees(ht, "I3");
	s->scavenged = 1;
	forge_boundary(f, s, 1);
	recount_sees(ht, "I4");
	forge_boundary(f, s, -1);
	forge_boundary(s, u2, -5);
	recount_sees(ht, "I5");
	forge_boundary(s, u2, 5);

	u->scavenged = 1;
	recount_sees(ht, "I6: a span that is not free");
	u->scavenged = 0;
	f2->state = SPAN_INUSE;
	recount_sees(ht, "I6: a size tree");
	fit_erase(heap, f2);
	recount_sees(ht, "I6: the tree of ages");
	f2->state = SPAN_FREE;
	recount_sees(ht, "I6: a free span is missing");
	fit_insert(heap, f2);
	u2->state = SPAN_FREE;
	u2->scavenged = 1;
	s->state = SPAN_INUSE;
	s->scavenged = 0;
	recount_sees(ht, "I6: a size tree");
	s->state = SPAN_FREE;
	s->scavenged = 1;
	u2->state = SPAN_INUSE;
	u2->scavenged = 0;

	u->npages--;
	recount_sees(ht, "I8: spans overlap or leave a gap");
	u->npages += 2;
	recount_sees(ht, "I7");
	u->npages--;
	f2->npages = 0;
	recount_sees(ht, "I8: a span is empty");
	f2->npages = 8;
	f2->index->heap = NULL;
	recount_sees(ht, "I6: an index");
	f2->index->heap = heap;
	f2->index->span = f;
	recount_sees(ht, "rule 1");
	f2->index->span = f2;
	u->index = f2->index;
	recount_sees(ht, "I6: an index");
	u->index = NULL;
	heap->nr_indices++;
	recount_sees(ht, "number of spare indices");
	heap->nr_indices--;

	forge_boundary(u2, f2, 1);
	recount_sees(ht, "rule 1");
	forge_boundary(u2, f2, -1);
	f->unusedsince = 0;
	recount_sees(ht, "rule 17");
	f->unusedsince = 3;
	ht_run(ht, "a1/8");
	f2->index->caps.cap[caps_slot(heap, 3)]++;
	recount_sees(ht, "rule 3: a capacity in a size tree");
	/* The recount may have recomputed some of the maxima from the wrong one. */
	caps_rebuild(heap);
	heap->broken = true;
	recount_sees(ht, "rule 13");
	KUNIT_EXPECT_EQ(test, span_heap_recount(heap, NULL), -EUCLEAN);
	heap->broken = false;
	ht_audit(ht);
}

/* The same for the index that only first fit has */
static void span_heap_recount_sees_first_fit(struct kunit *test)
{
	const struct ht_geometry g = { .fit = SPAN_FIT_FIRST };
	struct ht *ht = test->priv;
	struct span *s;
	int kind;

	ht_draw(ht, &g, "U4 F8z@3 S8z@2 U4 F8z@1");
	for (kind = 0; kind < 2; kind++) {
		s = span_heap_find(&ht->heap, kind ? 12 : 4);
		s->index->caps.cap[kind]++;
		recount_sees(ht, "rule 3: a capacity in the tree of all spans");
		caps_rebuild(&ht->heap);
		ht_audit(ht);
	}
}

/* What span_heap_init() refuses */
static void span_heap_geometry(struct kunit *test)
{
	const struct span_heap_config good = {
		.size = 1 << 20,
		.growth = 1 << 18,
		.page_shift = 13,
		.granule_shift = 16,
		.huge_shift = 21,
	};
	struct ht *ht = test->priv;
	struct span_heap_config cfg;
	struct span_heap *heap;

	heap = &ht->heap;
#define EXPECT_INIT(err, member, value)							\
	do {										\
		cfg = good;								\
		cfg.member = value;							\
		KUNIT_EXPECT_EQ(test, span_heap_init(heap, &cfg, &ht_ops, ht), err);	\
	} while (0)
	EXPECT_INIT(0, size, 1 << 20);
	KUNIT_EXPECT_EQ(test, heap->stats.heap_sys, 0);
	KUNIT_EXPECT_NULL(test, span_heap_first(heap));
	KUNIT_EXPECT_NULL(test, span_heap_find(heap, 0));
	EXPECT_INIT(0, size, (1ULL << (SPAN_HEAP_MAX_SHIFT + 13)) - (1 << 16));
	EXPECT_INIT(-EINVAL, size, 1ULL << (SPAN_HEAP_MAX_SHIFT + 13));
	EXPECT_INIT(-EINVAL, size, 0);
	EXPECT_INIT(-EINVAL, size, (1 << 20) + (1 << 13));
	EXPECT_INIT(-EINVAL, size, (1 << 20) + 1);
	EXPECT_INIT(-EINVAL, size, U64_MAX);
	EXPECT_INIT(0, growth, 1 << 16);
	EXPECT_INIT(0, growth, 1 << 20);
	EXPECT_INIT(0, growth, 3 << 16);
	EXPECT_INIT(-EINVAL, growth, 0);
	EXPECT_INIT(-EINVAL, growth, 1 << 15);
	EXPECT_INIT(-EINVAL, growth, (1 << 18) + (1 << 13));
	EXPECT_INIT(-EINVAL, growth, (1 << 20) + (1 << 16));
	EXPECT_INIT(-EINVAL, growth, 1ULL << 63);
	EXPECT_INIT(0, page_shift, 16);
	EXPECT_INIT(0, page_shift, 18);
	EXPECT_INIT(-EINVAL, page_shift, 19);
	EXPECT_INIT(-EINVAL, page_shift, 22);
	EXPECT_INIT(-EINVAL, page_shift, 255);
	EXPECT_INIT(0, granule_shift, 12);
	EXPECT_INIT(-EINVAL, granule_shift, 19);
	EXPECT_INIT(-EINVAL, granule_shift, 22);
	EXPECT_INIT(0, huge_shift, 16);
	EXPECT_INIT(-EINVAL, huge_shift, 15);
	EXPECT_INIT(-EINVAL, huge_shift, 64);
	EXPECT_INIT(0, fit, SPAN_FIT_FIRST);
	EXPECT_INIT(0, fit, SPAN_FIT_PLACED);
	EXPECT_INIT(-EINVAL, fit, SPAN_FIT_PLACED + 1);
#undef EXPECT_INIT
}

/* Every operation of the table may be missing. */
static void span_heap_no_ops(struct kunit *test)
{
	static const struct span_heap_ops none = {};
	const struct ht_geometry *g = test->param_value;
	u64 granule = g->gp > 0 ? 1 << g->gp : 1;
	struct ht *ht = test->priv;
	struct ht_geometry mine = *g;
	struct span *s = NULL;
	bool scavenged;

	mine.arena = 4 * granule;
	mine.hp = 4;
	mine.fit = SPAN_FIT_PLACED;
	ht_make(ht, &mine);
	ht->heap.ops = &none;
	KUNIT_ASSERT_EQ(test, ht_alloc(ht, granule, 0, &s, &scavenged), 0);
	KUNIT_EXPECT_TRUE(test, scavenged);
	KUNIT_EXPECT_EQ(test, s->base, 0);
	ht_audit(ht);
	KUNIT_EXPECT_EQ(test, ht_free(ht, 0, granule), 0);
	ht_audit(ht);
	ht->nr_scavenge = 1;
	KUNIT_EXPECT_EQ(test, span_heap_scavenge_bytes(&ht->heap, 1, NULL),
			granule << ht->heap.cfg.page_shift);
	ht_expect(ht, "S%lluz@9", 4 * granule);
	ht->heap.cfg.debug = true;
	KUNIT_EXPECT_EQ(test, ht_alloc_at(ht, 2 * granule), 0);
	KUNIT_EXPECT_EQ(test, ht_free(ht, 0, 0), 0);
	ht_audit(ht);
	ht_expect(ht, "F%lluz@9 S%lluz@9", 2 * granule, 2 * granule);
	KUNIT_EXPECT_STREQ(test, ht->log, "");
}

/*
 * Memory for metadata runs out: with fewer spares than SPAN_HEAP_SPARES an allocation
 * fails and nothing changes, whatever it would have had to do; freeing needs none, and
 * scavenging only where trim() leaves something of the span (rows "trim" above).  The
 * random tests try the same at each of their allocations.
 */
static void span_heap_no_spares(struct kunit *test)
{
	static const char * const pictures[] = {
		"", "F4z U4 S8@2", "U4 F12z", "U4 S12", "U3 S10 U3", "U16", "U8 F4z@7 U4",
	};
	const struct ht_geometry g = { .gp = 2, .arena = 64, .growth = 16 };
	struct ht *ht = test->priv;
	struct span_heap_stats stats;
	unsigned int i, spares, align;
	struct span *s;
	int err;

	for (i = 0; i < ARRAY_SIZE(pictures); i++) {
		ht_draw(ht, &g, pictures[i]);
		stats = ht->heap.stats;
		for (spares = 0; spares < SPAN_HEAP_SPARES; spares++) {
			for (align = 1; align <= 16; align *= 4) {
				ht_spares(ht, spares);
				s = NULL;
				err = span_heap_alloc(&ht->heap, 3, align, &s, NULL);
				KUNIT_EXPECT_EQ(test, err, -ENOMEM);
				KUNIT_EXPECT_NULL(test, s);
				KUNIT_EXPECT_EQ(test, ht->heap.nr_spares, spares);
				KUNIT_EXPECT_STREQ(test, ht_picture(ht), pictures[i]);
				KUNIT_EXPECT_STREQ(test, ht->log, "");
				KUNIT_EXPECT_TRUE(test, same_stats(&stats, &ht->heap.stats));
				ht_audit(ht);
			}
		}
		/* With as many as it takes the same request succeeds. */
		KUNIT_EXPECT_EQ(test, ht_alloc(ht, 3, 16, &s, NULL), 0);
		ht_audit(ht);
	}

	ht_draw(ht, &g, "F8z@1 U4 S8 U4 F4z@3 U4");
	ht_run(ht, "k0 f8 f20 s0");
	KUNIT_EXPECT_STREQ(test, ht->log, "=0 =0 r0+12 =12");
	KUNIT_EXPECT_STREQ(test, ht_picture(ht), "S20z@9 F8z@9 U4");
}

/*
 * Exhaustive small cases: 8 pages, cut into up to small_spans spans in every way, freed in
 * every order, each of them scavenged right after it was freed or not.
 */
#define SMALL_PAGES	8
#define SMALL_SPANS_MAX	6
/* As trim() takes pages in groups, many small spans add nothing. */
#define SMALL_SPANS_TRIM	3U

static const struct ht_geometry small_geometries[] = {
	{ .gp = 0, .hp = 2 }, { .gp = 1, .hp = 2 }, { .gp = 2, .hp = 2 },
	{ .gp = 1, .hp = 2, .group = 4 },
};

KUNIT_ARRAY_PARAM(small, small_geometries, geometry_name);

static u64 factorial(u64 n)
{
	return n > 1 ? n * factorial(n - 1) : 1;
}

/* Frees the spans in the order with the number @order, of k! orders. */
static void small_case(struct ht *ht, const u64 *base, unsigned int k, u64 order,
		       unsigned int scavenge)
{
	unsigned int left[SMALL_SPANS_MAX], i, pick;
	struct naive *n = ht->naive;
	int at;

	for (i = 0; i < k; i++)
		left[i] = i;
	for (i = k; i; i--) {
		pick = order % i;
		order /= i;

		KUNIT_ASSERT_EQ(ht->test, ht_free(ht, base[left[pick]], 0), 0);
		naive_free(n, naive_find(n, base[left[pick]]), ht->now);
		naive_check(ht);
		if (scavenge & 1 << left[pick]) {
			struct span *s = span_heap_find(&ht->heap, base[left[pick]]);
			u64 want, got;

			at = naive_find(n, s->base);
			want = naive_scavenge(n, at);
			got = ht_pages(ht, ht_scavenge(ht, s->base));
			KUNIT_ASSERT_EQ(ht->test, got, want);
			naive_check(ht);
		}
		memmove(&left[pick], &left[pick + 1], (i - 1 - pick) * sizeof(left[0]));
		ht->now++;
	}
}

static void span_heap_exhaustive(struct kunit *test)
{
	unsigned int cuts, k, most = min_t(unsigned int, small_spans, SMALL_SPANS_MAX), scavenge;
	u64 base[SMALL_SPANS_MAX], order, cases = 0, want = 0, ways = 1;
	struct ht_geometry g = *(const struct ht_geometry *)test->param_value;
	struct ht *ht = test->priv;

	if (g.group)
		most = min(most, SMALL_SPANS_TRIM);
	/* Each page but the first begins a new span or does not: C(7, k - 1) ways. */
	for (k = 1; k <= most; k++) {
		want += ways * factorial(k) << k;
		ways = ways * (SMALL_PAGES - k) / k;
	}

	g.arena = SMALL_PAGES;
	keep_structs = true;
	ht->naive = kunit_kzalloc(test, sizeof(*ht->naive), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ht->naive);
	for (cuts = 0; cuts < 1 << (SMALL_PAGES - 1); cuts++) {
		u64 page, npages[SMALL_SPANS_MAX];

		k = 1;
		for (page = 1; page < SMALL_PAGES; page++)
			k += cuts >> (page - 1) & 1;
		if (k > most)
			continue;
		memset(npages, 0, sizeof(npages));
		for (page = 0, k = 0; page < SMALL_PAGES; page++) {
			if (page && cuts >> (page - 1) & 1)
				k++;
			if (!npages[k]++)
				base[k] = page;
		}
		k++;
		for (order = 0; order < factorial(k); order++) {
			for (scavenge = 0; scavenge < 1 << k; scavenge++) {
				unsigned int i;

				ht_make(ht, &g);
				ht->steer.group = g.group;
				for (i = 0; i < k; i++) {
					s64 at = naive_alloc(ht->naive, npages[i], 1);

					KUNIT_ASSERT_EQ(test, ht_alloc_at(ht, npages[i]), at);
					KUNIT_ASSERT_EQ(test, at, base[i]);
				}
				naive_check(ht);
				small_case(ht, base, k, order, scavenge);
				cases++;
			}
		}
	}
	KUNIT_EXPECT_EQ(test, cases, want);
}

/* Random operations, on the heap and on the naive heap */

static u64 next_random(struct ht *ht, u64 below)
{
	ht->rnd ^= ht->rnd << 13;
	ht->rnd ^= ht->rnd >> 7;
	ht->rnd ^= ht->rnd << 17;
	return (ht->rnd >> 16) % below;
}

/* A random span of the naive heap that is in a state, or -1. */
static int random_span(struct ht *ht, enum span_state state, bool scavenged)
{
	unsigned int i, at, nr = ht->naive->nr;

	if (!nr)
		return -1;
	at = next_random(ht, nr);
	for (i = 0; i < nr; i++, at = (at + 1) % nr)
		if (ht->naive->s[at].state == state && ht->naive->s[at].scavenged == scavenged)
			return at;
	return -1;
}

static void random_alloc(struct ht *ht)
{
	u64 npages = 1 + next_random(ht, next_random(ht, 2) ? 4 : ht->rnd_pages), align = 1;
	struct span *s = NULL;
	unsigned int spares;
	bool scavenged;
	s64 want;
	int err;

	if (!next_random(ht, 3))
		align <<= next_random(ht, 11);

	for (spares = 0; spares < SPAN_HEAP_SPARES; spares++) {
		ht_spares(ht, spares);
		err = span_heap_alloc(&ht->heap, npages, align, &s, &scavenged);
		KUNIT_ASSERT_EQ(ht->test, err, -ENOMEM);
	}
	naive_check(ht);

	want = naive_alloc(ht->naive, npages, align);
	err = ht_alloc(ht, npages, align, &s, &scavenged);
	KUNIT_ASSERT_EQ_MSG(ht->test, err ? err : s->base, want, "seed %lu step %u: %s", seed,
			    ht->step, ht_picture(ht));
}

static void random_free(struct ht *ht)
{
	int i = random_span(ht, SPAN_INUSE, false);
	u64 base, npages;
	bool fails;

	if (i < 0)
		return;
	base = ht->naive->s[i].base;
	npages = next_random(ht, 2) ? ht->naive->s[i].npages : 0;
	if (!naive_free(ht->naive, i, ht->now)) {
		KUNIT_ASSERT_EQ(ht->test, ht_free(ht, base, npages), 0);
		return;
	}
	fails = !next_random(ht, 4);
	ht->fail = fails;
	KUNIT_ASSERT_EQ(ht->test, ht_free(ht, base, npages), 0);
	naive_return(ht->naive, base, !fails);
}

static void random_bad_free(struct ht *ht)
{
	u64 base = next_random(ht, ht->naive->arena);
	int i = naive_find(ht->naive, base);

	if (i >= 0 && ht->naive->s[i].state == SPAN_INUSE)
		KUNIT_ASSERT_EQ(ht->test, ht_free(ht, base, ht->naive->s[i].npages + 1), -EINVAL);
	else
		KUNIT_ASSERT_EQ(ht->test, ht_free(ht, base, 0), -ENOENT);
}

/* A span that would have to be split cannot be scavenged with fewer than SPAN_HEAP_SPARES. */
static void random_scavenge_no_spares(struct ht *ht, unsigned int i)
{
	const struct naive_span *t = &ht->naive->s[i];
	u64 base, end, events = ht->events;
	struct span *s;

	if (!naive_can_scavenge(ht->naive, i) || !naive_trim(ht->naive, i, &base, &end) ||
	    end - base == t->npages)
		return;
	s = span_heap_find(&ht->heap, t->base);
	ht_spares(ht, next_random(ht, SPAN_HEAP_SPARES));
	KUNIT_ASSERT_EQ(ht->test, span_heap_scavenge(&ht->heap, s), -ENOMEM);
	/* trim() was called, and nothing else. */
	KUNIT_ASSERT_EQ(ht->test, ht->events - events,
			event_hash('t', naive_block(t, ht->naive->granule),
				   naive_pb(ht->naive, t)));
	ht->events = events;
	naive_check(ht);
}

static void random_scavenge(struct ht *ht)
{
	int i = random_span(ht, SPAN_FREE, false);
	s64 want = 0, part, got;
	bool fails;
	u64 base;

	if (i < 0)
		return;
	random_scavenge_no_spares(ht, i);
	base = ht->naive->s[i].base;
	part = naive_take(ht->naive, i);
	fails = part >= 0 && !next_random(ht, 4);
	ht->fail = fails;
	got = ht_scavenge(ht, base);
	if (part >= 0)
		want = naive_return(ht->naive, part, !fails) << ht->heap.cfg.page_shift;
	KUNIT_ASSERT_EQ(ht->test, got, fails ? -EBUSY : want);
}

/* Both ways of rule 17; without anything else going on, as only then the order is given. */
static void random_scavenge_many(struct ht *ht)
{
	u64 npages = next_random(ht, 3 * ht->rnd_pages), limit = next_random(ht, 200), count = 0;
	u8 shift = ht->heap.cfg.page_shift;
	u64 got, want, before = ht->heap.stats.nr_scavenge;
	bool nest = ht->nest;

	ht->nest = false;
	ht_fill_spares(ht);
	if (next_random(ht, 2)) {
		want = naive_scavenge_bytes(ht->naive, npages, &count);
		got = span_heap_scavenge_bytes(&ht->heap, npages << shift, NULL);
	} else {
		want = naive_scavenge_age(ht->naive, ht->now, limit, npages, &count);
		got = span_heap_scavenge_age(&ht->heap, ht->now, limit, npages << shift, NULL);
	}
	ht_scavenged(ht, got);
	ht->nest = nest;
	KUNIT_ASSERT_EQ(ht->test, got >> shift, want);
	KUNIT_ASSERT_EQ(ht->test, ht->heap.stats.nr_scavenge - before, count);
}

static void random_unscavenge(struct ht *ht)
{
	u64 granule = ht->naive->granule, sys = ht->naive->sys / granule, base, npages;
	unsigned int spares;

	if (!sys)
		return;
	base = next_random(ht, sys);
	npages = (1 + next_random(ht, sys - base)) * granule;
	base *= granule;
	for (spares = 0; spares < SPAN_HEAP_SPARES; spares++) {
		ht_spares(ht, spares);
		KUNIT_ASSERT_EQ(ht->test, span_heap_unscavenge(&ht->heap, base, npages, ht->now),
				-ENOMEM);
	}
	naive_check(ht);
	naive_unscavenge(ht->naive, base, base + npages, ht->now);
	KUNIT_ASSERT_EQ(ht->test, ht_unscavenge(ht, base, npages), 0);
}

static void random_steer(struct ht *ht)
{
	const struct naive *n = ht->naive;
	u64 most = n->arena / n->granule / 8;

	/* At most an eighth of the arena, or next to nothing would be scavenged. */
	ht->steer.group = 0;
	if (next_random(ht, 2))
		ht->steer.group = n->granule * (1 + next_random(ht, min(8, most)));
	ht->steer.like = next_random(ht, n->arena);
	ht->steer.like_end = ht->steer.like + next_random(ht, n->arena);
}

static void random_step(struct ht *ht)
{
	u64 op = next_random(ht, 100);

	ht->step++;
	if (!next_random(ht, 8))
		random_steer(ht);
	ht->now += next_random(ht, 3);
	if (op < 44)
		random_alloc(ht);
	else if (op < 80)
		random_free(ht);
	else if (op < 84)
		random_bad_free(ht);
	else if (op < 92)
		random_scavenge(ht);
	else if (op < 95)
		random_unscavenge(ht);
	else
		random_scavenge_many(ht);
	naive_check(ht);
}

static const struct ht_geometry random_geometries[] = {
	{ .gp = -1, .hp = 3, .arena = 256, .growth = 32 },
	{ .gp = 0, .hp = 3, .arena = 256, .growth = 24 },
	{ .gp = 1, .hp = 3, .arena = 256, .growth = 32 },
	{ .gp = 3, .hp = 4, .arena = 256, .growth = 32 },
	{ .gp = 4, .hp = 5, .arena = 256, .growth = 48 },
	{ .gp = 9, .hp = 10, .arena = 8192, .growth = 1024 },
	{ .gp = 0, .hp = 3, .arena = 256, .growth = 32, .debug = true },
	{ .gp = 3, .hp = 3, .arena = 256, .growth = 8, .debug = true },
	{ .gp = -1, .hp = 3, .arena = 256, .growth = 32, .fit = SPAN_FIT_FIRST },
	{ .gp = 0, .hp = 3, .arena = 256, .growth = 24, .fit = SPAN_FIT_FIRST },
	{ .gp = 1, .hp = 3, .arena = 256, .growth = 32, .fit = SPAN_FIT_FIRST },
	{ .gp = 3, .hp = 4, .arena = 256, .growth = 32, .fit = SPAN_FIT_FIRST },
	{ .gp = 4, .hp = 5, .arena = 256, .growth = 48, .fit = SPAN_FIT_FIRST },
	{ .gp = 9, .hp = 10, .arena = 8192, .growth = 1024, .fit = SPAN_FIT_FIRST },
	{ .gp = 0, .hp = 3, .arena = 256, .growth = 32, .fit = SPAN_FIT_FIRST, .debug = true },
	{ .gp = 3, .hp = 3, .arena = 256, .growth = 8, .fit = SPAN_FIT_FIRST, .debug = true },
	{ .gp = -1, .hp = 3, .arena = 256, .growth = 32, .fit = SPAN_FIT_PLACED },
	{ .gp = 0, .hp = 3, .arena = 256, .growth = 24, .fit = SPAN_FIT_PLACED },
	{ .gp = 3, .hp = 4, .arena = 256, .growth = 32, .fit = SPAN_FIT_PLACED },
	{ .gp = 9, .hp = 10, .arena = 8192, .growth = 1024, .fit = SPAN_FIT_PLACED },
	{ .gp = 0, .hp = 3, .arena = 256, .growth = 32, .fit = SPAN_FIT_PLACED, .debug = true },
};

KUNIT_ARRAY_PARAM(random, random_geometries, geometry_name);

static void span_heap_random(struct kunit *test)
{
	const struct ht_geometry *g = test->param_value;
	struct ht *ht = test->priv;
	u64 pages;
	int i;

	ht->naive = kunit_kzalloc(test, sizeof(*ht->naive), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ht->naive);
	ht_make(ht, g);
	ht->rnd_pages = max(24ULL, 2 * audit_granule(&ht->heap));
	/* Never 0, which xorshift would not leave. */
	ht->rnd = ((u64)seed << 8 | (u8)(g - random_geometries)) * 0x9e3779b97f4a7c15ULL | 1;
	ht->nest = true;
	while (ht->step < iterations)
		random_step(ht);
	KUNIT_EXPECT_GT(test, ht->nr_alloc, 0);
	KUNIT_EXPECT_GT(test, ht->nr_free, 0);
	KUNIT_EXPECT_GT(test, ht->nr_scavenge, 0);

	/* All free and all scavenged is one span again, all of it released. */
	ht->nest = false;
	while ((i = random_span(ht, SPAN_INUSE, false)) >= 0) {
		random_free(ht);
		naive_check(ht);
	}
	ht->steer.group = 0;
	span_heap_scavenge_bytes(&ht->heap, U64_MAX, NULL);
	pages = ht_pages(ht, ht->heap.stats.heap_sys);
	KUNIT_EXPECT_EQ(test, ht_released(ht), pages);
	KUNIT_EXPECT_PTR_EQ(test, span_heap_find(&ht->heap, 0),
			    span_heap_find(&ht->heap, pages - 1));
}

/*
 * A thread that looks at an allocated span, while another one allocates, frees and scavenges its
 * neighbours: it sees the span as it is, or nothing.  What it sees allocated elsewhere is so, if
 * with the lock held nothing has changed since.
 */
struct peeking {
	struct span_heap *heap;
	struct mutex lock; /* the heap lock */
	u64 base;
	u64 npages;
	u64 pages;
	unsigned long seen;
	unsigned long again;
	unsigned long still;
	unsigned long wrong;
};

static void peek_once(struct peeking *p, u64 page)
{
	struct span_seen seen;
	int err = span_heap_peek(p->heap, page, &seen);

	if (err == -EAGAIN)
		WRITE_ONCE(p->again, p->again + 1);
	else if (err || !seen.inuse || seen.end != p->base + p->npages)
		WRITE_ONCE(p->wrong, p->wrong + 1);
	else
		WRITE_ONCE(p->seen, p->seen + 1);
}

static void peek_still(struct peeking *p, u64 page)
{
	const struct span *s;
	struct span_seen seen;

	if (span_heap_peek(p->heap, page, &seen) || !seen.inuse)
		return;
	mutex_lock(&p->lock);
	if (span_heap_still(p->heap, seen.seq)) {
		s = span_heap_find(p->heap, page);
		p->still++;
		if (!s || s->state != SPAN_INUSE || s->base + s->npages != seen.end)
			WRITE_ONCE(p->wrong, p->wrong + 1);
	}
	mutex_unlock(&p->lock);
}

static int peek_thread(void *data)
{
	struct peeking *p = data;
	u64 i;

	for (i = 0; !kthread_should_stop(); i++) {
		peek_once(p, p->base + i % p->npages);
		if (i % 4 == 0)
			peek_still(p, i / 4 % p->pages);
		if (i % 64 == 0)
			cond_resched();
	}
	return 0;
}

#define PEEK_SPANS	24
#define PEEK_STEPS	20000

static void span_heap_peeks(struct kunit *test)
{
	const struct ht_geometry g = { .gp = 1, .hp = 5, .arena = 2048, .growth = 64,
				       .fit = SPAN_FIT_PLACED, .reuse = true };
	u64 base[PEEK_SPANS] = {}, npages[PEEK_SPANS] = {};
	struct ht *ht = test->priv;
	struct peeking p = { .heap = &ht->heap, .npages = 16 };
	struct task_struct *thread;
	unsigned int i, n, pick;

	ht_make(ht, &g);
	/* What was a struct span remains one. */
	keep_structs = true;
	for (i = 0; i < PEEK_SPANS; i++) {
		npages[i] = 1 + i % 5;
		base[i] = ht_alloc_at(ht, npages[i]);
		if (i == PEEK_SPANS / 2)
			p.base = ht_alloc_at(ht, p.npages);
	}
	mutex_init(&p.lock);
	p.pages = ht_pages(ht, ht->heap.stats.heap_sys);
	thread = kthread_run(peek_thread, &p, "pagearena_peek");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	ht->rnd = seed * 0x9e3779b97f4a7c15ULL | 1;
	for (n = 0; n < PEEK_STEPS; n++) {
		pick = next_random(ht, PEEK_SPANS);
		ht->log_len = 0;
		mutex_lock(&p.lock);
		if (npages[pick]) {
			ht_free(ht, base[pick], npages[pick]);
			npages[pick] = 0;
		} else {
			npages[pick] = 1 + next_random(ht, 40);
			base[pick] = ht_alloc_at(ht, npages[pick]);
		}
		mutex_unlock(&p.lock);
		if (n % 64 == 0) {
			mutex_lock(&p.lock);
			ht_fill_spares(ht);
			span_heap_scavenge_bytes(&ht->heap, U64_MAX, NULL);
			mutex_unlock(&p.lock);
			cond_resched();
		}
	}
	kthread_stop(thread);
	/* Once in peace, should the thread never have had its turn. */
	peek_once(&p, p.base);
	KUNIT_EXPECT_EQ(test, p.wrong, 0);
	KUNIT_EXPECT_GT(test, p.seen, 0);
	kunit_info(test, "seen %lu times, changing %lu times, the same with the lock %lu times\n",
		   p.seen, p.again, p.still);
}

static int span_heap_test_init(struct kunit *test)
{
	struct ht *ht = kunit_kzalloc(test, sizeof(*ht), GFP_KERNEL);

	if (!ht)
		return -ENOMEM;
	ht->test = test;
	ht->pass = UINT_MAX;
	ht->heap.addr = RB_ROOT;
	test->priv = ht;
	nr_structs = 0;
	nr_indices = 0;
	return 0;
}

static void span_heap_test_exit(struct kunit *test)
{
	struct ht *ht = test->priv;

	if (!ht)
		return;
	ht_destroy(ht);
	ht_free_kept();
	KUNIT_EXPECT_EQ(test, nr_structs, 0);
	KUNIT_EXPECT_EQ(test, nr_indices, 0);
}

static struct kunit_case span_heap_cases[] = {
	KUNIT_CASE_PARAM(span_heap_rules, rule_gen_params),
	KUNIT_CASE_PARAM(span_heap_trim_offsets, offset_gen_params),
	KUNIT_CASE_PARAM(span_heap_realign_offsets, offset_gen_params),
	KUNIT_CASE_PARAM(span_heap_may_merge, offset_gen_params),
	KUNIT_CASE(span_heap_broken),
	KUNIT_CASE(span_heap_recount_sees),
	KUNIT_CASE(span_heap_recount_sees_first_fit),
	KUNIT_CASE(span_heap_geometry),
	KUNIT_CASE_PARAM(span_heap_no_ops, offset_gen_params),
	KUNIT_CASE(span_heap_no_spares),
	KUNIT_CASE(span_heap_peeks),
	KUNIT_CASE_PARAM(span_heap_exhaustive, small_gen_params),
	KUNIT_CASE_PARAM(span_heap_random, random_gen_params),
	{}
};

static struct kunit_suite span_heap_suite = {
	.name = "pagearena_span_heap",
	.init = span_heap_test_init,
	.exit = span_heap_test_exit,
	.test_cases = span_heap_cases,
};

kunit_test_suites(&span_heap_suite);

MODULE_DESCRIPTION("KUnit tests of pagearena's span heap");
MODULE_LICENSE("Dual MIT/GPL");
