// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The device, through its calls.  Memory is behind what is allocated, so that there is
 * something to release; the arena does nothing by itself, and has no huge folios, whose places
 * would attract spans.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pagearena.h>

#include "differ.h"

#define LIST	512

static int fd = -1;
static char *map;
static u64 size;
static unsigned int shift;

static void broken(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void device_begin(const struct span_heap_config *cfg)
{
	static const __u32 fits[] = {
		[SPAN_FIT_BEST] = PAGEARENA_FIT_BEST,
		[SPAN_FIT_FIRST] = PAGEARENA_FIT_FIRST,
		[SPAN_FIT_PLACED] = PAGEARENA_FIT_PLACED,
	};
	struct pagearena_setup setup = {
		.size = sizeof(setup), .arena_bytes = cfg->size, .growth = cfg->growth,
		.span_page = 1ULL << cfg->page_shift, .granule = 1ULL << cfg->granule_shift,
		.fit = fits[cfg->fit], .huge = PAGEARENA_HUGE_OFF,
	};
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_PROMOTE_PERCENT | PAGEARENA_POLICY_SCAVENGE_PERCENT,
	};

	shift = cfg->page_shift;
	size = cfg->size;
	fd = open("/dev/pagearena", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		broken("open");
	if (ioctl(fd, PAGEARENA_IOC_SETUP, &setup))
		broken("SETUP");
	if (ioctl(fd, PAGEARENA_IOC_POLICY, &policy))
		broken("POLICY");
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		broken("mmap");
}

static void device_end(void)
{
	munmap(map, size);
	close(fd);
}

static s64 result(int ret)
{
	return ret ? -errno : 0;
}

/* A span that was just allocated: what QUERY says of it.  It gets some memory. */
static void look(u64 offset, struct result *res)
{
	struct pagearena_query req = { .size = sizeof(req), .offset = offset };

	if (ioctl(fd, PAGEARENA_IOC_QUERY, &req))
		broken("QUERY");
	res->base = offset >> shift;
	res->needzero = !!(req.span.flags & PAGEARENA_SPAN_NEEDZERO);
	map[offset] = 1;
}

static void device_alloc(u64 npages, u64 align, u64 base, __u32 flags, struct result *res)
{
	struct pagearena_alloc req = {
		.size = sizeof(req), .flags = flags, .length = npages << shift,
		.align = align << shift, .offset = base << shift,
	};

	res->ret = result(ioctl(fd, PAGEARENA_IOC_ALLOC, &req));
	if (!res->ret)
		look(req.offset, res);
}

static void device_figures(struct span_heap_stats *to)
{
	struct pagearena_stats st = { .size = sizeof(st) };

	if (ioctl(fd, PAGEARENA_IOC_STATS, &st))
		broken("STATS");
	to->heap_sys = st.heap_sys;
	to->heap_inuse = st.heap_inuse;
	to->heap_idle = st.heap_idle;
	to->heap_released = st.heap_released;
	to->spans_inuse = st.spans_inuse;
	to->spans_free = st.spans_free;
	to->spans_scavenged = st.spans_scavenged;
	to->nr_alloc = st.nr_alloc;
	to->nr_free = st.nr_free;
	to->nr_grow = st.nr_grow;
	to->nr_scavenge = st.nr_scavenge;
	to->inuse_peak = st.inuse_peak;
}

static u64 device_digest(void)
{
	static struct pagearena_span list[LIST];
	struct pagearena_spans req = { .size = sizeof(req), .spans = (uintptr_t)list };
	u64 sum = 0;
	__u32 i;

	do {
		req.count = LIST;
		if (ioctl(fd, PAGEARENA_IOC_SPANS, &req))
			broken("SPANS");
		for (i = 0; i < req.count; i++)
			sum = mix_span(sum, list[i].offset >> shift, list[i].length >> shift,
				       (int)list[i].state,
				       list[i].flags & PAGEARENA_SPAN_SCAVENGED,
				       list[i].flags & PAGEARENA_SPAN_NEEDZERO);
	} while (req.count);
	return sum;
}

static void device_play(const struct op *op, struct result *res)
{
	struct pagearena_free free_req = { .size = sizeof(free_req) };
	struct pagearena_resize resize = { .size = sizeof(resize) };
	struct pagearena_scavenge scavenge = { .size = sizeof(scavenge) };

	switch (op->what) {
	case 'a':
		device_alloc(op->a, op->b, 0, 0, res);
		break;
	case 'A':
		device_alloc(op->a, 0, op->b, PAGEARENA_ALLOC_FIXED, res);
		break;
	case 'r':
		resize.offset = op->a << shift;
		resize.length = op->b << shift;
		res->ret = result(ioctl(fd, PAGEARENA_IOC_RESIZE, &resize));
		if (!res->ret)
			look(resize.offset, res);
		break;
	case 'f':
		free_req.offset = op->a << shift;
		free_req.length = op->b << shift;
		res->ret = result(ioctl(fd, PAGEARENA_IOC_FREE, &free_req));
		break;
	case 's':
		scavenge.bytes = op->a == ALL ? ALL : op->a << shift;
		if (ioctl(fd, PAGEARENA_IOC_SCAVENGE, &scavenge))
			broken("SCAVENGE");
		res->ret = (s64)scavenge.released;
		break;
	}
	device_figures(&res->stats);
	res->digest = device_digest();
}

const struct player device_player = { "device", device_begin, device_play, device_end };
