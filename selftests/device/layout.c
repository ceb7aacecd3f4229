// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The layout of every structure, in numbers, so that a change of the ABI does not compile.
 * The same numbers hold for 32-bit programs; the Makefile compiles this with -m32, too,
 * where the compiler can.
 */
#include <stddef.h>

#include <linux/pagearena.h>

#define SIZE(type, bytes)						\
	_Static_assert(sizeof(struct pagearena_##type) == (bytes), "size of " #type)
#define AT(type, field, bytes)						\
	_Static_assert(offsetof(struct pagearena_##type, field) == (bytes),	\
		       #type "." #field)

SIZE(info, 136);
AT(info, size, 0);
AT(info, flags, 4);
AT(info, abi_version, 8);
AT(info, page_size, 12);
AT(info, features, 16);
AT(info, huge_size, 24);
AT(info, pmd_size, 32);
AT(info, span_page_min, 40);
AT(info, span_page_max, 48);
AT(info, arena_bytes_max, 56);
AT(info, span_pages_max, 64);
AT(info, arena_id, 72);
AT(info, arena_bytes, 80);
AT(info, span_page, 88);
AT(info, granule, 96);
AT(info, growth, 104);
AT(info, limit, 112);
AT(info, setup_flags, 120);
AT(info, fit, 124);
AT(info, huge, 128);
AT(info, __pad, 132);

SIZE(setup, 56);
AT(setup, size, 0);
AT(setup, flags, 4);
AT(setup, arena_bytes, 8);
AT(setup, span_page, 16);
AT(setup, granule, 24);
AT(setup, growth, 32);
AT(setup, limit, 40);
AT(setup, fit, 48);
AT(setup, huge, 52);

SIZE(alloc, 40);
AT(alloc, size, 0);
AT(alloc, flags, 4);
AT(alloc, length, 8);
AT(alloc, align, 16);
AT(alloc, offset, 24);
AT(alloc, out_flags, 32);
AT(alloc, __pad, 36);

SIZE(free, 24);
AT(free, size, 0);
AT(free, flags, 4);
AT(free, offset, 8);
AT(free, length, 16);

SIZE(scavenge, 40);
AT(scavenge, size, 0);
AT(scavenge, flags, 4);
AT(scavenge, bytes, 8);
AT(scavenge, min_age_ns, 16);
AT(scavenge, released, 24);
AT(scavenge, backed, 32);

SIZE(promote, 176);
AT(promote, size, 0);
AT(promote, flags, 4);
AT(promote, offset, 8);
AT(promote, length, 16);
AT(promote, results, 24);
AT(promote, nr_results, 32);
AT(promote, min_density, 36);
AT(promote, deadline_ns, 40);
AT(promote, counts, 48);

SIZE(policy, 56);
AT(policy, size, 0);
AT(policy, set, 4);
AT(policy, promote_percent, 8);
AT(policy, promote_density, 12);
AT(policy, scavenge_percent, 16);
AT(policy, retain_percent, 20);
AT(policy, scavenge_age_ns, 24);
AT(policy, limit, 32);
AT(policy, limit_soft, 40);
AT(policy, __pad, 44);
AT(policy, pool_bytes, 48);

SIZE(resize, 40);
AT(resize, size, 0);
AT(resize, flags, 4);
AT(resize, offset, 8);
AT(resize, length, 16);
AT(resize, old_length, 24);
AT(resize, out_flags, 32);
AT(resize, __pad, 36);

SIZE(op, 40);
AT(op, op, 0);
AT(op, flags, 4);
AT(op, result, 8);
AT(op, out_flags, 12);
AT(op, offset, 16);
AT(op, length, 24);
AT(op, align, 32);

SIZE(batch, 32);
AT(batch, size, 0);
AT(batch, flags, 4);
AT(batch, ops, 8);
AT(batch, count, 16);
AT(batch, done, 20);
AT(batch, failed, 24);
AT(batch, __pad, 28);

SIZE(stats, 536);
AT(stats, size, 0);
AT(stats, flags, 4);
AT(stats, heap_sys, 8);
AT(stats, heap_inuse, 16);
AT(stats, heap_idle, 24);
AT(stats, heap_released, 32);
AT(stats, backed, 40);
AT(stats, backed_inuse, 48);
AT(stats, backed_free, 56);
AT(stats, huge_bytes, 64);
AT(stats, small_bytes, 72);
AT(stats, backed_peak, 80);
AT(stats, inuse_peak, 88);
AT(stats, spans_inuse, 96);
AT(stats, spans_free, 104);
AT(stats, spans_scavenged, 112);
AT(stats, nr_alloc, 120);
AT(stats, nr_free, 128);
AT(stats, nr_grow, 136);
AT(stats, nr_scavenge, 144);
AT(stats, nr_fault, 152);
AT(stats, nr_fault_huge, 160);
AT(stats, nr_fault_denied, 168);
AT(stats, nr_fault_failed, 176);
AT(stats, nr_zap, 184);
AT(stats, nr_huge_alloc, 192);
AT(stats, nr_huge_failed, 200);
AT(stats, huge_inuse, 208);
AT(stats, nr_promote, 216);
AT(stats, nr_promote_background, 224);
AT(stats, nr_demote, 232);
AT(stats, nr_demote_failed, 240);
AT(stats, bytes_copied, 248);
AT(stats, bytes_zeroed, 256);
AT(stats, nr_mid_alloc, 264);
AT(stats, nr_refused, 272);
AT(stats, reclaimable, 400);
AT(stats, pressure_seq, 408);
AT(stats, pressure_flags, 416);
AT(stats, bytes_background, 424);
AT(stats, bytes_reclaimed, 432);
AT(stats, bytes_limited, 440);
AT(stats, bytes_refault, 448);
AT(stats, background_ns, 456);
AT(stats, nr_background, 464);
AT(stats, background_slow, 472);
AT(stats, background_hold_max, 480);
AT(stats, pool_bytes, 488);
AT(stats, nr_pool_hit, 496);
AT(stats, nr_pool_miss, 504);
AT(stats, bytes_pool_zeroed, 512);
AT(stats, bytes_pool_unused, 520);
AT(stats, pool_ns, 528);

SIZE(span, 48);
AT(span, offset, 0);
AT(span, length, 8);
AT(span, state, 16);
AT(span, flags, 20);
AT(span, age_ns, 24);
AT(span, backed, 32);
AT(span, huge, 40);

SIZE(spans, 32);
AT(spans, size, 0);
AT(spans, flags, 4);
AT(spans, offset, 8);
AT(spans, spans, 16);
AT(spans, count, 24);
AT(spans, __pad, 28);

SIZE(query, 64);
AT(query, size, 0);
AT(query, flags, 4);
AT(query, offset, 8);
AT(query, span, 16);

_Static_assert(PAGEARENA_IOC_INFO == 0xf580, "INFO");
_Static_assert(PAGEARENA_IOC_SETUP == 0xf581, "SETUP");
_Static_assert(PAGEARENA_IOC_ALLOC == 0xf582, "ALLOC");
_Static_assert(PAGEARENA_IOC_FREE == 0xf583, "FREE");
_Static_assert(PAGEARENA_IOC_SCAVENGE == 0xf584, "SCAVENGE");
_Static_assert(PAGEARENA_IOC_PROMOTE == 0xf585, "PROMOTE");
_Static_assert(PAGEARENA_IOC_STATS == 0xf586, "STATS");
_Static_assert(PAGEARENA_IOC_SPANS == 0xf587, "SPANS");
_Static_assert(PAGEARENA_IOC_QUERY == 0xf588, "QUERY");
_Static_assert(PAGEARENA_IOC_POLICY == 0xf589, "POLICY");
_Static_assert(PAGEARENA_IOC_RESIZE == 0xf58a, "RESIZE");
_Static_assert(PAGEARENA_IOC_BATCH == 0xf58b, "BATCH");
