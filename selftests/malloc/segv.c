// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * fork() beside a thread that handles SIGSEGV again and again, as a garbage collector or a
 * virtual machine does: the malloc library, which needs the signal while a child is made, must
 * not keep it from the program, nor lose it.
 *
 *   segv FORKS
 *
 * The status is 0 if every child had its heap.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 64

static char *guard;
static atomic_bool over;
static atomic_ulong caught;
static __thread sigjmp_buf back;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if ((char *)info->si_addr != guard)
		_exit(3);
	atomic_fetch_add(&caught, 1);
	siglongjmp(back, 1);
}

static void *faulter(void *arg)
{
	(void)arg;
	while (!atomic_load(&over))
		if (!sigsetjmp(back, 1))
			*(volatile char *)guard = 1;
	return NULL;
}

/* Is all as it was, and can more be had? */
static bool heap_good(char *const block[BLOCKS])
{
	unsigned int i, j;
	char *more;

	for (i = 0; i < BLOCKS; i++)
		for (j = 0; j < 4096; j++)
			if (block[i][j] != (char)(i + 1))
				return false;
	more = malloc(100000);
	if (!more)
		return false;
	memset(more, 1, 100000);
	free(more);
	return true;
}

int main(int argc, char **argv)
{
	long forks = argc > 1 ? atol(argv[1]) : 100, bad = 0, i;
	struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };
	char *block[BLOCKS];
	pthread_t thread;
	int status;
	pid_t pid;

	guard = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < BLOCKS; i++) {
		block[i] = malloc(4096);
		if (!block[i])
			return 2;
		memset(block[i], (int)i + 1, 4096);
	}
	if (guard == MAP_FAILED || sigaction(SIGSEGV, &sa, NULL) ||
	    pthread_create(&thread, NULL, faulter, NULL))
		return 2;
	for (i = 0; i < forks; i++) {
		pid = fork();
		if (!pid)
			_exit(!heap_good(block));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			bad++;
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	printf("%ld forks, %lu signals, %ld children without a heap\n", forks,
	       atomic_load(&caught), bad);
	return bad || !atomic_load(&caught) || !heap_good(block);
}
