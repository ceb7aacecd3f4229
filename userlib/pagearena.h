/* SPDX-License-Identifier: MIT */
/*
 * libpagearena: arenas of real pages, managed as a heap of spans by the kernel.
 *
 * A thin layer over the calls of <linux/pagearena.h>: it opens the device, maps the
 * whole arena once, and turns offsets into pointers.  Everything that it adds is told
 * here; what the kernel does is told there, next to each structure.
 *
 *	struct pagearena_options o = { .size = sizeof(o), .arena_bytes = 1UL << 30 };
 *	struct pagearena *a = pagearena_open(&o);
 *	char *p = pagearena_alloc(a, 100000, 0);
 *	...
 *	pagearena_free(a, p);
 *	pagearena_scavenge(a, PAGEARENA_ALL, 0, NULL, NULL);
 *	pagearena_close(a);
 *
 * Structures: every structure that may grow begins with its own size.  Set it to
 * sizeof(), as above: a program keeps working with a library, and a library with a
 * kernel, that is older or newer than the header it was compiled with.
 *
 * Errors: functions that return a pointer return NULL, functions that return an int
 * return -1, both with errno.  <linux/pagearena.h> lists what each errno means.
 *
 * Threads: every function may be called from any thread at any time, but
 * pagearena_close() and pagearena_remap(), which nothing may run beside.
 *
 * Caches: each thread keeps some of the small spans that it frees, and hands them out again
 * without a call of the kernel; see &pagearena_options.cache_bytes.  They cost a list of caches
 * for each thread and each arena under a mutex of the library, which is taken when a thread
 * first uses an arena, when either ends, and by who looks at all caches.  Without caches the
 * library takes no lock and, after pagearena_open(), allocates nothing; and its functions may be
 * called in a signal handler, which they may not with caches.
 *
 * Processes: the caches know what their own process does by the functions below.  So what one
 * process allocated with pagearena_alloc() and a length that is cached, another may use, but not
 * free, and it is not to be freed or resized by raw calls of <linux/pagearena.h>.  Processes that
 * do so open the arena with %PAGEARENA_NO_CACHE, all of them.
 *
 * Without the module: PAGEARENA_BACKEND in the environment says what pagearena_open() makes an
 * arena of.  "kernel", the default: the device, or an error.  "user": a memfd, and the same heap
 * in this process.  "auto": the device, or where that cannot be opened, a memfd.  Programs and
 * their tests run on a memfd as they do on the device, with these differences: free memory can be
 * touched; it goes back beside other calls, if it is old, and not when the machine is short of it;
 * huge pages are advised and not counted, and what was promoted is not known to be; there is no
 * POLLPRI and no %PAGEARENA_SETUP_DEBUG (EOPNOTSUPP); calls take a mutex and allocate memory, and
 * are not for signal handlers; a bad pointer to what a call is to read or write is SIGSEGV, not
 * EFAULT; RLIMIT_FSIZE bounds an arena (ENOMEM); and the heap is one process's:
 * pagearena_open_fd() fails (ENOTTY), and a forked child shares memory after pagearena_remap(),
 * but cannot allocate (EOPNOTSUPP).
 *
 * Signals: no function fails with EINTR.  A call that a signal cuts short is continued.
 * Cancellation: only pagearena_open() and pagearena_close() are cancellation points.
 *
 * fork(): a child inherits the descriptor, not the mapping, and no caches.  The arena is shared
 * memory, never copied.  A child that wants to use it calls pagearena_remap(); one that does not
 * may call pagearena_close(), or just exec() (the descriptor is close-on-exec).  Handlers of
 * pthread_atfork() may do so, too, and it makes no difference if none are run (_Fork()): the
 * kernel wipes in the child what is not for it.  Where it cannot do that (before 4.14) there are
 * no caches.
 */
#ifndef PAGEARENA_H
#define PAGEARENA_H

#include <stddef.h>
#include <stdint.h>

#include <linux/pagearena.h>

#ifdef __cplusplus
extern "C" {
#endif

/** define PAGEARENA_VERSION - version of this library: major << 16 | minor */
#define PAGEARENA_VERSION	0x00000001

/** define PAGEARENA_DEVICE - where the device is unless the options say otherwise */
#define PAGEARENA_DEVICE	"/dev/pagearena"

/** define PAGEARENA_ALL - "all that there is", for pagearena_scavenge() */
#define PAGEARENA_ALL		UINT64_MAX

/** define PAGEARENA_NO_OFFSET - what pagearena_offset() returns for a foreign pointer */
#define PAGEARENA_NO_OFFSET	UINT64_MAX

/** define PAGEARENA_NO_CACHE - for &pagearena_options.cache_bytes: no caches */
#define PAGEARENA_NO_CACHE	UINT64_MAX

/** struct pagearena - an arena, opaque */
struct pagearena;

/**
 * struct pagearena_options - how to open an arena
 * @size: sizeof(struct pagearena_options)
 * @flags: PAGEARENA_SETUP_*
 * @arena_bytes: bytes of address space, rounded up to the larger of @span_page and
 *	@granule; memory is only taken for what is touched.  0: 64 GiB (1 GiB in a 32-bit
 *	program)
 * @span_page: bytes of a span page, a power of two; 0: 8 KiB
 * @granule: bytes of the unit in which memory is released, a power of two from the MMU
 *	page to the huge size; 0: the MMU page
 * @growth: bytes by which the heap grows; 0: 64 MiB or the arena, if that is less
 * @limit: most bytes that may be backed at a time; 0: no limit
 * @fit: PAGEARENA_FIT_*
 * @huge: PAGEARENA_HUGE_*
 * @base_align: the mapping shall begin at a multiple of this, a power of two; 0: the
 *	kernel's choice, which is the huge size.  No pointer can be aligned beyond it
 * @addr: the mapping shall begin exactly here, where nothing may be mapped yet; NULL:
 *	anywhere.  Two processes that give the same address can exchange pointers
 * @device: path of the device; NULL: %PAGEARENA_DEVICE
 * @cache_bytes: bytes of free spans that each thread may keep for itself; 0: 2 MiB, so that it
 *	is no more than a chunk that a thread keeps from the others; %PAGEARENA_NO_CACHE: none.
 *	Spans of up to 256 KiB and 32 span pages are kept, and up to 31 of each length, if they
 *	are allocated by pagearena_alloc() without flags: to touch a longer one costs so much
 *	more than the call that a cache would not be noticed.  There are caches unless the
 *	options say otherwise, because most programs are one process with threads.  Arenas with
 *	%PAGEARENA_SETUP_DEBUG have none, so that a use after free is found; nor have those of a
 *	module that does not know %PAGEARENA_IOC_BATCH
 *
 * Caches are emptied when their thread ends (that of one thread), by pagearena_cache_flush(),
 * pagearena_scavenge() and pagearena_close(), when an allocation finds no other room, and when
 * a thread that needs the kernel anyway finds that memory is short.  A process that shares an
 * arena calls pagearena_close() before it ends: what is in its caches stays allocated otherwise.
 * To the kernel each span in a cache is allocated: pagearena_spans(), pagearena_query() and /proc
 * show it as in use; pagearena_stats() does not.
 *
 * All zero but @size is a good arena for general use.
 */
struct pagearena_options {
	uint32_t size;
	uint32_t flags;
	uint64_t arena_bytes;
	uint64_t span_page;
	uint64_t granule;
	uint64_t growth;
	uint64_t limit;
	uint32_t fit;
	uint32_t huge;
	uint64_t base_align;
	void *addr;
	const char *device;
	uint64_t cache_bytes;
};

/**
 * struct pagearena_cache_stats - what the caches of this process hold, of one arena
 * @bytes: bytes of spans in caches
 * @spans: their number
 * @threads: number of caches
 */
struct pagearena_cache_stats {
	uint64_t bytes;
	uint64_t spans;
	uint64_t threads;
};

/**
 * struct pagearena_block - what pagearena_alloc_ex() allocated
 * @ptr: where the span begins
 * @length: its length in bytes: what was asked for, rounded up to whole span pages
 * @flags: PAGEARENA_ALLOCED_*: whether it is known to be zero, and whether it is backed
 */
struct pagearena_block {
	void *ptr;
	uint64_t length;
	uint64_t flags;
};

/**
 * pagearena_open() - make an arena and map it
 * @opts: options; NULL: all defaults
 *
 * Return: the arena, or NULL with errno: that of open(2) (ENOENT: no such device, the
 * module is not loaded; EACCES: no right to it), of mmap(2) (EEXIST: something is mapped
 * at &pagearena_options.addr), of SETUP, EINVAL or E2BIG for a bad size of @opts, EINVAL
 * for a bad &pagearena_options.base_align, EOVERFLOW for more address space than a
 * pointer reaches, EPROTO for a module whose ABI this library does not speak.
 */
struct pagearena *pagearena_open(const struct pagearena_options *opts);

/**
 * pagearena_open_fd() - map an arena that somebody else made
 * @fd: a descriptor of an arena that has been set up, inherited or received over a
 *	socket; pagearena_close() will close it.  After an error it is still the caller's
 * @opts: only &pagearena_options.base_align, &pagearena_options.addr and
 *	&pagearena_options.cache_bytes count, of which 0 means no caches here; or NULL
 *
 * A process that frees what another one allocated shall have no caches, nor shall the other: a
 * cache knows the lengths of spans from allocations of its own process only.
 *
 * Return: the arena, or NULL with errno as pagearena_open(), EBADF, ENOTTY (not an
 * arena), EBADFD (not set up yet).
 */
struct pagearena *pagearena_open_fd(int fd, const struct pagearena_options *opts);

/**
 * pagearena_remap() - map the arena again, in a forked child
 * @a: arena, inherited over fork()
 *
 * The mapping goes to the address that it has in the parent, so all pointers into the
 * arena hold.  Does nothing in a process that has the mapping.
 *
 * Return: 0, or -1 with errno: EEXIST (the child has put something else there), ENOMEM.
 */
int pagearena_remap(struct pagearena *a);

/**
 * pagearena_close() - unmap an arena and close its descriptor
 * @a: arena; NULL is fine
 *
 * All memory goes back with the last descriptor and the last mapping, wherever these are.
 * No thread may be using @a.
 */
void pagearena_close(struct pagearena *a);

/**
 * pagearena_fd() - the descriptor, to pass on or for the calls of <linux/pagearena.h>
 *
 * It stays the arena's: pagearena_close() closes it.
 */
int pagearena_fd(const struct pagearena *a);

/** pagearena_base() - where the arena is mapped */
void *pagearena_base(const struct pagearena *a);

/** pagearena_bytes() - bytes of address space at pagearena_base() */
uint64_t pagearena_bytes(const struct pagearena *a);

/**
 * pagearena_ptr() - from an offset, as the calls of <linux/pagearena.h> tell it
 * @a: arena
 * @offset: offset in bytes
 *
 * Return: the pointer, or NULL (errno EINVAL) beyond the arena.
 */
void *pagearena_ptr(const struct pagearena *a, uint64_t offset);

/**
 * pagearena_offset() - to an offset
 * @a: arena
 * @ptr: any pointer
 *
 * Return: bytes from pagearena_base(), or %PAGEARENA_NO_OFFSET outside the arena.
 */
uint64_t pagearena_offset(const struct pagearena *a, const void *ptr);

/**
 * pagearena_alloc() - allocate a span
 * @a: arena
 * @length: bytes, more than 0; rounded up to whole span pages
 * @flags: PAGEARENA_ALLOC_*; 0: the contents are undefined, and memory is found at the
 *	first touch
 *
 * Return: a pointer aligned to a span page, or NULL with errno: EINVAL, EOVERFLOW, ENOMEM
 * (no room in the arena, past the limit, or no memory for %PAGEARENA_ALLOC_POPULATE).
 */
void *pagearena_alloc(struct pagearena *a, size_t length, uint32_t flags);

/**
 * pagearena_aligned_alloc() - allocate a span at an aligned address
 * @a: arena
 * @align: a power of two in bytes, at most &pagearena_options.base_align (default: the
 *	huge size)
 * @length: as pagearena_alloc()
 * @flags: as pagearena_alloc()
 *
 * Return: as pagearena_alloc(); EINVAL also for a bad @align.
 */
void *pagearena_aligned_alloc(struct pagearena *a, size_t align, size_t length, uint32_t flags);

/**
 * pagearena_alloc_ex() - allocate a span and be told all about it
 * @a: arena
 * @align: as pagearena_aligned_alloc(), or 0: a span page
 * @length: as pagearena_alloc()
 * @flags: as pagearena_alloc()
 * @block: filled in on success: with &pagearena_block.flags, a caller saves clearing what
 *	is zero already
 *
 * Return: 0, or -1 with errno as pagearena_aligned_alloc().
 */
int pagearena_alloc_ex(struct pagearena *a, size_t align, size_t length, uint32_t flags,
		       struct pagearena_block *block);

/**
 * pagearena_free() - free a span
 * @a: arena
 * @ptr: what the allocation returned; NULL: nothing happens
 *
 * The memory stays with the arena, warm, until it is scavenged.
 *
 * Return: 0, or -1 with errno: EINVAL (outside the arena, or misaligned), ENOENT (not
 * where an allocated span begins: never allocated, freed already, inside a span).
 */
int pagearena_free(struct pagearena *a, void *ptr);

/**
 * pagearena_free_sized() - free a span whose length the caller knows
 * @a: arena
 * @ptr: as pagearena_free()
 * @length: what was asked for, or what &pagearena_block.length told
 *
 * Return: as pagearena_free(); EINVAL also if @length is not that of the span, and
 * nothing is freed.
 */
int pagearena_free_sized(struct pagearena *a, void *ptr, size_t length);

/**
 * pagearena_alloc_at() - allocate a span at a certain place
 * @a: arena
 * @ptr: where it shall begin, in the arena, aligned to a span page
 * @length: as pagearena_alloc()
 * @flags: as pagearena_alloc()
 *
 * All of the range must be free.  For who decides on places: page N at N x P.
 *
 * Return: 0, or -1 with errno: EINVAL, EOVERFLOW, EEXIST (part of the range is allocated), EBUSY
 * (part of it is being released), ENOMEM.
 */
int pagearena_alloc_at(struct pagearena *a, void *ptr, size_t length, uint32_t flags);

/**
 * pagearena_resize() - make a span longer or shorter, in place
 * @a: arena
 * @ptr: where it begins
 * @length: bytes wanted, more than 0
 * @flags: PAGEARENA_ALLOC_ZERO, PAGEARENA_ALLOC_POPULATE: for what is added
 *
 * Nothing moves: a caller that gets EEXIST allocates another span and copies.
 *
 * Return: 0, or -1 with errno: EINVAL, EOVERFLOW, ENOENT (no allocated span begins there),
 * EEXIST (what lies behind it is not free, or not enough), EBUSY, ENOMEM.
 */
int pagearena_resize(struct pagearena *a, void *ptr, size_t length, uint32_t flags);

/**
 * pagearena_batch() - many operations in one call
 * @a: arena
 * @flags: PAGEARENA_BATCH_*
 * @ops: operations, with offsets; see &struct pagearena_op
 * @count: their number, any
 * @failed: out: number of those that failed; or NULL
 *
 * Offsets are those of pagearena_offset() and pagearena_ptr().  Nothing of this goes through
 * the caches, and where there is no room they are not emptied; a span that is in one cannot be
 * freed.
 *
 * Return: number of operations that were tried, all unless %PAGEARENA_BATCH_STOP was given, or
 * -1 with errno: EINVAL, EFAULT, ENOTTY (a module that knows no batches); some may have been
 * done then.
 */
int64_t pagearena_batch(struct pagearena *a, uint32_t flags, struct pagearena_op *ops,
			uint32_t count, uint32_t *failed);

/**
 * pagearena_cache_flush() - free all spans that are in caches
 * @a: arena
 *
 * Those of all threads of this process.  To be called, for example, when poll() of
 * pagearena_fd() reports POLLPRI; the event is taken away by STATS with
 * %PAGEARENA_STATS_PRESSURE, as without caches.
 */
void pagearena_cache_flush(struct pagearena *a);

/**
 * pagearena_cache_stats() - what is in caches
 * @a: arena
 * @stats: out
 */
void pagearena_cache_stats(struct pagearena *a, struct pagearena_cache_stats *stats);

/**
 * pagearena_scavenge() - give free memory back to the system
 * @a: arena
 * @bytes: stop when so much has been released, more than 0; %PAGEARENA_ALL: everything
 * @min_age_ns: only what has been free for longer, in ns; 0: any.  Without it the largest
 *	spans go first, with it the oldest
 * @released: out: bytes of free spans that were released; or NULL
 * @backed: out: bytes of memory that went back to the system; or NULL
 *
 * The caches are emptied first.  A little more than @bytes may go.  Free memory that shares a
 * huge folio with live memory stays (but see pagearena_scavenge_ex()).  It is no error if there
 * is less to release, or nothing.
 *
 * Return: 0, or -1 with errno.  @released and @backed are set in either case.
 */
int pagearena_scavenge(struct pagearena *a, uint64_t bytes, uint64_t min_age_ns,
		       uint64_t *released, uint64_t *backed);

/**
 * pagearena_scavenge_ex() - as pagearena_scavenge(), with flags
 * @a: arena
 * @flags: PAGEARENA_SCAVENGE_*: whether to break huge folios that are partly in use
 * @bytes: as pagearena_scavenge()
 * @min_age_ns: as pagearena_scavenge()
 * @released: as pagearena_scavenge()
 * @backed: as pagearena_scavenge()
 *
 * Return: as pagearena_scavenge().
 */
int pagearena_scavenge_ex(struct pagearena *a, uint32_t flags, uint64_t bytes,
			  uint64_t min_age_ns, uint64_t *released, uint64_t *backed);

/**
 * pagearena_promote() - put memory on huge pages, now
 * @a: arena
 * @ptr: where a range begins
 * @length: its bytes
 * @results: out: one PAGEARENA_PROMOTE_* value for each chunk, in order; or NULL
 * @nr_results: room at @results; chunks past it are not told
 * @counts: out: number of chunks by PAGEARENA_PROMOTE_* value; or NULL
 *
 * A chunk is &pagearena_info.huge_size bytes at a multiple of that.  The chunks that lie
 * in the range whole are promoted; what sticks out at the ends is left alone, and a range
 * that holds no whole chunk is no error.  The contents stay.  Memory is compacted where
 * that is what it takes (%PAGEARENA_PROMOTE_COMPACT).
 *
 * Return: 0, whatever became of the chunks, or -1 with errno: EINVAL (not in the arena).
 * @counts is set in either case.
 */
int pagearena_promote(struct pagearena *a, const void *ptr, size_t length, uint32_t *results,
		      uint32_t nr_results, uint64_t counts[PAGEARENA_PROMOTE_NR]);

/**
 * pagearena_promote_ex() - as pagearena_promote(), with options
 * @a: arena
 * @ptr: as pagearena_promote()
 * @length: as pagearena_promote()
 * @req: &pagearena_promote.size in, and the options: flags, min_density, deadline_ns,
 *	results, nr_results.  &pagearena_promote.counts out, set in either case
 *
 * Return: as pagearena_promote(); EINVAL also for a bad option.
 */
int pagearena_promote_ex(struct pagearena *a, const void *ptr, size_t length,
			 struct pagearena_promote *req);

/**
 * pagearena_policy() - change or ask what the arena does by itself
 * @a: arena
 * @policy: &pagearena_policy.size and the fields that &pagearena_policy.set names in, all
 *	fields as they are in force out
 *
 * Return: 0, or -1 with errno: EINVAL (out of range), E2BIG.
 */
int pagearena_policy(struct pagearena *a, struct pagearena_policy *policy);

/**
 * pagearena_info() - what the module offers, and the arena's geometry
 * @a: arena
 * @info: &pagearena_info.size in, the rest out
 *
 * Return: 0, or -1 with errno: EINVAL, E2BIG (bad &pagearena_info.size).
 */
int pagearena_info(struct pagearena *a, struct pagearena_info *info);

/**
 * pagearena_stats() - the figures of an arena, one consistent picture
 * @a: arena
 * @stats: &pagearena_stats.size in, the rest out
 *
 * What is in this process's caches counts as free: heap_inuse and spans_inuse are without it,
 * heap_idle and spans_free with it, and no span is on its way between the two meanwhile.
 * backed_inuse, backed_free, reclaimable, the peaks and the counters are the kernel's.
 *
 * Return: 0, or -1 with errno: EINVAL, E2BIG (bad &pagearena_stats.size).
 */
int pagearena_stats(struct pagearena *a, struct pagearena_stats *stats);

/**
 * pagearena_spans() - walk over all spans, free and allocated, in order of offset
 * @a: arena
 * @cursor: where to go on; 0 to begin, advanced by every call
 * @spans: out: room for @count spans
 * @count: at least 1; a batch of 64 or more is told as it was at one moment
 *
 *	uint64_t cursor = 0;
 *	while ((n = pagearena_spans(a, &cursor, spans, 256)) > 0)
 *		...
 *
 * Return: number of spans told, 0 at the end, or -1 with errno.
 */
int pagearena_spans(struct pagearena *a, uint64_t *cursor, struct pagearena_span *spans,
		    uint32_t count);

/**
 * pagearena_query() - the span that a pointer points into
 * @a: arena
 * @ptr: any pointer into the arena
 * @span: out
 *
 * Return: 0, or -1 with errno: EINVAL (outside the arena), ENOENT (the heap has not grown
 * so far).
 */
int pagearena_query(struct pagearena *a, const void *ptr, struct pagearena_span *span);

#ifdef __cplusplus
}
#endif

#endif /* PAGEARENA_H */
