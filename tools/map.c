// SPDX-License-Identifier: MIT
/*
 * pagearena map: a picture of a heap, in the terminal or as SVG.
 *
 * The kernel tells of each span what it is, how much of it is backed, and how much of that is
 * huge, but not which part.  So the parts of one span are drawn in proportion, in a fixed order.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"

#define MAX_COLUMNS 512
#define DEFAULT_COLUMNS 64
#define DEFAULT_ROWS 32

/* What a byte of the heap is; of the same weight, the first one is drawn. */
enum kind {
	KIND_HUGE,
	KIND_SMALL,
	KIND_UNTOUCHED,
	KIND_WARM_HUGE,
	KIND_WARM,
	KIND_TRANSIT,
	KIND_RELEASED,
	KINDS,
};

static const struct {
	char sign;
	const char *key; /* in SVG */
	const char *label;
	const char *escape;
	const char *fill;
} kinds[KINDS] = {
	{ 'H', "inuse-huge", "in use, huge", "\033[1;35m", "#7b3294" },
	{ '#', "inuse-small", "in use, small", "\033[32m", "#008837" },
	{ 'o', "inuse-untouched", "in use, not touched yet", "\033[36m", "#a6dba0" },
	{ 'w', "warm-huge", "free, warm, huge", "\033[1;33m", "#e66101" },
	{ '+', "warm-small", "free, warm, small", "\033[33m", "#fdb863" },
	{ '~', "transit", "being released", "\033[31m", "#ca0020" },
	{ '.', "released", "free, without memory", "\033[2m", "#e8e8e8" },
};

/* What is to be drawn. */
struct view {
	const struct pagearena_span *spans;
	size_t count;
	uint64_t from;
	uint64_t to;
	uint64_t cell; /* bytes of a character, or of a pixel */
	unsigned int columns;
};

static void split(const struct pagearena_span *s, uint64_t part[KINDS])
{
	uint64_t huge = s->huge < s->backed ? s->huge : s->backed;

	memset(part, 0, KINDS * sizeof(*part));
	if (s->state == PAGEARENA_SPAN_INUSE) {
		part[KIND_HUGE] = huge;
		part[KIND_SMALL] = s->backed - huge;
		part[KIND_UNTOUCHED] = s->length - s->backed;
	} else if (s->state == PAGEARENA_SPAN_TRANSIT) {
		part[KIND_TRANSIT] = s->length;
	} else {
		part[KIND_WARM_HUGE] = huge;
		part[KIND_WARM] = s->backed - huge;
		part[KIND_RELEASED] = s->length - s->backed;
	}
}

/* Bytes by kind of the whole heap. */
static void sum_up(const struct pagearena_span *spans, size_t count, uint64_t sum[KINDS])
{
	uint64_t part[KINDS];
	size_t i, k;

	memset(sum, 0, KINDS * sizeof(*sum));
	for (i = 0; i < count; i++) {
		split(&spans[i], part);
		for (k = 0; k < KINDS; k++)
			sum[k] += part[k];
	}
}

/*
 * Chooses for every cell of a row what most of it is; returns the number of cells.  *at is the
 * first span that may reach into the row, and goes on with it.
 */
static unsigned int fill_row(const struct view *v, uint64_t pos, size_t *at, unsigned char *row)
{
	uint64_t part[KINDS], sum[KINDS], from, to, start, stop;
	unsigned int col;
	size_t j, k;

	for (col = 0; col < v->columns && pos + col * v->cell < v->to; col++) {
		start = pos + col * v->cell;
		stop = start + v->cell < v->to ? start + v->cell : v->to;
		memset(sum, 0, sizeof(sum));
		while (*at < v->count && v->spans[*at].offset + v->spans[*at].length <= start)
			++*at;
		for (j = *at; j < v->count && v->spans[j].offset < stop; j++) {
			uint64_t edge = v->spans[j].offset;

			split(&v->spans[j], part);
			for (k = 0; k < KINDS; edge += part[k++]) {
				from = edge > start ? edge : start;
				to = edge + part[k] < stop ? edge + part[k] : stop;
				if (to > from)
					sum[k] += to - from;
			}
		}
		for (row[col] = KIND_RELEASED, k = KINDS; k--;)
			if (sum[k] > sum[row[col]] || (sum[k] && sum[k] == sum[row[col]]))
				row[col] = (unsigned char)k;
	}
	return col;
}

static void draw_row(FILE *out, uint64_t pos, const unsigned char *row, unsigned int count,
		     bool color)
{
	unsigned int i;

	fprintf(out, "%12llx |", (unsigned long long)pos);
	for (i = 0; i < count; i++) {
		if (color && (!i || row[i] != row[i - 1]))
			fprintf(out, "\033[0m%s", kinds[row[i]].escape);
		fputc(kinds[row[i]].sign, out);
	}
	fprintf(out, "%s|\n", color ? "\033[0m" : "");
}

/* One character for every cell of the heap, chosen by what most of the cell is. */
static void draw(FILE *out, struct view *v, unsigned int rows, bool color)
{
	unsigned char row[MAX_COLUMNS];
	unsigned int n, k, empty = 0;
	size_t at = 0;
	uint64_t pos;
	char buf[24];

	for (v->cell = 4096; v->cell * v->columns * rows < v->to - v->from;)
		v->cell *= 2;
	fprintf(out, "map: one character is %s:", human(v->cell, buf));
	for (k = 0; k < KINDS; k++)
		fprintf(out, "%s %s%c%s %s",
			!k     ? "" :
			k == 3 ? ",\n    " :
				 ",",
			color ? kinds[k].escape : "", kinds[k].sign, color ? "\033[0m" : "",
			kinds[k].label);
	fputc('\n', out);
	for (pos = v->from; pos < v->to; pos += v->cell * v->columns) {
		n = fill_row(v, pos, &at, row);
		/* Of many rows with nothing in them, the first is enough. */
		for (k = 0; k < n && row[k] == KIND_RELEASED; k++)
			;
		empty = k == n ? empty + 1 : 0;
		if (empty == 2)
			fprintf(out, "%12s\n", "*");
		if (empty < 2)
			draw_row(out, pos, row, n, color);
	}
	fprintf(out, "%12llx end of the %s\n", (unsigned long long)v->to,
		v->count && v->to >= v->spans[v->count - 1].offset + v->spans[v->count - 1].length ?
			"heap" :
			"part");
}

void draw_map(FILE *out, const struct pagearena_span *spans, size_t count)
{
	struct view v = { .spans = spans, .count = count, .columns = DEFAULT_COLUMNS };

	if (!count)
		return;
	v.to = spans[count - 1].offset + spans[count - 1].length;
	draw(out, &v, DEFAULT_ROWS, has_color(out));
}

/*
 * SVG
 */

#define SVG_WIDTH 1024
#define SVG_ROWS 64
#define SVG_LEFT 110
#define SVG_TOP 60
#define ROW_HEIGHT 14
#define ROW_STEP 18
/* With more spans than this a picture of each would be huge: pixels take their place. */
#define SVG_SPANS 20000

/* A piece of the heap that lies within one row, as one rectangle. */
static void svg_piece(FILE *out, const struct view *v, uint64_t from, uint64_t to, enum kind kind)
{
	uint64_t row = (from - v->from) / (v->cell * SVG_WIDTH);
	uint64_t start = v->from + row * v->cell * SVG_WIDTH;

	fprintf(out, "<rect class=\"%s\" x=\"%.3f\" y=\"%llu\" width=\"%.3f\" height=\"%d\"/>\n",
		kinds[kind].key, SVG_LEFT + (double)(from - start) / (double)v->cell,
		(unsigned long long)(SVG_TOP + row * ROW_STEP),
		(double)(to - from) / (double)v->cell, ROW_HEIGHT);
}

/* A piece, cut where the rows end. */
static void svg_pieces(FILE *out, const struct view *v, uint64_t from, uint64_t to, enum kind kind)
{
	uint64_t row_bytes = v->cell * SVG_WIDTH, stop;

	if (from < v->from)
		from = v->from;
	if (to > v->to)
		to = v->to;
	for (; from < to; from = stop) {
		stop = from + row_bytes - (from - v->from) % row_bytes;
		if (stop > to)
			stop = to;
		svg_piece(out, v, from, stop, kind);
	}
}

static void svg_span(FILE *out, const struct view *v, const struct pagearena_span *s)
{
	uint64_t part[KINDS], at = s->offset;
	char len[24], backed[24], huge[24];
	size_t k;

	fprintf(out, "<g><title>%llx: %s, %s, %s backed, %s huge</title>\n",
		(unsigned long long)s->offset, human(s->length, len), state_name(s),
		human(s->backed, backed), human(s->huge, huge));
	split(s, part);
	for (k = 0; k < KINDS; at += part[k++])
		if (part[k])
			svg_pieces(out, v, at, at + part[k], (enum kind)k);
	fprintf(out, "</g>\n");
}

/* Runs of pixels that are mostly of one kind. */
static void svg_pixels(FILE *out, const struct view *v)
{
	struct view line = *v;
	unsigned char row[MAX_COLUMNS];
	unsigned int n, i, run;
	uint64_t pos;
	size_t at = 0;

	line.columns = MAX_COLUMNS;
	for (pos = v->from; pos < v->to; pos += v->cell * MAX_COLUMNS) {
		n = fill_row(&line, pos, &at, row);
		for (i = 0; i < n; i += run) {
			for (run = 1; i + run < n && row[i + run] == row[i]; run++)
				;
			svg_pieces(out, v, pos + i * v->cell, pos + (i + run) * v->cell, row[i]);
		}
	}
}

static void svg_legend(FILE *out, const struct view *v, unsigned int y)
{
	uint64_t sum[KINDS], all = 0;
	unsigned int k, x;
	char buf[24];

	sum_up(v->spans, v->count, sum);
	for (k = 0; k < KINDS; k++)
		all += sum[k];
	for (k = 0; k < KINDS; k++) {
		x = SVG_LEFT + k % 4 * 256;
		fprintf(out,
			"<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"12\" height=\"12\"/>\n"
			"<text x=\"%u\" y=\"%u\" data-kind=\"%s\" data-bytes=\"%llu\">%s: %s (%.0f %%)</text>\n",
			kinds[k].key, x, y + k / 4 * 20, x + 18, y + k / 4 * 20 + 11, kinds[k].key,
			(unsigned long long)sum[k], kinds[k].label, human(sum[k], buf),
			all ? (double)sum[k] * 100 / (double)all : 0.0);
	}
}

static void draw_svg(FILE *out, struct view *v, const char *name, const char *figures)
{
	const struct pagearena_span *last = v->count ? &v->spans[v->count - 1] : NULL;
	uint64_t end = last ? last->offset + last->length : 0, shown;
	uint64_t row_bytes = 64 * SVG_WIDTH, rest, rows, row;
	unsigned int height;
	char buf[24], after[48];
	size_t i;

	/* A long end without memory says no more than its first row. */
	rest = v->to;
	for (i = v->count; v->to == end && i-- && !v->spans[i].backed;)
		if (v->spans[i].state == PAGEARENA_SPAN_FREE)
			rest = v->spans[i].offset;
		else
			break;
	if (rest < v->from)
		rest = v->from;
	while (row_bytes * SVG_ROWS < rest - v->from)
		row_bytes *= 2;
	rest = v->from + ((rest - v->from) / row_bytes + 1) * row_bytes;
	if (rest < v->to)
		v->to = rest;
	shown = v->to;
	v->cell = row_bytes / SVG_WIDTH;
	rows = (v->to - v->from + row_bytes - 1) / row_bytes;
	snprintf(after, sizeof(after), shown < end ? "%s more follow" : "the heap ends here",
		 human(end - shown, buf));
	height = SVG_TOP + (unsigned int)rows * ROW_STEP + 60;
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<!-- %s-License-Identifier: MIT -->\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\"\n"
		"width=\"%u\" height=\"%u\" font-family=\"sans-serif\" font-size=\"11\">\n"
		"<title>The heap of arena %s</title>\n"
		"<style>\n"
		"text { fill: #222; }\n"
		"rect { stroke: #fff; stroke-width: 0.2; }\n",
		"SPDX", SVG_LEFT + SVG_WIDTH + 20, height, SVG_LEFT + SVG_WIDTH + 20, height, name);
	for (i = 0; i < KINDS; i++)
		fprintf(out, ".%s { fill: %s; }\n", kinds[i].key, kinds[i].fill);
	fprintf(out,
		"</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"%d\" y=\"22\" font-size=\"15\">The heap of arena %s</text>\n"
		"<text x=\"%d\" y=\"42\">%s; a row is %s; %s%s</text>\n",
		SVG_LEFT, name, SVG_LEFT, figures, human(row_bytes, buf), after,
		v->count > SVG_SPANS ? "; a pixel shows what most of it is" : "");
	for (row = 0; row < rows; row++)
		fprintf(out, "<text x=\"%d\" y=\"%llu\" text-anchor=\"end\">0x%llx</text>\n",
			SVG_LEFT - 8, (unsigned long long)(SVG_TOP + row * ROW_STEP + 11),
			(unsigned long long)(v->from + row * row_bytes));
	if (v->count > SVG_SPANS) {
		svg_pixels(out, v);
	} else {
		for (i = 0; i < v->count; i++)
			if (v->spans[i].offset < v->to &&
			    v->spans[i].offset + v->spans[i].length > v->from)
				svg_span(out, v, &v->spans[i]);
	}
	svg_legend(out, v, height - 46);
	fprintf(out, "</svg>\n");
}

/* Where a picture goes: a file, or for PNG the program that makes it. */
static FILE *svg_open(const char *path, pid_t *converter)
{
	size_t len = strlen(path);
	int out[2];

	*converter = 0;
	if (!strcmp(path, "-"))
		return stdout;
	if (len < 4 || strcmp(path + len - 4, ".png"))
		return fopen(path, "we");
	if (pipe(out))
		return NULL;
	*converter = fork();
	if (!*converter) {
		dup2(out[0], STDIN_FILENO);
		close(out[0]);
		close(out[1]);
		execlp("rsvg-convert", "rsvg-convert", "-o", path, (char *)NULL);
		failed("PNG needs rsvg-convert (Debian: librsvg2-bin): %s", strerror(errno));
		_exit(127);
	}
	close(out[0]);
	if (*converter < 0) {
		close(out[1]);
		return NULL;
	}
	/* A converter that is not there is gone before it is written to. */
	signal(SIGPIPE, SIG_IGN);
	return fdopen(out[1], "w");
}

static int svg_close(FILE *f, const char *path, pid_t converter)
{
	int status = 0, bad = fflush(f) || ferror(f);

	if (f != stdout)
		bad |= fclose(f);
	if (converter)
		while (waitpid(converter, &status, 0) < 0 && errno == EINTR)
			;
	if (!bad && !status)
		return STATUS_OK;
	return status ? failed("%s: not converted", path) : failed("%s: %s", path, strerror(errno));
}

/*
 * The command
 */

struct options {
	uint64_t from;
	uint64_t to;
	unsigned int columns;
	unsigned int rows;
	const char *svg;
	bool color;
};

/* One line of figures, from the spans that are drawn. */
static void describe(const struct pagearena_span *spans, size_t count, char *buf, size_t len)
{
	uint64_t sum[KINDS], used, warm, huge;
	char b[4][24];

	sum_up(spans, count, sum);
	used = sum[KIND_HUGE] + sum[KIND_SMALL] + sum[KIND_UNTOUCHED];
	warm = sum[KIND_WARM_HUGE] + sum[KIND_WARM];
	huge = sum[KIND_HUGE] + sum[KIND_WARM_HUGE];
	snprintf(buf, len, "in use %s, backed %s (warm %s, huge %s), %zu spans", human(used, b[0]),
		 human(warm + sum[KIND_HUGE] + sum[KIND_SMALL], b[1]), human(warm, b[2]),
		 human(huge, b[3]), count);
}

static int show(int fd, const char *name, const struct options *o)
{
	struct view v = { .from = o->from, .columns = o->columns };
	struct pagearena_span *spans;
	struct pagearena_info info;
	int status = STATUS_OK;
	char figures[160];
	pid_t converter;
	uint64_t end;
	FILE *f;

	if (!check_arena(fd, name, &info) || !check_setup(name, &info))
		return STATUS_FAILED;
	spans = read_spans(fd, &v.count);
	if (!spans)
		return STATUS_FAILED;
	v.spans = spans;
	end = v.count ? spans[v.count - 1].offset + spans[v.count - 1].length : 0;
	v.to = o->to < end ? o->to : end;
	describe(spans, v.count, figures, sizeof(figures));
	if (end && v.from >= v.to) {
		status = failed("%s: the heap ends at 0x%llx", name, (unsigned long long)end);
	} else if (o->svg) {
		f = svg_open(o->svg, &converter);
		if (f) {
			draw_svg(f, &v, name, figures);
			status = svg_close(f, o->svg, converter);
		} else {
			status = failed("%s: %s", o->svg, strerror(errno));
		}
	} else {
		printf("%s: %s\n", name, figures);
		if (v.count)
			draw(stdout, &v, o->rows, o->color);
	}
	free(spans);
	return status;
}

/* The width and the height of the terminal decide, where there is one. */
static void fit_terminal(struct options *o)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return;
	if (!o->columns && size.ws_col)
		o->columns = size.ws_col >= 128 + 16 ? 128 : size.ws_col >= 64 + 16 ? 64 : 32;
	if (!o->rows && size.ws_row > 12)
		o->rows = size.ws_row - 8u < DEFAULT_ROWS ? size.ws_row - 8u : DEFAULT_ROWS;
}

/* FROM-TO, in bytes. */
static bool parse_range(const char *text, struct options *o)
{
	const char *minus = strchr(text, '-');
	char from[32];

	if (!minus || (size_t)(minus - text) >= sizeof(from))
		return false;
	memcpy(from, text, (size_t)(minus - text));
	from[minus - text] = '\0';
	return parse_size(from, &o->from) && parse_size(minus + 1, &o->to) && o->from < o->to;
}

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = sig;
}

/*
 * Draws again and again.  The descriptor of another process is taken anew each time: a copy
 * that is kept would keep the arena when the process is gone.
 */
static int watch(struct target *t, bool inherited, struct options *o, uint64_t ms)
{
	struct sigaction sa = { .sa_handler = stop };
	bool screen = isatty(STDOUT_FILENO);
	int status;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	for (;;) {
		if (screen)
			printf("\033[H\033[J");
		status = show(t->fd, t->name, o);
		fflush(stdout);
		if (status || ferror(stdout))
			return status;
		if (!inherited)
			close(t->fd);
		for (uint64_t end = clock_ns() + ms * 1000000; !stopped && clock_ns() < end;)
			usleep((useconds_t)(ms < 100 ? ms : 100) * 1000);
		if (stopped)
			return STATUS_OK;
		if (screen)
			fit_terminal(o);
		else
			printf("\n");
		if (!inherited) {
			t->fd = open_target(t->name);
			if (t->fd < 0)
				return STATUS_OK;
		}
	}
}

static int run(int argc, char **argv)
{
	enum { OPT_ZOOM = OPT_COMMON, OPT_COLUMNS, OPT_ROWS, OPT_SVG, OPT_WATCH, OPT_COLOR };
	static const struct option longs[] = {
		OPTION_HELP,
		OPTION_FD,
		{ "zoom", required_argument, NULL, OPT_ZOOM },
		{ "columns", required_argument, NULL, OPT_COLUMNS },
		{ "rows", required_argument, NULL, OPT_ROWS },
		{ "svg", required_argument, NULL, OPT_SVG },
		{ "watch", required_argument, NULL, OPT_WATCH },
		{ "color", required_argument, NULL, OPT_COLOR },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { .to = UINT64_MAX, .color = has_color(stdout) };
	struct target t = TARGET_NONE;
	uint64_t number, ms = 0;
	bool good = true, inherited;
	int c, status;

	while (good && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case OPT_ZOOM:
			good = parse_range(optarg, &o);
			break;
		case OPT_COLUMNS:
			good = parse_u64(optarg, &number) && number && number <= MAX_COLUMNS;
			o.columns = (unsigned int)number;
			break;
		case OPT_ROWS:
			good = parse_u64(optarg, &number) && number && number <= 1000;
			o.rows = (unsigned int)number;
			break;
		case OPT_SVG:
			o.svg = optarg;
			break;
		case OPT_WATCH:
			good = parse_u64(optarg, &ms) && ms && ms <= 3600;
			ms *= 1000;
			break;
		case OPT_COLOR:
			good = !strcmp(optarg, "auto") || !strcmp(optarg, "never") ||
			       !strcmp(optarg, "always");
			if (strcmp(optarg, "auto"))
				o.color = !strcmp(optarg, "always");
			break;
		default:
			if (common_option(&cmd_map, c, &t, &status))
				return status;
		}
		if (!good)
			return usage_error("map: not a value for that option: %s", optarg);
	}
	if (ms && o.svg)
		return usage_error("map: --watch and --svg exclude each other");
	inherited = t.fd >= 0;
	status = target_argument(&cmd_map, argc, argv, &t);
	if (!status)
		status = last_argument(&cmd_map, argc, argv);
	if (status)
		return status;
	fit_terminal(&o);
	if (!o.columns)
		o.columns = DEFAULT_COLUMNS;
	if (!o.rows)
		o.rows = DEFAULT_ROWS;
	if (ms)
		return watch(&t, inherited, &o, ms);
	return show(t.fd, t.name, &o);
}

const struct command cmd_map = {
	.name = "map",
	.args = "[OPTION]... TARGET",
	.what = "a picture of a heap, in the terminal or as SVG",
	.help =
		"Draws the heap of an arena: what is in use and what is free, what has memory behind\n"
		"it, and what of that is huge.  Of one span the kernel tells only how much of it is\n"
		"backed and how much of that is huge: inside a span these are drawn one after the\n"
		"other.\n"
		"\n"
		"  --zoom RANGE   only a part: FROM-TO, offsets in bytes, as 0x200000-4M\n"
		"  --columns N    characters in a row (default: as the terminal is wide, else 64)\n"
		"  --rows N       most rows (default: as the terminal is high, else 32)\n"
		"  --color WHEN   auto, always or never (default: auto: on a terminal, if NO_COLOR is\n"
		"                 not set)\n"
		"  --watch SECONDS\n"
		"                 draw it again every so many seconds, until the process ends\n"
		"  --svg FILE     write a picture with a tooltip for each span; - is standard output.\n"
		"                 If FILE ends in .png, rsvg-convert makes it one\n" TARGET_OPTIONS,
	.target = true,
	.run = run,
};
