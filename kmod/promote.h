/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Promotion (small folios to a huge one) and demotion (back).
 */
#ifndef PAGEARENA_PROMOTE_H
#define PAGEARENA_PROMOTE_H

#include <linux/types.h>

#include "arena.h"

struct pa_arena;
struct pa_chunk;

/**
 * struct pa_promote_opts - how to promote
 * @compact: compact memory for a huge folio
 * @background: nobody waits for it
 * @min_pages: refuse chunks with fewer live pages; 0: do not even refuse empty ones
 * @deadline: do not begin after this ktime_get_ns(); 0: whenever
 */
struct pa_promote_opts {
	bool compact;
	bool background;
	unsigned int min_pages;
	u64 deadline;
};

int pa_chunk_promote(struct pa_arena *arena, unsigned long index,
		     const struct pa_promote_opts *opts);
int pa_chunk_demote(struct pa_arena *arena, struct pa_chunk *c, enum pa_cause cause);

void pa_chunk_begin_anew(struct pa_arena *arena, struct pa_chunk *c);

bool pa_huge_enabled(struct pa_arena *arena);
void pa_thp_refresh(bool wait);

void pa_promote_start(struct pa_arena *arena);
void pa_promote_stop(struct pa_arena *arena);
void pa_promote_kick(struct pa_arena *arena);
void pa_promote_notice(struct pa_arena *arena, struct pa_chunk *c);
int pa_promote_init(void);
void pa_promote_exit(void);

#endif /* PAGEARENA_PROMOTE_H */
