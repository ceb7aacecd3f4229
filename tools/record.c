// SPDX-License-Identifier: MIT
/*
 * pagearena record: what a program's allocator asks of the system, as a trace.
 *
 * The program runs with libpagearena-malloc.so, which then has no arena, but writes down what its
 * jemalloc asks of it.  From that the trace is made when the program has ended.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../userlib/malloc/log.h"
#include "cmd.h"
#include "launch.h"

#define PAGE 4096

/* Where programs neither close descriptors nor look for a free one. */
#define LOG_FD 900

/* An operation of the trace. */
struct op {
	uint64_t time;
	uint64_t pages;
	uint32_t id;
	uint32_t align;
	char op;
};

/* What is allocated, by address: a hash table with open addressing. */
struct live {
	uint64_t addr; /* 0: free; 1: was in use */
	uint64_t pages;
	uint32_t id;
};

struct recording {
	struct op *ops;
	size_t nr_ops;
	size_t nr_alloc;
	struct live *table;
	size_t room; /* a power of two */
	size_t used;
	uint64_t pages;
	uint64_t peak;
	uint64_t ids; /* live */
};

static size_t hash(const struct recording *r, uint64_t addr)
{
	return (addr / PAGE * 0x9e3779b97f4a7c15ULL) >> 20 & (r->room - 1);
}

/* Where an address is, or where it can go. */
static struct live *find(const struct recording *r, uint64_t addr)
{
	struct live *grave = NULL;
	size_t i;

	for (i = hash(r, addr); r->table[i].addr; i = (i + 1) & (r->room - 1)) {
		if (r->table[i].addr == addr)
			return &r->table[i];
		if (r->table[i].addr == 1 && !grave)
			grave = &r->table[i];
	}
	return grave ? grave : &r->table[i];
}

static bool grow_table(struct recording *r)
{
	struct recording more = { .room = r->room ? r->room * 2 : 65536 };
	size_t i;

	more.table = calloc(more.room, sizeof(*more.table));
	if (!more.table)
		return false;
	for (i = 0; i < r->room; i++)
		if (r->table[i].addr > 1) {
			*find(&more, r->table[i].addr) = r->table[i];
			more.used++;
		}
	free(r->table);
	r->table = more.table;
	r->room = more.room;
	r->used = more.used;
	return true;
}

static bool add_op(struct recording *r, const struct log_entry *e, uint64_t start)
{
	struct live *l;
	struct op *op = &r->ops[r->nr_ops];

	/* Graves count as used, until the table is made anew. */
	if (r->used * 2 >= r->room && !grow_table(r))
		return false;
	l = find(r, e->addr);
	op->time = e->time - start;
	if (e->op == 'a') {
		r->used += !l->addr;
		l->addr = e->addr;
		l->pages = (e->length + PAGE - 1) / PAGE;
		l->id = (uint32_t)(r->nr_alloc + 1);
		r->nr_alloc++;
		r->pages += l->pages;
		r->ids++;
		op->align = e->align > PAGE ? e->align / PAGE : 1;
	} else if (l->addr == e->addr) {
		l->addr = 1;
		r->pages -= l->pages;
		r->ids--;
	} else {
		/* From before the recording, or jemalloc's own. */
		return true;
	}
	op->op = (char)e->op;
	op->id = l->id;
	op->pages = l->pages;
	r->nr_ops++;
	if (r->pages > r->peak)
		r->peak = r->pages;
	return true;
}

static bool convert(struct recording *r, const struct log_entry *log, size_t count)
{
	size_t i;

	for (i = 0; i < count && log[i].op; i++)
		;
	count = i;
	r->ops = calloc(count + 1, sizeof(*r->ops));
	if (!r->ops)
		return false;
	for (i = 0; i < count; i++)
		if (!add_op(r, &log[i], log[0].time))
			return false;
	return true;
}

static void print_trace(FILE *out, const struct recording *r, const char *program)
{
	size_t i;

	fprintf(out,
		"# page-level allocation trace\n"
		"# columns: t_ns,op,id,npages[,align_pages]   op: a = allocate, f = free\n"
		"# page_size: %d\n"
		"# program: %s\n"
		"# recorded: pagearena record: extent hooks of jemalloc, no split, merge or decay\n"
		"# ops: %zu (a=%zu f=%zu p=0)\n"
		"# peak_live_pages: %llu\n"
		"# live_at_end: %llu ids, %llu pages\n"
		"# duration_s: %.3f\n",
		PAGE, program, r->nr_ops, r->nr_alloc, r->nr_ops - r->nr_alloc,
		(unsigned long long)r->peak, (unsigned long long)r->ids,
		(unsigned long long)r->pages,
		r->nr_ops ? (double)r->ops[r->nr_ops - 1].time / 1e9 : 0.0);
	for (i = 0; i < r->nr_ops; i++) {
		const struct op *op = &r->ops[i];

		fprintf(out, "%llu,%c,%u,%llu", (unsigned long long)op->time, op->op, op->id,
			(unsigned long long)op->pages);
		if (op->op == 'a' && op->align > 1)
			fprintf(out, ",%u", op->align);
		fputc('\n', out);
	}
}

/* Opens the trace; pid is that of the compressor, or 0. */
static FILE *create(const char *path, pid_t *pid)
{
	size_t len = strlen(path);
	int fd, in[2];

	*pid = 0;
	if (!strcmp(path, "-"))
		return stdout;
	if (len < 3 || strcmp(path + len - 3, ".xz"))
		return fopen(path, "we");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return NULL;
	if (pipe2(in, O_CLOEXEC)) {
		close(fd);
		return NULL;
	}
	*pid = fork();
	if (!*pid) {
		dup2(in[0], STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		execlp("xz", "xz", "-c", (char *)NULL);
		failed("cannot run xz: %s", strerror(errno));
		_exit(127);
	}
	close(fd);
	close(in[0]);
	return *pid < 0 ? NULL : fdopen(in[1], "w");
}

static int write_trace(const char *path, const struct recording *r, const char *program)
{
	int status = 0, bad;
	pid_t pid;
	FILE *f = create(path, &pid);

	if (!f)
		return failed("%s: %s", path, strerror(errno));
	print_trace(f, r, program);
	bad = fflush(f) || ferror(f);
	if (f != stdout)
		bad |= fclose(f);
	if (pid)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	return bad || status ? failed("%s: not written", path) : STATUS_OK;
}

/* The program's name and arguments, on one line. */
static void describe(char **argv, char *buf, size_t len)
{
	size_t used = 0;

	*buf = '\0';
	for (; *argv && used < len; argv++)
		used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? " " : "", *argv);
	for (; *buf; buf++)
		if ((unsigned char)*buf < ' ')
			*buf = ' ';
}

/* Runs the program; its status as a shell tells it, or -1 after a complaint. */
static int run_program(const char *library, int fd, char **argv)
{
	char settings[64];
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		snprintf(settings, sizeof(settings), "record=%d,record-pid=%d", LOG_FD,
			 (int)getpid());
		if (dup2(fd, LOG_FD) < 0 || !preload(library, settings)) {
			failed("%s", strerror(errno));
			_exit(127);
		}
		execvp(*argv, argv);
		failed("%s: %s", *argv, strerror(errno));
		_exit(127);
	}
	if (pid < 0) {
		failed("%s", strerror(errno));
		return -1;
	}
	/* What the terminal sends is for the program; the trace is to be written yet. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(int argc, char **argv)
{
	enum { OPT_OUTPUT = OPT_COMMON, OPT_PROGRAM, OPT_LIBRARY };
	static const struct option longs[] = {
		OPTION_HELP,
		{ "output", required_argument, NULL, OPT_OUTPUT },
		{ "program", required_argument, NULL, OPT_PROGRAM },
		{ "library", required_argument, NULL, OPT_LIBRARY },
		{ NULL, 0, NULL, 0 },
	};
	const char *output = "trace.csv", *library = NULL, *name = NULL;
	struct recording r = { 0 };
	struct target t = TARGET_NONE;
	struct log_entry *log;
	char buf[400], size[24];
	int c, fd, status, end;
	struct stat st;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (c == OPT_OUTPUT)
			output = optarg;
		else if (c == OPT_PROGRAM)
			name = optarg;
		else if (c == OPT_LIBRARY)
			library = optarg;
		else if (common_option(&cmd_record, c, &t, &status))
			return status;
	}
	if (optind == argc)
		return usage_error("record: which program?");
	library = find_library(library);
	if (!library)
		return STATUS_FAILED;
	fd = memfd_create("pagearena-record", MFD_CLOEXEC);
	if (fd < 0)
		return failed("%s", strerror(errno));
	end = run_program(library, fd, argv + optind);
	if (end < 0)
		return STATUS_FAILED;
	if (end)
		failed("%s ended with status %d", argv[optind], end);
	if (fstat(fd, &st))
		return failed("%s", strerror(errno));
	if (!st.st_size)
		return failed("nothing was recorded: is %s linked statically, or privileged?",
			      argv[optind]);
	log = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (log == MAP_FAILED || !convert(&r, log, (size_t)st.st_size / sizeof(*log)))
		return failed("%s", strerror(errno));
	if (!name) {
		describe(argv + optind, buf, sizeof(buf));
		name = buf;
	}
	status = write_trace(output, &r, name);
	if (!status)
		fprintf(stderr, "%s: %zu operations, at most %s at a time\n", output, r.nr_ops,
			human(r.peak * PAGE, size));
	free(r.ops);
	free(r.table);
	return status;
}

const struct command cmd_record = {
	.name = "record",
	.args = "[OPTION]... [--] PROGRAM [ARGUMENT]...",
	.what = "turns what a program allocates into a trace",
	.help =
		"Runs a program with libpagearena-malloc.so preloaded, and writes down each extent\n"
		"that its malloc(), which is jemalloc's then, takes from the system and gives back:\n"
		"pages for small objects, and each large object.  This needs no arena and no module.\n"
		"When the program has ended, that becomes a trace for 'pagearena replay'.  Recorded\n"
		"is the process itself, not those that it forks; if it executes another program, only\n"
		"that one.\n"
		"\n"
		"  --output FILE   where to write the trace, with .xz at its end compressed, or - for\n"
		"                  standard output (default: trace.csv)\n"
		"  --program TEXT  what the trace says of the program (default: its command line)\n"
		"  --library FILE  the library (default: beside this command, or where libraries are)\n"
		"\n"
		"Exit status: 0 there is a trace, whatever became of the program; 1 there is none, 2\n"
		"wrong usage.\n",
	.run = run,
};
