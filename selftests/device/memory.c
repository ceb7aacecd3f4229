// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What is behind spans: zero or contents, nothing beyond, and figures that agree with what
 * the kernel says elsewhere.
 */
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>

#include "pa_test.h"

static struct pagearena_setup small = {
	.arena_bytes = 256 << 20,
	.huge = PAGEARENA_HUGE_NEVER,
};

static __u64 huge_size(struct arena *a)
{
	return pa_info(a->fd).huge_size;
}

static void test_fresh(void)
{
	struct arena a;
	__u64 at;

	pa_open(&a, small);
	at = pa_alloc(&a, 3 * MiB, 0, 0);
	CHECK(pa_zero(a.base + at, 3 * MiB));
	CHECK_EQ(pa_query(&a, at).backed, 3 * MiB);
	pa_fill(a.base + at, 3 * MiB, 1);
	pa_check(&a);
	CHECK(pa_filled(a.base + at, 3 * MiB, 1));
	pa_close(&a);
}

/* Spans of many sizes, of which every second goes: the others keep what they hold. */
static void test_neighbours(void)
{
	enum { NR = 96 };
	__u64 at[NR], len[NR], backed, kept = 0;
	struct arena a;
	unsigned int i;

	pa_open(&a, small);
	for (i = 0; i < NR; i++) {
		len[i] = a.page * (1 + i % 13);
		at[i] = pa_alloc(&a, len[i], 0, 0);
		pa_fill(a.base + at[i], len[i], i);
	}
	for (i = 0; i < NR; i++) {
		if (i % 2)
			pa_free(&a, at[i]);
		else
			kept += len[i];
	}
	pa_check(&a);
	CHECK_OP(pa_scavenge(&a, ALL, 0, &backed), >, 0);
	CHECK_EQ(pa_stats(a.fd).backed, kept);
	pa_check(&a);
	for (i = 0; i < NR; i++) {
		if (i % 2)
			CHECK_EQ(pa_peek(a.base + at[i], NULL), SIGSEGV);
		else
			CHECK(pa_filled(a.base + at[i], len[i], i));
	}
	pa_close(&a);
}

static void test_alloc_zero(void)
{
	static const __u64 sizes[] = { 8192, 8192 * 3, 1 << 20, 4 << 20 };
	static const __u32 policies[] = { PAGEARENA_HUGE_NEVER, PAGEARENA_HUGE_AUTO,
					  PAGEARENA_HUGE_ALWAYS };
	struct pagearena_alloc req;
	struct arena a;
	unsigned int i, p;

	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						      .huge = policies[p] });
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			__u64 at = pa_alloc(&a, sizes[i], 0, 0), zeroed;

			pa_fill(a.base + at, sizes[i], 5);
			pa_free(&a, at);
			/* Warm memory: dirty, and told so. */
			CHECK(!pa_alloc_fd(a.fd, sizes[i], 0, 0, &req));
			CHECK_EQ(req.out_flags, PAGEARENA_ALLOCED_BACKED);
			pa_free(&a, req.offset);

			zeroed = pa_stats(a.fd).bytes_zeroed;
			CHECK(!pa_alloc_fd(a.fd, sizes[i], 0, PAGEARENA_ALLOC_ZERO, &req));
			CHECK_EQ(req.out_flags,
				 PAGEARENA_ALLOCED_ZERO | PAGEARENA_ALLOCED_BACKED);
			CHECK_OP(pa_stats(a.fd).bytes_zeroed - zeroed, >=, sizes[i]);
			CHECK(pa_zero(a.base + req.offset, sizes[i]));

			/* Scavenged memory is zero without work. */
			pa_fill(a.base + req.offset, sizes[i], 6);
			pa_free(&a, req.offset);
			pa_scavenge(&a, ALL, 0, NULL);
			CHECK(!pa_alloc_fd(a.fd, sizes[i], 0, 0, &req));
			CHECK_EQ(req.out_flags, PAGEARENA_ALLOCED_ZERO);
			CHECK(pa_zero(a.base + req.offset, sizes[i]));
			pa_free(&a, req.offset);
			pa_scavenge(&a, ALL, 0, NULL);
			pa_check(&a);
		}
		pa_close(&a);
	}
}

/* Half dirty, half fresh; the flags say what is so, and ZERO makes it good. */
static void test_flags(void)
{
	struct pagearena_alloc req;
	const __u64 part = MAX(32 * KiB, pa_page);
	struct arena a;
	unsigned int i;
	__u64 at;

	pa_open(&a, small);
	at = pa_alloc(&a, 2 * part, 0, 0);
	pa_fill(a.base + at, part, 1);
	pa_free(&a, at);
	for (i = 0; i < 2; i++) {
		CHECK(!pa_alloc_fd(a.fd, 2 * part, 0, i ? PAGEARENA_ALLOC_ZERO : 0, &req));
		CHECK_EQ(req.offset, at);
		CHECK_EQ(pa_query(&a, at).backed, part);
		CHECK(!(req.out_flags & PAGEARENA_ALLOCED_BACKED));
		CHECK_EQ(!!(req.out_flags & PAGEARENA_ALLOCED_ZERO), i);
		if (i)
			CHECK(pa_zero(a.base + at, 2 * part));
		else
			pa_free(&a, at);
	}
	pa_check(&a);
	pa_close(&a);
}

/* Stray writes, where they do not fault, break no promise of zero. */
static void test_stray(void)
{
	struct pagearena_alloc req;
	struct arena a;
	unsigned int p, i;
	__u64 at;

	for (p = 0; p < 3; p++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .huge = p });
		at = pa_alloc(&a, a.page, 0, 0);
		CHECK(!pa_poke(a.base + at, 1));
		/* Behind the span, in the same chunk. */
		for (i = 1; i < 64; i++)
			pa_poke(a.base + at + i * a.page, 0xee);
		for (i = 1; i < 64; i++) {
			CHECK(!pa_alloc_fd(a.fd, a.page, 0, PAGEARENA_ALLOC_ZERO, &req));
			CHECK(req.out_flags & PAGEARENA_ALLOCED_ZERO);
			if (!pa_zero(a.base + req.offset, a.page))
				pa_fail("huge policy %u: not zero at %llu", p,
					(unsigned long long)req.offset);
		}
		pa_check(&a);
		pa_close(&a);
	}
}

static void test_populate(void)
{
	static const __u32 policies[] = { PAGEARENA_HUGE_NEVER, PAGEARENA_HUGE_AUTO,
					  PAGEARENA_HUGE_ALWAYS };
	struct pagearena_stats before, after;
	struct pagearena_alloc req;
	struct arena a;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						      .huge = policies[i] });
		CHECK(!pa_alloc_fd(a.fd, 5 * MiB, 0, PAGEARENA_ALLOC_POPULATE, &req));
		CHECK_EQ(req.out_flags, PAGEARENA_ALLOCED_ZERO | PAGEARENA_ALLOCED_BACKED);
		before = pa_stats(a.fd);
		CHECK_EQ(before.backed_inuse, 5 * MiB);
		CHECK_EQ(before.nr_fault, 0);
		CHECK_EQ(pa_query(&a, req.offset).backed, 5 * MiB);
		CHECK(pa_zero(a.base + req.offset, 5 * MiB));
		pa_fill(a.base + req.offset, 5 * MiB, 1);
		after = pa_stats(a.fd);
		CHECK_EQ(after.backed, before.backed);
		CHECK_EQ(after.bytes_zeroed, before.bytes_zeroed);
		CHECK_EQ(after.nr_fault_denied + after.nr_fault_failed, 0);
		pa_check(&a);
		pa_close(&a);
	}
}

static void expect_denied(struct arena *a, __u64 offset, const char *what)
{
	int reading = pa_peek(a->base + offset, NULL);
	int writing = pa_poke(a->base + offset, 1);

	pa_expect(reading == SIGSEGV && writing == SIGSEGV, "%s: signals %d and %d", what, reading,
		  writing);
}

static void test_outside(void)
{
	struct pagearena_stats before;
	unsigned char value;
	struct arena a;
	__u64 at, next;

	small.growth = 16 * MiB;
	pa_open(&a, small);
	expect_denied(&a, 0, "before the heap grew");
	at = pa_alloc(&a, a.page, 0, 0);
	next = pa_alloc(&a, a.page, 0, 0);
	before = pa_stats(a.fd);
	expect_denied(&a, next + a.page, "right behind a span");
	expect_denied(&a, 16 * MiB - 1, "the end of the grown part");
	expect_denied(&a, 16 * MiB, "not grown");
	expect_denied(&a, a.bytes - 1, "the arena's last byte");
	CHECK_EQ(pa_stats(a.fd).nr_fault_denied - before.nr_fault_denied, 8);
	CHECK_EQ(pa_stats(a.fd).backed, 0);

	/* Free but never touched, so not mapped: denied at once. */
	pa_free(&a, at);
	expect_denied(&a, at, "freed and never touched");
	at = pa_alloc(&a, a.page, 0, 0);
	CHECK(!pa_poke(a.base + at + a.page - 1, 42));
	pa_free(&a, at);
	/* Warm: what is mapped may be read, with what it held. */
	if (!pa_peek(a.base + at + a.page - 1, &value))
		CHECK_EQ(value, 42);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), a.page);
	expect_denied(&a, at, "freed and scavenged");
	expect_denied(&a, at + a.page - 1, "its last byte");
	CHECK(!pa_poke(a.base + next, 1));
	pa_check(&a);
	pa_close(&a);
}

/* Allocated again, what was scavenged is there again. */
static void test_comeback(void)
{
	struct arena a;
	__u64 at;
	int i;

	pa_open(&a, small);
	for (i = 0; i < 20; i++) {
		at = pa_alloc(&a, 256 * KiB, 0, 0);
		CHECK_EQ(at, 0);
		CHECK(pa_zero(a.base + at, 256 * KiB));
		pa_fill(a.base + at, 256 * KiB, (__u64)i);
		pa_free(&a, at);
		CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 256 * KiB);
		expect_denied(&a, at, "scavenged");
	}
	pa_check(&a);
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	CHECK_EQ(pa_smaps(a.base, a.bytes).rss, 0);
	pa_close(&a);
}

static void test_debug(void)
{
	struct pagearena_setup setup = { .arena_bytes = 64 * MiB,
					 .flags = PAGEARENA_SETUP_DEBUG };
	__u64 at[32], len;
	struct arena a;
	unsigned int i, p;

	for (p = 0; p < 3; p++) {
		setup.huge = p;
		pa_open(&a, setup);
		for (i = 0; i < ARRAY_SIZE(at); i++) {
			len = a.page * (1 + i % 5);
			at[i] = pa_alloc(&a, len, 0, 0);
			pa_fill(a.base + at[i], len, i);
		}
		for (i = 0; i < ARRAY_SIZE(at); i += 2) {
			len = a.page * (1 + i % 5);
			pa_free(&a, at[i]);
			expect_denied(&a, at[i], "freed");
			expect_denied(&a, at[i] + len - 1, "freed, at its end");
		}
		for (i = 1; i < ARRAY_SIZE(at); i += 2)
			CHECK(pa_filled(a.base + at[i], a.page * (1 + i % 5), i));
		pa_check(&a);
		for (i = 0; i < ARRAY_SIZE(at); i += 2) {
			at[i] = pa_alloc(&a, a.page, 0, 0);
			CHECK(pa_zero(a.base + at[i], a.page));
		}
		pa_check(&a);
		pa_close(&a);
	}
}

/* RSS, STATS and the cgroup tell the same story. */
static void test_figures(void)
{
	enum { PARTS = 4 };
	__u64 at[PARTS], charge0, rss0, slack, want = 0;
	struct pagearena_stats stats;
	struct arena a;
	unsigned int i;

	pa_cgroup_enter();
	slack = pa_cgroup_slack();
	pa_open(&a, small);
	charge0 = pa_cgroup_charge();
	rss0 = pa_proc_kb("/proc/self/status", "RssFile") << 10;
#define AGREE()								\
	do {								\
		__u64 charge = pa_cgroup_charge() - charge0 + slack;	\
		__u64 rss = pa_proc_kb("/proc/self/status", "RssFile") << 10; \
									\
		CHECK_EQ(pa_stats(a.fd).backed, want);			\
		CHECK_EQ(pa_smaps(a.base, a.bytes).rss, want);		\
		CHECK_OP(charge, >=, want);				\
		CHECK_OP(charge, <=, want + 2 * slack);			\
		/* The kernel counts by CPU, and adds up now and then. */ \
		CHECK_OP(rss - rss0 + slack, >=, want);			\
		CHECK_OP(rss - rss0, <=, want + slack);			\
	} while (0)

	for (i = 0; i < PARTS; i++) {
		at[i] = pa_alloc(&a, 4 * MiB, 0, 0);
		pa_fill(a.base + at[i], 4 * MiB, i);
		want += 4 * MiB;
		AGREE();
	}
	/* Free memory is still there. */
	for (i = 0; i < PARTS; i += 2)
		pa_free(&a, at[i]);
	AGREE();
	CHECK_EQ(pa_stats(a.fd).backed_free, want / 2);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), want / 2);
	want /= 2;
	AGREE();
	/* What this process does not map is the arena's all the same. */
	CHECK(!munmap(a.base + at[1], 4 * MiB));
	CHECK_EQ(pa_smaps(a.base, a.bytes).rss, want - 4 * MiB);
	stats = pa_stats(a.fd);
	CHECK_EQ(stats.backed, want);
	CHECK(mmap(a.base + at[1], 4 * MiB, PROT_READ, MAP_SHARED | MAP_FIXED, a.fd,
		   (off_t)at[1]) != MAP_FAILED);
	CHECK(pa_filled(a.base + at[1], 4 * MiB, 1));
	AGREE();
#undef AGREE
	pa_check(&a);
	pa_close(&a);
	CHECK_OP(pa_cgroup_charge(), <=, charge0 + slack);
	pa_cgroup_leave();
}

/* The creator pays for the memory, whoever touches it. */
static void test_creator_pays(void)
{
	__u64 charge0, slack;
	struct arena a;
	__u64 at;
	pid_t pid;

	pa_cgroup_enter();
	slack = pa_cgroup_slack();
	pa_open(&a, small);
	at = pa_alloc(&a, 8 * MiB, 0, 0);
	charge0 = pa_cgroup_charge();
	pid = fork();
	if (!pid) {
		pa_cgroup_enter();
		charge0 = pa_cgroup_charge();
		pa_map(&a);
		pa_fill(a.base + at, 8 * MiB, 1);
		CHECK_OP(pa_cgroup_charge(), <=, charge0 + slack);
		CHECK(!munmap(a.base, a.bytes));
		pa_cgroup_leave();
		_exit(0);
	}
	pa_wait_ok(pid);
	CHECK_OP(pa_cgroup_charge() + slack, >=, charge0 + 8 * MiB);
	CHECK(pa_filled(a.base + at, 8 * MiB, 1));
	pa_close(&a);
	CHECK_OP(pa_cgroup_charge(), <=, charge0 + slack);
	pa_cgroup_leave();
}

/* Free spans of 1, 3, 2 and 3 units, the rest in use: by amount, the largest go first. */
static void test_scavenge_bytes(void)
{
	static const __u64 units[] = { 1, 3, 2, 3 };
	const __u64 unit = 256 * KiB;
	__u64 at[ARRAY_SIZE(units)], backed;
	struct arena a;
	unsigned int i;

	pa_open(&a, small);
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		at[i] = pa_alloc(&a, units[i] * unit, 0, PAGEARENA_ALLOC_POPULATE);
		pa_alloc(&a, a.page, 0, 0);
	}
	for (i = 0; i < ARRAY_SIZE(units); i++)
		pa_free(&a, at[i]);
	pa_check(&a);
#define RELEASED(i) (!!(pa_query(&a, at[i]).flags & PAGEARENA_SPAN_SCAVENGED))
	/* Of two of a size, the one that lies higher; whole, though a byte would do. */
	CHECK_EQ(pa_scavenge(&a, 1, 0, &backed), 3 * unit);
	CHECK_EQ(backed, 3 * unit);
	CHECK(RELEASED(3) && !RELEASED(0) && !RELEASED(1) && !RELEASED(2));
	CHECK_EQ(pa_scavenge(&a, 3 * unit + 1, 0, &backed), 5 * unit);
	CHECK(RELEASED(1) && RELEASED(2) && !RELEASED(0));
	CHECK_EQ(pa_scavenge(&a, ALL, 0, &backed), unit);
	CHECK_EQ(backed, unit);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, &backed), 0);
	CHECK_EQ(backed, 0);
#undef RELEASED
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	CHECK_EQ(pa_stats(a.fd).nr_scavenge, 4);
	pa_check(&a);
	pa_close(&a);
}

static void wait_ms(__u64 ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1000),
			       .tv_nsec = (long)(ms % 1000 * 1000000) };

	nanosleep(&ts, NULL);
}

static void test_scavenge_age(void)
{
	const __u64 ms = 1000000, wait = 400;
	__u64 old, recent, freed, start, age;
	struct arena a;

	pa_open(&a, small);
	old = pa_alloc(&a, 64 * KiB, 0, PAGEARENA_ALLOC_POPULATE);
	pa_alloc(&a, a.page, 0, 0);
	recent = pa_alloc(&a, 128 * KiB, 0, PAGEARENA_ALLOC_POPULATE);
	pa_alloc(&a, a.page, 0, 0);

	start = pa_now();
	pa_free(&a, old);
	freed = pa_now();
	wait_ms(20);
	age = pa_query(&a, old).age_ns;
	CHECK_OP(age, >=, 20 * ms);
	CHECK_OP(age, <=, pa_now() - start);

	/* Nothing is so old; "for longer" is strict, so the greatest age finds nothing. */
	CHECK_EQ(pa_scavenge(&a, ALL, pa_now() - start + 1000 * 1000 * ms, NULL), 0);
	CHECK_EQ(pa_scavenge(&a, ALL, ALL, NULL), 0);
	wait_ms(wait);
	start = pa_now();
	pa_free(&a, recent);
	age = pa_now() - freed;
	CHECK_OP(age, >=, wait * ms);
	/* One is older than the wait, and the other is not, unless this was held up. */
	freed = pa_scavenge(&a, ALL, wait * ms, NULL);
	if (pa_now() - start < wait * ms) {
		CHECK_EQ(freed, 64 * KiB);
		CHECK_EQ(pa_query(&a, recent).flags & PAGEARENA_SPAN_SCAVENGED, 0);
		wait_ms(20);
		CHECK_EQ(pa_scavenge(&a, ALL, 1 * ms, NULL), 128 * KiB);
	} else {
		pa_say("held up: the recent span's age was not tested");
	}
	pa_check(&a);

	/* By age, the oldest goes first even if it is the smallest. */
	old = pa_alloc(&a, 64 * KiB, 0, PAGEARENA_ALLOC_POPULATE);
	recent = pa_alloc(&a, 128 * KiB, 0, PAGEARENA_ALLOC_POPULATE);
	pa_free(&a, old);
	wait_ms(2);
	pa_free(&a, recent);
	wait_ms(2);
	CHECK_EQ(pa_scavenge(&a, 1, 1, NULL), 64 * KiB);
	CHECK_EQ(pa_scavenge(&a, 1, 1, NULL), 128 * KiB);
	pa_check(&a);
	pa_close(&a);
}

/* Granules larger than span pages: what cannot be released stays, and is told so. */
static void test_granules(void)
{
	static const __u64 granules[] = { 16 << 10, 64 << 10, 2 << 20 };
	__u64 at[64], released, expect;
	struct arena a;
	unsigned int g, i, j;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		if (granules[g] < pa_page)
			continue;
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						      .granule = granules[g],
						      .span_page = 8 * KiB,
						      .huge = PAGEARENA_HUGE_NEVER });
		for (i = 0; i < ARRAY_SIZE(at); i++) {
			at[i] = pa_alloc(&a, 5 * a.page, 0, 0);
			pa_fill(a.base + at[i], 5 * a.page, i);
		}
		for (i = 0; i < ARRAY_SIZE(at); i++)
			if (i % 8)
				pa_free(&a, at[i]);
		expect = 0;
		for (i = 0; i < ARRAY_SIZE(at); i += 8) {
			__u64 start = at[i] + 5 * a.page, end = at[i] + 40 * a.page;

			/* The last run goes on into memory that was never used. */
			if (i == ARRAY_SIZE(at) - 8)
				end = ALIGN_UP(end, granules[g]);
			start = ALIGN_UP(start, granules[g]);
			end = ALIGN_DOWN(end, granules[g]);
			expect += start < end ? end - start : 0;
		}
		pa_check(&a);
		released = pa_scavenge(&a, ALL, 0, NULL);
		CHECK_EQ(released, expect);
		pa_check(&a);
		for (i = 0; i < ARRAY_SIZE(at); i += 8)
			CHECK(pa_filled(a.base + at[i], 5 * a.page, i));
		for (j = 0; j < ARRAY_SIZE(at); j += 8)
			pa_free(&a, at[j]);
		pa_scavenge(&a, ALL, 0, NULL);
		CHECK_EQ(pa_stats(a.fd).backed, 0);
		pa_check(&a);
		pa_close(&a);
	}
}

/* Enough free memory in one piece? Without, the huge tests say nothing. */
static void want_huge(struct arena *a)
{
	struct pagearena_info info = pa_info(a->fd);

	if (!(info.features & PAGEARENA_FEATURE_HUGE))
		SKIP("this kernel has no huge folios");
	if (pa_proc_kb("/proc/meminfo", "MemAvailable") < 256 * 1024)
		SKIP("less than 256 MiB of memory");
}

static void test_aligned_mapping(void)
{
	struct arena a;

	pa_open(&a, small);
	want_huge(&a);
	CHECK_EQ((uintptr_t)a.base % huge_size(&a), 0);
	pa_close(&a);
}

static void test_huge_policies(void)
{
	struct pagearena_stats stats;
	struct arena a;
	__u64 at, huge;
	unsigned int p;

	pa_want_thp();
	for (p = 0; p < 3; p++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .huge = p });
		want_huge(&a);
		huge = huge_size(&a);
		at = pa_alloc(&a, 4 * huge, huge, 0);
		pa_fill(a.base + at, 4 * huge, p);
		stats = pa_stats(a.fd);
		CHECK_EQ(stats.backed, 4 * huge);
		CHECK_EQ(pa_smaps(a.base, a.bytes).rss, 4 * huge);
		if (p == PAGEARENA_HUGE_NEVER) {
			CHECK_EQ(stats.huge_bytes, 0);
			CHECK_EQ(stats.nr_fault_huge, 0);
			CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 0);
			CHECK_OP(stats.nr_fault, >=, 4 * huge / 65536);
		} else {
			CHECK_EQ(stats.huge_bytes, 4 * huge);
			CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 4 * huge);
			CHECK_EQ(pa_query(&a, at).huge, 4 * huge);
			CHECK_OP(stats.nr_fault, <=, 8);
			CHECK_EQ(stats.nr_fault_huge, stats.nr_fault);
		}
		CHECK(pa_filled(a.base + at, 4 * huge, p));
		pa_check(&a);
		pa_free(&a, at);
		CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 4 * huge);
		CHECK_EQ(pa_stats(a.fd).backed, 0);
		CHECK_EQ(pa_smaps(a.base, a.bytes).rss, 0);

		/* One page: little enough beside it, except for the policy never. */
		at = pa_alloc(&a, a.page, 0, 0);
		CHECK(pa_zero(a.base + at, a.page));
		stats = pa_stats(a.fd);
		CHECK_EQ(stats.backed_inuse, a.page);
		CHECK_EQ(stats.backed, p == PAGEARENA_HUGE_NEVER ? a.page : huge);
		pa_check(&a);
		pa_close(&a);
	}
}

/* A page in each of many chunks: auto stops where too much is backed for nothing. */
static void test_huge_sparse(void)
{
	struct pagearena_stats stats;
	struct arena a;
	unsigned int p, i;

	for (p = 0; p < 3; p++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .huge = p });
		want_huge(&a);
		for (i = 0; i < 16; i++)
			CHECK(!pa_poke(a.base + pa_alloc(&a, a.page, huge_size(&a), 0), 1));
		stats = pa_stats(a.fd);
		if (p == PAGEARENA_HUGE_NEVER)
			CHECK_EQ(stats.huge_bytes, 0);
		else if (p == PAGEARENA_HUGE_ALWAYS)
			CHECK_EQ(stats.huge_bytes, 16 * huge_size(&a));
		else
			CHECK_OP(stats.backed_free, <=, MAX(4 * MiB, stats.heap_inuse / 4));
		pa_check(&a);
		pa_close(&a);
	}
}

/* A chunk of small spans with small pages, each filled with its number. */
static unsigned int fill_chunk(struct arena *a, __u64 **at)
{
	unsigned int nr = (unsigned int)(huge_size(a) / a->page), i;

	*at = calloc(nr, sizeof(**at));
	CHECK(*at);
	for (i = 0; i < nr; i++) {
		(*at)[i] = pa_alloc(a, a->page, i ? 0 : huge_size(a), 0);
		CHECK_EQ((*at)[i], (*at)[0] + i * a->page);
		pa_fill(a->base + (*at)[i], a->page, i);
	}
	return nr;
}

static void check_spans(struct arena *a, const __u64 *at, unsigned int nr, unsigned int step)
{
	unsigned int i;

	for (i = 0; i < nr; i += step)
		if (!pa_filled(a->base + at[i], a->page, i))
			pa_fail("span %u of %u lost its contents", i, nr);
}

static void test_promote(void)
{
	struct pagearena_promote req;
	struct pagearena_stats stats;
	struct arena a;
	unsigned int nr, i;
	__u64 *at, huge;

	pa_open(&a, small);
	want_huge(&a);
	huge = huge_size(&a);
	nr = fill_chunk(&a, &at);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 0);
	CHECK_EQ(pa_stats(a.fd).small_bytes, huge);
	CHECK_EQ(pa_promote(&a, at[0]), PAGEARENA_PROMOTE_DONE);
	check_spans(&a, at, nr, 1);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, huge);
	CHECK_EQ(pa_smaps(a.base, a.bytes).nr, 1);
	stats = pa_stats(a.fd);
	CHECK_EQ(stats.huge_bytes, huge);
	CHECK_EQ(stats.small_bytes, 0);
	CHECK_EQ(stats.nr_promote, 1);
	CHECK_EQ(stats.bytes_copied, huge);
	pa_check(&a);
	CHECK_EQ(pa_promote(&a, at[0]), PAGEARENA_PROMOTE_ALREADY);

	/* Part of it goes, if that is asked for: the rest stays, in small pages. */
	for (i = 0; i < nr; i++)
		if (i % 4)
			pa_free(&a, at[i]);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, huge);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 0);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, huge);
	check_spans(&a, at, nr, 4);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK), huge / 4 * 3);
	stats = pa_stats(a.fd);
	CHECK_EQ(stats.backed, huge / 4);
	CHECK_EQ(stats.huge_bytes, 0);
	CHECK_EQ(stats.nr_demote, 1);
	check_spans(&a, at, nr, 4);
	CHECK_EQ(pa_peek(a.base + at[1], NULL), SIGSEGV);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 0);
	CHECK_EQ(pa_smaps(a.base, a.bytes).rss, huge / 4);
	pa_check(&a);

	/* A quarter of it is not dense enough if half is asked for; else it comes back. */
	req = (struct pagearena_promote){ .size = sizeof(req), .offset = at[0], .length = huge,
					  .min_density = 50 };
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &req));
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_SPARSE], 1);
	CHECK_EQ(pa_stats(a.fd).nr_refused[PAGEARENA_PROMOTE_SPARSE], 1);
	CHECK_EQ(pa_promote(&a, at[0]), PAGEARENA_PROMOTE_DONE);
	stats = pa_stats(a.fd);
	CHECK_EQ(stats.huge_bytes, huge);
	CHECK_EQ(stats.backed_inuse, huge / 4);
	CHECK_EQ(stats.heap_released, stats.heap_idle - huge / 4 * 3);
	check_spans(&a, at, nr, 4);
	pa_check(&a);
	/* What is free in it is dirty, as far as ALLOC knows, and zero on request. */
	for (i = 0; i < nr; i++)
		if (i % 4)
			CHECK_EQ(pa_alloc(&a, a.page, 0, PAGEARENA_ALLOC_ZERO), at[i]);
	for (i = 0; i < nr; i++)
		if (i % 4)
			CHECK(pa_zero(a.base + at[i], a.page));
	check_spans(&a, at, nr, 4);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, huge);
	CHECK_EQ(pa_smaps(a.base, a.bytes).nr, 1);
	pa_check(&a);

	/* Whole, it goes without being asked twice. */
	for (i = 0; i < nr; i++)
		pa_free(&a, at[i]);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), huge);
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	pa_check(&a);
	pa_close(&a);
}

/* BREAK copies no more than it wins; FORCE does. */
static void test_break(void)
{
	struct arena a;
	unsigned int nr, i;
	__u64 *at, huge;

	pa_open(&a, small);
	want_huge(&a);
	huge = huge_size(&a);
	nr = fill_chunk(&a, &at);
	CHECK_EQ(pa_promote(&a, at[0]), PAGEARENA_PROMOTE_DONE);
	for (i = 0; i < nr; i++)
		if (i % 4 == 1)
			pa_free(&a, at[i]);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK), 0);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, huge);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE),
		 huge / 4);
	CHECK_EQ(pa_stats(a.fd).backed, huge / 4 * 3);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, 0);
	for (i = 0; i < nr; i++)
		if (i % 4 != 1)
			CHECK(pa_filled(a.base + at[i], a.page, i));
		else
			CHECK_EQ(pa_peek(a.base + at[i], NULL), SIGSEGV);
	pa_check(&a);
	pa_close(&a);
}

/* A dense chunk of small pages becomes huge by itself, unless that is switched off. */
static void test_background(void)
{
	unsigned int i, on;
	struct arena a;
	__u64 at, huge;

	for (on = 0; on < 2; on++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						      .huge = PAGEARENA_HUGE_ALWAYS });
		want_huge(&a);
		huge = huge_size(&a);
		at = pa_alloc(&a, huge, huge, 0);
		/* Small pages: what was huge is broken by a scavenging, and filled again. */
		pa_fill(a.base + at, huge, 1);
		pa_free(&a, at);
		CHECK_EQ(pa_alloc(&a, huge / 4, huge, 0), at);
		pa_fill(a.base + at, huge / 4, 2);
		CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK), huge / 4 * 3);
		CHECK_EQ(pa_stats(a.fd).huge_bytes, 0);
		CHECK(!pa_background_fd(a.fd, on ? 100 : 0));
		CHECK_EQ(pa_alloc(&a, huge / 4 * 3, 0, 0), at + huge / 4);
		pa_fill(a.base + at + huge / 4, huge / 4 * 3, 3);
		for (i = 0; i < (on ? 500 : 20) && !pa_stats(a.fd).nr_promote_background; i++)
			usleep(10000);
		CHECK_EQ(pa_stats(a.fd).huge_bytes, on ? huge : 0);
		CHECK_EQ(pa_stats(a.fd).nr_promote_background, on);
		CHECK(pa_filled(a.base + at, huge / 4, 2));
		CHECK(pa_filled(a.base + at + huge / 4, huge / 4 * 3, 3));
		CHECK(!pa_background_fd(a.fd, 0));
		usleep(100000);
		pa_check(&a);
		pa_close(&a);
	}
}

/* A range of chunks of each kind; the results are told one by one. */
static void test_promote_reasons(void)
{
	__u32 results[5] = { 99, 99, 99, 99, 99 };
	struct pagearena_promote req;
	struct arena a;
	__u64 at, next, huge;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 32 * MiB, .growth = 8 * MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	want_huge(&a);
	huge = huge_size(&a);
	/* Full; touched once; not touched; half scavenged; not grown. */
	at = pa_alloc(&a, 3 * huge + huge / 2, huge, 0);
	CHECK_EQ(at, 0);
	pa_fill(a.base, huge, 1);
	pa_fill(a.base + huge + huge / 2, 4096, 2);
	pa_fill(a.base + 3 * huge, 4096, 3);
	req = (struct pagearena_promote){
		.size = sizeof(req),
		.length = 5 * huge,
		.results = (uintptr_t)results,
		.nr_results = 4,
	};
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &req));
	CHECK_EQ(results[0], PAGEARENA_PROMOTE_DONE);
	CHECK_EQ(results[1], PAGEARENA_PROMOTE_DONE);
	CHECK_EQ(results[2], PAGEARENA_PROMOTE_EMPTY);
	CHECK_EQ(results[3], PAGEARENA_PROMOTE_DONE);
	CHECK_EQ(results[4], 99);
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_DONE], 3);
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_EMPTY], 2);
	CHECK(pa_filled(a.base, huge, 1));
	CHECK(pa_filled(a.base + huge + huge / 2, 4096, 2));
	CHECK(pa_zero(a.base + huge, huge / 2));
	CHECK(pa_zero(a.base + huge + huge / 2 + 4096, huge / 2 - 4096));
	CHECK(pa_filled(a.base + 3 * huge, 4096, 3));
	pa_check(&a);
	CHECK(!pa_promote_fd(a.fd, 0, a.bytes, &req));
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_ALREADY], 3);
	pa_close(&a);

	/* Part of a chunk beyond what the heap has grown to cannot be backed. */
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 32 * MiB, .growth = MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	at = pa_alloc(&a, MiB, 0, PAGEARENA_ALLOC_POPULATE);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_BUSY);
	pa_check(&a);

	/* A deadline that is over before a chunk is begun. */
	CHECK_EQ(pa_alloc(&a, MiB, 0, PAGEARENA_ALLOC_POPULATE), MiB);
	req = (struct pagearena_promote){ .size = sizeof(req), .length = huge, .deadline_ns = 1 };
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &req));
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_DEADLINE], 1);
	req = (struct pagearena_promote){ .size = sizeof(req), .length = huge,
					  .flags = PAGEARENA_PROMOTE_COMPACT,
					  .deadline_ns = ALL };
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &req));
	CHECK_EQ(req.counts[PAGEARENA_PROMOTE_DONE], 1);
	pa_check(&a);
	pa_close(&a);

	/* Promotion keeps to the limit: free memory of the chunk would count. */
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 32 * MiB, .limit = huge,
					      .huge = PAGEARENA_HUGE_NEVER });
	at = pa_alloc(&a, huge / 2, huge, PAGEARENA_ALLOC_POPULATE);
	next = pa_alloc(&a, huge / 2, huge, PAGEARENA_ALLOC_POPULATE);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_LIMIT);
	pa_free(&a, next);
	pa_scavenge(&a, ALL, 0, NULL);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	/* And what is free in it makes way again. */
	next = pa_alloc(&a, huge / 2, huge, PAGEARENA_ALLOC_POPULATE);
	CHECK_OP(pa_stats(a.fd).backed, <=, huge);
	CHECK_EQ(pa_stats(a.fd).nr_demote, 1);
	pa_check(&a);
	pa_close(&a);
}

static void pin(int pipe_end, void *addr, size_t len)
{
	struct iovec iov = { .iov_base = addr, .iov_len = len };

	if (vmsplice(pipe_end, &iov, 1, 0) != (ssize_t)len)
		SKIP("vmsplice: %s", strerror(errno));
}

/* A page that a pipe holds: PROMOTE says so, and nothing is lost. */
static void test_pinned_promote(void)
{
	const __u32 force = PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE;
	static char buf[65536];
	struct arena a;
	unsigned int nr;
	__u64 *at, huge;
	int ends[2];

	pa_open(&a, small);
	want_huge(&a);
	huge = huge_size(&a);
	nr = fill_chunk(&a, &at);
	CHECK(!pipe(ends));
	pin(ends[1], a.base + at[7], a.page);
	CHECK_EQ(pa_promote(&a, at[0]), PAGEARENA_PROMOTE_PINNED);
	check_spans(&a, at, nr, 1);
	CHECK_EQ(pa_stats(a.fd).small_bytes, huge);
	pa_check(&a);
	/* The pipe and the mapping still see one page. */
	pa_fill(a.base + at[7], a.page, 777);
	CHECK_EQ(read(ends[0], buf, a.page), a.page);
	CHECK(pa_filled(buf, a.page, 777));
	pa_fill(a.base + at[7], a.page, 7);
	CHECK_EQ(pa_promote(&a, at[0]), PAGEARENA_PROMOTE_DONE);
	check_spans(&a, at, nr, 1);
	pa_check(&a);

	/* The same for taking it apart. */
	pin(ends[1], a.base + at[7], a.page);
	pa_free(&a, at[8]);
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, force), 0);
	CHECK_EQ(pa_stats(a.fd).nr_demote_failed, 1);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, huge);
	CHECK(pa_filled(a.base + at[7], a.page, 7));
	pa_check(&a);
	pa_fill(a.base + at[7], a.page, 778);
	CHECK_EQ(read(ends[0], buf, a.page), a.page);
	CHECK(pa_filled(buf, a.page, 778));
	CHECK_EQ(pa_scavenge_flags(&a, ALL, 0, force), a.page);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, 0);
	CHECK(pa_filled(a.base + at[7], a.page, 778));
	pa_fill(a.base + at[7], a.page, 7);
	CHECK_EQ(pa_alloc(&a, a.page, 0, 0), at[8]);
	pa_fill(a.base + at[8], a.page, 8);
	check_spans(&a, at, nr, 1);
	pa_check(&a);
	pa_close(&a);
}

/* A released page that a pipe holds is never handed out again under it. */
static void test_pinned_release(void)
{
	static const __u32 policies[] = { PAGEARENA_HUGE_NEVER, PAGEARENA_HUGE_AUTO };
	static char buf[65536];
	struct arena a;
	__u64 at, len;
	unsigned int p;
	int ends[2];

	CHECK(!pipe(ends));
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						      .huge = policies[p] });
		len = p ? huge_size(&a) : a.page;
		at = pa_alloc(&a, len, len, 0);
		pa_fill(a.base + at, len, 1);
		memcpy(buf, a.base + at, a.page);
		pin(ends[1], a.base + at, a.page);
		pa_free(&a, at);
		CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), len);
		CHECK_EQ(pa_alloc(&a, len, len, PAGEARENA_ALLOC_ZERO), at);
		CHECK(pa_zero(a.base + at, len));
		pa_fill(a.base + at, len, 2);
		CHECK_EQ(read(ends[0], buf, a.page), a.page);
		CHECK(pa_filled(buf, a.page, 1));
		CHECK(pa_filled(a.base + at, len, 2));
		pa_check(&a);
		/* And one that outlives its arena. */
		pin(ends[1], a.base + at, a.page);
		pa_close(&a);
		CHECK_EQ(read(ends[0], buf, a.page), a.page);
		CHECK(pa_filled(buf, a.page, 2));
	}
}

/* Advice that the kernel takes for files changes no contents here, or is refused. */
static void test_madvise(void)
{
	static const struct {
		int advice;
		const char *name;
	} table[] = {
		{ MADV_NORMAL, "NORMAL" }, { MADV_RANDOM, "RANDOM" },
		{ MADV_SEQUENTIAL, "SEQUENTIAL" }, { MADV_WILLNEED, "WILLNEED" },
		{ MADV_DONTNEED, "DONTNEED" }, { MADV_FREE, "FREE" }, { MADV_REMOVE, "REMOVE" },
		{ MADV_MERGEABLE, "MERGEABLE" }, { MADV_UNMERGEABLE, "UNMERGEABLE" },
		{ MADV_HUGEPAGE, "HUGEPAGE" }, { 25, "COLLAPSE" }, { 20, "COLD" },
		{ 21, "PAGEOUT" }, { 22, "POPULATE_READ" }, { 23, "POPULATE_WRITE" },
		{ 24, "DONTNEED_LOCKED" }, { MADV_DONTDUMP, "DONTDUMP" },
		{ MADV_DODUMP, "DODUMP" }, { MADV_WIPEONFORK, "WIPEONFORK" },
		{ MADV_KEEPONFORK, "KEEPONFORK" }, { MADV_NOHUGEPAGE, "NOHUGEPAGE" },
	};
	__u64 at, huge, len;
	struct arena a;
	unsigned int i, p;

	for (p = 0; p < 2; p++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						      .huge = p ? PAGEARENA_HUGE_AUTO :
								  PAGEARENA_HUGE_NEVER });
		huge = huge_size(&a);
		len = huge > 16 * MiB ? MiB : huge;
		at = pa_alloc(&a, len, huge > 16 * MiB ? 0 : huge, 0);
		pa_fill(a.base + at, len, 3);
		for (i = 0; i < ARRAY_SIZE(table); i++) {
			madvise(a.base + at, len, table[i].advice);
			pa_expect(pa_filled(a.base + at, len, 3), "MADV_%s changed memory",
				  table[i].name);
			/* Over memory that is not allocated, too. */
			madvise(a.base, a.bytes, table[i].advice);
			pa_expect(pa_filled(a.base + at, len, 3), "MADV_%s changed memory",
				  table[i].name);
			CHECK_EQ(pa_stats(a.fd).backed, len);
		}
		mlock(a.base + at, len);
		CHECK(pa_filled(a.base + at, len, 3));
		munlock(a.base + at, len);
		pa_check(&a);
		pa_close(&a);
	}
}

/* As a program may do instead of touching: faults are made before they are needed. */
static void test_populate_write(void)
{
	struct arena a;
	__u64 at, faults;

	pa_open(&a, small);
	at = pa_alloc(&a, MiB, 0, 0);
	if (madvise(a.base + at, MiB, 23 /* MADV_POPULATE_WRITE */))
		SKIP("MADV_POPULATE_WRITE: %s", strerror(errno));
	CHECK_EQ(pa_stats(a.fd).backed, MiB);
	faults = pa_stats(a.fd).nr_fault;
	CHECK(pa_zero(a.base + at, MiB));
	pa_fill(a.base + at, MiB, 1);
	CHECK_EQ(pa_stats(a.fd).nr_fault, faults);
	CHECK_EQ(pa_smaps(a.base, a.bytes).rss, MiB);
	CHECK(madvise(a.base + at, 2 * MiB, 23) && errno == EFAULT);
	CHECK_EQ(pa_stats(a.fd).backed, MiB);
	pa_check(&a);
	pa_close(&a);
}

/* STATS, SPANS, QUERY and the recount after each step of a life. */
static void test_steps(void)
{
	static const __u64 pages[] = { 4096, 8192, 65536, 2 << 20 };
	static const __u64 granules[] = { 4096, 65536 };
	unsigned int i, g, s, huge, fit;
	__u64 at[8];
	struct arena a;

	for (i = 0; i < ARRAY_SIZE(pages) * ARRAY_SIZE(granules); i++) {
		g = i / ARRAY_SIZE(pages);
		huge = i % 3;
		fit = i % 4;
		if (granules[g] < (__u64)getpagesize())
			continue;
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 32 * MiB,
						      .span_page = pages[i % 4],
						      .granule = granules[g],
						      .growth = 8 * MiB,
						      .fit = fit,
						      .huge = huge });
		pa_check(&a);
		for (s = 0; s < ARRAY_SIZE(at); s++) {
			at[s] = pa_alloc(&a, a.page * (1 + s % 2), 0,
					 s % 3 ? 0 : PAGEARENA_ALLOC_POPULATE);
			pa_check(&a);
			pa_fill(a.base + at[s], a.page * (1 + s % 2), s);
			pa_check(&a);
		}
		for (s = 1; s < ARRAY_SIZE(at); s += 2) {
			pa_free(&a, at[s]);
			pa_check(&a);
			pa_scavenge(&a, 1, 0, NULL);
			pa_check(&a);
		}
		CHECK(!pa_promote_fd(a.fd, 0, a.bytes, NULL));
		pa_check(&a);
		for (s = 0; s < ARRAY_SIZE(at); s += 2) {
			CHECK(pa_filled(a.base + at[s], a.page * (1 + s % 2), s));
			pa_free(&a, at[s]);
			pa_check(&a);
		}
		pa_scavenge(&a, ALL, 0, NULL);
		pa_check(&a);
		CHECK_EQ(pa_stats(a.fd).heap_released, pa_stats(a.fd).heap_sys);
		pa_close(&a);
	}
}

static const struct pa_test tests[] = {
	{ "fresh memory is zero", test_fresh },
	{ "contents survive the release of neighbours", test_neighbours },
	{ "zeroing on request", test_alloc_zero },
	{ "what ALLOC says of zero and backed is so", test_flags },
	{ "ALLOC_ZERO holds after stray writes", test_stray },
	{ "backing at once", test_populate },
	{ "outside of spans there is no memory", test_outside },
	{ "released memory comes back as zero", test_comeback },
	{ "debug: a freed span is out of reach", test_debug },
	{ "RSS, STATS and cgroup agree", test_figures },
	{ "the creator's cgroup pays", test_creator_pays },
	{ "scavenging by amount", test_scavenge_bytes },
	{ "scavenging by age", test_scavenge_age },
	{ "granules above the span page", test_granules },
	{ "a mapping is aligned for huge pages", test_aligned_mapping },
	{ "huge policies", test_huge_policies },
	{ "huge policies and sparse use", test_huge_sparse },
	{ "promotion, and release of a part", test_promote },
	{ "breaking huge folios", test_break },
	{ "background promotion", test_background },
	{ "promotion tells its reasons", test_promote_reasons },
	{ "promotion and pinned pages", test_pinned_promote },
	{ "release and pinned pages", test_pinned_release },
	{ "madvise", test_madvise },
	{ "madvise populates", test_populate_write },
	{ "all figures after each step", test_steps },
};

PA_MAIN(tests)
