/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Background scavenging: free memory goes back by age, and down to a goal.
 */
#ifndef PAGEARENA_BACKGROUND_H
#define PAGEARENA_BACKGROUND_H

#include <linux/list.h>
#include <linux/types.h>

struct pa_arena;
struct pa_chunk;

/* Most spans that are passed under one hold of the heap lock. */
#define PA_HOLD_SPANS	64

/**
 * struct pa_background - an arena's part of the background scavenging
 * @list: in the list of arenas that have something to come; protected by pa_queue_lock
 * @queued: it is in there; written under pa_queue_lock
 * @next: when it is due, in ns of ktime_get_ns(); protected by pa_queue_lock
 * @want_break: memory was short, and huge chunks that are free in part may go, too
 * @hold: spans passed since the heap lock was taken; protected by scavenge_lock
 * @hold_max: the most of these
 * @slow: the share of the CPU is divided by 2^slow; written by the worker
 * @adapted: when @slow was looked at last, in ns; the worker's
 * @refault: &pa_counters.bytes_refault at that time; the worker's
 * @released: bytes that the kernel had released by itself at that time; the worker's
 * @spent: ns that it took, all together
 * @nr: number of times that it was served
 */
struct pa_background {
	struct list_head list;
	bool queued;
	u64 next;
	bool want_break;
	unsigned int hold;
	unsigned int hold_max;
	unsigned int slow;
	u64 adapted;
	u64 refault;
	u64 released;
	u64 spent;
	u64 nr;
};

void pa_background_start(struct pa_arena *arena);
void pa_background_stop(struct pa_arena *arena);
void pa_background_first(struct pa_arena *arena);
void pa_background_kick(struct pa_arena *arena);
void pa_background_break(struct pa_arena *arena);
void pa_background_pressure(struct pa_arena *arena);
bool pa_background_pause(struct pa_arena *arena);
int pa_background_init(void);
void pa_background_exit(void);

void pa_shadow_add(struct pa_arena *arena, struct pa_chunk *c, unsigned int from, unsigned int to,
		   const unsigned long *but);
void pa_shadow_hit(struct pa_arena *arena, struct pa_chunk *c, unsigned int first, unsigned int n);
void pa_shadow_destroy(struct pa_arena *arena);

#endif /* PAGEARENA_BACKGROUND_H */
