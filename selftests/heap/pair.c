// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* See pair.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bug.h>
#include <linux/kernel.h>

#include "pair.h"

#define NONE	(~(u64)0)

const char *const pair_fits[] = { "best", "first", "placed" };

/* Printing */

static void print_span(FILE *f, u64 base, u64 npages, int state, bool scavenged, bool needzero,
		       u64 since)
{
	static const char kinds[] = { 'F', 'U', 'T' };

	fprintf(f, " %llu:%c%llu%s", base,
		state == SPAN_FREE && scavenged ? 'S' : kinds[state], npages,
		needzero ? "z" : "");
	if (since)
		fprintf(f, "@%llu", since);
}

static void print_stats(FILE *f, const struct span_heap_stats *st)
{
	fprintf(f, " | sys %llu inuse %llu (peak %llu) idle %llu released %llu", st->heap_sys,
		st->heap_inuse, st->inuse_peak, st->heap_idle, st->heap_released);
	fprintf(f, ", spans U %llu F %llu S %llu T %llu", st->spans_inuse, st->spans_free,
		st->spans_scavenged, st->spans_transit);
	fprintf(f, ", alloc %llu free %llu grow %llu scavenge %llu\n", st->nr_alloc, st->nr_free,
		st->nr_grow, st->nr_scavenge);
}

static void print_heap(FILE *f, struct span_heap *heap)
{
	struct span *s;

	fprintf(f, "# heap: ");
	for (s = span_heap_first(heap); s; s = span_heap_next(s))
		print_span(f, s->base, s->npages, s->state, s->scavenged, s->needzero,
			   s->unusedsince);
	print_stats(f, &heap->stats);
}

static void print_model(FILE *f, const struct model *m)
{
	struct span_heap_stats stats;
	u64 s;

	fprintf(f, "# model:");
	for (s = 0; s < m->grown; s += m->at[s].npages)
		print_span(f, s, m->at[s].npages, m->at[s].state, m->at[s].scavenged,
			   m->at[s].needzero, m->at[s].unusedsince);
	model_stats(m, &stats);
	print_stats(f, &stats);
}

static void print_op(FILE *f, const struct op *op, unsigned int depth)
{
	static const char *const names[] = {
		"alloc", "free", "scavenge", "scavenge_bytes", "scavenge_age", "unscavenge",
		"alloc_at", "resize", "time"
	};

	fprintf(f, "# %*s%s %llu %llu %llu", 4 * depth, "", names[op->kind], op->a, op->b, op->c);
	if (op->spares != SPAN_HEAP_SPARES)
		fprintf(f, " with %u spares", op->spares);
	if (op->stop >= 0)
		fprintf(f, " stop after %d", op->stop);
	fputc('\n', f);
}

static void print_event(FILE *f, const char *who, const struct pair_event *e)
{
	fprintf(f, "# %s: %c %llu+%llu\n", who, e->what, e->a,
		e->b);
}

void pair_print_config(FILE *f, const struct span_heap_config *cfg)
{
	fprintf(f, "# P 1<<%d G 1<<%d H 1<<%d, %llu pages, growth %llu, %s fit%s\n",
		cfg->page_shift, cfg->granule_shift, cfg->huge_shift,
		(cfg->size >> cfg->page_shift),
		(cfg->growth >> cfg->page_shift),
		pair_fits[cfg->fit], cfg->debug ? ", debug" : cfg->reuse ? ", reuse" : "");
}

void pair_fail(struct pair *p, const char *fmt, ...)
{
	va_list ap;

	printf("# MISMATCH: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	pair_print_config(stdout, &p->heap.cfg);
	print_heap(stdout, &p->heap);
	print_model(stdout, &p->model);
	fflush(stdout);
	p->failed(p);
	abort();
}

/* Comparing */

static u64 mix(u64 sum, u64 v)
{
	sum = (sum ^ v) * 0x9e3779b97f4a7c15ULL;
	return sum ^ sum >> 29;
}

static u64 mix_span(u64 sum, u64 base, u64 npages, int state, bool scavenged, bool needzero,
		    u64 since)
{
	return mix(mix(mix(mix(sum, base), npages), since), state * 4 + scavenged * 2 + needzero);
}

static u64 mix_stats(u64 sum, const struct span_heap_stats *stats)
{
	const u64 *v = (const u64 *)stats;
	size_t i;

	for (i = 0; i < sizeof(*stats) / sizeof(*v); i++)
		sum = mix(sum, v[i]);
	return sum;
}

/* Everything that can be seen of the heap, and of the model, in one number. */
static u64 heap_digest(struct span_heap *heap)
{
	struct span *s;
	u64 sum = 0;

	for (s = span_heap_first(heap); s; s = span_heap_next(s))
		sum = mix_span(sum, s->base, s->npages, s->state, s->scavenged, s->needzero,
			       s->unusedsince);
	return mix_stats(sum, &heap->stats);
}

static u64 model_digest(const struct model *m)
{
	struct span_heap_stats stats;
	u64 s, sum = 0;

	for (s = 0; s < m->grown; s += m->at[s].npages)
		sum = mix_span(sum, s, m->at[s].npages, m->at[s].state, m->at[s].scavenged,
			       m->at[s].needzero, m->at[s].unusedsince);
	model_stats(m, &stats);
	return mix_stats(sum, &stats);
}

static bool same_result(const struct op_result *a, const struct op_result *b)
{
	return a->ret == b->ret && a->base == b->base && a->needzero == b->needzero &&
	       a->scavenged == b->scavenged;
}

static u64 unit_size(const struct pair *p)
{
	return (u64)1 << max(p->heap.cfg.page_shift, p->heap.cfg.granule_shift);
}

/* Are the states of units what the spans say? */
static void check_units(struct pair *p)
{
	const struct model *m = &p->model;
	u64 s, begin, end, i, unit = unit_size(p), len, offset;

	for (s = 0; s < m->grown; s += m->at[s].npages) {
		if (m->at[s].state == SPAN_TRANSIT)
			continue;
		begin = (s << m->cfg.page_shift) / unit;
		end = DIV_ROUND_UP((s + m->at[s].npages) << m->cfg.page_shift, unit);
		len = model_released(m, s, &offset);
		if (len) {
			begin = offset / unit;
			end = (offset + len) / unit;
		}
		for (i = begin; i < end; i++) {
			bool ready = p->unit[i] == UNIT_READY;

			if (ready != !len || p->unit[i] == UNIT_NONE)
				pair_fail(p, "unit %llu is in state %d", i, p->unit[i]);
		}
	}
	for (i = m->grown << m->cfg.page_shift; i < m->cfg.size; i += unit)
		if (p->unit[i / unit] != UNIT_NONE)
			pair_fail(p, "unit %llu is in state %d", (i / unit),
				  p->unit[i / unit]);
}

/* pair_check() - compares everything, and recounts the heap */
void pair_check(struct pair *p)
{
	struct span_heap *heap = &p->heap;
	const struct model *m = &p->model;
	struct span_heap_stats stats;
	struct span_seen seen;
	const char *what;
	bool inuse;
	struct span *s;
	u64 at = 0, n = 0, indices = heap->nr_indices;

	for (s = span_heap_first(heap); s; s = span_heap_next(s), n++) {
		indices += !s->recent && s->index;
		const struct model_span *e = &m->at[min(at, m->pages)];

		if (s->base != at || s->npages != e->npages || s->state != e->state ||
		    s->scavenged != e->scavenged || s->needzero != e->needzero ||
		    s->unusedsince != e->unusedsince)
			pair_fail(p, "span at page %llu", at);
		inuse = e->state == SPAN_INUSE;
		if (span_heap_peek(heap, at, &seen) || seen.end != at + e->npages ||
		    seen.inuse != inuse)
			pair_fail(p, "span at page %llu is not seen without the lock", at);
		at += e->npages;
	}
	if (at != m->grown || span_heap_peek(heap, at, &seen) != -ENOENT)
		pair_fail(p, "the heap ends at page %llu", at);
	model_stats(m, &stats);
	if (memcmp(&stats, &heap->stats, sizeof(stats)))
		pair_fail(p, "figures differ");
	if (n + heap->nr_spares != p->live || heap->nr_spares != m->spares)
		pair_fail(p, "%llu spans and %u spares of %llu, not %u", n,
			  heap->nr_spares, p->live, m->spares);
	if (indices != p->live_indices)
		pair_fail(p, "%llu indices of %llu", indices, p->live_indices);
	what = model_check(m);
	if (what)
		pair_fail(p, "%s", what);
	if (span_heap_recount(heap, &what))
		pair_fail(p, "recount: %s", what);
	if (compat_warnings)
		pair_fail(p, "%lu warnings", compat_warnings);
	check_units(p);
}

/* Callbacks, first the model's */

static struct pair_event *log_event(struct pair *p, char what, u64 a, u64 b)
{
	struct pair_event *e;

	if (p->nr_log == PAIR_LOG)
		pair_fail(p, "more than %d calls", PAIR_LOG);
	e = &p->log[p->nr_log++];
	*e = (struct pair_event){ .what = what, .a = a, .b = b };
	if (p->trace)
		print_event(stdout, "calls", e);
	return e;
}

static struct op_result model_do(struct pair *p, const struct op *op);

/* The heap lock is dropped: what others do meanwhile. */
static void model_nest(struct pair *p)
{
	struct op_result res;
	struct op op;

	while (p->draw && p->depth < PAIR_DEPTH && p->nr_log < PAIR_LOG / 8 &&
	       p->draw(p->draw_ctx, 6) == 0) {
		pair_draw_op(p, &op);
		log_event(p, 'o', model_digest(&p->model), 0)->op = op;
		p->depth++;
		p->nested++;
		res = model_do(p, &op);
		p->depth--;
		log_event(p, '=', model_digest(&p->model), 0)->res = res;
	}
}

static int model_sleeps(struct pair *p, char what, u64 offset, u64 len)
{
	struct pair_event *e = log_event(p, what, offset, len);

	if (p->draw && p->draw(p->draw_ctx, 8) == 0)
		e->err = -EBUSY;
	model_nest(p);
	return e->err;
}

static void model_map(void *ctx, u64 offset, u64 len)
{
	log_event(ctx, 'm', offset, len);
}

static void model_used(void *ctx, u64 offset, u64 len)
{
	log_event(ctx, 'u', offset, len);
}

static void model_hugepage(void *ctx, u64 offset, u64 len)
{
	log_event(ctx, 'h', offset, len);
}

static int model_unused(void *ctx, u64 offset, u64 len)
{
	return model_sleeps(ctx, 'r', offset, len);
}

static int model_fault(void *ctx, u64 offset, u64 len)
{
	return model_sleeps(ctx, 'f', offset, len);
}

static bool model_stop(void *ctx)
{
	struct pair *p = ctx;

	log_event(p, 's', 0, 0);
	model_nest(p);
	return p->stop-- == 0;
}

/* Any part of the range, or all of it, or none. */
static bool model_trim(void *ctx, u64 *offset, u64 *len)
{
	struct pair *p = ctx;
	struct pair_event *e = log_event(p, 't', *offset, *len);
	u64 units = *len / unit_size(p), from = 0;

	e->err = 1;
	switch (p->draw ? p->draw(p->draw_ctx, 8) : 7) {
	case 0:
		e->err = 0;
		break;
	case 1:
	case 2:
		from = p->draw(p->draw_ctx, units);
		units = 1 + p->draw(p->draw_ctx, units - from);
		break;
	}
	*offset += from * unit_size(p);
	*len = units * unit_size(p);
	e->op.a = *offset;
	e->op.b = *len;
	return e->err;
}

static bool model_prefer(void *ctx, u64 offset, u64 len)
{
	struct pair *p = ctx;
	struct pair_event *e = log_event(p, 'p', offset, len);

	e->err = p->draw && p->draw(p->draw_ctx, 4) == 0;
	return e->err;
}

static const struct span_heap_ops model_ops = {
	.map = model_map,
	.used = model_used,
	.unused = model_unused,
	.hugepage = model_hugepage,
	.fault = model_fault,
	.trim = model_trim,
	.prefer = model_prefer,
};

static struct op_result model_do(struct pair *p, const struct op *op)
{
	bool (*stop)(void *ctx) = op->stop >= 0 ? model_stop : NULL;
	struct op_result res = { 0 };
	struct model *m = &p->model;
	int old = p->stop;
	u64 s;

	if (p->trace)
		print_op(stdout, op, p->depth);
	p->stop = op->stop;
	m->spares = op->spares;
	switch (op->kind) {
	case OP_ALLOC:
		res.ret = model_alloc(m, op->a, op->b, &res.base, &res.needzero,
				      &res.scavenged);
		break;
	case OP_FREE:
		res.ret = model_free(m, op->a, op->b, p->now);
		break;
	case OP_SCAVENGE:
		s = model_find(m, op->a);
		res.ret = s == NONE ? -ENOENT : model_scavenge(m, s);
		break;
	case OP_BYTES:
		res.ret = model_scavenge_bytes(m, op->a, stop);
		break;
	case OP_AGE:
		res.ret = model_scavenge_age(m, p->now, op->a, op->b, stop);
		break;
	case OP_UNSCAVENGE:
		res.ret = model_unscavenge(m, op->a, op->b, p->now);
		break;
	case OP_ALLOC_AT:
		res.ret = model_alloc_at(m, op->b, op->a, &res.needzero, &res.scavenged);
		res.base = res.ret ? 0 : op->b;
		break;
	case OP_RESIZE:
		res.ret = model_resize(m, op->a, op->c, op->b, p->now, &res.needzero,
				       &res.scavenged);
		break;
	case OP_TIME:
		p->now += op->a;
		break;
	}
	p->stop = old;
	return res;
}

/* Callbacks, then the heap's */

static struct pair_event *replay(struct pair *p, char what, u64 a, u64 b)
{
	struct pair_event got = { .what = what, .a = a, .b = b };
	struct pair_event *e = &p->log[p->replayed];

	if (p->replayed == p->nr_log) {
		print_event(stdout, "heap calls", &got);
		pair_fail(p, "a call that the model does not make");
	}
	if (e->what != what || e->a != a || e->b != b) {
		print_event(stdout, "heap calls ", &got);
		print_event(stdout, "model calls", e);
		pair_fail(p, "calls differ (o, =: the state around a nested operation)");
	}
	p->replayed++;
	return e;
}

/*
 * Moves a range from one state to another.  Units of which it covers only a part (P < G)
 * may be Ready already, or become it for all of their pages, when @partly is set.
 */
static void move_units(struct pair *p, u64 offset, u64 len, unsigned int from, enum unit_state to,
		       bool partly)
{
	u64 i, unit = unit_size(p);

	if (!partly && (offset % unit || len % unit))
		pair_fail(p, "not whole units");
	for (i = offset / unit; i * unit < offset + len; i++) {
		bool part = i * unit < offset || (i + 1) * unit > offset + len;

		if (part && p->unit[i] == UNIT_READY)
			continue;
		if (!(from & 1U << p->unit[i]))
			pair_fail(p, "unit %llu from state %d to %d", i,
				  p->unit[i], to);
		p->unit[i] = to;
	}
}

static void heap_map(void *ctx, u64 offset, u64 len)
{
	struct pair *p = ctx;
	u64 end = p->heap.stats.heap_sys;

	replay(p, 'm', offset, len);
	/* In a debug heap it may be Prepared: never used, or released when it was free. */
	if (p->unit[offset / unit_size(p)] == UNIT_NONE)
		move_units(p, offset, len, 1U << UNIT_NONE, UNIT_PREPARED, false);
	else if (p->heap.cfg.debug && offset + len <= end)
		move_units(p, offset, len, 1U << UNIT_RESERVED | 1U << UNIT_PREPARED,
			   UNIT_PREPARED, true);
	else
		pair_fail(p, "map of what is mapped");
}

static void heap_used(void *ctx, u64 offset, u64 len)
{
	replay(ctx, 'u', offset, len);
	move_units(ctx, offset, len, 1U << UNIT_PREPARED, UNIT_READY, true);
}

static void heap_hugepage(void *ctx, u64 offset, u64 len)
{
	replay(ctx, 'h', offset, len);
}

static struct op_result heap_do(struct pair *p, const struct op *op);

static void heap_nest(struct pair *p)
{
	struct pair_event *done;
	struct op_result res;
	const char *why;

	while (p->replayed < p->nr_log && p->log[p->replayed].what == 'o') {
		const struct op *op = &p->log[p->replayed].op;

		replay(p, 'o', heap_digest(&p->heap), 0);
		p->depth++;
		res = heap_do(p, op);
		p->depth--;
		done = replay(p, '=', heap_digest(&p->heap), 0);
		if (!same_result(&res, &done->res))
			pair_fail(p, "results of a nested operation differ");
		if (span_heap_recount(&p->heap, &why))
			pair_fail(p, "recount: %s", why);
	}
}

static int heap_sleeps(struct pair *p, char what, u64 offset, u64 len)
{
	struct pair_event *e = replay(p, what, offset, len);
	enum unit_state to = what == 'f' ? UNIT_RESERVED : UNIT_PREPARED;

	/* All that is to be released is Ready until then. */
	move_units(p, offset, len, 1U << UNIT_READY, UNIT_READY, false);
	heap_nest(p);
	if (!e->err)
		move_units(p, offset, len, 1U << UNIT_READY, to, false);
	return e->err;
}

static int heap_unused(void *ctx, u64 offset, u64 len)
{
	return heap_sleeps(ctx, 'r', offset, len);
}

static int heap_fault(void *ctx, u64 offset, u64 len)
{
	return heap_sleeps(ctx, 'f', offset, len);
}

static bool heap_stop(void *ctx)
{
	struct pair *p = ctx;

	replay(p, 's', 0, 0);
	heap_nest(p);
	return p->stop-- == 0;
}

static bool heap_trim(void *ctx, u64 *offset, u64 *len)
{
	struct pair_event *e = replay(ctx, 't', *offset, *len);

	*offset = e->op.a;
	*len = e->op.b;
	return e->err;
}

static bool heap_prefer(void *ctx, u64 offset, u64 len)
{
	return replay(ctx, 'p', offset, len)->err;
}

static const struct span_heap_ops heap_ops = {
	.map = heap_map,
	.used = heap_used,
	.unused = heap_unused,
	.hugepage = heap_hugepage,
	.fault = heap_fault,
	.trim = heap_trim,
	.prefer = heap_prefer,
};

/*
 * Gives the heap so many spares and no more.  A span that it gave up is freed here, so
 * that the sanitizer sees whoever still uses it.
 */
static void set_spares(struct pair *p, unsigned int n)
{
	/* More than any operation takes, so that the spans are what runs out. */
	unsigned int indices = p->heap.nr_recent + 8 * SPAN_HEAP_SPARES;
	struct span_index *x;
	struct span *s;

	while (p->heap.nr_spares > n) {
		s = span_heap_take_spare(&p->heap);
		if (!s)
			pair_fail(p, "no spare, in spite of nr_spares");
		free(s);
		p->live--;
	}
	while (p->heap.nr_spares < n) {
		s = malloc(sizeof(*s));
		if (!s)
			abort();
		memset(s, 0xa5, sizeof(*s));
		span_heap_add_spare(&p->heap, s);
		p->live++;
	}
	while (p->heap.nr_indices > indices) {
		x = span_heap_take_index(&p->heap);
		if (!x)
			pair_fail(p, "no index, in spite of nr_indices");
		free(x);
		p->live_indices--;
	}
	while (p->heap.nr_indices < indices) {
		x = malloc(sizeof(*x));
		if (!x)
			abort();
		memset(x, 0xa5, sizeof(*x));
		span_heap_add_index(&p->heap, x);
		p->live_indices++;
	}
}

static struct op_result heap_do(struct pair *p, const struct op *op)
{
	bool (*stop)(void *ctx) = op->stop >= 0 ? heap_stop : NULL;
	struct span *untouched = (struct span *)p, *s = untouched;
	struct span_heap *heap = &p->heap;
	struct op_result res = { 0 };
	bool scavenged = false, grows;
	int old = p->stop;

	set_spares(p, op->spares);
	p->stop = op->stop;
	switch (op->kind) {
	case OP_ALLOC:
		res.ret = span_heap_alloc(heap, op->a, op->b, &s, &scavenged);
		if (res.ret)
			break;
		if (s->state != SPAN_INUSE || s->npages != op->a ||
		    span_heap_find(heap, s->base) != s)
			pair_fail(p, "alloc gave something else");
		res.base = s->base;
		res.needzero = s->needzero;
		res.scavenged = scavenged;
		break;
	case OP_FREE:
		res.ret = span_heap_lookup(heap, op->a, op->b, &s);
		if (span_heap_free(heap, op->a, op->b, p->heap_now) != res.ret)
			pair_fail(p, "free and lookup say different things");
		break;
	case OP_SCAVENGE:
		s = span_heap_find(heap, op->a);
		res.ret = s ? span_heap_scavenge(heap, s) : -ENOENT;
		break;
	case OP_BYTES:
		res.ret = span_heap_scavenge_bytes(heap, op->a, stop);
		break;
	case OP_AGE:
		res.ret = span_heap_scavenge_age(heap, p->heap_now, op->a, op->b, stop);
		break;
	case OP_UNSCAVENGE:
		res.ret = span_heap_unscavenge(heap, op->a, op->b, p->heap_now);
		break;
	case OP_ALLOC_AT:
		res.ret = span_heap_alloc_at(heap, op->b, op->a, &s, &scavenged);
		if (res.ret)
			break;
		if (s->state != SPAN_INUSE || s->npages != op->a)
			pair_fail(p, "alloc_at gave something else");
		res.base = s->base;
		res.needzero = s->needzero;
		res.scavenged = scavenged;
		break;
	case OP_RESIZE:
		s = span_heap_find(heap, op->a);
		grows = s && s->base == op->a && op->b > s->npages;
		res.ret = span_heap_resize(heap, op->a, op->c, op->b, p->heap_now, &s, &scavenged);
		if (res.ret)
			break;
		res.scavenged = scavenged;
		/* In a debug heap one that has become shorter may be gone. */
		if (grows)
			res.needzero = s->needzero;
		break;
	case OP_TIME:
		p->heap_now += op->a;
		break;
	}
	p->stop = old;
	return res;
}

/* pair_do() - does an operation with both; compares results and calls, not states */
struct op_result pair_do(struct pair *p, const struct op *op)
{
	struct op_result expected, got;

	p->nr_log = 0;
	p->replayed = 0;
	expected = model_do(p, op);
	got = heap_do(p, op);
	if (p->replayed < p->nr_log) {
		print_event(stdout, "model calls", &p->log[p->replayed]);
		pair_fail(p, "a call that the heap does not make");
	}
	if (!same_result(&expected, &got)) {
		print_op(stdout, op, 0);
		pair_fail(p, "results differ: heap %lld base %llu%s%s, model %lld base %llu%s%s",
			  got.ret, got.base, got.needzero ? " needzero" : "",
			  got.scavenged ? " scavenged" : "", expected.ret, expected.base,
			  expected.needzero ? " needzero" : "",
			  expected.scavenged ? " scavenged" : "");
	}
	if (p->trace) {
		printf("# = %lld, base %llu\n", got.ret, got.base);
		print_heap(stdout, &p->heap);
	}
	return got;
}

void pair_init(struct pair *p, const struct span_heap_config *cfg)
{
	int err;

	model_init(&p->model, cfg, &model_ops, p);
	err = span_heap_init(&p->heap, cfg, &heap_ops, p);
	p->unit = calloc(cfg->size / unit_size(p), 1);
	if (!p->unit)
		abort();
	p->now = 1;
	p->heap_now = 1;
	p->live = 0;
	p->live_indices = 0;
	p->depth = 0;
	p->nested = 0;
	compat_warnings = 0;
	if (err)
		pair_fail(p, "span_heap_init() = %d", err);
}

static u64 nr_freed, nr_freed_indices;

static void free_span(struct span *s)
{
	free(s);
	nr_freed++;
}

static void free_index(struct span_index *x)
{
	free(x);
	nr_freed_indices++;
}

void pair_destroy(struct pair *p)
{
	nr_freed = 0;
	nr_freed_indices = 0;
	span_heap_destroy(&p->heap, free_span, free_index);
	if (nr_freed != p->live)
		pair_fail(p, "destroy freed %llu of %llu spans", nr_freed, p->live);
	if (nr_freed_indices != p->live_indices)
		pair_fail(p, "destroy freed %llu of %llu indices", nr_freed_indices,
			  p->live_indices);
	model_destroy(&p->model);
	free(p->unit);
}

/* Random configurations and operations */

/**
 * pair_draw_config() - a random geometry
 * @cfg: to be filled, but for fit and debug
 * @granule_to_page: log2 of G/P
 * @max_units: most units of max(P, G) in the arena
 * @draw: source of numbers
 * @draw_ctx: for @draw
 */
void pair_draw_config(struct span_heap_config *cfg, int granule_to_page, u64 max_units,
		      u64 (*draw)(void *ctx, u64 n), void *draw_ctx)
{
	u64 unit, units;

	cfg->page_shift = 13 + draw(draw_ctx, 2);
	cfg->granule_shift = cfg->page_shift + granule_to_page;
	cfg->huge_shift = max(cfg->page_shift, cfg->granule_shift) + draw(draw_ctx, 5);
	unit = (u64)1 << max(cfg->page_shift, cfg->granule_shift);
	units = 1 + draw(draw_ctx, max_units);
	cfg->size = units * unit;
	cfg->growth = (1 + draw(draw_ctx, draw(draw_ctx, 2) ? min(units, 4ULL) : units)) * unit;
	cfg->reuse = cfg->fit == SPAN_FIT_PLACED && !cfg->debug && draw(draw_ctx, 4);
}

static u64 draw_size(struct pair *p)
{
	u64 gp = unit_size(p) >> p->heap.cfg.page_shift;

	switch (p->draw(p->draw_ctx, 64)) {
	case 0:
		return p->draw(p->draw_ctx, p->model.pages + 2);
	case 1:
	case 2:
		return 1 + p->draw(p->draw_ctx, p->model.pages / 8 + 1);
	case 3 ... 7:
		return gp * (1 + p->draw(p->draw_ctx, 3));
	case 8 ... 19:
		return 1 + p->draw(p->draw_ctx, 3 * gp);
	default:
		return 1 + p->draw(p->draw_ctx, 6);
	}
}

static u64 draw_align(struct pair *p)
{
	switch (p->draw(p->draw_ctx, 16)) {
	case 0:
		return (u64)1 << p->draw(p->draw_ctx, 64);
	case 1:
		return p->draw(p->draw_ctx, 16);
	case 2:
	case 3:
	case 4:
	case 5:
		return 1 << p->draw(p->draw_ctx, 8);
	default:
		return p->draw(p->draw_ctx, 2);
	}
}

/* The base of one of the spans in a state, if there is one. */
static u64 draw_span(struct pair *p, enum span_state state)
{
	const struct model *m = &p->model;
	u64 s, n = 0;

	for (s = 0; s < m->grown; s += m->at[s].npages)
		n += m->at[s].state == state;
	if (!n)
		return p->draw(p->draw_ctx, m->pages);
	n = p->draw(p->draw_ctx, n);
	for (s = 0; m->at[s].state != state || n--; s += m->at[s].npages)
		;
	return s;
}

/* pair_draw_op() - a random operation, which may be wrong */
void pair_draw_op(struct pair *p, struct op *op)
{
	const struct model *m = &p->model;
	u64 gp = unit_size(p) >> m->cfg.page_shift;

	*op = (struct op){ .spares = SPAN_HEAP_SPARES, .stop = -1 };
	switch (p->draw(p->draw_ctx, 36)) {
	case 32:
	case 33:
		op->kind = OP_ALLOC_AT;
		op->a = draw_size(p);
		op->b = p->draw(p->draw_ctx, 3);
		if (p->draw(p->draw_ctx, 4))
			op->b += draw_span(p, SPAN_FREE);
		else
			op->b = p->draw(p->draw_ctx, m->pages + 2);
		if (p->draw(p->draw_ctx, 64) == 0)
			op->spares = p->draw(p->draw_ctx, SPAN_HEAP_SPARES);
		return;
	case 34:
	case 35:
		op->kind = OP_RESIZE;
		op->a = p->draw(p->draw_ctx, 16) ? draw_span(p, SPAN_INUSE) :
						   p->draw(p->draw_ctx, m->pages + 2);
		op->b = draw_size(p);
		if (op->a < m->pages && p->draw(p->draw_ctx, 2))
			op->c = m->at[op->a].npages;
		if (p->draw(p->draw_ctx, 64) == 0)
			op->spares = p->draw(p->draw_ctx, SPAN_HEAP_SPARES);
		return;
	case 0 ... 11:
		op->kind = OP_ALLOC;
		op->a = draw_size(p);
		op->b = draw_align(p);
		if (p->draw(p->draw_ctx, 64) == 0)
			op->spares = p->draw(p->draw_ctx, SPAN_HEAP_SPARES);
		return;
	case 12 ... 21:
		op->kind = OP_FREE;
		op->a = draw_span(p, SPAN_INUSE);
		op->b = p->draw(p->draw_ctx, 2) ? m->at[op->a].npages : 0;
		break;
	case 22:
		op->kind = OP_FREE;
		op->a = p->draw(p->draw_ctx, m->pages + 2);
		op->b = p->draw(p->draw_ctx, 4);
		break;
	case 23 ... 25:
		op->kind = OP_SCAVENGE;
		op->a = draw_span(p, SPAN_FREE);
		break;
	case 26:
		op->kind = OP_BYTES;
		op->a = p->draw(p->draw_ctx, 4) ? p->draw(p->draw_ctx, m->cfg.size) : U64_MAX;
		break;
	case 27:
		op->kind = OP_AGE;
		op->a = p->draw(p->draw_ctx, 16);
		op->b = p->draw(p->draw_ctx, 4) ? U64_MAX : p->draw(p->draw_ctx, m->cfg.size);
		break;
	case 28:
	case 29:
		op->kind = OP_UNSCAVENGE;
		if (p->draw(p->draw_ctx, 8)) {
			op->a = p->draw(p->draw_ctx, m->grown / gp + 1) * gp;
			op->b = p->draw(p->draw_ctx, (m->grown - op->a) / gp + 1) * gp;
		} else {
			op->a = p->draw(p->draw_ctx, m->pages + 2);
			op->b = p->draw(p->draw_ctx, m->pages + 2);
		}
		if (p->draw(p->draw_ctx, 16) == 0)
			op->spares = p->draw(p->draw_ctx, SPAN_HEAP_SPARES);
		return;
	default:
		op->kind = OP_TIME;
		op->a = p->draw(p->draw_ctx, 4);
		break;
	}
	/* Freeing needs no spares, and scavenging only where a span is split. */
	op->spares = p->draw(p->draw_ctx, 3 * SPAN_HEAP_SPARES);
	if (op->kind != OP_FREE && p->draw(p->draw_ctx, 4) == 0)
		op->stop = p->draw(p->draw_ctx, 4);
}
