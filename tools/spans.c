// SPDX-License-Identifier: MIT
/* The spans of a heap, as a table and as a map. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#define MAP_COLUMNS 64
#define MAP_ROWS 32

/* What a cell of the map stands for; the order is that of map_chars and map_colors. */
enum cell {
	CELL_HUGE,
	CELL_BACKED,
	CELL_UNTOUCHED,
	CELL_WARM,
	CELL_SCAVENGED,
	CELL_KINDS,
};

static const char map_chars[CELL_KINDS] = { 'H', '#', 'o', '+', '.' };
static const char *const map_colors[CELL_KINDS] = {
	"\033[35m", "\033[32m", "\033[36m", "\033[33m", "\033[2m",
};

/* All spans of an arena; NULL after a complaint.  The caller frees them. */
struct pagearena_span *read_spans(int fd, size_t *count)
{
	struct pagearena_span *spans = NULL, *more;
	struct pagearena_spans call = { .size = sizeof(call) };
	size_t room = 0;

	*count = 0;
	do {
		if (room - *count < 1024) {
			room = room * 2 + 1024;
			more = realloc(spans, room * sizeof(*spans));
			if (!more) {
				free(spans);
				failed("%s", strerror(errno));
				return NULL;
			}
			spans = more;
		}
		call.spans = (uintptr_t)(spans + *count);
		call.count = (uint32_t)(room - *count);
		if (arena_call(fd, PAGEARENA_IOC_SPANS, &call)) {
			failed("cannot list the spans: %s", strerror(errno));
			free(spans);
			return NULL;
		}
		*count += call.count;
	} while (call.count);
	return spans;
}

/* Splits a span's bytes by kind, in the order in which they are laid into the map. */
static void split(const struct pagearena_span *s, uint64_t part[CELL_KINDS])
{
	uint64_t huge = s->huge < s->backed ? s->huge : s->backed;

	memset(part, 0, CELL_KINDS * sizeof(*part));
	if (s->state == PAGEARENA_SPAN_INUSE) {
		part[CELL_HUGE] = huge;
		part[CELL_BACKED] = s->backed - huge;
		part[CELL_UNTOUCHED] = s->length - s->backed;
	} else {
		part[CELL_WARM] = s->backed;
		part[CELL_SCAVENGED] = s->length - s->backed;
	}
}

static void draw_row(FILE *out, uint64_t pos, const enum cell *row, size_t count)
{
	bool color = has_color(out);
	size_t i;

	fprintf(out, "%12llx |", (unsigned long long)pos);
	for (i = 0; i < count; i++) {
		if (color && (!i || row[i] != row[i - 1]))
			fprintf(out, "\033[0m%s", map_colors[row[i]]);
		fputc(map_chars[row[i]], out);
	}
	fprintf(out, "%s|\n", color ? "\033[0m" : "");
}

/*
 * One character for every cell of the heap, chosen by what most of the cell is.  Inside
 * one span, where only the sums are known, its kinds are drawn in proportion.
 */
void draw_map(FILE *out, const struct pagearena_span *spans, size_t count)
{
	uint64_t end, cell = 4096, pos, from, to, part[CELL_KINDS], sum[CELL_KINDS];
	size_t i = 0, col, k, empty = 0;
	enum cell row[MAP_COLUMNS];
	char buf[24];

	if (!count)
		return;
	end = spans[count - 1].offset + spans[count - 1].length;
	while (cell * MAP_COLUMNS * MAP_ROWS < end)
		cell *= 2;
	fprintf(out,
		"map: one character is %s: H huge, # backed, o not touched yet; free: + warm, . scavenged\n",
		human(cell, buf));
	for (pos = 0; pos < end; pos += cell * MAP_COLUMNS) {
		for (col = 0; col < MAP_COLUMNS && pos + col * cell < end; col++) {
			uint64_t start = pos + col * cell, stop = start + cell;

			memset(sum, 0, sizeof(sum));
			while (i < count && spans[i].offset + spans[i].length <= start)
				i++;
			for (size_t j = i; j < count && spans[j].offset < stop; j++) {
				const struct pagearena_span *s = &spans[j];
				uint64_t at = s->offset;

				split(s, part);
				for (k = 0; k < CELL_KINDS; at += part[k++]) {
					from = at > start ? at : start;
					to = at + part[k] < stop ? at + part[k] : stop;
					if (to > from)
						sum[k] += to - from;
				}
			}
			for (row[col] = CELL_SCAVENGED, k = CELL_KINDS; k--;)
				if (sum[k] > sum[row[col]])
					row[col] = (enum cell)k;
		}
		/* Of many rows with nothing in them, the first is enough. */
		for (k = 0; k < col && row[k] == CELL_SCAVENGED; k++)
			;
		if (k == col) {
			if (empty++ == 1)
				fprintf(out, "%12s\n", "*");
			if (empty > 1)
				continue;
		} else {
			empty = 0;
		}
		draw_row(out, pos, row, col);
	}
	fprintf(out, "%12llx end of the heap\n", (unsigned long long)end);
}

static const char *state_name(const struct pagearena_span *s)
{
	switch (s->state) {
	case PAGEARENA_SPAN_INUSE:
		return "in use";
	case PAGEARENA_SPAN_TRANSIT:
		return "transit";
	default:
		return s->flags & PAGEARENA_SPAN_SCAVENGED ? "scavenged" : "free";
	}
}

static void print_table(const struct pagearena_span *spans, size_t count)
{
	char len[24], backed[24], huge[24];
	size_t i;

	printf("%12s %12s  %-9s %12s %12s %10s %s\n", "offset", "length", "state", "backed", "huge",
	       "free for", "zero");
	for (i = 0; i < count; i++) {
		const struct pagearena_span *s = &spans[i];

		printf("%12llx %12s  %-9s %12s %12s ", (unsigned long long)s->offset,
		       human(s->length, len), state_name(s), human(s->backed, backed),
		       human(s->huge, huge));
		if (s->age_ns)
			printf("%8.1f s", (double)s->age_ns / 1e9);
		else
			printf("%10s", "-");
		if (s->state == PAGEARENA_SPAN_INUSE)
			printf(" -\n");
		else
			printf(" %s\n", s->flags & PAGEARENA_SPAN_NEEDZERO ? "no" : "yes");
	}
}

static void print_json(const struct pagearena_span *spans, size_t count)
{
	size_t i;

	printf("[");
	for (i = 0; i < count; i++) {
		const struct pagearena_span *s = &spans[i];

		printf("%s\n  {\"offset\": %llu, \"length\": %llu, \"state\": \"%s\", ",
		       i ? "," : "", (unsigned long long)s->offset, (unsigned long long)s->length,
		       state_name(s));
		printf("\"needzero\": %s, \"age_ns\": %llu, \"backed\": %llu, \"huge\": %llu}",
		       s->flags & PAGEARENA_SPAN_NEEDZERO ? "true" : "false",
		       (unsigned long long)s->age_ns, (unsigned long long)s->backed,
		       (unsigned long long)s->huge);
	}
	printf("\n]\n");
}

static int run(int argc, char **argv)
{
	enum { OPT_MAP = OPT_COMMON, OPT_TABLE, OPT_JSON };
	static const struct option longs[] = {
		COMMON_OPTIONS,
		{ "map", no_argument, NULL, OPT_MAP },
		{ "table", no_argument, NULL, OPT_TABLE },
		{ "json", no_argument, NULL, OPT_JSON },
		{ NULL, 0, NULL, 0 },
	};
	bool map = true, table = true, json = false;
	struct target t = TARGET_NONE;
	struct pagearena_span *spans;
	struct pagearena_info info;
	int c, status;
	size_t count;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPT_MAP)
			table = false;
		else if (c == OPT_TABLE)
			map = false;
		else if (c == OPT_JSON)
			json = true;
		else if (common_option(&cmd_spans, c, &t, &status))
			return status;
	}
	if (!map && !table)
		return usage_error("spans: --map and --table exclude each other");
	status = target_argument(&cmd_spans, argc, argv, &t);
	if (!status)
		status = last_argument(&cmd_spans, argc, argv);
	if (status)
		return status;
	if (!check_arena(t.fd, t.name, &info) || !check_setup(t.name, &info))
		return STATUS_FAILED;
	spans = read_spans(t.fd, &count);
	if (!spans)
		return STATUS_FAILED;
	if (json) {
		print_json(spans, count);
	} else {
		if (table)
			print_table(spans, count);
		if (table && map)
			printf("\n");
		if (map)
			draw_map(stdout, spans, count);
	}
	free(spans);
	return STATUS_OK;
}

const struct command cmd_spans = {
	.name = "spans",
	.args = "[OPTION]... TARGET",
	.what = "the spans of an arena, one by one",
	.help = "Prints every span of an arena, free and in use, and a map of the heap.\n"
		"\n"
		"  --map          only the map\n"
		"  --table        only the table\n"
		"  --json         all spans as JSON\n" TARGET_OPTIONS,
	.target = true,
	.run = run,
};
