// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * KUnit test: the span heap replays traces that say what must come of each operation.
 *
 * The module's parameter "replay" names a file, which "make -C selftests/differ trace" writes
 * and selftests/differ/differ.h describes.  The naive model of the user-space tests wrote it,
 * and the device is held against the same file.
 */
#include <kunit/test.h>
#include <linux/kernel_read_file.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "span_heap.h"

static char *replay;
module_param(replay, charp, 0444);
MODULE_PARM_DESC(replay, "file of traces to replay");

#define RP_CHUNK_SHIFT	21
#define RP_NR_STATS	(sizeof(struct span_heap_stats) / sizeof(u64))

/* What a line says, or what came of it. */
struct rp_result {
	s64 ret;
	u64 base;
	u64 needzero;
	struct span_heap_stats stats;
	u64 digest;
};

/**
 * struct rp - a replay
 * @test: the test
 * @heap: the heap
 * @whole: the pass of the scavenger that takes whole chunks is on
 * @ops: operations that were replayed
 * @begun: there is a heap
 * @line: number of the line
 */
struct rp {
	struct kunit *test;
	struct span_heap heap;
	bool whole;
	unsigned int ops;
	bool begun;
	unsigned int line;
};

static void rp_fill_spares(struct rp *rp)
{
	while (rp->heap.nr_indices < rp->heap.nr_recent + 4 * SPAN_HEAP_SPARES)
		span_heap_add_index(&rp->heap,
				    kzalloc(sizeof(struct span_index), GFP_KERNEL | __GFP_NOFAIL));
	while (rp->heap.nr_spares < SPAN_HEAP_SPARES)
		span_heap_add_spare(&rp->heap,
				    kzalloc(sizeof(struct span), GFP_KERNEL | __GFP_NOFAIL));
}

static void rp_free_index(struct span_index *x)
{
	kfree(x);
}

static void rp_free_span(struct span *s)
{
	kfree(s);
}

static int rp_unused(void *ctx, u64 offset, u64 len)
{
	rp_fill_spares(ctx);
	return 0;
}

/* As the device does it: whole chunks, and then the rest. */
static bool rp_trim(void *ctx, u64 *offset, u64 *len)
{
	struct rp *rp = ctx;
	u64 chunk = 1ULL << RP_CHUNK_SHIFT, start = *offset, end = start + *len;

	if (!rp->whole)
		return true;
	start = round_up(start, chunk);
	end = round_down(end, chunk);
	if (start >= end)
		return false;
	*offset = start;
	*len = end - start;
	return true;
}

static const struct span_heap_ops rp_ops = {
	.unused = rp_unused,
	.trim = rp_trim,
};

static u64 rp_mix(u64 sum, u64 v)
{
	sum = (sum ^ v) * 0x9e3779b97f4a7c15ULL;
	return sum ^ sum >> 29;
}

static u64 rp_digest(struct span_heap *heap)
{
	struct span *s;
	u64 sum = 0;

	for (s = span_heap_first(heap); s; s = span_heap_next(s))
		sum = rp_mix(rp_mix(rp_mix(sum, s->base), s->npages),
			     s->state * 4 + s->scavenged * 2 + s->needzero);
	return sum;
}

static s64 rp_scavenge(struct rp *rp, u64 bytes)
{
	u64 done;

	rp->whole = true;
	done = span_heap_scavenge_bytes(&rp->heap, bytes, NULL);
	rp->whole = false;
	rp_fill_spares(rp);
	if (done < bytes)
		done += span_heap_scavenge_bytes(&rp->heap, bytes - done, NULL);
	return done;
}

static void rp_play(struct rp *rp, char what, u64 a, u64 b, struct rp_result *res)
{
	struct span_heap *heap = &rp->heap;
	struct span *s = NULL;

	rp_fill_spares(rp);
	switch (what) {
	case 'a':
		res->ret = span_heap_alloc(heap, a, b, &s, NULL);
		break;
	case 'A':
		res->ret = span_heap_alloc_at(heap, b, a, &s, NULL);
		break;
	case 'r':
		res->ret = span_heap_resize(heap, a, 0, b, 0, &s, NULL);
		break;
	case 'f':
		res->ret = span_heap_free(heap, a, b, 0);
		break;
	case 's':
		res->ret = rp_scavenge(rp, a == U64_MAX ? a : a << heap->cfg.page_shift);
		break;
	}
	if (!res->ret && s) {
		res->base = s->base;
		res->needzero = s->needzero;
	}
	res->stats = heap->stats;
	res->digest = rp_digest(heap);
}

static bool rp_begin(struct rp *rp, const char *line)
{
	struct span_heap_config cfg = { .huge_shift = RP_CHUNK_SHIFT };
	unsigned int page, granule, fit, reuse;

	if (sscanf(line, "config %llu %llu %u %u %u %u", &cfg.size, &cfg.growth, &page, &granule,
		   &fit, &reuse) != 6)
		return false;
	cfg.page_shift = page;
	cfg.granule_shift = granule;
	cfg.fit = fit;
	cfg.reuse = reuse;
	if (rp->begun)
		span_heap_destroy(&rp->heap, rp_free_span, rp_free_index);
	rp->begun = !span_heap_init(&rp->heap, &cfg, &rp_ops, rp);
	return rp->begun;
}

/* A line: false if it is not understood, or if what comes of it is not what it says. */
static bool rp_line(struct rp *rp, const char *line)
{
	struct rp_result want = {}, got = {};
	u64 *v = (u64 *)&want.stats, a, b;
	const char *bad;
	unsigned int i;
	int n = 0, k;
	char what;

	if (sscanf(line, "%c %llu %llu %lld %llu %llu%n", &what, &a, &b, &want.ret, &want.base,
		   &want.needzero, &n) != 6)
		return false;
	for (i = 0; i <= RP_NR_STATS; i++) {
		k = 0;
		if (sscanf(line + n, " %llu%n", i < RP_NR_STATS ? &v[i] : &want.digest, &k) != 1)
			return false;
		n += k;
	}
	rp_play(rp, what, a, b, &got);
	rp->ops++;
	if (memcmp(&want, &got, sizeof(want))) {
		kunit_err(rp->test, "%lld at %llu, needzero %llu, digest %llu\n", got.ret,
			  got.base, got.needzero, got.digest);
		for (i = 0; i < RP_NR_STATS; i++)
			if (v[i] != ((u64 *)&got.stats)[i])
				kunit_err(rp->test, "figure %u is %llu, not %llu\n", i,
					  ((u64 *)&got.stats)[i], v[i]);
		return false;
	}
	if (rp->ops % 64 == 0 && span_heap_recount(&rp->heap, &bad)) {
		kunit_err(rp->test, "recount: %s\n", bad);
		return false;
	}
	return true;
}

static void span_heap_replay(struct kunit *test)
{
	char *text, *line, *next;
	void *file = NULL;
	size_t size = 0;
	struct rp *rp;
	long ret;

	if (!replay)
		kunit_skip(test, "no parameter \"replay\"");
	rp = kunit_kzalloc(test, sizeof(*rp), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rp);
	rp->test = test;
	/* From 7.3 on the thread that runs this has an empty root of its own. */
	ret = kernel_read_file_from_path_initns(replay, 0, &file, INT_MAX, &size,
						READING_UNKNOWN);
	KUNIT_ASSERT_GT_MSG(test, ret, 0, "%s cannot be read", replay);

	/* One more byte, for the end of the text. */
	text = vmalloc(size + 1);
	if (text) {
		memcpy(text, file, size);
		text[size] = 0;
	}
	vfree(file);
	KUNIT_ASSERT_NOT_NULL(test, text);
	for (next = text; (line = strsep(&next, "\n")) && *line; ) {
		rp->line++;
		if (!(*line == 'c' ? rp_begin(rp, line) : rp->begun && rp_line(rp, line))) {
			KUNIT_FAIL(test, "line %u: %s", rp->line, line);
			break;
		}
		cond_resched();
	}
	if (rp->begun)
		span_heap_destroy(&rp->heap, rp_free_span, rp_free_index);
	vfree(text);
	kunit_info(test, "%u operations\n", rp->ops);
	KUNIT_EXPECT_GT(test, rp->ops, 0U);
}

static struct kunit_case replay_cases[] = {
	KUNIT_CASE(span_heap_replay),
	{}
};

static struct kunit_suite replay_suite = {
	.name = "pagearena_replay",
	.test_cases = replay_cases,
};

kunit_test_suite(replay_suite);
