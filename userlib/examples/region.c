// SPDX-License-Identifier: MIT
/*
 * Regions: memory that is allocated by moving a pointer and freed all at once, as a
 * compiler does with the data of one function.  Each region takes spans from the arena
 * as it grows.  When it ends, its spans go back to the heap; their memory stays warm for
 * the next region, and what a quiet program does not need is scavenged.
 */
#include <pagearena.h>

#include "tap.h"

#define SPAN_BYTES (64 * 1024)

/* Begins every span of a region. */
struct block {
	struct block *next;
	size_t length;
};

struct region {
	struct pagearena *arena;
	struct block *blocks;
	char *pos, *end;
};

/* Allocates len bytes of undefined contents, NULL when the arena has no more. */
static void *region_alloc(struct region *r, size_t len)
{
	struct pagearena_block got;
	struct block *b;
	void *p;

	if (len > SIZE_MAX / 2)
		return NULL;
	len = (len + 15) & ~(size_t)15;
	if ((size_t)(r->end - r->pos) < len) {
		/* Rounded up to whole span pages: use all of what came. */
		size_t want = len + sizeof(*b) > SPAN_BYTES ? len + sizeof(*b) : SPAN_BYTES;

		if (pagearena_alloc_ex(r->arena, 0, want, 0, &got))
			return NULL;
		b = got.ptr;
		b->next = r->blocks;
		b->length = got.length;
		r->blocks = b;
		r->pos = (char *)(b + 1);
		r->end = (char *)got.ptr + got.length;
	}
	p = r->pos;
	r->pos += len;
	return p;
}

/* Frees all of a region.  With the length given, the kernel checks that it is the span's. */
static int region_end(struct region *r)
{
	struct block *b, *next;
	int ret = 0;

	for (b = r->blocks; b; b = next) {
		next = b->next;
		if (pagearena_free_sized(r->arena, b, b->length))
			ret = -1;
	}
	r->blocks = NULL;
	r->pos = NULL;
	r->end = NULL;
	return ret;
}

/* A list of n nodes in a region; its sum tells whether anything was trampled on. */
struct node {
	struct node *next;
	unsigned long value;
	char text[100];
};

static struct node *build(struct region *r, unsigned long n)
{
	struct node *list = NULL, *node;

	while (n) {
		node = region_alloc(r, sizeof(*node));
		if (!node)
			return NULL;
		node->next = list;
		node->value = n--;
		memset(node->text, (int)(node->value & 0x7f), sizeof(node->text));
		list = node;
	}
	return list;
}

static bool intact(const struct node *list, unsigned long n)
{
	unsigned long seen = 0;
	size_t i;

	for (; list; list = list->next) {
		seen++;
		if (list->value != seen)
			return false;
		for (i = 0; i < sizeof(list->text); i++)
			if (list->text[i] != (char)(seen & 0x7f))
				return false;
	}
	return seen == n;
}

int main(void)
{
	struct pagearena_options opts = { .size = sizeof(opts), .arena_bytes = 256UL << 20 };
	struct pagearena_stats stats = { .size = sizeof(stats) };
	struct region one, two;
	struct node *l1, *l2;
	uint64_t grown, freed;
	unsigned int i;
	bool good = true;

	one = (struct region){ .arena = pagearena_open(&opts) };
	two = one;
	if (!one.arena && errno == ENOENT)
		return skip_all("no " PAGEARENA_DEVICE);
	printf("TAP version 13\n");
	if (!ok(one.arena, "an arena is opened"))
		return tap_done();

	l1 = build(&one, 20000);
	l2 = build(&two, 5000);
	ok(intact(l1, 20000) && intact(l2, 5000), "two regions keep their contents");
	ok(region_alloc(&two, 1000000), "an object may be larger than a span");

	/* Each round reuses the memory of the one before: the heap does not grow. */
	pagearena_stats(one.arena, &stats);
	grown = stats.heap_sys;
	for (i = 0; i < 20; i++) {
		good &= !region_end(&one);
		l1 = build(&one, 20000);
		good &= intact(l1, 20000);
	}
	pagearena_stats(one.arena, &stats);
	ok(good && intact(l2, 5000), "regions come and go, the other one stays");
	ok(stats.heap_sys == grown, "the heap has not grown");

	ok(!region_end(&one) && !region_end(&two), "all spans are freed");
	ok(!pagearena_scavenge(one.arena, PAGEARENA_ALL, 0, NULL, &freed) && freed,
	   "their memory goes back");
	pagearena_stats(one.arena, &stats);
	ok(!stats.heap_inuse && !stats.backed, "nothing is left behind");
	printf("# grown to %llu KiB, gave back %llu KiB\n", stats.heap_sys / 1024ULL,
	       freed / 1024ULL);

	pagearena_close(one.arena);
	return tap_done();
}
