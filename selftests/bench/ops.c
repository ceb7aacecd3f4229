// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What each operation costs, of an arena and of what else a program could use, in one boot. Runs
 * where a nanosecond of the clock is one instruction (see icount.sh).
 *
 * A line for each: name, size, and per operation the median of the instructions, the pages that
 * the kernel zeroed (by what the operation does), page faults (counted), system calls, and pages
 * that are touched again after a TLB flush. The run's last line is "done".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pagearena.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#define LIVE 64
#define ROUNDS 200
#define HUGE (2UL << 20)
#define PAGE 4096UL
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

typedef unsigned long long u64;

static u64 rng = 1;

static unsigned int any(unsigned int n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(rng >> 33) % n;
}

static void die(const char *what)
{
	printf("failed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static u64 faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (u64)ru.ru_minflt;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* A part of a huge folio is not released, so nothing is cleared but for whole ones. */
#define WHOLE -1.0

/* One way of doing something: op() is measured, prepare() before each is not. */
struct way {
	const char *name;
	void (*begin)(size_t size);
	void (*prepare)(unsigned int i);
	void (*op)(unsigned int i);
	void (*end)(void);
	unsigned int per; /* operations in one op() */
	double zeroed; /* pages per byte of the size that are zeroed: 1 / PAGE, 0 or WHOLE */
	unsigned int calls;
	bool again; /* pages are touched again after a flush, without a fault */
};

static size_t size;
static char *mem, *span[LIVE];
static int fd = -1;
static u64 off[LIVE];
static struct pagearena_op ops[2 * LIVE];

static void touch(char *p)
{
	size_t i;

	for (i = 0; i < size; i += PAGE)
		*(volatile char *)(p + i) = 1;
}

static void measure(const struct way *w, size_t bytes)
{
	static u64 took[ROUNDS];
	unsigned int i, per = w->per ? w->per : 1;
	unsigned int rounds = bytes >= HUGE ? ROUNDS / 4 : ROUNDS;
	double zeroed = w->zeroed;
	u64 before, start;

	if (w->zeroed < 0)
		zeroed = bytes >= HUGE ? 1.0 / PAGE : 0;
	size = bytes;
	errno = 0;
	w->begin(bytes);
	if (errno == ENOTSUP) {
		printf("%-44s %8zu not available\n", w->name, bytes);
		return;
	}
	for (i = 0; i < 8; i++) {
		if (w->prepare)
			w->prepare(i);
		w->op(i);
	}
	before = faults();
	for (i = 0; i < rounds; i++) {
		if (w->prepare)
			w->prepare(i);
		start = __rdtsc();
		w->op(i);
		took[i] = __rdtsc() - start;
	}
	before = faults() - before;
	qsort(took, rounds, sizeof(took[0]), by_value);
	printf("%-44s %8zu %10.1f %8.1f %8.2f %6.2f %6.1f\n", w->name, bytes,
	       (double)took[rounds / 2] / per, zeroed * (double)bytes,
	       (double)before / rounds / per, (double)w->calls / per,
	       w->again ? (double)bytes / PAGE : 0.0);
	fflush(stdout);
	if (w->end)
		w->end();
}

/* Anonymous memory */

static void anon(size_t bytes, int advice)
{
	unsigned int i;

	mem = mmap(NULL, LIVE * bytes + HUGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	span[0] = (char *)(((unsigned long)mem + HUGE - 1) & ~(HUGE - 1));
	if (madvise(span[0], LIVE * bytes, advice))
		die("madvise");
	for (i = 0; i < LIVE; i++) {
		span[i] = span[0] + i * bytes;
		touch(span[i]);
	}
}

static void anon_small(size_t bytes)
{
	anon(bytes, MADV_NOHUGEPAGE);
}

static void anon_huge(size_t bytes)
{
	anon(bytes, MADV_HUGEPAGE);
}

static void anon_end(void)
{
	munmap(mem, LIVE * size + HUGE);
}

static void op_touch(unsigned int i)
{
	(void)i;
	touch(span[any(LIVE)]);
}

static void op_free_touch(unsigned int i)
{
	char *p = span[any(LIVE)];

	(void)i;
	madvise(p, size, MADV_FREE);
	touch(p);
}

static void op_dontneed_touch(unsigned int i)
{
	char *p = span[any(LIVE)];

	(void)i;
	madvise(p, size, MADV_DONTNEED);
	touch(p);
}

static void op_dontneed_populate(unsigned int i)
{
	char *p = span[any(LIVE)];

	(void)i;
	madvise(p, size, MADV_DONTNEED);
	madvise(p, size, MADV_POPULATE_WRITE);
	touch(p);
}

static void mmap_begin(size_t bytes)
{
	unsigned int i;

	for (i = 0; i < LIVE; i++) {
		span[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		touch(span[i]);
	}
}

static void op_mmap(unsigned int i)
{
	unsigned int k = any(LIVE);

	(void)i;
	munmap(span[k], size);
	span[k] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	touch(span[k]);
}

static void mmap_end(void)
{
	unsigned int i;

	for (i = 0; i < LIVE; i++)
		munmap(span[i], size);
}

static void memfd_begin(size_t bytes)
{
	unsigned int i;

	fd = memfd_create("bench", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)(LIVE * bytes)))
		die("memfd");
	mem = mmap(NULL, LIVE * bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (i = 0; i < LIVE; i++) {
		span[i] = mem + i * bytes;
		touch(span[i]);
	}
}

static void op_punch(unsigned int i)
{
	unsigned int k = any(LIVE);

	(void)i;
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(k * size),
		  (off_t)size);
	touch(span[k]);
}

static void memfd_end(void)
{
	munmap(mem, LIVE * size);
	close(fd);
}

/* The arena, by the calls */

static void make_arena(size_t bytes, unsigned int huge, size_t arena_bytes)
{
	struct pagearena_setup setup = { .size = sizeof(setup), .arena_bytes = arena_bytes,
					 .huge = huge };
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_PROMOTE_PERCENT,
	};

	(void)bytes;
	fd = open("/dev/pagearena", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, PAGEARENA_IOC_SETUP, &setup) ||
	    ioctl(fd, PAGEARENA_IOC_POLICY, &policy))
		die("setting up an arena");
	mem = mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap of an arena");
}

static u64 alloc(size_t bytes)
{
	struct pagearena_alloc req = { .size = sizeof(req), .length = bytes };

	if (syscall(SYS_ioctl, fd, PAGEARENA_IOC_ALLOC, &req))
		die("ALLOC");
	return req.offset;
}

static void release(u64 offset)
{
	struct pagearena_free req = { .size = sizeof(req), .offset = offset };

	if (syscall(SYS_ioctl, fd, PAGEARENA_IOC_FREE, &req))
		die("FREE");
}

static void arena_live(size_t bytes)
{
	unsigned int i;

	make_arena(bytes, PAGEARENA_HUGE_AUTO, 1UL << 30);
	for (i = 0; i < LIVE; i++) {
		off[i] = alloc(bytes);
		touch(mem + off[i]);
	}
}

static void arena_end(void)
{
	munmap(mem, 1UL << 30);
	close(fd);
}

static void op_pair(unsigned int i)
{
	unsigned int k = any(LIVE);

	(void)i;
	release(off[k]);
	off[k] = alloc(size);
}

static void op_pair_touch(unsigned int i)
{
	unsigned int k = any(LIVE);

	(void)i;
	release(off[k]);
	off[k] = alloc(size);
	touch(mem + off[k]);
}

static void batch(unsigned int n)
{
	struct pagearena_batch req = { .size = sizeof(req), .ops = (unsigned long)ops,
				       .count = n };

	if (syscall(SYS_ioctl, fd, PAGEARENA_IOC_BATCH, &req) || req.failed)
		die("BATCH");
}

static void prepare_batch(unsigned int i)
{
	unsigned int k, n, order[LIVE];

	(void)i;
	for (k = 0; k < LIVE; k++) {
		n = any(k + 1);
		order[k] = order[n];
		order[n] = k;
	}
	for (k = 0; k < LIVE; k++) {
		ops[2 * k] = (struct pagearena_op){ .op = PAGEARENA_OP_FREE,
						    .offset = off[order[k]] };
		ops[2 * k + 1] = (struct pagearena_op){ .op = PAGEARENA_OP_ALLOC,
							.length = size };
	}
}

static void op_batch(unsigned int i)
{
	unsigned int k;

	(void)i;
	batch(2 * LIVE);
	for (k = 0; k < LIVE; k++)
		off[k] = ops[2 * k + 1].offset;
}

/* Free, release, allocate, touch */
static void op_release_touch(unsigned int i)
{
	unsigned int k = any(LIVE);

	(void)i;
	ops[0] = (struct pagearena_op){ .op = PAGEARENA_OP_FREE, .offset = off[k] };
	ops[1] = (struct pagearena_op){ .op = PAGEARENA_OP_SCAVENGE, .offset = off[k],
					.length = size };
	ops[2] = (struct pagearena_op){ .op = PAGEARENA_OP_ALLOC, .length = size };
	batch(3);
	off[k] = ops[2].offset;
	touch(mem + off[k]);
}

static void arena_small(size_t bytes)
{
	unsigned int i;

	make_arena(bytes, PAGEARENA_HUGE_NEVER, 1UL << 30);
	for (i = 0; i < LIVE; i++) {
		off[i] = alloc(bytes);
		touch(mem + off[i]);
	}
}

/* First touches and releases of 2 MiB */

static u64 pool;

static void arena_fresh(size_t bytes)
{
	struct pagearena_policy policy = { .size = sizeof(policy),
					   .set = PAGEARENA_POLICY_POOL, .pool_bytes = pool };
	struct pagearena_stats st = { .size = sizeof(st) };

	make_arena(bytes, PAGEARENA_HUGE_ALWAYS, 1UL << 30);
	off[0] = alloc(LIVE * bytes);
	if (!pool)
		return;
	if (ioctl(fd, PAGEARENA_IOC_POLICY, &policy))
		die("POLICY");
	do {
		usleep(10000);
		ioctl(fd, PAGEARENA_IOC_STATS, &st);
	} while (st.pool_bytes < pool);
}

static void pool_fresh(size_t bytes)
{
	pool = 64 * HUGE;
	arena_fresh(bytes);
	pool = 0;
}

static void op_first_touch(unsigned int i)
{
	touch(mem + off[0] + (i % LIVE) * size);
}

static void anon_fresh(size_t bytes)
{
	mem = mmap(NULL, (LIVE + 1) * bytes + HUGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	span[0] = (char *)(((unsigned long)mem + HUGE - 1) & ~(HUGE - 1));
	madvise(span[0], LIVE * bytes, bytes < HUGE ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	/* The page table is there. */
	if (bytes < HUGE)
		*(volatile char *)(span[0] + (LIVE - 1) * bytes) = 1;
}

static void op_first_anon(unsigned int i)
{
	touch(span[0] + (i % LIVE) * size);
}

static void small_fresh(size_t bytes)
{
	make_arena(bytes, PAGEARENA_HUGE_NEVER, 1UL << 30);
	off[0] = alloc(LIVE * bytes * 4);
	*(volatile char *)(mem + off[0] + LIVE * 4 * bytes - 1) = 1;
}

static void small_prepare(unsigned int i)
{
	struct pagearena_scavenge req = { .size = sizeof(req), .bytes = ~0ULL };

	if (i % LIVE)
		return;
	release(off[0]);
	ioctl(fd, PAGEARENA_IOC_SCAVENGE, &req);
	off[0] = alloc(LIVE * size * 4);
	*(volatile char *)(mem + off[0] + LIVE * 4 * size - 1) = 1;
}

static void anon_prepare(unsigned int i)
{
	if (i % LIVE)
		return;
	madvise(span[0], (LIVE - 1) * size, MADV_DONTNEED);
}

static void prepare_release(unsigned int i)
{
	unsigned int k;

	(void)i;
	off[0] = alloc(LIVE * size);
	for (k = 0; k < LIVE; k++)
		*(volatile char *)(mem + off[0] + k * size) = 1;
	release(off[0]);
}

static void op_release(unsigned int i)
{
	struct pagearena_scavenge req = { .size = sizeof(req), .bytes = 1UL << 30 };

	(void)i;
	if (ioctl(fd, PAGEARENA_IOC_SCAVENGE, &req))
		die("SCAVENGE");
}

static void fresh_released(size_t bytes)
{
	make_arena(bytes, PAGEARENA_HUGE_ALWAYS, 1UL << 30);
}

static void prepare_dontneed(unsigned int i)
{
	unsigned int k;

	(void)i;
	for (k = 0; k < LIVE; k++)
		*(volatile char *)(span[k]) = 1;
}

static void op_dontneed(unsigned int i)
{
	(void)i;
	madvise(span[0], LIVE * size, MADV_DONTNEED);
}

/* Many spans, every second of them free, so that there are trees. */

static void many_spans(size_t many)
{
	u64 at, hole[LIVE];
	unsigned int n, i;

	make_arena(0, PAGEARENA_HUGE_NEVER, 1UL << 40);
	for (i = 0; i < many; i += n) {
		n = many - i < 2 * LIVE ? (unsigned int)(many - i) : 2 * LIVE;
		for (at = 0; at < n; at++)
			ops[at] = (struct pagearena_op){ .op = PAGEARENA_OP_ALLOC,
							 .length = 8192 * (1 + at % 3) };
		batch(n);
		for (at = 0; at < n; at += 2)
			off[at / 2] = ops[at].offset;
		/* All but the last ones get holes between them. */
		for (at = 1; at < n; at += 2)
			hole[at / 2] = ops[at].offset;
		for (at = 0; at < n / 2; at++)
			ops[at] = (struct pagearena_op){ .op = PAGEARENA_OP_FREE,
							.offset = hole[at] };
		batch(n / 2);
	}
}

static void op_many(unsigned int i)
{
	unsigned int k = any(LIVE);
	size_t len = 8192 * (1 + any(3));

	(void)i;
	release(off[k]);
	off[k] = alloc(len);
}

static void many_end(void)
{
	munmap(mem, 1UL << 40);
	close(fd);
}

/* The library */

static struct pagearena *lib;

static void lib_begin(size_t bytes)
{
	unsigned int i;

	lib = pagearena_open(NULL);
	if (!lib)
		die("pagearena_open");
	for (i = 0; i < LIVE; i++) {
		span[i] = pagearena_alloc(lib, bytes, 0);
		touch(span[i]);
	}
	/* There is something in the cache. */
	for (i = 0; i < 8; i++) {
		pagearena_free_sized(lib, span[i], bytes);
		span[i] = pagearena_alloc(lib, bytes, 0);
	}
}

static void op_lib(unsigned int i)
{
	unsigned int k;

	(void)i;
	for (k = 0; k < LIVE; k++) {
		pagearena_free_sized(lib, span[k], size);
		span[k] = pagearena_alloc(lib, size, 0);
	}
}

static void lib_end(void)
{
	pagearena_close(lib);
}

static void nothing(size_t bytes)
{
	(void)bytes;
	make_arena(0, PAGEARENA_HUGE_NEVER, 1UL << 30);
}

static void op_getppid(unsigned int i)
{
	(void)i;
	syscall(SYS_getppid);
}

static void op_ioctl(unsigned int i)
{
	(void)i;
	syscall(SYS_ioctl, fd, _IO(PAGEARENA_IOC_TYPE, 1), 0);
}

int main(void)
{
	static const size_t sizes[] = { 8192, 65536, 262144, HUGE };
	static const double all = 1.0 / PAGE;
	static const struct way floors[] = {
		{ "getppid", nothing, NULL, op_getppid, arena_end, 1, 0, 1, false },
		{ "ioctl that does nothing", nothing, NULL, op_ioctl, arena_end, 1, 0, 1, false },
	};
	static const struct way reuse[] = {
		{ "touch only", anon_huge, NULL, op_touch, anon_end, 1, 0, 0, false },
		{ "arena: free + alloc", arena_live, NULL, op_pair, arena_end, 1, 0, 2, false },
		{ "arena: free + alloc, batch of 64", arena_live, prepare_batch, op_batch,
		  arena_end, LIVE, 0, 1, false },
		{ "arena: free + alloc + touch", arena_live, NULL, op_pair_touch, arena_end, 1, 0,
		  2, false },
		{ "MADV_FREE + touch", anon_huge, NULL, op_free_touch, anon_end, 1, 0, 1, true },
		{ "MADV_FREE + touch, no THP", anon_small, NULL, op_free_touch, anon_end, 1, 0, 1,
		  true },
		{ "arena: free + release + alloc + touch, small", arena_small, NULL,
		  op_release_touch, arena_end, 1, all, 1, false },
		{ "the same in huge folios", arena_live, NULL, op_release_touch, arena_end, 1,
		  WHOLE, 1, false },
		{ "MADV_DONTNEED + touch", anon_huge, NULL, op_dontneed_touch, anon_end, 1, all, 1,
		  false },
		{ "MADV_DONTNEED + touch, no THP", anon_small, NULL, op_dontneed_touch, anon_end, 1,
		  all, 1, false },
		{ "MADV_DONTNEED + POPULATE_WRITE, no THP", anon_small, NULL, op_dontneed_populate,
		  anon_end, 1, all, 2, false },
		{ "munmap + mmap + touch", mmap_begin, NULL, op_mmap, mmap_end, 1, all, 2, false },
		{ "memfd: punch hole + touch", memfd_begin, NULL, op_punch, memfd_end, 1, all, 1,
		  false },
	};
	static const struct way cache = {
		"library: free + alloc", lib_begin, NULL, op_lib, lib_end, LIVE, 0, 0, false
	};
	static const struct way huge[] = {
		{ "arena: first touch", arena_fresh, NULL, op_first_touch, arena_end, 1, all, 0,
		  false },
		{ "arena: first touch, zeroed in advance", pool_fresh, NULL, op_first_touch,
		  arena_end, 1, 0, 0, false },
		{ "THP: first touch", anon_fresh, NULL, op_first_anon, anon_end, 1, all, 0, false },
		{ "arena: release, 64 in one call", fresh_released, prepare_release, op_release,
		  arena_end, LIVE, 0, 1, false },
		{ "MADV_DONTNEED of 64 THPs", anon_huge, prepare_dontneed, op_dontneed, anon_end,
		  LIVE, 0, 1, false },
	};
	static const struct way small[] = {
		{ "arena: first touch, small chunk", small_fresh, small_prepare, op_first_touch,
		  arena_end, 1, all, 0, false },
		{ "anonymous memory: first touch", anon_fresh, anon_prepare, op_first_anon,
		  anon_end, 1, all, 0, false },
	};
	static const struct way many = {
		"arena: free + alloc among so many spans", many_spans, NULL, op_many, many_end, 1,
		0, 2, false
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(floors); i++)
		measure(&floors[i], 0);
	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		if (sizes[k] < HUGE)
			measure(&cache, sizes[k]);
		for (i = 0; i < ARRAY_SIZE(reuse); i++)
			measure(&reuse[i], sizes[k]);
	}
	for (i = 0; i < ARRAY_SIZE(huge); i++)
		measure(&huge[i], HUGE);
	for (i = 0; i < ARRAY_SIZE(small); i++)
		measure(&small[i], PAGE);
	measure(&many, 1000);
	measure(&many, 1000000);
	printf("done\n");
	return 0;
}
