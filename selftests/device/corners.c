// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Corners: what takes a situation that the other tests do not come to.
 */
#include <sys/uio.h>

#include "pa_test.h"

#define CHUNK		(2 * MiB)
#define PAGE		(4 * KiB)
#define DROP_CACHES	"/proc/sys/vm/drop_caches"
#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"

static bool pool_has(void *arg)
{
	return pa_stats(*(int *)arg).pool_bytes == CHUNK;
}

static void pool_fill(struct arena *a)
{
	struct pagearena_policy req = { .set = PAGEARENA_POLICY_POOL, .pool_bytes = CHUNK };

	CHECK(!pa_policy_fd(a->fd, &req));
	if (!pa_wait_until(pool_has, &a->fd, 10000))
		pa_fail("the pool does not fill");
}

/* A chunk of which part is scavenged takes a folio of the pool, if the policy is ALWAYS. */
static void test_pool_scavenged(void)
{
	struct pagearena_stats st;
	struct arena a;
	__u64 at;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 8 * CHUNK,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	at = pa_alloc(&a, CHUNK, CHUNK, 0);
	pa_fill(a.base + at, CHUNK, 1);
	pa_free(&a, at);
	pa_scavenge(&a, ALL, 0, NULL);
	pool_fill(&a);
	at = pa_alloc(&a, 64 * KiB, 0, 0);
	CHECK_EQ(pa_poke(a.base + at, 1), 0);
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_pool_hit, 1);
	CHECK_EQ(st.huge_bytes, CHUNK);
	pa_check(&a);
	pa_close(&a);
}

/* AUTO does what the machine says. */
static void want_thp(void)
{
	char text[128];

	if (!pa_read_text(THP, text, sizeof(text)) || strstr(text, "[never]"))
		SKIP("no transparent huge pages");
}

/* One that the policy does not want huge leaves the folio where it is. */
static void test_pool_unwanted(void)
{
	struct pagearena_stats st;
	struct arena a;
	__u64 at[6];
	unsigned int i;

	want_thp();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 32 * CHUNK,
					      .huge = PAGEARENA_HUGE_AUTO });
	/* More is free and backed than AUTO allows for a chunk of which little is alive. */
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = pa_alloc(&a, CHUNK, CHUNK, 0);
		pa_fill(a.base + at[i], PAGE, 1);
	}
	if (pa_stats(a.fd).huge_bytes != ARRAY_SIZE(at) * CHUNK)
		SKIP("no huge folios to be had");
	for (i = 1; i < ARRAY_SIZE(at); i++)
		pa_free(&a, at[i]);
	pool_fill(&a);
	/* A chunk that was never used, and is scavenged but for this. */
	{
		struct pagearena_alloc req = {
			.size = sizeof(req),
			.flags = PAGEARENA_ALLOC_FIXED,
			.offset = 20 * CHUNK + 64 * KiB,
			.length = 64 * KiB,
		};

		CHECK(!ioctl(a.fd, PAGEARENA_IOC_ALLOC, &req));
		CHECK_EQ(pa_poke(a.base + req.offset, 1), 0);
	}
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_pool_hit, 0);
	CHECK_EQ(st.pool_bytes, CHUNK);
	CHECK_EQ(st.small_bytes, pa_page);
	pa_check(&a);
	pa_close(&a);
}

/* With no share of a CPU nothing is zeroed in advance. */
static void test_pool_percent(void)
{
	struct pagearena_policy req = { .set = PAGEARENA_POLICY_POOL, .pool_bytes = CHUNK };
	struct arena a;

	pa_set_u64(PARAMETERS "pool_percent", 0);
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 8 * CHUNK,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	CHECK(!pa_policy_fd(a.fd, &req));
	usleep(300000);
	CHECK_EQ(pa_stats(a.fd).pool_bytes, 0);
	CHECK_EQ(pa_stats(a.fd).bytes_pool_zeroed, 0);
	pa_check(&a);
	pa_close(&a);
}

/* fdinfo tells who an arena is before it is set up, and no more. */
static void test_fdinfo_bare(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	char path[64], text[1024];

	CHECK(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	CHECK(pa_read_text(path, text, sizeof(text)));
	CHECK_EQ(pa_fdinfo(fd, "id"), pa_info(fd).arena_id);
	CHECK(!strstr(text, "pagearena-size"));
	close(fd);
}

static bool refused_pinned(void *arg)
{
	return pa_stats(*(int *)arg).nr_refused[PAGEARENA_PROMOTE_PINNED] > 0;
}

static bool promoted(void *arg)
{
	return pa_stats(*(int *)arg).nr_promote_background > 0;
}

/* The background comes back to a chunk that somebody holds a page of. */
static void test_promote_pinned(void)
{
	struct pagearena_policy req = {
		.set = PAGEARENA_POLICY_PROMOTE_PERCENT | PAGEARENA_POLICY_PROMOTE_DENSITY,
		.promote_percent = 100,
		.promote_density = 50,
	};
	struct iovec iov = { .iov_len = PAGE };
	char page[PAGE];
	struct arena a;
	int ends[2];
	__u64 at, rest;

	want_thp();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 8 * CHUNK,
					      .huge = PAGEARENA_HUGE_AUTO });
	/* A chunk that has begun with small folios, as much else is free; see above. */
	rest = pa_alloc(&a, 5 * CHUNK, CHUNK, 0);
	pa_fill(a.base + rest, 5 * CHUNK, 1);
	pa_free(&a, rest);
	{
		struct pagearena_alloc at_end = {
			.size = sizeof(at_end),
			.flags = PAGEARENA_ALLOC_FIXED,
			.offset = 6 * CHUNK,
			.length = 64 * KiB,
		};

		CHECK(!ioctl(a.fd, PAGEARENA_IOC_ALLOC, &at_end));
		at = at_end.offset;
		pa_fill(a.base + at, 64 * KiB, 3);
		if (pa_query(&a, at).huge)
			SKIP("it is huge from the beginning");
		CHECK(!pipe(ends));
		iov.iov_base = a.base + at;
		CHECK_EQ(vmsplice(ends[1], &iov, 1, 0), PAGE);
		CHECK(!pa_policy_fd(a.fd, &req));
		/* Now it gets dense. */
		at_end.offset += 64 * KiB;
		at_end.length = CHUNK - 64 * KiB;
		at_end.out_flags = 0;
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_ALLOC, &at_end));
		pa_fill(a.base + at_end.offset, at_end.length, 4);
	}
	if (!pa_wait_until(refused_pinned, &a.fd, 10000))
		pa_fail("the background did not come to the chunk");
	CHECK_EQ(read(ends[0], page, PAGE), PAGE);
	CHECK(pa_filled(page, PAGE, 3));
	if (!pa_wait_until(promoted, &a.fd, 30000))
		pa_fail("the background did not come back");
	CHECK(pa_filled(a.base + at, 64 * KiB, 3));
	CHECK(pa_filled(a.base + at + 64 * KiB, CHUNK - 64 * KiB, 4));
	pa_check(&a);
	pa_close(&a);
}

/* More chunks than the shrinker adds up one by one. */
static void test_many_chunks(void)
{
	const unsigned int nr = 1100;
	struct arena a;
	unsigned int i;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = nr * CHUNK, .span_page = CHUNK,
					      .huge = PAGEARENA_HUGE_NEVER });
	for (i = 0; i < nr; i++)
		CHECK_EQ(pa_poke(a.base + pa_alloc(&a, CHUNK, 0, 0), 1), 0);
	for (i = 0; i < nr; i++)
		pa_free(&a, i * CHUNK);
	CHECK_EQ(pa_stats(a.fd).reclaimable, nr * pa_page);
	for (i = 0; i < 20 && pa_stats(a.fd).backed; i++)
		CHECK(pa_write_text(DROP_CACHES, "2"));
	/* The core asks for half of what there is at a time, and half of one page is none. */
	CHECK_OP(pa_stats(a.fd).backed, <=, pa_page);
	pa_check(&a);
	pa_close(&a);
}

static bool three_broken(void *arg)
{
	return pa_stats(*(int *)arg).nr_demote >= 3;
}

/*
 * With AUTO the background breaks sparse chunks that nobody has used for long, until no more is
 * free than the policy would back.  Some of these are used again and again, and have to wait.
 */
static void test_idle_chunks(void)
{
	struct pagearena_policy req = {
		.set = PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_RETAIN_PERCENT |
		       PAGEARENA_POLICY_SCAVENGE_AGE,
		.scavenge_percent = 100,
		.scavenge_age_ns = 1000000000,
	};
	struct arena a;
	__u64 at[6], end;
	unsigned int i;

	want_thp();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * CHUNK,
					      .huge = PAGEARENA_HUGE_AUTO });
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = pa_alloc(&a, CHUNK, CHUNK, 0);
		pa_fill(a.base + at[i], 64 * KiB, at[i]);
	}
	if (pa_stats(a.fd).huge_bytes != ARRAY_SIZE(at) * CHUNK)
		SKIP("no huge folios to be had");
	CHECK(!pa_policy_fd(a.fd, &req));
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct pagearena_resize cut = {
			.size = sizeof(cut),
			.offset = at[i],
			.length = 64 * KiB,
		};

		CHECK(!ioctl(a.fd, PAGEARENA_IOC_RESIZE, &cut));
	}
	for (end = pa_now() + 1500000000; pa_now() < end; usleep(50000)) {
		for (i = 4; i < ARRAY_SIZE(at); i++) {
			struct pagearena_alloc again = {
				.size = sizeof(again),
				.flags = PAGEARENA_ALLOC_FIXED,
				.offset = at[i] + MiB,
				/* Enough that the chunk is seen to be used. */
				.length = 320 * KiB,
			};

			if (ioctl(a.fd, PAGEARENA_IOC_ALLOC, &again))
				continue;
			/* Settles what a FREE right after it would make undone. */
			pa_stats(a.fd);
			pa_free(&a, again.offset);
		}
	}
	CHECK(pa_wait_until(three_broken, &a.fd, 20000));
	for (i = 0; i < ARRAY_SIZE(at); i++)
		CHECK(pa_filled(a.base + at[i], 64 * KiB, at[i]));
	pa_check(&a);
	pa_close(&a);
}

/* A soft limit that is reached by pages: what is free beside live memory goes first. */
static void test_soft_limit(void)
{
	struct pagearena_stats st;
	struct arena a;
	__u64 at[2];

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 4 * CHUNK,
					      .limit = MiB,
					      .flags = PAGEARENA_SETUP_SOFT_LIMIT,
					      .huge = PAGEARENA_HUGE_NEVER });
	at[0] = pa_alloc(&a, 512 * KiB, 0, 0);
	pa_fill(a.base + at[0], 512 * KiB, 1);
	at[1] = pa_alloc(&a, 512 * KiB, 0, 0);
	pa_fill(a.base + at[1], 512 * KiB, 2);
	pa_free(&a, at[1]);
	at[1] = pa_alloc(&a, 512 * KiB, CHUNK, 0);
	pa_fill(a.base + at[1], 512 * KiB, 3);
	st = pa_stats(a.fd);
	CHECK_EQ(st.backed_inuse, MiB);
	CHECK_OP(st.backed, <=, MiB);
	CHECK_OP(st.bytes_limited, >=, 512 * KiB);
	CHECK(pa_filled(a.base + at[0], 512 * KiB, 1));
	CHECK(pa_filled(a.base + at[1], 512 * KiB, 3));
	pa_check(&a);
	pa_close(&a);
}

static const struct pa_test tests[] = {
	{ "the pool and a chunk that is scavenged in part", test_pool_scavenged },
	{ "the pool and a chunk that shall not be huge", test_pool_unwanted },
	{ "the pool without a share of a CPU", test_pool_percent },
	{ "fdinfo before SETUP", test_fdinfo_bare },
	{ "background promotion of a chunk that is held", test_promote_pinned },
	{ "more chunks than are looked at", test_many_chunks },
	{ "a soft limit that pages reach", test_soft_limit },
	{ "idle chunks one after the other", test_idle_chunks },
};

PA_MAIN(tests)
