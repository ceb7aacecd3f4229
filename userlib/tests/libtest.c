// SPDX-License-Identifier: MIT
/*
 * What the library adds to the calls: options, pointers, mappings, forks.  The calls
 * themselves are tested in selftests/device.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pagearena.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define MIB (1ULL << 20)

static bool fails_with(const void *p, int err)
{
	return !p && errno == err;
}

static bool is_errno(int ret, int err)
{
	return ret == -1 && errno == err;
}

static void test_options(void)
{
	struct {
		struct pagearena_options o;
		uint64_t tail;
	} big = { .o = { .size = sizeof(big), .arena_bytes = 16 * MIB } };
	struct pagearena_options o = { .size = sizeof(o) };
	struct pagearena_info info = { .size = sizeof(info) };
	struct pagearena *a;

	a = pagearena_open(NULL);
	ok(a && pagearena_bytes(a) >= 1ULL << 30, "all defaults");
	ok(a && !((uintptr_t)pagearena_base(a) & (2 * MIB - 1)), "the base is aligned");
	ok(a && fcntl(pagearena_fd(a), F_GETFD) & FD_CLOEXEC, "the descriptor is close-on-exec");
	pagearena_close(a);
	pagearena_close(NULL);

	o.size = 8;
	ok(fails_with(pagearena_open(&o), EINVAL), "options too short: EINVAL");
	a = pagearena_open(&big.o);
	ok(a, "options with a longer tail of zeros");
	pagearena_close(a);
	big.tail = 1;
	ok(fails_with(pagearena_open(&big.o), E2BIG), "an unknown option: E2BIG");

	o = (struct pagearena_options){ .size = sizeof(o), .flags = 1U << 31 };
	ok(fails_with(pagearena_open(&o), EINVAL), "an unknown flag: EINVAL");
	o = (struct pagearena_options){ .size = sizeof(o), .fit = 99 };
	ok(fails_with(pagearena_open(&o), EOPNOTSUPP), "an unknown fit: EOPNOTSUPP");
	o = (struct pagearena_options){ .size = sizeof(o), .base_align = 3 };
	ok(fails_with(pagearena_open(&o), EINVAL), "an alignment of 3: EINVAL");
	o = (struct pagearena_options){ .size = sizeof(o), .device = "/dev/null" };
	ok(fails_with(pagearena_open(&o), ENOTTY), "not an arena: ENOTTY");
	o = (struct pagearena_options){ .size = sizeof(o), .device = "/nonexistent" };
	ok(fails_with(pagearena_open(&o), ENOENT), "no such device: ENOENT");

	o = (struct pagearena_options){ .size = sizeof(o),
					.arena_bytes = 16 * MIB + 1,
					.span_page = 16384,
					.granule = 65536,
					.growth = MIB,
					.limit = 8 * MIB,
					.fit = PAGEARENA_FIT_FIRST,
					.huge = PAGEARENA_HUGE_NEVER };
	a = pagearena_open(&o);
	ok(a && !pagearena_info(a, &info) && info.arena_bytes == 16 * MIB + 65536 &&
		   info.span_page == 16384 && info.granule == 65536 && info.growth == MIB &&
		   info.limit == 8 * MIB && info.fit == PAGEARENA_FIT_FIRST &&
		   info.huge == PAGEARENA_HUGE_NEVER,
	   "all options arrive, the size is rounded up");
	pagearena_close(a);
}

static void test_mapping(void)
{
	struct pagearena_options o = { .size = sizeof(o),
				       .arena_bytes = 16 * MIB,
				       .base_align = 256 * MIB };
	struct pagearena *a, *b;
	char *base;
	int fd;

	a = pagearena_open(&o);
	ok(a && !((uintptr_t)pagearena_base(a) & (256 * MIB - 1)), "the base as aligned as asked");
	if (!a)
		return;
	base = pagearena_base(a);
	ok(pagearena_aligned_alloc(a, 256 * MIB, 8192, 0) == base, "a pointer aligned to 256 MiB");
	ok(pagearena_ptr(a, 5) == base + 5 && pagearena_offset(a, base + 5) == 5,
	   "pointer and offset");
	ok(fails_with(pagearena_ptr(a, 16 * MIB), EINVAL), "an offset beyond the arena: EINVAL");
	ok(pagearena_offset(a, base - 1) == PAGEARENA_NO_OFFSET &&
		   pagearena_offset(a, base + 16 * MIB) == PAGEARENA_NO_OFFSET &&
		   pagearena_offset(a, NULL) == PAGEARENA_NO_OFFSET,
	   "foreign pointers have no offset");

	o.addr = base;
	ok(fails_with(pagearena_open(&o), EEXIST), "an address that is taken: EEXIST");
	o.addr = base + 4096;
	ok(fails_with(pagearena_open(&o), EINVAL), "address and alignment at odds: EINVAL");

	/* A second mapping of the same arena shows the same bytes. */
	fd = dup(pagearena_fd(a));
	b = pagearena_open_fd(fd, NULL);
	ok(b && pagearena_base(b) != pagearena_base(a), "a second mapping");
	if (b) {
		base[100] = 77;
		ok(((char *)pagearena_base(b))[100] == 77, "of the same memory");
		pagearena_close(b);
		ok(fcntl(fd, F_GETFD) < 0, "takes its descriptor with it");
	}
	pagearena_close(a);

	o.addr = base;
	a = pagearena_open(&o);
	ok(a && pagearena_base(a) == base, "an address that is free");
	pagearena_close(a);

	fd = open(PAGEARENA_DEVICE, O_RDWR | O_CLOEXEC);
	ok(fails_with(pagearena_open_fd(fd, NULL), EBADFD), "adopted before SETUP: EBADFD");
	ok(!close(fd), "and the descriptor is still the caller's");
	ok(fails_with(pagearena_open_fd(-1, NULL), EBADF), "a bad descriptor: EBADF");
}

static void test_alloc(void)
{
	struct pagearena_options o = { .size = sizeof(o), .arena_bytes = 16 * MIB };
	struct pagearena_stats st = { .size = sizeof(st) };
	struct pagearena *a = pagearena_open(&o);
	struct pagearena_span span, spans[64];
	uint64_t cursor = 0, sum = 0, released, backed;
	struct pagearena_block block;
	char *p, *q;
	int n;

	if (!ok(a, "an arena"))
		return;
	ok(fails_with(pagearena_alloc(a, 0, 0), EINVAL), "length 0: EINVAL");
	ok(fails_with(pagearena_alloc(a, SIZE_MAX, 0), EOVERFLOW), "a huge length: EOVERFLOW");
	ok(fails_with(pagearena_alloc(a, 17 * MIB, 0), ENOMEM), "more than the arena: ENOMEM");
	ok(fails_with(pagearena_alloc(a, 1, 1U << 31), EINVAL), "an unknown flag: EINVAL");
	ok(fails_with(pagearena_aligned_alloc(a, 0, 1, 0), EINVAL), "alignment 0: EINVAL");
	ok(fails_with(pagearena_aligned_alloc(a, 24576, 1, 0), EINVAL), "24576: EINVAL");
	ok(fails_with(pagearena_aligned_alloc(a, (size_t)1 << (sizeof(size_t) * 8 - 1), 1, 0),
		      EINVAL),
	   "more than the base has: EINVAL");

	ok(!pagearena_alloc_ex(a, 0, 10000, 0, &block) && block.length == 16384 &&
		   block.flags & PAGEARENA_ALLOCED_ZERO,
	   "fresh memory: rounded up, known to be zero");
	p = block.ptr;
	memset(p, 1, 16384);
	ok(!pagearena_query(a, p + 9000, &span) && span.length == 16384 &&
		   span.state == PAGEARENA_SPAN_INUSE && pagearena_ptr(a, span.offset) == p,
	   "the span of a pointer");
	ok(is_errno(pagearena_query(a, &span, &span), EINVAL), "of a foreign pointer: EINVAL");

	q = pagearena_aligned_alloc(a, MIB, 8192, 0);
	ok(q && !((uintptr_t)q & (MIB - 1)), "an aligned span");
	while ((n = pagearena_spans(a, &cursor, spans, 64)) > 0)
		while (n--)
			sum += spans[n].length;
	ok(!n && !pagearena_stats(a, &st) && sum == st.heap_sys, "spans add up to the heap");
	cursor = 0;
	ok(pagearena_spans(a, &cursor, spans, 1) == 1 && cursor == 16384, "one span at a time");
	ok(is_errno(pagearena_spans(a, &cursor, spans, 0), EINVAL), "room for none: EINVAL");

	ok(!pagearena_free(a, NULL) && !pagearena_free_sized(a, NULL, 5), "NULL may be freed");
	ok(is_errno(pagearena_free(a, &span), EINVAL), "a foreign pointer: EINVAL");
	ok(is_errno(pagearena_free(a, p + 8192), ENOENT), "inside a span: ENOENT");
	ok(is_errno(pagearena_free(a, p + 1), EINVAL), "a misaligned pointer: EINVAL");
	ok(is_errno(pagearena_free_sized(a, p, 0), EINVAL), "length 0: EINVAL");
	ok(is_errno(pagearena_free_sized(a, p, 16385), EINVAL), "the wrong length: EINVAL");
	ok(!pagearena_stats(a, &st) && st.spans_inuse == 2, "all this changed nothing");
	ok(!pagearena_free_sized(a, p, 10000), "the length asked for");
	ok(is_errno(pagearena_free(a, p), ENOENT), "freed twice: ENOENT");
	p = pagearena_alloc(a, 16384, PAGEARENA_ALLOC_ZERO);
	for (n = 0; p && n < 16384 && !p[n]; n++)
		;
	ok(n == 16384, "zero where it was not");
	ok(!pagearena_free(a, p) && !pagearena_free(a, q), "all freed");

	ok(is_errno(pagearena_scavenge(a, 0, 0, &released, &backed), EINVAL) && !released &&
		   !backed,
	   "scavenge 0 bytes: EINVAL");
	ok(!pagearena_scavenge(a, PAGEARENA_ALL, 3600000000000ULL, &released, NULL) && !released,
	   "nothing is an hour old");
	ok(!pagearena_scavenge(a, PAGEARENA_ALL, 0, &released, &backed) && released && backed &&
		   !pagearena_stats(a, &st) && !st.backed && !st.heap_inuse,
	   "all goes back");

	st.size = 4;
	ok(is_errno(pagearena_stats(a, &st), EINVAL), "statistics too short: EINVAL");
	pagearena_close(a);
}

static void test_promote(void)
{
	struct pagearena_options o = { .size = sizeof(o),
				       .arena_bytes = 64 * MIB,
				       .huge = PAGEARENA_HUGE_NEVER };
	struct pagearena_info info = { .size = sizeof(info) };
	uint64_t counts[PAGEARENA_PROMOTE_NR] = { 0 }, sum = 0;
	struct pagearena *a = pagearena_open(&o);
	uint32_t results[4] = { 99, 99, 99, 99 };
	size_t i, len;
	char *p;

	if (!ok(a && !pagearena_info(a, &info), "an arena of small pages"))
		return;
	if (info.huge_size > 8 * MIB) {
		printf("# huge pages are too large here to try\n");
		pagearena_close(a);
		return;
	}
	len = (size_t)info.huge_size * 3;
	p = pagearena_aligned_alloc(a, (size_t)info.huge_size, len, 0);
	for (i = 0; p && i < len; i += 512)
		p[i] = (char)(i / 512 * 7);
	ok(p, "three chunks, touched");
	/* Starting a byte late, so that the first chunk is not whole. */
	ok(p && !pagearena_promote(a, p + 1, len - 1, results, 3, counts), "promotion");
	for (i = 0; i < PAGEARENA_PROMOTE_NR; i++)
		sum += counts[i];
	ok(sum == 2, "takes the two chunks that are whole");
	ok(results[0] < PAGEARENA_PROMOTE_NR && results[1] < PAGEARENA_PROMOTE_NR &&
		   results[2] == 99,
	   "and tells what became of each");
	printf("# done %llu, no memory %llu\n", (unsigned long long)counts[PAGEARENA_PROMOTE_DONE],
	       (unsigned long long)counts[PAGEARENA_PROMOTE_NOMEM]);
	for (i = 0; p && i < len && p[i] == (char)(i / 512 * 7); i += 512)
		;
	ok(i >= len, "the contents stay");
	ok(!pagearena_promote(a, p, 4096, NULL, 0, counts) && !counts[PAGEARENA_PROMOTE_DONE],
	   "no whole chunk: nothing happens");
	ok(is_errno(pagearena_promote(a, &a, 1, NULL, 0, NULL), EINVAL), "foreign: EINVAL");
	ok(is_errno(pagearena_promote(a, p, SIZE_MAX, NULL, 0, NULL), EINVAL),
	   "beyond the arena: EINVAL");
	pagearena_close(a);
}

/* Sends one descriptor over a socket. */
static int send_fd(int sock, int fd)
{
	char data = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = &data, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
}

static int receive_fd(int sock)
{
	char data, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = &data, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

/* A process that did not inherit the arena: gets it over the socket, at the same address. */
static int receiver(int sock, void *base)
{
	struct pagearena_options o = { .size = sizeof(o), .addr = base };
	struct pagearena *a = pagearena_open_fd(receive_fd(sock), &o);
	char *p;

	if (!a || pagearena_base(a) != base)
		return 1;
	p = base;
	if (strcmp(p, "from the parent"))
		return 2;
	snprintf(p, 100, "from the child");
	p = pagearena_alloc(a, 8192, 0);
	if (!p)
		return 3;
	pagearena_close(a);
	return 0;
}

static void test_processes(void)
{
	struct pagearena_options o = { .size = sizeof(o), .arena_bytes = 16 * MIB };
	struct pagearena_stats st = { .size = sizeof(st) };
	struct pagearena *a;
	int sock[2], status = -1;
	char *p;
	pid_t pid;

	if (!ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sock), "a pair of sockets"))
		return;
	/* The child is there before the arena is. */
	fflush(stdout);
	pid = fork();
	if (!pid) {
		char *base;

		close(sock[0]);
		if (read(sock[1], &base, sizeof(base)) != sizeof(base))
			_exit(9);
		_exit(receiver(sock[1], base));
	}
	close(sock[1]);
	a = pagearena_open(&o);
	p = a ? pagearena_alloc(a, 8192, 0) : NULL;
	if (!ok(a && p && p == pagearena_base(a), "an arena"))
		return;
	snprintf(p, 100, "from the parent");
	ok(write(sock[0], &p, sizeof(p)) == sizeof(p) && !send_fd(sock[0], pagearena_fd(a)),
	   "its descriptor is sent");
	ok(waitpid(pid, &status, 0) == pid && !status, "the other process uses it");
	ok(!strcmp(p, "from the child"), "its bytes are seen here");
	ok(!pagearena_stats(a, &st) && st.spans_inuse == 2, "its span outlives it");
	close(sock[0]);

	/* A forked child has no mapping: close must not unmap what is there instead. */
	fflush(stdout);
	pid = fork();
	if (!pid) {
		char *q = mmap(p, 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (q != p)
			_exit(1);
		if (pagearena_remap(a) != -1 || errno != EEXIST)
			_exit(2);
		pagearena_close(a);
		*q = 1;
		_exit(*q != 1);
	}
	ok(waitpid(pid, &status, 0) == pid && !status, "a child's own mapping survives close");
	ok(!pagearena_remap(a) && !strcmp(p, "from the child"), "the parent's mapping stays");
	pagearena_close(a);
}

/* The first process of a PID namespace. */
static int first_process(void)
{
	struct pagearena_options o = { .size = sizeof(o), .arena_bytes = 16 * MIB };
	struct pagearena *a = pagearena_open(&o);
	char *p = a ? pagearena_alloc(a, 8192, 0) : NULL;
	int status;
	pid_t pid;

	if (!p)
		return 2;
	*p = 1;
	if (unshare(CLONE_NEWPID))
		return 1;
	pid = fork();
	if (!pid)
		_exit(pagearena_remap(a) || *p != 1);
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? 3 : 0;
}

/* Its pid does not tell a process from its parent: the first of each namespace is 1. */
static void test_namespace(void)
{
	int status = 0, inner;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWPID) && unshare(CLONE_NEWUSER | CLONE_NEWPID))
			_exit(1);
		pid = fork();
		if (!pid)
			_exit(first_process());
		_exit(pid < 0 || waitpid(pid, &inner, 0) != pid || !WIFEXITED(inner) ?
			      4 : WEXITSTATUS(inner));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		status = -1;
	/* Not everybody may make a namespace. */
	ok(status >= 0 && WEXITSTATUS(status) <= 1,
	   "a child of the same pid, in another namespace, maps it%s",
	   status > 0 && WEXITSTATUS(status) == 1 ? " # SKIP no namespaces" : "");
}

/* Threads that allocate, fill, check and free, while signals rain and one scavenges. */
static struct pagearena *shared;
static atomic_int ticks;

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static void *churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg, i, k;
	char *spans[16] = { 0 };
	size_t len[16];

	for (i = 0; i < 400; i++) {
		seed = seed * 1103515245 + 12345;
		k = seed >> 16 & 15;
		if (spans[k]) {
			if (spans[k][0] != (char)k || spans[k][len[k] - 1] != (char)k ||
			    pagearena_free_sized(shared, spans[k], len[k]))
				return (void *)1;
			spans[k] = NULL;
		} else {
			len[k] = (size_t)(seed >> 20 & 63) * 1024 + 1;
			spans[k] = pagearena_alloc(shared, len[k], 0);
			if (!spans[k])
				return (void *)2;
			spans[k][0] = spans[k][len[k] - 1] = (char)k;
		}
		if (i % 16 == 0 && pagearena_scavenge(shared, PAGEARENA_ALL, 0, NULL, NULL))
			return (void *)3;
	}
	for (k = 0; k < 16; k++)
		if (pagearena_free(shared, spans[k]))
			return (void *)4;
	return NULL;
}

static void test_threads(void)
{
	struct pagearena_options o = { .size = sizeof(o), .arena_bytes = 64 * MIB };
	struct itimerval timer = { { 0, 2000 }, { 0, 2000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct pagearena_stats st = { .size = sizeof(st) };
	struct sigaction act = { .sa_handler = on_tick };
	pthread_t threads[4];
	bool good = true;
	uintptr_t i;
	void *ret;

	shared = pagearena_open(&o);
	if (!ok(shared, "an arena"))
		return;
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, churn, (void *)(i + 1)))
			break;
	good = i == 4;
	while (i--) {
		pthread_join(threads[i], &ret);
		good &= !ret;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	ok(good, "four threads, interrupted by signals");
	ok(!pagearena_stats(shared, &st) && !st.heap_inuse && st.nr_alloc == st.nr_free,
	   "all that they allocated was freed");
	printf("# %d signals\n", atomic_load(&ticks));
	pagearena_close(shared);
}

int main(void)
{
	if (access(PAGEARENA_DEVICE, F_OK) && !getenv("PAGEARENA_TEST_ANYWAY"))
		return skip_all("no " PAGEARENA_DEVICE);
	printf("TAP version 13\n");
	test_options();
	test_mapping();
	test_alloc();
	test_promote();
	test_processes();
	test_namespace();
	test_threads();
	return tap_done();
}
