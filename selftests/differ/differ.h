/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Traces with what must come of every operation: one text format, which the naive model and
 * the heap in user space write, and the device and the unit tests in the kernel read.
 *
 *   config SIZE GROWTH PAGE_SHIFT GRANULE_SHIFT FIT REUSE
 *   OP A B  RET BASE NEEDZERO  FIGURES  DIGEST
 *
 * A config begins a new heap.  All numbers are decimal; those of operations count span pages.
 *
 *   a N ALIGN    allocate N pages; BASE is where, NEEDZERO whether they may hold something
 *   A N BASE     allocate N pages at BASE
 *   r BASE N     make the span at BASE N pages long
 *   f BASE N     free the span at BASE, and check that it has N pages, unless N is 0
 *   s N 0        scavenge N pages; ~0: all.  As the device does it: whole chunks of 2 MiB
 *                first, then the rest, both the largest spans first.  RET is in bytes
 *
 * RET is 0 or a negative errno.  FIGURES are those of struct span_heap_stats, in its order.
 * DIGEST is a hash over all spans in order of address: base, pages, state, scavenged, needzero.
 */
#ifndef DIFFER_H
#define DIFFER_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"
#include "span_heap.h"

#define CHUNK_SHIFT	21
#define ALL		(~(u64)0)
#define NR_STATS	(sizeof(struct span_heap_stats) / sizeof(u64))

/* What a line says, or what came of it. */
struct result {
	s64 ret;
	u64 base;
	u64 needzero;
	struct span_heap_stats stats;
	u64 digest;
};

struct op {
	char what;
	u64 a;
	u64 b;
};

/* One of those that do operations. */
struct player {
	const char *name;
	void (*begin)(const struct span_heap_config *cfg);
	void (*play)(const struct op *op, struct result *res);
	void (*end)(void);
};

extern const struct player model_player, heap_player, device_player;

/* Which part of a free range a pass of the scavenger takes. */
bool pass_trim(bool whole, u64 *offset, u64 *len);

static inline u64 mix(u64 sum, u64 v)
{
	sum = (sum ^ v) * 0x9e3779b97f4a7c15ULL;
	return sum ^ sum >> 29;
}

static inline u64 mix_span(u64 sum, u64 base, u64 npages, int state, bool scavenged,
			   bool needzero)
{
	return mix(mix(mix(sum, base), npages), state * 4 + scavenged * 2 + needzero);
}

#endif /* DIFFER_H */
