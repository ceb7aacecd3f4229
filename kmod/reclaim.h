/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Who pays for memory, what the kernel can take back, and telling that it is short.
 */
#ifndef PAGEARENA_RECLAIM_H
#define PAGEARENA_RECLAIM_H

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/vmstat.h>

#include "arena.h"
#include "backing.h"

struct file;
struct mem_cgroup;
struct poll_table_struct;

/**
 * struct pa_item - a chunk, or an arena, as the shrinker sees it
 * @lru: in the list of its node and of the memory cgroup that it is charged to
 * @arena: the arena
 * @chunk: the chunk; NULL for the arena's own item
 * @nid: node of the chunk's memory, and of this structure
 * @nr: pages that can be taken back at once; written under the heap lock
 * @nr_sparse: of these, pages that are won by breaking a huge folio; likewise
 * @listed: it is, or is about to be, in the list; see pa_item_update()
 * @young: something was freed or allocated in the chunk since the shrinker looked
 * @used: when that was, in jiffies of get_jiffies_64(); protected by the heap lock
 */
struct pa_item {
	struct list_head lru;
	struct pa_arena *arena;
	struct pa_chunk *chunk;
	int nid;
	unsigned int nr;
	unsigned int nr_sparse;
	bool listed;
	bool young;
	u64 used;
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
void pa_item_list(struct pa_item *item);

/**
 * pa_item_update() - the pages of a chunk have changed, or their use
 * @arena: the arena
 * @c: the chunk
 *
 * An item without anything to take stays in the list until the shrinker comes by, so that a
 * span that is allocated and freed in turn costs no list operations.
 *
 * Context: heap lock.
 */
static inline void pa_item_update(struct pa_arena *arena, struct pa_chunk *c)
{
	struct pa_item *item = c->item;
	unsigned int nr, sparse;
	long change;

	lockdep_assert_held(&arena->lock);
	if (unlikely(!item))
		return;
	nr = pa_chunk_reclaimable(c);
	sparse = pa_chunk_sparse(c) ? nr : 0;
	change = (long)nr - (long)item->nr;
	if (!change && sparse == item->nr_sparse)
		return;
	arena->nr_reclaimable += change;
	arena->nr_sparse += (long)sparse - (long)item->nr_sparse;
	WRITE_ONCE(item->nr_sparse, sparse);
	mod_node_page_state(NODE_DATA(item->nid), NR_KERNEL_MISC_RECLAIMABLE, change);
	item->young |= item->nr != 0;
	item->used = get_jiffies_64();
	WRITE_ONCE(item->nr, nr);
	if (!nr)
		return;
	/* Pairs with pa_isolate(), which takes an item with nothing to take off the list. */
	smp_mb();
	if (unlikely(!READ_ONCE(item->listed)))
		pa_item_list(item);
}

/**
 * pa_settle() - tell the shrinker what it has not been told yet
 * @arena: the arena
 *
 * So that a span that is allocated and freed in turn costs no more than it must, the figures of
 * one chunk of an arena may be late (compare the batches in which the core charges memory
 * cgroups and counts events of nodes).  The shrinker looks at the chunk itself.  If it does not
 * have it in its list, they are late by %PA_LATE_PAGES at most.  Whoever needs the figures to be
 * exact calls this first.
 *
 * Context: heap lock.
 */
static inline void pa_settle(struct pa_arena *arena)
{
	struct pa_chunk *c = arena->late;

	arena->late = NULL;
	if (c)
		pa_item_update(arena, c);
}

/**
 * pa_settle_much() - the same, if it is much
 * @arena: the arena
 *
 * Context: heap lock.
 */
static inline void pa_settle_much(struct pa_arena *arena)
{
	const struct pa_chunk *c = arena->late;
	struct pa_item *item;

	if (!c || !c->item)
		return;
	item = c->item;
	/* That there is less to take than it says does no harm. */
	if (likely(pa_chunk_reclaimable(c) <= item->nr + PA_LATE_PAGES))
		return;
	WRITE_ONCE(item->young, true);
	item->used = get_jiffies_64();
	/* Pairs with pa_isolate(), which looks at the chunk itself. */
	smp_mb();
	if (!READ_ONCE(item->listed))
		pa_settle(arena);
}

/**
 * pa_chunk_use() - present pages of a chunk have come into use, or out of it
 * @arena: the arena
 * @c: the chunk
 * @n: their number
 * @sign: 1: an allocated span has come to touch them; -1: none does any more
 *
 * Context: heap lock.  pa_item_update() is to follow before it is dropped.
 */
static inline void pa_chunk_use(struct pa_arena *arena, struct pa_chunk *c, unsigned int n,
				int sign)
{
	long change = sign < 0 ? -(long)n : n;

	lockdep_assert_held(&arena->lock);
	arena->nr_inuse += change;
	c->nr_inuse += change;
	if (READ_ONCE(c->state) == PA_CHUNK_HUGE)
		arena->nr_huge_inuse += change;
	if (sign < 0)
		c->nr_stuck = 0;
}

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
