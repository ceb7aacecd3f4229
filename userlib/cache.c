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
 * The mutex is taken before the lock of a cache.
 *
 * fork(): the spans in the parent's caches stay the parent's.  Caches and table are in memory that
 * the kernel wipes in a child, however that is made: all that was the parent's is forgotten
 * without being freed, and a cache that is all zero is no arena's.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "internal.h"

/* Sizes that are cached: up to so many span pages, and so many bytes. */
#define CLASSES		32
#define LENGTH_MAX	(256ULL << 10)

/* Spans in a magazine, and what a thread keeps unless the options say otherwise. */
#define SLOTS		31 /* so that a magazine is 128 bytes */
#define BYTES_DEFAULT	(2ULL << 20)

/* Most spans that the kernel is asked for at once. */
#define REFILL_MAX	16

/* Every so often a thread that needs the kernel anyway asks whether memory is short. */
#define LOOK_EVERY	16

/* In the table: the span is in a cache. */
#define CACHED		0x8000

struct magazine {
	uint32_t nr;
	uint32_t slot[SLOTS]; /* span pages */
};

/**
 * struct cache - what a thread keeps of an arena
 * @id: the arena's number
 * @lock: held for a moment
 * @looks: times that the kernel was needed
 * @room: span pages that there is room for in all magazines
 * @arena: NULL when it was closed; under the mutex
 * @next: the arena's list; under the mutex
 * @mine: the thread's list
 * @want: spans that the next refill brings, by span pages; 0: one
 * @mag: magazines by span pages
 */
struct cache {
	uint64_t id;
	atomic_int lock;
	unsigned int looks;
	uint64_t room;
	struct pagearena *arena;
	struct cache *next;
	struct cache *mine;
	uint8_t want[CLASSES + 1];
	struct magazine mag[CLASSES + 1];
};

/* The caches that a thread used last, by the arena's number; and all that it has. */
#define ENTRIES	8
static struct cache nobody;
static __thread struct cache *entries[ENTRIES]
	__attribute__((tls_model("initial-exec"))) = { [0 ... ENTRIES - 1] = &nobody };
static __thread struct cache *mine __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool ready;
static uint64_t last_id; /* 0 is nobody's */

/* Who holds it may be off the CPU, or of a lower priority. */
static __attribute__((noinline)) void cache_wait(struct cache *c)
{
	static const struct timespec moment = { .tv_nsec = 20000 };
	unsigned int tries = 0;
	int state;

	/* The caller may hold the mutex. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	while (atomic_exchange_explicit(&c->lock, 1, memory_order_acquire))
		if (++tries < 100)
			sched_yield();
		else
			nanosleep(&moment, NULL);
	pthread_setcancelstate(state, NULL);
}

static inline bool cache_trylock(struct cache *c)
{
	return likely(!atomic_exchange_explicit(&c->lock, 1, memory_order_acquire));
}

static inline void cache_lock(struct cache *c)
{
	if (!cache_trylock(c))
		cache_wait(c);
}

static inline void cache_unlock(struct cache *c)
{
	atomic_store_explicit(&c->lock, 0, memory_order_release);
}

/* The magazine for so many span pages. */
static inline struct magazine *magazine(struct cache *c, uint64_t pages)
{
	struct magazine *m = &c->mag[pages];

	/* Keeps the compiler from computing it anew for each use. */
	__asm__("" : "+r"(m));
	return m;
}

/* Frees all but @keep spans of a magazine; the cache's lock is held. */
static void drain(struct pagearena *a, struct cache *c, unsigned int pages, unsigned int keep)
{
	struct magazine *m = &c->mag[pages];
	struct pagearena_op ops[SLOTS];
	struct pa_done done;
	unsigned int i, n;

	if (!keep)
		c->want[pages] = 0;
	if (m->nr <= keep)
		return;
	n = m->nr - keep;
	memset(ops, 0, n * sizeof(ops[0]));
	/* Those that have waited the longest. */
	for (i = 0; i < n; i++) {
		a->table[m->slot[i]] = 0;
		ops[i].op = PAGEARENA_OP_FREE;
		ops[i].offset = (uint64_t)m->slot[i] << a->span_shift;
	}
	memmove(m->slot, m->slot + n, keep * sizeof(m->slot[0]));
	m->nr = keep;
	c->room += n * pages;
	pa_batch(a->fd, 0, ops, n, &done);
}

/* Frees all that a cache holds.  Tells whether that was anything. */
static bool drain_all(struct pagearena *a, struct cache *c)
{
	unsigned int pages;
	bool some;

	cache_lock(c);
	some = c->room != a->cache_room;
	for (pages = 1; pages <= CLASSES; pages++)
		drain(a, c, pages, 0);
	cache_unlock(c);
	return some;
}

/* Frees the thread's caches of arenas that were closed, or all. */
static void drop_mine(bool all)
{
	struct cache *c, **link = &mine;
	unsigned int i;

	while ((c = *link)) {
		if (c->arena && !all) {
			link = &c->mine;
			continue;
		}
		for (i = 0; i < ENTRIES; i++)
			if (entries[i] == c)
				entries[i] = &nobody;
		*link = c->mine;
		munmap(c, sizeof(*c));
	}
}

/* A thread ends. */
static void thread_exit(void *arg)
{
	struct cache *c, **link;
	int err = errno;

	(void)arg;
	pthread_mutex_lock(&pa_self->cache_lock);
	for (c = mine; c; c = c->mine) {
		if (!c->arena)
			continue;
		drain_all(c->arena, c);
		for (link = &c->arena->caches; *link != c; link = &(*link)->next)
			;
		*link = c->next;
	}
	drop_mine(true);
	pthread_mutex_unlock(&pa_self->cache_lock);
	errno = err;
}

static void init(void)
{
	ready = !pthread_key_create(&key, thread_exit);
}

/* The arena's list, without those of the process that this one was forked from. */
static struct cache **caches_of(struct pagearena *a)
{
	if (a->cache_process != pa_process()) {
		a->caches = NULL;
		a->cache_process = pa_process();
	}
	return &a->caches;
}

/* A cache of an arena for this thread; NULL: out of memory. */
static struct cache *cache_new(struct pagearena *a)
{
	struct cache *c = pa_map_wiped(sizeof(*c)), **list;

	if (!c)
		return NULL;
	if (pthread_setspecific(key, c)) {
		munmap(c, sizeof(*c));
		return NULL;
	}
	c->id = a->cache_id;
	c->room = a->cache_room;
	c->arena = a;
	pthread_mutex_lock(&pa_self->cache_lock);
	/* Those of arenas that were closed are in nobody's way until now. */
	drop_mine(false);
	list = caches_of(a);
	c->next = *list;
	*list = c;
	c->mine = mine;
	mine = c;
	pthread_mutex_unlock(&pa_self->cache_lock);
	return c;
}

/* The thread's cache of an arena, made if need be; NULL: out of memory. */
static struct cache *cache_of(struct pagearena *a)
{
	struct cache *c = entries[a->cache_entry];

	if (likely(c->id == a->cache_id))
		return c;
	for (c = mine; c && c->id != a->cache_id; c = c->mine)
		;
	if (!c)
		c = cache_new(a);
	if (c)
		entries[a->cache_entry] = c;
	return c;
}

/*
 * Has memory become short since the caches were emptied for that?  Asked seldom, by who needs
 * the kernel anyway.  The event stays for the program, which may wait for it, too.
 */
static bool pressed(struct pagearena *a, struct cache *c)
{
	struct pollfd p = { .fd = a->fd, .events = POLLPRI };
	struct pagearena_stats st = { .size = sizeof(st) };
	int state, ret;

	if (++c->looks % LOOK_EVERY)
		return false;
	/* What is about to be allocated would be lost with the thread. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ret = poll(&p, 1, 0);
	pthread_setcancelstate(state, NULL);
	if (ret != 1 || !(p.revents & POLLPRI) || pa_call(a->fd, PAGEARENA_IOC_STATS, &st))
		return false;
	return atomic_exchange(&a->pressure_seq, st.pressure_seq) != st.pressure_seq;
}

/* The magazine is empty: a batch of spans, of which one is returned, as its page; or -1. */
static int64_t refill(struct pagearena *a, struct cache *c, unsigned int pages)
{
	uint64_t length = (uint64_t)pages << a->span_shift;
	struct magazine *m = &c->mag[pages];
	struct pagearena_op ops[REFILL_MAX];
	struct pa_done done;
	unsigned int i, n;
	int64_t got = -1;

	/* One at first, then twice as many each time, as far as there is room for them. */
	n = c->want[pages] ? c->want[pages] : 1;
	while (n > 1 && (n - 1) * pages > c->room)
		n /= 2;
	memset(ops, 0, n * sizeof(ops[0]));
	for (i = 0; i < n; i++) {
		ops[i].op = PAGEARENA_OP_ALLOC;
		ops[i].length = length;
	}
	pa_batch(a->fd, PAGEARENA_BATCH_STOP, ops, n, &done);
	for (i = 0; i < done.done && !ops[i].result; i++) {
		uint32_t page = (uint32_t)(ops[i].offset >> a->span_shift);

		if (got < 0) {
			got = page;
			continue;
		}
		a->table[page] = CACHED;
		m->slot[m->nr++] = page;
		c->room -= pages;
	}
	/* Where there is no room for many, others may need it. */
	c->want[pages] = i < n ? 0 : n < REFILL_MAX ? (uint8_t)(2 * n) : REFILL_MAX;
	return got;
}

/* All that is not in a magazine. */
static __attribute__((noinline)) void *alloc_slow(struct pagearena *a, size_t length,
						  uint32_t flags)
{
	struct pagearena_block block;
	struct cache *c = NULL;
	struct magazine *m;
	unsigned int pages;
	int err = errno;
	int64_t page;
	bool look;

	/* A length of 0 becomes one that is too long. */
	c = !flags && (uint64_t)length - 1 < a->cache_length ? cache_of(a) : NULL;
	if (c) {
		pages = (unsigned int)((length - 1) >> a->span_shift) + 1;
		m = &c->mag[pages];
		cache_lock(c);
		look = !m->nr;
		if (look) {
			page = refill(a, c, pages);
		} else {
			page = m->slot[--m->nr];
			c->room += pages;
		}
		if (page >= 0)
			a->table[page] = (uint16_t)pages;
		cache_unlock(c);
		if (look && pressed(a, c))
			pa_cache_flush(a);
		errno = err;
		if (page >= 0)
			return a->base + ((uint64_t)page << a->span_shift);
	}
	return pagearena_alloc_ex(a, 0, length, flags, &block) ? NULL : block.ptr;
}

void *pagearena_alloc(struct pagearena *a, size_t length, uint32_t flags)
{
	struct cache *c = entries[a->cache_entry];
	unsigned int shift = a->span_shift;
	struct magazine *m;
	uint64_t pages;
	uint32_t nr, page;

	if (unlikely(flags || (uint64_t)length - 1 >= a->cache_length || c->id != a->cache_id))
		return alloc_slow(a, length, flags);
	pages = ((length - 1) >> shift) + 1;
	m = magazine(c, pages);
	if (unlikely(!cache_trylock(c)))
		return alloc_slow(a, length, flags);
	nr = m->nr;
	if (unlikely(!nr)) {
		cache_unlock(c);
		return alloc_slow(a, length, flags);
	}
	m->nr = --nr;
	page = m->slot[nr];
	c->room += pages;
	a->table[page] = (uint16_t)pages;
	cache_unlock(c);
	return a->base + ((uint64_t)page << shift);
}

/* A free that is not simple.  @length 0: not known. */
static __attribute__((noinline)) int free_slow(struct pagearena *a, void *ptr, uint64_t length)
{
	uint64_t offset = pagearena_offset(a, ptr), page = offset >> a->span_shift;
	unsigned int pages, i;
	struct magazine *m;
	struct cache *c;
	int err = errno;
	bool look;

	if (!ptr)
		return 0;
	if (!a->table || offset == PAGEARENA_NO_OFFSET ||
	    offset & ((1ULL << a->span_shift) - 1))
		return pa_kernel_free(a, ptr, length);
	pages = a->table[page];
	if (pages == CACHED)
		return fail(ENOENT);
	if (!pages || pages & CACHED)
		return pa_kernel_free(a, ptr, length);
	if (length && (length - 1) >> a->span_shift != pages - 1)
		return fail(EINVAL);
	c = cache_of(a);
	if (!c) {
		pa_cache_forget(a, offset);
		return pa_kernel_free(a, ptr, length);
	}
	m = &c->mag[pages];
	cache_lock(c);
	look = m->nr == SLOTS || c->room < pages;
	if (m->nr == SLOTS)
		drain(a, c, pages, SLOTS / 2);
	/* Down to a half, the larger ones first, so that it does not happen each time. */
	if (c->room < pages)
		for (i = CLASSES; i && (c->room < pages || c->room < a->cache_room / 2); i--)
			drain(a, c, i, 0);
	a->table[page] = CACHED;
	m->slot[m->nr++] = (uint32_t)page;
	c->room -= pages;
	cache_unlock(c);
	if (look && pressed(a, c))
		pa_cache_flush(a);
	errno = err;
	return 0;
}

/*
 * Where a pointer's span begins, in span pages.  What lies outside the arena comes out behind
 * its end, and so does what is misaligned: the bits that are no page's come out in front.
 */
static inline uint64_t page_of(const struct pagearena *a, const void *ptr)
{
	uint64_t offset = (uintptr_t)ptr - (uintptr_t)a->base;

	return offset >> a->span_shift | offset << (64 - a->span_shift);
}

/* Puts a span into the thread's cache, if that is simple. */
static inline bool cache_put(struct pagearena *a, struct cache *c, uint64_t page, uint64_t pages)
{
	struct magazine *m = magazine(c, pages);
	uint32_t nr;

	if (unlikely(!cache_trylock(c)))
		return false;
	nr = m->nr;
	if (unlikely(nr == SLOTS || c->room < pages)) {
		cache_unlock(c);
		return false;
	}
	c->room -= pages;
	m->slot[nr] = (uint32_t)page;
	m->nr = nr + 1;
	a->table[page] = CACHED;
	cache_unlock(c);
	return true;
}

int pagearena_free(struct pagearena *a, void *ptr)
{
	struct cache *c = entries[a->cache_entry];
	uint64_t page = page_of(a, ptr), pages;

	if (unlikely(page >= a->cache_pages || c->id != a->cache_id))
		return free_slow(a, ptr, 0);
	pages = a->table[page];
	if (unlikely(pages - 1 >= CLASSES || !cache_put(a, c, page, pages)))
		return free_slow(a, ptr, 0);
	return 0;
}

static __attribute__((noinline)) int free_sized_slow(struct pagearena *a, void *ptr, size_t length)
{
	/* To the kernel 0 means unchecked, which is not what the caller asked for. */
	if (!length)
		return ptr ? fail(EINVAL) : 0;
	return free_slow(a, ptr, length);
}

int pagearena_free_sized(struct pagearena *a, void *ptr, size_t length)
{
	struct cache *c = entries[a->cache_entry];
	uint64_t page = page_of(a, ptr), pages = (((uint64_t)length - 1) >> a->span_shift) + 1;

	/* A length of 0 becomes one that is too long. */
	if (unlikely(page >= a->cache_pages || c->id != a->cache_id ||
		     (uint64_t)length - 1 >= a->cache_length || a->table[page] != pages ||
		     !cache_put(a, c, page, pages)))
		return free_sized_slow(a, ptr, length);
	return 0;
}

/* Is the span that begins at an offset in a cache, and so not the caller's? */
bool pa_cache_owns(const struct pagearena *a, uint64_t offset)
{
	return a->table && offset < a->bytes && a->table[offset >> a->span_shift] == CACHED;
}

/* May a span that overlaps a range be in a cache? */
bool pa_cache_near(const struct pagearena *a, uint64_t offset, uint64_t length)
{
	uint64_t page = offset >> a->span_shift, end;

	if (!a->table || offset >= a->bytes)
		return false;
	page -= page < CLASSES ? page : CLASSES;
	end = offset + (length < a->bytes - offset ? length : a->bytes - offset);
	end = (end + (1ULL << a->span_shift) - 1) >> a->span_shift;
	/* To look at all of a long one would not be worth it. */
	if (end - page > 4096)
		return true;
	for (; page < end; page++)
		if (a->table[page] == CACHED)
			return true;
	return false;
}

/* The span at an offset is allocated, freed or changed beside the caches. */
void pa_cache_forget(struct pagearena *a, uint64_t offset)
{
	/* Most were not known: that much of the table stays without memory. */
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
	pthread_mutex_lock(&pa_self->cache_lock);
	for (c = *caches_of(a); c; c = c->next)
		some |= drain_all(a, c);
	pthread_mutex_unlock(&pa_self->cache_lock);
	errno = err;
	return some;
}

/* Sums up what is in caches, which stays so until pa_cache_release(). */
void pa_cache_hold(struct pagearena *a, struct pagearena_cache_stats *sum)
{
	struct cache *c;
	unsigned int i;

	memset(sum, 0, sizeof(*sum));
	if (!a->table)
		return;
	pthread_mutex_lock(&pa_self->cache_lock);
	for (c = *caches_of(a); c; c = c->next) {
		cache_lock(c);
		sum->bytes += (a->cache_room - c->room) << a->span_shift;
		for (i = 1; i <= CLASSES; i++)
			sum->spans += c->mag[i].nr;
		sum->threads++;
	}
}

void pa_cache_release(struct pagearena *a)
{
	struct cache *c;

	if (!a->table)
		return;
	for (c = a->caches; c; c = c->next)
		cache_unlock(c);
	pthread_mutex_unlock(&pa_self->cache_lock);
}

/* Does the module know batches?  An empty one is an error, but no unknown call. */
static bool knows_batches(int fd)
{
	struct pagearena_batch b = { .size = sizeof(b) };

	return !pa_ioctl(fd, PAGEARENA_IOC_BATCH, &b) || errno != ENOTTY;
}

/* Where there can be no caches, the arena is one without them. */
void pa_cache_open(struct pagearena *a, uint64_t span_page, uint64_t cache_bytes)
{
	uint64_t pages = a->bytes / span_page, length;
	void *table;

	a->span_shift = (unsigned int)__builtin_ctzll(span_page);
	if (!cache_bytes)
		cache_bytes = BYTES_DEFAULT;
	length = CLASSES * span_page;
	if (length > LENGTH_MAX)
		length = LENGTH_MAX;
	if (length > cache_bytes)
		length = cache_bytes;
	length &= ~(span_page - 1);
	if (cache_bytes == PAGEARENA_NO_CACHE || !length || pages > UINT32_MAX ||
	    pages * sizeof(*a->table) > SIZE_MAX || !knows_batches(a->fd))
		return;
	pthread_once(&once, init);
	if (!ready)
		return;
	table = pa_map_wiped((size_t)(pages * sizeof(*a->table)));
	if (!table)
		return;
	a->table = table;
	a->cache_pages = pages;
	a->cache_length = length;
	a->cache_room = cache_bytes >> a->span_shift;
	pthread_mutex_lock(&pa_self->cache_lock);
	a->cache_id = ++last_id;
	a->cache_process = pa_process();
	pthread_mutex_unlock(&pa_self->cache_lock);
	a->cache_entry = a->cache_id % ENTRIES;
}

/* The arena goes, or this process's part in it.  Nobody else uses it any more. */
void pa_cache_close(struct pagearena *a)
{
	struct cache *c;

	if (!a->table)
		return;
	pthread_mutex_lock(&pa_self->cache_lock);
	for (c = *caches_of(a); c; c = c->next) {
		drain_all(a, c);
		/* Its thread frees it. */
		c->arena = NULL;
	}
	pthread_mutex_unlock(&pa_self->cache_lock);
	munmap(a->table, (size_t)(a->cache_pages * sizeof(*a->table)));
}
