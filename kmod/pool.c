// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Zeroed in advance: a pool of huge folios for each arena.
 *
 * Most of what the first touch of a huge chunk costs is clearing it.  A pool has this done
 * before, by one thread of lowest priority for all arenas, which takes no more than its share
 * of a CPU.  A fault that wants a huge folio takes one from the pool, under the heap lock,
 * which it takes anyway.
 *
 * A pool belongs to an arena, as the memory is charged to the arena's creator, and what is
 * charged to one cgroup cannot be handed to another.  It is no part of what is backed: nothing
 * is behind it.  But it counts against the arena's limit, so that an arena never holds more
 * than that; where both want the same room the pool gives way.
 *
 * The memory is worth less than any other, as nobody has written to it:
 *
 *  - It is filled only while there is demand: after a fault wanted a huge folio, or POLICY
 *    has set its size.  When nothing was taken for ten times the age limit it goes back.
 *  - Folios are taken where they lie ready, as for a fault.  Nothing is reclaimed or compacted
 *    for them, the cgroup that pays is not brought to its limit, and where there are none the
 *    thread comes back later and later.
 *  - The shrinker takes it before anything else: it need not even zap.  The pool is not
 *    filled again for a while then.
 *
 * All of a pool is under the heap lock.  A folio is in two lists: in that of its arena, and in
 * a list_lru, by node and by the cgroup that pays, where the shrinker finds it.  Who takes it
 * off the list_lru has it; what is left to do is to take it out of the arena.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page_counter.h>
#include <linux/sched.h>
#include <linux/sched/prio.h>
#include <linux/slab.h>
#include <linux/vmstat.h>
#include <linux/wait_bit.h>

#include "arena.h"
#include "backing.h"
#include "compat.h"
#include "pool.h"
#include "promote.h"
#include "reclaim.h"
#include "trace.h"

static unsigned int pool_kib;
module_param(pool_kib, uint, 0644);
MODULE_PARM_DESC(pool_kib,
		 "KiB of huge folios that are zeroed in advance for each new arena, 0: none (default)");

static unsigned int pool_percent = 10;
module_param(pool_percent, uint, 0644);
MODULE_PARM_DESC(pool_percent,
		 "zeroing in advance: percent of one CPU for each arena, 0 to 100 (default 10)");

/* A pool that nobody takes from goes back after so many times the age limit, and so long. */
#define PA_POOL_AGES		10
#define PA_POOL_IDLE_MIN	NSEC_PER_SEC
#define PA_POOL_AGE_MAX		(3600 * NSEC_PER_SEC)

/* Folios that it clears before it sleeps; one takes less than a jiffy. */
#define PA_POOL_BATCH		4

/* How long the thread waits before it looks what was taken. */
#define PA_POOL_DELAY		2UL

/* For how long it is not filled when memory was short, the first time and at most. */
#define PA_POOL_HOLD_MIN	HZ
#define PA_POOL_HOLD_MAX	(60 * HZ)

/* Pages that are left to the cgroup that pays, below any of its limits. */
#define PA_POOL_MARGIN		(4 * PA_CHUNK_PAGES)

static struct kmem_cache *pa_ready_cache;
static struct kthread_worker *pa_pool_thread;
struct list_lru pa_pool_lru;

/**
 * pa_pool_bytes() - bytes that are zeroed in advance
 * @arena: the arena
 *
 * Context: heap lock.
 */
u64 pa_pool_bytes(const struct pa_arena *arena)
{
	return arena->pool.nr << PA_CHUNK_SHIFT;
}

/* Most folios that the pool may have.  Never more than all of the arena could use. */
static u64 pa_pool_goal(struct pa_arena *arena)
{
	return min_t(u64, READ_ONCE(arena->policy.pool_bytes),
		     round_up(arena->setup.arena_bytes, PA_CHUNK_SIZE)) >> PA_CHUNK_SHIFT;
}

/* Has the arena's limit room for one more? */
static bool pa_pool_room(struct pa_arena *arena)
{
	u64 more = pa_pool_bytes(arena) + PA_CHUNK_SIZE;

	lockdep_assert_held(&arena->lock);
	if (!arena->limit)
		return true;
	if (arena->limit_soft)
		return (pa_nr_backed(arena) << PAGE_SHIFT) + more <= arena->limit;
	return pa_allocated_bytes(arena) +
	       ((pa_nr_backed(arena) - arena->nr_inuse) << PAGE_SHIFT) + more <= arena->limit;
}

/* Have the cgroup that pays, and those above it? */
static bool pa_pool_affordable(struct pa_arena *arena)
{
	bool room = true;

#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg;

	if (mem_cgroup_disabled())
		return true;
	rcu_read_lock();
	for (memcg = READ_ONCE(arena->memcg); room && memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long bound = min(READ_ONCE(memcg->memory.max),
					  READ_ONCE(memcg->memory.high));

		room = page_counter_read(&memcg->memory) + PA_CHUNK_PAGES + PA_POOL_MARGIN <= bound;
	}
	rcu_read_unlock();
#endif
	return room;
}

/* The figures of a folio that comes or goes. */
static void pa_pool_account(struct pa_arena *arena, struct pa_ready *ready, int sign)
{
	lockdep_assert_held(&arena->lock);
	WRITE_ONCE(arena->pool.nr, arena->pool.nr + sign);
	mod_node_page_state(NODE_DATA(folio_nid(ready->folio)), NR_KERNEL_MISC_RECLAIMABLE,
			    sign * (long)PA_CHUNK_PAGES);
}

static void pa_ready_free(struct pa_ready *ready)
{
	folio_put(ready->folio);
	kmem_cache_free(pa_ready_cache, ready);
}

/* The next time that the thread may look at the pool, in jiffies from now. */
static unsigned long pa_pool_delay(struct pa_pool *pool)
{
	unsigned long now = jiffies, hold = READ_ONCE(pool->hold_until);
	unsigned long until = READ_ONCE(pool->pace_until);

	if (time_after(hold, until))
		until = hold;
	return time_after(until, now) ? until - now : 0;
}

/* There was demand.  Returns whether the thread must be told. */
static bool pa_pool_demand(struct pa_arena *arena)
{
	struct pa_pool *pool = &arena->pool;

	lockdep_assert_held(&arena->lock);
	pool->wanted = jiffies;
	pool->nid = numa_node_id();
	if (pool->filling || pool->nr >= pa_pool_goal(arena))
		return false;
	WRITE_ONCE(pool->filling, true);
	return true;
}

/* Not at once: who wanted one folio may want more, and waking is what it would wait for. */
static void pa_pool_wake(struct pa_arena *arena)
{
	kthread_mod_delayed_work(pa_pool_thread, &arena->pool.work,
				 max(pa_pool_delay(&arena->pool), PA_POOL_DELAY));
}

/* Taking */

static struct pa_ready *pa_pool_pop(struct pa_arena *arena)
{
	struct pa_ready *ready;

	lockdep_assert_held(&arena->lock);
	list_for_each_entry(ready, &arena->pool.ready, list) {
		/* Or the shrinker has it. */
		if (!pa_list_lru_del(&pa_pool_lru, &ready->lru))
			continue;
		list_del(&ready->list);
		pa_pool_account(arena, ready, -1);
		return ready;
	}
	return NULL;
}

/**
 * pa_pool_take() - take a huge folio that is zero
 * @arena: the arena
 *
 * Context: heap lock.
 * Return: the folio, for pa_pool_used() or pa_pool_return(); NULL if there is none.
 */
struct pa_ready *pa_pool_take(struct pa_arena *arena)
{
	struct pa_ready *ready = pa_pool_pop(arena);

	if (ready) {
		arena->pool.nr_hit++;
		ready->wake = pa_pool_demand(arena);
	}
	return ready;
}

/**
 * pa_pool_return() - what was taken is not needed
 * @arena: the arena
 * @ready: from pa_pool_take(), under the same hold of the heap lock
 *
 * Context: heap lock.
 */
void pa_pool_return(struct pa_arena *arena, struct pa_ready *ready)
{
	arena->pool.nr_hit--;
	if (ready->wake)
		WRITE_ONCE(arena->pool.filling, false);
	pa_pool_account(arena, ready, 1);
	list_add(&ready->list, &arena->pool.ready);
	pa_list_lru_add(&pa_pool_lru, &ready->lru);
}

/**
 * pa_pool_used() - what was taken is the chunk's now
 * @arena: the arena
 * @ready: from pa_pool_take()
 *
 * Context: may sleep.
 */
void pa_pool_used(struct pa_arena *arena, struct pa_ready *ready)
{
	WRITE_ONCE(arena->pool.backoff, 0);
	if (ready->wake)
		pa_pool_wake(arena);
	kmem_cache_free(pa_ready_cache, ready);
}

/**
 * pa_pool_missed() - a fault needs a huge folio, and the pool has none
 * @arena: the arena
 *
 * Context: may sleep; takes the heap lock.
 */
void pa_pool_missed(struct pa_arena *arena)
{
	bool wake;

	if (likely(!READ_ONCE(arena->policy.pool_bytes)))
		return;
	spin_lock(&arena->lock);
	arena->pool.nr_miss++;
	wake = pa_pool_demand(arena);
	spin_unlock(&arena->lock);
	if (wake)
		pa_pool_wake(arena);
}

/* Giving back */

/*
 * Takes folios out of the pool until it has no more than @keep, for pa_pool_put().  Returns
 * their number.
 */
static u64 pa_pool_cut(struct pa_arena *arena, u64 keep, struct list_head *list)
{
	struct pa_ready *ready;
	u64 n = 0;

	lockdep_assert_held(&arena->lock);
	while (arena->pool.nr > keep) {
		ready = pa_pool_pop(arena);
		/* The shrinker has the rest. */
		if (!ready)
			break;
		list_add(&ready->list, list);
		n++;
	}
	arena->pool.bytes_unused += n << PA_CHUNK_SHIFT;
	return n;
}

/* @rest: the pool has more than it shall have, as the shrinker is about to take that. */
static void pa_pool_put(struct pa_arena *arena, struct list_head *list, bool rest)
{
	struct pa_ready *ready, *next;

	list_for_each_entry_safe(ready, next, list, list) {
		pa_ready_free(ready);
		cond_resched();
	}
	if (rest)
		wait_var_event(&arena->reclaim_pins,
			       !atomic_read_acquire(&arena->reclaim_pins));
}

/**
 * pa_pool_give() - give memory of the pool back
 * @arena: the arena
 * @bytes: at least so much, as far as there is any
 *
 * The room is needed, so the pool is not filled again before there is new demand.
 *
 * Context: may sleep; takes the heap lock.
 * Return: bytes that went back.
 */
u64 pa_pool_give(struct pa_arena *arena, u64 bytes)
{
	struct pa_pool *pool = &arena->pool;
	u64 n = (bytes >> PA_CHUNK_SHIFT) + !!(bytes & (PA_CHUNK_SIZE - 1)), keep;
	LIST_HEAD(list);
	bool rest;

	if (likely(!READ_ONCE(pool->nr) && !READ_ONCE(pool->filling)))
		return 0;
	spin_lock(&arena->lock);
	WRITE_ONCE(pool->filling, false);
	keep = pool->nr - min(pool->nr, n);
	n = pa_pool_cut(arena, keep, &list);
	rest = pool->nr > keep;
	spin_unlock(&arena->lock);
	pa_pool_put(arena, &list, rest);
	return n << PA_CHUNK_SHIFT;
}

/**
 * pa_pool_resize() - the policy has changed
 * @arena: an arena that is set up
 * @fill: its size was set, which counts as demand
 *
 * Context: may sleep; takes the heap lock.
 */
void pa_pool_resize(struct pa_arena *arena, bool fill)
{
	struct pa_pool *pool = &arena->pool;
	u64 keep = pa_pool_goal(arena);
	LIST_HEAD(list);
	bool wake, rest;

	spin_lock(&arena->lock);
	pa_pool_cut(arena, keep, &list);
	rest = pool->nr > keep;
	if (fill)
		pa_pool_demand(arena);
	/* Its age limit may have changed, too. */
	wake = pool->filling || pool->nr;
	spin_unlock(&arena->lock);
	pa_pool_put(arena, &list, rest);
	if (wake)
		pa_pool_wake(arena);
}

/**
 * pa_pool_pressure() - memory is short: do not fill the pool for a while
 * @arena: the arena
 *
 * Context: any; may be in reclaim.
 */
void pa_pool_pressure(struct pa_arena *arena)
{
	struct pa_pool *pool = &arena->pool;
	unsigned long backoff = READ_ONCE(pool->backoff);

	if (!READ_ONCE(arena->policy.pool_bytes))
		return;
	/* One time of pressure makes many calls. */
	if (time_after_eq(jiffies, READ_ONCE(pool->hold_until)))
		backoff *= 2;
	backoff = clamp_t(unsigned long, backoff, PA_POOL_HOLD_MIN, PA_POOL_HOLD_MAX);
	WRITE_ONCE(pool->backoff, backoff);
	WRITE_ONCE(pool->hold_until, jiffies + backoff);
}

/* The shrinker */

/**
 * pa_pool_count() - pages in the pools of a cgroup
 * @nid: node
 * @memcg: the cgroup
 *
 * Context: any; may be in reclaim.
 */
unsigned long pa_pool_count(int nid, struct mem_cgroup *memcg)
{
	return list_lru_count_one(&pa_pool_lru, nid, memcg) << PA_CHUNK_ORDER;
}

/* Takes the first one off the list.  Its arena is pinned. */
static PA_LRU_WALK(pa_pool_isolate)
{
	struct pa_ready *ready = container_of(item, struct pa_ready, lru);

	atomic_inc(&ready->arena->reclaim_pins);
	list_lru_isolate(list, item);
	*(struct pa_ready **)cb_arg = ready;
	return LRU_REMOVED;
}

/**
 * pa_pool_reclaim() - take one folio of a cgroup's pools back
 * @nid: node
 * @memcg: the cgroup
 *
 * Context: any; may be in reclaim.  Takes the heap lock.
 * Return: number of pages that went back; 0: there are none.
 */
unsigned long pa_pool_reclaim(int nid, struct mem_cgroup *memcg)
{
	struct pa_ready *ready = NULL;
	struct pa_arena *arena;
	unsigned long one = 1;

	if (!list_lru_count_one(&pa_pool_lru, nid, memcg))
		return 0;
	list_lru_walk_one(&pa_pool_lru, nid, memcg, pa_pool_isolate, &ready, &one);
	if (!ready)
		return 0;
	arena = ready->arena;
	pa_pool_pressure(arena);
	spin_lock(&arena->lock);
	list_del(&ready->list);
	pa_pool_account(arena, ready, -1);
	arena->pool.bytes_unused += PA_CHUNK_SIZE;
	spin_unlock(&arena->lock);
	trace_pagearena_pool(arena->id, -(s64)PA_CHUNK_SIZE, 0);
	pa_ready_free(ready);
	if (atomic_dec_and_test(&arena->reclaim_pins))
		wake_up_var(&arena->reclaim_pins);
	return PA_CHUNK_PAGES;
}

/* Filling */

static struct pa_ready *pa_pool_make(struct pa_arena *arena, int nid)
{
	const gfp_t gfp = __GFP_ACCOUNT | __GFP_NOWARN | __GFP_NOMEMALLOC;
	struct pa_ready *ready = NULL;
	struct pa_charge charge;
	struct folio *folio;

	pa_charge_begin(arena, &charge);
	folio = __folio_alloc_node(PA_GFP_HUGE | __GFP_ZERO, PA_CHUNK_ORDER, nid);
	if (folio)
		ready = kmem_cache_alloc_node(pa_ready_cache, gfp, folio_nid(folio));
	pa_charge_end(&charge);
	if (!ready) {
		if (folio)
			folio_put(folio);
		return NULL;
	}
	INIT_LIST_HEAD(&ready->lru);
	ready->arena = arena;
	ready->folio = folio;
	return ready;
}

/* Shall there be one more, and may it? */
static bool pa_pool_wants(struct pa_arena *arena)
{
	lockdep_assert_held(&arena->lock);
	return arena->pool.filling && arena->pool.nr < pa_pool_goal(arena) && pa_pool_room(arena) &&
	       !time_before(jiffies, READ_ONCE(arena->pool.hold_until));
}

/* Adds one folio to the pool, if it shall have one more.  Returns whether that was not the last. */
static bool pa_pool_fill(struct pa_arena *arena)
{
	struct pa_pool *pool = &arena->pool;
	struct pa_ready *ready = NULL;
	u64 start = ktime_get_ns(), spent;
	bool wants, more;
	int nid;

	spin_lock(&arena->lock);
	wants = pa_pool_wants(arena) && pa_huge_enabled(arena);
	WRITE_ONCE(pool->filling, wants);
	nid = pool->nid;
	spin_unlock(&arena->lock);
	if (!wants)
		return false;
	if (pa_pool_affordable(arena))
		ready = pa_pool_make(arena, nid);
	if (!ready)
		pa_pool_pressure(arena);
	spent = ktime_get_ns() - start;

	spin_lock(&arena->lock);
	pool->spent += spent;
	if (ready) {
		atomic64_inc(&arena->count.huge_alloc);
		pool->bytes_zeroed += PA_CHUNK_SIZE;
		wants = pa_pool_wants(arena);
		if (wants) {
			list_add_tail(&ready->list, &pool->ready);
			pa_pool_account(arena, ready, 1);
			pa_list_lru_add(&pa_pool_lru, &ready->lru);
			ready = NULL;
		} else {
			pool->bytes_unused += PA_CHUNK_SIZE;
		}
		WRITE_ONCE(pool->filling, wants && pa_pool_wants(arena));
	} else {
		wants = false;
		WRITE_ONCE(pool->filling, false);
	}
	more = pool->filling;
	spin_unlock(&arena->lock);
	if (ready)
		pa_ready_free(ready);
	trace_pagearena_pool(arena->id, wants ? PA_CHUNK_SIZE : 0, spent);
	return more;
}

/* When nobody takes from the pool, it goes back; not if the background shall release nothing. */
static unsigned long pa_pool_idle(struct pa_arena *arena)
{
	u64 age = min_t(u64, READ_ONCE(arena->policy.scavenge_age_ns), PA_POOL_AGE_MAX);

	return nsecs_to_jiffies(max_t(u64, PA_POOL_AGES * age, PA_POOL_IDLE_MIN)) + 1;
}

/*
 * Adds some folios, and sleeps so long that the share of one CPU holds; or waits for the time
 * when the pool is not worth to be kept.
 */
static void pa_pool_work(struct kthread_work *work)
{
	struct pa_arena *arena = container_of(work, struct pa_arena, pool.work.work);
	unsigned int percent = min(READ_ONCE(pool_percent), 100U);
	struct pa_pool *pool = &arena->pool;
	u64 start = ktime_get_ns(), spent;
	bool filling, full;
	unsigned int i;
	long left;

	pa_thp_refresh(false);
	for (i = 0; percent && i < PA_POOL_BATCH && pa_pool_fill(arena); i++)
		cond_resched();
	spent = ktime_get_ns() - start;

	spin_lock(&arena->lock);
	if (!percent)
		WRITE_ONCE(pool->filling, false);
	else if (percent < 100)
		WRITE_ONCE(pool->pace_until, jiffies + 1 +
			   nsecs_to_jiffies(div_u64(spent * (100 - percent), percent)));
	filling = pool->filling;
	full = pool->nr && READ_ONCE(arena->policy.scavenge_percent);
	left = pool->wanted + pa_pool_idle(arena) - jiffies;
	spin_unlock(&arena->lock);
	if (filling)
		kthread_queue_delayed_work(pa_pool_thread, &pool->work, pa_pool_delay(pool));
	else if (full && left > 0)
		kthread_queue_delayed_work(pa_pool_thread, &pool->work, left);
	else if (full)
		pa_pool_give(arena, U64_MAX);
}

/* Life */

/**
 * pa_pool_recount() - verify the figures of the pool
 * @arena: the arena
 *
 * Context: heap lock.
 * Return: NULL, or what is wrong.
 */
const char *pa_pool_recount(struct pa_arena *arena)
{
	struct pa_pool *pool = &arena->pool;
	struct pa_ready *ready;
	u64 nr = 0;

	lockdep_assert_held(&arena->lock);
	list_for_each_entry(ready, &pool->ready, list) {
		if (ready->arena != arena || folio_ref_count(ready->folio) != 1 ||
		    folio_nr_pages(ready->folio) != PA_CHUNK_PAGES)
			return "a folio of the pool";
		nr++;
	}
	if (nr != pool->nr)
		return "number of folios in the pool";
	nr += pool->nr_hit;
	if (pool->bytes_zeroed != (nr << PA_CHUNK_SHIFT) + pool->bytes_unused)
		return "bytes zeroed in advance";
	return NULL;
}

/**
 * pa_pool_start() - give an arena an empty pool
 * @arena: a new arena
 *
 * Context: any.
 */
void pa_pool_start(struct pa_arena *arena)
{
	struct pa_pool *pool = &arena->pool;

	INIT_LIST_HEAD(&pool->ready);
	kthread_init_delayed_work(&pool->work, pa_pool_work);
	pool->wanted = jiffies;
	pool->pace_until = jiffies;
	pool->hold_until = jiffies;
	arena->policy.pool_bytes = (u64)READ_ONCE(pool_kib) << 10;
}

/**
 * pa_pool_stop() - give an arena's pool back
 * @arena: an arena without users
 *
 * What the shrinker has is waited for by pa_reclaim_stop().
 *
 * Context: may sleep.
 */
void pa_pool_stop(struct pa_arena *arena)
{
	kthread_cancel_delayed_work_sync(&arena->pool.work);
	pa_pool_give(arena, U64_MAX);
}

int __init pa_pool_init(void)
{
	pa_ready_cache = kmem_cache_create("pagearena_ready", sizeof(struct pa_ready), 0,
					   SLAB_ACCOUNT, NULL);
	if (!pa_ready_cache)
		return -ENOMEM;
	pa_pool_thread = pa_kthread_run_worker(KTW_FREEZABLE, "pagearena_pool");
	if (IS_ERR(pa_pool_thread)) {
		kmem_cache_destroy(pa_ready_cache);
		return PTR_ERR(pa_pool_thread);
	}
	set_user_nice(pa_pool_thread->task, MAX_NICE);
	return 0;
}

void pa_pool_exit(void)
{
	kthread_destroy_worker(pa_pool_thread);
	kmem_cache_destroy(pa_ready_cache);
}
