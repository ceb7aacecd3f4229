// SPDX-License-Identifier: MIT
/*
 * fork() of a program whose heap is in an arena.
 *
 * An arena is shared memory and is not inherited.  A child expects a heap of its own, as it was,
 * so it makes one: private memory where the arena was, with a copy of all that is allocated.  The
 * parent waits at fork() until that is done, and nothing is allocated or freed meanwhile: the
 * handlers below enclose those of jemalloc, which hold its locks.  So fork() takes time in
 * proportion to the heap, and memory for a second one, at once and not when it is written to.
 *
 * The child's C library touches the heap (its files' locks) before it calls any handler.  That
 * is answered by a signal handler: the first touch of what is not there makes the copy.  It has a
 * stack of its own, as the thread's may be in the heap.
 *
 * vfork() and posix_spawn() run no handlers, and need none: the child has the parent's memory.
 * Nor does a bare clone(2) or _Fork(): a child made so has no heap, and can but exec().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "malloc.h"

#define STACK_BYTES (64UL << 10)

/* What jemalloc has registered. */
static fork_handler je_prepare, je_parent, je_child;

/* Of the fork() that is going on; jemalloc's locks are held. */
static struct {
	bool active;
	bool noted; /* spans and present are good */
	pid_t parent;
	volatile char *here; /* zero in whoever is not the parent */
	char *base;
	size_t bytes; /* of the heap, from its base */
	struct pagearena_span *spans;
	size_t nr_spans;
	size_t room;
	unsigned char *present; /* of each page of the heap */
	size_t present_room;
	char *stack;
	bool own_stack;
	int pipe[2];
	struct sigaction saved;
	sigset_t saved_mask;
	stack_t saved_stack;
} now = { .pipe = { -1, -1 } };

/* What a child has where the arena was. */
char *malloc_copy;
size_t malloc_copy_bytes;

static size_t page_bytes;

/* A table that grows, without malloc(). */
static void *more_room(void *table, size_t *room, size_t need)
{
	size_t more = (need * 2 + page_bytes - 1) & ~(page_bytes - 1);
	void *p;

	if (need <= *room)
		return table;
	p = *room ? mremap(table, *room, more, MREMAP_MAYMOVE) : map_private(NULL, more, 0);
	if (p == MAP_FAILED)
		return NULL;
	*room = more;
	return p;
}

/*
 * The allocated spans, and which pages are mapped.  In this order: the memory behind a span only
 * grows, so if what was mapped is as much as what is behind it later, it was all of it.
 */
static bool note_heap(void)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	uint64_t cursor = 0;
	int got, i;
	void *p;

	if (pagearena_stats(malloc_arena, &st))
		return false;
	now.base = pagearena_base(malloc_arena);
	now.bytes = (size_t)st.heap_sys;
	now.nr_spans = 0;
	if (!now.bytes)
		return true;
	p = more_room(now.present, &now.present_room, now.bytes / page_bytes + 1);
	if (!p)
		return false;
	now.present = p;
	if (mincore(now.base, now.bytes, now.present))
		return false;
	do {
		p = more_room(now.spans, &now.room, (now.nr_spans + 1024) * sizeof(*now.spans));
		if (!p)
			return false;
		now.spans = p;
		got = pagearena_spans(malloc_arena, &cursor, now.spans + now.nr_spans, 1024);
		p = now.spans + now.nr_spans;
		for (i = 0; i < got; i++)
			if (((struct pagearena_span *)p)[i].state == PAGEARENA_SPAN_INUSE)
				now.spans[now.nr_spans++] = ((struct pagearena_span *)p)[i];
	} while (got > 0);
	return !got;
}

/* Pages of a span that were mapped. */
static size_t count_present(const struct pagearena_span *s)
{
	size_t first = (size_t)s->offset / page_bytes, n = 0, i;

	for (i = 0; i < s->length / page_bytes; i++)
		n += now.present[first + i] & 1;
	return n;
}

/* A copy of what has memory behind it; if that is not known by the page, of all. */
static void copy_span(const struct pagearena_span *s, const char *from)
{
	size_t page, run, pages = (size_t)s->length / page_bytes;
	const unsigned char *present = now.present + s->offset / page_bytes;

	if (!s->backed)
		return;
	if (s->backed == s->length || count_present(s) * page_bytes != s->backed) {
		memcpy(now.base + s->offset, from + s->offset, (size_t)s->length);
		return;
	}
	for (page = 0; page < pages; page += run) {
		for (run = 1; page + run < pages && (present[page + run] & 1) ==
						    (present[page] & 1); run++)
			;
		if (present[page] & 1)
			memcpy(now.base + s->offset + page * page_bytes,
			       from + s->offset + page * page_bytes, run * page_bytes);
	}
}

/* In the child, once: makes its heap. */
static void restore(void)
{
	const char *from;
	size_t i;

	if (malloc_copy)
		return;
	if (!now.noted) {
		say("fork: the heap could not be listed, so the child has none");
		_exit(127);
	}
	malloc_copy_bytes = now.bytes;
	malloc_copy = map_private(now.base, now.bytes, MAP_FIXED);
	from = mmap(NULL, now.bytes, PROT_READ, MAP_SHARED, pagearena_fd(malloc_arena), 0);
	if (malloc_copy == MAP_FAILED || from == MAP_FAILED) {
		say("fork: no memory for a copy of the heap: %s", strerror(errno));
		_exit(127);
	}
	for (i = 0; i < now.nr_spans; i++)
		copy_span(&now.spans[i], from);
	munmap((void *)from, now.bytes);
}

/*
 * None of ours.  The program's own handler is called from here, as ours has to stay: a child may be
 * about to be made, and other threads go on meanwhile.  What the kernel would do for its flags is
 * done here.
 */
static void touched_other(int sig, siginfo_t *info, void *context)
{
	const struct sigaction saved = now.saved;
	sigset_t mask = saved.sa_mask, segv, was;

	if (!(saved.sa_flags & SA_SIGINFO) &&
	    (saved.sa_handler == SIG_DFL || saved.sa_handler == SIG_IGN)) {
		/* A fault comes again and ends the process; what was sent has to be sent again. */
		if (info->si_code > 0 || saved.sa_handler == SIG_DFL)
			sigaction(sig, &saved, NULL);
		if (info->si_code <= 0 && saved.sa_handler == SIG_DFL)
			raise(sig);
		return;
	}
	if ((unsigned int)saved.sa_flags & SA_RESETHAND) {
		now.saved.sa_flags = 0;
		now.saved.sa_handler = SIG_DFL;
	}
	pthread_sigmask(SIG_BLOCK, &mask, &was);
	if ((saved.sa_flags & SA_NODEFER) && !sigismember(&mask, sig)) {
		sigemptyset(&segv);
		sigaddset(&segv, sig);
		pthread_sigmask(SIG_UNBLOCK, &segv, NULL);
	}
	if (saved.sa_flags & SA_SIGINFO)
		saved.sa_sigaction(sig, info, context);
	else
		saved.sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
}

/* Not by its number alone: the first process of a namespace is 1, and so is its parent. */
static bool in_child(void)
{
	return now.here ? !*now.here : getpid() != now.parent;
}

static void note_here(void)
{
	char *page;

	now.parent = getpid();
	if (!now.here) {
		page = map_private(NULL, page_bytes, 0);
		if (page == MAP_FAILED)
			return;
		if (madvise(page, page_bytes, MADV_WIPEONFORK)) {
			munmap(page, page_bytes);
			return;
		}
		now.here = page;
	}
	*now.here = 1;
}

static void touched(int sig, siginfo_t *info, void *context)
{
	int err = errno;

	if (in_child() && !malloc_copy && info->si_code > 0 && (char *)info->si_addr >= now.base &&
	    (char *)info->si_addr < now.base + now.bytes)
		restore();
	else
		touched_other(sig, info, context);
	errno = err;
}

/* What was there before ours.  A program that has seen ours during a fork() may set it again. */
static void note_saved(const struct sigaction *was)
{
	if (was->sa_sigaction != touched &&
	    (was->sa_sigaction != now.saved.sa_sigaction || was->sa_flags != now.saved.sa_flags))
		now.saved = *was;
}

static void catch_touch(void)
{
	struct sigaction sa = { .sa_sigaction = touched, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t ss = { .ss_size = STACK_BYTES };
	struct sigaction was;
	sigset_t segv;

	if (!now.stack) {
		now.stack = map_private(NULL, STACK_BYTES, 0);
		if (now.stack == MAP_FAILED)
			now.stack = NULL;
	}
	ss.ss_sp = now.stack;
	/* It fails on a signal's stack, which is good enough then. */
	now.own_stack = now.stack && !sigaltstack(&ss, &now.saved_stack);
	/* Another thread may need it as soon as ours is there, and may have set one meanwhile. */
	if (!sigaction(SIGSEGV, NULL, &was))
		note_saved(&was);
	if (!sigaction(SIGSEGV, &sa, &was))
		note_saved(&was);
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &segv, &now.saved_mask);
}

static void catch_no_more(void)
{
	struct sigaction current;

	pthread_sigmask(SIG_SETMASK, &now.saved_mask, NULL);
	/* Unless somebody has set another one meanwhile. */
	if (!sigaction(SIGSEGV, NULL, &current) && current.sa_sigaction == touched)
		sigaction(SIGSEGV, &now.saved, NULL);
	if (now.own_stack)
		sigaltstack(&now.saved_stack, NULL);
}

static void before_fork(void)
{
	if (je_prepare)
		je_prepare();
	now.active = malloc_arena;
	if (!now.active)
		return;
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	note_here();
	now.noted = note_heap();
	if (pipe2(now.pipe, O_CLOEXEC)) {
		/* Without it the parent could not wait. */
		now.noted = false;
		now.pipe[0] = -1;
		now.pipe[1] = -1;
	}
	catch_touch();
}

static void parent_after_fork(void)
{
	ssize_t n;
	char done;

	if (now.active) {
		catch_no_more();
		/* If there is no child, or no more, nobody has the other end. */
		close(now.pipe[1]);
		do
			n = read(now.pipe[0], &done, 1);
		while (n < 0 && errno == EINTR);
		close(now.pipe[0]);
	}
	if (je_parent)
		je_parent();
}

static void child_after_fork(void)
{
	if (now.active) {
		if (now.bytes)
			restore();
		catch_no_more();
		close(now.pipe[0]);
		close(now.pipe[1]);
		/* The parent's arena is not this process's to use, nor to keep. */
		close(pagearena_fd(malloc_arena));
		malloc_arena = NULL;
	}
	if (je_child)
		je_child();
}

/* jemalloc's registration is taken over: its handlers are to run within ours. */
int __wrap_pthread_atfork(fork_handler prepare, fork_handler parent, fork_handler child)
{
	if (je_prepare)
		return __real_pthread_atfork(prepare, parent, child);
	je_prepare = prepare;
	je_parent = parent;
	je_child = child;
	return __real_pthread_atfork(before_fork, parent_after_fork, child_after_fork);
}
