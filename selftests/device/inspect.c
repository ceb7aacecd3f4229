// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How debuggers see an arena: ptrace(), /proc/PID/mem, core dumps.
 */
#include <elf.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "pa_test.h"

#define WORD	0x7061676561726e61L

/* What gdb does: stop it, read and write its memory, let it go on. */
static void test_ptrace(void)
{
	char path[64], line[512];
	unsigned long start = 0;
	struct arena a;
	int mem, status;
	pid_t pid;
	long word;
	FILE *f;

	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 16 * MiB });
		CHECK_EQ(pa_alloc(&a, 64 * KiB, 0, 0), 0);
		*(long *)a.base = WORD;
		CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		CHECK(!kill(getpid(), SIGSTOP));
		CHECK_EQ(*(long *)a.base, 1234);
		CHECK_EQ(*(long *)(a.base + 16), 5678);
		pa_check(&a);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);

	/* Where it is mapped, as /proc/PID/maps tells it. */
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, DEVICE)) {
			start = strtoul(line, NULL, 16);
			break;
		}
	fclose(f);
	CHECK(start);

	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, (void *)start, NULL);
	CHECK(!errno);
	CHECK_EQ(word, WORD);
	CHECK(!ptrace(PTRACE_POKEDATA, pid, (void *)start, (void *)1234));
	/* Allocated and not touched: zero. */
	word = ptrace(PTRACE_PEEKDATA, pid, (void *)(start + 32 * KiB), NULL);
	CHECK_EQ(word, 0);
	/* Not allocated: there is nothing, and nothing happens to the process. */
	CHECK_ERR(ptrace(PTRACE_PEEKDATA, pid, (void *)(start + 8 * MiB), NULL), EIO);

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	CHECK(mem >= 0);
	CHECK_EQ(pread(mem, &word, sizeof(word), start), sizeof(word));
	CHECK_EQ(word, 1234);
	word = 5678;
	CHECK_EQ(pwrite(mem, &word, sizeof(word), start + 16), sizeof(word));
	CHECK_ERR(pread(mem, &word, sizeof(word), start + 8 * MiB), EIO);
	close(mem);
	CHECK(!ptrace(PTRACE_DETACH, pid, NULL, NULL));
	pa_wait_ok(pid);
}

/* Bytes of the arena that are in the core of a process that has this filter. */
static __u64 core_bytes(const char *filter, bool *found)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char path[] = "/tmp/pagearena-core";
	unsigned long start;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	__u64 bytes = 0;
	int fd, status, ends[2];
	pid_t pid;
	unsigned int i;

	unlink(path);
	CHECK(!pipe(ends));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct arena a;

		CHECK(!setrlimit(RLIMIT_CORE, &unlimited));
		CHECK(pa_write_text("/proc/self/coredump_filter", filter));
		signal(SIGABRT, SIG_DFL);
		pa_open(&a, (struct pagearena_setup){ .arena_bytes = 4 * MiB,
						      .huge = PAGEARENA_HUGE_NEVER });
		CHECK_EQ(pa_alloc(&a, 64 * KiB, 0, 0), 0);
		*(long *)(a.base + 4096) = WORD;
		start = (unsigned long)a.base;
		CHECK_EQ(write(ends[1], &start, sizeof(start)), sizeof(start));
		prctl(PR_SET_DUMPABLE, 1);
		abort();
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK_EQ(read(ends[0], &start, sizeof(start)), sizeof(start));
	close(ends[0]);
	close(ends[1]);
	if (!WCOREDUMP(status))
		SKIP("no core dumps here");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(read(fd, &eh, sizeof(eh)), sizeof(eh));
	CHECK(!memcmp(eh.e_ident, ELFMAG, SELFMAG) && eh.e_phnum > 0);
	*found = false;
	for (i = 0; i < eh.e_phnum; i++) {
		long word = 0;

		CHECK_EQ(pread(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)), sizeof(ph));
		if (ph.p_type != PT_LOAD || ph.p_vaddr != start)
			continue;
		bytes = ph.p_filesz;
		if (bytes > 4096)
			CHECK_EQ(pread(fd, &word, sizeof(word), ph.p_offset + 4096), sizeof(word));
		*found = word == WORD;
	}
	close(fd);
	unlink(path);
	return bytes;
}

/* By default an arena is left out, as all shared mappings of files are. */
static void test_core(void)
{
	bool found;

	pa_set("/proc/sys/kernel/core_pattern", "/tmp/pagearena-core");
	pa_set("/proc/sys/kernel/core_uses_pid", "0");
	CHECK_EQ(core_bytes("0x33", &found), 0);
	CHECK(!found);
	CHECK_EQ(core_bytes("0x3b", &found), 4 * MiB);
	CHECK(found);
}

static const struct pa_test tests[] = {
	{ "a debugger reads and writes", test_ptrace },
	{ "core dumps have the arena if they are asked to", test_core },
};

PA_MAIN(tests)
