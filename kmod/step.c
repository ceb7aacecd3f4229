// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Allocating, freeing and resizing spans: alone, or many in a row.
 *
 * Each is a step under the heap lock and, seldom, one without it: pa_step_finish().  Between
 * the two the span is allocated already.  These are the calls that programs make most, so what
 * they have in common is inline in step.h, and a batch takes the lock once for many of them.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/timekeeping.h>

#include "arena.h"
#include "backing.h"
#include "promote.h"
#include "reclaim.h"
#include "step.h"

unsigned long pa_spans_max = 16UL << 20;
module_param_named(spans_max, pa_spans_max, ulong, 0644);
MODULE_PARM_DESC(spans_max, "most spans that may be allocated in an arena (default 16777216)");

/*
 * Sees to enough spares for any one step.  May drop the lock and take it again.  Returns 0 or
 * -ENOMEM.
 */
static int pa_hold_spares(struct pa_arena *arena, struct pa_hold *hold)
	__releases(&arena->lock)
	__acquires(&arena->lock)
{
	int err;

	while (unlikely(!span_heap_ready(&arena->heap))) {
		pa_hold_end(arena);
		err = pa_add_spares(arena, GFP_KERNEL);
		pa_hold_begin(arena, hold, true);
		if (err)
			return err;
	}
	return 0;
}

/* The same for a step that frees, which cannot fail for that. */
static void pa_hold_index(struct pa_arena *arena, struct pa_hold *hold)
	__releases(&arena->lock)
	__acquires(&arena->lock)
{
	while (unlikely(!span_heap_may_free(&arena->heap))) {
		pa_hold_end(arena);
		pa_add_index(arena);
		pa_hold_begin(arena, hold, true);
	}
}

/* What is asked for is not done: for who watches. */
static noinline __cold int pa_refused(struct pa_arena *arena, unsigned int what, u64 offset,
				      u64 length, int err)
{
	trace_pagearena_refuse(arena->id, what, offset, length, err);
	return err;
}

/* Bytes to whole span pages. */
static int pa_whole_pages(struct pa_arena *arena, u64 length, u64 *npages)
{
	u8 shift = arena->heap.cfg.page_shift;
	u64 page = 1ULL << shift;

	if (!length)
		return -EINVAL;
	if (length > U64_MAX - (page - 1))
		return -EOVERFLOW;
	*npages = (length + page - 1) >> shift;
	return 0;
}

/* May so much more be allocated? */
static int pa_may_allocate(struct pa_arena *arena, u64 npages, unsigned int spans,
			   struct pa_step *step)
{
	u64 bytes = npages << arena->heap.cfg.page_shift;

	if (unlikely(arena->limit) && !arena->limit_soft &&
	    arena->heap.stats.heap_inuse + bytes > arena->limit) {
		step->todo |= PA_TODO_TELL_LIMIT;
		return -ENOMEM;
	}
	/* Free spans lie between these and at the ends of chunks, so that bounds them, too. */
	if (spans && arena->heap.stats.spans_inuse >= READ_ONCE(pa_spans_max))
		return -ENOMEM;
	return 0;
}

/*
 * [offset, offset + length) has been allocated, as a span or at the end of one: what is behind
 * it, and what is left to do.
 */
static void pa_allocated(struct pa_arena *arena, struct pa_step *step, u64 offset, u64 length)
{
	pgoff_t first = offset >> PAGE_SHIFT, end = (offset + length + PAGE_SIZE - 1) >> PAGE_SHIFT;
	u64 pages = end - first, present;

	if (likely(arena->heap.cfg.page_shift >= PAGE_SHIFT)) {
		present = pa_backing_use(arena, first, end, 1);
	} else {
		present = pa_backing_count(arena, first, end, NULL);
		if (step->had)
			pa_pages_added(arena, offset, offset + length, &first, &end);
		else
			pa_pages_alone(arena, offset, length, &first, &end);
		if (first < end)
			arena->nr_touched += end - first;
		pa_backing_use(arena, first, end, 1);
	}
	/* What is present may have been within reach of a stray pointer. */
	step->out_flags = (present ? 0 : PAGEARENA_ALLOCED_ZERO) |
			  (present == pages ? PAGEARENA_ALLOCED_BACKED : 0);
	if (!present)
		step->todo |= PA_TODO_THP;
	else if (step->flags & PAGEARENA_ALLOC_ZERO)
		step->todo |= PA_TODO_ZERO;
	/* Even if all of it was backed: a demotion may have come in between. */
	if (step->flags & PAGEARENA_ALLOC_POPULATE)
		step->todo |= PA_TODO_POPULATE;
	if (unlikely(arena->limit) && pa_over_limit(arena))
		step->todo |= PA_TODO_LIMIT;
	trace_pagearena_alloc(arena->id, offset, length, !present, present == pages);
}

/* [offset, offset + length) is about to be free: of which pages that is all. */
static void pa_freeing(struct pa_arena *arena, struct pa_step *step, pgoff_t first, pgoff_t end)
{
	if (unlikely(arena->heap.cfg.page_shift < PAGE_SHIFT) && first < end)
		arena->nr_touched -= end - first;
	pa_backing_use(arena, first, end, -1);
	/* The heap may drop the lock now. */
	if (unlikely(arena->heap.cfg.debug))
		pa_settle(arena);
	/* In a debug arena fault() sees to whole granules; this is for the rest. */
	if (unlikely(arena->heap.cfg.debug) && arena->setup.granule > arena->setup.span_page &&
	    first < end) {
		step->todo |= PA_TODO_ZAP;
		step->zap_first = first;
		step->zap_end = end;
	}
}

/*
 * pa_step_alloc() - allocate a span, as far as the heap lock is what it takes
 * @arena: an arena that is set up, whose heap is ready (span_heap_ready())
 * @step: what is wanted; its output fields are set
 *
 * Context: heap lock.
 * Return: as for %PAGEARENA_IOC_ALLOC.  If @step->todo is not 0, pa_step_finish() is to follow,
 * whatever was returned.
 */
static int pa_step_alloc(struct pa_arena *arena, struct pa_step *step)
{
	u8 shift = arena->heap.cfg.page_shift;
	u64 page = 1ULL << shift, npages, align = max(step->align, page);
	struct span *s;
	int err;

	lockdep_assert_held(&arena->lock);
	step->todo = 0;
	if (step->align & (step->align - 1))
		return -EINVAL;
	err = pa_whole_pages(arena, step->length, &npages);
	if (err)
		return err;
	if (npages > min_t(u64, arena->setup.arena_bytes >> shift, SPAN_HEAP_MAX_PAGES))
		return -ENOMEM;
	if (step->flags & PAGEARENA_ALLOC_FIXED) {
		if (!IS_ALIGNED(step->offset, align))
			return -EINVAL;
		if (step->offset + (npages << shift) < step->offset)
			return -EOVERFLOW;
	}
	err = pa_may_allocate(arena, npages, 1, step);
	if (err)
		return err;
	if (unlikely(step->flags & PAGEARENA_ALLOC_FIXED))
		err = span_heap_alloc_at(&arena->heap, step->offset >> shift, npages, &s, NULL);
	else
		err = span_heap_alloc(&arena->heap, npages, align >> shift, &s, NULL);
	if (err)
		return err;
	step->offset = span_offset(s, &arena->heap);
	step->length = span_bytes(s, &arena->heap);
	step->had = 0;
	pa_allocated(arena, step, step->offset, step->length);
	return 0;
}

/*
 * pa_step_free() - free a span, as far as the heap lock is what it takes
 * @arena: an arena that is set up, in whose heap a span may be freed (span_heap_may_free())
 * @hold: the hold of the lock
 * @step: @step->offset and @step->length say which (a length of 0 is not checked)
 *
 * Context: heap lock; an arena with PAGEARENA_SETUP_DEBUG may drop it.
 * Return: as for %PAGEARENA_IOC_FREE.  If @step->todo is not 0, pa_step_finish() is to follow,
 * whatever was returned.
 */
static int pa_step_free(struct pa_arena *arena, struct pa_hold *hold, struct pa_step *step)
{
	u64 offset = step->offset, length = step->length;
	u8 shift = arena->heap.cfg.page_shift;
	u64 page = 1ULL << shift;
	pgoff_t first, end;
	struct span *s;
	int err;

	lockdep_assert_held(&arena->lock);
	step->todo = 0;
	if (!IS_ALIGNED(offset, page))
		return -EINVAL;
	if (length > U64_MAX - (page - 1) || offset + length < offset)
		return -EOVERFLOW;
	err = span_heap_lookup(&arena->heap, offset >> shift, (length + page - 1) >> shift, &s);
	if (err)
		return err;
	length = span_bytes(s, &arena->heap);
	if (likely(shift >= PAGE_SHIFT)) {
		first = offset >> PAGE_SHIFT;
		end = (offset + length) >> PAGE_SHIFT;
	} else {
		pa_pages_alone(arena, offset, length, &first, &end);
	}
	pa_freeing(arena, step, first, end);
	span_heap_free_span(&arena->heap, s, hold->now);
	trace_pagearena_free(arena->id, offset, length);
	return 0;
}

/*
 * pa_step_resize() - change a span's length, as far as the heap lock is what it takes
 * @arena: an arena that is set up, whose heap is ready (span_heap_ready())
 * @hold: the hold of the lock
 * @step: what is wanted; its output fields are set
 *
 * Context: heap lock; an arena with PAGEARENA_SETUP_DEBUG may drop it.
 * Return: as for %PAGEARENA_IOC_RESIZE.  If @step->todo is not 0, pa_step_finish() is to
 * follow, whatever was returned.
 */
static int pa_step_resize(struct pa_arena *arena, struct pa_hold *hold, struct pa_step *step)
{
	u8 shift = arena->heap.cfg.page_shift;
	u64 page = 1ULL << shift, npages, had;
	u64 expected = step->had;
	pgoff_t first, end;
	struct span *s;
	int err;

	lockdep_assert_held(&arena->lock);
	step->todo = 0;
	step->out_flags = PAGEARENA_ALLOCED_ZERO | PAGEARENA_ALLOCED_BACKED;
	if (!IS_ALIGNED(step->offset, page))
		return -EINVAL;
	err = pa_whole_pages(arena, step->length, &npages);
	if (err)
		return err;
	if (expected > U64_MAX - (page - 1) ||
	    step->offset + max(expected, npages << shift) < step->offset)
		return -EOVERFLOW;
	err = span_heap_lookup(&arena->heap, step->offset >> shift, (expected + page - 1) >> shift,
			       &s);
	if (err)
		return err;
	had = s->npages;
	if (npages > min_t(u64, arena->setup.arena_bytes >> shift, SPAN_HEAP_MAX_PAGES))
		return -ENOMEM;
	if (npages > had) {
		err = pa_may_allocate(arena, npages - had, 0, step);
		if (err)
			return err;
	}
	/*
	 * What a debug heap does with the rest can drop the lock, so that is counted before.  To
	 * shrink cannot fail any more.
	 */
	if (npages < had && !arena->heap.broken) {
		pa_pages_added(arena, step->offset + (npages << shift),
			       step->offset + (had << shift), &first, &end);
		pa_freeing(arena, step, first, end);
		trace_pagearena_free(arena->id, step->offset + (npages << shift),
				     (had - npages) << shift);
	}
	err = span_heap_resize(&arena->heap, step->offset >> shift, 0, npages, hold->now, &s,
			       NULL);
	if (err)
		return err;
	step->length = npages << shift;
	step->had = had << shift;
	if (npages > had)
		pa_allocated(arena, step, step->offset + step->had, step->length - step->had);
	return 0;
}

/*
 * pa_step_finish() - what a step has left to do
 * @arena: an arena that is set up
 * @step: the step, with @step->todo not 0
 * @err: what the step has returned
 *
 * If it fails, what the step did is undone.
 *
 * Context: may sleep; no heap lock.
 * Return: what the call returns.
 */
static int pa_step_finish(struct pa_arena *arena, struct pa_step *step, int err)
{
	u64 offset = step->offset + step->had, length = step->length - step->had;

	if (step->todo & PA_TODO_TELL_LIMIT)
		pa_pressure(arena, PAGEARENA_PRESSURE_LIMIT);
	if (step->todo & PA_TODO_ZAP)
		pa_backing_zap(arena, step->zap_first, step->zap_end);
	if (err)
		return err;
	if (step->todo & PA_TODO_THP)
		pa_thp_refresh(false);
	if (step->todo & PA_TODO_LIMIT)
		err = pa_limit_enforce(arena);
	if (!err && step->todo & PA_TODO_ZERO) {
		pa_backing_zero(arena, offset, length);
		step->out_flags |= PAGEARENA_ALLOCED_ZERO;
	}
	if (!err && step->todo & PA_TODO_POPULATE) {
		err = pa_backing_populate(arena, offset, length);
		step->out_flags |= PAGEARENA_ALLOCED_BACKED;
	}
	if (!err)
		return 0;
	pa_step_undo(arena, step);
	return err == -EINTR ? -EINTR : -ENOMEM;
}

/**
 * pa_step_undo() - take back what an ALLOC or a RESIZE has allocated
 * @arena: an arena that is set up
 * @step: as it came out of pa_step_alloc(), or of pa_step_resize() that made a span longer
 *
 * Context: may sleep.
 */
void pa_step_undo(struct pa_arena *arena, struct pa_step *step)
{
	struct pa_step back = { .offset = step->offset, .length = step->length };

	if (step->had) {
		back.had = step->length;
		back.length = step->had;
		/* It needs a span for what is cut off, and may not fail. */
		while (pa_arena_resize(arena, &back) == -ENOMEM)
			pa_add_spares(arena, GFP_KERNEL | __GFP_NOFAIL);
	} else {
		pa_arena_free(arena, &back);
	}
}

/**
 * pa_arena_alloc() - allocate a span
 * @arena: an arena that is set up
 * @step: what is wanted; its output fields are set
 *
 * Context: may sleep.
 * Return: as for %PAGEARENA_IOC_ALLOC.
 */
int pa_arena_alloc(struct pa_arena *arena, struct pa_step *step)
{
	u64 length = step->length;
	struct pa_hold hold;
	int err;

	step->todo = 0;
	pa_hold_begin(arena, &hold, false);
	err = pa_hold_spares(arena, &hold);
	if (!err)
		err = pa_step_alloc(arena, step);
	pa_hold_end(arena);
	if (step->todo)
		err = pa_step_finish(arena, step, err);
	if (unlikely(err))
		return pa_refused(arena, PAGEARENA_OP_ALLOC, step->offset, length, err);
	return 0;
}

/**
 * pa_arena_resize() - change the length of a span, in place
 * @arena: an arena that is set up
 * @step: what is wanted; its output fields are set
 *
 * Context: may sleep.
 * Return: as for %PAGEARENA_IOC_RESIZE.
 */
int pa_arena_resize(struct pa_arena *arena, struct pa_step *step)
{
	u64 length = step->length;
	struct pa_hold hold;
	int err;

	step->todo = 0;
	pa_hold_begin(arena, &hold, true);
	err = pa_hold_spares(arena, &hold);
	if (!err)
		err = pa_step_resize(arena, &hold, step);
	pa_hold_end(arena);
	pa_background_notice(arena);
	if (step->todo)
		err = pa_step_finish(arena, step, err);
	if (unlikely(err))
		return pa_refused(arena, PAGEARENA_OP_RESIZE, step->offset, length, err);
	return 0;
}

/**
 * pa_arena_free() - free a span
 * @arena: an arena that is set up
 * @step: which
 *
 * Context: may sleep.
 * Return: as for %PAGEARENA_IOC_FREE.
 */
int pa_arena_free(struct pa_arena *arena, struct pa_step *step)
{
	struct pa_hold hold;
	int err;

	step->todo = 0;
	pa_hold_begin(arena, &hold, true);
	pa_hold_index(arena, &hold);
	err = pa_step_free(arena, &hold, step);
	pa_hold_end(arena);
	pa_background_notice(arena);
	if (step->todo)
		err = pa_step_finish(arena, step, err);
	if (unlikely(err))
		return pa_refused(arena, PAGEARENA_OP_FREE, step->offset, step->length, err);
	return 0;
}

/*
 * Such an operation may have looked at all free spans, or at many chunks.  Of these one hold of the
 * lock does no more than one.
 */
static bool pa_costly(const struct pagearena_op *op)
{
	return op->op == PAGEARENA_OP_RESIZE ||
	       (op->op == PAGEARENA_OP_ALLOC &&
		(op->align || op->flags & PAGEARENA_ALLOC_FIXED || op->length > PA_QUICK_BYTES));
}

/* A step of many that is not quick.  The lock may be dropped in between. */
static noinline int pa_slow_step(struct pa_arena *arena, struct pa_hold *hold,
				 struct pagearena_op *op)
	__releases(&arena->lock)
	__acquires(&arena->lock)
{
	struct pa_step step = {
		.offset = op->offset,
		.length = op->length,
		.align = op->align,
		.flags = op->flags,
	};
	int err;

	switch (op->op) {
	case PAGEARENA_OP_FREE:
		err = op->flags || op->align ? -EINVAL : 0;
		if (!err) {
			pa_hold_index(arena, hold);
			err = pa_step_free(arena, hold, &step);
		}
		break;
	case PAGEARENA_OP_ALLOC:
		err = op->flags & ~PA_ALLOC_FLAGS ? -EINVAL : pa_hold_spares(arena, hold);
		if (!err)
			err = pa_step_alloc(arena, &step);
		break;
	default:
		err = op->flags & ~PA_RESIZE_FLAGS || op->align ? -EINVAL :
								   pa_hold_spares(arena, hold);
		if (!err)
			err = pa_step_resize(arena, hold, &step);
	}
	/* What need not be done at once is done once. */
	hold->todo |= step.todo & (PA_TODO_THP | PA_TODO_TELL_LIMIT);
	step.todo &= ~(PA_TODO_THP | PA_TODO_TELL_LIMIT);
	if (step.todo) {
		pa_hold_end(arena);
		err = pa_step_finish(arena, &step, err);
		pa_hold_begin(arena, hold, true);
	} else if (pa_costly(op)) {
		pa_hold_end(arena);
		cond_resched();
		pa_hold_begin(arena, hold, true);
	}
	if (op->op != PAGEARENA_OP_FREE && !err) {
		op->offset = step.offset;
		op->length = step.length;
		op->out_flags = step.out_flags;
	}
	if (unlikely(err))
		return pa_refused(arena, op->op, op->offset, op->length, err);
	return 0;
}

/**
 * pa_arena_steps() - many allocations, resizes and frees
 * @arena: an arena that is set up
 * @ops: what to do; the results are filled in
 * @nr: number of @ops
 * @stop: one that fails is the last
 * @failed: increased by the number of those that failed
 *
 * Ends before the first operation that is not one of the three.
 *
 * Context: may sleep.
 * Return: number of operations that were tried.
 */
unsigned int pa_arena_steps(struct pa_arena *arena, struct pagearena_op *ops, unsigned int nr,
			    bool stop, unsigned int *failed)
{
	struct pagearena_op *op, *end = ops + nr;
	struct pa_hold hold;
	bool plain;
	int err;

	if (!nr)
		return 0;
	hold.todo = 0;
	pa_hold_begin(arena, &hold, true);
	plain = pa_plain(arena);
	for (op = ops; op < end; op++) {
		if (op->op - PAGEARENA_OP_ALLOC > PAGEARENA_OP_RESIZE - PAGEARENA_OP_ALLOC)
			break;
		op->out_flags = 0;
		err = 0;
		if (op->flags || op->align ||
		    !(op->op == PAGEARENA_OP_FREE ?
			      pa_quick_free(arena, &hold, plain, op->offset, op->length, &err) :
		      op->op == PAGEARENA_OP_ALLOC ?
			      pa_quick_alloc(arena, plain, &op->offset, &op->length,
					     &op->out_flags) :
			      false)) {
			err = pa_slow_step(arena, &hold, op);
			plain = pa_plain(arena);
		}
		op->result = err;
		if (unlikely(err)) {
			(*failed)++;
			if (stop) {
				op++;
				break;
			}
		}
	}
	pa_hold_end(arena);
	if (hold.todo & PA_TODO_TELL_LIMIT)
		pa_pressure(arena, PAGEARENA_PRESSURE_LIMIT);
	if (hold.todo & PA_TODO_THP)
		pa_thp_refresh(false);
	pa_background_notice(arena);
	return op - ops;
}
