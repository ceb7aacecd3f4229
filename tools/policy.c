// SPDX-License-Identifier: MIT
/* pagearena policy: what an arena does by itself, and how to change that. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

static const struct field fields[] = {
	FIELD(pagearena_policy, promote_percent, UNIT_COUNT),
	FIELD(pagearena_policy, promote_density, UNIT_COUNT),
	FIELD(pagearena_policy, scavenge_percent, UNIT_COUNT),
	FIELD(pagearena_policy, retain_percent, UNIT_COUNT),
	FIELD(pagearena_policy, scavenge_age_ns, UNIT_NS),
	FIELD(pagearena_policy, limit, UNIT_BYTES),
	FIELD(pagearena_policy, limit_soft, UNIT_COUNT),
	FIELD(pagearena_policy, pool_bytes, UNIT_BYTES),
};

/* The bits of &struct pagearena_policy.set, in the order of the fields. */
static const uint32_t bits[] = {
	PAGEARENA_POLICY_PROMOTE_PERCENT,
	PAGEARENA_POLICY_PROMOTE_DENSITY,
	PAGEARENA_POLICY_SCAVENGE_PERCENT,
	PAGEARENA_POLICY_RETAIN_PERCENT,
	PAGEARENA_POLICY_SCAVENGE_AGE,
	PAGEARENA_POLICY_LIMIT,
	PAGEARENA_POLICY_LIMIT,
	PAGEARENA_POLICY_POOL,
};

_Static_assert(ARRAY_SIZE(bits) == ARRAY_SIZE(fields), "a bit for each field");

/* A number of ns, or of ns, us, ms or s if it says so. */
static bool parse_ns(const char *text, uint64_t *ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } };
	size_t len = strspn(text, "0123456789"), i;
	char number[24];

	if (len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	number[len] = '\0';
	if (!parse_u64(number, ns))
		return false;
	if (!text[len])
		return true;
	for (i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(text + len, units[i].unit))
			return !__builtin_mul_overflow(*ns, units[i].ns, ns);
	return false;
}

/* KEY=VALUE; complains and returns false if that is none. */
static bool parse_setting(const char *text, struct pagearena_policy *p)
{
	const char *value = strchr(text, '=');
	uint64_t wide;
	uint32_t narrow;
	bool good;
	size_t i;

	for (i = 0; value && i < ARRAY_SIZE(fields); i++)
		if (strlen(fields[i].name) == (size_t)(value - text) &&
		    !strncmp(text, fields[i].name, (size_t)(value - text)))
			break;
	if (!value || i == ARRAY_SIZE(fields)) {
		usage_error("policy: not a setting: %s", text);
		return false;
	}
	value++;
	good = fields[i].unit == UNIT_NS    ? parse_ns(value, &wide) :
	       fields[i].unit == UNIT_BYTES ? parse_size(value, &wide) :
					      parse_u64(value, &wide);
	if (good && fields[i].size == sizeof(narrow)) {
		narrow = (uint32_t)wide;
		good = narrow == wide;
		memcpy((char *)p + fields[i].offset, &narrow, sizeof(narrow));
	} else if (good) {
		memcpy((char *)p + fields[i].offset, &wide, sizeof(wide));
	}
	if (!good)
		usage_error("policy: not a value: %s", text);
	p->set |= bits[i];
	return good;
}

static int run(int argc, char **argv)
{
	enum { OPT_JSON = OPT_COMMON };
	static const struct option longs[] = {
		OPTION_HELP,
		OPTION_FD,
		{ "json", no_argument, NULL, OPT_JSON },
		{ NULL, 0, NULL, 0 },
	};
	struct pagearena_policy now = { .size = sizeof(now) }, policy = { .size = sizeof(policy) };
	struct target t = TARGET_NONE;
	struct pagearena_info info;
	bool json = false;
	int c, status;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPT_JSON)
			json = true;
		else if (common_option(&cmd_policy, c, &t, &status))
			return status;
	}
	status = target_argument(&cmd_policy, argc, argv, &t);
	if (status)
		return status;
	if (!check_arena(t.fd, t.name, &info) || !check_setup(t.name, &info))
		return STATUS_FAILED;
	if (arena_call(t.fd, PAGEARENA_IOC_POLICY, &now))
		return failed("cannot get the policy: %s", strerror(errno));
	/* These two are set together: what is not named stays as it is. */
	policy.limit = now.limit;
	policy.limit_soft = now.limit_soft;
	for (; optind < argc; optind++)
		if (!parse_setting(argv[optind], &policy))
			return STATUS_USAGE;
	if (policy.set) {
		if (!(policy.set & PAGEARENA_POLICY_LIMIT)) {
			policy.limit = 0;
			policy.limit_soft = 0;
		}
		if (arena_call(t.fd, PAGEARENA_IOC_POLICY, &policy))
			return failed("cannot set the policy: %s", strerror(errno));
		now = policy;
	}
	if (json)
		printf("{\n");
	print_fields(fields, ARRAY_SIZE(fields), &now, json, false);
	if (json)
		printf("}\n");
	return STATUS_OK;
}

const struct command cmd_policy = {
	.name = "policy",
	.args = "[OPTION]... TARGET [KEY=VALUE]...",
	.what = "what an arena does by itself: shows it, or changes it",
	.help =
		"Prints the policy of an arena, after the settings that are given have been made, all\n"
		"of them or none.\n"
		"\n"
		"  --json         as JSON\n" TARGET_OPTIONS "\n"
		"KEY is one of\n"
		"  promote_percent   background promotion: percent of one CPU, 0 to 100\n"
		"  promote_density   chunks of which so many percent are live are promoted, 1 to 100\n"
		"  scavenge_percent  background scavenging: percent of one CPU, 0 to 100\n"
		"  retain_percent    free memory to keep, in percent of what is live, 0 to 1000\n"
		"  scavenge_age_ns   memory goes back when it has been free for so long; VALUE may\n"
		"                    end in ns, us, ms or s\n"
		"  limit             most bytes to be backed; 0: no limit\n"
		"  limit_soft        1: the limit is a goal; 0: it holds always\n"
		"  pool_bytes        bytes of huge folios to keep ready\n"
		"Bytes may end in K, M, G or T.\n",
	.target = true,
	.run = run,
};
