// SPDX-License-Identifier: MIT
/* Messages, numbers and JSON. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

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
