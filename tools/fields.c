// SPDX-License-Identifier: MIT
/* Fields of the structures that the kernel fills in, as text and as JSON. */
#include <string.h>

#include "cmd.h"

static const char *fit_name(uint64_t fit)
{
	static const char *const names[] = {
		[PAGEARENA_FIT_DEFAULT] = "-",
		[PAGEARENA_FIT_BEST] = "best",
		[PAGEARENA_FIT_FIRST] = "first",
		[PAGEARENA_FIT_PLACED] = "placed",
	};

	return fit < ARRAY_SIZE(names) ? names[fit] : "?";
}

static const char *huge_name(uint64_t huge)
{
	return huge == PAGEARENA_HUGE_AUTO   ? "auto" :
	       huge == PAGEARENA_HUGE_NEVER  ? "never" :
	       huge == PAGEARENA_HUGE_ALWAYS ? "always" :
	       huge == PAGEARENA_HUGE_OFF    ? "off" :
					       "?";
}

uint64_t field_get(const struct field *f, const void *from)
{
	const char *at = (const char *)from + f->offset;
	uint64_t wide;
	uint32_t narrow;

	if (f->size == sizeof(narrow)) {
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

void print_fields(const struct field *fields, size_t count, const void *from, bool json, bool more)
{
	unsigned long long v;
	char buf[24];
	size_t i;

	for (i = 0; i < count; i++) {
		v = field_get(&fields[i], from);
		if (json) {
			printf("  \"%s\": ", fields[i].name);
			if (fields[i].unit == UNIT_FIT)
				printf("\"%s\"", fit_name(v));
			else if (fields[i].unit == UNIT_HUGE)
				printf("\"%s\"", huge_name(v));
			else
				printf("%llu", v);
			printf("%s\n", more || i + 1 < count ? "," : "");
			continue;
		}
		printf("%-21s", fields[i].name);
		switch (fields[i].unit) {
		case UNIT_BYTES:
			printf("%20llu", v);
			if (v >= 1024)
				printf("  %s", human(v, buf));
			break;
		case UNIT_COUNT:
			printf("%20llu", v);
			break;
		case UNIT_NS:
			printf("%20llu  %.3f s", v, (double)v / 1e9);
			break;
		case UNIT_FIT:
			printf("%20s", fit_name(v));
			break;
		case UNIT_HUGE:
			printf("%20s", huge_name(v));
			break;
		case UNIT_VERSION:
			snprintf(buf, sizeof(buf), "%llu.%llu", v >> 16, v & 0xffff);
			printf("%20s", buf);
			break;
		case UNIT_HEX:
			snprintf(buf, sizeof(buf), "0x%llx", v);
			printf("%20s", buf);
			break;
		}
		printf("\n");
	}
}
