// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * debugfs: /sys/kernel/debug/pagearena/<arena_id>/recount verifies every invariant of the
 * arena from scratch and says "ok" or what is wrong.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/seq_file.h>

#include "arena.h"
#include "backing.h"

static struct dentry *pa_debugfs_root;

static int recount_show(struct seq_file *m, void *unused)
{
	struct pa_arena *arena = m->private;
	const char *bad;

	spin_lock(&arena->lock);
	span_heap_recount(&arena->heap, &bad);
	if (!bad)
		bad = pa_backing_recount(arena);
	if (!bad)
		bad = pa_pool_recount(arena);
	spin_unlock(&arena->lock);
	seq_printf(m, "%s\n", bad ? bad : "ok");
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(recount);

/**
 * pa_debugfs_add() - show an arena
 * @arena: an arena that is set up
 *
 * Nothing depends on it, so errors are ignored, as debugfs wants it.
 *
 * Context: may sleep.
 */
void pa_debugfs_add(struct pa_arena *arena)
{
	char name[24];

	snprintf(name, sizeof(name), "%llu", arena->id);
	arena->debugfs = debugfs_create_dir(name, pa_debugfs_root);
	debugfs_create_file("recount", 0400, arena->debugfs, arena, &recount_fops);
}

/**
 * pa_debugfs_remove() - do not show an arena any more
 * @arena: an arena
 *
 * Waits for whoever reads one of its files.
 *
 * Context: may sleep.
 */
void pa_debugfs_remove(struct pa_arena *arena)
{
	debugfs_remove(arena->debugfs);
}

void __init pa_debugfs_init(void)
{
	pa_debugfs_root = debugfs_create_dir("pagearena", NULL);
}

void pa_debugfs_exit(void)
{
	debugfs_remove(pa_debugfs_root);
}
