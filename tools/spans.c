// SPDX-License-Identifier: MIT
/* The spans of a heap, as a table and as JSON. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

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

const char *state_name(const struct pagearena_span *s)
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
		OPTION_HELP,
		OPTION_FD,
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
	.help =
		"Prints every span of an arena, free and in use, and a map of the heap.\n"
		"\n"
		"  --map          only the map\n"
		"  --table        only the table\n"
		"  --json         all spans as JSON\n" TARGET_OPTIONS,
	.target = true,
	.run = run,
};
