// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The tracepoints: each one is there, tells what it shall, and is off until somebody asks.  And
 * the list of spans in debugfs.
 */
#include "pa_test.h"

#define CHUNK	(2 * MiB)

static const char *trace_root(void)
{
	if (!access("/sys/kernel/tracing/events/pagearena", F_OK))
		return "/sys/kernel/tracing";
	if (!access("/sys/kernel/debug/tracing/events/pagearena", F_OK))
		return "/sys/kernel/debug/tracing";
	SKIP("no tracepoints in this kernel");
}

static const char *trace_file(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", trace_root(), name);
	return path;
}

/*
 * Without the names of processes: for these the core patches its scheduler while it runs, which
 * QEMU before 8.1 cannot emulate.  See "The emulator" in Documentation/testing.rst.
 */
static void trace_begin(void)
{
	CHECK(pa_write_text(trace_file("trace"), ""));
	pa_set(trace_file("options/record-cmd"), "0");
	pa_set(trace_file("events/pagearena/enable"), "1");
	CHECK(pa_write_text(trace_file("tracing_on"), "1"));
}

/* Number of lines in which an event tells all of @words of an arena. */
static unsigned int traced(const char *event, __u64 arena, const char *words)
{
	char line[1024], want[128];
	unsigned int n = 0;
	FILE *f = fopen(trace_file("trace"), "re");

	CHECK(f);
	snprintf(want, sizeof(want), " pagearena_%s: arena=%llu ", event,
		 (unsigned long long)arena);
	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, want);
		char all[256], *word, *save;
		bool good = at;

		snprintf(all, sizeof(all), "%s", words);
		line[strcspn(line, "\n")] = ' ';
		for (word = strtok_r(all, " ", &save); good && word;
		     word = strtok_r(NULL, " ", &save)) {
			char field[128];

			snprintf(field, sizeof(field), " %s ", word);
			good = strstr(at, field);
		}
		n += good;
	}
	fclose(f);
	return n;
}

#define EXPECT(event, arena, words)					\
	pa_expect(traced(event, arena, words) > 0, "no %s with \"%s\"", event, words)

/* The same, with figures in the text. */
#define EXPECT_F(event, arena, ...)					\
	do {								\
		char words_[128];					\
									\
		snprintf(words_, sizeof(words_), __VA_ARGS__);		\
		EXPECT(event, arena, words_);				\
	} while (0)

static void test_off(void)
{
	char text[16] = "";

	CHECK(pa_read_text(trace_file("events/pagearena/enable"), text, sizeof(text)));
	CHECK_EQ(text[0], '0');
}

/* Setup, alloc, free, resize, fault, close: with offsets and lengths.  A span page is a page. */
static void test_heap(void)
{
	const unsigned long long unit = MAX(8 * KiB, pa_page);
	struct pagearena_resize resize = { .size = sizeof(resize), .length = unit };
	struct arena a;
	__u64 span;

	trace_begin();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB, .span_page = unit,
					      .huge = PAGEARENA_HUGE_NEVER });
	span = pa_alloc(&a, 3 * unit, 0, 0);
	CHECK_EQ(span, 0);
	/* It is in what stays, so it is behind what is freed last. */
	a.base[unit - 1] = 1;
	resize.offset = span;
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_RESIZE, &resize));
	pa_free(&a, span);
	CHECK_EQ(pa_peek(a.base + 1 * MiB, NULL), SIGSEGV);
	pa_scavenge(&a, ALL, 0, NULL);
	pa_close(&a);

	EXPECT("setup", a.id, "bytes=16777216 limit=0");
	EXPECT_F("alloc", a.id, "offset=0x0 length=%llu zero=1 backed=0", 3 * unit);
	EXPECT_F("fault", a.id, "page=%llu huge=0 err=0", (unit - 1) / pa_page);
	/* What a resize cuts off is freed. */
	EXPECT_F("free", a.id, "offset=0x%llx length=%llu", unit, 2 * unit);
	EXPECT_F("free", a.id, "offset=0x0 length=%llu", unit);
	EXPECT_F("fault", a.id, "page=%llu err=-2", MiB / pa_page);
	EXPECT_F("scavenge", a.id, "cause=call backed=%llu err=0", pa_page);
	EXPECT("close", a.id, "backed=0");
}

static void test_refuse(void)
{
	struct pagearena_policy limit = { .size = sizeof(limit), .set = PAGEARENA_POLICY_LIMIT,
					  .limit = 64 * KiB };
	struct pagearena_op ops[2] = {
		{ .op = PAGEARENA_OP_FREE, .offset = 3 * MiB },
		{ .op = PAGEARENA_OP_ALLOC, .length = 17 * MiB },
	};
	struct pagearena_batch batch = { .size = sizeof(batch), .ops = (__u64)(uintptr_t)ops,
					 .count = 2 };
	struct pagearena_resize resize = { .size = sizeof(resize), .length = 32 * MiB };
	struct pagearena_alloc out;
	struct arena a;

	trace_begin();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB, .limit = 8 * MiB });
	CHECK_ERR(pa_setup_fd(a.fd, (struct pagearena_setup){ .arena_bytes = 32 * MiB }), EEXIST);
	CHECK_ERR(pa_alloc_fd(a.fd, 20 * MiB, 0, 0, &out), ENOMEM);
	CHECK_ERR(pa_alloc_fd(a.fd, 9 * MiB, 0, 0, &out), ENOMEM);
	CHECK_ERR(pa_free_fd(a.fd, 1 * MiB, 8192), ENOENT);
	CHECK(!ioctl(a.fd, PAGEARENA_IOC_BATCH, &batch));
	CHECK_EQ(pa_alloc(&a, 1 * MiB, 0, 0), 0);
	CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_RESIZE, &resize), ENOMEM);
	CHECK_ERR(pa_policy_fd(a.fd, &limit), ENOMEM);
	pa_close(&a);

	EXPECT("refuse", a.id, "what=setup length=33554432 err=-17");
	EXPECT("refuse", a.id, "what=alloc length=20971520 err=-12");
	EXPECT("refuse", a.id, "what=alloc length=9437184 err=-12");
	EXPECT("refuse", a.id, "what=free offset=0x100000 length=8192 err=-2");
	EXPECT("refuse", a.id, "what=free offset=0x300000 length=0 err=-2");
	EXPECT("refuse", a.id, "what=alloc length=17825792 err=-12");
	EXPECT("refuse", a.id, "what=resize offset=0x0 length=33554432 err=-12");
	EXPECT("refuse", a.id, "what=limit length=65536 err=-12");
	EXPECT("pressure", a.id, "what=limit");
	CHECK_EQ(traced("refuse", a.id, ""), 8);
}

static void test_huge(void)
{
	struct pagearena_promote out = { .size = sizeof(out) };
	struct arena a;

	trace_begin();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	CHECK_EQ(pa_alloc(&a, CHUNK, CHUNK, 0), 0);
	pa_alloc(&a, 16 * KiB, 0, 0);
	memset(a.base, 1, 4 * pa_page);
	if (pa_promote(&a, 0) != PAGEARENA_PROMOTE_DONE)
		SKIP("no huge folio");
	CHECK(!pa_promote_fd(a.fd, 2 * CHUNK, CHUNK, &out));
	pa_free(&a, 0);
	CHECK_EQ(pa_alloc(&a, 8 * KiB, 0, 0), 0);
	a.base[0] = 2;
	pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE);
	pa_close(&a);

	EXPECT("promote", a.id, "chunk=0 copied=4 result=done background=0");
	if (!pa_folding_chunk())
		EXPECT("map_anew", a.id, "chunk=0 chunks=1 err=0");
	EXPECT("promote", a.id, "chunk=2 copied=0 result=empty");
	EXPECT_F("demote", a.id, "chunk=0 copied=%llu cause=call err=0",
		 ALIGN_UP(8 * KiB, pa_page) / pa_page);
}

/* An empty chunk asks for a huge folio: it gets one, or it is said why not. */
static void test_huge_policy(void)
{
	struct arena a;

	trace_begin();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB, .limit = 1 * MiB,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	if (!(pa_info(a.fd).features & PAGEARENA_FEATURE_HUGE))
		SKIP("no huge pages in this kernel");
	CHECK_EQ(pa_alloc(&a, 16 * KiB, 0, 0), 0);
	a.base[0] = 1;
	pa_close(&a);
	EXPECT("refuse", a.id, "what=huge offset=0x0 length=2097152 err=-1");
}

static bool was_released(void *arg)
{
	struct arena *a = arg;

	return !pa_stats(a->fd).backed_free;
}

static bool pool_filled(void *arg)
{
	struct arena *a = arg;

	return pa_stats(a->fd).bytes_pool_zeroed;
}

/* What goes back by itself, and what is zeroed in advance. */
static void test_background(void)
{
	struct pagearena_policy pool = { .size = sizeof(pool), .set = PAGEARENA_POLICY_POOL,
					 .pool_bytes = CHUNK };
	struct arena a;

	trace_begin();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	CHECK_EQ(pa_alloc(&a, 1 * MiB, 0, PAGEARENA_ALLOC_POPULATE), 0);
	pa_free(&a, 0);
	pa_scavenging(&a, 100, 0, 0);
	CHECK(pa_wait_until(was_released, &a, 20000));
	pa_close(&a);
	EXPECT("background", a.id, "slow=0");
	EXPECT("scavenge", a.id, "cause=background err=0");

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	CHECK(!pa_policy_fd(a.fd, &pool));
	if (!pa_wait_until(pool_filled, &a, 10000))
		SKIP("no huge folio");
	pa_close(&a);
	EXPECT("pool", a.id, "bytes=2097152");
}

/* The machine asks for its memory. */
static void test_reclaim(void)
{
	struct arena a;
	unsigned int i;

	trace_begin();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	CHECK_EQ(pa_alloc(&a, 1 * MiB, 0, PAGEARENA_ALLOC_POPULATE), 0);
	pa_free(&a, 0);
	for (i = 0; i < 10 && pa_stats(a.fd).backed_free; i++)
		CHECK(pa_write_text("/proc/sys/vm/drop_caches", "2"));
	CHECK_EQ(pa_stats(a.fd).backed_free, 0);
	pa_close(&a);
	EXPECT("reclaim", a.id, "chunk=0 backed=1048576");
	EXPECT("scavenge", a.id, "cause=reclaim err=0");
}

/* debugfs tells the spans that SPANS tells, and nobody but root reads it. */
static void test_spans(void)
{
	struct pagearena_span *spans;
	__u64 at[300];
	char path[128], line[256];
	struct arena a;
	unsigned int i, nr;
	pid_t pid;
	FILE *f;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	for (i = 0; i < 300; i++)
		at[i] = pa_alloc(&a, 8 * KiB, 0, i % 3 ? 0 : PAGEARENA_ALLOC_POPULATE);
	for (i = 0; i < 300; i += 2)
		pa_free(&a, at[i]);
	pa_scavenge(&a, 64 * KiB, 0, NULL);
	snprintf(path, sizeof(path), DEBUGFS "/%llu/spans", (unsigned long long)a.id);
	f = fopen(path, "re");
	if (!f) {
		CHECK(access(DEBUGFS, F_OK));
		SKIP("no debugfs");
	}
	nr = pa_spans(a.fd, &spans);
	CHECK_OP(nr, >, 300);
	for (i = 0; i < nr; i++) {
		unsigned long long offset, length, backed, huge, age;
		char state[32];

		CHECK(fgets(line, sizeof(line), f));
		if (sscanf(line, "%llx %llu %31s backed=%llu huge=%llu age_ms=%llu", &offset,
			   &length, state, &backed, &huge, &age) != 6)
			pa_fail("a line of another form: %s", line);
		CHECK_EQ(offset, spans[i].offset);
		CHECK_EQ(length, spans[i].length);
		CHECK_EQ(backed, spans[i].backed);
		CHECK_EQ(huge, spans[i].huge);
		CHECK(!strcmp(state, spans[i].state == PAGEARENA_SPAN_INUSE ? "inuse" :
			      spans[i].flags & PAGEARENA_SPAN_SCAVENGED ? "free,scavenged" :
			      "free"));
	}
	CHECK(!fgets(line, sizeof(line), f));
	fclose(f);
	free(spans);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!setgid(65534) && !setuid(65534));
		CHECK_ERR(open(path, O_RDONLY), EACCES);
		_exit(0);
	}
	pa_wait_ok(pid);
	pa_close(&a);
	CHECK_ERR(open(path, O_RDONLY), ENOENT);
}

static const struct pa_test tests[] = {
	{ "no tracepoint is on before somebody asks", test_off },
	{ "trace: setup, alloc, free, fault, close", test_heap },
	{ "trace: what is refused", test_refuse },
	{ "trace: promotion and demotion", test_huge },
	{ "trace: a chunk that cannot be huge", test_huge_policy },
	{ "trace: background and pool", test_background },
	{ "trace: reclaim", test_reclaim },
	{ "debugfs: the spans", test_spans },
};

PA_MAIN(tests)
