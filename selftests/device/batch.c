// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * BATCH: many operations in one call.
 */
#include <pthread.h>
#include <sys/time.h>

#include "pa_test.h"

#define NR	200
#define HUGE	(2 * MiB)

static struct pagearena_batch batch(struct arena *a, struct pagearena_op *ops, __u32 count,
				    __u32 flags)
{
	struct pagearena_batch req = {
		.size = sizeof(req),
		.flags = flags,
		.ops = (uintptr_t)ops,
		.count = count,
	};

	CHECK(!ioctl(a->fd, PAGEARENA_IOC_BATCH, &req));
	CHECK_OP(req.done, <=, count);
	CHECK_OP(req.failed, <=, req.done);
	return req;
}

static void open_arena(struct arena *a, __u64 bytes, __u32 huge)
{
	pa_open(a, (struct pagearena_setup){ .arena_bytes = bytes, .huge = huge });
}

/* Garbage where nothing is looked at. */
static struct pagearena_op op(__u32 what, __u64 offset, __u64 length)
{
	return (struct pagearena_op){ .op = what, .result = 12345, .out_flags = ~0U,
				      .offset = offset, .length = length };
}

static void test_many(void)
{
	struct pagearena_op ops[NR];
	struct pagearena_batch req;
	struct arena a;
	__u64 at[NR];
	__u32 i;

	open_arena(&a, 256 * MiB, PAGEARENA_HUGE_NEVER);
	for (i = 0; i < NR; i++)
		ops[i] = op(PAGEARENA_OP_ALLOC, 0x123456789, i * 1000 + 1);
	req = batch(&a, ops, NR, 0);
	CHECK_EQ(req.done, NR);
	CHECK_EQ(req.failed, 0);
	for (i = 0; i < NR; i++) {
		CHECK_EQ(ops[i].result, 0);
		CHECK_EQ(ops[i].length, ALIGN_UP(i * 1000 + 1, a.page));
		CHECK_EQ(ops[i].out_flags, PAGEARENA_ALLOCED_ZERO);
		CHECK_EQ(pa_query(&a, ops[i].offset).length, ops[i].length);
		at[i] = ops[i].offset;
		pa_fill(a.base + at[i], ops[i].length, i);
	}
	pa_check(&a);
	/* Free one, allocate one of its size: it comes back, warm. */
	for (i = 0; i < NR; i += 2) {
		ops[i] = op(PAGEARENA_OP_FREE, at[i], i * 1000 + 1);
		ops[i + 1] = op(PAGEARENA_OP_ALLOC, 0, i * 1000 + 1);
	}
	req = batch(&a, ops, NR, 0);
	CHECK_EQ(req.failed, 0);
	for (i = 0; i < NR; i += 2) {
		CHECK_EQ(ops[i].out_flags, 0);
		CHECK_EQ(ops[i + 1].offset, at[i]);
		CHECK_EQ(ops[i + 1].out_flags, PAGEARENA_ALLOCED_BACKED);
	}
	pa_check(&a);
	for (i = 0; i < NR; i++)
		CHECK(pa_filled(a.base + at[i], ALIGN_UP(i * 1000 + 1, a.page), i));
	for (i = 0; i < NR; i++)
		ops[i] = op(PAGEARENA_OP_FREE, at[i], 0);
	req = batch(&a, ops, NR, 0);
	CHECK_EQ(req.failed, 0);
	CHECK_EQ(pa_stats(a.fd).heap_inuse, 0);
	CHECK_EQ(pa_stats(a.fd).nr_free, NR + NR / 2);
	pa_check(&a);
	pa_close(&a);
}

/* Each operation has its own result, and those that fail change nothing. */
static void test_errors(void)
{
	struct arena a;
	__u64 first, second, i;

	open_arena(&a, 64 * MiB, PAGEARENA_HUGE_NEVER);
	first = pa_alloc(&a, 4 * a.page, 0, 0);
	second = pa_alloc(&a, 4 * a.page, 0, 0);

	struct {
		struct pagearena_op op;
		int err;
	} table[] = {
		{ op(PAGEARENA_OP_NOP, 0, 0), 0 },
		{ op(PAGEARENA_OP_NOP, 1, 0), EINVAL },
		{ op(PAGEARENA_OP_NR, 0, 0), EINVAL },
		{ op(~0U, 0, 0), EINVAL },
		{ op(PAGEARENA_OP_ALLOC, 0, 0), EINVAL },
		{ op(PAGEARENA_OP_ALLOC, 0, ALL), EOVERFLOW },
		{ op(PAGEARENA_OP_ALLOC, 0, TiB), ENOMEM },
		{ { .op = PAGEARENA_OP_ALLOC, .flags = 8, .length = a.page }, EINVAL },
		{ { .op = PAGEARENA_OP_ALLOC, .length = a.page, .align = 3 }, EINVAL },
		{ { .op = PAGEARENA_OP_ALLOC, .flags = PAGEARENA_ALLOC_FIXED, .length = a.page,
		    .offset = first }, EEXIST },
		{ op(PAGEARENA_OP_FREE, first + 1, 0), EINVAL },
		{ op(PAGEARENA_OP_FREE, first + a.page, 0), ENOENT },
		{ op(PAGEARENA_OP_FREE, first, a.page), EINVAL },
		{ op(PAGEARENA_OP_FREE, first, ALL), EOVERFLOW },
		{ op(PAGEARENA_OP_FREE, 32 * MiB, 0), ENOENT },
		{ op(PAGEARENA_OP_FREE, TiB, 0), ENOENT },
		{ { .op = PAGEARENA_OP_FREE, .flags = 1, .offset = first }, EINVAL },
		{ { .op = PAGEARENA_OP_FREE, .align = 1, .offset = first }, EINVAL },
		{ op(PAGEARENA_OP_RESIZE, first, 0), EINVAL },
		{ op(PAGEARENA_OP_RESIZE, first, 5 * a.page), EEXIST },
		{ op(PAGEARENA_OP_RESIZE, first + a.page, a.page), ENOENT },
		{ { .op = PAGEARENA_OP_RESIZE, .align = 1, .offset = first, .length = a.page },
		  EINVAL },
		{ { .op = PAGEARENA_OP_RESIZE, .flags = PAGEARENA_ALLOC_FIXED, .offset = first,
		    .length = a.page }, EINVAL },
		{ op(PAGEARENA_OP_SCAVENGE, 0, 0), EINVAL },
		{ op(PAGEARENA_OP_SCAVENGE, 1, a.page), EINVAL },
		{ op(PAGEARENA_OP_SCAVENGE, 0, a.page + 1), EINVAL },
		{ op(PAGEARENA_OP_SCAVENGE, 0 - a.page, 2 * a.page), EOVERFLOW },
		{ op(PAGEARENA_OP_SCAVENGE, 64 * MiB, a.page), EINVAL },
		{ { .op = PAGEARENA_OP_SCAVENGE, .flags = PAGEARENA_SCAVENGE_FORCE,
		    .length = a.page }, EINVAL },
		{ op(PAGEARENA_OP_PROMOTE, 0, a.page), EINVAL },
		{ op(PAGEARENA_OP_PROMOTE, a.page, 2 * MiB), EINVAL },
		{ op(PAGEARENA_OP_PROMOTE, 64 * MiB, 2 * MiB), EINVAL },
		{ { .op = PAGEARENA_OP_PROMOTE, .length = 2 * MiB, .align = 101 }, EINVAL },
		{ { .op = PAGEARENA_OP_PROMOTE, .flags = 2, .length = 2 * MiB }, EINVAL },
	};
	struct snapshot snap = pa_snapshot(a.fd);
	struct pagearena_op ops[ARRAY_SIZE(table)];
	struct pagearena_batch req;
	__u32 failed = 0;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		ops[i] = table[i].op;
		failed += table[i].err != 0;
	}
	req = batch(&a, ops, ARRAY_SIZE(table), 0);
	CHECK_EQ(req.done, ARRAY_SIZE(table));
	CHECK_EQ(req.failed, failed);
	for (i = 0; i < ARRAY_SIZE(table); i++)
		pa_expect(ops[i].result == -table[i].err && !ops[i].out_flags,
			  "operation %llu: %d, not %d", (unsigned long long)i, ops[i].result,
			  -table[i].err);
	CHECK(pa_unchanged(a.fd, &snap));

	/* With STOP the first that fails is the last. */
	ops[0] = op(PAGEARENA_OP_FREE, first, 0);
	ops[1] = op(PAGEARENA_OP_FREE, first, 0);
	ops[2] = op(PAGEARENA_OP_FREE, second, 0);
	req = batch(&a, ops, 3, PAGEARENA_BATCH_STOP);
	CHECK_EQ(req.done, 2);
	CHECK_EQ(req.failed, 1);
	CHECK_EQ(ops[1].result, -ENOENT);
	CHECK_EQ(ops[2].result, 12345);
	CHECK_EQ(pa_stats(a.fd).spans_inuse, 1);
	ops[0] = op(PAGEARENA_OP_NOP, 0, 1);
	req = batch(&a, ops, 3, PAGEARENA_BATCH_STOP);
	CHECK_EQ(req.done, 1);
	pa_check(&a);
	pa_close(&a);
}

/* Everything that there is, in turn. */
static void test_mixed(void)
{
	struct pagearena_batch req;
	struct pagearena_op ops[12];
	struct pagearena_stats st;
	const __u64 part = MAX(32 * KiB, pa_page);
	struct arena a;

	open_arena(&a, 64 * MiB, PAGEARENA_HUGE_NEVER);
	ops[0] = op(PAGEARENA_OP_ALLOC, 0, 2 * MiB);
	ops[0].align = 2 * MiB;
	ops[0].flags = PAGEARENA_ALLOC_POPULATE;
	ops[1] = op(PAGEARENA_OP_PROMOTE, 0, 2 * MiB);
	ops[2] = op(PAGEARENA_OP_ALLOC, 4 * MiB, 2 * part);
	ops[2].flags = PAGEARENA_ALLOC_FIXED | PAGEARENA_ALLOC_POPULATE;
	ops[3] = op(PAGEARENA_OP_RESIZE, 4 * MiB, 4 * part);
	ops[3].flags = PAGEARENA_ALLOC_POPULATE;
	ops[4] = op(PAGEARENA_OP_RESIZE, 4 * MiB, part);
	ops[5] = op(PAGEARENA_OP_SCAVENGE, 4 * MiB, 2 * MiB);
	ops[6] = op(PAGEARENA_OP_NOP, 0, 0);
	ops[7] = op(PAGEARENA_OP_FREE, 4 * MiB, part);
	ops[8] = op(PAGEARENA_OP_FREE, 0, 0);
	ops[9] = op(PAGEARENA_OP_SCAVENGE, 0, 2 * MiB);
	ops[10] = op(PAGEARENA_OP_SCAVENGE, 2 * MiB, 4 * MiB);
	ops[11] = op(PAGEARENA_OP_NOP, 0, 0);
	req = batch(&a, ops, ARRAY_SIZE(ops), 0);
	CHECK_EQ(req.done, ARRAY_SIZE(ops));
	CHECK_EQ(req.failed, 0);
	CHECK_EQ(ops[0].out_flags, PAGEARENA_ALLOCED_ZERO | PAGEARENA_ALLOCED_BACKED);
	CHECK_OP(ops[1].result, <=, 1);
	CHECK_EQ(ops[4].length, part);
	CHECK_EQ(ops[5].length, 3 * part);
	/* Two that follow each other are one, and the first tells of both. */
	CHECK_EQ(ops[9].length, 2 * MiB + part);
	CHECK_EQ(ops[10].length, 0);
	st = pa_stats(a.fd);
	CHECK_EQ(st.backed, 0);
	CHECK_EQ(st.heap_inuse, 0);
	CHECK_EQ(st.heap_released, st.heap_idle);
	pa_check(&a);
	pa_close(&a);
}

/* One zap for a run of free memory, in however many ranges it is released. */
static void test_ranges(void)
{
	struct pagearena_op ops[64];
	struct pagearena_stats st;
	struct arena a;
	__u64 at, i, zaps;

	open_arena(&a, 64 * MiB, PAGEARENA_HUGE_NEVER);
	at = pa_alloc(&a, 4 * MiB, 2 * MiB, 0);
	pa_fill(a.base + at, 4 * MiB, 1);
	pa_free(&a, at);
	zaps = pa_stats(a.fd).nr_zap;
	for (i = 0; i < 32; i++)
		ops[i] = op(PAGEARENA_OP_SCAVENGE, at + i * 64 * KiB, 64 * KiB);
	CHECK_EQ(batch(&a, ops, 32, 0).failed, 0);
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_zap, zaps + 1);
	CHECK_EQ(st.backed, 2 * MiB);
	CHECK_EQ(ops[0].length, 2 * MiB);
	pa_check(&a);
	/* With gaps they are many. */
	for (i = 0; i < 16; i++)
		ops[i] = op(PAGEARENA_OP_SCAVENGE, at + 2 * MiB + i * 128 * KiB, 64 * KiB);
	CHECK_EQ(batch(&a, ops, 16, 0).failed, 0);
	st = pa_stats(a.fd);
	CHECK_EQ(st.nr_zap, zaps + 17);
	CHECK_EQ(st.backed, MiB);
	for (i = 0; i < 16; i++)
		CHECK_EQ(ops[i].length, 64 * KiB);
	pa_check(&a);
	pa_close(&a);
}

/* A range of a huge chunk goes if it may be broken. */
static void test_huge_ranges(void)
{
	struct pagearena_op ops[2];
	struct arena a;
	__u64 at, i;

	open_arena(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	at = pa_alloc(&a, 256 * KiB, 2 * MiB, 0);
	pa_fill(a.base + at, 256 * KiB, 1);
	if (pa_stats(a.fd).huge_bytes != 2 * MiB)
		SKIP("no huge folio to be had");
	ops[0] = op(PAGEARENA_OP_SCAVENGE, at, 2 * MiB);
	CHECK_EQ(batch(&a, ops, 1, 0).failed, 0);
	CHECK_EQ(ops[0].length, 0);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, 2 * MiB);
	ops[0] = op(PAGEARENA_OP_SCAVENGE, at, 2 * MiB);
	ops[0].flags = PAGEARENA_SCAVENGE_BREAK;
	CHECK_EQ(batch(&a, ops, 1, 0).failed, 0);
	CHECK_EQ(ops[0].length, 2 * MiB - 256 * KiB);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, 0);
	CHECK(pa_filled(a.base + at, 256 * KiB, 1));
	ops[0] = op(PAGEARENA_OP_PROMOTE, at, 4 * MiB);
	CHECK_EQ(batch(&a, ops, 1, 0).failed, 0);
	CHECK_OP(ops[0].result, <=, 1);
	for (i = 0; i < 2; i++)
		ops[i] = op(PAGEARENA_OP_PROMOTE, at + i * 2 * MiB, 2 * MiB);
	CHECK_EQ(batch(&a, ops, 2, 0).failed, 0);
	CHECK_EQ(ops[1].result, 0);
	CHECK(pa_filled(a.base + at, 256 * KiB, 1));
	pa_check(&a);
	pa_close(&a);
}

/* What cannot be read is not done, and what cannot be told of is undone. */
static void test_fault(void)
{
	__u64 page = (__u64)getpagesize();
	struct pagearena_batch req;
	struct pagearena_op *ops;
	struct snapshot snap;
	struct arena a;
	__u32 i, nr;
	char *map;

	open_arena(&a, 64 * MiB * (page / (4 * KiB)), PAGEARENA_HUGE_NEVER);
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	nr = page / sizeof(*ops);
	ops = (struct pagearena_op *)(map + page) - nr;
	for (i = 0; i < nr; i++)
		ops[i] = op(PAGEARENA_OP_ALLOC, 0, a.page);
	CHECK(!munmap(map + page, page));
	req = (struct pagearena_batch){ .size = sizeof(req), .ops = (uintptr_t)ops,
					.count = nr + 100 };
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_BATCH, &req), EFAULT);
	/* All that was told of is there. */
	CHECK_OP(req.done, <=, nr);
	CHECK_EQ(pa_stats(a.fd).spans_inuse, req.done);
	for (i = 0; i < req.done; i++)
		pa_free(&a, ops[i].offset);
	pa_check(&a);

	for (i = 0; i < nr; i++)
		ops[i] = op(PAGEARENA_OP_ALLOC, 0, a.page);
	/* Its own ALLOCs that were freed again are not freed twice. */
	ops[1] = op(PAGEARENA_OP_FREE, 0, 0);
	CHECK(!mprotect(map, page, PROT_READ));
	snap = pa_snapshot(a.fd);
	req = (struct pagearena_batch){ .size = sizeof(req), .ops = (uintptr_t)ops, .count = nr };
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_BATCH, &req), EFAULT);
	CHECK_EQ(req.done, 0);
	CHECK_EQ(pa_stats(a.fd).spans_inuse, 0);
	CHECK_EQ(pa_stats(a.fd).heap_inuse, snap.stats.heap_inuse);
	pa_check(&a);
	pa_close(&a);
}

static struct arena shared;

static void *thread(void *arg)
{
	__u64 seed = (uintptr_t)arg, at[32], len[32], i, round;
	struct pagearena_op ops[64];

	for (i = 0; i < 32; i++) {
		len[i] = (1 + pa_random(&seed) % 8) * shared.page;
		ops[i] = op(PAGEARENA_OP_ALLOC, 0, len[i]);
	}
	CHECK_EQ(batch(&shared, ops, 32, 0).failed, 0);
	for (i = 0; i < 32; i++) {
		at[i] = ops[i].offset;
		pa_fill(shared.base + at[i], len[i], (uintptr_t)arg * 100 + i);
	}
	for (round = 0; round < pa_ops(200); round++) {
		for (i = 0; i < 32; i++) {
			if (!pa_filled(shared.base + at[i], len[i], (uintptr_t)arg * 100 + i))
				return (void *)1;
			ops[2 * i] = op(PAGEARENA_OP_FREE, at[i], len[i]);
			len[i] = (1 + pa_random(&seed) % 8) * shared.page;
			ops[2 * i + 1] = op(PAGEARENA_OP_ALLOC, 0, len[i]);
		}
		CHECK_EQ(batch(&shared, ops, 64, 0).failed, 0);
		for (i = 0; i < 32; i++) {
			at[i] = ops[2 * i + 1].offset;
			pa_fill(shared.base + at[i], len[i], (uintptr_t)arg * 100 + i);
		}
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[4];
	uintptr_t i;
	void *bad;

	open_arena(&shared, 256 * MiB, PAGEARENA_HUGE_AUTO);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK(!pthread_create(&threads[i], NULL, thread, (void *)(i + 1)));
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		CHECK(!pthread_join(threads[i], &bad));
		CHECK(!bad);
	}
	CHECK_EQ(pa_stats(shared.fd).spans_inuse, ARRAY_SIZE(threads) * 32);
	pa_check(&shared);
	pa_close(&shared);
}

/* As many as there may be, in a hard limit: those beyond it fail. */
static void test_most(void)
{
	struct pagearena_op *ops = calloc(PAGEARENA_BATCH_MAX, sizeof(*ops));
	struct pagearena_batch req;
	struct arena a;
	__u32 i;

	CHECK(ops);
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = GiB, .limit = 32 * MiB });
	for (i = 0; i < PAGEARENA_BATCH_MAX; i++)
		ops[i] = op(PAGEARENA_OP_ALLOC, 0, a.page);
	req = batch(&a, ops, PAGEARENA_BATCH_MAX, 0);
	CHECK_EQ(req.done, PAGEARENA_BATCH_MAX);
	CHECK_EQ(req.failed, PAGEARENA_BATCH_MAX - 32 * MiB / a.page);
	CHECK_EQ(ops[req.done - 1].result, -ENOMEM);
	CHECK_EQ(pa_stats(a.fd).heap_inuse, 32 * MiB);
	pa_check(&a);
	pa_close(&a);
	free(ops);
}

static void nothing(int sig)
{
	(void)sig;
}

static void signals(long us)
{
	struct sigaction act = { .sa_handler = nothing };
	struct itimerval t = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	CHECK(!sigaction(SIGALRM, &act, NULL));
	CHECK(!setitimer(ITIMER_REAL, &t, NULL));
}

/* Makes a batch until all of it is done; tells how often a signal cut it short. */
static unsigned int persist(struct arena *a, struct pagearena_op *ops, __u32 count)
{
	unsigned int cut = 0;
	__u32 done = 0;

	while (done < count) {
		struct pagearena_batch req = { .size = sizeof(req), .ops = (uintptr_t)(ops + done),
					       .count = count - done };

		if (ioctl(a->fd, PAGEARENA_IOC_BATCH, &req)) {
			CHECK_EQ(errno, EINTR);
			CHECK_OP(req.done, <, req.count);
			/* The next one has not been begun, or may be made again. */
			CHECK_EQ(ops[done + req.done].result, 12345);
			cut++;
		} else {
			CHECK_EQ(req.done, req.count);
		}
		CHECK_EQ(req.failed, 0);
		done += req.done;
	}
	return cut;
}

/* A signal ends a batch, and tells how far it came; nothing is done twice or left out. */
static void test_signals(void)
{
	__u32 nr = pa_page > 4 * KiB ? 2048 : 16384, i, cut = 0, round;
	struct pagearena_op *ops = calloc(nr, sizeof(*ops));
	struct pagearena_op range[40];
	struct arena a;

	CHECK(ops);
	open_arena(&a, 64 * MiB + nr * MAX(8 * KiB, pa_page), PAGEARENA_HUGE_NEVER);
	signals(2000);
	for (round = 0; round < 50 && cut < 3; round++) {
		for (i = 0; i < nr; i++)
			ops[i] = op(PAGEARENA_OP_ALLOC, 0, a.page);
		cut += persist(&a, ops, nr);
		CHECK_EQ(pa_stats(a.fd).spans_inuse, nr);
		for (i = 0; i < nr; i++)
			ops[i] = op(PAGEARENA_OP_FREE, ops[i].offset, a.page);
		cut += persist(&a, ops, nr);
		CHECK_EQ(pa_stats(a.fd).spans_inuse, 0);
	}
	CHECK_OP(cut, >, 0);

	/* Half of the spans are free and warm; all of that goes, in ranges that are one. */
	signals(0);
	for (i = 0; i < nr; i++) {
		ops[i] = op(PAGEARENA_OP_ALLOC, 0, a.page);
		ops[i].flags = PAGEARENA_ALLOC_POPULATE;
	}
	CHECK_EQ(batch(&a, ops, nr, 0).failed, 0);
	for (i = 0; i < nr; i += 2)
		ops[i / 2] = op(PAGEARENA_OP_FREE, ops[i].offset, a.page);
	CHECK_EQ(batch(&a, ops, nr / 2, 0).failed, 0);
	for (i = 0; i < 40; i++)
		range[i] = op(PAGEARENA_OP_SCAVENGE, i * MiB, MiB);
	signals(500);
	cut = persist(&a, range, 40);
	signals(0);
	pa_say("cut short %u times", cut);
	for (i = 0; i < 40; i++)
		CHECK_EQ(range[i].result, 0);
	CHECK_EQ(pa_stats(a.fd).backed_free,
		 pa_stats(a.fd).heap_idle - pa_stats(a.fd).heap_released);
	CHECK_EQ(pa_stats(a.fd).spans_inuse, nr / 2);
	pa_check(&a);
	pa_close(&a);
	free(ops);
}

/* A process that sends signals to this one as fast as it can. */
static pid_t storm(void)
{
	struct sigaction act = { .sa_handler = nothing };
	pid_t parent = getpid(), pid;

	CHECK(!sigaction(SIGUSR1, &act, NULL));
	pid = fork();
	CHECK(pid >= 0);
	while (!pid)
		if (kill(parent, SIGUSR1))
			_exit(0);
	return pid;
}

static void storm_over(pid_t pid)
{
	pid_t got;

	CHECK(!kill(pid, SIGKILL));
	do
		got = waitpid(pid, NULL, 0);
	while (got < 0 && errno == EINTR);
	CHECK_EQ(got, pid);
}

/*
 * SCAVENGE that a signal ends has released something, and so has PROMOTE in a batch: who makes the
 * call again comes to an end, however many signals there are.
 */
static void test_storm(void)
{
	struct pagearena_scavenge sc = { .size = sizeof(sc), .bytes = ALL,
					 .flags = PAGEARENA_SCAVENGE_BREAK };
	const unsigned int nr = pa_page > 4 * KiB ? 2048 : 16384, chunks = 8;
	const __u64 unit = MAX(8 * KiB, pa_page);
	unsigned int i, cut[2] = {};
	struct arena a;
	__u64 *at, was, from;
	pid_t pid;

	at = calloc(nr, sizeof(*at));
	CHECK(at);
	/* Where huge folios are to be had, nothing goes in the passes before BREAK's. */
	open_arena(&a, nr * unit, PAGEARENA_HUGE_ALWAYS);
	pa_scavenging(&a, 0, 0, 0);
	for (i = 0; i < nr; i++)
		at[i] = pa_alloc(&a, unit, 0, PAGEARENA_ALLOC_POPULATE);
	for (i = 0; i < nr; i += 2)
		pa_free(&a, at[i]);
	pid = storm();
	while (ioctl(a.fd, PAGEARENA_IOC_SCAVENGE, &sc)) {
		CHECK_EQ(errno, EINTR);
		CHECK_OP(sc.released, >, 0);
		sc.released = 0;
		sc.backed = 0;
		cut[0]++;
	}
	CHECK_EQ(pa_stats(a.fd).heap_idle, pa_stats(a.fd).heap_released);
	storm_over(pid);
	pa_check(&a);
	pa_close(&a);

	open_arena(&a, 64 * MiB, PAGEARENA_HUGE_NEVER);
	pa_scavenging(&a, 0, 0, 0);
	from = pa_alloc(&a, chunks * HUGE, HUGE, PAGEARENA_ALLOC_POPULATE);
	pid = storm();
	for (;;) {
		struct pagearena_op one = op(PAGEARENA_OP_PROMOTE, from, chunks * HUGE);
		struct pagearena_batch req = { .size = sizeof(req), .ops = (uintptr_t)&one,
					       .count = 1 };

		was = pa_stats(a.fd).nr_promote;
		if (!ioctl(a.fd, PAGEARENA_IOC_BATCH, &req))
			break;
		CHECK_EQ(errno, EINTR);
		/* Or it came before the operation was begun. */
		cut[1] += pa_stats(a.fd).nr_promote > was;
		CHECK_OP(cut[1], <=, chunks);
	}
	storm_over(pid);
	pa_say("cut short %u and %u times", cut[0], cut[1]);
	pa_check(&a);
	pa_close(&a);
	free(at);
}

/* In a debug arena, too, what is freed is out of reach when the call is over. */
static void test_debug(void)
{
	struct pagearena_op ops[66];
	struct arena a;
	__u64 at[33];
	__u32 i;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
					      .flags = PAGEARENA_SETUP_DEBUG });
	for (i = 0; i < 33; i++)
		ops[i] = op(PAGEARENA_OP_ALLOC, 0, 3 * a.page);
	CHECK_EQ(batch(&a, ops, 33, 0).failed, 0);
	for (i = 0; i < 33; i++) {
		at[i] = ops[i].offset;
		pa_fill(a.base + at[i], 3 * a.page, i);
	}
	for (i = 0; i < 33; i++) {
		ops[2 * i] = op(i % 2 ? PAGEARENA_OP_FREE : PAGEARENA_OP_RESIZE, at[i], a.page);
		if (i % 2)
			ops[2 * i].length = 0;
		ops[2 * i + 1] = op(i % 2 ? PAGEARENA_OP_FREE : PAGEARENA_OP_NOP,
				    i % 2 ? at[i] : 0, 0);
	}
	CHECK_EQ(batch(&a, ops, 66, 0).failed, 16);
	for (i = 0; i < 33; i++) {
		CHECK_EQ(ops[2 * i + 1].result, i % 2 ? -ENOENT : 0);
		CHECK_EQ(pa_peek(a.base + at[i], NULL), i % 2 ? SIGSEGV : 0);
		CHECK_EQ(pa_peek(a.base + at[i] + a.page, NULL), SIGSEGV);
		if (i % 2 == 0)
			CHECK(pa_filled(a.base + at[i], a.page, i));
	}
	CHECK_EQ(pa_stats(a.fd).backed, 17 * a.page);
	pa_check(&a);
	pa_close(&a);
}

static const struct pa_test tests[] = {
	{ "many at once", test_many },
	{ "each has its own result", test_errors },
	{ "everything, in turn", test_mixed },
	{ "ranges: one zap for a run", test_ranges },
	{ "ranges of huge chunks", test_huge_ranges },
	{ "EFAULT", test_fault },
	{ "from many threads", test_threads },
	{ "as many as there may be", test_most },
	{ "signals", test_signals },
	{ "a storm of signals", test_storm },
	{ "a debug arena", test_debug },
};

PA_MAIN(tests)
