// SPDX-License-Identifier: MIT
/*
 * The caches of threads: what goes through them, what empties them, and that nothing is lost or
 * handed out twice.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pagearena.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define MIB (1ULL << 20)
#define PAGE 8192

/* The library's calls go through here: they are counted, and some may be made to fail. */
static unsigned int nr_calls;
static unsigned long unknown_call;

int ioctl(int fd, unsigned long nr, ...)
{
	va_list args;
	void *arg;

	va_start(args, nr);
	arg = va_arg(args, void *);
	va_end(args);
	__atomic_add_fetch(&nr_calls, 1, __ATOMIC_RELAXED);
	if (nr == unknown_call) {
		errno = ENOTTY;
		return -1;
	}
	return (int)syscall(SYS_ioctl, fd, nr, arg);
}

static unsigned int calls(void)
{
	return __atomic_exchange_n(&nr_calls, 0, __ATOMIC_RELAXED);
}

static pthread_barrier_t barrier;

static struct pagearena *open_arena(uint64_t bytes, uint64_t cache_bytes)
{
	struct pagearena_options o = { .size = sizeof(o), .arena_bytes = bytes,
				       .cache_bytes = cache_bytes };

	return pagearena_open(&o);
}

static struct pagearena_stats stats_of(struct pagearena *a)
{
	struct pagearena_stats st = { .size = sizeof(st) };

	if (pagearena_stats(a, &st))
		abort();
	return st;
}

/* What the kernel itself counts. */
static struct pagearena_stats kernel_stats(struct pagearena *a)
{
	struct pagearena_stats st = { .size = sizeof(st) };

	if (ioctl(pagearena_fd(a), PAGEARENA_IOC_STATS, &st))
		abort();
	return st;
}

static struct pagearena_cache_stats cached(struct pagearena *a)
{
	struct pagearena_cache_stats c;

	pagearena_cache_stats(a, &c);
	return c;
}

static bool is_errno(int ret, int err)
{
	return ret == -1 && errno == err;
}

static void test_basics(void)
{
	struct pagearena *a = open_arena(256 * MIB, 0);
	struct pagearena_block block;
	struct pagearena_stats st;
	uint64_t i;
	char *p, *q;

	p = pagearena_alloc(a, 20000, 0);
	ok(p && !((uintptr_t)p & (PAGE - 1)), "a span");
	memset(p, 1, 3 * PAGE);
	ok(!pagearena_free(a, p) && cached(a).spans >= 1, "is kept when it is freed");
	st = stats_of(a);
	ok(!st.heap_inuse && !st.spans_inuse && st.heap_idle == st.heap_sys,
	   "and counts as free");
	calls();
	q = pagearena_alloc(a, 3 * PAGE, 0);
	ok(q == p && !calls(), "comes back without the kernel");
	ok(is_errno(pagearena_free_sized(a, q, PAGE), EINVAL), "a wrong length is found");
	ok(!pagearena_free_sized(a, q, 20000), "the right one is not");
	ok(is_errno(pagearena_free(a, q), ENOENT), "so is a second free");
	ok(is_errno(pagearena_resize(a, q, PAGE, 0), ENOENT), "and a RESIZE of what is free");
	ok(is_errno(pagearena_free(a, q + PAGE), ENOENT), "or of a part of a span");

	calls();
	for (i = 0; i < 1000; i++) {
		p = pagearena_alloc(a, 3 * PAGE, 0);
		pagearena_free(a, p);
	}
	ok(!calls(), "a thousand times without the kernel");

	ok(!pagearena_alloc_ex(a, 0, PAGE, PAGEARENA_ALLOC_ZERO, &block) &&
		   block.flags & PAGEARENA_ALLOCED_ZERO, "zeroed memory comes from the kernel");
	ok(!pagearena_free(a, block.ptr), "and goes back to it");
	p = pagearena_aligned_alloc(a, 65536, PAGE, 0);
	ok(p && !((uintptr_t)p & 65535) && !pagearena_free(a, p), "so does what is aligned");
	p = pagearena_alloc(a, MIB, 0);
	ok(p && !pagearena_free(a, p) && cached(a).bytes < MIB, "and what is large");

	pagearena_cache_flush(a);
	ok(!cached(a).spans && !cached(a).bytes && !kernel_stats(a).heap_inuse,
	   "flushed: nothing is left in use");
	p = pagearena_alloc(a, PAGE, 0);
	pagearena_free(a, p);
	ok(!pagearena_scavenge(a, PAGEARENA_ALL, 0, NULL, NULL) && !cached(a).spans &&
		   !kernel_stats(a).backed, "scavenging empties it");
	pagearena_close(a);

	a = open_arena(256 * MIB, PAGEARENA_NO_CACHE);
	p = pagearena_alloc(a, PAGE, 0);
	ok(p && !pagearena_free(a, p) && !cached(a).spans && !kernel_stats(a).heap_inuse,
	   "off: nothing is kept");
	pagearena_close(a);
}

/* No more than the bound, whatever is freed. */
static void test_bound(void)
{
	struct pagearena *a = open_arena(1024 * MIB, MIB / 2);
	static char *p[2000];
	bool good = true;
	unsigned int i;

	for (i = 0; i < 2000; i++) {
		p[i] = pagearena_alloc(a, (i % 40 + 1) * PAGE, 0);
		if (p[i])
			p[i][0] = (char)i;
	}
	for (i = 0; i < 2000; i++) {
		good &= p[i] && p[i][0] == (char)i && !pagearena_free(a, p[i]);
		good &= cached(a).bytes <= MIB / 2;
	}
	ok(good, "bounded");
	pagearena_cache_flush(a);
	ok(!kernel_stats(a).spans_inuse, "and nothing is lost");
	pagearena_close(a);
}

static void test_calls(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0);
	char *base = pagearena_base(a), *p;
	struct pagearena_op ops[3];
	uint32_t failed;

	ok(!pagearena_alloc_at(a, base + 8 * MIB, 2 * PAGE, 0), "ALLOC at a place");
	ok(is_errno(pagearena_alloc_at(a, base + 8 * MIB + PAGE, PAGE, 0), EEXIST),
	   "that is taken then");
	memset(base + 8 * MIB, 3, 2 * PAGE);
	ok(!pagearena_resize(a, base + 8 * MIB, 4 * PAGE, PAGEARENA_ALLOC_ZERO) &&
		   base[8 * MIB + PAGE] == 3 && !base[8 * MIB + 2 * PAGE], "made longer");
	ok(!pagearena_resize(a, base + 8 * MIB, PAGE, 0) && !pagearena_free(a, base + 8 * MIB),
	   "made shorter, freed");

	/* A span from a cache is resized as any other, and then not taken for what it was. */
	p = pagearena_alloc(a, 2 * PAGE, 0);
	ok(!pagearena_resize(a, p, PAGE, 0) && !pagearena_free_sized(a, p, PAGE),
	   "a cached span is resized");
	p = pagearena_alloc(a, PAGE, 0);
	pagearena_free(a, p);
	memset(ops, 0, sizeof(ops));
	ops[0].op = PAGEARENA_OP_ALLOC;
	ops[0].length = PAGE;
	ops[1].op = PAGEARENA_OP_FREE;
	ops[1].offset = pagearena_offset(a, p);
	ops[2].op = PAGEARENA_OP_NOP;
	ok(pagearena_batch(a, 0, ops, 3, &failed) == 3 && failed == 1 &&
		   ops[1].result == -ENOENT && !ops[0].result,
	   "a batch cannot free what is in a cache");
	ok(!pagearena_free(a, pagearena_ptr(a, ops[0].offset)), "what it allocated can be freed");
	pagearena_cache_flush(a);
	ok(!kernel_stats(a).spans_inuse, "all is free");
	pagearena_close(a);
}

/* What is in caches is found where there is no other room. */
static void test_full(void)
{
	struct pagearena *a = open_arena(4 * MIB, 4 * MIB);
	char *p[4 * MIB / PAGE];
	unsigned int i, n;

	for (n = 0; n < 4 * MIB / PAGE; n++) {
		p[n] = pagearena_alloc(a, PAGE, 0);
		if (!p[n])
			break;
	}
	ok(n == 4 * MIB / PAGE && !pagearena_alloc(a, PAGE, 0) && errno == ENOMEM, "full");
	for (i = 0; i < n; i++)
		pagearena_free(a, p[i]);
	ok(cached(a).spans > 0 && pagearena_alloc(a, 4 * MIB, 0) == pagearena_base(a),
	   "one span of all the room");
	ok(!pagearena_free(a, pagearena_base(a)), "which is freed");
	p[0] = pagearena_alloc(a, PAGE, 0);
	p[1] = pagearena_alloc(a, PAGE, 0);
	pagearena_free(a, p[1]);
	ok(!pagearena_resize(a, p[0], 2 * PAGE, 0), "a span grows over one that is in a cache");
	pagearena_close(a);
}

/* All kinds of lengths, and pointers that are none. */
static void test_lengths(void)
{
	struct pagearena *a = open_arena(256 * MIB, 0);
	char *base = pagearena_base(a), *p = pagearena_alloc(a, 2 * PAGE, 0);

	ok(is_errno(pagearena_free_sized(a, p, 0), EINVAL), "length 0");
	ok(is_errno(pagearena_free_sized(a, p, SIZE_MAX), EINVAL) ||
		   is_errno(pagearena_free_sized(a, p, SIZE_MAX), EOVERFLOW), "length ~0");
	ok(is_errno(pagearena_free_sized(a, p, PAGE), EINVAL), "too short");
	ok(is_errno(pagearena_free_sized(a, p, 2 * PAGE + 1), EINVAL), "too long");
	ok(is_errno(pagearena_free(a, p + 1), EINVAL), "misaligned");
	ok(is_errno(pagearena_free(a, base + 256 * MIB), EINVAL), "behind the arena");
	ok(is_errno(pagearena_free(a, base - PAGE), EINVAL), "before it");
	ok(is_errno(pagearena_free(a, &p), EINVAL), "far from it");
	ok(is_errno(pagearena_free(a, base + 128 * MIB), ENOENT), "never allocated");
	ok(!pagearena_free(a, NULL) && !pagearena_free_sized(a, NULL, 5), "NULL");
	ok(!pagearena_free_sized(a, p, PAGE + 1), "and at last a good one");
	/* The mark of a cached span is no length. */
	ok(is_errno(pagearena_free_sized(a, p, 0x8000ULL * PAGE), ENOENT), "a length like a mark");
	ok(!pagearena_alloc(a, 0, 0) && errno == EINVAL, "nothing");
	ok(!pagearena_alloc(a, SIZE_MAX, 0) && errno == EOVERFLOW, "too much");
	ok(!pagearena_alloc(a, PAGE, 1U << 31) && errno == EINVAL, "an unknown flag");
	pagearena_close(a);
}

/* Which arenas have caches. */
static bool has_cache(struct pagearena_options o)
{
	struct pagearena *a;
	bool has;
	char *p;

	o.size = sizeof(o);
	a = pagearena_open(&o);
	if (!a)
		abort();
	p = pagearena_alloc(a, 1, 0);
	has = p && !pagearena_free(a, p) && cached(a).spans;
	if (has && cached(a).bytes > (o.cache_bytes ? o.cache_bytes : 2 * MIB))
		abort();
	if (!has && (kernel_stats(a).spans_inuse || cached(a).threads))
		abort();
	pagearena_close(a);
	return has;
}

#define HAS_CACHE(...)	has_cache((struct pagearena_options){ __VA_ARGS__ })

static void test_kinds(void)
{
	ok(HAS_CACHE(.arena_bytes = 64 * MIB), "by default");
	ok(!HAS_CACHE(.flags = PAGEARENA_SETUP_DEBUG), "not for debugging");
	ok(HAS_CACHE(.span_page = 4096) && HAS_CACHE(.span_page = 256 << 10), "span pages");
	ok(!HAS_CACHE(.span_page = 512 << 10) && !HAS_CACHE(.span_page = 2 * MIB), "that are long");
	ok(HAS_CACHE(.cache_bytes = PAGE) && HAS_CACHE(.cache_bytes = 3 * PAGE - 1), "small ones");
	ok(!HAS_CACHE(.cache_bytes = PAGE - 1) && !HAS_CACHE(.cache_bytes = 1), "too small");
	ok(HAS_CACHE(.arena_bytes = 1ULL << 40), "an arena of 1 TiB");
	unknown_call = PAGEARENA_IOC_BATCH;
	ok(!HAS_CACHE(.arena_bytes = 64 * MIB), "a module that knows no batches");
	unknown_call = 0;
}

/* No success changes errno. */
static void test_errno(void)
{
	struct pagearena *a = open_arena(4 * MIB, 4 * MIB);
	static char *p[4 * MIB / PAGE];
	bool good = true;
	unsigned int i;

	errno = 4711;
	for (i = 0; i < 4 * MIB / PAGE; i++)
		good &= !!(p[i] = pagearena_alloc(a, PAGE, 0));
	for (i = 0; i < 4 * MIB / PAGE; i++)
		good &= !pagearena_free(a, p[i]);
	/* This one needs what is in the cache. */
	good &= !!(p[0] = pagearena_alloc(a, 4 * MIB, 0));
	good &= !pagearena_free(a, p[0]);
	pagearena_cache_flush(a);
	ok(good && errno == 4711, "errno is kept");
	pagearena_close(a);
}

/* What cannot be had only because of others' caches, and what cannot be had anyhow. */
static void test_room(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0);
	char *p, *q, *base = pagearena_base(a);
	uint64_t spans;

	p = pagearena_alloc(a, PAGE, PAGEARENA_ALLOC_ZERO);
	q = pagearena_alloc(a, PAGE, PAGEARENA_ALLOC_ZERO);
	ok(!pagearena_alloc_at(a, base + 32 * MIB, PAGE, 0), "a span far away");
	pagearena_free(a, pagearena_alloc(a, 5 * PAGE, 0));
	spans = cached(a).spans;
	ok(spans && is_errno(pagearena_alloc_at(a, base + 32 * MIB, PAGE, 0), EEXIST) &&
		   cached(a).spans == spans, "a place that is taken costs no cache");
	ok(p + PAGE == q && is_errno(pagearena_resize(a, p, 2 * PAGE, 0), EEXIST) &&
		   cached(a).spans == spans, "nor does a span that cannot grow");
	pagearena_cache_flush(a);
	p = pagearena_alloc(a, 20 * PAGE, 0);
	pagearena_free(a, p);
	ok(cached(a).spans && !pagearena_alloc_at(a, p + 15 * PAGE, PAGE, 0) && !cached(a).spans,
	   "a place inside of a span that is in a cache");
	pagearena_close(a);
}

/* Threads hand each other spans and verify them. */
#define THREADS 4
#define SLOTS 64

static struct pagearena *shared;
static char *slot[SLOTS];

static void *churn(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 7919;
	unsigned int i, k;
	size_t len;
	char *p;

	for (i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		k = (unsigned int)(seed >> 40) % SLOTS;
		len = (1 + (seed >> 50) % 6) * PAGE;
		p = __atomic_exchange_n(&slot[k], NULL, __ATOMIC_ACQ_REL);
		if (p) {
			size_t had = (size_t)(unsigned char)p[0] * PAGE;

			if (p[had - 1] != p[0] || pagearena_free_sized(shared, p, had))
				return (void *)1;
		}
		p = pagearena_alloc(shared, len, 0);
		if (!p)
			return (void *)2;
		p[0] = (char)(len / PAGE);
		p[len - 1] = p[0];
		p = __atomic_exchange_n(&slot[k], p, __ATOMIC_ACQ_REL);
		if (p && pagearena_free(shared, p))
			return (void *)3;
		if (i % 4096 == 0)
			pagearena_cache_flush(shared);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	bool good = true, exact = true;
	struct pagearena_stats st;
	unsigned int looks;
	uintptr_t i;
	void *ret;

	shared = open_arena(256 * MIB, 256 << 10);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, churn, (void *)(i + 1)))
			break;
	good = i == THREADS;
	/* In use are those in the slots, and at most one in the hands of each thread. */
	for (looks = 0; looks < 2000; looks++) {
		st = stats_of(shared);
		exact &= st.heap_sys == st.heap_inuse + st.heap_idle &&
			 st.spans_inuse <= SLOTS + THREADS &&
			 st.heap_inuse <= (SLOTS + THREADS) * 6 * PAGE;
	}
	ok(exact, "statistics while they run");
	while (i--) {
		pthread_join(threads[i], &ret);
		good &= !ret;
	}
	ok(good, "threads that free what others allocated");
	ok(!cached(shared).threads, "their caches went with them");
	for (i = 0; i < SLOTS; i++)
		if (slot[i])
			good &= !pagearena_free(shared, slot[i]);
	pagearena_cache_flush(shared);
	ok(good && !kernel_stats(shared).spans_inuse, "and nothing was lost");
	pagearena_close(shared);
}

/* An arena is closed while another thread lives that has a cache of it. */
static void *outlive(void *arg)
{
	struct pagearena *other;
	char *p = pagearena_alloc(shared, PAGE, 0);

	(void)arg;
	pagearena_free(shared, p);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	other = open_arena(64 * MIB, 0);
	p = pagearena_alloc(other, PAGE, 0);
	if (!p || pagearena_free(other, p) || cached(other).threads != 1)
		return (void *)1;
	pagearena_close(other);
	return NULL;
}

/* Pressure empties the caches of all threads, once for each time. */
static void provoke(struct pagearena *a)
{
	struct pagearena_alloc req = { .size = sizeof(req), .length = 512 * MIB };

	/* Beyond the limit. */
	usleep(200000);
	ioctl(pagearena_fd(a), PAGEARENA_IOC_ALLOC, &req);
}

static void *hoard(void *arg)
{
	struct pagearena *a = arg;
	char *p[8];
	int i;

	for (i = 0; i < 8; i++)
		p[i] = pagearena_alloc(a, 7 * PAGE, 0);
	for (i = 0; i < 8; i++)
		pagearena_free(a, p[i]);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void test_pressure(void)
{
	struct pagearena_options o = { .size = sizeof(o), .arena_bytes = 1024 * MIB,
				       .limit = 256 * MIB };
	struct pagearena *a = pagearena_open(&o);
	struct pollfd pfd = { .fd = pagearena_fd(a), .events = POLLPRI };
	static char *p[2000];
	pthread_t thread;
	uint64_t spans;
	unsigned int i;

	pthread_barrier_init(&barrier, NULL, 2);
	if (!ok(!pthread_create(&thread, NULL, hoard, a), "a thread with a cache"))
		return;
	pthread_barrier_wait(&barrier);
	ok(cached(a).bytes >= 8 * 7 * PAGE && !poll(&pfd, 1, 0), "of some spans, no pressure");
	provoke(a);
	ok(poll(&pfd, 1, 0) == 1, "pressure");
	for (i = 0; i < 2000; i++)
		p[i] = pagearena_alloc(a, PAGE, 0);
	ok(cached(a).bytes < 7 * PAGE * 8, "empties the cache of the one that is idle, too");
	ok(poll(&pfd, 1, 0) == 1, "and is there for the program");
	for (i = 0; i < 2000; i++)
		pagearena_free(a, p[i]);
	spans = cached(a).spans;
	for (i = 0; i < 400; i++)
		p[i] = pagearena_alloc(a, 25 * PAGE, 0);
	ok(spans >= 15 && cached(a).spans >= spans, "but does not keep the caches empty");
	for (i = 0; i < 400; i++)
		pagearena_free(a, p[i]);
	pagearena_cache_flush(a);
	ok(!cached(a).spans, "on request they are");
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	ok(!kernel_stats(a).spans_inuse, "nothing is lost");
	pagearena_close(a);
}

static void test_close(void)
{
	pthread_t thread;
	void *ret;

	shared = open_arena(64 * MIB, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	if (!ok(!pthread_create(&thread, NULL, outlive, NULL), "a thread"))
		return;
	pthread_barrier_wait(&barrier);
	ok(cached(shared).threads == 1, "has a cache");
	pagearena_close(shared);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, &ret);
	ok(!ret, "and outlives the arena");
}

/* Many arenas in one thread, more than it finds at once. */
static void test_arenas(void)
{
	struct pagearena *a[20];
	bool good = true;
	unsigned int i, j;
	char *p[20];

	for (i = 0; i < 20; i++)
		a[i] = open_arena(16 * MIB, 0);
	for (j = 0; j < 50; j++) {
		for (i = 0; i < 20; i++) {
			p[i] = pagearena_alloc(a[i], PAGE, 0);
			good &= !!p[i];
		}
		for (i = 0; i < 20; i++)
			good &= !pagearena_free(a[i], p[i]);
	}
	for (i = 0; i < 20; i++) {
		good &= cached(a[i]).threads == 1 && cached(a[i]).spans >= 1;
		pagearena_close(a[i]);
	}
	ok(good, "twenty arenas");
}

/* Pages that are mapped. */
static unsigned long mapped(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (f) {
		if (fscanf(f, "%lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return pages;
}

/* Arenas come and go, and leave nothing with a thread that stays. */
static void test_reopen(void)
{
	struct pagearena *a;
	unsigned long pages = 0;
	size_t before = 0;
	unsigned int i;

	for (i = 0; i < 300; i++) {
		a = open_arena(16 * MIB, 0);
		pagearena_free(a, pagearena_alloc(a, PAGE, 0));
		pagearena_close(a);
		if (i == 20) {
			pages = mapped();
			before = mallinfo2().uordblks;
		}
	}
	ok(mallinfo2().uordblks <= before && mapped() < pages + 100,
	   "three hundred arenas, one after the other");
}

/* A destructor of the program's frees, before or after the library's. */
static void late_free(void *p)
{
	if (pagearena_free(shared, p))
		abort();
}

static pthread_key_t late[2];

static void *leave_late(void *arg)
{
	(void)arg;
	pthread_setspecific(late[0], pagearena_alloc(shared, PAGE, 0));
	pagearena_free(shared, pagearena_alloc(shared, 2 * PAGE, 0));
	pthread_setspecific(late[1], pagearena_alloc(shared, PAGE, 0));
	return NULL;
}

static void test_late(void)
{
	pthread_t thread;

	shared = open_arena(16 * MIB, 0);
	pthread_key_create(&late[0], late_free);
	pthread_key_create(&late[1], late_free);
	ok(!pthread_create(&thread, NULL, leave_late, NULL) && !pthread_join(thread, NULL) &&
		   !cached(shared).threads && !kernel_stats(shared).spans_inuse,
	   "a thread frees when it is over");
	pagearena_close(shared);
}

/* Children of a process whose threads go on. */
static void test_fork_threads(void)
{
	pthread_t threads[2];
	bool good = true;
	int status, i;
	void *ret;
	pid_t pid;

	shared = open_arena(256 * MIB, 256 << 10);
	memset(slot, 0, sizeof(slot));
	for (i = 0; i < 2; i++)
		good &= !pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)(i + 11));
	for (i = 0; i < 20 && good; i++) {
		pid = fork();
		if (!pid) {
			char *p, *q;

			if (pagearena_remap(shared) || cached(shared).threads)
				_exit(1);
			p = pagearena_alloc(shared, PAGE, 0);
			q = pagearena_alloc(shared, PAGE, 0);
			if (!p || !q || p == q)
				_exit(2);
			memset(p, 1, PAGE);
			memset(q, 2, PAGE);
			if (pagearena_free(shared, p) || p[0] != 1 || q[0] != 2 ||
			    pagearena_alloc(shared, PAGE, 0) != p || pagearena_free(shared, q))
				_exit(3);
			if (pagearena_free(shared, p))
				_exit(4);
			pagearena_close(shared);
			_exit(0);
		}
		good &= pid > 0 && waitpid(pid, &status, 0) == pid && !status;
	}
	ok(good, "children while threads run");
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], &ret);
		good &= !ret;
	}
	for (i = 0; i < SLOTS; i++)
		if (slot[i])
			good &= !pagearena_free(shared, slot[i]);
	pagearena_cache_flush(shared);
	ok(good && !kernel_stats(shared).spans_inuse, "nothing is lost");
	pagearena_close(shared);
}

/* As _Fork() does, without any handlers. */
static pid_t bare_fork(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* A child does not hand out what is in the parent's caches. */
static void test_fork(pid_t (*make)(void), const char *name)
{
	struct pagearena *a = open_arena(64 * MIB, 0);
	uint64_t before;
	int status;
	char *p, *q;
	pid_t pid;

	p = pagearena_alloc(a, PAGE, 0);
	q = pagearena_alloc(a, PAGE, 0);
	memset(q, 5, PAGE);
	pagearena_free(a, p);
	before = cached(a).spans;
	fflush(stdout);
	pid = make();
	if (!pid) {
		char *c;

		if (pagearena_remap(a) || cached(a).spans)
			_exit(1);
		c = pagearena_alloc(a, PAGE, 0);
		if (!c || c == p || c == q)
			_exit(2);
		/* It can free what the parent gave it. */
		if (q[0] != 5 || pagearena_free(a, q))
			_exit(3);
		if (pagearena_free(a, c))
			_exit(4);
		pagearena_close(a);
		_exit(0);
	}
	ok(waitpid(pid, &status, 0) == pid && !status, "%s has caches of its own", name);
	ok(cached(a).spans == before, "the parent's are as they were");
	q = pagearena_alloc(a, PAGE, 0);
	ok(q && !pagearena_free(a, q), "and go on");
	pagearena_cache_flush(a);
	ok(!kernel_stats(a).spans_inuse, "nothing is lost");
	pagearena_close(a);
}

int main(void)
{
	if (access(PAGEARENA_DEVICE, F_OK) && !getenv("PAGEARENA_TEST_ANYWAY"))
		return skip_all("no " PAGEARENA_DEVICE);
	printf("TAP version 13\n");
	test_basics();
	test_lengths();
	test_kinds();
	test_bound();
	test_calls();
	test_full();
	test_room();
	test_errno();
	test_threads();
	test_late();
	test_pressure();
	test_close();
	test_arenas();
	test_reopen();
	test_fork(fork, "a child");
	test_fork(bare_fork, "a child made without handlers");
	test_fork_threads();
	return tap_done();
}
