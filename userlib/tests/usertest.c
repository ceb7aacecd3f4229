// SPDX-License-Identifier: MIT
/* Arenas without the module: PAGEARENA_BACKEND.  Runs anywhere. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
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

static struct pagearena *open_granules(uint64_t limit)
{
	struct pagearena_options o = {
		.size = sizeof(o),
		.arena_bytes = 64 * MIB,
		.limit = limit,
		.granule = 2 * MIB,
		.cache_bytes = PAGEARENA_NO_CACHE,
	};

	return pagearena_open(&o);
}

/* Free memory that cannot go, as no granule is free as a whole, counts against a hard limit. */
static void test_limit(void)
{
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_LIMIT,
		.limit = 4 * MIB,
	};
	struct pagearena *a = open_granules(8 * MIB);
	char *p[1024], *base;
	unsigned int i;
	bool good = true;

	if (!ok(a, "granules of 2 MiB"))
		return;
	base = pagearena_base(a);
	for (i = 0; i < 1024; i++) {
		p[i] = pagearena_alloc(a, 8 * KIB, 0);
		good = good && p[i];
		if (p[i])
			memset(p[i], 1, 8 * KIB);
	}
	for (i = 0; i < 1024; i++)
		if (p[i] && (p[i] - base) % (long)(2 * MIB))
			good = good && !pagearena_free(a, p[i]);
	ok(good && stats_of(a).spans_inuse == 4, "a span in each of four granules");
	ok(!pagearena_alloc(a, 6 * MIB, 0) && errno == ENOMEM,
	   "the limit counts what is free and cannot go");
	ok(pagearena_policy(a, &policy) && errno == ENOMEM, "and cannot be set below it");
	policy.set = 0;
	policy.limit = 0;
	ok(!pagearena_policy(a, &policy) && policy.limit == 8 * MIB, "it is as it was");
	for (i = 0; i < 1024; i++)
		if (p[i] && !((p[i] - base) % (long)(2 * MIB)))
			pagearena_free(a, p[i]);
	ok(pagearena_alloc(a, 6 * MIB, 0), "there is room when they can go");
	pagearena_close(a);
}

/* Errors and figures are the module's. */
static void test_as_module(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE);
	char *base = pagearena_base(a), *p = pagearena_alloc(a, 4 * MIB, 0);
	struct pagearena_op ops[2] = {
		{ .op = PAGEARENA_OP_NOP, .length = 1 },
		{ .op = PAGEARENA_OP_SCAVENGE, .offset = MIB, .length = MIB },
	};
	uint64_t cursor = 64 * MIB + 1;
	struct pagearena_span span;
	uint32_t failed;

	ok(pagearena_alloc_at(a, base + 63 * MIB, 2 * MIB, 0) && errno == ENOMEM,
	   "past the end: ENOMEM");
	ok(pagearena_spans(a, &cursor, &span, 1) == -1 && errno == EINVAL,
	   "a cursor past the end: EINVAL");
	memset(p, 1, 4 * MIB);
	pagearena_free(a, p);
	ok(pagearena_batch(a, 0, ops, 2, &failed) == 2 && failed == 1 &&
		   ops[0].result == -EINVAL && !ops[1].result && ops[1].length == MIB,
	   "part of a span is scavenged");
	ok(!pagearena_query(a, base + MIB, &span) && span.offset == MIB && span.length == MIB &&
		   span.flags & PAGEARENA_SPAN_SCAVENGED,
	   "and is a span of its own");
	ok(stats_of(a).backed_free == 3 * MIB, "the rest is warm");
	pagearena_close(a);
}

/* What PROMOTE makes of a chunk; and with a deadline that never comes. */
static void promoted(uint32_t huge, uint64_t counts[PAGEARENA_PROMOTE_NR])
{
	struct pagearena_options o = {
		.size = sizeof(o),
		.arena_bytes = 8 * MIB,
		.huge = huge,
		.cache_bytes = PAGEARENA_NO_CACHE,
	};
	struct pagearena_promote req = { .size = sizeof(req), .deadline_ns = UINT64_MAX };
	struct pagearena *a = pagearena_open(&o);
	char *p = pagearena_alloc(a, 2 * MIB, 0);

	memset(p, 1, 2 * MIB);
	if (pagearena_promote_ex(a, pagearena_base(a), 2 * MIB, &req))
		memset(req.counts, 0, sizeof(req.counts));
	memcpy(counts, req.counts, PAGEARENA_PROMOTE_NR * sizeof(*counts));
	pagearena_close(a);
}

static void test_promote(void)
{
	uint64_t any[PAGEARENA_PROMOTE_NR], never[PAGEARENA_PROMOTE_NR];

	promoted(PAGEARENA_HUGE_AUTO, any);
	promoted(PAGEARENA_HUGE_NEVER, never);
	ok(any[PAGEARENA_PROMOTE_DONE] + any[PAGEARENA_PROMOTE_NOMEM] == 1, "PROMOTE");
	ok(any[PAGEARENA_PROMOTE_DONE] == never[PAGEARENA_PROMOTE_DONE],
	   "also where it is all that makes pages huge");
}

/* A child has the parent's memory, and arenas of its own. */
static void test_child(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE), *own;
	int status = -1, i;
	pid_t pid = fork();

	if (!pid) {
		pagearena_close(a);
		for (i = 0; i < 3; i++) {
			char *p;

			own = open_arena(64 * MIB, 0, 0);
			p = own ? pagearena_alloc(own, 64 * KIB, 0) : NULL;
			if (!p || !all(p, 64 * KIB, 0))
				_exit(1);
			*p = 1;
			if (pagearena_free(own, p))
				_exit(2);
			pagearena_close(own);
		}
		_exit(0);
	}
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "a child has arenas of its own");
	ok(pagearena_alloc(a, 8 * KIB, 0), "its parent goes on");
	pagearena_close(a);
}

/* The parent's arena, what it has allocated there, and what a handler of fork() is to do. */
static struct {
	struct pagearena *a;
	char *p;
	void (*child)(void);
	int bad;
} forking;

static void handler_in_child(void)
{
	/* It hangs, or not. */
	alarm(20);
	if (forking.child)
		forking.child();
}

static void child_closes(void)
{
	pagearena_close(forking.a);
}

static void child_opens(void)
{
	struct pagearena *own = open_arena(64 * MIB, 0, 0);

	forking.bad = !own || !pagearena_alloc(own, 8 * KIB, 0);
	pagearena_close(own);
}

static void child_frees(void)
{
	if (!pagearena_free(forking.a, forking.p) || errno != EOPNOTSUPP)
		forking.bad = 1;
	if (!pagearena_scavenge(forking.a, PAGEARENA_ALL, 0, NULL, NULL) || errno != EOPNOTSUPP)
		forking.bad = 2;
}

static bool good_child(void (*child)(void), uint64_t cache)
{
	int status = -1;
	bool good;
	pid_t pid;

	forking.a = open_arena(64 * MIB, 0, cache);
	forking.p = pagearena_alloc(forking.a, MIB, 0);
	memset(forking.p, 1, MIB);
	pagearena_free(forking.a, pagearena_alloc(forking.a, 8 * KIB, 0));
	forking.bad = 0;
	forking.child = child;
	fflush(stdout);
	pid = fork();
	forking.child = NULL;
	if (!pid)
		_exit(forking.bad);
	good = pid > 0 && waitpid(pid, &status, 0) == pid && !status && all(forking.p, MIB, 1);
	pagearena_close(forking.a);
	return good;
}

/* The program's own handler of fork() is older than the arena, and runs before the library's. */
static void test_fork_handlers(void)
{
	ok(good_child(child_closes, 0) && good_child(child_closes, PAGEARENA_NO_CACHE),
	   "a handler of fork() closes an arena");
	ok(good_child(child_opens, 0) && good_child(child_opens, PAGEARENA_NO_CACHE),
	   "or opens one");
	ok(good_child(child_frees, 0) && good_child(child_frees, PAGEARENA_NO_CACHE),
	   "but frees none of the parent's memory");
}

/* As _Fork() does, without any handlers. */
static pid_t bare_fork(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void test_bare_fork(uint64_t cache, const char *name)
{
	struct pagearena *a = open_arena(64 * MIB, 0, cache);
	int status = -1;
	pid_t pid;
	char *p;

	pagearena_free(a, pagearena_alloc(a, 8 * KIB, 0));
	fflush(stdout);
	pid = bare_fork();
	if (!pid) {
		if (pagearena_alloc(a, 8 * KIB, 0) || errno != EOPNOTSUPP)
			_exit(1);
		if (pagearena_remap(a))
			_exit(2);
		*(char *)pagearena_base(a) = 1;
		pagearena_close(a);
		_exit(0);
	}
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "%s", name);
	p = pagearena_alloc(a, 8 * KIB, 0);
	ok(p && !pagearena_free(a, p), "the parent goes on");
	pagearena_close(a);
}

/* What a child has mapped is no more inherited than what the parent has. */
static void test_grandchild(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE);
	char *p = pagearena_alloc(a, 8 * KIB, 0);
	int status = -1;
	pid_t pid;

	*p = 1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (pagearena_remap(a))
			_exit(1);
		pid = fork();
		if (!pid) {
			if (pagearena_remap(a) || *p != 1)
				_exit(1);
			pagearena_close(a);
			_exit(0);
		}
		_exit(pid < 0 || waitpid(pid, &status, 0) != pid || status ? 2 : 0);
	}
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "a grandchild maps it, too");
	pagearena_close(a);
}

/* A child that has closed all descriptors has other files there. */
static void test_other_file(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE);
	int status = -1, fd = pagearena_fd(a);
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct pagearena_info info = { .size = sizeof(info) };

		close(fd);
		if (dup2(STDOUT_FILENO, fd) != fd)
			_exit(1);
		_exit(!pagearena_info(a, &info) || errno != ENOTTY ? 2 : 0);
	}
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && !status,
	   "a child's other file is no arena");
	pagearena_close(a);
}

/* Is to be cancelled at the first point of cancellation. */
static void *cancelled(void *arg)
{
	struct pagearena *a = arg;
	char *p = pagearena_alloc(a, MIB, 0);

	memset(p, 1, MIB);
	pagearena_free(a, p);
	pthread_cancel(pthread_self());
	pagearena_scavenge(a, PAGEARENA_ALL, 0, NULL, NULL);
	p = pagearena_alloc(a, MIB, PAGEARENA_ALLOC_ZERO | PAGEARENA_ALLOC_POPULATE);
	pagearena_free(a, p);
	pthread_testcancel();
	return NULL;
}

static void test_cancel(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE);
	pthread_t t;
	void *ret = NULL;

	alarm(20);
	ok(!pthread_create(&t, NULL, cancelled, a) && !pthread_join(t, &ret) &&
		   ret == PTHREAD_CANCELED,
	   "a thread is cancelled");
	ok(pagearena_alloc(a, 8 * KIB, 0) && stats_of(a).spans_inuse == 1,
	   "it holds no lock, nor anything else");
	alarm(0);
	pagearena_close(a);
}

/* What PROMOTE backs is the heap's again, and counts against the limit. */
static void test_promote_limit(void)
{
	struct pagearena_policy policy = { .size = sizeof(policy), .set = PAGEARENA_POLICY_LIMIT };
	struct pagearena *a = open_arena(8 * MIB, MIB, PAGEARENA_NO_CACHE);
	uint64_t counts[PAGEARENA_PROMOTE_NR] = { 0 };
	struct pagearena_stats st;
	char *p = pagearena_alloc(a, MIB, 0);

	memset(p, 1, MIB);
	ok(!pagearena_promote(a, pagearena_base(a), 2 * MIB, NULL, 0, counts) &&
		   counts[PAGEARENA_PROMOTE_LIMIT] == 1 && stats_of(a).backed == MIB,
	   "PROMOTE keeps to a hard limit");
	policy.limit = 2 * MIB;
	ok(!pagearena_policy(a, &policy) &&
		   !pagearena_promote(a, pagearena_base(a), 2 * MIB, NULL, 0, counts) &&
		   counts[PAGEARENA_PROMOTE_DONE] + counts[PAGEARENA_PROMOTE_NOMEM] == 1,
	   "and goes as far");
	st = stats_of(a);
	ok(st.backed_free == (counts[PAGEARENA_PROMOTE_DONE] ? MIB : 0) &&
		   st.heap_idle - st.heap_released == st.backed_free,
	   "the free part is warm then");
	pagearena_free(a, p);
	ok(!pagearena_scavenge(a, PAGEARENA_ALL, 0, NULL, NULL) && !stats_of(a).backed,
	   "and can be given back");
	pagearena_close(a);
}

/* The order of the answers is the module's. */
static void test_promote_empty(void)
{
	struct pagearena_options o = {
		.size = sizeof(o),
		.arena_bytes = 7 * MIB,
		.growth = MIB,
		.cache_bytes = PAGEARENA_NO_CACHE,
	};
	struct pagearena *a = pagearena_open(&o);
	struct pagearena_promote req = { .size = sizeof(req), .deadline_ns = 1 };
	uint64_t counts[PAGEARENA_PROMOTE_NR] = { 0 };

	ok(!pagearena_promote(a, pagearena_base(a), 6 * MIB, NULL, 0, counts) &&
		   counts[PAGEARENA_PROMOTE_EMPTY] == 3,
	   "nothing is promoted of what the heap has not grown to");
	ok(!pagearena_promote_ex(a, pagearena_base(a), 6 * MIB, &req) &&
		   req.counts[PAGEARENA_PROMOTE_EMPTY] == 3,
	   "nor when there is no time");
	pagearena_close(a);
}

/* A structure as short as it can be is read no further. */
static void test_promote_short(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct pagearena *a = open_arena(8 * MIB, 0, PAGEARENA_NO_CACHE);
	struct pagearena_promote *req;
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(p + page, page, PROT_NONE);
	req = (struct pagearena_promote *)(p + page - 8);
	req->size = 8;
	ok(pagearena_promote_ex(a, pagearena_base(a), 2 * MIB, req) && errno == EINVAL,
	   "a short structure: EINVAL");
	munmap(p, 2 * page);
	pagearena_close(a);
}

static bool exits(int (*child)(void), int with)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(child());
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == with;
}

static int small_files(void)
{
	struct rlimit l = { .rlim_cur = MIB, .rlim_max = MIB };
	struct pagearena *a;

	if (setrlimit(RLIMIT_FSIZE, &l))
		return 1;
	if (pagearena_open(NULL) || errno != ENOMEM)
		return 2;
	a = open_arena(MIB, 0, 0);
	if (!a || !pagearena_alloc(a, MIB, 0))
		return 3;
	return pagearena_scavenge(a, PAGEARENA_ALL, 0, NULL, NULL) ? 4 : 0;
}

/* A sanitizer takes address space as it likes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* Leaves nothing for malloc(). */
static void no_memory(void)
{
	struct rlimit l = { .rlim_cur = 0, .rlim_max = RLIM_INFINITY };
	size_t len;
	void *p;

	setrlimit(RLIMIT_AS, &l);
	for (len = 65536; len >= 16; len /= 2)
		while ((p = calloc(1, len)))
			__asm__ volatile("" : : "r"(p));
}

#define NR_SPANS 256

static int frees_without_memory(uint64_t cache)
{
	struct pagearena *a = open_arena(64 * MIB, 0, cache);
	struct pagearena_stats st;
	char *p[NR_SPANS];
	int i, bad = 0;

	for (i = 0; i < NR_SPANS; i++)
		p[i] = pagearena_alloc(a, 8 * KIB, 0);
	no_memory();
	for (i = 0; i < NR_SPANS; i += 2)
		bad += !p[i] || pagearena_free(a, p[i]);
	pagearena_cache_flush(a);
	st = stats_of(a);
	return bad || st.spans_inuse != NR_SPANS / 2;
}

static int frees_uncached(void)
{
	return frees_without_memory(PAGEARENA_NO_CACHE);
}

static int frees_cached(void)
{
	return frees_without_memory(0);
}

/* What cannot be given back for want of memory is not told to have been. */
static int scavenges_without_memory(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE);
	struct pagearena_op op = { .op = PAGEARENA_OP_SCAVENGE, .length = 2 * MIB };
	char *p[NR_SPANS];
	int i;

	for (i = 0; i < NR_SPANS; i++) {
		p[i] = pagearena_alloc(a, 8 * KIB, 0);
		if (!p[i])
			return 1;
		*p[i] = 1;
	}
	for (i = 0; i < NR_SPANS; i += 2)
		pagearena_free(a, p[i]);
	no_memory();
	/* Takes some of what has been put by, until it is too little. */
	for (i = 0; pagearena_alloc(a, 8 * KIB, 0); i++)
		if (i == NR_SPANS / 4)
			return 4;
	if (pagearena_batch(a, 0, &op, 1, NULL) != 1 || op.result != -ENOMEM)
		return 2;
	return op.length == 2 * MIB ? 0 : 3;
}

static void test_no_memory(void)
{
	ok(SANITIZED || exits(frees_uncached, 0), "FREE needs no memory");
	ok(SANITIZED || exits(frees_cached, 0), "nor do caches lose any for want of it");
	ok(SANITIZED || exits(scavenges_without_memory, 0),
	   "a SCAVENGE that fails leaves the length alone");
	ok(exits(small_files, 0), "a limit on the size of files: ENOMEM, and no signal");
}

/* Sizes and offsets that are beyond all. */
static void test_overflow(void)
{
	struct pagearena *a = open_arena(8 * MIB, 0, PAGEARENA_NO_CACHE);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = pagearena_alloc(a, 16 * KIB, 0);
	struct pagearena_info *info = calloc(1, 2 * page);

	p += 8 * KIB;
	ok(pagearena_free_sized(a, p, (size_t)0 - 8 * KIB) && errno == EOVERFLOW,
	   "FREE beyond 2^64: EOVERFLOW");
	ok(pagearena_resize(a, p, (size_t)0 - 8 * KIB, 0) && errno == EOVERFLOW,
	   "RESIZE beyond 2^64: EOVERFLOW");
	ok(pagearena_resize(a, p - 8 * KIB, 1UL << 50, 0) && errno == ENOMEM,
	   "RESIZE past the end: ENOMEM");
	info->size = (uint32_t)page;
	ok(!pagearena_info(a, info), "a structure of a page");
	info->size = (uint32_t)page + 8;
	ok(pagearena_info(a, info) && errno == E2BIG, "but no larger");
	free(info);
	pagearena_close(a);
}

/* Free memory is within reach here. */
static void test_stray(void)
{
	struct pagearena *a = open_arena(64 * MIB, 0, PAGEARENA_NO_CACHE);
	char *p = pagearena_alloc(a, 8 * KIB, 0);
	struct pagearena_block b;
	uint64_t backed;

	p[8 * KIB] = 7;
	p[MIB + 10] = 7;
	ok(!pagearena_alloc_ex(a, 0, 8 * KIB, PAGEARENA_ALLOC_ZERO, &b) &&
		   all(b.ptr, 8 * KIB, 0),
	   "zero means zero, whoever wrote to free memory");
	pagearena_free(a, b.ptr);
	pagearena_free(a, p);
	ok(!pagearena_scavenge(a, PAGEARENA_ALL, 0, NULL, &backed) && backed &&
		   !stats_of(a).backed,
	   "what was touched while it was free goes, too");
	pagearena_close(a);
}

/* Calls of a span for each that is allocated would show. */
static void test_soft_limit(void)
{
	struct pagearena_options o = {
		.size = sizeof(o),
		.flags = PAGEARENA_SETUP_SOFT_LIMIT,
		.arena_bytes = 256 * MIB,
		.limit = MIB,
		.cache_bytes = PAGEARENA_NO_CACHE,
	};
	struct pagearena *a = pagearena_open(&o);
	struct timespec t[3];
	uint64_t first, last;
	char *p = NULL;
	bool good = true;
	int i;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[0]);
	for (i = 0; i < 8000; i++) {
		p = pagearena_alloc(a, 8 * KIB, 0);
		good = good && p;
		if (i == 999)
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[1]);
		if (i == 6999)
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[2]);
	}
	first = (uint64_t)(t[1].tv_sec - t[0].tv_sec) * 1000000000 +
		(uint64_t)(t[1].tv_nsec - t[0].tv_nsec);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[1]);
	last = (uint64_t)(t[1].tv_sec - t[2].tv_sec) * 1000000000 +
	       (uint64_t)(t[1].tv_nsec - t[2].tv_nsec);
	ok(good && last < 4 * first + 2000000,
	   "past a soft limit, an allocation costs the same however many there were");
	memset(p, 1, 8 * KIB);
	pagearena_free(a, p);
	pagearena_alloc(a, 16 * KIB, 0);
	ok(!stats_of(a).backed, "free memory goes for it");
	pagearena_close(a);
}

int main(void)
{
	/* The first of all handlers. */
	pthread_atfork(NULL, NULL, handler_in_child);
	printf("TAP version 13\n");
	test_backend();
	test_memory();
	test_policy();
	test_spans();
	test_threads(PAGEARENA_NO_CACHE, "four threads");
	test_threads(0, "four threads, with caches");
	test_fork();
	test_child();
	test_limit();
	test_as_module();
	test_promote();
	test_fork_handlers();
	test_bare_fork(PAGEARENA_NO_CACHE, "a child made without handlers is another process");
	test_bare_fork(0, "also with caches");
	test_grandchild();
	test_other_file();
	test_cancel();
	test_promote_limit();
	test_promote_empty();
	test_promote_short();
	test_no_memory();
	test_overflow();
	test_stray();
	test_soft_limit();
	return tap_done();
}
