// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The naive model and the heap in user space. */
#include <errno.h>
#include <stdlib.h>

#include <linux/kernel.h>

#include "differ.h"

static bool whole;

bool pass_trim(bool whole_chunks, u64 *offset, u64 *len)
{
	u64 chunk = (u64)1 << CHUNK_SHIFT, start = *offset, end = start + *len;

	if (!whole_chunks)
		return true;
	start = (start + chunk - 1) & ~(chunk - 1);
	end &= ~(chunk - 1);
	if (start >= end)
		return false;
	*offset = start;
	*len = end - start;
	return true;
}

static bool op_trim(void *ctx, u64 *offset, u64 *len)
{
	(void)ctx;
	return pass_trim(whole, offset, len);
}

/* The model */

static struct model model;

/* As the device, both get new spares while memory is released. */
static int model_unused(void *ctx, u64 offset, u64 len)
{
	(void)ctx;
	(void)offset;
	(void)len;
	model.spares = SPAN_HEAP_SPARES;
	return 0;
}

static const struct span_heap_ops model_ops = {
	.trim = op_trim,
	.unused = model_unused,
};

static void model_begin(const struct span_heap_config *cfg)
{
	model_init(&model, cfg, &model_ops, NULL);
}

static void model_end(void)
{
	model_destroy(&model);
}

static s64 model_two_passes(u64 bytes)
{
	u64 done;

	whole = true;
	done = model_scavenge_bytes(&model, bytes, NULL);
	whole = false;
	model.spares = SPAN_HEAP_SPARES;
	if (done < bytes)
		done += model_scavenge_bytes(&model, bytes - done, NULL);
	return done;
}

static void model_play(const struct op *op, struct result *res)
{
	bool needzero = false, scavenged;
	u64 s, base = 0;

	model.spares = SPAN_HEAP_SPARES;
	switch (op->what) {
	case 'a':
		res->ret = model_alloc(&model, op->a, op->b, &base, &needzero, &scavenged);
		break;
	case 'A':
		res->ret = model_alloc_at(&model, op->b, op->a, &needzero, &scavenged);
		base = op->b;
		break;
	case 'r':
		res->ret = model_resize(&model, op->a, 0, op->b, 0, &needzero,
				       &scavenged);
		base = op->a;
		if (!res->ret)
			needzero = model.at[base].needzero;
		break;
	case 'f':
		res->ret = model_free(&model, op->a, op->b, 0);
		break;
	case 's':
		res->ret = model_two_passes(op->a == ALL ? ALL : op->a << model.cfg.page_shift);
		break;
	}
	if (!res->ret) {
		res->base = base;
		res->needzero = needzero;
	}
	model_stats(&model, &res->stats);
	for (s = 0; s < model.grown; s += model.at[s].npages)
		res->digest = mix_span(res->digest, s, model.at[s].npages, model.at[s].state,
				       model.at[s].scavenged, model.at[s].needzero);
}

const struct player model_player = { "model", model_begin, model_play, model_end };

/* The heap */

static struct span_heap heap;

static void fill_spares(void)
{
	while (heap.nr_indices < heap.nr_recent + 4 * SPAN_HEAP_SPARES) {
		struct span_index *x = calloc(1, sizeof(*x));

		if (!x)
			abort();
		span_heap_add_index(&heap, x);
	}
	while (heap.nr_spares < SPAN_HEAP_SPARES) {
		struct span *s = calloc(1, sizeof(*s));

		if (!s)
			abort();
		span_heap_add_spare(&heap, s);
	}
}

static int heap_unused(void *ctx, u64 offset, u64 len)
{
	(void)ctx;
	(void)offset;
	(void)len;
	fill_spares();
	return 0;
}

static const struct span_heap_ops heap_ops = {
	.trim = op_trim,
	.unused = heap_unused,
};

static void heap_begin(const struct span_heap_config *cfg)
{
	if (span_heap_init(&heap, cfg, &heap_ops, NULL)) {
		fprintf(stderr, "the heap refuses the geometry\n");
		exit(EXIT_FAILURE);
	}
}

static void free_span(struct span *s)
{
	free(s);
}

static void free_index(struct span_index *x)
{
	free(x);
}

static void heap_end(void)
{
	span_heap_destroy(&heap, free_span, free_index);
}

static s64 heap_two_passes(u64 bytes)
{
	u64 done;

	whole = true;
	done = span_heap_scavenge_bytes(&heap, bytes, NULL);
	whole = false;
	fill_spares();
	if (done < bytes)
		done += span_heap_scavenge_bytes(&heap, bytes - done, NULL);
	return done;
}

static void heap_play(const struct op *op, struct result *res)
{
	struct span *s = NULL;

	fill_spares();
	switch (op->what) {
	case 'a':
		res->ret = span_heap_alloc(&heap, op->a, op->b, &s, NULL);
		break;
	case 'A':
		res->ret = span_heap_alloc_at(&heap, op->b, op->a, &s, NULL);
		break;
	case 'r':
		res->ret = span_heap_resize(&heap, op->a, 0, op->b, 0, &s, NULL);
		break;
	case 'f':
		res->ret = span_heap_free(&heap, op->a, op->b, 0);
		break;
	case 's':
		res->ret = heap_two_passes(op->a == ALL ? ALL : op->a << heap.cfg.page_shift);
		break;
	}
	if (!res->ret && s) {
		res->base = s->base;
		res->needzero = s->needzero;
	}
	res->stats = heap.stats;
	for (s = span_heap_first(&heap); s; s = span_heap_next(s))
		res->digest = mix_span(res->digest, s->base, s->npages, s->state, s->scavenged,
				       s->needzero);
}

const struct player heap_player = { "heap", heap_begin, heap_play, heap_end };
