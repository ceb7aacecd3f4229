/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the operations share. */
#ifndef OPS_H
#define OPS_H

#include "fuzz.h"

/* An operation that finds nothing to work on. */
#define SKIPPED		(-1000)

/* Units past the end of the largest arena that mremap() may map. */
#define MARGIN		4096

#define HUGE		(2 * MiB)
#define SEED_MASK	0x7fffffULL

/* What is known of a unit of a slot. */
#define M_MAPPED	1
#define M_READ		2
#define M_WRITE		4
#define M_FORK		8	/* inherited by children */
#define M_ODD		16	/* nobody knows */

/* Of this process: its number, and the arena's geometry. */
extern unsigned int self;
extern __u64 bytes, page, mmu_page;

extern __u8 slot_map[SLOTS][UNITS_MAX + MARGIN];
/* Held where mappings change, and where accesses depend on it; slot 0 is always there. */
extern pthread_mutex_t map_lock;

/* Work on units, one after the other. */
struct work {
	char *p;	/* the first */
	__u64 u;	/* its number */
	__u64 nr;
	__u64 seed;	/* to be written */
	__u64 bad;	/* where a word was wrong, + 1 */
	__u64 was;	/* that word */
	bool torn;	/* copied byte by byte, maybe while it was written */
};

/* ops.c */
char *slot_addr(unsigned int s, __u64 at);
int guarded(void (*fn)(void *arg), void *arg);
void write_units(void *arg);
void weak_units(void *arg);
void strong_units(void *arg);
void complain(const struct work *w, const char *what);
struct span_entry *take(struct actor *a, __u64 n);
void put(struct span_entry *e);
bool mapped(unsigned int s, __u64 u, __u64 nr, __u8 need);
void access_units(unsigned int s, struct work *w, void (*fn)(void *arg), const char *what);
void check_units(unsigned int s, __u64 u, __u64 nr);
__u64 pick_units(const struct span_entry *e, __u64 first, __u64 nr, __u64 *u);
void set_units(__u64 u, __u64 nr, __u8 what, __u64 seed);
int result(long ret);
void may(const char *name, int err, const int *may, unsigned int nr);

/* Fails unless the error is one of those that may be. */
#define MAY(err, ...)								\
	do {									\
		static const int may_[] = { 0, ##__VA_ARGS__ };			\
										\
		may(__func__, err, may_, ARRAY_SIZE(may_));			\
	} while (0)

/* maps.c: an operation returns 0, a negative errno, or SKIPPED */
bool maps_begin(void);
int do_write(struct actor *a, const __u64 *arg);
int do_check(struct actor *a, const __u64 *arg);
int do_peek(struct actor *a, const __u64 *arg);
int do_stray(struct actor *a, const __u64 *arg);
int do_mmap(struct actor *a, const __u64 *arg);
int do_munmap(struct actor *a, const __u64 *arg);
int do_mremap(struct actor *a, const __u64 *arg);
int do_mprotect(struct actor *a, const __u64 *arg);
int do_madvise(struct actor *a, const __u64 *arg);
int do_range(struct actor *a, const __u64 *arg);
int do_fork(struct actor *a, const __u64 *arg);
int do_vmsplice(struct actor *a, const __u64 *arg);
int do_drain(struct actor *a, const __u64 *arg);
int do_readv(struct actor *a, const __u64 *arg);
int do_writev(struct actor *a, const __u64 *arg);
int do_pipe(struct actor *a, const __u64 *arg);

/* files.c */
int do_pass(struct actor *a, const __u64 *arg);
int do_receive(struct actor *a, const __u64 *arg);
int do_dup(struct actor *a, const __u64 *arg);
int do_kill(struct actor *a, const __u64 *arg);
int do_signal(struct actor *a, const __u64 *arg);
int do_other(struct actor *a, const __u64 *arg);
int do_poll(struct actor *a, const __u64 *arg);
int do_proc(struct actor *a, const __u64 *arg);
int do_recount(struct actor *a, const __u64 *arg);
int do_reclaim(struct actor *a, const __u64 *arg);

#endif /* OPS_H */
