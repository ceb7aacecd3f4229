// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Loading and unloading.  PAGEARENA_KO names the module; whatever happens, it is loaded
 * again at the end.
 */
#include <sys/syscall.h>

#include "pa_test.h"

static int unload(void)
{
	return (int)syscall(SYS_delete_module, "pagearena", O_NONBLOCK);
}

static int load(void)
{
	int fd = open(getenv("PAGEARENA_KO"), O_RDONLY | O_CLOEXEC);
	int ret = fd < 0 ? -1 : (int)syscall(SYS_finit_module, fd, "", 0);

	if (fd >= 0)
		close(fd);
	return ret;
}

/* A device node may appear a moment after the module is there. */
static int wait_open(void)
{
	int fd, i;

	for (i = 0; i < 100; i++) {
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	return -1;
}

static void want_module(void)
{
	if (!getenv("PAGEARENA_KO"))
		SKIP("PAGEARENA_KO does not say where the module is");
	if (access(getenv("PAGEARENA_KO"), R_OK))
		SKIP("%s: %s", getenv("PAGEARENA_KO"), strerror(errno));
	if (geteuid())
		SKIP("only root loads modules");
}

static void expect_busy(const char *what)
{
	errno = 0;
	if (!unload()) {
		load();
		pa_fail("unloaded in spite of %s", what);
	}
	pa_expect(errno == EWOULDBLOCK || errno == EBUSY, "with %s: %s", what, strerror(errno));
}

/* Unloads once nothing is left, which may take the kernel a moment; loads again. */
static void expect_idle(const char *what)
{
	int i, fd;

	for (i = 0; i < 100; i++) {
		if (!unload())
			break;
		usleep(10000);
	}
	if (i == 100)
		pa_fail("%s: cannot be unloaded: %s", what, strerror(errno));
	CHECK(access(DEVICE, F_OK));
	CHECK(!load());
	fd = wait_open();
	CHECK(fd >= 0);
	close(fd);
}

static void test_idle(void)
{
	int i;

	want_module();
	for (i = 0; i < 5; i++)
		expect_idle("again and again");
	CHECK(load() && errno == EEXIST);
}

static void test_busy(void)
{
	char path[128], line[64];
	struct arena a;
	int fd, copy;

	want_module();
	fd = wait_open();
	expect_busy("an open descriptor that is not set up");
	close(fd);
	expect_idle("after close");

	close(wait_open());
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB });
	pa_fill(a.base + pa_alloc(&a, 3 * MiB, 0, 0), 3 * MiB, 1);
	expect_busy("an arena");
	copy = dup(a.fd);
	CHECK(!close(a.fd));
	expect_busy("a copy of the descriptor");
	CHECK(!close(copy));
	expect_busy("a mapping");
	CHECK(pa_filled(a.base, 3 * MiB, 1));
	CHECK(!munmap(a.base, 32 * MiB));
	expect_busy("a part of a mapping");
	CHECK(!munmap(a.base + 32 * MiB, 32 * MiB));
	expect_idle("after the last reference");

	/* A debugfs file that is open while its arena goes. */
	close(wait_open());
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB });
	snprintf(path, sizeof(path), DEBUGFS "/%llu/recount", (unsigned long long)a.id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	pa_close(&a);
	if (fd >= 0) {
		CHECK(read(fd, line, sizeof(line)) <= 0);
		close(fd);
	}
	expect_idle("after an open debugfs file");
}

/* Unloading right behind the arenas' end, with chunks that wait for their grace period. */
static void test_hurry(void)
{
	struct arena a;
	unsigned int i;

	want_module();
	for (i = 0; i < 6; i++) {
		close(wait_open());
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB, .huge = i % 3 });
		/* With background work under way as well. */
		CHECK(!pa_background_fd(a.fd, 100));
		pa_fill(a.base + pa_alloc(&a, 9 * MiB, 0, 0), 9 * MiB, 1);
		pa_free(&a, 0);
		pa_scavenge(&a, ALL, 0, NULL);
		pa_fill(a.base + pa_alloc(&a, 5 * MiB, 0, 0), 5 * MiB, 1);
		pa_close(&a);
		expect_idle("in a hurry");
	}
}

/* A pipe may hold a page for longer than the module is loaded. */
static void test_pinned(void)
{
	struct iovec {
		void *base;
		size_t len;
	} iov;
	char buf[4096];
	struct arena a;
	int ends[2];

	want_module();
	CHECK(!pipe(ends));
	close(wait_open());
	pa_open(&a, (struct pagearena_setup){ .arena_bytes = 64 * MiB,
					      .huge = PAGEARENA_HUGE_ALWAYS });
	pa_fill(a.base + pa_alloc(&a, 2 * MiB, 0, 0), 4096, 5);
	iov.base = a.base;
	iov.len = 4096;
	if (syscall(SYS_vmsplice, ends[1], &iov, 1, 0) != 4096)
		SKIP("vmsplice: %s", strerror(errno));
	pa_close(&a);
	expect_idle("while a pipe holds a page");
	CHECK_EQ(read(ends[0], buf, 4096), 4096);
	CHECK(pa_filled(buf, 4096, 5));
}

static const struct pa_test tests[] = {
	{ "unload and load", test_idle },
	{ "unloading is refused while in use", test_busy },
	{ "unloading right after use", test_hurry },
	{ "pages that outlive the module", test_pinned },
};

PA_MAIN(tests)
