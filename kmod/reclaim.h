/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Who pays for memory, what the kernel can take back, and telling that it is short.
 */
#ifndef PAGEARENA_RECLAIM_H
#define PAGEARENA_RECLAIM_H

#include <linux/list.h>
#include <linux/types.h>

struct file;
struct mem_cgroup;
struct pa_arena;
struct pa_chunk;
struct poll_table_struct;

/**
 * struct pa_item - a chunk, or an arena, as the shrinker sees it
 * @lru: in the list of its node and of the memory cgroup that it is charged to
 * @arena: the arena
 * @chunk: the chunk; NULL for the arena's own item
 * @nid: node of the chunk's memory, and of this structure
 * @nr: pages that can be taken back at once; written under the heap lock
 * @listed: it is, or is about to be, in the list; see pa_item_update()
 * @young: something was freed or allocated in the chunk since the shrinker looked
 */
struct pa_item {
	struct list_head lru;
	struct pa_arena *arena;
	struct pa_chunk *chunk;
	int nid;
	unsigned int nr;
	bool listed;
	bool young;
};

/**
 * struct pa_charge - somebody who pays
 * @memcg: referenced; NULL without memory cgroups
 * @old: who paid before
 */
struct pa_charge {
	struct mem_cgroup *memcg;
	struct mem_cgroup *old;
};

void pa_charge_begin(struct pa_arena *arena, struct pa_charge *charge);
void pa_charge_end(struct pa_charge *charge);

int pa_item_attach(struct pa_arena *arena, struct pa_chunk *c, int nid);
void pa_item_move(struct pa_arena *arena, struct pa_chunk *c, int nid);
void pa_item_detach(struct pa_arena *arena, struct pa_chunk *c);
void pa_item_update(struct pa_arena *arena, struct pa_chunk *c);

void pa_pressure(struct pa_arena *arena, unsigned int what);
unsigned int pa_pressure_told(struct pa_arena *arena, bool seen);
__poll_t pa_poll(struct file *file, struct poll_table_struct *wait);

bool pa_in_reclaim(void);
void pa_reclaim_high(struct pa_arena *arena);
int pa_reclaim_start(struct pa_arena *arena);
void pa_reclaim_stop(struct pa_arena *arena);
int pa_reclaim_init(void);
void pa_reclaim_exit(void);

#endif /* PAGEARENA_RECLAIM_H */
