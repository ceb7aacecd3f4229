// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Programs: made from a seed, changed, and as text.
 *
 * Arguments are plain numbers that mean something whatever else the program does: "the n-th
 * span from here", "so far into the arena, modulo its size".  So any line can be taken out of a
 * program, and what is left is a program.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

const struct kind_info kinds[KIND_NR] = {
	[K_alloc] = { "alloc", 3, 14 },
	[K_fixed] = { "fixed", 3, 4 },
	[K_free] = { "free", 2, 14 },
	[K_resize] = { "resize", 4, 6 },
	[K_scavenge] = { "scavenge", 3, 3 },
	[K_promote] = { "promote", 5, 3 },
	[K_stats] = { "stats", 1, 2 },
	[K_spans] = { "spans", 2, 2 },
	[K_query] = { "query", 1, 2 },
	[K_info] = { "info", 0, 1 },
	[K_policy] = { "policy", 4, 1 },
	[K_batch] = { "batch", 4, 4 },
	[K_churn] = { "churn", 3, 3 },
	[K_bad] = { "bad", 4, 4 },
	[K_write] = { "write", 4, 16 },
	[K_check] = { "check", 3, 10 },
	[K_peek] = { "peek", 3, 3 },
	[K_stray] = { "stray", 3, 2 },
	[K_mmap] = { "mmap", 5, 3 },
	[K_munmap] = { "munmap", 3, 2 },
	[K_mremap] = { "mremap", 5, 2 },
	[K_mprotect] = { "mprotect", 4, 2 },
	[K_madvise] = { "madvise", 4, 5 },
	[K_range] = { "range", 4, 1 },
	[K_fork] = { "fork", 3, 1 },
	[K_vmsplice] = { "vmsplice", 3, 2 },
	[K_drain] = { "drain", 2, 2 },
	[K_readv] = { "readv", 3, 2 },
	[K_writev] = { "writev", 4, 2 },
	[K_pipe] = { "pipe", 4, 2 },
	[K_pass] = { "pass", 1, 1 },
	[K_receive] = { "receive", 0, 1 },
	[K_dup] = { "dup", 1, 1 },
	[K_kill] = { "kill", 1, 1 },
	[K_signal] = { "signal", 1, 2 },
	[K_other] = { "other", 4, 1 },
	[K_poll] = { "poll", 0, 1 },
	[K_proc] = { "proc", 2, 1 },
	[K_recount] = { "recount", 0, 1 },
	[K_reclaim] = { "reclaim", 2, 1 },
	[K_corrupt] = { "corrupt", 1, 0 },
};

static const struct {
	const char *name;
	size_t at;
} fields[] = {
	{ "procs", offsetof(struct config, procs) },
	{ "threads", offsetof(struct config, threads) },
	{ "serial", offsetof(struct config, serial) },
	{ "bytes", offsetof(struct config, bytes) },
	{ "page", offsetof(struct config, page) },
	{ "granule", offsetof(struct config, granule) },
	{ "growth", offsetof(struct config, growth) },
	{ "limit", offsetof(struct config, limit) },
	{ "fit", offsetof(struct config, fit) },
	{ "huge", offsetof(struct config, huge) },
	{ "flags", offsetof(struct config, flags) },
	{ "background", offsetof(struct config, background) },
};

/* Between words. */
#define SPACES		"\n "

static __u64 *field(const struct config *cfg, unsigned int i)
{
	return (__u64 *)((char *)cfg + fields[i].at);
}

/* splitmix64 */
__u64 rnd(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

__u64 below(__u64 *state, __u64 n)
{
	return rnd(state) % n;
}

static void make_config(struct config *cfg, __u64 *rng, unsigned int procs)
{
	__u64 unit;

	memset(cfg, 0, sizeof(*cfg));
	cfg->procs = procs ? procs : 1 + below(rng, 4);
	cfg->threads = 1 + below(rng, 3);
	cfg->serial = below(rng, 4) == 0;
	cfg->page = below(rng, 3) ? 0 : (__u64)4096 << below(rng, 7);
	cfg->granule = below(rng, 3) ? 0 : (__u64)4096 << below(rng, 10);
	unit = MAX(MAX(cfg->page, cfg->granule), (__u64)8192);
	cfg->bytes = ALIGN_UP((2 + below(rng, 30)) * MiB + below(rng, 512) * 4096, unit);
	if (below(rng, 2))
		cfg->growth = ALIGN_UP(below(rng, 4 * MiB) + 1, unit);
	if (below(rng, 4) == 0)
		cfg->limit = below(rng, cfg->bytes) + 256 * KiB;
	cfg->growth = MIN(cfg->growth, cfg->bytes);
	cfg->fit = below(rng, 4);
	cfg->huge = below(rng, 4);
	if (below(rng, 6) == 0)
		cfg->flags |= PAGEARENA_SETUP_DEBUG;
	if (cfg->limit && below(rng, 2))
		cfg->flags |= PAGEARENA_SETUP_SOFT_LIMIT;
	cfg->background = below(rng, 3) ? 0 : 1 + below(rng, 100);
}

/* Lengths, in bytes: mostly small ones, some of about a chunk. */
static __u64 make_len(__u64 *rng)
{
	switch (below(rng, 16)) {
	case 0:
		return 2 * MiB + below(rng, 3) * 4096 - 4096;
	case 1:
	case 2:
		return below(rng, 3 * MiB) + 1;
	case 3 ... 5:
		return below(rng, 256 * KiB) + 1;
	default:
		return (below(rng, 12) + 1) * 4096;
	}
}

/* Offsets and lengths of ranges that are looked at, in bytes. */
static __u64 make_at(__u64 *rng)
{
	return below(rng, 2) ? below(rng, 32) * 2 * MiB : below(rng, UNITS_MAX) * UNIT;
}

static __u64 make_range(__u64 *rng)
{
	return below(rng, 2) ? (1 + below(rng, 3)) * 2 * MiB : (1 + below(rng, 64)) * UNIT;
}

static void make_args(struct line *l, __u64 *rng)
{
	__u64 *a = l->arg;
	unsigned int i;

	for (i = 0; i < ARGS_MAX; i++)
		a[i] = below(rng, 256);
	switch (l->kind) {
	case K_alloc:
		a[0] = make_len(rng);
		a[1] = below(rng, 4) ? 0 : (__u64)4096 << below(rng, 11);
		a[2] = below(rng, 4);
		break;
	case K_fixed:
		a[0] = make_at(rng);
		a[1] = make_len(rng);
		a[2] = below(rng, 4);
		break;
	case K_resize:
		a[1] = make_len(rng);
		a[2] = below(rng, 4);
		break;
	case K_scavenge:
		a[0] = below(rng, 2) ? ~0ULL : make_len(rng);
		a[1] = below(rng, 4);
		a[2] = below(rng, 2) ? 0 : below(rng, 2000000);
		break;
	case K_promote:
		a[0] = make_at(rng);
		a[1] = make_range(rng);
		a[2] = below(rng, 3) ? 0 : below(rng, 101);
		a[3] = below(rng, 4);
		a[4] = below(rng, 8) ? 0 : below(rng, 1000000);
		break;
	case K_spans:
		a[0] = make_at(rng);
		break;
	case K_policy:
		a[0] = below(rng, 128);
		a[1] = rnd(rng);
		a[2] = below(rng, 4) ? 0 : below(rng, 40 * MiB);
		a[3] = below(rng, 3) * 2 * MiB;
		break;
	case K_batch:
		a[0] = 1 + (below(rng, 4) ? below(rng, 24) : below(rng, 96));
		a[1] = rnd(rng);
		break;
	case K_churn:
		a[1] = rnd(rng);
		break;
	case K_bad:
		a[1] = below(rng, 16);
		a[2] = rnd(rng);
		break;
	case K_write:
		a[3] = rnd(rng) & 0x7fffff;
		break;
	case K_writev:
	case K_pipe:
		a[2] = rnd(rng) & 0x7fffff;
		break;
	case K_peek:
	case K_stray:
		a[0] = make_at(rng) + below(rng, UNIT);
		break;
	case K_mmap:
	case K_munmap:
	case K_mremap:
	case K_mprotect:
	case K_madvise:
	case K_range:
		a[1] = make_at(rng);
		a[2] = make_range(rng);
		if (l->kind == K_mremap)
			a[4] = make_range(rng);
		break;
	case K_other:
		a[2] = rnd(rng);
		break;
	case K_reclaim:
		a[1] = make_len(rng);
		break;
	}
	for (i = kinds[l->kind].args; i < ARGS_MAX; i++)
		a[i] = 0;
}

/* A line of one of the kinds that the mask names. */
static void make_line(const struct config *cfg, struct line *l, __u64 mask, __u64 *rng)
{
	unsigned int i, sum = 0, dice;

	for (i = 0; i < KIND_NR; i++)
		sum += mask >> i & 1 ? kinds[i].weight : 0;
	dice = (unsigned int)below(rng, sum);
	for (i = 0; ; i++) {
		if (!(mask >> i & 1))
			continue;
		if (dice < kinds[i].weight)
			break;
		dice -= kinds[i].weight;
	}
	l->proc = (__u8)below(rng, cfg->procs);
	l->thread = (__u8)below(rng, cfg->threads);
	l->kind = (__u8)i;
	make_args(l, rng);
}

/* Each program leaves some kinds out: rare states are reached where nothing undoes them. */
static __u64 make_mask(__u64 *rng)
{
	__u64 must = 1ULL << K_alloc | 1ULL << K_write | 1ULL << K_check | 1ULL << K_free;
	__u64 all = (1ULL << KIND_NR) - 1;

	return below(rng, 3) ? (rnd(rng) | must) & all : all;
}

/**
 * program_make() - make a program
 * @p: where to
 * @seed: decides everything
 * @lines: number of operations
 * @procs: number of processes; 0: any
 */
void program_make(struct program *p, __u64 seed, unsigned int lines, unsigned int procs)
{
	__u64 rng = seed, mask;

	make_config(&p->cfg, &rng, procs);
	mask = make_mask(&rng);
	lines = MIN(lines, (unsigned int)LINES_MAX);
	for (p->nr = 0; p->nr < lines; p->nr++)
		make_line(&p->cfg, &p->line[p->nr], mask, &rng);
}

/* Makes room for lines, and says for how many there was. */
static unsigned int insert(struct program *p, unsigned int at, unsigned int nr)
{
	nr = MIN(nr, LINES_MAX - p->nr);
	memmove(p->line + at + nr, p->line + at, (p->nr - at) * sizeof(p->line[0]));
	p->nr += nr;
	return nr;
}

/* Lines of actors that the program does not have become others'. */
static void tame(struct program *p)
{
	unsigned int i;

	for (i = 0; i < p->nr; i++) {
		p->line[i].proc %= p->cfg.procs;
		p->line[i].thread %= p->cfg.threads;
	}
}

/**
 * program_mutate() - change a program somewhat
 * @p: the program
 * @other: another one, from which lines may come
 * @rng: state of the random numbers
 */
void program_mutate(struct program *p, const struct program *other, __u64 *rng)
{
	unsigned int times = 1 + (unsigned int)below(rng, 6), at, nr, from;
	__u64 mask = make_mask(rng);

	while (times--) {
		at = (unsigned int)below(rng, p->nr + 1);
		switch (below(rng, 8)) {
		case 0: /* new lines */
			nr = insert(p, at, 1 + (unsigned int)below(rng, 16));
			while (nr--)
				make_line(&p->cfg, &p->line[at++], mask, rng);
			break;
		case 1: /* fewer */
			nr = MIN(1 + (unsigned int)below(rng, 16), p->nr - at);
			memmove(p->line + at, p->line + at + nr,
				(p->nr - at - nr) * sizeof(p->line[0]));
			p->nr -= nr;
			break;
		case 2: /* some of the other's */
			if (!other->nr)
				break;
			from = (unsigned int)below(rng, other->nr);
			nr = MIN(1 + (unsigned int)below(rng, 64), other->nr - from);
			nr = insert(p, at, nr);
			memcpy(p->line + at, other->line + from, nr * sizeof(p->line[0]));
			break;
		case 3: /* what somebody does, somebody else does */
			if (at < p->nr) {
				p->line[at].proc = (__u8)below(rng, p->cfg.procs);
				p->line[at].thread = (__u8)below(rng, p->cfg.threads);
			}
			break;
		case 4: /* another geometry */
			make_config(&p->cfg, rng, (unsigned int)p->cfg.procs);
			break;
		default: /* other arguments */
			if (at < p->nr)
				make_args(&p->line[at], rng);
		}
	}
	tame(p);
}

/**
 * program_write() - write a program as text
 * @p: the program
 * @f: where to
 */
void program_write(const struct program *p, FILE *f)
{
	unsigned int i, j;

	fprintf(f, "config");
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		fprintf(f, " %s=%" PRIu64, fields[i].name, (uint64_t)*field(&p->cfg, i));
	fprintf(f, "\n");
	for (i = 0; i < p->nr; i++) {
		const struct line *l = &p->line[i];

		fprintf(f, "%u", l->proc);
		if (l->thread)
			fprintf(f, ".%u", l->thread);
		fprintf(f, " %s", kinds[l->kind].name);
		for (j = 0; j < kinds[l->kind].args; j++)
			fprintf(f, " %" PRIu64, (uint64_t)l->arg[j]);
		fprintf(f, "\n");
	}
}

static bool read_config(struct program *p, char *text)
{
	char *word, *save = NULL, *value;
	unsigned int i;

	for (word = strtok_r(text, SPACES, &save); word; word = strtok_r(NULL, SPACES, &save)) {
		value = strchr(word, '=');
		if (!value)
			return false;
		*value++ = 0;
		for (i = 0; i < ARRAY_SIZE(fields); i++)
			if (!strcmp(fields[i].name, word))
				break;
		if (i == ARRAY_SIZE(fields))
			return false;
		*field(&p->cfg, i) = strtoull(value, NULL, 0);
	}
	return p->cfg.procs >= 1 && p->cfg.procs <= PROCS_MAX && p->cfg.threads >= 1 &&
	       p->cfg.threads <= THREADS_MAX && p->cfg.bytes && p->cfg.bytes <= ARENA_MAX;
}

static bool read_line(struct program *p, char *text)
{
	char *word, *save = NULL, *end;
	struct line l = {};
	unsigned int i;

	word = strtok_r(text, SPACES, &save);
	l.proc = (__u8)strtoul(word, &end, 10);
	if (*end == '.')
		l.thread = (__u8)strtoul(end + 1, &end, 10);
	word = strtok_r(NULL, SPACES, &save);
	if (*end || !word || l.proc >= p->cfg.procs || l.thread >= p->cfg.threads)
		return false;
	for (i = 0; i < KIND_NR; i++)
		if (!strcmp(kinds[i].name, word))
			break;
	if (i == KIND_NR || p->nr == LINES_MAX)
		return false;
	l.kind = (__u8)i;
	for (i = 0; i < kinds[l.kind].args; i++) {
		word = strtok_r(NULL, SPACES, &save);
		if (!word)
			return false;
		l.arg[i] = strtoull(word, NULL, 0);
	}
	p->line[p->nr++] = l;
	return true;
}

/**
 * program_read() - read a program
 * @p: where to
 * @f: from where; lines that begin with # are comments
 * @name: of the file, for messages
 *
 * Return: true if it is one.
 */
bool program_read(struct program *p, FILE *f, const char *name)
{
	unsigned int nr = 0;
	char text[512];

	memset(&p->cfg, 0, sizeof(p->cfg));
	p->nr = 0;
	while (fgets(text, sizeof(text), f)) {
		nr++;
		if (text[0] == '#' || text[0] == '\n')
			continue;
		if (!strncmp(text, "config ", 7) ? !read_config(p, text + 7) :
		    !p->cfg.procs || !read_line(p, text)) {
			fprintf(stderr, "%s:%u: not understood\n", name, nr);
			return false;
		}
	}
	return p->cfg.procs;
}
