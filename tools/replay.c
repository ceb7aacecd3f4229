// SPDX-License-Identifier: MIT
/*
 * pagearena replay: does again what a program did, and checks every span.
 *
 * Each run has a process of its own, forked for it, so that what one run leaves behind
 * (page tables, resident memory, its high-water mark) is not seen in the next one.  The
 * trace is in memory before, and a run allocates all that it needs before it measures.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "trace.h"

enum touch { TOUCH_NONE, TOUCH_SAMPLE, TOUCH_FULL };

/* Who gives free memory back.  By default the replay does, see --scavenge-every. */
enum release { RELEASE_REPLAY, RELEASE_NEVER, RELEASE_DEFAULT, RELEASE_AT_ONCE };

struct options {
	struct pagearena_options arena;
	uint64_t ops;
	uint64_t scavenge_every;
	uint64_t keep_percent;
	uint64_t interval_ns;
	uint64_t tail_ns;
	double pace; /* 0: as fast as it goes */
	const char *series;
	enum touch touch;
	enum release release;
	bool scavenge_parts;
	bool compare;
	bool json;
	bool map;
	bool progress;
};

/* In the order of PAGEARENA_FIT_*, PAGEARENA_HUGE_*, enum touch and enum release. */
static const char *const fits[] = { "default", "best", "first", "placed" };
static const char *const huges[] = { "auto", "never", "always", "off" };
static const char *const touches[] = { "none", "sample", "full" };
static const char *const releases[] = { "replay", "never", "default", "at-once" };

/* What smaps_rollup says of this process, in bytes. */
struct resident {
	uint64_t rss;
	uint64_t huge;
};

/* The results of one run.  In shared memory: the process that fills them in is a child. */
struct result {
	uint64_t operations;
	uint64_t allocs;
	uint64_t frees;
	uint64_t purges;
	uint64_t peak_spans;
	uint64_t peak_inuse;
	uint64_t peak_backed;
	uint64_t peak_warm;
	uint64_t peak_huge;
	uint64_t peak_huge_percent;
	uint64_t peak_huge_inuse;
	uint64_t peak_huge_inuse_percent;
	uint64_t backed_most;
	uint64_t backed_end;
	uint64_t scavenges;
	uint64_t released;
	uint64_t released_backed;
	uint64_t background;
	uint64_t background_ns;
	uint64_t refault;
	uint64_t zeroed;
	uint64_t pool_hits;
	uint64_t pool_misses;
	uint64_t pool_zeroed;
	uint64_t pool_unused;
	uint64_t pool_ns;
	uint64_t rss_start;
	uint64_t rss_peak;
	uint64_t rss_most;
	uint64_t rss_end;
	uint64_t mapped_huge;
	uint64_t mapped_huge_percent;
	uint64_t minor_faults;
	uint64_t module_faults;
	uint64_t huge_faults;
	uint64_t zaps;
	uint64_t promotions;
	uint64_t background_promotions;
	uint64_t demotions;
	uint64_t bytes_copied;
	uint64_t huge_failures;
	uint64_t known_zero;
	uint64_t calls;
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t elapsed_ns;
	uint64_t late_ns;
	uint64_t bytes_checked;
	uint64_t left_over;
	uint64_t recounted;
	char recount[160];
	char error[400];
	bool good;
};

/* A span of the run, by its id. */
struct live {
	char *p;
	uint32_t npages;
};

/* What has gone by so far; measuring itself is left out by stopping meanwhile. */
struct meter {
	struct rusage usage;
	uint64_t time;
};

struct run {
	const struct trace *trace;
	const struct options *opts;
	const struct backend *backend;
	struct result *res;
	struct live *live;
	struct pagearena *arena;
	uint64_t span_page;
	size_t stride; /* every so many bytes something is written */
	struct meter meter;
	uint64_t inuse; /* bytes */
	double factor; /* ns of the clock for one ns of the trace */
	uint64_t origin; /* on the clock: when the trace began */
	FILE *series;
	uint64_t next_sample; /* in ns of the trace */
};

/* A line of --series. */
struct sample {
	uint64_t inuse;
	uint64_t backed;
	uint64_t zeroed;
	uint64_t background;
	uint64_t refault;
	bool arena; /* it has the last three */
};

/* One of the two ways to get pages. */
struct backend {
	const char *name;
	bool (*open)(struct run *run);
	char *(*alloc)(struct run *run, size_t len, size_t align, bool *zero);
	int (*free)(struct run *run, char *p, size_t len);
	int (*purge)(struct run *run, char *p, size_t len);
	bool (*scavenge)(struct run *run);
	bool (*release)(struct run *run);
	bool (*sample)(struct run *run, struct sample *sample);
	bool (*peak)(struct run *run);
	bool (*end)(struct run *run);
	bool (*close)(struct run *run);
};

/* Ends a run with a reason. */
__printf(2, 3) static bool broken(struct run *run, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(run->res->error, sizeof(run->res->error), fmt, ap);
	va_end(ap);
	return false;
}

static uint64_t percent(uint64_t part, uint64_t whole)
{
	return whole ? (part * 100 + whole / 2) / whole : 0;
}

/*
 * Measuring
 */

/* The field "name:" of a file under /proc/self in kB, as bytes; 0 if it has none. */
static uint64_t proc_field(FILE *f, const char *name)
{
	unsigned long long kb, sum = 0;
	size_t len = strlen(name);
	char line[256];

	rewind(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && sscanf(line + len, ": %llu kB", &kb) == 1)
			sum += kb * 1024;
	return sum;
}

/* smaps_rollup walks the page tables: it is right where VmRSS is off by a few pages. */
static struct resident measure_resident(void)
{
	struct resident r = { 0 };
	FILE *f = fopen("/proc/self/smaps_rollup", "re");

	if (!f)
		return r;
	r.rss = proc_field(f, "Rss");
	r.huge = proc_field(f, "AnonHugePages") + proc_field(f, "ShmemPmdMapped") +
		 proc_field(f, "FilePmdMapped");
	fclose(f);
	return r;
}

static uint64_t measure_high_water(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	uint64_t bytes = 0;

	if (f) {
		bytes = proc_field(f, "VmHWM");
		fclose(f);
	}
	return bytes;
}

/* The setting of transparent huge pages, which decides how plain mmap() fares. */
static void read_thp(char *buf, size_t len)
{
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	char line[128], *open, *close;

	snprintf(buf, len, "none");
	if (!f)
		return;
	if (fgets(line, sizeof(line), f)) {
		open = strchr(line, '[');
		close = strchr(line, ']');
		if (open && close > open)
			snprintf(buf, len, "%.*s", (int)(close - open - 1), open + 1);
	}
	fclose(f);
}

/* The module's own verdict on the arena, where debugfs is mounted and readable. */
static void read_recount(struct run *run)
{
	struct pagearena_info info = { .size = sizeof(info) };
	char path[80];
	FILE *f;

	/* Without it the arena's number may be that of somebody else's. */
	if (pagearena_info(run->arena, &info))
		return;
	if (!(info.features & PAGEARENA_FEATURE_RECOUNT)) {
		strcpy(run->res->recount, "not here");
		return;
	}
	snprintf(path, sizeof(path), "/sys/kernel/debug/pagearena/%llu/recount",
		 (unsigned long long)info.arena_id);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(run->res->recount, sizeof(run->res->recount), f)) {
		run->res->recount[strcspn(run->res->recount, "\n")] = '\0';
		run->res->recounted = 1;
	}
	fclose(f);
}

/*
 * The arena
 */

static bool arena_open(struct run *run)
{
	struct pagearena_info info = { .size = sizeof(info) };

	run->arena = pagearena_open(&run->opts->arena);
	if (!run->arena)
		return broken(run, "cannot open an arena: %s%s", strerror(errno),
			      errno == ENOENT ? " (is the module loaded?)" : "");
	if (pagearena_info(run->arena, &info))
		return broken(run, "info: %s", strerror(errno));
	run->span_page = info.span_page;
	/* Neither at once nor never: the arena shall not do anything by itself. */
	if (run->opts->release == RELEASE_NEVER || run->opts->release == RELEASE_AT_ONCE) {
		struct pagearena_policy policy = {
			.size = sizeof(policy),
			.set = PAGEARENA_POLICY_SCAVENGE_PERCENT,
		};

		if (pagearena_policy(run->arena, &policy))
			return broken(run, "policy: %s", strerror(errno));
	}
	return true;
}

static char *arena_alloc(struct run *run, size_t len, size_t align, bool *zero)
{
	uint64_t whole = (len + run->span_page - 1) & ~(run->span_page - 1);
	struct pagearena_block block = { .length = whole };
	uint64_t offset;
	bool good;

	run->res->calls++;
	/* What comes from a cache is not known to be zero. */
	if (run->opts->arena.cache_bytes != PAGEARENA_NO_CACHE && align <= run->span_page) {
		block.ptr = pagearena_alloc(run->arena, len, 0);
		good = block.ptr;
	} else {
		good = !pagearena_alloc_ex(run->arena, align, len, 0, &block);
	}
	if (!good) {
		broken(run, "alloc: %s", strerror(errno));
		return NULL;
	}
	offset = pagearena_offset(run->arena, block.ptr);
	if (block.length != whole || offset == PAGEARENA_NO_OFFSET ||
	    whole > pagearena_bytes(run->arena) - offset ||
	    (uintptr_t)block.ptr & (run->span_page - 1)) {
		broken(run, "alloc: a bad span: offset %llx, length %llx",
		       (unsigned long long)offset, (unsigned long long)block.length);
		return NULL;
	}
	*zero = block.flags & PAGEARENA_ALLOCED_ZERO;
	run->res->known_zero += *zero;
	return block.ptr;
}

static int arena_free(struct run *run, char *p, size_t len)
{
	run->res->calls++;
	return pagearena_free_sized(run->arena, p, len);
}

/* There is no way, and no need, to purge memory in use. */
static int arena_purge(struct run *run, char *p, size_t len)
{
	(void)run;
	(void)p;
	(void)len;
	return 0;
}

/* Free memory stays warm up to a share of what is in use; what is above goes. */
static bool arena_scavenge(struct run *run)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	uint64_t warm, keep, released, backed;

	run->res->calls++;
	if (pagearena_stats(run->arena, &st))
		return broken(run, "stats: %s", strerror(errno));
	warm = st.heap_idle - st.heap_released;
	keep = st.heap_inuse / 100 * run->opts->keep_percent;
	if (warm <= keep)
		return true;
	run->res->calls++;
	if (pagearena_scavenge(run->arena, warm - keep, 0, &released, &backed))
		return broken(run, "scavenge: %s", strerror(errno));
	run->res->scavenges++;
	run->res->released += released;
	run->res->released_backed += backed;
	return true;
}

/* All that is free goes, but what shares a huge folio with live memory. */
static bool arena_release(struct run *run)
{
	uint64_t released, backed;

	run->res->calls++;
	if (pagearena_scavenge(run->arena, PAGEARENA_ALL, 0, &released, &backed))
		return broken(run, "scavenge: %s", strerror(errno));
	run->res->scavenges++;
	run->res->released += released;
	run->res->released_backed += backed;
	return true;
}

static bool arena_sample(struct run *run, struct sample *sample)
{
	struct pagearena_stats st = { .size = sizeof(st) };

	if (pagearena_stats(run->arena, &st))
		return broken(run, "stats: %s", strerror(errno));
	sample->inuse = st.heap_inuse;
	sample->backed = st.backed;
	sample->zeroed = st.bytes_zeroed;
	sample->background = st.bytes_background;
	sample->refault = st.bytes_refault;
	sample->arena = true;
	return true;
}

/* All spans; by the library, as there may be no device.  NULL with errno; the caller frees them. */
static struct pagearena_span *list_spans(struct pagearena *arena, size_t *count)
{
	struct pagearena_span *spans = NULL, *more;
	uint64_t cursor = 0;
	int n;

	*count = 0;
	do {
		more = realloc(spans, (*count + 1024) * sizeof(*spans));
		if (!more) {
			free(spans);
			return NULL;
		}
		spans = more;
		n = pagearena_spans(arena, &cursor, spans + *count, 1024);
		if (n < 0) {
			free(spans);
			return NULL;
		}
		*count += (size_t)n;
	} while (n);
	return spans;
}

static bool arena_peak(struct run *run)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	struct result *res = run->res;
	struct pagearena_span *spans;
	size_t count;

	if (pagearena_stats(run->arena, &st))
		return broken(run, "stats: %s", strerror(errno));
	res->peak_backed = st.backed;
	res->peak_warm = st.backed_free;
	res->peak_huge = st.huge_bytes;
	res->peak_huge_percent = percent(st.huge_bytes, st.backed);
	res->peak_huge_inuse = st.huge_inuse;
	res->peak_huge_inuse_percent = percent(st.huge_inuse, st.backed_inuse);
	if (run->opts->map) {
		spans = list_spans(run->arena, &count);
		if (!spans)
			return broken(run, "the spans cannot be listed: %s", strerror(errno));
		printf("The heap at its peak\n");
		draw_map(stdout, spans, count);
		printf("\n");
		free(spans);
	}
	return true;
}

static bool arena_end(struct run *run)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	struct result *res = run->res;

	if (pagearena_stats(run->arena, &st))
		return broken(run, "stats: %s", strerror(errno));
	res->backed_most = st.backed_peak;
	res->backed_end = st.backed;
	res->module_faults = st.nr_fault;
	res->huge_faults = st.nr_fault_huge;
	res->zaps = st.nr_zap;
	res->promotions = st.nr_promote;
	res->background_promotions = st.nr_promote_background;
	res->demotions = st.nr_demote;
	res->bytes_copied = st.bytes_copied;
	res->huge_failures = st.nr_huge_failed;
	res->background = st.bytes_background;
	res->background_ns = st.background_ns;
	res->refault = st.bytes_refault;
	res->zeroed = st.bytes_zeroed;
	res->pool_hits = st.nr_pool_hit;
	res->pool_misses = st.nr_pool_miss;
	res->pool_zeroed = st.bytes_pool_zeroed;
	res->pool_unused = st.bytes_pool_unused;
	res->pool_ns = st.pool_ns;
	/* What comes from a cache, and goes there, is not counted by the module. */
	if ((run->opts->arena.cache_bytes == PAGEARENA_NO_CACHE &&
	     (st.nr_alloc != res->allocs || st.nr_free != res->frees)) ||
	    st.spans_inuse != res->allocs - res->frees)
		return broken(run, "the module counts %llu allocations, %llu frees, %llu spans",
			      (unsigned long long)st.nr_alloc, (unsigned long long)st.nr_free,
			      (unsigned long long)st.spans_inuse);
	read_recount(run);
	if (res->recounted && strcmp(res->recount, "ok"))
		return broken(run, "recount: %s", res->recount);
	return true;
}

/* Everything is freed by now: all memory must be found again. */
static bool arena_close(struct run *run)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	bool good = true;

	if (pagearena_scavenge(run->arena, PAGEARENA_ALL, 0, NULL, NULL) ||
	    pagearena_stats(run->arena, &st))
		return broken(run, "at the end: %s", strerror(errno));
	run->res->left_over = st.heap_inuse + st.backed;
	if (run->res->left_over)
		good = broken(run, "all is freed, yet %llu bytes are in use and %llu backed",
			      (unsigned long long)st.heap_inuse, (unsigned long long)st.backed);
	pagearena_close(run->arena);
	return good;
}

static const struct backend arena_backend = {
	.name = "pagearena",
	.open = arena_open,
	.alloc = arena_alloc,
	.free = arena_free,
	.purge = arena_purge,
	.scavenge = arena_scavenge,
	.release = arena_release,
	.sample = arena_sample,
	.peak = arena_peak,
	.end = arena_end,
	.close = arena_close,
};

/*
 * Plain mmap() and munmap(), as a program does that has no heap of pages of its own
 */

static bool mmap_open(struct run *run)
{
	(void)run;
	return true;
}

static char *mmap_alloc(struct run *run, size_t len, size_t align, bool *zero)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), slack = align > page ? align - page : 0, head;
	char *p;

	len = (len + page - 1) & ~(page - 1);
	run->res->calls++;
	p = mmap(NULL, len + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		broken(run, "mmap: %s%s", strerror(errno),
		       errno == ENOMEM ? " (more mappings than vm.max_map_count?)" : "");
		return NULL;
	}
	/* Maps too much and trims it, as there is no other way to align. */
	if (slack) {
		head = -(uintptr_t)p & (align - 1);
		if (head) {
			run->res->calls++;
			munmap(p, head);
		}
		p += head;
		if (slack > head) {
			run->res->calls++;
			munmap(p + len, slack - head);
		}
	}
	*zero = true;
	run->res->known_zero++;
	return p;
}

static int mmap_free(struct run *run, char *p, size_t len)
{
	run->res->calls++;
	return munmap(p, len);
}

static int mmap_purge(struct run *run, char *p, size_t len)
{
	run->res->calls++;
	return madvise(p, len, MADV_DONTNEED);
}

static bool mmap_nothing(struct run *run)
{
	(void)run;
	return true;
}

/* statm is off by a few pages, but quick. */
static bool mmap_sample(struct run *run, struct sample *sample)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long rss = 0;

	if (f) {
		if (fscanf(f, "%*u %llu", &rss) != 1)
			rss = 0;
		fclose(f);
	}
	rss *= (unsigned long long)sysconf(_SC_PAGESIZE);
	sample->inuse = run->inuse;
	sample->backed = rss > run->res->rss_start ? rss - run->res->rss_start : 0;
	return true;
}

static const struct backend mmap_backend = {
	.name = "mmap/munmap",
	.open = mmap_open,
	.alloc = mmap_alloc,
	.free = mmap_free,
	.purge = mmap_purge,
	.scavenge = mmap_nothing,
	.release = mmap_nothing, /* munmap() has done it */
	.sample = mmap_sample,
	.peak = mmap_nothing,
	.end = mmap_nothing,
	.close = mmap_nothing,
};

/*
 * Contents
 *
 * Every word of every span has a value of its own, so that a page that is lost, shared,
 * or found at the wrong place shows.  By default, four words of each page are written and
 * checked: the first, the last, and two that depend on the span and the page.
 */

static uint64_t pattern(uint32_t id, uint64_t page, uint64_t word)
{
	uint64_t x = id * 0x9e3779b97f4a7c15 ^ page * 0xc2b2ae3d27d4eb4f ^
		     word * 0x165667b19e3779f9;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9;
	return x ^ x >> 32;
}

#define SAMPLES 4

/* The words of a page to touch; the first one is always 0. */
static size_t sample(const struct run *run, uint32_t id, uint64_t page, size_t at[SAMPLES])
{
	size_t words = run->stride / sizeof(uint64_t);
	uint64_t x = pattern(id, page, UINT64_MAX);

	at[0] = 0;
	at[1] = 1 + (size_t)(x % (words - 2));
	at[2] = 1 + (size_t)((x >> 32) % (words - 2));
	at[3] = words - 1;
	return SAMPLES;
}

/* A word that is not what it must be: what the program wrote, or zero in a fresh span. */
static bool mismatch(struct run *run, uint32_t id, uint64_t page, size_t word, uint64_t want,
		     uint64_t found)
{
	return broken(run, "%s: id %u, offset 0x%llx: expected %016llx, found %016llx",
		      want ? "contents" : "said to be zero", id,
		      (unsigned long long)(page * run->stride + word * sizeof(uint64_t)),
		      (unsigned long long)want, (unsigned long long)found);
}

/* Writes a new span; what is known to be zero is looked at first. */
static bool fill(struct run *run, uint32_t id, char *p, size_t len, bool zero)
{
	size_t at[SAMPLES], i, n, words = run->stride / sizeof(uint64_t);
	bool full = run->opts->touch == TOUCH_FULL;
	uint64_t page, *word;

	if (run->opts->touch == TOUCH_NONE)
		return true;
	for (page = 0; page < len / run->stride; page++) {
		word = (uint64_t *)(p + page * run->stride);
		n = full ? words : sample(run, id, page, at);
		/* The first touch is a write, as one fault shall do for all. */
		if (zero && full) {
			for (i = 0; i < n; i++) {
				if (i == 0)
					word[0] = pattern(id, page, 0);
				else if (word[i])
					return mismatch(run, id, page, i, 0, word[i]);
			}
		} else if (zero) {
			word[0] = 1;
			for (i = 1; i < n; i++)
				if (word[at[i]])
					return mismatch(run, id, page, at[i], 0, word[at[i]]);
		}
		for (i = 0; i < n; i++) {
			size_t w = full ? i : at[i];

			word[w] = pattern(id, page, w);
		}
	}
	return true;
}

static bool check(struct run *run, uint32_t id, const char *p, size_t len)
{
	size_t at[SAMPLES], i, n, words = run->stride / sizeof(uint64_t);
	bool full = run->opts->touch == TOUCH_FULL;
	const uint64_t *word;
	uint64_t page, want;

	if (run->opts->touch == TOUCH_NONE)
		return true;
	for (page = 0; page < len / run->stride; page++) {
		word = (const uint64_t *)(p + page * run->stride);
		n = full ? words : sample(run, id, page, at);
		for (i = 0; i < n; i++) {
			size_t w = full ? i : at[i];

			want = pattern(id, page, w);
			if (word[w] != want)
				return mismatch(run, id, page, w, want, word[w]);
		}
		run->res->bytes_checked += n * sizeof(*word);
	}
	return true;
}

/*
 * The run
 */

static bool step(struct run *run, const struct trace_op *op)
{
	size_t len = (size_t)op->npages * run->trace->page_size;
	size_t align = (size_t)op->align * run->trace->page_size;
	struct live *l = &run->live[op->id];
	bool zero;

	switch (op->op) {
	case 'a':
		l->p = run->backend->alloc(run, len, op->align > 1 ? align : 0, &zero);
		if (!l->p)
			return false;
		if (op->align > 1 && (uintptr_t)l->p & (align - 1))
			return broken(run, "id %u is not aligned to %zu bytes", op->id, align);
		l->npages = op->npages;
		run->res->allocs++;
		run->inuse += len;
		return fill(run, op->id, l->p, len, zero);
	case 'f':
		if (!check(run, op->id, l->p, len))
			return false;
		if (run->backend->free(run, l->p, len))
			return broken(run, "free of id %u: %s", op->id, strerror(errno));
		l->p = NULL;
		run->res->frees++;
		run->inuse -= len;
		return run->opts->release != RELEASE_AT_ONCE || run->backend->release(run);
	default:
		/*
		 * The program did not need the contents any more.  They are undefined from
		 * here on, and written anew, so that the free can check them.
		 */
		if (!check(run, op->id, l->p, len))
			return false;
		if (run->backend->purge(run, l->p, len))
			return broken(run, "purge of id %u: %s", op->id, strerror(errno));
		run->res->purges++;
		return fill(run, op->id, l->p, len, false);
	}
}

static void meter_start(struct meter *m)
{
	getrusage(RUSAGE_SELF, &m->usage);
	m->time = clock_ns();
}

static uint64_t timeval_ns(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_usec * 1000;
}

static void meter_stop(const struct meter *m, struct result *res)
{
	struct rusage now;

	res->elapsed_ns += clock_ns() - m->time;
	getrusage(RUSAGE_SELF, &now);
	res->minor_faults += (uint64_t)(now.ru_minflt - m->usage.ru_minflt);
	res->user_ns += timeval_ns(&now.ru_utime) - timeval_ns(&m->usage.ru_utime);
	res->system_ns += timeval_ns(&now.ru_stime) - timeval_ns(&m->usage.ru_stime);
}

/*
 * Time
 *
 * Times are ns of the trace, since its start.  A replay that is paced follows the clock, and
 * one nanosecond of the trace takes --pace of it; otherwise time is that of the operation.
 */

static bool series_open(struct run *run)
{
	static char buf[1 << 16];
	char path[4096];

	/* One file each: whoever compares wants both. */
	snprintf(path, sizeof(path), "%s%s", run->opts->series,
		 run->backend->open == mmap_open ? ".mmap" : "");
	run->series = fopen(path, "we");
	if (!run->series)
		return broken(run, "%s: %s", path, strerror(errno));
	setvbuf(run->series, buf, _IOFBF, sizeof(buf));
	fprintf(run->series, "time_s,inuse,backed,zeroed,faults,background,refault\n");
	return true;
}

static bool series_close(struct run *run)
{
	bool bad = ferror(run->series);

	bad |= fclose(run->series) != 0;
	run->series = NULL;
	return !bad || broken(run, "%s: cannot be written", run->opts->series);
}

static bool take_sample(struct run *run, uint64_t time)
{
	struct sample s = { 0 };

	meter_stop(&run->meter, run->res);
	if (!run->backend->sample(run, &s))
		return false;
	fprintf(run->series, "%.6f,%llu,%llu,", (double)time / 1e9, (unsigned long long)s.inuse,
		(unsigned long long)s.backed);
	/* Who else clears pages does not tell how many: the field is empty. */
	if (s.arena)
		fprintf(run->series, "%llu", (unsigned long long)s.zeroed);
	fprintf(run->series, ",%llu,", (unsigned long long)run->res->minor_faults);
	if (s.arena)
		fprintf(run->series, "%llu,%llu", (unsigned long long)s.background,
			(unsigned long long)s.refault);
	else
		fputc(',', run->series);
	fputc('\n', run->series);
	meter_start(&run->meter);
	return true;
}

/* The time on the clock that is a time of the trace. */
static uint64_t to_clock(const struct run *run, uint64_t time)
{
	return run->origin + (uint64_t)((double)time * run->factor);
}

static uint64_t from_clock(const struct run *run, uint64_t clock)
{
	return (uint64_t)((double)(clock - run->origin) / run->factor);
}

static void sleep_until(uint64_t clock)
{
	struct timespec t = {
		.tv_sec = (time_t)(clock / 1000000000),
		.tv_nsec = (long)(clock % 1000000000),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* Waits for the clock, taking the samples that are due.  Who is late takes one of them. */
static bool wait_paced(struct run *run, uint64_t time)
{
	uint64_t due = to_clock(run, time), now, when;

	for (;;) {
		now = clock_ns();
		when = due;
		if (run->series) {
			if (to_clock(run, run->next_sample) <= now) {
				uint64_t at = from_clock(run, now);

				if (!take_sample(run, at))
					return false;
				at -= at % run->opts->interval_ns;
				run->next_sample = at + run->opts->interval_ns;
				continue;
			}
			if (to_clock(run, run->next_sample) < when)
				when = to_clock(run, run->next_sample);
		}
		if (now >= due)
			break;
		sleep_until(when);
	}
	if (now - due > run->res->late_ns)
		run->res->late_ns = now - due;
	return true;
}

/* Nothing to wait for: takes the samples that lie before the operation. */
static bool wait_unpaced(struct run *run, uint64_t time)
{
	for (; run->series && run->next_sample <= time; run->next_sample += run->opts->interval_ns)
		if (!take_sample(run, run->next_sample))
			return false;
	return true;
}

/* After the last operation; time passes as it does, also if it did not before. */
static bool replay_tail(struct run *run)
{
	const struct trace *t = run->trace;
	uint64_t end = t->ops[t->nr_ops - 1].time;
	uint64_t late = run->res->late_ns;

	if (!run->opts->tail_ns)
		return !run->series ||
		       take_sample(run, run->factor > 0 ? from_clock(run, clock_ns()) : end);
	if (run->factor > 0) {
		uint64_t now = from_clock(run, clock_ns());

		if (now > end)
			end = now;
	} else {
		run->factor = 1;
		run->origin = clock_ns() - end;
	}
	if (!wait_paced(run, end + run->opts->tail_ns))
		return false;
	run->res->late_ns = late;
	return !run->series || take_sample(run, from_clock(run, clock_ns()));
}

static bool replay_ops(struct run *run)
{
	const struct options *o = run->opts;
	const struct trace *t = run->trace;
	uint64_t every = o->scavenge_parts ? (t->nr_ops + 31) / 32 : o->scavenge_every;
	struct result *res = run->res;
	struct resident r;
	size_t i;

	if (o->series && !series_open(run))
		return false;
	r = measure_resident();
	res->rss_start = r.rss;
	run->factor = o->pace;
	run->origin = clock_ns();
	meter_start(&run->meter);
	for (i = 0; i < t->nr_ops; i++) {
		if (!(run->factor > 0 ? wait_paced : wait_unpaced)(run, t->ops[i].time))
			return false;
		if (!step(run, &t->ops[i]))
			return false;
		res->operations++;
		if (i == t->peak_op) {
			meter_stop(&run->meter, res);
			if (o->progress)
				progress(NULL, 0, 0);
			r = measure_resident();
			res->rss_peak = r.rss;
			res->mapped_huge = r.huge;
			res->mapped_huge_percent = percent(r.huge, r.rss);
			if (!run->backend->peak(run))
				return false;
			meter_start(&run->meter);
		}
		if (every && ((i + 1) % every == 0 || i + 1 == t->nr_ops))
			if (!run->backend->scavenge(run))
				return false;
		if (o->progress && i % (t->nr_ops / 100 + 1) == 0)
			progress(run->backend->name, i, t->nr_ops);
	}
	if (!replay_tail(run))
		return false;
	meter_stop(&run->meter, res);
	if (run->series && !series_close(run))
		return false;
	r = measure_resident();
	res->rss_end = r.rss;
	res->rss_most = measure_high_water();
	if (o->progress)
		progress(NULL, 0, 0);
	return run->backend->end(run);
}

/* What the program never freed is checked and freed after all has been measured. */
static bool replay_rest(struct run *run)
{
	uint64_t calls = run->res->calls;
	uint32_t id;

	for (id = 1; id <= run->trace->max_id; id++) {
		struct live *l = &run->live[id];
		size_t len = (size_t)l->npages * run->trace->page_size;

		if (!l->p)
			continue;
		if (!check(run, id, l->p, len))
			return false;
		if (run->backend->free(run, l->p, len))
			return broken(run, "free of id %u: %s", id, strerror(errno));
	}
	run->res->calls = calls;
	return true;
}

/* In the child. */
static void replay_child(struct run *run)
{
	size_t size = ((size_t)run->trace->max_id + 1) * sizeof(*run->live);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	run->stride = page < run->trace->page_size ? page : run->trace->page_size;
	run->live = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (run->live == MAP_FAILED) {
		broken(run, "no memory: %s", strerror(errno));
		return;
	}
	if (!run->backend->open(run) || !replay_ops(run))
		return;
	/* The table ends with the spans that were never freed. */
	run->res->peak_spans = run->trace->peak_spans;
	run->res->peak_inuse = run->trace->peak_pages * run->trace->page_size;
	run->res->good = replay_rest(run) && run->backend->close(run);
}

static bool replay_run(const struct trace *t, const struct options *opts,
		       const struct backend *backend, struct result *res)
{
	struct run run = { .trace = t, .opts = opts, .backend = backend, .res = res };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* Ctrl-C gets both, but whoever kills only the parent means the run. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		replay_child(&run);
		fflush(stdout);
		_exit(res->good ? STATUS_OK : STATUS_FAILED);
	}
	if (pid < 0)
		return broken(&run, "fork: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return broken(&run, "wait: %s", strerror(errno));
	if (WIFSIGNALED(status)) {
		res->good = false;
		return broken(&run, "killed by signal %d (%s)", WTERMSIG(status),
			      strsignal(WTERMSIG(status)));
	}
	return res->good;
}

/*
 * The report
 */

enum kind { BYTES, COUNT, PERCENT, SECONDS };

/* Which columns a row has a figure for. */
#define ARENA 1
#define MMAP 2
#define BOTH (ARENA | MMAP)

struct row {
	const char *label;
	const char *key;
	size_t offset;
	enum kind unit;
	int columns;
};

/* clang-format off */
#define ROW(label, field, unit, columns) \
	{ label, #field, offsetof(struct result, field), unit, columns }
/* clang-format on */

static const struct row rows[] = {
	ROW("operations", operations, COUNT, BOTH),
	ROW("  allocations", allocs, COUNT, BOTH),
	ROW("  frees", frees, COUNT, BOTH),
	ROW("  purges", purges, COUNT, BOTH),
	ROW("live spans at peak", peak_spans, COUNT, BOTH),
	ROW("in use at peak", peak_inuse, BYTES, BOTH),
	ROW("backed at peak", peak_backed, BYTES, ARENA),
	ROW("  of it free, warm", peak_warm, BYTES, ARENA),
	ROW("  of it huge", peak_huge, BYTES, ARENA),
	ROW("  share of huge", peak_huge_percent, PERCENT, ARENA),
	ROW("in use and huge at peak", peak_huge_inuse, BYTES, ARENA),
	ROW("  share of what is in use", peak_huge_inuse_percent, PERCENT, ARENA),
	ROW("backed at most", backed_most, BYTES, ARENA),
	ROW("backed at the end", backed_end, BYTES, ARENA),
	ROW("scavenged on the way", released, BYTES, ARENA),
	ROW("  memory given back", released_backed, BYTES, ARENA),
	ROW("released in the background", background, BYTES, ARENA),
	ROW("  CPU time of that", background_ns, SECONDS, ARENA),
	ROW("released, back soon", refault, BYTES, ARENA),
	ROW("RSS at start", rss_start, BYTES, BOTH),
	ROW("RSS at peak", rss_peak, BYTES, BOTH),
	ROW("  mapped huge", mapped_huge, BYTES, BOTH),
	ROW("  share of huge", mapped_huge_percent, PERCENT, BOTH),
	ROW("RSS at most", rss_most, BYTES, BOTH),
	ROW("RSS at the end", rss_end, BYTES, BOTH),
	ROW("page faults", minor_faults, COUNT, BOTH),
	ROW("  answered by the module", module_faults, COUNT, ARENA),
	ROW("  from a huge folio", huge_faults, COUNT, ARENA),
	ROW("zaps", zaps, COUNT, ARENA),
	ROW("bytes zeroed", zeroed, BYTES, ARENA),
	ROW("zeroed in advance", pool_zeroed, BYTES, ARENA),
	ROW("  of it not used", pool_unused, BYTES, ARENA),
	ROW("  time that took", pool_ns, SECONDS, ARENA),
	ROW("  touches that found some", pool_hits, COUNT, ARENA),
	ROW("  touches that did not", pool_misses, COUNT, ARENA),
	ROW("chunks promoted", promotions, COUNT, ARENA),
	ROW("  in the background", background_promotions, COUNT, ARENA),
	ROW("chunks demoted", demotions, COUNT, ARENA),
	ROW("moved by that", bytes_copied, BYTES, ARENA),
	ROW("huge folios not to be had", huge_failures, COUNT, ARENA),
	ROW("calls to allocate", calls, COUNT, BOTH),
	ROW("allocations known zero", known_zero, COUNT, BOTH),
	ROW("CPU time, user", user_ns, SECONDS, BOTH),
	ROW("CPU time, system", system_ns, SECONDS, BOTH),
	ROW("elapsed", elapsed_ns, SECONDS, BOTH),
	ROW("behind the trace at most", late_ns, SECONDS, BOTH),
	ROW("bytes checked", bytes_checked, BYTES, BOTH),
	ROW("left when all is freed", left_over, BYTES, ARENA),
};

static uint64_t value(const struct row *row, const struct result *res)
{
	uint64_t v;

	memcpy(&v, (const char *)res + row->offset, sizeof(v));
	return v;
}

static void cell(const struct row *row, const struct result *res, int column)
{
	char buf[24];
	uint64_t v;

	if (!(row->columns & column)) {
		printf(" %15s", "-");
		return;
	}
	v = value(row, res);
	switch (row->unit) {
	case BYTES:
		human(v, buf);
		break;
	case COUNT:
		snprintf(buf, sizeof(buf), "%llu", (unsigned long long)v);
		break;
	case PERCENT:
		snprintf(buf, sizeof(buf), "%llu %%", (unsigned long long)v);
		break;
	case SECONDS:
		snprintf(buf, sizeof(buf), "%.3f s", (double)v / 1e9);
		break;
	}
	printf(" %15s", buf);
}

static const char *verdict(const struct options *o, const struct result *res)
{
	return !res->good ? "FAILED" : o->touch == TOUCH_NONE ? "not checked" : "ok";
}

static void print_table(const struct options *o, const struct result *res)
{
	size_t i;

	printf("%-26s %15s", "", arena_backend.name);
	if (o->compare)
		printf(" %15s", mmap_backend.name);
	printf("\n");
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].offset == offsetof(struct result, purges) && !res[0].purges)
			continue;
		if (rows[i].offset == offsetof(struct result, late_ns) && o->pace <= 0)
			continue;
		if (rows[i].offset >= offsetof(struct result, pool_hits) &&
		    rows[i].offset <= offsetof(struct result, pool_ns) &&
		    !(res[0].pool_hits + res[0].pool_misses))
			continue;
		printf("%-26s", rows[i].label);
		cell(&rows[i], &res[0], ARENA);
		if (o->compare)
			cell(&rows[i], &res[1], MMAP);
		printf("\n");
	}
	printf("%-26s %15s", "recount", *res[0].recount ? res[0].recount : "no debugfs");
	if (o->compare)
		printf(" %15s", "-");
	printf("\n%-26s %15s", "contents", verdict(o, &res[0]));
	if (o->compare)
		printf(" %15s", verdict(o, &res[1]));
	printf("\n");
}

static void print_json_run(const struct options *o, const struct result *res, int column)
{
	size_t i;

	printf("{");
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].columns & column)
			printf("\n    \"%s\": %llu,", rows[i].key,
			       (unsigned long long)value(&rows[i], res));
	if (column == ARENA && res->recounted) {
		printf("\n    \"recount\": ");
		json_string(stdout, res->recount);
		printf(",");
	}
	if (!res->good) {
		printf("\n    \"error\": ");
		json_string(stdout, res->error);
		printf(",");
	}
	printf("\n    \"contents\": ");
	json_string(stdout, verdict(o, res));
	printf("\n  }");
}

static void print_json(const struct trace *t, const char *path, const struct options *o,
		       const struct result *res, const char *thp)
{
	printf("{\n  \"trace\": ");
	json_string(stdout, path);
	printf(",\n  \"program\": ");
	json_string(stdout, t->program ? t->program : "");
	printf(",\n  \"page_size\": %u,\n  \"span_page\": %llu,\n", t->page_size,
	       (unsigned long long)o->arena.span_page);
	printf("  \"granule\": %llu,\n  \"limit\": %llu,\n", (unsigned long long)o->arena.granule,
	       (unsigned long long)o->arena.limit);
	printf("  \"fit\": \"%s\",\n  \"huge\": \"%s\",\n", fits[o->arena.fit],
	       huges[o->arena.huge]);
	printf("  \"release\": \"%s\",\n  \"pace\": %g,\n", releases[o->release], o->pace);
	printf("  \"transparent_hugepage\": ");
	json_string(stdout, thp);
	printf(",\n  \"pagearena\": ");
	print_json_run(o, &res[0], ARENA);
	if (o->compare) {
		printf(",\n  \"mmap\": ");
		print_json_run(o, &res[1], MMAP);
	}
	printf("\n}");
}

static void print_header(const struct trace *t, const char *path, const struct options *o,
			 const char *thp)
{
	const char *name = strrchr(path, '/');
	char buf[24];

	printf("%s: %.*s\n", name ? name + 1 : path, 80, t->program ? t->program : "?");
	printf("%s span pages, %s fit, huge %s", human(o->arena.span_page, buf), fits[o->arena.fit],
	       huges[o->arena.huge]);
	if (o->arena.limit)
		printf(", limit %s", human(o->arena.limit, buf));
	if (o->release != RELEASE_REPLAY)
		printf(", release: %s", releases[o->release]);
	if (o->pace > 0)
		printf(", %g times the time of the trace", o->pace);
	if (o->compare)
		printf("; mmap with transparent huge pages: %s", thp);
	if (o->compare && o->release != RELEASE_REPLAY && o->release != RELEASE_AT_ONCE)
		printf(" (munmap() releases at once all the same)");
	printf("\n");
}

static bool replay_trace(const char *path, const struct options *opts, bool first)
{
	struct options o = *opts;
	struct result *res;
	struct trace t;
	char thp[32];
	bool good;
	int i;

	if (!trace_load(&t, path, o.ops))
		return false;
	if (!o.arena.span_page)
		o.arena.span_page = t.page_size;
	read_thp(thp, sizeof(thp));
	res = mmap(NULL, 2 * sizeof(*res), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		   0);
	if (res == MAP_FAILED) {
		failed("no memory: %s", strerror(errno));
		trace_unload(&t);
		return false;
	}
	if (!o.json) {
		if (!first)
			printf("\n");
		print_header(&t, path, &o, thp);
		printf("\n");
	}
	good = replay_run(&t, &o, &arena_backend, &res[0]);
	if (o.compare)
		good &= replay_run(&t, &o, &mmap_backend, &res[1]);
	if (o.json) {
		printf(first ? "" : ",\n");
		print_json(&t, path, &o, res, thp);
	} else {
		print_table(&o, res);
	}
	for (i = 0; i < 2; i++)
		if (!res[i].good && *res[i].error)
			failed("%s: %s, operation %llu: %s", path,
			       i ? mmap_backend.name : arena_backend.name,
			       (unsigned long long)res[i].operations, res[i].error);
	munmap(res, 2 * sizeof(*res));
	trace_unload(&t);
	return good;
}

/* A number that may have a fraction, above 0 or not below it. */
static bool parse_decimal(const char *text, double most, bool positive, double *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*value = strtod(text, &end);
	return !*end && *value <= most && (*value > 0 || !positive);
}

/* A time in units of so many ns. */
static bool parse_time(const char *text, double unit, bool positive, uint64_t *ns)
{
	double value;

	if (!parse_decimal(text, 1e6, positive, &value))
		return false;
	*ns = (uint64_t)(value * unit);
	return *ns || !positive;
}

/* The index of a word in a list, or -1. */
static int choose(const char *const *names, size_t count, const char *word)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], word))
			return (int)i;
	return -1;
}

static int run_replay(int argc, char **argv)
{
	enum {
		OPT_ARENA = OPT_COMMON,
		OPT_SPAN_PAGE,
		OPT_CACHE,
		OPT_GRANULE,
		OPT_GROWTH,
		OPT_LIMIT,
		OPT_FIT,
		OPT_HUGE,
		OPT_SCAVENGE,
		OPT_KEEP,
		OPT_RELEASE,
		OPT_PACE,
		OPT_TAIL,
		OPT_SERIES,
		OPT_INTERVAL,
		OPT_TOUCH,
		OPT_OPS,
		OPT_COMPARE,
		OPT_MAP,
		OPT_JSON,
		OPT_PROGRESS,
		OPT_NO_PROGRESS,
		OPT_DEVICE,
	};
	static const struct option longs[] = {
		{ "arena", required_argument, NULL, OPT_ARENA },
		{ "span-page", required_argument, NULL, OPT_SPAN_PAGE },
		{ "cache", no_argument, NULL, OPT_CACHE },
		{ "granule", required_argument, NULL, OPT_GRANULE },
		{ "growth", required_argument, NULL, OPT_GROWTH },
		{ "limit", required_argument, NULL, OPT_LIMIT },
		{ "fit", required_argument, NULL, OPT_FIT },
		{ "huge", required_argument, NULL, OPT_HUGE },
		{ "scavenge-every", required_argument, NULL, OPT_SCAVENGE },
		{ "keep", required_argument, NULL, OPT_KEEP },
		{ "release", required_argument, NULL, OPT_RELEASE },
		{ "pace", required_argument, NULL, OPT_PACE },
		{ "tail", required_argument, NULL, OPT_TAIL },
		{ "series", required_argument, NULL, OPT_SERIES },
		{ "interval", required_argument, NULL, OPT_INTERVAL },
		{ "touch", required_argument, NULL, OPT_TOUCH },
		{ "ops", required_argument, NULL, OPT_OPS },
		{ "compare", no_argument, NULL, OPT_COMPARE },
		{ "map", no_argument, NULL, OPT_MAP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "progress", no_argument, NULL, OPT_PROGRESS },
		{ "no-progress", no_argument, NULL, OPT_NO_PROGRESS },
		{ "device", required_argument, NULL, OPT_DEVICE },
		OPTION_HELP,
		{ NULL, 0, NULL, 0 },
	};
	struct options o = {
		.arena = { .size = sizeof(o.arena), .cache_bytes = PAGEARENA_NO_CACHE },
		.ops = UINT64_MAX,
		.keep_percent = 10,
		.touch = TOUCH_SAMPLE,
		.interval_ns = 20000000,
		.scavenge_parts = true,
		.progress = isatty(STDERR_FILENO),
	};
	bool good = true, scavenge = false, valid;
	int c, i;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		valid = true;
		i = 0;
		switch (c) {
		case OPT_ARENA:
			valid = parse_size(optarg, &o.arena.arena_bytes);
			break;
		case OPT_SPAN_PAGE:
			valid = parse_size(optarg, &o.arena.span_page);
			break;
		case OPT_CACHE:
			o.arena.cache_bytes = 0;
			break;
		case OPT_GRANULE:
			valid = parse_size(optarg, &o.arena.granule);
			break;
		case OPT_GROWTH:
			valid = parse_size(optarg, &o.arena.growth);
			break;
		case OPT_LIMIT:
			valid = parse_size(optarg, &o.arena.limit);
			break;
		case OPT_FIT:
			i = choose(fits, ARRAY_SIZE(fits), optarg);
			o.arena.fit = (uint32_t)i;
			break;
		case OPT_HUGE:
			i = choose(huges, ARRAY_SIZE(huges), optarg);
			o.arena.huge = (uint32_t)i;
			break;
		case OPT_SCAVENGE:
			valid = parse_u64(optarg, &o.scavenge_every);
			o.scavenge_parts = false;
			scavenge = true;
			break;
		case OPT_KEEP:
			valid = parse_u64(optarg, &o.keep_percent) && o.keep_percent <= 1000;
			break;
		case OPT_RELEASE:
			/* The first one is what there is without this option. */
			i = choose(releases + 1, ARRAY_SIZE(releases) - 1, optarg);
			o.release = (enum release)(i + 1);
			o.scavenge_parts = false;
			break;
		case OPT_PACE:
			valid = parse_decimal(optarg, 1e6, true, &o.pace);
			break;
		case OPT_TAIL:
			valid = parse_time(optarg, 1e9, false, &o.tail_ns);
			break;
		case OPT_SERIES:
			o.series = optarg;
			break;
		case OPT_INTERVAL:
			valid = parse_time(optarg, 1e6, true, &o.interval_ns);
			break;
		case OPT_TOUCH:
			i = choose(touches, ARRAY_SIZE(touches), optarg);
			o.touch = (enum touch)i;
			break;
		case OPT_OPS:
			valid = parse_u64(optarg, &o.ops) && o.ops;
			break;
		case OPT_COMPARE:
			o.compare = true;
			break;
		case OPT_MAP:
			o.map = true;
			break;
		case OPT_JSON:
			o.json = true;
			break;
		case OPT_PROGRESS:
			o.progress = true;
			break;
		case OPT_NO_PROGRESS:
			o.progress = false;
			break;
		case OPT_DEVICE:
			o.arena.device = optarg;
			break;
		case OPT_HELP:
			return print_help(&cmd_replay);
		default:
			return usage_error("see 'pagearena replay --help'");
		}
		if (!valid || i < 0)
			return usage_error("replay: not a value for that option: %s", optarg);
	}
	if (optind == argc)
		return usage_error("replay: which trace?");
	if (o.json && o.map)
		return usage_error("replay: --json and --map exclude each other");
	if (o.release != RELEASE_REPLAY && scavenge)
		return usage_error("replay: --release and --scavenge-every exclude each other");
	if (o.series && argc - optind > 1)
		return usage_error("replay: --series is for one trace");
	if (o.json)
		printf("[\n");
	for (i = optind; i < argc; i++)
		good &= replay_trace(argv[i], &o, i == optind);
	if (o.json)
		printf("\n]\n");
	return good ? STATUS_OK : STATUS_FAILED;
}

const struct command cmd_replay = {
	.name = "replay",
	.args = "[OPTION]... TRACE...",
	.what = "replays what programs allocated, and checks every span",
	.help =
		"Replays the allocations and frees of a program on an arena, touching the memory as\n"
		"the program did: a span is filled with a pattern of its own when it is allocated, and\n"
		"that pattern is checked when it is freed.  A TRACE is CSV, plain, or .xz (which takes\n"
		"the xz command), or - for standard input.  Sizes may end in K, M, G or T.\n"
		"\n"
		"  --arena SIZE         address space of the arena (default: 64G)\n"
		"  --cache              through the library's cache: most calls are none of the kernel\n"
		"  --span-page SIZE     span page (default: the page of the trace)\n"
		"  --granule SIZE       release granule (default: the MMU page)\n"
		"  --growth SIZE        unit of growth (default: 64M)\n"
		"  --limit SIZE         most memory to be backed (default: no limit)\n"
		"  --fit best|first|placed\n"
		"                       how a span is chosen (default: placed)\n"
		"  --huge auto|never|always|off\n"
		"                       when to use huge folios (default: auto)\n"
		"  --scavenge-every N   after every N operations, release free memory, largest spans\n"
		"                       first, down to the share to keep (default: after every 32nd\n"
		"                       part of the trace; 0: never)\n"
		"  --keep PERCENT       the share of free memory to keep warm, in percent of what is in\n"
		"                       use (default: 10)\n"
		"  --release never|default|at-once\n"
		"                       the replay does not release as above; instead free memory stays\n"
		"                       for ever (POLICY turns background scavenging off), goes back as\n"
		"                       the arena's policy says, or goes back after every free (SCAVENGE)\n"
		"  --pace FACTOR        do each operation when the program did it, on a clock that takes\n"
		"                       FACTOR times as long: 1 is real time, 2 half the speed.  A replay\n"
		"                       that is late does not wait until it has caught up\n"
		"  --tail SECONDS       wait so long after the last operation (default: 0)\n"
		"  --series FILE        write the figures over time as CSV: time_s, inuse, backed, zeroed\n"
		"                       (bytes), faults (number, of the process), background (bytes\n"
		"                       released in the background), refault (bytes that were released,\n"
		"                       and touched again soon).  One TRACE only.  Those of mmap() go to\n"
		"                       FILE.mmap, and lack what only an arena knows\n"
		"  --interval MS        time between two lines of it (default: 20)\n"
		"  --touch none|sample|full\n"
		"                       what to write and check of each page: nothing, four words, or\n"
		"                       every word (default: sample)\n"
		"  --ops N              stop after N operations\n"
		"  --compare            then do the same with plain mmap() and munmap()\n"
		"  --map                draw the heap at its peak\n"
		"  --json               the results as JSON, in an array\n"
		"  --progress           show progress, as it is by default on a terminal\n"
		"  --no-progress        do not\n"
		"  --device PATH        the device (default: " PAGEARENA_DEVICE ")\n"
		"\n"
		"A purge in the trace says that the contents may go.  mmap() answers it with\n"
		"MADV_DONTNEED, an arena does nothing; then the pattern is written again.\n"
		"The times of --tail, --interval and time_s are of the trace: with --pace 4 a second is\n"
		"four.  What waits in the kernel (how long memory must be free before it goes back) does\n"
		"not know of that, and must be set to match.  Without --pace, time_s is the time in the\n"
		"trace.  mmap() and munmap() have no choice of --release: they release at once.\n"
		"Exit status: 0 all spans kept their contents, 1 they did not, or the replay failed,\n"
		"2 wrong usage.\n",
	.run = run_replay,
};
