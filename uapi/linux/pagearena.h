/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * pagearena: arenas of real pages, managed as a heap of spans by the kernel.
 */
#ifndef _UAPI_LINUX_PAGEARENA_H
#define _UAPI_LINUX_PAGEARENA_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: Arenas
 *
 * Every open() of /dev/pagearena makes an arena of its own.  It lives until the
 * last descriptor and the last mapping of it are gone; passing the descriptor
 * shares it.  %PAGEARENA_IOC_SETUP gives the arena its size and its geometry,
 * once.  The arena is an address range [0, arena_bytes) of *offsets*; mmap()
 * of the descriptor (opened O_RDWR; MAP_SHARED, no PROT_EXEC) shows any part of it, and
 * byte x of the arena is found at file offset x.
 *
 * A *span* is a run of span pages.  %PAGEARENA_IOC_ALLOC hands out spans of
 * offsets and %PAGEARENA_IOC_FREE takes them back.  Memory is found behind an
 * allocated span at its first touch.  Touching anything else raises SIGSEGV;
 * touching an allocated span for which no memory can be had raises SIGBUS.  A
 * page of a freed span that is still mapped stays within reach until it is released
 * (or taken away at once, in an arena set up with %PAGEARENA_SETUP_DEBUG), and so does the
 * free part of a chunk that is backed by a huge folio.
 */

/**
 * DOC: Structures and errors
 *
 * Every call takes a pointer to a structure that begins with its own size, as
 * the caller knows it, and with flags.  The structures only ever grow at their
 * end.  A kernel that knows a shorter structure takes a longer one as long as
 * the tail that it does not know is zero; one that knows a longer structure
 * takes the missing tail as zero.  Fields marked "must be 0" are checked.
 *
 * All calls return 0, or -1 with errno:
 *
 *  - ENOTTY: no such call
 *  - E2BIG: the structure has a tail that this kernel does not know, not zero, or is larger
 *    than an MMU page
 *  - EINVAL: a size below the first published one, an unknown flag, padding that
 *    is not zero, a length of 0, a misaligned value, a range beyond the arena
 *  - EOPNOTSUPP: a known field with a value that this kernel does not support
 *  - EOVERFLOW: offset + length is beyond 2^64
 *  - EBADFD: the arena has not been set up yet
 *  - EEXIST: the arena has been set up already; what shall be allocated is not free
 *  - ENOENT: no such span
 *  - ENOMEM: no room in the arena, in its limit, or in the machine
 *  - EBUSY: the memory is pinned by somebody else
 *  - EFAULT: a bad pointer
 *  - EINTR: a signal came; what was done so far stands, and is reported
 *  - EUCLEAN: the heap found itself damaged (a bug): nothing can be allocated, freed or
 *    scavenged in this arena any more
 *
 * A call that fails has changed nothing, unless its description says otherwise.
 * Calls are atomic to each other and may be made from any thread.
 */

#define PAGEARENA_IOC_TYPE	0xF5

/** define PAGEARENA_ABI_VERSION - version of this header: major << 16 | minor */
#define PAGEARENA_ABI_VERSION	0x00000001

#define PAGEARENA_IOC_INFO	_IO(PAGEARENA_IOC_TYPE, 0x80)
#define PAGEARENA_IOC_SETUP	_IO(PAGEARENA_IOC_TYPE, 0x81)
#define PAGEARENA_IOC_ALLOC	_IO(PAGEARENA_IOC_TYPE, 0x82)
#define PAGEARENA_IOC_FREE	_IO(PAGEARENA_IOC_TYPE, 0x83)
#define PAGEARENA_IOC_SCAVENGE	_IO(PAGEARENA_IOC_TYPE, 0x84)
#define PAGEARENA_IOC_PROMOTE	_IO(PAGEARENA_IOC_TYPE, 0x85)
#define PAGEARENA_IOC_STATS	_IO(PAGEARENA_IOC_TYPE, 0x86)
#define PAGEARENA_IOC_SPANS	_IO(PAGEARENA_IOC_TYPE, 0x87)
#define PAGEARENA_IOC_QUERY	_IO(PAGEARENA_IOC_TYPE, 0x88)
#define PAGEARENA_IOC_POLICY	_IO(PAGEARENA_IOC_TYPE, 0x89)
#define PAGEARENA_IOC_RESIZE	_IO(PAGEARENA_IOC_TYPE, 0x8a)
#define PAGEARENA_IOC_BATCH	_IO(PAGEARENA_IOC_TYPE, 0x8b)

/* Feature bits of &struct pagearena_info.features */
#define PAGEARENA_FEATURE_HUGE		(1ULL << 0) /* huge folios can be mapped */
#define PAGEARENA_FEATURE_MEMCG		(1ULL << 1) /* memory is charged to the creator */
#define PAGEARENA_FEATURE_RECOUNT	(1ULL << 2) /* debugfs has a recount for every arena */

/**
 * struct pagearena_info - PAGEARENA_IOC_INFO: what this kernel offers
 * @size: in: sizeof(struct pagearena_info)
 * @flags: must be 0
 * @abi_version: out: %PAGEARENA_ABI_VERSION of the module
 * @page_size: out: bytes of an MMU page
 * @features: out: PAGEARENA_FEATURE_*
 * @huge_size: out: bytes of a chunk, the unit of huge backing
 * @pmd_size: out: bytes that one PMD maps; huge memory is mapped by one entry
 *	where it equals @huge_size
 * @span_page_min: out: smallest span page that SETUP takes, in bytes
 * @span_page_max: out: largest span page that SETUP takes, in bytes
 * @arena_bytes_max: out: largest arena that SETUP takes, in bytes
 * @span_pages_max: out: most span pages that one ALLOC can ask for
 * @arena_id: out: number of this arena, unique while the module is loaded; it
 *	names the arena's directory in debugfs
 * @arena_bytes: out: as in &struct pagearena_setup; 0 before SETUP
 * @span_page: out: as in &struct pagearena_setup; 0 before SETUP
 * @granule: out: as in &struct pagearena_setup; 0 before SETUP
 * @growth: out: as in &struct pagearena_setup; 0 before SETUP
 * @limit: out: as in &struct pagearena_setup; 0 before SETUP
 * @setup_flags: out: as in &struct pagearena_setup; 0 before SETUP
 * @fit: out: as in &struct pagearena_setup; 0 before SETUP
 * @huge: out: as in &struct pagearena_setup; 0 before SETUP
 * @__pad: out: 0
 *
 * Works before SETUP as well as after it, and on a descriptor that was passed.
 */
struct pagearena_info {
	__u32 size;
	__u32 flags;
	__u32 abi_version;
	__u32 page_size;
	__aligned_u64 features;
	__aligned_u64 huge_size;
	__aligned_u64 pmd_size;
	__aligned_u64 span_page_min;
	__aligned_u64 span_page_max;
	__aligned_u64 arena_bytes_max;
	__aligned_u64 span_pages_max;
	__aligned_u64 arena_id;
	__aligned_u64 arena_bytes;
	__aligned_u64 span_page;
	__aligned_u64 granule;
	__aligned_u64 growth;
	__aligned_u64 limit;
	__u32 setup_flags;
	__u32 fit;
	__u32 huge;
	__u32 __pad;
};

/* How ALLOC chooses among the spans that are large enough: &struct pagearena_setup.fit */
#define PAGEARENA_FIT_DEFAULT	0 /* the kernel's choice: PAGEARENA_FIT_PLACED */
#define PAGEARENA_FIT_BEST	1 /* the smallest; of these the lowest offset */
#define PAGEARENA_FIT_FIRST	2 /* the lowest offset */
#define PAGEARENA_FIT_PLACED	3 /* the smallest; of these the last freed, see below */

/*
 * PLACED: if a span of just the size that is asked for was freed a moment ago, and could not
 * coalesce with another, it is taken: it is warm.  Else, of the smallest that are large enough,
 * one in a chunk that is huge and in use anyway.  Requests of a chunk or more begin at a chunk
 * where there is room for that.
 */

/* When chunks are backed by huge folios: &struct pagearena_setup.huge */
#define PAGEARENA_HUGE_AUTO	0 /* as long as little is backed that is not asked for, see below */
#define PAGEARENA_HUGE_NEVER	1 /* only by PROMOTE */
#define PAGEARENA_HUGE_ALWAYS	2 /* wherever a huge folio can be had */
#define PAGEARENA_HUGE_OFF	3 /* never; see below */

/**
 * DOC: When a chunk is huge
 *
 * An empty chunk is backed whole, by one huge folio, at its first touch, if the policy
 * says so and such a folio lies ready; nothing waits for compaction.  With
 * %PAGEARENA_HUGE_AUTO the policy says so if all of the chunk is allocated, or free and
 * not scavenged; or if what is free and backed comes to no more than a quarter of what is
 * allocated, or 4 MiB, after it, and twice that for a chunk of which half or more is
 * allocated.  The free part of the chunk is no longer scavenged then.
 * AUTO follows the machine: while /sys/kernel/mm/transparent_hugepage/enabled says "never"
 * (looked at once a second at most), it behaves as %PAGEARENA_HUGE_NEVER.  ALWAYS does not
 * look.
 *
 * A chunk with small folios becomes huge by %PAGEARENA_IOC_PROMOTE, or by the background
 * promotion (see &struct pagearena_policy).  A huge chunk becomes small (is *demoted*) when
 * %PAGEARENA_IOC_SCAVENGE is asked to break huge folios, or the limit demands it.
 *
 * %PAGEARENA_HUGE_OFF is for memory that is released again soon, in pieces.  PROMOTE fails with
 * EOPNOTSUPP.  As no huge folio is ever mapped, the arena can map more than a page in a fault
 * on kernels that do so for nobody else: if its granule is 64 KiB or more, each 64 KiB (at a
 * multiple of that) of which all is allocated get one folio, and one fault.
 */

/*
 * &struct pagearena_setup.flags.  DEBUG: a freed span is taken out of reach at
 * once, so that a use after free is a SIGSEGV at the guilty instruction (but for an MMU
 * page that another allocated span touches, too).  No chunk of such an arena is huge:
 * PROMOTE answers SPARSE.  SOFT_LIMIT: @limit is a goal, see "Limits".
 */
#define PAGEARENA_SETUP_DEBUG		(1U << 0)
#define PAGEARENA_SETUP_SOFT_LIMIT	(1U << 1)

/**
 * DOC: Limits
 *
 * An arena's limit is on the memory that it holds, in bytes.
 *
 * A hard limit (the default) holds always.  ALLOC counts what it hands out as if it were
 * touched, releases free memory when that is what it takes, and fails with ENOMEM past the
 * limit.  So a span that was granted can be touched, as far as the limit goes.
 *
 * A soft limit (%PAGEARENA_SETUP_SOFT_LIMIT) is a goal.  Before memory is backed that would
 * pass it, free memory is released, by whoever asked; huge folios are not broken for it.  If
 * nothing free is left, the arena grows past it.
 *
 * Where the module's parameter user_bytes_max bounds what the arenas of one user without
 * CAP_SYS_RESOURCE may hold together, each of their arenas has a hard limit, and these are
 * reserved from that: an arena set up without one gets what is left, up to its size.
 */

/**
 * struct pagearena_setup - PAGEARENA_IOC_SETUP: size and geometry, once per arena
 * @size: in: sizeof(struct pagearena_setup)
 * @flags: in: PAGEARENA_SETUP_*
 * @arena_bytes: in: size of the arena, a multiple of the larger of @span_page and
 *	@granule.  This is address space; memory is only taken for what is touched
 * @span_page: in: bytes of a span page, a power of two between the limits
 *	that INFO tells; 0: 8 KiB.  out: the value in force
 * @granule: in: bytes of the unit in which memory is released, a power of two from
 *	the MMU page to the huge size; 0: the MMU page.  out: the value in force
 * @growth: in: bytes by which the heap grows, up to @arena_bytes and a multiple of the larger
 *	of @span_page and @granule; 0: 64 MiB or the arena, if that is less.  out: the value
 *	in force
 * @limit: in: most bytes that may be backed at a time, see "Limits"; 0: no limit.
 *	out: the value in force
 * @fit: in: PAGEARENA_FIT_*.  out: the value in force
 * @huge: in: PAGEARENA_HUGE_*
 *
 * Errors: EEXIST (set up already), EINVAL, EOPNOTSUPP (unknown @fit or @huge),
 * ENOMEM, EDQUOT (the user's arenas hold all that user_bytes_max allows, or @limit is more
 * than is left of it, or is soft).
 */
struct pagearena_setup {
	__u32 size;
	__u32 flags;
	__aligned_u64 arena_bytes;
	__aligned_u64 span_page;
	__aligned_u64 granule;
	__aligned_u64 growth;
	__aligned_u64 limit;
	__u32 fit;
	__u32 huge;
};

/* &struct pagearena_alloc.flags */
#define PAGEARENA_ALLOC_ZERO	 (1U << 0) /* the span is zero, whatever it takes */
#define PAGEARENA_ALLOC_POPULATE (1U << 1) /* back it now, not at the first touch */
#define PAGEARENA_ALLOC_FIXED	 (1U << 2) /* at @offset, or not at all */

/* &struct pagearena_alloc.out_flags */
#define PAGEARENA_ALLOCED_ZERO	 (1U << 0) /* the span is known to be zero */
#define PAGEARENA_ALLOCED_BACKED (1U << 1) /* every page of it has memory behind it */

/**
 * struct pagearena_alloc - PAGEARENA_IOC_ALLOC: allocate a span
 * @size: in: sizeof(struct pagearena_alloc)
 * @flags: in: PAGEARENA_ALLOC_*
 * @length: in: bytes wanted.  out: bytes of the span: @length rounded up to whole
 *	span pages
 * @align: in: the offset shall be a multiple of this, a power of two; 0, or anything
 *	up to a span page: a span page
 * @offset: in: with %PAGEARENA_ALLOC_FIXED, where the span shall begin, a multiple of @align;
 *	else must be 0.  out: where the span begins
 * @out_flags: in: must be 0.  out: PAGEARENA_ALLOCED_*
 * @__pad: must be 0
 *
 * With %PAGEARENA_ALLOC_FIXED, all of the range must be free, or beyond what the heap has
 * grown to, and within the arena.
 *
 * Errors: EBADFD, EINVAL, EOVERFLOW (@length does not fit when rounded up), ENOMEM
 * (no room in the arena, over the limit, %PAGEARENA_ALLOC_POPULATE found no memory, or with
 * %PAGEARENA_ALLOC_FIXED more than 65536 free spans lie there, which SCAVENGE makes fewer),
 * EEXIST (%PAGEARENA_ALLOC_FIXED: part of the range is allocated), EBUSY (likewise: part of
 * it is being released), EINTR (a fatal signal).
 */
struct pagearena_alloc {
	__u32 size;
	__u32 flags;
	__aligned_u64 length;
	__aligned_u64 align;
	__aligned_u64 offset;
	__u32 out_flags;
	__u32 __pad;
};

/**
 * struct pagearena_free - PAGEARENA_IOC_FREE: free a span
 * @size: in: sizeof(struct pagearena_free)
 * @flags: must be 0
 * @offset: in: where the span begins
 * @length: in: its length as ALLOC returned or was asked for it; 0: not checked
 *
 * The memory stays with the arena, warm, until it is scavenged.
 *
 * Errors: EBADFD, EINVAL (misaligned @offset, or @length is not that of the span),
 * EOVERFLOW, ENOENT (@offset is not where an allocated span begins: never
 * allocated, freed already, or inside a span).
 */
struct pagearena_free {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 length;
};

/**
 * struct pagearena_resize - PAGEARENA_IOC_RESIZE: change the length of a span, in place
 * @size: in: sizeof(struct pagearena_resize)
 * @flags: in: PAGEARENA_ALLOC_ZERO, PAGEARENA_ALLOC_POPULATE: for what is added
 * @offset: in: where the span begins
 * @length: in: bytes wanted, not 0.  out: bytes of the span: @length rounded up to whole span
 *	pages
 * @old_length: in: its length as ALLOC returned or was asked for it; 0: not checked.
 *	out: its length before, in whole span pages
 * @out_flags: in: must be 0.  out: PAGEARENA_ALLOCED_*, of what was added; both if nothing was
 * @__pad: must be 0
 *
 * What is cut off is free, as if it had been a span of its own.  What is added comes from the
 * free memory right behind the span.  The contents of what stays are not touched.
 *
 * Errors: EBADFD, EINVAL (misaligned @offset, @length is 0, or @old_length is not that of the
 * span), EOVERFLOW, ENOENT (as for FREE), EEXIST (what lies behind the span is not free, or
 * not enough), EBUSY (it is being released), ENOMEM (past the end of the arena, over the
 * limit, more than 65536 free spans lie there, or %PAGEARENA_ALLOC_POPULATE found no memory),
 * EINTR (a fatal signal).
 */
struct pagearena_resize {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 length;
	__aligned_u64 old_length;
	__u32 out_flags;
	__u32 __pad;
};

/*
 * &struct pagearena_scavenge.flags.  Without them, free memory that shares a huge folio with
 * live memory stays.  BREAK: such folios are broken, the one with the least live memory
 * first, as long as no more is copied than is won.  FORCE, with BREAK: however much is copied.
 */
#define PAGEARENA_SCAVENGE_BREAK	(1U << 0)
#define PAGEARENA_SCAVENGE_FORCE	(1U << 1)

/**
 * struct pagearena_scavenge - PAGEARENA_IOC_SCAVENGE: give free memory back
 * @size: in: sizeof(struct pagearena_scavenge)
 * @flags: in: PAGEARENA_SCAVENGE_*
 * @bytes: in: stop when so much has been released; ~0: all that there is
 * @min_age_ns: in: only spans that have been free for longer; 0: any
 * @released: in: must be 0.  out: bytes of address space that went from free to
 *	scavenged
 * @backed: in: must be 0.  out: bytes of memory that were behind them and went
 *	back to the system
 *
 * Whole chunks go first, then memory in small folios, then, if @flags ask for it, what
 * lies in huge folios beside live memory.  In each of the three, the largest spans go first
 * without @min_age_ns, and the oldest with it.  A span of which only a part can go is split,
 * so a span is scavenged whole or not at all.  Memory that is pinned goes back when it is
 * unpinned; a pinned huge folio is not broken.
 *
 * Errors: EBADFD, EINVAL (@bytes is 0, or FORCE without BREAK), EINTR (@released and @backed
 * say what was done until then; a signal that is not fatal waits until something was).
 */
struct pagearena_scavenge {
	__u32 size;
	__u32 flags;
	__aligned_u64 bytes;
	__aligned_u64 min_age_ns;
	__aligned_u64 released;
	__aligned_u64 backed;
};

/* &struct pagearena_promote.flags */
#define PAGEARENA_PROMOTE_COMPACT	(1U << 0) /* compact memory where that is what it takes */

/* What became of a chunk: values at &struct pagearena_promote.results */
#define PAGEARENA_PROMOTE_DONE		0 /* it is huge now */
#define PAGEARENA_PROMOTE_ALREADY	1 /* it was huge */
#define PAGEARENA_PROMOTE_EMPTY		2 /* refused: nothing in it is allocated and backed */
#define PAGEARENA_PROMOTE_SPARSE	3 /* refused: less is live than min_density says */
#define PAGEARENA_PROMOTE_PINNED	4 /* refused: somebody holds a page */
#define PAGEARENA_PROMOTE_NOMEM		5 /* refused: no huge folio could be had */
#define PAGEARENA_PROMOTE_LIMIT		6 /* refused: it would pass the limit */
#define PAGEARENA_PROMOTE_DEADLINE	7 /* refused: the time was over */
#define PAGEARENA_PROMOTE_BUSY		8 /* refused: part is being released, or is not grown yet */
#define PAGEARENA_PROMOTE_NR		9

/**
 * struct pagearena_promote - PAGEARENA_IOC_PROMOTE: put chunks on huge folios
 * @size: in: sizeof(struct pagearena_promote)
 * @flags: in: PAGEARENA_PROMOTE_COMPACT
 * @offset: in: start of the range, a multiple of the huge size
 * @length: in: bytes, a multiple of the huge size
 * @results: in: 0, or a pointer to one __u32 for each chunk of the range, which gets
 *	a PAGEARENA_PROMOTE_* value
 * @nr_results: in: number of __u32 at @results; chunks past it are not told
 * @min_density: in: promote chunks of which at least so many percent are allocated and
 *	backed, 0 to 100
 * @deadline_ns: in: begin no chunk later than this after the call; 0: whenever
 * @counts: in: must be 0.  out: number of chunks by PAGEARENA_PROMOTE_* value
 *
 * The contents stay; what is free is not copied.  A chunk is promoted whole or not at all;
 * free parts of it that are scavenged count as backed afterwards.  Whoever touches it
 * meanwhile waits.
 *
 * In the calling process the range is mapped by huge entries afterwards, if it is mapped
 * readable and writable where the process mapped the arena last, and as mmap() left it.
 * Elsewhere (another process, a mapping changed by mprotect(), mlock() or madvise()) a
 * chunk that was mapped page by page stays so until it is mapped anew.
 *
 * Errors: EBADFD, EINVAL, EOVERFLOW, EOPNOTSUPP (%PAGEARENA_HUGE_OFF), EFAULT (@results), EINTR
 * (@counts says what was done until then).
 */
struct pagearena_promote {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 length;
	__aligned_u64 results;
	__u32 nr_results;
	__u32 min_density;
	__aligned_u64 deadline_ns;
	__aligned_u64 counts[16];
};

/* &struct pagearena_policy.set */
#define PAGEARENA_POLICY_PROMOTE_PERCENT	(1U << 0)
#define PAGEARENA_POLICY_PROMOTE_DENSITY	(1U << 1)
#define PAGEARENA_POLICY_SCAVENGE_PERCENT	(1U << 2)
#define PAGEARENA_POLICY_RETAIN_PERCENT		(1U << 3)
#define PAGEARENA_POLICY_SCAVENGE_AGE		(1U << 4)
#define PAGEARENA_POLICY_LIMIT			(1U << 5) /* limit and limit_soft */
#define PAGEARENA_POLICY_POOL			(1U << 6)

/**
 * struct pagearena_policy - PAGEARENA_IOC_POLICY: what an arena does by itself
 * @size: in: sizeof(struct pagearena_policy)
 * @set: in: PAGEARENA_POLICY_*: the fields to change; the others must be 0.  0: only tell
 * @promote_percent: background promotion may take so many percent of one CPU, 0 (off) to
 *	100
 * @promote_density: it promotes chunks of which at least so many percent are allocated and
 *	backed, 1 to 100
 * @scavenge_percent: background scavenging may take so many percent of one CPU, 0 (off) to
 *	100
 * @retain_percent: it keeps as much free memory as is so many percent of the memory behind
 *	allocated spans, 0 to 1000
 * @scavenge_age_ns: it releases what has been free for longer than this, up to 2^63 - 1;
 *	0: at once
 * @limit: most bytes that may be backed at a time; 0: no limit
 * @limit_soft: 1 if the limit is soft, else 0
 * @__pad: must be 0
 * @pool_bytes: so many bytes of huge folios are kept ready, zeroed in advance, as whole huge
 *	folios fit into it; 0: none
 *
 * Background scavenging releases the oldest free memory first, and no more once either
 * what is left is young, or within what is to be retained.  It breaks no huge folios.  When
 * what it released is wanted back soon it slows down.
 *
 * A first touch that is to be backed by a huge folio takes one that is ready, if there is one,
 * and need not clear it.  They are made in the background, when POLICY sets @pool_bytes and
 * after huge folios were wanted, from memory that lies ready, and go back before anything else
 * when memory is short.  They count against @limit, and give way to all else that does.
 *
 * out: all fields as they are in force.  The defaults are parameters of the module, but for
 * the limit, which SETUP sets.
 *
 * Errors: EBADFD, EINVAL, ENOMEM (more is allocated than a hard @limit says, or free memory
 * above it cannot be released: the limit stays as it was), EDQUOT (see "Limits"), EINTR.
 */
struct pagearena_policy {
	__u32 size;
	__u32 set;
	__u32 promote_percent;
	__u32 promote_density;
	__u32 scavenge_percent;
	__u32 retain_percent;
	__aligned_u64 scavenge_age_ns;
	__aligned_u64 limit;
	__u32 limit_soft;
	__u32 __pad;
	__aligned_u64 pool_bytes;
};

/**
 * DOC: Pressure
 *
 * poll() of the descriptor reports POLLPRI when memory is short: what the process could do
 * is to drain its caches, collect garbage, and free.  STATS tells what happened
 * (&struct pagearena_stats.pressure_flags), and with %PAGEARENA_STATS_PRESSURE takes the event
 * away; the next comes with new pressure, and no sooner than 100 ms after the last.
 */
#define PAGEARENA_PRESSURE_RECLAIM	(1U << 0) /* the kernel reclaims from the arena's cgroup */
#define PAGEARENA_PRESSURE_LIMIT	(1U << 1) /* the arena reached its limit */
#define PAGEARENA_PRESSURE_NOMEM	(1U << 2) /* a page could not be had */

/* &struct pagearena_stats.flags.  PRESSURE: the pressure that is told is seen, see "Pressure". */
#define PAGEARENA_STATS_PRESSURE	(1U << 0)

/**
 * struct pagearena_stats - PAGEARENA_IOC_STATS: the figures of an arena
 * @size: in: sizeof(struct pagearena_stats)
 * @flags: in: PAGEARENA_STATS_*
 * @heap_sys: bytes that the heap has grown to
 * @heap_inuse: bytes of allocated spans
 * @heap_idle: bytes of free spans; @heap_sys = @heap_inuse + @heap_idle
 * @heap_released: bytes of free spans that have no memory behind them
 * @backed: bytes of memory that the arena holds
 * @backed_inuse: of these, bytes behind allocated spans
 * @backed_free: of these, bytes behind free spans: warm, until they are scavenged;
 *	@backed = @backed_inuse + @backed_free = @huge_bytes + @small_bytes
 * @huge_bytes: bytes of memory in huge folios
 * @small_bytes: bytes of memory in small folios
 * @backed_peak: the most that @backed has been
 * @inuse_peak: the most that @heap_inuse has been
 * @spans_inuse: number of allocated spans
 * @spans_free: number of free spans that are not scavenged
 * @spans_scavenged: number of free spans that are scavenged
 * @nr_alloc: spans allocated since SETUP
 * @nr_free: spans freed since SETUP
 * @nr_grow: times that the heap grew
 * @nr_scavenge: spans scavenged since SETUP
 * @nr_fault: page faults answered with memory
 * @nr_fault_huge: of these, faults that were answered from a huge folio
 * @nr_fault_denied: touches of what is not allocated
 * @nr_fault_failed: faults for which no memory could be had
 * @nr_zap: calls that took mappings away (each flushes the TLB where it must)
 * @nr_huge_alloc: huge folios allocated
 * @nr_huge_failed: huge folios that could not be had
 * @huge_inuse: bytes of huge folios behind allocated spans; the share of @backed_inuse
 *	that is huge
 * @nr_promote: chunks promoted
 * @nr_promote_background: of these, by the background promotion
 * @nr_demote: chunks demoted
 * @nr_demote_failed: chunks that could not be demoted (pinned, or no memory)
 * @bytes_copied: bytes moved by promotion and demotion
 * @bytes_zeroed: bytes cleared for %PAGEARENA_ALLOC_ZERO and for fresh memory
 * @nr_mid_alloc: folios of 64 KiB allocated for chunks that are not huge (kernels that map
 *	such a folio in one fault, arenas with a granule of 64 KiB or more)
 * @nr_refused: chunks that were not promoted, by PAGEARENA_PROMOTE_* value
 * @reclaimable: bytes behind free spans that the kernel can take back at once: all of
 *	@backed_free but what shares a huge folio with live memory of more than a quarter of it.
 *	With a granule above the MMU page no more than that: pieces of granules count until the
 *	kernel has tried
 * @pressure_seq: grows by one with each pressure event, see "Pressure"
 * @pressure_flags: PAGEARENA_PRESSURE_*: what happened and has not been seen
 * @bytes_background: bytes released by background scavenging
 * @bytes_reclaimed: bytes released because the machine or the memory cgroup needed them
 * @bytes_limited: bytes released because of the limit
 * @bytes_refault: bytes that the kernel released by itself and that were touched again
 *	within the age limit (at least a second)
 * @background_ns: time that background scavenging took
 * @nr_background: times that it began
 * @background_slow: it takes 1 / 2^n of its share of the CPU, because of refaults
 * @background_hold_max: the most spans that it passed under one hold of the heap lock
 * @pool_bytes: bytes of huge folios that are zeroed in advance and ready.  No part of @backed:
 *	the arena holds @backed + @pool_bytes
 * @nr_pool_hit: huge folios that a first touch took from there
 * @nr_pool_miss: huge folios that a first touch wanted while none was ready, though
 *	&struct pagearena_policy.pool_bytes is not 0
 * @bytes_pool_zeroed: bytes cleared in advance, which @bytes_zeroed does not count
 * @bytes_pool_unused: of these, bytes that went back without having been used:
 *	@bytes_pool_zeroed = @pool_bytes + @bytes_pool_unused + @nr_pool_hit * huge size
 * @pool_ns: time that this took
 *
 * All the others are output.  The heap and backing figures are one consistent picture.
 *
 * Errors: EBADFD, EINVAL.
 */
struct pagearena_stats {
	__u32 size;
	__u32 flags;
	__aligned_u64 heap_sys;
	__aligned_u64 heap_inuse;
	__aligned_u64 heap_idle;
	__aligned_u64 heap_released;
	__aligned_u64 backed;
	__aligned_u64 backed_inuse;
	__aligned_u64 backed_free;
	__aligned_u64 huge_bytes;
	__aligned_u64 small_bytes;
	__aligned_u64 backed_peak;
	__aligned_u64 inuse_peak;
	__aligned_u64 spans_inuse;
	__aligned_u64 spans_free;
	__aligned_u64 spans_scavenged;
	__aligned_u64 nr_alloc;
	__aligned_u64 nr_free;
	__aligned_u64 nr_grow;
	__aligned_u64 nr_scavenge;
	__aligned_u64 nr_fault;
	__aligned_u64 nr_fault_huge;
	__aligned_u64 nr_fault_denied;
	__aligned_u64 nr_fault_failed;
	__aligned_u64 nr_zap;
	__aligned_u64 nr_huge_alloc;
	__aligned_u64 nr_huge_failed;
	__aligned_u64 huge_inuse;
	__aligned_u64 nr_promote;
	__aligned_u64 nr_promote_background;
	__aligned_u64 nr_demote;
	__aligned_u64 nr_demote_failed;
	__aligned_u64 bytes_copied;
	__aligned_u64 bytes_zeroed;
	__aligned_u64 nr_mid_alloc;
	__aligned_u64 nr_refused[16];
	__aligned_u64 reclaimable;
	__aligned_u64 pressure_seq;
	__aligned_u64 pressure_flags;
	__aligned_u64 bytes_background;
	__aligned_u64 bytes_reclaimed;
	__aligned_u64 bytes_limited;
	__aligned_u64 bytes_refault;
	__aligned_u64 background_ns;
	__aligned_u64 nr_background;
	__aligned_u64 background_slow;
	__aligned_u64 background_hold_max;
	__aligned_u64 pool_bytes;
	__aligned_u64 nr_pool_hit;
	__aligned_u64 nr_pool_miss;
	__aligned_u64 bytes_pool_zeroed;
	__aligned_u64 bytes_pool_unused;
	__aligned_u64 pool_ns;
};

/* &struct pagearena_span.state */
#define PAGEARENA_SPAN_FREE	0
#define PAGEARENA_SPAN_INUSE	1
#define PAGEARENA_SPAN_TRANSIT	2 /* on its way between the two, or out */

/* &struct pagearena_span.flags */
#define PAGEARENA_SPAN_SCAVENGED (1U << 0) /* free, and its memory is released */
#define PAGEARENA_SPAN_NEEDZERO	 (1U << 1) /* may hold old contents */

/**
 * struct pagearena_span - one span, as SPANS and QUERY tell it
 * @offset: where it begins
 * @length: bytes
 * @state: PAGEARENA_SPAN_FREE, INUSE or TRANSIT
 * @flags: PAGEARENA_SPAN_SCAVENGED, PAGEARENA_SPAN_NEEDZERO
 * @age_ns: for a free span, how long it has been free; 0 for one that is allocated or was
 *	never used
 * @backed: bytes of it that have memory behind them
 * @huge: of these, bytes in huge folios
 */
struct pagearena_span {
	__aligned_u64 offset;
	__aligned_u64 length;
	__u32 state;
	__u32 flags;
	__aligned_u64 age_ns;
	__aligned_u64 backed;
	__aligned_u64 huge;
};

/**
 * struct pagearena_spans - PAGEARENA_IOC_SPANS: list spans in order of offset
 * @size: in: sizeof(struct pagearena_spans)
 * @flags: must be 0
 * @offset: in: where to begin: the span that holds this offset is the first.  out: where
 *	to go on: the end of the last span told, or as it was if there was none
 * @spans: in: pointer to @count structures
 * @count: in: room at @spans, at least 1.  out: number of spans told; 0 at the end
 * @__pad: must be 0
 *
 * Spans change between calls: each call tells whole spans that were so at one
 * moment for at least 64 spans at a time.
 *
 * After a signal, fewer spans may be told than there are and than there is room for, but
 * at least one unless it is the end.
 *
 * Errors: EBADFD, EINVAL, EFAULT, ENOMEM.
 */
struct pagearena_spans {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 spans;
	__u32 count;
	__u32 __pad;
};

/**
 * struct pagearena_query - PAGEARENA_IOC_QUERY: the span at an offset
 * @size: in: sizeof(struct pagearena_query)
 * @flags: must be 0
 * @offset: in: any offset
 * @span: in: must be 0.  out: the span that holds it
 *
 * Errors: EBADFD, EINVAL (@offset is beyond the arena), ENOENT (the heap has not
 * grown so far).
 */
struct pagearena_query {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	struct pagearena_span span;
};

/* &struct pagearena_op.op */
#define PAGEARENA_OP_NOP	0
#define PAGEARENA_OP_ALLOC	1
#define PAGEARENA_OP_FREE	2
#define PAGEARENA_OP_RESIZE	3
#define PAGEARENA_OP_SCAVENGE	4
#define PAGEARENA_OP_PROMOTE	5
#define PAGEARENA_OP_NR		6

/**
 * struct pagearena_op - one operation of a batch
 * @op: in: PAGEARENA_OP_*
 * @flags: in: those of the operation: ALLOC and RESIZE: PAGEARENA_ALLOC_*; SCAVENGE:
 *	PAGEARENA_SCAVENGE_*; PROMOTE: PAGEARENA_PROMOTE_*; else must be 0
 * @result: out: 0, or the negative errno that the call of its own would have failed with;
 *	PROMOTE: the number of chunks of the range that are huge now
 * @out_flags: out: ALLOC and RESIZE: PAGEARENA_ALLOCED_*, else 0
 * @offset: in: as for the call of its own; ALLOC without %PAGEARENA_ALLOC_FIXED: not looked
 *	at; SCAVENGE: start of the range, a multiple of the span page and the granule.  out:
 *	ALLOC: where the span begins
 * @length: in: as for the call of its own; FREE: 0: not checked; SCAVENGE: bytes of the
 *	range, a multiple of the span page and the granule.  out: ALLOC and RESIZE: bytes of
 *	the span; SCAVENGE: bytes of memory that went back
 * @align: in: ALLOC: as for the call of its own; PROMOTE: the minimum density in percent;
 *	else must be 0
 *
 * @result and @out_flags are not looked at.  SCAVENGE releases the free memory of a range,
 * of whatever age, wherever it can; what is allocated is left alone, and neighbouring ranges
 * that follow each other are released as if they were one.
 */
struct pagearena_op {
	__u32 op;
	__u32 flags;
	__s32 result;
	__u32 out_flags;
	__aligned_u64 offset;
	__aligned_u64 length;
	__aligned_u64 align;
};

/* &struct pagearena_batch.flags.  STOP: an operation that fails is the last. */
#define PAGEARENA_BATCH_STOP	(1U << 0)

/* Most operations of one batch. */
#define PAGEARENA_BATCH_MAX	65536

/**
 * struct pagearena_batch - PAGEARENA_IOC_BATCH: many operations in one call
 * @size: in: sizeof(struct pagearena_batch)
 * @flags: in: PAGEARENA_BATCH_*
 * @ops: in: pointer to the operations
 * @count: in: their number, 1 to %PAGEARENA_BATCH_MAX
 * @done: in: must be 0.  out: number of operations that were tried; the results of these
 *	are in place
 * @failed: in: must be 0.  out: of these, those that failed
 * @__pad: must be 0
 *
 * The operations are done one after the other, as calls of their own would be, and others'
 * calls may come in between.  The call succeeds even if all of them fail.
 *
 * Errors: EBADFD, EINVAL; EFAULT (what was done until then stands, but what could not be
 * told of is undone as far as it was ALLOC), EINTR (@done says what was done; an operation that
 * was cut short is not among them, and can be made again: unless the signal is fatal it has come
 * further).
 */
struct pagearena_batch {
	__u32 size;
	__u32 flags;
	__aligned_u64 ops;
	__u32 count;
	__u32 done;
	__u32 failed;
	__u32 __pad;
};

#endif /* _UAPI_LINUX_PAGEARENA_H */
