/* SPDX-License-Identifier: MIT */
/*
 * compat/linux: as much of the kernel's headers, written anew, as it takes to compile
 * kmod/span_heap.c unchanged in user space.
 *
 * The C library's own headers include <linux/types.h>, <linux/errno.h> and
 * <linux/limits.h>; the headers of these names pass through to the system's.
 */
#ifndef COMPAT_LINUX_TYPES_H
#define COMPAT_LINUX_TYPES_H

#include_next <linux/types.h>

#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;

#endif /* COMPAT_LINUX_TYPES_H */
