/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Allocating, freeing and resizing spans.
 */
#ifndef PAGEARENA_STEP_H
#define PAGEARENA_STEP_H

#include <linux/bits.h>
#include <linux/timekeeping.h>
#include <linux/types.h>

#include "arena.h"
#include "backing.h"
#include "reclaim.h"
#include "trace.h"

/* Flags that ALLOC and RESIZE know */
#define PA_ALLOC_FLAGS	(PAGEARENA_ALLOC_ZERO | PAGEARENA_ALLOC_POPULATE | PAGEARENA_ALLOC_FIXED)
#define PA_RESIZE_FLAGS	(PAGEARENA_ALLOC_ZERO | PAGEARENA_ALLOC_POPULATE)

/* &struct pa_step.todo */
#define PA_TODO_TELL_LIMIT	BIT(0) /* the limit was in the way */
#define PA_TODO_LIMIT		BIT(1) /* release free memory */
#define PA_TODO_ZERO		BIT(2) /* clear what was there */
#define PA_TODO_POPULATE	BIT(3) /* back it */
#define PA_TODO_THP		BIT(4) /* memory will be backed: look what the machine says */
#define PA_TODO_ZAP		BIT(5) /* take what was freed out of reach */

/**
 * struct pa_step - an ALLOC, RESIZE or FREE
 * @offset: where the span begins, in bytes; ALLOC sets it, but with PAGEARENA_ALLOC_FIXED
 * @length: bytes of the span; ALLOC and RESIZE: those that are wanted, and then those that it
 *	has
 * @align: ALLOC: alignment in bytes, or 0
 * @had: RESIZE: bytes of the span before, 0: not checked, and then those that it had; ALLOC:
 *	set to 0
 * @flags: PAGEARENA_ALLOC_*
 * @out_flags: ALLOC and RESIZE: set to PAGEARENA_ALLOCED_*
 * @todo: set to PA_TODO_*, what is left to do once the heap lock is dropped
 * @zap_first: first page that is to be taken out of reach
 * @zap_end: the page after the last one
 */
struct pa_step {
	u64 offset;
	u64 length;
	u64 align;
	u64 had;
	u32 flags;
	u32 out_flags;
	unsigned int todo;
	pgoff_t zap_first;
	pgoff_t zap_end;
};

int pa_arena_alloc(struct pa_arena *arena, struct pa_step *step);
int pa_arena_free(struct pa_arena *arena, struct pa_step *step);
int pa_arena_resize(struct pa_arena *arena, struct pa_step *step);
void pa_step_undo(struct pa_arena *arena, struct pa_step *step);
unsigned int pa_arena_steps(struct pa_arena *arena, struct pagearena_op *ops, unsigned int nr,
			    bool stop, unsigned int *failed);

extern unsigned long pa_spans_max;

/* A hold of the heap lock. */
struct pa_hold {
	unsigned int todo; /* PA_TODO_*, for all steps together */
	u64 now;
};

/* @free: something will be freed, for which the time is needed. */
static __always_inline void pa_hold_begin(struct pa_arena *arena, struct pa_hold *hold, bool free)
	__acquires(&arena->lock)
{
	spin_lock(&arena->lock);
	hold->now = free ? ktime_get_ns() : 0;
}

static __always_inline void pa_hold_end(struct pa_arena *arena)
	__releases(&arena->lock)
{
	bool more = arena->heap.nr_spares > PA_SPARES_MAX ||
		    arena->heap.nr_indices > arena->heap.nr_recent + PA_INDICES_MAX;
	struct pa_spares excess;

	pa_settle_much(arena);
	if (unlikely(more))
		pa_take_excess(arena, &excess);
	spin_unlock(&arena->lock);
	if (unlikely(more))
		pa_free_spares(&excess);
}

/*
 * Pages, one or more, have come into use (@sign is 1), or out of it (-1).  Returns how many of
 * them are present.
 */
static __always_inline u64 pa_backing_use_some(struct pa_arena *arena, pgoff_t first, u64 pages,
					       int sign)
{
	unsigned int at = first % PA_CHUNK_PAGES;
	struct pa_chunk *c;
	unsigned int n;

	if (unlikely(at + pages > PA_CHUNK_PAGES))
		return pa_backing_use_chunks(arena, first, first + pages, sign);
	c = pa_chunk_at(arena, first >> PA_CHUNK_ORDER);
	if (!c)
		return 0;
	n = likely(c->nr_present == PA_CHUNK_PAGES) ? pages : pa_count_bits(c, at, at + pages);
	if (!n)
		return 0;
	pa_chunk_use(arena, c, n, sign);
	if (arena->late != c) {
		pa_settle(arena);
		arena->late = c;
	}
	return n;
}

/* The same for a range that may be empty. */
static inline u64 pa_backing_use(struct pa_arena *arena, pgoff_t first, pgoff_t end, int sign)
{
	return first < end ? pa_backing_use_some(arena, first, end - first, sign) : 0;
}

/* Every chunk of a span is looked at; one that has more is not allocated quickly. */
#define PA_QUICK_BYTES	(256ULL * PA_CHUNK_SIZE)

/*
 * The common cases, in few instructions: a span of whole MMU pages, in an arena without limit
 * or debugging, that needs nothing but the heap lock.  Whether an arena is @plain stays so for
 * as long as the lock is held.
 */
static __always_inline bool pa_plain(const struct pa_arena *arena)
{
	return likely(!arena->limit && !arena->heap.cfg.debug &&
		      arena->heap.cfg.page_shift >= PAGE_SHIFT);
}

static __always_inline bool pa_quick_alloc(struct pa_arena *arena, bool plain, u64 *offset,
					   u64 *length, u32 *out_flags)
{
	u8 shift = arena->heap.cfg.page_shift;
	u64 pages, present;
	struct span *s;

	/* A length of 0 becomes one that is too large. */
	if (unlikely(!plain) || *length - 1 >= arena->quick_bytes ||
	    arena->heap.stats.spans_inuse >= READ_ONCE(pa_spans_max))
		return false;
	pages = (*length - 1) >> shift;
	s = span_heap_reuse(&arena->heap, pages + 1);
	if (!s)
		return false;
	*offset = s->base << shift;
	*length = (pages + 1) << shift;
	pages = *length >> PAGE_SHIFT;
	present = pa_backing_use_some(arena, *offset >> PAGE_SHIFT, pages, 1);
	/* What is present may have been within reach of a stray pointer. */
	*out_flags = (present ? 0 : PAGEARENA_ALLOCED_ZERO) |
		     (present == pages ? PAGEARENA_ALLOCED_BACKED : 0);
	trace_pagearena_alloc(arena->id, *offset, *length, !present, present == pages);
	return true;
}

static __always_inline bool pa_quick_free(struct pa_arena *arena, struct pa_hold *hold, bool plain,
					  u64 offset, u64 length, int *err)
{
	u8 shift = arena->heap.cfg.page_shift;
	struct span *s;

	if (unlikely(!plain) || offset & ((1ULL << shift) - 1) ||
	    length > arena->setup.arena_bytes || unlikely(!span_heap_may_free(&arena->heap)))
		return false;
	*err = span_heap_lookup(&arena->heap, offset >> shift,
				(length + (1ULL << shift) - 1) >> shift, &s);
	if (unlikely(*err)) {
		trace_pagearena_refuse(arena->id, PAGEARENA_OP_FREE, offset, length, *err);
		return true;
	}
	length = (u64)s->npages << shift;
	pa_backing_use_some(arena, offset >> PAGE_SHIFT, length >> PAGE_SHIFT, -1);
	span_heap_free_span(&arena->heap, s, hold->now);
	trace_pagearena_free(arena->id, offset, length);
	return true;
}

#endif /* PAGEARENA_STEP_H */
