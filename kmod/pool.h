/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Huge folios that are zeroed in advance, by a thread that nobody waits for.
 */
#ifndef PAGEARENA_POOL_H
#define PAGEARENA_POOL_H

#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/list_lru.h>
#include <linux/types.h>

struct folio;
struct mem_cgroup;
struct pa_arena;

/**
 * struct pa_ready - a huge folio that is zero
 * @lru: in pa_pool_lru: in the list of its node and of the memory cgroup that pays for it.
 *	Who takes it off that list has the folio
 * @list: in &pa_pool.ready; protected by the heap lock
 * @arena: whose it is
 * @folio: the folio; nobody else holds or has ever seen it
 * @wake: it was taken, and the thread shall make another
 */
struct pa_ready {
	struct list_head lru;
	struct list_head list;
	struct pa_arena *arena;
	struct folio *folio;
	bool wake;
};

/**
 * struct pa_pool - the huge folios of an arena that are zeroed in advance
 * @ready: struct pa_ready; protected by the heap lock, as all that follows but where it says
 *	otherwise
 * @nr: their number; also read without the lock
 * @filling: there was demand since the pool was full: the thread shall fill it
 * @nid: node of who wanted a huge folio last
 * @wanted: when that was, in jiffies
 * @pace_until: in jiffies: the thread has had its share of the CPU until then
 * @hold_until: in jiffies: memory is short, or huge folios are; written by whoever notices
 * @backoff: how long it is held for the next time, in jiffies; likewise
 * @work: what the thread has to do
 * @nr_hit: huge folios that were taken from the pool
 * @nr_miss: huge folios that had to be cleared at a fault, though there is a pool
 * @bytes_zeroed: bytes cleared in advance
 * @bytes_unused: of these, bytes that went back without having been used
 * @spent: ns that the thread took, all together
 */
struct pa_pool {
	struct list_head ready;
	u64 nr;
	bool filling;
	int nid;
	unsigned long wanted;
	unsigned long pace_until;
	unsigned long hold_until;
	unsigned long backoff;
	struct kthread_delayed_work work;
	u64 nr_hit;
	u64 nr_miss;
	u64 bytes_zeroed;
	u64 bytes_unused;
	u64 spent;
};

extern struct list_lru pa_pool_lru;

u64 pa_pool_bytes(const struct pa_arena *arena);
struct pa_ready *pa_pool_take(struct pa_arena *arena);
void pa_pool_return(struct pa_arena *arena, struct pa_ready *ready);
void pa_pool_used(struct pa_arena *arena, struct pa_ready *ready);
void pa_pool_missed(struct pa_arena *arena);

u64 pa_pool_give(struct pa_arena *arena, u64 bytes);
void pa_pool_resize(struct pa_arena *arena, bool fill);
void pa_pool_pressure(struct pa_arena *arena);
unsigned long pa_pool_count(int nid, struct mem_cgroup *memcg);
unsigned long pa_pool_reclaim(int nid, struct mem_cgroup *memcg);
const char *pa_pool_recount(struct pa_arena *arena);

void pa_pool_start(struct pa_arena *arena);
void pa_pool_stop(struct pa_arena *arena);
int pa_pool_init(void);
void pa_pool_exit(void);

#endif /* PAGEARENA_POOL_H */
