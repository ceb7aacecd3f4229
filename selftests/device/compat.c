// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Runs the 32-bit program that the Makefile has put into this one (compat32.c), with an arena of
 * this program's in its hands.
 */
#include "pa_test.h"

extern const char compat32_start[], compat32_end[];

static int skip_all(const char *why)
{
	printf("TAP version 13\n1..0 # SKIP %s\n", why);
	return KSFT_SKIP;
}

/* The program as a file that can be run. */
static int program(void)
{
	size_t len = (size_t)(compat32_end - compat32_start), done;
	int fd = memfd_create("compat32", MFD_CLOEXEC);
	ssize_t n;

	for (done = 0; fd >= 0 && done < len; done += (size_t)n) {
		n = write(fd, compat32_start + done, len - done);
		if (n <= 0)
			return -1;
	}
	return fd;
}

static void set_env(const char *name, __u64 value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	setenv(name, text, 1);
}

int main(int argc, char **argv)
{
	struct pagearena_setup setup = { .arena_bytes = 16 * GiB };
	struct pagearena_alloc req = {
		.size = sizeof(req), .flags = PAGEARENA_ALLOC_FIXED, .length = 64 * KiB,
		.offset = 9 * GiB,
	};
	int fd, shared, status = 0;
	char *map = MAP_FAILED;
	pid_t pid;

	(void)argc;
	if (compat32_end - compat32_start < 64)
		return skip_all("built without a compiler for 32-bit programs");
	shared = open(DEVICE, O_RDWR);
	if (shared < 0)
		return skip_all("cannot open " DEVICE);
	if (!pa_setup_fd(shared, setup) && !ioctl(shared, PAGEARENA_IOC_ALLOC, &req))
		map = mmap(NULL, req.length, PROT_READ | PROT_WRITE, MAP_SHARED, shared,
			   (off_t)req.offset);
	fd = program();
	if (map == MAP_FAILED || fd < 0) {
		printf("TAP version 13\nBail out! cannot prepare: %s\n", strerror(errno));
		return KSFT_FAIL;
	}
	pa_fill(map, req.length, 64);
	set_env("PAGEARENA_SHARED_FD", (__u64)shared);
	set_env("PAGEARENA_SHARED_AT", req.offset);

	pid = fork();
	if (!pid) {
		fexecve(fd, argv, environ);
		_exit(errno == ENOEXEC ? 126 : 127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		printf("Bail out! the 32-bit program died\n");
		return KSFT_FAIL;
	}
	if (WEXITSTATUS(status) == 126)
		return skip_all("this kernel runs no 32-bit programs (CONFIG_IA32_EMULATION)");
	/* Without arguments all of its tests ran, also the one that wrote here. */
	if (!argv[1] && !WEXITSTATUS(status) && !pa_filled(map, req.length, 32)) {
		printf("Bail out! what the 32-bit program wrote is not there\n");
		return KSFT_FAIL;
	}
	return WEXITSTATUS(status);
}
