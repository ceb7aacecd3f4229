// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Random operations on the heap and its model (see pair.h), everything compared after
 * each.  A round is a fresh heap; every eighth is larger and compared after each 64th
 * operation only.
 *
 *   heap_random [--ops N] [--seed N] [--config N] [--round N] [--trace] [--corpus DIR]
 *
 * --ops is the number of operations in total (nested ones come on top).  The numbers that
 * a failure prints, given as --seed, --config and --round, do that round again; --trace
 * prints what happens in it.  --corpus writes inputs for fuzz_heap, one per configuration.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "corpus.h"
#include "pair.h"
#include "tap.h"

#define ROUND_OPS	2048
#define CORPUS_OPS	96
#define LARGE_ROUND	8
#define LARGE_EVERY	64

static u64 seed = 1, rng;
static unsigned int config, round_nr;
static FILE *corpus;
static struct pair pair;

/* splitmix64 */
static u64 next_random(void)
{
	u64 z = rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static u64 draw(void *ctx, u64 n)
{
	u64 v = n ? next_random() % n : 0;
	unsigned int i;

	(void)ctx;
	for (i = 0; corpus && i < corpus_width(n); i++)
		fputc(v >> 8 * i & 0xff, corpus);
	return v;
}

static void failed(struct pair *p)
{
	(void)p;
	printf("# again: heap_random --seed %llu --config %u --round %u --trace\n",
	       seed, config, round_nr);
	tap_ok(false, "random operations: configuration %u", config);
	exit(EXIT_FAILURE);
}

/* One heap, from its birth to its end; returns the number of operations. */
static u64 run_round(u64 ops, bool trace)
{
	struct span_heap_config cfg;
	bool large = !corpus && round_nr % LARGE_ROUND == LARGE_ROUND - 1;
	struct op op;
	u64 i;

	rng = seed * 1000003 + config * 10007 + round_nr;
	next_random();
	corpus_config(&cfg, config);
	pair.draw = draw;
	pair.failed = failed;
	pair.trace = trace;
	pair_draw_config(&cfg, corpus_granule(config), large ? 2048 : CORPUS_UNITS, draw, NULL);
	if (trace)
		pair_print_config(stdout, &cfg);
	pair_init(&pair, &cfg);
	for (i = 0; i < ops; i++) {
		pair_draw_op(&pair, &op);
		pair_do(&pair, &op);
		if (!large || i % LARGE_EVERY == 0)
			pair_check(&pair);
	}
	pair_check(&pair);
	pair_destroy(&pair);
	return pair.nested;
}

static void write_corpus(const char *dir)
{
	char name[4096];

	for (config = 0; config < CORPUS_CONFIGS; config++) {
		snprintf(name, sizeof(name), "%s/config-%02u", dir, config);
		corpus = fopen(name, "wb");
		if (!corpus) {
			perror(name);
			exit(EXIT_FAILURE);
		}
		fputc(config, corpus);
		run_round(CORPUS_OPS, false);
		fclose(corpus);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ "config", required_argument, NULL, 'c' },
		{ "round", required_argument, NULL, 'r' },
		{ "trace", no_argument, NULL, 't' },
		{ "corpus", required_argument, NULL, 'w' },
		{ }
	};
	unsigned int first = 0, last = CORPUS_CONFIGS;
	u64 ops = 1000000, done, nested;
	const char *dir = NULL;
	long only_round = -1;
	bool trace = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			ops = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			first = strtoul(optarg, NULL, 0) % CORPUS_CONFIGS;
			last = first + 1;
			break;
		case 'r':
			only_round = strtol(optarg, NULL, 0);
			break;
		case 't':
			trace = true;
			break;
		case 'w':
			dir = optarg;
			break;
		default:
			return 2;
		}
	}
	if (dir) {
		write_corpus(dir);
		return EXIT_SUCCESS;
	}

	tap_plan(last - first);
	printf("# seed %llu\n", seed);
	for (config = first; config < last; config++) {
		u64 share = (ops + last - first - 1) / (last - first);

		done = 0;
		nested = 0;
		if (only_round >= 0) {
			round_nr = only_round;
			nested = run_round(ROUND_OPS, trace);
			done = ROUND_OPS;
		}
		for (round_nr = 0; only_round < 0 && done < share; round_nr++) {
			u64 n = share - done < ROUND_OPS ? share - done : ROUND_OPS;

			nested += run_round(n, trace);
			done += n;
		}
		corpus_config(&pair.heap.cfg, config);
		tap_ok(true, "random: G/P 2^%d, %s fit%s: %llu operations, %llu nested",
		       corpus_granule(config), pair_fits[pair.heap.cfg.fit],
		       pair.heap.cfg.debug ? ", debug" : "", done, nested);
	}
	return tap_status();
}
