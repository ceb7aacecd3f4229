// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What it costs to get, use and give back memory, by an arena and by what else there is.
 *
 *   bench [--native] [--rounds N] [--spans N] [GROUP[/NAME[/WAY[/BYTES]]]...]
 *   bench [--native] --trace FILE... [trace[/NAME[/WAY]]...]
 *
 * Under QEMU's "-icount shift=0" (see run-bench) the time stamp counter counts instructions.
 * With --native, on a real machine, a performance counter does, or else the clock.
 *
 * Prints a line of CSV for each row, see print_row(), after a line "@@ row" with its number,
 * by which QEMU's plugin knows it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct options opt = { .rounds = 101, .spans = 1000000 };
struct row row;
uint64_t nr_calls;
int perf_fd = -1;

/* What a sample takes in which nothing is done. */
static uint64_t overhead;
static unsigned int nr_rows;
static char **selected;
static int nr_selected;

void die(const char *what)
{
	int err = errno;

	fflush(stdout);
	fprintf(stderr, "bench: %s: %s\n", what, strerror(err));
	exit(1);
}

uint64_t draw(uint64_t n)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005 + 1442695040888963407;
	return (state >> 33) % n;
}

unsigned int rounds(unsigned int most)
{
	return opt.rounds < most ? opt.rounds : most;
}

bool set_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return good;
}

/* Transparent huge pages where madvise() asks for them; folios of 64 KiB as told. */
void set_thp(const char *mthp)
{
	set_file("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	set_file("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled", mthp);
}

static void open_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_hv = 1,
	};

	perf_fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

uint64_t count_slow(void)
{
	struct timespec t;
	uint64_t n;

	if (perf_fd >= 0 && read(perf_fd, &n, sizeof(n)) == sizeof(n))
		return n;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Is it among what the command line names? */
static bool wanted(const char *group, const char *name, const char *way, uint64_t bytes)
{
	char full[256];
	size_t len;
	int i;

	if (!nr_selected)
		return true;
	snprintf(full, sizeof(full), "%s/%s/%s/%" PRIu64, group, name, way, bytes);
	for (i = 0; i < nr_selected; i++) {
		len = strlen(selected[i]);
		if (!strncmp(full, selected[i], len) && (!full[len] || full[len] == '/'))
			return true;
	}
	return false;
}

/*
 * False: this row is not wanted.  "per" operations are done between row_start() and
 * row_stop().
 */
bool row_begin(const char *group, const char *name, const char *way, uint64_t bytes, uint64_t per)
{
	if (!wanted(group, name, way, bytes))
		return false;
	row.group = group;
	row.name = name;
	row.way = way;
	row.bytes = bytes;
	row.per = per;
	row.nr = 0;
	printf("@@ row %u %s/%s/%s/%" PRIu64 "\n", nr_rows++, group, name, way, bytes);
	fflush(stdout);
	mark(MARK_ROW);
	return true;
}

void row_missing(const char *group, const char *name, const char *way, uint64_t bytes,
		 const char *why)
{
	if (wanted(group, name, way, bytes))
		printf("missing,%s,%s,%s,%" PRIu64 ",%s\n", group, name, way, bytes, why);
}

void figure(const char *name, const char *unit, double value)
{
	printf("%s,%s,%s,%.2f\n", "figure", name, unit, value);
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

void row_before(void)
{
	memset(&row.now, 0, sizeof(row.now));
	row.faults = minor_faults();
	nr_calls = 0;
}

void row_after(uint64_t stop)
{
	uint64_t raw = stop - row.start;

	row.now.calls = nr_calls;
	row.now.faults = (uint64_t)(minor_faults() - row.faults);
	row.now.raw = raw > overhead ? raw - overhead : 0;
	if (row.nr < ROUNDS_MAX)
		row.samples[row.nr++] = row.now;
}

static int by_raw(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->raw < y->raw ? -1 : x->raw > y->raw;
}

/* row,NUMBER,GROUP,NAME,WAY,BYTES,PER,SAMPLES,RAW,Z,F,S,T: of all that a sample holds. */
void row_end(void)
{
	const struct sample *s;

	mark(MARK_END);
	if (!row.nr)
		return;
	qsort(row.samples, row.nr, sizeof(row.samples[0]), by_raw);
	s = &row.samples[row.nr / 2];
	printf("row,%u,%s,%s,%s,%" PRIu64 ",%" PRIu64 ",%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64
	       ",%" PRIu64 ",%" PRIu64 "\n",
	       nr_rows - 1, row.group, row.name, row.way, row.bytes, row.per, row.nr, s->raw,
	       s->zeroed, s->faults, s->calls, s->refills);
	fflush(stdout);
}

static void calibrate(void)
{
	unsigned int i;

	row.nr = 0;
	for (i = 0; i < 101; i++) {
		row_start();
		row_stop();
	}
	qsort(row.samples, row.nr, sizeof(row.samples[0]), by_raw);
	overhead = row.samples[row.nr / 2].raw;
}

static void __attribute__((noreturn)) bad_arguments(void)
{
	fputs("usage: bench [--native] [--rounds N] [--spans N] [ROW...]\n"
	      "       bench [--native] --trace FILE... [ROW...]\n"
	      "a row is GROUP[/NAME[/WAY[/BYTES]]]\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "native", no_argument, NULL, 'n' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "spans", required_argument, NULL, 's' },
		{ "trace", required_argument, NULL, 't' },
		{ 0 },
	};
	const char **traces = NULL;
	unsigned int nr_traces = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'n':
			opt.native = true;
			break;
		case 'r':
			opt.rounds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			opt.spans = strtoull(optarg, NULL, 10);
			break;
		case 't':
			traces = reallocarray(traces, nr_traces + 1, sizeof(*traces));
			if (!traces)
				die("malloc");
			traces[nr_traces++] = optarg;
			break;
		default:
			bad_arguments();
		}
	}
	if (!opt.rounds || opt.rounds > ROUNDS_MAX || opt.spans < 1000)
		bad_arguments();
	selected = argv + optind;
	nr_selected = argc - optind;
	if (opt.native)
		open_perf();
	/* Hardware counts a string instruction once, however long it is. */
	printf("unit,%s\n", !opt.native ? "instructions" :
			     perf_fd >= 0 ? "instructions of the hardware" : "ns");
	calibrate();
	if (nr_traces) {
		while (nr_traces--)
			bench_replay(*traces++);
		return 0;
	}
	bench_floor();
	bench_ways();
	bench_touch_anon();
	bench_release_anon();
	bench_collapse();
	bench_arena();
	bench_library();
	bench_scale();
	return 0;
}
