/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A heap and its model, side by side.  Each operation is done by the model first, which
 * logs its calls of struct span_heap_ops, and then by the heap, whose calls must be the
 * same.  Where the heap lock may be dropped (unused(), fault(), stop()), other operations
 * may happen in between, to both.  After that, and at those points, results, spans and
 * figures must be equal.
 */
#ifndef HEAP_PAIR_H
#define HEAP_PAIR_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"
#include "span_heap.h"

/** PAIR_LOG - most calls and results that one operation may log */
#define PAIR_LOG	32768

/** PAIR_DEPTH - how deep operations may be nested */
#define PAIR_DEPTH	3

enum op_kind {
	OP_ALLOC,	/* a pages, aligned to b */
	OP_FREE,	/* base a, b pages or 0 */
	OP_SCAVENGE,	/* the span that holds page a */
	OP_BYTES,	/* a bytes */
	OP_AGE,		/* limit a, b bytes */
	OP_UNSCAVENGE,	/* from page a, b pages */
	OP_ALLOC_AT,	/* a pages from page b */
	OP_RESIZE,	/* the span at a, to b pages; c pages before, or 0 */
	OP_TIME,	/* a later */
};

/**
 * struct op - an operation
 * @kind: which; says what @a, @b and @c are
 * @spares: the spares that the heap has at its disposal
 * @stop: number of spans before which the stop callback says "go on"; -1: no callback
 */
struct op {
	enum op_kind kind;
	u64 a;
	u64 b;
	u64 c;
	unsigned int spares;
	int stop;
};

/**
 * struct op_result - what an operation gave
 * @ret: what was returned
 * @base: the allocated span
 * @needzero: whether it may hold something
 * @scavenged: whether it was
 */
struct op_result {
	s64 ret;
	u64 base;
	bool needzero;
	bool scavenged;
};

/* A call of a callback, or a nested operation. */
struct pair_event {
	char what;		/* m map, u used, r unused, h hugepage, f fault, t trim, p prefer,
				 * s stop; o nested operation, = its result
				 */
	u64 a;			/* offset or state */
	u64 b;			/* length */
	int err;		/* what unused(), fault(), trim() or prefer() says */
	struct op op;		/* a, b: what trim() says */
	struct op_result res;
};

enum unit_state {
	UNIT_NONE,
	UNIT_RESERVED,
	UNIT_PREPARED,
	UNIT_READY,
};

/**
 * struct pair - a heap and its model
 * @heap: the heap
 * @model: the model
 * @draw: where decisions come from: a number below n; NULL: unused() and fault() succeed
 * @draw_ctx: for @draw
 * @failed: called with a mismatch, after it was printed; does not return
 * @unit: the state of each unit of max(P, G) bytes, as the heap's calls make it
 * @log: what the model called
 * @nr_log: their number
 * @replayed: how many of them the heap has called
 * @depth: nested operations that are going on
 * @nested: number of nested operations since pair_init()
 * @stop: spans that the stop callback lets pass, see struct op
 * @now: the model's time
 * @heap_now: the heap's, which follows while an operation is replayed
 * @live: struct spans that the heap owns
 * @live_indices: the same for indices
 * @trace: print every operation
 */
struct pair {
	struct span_heap heap;
	struct model model;
	u64 (*draw)(void *ctx, u64 n);
	void *draw_ctx;
	void (*failed)(struct pair *p);
	unsigned char *unit;
	struct pair_event log[PAIR_LOG];
	unsigned int nr_log;
	unsigned int replayed;
	unsigned int depth;
	u64 nested;
	int stop;
	u64 now;
	u64 heap_now;
	u64 live;
	u64 live_indices;
	bool trace;
};

/** pair_fits - names of &enum span_fit */
extern const char *const pair_fits[];

void pair_init(struct pair *p, const struct span_heap_config *cfg);
void pair_destroy(struct pair *p);
struct op_result pair_do(struct pair *p, const struct op *op);
void pair_check(struct pair *p);
void pair_draw_config(struct span_heap_config *cfg, int granule_to_page, u64 max_units,
		      u64 (*draw)(void *ctx, u64 n), void *draw_ctx);
void pair_draw_op(struct pair *p, struct op *op);
void pair_print_config(FILE *f, const struct span_heap_config *cfg);

__attribute__((__noreturn__, __format__(__printf__, 2, 3)))
void pair_fail(struct pair *p, const char *fmt, ...);

#endif /* HEAP_PAIR_H */
