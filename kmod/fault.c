// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Mapping an arena, and answering page faults.
 *
 * The mapping is an ordinary shared file mapping, so that the core does all that it does
 * for files: RSS, get_user_pages(), PMDs.  Where there are to be no PMDs (PAGEARENA_HUGE_OFF, or
 * chunks that are smaller than one) it may be VM_MIXEDMAP, see pa_arena_maps().  A fault looks at
 * the heap, at one chunk and at nothing else.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/personality.h>
#include <linux/sched/signal.h>

#include "arena.h"
#include "backing.h"
#include "compat.h"
#include "race.h"
#include "reclaim.h"
#include "trace.h"

/* What a failed fault raises: SIGSEGV for what is not allocated, SIGBUS for want of memory. */
static vm_fault_t pa_fault_error(struct pa_arena *arena, pgoff_t page, int err)
{
	atomic64_inc(err == -ENOENT ? &arena->count.fault_denied : &arena->count.fault_failed);
	trace_pagearena_fault(arena->id, page, false, err);
	if (err == -ENOMEM)
		pa_pressure(arena, PAGEARENA_PRESSURE_NOMEM);
	return err == -ENOENT ? VM_FAULT_SIGSEGV : VM_FAULT_SIGBUS;
}

/*
 * Enters a page, or all of the large folio that it is in, into the page table, under the
 * chunk's lock: whoever takes the page out of the chunk after that will zap it.  Only where
 * pa_arena_maps() says so.
 */
static int pa_fault_map(struct vm_fault *vmf, struct page *page)
{
	struct vm_area_struct *vma = vmf->vma;
	struct folio *folio = page_folio(page);
	unsigned long addr = vmf->address & PAGE_MASK, first = folio_page_idx(folio, page);
	unsigned long n = folio_nr_pages(folio), i;
	struct page *pages[PA_MAP_PAGES];
	int err;

	if (n > 1 && n <= PA_MAP_PAGES) {
		unsigned long before = min(first, (addr - vma->vm_start) >> PAGE_SHIFT);

		n = min(n - first, (vma->vm_end - addr) >> PAGE_SHIFT) + before;
		first -= before;
		for (i = 0; i < n; i++)
			pages[i] = folio_page(folio, first + i);
		err = vm_insert_pages(vma, addr - (before << PAGE_SHIFT), pages, &n);
		if (err != -EBUSY)
			return err;
		/* A neighbour is mapped already, and this page perhaps, too. */
	}
	err = vm_insert_page(vma, addr, page);
	return err == -EBUSY ? 0 : err;
}

static vm_fault_t pa_fault(struct vm_fault *vmf)
{
	struct pa_arena *arena = vmf->vma->vm_private_data;
	unsigned int i = vmf->pgoff % PA_CHUNK_PAGES;
	struct pa_chunk *c;
	struct page *page;
	bool huge;
	int err;

	pa_limit_approach(arena);
	pa_reclaim_high(arena);
	c = pa_chunk_create(arena, vmf->pgoff);
	if (IS_ERR(c))
		return pa_fault_error(arena, vmf->pgoff, PTR_ERR(c));
	err = pa_chunk_fill(arena, c, i, PA_GFP_SMALL);
	if (err) {
		pa_chunk_unlock_put(arena, c);
		return pa_fault_error(arena, vmf->pgoff, err);
	}
	huge = c->state == PA_CHUNK_HUGE;
	page = pa_chunk_page(c, i);
	if (pa_arena_maps(arena)) {
		err = pa_fault_map(vmf, page);
	} else {
		get_page(page);
		lock_page(page);
		vmf->page = page;
	}
	pa_chunk_unlock_put(arena, c);
	pa_race_window(PA_RACE_MAP);
	if (err)
		return pa_fault_error(arena, vmf->pgoff, err);

	atomic64_inc(&arena->count.fault);
	if (huge)
		atomic64_inc(&arena->count.fault_huge);
	trace_pagearena_fault(arena->id, vmf->pgoff, huge, 0);
	return pa_arena_maps(arena) ? VM_FAULT_NOPAGE : VM_FAULT_LOCKED;
}

/*
 * Nothing is mapped around a fault.  That there is a function at all tells the core that
 * pa_fault() can do without mmap_lock.
 */
static vm_fault_t pa_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	return 0;
}

static const struct vm_operations_struct pa_vm_ops = {
	.fault = pa_fault,
	.map_pages = pa_map_pages,
};

/*
 * Mapping anew
 *
 * The core maps a huge folio by one PMD only where there is no page table yet, and it keeps
 * page tables that a zap has emptied.  So a chunk that was mapped page by page and is huge
 * now would be mapped page by page again.  Mapping its range once more, over itself, makes
 * the core free the page table.
 *
 * A call does that for the process that makes it, after the arena's work is done, for the
 * chunks that are on record in pa_arena.torn.  It must not hit a mapping that another thread
 * has just put in the place.  The core asks pa_get_unmapped_area() for the address under the
 * very hold of mmap_lock under which it maps, so that is where the place is checked: it
 * still holds this file, there, with the flags that pa_mmap() left, or all stays as it is.
 */

/* A flag of mmap() that means nothing to the core, nor when somebody else sets it. */
#define PA_MAP_ANEW	BIT(40)

/* Takes a chunk off the record if it is huge. */
static bool pa_take_torn(struct pa_arena *arena, unsigned long index)
{
	bool huge;

	if (!xa_get_mark(&arena->torn, index, PA_TORN_HUGE))
		return false;
	/* First, so that a mark that comes while it is looked at stays. */
	xa_clear_mark(&arena->torn, index, PA_TORN_HUGE);
	spin_lock(&arena->lock);
	huge = pa_chunk_is_huge(arena, (u64)index << PA_CHUNK_SHIFT);
	spin_unlock(&arena->lock);
	return huge && xa_erase(&arena->torn, index);
}

/* Does what is mapped at @addr look as pa_mmap() left it?  Under mmap_lock. */
static bool pa_mapped_at(struct file *file, unsigned long addr, unsigned long len,
			 unsigned long pgoff)
{
	struct vm_area_struct *vma = find_vma(current->mm, addr);
	struct pa_arena *arena = file->private_data;

	if (!vma || vma->vm_start > addr || vma->vm_end - addr < len || vma->vm_file != file ||
	    vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT) != pgoff)
		return false;
	return !((vma->vm_flags ^ READ_ONCE(arena->map_flags)) & ~(vm_flags_t)VM_SOFTDIRTY);
}

/* The same, without the lock. */
static bool pa_mapped(struct file *file, unsigned long addr, unsigned long len,
		      unsigned long pgoff)
{
	bool mapped;

	mmap_read_lock(current->mm);
	mapped = pa_mapped_at(file, addr, len, pgoff);
	mmap_read_unlock(current->mm);
	return mapped;
}

/* Is all of a range mapped to its place in the file, in whatever way? */
static bool pa_covered(struct file *file, unsigned long addr, unsigned long len,
		       unsigned long pgoff)
{
	unsigned long at = addr, end = addr + len;

	mmap_read_lock(current->mm);
	while (at < end) {
		struct vm_area_struct *vma = find_vma(current->mm, at);

		if (!vma || vma->vm_start > at || vma->vm_file != file ||
		    vma->vm_pgoff + ((at - vma->vm_start) >> PAGE_SHIFT) !=
		    pgoff + ((at - addr) >> PAGE_SHIFT))
			break;
		at = vma->vm_end;
	}
	mmap_read_unlock(current->mm);
	return at >= end;
}

/*
 * Where a PMD maps more than a chunk the core aligns for that, or not at all.  So an area is
 * chosen that is larger by a chunk, and of that the part where chunks lie at their multiples.
 */
static unsigned long pa_chunk_get_unmapped_area(struct file *file, unsigned long len,
						unsigned long pgoff, unsigned long flags)
{
	unsigned long area, larger = len + PA_CHUNK_SIZE - PAGE_SIZE;

	if (larger < len)
		return -ENOMEM;
	area = pa_core_get_unmapped_area(file, 0, larger, pgoff, flags);
	if (IS_ERR_VALUE(area))
		return area;
	return area + (((pgoff << PAGE_SHIFT) - area) & (PA_CHUNK_SIZE - 1));
}

/**
 * pa_get_unmapped_area() - choose an address for a mapping
 * @file: the arena's file
 * @addr: hint, or the address
 * @len: bytes
 * @pgoff: where in the file
 * @flags: MAP_*
 *
 * Aligned so that PMDs fit, or the folding of a chunk's entries.
 *
 * Context: mmap_lock for writing.
 * Return: the address, or an error.
 */
unsigned long pa_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				   unsigned long pgoff, unsigned long flags)
{
	struct pa_arena *arena = file->private_data;
	unsigned long area;

	if ((flags & PA_MAP_ANEW) && READ_ONCE(arena->anew_by) == current) {
		if (!pa_mapped_at(file, addr, len, pgoff))
			return -EAGAIN;
		/* From here on the core may unmap what is there. */
		arena->anew_found = true;
	}
	if (!PA_CHUNK_IS_PMD && !addr && len >= PA_CHUNK_SIZE) {
		area = pa_chunk_get_unmapped_area(file, len, pgoff, flags);
		if (!IS_ERR_VALUE(area))
			return area;
	}
	return pa_thp_get_unmapped_area(file, addr, len, pgoff, flags);
}

/*
 * Maps a range over itself.  When the core runs out of memory it can have unmapped the range
 * by then.  Live memory must not stay away, so the gap is closed, however long that takes.
 * If it cannot be closed, as another thread has just mapped something else there, the process
 * cannot go on.  What another thread unmaps in the very moment between a refusal and the look at
 * what is left cannot be told from what the core has unmapped, and comes back.
 */
static int pa_map_over(struct file *file, unsigned long addr, unsigned long len, u64 offset)
{
	struct pa_arena *arena = file->private_data;
	unsigned long ret;
	bool found;
	int err;

	if (mutex_lock_killable(&arena->anew_lock))
		return -EINTR;
	arena->anew_found = false;
	WRITE_ONCE(arena->anew_by, current);
	pa_race_window(PA_RACE_ANEW);
	ret = vm_mmap(file, addr, len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED | PA_MAP_ANEW, offset);
	err = IS_ERR_VALUE(ret) ? (int)ret : 0;
	WRITE_ONCE(arena->anew_by, NULL);
	found = arena->anew_found;
	mutex_unlock(&arena->anew_lock);
	/*
	 * EAGAIN: pa_get_unmapped_area() refused; EINTR: the lock was not even taken.  The
	 * core, for a process with too many mappings, and security modules refuse before they ask
	 * for the place: if nobody asked, nothing was unmapped, and nothing may be mapped.
	 */
	if (!err || err == -EAGAIN || err == -EINTR || !found ||
	    pa_mapped(file, addr, len, offset >> PAGE_SHIFT))
		return err;
	while (ret == -ENOMEM && !fatal_signal_pending(current)) {
		ret = vm_mmap(file, addr, len, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED_NOREPLACE, offset);
		cond_resched();
	}
	/* Nothing is lost where another thread has only changed the mapping meanwhile. */
	if (IS_ERR_VALUE(ret) && !pa_covered(file, addr, len, offset >> PAGE_SHIFT))
		send_sig(SIGKILL, current, 1);
	return err;
}

/**
 * pa_map_anew() - get rid of page tables that stand in the way of PMDs
 * @file: the arena's file
 *
 * For chunks that are huge now.  Only the calling process is served, and only at the place
 * where it has mapped the arena last.
 *
 * Context: may sleep; takes mmap_lock, so no lock of the arena may be held.
 */
void pa_map_anew(struct file *file)
{
	struct pa_arena *arena = file->private_data;
	unsigned long index, end, addr;
	int err;

	if (!PA_CHUNK_IS_PMD || !xa_marked(&arena->torn, PA_TORN_HUGE) || !current->mm ||
	    READ_ONCE(arena->map_mm) != current->mm)
		return;
	/* The core would ask for an executable mapping, which pa_mmap() refuses, too late. */
	if (current->personality & READ_IMPLIES_EXEC)
		return;
	for (index = 0; xa_find(&arena->torn, &index, ULONG_MAX, PA_TORN_HUGE); index = end) {
		for (end = index; pa_take_torn(arena, end); end++)
			;
		if (end == index) {
			end++;
			continue;
		}
		addr = READ_ONCE(arena->map_base) + (index << PA_CHUNK_SHIFT);
		err = pa_map_over(file, addr, (end - index) << PA_CHUNK_SHIFT,
				  (u64)index << PA_CHUNK_SHIFT);
		trace_pagearena_map_anew(arena->id, index, end - index, err);
		cond_resched();
	}
}

/* Where pa_map_anew() shall look.  No more than a hint, and never followed. */
static void pa_mapped_last(struct pa_arena *arena, const void *mm, unsigned long start,
			   pgoff_t pgoff, vm_flags_t flags)
{
	if (!(flags & VM_WRITE) || !(flags & VM_READ))
		return;
	WRITE_ONCE(arena->map_mm, mm);
	WRITE_ONCE(arena->map_base, start - (pgoff << PAGE_SHIFT));
	WRITE_ONCE(arena->map_flags, flags);
}

static int pa_mmap_check(struct pa_arena *arena, vm_flags_t flags, pgoff_t pgoff, u64 len)
{
	u64 pages;

	if (!pa_arena_ready(arena))
		return -EBADFD;
	if (!(flags & VM_SHARED))
		return -EINVAL;
	if (flags & VM_EXEC)
		return -EPERM;
	pages = arena->setup.arena_bytes >> PAGE_SHIFT;
	if (pgoff > pages || len > pages - pgoff)
		return -EINVAL;
	return 0;
}

#if PA_MMAP_PREPARE
/**
 * pa_mmap() - map a part of an arena; see below
 * @desc: what to map, and where
 */
int pa_mmap(struct vm_area_desc *desc)
{
	struct pa_arena *arena = desc->file->private_data;
	int err = pa_mmap_check(arena, vma_flags_to_legacy(desc->vma_flags), desc->pgoff,
				(desc->end - desc->start) >> PAGE_SHIFT);

	if (err)
		return err;
	vma_desc_set_flags(desc, VMA_DONTCOPY_BIT);
	vma_desc_clear_flags(desc, VMA_MAYEXEC_BIT);
	desc->private_data = arena;
	desc->vm_ops = &pa_vm_ops;
	pa_mapped_last(arena, desc->mm, desc->start, desc->pgoff,
		       vma_flags_to_legacy(desc->vma_flags));
	pa_race_window(PA_RACE_MMAP);
	return 0;
}
#else
/**
 * pa_mmap() - map a part of an arena
 * @file: the arena's file
 * @vma: where
 *
 * The mapping pins the file, and so the arena.  It is not inherited over fork(): a child
 * that writes into its parent's heap is the worst surprise.  It is not VM_DONTEXPAND:
 * that would keep a part that is mapped again from merging with its neighbours, and what
 * mremap() grows beyond the arena only ever faults.
 *
 * Context: mmap_lock for writing.
 * Return: 0; -EBADFD before SETUP; -EINVAL for a private mapping or one past the end of
 * the arena; -EPERM for an executable one.
 */
int pa_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pa_arena *arena = file->private_data;
	int err = pa_mmap_check(arena, vma->vm_flags, vma->vm_pgoff, vma_pages(vma));

	if (err)
		return err;
	pa_vm_flags_set(vma, VM_DONTCOPY | (pa_arena_maps(arena) ? VM_MIXEDMAP : 0));
	pa_vm_flags_clear(vma, VM_MAYEXEC);
	vma->vm_private_data = arena;
	vma->vm_ops = &pa_vm_ops;
	pa_mapped_last(arena, vma->vm_mm, vma->vm_start, vma->vm_pgoff, vma->vm_flags);
	pa_race_window(PA_RACE_MMAP);
	return 0;
}
#endif
