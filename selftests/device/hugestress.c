// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Sixteen threads write and verify spans of one arena, through two mappings, while one more
 * promotes, demotes and scavenges the chunks that they lie in, at random.
 *
 * PA_STRESS_OPS is the number of the writers' operations, all threads together (default
 * 2000); PA_STRESS_SEED makes another run of it.  An operation allocates a span, frees one
 * after it was verified, or verifies and rewrites a page.  Every page has a seed of its own,
 * and every word depends on it, so a write that is lost or goes astray shows at the next look.
 */
#include <pthread.h>

#include "pa_test.h"

#define WRITERS		16
#define SLOTS		24
#define SLOT_PAGES	32
#define PAGE		4096
#define CHUNKS		12

struct slot {
	__u64 at;
	__u32 pages;
	__u32 seed[SLOT_PAGES];	/* 0: not written yet */
};

static struct arena arena;
static char *second;	/* another mapping of it */
static __u64 huge;
static bool over;
static __u64 total_ops;
static __u64 left;	/* operations that nobody has taken yet */
static __u64 done[3];	/* allocations, frees, pages */
static __u64 moves[3];	/* promotions asked for, breaks, scavenges */
static __u64 moved;	/* all of them */

/* So many operations come to one move, at most: there shall be something to stand up to. */
#define OPS_PER_MOVE	50

static __u64 stress_seed(void)
{
	return pa_env("PA_STRESS_SEED", 0) * 1000;
}

static void verify(const char *base, const struct slot *s, unsigned int page)
{
	__u64 at = s->at + (__u64)page * PAGE;

	if (s->seed[page] && !pa_filled(base + at, PAGE, s->seed[page]))
		pa_fail("the page at 0x%llx lost its contents", (unsigned long long)at);
}

static void *writer(void *arg)
{
	__u64 seed = stress_seed() + (uintptr_t)arg, n[3] = {}, r;
	char *base = (uintptr_t)arg % 2 ? arena.base : second;
	struct slot slots[SLOTS] = {}, *s;
	struct pagearena_alloc req;
	unsigned int i, page;
	__s64 turn;

	while ((turn = (__s64)__atomic_fetch_sub(&left, 1, __ATOMIC_RELAXED)) > 0) {
		while (total_ops - (__u64)turn > __atomic_load_n(&moved, __ATOMIC_RELAXED) *
							 OPS_PER_MOVE + OPS_PER_MOVE)
			usleep(1000);
		r = pa_random(&seed);
		s = &slots[r % SLOTS];
		if (!s->pages) {
			memset(s, 0, sizeof(*s));
			i = 1 + (r >> 8) % ((r >> 16) % 4 ? 8 : SLOT_PAGES);
			if (pa_alloc_fd(arena.fd, (__u64)i * PAGE, 0, 0, &req))
				pa_fail("ALLOC: %s", strerror(errno));
			s->at = req.offset;
			s->pages = i;
			n[0]++;
		} else if ((r >> 24) % 8 == 0) {
			for (i = 0; i < s->pages; i++)
				verify(base, s, i);
			CHECK(!pa_free_fd(arena.fd, s->at, (__u64)s->pages * PAGE));
			s->pages = 0;
			n[1]++;
		} else {
			page = (r >> 32) % s->pages;
			verify(base, s, page);
			s->seed[page] = (__u32)(r >> 8) | 1;
			pa_fill(base + s->at + (__u64)page * PAGE, PAGE, s->seed[page]);
			n[2]++;
		}
	}
	/* What is left is verified through the other mapping. */
	base = base == second ? arena.base : second;
	for (s = slots; s < slots + SLOTS; s++)
		for (i = 0; i < s->pages; i++)
			verify(base, s, i);
	for (i = 0; i < ARRAY_SIZE(n); i++)
		__atomic_fetch_add(&done[i], n[i], __ATOMIC_RELAXED);
	return NULL;
}

/* Long runs tell how far they are. */
static void progress(__u64 ops)
{
	static __u64 told;
	__u64 now = ops - MIN(ops, __atomic_load_n(&left, __ATOMIC_RELAXED));
	struct pagearena_stats st;

	if (ops < 100000 || now < told + ops / 50)
		return;
	told = now;
	st = pa_stats(arena.fd);
	pa_say("%llu operations, %llu promotions, %llu demotions", (unsigned long long)now,
	       (unsigned long long)st.nr_promote, (unsigned long long)st.nr_demote);
}

static void *mover(void *arg)
{
	__u64 seed = stress_seed() + 99, ops = (uintptr_t)arg, r;

	/* Not to be one among seventeen. */
	if (nice(-15) == -1)
		pa_say("nice: %s", strerror(errno));
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		r = pa_random(&seed);
		switch (r % 4) {
		case 0:
		case 1:
			pa_promote(&arena, (r >> 8) % CHUNKS * huge);
			moves[0]++;
			break;
		case 2:
			pa_scavenge_flags(&arena, (r >> 8) % 2 ? ALL : 64 * KiB, 0,
					  PAGEARENA_SCAVENGE_BREAK |
						  ((r >> 9) % 4 ? PAGEARENA_SCAVENGE_FORCE : 0));
			moves[1]++;
			break;
		default:
			pa_scavenge(&arena, (r >> 8) % 2 ? ALL : 64 * KiB, (r >> 9) % 2, NULL);
			moves[2]++;
		}
		__atomic_fetch_add(&moved, 1, __ATOMIC_RELAXED);
		progress(ops);
	}
	return NULL;
}

static void stress(struct pagearena_setup setup, __u64 ops)
{
	pthread_t writers[WRITERS], other;
	struct pagearena_stats st;
	__u64 start, total = 0;
	unsigned int i;

	setup.arena_bytes = 2 * CHUNKS * 2 * MiB;
	setup.span_page = PAGE;
	pa_open(&arena, setup);
	huge = pa_info(arena.fd).huge_size;
	second = mmap(NULL, arena.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd, 0);
	CHECK(second != MAP_FAILED);
	left = ops;
	total_ops = ops;
	moved = 0;
	over = false;
	memset(done, 0, sizeof(done));
	memset(moves, 0, sizeof(moves));
	start = pa_now();
	for (i = 0; i < WRITERS; i++)
		CHECK(!pthread_create(&writers[i], NULL, writer, (void *)(i + 1UL)));
	CHECK(!pthread_create(&other, NULL, mover, (void *)(uintptr_t)ops));
	for (i = 0; i < WRITERS; i++)
		CHECK(!pthread_join(writers[i], NULL));
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	CHECK(!pthread_join(other, NULL));

	for (i = 0; i < ARRAY_SIZE(done); i++)
		total += done[i];
	CHECK_EQ(total, ops);
	pa_check(&arena);
	st = pa_stats(arena.fd);
	CHECK_EQ(st.nr_fault_failed, 0);
	CHECK_EQ(st.nr_fault_denied, 0);
	pa_say("%llu operations in %llu ms: %llu allocations, %llu frees, %llu pages rewritten",
	       (unsigned long long)total, (unsigned long long)(pa_now() - start) / 1000000,
	       (unsigned long long)done[0], (unsigned long long)done[1],
	       (unsigned long long)done[2]);
	pa_say("meanwhile %llu x PROMOTE, %llu x SCAVENGE BREAK, %llu x SCAVENGE",
	       (unsigned long long)moves[0], (unsigned long long)moves[1],
	       (unsigned long long)moves[2]);
	pa_say("%llu promotions, %llu demotions (%llu failed), %llu MiB copied, %llu faults",
	       (unsigned long long)st.nr_promote, (unsigned long long)st.nr_demote,
	       (unsigned long long)st.nr_demote_failed,
	       (unsigned long long)st.bytes_copied >> 20, (unsigned long long)st.nr_fault);
	pa_say("refused: %llu empty, %llu sparse, %llu pinned, %llu no memory, %llu busy",
	       (unsigned long long)st.nr_refused[PAGEARENA_PROMOTE_EMPTY],
	       (unsigned long long)st.nr_refused[PAGEARENA_PROMOTE_SPARSE],
	       (unsigned long long)st.nr_refused[PAGEARENA_PROMOTE_PINNED],
	       (unsigned long long)st.nr_refused[PAGEARENA_PROMOTE_NOMEM],
	       (unsigned long long)st.nr_refused[PAGEARENA_PROMOTE_BUSY]);
	/* In a run that is long enough, all of it happens. */
	if (total >= 20000) {
		CHECK_OP(st.nr_demote, >, 0);
		CHECK(st.nr_promote || st.nr_refused[PAGEARENA_PROMOTE_NOMEM]);
	}
	CHECK(!munmap(second, arena.bytes));
	pa_close(&arena);
}

static __u64 stress_ops(void)
{
	return pa_env("PA_STRESS_OPS", 2000);
}

static void test_auto(void)
{
	stress((struct pagearena_setup){}, stress_ops());
}

static void test_never(void)
{
	stress((struct pagearena_setup){ .huge = PAGEARENA_HUGE_NEVER }, stress_ops() / 4);
}

/* With larger granules, many a free span can be released only in part, or not at all. */
static void test_always(void)
{
	stress((struct pagearena_setup){ .huge = PAGEARENA_HUGE_ALWAYS, .granule = 64 * KiB },
	       stress_ops() / 4);
}

static const struct pa_test tests[] = {
	{ "16 threads against promotion and demotion", test_auto },
	{ "the same, huge only by promotion", test_never },
	{ "the same, huge always, granules of 64 KiB", test_always },
};

int main(int argc, char **argv)
{
	char limit[24];

	/* Some 10 ms an operation are enough on the slowest machines. */
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)(90 + stress_ops() / 100));
	setenv("PAGEARENA_TEST_TIMEOUT", limit, 0);
	return pa_run(argc, argv, tests, ARRAY_SIZE(tests));
}
