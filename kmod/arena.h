/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * An arena: a span heap, the memory behind it, and the file that both hang on.
 *
 * Locks, in the order in which they are taken:
 *
 *   pa_arena.anew_lock        mapping anew; before mmap_lock
 *   mmap_lock or VMA lock, setup_lock
 *     pa_arena.scavenge_lock  one scavenging at a time
 *       pa_chunk.lock         what is behind a chunk; held across allocations
 *         folio lock          a page on its way into a page table
 *           i_mmap_rwsem, page-table locks (unmap_mapping_range())
 *             pa_arena.lock   the heap lock: spans, presence of pages, the pool, figures
 *               list_lru's locks; pressure_lock
 *
 * The shrinker can be entered from any allocation, so it only tries chunk locks and folio
 * locks (reclaim.c).
 *
 * The heap lock is a spinlock.  Nothing is copied from or to user space,
 * faulted, zapped or allocated under it.
 */
#ifndef PAGEARENA_ARENA_H
#define PAGEARENA_ARENA_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/memcontrol.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include "../uapi/linux/pagearena.h"

#include "background.h"
#include "compat.h"
#include "pool.h"
#include "span_heap.h"

struct dentry;
struct file;
struct inode;
struct pa_chunk;
struct pa_item;
struct pa_user;
struct seq_file;
struct vm_area_desc;
struct vm_area_struct;

/* Limits and defaults of SETUP, in bytes. */
#define PA_SPAN_PAGE_MIN	4096ULL
#define PA_SPAN_PAGE_DEFAULT	8192ULL
#define PA_GROWTH_DEFAULT	(64ULL << 20)
#define PA_ARENA_MAX		BIT_ULL(47)

/* A heap that has more spares than this gives some back. */
#define PA_SPARES_MAX		64

/* The same for indices, besides those that recently freed spans may need. */
#define PA_INDICES_MAX		128

/* Pages by which a chunk's item may be behind: 256 KiB, whatever a page is. */
#define PA_LATE_PAGES		(0x40000UL >> PAGE_SHIFT)

/* Empty chunks that an arena keeps, as it is likely to fill them again. */
#define PA_KEPT_MAX		128

/* Chunks that are found without a lookup, a power of two. */
#define PA_NEAR			256

/**
 * struct pa_counters - events that STATS reports and that are not the heap's
 *
 * Plain numbers, changed and read under the heap lock, but for those that are counted
 * where the lock is not held anyway; these are atomic.
 */
struct pa_counters {
	atomic64_t fault;
	atomic64_t fault_huge;
	atomic64_t fault_denied;
	atomic64_t fault_failed;
	atomic64_t zap;
	atomic64_t mid_alloc;
	atomic64_t huge_alloc;
	atomic64_t huge_failed;
	atomic64_t promote;
	atomic64_t promote_background;
	atomic64_t demote;
	atomic64_t demote_failed;
	atomic64_t refused[PAGEARENA_PROMOTE_NR];
	atomic64_t bytes_copied;
	atomic64_t bytes_zeroed;
	atomic64_t bytes_background;
	atomic64_t bytes_reclaimed;
	atomic64_t bytes_limited;
	atomic64_t bytes_refault;
};

/**
 * enum pa_pass - what scavenging takes of a free span
 * @PA_PASS_WHOLE: whole chunks
 * @PA_PASS_SPARE: all that does not break a huge folio
 * @PA_PASS_CHUNK: what lies in one chunk, though it breaks its huge folio
 * @PA_PASS_RANGE: what lies in a range
 */
enum pa_pass {
	PA_PASS_WHOLE,
	PA_PASS_SPARE,
	PA_PASS_CHUNK,
	PA_PASS_RANGE,
};

/**
 * enum pa_cause - why memory is released; tracepoints tell the number
 * @PA_CAUSE_CALL: SCAVENGE
 * @PA_CAUSE_LIMIT: the limit
 * @PA_CAUSE_BACKGROUND: the background scavenging
 * @PA_CAUSE_RECLAIM: the shrinker; the chunk is locked already, and nothing may wait
 */
enum pa_cause {
	PA_CAUSE_CALL,
	PA_CAUSE_LIMIT,
	PA_CAUSE_BACKGROUND,
	PA_CAUSE_RECLAIM,
};

/**
 * struct pa_scavenging - a scavenging under way, on the stack of who does it
 * @cause: why
 * @pass: what it takes
 * @index: PA_PASS_CHUNK: number of the chunk
 * @start: PA_PASS_RANGE: start of the range, in bytes
 * @end: PA_PASS_RANGE: its end
 * @max_live: PA_PASS_RANGE: break huge folios with no more live pages than this
 * @chunk: PA_CAUSE_RECLAIM: the chunk
 * @by_size: it takes the largest spans first
 * @outer: PA_CAUSE_RECLAIM: whose turn it is when it has taken its own
 * @done: it can find nothing more
 * @any: it has released something, of whatever use
 * @cut: a signal has ended it
 * @passed: spans that it has passed
 * @left: bytes that it may still take
 * @freed: pages that it has freed
 */
struct pa_scavenging {
	enum pa_cause cause;
	enum pa_pass pass;
	unsigned long index;
	u64 start;
	u64 end;
	unsigned int max_live;
	struct pa_chunk *chunk;
	struct pa_scavenging *outer;
	bool by_size;
	bool done;
	bool any;
	bool cut;
	unsigned int passed;
	u64 left;
	u64 freed;
};

/**
 * struct pa_arena - an arena
 * @id: unique while the module is loaded
 * @inode: anonymous inode; every mapping of the arena hangs on its i_mapping
 * @memcg: pays for data and metadata, see pa_charge_begin(); NULL without memory cgroups
 * @user: whose quota the arena's limit is reserved from; NULL: nobody's
 * @setup: geometry; constant once @ready
 * @quick_bytes: the longest span that is allocated quickly; constant once @ready
 * @setup_lock: serialises SETUP, and changes of the limit
 * @ready: SETUP is complete; read with smp_load_acquire()
 * @lock: the heap lock
 * @heap: the spans; protected by @lock
 * @nr_small: small pages that are present; protected by @lock
 * @nr_huge: chunks that are huge; protected by @lock
 * @nr_inuse: pages present that allocated spans touch; protected by @lock
 * @nr_huge_inuse: of these, pages in huge chunks; protected by @lock
 * @nr_reclaimable: pages that the shrinker could take at once; protected by @lock
 * @nr_sparse: of these, pages that are won by breaking huge folios; protected by @lock
 * @nr_touched: pages that allocated spans touch, backed or not; kept only where spans can be
 *	smaller than a page, see pa_allocated_bytes(); protected by @lock
 * @late: the chunk of which it, and the chunk's item, do not yet say so; see pa_settle();
 *	protected by @lock
 * @limit: most bytes that may be backed, 0: no limit; written under @lock
 * @limit_soft: it is a goal; likewise
 * @limit_new: it was set just now, and more is backed than it allows; under @lock
 * @peak: the most pages that have been present; protected by @lock
 * @scavenge_lock: serialises walks over spans that scavenge
 * @sc: the scavenging that the heap works for; protected by @lock
 * @policy: what the arena does by itself; fields are read and written singly
 * @promote_work: the background promotion
 * @promote_cursor: the chunk that it looks at next
 * @promote_backoff: jiffies that it waits because huge folios are scarce
 * @chunks: struct pa_chunk by chunk number; entries are erased under @lock
 * @near: chunks that were looked up not long ago, by number; protected by @lock
 * @torn: numbers of chunks that were mapped page by page, and are huge or empty now; those
 *	that are huge have a mark (PA_TORN_HUGE)
 * @map_mm: who mapped the arena last; only ever compared
 * @map_base: where the arena's offset 0 would be in that mapping
 * @map_flags: the flags that pa_mmap() gave that mapping
 * @anew_lock: serialises mapping anew
 * @anew_by: the thread that maps anew; written under @anew_lock
 * @anew_found: it was asked for the place, and has found it good; of that thread alone
 * @background: the background scavenging
 * @shadows: what the kernel has released by itself not long ago, by chunk number
 * @pool: huge folios that are zeroed in advance
 * @item: the arena's place in its cgroup's list of arenas
 * @reclaim_pins: shrinkers that are at work on a chunk
 * @pressure_lock: protects the rest of pressure
 * @pressure_wait: who polls
 * @pressure_last: jiffies of the last event
 * @pressure_seq: number of events
 * @pressure_flags: PAGEARENA_PRESSURE_* that the owner has not seen
 * @count: events
 * @debugfs: directory, or NULL or an error
 */
struct pa_arena {
	u64 id;
	struct inode *inode;
	struct mem_cgroup *memcg;
	struct pa_user *user;
	struct pagearena_setup setup;
	u64 quick_bytes;
	struct mutex setup_lock; /* serialises SETUP and limits */
	bool ready;

	spinlock_t lock ____cacheline_aligned_in_smp;
	struct span_heap heap;
	u64 nr_small;
	u64 nr_huge;
	u64 nr_inuse;
	u64 nr_huge_inuse;
	u64 nr_reclaimable;
	u64 nr_sparse;
	u64 nr_touched;
	struct pa_chunk *late;
	u64 limit;
	bool limit_soft;
	bool limit_new;
	u64 peak;

	struct mutex scavenge_lock; /* serialises scavenging */
	struct pa_scavenging *sc;

	struct pagearena_policy policy;
	struct delayed_work promote_work;
	unsigned long promote_cursor;
	unsigned long promote_backoff;

	struct xarray chunks;
	atomic_t nr_kept;
	struct pa_chunk *near[PA_NEAR];
	struct xarray torn;
	const void *map_mm;
	unsigned long map_base;
	vm_flags_t map_flags;
	struct mutex anew_lock; /* serialises mapping anew */
	const struct task_struct *anew_by;
	bool anew_found;
	struct pa_background background;
	struct xarray shadows;
	struct pa_pool pool;
	struct pa_item *item;
	atomic_t reclaim_pins;
	spinlock_t pressure_lock; /* pressure events */
	wait_queue_head_t pressure_wait;
	unsigned long pressure_last;
	u64 pressure_seq;
	unsigned int pressure_flags;
	struct pa_counters count;
	struct dentry *debugfs;
};

/* Chunks on record that can be mapped anew now. */
#define PA_TORN_HUGE	XA_MARK_0

/* arena.c */
int pa_arena_init(void);
void pa_arena_exit(void);
/**
 * struct pa_spares - memory for the heap, on its way
 * @spans: linked through &span.next_spare
 * @indices: linked through &span_index.next_spare
 */
struct pa_spares {
	struct span *spans;
	struct span_index *indices;
};

int pa_add_spares(struct pa_arena *arena, gfp_t gfp);
void pa_add_index(struct pa_arena *arena);
void pa_fill_spares(struct pa_arena *arena);
struct pa_arena *pa_arena_create(void);
void pa_arena_destroy(struct pa_arena *arena);
int pa_arena_setup(struct pa_arena *arena, struct pagearena_setup *setup);
int pa_arena_set_limit(struct pa_arena *arena, u64 limit, bool soft);
void pa_take_excess(struct pa_arena *arena, struct pa_spares *excess);
void pa_free_spares(struct pa_spares *excess);
void pa_arena_stats(struct pa_arena *arena, struct pagearena_stats *stats);
void pa_arena_describe(struct pa_arena *arena, const struct span *s, struct pagearena_span *out);

/** pa_arena_ready() - has SETUP been done? */
static inline bool pa_arena_ready(struct pa_arena *arena)
{
	/* Pairs with pa_arena_setup(). */
	return smp_load_acquire(&arena->ready);
}

/**
 * pa_allocated_bytes() - what backing all of the allocated spans would take
 * @arena: an arena that is set up
 *
 * Spans that are smaller than a page take all of it, once for all that share it.
 *
 * Context: heap lock.
 * Return: bytes.
 */
static inline u64 pa_allocated_bytes(const struct pa_arena *arena)
{
	return likely(arena->heap.cfg.page_shift >= PAGE_SHIFT) ? arena->heap.stats.heap_inuse :
								  arena->nr_touched << PAGE_SHIFT;
}

bool pa_over_limit(struct pa_arena *arena);

/** pa_nr_backed() - pages that are present; under the heap lock */
u64 pa_nr_backed(const struct pa_arena *arena);

/**
 * pa_background_notice() - a span was freed
 * @arena: the arena
 *
 * Context: any but interrupts; no heap lock.
 */
static inline void pa_background_notice(struct pa_arena *arena)
{
	/* Pairs with pa_serve(), which looks once more after it has unqueued the arena. */
	if (unlikely(!READ_ONCE(arena->background.queued)))
		pa_background_first(arena);
}

/* scavenge.c */
extern const struct span_heap_ops pa_heap_ops;
int pa_scavenge(struct pa_arena *arena, struct pagearena_scavenge *req);
int pa_scavenge_range(struct pa_arena *arena, u64 offset, u64 len, u32 flags, u64 *freed);
int pa_limit_enforce(struct pa_arena *arena);
void pa_limit_keep(struct pa_arena *arena);

/**
 * pa_limit_approach() - before more memory is backed: keep to a soft limit
 * @arena: an arena that is set up
 *
 * Where nothing can be released the arena goes on past its limit.
 *
 * Context: may sleep; no lock of the arena; mmap_lock or a VMA lock may be held.
 */
static inline void pa_limit_approach(struct pa_arena *arena)
{
	if (unlikely(READ_ONCE(arena->limit)))
		pa_limit_keep(arena);
}

u64 pa_scavenge_batch(struct pa_arena *arena, u64 bytes, u64 age);
u64 pa_scavenge_sparse(struct pa_arena *arena, u64 bytes);
u64 pa_scavenge_idle(struct pa_arena *arena, u64 bytes, u64 age, u64 *next);
int pa_scavenge_locked(struct pa_arena *arena, struct pa_chunk *c, unsigned long *freed);

/* quota.c */
int pa_quota_reserve(struct pa_arena *arena, struct pagearena_setup *setup);
int pa_quota_check(const struct pa_arena *arena, u64 limit, bool soft);
int pa_quota_change(struct pa_arena *arena, u64 from, u64 to);
void pa_quota_release(struct pa_arena *arena);

/* fault.c */
unsigned long pa_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				   unsigned long pgoff, unsigned long flags);
void pa_map_anew(struct file *file);
#if PA_MMAP_PREPARE
int pa_mmap(struct vm_area_desc *desc);
#else
int pa_mmap(struct file *file, struct vm_area_struct *vma);
#endif

/* ioctl.c */
long pa_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* fdinfo.c */
void pa_show_fdinfo(struct seq_file *m, struct file *file);

/* debugfs.c */
void pa_debugfs_init(void);
void pa_debugfs_exit(void);
void pa_debugfs_add(struct pa_arena *arena);
void pa_debugfs_remove(struct pa_arena *arena);

#endif /* PAGEARENA_ARENA_H */
