/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Differences between kernel versions.  No other file compares versions.
 *
 * Supported: 6.1 and later, on 64-bit machines.
 */
#ifndef PAGEARENA_COMPAT_H
#define PAGEARENA_COMPAT_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "pagearena supports Linux 6.1 and later"
#endif
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

/* Aligned for huge pages where the kernel has them; else the core's choice. */
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define pa_thp_get_unmapped_area	thp_get_unmapped_area
#else
#define pa_thp_get_unmapped_area(file, addr, len, pgoff, flags) \
	mm_get_unmapped_area(current->mm, file, addr, len, pgoff, flags)
#endif

#endif /* PAGEARENA_COMPAT_H */
