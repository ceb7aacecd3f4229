// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The same on an arena, and what its other calls cost. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/pagearena.h>

#include "bench.h"

#define ARENA	(1UL << 30)
#define MID	(64UL << 10)

static const uint64_t sizes[] = { 8 << 10, 64 << 10, 256 << 10, 2 << 20 };

static int fd = -1;
static char *base;
static uint64_t arena_bytes;
static uint64_t spans[LIVE];

static void arena_open(uint64_t bytes, uint32_t huge, uint64_t granule, uint64_t growth)
{
	struct pagearena_setup setup = {
		.size = sizeof(setup),
		.arena_bytes = bytes,
		.granule = granule,
		.growth = growth,
		.huge = huge,
	};
	/* What it does by itself is left to tests that wait for it. */
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_PROMOTE_PERCENT,
	};

	fd = open("/dev/pagearena", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, PAGEARENA_IOC_SETUP, &setup) ||
	    ioctl(fd, PAGEARENA_IOC_POLICY, &policy))
		die("arena");
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED)
		die("mmap");
	arena_bytes = bytes;
}

static void arena_close(void)
{
	munmap(base, arena_bytes);
	close(fd);
	fd = -1;
}

static inline uint64_t span_alloc(uint64_t bytes, uint64_t align)
{
	struct pagearena_alloc alloc = { .size = sizeof(alloc), .length = bytes, .align = align };

	if (CALL(ioctl(fd, PAGEARENA_IOC_ALLOC, &alloc)))
		die("ALLOC");
	return alloc.offset;
}

static inline void span_free(uint64_t offset, uint64_t bytes)
{
	struct pagearena_free free = { .size = sizeof(free), .offset = offset, .length = bytes };

	if (CALL(ioctl(fd, PAGEARENA_IOC_FREE, &free)))
		die("FREE");
}

static uint64_t scavenge_all(void)
{
	struct pagearena_scavenge scavenge = { .size = sizeof(scavenge), .bytes = ~0ULL };

	if (CALL(ioctl(fd, PAGEARENA_IOC_SCAVENGE, &scavenge)))
		die("SCAVENGE");
	return scavenge.backed;
}

static struct pagearena_stats stats(void)
{
	struct pagearena_stats st = { .size = sizeof(st) };

	if (ioctl(fd, PAGEARENA_IOC_STATS, &st))
		die("STATS");
	return st;
}

/* Operations in one call; false: this module does not know batches. */
static inline bool batch(struct pagearena_op *ops, unsigned int count)
{
	struct pagearena_batch b = {
		.size = sizeof(b),
		.ops = (uintptr_t)ops,
		.count = count,
	};

	if (CALL(ioctl(fd, PAGEARENA_IOC_BATCH, &b)))
		return false;
	if (b.done != count || b.failed) {
		errno = EIO;
		die("BATCH");
	}
	return true;
}

static bool have_batch(void)
{
	struct pagearena_op op = { .op = PAGEARENA_OP_NOP };

	return batch(&op, 1);
}

/* LIVE spans, touched. */
static void fill(uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < LIVE; i++) {
		spans[i] = span_alloc(bytes, 0);
		touch(base + spans[i], bytes);
	}
}

static void shuffle(unsigned int *p, unsigned int n)
{
	unsigned int i, j, x;

	for (i = 0; i < n; i++)
		p[i] = i;
	for (i = n - 1; i > 0; i--) {
		j = (unsigned int)draw(i + 1);
		x = p[i];
		p[i] = p[j];
		p[j] = x;
	}
}

/* Free and allocate, of memory that is warm: nothing is touched. */
static void pair(uint64_t bytes, uint32_t huge)
{
	struct pagearena_op ops[2 * LIVE];
	unsigned int i, j, order[LIVE];
	const char *name = huge == PAGEARENA_HUGE_NEVER ? "free+alloc-small" : "free+alloc";

	arena_open(ARENA, huge, 0, 0);
	fill(bytes);
	if (row_begin("pair", name, "arena", bytes, 1)) {
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			j = (unsigned int)draw(LIVE);
			row_start();
			span_free(spans[j], bytes);
			spans[j] = span_alloc(bytes, 0);
			row_stop();
		}
		row_end();
	}
	if (!have_batch()) {
		row_missing("pair", name, "arena-batch", bytes, "not in this module");
		row_missing("pair", name, "arena-batch-in-turn", bytes, "not in this module");
		arena_close();
		return;
	}
	/* Every span for another one of the same size, in any order. */
	if (row_begin("pair", name, "arena-batch-in-turn", bytes, LIVE)) {
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			shuffle(order, LIVE);
			memset(ops, 0, sizeof(ops));
			for (j = 0; j < LIVE; j++) {
				ops[2 * j].op = PAGEARENA_OP_FREE;
				ops[2 * j].offset = spans[order[j]];
				ops[2 * j + 1].op = PAGEARENA_OP_ALLOC;
				ops[2 * j + 1].length = bytes;
			}
			row_start();
			batch(ops, 2 * LIVE);
			row_stop();
			for (j = 0; j < LIVE; j++)
				spans[order[j]] = ops[2 * j + 1].offset;
		}
		row_end();
	}
	/* As a cache does that is emptied and filled: all freed, then all allocated. */
	if (row_begin("pair", name, "arena-batch", bytes, LIVE)) {
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			shuffle(order, LIVE);
			memset(ops, 0, sizeof(ops));
			for (j = 0; j < LIVE; j++) {
				ops[j].op = PAGEARENA_OP_FREE;
				ops[j].offset = spans[order[j]];
				ops[LIVE + j].op = PAGEARENA_OP_ALLOC;
				ops[LIVE + j].length = bytes;
			}
			row_start();
			batch(ops, 2 * LIVE);
			row_stop();
			for (j = 0; j < LIVE; j++)
				spans[j] = ops[LIVE + j].offset;
		}
		row_end();
	}
	arena_close();
}

/* What a touch found missing, in pages that were zeroed, since "before". */
static uint64_t zeroed(uint64_t before)
{
	return (stats().bytes_zeroed - before) / PAGE;
}

/* As the ways in ways.c: freed, allocated, touched. */
static void reuse(uint64_t bytes, uint32_t huge, bool release)
{
	static const char *const ways[][2] = {
		[PAGEARENA_HUGE_AUTO] = { "arena", "arena-released" },
		[PAGEARENA_HUGE_NEVER] = { "arena-small", "arena-released-small" },
		[PAGEARENA_HUGE_OFF] = { "arena-off", "arena-released-off" },
	};
	const char *way = ways[huge][release];
	struct pagearena_op op[2] = { { .op = PAGEARENA_OP_FREE },
				      { .op = PAGEARENA_OP_SCAVENGE, .length = bytes } };
	unsigned int i, j, n = rounds(bytes < HUGE ? ROUNDS_MAX : 65);
	uint64_t before;
	bool batches;

	if (!row_begin("reuse", "free+alloc+touch", way, bytes, 1))
		return;
	arena_open(ARENA, huge, release && bytes >= MID ? MID : 0, 0);
	batches = have_batch();
	fill(bytes);
	for (i = 0; i < n; i++) {
		j = (unsigned int)draw(LIVE);
		before = stats().bytes_zeroed;
		row_start();
		if (release && batches) {
			op[0].offset = spans[j];
			op[1].offset = spans[j];
			op[1].length = bytes;
			batch(op, 2);
		} else {
			span_free(spans[j], bytes);
			if (release)
				scavenge_all();
		}
		spans[j] = span_alloc(bytes, 0);
		touch(base + spans[j], bytes);
		row_stop();
		row.samples[row.nr - 1].zeroed = zeroed(before);
		/* A kernel that lets a module do it maps folios of 64 KiB in one fault. */
		if (release && huge != PAGEARENA_HUGE_AUTO)
			row.samples[row.nr - 1].refills =
				bytes / PAGE - row.samples[row.nr - 1].faults;
	}
	row_end();
	arena_close();
}

static void first_touch(void)
{
	static const struct {
		const char *name;
		uint32_t huge;
	} ways[] = { { "arena", PAGEARENA_HUGE_NEVER }, { "arena-off", PAGEARENA_HUGE_OFF } };
	size_t way;
	unsigned int i, n;
	uint64_t offset;

	if (row_begin("touch", "first-touch", "arena", PAGE, 1)) {
		arena_open(ARENA, PAGEARENA_HUGE_NEVER, 0, 0);
		offset = span_alloc(64 * HUGE, HUGE);
		/* The page table and the chunk are there then. */
		touch(base + offset, PAGE);
		touch(base + offset + HUGE, PAGE);
		for (i = 0; i < rounds(ROUNDS_MAX - 1); i++) {
			row_start();
			touch(base + offset + PAGE + i * PAGE, PAGE);
			row_stop();
			row.samples[row.nr - 1].zeroed = 1;
		}
		row_end();
		arena_close();
	}
	/* Memory that is there, but not mapped. */
	if (row_begin("touch", "touch-backed", "arena", PAGE, 1)) {
		n = rounds(ROUNDS_MAX - 1);
		arena_open(ARENA, PAGEARENA_HUGE_NEVER, 0, 0);
		offset = span_alloc(64 * HUGE, HUGE);
		touch(base + offset, (n + 1) * PAGE);
		if (madvise(base + offset + PAGE, n * PAGE, MADV_DONTNEED))
			die("MADV_DONTNEED");
		for (i = 0; i < n; i++) {
			row_start();
			touch(base + offset + PAGE + i * PAGE, PAGE);
			row_stop();
		}
		row_end();
		arena_close();
	}
	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		if (!row_begin("touch", "first-touch", ways[way].name, MID, 1))
			continue;
		arena_open(ARENA, ways[way].huge, MID, 0);
		offset = span_alloc(64 * HUGE, HUGE);
		for (i = 0; i < rounds(30 * 30); i++) {
			if (!(i % 30))
				touch(base + offset + HUGE * (1 + i / 30), PAGE);
			row_start();
			touch(base + offset + HUGE * (1 + i / 30) + MID * (1 + i % 30), MID);
			row_stop();
			row.samples[row.nr - 1].zeroed = MID / PAGE;
		}
		row_end();
		arena_close();
	}
	/* Memory that was released: the second round, and those after it. */
	n = rounds(LIVE);
	if (row_begin("touch", "first-touch", "arena", HUGE, 1)) {
		arena_open(ARENA, PAGEARENA_HUGE_ALWAYS, 0, 0);
		offset = span_alloc(n * HUGE, HUGE);
		touch(base + offset, n * HUGE);
		span_free(offset, n * HUGE);
		scavenge_all();
		offset = span_alloc(n * HUGE, HUGE);
		for (i = 0; i < n; i++) {
			row_start();
			touch(base + offset + i * HUGE, PAGE);
			row_stop();
			row.samples[row.nr - 1].zeroed = HUGE / PAGE;
		}
		row_end();
		arena_close();
	}
#ifdef PAGEARENA_POLICY_POOL
	if (row_begin("touch", "first-touch", "arena-pool", HUGE, 1)) {
		struct pagearena_policy policy = { .size = sizeof(policy) };
		uint64_t hits;

		arena_open(ARENA, PAGEARENA_HUGE_ALWAYS, 0, 0);
		policy.set = PAGEARENA_POLICY_POOL;
		policy.pool_bytes = 8 * HUGE;
		if (ioctl(fd, PAGEARENA_IOC_POLICY, &policy))
			die("POLICY");
		offset = span_alloc(n * HUGE, HUGE);
		touch(base + offset, PAGE);
		for (i = 1; i < n; i++) {
			/* Until the background has filled it. */
			while (stats().pool_bytes < 8 * HUGE)
				usleep(1000);
			hits = stats().nr_pool_hit;
			row_start();
			touch(base + offset + i * HUGE, PAGE);
			row_stop();
			if (stats().nr_pool_hit == hits)
				row.nr--;
		}
		row_end();
		arena_close();
	}
#else
	row_missing("touch", "first-touch", "arena-pool", HUGE, "not in this module");
#endif
}

static void release(void)
{
	struct pagearena_op ops[LIVE];
	unsigned int i, j;
	uint64_t offset;

	if (row_begin("release", "release", "arena", HUGE, 1)) {
		arena_open(ARENA, PAGEARENA_HUGE_ALWAYS, 0, 0);
		fill(HUGE);
		for (i = 0; i < rounds(LIVE); i++) {
			span_free(spans[i], HUGE);
			row_start();
			scavenge_all();
			row_stop();
		}
		row_end();
		arena_close();
	}
	if (row_begin("release", "release", "arena-64-in-one-call", HUGE, LIVE)) {
		arena_open(ARENA, PAGEARENA_HUGE_ALWAYS, 0, 0);
		for (i = 0; i < rounds(15); i++) {
			offset = span_alloc(LIVE * HUGE, HUGE);
			touch(base + offset, LIVE * HUGE);
			span_free(offset, LIVE * HUGE);
			row_start();
			if (scavenge_all() != LIVE * HUGE) {
				errno = EIO;
				die("SCAVENGE");
			}
			row_stop();
		}
		row_end();
		arena_close();
	}
	arena_open(ARENA, PAGEARENA_HUGE_ALWAYS, 0, 0);
	if (!have_batch()) {
		row_missing("release", "release", "arena-batch", HUGE, "not in this module");
	} else if (row_begin("release", "release", "arena-batch", HUGE, LIVE / 2)) {
		/* Every other one, so that no two are neighbours. */
		memset(ops, 0, sizeof(ops));
		fill(HUGE);
		for (i = 0; i < rounds(15); i++) {
			for (j = 0; j < LIVE / 2; j++) {
				span_free(spans[2 * j], HUGE);
				ops[j].op = PAGEARENA_OP_SCAVENGE;
				ops[j].offset = spans[2 * j];
				ops[j].length = HUGE;
			}
			row_start();
			batch(ops, LIVE / 2);
			row_stop();
			for (j = 0; j < LIVE / 2; j++) {
				spans[2 * j] = span_alloc(HUGE, 0);
				touch(base + spans[2 * j], HUGE);
			}
		}
		row_end();
	}
	arena_close();
	if (row_begin("release", "release", "arena-small", HUGE, 1)) {
		arena_open(ARENA, PAGEARENA_HUGE_NEVER, 0, 0);
		fill(HUGE);
		for (i = 0; i < rounds(LIVE); i++) {
			span_free(spans[i], HUGE);
			row_start();
			scavenge_all();
			row_stop();
		}
		row_end();
		arena_close();
	}
}

/* What the other calls are made with: a span in the middle of others. */
static uint64_t some;
static struct pagearena_span found[LIVE];

static int call_nothing(void)
{
	ioctl(fd, _IO(PAGEARENA_IOC_TYPE, 1), 0);
	return 0;
}

static int call_info(void)
{
	struct pagearena_info info = { .size = sizeof(info) };

	return ioctl(fd, PAGEARENA_IOC_INFO, &info);
}

static int call_stats(void)
{
	struct pagearena_stats st = { .size = sizeof(st) };

	return ioctl(fd, PAGEARENA_IOC_STATS, &st);
}

static int call_policy(void)
{
	struct pagearena_policy policy = { .size = sizeof(policy) };

	return ioctl(fd, PAGEARENA_IOC_POLICY, &policy);
}

static int call_query(void)
{
	struct pagearena_query query = { .size = sizeof(query), .offset = some };

	return ioctl(fd, PAGEARENA_IOC_QUERY, &query);
}

static int call_spans(void)
{
	struct pagearena_spans list = {
		.size = sizeof(list),
		.spans = (uintptr_t)found,
		.count = ARRAY_SIZE(found),
	};

	return ioctl(fd, PAGEARENA_IOC_SPANS, &list);
}

static int call_scavenge(void)
{
	struct pagearena_scavenge scavenge = { .size = sizeof(scavenge), .bytes = ~0ULL };

	return ioctl(fd, PAGEARENA_IOC_SCAVENGE, &scavenge);
}

static int call_free(void)
{
	struct pagearena_free free = { .size = sizeof(free), .offset = some };

	return ioctl(fd, PAGEARENA_IOC_FREE, &free);
}

static int call_alloc_at(void)
{
	struct pagearena_alloc alloc = {
		.size = sizeof(alloc),
		.flags = PAGEARENA_ALLOC_FIXED,
		.length = MID,
		.offset = some,
	};

	return ioctl(fd, PAGEARENA_IOC_ALLOC, &alloc);
}

static int resize(uint64_t length)
{
	struct pagearena_resize req = { .size = sizeof(req), .offset = some, .length = length };

	return ioctl(fd, PAGEARENA_IOC_RESIZE, &req);
}

static int call_shrink(void)
{
	return resize(MID / 2);
}

static int call_grow(void)
{
	return resize(MID);
}

/**
 * struct call - a call to measure
 * @group: of its row
 * @name: of its row
 * @call: the call
 * @undo: what makes it possible to call again
 * @first: what is done first of all
 */
struct call {
	const char *group;
	const char *name;
	int (*call)(void);
	int (*undo)(void);
	int (*first)(void);
};

static const struct call other_calls[] = {
	{ "floor", "ioctl-of-nothing", call_nothing },
	{ "call", "INFO", call_info },
	{ "call", "STATS", call_stats },
	{ "call", "POLICY", call_policy },
	{ "call", "QUERY", call_query },
	{ "call", "SPANS-of-64", call_spans },
	{ "call", "SCAVENGE-of-nothing", call_scavenge },
	{ "call", "ALLOC-at-an-offset", call_alloc_at, call_free, call_free },
	{ "call", "RESIZE-to-half", call_shrink, call_grow },
	{ "call", "RESIZE-to-twice", call_grow, call_shrink, call_shrink },
};

static void measure_call(const struct call *c)
{
	unsigned int i;

	if (!row_begin(c->group, c->name, "arena", 0, 1))
		return;
	arena_open(ARENA, PAGEARENA_HUGE_NEVER, 0, 0);
	fill(MID);
	some = spans[8];
	if (c->first && c->first()) {
		row_missing(c->group, c->name, "arena", 0, "not in this module");
		arena_close();
		return;
	}
	for (i = 0; i < rounds(ROUNDS_MAX); i++) {
		row_start();
		if (CALL(c->call()))
			die(c->name);
		row_stop();
		if (c->undo && c->undo())
			die(c->name);
	}
	row_end();
	arena_close();
}

/* PROMOTE of a chunk that has all its pages; MADV_COLLAPSE of as much is in ways.c. */
static void promote(void)
{
	struct pagearena_promote req;
	unsigned int i, n = rounds(15);
	uint64_t offset;

	if (!row_begin("call", "PROMOTE", "arena", HUGE, 1))
		return;
	arena_open(ARENA, PAGEARENA_HUGE_NEVER, 0, 0);
	offset = span_alloc(n * HUGE, HUGE);
	touch(base + offset, n * HUGE);
	for (i = 0; i < n; i++) {
		memset(&req, 0, sizeof(req));
		req.size = sizeof(req);
		req.offset = offset + i * HUGE;
		req.length = HUGE;
		row_start();
		if (CALL(ioctl(fd, PAGEARENA_IOC_PROMOTE, &req)))
			die("PROMOTE");
		touch(base + offset + i * HUGE, PAGE);
		row_stop();
	}
	row_end();
	arena_close();
}

void bench_arena(void)
{
	size_t s;

	if (access("/dev/pagearena", F_OK)) {
		row_missing("pair", "all", "arena", 0, "no module");
		return;
	}
	set_thp("never");
	for (s = 0; s < ARRAY_SIZE(other_calls); s++)
		measure_call(&other_calls[s]);
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		pair(sizes[s], PAGEARENA_HUGE_AUTO);
		pair(sizes[s], PAGEARENA_HUGE_NEVER);
	}
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		reuse(sizes[s], PAGEARENA_HUGE_AUTO, false);
		reuse(sizes[s], PAGEARENA_HUGE_NEVER, false);
		reuse(sizes[s], PAGEARENA_HUGE_AUTO, true);
		reuse(sizes[s], PAGEARENA_HUGE_NEVER, true);
		reuse(sizes[s], PAGEARENA_HUGE_OFF, false);
		reuse(sizes[s], PAGEARENA_HUGE_OFF, true);
	}
	first_touch();
	release();
	promote();
}

/* A line of /proc/meminfo, in bytes. */
static uint64_t machine(const char *name)
{
	size_t len = strlen(name);
	unsigned long long kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && sscanf(line + len, ": %llu kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

/*
 * Free and allocate among n live spans, of 8 KiB to 64 KiB, with free ones between them, in a
 * heap that has room for all of it.
 */
static void scale(uint64_t n, const char *way)
{
	struct pagearena_op *ops = calloc(1024, sizeof(*ops));
	uint64_t *many = calloc(n, sizeof(*many)), before, at, i, j, bytes;
	bool batches;
	char name[64];

	if (!row_begin("scale", "free+alloc", way, 8 << 10, 1))
		return;
	if (!many || !ops)
		die("calloc");
	memset(many, 0, n * sizeof(*many));
	/* What was freed before is gone after a while. */
	usleep(1000000);
	before = machine("Slab");
	arena_open(1UL << 40, PAGEARENA_HUGE_AUTO, 0, n * (64 << 10));
	batches = have_batch();
	for (at = 0; at < n; at += 1000) {
		for (i = 0; i < 1000 && at + i < n; i++) {
			bytes = (8 << 10) * (1 + draw(8));
			if (!batches) {
				many[at + i] = span_alloc(bytes, 0);
				continue;
			}
			memset(&ops[i], 0, sizeof(ops[i]));
			ops[i].op = PAGEARENA_OP_ALLOC;
			ops[i].length = bytes;
		}
		if (batches)
			batch(ops, (unsigned int)i);
		for (j = 0; batches && j < i; j++)
			many[at + j] = ops[j].offset;
	}
	if (n >= 100000) {
		snprintf(name, sizeof(name), "slabs for each of %llu spans",
			 (unsigned long long)n);
		figure(name, "bytes", ((double)machine("Slab") - (double)before) / (double)n);
	}
	/* One in eight is free. */
	for (i = 0; i < n; i += 8)
		span_free(many[i], 0);
	for (i = 0; i < rounds(ROUNDS_MAX) + 100; i++) {
		j = draw(n / 8) * 8 + 1 + draw(7);
		bytes = (8 << 10) * (1 + draw(8));
		row_start();
		span_free(many[j], 0);
		many[j] = span_alloc(bytes, 0);
		row_stop();
		/* The first ones have the heap grow. */
		if (i < 100)
			row.nr = 0;
	}
	row_end();
	arena_close();
	free(many);
	free(ops);
}

/* What spans of 8 KiB that are backed take besides, in percent of what backs them. */
static void metadata(uint32_t huge, const char *name)
{
	uint64_t before = machine("Slab"), total = 256UL << 20, at;

	arena_open(ARENA, huge, 0, 0);
	for (at = 0; at < total; at += 8 << 10)
		touch(base + span_alloc(8 << 10, 0), 8 << 10);
	figure(name, "percent", 100.0 * ((double)machine("Slab") - (double)before) / (double)total);
	arena_close();
}

void bench_scale(void)
{
	if (access("/dev/pagearena", F_OK))
		return;
	if (row_begin("scale", "metadata", "arena", 8 << 10, 1)) {
		metadata(PAGEARENA_HUGE_AUTO, "slabs for backed spans of 8 KiB");
		metadata(PAGEARENA_HUGE_NEVER,
			 "slabs for backed spans of 8 KiB without huge folios");
	}
	scale(1000, "1000-spans");
	scale(opt.spans, opt.spans == 1000000 ? "1000000-spans" : "many-spans");
}
