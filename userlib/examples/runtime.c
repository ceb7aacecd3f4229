// SPDX-License-Identifier: MIT
/*
 * The page side of a garbage-collected runtime, in little: objects of one size live in
 * slabs of one span; a collection frees the dead ones; slabs that became empty go back to
 * the arena; a pacer keeps some free memory warm and scavenges the rest.  At the end, a
 * forked child maps the same arena and walks the live objects by the parent's pointers.
 */
#include <pagearena.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define SLAB_BYTES 32768
#define ROOTS 6000
#define KEEP_PERCENT 10

struct object {
	struct object *next_free; /* when free */
	uint64_t key; /* when live: which root it hangs off */
	uint64_t payload[30];
};

struct slab {
	struct object *free;
	struct slab *next, **link; /* in the list of slabs with a free object */
	unsigned int live;
	struct object objects[];
};

#define SLAB_OBJECTS ((SLAB_BYTES - sizeof(struct slab)) / sizeof(struct object))

struct heap {
	struct pagearena *arena;
	struct slab *partial;
};

static void link_slab(struct heap *h, struct slab *s)
{
	s->next = h->partial;
	s->link = &h->partial;
	if (s->next)
		s->next->link = &s->next;
	h->partial = s;
}

static void unlink_slab(struct slab *s)
{
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
}

/* Slabs are aligned to their size, so that an object finds its slab by masking. */
static struct slab *slab_of(struct object *o)
{
	return (struct slab *)((uintptr_t)o & ~(uintptr_t)(SLAB_BYTES - 1));
}

static struct object *heap_alloc(struct heap *h, uint64_t key)
{
	struct slab *s = h->partial;
	struct object *o;
	size_t i;

	if (!s) {
		s = pagearena_aligned_alloc(h->arena, SLAB_BYTES, SLAB_BYTES, 0);
		if (!s)
			return NULL;
		s->free = NULL;
		s->live = 0;
		for (i = 0; i < SLAB_OBJECTS; i++) {
			s->objects[i].next_free = s->free;
			s->free = &s->objects[i];
		}
		link_slab(h, s);
	}
	o = s->free;
	s->free = o->next_free;
	if (!s->free)
		unlink_slab(s);
	s->live++;
	o->key = key;
	for (i = 0; i < 30; i++)
		o->payload[i] = key * 31 + i;
	return o;
}

static bool intact(const struct object *o, uint64_t key)
{
	size_t i;

	if (o->key != key)
		return false;
	for (i = 0; i < 30; i++)
		if (o->payload[i] != key * 31 + i)
			return false;
	return true;
}

static int heap_free(struct heap *h, struct object *o)
{
	struct slab *s = slab_of(o);

	if (!s->free)
		link_slab(h, s);
	o->next_free = s->free;
	s->free = o;
	if (--s->live)
		return 0;
	unlink_slab(s);
	return pagearena_free(h->arena, s);
}

/*
 * Go's pacing: free memory up to a share of what is in use stays warm, because the next
 * cycle wants it at once.  What is above goes, the largest spans first.
 */
static int pace(struct heap *h, uint64_t *released)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	uint64_t warm, keep;

	*released = 0;
	if (pagearena_stats(h->arena, &st))
		return -1;
	warm = st.heap_idle - st.heap_released;
	keep = st.heap_inuse / 100 * KEEP_PERCENT;
	if (warm <= keep)
		return 0;
	return pagearena_scavenge(h->arena, warm - keep, 0, released, NULL);
}

/* Runs in the child: the arena is shared, but the mapping is not inherited. */
static int child(struct heap *h, struct object **roots)
{
	size_t i;

	if (pagearena_remap(h->arena))
		return 1;
	for (i = 0; i < ROOTS; i++)
		if (roots[i] && !intact(roots[i], i))
			return 2;
	/* What it allocates, the parent sees; nobody copies anything. */
	roots[0]->payload[0] = 42;
	pagearena_close(h->arena);
	return 0;
}

int main(void)
{
	/* A heap this small would rather give every free page back than have huge folios. */
	struct pagearena_options opts = { .size = sizeof(opts),
					  .arena_bytes = 256UL << 20,
					  .huge = PAGEARENA_HUGE_NEVER };
	struct pagearena_stats st = { .size = sizeof(st) };
	struct heap h = { .arena = pagearena_open(&opts) };
	static struct object *roots[ROOTS];
	uint64_t released, total = 0, inuse;
	unsigned int cycle, seed = 1;
	bool good = true;
	int status = -1;
	size_t i, step;
	pid_t pid;

	if (!h.arena && errno == ENOENT)
		return skip_all("no " PAGEARENA_DEVICE);
	printf("TAP version 13\n");
	if (!ok(h.arena, "an arena is opened"))
		return tap_done();

	/* Every cycle fills all roots, then a collection keeps fewer of them. */
	for (cycle = 0; cycle < 6; cycle++) {
		for (i = 0; i < ROOTS && good; i++) {
			if (!roots[i])
				roots[i] = heap_alloc(&h, i);
			good = roots[i] && intact(roots[i], i);
		}
		step = cycle + 2;
		for (i = 0; i < ROOTS && good; i++) {
			seed = seed * 1103515245 + 12345;
			/* Half of the cycles free in runs, which empties whole slabs. */
			if (i && (cycle & 1 ? (seed >> 16) % step : i / 1000 % step)) {
				good = intact(roots[i], i) && !heap_free(&h, roots[i]);
				roots[i] = NULL;
			}
		}
		good &= !pace(&h, &released) && !pagearena_stats(h.arena, &st);
		total += released;
		printf("# cycle %u: in use %llu KiB, backed %llu KiB, scavenged %llu KiB\n", cycle,
		       st.heap_inuse / 1024ULL, st.backed / 1024ULL, released / 1024ULL);
	}
	ok(good, "six cycles of allocation and collection");
	ok(total > 0, "the pacer gave memory back");
	ok(st.heap_sys == st.heap_inuse + st.heap_idle && st.heap_released <= st.heap_idle &&
		   st.backed == st.backed_inuse + st.backed_free,
	   "the figures agree");
	/* A span goes whole, so no more than the share stays warm. */
	ok(st.heap_idle - st.heap_released <= st.heap_inuse / 100 * KEEP_PERCENT + SLAB_BYTES,
	   "what stays warm is the share that was asked for");

	inuse = st.heap_inuse;
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(child(&h, roots));
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && !status,
	   "a child follows the parent's pointers");
	ok(roots[0]->payload[0] == 42, "and the parent sees what it wrote");
	pagearena_stats(h.arena, &st);
	ok(st.heap_inuse == inuse, "the arena outlives the child");

	roots[0]->payload[0] = 0;
	for (i = 0; i < ROOTS && good; i++)
		if (roots[i])
			good = !heap_free(&h, roots[i]);
	pagearena_stats(h.arena, &st);
	ok(good && !st.heap_inuse && !st.spans_inuse, "all is freed in the end");
	pagearena_close(h.arena);
	return tap_done();
}
