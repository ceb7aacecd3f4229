/* SPDX-License-Identifier: MIT */
/* Starting a program with libpagearena-malloc.so below it. */
#ifndef PAGEARENA_LAUNCH_H
#define PAGEARENA_LAUNCH_H

#include <stdbool.h>

const char *find_library(const char *given);
bool preload(const char *library, const char *settings);

#endif /* PAGEARENA_LAUNCH_H */
