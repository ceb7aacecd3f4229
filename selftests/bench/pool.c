// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the first touch of 2 MiB costs, with huge folios zeroed in advance and without, and
 * what zeroing them costs the background.  Under "-icount shift=0" a nanosecond is an
 * instruction; see run-pool.
 *
 *   pool [ROUNDS]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/pagearena.h>

#define HUGE		(2UL << 20)
#define PAGE		4096UL
#define ROUNDS_MAX	1000
#define ARENA		(1UL << 30)

static void die(const char *what)
{
	fprintf(stderr, "pool: %s: %s\n", what, strerror(errno));
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

/* CPU time of the thread that zeroes in advance. */
static uint64_t background(void)
{
	unsigned long long ns = 0;
	struct dirent *entry;
	char path[300], line[64];
	DIR *dir = opendir("/proc");
	FILE *f;

	if (!dir)
		die("/proc");
	while ((entry = readdir(dir)) && !ns) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(line, sizeof(line), f) && !strcmp(line, "pagearena_pool\n")) {
			fclose(f);
			snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
			f = fopen(path, "re");
			if (!f || fscanf(f, "%llu", &ns) != 1)
				die(path);
		}
		fclose(f);
	}
	closedir(dir);
	return ns;
}

static void wait_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

struct arena {
	int fd;
	char *base;
};

static struct arena open_arena(uint32_t huge)
{
	struct pagearena_setup setup = { .size = sizeof(setup), .arena_bytes = ARENA,
					 .huge = huge };
	struct arena a = { .fd = open("/dev/pagearena", O_RDWR | O_CLOEXEC) };

	if (a.fd < 0 || ioctl(a.fd, PAGEARENA_IOC_SETUP, &setup))
		die("/dev/pagearena");
	a.base = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, 0);
	if (a.base == MAP_FAILED)
		die("mmap of the arena");
	return a;
}

static struct pagearena_stats stats(const struct arena *a)
{
	struct pagearena_stats st = { .size = sizeof(st) };

	if (ioctl(a->fd, PAGEARENA_IOC_STATS, &st))
		die("STATS");
	return st;
}

/* Sets the size of the pool; background scavenging is off, so that nothing else goes on. */
static void policy(const struct arena *a, uint64_t pool)
{
	struct pagearena_policy req = {
		.size = sizeof(req),
		.set = PAGEARENA_POLICY_POOL | PAGEARENA_POLICY_SCAVENGE_PERCENT,
		.pool_bytes = pool,
	};

	if (ioctl(a->fd, PAGEARENA_IOC_POLICY, &req))
		die("POLICY");
}

static uint64_t alloc(const struct arena *a, uint64_t len)
{
	struct pagearena_alloc req = { .size = sizeof(req), .length = len, .align = len };

	if (ioctl(a->fd, PAGEARENA_IOC_ALLOC, &req))
		die("ALLOC");
	return req.offset;
}

static void give(const struct arena *a, uint64_t at)
{
	struct pagearena_free req = { .size = sizeof(req), .offset = at };

	if (ioctl(a->fd, PAGEARENA_IOC_FREE, &req))
		die("FREE");
}

/* Less than all, which would take the pool as well. */
static void release(const struct arena *a)
{
	struct pagearena_scavenge req = { .size = sizeof(req), .bytes = ARENA };

	if (ioctl(a->fd, PAGEARENA_IOC_SCAVENGE, &req))
		die("SCAVENGE");
}

static uint64_t touch(char *p)
{
	uint64_t start = now(), end;

	*(volatile char *)p = 1;
	end = now();
	return end - start;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t print(const char *what, uint64_t *cost, unsigned int rounds)
{
	qsort(cost, rounds, sizeof(*cost), by_value);
	printf("%-44s %10llu %10llu %10llu\n", what, (unsigned long long)cost[rounds / 2],
	       (unsigned long long)cost[0], (unsigned long long)cost[rounds - 1]);
	return cost[rounds / 2];
}

/* What the clock costs, so that it can be taken off. */
static uint64_t overhead(unsigned int rounds)
{
	uint64_t cost[ROUNDS_MAX];
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		uint64_t start = now();

		cost[i] = now() - start;
	}
	qsort(cost, rounds, sizeof(*cost), by_value);
	return cost[rounds / 2];
}

/* The first touch of 2 MiB that were released before. */
static uint64_t huge(const char *what, uint64_t pool, unsigned int rounds, uint64_t clock)
{
	struct arena a = open_arena(PAGEARENA_HUGE_ALWAYS);
	struct pagearena_stats st;
	uint64_t cost[ROUNDS_MAX], cpu;
	unsigned int i;

	cpu = background();
	policy(&a, pool);
	for (i = 0; i <= rounds; i++) {
		uint64_t at = alloc(&a, HUGE), c;

		while (stats(&a).pool_bytes < pool)
			wait_ms(10);
		c = touch(a.base + at) - clock;
		/* The first one is for caches, and for the upper levels of the page table. */
		if (i)
			cost[i - 1] = c;
		give(&a, at);
		release(&a);
	}
	st = stats(&a);
	if (st.nr_pool_hit != (pool ? rounds + 1 : 0) || st.nr_pool_miss || st.nr_huge_failed) {
		errno = ENOMEM;
		die("not as it should be");
	}
	if (pool)
		printf("# in the background: %llu for 2 MiB\n",
		       (unsigned long long)((background() - cpu) / (st.bytes_pool_zeroed / HUGE)));
	munmap(a.base, ARENA);
	close(a.fd);
	return print(what, cost, rounds);
}

/* The same of anonymous memory. */
static void anon(const char *what, unsigned int rounds, uint64_t clock)
{
	char *map = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
	char *p = map + (-(uintptr_t)map & (HUGE - 1));
	uint64_t cost[ROUNDS_MAX];
	unsigned int i;

	if (map == MAP_FAILED || madvise(p, HUGE, MADV_HUGEPAGE))
		die("mmap");
	for (i = 0; i <= rounds; i++) {
		uint64_t c = touch(p) - clock;

		if (i)
			cost[i - 1] = c;
		if (madvise(p, HUGE, MADV_DONTNEED))
			die("MADV_DONTNEED");
	}
	munmap(map, 2 * HUGE);
	print(what, cost, rounds);
}

/* The first touch of a page of a small chunk, of which others are there. */
static uint64_t small(const char *what, unsigned int rounds, uint64_t clock)
{
	struct arena a = open_arena(PAGEARENA_HUGE_NEVER);
	uint64_t cost[ROUNDS_MAX], at = alloc(&a, HUGE);
	unsigned int i;

	touch(a.base + at);
	for (i = 0; i < rounds; i++)
		cost[i] = touch(a.base + at + (1 + i % (HUGE / PAGE - 1)) * PAGE) - clock;
	munmap(a.base, ARENA);
	close(a.fd);
	return print(what, cost, rounds);
}

/*
 * How many first touches find a folio ready, when each comes so many ms after the last: what is
 * released is allocated again at once, so without a pool each of them would clear.
 */
static void rate(uint64_t pool, unsigned int rounds, unsigned int burst, long ms)
{
	struct arena a = open_arena(PAGEARENA_HUGE_ALWAYS);
	struct pagearena_stats st;
	unsigned int i, j;
	uint64_t at[64], cpu;

	cpu = background();
	policy(&a, pool);
	wait_ms(1000);
	for (i = 0; i < rounds; i++) {
		for (j = 0; j < burst; j++) {
			at[j] = alloc(&a, HUGE);
			touch(a.base + at[j]);
		}
		for (j = 0; j < burst; j++)
			give(&a, at[j]);
		release(&a);
		wait_ms(ms);
	}
	st = stats(&a);
	cpu = background() - cpu;
	printf("%10llu %10u %10ld %9.0f%% %12llu\n", (unsigned long long)pool / HUGE, burst, ms,
	       100.0 * (double)st.nr_pool_hit / (double)(st.nr_pool_hit + st.nr_pool_miss),
	       (unsigned long long)(cpu / (st.nr_pool_hit + st.nr_pool_miss)));
	munmap(a.base, ARENA);
	close(a.fd);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : 99;
	uint64_t clock, cleared, ready, page, clear;

	if (!rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "pool: 1 to %u rounds\n", ROUNDS_MAX);
		return 2;
	}
	clock = overhead(rounds);
	printf("# instructions, without the clock's own %llu\n", (unsigned long long)clock);
	printf("%-44s %10s %10s %10s\n", "first touch", "median", "least", "most");
	anon("2 MiB of anonymous memory, huge", rounds, clock);
	cleared = huge("2 MiB of an arena, no pool", 0, rounds, clock);
	ready = huge("2 MiB of an arena, from the pool", 8 * HUGE, rounds, clock);
	page = small("4 KiB of an arena, small chunk", rounds, clock);
	clear = (cleared - ready) / (HUGE / PAGE);
	printf("# clearing is at most %llu of the %llu of a small page (%.0f%%)\n",
	       (unsigned long long)clear, (unsigned long long)page,
	       100.0 * (double)clear / (double)page);
	printf("\n%10s %10s %10s %10s %12s\n", "pool", "burst", "ms between", "hits", "background");
	rate(8 * HUGE, 50, 1, 10);
	rate(8 * HUGE, 50, 8, 100);
	rate(8 * HUGE, 50, 8, 20);
	rate(8 * HUGE, 50, 8, 5);
	rate(8 * HUGE, 50, 32, 100);
	rate(32 * HUGE, 50, 32, 100);
	return 0;
}
