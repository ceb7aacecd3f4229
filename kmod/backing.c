// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The memory behind an arena.  See backing.h for chunks and their states, arena.h for the
 * order of locks.
 *
 * Two rules make it safe:
 *
 *  - A page is handed to a page table only under its folio's lock, which the fault
 *    handler takes under the chunk's lock.  So whoever holds the chunk's lock, has taken
 *    the page out of the chunk and then gets the folio's lock knows that nobody maps the
 *    page any more but through page-table entries that a zap will find.
 *  - What is to move (promotion, demotion) is copied after the zap, and only when nobody
 *    else holds the folio: then no processor and no device can write to it meanwhile.
 *
 * What is alive is decided after the zap as well: a write through a mapping from before
 * has landed, and one that comes later waits for the chunk's lock.
 */
#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "arena.h"
#include "backing.h"
#include "pool.h"
#include "promote.h"
#include "race.h"
#include "reclaim.h"
#include "trace.h"

/* As many as the core frees at a time (a folio_batch). */
#define PA_FREE_BATCH	31

static struct kmem_cache *pa_chunk_cache;

/**
 * pa_folio_alloc() - allocate memory on the arena's account
 * @arena: the arena
 * @gfp: PA_GFP_*
 * @order: log2 of the number of pages
 * @page: number of its first page in the arena
 *
 * Context: may sleep.
 * Return: the folio, or NULL.
 */
struct folio *pa_folio_alloc(struct pa_arena *arena, gfp_t gfp, unsigned int order, pgoff_t page)
{
	struct pa_charge charge;
	struct folio *folio;

	pa_charge_begin(arena, &charge);
	folio = folio_alloc(gfp, order);
	pa_charge_end(&charge);
	/*
	 * Whoever had the memory before has left an index here.  The core maps no folio as a
	 * whole that by its index ends behind the end of the file.
	 */
	if (folio)
		folio->index = page;
	return folio;
}

/* Chunks */

static void pa_chunk_free_rcu(struct rcu_head *rcu)
{
	kmem_cache_free(pa_chunk_cache, container_of(rcu, struct pa_chunk, rcu));
}

static void pa_chunk_put(struct pa_chunk *c)
{
	if (refcount_dec_and_test(&c->ref))
		call_rcu(&c->rcu, pa_chunk_free_rcu);
}

/**
 * pa_chunk_get() - look a chunk up
 * @arena: the arena
 * @index: number of the chunk
 *
 * Context: any.
 * Return: the chunk with a reference, or NULL.
 */
struct pa_chunk *pa_chunk_get(struct pa_arena *arena, unsigned long index)
{
	struct pa_chunk *c;

	rcu_read_lock();
	c = xa_load(&arena->chunks, index);
	if (c && !refcount_inc_not_zero(&c->ref))
		c = NULL;
	rcu_read_unlock();
	return c;
}

/*
 * The first chunk from @index to @last, with a reference, or NULL.  Sets @index to its number.
 */
static struct pa_chunk *pa_chunk_next(struct pa_arena *arena, unsigned long *index,
				      unsigned long last)
{
	struct pa_chunk *c;

	rcu_read_lock();
	do {
		c = xa_find(&arena->chunks, index, last, XA_PRESENT);
		/* One without references has been erased. */
	} while (c && !refcount_inc_not_zero(&c->ref));
	rcu_read_unlock();
	return c;
}

/**
 * pa_chunk_create() - look a chunk up, or make it
 * @arena: the arena
 * @page: number of an MMU page in the chunk
 *
 * None is made if no allocated span touches the page.
 *
 * Context: may sleep; takes the chunk's lock, and the heap lock.
 * Return: the chunk, locked and with a reference, in any state but DEAD; or -ENOMEM or -ENOENT
 * as a pointer.
 */
struct pa_chunk *pa_chunk_create(struct pa_arena *arena, pgoff_t page)
{
	unsigned long index = page >> PA_CHUNK_ORDER;
	struct pa_charge charge;
	struct pa_chunk *c;
	unsigned int seq;
	int err;

	for (;;) {
		c = pa_chunk_get(arena, index);
		if (!c) {
			if (!pa_page_allocated(arena, page, &seq))
				return ERR_PTR(-ENOENT);
			pa_charge_begin(arena, &charge);
			c = kmem_cache_zalloc(pa_chunk_cache, GFP_KERNEL_ACCOUNT);
			if (c) {
				mutex_init(&c->lock);
				refcount_set(&c->ref, 2);
				c->index = index;
			}
			err = c ? xa_insert(&arena->chunks, index, c, GFP_KERNEL_ACCOUNT) :
				  -ENOMEM;
			pa_charge_end(&charge);
			if (err) {
				if (c)
					kmem_cache_free(pa_chunk_cache, c);
				if (err == -EBUSY)
					continue;
				return ERR_PTR(-ENOMEM);
			}
		}
		pa_race_window(PA_RACE_CHUNK);
		mutex_lock(&c->lock);
		if (c->state != PA_CHUNK_DEAD)
			return c;
		mutex_unlock(&c->lock);
		pa_chunk_put(c);
	}
}

/* Shall an empty chunk stay in the arena?  To make one takes longer than to fill it. */
static bool pa_chunk_keep(struct pa_arena *arena, struct pa_chunk *c)
{
	lockdep_assert_held(&c->lock);
	if (!c->item)
		return false;
	if (c->kept)
		return true;
	if (atomic_read(&arena->nr_kept) >= PA_KEPT_MAX)
		return false;
	atomic_inc(&arena->nr_kept);
	c->kept = true;
	WRITE_ONCE(c->may_huge, false);
	return true;
}

/* An empty chunk is about to be filled. */
static void pa_chunk_unkeep(struct pa_arena *arena, struct pa_chunk *c)
{
	lockdep_assert_held(&c->lock);
	if (c->kept) {
		c->kept = false;
		atomic_dec(&arena->nr_kept);
	}
}

/**
 * pa_chunk_unlock_put() - unlock a chunk and drop a reference
 * @arena: the arena
 * @c: a chunk that the caller has locked and holds a reference to
 *
 * A chunk that is left empty leaves the arena, but for some that are kept.
 *
 * Context: may sleep.
 */
void pa_chunk_unlock_put(struct pa_arena *arena, struct pa_chunk *c)
{
	bool dead = false;

	lockdep_assert_held(&c->lock);
	if (!c->nr_present && c->state != PA_CHUNK_DEAD) {
		if (c->state == PA_CHUNK_SMALL) {
			kfree(c->small);
			c->small = NULL;
			WRITE_ONCE(c->state, PA_CHUNK_EMPTY);
		}
		if (pa_chunk_keep(arena, c))
			goto unlock;
		pa_item_detach(arena, c);
		spin_lock(&arena->lock);
		xa_erase(&arena->chunks, c->index);
		if (arena->near[c->index % PA_NEAR] == c)
			arena->near[c->index % PA_NEAR] = NULL;
		if (arena->late == c)
			arena->late = NULL;
		spin_unlock(&arena->lock);
		WRITE_ONCE(c->state, PA_CHUNK_DEAD);
		dead = true;
	}
unlock:
	mutex_unlock(&c->lock);
	if (dead)
		pa_chunk_put(c);
	pa_chunk_put(c);
}

/**
 * pa_chunk_page() - the page at a place in a chunk
 * @c: the chunk
 * @i: number of the page in the chunk
 *
 * Context: chunk lock.
 * Return: the page, or NULL if it is not backed.
 */
struct page *pa_chunk_page(struct pa_chunk *c, unsigned int i)
{
	lockdep_assert_held(&c->lock);
	if (c->state == PA_CHUNK_HUGE)
		return folio_page(c->huge, i);
	if (c->state == PA_CHUNK_SMALL && c->small[i])
		return folio_page(c->small[i], i % folio_nr_pages(c->small[i]));
	return NULL;
}

/* pa_count_bits() for a chunk that is partly present. */
unsigned int pa_count_some_bits(const struct pa_chunk *c, unsigned int from, unsigned int to)
{
	unsigned int n = 0;

	while (from < to) {
		unsigned int bit = from % BITS_PER_LONG;
		unsigned int len = min_t(unsigned int, to - from, BITS_PER_LONG - bit);
		unsigned long word = c->present[from / BITS_PER_LONG] >> bit;

		if (len < BITS_PER_LONG)
			word &= (1UL << len) - 1;
		n += hweight_long(word);
		from += len;
	}
	return n;
}

/* What the heap says about pages */

/**
 * pa_page_inuse() - does an allocated span touch a page?
 * @arena: the arena
 * @page: number of the MMU page in the arena
 *
 * Context: heap lock.
 */
bool pa_page_inuse(struct pa_arena *arena, pgoff_t page)
{
	struct span_heap *heap = &arena->heap;
	u64 start = (u64)page << PAGE_SHIFT, end = start + PAGE_SIZE;
	struct span *s;

	lockdep_assert_held(&arena->lock);
	for (s = span_heap_find(heap, start >> heap->cfg.page_shift);
	     s && span_offset(s, heap) < end; s = span_heap_next(s))
		if (s->state == SPAN_INUSE)
			return true;
	return false;
}

/*
 * Does an allocated span touch a range of pages, or, if @all, do allocated spans cover it?  1 or
 * 0; -EAGAIN if the heap changed meanwhile.  Without the heap lock.
 */
static int pa_pages_peek(struct pa_arena *arena, pgoff_t page, unsigned int n, bool all,
			 unsigned int *seq)
{
	u8 shift = arena->heap.cfg.page_shift;
	u64 pos = (u64)page << PAGE_SHIFT, end = (u64)(page + n) << PAGE_SHIFT;
	struct span_seen seen;
	bool first = true;
	int ret = all;

	rcu_read_lock();
	for (; pos < end; pos = seen.end << shift) {
		int err = span_heap_peek(&arena->heap, pos >> shift, &seen);

		if (err == -EAGAIN || (!first && !err && seen.seq != *seq)) {
			ret = -EAGAIN;
			break;
		}
		if (err)
			seen.inuse = false;
		else
			*seq = seen.seq;
		first = false;
		if (seen.inuse != all) {
			ret = !all;
			break;
		}
		if (err)
			break;
	}
	rcu_read_unlock();
	return ret;
}

/**
 * pa_page_allocated() - pa_page_inuse() for a caller without the heap lock
 * @arena: the arena
 * @page: number of the MMU page in the arena
 * @seq: set to what span_heap_still() wants to know, if the answer is true
 *
 * Only if the heap changes just now does this take the lock.
 *
 * Context: may take the heap lock.
 */
bool pa_page_allocated(struct pa_arena *arena, pgoff_t page, unsigned int *seq)
{
	int inuse = pa_pages_peek(arena, page, 1, false, seq);

	if (inuse < 0) {
		spin_lock(&arena->lock);
		inuse = pa_page_inuse(arena, page);
		*seq = raw_read_seqcount(&arena->heap.seq);
		spin_unlock(&arena->lock);
	}
	return inuse;
}

/* Does an allocated span that begins at @stop or behind it touch the page that @stop is in? */
static bool pa_page_shared(struct pa_arena *arena, u64 stop)
{
	struct span_heap *heap = &arena->heap;
	u64 end = round_up(stop, PAGE_SIZE);
	struct span *s;

	for (s = span_heap_find(heap, stop >> heap->cfg.page_shift);
	     s && span_offset(s, heap) < end; s = span_heap_next(s))
		if (s->state == SPAN_INUSE)
			return true;
	return false;
}

/**
 * pa_pages_alone() - the pages that a span has to itself
 * @arena: the arena
 * @offset: start of the span, in bytes
 * @len: its length in bytes
 * @first: set to the first page
 * @end: set to the page after the last one; may be below *@first, if there is none
 *
 * A page at either end that another allocated span touches too is left out.
 *
 * Context: heap lock.
 */
void pa_pages_alone(struct pa_arena *arena, u64 offset, u64 len, pgoff_t *first, pgoff_t *end)
{
	struct span_heap *heap = &arena->heap;
	u64 stop = offset + len;
	struct span *s;

	lockdep_assert_held(&arena->lock);
	*first = offset >> PAGE_SHIFT;
	*end = (stop + PAGE_SIZE - 1) >> PAGE_SHIFT;
	if (heap->cfg.page_shift >= PAGE_SHIFT)
		return;
	for (s = span_heap_find(heap, ((u64)*first << PAGE_SHIFT) >> heap->cfg.page_shift);
	     s && span_offset(s, heap) < offset; s = span_heap_next(s)) {
		if (s->state == SPAN_INUSE) {
			(*first)++;
			break;
		}
	}
	*end -= pa_page_shared(arena, stop);
}

/**
 * pa_pages_added() - the pages that come into use when a span grows
 * @arena: the arena
 * @from: the lower of its two ends, in bytes
 * @to: the higher one
 * @first: set to the first page
 * @end: set to the page after the last one; may be below *@first, if there is none
 *
 * The same go out of use when it shrinks.
 *
 * Context: heap lock.
 */
void pa_pages_added(struct pa_arena *arena, u64 from, u64 to, pgoff_t *first, pgoff_t *end)
{
	lockdep_assert_held(&arena->lock);
	*first = (from + PAGE_SIZE - 1) >> PAGE_SHIFT;
	*end = (to + PAGE_SIZE - 1) >> PAGE_SHIFT;
	if (arena->heap.cfg.page_shift < PAGE_SHIFT)
		*end -= pa_page_shared(arena, to);
}

/**
 * pa_chunk_is_huge() - is the chunk at an offset huge?
 * @arena: the arena
 * @offset: offset in bytes
 *
 * Context: heap lock.
 */
bool pa_chunk_is_huge(struct pa_arena *arena, u64 offset)
{
	struct pa_chunk *c = xa_load(&arena->chunks, offset >> PA_CHUNK_SHIFT);

	lockdep_assert_held(&arena->lock);
	return c && c->nr_present && READ_ONCE(c->state) == PA_CHUNK_HUGE;
}

/**
 * pa_backing_count() - count backed pages
 * @arena: the arena
 * @first: first MMU page
 * @end: the page after the last one
 * @huge: if not NULL, set to those of them that are in huge folios
 *
 * Takes time for chunks that are backed only.
 *
 * Context: heap lock.
 * Return: number of pages.
 */
u64 pa_backing_count(struct pa_arena *arena, pgoff_t first, pgoff_t end, u64 *huge)
{
	unsigned long index = first >> PA_CHUNK_ORDER;
	struct pa_chunk *c;
	u64 n = 0, in;

	lockdep_assert_held(&arena->lock);
	if (huge)
		*huge = 0;
	if (first >= end)
		return 0;
	if (index == (end - 1) >> PA_CHUNK_ORDER) {
		c = xa_load(&arena->chunks, index);
		if (!c)
			return 0;
		n = pa_count_bits(c, first % PA_CHUNK_PAGES,
				  first % PA_CHUNK_PAGES + (end - first));
		if (huge && c->state == PA_CHUNK_HUGE)
			*huge = n;
		return n;
	}
	xa_for_each_range(&arena->chunks, index, c, index, (end - 1) >> PA_CHUNK_ORDER) {
		pgoff_t base = (pgoff_t)index << PA_CHUNK_ORDER;

		in = pa_count_bits(c, first > base ? first - base : 0,
				   min_t(pgoff_t, end - base, PA_CHUNK_PAGES));
		n += in;
		/* A hint outside the chunk's lock; the caller only shows it. */
		if (huge && READ_ONCE(c->state) == PA_CHUNK_HUGE)
			*huge += in;
	}
	return n;
}

/**
 * pa_backing_use_chunks() - pages of several chunks have come into use, or out of it
 * @arena: the arena
 * @first: first MMU page
 * @end: the page after the last one
 * @sign: as for pa_chunk_use()
 *
 * Takes time for chunks that are backed only.
 *
 * Context: heap lock.
 * Return: number of pages that are present.
 */
u64 pa_backing_use_chunks(struct pa_arena *arena, pgoff_t first, pgoff_t end, int sign)
{
	unsigned long index = first >> PA_CHUNK_ORDER;
	struct pa_chunk *c;
	u64 sum = 0;

	lockdep_assert_held(&arena->lock);
	xa_for_each_range(&arena->chunks, index, c, index, (end - 1) >> PA_CHUNK_ORDER) {
		pgoff_t base = (pgoff_t)index << PA_CHUNK_ORDER;
		unsigned int n = pa_count_bits(c, first > base ? first - base : 0,
					       min_t(pgoff_t, end - base, PA_CHUNK_PAGES));

		if (n) {
			pa_chunk_use(arena, c, n, sign);
			pa_item_update(arena, c);
		}
		sum += n;
	}
	return sum;
}

/* The chunk with a number, for the next time. */
struct pa_chunk *pa_chunk_find(struct pa_arena *arena, unsigned long index)
{
	struct pa_chunk *c = xa_load(&arena->chunks, index);

	lockdep_assert_held(&arena->lock);
	if (c)
		arena->near[index % PA_NEAR] = c;
	return c;
}

/**
 * pa_chunk_live() - what of a chunk is alive
 * @arena: the arena
 * @index: number of the chunk
 * @live: set to the pages that allocated spans touch
 * @scavenged: set to whether scavenged parts are all that is in the way of the result
 *	being true; may be NULL
 *
 * Context: heap lock.
 * Return: whether all of the chunk may be backed: no part of it is scavenged, in transit
 * or not grown yet.
 */
bool pa_chunk_live(struct pa_arena *arena, unsigned long index, unsigned long *live,
		   bool *scavenged)
{
	struct span_heap *heap = &arena->heap;
	u64 start = (u64)index << PA_CHUNK_SHIFT, end = start + PA_CHUNK_SIZE, pos = start;
	bool whole = true, other = false;
	struct span *s;

	lockdep_assert_held(&arena->lock);
	bitmap_zero(live, PA_CHUNK_PAGES);
	for (s = span_heap_find(heap, start >> heap->cfg.page_shift); s && pos < end;
	     s = span_heap_next(s)) {
		u64 stop = min(span_offset(s, heap) + span_bytes(s, heap), end);

		if (s->state == SPAN_INUSE) {
			unsigned int from = (pos - start) >> PAGE_SHIFT;
			unsigned int to = (stop - start + PAGE_SIZE - 1) >> PAGE_SHIFT;

			bitmap_set(live, from, to - from);
		} else if (s->state == SPAN_TRANSIT) {
			other = true;
		} else if (s->scavenged) {
			whole = false;
		}
		pos = stop;
	}
	if (pos < end)
		other = true;
	if (scavenged)
		*scavenged = !whole && !other;
	return whole && !other;
}

/**
 * pa_chunk_account() - take a chunk out of the arena's figures, or into them
 * @arena: the arena
 * @c: the chunk
 * @live: what is alive of it
 * @sign: -1 before its state and its present pages change, 1 after that
 *
 * Context: heap lock and chunk lock.
 */
void pa_chunk_account(struct pa_arena *arena, struct pa_chunk *c, const unsigned long *live,
		      int sign)
{
	unsigned int inuse = pa_inuse_weight(c, live);

	lockdep_assert_held(&arena->lock);
	lockdep_assert_held(&c->lock);
	arena->nr_inuse += sign * (int)inuse;
	c->nr_inuse += sign * (int)inuse;
	if (c->state == PA_CHUNK_HUGE) {
		arena->nr_huge += sign;
		arena->nr_huge_inuse += sign * (int)inuse;
	} else {
		arena->nr_small += sign * (int)c->nr_present;
	}
	arena->peak = max(arena->peak, pa_nr_backed(arena));
	c->nr_stuck = 0;
	if (sign > 0)
		pa_item_update(arena, c);
}

/**
 * pa_inuse_weight() - number of pages of a chunk that are present and alive
 * @c: the chunk
 * @live: what is alive of it
 *
 * Context: heap lock or chunk lock.
 */
unsigned int pa_inuse_weight(const struct pa_chunk *c, const unsigned long *live)
{
	DECLARE_BITMAP(inuse, PA_CHUNK_PAGES);

	bitmap_and(inuse, c->present, live, PA_CHUNK_PAGES);
	return bitmap_weight(inuse, PA_CHUNK_PAGES);
}

/* Pages that are backed and free, if all of a chunk were backed. */
static u64 pa_free_if_huge(struct pa_arena *arena, const struct pa_chunk *c,
			   const unsigned long *live)
{
	u64 free = pa_nr_backed(arena) - arena->nr_inuse;

	return free + PA_CHUNK_PAGES - bitmap_weight(live, PA_CHUNK_PAGES) -
	       (c->nr_present - pa_inuse_weight(c, live));
}

/*
 * May so many more pages be backed?  For what ALLOC has granted there is always room; but
 * before ALLOC has found it, another thread may touch the span already.  And a limit that was
 * just set is not kept to until enough has been released.
 */
static bool pa_limit_room(struct pa_arena *arena, unsigned int pages)
{
	lockdep_assert_held(&arena->lock);
	return !arena->limit || arena->limit_soft || arena->limit_new ||
	       ((pa_nr_backed(arena) + pages) << PAGE_SHIFT) + pa_pool_bytes(arena) <=
		       arena->limit;
}

/**
 * pa_limit_allows() - would backing all of a chunk keep to the limit?
 * @arena: the arena
 * @c: the chunk
 * @live: what is alive of it
 *
 * With a hard limit ALLOC counts allocated spans as if all of them were backed, so what is
 * added are the free pages.
 *
 * Context: heap lock.
 */
bool pa_limit_allows(struct pa_arena *arena, const struct pa_chunk *c, const unsigned long *live)
{
	lockdep_assert_held(&arena->lock);
	if (!arena->limit)
		return true;
	if (arena->limit_soft)
		return ((pa_nr_backed(arena) + PA_CHUNK_PAGES - c->nr_present) << PAGE_SHIFT) +
		       pa_pool_bytes(arena) <= arena->limit;
	return pa_allocated_bytes(arena) + (pa_free_if_huge(arena, c, live) << PAGE_SHIFT) +
	       pa_pool_bytes(arena) <= arena->limit;
}

/**
 * pa_chunk_unscavenge() - count the free part of a chunk as backed
 * @arena: the arena
 * @index: number of the chunk, of which no part is in transit or not grown yet
 *
 * Context: heap lock.
 * Return: false if the heap has not spares enough.
 */
bool pa_chunk_unscavenge(struct pa_arena *arena, unsigned long index)
{
	u8 shift = PA_CHUNK_SHIFT - arena->heap.cfg.page_shift;

	return !span_heap_unscavenge(&arena->heap, (u64)index << shift, 1ULL << shift,
				     ktime_get_ns());
}

/* Filling */

/* Does the policy want all of an empty chunk backed, of which @live is alive? */
static bool pa_policy_huge(struct pa_arena *arena, struct pa_chunk *c, bool whole,
			   bool scavenged, const unsigned long *live)
{
	u64 free = pa_free_if_huge(arena, c, live) << PAGE_SHIFT;
	u64 bound = max_t(u64, PA_AUTO_SLACK, arena->heap.stats.heap_inuse / PA_AUTO_SHARE);

	if (!pa_limit_allows(arena, c, live))
		return false;
	if (whole || (scavenged && arena->setup.huge == PAGEARENA_HUGE_ALWAYS))
		return true;
	/* Much warm memory elsewhere is no reason to begin a dense chunk with small folios. */
	if (bitmap_weight(live, PA_CHUNK_PAGES) >= PA_CHUNK_PAGES / 2)
		bound *= 2;
	return scavenged && free <= bound;
}

/* An empty chunk gets its huge folio.  Heap lock and chunk lock. */
static void pa_chunk_set_huge(struct pa_arena *arena, struct pa_chunk *c, struct folio *folio,
			      const unsigned long *live)
{
	c->huge = folio;
	WRITE_ONCE(c->state, PA_CHUNK_HUGE);
	bitmap_fill(c->present, PA_CHUNK_PAGES);
	c->nr_present = PA_CHUNK_PAGES;
	pa_chunk_account(arena, c, live, 1);
	/* So that nobody has to when he frees something. */
	arena->near[c->index % PA_NEAR] = c;
	if (!READ_ONCE(c->item->listed))
		pa_item_list(c->item);
}

/* An empty chunk has got its huge folio.  Chunk lock. */
static void pa_chunk_set_done(struct pa_arena *arena, struct pa_chunk *c)
{
	if (!xa_empty(&arena->torn))
		xa_set_mark(&arena->torn, c->index, PA_TORN_HUGE);
	pa_shadow_hit(arena, c, 0, PA_CHUNK_PAGES);
}

/*
 * Backs all of an empty chunk by a folio that was zeroed in advance.  What may sleep or fail
 * comes first, so that the policy is looked at, the folio taken, and the chunk filled under one
 * hold of the heap lock: what is in the pool is in no limit's way here.
 */
static bool pa_chunk_fill_ready(struct pa_arena *arena, struct pa_chunk *c)
{
	DECLARE_BITMAP(live, PA_CHUNK_PAGES);
	bool whole, scavenged, ok = false;
	struct pa_ready *ready;

	lockdep_assert_held(&c->lock);
	if (likely(!READ_ONCE(arena->pool.nr)) || pa_item_attach(arena, c, numa_node_id()))
		return false;
	pa_fill_spares(arena);
	spin_lock(&arena->lock);
	ready = pa_pool_take(arena);
	if (ready) {
		whole = pa_chunk_live(arena, c->index, live, &scavenged);
		ok = pa_policy_huge(arena, c, whole, scavenged, live) &&
		     (whole || pa_chunk_unscavenge(arena, c->index));
		if (ok) {
			ready->folio->index = c->index << PA_CHUNK_ORDER;
			pa_chunk_set_huge(arena, c, ready->folio, live);
		} else {
			pa_pool_return(arena, ready);
		}
	}
	spin_unlock(&arena->lock);
	if (!ok)
		return false;
	pa_item_move(arena, c, folio_nid(c->huge));
	pa_chunk_set_done(arena, c);
	pa_pool_used(arena, ready);
	return true;
}

/*
 * Backs all of an empty chunk by one folio.  The policy is looked at before the folio is
 * allocated, so that none is for nothing, and after it, as the heap lock was dropped.
 */
static bool pa_chunk_fill_huge(struct pa_arena *arena, struct pa_chunk *c)
{
	DECLARE_BITMAP(live, PA_CHUNK_PAGES);
	bool whole, scavenged, ok;
	struct folio *folio;

	lockdep_assert_held(&c->lock);
	if (!pa_huge_enabled(arena))
		return false;
	if (pa_chunk_fill_ready(arena, c))
		return true;
	spin_lock(&arena->lock);
	whole = pa_chunk_live(arena, c->index, live, &scavenged);
	ok = pa_policy_huge(arena, c, whole, scavenged, live);
	spin_unlock(&arena->lock);
	if (!ok) {
		trace_pagearena_refuse(arena->id, PA_REFUSE_HUGE, (u64)c->index << PA_CHUNK_SHIFT,
				       PA_CHUNK_SIZE, -EPERM);
		return false;
	}

	pa_pool_missed(arena);
	folio = pa_folio_alloc(arena, PA_GFP_HUGE | __GFP_ZERO, PA_CHUNK_ORDER,
			       c->index << PA_CHUNK_ORDER);
	if (!folio) {
		atomic64_inc(&arena->count.huge_failed);
		trace_pagearena_refuse(arena->id, PA_REFUSE_HUGE, (u64)c->index << PA_CHUNK_SHIFT,
				       PA_CHUNK_SIZE, -ENOMEM);
		return false;
	}
	atomic64_inc(&arena->count.huge_alloc);
	atomic64_add(PA_CHUNK_SIZE, &arena->count.bytes_zeroed);
	if (pa_item_attach(arena, c, folio_nid(folio))) {
		folio_put(folio);
		return false;
	}

	/* Without spares the chunk gets small pages. */
	if (!whole)
		pa_fill_spares(arena);
	pa_race_window(PA_RACE_FILL);
	spin_lock(&arena->lock);
	whole = pa_chunk_live(arena, c->index, live, &scavenged);
	ok = pa_policy_huge(arena, c, whole, scavenged, live);
	if (ok && !whole)
		ok = pa_chunk_unscavenge(arena, c->index);
	if (ok)
		pa_chunk_set_huge(arena, c, folio, live);
	spin_unlock(&arena->lock);
	if (ok)
		pa_chunk_set_done(arena, c);
	else
		folio_put(folio);
	return ok;
}

/* Do allocated spans cover all of a run of pages? */
static bool pa_pages_covered(struct pa_arena *arena, pgoff_t page, unsigned int n)
{
	struct span_heap *heap = &arena->heap;
	u64 pos = (u64)page << PAGE_SHIFT, end = (u64)(page + n) << PAGE_SHIFT;
	struct span *s;

	lockdep_assert_held(&arena->lock);
	for (s = span_heap_find(heap, pos >> heap->cfg.page_shift);
	     s && s->state == SPAN_INUSE && pos < end; s = span_heap_next(s))
		pos = span_offset(s, heap) + span_bytes(s, heap);
	return pos >= end;
}

/* pa_pages_covered() without the lock, as pa_page_allocated(). */
static bool pa_pages_allocated(struct pa_arena *arena, pgoff_t page, unsigned int n,
			       unsigned int *seq)
{
	int covered = pa_pages_peek(arena, page, n, true, seq);

	if (covered < 0) {
		spin_lock(&arena->lock);
		covered = pa_pages_covered(arena, page, n);
		*seq = raw_read_seqcount(&arena->heap.seq);
		spin_unlock(&arena->lock);
	}
	return covered;
}

/* Backs the 64 KiB around a page of a small chunk by one folio. */
static bool pa_chunk_fill_mid(struct pa_arena *arena, struct pa_chunk *c, unsigned int i)
{
	unsigned int first = round_down(i, PA_MID_PAGES), end = first + PA_MID_PAGES;
	pgoff_t page = ((pgoff_t)c->index << PA_CHUNK_ORDER) + first;
	struct folio *folio;
	unsigned int seq;
	bool ok;

	lockdep_assert_held(&c->lock);
	if (!pa_arena_mid(arena) || find_next_bit(c->present, end, first) < end)
		return false;
	ok = pa_pages_allocated(arena, page, PA_MID_PAGES, &seq);
	folio = ok ? pa_folio_alloc(arena, PA_GFP_MID | __GFP_ZERO, PA_MID_ORDER, page) : NULL;
	if (!folio)
		return false;
	if (pa_item_attach(arena, c, folio_nid(folio))) {
		folio_put(folio);
		return false;
	}

	pa_race_window(PA_RACE_FILL);
	spin_lock(&arena->lock);
	ok = (span_heap_still(&arena->heap, seq) ||
	      pa_pages_covered(arena, page, PA_MID_PAGES)) &&
	     !arena->limit_new && pa_limit_room(arena, PA_MID_PAGES);
	if (ok) {
		for (i = first; i < end; i++)
			c->small[i] = folio;
		bitmap_set(c->present, first, PA_MID_PAGES);
		c->nr_present += PA_MID_PAGES;
		arena->nr_small += PA_MID_PAGES;
		arena->nr_inuse += PA_MID_PAGES;
		c->nr_inuse += PA_MID_PAGES;
		arena->peak = max(arena->peak, pa_nr_backed(arena));
	}
	spin_unlock(&arena->lock);
	if (!ok) {
		folio_put(folio);
		return false;
	}
	atomic64_inc(&arena->count.mid_alloc);
	atomic64_add(PA_MID_PAGES << PAGE_SHIFT, &arena->count.bytes_zeroed);
	pa_shadow_hit(arena, c, first, PA_MID_PAGES);
	pa_promote_notice(arena, c);
	return true;
}

/**
 * pa_chunk_fill() - back a page of a chunk
 * @arena: the arena
 * @c: the chunk
 * @i: number of the page in the chunk
 * @gfp: for a small folio: %PA_GFP_SMALL, or %PA_GFP_POPULATE
 *
 * Does nothing to a page that is backed already.
 *
 * Context: chunk lock; may sleep.
 * Return: 0; -ENOENT if no allocated span touches the page; -ENOMEM.
 */
int pa_chunk_fill(struct pa_arena *arena, struct pa_chunk *c, unsigned int i, gfp_t gfp)
{
	pgoff_t page = ((pgoff_t)c->index << PA_CHUNK_ORDER) + i;
	struct pa_charge charge;
	struct folio *folio;
	unsigned int seq;
	bool inuse, room;

	lockdep_assert_held(&c->lock);
	if (!pa_page_allocated(arena, page, &seq))
		return -ENOENT;
	if (READ_ONCE(c->may_huge))
		pa_chunk_begin_anew(arena, c);
	if (test_bit(i, c->present))
		return 0;
	if (c->state == PA_CHUNK_EMPTY) {
		pa_chunk_unkeep(arena, c);
		if (pa_chunk_fill_huge(arena, c))
			return 0;
		pa_charge_begin(arena, &charge);
		c->small = kcalloc(PA_CHUNK_PAGES, sizeof(*c->small), GFP_KERNEL_ACCOUNT);
		pa_charge_end(&charge);
		if (!c->small)
			return -ENOMEM;
		WRITE_ONCE(c->state, PA_CHUNK_SMALL);
		/* It needs its page table again. */
		if (!xa_empty(&arena->torn))
			xa_erase(&arena->torn, c->index);
	}

	if (pa_chunk_fill_mid(arena, c, i))
		return 0;
	folio = pa_folio_alloc(arena, gfp | __GFP_ZERO, 0, page);
	if (!folio)
		return -ENOMEM;
	if (pa_item_attach(arena, c, folio_nid(folio))) {
		folio_put(folio);
		return -ENOMEM;
	}
	pa_race_window(PA_RACE_FILL);
	spin_lock(&arena->lock);
	inuse = span_heap_still(&arena->heap, seq) || pa_page_inuse(arena, page);
	room = pa_limit_room(arena, 1);
	if (inuse && room) {
		c->small[i] = folio;
		__set_bit(i, c->present);
		c->nr_present++;
		arena->nr_small++;
		arena->nr_inuse++;
		c->nr_inuse++;
		arena->peak = max(arena->peak, pa_nr_backed(arena));
	}
	spin_unlock(&arena->lock);
	if (!inuse || !room) {
		folio_put(folio);
		return inuse ? -ENOMEM : -ENOENT;
	}
	pa_promote_notice(arena, c);
	pa_shadow_hit(arena, c, i, 1);
	atomic64_add(PAGE_SIZE, &arena->count.bytes_zeroed);
	return 0;
}

/* Zapping, moving, releasing */

/**
 * pa_zap() - take all mappings of a range away
 * @arena: the arena
 * @offset: start, in bytes
 * @len: length in bytes
 *
 * Context: may sleep; no heap lock.
 */
void pa_zap(struct pa_arena *arena, u64 offset, u64 len)
{
	unmap_mapping_range(arena->inode->i_mapping, offset, len, 1);
	atomic64_inc(&arena->count.zap);
}

/**
 * pa_folio_settle() - wait until a fault that was handed a folio has mapped it
 * @folio: the folio
 *
 * Context: chunk lock, so that no other fault gets it.
 */
void pa_folio_settle(struct folio *folio)
{
	folio_wait_locked(folio);
	/* Pairs with folio_unlock() in the fault: the zap that follows sees what it mapped. */
	smp_mb();
}

/**
 * pa_chunk_torn() - a chunk that was mapped page by page is not small any more
 * @arena: the arena
 * @c: the chunk
 *
 * See pa_map_anew().  Without memory for the record, mappings stay as they are.
 *
 * Context: chunk lock; may sleep.
 */
void pa_chunk_torn(struct pa_arena *arena, struct pa_chunk *c)
{
	gfp_t gfp = pa_in_reclaim() ? GFP_NOWAIT | __GFP_NOMEMALLOC : GFP_KERNEL;
	struct pa_charge charge;

	lockdep_assert_held(&c->lock);
	pa_charge_begin(arena, &charge);
	xa_store(&arena->torn, c->index, xa_mk_value(1), gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	pa_charge_end(&charge);
	if (c->state == PA_CHUNK_HUGE)
		xa_set_mark(&arena->torn, c->index, PA_TORN_HUGE);
	else
		xa_clear_mark(&arena->torn, c->index, PA_TORN_HUGE);
}

/**
 * pa_small_free() - give back the folios of a small chunk, and the array
 * @small: the array, or NULL
 *
 * All at once: the core takes what they were charged off the memory cgroup in one go, and
 * the allocator's lock once for many.
 *
 * Context: may sleep.
 */
void pa_small_free(struct folio **small)
{
	unsigned int i, n = 0;

	if (!small)
		return;
	for (i = 0; i < PA_CHUNK_PAGES; i++) {
		struct folio *folio = small[i];

		if (!folio)
			continue;
		i += folio_nr_pages(folio) - 1;
		small[n++] = folio;
	}
	pa_release_folios(small, n);
	kfree(small);
}

/*
 * Takes the pages from @from to @to out of a chunk, onto a list.  The caller sees to it that
 * no fault that was handed one of them is still under way.
 */
static void pa_chunk_detach(struct pa_arena *arena, struct pa_chunk *c, unsigned int from,
			    unsigned int to, bool shadow, struct list_head *list)
{
	struct folio *folio = NULL;
	unsigned int i, n = 0;

	lockdep_assert_held(&c->lock);
	if (shadow && c->nr_present)
		pa_shadow_add(arena, c, from, to, NULL);
	if (c->state == PA_CHUNK_HUGE) {
		list_add_tail(&c->huge->lru, list);
		spin_lock(&arena->lock);
		bitmap_zero(c->present, PA_CHUNK_PAGES);
		c->nr_present = 0;
		c->nr_stuck = 0;
		arena->nr_huge--;
		pa_item_update(arena, c);
		spin_unlock(&arena->lock);
		c->huge = NULL;
		WRITE_ONCE(c->state, PA_CHUNK_EMPTY);
	} else if (c->state == PA_CHUNK_SMALL) {
		for (i = from; i < to; i++) {
			if (!c->small[i])
				continue;
			/* What is released are whole granules, and no folio is larger. */
			if (c->small[i] != folio) {
				folio = c->small[i];
				list_add_tail(&folio->lru, list);
			}
			c->small[i] = NULL;
			n++;
		}
		spin_lock(&arena->lock);
		bitmap_clear(c->present, from, to - from);
		c->nr_present -= n;
		if (!c->nr_present)
			c->nr_stuck = 0;
		arena->nr_small -= n;
		pa_item_update(arena, c);
		spin_unlock(&arena->lock);
		if (!c->nr_present)
			pa_chunk_torn(arena, c);
	}
}

/* Gives back what pa_chunk_detach() took.  Returns the number of pages that are free now. */
static u64 pa_list_put(struct list_head *list)
{
	struct folio *batch[PA_FREE_BATCH], *folio, *next;
	unsigned int n = 0;
	u64 pages = 0;

	list_for_each_entry_safe(folio, next, list, lru) {
		list_del(&folio->lru);
		if (folio_ref_count(folio) == 1)
			pages += folio_nr_pages(folio);
		batch[n++] = folio;
		if (n == PA_FREE_BATCH) {
			pa_release_folios(batch, n);
			n = 0;
			cond_resched();
		}
	}
	pa_release_folios(batch, n);
	return pages;
}

/**
 * pa_chunk_take() - release a part of a chunk without waiting for anything
 * @arena: the arena
 * @c: the chunk
 * @offset: start, in bytes
 * @len: length in bytes; the range is inside the chunk, and in transit
 * @freed: increased by the number of pages that went back
 *
 * Context: chunk lock; may be in reclaim.
 * Return: 0; -EBUSY if a fault is under way, or a huge folio would have to be broken.
 */
int pa_chunk_take(struct pa_arena *arena, struct pa_chunk *c, u64 offset, u64 len, u64 *freed)
{
	unsigned int from = (offset >> PAGE_SHIFT) % PA_CHUNK_PAGES, i;
	unsigned int to = from + (len >> PAGE_SHIFT);
	LIST_HEAD(list);

	lockdep_assert_held(&c->lock);
	if (c->state == PA_CHUNK_HUGE) {
		if (to - from < PA_CHUNK_PAGES || !folio_trylock(c->huge))
			return -EBUSY;
		folio_unlock(c->huge);
	} else if (c->state == PA_CHUNK_SMALL) {
		/* Who has one of them from now on has it from a page table. */
		for (i = from; i < to; i++) {
			if (!c->small[i])
				continue;
			if (!folio_trylock(c->small[i]))
				return -EBUSY;
			folio_unlock(c->small[i]);
		}
	}
	pa_chunk_detach(arena, c, from, to, true, &list);
	if (list_empty(&list))
		return 0;
	pa_race_window(PA_RACE_DETACHED);
	pa_zap(arena, offset, len);
	pa_race_window(PA_RACE_ZAPPED);
	*freed += pa_list_put(&list);
	return 0;
}

/* A huge chunk of which only a part goes is demoted first. */
static int pa_release_edge(struct pa_arena *arena, pgoff_t first, pgoff_t end,
			   unsigned long index, enum pa_cause cause, u64 *freed)
{
	pgoff_t base = (pgoff_t)index << PA_CHUNK_ORDER;
	struct pa_chunk *c;
	int err = 0;

	if (first <= base && base + PA_CHUNK_PAGES <= end)
		return 0;
	c = pa_chunk_get(arena, index);
	if (!c)
		return 0;
	mutex_lock(&c->lock);
	if (c->state == PA_CHUNK_HUGE) {
		err = pa_chunk_demote(arena, c, cause);
		if (!err)
			*freed += PA_CHUNK_PAGES - c->nr_present;
	}
	pa_chunk_unlock_put(arena, c);
	return err;
}

/**
 * pa_backing_release() - release the memory of a range
 * @arena: the arena
 * @offset: start, in bytes, a multiple of the page size
 * @len: length in bytes, a multiple of the page size
 * @cause: why; what the background releases is remembered, to find out whether it is wanted
 *	back soon
 * @freed: increased by the number of pages that went back
 *
 * No allocated span may touch the range, and none may come to touch it meanwhile: it is
 * in transit.  Mappings of the whole range are taken away at once.
 *
 * Context: may sleep; takes chunk locks.
 * Return: 0; -EBUSY if a huge folio that reaches beyond the range is pinned, -ENOMEM if
 * its other contents cannot be moved: some of the range may be released already.
 */
int pa_backing_release(struct pa_arena *arena, u64 offset, u64 len, enum pa_cause cause,
		       u64 *freed)
{
	pgoff_t first = offset >> PAGE_SHIFT, end = (offset + len) >> PAGE_SHIFT;
	unsigned long index, last = (end - 1) >> PA_CHUNK_ORDER;
	struct folio *folio;
	struct pa_chunk *c;
	LIST_HEAD(list);
	int err;

	err = pa_release_edge(arena, first, end, first >> PA_CHUNK_ORDER, cause, freed);
	if (!err)
		err = pa_release_edge(arena, first, end, last, cause, freed);
	if (err)
		return err;

	index = first >> PA_CHUNK_ORDER;
	while ((c = pa_chunk_next(arena, &index, last))) {
		pgoff_t base = (pgoff_t)index << PA_CHUNK_ORDER;

		mutex_lock(&c->lock);
		/* Nothing of the range is allocated, so no chunk of it has become huge. */
		if (c->state != PA_CHUNK_DEAD) {
			LIST_HEAD(mine);

			pa_chunk_detach(arena, c, first > base ? first - base : 0,
					min_t(pgoff_t, end - base, PA_CHUNK_PAGES),
					cause == PA_CAUSE_BACKGROUND, &mine);
			list_for_each_entry(folio, &mine, lru)
				pa_folio_settle(folio);
			list_splice_tail(&mine, &list);
		}
		pa_chunk_unlock_put(arena, c);
		cond_resched();
		if (index++ == last)
			break;
	}
	if (list_empty(&list))
		return 0;

	pa_race_window(PA_RACE_DETACHED);
	pa_zap(arena, offset, len);
	pa_race_window(PA_RACE_ZAPPED);
	*freed += pa_list_put(&list);
	return 0;
}

/**
 * pa_backing_zap() - take pages out of reach that stay where they are
 * @arena: the arena
 * @first: first page
 * @end: the page after the last one
 *
 * Nobody may get them by a fault any more; one that has begun is waited for.
 *
 * Context: may sleep; takes chunk locks.
 */
void pa_backing_zap(struct pa_arena *arena, pgoff_t first, pgoff_t end)
{
	unsigned long index = first >> PA_CHUNK_ORDER, last = (end - 1) >> PA_CHUNK_ORDER;
	struct pa_chunk *c;

	while ((c = pa_chunk_next(arena, &index, last))) {
		pgoff_t base = (pgoff_t)index << PA_CHUNK_ORDER;
		unsigned int i = first > base ? first - base : 0;
		unsigned int to = min_t(pgoff_t, end - base, PA_CHUNK_PAGES);

		mutex_lock(&c->lock);
		if (c->state != PA_CHUNK_DEAD)
			for_each_set_bit_from(i, c->present, to)
				pa_folio_settle(page_folio(pa_chunk_page(c, i)));
		pa_chunk_unlock_put(arena, c);
		cond_resched();
		if (index++ == last)
			break;
	}
	pa_zap(arena, (u64)first << PAGE_SHIFT, (u64)(end - first) << PAGE_SHIFT);
}

/* What ALLOC asks for */

/**
 * pa_backing_populate() - back a range now
 * @arena: the arena
 * @offset: start of an allocated span, in bytes
 * @len: its length in bytes
 *
 * Context: may sleep; takes chunk locks.
 * Return: 0; -ENOMEM; -EINTR for a fatal signal; -ENOENT if the span was freed meanwhile.
 */
int pa_backing_populate(struct pa_arena *arena, u64 offset, u64 len)
{
	pgoff_t page = offset >> PAGE_SHIFT, end = (offset + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
	struct pa_chunk *c;
	int err = 0;

	while (!err && page < end) {
		pgoff_t stop = min_t(pgoff_t, end, round_down(page, PA_CHUNK_PAGES) +
						   PA_CHUNK_PAGES);

		if (fatal_signal_pending(current))
			return -EINTR;
		pa_limit_approach(arena);
		pa_reclaim_high(arena);
		c = pa_chunk_create(arena, page);
		if (IS_ERR(c))
			return PTR_ERR(c);
		for (; !err && page < stop; page++)
			err = pa_chunk_fill(arena, c, page % PA_CHUNK_PAGES, PA_GFP_POPULATE);
		pa_chunk_unlock_put(arena, c);
		cond_resched();
	}
	return err;
}

/**
 * pa_backing_zero() - clear what is backed of a range
 * @arena: the arena
 * @offset: start of an allocated span, in bytes
 * @len: its length in bytes
 *
 * Context: may sleep; takes chunk locks.
 */
void pa_backing_zero(struct pa_arena *arena, u64 offset, u64 len)
{
	u64 end = offset + len, stop;
	unsigned long index = offset >> PA_CHUNK_SHIFT, last = (end - 1) >> PA_CHUNK_SHIFT;
	struct pa_chunk *c;

	while ((c = pa_chunk_next(arena, &index, last))) {
		u64 base = (u64)index << PA_CHUNK_SHIFT;
		u64 pos = max(offset, base);

		mutex_lock(&c->lock);
		for (; pos < min(end, base + PA_CHUNK_SIZE); pos = stop) {
			struct page *page;

			stop = min(end, round_down(pos, PAGE_SIZE) + PAGE_SIZE);
			page = pa_chunk_page(c, (pos - base) >> PAGE_SHIFT);
			if (!page)
				continue;
			memzero_page(page, offset_in_page(pos), stop - pos);
			atomic64_add(stop - pos, &arena->count.bytes_zeroed);
			cond_resched();
		}
		pa_chunk_unlock_put(arena, c);
		if (index++ == last)
			break;
	}
}

/**
 * pa_backing_hugepage() - the chunks inside a range may be huge again (rule 15)
 * @arena: the arena
 * @offset: start, in bytes
 * @len: length in bytes
 *
 * Context: heap lock; atomic.
 */
void pa_backing_hugepage(struct pa_arena *arena, u64 offset, u64 len)
{
	unsigned long index, first = (offset + PA_CHUNK_SIZE - 1) >> PA_CHUNK_SHIFT;
	unsigned long end = (offset + len) >> PA_CHUNK_SHIFT;
	struct pa_chunk *c;

	lockdep_assert_held(&arena->lock);
	if (first >= end)
		return;
	xa_for_each_range(&arena->chunks, index, c, first, end - 1)
		WRITE_ONCE(c->may_huge, true);
}

/**
 * pa_backing_recount() - verify the figures of the backing, and I9
 * @arena: the arena
 *
 * I9: a page inside a scavenged span's granules is never present.
 *
 * Context: heap lock.
 * Return: NULL, or what is wrong.
 */
const char *pa_backing_recount(struct pa_arena *arena)
{
	u64 pages = 0, inuse = 0, huge = 0, huge_inuse = 0, reclaimable = 0, sparse = 0;
	u64 touched = 0, stop = 0;
	unsigned long index;
	struct pa_chunk *c;
	struct span *s;

	lockdep_assert_held(&arena->lock);
	pa_settle(arena);
	xa_for_each(&arena->chunks, index, c) {
		DECLARE_BITMAP(live, PA_CHUNK_PAGES);

		if (bitmap_weight(c->present, PA_CHUNK_PAGES) != c->nr_present)
			return "a chunk's number of pages";
		pa_chunk_live(arena, index, live, NULL);
		if (c->nr_inuse != pa_inuse_weight(c, live))
			return "a chunk's number of pages in use";
		if (c->nr_present && !c->item)
			return "a chunk that the shrinker does not see";
		if (c->item && c->item->nr != pa_chunk_reclaimable(c))
			return "a chunk's number of pages to reclaim";
		reclaimable += pa_chunk_reclaimable(c);
		if (pa_chunk_sparse(c))
			sparse += pa_chunk_reclaimable(c);
		inuse += c->nr_inuse;
		pages += c->nr_present;
		if (c->nr_present && READ_ONCE(c->state) == PA_CHUNK_HUGE) {
			huge++;
			huge_inuse += pa_inuse_weight(c, live);
		}
	}
	if (pages != pa_nr_backed(arena) ||
	    huge != arena->nr_huge)
		return "number of pages present";
	if (inuse != arena->nr_inuse || huge_inuse != arena->nr_huge_inuse)
		return "number of pages in use";
	if (reclaimable != arena->nr_reclaimable || sparse != arena->nr_sparse)
		return "number of pages to reclaim";
	for (s = span_heap_first(&arena->heap); s; s = span_heap_next(s)) {
		u64 granule = 1ULL << arena->heap.cfg.granule_shift, edge;
		u64 start = round_up(span_offset(s, &arena->heap), granule);
		u64 end = round_down(span_offset(s, &arena->heap) + span_bytes(s, &arena->heap),
				     granule);

		if (s->state == SPAN_INUSE && arena->heap.cfg.page_shift < PAGE_SHIFT) {
			edge = span_offset(s, &arena->heap);
			stop = max_t(u64, stop, round_down(edge, PAGE_SIZE));
			edge = round_up(edge + span_bytes(s, &arena->heap), PAGE_SIZE);
			touched += (edge - stop) >> PAGE_SHIFT;
			stop = edge;
		}
		if (arena->heap.cfg.page_shift >= arena->heap.cfg.granule_shift) {
			start = span_offset(s, &arena->heap);
			end = start + span_bytes(s, &arena->heap);
		}
		if (s->scavenged && pa_backing_count(arena, start >> PAGE_SHIFT,
						     end >> PAGE_SHIFT, NULL))
			return "I9: a released page is present";
	}
	if (touched != arena->nr_touched)
		return "number of pages that spans touch";
	return NULL;
}

/**
 * pa_backing_forget() - the shrinker shall not find chunks of an arena any more
 * @arena: an arena that nobody maps or uses any more
 *
 * Context: may sleep; waits for shrinkers that are at work on a chunk.
 */
void pa_backing_forget(struct pa_arena *arena)
{
	unsigned long index = 0;
	struct pa_chunk *c;

	for (; (c = pa_chunk_next(arena, &index, ULONG_MAX)); index++) {
		mutex_lock(&c->lock);
		pa_item_detach(arena, c);
		pa_chunk_unlock_put(arena, c);
		cond_resched();
	}
}

/**
 * pa_backing_destroy() - give everything back
 * @arena: an arena that nobody maps or uses any more
 *
 * Context: may sleep.
 */
void pa_backing_destroy(struct pa_arena *arena)
{
	unsigned long index;
	struct pa_chunk *c;

	xa_for_each(&arena->chunks, index, c) {
		if (c->state == PA_CHUNK_HUGE)
			folio_put(c->huge);
		else if (c->state == PA_CHUNK_SMALL)
			pa_small_free(c->small);
		pa_chunk_put(c);
		cond_resched();
	}
	xa_destroy(&arena->chunks);
}

int __init pa_backing_init(void)
{
	pa_chunk_cache = kmem_cache_create("pagearena_chunk", sizeof(struct pa_chunk), 0,
					   SLAB_ACCOUNT, NULL);
	return pa_chunk_cache ? 0 : -ENOMEM;
}

void pa_backing_exit(void)
{
	/* Chunks may still wait for their grace period. */
	rcu_barrier();
	kmem_cache_destroy(pa_chunk_cache);
}
