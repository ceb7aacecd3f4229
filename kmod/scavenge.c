// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Scavenging: which free memory goes back, when, and how the heap reaches pages.
 */
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include "arena.h"
#include "backing.h"
#include "trace.h"

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
	err = pa_backing_release(arena, offset, len, &freed);
	arena->scavenged += freed;
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
	err = pa_backing_release(arena, offset, len, &freed);
	trace_pagearena_scavenge(arena->id, offset, len, freed << PAGE_SHIFT, err);
	spin_lock(&arena->lock);
	return err;
}

static void pa_op_hugepage(void *ctx, u64 offset, u64 len)
{
	pa_backing_hugepage(ctx, offset, len);
}

/*
 * map() and used() have nothing to do: address space is there once the file is mapped,
 * and the fault handler asks the heap whether a page may be used.
 */
const struct span_heap_ops pa_heap_ops = {
	.unused = pa_op_unused,
	.hugepage = pa_op_hugepage,
	.fault = pa_op_fault,
};

static bool pa_scavenge_stop(void *ctx)
{
	return signal_pending(current);
}

/**
 * pa_scavenge() - release free spans
 * @arena: an arena that is set up
 * @bytes: stop when so much has been released
 * @min_age: only spans that have been free for longer, in ns; 0: any
 * @released: set to the bytes that went from free to scavenged
 * @backed: set to the bytes of memory that went back
 *
 * Context: may sleep.
 * Return: 0; -EINTR, with @released and @backed telling what was done before.
 */
int pa_scavenge(struct pa_arena *arena, u64 bytes, u64 min_age, u64 *released, u64 *backed)
{
	*released = 0;
	*backed = 0;
	if (mutex_lock_interruptible(&arena->scavenge_lock))
		return -EINTR;
	arena->scavenged = 0;
	spin_lock(&arena->lock);
	if (min_age)
		*released = span_heap_scavenge_age(&arena->heap, ktime_get_ns(), min_age, bytes,
						   pa_scavenge_stop);
	else
		*released = span_heap_scavenge_bytes(&arena->heap, bytes, pa_scavenge_stop);
	spin_unlock(&arena->lock);
	*backed = arena->scavenged << PAGE_SHIFT;
	mutex_unlock(&arena->scavenge_lock);
	return *released < bytes && signal_pending(current) ? -EINTR : 0;
}

/**
 * pa_limit_enforce() - release free memory until the arena keeps to its limit
 * @arena: an arena that is set up
 *
 * Context: may sleep.
 * Return: 0; -ENOMEM if what is free cannot be released.
 */
int pa_limit_enforce(struct pa_arena *arena)
{
	u64 used, released;
	int err = 0;

	mutex_lock(&arena->scavenge_lock);
	spin_lock(&arena->lock);
	for (;;) {
		used = arena->nr_small + (arena->nr_huge << PA_CHUNK_ORDER) - arena->nr_inuse;
		used = (used << PAGE_SHIFT) + arena->heap.stats.heap_inuse;
		if (used <= arena->setup.limit)
			break;
		released = span_heap_scavenge_bytes(&arena->heap, used - arena->setup.limit, NULL);
		if (!released) {
			err = -ENOMEM;
			break;
		}
	}
	spin_unlock(&arena->lock);
	mutex_unlock(&arena->scavenge_lock);
	return err;
}
