/* SPDX-License-Identifier: MIT */
/* The test anything protocol, as much of it as the examples and tests need. */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef __printf
#define __printf(a, b)	__attribute__((__format__(__printf__, \
						  a, b)))
#endif

static int tap_count, tap_failed;

/* Prints one result.  errno is told with a failure: it is often the reason. */
__printf(2, 3) static inline bool ok(bool good, const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	printf("%sok %d ", good ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!good) {
		printf("# errno: %s\n", strerror(err));
		tap_failed++;
	}
	fflush(stdout);
	return good;
}

/* Says that the device is not there, as a whole skipped test. */
static inline int skip_all(const char *why)
{
	printf("TAP version 13\n1..0 # SKIP %s\n", why);
	return 0;
}

/* Ends the output with the plan; the value is for main() to return. */
static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif /* TAP_H */
