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
#include "step.h"

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

/*
 * ALLOC and FREE are called more often than all the others.  Where the structure is today's,
 * its fields are read one by one, which is faster than copying it; two of 32 bits at a time,
 * as they lie in memory.
 */
struct pa_pair {
	u32 first;
	u32 second;
};

#define pa_get_pair(pair, ptr, label)						\
do {										\
	u64 __both;								\
										\
	unsafe_get_user(__both, (u64 __user *)(ptr), label);			\
	memcpy(&(pair), &__both, sizeof(__both));				\
} while (0)

#define pa_put_pair(pair, ptr, label)						\
do {										\
	u64 __both;								\
										\
	memcpy(&__both, &(pair), sizeof(__both));				\
	unsafe_put_user(__both, (u64 __user *)(ptr), label);			\
} while (0)

/* Of another size: the same by way of a copy. */
static noinline int pa_alloc_in_copy(struct pa_arg *arg, struct pa_step *step, struct pa_pair *tail)
{
	struct pagearena_alloc req;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	if (err)
		return err;
	step->flags = req.flags;
	step->length = req.length;
	step->align = req.align;
	step->offset = req.offset;
	tail->first = req.out_flags;
	tail->second = req.__pad;
	return pa_copy_out(arg, &req, sizeof(req));
}

/* For ALLOC the ends of the structure are written, too: see at the top of this file. */
static __always_inline int pa_alloc_in(struct pa_arg *arg, struct pa_step *step,
				       struct pa_pair *tail)
{
	struct pagearena_alloc __user *from = arg->ptr;
	struct pa_pair head;

	if (!user_access_begin(from, sizeof(*from)))
		return -EFAULT;
	pa_get_pair(head, &from->size, fault);
	if (unlikely(head.first != sizeof(*from))) {
		user_access_end();
		return pa_alloc_in_copy(arg, step, tail);
	}
	unsafe_get_user(step->length, &from->length, fault);
	unsafe_get_user(step->align, &from->align, fault);
	unsafe_get_user(step->offset, &from->offset, fault);
	pa_get_pair(*tail, &from->out_flags, fault);
	pa_put_pair(head, &from->size, fault);
	pa_put_pair(*tail, &from->out_flags, fault);
	user_access_end();
	step->flags = head.second;
	return 0;
fault:
	user_access_end();
	return -EFAULT;
}

static __always_inline int pa_alloc_out(struct pa_arg *arg, const struct pa_step *step)
{
	struct pagearena_alloc __user *to = arg->ptr;

	if (!user_access_begin(to, sizeof(*to)))
		return -EFAULT;
	unsafe_put_user(step->length, &to->length, fault);
	unsafe_put_user(step->offset, &to->offset, fault);
	unsafe_put_user(step->out_flags, &to->out_flags, fault);
	user_access_end();
	return 0;
fault:
	user_access_end();
	return -EFAULT;
}

static noinline int pa_ioctl_alloc(struct pa_arena *arena, void __user *ptr)
{
	struct pa_arg arg = { .ptr = ptr };
	struct pa_pair tail;
	struct pa_step step;
	int err = pa_alloc_in(&arg, &step, &tail);

	if (unlikely(err))
		return err;
	if (step.flags & ~PA_ALLOC_FLAGS || tail.first || tail.second ||
	    (step.offset && !(step.flags & PAGEARENA_ALLOC_FIXED)))
		return -EINVAL;
	step.had = 0;
	if (likely(!step.flags && !step.align)) {
		bool done;

		/* This makes no spares, and nothing that the shrinker would have to know of. */
		spin_lock(&arena->lock);
		done = pa_quick_alloc(arena, pa_plain(arena), &step.offset, &step.length,
				      &step.out_flags);
		spin_unlock(&arena->lock);
		if (likely(done))
			goto out;
	}
	err = pa_arena_alloc(arena, &step);
	if (err)
		return err;
out:
	err = pa_alloc_out(&arg, &step);
	if (unlikely(err))
		pa_step_undo(arena, &step);
	return err;
}

static noinline int pa_free_in_copy(struct pa_arg *arg, struct pa_step *step)
{
	struct pagearena_free req;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	step->flags = req.flags;
	step->offset = req.offset;
	step->length = req.length;
	return err;
}

static __always_inline int pa_free_in(struct pa_arg *arg, struct pa_step *step)
{
	struct pagearena_free __user *from = arg->ptr;
	struct pa_pair head;

	if (!user_access_begin(from, sizeof(*from)))
		return -EFAULT;
	pa_get_pair(head, &from->size, fault);
	if (unlikely(head.first != sizeof(*from))) {
		user_access_end();
		return pa_free_in_copy(arg, step);
	}
	unsafe_get_user(step->offset, &from->offset, fault);
	unsafe_get_user(step->length, &from->length, fault);
	user_access_end();
	step->flags = head.second;
	return 0;
fault:
	user_access_end();
	return -EFAULT;
}

static noinline int pa_ioctl_free(struct pa_arena *arena, void __user *ptr)
{
	struct pa_arg arg = { .ptr = ptr };
	struct pa_hold hold;
	struct pa_step step;
	int err = pa_free_in(&arg, &step);
	bool done;

	if (unlikely(err))
		return err;
	if (step.flags)
		return -EINVAL;
	pa_hold_begin(arena, &hold, true);
	done = pa_quick_free(arena, &hold, pa_plain(arena), step.offset, step.length, &err);
	pa_hold_end(arena);
	if (unlikely(!done)) {
		step.had = 0;
		return pa_arena_free(arena, &step);
	}
	pa_background_notice(arena);
	return err;
}

static int pa_ioctl_resize(struct pa_arena *arena, struct pa_arg *arg)
{
	struct pagearena_resize req;
	struct pa_step step = {};
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));

	if (err)
		return err;
	if (req.flags & ~PA_RESIZE_FLAGS || req.out_flags || req.__pad)
		return -EINVAL;
	err = pa_copy_out(arg, &req, sizeof(req));
	if (err)
		return err;
	step.offset = req.offset;
	step.length = req.length;
	step.had = req.old_length;
	step.flags = req.flags;
	err = pa_arena_resize(arena, &step);
	if (err)
		return err;
	req.length = step.length;
	req.old_length = step.had;
	req.out_flags = step.out_flags;
	err = pa_copy_out(arg, &req, sizeof(req));
	/* What was cut off may belong to somebody else by now. */
	if (err && step.length > step.had)
		pa_step_undo(arena, &step);
	return err;
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

/* As many as fit in 64 KiB are cleared without a look whether somebody else shall run. */
#define PA_RESULTS_BATCH	16384UL

/*
 * All of PROMOTE's answer must have a place before anything happens.  The largest arena has many
 * millions of chunks.
 */
static int pa_clear_results(u32 __user *results, unsigned long nr)
{
	unsigned long n;

	for (; nr; nr -= n, results += n) {
		n = min(nr, PA_RESULTS_BATCH);
		if (clear_user(results, n * sizeof(*results)))
			return -EFAULT;
		/* It would begin from the start after any other. */
		if (n < nr && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
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
	if (arena->setup.huge == PAGEARENA_HUGE_OFF)
		return -EOPNOTSUPP;
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
	err = pa_clear_results(results, min_t(u64, req.nr_results, end - first));
	if (err)
		return err;
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

/* Operations of a batch that are copied in at a time, and done under one hold of the lock. */
#define PA_BATCH_OPS	32

/* A batch under way. */
struct pa_batch {
	struct pa_arena *arena;
	struct pagearena_op ops[PA_BATCH_OPS];
	unsigned int nr; /* of @ops */
	bool moved; /* mappings may have been torn */
};

static int pa_batch_scavenge(struct pa_batch *b, unsigned int *i)
{
	struct pa_arena *arena = b->arena;
	struct pagearena_op *op = &b->ops[*i];
	u64 unit = max(arena->setup.span_page, arena->setup.granule);
	u64 start = op->offset, end, freed = 0;
	unsigned int last = *i;
	int err;

	if (op->flags & ~(PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE) ||
	    op->flags == PAGEARENA_SCAVENGE_FORCE || op->align || !op->length ||
	    !IS_ALIGNED(start, unit) || !IS_ALIGNED(op->length, unit))
		return -EINVAL;
	if (start + op->length < start)
		return -EOVERFLOW;
	end = start + op->length;
	if (end > arena->setup.arena_bytes)
		return -EINVAL;
	/* Those that go on where this one ends are one with it. */
	for (; last + 1 < b->nr; last++) {
		struct pagearena_op *next = &b->ops[last + 1];

		if (next->op != PAGEARENA_OP_SCAVENGE || next->flags != op->flags || next->align ||
		    next->offset != end || !next->length || !IS_ALIGNED(next->length, unit) ||
		    next->length > arena->setup.arena_bytes - end)
			break;
		end += next->length;
	}
	err = pa_scavenge_range(arena, start, end - start, op->flags, &freed);
	b->moved = true;
	/* Whatever was released before it, each of them may be asked for again. */
	if (err)
		return err;
	op->length = freed;
	while (*i < last) {
		op = &b->ops[++*i];
		op->length = 0;
		op->result = 0;
		op->out_flags = 0;
	}
	return 0;
}

static int pa_batch_promote(struct pa_batch *b, struct pagearena_op *op)
{
	struct pa_promote_opts opts = {};
	unsigned long index, end;
	bool any = false;
	int huge = 0;

	if (op->flags & ~PAGEARENA_PROMOTE_COMPACT || op->align > 100 || !op->length ||
	    !IS_ALIGNED(op->offset, PA_CHUNK_SIZE) || !IS_ALIGNED(op->length, PA_CHUNK_SIZE))
		return -EINVAL;
	if (op->offset + op->length < op->offset)
		return -EOVERFLOW;
	if (op->offset + op->length > round_up(b->arena->setup.arena_bytes, PA_CHUNK_SIZE))
		return -EINVAL;
	if (b->arena->setup.huge == PAGEARENA_HUGE_OFF)
		return -EOPNOTSUPP;
	opts.compact = op->flags & PAGEARENA_PROMOTE_COMPACT;
	opts.min_pages = max_t(unsigned int, 1, DIV_ROUND_UP(op->align * PA_CHUNK_PAGES, 100));
	index = op->offset >> PA_CHUNK_SHIFT;
	end = index + (op->length >> PA_CHUNK_SHIFT);
	b->moved = true;
	for (; index < end; index++) {
		int ret = pa_chunk_promote(b->arena, index, &opts);

		huge += ret == PAGEARENA_PROMOTE_DONE || ret == PAGEARENA_PROMOTE_ALREADY;
		any |= ret == PAGEARENA_PROMOTE_DONE;
		/* After a signal it is made again from the start, and must come further. */
		if ((any ? signal_pending(current) : fatal_signal_pending(current)) &&
		    index + 1 < end)
			return -EINTR;
		cond_resched();
	}
	return huge;
}

/*
 * Does b->ops.  Returns how many of them were tried.  One that a signal cut short was not: it is
 * as it came in, and can be made again.
 */
static unsigned int pa_batch_run(struct pa_batch *b, bool stop, unsigned int *failed)
{
	unsigned int i = 0;

	while (i < b->nr) {
		struct pagearena_op *op;
		int ret;

		i += pa_arena_steps(b->arena, b->ops + i, b->nr - i, stop, failed);
		if (i == b->nr || (stop && *failed))
			break;
		op = &b->ops[i];
		switch (op->op) {
		case PAGEARENA_OP_NOP:
			ret = op->flags || op->offset || op->length || op->align ? -EINVAL : 0;
			break;
		case PAGEARENA_OP_SCAVENGE:
			ret = pa_batch_scavenge(b, &i);
			break;
		case PAGEARENA_OP_PROMOTE:
			ret = pa_batch_promote(b, op);
			break;
		default:
			ret = -EINVAL;
		}
		if (ret == -EINTR)
			break;
		op->result = ret;
		op->out_flags = 0;
		*failed += ret < 0;
		i++;
		if (ret < 0 && stop)
			break;
	}
	return i;
}

/*
 * What could not be told of did not happen, as far as it can be undone: what was allocated and
 * not freed since is freed.
 */
static void pa_batch_undo(struct pa_batch *b, unsigned int nr)
{
	unsigned int i, j;

	for (i = 0; i < nr; i++) {
		const struct pagearena_op *op = &b->ops[i];
		struct pa_step step = { .offset = op->offset };

		if (op->op != PAGEARENA_OP_ALLOC || op->result)
			continue;
		for (j = i + 1; j < nr; j++)
			if (b->ops[j].op == PAGEARENA_OP_FREE && !b->ops[j].result &&
			    b->ops[j].offset == op->offset)
				break;
		if (j == nr)
			pa_step_undo(b->arena, &step);
	}
}

static int pa_ioctl_batch(struct file *file, struct pa_arg *arg)
{
	struct pa_batch b;
	struct pagearena_op __user *ops;
	struct pagearena_batch req;
	int err = pa_copy_in(arg, &req, sizeof(req), sizeof(req));
	bool stop;

	if (err)
		return err;
	if (req.flags & ~PAGEARENA_BATCH_STOP || !req.count || req.count > PAGEARENA_BATCH_MAX ||
	    req.done || req.failed || req.__pad)
		return -EINVAL;
	err = pa_copy_out(arg, &req, sizeof(req));
	if (err)
		return err;
	b.arena = file->private_data;
	b.moved = false;
	ops = u64_to_user_ptr(req.ops);
	stop = req.flags & PAGEARENA_BATCH_STOP;
	while (req.done < req.count) {
		unsigned int failed = 0, done;

		b.nr = min_t(u32, req.count - req.done, PA_BATCH_OPS);
		if (copy_from_user(b.ops, ops + req.done, b.nr * sizeof(b.ops[0]))) {
			err = -EFAULT;
			break;
		}
		done = pa_batch_run(&b, stop, &failed);
		if (copy_to_user(ops + req.done, b.ops, done * sizeof(b.ops[0]))) {
			pa_batch_undo(&b, done);
			err = -EFAULT;
			break;
		}
		req.done += done;
		req.failed += failed;
		if (stop && failed)
			break;
		if (req.done < req.count && signal_pending(current)) {
			err = -EINTR;
			break;
		}
		cond_resched();
	}
	if (b.moved)
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

/* All calls but ALLOC and FREE. */
static noinline long pa_ioctl_other(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pa_arena *arena = file->private_data;
	struct pa_arg user = { .ptr = (void __user *)arg };
	bool ready = pa_arena_ready(arena);

	switch (cmd) {
	case PAGEARENA_IOC_INFO:
		return pa_ioctl_info(arena, &user);
	case PAGEARENA_IOC_SETUP:
		return pa_ioctl_setup(arena, &user);
	case PAGEARENA_IOC_ALLOC:
	case PAGEARENA_IOC_FREE:
		return -EBADFD;
	case PAGEARENA_IOC_SCAVENGE:
		return ready ? pa_ioctl_scavenge(file, &user) : -EBADFD;
	case PAGEARENA_IOC_PROMOTE:
		return ready ? pa_ioctl_promote(file, &user) : -EBADFD;
	case PAGEARENA_IOC_STATS:
		return ready ? pa_ioctl_stats(arena, &user) : -EBADFD;
	case PAGEARENA_IOC_SPANS:
		return ready ? pa_ioctl_spans(arena, &user) : -EBADFD;
	case PAGEARENA_IOC_QUERY:
		return ready ? pa_ioctl_query(arena, &user) : -EBADFD;
	case PAGEARENA_IOC_POLICY:
		return ready ? pa_ioctl_policy(arena, &user) : -EBADFD;
	case PAGEARENA_IOC_RESIZE:
		return ready ? pa_ioctl_resize(arena, &user) : -EBADFD;
	case PAGEARENA_IOC_BATCH:
		return ready ? pa_ioctl_batch(file, &user) : -EBADFD;
	default:
		return -ENOTTY;
	}
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

	if (cmd == PAGEARENA_IOC_ALLOC && likely(pa_arena_ready(arena)))
		return pa_ioctl_alloc(arena, (void __user *)arg);
	if (cmd == PAGEARENA_IOC_FREE && likely(pa_arena_ready(arena)))
		return pa_ioctl_free(arena, (void __user *)arg);
	return pa_ioctl_other(file, cmd, arg);
}
