/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A fuzzer for /dev/pagearena: programs of operations that several processes, with several
 * threads each, do to one arena.
 *
 * program.c makes programs from a seed, changes them, reads and writes them as text; run.c
 * runs one and checks what comes of it; ops.c and maps.c have the operations; fuzz.c is the
 * command.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <linux/pagearena.h>

#define DEVICE		"/dev/pagearena"
#define DEBUGFS		"/sys/kernel/debug/pagearena"

#define KiB		((__u64)1 << 10)
#define MiB		((__u64)1 << 20)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b)	({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define ALIGN_UP(x, a)	(((x) + (a) - 1) & ~((__u64)(a) - 1))
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define __noreturn	__attribute__((noreturn))

/* Bounds of a program. */
#define PROCS_MAX	8
#define THREADS_MAX	4
#define ACTORS_MAX	(PROCS_MAX * THREADS_MAX)
#define LINES_MAX	4096
#define ARGS_MAX	6
#define ARENA_MAX	(64 * MiB)

/* The unit in which contents are remembered: the smallest span page. */
#define UNIT		4096
#define UNITS_MAX	(ARENA_MAX / UNIT)
#define SPANS_MAX	256

/* Where a process maps the arena; see slot_addr(). */
#define SLOTS		5

/* Kinds of operations; program.c has their names, do_NAME() does them. */
enum kind {
	K_alloc,
	K_fixed,
	K_free,
	K_resize,
	K_scavenge,
	K_promote,
	K_stats,
	K_spans,
	K_query,
	K_info,
	K_policy,
	K_batch,
	K_churn,
	K_bad,
	K_write,
	K_check,
	K_peek,
	K_stray,
	K_mmap,
	K_munmap,
	K_mremap,
	K_mprotect,
	K_madvise,
	K_range,
	K_fork,
	K_vmsplice,
	K_drain,
	K_readv,
	K_writev,
	K_pipe,
	K_pass,
	K_receive,
	K_dup,
	K_kill,
	K_signal,
	K_other,
	K_poll,
	K_proc,
	K_recount,
	K_reclaim,
	K_corrupt,
	KIND_NR
};

/* An operation: what the thread of a process does. */
struct line {
	__u8 proc;
	__u8 thread;
	__u8 kind;
	__u64 arg[ARGS_MAX];
};

/* What all of a program has in common. */
struct config {
	__u64 procs;
	__u64 threads;
	__u64 serial; /* 1: one operation at a time, in the order of the lines */
	__u64 bytes;
	__u64 page;
	__u64 granule;
	__u64 growth;
	__u64 limit;
	__u64 fit;
	__u64 huge;
	__u64 flags;
	__u64 background; /* percent of a CPU */
};

struct program {
	struct config cfg;
	unsigned int nr;
	struct line line[LINES_MAX];
};

/* program.c */
struct kind_info {
	const char *name;
	unsigned char args;
	unsigned char weight;
};

extern const struct kind_info kinds[KIND_NR];
__u64 rnd(__u64 *state);
__u64 below(__u64 *state, __u64 n);
void program_make(struct program *p, __u64 seed, unsigned int lines, unsigned int procs);
void program_mutate(struct program *p, const struct program *other, __u64 *rng);
void program_write(const struct program *p, FILE *f);
bool program_read(struct program *p, FILE *f, const char *name);

/* What is known of a unit of an allocated span. */
enum { UNKNOWN, ZERO, WRITTEN };

/* The state of a span's entry: not in use, in use, or at work on by an actor (its number + 2). */
#define SPAN_NONE	0
#define SPAN_IDLE	1

struct span_entry {
	_Atomic __u32 lock;
	__u64 at;
	__u64 len;
};

struct unit_entry {
	_Atomic __u16 span; /* index + 1; 0: free, or nobody knows */
	__u8 what;
	__u32 seed;
};

/* A process of the program. */
struct proc_entry {
	_Atomic pid_t pid;
	_Atomic bool ready; /* it has mapped the arena in slot 0 */
	_Atomic bool killed; /* on purpose */
	int inbox[2];
};

#define ERRNO_MAX	140

/* What a run shares among all its processes. */
struct run {
	const struct program *prog;
	_Atomic int failed;
	char text[400];
	_Atomic __u32 turn; /* the line that is on, in a serial program */
	_Atomic __u32 pos[ACTORS_MAX]; /* lines before this one are begun */
	_Atomic __u32 inexact; /* processes were killed: not all that is allocated is known */
	_Atomic __u64 fresh; /* edges that no program had reached before */
	__u64 arena_id;
	__u64 tag;
	__u64 bytes; /* what SETUP says */
	__u64 page;
	struct proc_entry proc[PROCS_MAX];
	struct span_entry span[SPANS_MAX];
	struct unit_entry unit[UNITS_MAX];
};

/* What happened in all runs, by kind. */
struct totals {
	_Atomic __u64 done[KIND_NR];
	_Atomic __u64 skipped[KIND_NR];
	_Atomic __u64 ns[KIND_NR];
	_Atomic __u64 batched; /* operations in batches */
	_Atomic __u64 errors[KIND_NR][ERRNO_MAX];
};

/* Coverage: a bit for a hash of each place of the kernel that was reached. */
#define COVER_BITS	(1u << 18)

extern struct run *run;
extern struct totals *totals;
extern _Atomic __u32 *cover; /* COVER_BITS bits, or NULL */
extern bool may_oom; /* memory may be too short: processes may be killed, and touches fail */

/* A thread of a process. */
struct actor {
	unsigned int proc;
	unsigned int nr; /* of all actors */
	_Atomic __u64 *kcov; /* what the kernel tells of this thread's way, or NULL */
};

/* run.c */
enum run_result { RUN_GOOD, RUN_FAILED, RUN_SKIPPED };

enum run_result run_program(const struct program *p, unsigned int seconds);
__printf(1, 2) void fail(const char *fmt, ...) __noreturn;
void set_oom_score(int score);
bool recount_ok(__u64 id, char *text, size_t size);

/* ops.c */
extern int arena_fd; /* of this process */
bool proc_begin(unsigned int proc, int fd);
int do_line(struct actor *a, const struct line *line);
void final_check(int fd);
void adopt_orphans(unsigned int proc);

#endif /* FUZZ_H */
