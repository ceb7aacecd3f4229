// SPDX-License-Identifier: MIT
/* Arenas without the module: PAGEARENA_BACKEND.  Runs anywhere. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagearena.h>

#include "tap.h"

#define KIB 1024UL
#define MIB (1024 * KIB)

static struct pagearena *open_arena(uint64_t bytes, uint64_t limit, uint64_t cache)
{
	struct pagearena_options o = {
		.size = sizeof(o),
		.arena_bytes = bytes,
		.limit = limit,
		.cache_bytes = cache,
	};

	return pagearena_open(&o);
}

static struct pagearena_stats stats_of(struct pagearena *a)
{
	struct pagearena_stats st = { .size = sizeof(st) };

	if (pagearena_stats(a, &st))
		memset(&st, 0xff, sizeof(st));
	return st;
}

static bool all(const char *p, size_t len, char c)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != c)
			return false;
	return true;
}

static void test_backend(void)
{
	struct pagearena_options o = { .size = sizeof(o), .device = "/nowhere" };
	struct pagearena *a;

	setenv("PAGEARENA_BACKEND", "nonsense", 1);
	ok(!pagearena_open(NULL) && errno == EINVAL, "an unknown backend: EINVAL");
	setenv("PAGEARENA_BACKEND", "kernel", 1);
	ok(!pagearena_open(&o) && errno == ENOENT, "kernel, without a module: ENOENT");
	unsetenv("PAGEARENA_BACKEND");
	ok(!pagearena_open(&o) && errno == ENOENT, "and so by default");
	setenv("PAGEARENA_BACKEND", "auto", 1);
	a = pagearena_open(&o);
	ok(a, "auto, without a module: an arena");
	pagearena_close(a);
	setenv("PAGEARENA_BACKEND", "user", 1);
}

static void test_memory(void)
{
	struct pagearena *a = open_arena(256 * MIB, 0, PAGEARENA_NO_CACHE);
	uint64_t released = 0, backed = 0;
	struct pagearena_stats st;
	struct pagearena_block b;
	char *p, *q;

	if (!ok(a, "an arena"))
		return;
	ok(!((uintptr_t)pagearena_base(a) & (2 * MIB - 1)), "is aligned to a huge page");
	p = pagearena_alloc(a, 4 * MIB, 0);
	st = stats_of(a);
	ok(p && st.heap_inuse == 4 * MIB && !st.backed, "allocated, nothing is backed");
	ok(all(p, MIB, 0), "fresh memory is zero");
	memset(p, 1, 4 * MIB);
	st = stats_of(a);
	ok(st.backed_inuse >= 4 * MIB && st.backed == st.backed_inuse + st.backed_free,
	   "touched, it is backed");
	ok(!pagearena_free(a, p), "freed");
	st = stats_of(a);
	ok(!st.heap_inuse && st.backed_free >= 4 * MIB, "it is warm");
	ok(pagearena_free(a, p) && errno == ENOENT, "freed twice: ENOENT");
	q = pagearena_alloc(a, 4 * MIB, 0);
	ok(q == p && all(q, 4 * MIB, 1), "it comes back as it was");
	pagearena_free(a, q);
	ok(!pagearena_alloc_ex(a, 0, 4 * MIB, PAGEARENA_ALLOC_ZERO, &b) &&
		   b.flags & PAGEARENA_ALLOCED_ZERO && all(b.ptr, 4 * MIB, 0),
	   "or zero, if that is asked for");
	memset(b.ptr, 2, 4 * MIB);
	pagearena_free(a, b.ptr);
	ok(!pagearena_scavenge(a, PAGEARENA_ALL, 0, &released, &backed) && released >= 4 * MIB &&
		   backed >= 4 * MIB,
	   "scavenged");
	st = stats_of(a);
	ok(!st.backed && st.heap_released == st.heap_idle, "nothing is backed any more");
	p = pagearena_alloc(a, MIB, PAGEARENA_ALLOC_POPULATE);
	ok(p && stats_of(a).backed >= MIB && all(p, MIB, 0), "populated, and zero");
	ok(!pagearena_resize(a, p, 2 * MIB, 0) && stats_of(a).heap_inuse == 2 * MIB,
	   "longer in place");
	ok(!pagearena_resize(a, p, 8 * KIB, 0) && stats_of(a).heap_inuse == 8 * KIB,
	   "and shorter");
	pagearena_close(a);
}

static void test_policy(void)
{
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_SCAVENGE_AGE | PAGEARENA_POLICY_RETAIN_PERCENT,
		.scavenge_age_ns = 100000000,
	};
	struct pagearena *a = open_arena(256 * MIB, 32 * MIB, PAGEARENA_NO_CACHE);
	char *p, *q;

	p = pagearena_alloc(a, 24 * MIB, 0);
	memset(p, 1, 24 * MIB);
	ok(!pagearena_alloc(a, 16 * MIB, 0) && errno == ENOMEM, "past the limit: ENOMEM");
	pagearena_free(a, p);
	q = pagearena_alloc(a, 32 * MIB, 0);
	ok(q, "what is free makes room");
	memset(q, 1, 32 * MIB);
	ok(stats_of(a).backed <= 32 * MIB, "the limit holds");
	pagearena_free(a, q);
	ok(!pagearena_policy(a, &policy) && policy.limit == 32 * MIB, "a policy");
	usleep(200000);
	pagearena_free(a, pagearena_alloc(a, 8 * KIB, 0));
	ok(stats_of(a).backed < MIB, "what is old goes back beside other calls");
	pagearena_close(a);
}

static atomic_uint workers;

static void *work(void *arg)
{
	struct pagearena *a = arg;
	unsigned int me = atomic_fetch_add(&workers, 1) + 1, i;
	char *p[32] = { NULL };
	long bad = 0;

	for (i = 0; i < 4000; i++) {
		unsigned int j = (i * 7 + me) % 32;
		size_t len = 8 * KIB * (1 + (i + me) % 9);

		if (p[j] && (*p[j] != (char)me || pagearena_free(a, p[j])))
			bad++;
		p[j] = pagearena_alloc(a, len, 0);
		if (p[j])
			memset(p[j], (int)me, len);
		else
			bad++;
	}
	for (i = 0; i < 32; i++)
		bad += p[i] && pagearena_free(a, p[i]);
	return (void *)bad;
}

static void test_threads(uint64_t cache, const char *name)
{
	struct pagearena *a = open_arena(256 * MIB, 0, cache);
	pthread_t t[4];
	void *bad;
	long sum = 0;
	int i;

	for (i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, work, a))
			t[i] = 0;
	for (i = 0; i < 4; i++)
		if (!t[i] || pthread_join(t[i], &bad) || bad)
			sum++;
	ok(!sum, "%s", name);
	pagearena_cache_flush(a);
	ok(!stats_of(a).heap_inuse && !stats_of(a).spans_inuse, "nothing is left");
	pagearena_close(a);
}

static void test_spans(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE);
	struct pagearena_span spans[16], one;
	uint64_t cursor = 0, sum = 0, inuse = 0;
	struct pagearena_op ops[3] = {
		{ .op = PAGEARENA_OP_ALLOC, .length = 64 * KIB },
		{ .op = PAGEARENA_OP_FREE, .offset = 8 * KIB },
		{ .op = PAGEARENA_OP_ALLOC, .length = 8 * KIB, .align = 2 * MIB },
	};
	uint32_t failed;
	int n, i;

	ok(pagearena_batch(a, 0, ops, 3, &failed) == 3 && failed == 1 && !ops[0].result &&
		   ops[1].result == -ENOENT && !(ops[2].offset & (2 * MIB - 1)),
	   "a batch");
	while ((n = pagearena_spans(a, &cursor, spans, 16)) > 0)
		for (i = 0; i < n; i++) {
			sum += spans[i].length;
			if (spans[i].state == PAGEARENA_SPAN_INUSE)
				inuse += spans[i].length;
		}
	ok(!n && sum == stats_of(a).heap_sys && inuse == 72 * KIB, "spans add up");
	ok(!pagearena_query(a, pagearena_ptr(a, ops[0].offset + 5), &one) &&
		   one.offset == ops[0].offset && one.length == 64 * KIB,
	   "the span of a pointer");
	pagearena_close(a);
}

static void test_fork(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE);
	char *p = pagearena_alloc(a, 8 * KIB, 0);
	int status;
	pid_t pid;

	*p = 5;
	pid = fork();
	if (!pid) {
		/* The memory is shared, the heap is the parent's. */
		if (pagearena_remap(a) || *p != 5)
			_exit(1);
		*p = 6;
		_exit(pagearena_alloc(a, 8 * KIB, 0) || errno != EOPNOTSUPP ? 2 : 0);
	}
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && !status && *p == 6,
	   "a child shares memory, but not the heap");
	ok(!pagearena_free(a, p), "which goes on");
	pagearena_close(a);
}

int main(void)
{
	printf("TAP version 13\n");
	test_backend();
	test_memory();
	test_policy();
	test_spans();
	test_threads(PAGEARENA_NO_CACHE, "four threads");
	test_threads(0, "four threads, with caches");
	test_fork();
	return tap_done();
}
