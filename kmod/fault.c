// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Mapping an arena, and answering page faults.
 *
 * The mapping is an ordinary shared file mapping, so that the core does all that it does
 * for files: RSS, get_user_pages(), PMDs.  A fault looks at the heap, at one chunk and at
 * nothing else.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "arena.h"
#include "backing.h"
#include "compat.h"
#include "trace.h"

/* What a failed fault raises: SIGSEGV for what is not allocated, SIGBUS for want of memory. */
static vm_fault_t pa_fault_error(struct pa_arena *arena, pgoff_t page, int err)
{
	atomic64_inc(err == -ENOENT ? &arena->count.fault_denied : &arena->count.fault_failed);
	trace_pagearena_fault(arena->id, page, false, err);
	return err == -ENOENT ? VM_FAULT_SIGSEGV : VM_FAULT_SIGBUS;
}

static vm_fault_t pa_fault(struct vm_fault *vmf)
{
	struct pa_arena *arena = vmf->vma->vm_private_data;
	unsigned long index = vmf->pgoff >> PA_CHUNK_ORDER;
	unsigned int i = vmf->pgoff % PA_CHUNK_PAGES;
	struct pa_chunk *c;
	struct page *page;
	bool huge;
	int err;

	/* Do not make a chunk for what is not allocated. */
	if (!pa_page_allocated(arena, vmf->pgoff))
		return pa_fault_error(arena, vmf->pgoff, -ENOENT);
	c = pa_chunk_create(arena, index);
	if (!c)
		return pa_fault_error(arena, vmf->pgoff, -ENOMEM);
	err = pa_chunk_fill(arena, c, i);
	if (err) {
		pa_chunk_unlock_put(arena, c);
		return pa_fault_error(arena, vmf->pgoff, err);
	}
	huge = c->state == PA_CHUNK_HUGE;
	page = pa_chunk_page(c, i);
	get_page(page);
	lock_page(page);
	pa_chunk_unlock_put(arena, c);

	atomic64_inc(&arena->count.fault);
	if (huge)
		atomic64_inc(&arena->count.fault_huge);
	trace_pagearena_fault(arena->id, vmf->pgoff, huge, 0);
	vmf->page = page;
	return VM_FAULT_LOCKED;
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
	u64 pages;

	if (!pa_arena_ready(arena))
		return -EBADFD;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	pages = arena->setup.arena_bytes >> PAGE_SHIFT;
	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	pa_vm_flags_set(vma, VM_DONTCOPY);
	pa_vm_flags_clear(vma, VM_MAYEXEC);
	vma->vm_private_data = arena;
	vma->vm_ops = &pa_vm_ops;
	return 0;
}
