// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What it costs to put 2 MiB of small pages on a huge one: PROMOTE of a chunk against
 * MADV_COLLAPSE of anonymous memory with the same contents.  Under "-icount shift=0" a
 * nanosecond is an instruction; see run-promote.
 *
 *   promote [ROUNDS]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/pagearena.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define HUGE		(2UL << 20)
#define PAGE		4096UL
#define ROUNDS_MAX	1000

static void die(const char *what)
{
	fprintf(stderr, "promote: %s: %s\n", what, strerror(errno));
	exit(1);
}

/*
 * Of this thread alone: what runs while it waits does not count, and neither do the leaps of
 * an emulated clock that finds nothing to run.
 */
static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t word(uint64_t at)
{
	return at * 0x9e3779b97f4a7c15;
}

/* Fills every @step-th page. */
static void fill(char *p, unsigned long step)
{
	unsigned long at, i;

	for (at = 0; at < HUGE; at += step * PAGE)
		for (i = 0; i < PAGE; i += 8)
			*(uint64_t *)(p + at + i) = word(at + i + 1);
}

static bool filled(const char *p, unsigned long step)
{
	unsigned long at, i;

	for (at = 0; at < HUGE; at += PAGE)
		for (i = 0; i < PAGE; i += 8)
			if (*(const uint64_t *)(p + at + i) !=
			    (at % (step * PAGE) ? 0 : word(at + i + 1)))
				return false;
	return true;
}

/* The call, and the first touch after it. */
struct cost {
	uint64_t call;
	uint64_t touch;
};

static struct cost collapse(unsigned long step)
{
	char *map = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
	char *p = map + (-(uintptr_t)map & (HUGE - 1));
	struct cost cost;
	uint64_t start;

	if (map == MAP_FAILED || madvise(p, HUGE, MADV_NOHUGEPAGE))
		die("mmap");
	fill(p, step);
	if (madvise(p, HUGE, MADV_HUGEPAGE))
		die("MADV_HUGEPAGE");
	start = now();
	if (madvise(p, HUGE, MADV_COLLAPSE))
		die("MADV_COLLAPSE");
	cost.call = now() - start;
	start = now();
	*(volatile char *)p;
	cost.touch = now() - start;
	if (!filled(p, step)) {
		errno = EILSEQ;
		die("MADV_COLLAPSE lost contents");
	}
	munmap(map, 2 * HUGE);
	return cost;
}

static struct cost promote(unsigned long step)
{
	struct pagearena_setup setup = { .size = sizeof(setup), .arena_bytes = 64 << 20,
					 .huge = PAGEARENA_HUGE_NEVER };
	struct pagearena_alloc alloc = { .size = sizeof(alloc), .length = HUGE, .align = HUGE };
	struct pagearena_promote req = { .size = sizeof(req), .length = HUGE };
	int fd = open("/dev/pagearena", O_RDWR | O_CLOEXEC);
	struct cost cost;
	uint64_t start;
	char *p;

	if (fd < 0 || ioctl(fd, PAGEARENA_IOC_SETUP, &setup) ||
	    ioctl(fd, PAGEARENA_IOC_ALLOC, &alloc))
		die("/dev/pagearena");
	p = mmap(NULL, setup.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("mmap of the arena");
	fill(p + alloc.offset, step);
	req.offset = alloc.offset;
	start = now();
	if (ioctl(fd, PAGEARENA_IOC_PROMOTE, &req))
		die("PROMOTE");
	cost.call = now() - start;
	if (req.counts[PAGEARENA_PROMOTE_DONE] != 1)
		die("the chunk was refused");
	start = now();
	*(volatile char *)(p + alloc.offset);
	cost.touch = now() - start;
	if (!filled(p + alloc.offset, step)) {
		errno = EILSEQ;
		die("PROMOTE lost contents");
	}
	munmap(p, setup.arena_bytes);
	close(fd);
	return cost;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The medians of the calls and of the touches. */
static struct cost measure(const char *name, const char *what, struct cost (*fn)(unsigned long),
			   unsigned long step, unsigned int rounds)
{
	uint64_t call[ROUNDS_MAX], touch[ROUNDS_MAX];
	struct cost cost;
	unsigned int i;

	/* The first one warms caches of the allocators up. */
	fn(step);
	printf("# %s, %s:", name, what);
	for (i = 0; i < rounds; i++) {
		cost = fn(step);
		call[i] = cost.call;
		touch[i] = cost.touch;
		printf(" %llu", (unsigned long long)cost.call);
	}
	printf("\n");
	qsort(call, rounds, sizeof(*call), by_value);
	qsort(touch, rounds, sizeof(*touch), by_value);
	return (struct cost){ call[rounds / 2], touch[rounds / 2] };
}

static void print(const char *what, const char *name, const struct cost *c)
{
	printf("%-14s %-14s %12llu %12llu\n", what, name, (unsigned long long)c->call,
	       (unsigned long long)c->touch);
}

int main(int argc, char **argv)
{
	static const char *const whats[] = { "all present", "half present" };
	unsigned int rounds = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : 9, i;
	struct cost c, p;

	if (!rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "promote: 1 to %u rounds\n", ROUNDS_MAX);
		return 2;
	}
	for (i = 0; i < 2; i++) {
		c = measure("MADV_COLLAPSE", whats[i], collapse, i + 1, rounds);
		p = measure("PROMOTE", whats[i], promote, i + 1, rounds);
		printf("%-14s %-14s %12s %12s\n", "2 MiB", "", "the call", "first touch");
		print(whats[i], "MADV_COLLAPSE", &c);
		print(whats[i], "PROMOTE", &p);
		printf("%-14s %-14s %12.3f %12.3f (call and touch)\n", whats[i], "ratio",
		       (double)p.call / (double)c.call,
		       (double)(p.call + p.touch) / (double)(c.call + c.touch));
	}
	return 0;
}
