/* SPDX-License-Identifier: MIT */
/* What the files of the library know of each other. */
#ifndef PAGEARENA_INTERNAL_H
#define PAGEARENA_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "pagearena.h"

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

struct cache;

/**
 * struct pagearena - an arena
 * @fd: descriptor
 * @process: pa_process() of who holds the mapping; a forked child does not
 * @base: the mapping
 * @bytes: its length
 * @huge_size: bytes of a chunk
 * @span_shift: log2 of the span page
 * @cache_entry: where a thread that used the arena lately has its cache
 * @cache_id: number of the arena among all of the process, 0: no caches
 * @cache_length: longest span that is kept in caches, 0: no caches
 * @cache_pages: span pages that the table covers, 0: no caches
 * @cache_room: span pages that the cache of a thread holds at most
 * @table: for each span page what the caches know of a span that begins there; see cache.c
 * @pressure_seq: the last pressure event that the caches were emptied for
 * @caches: all threads' caches of the arena
 * @cache_process: pa_process() of whom that list is
 */
struct pagearena {
	int fd;
	unsigned int process;
	char *base;
	uint64_t bytes;
	uint64_t huge_size;
	unsigned int span_shift;
	uint64_t cache_entry;
	uint64_t cache_id;
	uint64_t cache_length;
	uint64_t cache_pages;
	uint64_t cache_room;
	uint16_t *table;
	atomic_ullong pressure_seq;
	struct cache *caches;
	unsigned int cache_process;
};

/**
 * struct pa_done - how far a batch came
 * @done: number of operations that were tried
 * @failed: of these, those that failed
 */
struct pa_done {
	uint32_t done;
	uint32_t failed;
};

static inline int fail(int err)
{
	errno = err;
	return -1;
}

static inline uint64_t pa_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/**
 * struct pa_self - what is this process's own, and is all zero in a child
 * @number: tells a process from those that it was forked from; 0: not given yet
 * @user_lock: protects the list of arenas without the module
 * @cache_lock: protects the lists of caches
 *
 * In memory that the kernel wipes at fork(), so a child finds its locks free, which zero means,
 * whoever held them, and however it was made: by a call that runs no handlers of fork(), too,
 * and before the program's own handlers run.  Its pid would not tell it: the first process of
 * each PID namespace has the same.
 */
struct pa_self {
	atomic_uint number;
	pthread_mutex_t user_lock;
	pthread_mutex_t cache_lock;
};

extern struct pa_self *pa_self __attribute__((visibility("hidden")));

int pa_self_init(void);
unsigned int pa_process_new(void);
void *pa_map_wiped(size_t len);

/**
 * pa_process() - which process this is
 *
 * After pa_self_init().
 *
 * Return: a number that none has that this process's memory is a copy of.
 */
static inline unsigned int pa_process(void)
{
	unsigned int number = atomic_load_explicit(&pa_self->number, memory_order_relaxed);

	return likely(number) ? number : pa_process_new();
}

#ifdef PAGEARENA_KERNEL_ONLY
/* For who must not allocate memory in a call. */
#include <sys/ioctl.h>
#include <unistd.h>

#define pa_ioctl(fd, nr, arg)	ioctl(fd, nr, arg)
#define pa_close(fd)		close(fd)

static inline void pa_user_mapped(int fd, void *base, size_t len)
{
	(void)fd;
	(void)base;
	(void)len;
}
#else
/* user.c: a descriptor may be that of an arena without the module. */
int pa_ioctl(int fd, unsigned long nr, void *arg);
bool pa_is_user(int fd);
int pa_user_open(void);
void pa_user_mapped(int fd, void *base, size_t len);
void pa_close(int fd);
#endif

int pa_call(int fd, unsigned long nr, void *arg);
int pa_batch(int fd, uint32_t flags, struct pagearena_op *ops, uint32_t count,
	     struct pa_done *done);
int pa_kernel_free(struct pagearena *a, const void *ptr, uint64_t length);

void pa_cache_open(struct pagearena *a, uint64_t span_page, uint64_t cache_bytes);
void pa_cache_close(struct pagearena *a);
bool pa_cache_owns(const struct pagearena *a, uint64_t offset);
bool pa_cache_near(const struct pagearena *a, uint64_t offset, uint64_t length);
void pa_cache_forget(struct pagearena *a, uint64_t offset);
bool pa_cache_flush(struct pagearena *a);
void pa_cache_hold(struct pagearena *a, struct pagearena_cache_stats *sum);
void pa_cache_release(struct pagearena *a);

#endif /* PAGEARENA_INTERNAL_H */
