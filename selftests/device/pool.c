// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Huge folios that are zeroed in advance: a first touch takes one and finds zeroes, whatever
 * was in them before; there are never more than were asked for; they are charged, limited and
 * told as other memory is; and they go before anything else.
 *
 * PA_POOL_SECONDS is how long the random tests last (default 4).
 */
#include <pthread.h>
#include <sys/stat.h>

#include "pa_test.h"

#define CHUNK		(2 * MiB)
#define PAGE		pa_page
#define SECOND		1000000000ULL
#define MS		1000000ULL

#define SHRINKERS	"/sys/kernel/debug/shrinker"
#define DROP_CACHES	"/proc/sys/vm/drop_caches"
#define STAT_REFRESH	"/proc/sys/vm/stat_refresh"
#define FAIL_PAGES	"/sys/kernel/debug/fail_page_alloc"
#define FAIL_SLAB	"/sys/kernel/debug/failslab"

/* Nothing is waited for any longer; it only bounds what hangs. */
#define PATIENCE_MS	60000

static int pool_fd(int fd, __u64 bytes)
{
	struct pagearena_policy req = { .set = PAGEARENA_POLICY_POOL, .pool_bytes = bytes };

	return pa_policy_fd(fd, &req);
}

static void pool_set(struct arena *a, __u64 bytes)
{
	CHECK(!pool_fd(a->fd, bytes));
}

static void limit_set(struct arena *a, __u64 bytes, bool soft)
{
	struct pagearena_policy req = { .set = PAGEARENA_POLICY_LIMIT,
					.limit = bytes,
					.limit_soft = soft };

	CHECK(!pa_policy_fd(a->fd, &req));
}

static void open_pool(struct arena *a, __u64 bytes, __u32 huge)
{
	struct pagearena_setup setup = {
		.arena_bytes = bytes,
		.fit = PAGEARENA_FIT_BEST,
		.huge = huge,
	};
	__u64 at;

	/* The tests wait for the pool, and little else goes on. */
	pa_set(PARAMETERS "pool_percent", "100");
	pa_open(a, setup);
	if (huge != PAGEARENA_HUGE_ALWAYS)
		return;
	at = pa_alloc(a, CHUNK, CHUNK, 0);
	CHECK(!pa_poke(a->base + at, 1));
	if (pa_stats(a->fd).huge_bytes != CHUNK)
		SKIP("there are no huge folios");
	pa_free(a, at);
	pa_scavenge(a, ALL, 0, NULL);
	CHECK_EQ(pa_stats(a->fd).backed, 0);
}

struct want {
	struct arena *a;
	__u64 set;
	__u64 bytes;
};

/*
 * Has the pool what is wanted?  To set its size is demand; it is repeated, as memory may have
 * been short for a moment.
 */
static bool pool_has(void *arg)
{
	struct want *w = arg;
	__u64 bytes = pa_stats(w->a->fd).pool_bytes;

	CHECK_OP(bytes, <=, w->set);
	if (bytes >= w->bytes)
		return true;
	pool_set(w->a, w->set);
	return false;
}

static void pool_wait(struct arena *a, __u64 set, __u64 bytes)
{
	struct want w = { a, set, bytes };

	pool_set(a, set);
	if (!pa_wait_until(pool_has, &w, PATIENCE_MS))
		pa_fail("the pool has %llu bytes instead of %llu",
			(unsigned long long)pa_stats(a->fd).pool_bytes,
			(unsigned long long)bytes);
}

static void pool_full(struct arena *a, __u64 bytes)
{
	pool_wait(a, bytes, bytes);
}

/* What STATS says of the pool hangs together. */
static struct pagearena_stats pool_check(struct arena *a)
{
	struct pagearena_stats st = pa_stats(a->fd);

	CHECK_EQ(st.bytes_pool_zeroed,
		 st.pool_bytes + st.bytes_pool_unused + st.nr_pool_hit * CHUNK);
	CHECK_EQ(st.pool_bytes % CHUNK, 0);
	CHECK_EQ(st.backed, st.huge_bytes + st.small_bytes);
	CHECK_EQ(st.backed, st.backed_inuse + st.backed_free);
	return st;
}

static __u64 huge_span(struct arena *a, __u64 len)
{
	return pa_alloc(a, len, CHUNK, 0);
}

/* Puts something into each page. */
static void touch(char *base, __u64 len, __u64 seed)
{
	__u64 i;

	for (i = 0; i < len; i += PAGE)
		*(__u64 *)(base + i) = seed + i + 1;
}

static bool touched(const char *base, __u64 len, __u64 seed)
{
	__u64 i;

	for (i = 0; i < len; i += PAGE)
		if (*(const __u64 *)(base + i) != seed + i + 1)
			return false;
	return true;
}

/* A new arena has none, and nothing is ever zeroed for it. */
static void test_off(void)
{
	struct pagearena_stats st;
	struct arena a;
	__u64 at;

	if (pa_read_u64(PARAMETERS "pool_kib"))
		SKIP("the module was loaded with a pool");
	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	CHECK_EQ(pa_policy(a.fd).pool_bytes, 0);
	at = huge_span(&a, 4 * CHUNK);
	CHECK(pa_zero(a.base + at, 4 * CHUNK));
	st = pool_check(&a);
	CHECK_EQ(st.huge_bytes, 4 * CHUNK);
	CHECK_EQ(st.pool_bytes, 0);
	CHECK_EQ(st.bytes_pool_zeroed, 0);
	CHECK_EQ(st.nr_pool_hit, 0);
	CHECK_EQ(st.nr_pool_miss, 0);
	CHECK_EQ(st.pool_ns, 0);
	pa_close(&a);
}

/* As many first touches as the pool has folios clear nothing. */
static void test_hit(void)
{
	struct pagearena_stats st, was;
	struct arena a;
	unsigned int i;
	__u64 at;

	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	pool_full(&a, 4 * CHUNK);
	was = pool_check(&a);
	CHECK_EQ(was.backed, 0);
	CHECK_EQ(was.nr_pool_hit, 0);
	CHECK_EQ(was.nr_pool_miss, 0);
	CHECK_OP(was.pool_ns, >, 0);
	at = huge_span(&a, 4 * CHUNK);
	CHECK_EQ(pa_stats(a.fd).pool_bytes, 4 * CHUNK);
	for (i = 0; i < 4; i++) {
		CHECK(pa_zero(a.base + at + i * CHUNK, CHUNK));
		st = pool_check(&a);
		CHECK_EQ(st.nr_pool_hit, i + 1);
		CHECK_EQ(st.huge_bytes, (i + 1) * CHUNK);
		pa_fill(a.base + at + i * CHUNK, CHUNK, i);
	}
	CHECK_EQ(st.nr_pool_miss, 0);
	CHECK_EQ(st.bytes_zeroed, was.bytes_zeroed);
	CHECK_EQ(pa_smaps(a.base, a.bytes).rss, 4 * CHUNK);
	if (pa_info(a.fd).pmd_size == CHUNK)
		CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 4 * CHUNK);
	/* What was taken is made anew, and ALLOC's POPULATE takes it, too. */
	pool_full(&a, 4 * CHUNK);
	CHECK_EQ(pa_alloc(&a, 3 * CHUNK, CHUNK, PAGEARENA_ALLOC_POPULATE), at + 4 * CHUNK);
	st = pool_check(&a);
	CHECK_EQ(st.nr_pool_hit, 7);
	CHECK_EQ(st.nr_pool_miss, 0);
	CHECK_EQ(st.huge_bytes, 7 * CHUNK);
	CHECK(pa_zero(a.base + at + 4 * CHUNK, 3 * CHUNK));
	for (i = 0; i < 4; i++)
		CHECK(pa_filled(a.base + at + i * CHUNK, CHUNK, i));
	pa_check(&a);
	pa_close(&a);
}

/* A pool by the module's parameter does nothing before a huge folio is wanted. */
static void test_demand(void)
{
	struct pagearena_stats st;
	struct arena a;
	unsigned int i;
	__u64 at, end;

	pa_set(PARAMETERS "pool_kib", "4096");
	open_pool(&a, 256 * MiB, PAGEARENA_HUGE_NEVER);
	CHECK_EQ(pa_policy(a.fd).pool_bytes, 4 * MiB);
	pa_close(&a);
	open_pool(&a, 256 * MiB, PAGEARENA_HUGE_AUTO);
	at = huge_span(&a, 64 * CHUNK);
	CHECK_EQ(pa_stats(a.fd).bytes_pool_zeroed, 0);
	/* From the first miss on there is one, sooner or later. */
	for (i = 0, end = pa_now() + PATIENCE_MS * MS; i < 64; i++) {
		CHECK(pa_zero(a.base + at + i * CHUNK, PAGE));
		st = pool_check(&a);
		if (!i && !st.huge_bytes)
			SKIP("there are no huge folios");
		CHECK_EQ(st.nr_pool_hit + st.nr_pool_miss, st.huge_bytes / CHUNK);
		CHECK_OP(st.pool_bytes, <=, 4 * MiB);
		if (!i)
			CHECK_EQ(st.nr_pool_miss, 1);
		if (st.nr_pool_hit)
			break;
		while (!pa_stats(a.fd).pool_bytes && i < 63 && pa_now() < end)
			usleep(10000);
	}
	CHECK_OP(st.nr_pool_hit, >, 0);
	pa_say("the first hit after %llu misses", (unsigned long long)st.nr_pool_miss);
	pa_check(&a);
	pa_close(&a);
}

/* Nothing of what was in a folio before is ever seen. */
static void test_zero(void)
{
	const __u64 len = 8 * CHUNK;
	struct arena a, b;
	unsigned int round;
	__u64 at;

	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	open_pool(&b, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	for (round = 0; round < 4; round++) {
		/* Dirty folios go back, and are what lies ready then. */
		at = huge_span(&a, len);
		pa_fill(a.base + at, len, round);
		pa_free(&a, at);
		pa_scavenge(&a, ALL, 0, NULL);
		CHECK_EQ(pa_stats(a.fd).backed, 0);
		pool_full(&b, len);
		at = huge_span(&b, len);
		CHECK(pa_zero(b.base + at, len));
		CHECK_EQ(pool_check(&b).nr_pool_hit, (round + 1) * len / CHUNK);
		pa_fill(b.base + at, len, ~(__u64)round);
		pa_free(&b, at);
		pa_scavenge(&b, ALL, 0, NULL);
		CHECK_EQ(pa_stats(b.fd).pool_bytes, 0);
		/* And in the arena that had them. */
		pool_full(&a, len);
		at = huge_span(&a, len);
		CHECK(pa_zero(a.base + at, len));
		pa_fill(a.base + at, len, round);
		CHECK(pa_filled(a.base + at, len, round));
		pa_free(&a, at);
		pa_scavenge(&a, ALL, 0, NULL);
	}
	pa_check(&a);
	pa_check(&b);
	pa_close(&a);
	pa_close(&b);
}

/* Its size can be set at any time, and holds at once where it is less. */
static void test_size(void)
{
	static const __u64 sizes[] = { 8, 2, 6, 0, 4, 3, 1, 5 };
	struct pagearena_stats st;
	struct arena a;
	unsigned int i;
	__u64 at, has;

	open_pool(&a, 32 * MiB, PAGEARENA_HUGE_ALWAYS);
	at = huge_span(&a, CHUNK);
	pa_fill(a.base + at, CHUNK, 1);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		has = pa_stats(a.fd).pool_bytes;
		pool_set(&a, sizes[i] * MiB);
		CHECK_EQ(pa_policy(a.fd).pool_bytes, sizes[i] * MiB);
		st = pool_check(&a);
		CHECK_OP(st.pool_bytes, <=, sizes[i] * MiB);
		CHECK_OP(st.pool_bytes, >=, MIN(has, ALIGN_DOWN(sizes[i] * MiB, CHUNK)));
		pool_wait(&a, sizes[i] * MiB, ALIGN_DOWN(sizes[i] * MiB, CHUNK));
		CHECK_EQ(pool_check(&a).pool_bytes, ALIGN_DOWN(sizes[i] * MiB, CHUNK));
		pa_check(&a);
		pa_fdinfo_check(a.fd);
	}
	/* More than all of the arena could use is not made. */
	pool_wait(&a, ALL, a.bytes);
	CHECK_EQ(pool_check(&a).pool_bytes, a.bytes);
	CHECK_EQ(pa_policy(a.fd).pool_bytes, ALL);
	pool_set(&a, 0);
	st = pool_check(&a);
	CHECK_EQ(st.pool_bytes, 0);
	CHECK_EQ(st.bytes_pool_unused, st.bytes_pool_zeroed);
	CHECK(pa_filled(a.base + at, CHUNK, 1));
	pa_check(&a);
	pa_close(&a);
}

/* Callers that know the structure as it was change nothing here. */
static void test_old_policy(void)
{
	struct pagearena_policy req = {
		.size = offsetof(struct pagearena_policy, pool_bytes),
		.set = PAGEARENA_POLICY_RETAIN_PERCENT,
		.retain_percent = 20,
	};
	struct arena a;

	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	pool_full(&a, 2 * CHUNK);
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_POLICY, &req));
	CHECK_EQ(req.pool_bytes, 0);
	CHECK_EQ(pa_policy(a.fd).pool_bytes, 2 * CHUNK);
	CHECK_EQ(pa_stats(a.fd).pool_bytes, 2 * CHUNK);
	/* A value that is not said to be set must be 0. */
	req = (struct pagearena_policy){ .pool_bytes = CHUNK };
	CHECK_ERR(pa_policy_fd(a.fd, &req), EINVAL);
	CHECK_EQ(pa_policy(a.fd).pool_bytes, 2 * CHUNK);
	pa_close(&a);
}

/* Arenas whose first touches take no huge folios have no use for one. */
static void test_no_huge(void)
{
	struct pagearena_setup debug = { .arena_bytes = 64 * MiB,
					 .flags = PAGEARENA_SETUP_DEBUG,
					 .huge = PAGEARENA_HUGE_ALWAYS };
	struct pagearena_stats st;
	struct arena a;
	unsigned int i;
	__u64 at;

	for (i = 0; i < 2; i++) {
		if (i)
			pa_open(&a, debug);
		else
			open_pool(&a, 64 * MiB, PAGEARENA_HUGE_NEVER);
		pool_set(&a, 4 * CHUNK);
		at = huge_span(&a, CHUNK);
		CHECK(pa_zero(a.base + at, CHUNK));
		usleep(50000);
		st = pool_check(&a);
		CHECK_EQ(st.huge_bytes, 0);
		CHECK_EQ(st.bytes_pool_zeroed, 0);
		CHECK_EQ(st.nr_pool_hit + st.nr_pool_miss, 0);
		pa_check(&a);
		pa_close(&a);
	}
}

/* SCAVENGE of all there is empties it, and it stays so until a huge folio is wanted. */
static void test_scavenge(void)
{
	struct pagearena_stats st;
	__u64 at, backed, end;
	struct arena a;

	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	at = huge_span(&a, 2 * CHUNK);
	pa_fill(a.base + at, 2 * CHUNK, 1);
	pool_full(&a, 4 * CHUNK);
	pa_free(&a, at);
	/* What is old, and less than all there is: that is not the pool. */
	CHECK_EQ(pa_scavenge(&a, ALL, 1000 * SECOND, &backed), 0);
	CHECK_EQ(pa_scavenge(&a, CHUNK, 0, &backed), 2 * CHUNK);
	CHECK_EQ(backed, 2 * CHUNK);
	CHECK_EQ(pa_stats(a.fd).pool_bytes, 4 * CHUNK);
	/* It is not what was behind spans. */
	CHECK_EQ(pa_scavenge(&a, ALL, 0, &backed), 0);
	CHECK_EQ(backed, 0);
	st = pool_check(&a);
	CHECK_EQ(st.backed, 0);
	CHECK_EQ(st.pool_bytes, 0);
	CHECK_EQ(st.bytes_pool_unused, 4 * CHUNK);
	usleep(100000);
	CHECK_EQ(pa_stats(a.fd).bytes_pool_zeroed, st.bytes_pool_zeroed);
	CHECK_EQ(pa_policy(a.fd).pool_bytes, 4 * CHUNK);
	at = huge_span(&a, CHUNK);
	CHECK(pa_zero(a.base + at, CHUNK));
	CHECK_EQ(pa_stats(a.fd).nr_pool_miss, st.nr_pool_miss + 1);
	for (end = pa_now() + PATIENCE_MS * MS; !pa_stats(a.fd).pool_bytes && pa_now() < end;)
		usleep(10000);
	CHECK_OP(pa_stats(a.fd).pool_bytes, >, 0);
	pa_check(&a);
	pa_close(&a);
}

static bool pool_empty(void *arg)
{
	return !pa_stats(((struct arena *)arg)->fd).pool_bytes;
}

/* A pool that nobody takes from goes back by itself. */
static void test_idle(void)
{
	struct arena a;

	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	pool_full(&a, 4 * CHUNK);
	pa_scavenging(&a, 1, 0, MS);
	CHECK(pa_wait_until(pool_empty, &a, PATIENCE_MS));
	CHECK_EQ(pool_check(&a).bytes_pool_unused, 4 * CHUNK);
	pa_scavenging(&a, 0, 0, MS);
	pool_full(&a, 4 * CHUNK);
	pa_check(&a);
	pa_close(&a);
}

/* Under a limit, what the arena holds is never more, and nothing fails because of the pool. */
static void test_limit(void)
{
	const __u64 limit = 8 * CHUNK;
	struct pagearena_stats st;
	struct arena a;
	__u64 at, i, sum;

	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	limit_set(&a, limit, false);
	at = huge_span(&a, 2 * CHUNK);
	pool_wait(&a, 16 * CHUNK, 6 * CHUNK);
	CHECK_EQ(pool_check(&a).pool_bytes, 6 * CHUNK);
	touch(a.base + at, 2 * CHUNK, 1);
	for (i = 0; i < 6; i++) {
		__u64 next = huge_span(&a, CHUNK);

		st = pool_check(&a);
		CHECK_OP(st.heap_inuse + st.backed_free + st.pool_bytes, <=, limit);
		touch(a.base + next, CHUNK, i);
		st = pool_check(&a);
		sum = st.heap_inuse + st.backed_free + st.pool_bytes;
		CHECK_OP(sum, <=, limit);
		CHECK_OP(st.backed + st.pool_bytes, <=, limit);
		pa_check(&a);
	}
	CHECK_EQ(st.pool_bytes, 0);
	CHECK_EQ(st.backed, limit);
	CHECK_EQ(st.nr_fault_failed, 0);
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, NULL), ENOMEM);
	CHECK(touched(a.base + at, 2 * CHUNK, 1));

	/* A lower limit is kept to, and takes from the pool first. */
	limit_set(&a, 0, false);
	pool_full(&a, 4 * CHUNK);
	pa_free(&a, at);
	CHECK_EQ(pa_stats(a.fd).backed_free, 2 * CHUNK);
	limit_set(&a, 9 * CHUNK, false);
	st = pool_check(&a);
	CHECK_EQ(st.backed, 8 * CHUNK);
	CHECK_OP(st.pool_bytes, <=, CHUNK);
	CHECK_EQ(st.bytes_limited, 0);
	limit_set(&a, 6 * CHUNK, false);
	st = pool_check(&a);
	CHECK_EQ(st.backed, 6 * CHUNK);
	CHECK_EQ(st.pool_bytes, 0);
	pa_check(&a);
	pa_close(&a);
}

/* Promotion may have what the pool has of the limit. */
static void test_promote(void)
{
	const __u64 half = CHUNK / 2;
	struct arena a;
	__u64 at, rest;

	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	at = pa_alloc(&a, half, CHUNK, 0);
	rest = pa_alloc(&a, half, 0, 0);
	CHECK_EQ(rest, at + half);
	pa_fill(a.base + at, half, 1);
	pa_free(&a, rest);
	pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, 0);
	CHECK_EQ(pa_stats(a.fd).backed, half);
	limit_set(&a, half + CHUNK, false);
	pool_wait(&a, CHUNK, CHUNK);
	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	CHECK_EQ(pool_check(&a).pool_bytes, 0);
	CHECK_EQ(pa_stats(a.fd).backed, CHUNK);
	CHECK(pa_filled(a.base + at, half, 1));
	pa_check(&a);
	pa_close(&a);
}

/* The same where the limit is a goal: before anything is backed beyond it, the pool goes. */
static void test_soft_limit(void)
{
	const __u64 limit = 4 * CHUNK;
	struct pagearena_stats st;
	struct arena a;
	__u64 at, i;

	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	limit_set(&a, limit, true);
	pool_wait(&a, 16 * CHUNK, limit);
	CHECK_EQ(pool_check(&a).pool_bytes, limit);
	at = huge_span(&a, 6 * CHUNK);
	for (i = 0; i < 6; i++) {
		touch(a.base + at + i * CHUNK, CHUNK, i);
		st = pool_check(&a);
		if ((i + 1) * CHUNK <= limit)
			CHECK_OP(st.backed + st.pool_bytes, <=, limit);
		else
			CHECK_EQ(st.pool_bytes, 0);
	}
	CHECK_EQ(st.nr_fault_failed, 0);
	CHECK_EQ(st.backed, 6 * CHUNK);
	for (i = 0; i < 6; i++)
		CHECK(touched(a.base + at + i * CHUNK, CHUNK, i));
	pa_check(&a);
	pa_close(&a);
}

/* Pressure */

static bool refresh(void)
{
	char text[64];

	return pa_read_text(STAT_REFRESH, text, sizeof(text));
}

static __u64 node_reclaimable(void)
{
	FILE *f = fopen("/proc/vmstat", "re");
	unsigned long long pages = 0, value;
	char line[128];

	refresh();
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "nr_kernel_misc_reclaimable %llu", &value) == 1)
			pages = value;
	fclose(f);
	return pages * (__u64)getpagesize();
}

static __u64 kernel_only(const struct cgroup *cg)
{
	static const char *const others[] = { "slab", "pagetables", "sec_pagetables", "percpu",
					      "kernel_stack", "sock", "vmalloc" };
	__u64 kernel = pa_cgroup_key(cg, "memory.stat", "kernel"), sum = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		sum += pa_cgroup_key(cg, "memory.stat", others[i]);
	return kernel - MIN(kernel, sum);
}

/* What the kernel has on its books, without this arena. */
struct books {
	struct cgroup cg;
	__u64 node;
	__u64 kernel;
	__u64 charge;
};

static void books_open(struct books *b)
{
	b->cg = pa_cgroup_make(NULL, true);
	pa_cgroup_join(&b->cg);
}

static void books_begin(struct books *b)
{
	b->node = node_reclaimable();
	b->kernel = kernel_only(&b->cg);
	b->charge = pa_cgroup_get(&b->cg, "memory.current");
}

/* For an arena whose pool is at rest. */
static void books_agree(struct books *b, struct arena *a, const char *step)
{
	struct pagearena_stats st = pool_check(a);
	__s64 slack = (__s64)pa_cgroup_slack(), kernel, charge, node;
	__u64 held = st.backed + st.pool_bytes;

	pa_check(a);
	pa_fdinfo_check(a->fd);
	CHECK_EQ(pa_smaps(a->base, a->bytes).rss, st.backed);
	node = (__s64)(node_reclaimable() - b->node);
	/* To the byte, where the counters of the CPUs can be added up. */
	if (refresh() && node != (__s64)(st.reclaimable + st.pool_bytes))
		pa_fail("%s: the node has %lld reclaimable, the arena %llu, its pool %llu", step,
			(long long)node, (unsigned long long)st.reclaimable,
			(unsigned long long)st.pool_bytes);
	kernel = (__s64)(kernel_only(&b->cg) - b->kernel - held);
	charge = (__s64)(pa_cgroup_get(&b->cg, "memory.current") - b->charge - held);
	if (kernel > slack || kernel < -slack)
		pa_fail("%s: memory.stat is off by %lld", step, (long long)kernel);
	if (charge > 2 * slack || charge < -slack)
		pa_fail("%s: memory.current is off by %lld", step, (long long)charge);
}

static void ask_back(const struct cgroup *cg, __u64 bytes)
{
	char path[192], text[32];

	snprintf(path, sizeof(path), "%s/memory.reclaim", cg->path);
	if (access(path, F_OK))
		SKIP("no memory.reclaim");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	pa_write_text(path, text);
}

/* Charged, told and counted as reclaimable to the byte, whatever happens to it. */
static void test_exact(void)
{
	struct books b;
	struct arena a;
	__u64 at, i;

	books_open(&b);
	refresh();
	open_pool(&a, 128 * MiB, PAGEARENA_HUGE_ALWAYS);
	books_begin(&b);
	pool_full(&a, 8 * CHUNK);
	books_agree(&b, &a, "filled");
	at = huge_span(&a, 8 * CHUNK);
	books_agree(&b, &a, "allocated");
	for (i = 0; i < 8; i++) {
		touch(a.base + at + i * CHUNK, CHUNK, i);
		pool_full(&a, 8 * CHUNK);
		books_agree(&b, &a, "taken and filled again");
	}
	CHECK_EQ(pa_stats(a.fd).nr_pool_hit, 8);
	pa_free(&a, at);
	books_agree(&b, &a, "freed");
	pool_set(&a, 3 * CHUNK);
	books_agree(&b, &a, "smaller");
	pa_scavenge(&a, ALL, 0, NULL);
	books_agree(&b, &a, "scavenged");
	CHECK_EQ(pa_stats(a.fd).pool_bytes, 0);
	pool_full(&a, 8 * CHUNK);
	ask_back(&b.cg, CHUNK);
	books_agree(&b, &a, "reclaimed in part");
	CHECK_OP(pa_stats(a.fd).pool_bytes, <, 8 * CHUNK);
	/* Not filled again at once, and when it was, it all goes with the arena. */
	pool_full(&a, 8 * CHUNK);
	books_agree(&b, &a, "filled once more");
	pa_close(&a);
	CHECK_EQ(node_reclaimable(), b.node);
	CHECK_OP(pa_cgroup_get(&b.cg, "memory.current"), <=, b.charge + pa_cgroup_slack());
	pa_cgroup_quit();
}

/* What was zeroed in advance goes before what is warm, and that before nothing that is live. */
static void test_first(void)
{
	const __u64 len = 4 * CHUNK;
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct pagearena_stats st;
	__u64 keep, warm;
	unsigned int i;
	struct arena a;

	pa_cgroup_join(&cg);
	open_pool(&a, 128 * MiB, PAGEARENA_HUGE_ALWAYS);
	keep = huge_span(&a, len);
	pa_fill(a.base + keep, len, 1);
	warm = huge_span(&a, len);
	pa_fill(a.base + warm, len, 2);
	pool_full(&a, len);
	pa_free(&a, warm);
	CHECK_EQ(pa_stats(a.fd).reclaimable, len);
	for (i = 0; i < 200; i++) {
		ask_back(&cg, CHUNK);
		st = pool_check(&a);
		/* In between there is no demand, so nothing comes back to the pool. */
		if (st.pool_bytes)
			CHECK_EQ(st.backed_free, len);
		if (!st.backed_free)
			break;
	}
	CHECK_EQ(st.pool_bytes, 0);
	CHECK_EQ(st.backed_free, 0);
	CHECK_EQ(st.bytes_reclaimed, len);
	CHECK_EQ(st.bytes_pool_unused, len);
	CHECK(pa_filled(a.base + keep, len, 1));
	/* The owner was told, as of any pressure. */
	CHECK(st.pressure_flags & PAGEARENA_PRESSURE_RECLAIM);
	pa_check(&a);
	/* From everywhere, not only from the cgroup; the kernel asks for halves. */
	pool_full(&a, len);
	if (!access(DROP_CACHES, W_OK)) {
		for (i = 0; i < 20 && pa_stats(a.fd).pool_bytes; i++)
			pa_write_text(DROP_CACHES, "2");
		CHECK_EQ(pool_check(&a).pool_bytes, 0);
	}
	CHECK(pa_filled(a.base + keep, len, 1));
	pa_close(&a);
	pa_cgroup_quit();
}

static __u64 cgroup_max_events(const struct cgroup *cg)
{
	return pa_cgroup_key(cg, "memory.events", "max");
}

struct near {
	struct arena *a;
	struct cgroup *cg;
	__u64 max;
};

static bool is_near(void *arg)
{
	struct near *n = arg;

	if (pa_cgroup_get(n->cg, "memory.current") + 12 * MiB > n->max)
		return true;
	pool_set(n->a, 256 * MiB);
	return false;
}

/* The cgroup that pays is not brought to its limit for the pool, and can have it all back. */
static void test_cgroup(void)
{
	__u64 max = 64 * MiB, at;
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct near n = { .cg = &cg, .max = max };
	struct pagearena_stats st;
	struct arena a;

	n.a = &a;
	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	open_pool(&a, 512 * MiB, PAGEARENA_HUGE_ALWAYS);
	at = huge_span(&a, 4 * CHUNK);
	pa_fill(a.base + at, 4 * CHUNK, 1);
	CHECK_EQ(cgroup_max_events(&cg), 0);
	pool_set(&a, 256 * MiB);
	CHECK(pa_wait_until(is_near, &n, PATIENCE_MS));
	st = pool_check(&a);
	pa_say("the pool has %llu MiB of %llu", (unsigned long long)st.pool_bytes >> 20,
	       (unsigned long long)max >> 20);
	CHECK_OP(st.pool_bytes, >, 0);
	CHECK_OP(st.backed + st.pool_bytes, <, max);
	CHECK_EQ(cgroup_max_events(&cg), 0);
	/* More than the cgroup has left: what the pool has is as good as free. */
	at = huge_span(&a, 40 * MiB);
	touch(a.base + at, 40 * MiB, 1);
	CHECK(touched(a.base + at, 40 * MiB, 1));
	st = pool_check(&a);
	CHECK_EQ(st.nr_fault_failed, 0);
	CHECK_EQ(pa_cgroup_key(&cg, "memory.events", "oom_kill"), 0);
	CHECK_OP(pa_cgroup_get(&cg, "memory.current"), <=, max);
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_quit();
}

/* Another program in the cgroup gets all of it. */
static void test_other(void)
{
	__u64 max = 64 * MiB, len = 48 * MiB, keep;
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct near n = { .cg = &cg, .max = max };
	struct arena a;
	pid_t pid;
	char *p;

	n.a = &a;
	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	open_pool(&a, 512 * MiB, PAGEARENA_HUGE_ALWAYS);
	keep = huge_span(&a, CHUNK);
	pa_fill(a.base + keep, CHUNK, 1);
	pool_set(&a, 256 * MiB);
	CHECK(pa_wait_until(is_near, &n, PATIENCE_MS));
	pid = fork();
	if (!pid) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
		touch(p, len, 3);
		CHECK(touched(p, len, 3));
		_exit(0);
	}
	pa_wait_ok(pid);
	CHECK_EQ(pa_cgroup_key(&cg, "memory.events", "oom_kill"), 0);
	CHECK_OP(pool_check(&a).bytes_pool_unused, >, 0);
	CHECK(pa_filled(a.base + keep, CHUNK, 1));
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_quit();
}

/* A cgroup that goes: its parent pays, and can have the memory back. */
static void test_removed(void)
{
	struct cgroup top = pa_cgroup_make(NULL, false), cg = pa_cgroup_make(&top, true);
	__u64 slack = pa_cgroup_slack(), before, at;
	struct arena a;
	unsigned int i;

	pa_cgroup_join(&cg);
	open_pool(&a, 128 * MiB, PAGEARENA_HUGE_ALWAYS);
	pool_full(&a, 4 * CHUNK);
	pa_cgroup_quit();
	CHECK(!rmdir(cg.path));
	before = pa_cgroup_get(&top, "memory.current");
	CHECK_OP(before + slack, >=, 4 * CHUNK);
	/* Of before, and of after. */
	at = huge_span(&a, 2 * CHUNK);
	touch(a.base + at, 2 * CHUNK, 1);
	CHECK_EQ(pa_stats(a.fd).nr_pool_hit, 2);
	pool_full(&a, 4 * CHUNK);
	CHECK_OP(pa_cgroup_get(&top, "memory.current") + slack, >=, before + 2 * CHUNK);
	pa_check(&a);
	for (i = 0; i < 200 && pa_stats(a.fd).pool_bytes; i++)
		ask_back(&top, 16 * MiB);
	CHECK_EQ(pool_check(&a).pool_bytes, 0);
	CHECK(touched(a.base + at, 2 * CHUNK, 1));
	pool_full(&a, 4 * CHUNK);
	pa_check(&a);
	pa_close(&a);
	CHECK_OP(pa_cgroup_get(&top, "memory.current"), <=, before - 4 * CHUNK + 2 * slack);
}

/* The shrinker, driven: one folio of the pool for each chunk's worth that is asked for. */
static void test_scan(void)
{
	struct cgroup cg;
	char path[192] = "", file[256], text[64], line[512], *p;
	unsigned int i;
	struct arena a;
	struct stat st;
	__u64 ino, counted, warm, rounds;
	FILE *f;

	for (i = 0; i < 1000 && access(path, F_OK); i++)
		snprintf(path, sizeof(path), SHRINKERS "/pagearena-%u", i);
	if (access(path, F_OK))
		SKIP("this kernel has no SHRINKER_DEBUG");
	cg = pa_cgroup_make(NULL, true);
	CHECK(!stat(cg.path, &st));
	ino = st.st_ino;
	pa_cgroup_join(&cg);
	open_pool(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	warm = huge_span(&a, 2 * CHUNK);
	pa_fill(a.base + warm, 2 * CHUNK, 1);
	pool_full(&a, 4 * CHUNK);
	pa_free(&a, warm);
	for (rounds = 0; rounds <= 6; rounds++) {
		struct pagearena_stats now = pool_check(&a);
		unsigned int nid = 0;

		counted = 0;
		snprintf(file, sizeof(file), "%s/count", path);
		f = fopen(file, "re");
		CHECK(f);
		while (fgets(line, sizeof(line), f)) {
			char *at, *end;
			unsigned int n = 0;

			if (strtoull(line, &p, 10) != ino)
				continue;
			for (at = p;; at = end, n++) {
				__u64 pages = strtoull(at, &end, 10);

				if (end == at)
					break;
				if (pages && !counted)
					nid = n;
				counted += pages;
			}
		}
		fclose(f);
		CHECK_EQ(counted * PAGE, now.pool_bytes + now.reclaimable);
		if (!counted)
			break;
		if (rounds < 4 && !nid)
			CHECK_EQ(now.pool_bytes, (4 - rounds) * CHUNK);
		snprintf(file, sizeof(file), "%s/scan", path);
		snprintf(text, sizeof(text), "%llu %u %llu", (unsigned long long)ino, nid,
			 (unsigned long long)CHUNK / PAGE);
		CHECK(pa_write_text(file, text));
		if (pa_stats(a.fd).pool_bytes)
			CHECK_EQ(pa_stats(a.fd).reclaimable, 2 * CHUNK);
	}
	CHECK_EQ(pa_stats(a.fd).pool_bytes, 0);
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_quit();
}

/* All at once */

struct load {
	pthread_t thread;
	struct arena *a;
	__u64 seed;
	__u64 end;
	bool failing;	/* allocations of memory may fail */
	bool ready;
	__u64 rounds;
	char error[128];
};

static int load_poke(char *base, __u64 len, __u64 seed)
{
	__u64 i;
	int sig;

	for (i = 0; i < len; i += 16 * PAGE) {
		unsigned char value = 0;

		sig = pa_peek(base + i, &value);
		if (sig)
			return sig;
		if (value)
			return -1;
		sig = pa_poke(base + i, (unsigned char)(seed + i / PAGE) | 1);
		if (sig)
			return sig;
	}
	return 0;
}

static bool load_look(char *base, __u64 len, __u64 seed)
{
	unsigned char value;
	__u64 i;

	/* It may have to be mapped again, and that may fail. */
	for (i = 0; i < len; i += 16 * PAGE)
		if (!pa_peek(base + i, &value) &&
		    value != (unsigned char)((seed + i / PAGE) | 1))
			return false;
	return true;
}

/* Spans that must be zero, are written to, and must be as written. */
static void *load_run(void *arg)
{
	struct load *l = arg;
	struct pagearena_alloc req;
	char room[64 << 10];

	/* A signal whose frame finds no memory kills: the stack is there before any can fail. */
	memset(room, 1, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	__atomic_store_n(&l->ready, true, __ATOMIC_RELEASE);
	while (pa_now() < l->end && !l->error[0]) {
		__u64 r = pa_random(&l->seed), len = r % 4 ? CHUNK : 3 * CHUNK;
		char *base;
		int bad;

		l->rounds++;
		if (pa_alloc_fd(l->a->fd, len, CHUNK, PAGEARENA_ALLOC_ZERO, &req)) {
			if (errno != ENOMEM)
				snprintf(l->error, sizeof(l->error), "ALLOC: %s", strerror(errno));
			continue;
		}
		base = l->a->base + req.offset;
		bad = load_poke(base, len, r);
		if (bad < 0)
			snprintf(l->error, sizeof(l->error), "not zero");
		else if (bad && !l->failing)
			snprintf(l->error, sizeof(l->error), "signal %d", bad);
		else if (!bad && !load_look(base, len, r))
			snprintf(l->error, sizeof(l->error), "not as written");
		if (pa_free_fd(l->a->fd, req.offset, 0))
			snprintf(l->error, sizeof(l->error), "FREE: %s", strerror(errno));
		if (r / 8 % 2) {
			struct pagearena_scavenge sc = {
				.size = sizeof(sc),
				.bytes = r / 16 % 8 ? 4 * CHUNK : ALL,
			};

			if (ioctl(l->a->fd, PAGEARENA_IOC_SCAVENGE, &sc) && errno != EINTR)
				snprintf(l->error, sizeof(l->error), "SCAVENGE: %s",
					 strerror(errno));
		}
		if (r / 1024 % 4 == 0 && pool_fd(l->a->fd, r / 4096 % 8 * CHUNK) && !l->failing)
			snprintf(l->error, sizeof(l->error), "POLICY: %s", strerror(errno));
	}
	return NULL;
}

static __u64 seconds(void)
{
	return pa_env("PA_POOL_SECONDS", 4);
}

static void load_all(struct arena *a, struct load *l, unsigned int nr, bool failing)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		l[i] = (struct load){ .a = a, .seed = i + 1, .failing = failing,
				      .end = pa_now() + seconds() * SECOND };
		CHECK(!pthread_create(&l[i].thread, NULL, load_run, &l[i]));
	}
	for (i = 0; i < nr; i++)
		while (!__atomic_load_n(&l[i].ready, __ATOMIC_ACQUIRE))
			usleep(1000);
}

static void load_join(struct load *l, unsigned int nr)
{
	__u64 rounds = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		CHECK(!pthread_join(l[i].thread, NULL));
		rounds += l[i].rounds;
		if (l[i].error[0])
			pa_fail("thread %u: %s", i, l[i].error);
	}
	pa_say("%llu rounds", (unsigned long long)rounds);
}

static void say_pool(struct arena *a)
{
	struct pagearena_stats st = pool_check(a);

	pa_say("%llu hits, %llu misses, %llu MiB zeroed in advance, %llu of them unused",
	       (unsigned long long)st.nr_pool_hit, (unsigned long long)st.nr_pool_miss,
	       (unsigned long long)st.bytes_pool_zeroed >> 20,
	       (unsigned long long)st.bytes_pool_unused >> 20);
}

static void test_load(void)
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct load l[3];
	struct arena a;
	char path[192];

	pa_cgroup_join(&cg);
	open_pool(&a, 256 * MiB, PAGEARENA_HUGE_ALWAYS);
	pool_full(&a, 4 * CHUNK);
	load_all(&a, l, ARRAY_SIZE(l), false);
	snprintf(path, sizeof(path), "%s/memory.reclaim", cg.path);
	while (pa_now() < l[0].end) {
		pa_write_text(path, "4M");
		pa_write_text(DROP_CACHES, "2");
		pa_recount(a.id);
		pool_check(&a);
		usleep(20000);
	}
	load_join(l, ARRAY_SIZE(l));
	say_pool(&a);
	pa_check(&a);
	pool_full(&a, 4 * CHUNK);
	pa_close(&a);
	pa_cgroup_quit();
}

/* The same under a limit, which holds all the time. */
static void test_load_limit(void)
{
	const __u64 limit = 12 * CHUNK;
	struct load l[3];
	struct arena a;

	open_pool(&a, 256 * MiB, PAGEARENA_HUGE_ALWAYS);
	limit_set(&a, limit, false);
	load_all(&a, l, ARRAY_SIZE(l), false);
	while (pa_now() < l[0].end) {
		struct pagearena_stats st = pool_check(&a);

		CHECK_OP(st.backed + st.pool_bytes, <=, limit);
		usleep(1000);
	}
	load_join(l, ARRAY_SIZE(l));
	say_pool(&a);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	pa_check(&a);
	pa_close(&a);
}

/* Arenas come and go with a pool that is being filled, and emptied. */
static void test_close(void)
{
	__u64 node = node_reclaimable(), end = pa_now() + seconds() * SECOND / 2;
	unsigned int rounds, i;
	struct arena a[3];
	__u64 at;

	pa_set(PARAMETERS "pool_percent", "100");
	for (rounds = 0; pa_now() < end; rounds++) {
		for (i = 0; i < ARRAY_SIZE(a); i++) {
			pa_open(&a[i], (struct pagearena_setup){ .arena_bytes = 64 * MiB });
			pool_set(&a[i], 4 * CHUNK);
		}
		for (i = 0; i < ARRAY_SIZE(a); i++) {
			at = huge_span(&a[i], CHUNK);
			CHECK(pa_zero(a[i].base + at, PAGE));
			if (rounds % 3 == i)
				pa_write_text(DROP_CACHES, "2");
			pa_close(&a[i]);
		}
	}
	if (refresh())
		CHECK_EQ(node_reclaimable(), node);
	pa_say("%u times %zu arenas", rounds, ARRAY_SIZE(a));
}

/* Faults on request */

static void fault_set(const char *dir, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (!access(path, F_OK))
		pa_set(path, text);
}

/* Everybody's allocations fail now and then, the thread's as well. */
static void faulty(const char *dir, const char *percent)
{
	char path[128];
	struct load l[2];
	struct arena a;
	unsigned int tries = 0;
	int fd;

	if (access(dir, F_OK))
		SKIP("no %s in this kernel", dir);
	open_pool(&a, 256 * MiB, PAGEARENA_HUGE_ALWAYS);
	pool_full(&a, 4 * CHUNK);
	fault_set(dir, "task-filter", "N");
	fault_set(dir, "ignore-gfp-wait", "N");
	fault_set(dir, "ignore-gfp-highmem", "N");
	fault_set(dir, "min-order", "0");
	fault_set(dir, "verbose", "0");
	fault_set(dir, "interval", "1");
	fault_set(dir, "space", "0");
	fault_set(dir, "times", "-1");
	fault_set(dir, "probability", "0");
	/* Open before anything fails: it is what ends it. */
	snprintf(path, sizeof(path), "%s/probability", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	load_all(&a, l, ARRAY_SIZE(l), true);
	CHECK_EQ(write(fd, percent, strlen(percent)), strlen(percent));
	while (pa_now() < l[0].end) {
		pool_fd(a.fd, 4 * CHUNK);
		usleep(10000);
	}
	while (write(fd, "0", 1) != 1)
		CHECK_OP(++tries, <, 10000);
	close(fd);
	load_join(l, ARRAY_SIZE(l));
	say_pool(&a);
	pa_check(&a);
	pool_full(&a, 4 * CHUNK);
	pa_close(&a);
}

static void test_fail_pages(void)
{
	faulty(FAIL_PAGES, "3");
}

static void test_fail_slab(void)
{
	faulty(FAIL_SLAB, "3");
}

int main(int argc, char **argv)
{
	static const struct pa_test tests[] = {
		{ "off unless it is asked for", test_off },
		{ "first touches take what is ready", test_hit },
		{ "filled on demand", test_demand },
		{ "contents are zero", test_zero },
		{ "its size can be set at any time", test_size },
		{ "callers with an older policy", test_old_policy },
		{ "none where nothing is huge", test_no_huge },
		{ "SCAVENGE of all empties it", test_scavenge },
		{ "goes back when nobody takes from it", test_idle },
		{ "counts against a hard limit", test_limit },
		{ "counts against a soft limit", test_soft_limit },
		{ "gives way to a promotion", test_promote },
		{ "charged and counted to the byte", test_exact },
		{ "goes first under pressure", test_first },
		{ "does not fill the cgroup", test_cgroup },
		{ "gives way to another program", test_other },
		{ "the cgroup is removed", test_removed },
		{ "the shrinker, driven", test_scan },
		{ "all at once", test_load },
		{ "all at once, under a limit", test_load_limit },
		{ "closed while it is filled", test_close },
		{ "pages fail", test_fail_pages },
		{ "slab objects fail", test_fail_slab },
	};

	return pa_run(argc, argv, tests, ARRAY_SIZE(tests));
}
