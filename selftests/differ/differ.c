// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Replays traces on everything that is a span heap, and compares what comes of each operation.
 *
 *   differ make [--ops N] [--seed N] TRACE...   on the model; prints what came of it (differ.h)
 *   differ heap FILE                            on the heap in user space, against the file
 *   differ device FILE                          on /dev/pagearena, against the file
 *
 * A TRACE is one of selftests/traces, as CSV, or a number: so many random operations.  "make"
 * adds to a trace what no trace has: resized spans, spans at a place, scavenging, frees of what
 * is not allocated.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#include "differ.h"

static void die(const char *what, const char *name)
{
	fprintf(stderr, "differ: %s: %s\n", name, what);
	exit(EXIT_FAILURE);
}

/* Writing */

static u64 rng;
/* Least granule of the traces that are made, as a power of two. */
static u8 granule_min;

/* splitmix64 */
static u64 below(u64 n)
{
	u64 z = rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % n;
}

static void print_result(const struct op *op, const struct result *res)
{
	const u64 *v = (const u64 *)&res->stats;
	unsigned int i;

	printf("%c %llu %llu %lld %llu %llu", op->what, op->a, op->b, res->ret, res->base,
	       res->needzero);
	for (i = 0; i < NR_STATS; i++)
		printf(" %llu", v[i]);
	printf(" %llu\n", res->digest);
}

static struct result do_op(char what, u64 a, u64 b)
{
	struct op op = { what, a, b };
	struct result res = {};

	model_player.play(&op, &res);
	print_result(&op, &res);
	return res;
}

/* The spans that are allocated, in no order. */
struct live {
	u64 id;
	u64 base;
	u64 npages;
};

static struct live *live;
static u64 nr_live, max_live;

static void add_live(u64 id, u64 base, u64 npages)
{
	if (nr_live == max_live) {
		max_live = max_live * 2 + 64;
		live = realloc(live, max_live * sizeof(*live));
		if (!live)
			abort();
	}
	live[nr_live++] = (struct live){ id, base, npages };
}

static void do_alloc(u64 id, u64 npages, u64 align)
{
	struct result res = do_op('a', npages, align);

	if (!res.ret)
		add_live(id, res.base, npages);
}

static void do_free(u64 i)
{
	do_op('f', live[i].base, below(2) ? live[i].npages : 0);
	live[i] = live[--nr_live];
}

/* A free at random may have hit: the list is made to fit. */
static void forget(u64 base)
{
	u64 i;

	for (i = 0; i < nr_live; i++)
		if (live[i].base == base) {
			live[i] = live[--nr_live];
			return;
		}
}

/* What no trace has. */
static void do_extra(u64 pages)
{
	u64 i, n;

	switch (below(8)) {
	case 0 ... 2:
		if (!nr_live)
			break;
		i = below(nr_live);
		n = 1 + below(2 * live[i].npages + 4);
		if (!do_op('r', live[i].base, n).ret)
			live[i].npages = n;
		break;
	case 3 ... 4:
		i = below(pages);
		n = 1 + below(below(2) ? 8 : 700);
		if (i + n <= pages && !do_op('A', n, i).ret)
			add_live(0, i, n);
		break;
	case 5:
		do_op('s', below(4) ? 1 + below(2000) : ALL, 0);
		break;
	case 6:
		i = below(pages);
		if (!do_op('f', i, 0).ret)
			forget(i);
		break;
	default:
		if (nr_live)
			do_op('f', live[below(nr_live)].base, 1000000);
	}
}

static void make(const char *name, unsigned int number, u64 ops)
{
	static const u8 granules[] = { 12, 12, 16, 13, 21, 12 };
	struct span_heap_config cfg = {
		.page_shift = strstr(name, "go") ? 13 : 12,
		.granule_shift = max_t(u8, granules[number % ARRAY_SIZE(granules)], granule_min),
		.huge_shift = CHUNK_SHIFT,
		.fit = number % 3,
		.reuse = number % 3 == SPAN_FIT_PLACED,
		.size = (u64)768 << 20,
		.growth = (u64)(number % 2 ? 8 : 64) << 20,
	};
	u64 pages = cfg.size >> cfg.page_shift, n = 0, id, npages, align, i;
	char line[200], what, *end;
	FILE *f = NULL;

	i = strtoull(name, &end, 0);
	if (!*end) {
		ops = i;
		cfg.size = (u64)64 << 20;
		pages = cfg.size >> cfg.page_shift;
	} else {
		f = fopen(name, "r");
		if (!f)
			die(strerror(errno), name);
	}
	printf("config %llu %llu %u %u %u %u\n", cfg.size, cfg.growth, cfg.page_shift,
	       cfg.granule_shift, cfg.fit, cfg.reuse);
	nr_live = 0;
	model_player.begin(&cfg);
	while (n < ops && (!f || fgets(line, sizeof(line), f))) {
		if (!f) {
			n++;
			if (below(4) == 0)
				do_extra(pages);
			else if (nr_live && below(2))
				do_free(below(nr_live));
			else
				do_alloc(0, 1 + below(below(8) ? 20 : 900),
					 below(4) ? 1 : (u64)1 << below(10));
			continue;
		}
		align = 1;
		if (line[0] == '#' ||
		    sscanf(line, "%*u,%c,%llu,%llu,%llu", &what, &id, &npages, &align) < 3)
			continue;
		n++;
		if (what == 'a') {
			do_alloc(id, npages, align);
		} else if (what == 'f') {
			for (i = 0; i < nr_live && live[i].id != id; i++)
				;
			if (i < nr_live)
				do_free(i);
		}
		if (below(12) == 0)
			do_extra(pages);
	}
	model_player.end();
	if (f)
		fclose(f);
}

/* Reading */

static bool read_config(const char *line, struct span_heap_config *cfg)
{
	unsigned int page, granule, fit, reuse;

	memset(cfg, 0, sizeof(*cfg));
	if (sscanf(line, "config %llu %llu %u %u %u %u", &cfg->size, &cfg->growth, &page, &granule,
		   &fit, &reuse) != 6)
		return false;
	cfg->page_shift = page;
	cfg->granule_shift = granule;
	cfg->huge_shift = CHUNK_SHIFT;
	cfg->fit = fit;
	cfg->reuse = reuse;
	return true;
}

static bool read_line(const char *line, struct op *op, struct result *want)
{
	u64 *v = (u64 *)&want->stats;
	unsigned int i;
	int n = 0;

	memset(want, 0, sizeof(*want));
	if (sscanf(line, "%c %llu %llu %lld %llu %llu%n", &op->what, &op->a, &op->b, &want->ret,
		   &want->base, &want->needzero, &n) != 6)
		return false;
	for (i = 0; i <= NR_STATS; i++) {
		char *end;
		u64 value = strtoull(line + n, &end, 10);

		if (end == line + n)
			return false;
		*(i < NR_STATS ? &v[i] : &want->digest) = value;
		n = end - line;
	}
	return true;
}

static void print_differences(const struct result *want, const struct result *got)
{
	static const char *const names[] = {
		"heap_sys", "heap_inuse", "heap_idle", "heap_released", "spans_inuse",
		"spans_free", "spans_scavenged", "spans_transit", "nr_alloc", "nr_free", "nr_grow",
		"nr_scavenge", "inuse_peak",
	};
	const u64 *w = (const u64 *)&want->stats, *g = (const u64 *)&got->stats;
	unsigned int i;

	if (want->ret != got->ret)
		printf("# returns %lld, not %lld\n", got->ret, want->ret);
	if (want->base != got->base)
		printf("# at page %llu, not %llu\n", got->base, want->base);
	if (want->needzero != got->needzero)
		printf("# needzero %llu, not %llu\n", got->needzero, want->needzero);
	for (i = 0; i < NR_STATS; i++)
		if (w[i] != g[i])
			printf("# %s %llu, not %llu\n", names[i], g[i], w[i]);
	if (want->digest != got->digest)
		printf("# the spans are not the same\n");
}

/* One test for each heap of the file; after a difference the rest of it is left out. */
static bool compare(const struct player *p, const char *name)
{
	bool begun = false, bad = false, all_good = true;
	unsigned int nr = 0, at = 0;
	struct span_heap_config cfg;
	u64 ops = 0, total = 0;
	FILE *f = fopen(name, "r");
	char line[512];

	if (!f)
		die(strerror(errno), name);
	printf("TAP version 13\n");
	for (;;) {
		bool more = fgets(line, sizeof(line), f);
		struct result want, got = {};
		struct op op;

		at++;
		if (!more || !strncmp(line, "config", 6)) {
			if (begun) {
				p->end();
				printf("%sok %u differ: %s, %llu operations\n", bad ? "not " : "",
				       nr, p->name, ops);
				fflush(stdout);
			}
			total += ops;
			if (!more)
				break;
			if (!read_config(line, &cfg))
				die("not understood", line);
			p->begin(&cfg);
			begun = true;
			bad = false;
			ops = 0;
			nr++;
			continue;
		}
		if (bad)
			continue;
		if (!begun || !read_line(line, &op, &want))
			die("not understood", line);
		p->play(&op, &got);
		ops++;
		if (memcmp(&want, &got, sizeof(want))) {
			printf("# line %u: %c %llu %llu\n", at, op.what, op.a, op.b);
			print_differences(&want, &got);
			bad = true;
			all_good = false;
		}
	}
	fclose(f);
	printf("1..%u\n# %llu operations\n", nr, total);
	return all_good && total;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ "granule", required_argument, NULL, 'g' },
		{ }
	};
	u64 ops = ALL;
	int c, i;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			ops = strtoull(optarg, NULL, 0);
			break;
		case 's':
			rng = strtoull(optarg, NULL, 0);
			break;
		case 'g':
			granule_min = (u8)strtoul(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc >= 2 && !strcmp(argv[0], "make")) {
		for (i = 1; i < argc; i++)
			make(argv[i], i - 1, ops);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && !strcmp(argv[0], "heap"))
		return compare(&heap_player, argv[1]) ? EXIT_SUCCESS : EXIT_FAILURE;
	if (argc == 2 && !strcmp(argv[0], "device"))
		return compare(&device_player, argv[1]) ? EXIT_SUCCESS : EXIT_FAILURE;
	fprintf(stderr, "usage: see the beginning of differ.c\n");
	return 2;
}
