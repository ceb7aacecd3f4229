/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kernels that the module is made for: the only place that says so.  Kbuild includes this
 * before anything else.
 *
 * "make check-matrix" tests both ends and what Debian has in between.  A later kernel may
 * have changed what the module relies on in ways that no compiler sees, so it is refused until
 * the tests have run on it.  "make modules PAGEARENA_ANY_KERNEL=1" builds all the same.
 */
#ifndef PAGEARENA_KERNELS_H
#define PAGEARENA_KERNELS_H

#include <linux/version.h>

/* The first that is supported, and the first after it that is not. */
#define PA_KERNEL_FIRST	KERNEL_VERSION(6, 1, 0)
#define PA_KERNEL_END	KERNEL_VERSION(7, 4, 0)

#ifndef PAGEARENA_ANY_KERNEL
#if LINUX_VERSION_CODE < PA_KERNEL_FIRST
#error "this kernel is older than pagearena supports (PAGEARENA_ANY_KERNEL=1 builds it anyway)"
#elif LINUX_VERSION_CODE >= PA_KERNEL_END
#error "pagearena was not tested on a kernel that new (PAGEARENA_ANY_KERNEL=1 builds it anyway)"
#endif
#endif

#endif /* PAGEARENA_KERNELS_H */
