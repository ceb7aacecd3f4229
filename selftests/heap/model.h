/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The rules of the span heap once more, in the simplest way that states them: an array
 * with an entry for each page of the arena, scanned from its beginning for everything.
 * Written from the rules, not from span_heap.c; shares only types with it.
 */
#ifndef HEAP_MODEL_H
#define HEAP_MODEL_H

#include "span_heap.h"

/**
 * struct model_span - the span that begins at a page
 * @npages: number of pages; 0: no span begins here
 */
struct model_span {
	u64 npages;
	u64 unusedsince;
	enum span_state state;
	bool scavenged;
	bool needzero;
};

/**
 * struct model - the naive heap
 * @cfg: geometry, as the heap's
 * @ops: called as the heap calls its own
 * @ctx: first argument of @ops
 * @at: the span that begins at each page, if one does
 * @pages: pages of the arena
 * @grown: pages that the heap has grown to
 * @spares: unused struct spans that the heap would have
 * @recent: with cfg.reuse: bases of the spans that were freed last and that a request of
 *	their size may take at once, in the order in which they were freed
 * @nr_recent: their number
 * @counts: the counts of operations and the peak; the other figures are derived
 */
struct model {
	struct span_heap_config cfg;
	const struct span_heap_ops *ops;
	void *ctx;
	struct model_span *at;
	u64 pages;
	u64 grown;
	unsigned int spares;
	u64 recent[SPAN_HEAP_RECENT];
	unsigned int nr_recent;
	struct span_heap_stats counts;
};

void model_init(struct model *m, const struct span_heap_config *cfg,
		const struct span_heap_ops *ops, void *ctx);
void model_destroy(struct model *m);

int model_alloc(struct model *m, u64 npages, u64 align, u64 *base, bool *needzero,
		bool *was_scavenged);
int model_alloc_at(struct model *m, u64 base, u64 npages, bool *needzero, bool *was_scavenged);
int model_resize(struct model *m, u64 base, u64 old_npages, u64 npages, u64 now, bool *needzero,
		 bool *was_scavenged);
int model_free(struct model *m, u64 base, u64 npages, u64 now);
s64 model_scavenge(struct model *m, u64 s);
u64 model_scavenge_bytes(struct model *m, u64 bytes, bool (*stop)(void *ctx));
u64 model_scavenge_age(struct model *m, u64 now, u64 limit, u64 bytes, bool (*stop)(void *ctx));
int model_unscavenge(struct model *m, u64 base, u64 npages, u64 now);

u64 model_find(const struct model *m, u64 page);
u64 model_released(const struct model *m, u64 base, u64 *offset);
void model_stats(const struct model *m, struct span_heap_stats *stats);
const char *model_check(const struct model *m);

#endif /* HEAP_MODEL_H */
