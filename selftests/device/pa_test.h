/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the device's tests share: TAP, subtests in processes of their own with a time
 * limit, raw calls, and ways to look at memory from outside.
 *
 * A subtest is a function that returns if all is well.  CHECK() and its relatives end it
 * as failed, SKIP() as skipped; pa_expect() notes a failure and goes on.
 */
#ifndef PA_TEST_H
#define PA_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pagearena.h>

#define KSFT_PASS	0
#define KSFT_FAIL	1
#define KSFT_SKIP	4

#define DEVICE		"/dev/pagearena"
#define DEBUGFS		"/sys/kernel/debug/pagearena"
#define CGROUP		"/sys/fs/cgroup"

#define KiB		((__u64)1 << 10)
#define MiB		((__u64)1 << 20)
#define GiB		((__u64)1 << 30)
#define TiB		((__u64)1 << 40)
#define ALL		(~(__u64)0)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b)	({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define ALIGN_UP(x, a)	(((x) + (a) - 1) & ~((__u64)(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__u64)(a) - 1))
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define __noreturn	__attribute__((noreturn))

extern __u64 pa_page; /* bytes of an MMU page */

struct pa_test {
	const char *name;
	void (*fn)(void);
};

int pa_run(int argc, char **argv, const struct pa_test *tests, unsigned int nr);
#define PA_MAIN(tests)							\
	int main(int argc, char **argv)					\
	{								\
		return pa_run(argc, argv, tests, ARRAY_SIZE(tests));	\
	}

__printf(1, 2) void pa_say(const char *fmt, ...);
__printf(1, 2) void pa_fail(const char *fmt, ...) __noreturn;
__printf(1, 2) void pa_skip(const char *fmt, ...) __noreturn;
__printf(2, 3) bool pa_expect(bool good, const char *fmt, ...);
#define SKIP(...)	pa_skip(__VA_ARGS__)

#define CHECK(cond)							\
	do {								\
		errno = 0;						\
		if (!(cond))						\
			pa_fail("%s:%d: %s (errno: %s)", __FILE__,	\
				__LINE__, #cond, strerror(errno));	\
	} while (0)

#define CHECK_OP(a, op, b)						\
	do {								\
		unsigned long long a_ = (unsigned long long)(a);	\
		unsigned long long b_ = (unsigned long long)(b);	\
									\
		if (!(a_ op b_))					\
			pa_fail("%s:%d: %s %s %s: %llu and %llu",	\
				__FILE__, __LINE__, #a, #op, #b, a_, b_); \
	} while (0)

#define CHECK_EQ(a, b)	CHECK_OP(a, ==, b)

/* @expr must return -1 (or MAP_FAILED) with errno @err. */
#define CHECK_ERR(expr, err)						\
	do {								\
		long r_;						\
									\
		errno = 0;						\
		r_ = (long)(expr);					\
		if (r_ != -1 || errno != (err))				\
			pa_fail("%s:%d: %s: %ld, %s instead of %s",	\
				__FILE__, __LINE__, #expr, r_,		\
				strerror(errno), strerror(err));	\
	} while (0)

/* An arena, mapped whole, with nothing going on in the background. */
struct arena {
	int fd;
	char *base;
	__u64 bytes;
	__u64 id;
	__u64 page;	/* span page */
	__u64 granule;
};

/* The calls, unchecked: 0 or -1 with errno. */
int pa_setup_fd(int fd, struct pagearena_setup setup);
int pa_alloc_fd(int fd, __u64 length, __u64 align, __u32 flags, struct pagearena_alloc *out);
int pa_free_fd(int fd, __u64 offset, __u64 length);
int pa_promote_fd(int fd, __u64 offset, __u64 length, struct pagearena_promote *out);
int pa_query_fd(int fd, __u64 offset, struct pagearena_span *out);
int pa_background_fd(int fd, __u32 percent);

/* The calls, which end the subtest if they fail. */
struct pagearena_info pa_info(int fd);
void pa_open(struct arena *a, struct pagearena_setup setup);
void pa_close(struct arena *a);
void pa_map(struct arena *a);
__u64 pa_alloc(struct arena *a, __u64 length, __u64 align, __u32 flags);
void pa_free(struct arena *a, __u64 offset);
__u64 pa_scavenge(struct arena *a, __u64 bytes, __u64 min_age_ns, __u64 *backed);
__u64 pa_scavenge_flags(struct arena *a, __u64 bytes, __u64 min_age_ns, __u32 flags);
__u32 pa_promote(struct arena *a, __u64 offset);
struct pagearena_stats pa_stats(int fd);
struct pagearena_stats pa_stats_seen(int fd);
struct pagearena_span pa_query(struct arena *a, __u64 offset);
__u32 pa_spans(int fd, struct pagearena_span **list);

/* STATS, SPANS and QUERY agree with each other and the recount with all of them. */
void pa_check(struct arena *a);
void pa_recount(__u64 id);

/* All that a failed call must leave alone. */
struct snapshot {
	struct pagearena_stats stats;
	struct pagearena_span *spans;
	__u32 nr;
};

struct snapshot pa_snapshot(int fd);
bool pa_unchanged(int fd, struct snapshot *before);

/* 0, or the signal that touching the address raises. */
int pa_peek(const volatile void *addr, unsigned char *value);
int pa_poke(volatile void *addr, unsigned char value);
int pa_guarded(void (*fn)(void *), void *arg);

/* Patterns: every word of a page depends on the seed and on its place. */
void pa_fill(void *addr, __u64 len, __u64 seed);
bool pa_filled(const void *addr, __u64 len, __u64 seed);
bool pa_zero(const void *addr, __u64 len);
__u64 pa_random(__u64 *state);

/* From outside, in bytes. */
struct smaps {
	__u64 rss;
	__u64 pmd;	/* of it, mapped by huge entries, or by entries that fold in one */
	unsigned int nr;	/* number of mappings */
};

struct smaps pa_smaps(const void *start, __u64 len);
__u64 pa_folding_chunk(void);
__u64 pa_proc_kb(const char *file, const char *key);
unsigned int pa_arenas(void);
void pa_cgroup_enter(void);
void pa_cgroup_leave(void);
__u64 pa_cgroup_charge(void);
__u64 pa_cgroup_slack(void);
__u64 pa_now(void);
__u64 pa_env(const char *name, __u64 value);
__u64 pa_ops(__u64 ops);

/* A child that ended well. */
void pa_wait_ok(pid_t pid);

/* Policy: background scavenging, and what fdinfo tells. */
int pa_policy_fd(int fd, struct pagearena_policy *req);
struct pagearena_policy pa_policy(int fd);
void pa_scavenging(struct arena *a, __u32 percent, __u32 retain_percent, __u64 age_ns);
struct pagearena_stats pa_settled(struct arena *a);
__u64 pa_fdinfo(int fd, const char *key);
void pa_fdinfo_check(int fd);
void pa_want_thp(void);
bool pa_wait_until(bool (*done)(void *arg), void *arg, __u64 ms);

/*
 * Files of the kernel.  What pa_set() changed is set back when the subtest is over, however
 * it ended; so are cgroups removed that pa_cgroup_make() made.
 */
#define PARAMETERS	"/sys/module/pagearena/parameters/"

bool pa_read_text(const char *path, char *buf, size_t size);
bool pa_write_text(const char *path, const char *text);
__u64 pa_read_u64(const char *path);
void pa_set(const char *path, const char *text);
void pa_set_u64(const char *path, __u64 value);
void pa_set_mode(const char *path, unsigned int mode);

struct cgroup {
	char path[128];
};

struct cgroup pa_cgroup_make(const struct cgroup *parent, bool leaf);
void pa_cgroup_join(const struct cgroup *cg);
void pa_cgroup_quit(void);
void pa_cgroup_set(const struct cgroup *cg, const char *file, __u64 value);
__u64 pa_cgroup_get(const struct cgroup *cg, const char *file);
__u64 pa_cgroup_key(const struct cgroup *cg, const char *file, const char *key);

#endif /* PA_TEST_H */
