/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Tracepoints: /sys/kernel/tracing/events/pagearena.  They are an interface, and
 * Documentation/tracing.rst describes them: selftests/docs/check.sh compares the two.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pagearena

#if !defined(PAGEARENA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PAGEARENA_TRACE_H

#include <linux/pagearena.h>
#include <linux/tracepoint.h>

/* What pagearena_refuse tells of, beside PAGEARENA_OP_* */
#define PA_REFUSE_SETUP		16
#define PA_REFUSE_LIMIT		17
#define PA_REFUSE_HUGE		18

/* enum pa_cause */
#define pa_show_cause(cause)						\
	__print_symbolic(cause, { 0, "call" }, { 1, "limit" },		\
			 { 2, "background" }, { 3, "reclaim" })

#define pa_show_refused(what)						\
	__print_symbolic(what,						\
			 { PAGEARENA_OP_ALLOC, "alloc" },		\
			 { PAGEARENA_OP_FREE, "free" },			\
			 { PAGEARENA_OP_RESIZE, "resize" },		\
			 { PA_REFUSE_SETUP, "setup" },			\
			 { PA_REFUSE_LIMIT, "limit" },			\
			 { PA_REFUSE_HUGE, "huge" })

#define pa_show_promoted(result)					\
	__print_symbolic(result,					\
			 { PAGEARENA_PROMOTE_DONE, "done" },		\
			 { PAGEARENA_PROMOTE_ALREADY, "already" },	\
			 { PAGEARENA_PROMOTE_EMPTY, "empty" },		\
			 { PAGEARENA_PROMOTE_SPARSE, "sparse" },	\
			 { PAGEARENA_PROMOTE_PINNED, "pinned" },	\
			 { PAGEARENA_PROMOTE_NOMEM, "nomem" },		\
			 { PAGEARENA_PROMOTE_LIMIT, "limit" },		\
			 { PAGEARENA_PROMOTE_DEADLINE, "deadline" },	\
			 { PAGEARENA_PROMOTE_BUSY, "busy" })

#define pa_show_pressure(what)						\
	__print_flags(what, "|",					\
		      { PAGEARENA_PRESSURE_RECLAIM, "reclaim" },	\
		      { PAGEARENA_PRESSURE_LIMIT, "limit" },		\
		      { PAGEARENA_PRESSURE_NOMEM, "nomem" })

TRACE_EVENT(pagearena_setup,
	TP_PROTO(u64 arena, u64 bytes, u64 limit),
	TP_ARGS(arena, bytes, limit),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, bytes)
		__field(u64, limit)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->bytes = bytes;
		__entry->limit = limit;
	),
	TP_printk("arena=%llu bytes=%llu limit=%llu", __entry->arena, __entry->bytes,
		  __entry->limit)
);

/* backed: bytes that go back with the arena */
TRACE_EVENT(pagearena_close,
	TP_PROTO(u64 arena, u64 backed),
	TP_ARGS(arena, backed),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, backed)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->backed = backed;
	),
	TP_printk("arena=%llu backed=%llu", __entry->arena, __entry->backed)
);

/* what: PAGEARENA_OP_* or PA_REFUSE_*; offset and length: as they were asked for */
TRACE_EVENT(pagearena_refuse,
	TP_PROTO(u64 arena, unsigned int what, u64 offset, u64 length, int err),
	TP_ARGS(arena, what, offset, length, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(unsigned int, what)
		__field(u64, offset)
		__field(u64, length)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->what = what;
		__entry->offset = offset;
		__entry->length = length;
		__entry->err = err;
	),
	TP_printk("arena=%llu what=%s offset=%#llx length=%llu err=%d", __entry->arena,
		  pa_show_refused(__entry->what), __entry->offset, __entry->length,
		  __entry->err)
);

TRACE_EVENT(pagearena_alloc,
	TP_PROTO(u64 arena, u64 offset, u64 length, bool zero, bool backed),
	TP_ARGS(arena, offset, length, zero, backed),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, offset)
		__field(u64, length)
		__field(bool, zero)
		__field(bool, backed)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->offset = offset;
		__entry->length = length;
		__entry->zero = zero;
		__entry->backed = backed;
	),
	TP_printk("arena=%llu offset=%#llx length=%llu zero=%d backed=%d", __entry->arena,
		  __entry->offset, __entry->length, __entry->zero, __entry->backed)
);

TRACE_EVENT(pagearena_free,
	TP_PROTO(u64 arena, u64 offset, u64 length),
	TP_ARGS(arena, offset, length),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, offset)
		__field(u64, length)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->offset = offset;
		__entry->length = length;
	),
	TP_printk("arena=%llu offset=%#llx length=%llu", __entry->arena, __entry->offset,
		  __entry->length)
);

TRACE_EVENT(pagearena_reclaim,
	TP_PROTO(u64 arena, unsigned long chunk, u64 backed),
	TP_ARGS(arena, chunk, backed),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(unsigned long, chunk)
		__field(u64, backed)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->chunk = chunk;
		__entry->backed = backed;
	),
	TP_printk("arena=%llu chunk=%lu backed=%llu", __entry->arena, __entry->chunk,
		  __entry->backed)
);

TRACE_EVENT(pagearena_background,
	TP_PROTO(u64 arena, u64 backed, u64 spent, unsigned int slow),
	TP_ARGS(arena, backed, spent, slow),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, backed)
		__field(u64, spent)
		__field(unsigned int, slow)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->backed = backed;
		__entry->spent = spent;
		__entry->slow = slow;
	),
	TP_printk("arena=%llu backed=%llu spent=%llu slow=%u", __entry->arena, __entry->backed,
		  __entry->spent, __entry->slow)
);

TRACE_EVENT(pagearena_pressure,
	TP_PROTO(u64 arena, unsigned int what),
	TP_ARGS(arena, what),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(unsigned int, what)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->what = what;
	),
	TP_printk("arena=%llu what=%s", __entry->arena, pa_show_pressure(__entry->what))
);

TRACE_EVENT(pagearena_scavenge,
	TP_PROTO(u64 arena, u64 offset, u64 length, u64 backed, int cause, int err),
	TP_ARGS(arena, offset, length, backed, cause, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, offset)
		__field(u64, length)
		__field(u64, backed)
		__field(int, cause)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->offset = offset;
		__entry->length = length;
		__entry->backed = backed;
		__entry->cause = cause;
		__entry->err = err;
	),
	TP_printk("arena=%llu offset=%#llx length=%llu backed=%llu cause=%s err=%d",
		  __entry->arena, __entry->offset, __entry->length, __entry->backed,
		  pa_show_cause(__entry->cause), __entry->err)
);

TRACE_EVENT(pagearena_fault,
	TP_PROTO(u64 arena, u64 page, bool huge, int err),
	TP_ARGS(arena, page, huge, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, page)
		__field(bool, huge)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->page = page;
		__entry->huge = huge;
		__entry->err = err;
	),
	TP_printk("arena=%llu page=%llu huge=%d err=%d", __entry->arena, __entry->page,
		  __entry->huge, __entry->err)
);

/* bytes: that the pool got, or gave back */
TRACE_EVENT(pagearena_pool,
	TP_PROTO(u64 arena, s64 bytes, u64 spent),
	TP_ARGS(arena, bytes, spent),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(s64, bytes)
		__field(u64, spent)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->bytes = bytes;
		__entry->spent = spent;
	),
	TP_printk("arena=%llu bytes=%lld spent=%llu", __entry->arena, __entry->bytes,
		  __entry->spent)
);

/* result: PAGEARENA_PROMOTE_* */
TRACE_EVENT(pagearena_promote,
	TP_PROTO(u64 arena, u64 chunk, unsigned int copied, int result, bool background),
	TP_ARGS(arena, chunk, copied, result, background),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, chunk)
		__field(unsigned int, copied)
		__field(int, result)
		__field(bool, background)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->chunk = chunk;
		__entry->copied = copied;
		__entry->result = result;
		__entry->background = background;
	),
	TP_printk("arena=%llu chunk=%llu copied=%u result=%s background=%d", __entry->arena,
		  __entry->chunk, __entry->copied, pa_show_promoted(__entry->result),
		  __entry->background)
);

TRACE_EVENT(pagearena_demote,
	TP_PROTO(u64 arena, u64 chunk, unsigned int copied, int cause, int err),
	TP_ARGS(arena, chunk, copied, cause, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, chunk)
		__field(unsigned int, copied)
		__field(int, cause)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->chunk = chunk;
		__entry->copied = copied;
		__entry->cause = cause;
		__entry->err = err;
	),
	TP_printk("arena=%llu chunk=%llu copied=%u cause=%s err=%d", __entry->arena,
		  __entry->chunk, __entry->copied, pa_show_cause(__entry->cause), __entry->err)
);

TRACE_EVENT(pagearena_map_anew,
	TP_PROTO(u64 arena, u64 chunk, u64 chunks, int err),
	TP_ARGS(arena, chunk, chunks, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, chunk)
		__field(u64, chunks)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->chunk = chunk;
		__entry->chunks = chunks;
		__entry->err = err;
	),
	TP_printk("arena=%llu chunk=%llu chunks=%llu err=%d", __entry->arena, __entry->chunk,
		  __entry->chunks, __entry->err)
);

#endif /* PAGEARENA_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
