// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Background scavenging: the policy, and its pace.
 *
 * One worker serves all arenas, in small batches.  An arena is queued by the first FREE that
 * may leave it something to do, with the time at which that will be; the worker sleeps until
 * the first of these times, and forgets an arena when nothing is left.
 *
 * What goes: the oldest free memory, as long as it has been free for longer than the age
 * limit, and more is free than is to be retained (a share of what is in use, as Go's scavenger
 * keeps 10 percent).  What shares a huge folio with live memory goes when nothing else does:
 * where little is alive, and nothing was allocated or freed for longer than the age limit; or
 * after the kernel was short of memory.
 *
 * The pace is that of Go's scavenger: the worker measures how long a batch took, and sleeps
 * until that is its share of a CPU.  Of what it has released it remembers which pages and when
 * ("shadows", as the core calls what it remembers of pages that it has reclaimed).  If many of
 * them are wanted back within the age limit, the share is halved, again and again.
 */
#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "arena.h"
#include "background.h"
#include "backing.h"
#include "reclaim.h"
#include "trace.h"

static unsigned int scavenge_percent = 1;
module_param(scavenge_percent, uint, 0644);
MODULE_PARM_DESC(scavenge_percent,
		 "background scavenging: percent of one CPU for each new arena, 0 to 100 (default 1)");

static unsigned int retain_percent = 10;
module_param(retain_percent, uint, 0644);
MODULE_PARM_DESC(retain_percent,
		 "background scavenging: percent of what is in use to keep free, 0 to 1000 (default 10)");

static unsigned int scavenge_age_ms = 1000;
module_param(scavenge_age_ms, uint, 0644);
MODULE_PARM_DESC(scavenge_age_ms,
		 "background scavenging: ms that memory is free before it goes back (default 1000)");

/* One batch releases no more than this. */
#define PA_BATCH_BYTES		(4ULL << 20)

/* Not to be woken for every span: how early and how often. */
#define PA_PERIOD_MIN		(10 * NSEC_PER_MSEC)
#define PA_PERIOD_IDLE		(100 * NSEC_PER_MSEC)

/* Refaults within the age limit count, but no limit is taken for shorter than this. */
#define PA_REFAULT_MIN		NSEC_PER_SEC
#define PA_SLOW_MAX		6

static struct workqueue_struct *pa_wq;
static void pa_background_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(pa_work, pa_background_work);

/* Protects the list, and what of an arena belongs to it. */
static DEFINE_SPINLOCK(pa_queue_lock);
static LIST_HEAD(pa_queue);
/* When the worker will look again at the latest; U64_MAX: nothing is queued. */
static u64 pa_soonest = U64_MAX;
/* The arena that the worker is at work on. */
static struct pa_arena *pa_serving;

/* Queueing */

/* Under pa_queue_lock, so that no later time replaces an earlier one. */
static void pa_wake_at(u64 when)
{
	u64 now = ktime_get_ns();

	lockdep_assert_held(&pa_queue_lock);
	mod_delayed_work(pa_wq, &pa_work, when > now ? nsecs_to_jiffies(when - now) + 1 : 0);
}

/* Serves an arena no later than @when. */
static void pa_queue_at(struct pa_arena *arena, u64 when)
{
	struct pa_background *bg = &arena->background;
	unsigned long flags;

	spin_lock_irqsave(&pa_queue_lock, flags);
	if (!bg->queued || bg->next > when)
		bg->next = when;
	if (!bg->queued) {
		WRITE_ONCE(bg->queued, true);
		list_add_tail(&bg->list, &pa_queue);
	}
	/* A worker that is at it looks at all of the queue before it sleeps. */
	if (when < pa_soonest) {
		pa_soonest = when;
		pa_wake_at(when);
	}
	spin_unlock_irqrestore(&pa_queue_lock, flags);
}

/**
 * pa_background_first() - a span was freed, and the arena is not queued
 * @arena: the arena
 *
 * Context: any but interrupts; no heap lock.
 */
void pa_background_first(struct pa_arena *arena)
{
	if (!READ_ONCE(arena->policy.scavenge_percent))
		return;
	pa_queue_at(arena, ktime_get_ns() + max_t(u64, READ_ONCE(arena->policy.scavenge_age_ns),
						  PA_PERIOD_MIN));
}

/**
 * pa_background_kick() - the policy has changed
 * @arena: the arena
 *
 * Context: any but interrupts.
 */
void pa_background_kick(struct pa_arena *arena)
{
	if (READ_ONCE(arena->policy.scavenge_percent))
		pa_queue_at(arena, ktime_get_ns() + PA_PERIOD_MIN);
}

/**
 * pa_background_break() - memory is short, and huge chunks shall be broken
 * @arena: the arena
 *
 * Context: atomic, in reclaim.
 */
void pa_background_break(struct pa_arena *arena)
{
	if (!READ_ONCE(arena->policy.scavenge_percent))
		return;
	WRITE_ONCE(arena->background.want_break, true);
	if (!READ_ONCE(arena->background.queued))
		pa_queue_at(arena, ktime_get_ns() + PA_PERIOD_MIN);
}

/**
 * pa_background_pressure() - memory is short
 * @arena: the arena
 *
 * What the shrinker does not take, as too much of it would have to be copied, is the worker's.
 *
 * Context: atomic, in reclaim.
 */
void pa_background_pressure(struct pa_arena *arena)
{
	s64 stuck;

	/* A guess, without the heap lock: the worker looks for itself. */
	stuck = data_race(pa_nr_backed(arena) - arena->nr_inuse - arena->nr_reclaimable);
	if (stuck >= (s64)PA_CHUNK_PAGES / 2)
		pa_background_break(arena);
}

/* The worker */

/*
 * Pages that shall go and can without copying; @sparse is set to those that can by breaking
 * huge chunks.  What AUTO would back with free memory at the next touch is not worth that, and
 * where all shall be huge, or what was asked for by PROMOTE alone, nothing is broken unasked.
 * Heap lock.
 */
static u64 pa_excess_free(struct pa_arena *arena, u64 *sparse)
{
	u64 free = pa_nr_backed(arena) - arena->nr_inuse;
	u64 retain = div_u64(arena->nr_inuse * READ_ONCE(arena->policy.retain_percent), 100);

	u64 plain, keep = max_t(u64, retain, PA_AUTO_SLACK >> PAGE_SHIFT);

	lockdep_assert_held(&arena->lock);
	pa_settle(arena);
	plain = free > retain ? min(free - retain, arena->nr_reclaimable - arena->nr_sparse) : 0;
	*sparse = 0;
	if (arena->setup.huge == PAGEARENA_HUGE_AUTO && free - plain > keep)
		*sparse = min(free - plain - keep, arena->nr_sparse);
	return plain;
}

/* When was the last span freed that has something to release?  0: there is none. */
static u64 pa_youngest(struct pa_arena *arena)
{
	const struct span *s;

	lockdep_assert_held(&arena->lock);
	s = span_heap_youngest(&arena->heap);
	return s ? s->unusedsince : 0;
}

static u64 pa_oldest(struct pa_arena *arena)
{
	const struct span *s;

	lockdep_assert_held(&arena->lock);
	s = span_heap_oldest(&arena->heap);
	return s ? s->unusedsince : 0;
}

/**
 * pa_background_pause() - between two spans: let others have the heap lock
 * @arena: the arena
 *
 * Context: heap lock, which is dropped and taken again, and scavenge_lock.
 * Return: true: stop here.
 */
bool pa_background_pause(struct pa_arena *arena)
{
	struct pa_background *bg = &arena->background;

	lockdep_assert_held(&arena->scavenge_lock);
	WRITE_ONCE(bg->hold_max, max(bg->hold_max, bg->hold));
	if (bg->hold >= PA_HOLD_SPANS) {
		spin_unlock(&arena->lock);
		cond_resched();
		spin_lock(&arena->lock);
		bg->hold = 0;
	}
	bg->hold++;
	return arena->sc->done;
}

static u64 pa_refault_window(struct pa_arena *arena)
{
	return max_t(u64, READ_ONCE(arena->policy.scavenge_age_ns), PA_REFAULT_MIN);
}

/*
 * Halves the share when a quarter of what was released came back within the age limit, and
 * doubles it for each time of that length in which less did.
 */
static void pa_adapt(struct pa_arena *arena, u64 now)
{
	struct pa_background *bg = &arena->background;
	u64 times = div64_u64(now - bg->adapted, pa_refault_window(arena));
	u64 refault, released;

	if (!times)
		return;
	refault = atomic64_read(&arena->count.bytes_refault);
	released = atomic64_read(&arena->count.bytes_background) +
		   atomic64_read(&arena->count.bytes_reclaimed);
	if (refault > bg->refault && refault - bg->refault >= (released - bg->released) / 4)
		WRITE_ONCE(bg->slow, min(bg->slow + 1, (unsigned int)PA_SLOW_MAX));
	else
		WRITE_ONCE(bg->slow, bg->slow - (unsigned int)min_t(u64, bg->slow, times));
	bg->adapted = now;
	bg->refault = refault;
	bg->released = released;
}

static void pa_shadow_prune(struct pa_arena *arena);

/* Serves an arena once.  Returns when it wants to be served again, or 0. */
static u64 pa_serve_once(struct pa_arena *arena)
{
	unsigned int percent = READ_ONCE(arena->policy.scavenge_percent);
	struct pa_background *bg = &arena->background;
	u64 start = ktime_get_ns(), age, bytes, released = 0, spent, oldest, youngest, sleep;
	u64 sparse, idle = U64_MAX;
	bool want_break;

	if (!percent)
		return 0;
	age = READ_ONCE(arena->policy.scavenge_age_ns);
	spin_lock(&arena->lock);
	bytes = pa_excess_free(arena, &sparse) << PAGE_SHIFT;
	oldest = pa_oldest(arena);
	spin_unlock(&arena->lock);
	want_break = READ_ONCE(bg->want_break);
	if (!bytes && !sparse && !want_break)
		return 0;
	if (!want_break && start < oldest + age)
		return max(oldest + age, start + PA_PERIOD_MIN);
	if (!mutex_trylock(&arena->scavenge_lock))
		return start + PA_PERIOD_MIN;
	pa_adapt(arena, start);
	pa_shadow_prune(arena);
	bytes = min_t(u64, bytes, PA_BATCH_BYTES);
	if (bytes)
		released = pa_scavenge_batch(arena, bytes, age);
	if (want_break) {
		WRITE_ONCE(bg->want_break, false);
		released += pa_scavenge_sparse(arena, PA_BATCH_BYTES);
	} else if (!released && sparse) {
		released = pa_scavenge_idle(arena, min_t(u64, sparse << PAGE_SHIFT, PA_BATCH_BYTES),
					    age, &idle);
	}
	mutex_unlock(&arena->scavenge_lock);
	spent = ktime_get_ns() - start;
	WRITE_ONCE(bg->spent, bg->spent + spent);
	trace_pagearena_background(arena->id, released, spent, bg->slow);

	spin_lock(&arena->lock);
	youngest = pa_youngest(arena);
	spin_unlock(&arena->lock);
	/* What is old and could not go waits for the next FREE. */
	sleep = div_u64(spent * (100 - percent), percent) << bg->slow;
	if (!released && start >= youngest + age)
		return idle == U64_MAX ? 0 : max(idle, start + spent + max_t(u64, sleep,
									     PA_PERIOD_MIN));
	return start + spent + max_t(u64, sleep, released ? PA_PERIOD_MIN :
				     max_t(u64, age / 8, PA_PERIOD_IDLE));
}

/* Serves an arena, and queues it again if there is more to come. */
static void pa_serve(struct pa_arena *arena)
{
	struct pa_background *bg = &arena->background;
	u64 next = pa_serve_once(arena), sparse;
	bool again = false;

	spin_lock_irq(&pa_queue_lock);
	if (next) {
		bg->next = next;
		if (!list_empty(&bg->list))
			list_move_tail(&bg->list, &pa_queue);
	} else if (!list_empty(&bg->list)) {
		WRITE_ONCE(bg->queued, false);
		list_del_init(&bg->list);
		again = true;
	}
	spin_unlock_irq(&pa_queue_lock);
	if (again) {
		/* A FREE that came before this found it queued. */
		spin_lock(&arena->lock);
		again = (pa_excess_free(arena, &sparse) || sparse) && pa_youngest(arena) +
			READ_ONCE(arena->policy.scavenge_age_ns) > ktime_get_ns();
		spin_unlock(&arena->lock);
		if (again)
			pa_background_notice(arena);
	}
	spin_lock_irq(&pa_queue_lock);
	/* Pairs with pa_background_stop(). */
	smp_store_release(&pa_serving, NULL);
	spin_unlock_irq(&pa_queue_lock);
	/* wake_up_var() looks for who waits; pairs with the barrier of who begins to. */
	smp_mb();
	wake_up_var(&pa_serving);
}

static void pa_background_work(struct work_struct *work)
{
	struct pa_background *bg, *due;
	u64 now, soonest;

	do {
		now = ktime_get_ns();
		soonest = U64_MAX;
		due = NULL;
		spin_lock_irq(&pa_queue_lock);
		/* Who was served goes to the end, so where many are due the first one is. */
		list_for_each_entry(bg, &pa_queue, list) {
			if (bg->next <= now) {
				due = bg;
				break;
			}
			soonest = min(soonest, bg->next);
		}
		if (due) {
			pa_serving = container_of(due, struct pa_arena, background);
		} else {
			pa_soonest = soonest;
			if (soonest != U64_MAX)
				pa_wake_at(soonest);
		}
		spin_unlock_irq(&pa_queue_lock);
		if (due) {
			due->nr++;
			pa_serve(pa_serving);
		}
		cond_resched();
	} while (due);
}

/* Shadows */

/**
 * struct pa_shadow - pages of a chunk that the kernel has released by itself
 * @when: when the last of them went, in ns
 * @pages: which
 *
 * Protected by the lock of &pa_arena.shadows.
 */
struct pa_shadow {
	u64 when;
	DECLARE_BITMAP(pages, PA_CHUNK_PAGES);
};

/**
 * pa_shadow_add() - remember pages that are about to be released
 * @arena: the arena
 * @c: their chunk
 * @from: first page
 * @to: the page after the last one
 * @but: which of these stay; NULL: none
 *
 * Without memory nothing is remembered.
 *
 * Context: chunk lock; may be in reclaim.
 */
void pa_shadow_add(struct pa_arena *arena, struct pa_chunk *c, unsigned int from, unsigned int to,
		   const unsigned long *but)
{
	struct pa_shadow *shadow, *new = NULL;
	struct pa_charge charge;
	unsigned int i;

	lockdep_assert_held(&c->lock);
	pa_charge_begin(arena, &charge);
	if (!xa_load(&arena->shadows, c->index))
		new = kzalloc(sizeof(*new), GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC |
			      __GFP_ACCOUNT);
	xa_lock(&arena->shadows);
	shadow = xa_load(&arena->shadows, c->index);
	if (!shadow && new && !xa_err(__xa_store(&arena->shadows, c->index, new,
						 GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC |
						 __GFP_ACCOUNT))) {
		shadow = new;
		new = NULL;
	}
	if (shadow) {
		shadow->when = ktime_get_ns();
		for (i = from; i < to; i++)
			if (test_bit(i, c->present) && !(but && test_bit(i, but)))
				__set_bit(i, shadow->pages);
	}
	xa_unlock(&arena->shadows);
	pa_charge_end(&charge);
	kfree(new);
}

/**
 * pa_shadow_hit() - pages were backed: have they been released not long ago?
 * @arena: the arena
 * @c: their chunk
 * @first: the first page
 * @n: number of pages
 *
 * Context: chunk lock.
 */
void pa_shadow_hit(struct pa_arena *arena, struct pa_chunk *c, unsigned int first, unsigned int n)
{
	struct pa_shadow *shadow;
	unsigned int hits = 0, i;

	lockdep_assert_held(&c->lock);
	if (xa_empty(&arena->shadows))
		return;
	xa_lock(&arena->shadows);
	shadow = xa_load(&arena->shadows, c->index);
	if (shadow) {
		for (i = first; i < first + n; i++)
			hits += __test_and_clear_bit(i, shadow->pages);
		if (ktime_get_ns() - shadow->when > pa_refault_window(arena)) {
			hits = 0;
			bitmap_zero(shadow->pages, PA_CHUNK_PAGES);
		}
		if (bitmap_empty(shadow->pages, PA_CHUNK_PAGES)) {
			__xa_erase(&arena->shadows, c->index);
			kfree(shadow);
		}
	}
	xa_unlock(&arena->shadows);
	if (hits)
		atomic64_add((u64)hits << PAGE_SHIFT, &arena->count.bytes_refault);
}

/* Forgets what is too long ago. */
static void pa_shadow_prune(struct pa_arena *arena)
{
	u64 now = ktime_get_ns(), window = pa_refault_window(arena);
	struct pa_shadow *shadow;
	unsigned long index;

	if (xa_empty(&arena->shadows))
		return;
	xa_lock(&arena->shadows);
	xa_for_each(&arena->shadows, index, shadow) {
		if (now - shadow->when > window) {
			__xa_erase(&arena->shadows, index);
			kfree(shadow);
		}
	}
	xa_unlock(&arena->shadows);
}

/**
 * pa_shadow_destroy() - forget everything
 * @arena: an arena without users
 *
 * Context: may sleep.
 */
void pa_shadow_destroy(struct pa_arena *arena)
{
	struct pa_shadow *shadow;
	unsigned long index;

	xa_for_each(&arena->shadows, index, shadow)
		kfree(shadow);
	xa_destroy(&arena->shadows);
}

/* Life */

/**
 * pa_background_start() - prepare an arena for background scavenging
 * @arena: a new arena
 *
 * Context: any.
 */
void pa_background_start(struct pa_arena *arena)
{
	struct pagearena_policy *policy = &arena->policy;

	INIT_LIST_HEAD(&arena->background.list);
	xa_init_flags(&arena->shadows, XA_FLAGS_ACCOUNT);
	policy->scavenge_percent = min(READ_ONCE(scavenge_percent), 100U);
	policy->retain_percent = min(READ_ONCE(retain_percent), 1000U);
	policy->scavenge_age_ns = (u64)READ_ONCE(scavenge_age_ms) * NSEC_PER_MSEC;
}

/**
 * pa_background_stop() - end the background scavenging of an arena
 * @arena: an arena without users; the shrinker may still know it
 *
 * Context: may sleep.
 */
void pa_background_stop(struct pa_arena *arena)
{
	struct pa_background *bg = &arena->background;

	spin_lock_irq(&pa_queue_lock);
	list_del_init(&bg->list);
	/* Nobody queues it again. */
	WRITE_ONCE(bg->queued, true);
	spin_unlock_irq(&pa_queue_lock);
	/* Pairs with pa_serve(). */
	wait_var_event(&pa_serving, smp_load_acquire(&pa_serving) != arena);
}

int __init pa_background_init(void)
{
	pa_wq = alloc_workqueue("pagearena_scavenge", WQ_UNBOUND | WQ_FREEZABLE, 1);
	return pa_wq ? 0 : -ENOMEM;
}

void pa_background_exit(void)
{
	cancel_delayed_work_sync(&pa_work);
	destroy_workqueue(pa_wq);
}
