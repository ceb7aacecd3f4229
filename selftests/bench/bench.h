/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the parts of the benchmark share: counting, and rows of results.
 *
 * A row is an operation in one way of doing it, at one size.  It is done many times, each time
 * between row_start() and row_stop(), and row_end() prints the one in the middle.
 */
#ifndef PAGEARENA_BENCH_H
#define PAGEARENA_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define LIVE		64 /* spans that are live at a time */
#define ROUNDS_MAX	512

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/**
 * struct sample - what an operation took
 * @raw: instructions; ns where they cannot be counted
 * @zeroed: pages that were zeroed for it, as the row knows it
 * @faults: page faults
 * @calls: system calls
 * @refills: pages that were touched again after a flush of the TLB, without a fault
 */
struct sample {
	uint64_t raw;
	uint64_t zeroed;
	uint64_t faults;
	uint64_t calls;
	uint64_t refills;
};

/**
 * struct row - a row that is being measured
 * @group: part of the table
 * @name: what is done
 * @way: how
 * @bytes: size of the span
 * @per: number of operations in one sample
 * @nr: number of samples
 * @now: the sample that is being taken; its @zeroed and @refills are the caller's
 */
struct row {
	const char *group;
	const char *name;
	const char *way;
	uint64_t bytes;
	uint64_t per;
	unsigned int nr;
	struct sample now;
	struct sample samples[ROUNDS_MAX];
	uint64_t start;
	long faults;
};

/** struct options - what to measure: see usage() in bench.c */
struct options {
	const char *group; /* NULL: all */
	const char *name;
	const char *way;
	uint64_t bytes; /* 0: all */
	unsigned int rounds;
	uint64_t spans;
	bool native;
};

extern struct options opt;
extern struct row row;
/* System calls so far, as the program counts them. */
extern uint64_t nr_calls;
extern int perf_fd;

/* A system call, counted. */
#define CALL(x)	(nr_calls++, (x))

/*
 * Marks tell QEMU's plugin (plugin.c) where something begins.  They are an instruction that
 * does nothing, told by its unused displacement.
 */
enum mark { MARK_ROW = 1, MARK_START, MARK_STOP, MARK_END };

static inline __attribute__((always_inline)) void mark(enum mark m)
{
#if defined(__x86_64__)
	asm volatile(".byte 0x0f, 0x1f, 0x80\n\t.long %c0" : : "i"(0x50410000 + m) : "memory");
#else
	(void)m;
#endif
}

uint64_t count_slow(void);

/* Instructions so far.  Under icount the time stamp counter counts them. */
static inline uint64_t count(void)
{
#if defined(__x86_64__)
	if (!opt.native)
		return __builtin_ia32_rdtsc();
#endif
	return count_slow();
}

bool row_begin(const char *group, const char *name, const char *way, uint64_t bytes, uint64_t per);
void row_end(void);
/* Instead of row_begin() where something is missing. */
void row_missing(const char *group, const char *name, const char *way, uint64_t bytes,
		 const char *why);
/* A figure that is no cost. */
void figure(const char *name, const char *unit, double value);

void row_before(void);
void row_after(uint64_t stop);

static inline __attribute__((always_inline)) void row_start(void)
{
	row_before();
	mark(MARK_START);
	row.start = count();
}

static inline __attribute__((always_inline)) void row_stop(void)
{
	uint64_t stop = count();

	mark(MARK_STOP);
	row_after(stop);
}

/* Writes to each page: as little as a program that uses the memory does. */
static inline __attribute__((always_inline)) void touch(volatile char *p, uint64_t bytes)
{
	volatile char *end = p + bytes;

	for (; p < end; p += PAGE)
		*p = 1;
}

unsigned int rounds(unsigned int most);
uint64_t draw(uint64_t n);
/* Prints what failed and errno, and ends the program. */
void die(const char *what) __attribute__((noreturn));
/* Writes to a file in sysfs or procfs; false: it is not there. */
bool set_file(const char *path, const char *value);
void set_thp(const char *mthp);

void bench_floor(void);
void bench_ways(void);
void bench_touch_anon(void);
void bench_release_anon(void);
void bench_collapse(void);
void bench_arena(void);
void bench_scale(void);
void bench_library(void);
void bench_replay(const char *path);

#endif /* PAGEARENA_BENCH_H */
