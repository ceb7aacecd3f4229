// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Traces of real programs, replayed as fast as it goes, with every page touched that was
 * allocated: on an arena, with mmap() and munmap(), and on a heap of spans in user space over
 * anonymous memory and madvise().  The latter is the arena's own heap (kmod/span_heap.c).
 *
 * Only what the allocator and the touching take is counted, each operation for itself, and
 * then summed up.  Purges are left out: they are hints.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kernel.h>

#include "pagearena.h"
#include "span_heap.h"

#include "bench.h"

/* Address space of a heap and of an arena */
#define SPACE		(64UL << 30)
/* By the policy of a heap that releases, and so often: keep a tenth of what is in use. */
#define KEEP_PERCENT	10
#define POLICY_EVERY	256

#ifndef PAGEARENA_NO_CACHE
#define PAGEARENA_NO_CACHE	0
#define LIBRARY_CACHE		false
#else
#define LIBRARY_CACHE		true
#endif

/** struct op - an operation of a trace: 'a' or 'f' */
struct op {
	uint32_t id;
	uint32_t npages;
	uint32_t align;
	char op;
};

static struct op *ops;
static size_t nr_ops;
static uint32_t max_id;
static unsigned int shift; /* of a page of the trace */
static char **live; /* by id */

/* When memory goes back */
enum release { NEVER, AT_ONCE, POLICY };

/**
 * struct backend - a way to replay a trace
 * @name: as printed
 * @thp: transparent huge pages; an arena: huge folios
 * @mthp: transparent folios of 64 KiB
 * @advice: what free memory of a heap in user space is given to
 * @release: when
 * @cache: the library's caches
 */
struct backend {
	const char *name;
	bool (*open)(const struct backend *b);
	char *(*alloc)(const struct backend *b, uint64_t bytes, uint64_t align);
	void (*free)(const struct backend *b, char *p, uint64_t bytes);
	void (*policy)(const struct backend *b);
	bool thp;
	bool mthp;
	bool cache;
	int advice;
	enum release release;
};

/* --- mmap() and munmap() --- */

static bool map_open(const struct backend *b)
{
	(void)b;
	return true;
}

static char *map_alloc(const struct backend *b, uint64_t bytes, uint64_t align)
{
	uint64_t more = align > PAGE ? align - PAGE : 0;
	char *map = CALL(mmap(NULL, bytes + more, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	char *p = (char *)(((uintptr_t)map + align - 1) & ~(align - 1));

	if (map == MAP_FAILED)
		die("mmap");
	if (p > map)
		CALL(munmap(map, (size_t)(p - map)));
	if (map + more > p)
		CALL(munmap(p + bytes, (size_t)(map + more - p)));
	/* It would be no use for less. */
	if (b->thp && bytes >= HUGE)
		CALL(madvise(p, bytes, MADV_HUGEPAGE));
	return p;
}

static void map_free(const struct backend *b, char *p, uint64_t bytes)
{
	(void)b;
	CALL(munmap(p, bytes));
}

/* --- The heap in user space --- */

static struct span_heap heap;
static char *base;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct backend *heap_backend;
static u64 now;

/* What free memory is released by. */
static int heap_unused(void *ctx, u64 offset, u64 len)
{
	(void)ctx;
	return CALL(madvise(base + offset, len, heap_backend->advice)) ? -EIO : 0;
}

static void heap_add_spares(void)
{
	struct span *s;

	while (heap.nr_spares < SPAN_HEAP_SPARES) {
		s = malloc(sizeof(*s));
		if (!s)
			die("malloc");
		span_heap_add_spare(&heap, s);
	}
}

static bool heap_open(const struct backend *b)
{
	static const struct span_heap_ops heap_ops = { .unused = heap_unused };
	struct span_heap_config cfg = {
		.size = SPACE,
		.growth = 64 << 20,
		.page_shift = (u8)shift,
		.granule_shift = 12,
		.huge_shift = 21,
		.fit = SPAN_FIT_PLACED,
		.reuse = true,
	};
	char *map = mmap(NULL, SPACE + HUGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		die("mmap");
	base = (char *)(((uintptr_t)map + HUGE - 1) & ~(HUGE - 1));
	if (b->thp && madvise(base, SPACE, MADV_HUGEPAGE))
		die("madvise");
	heap_backend = b;
	return !span_heap_init(&heap, &cfg, &heap_ops, NULL);
}

static char *heap_alloc(const struct backend *b, uint64_t bytes, uint64_t align)
{
	struct span *s;

	(void)b;
	pthread_mutex_lock(&lock);
	heap_add_spares();
	if (span_heap_alloc(&heap, bytes >> shift, align >> shift, &s, NULL))
		die("the heap in user space");
	pthread_mutex_unlock(&lock);
	return base + span_offset(s, &heap);
}

static void heap_free(const struct backend *b, char *p, uint64_t bytes)
{
	u64 page = (u64)(p - base) >> shift;

	pthread_mutex_lock(&lock);
	/* Without a system call under the lock: nobody else can have the span yet. */
	if (b->release == AT_ONCE && CALL(madvise(p, bytes, b->advice)))
		die("madvise");
	if (span_heap_free(&heap, page, bytes >> shift, ++now))
		die("the heap in user space");
	pthread_mutex_unlock(&lock);
}

static void heap_policy(const struct backend *b)
{
	u64 warm, keep = heap.stats.heap_inuse / 100 * KEEP_PERCENT;

	(void)b;
	pthread_mutex_lock(&lock);
	warm = heap.stats.heap_idle - heap.stats.heap_released;
	if (warm > keep)
		span_heap_scavenge_bytes(&heap, warm - keep, NULL);
	pthread_mutex_unlock(&lock);
}

/* --- The arena --- */

static struct pagearena *arena;

static bool arena_open(const struct backend *b)
{
	struct pagearena_options options = {
		.size = sizeof(options),
		.arena_bytes = SPACE,
		.span_page = 1UL << shift,
		.huge = b->thp ? PAGEARENA_HUGE_AUTO : PAGEARENA_HUGE_NEVER,
#if LIBRARY_CACHE
		.cache_bytes = b->cache ? 0 : PAGEARENA_NO_CACHE,
#endif
	};
	/* It is the replay that releases, so that what is done is always the same. */
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_SCAVENGE_PERCENT,
	};

	if (b->cache && !LIBRARY_CACHE)
		return false;
	arena = pagearena_open(&options);
	return arena && !pagearena_policy(arena, &policy);
}

static char *arena_alloc(const struct backend *b, uint64_t bytes, uint64_t align)
{
	char *p;

	if (align > 1UL << shift)
		p = pagearena_aligned_alloc(arena, align, bytes, 0);
	else
		p = pagearena_alloc(arena, bytes, 0);
	/* What a cache spares is not known here, but to the plugin. */
	nr_calls += !b->cache;
	if (!p)
		die("arena");
	return p;
}

static void arena_free(const struct backend *b, char *p, uint64_t bytes)
{
	struct pagearena_op op[2] = {
		{ .op = PAGEARENA_OP_FREE },
		{ .op = PAGEARENA_OP_SCAVENGE, .length = bytes },
	};
	struct pagearena_batch batch = { .size = sizeof(batch), .ops = (uintptr_t)op, .count = 2 };

	if (b->release != AT_ONCE) {
		nr_calls += !b->cache;
		if (pagearena_free_sized(arena, p, bytes))
			die("arena");
		return;
	}
	op[0].offset = pagearena_offset(arena, p);
	op[1].offset = op[0].offset;
	if (CALL(ioctl(pagearena_fd(arena), PAGEARENA_IOC_BATCH, &batch)) || batch.failed)
		die("arena");
}

static void arena_policy(const struct backend *b)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	uint64_t warm, keep;

	(void)b;
	if (CALL(pagearena_stats(arena, &st)))
		die("stats");
	warm = st.heap_idle - st.heap_released;
	keep = st.heap_inuse / 100 * KEEP_PERCENT;
	if (warm > keep && CALL(pagearena_scavenge(arena, warm - keep, 0, NULL, NULL)))
		die("scavenge");
}

/* --- The replay --- */

#define MAP	.open = map_open, .alloc = map_alloc, .free = map_free
#define USER	.open = heap_open, .alloc = heap_alloc, .free = heap_free, .policy = heap_policy
#define ARENA	.open = arena_open, .alloc = arena_alloc, .free = arena_free, .policy = arena_policy

static const struct backend backends[] = {
	{ "mmap-munmap", MAP },
	{ "mmap-munmap-thp", MAP, .thp = true },
	{ "heap-never-released", USER },
	{ "heap-never-released-thp", USER, .thp = true },
	{ "heap-madv-free", USER, .advice = MADV_FREE, .release = AT_ONCE },
	{ "heap-madv-free-mthp", USER, .advice = MADV_FREE, .release = AT_ONCE, .mthp = true },
	{ "heap-madv-free-thp", USER, .advice = MADV_FREE, .release = AT_ONCE, .thp = true },
	{ "heap-dontneed-policy", USER, .advice = MADV_DONTNEED, .release = POLICY },
	{ "heap-dontneed-policy-mthp", USER, .advice = MADV_DONTNEED, .release = POLICY,
	  .mthp = true },
	{ "heap-dontneed-policy-thp", USER, .advice = MADV_DONTNEED, .release = POLICY,
	  .thp = true },
	{ "heap-dontneed", USER, .advice = MADV_DONTNEED, .release = AT_ONCE },
	{ "heap-dontneed-mthp", USER, .advice = MADV_DONTNEED, .release = AT_ONCE, .mthp = true },
	{ "heap-dontneed-thp", USER, .advice = MADV_DONTNEED, .release = AT_ONCE, .thp = true },
	{ "arena", ARENA, .thp = true },
	{ "arena-cache", ARENA, .thp = true, .cache = true },
	{ "arena-small", ARENA },
	{ "arena-policy", ARENA, .release = POLICY, .thp = true },
	{ "arena-policy-small", ARENA, .release = POLICY },
	{ "arena-released", ARENA, .release = AT_ONCE, .thp = true },
	{ "arena-released-small", ARENA, .release = AT_ONCE },
};

static bool trace_load(const char *path)
{
	unsigned long page_size = 4096;
	unsigned int id, npages, align;
	size_t room = 0;
	char line[256];
	FILE *f = fopen(path, "re");
	char op;
	int n;

	if (!f)
		return false;
	nr_ops = 0;
	max_id = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "# page_size: %lu", &page_size) == 1)
			continue;
		align = 1;
		n = sscanf(line, "%*u,%c,%u,%u,%u", &op, &id, &npages, &align);
		if (n < 3 || op == 'p')
			continue;
		if (nr_ops == room) {
			room = 2 * room + 1024;
			ops = reallocarray(ops, room, sizeof(*ops));
			if (!ops)
				die("malloc");
		}
		ops[nr_ops++] = (struct op){ id, npages, align, op };
		if (id > max_id)
			max_id = id;
	}
	fclose(f);
	shift = (unsigned int)__builtin_ctzl(page_size);
	live = realloc(live, (max_id + 1UL) * sizeof(*live));
	if (!live)
		die("malloc");
	memset(live, 0, (max_id + 1UL) * sizeof(*live));
	return nr_ops > 0;
}

/* Pages that were touched without a fault, if all had been out of the TLB. */
static uint64_t refills(const struct backend *b, uint64_t bytes, uint64_t faults)
{
	uint64_t entries = b->thp ? bytes / HUGE : bytes / PAGE;

	/* Only these flush what they leave mapped. */
	if (b->advice != MADV_FREE && !b->mthp)
		return 0;
	return entries > faults ? entries - faults : 0;
}

static void replay(const struct backend *b)
{
	struct sample sum = { 0 }, *s = &row.samples[0];
	uint64_t bytes, since = 0;
	size_t i;

	for (i = 0; i < nr_ops; i++) {
		bytes = (uint64_t)ops[i].npages << shift;
		row.nr = 0;
		if (ops[i].op == 'a') {
			row_start();
			live[ops[i].id] = b->alloc(b, bytes, (uint64_t)ops[i].align << shift);
			touch(live[ops[i].id], bytes);
			row_stop();
			sum.refills += refills(b, bytes, s->faults);
		} else {
			row_start();
			b->free(b, live[ops[i].id], bytes);
			if (b->release == POLICY && ++since == POLICY_EVERY) {
				since = 0;
				b->policy(b);
			}
			row_stop();
		}
		sum.raw += s->raw;
		sum.faults += s->faults;
		sum.calls += s->calls;
	}
	row.samples[0] = sum;
	row.nr = 1;
}

void bench_replay(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = strdup(slash ? slash + 1 : path);
	const struct backend *b;
	int status;
	pid_t pid;

	if (!name || !trace_load(path))
		die(path);
	name[strcspn(name, ".")] = '\0';
	for (b = backends; b < backends + ARRAY_SIZE(backends); b++) {
		if (!row_begin("trace", name, b->name, 0, 1))
			continue;
		set_thp(b->mthp ? "always" : "never");
		/* Each in a process of its own, that leaves nothing behind. */
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid) {
			if (b->open(b)) {
				replay(b);
				row_end();
			} else {
				row_missing("trace", name, b->name, 0, "not available");
			}
			fflush(stdout);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status) {
			errno = EIO;
			die(b->name);
		}
	}
	set_thp("never");
	free(name);
}
