// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What becomes of a program's SIGSEGV while the malloc library needs that signal, around fork():
 * the library's part, with an arena that is none, in a process for each test.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#undef _GNU_SOURCE
#include "../../userlib/malloc/fork.c"

#define HEAP_BYTES	65536
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* What fork.c asks for. */

static char *heap;
static int heap_fd;
struct pagearena *malloc_arena;

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
}

void *map_private(void *addr, size_t len, int flags)
{
	return mmap(addr, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

int pagearena_stats(struct pagearena *a, struct pagearena_stats *st)
{
	(void)a;
	st->heap_sys = HEAP_BYTES;
	return 0;
}

/* One span, all of the heap. */
int pagearena_spans(struct pagearena *a, uint64_t *cursor, struct pagearena_span *spans,
		    uint32_t nr)
{
	(void)a;
	(void)nr;
	if (*cursor)
		return 0;
	*cursor = HEAP_BYTES;
	memset(spans, 0, sizeof(*spans));
	spans->state = PAGEARENA_SPAN_INUSE;
	spans->length = HEAP_BYTES;
	spans->backed = HEAP_BYTES;
	return 1;
}

void *pagearena_base(const struct pagearena *a)
{
	(void)a;
	return heap;
}

int pagearena_fd(const struct pagearena *a)
{
	(void)a;
	return heap_fd;
}

int __real_pthread_atfork(fork_handler prepare, fork_handler parent, fork_handler child)
{
	(void)prepare;
	(void)parent;
	(void)child;
	return 0;
}

/* The program */

static char *guard;
static sigjmp_buf back;
static volatile int calls;

static void set(void (*handler)(int), unsigned int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = (int)flags };

	sigaction(SIGSEGV, &sa, NULL);
}

static bool handler_is(void (*handler)(int))
{
	struct sigaction sa;

	return !sigaction(SIGSEGV, NULL, &sa) && sa.sa_handler == handler;
}

static bool ours_is_set(void)
{
	struct sigaction sa;

	return !sigaction(SIGSEGV, NULL, &sa) && sa.sa_sigaction == touched;
}

static void fault(void)
{
	*(volatile char *)guard = 1;
}

static void jump(int sig)
{
	(void)sig;
	calls++;
	siglongjmp(back, 1);
}

static void return_thrice(int sig)
{
	(void)sig;
	if (++calls == 3)
		_exit(3);
}

static void nest(int sig)
{
	(void)sig;
	if (++calls == 1)
		fault();
	siglongjmp(back, 1);
}

static void other(int sig)
{
	(void)sig;
	_exit(4);
}

/* Each ends with a status, or by a signal. */

static int sent_default(void)
{
	before_fork();
	kill(getpid(), SIGSEGV);
	return 1;
}

static int fault_default(void)
{
	before_fork();
	fault();
	return 1;
}

static int sent_ignored(void)
{
	set(SIG_IGN, 0);
	before_fork();
	kill(getpid(), SIGSEGV);
	if (!ours_is_set())
		return 1;
	parent_after_fork();
	return !handler_is(SIG_IGN);
}

static int fault_ignored(void)
{
	set(SIG_IGN, 0);
	before_fork();
	fault();
	return 1;
}

static int fault_handled(void)
{
	set(jump, 0);
	before_fork();
	if (!sigsetjmp(back, 1))
		fault();
	if (calls != 1 || !ours_is_set())
		return 1;
	parent_after_fork();
	return !handler_is(jump);
}

static int fault_once(void)
{
	set(return_thrice, SA_RESETHAND);
	before_fork();
	fault();
	return 1;
}

static int fault_nested(void)
{
	set(nest, SA_NODEFER);
	before_fork();
	if (!sigsetjmp(back, 1))
		fault();
	return calls != 2;
}

/* One thread sets a handler during fork(), and sets again what it found: ours. */
static int ours_again(void)
{
	struct sigaction sa = { .sa_handler = other }, found;

	set(jump, 0);
	before_fork();
	sigaction(SIGSEGV, &sa, &found);
	parent_after_fork();
	sigaction(SIGSEGV, &found, NULL);
	if (!sigsetjmp(back, 1))
		fault();
	before_fork();
	parent_after_fork();
	if (!sigsetjmp(back, 1))
		fault();
	return calls != 2;
}

/* A child touches its heap before any handler of fork(), and has it; its child, too. */
static int child_has_heap(void)
{
	int status, i;
	pid_t pid;

	for (i = 0; i < HEAP_BYTES; i++)
		heap[i] = (char)(i / 256);
	before_fork();
	pid = fork();
	if (!pid) {
		/* As an arena is not inherited. */
		munmap(heap, HEAP_BYTES);
		for (i = 0; i < HEAP_BYTES; i++)
			if (heap[i] != (char)(i / 256))
				_exit(1);
		child_after_fork();
		_exit(!malloc_copy || malloc_arena);
	}
	parent_after_fork();
	return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

/* The same where both have number 1. */
static int child_same_number(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		return 77;
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWPID))
			_exit(77);
		_exit(child_has_heap());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}

static const struct test {
	const char *name;
	int (*run)(void);
	int ends; /* the status, or the signal below zero */
} tests[] = {
	{ "a signal that was sent ends the process", sent_default, -SIGSEGV },
	{ "a fault ends the process", fault_default, -SIGSEGV },
	{ "a signal that was sent is ignored", sent_ignored, 0 },
	{ "a fault cannot be ignored", fault_ignored, -SIGSEGV },
	{ "a fault is handled", fault_handled, 0 },
	{ "a handler for one signal is called once", fault_once, -SIGSEGV },
	{ "a handler that may be interrupted is", fault_nested, 0 },
	{ "a program may set our handler again", ours_again, 0 },
	{ "a child has its heap at the first touch", child_has_heap, 0 },
	{ "a child with its parent's number has it", child_same_number, 0 },
};

static int run(const struct test *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(20);
		_exit(t->run());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int main(void)
{
	unsigned int i, nr = ARRAY_SIZE(tests);
	int bad = 0, got;

	malloc_arena = (struct pagearena *)&tests;
	heap_fd = memfd_create("heap", MFD_CLOEXEC);
	if (heap_fd < 0 || ftruncate(heap_fd, HEAP_BYTES))
		return 2;
	heap = mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, heap_fd, 0);
	guard = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (heap == MAP_FAILED || guard == MAP_FAILED)
		return 2;
	printf("TAP version 13\n1..%u\n", nr);
	for (i = 0; i < nr; i++) {
		got = run(&tests[i]);
		if (got == 77) {
			printf("ok %u %s # SKIP no namespace of processes for this user\n", i + 1,
			       tests[i].name);
			continue;
		}
		if (got != tests[i].ends) {
			printf("# ended with %d instead of %d\n", got, tests[i].ends);
			printf("not ");
			bad = 1;
		}
		printf("ok %u %s\n", i + 1, tests[i].name);
	}
	return bad;
}
