// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * An arena of terabytes of address space costs what it uses.
 */
#include "pa_test.h"

#define SPANS	16

static __u64 arena_bytes(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	__u64 max;

	CHECK(fd >= 0);
	max = pa_info(fd).arena_bytes_max;
	close(fd);
	return MIN(max, 16 * TiB);
}

/* Page tables and nodes of trees go a moment later. */
static bool uncharged(void *most)
{
	return pa_cgroup_charge() <= *(__u64 *)most;
}

static void test_sparse(void)
{
	__u64 bytes = arena_bytes(), step = bytes / SPANS, charge0, slack, start, len, at;
	struct pagearena_stats stats;
	struct arena a;
	unsigned int i;
	char *p;

	pa_cgroup_enter();
	charge0 = pa_cgroup_charge();
	slack = pa_cgroup_slack();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = bytes,
					      .huge = PAGEARENA_HUGE_NEVER });
	CHECK_OP(pa_cgroup_charge(), <=, charge0 + slack);
	/* Each fills its part of the arena but for the last page. */
	len = step - a.page;
	for (i = 0; i < SPANS; i++) {
		at = pa_alloc(&a, len, step, 0);
		CHECK_EQ(at, i * step);
		p = a.base + at;
		pa_fill(p, 4096, i);
		pa_fill(p + len / 2, 4096, i + 100);
		pa_fill(p + len - 4096, 4096, i + 200);
	}
	CHECK_ERR(pa_alloc_fd(a.fd, 2 * a.page, 0, 0, NULL), ENOMEM);
	pa_check(&a);
	stats = pa_stats(a.fd);
	CHECK_EQ(stats.heap_sys, bytes);
	CHECK_EQ(stats.heap_inuse, SPANS * len);
	CHECK_EQ(stats.backed, SPANS * 3 * (__u64)getpagesize());
	CHECK_EQ(pa_smaps(a.base, a.bytes).rss, stats.backed);
	/*
	 * For each of the 48 places: a page, a table of pages (4 KiB), and on the way to it
	 * page tables (up to 3) and radix-tree nodes (up to 5 of 576 bytes).
	 */
	CHECK_OP(pa_cgroup_charge() - charge0, <=, SPANS * 3 * 10 * (__u64)getpagesize() + slack);

	for (i = 0; i < SPANS; i++) {
		p = a.base + i * step;
		CHECK(pa_filled(p, 4096, i));
		CHECK(pa_filled(p + len / 2, 4096, i + 100));
		CHECK(pa_filled(p + len - 4096, 4096, i + 200));
		CHECK_EQ(pa_peek(p + len, NULL), SIGSEGV);
	}
	/* Releasing takes time for what is backed, not for what could be. */
	start = pa_now();
	for (i = 0; i < SPANS; i += 2)
		pa_free(&a, i * step);
	CHECK_OP(pa_scavenge(&a, ALL, 0, NULL), >=, SPANS / 2 * len);
	CHECK_OP(pa_now() - start, <, 5000000000ULL);
	CHECK_EQ(pa_stats(a.fd).backed, stats.backed / 2);
	for (i = 1; i < SPANS; i += 2)
		CHECK(pa_filled(a.base + i * step, 4096, i));
	for (i = 0; i < SPANS; i += 2)
		CHECK_EQ(pa_peek(a.base + i * step, NULL), SIGSEGV);
	pa_check(&a);

	start = pa_now();
	pa_close(&a);
	CHECK_OP(pa_now() - start, <, 5000000000ULL);
	charge0 += slack;
	if (!pa_wait_until(uncharged, &charge0, 5000))
		CHECK_OP(pa_cgroup_charge(), <=, charge0);
	pa_cgroup_leave();
}

/* The largest arena that there is, mapped through windows. */
static void test_largest(void)
{
	struct pagearena_alloc req, last;
	struct pagearena_span s;
	struct pagearena_info info;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	__u64 start = pa_now(), most;
	char *p;

	info = pa_info(fd);
	CHECK(!pa_setup_fd(fd, (struct pagearena_setup){ .arena_bytes = info.arena_bytes_max,
							 .growth = info.arena_bytes_max,
							 .span_page = MAX(8 * KiB, pa_page),
							 .huge = PAGEARENA_HUGE_NEVER }));
	info = pa_info(fd);
	most = MIN(info.span_pages_max * info.span_page, info.arena_bytes / 4);
	CHECK(!pa_alloc_fd(fd, info.span_page, info.arena_bytes / 2, 0, &req));
	CHECK(!pa_alloc_fd(fd, info.span_page, info.arena_bytes / 2, 0, &last));
	CHECK_EQ(req.offset, 0);
	CHECK_EQ(last.offset, info.arena_bytes / 2);
	CHECK(!pa_alloc_fd(fd, most, 0, 0, &req));
	CHECK_EQ(req.length, ALIGN_UP(most, info.span_page));
	pa_say("the largest span is at %#llx", (unsigned long long)req.offset);

	p = mmap(NULL, 4 * MiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)last.offset);
	CHECK(p != MAP_FAILED);
	pa_fill(p, info.span_page, 5);
	CHECK_EQ(pa_peek(p + info.span_page, NULL), SIGSEGV);
	CHECK(!munmap(p, 4 * MiB));
	p = mmap(NULL, 4 * MiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 (off_t)(info.arena_bytes - 4 * MiB));
	CHECK(p != MAP_FAILED);
	CHECK_EQ(pa_peek(p + 4 * MiB - 1, NULL), SIGSEGV);
	CHECK(!pa_query_fd(fd, info.arena_bytes - 1, &s));
	CHECK_EQ(s.offset + s.length, info.arena_bytes);
	CHECK_EQ(pa_stats(fd).backed, info.span_page);
	pa_recount(info.arena_id);
	CHECK(!munmap(p, 4 * MiB));
	close(fd);
	CHECK_OP(pa_now() - start, <, 10000000000ULL);
}

/* Many spans: the calls do not slow down with their number beyond reason. */
static void test_many(void)
{
	__u64 nr = pa_ops(20000), i, charge0, slack;
	struct pagearena_span *list;
	struct arena a;

	pa_cgroup_enter();
	charge0 = pa_cgroup_charge();
	slack = pa_cgroup_slack();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * GiB });
	for (i = 0; i < nr; i++)
		CHECK_EQ(pa_alloc(&a, a.page, 0, 0), i * a.page);
	CHECK_EQ(pa_spans(a.fd, &list), nr + 1);
	free(list);
	/* A span costs about 150 bytes of the kernel's memory. */
	CHECK_OP(pa_cgroup_charge(), <=, charge0 + nr * 256 + slack);
	for (i = 0; i < nr; i += 2)
		pa_free(&a, i * a.page);
	pa_recount(a.id);
	for (i = 1; i < nr; i += 2)
		pa_free(&a, i * a.page);
	CHECK_EQ(pa_spans(a.fd, &list), 1 + (pa_stats(a.fd).spans_scavenged != 0));
	free(list);
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_leave();
}

static const struct pa_test tests[] = {
	{ "terabytes with little in them", test_sparse },
	{ "the largest arena", test_largest },
	{ "many spans", test_many },
};

PA_MAIN(tests)
