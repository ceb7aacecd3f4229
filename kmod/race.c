// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Race windows, see race.h.  Only in builds for tests.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>

#include "race.h"

static unsigned int race_window;
module_param(race_window, uint, 0600);
MODULE_PARM_DESC(race_window, "for tests: number of the window that is held open, 0: none");

static unsigned int race_us;
module_param(race_us, uint, 0600);
MODULE_PARM_DESC(race_us, "for tests: microseconds for which it is");

/* A parameter has no atomic type, and is only ever written here. */
static atomic_t race_count = ATOMIC_INIT(0);

static int pa_race_hits(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&race_count));
}

static const struct kernel_param_ops pa_race_ops = { .get = pa_race_hits };
module_param_cb(race_hits, &pa_race_ops, NULL, 0400);
MODULE_PARM_DESC(race_hits, "for tests: how often somebody came to it");

/**
 * pa_race_window() - a place between two steps
 * @window: which
 *
 * Context: may sleep.
 */
void pa_race_window(enum pa_race window)
{
	unsigned int us = READ_ONCE(race_us);

	if (likely(READ_ONCE(race_window) != window) || !us)
		return;
	atomic_inc(&race_count);
	usleep_range(us, us + us / 8);
}
