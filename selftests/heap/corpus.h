/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The configurations that heap_random and fuzz_heap go through, and how fuzz_heap reads
 * its input: a byte for the configuration, then each number below n that is asked for, in
 * as few bytes as n - 1 takes, the lowest first, modulo n.
 */
#ifndef HEAP_CORPUS_H
#define HEAP_CORPUS_H

#include "span_heap.h"

/** CORPUS_CONFIGS - values of G/P times policies times debug or not */
#define CORPUS_CONFIGS	36

/** CORPUS_UNITS - most units of max(P, G) in an arena */
#define CORPUS_UNITS	160

/* log2(G/P) */
static inline int corpus_granule(unsigned int config)
{
	static const int shift[] = { -1, 0, 1, 3, 4, 9 };

	return shift[config / 6 % 6];
}

static inline void corpus_config(struct span_heap_config *cfg, unsigned int config)
{
	*cfg = (struct span_heap_config){
		.fit = config % 3,
		.debug = config / 3 % 2,
	};
}

/* Bytes for a number below n. */
static inline unsigned int corpus_width(u64 n)
{
	unsigned int width = 0;

	while (width < 7 && n > (u64)1 << 8 * width)
		width++;
	return width;
}

#endif /* HEAP_CORPUS_H */
