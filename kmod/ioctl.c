// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The calls: from user space and back.  Structures are copied in whole, checked, acted
 * on without touching user memory, and copied out; what they mean is in the uapi header.
 *
 * Where a call could succeed and then not be able to say so, the copy that came in is
 * written back first: a pointer that cannot be written is found before anything happens.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "arena.h"
#include "backing.h"
#include "promote.h"
#include "reclaim.h"

/* A structure that the user gave. */
struct pa_arg {
	void __user *ptr;
	u32 size;
};

/*
 * Copies a structure in.  @min is the size that was published first, @size today's.  All
 * structures begin with their size and with flags.
 */
static int pa_copy_in(struct pa_arg *arg, void *dst, size_t size, size_t min)
{
	struct {
		__u32 size;
		__u32 flags;
	} *head = dst;
	int err;

	if (get_user(arg->size, (u32 __user *)arg->ptr))
		return -EFAULT;
	if (arg->size < min)
		return -EINVAL;
	if (arg->size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(dst, size, arg->ptr, arg->size);
	/* The size may have changed since; what was checked counts. */
	head->size = arg->size;
	return err;
}

static int pa_copy_out(const struct pa_arg *arg, const void *src, size_t size)
{
	return copy_to_user(arg->ptr, src, min_t(size_t, arg->size, size)) ? -EFAULT : 0;
}

static int pa_ioctl_info(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_info info;
	int err = pa_copy_in(arg, &info, sizeof(info), sizeof(info));

	if (err)
		return err;
	if (info.flags)
		return -EINVAL;
	memset(&info, 0, sizeof(info));
	info.size = arg->size;
	info.abi_version = PAGEARENA_ABI_VERSION;
	info.page_size = PAGE_SIZE;
	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		info.features |= PAGEARENA_FEATURE_HUGE;
	if (!mem_cgroup_disabled())
		info.features |= PAGEARENA_FEATURE_MEMCG;
	if (IS_ENABLED(CONFIG_DEBUG_FS))
		info.features |= PAGEARENA_FEATURE_RECOUNT;
	info.huge_size = PA_CHUNK_SIZE;
	info.pmd_size = PMD_SIZE;
	info.span_page_min = PA_SPAN_PAGE_MIN;
	info.span_page_max = PA_CHUNK_SIZE;
	info.arena_bytes_max = PA_ARENA_MAX;
	info.span_pages_max = SPAN_HEAP_MAX_PAGES;
	info.arena_id = arena->id;
	if (pa_arena_ready(arena)) {
		info.arena_bytes = arena->setup.arena_bytes;
		info.span_page = arena->setup.span_page;
		info.granule = arena->setup.granule;
		info.growth = arena->setup.growth;
		info.limit = READ_ONCE(arena->limit);
		info.setup_flags = arena->setup.flags;
		info.fit = arena->setup.fit;
		info.huge = arena->setup.huge;
	}
	return pa_copy_out(arg, &info, sizeof(info));
}

static int pa_ioctl_setup(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_setup setup;
	int err = pa_copy_in(arg, &setup, sizeof(setup), sizeof(setup));

	if (err)
		return err;
	if (setup.flags & ~(PAGEARENA_SETUP_DEBUG | PAGEARENA_SETUP_SOFT_LIMIT))
		return -EINVAL;
	err = pa_copy_out(arg, &setup, sizeof(setup));
	if (err)
		return err;
	err = pa_arena_setup(arena, &setup);
	return err ? err : pa_copy_out(arg, &setup, sizeof(setup));
}

static int pa_ioctl_alloc(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_alloc req;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	if (err)
		return err;
	if (req.flags & ~(PAGEARENA_ALLOC_ZERO | PAGEARENA_ALLOC_POPULATE) || req.offset ||
	    req.out_flags || req.__pad)
		return -EINVAL;
	err = pa_copy_out(arg, &req, sizeof(req));
	if (err)
		return err;
	err = pa_arena_alloc(arena, &req);
	if (err)
		return err;
	err = pa_copy_out(arg, &req, sizeof(req));
	if (err)
		pa_arena_free(arena, req.offset, req.length);
	return err;
}

static int pa_ioctl_free(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_free req;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	if (err)
		return err;
	if (req.flags)
		return -EINVAL;
	return pa_arena_free(arena, req.offset, req.length);
}

static int pa_ioctl_scavenge(struct file *file, struct pa_arg *arg)
{
	struct pa_arena *arena = file->private_data;
	struct pagearena_scavenge req;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	if (err)
		return err;
	if (req.flags & ~(PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE) ||
	    req.flags == PAGEARENA_SCAVENGE_FORCE || !req.bytes || req.released || req.backed)
		return -EINVAL;
	err = pa_copy_out(arg, &req, sizeof(req));
	if (err)
		return err;
	err = pa_scavenge(arena, &req);
	pa_map_anew(file);
	if (pa_copy_out(arg, &req, sizeof(req)))
		return -EFAULT;
	return err;
}

static int pa_ioctl_promote(struct file *file, struct pa_arg *arg)
{
	struct pa_arena *arena = file->private_data;
	struct pa_promote_opts opts = {};
	struct pagearena_promote req;
	unsigned long index, first, end;
	u32 __user *results;
	unsigned int i;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	BUILD_BUG_ON(PAGEARENA_PROMOTE_NR > ARRAY_SIZE(req.counts));
	if (err)
		return err;
	if (req.flags & ~PAGEARENA_PROMOTE_COMPACT || req.min_density > 100 || !req.length ||
	    !IS_ALIGNED(req.offset, PA_CHUNK_SIZE) || !IS_ALIGNED(req.length, PA_CHUNK_SIZE) ||
	    !!req.nr_results != !!req.results)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(req.counts); i++)
		if (req.counts[i])
			return -EINVAL;
	if (req.offset + req.length < req.offset)
		return -EOVERFLOW;
	if (req.offset + req.length > round_up(arena->setup.arena_bytes, PA_CHUNK_SIZE))
		return -EINVAL;
	err = pa_copy_out(arg, &req, sizeof(req));
	if (err)
		return err;

	opts.compact = req.flags & PAGEARENA_PROMOTE_COMPACT;
	opts.min_pages = max_t(unsigned int, 1,
			       DIV_ROUND_UP(req.min_density * PA_CHUNK_PAGES, 100));
	if (req.deadline_ns && check_add_overflow(ktime_get_ns(), (u64)req.deadline_ns,
						  &opts.deadline))
		opts.deadline = 0;
	results = u64_to_user_ptr(req.results);
	first = req.offset >> PA_CHUNK_SHIFT;
	end = first + (req.length >> PA_CHUNK_SHIFT);
	/* All of the answer must have a place before anything happens. */
	for (i = 0; i < min_t(u64, req.nr_results, end - first); i++)
		if (put_user(0, results + i))
			return -EFAULT;
	for (index = first; index < end && !err; index++) {
		int ret = pa_chunk_promote(arena, index, &opts);

		req.counts[ret]++;
		if (index - first < req.nr_results && put_user(ret, results + (index - first)))
			err = -EFAULT;
		if (signal_pending(current) && index + 1 < end)
			err = -EINTR;
		cond_resched();
	}
	pa_map_anew(file);
	if (pa_copy_out(arg, &req, sizeof(req)))
		return -EFAULT;
	return err;
}

/* The first published structure ended here. */
#define PA_POLICY_MIN	offsetofend(struct pagearena_policy, promote_density)

#define PA_POLICY_ALL	(PAGEARENA_POLICY_PROMOTE_PERCENT | PAGEARENA_POLICY_PROMOTE_DENSITY |	\
			 PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_RETAIN_PERCENT |	\
			 PAGEARENA_POLICY_SCAVENGE_AGE | PAGEARENA_POLICY_LIMIT |		\
			 PAGEARENA_POLICY_POOL)

/* Is a value that is to be set in its range, and one that is not 0? */
static bool pa_policy_value(const struct pagearena_policy *req, u32 bit, u64 value, u64 min,
			    u64 max)
{
	return req->set & bit ? value >= min && value <= max : !value;
}

static int pa_ioctl_policy(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_policy *policy = &arena->policy, req;
	int err = pa_copy_in(arg, &req, sizeof(req), PA_POLICY_MIN);

	if (err)
		return err;
	if (req.set & ~PA_POLICY_ALL || req.__pad ||
	    !pa_policy_value(&req, PAGEARENA_POLICY_PROMOTE_PERCENT, req.promote_percent, 0, 100) ||
	    !pa_policy_value(&req, PAGEARENA_POLICY_PROMOTE_DENSITY, req.promote_density, 1, 100) ||
	    !pa_policy_value(&req, PAGEARENA_POLICY_SCAVENGE_PERCENT, req.scavenge_percent, 0,
			     100) ||
	    !pa_policy_value(&req, PAGEARENA_POLICY_RETAIN_PERCENT, req.retain_percent, 0, 1000) ||
	    !pa_policy_value(&req, PAGEARENA_POLICY_SCAVENGE_AGE, req.scavenge_age_ns, 0,
			     S64_MAX) ||
	    !pa_policy_value(&req, PAGEARENA_POLICY_LIMIT, req.limit, 0, U64_MAX) ||
	    !pa_policy_value(&req, PAGEARENA_POLICY_LIMIT, req.limit_soft, 0, 1) ||
	    !pa_policy_value(&req, PAGEARENA_POLICY_POOL, req.pool_bytes, 0, U64_MAX))
		return -EINVAL;
	err = pa_copy_out(arg, &req, sizeof(req));
	if (err)
		return err;
	/* The only one that can fail is the first. */
	if (req.set & PAGEARENA_POLICY_LIMIT) {
		err = pa_arena_set_limit(arena, req.limit, req.limit_soft);
		if (err)
			return err;
	}
	if (req.set & PAGEARENA_POLICY_PROMOTE_PERCENT)
		WRITE_ONCE(policy->promote_percent, req.promote_percent);
	if (req.set & PAGEARENA_POLICY_PROMOTE_DENSITY)
		WRITE_ONCE(policy->promote_density, req.promote_density);
	if (req.set & PAGEARENA_POLICY_SCAVENGE_PERCENT)
		WRITE_ONCE(policy->scavenge_percent, req.scavenge_percent);
	if (req.set & PAGEARENA_POLICY_RETAIN_PERCENT)
		WRITE_ONCE(policy->retain_percent, req.retain_percent);
	if (req.set & PAGEARENA_POLICY_SCAVENGE_AGE)
		WRITE_ONCE(policy->scavenge_age_ns, req.scavenge_age_ns);
	if (req.set & PAGEARENA_POLICY_POOL)
		WRITE_ONCE(policy->pool_bytes, req.pool_bytes);
	pa_promote_kick(arena);
	if (req.set) {
		pa_background_kick(arena);
		pa_pool_resize(arena, req.set & PAGEARENA_POLICY_POOL);
	}
	req.promote_percent = READ_ONCE(policy->promote_percent);
	req.promote_density = READ_ONCE(policy->promote_density);
	req.scavenge_percent = READ_ONCE(policy->scavenge_percent);
	req.retain_percent = READ_ONCE(policy->retain_percent);
	req.scavenge_age_ns = READ_ONCE(policy->scavenge_age_ns);
	req.limit = READ_ONCE(arena->limit);
	req.limit_soft = READ_ONCE(arena->limit_soft);
	req.pool_bytes = READ_ONCE(policy->pool_bytes);
	return pa_copy_out(arg, &req, sizeof(req));
}

/* The first published structure ended here. */
#define PA_STATS_MIN	offsetofend(struct pagearena_stats, nr_refused)

static int pa_ioctl_stats(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_stats stats;
	int err = pa_copy_in(arg, &stats, sizeof(stats), PA_STATS_MIN);

	if (err)
		return err;
	if (stats.flags & ~PAGEARENA_STATS_PRESSURE)
		return -EINVAL;
	pa_arena_stats(arena, &stats);
	/* Where there is no room to tell it, it stays. */
	stats.pressure_flags = pa_pressure_told(arena, stats.flags & PAGEARENA_STATS_PRESSURE &&
						arg->size >= offsetofend(struct pagearena_stats,
									 pressure_flags));
	return pa_copy_out(arg, &stats, sizeof(stats));
}

/* Spans told under one hold of the heap lock. */
#define PA_SPANS_BATCH	64

static int pa_ioctl_spans(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_span *batch, __user *out;
	struct span_heap *heap = &arena->heap;
	struct pagearena_spans req;
	u32 n, want, done = 0;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	if (err)
		return err;
	if (req.flags || req.__pad || !req.count || req.offset > arena->setup.arena_bytes)
		return -EINVAL;
	out = u64_to_user_ptr(req.spans);
	batch = kmalloc_array(PA_SPANS_BATCH, sizeof(*batch), GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	do {
		struct span *s;

		want = min_t(u32, req.count - done, PA_SPANS_BATCH);
		n = 0;
		spin_lock(&arena->lock);
		for (s = span_heap_find(heap, req.offset >> heap->cfg.page_shift); s && n < want;
		     s = span_heap_next(s)) {
			pa_arena_describe(arena, s, &batch[n++]);
			req.offset = span_offset(s, heap) + span_bytes(s, heap);
		}
		spin_unlock(&arena->lock);
		if (copy_to_user(out + done, batch, n * sizeof(*batch)))
			err = -EFAULT;
		done += n;
		cond_resched();
		/*
		 * What has been told is an answer; a signal only makes it shorter.  A batch that
		 * is not full ends at the heap's end, as it was at that moment.
		 */
	} while (!err && n == want && done < req.count && !signal_pending(current));
	kfree(batch);
	if (err)
		return err;
	req.count = done;
	return pa_copy_out(arg, &req, sizeof(req));
}

static int pa_ioctl_query(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_query req;
	struct span *s;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	if (err)
		return err;
	if (req.flags || memchr_inv(&req.span, 0, sizeof(req.span)) ||
	    req.offset >= arena->setup.arena_bytes)
		return -EINVAL;
	spin_lock(&arena->lock);
	s = span_heap_find(&arena->heap, req.offset >> arena->heap.cfg.page_shift);
	if (s)
		pa_arena_describe(arena, s, &req.span);
	spin_unlock(&arena->lock);
	return s ? pa_copy_out(arg, &req, sizeof(req)) : -ENOENT;
}

/**
 * pa_ioctl() - the calls of an arena's descriptor
 * @file: the arena's file
 * @cmd: PAGEARENA_IOC_*
 * @arg: pointer to the call's structure
 *
 * Context: process; may sleep.
 * Return: 0 or an error, as the uapi header says.
 */
long pa_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pa_arena *arena = file->private_data;
	struct pa_arg user = { .ptr = (void __user *)arg };

	switch (cmd) {
	case PAGEARENA_IOC_INFO:
		return pa_ioctl_info(arena, &user);
	case PAGEARENA_IOC_SETUP:
		return pa_ioctl_setup(arena, &user);
	case PAGEARENA_IOC_ALLOC:
	case PAGEARENA_IOC_FREE:
	case PAGEARENA_IOC_SCAVENGE:
	case PAGEARENA_IOC_PROMOTE:
	case PAGEARENA_IOC_STATS:
	case PAGEARENA_IOC_SPANS:
	case PAGEARENA_IOC_QUERY:
	case PAGEARENA_IOC_POLICY:
		break;
	default:
		return -ENOTTY;
	}

	if (!pa_arena_ready(arena))
		return -EBADFD;
	switch (cmd) {
	case PAGEARENA_IOC_ALLOC:
		return pa_ioctl_alloc(arena, &user);
	case PAGEARENA_IOC_FREE:
		return pa_ioctl_free(arena, &user);
	case PAGEARENA_IOC_SCAVENGE:
		return pa_ioctl_scavenge(file, &user);
	case PAGEARENA_IOC_PROMOTE:
		return pa_ioctl_promote(file, &user);
	case PAGEARENA_IOC_STATS:
		return pa_ioctl_stats(arena, &user);
	case PAGEARENA_IOC_SPANS:
		return pa_ioctl_spans(arena, &user);
	case PAGEARENA_IOC_POLICY:
		return pa_ioctl_policy(arena, &user);
	default:
		return pa_ioctl_query(arena, &user);
	}
}
