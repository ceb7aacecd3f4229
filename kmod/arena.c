// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Arenas: their life, and what the calls do that change spans.
 */
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "arena.h"
#include "backing.h"
#include "promote.h"
#include "race.h"
#include "reclaim.h"
#include "step.h"
#include "trace.h"

#define PA_SPARES_BATCH	8

static struct kmem_cache *pa_span_cache;
static struct kmem_cache *pa_index_cache;
static atomic64_t pa_arena_ids;

/*
 * The inodes whose i_mapping the mappings of arenas hang on.  A mount of its own, which
 * exists while there are arenas (simple_pin_fs() holds the module meanwhile).
 */
static int pa_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x70676172 /* "pgar" */) ? 0 : -ENOMEM;
}

static struct file_system_type pa_fs_type = {
	.name = "pagearena",
	.owner = THIS_MODULE,
	.init_fs_context = pa_fs_init_context,
	.kill_sb = kill_anon_super,
};

static struct vfsmount *pa_mnt;
static int pa_mnt_count;

static void pa_span_free(struct span *s)
{
	kmem_cache_free(pa_span_cache, s);
}

/*
 * A span that the heap has given back may be looked at for a while, see span_heap_peek().  What
 * RCU wants to know is put where nobody follows it: in the base and the size.
 */
static struct rcu_head *pa_span_rcu(struct span *s)
{
	BUILD_BUG_ON(offsetof(struct span, base) < offsetofend(struct span, index));
	BUILD_BUG_ON(offsetof(struct span, base) + sizeof(struct rcu_head) > sizeof(struct span));
	return (struct rcu_head *)&s->base;
}

static void pa_span_free_rcu(struct rcu_head *rcu)
{
	pa_span_free(container_of((u64 *)rcu, struct span, base));
}

static void pa_index_free(struct span_index *x)
{
	kmem_cache_free(pa_index_cache, x);
}

/* Moves spares to the heap.  Returns whether it has what any call may need. */
static bool pa_give_spares(struct pa_arena *arena, struct pa_spares *spares)
{
	struct span_index *x;
	struct span *s;
	bool ready;

	spin_lock(&arena->lock);
	while ((s = spares->spans)) {
		spares->spans = s->next_spare;
		span_heap_add_spare(&arena->heap, s);
	}
	while ((x = spares->indices)) {
		spares->indices = x->next_spare;
		span_heap_add_index(&arena->heap, x);
	}
	ready = span_heap_ready(&arena->heap);
	spin_unlock(&arena->lock);
	return ready;
}

static bool pa_alloc_index(struct pa_spares *spares, gfp_t gfp)
{
	struct span_index *x = kmem_cache_alloc(pa_index_cache, gfp | __GFP_ACCOUNT);

	if (!x)
		return false;
	x->next_spare = spares->indices;
	spares->indices = x;
	return true;
}

/**
 * pa_add_spares() - give the heap what any call may need
 * @arena: the arena
 * @gfp: how hard to try
 *
 * Context: takes the heap lock; may sleep if @gfp says so.
 * Return: 0, also if it took not all of what was wanted; -ENOMEM.
 */
int pa_add_spares(struct pa_arena *arena, gfp_t gfp)
{
	const struct span_heap *heap = &arena->heap;
	struct pa_spares spares = {};
	struct pa_charge charge;
	int spans, indices;
	bool all = true;
	struct span *s;

	/* A guess, without the heap lock: whoever needs them looks again. */
	spans = data_race(heap->nr_spares) < SPAN_HEAP_SPARES ? PA_SPARES_BATCH : 0;
	/* Likewise. */
	indices = SPAN_HEAP_SPARES + data_race(heap->nr_recent - heap->nr_indices);
	indices = indices > 0 ? indices + PA_SPARES_BATCH : 0;
	pa_charge_begin(arena, &charge);
	for (; all && spans; spans--) {
		s = kmem_cache_alloc(pa_span_cache, gfp | __GFP_ACCOUNT);
		all = s;
		if (s) {
			s->next_spare = spares.spans;
			spares.spans = s;
		}
	}
	for (; all && indices; indices--)
		all = pa_alloc_index(&spares, gfp);
	pa_charge_end(&charge);
	return pa_give_spares(arena, &spares) || all ? 0 : -ENOMEM;
}

/**
 * pa_add_index() - give the heap what it needs to free a span
 * @arena: the arena
 *
 * To free cannot fail, so this goes beyond what the memory cgroup allows, if it must.
 *
 * Context: may sleep; takes the heap lock.
 */
void pa_add_index(struct pa_arena *arena)
{
	struct pa_spares spares = {};
	struct pa_charge charge;
	int i;

	pa_charge_begin(arena, &charge);
	pa_alloc_index(&spares, GFP_KERNEL | __GFP_NOFAIL);
	for (i = 1; i < PA_SPARES_BATCH; i++)
		if (!pa_alloc_index(&spares, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN))
			break;
	pa_charge_end(&charge);
	pa_give_spares(arena, &spares);
}

/**
 * pa_fill_spares() - see that there are spares for a call, if memory allows
 * @arena: the arena
 *
 * Context: may sleep; takes the heap lock.
 */
void pa_fill_spares(struct pa_arena *arena)
{
	/* data_race: whoever needs them looks again. */
	if (!data_race(span_heap_ready(&arena->heap)))
		pa_add_spares(arena, GFP_KERNEL);
}

/**
 * pa_take_excess() - take spares that are too many out of the heap
 * @arena: the arena
 * @excess: set to them, for pa_free_spares()
 *
 * Context: heap lock.
 */
void pa_take_excess(struct pa_arena *arena, struct pa_spares *excess)
{
	struct span_heap *heap = &arena->heap;
	struct span_index *x;
	struct span *s;

	excess->spans = NULL;
	excess->indices = NULL;
	while (heap->nr_spares > PA_SPARES_MAX) {
		s = span_heap_take_spare(heap);
		s->next_spare = excess->spans;
		excess->spans = s;
	}
	while (heap->nr_indices > heap->nr_recent + PA_INDICES_MAX) {
		x = span_heap_take_index(heap);
		x->next_spare = excess->indices;
		excess->indices = x;
	}
}

/**
 * pa_free_spares() - free what pa_take_excess() took
 * @excess: the spares
 *
 * Context: any but interrupts.
 */
void pa_free_spares(struct pa_spares *excess)
{
	struct span_index *x;
	struct span *s;

	while ((s = excess->spans)) {
		excess->spans = s->next_spare;
		call_rcu(pa_span_rcu(s), pa_span_free_rcu);
	}
	while ((x = excess->indices)) {
		excess->indices = x->next_spare;
		pa_index_free(x);
	}
}

/**
 * pa_arena_create() - make an arena that is not set up yet
 *
 * Context: may sleep.
 * Return: the arena, or an error pointer (ENOMEM).
 */
struct pa_arena *pa_arena_create(void)
{
	struct pa_arena *arena;
	int err;

	arena = kzalloc(sizeof(*arena), GFP_KERNEL_ACCOUNT);
	if (!arena)
		return ERR_PTR(-ENOMEM);
	arena->id = atomic64_inc_return(&pa_arena_ids);
	mutex_init(&arena->setup_lock);
	mutex_init(&arena->scavenge_lock);
	mutex_init(&arena->anew_lock);
	spin_lock_init(&arena->lock);
	xa_init_flags(&arena->chunks, XA_FLAGS_ACCOUNT);
	xa_init_flags(&arena->torn, XA_FLAGS_ACCOUNT);
	pa_promote_start(arena);
	pa_background_start(arena);
	pa_pool_start(arena);

	err = simple_pin_fs(&pa_fs_type, &pa_mnt, &pa_mnt_count);
	if (err)
		goto free;
	arena->inode = alloc_anon_inode(pa_mnt->mnt_sb);
	if (IS_ERR(arena->inode)) {
		err = PTR_ERR(arena->inode);
		goto unpin;
	}
	err = pa_reclaim_start(arena);
	if (err)
		goto put;
	return arena;

put:
	iput(arena->inode);
unpin:
	simple_release_fs(&pa_mnt, &pa_mnt_count);
free:
	kfree(arena);
	return ERR_PTR(err);
}

/* There may be millions of them. */
static void pa_span_free_last(struct span *s)
{
	pa_span_free(s);
	cond_resched();
}

static void pa_index_free_last(struct span_index *x)
{
	pa_index_free(x);
	cond_resched();
}

/**
 * pa_arena_destroy() - give an arena back, with everything in it
 * @arena: an arena without users and mappings
 *
 * Context: may sleep.
 */
void pa_arena_destroy(struct pa_arena *arena)
{
	pa_race_window(PA_RACE_DESTROY);
	pa_debugfs_remove(arena);
	pa_promote_stop(arena);
	pa_background_stop(arena);
	pa_pool_stop(arena);
	if (arena->ready)
		trace_pagearena_close(arena->id, pa_nr_backed(arena) << PAGE_SHIFT);
	pa_backing_forget(arena);
	pa_race_window(PA_RACE_FORGOTTEN);
	pa_reclaim_stop(arena);
	pa_backing_destroy(arena);
	pa_shadow_destroy(arena);
	xa_destroy(&arena->torn);
	if (arena->ready)
		span_heap_destroy(&arena->heap, pa_span_free_last, pa_index_free_last);
	iput(arena->inode);
	simple_release_fs(&pa_mnt, &pa_mnt_count);
	pa_quota_release(arena);
	kfree(arena);
}

u64 pa_nr_backed(const struct pa_arena *arena)
{
	return arena->nr_small + (arena->nr_huge << PA_CHUNK_ORDER);
}

/* Completes and checks the geometry. */
static int pa_setup_check(struct pagearena_setup *setup)
{
	u64 unit;

	if (setup->fit > PAGEARENA_FIT_PLACED || setup->huge > PAGEARENA_HUGE_OFF)
		return -EOPNOTSUPP;
	if (setup->fit == PAGEARENA_FIT_DEFAULT)
		setup->fit = PAGEARENA_FIT_PLACED;
	if (!setup->span_page)
		setup->span_page = PA_SPAN_PAGE_DEFAULT;
	if (!setup->granule)
		setup->granule = PAGE_SIZE;
	if (!is_power_of_2(setup->span_page) || setup->span_page < PA_SPAN_PAGE_MIN ||
	    setup->span_page > PA_CHUNK_SIZE)
		return -EINVAL;
	if (!is_power_of_2(setup->granule) || setup->granule < PAGE_SIZE ||
	    setup->granule > PA_CHUNK_SIZE)
		return -EINVAL;
	unit = max(setup->span_page, setup->granule);
	if (!setup->arena_bytes || setup->arena_bytes > PA_ARENA_MAX ||
	    !IS_ALIGNED(setup->arena_bytes, unit))
		return -EINVAL;
	if (!setup->growth)
		setup->growth = min_t(u64, PA_GROWTH_DEFAULT, setup->arena_bytes);
	return 0;
}

/**
 * pa_arena_setup() - give an arena its size and geometry
 * @arena: the arena
 * @setup: what is wanted; 0 fields are replaced by what is in force
 *
 * Context: may sleep.
 * Return: 0, -EEXIST, -EINVAL, -EOPNOTSUPP, -ENOMEM, -EDQUOT, -EINTR.
 */
int pa_arena_setup(struct pa_arena *arena, struct pagearena_setup *setup)
{
	static const u8 fits[] = {
		[PAGEARENA_FIT_BEST] = SPAN_FIT_BEST,
		[PAGEARENA_FIT_FIRST] = SPAN_FIT_FIRST,
		[PAGEARENA_FIT_PLACED] = SPAN_FIT_PLACED,
	};
	struct span_heap_config cfg = {};
	int err;

	if (mutex_lock_interruptible(&arena->setup_lock))
		return -EINTR;
	err = -EEXIST;
	if (arena->ready)
		goto out;
	err = pa_setup_check(setup);
	if (err)
		goto out;
	pa_thp_refresh(true);

	cfg.size = setup->arena_bytes;
	cfg.growth = setup->growth;
	cfg.page_shift = ilog2(setup->span_page);
	cfg.granule_shift = ilog2(setup->granule);
	cfg.huge_shift = PA_CHUNK_SHIFT;
	cfg.fit = fits[setup->fit];
	cfg.debug = setup->flags & PAGEARENA_SETUP_DEBUG;
	cfg.reuse = cfg.fit == SPAN_FIT_PLACED && !cfg.debug;
	err = pa_quota_reserve(arena, setup);
	if (err)
		goto out;
	arena->limit = setup->limit;
	err = span_heap_init(&arena->heap, &cfg, &pa_heap_ops, arena);
	if (err) {
		pa_quota_release(arena);
		goto out;
	}
	arena->setup = *setup;
	arena->quick_bytes = min_t(u64, setup->arena_bytes, PA_QUICK_BYTES);
	arena->limit_soft = setup->flags & PAGEARENA_SETUP_SOFT_LIMIT;
	/* The core maps neither PMDs nor batches of PTEs across the end of the file. */
	i_size_write(arena->inode, round_up(setup->arena_bytes, PA_CHUNK_SIZE));
	pa_debugfs_add(arena);
	/* Pairs with pa_arena_ready(): who sees it true sees the heap and the geometry. */
	smp_store_release(&arena->ready, true);
out:
	mutex_unlock(&arena->setup_lock);
	if (err)
		trace_pagearena_refuse(arena->id, PA_REFUSE_SETUP, 0, setup->arena_bytes, err);
	else
		trace_pagearena_setup(arena->id, setup->arena_bytes, setup->limit);
	return err;
}

/**
 * pa_over_limit() - would what is allocated, what is free, and the pool pass a hard limit?
 * @arena: an arena that is set up
 *
 * Context: heap lock.
 */
bool pa_over_limit(struct pa_arena *arena)
{
	u64 free = pa_nr_backed(arena) - arena->nr_inuse;

	return arena->limit && !arena->limit_soft &&
	       pa_allocated_bytes(arena) + (free << PAGE_SHIFT) + pa_pool_bytes(arena) >
		       arena->limit;
}

/**
 * pa_arena_set_limit() - change the limit
 * @arena: an arena that is set up
 * @limit: in bytes; 0: none
 * @soft: it is a goal
 *
 * Context: may sleep.
 * Return: 0; -ENOMEM if more is allocated than a hard limit allows, or what is free cannot be
 * released; -EDQUOT if the user's quota does not allow it; -EINTR for a fatal signal.  On
 * error the limit is as it was.
 */
int pa_arena_set_limit(struct pa_arena *arena, u64 limit, bool soft)
{
	bool old_soft, over;
	u64 old;
	int err;

	if (mutex_lock_interruptible(&arena->setup_lock))
		return -EINTR;
	old = arena->limit;
	old_soft = arena->limit_soft;
	err = pa_quota_check(arena, limit, soft);
	/* More is reserved before, less after; so it is what cannot fail that comes last. */
	if (!err && limit > old)
		err = pa_quota_change(arena, old, limit);
	if (err)
		goto out;
	spin_lock(&arena->lock);
	if (limit && !soft && pa_allocated_bytes(arena) > limit)
		err = -ENOMEM;
	if (!err) {
		WRITE_ONCE(arena->limit, limit);
		WRITE_ONCE(arena->limit_soft, soft);
	}
	/*
	 * Until what is free has gone, who touches what was allocated before shall not fail.  Where
	 * a hard limit was raised, whoever came to be over it before keeps to it by himself.
	 */
	over = !err && pa_over_limit(arena) && (!old || old_soft || limit < old);
	arena->limit_new = over;
	spin_unlock(&arena->lock);
	if (over)
		err = pa_limit_enforce(arena);
	if (!err && soft)
		pa_limit_approach(arena);
	if (over || err) {
		spin_lock(&arena->lock);
		arena->limit_new = false;
		if (err) {
			WRITE_ONCE(arena->limit, old);
			WRITE_ONCE(arena->limit_soft, old_soft);
		}
		spin_unlock(&arena->lock);
	}
	if (err) {
		if (limit > old)
			pa_quota_change(arena, limit, old);
	} else if (limit < old) {
		pa_quota_change(arena, old, limit);
	}
out:
	mutex_unlock(&arena->setup_lock);
	if (err)
		trace_pagearena_refuse(arena->id, PA_REFUSE_LIMIT, 0, limit, err);
	return err;
}

/**
 * pa_arena_stats() - fill in the figures of an arena
 * @arena: an arena that is set up
 * @out: all fields but @size, @flags and @pressure_flags are set
 *
 * Context: takes the heap lock.
 */
void pa_arena_stats(struct pa_arena *arena, struct pagearena_stats *out)
{
	const struct span_heap_stats *heap = &arena->heap.stats;
	struct pa_counters *count = &arena->count;
	unsigned int i;

	spin_lock(&arena->lock);
	pa_settle(arena);
	out->heap_sys = heap->heap_sys;
	out->heap_inuse = heap->heap_inuse;
	out->heap_idle = heap->heap_idle;
	out->heap_released = heap->heap_released;
	out->huge_bytes = arena->nr_huge << PA_CHUNK_SHIFT;
	out->small_bytes = arena->nr_small << PAGE_SHIFT;
	out->backed = out->huge_bytes + out->small_bytes;
	out->backed_inuse = arena->nr_inuse << PAGE_SHIFT;
	out->huge_inuse = arena->nr_huge_inuse << PAGE_SHIFT;
	out->backed_free = out->backed - out->backed_inuse;
	out->reclaimable = arena->nr_reclaimable << PAGE_SHIFT;
	out->backed_peak = arena->peak << PAGE_SHIFT;
	out->inuse_peak = heap->inuse_peak;
	out->spans_inuse = heap->spans_inuse;
	out->spans_free = heap->spans_free;
	out->spans_scavenged = heap->spans_scavenged;
	out->nr_alloc = heap->nr_alloc;
	out->nr_free = heap->nr_free;
	out->nr_grow = heap->nr_grow;
	out->nr_scavenge = heap->nr_scavenge;
	out->pool_bytes = pa_pool_bytes(arena);
	out->nr_pool_hit = arena->pool.nr_hit;
	out->nr_pool_miss = arena->pool.nr_miss;
	out->bytes_pool_zeroed = arena->pool.bytes_zeroed;
	out->bytes_pool_unused = arena->pool.bytes_unused;
	out->pool_ns = arena->pool.spent;
	spin_unlock(&arena->lock);
	out->nr_fault = atomic64_read(&count->fault);
	out->nr_fault_huge = atomic64_read(&count->fault_huge);
	out->nr_fault_denied = atomic64_read(&count->fault_denied);
	out->nr_fault_failed = atomic64_read(&count->fault_failed);
	out->nr_zap = atomic64_read(&count->zap);
	out->nr_mid_alloc = atomic64_read(&count->mid_alloc);
	out->nr_huge_alloc = atomic64_read(&count->huge_alloc);
	out->nr_huge_failed = atomic64_read(&count->huge_failed);
	BUILD_BUG_ON(ARRAY_SIZE(count->refused) > ARRAY_SIZE(out->nr_refused));
	memset(out->nr_refused, 0, sizeof(out->nr_refused));
	for (i = 0; i < ARRAY_SIZE(count->refused); i++)
		out->nr_refused[i] = atomic64_read(&count->refused[i]);
	out->nr_promote_background = atomic64_read(&count->promote_background);
	out->nr_demote_failed = atomic64_read(&count->demote_failed);
	out->nr_promote = atomic64_read(&count->promote);
	out->nr_demote = atomic64_read(&count->demote);
	out->bytes_copied = atomic64_read(&count->bytes_copied);
	out->bytes_zeroed = atomic64_read(&count->bytes_zeroed);
	out->pressure_seq = READ_ONCE(arena->pressure_seq);
	out->bytes_background = atomic64_read(&count->bytes_background);
	out->bytes_reclaimed = atomic64_read(&count->bytes_reclaimed);
	out->bytes_limited = atomic64_read(&count->bytes_limited);
	out->bytes_refault = atomic64_read(&count->bytes_refault);
	out->background_ns = READ_ONCE(arena->background.spent);
	out->nr_background = READ_ONCE(arena->background.nr);
	out->background_slow = READ_ONCE(arena->background.slow);
	out->background_hold_max = READ_ONCE(arena->background.hold_max);
}

/* Bytes of a page at one end of a span are not the span's: take them off, if it is backed. */
static void pa_describe_end(struct pa_arena *arena, pgoff_t page, u64 bytes,
			    struct pagearena_span *out)
{
	u64 huge;

	if (!bytes || !pa_backing_count(arena, page, page + 1, &huge))
		return;
	out->backed -= bytes;
	if (huge)
		out->huge -= bytes;
}

/**
 * pa_arena_describe() - describe a span
 * @arena: an arena that is set up
 * @s: one of its spans
 * @out: filled in
 *
 * Context: heap lock.
 */
void pa_arena_describe(struct pa_arena *arena, const struct span *s, struct pagearena_span *out)
{
	static const u32 states[] = {
		[SPAN_FREE] = PAGEARENA_SPAN_FREE,
		[SPAN_INUSE] = PAGEARENA_SPAN_INUSE,
		[SPAN_TRANSIT] = PAGEARENA_SPAN_TRANSIT,
	};
	u64 now = ktime_get_ns(), huge, end;

	memset(out, 0, sizeof(*out));
	out->offset = span_offset(s, &arena->heap);
	out->length = span_bytes(s, &arena->heap);
	end = out->offset + out->length;
	out->state = states[s->state];
	out->flags = (s->scavenged ? PAGEARENA_SPAN_SCAVENGED : 0) |
		     (s->needzero ? PAGEARENA_SPAN_NEEDZERO : 0);
	if (s->state != SPAN_INUSE && s->unusedsince && now > s->unusedsince)
		out->age_ns = now - s->unusedsince;
	out->backed = pa_backing_count(arena, out->offset >> PAGE_SHIFT,
				       (end + PAGE_SIZE - 1) >> PAGE_SHIFT, &huge) << PAGE_SHIFT;
	out->huge = huge << PAGE_SHIFT;
	if (arena->heap.cfg.page_shift >= PAGE_SHIFT)
		return;
	pa_describe_end(arena, out->offset >> PAGE_SHIFT, offset_in_page(out->offset), out);
	pa_describe_end(arena, end >> PAGE_SHIFT, -end & ~PAGE_MASK, out);
}

int __init pa_arena_init(void)
{
	pa_span_cache = kmem_cache_create("pagearena_span", sizeof(struct span), 0,
					  SLAB_ACCOUNT, NULL);
	if (!pa_span_cache)
		return -ENOMEM;
	pa_index_cache = kmem_cache_create("pagearena_index", sizeof(struct span_index), 0,
					   SLAB_ACCOUNT, NULL);
	if (!pa_index_cache) {
		kmem_cache_destroy(pa_span_cache);
		return -ENOMEM;
	}
	return 0;
}

void pa_arena_exit(void)
{
	/* For pa_span_free_rcu() */
	rcu_barrier();
	kmem_cache_destroy(pa_index_cache);
	kmem_cache_destroy(pa_span_cache);
}
