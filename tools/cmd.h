/* SPDX-License-Identifier: MIT */
/* What the parts of the pagearena command share. */
#ifndef PAGEARENA_CMD_H
#define PAGEARENA_CMD_H

#include <stdbool.h>
#include <stddef.h>
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

/**
 * struct command - a subcommand; each has a file of its own, pagearena.c has the list
 * @name: its name
 * @args: what follows it, for the first line of its help
 * @what: what it does, on a line of the help of the whole
 * @help: the rest of its help.  A line that begins with two blanks and "--" is an option;
 *	the tests compare these with the man page, the completion offers them
 * @target: it takes a target, which the help explains then
 * @run: gets its own arguments, its name first, and returns a status
 */
struct command {
	const char *name;
	const char *args;
	const char *what;
	const char *help;
	bool target;
	int (*run)(int argc, char **argv);
};

extern const struct command cmd_bench;
extern const struct command cmd_doctor;
extern const struct command cmd_info;
extern const struct command cmd_map;
extern const struct command cmd_policy;
extern const struct command cmd_record;
extern const struct command cmd_replay;
extern const struct command cmd_run;
extern const struct command cmd_spans;
extern const struct command cmd_stats;
extern const struct command cmd_top;

/* Options that commands have in common; they number their own from OPT_COMMON. */
enum { OPT_HELP = 1000, OPT_FD, OPT_COMMON };

/* clang-format off */
#define OPTION_HELP	{ "help", no_argument, NULL, OPT_HELP }
#define OPTION_FD	{ "fd", required_argument, NULL, OPT_FD }
/* clang-format on */

#define TARGET_OPTIONS "  --fd N         the target is descriptor N, which this command inherited\n"

/* pagearena.c */
int print_help(const struct command *c);

/* util.c */
__printf(1, 2) int usage_error(const char *fmt, ...);
__printf(1, 2) int failed(const char *fmt, ...);
bool parse_u64(const char *text, uint64_t *value);
bool parse_size(const char *text, uint64_t *bytes);
const char *human(uint64_t bytes, char buf[static 24]);
void json_string(FILE *out, const char *text);
uint64_t clock_ns(void);
bool has_color(FILE *out);
void progress(const char *what, uint64_t done, uint64_t total);

/* target.c: descriptors of arenas, also of other processes */
struct target {
	const char *name;
	int fd;
};

/* clang-format off */
#define TARGET_NONE	{ .fd = -1 }
/* clang-format on */

bool common_option(const struct command *c, int opt, struct target *t, int *status);
int target_argument(const struct command *c, int argc, char **argv, struct target *t);
int last_argument(const struct command *c, int argc, char **argv);
int open_target(const char *target);
int copy_descriptor(int pid, int fd);
int arena_call(int fd, unsigned long nr, void *arg);
bool check_arena(int fd, const char *name, struct pagearena_info *info);
bool check_setup(const char *name, const struct pagearena_info *info);

/* fields.c: fields of the structures that the kernel fills in */
enum unit { UNIT_BYTES, UNIT_COUNT, UNIT_NS, UNIT_FIT, UNIT_HUGE, UNIT_VERSION, UNIT_HEX };

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

uint64_t field_get(const struct field *f, const void *from);
void print_fields(const struct field *fields, size_t count, const void *from, bool json, bool more);

/* map.c */
void draw_map(FILE *out, const struct pagearena_span *spans, size_t count);

/* spans.c */
const char *state_name(const struct pagearena_span *s);
struct pagearena_span *read_spans(int fd, size_t *count);

#endif /* PAGEARENA_CMD_H */
