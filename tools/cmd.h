/* SPDX-License-Identifier: MIT */
/* What the parts of the pagearena command share. */
#ifndef PAGEARENA_CMD_H
#define PAGEARENA_CMD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <pagearena.h>

/* Exit status of the command. */
#define STATUS_OK	0
#define STATUS_FAILED	1
#define STATUS_USAGE	2

#define __printf(a, b)	__attribute__((__format__(__printf__, \
						  a, b)))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Each subcommand gets its own arguments, its name first, and returns the status. */
int cmd_info(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_spans(int argc, char **argv);
int cmd_stats(int argc, char **argv);

/* util.c */
__printf(1, 2) int usage_error(const char *fmt, ...);
__printf(1, 2) int failed(const char *fmt, ...);
bool parse_u64(const char *text, uint64_t *value);
bool parse_size(const char *text, uint64_t *bytes);
const char *human(uint64_t bytes, char buf[static 24]);
void json_string(FILE *out, const char *text);

/* target.c: descriptors of arenas, also of other processes */
#define TARGET_HELP \
	"TARGET is one of\n" \
	"  PID:FD    descriptor FD of process PID, taken with pidfd_getfd(2): this needs the\n" \
	"            right to ptrace that process\n" \
	"  PID       the only arena of process PID\n" \
	"  --fd N    descriptor N that this command inherited\n"

int open_target(const char *target);
int arena_call(int fd, unsigned long nr, void *arg);
bool check_arena(int fd, const char *name, struct pagearena_info *info);
bool check_setup(const char *name, const struct pagearena_info *info);

/* spans.c */
void draw_map(FILE *out, const struct pagearena_span *spans, size_t count);
struct pagearena_span *read_spans(int fd, size_t *count);

#endif /* PAGEARENA_CMD_H */
