// SPDX-License-Identifier: MIT
/*
 * Caches: spans that a thread has freed, or is likely to want, kept for its next allocation.
 *
 * Each thread has for each arena a magazine of spans of each small size (in span pages).  An
 * allocation takes the span that was put there last, a free puts one there; only when a
 * magazine is empty or full, a batch of spans comes from the kernel or goes back.  To the kernel
 * what is in a magazine is allocated.
 *
 * To free a span its length must be known.  A table has 16 bits for each span page: for the
 * first page of a span that went through a cache its length, or a mark that it is in one, so
 * that a second free is found.  Other spans have 0 there, and the kernel is asked.
 *
 * A cache has a lock, as others may empty it (pagearena_cache_flush(), pagearena_scavenge());
 * its thread finds it free nearly always.  What threads and arenas have is in lists under one
 * mutex, which is only taken when either comes or goes, and by those who look at all caches.
 *
 * fork(): the spans in the parent's caches stay the parent's.  The child forgets them, without
 * freeing them, and the marks in its copy of the table do not count any more.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "internal.h"

/* Sizes that are cached: up to so many span pages, and so many bytes. */
#define CLASSES		32
#define LENGTH_MAX	(256ULL << 10)

/* Spans in a magazine, and what a thread keeps unless the options say otherwise. */
#define SLOTS		30 /* so that a magazine is 128 bytes */
#define BYTES_DEFAULT	(2ULL << 20)

/* Every so often a thread that needs the kernel anyway asks whether memory is short. */
#define LOOK_EVERY	16

/* In the table: the span is in a cache of the process that has forked so often. */
#define CACHED		0x8000

struct magazine {
	uint32_t nr;
	uint32_t want; /* spans that the next refill brings */
	uint32_t slot[SLOTS]; /* span pages */
};

/**
 * struct cache - what a thread keeps of an arena
 * @lock: held for a moment
 * @bytes: bytes in all magazines
 * @looks: times that the kernel was needed
 * @arena: NULL when it was closed; under the mutex
 * @next: the arena's list; under the mutex
 * @mine: the thread's list
 * @mag: magazines by span pages
 */
struct cache {
	atomic_int lock;
	uint64_t bytes;
	unsigned int looks;
	struct pagearena *arena;
	struct cache *next;
	struct cache *mine;
	struct magazine mag[CLASSES + 1];
};

struct entry {
	uint64_t id;
	struct cache *c;
};

#define ENTRIES	8

/* The caches that a thread used last, by the arena's number, and all that it has. */
static __thread struct entry entries[ENTRIES] __attribute__((tls_model("initial-exec")));
static __thread struct cache *mine __attribute__((tls_model("initial-exec")));

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool ready;
static uint64_t last_id;
static unsigned int forks;

static inline void cache_lock(struct cache *c)
{
	while (unlikely(atomic_exchange_explicit(&c->lock, 1, memory_order_acquire)))
		sched_yield();
}

static inline void cache_unlock(struct cache *c)
{
	atomic_store_explicit(&c->lock, 0, memory_order_release);
}

static inline uint16_t cached_mark(void)
{
	return (uint16_t)(CACHED | (forks & (CACHED - 1)));
}

/* Frees spans; the cache's lock is held, or nobody else can see it. */
static void drain(struct pagearena *a, struct cache *c, unsigned int pages, unsigned int keep)
{
	struct magazine *m = &c->mag[pages];
	struct pagearena_op ops[SLOTS];
	struct pagearena_batch b = { .size = sizeof(b), .ops = (uintptr_t)ops };
	unsigned int i;

	if (m->nr <= keep)
		return;
	memset(ops, 0, sizeof(ops));
	/* Those that have waited the longest. */
	b.count = m->nr - keep;
	for (i = 0; i < b.count; i++) {
		a->table[m->slot[i]] = 0;
		ops[i].op = PAGEARENA_OP_FREE;
		ops[i].offset = (uint64_t)m->slot[i] << a->span_shift;
	}
	memmove(m->slot, m->slot + b.count, keep * sizeof(m->slot[0]));
	m->nr = keep;
	c->bytes -= (uint64_t)b.count * pages << a->span_shift;
	while (b.count && ioctl(a->fd, PAGEARENA_IOC_BATCH, &b)) {
		struct pagearena_free f = { .size = sizeof(f), .offset = ops[b.done].offset };

		/* A signal; or a module that knows no batches. */
		if (errno != EINTR) {
			pa_call(a->fd, PAGEARENA_IOC_FREE, &f);
			b.done++;
		}
		b.ops += b.done * sizeof(ops[0]);
		memmove(ops, ops + b.done, (b.count - b.done) * sizeof(ops[0]));
		b.ops = (uintptr_t)ops;
		b.count -= b.done;
		b.done = 0;
		b.failed = 0;
	}
}

static void drain_all(struct pagearena *a, struct cache *c)
{
	unsigned int pages;

	cache_lock(c);
	for (pages = 1; pages <= CLASSES; pages++)
		drain(a, c, pages, 0);
	cache_unlock(c);
}

/* A thread ends. */
static void thread_exit(void *arg)
{
	struct cache *c, **link;
	int err = errno;

	(void)arg;
	pthread_mutex_lock(&mutex);
	while ((c = mine)) {
		mine = c->mine;
		if (c->arena) {
			drain_all(c->arena, c);
			for (link = &c->arena->caches; *link != c; link = &(*link)->next)
				;
			*link = c->next;
		}
		free(c);
	}
	pthread_mutex_unlock(&mutex);
	memset(entries, 0, sizeof(entries));
	errno = err;
}

static void before_fork(void)
{
	pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&mutex);
}

static void child_after_fork(void)
{
	struct cache *c;

	forks++;
	while ((c = mine)) {
		mine = c->mine;
		free(c);
	}
	memset(entries, 0, sizeof(entries));
	pthread_mutex_unlock(&mutex);
}

static void init(void)
{
	ready = !pthread_key_create(&key, thread_exit) &&
		!pthread_atfork(before_fork, after_fork, child_after_fork);
}

/* The arena's list, without those of the process that this one was forked from. */
static struct cache **caches_of(struct pagearena *a)
{
	if (a->cache_fork != forks) {
		a->caches = NULL;
		a->cache_fork = forks;
	}
	return &a->caches;
}

/* The thread's cache of an arena, made if need be; NULL: out of memory. */
static struct cache *cache_find(struct pagearena *a)
{
	struct entry *e = &entries[a->cache_id % ENTRIES];
	struct cache *c, **list;

	pthread_mutex_lock(&mutex);
	list = caches_of(a);
	for (c = mine; c && c->arena != a; c = c->mine)
		;
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (c && pthread_setspecific(key, c)) {
			free(c);
			c = NULL;
		}
		if (c) {
			c->arena = a;
			c->next = *list;
			*list = c;
			c->mine = mine;
			mine = c;
		}
	}
	if (c) {
		e->id = a->cache_id;
		e->c = c;
	}
	pthread_mutex_unlock(&mutex);
	return c;
}

static inline struct cache *cache_of(struct pagearena *a)
{
	struct entry *e = &entries[a->cache_id % ENTRIES];

	return likely(e->id == a->cache_id) ? e->c : cache_find(a);
}

/* Is memory short?  Asked seldom, by who needs the kernel anyway. */
static bool pressed(struct pagearena *a, struct cache *c)
{
	struct pollfd p = { .fd = a->fd, .events = POLLPRI };

	return ++c->looks % LOOK_EVERY == 0 && poll(&p, 1, 0) == 1 && p.revents & POLLPRI;
}

/* The magazine is empty: a batch of spans, of which one is returned, as its page; or -1. */
static int64_t refill(struct pagearena *a, struct cache *c, unsigned int pages)
{
	uint64_t length = (uint64_t)pages << a->span_shift;
	struct magazine *m = &c->mag[pages];
	struct pagearena_op ops[SLOTS];
	struct pagearena_batch b = { .size = sizeof(b), .ops = (uintptr_t)ops,
				     .flags = PAGEARENA_BATCH_STOP };
	int64_t got = -1;
	unsigned int i;

	if (pressed(a, c))
		m->want = 1;
	/* One at first, then twice as many each time, as far as there is room for them. */
	b.count = m->want ? m->want : 1;
	while (b.count > 1 && c->bytes + (b.count - 1) * length > a->cache_bytes)
		b.count /= 2;
	m->want = b.count * 2 <= SLOTS / 2 ? b.count * 2 : SLOTS / 2;
	memset(ops, 0, b.count * sizeof(ops[0]));
	for (i = 0; i < b.count; i++) {
		ops[i].op = PAGEARENA_OP_ALLOC;
		ops[i].length = length;
	}
	if (ioctl(a->fd, PAGEARENA_IOC_BATCH, &b) && !b.done)
		return -1;
	for (i = 0; i < b.done; i++) {
		uint32_t page = (uint32_t)(ops[i].offset >> a->span_shift);

		if (ops[i].result)
			break;
		if (got < 0) {
			got = page;
			continue;
		}
		a->table[page] = cached_mark();
		m->slot[m->nr++] = page;
		c->bytes += length;
	}
	return got;
}

/* All that is not in a magazine. */
static __attribute__((noinline)) void *alloc_slow(struct pagearena *a, size_t length,
						  uint32_t flags)
{
	struct pagearena_block block;
	struct magazine *m;
	unsigned int pages;
	struct cache *c;
	int64_t page;

	/* A length of 0 becomes one that is too long. */
	if (!flags && (uint64_t)length - 1 < a->cache_length) {
		c = cache_of(a);
		if (c) {
			pages = (unsigned int)((length - 1) >> a->span_shift) + 1;
			cache_lock(c);
			m = &c->mag[pages];
			if (m->nr) {
				page = m->slot[--m->nr];
				c->bytes -= (uint64_t)pages << a->span_shift;
			} else {
				page = refill(a, c, pages);
			}
			if (page >= 0)
				a->table[page] = (uint16_t)pages;
			cache_unlock(c);
			if (page >= 0)
				return a->base + ((uint64_t)page << a->span_shift);
		}
	}
	return pagearena_alloc_ex(a, 0, length, flags, &block) ? NULL : block.ptr;
}

void *pagearena_alloc(struct pagearena *a, size_t length, uint32_t flags)
{
	struct entry *e = &entries[a->cache_id % ENTRIES];
	unsigned int shift = a->span_shift;
	struct cache *c = e->c;
	struct magazine *m;
	uint64_t pages;
	uint32_t page;

	if (unlikely(flags || (uint64_t)length - 1 >= a->cache_length || e->id != a->cache_id))
		return alloc_slow(a, length, flags);
	pages = ((length - 1) >> shift) + 1;
	m = &c->mag[pages];
	if (unlikely(atomic_exchange_explicit(&c->lock, 1, memory_order_acquire)))
		return alloc_slow(a, length, flags);
	if (unlikely(!m->nr)) {
		cache_unlock(c);
		return alloc_slow(a, length, flags);
	}
	page = m->slot[--m->nr];
	c->bytes -= pages << shift;
	a->table[page] = (uint16_t)pages;
	cache_unlock(c);
	return a->base + ((uint64_t)page << shift);
}

/* The cache has more than it may have; its lock is held. */
static __attribute__((noinline)) void shrink(struct pagearena *a, struct cache *c)
{
	unsigned int i;

	/* The larger first. */
	for (i = CLASSES; i && c->bytes > a->cache_bytes / 2; i--)
		drain(a, c, i, 0);
	if (pressed(a, c))
		for (i = 1; i <= CLASSES; i++)
			drain(a, c, i, 0);
}

/* A free that is not simple.  @length 0: not known. */
static __attribute__((noinline)) int free_slow(struct pagearena *a, void *ptr, uint64_t length)
{
	uint64_t offset = pagearena_offset(a, ptr), page = offset >> a->span_shift;
	struct magazine *m;
	struct cache *c;
	uint16_t pages;

	if (!ptr)
		return 0;
	if (!a->table || offset == PAGEARENA_NO_OFFSET ||
	    offset & ((1ULL << a->span_shift) - 1))
		return pa_kernel_free(a, ptr, length);
	pages = a->table[page];
	if (pages & CACHED && pages == cached_mark())
		return fail(ENOENT);
	if (!pages || pages & CACHED)
		return pa_kernel_free(a, ptr, length);
	if (length && (length - 1) >> a->span_shift != pages - 1U)
		return fail(EINVAL);
	c = cache_of(a);
	if (!c)
		return pa_kernel_free(a, ptr, length);
	m = &c->mag[pages];
	cache_lock(c);
	if (m->nr == SLOTS)
		drain(a, c, pages, SLOTS / 2);
	a->table[page] = cached_mark();
	m->slot[m->nr++] = (uint32_t)page;
	c->bytes += (uint64_t)pages << a->span_shift;
	if (c->bytes > a->cache_bytes)
		shrink(a, c);
	cache_unlock(c);
	return 0;
}

/*
 * What lies outside the arena has a page far behind the table, and what is misaligned some bits
 * that are no page's: both are in the bits that a rotation puts in front.
 */
static inline int cache_free(struct pagearena *a, void *ptr, uint64_t length)
{
	struct entry *e = &entries[a->cache_id % ENTRIES];
	uint64_t offset = (uintptr_t)ptr - (uintptr_t)a->base;
	unsigned int shift = a->span_shift;
	uint64_t page = offset >> shift | offset << (64 - shift), pages;
	struct cache *c = e->c;
	struct magazine *m;

	if (unlikely(page >= a->cache_pages || e->id != a->cache_id))
		return free_slow(a, ptr, length);
	pages = a->table[page];
	if (unlikely(pages - 1 >= CLASSES || (length && (length - 1) >> shift != pages - 1)))
		return free_slow(a, ptr, length);
	m = &c->mag[pages];
	if (unlikely(atomic_exchange_explicit(&c->lock, 1, memory_order_acquire)))
		return free_slow(a, ptr, length);
	if (unlikely(m->nr == SLOTS || c->bytes + (pages << shift) > a->cache_bytes)) {
		cache_unlock(c);
		return free_slow(a, ptr, length);
	}
	a->table[page] = cached_mark();
	m->slot[m->nr++] = (uint32_t)page;
	c->bytes += pages << shift;
	cache_unlock(c);
	return 0;
}

int pagearena_free(struct pagearena *a, void *ptr)
{
	return cache_free(a, ptr, 0);
}

int pagearena_free_sized(struct pagearena *a, void *ptr, size_t length)
{
	/* To the kernel 0 means unchecked, which is not what the caller asked for. */
	if (unlikely(!length))
		return ptr ? fail(EINVAL) : 0;
	return cache_free(a, ptr, length);
}

/* ENOENT if the span at an offset is in a cache, and so is not the caller's; else 0. */
int pa_cache_owns(const struct pagearena *a, uint64_t offset)
{
	return a->table && offset < a->bytes && a->table[offset >> a->span_shift] == cached_mark() ?
		       ENOENT : 0;
}

/* The span at an offset was allocated, freed or changed beside the caches. */
void pa_cache_forget(struct pagearena *a, uint64_t offset)
{
	if (a->table && offset < a->bytes && a->table[offset >> a->span_shift])
		a->table[offset >> a->span_shift] = 0;
}

/* Empties all caches of an arena; tells whether there was something in them. */
bool pa_cache_flush(struct pagearena *a)
{
	bool some = false;
	struct cache *c;
	int err = errno;

	if (!a->table)
		return false;
	pthread_mutex_lock(&mutex);
	for (c = *caches_of(a); c; c = c->next) {
		some |= c->bytes != 0;
		drain_all(a, c);
	}
	pthread_mutex_unlock(&mutex);
	errno = err;
	return some;
}

void pa_cache_sum(struct pagearena *a, struct pagearena_cache_stats *sum)
{
	struct cache *c;
	unsigned int i;

	if (!a->table)
		return;
	pthread_mutex_lock(&mutex);
	for (c = *caches_of(a); c; c = c->next) {
		cache_lock(c);
		sum->bytes += c->bytes;
		for (i = 1; i <= CLASSES; i++)
			sum->spans += c->mag[i].nr;
		sum->threads++;
		cache_unlock(c);
	}
	pthread_mutex_unlock(&mutex);
}

int pa_cache_open(struct pagearena *a, uint64_t span_page, uint64_t cache_bytes)
{
	uint64_t len = a->bytes / span_page * sizeof(*a->table);

	a->span_shift = (unsigned int)__builtin_ctzll(span_page);
	a->cache_length = 0;
	a->cache_pages = 0;
	a->cache_id = 0;
	a->table = NULL;
	a->caches = NULL;
	if (cache_bytes == PAGEARENA_NO_CACHE || a->bytes / span_page > UINT32_MAX ||
	    len > SIZE_MAX)
		return 0;
	pthread_once(&once, init);
	if (!ready)
		return 0;
	a->table = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->table == MAP_FAILED) {
		a->table = NULL;
		return -1;
	}
	a->cache_pages = a->bytes >> a->span_shift;
	a->cache_bytes = cache_bytes ? cache_bytes : BYTES_DEFAULT;
	a->cache_length = (uint64_t)CLASSES << a->span_shift;
	if (a->cache_length > LENGTH_MAX)
		a->cache_length = LENGTH_MAX;
	if (a->cache_length > a->cache_bytes)
		a->cache_length = a->cache_bytes;
	pthread_mutex_lock(&mutex);
	a->cache_id = ++last_id;
	a->cache_fork = forks;
	pthread_mutex_unlock(&mutex);
	return 0;
}

/* The arena goes, or this process's part in it.  Nobody else uses it any more. */
void pa_cache_close(struct pagearena *a)
{
	struct cache *c;

	if (!a->table)
		return;
	pthread_mutex_lock(&mutex);
	for (c = *caches_of(a); c; c = c->next) {
		drain_all(a, c);
		c->arena = NULL;
	}
	pthread_mutex_unlock(&mutex);
	munmap(a->table, (size_t)(a->bytes >> a->span_shift) * sizeof(*a->table));
}
