// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The fuzzer's command.
 *
 *   fuzz [--ops N] [--seconds N] [--seed N] [--lines N] [--procs N] [--corpus FILE]
 *   fuzz --run NAME | --program FILE   one program; with --times N, so often
 *
 *   --print        only print the program (of --seed, if there is no other)
 *   --shrink       make a program that fails as small as it can be; also after fuzzing
 *   --by COMMAND   with --program FILE --shrink: it fails as long as COMMAND FILE ends with 0;
 *                  needs no device
 *   --times N      a program fails if it does so in one of N runs (8)
 *   --limit N      seconds for one program (180)
 *   --oom          memory may be short: processes may be killed, and touches fail
 *   --quiet        no line for each program
 *   --kmsg         the line for each program goes to the kernel's log
 *   --self-test    what needs no device
 *   --control      a program that damages the arena must be found, and made small
 *
 * A program is named by numbers: the seed that it was made from, and those of the changes that
 * were made to it.  "# run NAME" is printed before each, so that also one that takes the
 * machine along can be repeated.  Where the kernel has KCOV, programs that reach something new
 * are changed further; --corpus has names to begin with, and "# new NAME" is printed for what
 * is worth keeping.
 *
 * Prints TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

/* A program's name. */
#define NAME_MAX_	24
struct name {
	unsigned int nr;
	__u64 part[NAME_MAX_];
};

#define CORPUS_MAX	2048

static struct name corpus[CORPUS_MAX];
static unsigned int corpus_nr, corpus_given, corpus_next;
static struct program prog, other, small;
static unsigned int lines = 400, procs, times = 8, limit = 180;
static __u64 edges;
static bool quiet;
static int kmsg = -1;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool name_read(struct name *n, const char *text)
{
	char *end;

	n->nr = 0;
	do {
		if (n->nr == NAME_MAX_)
			return false;
		n->part[n->nr++] = strtoull(text, &end, 0);
		if (end == text)
			return false;
		text = end + 1;
	} while (*end == ':');
	return !*end || *end == '\n';
}

static void name_write(const struct name *n, FILE *f)
{
	unsigned int i;

	for (i = 0; i < n->nr; i++)
		fprintf(f, "%s%llu", i ? ":" : "", n->part[i]);
}

static void name_make(struct program *p, const struct name *n)
{
	unsigned int i;
	__u64 rng;

	program_make(p, n->part[0], lines, procs);
	for (i = 1; i < n->nr; i++) {
		rng = n->part[i];
		program_make(&other, rnd(&rng), lines, procs);
		program_mutate(p, &other, &rng);
	}
}

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(EXIT_FAILURE);
	}
	return p;
}

/* Making programs smaller */

static const char *predicate;
static char want[32]; /* how the message begins */

/* A message without what differs between two runs. */
static void begins(char *buf, size_t size, const char *text)
{
	size_t n = strcspn(text, "0123456789:");

	snprintf(buf, size, "%.*s", (int)n, text);
}

static bool still_fails(const struct program *p)
{
	char command[1024];
	unsigned int i;
	FILE *f;

	if (predicate) {
		snprintf(command, sizeof(command), "/tmp/fuzz-shrink-%d", (int)getpid());
		f = fopen(command, "we");
		if (!f) {
			perror(command);
			exit(EXIT_FAILURE);
		}
		program_write(p, f);
		fclose(f);
		snprintf(command, sizeof(command), "%s /tmp/fuzz-shrink-%d", predicate,
			 (int)getpid());
		return system(command) == 0;
	}
	for (i = 0; i < (p->cfg.serial ? 1 : times); i++)
		if (run_program(p, limit) == RUN_FAILED) {
			char is[sizeof(want)];

			begins(is, sizeof(is), run->text);
			return !strcmp(is, want);
		}
	return false;
}

/* The program without some lines, if it still fails. */
static bool shrink_lines(struct program *p, unsigned int at, unsigned int nr)
{
	small = *p;
	memmove(small.line + at, small.line + at + nr, (p->nr - at - nr) * sizeof(p->line[0]));
	small.nr -= nr;
	if (!still_fails(&small))
		return false;
	*p = small;
	return true;
}

static bool shrink_u64(struct program *p, __u64 *field, __u64 to)
{
	__u64 was = *field;

	if (was == to)
		return false;
	*field = to;
	if (p->cfg.procs && p->cfg.threads && still_fails(p))
		return true;
	*field = was;
	return false;
}

/* All actors that are left out become the first. */
static bool shrink_actors(struct program *p)
{
	bool changed = false;
	unsigned int i;

	small = *p;
	small.cfg.procs = 1;
	small.cfg.threads = 1;
	small.cfg.serial = 1;
	for (i = 0; i < small.nr; i++) {
		small.line[i].proc = 0;
		small.line[i].thread = 0;
	}
	if ((p->cfg.procs > 1 || p->cfg.threads > 1) && still_fails(&small)) {
		*p = small;
		changed = true;
	}
	return shrink_u64(p, &p->cfg.serial, 1) || changed;
}

static bool shrink_config(struct program *p)
{
	struct config *c = &p->cfg;
	bool changed = false;

	changed |= shrink_u64(p, &c->background, 0);
	changed |= shrink_u64(p, &c->limit, 0);
	changed |= shrink_u64(p, &c->flags, 0);
	changed |= shrink_u64(p, &c->growth, 0);
	changed |= shrink_u64(p, &c->granule, 0);
	changed |= shrink_u64(p, &c->page, 0);
	changed |= shrink_u64(p, &c->fit, 0);
	changed |= shrink_u64(p, &c->huge, 0);
	return changed;
}

static bool shrink_args(struct program *p)
{
	bool changed = false;
	unsigned int i, j;

	for (i = 0; i < p->nr; i++)
		for (j = 0; j < kinds[p->line[i].kind].args; j++)
			if (!shrink_u64(p, &p->line[i].arg[j], 0) && p->line[i].arg[j] > 1)
				changed |= shrink_u64(p, &p->line[i].arg[j],
						      p->line[i].arg[j] / 2);
			else
				changed |= p->line[i].arg[j] == 0;
	return changed;
}

static void shrink(struct program *p)
{
	unsigned int chunk, at, round;
	bool changed = true;

	begins(want, sizeof(want), run->text);
	for (round = 0; changed && round < 6; round++) {
		changed = shrink_actors(p);
		for (chunk = MAX(p->nr / 2, 1U); chunk; chunk /= 2)
			for (at = p->nr; at; ) {
				at = at > chunk ? at - chunk : 0;
				if (at + chunk <= p->nr && shrink_lines(p, at, chunk))
					changed = true;
			}
		changed |= shrink_config(p);
		if (!round)
			shrink_args(p);
		fprintf(stderr, "# %u lines\n", p->nr);
	}
}

/* Fuzzing */

static void note_failure(const struct name *name)
{
	if (name) {
		printf("# again: fuzz --lines %u --procs %u --run ", lines, procs);
		name_write(name, stdout);
		printf("\n");
	}
	printf("# %s\n", run->text);
	fflush(stdout);
}

/* Before a program is run: it may take the machine along. */
static void note_run(const struct name *name)
{
	char text[NAME_MAX_ * 24 + 32];
	FILE *f = fmemopen(text, sizeof(text), "w");

	if (!f)
		return;
	fprintf(f, "# run ");
	name_write(name, f);
	fprintf(f, "\n");
	fclose(f);
	if (!quiet)
		fputs(text, stdout);
	fflush(stdout);
	if (kmsg >= 0 && write(kmsg, text + 2, strlen(text + 2)) < 0)
		kmsg = -1;
}

static void shrink_and_print(struct program *p)
{
	char text[sizeof(run->text)];

	memcpy(text, run->text, sizeof(text));
	begins(want, sizeof(want), text);
	if (!still_fails(p)) {
		printf("# it did not fail again\n");
	} else {
		shrink(p);
		still_fails(p);
		printf("# as small as it gets: %s\n", predicate ? "" : run->text);
	}
	program_write(p, stdout);
}

static void keep(const struct name *name)
{
	unsigned int at = corpus_nr < CORPUS_MAX ? corpus_nr++ :
			  (unsigned int)(edges % CORPUS_MAX);

	corpus[at] = *name;
	if (!quiet) {
		printf("# new ");
		name_write(name, stdout);
		printf("\n");
	}
}

/* The next program: of the corpus, a change of one of these, or a new one. */
static void name_next(struct name *n, __u64 seed, __u64 nr, __u64 *rng)
{
	if (corpus_next < corpus_given) {
		*n = corpus[corpus_next++];
		return;
	}
	if (corpus_nr && below(rng, 3)) {
		*n = corpus[below(rng, corpus_nr)];
		if (n->nr < NAME_MAX_) {
			n->part[n->nr++] = rnd(rng);
			return;
		}
	}
	n->nr = 1;
	n->part[0] = seed * 1000003 + nr;
}

static __u64 total_ops(void)
{
	__u64 sum = totals->batched;
	unsigned int i;

	for (i = 0; i < KIND_NR; i++)
		sum += totals->done[i];
	return sum - totals->done[K_batch] - totals->done[K_churn];
}

static void print_totals(__u64 programs, double seconds)
{
	unsigned int i, j;

	for (i = 0; i < KIND_NR; i++) {
		if (!totals->done[i] && !totals->skipped[i])
			continue;
		printf("# %-9s %9llu done %8llu skipped %6llu us", kinds[i].name, totals->done[i],
		       totals->skipped[i], totals->ns[i] / MAX(totals->done[i], 1ULL) / 1000);
		for (j = 0; j < ERRNO_MAX; j++)
			if (totals->errors[i][j])
				printf(" %s:%llu", strerrorname_np((int)j), totals->errors[i][j]);
		printf("\n");
	}
	printf("# %llu programs, %llu operations (of these %llu in batches), %.0f seconds",
	       programs, total_ops(), totals->batched, seconds);
	if (cover)
		printf(", %llu edges of the module, %u programs kept", edges, corpus_nr);
	printf("\n");
}

static bool fuzz(__u64 seed, __u64 ops, double seconds, bool do_shrink)
{
	double start = now(), told = start;
	__u64 nr = 0, rng = seed;
	struct name name;
	enum run_result res;

	while (total_ops() < ops && now() - start < seconds) {
		name_next(&name, seed, nr++, &rng);
		note_run(&name);
		name_make(&prog, &name);
		res = run_program(&prog, limit);
		edges += run->fresh;
		if (res == RUN_FAILED) {
			print_totals(nr, now() - start);
			note_failure(&name);
			if (do_shrink)
				shrink_and_print(&prog);
			return false;
		}
		if (run->fresh)
			keep(&name);
		if (quiet && now() - told > 10) {
			told = now();
			printf("# %.0f s: %llu programs, %llu operations\n", told - start, nr,
			       total_ops());
			fflush(stdout);
		}
	}
	print_totals(nr, now() - start);
	return nr;
}

/* A program as text is the same program. */
static bool self_test(void)
{
	static struct program back;
	const char *what = NULL;
	unsigned int seed, i;
	__u64 rng;
	FILE *f;

	for (seed = 0; seed < 200 && !what; seed++) {
		program_make(&prog, seed, lines, procs);
		program_make(&other, seed + 1000, lines, procs);
		rng = seed;
		for (i = 0; i < seed % 20; i++)
			program_mutate(&prog, &other, &rng);
		for (i = 0; i < prog.nr; i++)
			if (prog.line[i].proc >= prog.cfg.procs ||
			    prog.line[i].thread >= prog.cfg.threads)
				what = "a line is nobody's";
		f = tmpfile();
		if (!f) {
			perror("tmpfile");
			return false;
		}
		program_write(&prog, f);
		rewind(f);
		if (!program_read(&back, f, "tmpfile") || back.nr != prog.nr ||
		    memcmp(&back.cfg, &prog.cfg, sizeof(prog.cfg)) ||
		    memcmp(back.line, prog.line, prog.nr * sizeof(prog.line[0])))
			what = "what is read is not what was written";
		fclose(f);
	}
	if (what)
		printf("# seed %u: %s\n", seed - 1, what);
	return !what;
}

/* The same seed is the same program; what a command wants is what is left of it. */
static bool shrink_test(void)
{
	unsigned int at, kinds = 0;

	program_make(&prog, 7, lines, 3);
	program_make(&other, 7, lines, 3);
	if (prog.nr != other.nr || memcmp(prog.line, other.line, prog.nr * sizeof(prog.line[0])))
		return false;
	for (at = 0; at < prog.nr; at += 100) {
		prog.line[at].kind = K_corrupt;
		memset(prog.line[at].arg, 0, sizeof(prog.line[at].arg));
		kinds++;
	}
	predicate = "sh -c 'test $(grep -c corrupt $0) -ge 2'";
	shrink(&prog);
	predicate = NULL;
	return kinds > 2 && prog.nr == 2 && prog.line[0].kind == K_corrupt &&
	       prog.line[1].kind == K_corrupt && prog.cfg.procs == 1;
}

/* Damage is found; and what makes it, among hundreds of lines. */
static bool control(void)
{
	unsigned int i, at = 0;

	program_make(&prog, 3, 200, 2);
	memset(&prog.cfg, 0, sizeof(prog.cfg));
	prog.cfg.procs = 2;
	prog.cfg.threads = 2;
	prog.cfg.serial = 1;
	prog.cfg.bytes = 8 * MiB;
	for (i = 0; i < prog.nr; i++) {
		prog.line[i].proc %= 2;
		prog.line[i].thread %= 2;
		if (i > 120 && !at && prog.line[i].kind == K_write)
			at = i;
	}
	if (run_program(&prog, limit) != RUN_GOOD) {
		printf("# without damage: %s\n", run->text);
		return false;
	}
	prog.line[at].kind = K_corrupt;
	prog.line[at].arg[0] = 0;
	if (run_program(&prog, limit) != RUN_FAILED) {
		printf("# damage in line %u is not found\n", at);
		return false;
	}
	printf("# %s\n", run->text);
	shrink(&prog);
	for (i = 0; i < prog.nr && prog.line[i].kind != K_corrupt; i++)
		;
	printf("# made small:\n");
	program_write(&prog, stdout);
	return i < prog.nr && prog.nr <= 4;
}

static bool read_corpus(const char *file)
{
	FILE *f = fopen(file, "re");
	char text[NAME_MAX_ * 24];

	if (!f) {
		perror(file);
		return false;
	}
	while (corpus_nr < CORPUS_MAX && fgets(text, sizeof(text), f))
		if (text[0] != '#' && name_read(&corpus[corpus_nr], text))
			corpus_nr++;
	fclose(f);
	corpus_given = corpus_nr;
	return true;
}

static void usage(void)
{
	fprintf(stderr, "the options are told at the beginning of fuzz.c\n");
	exit(2);
}

/* One program, some times. */
static bool again(struct program *p, unsigned int nr, bool do_shrink)
{
	enum run_result res = RUN_GOOD;
	unsigned int i;

	for (i = 0; i < nr && res == RUN_GOOD; i++)
		res = run_program(p, limit);
	if (res == RUN_FAILED) {
		note_failure(NULL);
		if (do_shrink)
			shrink_and_print(p);
	}
	print_totals(i, 0);
	return res != RUN_FAILED;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "seconds", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "lines", required_argument, NULL, 'l' },
		{ "procs", required_argument, NULL, 'p' },
		{ "run", required_argument, NULL, 'r' },
		{ "program", required_argument, NULL, 'f' },
		{ "corpus", required_argument, NULL, 'c' },
		{ "times", required_argument, NULL, 'n' },
		{ "limit", required_argument, NULL, 'L' },
		{ "by", required_argument, NULL, 'b' },
		{ "print", no_argument, NULL, 'P' },
		{ "shrink", no_argument, NULL, 'S' },
		{ "oom", no_argument, NULL, 'O' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "kmsg", no_argument, NULL, 'k' },
		{ "self-test", no_argument, NULL, 'T' },
		{ "control", no_argument, NULL, 'C' },
		{ }
	};
	bool do_shrink = false, print = false, good = true, tests = false, controls = false;
	bool one = false;
	__u64 ops = 0;
	double seconds = 0;
	struct name name = { .nr = 1, .part = { 1 } };
	const char *file = NULL, *by = NULL;
	FILE *f;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			ops = strtoull(optarg, NULL, 0);
			break;
		case 't':
			seconds = strtod(optarg, NULL);
			break;
		case 's':
		case 'r':
			if (!name_read(&name, optarg))
				usage();
			one = one || c == 'r';
			break;
		case 'l':
			lines = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'p':
			procs = (unsigned int)strtoul(optarg, NULL, 0) % (PROCS_MAX + 1);
			break;
		case 'f':
			file = optarg;
			break;
		case 'c':
			if (!read_corpus(optarg))
				return EXIT_FAILURE;
			break;
		case 'n':
			times = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'L':
			limit = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'b':
			by = optarg;
			break;
		case 'P':
			print = true;
			break;
		case 'S':
			do_shrink = true;
			break;
		case 'O':
			may_oom = true;
			break;
		case 'k':
			kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
			break;
		case 'q':
			quiet = true;
			break;
		case 'T':
			tests = true;
			break;
		case 'C':
			controls = true;
			break;
		default:
			usage();
		}
	}
	/* Either of the two, or what takes some seconds. */
	if (!ops)
		ops = seconds ? ~0ULL : 20000;
	if (!seconds)
		seconds = 1e9;
	run = shared(sizeof(*run));
	totals = shared(sizeof(*totals));
	if (may_oom)
		set_oom_score(-1000);
	if (!access("/sys/kernel/debug/kcov", W_OK))
		cover = shared(COVER_BITS / 8);
	setvbuf(stdout, NULL, _IOLBF, 0);

	if (file) {
		f = fopen(file, "re");
		if (!f) {
			perror(file);
			return 2;
		}
		if (!program_read(&prog, f, file))
			return 2;
		fclose(f);
	} else {
		name_make(&prog, &name);
	}
	if (print) {
		program_write(&prog, stdout);
		return EXIT_SUCCESS;
	}
	if (by) {
		predicate = by;
		shrink_and_print(&prog);
		return EXIT_SUCCESS;
	}

	printf("TAP version 13\n1..%d\n", tests ? 2 : 1);
	if (tests) {
		good = self_test();
		printf("%sok 1 fuzz: programs as text\n", good ? "" : "not ");
		if (!shrink_test())
			good = false;
		printf("%sok 2 fuzz: programs are made small\n", good ? "" : "not ");
	} else if (controls) {
		good = control();
		printf("%sok 1 fuzz: damage is found\n", good ? "" : "not ");
	} else if (file || one) {
		good = again(&prog, times, do_shrink);
		printf("%sok 1 fuzz: one program\n", good ? "" : "not ");
	} else {
		good = fuzz(name.part[0], ops, seconds, do_shrink);
		printf("%sok 1 fuzz: %llu operations, seed %llu\n", good ? "" : "not ",
		       total_ops(), name.part[0]);
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
