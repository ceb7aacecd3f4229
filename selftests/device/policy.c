// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What an arena does by itself: background scavenging by age and down to a goal, its pace,
 * limits hard and soft, the bounds on what a user holds, and how pressure is told.
 *
 * PA_POLICY_SECONDS is how long the CPU budget is watched (default 15), PA_POLICY_PERCENT
 * the budget (default 1).
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "pa_test.h"

#define MS		((__u64)1000000)
#define SECOND		(1000 * MS)
#define CHUNK		(2 * MiB)
/* Most spans that may be passed under one hold of the heap lock. */
#define BATCH_SPANS	64
/* Whom a test becomes that must not be root. */
#define NOBODY		65534

static void open_small(struct arena *a, __u64 bytes)
{
	struct pagearena_setup setup = {
		.arena_bytes = bytes,
		.fit = PAGEARENA_FIT_BEST,
		.huge = PAGEARENA_HUGE_NEVER,
	};

	pa_open(a, setup);
}

static bool all_released(void *arg)
{
	return !pa_stats(((struct arena *)arg)->fd).backed_free;
}

/* A live span with a pattern, and how to see that it is intact. */
static __u64 live_span(struct arena *a, __u64 len, __u64 seed)
{
	__u64 at = pa_alloc(a, len, 0, 0);

	pa_fill(a->base + at, len, seed);
	return at;
}

/*
 * Spans of @len, each followed by a live one of one span page that keeps it from growing
 * together with the next.  Span i and its neighbour hold pattern i.
 */
static void row_make(struct arena *a, __u64 *at, unsigned int nr, __u64 len)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		at[i] = live_span(a, len, i);
		CHECK_EQ(live_span(a, a->page, i), at[i] + len);
	}
}

static void row_check(struct arena *a, const __u64 *at, unsigned int nr, __u64 len)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!pa_filled(a->base + at[i] + len, a->page, i))
			pa_fail("the live span behind span %u lost its contents", i);
}

/* POLICY */

static bool same_policy(const struct pagearena_policy *a, const struct pagearena_policy *b)
{
	return a->promote_percent == b->promote_percent &&
	       a->promote_density == b->promote_density &&
	       a->scavenge_percent == b->scavenge_percent &&
	       a->retain_percent == b->retain_percent &&
	       a->scavenge_age_ns == b->scavenge_age_ns && a->limit == b->limit &&
	       a->limit_soft == b->limit_soft && a->__pad == b->__pad &&
	       a->pool_bytes == b->pool_bytes;
}

static int open_raw(struct pagearena_setup setup)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(!pa_setup_fd(fd, setup));
	return fd;
}

static void test_defaults(void)
{
	struct pagearena_setup setup = { .arena_bytes = 64 * MiB };
	struct pagearena_policy p, q;
	int fd, other;

	fd = open_raw(setup);
	p = pa_policy(fd);
	CHECK_EQ(p.promote_percent, pa_read_u64(PARAMETERS "promote_percent"));
	CHECK_EQ(p.promote_density, pa_read_u64(PARAMETERS "promote_density"));
	CHECK_EQ(p.scavenge_percent, pa_read_u64(PARAMETERS "scavenge_percent"));
	CHECK_EQ(p.retain_percent, pa_read_u64(PARAMETERS "retain_percent"));
	CHECK_EQ(p.scavenge_age_ns, pa_read_u64(PARAMETERS "scavenge_age_ms") * MS);
	CHECK_EQ(p.limit, 0);
	CHECK_EQ(p.limit_soft, 0);
	CHECK_EQ(p.pool_bytes, pa_read_u64(PARAMETERS "pool_kib") * KiB);

	/* Parameters are for arenas to come. */
	pa_set(PARAMETERS "scavenge_percent", "7");
	pa_set(PARAMETERS "retain_percent", "33");
	pa_set(PARAMETERS "scavenge_age_ms", "4321");
	pa_set(PARAMETERS "pool_kib", "8192");
	setup.limit = 12345678;
	setup.flags = PAGEARENA_SETUP_SOFT_LIMIT;
	other = open_raw(setup);
	q = pa_policy(other);
	CHECK_EQ(q.scavenge_percent, 7);
	CHECK_EQ(q.retain_percent, 33);
	CHECK_EQ(q.scavenge_age_ns, 4321 * MS);
	CHECK_EQ(q.limit, pa_info(other).limit);
	CHECK_EQ(q.limit_soft, 1);
	CHECK_EQ(q.pool_bytes, 8 * MiB);
	q = pa_policy(fd);
	CHECK(same_policy(&p, &q));
	close(fd);
	close(other);
}

/* The module as it is built; it may have been loaded with other values on purpose. */
static void test_built_in(void)
{
	if (pa_read_u64(PARAMETERS "scavenge_percent") != 1 ||
	    pa_read_u64(PARAMETERS "retain_percent") != 10 ||
	    pa_read_u64(PARAMETERS "scavenge_age_ms") != 1000 ||
	    pa_read_u64(PARAMETERS "user_bytes_max") || pa_read_u64(PARAMETERS "pool_kib") ||
	    pa_read_u64(PARAMETERS "pool_percent") != 10)
		pa_fail("the module was loaded with other parameters than its defaults");
}

static void test_bad(void)
{
	/* clang-format off */
	static const struct pagearena_policy bad[] = {
		{ .set = 1U << 7 },
		{ .set = 1U << 31 },
		{ .set = ~0U },
		{ .set = PAGEARENA_POLICY_SCAVENGE_PERCENT, .scavenge_percent = 101 },
		{ .set = PAGEARENA_POLICY_SCAVENGE_PERCENT, .scavenge_percent = ~0U },
		{ .set = PAGEARENA_POLICY_RETAIN_PERCENT, .retain_percent = 1001 },
		{ .set = PAGEARENA_POLICY_LIMIT, .limit = 32 << 20, .limit_soft = 2 },
		{ .set = PAGEARENA_POLICY_PROMOTE_PERCENT, .promote_percent = 101 },
		{ .set = PAGEARENA_POLICY_PROMOTE_DENSITY },
		{ .scavenge_percent = 1 },
		{ .retain_percent = 1 },
		{ .scavenge_age_ns = 1 },
		{ .limit = 32 << 20 },
		{ .limit_soft = 1 },
		{ .__pad = 1 },
		{ .pool_bytes = 1 },
		/* One good and one bad. */
		{ .set = PAGEARENA_POLICY_SCAVENGE_PERCENT, .scavenge_percent = 9,
		  .retain_percent = 1 },
		{ .set = PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_RETAIN_PERCENT,
		  .scavenge_percent = 9, .retain_percent = 1001 },
		{ .set = PAGEARENA_POLICY_LIMIT | PAGEARENA_POLICY_RETAIN_PERCENT,
		  .limit = 32 << 20, .retain_percent = 1001 },
		{ .set = PAGEARENA_POLICY_LIMIT, .limit = 32 << 20, .__pad = 1 },
	};
	/* clang-format on */
	struct pagearena_policy was = {
		.set = PAGEARENA_POLICY_PROMOTE_PERCENT | PAGEARENA_POLICY_PROMOTE_DENSITY |
		       PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_RETAIN_PERCENT |
		       PAGEARENA_POLICY_SCAVENGE_AGE | PAGEARENA_POLICY_LIMIT,
		.promote_percent = 3,
		.promote_density = 60,
		.scavenge_percent = 5,
		.retain_percent = 1000,
		.scavenge_age_ns = ALL >> 1,
		.limit = 48 * MiB,
		.limit_soft = 1,
	};
	struct pagearena_policy req, now;
	struct arena a;
	unsigned int i;
	__u64 at;

	open_small(&a, 64 * MiB);
	at = live_span(&a, MiB, 1);
	req = was;
	CHECK(!pa_policy_fd(a.fd, &req));
	CHECK(same_policy(&req, &was));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		req = bad[i];
		errno = 0;
		if (pa_policy_fd(a.fd, &req) != -1 || errno != EINVAL)
			pa_fail("bad policy %u: %s", i, strerror(errno));
		now = pa_policy(a.fd);
		if (!same_policy(&now, &was))
			pa_fail("bad policy %u has changed something", i);
	}
	/* One at a time leaves the others. */
	req = (struct pagearena_policy){ .set = PAGEARENA_POLICY_RETAIN_PERCENT };
	CHECK(!pa_policy_fd(a.fd, &req));
	was.retain_percent = 0;
	CHECK(same_policy(&req, &was));
	req = (struct pagearena_policy){ .set = PAGEARENA_POLICY_SCAVENGE_AGE };
	CHECK(!pa_policy_fd(a.fd, &req));
	was.scavenge_age_ns = 0;
	CHECK(same_policy(&req, &was));
	req = (struct pagearena_policy){ .set = PAGEARENA_POLICY_LIMIT };
	CHECK(!pa_policy_fd(a.fd, &req));
	was.limit = 0;
	was.limit_soft = 0;
	CHECK(same_policy(&req, &was));
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_POLICY, NULL), EFAULT);
	CHECK(pa_filled(a.base + at, MiB, 1));
	pa_check(&a);
	pa_close(&a);

	a.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(a.fd >= 0);
	req = (struct pagearena_policy){};
	CHECK_ERR(pa_policy_fd(a.fd, &req), EBADFD);
	close(a.fd);
}

/* Structures as long as they were, too short, and longer than this kernel knows. */
static void test_sizes(void)
{
	struct {
		struct pagearena_policy req;
		__u64 more;
	} big = {};
	struct pagearena_policy *req = &big.req, was;
	struct arena a;

	open_small(&a, 64 * MiB);
	pa_scavenging(&a, 44, 55, 66);
	was = pa_policy(a.fd);

	memset(&big, 0xa5, sizeof(big));
	req->size = 16;
	req->set = PAGEARENA_POLICY_PROMOTE_PERCENT | PAGEARENA_POLICY_PROMOTE_DENSITY;
	req->promote_percent = 2;
	req->promote_density = 61;
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_POLICY, req));
	CHECK_EQ(req->promote_percent, 2);
	CHECK_EQ(req->promote_density, 61);
	/* Nothing behind its end was read or written. */
	CHECK_EQ(req->scavenge_percent, 0xa5a5a5a5);
	CHECK_EQ(req->scavenge_age_ns, 0xa5a5a5a5a5a5a5a5);
	CHECK_EQ(req->limit, 0xa5a5a5a5a5a5a5a5);
	was.promote_percent = 2;
	was.promote_density = 61;
	big.req = pa_policy(a.fd);
	CHECK(same_policy(req, &was));

	/* What a short structure does not have is 0. */
	memset(&big, 0xa5, sizeof(big));
	req->size = 16;
	req->set = PAGEARENA_POLICY_SCAVENGE_AGE;
	req->promote_percent = 0;
	req->promote_density = 0;
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_POLICY, req));
	was.scavenge_age_ns = 0;
	big.req = pa_policy(a.fd);
	CHECK(same_policy(req, &was));

	memset(&big, 0, sizeof(big));
	req->size = 12;
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_POLICY, req), EINVAL);
	req->size = sizeof(big);
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_POLICY, &big));
	CHECK(same_policy(req, &was));
	memset(&big, 0, sizeof(big));
	req->size = sizeof(big);
	big.more = 1;
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_POLICY, &big), E2BIG);
	big.req = pa_policy(a.fd);
	CHECK(same_policy(req, &was));
	pa_close(&a);
}

/* Background scavenging */

/* pa_check() wants a picture that does not change meanwhile. */
static void check_quiet(struct arena *a)
{
	pa_scavenging(a, 0, 0, 0);
	pa_settled(a);
	pa_check(a);
}

/* Free memory stays for as long as it was told, and goes without any call. */
static void age_run(__u32 huge, __u64 age)
{
	struct pagearena_stats st;
	__u64 at, keep, start, spent;
	struct arena a;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .huge = huge });
	keep = live_span(&a, CHUNK, 1);
	at = pa_alloc(&a, 2 * CHUNK, CHUNK, 0);
	pa_fill(a.base + at, 2 * CHUNK, 2);
	pa_scavenging(&a, 100, 0, age);
	start = pa_now();
	pa_free(&a, at);
	for (;;) {
		st = pa_stats(a.fd);
		spent = pa_now() - start;
		if (spent >= age)
			break;
		CHECK_EQ(st.backed_free, 2 * CHUNK);
		CHECK_EQ(st.bytes_background, 0);
		usleep(20000);
	}
	CHECK(pa_wait_until(all_released, &a, 10000));
	/* What was released is counted a moment later. */
	st = pa_settled(&a);
	CHECK_EQ(st.bytes_background, 2 * CHUNK);
	CHECK_EQ(st.backed, CHUNK);
	CHECK_EQ(st.heap_released, st.heap_idle);
	CHECK_OP(st.nr_background, >, 0);
	CHECK_OP(st.background_ns, >, 0);
	CHECK_EQ(st.bytes_reclaimed + st.bytes_limited, 0);
	CHECK(pa_query(&a, at).flags & PAGEARENA_SPAN_SCAVENGED);
	CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
	CHECK(pa_filled(a.base + keep, CHUNK, 1));
	/* It comes back as zero. */
	CHECK_EQ(pa_alloc(&a, 2 * CHUNK, CHUNK, 0), at);
	CHECK(pa_zero(a.base + at, 2 * CHUNK));
	pa_check(&a);
	pa_close(&a);
}

static void test_age(void)
{
	age_run(PAGEARENA_HUGE_NEVER, 600 * MS);
	age_run(PAGEARENA_HUGE_AUTO, 600 * MS);
}

/* As an arena is set up, without any call of POLICY. */
static void test_by_default(void)
{
	struct pagearena_policy p;
	struct arena a = {};
	__u64 at, keep;

	pa_want_thp();
	a.fd = open_raw((struct pagearena_setup){ .arena_bytes = 64 * MiB });
	a.bytes = pa_info(a.fd).arena_bytes;
	a.page = pa_info(a.fd).span_page;
	a.granule = pa_info(a.fd).granule;
	a.id = pa_info(a.fd).arena_id;
	pa_map(&a);
	p = pa_policy(a.fd);
	if (!p.scavenge_percent)
		SKIP("the module was loaded with scavenge_percent=0");
	keep = live_span(&a, CHUNK, 1);
	at = pa_alloc(&a, 6 * CHUNK, CHUNK, 0);
	pa_fill(a.base + at, 6 * CHUNK, 2);
	pa_free(&a, at);
	usleep((useconds_t)(p.scavenge_age_ns / 1000));
	for (at = 0; at < 200; at++) {
		struct pagearena_stats st = pa_stats(a.fd);

		/* What is retained may be less than a chunk, which goes whole or not at all. */
		if (st.backed_free <= MAX(st.backed_inuse * p.retain_percent / 100, 0ULL))
			break;
		usleep(50000);
	}
	CHECK_OP(at, <, 200);
	CHECK(pa_filled(a.base + keep, CHUNK, 1));
	check_quiet(&a);
	pa_close(&a);
}

static void test_off(void)
{
	struct pagearena_stats st;
	struct arena a;
	__u64 at;

	open_small(&a, 64 * MiB);
	at = live_span(&a, 4 * MiB, 1);
	live_span(&a, a.page, 2);
	pa_scavenging(&a, 0, 0, 0);
	pa_free(&a, at);
	usleep(1500000);
	st = pa_stats(a.fd);
	CHECK_EQ(st.backed_free, 4 * MiB);
	CHECK_EQ(st.bytes_background, 0);
	CHECK_EQ(st.nr_background, 0);
	CHECK_EQ(st.background_ns, 0);
	/* Switched on, it finds what was freed before. */
	pa_scavenging(&a, 100, 0, 0);
	CHECK(pa_wait_until(all_released, &a, 10000));
	/* And off again, even if it waits for something to come of age. */
	at = live_span(&a, 4 * MiB, 3);
	pa_scavenging(&a, 100, 0, SECOND);
	pa_free(&a, at);
	usleep(100000);
	pa_scavenging(&a, 0, 0, SECOND);
	usleep(1500000);
	CHECK_EQ(pa_stats(a.fd).backed_free, 4 * MiB);
	pa_check(&a);
	pa_close(&a);
}

/* The worker may be late on a machine that has other work. */
static bool half_retained(void *arg)
{
	struct pagearena_stats st = pa_stats(((struct arena *)arg)->fd);

	return st.backed_free <= st.backed_inuse / 2;
}

/* Down to the goal and no further; in pieces, and out of one large span. */
static void test_retain(void)
{
	enum { NR = 160 };
	const __u64 len = 128 * KiB;
	struct pagearena_stats st;
	__u64 at[NR], keep, goal;
	struct arena a;
	unsigned int i;

	open_small(&a, 128 * MiB);
	row_make(&a, at, NR, len);
	keep = live_span(&a, 15 * MiB, 1000);
	for (i = 0; i < NR; i++)
		pa_free(&a, at[i]);
	pa_scavenging(&a, 100, 50, 0);
	st = pa_settled(&a);
	goal = st.backed_inuse / 2;
	pa_say("pieces: goal %llu KiB, %llu KiB kept", (unsigned long long)goal >> 10,
	       (unsigned long long)st.backed_free >> 10);
	CHECK_OP(st.backed_free, <=, goal);
	CHECK_OP(st.backed_free + CHUNK, >=, goal);
	CHECK_OP(st.backed_free, >, 0);
	CHECK(pa_filled(a.base + keep, 15 * MiB, 1000));
	row_check(&a, at, NR, len);
	pa_check(&a);
	/* A goal that all of it is within releases nothing. */
	pa_scavenging(&a, 100, 1000, 0);
	CHECK_EQ(pa_settled(&a).backed_free, st.backed_free);
	/* With less in use, less is kept. */
	pa_scavenging(&a, 100, 50, 0);
	pa_free(&a, keep);
	if (!pa_wait_until(half_retained, &a, 30000))
		pa_say("more than that is retained");
	st = pa_settled(&a);
	CHECK_OP(st.backed_free, <=, st.backed_inuse / 2);
	row_check(&a, at, NR, len);
	pa_check(&a);
	pa_close(&a);

	open_small(&a, 128 * MiB);
	keep = live_span(&a, 16 * MiB, 1);
	at[0] = live_span(&a, 24 * MiB, 2);
	pa_scavenging(&a, 100, 50, 0);
	pa_free(&a, at[0]);
	st = pa_settled(&a);
	pa_say("one span: goal 8192 KiB, %llu KiB kept", (unsigned long long)st.backed_free >> 10);
	CHECK_OP(st.backed_free, <=, 8 * MiB);
	CHECK_OP(st.backed_free + CHUNK, >=, 8 * MiB);
	CHECK(pa_filled(a.base + keep, 16 * MiB, 1));
	pa_check(&a);
	pa_close(&a);
}

/* Freed one after the other in another order than they lie; half of it goes. */
static void test_oldest(void)
{
	enum { NR = 12 };
	const __u64 len = 512 * KiB;
	struct pagearena_stats st;
	unsigned int i, young = 0;
	struct arena a;
	__u64 at[NR];

	open_small(&a, 64 * MiB);
	row_make(&a, at, NR, len);
	live_span(&a, 3 * MiB - NR * a.page, 99);
	for (i = 0; i < NR; i++) {
		pa_free(&a, at[i * 5 % NR]);
		usleep(3000);
	}
	st = pa_stats(a.fd);
	CHECK_EQ(st.backed_inuse, 3 * MiB);
	CHECK_EQ(st.backed_free, 6 * MiB);
	pa_scavenging(&a, 100, 100, 0);
	st = pa_settled(&a);
	CHECK_OP(st.backed_free, <=, 3 * MiB);
	CHECK_OP(st.backed_free, >, 0);
	/* From some place on, in the order of freeing, everything is still there. */
	for (i = 0; i < NR; i++) {
		__u64 backed = pa_query(&a, at[i * 5 % NR]).backed;

		if (backed == len)
			young++;
		else if (young)
			pa_fail("span %u of %u was released before an older one", i, NR);
	}
	CHECK_EQ(young, st.backed_free / len);
	row_check(&a, at, NR, len);
	check_quiet(&a);
	pa_close(&a);
}

/* Huge chunks, all of each allocated, of which the first @live bytes stay; returns the spans. */
static void sparse_make(struct arena *a, __u64 *at, unsigned int nr, __u64 live)
{
	__u64 rest[64];
	unsigned int i;

	CHECK_OP(nr, <=, ARRAY_SIZE(rest));
	for (i = 0; i < nr; i++) {
		at[i] = pa_alloc(a, live, CHUNK, 0);
		rest[i] = pa_alloc(a, CHUNK - live, 0, 0);
		CHECK_EQ(rest[i], at[i] + live);
		pa_fill(a->base + at[i], live, i);
		pa_fill(a->base + rest[i], CHUNK - live, i);
	}
	for (i = 0; i < nr; i++)
		pa_free(a, rest[i]);
}

static void sparse_check(struct arena *a, const __u64 *at, unsigned int nr, __u64 live)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!pa_filled(a->base + at[i], live, i))
			pa_fail("what is live in chunk %u lost its contents", i);
}

static bool nearly_all_broken(void *arg)
{
	/* But for what AUTO takes anyway. */
	return pa_stats(((struct arena *)arg)->fd).backed_free <= 2 * CHUNK;
}

/* Of old huge chunks that are nearly free what is live is moved, where AUTO is the policy. */
static void test_break_old(void)
{
	enum { NR = 16 };
	const __u64 live = 2 * CHUNK / 16, dense = CHUNK / 8 * 3;
	__u64 at[NR], more[4], age = 300 * MS;
	struct pagearena_stats st;
	unsigned int i, huge;
	struct arena a;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 128 * MiB,
					      .fit = PAGEARENA_FIT_BEST });
	pa_scavenging(&a, 0, 0, age);
	/* In this order the holes of the first are too small for the second. */
	sparse_make(&a, more, 4, dense);
	sparse_make(&a, at, NR, live);
	st = pa_stats(a.fd);
	if (st.huge_bytes != (NR + 4) * CHUNK)
		SKIP("no huge folios to be had");
	CHECK_EQ(st.backed_free, NR * (CHUNK - live) + 4 * (CHUNK - dense));
	CHECK_EQ(st.reclaimable, NR * (CHUNK - live));
	/* All of it is retained: nothing happens. */
	pa_scavenging(&a, 100, 1000, age);
	st = pa_settled(&a);
	CHECK_EQ(st.nr_demote, 0);
	/* None of it is: the sparse ones go, down to what is not worth it, the others do not. */
	pa_scavenging(&a, 100, 0, age);
	for (i = 0; i < 200 && pa_stats(a.fd).nr_demote < NR - 1; i++)
		usleep(50000);
	st = pa_settled(&a);
	huge = (unsigned int)(st.huge_bytes / CHUNK);
	pa_say("%llu demoted, %u still huge, %llu KiB free", (unsigned long long)st.nr_demote, huge,
	       (unsigned long long)st.backed_free >> 10);
	CHECK_OP(st.nr_demote, >=, NR - 1);
	CHECK_EQ(st.nr_demote + huge, NR + 4);
	CHECK_OP(huge, >=, 4);
	CHECK_EQ(st.bytes_background, st.nr_demote * (CHUNK - live));
	CHECK_EQ(st.bytes_copied, st.nr_demote * live);
	CHECK_EQ(st.bytes_reclaimed + st.bytes_limited, 0);
	sparse_check(&a, at, NR, live);
	sparse_check(&a, more, 4, dense);
	pa_check(&a);
	/* What is free there can be had as any other, and is zero. */
	for (i = 0; i < NR; i++) {
		CHECK_EQ(pa_alloc(&a, CHUNK - live, 0, 0), at[i] + live);
		if (!pa_query(&a, at[i] + live).backed)
			CHECK(pa_zero(a.base + at[i] + live, CHUNK - live));
		pa_fill(a.base + at[i] + live, CHUNK - live, i);
	}
	sparse_check(&a, at, NR, live);
	for (i = 0; i < NR; i++)
		CHECK(pa_filled(a.base + at[i] + live, CHUNK - live, i));
	check_quiet(&a);
	pa_close(&a);
}

/* A few chunks are not worth it, and neither is what shall be huge always. */
static void test_break_not(void)
{
	enum { NR = 8 };
	const __u64 live = 64 * KiB;
	struct pagearena_stats st;
	struct arena a, b;
	__u64 at[NR], bt[NR];

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
					      .fit = PAGEARENA_FIT_BEST });
	pa_open(&b, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
					      .fit = PAGEARENA_FIT_BEST,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	pa_scavenging(&a, 100, 0, 0);
	pa_scavenging(&b, 100, 0, 0);
	sparse_make(&a, at, 2, live);
	sparse_make(&b, bt, NR, live);
	if (pa_stats(a.fd).huge_bytes != 2 * CHUNK || pa_stats(b.fd).huge_bytes != NR * CHUNK)
		SKIP("no huge folios to be had");
	st = pa_settled(&a);
	CHECK_EQ(st.huge_bytes, 2 * CHUNK);
	CHECK_EQ(st.nr_demote, 0);
	st = pa_settled(&b);
	CHECK_EQ(st.huge_bytes, NR * CHUNK);
	CHECK_EQ(st.nr_demote, 0);
	sparse_check(&a, at, 2, live);
	sparse_check(&b, bt, NR, live);
	check_quiet(&a);
	check_quiet(&b);
	pa_close(&a);
	pa_close(&b);
}

/* A chunk of which somebody holds a page is left alone, and the worker goes to sleep. */
static void test_break_pinned(void)
{
	enum { NR = 8 };
	const __u64 live = 64 * KiB;
	struct pagearena_stats st;
	struct iovec iov[NR];
	struct arena a;
	__u64 at[NR];
	int pipes[2];
	unsigned int i;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
					      .fit = PAGEARENA_FIT_BEST });
	pa_scavenging(&a, 0, 0, 0);
	sparse_make(&a, at, NR, live);
	if (pa_stats(a.fd).huge_bytes != NR * CHUNK)
		SKIP("no huge folios to be had");
	/* A page in a pipe holds its folio. */
	CHECK(!pipe(pipes));
	for (i = 0; i < NR; i++)
		iov[i] = (struct iovec){ a.base + at[i], 4 * KiB };
	if (vmsplice(pipes[1], iov, NR, 0) < 0)
		SKIP("vmsplice: %s", strerror(errno));
	pa_scavenging(&a, 100, 0, 0);
	st = pa_settled(&a);
	CHECK_EQ(st.huge_bytes, NR * CHUNK);
	CHECK_EQ(st.nr_demote, 0);
	sparse_check(&a, at, NR, live);
	close(pipes[0]);
	close(pipes[1]);
	/* The next FREE makes it look again. */
	pa_free(&a, pa_alloc(&a, 4 * MiB, 0, 0));
	CHECK(pa_wait_until(nearly_all_broken, &a, 20000));
	sparse_check(&a, at, NR, live);
	check_quiet(&a);
	pa_close(&a);
}

static __u64 runs_in(struct arena *a, useconds_t us)
{
	__u64 nr = pa_stats(a->fd).nr_background;

	usleep(us);
	return pa_stats(a->fd).nr_background - nr;
}

static void test_asleep(void)
{
	struct arena a;
	__u64 at, more;

	open_small(&a, 64 * MiB);
	pa_scavenging(&a, 100, 10, 0);
	/* It may look once, for a new policy. */
	pa_settled(&a);
	CHECK_EQ(runs_in(&a, 1000000), 0);
	/* In use, nothing free. */
	at = live_span(&a, 4 * MiB, 1);
	pa_settled(&a);
	CHECK_EQ(runs_in(&a, 1000000), 0);
	/* Free, but that much is retained. */
	more = live_span(&a, 256 * KiB, 2);
	pa_free(&a, more);
	pa_settled(&a);
	CHECK_EQ(runs_in(&a, 1000000), 0);
	CHECK_EQ(pa_stats(a.fd).backed_free, 256 * KiB);
	/* All of it released. */
	pa_free(&a, at);
	CHECK(pa_wait_until(all_released, &a, 10000));
	pa_settled(&a);
	CHECK_EQ(runs_in(&a, 1000000), 0);
	/* What is to become of age in an hour is no reason to look often. */
	pa_scavenging(&a, 100, 0, 3600 * SECOND);
	at = live_span(&a, 4 * MiB, 3);
	pa_free(&a, at);
	usleep(300000);
	CHECK_OP(runs_in(&a, 1000000), <=, 1);
	CHECK_EQ(pa_stats(a.fd).backed_free, 4 * MiB);
	check_quiet(&a);
	pa_close(&a);
}

/* Released by the kernel and wanted back at once, again and again. */
static void test_refault(void)
{
	struct pagearena_stats st = {};
	__u64 at, keep, slow = 0, end;
	unsigned int rounds;
	struct arena a;

	open_small(&a, 64 * MiB);
	keep = live_span(&a, 64 * KiB, 1);
	pa_scavenging(&a, 100, 0, 20 * MS);
	end = pa_now() + 8 * SECOND;
	for (rounds = 0; pa_now() < end && slow < 3; rounds++) {
		at = live_span(&a, MiB, rounds);
		CHECK(pa_filled(a.base + at, MiB, rounds));
		pa_free(&a, at);
		if (!pa_wait_until(all_released, &a, 2000))
			break;
		st = pa_stats(a.fd);
		slow = MAX(slow, st.background_slow);
	}
	st = pa_stats(a.fd);
	pa_say("%u rounds, %llu KiB released, %llu KiB of it touched again, slow %llu", rounds,
	       (unsigned long long)st.bytes_background >> 10,
	       (unsigned long long)st.bytes_refault >> 10, (unsigned long long)slow);
	CHECK_OP(rounds, >=, 3);
	CHECK_OP(st.bytes_refault, >, 0);
	CHECK_OP(st.bytes_refault, <=, st.bytes_background);
	CHECK_OP(slow, >, 0);

	/* Memory that is not wanted back: at each offset once. */
	end = pa_now() + 12 * SECOND;
	while (pa_now() < end && st.background_slow >= slow) {
		usleep(1100000);
		at = live_span(&a, MiB, 7);
		pa_free(&a, at);
		pa_wait_until(all_released, &a, 2000);
		st = pa_stats(a.fd);
	}
	CHECK_OP(st.background_slow, <, slow);
	CHECK(pa_filled(a.base + keep, 64 * KiB, 1));
	check_quiet(&a);
	pa_close(&a);
}

/* What a program asked for itself does not count as a refault. */
static void test_no_refault(void)
{
	struct arena a;
	unsigned int i;
	__u64 at;

	open_small(&a, 64 * MiB);
	for (i = 0; i < 10; i++) {
		at = live_span(&a, MiB, i);
		pa_free(&a, at);
		CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), MiB);
	}
	CHECK_EQ(pa_stats(a.fd).bytes_refault, 0);
	pa_check(&a);
	pa_close(&a);
}

struct load {
	struct arena *a;
	__u64 end;
	__u64 seed;
	__u64 ops;
};

/* Allocates, writes, verifies and frees spans at random until the time is over. */
static void *load_thread(void *arg)
{
	enum { SLOTS = 128 };
	struct {
		__u64 at, len, seed;
	} slot[SLOTS] = {};
	struct load *l = arg;
	unsigned int i;

	while (pa_now() < l->end) {
		__u64 r = pa_random(&l->seed);

		i = r % SLOTS;
		if (slot[i].len) {
			if (!pa_filled(l->a->base + slot[i].at, slot[i].len, slot[i].seed))
				pa_fail("a span of %llu bytes lost its contents",
					(unsigned long long)slot[i].len);
			pa_free(l->a, slot[i].at);
			slot[i].len = 0;
		} else {
			slot[i].len = l->a->page * (1 + (r >> 8) % ((r >> 32) % 8 ? 4 : 32));
			slot[i].at = pa_alloc(l->a, slot[i].len, 0, 0);
			slot[i].seed = r >> 16;
			pa_fill(l->a->base + slot[i].at, slot[i].len, slot[i].seed);
		}
		l->ops++;
	}
	for (i = 0; i < SLOTS; i++)
		if (slot[i].len && !pa_filled(l->a->base + slot[i].at, slot[i].len, slot[i].seed))
			pa_fail("a span lost its contents");
	return NULL;
}

static __u64 budget_seconds(void)
{
	return pa_env("PA_POLICY_SECONDS", 15);
}

static void test_budget(void)
{
	__u64 percent = pa_env("PA_POLICY_PERCENT", 1), start, elapsed, bound, longest = 0, was = 0;
	struct load l[2] = {};
	struct pagearena_stats st;
	pthread_t thread[2];
	struct arena a;
	unsigned int i;

	open_small(&a, 256 * MiB);
	pa_scavenging(&a, (__u32)percent, 0, 0);
	start = pa_now();
	for (i = 0; i < 2; i++) {
		l[i] = (struct load){ .a = &a, .end = start + budget_seconds() * SECOND,
				      .seed = i };
		CHECK(!pthread_create(&thread[i], NULL, load_thread, &l[i]));
	}
	/* What a run took is paid for by the pause behind it, so one may be unpaid at the end. */
	while (pa_now() < start + budget_seconds() * SECOND) {
		st = pa_stats(a.fd);
		longest = MAX(longest, st.background_ns - was);
		was = st.background_ns;
		usleep(5000);
	}
	for (i = 0; i < 2; i++)
		CHECK(!pthread_join(thread[i], NULL));
	st = pa_stats(a.fd);
	elapsed = pa_now() - start;
	bound = elapsed * percent * 3 / 200 + longest;
	pa_say("%llu operations in %llu ms; %llu us (%llu.%03llu %% of %llu %%) in %llu runs",
	       (unsigned long long)(l[0].ops + l[1].ops), (unsigned long long)(elapsed / MS),
	       (unsigned long long)(st.background_ns / 1000),
	       (unsigned long long)(st.background_ns * 100 / elapsed),
	       (unsigned long long)(st.background_ns * 100000 / elapsed % 1000),
	       (unsigned long long)percent, (unsigned long long)st.nr_background);
	pa_say("the longest run took %llu us", (unsigned long long)longest / 1000);
	pa_say("%llu KiB released, %llu KiB touched again, slow %llu, at most %llu spans a hold",
	       (unsigned long long)(st.bytes_background >> 10),
	       (unsigned long long)(st.bytes_refault >> 10),
	       (unsigned long long)st.background_slow,
	       (unsigned long long)st.background_hold_max);
	CHECK_OP(st.bytes_background, >, 0);
	CHECK_OP(st.background_ns, <=, bound);
	CHECK_OP(st.background_hold_max, >, 0);
	CHECK_OP(st.background_hold_max, <=, BATCH_SPANS);
	/* Every run is told, and nothing but background scavenging has released anything. */
	CHECK_OP(st.nr_background, >, 0);
	CHECK_EQ(st.bytes_reclaimed + st.bytes_limited, 0);
	check_quiet(&a);
	pa_close(&a);
}

/* What is copied to break huge chunks counts into the budget. */
static void test_budget_break(void)
{
	enum { NR = 40, PERCENT = 10 };
	const __u64 live = 64 * KiB;
	__u64 start, elapsed, bound, longest = 0, was = 0, at[NR];
	struct pagearena_stats st;
	struct arena a;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 128 * MiB,
					      .fit = PAGEARENA_FIT_BEST });
	pa_scavenging(&a, 0, 0, 0);
	sparse_make(&a, at, NR, live);
	if (pa_stats(a.fd).huge_bytes != NR * CHUNK)
		SKIP("no huge folios to be had");
	start = pa_now();
	pa_scavenging(&a, PERCENT, 0, 0);
	do {
		usleep(5000);
		st = pa_stats(a.fd);
		longest = MAX(longest, st.background_ns - was);
		was = st.background_ns;
	} while (st.backed_free > 2 * CHUNK);
	elapsed = pa_now() - start;
	bound = elapsed * PERCENT * 3 / 200 + longest;
	pa_say("%llu chunks broken in %llu ms; %llu us (%llu.%02llu %% of %u %%) in %llu runs",
	       (unsigned long long)st.nr_demote, (unsigned long long)(elapsed / MS),
	       (unsigned long long)(st.background_ns / 1000),
	       (unsigned long long)(st.background_ns * 100 / elapsed),
	       (unsigned long long)(st.background_ns * 10000 / elapsed % 100), PERCENT,
	       (unsigned long long)st.nr_background);
	pa_say("the longest run took %llu us", (unsigned long long)longest / 1000);
	CHECK_OP(st.background_ns, <=, bound);
	CHECK_OP(st.nr_demote, >=, NR - 3);
	sparse_check(&a, at, NR, live);
	check_quiet(&a);
	pa_close(&a);
}

/* Many spans that cannot be released: however many, the lock is let go in between. */
static void test_hold(void)
{
	enum { NR = 3000 };
	struct pagearena_setup setup = {
		.arena_bytes = 64 * MiB * (pa_page / (4 * KiB)),
		.span_page = pa_page,
		.fit = PAGEARENA_FIT_BEST,
		.huge = PAGEARENA_HUGE_NEVER,
	};
	struct pagearena_stats st;
	struct arena a;
	unsigned int i;
	__u64 *at;

	at = calloc(NR, sizeof(*at));
	CHECK(at);
	pa_open(&a, setup);
	row_make(&a, at, NR, a.page);
	for (i = 0; i < NR; i++)
		pa_free(&a, at[i]);
	pa_scavenging(&a, 100, 0, 0);
	CHECK(pa_wait_until(all_released, &a, 60000));
	st = pa_stats(a.fd);
	pa_say("%u spans in %llu runs, at most %llu a hold", NR,
	       (unsigned long long)st.nr_background,
	       (unsigned long long)st.background_hold_max);
	CHECK_OP(st.background_hold_max, <=, BATCH_SPANS);
	CHECK_OP(st.background_hold_max, >, 0);
	row_check(&a, at, NR, a.page);
	check_quiet(&a);
	pa_close(&a);
	free(at);
}

/* One worker for all: every arena gets its turn, with a policy of its own. */
static void test_many(void)
{
	enum { NR = 16 };
	struct arena a[NR];
	unsigned int i, round;
	bool done = false;
	__u64 at[NR];

	for (i = 0; i < NR; i++) {
		open_small(&a[i], 16 * MiB);
		at[i] = live_span(&a[i], MiB, i);
		live_span(&a[i], a[i].page, i);
		pa_scavenging(&a[i], i % 4 ? 100 : 0, 0, i * 10 * MS);
	}
	for (i = 0; i < NR; i++)
		pa_free(&a[i], at[i]);
	for (round = 0; round < 400 && !done; round++) {
		usleep(25000);
		for (i = 0, done = true; i < NR; i++)
			done &= !(i % 4) || !pa_stats(a[i].fd).backed_free;
	}
	for (i = 0; i < NR; i++) {
		struct pagearena_stats st = pa_stats(a[i].fd);

		pa_expect(st.backed_free == (i % 4 ? 0 : MiB),
			  "arena %u: %llu bytes are free and backed", i,
			  (unsigned long long)st.backed_free);
		CHECK(pa_filled(a[i].base + at[i] + MiB, a[i].page, i));
		if (i < 4)
			check_quiet(&a[i]);
		/* Half of them go while there is something to do. */
		pa_scavenging(&a[i], 100, 0, 0);
		if (i % 2)
			pa_free(&a[i], live_span(&a[i], 4 * MiB, 3));
		pa_close(&a[i]);
	}
}

/* Limits */

static void open_limit(struct arena *a, __u64 limit, bool soft, __u32 huge)
{
	struct pagearena_setup setup = {
		.arena_bytes = 256 * MiB,
		.limit = limit,
		.flags = soft ? PAGEARENA_SETUP_SOFT_LIMIT : 0,
		.fit = PAGEARENA_FIT_BEST,
		.huge = huge,
	};

	pa_open(a, setup);
}

static void test_soft(void)
{
	__u64 first, second, third, i, step = 64 * KiB;
	struct pagearena_stats st;
	struct arena a;

	open_limit(&a, 16 * MiB, true, PAGEARENA_HUGE_NEVER);
	CHECK(pa_policy(a.fd).limit_soft);
	first = live_span(&a, 8 * MiB, 1);
	second = live_span(&a, 8 * MiB, 2);
	CHECK_EQ(pa_stats(a.fd).backed, 16 * MiB);
	CHECK_EQ(pa_stats(a.fd).bytes_limited, 0);
	pa_free(&a, first);
	/* More than the hole, so it lies elsewhere. */
	third = pa_alloc(&a, 12 * MiB, 0, 0);
	CHECK_OP(third, >=, second + 8 * MiB);
	for (i = 0; i < 12 * MiB; i += step) {
		pa_fill(a.base + third + i, step, 3 + i);
		st = pa_stats(a.fd);
		/* As long as there is something to release. */
		if (st.reclaimable)
			CHECK_OP(st.backed, <=, 16 * MiB);
	}
	CHECK_EQ(st.backed, 20 * MiB);
	CHECK_EQ(st.backed_free, 0);
	CHECK_EQ(st.bytes_limited, 8 * MiB);
	CHECK_EQ(st.nr_fault_failed, 0);
	/* Beyond it everything goes on. */
	first = live_span(&a, 8 * MiB, 1);
	CHECK_EQ(pa_stats(a.fd).backed, 28 * MiB);
	pa_alloc(&a, 4 * MiB, 0, PAGEARENA_ALLOC_POPULATE);
	CHECK_EQ(pa_stats(a.fd).backed, 32 * MiB);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	CHECK(pa_filled(a.base + first, 8 * MiB, 1));
	CHECK(pa_filled(a.base + second, 8 * MiB, 2));
	for (i = 0; i < 12 * MiB; i += step)
		CHECK(pa_filled(a.base + third + i, step, 3 + i));
	pa_check(&a);
	pa_fdinfo_check(a.fd);
	pa_close(&a);
}

/* With huge folios: none is broken for a soft limit, and none taken that passes it in vain. */
static void test_soft_huge(void)
{
	__u64 at[8], more, i;
	struct pagearena_stats st;
	struct arena a;

	open_limit(&a, 8 * CHUNK, true, PAGEARENA_HUGE_ALWAYS);
	for (i = 0; i < 8; i++) {
		at[i] = pa_alloc(&a, CHUNK, CHUNK, 0);
		pa_fill(a.base + at[i], CHUNK, i);
	}
	if (pa_stats(a.fd).huge_bytes != 8 * CHUNK)
		SKIP("no huge folios to be had");
	/* Every second as a whole. */
	for (i = 0; i < 8; i += 2)
		pa_free(&a, at[i]);
	more = pa_alloc(&a, 6 * CHUNK, CHUNK, 0);
	for (i = 0; i < 6; i++)
		pa_fill(a.base + more + i * CHUNK, CHUNK, 100 + i);
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_demote, 0);
	CHECK_EQ(st.nr_fault_failed, 0);
	CHECK_EQ(st.reclaimable, 0);
	CHECK_EQ(st.bytes_limited, 4 * CHUNK);
	CHECK_EQ(st.backed, 10 * CHUNK);
	for (i = 1; i < 8; i += 2)
		CHECK(pa_filled(a.base + at[i], CHUNK, i));
	for (i = 0; i < 6; i++)
		CHECK(pa_filled(a.base + more + i * CHUNK, CHUNK, 100 + i));
	pa_check(&a);
	pa_close(&a);
}

static void test_hard(void)
{
	struct pagearena_stats st;
	struct pagearena_alloc req;
	__u64 first, second, keep, seq;
	struct snapshot snap;
	struct arena a;

	open_limit(&a, 8 * MiB, false, PAGEARENA_HUGE_NEVER);
	first = pa_alloc(&a, 4 * MiB, 0, 0);
	second = pa_alloc(&a, 4 * MiB, 0, 0);
	/* Nothing is touched, but it was promised. */
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	pa_stats(a.fd);
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, &req), ENOMEM);
	CHECK(pa_stats(a.fd).pressure_flags & PAGEARENA_PRESSURE_LIMIT);
	pa_fill(a.base + first, 4 * MiB, 1);
	pa_fill(a.base + second, 4 * MiB, 2);
	CHECK_EQ(pa_stats(a.fd).backed, 8 * MiB);
	usleep(150000);
	seq = pa_stats(a.fd).pressure_seq;
	snap = pa_snapshot(a.fd);
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, &req), ENOMEM);
	/* All that happens is told. */
	CHECK_EQ(pa_fdinfo(a.fd, "pressure-seq"), seq + 1);
	CHECK(pa_unchanged(a.fd, &snap));
	/* Two holes of 2 MiB; what fits into neither of them lies elsewhere, in their place. */
	pa_free(&a, first);
	first = live_span(&a, 2 * MiB, 3);
	keep = live_span(&a, a.page, 4);
	pa_free(&a, first);
	CHECK_EQ(pa_stats(a.fd).bytes_limited, 0);
	first = pa_alloc(&a, 3 * MiB, 0, 0);
	CHECK_OP(first, >, second);
	CHECK_OP(pa_stats(a.fd).bytes_limited, >=, 3 * MiB - a.page);
	pa_fill(a.base + first, 3 * MiB, 5);
	CHECK(pa_filled(a.base + first, 3 * MiB, 5));
	pa_free(&a, first);
	first = pa_alloc(&a, 2 * MiB, 0, PAGEARENA_ALLOC_POPULATE);
	pa_fill(a.base + first, 2 * MiB, 3);
	CHECK(pa_filled(a.base + keep, a.page, 4));
	st = pa_stats(a.fd);
	CHECK_OP(st.backed_peak, <=, 8 * MiB);
	CHECK_EQ(st.nr_fault_failed, 0);
	CHECK(pa_filled(a.base + first, 2 * MiB, 3));
	CHECK(pa_filled(a.base + second, 4 * MiB, 2));
	free(snap.spans);
	pa_check(&a);
	pa_close(&a);
}

/* What was granted can be touched, whatever comes before it; at random, by two threads. */
struct hard {
	struct arena *a;
	__u64 seed;
	__u64 ops;
	__u64 denied;
};

static void *hard_thread(void *arg)
{
	enum { SLOTS = 24 };
	struct {
		__u64 at, len, seed;
	} slot[SLOTS] = {};
	struct hard *h = arg;
	struct pagearena_alloc req;
	__u64 n, r;
	unsigned int i;

	for (n = 0; n < h->ops; n++) {
		r = pa_random(&h->seed);
		i = r % SLOTS;
		if (slot[i].len) {
			/* Touched only now, if it was granted without being touched. */
			if (!slot[i].seed)
				pa_fill(h->a->base + slot[i].at, slot[i].len, slot[i].seed = n + 1);
			CHECK(pa_filled(h->a->base + slot[i].at, slot[i].len, slot[i].seed));
			pa_free(h->a, slot[i].at);
			slot[i].len = 0;
			continue;
		}
		if (pa_alloc_fd(h->a->fd, h->a->page * (1 + (r >> 8) % 64), 0, 0, &req)) {
			CHECK_EQ(errno, ENOMEM);
			h->denied++;
			continue;
		}
		slot[i].at = req.offset;
		slot[i].len = req.length;
		slot[i].seed = 0;
		if ((r >> 16) % 2)
			pa_fill(h->a->base + slot[i].at, slot[i].len, slot[i].seed = n + 1);
	}
	for (i = 0; i < SLOTS; i++) {
		if (!slot[i].len)
			continue;
		if (!slot[i].seed)
			pa_fill(h->a->base + slot[i].at, slot[i].len, slot[i].seed = 1);
		CHECK(pa_filled(h->a->base + slot[i].at, slot[i].len, slot[i].seed));
		pa_free(h->a, slot[i].at);
	}
	return NULL;
}

static void test_hard_random(void)
{
	static const __u32 policies[] = { PAGEARENA_HUGE_NEVER, PAGEARENA_HUGE_AUTO };
	struct pagearena_stats st;
	struct hard h[2];
	pthread_t thread[2];
	struct arena a;
	unsigned int i, p;

	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		open_limit(&a, 8 * MiB, false, policies[p]);
		for (i = 0; i < 2; i++) {
			h[i] = (struct hard){ .a = &a, .seed = i, .ops = pa_ops(800) };
			CHECK(!pthread_create(&thread[i], NULL, hard_thread, &h[i]));
		}
		for (i = 0; i < 2; i++)
			CHECK(!pthread_join(thread[i], NULL));
		st = pa_stats(a.fd);
		pa_say("%llu of %llu refused, %llu KiB released for the limit, at most %llu KiB",
		       (unsigned long long)(h[0].denied + h[1].denied),
		       (unsigned long long)(h[0].ops + h[1].ops),
		       (unsigned long long)st.bytes_limited >> 10,
		       (unsigned long long)st.backed_peak >> 10);
		CHECK_OP(st.backed_peak, <=, 8 * MiB);
		CHECK_EQ(st.nr_fault_failed, 0);
		CHECK_EQ(st.heap_inuse, 0);
		pa_check(&a);
		pa_close(&a);
	}
}

static int set_limit(struct arena *a, __u64 limit, bool soft)
{
	struct pagearena_policy req = { .set = PAGEARENA_POLICY_LIMIT, .limit = limit,
					.limit_soft = soft };

	return pa_policy_fd(a->fd, &req);
}

/* Touches what was allocated long before, again and again, with the rest of it out of reach. */
struct toucher {
	struct arena *a;
	__u64 at, len;
	bool over;
};

static void *touch_thread(void *arg)
{
	struct toucher *t = arg;
	__u64 i;

	for (i = 0; i < t->len && !__atomic_load_n(&t->over, __ATOMIC_RELAXED); i += pa_page) {
		CHECK_EQ(pa_poke(t->a->base + t->at + i, 1), 0);
		usleep(50);
	}
	return NULL;
}

/* A hard limit is set, and what is free has to go for it: nobody who touches his own loses it. */
static void test_limit_touch(void)
{
	const __u64 own = 16 * MiB, warm = 128 * MiB;
	struct toucher t;
	pthread_t thread;
	struct arena a;
	unsigned int i;
	__u64 at;

	for (i = 0; i < 4; i++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 256 * MiB,
						      .huge = PAGEARENA_HUGE_NEVER });
		t = (struct toucher){ .a = &a, .at = pa_alloc(&a, own, 0, 0), .len = own };
		at = pa_alloc(&a, warm, 0, PAGEARENA_ALLOC_POPULATE);
		pa_free(&a, at);
		CHECK(!pthread_create(&thread, NULL, touch_thread, &t));
		usleep(2000);
		CHECK_EQ(set_limit(&a, own + MiB, false), 0);
		__atomic_store_n(&t.over, true, __ATOMIC_RELAXED);
		CHECK(!pthread_join(thread, NULL));
		CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
		CHECK_OP(pa_stats(a.fd).backed, <=, own + MiB);
		/* From now on it holds. */
		CHECK_ERR(pa_alloc_fd(a.fd, 2 * MiB, 0, 0, NULL), ENOMEM);
		pa_check(&a);
		pa_close(&a);
	}
}

static void test_change(void)
{
	struct pagearena_policy req, was;
	struct pagearena_stats st;
	struct snapshot snap;
	__u64 keep, at, big;
	struct arena a;

	open_limit(&a, 0, false, PAGEARENA_HUGE_NEVER);
	keep = live_span(&a, 8 * MiB, 1);
	at = live_span(&a, 8 * MiB, 2);
	pa_free(&a, at);
	CHECK_EQ(pa_stats(a.fd).backed, 16 * MiB);
	/* Down to what leaves some of it. */
	CHECK(!set_limit(&a, 10 * MiB, false));
	st = pa_stats(a.fd);
	CHECK_OP(st.backed, <=, 10 * MiB);
	CHECK_EQ(st.bytes_limited, 16 * MiB - st.backed);
	CHECK_EQ(pa_policy(a.fd).limit, 10 * MiB);
	CHECK_EQ(pa_fdinfo(a.fd, "limit"), 10 * MiB);
	CHECK(pa_filled(a.base + keep, 8 * MiB, 1));
	pa_check(&a);
	/* Below what is in use: nothing changes, not even what else was asked for. */
	was = pa_policy(a.fd);
	usleep(150000);
	pa_stats(a.fd);
	snap = pa_snapshot(a.fd);
	req = (struct pagearena_policy){
		.set = PAGEARENA_POLICY_LIMIT | PAGEARENA_POLICY_RETAIN_PERCENT |
		       PAGEARENA_POLICY_PROMOTE_DENSITY,
		.limit = 6 * MiB,
		.retain_percent = 77,
		.promote_density = 33,
	};
	CHECK_ERR(pa_policy_fd(a.fd, &req), ENOMEM);
	req = pa_policy(a.fd);
	CHECK(same_policy(&req, &was));
	CHECK_EQ(pa_stats(a.fd).heap_inuse, snap.stats.heap_inuse);
	CHECK_EQ(pa_stats(a.fd).backed_inuse, snap.stats.backed_inuse);
	free(snap.spans);
	/* Allocated and not touched counts. */
	CHECK(!set_limit(&a, 0, false));
	big = pa_alloc(&a, 16 * MiB, 0, 0);
	CHECK_ERR(set_limit(&a, 20 * MiB, false), ENOMEM);
	CHECK_EQ(pa_policy(a.fd).limit, 0);
	CHECK(!set_limit(&a, 24 * MiB, false));
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, NULL), ENOMEM);
	/* Soft, it may be lower than what is in use. */
	CHECK(!set_limit(&a, 4 * MiB, true));
	CHECK_EQ(pa_policy(a.fd).limit_soft, 1);
	pa_fill(a.base + big, 16 * MiB, 3);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	CHECK_ERR(set_limit(&a, 4 * MiB, false), ENOMEM);
	CHECK_EQ(pa_policy(a.fd).limit_soft, 1);
	/* And without any, free memory stays. */
	CHECK(!set_limit(&a, 0, false));
	pa_free(&a, big);
	CHECK_OP(pa_stats(a.fd).backed_free, >=, 16 * MiB);
	CHECK(pa_filled(a.base + keep, 8 * MiB, 1));
	pa_check(&a);
	pa_close(&a);
}

/* A hard limit breaks huge folios when it must; its change does so as well. */
static void test_change_huge(void)
{
	struct pagearena_stats st;
	__u64 at, half;
	struct arena a;

	open_limit(&a, 0, false, PAGEARENA_HUGE_ALWAYS);
	at = pa_alloc(&a, MiB, CHUNK, 0);
	half = pa_alloc(&a, MiB, 0, 0);
	CHECK_EQ(half, at + MiB);
	pa_fill(a.base + at, CHUNK, 1);
	if (pa_stats(a.fd).huge_bytes != CHUNK)
		SKIP("no huge folio to be had");
	pa_free(&a, half);
	st = pa_stats(a.fd);
	CHECK_EQ(st.backed_free, MiB);
	CHECK_EQ(st.reclaimable, 0);
	CHECK(!set_limit(&a, MiB, false));
	st = pa_stats(a.fd);
	CHECK_EQ(st.backed, MiB);
	CHECK_EQ(st.huge_bytes, 0);
	CHECK(pa_filled(a.base + at, MiB, 1));
	pa_check(&a);
	pa_close(&a);
}

/* Telling */

static short polled(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	int n = poll(&p, 1, ms);

	CHECK(n >= 0);
	CHECK_EQ(n, !!p.revents);
	CHECK(!(p.revents & (POLLERR | POLLHUP | POLLNVAL)));
	return p.revents & POLLPRI;
}

/* A soft limit that was reached, with @more beyond it. */
static void pass_limit(struct arena *a, __u64 more)
{
	live_span(a, more, 5);
}

static void test_poll(void)
{
	struct pagearena_stats st;
	fd_set set;
	struct timeval none = {};
	struct arena a;
	__u64 seq, at;

	open_limit(&a, 4 * MiB, true, PAGEARENA_HUGE_NEVER);
	at = live_span(&a, 3 * MiB, 1);
	CHECK(!polled(a.fd, 0));
	CHECK_EQ(pa_stats(a.fd).pressure_seq, 0);
	CHECK_EQ(pa_stats(a.fd).pressure_flags, 0);
	pass_limit(&a, 2 * MiB);
	/* It stays until somebody says that it was seen; fdinfo and STATS take nothing away. */
	CHECK(polled(a.fd, 1000));
	CHECK(polled(a.fd, 0));
	seq = pa_fdinfo(a.fd, "pressure-seq");
	CHECK_OP(seq, >, 0);
	CHECK(polled(a.fd, 0));
	FD_ZERO(&set);
	FD_SET(a.fd, &set);
	CHECK_EQ(select(a.fd + 1, NULL, NULL, &set, &none), 1);
	CHECK_EQ(pa_stats(a.fd).pressure_flags, PAGEARENA_PRESSURE_LIMIT);
	CHECK(polled(a.fd, 0));
	st = pa_stats_seen(a.fd);
	CHECK_EQ(st.pressure_flags, PAGEARENA_PRESSURE_LIMIT);
	CHECK_EQ(st.pressure_seq, seq);
	CHECK(!polled(a.fd, 0));
	st = pa_stats(a.fd);
	CHECK_EQ(st.pressure_flags, 0);
	CHECK_EQ(st.pressure_seq, seq);
	/* Without anything new there is no event, however long one waits. */
	CHECK(!polled(a.fd, 500));
	pass_limit(&a, 64 * KiB);
	CHECK(polled(a.fd, 1000));
	/* A program that answers by freeing enough has peace. */
	usleep(150000);
	st = pa_stats_seen(a.fd);
	CHECK_EQ(st.pressure_flags, PAGEARENA_PRESSURE_LIMIT);
	CHECK_OP(st.pressure_seq, >, seq);
	pa_free(&a, at);
	live_span(&a, 2 * MiB, 2);
	CHECK(!polled(a.fd, 300));
	pa_check(&a);
	pa_close(&a);
}

/* Events are at least 100 ms apart, however often the limit is passed. */
static void test_poll_rate(void)
{
	__u64 start, first, last, spent;
	struct arena a;

	open_limit(&a, MiB, true, PAGEARENA_HUGE_NEVER);
	pass_limit(&a, 2 * MiB);
	usleep(150000);
	start = pa_now();
	first = pa_stats_seen(a.fd).pressure_seq;
	do {
		pass_limit(&a, 64 * KiB);
		spent = pa_now() - start;
	} while (spent < SECOND && pa_stats(a.fd).heap_inuse < 200 * MiB);
	last = pa_stats(a.fd).pressure_seq;
	spent = pa_now() - start;
	pa_say("%llu events in %llu ms", (unsigned long long)(last - first),
	       (unsigned long long)(spent / MS));
	CHECK_OP(last - first, >, 0);
	CHECK_OP(last - first, <=, spent / (100 * MS) + 1);
	pa_close(&a);
}

struct waiter {
	int fd;
	int ready;
	short events;
	__u64 woken;
};

static void *poll_thread(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->ready, 1, __ATOMIC_RELEASE);
	w->events = polled(w->fd, 20000);
	w->woken = pa_now();
	return NULL;
}

static void test_poll_wakes(void)
{
	struct waiter w = {};
	pthread_t thread;
	struct arena a;
	__u64 start;

	open_limit(&a, 4 * MiB, true, PAGEARENA_HUGE_NEVER);
	w.fd = a.fd;
	CHECK(!pthread_create(&thread, NULL, poll_thread, &w));
	while (!__atomic_load_n(&w.ready, __ATOMIC_ACQUIRE))
		usleep(1000);
	usleep(200000);
	start = pa_now();
	pass_limit(&a, 5 * MiB);
	CHECK(!pthread_join(thread, NULL));
	CHECK(w.events & POLLPRI);
	CHECK_OP(w.woken, >=, start);
	CHECK_OP(w.woken - start, <, 10 * SECOND);
	pa_close(&a);
}

static void test_epoll(void)
{
	struct epoll_event event = { .events = EPOLLPRI | EPOLLET }, got;
	struct arena a;
	int ep;

	open_limit(&a, 4 * MiB, true, PAGEARENA_HUGE_NEVER);
	ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(ep >= 0);
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, a.fd, &event));
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	pass_limit(&a, 5 * MiB);
	CHECK_EQ(epoll_wait(ep, &got, 1, 1000), 1);
	CHECK_EQ(got.events, EPOLLPRI);
	/* By edges: not again before something new, though nobody has seen it. */
	CHECK_EQ(epoll_wait(ep, &got, 1, 300), 0);
	pa_stats_seen(a.fd);
	pass_limit(&a, MiB);
	CHECK_EQ(epoll_wait(ep, &got, 1, 1000), 1);
	/* By level. */
	event.events = EPOLLPRI;
	CHECK(!epoll_ctl(ep, EPOLL_CTL_MOD, a.fd, &event));
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	pa_stats_seen(a.fd);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	close(ep);
	pa_close(&a);
}

/* Before SETUP there is nothing to tell. */
static void test_poll_raw(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	CHECK(fd >= 0);
	poll(&p, 1, 0);
	CHECK(!(p.revents & POLLPRI));
	close(fd);
}

/* Bounds for users */

static int open_user(__u64 bytes, __u64 limit, __u32 flags, __u64 *granted)
{
	struct pagearena_setup setup = { .size = sizeof(setup), .arena_bytes = bytes,
					 .limit = limit, .flags = flags,
					 .huge = PAGEARENA_HUGE_NEVER };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	int ret, err;

	CHECK(fd >= 0);
	ret = ioctl(fd, PAGEARENA_IOC_SETUP, &setup);
	if (ret) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	if (granted)
		*granted = setup.limit;
	return fd;
}

static int limit_fd(int fd, __u64 limit, bool soft)
{
	struct pagearena_policy req = { .set = PAGEARENA_POLICY_LIMIT, .limit = limit,
					.limit_soft = soft };

	return pa_policy_fd(fd, &req);
}

static void become(unsigned int uid)
{
	CHECK(!setgid(uid));
	CHECK(!setuid(uid));
}

/* Quota is given back by the last close, which the kernel may do a moment later. */
static int open_user_soon(__u64 bytes, __u64 limit, __u64 *granted)
{
	int fd, i;

	for (i = 0; i < 100; i++) {
		fd = open_user(bytes, limit, 0, granted);
		if (fd >= 0 || errno != EDQUOT)
			break;
		usleep(20000);
	}
	return fd;
}

/* All of it as a user who has 16 MiB. */
static void quota_child(void)
{
	__u64 granted, at;
	int one, two, three;
	struct arena a = {};

	become(NOBODY);
	one = open_user(64 * MiB, 10 * MiB, 0, &granted);
	CHECK(one >= 0);
	CHECK_EQ(granted, 10 * MiB);
	CHECK_ERR(open_user(64 * MiB, 10 * MiB, 0, NULL), EDQUOT);
	/* A soft limit bounds nothing. */
	CHECK_ERR(open_user(64 * MiB, 4 * MiB, PAGEARENA_SETUP_SOFT_LIMIT, NULL), EDQUOT);
	two = open_user(64 * MiB, 6 * MiB, 0, &granted);
	CHECK(two >= 0);
	CHECK_EQ(granted, 6 * MiB);
	CHECK_ERR(open_user(64 * MiB, 0, 0, NULL), EDQUOT);
	CHECK_ERR(open_user(64 * MiB, 64 * KiB, 0, NULL), EDQUOT);
	/* Limits are changed within the quota. */
	CHECK_ERR(limit_fd(two, 8 * MiB, false), EDQUOT);
	CHECK_EQ(pa_policy(two).limit, 6 * MiB);
	CHECK_ERR(limit_fd(two, 4 * MiB, true), EDQUOT);
	CHECK_EQ(pa_policy(two).limit_soft, 0);
	CHECK(!limit_fd(one, 8 * MiB, false));
	CHECK(!limit_fd(two, 8 * MiB, false));
	CHECK_EQ(pa_policy(two).limit, 8 * MiB);
	CHECK_ERR(limit_fd(one, 8 * MiB + 64 * KiB, false), EDQUOT);
	CHECK_EQ(pa_policy(one).limit, 8 * MiB);
	/* One without a limit gets what is left, and no more than it is large. */
	close(one);
	one = open_user_soon(64 * MiB, 0, &granted);
	CHECK(one >= 0);
	CHECK_EQ(granted, 8 * MiB);
	CHECK_EQ(pa_policy(one).limit, 8 * MiB);
	close(one);
	one = open_user_soon(4 * MiB, 0, &granted);
	CHECK(one >= 0);
	CHECK_EQ(granted, 4 * MiB);
	three = open_user(64 * MiB, 0, 0, &granted);
	CHECK(three >= 0);
	CHECK_EQ(granted, 4 * MiB);
	/* It holds. */
	a.fd = two;
	a.bytes = 64 * MiB;
	a.page = pa_info(two).span_page;
	a.granule = pa_info(two).granule;
	a.id = pa_info(two).arena_id;
	pa_map(&a);
	at = live_span(&a, 8 * MiB, 1);
	CHECK_ERR(pa_alloc_fd(two, a.page, 0, 0, NULL), ENOMEM);
	CHECK(pa_filled(a.base + at, 8 * MiB, 1));
	/* A mapping keeps the arena, and so its quota. */
	close(two);
	close(one);
	close(three);
	usleep(100000);
	one = open_user_soon(64 * MiB, 8 * MiB, NULL);
	CHECK(one >= 0);
	CHECK_ERR(open_user(64 * MiB, 64 * KiB, 0, NULL), EDQUOT);
	CHECK(pa_filled(a.base + at, 8 * MiB, 1));
	CHECK(!munmap(a.base, a.bytes));
	two = open_user_soon(64 * MiB, 8 * MiB, NULL);
	CHECK(two >= 0);
	/* A failed SETUP reserved nothing, and the descriptor may be set up all the same. */
	close(one);
	close(two);
	one = open_user_soon(64 * MiB, 16 * MiB, NULL);
	CHECK(one >= 0);
	_exit(0);
}

static void test_user(void)
{
	int root, i;
	pid_t pid;

	pa_set_u64(PARAMETERS "user_bytes_max", 16 * MiB);
	pa_set_mode(DEVICE, 0666);
	/* Root, with CAP_SYS_RESOURCE, is not bound. */
	root = open_user(64 * MiB, 0, 0, NULL);
	CHECK(root >= 0);
	CHECK_EQ(pa_policy(root).limit, 0);
	CHECK(!limit_fd(root, 40 * MiB, true));
	pid = fork();
	if (!pid)
		quota_child();
	pa_wait_ok(pid);
	/* By two users, each with all of it, one after the other has gone. */
	for (i = 0; i < 2; i++) {
		pid = fork();
		if (!pid) {
			become(NOBODY - (unsigned int)i);
			CHECK(open_user_soon(64 * MiB, 16 * MiB, NULL) >= 0);
			_exit(0);
		}
		pa_wait_ok(pid);
	}
	close(root);
}

/* Without a bound, a user's arenas are as any other. */
static void test_user_unbound(void)
{
	__u64 granted;
	pid_t pid;
	int fd;

	pa_set_u64(PARAMETERS "user_bytes_max", 0);
	pa_set_mode(DEVICE, 0666);
	pid = fork();
	if (!pid) {
		become(NOBODY);
		fd = open_user(64 * MiB, 0, 0, &granted);
		CHECK(fd >= 0);
		CHECK_EQ(granted, 0);
		CHECK(!limit_fd(fd, MiB, true));
		CHECK(!limit_fd(fd, 0, false));
		/* And the figures are there for users as well. */
		pa_fdinfo_check(fd);
		_exit(0);
	}
	pa_wait_ok(pid);
}

/* A bound on allocated spans, and so on the kernel's memory for all of them. */
static void test_spans_max(void)
{
	enum { MAX_SPANS = 400 };
	struct pagearena_alloc req;
	__u64 at[MAX_SPANS];
	struct snapshot snap;
	struct arena a;
	unsigned int i;

	pa_set_u64(PARAMETERS "spans_max", MAX_SPANS);
	open_small(&a, 64 * MiB);
	for (i = 0; i < MAX_SPANS; i++)
		at[i] = live_span(&a, a.page, i);
	snap = pa_snapshot(a.fd);
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, &req), ENOMEM);
	CHECK_ERR(pa_alloc_fd(a.fd, MiB, 0, PAGEARENA_ALLOC_POPULATE, &req), ENOMEM);
	CHECK(pa_unchanged(a.fd, &snap));
	free(snap.spans);
	/* With one less there is room for one. */
	pa_free(&a, at[7]);
	CHECK_EQ(live_span(&a, a.page, 7), at[7]);
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, &req), ENOMEM);
	/* Freeing works at the bound, and scavenging; and then there is room for as many. */
	for (i = 0; i < MAX_SPANS; i += 2)
		pa_free(&a, at[i]);
	pa_check(&a);
	CHECK_OP(pa_scavenge(&a, ALL, 0, NULL), >, 0);
	for (i = 1; i < MAX_SPANS; i += 2)
		CHECK(pa_filled(a.base + at[i], a.page, i));
	for (i = 0; i < MAX_SPANS; i += 2)
		at[i] = live_span(&a, a.page, i);
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, &req), ENOMEM);
	for (i = 0; i < MAX_SPANS; i++)
		CHECK(pa_filled(a.base + at[i], a.page, i));
	pa_check(&a);
	pa_close(&a);
}

static const struct pa_test tests[] = {
	{ "POLICY tells the defaults", test_defaults },
	{ "the module's defaults", test_built_in },
	{ "bad policies change nothing", test_bad },
	{ "POLICY with shorter and longer structures", test_sizes },
	{ "free memory goes back when it is old", test_age },
	{ "free memory goes back by default", test_by_default },
	{ "0 percent releases nothing", test_off },
	{ "free memory is retained as told", test_retain },
	{ "the oldest goes first", test_oldest },
	{ "old huge chunks of which little is live", test_break_old },
	{ "which huge chunks are not broken", test_break_not },
	{ "huge chunks that somebody holds", test_break_pinned },
	{ "the worker sleeps when there is nothing to do", test_asleep },
	{ "refaults are counted, and slow it down", test_refault },
	{ "what was scavenged on request is no refault", test_no_refault },
	{ "the CPU budget is kept", test_budget },
	{ "the CPU budget is kept by copying, too", test_budget_break },
	{ "the heap lock is held for one batch", test_hold },
	{ "many arenas, one worker", test_many },
	{ "a soft limit releases first, and goes on", test_soft },
	{ "a soft limit and huge folios", test_soft_huge },
	{ "a hard limit grants what can be touched", test_hard },
	{ "a hard limit at random", test_hard_random },
	{ "POLICY changes the limit", test_change },
	{ "a hard limit changes while others touch", test_limit_touch },
	{ "a changed limit breaks huge folios", test_change_huge },
	{ "poll tells the limit", test_poll },
	{ "events are 100 ms apart", test_poll_rate },
	{ "poll wakes up", test_poll_wakes },
	{ "epoll and select", test_epoll },
	{ "poll before SETUP", test_poll_raw },
	{ "user_bytes_max", test_user },
	{ "no bound for users", test_user_unbound },
	{ "spans_max", test_spans_max },
};

int main(int argc, char **argv)
{
	char limit[24];

	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)(90 + budget_seconds()));
	setenv("PAGEARENA_TEST_TIMEOUT", limit, 0);
	return pa_run(argc, argv, tests, ARRAY_SIZE(tests));
}
