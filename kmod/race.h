/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Race windows: places between two steps that others may come in between.
 *
 * In a build for tests (PAGEARENA_KUNIT=1) whoever comes to a window that the parameter
 * race_window names waits there for race_us microseconds, and race_hits has grown by one before
 * that: time for a test to do what must do no harm just then.  In any other build there is
 * nothing here.
 *
 * The numbers are known to selftests/device/races.c.
 */
#ifndef PAGEARENA_RACE_H
#define PAGEARENA_RACE_H

/**
 * enum pa_race - windows; all of them in process context, where a lock is named it is held
 * @PA_RACE_NONE: none
 * @PA_RACE_CHUNK: a chunk was found, but is not locked yet
 * @PA_RACE_FILL: a folio for a fault is there, but is not in the chunk yet; chunk lock
 * @PA_RACE_MAP: a fault has its page, locked, which is not mapped yet; mmap_lock or VMA lock,
 *	folio lock
 * @PA_RACE_DETACHED: pages were taken out of a chunk, but are still mapped; scavenge_lock
 * @PA_RACE_ZAPPED: they are not mapped any more, but not free yet; scavenge_lock
 * @PA_RACE_PROMOTE_ZAP: before a chunk that is to be promoted is zapped; chunk lock
 * @PA_RACE_PROMOTE_COPY: after it, before it is seen that nobody holds a page; chunk lock
 * @PA_RACE_PROMOTE_SET: what is alive was copied, the chunk is still small; chunk lock
 * @PA_RACE_DEMOTE_ZAP: before a chunk that is to be demoted is zapped; chunk lock
 * @PA_RACE_DEMOTE_COPY: after it, before it is seen that nobody holds the folio; chunk lock
 * @PA_RACE_DEMOTE_SET: what is alive was copied, the chunk is still huge; chunk lock
 * @PA_RACE_SHRINK: the shrinker has found a chunk; chunk lock, the arena is pinned
 * @PA_RACE_SHRUNK: the shrinker is done with it; the arena is pinned
 * @PA_RACE_ANEW: chunks are to be mapped anew, and mmap_lock is not held yet
 * @PA_RACE_MMAP: a mapping is allowed, and not in the tree of mappings yet; mmap_lock
 * @PA_RACE_DESTROY: the last reference is gone, and nothing has been given back yet
 * @PA_RACE_FORGOTTEN: the shrinker does not find the arena's chunks any more, but they are there
 * @PA_RACE_NR: number of windows
 */
enum pa_race {
	PA_RACE_NONE,
	PA_RACE_CHUNK,
	PA_RACE_FILL,
	PA_RACE_MAP,
	PA_RACE_DETACHED,
	PA_RACE_ZAPPED,
	PA_RACE_PROMOTE_ZAP,
	PA_RACE_PROMOTE_COPY,
	PA_RACE_PROMOTE_SET,
	PA_RACE_DEMOTE_ZAP,
	PA_RACE_DEMOTE_COPY,
	PA_RACE_DEMOTE_SET,
	PA_RACE_SHRINK,
	PA_RACE_SHRUNK,
	PA_RACE_ANEW,
	PA_RACE_MMAP,
	PA_RACE_DESTROY,
	PA_RACE_FORGOTTEN,
	PA_RACE_NR,
};

#ifdef PAGEARENA_RACE_WINDOWS
void pa_race_window(enum pa_race window);
#else
static inline void pa_race_window(enum pa_race window)
{
}
#endif

#endif /* PAGEARENA_RACE_H */
