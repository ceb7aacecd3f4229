/* SPDX-License-Identifier: MIT */
/* Sequence counters: odd while what they are for changes. */
#ifndef COMPAT_LINUX_SEQLOCK_H
#define COMPAT_LINUX_SEQLOCK_H

#include <linux/types.h>

struct seqcount {
	unsigned int sequence;
};

#define seqcount_t	struct seqcount

static inline void seqcount_init(seqcount_t *s)
{
	s->sequence = 0;
}

static inline unsigned int raw_read_seqcount(const seqcount_t *s)
{
	return __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE);
}

static inline int read_seqcount_retry(const seqcount_t *s, unsigned int start)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->sequence, __ATOMIC_RELAXED) != start;
}

static inline void raw_write_seqcount_begin(seqcount_t *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void raw_write_seqcount_end(seqcount_t *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELEASE);
}

/* Whoever looks just now shall look again. */
static inline void write_seqcount_invalidate(seqcount_t *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 2, __ATOMIC_RELEASE);
}

#endif /* COMPAT_LINUX_SEQLOCK_H */
