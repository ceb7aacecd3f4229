// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The span heap.  See span_heap.h for what it is and who locks.
 *
 * The rules, by the numbers that the comments below use.  P is the span page, G the
 * release granule, H the huge page, all powers of two.  pb(s) is the granule-aligned
 * inside of a span, the whole span when P >= G.  released(s) is the size of pb(s) for a
 * scavenged span and 0 for any other.
 *
 * Choosing:
 *   1  Best fit: the smallest number of pages, of these the lowest base.
 *   2  Free spans first, then scavenged ones, then grow and try both again.
 *   3  An aligned request takes the best span that holds an aligned block.
 * Allocating, in this order:
 *   4  The span leaves its tree, and heap_released falls by released(s).
 *   5  What is cut off in front and behind goes back; it inherits needzero, unusedsince.
 *   6  It is scavenged iff the span was and its pb is not empty.  It is coalesced with
 *      its other neighbour, never with the span it was cut from.
 *   7  Only now, if the span was scavenged: used(), on the trimmed part alone.
 *   8  heap_idle falls, heap_inuse rises, unusedsince = 0.
 * Growing:
 *   9  By whole growth units.  New memory is free, *scavenged* and zero.
 * Freeing:
 *  10  Only by the base of an allocated span.
 *  11  heap_inuse falls, heap_idle rises, needzero = 1, unusedsince = now; coalesce.
 * Coalescing, with the predecessor first:
 *  12  Same kind: merge.  Sizes add, needzero ORs, unusedsince stays.
 *  13  Two scavenged spans meet on a granule, or the heap is broken.
 *  14  Different kinds: realign.  The boundary moves into the scavenged span, to a granule.
 *  15  An unscavenged span that now holds more huge pages than its parts: hugepage().
 * Scavenging:
 *  16  unused() on exactly pb(s), heap_released rises, the span changes trees.
 *  17  By age: all spans that have been free for longer.  By amount: largest first.
 *
 * Invariants, verified from scratch by span_heap_recount():
 *  I1  heap_released is the sum of released(s).
 *  I2  heap_idle is the sum of the spans that are not allocated; sys = inuse + idle.
 *  I3  No two adjacent free spans are of the same kind.
 *  I4  The boundary of free neighbours of different kinds lies on a granule.
 *  I5  A scavenged span has a non-empty pb.
 *  I6  A free span is in the size tree that its mark names, any other span in none.
 *  I7  The address lookup finds every span by its first and by its last page.
 *  I8  Spans tile the grown part of the arena.
 */
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/rbtree.h>
#include <linux/rbtree_augmented.h>
#include <linux/seqlock.h>
#include <linux/string.h>
#include <linux/types.h>

#include "span_heap.h"

static inline u64 span_end(const struct span *s)
{
	return s->base + s->npages;
}

/* pb(s), in span pages: [*start, return value); empty if that is not above *start. */
static u64 span_pb(const struct span_heap *heap, const struct span *s, u64 *start)
{
	const struct span_heap_config *cfg = &heap->cfg;
	u64 granule;

	*start = s->base;
	if (cfg->page_shift >= cfg->granule_shift)
		return span_end(s);
	granule = 1ULL << (cfg->granule_shift - cfg->page_shift);
	*start = round_up(s->base, granule);
	return round_down(span_end(s), granule);
}

/* Bytes of pb(s). */
static u64 span_pb_bytes(const struct span_heap *heap, const struct span *s)
{
	u64 start, end;

	end = span_pb(heap, s, &start);
	return end > start ? (end - start) << heap->cfg.page_shift : 0;
}

static u64 span_released(const struct span_heap *heap, const struct span *s)
{
	return s->scavenged ? span_pb_bytes(heap, s) : 0;
}

/* Does a boundary, in span pages, lie on a granule? */
static bool on_granule(const struct span_heap *heap, u64 boundary)
{
	return IS_ALIGNED(boundary << heap->cfg.page_shift, 1ULL << heap->cfg.granule_shift);
}

/* Number of whole, aligned huge pages in a span. */
static u64 span_hugepages(const struct span_heap *heap, const struct span *s)
{
	const struct span_heap_config *cfg = &heap->cfg;
	u64 huge = 1ULL << (cfg->huge_shift - cfg->page_shift);
	u64 start = round_up(s->base, huge), end = round_down(span_end(s), huge);

	return end > start ? (end - start) >> (cfg->huge_shift - cfg->page_shift) : 0;
}

static bool span_is_free(const struct span *s)
{
	return s && s->state == SPAN_FREE;
}

/*
 * Looking without the lock
 *
 * span_heap_peek() descends the tree of all spans while it may change.  What it sees counts only
 * if nothing has changed meanwhile: heap->seq is odd while that tree changes, or the base, the
 * size or the end of the allocation of a span in it, and never the same again.  What is seen
 * before that turns out may be nonsense, but not harmful:
 *
 *  - Whatever is, or was, in the tree keeps the words of its children for as long as somebody
 *    looks: a spare is linked through its parent, a new span is not cleared as a whole, and a
 *    span that is given back is the caller's concern.
 *  - The rbtree's code never makes a loop of children, not even for a moment (lib/rbtree.c,
 *    "Notes on lockless lookups"); and where nodes move while it goes on, the descent ends with
 *    the depth that a tree can have.
 *  - Nobody waits: in doubt the caller takes the lock.
 *
 * Free spans become allocated ones without a change of heap->seq, unless they are cut: that is one
 * word, so there is no middle.
 */
static void heap_change(struct span_heap *heap)
{
	raw_write_seqcount_begin(&heap->seq);
}

static void heap_changed(struct span_heap *heap)
{
	raw_write_seqcount_end(&heap->seq);
}

/*
 * Aligned requests, and first fit
 *
 * For an alignment of 2^k pages let cap_k(s) be what a span can give from the first
 * aligned page on.  A request for n pages is served by a span with cap_k(s) >= n, and the
 * best of them is the leftmost one in a tree: in the size tree for best fit, in the tree
 * of all spans for first fit.  So that tree is augmented with the maximum of cap_k over
 * each subtree, and one descent finds the span.
 *
 * A heap keeps the maxima for the alignments that it was asked for, up to
 * SPAN_HEAP_SLOTS of them (first fit: half as many, as free and scavenged spans share a
 * tree; k = 0 is one of them).  A new one takes the slot that was used the longest ago,
 * which costs one pass over the tree.  A best-fit heap that never sees an aligned request
 * pays nothing.
 *
 * Capacities saturate at U32_MAX; a request is for less (SPAN_HEAP_MAX_PAGES).
 */

static bool heap_first_fit(const struct span_heap *heap)
{
	return heap->cfg.fit == SPAN_FIT_FIRST;
}

static u32 span_cap(const struct span_heap *heap, const struct span *s, unsigned int slot)
{
	u64 start;

	if (s->state != SPAN_FREE || (heap_first_fit(heap) && s->scavenged != (slot & 1)))
		return 0;
	start = round_up(s->base, 1ULL << heap->slots[slot].order);
	return start < span_end(s) ? min_t(u64, span_end(s) - start, U32_MAX) : 0;
}

/* A node's maxima, from its own capacities and its children's maxima. */
static struct span_caps caps_of(const struct span_index *x, const struct span_index *left,
				const struct span_index *right)
{
	struct span_caps caps = x->caps;
	unsigned int i;

	for (i = 0; i < SPAN_HEAP_SLOTS; i++) {
		if (!x->heap->slots[i].active)
			continue;
		caps.cap[i] = span_cap(x->heap, x->span, i);
		if (left)
			caps.cap[i] = max(caps.cap[i], left->caps.cap[i]);
		if (right)
			caps.cap[i] = max(caps.cap[i], right->caps.cap[i]);
	}
	return caps;
}

static const struct span_index *addr_index(const struct rb_node *node)
{
	return node ? rb_entry(node, struct span, addr)->index : NULL;
}

static struct span_caps addr_caps_of(const struct span *s)
{
	return caps_of(s->index, addr_index(s->addr.rb_left), addr_index(s->addr.rb_right));
}

static struct span_caps fit_caps_of(const struct span_index *x)
{
	return caps_of(x, rb_entry_safe(x->fit.rb_left, struct span_index, fit),
		       rb_entry_safe(x->fit.rb_right, struct span_index, fit));
}

static bool caps_equal(const struct span_caps *a, const struct span_caps *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Sets a node's maxima; tells whether they were right, for a propagation to stop there. */
static bool caps_set(struct span_index *x, const struct span_caps *caps)
{
	bool same = caps_equal(&x->caps, caps);

	x->caps = *caps;
	return same;
}

static inline bool addr_caps_compute(struct span *s, bool exit)
{
	struct span_caps caps = addr_caps_of(s);

	return caps_set(s->index, &caps) && exit;
}

static inline bool fit_caps_compute(struct span_index *x, bool exit)
{
	struct span_caps caps = fit_caps_of(x);

	return caps_set(x, &caps) && exit;
}

RB_DECLARE_CALLBACKS(static, addr_caps, struct span, addr, index->caps, addr_caps_compute)
RB_DECLARE_CALLBACKS(static, fit_caps, struct span_index, fit, caps, fit_caps_compute)

/*
 * A span in the tree of all spans changed its size, state or kind.  To be called before
 * the tree changes: rotations count on the maxima being right.  A span that is not free
 * has no capacity, so its size does not matter.
 */
static void addr_caps_update(struct span_heap *heap, struct span *s)
{
	if (heap_first_fit(heap))
		addr_caps_propagate(&s->addr, NULL);
}

static void caps_rebuild(struct span_heap *heap)
{
	struct rb_node *node;
	int kind;

	if (heap_first_fit(heap)) {
		for (node = rb_first_postorder(&heap->addr); node; node = rb_next_postorder(node))
			addr_caps_compute(rb_entry(node, struct span, addr), false);
		return;
	}
	for (kind = 0; kind < 2; kind++)
		for (node = rb_first_postorder(&heap->fit[kind]); node;
		     node = rb_next_postorder(node))
			fit_caps_compute(rb_entry(node, struct span_index, fit), false);
}

/* The slot that indexes alignments of 1 << order pages; first fit: the first of two. */
static unsigned int caps_slot(struct span_heap *heap, u8 order)
{
	unsigned int step = heap_first_fit(heap) ? 2 : 1;
	/* First fit cannot do without order 0, which sits in the first pair. */
	unsigned int i, victim = heap_first_fit(heap) && order ? step : 0;

	heap->stamp++;
	for (i = 0; i < SPAN_HEAP_SLOTS; i += step) {
		if (heap->slots[i].active && heap->slots[i].order == order) {
			heap->slots[i].stamp = heap->stamp;
			return i;
		}
	}
	for (i = victim; i < SPAN_HEAP_SLOTS; i += step)
		if (heap->slots[i].stamp < heap->slots[victim].stamp)
			victim = i;
	for (i = victim; i < victim + step; i++) {
		heap->slots[i].active = true;
		heap->slots[i].order = order;
		heap->slots[i].stamp = heap->stamp;
	}
	heap->indexed = true;
	caps_rebuild(heap);
	return victim;
}

static struct span *addr_leftmost(const struct span_heap *heap, unsigned int slot, u32 npages)
{
	struct rb_node *node = heap->addr.rb_node;

	while (node) {
		struct span *s = rb_entry(node, struct span, addr);
		const struct span_index *left = addr_index(node->rb_left);

		if (s->index->caps.cap[slot] < npages)
			return NULL;
		if (left && left->caps.cap[slot] >= npages) {
			node = node->rb_left;
			continue;
		}
		if (span_cap(heap, s, slot) >= npages)
			return s;
		node = node->rb_right;
	}
	return NULL;
}

static struct span *fit_leftmost(const struct span_heap *heap, int kind, unsigned int slot,
				 u32 npages)
{
	struct rb_node *node = heap->fit[kind].rb_node;

	while (node) {
		struct span_index *x = rb_entry(node, struct span_index, fit);
		struct span_index *left = rb_entry_safe(node->rb_left, struct span_index, fit);

		if (x->caps.cap[slot] < npages)
			return NULL;
		if (left && left->caps.cap[slot] >= npages) {
			node = node->rb_left;
			continue;
		}
		if (span_cap(heap, x->span, slot) >= npages)
			return x->span;
		node = node->rb_right;
	}
	return NULL;
}

/* The trees */

/* What a node of a size tree, or of the tree of ages, stands for. */
static struct span *fit_span(const struct rb_node *node)
{
	return node ? rb_entry(node, struct span_index, fit)->span : NULL;
}

static struct span *age_span(const struct rb_node *node)
{
	return node ? rb_entry(node, struct span_index, age)->span : NULL;
}

static bool addr_less(const struct span *a, const struct span *b)
{
	return a->base < b->base;
}

static bool fit_less(const struct span *a, const struct span *b)
{
	return a->npages != b->npages ? a->npages < b->npages : a->base < b->base;
}

static bool age_less(const struct span *a, const struct span *b)
{
	return a->unusedsince != b->unusedsince ? a->unusedsince < b->unusedsince :
						  a->base < b->base;
}

static void addr_insert(struct span_heap *heap, struct span *s)
{
	struct rb_node **link = &heap->addr.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = addr_less(s, rb_entry(parent, struct span, addr)) ? &parent->rb_left :
									   &parent->rb_right;
	}
	rb_link_node_rcu(&s->addr, parent, link);
	if (!heap_first_fit(heap)) {
		rb_insert_color(&s->addr, &heap->addr);
		return;
	}
	addr_caps_compute(s, false);
	addr_caps_propagate(parent, NULL);
	rb_insert_augmented(&s->addr, &heap->addr, &addr_caps);
}

static void addr_erase(struct span_heap *heap, struct span *s)
{
	if (heap_first_fit(heap))
		rb_erase_augmented(&s->addr, &heap->addr, &addr_caps);
	else
		rb_erase(&s->addr, &heap->addr);
}

static struct span *addr_prev(const struct span *s)
{
	return rb_entry_safe(rb_prev(&s->addr), struct span, addr);
}

static struct span *addr_next(const struct span *s)
{
	return rb_entry_safe(rb_next(&s->addr), struct span, addr);
}

static void fit_insert(struct span_heap *heap, struct span *s)
{
	struct rb_root *root = &heap->fit[s->scavenged];
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = fit_less(s, fit_span(parent)) ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&s->index->fit, parent, link);
	if (heap_first_fit(heap) || !heap->indexed) {
		rb_insert_color(&s->index->fit, root);
		return;
	}
	fit_caps_compute(s->index, false);
	fit_caps_propagate(parent, NULL);
	rb_insert_augmented(&s->index->fit, root, &fit_caps);
}

static void fit_erase(struct span_heap *heap, struct span *s)
{
	struct rb_root *root = &heap->fit[s->scavenged];

	if (heap_first_fit(heap) || !heap->indexed)
		rb_erase(&s->index->fit, root);
	else
		rb_erase_augmented(&s->index->fit, root, &fit_caps);
}

static void age_insert(struct span_heap *heap, struct span *s)
{
	struct rb_node **link = &heap->age.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = age_less(s, age_span(parent)) ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&s->index->age, parent, link);
	rb_insert_color(&s->index->age, &heap->age);
}

/*
 * Indices
 *
 * What a span takes besides while it is in trees by size and age is a struct of its own, so that
 * an allocated span, of which there are many, is small.  With first fit the tree of all spans
 * has maxima in it, so that there each span has one always.
 */

/* A span is about to be free, or, with first fit, to be.  The caller has made sure of a spare. */
static void index_attach(struct span_heap *heap, struct span *s)
{
	struct span_index *x;

	if (s->index)
		return;
	x = span_heap_take_index(heap);
	memset(x, 0, sizeof(*x));
	x->heap = heap;
	x->span = s;
	s->index = x;
}

static void index_drop(struct span_heap *heap, struct span *s)
{
	if (s->index)
		span_heap_add_index(heap, s->index);
	s->index = NULL;
}

/* Puts a span that is complete but for this into the trees of its kind (I6). */
static void free_insert(struct span_heap *heap, struct span *s)
{
	index_attach(heap, s);
	s->state = SPAN_FREE;
	fit_insert(heap, s);
	if (s->scavenged) {
		heap->stats.spans_scavenged++;
	} else {
		if (span_pb_bytes(heap, s))
			age_insert(heap, s);
		heap->stats.spans_free++;
	}
	addr_caps_update(heap, s);
}

/* Takes a free span out of the trees of its kind, before anything about it changes. */
static void free_erase(struct span_heap *heap, struct span *s)
{
	fit_erase(heap, s);
	if (s->scavenged) {
		heap->stats.spans_scavenged--;
	} else {
		if (span_pb_bytes(heap, s))
			rb_erase(&s->index->age, &heap->age);
		heap->stats.spans_free--;
	}
}

/*
 * Recently freed
 *
 * Programs free a span and allocate another of its size right after, again and again.  So
 * that this costs no work on trees, a span that does not coalesce with anything waits in a
 * list of spans of its size, and a request for just that size takes the latest one.  It is
 * the best fit that there is, as no smaller span will do; among equals rule 1 would take the
 * one with the lowest base, which is why SPAN_FIT_BEST and SPAN_FIT_FIRST do without this.
 *
 * Nothing else tells these spans from those in the trees: whatever needs the trees to be
 * complete, or finds such a span to coalesce with, puts all of them where they belong first
 * (recent_flush()).  They have no index; there are always as many spare ones.
 */

static unsigned int recent_list(u64 npages)
{
	return npages % SPAN_HEAP_RECENT_LISTS;
}

static void recent_flush(struct span_heap *heap)
{
	unsigned int i;

	if (likely(!heap->nr_recent))
		return;
	for (i = 0; heap->nr_recent; i++) {
		struct span *s = heap->recent[i], *next;

		for (; s; s = next) {
			next = s->next_recent;
			s->recent = 0;
			s->index = NULL;
			heap->nr_recent--;
			heap->stats.spans_free--;
			free_insert(heap, s);
		}
		heap->recent[i] = NULL;
	}
}

/* A span that was freed and has nothing to coalesce with. */
static void recent_add(struct span_heap *heap, struct span *s)
{
	struct span **list = &heap->recent[recent_list(s->npages)];

	if (unlikely(heap->nr_recent == SPAN_HEAP_RECENT ||
		     (*list && (*list)->npages != s->npages)))
		recent_flush(heap);
	s->next_recent = *list;
	*list = s;
	heap->nr_recent++;
	heap->stats.spans_free++;
	s->state = SPAN_FREE;
	s->needzero = 1;
	s->recent = 1;
	/*
	 * The tree stays, but what was seen allocated is not so any more.  Not before: who sees the
	 * new number shall see that the span is free.
	 */
	write_seqcount_invalidate(&heap->seq);
}

/* Spares */

/**
 * span_heap_add_spare() - give the heap a struct span for later
 * @heap: the heap
 * @s: memory for a span; the heap owns it until span_heap_take_spare() or
 *	span_heap_destroy()
 *
 * Context: heap lock.
 */
void span_heap_add_spare(struct span_heap *heap, struct span *s)
{
	s->next_spare = heap->spares;
	heap->spares = s;
	heap->nr_spares++;
}

/**
 * span_heap_take_spare() - take an unused struct span from the heap
 * @heap: the heap
 *
 * Context: heap lock.
 * Return: a span that belongs to the caller now, or NULL if there is none.
 */
struct span *span_heap_take_spare(struct span_heap *heap)
{
	struct span *s = heap->spares;

	if (s) {
		heap->spares = s->next_spare;
		heap->nr_spares--;
	}
	return s;
}

/**
 * span_heap_add_index() - give the heap a struct span_index for later
 * @heap: the heap
 * @x: memory for an index; the heap owns it until span_heap_take_index() or
 *	span_heap_destroy()
 *
 * Context: heap lock.
 */
void span_heap_add_index(struct span_heap *heap, struct span_index *x)
{
	x->next_spare = heap->indices;
	heap->indices = x;
	heap->nr_indices++;
}

/**
 * span_heap_take_index() - take an unused struct span_index from the heap
 * @heap: the heap
 *
 * Only those above &span_heap.nr_recent are to be had from outside of the heap.
 *
 * Context: heap lock.
 * Return: an index that belongs to the caller now, or NULL if there is none.
 */
struct span_index *span_heap_take_index(struct span_heap *heap)
{
	struct span_index *x = heap->indices;

	if (x) {
		heap->indices = x->next_spare;
		heap->nr_indices--;
	}
	return x;
}

/* A new span.  The caller has made sure that there are spares. */
static struct span *span_new(struct span_heap *heap, u64 base, u64 npages)
{
	struct span *s = span_heap_take_spare(heap);

	/* Field by field, see "Looking without the lock". */
	s->index = NULL;
	s->base = base;
	s->state = SPAN_TRANSIT;
	s->scavenged = 0;
	s->needzero = 0;
	s->recent = 0;
	s->__pad = 0;
	s->npages = npages;
	s->unusedsince = 0;
	if (heap_first_fit(heap))
		index_attach(heap, s);
	return s;
}

/* A span that is in no tree any more. */
static void span_gone(struct span_heap *heap, struct span *s)
{
	index_drop(heap, s);
	span_heap_add_spare(heap, s);
}

/* Coalescing */

/* Rule 13: scavenged spans meet on a granule. */
static bool may_merge(const struct span_heap *heap, const struct span *a, const struct span *b)
{
	return !a->scavenged || on_granule(heap, max(a->base, b->base));
}

/* Rule 12: @s takes up its free neighbour @other, which is of the same kind. */
static void span_merge(struct span_heap *heap, struct span *s, struct span *other)
{
	if (!may_merge(heap, s, other)) {
		WARN_ONCE(1, "pagearena: scavenged spans meet inside a granule\n");
		heap->broken = true;
		return;
	}
	free_erase(heap, other);
	addr_erase(heap, other);
	s->base = min(s->base, other->base);
	s->npages += other->npages;
	s->needzero |= other->needzero;
	span_gone(heap, other);
}

/*
 * Rule 14: moves the boundary between @a and @b, neighbours of different kinds, into the
 * scavenged one, to the next granule.  What lies between cannot have been released, so
 * heap_released stays; a scavenged span has a granule of its own (I5), so it stays too.
 * @other is the one of the two that is in the trees.
 */
static void span_realign(struct span_heap *heap, struct span *a, struct span *b,
			 struct span *other)
{
	u64 boundary = b->base, end = span_end(b), granule;

	if (on_granule(heap, boundary))
		return;
	granule = 1ULL << (heap->cfg.granule_shift - heap->cfg.page_shift);
	boundary = a->scavenged ? round_down(boundary, granule) : round_up(boundary, granule);

	free_erase(heap, other);
	a->npages = boundary - a->base;
	b->base = boundary;
	b->npages = end - boundary;
	free_insert(heap, other);
}

/*
 * Coalesces @s, which is about to become free and is in no tree but that of all spans,
 * with its free neighbours.  The caller inserts it afterwards.
 */
static void span_coalesce(struct span_heap *heap, struct span *s)
{
	struct span *before = addr_prev(s), *after = addr_next(s);
	u64 parts = span_hugepages(heap, s);

	if ((before && before->recent) || (after && after->recent))
		recent_flush(heap);
	if (span_is_free(before)) {
		if (before->scavenged == s->scavenged) {
			parts += span_hugepages(heap, before);
			span_merge(heap, s, before);
		} else {
			span_realign(heap, before, s, before);
		}
	}
	if (span_is_free(after)) {
		if (after->scavenged == s->scavenged) {
			parts += span_hugepages(heap, after);
			span_merge(heap, s, after);
		} else {
			span_realign(heap, s, after, after);
		}
	}
	/* Rule 15 */
	if (!s->scavenged && span_hugepages(heap, s) > parts && heap->ops->hugepage)
		heap->ops->hugepage(heap->ctx, span_offset(s, heap), span_bytes(s, heap));
}

/* Choosing */

static struct span *best_fit(const struct span_heap *heap, int kind, u64 npages)
{
	struct rb_node *node = heap->fit[kind].rb_node;
	struct span *best = NULL;

	while (node) {
		struct span *s = fit_span(node);

		if (s->npages >= npages) {
			best = s;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return best;
}

/* SPAN_FIT_PLACED: of the spans as small as @s, the best fit, one that is preferred. */
static struct span *best_placed(const struct span_heap *heap, struct span *s)
{
	struct span *t = s;
	unsigned int i;

	if (!s || heap->cfg.fit != SPAN_FIT_PLACED || !heap->ops->prefer)
		return s;
	for (i = 0; t && t->npages == s->npages && i < SPAN_HEAP_TIES; i++) {
		if (heap->ops->prefer(heap->ctx, span_offset(t, heap), span_bytes(t, heap)))
			return t;
		t = fit_span(rb_next(&t->index->fit));
	}
	return s;
}

/* Rules 1 to 3, without growing. */
static struct span *heap_choose(struct span_heap *heap, u64 npages, u64 align)
{
	struct span *s = NULL;
	unsigned int slot = 0;
	int kind;

	if (heap_first_fit(heap) || align > 1)
		slot = caps_slot(heap, ilog2(align));
	for (kind = 0; kind < 2 && !s; kind++) {
		if (heap_first_fit(heap))
			s = addr_leftmost(heap, slot + kind, npages);
		else if (align > 1)
			s = fit_leftmost(heap, kind, slot, npages);
		else
			s = best_placed(heap, best_fit(heap, kind, npages));
	}
	return s;
}

/* Where in @s a request goes: at its lowest aligned page, but see SPAN_FIT_PLACED. */
static u64 heap_place(const struct span_heap *heap, const struct span *s, u64 npages, u64 align)
{
	u64 huge = 1ULL << (heap->cfg.huge_shift - heap->cfg.page_shift);
	u64 start;

	if (heap->cfg.fit == SPAN_FIT_PLACED && npages >= huge) {
		start = round_up(s->base, max(align, huge));
		if (start + npages <= span_end(s))
			return start;
	}
	return round_up(s->base, align);
}

/* Prepared to Ready.  What fault() took away in a debug heap is Reserved; it is mapped first. */
static void span_used(struct span_heap *heap, u64 base, u64 npages)
{
	u64 offset = base << heap->cfg.page_shift, len = npages << heap->cfg.page_shift;

	if (heap->cfg.debug && heap->ops->map)
		heap->ops->map(heap->ctx, offset, len);
	if (heap->ops->used)
		heap->ops->used(heap->ctx, offset, len);
}

/* Rule 9: grows by the fewest growth units with which the heap reaches to @end. */
static int heap_grow_to(struct span_heap *heap, u64 end)
{
	u64 sys = heap->stats.heap_sys >> heap->cfg.page_shift;
	u64 size = heap->cfg.size >> heap->cfg.page_shift;
	u64 unit = heap->cfg.growth >> heap->cfg.page_shift;
	struct span *s;
	u64 bytes;

	if (end > size)
		return -ENOMEM;
	heap_change(heap);
	s = span_new(heap, sys, min((end - sys + unit - 1) / unit * unit, size - sys));
	s->scavenged = 1;
	addr_insert(heap, s);

	bytes = span_bytes(s, heap);
	heap->stats.heap_sys += bytes;
	heap->stats.heap_idle += bytes;
	heap->stats.heap_released += bytes;
	heap->stats.nr_grow++;
	if (heap->ops->map)
		heap->ops->map(heap->ctx, span_offset(s, heap), bytes);
	span_coalesce(heap, s);
	free_insert(heap, s);
	heap_changed(heap);
	return 0;
}

/* The same, so that a request fits. */
static int heap_grow(struct span_heap *heap, u64 npages, u64 align)
{
	struct span *s = rb_entry_safe(rb_last(&heap->addr), struct span, addr);
	u64 start = heap->stats.heap_sys >> heap->cfg.page_shift;

	if (span_is_free(s) && s->scavenged)
		start = s->base;
	return heap_grow_to(heap, round_up(start, align) + npages);
}

/*
 * Rules 5 and 6: cuts [base, base + npages) off one end of @s, which is in no size tree
 * and not free any more, and puts it back.  @scavenged tells whether @s was.
 */
static void span_cut(struct span_heap *heap, struct span *s, u64 base, u64 npages, bool scavenged)
{
	struct span *t = span_new(heap, base, npages);

	if (base == s->base)
		s->base += npages;
	s->npages -= npages;
	t->needzero = s->needzero;
	t->unusedsince = s->unusedsince;
	t->scavenged = scavenged && span_pb_bytes(heap, t);
	heap->stats.heap_released += span_released(heap, t);
	addr_insert(heap, t);
	span_coalesce(heap, t);
	free_insert(heap, t);
}

/*
 * Allocated spans by their base: the last one that was allocated of those that share a place.
 * Only what is allocated is in here, so no entry outlives its span.  The multiplier is that of
 * <linux/hash.h>.
 */
static inline struct span **near_slot(struct span_heap *heap, u64 base)
{
	return &heap->near[base * 0x61c8864680b583ebULL >> (64 - SPAN_HEAP_NEAR)];
}

/* Is there a granule, at either end, that neither the span nor its neighbour released? */
static bool torn_granule(const struct span_heap *heap, const struct span *s)
{
	const struct span *before = addr_prev(s), *after = addr_next(s);

	return (span_is_free(before) && before->scavenged && !on_granule(heap, s->base)) ||
	       (span_is_free(after) && after->scavenged && !on_granule(heap, after->base));
}

/*
 * Takes a span that is in no size tree through unused() or fault() and puts it back.  Between
 * heap_change() and heap_changed(), but for the operation, which may drop the lock.
 */
static s64 span_release(struct span_heap *heap, struct span *s,
			int (*op)(void *ctx, u64 offset, u64 len))
{
	u64 bytes = span_pb_bytes(heap, s), start;
	int err = 0;

	/* So that there is one when it comes back, whoever has come in between. */
	index_attach(heap, s);
	s->state = SPAN_TRANSIT;
	heap->stats.spans_transit++;
	addr_caps_update(heap, s);
	span_pb(heap, s, &start);
	if (op) {
		heap_changed(heap);
		err = op(heap->ctx, start << heap->cfg.page_shift, bytes);
		heap_change(heap);
	}
	heap->stats.spans_transit--;

	/*
	 * A neighbour can be scavenged with the boundary inside a granule: one of a freed
	 * span, or one that came while the lock was dropped.  That granule may be backed.  Then
	 * the span goes back as unscavenged, so its pages are taken back at once, and
	 * realigning gives it the granule.
	 */
	if (!err && torn_granule(heap, s)) {
		span_used(heap, start, bytes >> heap->cfg.page_shift);
		bytes = 0;
	}
	if (err)
		bytes = 0;
	s->scavenged = bytes != 0;
	heap->stats.heap_released += bytes;
	span_coalesce(heap, s);
	free_insert(heap, s);
	return err ? err : bytes;
}

/**
 * span_heap_lookup() - find the allocated span that begins at a page (rule 10)
 * @heap: the heap
 * @base: first span page
 * @npages: its size, checked; 0: not checked
 * @res: set to the span
 *
 * Context: heap lock; atomic.
 * Return: 0; -ENOENT if no allocated span begins at @base; -EINVAL if it is not @npages
 * long; -EUCLEAN if the heap is broken.
 */
int span_heap_lookup(struct span_heap *heap, u64 base, u64 npages, struct span **res)
{
	struct span *s = *near_slot(heap, base);

	if (unlikely(heap->broken))
		return -EUCLEAN;
	if (!s || s->base != base) {
		struct rb_node *node = heap->addr.rb_node;

		for (s = NULL; node; node = base < s->base ? node->rb_left : node->rb_right) {
			s = rb_entry(node, struct span, addr);
			if (base == s->base)
				break;
		}
		if (unlikely(!node || s->state != SPAN_INUSE))
			return -ENOENT;
	}
	if (npages && s->npages != npages)
		return -EINVAL;
	*res = s;
	return 0;
}

/* May a freed span wait before it is put back?  Not if it is to coalesce, or to be realigned. */
static bool may_wait(const struct span_heap *heap, const struct span *s)
{
	const struct span *before, *after;

	if (!heap->cfg.reuse)
		return false;
	before = addr_prev(s);
	if (span_is_free(before) && (!before->scavenged || !on_granule(heap, s->base)))
		return false;
	after = addr_next(s);
	return !span_is_free(after) || (after->scavenged && on_granule(heap, after->base));
}

/* Rule 11, for a span that was allocated, or is cut off one. */
static void heap_freed(struct span_heap *heap, struct span *s, u64 now)
{
	u64 bytes = span_bytes(s, heap);

	heap->stats.heap_inuse -= bytes;
	heap->stats.heap_idle += bytes;
	s->unusedsince = now;
	if (may_wait(heap, s)) {
		recent_add(heap, s);
		return;
	}
	s->needzero = 1;
	heap_change(heap);
	if (heap->cfg.debug && heap->ops->fault && span_pb_bytes(heap, s)) {
		span_release(heap, s, heap->ops->fault);
	} else {
		span_coalesce(heap, s);
		free_insert(heap, s);
	}
	heap_changed(heap);
}

/* Rules 4 to 7: takes a free span out of its trees, but for what is to be allocated of it. */
static void heap_trim(struct span_heap *heap, struct span *s, u64 start, u64 npages)
{
	bool scavenged = s->scavenged;

	heap_change(heap);
	/* Rule 4 */
	free_erase(heap, s);
	heap->stats.heap_released -= span_released(heap, s);
	s->scavenged = 0;
	s->state = SPAN_INUSE;
	if (heap_first_fit(heap))
		addr_caps_update(heap, s);
	else
		index_drop(heap, s);

	if (start > s->base)
		span_cut(heap, s, s->base, start - s->base, scavenged);
	if (s->npages > npages)
		span_cut(heap, s, s->base + npages, s->npages - npages, scavenged);
	heap_changed(heap);

	/* Rule 7 */
	if (scavenged)
		span_used(heap, s->base, s->npages);
}

/* Rule 8 */
static void heap_allocated(struct span_heap *heap, struct span *s)
{
	u64 bytes = span_bytes(s, heap);

	s->state = SPAN_INUSE;
	s->unusedsince = 0;
	*near_slot(heap, s->base) = s;
	heap->stats.heap_idle -= bytes;
	heap->stats.heap_inuse += bytes;
	heap->stats.inuse_peak = max(heap->stats.inuse_peak, heap->stats.heap_inuse);
	heap->stats.spans_inuse++;
	heap->stats.nr_alloc++;
}

/*
 * Makes one span of a range of free ones, of whatever kind, as rules 4 to 7 say.  It is
 * complete but for rule 8.
 */
static int heap_take(struct span_heap *heap, u64 base, u64 npages, struct span **res,
		     bool *was_scavenged)
{
	u64 end = base + npages, sys = heap->stats.heap_sys >> heap->cfg.page_shift;
	struct span *s, *next, *first = NULL;
	unsigned int pieces = 0;
	bool scavenged = true;
	int err;

	if (heap->broken)
		return -EUCLEAN;
	if (!span_heap_ready(heap) || end < base ||
	    end > heap->cfg.size >> heap->cfg.page_shift)
		return -ENOMEM;
	for (s = span_heap_find(heap, base); s && s->base < end; s = addr_next(s)) {
		if (s->state != SPAN_FREE)
			return s->state == SPAN_INUSE ? -EEXIST : -EBUSY;
		if (++pieces > SPAN_HEAP_PIECES_MAX)
			return -ENOMEM;
	}
	recent_flush(heap);
	if (end > sys) {
		err = heap_grow_to(heap, end);
		if (err)
			return err;
	}
	for (s = span_heap_find(heap, base); s && s->base < end; s = next) {
		u64 start = max(base, s->base), stop = min(end, span_end(s));

		next = addr_next(s);
		scavenged &= s->scavenged;
		heap_trim(heap, s, start, stop - start);
		if (!first) {
			first = s;
			continue;
		}
		heap_change(heap);
		addr_erase(heap, s);
		first->npages += s->npages;
		first->needzero |= s->needzero;
		span_gone(heap, s);
		heap_changed(heap);
	}
	*res = first;
	if (was_scavenged)
		*was_scavenged = scavenged;
	return 0;
}

/**
 * span_heap_settle() - put the recently freed spans into the trees
 * @heap: the heap
 *
 * For a caller that looks at the trees itself.
 *
 * Context: heap lock; atomic.
 */
void span_heap_settle(struct span_heap *heap)
{
	recent_flush(heap);
}

/**
 * span_heap_oldest() - the span that has been free for longest
 * @heap: the heap
 *
 * Only spans count that have something to release.
 *
 * Context: heap lock; atomic.
 * Return: the span, or NULL.
 */
struct span *span_heap_oldest(struct span_heap *heap)
{
	recent_flush(heap);
	return age_span(rb_first(&heap->age));
}

/**
 * span_heap_youngest() - the span that was freed last
 * @heap: the heap
 *
 * Only spans count that have something to release.
 *
 * Context: heap lock; atomic.
 * Return: the span, or NULL.
 */
struct span *span_heap_youngest(struct span_heap *heap)
{
	recent_flush(heap);
	return age_span(rb_last(&heap->age));
}

/**
 * span_heap_reuse() - allocate a span that was freed a moment ago, if there is one
 * @heap: the heap
 * @npages: span pages
 *
 * What span_heap_alloc() begins with; it needs no spares.
 *
 * Context: heap lock; atomic.
 * Return: the span, just @npages long; or NULL.
 */
struct span *span_heap_reuse(struct span_heap *heap, u64 npages)
{
	struct span **list = &heap->recent[recent_list(npages)], *s = *list;

	if (!s || s->npages != npages)
		return NULL;
	*list = s->next_recent;
	s->index = NULL;
	s->recent = 0;
	heap->nr_recent--;
	heap->stats.spans_free--;
	heap_allocated(heap, s);
	return s;
}

/**
 * span_heap_alloc() - allocate a span
 * @heap: the heap
 * @npages: span pages, 1 to %SPAN_HEAP_MAX_PAGES
 * @align: the span shall begin at a multiple of so many span pages; a power of two, or 0
 *	for any
 * @res: set to the span; its needzero tells whether it may hold something
 * @was_scavenged: set to whether it comes from scavenged memory; may be NULL
 *
 * Takes O(log n) for n spans, see "Aligned requests" above for the one exception.
 *
 * Context: heap lock; atomic.
 * Return: 0; -EINVAL; -ENOMEM if neither the heap nor the rest of the arena has room, or
 * without the spares of span_heap_ready(); -EUCLEAN if the heap is broken.  On
 * error nothing has changed.
 */
int span_heap_alloc(struct span_heap *heap, u64 npages, u64 align, struct span **res,
		    bool *was_scavenged)
{
	struct span *s;
	bool scavenged;
	int err;

	if (!align)
		align = 1;
	if (!npages || npages > SPAN_HEAP_MAX_PAGES || !is_power_of_2(align))
		return -EINVAL;
	if (heap->broken)
		return -EUCLEAN;
	if (!span_heap_ready(heap))
		return -ENOMEM;

	if (align == 1) {
		s = span_heap_reuse(heap, npages);
		if (s) {
			*res = s;
			if (was_scavenged)
				*was_scavenged = false;
			return 0;
		}
	}
	recent_flush(heap);
	s = heap_choose(heap, npages, align);
	if (!s) {
		err = heap_grow(heap, npages, align);
		if (err)
			return err;
		s = heap_choose(heap, npages, align);
		if (WARN_ON_ONCE(!s))
			return -EUCLEAN;
	}
	scavenged = s->scavenged;
	heap_trim(heap, s, heap_place(heap, s, npages, align), npages);
	heap_allocated(heap, s);
	*res = s;
	if (was_scavenged)
		*was_scavenged = scavenged;
	return 0;
}

/**
 * span_heap_alloc_at() - allocate a certain range
 * @heap: the heap
 * @base: first span page
 * @npages: span pages, 1 to %SPAN_HEAP_MAX_PAGES
 * @res: set to the span; its needzero tells whether it may hold something
 * @was_scavenged: set to whether all of it comes from scavenged memory; may be NULL
 *
 * All of the range must be free, or beyond what the heap has grown to.
 *
 * Takes O(m + log n) for m free spans in the range.
 *
 * Context: heap lock; atomic.
 * Return: 0; -EINVAL; -EEXIST if part of the range is allocated; -EBUSY if part of it is in
 * transit; -ENOMEM if it reaches beyond the arena, more than %SPAN_HEAP_PIECES_MAX free spans lie
 * in it, or there are not the spares of span_heap_ready(); -EUCLEAN.  On error nothing has
 * changed.
 */
int span_heap_alloc_at(struct span_heap *heap, u64 base, u64 npages, struct span **res,
		       bool *was_scavenged)
{
	struct span *s;
	int err;

	if (!npages || npages > SPAN_HEAP_MAX_PAGES)
		return -EINVAL;
	err = heap_take(heap, base, npages, &s, was_scavenged);
	if (err)
		return err;
	heap_allocated(heap, s);
	*res = s;
	return 0;
}

/**
 * span_heap_resize() - change the length of an allocated span, in place
 * @heap: the heap
 * @base: its first span page
 * @old_npages: its length, checked; 0: not checked
 * @npages: the new one, 1 to %SPAN_HEAP_MAX_PAGES
 * @now: the time, as for span_heap_free()
 * @res: set to the span; its needzero tells whether what was added may hold something
 * @was_scavenged: set to whether all that was added comes from scavenged memory; may be NULL
 *
 * What is cut off is freed (rule 11), what is added is allocated as if it were asked for by
 * span_heap_alloc_at().
 *
 * Context: heap lock; in a debug heap &span_heap_ops.fault may drop it, and the span may be
 * gone afterwards.
 * Return: 0; -EINVAL; -ENOENT if no allocated span begins at @base; -EEXIST if what lies
 * behind it is allocated; -EBUSY if it is in transit; -ENOMEM as for span_heap_alloc_at();
 * -EUCLEAN.  On error nothing has changed.
 */
int span_heap_resize(struct span_heap *heap, u64 base, u64 old_npages, u64 npages, u64 now,
		     struct span **res, bool *was_scavenged)
{
	struct span *s, *t;
	u64 had, bytes;
	int err;

	if (!npages || npages > SPAN_HEAP_MAX_PAGES)
		return -EINVAL;
	err = span_heap_lookup(heap, base, old_npages, &s);
	if (err)
		return err;
	if (!span_heap_ready(heap))
		return -ENOMEM;
	*res = s;
	had = s->npages;
	if (was_scavenged)
		*was_scavenged = npages > had;
	if (npages > had) {
		err = heap_take(heap, base + had, npages - had, &t, was_scavenged);
		if (err)
			return err;
		heap_change(heap);
		addr_erase(heap, t);
		s->npages = npages;
		s->needzero |= t->needzero;
		span_gone(heap, t);
		heap_changed(heap);
		bytes = (npages - had) << heap->cfg.page_shift;
		heap->stats.heap_idle -= bytes;
		heap->stats.heap_inuse += bytes;
		heap->stats.inuse_peak = max(heap->stats.inuse_peak, heap->stats.heap_inuse);
	} else if (npages < had) {
		heap_change(heap);
		t = span_new(heap, base + npages, had - npages);
		s->npages = npages;
		addr_insert(heap, t);
		heap_changed(heap);
		heap_freed(heap, t, now);
	}
	return 0;
}

/* Freeing and scavenging */

/**
 * span_heap_free_span() - free a span that span_heap_lookup() has found
 * @heap: the heap
 * @s: the span
 * @now: the time; shall not decrease from call to call
 *
 * Only if span_heap_may_free() says so.
 *
 * Context: heap lock, held since the lookup; in a debug heap &span_heap_ops.fault may drop it.
 */
void span_heap_free_span(struct span_heap *heap, struct span *s, u64 now)
{
	struct span **near = near_slot(heap, s->base);

	if (*near == s)
		*near = NULL;
	heap->stats.spans_inuse--;
	heap->stats.nr_free++;
	heap_freed(heap, s, now);
}

/**
 * span_heap_free() - free a span
 * @heap: the heap
 * @base: first span page of an allocated span
 * @npages: its size, checked; 0: not checked
 * @now: the time; shall not decrease from call to call
 *
 * Context: heap lock; in a debug heap &span_heap_ops.fault may drop it.
 * Return: as span_heap_lookup(); -ENOMEM if there is no spare index, see span_heap_may_free().
 * On error nothing has changed.
 */
int span_heap_free(struct span_heap *heap, u64 base, u64 npages, u64 now)
{
	struct span *s;
	int err;

	/* Rule 10 */
	err = span_heap_lookup(heap, base, npages, &s);
	if (err)
		return err;
	if (!span_heap_may_free(heap))
		return -ENOMEM;
	span_heap_free_span(heap, s, now);
	return 0;
}

/**
 * span_heap_scavenge() - release a free span (rule 16)
 * @heap: the heap
 * @s: a span
 *
 * Where &span_heap_ops.trim wants only a part of it released, the span is split first, so
 * that no span is ever partly scavenged.
 *
 * Context: heap lock; &span_heap_ops.unused may drop it.  @s may be gone afterwards.
 * Return: bytes released; 0 if there is nothing to release or the span is not free and
 * unscavenged; the error of &span_heap_ops.unused, then the span is as it was; -ENOMEM if
 * it is to be split without the spares of span_heap_ready(); -EUCLEAN.
 */
s64 span_heap_scavenge(struct span_heap *heap, struct span *s)
{
	u64 offset, len, base, end, first;
	s64 released;

	if (heap->broken)
		return -EUCLEAN;
	if (!span_is_free(s) || s->scavenged || !span_pb_bytes(heap, s))
		return 0;
	if (s->recent)
		recent_flush(heap);
	base = s->base;
	end = span_end(s);
	if (heap->ops->trim) {
		span_pb(heap, s, &first);
		offset = first << heap->cfg.page_shift;
		len = span_pb_bytes(heap, s);
		if (!heap->ops->trim(heap->ctx, &offset, &len))
			return 0;
		/* What is left of a granule at an end that is not trimmed stays with the span. */
		if (offset > first << heap->cfg.page_shift)
			base = offset >> heap->cfg.page_shift;
		if (offset + len < (first << heap->cfg.page_shift) + span_pb_bytes(heap, s))
			end = (offset + len) >> heap->cfg.page_shift;
		if ((base > s->base || end < span_end(s)) && !span_heap_ready(heap))
			return -ENOMEM;
	}
	heap_change(heap);
	free_erase(heap, s);
	s->state = SPAN_TRANSIT;
	addr_caps_update(heap, s);
	if (base > s->base)
		span_cut(heap, s, s->base, base - s->base, false);
	if (end < span_end(s))
		span_cut(heap, s, end, span_end(s) - end, false);
	released = span_release(heap, s, heap->ops->unused);
	heap_changed(heap);
	if (released > 0)
		heap->stats.nr_scavenge++;
	return released;
}

/* The last span in the unscavenged size tree that comes before (npages, base). */
static struct span *fit_before(const struct span_heap *heap, u64 npages, u64 base)
{
	struct rb_node *node = heap->fit[0].rb_node;
	struct span *last = NULL;

	while (node) {
		struct span *s = fit_span(node);

		if (s->npages < npages || (s->npages == npages && s->base < base)) {
			last = s;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return last;
}

/**
 * span_heap_scavenge_bytes() - release free spans, the largest first (rule 17)
 * @heap: the heap
 * @bytes: stop when so much has been released
 * @stop: called before each span with the ctx of span_heap_init(); true ends the work.  It
 *	may drop the heap lock and take it again.  May be NULL
 *
 * Spans go whole, so more may be released.  Spans that unused() refuses are passed over.
 *
 * Context: heap lock; &span_heap_ops.unused may drop it.
 * Return: bytes released.
 */
u64 span_heap_scavenge_bytes(struct span_heap *heap, u64 bytes, bool (*stop)(void *ctx))
{
	u64 npages = U64_MAX, base = U64_MAX, released = 0;

	while (released < bytes && !(stop && stop(heap->ctx))) {
		struct span *s;
		s64 ret;

		recent_flush(heap);
		s = fit_before(heap, npages, base);
		/* What is smaller than a granule has nothing to release. */
		if (!s || span_bytes(s, heap) >> heap->cfg.granule_shift == 0)
			break;
		npages = s->npages;
		base = s->base;
		ret = span_heap_scavenge(heap, s);
		if (ret > 0)
			released += ret;
	}
	return released;
}

/* The first span in the tree of ages that comes after (since, base). */
static struct span *age_after(const struct span_heap *heap, u64 since, u64 base)
{
	struct rb_node *node = heap->age.rb_node;
	struct span *first = NULL;

	while (node) {
		struct span *s = age_span(node);

		if (s->unusedsince > since || (s->unusedsince == since && s->base > base)) {
			first = s;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return first;
}

/**
 * span_heap_scavenge_age() - release spans that have been free for long (rule 17)
 * @heap: the heap
 * @now: the time, as for span_heap_free()
 * @limit: release spans with now - unusedsince > limit
 * @bytes: stop when so much has been released; U64_MAX: go on to the end
 * @stop: as for span_heap_scavenge_bytes()
 *
 * The oldest go first, of those of one age the lowest base.
 *
 * Context: heap lock; &span_heap_ops.unused may drop it.
 * Return: bytes released.
 */
u64 span_heap_scavenge_age(struct span_heap *heap, u64 now, u64 limit, u64 bytes,
			   bool (*stop)(void *ctx))
{
	u64 since = 0, base = 0, released = 0;
	bool begun = false;

	while (released < bytes && !(stop && stop(heap->ctx))) {
		struct span *s;
		s64 ret;

		recent_flush(heap);
		s = begun ? age_after(heap, since, base) : age_span(rb_first(&heap->age));
		if (!s || now <= s->unusedsince || now - s->unusedsince <= limit)
			break;
		begun = true;
		since = s->unusedsince;
		base = s->base;
		ret = span_heap_scavenge(heap, s);
		if (ret > 0)
			released += ret;
	}
	return released;
}

/**
 * span_heap_unscavenge() - count part of the free memory as backed again
 * @heap: the heap
 * @base: first span page, on a granule
 * @npages: number of span pages, whole granules, all inside what the heap has grown to
 * @now: becomes the unusedsince of what changes
 *
 * For a caller that backs a whole huge page although a part of it is scavenged.  The
 * scavenged spans of the range are cut at its ends and change trees, as if that part had
 * been allocated (rules 4 to 7) and freed at once.  So needzero is set: what is backed can
 * be written to by a stray pointer.
 *
 * Context: heap lock; atomic.
 * Return: 0; -ENOMEM without the spares of span_heap_ready(); -EINVAL; -EUCLEAN.  On
 * error nothing has changed.
 */
int span_heap_unscavenge(struct span_heap *heap, u64 base, u64 npages, u64 now)
{
	u64 end = base + npages, next;
	struct span *s;

	if (heap->broken)
		return -EUCLEAN;
	if (!npages || end < base || end > heap->stats.heap_sys >> heap->cfg.page_shift ||
	    !on_granule(heap, base) || !on_granule(heap, end))
		return -EINVAL;
	if (!span_heap_ready(heap))
		return -ENOMEM;

	recent_flush(heap);
	for (s = span_heap_find(heap, base); s && s->base < end; s = span_heap_find(heap, next)) {
		next = span_end(s);
		if (!span_is_free(s) || !s->scavenged)
			continue;
		heap_change(heap);
		free_erase(heap, s);
		heap->stats.heap_released -= span_released(heap, s);
		s->scavenged = 0;
		s->state = SPAN_TRANSIT;
		addr_caps_update(heap, s);
		if (s->base < base)
			span_cut(heap, s, s->base, base - s->base, true);
		if (span_end(s) > end)
			span_cut(heap, s, end, span_end(s) - end, true);
		span_used(heap, s->base, s->npages);
		s->needzero = 1;
		s->unusedsince = now;
		span_coalesce(heap, s);
		free_insert(heap, s);
		heap_changed(heap);
	}
	return 0;
}

/* Looking */

/**
 * span_heap_find() - the span that holds a span page
 * @heap: the heap
 * @page: span page
 *
 * Context: heap lock.
 * Return: the span, in whatever state; NULL beyond what the heap has grown to.
 */
struct span *span_heap_find(struct span_heap *heap, u64 page)
{
	struct rb_node *node = heap->addr.rb_node;

	while (node) {
		struct span *s = rb_entry(node, struct span, addr);

		if (page < s->base)
			node = node->rb_left;
		else if (page >= span_end(s))
			node = node->rb_right;
		else
			return s;
	}
	return NULL;
}

/* A tree of so many spans as a heap can have is no deeper. */
#define PEEK_DEPTH	(2 * (SPAN_HEAP_MAX_SHIFT + 1))

/**
 * span_heap_peek() - the span that holds a span page, without the heap lock
 * @heap: the heap
 * @page: span page
 * @seen: set to what the span is, on success
 *
 * Takes O(log n), and never waits.
 *
 * Context: any, with or without the heap lock.  The caller sees to it that &span.addr of a span
 * that the heap has given back (span_heap_take_spare()) stays as it is while he is in here, but
 * for the word of the parent: rcu_read_lock() here, and call_rcu() there.
 * Return: 0; -ENOENT beyond what the heap has grown to; -EAGAIN if the heap changed meanwhile:
 * nothing is known then.
 */
int span_heap_peek(const struct span_heap *heap, u64 page, struct span_seen *seen)
{
	unsigned int seq = raw_read_seqcount(&heap->seq);
	const struct rb_node *node = READ_ONCE(heap->addr.rb_node);
	unsigned int depth;
	int err = -ENOENT;

	for (depth = 0; node && depth < PEEK_DEPTH; depth++) {
		const struct span *s = rb_entry(node, struct span, addr);
		u64 base = READ_ONCE(s->base);

		if (page < base) {
			node = READ_ONCE(node->rb_left);
		} else if (page >= base + s->npages) {
			node = READ_ONCE(node->rb_right);
		} else {
			seen->end = base + s->npages;
			seen->inuse = s->state == SPAN_INUSE;
			seen->seq = seq;
			err = 0;
			break;
		}
	}
	if (depth == PEEK_DEPTH)
		err = -EAGAIN;
	return seq & 1 || read_seqcount_retry(&heap->seq, seq) ? -EAGAIN : err;
}

/**
 * span_heap_first() - the span with the lowest base
 * @heap: the heap
 *
 * Context: heap lock.
 * Return: the span, or NULL if the heap is empty.
 */
struct span *span_heap_first(struct span_heap *heap)
{
	return rb_entry_safe(rb_first(&heap->addr), struct span, addr);
}

/**
 * span_heap_next() - the span behind a span
 * @s: a span
 *
 * Context: heap lock.
 * Return: the span, or NULL at the end of the heap.
 */
struct span *span_heap_next(struct span *s)
{
	return addr_next(s);
}

/* Recounting */

/* I6 for those that are in no tree. */
static const char *recount_recent(struct span_heap *heap, u64 *fit, u64 *age)
{
	unsigned int i, n = 0;
	struct span *s;

	for (i = 0; i < SPAN_HEAP_RECENT_LISTS; i++) {
		for (s = heap->recent[i]; s && n <= SPAN_HEAP_RECENT; s = s->next_recent) {
			if (s->state != SPAN_FREE || s->scavenged || !s->recent ||
			    s->npages != heap->recent[i]->npages ||
			    span_heap_find(heap, s->base) != s)
				return "I6: a list of recently freed spans holds another one";
			n++;
			*age += span_pb_bytes(heap, s) != 0;
		}
	}
	*fit += n;
	return n == heap->nr_recent ? NULL : "I6: number of recently freed spans";
}

/* I7 for the spans that are found without a tree. */
static const char *recount_near(struct span_heap *heap)
{
	unsigned int i;

	for (i = 0; i < 1 << SPAN_HEAP_NEAR; i++) {
		struct span *s = heap->near[i];

		if (s && (s->state != SPAN_INUSE || near_slot(heap, s->base) != &heap->near[i] ||
			  span_heap_find(heap, s->base) != s))
			return "I7: a place for allocated spans holds another one";
	}
	return NULL;
}

/* I6 for one of the size trees, and that it is in order and its maxima are right. */
static const char *recount_fit(struct span_heap *heap, int kind, u64 *count)
{
	struct span *last = NULL, *s;
	struct span_caps caps;
	struct rb_node *node;

	for (node = rb_first(&heap->fit[kind]); node; node = rb_next(node)) {
		s = fit_span(node);
		if (s->state != SPAN_FREE || s->scavenged != kind || s->recent)
			return "I6: a size tree holds a span of another kind";
		if (last && !fit_less(last, s))
			return "rule 1: a size tree is out of order";
		if (!heap_first_fit(heap) && heap->indexed) {
			caps = fit_caps_of(s->index);
			if (!caps_equal(&caps, &s->index->caps))
				return "rule 3: a capacity in a size tree is wrong";
		}
		last = s;
		(*count)++;
	}
	return NULL;
}

static const char *recount_age(struct span_heap *heap, u64 *count)
{
	struct span *last = NULL, *s;
	struct rb_node *node;

	for (node = rb_first(&heap->age); node; node = rb_next(node)) {
		s = age_span(node);
		if (s->state != SPAN_FREE || s->scavenged || !span_pb_bytes(heap, s))
			return "I6: the tree of ages holds a span of another kind";
		if (last && !age_less(last, s))
			return "rule 17: the tree of ages is out of order";
		last = s;
		(*count)++;
	}
	return NULL;
}

static const char *recount_span(struct span_heap *heap, struct span *s,
				struct span_heap_stats *sum, u64 *age)
{
	const struct span *before = addr_prev(s);
	u64 bytes = span_bytes(s, heap);
	struct span_caps caps;

	if (!s->npages)
		return "I8: a span is empty";
	if (s->base != (before ? span_end(before) : 0))
		return "I8: spans overlap or leave a gap";
	if (span_heap_find(heap, s->base) != s || span_heap_find(heap, span_end(s) - 1) != s)
		return "I7: the lookup misses a span";
	if (heap_first_fit(heap) && heap->indexed) {
		caps = addr_caps_of(s);
		if (!caps_equal(&caps, &s->index->caps))
			return "rule 3: a capacity in the tree of all spans is wrong";
	}

	sum->heap_sys += bytes;
	sum->heap_released += span_released(heap, s);
	if (s->state == SPAN_INUSE) {
		sum->heap_inuse += bytes;
		sum->spans_inuse++;
	} else {
		sum->heap_idle += bytes;
	}
	if (s->state == SPAN_TRANSIT)
		sum->spans_transit++;
	if (s->state != SPAN_FREE)
		return s->scavenged ? "I6: a span that is not free is scavenged" : NULL;

	if (s->scavenged)
		sum->spans_scavenged++;
	else
		sum->spans_free++;
	*age += !s->scavenged && span_pb_bytes(heap, s);
	if (s->scavenged && !span_pb_bytes(heap, s))
		return "I5: a scavenged span has nothing released";
	if (span_is_free(before) && before->scavenged == s->scavenged)
		return "I3: adjacent free spans of one kind";
	if (span_is_free(before) && !on_granule(heap, s->base))
		return "I4: free spans of different kinds meet inside a granule";
	return NULL;
}

/* Those spans have an index that need one. */
static const char *recount_indices(struct span_heap *heap)
{
	struct span *s;
	bool needs;

	for (s = span_heap_first(heap); s; s = span_heap_next(s)) {
		if (s->recent)
			continue;
		needs = heap_first_fit(heap) || s->state != SPAN_INUSE;
		if (!s->index != !needs ||
		    (s->index && (s->index->span != s || s->index->heap != heap)))
			return "I6: an index is missing, or of another span";
	}
	return NULL;
}

/**
 * span_heap_recount() - verify every invariant from scratch
 * @heap: the heap
 * @what: set to what is wrong, as a constant string; may be NULL
 *
 * Takes O(n log n), and changes nothing.
 *
 * Context: heap lock.
 * Return: 0, or -EUCLEAN.
 */
int span_heap_recount(struct span_heap *heap, const char **what)
{
	struct span_heap_stats sum = {}, *stats = &heap->stats;
	u64 fit[2] = {}, age = 0, releasable = 0, spares = 0, indices = 0;
	const struct span_index *x;
	const char *bad = NULL;
	struct span *s;

	for (s = span_heap_first(heap); s && !bad; s = span_heap_next(s))
		bad = recount_span(heap, s, &sum, &releasable);
	if (!bad)
		bad = recount_fit(heap, 0, &fit[0]);
	if (!bad)
		bad = recount_fit(heap, 1, &fit[1]);
	if (!bad)
		bad = recount_age(heap, &age);
	if (!bad)
		bad = recount_recent(heap, &fit[0], &age);
	if (!bad)
		bad = recount_near(heap);
	if (!bad)
		bad = recount_indices(heap);
	for (s = heap->spares; s; s = s->next_spare)
		spares++;
	for (x = heap->indices; x; x = x->next_spare)
		indices++;

	if (bad)
		;
	else if (heap->broken)
		bad = "rule 13: scavenged spans met inside a granule";
	else if (sum.heap_released != stats->heap_released)
		bad = "I1: heap_released";
	else if (sum.heap_idle != stats->heap_idle || sum.heap_inuse != stats->heap_inuse ||
		 sum.heap_sys != stats->heap_sys || sum.heap_released > sum.heap_idle)
		bad = "I2: heap_sys, heap_inuse, heap_idle";
	else if (fit[0] != sum.spans_free || fit[1] != sum.spans_scavenged || age != releasable)
		bad = "I6: a free span is missing from its tree";
	else if (sum.spans_free != stats->spans_free || sum.spans_inuse != stats->spans_inuse ||
		 sum.spans_scavenged != stats->spans_scavenged ||
		 sum.spans_transit != stats->spans_transit || spares != heap->nr_spares)
		bad = "numbers of spans";
	else if (indices != heap->nr_indices || indices < heap->nr_recent)
		bad = "number of spare indices";
	if (what)
		*what = bad;
	return bad ? -EUCLEAN : 0;
}

/* Life */

/**
 * span_heap_init() - make an empty heap
 * @heap: memory for it; zeroed here
 * @cfg: geometry, copied
 * @ops: how to reach pages; each may be NULL
 * @ctx: given to @ops
 *
 * Context: any.
 * Return: 0; -EINVAL for a geometry that breaks a rule of &struct span_heap_config.
 */
int span_heap_init(struct span_heap *heap, const struct span_heap_config *cfg,
		   const struct span_heap_ops *ops, void *ctx)
{
	u8 shift = max(cfg->page_shift, cfg->granule_shift);
	u64 unit;

	if (cfg->page_shift > cfg->huge_shift || cfg->granule_shift > cfg->huge_shift ||
	    cfg->huge_shift > 62 || cfg->fit > SPAN_FIT_PLACED ||
	    (cfg->reuse && (cfg->fit != SPAN_FIT_PLACED || cfg->debug)))
		return -EINVAL;
	unit = 1ULL << shift;
	if (!cfg->size || !IS_ALIGNED(cfg->size, unit) ||
	    cfg->size >> cfg->page_shift >= 1ULL << SPAN_HEAP_MAX_SHIFT)
		return -EINVAL;
	if (!cfg->growth || !IS_ALIGNED(cfg->growth, unit) || cfg->growth > cfg->size)
		return -EINVAL;

	memset(heap, 0, sizeof(*heap));
	seqcount_init(&heap->seq);
	heap->cfg = *cfg;
	heap->ops = ops;
	heap->ctx = ctx;
	if (heap_first_fit(heap))
		caps_slot(heap, 0);
	return 0;
}

/**
 * span_heap_destroy() - free every span and spare of a heap
 * @heap: a heap that nobody else can reach any more
 * @free_span: gets each struct span
 * @free_index: gets each struct span_index
 *
 * No operation of &struct span_heap_ops is called.
 *
 * Context: as @free_span and @free_index; may be called without the heap lock.
 */
void span_heap_destroy(struct span_heap *heap, void (*free_span)(struct span *s),
		       void (*free_index)(struct span_index *x))
{
	struct rb_node *node = rb_first_postorder(&heap->addr), *next;
	struct span_index *x;
	struct span *s;

	for (; node; node = next) {
		next = rb_next_postorder(node);
		s = rb_entry(node, struct span, addr);
		if (!s->recent && s->index)
			free_index(s->index);
		free_span(s);
	}
	heap->addr = RB_ROOT;
	heap->fit[0] = RB_ROOT;
	heap->fit[1] = RB_ROOT;
	heap->age = RB_ROOT;
	memset(heap->recent, 0, sizeof(heap->recent));
	memset(heap->near, 0, sizeof(heap->near));
	heap->nr_recent = 0;
	while ((s = span_heap_take_spare(heap)))
		free_span(s);
	while ((x = span_heap_take_index(heap)))
		free_index(x);
	memset(&heap->stats, 0, sizeof(heap->stats));
}
