// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /proc/PID/fdinfo/FD: the figures of an arena, for who may look at the process.  Keys and
 * values are laid out as those of DRM drivers: one a line, plain numbers of bytes.
 */
#include <linux/fs.h>
#include <linux/seq_file.h>

#include "arena.h"

/**
 * pa_show_fdinfo() - print the figures of an arena
 * @m: where to
 * @file: the arena's file
 *
 * Context: may sleep; takes the heap lock.
 */
void pa_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct pa_arena *arena = file->private_data;
	struct pagearena_stats stats = {};

	seq_printf(m, "pagearena-id:\t%llu\n", arena->id);
	if (!pa_arena_ready(arena))
		return;
	pa_arena_stats(arena, &stats);
	seq_printf(m, "pagearena-size:\t%llu\n", arena->setup.arena_bytes);
	seq_printf(m, "pagearena-limit:\t%llu\n", READ_ONCE(arena->limit));
	seq_printf(m, "pagearena-heap-sys:\t%llu\n", stats.heap_sys);
	seq_printf(m, "pagearena-heap-inuse:\t%llu\n", stats.heap_inuse);
	seq_printf(m, "pagearena-heap-idle:\t%llu\n", stats.heap_idle);
	seq_printf(m, "pagearena-heap-released:\t%llu\n", stats.heap_released);
	seq_printf(m, "pagearena-backed:\t%llu\n", stats.backed);
	seq_printf(m, "pagearena-backed-inuse:\t%llu\n", stats.backed_inuse);
	seq_printf(m, "pagearena-backed-free:\t%llu\n", stats.backed_free);
	seq_printf(m, "pagearena-reclaimable:\t%llu\n", stats.reclaimable);
	seq_printf(m, "pagearena-huge:\t%llu\n", stats.huge_bytes);
	seq_printf(m, "pagearena-huge-inuse:\t%llu\n", stats.huge_inuse);
	seq_printf(m, "pagearena-small:\t%llu\n", stats.small_bytes);
	seq_printf(m, "pagearena-pool:\t%llu\n", stats.pool_bytes);
	seq_printf(m, "pagearena-pressure-seq:\t%llu\n", stats.pressure_seq);
}
