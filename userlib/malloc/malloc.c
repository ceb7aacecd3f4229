// SPDX-License-Identifier: MIT
/*
 * libpagearena-malloc.so: jemalloc, with an arena below it.
 *
 *	LD_PRELOAD=libpagearena-malloc.so PROGRAM
 *
 * jemalloc is linked into this library as Debian builds it, and asks for memory, and gives it
 * back, through its extent hooks, which are public.  Here they allocate and free spans of an
 * arena.  jemalloc keeps no free extents (decay is 0) and neither splits nor merges any, so that
 * every extent is one span, and what is free is known to the kernel at once.
 *
 * jemalloc's own records are kept out of the arena.  What happens at fork() is in fork.c.
 *
 * PAGEARENA_MALLOC in the environment has settings, separated by commas; see settings[] below.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jemalloc/jemalloc.h>

#include "log.h"
#include "malloc.h"

/* jemalloc reads this before the environment's MALLOC_CONF, which may change it. */
const char *malloc_conf = "retain:false,dirty_decay_ms:0,muzzy_decay_ms:0,oversize_threshold:0";

struct pagearena *malloc_arena;

/* The records of jemalloc come in blocks of this alignment, and hardly anything else does. */
#define RECORDS_ALIGN (2UL << 20)

/* Descriptors that programs do not close, or find in their way. */
#define HIGH_FD 1000

static struct {
	struct pagearena_options arena;
	uint64_t age_ms;
	uint64_t retain;
	uint64_t record; /* a descriptor, plus 1 */
	uint64_t record_pid;
	bool has_age;
	bool has_retain;
	bool report;
	bool require;
} conf = {
	.arena = {
		.size = sizeof(conf.arena),
		.span_page = 4096,
		.cache_bytes = PAGEARENA_NO_CACHE,
	},
};

/* Nothing here may call malloc(): it may be called from there. */
void say(const char *fmt, ...)
{
	char text[256] = "pagearena: ";
	size_t len = strlen(text);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text + len, sizeof(text) - len - 1, fmt, ap);
	va_end(ap);
	len += n < 0 ? 0 : (size_t)n;
	if (len > sizeof(text) - 2)
		len = sizeof(text) - 2;
	text[len++] = '\n';
	if (write(STDERR_FILENO, text, len) < 0)
		return;
}

void *map_private(void *addr, size_t len, int flags)
{
	return mmap(addr, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/*
 * The log, for "pagearena record": windows of a file, so that nothing is lost however the
 * program ends.
 */

#define WINDOW_ENTRIES 32768UL
#define WINDOW_BYTES (WINDOW_ENTRIES * sizeof(struct log_entry))

static struct {
	atomic_flag lock;
	struct log_entry *window;
	size_t used;
	off_t offset;
	int fd;
	pid_t pid;
} log = { .lock = ATOMIC_FLAG_INIT, .fd = -1 };

static bool log_next_window(void)
{
	void *p;

	if (ftruncate(log.fd, log.offset + (off_t)WINDOW_BYTES))
		return false;
	p = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, log.fd, log.offset);
	if (p == MAP_FAILED)
		return false;
	if (log.window)
		munmap(log.window, WINDOW_BYTES);
	log.window = p;
	log.used = 0;
	log.offset += (off_t)WINDOW_BYTES;
	return true;
}

static void log_add(uint32_t op, const void *addr, size_t len, size_t align)
{
	struct log_entry *e;
	struct timespec now;

	/* Of a forked child nothing is written: it has the same window. */
	if (log.fd < 0 || log.pid != getpid())
		return;
	while (atomic_flag_test_and_set_explicit(&log.lock, memory_order_acquire))
		;
	if (log.used < WINDOW_ENTRIES || log_next_window()) {
		/* Under the lock, so that time does not go backwards in the log. */
		clock_gettime(CLOCK_MONOTONIC, &now);
		e = &log.window[log.used++];
		e->time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
		e->addr = (uintptr_t)addr;
		e->length = len;
		e->align = (uint32_t)align;
		atomic_signal_fence(memory_order_release);
		e->op = op;
	}
	atomic_flag_clear_explicit(&log.lock, memory_order_release);
}

/*
 * The hooks
 */

/* Plain memory, for what is not to be in the arena; it is zero. */
static void *plain_alloc(size_t size, size_t align)
{
	char *p = map_private(NULL, size, 0), *at;
	size_t head;

	if (p == MAP_FAILED)
		return NULL;
	if (!((uintptr_t)p & (align - 1)))
		return p;
	munmap(p, size);
	p = map_private(NULL, size + align, 0);
	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (align - 1);
	at = p + head;
	if (head)
		munmap(p, head);
	munmap(at + size, align - head);
	return at;
}

static bool in_arena(const void *addr)
{
	return malloc_arena && pagearena_offset(malloc_arena, addr) != PAGEARENA_NO_OFFSET;
}

static void *hook_alloc(extent_hooks_t *hooks, void *want, size_t size, size_t align, bool *zero,
			bool *commit, unsigned int arena)
{
	bool records = align >= RECORDS_ALIGN;
	struct pagearena_block block;
	int kept = errno;
	void *p;

	(void)hooks;
	(void)arena;
	/* Growing in place: an extent is a span of its own. */
	if (want)
		return NULL;
	*commit = true;
	if (records || !malloc_arena) {
		p = plain_alloc(size, align);
		*zero = true;
		/* There are many blocks, of which little is used. */
		if (p && records)
			madvise(p, size, MADV_NOHUGEPAGE);
		if (p && !records)
			log_add('a', p, size, align);
		return p;
	}
	if (pagearena_alloc_ex(malloc_arena, align, size, *zero ? PAGEARENA_ALLOC_ZERO : 0, &block))
		return NULL;
	if (block.flags & PAGEARENA_ALLOCED_ZERO)
		*zero = true;
	errno = kept;
	return block.ptr;
}

static bool hook_free(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
		      unsigned int arena)
{
	int kept = errno, ret;

	(void)hooks;
	(void)committed;
	(void)arena;
	if (in_arena(addr)) {
		ret = pagearena_free_sized(malloc_arena, addr, size);
		/* free() leaves errno alone. */
		errno = kept;
		return ret;
	}
	/* Part of the mapping that a forked child has; to cut it up would cost the kernel. */
	if ((char *)addr >= malloc_copy && (char *)addr < malloc_copy + malloc_copy_bytes)
		return madvise(addr, size, MADV_DONTNEED);
	/* Before, so that nobody gets the address before it is noted. */
	log_add('f', addr, size, 0);
	return munmap(addr, size);
}

static void hook_destroy(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
			 unsigned int arena)
{
	hook_free(hooks, addr, size, committed, arena);
}

static extent_hooks_t hooks = {
	.alloc = hook_alloc,
	.dalloc = hook_free,
	.destroy = hook_destroy,
};

/*
 * Settings
 */

/* A number of bytes, as 100, 64K, 2G. */
static bool parse_bytes(const char *text, uint64_t *value)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		unsigned int shift = 10 * (unsigned int)(unit - units + 1);

		if (*value >> (64 - shift))
			return false;
		*value <<= shift;
		end++;
	}
	return !errno && !*end;
}

static bool parse_huge(const char *text)
{
	static const char *const names[] = { "auto", "never", "always", "off" };
	uint32_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(text, names[i])) {
			conf.arena.huge = i;
			return true;
		}
	return false;
}

/* KEY or KEY=VALUE. */
static bool parse_setting(char *text)
{
	char *value = strchr(text, '=');

	if (!value) {
		if (!strcmp(text, "report"))
			conf.report = true;
		else if (!strcmp(text, "require"))
			conf.require = true;
		else if (!strcmp(text, "soft"))
			conf.arena.flags |= PAGEARENA_SETUP_SOFT_LIMIT;
		else
			return false;
		return true;
	}
	*value++ = '\0';
	if (!strcmp(text, "arena"))
		return parse_bytes(value, &conf.arena.arena_bytes);
	if (!strcmp(text, "limit"))
		return parse_bytes(value, &conf.arena.limit);
	if (!strcmp(text, "granule"))
		return parse_bytes(value, &conf.arena.granule);
	if (!strcmp(text, "huge"))
		return parse_huge(value);
	if (!strcmp(text, "age"))
		return (conf.has_age = parse_bytes(value, &conf.age_ms));
	if (!strcmp(text, "retain"))
		return (conf.has_retain = parse_bytes(value, &conf.retain));
	/* Set by "pagearena record". */
	if (!strcmp(text, "record"))
		return parse_bytes(value, &conf.record) && conf.record++ < 1 << 20;
	if (!strcmp(text, "record-pid"))
		return parse_bytes(value, &conf.record_pid);
	return false;
}

static void parse_settings(const char *from)
{
	char text[512], *item, *rest = text;

	if (snprintf(text, sizeof(text), "%s", from) >= (int)sizeof(text)) {
		say("PAGEARENA_MALLOC is too long");
		return;
	}
	while ((item = strsep(&rest, ",")))
		if (*item && !parse_setting(item))
			say("PAGEARENA_MALLOC: not a setting: %s", item);
}

static bool has_policy(void)
{
	struct pagearena_policy p = { .size = sizeof(p) };

	if (conf.has_age) {
		p.set |= PAGEARENA_POLICY_SCAVENGE_AGE;
		p.scavenge_age_ns = conf.age_ms * 1000000;
	}
	if (conf.has_retain) {
		p.set |= PAGEARENA_POLICY_RETAIN_PERCENT;
		p.retain_percent = (uint32_t)conf.retain;
	}
	return !p.set || !pagearena_policy(malloc_arena, &p);
}

/* The arena, on a high descriptor: daemons and shells close the low ones, or count on them. */
static bool open_arena(void)
{
	struct pagearena *first = pagearena_open(&conf.arena);
	int fd;

	if (!first)
		return false;
	malloc_arena = first;
	fd = fcntl(pagearena_fd(first), F_DUPFD_CLOEXEC, HIGH_FD);
	if (fd >= 0) {
		malloc_arena = pagearena_open_fd(fd, &conf.arena);
		if (malloc_arena) {
			pagearena_close(first);
		} else {
			malloc_arena = first;
			close(fd);
		}
	}
	if (!has_policy())
		say("this policy is not possible: %s", strerror(errno));
	return true;
}

static bool set_hooks(void)
{
	extent_hooks_t *now = &hooks;
	unsigned int count, i;
	size_t len = sizeof(count);
	char name[48];

	if (mallctl("opt.narenas", &count, &len, NULL, 0))
		return false;
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "arena.%u.extent_hooks", i);
		if (mallctl(name, NULL, NULL, &now, sizeof(now)))
			return false;
	}
	return true;
}

static void report(void)
{
	struct pagearena_stats st = { .size = sizeof(st) };
	char comm[32] = "?";
	int fd;

	if (!conf.report || !malloc_arena || pagearena_stats(malloc_arena, &st))
		return;
	fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, comm, sizeof(comm) - 1);

		comm[n > 0 ? n - 1 : 0] = '\0';
		close(fd);
	}
	say("%s (%d): most in use %.1f MiB, most backed %.1f MiB", comm, (int)getpid(),
	    (double)st.inuse_peak / 1048576, (double)st.backed_peak / 1048576);
	say("at the end in use %.1f MiB, backed %.1f MiB, of that huge %.1f MiB",
	    (double)st.heap_inuse / 1048576, (double)st.backed / 1048576,
	    (double)st.huge_bytes / 1048576);
	say("%llu allocations, %llu faults", (unsigned long long)st.nr_alloc,
	    (unsigned long long)st.nr_fault);
}

/* A process that executes another program is recorded from there on, what it forks is not. */
static void log_begin(void)
{
	int fd = (int)conf.record - 1;
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	if (conf.record_pid != (uint64_t)getpid()) {
		close(fd);
		return;
	}
	log.fd = fd;
	log.pid = getpid();
	if (ftruncate(fd, 0) || !log_next_window())
		log.fd = -1;
}

__attribute__((constructor)) static void begin(void)
{
	const char *env = getenv("PAGEARENA_MALLOC");

	if (env)
		parse_settings(env);
	if (conf.record) {
		log_begin();
		if (log.fd < 0)
			return;
	} else if (!open_arena()) {
		say("no arena, so the heap is in plain memory: %s%s", strerror(errno),
		    errno == ENOENT ? " (is the module loaded?)" : "");
		if (conf.require)
			_exit(1);
		return;
	}
	if (!set_hooks()) {
		say("jemalloc does not take the hooks");
		if (conf.require)
			_exit(1);
	}
}

__attribute__((destructor)) static void end(void)
{
	report();
}
