// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tracepoints: each is there when what it tells of happens, with the figures of that.
 *
 * They go into an instance of the tracer, so that others' are neither seen nor disturbed.
 */
#include <stdarg.h>
#include <sys/stat.h>

#include "pa_test.h"

#define CHUNK		(2 * MiB)
#define DROP_CACHES	"/proc/sys/vm/drop_caches"

static char instance[64];

static void file_path(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", instance, name);
}

static void trace_begin(void)
{
	static const char *const tops[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	char path[128];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tops); i++) {
		snprintf(instance, sizeof(instance), "%s/instances/pagearena", tops[i]);
		snprintf(path, sizeof(path), "%s/instances", tops[i]);
		if (!access(path, W_OK))
			break;
	}
	if (i == ARRAY_SIZE(tops))
		SKIP("no tracefs in which an instance could be made");
	/* One that a test left that was ended. */
	rmdir(instance);
	if (mkdir(instance, 0700))
		SKIP("%s: %s", instance, strerror(errno));
	file_path(path, sizeof(path), "events/pagearena/enable");
	CHECK(pa_write_text(path, "1"));
}

static void trace_end(void)
{
	char path[128];

	file_path(path, sizeof(path), "events/pagearena/enable");
	CHECK(pa_write_text(path, "0"));
	CHECK(!rmdir(instance));
}

/* Is there an event that begins like this? */
__printf(1, 2) static bool traced(const char *fmt, ...)
{
	char path[128], line[512], want[256];
	bool found = false;
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	file_path(path, sizeof(path), "trace");
	f = fopen(path, "re");
	CHECK(f);
	while (!found && fgets(line, sizeof(line), f)) {
		const char *event = strstr(line, ": pagearena_");

		found = event && !strncmp(event + 2 + strlen("pagearena_"), want, strlen(want));
	}
	fclose(f);
	return found;
}

static bool traced_in_time(const char *text)
{
	unsigned int i;

	for (i = 0; i < 100; i++) {
		if (traced("%s", text))
			return true;
		usleep(50000);
	}
	return false;
}

#define EXPECT(...)							\
	do {								\
		char text_[256];					\
									\
		snprintf(text_, sizeof(text_), __VA_ARGS__);		\
		pa_expect(traced_in_time(text_), "no event \"%s\"", text_); \
	} while (0)

static void test_calls(void)
{
	struct arena a;
	unsigned long long id, at;

	trace_begin();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 4 * CHUNK,
					      .huge = PAGEARENA_HUGE_NEVER });
	id = a.id;
	at = pa_alloc(&a, 64 * KiB, 64 * KiB, 0);
	EXPECT("alloc: arena=%llu offset=0x%llx length=65536 zero=1 backed=0", id, at);
	pa_fill(a.base + at, 64 * KiB, 1);
	EXPECT("fault: arena=%llu page=%llu huge=0 err=0", id, at / 4096);
	EXPECT("fault: arena=%llu page=%llu huge=0 err=0", id, at / 4096 + 15);
	CHECK_EQ(pa_poke(a.base + 2 * CHUNK, 1), SIGSEGV);
	EXPECT("fault: arena=%llu page=%llu huge=0 err=-2", id, 2 * CHUNK / 4096);

	CHECK_EQ(pa_promote(&a, at), PAGEARENA_PROMOTE_DONE);
	EXPECT("promote: arena=%llu chunk=0 copied=16 result=0 background=0", id);
	EXPECT("map_anew: arena=%llu chunk=0 chunks=1 err=0", id);
	CHECK(pa_filled(a.base + at, 64 * KiB, 1));
	EXPECT("fault: arena=%llu page=%llu huge=1 err=0", id, at / 4096);

	pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE);
	EXPECT("demote: arena=%llu chunk=0 copied=16 err=0", id);
	CHECK(pa_filled(a.base + at, 64 * KiB, 1));

	pa_free(&a, at);
	EXPECT("free: arena=%llu offset=0x%llx length=65536", id, at);
	pa_scavenge(&a, ALL, 0, NULL);
	EXPECT("scavenge: arena=%llu offset=0x%llx length=", id, at);
	pa_close(&a);
	trace_end();
}

/* What happens by itself. */
static void test_background(void)
{
	struct pagearena_policy req = {
		.set = PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_RETAIN_PERCENT |
		       PAGEARENA_POLICY_SCAVENGE_AGE,
		.scavenge_percent = 50,
	};
	struct pagearena_policy pool = { .set = PAGEARENA_POLICY_POOL, .pool_bytes = CHUNK };
	struct arena a, b;
	unsigned long long id;
	unsigned char c;

	trace_begin();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 8 * CHUNK, .limit = 4 * CHUNK,
					      .huge = PAGEARENA_HUGE_NEVER });
	id = a.id;
	CHECK_ERR(pa_alloc_fd(a.fd, 5 * CHUNK, 0, 0, NULL), ENOMEM);
	EXPECT("pressure: arena=%llu what=0x%x", id, PAGEARENA_PRESSURE_LIMIT);
	pa_fill(a.base + pa_alloc(&a, CHUNK / 2, 0, 0), CHUNK / 2, 1);
	pa_free(&a, 0);
	CHECK(pa_write_text(DROP_CACHES, "2"));
	CHECK(pa_write_text(DROP_CACHES, "2"));
	EXPECT("reclaim: arena=%llu chunk=0 backed=%llu", id, CHUNK / 2);

	pa_fill(a.base + pa_alloc(&a, CHUNK / 2, 0, 0), CHUNK / 2, 1);
	pa_free(&a, 0);
	CHECK(!pa_policy_fd(a.fd, &req));
	EXPECT("background: arena=%llu backed=%llu", id, CHUNK / 2);
	pa_close(&a);

	pa_open(&b, (struct pagearena_setup){ .arena_bytes = 8 * CHUNK,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	CHECK(!pa_policy_fd(b.fd, &pool));
	EXPECT("pool: arena=%llu bytes=%llu spent=", (unsigned long long)b.id, CHUNK);
	CHECK(!pa_peek(b.base + pa_alloc(&b, CHUNK, CHUNK, 0), &c));
	pa_close(&b);
	trace_end();
}

static const struct pa_test tests[] = {
	{ "calls and faults", test_calls },
	{ "what happens by itself", test_background },
};

PA_MAIN(tests)
