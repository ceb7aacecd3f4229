// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The shrinker: free memory goes back the moment the machine or a memory cgroup needs it.
 *
 * Each chunk with memory behind it has a struct pa_item, charged to whom the chunk is charged
 * to, on the node where its memory is.  While part of the chunk can be taken back at once the
 * item is in a list_lru, which has a list for each node and each memory cgroup, moves them to
 * the parent when a cgroup goes away, and tells the core to call the shrinker.
 *
 * What counts as reclaimable is, first, what costs nothing but a zap: free pages of small
 * chunks, and huge chunks that are free as a whole.  Chunks go in the order in which they came
 * to have something free; one that was used since the last look gets another round.  When
 * nothing of that is left, huge chunks go of which a quarter or less is alive: that is copied to
 * small folios, so at least three times as much is won as it takes meanwhile.  The rest is left
 * to the background (see background.c), which is told.
 *
 * Reclaim can be entered from any allocation, the module's own as well, so all that is ever
 * held across an allocation is only tried: the chunk's lock, the folios' locks.  What blocks
 * (i_mmap_rwsem, page-table locks) is what the core's own reclaim blocks on.
 */
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/page_counter.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/vmstat.h>
#include <linux/wait_bit.h>

#include "arena.h"
#include "background.h"
#include "backing.h"
#include "compat.h"
#include "pool.h"
#include "race.h"
#include "reclaim.h"
#include "trace.h"

/* Chunks whose figures are added up before the rest is estimated from their mean. */
#define PA_COUNT_EXACT		1024

/* A cgroup's reclaim has enough after so many pages, 4 MiB, unless a limit is exceeded. */
#define PA_RECLAIM_ENOUGH	(0x400000UL >> PAGE_SHIFT)

/* Two events of one arena are at least so far apart. */
#define PA_PRESSURE_INTERVAL	(HZ / 10 + 1)

static struct kmem_cache *pa_item_cache;
static struct list_lru pa_chunks_lru;
static struct list_lru pa_arenas_lru;
static struct pa_shrinker pa_shrinker;

/* Who pays */

/* Makes the lists of a cgroup and of its ancestors, without which nothing can be listed. */
static int pa_memcg_prepare(void)
{
	struct list_lru *lrus[] = { &pa_chunks_lru, &pa_arenas_lru, &pa_pool_lru };
	struct pa_item *item;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lrus); i++) {
		item = kmem_cache_alloc_lru(pa_item_cache, lrus[i], GFP_KERNEL_ACCOUNT);
		if (!item)
			return -ENOMEM;
		kmem_cache_free(pa_item_cache, item);
	}
	return 0;
}

/*
 * The arena's cgroup was removed: from now on the first of its ancestors that is alive pays.
 * What was charged before has gone to the parent by itself.
 */
static void pa_memcg_up(struct pa_arena *arena, struct mem_cgroup *dead)
{
	struct mem_cgroup *memcg = dead, *old;
	int err;

	rcu_read_lock();
	do {
		memcg = parent_mem_cgroup(memcg);
	} while (memcg && !pa_memcg_tryget_online(memcg));
	rcu_read_unlock();
	if (!memcg)
		return;
	old = set_active_memcg(memcg);
	err = pa_memcg_prepare();
	set_active_memcg(old);
	if (err || cmpxchg(&arena->memcg, dead, memcg) != dead)
		mem_cgroup_put(memcg);
	else
		mem_cgroup_put(dead);
}

/* The cgroup that pays, with a reference. */
static struct mem_cgroup *pa_memcg_get(struct pa_arena *arena)
{
	struct mem_cgroup *memcg;

	rcu_read_lock();
	do {
		/* A reference that is given up in pa_memcg_up() is gone from here before. */
		memcg = READ_ONCE(arena->memcg);
	} while (memcg && !pa_memcg_tryget(memcg));
	rcu_read_unlock();
	return memcg;
}

/**
 * pa_charge_begin() - let the arena's creator pay for what is allocated
 * @arena: the arena
 * @charge: for pa_charge_end()
 *
 * Context: may sleep, when the creator's cgroup has been removed.
 */
void pa_charge_begin(struct pa_arena *arena, struct pa_charge *charge)
{
	struct mem_cgroup *memcg = pa_memcg_get(arena);

	if (unlikely(memcg && !mem_cgroup_online(memcg) && !pa_in_reclaim())) {
		pa_memcg_up(arena, memcg);
		mem_cgroup_put(memcg);
		memcg = pa_memcg_get(arena);
	}
	charge->memcg = memcg;
	charge->old = set_active_memcg(memcg);
}

/**
 * pa_charge_end() - let the caller pay again
 * @charge: from pa_charge_begin()
 *
 * Context: any.
 */
void pa_charge_end(struct pa_charge *charge)
{
	set_active_memcg(charge->old);
	mem_cgroup_put(charge->memcg);
}

/* Items */

static struct pa_item *pa_item_new(struct pa_arena *arena, struct pa_chunk *c, int nid)
{
	struct pa_charge charge;
	struct pa_item *item;

	pa_charge_begin(arena, &charge);
	item = kmem_cache_alloc_node(pa_item_cache, GFP_KERNEL_ACCOUNT | __GFP_NOWARN, nid);
	pa_charge_end(&charge);
	if (!item)
		return NULL;
	memset(item, 0, sizeof(*item));
	INIT_LIST_HEAD(&item->lru);
	item->arena = arena;
	item->chunk = c;
	item->used = get_jiffies_64();
	/* The allocator may have had to take another node, and list_lru goes by that. */
	item->nid = page_to_nid(virt_to_page(item));
	return item;
}

/* Takes an item out of sight and out of the figures.  Heap lock. */
static void pa_item_forget(struct pa_arena *arena, struct pa_item *item)
{
	lockdep_assert_held(&arena->lock);
	arena->nr_reclaimable -= item->nr;
	arena->nr_sparse -= item->nr_sparse;
	WRITE_ONCE(item->nr_sparse, 0);
	if (item->nr)
		mod_node_page_state(NODE_DATA(item->nid), NR_KERNEL_MISC_RECLAIMABLE,
				    -(long)item->nr);
	WRITE_ONCE(item->nr, 0);
	pa_list_lru_del(&pa_chunks_lru, &item->lru);
}

/**
 * pa_item_attach() - give a chunk its item
 * @arena: the arena
 * @c: the chunk
 * @nid: node of the memory that it gets
 *
 * Context: chunk lock; may sleep.
 * Return: 0, or -ENOMEM.
 */
int pa_item_attach(struct pa_arena *arena, struct pa_chunk *c, int nid)
{
	lockdep_assert_held(&c->lock);
	if (!c->item)
		c->item = pa_item_new(arena, c, nid);
	else if (!c->nr_present)
		pa_item_move(arena, c, nid);
	return c->item ? 0 : -ENOMEM;
}

/**
 * pa_item_move() - the memory of a chunk is on another node now
 * @arena: the arena
 * @c: the chunk
 * @nid: that node
 *
 * Without memory for another item the old one stays.
 *
 * Context: chunk lock; may sleep.
 */
void pa_item_move(struct pa_arena *arena, struct pa_chunk *c, int nid)
{
	struct pa_item *item, *old = c->item;

	lockdep_assert_held(&c->lock);
	if (!old || old->nid == nid)
		return;
	item = pa_item_new(arena, c, nid);
	if (!item)
		return;
	spin_lock(&arena->lock);
	pa_item_forget(arena, old);
	c->item = item;
	pa_item_update(arena, c);
	spin_unlock(&arena->lock);
	kmem_cache_free(pa_item_cache, old);
}

/**
 * pa_item_detach() - take a chunk's item away
 * @arena: the arena
 * @c: a chunk that leaves the arena
 *
 * Context: chunk lock; takes the heap lock.
 */
void pa_item_detach(struct pa_arena *arena, struct pa_chunk *c)
{
	struct pa_item *item = c->item;

	lockdep_assert_held(&c->lock);
	if (!item)
		return;
	spin_lock(&arena->lock);
	pa_item_forget(arena, item);
	c->item = NULL;
	spin_unlock(&arena->lock);
	kmem_cache_free(pa_item_cache, item);
}

/**
 * pa_item_list() - put an item into the shrinker's list
 * @item: an item that has something to take, and is not in the list
 *
 * Context: heap lock.
 */
void pa_item_list(struct pa_item *item)
{
	WRITE_ONCE(item->listed, true);
	WRITE_ONCE(item->young, false);
	pa_list_lru_add(&pa_chunks_lru, &item->lru);
}

/* Telling */

/**
 * pa_pressure() - tell the arena's owner that memory is short
 * @arena: the arena
 * @what: PAGEARENA_PRESSURE_*
 *
 * Context: any but interrupts.
 */
void pa_pressure(struct pa_arena *arena, unsigned int what)
{
	unsigned long flags;
	bool tell = false;

	spin_lock_irqsave(&arena->pressure_lock, flags);
	if (!arena->pressure_seq ||
	    time_after_eq(jiffies, arena->pressure_last + PA_PRESSURE_INTERVAL)) {
		arena->pressure_last = jiffies;
		WRITE_ONCE(arena->pressure_seq, arena->pressure_seq + 1);
		WRITE_ONCE(arena->pressure_flags, arena->pressure_flags | what);
		tell = true;
	}
	spin_unlock_irqrestore(&arena->pressure_lock, flags);
	if (tell) {
		wake_up_poll(&arena->pressure_wait, EPOLLPRI);
		trace_pagearena_pressure(arena->id, what);
	}
}

/**
 * pa_pressure_told() - what happened
 * @arena: the arena
 * @seen: take the event away
 *
 * Context: any but interrupts.
 * Return: PAGEARENA_PRESSURE_*
 */
unsigned int pa_pressure_told(struct pa_arena *arena, bool seen)
{
	unsigned int what;

	spin_lock_irq(&arena->pressure_lock);
	what = arena->pressure_flags;
	if (seen)
		WRITE_ONCE(arena->pressure_flags, 0);
	spin_unlock_irq(&arena->pressure_lock);
	return what;
}

/**
 * pa_poll() - is there pressure that STATS has not told yet?
 * @file: the arena's file
 * @wait: the poll table
 *
 * Context: may sleep.
 */
__poll_t pa_poll(struct file *file, struct poll_table_struct *wait)
{
	struct pa_arena *arena = file->private_data;

	poll_wait(file, &arena->pressure_wait, wait);
	return READ_ONCE(arena->pressure_flags) ? EPOLLPRI : 0;
}

/* The shrinker */

/**
 * pa_in_reclaim() - does the caller run inside reclaim, where it must not wait for memory?
 *
 * Context: process.
 */
bool pa_in_reclaim(void)
{
	return current->flags & PF_MEMALLOC;
}

/*
 * @sparse: chunks that have to be broken are welcome, too
 * @passed: one of these was passed over
 */
struct pa_isolate {
	struct pa_chunk *c;
	unsigned int seen;
	bool sparse;
	bool passed;
};

/*
 * What there is to take.  The item's figure may be late.  The chunk is there, as its item is in
 * the list, but may change at any time.
 */
static unsigned int pa_item_now(const struct pa_item *i)
{
	/* data_race: it may change at any time; what is wrong is bounded, and looked at again. */
	return min_t(unsigned int, data_race(pa_chunk_reclaimable(i->chunk)), PA_CHUNK_PAGES);
}

/*
 * Takes the first item whose chunk's lock is to be had off the list; it is held then, and the
 * arena is pinned.  No lock of the whole arena is taken: two that reclaim at a time shall both
 * get on, or the second one ends in the OOM killer.
 */
static PA_LRU_WALK(pa_isolate)
{
	struct pa_item *i = container_of(item, struct pa_item, lru);
	struct pa_arena *arena = i->arena;
	struct pa_isolate *arg = cb_arg;
	struct pa_chunk *c = i->chunk;

	arg->seen = pa_item_now(i);
	if (!arg->seen) {
		WRITE_ONCE(i->listed, false);
		/*
		 * Pairs with pa_item_update() and pa_settle_much(): one of us sees what the other
		 * has written.
		 */
		smp_mb();
		if (pa_item_now(i)) {
			WRITE_ONCE(i->listed, true);
			return LRU_ROTATE;
		}
		list_lru_isolate(list, item);
		return LRU_REMOVED;
	}
	/* data_race: the same. */
	if (!arg->sparse && data_race(pa_chunk_sparse(c))) {
		arg->passed = true;
		return LRU_ROTATE;
	}
	if (READ_ONCE(i->young)) {
		WRITE_ONCE(i->young, false);
		return LRU_ROTATE;
	}
	if (!mutex_trylock(&c->lock))
		return LRU_ROTATE;
	refcount_inc(&c->ref);
	atomic_inc(&arena->reclaim_pins);
	list_lru_isolate(list, item);
	WRITE_ONCE(i->listed, false);
	arg->c = c;
	return LRU_REMOVED;
}

/*
 * A walk through the list of a node and a cgroup.  Every item is looked at twice at most, as it
 * may be young the first time; and then again, if huge chunks were passed over that have to be
 * broken: these go last.
 */
struct pa_walk {
	int nid;
	struct mem_cgroup *memcg;
	unsigned long looks;
	unsigned long scanned;
	unsigned long freed;
	bool passed;
	bool sparse;
};

/*
 * Takes what can be taken of a chunk that pa_isolate() has found.  Returns false if there was no
 * memory for that.
 */
static bool pa_reclaim_chunk(struct pa_walk *walk, struct pa_chunk *c, unsigned int seen)
{
	struct pa_arena *arena = c->item->arena;
	unsigned long freed;
	bool later;
	int err;

	pa_race_window(PA_RACE_SHRINK);
	err = pa_scavenge_locked(arena, c, &freed);
	later = err == -ENOMEM || err == -EAGAIN;

	spin_lock(&arena->lock);
	/* What could not be taken is not counted again before something happens to it. */
	c->nr_stuck = 0;
	if (!later)
		c->nr_stuck = pa_chunk_reclaimable(c);
	pa_item_update(arena, c);
	/* But for what can be tried again: its turn comes after the others'. */
	if (c->item->nr && !READ_ONCE(c->item->listed))
		pa_item_list(c->item);
	spin_unlock(&arena->lock);
	trace_pagearena_reclaim(arena->id, c->index, freed << PAGE_SHIFT);
	atomic64_add(freed << PAGE_SHIFT, &arena->count.bytes_reclaimed);
	if (!later)
		walk->scanned += seen;
	/* The worker may wait for memory. */
	if (err == -ENOMEM)
		pa_background_break(arena);
	walk->freed += freed;
	pa_chunk_unlock_put(arena, c);
	pa_race_window(PA_RACE_SHRUNK);
	if (atomic_dec_and_test(&arena->reclaim_pins))
		wake_up_var(&arena->reclaim_pins);
	return err != -ENOMEM;
}

/*
 * Where a look through a whole list has found nothing but chunks to be broken.  So that each of
 * these does not take another look, this is believed for a tenth of a second; what comes to be
 * free meanwhile may have to wait so long for its turn, no more.
 */
static unsigned long pa_only_sparse;

static unsigned long pa_walk_key(const struct pa_walk *walk)
{
	unsigned long where = hash_long((unsigned long)walk->memcg + walk->nid, BITS_PER_LONG);

	return (where + jiffies / (HZ / 10 + 1)) | 1;
}

static void pa_walk_begin(struct pa_walk *walk, int nid, struct mem_cgroup *memcg)
{
	memset(walk, 0, sizeof(*walk));
	walk->nid = nid;
	walk->memcg = memcg;
	walk->looks = 2 * list_lru_count_one(&pa_chunks_lru, nid, memcg);
	walk->sparse = READ_ONCE(pa_only_sparse) == pa_walk_key(walk);
}

/* Takes one chunk's worth from a list.  False: there was nothing, or nothing to be had. */
static bool pa_reclaim_one(struct pa_walk *walk)
{
	unsigned long pages = pa_pool_reclaim(walk->nid, walk->memcg);

	/* What nobody has used yet goes first. */
	if (pages) {
		walk->scanned += pages;
		walk->freed += pages;
		return true;
	}
	for (;;) {
		struct pa_isolate arg = { .sparse = walk->sparse };
		unsigned long one = 1;

		if (!walk->looks) {
			if (walk->sparse || !walk->passed)
				return false;
			walk->sparse = true;
			WRITE_ONCE(pa_only_sparse, pa_walk_key(walk));
			walk->looks = 2 * list_lru_count_one(&pa_chunks_lru, walk->nid,
							     walk->memcg);
			continue;
		}
		walk->looks--;
		list_lru_walk_one(&pa_chunks_lru, walk->nid, walk->memcg, pa_isolate, &arg, &one);
		walk->passed |= arg.passed;
		if (arg.c)
			return pa_reclaim_chunk(walk, arg.c, arg.seen);
	}
}

static PA_LRU_WALK(pa_tell)
{
	struct pa_arena *arena = container_of(item, struct pa_item, lru)->arena;

	pa_pressure(arena, PAGEARENA_PRESSURE_RECLAIM);
	pa_background_pressure(arena);
	pa_pool_pressure(arena);
	return LRU_SKIP;
}

/* Tells all arenas of a cgroup, those that have nothing to give as well. */
static void pa_tell_all(int nid, struct mem_cgroup *memcg)
{
	unsigned long nr = ULONG_MAX;

	list_lru_walk_one(&pa_arenas_lru, nid, memcg, pa_tell, NULL, &nr);
}

struct pa_sum {
	unsigned long pages;
	unsigned long items;
};

static PA_LRU_WALK(pa_sum)
{
	struct pa_sum *sum = cb_arg;

	sum->pages += pa_item_now(container_of(item, struct pa_item, lru));
	sum->items++;
	return LRU_SKIP;
}

static unsigned long pa_count_objects(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long total, nr = PA_COUNT_EXACT;
	struct pa_sum sum = {};

	/* Pairs with pa_reclaim_init(): on 6.1 a shrinker is called before its lists are there. */
	if (!smp_load_acquire(&pa_shrinker.ready))
		return 0;
	total = list_lru_shrink_count(&pa_chunks_lru, sc);
	if (total)
		list_lru_walk_one(&pa_chunks_lru, sc->nid, sc->memcg, pa_sum, &sum, &nr);
	if (sum.items && total > sum.items)
		sum.pages = mult_frac(sum.pages, total, sum.items);
	sum.pages += pa_pool_count(sc->nid, sc->memcg);
	/* There is nothing to scan, so this is the last that is heard of the pressure. */
	if (!sum.pages)
		pa_tell_all(sc->nid, sc->memcg);
	return sum.pages;
}

/* Is a cgroup, or one above it, over what it shall have? */
static bool pa_memcg_over(struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG
	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long used = page_counter_read(&memcg->memory);

		if (used > READ_ONCE(memcg->memory.max) || used > READ_ONCE(memcg->memory.high))
			return true;
	}
#endif
	return false;
}

static unsigned long pa_scan_objects(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct pa_walk walk;

	pa_tell_all(sc->nid, sc->memcg);
	/* A cgroup's reclaim does not see what we free, and would never have enough. */
	if (pa_reclaimed() >= PA_RECLAIM_ENOUGH && !pa_memcg_over(sc->memcg))
		return SHRINK_STOP;
	pa_walk_begin(&walk, sc->nid, sc->memcg);
	while (walk.scanned < sc->nr_to_scan && pa_reclaim_one(&walk))
		;
	sc->nr_scanned = max(walk.scanned, 1UL);
	pa_account_reclaimed(walk.freed);
	return walk.scanned ? walk.freed : SHRINK_STOP;
}

/**
 * pa_reclaim_high() - keep to memory.high for somebody else
 * @arena: the arena
 *
 * A cgroup that goes beyond memory.high is made to reclaim when its process returns to user
 * space.  Who touches an arena that was passed from another cgroup does not belong to the one
 * that pays, so it is made to reclaim here.
 *
 * Context: may sleep; no lock of the arena.
 */
void pa_reclaim_high(struct pa_arena *arena)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg;
	int nid;

	if (mem_cgroup_disabled())
		return;
	rcu_read_lock();
	memcg = READ_ONCE(arena->memcg);
	if (!memcg || page_counter_read(&memcg->memory) <= READ_ONCE(memcg->memory.high) ||
	    mem_cgroup_from_task(current) == memcg) {
		rcu_read_unlock();
		return;
	}
	rcu_read_unlock();
	memcg = pa_memcg_get(arena);
	for_each_online_node(nid) {
		struct pa_walk walk;

		pa_walk_begin(&walk, nid, memcg);
		while (walk.freed < PA_CHUNK_PAGES && pa_reclaim_one(&walk))
			cond_resched();
	}
	mem_cgroup_put(memcg);
#endif
}

/**
 * pa_reclaim_start() - let an arena take part
 * @arena: a new arena
 *
 * The cgroup of the calling process pays for it.
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int pa_reclaim_start(struct pa_arena *arena)
{
	struct mem_cgroup *old;
	int err;

	spin_lock_init(&arena->pressure_lock);
	init_waitqueue_head(&arena->pressure_wait);
	arena->memcg = get_mem_cgroup_from_mm(current->mm);
	old = set_active_memcg(arena->memcg);
	err = pa_memcg_prepare();
	set_active_memcg(old);
	if (!err) {
		arena->item = pa_item_new(arena, NULL, numa_node_id());
		if (!arena->item)
			err = -ENOMEM;
	}
	if (err) {
		mem_cgroup_put(arena->memcg);
		return err;
	}
	pa_list_lru_add(&pa_arenas_lru, &arena->item->lru);
	return 0;
}

/**
 * pa_reclaim_stop() - the arena goes away
 * @arena: an arena without users, whose chunks have no items any more
 *
 * Context: may sleep.
 */
void pa_reclaim_stop(struct pa_arena *arena)
{
	pa_list_lru_del(&pa_arenas_lru, &arena->item->lru);
	wait_var_event(&arena->reclaim_pins, !atomic_read_acquire(&arena->reclaim_pins));
	kmem_cache_free(pa_item_cache, arena->item);
	mem_cgroup_put(arena->memcg);
}

int __init pa_reclaim_init(void)
{
	int err;

	pa_item_cache = kmem_cache_create("pagearena_item", sizeof(struct pa_item), 0,
					  SLAB_ACCOUNT, NULL);
	if (!pa_item_cache)
		return -ENOMEM;
	/* One scan takes a chunk, and half of all pages are asked for at a time. */
	err = pa_shrinker_prepare(&pa_shrinker, "pagearena", pa_count_objects, pa_scan_objects);
	if (err)
		goto cache;
	err = list_lru_init_memcg(&pa_chunks_lru, pa_shrinker_of(&pa_shrinker));
	if (err)
		goto shrinker;
	err = list_lru_init_memcg(&pa_arenas_lru, pa_shrinker_of(&pa_shrinker));
	if (err)
		goto chunks;
	err = list_lru_init_memcg(&pa_pool_lru, pa_shrinker_of(&pa_shrinker));
	if (err)
		goto arenas;
	pa_shrinker_register(&pa_shrinker);
	/* Pairs with pa_count_objects(). */
	smp_store_release(&pa_shrinker.ready, true);
	return 0;

arenas:
	pa_shrinker_free(&pa_shrinker);
	list_lru_destroy(&pa_arenas_lru);
	list_lru_destroy(&pa_chunks_lru);
	goto cache;
chunks:
	pa_shrinker_free(&pa_shrinker);
	list_lru_destroy(&pa_chunks_lru);
	goto cache;
shrinker:
	pa_shrinker_free(&pa_shrinker);
cache:
	kmem_cache_destroy(pa_item_cache);
	return err;
}

void pa_reclaim_exit(void)
{
	pa_shrinker_free(&pa_shrinker);
	list_lru_destroy(&pa_pool_lru);
	list_lru_destroy(&pa_arenas_lru);
	list_lru_destroy(&pa_chunks_lru);
	kmem_cache_destroy(pa_item_cache);
}
