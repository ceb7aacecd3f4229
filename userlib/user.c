// SPDX-License-Identifier: MIT
/*
 * An arena without the module: the module's own heap (kmod/span_heap.c), in this process.
 *
 * It answers the calls of <linux/pagearena.h> about a descriptor that is a memfd, so that nothing
 * above it knows the difference.  Memory comes with the first touch of the memfd's mapping, and
 * is given back by punching a hole.  What only a kernel can do is not there: free memory can be
 * touched; there is no pressure, no background work but what is done beside calls, no choice
 * of huge folios beyond advice; and the heap is this process's, not that of all that have the
 * descriptor.
 *
 * One mutex for each arena.  Entries of the list are never freed, so it is read without a lock.
 * In a child the heaps of its parent are copies, and of no use: pa_process() tells.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#include "span_heap.h"

#define HUGE_SHIFT 21
#define HUGE_BYTES (1ULL << HUGE_SHIFT)
#define ARENA_MAX (1ULL << 46)
#define SPAN_PAGE_MIN 4096ULL

/* Old free memory is looked for this often, beside calls that free. */
#define LOOK_EVERY_NS 50000000ULL

/* What is cleared by writing; more is given back, and comes back zero. */
#define CLEAR_MAX (256ULL << 10)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/**
 * struct user_arena - an arena without the module
 * @next: the next one of the list
 * @fd: its memfd, -1: free for use
 * @lock: protects the rest
 * @heap: its heap
 * @setup: its geometry; arena_bytes is 0 before SETUP
 * @policy: as in force
 * @base: where it is mapped, NULL: not yet
 * @id: its number
 * @page: bytes of an MMU page
 * @process: pa_process() of whom it belongs to
 * @dev: device of its memfd
 * @ino: its inode
 * @from: begin of the range that is being scavenged
 * @to: its end
 * @stuck: past a soft limit, and nothing has been freed since there was nothing to release
 * @looked: when old free memory was looked for
 * @backed_peak: the most that was backed, as far as it was looked at
 * @zeroed: bytes cleared for PAGEARENA_ALLOC_ZERO
 * @aged: bytes that went back by age
 * @limited: bytes that went back for the limit
 */
struct user_arena {
	struct user_arena *next;
	atomic_int fd;
	pthread_mutex_t lock;
	struct span_heap heap;
	struct pagearena_setup setup;
	struct pagearena_policy policy;
	char *base;
	uint64_t id;
	uint64_t page;
	unsigned int process;
	dev_t dev;
	ino_t ino;
	uint64_t from;
	uint64_t to;
	bool stuck;
	uint64_t looked;
	uint64_t backed_peak;
	uint64_t zeroed;
	uint64_t aged;
	uint64_t limited;
};

static struct user_arena *_Atomic arenas;
static uint64_t last_id;

static bool aligned(uint64_t n, uint64_t to)
{
	return !(n & (to - 1));
}

static bool power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

static unsigned int log2_of(uint64_t n)
{
	return 63 - (unsigned int)__builtin_clzll(n);
}

static uint64_t backed_bytes(const struct user_arena *u)
{
	struct stat st;

	return fstat(u->fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

/*
 * Bytes of a range that have memory.  Of a page that spans share, as a span page may be smaller
 * than an MMU page, each has its part.
 */
static uint64_t backed_in(const struct user_arena *u, uint64_t offset, uint64_t length)
{
	unsigned char present[1024];
	uint64_t sum = 0, n, i, end = offset + length, at, to;

	if (!u->base)
		return 0;
	for (at = offset & ~(u->page - 1); at < end; at += n * u->page) {
		n = (end - at + u->page - 1) / u->page;
		if (n > sizeof(present))
			n = sizeof(present);
		if (mincore(u->base + at, (size_t)(n * u->page), present))
			return sum;
		for (i = 0; i < n; i++) {
			if (!(present[i] & 1))
				continue;
			to = at + (i + 1) * u->page;
			sum += (to < end ? to : end) -
			       (at + i * u->page > offset ? at + i * u->page : offset);
		}
	}
	return sum;
}

/* Is there memory behind any of a range, perhaps swapped out? */
static bool has_data(const struct user_arena *u, uint64_t from, uint64_t to)
{
	off_t at = lseek(u->fd, (off_t)from, SEEK_DATA);

	return at < 0 ? errno != ENXIO : (uint64_t)at < to;
}

/**
 * struct extent - a run of the memfd that has memory, and what comes before it has none
 * @from: where it begins
 * @to: its end
 */
struct extent {
	uint64_t from;
	uint64_t to;
};

/*
 * Bytes of a range that have memory, perhaps swapped out, which mincore() does not tell.  Only for
 * ranges in ascending order with one @x, that begins as 0: the end of a run may be far off, and is
 * looked for once.
 */
static uint64_t data_in(const struct user_arena *u, uint64_t from, uint64_t to, struct extent *x)
{
	uint64_t sum = 0, begin, end;
	off_t at;

	while (from < to) {
		if (from >= x->to) {
			at = lseek(u->fd, (off_t)from, SEEK_DATA);
			x->from = at < 0 ? UINT64_MAX : (uint64_t)at;
			at = at < 0 ? at : lseek(u->fd, at, SEEK_HOLE);
			x->to = at < 0 ? UINT64_MAX : (uint64_t)at;
		}
		begin = from > x->from ? from : x->from;
		end = to < x->to ? to : x->to;
		if (begin < end)
			sum += end - begin;
		from = end;
	}
	return sum;
}

static int release(void *ctx, u64 offset, u64 len)
{
	struct user_arena *u = ctx;
	int err, state;

	/* Of all that is called with the lock held, this alone is a point of cancellation. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	err = fallocate(u->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			(off_t)len) ? -errno : 0;
	pthread_setcancelstate(state, NULL);
	return err;
}

/* Of a span, only what lies in the range that is being scavenged. */
static bool trim(void *ctx, u64 *offset, u64 *len)
{
	const struct user_arena *u = ctx;
	u64 from = *offset > u->from ? *offset : u->from;
	u64 to = *offset + *len < u->to ? *offset + *len : u->to;

	*offset = from;
	*len = from < to ? to - from : 0;
	return *len;
}

static const struct span_heap_ops heap_ops = {
	.unused = release,
	.trim = trim,
};

static bool fill_spares(struct user_arena *u)
{
	struct span_index *x;
	struct span *s;

	/*
	 * Twice what a call may need: what it did may have to be undone.  And one for each span
	 * that is allocated, so that it can always be freed.
	 */
	while (u->heap.nr_indices < u->heap.nr_recent + u->heap.stats.spans_inuse +
					    2 * SPAN_HEAP_SPARES) {
		x = calloc(1, sizeof(*x));
		if (!x)
			return false;
		span_heap_add_index(&u->heap, x);
	}
	while (u->heap.nr_spares < 2 * SPAN_HEAP_SPARES) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return false;
		span_heap_add_spare(&u->heap, s);
	}
	return true;
}

/* Memory that is free and not given back. */
static uint64_t warm(const struct user_arena *u)
{
	return u->heap.stats.heap_idle - u->heap.stats.heap_released;
}

/* What the module does in the background. */
static void look_for_old(struct user_arena *u, uint64_t now)
{
	uint64_t keep = u->heap.stats.heap_inuse / 100 * u->policy.retain_percent;

	if (!u->policy.scavenge_percent || now - u->looked < LOOK_EVERY_NS)
		return;
	u->looked = now;
	if (warm(u) > keep && fill_spares(u))
		u->aged += span_heap_scavenge_age(&u->heap, now, u->policy.scavenge_age_ns,
						  warm(u) - keep, NULL);
}

static bool hard_limit(const struct user_arena *u)
{
	return u->policy.limit && !u->policy.limit_soft;
}

/* May so much more be allocated, if all that is free goes for it? */
static bool within_limit(const struct user_arena *u, uint64_t more)
{
	return !hard_limit(u) || u->heap.stats.heap_inuse + more <= u->policy.limit;
}

/* A touch that backs a whole huge page backs free memory, too, past any limit. */
static bool wants_huge(const struct user_arena *u)
{
	return !hard_limit(u) && (u->setup.huge == PAGEARENA_HUGE_AUTO ||
				  u->setup.huge == PAGEARENA_HUGE_ALWAYS);
}

static void advise_huge(const struct user_arena *u, void *base, size_t len)
{
	madvise(base, len, wants_huge(u) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* May spans share an MMU page? */
static bool shares(const struct user_arena *u)
{
	return u->setup.span_page < u->page;
}

/* What counts against a limit, at most: all that is allocated, and what is free and warm. */
static uint64_t held_at_most(const struct user_arena *u)
{
	const struct span_heap_stats *h = &u->heap.stats;

	/* A span that is smaller than a page takes all of it. */
	return h->heap_inuse + warm(u) + (shares(u) ? h->spans_inuse * 2 * u->page : 0);
}

/* The same, counted: of what is free, no more than has memory. */
static uint64_t held(struct user_arena *u)
{
	uint64_t sum = 0, backed = backed_bytes(u), inuse = 0, from, to, end = 0;
	struct extent x = { 0 };
	struct span *s;

	for (s = span_heap_first(&u->heap); s; s = span_heap_next(s)) {
		if (s->state != SPAN_INUSE)
			continue;
		from = span_offset(s, &u->heap) & ~(u->page - 1);
		to = span_offset(s, &u->heap) + span_bytes(s, &u->heap);
		to = (to + u->page - 1) & ~(u->page - 1);
		/* Pages that the span before has a part of are counted. */
		from = from > end ? from : end;
		if (from >= to)
			continue;
		sum += to - from;
		inuse += data_in(u, from, to, &x);
		end = to;
	}
	return sum + (backed > inuse ? backed - inuse : 0);
}

/* Releases free memory until the limit holds.  A soft one is a goal. */
static int keep_to_limit(struct user_arena *u)
{
	uint64_t limit = u->policy.limit, sum = held_at_most(u), freed;

	if (!limit || sum <= limit)
		return 0;
	/* Past a goal nothing is counted, which would take longer the more spans there are. */
	if (u->policy.limit_soft) {
		if (!warm(u) || u->stuck || !fill_spares(u))
			return 0;
		freed = span_heap_scavenge_bytes(&u->heap, sum - limit, NULL);
		u->limited += freed;
		u->stuck = !freed;
		return 0;
	}
	/* Most of the time that is enough, and nothing has to be counted. */
	if (!shares(u) && fill_spares(u))
		u->limited += span_heap_scavenge_bytes(&u->heap, sum - limit, NULL);
	while (held_at_most(u) > limit && (sum = held(u)) > limit) {
		freed = fill_spares(u) ? span_heap_scavenge_bytes(&u->heap, sum - limit, NULL) : 0;
		u->limited += freed;
		if (!freed)
			return -ENOMEM;
	}
	return 0;
}

/*
 * The calls.  Each returns 0 or a negative errno, and then what it wrote to its structure is lost.
 */

/* What an entry of the page middle directory maps: as many pages as a page has entries. */
static uint64_t pmd_size(const struct user_arena *u)
{
	return u->page / 8 * u->page;
}

static int do_info(struct user_arena *u, struct pagearena_info *info)
{
	uint32_t size = info->size;

	if (info->flags)
		return -EINVAL;
	memset(info, 0, sizeof(*info));
	info->size = size;
	info->abi_version = PAGEARENA_ABI_VERSION;
	info->page_size = (uint32_t)u->page;
	info->huge_size = HUGE_BYTES;
	info->pmd_size = pmd_size(u);
	info->span_page_min = SPAN_PAGE_MIN;
	info->span_page_max = HUGE_BYTES;
	info->arena_bytes_max = ARENA_MAX;
	info->span_pages_max = SPAN_HEAP_MAX_PAGES;
	info->arena_id = u->id;
	if (!u->setup.arena_bytes)
		return 0;
	info->arena_bytes = u->setup.arena_bytes;
	info->span_page = u->setup.span_page;
	info->granule = u->setup.granule;
	info->growth = u->setup.growth;
	info->limit = u->policy.limit;
	info->setup_flags = u->setup.flags;
	info->fit = u->setup.fit;
	info->huge = u->setup.huge;
	return 0;
}

static int do_setup(struct user_arena *u, struct pagearena_setup *s)
{
	struct span_heap_config cfg = { .huge_shift = HUGE_SHIFT };
	struct rlimit size;
	int err;

	if (s->flags & ~(PAGEARENA_SETUP_DEBUG | PAGEARENA_SETUP_SOFT_LIMIT))
		return -EINVAL;
	if (u->setup.arena_bytes)
		return -EEXIST;
	/* A freed span cannot be taken out of reach page by page without great cost. */
	if (s->flags & PAGEARENA_SETUP_DEBUG || s->fit > PAGEARENA_FIT_PLACED ||
	    s->huge > PAGEARENA_HUGE_OFF)
		return -EOPNOTSUPP;
	s->span_page = s->span_page ? s->span_page : 8192;
	s->granule = s->granule ? s->granule : u->page;
	if (!power_of_2(s->span_page) || s->span_page < SPAN_PAGE_MIN ||
	    s->span_page > HUGE_BYTES || !power_of_2(s->granule) || s->granule < u->page ||
	    s->granule > HUGE_BYTES || s->arena_bytes > ARENA_MAX)
		return -EINVAL;
	if (!s->growth)
		s->growth = s->arena_bytes < 64ULL << 20 ? s->arena_bytes : 64ULL << 20;
	s->fit = s->fit ? s->fit : PAGEARENA_FIT_PLACED;
	cfg.size = s->arena_bytes;
	cfg.growth = s->growth;
	cfg.page_shift = (u8)log2_of(s->span_page);
	cfg.granule_shift = (u8)log2_of(s->granule);
	cfg.fit = s->fit == PAGEARENA_FIT_BEST	? SPAN_FIT_BEST :
		  s->fit == PAGEARENA_FIT_FIRST ? SPAN_FIT_FIRST :
						  SPAN_FIT_PLACED;
	cfg.reuse = cfg.fit == SPAN_FIT_PLACED;
	err = span_heap_init(&u->heap, &cfg, &heap_ops, u);
	if (err)
		return err;
	/* Past that, a signal would end the process. */
	if (!getrlimit(RLIMIT_FSIZE, &size) && size.rlim_cur < s->arena_bytes)
		return -ENOMEM;
	if (ftruncate(u->fd, (off_t)s->arena_bytes)) {
		err = -errno;
		return err;
	}
	u->setup = *s;
	u->policy.limit = s->limit;
	u->policy.limit_soft = !!(s->flags & PAGEARENA_SETUP_SOFT_LIMIT);
	return 0;
}

/* Whole span pages of a length; 0 if it does not fit. */
static uint64_t pages_of(const struct user_arena *u, uint64_t length)
{
	uint64_t unit = u->setup.span_page;

	return length > UINT64_MAX - (unit - 1) ? 0 : (length + unit - 1) >> log2_of(unit);
}

/* Makes what was allocated what the flags ask for. */
static int prepare(struct user_arena *u, uint64_t offset, uint64_t length, uint32_t flags,
		   bool needzero, uint32_t *out)
{
	/* Free memory can have been written to. */
	if (flags & PAGEARENA_ALLOC_ZERO && has_data(u, offset, offset + length))
		needzero = true;
	*out = needzero ? 0 : PAGEARENA_ALLOCED_ZERO;
	if (flags & PAGEARENA_ALLOC_ZERO && needzero) {
		if (length <= CLEAR_MAX && u->base)
			memset(u->base + offset, 0, (size_t)length);
		else if (release(u, offset, length))
			return -ENOMEM;
		u->zeroed += length;
		*out = PAGEARENA_ALLOCED_ZERO;
	}
	if (flags & PAGEARENA_ALLOC_POPULATE) {
		uint64_t part = offset & (u->page - 1), at;
		int err;

		if (!u->base)
			return -ENOMEM;
		err = madvise(u->base + offset - part, (size_t)(length + part),
			      MADV_POPULATE_WRITE) ? errno : 0;
		if (err && err != EINVAL)
			return -ENOMEM;
		/* Before 5.14. */
		for (at = offset; err && at < offset + length; at += u->page - (at & (u->page - 1)))
			atomic_fetch_or((atomic_char *)(u->base + at), 0);
		*out |= PAGEARENA_ALLOCED_BACKED;
	}
	return 0;
}

static int do_alloc(struct user_arena *u, struct pagearena_alloc *a)
{
	const uint32_t flags = PAGEARENA_ALLOC_ZERO | PAGEARENA_ALLOC_POPULATE |
			       PAGEARENA_ALLOC_FIXED;
	unsigned int shift = log2_of(u->setup.span_page);
	uint64_t align = a->align < u->setup.span_page ? u->setup.span_page : a->align;
	bool fixed = a->flags & PAGEARENA_ALLOC_FIXED;
	uint64_t pages = pages_of(u, a->length);
	struct span *s;
	int err;

	if (a->flags & ~flags || a->out_flags || a->__pad || !a->length ||
	    (a->align && !power_of_2(a->align)) || (a->offset && !fixed) ||
	    !aligned(a->offset, align))
		return -EINVAL;
	if (!pages)
		return -EOVERFLOW;
	if (fixed && a->offset + (pages << shift) < a->offset)
		return -EOVERFLOW;
	if (pages > SPAN_HEAP_MAX_PAGES || !within_limit(u, pages << shift) || !fill_spares(u))
		return -ENOMEM;
	if (fixed)
		err = span_heap_alloc_at(&u->heap, a->offset >> shift, pages, &s, NULL);
	else
		err = span_heap_alloc(&u->heap, pages, align >> shift, &s, NULL);
	if (err)
		return err;
	a->offset = span_offset(s, &u->heap);
	a->length = pages << shift;
	err = keep_to_limit(u);
	if (!err)
		err = prepare(u, a->offset, a->length, a->flags, s->needzero, &a->out_flags);
	if (err)
		span_heap_free(&u->heap, s->base, 0, pa_now_ns());
	return err;
}

static int do_free(struct user_arena *u, const struct pagearena_free *f)
{
	unsigned int shift = log2_of(u->setup.span_page);
	uint64_t pages = f->length ? pages_of(u, f->length) : 0, now = pa_now_ns();

	if (f->flags || !aligned(f->offset, u->setup.span_page))
		return -EINVAL;
	if ((f->length && !pages) || f->offset + f->length < f->offset)
		return -EOVERFLOW;
	/* Before: what it grows together with is as young as it is. */
	look_for_old(u, now);
	u->stuck = false;
	/* What it takes has been put by. */
	return span_heap_free(&u->heap, f->offset >> shift, pages, now);
}

static int do_resize(struct user_arena *u, struct pagearena_resize *r)
{
	unsigned int shift = log2_of(u->setup.span_page);
	uint64_t old = r->old_length ? pages_of(u, r->old_length) : 0, pages, had;
	uint64_t now = pa_now_ns();
	bool needzero;
	struct span *s;
	int err;

	if (r->flags & ~(PAGEARENA_ALLOC_ZERO | PAGEARENA_ALLOC_POPULATE) || r->out_flags ||
	    r->__pad || !r->length || !aligned(r->offset, u->setup.span_page))
		return -EINVAL;
	pages = pages_of(u, r->length);
	if (!pages || (r->old_length && !old) || r->offset + (pages << shift) < r->offset ||
	    r->offset + r->old_length < r->offset)
		return -EOVERFLOW;
	err = span_heap_lookup(&u->heap, r->offset >> shift, old, &s);
	if (err)
		return err;
	had = s->npages;
	if (pages > SPAN_HEAP_MAX_PAGES || !fill_spares(u) ||
	    (pages > had && !within_limit(u, (pages - had) << shift)))
		return -ENOMEM;
	err = span_heap_resize(&u->heap, r->offset >> shift, had, pages, now, &s, NULL);
	if (err)
		return err;
	r->out_flags = PAGEARENA_ALLOCED_ZERO | PAGEARENA_ALLOCED_BACKED;
	if (pages > had) {
		needzero = s->needzero;
		err = keep_to_limit(u);
		if (!err)
			err = prepare(u, r->offset + (had << shift), (pages - had) << shift,
				      r->flags, needzero, &r->out_flags);
		if (err) {
			/* There were spares enough for this, too. */
			span_heap_resize(&u->heap, r->offset >> shift, pages, had, now, &s, NULL);
			return err;
		}
	}
	if (pages < had)
		u->stuck = false;
	r->length = pages << shift;
	r->old_length = had << shift;
	return 0;
}

/* Free memory that has been released may have been touched since, or be part of a huge page. */
static void release_touched(struct user_arena *u)
{
	uint64_t granule = u->setup.granule, from, to;
	struct span *s;

	for (s = span_heap_first(&u->heap); s; s = span_heap_next(s)) {
		if (s->state != SPAN_FREE || !s->scavenged)
			continue;
		from = (span_offset(s, &u->heap) + granule - 1) & ~(granule - 1);
		to = (span_offset(s, &u->heap) + span_bytes(s, &u->heap)) & ~(granule - 1);
		if (from < to && has_data(u, from, to))
			release(u, from, to - from);
	}
}

static int do_scavenge(struct user_arena *u, struct pagearena_scavenge *s)
{
	const uint32_t flags = PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE;
	uint64_t before;

	if (s->flags & ~flags || s->flags == PAGEARENA_SCAVENGE_FORCE || !s->bytes ||
	    s->released || s->backed)
		return -EINVAL;
	if (!fill_spares(u))
		return -ENOMEM;
	before = backed_bytes(u);
	if (s->bytes == UINT64_MAX && !s->min_age_ns)
		release_touched(u);
	if (s->min_age_ns)
		s->released = span_heap_scavenge_age(&u->heap, pa_now_ns(), s->min_age_ns, s->bytes,
						     NULL);
	else
		s->released = span_heap_scavenge_bytes(&u->heap, s->bytes, NULL);
	s->backed = backed_bytes(u);
	/* Others may have touched some meanwhile. */
	s->backed = s->backed < before ? before - s->backed : 0;
	return 0;
}

/* As the kernel does with any memory; whether it was huge before cannot be told. */
static uint32_t promote_chunk(struct user_arena *u, uint64_t offset, uint32_t density,
			      uint64_t deadline)
{
	unsigned int shift = log2_of(u->setup.span_page);
	uint64_t end = offset + HUGE_BYTES, live = 0, more = 0, fresh = 0, from, to, backed;
	struct span *s = span_heap_find(&u->heap, offset >> shift);
	bool done;

	for (; s && span_offset(s, &u->heap) < end; s = span_heap_next(s)) {
		from = span_offset(s, &u->heap);
		to = from + span_bytes(s, &u->heap);
		from = from > offset ? from : offset;
		to = to < end ? to : end;
		backed = backed_in(u, from, to - from);
		if (s->state == SPAN_INUSE) {
			live += backed;
			continue;
		}
		fresh += to - from - backed;
		more += s->scavenged ? to - from : 0;
	}
	if (!live)
		return PAGEARENA_PROMOTE_EMPTY;
	if (end > u->heap.stats.heap_sys)
		return PAGEARENA_PROMOTE_BUSY;
	if (live * 100 < HUGE_BYTES * density)
		return PAGEARENA_PROMOTE_SPARSE;
	if (hard_limit(u) && held_at_most(u) + more > u->policy.limit &&
	    held(u) + fresh > u->policy.limit)
		return PAGEARENA_PROMOTE_LIMIT;
	if (pa_now_ns() > deadline)
		return PAGEARENA_PROMOTE_DEADLINE;
	/* Of a range with no whole PMD in it the kernel says that it is done. */
	if (!u->base || pmd_size(u) != HUGE_BYTES ||
	    !aligned((uintptr_t)u->base + offset, HUGE_BYTES))
		return PAGEARENA_PROMOTE_NOMEM;
	if (!fill_spares(u))
		return PAGEARENA_PROMOTE_NOMEM;
	/* It is by this call alone that some arenas have huge pages. */
	if (!wants_huge(u))
		madvise(u->base + offset, HUGE_BYTES, MADV_HUGEPAGE);
	done = !madvise(u->base + offset, HUGE_BYTES, MADV_COLLAPSE);
	if (!wants_huge(u))
		madvise(u->base + offset, HUGE_BYTES, MADV_NOHUGEPAGE);
	if (!done)
		return PAGEARENA_PROMOTE_NOMEM;
	/* There is memory behind all of it now, to be given back again. */
	span_heap_unscavenge(&u->heap, offset >> shift, HUGE_BYTES >> shift, pa_now_ns());
	return PAGEARENA_PROMOTE_DONE;
}

static int do_promote(struct user_arena *u, struct pagearena_promote *p)
{
	uint32_t *results = (uint32_t *)(uintptr_t)p->results, what;
	uint64_t i, n = p->length >> HUGE_SHIFT, deadline;

	if (p->flags & ~PAGEARENA_PROMOTE_COMPACT || p->min_density > 100 || !p->length ||
	    !aligned(p->offset | p->length, HUGE_BYTES) || !p->nr_results != !p->results)
		return -EINVAL;
	for (i = 0; i < 16; i++)
		if (p->counts[i])
			return -EINVAL;
	if (p->offset + p->length < p->offset)
		return -EOVERFLOW;
	if (p->offset + p->length > ((u->setup.arena_bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1)))
		return -EINVAL;
	if (u->setup.huge == PAGEARENA_HUGE_OFF)
		return -EOPNOTSUPP;
	if (!p->deadline_ns || __builtin_add_overflow(pa_now_ns(), p->deadline_ns, &deadline))
		deadline = UINT64_MAX;
	for (i = 0; i < n; i++) {
		what = promote_chunk(u, p->offset + (i << HUGE_SHIFT), p->min_density, deadline);
		p->counts[what]++;
		if (i < p->nr_results)
			results[i] = what;
	}
	return 0;
}

static void fill_span(struct user_arena *u, const struct span *s, struct pagearena_span *to)
{
	uint64_t now = pa_now_ns();

	memset(to, 0, sizeof(*to));
	to->offset = span_offset(s, &u->heap);
	to->length = span_bytes(s, &u->heap);
	to->state = s->state == SPAN_INUSE ? PAGEARENA_SPAN_INUSE :
		    s->state == SPAN_FREE  ? PAGEARENA_SPAN_FREE :
					     PAGEARENA_SPAN_TRANSIT;
	to->flags = (s->scavenged ? PAGEARENA_SPAN_SCAVENGED : 0) |
		    (s->needzero ? PAGEARENA_SPAN_NEEDZERO : 0);
	if (s->state == SPAN_FREE && s->unusedsince)
		to->age_ns = now - s->unusedsince;
	to->backed = backed_in(u, to->offset, to->length);
}

static int do_stats(struct user_arena *u, struct pagearena_stats *st)
{
	const struct span_heap_stats *h = &u->heap.stats;
	uint32_t size = st->size;
	const struct span *s;

	if (st->flags & ~PAGEARENA_STATS_PRESSURE)
		return -EINVAL;
	memset(st, 0, sizeof(*st));
	st->size = size;
	st->heap_sys = h->heap_sys;
	st->heap_inuse = h->heap_inuse;
	st->heap_idle = h->heap_idle;
	st->heap_released = h->heap_released;
	for (s = span_heap_first(&u->heap); s; s = span_heap_next((struct span *)s)) {
		uint64_t backed = backed_in(u, span_offset(s, &u->heap), span_bytes(s, &u->heap));

		if (s->state == SPAN_INUSE)
			st->backed_inuse += backed;
		else
			st->backed_free += backed;
	}
	st->backed = st->backed_inuse + st->backed_free;
	st->small_bytes = st->backed;
	if (st->backed > u->backed_peak)
		u->backed_peak = st->backed;
	st->backed_peak = u->backed_peak;
	st->inuse_peak = h->inuse_peak;
	st->spans_inuse = h->spans_inuse;
	st->spans_free = h->spans_free;
	st->spans_scavenged = h->spans_scavenged;
	st->nr_alloc = h->nr_alloc;
	st->nr_free = h->nr_free;
	st->nr_grow = h->nr_grow;
	st->nr_scavenge = h->nr_scavenge;
	st->bytes_zeroed = u->zeroed;
	st->bytes_background = u->aged;
	st->bytes_limited = u->limited;
	return 0;
}

static int do_spans(struct user_arena *u, struct pagearena_spans *q)
{
	struct pagearena_span *to = (struct pagearena_span *)(uintptr_t)q->spans;
	uint32_t room = q->count;
	struct span *s;

	if (q->flags || q->__pad || !room || q->offset > u->setup.arena_bytes)
		return -EINVAL;
	q->count = 0;
	s = q->offset < u->heap.stats.heap_sys ?
		span_heap_find(&u->heap, q->offset >> log2_of(u->setup.span_page)) : NULL;
	for (; s && q->count < room; s = span_heap_next(s)) {
		fill_span(u, s, &to[q->count++]);
		q->offset = span_offset(s, &u->heap) + span_bytes(s, &u->heap);
	}
	return 0;
}

static int do_query(struct user_arena *u, struct pagearena_query *q)
{
	static const struct pagearena_span none;
	struct span *s;

	if (q->flags || memcmp(&q->span, &none, sizeof(none)) ||
	    q->offset >= u->setup.arena_bytes)
		return -EINVAL;
	s = span_heap_find(&u->heap, q->offset >> log2_of(u->setup.span_page));
	if (!s)
		return -ENOENT;
	fill_span(u, s, &q->span);
	return 0;
}

static int do_policy(struct user_arena *u, struct pagearena_policy *p)
{
	struct pagearena_policy new = u->policy, old = u->policy;
	uint32_t size = p->size, set = p->set;
	int err;

	if (p->set >> 7 || p->__pad || p->promote_percent > 100 || p->promote_density > 100 ||
	    p->scavenge_percent > 100 || p->retain_percent > 1000 || p->limit_soft > 1 ||
	    p->scavenge_age_ns >> 63)
		return -EINVAL;
	/* What is not named must be 0. */
	if ((p->promote_percent && !(p->set & PAGEARENA_POLICY_PROMOTE_PERCENT)) ||
	    (!p->promote_density != !(p->set & PAGEARENA_POLICY_PROMOTE_DENSITY)) ||
	    (p->scavenge_percent && !(p->set & PAGEARENA_POLICY_SCAVENGE_PERCENT)) ||
	    (p->retain_percent && !(p->set & PAGEARENA_POLICY_RETAIN_PERCENT)) ||
	    (p->scavenge_age_ns && !(p->set & PAGEARENA_POLICY_SCAVENGE_AGE)) ||
	    ((p->limit || p->limit_soft) && !(p->set & PAGEARENA_POLICY_LIMIT)) ||
	    (p->pool_bytes && !(p->set & PAGEARENA_POLICY_POOL)))
		return -EINVAL;
	if (p->set & PAGEARENA_POLICY_PROMOTE_PERCENT)
		new.promote_percent = p->promote_percent;
	if (p->set & PAGEARENA_POLICY_PROMOTE_DENSITY)
		new.promote_density = p->promote_density;
	if (p->set & PAGEARENA_POLICY_SCAVENGE_PERCENT)
		new.scavenge_percent = p->scavenge_percent;
	if (p->set & PAGEARENA_POLICY_RETAIN_PERCENT)
		new.retain_percent = p->retain_percent;
	if (p->set & PAGEARENA_POLICY_SCAVENGE_AGE)
		new.scavenge_age_ns = p->scavenge_age_ns;
	if (p->set & PAGEARENA_POLICY_LIMIT) {
		if (p->limit && !p->limit_soft && u->heap.stats.heap_inuse > p->limit)
			return -ENOMEM;
		new.limit = p->limit;
		new.limit_soft = p->limit_soft;
		u->stuck = false;
	}
	u->policy = new;
	/* What it does not count. */
	if (p->set & PAGEARENA_POLICY_LIMIT && hard_limit(u))
		release_touched(u);
	err = p->set & PAGEARENA_POLICY_LIMIT ? keep_to_limit(u) : 0;
	if (err) {
		u->policy = old;
		return err;
	}
	if (u->base && hard_limit(u) != (old.limit && !old.limit_soft))
		advise_huge(u, u->base, (size_t)u->setup.arena_bytes);
	*p = u->policy;
	p->size = size;
	p->set = set;
	return 0;
}

/* Gives back the free memory of a range. */
static int scavenge_range(struct user_arena *u, struct pagearena_op *op)
{
	uint64_t end = op->offset + op->length, before = backed_bytes(u), unit, at, next;
	struct span *s;
	int err = 0;

	unit = u->setup.span_page > u->setup.granule ? u->setup.span_page : u->setup.granule;
	if (op->flags & ~(PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE) || op->align ||
	    op->flags == PAGEARENA_SCAVENGE_FORCE || !op->length ||
	    !aligned(op->offset | op->length, unit))
		return -EINVAL;
	if (end < op->offset)
		return -EOVERFLOW;
	if (end > u->setup.arena_bytes)
		return -EINVAL;
	span_heap_settle(&u->heap);
	/* Of a span that lies across an end, the part that lies within. */
	u->from = op->offset;
	u->to = end;
	for (at = op->offset; at < end; at = next) {
		s = span_heap_find(&u->heap, at >> log2_of(u->setup.span_page));
		if (!s)
			break;
		next = span_offset(s, &u->heap) + span_bytes(s, &u->heap);
		if (s->state != SPAN_FREE || s->scavenged)
			continue;
		/* It may join its neighbours, so the next one is looked for. */
		if (!fill_spares(u)) {
			err = -ENOMEM;
			break;
		}
		span_heap_scavenge(&u->heap, s);
	}
	u->from = 0;
	u->to = UINT64_MAX;
	if (err)
		return err;
	op->length = backed_bytes(u);
	op->length = op->length < before ? before - op->length : 0;
	return 0;
}

static int do_op(struct user_arena *u, struct pagearena_op *op)
{
	struct pagearena_alloc a = { 0 };
	struct pagearena_free f = { 0 };
	struct pagearena_resize r = { 0 };
	struct pagearena_promote p = { 0 };
	int err;

	op->out_flags = 0;
	switch (op->op) {
	case PAGEARENA_OP_NOP:
		return op->flags || op->offset || op->length || op->align ? -EINVAL : 0;
	case PAGEARENA_OP_ALLOC:
		a.flags = op->flags;
		a.length = op->length;
		a.align = op->align;
		a.offset = op->flags & PAGEARENA_ALLOC_FIXED ? op->offset : 0;
		err = do_alloc(u, &a);
		if (!err) {
			op->offset = a.offset;
			op->length = a.length;
			op->out_flags = a.out_flags;
		}
		return err;
	case PAGEARENA_OP_FREE:
		f.flags = op->flags;
		f.offset = op->offset;
		f.length = op->length;
		return op->align ? -EINVAL : do_free(u, &f);
	case PAGEARENA_OP_RESIZE:
		r.flags = op->flags;
		r.offset = op->offset;
		r.length = op->length;
		err = op->align ? -EINVAL : do_resize(u, &r);
		if (!err) {
			op->length = r.length;
			op->out_flags = r.out_flags;
		}
		return err;
	case PAGEARENA_OP_SCAVENGE:
		return scavenge_range(u, op);
	case PAGEARENA_OP_PROMOTE:
		p.flags = op->flags;
		p.offset = op->offset;
		p.length = op->length;
		p.min_density = (uint32_t)op->align;
		err = op->align > 100 ? -EINVAL : do_promote(u, &p);
		return err ? err : (int)p.counts[PAGEARENA_PROMOTE_DONE];
	default:
		return -EINVAL;
	}
}

static int do_batch(struct user_arena *u, struct pagearena_batch *b)
{
	struct pagearena_op *ops = (struct pagearena_op *)(uintptr_t)b->ops;

	if (b->flags & ~PAGEARENA_BATCH_STOP || !b->count || b->count > PAGEARENA_BATCH_MAX ||
	    b->done || b->failed || b->__pad)
		return -EINVAL;
	while (b->done < b->count && !(b->flags & PAGEARENA_BATCH_STOP && b->failed)) {
		ops[b->done].result = do_op(u, &ops[b->done]);
		b->failed += ops[b->done].result < 0;
		b->done++;
	}
	return 0;
}

/*
 * The structures only grow: one that is longer than ours must be zero there.  @min is the size that
 * was published first.
 */
static int check_size(const struct user_arena *u, const void *arg, size_t ours, size_t min)
{
	const unsigned char *bytes = arg;
	uint32_t size, i;

	memcpy(&size, arg, sizeof(size));
	if (size < min)
		return -EINVAL;
	if (size > u->page)
		return -E2BIG;
	for (i = (uint32_t)ours; i < size; i++)
		if (bytes[i])
			return -E2BIG;
	return 0;
}

/* One of the structures, as long as it is today.  An error leaves the caller's as it was. */
#define CALL_MIN(number, type, func, min) do {				\
		struct type req = { 0 };				\
									\
		if (nr != (number))					\
			break;						\
		err = check_size(u, arg, sizeof(req), min);		\
		if (err)						\
			return err;					\
		memcpy(&size, arg, sizeof(size));			\
		size = size < sizeof(req) ? size : sizeof(req);		\
		memcpy(&req, arg, size);				\
		err = func(u, &req);					\
		if (!err)						\
			memcpy(arg, &req, size);			\
		return err;						\
	} while (0)
#define CALL(number, type, func) CALL_MIN(number, type, func, sizeof(struct type))
#define UP_TO(type, member)						\
	(offsetof(struct type, member) + sizeof(((struct type *)0)->member))

static int dispatch(struct user_arena *u, unsigned long nr, void *arg)
{
	uint32_t size;
	int err;

	CALL(PAGEARENA_IOC_INFO, pagearena_info, do_info);
	CALL(PAGEARENA_IOC_SETUP, pagearena_setup, do_setup);
	if (!u->setup.arena_bytes)
		return -EBADFD;
	CALL(PAGEARENA_IOC_ALLOC, pagearena_alloc, do_alloc);
	CALL(PAGEARENA_IOC_FREE, pagearena_free, do_free);
	CALL(PAGEARENA_IOC_RESIZE, pagearena_resize, do_resize);
	CALL(PAGEARENA_IOC_SCAVENGE, pagearena_scavenge, do_scavenge);
	CALL(PAGEARENA_IOC_PROMOTE, pagearena_promote, do_promote);
	CALL_MIN(PAGEARENA_IOC_STATS, pagearena_stats, do_stats,
		 UP_TO(pagearena_stats, nr_refused));
	CALL(PAGEARENA_IOC_SPANS, pagearena_spans, do_spans);
	CALL(PAGEARENA_IOC_QUERY, pagearena_query, do_query);
	CALL_MIN(PAGEARENA_IOC_POLICY, pagearena_policy, do_policy,
		 UP_TO(pagearena_policy, promote_density));
	CALL(PAGEARENA_IOC_BATCH, pagearena_batch, do_batch);
	return -ENOTTY;
}

static bool mine(const struct user_arena *u)
{
	return u->process == pa_process();
}

/* A child may have closed the descriptor without telling, and have another file there. */
static bool still_there(const struct user_arena *u)
{
	struct stat st;

	return !fstat(u->fd, &st) && st.st_dev == u->dev && st.st_ino == u->ino;
}

static struct user_arena *find(int fd)
{
	struct user_arena *u = atomic_load_explicit(&arenas, memory_order_acquire);

	for (; u; u = u->next)
		if (atomic_load_explicit(&u->fd, memory_order_acquire) == fd &&
		    (mine(u) || still_there(u)))
			break;
	return u;
}

int pa_ioctl(int fd, unsigned long nr, void *arg)
{
	struct user_arena *u;
	int err;

	/* Almost always there are none. */
	u = atomic_load_explicit(&arenas, memory_order_acquire) ? find(fd) : NULL;
	if (!u)
		return ioctl(fd, nr, arg);
	if (!mine(u))
		return fail(EOPNOTSUPP);
	pthread_mutex_lock(&u->lock);
	err = dispatch(u, nr, arg);
	pthread_mutex_unlock(&u->lock);
	return err ? fail(-err) : 0;
}

/*
 * Opening and closing
 */

bool pa_is_user(int fd)
{
	return find(fd);
}

int pa_user_open(void)
{
	struct user_arena *u;
	struct stat st;
	int fd, err;

	if (pa_self_init())
		return -1;
	fd = memfd_create("pagearena", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st)) {
		err = errno;
		close(fd);
		return fail(err);
	}
	pthread_mutex_lock(&pa_self->user_lock);
	/* One of another process may have been copied with its lock held. */
	for (u = arenas; u && (u->fd >= 0 || !mine(u)); u = u->next)
		;
	if (!u) {
		u = calloc(1, sizeof(*u));
		if (!u) {
			err = errno;
			pthread_mutex_unlock(&pa_self->user_lock);
			close(fd);
			return fail(err);
		}
		pthread_mutex_init(&u->lock, NULL);
		u->fd = -1;
		u->process = pa_process();
		u->next = arenas;
		atomic_store(&arenas, u);
	}
	/* As the module's parameters are by default, but for promotion: nobody does that here. */
	u->policy = (struct pagearena_policy){
		.promote_density = 75,
		.scavenge_percent = 1,
		.retain_percent = 10,
		.scavenge_age_ns = 1000000000,
	};
	memset(&u->setup, 0, sizeof(u->setup));
	u->base = NULL;
	u->id = ++last_id;
	u->page = (uint64_t)sysconf(_SC_PAGESIZE);
	u->from = 0;
	u->to = UINT64_MAX;
	u->stuck = false;
	u->looked = 0;
	u->backed_peak = 0;
	u->zeroed = 0;
	u->aged = 0;
	u->limited = 0;
	u->dev = st.st_dev;
	u->ino = st.st_ino;
	atomic_store(&u->fd, fd);
	pthread_mutex_unlock(&pa_self->user_lock);
	return fd;
}

/* It has been mapped: as the module would, no child gets it, and huge pages are asked for. */
void pa_user_mapped(int fd, void *base, size_t len)
{
	struct user_arena *u = find(fd);

	if (!u)
		return;
	u->base = base;
	madvise(base, len, MADV_DONTFORK);
	advise_huge(u, base, len);
}

static void free_span(struct span *s)
{
	free(s);
}

static void free_index(struct span_index *x)
{
	free(x);
}

void pa_close(int fd)
{
	struct user_arena *u = find(fd);

	if (u) {
		pthread_mutex_lock(&pa_self->user_lock);
		/* The copy of another process's heap may be half of one, so it stays. */
		if (u->setup.arena_bytes && mine(u))
			span_heap_destroy(&u->heap, free_span, free_index);
		atomic_store(&u->fd, -1);
		pthread_mutex_unlock(&pa_self->user_lock);
	}
	close(fd);
}
