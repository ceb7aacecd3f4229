// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Promotion and demotion of chunks, by call and in the background.
 *
 * Both move contents, so both do it the same way, under the chunk's lock: let faults that
 * are under way come to their end, zap, see that nobody else holds a page, only then ask
 * the heap what is alive, copy that, and change the chunk's state under the heap lock.
 */
#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "arena.h"
#include "background.h"
#include "backing.h"
#include "pool.h"
#include "promote.h"
#include "race.h"
#include "reclaim.h"
#include "trace.h"

static unsigned int promote_percent = 1;
module_param(promote_percent, uint, 0644);
MODULE_PARM_DESC(promote_percent,
		 "background promotion: percent of one CPU for each new arena, 0 to 100 (default 1)");

static unsigned int promote_density = 75;
module_param(promote_density, uint, 0644);
MODULE_PARM_DESC(promote_density,
		 "background promotion: percent of a chunk that shall be live, 1 to 100 (default 75)");

/* Chunks that the background promotion shall look at. */
#define PA_MARK_DENSE	XA_MARK_0

/* How long it waits before it looks, and at most after it found no huge folio. */
#define PA_PROMOTE_DELAY	(HZ / 20 + 1)
#define PA_PROMOTE_BACKOFF_MAX	(60 * HZ)

/* Pages that are copied or cleared without a look whether somebody else shall run. */
#define PA_COPY_BATCH	16

static struct workqueue_struct *pa_promote_wq;

/* The machine's policy */

static bool pa_thp_never;
static unsigned long pa_thp_next = INITIAL_JIFFIES;

/*
 * The setting is no symbol that a module could use; it is read where everybody reads it.  A
 * worker does that, with the kernel's credentials and root: the caller's may see no sysfs.
 */
static void pa_thp_read(struct work_struct *work)
{
	struct file *file = pa_open_by_thread("/sys/kernel/mm/transparent_hugepage/enabled");
	char text[64] = "";
	loff_t pos = 0;

	if (IS_ERR(file))
		return;
	if (kernel_read(file, text, sizeof(text) - 1, &pos) > 0)
		WRITE_ONCE(pa_thp_never, strstr(text, "[never]"));
	filp_close(file, NULL);
}

static DECLARE_WORK(pa_thp_work, pa_thp_read);

/**
 * pa_thp_refresh() - look whether the machine wants no huge pages
 * @wait: until that is known; otherwise it will be soon
 *
 * It looks once a second at most.
 *
 * Context: any; may sleep if @wait, no locks but setup_lock.
 */
void pa_thp_refresh(bool wait)
{
	if (time_after_eq(jiffies, READ_ONCE(pa_thp_next))) {
		WRITE_ONCE(pa_thp_next, jiffies + HZ);
		schedule_work(&pa_thp_work);
	}
	if (wait)
		flush_work(&pa_thp_work);
}

/**
 * pa_huge_enabled() - may chunks of an arena become huge without being asked to?
 * @arena: the arena
 *
 * Context: any.
 */
bool pa_huge_enabled(struct pa_arena *arena)
{
	/* A huge folio is mapped whole; in a debug arena freed memory shall be out of reach. */
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || arena->setup.flags & PAGEARENA_SETUP_DEBUG)
		return false;
	if (arena->setup.huge == PAGEARENA_HUGE_AUTO)
		return !READ_ONCE(pa_thp_never);
	return arena->setup.huge == PAGEARENA_HUGE_ALWAYS;
}

/* Promotion */

/* Is a chunk worth promoting, and may it be?  PAGEARENA_PROMOTE_* */
static int pa_promote_check(struct pa_arena *arena, struct pa_chunk *c, unsigned long *live,
			    unsigned int min_pages, bool *whole)
{
	unsigned int n;
	bool scavenged;

	lockdep_assert_held(&arena->lock);
	*whole = pa_chunk_live(arena, c->index, live, &scavenged);
	n = pa_inuse_weight(c, live);
	if (!n && min_pages)
		return PAGEARENA_PROMOTE_EMPTY;
	if (!*whole && !scavenged)
		return PAGEARENA_PROMOTE_BUSY;
	if (n < min_pages || arena->setup.flags & PAGEARENA_SETUP_DEBUG)
		return PAGEARENA_PROMOTE_SPARSE;
	if (!pa_limit_allows(arena, c, live))
		return PAGEARENA_PROMOTE_LIMIT;
	return PAGEARENA_PROMOTE_DONE;
}

/* Does nobody but the arena hold a page of a small chunk?  It has been zapped. */
static bool pa_small_alone(const struct pa_chunk *c)
{
	unsigned int i;

	for (i = 0; i < PA_CHUNK_PAGES; i++)
		if (c->small[i] && folio_ref_count(c->small[i]) != 1)
			return false;
	return true;
}

static int pa_promote_small(struct pa_arena *arena, struct pa_chunk *c,
			    const struct pa_promote_opts *opts, unsigned int *copied)
{
	DECLARE_BITMAP(live, PA_CHUNK_PAGES);
	struct folio *huge, **small;
	unsigned int i;
	bool whole;
	int ret;

	spin_lock(&arena->lock);
	ret = pa_promote_check(arena, c, live, opts->min_pages, &whole);
	spin_unlock(&arena->lock);
	/* What is zeroed in advance gives way. */
	if (ret == PAGEARENA_PROMOTE_LIMIT && pa_pool_give(arena, PA_CHUNK_SIZE)) {
		spin_lock(&arena->lock);
		ret = pa_promote_check(arena, c, live, opts->min_pages, &whole);
		spin_unlock(&arena->lock);
	}
	if (ret)
		return ret;
	if (opts->deadline && ktime_get_ns() > opts->deadline)
		return PAGEARENA_PROMOTE_DEADLINE;
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		return PAGEARENA_PROMOTE_NOMEM;
	huge = pa_folio_alloc(arena, opts->compact ? PA_GFP_COMPACT : PA_GFP_HUGE, PA_CHUNK_ORDER,
			      c->index << PA_CHUNK_ORDER);
	if (!huge) {
		atomic64_inc(&arena->count.huge_failed);
		return PAGEARENA_PROMOTE_NOMEM;
	}
	atomic64_inc(&arena->count.huge_alloc);
	/* Without spares the part that is scavenged cannot change, and the answer is NOMEM. */
	if (!whole)
		pa_fill_spares(arena);

	for (i = 0; i < PA_CHUNK_PAGES; i++)
		if (c->small[i])
			pa_folio_settle(c->small[i]);
	pa_race_window(PA_RACE_PROMOTE_ZAP);
	pa_zap(arena, (u64)c->index << PA_CHUNK_SHIFT, PA_CHUNK_SIZE);
	pa_race_window(PA_RACE_PROMOTE_COPY);
	if (!pa_small_alone(c)) {
		folio_put(huge);
		return PAGEARENA_PROMOTE_PINNED;
	}

	spin_lock(&arena->lock);
	pa_chunk_live(arena, c->index, live, NULL);
	spin_unlock(&arena->lock);
	for (i = 0; i < PA_CHUNK_PAGES; i++) {
		if (test_bit(i, live) && c->small[i]) {
			copy_highpage(folio_page(huge, i), pa_chunk_page(c, i));
			(*copied)++;
		} else {
			clear_highpage(folio_page(huge, i));
		}
		if (i % PA_COPY_BATCH == 0)
			cond_resched();
	}

	pa_race_window(PA_RACE_PROMOTE_SET);
	small = c->small;
	spin_lock(&arena->lock);
	/* Spans may have come and gone; one on its way out must not find a huge folio. */
	ret = pa_promote_check(arena, c, live, min(opts->min_pages, 1U), &whole);
	if (!ret && !whole && !pa_chunk_unscavenge(arena, c->index))
		ret = PAGEARENA_PROMOTE_NOMEM;
	if (!ret) {
		pa_chunk_account(arena, c, live, -1);
		c->huge = huge;
		WRITE_ONCE(c->state, PA_CHUNK_HUGE);
		bitmap_fill(c->present, PA_CHUNK_PAGES);
		c->nr_present = PA_CHUNK_PAGES;
		pa_chunk_account(arena, c, live, 1);
		/* Counted under the lock, so that who sees a huge chunk sees how it came. */
		atomic64_inc(&arena->count.promote);
		if (opts->background)
			atomic64_inc(&arena->count.promote_background);
		atomic64_add((u64)*copied << PAGE_SHIFT, &arena->count.bytes_copied);
		atomic64_add((u64)(PA_CHUNK_PAGES - *copied) << PAGE_SHIFT,
			     &arena->count.bytes_zeroed);
	}
	spin_unlock(&arena->lock);
	if (ret) {
		folio_put(huge);
		return ret;
	}
	pa_chunk_torn(arena, c);
	pa_item_move(arena, c, folio_nid(huge));
	pa_small_free(small);
	return PAGEARENA_PROMOTE_DONE;
}

/**
 * pa_chunk_promote() - put what a chunk holds on one huge folio
 * @arena: the arena
 * @index: number of the chunk
 * @opts: how
 *
 * Contents stay.  Whoever touches the chunk meanwhile waits.
 *
 * Context: may sleep; takes the chunk's lock.
 * Return: PAGEARENA_PROMOTE_*
 */
int pa_chunk_promote(struct pa_arena *arena, unsigned long index,
		     const struct pa_promote_opts *opts)
{
	struct pa_chunk *c = pa_chunk_get(arena, index);
	int ret = PAGEARENA_PROMOTE_EMPTY;
	unsigned int copied = 0;

	if (c) {
		mutex_lock(&c->lock);
		if (c->state == PA_CHUNK_HUGE)
			ret = PAGEARENA_PROMOTE_ALREADY;
		else if (c->state == PA_CHUNK_SMALL)
			ret = pa_promote_small(arena, c, opts, &copied);
		pa_chunk_unlock_put(arena, c);
	}
	if (ret > PAGEARENA_PROMOTE_ALREADY)
		atomic64_inc(&arena->count.refused[ret]);
	trace_pagearena_promote(arena->id, index, copied, ret, opts->background);
	return ret;
}

/* Demotion */

/* Small folios for those of a chunk's pages that are in @live and have none yet. */
static int pa_small_fill(struct pa_arena *arena, struct pa_chunk *c, const unsigned long *live,
			 struct folio **small, gfp_t gfp)
{
	unsigned int i;

	for_each_set_bit(i, live, PA_CHUNK_PAGES) {
		if (small[i])
			continue;
		small[i] = pa_folio_alloc(arena, gfp, 0, (c->index << PA_CHUNK_ORDER) + i);
		if (!small[i])
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

/**
 * pa_chunk_demote() - move what is alive in a huge chunk to small folios
 * @arena: the arena
 * @c: a huge chunk
 * @cause: why
 *
 * The huge folio goes back.  What is free in the chunk is not backed any more.  Without memory
 * for all of it nothing has changed; if somebody holds the folio, the chunk is just not mapped.
 *
 * In reclaim it waits for nothing, and leaves the system its reserves.  The memory cgroup is
 * charged whatever its limit is: the core does so for whoever reclaims (PF_MEMALLOC), as it gets
 * more back in the end.
 *
 * Context: chunk lock; may sleep.
 * Return: 0; -EBUSY if somebody else holds the folio; -ENOMEM; in reclaim, -EAGAIN if a fault
 * is under way.
 */
int pa_chunk_demote(struct pa_arena *arena, struct pa_chunk *c, enum pa_cause cause)
{
	const bool reclaim = cause == PA_CAUSE_RECLAIM;
	const gfp_t gfp_table = reclaim ? PA_GFP_RECLAIM | __GFP_ACCOUNT : GFP_KERNEL_ACCOUNT;
	const gfp_t gfp = reclaim ? PA_GFP_RECLAIM | __GFP_HIGHMEM | __GFP_ACCOUNT : PA_GFP_DEMOTE;
	DECLARE_BITMAP(live, PA_CHUNK_PAGES);
	DECLARE_BITMAP(now, PA_CHUNK_PAGES);
	struct folio *huge = c->huge, **small;
	struct pa_charge charge;
	unsigned int i, n = 0;
	int err = -ENOMEM;

	lockdep_assert_held(&c->lock);
	pa_charge_begin(arena, &charge);
	small = kcalloc(PA_CHUNK_PAGES, sizeof(*small), gfp_table);
	pa_charge_end(&charge);
	if (!small)
		goto out;
	/* All that it takes, before anything is done. */
	spin_lock(&arena->lock);
	pa_chunk_live(arena, c->index, live, NULL);
	spin_unlock(&arena->lock);
	err = pa_small_fill(arena, c, live, small, gfp);
	if (err)
		goto out;

	if (!reclaim) {
		pa_folio_settle(huge);
	} else if (folio_trylock(huge)) {
		folio_unlock(huge);
	} else {
		err = -EAGAIN;
		goto out;
	}
	pa_race_window(PA_RACE_DEMOTE_ZAP);
	pa_zap(arena, (u64)c->index << PA_CHUNK_SHIFT, PA_CHUNK_SIZE);
	pa_race_window(PA_RACE_DEMOTE_COPY);
	if (folio_ref_count(huge) != 1) {
		err = -EBUSY;
		goto out;
	}
	/* Spans may have come and gone until the zap. */
	spin_lock(&arena->lock);
	pa_chunk_live(arena, c->index, live, NULL);
	spin_unlock(&arena->lock);
	err = pa_small_fill(arena, c, live, small, gfp);
	if (err)
		goto out;
	for (i = 0; i < PA_CHUNK_PAGES; i++) {
		if (!small[i])
			continue;
		if (test_bit(i, live)) {
			copy_highpage(&small[i]->page, folio_page(huge, i));
			n++;
		} else {
			folio_put(small[i]);
			small[i] = NULL;
		}
		cond_resched();
	}
	if (reclaim || cause == PA_CAUSE_BACKGROUND)
		pa_shadow_add(arena, c, 0, PA_CHUNK_PAGES, live);

	pa_race_window(PA_RACE_DEMOTE_SET);
	spin_lock(&arena->lock);
	/* A span that was allocated meanwhile counts its pages as backed; they are not now. */
	pa_chunk_live(arena, c->index, now, NULL);
	pa_chunk_account(arena, c, now, -1);
	c->small = small;
	WRITE_ONCE(c->state, PA_CHUNK_SMALL);
	bitmap_copy(c->present, live, PA_CHUNK_PAGES);
	c->nr_present = n;
	pa_chunk_account(arena, c, now, 1);
	atomic64_inc(&arena->count.demote);
	atomic64_add((u64)n << PAGE_SHIFT, &arena->count.bytes_copied);
	spin_unlock(&arena->lock);
	small = NULL;
	folio_put(huge);
out:
	pa_small_free(small);
	if (err)
		atomic64_inc(&arena->count.demote_failed);
	trace_pagearena_demote(arena->id, c->index, n, cause, err);
	return err;
}

/**
 * pa_chunk_begin_anew() - put a small chunk on a huge folio if it may be huge (rule 15)
 * @arena: the arena
 * @c: a chunk over all of which free spans have coalesced
 *
 * So a chunk that once got small folios is not bound to them.  Most of what it holds is
 * dead by now, and is not copied.
 *
 * Context: chunk lock; may sleep.
 */
void pa_chunk_begin_anew(struct pa_arena *arena, struct pa_chunk *c)
{
	const struct pa_promote_opts opts = {};
	DECLARE_BITMAP(live, PA_CHUNK_PAGES);
	unsigned int copied = 0;
	bool whole;

	lockdep_assert_held(&c->lock);
	WRITE_ONCE(c->may_huge, false);
	if (c->state != PA_CHUNK_SMALL || !pa_huge_enabled(arena))
		return;
	spin_lock(&arena->lock);
	whole = pa_chunk_live(arena, c->index, live, NULL);
	spin_unlock(&arena->lock);
	if (whole)
		pa_promote_small(arena, c, &opts, &copied);
}

/* The background */

/*
 * Promotes one dense chunk, then sleeps so long that the share of one CPU holds.  A chunk
 * for which there is no huge folio stays marked, and the next try comes later and later.
 */
static void pa_promote_work(struct work_struct *work)
{
	struct pa_arena *arena = container_of(work, struct pa_arena, promote_work.work);
	unsigned int percent = READ_ONCE(arena->policy.promote_percent);
	struct pa_promote_opts opts = { .background = true };
	unsigned long index = arena->promote_cursor, delay;
	u64 start = ktime_get_ns(), spent;
	int ret;

	pa_thp_refresh(true);
	if (!percent || !pa_huge_enabled(arena))
		return;
	if (!xa_find(&arena->chunks, &index, ULONG_MAX, PA_MARK_DENSE)) {
		index = 0;
		if (!xa_find(&arena->chunks, &index, ULONG_MAX, PA_MARK_DENSE))
			return;
	}
	arena->promote_cursor = index + 1;
	opts.min_pages = DIV_ROUND_UP(READ_ONCE(arena->policy.promote_density) * PA_CHUNK_PAGES,
				      100);
	xa_clear_mark(&arena->chunks, index, PA_MARK_DENSE);
	ret = pa_chunk_promote(arena, index, &opts);
	if (ret == PAGEARENA_PROMOTE_NOMEM || ret == PAGEARENA_PROMOTE_PINNED) {
		xa_set_mark(&arena->chunks, index, PA_MARK_DENSE);
		arena->promote_backoff = clamp_t(unsigned long, arena->promote_backoff * 2, HZ / 10,
						 PA_PROMOTE_BACKOFF_MAX);
	} else {
		arena->promote_backoff = 0;
	}
	spent = ktime_get_ns() - start;
	delay = nsecs_to_jiffies(div_u64(spent * (100 - percent), percent)) + 1;
	queue_delayed_work(pa_promote_wq, &arena->promote_work,
			   max(delay, arena->promote_backoff));
}

/**
 * pa_promote_notice() - a small chunk got another page
 * @arena: the arena
 * @c: the chunk
 *
 * Context: chunk lock.
 */
void pa_promote_notice(struct pa_arena *arena, struct pa_chunk *c)
{
	unsigned int density = READ_ONCE(arena->policy.promote_density);

	lockdep_assert_held(&c->lock);
	if (c->nr_present * 100 < density * PA_CHUNK_PAGES ||
	    !READ_ONCE(arena->policy.promote_percent) || !pa_huge_enabled(arena))
		return;
	if (xa_get_mark(&arena->chunks, c->index, PA_MARK_DENSE))
		return;
	xa_set_mark(&arena->chunks, c->index, PA_MARK_DENSE);
	queue_delayed_work(pa_promote_wq, &arena->promote_work, PA_PROMOTE_DELAY);
}

/**
 * pa_promote_kick() - the policy has changed: look at what is marked
 * @arena: the arena
 *
 * Context: any.
 */
void pa_promote_kick(struct pa_arena *arena)
{
	if (xa_marked(&arena->chunks, PA_MARK_DENSE))
		mod_delayed_work(pa_promote_wq, &arena->promote_work, PA_PROMOTE_DELAY);
}

/**
 * pa_promote_start() - prepare an arena for background promotion
 * @arena: a new arena
 *
 * Context: any.
 */
void pa_promote_start(struct pa_arena *arena)
{
	INIT_DELAYED_WORK(&arena->promote_work, pa_promote_work);
	arena->policy.promote_percent = min(READ_ONCE(promote_percent), 100U);
	arena->policy.promote_density = clamp(READ_ONCE(promote_density), 1U, 100U);
}

/**
 * pa_promote_stop() - end the background promotion of an arena
 * @arena: an arena without users
 *
 * Context: may sleep.
 */
void pa_promote_stop(struct pa_arena *arena)
{
	cancel_delayed_work_sync(&arena->promote_work);
}

int __init pa_promote_init(void)
{
	pa_promote_wq = alloc_workqueue("pagearena", WQ_UNBOUND | WQ_FREEZABLE, 1);
	return pa_promote_wq ? 0 : -ENOMEM;
}

void pa_promote_exit(void)
{
	cancel_work_sync(&pa_thp_work);
	destroy_workqueue(pa_promote_wq);
}
