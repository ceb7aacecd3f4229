// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Free and allocate through the library, with its caches and without. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pagearena.h"

#include "bench.h"

#define BURST	256

static const uint64_t sizes[] = { 8 << 10, 64 << 10, 256 << 10, 2 << 20 };

static void pair(uint64_t bytes, const char *way, bool cache)
{
	struct pagearena_options options = { .size = sizeof(options), .arena_bytes = 1UL << 32 };
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_PROMOTE_PERCENT,
	};
	struct pagearena *arena;
	char *p[BURST];
	unsigned int i, j;

#ifdef PAGEARENA_NO_CACHE
	if (!cache)
		options.cache_bytes = PAGEARENA_NO_CACHE;
#else
	if (cache) {
		row_missing("pair", "free+alloc", way, bytes, "not in this library");
		return;
	}
#endif
	arena = pagearena_open(&options);
	if (!arena || pagearena_policy(arena, &policy))
		die("arena");
	for (i = 0; i < LIVE; i++) {
		p[i] = pagearena_alloc(arena, bytes, 0);
		if (!p[i])
			die("alloc");
		touch(p[i], bytes);
	}
	if (row_begin("pair", "free+alloc", way, bytes, 1)) {
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			j = (unsigned int)draw(LIVE);
			row_start();
			pagearena_free_sized(arena, p[j], bytes);
			p[j] = pagearena_alloc(arena, bytes, 0);
			row_stop();
		}
		row_end();
	}
	if (row_begin("reuse", "free+alloc+touch", way, bytes, 1)) {
		for (i = 0; i < rounds(bytes < HUGE ? ROUNDS_MAX : 65); i++) {
			j = (unsigned int)draw(LIVE);
			row_start();
			pagearena_free_sized(arena, p[j], bytes);
			p[j] = pagearena_alloc(arena, bytes, 0);
			touch(p[j], bytes);
			row_stop();
		}
		row_end();
	}
	for (i = 0; i < LIVE; i++)
		pagearena_free(arena, p[i]);
	/* So many at a time that caches run empty and full. */
	if (bytes <= 8 << 10 && row_begin("pair", "burst-of-256", way, bytes, BURST)) {
		for (i = 0; i < rounds(ROUNDS_MAX); i++) {
			row_start();
			for (j = 0; j < BURST; j++)
				p[j] = pagearena_alloc(arena, bytes, 0);
			for (j = 0; j < BURST; j++)
				pagearena_free_sized(arena, p[j], bytes);
			row_stop();
		}
		row_end();
	}
	pagearena_close(arena);
}

void bench_library(void)
{
	size_t s;

	if (access("/dev/pagearena", F_OK))
		return;
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		pair(sizes[s], "library", false);
		pair(sizes[s], "library-cache", true);
	}
}
