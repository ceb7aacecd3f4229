/* SPDX-License-Identifier: MIT */
/* What the files of libpagearena-malloc.so know of each other. */
#ifndef PAGEARENA_MALLOC_H
#define PAGEARENA_MALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pagearena.h>

#define __printf(a, b)	__attribute__((__format__(__printf__, \
						  a, b)))

/* malloc.c */
extern struct pagearena *malloc_arena;
__printf(1, 2) void say(const char *fmt, ...);
void *map_private(void *addr, size_t len, int flags);

/* fork.c */
extern char *malloc_copy;
extern size_t malloc_copy_bytes;
typedef void (*fork_handler)(void);
/* Names that the linker gives meaning: pthread_atfork(), and what is called in its place. */
int __real_pthread_atfork(fork_handler prepare, fork_handler parent, fork_handler child);
int __wrap_pthread_atfork(fork_handler prepare, fork_handler parent, fork_handler child);

#endif /* PAGEARENA_MALLOC_H */
