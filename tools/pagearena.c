// SPDX-License-Identifier: MIT
/* The pagearena command: what the module offers, what an arena holds, replays of traces. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

/* A field of one of the structures that the kernel fills in. */
enum unit { UNIT_BYTES, UNIT_COUNT, UNIT_FIT, UNIT_HUGE, UNIT_VERSION, UNIT_HEX };

struct field {
	const char *name;
	size_t offset;
	size_t size;
	enum unit unit;
};

/* clang-format off */
#define FIELD(type, name, unit) \
	{ #name, offsetof(struct type, name), sizeof(((struct type *)0)->name), unit }
/* clang-format on */

static const struct field info_fields[] = {
	FIELD(pagearena_info, abi_version, UNIT_VERSION),
	FIELD(pagearena_info, features, UNIT_HEX),
	FIELD(pagearena_info, page_size, UNIT_BYTES),
	FIELD(pagearena_info, huge_size, UNIT_BYTES),
	FIELD(pagearena_info, pmd_size, UNIT_BYTES),
	FIELD(pagearena_info, span_page_min, UNIT_BYTES),
	FIELD(pagearena_info, span_page_max, UNIT_BYTES),
	FIELD(pagearena_info, arena_bytes_max, UNIT_BYTES),
	FIELD(pagearena_info, span_pages_max, UNIT_COUNT),
};

/* Of an arena that has been set up. */
static const struct field setup_fields[] = {
	FIELD(pagearena_info, arena_id, UNIT_COUNT),
	FIELD(pagearena_info, arena_bytes, UNIT_BYTES),
	FIELD(pagearena_info, span_page, UNIT_BYTES),
	FIELD(pagearena_info, granule, UNIT_BYTES),
	FIELD(pagearena_info, growth, UNIT_BYTES),
	FIELD(pagearena_info, limit, UNIT_BYTES),
	FIELD(pagearena_info, setup_flags, UNIT_HEX),
	FIELD(pagearena_info, fit, UNIT_FIT),
	FIELD(pagearena_info, huge, UNIT_HUGE),
};

static const struct field stats_fields[] = {
	FIELD(pagearena_stats, heap_sys, UNIT_BYTES),
	FIELD(pagearena_stats, heap_inuse, UNIT_BYTES),
	FIELD(pagearena_stats, heap_idle, UNIT_BYTES),
	FIELD(pagearena_stats, heap_released, UNIT_BYTES),
	FIELD(pagearena_stats, backed, UNIT_BYTES),
	FIELD(pagearena_stats, backed_inuse, UNIT_BYTES),
	FIELD(pagearena_stats, backed_free, UNIT_BYTES),
	FIELD(pagearena_stats, reclaimable, UNIT_BYTES),
	FIELD(pagearena_stats, huge_bytes, UNIT_BYTES),
	FIELD(pagearena_stats, huge_inuse, UNIT_BYTES),
	FIELD(pagearena_stats, small_bytes, UNIT_BYTES),
	FIELD(pagearena_stats, backed_peak, UNIT_BYTES),
	FIELD(pagearena_stats, inuse_peak, UNIT_BYTES),
	FIELD(pagearena_stats, spans_inuse, UNIT_COUNT),
	FIELD(pagearena_stats, spans_free, UNIT_COUNT),
	FIELD(pagearena_stats, spans_scavenged, UNIT_COUNT),
	FIELD(pagearena_stats, nr_alloc, UNIT_COUNT),
	FIELD(pagearena_stats, nr_free, UNIT_COUNT),
	FIELD(pagearena_stats, nr_grow, UNIT_COUNT),
	FIELD(pagearena_stats, nr_scavenge, UNIT_COUNT),
	FIELD(pagearena_stats, nr_fault, UNIT_COUNT),
	FIELD(pagearena_stats, nr_fault_huge, UNIT_COUNT),
	FIELD(pagearena_stats, nr_fault_denied, UNIT_COUNT),
	FIELD(pagearena_stats, nr_fault_failed, UNIT_COUNT),
	FIELD(pagearena_stats, nr_zap, UNIT_COUNT),
	FIELD(pagearena_stats, nr_huge_alloc, UNIT_COUNT),
	FIELD(pagearena_stats, nr_huge_failed, UNIT_COUNT),
	FIELD(pagearena_stats, nr_mid_alloc, UNIT_COUNT),
	FIELD(pagearena_stats, nr_promote, UNIT_COUNT),
	FIELD(pagearena_stats, nr_promote_background, UNIT_COUNT),
	FIELD(pagearena_stats, nr_demote, UNIT_COUNT),
	FIELD(pagearena_stats, nr_demote_failed, UNIT_COUNT),
	FIELD(pagearena_stats, bytes_copied, UNIT_BYTES),
	FIELD(pagearena_stats, bytes_zeroed, UNIT_BYTES),
	FIELD(pagearena_stats, bytes_background, UNIT_BYTES),
	FIELD(pagearena_stats, bytes_reclaimed, UNIT_BYTES),
	FIELD(pagearena_stats, bytes_limited, UNIT_BYTES),
	FIELD(pagearena_stats, bytes_refault, UNIT_BYTES),
	FIELD(pagearena_stats, background_ns, UNIT_COUNT),
	FIELD(pagearena_stats, nr_background, UNIT_COUNT),
	FIELD(pagearena_stats, background_slow, UNIT_COUNT),
	FIELD(pagearena_stats, background_hold_max, UNIT_COUNT),
	FIELD(pagearena_stats, pool_bytes, UNIT_BYTES),
	FIELD(pagearena_stats, nr_pool_hit, UNIT_COUNT),
	FIELD(pagearena_stats, nr_pool_miss, UNIT_COUNT),
	FIELD(pagearena_stats, bytes_pool_zeroed, UNIT_BYTES),
	FIELD(pagearena_stats, bytes_pool_unused, UNIT_BYTES),
	FIELD(pagearena_stats, pool_ns, UNIT_COUNT),
	FIELD(pagearena_stats, pressure_seq, UNIT_COUNT),
	FIELD(pagearena_stats, pressure_flags, UNIT_HEX),
};

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
					       "?";
}

static uint64_t get(const struct field *f, const void *from)
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

static void print_fields(const struct field *fields, size_t count, const void *from, bool json,
			 bool more)
{
	unsigned long long v;
	char buf[24];
	size_t i;

	for (i = 0; i < count; i++) {
		v = get(&fields[i], from);
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

static void print_features(uint64_t features)
{
	static const struct {
		uint64_t bit;
		const char *what;
	} names[] = {
		{ PAGEARENA_FEATURE_HUGE, "huge folios can be mapped" },
		{ PAGEARENA_FEATURE_MEMCG, "memory is charged to the creator" },
		{ PAGEARENA_FEATURE_RECOUNT, "debugfs has a recount for every arena" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		printf("  [%c] %s\n", features & names[i].bit ? 'x' : ' ', names[i].what);
}

static const char info_help[] = "Usage: pagearena info [--json] [--device PATH | TARGET]\n"
				"Tells what the module offers and, of a target, its geometry.\n"
				"\n" TARGET_HELP;

static const char stats_help[] = "Usage: pagearena stats [--json] TARGET\n"
				 "Prints the figures of an arena.\n"
				 "\n" TARGET_HELP;

/* The arguments that info and stats have in common. */
struct args {
	int fd;
	bool json;
	const char *name; /* of the target */
	const char *device;
	const char *help;
};

/* Returns a status, or -1 to go on. */
static int parse(int argc, char **argv, struct args *a)
{
	uint64_t number;
	int i;

	a->fd = -1;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			a->json = true;
		} else if (!strcmp(argv[i], "--help")) {
			fputs(a->help, stdout);
			return STATUS_OK;
		} else if (!strcmp(argv[i], "--device") && a->device) {
			if (++i >= argc)
				return usage_error("%s: --device needs a path", argv[0]);
			a->device = argv[i];
		} else if (a->fd >= 0) {
			return usage_error("%s: one target is enough: %s", argv[0], argv[i]);
		} else if (!strcmp(argv[i], "--fd")) {
			if (++i >= argc || !parse_u64(argv[i], &number) || number > INT32_MAX)
				return usage_error("%s: --fd needs a descriptor", argv[0]);
			a->fd = (int)number;
			a->name = argv[i];
		} else {
			a->name = argv[i];
			a->fd = open_target(argv[i]);
			if (a->fd == -2)
				return usage_error("%s: not a target: %s", argv[0], argv[i]);
			if (a->fd < 0)
				return STATUS_FAILED;
		}
	}
	return -1;
}

int cmd_info(int argc, char **argv)
{
	struct args a = { .device = PAGEARENA_DEVICE, .help = info_help };
	struct pagearena_info info;
	int status;
	bool set;

	status = parse(argc, argv, &a);
	if (status >= 0)
		return status;
	if (a.fd < 0) {
		a.name = a.device;
		a.fd = open(a.device, O_RDWR | O_CLOEXEC);
		if (a.fd < 0)
			return failed("%s: %s%s", a.device, strerror(errno),
				      errno == ENOENT ? " (is the module loaded?)" : "");
	}
	if (!check_arena(a.fd, a.name, &info))
		return STATUS_FAILED;
	set = info.arena_bytes;
	if (a.json)
		printf("{\n");
	print_fields(info_fields, ARRAY_SIZE(info_fields), &info, a.json, set);
	if (!a.json)
		print_features(info.features);
	if (set)
		print_fields(setup_fields, ARRAY_SIZE(setup_fields), &info, a.json, false);
	if (a.json)
		printf("}\n");
	return STATUS_OK;
}

int cmd_stats(int argc, char **argv)
{
	struct pagearena_stats stats = { .size = sizeof(stats) };
	struct args a = { .help = stats_help };
	struct pagearena_info info;
	int status;

	status = parse(argc, argv, &a);
	if (status >= 0)
		return status;
	if (a.fd < 0)
		return usage_error("stats: of which arena?");
	if (!check_arena(a.fd, a.name, &info) || !check_setup(a.name, &info))
		return STATUS_FAILED;
	if (arena_call(a.fd, PAGEARENA_IOC_STATS, &stats))
		return failed("cannot get the figures: %s", strerror(errno));
	if (a.json)
		printf("{\n");
	print_fields(stats_fields, ARRAY_SIZE(stats_fields), &stats, a.json, false);
	if (a.json)
		printf("}\n");
	return STATUS_OK;
}

static const char help[] =
	"Usage: pagearena COMMAND [...]\n"
	"\n"
	"  info [TARGET]   what the module offers; of an arena, its geometry\n"
	"  stats TARGET    the figures of an arena\n"
	"  spans TARGET    the spans of an arena, and a map of its heap\n"
	"  replay TRACE... replays what programs allocated, and checks every span\n"
	"\n"
	"  --help          this text; after a command, its own\n"
	"  --version       version of the command and of the ABI\n"
	"\n" TARGET_HELP "\n"
	"Every open() of the device makes an arena of its own, so an arena of another process\n"
	"can only be reached through that process's descriptor.\n"
	"Exit status: 0 success, 1 failure, 2 wrong usage.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "info", cmd_info },
	{ "replay", cmd_replay },
	{ "spans", cmd_spans },
	{ "stats", cmd_stats },
};

int main(int argc, char **argv)
{
	int status;
	size_t i;

	if (argc < 2) {
		fputs(help, stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		fputs(help, stdout);
		return STATUS_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("pagearena %d.%d (ABI %d.%d)\n", PAGEARENA_VERSION >> 16,
		       PAGEARENA_VERSION & 0xffff, PAGEARENA_ABI_VERSION >> 16,
		       PAGEARENA_ABI_VERSION & 0xffff);
		return STATUS_OK;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		status = commands[i].run(argc - 1, argv + 1);
		/* A full disk or a closed pipe is a failure too. */
		if ((fflush(stdout) || ferror(stdout)) && status == STATUS_OK)
			status = failed("cannot write: %s", strerror(errno));
		return status;
	}
	return usage_error("no such command: %s", argv[1]);
}
