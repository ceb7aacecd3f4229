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
#include <time.h>
#include <unistd.h>

#include "ops.h"

int arena_fd = -1;
unsigned int self;
__u64 bytes, page, mmu_page;

__u8 slot_map[SLOTS][UNITS_MAX + MARGIN];
pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;

/* Far from where the kernel puts mappings by itself.  Not all are aligned to chunks. */
char *slot_addr(unsigned int s, __u64 at)
{
	static const unsigned int skew[SLOTS] = { 0, 0, 1, 511, 16 };

	return (char *)(0x100000000000UL + ((__u64)s << 32) + skew[s] * mmu_page + at);
}

/* Faults that are expected. */
static _Thread_local sigjmp_buf jump;
static _Thread_local volatile sig_atomic_t armed;
static _Thread_local volatile unsigned long fault_at;
static _Thread_local volatile int fault_code;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!armed)
		fail("signal %d at %p, where none must be", sig, info->si_addr);
	armed = 0;
	fault_at = (unsigned long)info->si_addr;
	fault_code = info->si_code;
	siglongjmp(jump, sig);
}

static void on_nothing(int sig)
{
	(void)sig;
}

/* 0, or the signal that fn() ended with. */
int guarded(void (*fn)(void *arg), void *arg)
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

void write_units(void *arg)
{
	struct work *w = arg;
	__u64 i, j;

	for (i = 0; i < w->nr; i++) {
		volatile __u64 *to = (volatile __u64 *)(w->p + i * UNIT);

		for (j = 0; j < UNIT / 8; j++)
			to[j] = word(w->u + i, w->seed, j);
	}
}

/* A word of which each byte is zero, or is at its place. */
static bool torn_word(__u64 v, __u64 want)
{
	__u64 mask = ~(SEED_MASK << 9), byte;

	for (byte = 0xff; byte; byte <<= 8)
		if (v & byte && (v & mask & byte) != (want & mask & byte))
			return false;
	return true;
}

/* Any time: zero, or in its place. */
void weak_units(void *arg)
{
	struct work *w = arg;
	__u64 i, j;

	for (i = 0; i < w->nr; i++) {
		const volatile __u64 *from = (volatile __u64 *)(w->p + i * UNIT);
		__u64 want = word(w->u + i, 0, 0);

		for (j = 0; j < UNIT / 8; j++) {
			__u64 v = from[j];

			if (v && (v & ~(SEED_MASK << 9)) != (want | j) &&
			    !(w->torn && torn_word(v, want | j))) {
				w->bad = i * UNIT + j * 8 + 1;
				w->was = v;
				return;
			}
		}
	}
}

/* Of a span that is locked: just what is known. */
void strong_units(void *arg)
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

void complain(const struct work *w, const char *what)
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
struct span_entry *take(struct actor *a, __u64 n)
{
	return lock_one(a, n, SPAN_IDLE);
}

static struct span_entry *take_empty(struct actor *a)
{
	return lock_one(a, a->nr * 37, SPAN_NONE);
}

void put(struct span_entry *e)
{
	atomic_store(&e->lock, e->len ? SPAN_IDLE : SPAN_NONE);
}

static __u16 span_number(const struct span_entry *e)
{
	return (__u16)(e - run->span + 1);
}

/* For spans that an actor has for a moment, without an entry. */
static __u16 actor_number(const struct actor *a)
{
	return (__u16)(SPANS_MAX + 1 + a->nr);
}

/* [at, at + len) belongs to somebody now. */
static void own_as(__u16 number, __u64 at, __u64 len, __u8 what)
{
	__u64 i;

	for (i = at / UNIT; i < (at + len) / UNIT; i++) {
		__u16 had = atomic_exchange(&run->unit[i].span, number);

		if (had)
			fail("%llu is allocated twice: spans %u and %u", i * UNIT, had, number);
		run->unit[i].what = what;
	}
}

/* It is about to be freed. */
static void disown_as(__u16 number, __u64 at, __u64 len)
{
	__u64 i;

	for (i = at / UNIT; i < (at + len) / UNIT; i++) {
		__u16 had = atomic_exchange(&run->unit[i].span, 0);

		if (had != number)
			fail("the model is wrong at %llu: %u, not %u", i * UNIT, had, number);
	}
}

static void own(const struct span_entry *e, __u64 at, __u64 len, __u8 what)
{
	own_as(span_number(e), at, len, what);
}

static void disown(const struct span_entry *e, __u64 at, __u64 len)
{
	disown_as(span_number(e), at, len);
}

/*
 * What a process was at when it was killed: whether the span is still allocated is not known.
 * What was freed belongs to others by now, or to nobody.
 */
void adopt_orphans(unsigned int proc)
{
	unsigned int s, t, first = SPANS_MAX + 1 + proc * THREADS_MAX;
	__u64 i;

	for (i = 0; i < UNITS_MAX; i++) {
		__u16 had = atomic_load(&run->unit[i].span);

		if (had >= first && had < first + THREADS_MAX)
			atomic_store(&run->unit[i].span, 0);
	}

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
bool mapped(unsigned int s, __u64 u, __u64 nr, __u8 need)
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
void access_units(unsigned int s, struct work *w, void (*fn)(void *arg), const char *what)
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
		fail("%s: signal %d, code %d, at %lx; %llu units from %llu on, slot %u at %p", what,
		     sig, fault_code, fault_at, w->nr, w->u, s, slot_addr(s, 0));
	if (!sig)
		complain(w, what);
}

void check_units(unsigned int s, __u64 u, __u64 nr)
{
	struct work w = { .u = u, .nr = nr };

	access_units(s, &w, strong_units, "check");
}

/* A few units at both ends. */
static void check_some(const struct span_entry *e, unsigned int s)
{
	__u64 nr = MIN(e->len / UNIT, (__u64)2);

	check_units(s, e->at / UNIT, nr);
	check_units(s, (e->at + e->len) / UNIT - nr, nr);
}

/* A run of at most @most units of a span; what the arguments say, as far as it fits. */
__u64 pick_units(const struct span_entry *e, __u64 first, __u64 nr, __u64 *u)
{
	__u64 units = e->len / UNIT;

	first %= units;
	*u = e->at / UNIT + first;
	return MIN(units - first, nr);
}

void set_units(__u64 u, __u64 nr, __u8 what, __u64 seed)
{
	while (nr--) {
		run->unit[u].seed = (__u32)(seed & SEED_MASK);
		run->unit[u++].what = what;
	}
}

/* 0, or the negative errno of a call that returned this. */
int result(long ret)
{
	return ret == -1 ? -errno : 0;
}

/* See MAY(). */
void may(const char *name, int err, const int *list, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (list[i] == -err)
			return;
	fail("%s: %s", name, strerror(-err));
}

/* Allocation */

/* What a successful ALLOC gave is what was asked for. */
static void check_alloc(const struct pagearena_op *asked, const struct pagearena_op *got)
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
}

/* After a successful ALLOC. */
static void allocated(struct span_entry *e, const struct pagearena_op *asked,
		      const struct pagearena_op *got)
{
	check_alloc(asked, got);
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
	int err = alloc_at(a, 0, MAX(arg[0], (__u64)1), arg[1], arg[2] & 3);

	MAY(err, ENOMEM, -SKIPPED);
	return err;
}

static int do_fixed(struct actor *a, const __u64 *arg)
{
	int err = alloc_at(a, arg[0] % bytes / page * page, MAX(arg[1], (__u64)1), 0,
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
	MAY(err);
	e->len = 0;
	put(e);
	return err;
}

static int do_resize(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	struct pagearena_resize req = { .size = sizeof(req), .flags = arg[2] & 3,
					.length = MAX(arg[1], (__u64)1) };
	__u64 len = ALIGN_UP(req.length, page), had;
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
					  .bytes = MAX(arg[0], (__u64)1), .min_age_ns = arg[2] };
	int err = result(ioctl(arena_fd, PAGEARENA_IOC_SCAVENGE, &req));

	(void)a;
	MAY(err, EINTR);
	return err;
}

static int do_promote(struct actor *a, const __u64 *arg)
{
	__u64 at = arg[0] % bytes / HUGE * HUGE, sum = 0;
	__u64 len = MIN(ALIGN_UP(MAX(arg[1], HUGE), HUGE), ALIGN_UP(bytes, HUGE) - at);
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
	MAY(err, EINTR, EOPNOTSUPP);
	if (err == -EOPNOTSUPP && run->prog->cfg.huge != PAGEARENA_HUGE_OFF)
		fail("PROMOTE: %s", strerror(-err));
	if (err == -EOPNOTSUPP)
		return err;
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

/* Looking */

static int do_stats(struct actor *a, const __u64 *arg)
{
	struct pagearena_stats st = { .size = sizeof(st), .flags = arg[0] & 1 };
	int err = result(ioctl(arena_fd, PAGEARENA_IOC_STATS, &st));

	(void)a;
	MAY(err);
	if (st.heap_sys != st.heap_inuse + st.heap_idle || st.heap_released > st.heap_idle ||
	    st.backed != st.backed_inuse + st.backed_free ||
	    st.backed != st.huge_bytes + st.small_bytes || st.backed_peak < st.backed ||
	    st.inuse_peak < st.heap_inuse || st.heap_sys > bytes ||
	    st.bytes_pool_zeroed != st.pool_bytes + st.bytes_pool_unused + st.nr_pool_hit * HUGE)
		fail("STATS: %llu = %llu + %llu, %llu; backed %llu = %llu + %llu = %llu + %llu",
		     st.heap_sys, st.heap_inuse, st.heap_idle, st.heap_released, st.backed,
		     st.backed_inuse, st.backed_free, st.huge_bytes, st.small_bytes);
	return err;
}

static int do_spans(struct actor *a, const __u64 *arg)
{
	struct pagearena_span list[64];
	__u64 at = arg[0] % bytes;
	struct pagearena_spans req = { .size = sizeof(req), .offset = at,
				       .spans = (uintptr_t)list, .count = 1 + arg[1] % 64 };
	int err = result(ioctl(arena_fd, PAGEARENA_IOC_SPANS, &req));
	__u32 i;

	(void)a;
	MAY(err, ENOMEM);
	if (err)
		return err;
	for (i = 0; i < req.count; i++)
		if (!list[i].length || list[i].length % page || list[i].backed > list[i].length ||
		    list[i].huge > list[i].backed || list[i].state > PAGEARENA_SPAN_TRANSIT ||
		    (i && list[i].offset != list[i - 1].offset + list[i - 1].length))
			fail("SPANS from %llu: number %u: %llu bytes at %llu, %llu backed",
			     at, i, list[i].length, list[i].offset, list[i].backed);
	if (req.count && (list[0].offset > at || list[0].offset + list[0].length <= at))
		fail("SPANS from %llu: the first at %llu", at, list[0].offset);
	return err;
}

static int do_query(struct actor *a, const __u64 *arg)
{
	struct pagearena_query req = { .size = sizeof(req), .offset = arg[0] % bytes };
	int err = result(ioctl(arena_fd, PAGEARENA_IOC_QUERY, &req));

	(void)a;
	MAY(err, ENOENT);
	if (!err && (req.span.offset > req.offset ||
		     req.span.offset + req.span.length <= req.offset))
		fail("QUERY of %llu: %llu bytes at %llu", req.offset, req.span.length,
		     req.span.offset);
	return err;
}

static int do_info(struct actor *a, const __u64 *arg)
{
	struct pagearena_info info = { .size = sizeof(info) };
	int err = result(ioctl(arena_fd, PAGEARENA_IOC_INFO, &info));

	(void)a;
	(void)arg;
	MAY(err);
	if (info.arena_id != run->arena_id || info.arena_bytes != bytes || info.span_page != page)
		fail("INFO: arena %llu of %llu bytes", info.arena_id, info.arena_bytes);
	return err;
}

static int do_policy(struct actor *a, const __u64 *arg)
{
	__u64 rng = arg[1];
	struct pagearena_policy req = { .size = sizeof(req), .set = arg[0] & 127 };
	int err;

	(void)a;
	if (req.set & PAGEARENA_POLICY_PROMOTE_PERCENT)
		req.promote_percent = (__u32)below(&rng, 101);
	if (req.set & PAGEARENA_POLICY_PROMOTE_DENSITY)
		req.promote_density = 1 + (__u32)below(&rng, 100);
	if (req.set & PAGEARENA_POLICY_SCAVENGE_PERCENT)
		req.scavenge_percent = (__u32)below(&rng, 101);
	if (req.set & PAGEARENA_POLICY_RETAIN_PERCENT)
		req.retain_percent = (__u32)below(&rng, 1001);
	if (req.set & PAGEARENA_POLICY_SCAVENGE_AGE)
		req.scavenge_age_ns = below(&rng, 2) ? 0 : below(&rng, 50000000);
	if (req.set & PAGEARENA_POLICY_LIMIT) {
		req.limit = arg[2];
		req.limit_soft = req.limit ? (__u32)below(&rng, 2) : 0;
	}
	if (req.set & PAGEARENA_POLICY_POOL)
		req.pool_bytes = arg[3];
	err = result(ioctl(arena_fd, PAGEARENA_IOC_POLICY, &req));
	MAY(err, ENOMEM, EINTR);
	return err;
}

/* Batches */

/* An operation of a batch, and the span that it is about. */
struct batched {
	struct span_entry *e;
	struct pagearena_op asked;
	__u64 had;
};

static void batch_make(struct actor *a, struct batched *b, __u64 *rng)
{
	struct pagearena_op *op = &b->asked;

	b->e = NULL;
	switch (below(rng, 8)) {
	case 0 ... 2:
		b->e = take_empty(a);
		op->op = PAGEARENA_OP_ALLOC;
		op->flags = (__u32)below(rng, 4);
		op->length = below(rng, 8) ? 1 + below(rng, 64 * KiB) : 1 + below(rng, 3 * MiB);
		op->align = below(rng, 8) ? 0 : (__u64)4096 << below(rng, 10);
		break;
	case 3 ... 4:
		b->e = take(a, below(rng, SPANS_MAX));
		if (!b->e)
			break;
		op->op = PAGEARENA_OP_FREE;
		op->offset = b->e->at;
		op->length = below(rng, 2) ? b->e->len : 0;
		disown(b->e, b->e->at, b->e->len);
		break;
	case 5:
		b->e = take(a, below(rng, SPANS_MAX));
		if (!b->e)
			break;
		op->op = PAGEARENA_OP_RESIZE;
		op->flags = (__u32)below(rng, 4);
		op->offset = b->e->at;
		op->length = page + below(rng, b->e->len * 2);
		b->had = b->e->len;
		if (ALIGN_UP(op->length, page) < b->had)
			disown(b->e, b->e->at + ALIGN_UP(op->length, page),
			       b->had - ALIGN_UP(op->length, page));
		break;
	case 6:
		b->asked.op = PAGEARENA_OP_SCAVENGE;
		op->offset = below(rng, bytes / HUGE + 1) * HUGE;
		op->length = HUGE * (1 + below(rng, 3));
		break;
	default:
		op->op = below(rng, 2) ? PAGEARENA_OP_PROMOTE : (__u32)below(rng, 8);
		if (op->op == PAGEARENA_OP_PROMOTE) {
			op->offset = below(rng, bytes / HUGE + 1) * HUGE;
			op->length = HUGE;
		} else {
			op->length = 1; /* NOP, and what is none: refused */
			op->op = op->op < PAGEARENA_OP_NR ? PAGEARENA_OP_NOP : op->op;
		}
		return;
	}
	if (!b->e && op->op != PAGEARENA_OP_SCAVENGE)
		*op = (struct pagearena_op){ .op = PAGEARENA_OP_NOP };
}

/* The pages from @at on belong to the span after all; nobody knows what they hold. */
static void own_again(const struct span_entry *e, __u64 at, __u64 len)
{
	own(e, at, len, UNKNOWN);
}

static void batch_done(struct batched *b, const struct pagearena_op *got, bool tried)
{
	const struct pagearena_op *op = &b->asked;
	struct span_entry *e = b->e;
	__u64 len = ALIGN_UP(op->length, page);
	int err = tried ? got->result : -EINTR;

	switch (op->op) {
	case PAGEARENA_OP_ALLOC:
		if (!err)
			allocated(e, op, got);
		else if (tried && err != -ENOMEM)
			fail("BATCH: ALLOC: %s", strerror(-err));
		break;
	case PAGEARENA_OP_FREE:
		if (tried && err)
			fail("BATCH: FREE: %s", strerror(-err));
		if (err)
			own_again(e, e->at, e->len);
		else
			e->len = 0;
		break;
	case PAGEARENA_OP_RESIZE:
		if (!err) {
			if (got->length != len)
				fail("BATCH: RESIZE to %llu: %llu", len, got->length);
			if (len > b->had)
				own(e, e->at + b->had, len - b->had,
				    got->out_flags & PAGEARENA_ALLOCED_ZERO ? ZERO : UNKNOWN);
			e->len = len;
		} else if (len < b->had) {
			if (tried)
				fail("BATCH: RESIZE: %s", strerror(-err));
			own_again(e, e->at + len, b->had - len);
		} else if (tried && err != -ENOMEM && err != -EEXIST && err != -EBUSY) {
			fail("BATCH: RESIZE: %s", strerror(-err));
		}
		break;
	}
	if (e)
		put(e);
}

static int do_batch(struct actor *a, const __u64 *arg)
{
	unsigned int nr = 1 + (unsigned int)(arg[0] % 96), i;
	struct batched b[96] = {};
	struct pagearena_op ops[96];
	struct pagearena_batch req = { .size = sizeof(req), .flags = arg[2] & 1,
				       .ops = (uintptr_t)ops, .count = nr };
	__u64 rng = arg[1];
	int err;

	for (i = 0; i < nr; i++) {
		batch_make(a, &b[i], &rng);
		ops[i] = b[i].asked;
	}
	err = result(ioctl(arena_fd, PAGEARENA_IOC_BATCH, &req));
	MAY(err, EINTR);
	if (req.done > nr || req.failed > req.done)
		fail("BATCH of %u: %u done, %u failed", nr, req.done, req.failed);
	atomic_fetch_add_explicit(&totals->batched, req.done, memory_order_relaxed);
	for (i = 0; i < nr; i++)
		batch_done(&b[i], &ops[i], i < req.done);
	return err;
}

/* Many spans for a moment: allocated, some of them touched and resized, and freed. */
#define CHURN	256

static void churn_batch(struct pagearena_op *ops, unsigned int nr)
{
	struct pagearena_batch req = { .size = sizeof(req) };
	unsigned int done = 0;

	while (done < nr) {
		req.ops = (uintptr_t)(ops + done);
		req.count = nr - done;
		req.done = 0;
		req.failed = 0;
		if (ioctl(arena_fd, PAGEARENA_IOC_BATCH, &req) && errno != EINTR)
			fail("BATCH of %u: %s", nr - done, strerror(errno));
		if (req.done > nr - done)
			fail("BATCH of %u: %u done", nr - done, req.done);
		atomic_fetch_add_explicit(&totals->batched, req.done, memory_order_relaxed);
		done += req.done;
	}
}

static void churn_touch(const struct pagearena_op *op)
{
	__u64 u = op->offset / UNIT;
	struct work w = { .u = u, .nr = 1, .seed = u };

	if (op->out_flags & PAGEARENA_ALLOCED_ZERO)
		check_units(0, u, 1);
	access_units(0, &w, write_units, "churn");
}

static int do_churn(struct actor *a, const __u64 *arg)
{
	unsigned int nr = 1 + (unsigned int)(arg[0] % CHURN), rounds = 1 + arg[2] % 8, i, j;
	struct pagearena_op asked[CHURN], ops[CHURN], other;
	__u64 rng = arg[1];

	while (rounds--) {
		memset(asked, 0, sizeof(asked));
		for (i = 0; i < nr; i++) {
			asked[i].op = PAGEARENA_OP_ALLOC;
			asked[i].length = 1 + below(&rng, below(&rng, 8) ? 4 * page : 32 * page);
			asked[i].align = below(&rng, 16) ? 0 : (__u64)4096 << below(&rng, 7);
			asked[i].flags = below(&rng, 16) ? 0 : (__u32)below(&rng, 4);
			ops[i] = asked[i];
		}
		churn_batch(ops, nr);
		j = 0;
		for (i = 0; i < nr; i++) {
			if (ops[i].result && ops[i].result != -ENOMEM)
				fail("churn: ALLOC: %s", strerror(-ops[i].result));
			if (ops[i].result)
				continue;
			check_alloc(&asked[i], &ops[i]);
			own_as(actor_number(a), ops[i].offset, ops[i].length,
			       ops[i].out_flags & PAGEARENA_ALLOCED_ZERO ? ZERO : UNKNOWN);
			if (below(&rng, 16) == 0)
				churn_touch(&ops[i]);
			ops[j].op = PAGEARENA_OP_FREE;
			ops[j].flags = 0;
			ops[j].offset = ops[i].offset;
			ops[j].length = ops[i].length;
			ops[j++].align = 0;
		}
		for (i = 0; i < j; i++)
			disown_as(actor_number(a), ops[i].offset, ops[i].length);
		for (i = 0; i < j; i++) {
			unsigned int k = (unsigned int)below(&rng, j);

			other = ops[i];
			ops[i] = ops[k];
			ops[k] = other;
		}
		churn_batch(ops, j);
		for (i = 0; i < j; i++)
			if (ops[i].result)
				fail("churn: FREE of %llu: %s", ops[i].offset,
				     strerror(-ops[i].result));
	}
	return 0;
}

/* What must be refused */

/* Calls of which any garbage may be told, as none of them takes memory away. */
static int bad_bytes(struct actor *a, __u64 what, __u64 seed)
{
	static const unsigned int calls[] = {
		PAGEARENA_IOC_INFO, PAGEARENA_IOC_SETUP, PAGEARENA_IOC_STATS, PAGEARENA_IOC_QUERY,
		PAGEARENA_IOC_SCAVENGE, PAGEARENA_IOC_PROMOTE, PAGEARENA_IOC_POLICY,
	};
	static const __u32 sizes[] = {
		sizeof(struct pagearena_info), sizeof(struct pagearena_setup),
		sizeof(struct pagearena_stats), sizeof(struct pagearena_query),
		sizeof(struct pagearena_scavenge), sizeof(struct pagearena_promote),
		sizeof(struct pagearena_policy),
	};
	unsigned int call = (unsigned int)(what % ARRAY_SIZE(calls)), i, times;
	__u32 buf[1024] = {}, size = sizes[call];

	(void)a;
	times = (unsigned int)below(&seed, 6);
	if (below(&seed, 4) == 0)
		size = (__u32)below(&seed, 5000);
	buf[0] = size;
	for (i = 0; i < times; i++) {
		unsigned int at = 1 + (unsigned int)below(&seed, 2 * size / 8 + 4);

		if (at < 1024)
			buf[at] = below(&seed, 2) ? (__u32)rnd(&seed) : 1u << below(&seed, 32);
	}
	return result(ioctl(arena_fd, calls[call], buf));
}

static int bad_free(struct actor *a, __u64 seed)
{
	struct span_entry *e = take(a, rnd(&seed));
	struct pagearena_free req = { .size = sizeof(req) };
	int err;

	if (!e)
		return SKIPPED;
	switch (below(&seed, 4)) {
	case 0: /* its inside */
		req.offset = e->at + (e->len > page ? page : 1);
		break;
	case 1: /* not its length */
		req.offset = e->at;
		req.length = e->len + page * (1 + below(&seed, 5));
		break;
	case 2:
		req.offset = bytes + page * below(&seed, 100);
		break;
	default:
		req.offset = e->at;
		req.flags = 1u << below(&seed, 32);
	}
	err = result(ioctl(arena_fd, PAGEARENA_IOC_FREE, &req));
	if (!err)
		fail("FREE of %llu bytes at %llu, flags %x", req.length, req.offset, req.flags);
	put(e);
	return err;
}

/* A span that is damaged on purpose, to see that it is found. */
static int do_corrupt(struct actor *a, const __u64 *arg)
{
	struct span_entry *e = take(a, arg[0]);
	int i;

	if (!e)
		return SKIPPED;
	for (i = 0; i < 8; i++)
		*(volatile __u64 *)(slot_addr(0, e->at) + 512 * i) = 0xbadbadbadbadbadULL;
	put(e);
	return 0;
}

static int do_bad(struct actor *a, const __u64 *arg)
{
	__u64 seed = arg[2];
	void *where;
	int err;

	switch (arg[0] % 4) {
	case 0:
		err = bad_free(a, seed);
		break;
	case 1: /* the structure lies in the arena, or nowhere */
		where = below(&seed, 4) ? slot_addr((unsigned int)below(&seed, SLOTS),
						    below(&seed, bytes / 8 + 64) * 8) :
					  (void *)(uintptr_t)rnd(&seed);
		err = result(ioctl(arena_fd, PAGEARENA_IOC_INFO + (unsigned int)arg[1] % 13,
				   where));
		if (!err)
			fail("call %llu succeeds at %p", arg[1] % 13, where);
		break;
	case 2:
		err = result(ioctl(arena_fd, (unsigned long)rnd(&seed), NULL));
		break;
	default:
		err = bad_bytes(a, arg[1], seed);
	}
	if (err == -EUCLEAN)
		fail("the heap says that it is damaged");
	return err;
}

static int (*const calls[KIND_NR])(struct actor *a, const __u64 *arg) = {
	[K_alloc] = do_alloc,
	[K_fixed] = do_fixed,
	[K_free] = do_free,
	[K_resize] = do_resize,
	[K_scavenge] = do_scavenge,
	[K_promote] = do_promote,
	[K_stats] = do_stats,
	[K_spans] = do_spans,
	[K_query] = do_query,
	[K_info] = do_info,
	[K_policy] = do_policy,
	[K_batch] = do_batch,
	[K_churn] = do_churn,
	[K_bad] = do_bad,
	[K_write] = do_write,
	[K_check] = do_check,
	[K_peek] = do_peek,
	[K_stray] = do_stray,
	[K_mmap] = do_mmap,
	[K_munmap] = do_munmap,
	[K_mremap] = do_mremap,
	[K_mprotect] = do_mprotect,
	[K_madvise] = do_madvise,
	[K_range] = do_range,
	[K_fork] = do_fork,
	[K_vmsplice] = do_vmsplice,
	[K_drain] = do_drain,
	[K_readv] = do_readv,
	[K_writev] = do_writev,
	[K_pipe] = do_pipe,
	[K_pass] = do_pass,
	[K_receive] = do_receive,
	[K_dup] = do_dup,
	[K_kill] = do_kill,
	[K_signal] = do_signal,
	[K_other] = do_other,
	[K_poll] = do_poll,
	[K_proc] = do_proc,
	[K_recount] = do_recount,
	[K_reclaim] = do_reclaim,
	[K_corrupt] = do_corrupt,
};

/* Does what a line says: 0, a negative errno, or SKIPPED. */
int do_line(struct actor *a, const struct line *line)
{
	struct timespec from, to;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &from);
	err = calls[line->kind](a, line->arg);
	clock_gettime(CLOCK_MONOTONIC, &to);
	atomic_fetch_add_explicit(&totals->ns[line->kind],
				  (__u64)(to.tv_sec - from.tv_sec) * 1000000000 +
				  (__u64)(to.tv_nsec - from.tv_nsec), memory_order_relaxed);
	if (err == SKIPPED)
		atomic_fetch_add_explicit(&totals->skipped[line->kind], 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&totals->done[line->kind], 1, memory_order_relaxed);
	if (err < 0 && err > -ERRNO_MAX)
		atomic_fetch_add_explicit(&totals->errors[line->kind][-err], 1,
					  memory_order_relaxed);
	return err;
}

static void catch(int sig, void (*fn)(int sig, siginfo_t *info, void *context))
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_NODEFER };

	action.sa_sigaction = fn;
	sigaction(sig, &action, NULL);
}

/* A process begins, with the arena mapped in slot 0. */
bool proc_begin(unsigned int proc, int fd)
{
	struct sigaction nothing = { .sa_handler = on_nothing };
	unsigned int i;
	void *map;

	self = proc;
	arena_fd = fd;
	catch(SIGSEGV, on_fault);
	catch(SIGBUS, on_fault);
	sigaction(SIGUSR1, &nothing, NULL);
	bytes = run->bytes;
	page = run->page;
	mmu_page = (__u64)sysconf(_SC_PAGESIZE);
	memset(slot_map, 0, sizeof(slot_map));
	map = mmap(slot_addr(0, 0), bytes, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	if (map == MAP_FAILED)
		return false;
	/* The others begin with what one will have, and with what is not aligned. */
	for (i = 1; i < SLOTS; i += 2) {
		map = mmap(slot_addr(i, 0), bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
		if (map != MAP_FAILED)
			memset(slot_map[i], M_MAPPED | M_READ | M_WRITE, bytes / UNIT);
	}
	memset(slot_map[0], M_MAPPED | M_READ | M_WRITE, bytes / UNIT);
	return maps_begin();
}

/* After all processes have ended: everything that is known, and then nothing must be left. */
void final_check(int fd)
{
	struct pagearena_scavenge scavenge = {
		.size = sizeof(scavenge), .bytes = ~0ULL,
		.flags = PAGEARENA_SCAVENGE_BREAK | PAGEARENA_SCAVENGE_FORCE,
	};
	struct pagearena_policy off = {
		.size = sizeof(off),
		.set = PAGEARENA_POLICY_PROMOTE_PERCENT | PAGEARENA_POLICY_POOL,
	};
	struct pagearena_stats st = { .size = sizeof(st) };
	struct actor a = { .nr = ACTORS_MAX };
	struct span_entry *e;
	char text[256];
	__u64 sum = 0, nr = 0;
	int i;

	if (!recount_ok(run->arena_id, text, sizeof(text)))
		fail("recount at the end: %s", text);
	for (i = 0; i < SPANS_MAX; i++)
		if (run->span[i].len) {
			sum += run->span[i].len;
			nr++;
		}
	if (ioctl(fd, PAGEARENA_IOC_STATS, &st))
		fail("STATS at the end: %s", strerror(errno));
	if (!run->inexact && (st.heap_inuse != sum || st.spans_inuse != nr))
		fail("at the end %llu bytes are allocated in %llu spans, not %llu in %llu",
		     st.heap_inuse, st.spans_inuse, sum, nr);
	while ((e = take(&a, 0))) {
		const struct pagearena_free req = { .size = sizeof(req), .offset = e->at,
						    .length = e->len };

		if (!may_oom)
			check_units(0, e->at / UNIT, e->len / UNIT);
		disown(e, e->at, e->len);
		if (ioctl(fd, PAGEARENA_IOC_FREE, &req))
			fail("FREE at the end: %s", strerror(errno));
		e->len = 0;
		put(e);
	}
	if (ioctl(fd, PAGEARENA_IOC_POLICY, &off))
		fail("POLICY at the end: %s", strerror(errno));
	/* The shrinker may be at work on a span, which is nobody else's then. */
	for (i = 0; !i || (i < 200 && st.backed && !run->inexact); i++) {
		if (i)
			usleep(10000);
		scavenge.released = 0;
		scavenge.backed = 0;
		if (ioctl(fd, PAGEARENA_IOC_SCAVENGE, &scavenge))
			fail("SCAVENGE at the end: %s", strerror(errno));
		if (ioctl(fd, PAGEARENA_IOC_STATS, &st))
			fail("STATS at the end: %s", strerror(errno));
	}
	if (!run->inexact && (st.heap_inuse || st.backed))
		fail("when all is freed %llu bytes are allocated, %llu backed", st.heap_inuse,
		     st.backed);
	if (!recount_ok(run->arena_id, text, sizeof(text)))
		fail("recount after the end: %s", text);
}
