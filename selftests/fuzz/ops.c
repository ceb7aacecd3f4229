// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The operations, and what must come of each.
 *
 * Every word that is written to an arena tells where it belongs: the arena, the unit of 4 KiB
 * and the place in it, and a seed.  So whatever is read anywhere is zero, or is at its place.
 * Whoever works on a span has locked its entry, and also knows the seeds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

/* An operation that finds nothing to work on. */
#define SKIPPED		(-1000)

/* Units past the end of the largest arena that mremap() may map. */
#define MARGIN		4096

#define HUGE		(2 * MiB)
#define SEED_MASK	0x7fffffULL

int arena_fd = -1;
static unsigned int self; /* number of this process */
static __u64 bytes, page, mmu_page;
static int pipe_fd[2], mem_fd;

/* What is known of a unit of a slot. */
#define M_MAPPED	1
#define M_READ		2
#define M_WRITE		4
#define M_FORK		8	/* inherited by children */
#define M_ODD		16	/* nobody knows */

static __u8 slot_map[SLOTS][UNITS_MAX + MARGIN];
/* Held where mappings change, and where accesses depend on it; slot 0 is always there. */
static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;

/* Far from where the kernel puts mappings by itself.  Not all are aligned to chunks. */
static char *slot_addr(unsigned int s, __u64 at)
{
	static const unsigned int skew[SLOTS] = { 0, 0, 1, 511, 16 };

	return (char *)(0x100000000000UL + ((__u64)s << 32) + skew[s] * mmu_page + at);
}

/* Faults that are expected. */
static _Thread_local sigjmp_buf jump;
static _Thread_local volatile sig_atomic_t armed;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!armed)
		fail("signal %d at %p, where none must be", sig, info->si_addr);
	armed = 0;
	siglongjmp(jump, sig);
}

static void on_nothing(int sig)
{
	(void)sig;
}

/* 0, or the signal that fn() ended with. */
static int guarded(void (*fn)(void *arg), void *arg)
{
	int sig = sigsetjmp(jump, 0);

	if (sig)
		return sig;
	armed = 1;
	fn(arg);
	armed = 0;
	return 0;
}

/* Contents */

static __u64 word(__u64 u, __u64 seed, __u64 j)
{
	return run->tag << 52 | u << 32 | (seed & SEED_MASK) << 9 | j;
}

/* Work on units, one after the other. */
struct work {
	char *p;	/* the first */
	__u64 u;	/* its number */
	__u64 nr;
	__u64 seed;	/* to be written */
	__u64 bad;	/* where a word was wrong, + 1 */
	__u64 was;	/* that word */
};

static void write_units(void *arg)
{
	struct work *w = arg;
	__u64 i, j;

	for (i = 0; i < w->nr; i++) {
		volatile __u64 *to = (volatile __u64 *)(w->p + i * UNIT);

		for (j = 0; j < UNIT / 8; j++)
			to[j] = word(w->u + i, w->seed, j);
	}
}

/* Any time: zero, or in its place. */
static void weak_units(void *arg)
{
	struct work *w = arg;
	__u64 i, j;

	for (i = 0; i < w->nr; i++) {
		const volatile __u64 *from = (volatile __u64 *)(w->p + i * UNIT);
		__u64 want = word(w->u + i, 0, 0);

		for (j = 0; j < UNIT / 8; j++) {
			__u64 v = from[j];

			if (v && (v & ~(SEED_MASK << 9)) != (want | j)) {
				w->bad = i * UNIT + j * 8 + 1;
				w->was = v;
				return;
			}
		}
	}
}

/* Of a span that is locked: just what is known. */
static void strong_units(void *arg)
{
	struct work *w = arg;
	__u64 i, j;

	for (i = 0; i < w->nr; i++) {
		const volatile __u64 *from = (volatile __u64 *)(w->p + i * UNIT);
		const struct unit_entry *unit = &run->unit[w->u + i];
		__u64 base = unit->what == WRITTEN ? word(w->u + i, unit->seed, 0) : 0;
		__u64 step = unit->what == WRITTEN;

		if (unit->what == UNKNOWN) {
			struct work one = { .p = w->p + i * UNIT, .u = w->u + i, .nr = 1 };

			weak_units(&one);
			if (one.bad) {
				w->bad = i * UNIT + one.bad;
				w->was = one.was;
				return;
			}
			continue;
		}
		for (j = 0; j < UNIT / 8; j++)
			if (from[j] != base + j * step) {
				w->bad = i * UNIT + j * 8 + 1;
				w->was = from[j];
				return;
			}
	}
}

static void complain(const struct work *w, const char *what)
{
	static const char *const names[] = { "unknown", "zero", "written" };
	__u64 u = w->u + (w->bad - 1) / UNIT;
	const struct unit_entry *unit = &run->unit[u];

	if (w->bad)
		fail("%s: %llx at %llx of the arena, unit %llu is %s, seed %x, span %u",
		     what, (unsigned long long)w->was,
		     (unsigned long long)(w->u * UNIT + w->bad - 1), (unsigned long long)u,
		     u < UNITS_MAX ? names[unit->what] : "beyond",
		     u < UNITS_MAX ? unit->seed : 0, u < UNITS_MAX ? unit->span : 0);
}

/* Spans */

static struct span_entry *lock_one(struct actor *a, __u64 n, __u32 state)
{
	unsigned int i;

	for (i = 0; i < SPANS_MAX; i++) {
		struct span_entry *e = &run->span[(n + i) % SPANS_MAX];
		__u32 want = state;

		if (atomic_load_explicit(&e->lock, memory_order_relaxed) == state &&
		    atomic_compare_exchange_strong(&e->lock, &want, a->nr + 2))
			return e;
	}
	return NULL;
}

/* The n-th span, or the next one that nobody works on. */
static struct span_entry *take(struct actor *a, __u64 n)
{
	return lock_one(a, n, SPAN_IDLE);
}

static struct span_entry *take_empty(struct actor *a)
{
	return lock_one(a, a->nr * 37, SPAN_NONE);
}

static void put(struct span_entry *e)
{
	atomic_store(&e->lock, e->len ? SPAN_IDLE : SPAN_NONE);
}

static __u16 span_number(const struct span_entry *e)
{
	return (__u16)(e - run->span + 1);
}

/* [at, at + len) belongs to a span now. */
static void own(const struct span_entry *e, __u64 at, __u64 len, __u8 what)
{
	__u64 i;

	for (i = at / UNIT; i < (at + len) / UNIT; i++) {
		__u16 had = atomic_exchange(&run->unit[i].span, span_number(e));

		if (had)
			fail("%llu is allocated twice: spans %u and %u",
			     (unsigned long long)i * UNIT, had, span_number(e));
		run->unit[i].what = what;
	}
}

/* It is about to be freed. */
static void disown(const struct span_entry *e, __u64 at, __u64 len)
{
	__u64 i;

	for (i = at / UNIT; i < (at + len) / UNIT; i++) {
		__u16 had = atomic_exchange(&run->unit[i].span, 0);

		if (had != span_number(e))
			fail("the model is wrong at %llu: %u, not %u",
			     (unsigned long long)i * UNIT, had, span_number(e));
	}
}

/*
 * What a process was at when it was killed: whether the span is still allocated is not known.
 * What was freed belongs to others by now, or to nobody.
 */
void adopt_orphans(unsigned int proc)
{
	unsigned int s, t;
	__u64 i;

	for (s = 0; s < SPANS_MAX; s++) {
		struct span_entry *e = &run->span[s];
		__u32 lock = atomic_load(&e->lock);

		if (lock < 2)
			continue;
		t = lock - 2;
		if (t / THREADS_MAX != proc)
			continue;
		for (i = 0; i < UNITS_MAX; i++) {
			__u16 want = (__u16)(s + 1);

			atomic_compare_exchange_strong(&run->unit[i].span, &want, 0);
		}
		e->len = 0;
		put(e);
	}
}

/* Is all of a range of a slot mapped so? */
static bool mapped(unsigned int s, __u64 u, __u64 nr, __u8 need)
{
	__u64 i;

	for (i = u; i < u + nr; i++)
		if ((slot_map[s][i] & (M_MAPPED | M_ODD | need)) != (M_MAPPED | need))
			return false;
	return true;
}

/*
 * Access to units of a span that is locked, through a slot, if these are mapped there: there
 * must be no fault.
 */
static void access_units(unsigned int s, struct work *w, void (*fn)(void *arg), const char *what)
{
	__u8 need = fn == write_units ? M_READ | M_WRITE : M_READ;
	int sig;

	s %= SLOTS;
	if (s) {
		pthread_mutex_lock(&map_lock);
		if (!mapped(s, w->u, w->nr, need)) {
			pthread_mutex_unlock(&map_lock);
			s = 0;
		}
	}
	w->p = slot_addr(s, w->u * UNIT);
	sig = guarded(fn, w);
	if (s)
		pthread_mutex_unlock(&map_lock);
	if (sig && !(sig == SIGBUS && may_oom))
		fail("%s: signal %d at unit %llu and the %llu after it, slot %u", what, sig,
		     (unsigned long long)w->u, (unsigned long long)w->nr, s);
	if (!sig)
		complain(w, what);
}

static void check_units(unsigned int s, __u64 u, __u64 nr)
{
	struct work w = { .u = u, .nr = nr };

	access_units(s, &w, strong_units, "check");
}

/* A few units at both ends. */
static void check_some(const struct span_entry *e, unsigned int s)
{
	__u64 nr = MIN(e->len / UNIT, 2);

	check_units(s, e->at / UNIT, nr);
	check_units(s, (e->at + e->len) / UNIT - nr, nr);
}

/* A run of at most @most units of a span; what the arguments say, as far as it fits. */
static __u64 pick_units(const struct span_entry *e, __u64 first, __u64 nr, __u64 *u)
{
	__u64 units = e->len / UNIT;

	first %= units;
	*u = e->at / UNIT + first;
	return MIN(units - first, nr);
}

static void set_units(__u64 u, __u64 nr, __u8 what, __u64 seed)
{
	while (nr--) {
		run->unit[u].seed = (__u32)(seed & SEED_MASK);
		run->unit[u++].what = what;
	}
}

static int result(int ret)
{
	return ret < 0 ? -errno : 0;
}

/* Fails unless the error is one of those that may be. */
#define MAY(err, ...)								\
	do {									\
		static const int may_[] = { 0, __VA_ARGS__ };			\
		unsigned int i_;						\
		int e_ = (err);							\
										\
		for (i_ = 0; i_ < ARRAY_SIZE(may_) && may_[i_] != -e_; i_++)	\
			;							\
		if (i_ == ARRAY_SIZE(may_))					\
			fail("%s: %s", __func__ + 3, strerror(-e_));		\
	} while (0)

/* Allocation */

/* After a successful ALLOC. */
static void allocated(struct span_entry *e, const struct pagearena_op *asked,
		      const struct pagearena_op *got)
{
	__u64 len = ALIGN_UP(asked->length, page), align = MAX(asked->align, page);

	if (got->length != len || got->offset % align || got->offset + got->length > bytes ||
	    (asked->flags & PAGEARENA_ALLOC_FIXED && got->offset != asked->offset) ||
	    (asked->flags & PAGEARENA_ALLOC_ZERO && !(got->out_flags & PAGEARENA_ALLOCED_ZERO)) ||
	    (asked->flags & PAGEARENA_ALLOC_POPULATE &&
	     !(got->out_flags & PAGEARENA_ALLOCED_BACKED)))
		fail("ALLOC of %llu, align %llu, flags %x, at %llu: %llu at %llu, flags %x",
		     (unsigned long long)asked->length, (unsigned long long)asked->align,
		     asked->flags, (unsigned long long)asked->offset,
		     (unsigned long long)got->length, (unsigned long long)got->offset,
		     got->out_flags);
	own(e, got->offset, got->length,
	    got->out_flags & PAGEARENA_ALLOCED_ZERO ? ZERO : UNKNOWN);
	e->at = got->offset;
	e->len = got->length;
}

static int alloc_at(struct actor *a, __u64 at, __u64 len, __u64 align, __u32 flags)
{
	struct pagearena_op asked = { .flags = flags, .length = len, .align = align,
				      .offset = at }, got = {};
	struct pagearena_alloc req = { .size = sizeof(req), .flags = flags, .length = len,
				       .align = align, .offset = at };
	struct span_entry *e = take_empty(a);
	int err;

	if (!e)
		return SKIPPED;
	err = result(ioctl(arena_fd, PAGEARENA_IOC_ALLOC, &req));
	if (!err) {
		got.offset = req.offset;
		got.length = req.length;
		got.out_flags = req.out_flags;
		allocated(e, &asked, &got);
		check_some(e, 0);
	}
	put(e);
	return err;
}

static int do_alloc(struct actor *a, const __u64 *arg)
{
	int err = alloc_at(a, 0, arg[0], arg[1], arg[2] & 3);

	MAY(err, ENOMEM, -SKIPPED);
	return err;
}

static int do_fixed(struct actor *a, const __u64 *arg)
{
	int err = alloc_at(a, arg[0] % bytes / page * page, arg[1], 0,
			   (arg[2] & 3) | PAGEARENA_ALLOC_FIXED);

	MAY(err, ENOMEM, EEXIST, EBUSY, -SKIPPED);
	return err;
}

static int do_free(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	struct pagearena_free req = { .size = sizeof(req) };
	int err;

	if (!e)
		return SKIPPED;
	check_some(e, (unsigned int)arg[1]);
	req.offset = e->at;
	req.length = arg[1] & 1 ? e->len : 0;
	disown(e, e->at, e->len);
	err = result(ioctl(arena_fd, PAGEARENA_IOC_FREE, &req));
	MAY(err, 0);
	e->len = 0;
	put(e);
	return err;
}

static int do_resize(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	struct pagearena_resize req = { .size = sizeof(req), .flags = arg[2] & 3,
					.length = arg[1] };
	__u64 len = ALIGN_UP(arg[1], page), had;
	int err;

	if (!e)
		return SKIPPED;
	had = e->len;
	req.offset = e->at;
	req.old_length = arg[3] & 1 ? had : 0;
	check_some(e, 0);
	if (len < had)
		disown(e, e->at + len, had - len);
	err = result(ioctl(arena_fd, PAGEARENA_IOC_RESIZE, &req));
	MAY(err, ENOMEM, EEXIST, EBUSY);
	if (err) {
		if (len < had)
			fail("RESIZE from %llu to %llu: %s", (unsigned long long)had,
			     (unsigned long long)len, strerror(-err));
	} else {
		if (req.length != len || req.old_length != had)
			fail("RESIZE from %llu to %llu: from %llu to %llu",
			     (unsigned long long)had, (unsigned long long)len,
			     (unsigned long long)req.old_length, (unsigned long long)req.length);
		if (len > had)
			own(e, e->at + had, len - had,
			    req.out_flags & PAGEARENA_ALLOCED_ZERO ? ZERO : UNKNOWN);
		e->len = len;
	}
	check_some(e, 0);
	put(e);
	return err;
}

static int do_scavenge(struct actor *a, const __u64 *arg)
{
	static const __u32 flags[] = { 0, 0, PAGEARENA_SCAVENGE_BREAK,
				       PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE };
	struct pagearena_scavenge req = { .size = sizeof(req), .flags = flags[arg[1] & 3],
					  .bytes = arg[0], .min_age_ns = arg[2] };
	int err = result(ioctl(arena_fd, PAGEARENA_IOC_SCAVENGE, &req));

	(void)a;
	MAY(err, EINTR);
	return err;
}

static int do_promote(struct actor *a, const __u64 *arg)
{
	__u64 at = arg[0] % bytes / HUGE * HUGE, sum = 0;
	__u64 len = MIN(ALIGN_UP(arg[1], HUGE), ALIGN_UP(bytes, HUGE) - at);
	__u32 results[ARENA_MAX / HUGE];
	struct pagearena_promote req = { .size = sizeof(req), .offset = at, .length = len,
					 .min_density = (__u32)(arg[2] % 101),
					 .deadline_ns = arg[4] };
	unsigned int i;
	int err;

	(void)a;
	memset(results, 0xff, sizeof(results));
	if (arg[3] & 1)
		req.flags = PAGEARENA_PROMOTE_COMPACT;
	if (arg[3] & 2) {
		req.results = (uintptr_t)results;
		req.nr_results = ARRAY_SIZE(results);
	}
	err = result(ioctl(arena_fd, PAGEARENA_IOC_PROMOTE, &req));
	MAY(err, EINTR);
	for (i = 0; i < ARRAY_SIZE(req.counts); i++)
		sum += req.counts[i];
	if ((!err && sum != len / HUGE) || sum > len / HUGE)
		fail("PROMOTE of %llu chunks tells of %llu", (unsigned long long)(len / HUGE),
		     (unsigned long long)sum);
	for (i = 0; i < sum && arg[3] & 2; i++)
		if (results[i] >= PAGEARENA_PROMOTE_NR)
			fail("PROMOTE: result %u", results[i]);
	return err;
}
