// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The calls by themselves: what each returns, every error, and that a call that fails
 * changes nothing.
 */
#include "pa_test.h"

union arg {
	struct {
		__u32 size;
		__u32 flags;
	};
	struct pagearena_info info;
	struct pagearena_setup setup;
	struct pagearena_alloc alloc;
	struct pagearena_free free;
	struct pagearena_scavenge scavenge;
	struct pagearena_promote promote;
	struct pagearena_stats stats;
	struct pagearena_spans spans;
	struct pagearena_query query;
	struct pagearena_policy policy;
	struct pagearena_resize resize;
	struct pagearena_batch batch;
};

static struct pagearena_span span_room[4];
static struct pagearena_op op_room[1];

/* Every call, with arguments that are good in the arena of fixture(). */
static struct {
	const char *name;
	unsigned int cmd;
	__u32 size;
	union arg good;
} calls[] = {
	{ "INFO", PAGEARENA_IOC_INFO, sizeof(struct pagearena_info), {} },
	{ "SETUP", PAGEARENA_IOC_SETUP, sizeof(struct pagearena_setup),
	  { .setup = { .arena_bytes = 64 << 20 } } },
	{ "ALLOC", PAGEARENA_IOC_ALLOC, sizeof(struct pagearena_alloc),
	  { .alloc = { .length = 8192 } } },
	{ "RESIZE", PAGEARENA_IOC_RESIZE, sizeof(struct pagearena_resize),
	  { .resize = { .length = 3 * 8192 } } },
	{ "FREE", PAGEARENA_IOC_FREE, sizeof(struct pagearena_free), {} },
	{ "SCAVENGE", PAGEARENA_IOC_SCAVENGE, sizeof(struct pagearena_scavenge),
	  { .scavenge = { .bytes = 1 } } },
	{ "PROMOTE", PAGEARENA_IOC_PROMOTE, sizeof(struct pagearena_promote),
	  { .promote = { .length = 2 << 20 } } },
	{ "STATS", PAGEARENA_IOC_STATS, sizeof(struct pagearena_stats), {} },
	{ "SPANS", PAGEARENA_IOC_SPANS, sizeof(struct pagearena_spans),
	  { .spans = { .count = 4 } } },
	{ "QUERY", PAGEARENA_IOC_QUERY, sizeof(struct pagearena_query), {} },
	{ "POLICY", PAGEARENA_IOC_POLICY, sizeof(struct pagearena_policy), {} },
	{ "BATCH", PAGEARENA_IOC_BATCH, sizeof(struct pagearena_batch),
	  { .batch = { .count = 1 } } },
};

enum { INFO, SETUP, ALLOC, RESIZE, FREE, SCAVENGE, PROMOTE, STATS, SPANS, QUERY, POLICY, BATCH };

/* The size that was published first. */
static __u32 first_size(unsigned int nr)
{
	switch (nr) {
	case STATS:
		return offsetof(struct pagearena_stats, reclaimable);
	case POLICY:
		return offsetof(struct pagearena_policy, scavenge_percent);
	default:
		return calls[nr].size;
	}
}

/* @first, a free span, @last, and the free rest; 16 of 64 MiB grown. */
struct fixture {
	struct arena arena;
	__u64 first;
	__u64 hole;
	__u64 last;
};

#define FIXTURE_BYTES	(64 * MiB)
#define FIXTURE_GROWN	(16 * MiB)

static void fixture(struct fixture *f)
{
	struct arena *a = &f->arena;

	pa_open(a, (struct pagearena_setup){ .arena_bytes = FIXTURE_BYTES,
					     .growth = FIXTURE_GROWN,
					     .huge = PAGEARENA_HUGE_NEVER });
	f->first = pa_alloc(a, 3 * a->page, 0, 0);
	f->hole = pa_alloc(a, 2 * a->page, 0, 0);
	f->last = pa_alloc(a, a->page, 0, 0);
	pa_fill(a->base + f->first, 3 * a->page, 1);
	pa_fill(a->base + f->hole, 2 * a->page, 2);
	pa_free(a, f->hole);
	CHECK_EQ(f->first, 0);
	CHECK_EQ(f->last, 5 * a->page);
	calls[SPANS].good.spans.spans = (uintptr_t)span_room;
	calls[BATCH].good.batch.ops = (uintptr_t)op_room;
	calls[FREE].good.free.offset = f->first;
	pa_check(a);
}

static long call(int fd, unsigned int i, union arg *arg)
{
	if (!arg->size)
		arg->size = calls[i].size;
	return ioctl(fd, calls[i].cmd, arg);
}

/* A call that must fail and change nothing. */
struct bad {
	unsigned int call;
	int err;
	const char *what;
	union arg arg;
};

static void expect_bad(int fd, struct snapshot *snap, const struct bad *bad)
{
	union arg arg = bad->arg;
	long ret;

	errno = 0;
	ret = call(fd, bad->call, &arg);
	pa_expect(ret == -1 && errno == bad->err, "%s, %s: %ld, %s instead of %s",
		  calls[bad->call].name, bad->what, ret, strerror(errno), strerror(bad->err));
	if (snap)
		pa_expect(pa_unchanged(fd, snap), "%s, %s: something changed",
			  calls[bad->call].name, bad->what);
}

static void test_happy(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	union arg arg = {};
	struct pagearena_info info;
	__u32 count;

	CHECK(fd >= 0);
	info = pa_info(fd);
	CHECK_EQ(info.size, sizeof(info));
	CHECK_EQ(info.abi_version, PAGEARENA_ABI_VERSION);
	CHECK_EQ(info.page_size, getpagesize());
	CHECK(info.span_page_min && info.span_page_min <= info.span_page_max);
	CHECK(info.huge_size >= info.page_size && info.pmd_size >= info.huge_size);
	CHECK_OP(info.arena_bytes_max, >=, TiB);
	CHECK_OP(info.span_pages_max, >=, 1);
	CHECK(info.arena_id);
	CHECK(!info.arena_bytes && !info.span_page && !info.granule && !info.growth);
	CHECK(!info.limit && !info.setup_flags && !info.fit && !info.huge && !info.__pad);

	arg.setup = (struct pagearena_setup){ .arena_bytes = 256 * MiB, .limit = 128 * MiB };
	CHECK(!call(fd, SETUP, &arg));
	CHECK_EQ(arg.size, sizeof(arg.setup));
	CHECK_EQ(arg.setup.span_page, 8192);
	CHECK_EQ(arg.setup.granule, info.page_size);
	CHECK_EQ(arg.setup.growth, 64 * MiB);
	info = pa_info(fd);
	CHECK_EQ(info.arena_bytes, 256 * MiB);
	CHECK_EQ(info.span_page, arg.setup.span_page);
	CHECK_EQ(info.granule, arg.setup.granule);
	CHECK_EQ(info.growth, arg.setup.growth);
	CHECK_EQ(info.limit, 128 * MiB);

	/* Nothing has grown yet. */
	CHECK_EQ(pa_stats(fd).heap_sys, 0);
	arg = (union arg){ .spans = { .spans = (uintptr_t)span_room, .count = 4 } };
	CHECK(!call(fd, SPANS, &arg));
	CHECK_EQ(arg.spans.count, 0);

	arg = (union arg){ .alloc = { .length = 8193, .align = 1 * MiB } };
	CHECK(!call(fd, ALLOC, &arg));
	CHECK_EQ(arg.alloc.length, 16384);
	CHECK_EQ(arg.alloc.offset % MiB, 0);
	CHECK_EQ(arg.alloc.out_flags, PAGEARENA_ALLOCED_ZERO);
	CHECK_EQ(pa_stats(fd).heap_inuse, 16384);
	CHECK_EQ(pa_stats(fd).heap_sys, 64 * MiB);
	CHECK_EQ(pa_stats(fd).heap_released, 64 * MiB - ALIGN_UP(16384, info.page_size));

	arg = (union arg){ .query = { .offset = arg.alloc.offset + 16383 } };
	CHECK(!call(fd, QUERY, &arg));
	CHECK_EQ(arg.query.span.length, 16384);
	CHECK_EQ(arg.query.span.state, PAGEARENA_SPAN_INUSE);

	arg = (union arg){ .spans = { .spans = (uintptr_t)span_room, .count = 1 } };
	for (count = 0; !call(fd, SPANS, &arg) && arg.spans.count; count++)
		CHECK_EQ(arg.spans.offset, span_room[0].offset + span_room[0].length);
	CHECK_EQ(arg.spans.offset, 64 * MiB);
	CHECK_OP(count, >=, 2);

	CHECK(!pa_free_fd(fd, 0, 8193));
	CHECK_EQ(pa_stats(fd).heap_inuse, 0);
	arg = (union arg){ .scavenge = { .bytes = ALL } };
	CHECK(!call(fd, SCAVENGE, &arg));
	CHECK_EQ(arg.scavenge.backed, 0);
	CHECK_EQ(pa_stats(fd).heap_released, 64 * MiB);

	arg = (union arg){ .promote = { .length = info.huge_size } };
	CHECK(!call(fd, PROMOTE, &arg));
	CHECK_EQ(arg.promote.counts[PAGEARENA_PROMOTE_EMPTY], 1);

	arg = (union arg){ .policy = { .set = 3, .promote_percent = 7, .promote_density = 42 } };
	CHECK(!call(fd, POLICY, &arg));
	arg = (union arg){ .policy = { .set = PAGEARENA_POLICY_PROMOTE_PERCENT } };
	CHECK(!call(fd, POLICY, &arg));
	arg = (union arg){};
	CHECK(!call(fd, POLICY, &arg));
	CHECK_EQ(arg.policy.promote_percent, 0);
	CHECK_EQ(arg.policy.promote_density, 42);
	close(fd);
}

/* FREE takes the length that ALLOC was asked for, the one it returned, and none. */
static void test_free_length(void)
{
	static const __u64 lengths[] = { 0, 10000, 16384 };
	struct arena a;
	unsigned int i;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB });
	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		CHECK(!pa_free_fd(a.fd, pa_alloc(&a, 10000, 0, 0), lengths[i]));
	pa_check(&a);
	pa_close(&a);
}

static void test_unknown(void)
{
	struct snapshot snap;
	struct fixture f;
	unsigned int nr;

	fixture(&f);
	snap = pa_snapshot(f.arena.fd);
	for (nr = 0; nr < 256; nr++) {
		union arg arg = { .size = 8 };

		if (nr >= 0x80 && nr <= 0x8b)
			continue;
		CHECK_ERR(ioctl(f.arena.fd, _IO(PAGEARENA_IOC_TYPE, nr), &arg), ENOTTY);
	}
	CHECK_ERR(ioctl(f.arena.fd, _IO(PAGEARENA_IOC_TYPE + 1, 0x82), &f), ENOTTY);
	CHECK_ERR(ioctl(f.arena.fd, _IOWR(PAGEARENA_IOC_TYPE, 0x82, struct pagearena_alloc), &f),
		  ENOTTY);
	CHECK(pa_unchanged(f.arena.fd, &snap));
}

/* Sizes: too short, and longer than this kernel knows, with a tail of zero and not. */
static void test_sizes(void)
{
	unsigned int i, j, page = (unsigned int)getpagesize();
	unsigned char *buf = aligned_alloc(page, page);
	struct snapshot snap;
	struct fixture f;

	fixture(&f);
	snap = pa_snapshot(f.arena.fd);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		const __u32 size = calls[i].size;
		const __u32 min = first_size(i);
		struct bad bad[] = {
			{ i, EINVAL, "size 0", {} },
			{ i, EINVAL, "size 4", { .size = 4 } },
			{ i, EINVAL, "size 8", { .size = 8 } },
			{ i, EINVAL, "a size one short", { .size = min - 1 } },
			{ i, EINVAL, "a size one field short", { .size = min - 8 } },
			{ i, E2BIG, "size ~0", { .size = ~0U } },
		};
		const __u32 tails[] = { 1, 8, 200, page - size };
		int fd = f.arena.fd;

		for (j = 0; j < ARRAY_SIZE(bad); j++) {
			union arg arg = calls[i].good;
			long ret;

			arg.size = bad[j].arg.size;
			errno = 0;
			ret = ioctl(fd, calls[i].cmd, &arg);
			pa_expect(ret == -1 && errno == bad[j].err, "%s, %s: %ld, %s",
				  calls[i].name, bad[j].what, ret, strerror(errno));
			pa_expect(pa_unchanged(fd, &snap), "%s, %s: something changed",
				  calls[i].name, bad[j].what);
		}
		for (j = 0; j < ARRAY_SIZE(tails); j++) {
			long ret;

			memset(buf, 0, page);
			memcpy(buf, &calls[i].good, size);
			*(__u32 *)buf = size + tails[j];
			buf[size + tails[j] - 1] = 1;
			errno = 0;
			ret = ioctl(fd, calls[i].cmd, buf);
			pa_expect(ret == -1 && errno == E2BIG, "%s with a tail: %ld, %s",
				  calls[i].name, ret, strerror(errno));
			pa_expect(pa_unchanged(fd, &snap), "%s with a tail: something changed",
				  calls[i].name);
		}
		/* Last, because it does what it says; SETUP wants a new arena for it. */
		if (i == SETUP)
			fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		memset(buf, 0, page);
		memcpy(buf, &calls[i].good, size);
		*(__u32 *)buf = page;
		pa_expect(!ioctl(fd, calls[i].cmd, buf), "%s with a tail of 0: %s", calls[i].name,
			  strerror(errno));
		pa_expect(*(__u32 *)buf == page && pa_zero(buf + size, page - size),
			  "%s wrote beyond what it knows", calls[i].name);
		free(snap.spans);
		snap = pa_snapshot(f.arena.fd);
	}
	pa_check(&f.arena);
}

static void test_errors(void)
{
	struct fixture f;
	union arg policy = {};
	struct snapshot snap;
	unsigned int i;

	fixture(&f);
	const __u64 page = f.arena.page;
	const __u64 top = 0 - page;	/* the highest multiple of a span page */
	const __u64 huge = pa_info(f.arena.fd).huge_size;
	const struct bad table[] = {
		{ INFO, EINVAL, "unknown flag", { .info.flags = 1 } },
		{ SETUP, EEXIST, "twice", calls[SETUP].good },
		{ SETUP, EINVAL, "unknown flag", { .setup.flags = 1U << 31 } },

		{ ALLOC, EINVAL, "unknown flag", { .alloc = { .flags = 8, .length = page } } },
		{ ALLOC, EINVAL, "flag 31", { .alloc = { .flags = 1U << 31, .length = page } } },
		{ ALLOC, EINVAL, "offset not 0", { .alloc = { .length = page, .offset = page } } },
		{ ALLOC, EINVAL, "out_flags not 0",
		  { .alloc = { .length = page, .out_flags = 1 } } },
		{ ALLOC, EINVAL, "padding", { .alloc = { .length = page, .__pad = 1 } } },
		{ ALLOC, EINVAL, "length 0", {} },
		{ ALLOC, EINVAL, "align 3", { .alloc = { .length = page, .align = 3 } } },
		{ ALLOC, EINVAL, "align 3 pages",
		  { .alloc = { .length = page, .align = 3 * page } } },
		{ ALLOC, EINVAL, "align ~0", { .alloc = { .length = page, .align = ALL } } },
		{ ALLOC, EOVERFLOW, "length ~0", { .alloc.length = ALL } },
		{ ALLOC, EOVERFLOW, "length just too long to round", { .alloc.length = top + 1 } },
		{ ALLOC, ENOMEM, "the longest length", { .alloc.length = top } },
		{ ALLOC, ENOMEM, "length 2^63", { .alloc.length = 1ULL << 63 } },
		{ ALLOC, ENOMEM, "more than 2^32 pages", { .alloc.length = page << 32 } },
		{ ALLOC, ENOMEM, "more than the arena", { .alloc.length = FIXTURE_BYTES + 1 } },
		{ ALLOC, ENOMEM, "all of the arena", { .alloc.length = FIXTURE_BYTES } },
		{ ALLOC, ENOMEM, "more than its rest",
		  { .alloc.length = FIXTURE_BYTES - f.last } },
		{ ALLOC, ENOMEM, "align 2^63",
		  { .alloc = { .length = page, .align = 1ULL << 63 } } },
		{ ALLOC, ENOMEM, "align as the arena",
		  { .alloc = { .length = page, .align = FIXTURE_BYTES } } },

		{ ALLOC, EEXIST, "at an allocated span",
		  { .alloc = { .flags = PAGEARENA_ALLOC_FIXED, .length = page } } },
		{ ALLOC, EEXIST, "at a free span, but longer",
		  { .alloc = { .flags = PAGEARENA_ALLOC_FIXED, .length = 3 * page,
			       .offset = f.hole } } },
		{ ALLOC, EEXIST, "at a place inside a span",
		  { .alloc = { .flags = PAGEARENA_ALLOC_FIXED, .length = page,
			       .offset = f.first + page } } },
		{ ALLOC, EINVAL, "at a misaligned place",
		  { .alloc = { .flags = PAGEARENA_ALLOC_FIXED, .length = page,
			       .offset = f.hole + 1 } } },
		{ ALLOC, EINVAL, "at a place that is not aligned as asked for",
		  { .alloc = { .flags = PAGEARENA_ALLOC_FIXED, .length = page,
			       .offset = 5 * page, .align = 2 * page } } },
		{ ALLOC, ENOMEM, "at the arena's end",
		  { .alloc = { .flags = PAGEARENA_ALLOC_FIXED, .length = page,
			       .offset = FIXTURE_BYTES } } },
		{ ALLOC, ENOMEM, "across the arena's end",
		  { .alloc = { .flags = PAGEARENA_ALLOC_FIXED, .length = 2 * page,
			       .offset = FIXTURE_BYTES - page } } },
		{ ALLOC, EOVERFLOW, "at a place that wraps",
		  { .alloc = { .flags = PAGEARENA_ALLOC_FIXED, .length = 2 * page,
			       .offset = top } } },

		{ RESIZE, EINVAL, "unknown flag",
		  { .resize = { .flags = PAGEARENA_ALLOC_FIXED, .length = page } } },
		{ RESIZE, EINVAL, "out_flags not 0",
		  { .resize = { .length = page, .out_flags = 1 } } },
		{ RESIZE, EINVAL, "padding", { .resize = { .length = page, .__pad = 1 } } },
		{ RESIZE, EINVAL, "length 0", { .resize = { .old_length = 3 * page } } },
		{ RESIZE, EINVAL, "misaligned", { .resize = { .offset = 1, .length = page } } },
		{ RESIZE, EINVAL, "another length",
		  { .resize = { .length = page, .old_length = 2 * page } } },
		{ RESIZE, ENOMEM, "more pages than a span has",
		  { .resize = { .length = 1ULL << 50 } } },
		{ RESIZE, EOVERFLOW, "length ~0", { .resize = { .length = ALL } } },
		{ RESIZE, EOVERFLOW, "old length ~0",
		  { .resize = { .length = page, .old_length = ALL } } },
		{ RESIZE, EOVERFLOW, "wraps",
		  { .resize = { .offset = f.last, .length = top } } },
		{ RESIZE, ENOENT, "inside a span",
		  { .resize = { .offset = f.first + page, .length = page } } },
		{ RESIZE, ENOENT, "a free span",
		  { .resize = { .offset = f.hole, .length = page } } },
		{ RESIZE, ENOENT, "not grown",
		  { .resize = { .offset = FIXTURE_GROWN, .length = page } } },
		{ RESIZE, EEXIST, "no room behind it",
		  { .resize = { .offset = f.first, .length = 6 * page } } },
		{ RESIZE, ENOMEM, "beyond the arena",
		  { .resize = { .offset = f.last, .length = FIXTURE_BYTES } } },

		{ BATCH, EINVAL, "unknown flag", { .batch = { .flags = 2, .count = 1 } } },
		{ BATCH, EINVAL, "no operations", {} },
		{ BATCH, EINVAL, "too many",
		  { .batch = { .count = PAGEARENA_BATCH_MAX + 1 } } },
		{ BATCH, EINVAL, "done not 0", { .batch = { .count = 1, .done = 1 } } },
		{ BATCH, EINVAL, "failed not 0", { .batch = { .count = 1, .failed = 1 } } },
		{ BATCH, EINVAL, "padding", { .batch = { .count = 1, .__pad = 1 } } },
		{ BATCH, EFAULT, "no list", { .batch = { .count = 1, .ops = 8 } } },

		{ FREE, EINVAL, "unknown flag", { .free = { .flags = 1, .offset = f.first } } },
		{ FREE, EINVAL, "misaligned by 1", { .free.offset = f.first + 1 } },
		{ FREE, EINVAL, "misaligned by half", { .free.offset = f.first + page / 2 } },
		{ FREE, EINVAL, "misaligned ~0", { .free.offset = ALL } },
		{ FREE, EINVAL, "length too short",
		  { .free = { .offset = f.first, .length = 2 * page } } },
		{ FREE, EINVAL, "length too long",
		  { .free = { .offset = f.first, .length = 3 * page + 1 } } },
		{ FREE, EINVAL, "length of 2^32 pages more",
		  { .free = { .offset = f.first, .length = (page << 32) + 3 * page } } },
		{ FREE, EOVERFLOW, "length ~0", { .free = { .offset = f.last, .length = ALL } } },
		{ FREE, EOVERFLOW, "length wraps",
		  { .free = { .offset = f.last, .length = top } } },
		{ FREE, ENOENT, "inside a span", { .free.offset = f.first + page } },
		{ FREE, ENOENT, "inside, with the rest's length",
		  { .free = { .offset = f.first + page, .length = 2 * page } } },
		{ FREE, ENOENT, "twice", { .free = { .offset = f.hole, .length = 2 * page } } },
		{ FREE, ENOENT, "inside a free span", { .free.offset = f.hole + page } },
		{ FREE, ENOENT, "never allocated", { .free.offset = f.last + page } },
		{ FREE, ENOENT, "not grown", { .free.offset = FIXTURE_GROWN } },
		{ FREE, ENOENT, "beyond the arena", { .free.offset = FIXTURE_BYTES } },
		{ FREE, ENOENT, "far beyond the arena", { .free.offset = top } },

		{ SCAVENGE, EINVAL, "unknown flag", { .scavenge = { .flags = 4, .bytes = 1 } } },
		{ SCAVENGE, EINVAL, "FORCE without BREAK",
		  { .scavenge = { .flags = PAGEARENA_SCAVENGE_FORCE, .bytes = 1 } } },
		{ SCAVENGE, EINVAL, "0 bytes", {} },
		{ SCAVENGE, EINVAL, "0 bytes by age", { .scavenge.min_age_ns = 1 } },
		{ SCAVENGE, EINVAL, "released not 0",
		  { .scavenge = { .bytes = 1, .released = 1 } } },
		{ SCAVENGE, EINVAL, "backed not 0", { .scavenge = { .bytes = 1, .backed = 1 } } },

		{ PROMOTE, EINVAL, "unknown flag",
		  { .promote = { .flags = 2, .length = huge } } },
		{ PROMOTE, EINVAL, "density of 101 %",
		  { .promote = { .length = huge, .min_density = 101 } } },
		{ PROMOTE, EINVAL, "length 0", {} },
		{ PROMOTE, EINVAL, "misaligned offset",
		  { .promote = { .offset = page, .length = huge } } },
		{ PROMOTE, EINVAL, "misaligned length", { .promote.length = huge + page } },
		{ PROMOTE, EINVAL, "counts not 0",
		  { .promote = { .length = huge, .counts[15] = 1 } } },
		{ PROMOTE, EOVERFLOW, "wraps",
		  { .promote = { .offset = 0 - huge, .length = 2 * huge } } },
		{ PROMOTE, EOVERFLOW, "wraps by far",
		  { .promote = { .offset = 2 * huge, .length = 0 - huge } } },
		{ PROMOTE, EINVAL, "beyond the arena",
		  { .promote = { .offset = FIXTURE_BYTES, .length = huge } } },
		{ PROMOTE, EINVAL, "across its end",
		  { .promote = { .offset = FIXTURE_BYTES - huge, .length = 2 * huge } } },
		{ PROMOTE, EINVAL, "far beyond",
		  { .promote = { .offset = 1ULL << 62, .length = huge } } },

		{ STATS, EINVAL, "unknown flag", { .stats.flags = 2 } },

		{ POLICY, EINVAL, "unknown field", { .policy.set = 128 } },
		{ POLICY, EINVAL, "padding", { .policy.__pad = 1 } },
		{ POLICY, EINVAL, "pool not 0", { .policy.pool_bytes = 1 } },
		{ POLICY, EINVAL, "percent not 0", { .policy.promote_percent = 1 } },
		{ POLICY, EINVAL, "density not 0", { .policy.promote_density = 1 } },
		{ POLICY, EINVAL, "101 %", { .policy = { .set = 1, .promote_percent = 101 } } },
		{ POLICY, EINVAL, "density 0", { .policy.set = 2 } },
		{ POLICY, EINVAL, "density 101 %",
		  { .policy = { .set = 2, .promote_density = 101 } } },
		{ POLICY, EINVAL, "one good and one bad",
		  { .policy = { .set = 3, .promote_percent = 50 } } },

		{ SPANS, EINVAL, "unknown flag",
		  { .spans = { .flags = 1, .spans = (uintptr_t)span_room, .count = 1 } } },
		{ SPANS, EINVAL, "padding",
		  { .spans = { .spans = (uintptr_t)span_room, .count = 1, .__pad = 1 } } },
		{ SPANS, EINVAL, "count 0", { .spans.spans = (uintptr_t)span_room } },
		{ SPANS, EINVAL, "beyond the arena",
		  { .spans = { .offset = FIXTURE_BYTES + 1, .spans = (uintptr_t)span_room,
			       .count = 1 } } },
		{ SPANS, EFAULT, "no list", { .spans.count = 1 } },

		{ QUERY, EINVAL, "unknown flag", { .query.flags = 1 } },
		{ QUERY, EINVAL, "span not 0", { .query.span.huge = 1 } },
		{ QUERY, EINVAL, "state not 0", { .query.span.state = 1 } },
		{ QUERY, EINVAL, "beyond the arena", { .query.offset = FIXTURE_BYTES } },
		{ QUERY, EINVAL, "far beyond the arena", { .query.offset = ALL } },
		{ QUERY, ENOENT, "not grown", { .query.offset = FIXTURE_GROWN } },
		{ QUERY, ENOENT, "the arena's last byte", { .query.offset = FIXTURE_BYTES - 1 } },
	};

	snap = pa_snapshot(f.arena.fd);
	for (i = 0; i < ARRAY_SIZE(table); i++)
		expect_bad(f.arena.fd, &snap, &table[i]);
	CHECK(pa_filled(f.arena.base + f.first, 3 * page, 1));
	/* Nothing of a bad POLICY was taken over. */
	CHECK(!call(f.arena.fd, POLICY, &policy));
	CHECK_EQ(policy.policy.promote_percent, 0);
	CHECK_OP(policy.policy.promote_density, >=, 1);
	pa_check(&f.arena);
}

static void test_setup(void)
{
	const struct bad table[] = {
#define BAD(err_, what_, ...) { SETUP, err_, what_, { .setup = { __VA_ARGS__ } } }
		BAD(EINVAL, "unknown flag", .flags = 4, .arena_bytes = MiB),
		BAD(EINVAL, "arena 0", .arena_bytes = 0),
		BAD(EINVAL, "arena of one byte", .arena_bytes = 1),
		BAD(EINVAL, "arena no multiple of the span page", .arena_bytes = MiB + 4096),
		BAD(EINVAL, "arena no multiple of the granule", .arena_bytes = MiB + 8192,
		    .granule = 65536),
		BAD(EINVAL, "arena below a granule", .arena_bytes = 8192, .granule = 65536),
		BAD(EINVAL, "arena ~0", .arena_bytes = ALL),
		BAD(EINVAL, "arena 2^63", .arena_bytes = 1ULL << 63),
		BAD(EINVAL, "span page 1", .arena_bytes = MiB, .span_page = 1),
		BAD(EINVAL, "span page 12 KiB", .arena_bytes = 12 * MiB, .span_page = 12288),
		BAD(EINVAL, "span page 8193", .arena_bytes = MiB, .span_page = 8193),
		BAD(EINVAL, "span page 2^63", .arena_bytes = MiB, .span_page = 1ULL << 63),
		BAD(EINVAL, "span page ~0", .arena_bytes = MiB, .span_page = ALL),
		BAD(EINVAL, "granule 1", .arena_bytes = MiB, .granule = 1),
		BAD(EINVAL, "granule half a page", .arena_bytes = MiB,
		    .granule = (__u64)getpagesize() / 2),
		BAD(EINVAL, "granule of 3 pages", .arena_bytes = 12 * MiB,
		    .granule = (__u64)getpagesize() * 3),
		BAD(EINVAL, "granule 2^63", .arena_bytes = MiB, .granule = 1ULL << 63),
		BAD(EINVAL, "growth 1", .arena_bytes = MiB, .growth = 1),
		BAD(EINVAL, "growth no multiple of the span page", .arena_bytes = MiB,
		    .growth = 8192 + 4096),
		BAD(EINVAL, "growth no multiple of the granule", .arena_bytes = MiB,
		    .granule = 65536, .growth = 65536 + 8192),
		BAD(EOPNOTSUPP, "unknown fit", .arena_bytes = MiB, .fit = 4),
		BAD(EOPNOTSUPP, "fit ~0", .arena_bytes = MiB, .fit = ~0U),
		BAD(EOPNOTSUPP, "unknown huge", .arena_bytes = MiB, .huge = PAGEARENA_HUGE_OFF + 1),
		BAD(EOPNOTSUPP, "huge ~0", .arena_bytes = MiB, .huge = ~0U),
	};
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	struct pagearena_info before = pa_info(fd), after;
	const struct bad limits[] = {
		BAD(EINVAL, "arena too large",
		    .arena_bytes = before.arena_bytes_max + before.huge_size),
		BAD(EINVAL, "span page too small", .arena_bytes = before.huge_size,
		    .span_page = before.span_page_min / 2),
		BAD(EINVAL, "span page too large", .arena_bytes = 16 * before.huge_size,
		    .span_page = before.span_page_max * 2),
		BAD(EINVAL, "granule too large", .arena_bytes = 16 * before.huge_size,
		    .granule = before.huge_size * 2),
#undef BAD
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table) + ARRAY_SIZE(limits); i++) {
		const struct bad *bad = i < ARRAY_SIZE(table) ? &table[i] :
							      &limits[i - ARRAY_SIZE(table)];

		expect_bad(fd, NULL, bad);
		after = pa_info(fd);
		pa_expect(!memcmp(&after, &before, sizeof(after)), "%s: INFO changed", bad->what);
	}
	/* The descriptor is as good as new. */
	CHECK(!pa_setup_fd(fd, (struct pagearena_setup){ .arena_bytes = MiB }));
	CHECK_ERR(pa_setup_fd(fd, (struct pagearena_setup){ .arena_bytes = MiB }), EEXIST);
}

/* Each end of every range is good. */
static void test_setup_extremes(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	struct pagearena_info info = pa_info(fd);
	const struct pagearena_setup good[] = {
		{ .arena_bytes = info.arena_bytes_max },
		{ .arena_bytes = MAX(8 * KiB, pa_page) },
		{ .arena_bytes = MAX(info.span_page_min, pa_page),
		  .span_page = info.span_page_min },
		{ .arena_bytes = 4 * info.span_page_max, .span_page = info.span_page_max },
		{ .arena_bytes = 4 * info.huge_size, .granule = info.huge_size },
		{ .arena_bytes = 4 * info.huge_size, .growth = MAX(8 * KiB, pa_page) },
		{ .arena_bytes = 4 * info.huge_size, .limit = 4096 },
		{ .arena_bytes = MiB, .flags = PAGEARENA_SETUP_DEBUG },
		{ .arena_bytes = MiB, .fit = PAGEARENA_FIT_FIRST, .huge = PAGEARENA_HUGE_ALWAYS },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		struct pagearena_alloc req;

		close(fd);
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0);
		pa_expect(!pa_setup_fd(fd, good[i]), "set-up %u: %s", i, strerror(errno));
		if (good[i].limit)
			CHECK_ERR(pa_alloc_fd(fd, 1, 0, 0, &req), ENOMEM);
		else
			CHECK(!pa_alloc_fd(fd, 1, 0, 0, &req));
		pa_recount(pa_info(fd).arena_id);
	}
}

static void test_before_setup(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	unsigned int i;

	calls[SPANS].good.spans.spans = (uintptr_t)span_room;
	calls[BATCH].good.batch.ops = (uintptr_t)op_room;
	for (i = ALLOC; i < ARRAY_SIZE(calls); i++) {
		union arg arg = calls[i].good;

		pa_expect(call(fd, i, &arg) == -1 && errno == EBADFD, "%s: %s", calls[i].name,
			  strerror(errno));
	}
	CHECK_ERR(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), EBADFD);
	pa_info(fd);
}

/* Not readable, not writable, half there. */
static void test_pointers(void)
{
	const size_t page = (size_t)getpagesize();
	char *area = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	struct snapshot snap;
	struct fixture f;
	unsigned int i, j;

	CHECK(area != MAP_FAILED);
	CHECK(!munmap(area + page, page));
	fixture(&f);
	snap = pa_snapshot(f.arena.fd);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		char *straddle = area + page - calls[i].size / 2;
		void *bad[] = {
			NULL, (void *)8, area + page, area + page - 4,
			(void *)~(uintptr_t)0, (void *)0xffff888000000000UL,
			(void *)0x800000000000UL, straddle,
		};
		union arg arg = calls[i].good;
		int fd = f.arena.fd, err;
		long ret;

		arg.size = calls[i].size;
		memcpy(straddle, &arg, calls[i].size / 2);
		memcpy(area + page - 4, &arg.size, 4);
		for (j = 0; j < ARRAY_SIZE(bad); j++) {
			errno = 0;
			ret = ioctl(fd, calls[i].cmd, bad[j]);
			pa_expect(ret == -1 && errno == EFAULT, "%s at %p: %ld, %s", calls[i].name,
				  bad[j], ret, strerror(errno));
			pa_expect(pa_unchanged(fd, &snap), "%s at %p: something changed",
				  calls[i].name, bad[j]);
		}

		/* It can be read, but not written; FREE has nothing to write. */
		if (i == SETUP)
			fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		memcpy(area + 2 * page, &arg, sizeof(arg));
		CHECK(!mprotect(area + 2 * page, page, PROT_READ));
		errno = 0;
		ret = ioctl(fd, calls[i].cmd, area + 2 * page);
		err = errno;
		CHECK(!mprotect(area + 2 * page, page, PROT_READ | PROT_WRITE));
		if (i == FREE) {
			pa_expect(!ret, "FREE from memory that is read-only");
			CHECK_EQ(pa_alloc(&f.arena, 3 * f.arena.page, 0, 0), f.first);
			free(snap.spans);
			snap = pa_snapshot(f.arena.fd);
			continue;
		}
		pa_expect(ret == -1 && err == EFAULT, "%s, not writable: %ld, %s",
			  calls[i].name, ret, strerror(err));
		if (i == SETUP)
			pa_expect(!pa_info(fd).arena_bytes, "SETUP, not writable, was done");
		pa_expect(pa_unchanged(f.arena.fd, &snap), "%s, not writable: something changed",
			  calls[i].name);
	}

	/* A structure that ends where the page does is good. */
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		char *end = area + page - calls[i].size;
		union arg arg = calls[i].good;

		arg.size = calls[i].size;
		memcpy(end, &arg, calls[i].size);
		if (i != SETUP)
			CHECK(!ioctl(f.arena.fd, calls[i].cmd, end));
	}
	pa_check(&f.arena);
}

/* The pointers inside of structures. */
static void test_inner_pointers(void)
{
	const size_t page = (size_t)getpagesize();
	char *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	struct pagearena_info info;
	struct snapshot snap;
	unsigned int i;
	struct arena a;
	__u64 huge, at;

	CHECK(area != MAP_FAILED);
	CHECK(!munmap(area + page, page));
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	info = pa_info(a.fd);
	huge = info.huge_size;
	at = pa_alloc(&a, 2 * huge, huge, 0);
	pa_fill(a.base + at, 2 * huge, 7);
	snap = pa_snapshot(a.fd);

	const __u64 bad[] = {
		0, 8, (uintptr_t)area + page, 0xffff888000000000UL, (uintptr_t)area + page - 4, ALL,
	};
	for (i = 1; i < ARRAY_SIZE(bad); i++) {
		struct pagearena_promote promote = {
			.size = sizeof(promote),
			.offset = at,
			.length = 2 * huge,
			.results = bad[i],
			.nr_results = 2,
		};

		pa_expect(ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &promote) == -1 && errno == EFAULT,
			  "PROMOTE with results at %#llx: %s", (unsigned long long)bad[i],
			  strerror(errno));
		pa_expect(pa_unchanged(a.fd, &snap),
			  "PROMOTE with results at %#llx: something changed",
			  (unsigned long long)bad[i]);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pagearena_spans spans = {
			.size = sizeof(spans),
			.spans = bad[i],
			.count = 4,
		};

		CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_SPANS, &spans), EFAULT);
		CHECK_EQ(spans.count, 4);
		CHECK_EQ(spans.offset, 0);
	}
	/* More room than is needed is not touched: at 1 beyond the last span it is not there. */
	struct pagearena_spans spans = {
		.size = sizeof(spans),
		.spans = (uintptr_t)area + page - snap.nr * sizeof(struct pagearena_span),
		.count = ~0U,
	};
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_SPANS, &spans));
	CHECK_EQ(spans.count, snap.nr);
	CHECK(pa_unchanged(a.fd, &snap));
	CHECK(pa_filled(a.base + at, 2 * huge, 7));
	pa_check(&a);
}

static void test_limit(void)
{
	struct snapshot snap;
	struct arena a;
	__u64 first, second;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .limit = MiB,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	first = pa_alloc(&a, MiB / 2, 0, 0);
	second = pa_alloc(&a, MiB / 2, 0, 0);
	pa_fill(a.base + first, MiB / 2, 1);
	pa_fill(a.base + second, MiB / 2, 2);
	snap = pa_snapshot(a.fd);
	CHECK_ERR(pa_alloc_fd(a.fd, 1, 0, 0, NULL), ENOMEM);
	CHECK(pa_unchanged(a.fd, &snap));
	CHECK_EQ(snap.stats.backed, MiB);
	CHECK_EQ(snap.stats.huge_bytes, 0);
	CHECK_EQ(pa_promote(&a, 0), PAGEARENA_PROMOTE_LIMIT);

	/* Free memory makes way: what is backed stays within the limit. */
	pa_free(&a, first);
	first = pa_alloc(&a, MiB / 4, 2 * MiB, 0);
	pa_fill(a.base + first, MiB / 4, 3);
	CHECK_OP(pa_stats(a.fd).backed_peak, <=, MiB);
	CHECK_ERR(pa_alloc_fd(a.fd, MiB / 4 + 1, 0, 0, NULL), ENOMEM);
	pa_alloc(&a, MiB / 4, 0, PAGEARENA_ALLOC_POPULATE);
	CHECK_OP(pa_stats(a.fd).backed_peak, <=, MiB);
	CHECK(pa_filled(a.base + second, MiB / 2, 2));
	CHECK(pa_filled(a.base + first, MiB / 4, 3));
	pa_check(&a);
	pa_close(&a);
}

static void test_mmap(void)
{
	const struct pagearena_setup setup = { .arena_bytes = MiB };
	const size_t page = (size_t)getpagesize();
	struct pagearena_info info;
	struct snapshot snap;
	struct fixture f;
	char *map, *to, *end;
	int fd, ro;

	fixture(&f);
	fd = f.arena.fd;
	info = pa_info(fd);
	snap = pa_snapshot(fd);
#define TRY(len, prot, flags, off) mmap(NULL, len, prot, flags, fd, (off_t)(off))
	CHECK_ERR(TRY(page, PROT_READ, MAP_PRIVATE, 0), EINVAL);
	CHECK_ERR(TRY(page, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0), EINVAL);
	CHECK_ERR(TRY(page, PROT_READ | PROT_EXEC, MAP_SHARED, 0), EPERM);
	CHECK_ERR(TRY(FIXTURE_BYTES + page, PROT_READ, MAP_SHARED, 0), EINVAL);
	CHECK_ERR(TRY(2 * page, PROT_READ, MAP_SHARED, FIXTURE_BYTES - page), EINVAL);
	CHECK_ERR(TRY(page, PROT_READ, MAP_SHARED, FIXTURE_BYTES), EINVAL);
	CHECK_ERR(TRY(page, PROT_READ, MAP_SHARED, FIXTURE_BYTES + info.huge_size), EINVAL);
	CHECK(TRY(2 * page, PROT_READ, MAP_SHARED, 0 - page) == MAP_FAILED);
	CHECK(TRY(page, PROT_READ, MAP_SHARED, 1ULL << 62) == MAP_FAILED);
	CHECK(TRY(0, PROT_READ, MAP_SHARED, 0) == MAP_FAILED);
#undef TRY

	/* A second mapping, read-only, of a part. */
	map = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, (off_t)(f.first + page));
	CHECK(map != MAP_FAILED);
	CHECK(!memcmp(map, f.arena.base + f.first + page, 2 * page));
	CHECK_EQ(pa_poke(map, 1), SIGSEGV);
	CHECK_ERR(mprotect(map, page, PROT_READ | PROT_EXEC), EACCES);
	CHECK(!mprotect(map, page, PROT_READ | PROT_WRITE));
	CHECK_ERR(mprotect(f.arena.base, f.arena.bytes, PROT_READ | PROT_WRITE | PROT_EXEC),
		  EACCES);

	/* What it may grow to is more of the arena; beyond its end there is nothing. */
	end = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)(FIXTURE_BYTES - page));
	CHECK(end != MAP_FAILED);
	to = mremap(end, page, 4 * info.huge_size, MREMAP_MAYMOVE);
	if (to != MAP_FAILED) {
		CHECK(pa_peek(to + page, NULL));
		CHECK(pa_peek(to + 2 * info.huge_size, NULL));
		CHECK(pa_peek(to + 4 * info.huge_size - 1, NULL));
		CHECK(madvise(to, 4 * info.huge_size, 22 /* MADV_POPULATE_READ */));
		CHECK(!munmap(to, 4 * info.huge_size));
	} else {
		CHECK(!munmap(end, page));
	}

	/* It may move. */
	to = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(to != MAP_FAILED);
	if (mremap(map, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED) {
		CHECK_EQ(pa_peek(map, NULL), SIGSEGV);
		map = to;
	}
	CHECK(!memcmp(map, f.arena.base + f.first + page, 2 * page));
	/* It may shrink, too. */
	CHECK(mremap(map, 2 * page, page, 0) == map);
	CHECK_EQ(pa_peek(map, NULL), 0);
	CHECK_EQ(pa_peek(map + page, NULL), SIGSEGV);
	CHECK(!munmap(map, page));

	/* A descriptor for reading gives no mapping for writing. */
	ro = open(DEVICE, O_RDONLY | O_CLOEXEC);
	CHECK(ro >= 0);
	if (!pa_setup_fd(ro, setup)) {
		CHECK_ERR(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), EACCES);
		map = mmap(NULL, page, PROT_READ, MAP_SHARED, ro, 0);
		CHECK(map == MAP_FAILED || mprotect(map, page, PROT_WRITE));
	}
	/* Touches are counted, and that is all that has changed. */
	snap.stats.nr_fault = pa_stats(fd).nr_fault;
	snap.stats.nr_fault_denied = pa_stats(fd).nr_fault_denied;
	CHECK(pa_unchanged(fd, &snap));
	pa_check(&f.arena);
}

/* What else can be done to a descriptor, and means nothing here. */
static void test_file(void)
{
	struct snapshot snap;
	struct fixture f;
	char buf[16] = {};
	int fd;

	fixture(&f);
	fd = f.arena.fd;
	snap = pa_snapshot(fd);
	CHECK(read(fd, buf, sizeof(buf)) < 0);
	CHECK(write(fd, buf, sizeof(buf)) < 0);
	CHECK(pread(fd, buf, sizeof(buf), 0) < 0);
	CHECK(pwrite(fd, buf, sizeof(buf), 0) < 0);
	CHECK(ftruncate(fd, 0));
	CHECK(ftruncate(fd, 1 << 30));
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	CHECK(fallocate(fd, 0, 0, 4096));
	lseek(fd, 4096, SEEK_SET);
	fsync(fd);
	CHECK(!msync(f.arena.base, f.arena.bytes, MS_SYNC));
	CHECK(pa_unchanged(fd, &snap));
	CHECK(pa_filled(f.arena.base + f.first, 3 * f.arena.page, 1));
	pa_check(&f.arena);
}

#ifdef __x86_64__
static void compat_call(void *arg)
{
	long *r = arg;

	asm volatile("int $0x80"
		     : "+a"(r[0])
		     : "b"(r[1]), "c"(r[2]), "d"(r[3])
		     : "memory", "r8", "r9", "r10", "r11");
}

/* As a 32-bit program would make them: all calls through the 32-bit entry. */
static void test_compat(void)
{
	union arg *arg = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct pagearena_span *room = (void *)((char *)arg + 2048);
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	unsigned int i;

	CHECK(arg != MAP_FAILED);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		long r[] = { 54 /* ioctl of i386 */, fd, calls[i].cmd, (long)arg };

		memset(arg, 0, 4096);
		*arg = calls[i].good;
		arg->size = calls[i].size;
		if (i == SPANS)
			arg->spans.spans = (uintptr_t)room;
		/* Zero is an operation that does nothing. */
		if (i == BATCH)
			arg->batch.ops = (uintptr_t)room + 1024;
		if (pa_guarded(compat_call, r) || r[0] == -ENOSYS)
			SKIP("this kernel runs no 32-bit programs");
		pa_expect(!r[0], "%s: %ld", calls[i].name, r[0]);
		if (i == INFO)
			CHECK_EQ(arg->info.abi_version, PAGEARENA_ABI_VERSION);
		if (i == ALLOC)
			CHECK_EQ(arg->alloc.length, 8192);
		if (i == STATS)
			CHECK_EQ(arg->stats.nr_free, 1);
		if (i == SPANS)
			CHECK_EQ(room[0].offset + room[0].length, 64 * MiB);
	}
}
#else
static void test_compat(void)
{
	SKIP("no 32-bit calls from a 64-bit program on this machine");
}
#endif

static const struct pa_test tests[] = {
	{ "each call returns what it says", test_happy },
	{ "free takes every length that is right", test_free_length },
	{ "unknown calls", test_unknown },
	{ "short and long structures", test_sizes },
	{ "bad values change nothing", test_errors },
	{ "set-up out of range", test_setup },
	{ "set-up at the ends of its ranges", test_setup_extremes },
	{ "nothing works before set-up", test_before_setup },
	{ "bad pointers change nothing", test_pointers },
	{ "bad pointers inside structures", test_inner_pointers },
	{ "limit", test_limit },
	{ "mmap, mprotect and mremap", test_mmap },
	{ "other calls on the descriptor", test_file },
	{ "32-bit calls", test_compat },
};

PA_MAIN(tests)
