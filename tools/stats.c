// SPDX-License-Identifier: MIT
/* pagearena stats: the figures of an arena. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "cmd.h"

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
	FIELD(pagearena_stats, background_ns, UNIT_NS),
	FIELD(pagearena_stats, nr_background, UNIT_COUNT),
	FIELD(pagearena_stats, background_slow, UNIT_COUNT),
	FIELD(pagearena_stats, background_hold_max, UNIT_COUNT),
	FIELD(pagearena_stats, pool_bytes, UNIT_BYTES),
	FIELD(pagearena_stats, nr_pool_hit, UNIT_COUNT),
	FIELD(pagearena_stats, nr_pool_miss, UNIT_COUNT),
	FIELD(pagearena_stats, bytes_pool_zeroed, UNIT_BYTES),
	FIELD(pagearena_stats, bytes_pool_unused, UNIT_BYTES),
	FIELD(pagearena_stats, pool_ns, UNIT_NS),
	FIELD(pagearena_stats, pressure_seq, UNIT_COUNT),
	FIELD(pagearena_stats, pressure_flags, UNIT_HEX),
};

static int run(int argc, char **argv)
{
	enum { OPT_JSON = OPT_COMMON };
	static const struct option longs[] = {
		OPTION_HELP,
		OPTION_FD,
		{ "json", no_argument, NULL, OPT_JSON },
		{ NULL, 0, NULL, 0 },
	};
	struct pagearena_stats stats = { .size = sizeof(stats) };
	struct target t = TARGET_NONE;
	struct pagearena_info info;
	bool json = false;
	int c, status;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPT_JSON)
			json = true;
		else if (common_option(&cmd_stats, c, &t, &status))
			return status;
	}
	status = target_argument(&cmd_stats, argc, argv, &t);
	if (!status)
		status = last_argument(&cmd_stats, argc, argv);
	if (status)
		return status;
	if (!check_arena(t.fd, t.name, &info) || !check_setup(t.name, &info))
		return STATUS_FAILED;
	if (arena_call(t.fd, PAGEARENA_IOC_STATS, &stats))
		return failed("cannot get the figures: %s", strerror(errno));
	if (json)
		printf("{\n");
	print_fields(stats_fields, ARRAY_SIZE(stats_fields), &stats, json, false);
	if (json)
		printf("}\n");
	return STATUS_OK;
}

const struct command cmd_stats = {
	.name = "stats",
	.args = "[OPTION]... TARGET",
	.what = "the figures of an arena",
	.help =
		"Prints the figures of an arena, as PAGEARENA_IOC_STATS tells them.\n"
		"\n"
		"  --json         as JSON\n" TARGET_OPTIONS,
	.target = true,
	.run = run,
};
