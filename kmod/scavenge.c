// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Scavenging: which free memory goes back, when, and how the heap reaches pages.
 *
 * Whole chunks go first, then what lies in small folios, then, if it must be, what lies in
 * huge folios beside live memory, the sparsest first.  The heap walks its spans by size or
 * by age; trim() tells it which part of a span the current pass takes.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sort.h>
#include <linux/timekeeping.h>

#include "arena.h"
#include "backing.h"
#include "background.h"
#include "promote.h"
#include "reclaim.h"
#include "trace.h"

static void pa_count_freed(struct pa_arena *arena, struct pa_scavenging *sc, u64 pages, u64 len)
{
	u64 bytes = pages << PAGE_SHIFT;

	sc->freed += pages;
	sc->left -= min(len, sc->left);
	if (sc->cause == PA_CAUSE_LIMIT)
		atomic64_add(bytes, &arena->count.bytes_limited);
	else if (sc->cause == PA_CAUSE_BACKGROUND)
		atomic64_add(bytes, &arena->count.bytes_background);
}

/*
 * unused(): called under the heap lock, with the range in transit.  What reclaim does comes in
 * between others' steps, so it puts back whom the heap worked for before it drops the lock.
 */
static int pa_op_unused(void *ctx, u64 offset, u64 len)
	__releases(&((struct pa_arena *)ctx)->lock)
	__acquires(&((struct pa_arena *)ctx)->lock)
{
	struct pa_arena *arena = ctx;
	struct pa_scavenging *sc = arena->sc;
	u64 freed = 0;
	int err;

	if (sc->cause == PA_CAUSE_RECLAIM)
		arena->sc = sc->outer;
	else
		lockdep_assert_held(&arena->scavenge_lock);
	spin_unlock(&arena->lock);
	if (sc->cause == PA_CAUSE_RECLAIM) {
		err = pa_chunk_take(arena, sc->chunk, offset, len, &freed);
	} else {
		err = pa_backing_release(arena, offset, len, sc->cause, &freed);
		pa_fill_spares(arena);
		cond_resched();
	}
	sc->any |= !err;
	pa_count_freed(arena, sc, freed, len);
	trace_pagearena_scavenge(arena->id, offset, len, freed << PAGE_SHIFT, sc->cause, err);
	spin_lock(&arena->lock);
	return err;
}

/*
 * fault(): called under the heap lock, with the range in transit.  Once it is released,
 * a touch faults, and the fault handler finds that nothing is allocated there.
 */
static int pa_op_fault(void *ctx, u64 offset, u64 len)
	__releases(&((struct pa_arena *)ctx)->lock)
	__acquires(&((struct pa_arena *)ctx)->lock)
{
	struct pa_arena *arena = ctx;
	u64 freed = 0;
	int err;

	spin_unlock(&arena->lock);
	err = pa_backing_release(arena, offset, len, PA_CAUSE_CALL, &freed);
	trace_pagearena_scavenge(arena->id, offset, len, freed << PAGE_SHIFT, PA_CAUSE_CALL, err);
	spin_lock(&arena->lock);
	return err;
}

static void pa_op_hugepage(void *ctx, u64 offset, u64 len)
{
	pa_backing_hugepage(ctx, offset, len);
}

/* PA_PASS_RANGE: may a part of the chunk at an offset go, while the rest of it stays? */
static bool pa_may_break(struct pa_arena *arena, u64 offset)
{
	DECLARE_BITMAP(live, PA_CHUNK_PAGES);

	if (!pa_chunk_is_huge(arena, offset))
		return true;
	if (!arena->sc->max_live)
		return false;
	pa_chunk_live(arena, offset >> PA_CHUNK_SHIFT, live, NULL);
	return bitmap_weight(live, PA_CHUNK_PAGES) <= arena->sc->max_live;
}

/* trim(): what the current pass takes of a free range. */
static bool pa_op_trim(void *ctx, u64 *offset, u64 *len)
{
	struct pa_arena *arena = ctx;
	struct pa_scavenging *sc = arena->sc;
	u64 start = *offset, end = start + *len;

	switch (sc->pass) {
	case PA_PASS_WHOLE:
		/* By size, only smaller spans follow. */
		sc->done = sc->by_size && *len < PA_CHUNK_SIZE;
		start = round_up(start, PA_CHUNK_SIZE);
		end = round_down(end, PA_CHUNK_SIZE);
		break;
	case PA_PASS_SPARE:
		/* Only at its ends can a range share a chunk with something else. */
		if (!IS_ALIGNED(start, PA_CHUNK_SIZE) && pa_chunk_is_huge(arena, start))
			start = round_up(start, PA_CHUNK_SIZE);
		if (!IS_ALIGNED(end, PA_CHUNK_SIZE) && pa_chunk_is_huge(arena, end))
			end = round_down(end, PA_CHUNK_SIZE);
		break;
	case PA_PASS_CHUNK:
		start = max(start, (u64)sc->index << PA_CHUNK_SHIFT);
		end = min(end, (u64)(sc->index + 1) << PA_CHUNK_SHIFT);
		break;
	case PA_PASS_RANGE:
		start = max(start, sc->start);
		end = min(end, sc->end);
		if (start < end && !IS_ALIGNED(start, PA_CHUNK_SIZE) && !pa_may_break(arena, start))
			start = round_up(start, PA_CHUNK_SIZE);
		if (start < end && !IS_ALIGNED(end, PA_CHUNK_SIZE) && !pa_may_break(arena, end))
			end = round_down(end, PA_CHUNK_SIZE);
		break;
	}
	/* No more than is asked for, but not in small pieces; from the top down, as Go does. */
	if (start < end && end - start > sc->left)
		start = max(start, round_down(end - sc->left, PA_CHUNK_SIZE));
	if (start >= end)
		return false;
	*offset = start;
	*len = end - start;
	return true;
}

/* prefer(): allocate where a chunk is backed and in use anyway. */
static bool pa_op_prefer(void *ctx, u64 offset, u64 len)
{
	return pa_chunk_is_huge(ctx, offset);
}

/*
 * map() and used() have nothing to do: address space is there once the file is mapped,
 * and the fault handler asks the heap whether a page may be used.
 */
const struct span_heap_ops pa_heap_ops = {
	.unused = pa_op_unused,
	.hugepage = pa_op_hugepage,
	.fault = pa_op_fault,
	.trim = pa_op_trim,
	.prefer = pa_op_prefer,
};

/*
 * Between two spans: lets others have the lock, by count, as cond_resched_lock() from 6.12 on does
 * that only where the kernel can be preempted.
 */
static void pa_let_others(struct pa_arena *arena)
{
	if (++arena->sc->passed % PA_HOLD_SPANS)
		return;
	spin_unlock(&arena->lock);
	cond_resched();
	spin_lock(&arena->lock);
}

/*
 * A call of the user stops at a signal, and is made again then.  So that it comes further each
 * time, however often there are signals, it releases something first.
 */
static bool pa_stop_any(void *ctx)
{
	struct pa_arena *arena = ctx;
	struct pa_scavenging *sc = arena->sc;

	pa_let_others(arena);
	if (sc->done)
		return true;
	if (sc->any ? signal_pending(current) : fatal_signal_pending(current))
		sc->cut = true;
	return sc->cut;
}

/* ALLOC, under the limit, stops only at a fatal one. */
static bool pa_stop_fatal(void *ctx)
{
	struct pa_arena *arena = ctx;

	pa_let_others(arena);
	return arena->sc->done || fatal_signal_pending(current);
}

static bool pa_stop_background(void *ctx)
{
	return pa_background_pause(ctx);
}

/* One of the first two passes over all spans: by age, or the largest first. */
static u64 pa_scavenge_pass(struct pa_arena *arena, struct pa_scavenging *sc, enum pa_pass pass,
			    u64 bytes, bool by_age, u64 min_age, bool (*stop)(void *ctx))
{
	u64 released;

	lockdep_assert_held(&arena->scavenge_lock);
	pa_fill_spares(arena);
	sc->pass = pass;
	sc->by_size = !by_age;
	sc->done = false;
	sc->left = sc->cause == PA_CAUSE_CALL ? U64_MAX : bytes;
	arena->background.hold = 0;
	spin_lock(&arena->lock);
	arena->sc = sc;
	if (by_age)
		released = span_heap_scavenge_age(&arena->heap, ktime_get_ns(), min_age, bytes,
						  stop);
	else
		released = span_heap_scavenge_bytes(&arena->heap, bytes, stop);
	arena->sc = NULL;
	spin_unlock(&arena->lock);
	return released;
}

/* All free spans of one chunk, though it breaks the huge folio. */
static u64 pa_scavenge_spans(struct pa_arena *arena, struct pa_scavenging *sc, unsigned long index,
			     u64 min_age)
{
	struct span_heap *heap = &arena->heap;
	u8 shift = PA_CHUNK_SHIFT - heap->cfg.page_shift;
	u64 page = (u64)index << shift, end = (u64)(index + 1) << shift;
	u64 released = 0, now = ktime_get_ns();

	sc->pass = PA_PASS_CHUNK;
	sc->done = false;
	sc->left = U64_MAX;
	sc->index = index;
	spin_lock(&arena->lock);
	while (page < end) {
		struct span *s = span_heap_find(heap, page);
		s64 ret;

		if (!s)
			break;
		page = s->base + s->npages;
		if (min_age && (now <= s->unusedsince || now - s->unusedsince <= min_age))
			continue;
		sc->outer = arena->sc;
		arena->sc = sc;
		ret = span_heap_scavenge(heap, s);
		/* If there was something to release, pa_op_unused() has done it already. */
		if (arena->sc == sc)
			arena->sc = sc->outer;
		if (ret < 0)
			break;
		released += ret;
	}
	spin_unlock(&arena->lock);
	return released;
}

struct pa_sparse {
	unsigned long index;
	unsigned int live;
};

static int pa_sparse_cmp(const void *a, const void *b)
{
	const struct pa_sparse *x = a, *y = b;

	return x->live != y->live ? (x->live < y->live ? -1 : 1) :
				    (x->index < y->index ? -1 : x->index > y->index);
}

/* Which huge chunks the third pass breaks. */
struct pa_break {
	unsigned int max_live;	/* no more live pages than this */
	u64 min_age;		/* what has been free for longer, in ns */
	u64 idle;		/* nothing was allocated or freed in it for longer, in ns */
	u64 *next;		/* set to when the first is so long idle that is not yet */
};

/* For how long nothing has been allocated or freed, in ns. */
static u64 pa_item_idle(const struct pa_item *item)
{
	return jiffies64_to_nsecs(get_jiffies_64() - item->used);
}

/*
 * The third pass: huge chunks that are partly free, the sparsest first.  Without memory for
 * the list nothing is broken.
 */
static u64 pa_scavenge_break(struct pa_arena *arena, struct pa_scavenging *sc, u64 bytes,
			     const struct pa_break *which, bool (*stop)(void *ctx))
{
	/* A guess, without the heap lock; the walk goes on with what there is then. */
	unsigned long room = data_race(arena->nr_huge), index = 0, n = 0, i;
	struct pa_sparse *sparse;
	u64 released = 0;

	if (!room)
		return 0;
	sparse = kvmalloc_array(room, sizeof(*sparse), GFP_KERNEL_ACCOUNT);
	if (!sparse)
		return 0;
	while (n < room && xa_find(&arena->chunks, &index, ULONG_MAX, XA_PRESENT)) {
		struct pa_chunk *c;
		u64 idle;

		spin_lock(&arena->lock);
		c = xa_load(&arena->chunks, index);
		/* All of a huge chunk is present, so what is in use is what is alive. */
		if (c && c->item && c->nr_present && READ_ONCE(c->state) == PA_CHUNK_HUGE &&
		    c->nr_inuse <= which->max_live) {
			idle = pa_item_idle(c->item);
			if (idle >= which->idle) {
				sparse[n].index = index;
				sparse[n].live = c->nr_inuse;
				n++;
			} else if (which->next && which->idle - idle < KTIME_MAX) {
				idle = ktime_get_ns() + which->idle - idle;
				*which->next = min(*which->next, idle);
			}
		}
		spin_unlock(&arena->lock);
		index++;
		cond_resched();
	}
	sort(sparse, n, sizeof(*sparse), pa_sparse_cmp, NULL);
	for (i = 0; i < n && released < bytes; i++) {
		bool over;

		spin_lock(&arena->lock);
		arena->sc = sc;
		over = stop(arena);
		arena->sc = NULL;
		spin_unlock(&arena->lock);
		if (over)
			break;
		pa_fill_spares(arena);
		released += pa_scavenge_spans(arena, sc, sparse[i].index, which->min_age);
	}
	kvfree(sparse);
	return released;
}

/**
 * pa_scavenge() - release free spans
 * @arena: an arena that is set up
 * @req: what is wanted; its output fields are set
 *
 * Context: may sleep.
 * Return: 0; -EINTR, with the output fields telling what was done before.
 */
int pa_scavenge(struct pa_arena *arena, struct pagearena_scavenge *req)
{
	struct pa_break which = { .max_live = PA_CHUNK_PAGES / 2, .min_age = req->min_age_ns };
	struct pa_scavenging sc = { .cause = PA_CAUSE_CALL };
	u64 age = req->min_age_ns, done;

	if (req->flags & PAGEARENA_SCAVENGE_FORCE)
		which.max_live = PA_CHUNK_PAGES - 1;

	/* All that there is: also what is zeroed in advance. */
	if (req->bytes == U64_MAX && !age)
		pa_pool_give(arena, U64_MAX);
	if (mutex_lock_interruptible(&arena->scavenge_lock))
		return -EINTR;
	done = pa_scavenge_pass(arena, &sc, PA_PASS_WHOLE, req->bytes, age, age, pa_stop_any);
	if (done < req->bytes && !sc.cut)
		done += pa_scavenge_pass(arena, &sc, PA_PASS_SPARE, req->bytes - done, age, age,
					 pa_stop_any);
	if (done < req->bytes && !sc.cut && req->flags & PAGEARENA_SCAVENGE_BREAK)
		done += pa_scavenge_break(arena, &sc, req->bytes - done, &which, pa_stop_any);
	req->released = done;
	req->backed = sc.freed << PAGE_SHIFT;
	mutex_unlock(&arena->scavenge_lock);
	return done < req->bytes && sc.cut ? -EINTR : 0;
}

/**
 * pa_scavenge_range() - release the free memory of a range
 * @arena: an arena that is set up
 * @offset: start, in bytes, a multiple of the span page and of the granule
 * @len: length in bytes, likewise; the range lies in the arena
 * @flags: PAGEARENA_SCAVENGE_*
 * @freed: increased by the bytes of memory that went back
 *
 * What is free in one piece goes with one zap.  What cannot be released stays.
 *
 * Context: may sleep.
 * Return: 0; -EINTR for a signal: part may have been released; -EUCLEAN.
 */
int pa_scavenge_range(struct pa_arena *arena, u64 offset, u64 len, u32 flags, u64 *freed)
{
	struct pa_scavenging sc = {
		.cause = PA_CAUSE_CALL,
		.pass = PA_PASS_RANGE,
		.start = offset,
		.end = offset + len,
		.left = U64_MAX,
	};
	struct span_heap *heap = &arena->heap;
	u64 page = offset >> heap->cfg.page_shift, end = (offset + len) >> heap->cfg.page_shift;
	int err = 0;

	if (flags & PAGEARENA_SCAVENGE_BREAK)
		sc.max_live = flags & PAGEARENA_SCAVENGE_FORCE ? PA_CHUNK_PAGES - 1 :
								  PA_CHUNK_PAGES / 2;
	if (mutex_lock_interruptible(&arena->scavenge_lock))
		return -EINTR;
	pa_fill_spares(arena);
	spin_lock(&arena->lock);
	while (page < end) {
		struct span *s = span_heap_find(heap, page);

		if (!s)
			break;
		page = s->base + s->npages;
		arena->sc = &sc;
		if (s->state == SPAN_FREE && !s->scavenged &&
		    span_heap_scavenge(heap, s) == -EUCLEAN)
			err = -EUCLEAN;
		else if (page < end && pa_stop_any(arena))
			err = -EINTR;
		arena->sc = NULL;
		if (err)
			break;
	}
	spin_unlock(&arena->lock);
	*freed += sc.freed << PAGE_SHIFT;
	mutex_unlock(&arena->scavenge_lock);
	return err;
}

/* Bytes by which an arena is over its limit. */
static u64 pa_excess(struct pa_arena *arena)
{
	u64 used, limit;

	spin_lock(&arena->lock);
	limit = arena->limit_soft ? 0 : arena->limit;
	used = pa_allocated_bytes(arena) +
	       ((pa_nr_backed(arena) - arena->nr_inuse) << PAGE_SHIFT) + pa_pool_bytes(arena);
	spin_unlock(&arena->lock);
	return limit && used > limit ? used - limit : 0;
}

/**
 * pa_limit_enforce() - release free memory until the arena keeps to its limit
 * @arena: an arena that is set up
 *
 * Context: may sleep.
 * Return: 0; -ENOMEM if what is free cannot be released; -EINTR for a fatal signal.
 */
int pa_limit_enforce(struct pa_arena *arena)
{
	const struct pa_break all = { .max_live = PA_CHUNK_PAGES - 1 };
	struct pa_scavenging sc = { .cause = PA_CAUSE_LIMIT };
	u64 excess = pa_excess(arena), released;
	int err = 0;

	/* Nobody has to hear of it if it is no more than what was zeroed in advance. */
	if (pa_pool_give(arena, excess) >= excess)
		return 0;
	pa_pressure(arena, PAGEARENA_PRESSURE_LIMIT);
	mutex_lock(&arena->scavenge_lock);
	while ((excess = pa_excess(arena))) {
		/* What is released need not have been backed, so this may take some rounds. */
		released = pa_scavenge_pass(arena, &sc, PA_PASS_WHOLE, excess, false, 0,
					    pa_stop_fatal);
		if (!released)
			released = pa_scavenge_pass(arena, &sc, PA_PASS_SPARE, excess, false, 0,
						    pa_stop_fatal);
		if (!released)
			released = pa_scavenge_break(arena, &sc, excess, &all, pa_stop_fatal);
		if (!released) {
			err = fatal_signal_pending(current) ? -EINTR : -ENOMEM;
			break;
		}
	}
	mutex_unlock(&arena->scavenge_lock);
	return err;
}

/* What a soft limit asks for at a time, so that not every page has to ask. */
#define PA_APPROACH_BYTES	(256ULL << 10)

/**
 * pa_limit_keep() - keep to a soft limit, see pa_limit_approach()
 * @arena: an arena that is set up
 *
 * Context: may sleep; no lock of the arena; mmap_lock or a VMA lock may be held.
 */
void pa_limit_keep(struct pa_arena *arena)
{
	struct pa_scavenging sc = { .cause = PA_CAUSE_LIMIT };
	u64 limit, excess = 0, bytes, released;

	limit = READ_ONCE(arena->limit);
	if (likely(!limit) || !READ_ONCE(arena->limit_soft))
		return;
	spin_lock(&arena->lock);
	pa_settle(arena);
	bytes = (pa_nr_backed(arena) + 1) << PAGE_SHIFT;
	if (bytes + pa_pool_bytes(arena) > limit)
		excess = bytes + pa_pool_bytes(arena) - limit;
	spin_unlock(&arena->lock);
	if (excess && pa_pool_give(arena, excess) >= excess)
		return;
	excess = 0;
	spin_lock(&arena->lock);
	bytes = (pa_nr_backed(arena) + 1) << PAGE_SHIFT;
	if (bytes > limit && arena->nr_reclaimable > arena->nr_sparse)
		excess = bytes - limit;
	spin_unlock(&arena->lock);
	if (bytes > limit)
		pa_pressure(arena, PAGEARENA_PRESSURE_LIMIT);
	if (!excess || mutex_lock_killable(&arena->scavenge_lock))
		return;
	excess = max(excess, PA_APPROACH_BYTES) >> PAGE_SHIFT;
	while (sc.freed < excess) {
		bytes = (excess - sc.freed) << PAGE_SHIFT;
		released = pa_scavenge_pass(arena, &sc, PA_PASS_WHOLE, bytes, true, 0,
					    pa_stop_fatal);
		if (!released)
			released = pa_scavenge_pass(arena, &sc, PA_PASS_SPARE, bytes, true, 0,
						    pa_stop_fatal);
		if (!released)
			break;
	}
	mutex_unlock(&arena->scavenge_lock);
}

/**
 * pa_scavenge_batch() - release the oldest free memory, in the background
 * @arena: an arena that is set up
 * @bytes: stop when so much has been released
 * @age: only what has been free for longer, in ns
 *
 * Context: scavenge_lock; may sleep.
 * Return: bytes of memory that went back.
 */
u64 pa_scavenge_batch(struct pa_arena *arena, u64 bytes, u64 age)
{
	struct pa_scavenging sc = { .cause = PA_CAUSE_BACKGROUND };
	u64 done;

	lockdep_assert_held(&arena->scavenge_lock);
	done = pa_scavenge_pass(arena, &sc, PA_PASS_WHOLE, bytes, true, age, pa_stop_background);
	if (done < bytes)
		pa_scavenge_pass(arena, &sc, PA_PASS_SPARE, bytes - done, true, age,
				 pa_stop_background);
	return sc.freed << PAGE_SHIFT;
}

/**
 * pa_scavenge_sparse() - break huge chunks of which most is free, in the background
 * @arena: an arena that is set up
 * @bytes: stop when so much has been released
 *
 * Memory was short, so half of a chunk is enough, however young it is.
 *
 * Context: scavenge_lock; may sleep.
 * Return: bytes of memory that went back.
 */
u64 pa_scavenge_sparse(struct pa_arena *arena, u64 bytes)
{
	const struct pa_break which = { .max_live = PA_CHUNK_PAGES / 2 };
	struct pa_scavenging sc = { .cause = PA_CAUSE_BACKGROUND };

	lockdep_assert_held(&arena->scavenge_lock);
	pa_scavenge_break(arena, &sc, bytes, &which, pa_stop_background);
	return sc.freed << PAGE_SHIFT;
}

/**
 * pa_scavenge_idle() - break sparse huge chunks that nobody has used for long, in the background
 * @arena: an arena that is set up
 * @bytes: stop when so much has been released
 * @age: in which nothing has been allocated or freed for longer, in ns
 * @next: set to when the first will be so old that is not yet, in ns; U64_MAX: there is none
 *
 * Sparse is what the shrinker would break as well, see pa_chunk_sparse().
 *
 * Context: scavenge_lock; may sleep.
 * Return: bytes of memory that went back.
 */
u64 pa_scavenge_idle(struct pa_arena *arena, u64 bytes, u64 age, u64 *next)
{
	const struct pa_break which = { .max_live = PA_SPARSE_PAGES, .idle = age, .next = next };
	struct pa_scavenging sc = { .cause = PA_CAUSE_BACKGROUND };

	lockdep_assert_held(&arena->scavenge_lock);
	*next = U64_MAX;
	pa_scavenge_break(arena, &sc, bytes, &which, pa_stop_background);
	return sc.freed << PAGE_SHIFT;
}

/**
 * pa_scavenge_locked() - release what can be released of a chunk without waiting
 * @arena: an arena that is set up
 * @c: one of its chunks
 * @freed: set to the number of pages that went back
 *
 * Context: the chunk's lock; may be in reclaim.
 * Return: 0; -ENOMEM if there was no memory to break a huge folio; -EAGAIN if a fault was in the
 * way of that; -EBUSY if somebody holds the folio.
 */
int pa_scavenge_locked(struct pa_arena *arena, struct pa_chunk *c, unsigned long *freed)
{
	struct pa_scavenging sc = { .cause = PA_CAUSE_RECLAIM, .chunk = c };
	bool sparse;
	int err = 0;

	lockdep_assert_held(&c->lock);
	/* Without spares only whole spans can go. */
	if (!data_race(span_heap_ready(&arena->heap)))
		pa_add_spares(arena, PA_GFP_RECLAIM);
	spin_lock(&arena->lock);
	sparse = pa_chunk_sparse(c);
	spin_unlock(&arena->lock);
	/* What is left of it then are free spans without memory. */
	if (sparse)
		err = pa_chunk_demote(arena, c, PA_CAUSE_RECLAIM);
	if (sparse && !err)
		sc.freed = PA_CHUNK_PAGES - c->nr_present;
	if (!err)
		pa_scavenge_spans(arena, &sc, c->index, 0);
	*freed = sc.freed;
	return err;
}
