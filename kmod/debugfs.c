// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * debugfs: /sys/kernel/debug/pagearena/<arena_id>/, for root alone:
 *
 *   recount	verifies every invariant of the arena from scratch and says "ok" or what is wrong
 *   spans	all spans in order of offset, a line for each
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/math64.h>
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

/* One who reads all spans, and the span at which he is. */
struct spans_iter {
	struct pa_arena *arena;
	struct pagearena_span span;
};

/* The position is a span page; what is told next is the span that holds it. */
static void *spans_at(struct seq_file *m, loff_t pos)
{
	struct spans_iter *iter = m->private;
	struct pa_arena *arena = iter->arena;
	struct span *s;

	spin_lock(&arena->lock);
	s = span_heap_find(&arena->heap, pos);
	if (s)
		pa_arena_describe(arena, s, &iter->span);
	spin_unlock(&arena->lock);
	return s ? iter : NULL;
}

static void *spans_start(struct seq_file *m, loff_t *pos)
{
	return spans_at(m, *pos);
}

static void *spans_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct spans_iter *iter = v;

	*pos = (iter->span.offset + iter->span.length) >> iter->arena->heap.cfg.page_shift;
	return spans_at(m, *pos);
}

static void spans_stop(struct seq_file *m, void *v)
{
}

static int spans_show(struct seq_file *m, void *v)
{
	static const char * const states[] = {
		[PAGEARENA_SPAN_FREE] = "free",
		[PAGEARENA_SPAN_INUSE] = "inuse",
		[PAGEARENA_SPAN_TRANSIT] = "transit",
	};
	const struct spans_iter *iter = v;
	const struct pagearena_span *span = &iter->span;

	seq_printf(m, "%#llx %llu %s%s backed=%llu huge=%llu age_ms=%llu\n", span->offset,
		   span->length, states[span->state],
		   span->flags & PAGEARENA_SPAN_SCAVENGED ? ",scavenged" : "", span->backed,
		   span->huge, div_u64(span->age_ns, NSEC_PER_MSEC));
	return 0;
}

static const struct seq_operations spans_ops = {
	.start = spans_start,
	.next = spans_next,
	.stop = spans_stop,
	.show = spans_show,
};

static int spans_open(struct inode *inode, struct file *file)
{
	struct spans_iter *iter = __seq_open_private(file, &spans_ops, sizeof(*iter));

	if (!iter)
		return -ENOMEM;
	iter->arena = inode->i_private;
	return 0;
}

static const struct file_operations spans_fops = {
	.owner = THIS_MODULE,
	.open = spans_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

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
	debugfs_create_file("spans", 0400, arena->debugfs, arena, &spans_fops);
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
