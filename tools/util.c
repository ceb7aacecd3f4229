// SPDX-License-Identifier: MIT
/* Messages, numbers and JSON. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

static void complain(const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "pagearena: ");
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int usage_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	fprintf(stderr, "Try 'pagearena --help'.\n");
	return STATUS_USAGE;
}

int failed(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	return STATUS_FAILED;
}

/* Only digits: strtoull() alone would take "-1" and " 1" as well. */
static const char *digits(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno ? NULL : end;
}

bool parse_u64(const char *text, uint64_t *value)
{
	const char *end = digits(text, value);

	return end && !*end;
}

/* A number of bytes, with an optional K, M, G or T for powers of 1024. */
bool parse_size(const char *text, uint64_t *bytes)
{
	const char *end = digits(text, bytes);
	unsigned int shift = 0;

	if (!end)
		return false;
	switch (*end) {
	case 'T':
	case 't':
		shift += 10;
		/* fallthrough */
	case 'G':
	case 'g':
		shift += 10;
		/* fallthrough */
	case 'M':
	case 'm':
		shift += 10;
		/* fallthrough */
	case 'K':
	case 'k':
		shift += 10;
		end++;
		break;
	}
	if (*end || *bytes << shift >> shift != *bytes)
		return false;
	*bytes <<= shift;
	return true;
}

/* 1536 is "1.5 KiB". */
const char *human(uint64_t bytes, char buf[static 24])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	/* Whatever would be printed as 1024.0 goes up one unit. */
	while (value >= 1023.95 && unit < ARRAY_SIZE(units) - 1) {
		value /= 1024;
		unit++;
	}
	/* Spans and granules have a few whole KiB. */
	snprintf(buf, 24, unit < 2 && value == (double)(uint64_t)value ? "%.0f %s" : "%.1f %s",
		 value, units[unit]);
	return buf;
}

void json_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(out, "\\u%04x", *text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Colour is for terminals, and for those who did not turn it off: see no-color.org. */
bool has_color(FILE *out)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fileno(out)) && term && strcmp(term, "dumb") && !(no && *no);
}

#define BAR_WIDTH 40

/* On one line of stderr; a total of 0 takes it away again. */
void progress(const char *what, uint64_t done, uint64_t total)
{
	static const char full[] = "########################################";
	int part;

	if (!total) {
		fprintf(stderr, "\r\033[K");
		return;
	}
	part = (int)(done * BAR_WIDTH / total);
	fprintf(stderr, "\r%s [%-*.*s] %3d %%", what, BAR_WIDTH, part, full,
		(int)(done * 100 / total));
}
