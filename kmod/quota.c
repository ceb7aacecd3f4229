// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What one user may hold: the module's parameter user_bytes_max.
 *
 * An arena's memory cannot be swapped, so it is like locked memory.  Memory cgroups bound it
 * where there are any.  This is for machines without, and for who gives the device to many
 * users: the hard limits of a user's arenas are reserved from one quota.  RLIMIT_MEMLOCK does
 * not serve, as its default would forbid every arena worth having.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "arena.h"

static unsigned long user_bytes_max;
module_param(user_bytes_max, ulong, 0644);
MODULE_PARM_DESC(user_bytes_max,
		 "bytes that arenas of a user without CAP_SYS_RESOURCE may hold (default 0: any)");

/**
 * struct pa_user - a user with arenas whose limits are reserved
 * @list: in pa_users
 * @uid: who
 * @arenas: number of arenas
 * @bytes: sum of their limits
 *
 * Protected by pa_users_lock.
 */
struct pa_user {
	struct list_head list;
	kuid_t uid;
	unsigned int arenas;
	u64 bytes;
};

static LIST_HEAD(pa_users);
static DEFINE_MUTEX(pa_users_lock);

/* Finds or makes the calling user. */
static struct pa_user *pa_user_get(void)
{
	struct pa_user *user;

	list_for_each_entry(user, &pa_users, list)
		if (uid_eq(user->uid, current_uid()))
			return user;
	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (user) {
		user->uid = current_uid();
		list_add(&user->list, &pa_users);
	}
	return user;
}

static void pa_user_put(struct pa_user *user)
{
	if (user->arenas)
		return;
	list_del(&user->list);
	kfree(user);
}

static u64 pa_user_left(const struct pa_user *user)
{
	u64 max = READ_ONCE(user_bytes_max);

	return max > user->bytes ? max - user->bytes : 0;
}

/**
 * pa_quota_reserve() - reserve a new arena's limit from its creator's quota
 * @arena: the arena
 * @setup: its geometry, checked; without a limit it gets what is left
 *
 * Context: may sleep.
 * Return: 0; -EDQUOT; -ENOMEM.
 */
int pa_quota_reserve(struct pa_arena *arena, struct pagearena_setup *setup)
{
	struct pa_user *user;
	int err = 0;
	u64 limit;

	if (!READ_ONCE(user_bytes_max) || capable(CAP_SYS_RESOURCE))
		return 0;
	if (setup->flags & PAGEARENA_SETUP_SOFT_LIMIT)
		return -EDQUOT;
	mutex_lock(&pa_users_lock);
	user = pa_user_get();
	if (!user) {
		err = -ENOMEM;
		goto out;
	}
	limit = setup->limit ? setup->limit : min(pa_user_left(user), setup->arena_bytes);
	if (!limit || limit > pa_user_left(user)) {
		err = -EDQUOT;
	} else {
		user->bytes += limit;
		user->arenas++;
		arena->user = user;
		setup->limit = limit;
	}
	pa_user_put(user);
out:
	mutex_unlock(&pa_users_lock);
	return err;
}

/**
 * pa_quota_check() - may an arena have such a limit?
 * @arena: the arena
 * @limit: in bytes, 0: none
 * @soft: it is a goal
 *
 * Context: any.
 * Return: 0; -EDQUOT if the arena has a quota, and so needs a hard limit.
 */
int pa_quota_check(const struct pa_arena *arena, u64 limit, bool soft)
{
	return arena->user && (!limit || soft) ? -EDQUOT : 0;
}

/**
 * pa_quota_change() - the limit of an arena is to be another
 * @arena: the arena
 * @from: the limit in force
 * @to: the new limit
 *
 * Context: may sleep.
 * Return: 0; -EDQUOT, which cannot be if @to is less than @from.
 */
int pa_quota_change(struct pa_arena *arena, u64 from, u64 to)
{
	struct pa_user *user = arena->user;
	int err = 0;

	if (!user)
		return 0;
	mutex_lock(&pa_users_lock);
	if (to > from && to - from > pa_user_left(user))
		err = -EDQUOT;
	else
		user->bytes = user->bytes - from + to;
	mutex_unlock(&pa_users_lock);
	return err;
}

/**
 * pa_quota_release() - give an arena's reservation back
 * @arena: an arena, which may have none
 *
 * Context: may sleep.
 */
void pa_quota_release(struct pa_arena *arena)
{
	struct pa_user *user = arena->user;

	if (!user)
		return;
	arena->user = NULL;
	mutex_lock(&pa_users_lock);
	user->bytes -= arena->limit;
	user->arenas--;
	pa_user_put(user);
	mutex_unlock(&pa_users_lock);
}
