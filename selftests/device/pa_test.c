// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "pa_test.h"

/* TAP */

#define TIMEOUT_SECONDS	180
/* What pa_ops() takes on a kernel without debugging, in an emulator. */
#define CALIBRATE_NS	40000000ULL

/* A file that is to be set back, a file mode likewise, or a cgroup that is to go. */
struct undo {
	enum { UNDO_TEXT, UNDO_MODE, UNDO_CGROUP } what;
	unsigned int mode;
	char path[160];
	char text[128];
};

/* What subtests leave to the program and to each other. */
static struct {
	char skip_reason[256];
	__u64 ops_factor;
	unsigned int nr_undo;
	struct undo undo[64];
} *shared;

static unsigned int soft_failures;

/* Bytes of an MMU page. */
__u64 pa_page;

/*
 * A C library for 32 bits takes calls with times of 32 bits where these will do, and a kernel
 * without CONFIG_COMPAT_32BIT_TIME does not have them.
 */
#ifdef SYS_rt_sigtimedwait_time64
static int wait_signal(const sigset_t *set, siginfo_t *info, __u64 seconds)
{
	__s64 ts[2] = { (__s64)seconds };

	return (int)syscall(SYS_rt_sigtimedwait_time64, set, info, ts, (_NSIG - 1) / 8);
}

static void sleep_us(unsigned int us)
{
	__s64 ts[2] = { us / 1000000, (__s64)us % 1000000 * 1000 };

	syscall(SYS_clock_nanosleep_time64, CLOCK_MONOTONIC, 0, ts, NULL);
}
#else
static int wait_signal(const sigset_t *set, siginfo_t *info, __u64 seconds)
{
	struct timespec ts = { .tv_sec = (time_t)seconds };

	return sigtimedwait(set, info, &ts);
}

static void sleep_us(unsigned int us)
{
	usleep(us);
}
#endif

static void say(const char *prefix, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	printf("%s%s\n", prefix, text);
	fflush(stdout);
}

void pa_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("# ", fmt, ap);
	va_end(ap);
}

void pa_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("# ", fmt, ap);
	va_end(ap);
	_exit(KSFT_FAIL);
}

bool pa_expect(bool good, const char *fmt, ...)
{
	va_list ap;

	if (good)
		return true;
	va_start(ap, fmt);
	say("# ", fmt, ap);
	va_end(ap);
	soft_failures++;
	return false;
}

void pa_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(shared->skip_reason, sizeof(shared->skip_reason), fmt, ap);
	va_end(ap);
	_exit(KSFT_SKIP);
}

static void segv_install(void);
static void undo_all(void);

/* Runs a subtest; returns its exit status, or KSFT_FAIL. */
static int run_one(const struct pa_test *test)
{
	__u64 seconds = pa_env("PAGEARENA_TEST_TIMEOUT", TIMEOUT_SECONDS);
	sigset_t chld;
	siginfo_t info = {};
	int status;
	pid_t pid;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	/* What is left of a subtest that was killed is not this one's. */
	while (wait_signal(&chld, NULL, 0) == SIGCHLD)
		;
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		pa_say("fork: %s", strerror(errno));
		return KSFT_FAIL;
	}
	if (!pid) {
		sigprocmask(SIG_UNBLOCK, &chld, NULL);
		setpgid(0, 0);
		segv_install();
		test->fn();
		_exit(soft_failures ? KSFT_FAIL : KSFT_PASS);
	}
	/* Once it is over, or too late, everything that it started is ended, too. */
	if (wait_signal(&chld, &info, seconds) < 0)
		pa_say("took longer than %llu s (%s)", (unsigned long long)seconds,
		       strerror(errno));
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		status = KSFT_FAIL << 8;
	undo_all();
	if (WIFSIGNALED(status)) {
		pa_say("killed by signal %d", WTERMSIG(status));
		return KSFT_FAIL;
	}
	return WEXITSTATUS(status);
}

static bool wanted(int argc, char **argv, const char *name)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return true;
	return argc < 2;
}

/**
 * pa_run() - run the subtests of a program
 * @argc: as main() got it
 * @argv: arguments: run only subtests whose name contains one of them
 * @tests: the subtests
 * @nr: their number
 *
 * Return: main()'s value, by the conventions of kselftest.
 */
int pa_run(int argc, char **argv, const struct pa_test *tests, unsigned int nr)
{
	unsigned int i, ran = 0, failed = 0, skipped = 0;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	pa_page = (__u64)getpagesize();
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	if (fd < 0) {
		printf("1..0 # SKIP cannot open %s: %s\n", DEVICE, strerror(errno));
		return KSFT_SKIP;
	}
	close(fd);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return KSFT_FAIL;
	for (i = 0; i < nr; i++)
		ran += wanted(argc, argv, tests[i].name);
	printf("1..%u\n", ran);
	for (i = 0, ran = 0; i < nr; i++) {
		__u64 start = pa_now();
		int ret;

		if (!wanted(argc, argv, tests[i].name))
			continue;
		shared->skip_reason[0] = 0;
		ret = run_one(&tests[i]);
		ran++;
		printf("%sok %u %s", ret == KSFT_PASS || ret == KSFT_SKIP ? "" : "not ", ran,
		       tests[i].name);
		if (ret == KSFT_SKIP)
			printf(" # SKIP %s", shared->skip_reason);
		printf("\n");
		if (getenv("PAGEARENA_TEST_TIMES"))
			pa_say("%llu ms", (unsigned long long)(pa_now() - start) / 1000000);
		skipped += ret == KSFT_SKIP;
		failed += ret != KSFT_PASS && ret != KSFT_SKIP;
	}
	printf("# %u passed, %u failed, %u skipped\n", ran - failed - skipped, failed, skipped);
	return failed ? KSFT_FAIL : KSFT_PASS;
}

__u64 pa_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000 + (__u64)ts.tv_nsec;
}

__u64 pa_env(const char *name, __u64 value)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : value;
}

/**
 * pa_ops() - how many operations a subtest does
 * @ops: for a kernel without debugging, emulated or not
 *
 * PAGEARENA_OPS replaces it.  Else a kernel that is much slower (KASAN, lockdep) does fewer,
 * at least a twentieth.
 */
__u64 pa_ops(__u64 ops)
{
	__u64 factor = shared->ops_factor, start = 0;
	struct arena a;
	int i;

	if (getenv("PAGEARENA_OPS"))
		return pa_env("PAGEARENA_OPS", ops);
	if (!factor) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						      .huge = PAGEARENA_HUGE_NEVER });
		/* The first round is for caches, and for an emulator's translations. */
		for (i = 0; i < 200; i++) {
			__u64 at = pa_alloc(&a, a.page, 0, 0);

			pa_fill(a.base + at, a.page, 1);
			pa_free(&a, at);
			pa_scavenge(&a, ALL, 0, NULL);
			if (i == 99)
				start = pa_now();
		}
		factor = (pa_now() - start) / CALIBRATE_NS;
		factor = factor < 1 ? 1 : factor > 20 ? 20 : factor;
		shared->ops_factor = factor;
		pa_close(&a);
	}
	return ops / factor;
}

void pa_wait_ok(pid_t pid)
{
	int status;

	CHECK(pid > 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == KSFT_SKIP)
		_exit(KSFT_SKIP);
	CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Calls */

int pa_setup_fd(int fd, struct pagearena_setup setup)
{
	setup.size = sizeof(setup);
	return ioctl(fd, PAGEARENA_IOC_SETUP, &setup);
}

int pa_alloc_fd(int fd, __u64 length, __u64 align, __u32 flags, struct pagearena_alloc *out)
{
	struct pagearena_alloc req = {
		.size = sizeof(req),
		.flags = flags,
		.length = length,
		.align = align,
	};
	int ret = ioctl(fd, PAGEARENA_IOC_ALLOC, &req);

	if (out)
		*out = req;
	return ret;
}

int pa_free_fd(int fd, __u64 offset, __u64 length)
{
	struct pagearena_free req = {
		.size = sizeof(req),
		.offset = offset,
		.length = length,
	};

	return ioctl(fd, PAGEARENA_IOC_FREE, &req);
}

int pa_promote_fd(int fd, __u64 offset, __u64 length, struct pagearena_promote *out)
{
	struct pagearena_promote req = {
		.size = sizeof(req),
		.offset = offset,
		.length = length,
	};
	int ret = ioctl(fd, PAGEARENA_IOC_PROMOTE, &req);

	if (out)
		*out = req;
	return ret;
}

int pa_query_fd(int fd, __u64 offset, struct pagearena_span *out)
{
	struct pagearena_query req = {
		.size = sizeof(req),
		.offset = offset,
	};
	int ret = ioctl(fd, PAGEARENA_IOC_QUERY, &req);

	*out = req.span;
	return ret;
}

/* Background work changes figures between two calls, so most tests do without. */
static int quiet_fd(int fd)
{
	struct pagearena_policy req = {
		.set = PAGEARENA_POLICY_PROMOTE_PERCENT | PAGEARENA_POLICY_SCAVENGE_PERCENT,
	};

	return pa_policy_fd(fd, &req);
}

/* Switches background promotion. */
int pa_background_fd(int fd, __u32 percent)
{
	struct pagearena_policy req = {
		.size = sizeof(req),
		.set = PAGEARENA_POLICY_PROMOTE_PERCENT,
		.promote_percent = percent,
	};

	return ioctl(fd, PAGEARENA_IOC_POLICY, &req);
}

struct pagearena_info pa_info(int fd)
{
	struct pagearena_info info = { .size = sizeof(info) };

	CHECK(!ioctl(fd, PAGEARENA_IOC_INFO, &info));
	return info;
}

/* Maps all of the arena; whole huge pages lie at their multiples. */
void pa_map(struct arena *a)
{
	a->base = mmap(NULL, a->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	CHECK(a->base != MAP_FAILED);
}

void pa_open(struct arena *a, struct pagearena_setup setup)
{
	struct pagearena_info info;

	memset(a, 0, sizeof(*a));
	a->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(a->fd >= 0);
	/* Spans have whole MMU pages, unless a test is about those that have not. */
	if (!setup.span_page && pa_page > 8 * KiB)
		setup.span_page = pa_page;
	CHECK(!pa_setup_fd(a->fd, setup));
	CHECK(!quiet_fd(a->fd));
	info = pa_info(a->fd);
	a->bytes = info.arena_bytes;
	a->id = info.arena_id;
	a->page = info.span_page;
	a->granule = info.granule;
	pa_map(a);
}

void pa_close(struct arena *a)
{
	if (a->base)
		CHECK(!munmap(a->base, a->bytes));
	if (a->fd >= 0)
		CHECK(!close(a->fd));
	a->base = NULL;
	a->fd = -1;
}

__u64 pa_alloc(struct arena *a, __u64 length, __u64 align, __u32 flags)
{
	struct pagearena_alloc req;

	CHECK(!pa_alloc_fd(a->fd, length, align, flags, &req));
	CHECK_EQ(req.length, ALIGN_UP(length, a->page));
	CHECK_OP(req.offset + req.length, <=, a->bytes);
	CHECK_EQ(req.offset % MAX(align, a->page), 0);
	return req.offset;
}

void pa_free(struct arena *a, __u64 offset)
{
	CHECK(!pa_free_fd(a->fd, offset, 0));
}

__u64 pa_scavenge(struct arena *a, __u64 bytes, __u64 min_age_ns, __u64 *backed)
{
	struct pagearena_scavenge req = {
		.size = sizeof(req),
		.bytes = bytes,
		.min_age_ns = min_age_ns,
	};
	__u64 released = 0;
	int ret;

	if (backed)
		*backed = 0;
	/* The work of an io_uring looks like a signal; what was done until then is told. */
	while ((ret = ioctl(a->fd, PAGEARENA_IOC_SCAVENGE, &req)) && errno == EINTR) {
		released += req.released;
		if (backed)
			*backed += req.backed;
		if (bytes != ALL)
			req.bytes -= MIN(req.bytes - 1, req.released);
		req.released = 0;
		req.backed = 0;
	}
	CHECK(!ret);
	if (backed)
		*backed += req.backed;
	return released + req.released;
}

__u64 pa_scavenge_flags(struct arena *a, __u64 bytes, __u64 min_age_ns, __u32 flags)
{
	struct pagearena_scavenge req = {
		.size = sizeof(req),
		.flags = flags,
		.bytes = bytes,
		.min_age_ns = min_age_ns,
	};

	CHECK(!ioctl(a->fd, PAGEARENA_IOC_SCAVENGE, &req));
	return req.released;
}

/* Promotes one chunk; returns PAGEARENA_PROMOTE_*. */
__u32 pa_promote(struct arena *a, __u64 offset)
{
	__u32 result = ~0U, i;
	struct pagearena_promote req = {
		.size = sizeof(req),
		.offset = offset,
		.length = pa_info(a->fd).huge_size,
		.results = (uintptr_t)&result,
		.nr_results = 1,
	};

	CHECK(!ioctl(a->fd, PAGEARENA_IOC_PROMOTE, &req));
	CHECK_OP(result, <, PAGEARENA_PROMOTE_NR);
	for (i = 0; i < ARRAY_SIZE(req.counts); i++)
		CHECK_EQ(req.counts[i], i == result);
	return result;
}

struct pagearena_stats pa_stats(int fd)
{
	struct pagearena_stats stats = { .size = sizeof(stats) };

	CHECK(!ioctl(fd, PAGEARENA_IOC_STATS, &stats));
	return stats;
}

/* The same, and takes the pressure event away. */
struct pagearena_stats pa_stats_seen(int fd)
{
	struct pagearena_stats stats = { .size = sizeof(stats),
					 .flags = PAGEARENA_STATS_PRESSURE };

	CHECK(!ioctl(fd, PAGEARENA_IOC_STATS, &stats));
	return stats;
}

struct pagearena_span pa_query(struct arena *a, __u64 offset)
{
	struct pagearena_span span;

	CHECK(!pa_query_fd(a->fd, offset, &span));
	return span;
}

/* All spans, in a list for free(); its length is returned. */
__u32 pa_spans(int fd, struct pagearena_span **list)
{
	__u32 room = 256, nr = 0;
	__u64 offset = 0;

	*list = malloc(room * sizeof(**list));
	for (;;) {
		struct pagearena_spans req = {
			.size = sizeof(req),
			.offset = offset,
			.spans = (uintptr_t)(*list + nr),
			.count = room - nr,
		};

		CHECK(*list);
		CHECK(!ioctl(fd, PAGEARENA_IOC_SPANS, &req));
		CHECK_OP(req.count, <=, room - nr);
		CHECK(req.count || req.offset == offset);
		nr += req.count;
		offset = req.offset;
		if (!req.count)
			return nr;
		if (nr == room) {
			room *= 2;
			*list = realloc(*list, room * sizeof(**list));
		}
	}
}

static bool same_span(struct pagearena_span a, struct pagearena_span b)
{
	a.age_ns = 0;
	b.age_ns = 0;
	return !memcmp(&a, &b, sizeof(a));
}

void pa_check(struct arena *a)
{
	struct pagearena_stats stats = pa_stats(a->fd), sum = {};
	__u32 nr, i, j;
	struct pagearena_span *list;
	__u64 pos = 0, grain = MAX(a->granule, a->page);

	nr = pa_spans(a->fd, &list);
	for (i = 0; i < nr; i++) {
		struct pagearena_span *s = &list[i];
		bool scavenged = s->flags & PAGEARENA_SPAN_SCAVENGED;
		__u64 at[] = { s->offset, s->offset + s->length / 2, s->offset + s->length - 1 };
		__u64 start = s->offset, end = s->offset + s->length;

		CHECK_EQ(s->offset, pos);
		CHECK(s->length && s->length % a->page == 0);
		CHECK_OP(s->backed, <=, s->length);
		CHECK_OP(s->huge, <=, s->backed);
		CHECK(!(s->flags & ~(PAGEARENA_SPAN_SCAVENGED | PAGEARENA_SPAN_NEEDZERO)));
		pos += s->length;
		if (s->state == PAGEARENA_SPAN_INUSE) {
			CHECK(!scavenged);
			CHECK_EQ(s->age_ns, 0);
			sum.heap_inuse += s->length;
			sum.backed_inuse += s->backed;
			sum.huge_inuse += s->huge;
			sum.spans_inuse++;
		} else {
			CHECK_EQ(s->state, PAGEARENA_SPAN_FREE);
			sum.heap_idle += s->length;
			sum.backed_free += s->backed;
			sum.spans_free += !scavenged;
			sum.spans_scavenged += scavenged;
			/* Of a scavenged span, whole granules are released. */
			if (grain > a->page) {
				start = ALIGN_UP(start, grain);
				end = ALIGN_DOWN(end, grain);
			}
			if (scavenged) {
				CHECK_OP(start, <, end);
				sum.heap_released += end - start;
				CHECK_OP(s->backed, <=, s->length - (end - start));
			}
		}
		sum.huge_bytes += s->huge;
		sum.small_bytes += s->backed - s->huge;
		for (j = 0; j < ARRAY_SIZE(at); j++)
			CHECK(same_span(pa_query(a, at[j]), *s));
	}
	CHECK_EQ(pos, stats.heap_sys);
	CHECK_EQ(stats.heap_sys, stats.heap_inuse + stats.heap_idle);
	CHECK_EQ(stats.heap_inuse, sum.heap_inuse);
	CHECK_EQ(stats.heap_idle, sum.heap_idle);
	CHECK_EQ(stats.heap_released, sum.heap_released);
	CHECK_EQ(stats.backed, stats.backed_inuse + stats.backed_free);
	CHECK_EQ(stats.backed, stats.huge_bytes + stats.small_bytes);
	CHECK_EQ(stats.huge_bytes, sum.huge_bytes);
	if (a->page >= pa_page)
		CHECK_EQ(stats.huge_inuse, sum.huge_inuse);
	CHECK_EQ(stats.small_bytes, sum.small_bytes);
	/* A page that allocated and free spans share is in use as a whole. */
	if (a->page < pa_page) {
		CHECK_OP(stats.backed_inuse, >=, sum.backed_inuse);
		CHECK_EQ(stats.backed, sum.backed_inuse + sum.backed_free);
	} else {
		CHECK_EQ(stats.backed_inuse, sum.backed_inuse);
		CHECK_EQ(stats.backed_free, sum.backed_free);
	}
	CHECK_EQ(stats.spans_inuse, sum.spans_inuse);
	CHECK_EQ(stats.spans_free, sum.spans_free);
	CHECK_EQ(stats.spans_scavenged, sum.spans_scavenged);
	CHECK_EQ(stats.nr_alloc - stats.nr_free, stats.spans_inuse);
	CHECK_OP(stats.backed_peak, >=, stats.backed);
	CHECK_OP(stats.inuse_peak, >=, stats.heap_inuse);
	CHECK_OP(stats.nr_fault_huge, <=, stats.nr_fault);
	free(list);
	pa_recount(a->id);
}

void pa_recount(__u64 id)
{
	char path[128], line[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), DEBUGFS "/%llu/recount", (unsigned long long)id);
	f = fopen(path, "re");
	if (!f) {
		/* A machine without debugfs; where it is mounted the file must be there. */
		CHECK(access(DEBUGFS, F_OK));
		return;
	}
	CHECK(fgets(line, sizeof(line), f));
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	if (strcmp(line, "ok"))
		pa_fail("recount: %s", line);
}

struct snapshot pa_snapshot(int fd)
{
	struct snapshot snap = { .stats = pa_stats(fd) };
	__u32 i;

	/* That a call was refused for want of memory is told. */
	snap.stats.pressure_seq = 0;
	snap.stats.pressure_flags = 0;
	snap.nr = pa_spans(fd, &snap.spans);
	for (i = 0; i < snap.nr; i++)
		snap.spans[i].age_ns = 0;
	return snap;
}

bool pa_unchanged(int fd, struct snapshot *before)
{
	struct snapshot now = pa_snapshot(fd);
	bool same = !memcmp(&now.stats, &before->stats, sizeof(now.stats)) &&
		    now.nr == before->nr &&
		    !memcmp(now.spans, before->spans, now.nr * sizeof(*now.spans));
	const __u64 *is = (const __u64 *)&now.stats, *was = (const __u64 *)&before->stats;
	unsigned int i;

	for (i = 0; i < sizeof(now.stats) / sizeof(*was); i++)
		if (is[i] != was[i])
			pa_say("STATS, word %u: %llu was %llu", i, (unsigned long long)is[i],
			       (unsigned long long)was[i]);
	free(before->spans);
	*before = now;
	return same;
}

/* Touching what may not be there */

static __thread sigjmp_buf segv_jump;
static __thread volatile sig_atomic_t segv_armed;

static void segv_handler(int sig, siginfo_t *info, void *context)
{
	char text[64];
	int len;

	(void)context;
	if (segv_armed) {
		segv_armed = 0;
		siglongjmp(segv_jump, sig);
	}
	len = snprintf(text, sizeof(text), "# signal %d at %p\n", sig, info->si_addr);
	if (write(STDOUT_FILENO, text, (size_t)len) < 0)
		_exit(KSFT_FAIL);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void segv_install(void)
{
	struct sigaction sa = { .sa_sigaction = segv_handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/*
 * A signal is put on the stack by the kernel.  If it finds no memory for that, it kills, so the
 * pages have to be there before allocations are made to fail.
 */
static __attribute__((noinline)) void touch_stack(void)
{
	volatile char stack[16 * 1024];
	unsigned int i;

	for (i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 0;
}

int pa_guarded(void (*fn)(void *), void *arg)
{
	int sig;

	touch_stack();
	sig = sigsetjmp(segv_jump, 1);

	if (!sig) {
		segv_armed = 1;
		fn(arg);
	}
	segv_armed = 0;
	return sig;
}

struct touch {
	volatile unsigned char *addr;
	unsigned char value;
};

static void do_peek(void *arg)
{
	struct touch *t = arg;

	t->value = *t->addr;
}

static void do_poke(void *arg)
{
	struct touch *t = arg;

	*t->addr = t->value;
}

int pa_peek(const volatile void *addr, unsigned char *value)
{
	struct touch t = { .addr = (volatile unsigned char *)addr };
	int sig = pa_guarded(do_peek, &t);

	if (value)
		*value = t.value;
	return sig;
}

int pa_poke(volatile void *addr, unsigned char value)
{
	struct touch t = { .addr = addr, .value = value };

	return pa_guarded(do_poke, &t);
}

/* Patterns */

static __u64 mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	return x ^ (x >> 31);
}

__u64 pa_random(__u64 *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return mix(mix(*state) ^ 0x94d049bb133111ebULL);
}

void pa_fill(void *addr, __u64 len, __u64 seed)
{
	__u64 *word = addr, i, add = mix(seed + 1);

	for (i = 0; i < len / sizeof(*word); i++)
		word[i] = add + i * 0x9e3779b97f4a7c15ULL;
}

bool pa_filled(const void *addr, __u64 len, __u64 seed)
{
	const __u64 *word = addr;
	__u64 i, add = mix(seed + 1), wrong = 0;

	for (i = 0; i < len / sizeof(*word); i++)
		wrong |= word[i] ^ (add + i * 0x9e3779b97f4a7c15ULL);
	return !wrong;
}

bool pa_zero(const void *addr, __u64 len)
{
	const __u64 *word = addr;
	__u64 i, any = 0;

	for (i = 0; i < len / sizeof(*word); i++)
		any |= word[i];
	return !any;
}

/* From outside */

/*
 * Where a PMD maps more than a chunk: bytes of whole chunks whose pages follow each other in
 * memory as they do here, at multiples of a chunk, so that the CPU can fold their entries in one.
 */
static __u64 folded(__u64 from, __u64 to, __u64 chunk)
{
	__u64 nr = chunk / pa_page, entry[512], sum = 0, i;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_OP(nr, <=, ARRAY_SIZE(entry));
	/* Not of terabytes, of which a test cannot mean all. */
	to = MIN(to, from + 8 * GiB);
	for (from = ALIGN_UP(from, chunk); from + chunk <= to; from += chunk) {
		CHECK_EQ(pread(fd, entry, nr * sizeof(*entry),
			       (off_t)(from / pa_page * sizeof(*entry))), nr * sizeof(*entry));
		/* Present, and the number of the page in the lower bits. */
		for (i = 0; i < nr; i++)
			if (!(entry[i] >> 63) ||
			    (entry[i] << 9) >> 9 != ((entry[0] << 9) >> 9) + i)
				break;
		if (i == nr && ((entry[0] << 9) >> 9) % nr == 0)
			sum += chunk;
	}
	close(fd);
	return sum;
}

/* Bytes of a chunk, if a PMD maps more than that; else 0. */
__u64 pa_folding_chunk(void)
{
	static __u64 chunk = ALL;
	struct pagearena_info info;
	int fd;

	if (chunk == ALL) {
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0);
		info = pa_info(fd);
		close(fd);
		chunk = info.pmd_size > info.huge_size ? info.huge_size : 0;
	}
	return chunk;
}

struct smaps pa_smaps(const void *start, __u64 len)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long from, to, kb;
	struct smaps sum = {};
	bool inside = false;
	char line[512];

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
			sum.nr += inside = from >= (uintptr_t)start &&
					   to <= (uintptr_t)start + len;
			if (inside && pa_folding_chunk())
				sum.pmd += folded(from, to, pa_folding_chunk());
		} else if (inside && sscanf(line, "Rss: %llu kB", &kb) == 1) {
			sum.rss += kb << 10;
		} else if (inside && sscanf(line, "FilePmdMapped: %llu kB", &kb) == 1) {
			sum.pmd += kb << 10;
		}
	}
	fclose(f);
	return sum;
}

/* A "Key: N kB" line of a file in /proc; in KiB. */
__u64 pa_proc_kb(const char *file, const char *key)
{
	FILE *f = fopen(file, "re");
	unsigned long long kb = 0;
	size_t len = strlen(key);
	char line[256];

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len) && line[len] == ':')
			kb = strtoull(line + len + 1, NULL, 10);
	fclose(f);
	return kb;
}

/* Number of arenas that are set up, as debugfs shows them. */
unsigned int pa_arenas(void)
{
	DIR *dir = opendir(DEBUGFS);
	struct dirent *entry;
	unsigned int n = 0;

	if (!dir)
		SKIP("no %s", DEBUGFS);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
	closedir(dir);
	return n;
}

static char cgroup[96];

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* Moves the caller into a memory cgroup of its own, or skips the subtest. */
void pa_cgroup_enter(void)
{
	char path[128];

	if (access(CGROUP "/cgroup.subtree_control", F_OK))
		SKIP("cgroup2 is not mounted at " CGROUP);
	write_file(CGROUP "/cgroup.subtree_control", "+memory");
	snprintf(cgroup, sizeof(cgroup), CGROUP "/pagearena-%d", getpid());
	if (mkdir(cgroup, 0755))
		SKIP("cannot make a cgroup: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/memory.current", cgroup);
	if (access(path, F_OK)) {
		rmdir(cgroup);
		SKIP("no memory controller in cgroup2");
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	CHECK(write_file(path, "0"));
}

void pa_cgroup_leave(void)
{
	CHECK(write_file(CGROUP "/cgroup.procs", "0"));
	CHECK(!rmdir(cgroup));
}

__u64 pa_cgroup_charge(void)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/memory.current", cgroup);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtoull(text, NULL, 10);
}

/*
 * By how much memory.current may be off: the kernel charges ahead by 64 pages a CPU, and
 * an arena's own metadata and page tables are charged, too (256 KiB are plenty for what
 * the tests use).
 */
__u64 pa_cgroup_slack(void)
{
	return (__u64)sysconf(_SC_NPROCESSORS_ONLN) * 64 * (__u64)getpagesize() + 256 * KiB;
}

/* Policy */

/* The call, unchecked. */
int pa_policy_fd(int fd, struct pagearena_policy *req)
{
	req->size = sizeof(*req);
	return ioctl(fd, PAGEARENA_IOC_POLICY, req);
}

struct pagearena_policy pa_policy(int fd)
{
	struct pagearena_policy req = {};

	CHECK(!pa_policy_fd(fd, &req));
	return req;
}

/* Switches background scavenging, which pa_open() switched off. */
void pa_scavenging(struct arena *a, __u32 percent, __u32 retain_percent, __u64 age_ns)
{
	struct pagearena_policy req = {
		.set = PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_RETAIN_PERCENT |
		       PAGEARENA_POLICY_SCAVENGE_AGE,
		.scavenge_percent = percent,
		.retain_percent = retain_percent,
		.scavenge_age_ns = age_ns,
	};

	CHECK(!pa_policy_fd(a->fd, &req));
}

/* Waits until @done says so, at most @ms.  Returns whether it did. */
bool pa_wait_until(bool (*done)(void *arg), void *arg, __u64 ms)
{
	__u64 end = pa_now() + ms * 1000000;

	while (!done(arg)) {
		if (pa_now() > end)
			return done(arg);
		sleep_us(10000);
	}
	return true;
}

/* For what the policy AUTO, or the background, does with huge folios. */
void pa_want_thp(void)
{
	char text[64] = "";
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");

	if (f) {
		if (!fgets(text, sizeof(text), f))
			text[0] = 0;
		fclose(f);
	}
	if (strstr(text, "[never]"))
		pa_skip("transparent huge pages are switched off");
}

/* Waits until background scavenging has done nothing for half a second; what came of it. */
struct pagearena_stats pa_settled(struct arena *a)
{
	struct pagearena_stats was = {}, now;
	unsigned int same = 0, i;

	for (i = 0; i < 600 && same < 10; i++) {
		now = pa_stats(a->fd);
		same = now.background_ns == was.background_ns ? same + 1 : 0;
		was = now;
		sleep_us(50000);
	}
	CHECK_OP(i, <, 600);
	return now;
}

/* A "pagearena-KEY:" line of the descriptor's fdinfo. */
__u64 pa_fdinfo(int fd, const char *key)
{
	char path[64], want[64], line[256], *end;
	__u64 value = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(want, sizeof(want), "pagearena-%s:\t", key);
	f = fopen(path, "re");
	if (!f)
		pa_fail("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, want, strlen(want)))
			continue;
		if (found)
			pa_fail("fdinfo has two lines of %s", key);
		found = true;
		value = strtoull(line + strlen(want), &end, 10);
		if (end == line + strlen(want) || *end != '\n')
			pa_fail("fdinfo: not a number: %s", line);
	}
	fclose(f);
	if (!found)
		pa_fail("fdinfo has no line of %s", key);
	return value;
}

/* fdinfo and STATS tell the same; for an arena that nobody uses meanwhile. */
void pa_fdinfo_check(int fd)
{
	struct pagearena_stats st = pa_stats(fd);
	struct pagearena_info info = pa_info(fd);
	const struct {
		const char *key;
		__u64 value;
	} lines[] = {
		{ "id", info.arena_id },
		{ "size", info.arena_bytes },
		{ "limit", pa_policy(fd).limit },
		{ "heap-sys", st.heap_sys },
		{ "heap-inuse", st.heap_inuse },
		{ "heap-idle", st.heap_idle },
		{ "heap-released", st.heap_released },
		{ "backed", st.backed },
		{ "backed-inuse", st.backed_inuse },
		{ "backed-free", st.backed_free },
		{ "reclaimable", st.reclaimable },
		{ "huge", st.huge_bytes },
		{ "huge-inuse", st.huge_inuse },
		{ "small", st.small_bytes },
		{ "pool", st.pool_bytes },
		{ "pressure-seq", st.pressure_seq },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		__u64 value = pa_fdinfo(fd, lines[i].key);

		if (value != lines[i].value)
			pa_fail("%s: %llu in fdinfo, %llu by the calls", lines[i].key,
				(unsigned long long)value, (unsigned long long)lines[i].value);
	}
}

/* Files of the kernel */

bool pa_read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return n >= 0;
}

bool pa_write_text(const char *path, const char *text)
{
	return write_file(path, text);
}

__u64 pa_read_u64(const char *path)
{
	char text[64];

	if (!pa_read_text(path, text, sizeof(text)))
		pa_fail("%s: %s", path, strerror(errno));
	return strtoull(text, NULL, 10);
}

static struct undo *undo_note(int what, const char *path)
{
	struct undo *u;

	CHECK_OP(shared->nr_undo, <, ARRAY_SIZE(shared->undo));
	u = &shared->undo[shared->nr_undo];
	CHECK_OP(strlen(path), <, sizeof(u->path));
	memcpy(u->path, path, strlen(path) + 1);
	u->what = what;
	return u;
}

static void undo_all(void)
{
	char path[192];
	int i;

	while (shared->nr_undo) {
		struct undo *u = &shared->undo[--shared->nr_undo];

		switch (u->what) {
		case UNDO_TEXT:
			if (!write_file(u->path, u->text))
				pa_say("%s cannot be set back", u->path);
			break;
		case UNDO_MODE:
			if (chmod(u->path, u->mode))
				pa_say("%s: %s", u->path, strerror(errno));
			break;
		case UNDO_CGROUP:
			snprintf(path, sizeof(path), "%s/cgroup.kill", u->path);
			if (!access(path, F_OK))
				write_file(path, "1");
			/* Those that were killed take a moment to go. */
			for (i = 0; i < 200 && rmdir(u->path) && errno == EBUSY; i++)
				sleep_us(10000);
			break;
		}
	}
}

/* Writes to a file of the kernel, for the rest of the subtest, or skips it. */
void pa_set(const char *path, const char *text)
{
	struct undo *u = undo_note(UNDO_TEXT, path);

	if (!pa_read_text(path, u->text, sizeof(u->text)))
		SKIP("no %s", path);
	u->text[strcspn(u->text, "\n")] = 0;
	if (!write_file(path, text))
		SKIP("cannot write to %s", path);
	shared->nr_undo++;
}

void pa_set_u64(const char *path, __u64 value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	pa_set(path, text);
}

void pa_set_mode(const char *path, unsigned int mode)
{
	struct undo *u = undo_note(UNDO_MODE, path);
	struct stat st;

	CHECK(!stat(path, &st));
	u->mode = st.st_mode & 07777;
	CHECK(!chmod(path, mode));
	shared->nr_undo++;
}

/* Cgroups */

/*
 * A memory cgroup, below @parent or the root.  One that is no leaf has no processes, but
 * controls the memory of those below it.
 */
struct cgroup pa_cgroup_make(const struct cgroup *parent, bool leaf)
{
	static unsigned int nr;
	struct cgroup cg;
	char path[192];

	if (access(CGROUP "/cgroup.subtree_control", F_OK))
		SKIP("cgroup2 is not mounted at " CGROUP);
	write_file(CGROUP "/cgroup.subtree_control", "+memory");
	CHECK_OP(snprintf(cg.path, sizeof(cg.path), "%s/pagearena-%d-%u",
			  parent ? parent->path : CGROUP, getpid(), nr++), <, sizeof(cg.path));
	if (mkdir(cg.path, 0755))
		SKIP("cannot make a cgroup: %s", strerror(errno));
	undo_note(UNDO_CGROUP, cg.path);
	shared->nr_undo++;
	snprintf(path, sizeof(path), "%s/memory.current", cg.path);
	if (access(path, F_OK))
		SKIP("no memory controller in cgroup2");
	if (!leaf) {
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control", cg.path);
		CHECK(write_file(path, "+memory"));
	}
	return cg;
}

void pa_cgroup_join(const struct cgroup *cg)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cg->path);
	CHECK(write_file(path, "0"));
}

/* Back to the root. */
void pa_cgroup_quit(void)
{
	CHECK(write_file(CGROUP "/cgroup.procs", "0"));
}

void pa_cgroup_set(const struct cgroup *cg, const char *file, __u64 value)
{
	char path[192], text[32];

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	CHECK(write_file(path, value == ALL ? "max" : text));
}

__u64 pa_cgroup_get(const struct cgroup *cg, const char *file)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	return pa_read_u64(path);
}

/* The value of a "key value" line; 0 where there is none. */
__u64 pa_cgroup_key(const struct cgroup *cg, const char *file, const char *key)
{
	unsigned long long value = 0;
	size_t len = strlen(key);
	char path[192], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	f = fopen(path, "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len) && line[len] == ' ')
			value = strtoull(line + len, NULL, 10);
	fclose(f);
	return value;
}
