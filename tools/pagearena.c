// SPDX-License-Identifier: MIT
/* The pagearena command: the list of its subcommands, and which of them is meant. */
#include <errno.h>
#include <string.h>

#include "cmd.h"

/* In the order of the help. */
static const struct command *const commands[] = {
	&cmd_doctor, &cmd_run,	  &cmd_top,    &cmd_info,   &cmd_stats, &cmd_spans,
	&cmd_map,    &cmd_policy, &cmd_record, &cmd_replay, &cmd_bench,
};

static const char target_help[] =
	"TARGET is one of\n"
	"  PID:FD    descriptor FD of process PID, taken with pidfd_getfd(2): this needs the\n"
	"            right to ptrace that process\n"
	"  PID       the only arena of process PID\n";

int print_help(const struct command *c)
{
	printf("Usage: pagearena %s %s\n%s", c->name, c->args, c->help);
	if (c->target)
		printf("\n%s", target_help);
	return STATUS_OK;
}

static void print_all(FILE *out)
{
	size_t i;

	fprintf(out, "Usage: pagearena COMMAND [...]\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-9s  %s\n", commands[i]->name, commands[i]->what);
	fprintf(out,
		"\n"
		"  --help     this text; after a command, its own\n"
		"  --version  version of the command and of the ABI\n"
		"\n%s\n"
		"Every open() of the device makes an arena of its own, so an arena of another process\n"
		"can only be reached through that process's descriptor.\n"
		"Exit status: 0 success, 1 failure, 2 wrong usage.\n",
		target_help);
}

int main(int argc, char **argv)
{
	int status;
	size_t i;

	if (argc < 2) {
		print_all(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_all(stdout);
		return STATUS_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("pagearena %d.%d (ABI %d.%d)\n", PAGEARENA_VERSION >> 16,
		       PAGEARENA_VERSION & 0xffff, PAGEARENA_ABI_VERSION >> 16,
		       PAGEARENA_ABI_VERSION & 0xffff);
		return STATUS_OK;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i]->name))
			continue;
		status = commands[i]->run(argc - 1, argv + 1);
		/* A full disk or a closed pipe is a failure too. */
		if ((fflush(stdout) || ferror(stdout)) && status == STATUS_OK)
			status = failed("cannot write: %s", strerror(errno));
		return status;
	}
	return usage_error("no such command: %s", argv[1]);
}
