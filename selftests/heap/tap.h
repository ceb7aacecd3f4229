/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The test anything protocol, as much of it as these tests need. */
#ifndef HEAP_TAP_H
#define HEAP_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_count, tap_failed;

static inline void tap_plan(int tests)
{
	printf("TAP version 13\n1..%d\n", tests);
}

__attribute__((__format__(__printf__, 2, 3))) static inline bool tap_ok(bool good,
									  const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d ", good ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	if (!good)
		tap_failed++;
	return good;
}

static inline int tap_status(void)
{
	return tap_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif /* HEAP_TAP_H */
