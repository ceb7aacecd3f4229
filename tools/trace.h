/* SPDX-License-Identifier: MIT */
/* Traces of page-level allocation; selftests/traces/README.md describes the format. */
#ifndef PAGEARENA_TRACE_H
#define PAGEARENA_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct trace_op - one operation
 * @time: ns since the first operation
 * @id: what it is about, 1 to &trace.max_id
 * @npages: its length in pages of &trace.page_size
 * @align: alignment in pages, 1 if none was asked for
 * @op: 'a' allocate, 'f' free, 'p' purge: the contents may go
 */
struct trace_op {
	uint64_t time;
	uint32_t id;
	uint32_t npages;
	uint32_t align;
	char op;
};

/**
 * struct trace - a trace, checked
 * @page_size: bytes of a page of the trace
 * @program: what was recorded, from the header
 * @ops: the operations
 * @nr_ops: their number
 * @max_id: largest id
 * @peak_op: the operation after which the most pages were live
 * @peak_pages: how many these were
 * @peak_spans: number of live ids at that moment
 */
struct trace {
	uint32_t page_size;
	char *program;
	struct trace_op *ops;
	size_t nr_ops;
	uint32_t max_id;
	size_t peak_op;
	uint64_t peak_pages;
	uint64_t peak_spans;
};

bool trace_load(struct trace *t, const char *path, uint64_t max_ops);
void trace_unload(struct trace *t);

#endif /* PAGEARENA_TRACE_H */
