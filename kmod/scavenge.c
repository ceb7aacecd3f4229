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
#include "reclaim.h"
#include "trace.h"

/* Whose memory is it that went? */
static void pa_count_freed(struct pa_arena *arena, u64 bytes)
{
	if (arena->cause == PA_CAUSE_LIMIT)
		atomic64_add(bytes, &arena->count.bytes_limited);
	else if (arena->cause == PA_CAUSE_BACKGROUND)
		atomic64_add(bytes, &arena->count.bytes_background);
}

/* unused(): called under the heap lock and scavenge_lock, with the range in transit. */
static int pa_op_unused(void *ctx, u64 offset, u64 len)
	__releases(&((struct pa_arena *)ctx)->lock)
	__acquires(&((struct pa_arena *)ctx)->lock)
{
	struct pa_arena *arena = ctx;
	u64 freed = 0;
	int err;

	lockdep_assert_held(&arena->scavenge_lock);
	spin_unlock(&arena->lock);
	if (arena->cause == PA_CAUSE_RECLAIM) {
		err = pa_chunk_take(arena, arena->reclaim_chunk, offset, len, &freed);
	} else {
		err = pa_backing_release(arena, offset, len, arena->cause == PA_CAUSE_BACKGROUND,
					 &freed);
		pa_fill_spares(arena);
		cond_resched();
	}
	arena->scavenged += freed;
	arena->pass_left -= min(len, arena->pass_left);
	pa_count_freed(arena, freed << PAGE_SHIFT);
	trace_pagearena_scavenge(arena->id, offset, len, freed << PAGE_SHIFT, err);
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
	err = pa_backing_release(arena, offset, len, false, &freed);
	trace_pagearena_scavenge(arena->id, offset, len, freed << PAGE_SHIFT, err);
	spin_lock(&arena->lock);
	return err;
}

static void pa_op_hugepage(void *ctx, u64 offset, u64 len)
{
	pa_backing_hugepage(ctx, offset, len);
}

/* trim(): what the current pass takes of a free range. */
static bool pa_op_trim(void *ctx, u64 *offset, u64 *len)
{
	struct pa_arena *arena = ctx;
	u64 start = *offset, end = start + *len;

	switch (arena->pass) {
	case PA_PASS_WHOLE:
		/* By size, only smaller spans follow. */
		arena->pass_done = arena->pass_by_size && *len < PA_CHUNK_SIZE;
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
		start = max(start, (u64)arena->pass_chunk << PA_CHUNK_SHIFT);
		end = min(end, (u64)(arena->pass_chunk + 1) << PA_CHUNK_SHIFT);
		break;
	}
	/* No more than is asked for, but not in small pieces; from the top down, as Go does. */
	if (start < end && end - start > arena->pass_left)
		start = max(start, round_down(end - arena->pass_left, PA_CHUNK_SIZE));
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
 * Between two spans: lets others have the lock.  A call of the user stops at any signal;
 * ALLOC, under the limit, only at a fatal one.
 */
static bool pa_stop_any(void *ctx)
{
	struct pa_arena *arena = ctx;

	cond_resched_lock(&arena->lock);
	return arena->pass_done || signal_pending(current);
}

static bool pa_stop_fatal(void *ctx)
{
	struct pa_arena *arena = ctx;

	cond_resched_lock(&arena->lock);
	return arena->pass_done || fatal_signal_pending(current);
}

static bool pa_stop_background(void *ctx)
{
	return pa_background_pause(ctx);
}

/* One of the first two passes over all spans: by age, or the largest first. */
static u64 pa_scavenge_pass(struct pa_arena *arena, enum pa_pass pass, u64 bytes, bool by_age,
			    u64 min_age, bool (*stop)(void *ctx))
{
	u64 released;

	pa_fill_spares(arena);
	spin_lock(&arena->lock);
	arena->pass = pass;
	arena->pass_by_size = !by_age;
	arena->pass_left = arena->cause == PA_CAUSE_CALL ? U64_MAX : bytes;
	arena->pass_done = false;
	arena->background.hold = 0;
	if (by_age)
		released = span_heap_scavenge_age(&arena->heap, ktime_get_ns(), min_age, bytes,
						  stop);
	else
		released = span_heap_scavenge_bytes(&arena->heap, bytes, stop);
	spin_unlock(&arena->lock);
	return released;
}

/* All free spans of one chunk, though it breaks the huge folio. */
static u64 pa_scavenge_spans(struct pa_arena *arena, unsigned long index, u64 min_age)
{
	struct span_heap *heap = &arena->heap;
	u8 shift = PA_CHUNK_SHIFT - heap->cfg.page_shift;
	u64 page = (u64)index << shift, end = (u64)(index + 1) << shift;
	u64 released = 0, now = ktime_get_ns();

	spin_lock(&arena->lock);
	arena->pass = PA_PASS_CHUNK;
	arena->pass_done = false;
	arena->pass_left = U64_MAX;
	arena->pass_chunk = index;
	while (page < end) {
		struct span *s = span_heap_find(heap, page);
		s64 ret;

		if (!s)
			break;
		page = s->base + s->npages;
		if (min_age && (now <= s->unusedsince || now - s->unusedsince <= min_age))
			continue;
		ret = span_heap_scavenge(heap, s);
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

/*
 * The third pass: huge chunks that are partly free, the sparsest first.  Without memory for
 * the list nothing is broken.
 */
static u64 pa_scavenge_break(struct pa_arena *arena, u64 bytes, u64 min_age, bool force,
			     bool (*stop)(void *ctx))
{
	unsigned int max_live = force ? PA_CHUNK_PAGES - 1 : PA_CHUNK_PAGES / 2;
	unsigned long index = 0, n = 0, room = READ_ONCE(arena->nr_huge), i;
	struct pa_sparse *sparse;
	u64 released = 0;

	if (!room)
		return 0;
	sparse = kvmalloc_array(room, sizeof(*sparse), GFP_KERNEL_ACCOUNT);
	if (!sparse)
		return 0;
	while (n < room && xa_find(&arena->chunks, &index, ULONG_MAX, XA_PRESENT)) {
		DECLARE_BITMAP(live, PA_CHUNK_PAGES);

		spin_lock(&arena->lock);
		if (pa_chunk_is_huge(arena, (u64)index << PA_CHUNK_SHIFT)) {
			pa_chunk_live(arena, index, live, NULL);
			sparse[n].index = index;
			sparse[n].live = bitmap_weight(live, PA_CHUNK_PAGES);
			n += sparse[n].live <= max_live;
		}
		spin_unlock(&arena->lock);
		index++;
		cond_resched();
	}
	sort(sparse, n, sizeof(*sparse), pa_sparse_cmp, NULL);
	for (i = 0; i < n && released < bytes; i++) {
		bool over;

		spin_lock(&arena->lock);
		over = stop(arena);
		spin_unlock(&arena->lock);
		if (over)
			break;
		pa_fill_spares(arena);
		released += pa_scavenge_spans(arena, sparse[i].index, min_age);
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
	u64 age = req->min_age_ns, done;

	if (mutex_lock_interruptible(&arena->scavenge_lock))
		return -EINTR;
	arena->scavenged = 0;
	arena->cause = PA_CAUSE_CALL;
	done = pa_scavenge_pass(arena, PA_PASS_WHOLE, req->bytes, age, age, pa_stop_any);
	if (done < req->bytes)
		done += pa_scavenge_pass(arena, PA_PASS_SPARE, req->bytes - done, age, age,
					 pa_stop_any);
	if (done < req->bytes && req->flags & PAGEARENA_SCAVENGE_BREAK)
		done += pa_scavenge_break(arena, req->bytes - done, age,
					  req->flags & PAGEARENA_SCAVENGE_FORCE, pa_stop_any);
	req->released = done;
	req->backed = arena->scavenged << PAGE_SHIFT;
	mutex_unlock(&arena->scavenge_lock);
	return done < req->bytes && signal_pending(current) ? -EINTR : 0;
}

/* Bytes by which an arena is over its limit. */
static u64 pa_excess(struct pa_arena *arena)
{
	u64 used, limit;

	spin_lock(&arena->lock);
	limit = arena->limit_soft ? 0 : arena->limit;
	used = arena->heap.stats.heap_inuse +
	       ((pa_nr_backed(arena) - arena->nr_inuse) << PAGE_SHIFT);
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
	u64 excess, released;
	int err = 0;

	pa_pressure(arena, PAGEARENA_PRESSURE_LIMIT);
	mutex_lock(&arena->scavenge_lock);
	arena->cause = PA_CAUSE_LIMIT;
	while ((excess = pa_excess(arena))) {
		/* What is released need not have been backed, so this may take some rounds. */
		released = pa_scavenge_pass(arena, PA_PASS_WHOLE, excess, false, 0,
					    pa_stop_fatal);
		if (!released)
			released = pa_scavenge_pass(arena, PA_PASS_SPARE, excess, false, 0,
						    pa_stop_fatal);
		if (!released)
			released = pa_scavenge_break(arena, excess, 0, true, pa_stop_fatal);
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
 * pa_limit_approach() - before more memory is backed: keep to a soft limit
 * @arena: an arena that is set up
 *
 * Where nothing can be released the arena goes on past its limit.
 *
 * Context: may sleep; no lock of the arena; mmap_lock or a VMA lock may be held.
 */
void pa_limit_approach(struct pa_arena *arena)
{
	u64 limit, excess = 0, bytes, released;

	limit = READ_ONCE(arena->limit);
	if (likely(!limit) || !READ_ONCE(arena->limit_soft))
		return;
	spin_lock(&arena->lock);
	bytes = (pa_nr_backed(arena) + 1) << PAGE_SHIFT;
	if (bytes > limit && arena->nr_reclaimable)
		excess = bytes - limit;
	spin_unlock(&arena->lock);
	if (bytes > limit)
		pa_pressure(arena, PAGEARENA_PRESSURE_LIMIT);
	if (!excess || mutex_lock_killable(&arena->scavenge_lock))
		return;
	arena->cause = PA_CAUSE_LIMIT;
	excess = max(excess, PA_APPROACH_BYTES) >> PAGE_SHIFT;
	arena->scavenged = 0;
	while (arena->scavenged < excess) {
		bytes = (excess - arena->scavenged) << PAGE_SHIFT;
		released = pa_scavenge_pass(arena, PA_PASS_WHOLE, bytes, true, 0, pa_stop_fatal);
		if (!released)
			released = pa_scavenge_pass(arena, PA_PASS_SPARE, bytes, true, 0,
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
	u64 done;

	lockdep_assert_held(&arena->scavenge_lock);
	arena->cause = PA_CAUSE_BACKGROUND;
	arena->scavenged = 0;
	done = pa_scavenge_pass(arena, PA_PASS_WHOLE, bytes, true, age, pa_stop_background);
	if (done < bytes)
		pa_scavenge_pass(arena, PA_PASS_SPARE, bytes - done, true, age,
				 pa_stop_background);
	return arena->scavenged << PAGE_SHIFT;
}

/**
 * pa_scavenge_sparse() - break huge chunks of which most is free, in the background
 * @arena: an arena that is set up
 * @bytes: stop when so much has been released
 *
 * Context: scavenge_lock; may sleep.
 * Return: bytes of memory that went back.
 */
u64 pa_scavenge_sparse(struct pa_arena *arena, u64 bytes)
{
	lockdep_assert_held(&arena->scavenge_lock);
	arena->cause = PA_CAUSE_BACKGROUND;
	arena->scavenged = 0;
	pa_scavenge_break(arena, bytes, 0, false, pa_stop_background);
	return arena->scavenged << PAGE_SHIFT;
}

/**
 * pa_scavenge_locked() - release what can be released of a chunk without waiting
 * @arena: an arena that is set up
 * @c: one of its chunks
 *
 * Context: scavenge_lock and the chunk's lock; may be in reclaim.
 * Return: number of pages that went back.
 */
unsigned long pa_scavenge_locked(struct pa_arena *arena, struct pa_chunk *c)
{
	lockdep_assert_held(&arena->scavenge_lock);
	lockdep_assert_held(&c->lock);
	/* Without spares only whole spans can go. */
	if (READ_ONCE(arena->heap.nr_spares) < SPAN_HEAP_SPARES)
		pa_add_spares(arena, GFP_NOWAIT | __GFP_NOMEMALLOC | __GFP_NOWARN);
	arena->cause = PA_CAUSE_RECLAIM;
	arena->reclaim_chunk = c;
	arena->scavenged = 0;
	pa_scavenge_spans(arena, c->index, 0);
	arena->reclaim_chunk = NULL;
	return arena->scavenged;
}
