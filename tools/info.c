// SPDX-License-Identifier: MIT
/* pagearena info: what the module offers, and of an arena its geometry. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>

#include "cmd.h"

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

static int run(int argc, char **argv)
{
	enum { OPT_JSON = OPT_COMMON, OPT_DEVICE };
	static const struct option longs[] = {
		OPTION_HELP,
		OPTION_FD,
		{ "json", no_argument, NULL, OPT_JSON },
		{ "device", required_argument, NULL, OPT_DEVICE },
		{ NULL, 0, NULL, 0 },
	};
	struct target t = TARGET_NONE;
	const char *device = PAGEARENA_DEVICE;
	struct pagearena_info info;
	bool json = false, set;
	int c, status;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPT_JSON)
			json = true;
		else if (c == OPT_DEVICE)
			device = optarg;
		else if (common_option(&cmd_info, c, &t, &status))
			return status;
	}
	if (t.fd < 0 && optind == argc) {
		t.name = device;
		t.fd = open(device, O_RDWR | O_CLOEXEC);
		if (t.fd < 0)
			return failed("%s: %s%s", device, strerror(errno),
				      errno == ENOENT ? " (is the module loaded?)" : "");
	} else {
		status = target_argument(&cmd_info, argc, argv, &t);
		if (status)
			return status;
	}
	if (last_argument(&cmd_info, argc, argv))
		return STATUS_USAGE;
	if (!check_arena(t.fd, t.name, &info))
		return STATUS_FAILED;
	set = info.arena_bytes;
	if (json)
		printf("{\n");
	print_fields(info_fields, ARRAY_SIZE(info_fields), &info, json, set);
	if (!json)
		print_features(info.features);
	if (set)
		print_fields(setup_fields, ARRAY_SIZE(setup_fields), &info, json, false);
	if (json)
		printf("}\n");
	return STATUS_OK;
}

const struct command cmd_info = {
	.name = "info",
	.args = "[OPTION]... [TARGET]",
	.what = "what the module offers; of an arena, its geometry",
	.help =
		"Tells what the module offers and, of a target, its geometry.\n"
		"\n"
		"  --device PATH  the device (default: " PAGEARENA_DEVICE ")\n"
		"  --json         as JSON\n" TARGET_OPTIONS,
	.target = true,
	.run = run,
};
