// SPDX-License-Identifier: MIT
/* pagearena run: a program with its heap in an arena. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "launch.h"

/* Adds to the settings that the library gets. */
__printf(2, 3) static void add(char settings[static 512], const char *fmt, ...)
{
	size_t used = strlen(settings);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(settings + used, 512 - used, fmt, ap);
	va_end(ap);
}

static bool one_of(const char *text, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(text, names[i]))
			return true;
	return false;
}

static int start(int argc, char **argv)
{
	enum {
		OPT_ARENA = OPT_COMMON, OPT_LIMIT, OPT_SOFT, OPT_HUGE, OPT_GRANULE, OPT_AGE,
		OPT_RETAIN, OPT_REPORT, OPT_FALLBACK, OPT_LIBRARY,
	};
	static const struct option longs[] = {
		OPTION_HELP,
		{ "arena", required_argument, NULL, OPT_ARENA },
		{ "limit", required_argument, NULL, OPT_LIMIT },
		{ "soft", no_argument, NULL, OPT_SOFT },
		{ "huge", required_argument, NULL, OPT_HUGE },
		{ "granule", required_argument, NULL, OPT_GRANULE },
		{ "age", required_argument, NULL, OPT_AGE },
		{ "retain", required_argument, NULL, OPT_RETAIN },
		{ "report", no_argument, NULL, OPT_REPORT },
		{ "fallback", no_argument, NULL, OPT_FALLBACK },
		{ "library", required_argument, NULL, OPT_LIBRARY },
		{ NULL, 0, NULL, 0 },
	};
	static const char *const huges[] = { "auto", "never", "always", "off" };
	const char *library = NULL;
	char settings[512] = "";
	struct target t = TARGET_NONE;
	bool require = true, good = true;
	uint64_t number;
	int c, fd, status;

	/* What follows the program's name is the program's. */
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case OPT_ARENA:
			good = parse_size(optarg, &number) && number;
			add(settings, "arena=%llu,", (unsigned long long)number);
			break;
		case OPT_LIMIT:
			good = parse_size(optarg, &number) && number;
			add(settings, "limit=%llu,", (unsigned long long)number);
			break;
		case OPT_SOFT:
			add(settings, "soft,");
			break;
		case OPT_HUGE:
			good = one_of(optarg, huges, ARRAY_SIZE(huges));
			add(settings, "huge=%.8s,", optarg);
			break;
		case OPT_GRANULE:
			good = parse_size(optarg, &number) && number;
			add(settings, "granule=%llu,", (unsigned long long)number);
			break;
		case OPT_AGE:
			good = parse_u64(optarg, &number) && number <= 1ULL << 40;
			add(settings, "age=%llu,", (unsigned long long)number);
			break;
		case OPT_RETAIN:
			good = parse_u64(optarg, &number) && number <= 1000;
			add(settings, "retain=%llu,", (unsigned long long)number);
			break;
		case OPT_REPORT:
			add(settings, "report,");
			break;
		case OPT_FALLBACK:
			require = false;
			break;
		case OPT_LIBRARY:
			library = optarg;
			break;
		default:
			if (common_option(&cmd_run, c, &t, &status))
				return status;
		}
		if (!good)
			return usage_error("run: not a value for that option: %s", optarg);
	}
	if (optind == argc)
		return usage_error("run: which program?");
	library = find_library(library);
	if (!library)
		return STATUS_FAILED;
	if (require) {
		/* Said here, where it is said once and not by every process. */
		fd = open(PAGEARENA_DEVICE, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return failed("%s: %s (see 'pagearena doctor', or use --fallback)",
				      PAGEARENA_DEVICE, strerror(errno));
		close(fd);
		add(settings, "require,");
	}
	if (!preload(library, settings))
		return failed("%s", strerror(errno));
	execvp(argv[optind], argv + optind);
	return failed("%s: %s", argv[optind], strerror(errno));
}

const struct command cmd_run = {
	.name = "run",
	.args = "[OPTION]... [--] PROGRAM [ARGUMENT]...",
	.what = "a program with its heap in an arena",
	.help =
		"Runs a program with libpagearena-malloc.so preloaded: its malloc() is jemalloc's, with\n"
		"an arena below it.  What it frees stays with the arena for a while and then goes back\n"
		"to the system by itself.  Programs that it starts get an arena each; one that is\n"
		"linked statically, or runs with privileges that it did not inherit, keeps the malloc()\n"
		"it has.\n"
		"\n"
		"  --arena SIZE     address space of the arena (default: 64G)\n"
		"  --limit SIZE     most memory to be backed; malloc() fails past it (default: no limit)\n"
		"  --soft           the limit is a goal, and malloc() does not fail\n"
		"  --huge auto|never|always|off\n"
		"                   when to use huge folios (default: auto)\n"
		"  --granule SIZE   unit in which memory is released (default: the MMU page)\n"
		"  --age MS         free memory goes back after so long (default: as the module says)\n"
		"  --retain PERCENT free memory to keep, in percent of what is in use (default: as the\n"
		"                   module says)\n"
		"  --report         at the end of each process, say on standard error what it used\n"
		"  --fallback       without an arena run it in plain memory, with a warning\n"
		"  --library FILE   the library (default: beside this command, or where libraries are)\n"
		"\n"
		"At fork() the parent waits until the child has a copy of all that is allocated.\n"
		"Exit status: that of the program; 1 if it could not be run, 2 wrong usage.\n",
	.run = start,
};
