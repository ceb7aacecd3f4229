/* SPDX-License-Identifier: MIT */
#ifndef COMPAT_LINUX_MATH_H
#define COMPAT_LINUX_MATH_H

/* For @y a power of two, as in the kernel. */
#define round_up(x, y)		((((x) - 1) | ((__typeof__(x))((y) - 1))) + 1)
#define round_down(x, y)	((x) & ~((__typeof__(x))((y) - 1)))

#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))

#endif /* COMPAT_LINUX_MATH_H */
