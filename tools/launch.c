// SPDX-License-Identifier: MIT
/* Starting a program with libpagearena-malloc.so below it. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "launch.h"

#define LIBRARY "libpagearena-malloc.so"

/* Beside this command, as it was built or installed, before the usual places. */
static bool beside(char *path, size_t len)
{
	static const char *const places[] = {
		"../lib/" LIBRARY,
#ifdef MULTIARCH
		/* A package puts it where no linker looks. */
		"../lib/" MULTIARCH "/pagearena/" LIBRARY,
		"../lib/" MULTIARCH "/" LIBRARY,
#endif
		"../malloc/" LIBRARY,
	};
	char exe[512], *slash;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	size_t i;

	if (n < 0)
		return false;
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (!slash)
		return false;
	*slash = '\0';
	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (snprintf(path, len, "%s/%s", exe, places[i]) < (int)len && !access(path, R_OK))
			return true;
	return false;
}

/* To the loader a blank or a colon ends a name; it would complain, and go on without. */
static const char *can_preload(const char *path)
{
	if (!strpbrk(path, " :"))
		return path;
	failed("%s: a path with a blank or a colon in it cannot be preloaded", path);
	return NULL;
}

/* The path of the library; complains and returns NULL if it is not there. */
const char *find_library(const char *given)
{
	static const char *const places[] = {
		"/usr/local/lib/" LIBRARY,
#ifdef MULTIARCH
		"/usr/lib/" MULTIARCH "/pagearena/" LIBRARY,
		"/usr/lib/" MULTIARCH "/" LIBRARY,
#endif
		"/usr/lib/" LIBRARY,
	};
	static char path[PATH_MAX];
	char near[1024];
	size_t i;

	if (given) {
		if (!access(given, R_OK) && realpath(given, path))
			return can_preload(path);
		failed("%s: %s", given, strerror(errno));
		return NULL;
	}
	if (beside(near, sizeof(near)) && realpath(near, path))
		return can_preload(path);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (!access(places[i], R_OK))
			return places[i];
	failed("there is no " LIBRARY " here; name it with --library, or build it: make malloc");
	return NULL;
}

/* Puts the library and its settings into the environment, before what is there. */
bool preload(const char *library, const char *settings)
{
	const char *was = getenv("LD_PRELOAD");
	char *list;

	if (asprintf(&list, "%s%s%s", library, was && *was ? ":" : "", was ? was : "") < 0)
		return false;
	if (setenv("LD_PRELOAD", list, 1) || setenv("PAGEARENA_MALLOC", settings, 1)) {
		free(list);
		return false;
	}
	free(list);
	return true;
}
