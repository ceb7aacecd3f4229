// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * libFuzzer target: its input decides which operations are done to a heap and its model,
 * see pair.h and corpus.h.  Any difference between them aborts.
 */
#include <stdint.h>
#include <stdlib.h>

#include "corpus.h"
#include "pair.h"

/** struct input - what is left of the input */
struct input {
	const u8 *data;
	size_t size;
};

/* Zeros when the input is used up. */
static u64 draw(void *ctx, u64 n)
{
	unsigned int i, width = corpus_width(n);
	struct input *in = ctx;
	u64 v = 0;

	for (i = 0; i < width && in->size; i++, in->size--)
		v |= (u64)*in->data++ << 8 * i;
	return n ? v % n : 0;
}

static void failed(struct pair *p)
{
	(void)p;
	abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, size };
	struct span_heap_config cfg;
	static struct pair pair;
	unsigned int config;
	struct op op;

	config = draw(&in, CORPUS_CONFIGS);
	corpus_config(&cfg, config);
	pair.draw = draw;
	pair.draw_ctx = &in;
	pair.failed = failed;
	pair.trace = getenv("FUZZ_HEAP_TRACE");
	pair_draw_config(&cfg, corpus_granule(config), CORPUS_UNITS, draw, &in);
	if (pair.trace)
		pair_print_config(stdout, &cfg);
	pair_init(&pair, &cfg);
	while (in.size) {
		pair_draw_op(&pair, &op);
		pair_do(&pair, &op);
		pair_check(&pair);
	}
	pair_destroy(&pair);
	return 0;
}
