// SPDX-License-Identifier: MIT
/*
 * libpagearena.  See pagearena.h for what each function promises.
 *
 * An arena is a descriptor and one mapping of all of it, so a pointer is the mapping's
 * base plus the offset that the kernel deals in.  A handle never changes after it was
 * made (but in pagearena_remap()), which is why nothing here takes a lock.  cache.c does.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "internal.h"

/* Address space of an arena unless the options say otherwise. */
#define DEFAULT_ARENA_BYTES (sizeof(void *) > 4 ? 64ULL << 30 : 1ULL << 30)

/* The first published size of the options: what every caller has at least. */
#define OPTIONS_SIZE_VER0 (offsetof(struct pagearena_options, device) + sizeof(char *))

static bool is_power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * Processes
 */

struct pa_self *pa_self;
static pthread_once_t self_once = PTHREAD_ONCE_INIT;
static atomic_uint last_process;

#ifdef PAGEARENA_KERNEL_ONLY
/* Where the module is, memory can be wiped. */
static void self_without_wipe(void)
{
}
#else
static struct pa_self self_wiped_here;

static void wipe_self(void)
{
	memset(&self_wiped_here, 0, sizeof(self_wiped_here));
}

/* An old kernel, or what passes for one: the next best is a handler of fork(). */
static void self_without_wipe(void)
{
	if (!pthread_atfork(NULL, NULL, wipe_self))
		pa_self = &self_wiped_here;
}
#endif

static void self_init(void)
{
	pa_self = pa_map_wiped(sizeof(*pa_self));
	if (!pa_self)
		self_without_wipe();
}

/**
 * pa_self_init() - finds out how to tell processes apart
 *
 * Return: 0, or -1 with errno ENOMEM.
 */
int pa_self_init(void)
{
	pthread_once(&self_once, self_init);
	return pa_self ? 0 : fail(ENOMEM);
}

#ifndef PAGEARENA_KERNEL_ONLY
/* If it takes a handler of fork(), one that runs before the program's own. */
static __attribute__((constructor)) void self_init_early(void)
{
	pa_self_init();
}
#endif

/* The process is new. */
unsigned int pa_process_new(void)
{
	/* First this, so that a child of another thread made meanwhile gets another one. */
	unsigned int number = atomic_fetch_add(&last_process, 1) + 1, had = 0;

	return atomic_compare_exchange_strong(&pa_self->number, &had, number) ? number : had;
}

/**
 * pa_map_wiped() - private memory that is zero, and zero in a child again
 * @len: bytes
 *
 * Return: the memory, NULL if there is none, or the kernel cannot do that.
 */
void *pa_map_wiped(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, len, MADV_WIPEONFORK)) {
		munmap(p, len);
		return NULL;
	}
	return p;
}

/* A call of which a signal undoes all: it is just made again. */
int pa_call(int fd, unsigned long nr, void *arg)
{
	int ret;

	do
		ret = pa_ioctl(fd, nr, arg);
	while (ret < 0 && errno == EINTR);
	return ret;
}

/*
 * A batch of any length.  A signal between two operations, or that cuts one short, does not end
 * it.  @done is set in either case.
 */
int pa_batch(int fd, uint32_t flags, struct pagearena_op *ops, uint32_t count,
	     struct pa_done *done)
{
	int ret;

	memset(done, 0, sizeof(*done));
	do {
		struct pagearena_batch b = {
			.size = sizeof(b),
			.flags = flags,
			.ops = (uintptr_t)(ops + done->done),
			.count = count - done->done,
		};

		if (b.count > PAGEARENA_BATCH_MAX)
			b.count = PAGEARENA_BATCH_MAX;
		ret = pa_ioctl(fd, PAGEARENA_IOC_BATCH, &b);
		done->done += b.done;
		done->failed += b.failed;
	} while (ret ? errno == EINTR :
		       done->done < count && !(flags & PAGEARENA_BATCH_STOP && done->failed));
	return ret;
}

/*
 * Takes in the caller's options, which may be shorter or longer than ours: what the
 * caller does not know is zero, and what we do not know must be.
 */
static int copy_options(struct pagearena_options *to, const struct pagearena_options *from)
{
	const char *bytes = (const char *)from;
	size_t i;

	memset(to, 0, sizeof(*to));
	if (!from)
		return 0;
	if (from->size < OPTIONS_SIZE_VER0)
		return fail(EINVAL);
	for (i = sizeof(*to); i < from->size; i++)
		if (bytes[i])
			return fail(E2BIG);
	memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
	if (to->base_align && !is_power_of_2(to->base_align))
		return fail(EINVAL);
	if (to->base_align > SIZE_MAX)
		return fail(EOVERFLOW);
	return 0;
}

static int get_info(int fd, struct pagearena_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	if (pa_call(fd, PAGEARENA_IOC_INFO, info))
		return -1;
	/* Minor versions only add; another major version is another language. */
	if (info->abi_version >> 16 != PAGEARENA_ABI_VERSION >> 16)
		return fail(EPROTO);
	return 0;
}

static char *map_fd(int fd, void *addr, size_t len, int flags)
{
	return mmap(addr, len, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
}

/* Maps at an address that must be free. */
static char *map_at(int fd, char *addr, size_t len)
{
	char *p = map_fd(fd, addr, len, MAP_FIXED_NOREPLACE);

	if (p == MAP_FAILED || p == addr)
		return p;
	/* Only a kernel before 4.17 takes the flag for a hint. */
	munmap(p, len);
	errno = EEXIST;
	return MAP_FAILED;
}

/* Maps at a multiple of align: reserves too much, maps inside, trims. */
static char *map_aligned(int fd, size_t len, size_t align)
{
	size_t room, head;
	char *hold, *p;
	int err;

	if (__builtin_add_overflow(len, align, &room)) {
		errno = EOVERFLOW;
		return MAP_FAILED;
	}
	hold = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (hold == MAP_FAILED)
		return hold;
	head = -(uintptr_t)hold & (align - 1);
	p = map_fd(fd, hold + head, len, MAP_FIXED);
	if (p == MAP_FAILED) {
		err = errno;
		munmap(hold, room);
		errno = err;
		return p;
	}
	if (head)
		munmap(hold, head);
	if (align - head)
		munmap(p + len, align - head);
	return p;
}

#ifdef PAGEARENA_KERNEL_ONLY
static int open_user(void)
{
	return fail(EOPNOTSUPP);
}

static char *map_user(int fd, size_t len, const struct pagearena_info *info,
		      const struct pagearena_options *opts)
{
	(void)fd;
	(void)len;
	(void)info;
	(void)opts;
	return NULL;
}
#else
static int open_user(void)
{
	return pa_user_open();
}

/* A memfd is mapped at any page unless it is told otherwise.  NULL: it is none. */
static char *map_user(int fd, size_t len, const struct pagearena_info *info,
		      const struct pagearena_options *opts)
{
	uint64_t align = opts->base_align > info->huge_size ? opts->base_align : info->huge_size;
	char *p;

	if (!pa_is_user(fd))
		return NULL;
	p = opts->addr ? map_at(fd, opts->addr, len) : map_aligned(fd, len, (size_t)align);
	if (p != MAP_FAILED)
		pa_user_mapped(fd, p, len);
	return p;
}
#endif

static char *map_arena(int fd, const struct pagearena_info *info,
		       const struct pagearena_options *opts)
{
	size_t len = (size_t)info->arena_bytes;
	char *p;

	if (opts->addr && opts->base_align && (uintptr_t)opts->addr & (opts->base_align - 1)) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	p = map_user(fd, len, info, opts);
	if (p)
		return p;
	if (opts->addr)
		return map_at(fd, opts->addr, len);
	if (opts->base_align > info->huge_size)
		return map_aligned(fd, len, (size_t)opts->base_align);
	return map_fd(fd, NULL, len, 0);
}

/* The common end of opening: the descriptor has a geometry, and needs a mapping. */
static struct pagearena *adopt(int fd, const struct pagearena_options *opts)
{
	struct pagearena_info info;
	struct pagearena *a;
	int err;

	if (pa_self_init() || get_info(fd, &info))
		return NULL;
	if (!info.arena_bytes) {
		errno = EBADFD;
		return NULL;
	}
	if (info.arena_bytes > SIZE_MAX) {
		errno = EOVERFLOW;
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->fd = fd;
	a->process = pa_process();
	a->bytes = info.arena_bytes;
	a->huge_size = info.huge_size;
	a->base = map_arena(fd, &info, opts);
	if (a->base == MAP_FAILED) {
		err = errno;
		free(a);
		errno = err;
		return NULL;
	}
	pa_cache_open(a, info.span_page, info.setup_flags & PAGEARENA_SETUP_DEBUG ?
						 PAGEARENA_NO_CACHE : opts->cache_bytes);
	return a;
}

/* Gives a fresh descriptor its geometry. */
static int setup(int fd, const struct pagearena_options *opts)
{
	struct pagearena_setup s;
	struct pagearena_info info;
	uint64_t unit;

	if (get_info(fd, &info))
		return -1;
	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	s.flags = opts->flags;
	s.arena_bytes = opts->arena_bytes;
	s.span_page = opts->span_page;
	s.granule = opts->granule;
	s.growth = opts->growth;
	s.limit = opts->limit;
	s.fit = opts->fit;
	s.huge = opts->huge;

	if (!s.arena_bytes)
		s.arena_bytes = info.arena_bytes_max < DEFAULT_ARENA_BYTES ? info.arena_bytes_max :
									     DEFAULT_ARENA_BYTES;
	/* 8 KiB is the default span page; the kernel judges whether the rest is sane. */
	unit = max_u64(max_u64(s.span_page ? s.span_page : 8192, s.granule), info.page_size);
	if (is_power_of_2(unit) &&
	    __builtin_add_overflow(s.arena_bytes, -s.arena_bytes & (unit - 1), &s.arena_bytes))
		return fail(EOVERFLOW);
	return pa_call(fd, PAGEARENA_IOC_SETUP, &s);
}

/* The module's device, or what PAGEARENA_BACKEND in the environment says. */
static int open_backend(const char *device)
{
	const char *backend = getenv("PAGEARENA_BACKEND");
	bool user = backend && !strcmp(backend, "user");
	int fd;

	if (backend && *backend && !user && strcmp(backend, "auto") && strcmp(backend, "kernel"))
		return fail(EINVAL);
	if (user)
		return open_user();
	do
		fd = open(device ? device : PAGEARENA_DEVICE, O_RDWR | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	/* No module, or no right to it. */
	if (fd < 0 && backend && !strcmp(backend, "auto") &&
	    (errno == ENOENT || errno == ENXIO || errno == ENODEV || errno == EACCES ||
	     errno == EPERM))
		return open_user();
	return fd;
}

struct pagearena *pagearena_open(const struct pagearena_options *opts)
{
	struct pagearena_options o;
	struct pagearena *a = NULL;
	int fd, err;

	if (copy_options(&o, opts))
		return NULL;
	fd = open_backend(o.device);
	if (fd < 0)
		return NULL;
	if (!setup(fd, &o))
		a = adopt(fd, &o);
	if (!a) {
		err = errno;
		pa_close(fd);
		errno = err;
	}
	return a;
}

struct pagearena *pagearena_open_fd(int fd, const struct pagearena_options *opts)
{
	struct pagearena_options o;

	if (copy_options(&o, opts))
		return NULL;
	/* Others may use it too, and a cache cannot know what they free. */
	if (!o.cache_bytes)
		o.cache_bytes = PAGEARENA_NO_CACHE;
	return adopt(fd, &o);
}

int pagearena_remap(struct pagearena *a)
{
	if (a->process == pa_process())
		return 0;
	if (map_at(a->fd, a->base, (size_t)a->bytes) == MAP_FAILED)
		return -1;
	pa_user_mapped(a->fd, a->base, (size_t)a->bytes);
	a->process = pa_process();
	return 0;
}

void pagearena_close(struct pagearena *a)
{
	if (!a)
		return;
	pa_cache_close(a);
	/* In a forked child, other things may be mapped where the parent has the arena. */
	if (a->process == pa_process())
		munmap(a->base, (size_t)a->bytes);
	pa_close(a->fd);
	free(a);
}

int pagearena_fd(const struct pagearena *a)
{
	return a->fd;
}

void *pagearena_base(const struct pagearena *a)
{
	return a->base;
}

uint64_t pagearena_bytes(const struct pagearena *a)
{
	return a->bytes;
}

void *pagearena_ptr(const struct pagearena *a, uint64_t offset)
{
	if (offset >= a->bytes) {
		errno = EINVAL;
		return NULL;
	}
	return a->base + offset;
}

uint64_t pagearena_offset(const struct pagearena *a, const void *ptr)
{
	/* Unsigned, so that what lies below the base comes out beyond the end. */
	uint64_t offset = (uintptr_t)ptr - (uintptr_t)a->base;

	return offset < a->bytes ? offset : PAGEARENA_NO_OFFSET;
}

/*
 * A call for which there may only be no room because of what is in caches.  With EEXIST, that
 * can be so if one of these lies in the range.
 */
static int call_for_room(struct pagearena *a, unsigned long nr, void *arg, uint64_t offset,
			 uint64_t length)
{
	int kept = errno, ret = pa_call(a->fd, nr, arg);

	if (likely(!ret) ||
	    (errno != ENOMEM && (errno != EEXIST || !pa_cache_near(a, offset, length))) ||
	    !pa_cache_flush(a))
		return ret;
	ret = pa_call(a->fd, nr, arg);
	if (!ret)
		errno = kept;
	return ret;
}

int pagearena_alloc_ex(struct pagearena *a, size_t align, size_t length, uint32_t flags,
		       struct pagearena_block *block)
{
	struct pagearena_alloc s;

	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	s.flags = flags;
	s.length = length;
	s.align = align;
	/* An aligned offset is an aligned pointer only as far as the base is aligned. */
	if (is_power_of_2(align) && (uintptr_t)a->base & (align - 1))
		return fail(EINVAL);
	if (call_for_room(a, PAGEARENA_IOC_ALLOC, &s, 0, 0))
		return -1;
	pa_cache_forget(a, s.offset);
	block->ptr = a->base + s.offset;
	block->length = s.length;
	block->flags = s.out_flags;
	return 0;
}

void *pagearena_aligned_alloc(struct pagearena *a, size_t align, size_t length, uint32_t flags)
{
	struct pagearena_block block;

	if (!is_power_of_2(align)) {
		errno = EINVAL;
		return NULL;
	}
	if (pagearena_alloc_ex(a, align, length, flags, &block))
		return NULL;
	return block.ptr;
}

int pagearena_alloc_at(struct pagearena *a, void *ptr, size_t length, uint32_t flags)
{
	struct pagearena_alloc s;

	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	s.flags = flags | PAGEARENA_ALLOC_FIXED;
	s.length = length;
	s.offset = pagearena_offset(a, ptr);
	if (s.offset == PAGEARENA_NO_OFFSET)
		return fail(EINVAL);
	if (call_for_room(a, PAGEARENA_IOC_ALLOC, &s, s.offset, length))
		return -1;
	pa_cache_forget(a, s.offset);
	return 0;
}

int pagearena_resize(struct pagearena *a, void *ptr, size_t length, uint32_t flags)
{
	struct pagearena_resize s;

	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	s.flags = flags;
	s.offset = pagearena_offset(a, ptr);
	s.length = length;
	if (s.offset == PAGEARENA_NO_OFFSET)
		return fail(EINVAL);
	if (pa_cache_owns(a, s.offset))
		return fail(ENOENT);
	/* It will no longer be of the length that is noted. */
	pa_cache_forget(a, s.offset);
	return call_for_room(a, PAGEARENA_IOC_RESIZE, &s, s.offset, length);
}

int64_t pagearena_batch(struct pagearena *a, uint32_t flags, struct pagearena_op *ops,
			uint32_t count, uint32_t *failed)
{
	uint32_t done = 0, bad = 0, i, n;
	struct pa_done part;
	int ret = 0;

	while (!ret && done < count && !(flags & PAGEARENA_BATCH_STOP && bad)) {
		/* What is in a cache is not the caller's any more. */
		for (n = 0; done + n < count; n++) {
			struct pagearena_op *op = &ops[done + n];

			if (op->op != PAGEARENA_OP_FREE && op->op != PAGEARENA_OP_RESIZE)
				continue;
			if (pa_cache_owns(a, op->offset))
				break;
			pa_cache_forget(a, op->offset);
		}
		if (!n) {
			ops[done].result = -ENOENT;
			ops[done].out_flags = 0;
			done++;
			bad++;
			continue;
		}
		ret = pa_batch(a->fd, flags, ops + done, n, &part);
		for (i = done; i < done + part.done; i++)
			if (ops[i].op == PAGEARENA_OP_ALLOC && !ops[i].result)
				pa_cache_forget(a, ops[i].offset);
		done += part.done;
		bad += part.failed;
	}
	if (failed)
		*failed = bad;
	return ret ? -1 : (int64_t)done;
}

void pagearena_cache_flush(struct pagearena *a)
{
	pa_cache_flush(a);
}

void pagearena_cache_stats(struct pagearena *a, struct pagearena_cache_stats *stats)
{
	pa_cache_hold(a, stats);
	pa_cache_release(a);
}

/* A span that no cache knows.  @length 0: not checked. */
int pa_kernel_free(struct pagearena *a, const void *ptr, uint64_t length)
{
	struct pagearena_free s;

	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	s.offset = pagearena_offset(a, ptr);
	s.length = length;
	if (s.offset == PAGEARENA_NO_OFFSET)
		return fail(EINVAL);
	return pa_call(a->fd, PAGEARENA_IOC_FREE, &s);
}

int pagearena_scavenge_ex(struct pagearena *a, uint32_t flags, uint64_t bytes,
			  uint64_t min_age_ns, uint64_t *released, uint64_t *backed)
{
	uint64_t sum_released = 0, sum_backed = 0;
	struct pagearena_scavenge s;
	int ret;

	pa_cache_flush(a);
	/* Cut short by a signal, a call tells how far it came, and the rest is asked for. */
	do {
		memset(&s, 0, sizeof(s));
		s.size = sizeof(s);
		s.flags = flags;
		s.min_age_ns = min_age_ns;
		s.bytes = bytes == PAGEARENA_ALL ? bytes : bytes - sum_released;
		ret = pa_ioctl(a->fd, PAGEARENA_IOC_SCAVENGE, &s);
		sum_released += s.released;
		sum_backed += s.backed;
		if (ret && errno == EINTR && sum_released >= bytes)
			ret = 0;
	} while (ret && errno == EINTR);
	if (released)
		*released = sum_released;
	if (backed)
		*backed = sum_backed;
	return ret;
}

int pagearena_scavenge(struct pagearena *a, uint64_t bytes, uint64_t min_age_ns,
		       uint64_t *released, uint64_t *backed)
{
	return pagearena_scavenge_ex(a, 0, bytes, min_age_ns, released, backed);
}

int pagearena_promote_ex(struct pagearena *a, const void *ptr, size_t length,
			 struct pagearena_promote *req)
{
	uint64_t done, pos, end, mask = a->huge_size - 1, begin = 0, passed;
	struct pagearena_promote s;
	uint32_t told = 0;
	uint64_t left;
	unsigned int i;
	int ret;

	if (req->size < sizeof(s))
		return fail(EINVAL);
	left = req->deadline_ns;
	memset(req->counts, 0, sizeof(req->counts));
	pos = pagearena_offset(a, ptr);
	if (pos == PAGEARENA_NO_OFFSET || length > a->bytes - pos)
		return fail(EINVAL);
	end = (pos + length) & ~mask;
	pos = (pos + mask) & ~mask;
	if (req->deadline_ns)
		begin = pa_now_ns();

	while (pos < end) {
		s = *req;
		s.size = sizeof(s);
		s.offset = pos;
		s.length = end - pos;
		s.deadline_ns = left;
		s.nr_results = req->nr_results - told;
		s.results = s.nr_results ? req->results + told * sizeof(uint32_t) : 0;
		memset(s.counts, 0, sizeof(s.counts));
		ret = pa_ioctl(a->fd, PAGEARENA_IOC_PROMOTE, &s);
		for (i = 0, done = 0; i < PAGEARENA_PROMOTE_NR; i++) {
			req->counts[i] += s.counts[i];
			done += s.counts[i];
		}
		if (!ret)
			break;
		if (errno != EINTR)
			return ret;
		/* Chunks are taken in order: go on behind those that are counted. */
		pos += done * a->huge_size;
		if (req->deadline_ns) {
			/* 0 would be none. */
			passed = pa_now_ns() - begin;
			left = req->deadline_ns > passed ? req->deadline_ns - passed : 1;
		}
		told += done < s.nr_results ? (uint32_t)done : s.nr_results;
	}
	return 0;
}

int pagearena_promote(struct pagearena *a, const void *ptr, size_t length, uint32_t *results,
		      uint32_t nr_results, uint64_t counts[PAGEARENA_PROMOTE_NR])
{
	struct pagearena_promote req;
	int ret;

	memset(&req, 0, sizeof(req));
	req.size = sizeof(req);
	req.flags = PAGEARENA_PROMOTE_COMPACT;
	req.results = (uintptr_t)results;
	req.nr_results = results ? nr_results : 0;
	ret = pagearena_promote_ex(a, ptr, length, &req);
	if (counts)
		memcpy(counts, req.counts, PAGEARENA_PROMOTE_NR * sizeof(*counts));
	return ret;
}

int pagearena_policy(struct pagearena *a, struct pagearena_policy *policy)
{
	return pa_call(a->fd, PAGEARENA_IOC_POLICY, policy);
}

int pagearena_info(struct pagearena *a, struct pagearena_info *info)
{
	info->flags = 0;
	return pa_call(a->fd, PAGEARENA_IOC_INFO, info);
}

int pagearena_stats(struct pagearena *a, struct pagearena_stats *stats)
{
	struct pagearena_cache_stats sum;
	int ret;

	stats->flags = 0;
	pa_cache_hold(a, &sum);
	ret = pa_call(a->fd, PAGEARENA_IOC_STATS, stats);
	pa_cache_release(a);
	if (ret)
		return ret;
	stats->heap_inuse -= sum.bytes;
	stats->heap_idle += sum.bytes;
	stats->spans_inuse -= sum.spans;
	stats->spans_free += sum.spans;
	return 0;
}

int pagearena_spans(struct pagearena *a, uint64_t *cursor, struct pagearena_span *spans,
		    uint32_t count)
{
	struct pagearena_spans s;
	int ret;

	if (!count)
		return fail(EINVAL);
	/* The number told is an int. */
	if (count > INT32_MAX)
		count = INT32_MAX;
	do {
		memset(&s, 0, sizeof(s));
		s.size = sizeof(s);
		s.offset = *cursor;
		s.spans = (uintptr_t)spans;
		s.count = count;
		ret = pa_ioctl(a->fd, PAGEARENA_IOC_SPANS, &s);
	} while (ret && errno == EINTR);
	if (ret)
		return -1;
	*cursor = s.offset;
	return (int)s.count;
}

int pagearena_query(struct pagearena *a, const void *ptr, struct pagearena_span *span)
{
	struct pagearena_query s;

	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	s.offset = pagearena_offset(a, ptr);
	if (s.offset == PAGEARENA_NO_OFFSET)
		return fail(EINVAL);
	if (pa_call(a->fd, PAGEARENA_IOC_QUERY, &s))
		return -1;
	*span = s.span;
	return 0;
}
