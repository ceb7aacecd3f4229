/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Allocating, freeing and resizing spans.
 */
#ifndef PAGEARENA_STEP_H
#define PAGEARENA_STEP_H

#include <linux/bits.h>
#include <linux/types.h>

struct pa_arena;
struct pagearena_op;

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

#endif /* PAGEARENA_STEP_H */
