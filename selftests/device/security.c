// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Who may do what, what one can learn of another, and what is charged to whom: the claims of
 * Documentation/security.rst that the other programs do not test.
 */
#include <dirent.h>
#include <grp.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "pa_test.h"

/* A user and a group that nobody else has. */
#define NOBODY	4242U
#define GROUP	4243U

static const struct pagearena_setup plain = { .arena_bytes = 64 << 20 };

static void become(unsigned int uid)
{
	CHECK(!setgroups(0, NULL));
	CHECK(!setgid(uid));
	CHECK(!setuid(uid));
}

static void send_fd(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(sock, &msg, 0), 1);
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fd;

	CHECK_EQ(recvmsg(sock, &msg, 0), 1);
	CHECK(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* What pa_open() would have made of a descriptor that is set up. */
static struct arena arena_of(int fd)
{
	struct pagearena_info info = pa_info(fd);
	struct arena a = { .fd = fd, .bytes = info.arena_bytes, .id = info.arena_id,
			   .page = info.span_page, .granule = info.granule };

	return a;
}

/* Waits for a byte from the other process, or tells it to go on. */
static void await(int fd)
{
	char byte;

	CHECK_EQ(read(fd, &byte, 1), 1);
}

static void tell(int fd)
{
	CHECK_EQ(write(fd, "", 1), 1);
}

/* Opening */

/* All that is needed to allocate, by the calls alone. */
static void check_calls(int fd)
{
	struct pagearena_alloc req;

	CHECK(!pa_setup_fd(fd, plain));
	CHECK(!pa_alloc_fd(fd, 64 * KiB, 0, PAGEARENA_ALLOC_POPULATE, &req));
	CHECK_EQ(pa_stats(fd).heap_inuse, 64 * KiB);
	CHECK(!pa_free_fd(fd, req.offset, 64 * KiB));
}

/* Only a descriptor that was opened for both can be mapped; for calls any will do. */
static void test_modes(void)
{
	const size_t page = (size_t)getpagesize();
	struct pagearena_info info = { .size = sizeof(info) };
	char *map, path[64];
	struct arena a;
	int fd, other;

	fd = open(DEVICE, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	check_calls(fd);
	CHECK_ERR(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	CHECK_ERR(mmap(NULL, page, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	/* The core takes a mapping that can never be written for a private one. */
	CHECK_ERR(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	CHECK_ERR(mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
	/* To open it anew, by whatever name, is to make another arena. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR | O_CLOEXEC);
	CHECK(other >= 0);
	CHECK(pa_info(other).arena_id != pa_info(fd).arena_id);
	CHECK_EQ(pa_info(other).arena_bytes, 0);
	close(other);
	close(fd);

	fd = open(DEVICE, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	check_calls(fd);
	CHECK_ERR(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0), EACCES);
	CHECK_ERR(mmap(NULL, page, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	close(fd);

	fd = open(DEVICE, O_PATH | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_ERR(ioctl(fd, PAGEARENA_IOC_INFO, &info), EBADF);
	CHECK_ERR(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0), EBADF);
	close(fd);

	/* Never copied on write, never run. */
	pa_open(&a, plain);
	CHECK_ERR(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, a.fd, 0), EINVAL);
	CHECK_ERR(mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_SHARED, a.fd, 0), EPERM);
	map = mmap(NULL, page, PROT_READ, MAP_SHARED, a.fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK_ERR(mprotect(map, page, PROT_READ | PROT_EXEC), EACCES);
	pa_close(&a);
}

/* What the rule in udev/ makes of the device: the group may, and nobody else. */
static void test_group(void)
{
	const gid_t group = GROUP;
	struct stat st;
	pid_t pid;
	int fd;

	CHECK(!stat(DEVICE, &st));
	CHECK_EQ(st.st_uid, 0);
	/* Whoever did not make it so himself finds nothing for the others in it. */
	CHECK_EQ(st.st_mode & 0007, 0);
	pa_set_mode(DEVICE, 0660);
	CHECK(!chown(DEVICE, 0, GROUP));
	pid = fork();
	if (!pid) {
		become(NOBODY);
		CHECK_ERR(open(DEVICE, O_RDWR | O_CLOEXEC), EACCES);
		CHECK_ERR(open(DEVICE, O_RDONLY | O_CLOEXEC), EACCES);
		CHECK_ERR(open(DEVICE, O_WRONLY | O_CLOEXEC), EACCES);
		/* O_PATH opens nothing. */
		fd = open(DEVICE, O_PATH | O_CLOEXEC);
		CHECK(fd >= 0);
		CHECK_ERR(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), EBADF);
		_exit(0);
	}
	pa_wait_ok(pid);
	pid = fork();
	if (!pid) {
		CHECK(!setgroups(1, &group));
		CHECK(!setgid(NOBODY));
		CHECK(!setuid(NOBODY));
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0);
		check_calls(fd);
		_exit(0);
	}
	pa_wait_ok(pid);
	CHECK(!chown(DEVICE, st.st_uid, st.st_gid));
}

/* A descriptor is all that it takes, and whoever set the arena up has it counted as his. */
static void test_passing(void)
{
	struct pagearena_setup setup = plain;
	int sock[2], go[2], fd, i;
	struct arena a;
	__u64 at;
	pid_t pid;

	pa_set_u64(PARAMETERS "user_bytes_max", 16 * MiB);
	pa_set_mode(DEVICE, 0600);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	CHECK(!pipe(go));
	pid = fork();
	if (!pid) {
		become(NOBODY);
		CHECK_ERR(open(DEVICE, O_RDWR | O_CLOEXEC), EACCES);
		/* One that root has set up is nobody's. */
		a = arena_of(receive_fd(sock[1]));
		CHECK_EQ(pa_policy(a.fd).limit, 0);
		pa_map(&a);
		CHECK(pa_filled(a.base, 64 * KiB, 1));
		at = pa_alloc(&a, 32 * MiB, 0, 0);
		pa_fill(a.base + at, 64 * KiB, 2);
		tell(go[1]);
		pa_close(&a);
		/* One that comes as it was opened is the user's who sets it up. */
		fd = receive_fd(sock[1]);
		setup.limit = 32 * MiB;
		CHECK_ERR(pa_setup_fd(fd, setup), EDQUOT);
		setup.limit = 12 * MiB;
		CHECK(!pa_setup_fd(fd, setup));
		i = receive_fd(sock[1]);
		setup.limit = 8 * MiB;
		CHECK_ERR(pa_setup_fd(i, setup), EDQUOT);
		setup.limit = 4 * MiB;
		CHECK(!pa_setup_fd(i, setup));
		_exit(0);
	}
	pa_open(&a, plain);
	at = pa_alloc(&a, 64 * KiB, 0, 0);
	CHECK_EQ(at, 0);
	pa_fill(a.base, 64 * KiB, 1);
	send_fd(sock[0], a.fd);
	await(go[0]);
	CHECK_EQ(pa_stats(a.fd).spans_inuse, 2);
	pa_check(&a);
	pa_close(&a);
	for (i = 0; i < 2; i++) {
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0);
		send_fd(sock[0], fd);
		close(fd);
	}
	pa_wait_ok(pid);
}

/* Quota */

static int setup_limit(__u64 limit)
{
	struct pagearena_setup setup = plain;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	setup.limit = limit;
	if (!pa_setup_fd(fd, setup))
		return fd;
	close(fd);
	return -1;
}

static bool quota_is_free(void *arg)
{
	int fd = setup_limit(*(__u64 *)arg);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The bound is one for all processes of a user, and what a dead one had comes back. */
static void test_processes(void)
{
	enum { NR = 3 };
	__u64 share = 4 * MiB;
	int ready[2], hold[2], i;
	pid_t pid[NR];

	pa_set_u64(PARAMETERS "user_bytes_max", NR * share);
	pa_set_mode(DEVICE, 0666);
	CHECK(!pipe(ready) && !pipe(hold));
	for (i = 0; i < NR; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			become(NOBODY);
			CHECK(setup_limit(share) >= 0);
			tell(ready[1]);
			await(hold[0]);
			_exit(0);
		}
		await(ready[0]);
	}
	/* Root is not bound, another user has a bound of his own. */
	CHECK(setup_limit(NR * share + MiB) >= 0);
	if (!fork()) {
		become(NOBODY + 1);
		CHECK(setup_limit(NR * share) >= 0);
		CHECK_ERR(setup_limit(getpagesize()), EDQUOT);
		_exit(0);
	}
	CHECK(wait(&i) > 0 && !i);
	if (!fork()) {
		become(NOBODY);
		CHECK_ERR(setup_limit((__u64)getpagesize()), EDQUOT);
		CHECK(!kill(pid[1], SIGKILL));
		CHECK(pa_wait_until(quota_is_free, &share, 5000));
		CHECK_ERR(setup_limit(share + (__u64)getpagesize()), EDQUOT);
		_exit(0);
	}
	CHECK(wait(&i) > 0);
	CHECK(wait(&i) > 0);
	tell(hold[1]);
	tell(hold[1]);
	pa_wait_ok(pid[0]);
	pa_wait_ok(pid[2]);
}

/* What the kernel writes */

/*
 * Bytes that the kernel was to write: @was is what they were filled with in the first of two
 * calls, its complement in the second.
 */
static void check_defined(const char *name, const unsigned char *one, const unsigned char *two,
			  size_t len, unsigned char was)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!pa_expect(one[i] != was || two[i] != (unsigned char)~was,
			       "%s: byte %zu is not written", name, i))
			break;
}

static void check_same(const char *name, const unsigned char *one, const unsigned char *two,
		       size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!pa_expect(one[i] == two[i], "%s: byte %zu is %#x and %#x", name, i, one[i],
			       two[i]))
			break;
}

static void check_untouched(const char *name, const unsigned char *from, size_t len,
			    unsigned char was)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!pa_expect(from[i] == was, "%s: %zu bytes behind the end are written", name,
			       i + 1))
			break;
}

#define BEHIND	256

/* Calls whose structure is all output but for the head: how long callers take it to be. */
static const struct {
	const char *name;
	unsigned int cmd;
	__u32 size;
} tells[] = {
	{ "INFO", PAGEARENA_IOC_INFO, sizeof(struct pagearena_info) },
	{ "STATS", PAGEARENA_IOC_STATS, sizeof(struct pagearena_stats) },
	{ "STATS, the first published", PAGEARENA_IOC_STATS,
	  offsetof(struct pagearena_stats, reclaimable) },
	{ "STATS, cut in a field", PAGEARENA_IOC_STATS,
	  offsetof(struct pagearena_stats, bytes_background) + 4 },
};

/* Whatever lay in the caller's memory: all of an answer is the kernel's, and nothing else. */
static void test_defined(void)
{
	static const unsigned char was[2] = { 0xa5, 0x5a };
	static unsigned char buf[2][4096];
	static struct pagearena_span spans[2][8];
	static struct pagearena_op ops[2][8];
	__u64 at[5], len = 64 * KiB;
	struct arena a;
	unsigned int i, n;

	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB });
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = pa_alloc(&a, len, 0, PAGEARENA_ALLOC_POPULATE);
		pa_fill(a.base + at[i], len, i);
	}
	pa_free(&a, at[1]);
	pa_free(&a, at[3]);

	for (i = 0; i < ARRAY_SIZE(tells); i++) {
		for (n = 0; n < 2; n++) {
			__u32 head[2] = { tells[i].size, 0 };

			memset(buf[n], was[n], sizeof(buf[n]));
			memcpy(buf[n], head, sizeof(head));
			CHECK(!ioctl(a.fd, tells[i].cmd, buf[n]));
			check_untouched(tells[i].name, buf[n] + tells[i].size, BEHIND, was[n]);
		}
		check_defined(tells[i].name, buf[0] + 8, buf[1] + 8, tells[i].size - 8, was[0]);
		check_same(tells[i].name, buf[0], buf[1], tells[i].size);
	}

	for (n = 0; n < 2; n++) {
		struct pagearena_spans req = { .size = sizeof(req), .count = 4,
					       .spans = (uintptr_t)spans[n] };

		memset(spans[n], was[n], sizeof(spans[n]));
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_SPANS, &req));
		CHECK_EQ(req.count, 4);
		check_untouched("SPANS", (void *)&spans[n][4], sizeof(spans[n][4]), was[n]);
	}
	check_defined("SPANS", (void *)spans[0], (void *)spans[1], 4 * sizeof(spans[0][0]),
		      was[0]);
	for (i = 0; i < 4; i++) {
		/* Its age is all that may have changed. */
		CHECK(!spans[0][i].age_ns == (spans[0][i].state == PAGEARENA_SPAN_INUSE));
		spans[0][i].age_ns = 0;
		spans[1][i].age_ns = 0;
	}
	check_same("SPANS", (void *)spans[0], (void *)spans[1], 4 * sizeof(spans[0][0]));

	for (n = 0; n < 2; n++) {
		__u32 *results = (void *)buf[n];
		struct pagearena_promote req = {
			.size = sizeof(req), .length = 4 * pa_info(a.fd).huge_size,
			.results = (uintptr_t)results, .nr_results = 3,
		};

		memset(buf[n], was[n], sizeof(buf[n]));
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &req));
		check_untouched("PROMOTE", buf[n] + 3 * sizeof(*results), BEHIND, was[n]);
		for (i = 0; i < 3; i++)
			CHECK_OP(results[i], <, PAGEARENA_PROMOTE_NR);
	}

	for (n = 0; n < 2; n++) {
		struct pagearena_batch req = { .size = sizeof(req), .count = 4,
					       .ops = (uintptr_t)ops[n] };

		memset(ops[n], was[n], sizeof(ops[n]));
		for (i = 0; i < 4; i++) {
			ops[n][i].op = i == 3 ? PAGEARENA_OP_NR : PAGEARENA_OP_ALLOC + i;
			ops[n][i].flags = 0;
			ops[n][i].align = 0;
			ops[n][i].length = len;
		}
		ops[n][1].offset = at[2 * n];
		ops[n][2].offset = at[4];
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_BATCH, &req));
		CHECK_EQ(req.done, 4);
		for (i = 0; i < 4; i++) {
			CHECK_EQ(ops[n][i].result, i == 3 ? -EINVAL : 0);
			CHECK_EQ(ops[n][i].out_flags & ~3U, 0);
		}
		check_untouched("BATCH", (void *)&ops[n][4], sizeof(ops[n][4]), was[n]);
	}
	pa_check(&a);
	pa_close(&a);
}

/* Who looks on */

#define TRACING	"/sys/kernel/tracing/"

/* Does a line hold a number that looks like an address of the kernel? */
static bool has_address(const char *line)
{
	const char *p = line;
	size_t digits;

	while ((p = strstr(p, "ffff"))) {
		digits = strspn(p, "0123456789abcdef");
		if (digits >= 16)
			return true;
		p += digits;
	}
	return false;
}

/* Tracing is root's, and what our events print names no addresses of the kernel. */
static void test_traces(void)
{
	static char line[1024];
	unsigned int lines = 0;
	struct stat st;
	struct arena a;
	FILE *f;
	__u64 at;

	if (stat(TRACING "events/pagearena/enable", &st))
		SKIP("no tracing in this kernel, or tracefs is not mounted");
	CHECK_EQ(st.st_mode & 0007, 0);
	CHECK(has_address("x=ffff888012345678 y"));
	CHECK(!has_address("arena=12 offset=0xffff page=18446744073709551615"));
	CHECK(pa_write_text(TRACING "trace", "\n"));
	/* See trace_begin() in trace.c. */
	pa_set(TRACING "options/record-cmd", "0\n");
	pa_set(TRACING "events/pagearena/enable", "1\n");
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB,
					      .huge = PAGEARENA_HUGE_NEVER });
	at = pa_alloc(&a, 2 * MiB, 2 * MiB, 0);
	pa_fill(a.base + at, 2 * MiB, 1);
	pa_promote(&a, at);
	CHECK_EQ(pa_peek(a.base + 8 * MiB, NULL), SIGSEGV);
	pa_free(&a, at);
	pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK);
	pa_close(&a);
	pa_set(TRACING "events/pagearena/enable", "0\n");
	f = fopen(TRACING "trace", "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		char *event = strstr(line, ": pagearena_");

		if (!event)
			continue;
		lines++;
		if (!pa_expect(!has_address(event), "an address: %s", event))
			break;
	}
	fclose(f);
	CHECK_OP(lines, >=, 20);
}

/* The figures of an arena are for who holds its descriptor, or may trace who does. */
static void test_onlookers(void)
{
	char path[64], text[64];
	struct stat st;
	struct arena a;
	int fd;

	pa_open(&a, plain);
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", getpid(), a.fd);
	CHECK(pa_read_text(path, text, sizeof(text)));
	if (!fork()) {
		become(NOBODY);
		CHECK_ERR(open(path, O_RDONLY), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/map_files", getppid());
		CHECK_ERR(open(path, O_RDONLY | O_DIRECTORY), EACCES);
		fd = open(DEBUGFS, O_RDONLY | O_DIRECTORY);
		CHECK(fd < 0);
		_exit(0);
	}
	CHECK(wait(&fd) > 0);
	CHECK_EQ(fd, 0);
	snprintf(path, sizeof(path), DEBUGFS "/%llu/recount", (unsigned long long)a.id);
	if (!stat(path, &st))
		CHECK_EQ(st.st_mode & 07777, 0400);
	pa_close(&a);
}

/*
 * A descriptor is no more than what it is: who got one of an arena can neither reach its maker's
 * process, nor what lies behind other arenas.
 */
static void test_apart(void)
{
	enum { NR = 4 };
	struct arena a[NR];
	unsigned int i, j;
	__u64 at;

	for (i = 0; i < NR; i++) {
		pa_open(&a[i], plain);
		at = pa_alloc(&a[i], 4 * MiB, 0, 0);
		CHECK_EQ(at, 0);
		pa_fill(a[i].base, 4 * MiB, i + 1);
	}
	/* What one gives back, the others find zero. */
	for (i = 0; i < NR; i++) {
		pa_free(&a[i], 0);
		pa_scavenge_flags(&a[i], ALL, 0,
				  PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE);
		CHECK_EQ(pa_stats(a[i].fd).backed, 0);
		for (j = 0; j < NR; j++) {
			if (j > i)
				CHECK(pa_filled(a[j].base, 4 * MiB, j + 1));
			if (j == i)
				continue;
			at = pa_alloc(&a[j], 4 * MiB, 0, 0);
			CHECK(pa_zero(a[j].base + at, 4 * MiB) || at == 0);
			pa_free(&a[j], at);
		}
	}
	for (i = 0; i < NR; i++)
		pa_close(&a[i]);
}

/* Metadata is charged like memory: spans that nobody touches. */
static void test_metadata(void)
{
	const unsigned int nr = 20000;
	__u64 before, after;
	struct arena a;
	unsigned int i;

	pa_cgroup_enter();
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = GiB, .span_page = 4 * KiB,
					      .granule = 64 * KiB });
	before = pa_cgroup_charge();
	for (i = 0; i < nr; i++)
		pa_alloc(&a, 4 * KiB, 0, 0);
	after = pa_cgroup_charge();
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	pa_say("%u spans are charged %llu bytes", nr, (unsigned long long)(after - before));
	/* A span is a tree node three times over, and some figures. */
	CHECK_OP(after - before + pa_cgroup_slack(), >=, nr * 64ULL);
	CHECK_OP(after - before, <=, nr * 512ULL + pa_cgroup_slack());
	pa_close(&a);
	pa_cgroup_leave();
}

/* No number of spans makes a call long that looks for one, or the machine run out of memory. */
static void test_spans_max(void)
{
	struct arena a;
	unsigned int i;

	pa_set_u64(PARAMETERS "spans_max", 100);
	pa_open(&a, plain);
	for (i = 0; i < 100; i++)
		pa_alloc(&a, a.page, 0, 0);
	CHECK_ERR(pa_alloc_fd(a.fd, a.page, 0, 0, NULL), ENOMEM);
	pa_free(&a, 0);
	CHECK_EQ(pa_alloc(&a, a.page, 0, 0), 0);
	pa_close(&a);
}

static double seconds(__u64 since)
{
	return (double)(pa_now() - since) / 1e9;
}

/* A call over all of the largest arena there is ends when its process is killed. */
static void test_killed(void)
{
	struct pagearena_info info;
	struct pagearena_promote req = { .size = sizeof(req) };
	int status, go[2];
	struct arena a;
	__u32 *results;
	__u64 start;
	pid_t pid;

	memset(&a, 0, sizeof(a));
	a.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(a.fd >= 0);
	info = pa_info(a.fd);
	CHECK(!pa_setup_fd(a.fd, (struct pagearena_setup){ .arena_bytes = info.arena_bytes_max }));
	req.length = info.arena_bytes_max;
	req.nr_results = (__u32)(info.arena_bytes_max / info.huge_size);
	CHECK(!pipe(go));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		/* Answers for all chunks, of which all pages are one. */
		size_t len = req.nr_results * sizeof(*results), page = (size_t)1 << 20, at;
		int mem = memfd_create("results", 0);

		CHECK(!ftruncate(mem, (off_t)page));
		results = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			       -1, 0);
		CHECK(results != MAP_FAILED);
		for (at = 0; at < len; at += page)
			CHECK(mmap((char *)results + at, page, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, mem, 0) != MAP_FAILED);
		req.results = (uintptr_t)results;
		tell(go[1]);
		for (;;)
			ioctl(a.fd, PAGEARENA_IOC_PROMOTE, &req);
	}
	await(go[0]);
	usleep(200000);
	start = pa_now();
	CHECK(!kill(pid, SIGKILL));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	pa_say("killed within %.3f s", seconds(start));
	CHECK(seconds(start) < 4);
	close(a.fd);
}

static const struct pa_test tests[] = {
	{ "modes of a descriptor", test_modes },
	{ "the device's group", test_group },
	{ "descriptors that are passed", test_passing },
	{ "one bound for a user's processes", test_processes },
	{ "answers are defined", test_defined },
	{ "traces name no addresses", test_traces },
	{ "onlookers", test_onlookers },
	{ "arenas are apart", test_apart },
	{ "metadata is charged", test_metadata },
	{ "spans are bounded", test_spans_max },
	{ "a long call can be killed", test_killed },
};

PA_MAIN(tests)
