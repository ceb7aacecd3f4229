// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a warm pair of free and alloc costs through the library's cache: the median of runs over
 * 64 spans, in counts of rdtsc, which are instructions in the machine of icount.sh.  The loop
 * and the calls of the functions are part of it.
 *
 * Prints a line for each size: bytes, free with the length, free without it, and the same with
 * the cache off.
 */
#include <pagearena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define SPANS	64
#define RUNS	101

static void *span[SPANS];

static int compare(const void *a, const void *b)
{
	const unsigned long long *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static unsigned long long pair(struct pagearena *a, size_t length, int sized)
{
	unsigned long long t[RUNS];
	unsigned int run, i;

	for (run = 0; run < RUNS; run++) {
		t[run] = __rdtsc();
		if (sized)
			for (i = 0; i < SPANS; i++) {
				pagearena_free_sized(a, span[i], length);
				span[i] = pagearena_alloc(a, length, 0);
			}
		else
			for (i = 0; i < SPANS; i++) {
				pagearena_free(a, span[i]);
				span[i] = pagearena_alloc(a, length, 0);
			}
		t[run] = (__rdtsc() - t[run]) / SPANS;
	}
	qsort(t, RUNS, sizeof(t[0]), compare);
	return t[RUNS / 2];
}

static void measure(uint64_t cache_bytes, size_t length)
{
	struct pagearena_options o = { .size = sizeof(o), .cache_bytes = cache_bytes };
	struct pagearena *a = pagearena_open(&o);
	unsigned int i;

	if (!a) {
		perror("pagearena_open");
		exit(1);
	}
	for (i = 0; i < SPANS; i++) {
		span[i] = pagearena_alloc(a, length, 0);
		if (!span[i]) {
			perror("pagearena_alloc");
			exit(1);
		}
		memset(span[i], 1, length);
	}
	printf(" %llu", pair(a, length, 1));
	printf(" %llu", pair(a, length, 0));
	pagearena_close(a);
}

int main(void)
{
	static const size_t lengths[] = { 8192, 65536, 262144 };
	unsigned int i;

	printf("bytes sized unsized sized-off unsized-off\n");
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		printf("%zu", lengths[i]);
		measure(0, lengths[i]);
		measure(PAGEARENA_NO_CACHE, lengths[i]);
		printf("\n");
	}
	return 0;
}
