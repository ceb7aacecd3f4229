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
#define MAPS(X) X(write) X(check) X(peek) X(stray) X(mmap) X(munmap) X(mremap) X(mprotect)	\
	X(madvise) X(range) X(fork) X(vmsplice) X(drain) X(readv) X(writev) X(pipe)
#define DECLARE(name) int do_##name(struct actor *a, const __u64 *arg);
MAPS(DECLARE)

/* files.c */
#define FILES(X) X(pass) X(receive) X(dup) X(kill) X(signal) X(other) X(poll) X(proc)		\
	X(recount) X(reclaim) X(corrupt)
FILES(DECLARE)

#endif /* OPS_H */
