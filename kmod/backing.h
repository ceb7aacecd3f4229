/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The memory behind an arena: folios, in chunks of 2 MiB.
 *
 * A chunk is the unit of huge backing.  It equals what one PMD maps where a PMD maps
 * 2 MiB (x86, arm64 with 4 KiB pages); elsewhere the two differ and are named apart.
 *
 * States of a chunk, changed in backing.c (EMPTY, DEAD, and to SMALL or HUGE when it is
 * filled) and in promote.c (between SMALL and HUGE), under the chunk's lock:
 *
 *   (none)  no struct pa_chunk: nothing is backed
 *   EMPTY   nothing is backed; being filled, or being emptied
 *   SMALL   some pages are backed, by folios of one page or of 64 KiB
 *   HUGE    all pages are backed, by one folio
 *   DEAD    no longer in the arena; look it up again
 */
#ifndef PAGEARENA_BACKING_H
#define PAGEARENA_BACKING_H

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/types.h>

#include "arena.h"
#include "compat.h"

struct pa_item;

#define PA_CHUNK_SHIFT	21
#define PA_CHUNK_SIZE	BIT(PA_CHUNK_SHIFT)
#define PA_CHUNK_ORDER	(PA_CHUNK_SHIFT - PAGE_SHIFT)
#define PA_CHUNK_PAGES	BIT(PA_CHUNK_ORDER)

/*
 * Does one PMD map a chunk?  Where it maps more (arm64 with pages of 16 or 64 KiB), a chunk is
 * still the unit of huge backing: the CPU folds page-table entries of contiguous, aligned memory
 * in one entry of the TLB, up to just 2 MiB there.
 */
#define PA_CHUNK_IS_PMD	(PMD_SIZE == PA_CHUNK_SIZE)

/*
 * A small chunk is backed by folios of 64 KiB where allocated spans cover them, if that
 * saves faults, and if the arena releases nothing smaller: see pa_arena_mid().
 */
#define PA_MID_SHIFT	16
#define PA_MID_ORDER	(PAGE_SHIFT < PA_MID_SHIFT ? PA_MID_SHIFT - PAGE_SHIFT : 0)
#define PA_MID_PAGES	((unsigned int)BIT(PA_MID_ORDER))

/*
 * None of this memory can be migrated, so it is not __GFP_MOVABLE.  A huge folio for a
 * fault is taken where one lies ready, or not at all; PROMOTE may be asked to compact for
 * it.  To win memory by a demotion nobody shall be killed, and in reclaim nobody waits.
 */
#define PA_GFP_SMALL	(GFP_HIGHUSER | __GFP_ACCOUNT | __GFP_NOWARN)
#define PA_GFP_POPULATE	(PA_GFP_SMALL | __GFP_RETRY_MAYFAIL)
#define PA_GFP_DEMOTE	(PA_GFP_SMALL | __GFP_NORETRY)
#define PA_GFP_RECLAIM	(GFP_NOWAIT | __GFP_NOMEMALLOC | __GFP_NOWARN)
#define PA_GFP_MID	((PA_GFP_SMALL | __GFP_NOMEMALLOC | __GFP_NORETRY) & ~__GFP_DIRECT_RECLAIM)
#define PA_GFP_HUGE	((GFP_TRANSHUGE_LIGHT & ~__GFP_MOVABLE) | __GFP_ACCOUNT | __GFP_NOWARN)
#define PA_GFP_COMPACT	((GFP_TRANSHUGE & ~__GFP_MOVABLE) | __GFP_ACCOUNT | __GFP_NOWARN | \
			 __GFP_NORETRY)

/*
 * PAGEARENA_HUGE_AUTO backs a chunk of which a part is scavenged if what is backed and free
 * stays below this, in bytes, or below this share of what is allocated; twice that, if half
 * of the chunk is allocated.
 */
#define PA_AUTO_SLACK	(2 * PA_CHUNK_SIZE)
#define PA_AUTO_SHARE	4

enum pa_chunk_state {
	PA_CHUNK_EMPTY,
	PA_CHUNK_SMALL,
	PA_CHUNK_HUGE,
	PA_CHUNK_DEAD,
};

/**
 * struct pa_chunk - what is behind 2 MiB of an arena
 * @lock: held by whoever fills, empties, copies or maps the chunk
 * @ref: one for being in the arena, one for each user
 * @state: &enum pa_chunk_state; protected by @lock
 * @may_huge: free spans have coalesced over all of it (rule 15), so its next fault puts
 *	it on a huge folio; set under the heap lock, cleared under @lock
 * @kept: EMPTY, and in the arena all the same, see %PA_KEPT_MAX; protected by @lock
 * @index: number of the chunk in its arena
 * @huge: HUGE: the folio; protected by @lock
 * @small: SMALL: for each page the folio that holds it, or NULL; a folio of several pages
 *	is aligned to its size, and held once; protected by @lock
 * @item: the chunk as the shrinker sees it; NULL before it is first filled; written under @lock and
 *	the heap lock
 * @nr_inuse: pages that are present and that allocated spans touch; protected by the heap
 *	lock
 * @nr_stuck: free pages that the shrinker could not take; protected by the heap lock
 * @nr_present: number of bits in @present; written under @lock and the heap lock
 * @present: pages that are backed; written under @lock and the heap lock
 * @rcu: delays freeing for lockless lookup
 */
struct pa_chunk {
	struct mutex lock; /* fills, empties, copies, maps */
	refcount_t ref;
	enum pa_chunk_state state;
	bool may_huge;
	bool kept;
	unsigned long index;
	union {
		struct folio *huge;
		struct folio **small;
	};
	struct pa_item *item;
	unsigned int nr_inuse;
	unsigned int nr_stuck;
	unsigned int nr_present;
	DECLARE_BITMAP(present, PA_CHUNK_PAGES);
	struct rcu_head rcu;
};

unsigned int pa_count_some_bits(const struct pa_chunk *c, unsigned int from, unsigned int to);
struct pa_chunk *pa_chunk_find(struct pa_arena *arena, unsigned long index);

/*
 * A huge chunk with so many live pages, or fewer, is worth breaking: three times as much is won
 * as is copied.  It is also the most that breaking one takes for a moment, while memory is short.
 */
#define PA_SPARSE_PAGES	(PA_CHUNK_PAGES / 4)

/**
 * pa_chunk_sparse() - is a chunk huge, and would the shrinker break it?
 * @c: the chunk
 *
 * It does where three times as much is won as is copied, or more.
 *
 * Context: heap lock.
 */
static inline bool pa_chunk_sparse(const struct pa_chunk *c)
{
	return READ_ONCE(c->state) == PA_CHUNK_HUGE && c->nr_inuse &&
	       c->nr_inuse <= PA_SPARSE_PAGES;
}

/**
 * pa_chunk_reclaimable() - how much of a chunk the shrinker can take
 * @c: the chunk
 *
 * That is free pages of a small chunk, all of a huge one, or what is won by breaking it.
 *
 * Context: heap lock.
 * Return: number of pages.
 */
static inline unsigned int pa_chunk_reclaimable(const struct pa_chunk *c)
{
	unsigned int free = c->nr_present - c->nr_inuse;

	if (READ_ONCE(c->state) == PA_CHUNK_HUGE && c->nr_inuse > PA_SPARSE_PAGES)
		return 0;
	return free > c->nr_stuck ? free - c->nr_stuck : 0;
}

/* Most pages that pa_arena_maps() enters at a time. */
#define PA_MAP_PAGES	(PA_CHUNK_IS_PMD ? PA_MID_PAGES : (unsigned int)PA_CHUNK_PAGES)

/**
 * pa_arena_maps() - does the arena enter folios into page tables itself?
 * @arena: an arena that is set up
 *
 * Where the core would map a folio page by page, and where no folio is ever mapped by a PMD: the
 * mapping is VM_MIXEDMAP then, and 6.1 and 6.12 keep a reference to a PMD's folio when they zap
 * it in such a mapping.
 *
 * Context: any.
 */
static inline bool pa_arena_maps(const struct pa_arena *arena)
{
	return !PA_MAPS_LARGE_FOLIOS &&
	       (!PA_CHUNK_IS_PMD || arena->setup.huge == PAGEARENA_HUGE_OFF);
}

/**
 * pa_arena_mid() - are small chunks of an arena backed by folios of 64 KiB?
 * @arena: an arena that is set up
 *
 * These are mapped whole, so not where freed memory shall be out of reach.
 *
 * Context: any.
 */
static inline bool pa_arena_mid(const struct pa_arena *arena)
{
	return PA_MID_ORDER && (PA_MAPS_LARGE_FOLIOS || pa_arena_maps(arena)) &&
	       arena->setup.granule >= 1UL << PA_MID_SHIFT &&
	       !(arena->setup.flags & PAGEARENA_SETUP_DEBUG);
}

/**
 * pa_chunk_at() - the chunk with a number
 * @arena: the arena
 * @index: the number
 *
 * Context: heap lock.
 * Return: the chunk, or NULL.
 */
static inline struct pa_chunk *pa_chunk_at(struct pa_arena *arena, unsigned long index)
{
	struct pa_chunk *c = arena->near[index % PA_NEAR];

	lockdep_assert_held(&arena->lock);
	return likely(c && c->index == index) ? c : pa_chunk_find(arena, index);
}

/**
 * pa_count_bits() - count the pages of a part of a chunk that are backed
 * @c: the chunk
 * @from: first page
 * @to: the page after the last one
 *
 * Context: heap lock or chunk lock.
 * Return: number of pages.
 */
static __always_inline unsigned int pa_count_bits(const struct pa_chunk *c, unsigned int from,
						  unsigned int to)
{
	if (!c->nr_present || from >= to)
		return 0;
	if (c->nr_present == PA_CHUNK_PAGES)
		return to - from;
	if (to - from == PA_CHUNK_PAGES)
		return c->nr_present;
	if (from / BITS_PER_LONG == (to - 1) / BITS_PER_LONG)
		return hweight_long(c->present[from / BITS_PER_LONG] &
				    GENMASK((to - 1) % BITS_PER_LONG, from % BITS_PER_LONG));
	return pa_count_some_bits(c, from, to);
}

struct pa_chunk *pa_chunk_get(struct pa_arena *arena, unsigned long index);
struct pa_chunk *pa_chunk_create(struct pa_arena *arena, pgoff_t page);
void pa_chunk_unlock_put(struct pa_arena *arena, struct pa_chunk *c);
struct page *pa_chunk_page(struct pa_chunk *c, unsigned int i);
int pa_chunk_fill(struct pa_arena *arena, struct pa_chunk *c, unsigned int i, gfp_t gfp);

bool pa_chunk_is_huge(struct pa_arena *arena, u64 offset);
struct folio *pa_folio_alloc(struct pa_arena *arena, gfp_t gfp, unsigned int order, pgoff_t page);
bool pa_chunk_live(struct pa_arena *arena, unsigned long index, unsigned long *live,
		   bool *scavenged);
unsigned int pa_inuse_weight(const struct pa_chunk *c, const unsigned long *live);
void pa_chunk_account(struct pa_arena *arena, struct pa_chunk *c, const unsigned long *live,
		      int sign);
bool pa_limit_allows(struct pa_arena *arena, const struct pa_chunk *c, const unsigned long *live);
bool pa_chunk_unscavenge(struct pa_arena *arena, unsigned long index);
void pa_zap(struct pa_arena *arena, u64 offset, u64 len);
void pa_backing_zap(struct pa_arena *arena, pgoff_t first, pgoff_t end);
void pa_folio_settle(struct folio *folio);
void pa_chunk_torn(struct pa_arena *arena, struct pa_chunk *c);
void pa_small_free(struct folio **small);

int pa_backing_init(void);
void pa_backing_exit(void);
int pa_backing_populate(struct pa_arena *arena, u64 offset, u64 len);
void pa_backing_zero(struct pa_arena *arena, u64 offset, u64 len);
int pa_chunk_take(struct pa_arena *arena, struct pa_chunk *c, u64 offset, u64 len, u64 *freed);
int pa_backing_release(struct pa_arena *arena, u64 offset, u64 len, enum pa_cause cause,
		       u64 *freed);
void pa_backing_forget(struct pa_arena *arena);
void pa_backing_hugepage(struct pa_arena *arena, u64 offset, u64 len);
void pa_backing_destroy(struct pa_arena *arena);

bool pa_page_inuse(struct pa_arena *arena, pgoff_t page);
bool pa_page_allocated(struct pa_arena *arena, pgoff_t page, unsigned int *seq);
void pa_pages_alone(struct pa_arena *arena, u64 offset, u64 len, pgoff_t *first, pgoff_t *end);
void pa_pages_added(struct pa_arena *arena, u64 from, u64 to, pgoff_t *first, pgoff_t *end);
u64 pa_backing_use_chunks(struct pa_arena *arena, pgoff_t first, pgoff_t end, int sign);
u64 pa_backing_count(struct pa_arena *arena, pgoff_t first, pgoff_t end, u64 *huge);
const char *pa_backing_recount(struct pa_arena *arena);

#endif /* PAGEARENA_BACKING_H */
