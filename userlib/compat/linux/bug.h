/* SPDX-License-Identifier: MIT */
/*
 * WARN() and its kin, made so that tests see them: compat_warnings counts each time that
 * a condition holds, also for the _ONCE kinds, which only print no more than once a place.
 * With compat_warn_abort set, the first one ends the program.
 *
 * Weak, so that every file may include this and the program has one of each.
 */
#ifndef COMPAT_LINUX_BUG_H
#define COMPAT_LINUX_BUG_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/compiler.h>
#include <linux/types.h>

#define COMPAT_WEAK	__attribute__((__weak__))

extern unsigned long compat_warnings;
extern bool compat_warn_abort;
COMPAT_WEAK unsigned long compat_warnings;
COMPAT_WEAK bool compat_warn_abort;

__printf(4, 5) static __maybe_unused void
compat_warn(bool *printed, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	compat_warnings++;
	if (!printed || !*printed) {
		fprintf(stderr, "# WARNING: %s:%d: ", file, line);
		va_start(ap, fmt);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
		fputc('\n', stderr);
	}
	if (printed)
		*printed = true;
	if (compat_warn_abort)
		abort();
}

#define compat_warn_if(cond, printed, ...) ({					\
	bool compat_cond = !!(cond);						\
	if (unlikely(compat_cond))						\
		compat_warn(printed, __FILE__, __LINE__, __VA_ARGS__);		\
	compat_cond; })

#define compat_warn_once_if(cond, ...) ({					\
	static bool compat_printed;						\
	compat_warn_if(cond, &compat_printed, __VA_ARGS__); })

#define WARN(cond, ...)		compat_warn_if(cond, NULL, __VA_ARGS__)
#define WARN_ON(cond)		compat_warn_if(cond, NULL, "%s", #cond)
#define WARN_ONCE(cond, ...)	compat_warn_once_if(cond, __VA_ARGS__)
#define WARN_ON_ONCE(cond)	compat_warn_once_if(cond, "%s", #cond)

#endif /* COMPAT_LINUX_BUG_H */
