// SPDX-License-Identifier: MIT
/*
 * The caches of threads: what goes through them, what empties them, and that nothing is lost or
 * handed out twice.
 */
#define _GNU_SOURCE
#include <pagearena.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define MIB (1ULL << 20)
#define PAGE 8192

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
	uint64_t allocs, i;
	char *p, *q;

	p = pagearena_alloc(a, 20000, 0);
	ok(p && !((uintptr_t)p & (PAGE - 1)), "a span");
	memset(p, 1, 3 * PAGE);
	allocs = kernel_stats(a).nr_alloc;
	ok(!pagearena_free(a, p) && cached(a).spans >= 1, "is kept when it is freed");
	st = stats_of(a);
	ok(!st.heap_inuse && !st.spans_inuse && st.heap_idle == st.heap_sys,
	   "and counts as free");
	q = pagearena_alloc(a, 3 * PAGE, 0);
	ok(q == p && kernel_stats(a).nr_alloc == allocs, "comes back without the kernel");
	ok(is_errno(pagearena_free_sized(a, q, PAGE), EINVAL), "a wrong length is found");
	ok(!pagearena_free_sized(a, q, 20000), "the right one is not");
	ok(is_errno(pagearena_free(a, q), ENOENT), "so is a second free");
	ok(is_errno(pagearena_resize(a, q, PAGE, 0), ENOENT), "and a RESIZE of what is free");
	ok(is_errno(pagearena_free(a, q + PAGE), ENOENT), "or of a part of a span");

	allocs = kernel_stats(a).nr_alloc + kernel_stats(a).nr_free;
	for (i = 0; i < 1000; i++) {
		p = pagearena_alloc(a, 3 * PAGE, 0);
		pagearena_free(a, p);
	}
	ok(kernel_stats(a).nr_alloc + kernel_stats(a).nr_free == allocs,
	   "a thousand times without the kernel");

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
	bool good = true;
	uintptr_t i;
	void *ret;

	shared = open_arena(256 * MIB, 256 << 10);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, churn, (void *)(i + 1)))
			break;
	good = i == THREADS;
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
static pthread_barrier_t barrier;

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

/* A child does not hand out what is in the parent's caches. */
static void test_fork(void)
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
	pid = fork();
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
	ok(waitpid(pid, &status, 0) == pid && !status, "a child has caches of its own");
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
	test_bound();
	test_calls();
	test_full();
	test_threads();
	test_close();
	test_arenas();
	test_fork();
	return tap_done();
}
