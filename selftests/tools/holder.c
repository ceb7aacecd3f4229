// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A process with an arena that has spans of every kind, for the tests of the tools to look at.
 *
 *   holder        prints its process and descriptor as PID:FD, and waits to be killed
 *   holder churn  the same, and allocates and frees meanwhile
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pagearena.h>

#define KIB 1024UL
#define MIB (1024 * KIB)

static void die(const char *what)
{
	fprintf(stderr, "holder: %s: %s\n", what, strerror(errno));
	exit(1);
}

static char *get(struct pagearena *a, size_t len, size_t touch)
{
	char *p = pagearena_aligned_alloc(a, 2 * MIB, len, 0);

	if (!p)
		die("alloc");
	memset(p, 1, touch);
	return p;
}

int main(int argc, char **argv)
{
	struct pagearena_options opts = {
		.size = sizeof(opts),
		.arena_bytes = 1024 * MIB,
		.huge = PAGEARENA_HUGE_NEVER,
		.cache_bytes = PAGEARENA_NO_CACHE,
	};
	/* What is free stays as it is, so that two looks see the same. */
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_SCAVENGE_PERCENT | PAGEARENA_POLICY_PROMOTE_PERCENT,
	};
	struct pagearena *a = pagearena_open(&opts);
	char *live, *gone, *warm, *small;
	unsigned int i;

	(void)argv;

	if (!a)
		die("open");
	if (pagearena_policy(a, &policy))
		die("policy");
	live = get(a, 4 * MIB, 4 * MIB);
	gone = get(a, 2 * MIB, 2 * MIB);
	get(a, 2 * MIB, 100 * KIB);
	if (pagearena_free(a, gone) || pagearena_scavenge(a, PAGEARENA_ALL, 0, NULL, NULL))
		die("scavenge");
	warm = get(a, 6 * MIB, 3 * MIB);
	/* Huge are two chunks in use, and one that is free. */
	if (pagearena_promote(a, live, 4 * MIB, NULL, 0, NULL) ||
	    pagearena_promote(a, warm, 2 * MIB, NULL, 0, NULL))
		die("promote");
	get(a, 64 * KIB, 0);
	if (pagearena_free(a, warm))
		die("free");
	for (i = 0; i < 100; i++) {
		small = pagearena_alloc(a, 8 * KIB * (1 + i % 5), 0);
		if (!small)
			die("alloc");
		*small = 1;
		if (i % 3 == 0 && pagearena_free(a, small))
			die("free");
	}
	printf("%d:%d\n", (int)getpid(), pagearena_fd(a));
	fflush(stdout);
	while (argc > 1) {
		for (i = 0; i < 1000; i++) {
			small = pagearena_alloc(a, 16 * KIB, 0);
			if (!small)
				die("alloc");
			*small = 1;
			if (pagearena_free(a, small))
				die("free");
		}
		usleep(1000);
	}
	for (;;)
		pause();
}
