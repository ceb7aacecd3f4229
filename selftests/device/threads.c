// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Many threads and processes in one arena: each allocates, writes, verifies and frees,
 * while others scavenge, promote, look, and touch at random.  The work is bounded by
 * operations (pa_ops() for each worker), not by time.
 */
#include <pthread.h>

#include "pa_test.h"

#define WORKERS	4
#define HELD	16

static struct arena arena;
static int stop;
static __u32 background;
static __u64 ops;

struct held {
	__u64 at;
	__u64 len;
	__u64 seed;
};

/* Asked by the others between two rounds.  They leave time for the work to go on. */
static bool stopped(void)
{
	usleep(300);
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static void verify_and_free(struct arena *a, struct held *h)
{
	if (!pa_filled(a->base + h->at, h->len, h->seed))
		pa_fail("the span at %llu of %llu bytes lost its contents",
			(unsigned long long)h->at, (unsigned long long)h->len);
	CHECK(!pa_free_fd(a->fd, h->at, h->len));
	h->len = 0;
}

static void work(struct arena *a, __u64 seed)
{
	struct held held[HELD] = {}, *h;
	struct pagearena_alloc req;
	__u64 i, r, len;

	for (i = 0; i < ops; i++) {
		r = pa_random(&seed);
		h = &held[r % HELD];
		if (h->len) {
			verify_and_free(a, h);
			continue;
		}
		len = a->page * (1 + (r >> 8) % (r & 0x10000 ? 8 : 96));
		if (pa_alloc_fd(a->fd, len, 0, (r >> 20) & 3, &req))
			pa_fail("ALLOC of %llu: %s", (unsigned long long)len, strerror(errno));
		if (req.out_flags & PAGEARENA_ALLOCED_ZERO && !pa_zero(a->base + req.offset, len))
			pa_fail("the span at %llu is not zero", (unsigned long long)req.offset);
		*h = (struct held){ req.offset, len, seed };
		pa_fill(a->base + h->at, len, h->seed);
	}
	for (h = held; h < held + HELD; h++)
		if (h->len)
			verify_and_free(a, h);
}

static void *worker(void *arg)
{
	work(&arena, (uintptr_t)arg);
	return NULL;
}

static void *scavenger(void *arg)
{
	__u64 seed = (uintptr_t)arg;

	while (!stopped()) {
		/* No flags, BREAK, or BREAK and FORCE. */
		static const __u32 flags[] = { 0, PAGEARENA_SCAVENGE_BREAK,
			PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE };

		pa_scavenge_flags(&arena, pa_random(&seed) % 2 ? ALL : MiB, pa_random(&seed) % 2,
				  flags[pa_random(&seed) % 3]);
	}
	return NULL;
}

static void *promoter(void *arg)
{
	__u64 seed = (uintptr_t)arg, huge = pa_info(arena.fd).huge_size;

	while (!stopped())
		pa_promote(&arena, pa_random(&seed) % 8 * huge);
	return NULL;
}

/* What is told at one moment is consistent, whatever goes on. */
static void *watcher(void *arg)
{
	__u64 seed = (uintptr_t)arg;

	while (!stopped()) {
		struct pagearena_stats st = pa_stats(arena.fd);
		struct pagearena_span list[64];
		struct pagearena_spans req = {
			.size = sizeof(req),
			.offset = pa_random(&seed) % (st.heap_sys + 1),
			.spans = (uintptr_t)list,
			.count = 64,
		};
		__u32 i;

		CHECK_EQ(st.heap_sys, st.heap_inuse + st.heap_idle);
		CHECK_OP(st.heap_released, <=, st.heap_idle);
		CHECK_EQ(st.backed, st.backed_inuse + st.backed_free);
		CHECK_EQ(st.backed, st.huge_bytes + st.small_bytes);
		/* Spans that are smaller than a page have all of it behind them. */
		if (arena.page >= pa_page)
			CHECK_OP(st.backed_inuse, <=, st.heap_inuse);
		CHECK_OP(st.backed, <=, st.backed_peak);
		CHECK(!ioctl(arena.fd, PAGEARENA_IOC_SPANS, &req));
		for (i = 1; i < req.count; i++)
			CHECK_EQ(list[i].offset, list[i - 1].offset + list[i - 1].length);
		for (i = 0; i < req.count; i++)
			CHECK_OP(list[i].backed, <=, list[i].length);
		if (pa_random(&seed) % 8 == 0)
			pa_recount(arena.id);
	}
	return NULL;
}

/* Reads whatever is there.  A fault that is denied is a signal, and nothing else. */
static void *prober(void *arg)
{
	__u64 seed = (uintptr_t)arg;
	int i, sig;

	while (!stopped()) {
		for (i = 0; i < 64; i++) {
			sig = pa_peek(arena.base + pa_random(&seed) % (16 * MiB), NULL);
			if (sig)
				CHECK_EQ(sig, SIGSEGV);
		}
	}
	return NULL;
}

/* Takes mappings away, as another program's advice may. */
static void *unmapper(void *arg)
{
	__u64 seed = (uintptr_t)arg;

	while (!stopped())
		CHECK(!madvise(arena.base + pa_random(&seed) % 16 * MiB, MiB, MADV_DONTNEED));
	return NULL;
}

static void storm(struct pagearena_setup setup, void *(*const *others)(void *), unsigned int nr)
{
	pthread_t workers[WORKERS], threads[8];
	unsigned int i;

	setup.arena_bytes = 64 * MiB;
	setup.span_page = 8 * KiB;
	setup.growth = 4 * MiB;
	/* A debug arena zaps with every call of FREE. */
	ops = pa_ops(400) / (setup.flags & PAGEARENA_SETUP_DEBUG ? 4 : 1);
	stop = 0;
	pa_open(&arena, setup);
	CHECK(!pa_background_fd(arena.fd, background));
	for (i = 0; i < WORKERS; i++)
		CHECK(!pthread_create(&workers[i], NULL, worker, (void *)(i + 1UL)));
	for (i = 0; i < nr; i++)
		CHECK(!pthread_create(&threads[i], NULL, others[i], (void *)(i + 100UL)));
	for (i = 0; i < WORKERS; i++)
		CHECK(!pthread_join(workers[i], NULL));
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < nr; i++)
		CHECK(!pthread_join(threads[i], NULL));
	if (background) {
		/* One chunk may still be on its way. */
		CHECK(!pa_background_fd(arena.fd, 0));
		usleep(300000);
	}
	CHECK_EQ(pa_stats(arena.fd).heap_inuse, 0);
	CHECK_EQ(pa_stats(arena.fd).nr_fault_failed, 0);
	pa_check(&arena);
	pa_scavenge(&arena, ALL, 0, NULL);
	pa_check(&arena);
	pa_close(&arena);
}

static void test_alone(void)
{
	storm((struct pagearena_setup){}, NULL, 0);
}

static void test_scavenge(void)
{
	static void *(*const others[])(void *) = { scavenger, prober };
	unsigned int huge;

	for (huge = 0; huge < 3; huge++)
		storm((struct pagearena_setup){ .huge = huge }, others, ARRAY_SIZE(others));
}

static void test_all(void)
{
	static void *(*const others[])(void *) = { scavenger, promoter, watcher, prober,
						   unmapper };
	unsigned int huge;

	for (huge = 0; huge < 3; huge++)
		storm((struct pagearena_setup){ .huge = huge, .fit = huge + 1 }, others,
		      ARRAY_SIZE(others));
}

static void test_background(void)
{
	static void *(*const others[])(void *) = { scavenger, watcher, unmapper };

	background = 100;
	storm((struct pagearena_setup){}, others, ARRAY_SIZE(others));
	storm((struct pagearena_setup){ .huge = PAGEARENA_HUGE_ALWAYS, .limit = 48 * MiB }, others,
	      ARRAY_SIZE(others));
}

static void test_granule(void)
{
	static void *(*const others[])(void *) = { scavenger, promoter, watcher, scavenger };

	storm((struct pagearena_setup){ .granule = 64 * KiB }, others, ARRAY_SIZE(others));
	storm((struct pagearena_setup){ .granule = 64 * KiB, .fit = PAGEARENA_FIT_FIRST,
					.huge = PAGEARENA_HUGE_ALWAYS }, others,
	      ARRAY_SIZE(others));
}

static void test_debug(void)
{
	static void *(*const others[])(void *) = { scavenger, promoter, watcher, prober };

	storm((struct pagearena_setup){ .flags = PAGEARENA_SETUP_DEBUG }, others,
	      ARRAY_SIZE(others));
	storm((struct pagearena_setup){ .flags = PAGEARENA_SETUP_DEBUG, .granule = 64 * KiB,
					.span_page = 4096 < getpagesize() ? 0 : 4096 }, others,
	      ARRAY_SIZE(others));
}

/* With a limit, ALLOC may fail, but what it gave can be used. */
static void *limited_worker(void *arg)
{
	__u64 seed = (uintptr_t)arg, i, len;
	struct pagearena_alloc req;

	for (i = 0; i < ops; i++) {
		len = arena.page * (1 + pa_random(&seed) % 128);
		if (pa_alloc_fd(arena.fd, len, 0, 0, &req)) {
			CHECK_EQ(errno, ENOMEM);
			continue;
		}
		pa_fill(arena.base + req.offset, len, seed);
		CHECK(pa_filled(arena.base + req.offset, len, seed));
		pa_free(&arena, req.offset);
	}
	return NULL;
}

static void test_limit(void)
{
	pthread_t workers[WORKERS], other;
	unsigned int i, huge;

	for (huge = 0; huge < 3; huge++) {
		ops = pa_ops(400) / 2;
		stop = 0;
		pa_open(&arena, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
							  .limit = 3 * MiB, .huge = huge });
		for (i = 0; i < WORKERS; i++)
			CHECK(!pthread_create(&workers[i], NULL, limited_worker,
					      (void *)(i + 1UL)));
		CHECK(!pthread_create(&other, NULL, promoter, (void *)100UL));
		for (i = 0; i < WORKERS; i++)
			CHECK(!pthread_join(workers[i], NULL));
		__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
		CHECK(!pthread_join(other, NULL));
		CHECK_OP(pa_stats(arena.fd).backed_peak, <=, 3 * MiB);
		CHECK_EQ(pa_stats(arena.fd).nr_fault_failed, 0);
		pa_check(&arena);
		pa_close(&arena);
	}
}

/* Several processes, each with a mapping of its own, and spans that cross over. */
static void test_processes(void)
{
	enum { NR = 3 };
	static void *(*const others[])(void *) = { scavenger, promoter };
	pthread_t threads[ARRAY_SIZE(others)];
	__u64 shared, passed[NR];
	unsigned int i;
	int ends[2];
	pid_t pid[NR];

	ops = pa_ops(400);
	CHECK(!pipe(ends));
	pa_open(&arena, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .growth = 4 * MiB,
					      .span_page = 8 * KiB });
	shared = pa_alloc(&arena, 64 * KiB, 0, 0);
	pa_fill(arena.base + shared, 64 * KiB, 42);
	for (i = 0; i < NR; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			pa_map(&arena);
			work(&arena, i + 1);
			CHECK(pa_filled(arena.base + shared, 64 * KiB, 42));
			/* Handed over to the parent, which frees it. */
			passed[i] = pa_alloc(&arena, 3 * arena.page, 0, 0);
			pa_fill(arena.base + passed[i], 3 * arena.page, 1000);
			CHECK_EQ(write(ends[1], &passed[i], 8), 8);
			_exit(0);
		}
	}
	stop = 0;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		CHECK(!pthread_create(&threads[i], NULL, others[i], (void *)(i + 100UL)));
	for (i = 0; i < NR; i++)
		pa_wait_ok(pid[i]);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(pa_filled(arena.base + shared, 64 * KiB, 42));
	for (i = 0; i < NR; i++) {
		CHECK_EQ(read(ends[0], &passed[i], 8), 8);
		CHECK(pa_filled(arena.base + passed[i], 3 * arena.page, 1000));
		pa_free(&arena, passed[i]);
	}
	CHECK_EQ(pa_stats(arena.fd).heap_inuse, 64 * KiB);
	pa_check(&arena);
	pa_close(&arena);
}

/* One span, freed by many at once: one of them does it. */
static __u64 target;
static pthread_barrier_t barrier;
static unsigned int freed;

static void *racer(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 100; i++) {
		pthread_barrier_wait(&barrier);
		if (!pa_free_fd(arena.fd, target, 0))
			__atomic_fetch_add(&freed, 1, __ATOMIC_RELAXED);
		else
			CHECK_EQ(errno, ENOENT);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void test_free_race(void)
{
	pthread_t threads[3];
	unsigned int i, debug;

	for (debug = 0; debug < 2; debug++) {
		pa_open(&arena, (struct pagearena_setup){
					.arena_bytes = 64 * MiB,
					.flags = debug ? PAGEARENA_SETUP_DEBUG : 0 });
		CHECK(!pthread_barrier_init(&barrier, NULL, 4));
		freed = 0;
		for (i = 0; i < 3; i++)
			CHECK(!pthread_create(&threads[i], NULL, racer, NULL));
		for (i = 0; i < 100; i++) {
			target = pa_alloc(&arena, 64 * KiB, 0, PAGEARENA_ALLOC_POPULATE);
			pthread_barrier_wait(&barrier);
			pthread_barrier_wait(&barrier);
		}
		for (i = 0; i < 3; i++)
			CHECK(!pthread_join(threads[i], NULL));
		CHECK_EQ(freed, 100);
		CHECK_EQ(pa_stats(arena.fd).heap_inuse, 0);
		pa_check(&arena);
		pa_close(&arena);
	}
}

/* SETUP by many at once: one of them does it. */
static int raced_fd;

static void *setup_racer(void *arg)
{
	const struct pagearena_setup setup = { .arena_bytes = 64 * MiB };

	(void)arg;
	pthread_barrier_wait(&barrier);
	if (!pa_setup_fd(raced_fd, setup))
		__atomic_fetch_add(&freed, 1, __ATOMIC_RELAXED);
	else
		CHECK_EQ(errno, EEXIST);
	CHECK(!pa_alloc_fd(raced_fd, 8192, 0, 0, NULL));
	return NULL;
}

static void test_setup_race(void)
{
	pthread_t threads[4];
	unsigned int i, round;

	CHECK(!pthread_barrier_init(&barrier, NULL, 4));
	for (round = 0; round < 20; round++) {
		freed = 0;
		raced_fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		for (i = 0; i < 4; i++)
			CHECK(!pthread_create(&threads[i], NULL, setup_racer, NULL));
		for (i = 0; i < 4; i++)
			CHECK(!pthread_join(threads[i], NULL));
		CHECK_EQ(freed, 1);
		CHECK_EQ(pa_stats(raced_fd).spans_inuse, 4);
		close(raced_fd);
	}
}

static const struct pa_test tests[] = {
	{ "threads by themselves", test_alone },
	{ "threads against scavenging", test_scavenge },
	{ "threads against everything", test_all },
	{ "threads against background promotion", test_background },
	{ "threads with large granules", test_granule },
	{ "threads in a debug arena", test_debug },
	{ "threads within a limit", test_limit },
	{ "processes", test_processes },
	{ "one span freed by many", test_free_race },
	{ "set-up by many", test_setup_race },
};

PA_MAIN(tests)
