/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Differences between kernel versions.  No other file compares versions, but for kernels.h,
 * which says what is supported.
 */
#ifndef PAGEARENA_COMPAT_H
#define PAGEARENA_COMPAT_H

#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/version.h>

#ifndef CONFIG_64BIT
#error "pagearena supports 64-bit kernels only"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
/* 6.3 made vm_flags constant; the setters were backported to some earlier kernels. */
#define pa_vm_flags_set(vma, flags)	((vma)->vm_flags |= (flags))
#define pa_vm_flags_clear(vma, flags)	((vma)->vm_flags &= ~(flags))
#else
#define pa_vm_flags_set(vma, flags)	vm_flags_set(vma, flags)
#define pa_vm_flags_clear(vma, flags)	vm_flags_clear(vma, flags)
#endif

/*
 * A mapping is described to ->mmap_prepare before it is made.  With ->mmap, 7.2 would not
 * merge what is mapped anew with its neighbours; earlier kernels try that after ->mmap.
 */
#define PA_MMAP_PREPARE	(LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0))
#if PA_MMAP_PREPARE
#define PA_MMAP_OP	mmap_prepare
#else
#define PA_MMAP_OP	mmap
#endif

/* Drops one reference to each of some folios, in batches. */
static inline void pa_release_folios(struct folio **folios, unsigned int n)
{
	/* Before 6.4 it takes pages only; a folio begins with its first page. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	release_pages((struct page **)folios, n);
#else
	release_pages(folios, n);
#endif
}

/*
 * Does one fault map all of a large folio of a file?  Tried on 7.2; 6.1 and 6.12 map one
 * page at a time.
 */
#define PA_MAPS_LARGE_FOLIOS	(LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0))

/* The core's choice of an address. */
static inline unsigned long pa_core_get_unmapped_area(struct file *file, unsigned long addr,
						      unsigned long len, unsigned long pgoff,
						      unsigned long flags)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
	return current->mm->get_unmapped_area(file, addr, len, pgoff, flags);
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
	return mm_get_unmapped_area(current->mm, file, addr, len, pgoff, flags);
#else
	return mm_get_unmapped_area(file, addr, len, pgoff, flags);
#endif
}

/* Aligned for huge pages where the kernel has them; else the core's choice. */
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define pa_thp_get_unmapped_area	thp_get_unmapped_area
#else
#define pa_thp_get_unmapped_area	pa_core_get_unmapped_area
#endif

/* Opens a file for a kernel thread to read.  From 7.3 on these have an empty root of their own. */
static inline struct file *pa_open_by_thread(const char *path)
{
	struct file *file;

#ifdef scoped_with_init_fs
	scoped_with_init_fs()
		file = filp_open(path, O_RDONLY, 0);
#else
	file = filp_open(path, O_RDONLY, 0);
#endif
	return file;
}

/* References to a memory cgroup; not all of 6.1 to 6.7 have both. */
static inline bool pa_memcg_tryget(struct mem_cgroup *memcg)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return mem_cgroup_tryget(memcg);
#elif defined(CONFIG_MEMCG)
	return !memcg || css_tryget(&memcg->css);
#else
	return true;
#endif
}

static inline bool pa_memcg_tryget_online(struct mem_cgroup *memcg)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return mem_cgroup_tryget_online(memcg);
#elif defined(CONFIG_MEMCG)
	return !memcg || css_tryget_online(&memcg->css);
#else
	return true;
#endif
}

/* list_lru: 6.8 renamed what goes by the object; 6.13 took the lock away from the walk. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define pa_list_lru_add(lru, item)	list_lru_add(lru, item)
#define pa_list_lru_del(lru, item)	list_lru_del(lru, item)
#else
#define pa_list_lru_add(lru, item)	list_lru_add_obj(lru, item)
#define pa_list_lru_del(lru, item)	list_lru_del_obj(lru, item)
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define PA_LRU_WALK(name)						\
	enum lru_status name(struct list_head *item, struct list_lru_one *list,	\
			     spinlock_t *lock, void *cb_arg)
#else
#define PA_LRU_WALK(name)						\
	enum lru_status name(struct list_head *item, struct list_lru_one *list,	\
			     void *cb_arg)
#endif

/*
 * Shrinkers are allocated from 6.7 on.  Before, registering gives the number that list_lru
 * wants to know, so the shrinker can be called before its lists are there: @ready.
 */
struct pa_shrinker {
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	struct shrinker shrinker;
#else
	struct shrinker *shrinker;
#endif
	bool ready;
};

#define PA_SHRINKER_FLAGS	(SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE)

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define pa_shrinker_of(s)	(&(s)->shrinker)
#else
#define pa_shrinker_of(s)	((s)->shrinker)
#endif

typedef unsigned long (*pa_shrink_fn)(struct shrinker *shrinker, struct shrink_control *sc);

static inline int pa_shrinker_prepare(struct pa_shrinker *s, const char *name,
				      pa_shrink_fn count, pa_shrink_fn scan)
{
	struct shrinker *shrinker;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	shrinker = &s->shrinker;
	shrinker->flags = PA_SHRINKER_FLAGS;
#else
	shrinker = shrinker_alloc(PA_SHRINKER_FLAGS, "%s", name);
	if (!shrinker)
		return -ENOMEM;
	s->shrinker = shrinker;
#endif
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	/* Half of what there is for each priority, from the first on, a piece at a time. */
	shrinker->seeks = 0;
	shrinker->batch = 1;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	return register_shrinker(shrinker, "%s", name);
#else
	return 0;
#endif
}

static inline void pa_shrinker_register(struct pa_shrinker *s)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_register(s->shrinker);
#endif
}

static inline void pa_shrinker_free(struct pa_shrinker *s)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	unregister_shrinker(&s->shrinker);
#else
	shrinker_free(s->shrinker);
#endif
}

/* 6.14 split making a worker's thread from starting it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define pa_kthread_run_worker(flags, name)	kthread_create_worker(flags, name)
#else
#define pa_kthread_run_worker(flags, name)	kthread_run_worker(flags, name)
#endif

/* What a shrinker has freed in the reclaim that is under way: renamed in 6.4. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define pa_reclaimed_field	reclaimed_slab
#else
#define pa_reclaimed_field	reclaimed
#endif

static inline unsigned long pa_reclaimed(void)
{
	return current->reclaim_state ? current->reclaim_state->pa_reclaimed_field : 0;
}

static inline void pa_account_reclaimed(unsigned long pages)
{
	if (current->reclaim_state)
		current->reclaim_state->pa_reclaimed_field += pages;
}

#endif /* PAGEARENA_COMPAT_H */
