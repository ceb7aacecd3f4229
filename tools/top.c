// SPDX-License-Identifier: MIT
/*
 * pagearena top: the arenas of the machine, from /proc/PID/fdinfo.
 *
 * An arena that nobody has a descriptor of, only a mapping, is not found there.  One that several
 * processes share is shown with each of them, and counted once in the sum.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

/* The device is a misc device. */
#define MISC_MAJOR 10

enum figure {
	SIZE,
	LIMIT,
	HEAP_SYS,
	INUSE,
	RELEASED,
	BACKED,
	BACKED_INUSE,
	WARM,
	RECLAIMABLE,
	HUGE,
	HUGE_INUSE,
	POOL,
	PRESSURE,
	FIGURES,
};

static const struct {
	const char *key; /* in fdinfo */
	const char *json;
} figures[FIGURES] = {
	[SIZE] = { "size", "size" },
	[LIMIT] = { "limit", "limit" },
	[HEAP_SYS] = { "heap-sys", "heap_sys" },
	[INUSE] = { "heap-inuse", "heap_inuse" },
	[RELEASED] = { "heap-released", "heap_released" },
	[BACKED] = { "backed", "backed" },
	[BACKED_INUSE] = { "backed-inuse", "backed_inuse" },
	[WARM] = { "backed-free", "backed_free" },
	[RECLAIMABLE] = { "reclaimable", "reclaimable" },
	[HUGE] = { "huge", "huge_bytes" },
	[HUGE_INUSE] = { "huge-inuse", "huge_inuse" },
	[POOL] = { "pool", "pool_bytes" },
	[PRESSURE] = { "pressure-seq", "pressure_seq" },
};

/* What only STATS tells, see --calls. */
enum call { ALLOCS, FREES, FAULTS, CALLS };

static const char *const call_names[CALLS] = { "allocs", "frees", "faults" };

/* An arena in a process, or all arenas of a process. */
struct row {
	int pid;
	int fd;
	uint64_t id;
	unsigned int arenas;
	char comm[20];
	uint64_t v[FIGURES];
	uint64_t calls[CALLS];
	bool has_calls;
	/* Per second, since the last sample. */
	double inuse_rate;
	double backed_rate;
	double call_rate[CALLS];
	bool has_rate;
};

struct sample {
	uint64_t time;
	struct row *rows;
	size_t count;
	size_t room;
	unsigned int hidden; /* processes that we may not look at */
};

enum sort { BY_PID, BY_INUSE, BY_BACKED, BY_WARM, BY_RELEASED, BY_HUGE, BY_RATE, SORTS };

static const char *const sorts[SORTS] = {
	"pid", "inuse", "backed", "warm", "released", "huge", "rate",
};

struct options {
	uint64_t batch; /* samples; 0: live */
	uint64_t interval_ms;
	uint64_t lines;
	enum sort sort;
	bool arenas;
	bool calls;
	bool json;
};

static struct row *add_row(struct sample *s)
{
	struct row *more;

	if (s->count == s->room) {
		s->room = s->room * 2 + 64;
		more = reallocarray(s->rows, s->room, sizeof(*more));
		if (!more) {
			failed("%s", strerror(errno));
			exit(STATUS_FAILED);
		}
		s->rows = more;
	}
	more = &s->rows[s->count++];
	memset(more, 0, sizeof(*more));
	return more;
}

/* Reads fdinfo; false if that is no arena, or gone. */
static bool read_fdinfo(int pid, const char *fd, struct row *r)
{
	char path[64], line[128], key[64];
	unsigned long long value;
	bool found = false;
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.20s", pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "pagearena-%63[^:]: %llu", key, &value) != 2)
			continue;
		if (!strcmp(key, "id")) {
			r->id = value;
			found = true;
		}
		for (i = 0; i < FIGURES; i++)
			if (!strcmp(key, figures[i].key))
				r->v[i] = value;
	}
	fclose(f);
	return found;
}

static void read_calls(struct row *r)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	int fd = copy_descriptor(r->pid, r->fd);

	if (fd < 0)
		return;
	if (!arena_call(fd, PAGEARENA_IOC_STATS, &st)) {
		r->calls[ALLOCS] = st.nr_alloc;
		r->calls[FREES] = st.nr_free;
		r->calls[FAULTS] = st.nr_fault;
		r->has_calls = true;
	}
	close(fd);
}

static void read_comm(int pid, char *comm, size_t len)
{
	char path[64], *p;
	FILE *f;

	snprintf(comm, len, "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(comm, (int)len, f))
		comm[strcspn(comm, "\n")] = '\0';
	fclose(f);
	/* Whoever names a process shall not write to our terminal. */
	for (p = comm; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = '?';
}

static void scan_process(int pid, struct sample *s, const struct options *o)
{
	size_t first = s->count, i;
	struct dirent *entry;
	struct stat st;
	struct row *r;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir) {
		s->hidden += errno == EACCES;
		return;
	}
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)*entry->d_name) ||
		    fstatat(dirfd(dir), entry->d_name, &st, 0) || !S_ISCHR(st.st_mode) ||
		    major(st.st_rdev) != MISC_MAJOR)
			continue;
		r = add_row(s);
		if (!read_fdinfo(pid, entry->d_name, r)) {
			s->count--;
			continue;
		}
		/* Two descriptors of the same arena. */
		for (i = first; i < s->count - 1 && s->rows[i].id != r->id; i++)
			;
		if (i < s->count - 1) {
			s->count--;
			continue;
		}
		r->pid = pid;
		r->fd = atoi(entry->d_name);
		r->arenas = 1;
		read_comm(pid, r->comm, sizeof(r->comm));
		if (o->calls)
			read_calls(r);
	}
	closedir(dir);
}

static bool scan(struct sample *s, const struct options *o)
{
	struct dirent *entry;
	DIR *dir;

	s->count = 0;
	s->hidden = 0;
	dir = opendir("/proc");
	if (!dir) {
		failed("/proc: %s", strerror(errno));
		return false;
	}
	s->time = clock_ns();
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name))
			scan_process(atoi(entry->d_name), s, o);
	closedir(dir);
	return true;
}

static void add(struct row *to, const struct row *r)
{
	int i;

	to->arenas++;
	for (i = 0; i < FIGURES; i++)
		to->v[i] += r->v[i];
	for (i = 0; i < CALLS; i++) {
		to->calls[i] += r->calls[i];
		to->call_rate[i] += r->call_rate[i];
	}
	to->inuse_rate += r->inuse_rate;
	to->backed_rate += r->backed_rate;
	to->has_calls |= r->has_calls;
	to->has_rate |= r->has_rate;
}

static double rate(uint64_t now, uint64_t then, double seconds)
{
	return ((double)now - (double)then) / seconds;
}

/* What has changed since the last sample, for each arena that was there then. */
static void compute_rates(struct sample *s, const struct sample *last)
{
	double seconds = (double)(s->time - last->time) / 1e9;
	const struct row *was;
	struct row *r;
	size_t i, j;
	int k;

	for (i = 0; i < s->count; i++) {
		r = &s->rows[i];
		for (j = 0; j < last->count; j++)
			if (last->rows[j].pid == r->pid && last->rows[j].id == r->id)
				break;
		if (j == last->count || seconds <= 0)
			continue;
		was = &last->rows[j];
		r->has_rate = true;
		r->inuse_rate = rate(r->v[INUSE], was->v[INUSE], seconds);
		r->backed_rate = rate(r->v[BACKED], was->v[BACKED], seconds);
		for (k = 0; k < CALLS && was->has_calls && r->has_calls; k++)
			r->call_rate[k] = rate(r->calls[k], was->calls[k], seconds);
	}
}

/* All arenas, each once however many processes have it. */
static struct row total(const struct sample *s)
{
	struct row sum = { 0 };
	size_t i, j;

	for (i = 0; i < s->count; i++) {
		for (j = 0; j < i && s->rows[j].id != s->rows[i].id; j++)
			;
		if (j == i)
			add(&sum, &s->rows[i]);
	}
	return sum;
}

/* Rows of one process follow each other: makes one of them. */
static void by_process(const struct sample *s, struct sample *out)
{
	struct row *r = NULL;
	size_t i;

	out->count = 0;
	out->hidden = s->hidden;
	for (i = 0; i < s->count; i++) {
		if (!r || r->pid != s->rows[i].pid) {
			r = add_row(out);
			*r = s->rows[i];
		} else {
			add(r, &s->rows[i]);
		}
	}
}

static enum sort sort_by;

static double sort_value(const struct row *r)
{
	switch (sort_by) {
	case BY_INUSE:
		return (double)r->v[INUSE];
	case BY_BACKED:
		return (double)r->v[BACKED];
	case BY_WARM:
		return (double)r->v[WARM];
	case BY_RELEASED:
		return (double)r->v[RELEASED];
	case BY_HUGE:
		return r->v[BACKED] ? (double)r->v[HUGE] / (double)r->v[BACKED] : 0;
	case BY_RATE:
		return r->backed_rate < 0 ? -r->backed_rate : r->backed_rate;
	default:
		return 0;
	}
}

/* The most first; of equals, and by PID, the lowest number. */
static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	double u = sort_value(x), v = sort_value(y);

	if (u != v)
		return u < v ? 1 : -1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

static void print_rate(double value, bool known, bool bytes)
{
	char buf[24];

	if (!known)
		printf(" %11s", "-");
	else if (!bytes)
		printf(" %11.0f", value);
	else
		printf(" %c%10s", value < 0 ? '-' : ' ',
		       human((uint64_t)(value < 0 ? -value : value), buf));
}

static void print_row(const struct row *r, const char *name, const struct options *o)
{
	char b[4][24];
	int i;

	printf("%-14s", name);
	if (o->arenas)
		printf(" %6llu", (unsigned long long)r->id);
	else
		printf(" %6u", r->arenas);
	printf(" %10s %10s %10s %10s", human(r->v[INUSE], b[0]), human(r->v[BACKED], b[1]),
	       human(r->v[WARM], b[2]), human(r->v[RELEASED], b[3]));
	if (r->v[BACKED])
		printf(" %4.0f%%", (double)r->v[HUGE] * 100 / (double)r->v[BACKED]);
	else
		printf(" %5s", "-");
	print_rate(r->inuse_rate, r->has_rate, true);
	print_rate(r->backed_rate, r->has_rate, true);
	for (i = 0; i < CALLS && o->calls; i++)
		print_rate(r->call_rate[i], r->has_rate && r->has_calls, false);
	printf("  %s\n", r->comm);
}

/* At most so many rows, 0 for all; the screen has no more. */
static void print_table(const struct sample *s, const struct row *sum, const struct options *o,
			size_t lines)
{
	bool color = has_color(stdout);
	char name[32];
	size_t i;

	printf("%s%-14s %6s %10s %10s %10s %10s %5s %11s %11s", color ? "\033[7m" : "",
	       o->arenas ? "PID:FD" : "PID", o->arenas ? "ID" : "ARENAS", "INUSE", "BACKED", "WARM",
	       "RELEASED", "HUGE", "INUSE/s", "BACKED/s");
	if (o->calls)
		printf(" %11s %11s %11s", "ALLOC/s", "FREE/s", "FAULT/s");
	printf("  COMMAND%s\n", color ? "\033[0m" : "");
	for (i = 0; i < s->count && (!lines || i < lines); i++) {
		if (o->arenas)
			snprintf(name, sizeof(name), "%d:%d", s->rows[i].pid, s->rows[i].fd);
		else
			snprintf(name, sizeof(name), "%d", s->rows[i].pid);
		print_row(&s->rows[i], name, o);
	}
	if (s->count) {
		struct options plain = *o;

		plain.arenas = false;
		print_row(sum, "total", &plain);
	} else {
		printf("no arenas\n");
	}
	if (s->hidden)
		printf("%u processes of others are not seen: that needs the right to ptrace them\n",
		       s->hidden);
}

static void print_json_row(const struct row *r, const struct options *o)
{
	int i;

	printf("\"arenas\": %u", r->arenas);
	for (i = 0; i < FIGURES; i++)
		printf(", \"%s\": %llu", figures[i].json, (unsigned long long)r->v[i]);
	if (r->has_rate)
		printf(", \"inuse_per_s\": %.0f, \"backed_per_s\": %.0f", r->inuse_rate,
		       r->backed_rate);
	for (i = 0; i < CALLS && o->calls && r->has_calls; i++) {
		printf(", \"%s\": %llu", call_names[i], (unsigned long long)r->calls[i]);
		if (r->has_rate)
			printf(", \"%s_per_s\": %.0f", call_names[i], r->call_rate[i]);
	}
}

/* One line for each sample. */
static void print_json(const struct sample *s, const struct row *sum, const struct options *o)
{
	struct timespec now;
	size_t i;

	clock_gettime(CLOCK_REALTIME, &now);
	printf("{\"time\": %lld.%03ld, \"%s\": [", (long long)now.tv_sec, now.tv_nsec / 1000000,
	       o->arenas ? "arenas" : "processes");
	for (i = 0; i < s->count && (!o->lines || i < o->lines); i++) {
		const struct row *r = &s->rows[i];

		printf("%s{\"pid\": %d, ", i ? ", " : "", r->pid);
		if (o->arenas)
			printf("\"fd\": %d, \"id\": %llu, ", r->fd, (unsigned long long)r->id);
		printf("\"command\": ");
		json_string(stdout, r->comm);
		printf(", ");
		print_json_row(r, o);
		printf("}");
	}
	printf("], \"total\": {");
	print_json_row(sum, o);
	printf("}, \"hidden_processes\": %u}\n", s->hidden);
}

/* Rows that fit on the screen, beside header, sum and the line about keys. */
static size_t screen_lines(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 6)
		return 20;
	return size.ws_row - 5u;
}

static void show(const struct sample *s, struct sample *rows, const struct options *o)
{
	struct row sum = total(s);
	size_t lines = o->lines;

	if (o->arenas) {
		rows->count = 0;
		rows->hidden = s->hidden;
		for (size_t i = 0; i < s->count; i++)
			*add_row(rows) = s->rows[i];
	} else {
		by_process(s, rows);
	}
	sort_by = o->sort;
	qsort(rows->rows, rows->count, sizeof(*rows->rows), compare);
	if (!o->batch && (!lines || lines > screen_lines()))
		lines = screen_lines();
	if (o->json)
		print_json(rows, &sum, o);
	else
		print_table(rows, &sum, o, lines);
}

/*
 * The screen
 */

static struct termios saved;
static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = sig;
}

static void screen_begin(void)
{
	struct sigaction sa = { .sa_handler = stop };
	struct termios raw;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	tcgetattr(STDIN_FILENO, &saved);
	raw = saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	printf("\033[?1049h\033[?25l");
}

static void screen_end(void)
{
	printf("\033[?25h\033[?1049l");
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

/* Waits, or takes a key: true if the next sample is due. */
static bool wait_key(struct options *o, uint64_t until)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	uint64_t now = clock_ns();
	char key;

	if (now >= until)
		return true;
	if (poll(&in, 1, (int)((until - now) / 1000000) + 1) <= 0)
		return false;
	if (read(STDIN_FILENO, &key, 1) != 1) {
		stopped = SIGHUP;
		return true;
	}
	switch (key) {
	case 'q':
		stopped = SIGINT;
		break;
	case 'a':
		o->arenas = !o->arenas;
		break;
	case 'p':
	case 'i':
	case 'b':
	case 'w':
	case 'r':
	case 'h':
		for (int i = 0; i < SORTS; i++)
			if (*sorts[i] == key) {
				o->sort = (enum sort)i;
				break;
			}
		break;
	case 't':
		o->sort = BY_RATE;
		break;
	}
	return false;
}

static int live(struct options *o)
{
	struct sample s[2] = { 0 }, rows = { 0 };
	unsigned int now = 0;
	uint64_t next;

	screen_begin();
	while (!stopped) {
		next = clock_ns() + o->interval_ms * 1000000;
		if (!scan(&s[now], o))
			break;
		compute_rates(&s[now], &s[!now]);
		do {
			printf("\033[H\033[J");
			show(&s[now], &rows, o);
			printf("sorted by %s; sort: p i b w r h, t by rate; a: each arena; q: quit",
			       sorts[o->sort]);
			fflush(stdout);
		} while (!wait_key(o, next) && !stopped);
		now = !now;
	}
	screen_end();
	return stopped ? STATUS_OK : STATUS_FAILED;
}

static int batch(const struct options *o)
{
	struct sample s[2] = { 0 }, rows = { 0 };
	unsigned int now = 0;
	uint64_t i;

	for (i = 0; i < o->batch; i++, now = !now) {
		if (i) {
			usleep((useconds_t)(o->interval_ms * 1000));
			if (!o->json)
				printf("\n");
		}
		if (!scan(&s[now], o))
			return STATUS_FAILED;
		if (i)
			compute_rates(&s[now], &s[!now]);
		show(&s[now], &rows, o);
		/* Whoever reads a pipe wants each sample when it is taken. */
		if (fflush(stdout))
			break;
	}
	return STATUS_OK;
}

static int run(int argc, char **argv)
{
	enum {
		OPT_BATCH = OPT_COMMON,
		OPT_INTERVAL,
		OPT_SORT,
		OPT_LINES,
		OPT_ARENAS,
		OPT_CALLS,
		OPT_JSON,
	};
	static const struct option longs[] = {
		OPTION_HELP,
		{ "batch", required_argument, NULL, OPT_BATCH },
		{ "interval", required_argument, NULL, OPT_INTERVAL },
		{ "sort", required_argument, NULL, OPT_SORT },
		{ "lines", required_argument, NULL, OPT_LINES },
		{ "arenas", no_argument, NULL, OPT_ARENAS },
		{ "calls", no_argument, NULL, OPT_CALLS },
		{ "json", no_argument, NULL, OPT_JSON },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { .interval_ms = 1000, .sort = BY_BACKED };
	struct target t = TARGET_NONE;
	bool good = true;
	int c, i, status;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case OPT_BATCH:
			good = parse_u64(optarg, &o.batch) && o.batch;
			break;
		case OPT_INTERVAL:
			good = parse_u64(optarg, &o.interval_ms) && o.interval_ms >= 10 &&
			       o.interval_ms <= 3600000;
			break;
		case OPT_SORT:
			for (i = 0; i < SORTS && strcmp(sorts[i], optarg); i++)
				;
			good = i < SORTS;
			o.sort = (enum sort)i;
			break;
		case OPT_LINES:
			good = parse_u64(optarg, &o.lines) && o.lines;
			break;
		case OPT_ARENAS:
			o.arenas = true;
			break;
		case OPT_CALLS:
			o.calls = true;
			break;
		case OPT_JSON:
			o.json = true;
			break;
		default:
			if (common_option(&cmd_top, c, &t, &status))
				return status;
		}
		if (!good)
			return usage_error("top: not a value for that option: %s", optarg);
	}
	if (last_argument(&cmd_top, argc, argv))
		return STATUS_USAGE;
	if (!o.batch && (o.json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
		o.batch = 1;
	return o.batch ? batch(&o) : live(&o);
}

const struct command cmd_top = {
	.name = "top",
	.args = "[OPTION]...",
	.what = "all arenas of the machine, by process",
	.help =
		"Shows what the arenas of all processes hold: in use, backed by memory, of that warm\n"
		"(free and not given back), released (free, without memory), the share of the memory\n"
		"that is huge, and how fast in use and backed change.  The figures are those of\n"
		"/proc/PID/fdinfo: for processes that one may look at, root for all.  An arena that\n"
		"several processes share is shown with each, and counted once in the total.\n"
		"\n"
		"  --batch N      print N samples and end (1, if this is no terminal)\n"
		"  --interval MS  time between samples (default: 1000)\n"
		"  --sort KEY     pid, inuse, backed, warm, released, huge (share) or rate (of backed);\n"
		"                 the most first (default: backed)\n"
		"  --lines N      no more than N lines\n"
		"  --arenas       a line for each arena, not for each process\n"
		"  --calls        allocations, frees and faults per second, too; these are not in fdinfo,\n"
		"                 and to get them takes the right to ptrace the process\n"
		"  --json         as JSON, one object on a line for each sample\n",
	.run = run,
};
