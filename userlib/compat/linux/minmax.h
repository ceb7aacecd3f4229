/* SPDX-License-Identifier: MIT */
#ifndef COMPAT_LINUX_MINMAX_H
#define COMPAT_LINUX_MINMAX_H

#define compat_pick(type, op, x, y) ({			\
	type compat_x = (x);				\
	type compat_y = (y);				\
	compat_x op compat_y ? compat_x : compat_y; })

#define min_t(type, x, y)	compat_pick(type, <, x, y)
#define max_t(type, x, y)	compat_pick(type, >, x, y)
#define min(x, y)		compat_pick(__auto_type, <, x, y)
#define max(x, y)		compat_pick(__auto_type, >, x, y)

#define swap(x, y)					\
	do {						\
		__typeof__(x) compat_tmp = (x);		\
		(x) = (y);				\
		(y) = compat_tmp;			\
	} while (0)

#endif /* COMPAT_LINUX_MINMAX_H */
