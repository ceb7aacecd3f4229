// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * PAGEARENA_HUGE_OFF: folios of 64 KiB, of which one fault maps all, and no huge ones.
 */
#include <pthread.h>
#include <sys/uio.h>

#include "pa_test.h"

#define MID	(64 * KiB)

static void open_off(struct arena *a, __u64 bytes, __u64 granule, __u32 flags)
{
	pa_open(a, (struct pagearena_setup){ .arena_bytes = bytes,
					     .granule = granule,
					     .flags = flags,
					     .huge = PAGEARENA_HUGE_OFF });
	if (MID <= pa_info(a->fd).page_size)
		SKIP("a page has 64 KiB");
}

static __u64 faults(struct arena *a)
{
	return pa_stats(a->fd).nr_fault;
}

static __u64 rss(struct arena *a)
{
	return pa_smaps(a->base, a->bytes).rss;
}

/* Touches @len bytes; returns the number of faults. */
static __u64 touch(struct arena *a, __u64 at, __u64 len, __u64 seed)
{
	__u64 before = faults(a);

	pa_fill(a->base + at, len, seed);
	return faults(a) - before;
}

static void test_setup(void)
{
	struct pagearena_op op = { .op = PAGEARENA_OP_PROMOTE, .length = 2 * MiB };
	struct pagearena_batch batch = { .size = sizeof(batch), .count = 1 };
	struct pagearena_setup setup = { .size = sizeof(setup), .arena_bytes = 64 * MiB };
	struct arena a;
	int fd;

	open_off(&a, 64 * MiB, 0, 0);
	CHECK_EQ(pa_info(a.fd).huge, PAGEARENA_HUGE_OFF);
	op.length = pa_info(a.fd).huge_size;
	pa_alloc(&a, op.length, op.length, PAGEARENA_ALLOC_POPULATE);
	CHECK_ERR(pa_promote_fd(a.fd, 0, op.length, NULL), EOPNOTSUPP);
	batch.ops = (uintptr_t)&op;
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_BATCH, &batch));
	CHECK_EQ(batch.failed, 1);
	CHECK_EQ(op.result, -EOPNOTSUPP);
	CHECK_EQ(pa_stats(a.fd).nr_promote, 0);
	pa_check(&a);
	pa_close(&a);

	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	setup.huge = PAGEARENA_HUGE_OFF + 1;
	CHECK_ERR(ioctl(fd, PAGEARENA_IOC_SETUP, &setup), EOPNOTSUPP);
	close(fd);
}

/* One fault for each 64 KiB that a span covers; what it does not cover comes page by page. */
static void test_faults(void)
{
	struct pagearena_stats st;
	struct arena a;
	__u64 at, page;

	open_off(&a, 256 * MiB, MID, 0);
	page = pa_info(a.fd).page_size;
	at = pa_alloc(&a, 16 * MiB, MID, 0);
	CHECK_EQ(touch(&a, at, 16 * MiB, 1), 16 * MiB / MID);
	st = pa_stats(a.fd);
	CHECK_EQ(st.backed, 16 * MiB);
	CHECK_EQ(st.huge_bytes, 0);
	CHECK_EQ(st.nr_mid_alloc, 16 * MiB / MID);
	CHECK_EQ(rss(&a), 16 * MiB);
	CHECK_EQ(pa_smaps(a.base, a.bytes).pmd, 0);
	CHECK(pa_filled(a.base + at, 16 * MiB, 1));
	pa_check(&a);

	/* In the middle of 64 KiB that nobody else uses. */
	at = pa_alloc(&a, MID / 2, MID, 0);
	CHECK_EQ(touch(&a, at, MID / 2, 2), MID / 2 / page);
	CHECK_EQ(pa_stats(a.fd).backed, 16 * MiB + MID / 2);
	CHECK(pa_filled(a.base + at, MID / 2, 2));
	pa_check(&a);
	pa_close(&a);

	/* Released in smaller pieces, so backed in smaller pieces. */
	open_off(&a, 64 * MiB, page, 0);
	at = pa_alloc(&a, MID, MID, 0);
	CHECK_EQ(touch(&a, at, MID, 3), MID / page);
	CHECK(pa_filled(a.base + at, MID, 3));
	pa_check(&a);
	pa_close(&a);
}

static void test_release(void)
{
	struct arena a;
	__u64 at, i;

	open_off(&a, 64 * MiB, MID, 0);
	at = pa_alloc(&a, 4 * MiB, MID, 0);
	touch(&a, at, 4 * MiB, 1);
	pa_free(&a, at);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 4 * MiB);
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	CHECK_EQ(rss(&a), 0);
	pa_check(&a);

	at = pa_alloc(&a, 4 * MiB, MID, 0);
	CHECK(pa_zero(a.base + at, 4 * MiB));
	for (i = 0; i < 4 * MiB / MID; i++)
		pa_fill(a.base + at + i * MID, MID, i);
	pa_free(&a, at);
	/* Some of it is in use again. */
	at = pa_alloc(&a, MID + a.page, MID, 0);
	pa_fill(a.base + at, MID + a.page, 99);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 4 * MiB - 2 * MID);
	CHECK(pa_filled(a.base + at, MID + a.page, 99));
	CHECK_EQ(pa_stats(a.fd).backed, 2 * MID);
	pa_check(&a);
	pa_close(&a);
}

/* Some of 64 KiB is mapped already, or not in reach of the mapping. */
static void test_parts(void)
{
	struct arena a;
	__u64 at, page, len;
	char *part;

	open_off(&a, 64 * MiB, MID, 0);
	page = pa_info(a.fd).page_size;
	at = pa_alloc(&a, 8 * MID, MID, 0);
	touch(&a, at, 8 * MID, 1);

	CHECK(!madvise(a.base + at + 5 * page, page, MADV_DONTNEED));
	CHECK_EQ(rss(&a), 8 * MID - page);
	CHECK(pa_filled(a.base + at, 8 * MID, 1));
	CHECK(!madvise(a.base + at + MID, MID, MADV_DONTNEED));
	CHECK(!madvise(a.base + at + 2 * MID + page, MID - 2 * page, MADV_DONTNEED));
	/* From its end, so that what is before it is mapped as well. */
	CHECK_EQ(pa_peek(a.base + at + 2 * MID - page, NULL), 0);
	CHECK(pa_filled(a.base + at, 8 * MID, 1));
	CHECK_EQ(rss(&a), 8 * MID);

	/* A mapping that begins and ends within 64 KiB. */
	len = MID - 2 * page;
	part = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, at + 3 * MID + page);
	CHECK(part != MAP_FAILED);
	CHECK(!memcmp(part, a.base + at + 3 * MID + page, len));
	CHECK_EQ(pa_smaps(part, len).rss, len);
	memset(part, 0x5a, len);
	CHECK(!memcmp(part, a.base + at + 3 * MID + page, len));
	CHECK(!munmap(part, len));

	/* Holes in it. */
	CHECK(!munmap(a.base + at + 6 * MID + page, page));
	CHECK(!munmap(a.base + at + 6 * MID + 9 * page, page));
	CHECK(!madvise(a.base + at + 6 * MID + 2 * page, 7 * page, MADV_DONTNEED));
	CHECK_EQ(pa_peek(a.base + at + 6 * MID + 4 * page, NULL), 0);
	CHECK_EQ(pa_peek(a.base + at + 6 * MID + page, NULL), SIGSEGV);
	CHECK_EQ(pa_peek(a.base + at + 6 * MID + 9 * page, NULL), SIGSEGV);
	pa_check(&a);
	pa_free(&a, at);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 8 * MID);
	pa_check(&a);
	pa_close(&a);
}

static void test_protection(void)
{
	struct arena a;
	__u64 at, i;
	char *moved;

	open_off(&a, 64 * MiB, MID, 0);
	at = pa_alloc(&a, 4 * MID, MID, 0);
	CHECK(!mprotect(a.base, a.bytes, PROT_READ));
	CHECK(pa_zero(a.base + at, 4 * MID));
	CHECK_EQ(pa_poke(a.base + at, 1), SIGSEGV);
	CHECK(!mprotect(a.base, a.bytes, PROT_READ | PROT_WRITE));
	pa_fill(a.base + at, 4 * MID, 1);
	CHECK(!mprotect(a.base, a.bytes, PROT_NONE));
	CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
	CHECK(!mprotect(a.base, a.bytes, PROT_READ | PROT_WRITE));
	CHECK(pa_filled(a.base + at, 4 * MID, 1));

	/* Moved to where the place in 64 KiB of virtual memory differs. */
	moved = mmap(NULL, a.bytes + MID, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(moved != MAP_FAILED);
	i = pa_info(a.fd).page_size;
	moved = mremap(a.base, a.bytes, a.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, moved + i);
	CHECK(moved != MAP_FAILED);
	a.base = moved;
	CHECK(pa_filled(a.base + at, 4 * MID, 1));
	CHECK(!madvise(a.base + at, 4 * MID, MADV_DONTNEED));
	CHECK(pa_filled(a.base + at, 4 * MID, 1));
	pa_free(&a, at);
	pa_scavenge(&a, ALL, 0, NULL);
	at = pa_alloc(&a, 4 * MID, MID, 0);
	CHECK(pa_zero(a.base + at, 4 * MID));
	CHECK_EQ(rss(&a), 4 * MID);
	pa_check(&a);
	pa_close(&a);
}

/* What others do to the memory. */
static void test_others(void)
{
	struct iovec local, remote;
	struct arena a;
	__u64 at, i;
	char *copy;
	pid_t pid;

	open_off(&a, 64 * MiB, MID, 0);
	at = pa_alloc(&a, MiB, MID, 0);
	copy = malloc(MiB);
	CHECK(copy);
	memset(copy, 0x77, MiB);
	local = (struct iovec){ copy, MiB };
	remote = (struct iovec){ a.base + at, MiB };
	CHECK_EQ(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), MiB);
	CHECK(!memcmp(copy, a.base + at, MiB));
	CHECK_EQ(pa_stats(a.fd).nr_fault, MiB / MID);

	/* A child has nothing mapped; with DOFORK it has the same memory. */
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(pa_peek(a.base + at, NULL) == SIGSEGV ? 0 : 1);
	pa_wait_ok(pid);
	CHECK(!madvise(a.base, a.bytes, MADV_DOFORK));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (memcmp(copy, a.base + at, MiB))
			_exit(1);
		for (i = 0; i < MiB; i += MID)
			a.base[at + i] = 1;
		_exit(0);
	}
	pa_wait_ok(pid);
	for (i = 0; i < MiB; i += MID)
		CHECK_EQ(a.base[at + i], 1);
#ifdef MADV_POPULATE_WRITE
	pa_free(&a, at);
	pa_scavenge(&a, ALL, 0, NULL);
	at = pa_alloc(&a, MiB, MID, 0);
	if (madvise(a.base + at, MiB, MADV_POPULATE_WRITE))
		CHECK_EQ(errno, EINVAL);
	else
		CHECK_EQ(rss(&a), MiB);
	CHECK(pa_zero(a.base + at, MiB));
#endif
	pa_check(&a);
	pa_close(&a);
	free(copy);
}

/* What is mapped keeps references; none may stay. */
static void test_leak(void)
{
	__u64 before, i, at, rounds = 24;
	struct arena a;

	before = pa_proc_kb("/proc/meminfo", "MemFree:");
	for (i = 0; i < rounds; i++) {
		open_off(&a, 64 * MiB, MID, 0);
		at = pa_alloc(&a, 16 * MiB, MID, 0);
		pa_fill(a.base + at, 16 * MiB, i);
		if (i % 3 == 1) {
			pa_free(&a, at);
			pa_scavenge(&a, ALL, 0, NULL);
		} else if (i % 3 == 2) {
			CHECK(!madvise(a.base, a.bytes, MADV_DONTNEED));
			CHECK(pa_filled(a.base + at, 16 * MiB, i));
		}
		pa_close(&a);
	}
	CHECK_OP(pa_proc_kb("/proc/meminfo", "MemFree:") + rounds * 16 * KiB / 2, >, before);
}

/* Faults, releases and MADV_DONTNEED, from several threads. */
static struct arena shared;
static bool stop;

static void *churn(void *arg)
{
	__u64 state = (uintptr_t)arg, n = 0, len, seed;
	struct pagearena_alloc got;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		len = (1 + pa_random(&state) % 24) * 8 * KiB;
		CHECK(!pa_alloc_fd(shared.fd, len, pa_random(&state) % 2 ? MID : 0, 0, &got));
		seed = pa_random(&state);
		pa_fill(shared.base + got.offset, len, seed);
		if (!(pa_random(&state) % 4))
			CHECK(!madvise(shared.base + ALIGN_DOWN(got.offset, MID), MID,
				       MADV_DONTNEED));
		CHECK(pa_filled(shared.base + got.offset, len, seed));
		CHECK(!pa_free_fd(shared.fd, got.offset, len));
		n++;
	}
	return (void *)(uintptr_t)n;
}

static void test_threads(void)
{
	pthread_t threads[4];
	__u64 end = pa_now() + pa_env("PA_OFF_SECONDS", 3) * 1000000000, n = 0;
	void *done;
	size_t i;

	open_off(&shared, 64 * MiB, MID, 0);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK(!pthread_create(&threads[i], NULL, churn, (void *)(i + 1)));
	while (pa_now() < end)
		n += pa_scavenge(&shared, ALL, 0, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		CHECK(!pthread_join(threads[i], &done));
		CHECK(done);
	}
	CHECK(n);
	CHECK(pa_stats(shared.fd).nr_mid_alloc);
	CHECK_EQ(pa_stats(shared.fd).heap_inuse, 0);
	pa_check(&shared);
	pa_close(&shared);
}

/* A freed span is out of reach, though its neighbours were mapped with it. */
static void test_debug(void)
{
	struct arena a;
	__u64 at;

	open_off(&a, 64 * MiB, MID, PAGEARENA_SETUP_DEBUG);
	at = pa_alloc(&a, 4 * MID, MID, 0);
	touch(&a, at, 4 * MID, 1);
	pa_free(&a, at);
	CHECK_EQ(pa_peek(a.base + at + MID, NULL), SIGSEGV);
	at = pa_alloc(&a, MID / 2, MID, 0);
	pa_alloc(&a, MID / 2, 0, 0);
	CHECK_EQ(pa_alloc(&a, MID, MID, 0), at + MID);
	touch(&a, at, MID, 2);
	pa_free(&a, at);
	CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
	CHECK_EQ(pa_peek(a.base + at + MID / 2, NULL), 0);
	pa_check(&a);
	pa_close(&a);
}

/* Nor does it come back with a neighbour that is touched later. */
static void test_debug_neighbour(void)
{
	struct pagearena_setup setup = {
		.arena_bytes = 64 * MiB,
		.span_page = 4 * KiB,
		.granule = MID,
		.flags = PAGEARENA_SETUP_DEBUG,
	};
	static const __u32 policies[] = { PAGEARENA_HUGE_OFF, PAGEARENA_HUGE_NEVER };
	struct arena a;
	unsigned int i;
	__u64 at, b;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		setup.huge = policies[i];
		pa_open(&a, setup);
		if (MID <= pa_info(a.fd).page_size)
			SKIP("a page has 64 KiB");
		at = pa_alloc(&a, MID / 2, MID, 0);
		b = pa_alloc(&a, MID / 2, 0, PAGEARENA_ALLOC_POPULATE);
		CHECK_EQ(b, at + MID / 2);
		pa_free(&a, b);
		CHECK_EQ(pa_poke(a.base + at, 1), 0);
		CHECK_EQ(pa_peek(a.base + b, NULL), SIGSEGV);
		pa_check(&a);
		pa_close(&a);
	}
}

static const struct pa_test tests[] = {
	{ "set up, PROMOTE refused", test_setup },
	{ "faults", test_faults },
	{ "release", test_release },
	{ "parts of 64 KiB", test_parts },
	{ "mprotect, mremap", test_protection },
	{ "other processes, get_user_pages, populate", test_others },
	{ "nothing is leaked", test_leak },
	{ "threads", test_threads },
	{ "debug", test_debug },
	{ "debug, a neighbour", test_debug_neighbour },
};

PA_MAIN(tests)
