// SPDX-License-Identifier: MIT
/*
 * pagearena bench: what a few operations cost here, on an arena and with mmap().
 *
 * For a first idea on one's own machine.  "make bench" in the sources counts far more, and
 * compares with more alternatives.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd.h"

#define KIB 1024UL
#define MIB (1024 * KIB)

#define ROUNDS 5
#define BATCH 64
#define TOUCH_BYTES (32 * MIB)

struct bench {
	struct pagearena *arena; /* without caches */
	struct pagearena *cached;
	struct pagearena *small; /* never huge */
	size_t len;
};

/* Does an operation once; false with errno. */
typedef bool (*operation)(const struct bench *b);

static bool get_and_free(struct pagearena *a, size_t len, bool touch)
{
	char *p = pagearena_alloc(a, len, 0);
	size_t i;

	if (!p)
		return false;
	for (i = 0; touch && i < len; i += 4 * KIB)
		*(volatile char *)(p + i) = 1;
	return !pagearena_free(a, p);
}

static bool arena_pair(const struct bench *b)
{
	return get_and_free(b->arena, b->len, false);
}

static bool cached_pair(const struct bench *b)
{
	return get_and_free(b->cached, b->len, false);
}

static bool batch_pairs(const struct bench *b)
{
	struct pagearena_op ops[BATCH];
	uint32_t failed, i;

	memset(ops, 0, sizeof(ops));
	for (i = 0; i < BATCH; i++) {
		ops[i].op = PAGEARENA_OP_ALLOC;
		ops[i].length = b->len;
	}
	if (pagearena_batch(b->arena, 0, ops, BATCH, &failed) < 0 || failed)
		return false;
	for (i = 0; i < BATCH; i++) {
		ops[i].op = PAGEARENA_OP_FREE;
		ops[i].out_flags = 0;
	}
	return pagearena_batch(b->arena, 0, ops, BATCH, &failed) >= 0 && !failed;
}

static bool arena_touch(const struct bench *b)
{
	return get_and_free(b->arena, b->len, true);
}

/* Touched, freed and given back: all that mmap() and munmap() do. */
static bool released(struct pagearena *a, size_t len)
{
	return get_and_free(a, len, true) && !pagearena_scavenge(a, PAGEARENA_ALL, 0, NULL, NULL);
}

static bool arena_release(const struct bench *b)
{
	return released(b->arena, b->len);
}

static bool small_release(const struct bench *b)
{
	return released(b->small, b->len);
}

static bool mmap_some(const struct bench *b, bool touch, int advice)
{
	char *p = mmap(NULL, b->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (p == MAP_FAILED)
		return false;
	/* Without huge pages in the kernel there is nothing to advise. */
	if (advice && madvise(p, b->len, advice) && errno != EINVAL)
		return false;
	for (i = 0; touch && i < b->len; i += 4 * KIB)
		*(volatile char *)(p + i) = 1;
	return !munmap(p, b->len);
}

static bool mmap_pair(const struct bench *b)
{
	return mmap_some(b, false, 0);
}

static bool mmap_small(const struct bench *b)
{
	return mmap_some(b, true, MADV_NOHUGEPAGE);
}

static bool mmap_huge(const struct bench *b)
{
	return mmap_some(b, true, MADV_HUGEPAGE);
}

static const struct {
	const char *name;
	const char *what;
	const char *way;
	size_t len;
	unsigned int per; /* operations in one */
	operation run;
} benches[] = {
	{ "alloc_cached", "8 KiB, allocated and freed", "arena, thread's cache", 8 * KIB, 1,
	  cached_pair },
	{ "alloc_batch", "", "arena, 64 in a batch", 8 * KIB, BATCH, batch_pairs },
	{ "alloc_call", "", "arena", 8 * KIB, 1, arena_pair },
	{ "alloc_mmap", "", "mmap, munmap", 8 * KIB, 1, mmap_pair },
	{ "reuse_arena", "1 MiB, touched and freed", "arena, warm", MIB, 1, arena_touch },
	{ "reuse_mmap", "", "mmap, munmap", MIB, 1, mmap_small },
	{ "fresh_arena", "32 MiB, touched and released", "arena", TOUCH_BYTES, 1, arena_release },
	{ "fresh_small", "", "arena, no huge folios", TOUCH_BYTES, 1, small_release },
	{ "fresh_mmap_huge", "", "mmap, MADV_HUGEPAGE", TOUCH_BYTES, 1, mmap_huge },
	{ "fresh_mmap", "", "mmap", TOUCH_BYTES, 1, mmap_small },
};

/* ns per operation in one round that takes as long as it is told; negative with errno. */
static double measure_round(const struct bench *b, operation run, unsigned int per, uint64_t ns)
{
	uint64_t start = clock_ns(), now, count = 0, burst = 1, i;

	do {
		/* The clock is looked at less and less often. */
		for (i = 0; i < burst; i++)
			if (!run(b))
				return -1;
		count += burst;
		now = clock_ns();
		if (now - start < ns / 16)
			burst *= 2;
	} while (now - start < ns);
	return (double)(now - start) / (double)count / per;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static bool measure(const struct bench *b, size_t which, uint64_t ns, double t[static ROUNDS])
{
	int i;

	/* Once for the caches, of all kinds. */
	if (!benches[which].run(b))
		return false;
	for (i = 0; i < ROUNDS; i++) {
		t[i] = measure_round(b, benches[which].run, benches[which].per, ns / ROUNDS);
		if (t[i] < 0)
			return false;
	}
	qsort(t, ROUNDS, sizeof(*t), by_value);
	return true;
}

static const char *duration(double ns, char buf[static 24])
{
	if (ns < 1e4)
		snprintf(buf, 24, "%.0f ns", ns);
	else if (ns < 1e7)
		snprintf(buf, 24, "%.1f us", ns / 1e3);
	else
		snprintf(buf, 24, "%.1f ms", ns / 1e6);
	return buf;
}

static struct pagearena *open_one(const char *device, uint64_t cache, uint32_t huge)
{
	struct pagearena_options o = {
		.size = sizeof(o),
		.arena_bytes = 1024 * MIB,
		.cache_bytes = cache,
		.huge = huge,
		.device = device,
	};

	return pagearena_open(&o);
}

static void print_json(size_t which, const double t[static ROUNDS])
{
	printf("%s\n  {\"name\": \"%s\", \"bytes\": %zu, \"ns\": %.1f, ", which ? "," : "",
	       benches[which].name, benches[which].len, t[ROUNDS / 2]);
	printf("\"least_ns\": %.1f, \"most_ns\": %.1f}", t[0], t[ROUNDS - 1]);
}

static int run(int argc, char **argv)
{
	enum { OPT_TIME = OPT_COMMON, OPT_JSON, OPT_DEVICE };
	static const struct option longs[] = {
		OPTION_HELP,
		{ "time", required_argument, NULL, OPT_TIME },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "device", required_argument, NULL, OPT_DEVICE },
		{ NULL, 0, NULL, 0 },
	};
	const char *device = PAGEARENA_DEVICE;
	struct target t = TARGET_NONE;
	uint64_t ms = 500;
	bool json = false;
	double times[ROUNDS];
	char median[24], least[24], most[24];
	struct bench b;
	int c, status;
	size_t i;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPT_TIME) {
			if (!parse_u64(optarg, &ms) || !ms || ms > 60000)
				return usage_error("bench: not a time: %s", optarg);
		} else if (c == OPT_JSON) {
			json = true;
		} else if (c == OPT_DEVICE) {
			device = optarg;
		} else if (common_option(&cmd_bench, c, &t, &status)) {
			return status;
		}
	}
	if (last_argument(&cmd_bench, argc, argv))
		return STATUS_USAGE;
	b.arena = open_one(device, PAGEARENA_NO_CACHE, PAGEARENA_HUGE_AUTO);
	b.cached = open_one(device, 0, PAGEARENA_HUGE_AUTO);
	b.small = open_one(device, PAGEARENA_NO_CACHE, PAGEARENA_HUGE_OFF);
	if (!b.arena || !b.cached || !b.small)
		return failed("%s: %s%s", device, strerror(errno),
			      errno == ENOENT ? " (is the module loaded?)" : "");
	if (json)
		printf("[");
	else
		printf("%-29s %-22s %10s   %s\n", "", "", "median", "of 5 rounds");
	for (i = 0; i < ARRAY_SIZE(benches); i++) {
		b.len = benches[i].len;
		if (!measure(&b, i, ms * 1000000, times))
			return failed("%s: %s", benches[i].name, strerror(errno));
		if (json)
			print_json(i, times);
		else
			printf("%-29s %-22s %10s   %s to %s\n", benches[i].what, benches[i].way,
			       duration(times[ROUNDS / 2], median), duration(times[0], least),
			       duration(times[ROUNDS - 1], most));
		fflush(stdout);
	}
	if (json)
		printf("\n]\n");
	pagearena_close(b.small);
	pagearena_close(b.cached);
	pagearena_close(b.arena);
	return STATUS_OK;
}

const struct command cmd_bench = {
	.name = "bench",
	.args = "[OPTION]...",
	.what = "what a few operations cost here, beside mmap()",
	.help =
		"Measures on this machine what it costs to allocate and free, to use warm memory\n"
		"again, and to get fresh memory and give it back, on an arena and with mmap().\n"
		"Times are those of a single thread, and depend on what else the machine does.\n"
		"\n"
		"  --time MS      so long for each line (default: 500)\n"
		"  --device PATH  the device (default: " PAGEARENA_DEVICE ")\n"
		"  --json         as JSON, times in ns\n",
	.run = run,
};
