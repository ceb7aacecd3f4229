// SPDX-License-Identifier: MIT
/* Reads a trace, and checks that it makes sense before anything is replayed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "trace.h"

/* Tables are indexed by id: a limit that keeps a broken trace from taking all memory. */
#define MAX_ID (1U << 26)

/* Opens a trace; pid is that of the decompressor, or 0. */
static FILE *open_trace(const char *path, pid_t *pid)
{
	size_t len = strlen(path);
	int fd, out[2];
	FILE *f;

	*pid = 0;
	if (!strcmp(path, "-"))
		return stdin;
	if (len < 3 || strcmp(path + len - 3, ".xz"))
		return fopen(path, "re");

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (pipe2(out, O_CLOEXEC)) {
		close(fd);
		return NULL;
	}
	*pid = fork();
	if (!*pid) {
		dup2(fd, STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execlp("xz", "xz", "-dc", (char *)NULL);
		failed("cannot run xz: %s", strerror(errno));
		_exit(127);
	}
	close(fd);
	close(out[1]);
	f = *pid < 0 ? NULL : fdopen(out[0], "r");
	if (!f)
		close(out[0]);
	return f;
}

/* A number below 2^64 and what ends it. */
static bool number(char **pos, uint64_t *value, char end)
{
	char *p = *pos;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (end && *p != end)
		return false;
	*pos = p + (end != 0);
	*value = v;
	return true;
}

/* t_ns,op,id,npages[,align_pages] */
static bool parse_line(char *line, struct trace_op *op)
{
	uint64_t id, npages, align = 1;

	if (!number(&line, &op->time, ','))
		return false;
	op->op = *line;
	if (!op->op || !strchr("afp", op->op) || line[1] != ',')
		return false;
	line += 2;
	if (!number(&line, &id, ',') || !number(&line, &npages, 0))
		return false;
	if (*line == ',' && (line++, !number(&line, &align, 0)))
		return false;
	if (*line == '\r')
		line++;
	if (*line == '\n')
		line++;
	if (*line || !id || id > MAX_ID || !npages || npages >= UINT32_MAX || !align ||
	    align & (align - 1) || align > 1U << 31)
		return false;
	op->id = (uint32_t)id;
	op->npages = (uint32_t)npages;
	op->align = (uint32_t)align;
	return true;
}

/* An array that grows; new elements are zero. */
static bool grow(void *array, size_t size, size_t *room, size_t need)
{
	size_t more = *room * 2 + 4096;
	char *bigger;

	if (need <= *room)
		return true;
	if (more < need)
		more = need;
	bigger = reallocarray(*(void **)array, more, size);
	if (!bigger)
		return false;
	memset(bigger + *room * size, 0, (more - *room) * size);
	*room = more;
	*(void **)array = bigger;
	return true;
}

/* What live holds for an id that was freed: ids are not used again. */
#define FREED UINT32_MAX

/* NULL, or why an operation cannot be.  live holds the length of every id, 0 before. */
static const char *check_op(const struct trace_op *op, const uint32_t *live)
{
	if (op->op == 'a')
		return live[op->id] ? "this id is not new" : NULL;
	if (!live[op->id] || live[op->id] == FREED)
		return "this id is not live";
	return live[op->id] == op->npages ? NULL : "this id has another length";
}

static bool read_ops(struct trace *t, FILE *f, const char *path, uint64_t max_ops)
{
	size_t room_ops = 0, room_live = 0, line_size = 0;
	uint64_t pages = 0, spans = 0, last = 0, line_no = 0;
	char *line = NULL, *value;
	uint32_t *live = NULL;
	const char *why = NULL;
	struct trace_op op;

	while (t->nr_ops < max_ops && getline(&line, &line_size, f) > 0) {
		line_no++;
		if (*line == '#') {
			line[strcspn(line, "\r\n")] = '\0';
			value = line + strlen("# page_size: ");
			if (!strncmp(line, "# page_size: ", strlen("# page_size: ")))
				t->page_size = (uint32_t)strtoul(value, NULL, 10);
			value = line + strlen("# program: ");
			if (!strncmp(line, "# program: ", strlen("# program: "))) {
				free(t->program);
				t->program = strdup(value);
			}
			continue;
		}
		if (!parse_line(line, &op)) {
			why = "not an operation";
			break;
		}
		if (op.time < last) {
			why = "time goes backwards";
			break;
		}
		last = op.time;
		if (!grow(&live, sizeof(*live), &room_live, (size_t)op.id + 1) ||
		    !grow(&t->ops, sizeof(*t->ops), &room_ops, t->nr_ops + 1)) {
			why = strerror(errno);
			break;
		}
		why = check_op(&op, live);
		if (why)
			break;
		if (op.op == 'a') {
			live[op.id] = op.npages;
			pages += op.npages;
			spans++;
		} else if (op.op == 'f') {
			live[op.id] = FREED;
			pages -= op.npages;
			spans--;
		}
		if (pages > t->peak_pages) {
			t->peak_pages = pages;
			t->peak_spans = spans;
			t->peak_op = t->nr_ops;
		}
		if (op.id > t->max_id)
			t->max_id = op.id;
		t->ops[t->nr_ops++] = op;
	}
	if (!why && ferror(f))
		why = strerror(errno);
	free(live);
	free(line);
	if (why)
		failed("%s:%llu: %s", path, (unsigned long long)line_no, why);
	return !why;
}

/* Reads at most max_ops operations.  Complains and returns false if that does not work. */
bool trace_load(struct trace *t, const char *path, uint64_t max_ops)
{
	int status = 0;
	pid_t pid;
	FILE *f;
	bool good;

	memset(t, 0, sizeof(*t));
	t->page_size = 4096;
	f = open_trace(path, &pid);
	if (!f) {
		failed("%s: %s", path, strerror(errno));
		return false;
	}
	good = read_ops(t, f, path, max_ops);
	if (f != stdin)
		fclose(f);
	if (pid > 0) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		/* With --ops the pipe was closed before xz was through. */
		if (good && t->nr_ops < max_ops && status) {
			failed("%s: xz failed", path);
			good = false;
		}
	}
	if (good && !t->nr_ops) {
		failed("%s: no operations", path);
		good = false;
	}
	if (good && (t->page_size < 512 || t->page_size & (t->page_size - 1))) {
		failed("%s: bad page_size in the header", path);
		good = false;
	}
	if (!good)
		trace_unload(t);
	return good;
}

void trace_unload(struct trace *t)
{
	free(t->ops);
	free(t->program);
	memset(t, 0, sizeof(*t));
}
