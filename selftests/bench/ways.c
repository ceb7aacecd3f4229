// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What there is without the module: a span is freed, allocated again, and every page of it
 * touched.  The heap that would choose the span is not counted: each span keeps its place.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

/* What Go's scavenger releases at a time. */
#define GO_QUANTUM	(64UL << 10)

static const uint64_t sizes[] = { 8 << 10, 64 << 10, 256 << 10, 2 << 20 };

/* Where the spans are: consecutive, from a multiple of the huge size on. */
static char *region;
static uint64_t region_bytes;
static int memfd;

/* The kind of memory */
enum kind { ANON, ANON_MTHP, ANON_THP, SEPARATE, MEMFD, MEMFD_THP, HUGETLB };

/**
 * struct way - a way to reuse memory
 * @name: as printed
 * @kind: what the memory is
 * @min: smallest size for which it makes sense
 * @zeroes: the pages are zeroed again
 * @flushes: the TLB is flushed, so what is touched afterwards without a fault is looked up
 *	again
 * @reuse: frees the span at @p and allocates it again, but for the touching
 */
struct way {
	const char *name;
	enum kind kind;
	uint64_t min;
	bool zeroes;
	bool flushes;
	void (*reuse)(char *p, uint64_t bytes);
};

static void advise(char *p, uint64_t bytes, int advice)
{
	if (CALL(madvise(p, bytes, advice)))
		die("madvise");
}

static void nothing(char *p, uint64_t bytes)
{
	(void)p;
	(void)bytes;
}

static void map_again(char *p, uint64_t bytes)
{
	CALL(munmap(p, bytes));
	if (CALL(mmap(p, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)) != p)
		die("mmap");
}

static void map_again_huge(char *p, uint64_t bytes)
{
	map_again(p, bytes);
	advise(p, bytes, MADV_HUGEPAGE);
}

static void dontneed(char *p, uint64_t bytes)
{
	advise(p, bytes, MADV_DONTNEED);
}

static void dontneed_collapse(char *p, uint64_t bytes)
{
	dontneed(p, bytes);
	touch(p, bytes);
	advise(p, bytes, MADV_COLLAPSE);
}

static void lazy_free(char *p, uint64_t bytes)
{
	advise(p, bytes, MADV_FREE);
}

static void populate(char *p, uint64_t bytes)
{
	dontneed(p, bytes);
	advise(p, bytes, MADV_POPULATE_WRITE);
}

static void punch_hole(char *p, uint64_t bytes)
{
	if (CALL(fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, p - region,
			   (off_t)bytes)))
		die("fallocate");
}

/* Go 1.26: the scavenger's quantum at a time, but a free huge page whole. */
static void go(char *p, uint64_t bytes)
{
	uint64_t step = bytes < HUGE ? GO_QUANTUM : HUGE, at;

	for (at = 0; at < bytes; at += step)
		dontneed(p + at, bytes - at < step ? bytes - at : step);
}

/* jemalloc 5: dirty pages decay to muzzy ones, and these to retained ones. */
static void jemalloc(char *p, uint64_t bytes)
{
	advise(p, bytes, MADV_FREE);
	dontneed(p, bytes);
}

static const struct way ways[] = {
	{ "touch-only", ANON, 0, false, false, nothing },
	{ "touch-only-thp", ANON_THP, 0, false, false, nothing },
	{ "mmap-munmap", SEPARATE, 0, true, true, map_again },
	{ "mmap-munmap-thp", SEPARATE, HUGE, true, true, map_again_huge },
	{ "dontneed", ANON, 0, true, true, dontneed },
	{ "dontneed-mthp", ANON_MTHP, 0, true, true, dontneed },
	{ "dontneed-thp", ANON_THP, 0, true, true, dontneed },
	{ "madv-free", ANON, 0, false, true, lazy_free },
	{ "madv-free-mthp", ANON_MTHP, 0, false, true, lazy_free },
	{ "madv-free-thp", ANON_THP, 0, false, true, lazy_free },
	{ "populate", ANON, 0, true, true, populate },
	{ "populate-mthp", ANON_MTHP, 0, true, true, populate },
	{ "populate-thp", ANON_THP, 0, true, true, populate },
	{ "memfd-punch", MEMFD, 0, true, true, punch_hole },
	{ "memfd-punch-thp", MEMFD_THP, HUGE, true, true, punch_hole },
	{ "hugetlb-dontneed", HUGETLB, HUGE, true, true, dontneed },
	{ "dontneed-collapse", ANON, HUGE, true, true, dontneed_collapse },
	{ "go-scavenged", ANON, 0, true, true, go },
	{ "go-scavenged-thp", ANON_THP, 0, true, true, go },
	{ "jemalloc-decayed", ANON, 0, true, true, jemalloc },
	{ "jemalloc-decayed-thp", ANON_THP, 0, true, true, jemalloc },
	{ "mimalloc-purged", ANON, 0, true, true, dontneed },
	{ "mimalloc-purged-thp", ANON_THP, 0, true, true, dontneed },
};

/* False: this machine does not have it. */
static bool region_map(enum kind kind, uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	char *map;

	region_bytes = bytes + HUGE;
	memfd = -1;
	if (kind == HUGETLB) {
		char text[24];

		snprintf(text, sizeof(text), "%" PRIu64, bytes / HUGE + 2);
		if (!set_file("/proc/sys/vm/nr_hugepages", text))
			return false;
		flags |= MAP_HUGETLB;
		region_bytes = bytes;
	} else if (kind == MEMFD || kind == MEMFD_THP) {
		memfd = memfd_create("bench", MFD_CLOEXEC);
		if (memfd < 0 || ftruncate(memfd, (off_t)bytes))
			return false;
		set_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
			 kind == MEMFD ? "never" : "force");
		/* Where the kernel aligns large files to huge pages by itself, here, too. */
		map = mmap(NULL, bytes + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		region = (char *)(((uintptr_t)map + HUGE - 1) & ~(HUGE - 1));
		region_bytes = bytes;
		munmap(map, bytes + HUGE);
		return mmap(region, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memfd,
			    0) == region;
	}
	map = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (map == MAP_FAILED)
		return false;
	region = (char *)(((uintptr_t)map + HUGE - 1) & ~(HUGE - 1));
	if (kind == HUGETLB)
		return true;
	/* What sticks out is not needed; so the region alone is to be unmapped later. */
	if (region > map)
		munmap(map, (size_t)(region - map));
	if (map + region_bytes > region + bytes)
		munmap(region + bytes, (size_t)(map + region_bytes - region) - bytes);
	region_bytes = bytes;
	set_thp(kind == ANON_MTHP ? "always" : "never");
	if (kind == ANON_THP && madvise(region, bytes, MADV_HUGEPAGE))
		return false;
	return true;
}

static void region_unmap(enum kind kind)
{
	munmap(region, region_bytes);
	if (memfd >= 0)
		close(memfd);
	if (kind == HUGETLB)
		set_file("/proc/sys/vm/nr_hugepages", "0");
	set_thp("never");
	set_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "never");
}

/* MMU entries that map a span. */
static uint64_t entries(const struct way *way, uint64_t bytes)
{
	switch (way->kind) {
	case ANON_THP:
	case MEMFD_THP:
	case HUGETLB:
		/* Smaller spans split huge pages as soon as one is released. */
		return bytes < HUGE ? bytes / PAGE : bytes / HUGE;
	case SEPARATE:
		if (way->reuse == map_again_huge)
			return bytes / HUGE;
		return bytes / PAGE;
	default:
		return bytes / PAGE;
	}
}

static void measure(const struct way *way, uint64_t bytes)
{
	unsigned int n = rounds(bytes < HUGE ? ROUNDS_MAX : 65), i;
	/* mmap'ed on their own, spans lie apart: neighbours would be one mapping. */
	uint64_t step = way->kind == SEPARATE ? bytes + (bytes < HUGE ? PAGE : HUGE) : bytes;
	char *p;

	if (bytes < way->min)
		return;
	if (!region_map(way->kind, LIVE * step)) {
		row_missing("reuse", "free+alloc+touch", way->name, bytes, "not in this kernel");
		return;
	}
	if (way->kind == SEPARATE) {
		munmap(region, region_bytes);
		for (i = 0; i < LIVE; i++)
			map_again(region + i * step, bytes);
	}
	for (i = 0; i < LIVE; i++)
		touch(region + i * step, bytes);
	if (row_begin("reuse", "free+alloc+touch", way->name, bytes, 1)) {
		/* The first ones split huge pages. */
		for (i = 0; i < n + LIVE; i++) {
			p = region + (i < LIVE ? i : draw(LIVE)) * step;
			if (i < LIVE) {
				way->reuse(p, bytes);
				touch(p, bytes);
				continue;
			}
			row_start();
			way->reuse(p, bytes);
			touch(p, bytes);
			row_stop();
			if (way->zeroes)
				row.samples[row.nr - 1].zeroed = bytes / PAGE;
			if (way->flushes && entries(way, bytes) > row.samples[row.nr - 1].faults)
				row.samples[row.nr - 1].refills =
					entries(way, bytes) - row.samples[row.nr - 1].faults;
		}
		row_end();
	}
	region_unmap(way->kind);
}

void bench_ways(void)
{
	size_t s, w;

	for (s = 0; s < ARRAY_SIZE(sizes); s++)
		for (w = 0; w < ARRAY_SIZE(ways); w++)
			measure(&ways[w], sizes[s]);
}

/* What nothing can do without */
void bench_floor(void)
{
	unsigned int i;
	char *p;

	if (row_begin("floor", "getppid", "system", 0, 1)) {
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			row_start();
			CALL(syscall(SYS_getppid));
			row_stop();
		}
		row_end();
	}
	if (row_begin("floor", "sched_yield", "system", 0, 1)) {
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			row_start();
			CALL(syscall(SYS_sched_yield));
			row_stop();
		}
		row_end();
	}
	/* To clear, as the kernel does it, is what a fault on a huge page is but for little. */
	if (row_begin("floor", "munmap+mmap", "system", PAGE, 1)) {
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			row_start();
			map_again(p, PAGE);
			row_stop();
		}
		row_end();
		munmap(p, PAGE);
	}
}

/* First touch of anonymous memory that has its page tables. */
void bench_touch_anon(void)
{
	unsigned int i;
	char *p;

	if (!region_map(ANON, LIVE * HUGE))
		die("mmap");
	/* Page tables there are, after this. */
	for (i = 0; i < LIVE; i++)
		touch(region + i * HUGE, PAGE);
	if (row_begin("touch", "first-touch", "anon", PAGE, 1)) {
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			p = region + PAGE + i * PAGE;
			row_start();
			touch(p, PAGE);
			row_stop();
			row.samples[row.nr - 1].zeroed = 1;
		}
		row_end();
	}
	if (row_begin("touch", "first-touch", "anon", 64 << 10, 1)) {
		for (i = 0; i < rounds(30 * 30); i++) {
			p = region + HUGE * (1 + i / 30) + (64 << 10) * (1 + i % 30);
			row_start();
			touch(p, 64 << 10);
			row_stop();
			row.samples[row.nr - 1].zeroed = 16;
		}
		row_end();
	}
	region_unmap(ANON);
	if (!region_map(ANON_MTHP, LIVE * HUGE))
		die("mmap");
	for (i = 0; i < LIVE; i++)
		touch(region + i * HUGE, PAGE);
	if (row_begin("touch", "first-touch", "anon-mthp", 64 << 10, 1)) {
		for (i = 0; i < rounds(30 * 30); i++) {
			p = region + HUGE * (1 + i / 30) + (64 << 10) * (1 + i % 30);
			row_start();
			touch(p, 64 << 10);
			row_stop();
			row.samples[row.nr - 1].zeroed = 16;
		}
		row_end();
	}
	region_unmap(ANON_MTHP);
	if (row_begin("touch", "first-touch", "anon-thp", HUGE, 1)) {
		if (!region_map(ANON_THP, LIVE * HUGE))
			die("mmap");
		for (i = 0; i < rounds(LIVE); i++) {
			row_start();
			touch(region + i * HUGE, PAGE);
			row_stop();
			row.samples[row.nr - 1].zeroed = HUGE / PAGE;
		}
		row_end();
		region_unmap(ANON_THP);
	}
}

/* Small pages, all there, onto a huge one: what PROMOTE does is compared with this. */
void bench_collapse(void)
{
	unsigned int i, n = rounds(15);

	if (!row_begin("call", "PROMOTE", "madv-collapse", HUGE, 1))
		return;
	if (!region_map(ANON, n * HUGE))
		die("mmap");
	touch(region, n * HUGE);
	for (i = 0; i < n; i++) {
		row_start();
		advise(region + i * HUGE, HUGE, MADV_COLLAPSE);
		touch(region + i * HUGE, PAGE);
		row_stop();
	}
	row_end();
	region_unmap(ANON);
}

/* What is released alone: no touch. */
void bench_release_anon(void)
{
	static const struct {
		const char *way;
		enum kind kind;
		int advice;
	} how[] = {
		{ "dontneed-thp", ANON_THP, MADV_DONTNEED },
		{ "dontneed", ANON, MADV_DONTNEED },
		{ "madv-free-thp", ANON_THP, MADV_FREE },
		{ "madv-free", ANON, MADV_FREE },
	};
	unsigned int i;
	size_t w;

	for (w = 0; w < ARRAY_SIZE(how); w++) {
		if (!row_begin("release", "release", how[w].way, HUGE, 1))
			continue;
		if (!region_map(how[w].kind, LIVE * HUGE))
			die("mmap");
		touch(region, LIVE * HUGE);
		for (i = 0; i < rounds(LIVE); i++) {
			row_start();
			advise(region + i * HUGE, HUGE, how[w].advice);
			row_stop();
		}
		row_end();
		region_unmap(how[w].kind);
	}
	if (row_begin("release", "release", "dontneed-thp-64-in-one-call", HUGE, LIVE)) {
		if (!region_map(ANON_THP, LIVE * HUGE))
			die("mmap");
		for (i = 0; i < rounds(15); i++) {
			touch(region, LIVE * HUGE);
			row_start();
			advise(region, LIVE * HUGE, MADV_DONTNEED);
			row_stop();
		}
		row_end();
		region_unmap(ANON_THP);
	}
}
