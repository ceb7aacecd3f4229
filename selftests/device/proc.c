// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Arenas and processes: fork, exec, passed descriptors, every order of close and munmap,
 * sudden death; and that nothing is left behind.
 */
#include <pthread.h>
#include <sys/socket.h>

#include "pa_test.h"

static const struct pagearena_setup plain = { .arena_bytes = 64 << 20 };

/* Closing may go on for a moment after the process that did it is gone. */
static void expect_arenas(unsigned int want)
{
	unsigned int i, n = 0;

	for (i = 0; i < 200; i++) {
		n = pa_arenas();
		if (n == want)
			return;
		usleep(10000);
	}
	pa_fail("%u arenas instead of %u", n, want);
}

static void test_fork(void)
{
	unsigned int arenas = pa_arenas();
	struct arena a;
	__u64 at, mine;
	pid_t pid;

	pa_open(&a, plain);
	at = pa_alloc(&a, 64 * KiB, 0, 0);
	pa_fill(a.base + at, 64 * KiB, 1);
	pid = fork();
	if (!pid) {
		/* The mapping is not inherited, the descriptor is. */
		CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
		pa_map(&a);
		CHECK(pa_filled(a.base + at, 64 * KiB, 1));
		pa_fill(a.base + at, 64 * KiB, 2);
		mine = pa_alloc(&a, 64 * KiB, 0, 0);
		CHECK(mine != at);
		pa_fill(a.base + mine, 64 * KiB, 3);
		CHECK_EQ(pa_stats(a.fd).spans_inuse, 2);
		_exit(0);
	}
	pa_wait_ok(pid);
	CHECK(pa_filled(a.base + at, 64 * KiB, 2));
	CHECK_EQ(pa_stats(a.fd).spans_inuse, 2);
	pa_check(&a);
	pa_close(&a);
	expect_arenas(arenas);
}

/* Who asks for the mapping to be inherited gets that, or an error; it is safe. */
static void test_dofork(void)
{
	unsigned int arenas = pa_arenas(), huge;
	struct arena a;
	__u64 at;
	pid_t pid;
	int i;

	for (huge = 0; huge < 2; huge++) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
						      .huge = huge ? PAGEARENA_HUGE_AUTO :
								     PAGEARENA_HUGE_NEVER });
		if (madvise(a.base, a.bytes, MADV_DOFORK)) {
			pa_close(&a);
			SKIP("refused: %s", strerror(errno));
		}
		at = pa_alloc(&a, 4 * MiB, 2 * MiB, 0);
		pa_fill(a.base + at, 4 * MiB, 1);
		pid = fork();
		if (!pid) {
			CHECK(pa_filled(a.base + at, 4 * MiB, 1));
			pa_fill(a.base + at, 4 * MiB, 2);
			for (i = 0; i < 3; i++) {
				pid = fork();
				if (!pid)
					_exit(!pa_filled(a.base + at, 4 * MiB, 2));
				pa_wait_ok(pid);
			}
			/* In the child, what the parent's heap frees is gone, too. */
			pa_free(&a, at);
			pa_scavenge(&a, ALL, 0, NULL);
			CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
			_exit(0);
		}
		pa_wait_ok(pid);
		CHECK_EQ(pa_peek(a.base + at, NULL), SIGSEGV);
		CHECK_EQ(pa_stats(a.fd).backed, 0);
		pa_check(&a);
		pa_close(&a);
		expect_arenas(arenas);
	}
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

/* A descriptor is sent away and closed; the arena lives with the receiver. */
static void test_passing(void)
{
	unsigned int arenas = pa_arenas();
	int sock[2];
	struct arena a = {};
	__u64 at;
	pid_t pid;
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock))
		SKIP("socketpair: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		pa_open(&a, plain);
		at = pa_alloc(&a, 64 * KiB, 0, 0);
		pa_fill(a.base + at, 64 * KiB, 9);
		send_fd(sock[1], a.fd);
		pa_close(&a);
		_exit(0);
	}
	a.fd = receive_fd(sock[0]);
	pa_wait_ok(pid);
	a.bytes = pa_info(a.fd).arena_bytes;
	a.page = pa_info(a.fd).span_page;
	a.granule = pa_info(a.fd).granule;
	a.id = pa_info(a.fd).arena_id;
	CHECK_EQ(a.bytes, plain.arena_bytes);
	pa_map(&a);
	CHECK(pa_filled(a.base, 64 * KiB, 9));
	pa_check(&a);

	/* A descriptor on its way is a reference, too, and so is one that never arrives. */
	send_fd(sock[1], a.fd);
	pa_close(&a);
	CHECK_EQ(pa_arenas(), arenas + 1);
	a.fd = receive_fd(sock[0]);
	CHECK_EQ(pa_stats(a.fd).spans_inuse, 1);
	send_fd(sock[1], a.fd);
	close(a.fd);
	close(sock[0]);
	close(sock[1]);
	expect_arenas(arenas);
	CHECK(read(sock[0], &byte, 1) < 0);
}

static void test_orders(void)
{
	unsigned int arenas = pa_arenas();
	struct arena a;
	char *second;
	__u64 at;
	int copy;

	/* close() before munmap(): the memory stays and faults go on. */
	pa_open(&a, plain);
	at = pa_alloc(&a, 8 * MiB, 0, 0);
	pa_fill(a.base + at, 2 * MiB, 1);
	CHECK(!close(a.fd));
	CHECK(pa_filled(a.base + at, 2 * MiB, 1));
	pa_fill(a.base + at, 8 * MiB, 2);
	CHECK(pa_filled(a.base + at, 8 * MiB, 2));
	CHECK_EQ(pa_peek(a.base + at + 8 * MiB, NULL), SIGSEGV);
	CHECK_EQ(pa_arenas(), arenas + 1);
	/* Page by page, from both ends. */
	CHECK(!munmap(a.base, 4 * MiB));
	CHECK(!munmap(a.base + 8 * MiB, a.bytes - 8 * MiB));
	CHECK(pa_filled(a.base + 4 * MiB, 4096, 2) == (at == 4 * MiB));
	CHECK_EQ(pa_arenas(), arenas + 1);
	CHECK(!munmap(a.base + 4 * MiB, 4 * MiB));
	expect_arenas(arenas);

	/* munmap() before close(), and mapped again. */
	pa_open(&a, plain);
	at = pa_alloc(&a, 3 * MiB, 0, 0);
	pa_fill(a.base + at, 3 * MiB, 3);
	CHECK(!munmap(a.base, a.bytes));
	CHECK_EQ(pa_stats(a.fd).backed_inuse, 3 * MiB);
	pa_map(&a);
	CHECK(pa_filled(a.base + at, 3 * MiB, 3));
	pa_close(&a);
	expect_arenas(arenas);

	/* Two mappings and two descriptors of one arena. */
	pa_open(&a, plain);
	copy = dup(a.fd);
	second = mmap(NULL, a.bytes, PROT_READ, MAP_SHARED, copy, 0);
	CHECK(copy >= 0 && second != MAP_FAILED);
	at = pa_alloc(&a, 3 * MiB, 0, 0);
	pa_fill(a.base + at, 3 * MiB, 4);
	CHECK(pa_filled(second + at, 3 * MiB, 4));
	pa_close(&a);
	CHECK(pa_filled(second + at, 3 * MiB, 4));
	CHECK(!pa_free_fd(copy, at, 0));
	a.fd = copy;
	CHECK_OP(pa_scavenge(&a, ALL, 0, NULL), >=, 3 * MiB);
	CHECK_EQ(pa_peek(second + at, NULL), SIGSEGV);
	CHECK(!close(copy));
	CHECK_EQ(pa_arenas(), arenas + 1);
	CHECK(!munmap(second, plain.arena_bytes));
	expect_arenas(arenas);

	/* Opened and closed, and never set up. */
	copy = open(DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(copy >= 0 && !close(copy));
	expect_arenas(arenas);
}

static void test_exit(void)
{
	unsigned int arenas = pa_arenas(), huge;
	struct arena a;
	pid_t pid;

	for (huge = 0; huge < 3; huge++) {
		pid = fork();
		if (!pid) {
			struct pagearena_setup setup = plain;

			setup.huge = huge;
			pa_open(&a, setup);
			pa_fill(a.base + pa_alloc(&a, 5 * MiB, 0, 0), 5 * MiB, 1);
			pa_free(&a, pa_alloc(&a, MiB, 0, PAGEARENA_ALLOC_POPULATE));
			_exit(0);
		}
		pa_wait_ok(pid);
		expect_arenas(arenas);
	}
}

/* exec() closes and unmaps; the descriptor is passed on if it is not O_CLOEXEC. */
static void test_exec(void)
{
	unsigned int arenas = pa_arenas();
	struct arena a;
	int ends[2], input[2];
	char text[16];
	pid_t pid;
	char byte;

	if (access("/bin/sh", X_OK))
		SKIP("no /bin/sh");
	/* One pipe for each way, or the shell may read what it has written. */
	CHECK(!pipe(ends) && !pipe(input));
	pid = fork();
	if (!pid) {
		char *const argv[] = { "sh", "-c", "read x", NULL };

		pa_open(&a, plain);
		pa_fill(a.base + pa_alloc(&a, 5 * MiB, 0, 0), 5 * MiB, 1);
		CHECK(!fcntl(a.fd, F_SETFD, 0));
		snprintf(text, sizeof(text), "%d", a.fd);
		CHECK_EQ(write(ends[1], text, 1), 1);
		dup2(input[0], 0);
		execv("/bin/sh", argv);
		_exit(KSFT_FAIL);
	}
	/* The shell holds the arena until its input says so. */
	CHECK_EQ(read(ends[0], &byte, 1), 1);
	expect_arenas(arenas + 1);
	CHECK_EQ(write(input[1], "\n", 1), 1);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	expect_arenas(arenas);
}

static void *busy(void *arg)
{
	struct arena *a = arg;
	__u64 seed = (uintptr_t)&seed, at;

	for (;;) {
		at = pa_alloc(a, a->page * (1 + pa_random(&seed) % 64), 0, 0);
		pa_poke(a->base + at, 1);
		if (pa_random(&seed) % 8 == 0)
			pa_scavenge(a, ALL, 0, NULL);
		if (pa_random(&seed) % 8 == 0)
			pa_promote(a, 0);
		pa_free(a, at);
	}
	return NULL;
}

/* Killed in the middle of work, at many different moments. */
static void test_kill(void)
{
	unsigned int arenas = pa_arenas(), round, rounds = 12;
	struct arena a;
	pthread_t thread;
	pid_t pid;
	int i;

	for (round = 0; round < rounds; round++) {
		pid = fork();
		if (!pid) {
			struct pagearena_setup setup = plain;

			setup.huge = round % 3;
			pa_open(&a, setup);
			CHECK(!pa_background_fd(a.fd, 100));
			for (i = 0; i < 3; i++)
				CHECK(!pthread_create(&thread, NULL, busy, &a));
			busy(&a);
		}
		usleep(3000 * (1 + round * 3));
		CHECK(!kill(pid, SIGKILL));
		CHECK_EQ(waitpid(pid, &i, 0), pid);
		CHECK(WIFSIGNALED(i) && WTERMSIG(i) == SIGKILL);
	}
	expect_arenas(arenas);
}

/* Memory is given back in whole: many arenas, one after the other. */
static void test_leak(void)
{
	unsigned int arenas = pa_arenas(), i, loops = (unsigned int)pa_ops(200);
	__u64 before = 0, after, slab = 0, used, limit;
	struct arena a;
	__u64 at;

	for (i = 0; i < loops + 20; i++) {
		struct pagearena_setup setup = plain;

		setup.huge = i % 3;
		/* The first ones fill the kernel's caches. */
		if (i == 20) {
			before = pa_proc_kb("/proc/meminfo", "MemFree");
			slab = pa_proc_kb("/proc/meminfo", "SUnreclaim");
		}
		pa_open(&a, setup);
		at = pa_alloc(&a, 4 * MiB, 0, 0);
		pa_fill(a.base + at, 256 * KiB, 1);
		pa_free(&a, at);
		if (i % 2)
			pa_scavenge(&a, ALL, 0, NULL);
		pa_alloc(&a, 100 * KiB, 0, PAGEARENA_ALLOC_POPULATE);
		if (i % 5 == 0)
			pa_promote(&a, 0);
		pa_close(&a);
	}
	expect_arenas(arenas);
	/*
	 * A leak of a page or of a chunk's metadata per arena would be 200 times 4 KiB.  Where
	 * there are fewer rounds, the kernel is a slow one, which may keep freed memory for
	 * KASAN's sake; kmemleak looks for leaks there.
	 */
	limit = 100 * loops + (loops < 100 ? 16384 : 0);
	for (i = 0; i < 50; i++) {
		after = pa_proc_kb("/proc/meminfo", "MemFree");
		used = after < before ? before - after : 0;
		if (used < limit)
			break;
		usleep(20000);
	}
	CHECK_OP(used, <, limit);
	after = pa_proc_kb("/proc/meminfo", "SUnreclaim");
	CHECK_OP(after, <, slab + 20 * loops + (loops < 100 ? 16384 : 0));
}

static const struct pa_test tests[] = {
	{ "fork", test_fork },
	{ "fork with MADV_DOFORK", test_dofork },
	{ "descriptors passed over a socket", test_passing },
	{ "every order of close and munmap", test_orders },
	{ "exit with live spans", test_exit },
	{ "exec", test_exec },
	{ "kill -9 in the middle of work", test_kill },
	{ "opening and closing leaves nothing", test_leak },
};

PA_MAIN(tests)
