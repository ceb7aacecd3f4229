/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The span heap: free and allocated spans of an address range, and nothing else.
 *
 * This is the page heap of Go's runtime as five changes of 2018 and 2019 left it
 * (separate trees for free and scavenged spans; "used" only after trimming;
 * realignment on physical pages; huge pages when spans coalesce; fresh memory
 * counted as scavenged), written as a library.  It knows no mm, no current and no
 * user pointer, takes no lock and allocates no memory.  The kernel module, its KUnit
 * tests and the user-space tests compile the same span_heap.c.
 *
 * Units: offsets and lengths given to the operations of &struct span_heap_ops are in
 * bytes; everything else counts span pages of 1 << page_shift bytes.
 *
 * Locking: the caller holds one lock (the *heap lock*) around every call but span_heap_peek().
 * Only &span_heap_ops.unused and &span_heap_ops.fault may drop it, see there.
 *
 * Memory: a call that might need a new &struct span, or a &struct span_index, takes it from the
 * heap's spares, which the caller filled beforehand, outside the lock (span_heap_add_spare(),
 * span_heap_add_index()).  span_heap_ready() and span_heap_may_free() tell whether there are
 * enough.
 */
#ifndef PAGEARENA_SPAN_HEAP_H
#define PAGEARENA_SPAN_HEAP_H

#include <linux/rbtree.h>
#include <linux/seqlock.h>
#include <linux/types.h>

struct span_heap;

/** SPAN_HEAP_SPARES - spares of a kind that a call may need, see span_heap_ready() */
#define SPAN_HEAP_SPARES	4

/** SPAN_HEAP_MAX_PAGES - most span pages in one allocated span */
#define SPAN_HEAP_MAX_PAGES	((u64)0xfffffffe)

/** SPAN_HEAP_MAX_SHIFT - an arena is smaller than 1 << SPAN_HEAP_MAX_SHIFT span pages */
#define SPAN_HEAP_MAX_SHIFT	48

/**
 * SPAN_HEAP_PIECES_MAX - most free spans that one call makes one of
 *
 * Bounds the time for which the heap lock is held.  Neighbours grow together, so there are so many
 * in a range only where scavenged ones and others take turns.
 */
#define SPAN_HEAP_PIECES_MAX	65536

/** SPAN_HEAP_TIES - number of equally good spans among which SPAN_FIT_PLACED looks */
#define SPAN_HEAP_TIES		8

/** SPAN_HEAP_RECENT - most recently freed spans that wait to be put into the trees */
#define SPAN_HEAP_RECENT	64

/** SPAN_HEAP_RECENT_LISTS - number of lists that they are in, a power of two */
#define SPAN_HEAP_RECENT_LISTS	16

/** SPAN_HEAP_NEAR - log2 of the number of allocated spans that are found without a tree */
#define SPAN_HEAP_NEAR		8

/** SPAN_HEAP_SLOTS - number of alignments that the heap keeps indexed at a time */
#define SPAN_HEAP_SLOTS		4

/**
 * enum span_state - what a span is
 * @SPAN_FREE: free; in exactly one of the two size trees, which @scavenged names, or
 *	unscavenged and among the recently freed
 * @SPAN_INUSE: allocated
 * @SPAN_TRANSIT: on its way from allocated to free or from free to scavenged, with
 *	the heap lock dropped: not allocated, in no tree, not coalesced with.  Counted as idle
 */
enum span_state {
	SPAN_FREE,
	SPAN_INUSE,
	SPAN_TRANSIT,
};

/** struct span_caps - maxima over a subtree, see "Aligned requests" in span_heap.c */
struct span_caps {
	u32 cap[SPAN_HEAP_SLOTS];
};

/**
 * struct span_index - what a span takes besides while it is free
 * @fit: in the size tree of its kind, by (npages, base)
 * @next_spare: instead, for a spare: the next one
 * @age: in the tree of free, unscavenged spans with a granule of their own, by
 *	(unusedsince, base)
 * @heap: the heap that it belongs to
 * @span: the span
 * @caps: maxima over the subtree of @fit (first fit: of &span.addr)
 *
 * All fields belong to the heap and are protected by the heap lock.
 */
struct span_index {
	union {
		struct rb_node fit;
		struct span_index *next_spare;
	};
	struct rb_node age;
	struct span_heap *heap;
	struct span *span;
	struct span_caps caps;
};

/**
 * struct span - a run of span pages
 * @addr: in the tree of all spans, by @base
 * @next_spare: instead, for a spare: the next one
 * @index: its place in the other trees, if it is free and not @recent, or in transit; with
 *	first fit always; else NULL
 * @next_recent: instead, for a span that is @recent: the next one of its list
 * @base: first span page
 * @state: &enum span_state
 * @scavenged: free, and the memory of its granules is released
 * @needzero: may hold something other than zero
 * @recent: among the recently freed, so in no tree but that of all spans
 * @__pad: so that @npages is what lies above a byte
 * @npages: number of span pages
 * @unusedsince: when it was freed, in the caller's time; 0 while allocated and in
 *	memory that was never used
 *
 * All fields belong to the heap and are protected by the heap lock.
 */
struct span {
	union {
		struct rb_node addr;
		struct span *next_spare;
	};
	union {
		struct span_index *index;
		struct span *next_recent;
	};
	u64 base;
	u64 state : 2;
	u64 scavenged : 1;
	u64 needzero : 1;
	u64 recent : 1;
	u64 __pad : 3;
	u64 npages : 56;
	u64 unusedsince;
};

/**
 * struct span_heap_ops - how the heap reaches pages
 *
 * The four states of a region are Go's: None; Reserved (address space is owned, access
 * faults); Prepared (not backed, access is an error); Ready (may be used).  Each
 * operation gets the @ctx of span_heap_init() and a range in bytes, and may be NULL.
 * Those marked atomic are called with the heap lock held and may not drop it.
 *
 * @map: Reserved to Prepared, atomic: the heap grew over the range, or allocates what
 *	@fault took away
 * @used: Prepared to Ready, atomic: the range is allocated from a scavenged span
 * @unused: Ready to Prepared: the range (whole granules) is to be released.  Its span is
 *	in transit, so the callback may drop the heap lock and take it again.  Returns 0,
 *	or an error when the memory cannot be released: the span stays as it was
 * @hugepage: atomic: the free range may be backed by huge pages again (rule 15)
 * @trim: atomic: narrows a range (whole granules) of a free span to the part of it, whole
 *	granules again, that is worth releasing now; false: none.  NULL: all of it
 * @prefer: atomic: with %SPAN_FIT_PLACED, is it good to allocate here, where otherwise
 *	equal spans lie elsewhere?
 * @fault: Ready or Prepared to Reserved: as @unused, but whoever touches the range from
 *	now on shall fault.  Called for a freed span in a heap with &span_heap_config.debug
 */
struct span_heap_ops {
	void (*map)(void *ctx, u64 offset, u64 len);
	void (*used)(void *ctx, u64 offset, u64 len);
	int (*unused)(void *ctx, u64 offset, u64 len);
	void (*hugepage)(void *ctx, u64 offset, u64 len);
	int (*fault)(void *ctx, u64 offset, u64 len);
	bool (*trim)(void *ctx, u64 *offset, u64 *len);
	bool (*prefer)(void *ctx, u64 offset, u64 len);
};

/**
 * enum span_fit - which of the spans that are large enough is taken
 * @SPAN_FIT_BEST: the smallest, of these the one with the lowest base (rule 1)
 * @SPAN_FIT_FIRST: the one with the lowest base
 * @SPAN_FIT_PLACED: the smallest; of up to %SPAN_HEAP_TIES of these the first that
 *	&span_heap_ops.prefer likes, else the one with the lowest base.  A request for a huge
 *	page or more is aligned to huge pages where the span that is taken allows it
 */
enum span_fit {
	SPAN_FIT_BEST,
	SPAN_FIT_FIRST,
	SPAN_FIT_PLACED,
};

/**
 * struct span_heap_config - geometry of a heap
 * @size: bytes of the arena, a multiple of max(P, G)
 * @growth: bytes of the growth unit, a multiple of max(P, G)
 * @page_shift: log2 of the span page size P
 * @granule_shift: log2 of the release granule G
 * @huge_shift: log2 of the huge page size H; at least @granule_shift
 * @fit: &enum span_fit
 * @debug: take freed spans out of reach (&span_heap_ops.fault)
 * @reuse: an unaligned request takes a span of just its size that was freed a moment ago,
 *	if there is one, before it looks at the others; see "Recently freed" in span_heap.c.
 *	Only with %SPAN_FIT_PLACED, and not with @debug
 */
struct span_heap_config {
	u64 size;
	u64 growth;
	u8 page_shift;
	u8 granule_shift;
	u8 huge_shift;
	u8 fit;
	bool debug;
	bool reuse;
};

/**
 * struct span_heap_stats - the heap's figures under Go's names
 * @heap_sys: bytes that the heap has grown to
 * @heap_inuse: bytes of allocated spans
 * @heap_idle: bytes of all other spans
 * @heap_released: bytes inside the granules of scavenged spans
 * @spans_inuse: number of allocated spans
 * @spans_free: number of free, unscavenged spans
 * @spans_scavenged: number of scavenged spans
 * @spans_transit: number of spans in transit
 * @nr_alloc: allocations since span_heap_init()
 * @nr_free: frees since span_heap_init()
 * @nr_grow: growths since span_heap_init()
 * @nr_scavenge: spans scavenged since span_heap_init()
 * @inuse_peak: the most that @heap_inuse has been
 */
struct span_heap_stats {
	u64 heap_sys;
	u64 heap_inuse;
	u64 heap_idle;
	u64 heap_released;
	u64 spans_inuse;
	u64 spans_free;
	u64 spans_scavenged;
	u64 spans_transit;
	u64 nr_alloc;
	u64 nr_free;
	u64 nr_grow;
	u64 nr_scavenge;
	u64 inuse_peak;
};

/**
 * struct span_heap_slot - one indexed alignment
 * @stamp: when it was last asked for, in aligned requests
 * @order: log2 of the alignment in span pages
 * @active: &span_caps.cap of this slot is kept up to date
 */
struct span_heap_slot {
	u64 stamp;
	u8 order;
	bool active;
};

/**
 * struct span_heap - a heap of spans
 * @cfg: geometry
 * @ops: how pages are reached
 * @ctx: first argument of @ops
 * @seq: changes with @addr, and with what is allocated of it; odd meanwhile.  See "Looking
 *	without the lock" in span_heap.c
 * @addr: all spans by base
 * @fit: free spans by (npages, base): [0] unscavenged, [1] scavenged
 * @age: free, unscavenged spans with a non-empty pb, by (unusedsince, base)
 * @stats: figures, kept up to date by every call
 * @spares: unused structs, linked through &span.next_spare
 * @nr_spares: their number
 * @indices: unused structs, linked through &span_index.next_spare
 * @nr_indices: their number, no less than @nr_recent
 * @recent: recently freed spans, by size, the latest first
 * @nr_recent: their number
 * @near: spans that were allocated not long ago and are, by a hash of their base
 * @slots: the alignments that &span_index.caps indexes
 * @indexed: some slot is active
 * @stamp: counts aligned requests, to find the slot used the longest ago
 * @broken: rule 13 was violated: every call fails with -EUCLEAN
 *
 * All fields are protected by the heap lock, though @addr and @seq are read without it.
 */
struct span_heap {
	struct span_heap_config cfg;
	const struct span_heap_ops *ops;
	void *ctx;
	seqcount_t seq;
	struct rb_root addr;
	struct rb_root fit[2];
	struct rb_root age;
	struct span_heap_stats stats;
	struct span *spares;
	unsigned int nr_spares;
	struct span_index *indices;
	unsigned int nr_indices;
	struct span *recent[SPAN_HEAP_RECENT_LISTS];
	unsigned int nr_recent;
	struct span *near[1 << SPAN_HEAP_NEAR];
	struct span_heap_slot slots[SPAN_HEAP_SLOTS];
	u64 stamp;
	bool indexed;
	bool broken;
};

int span_heap_init(struct span_heap *heap, const struct span_heap_config *cfg,
		   const struct span_heap_ops *ops, void *ctx);
void span_heap_destroy(struct span_heap *heap, void (*free_span)(struct span *s),
		       void (*free_index)(struct span_index *x));

void span_heap_add_spare(struct span_heap *heap, struct span *s);
struct span *span_heap_take_spare(struct span_heap *heap);
void span_heap_add_index(struct span_heap *heap, struct span_index *x);
struct span_index *span_heap_take_index(struct span_heap *heap);

int span_heap_alloc(struct span_heap *heap, u64 npages, u64 align, struct span **res,
		    bool *was_scavenged);
void span_heap_settle(struct span_heap *heap);
struct span *span_heap_oldest(struct span_heap *heap);
struct span *span_heap_youngest(struct span_heap *heap);
struct span *span_heap_reuse(struct span_heap *heap, u64 npages);
int span_heap_alloc_at(struct span_heap *heap, u64 base, u64 npages, struct span **res,
		       bool *was_scavenged);
int span_heap_resize(struct span_heap *heap, u64 base, u64 old_npages, u64 npages, u64 now,
		     struct span **res, bool *was_scavenged);
int span_heap_lookup(struct span_heap *heap, u64 base, u64 npages, struct span **res);
void span_heap_free_span(struct span_heap *heap, struct span *s, u64 now);
int span_heap_free(struct span_heap *heap, u64 base, u64 npages, u64 now);

s64 span_heap_scavenge(struct span_heap *heap, struct span *s);
u64 span_heap_scavenge_bytes(struct span_heap *heap, u64 bytes, bool (*stop)(void *ctx));
u64 span_heap_scavenge_age(struct span_heap *heap, u64 now, u64 limit, u64 bytes,
			   bool (*stop)(void *ctx));

int span_heap_unscavenge(struct span_heap *heap, u64 base, u64 npages, u64 now);

/**
 * struct span_seen - what span_heap_peek() has seen of a span
 * @end: the span page behind it
 * @seq: &span_heap.seq, for span_heap_still()
 * @inuse: it was allocated
 */
struct span_seen {
	u64 end;
	unsigned int seq;
	bool inuse;
};

int span_heap_peek(const struct span_heap *heap, u64 page, struct span_seen *seen);
struct span *span_heap_find(struct span_heap *heap, u64 page);
struct span *span_heap_first(struct span_heap *heap);
struct span *span_heap_next(struct span *s);

int span_heap_recount(struct span_heap *heap, const char **what);

/**
 * span_heap_ready() - has the heap the spares that any one call may need?
 * @heap: the heap
 *
 * Each recently freed span will need an index besides.
 *
 * Context: heap lock.
 */
static inline bool span_heap_ready(const struct span_heap *heap)
{
	return heap->nr_spares >= SPAN_HEAP_SPARES &&
	       heap->nr_indices >= SPAN_HEAP_SPARES + heap->nr_recent;
}

/**
 * span_heap_may_free() - has the heap the spare that freeing a span may need?
 * @heap: the heap
 *
 * Context: heap lock.
 */
static inline bool span_heap_may_free(const struct span_heap *heap)
{
	return heap->nr_indices > heap->nr_recent;
}

/**
 * span_heap_still() - is a span that was seen allocated so still, and of that size?
 * @heap: the heap
 * @seq: &span_seen.seq
 *
 * Context: heap lock.
 * Return: false: perhaps, look.
 */
static inline bool span_heap_still(const struct span_heap *heap, unsigned int seq)
{
	return !read_seqcount_retry(&heap->seq, seq);
}

/** span_offset() - where a span begins, in bytes */
static inline u64 span_offset(const struct span *s, const struct span_heap *heap)
{
	return s->base << heap->cfg.page_shift;
}

/** span_bytes() - length of a span in bytes */
static inline u64 span_bytes(const struct span *s, const struct span_heap *heap)
{
	return (u64)s->npages << heap->cfg.page_shift;
}

#endif /* PAGEARENA_SPAN_HEAP_H */
