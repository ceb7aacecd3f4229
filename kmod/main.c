// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The module and its device.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "arena.h"
#include "background.h"
#include "backing.h"
#include "compat.h"
#include "pool.h"
#include "promote.h"
#include "reclaim.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static int pa_open(struct inode *inode, struct file *file)
{
	struct pa_arena *arena = pa_arena_create();

	if (IS_ERR(arena))
		return PTR_ERR(arena);
	file->private_data = arena;
	file->f_mapping = arena->inode->i_mapping;
	/* A write through a mapping is no reason to update the device node's times. */
	file->f_mode |= FMODE_NOCMTIME;
	return nonseekable_open(inode, file);
}

static int pa_release(struct inode *inode, struct file *file)
{
	pa_arena_destroy(file->private_data);
	return 0;
}

static const struct file_operations pa_fops = {
	.owner = THIS_MODULE,
	.open = pa_open,
	.release = pa_release,
	.unlocked_ioctl = pa_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = pa_poll,
	.show_fdinfo = pa_show_fdinfo,
	.PA_MMAP_OP = pa_mmap,
	.get_unmapped_area = pa_get_unmapped_area,
	.fsync = noop_fsync,
	.llseek = noop_llseek,
};

/* Root only, until the administrator says otherwise. */
static struct miscdevice pa_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "pagearena",
	.fops = &pa_fops,
	.mode = 0600,
};

static int __init pa_init(void)
{
	int err;

	err = pa_arena_init();
	if (err)
		return err;
	err = pa_backing_init();
	if (err)
		goto exit_arena;
	err = pa_promote_init();
	if (err)
		goto exit_backing;
	err = pa_background_init();
	if (err)
		goto exit_promote;
	err = pa_pool_init();
	if (err)
		goto exit_background;
	err = pa_reclaim_init();
	if (err)
		goto exit_pool;
	pa_debugfs_init();
	err = misc_register(&pa_device);
	if (err)
		goto exit_debugfs;
	return 0;

exit_debugfs:
	pa_debugfs_exit();
	pa_reclaim_exit();
exit_pool:
	pa_pool_exit();
exit_background:
	pa_background_exit();
exit_promote:
	pa_promote_exit();
exit_backing:
	pa_backing_exit();
exit_arena:
	pa_arena_exit();
	return err;
}

static void __exit pa_exit(void)
{
	misc_deregister(&pa_device);
	pa_debugfs_exit();
	pa_reclaim_exit();
	pa_pool_exit();
	pa_background_exit();
	pa_promote_exit();
	pa_backing_exit();
	pa_arena_exit();
}

module_init(pa_init);
module_exit(pa_exit);

MODULE_DESCRIPTION("Arenas of real pages, managed as a heap of spans");
MODULE_AUTHOR("The pagearena authors");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_VERSION("0.1.0");
