/* SPDX-License-Identifier: MIT */
/*
 * What libpagearena-malloc.so writes down for "pagearena record": the file is struct
 * log_entry after struct log_entry, up to the first whose op is 0.
 */
#ifndef PAGEARENA_MALLOC_LOG_H
#define PAGEARENA_MALLOC_LOG_H

#include <stdint.h>

/**
 * struct log_entry - one operation
 * @time: of CLOCK_MONOTONIC, in ns
 * @addr: where the memory begins
 * @length: bytes of it
 * @align: alignment that was asked for, in bytes
 * @op: 'a' allocate or 'f' free.  Written last
 */
struct log_entry {
	uint64_t time;
	uint64_t addr;
	uint64_t length;
	uint32_t align;
	uint32_t op;
};

#endif /* PAGEARENA_MALLOC_LOG_H */
