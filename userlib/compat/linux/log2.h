/* SPDX-License-Identifier: MIT */
#ifndef COMPAT_LINUX_LOG2_H
#define COMPAT_LINUX_LOG2_H

#include <linux/types.h>

/* For n > 0. */
static inline int ilog2(u64 n)
{
	return 63 - __builtin_clzll(n);
}

static inline bool is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

#endif /* COMPAT_LINUX_LOG2_H */
