// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A program that has freed memory without giving it back, and a second one that needs it.
 *
 *   pressure WAY [--system] [--scatter] [--live MIB] [--free MIB] [--need MIB] [--max MIB]
 *
 * The first program fills --live and --free MiB, frees the latter, and waits.  Then the second
 * one fills --need MiB, and the first one looks whether what it has kept is intact, and uses
 * some of what it had freed again.  WAY is what the first one has for a heap:
 *
 *   alone          there is no first program
 *   arena          an arena
 *   arena-small    an arena that uses no huge folios
 *   madv-free      anonymous memory; what is freed is given to madvise(MADV_FREE)
 *   madv-free-thp  the same, in transparent huge pages
 *   keep           anonymous memory; what is freed is just kept
 *
 * Both are in one memory cgroup with memory.max of --max MiB, or, with --system, in none, and
 * the machine is what is short of memory.  --scatter puts what is kept in between what is
 * freed, instead of beside it.
 *
 * Prints one line of figures, see report().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/pagearena.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define CGROUP	"/sys/fs/cgroup/pressure"
#define MIB	(1UL << 20)
#define PAGE	4096UL
#define SPAN	(64UL << 10)
#define HUGE	(2UL << 20)
/* How much the first program uses again. */
#define AGAIN	(8 * MIB)

enum way { ALONE, ARENA, ARENA_SMALL, MADV_FREE_, MADV_FREE_THP, KEEP };

static const char *const ways[] = {
	[ALONE] = "alone",
	[ARENA] = "arena",
	[ARENA_SMALL] = "arena-small",
	[MADV_FREE_] = "madv-free",
	[MADV_FREE_THP] = "madv-free-thp",
	[KEEP] = "keep",
};

static struct {
	enum way way;
	bool system;
	bool scatter;
	size_t live;
	size_t free;
	size_t need;
	size_t max;
} opt = { .live = 24, .free = 200, .need = 200, .max = 256 };

/* What the programs tell, in memory that they share. */
struct shared {
	uint64_t got;
	uint64_t ns;
	uint64_t cpu_ns;
	uint64_t backed_before;
	uint64_t backed_after;
	bool live_intact;
	bool again;
	bool second_intact;
};

static struct shared *shared;

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "pressure: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	va_end(ap);
	exit(1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s", path);
	close(fd);
}

/* The field "name" of a file of names and numbers. */
static uint64_t field(const char *path, const char *name)
{
	unsigned long long value, found = 0;
	char line[256], key[80];
	FILE *f = fopen(path, "re");

	if (!f)
		die("%s", path);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%79s %llu", key, &value) == 2 && !strcmp(key, name))
			found = value;
	fclose(f);
	return found;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void fill(char *p, size_t len, uint64_t seed)
{
	size_t i;

	for (i = 0; i < len / 8; i++)
		((uint64_t *)p)[i] = (seed + i) * 0x9e3779b97f4a7c15;
}

static bool filled(const char *p, size_t len, uint64_t seed)
{
	size_t i;

	for (i = 0; i < len / 8; i++)
		if (((const uint64_t *)p)[i] != (seed + i) * 0x9e3779b97f4a7c15)
			return false;
	return true;
}

/* The first program */

static int arena_fd;
static char *heap;
/* Where each span is, and whether it is kept. */
static char **spans;
static bool *live;
static size_t nr_spans;

static bool is_arena(void)
{
	return opt.way == ARENA || opt.way == ARENA_SMALL;
}

static void heap_open(void)
{
	struct pagearena_setup setup = {
		.size = sizeof(setup),
		.arena_bytes = 1UL << 30,
		.huge = opt.way == ARENA ? PAGEARENA_HUGE_AUTO : PAGEARENA_HUGE_NEVER,
	};
	size_t size = nr_spans * SPAN + HUGE;

	if (is_arena()) {
		size = setup.arena_bytes;
		arena_fd = open("/dev/pagearena", O_RDWR | O_CLOEXEC);
		if (arena_fd < 0 || ioctl(arena_fd, PAGEARENA_IOC_SETUP, &setup))
			die("arena");
		heap = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd, 0);
	} else {
		heap = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	}
	if (heap == MAP_FAILED)
		die("mmap");
	if (is_arena())
		return;
	heap = (char *)(((uintptr_t)heap + HUGE - 1) & ~(HUGE - 1));
	if (madvise(heap, nr_spans * SPAN,
		    opt.way == MADV_FREE_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise");
}

static char *heap_alloc(size_t i)
{
	struct pagearena_alloc alloc = { .size = sizeof(alloc), .length = SPAN };

	if (!is_arena())
		return heap + i * SPAN;
	if (ioctl(arena_fd, PAGEARENA_IOC_ALLOC, &alloc))
		return NULL;
	return heap + alloc.offset;
}

static void heap_free(char *p)
{
	struct pagearena_free free = {
		.size = sizeof(free),
		.offset = (uint64_t)(p - heap),
		.length = SPAN,
	};

	if (is_arena() && ioctl(arena_fd, PAGEARENA_IOC_FREE, &free))
		die("free");
	if ((opt.way == MADV_FREE_ || opt.way == MADV_FREE_THP) && madvise(p, SPAN, MADV_FREE))
		die("madvise");
}

/* Bytes of memory in the heap. */
static uint64_t heap_backed(void)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	char path[] = "/proc/self/smaps_rollup";

	if (!is_arena())
		return field(path, "Anonymous:") * 1024;
	if (ioctl(arena_fd, PAGEARENA_IOC_STATS, &st))
		die("stats");
	return st.backed;
}

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		_exit(1);
}

static bool told(int fd)
{
	char c;

	return read(fd, &c, 1) == 1;
}

static void first(int in, int out)
{
	size_t nr_live = opt.live / SPAN, i, again;
	bool intact = true, ok = true;
	char *p;

	nr_spans = (opt.live + opt.free) / SPAN;
	spans = calloc(nr_spans, sizeof(*spans));
	live = calloc(nr_spans, sizeof(*live));
	if (!spans || !live)
		die("tables");
	heap_open();
	for (i = 0; i < nr_spans; i++) {
		spans[i] = heap_alloc(i);
		if (!spans[i])
			die("alloc");
		fill(spans[i], SPAN, i);
		live[i] = opt.scatter ? (i + 1) * nr_live / nr_spans > i * nr_live / nr_spans :
					i < nr_live;
	}
	for (i = 0; i < nr_spans; i++)
		if (!live[i])
			heap_free(spans[i]);
	shared->backed_before = heap_backed();
	tell(out);
	if (!told(in))
		_exit(1);
	shared->backed_after = heap_backed();
	for (i = 0; i < nr_spans; i++)
		intact &= !live[i] || filled(spans[i], SPAN, i);
	shared->live_intact = intact;
	for (i = 0, again = 0; i < nr_spans && again < AGAIN; i++) {
		if (live[i])
			continue;
		p = heap_alloc(i);
		if (!p) {
			ok = false;
			break;
		}
		fill(p, SPAN, i + 1000000);
		ok &= filled(p, SPAN, i + 1000000);
		again += SPAN;
	}
	shared->again = ok && again >= AGAIN;
	/* Still, now that there is less room? */
	for (i = 0; i < nr_spans; i++)
		shared->live_intact &= !live[i] || filled(spans[i], SPAN, i);
	tell(out);
	told(in);
	_exit(0);
}

/* The second program */

static void second(int in, int out)
{
	uint64_t start, cpu;
	bool intact = true;
	size_t at;
	char *p;

	p = mmap(NULL, opt.need, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		die("mmap");
	madvise(p, opt.need, MADV_NOHUGEPAGE);
	start = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (at = 0; at < opt.need; at += PAGE) {
		*(uint64_t *)(p + at) = at + 1;
		shared->got = at + PAGE;
	}
	shared->ns = clock_ns(CLOCK_MONOTONIC) - start;
	shared->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	tell(out);
	if (!told(in))
		_exit(1);
	for (at = 0; at < opt.need; at += PAGE)
		intact &= *(uint64_t *)(p + at) == at + 1;
	shared->second_intact = intact;
	_exit(0);
}

/* Both */

struct child {
	pid_t pid;
	int in; /* to the child */
	int out; /* from it */
};

static struct child start(void (*program)(int in, int out))
{
	struct child c;
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		die("pipe");
	c.pid = fork();
	if (c.pid < 0)
		die("fork");
	if (!c.pid) {
		close(in[1]);
		close(out[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_file("/proc/self/oom_score_adj", "0");
		write_file(CGROUP "/cgroup.procs", "0");
		program(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	c.in = in[1];
	c.out = out[0];
	return c;
}

/* Lets a program go on until it has something to tell.  False: it is dead. */
static bool go_on(const struct child *c)
{
	ssize_t n = write(c->in, "", 1);

	return n == 1 && told(c->out);
}

/* How it ended: "", or the signal's number. */
static const char *end(const struct child *c, char buf[16])
{
	int status;

	buf[0] = '\0';
	close(c->in);
	waitpid(c->pid, &status, 0);
	if (WIFSIGNALED(status))
		snprintf(buf, 16, "%d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(buf, 16, "exit-%d", WEXITSTATUS(status));
	return buf;
}

struct counts {
	uint64_t scanned; /* pages, by the core's reclaim */
	uint64_t stolen; /* pages, of these taken */
	uint64_t shrunk; /* objects that shrinkers have scanned, in the whole machine */
	uint64_t kills;
};

static struct counts count(void)
{
	const char *vmstat = "/proc/vmstat";
	struct counts c = { .shrunk = field(vmstat, "slabs_scanned") };

	if (opt.system) {
		c.scanned = field(vmstat, "pgscan_direct") + field(vmstat, "pgscan_kswapd");
		c.stolen = field(vmstat, "pgsteal_direct") + field(vmstat, "pgsteal_kswapd");
		c.kills = field(vmstat, "oom_kill");
	} else {
		c.scanned = field(CGROUP "/memory.stat", "pgscan");
		c.stolen = field(CGROUP "/memory.stat", "pgsteal");
		c.kills = field(CGROUP "/memory.events", "oom_kill");
	}
	return c;
}

static void report(const struct counts *from, const struct counts *to, const char *end1,
		   const char *end2)
{
	bool one = opt.way != ALONE;

	printf("%s %s got %llu ns %llu cpu %llu scanned %llu stolen %llu shrunk %llu kills %llu",
	       ways[opt.way], opt.scatter ? "scattered" : "apart",
	       (unsigned long long)(shared->got >> 20), (unsigned long long)shared->ns,
	       (unsigned long long)shared->cpu_ns,
	       (unsigned long long)(to->scanned - from->scanned),
	       (unsigned long long)(to->stolen - from->stolen),
	       (unsigned long long)(to->shrunk - from->shrunk),
	       (unsigned long long)(to->kills - from->kills));
	printf(" killed %s before %llu after %llu live %s again %s second %s\n",
	       *end1 && *end2 ? "both" :
	       *end1	      ? "first" :
	       *end2	      ? "second" :
				"-",
	       (unsigned long long)(shared->backed_before >> 20),
	       (unsigned long long)(shared->backed_after >> 20),
	       !one		   ? "-" :
	       shared->live_intact ? "intact" :
				     "lost",
	       !one	     ? "-" :
	       shared->again ? "yes" :
			       "no",
	       shared->second_intact ? "intact" : "lost");
}

static void run(void)
{
	char buf1[16] = "", buf2[16] = "", max[32];
	struct child one = { 0 }, two;
	struct counts from, to;
	bool alive;

	if (mkdir(CGROUP, 0755))
		die("%s", CGROUP);
	snprintf(max, sizeof(max), "%zu", opt.max);
	write_file(CGROUP "/memory.max", opt.system ? "max" : max);
	/* Whoever is killed, it is not this one, and it may be who is written to. */
	signal(SIGPIPE, SIG_IGN);
	write_file("/proc/self/oom_score_adj", "-1000");
	if (opt.way != ALONE) {
		one = start(first);
		if (!told(one.out))
			die("the first program has not come far");
	}
	from = count();
	two = start(second);
	alive = told(two.out);
	/* Only now, as the second one is what counts. */
	to = count();
	if (opt.way != ALONE)
		go_on(&one);
	if (alive)
		tell(two.in);
	if (opt.way != ALONE)
		end(&one, buf1);
	end(&two, buf2);
	to.kills = count().kills;
	report(&from, &to, buf1, buf2);
	if (rmdir(CGROUP))
		die("rmdir %s", CGROUP);
}

static bool parse(const char *text, size_t *bytes)
{
	char *rest;
	unsigned long mib = strtoul(text, &rest, 10);

	*bytes = mib * MIB;
	return *text && !*rest && mib && mib < 1UL << 20;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "system", no_argument, NULL, 's' },	  { "scatter", no_argument, NULL, 'c' },
		{ "live", required_argument, NULL, 'l' }, { "free", required_argument, NULL, 'f' },
		{ "need", required_argument, NULL, 'n' }, { "max", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	size_t i;
	int c;

	opt.live *= MIB;
	opt.free *= MIB;
	opt.need *= MIB;
	opt.max *= MIB;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			opt.system = true;
			break;
		case 'c':
			opt.scatter = true;
			break;
		case 'l':
			good &= parse(optarg, &opt.live);
			break;
		case 'f':
			good &= parse(optarg, &opt.free);
			break;
		case 'n':
			good &= parse(optarg, &opt.need);
			break;
		case 'm':
			good &= parse(optarg, &opt.max);
			break;
		default:
			good = false;
		}
	}
	for (i = 0; good && i < ARRAY_SIZE(ways); i++)
		if (optind + 1 == argc && !strcmp(ways[i], argv[optind]))
			break;
	if (!good || i == ARRAY_SIZE(ways)) {
		fprintf(stderr, "usage: pressure WAY [OPTION]..., see pressure.c\n");
		return 2;
	}
	opt.way = (enum way)i;
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	run();
	return 0;
}
