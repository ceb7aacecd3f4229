// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Free memory goes back the moment that a cgroup or the machine needs it: nobody is killed,
 * nothing that is live is lost, and all figures agree.
 *
 * PA_PRESSURE_MB is the size of the cgroups, in MiB (default 256, less on a slow kernel); the
 * rest is in proportion.  PA_PRESSURE_SECONDS is how long the random tests last (default 4).
 */
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "pa_test.h"

#define CHUNK		(2 * MiB)
#define PAGE		pa_page
#define SECOND		1000000000ULL
#define MS		1000000ULL

#define SHRINKERS	"/sys/kernel/debug/shrinker"
#define DROP_CACHES	"/proc/sys/vm/drop_caches"
#define STAT_REFRESH	"/proc/sys/vm/stat_refresh"
#define FAIL_PAGES	"/sys/kernel/debug/fail_page_alloc"
#define FAIL_SLAB	"/sys/kernel/debug/failslab"

/* Size of the cgroup under pressure, for which the figures are 256 MiB. */
static __u64 cgroup_bytes(void)
{
	if (getenv("PA_PRESSURE_MB"))
		return pa_env("PA_PRESSURE_MB", 256) * MiB;
	/* With larger pages, page tables and slabs take more of it. */
	return MAX(pa_ops(256), pa_page > 4 * KiB ? 256ULL : 64ULL) / 16 * 16 * MiB;
}

/* The parts of it: 200 and 16 of 256. */
static __u64 warm_bytes(__u64 max)
{
	return ALIGN_DOWN(max * 200 / 256, CHUNK);
}

static __u64 live_bytes(__u64 max)
{
	return ALIGN_UP(max / 16, CHUNK);
}

static void open_huge(struct arena *a, __u64 bytes, __u32 huge)
{
	struct pagearena_setup setup = {
		.arena_bytes = ALIGN_UP(bytes, 64 * MiB),
		.granule = huge == PAGEARENA_HUGE_OFF ? 64 * KiB : 0,
		.fit = PAGEARENA_FIT_BEST,
		.huge = huge,
	};

	pa_open(a, setup);
}

static __u64 live_span(struct arena *a, __u64 len, __u64 seed)
{
	__u64 at = pa_alloc(a, len, 0, 0);

	pa_fill(a->base + at, len, seed);
	return at;
}

/* Puts something into each page, which is quicker than into each word. */
static void touch(char *base, __u64 len, __u64 seed)
{
	__u64 i;

	for (i = 0; i < len; i += PAGE)
		*(__u64 *)(base + i) = seed + i;
}

static bool touched(const char *base, __u64 len, __u64 seed)
{
	__u64 i;

	for (i = 0; i < len; i += PAGE)
		if (*(const __u64 *)(base + i) != seed + i)
			return false;
	return true;
}

/* A span that was used and is free: warm. */
static __u64 warm_span(struct arena *a, __u64 len)
{
	__u64 at = pa_alloc(a, len, 0, 0);

	touch(a->base + at, len, 1);
	pa_free(a, at);
	return at;
}

/* Another program: takes memory, looks whether it is there, and goes. */
static void hog(const struct cgroup *cg, __u64 len)
{
	__u64 start = pa_now(), at;
	pid_t pid = fork();
	char *p;

	if (!pid) {
		if (cg)
			pa_cgroup_join(cg);
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		CHECK(p != MAP_FAILED);
		touch(p, len, 9);
		/* Some of it will do. */
		for (at = 0; at < len; at += 64 * PAGE)
			CHECK_EQ(*(__u64 *)(p + at), 9 + at);
		_exit(0);
	}
	pa_wait_ok(pid);
	pa_say("another program got %llu MiB in %llu ms", (unsigned long long)len >> 20,
	       (unsigned long long)(pa_now() - start) / MS);
}

static __u64 vm_counter(const char *key)
{
	FILE *f = fopen("/proc/vmstat", "re");
	unsigned long long value = ALL;
	size_t len = strlen(key);
	char line[128];

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len) && line[len] == ' ')
			value = strtoull(line + len, NULL, 10);
	fclose(f);
	return value;
}

static void no_kill(const struct cgroup *cg)
{
	CHECK_EQ(pa_cgroup_key(cg, "memory.events", "oom_kill"), 0);
	pa_say("cgroup: %llu times at max, %llu out of memory",
	       (unsigned long long)pa_cgroup_key(cg, "memory.events", "max"),
	       (unsigned long long)pa_cgroup_key(cg, "memory.events", "oom"));
}

static void say_reclaimed(struct arena *a)
{
	struct pagearena_stats st = pa_stats(a->fd);

	pa_say("%llu MiB reclaimed, %llu MiB still warm",
	       (unsigned long long)st.bytes_reclaimed >> 20,
	       (unsigned long long)st.backed_free >> 20);
}

/* After all that the arena can be used as before. */
static void works(struct arena *a, __u64 len)
{
	__u64 at = live_span(a, len, 77);

	CHECK(pa_filled(a->base + at, len, 77));
	CHECK_EQ(pa_stats(a->fd).nr_fault_failed, 0);
	pa_free(a, at);
	pa_check(a);
}

/* In a cgroup */

static void in_cgroup(__u32 huge)
{
	__u64 max = cgroup_bytes(), warm = warm_bytes(max), live = live_bytes(max), keep;
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct pagearena_stats st;
	struct arena a;

	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	open_huge(&a, 2 * max, huge);
	keep = live_span(&a, live, 1);
	warm_span(&a, warm);
	CHECK_EQ(pa_stats(a.fd).backed_free, warm);
	CHECK_EQ(pa_stats(a.fd).reclaimable, warm);
	hog(NULL, warm);
	no_kill(&cg);
	say_reclaimed(&a);
	st = pa_stats(a.fd);
	CHECK_EQ(st.bytes_reclaimed, warm - st.backed_free);
	CHECK_OP(st.bytes_reclaimed, >=, live + 2 * warm - max);
	CHECK(pa_filled(a.base + keep, live, 1));
	pa_check(&a);
	works(&a, live);
	/* And in what was the second program's place. */
	works(&a, warm);
	no_kill(&cg);
	CHECK(pa_filled(a.base + keep, live, 1));
	pa_close(&a);
	pa_cgroup_quit();
}

static void test_cgroup(void)
{
	in_cgroup(PAGEARENA_HUGE_NEVER);
}

static void test_cgroup_huge(void)
{
	in_cgroup(PAGEARENA_HUGE_AUTO);
}

static void test_cgroup_mid(void)
{
	in_cgroup(PAGEARENA_HUGE_OFF);
}

/* The pressure comes from another arena's faults, with the module's locks held. */
static void test_second_arena(void)
{
	__u64 max = cgroup_bytes(), warm = warm_bytes(max), live = live_bytes(max), keep, at;
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct arena a, b;
	unsigned int i;

	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	for (i = 0; i < 2; i++) {
		open_huge(&a, 2 * max, i ? PAGEARENA_HUGE_AUTO : PAGEARENA_HUGE_NEVER);
		open_huge(&b, 2 * max, i ? PAGEARENA_HUGE_AUTO : PAGEARENA_HUGE_NEVER);
		keep = live_span(&a, live, 1);
		warm_span(&a, warm);
		at = pa_alloc(&b, warm, 0, 0);
		touch(b.base + at, warm, 2);
		CHECK_EQ(pa_stats(b.fd).nr_fault_failed, 0);
		CHECK_EQ(pa_stats(b.fd).backed_inuse, warm);
		no_kill(&cg);
		say_reclaimed(&a);
		CHECK_OP(pa_stats(a.fd).bytes_reclaimed, >=, live + 2 * warm - max);
		CHECK(touched(b.base + at, warm, 2));
		CHECK(pa_filled(a.base + keep, live, 1));
		pa_check(&b);
		pa_close(&b);
		works(&a, live);
		pa_close(&a);
	}
	pa_cgroup_quit();
}

/* The same arena grows elsewhere: what it needs is what it holds itself. */
static void own_faults(__u32 huge, __u32 flags)
{
	__u64 max = cgroup_bytes(), warm = warm_bytes(max), piece = 512 * KiB;
	struct cgroup cg = pa_cgroup_make(NULL, true);
	__u64 *at, *keep, big;
	unsigned int nr, i;
	struct arena a;

	if (huge == PAGEARENA_HUGE_ALWAYS)
		piece = 4 * MiB;
	nr = (unsigned int)(warm / piece);
	at = calloc(nr, sizeof(*at));
	keep = calloc(nr, sizeof(*keep));
	CHECK(at && keep);
	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	open_huge(&a, 4 * max, huge);
	/* Free pieces with a live page behind each, so that nothing large fits in between. */
	for (i = 0; i < nr; i++) {
		at[i] = pa_alloc(&a, piece, huge == PAGEARENA_HUGE_ALWAYS ? CHUNK : 0, 0);
		touch(a.base + at[i], piece, i);
		keep[i] = live_span(&a, a.page, i);
	}
	for (i = 0; i < nr; i++)
		pa_free(&a, at[i]);
	CHECK_OP(pa_stats(a.fd).reclaimable, >=, (__u64)nr * piece);
	big = pa_alloc(&a, warm, 0, flags);
	CHECK_OP(big, >, at[nr - 1]);
	touch(a.base + big, warm, 3);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	no_kill(&cg);
	say_reclaimed(&a);
	CHECK_OP(pa_stats(a.fd).bytes_reclaimed, >=, 2 * (__u64)nr * piece - max);
	CHECK(touched(a.base + big, warm, 3));
	for (i = 0; i < nr; i++)
		CHECK(pa_filled(a.base + keep[i], a.page, i));
	pa_check(&a);
	works(&a, MiB);
	pa_close(&a);
	pa_cgroup_quit();
	free(at);
	free(keep);
}

static void test_own_faults(void)
{
	own_faults(PAGEARENA_HUGE_NEVER, 0);
}

static void test_own_populate(void)
{
	own_faults(PAGEARENA_HUGE_NEVER, PAGEARENA_ALLOC_POPULATE);
}

static void test_own_huge(void)
{
	own_faults(PAGEARENA_HUGE_ALWAYS, 0);
}

static void test_100_arenas(void)
{
	enum { NR = 100 };
	__u64 max = cgroup_bytes(), warm = warm_bytes(max) / NR, keep[NR], all = 0, more;
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct arena *a = calloc(NR, sizeof(*a));
	unsigned int i, asked = 0;

	CHECK(a);
	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	warm = ALIGN_DOWN(warm, 64 * KiB);
	for (i = 0; i < NR; i++) {
		/* A page of live memory costs AUTO a huge folio, so they can be but a few. */
		open_huge(&a[i], 64 * MiB, max < 256 * MiB || i % 10 ? PAGEARENA_HUGE_NEVER :
								       PAGEARENA_HUGE_AUTO);
		keep[i] = live_span(&a[i], a[i].page, i);
		CHECK_EQ(keep[i], 0);
		pa_alloc(&a[i], CHUNK - a[i].page, 0, 0);
		warm_span(&a[i], warm);
	}
	/* What the kernel itself needs for 100 arenas comes in pages, too. */
	more = pa_page > 4 * KiB ? max / 2 : warm_bytes(max);
	hog(NULL, more);
	no_kill(&cg);
	for (i = 0; i < NR; i++) {
		struct pagearena_stats st = pa_stats(a[i].fd);

		all += st.bytes_reclaimed;
		asked += !!st.bytes_reclaimed;
		CHECK(pa_filled(a[i].base + keep[i], a[i].page, i));
	}
	pa_say("%llu MiB reclaimed from %u of %u arenas", (unsigned long long)all >> 20, asked, NR);
	CHECK_OP(all, >=, (__u64)NR * warm + more - max);
	for (i = 0; i < NR; i++) {
		works(&a[i], a[i].page);
		CHECK(pa_filled(a[i].base + keep[i], a[i].page, i));
		pa_close(&a[i]);
	}
	pa_cgroup_quit();
	free(a);
}

/* In the machine */

static __u64 mem_bytes(const char *key)
{
	return pa_proc_kb("/proc/meminfo", key) * KiB;
}

/* Without a cgroup's limit: someone takes what is said to be available, nearly to the last. */
static void test_machine(void)
{
	__u64 total = mem_bytes("MemTotal"), live = 16 * MiB, warm, keep, kills, room, before;
	struct arena a, b;

	if (total > 6 * GiB && !getenv("PA_PRESSURE_MB"))
		SKIP("too much memory to use all of it up");
	warm = MIN(mem_bytes("MemAvailable") / 2, pa_env("PA_PRESSURE_MB", ALL / MiB) * MiB);
	warm = ALIGN_DOWN(warm, CHUNK);
	kills = vm_counter("oom_kill");
	/* Most of it in huge folios, some in small ones. */
	open_huge(&a, 2 * total, PAGEARENA_HUGE_AUTO);
	open_huge(&b, 2 * total, PAGEARENA_HUGE_NEVER);
	keep = live_span(&a, live, 1);
	CHECK_EQ(live_span(&b, live, 1), keep);
	before = mem_bytes("MemAvailable");
	warm_span(&a, warm / 4 * 3 / CHUNK * CHUNK);
	warm_span(&b, warm / 4);
	/* What is warm is available. */
	room = mem_bytes("MemAvailable");
	pa_say("MemAvailable: %llu MiB, %llu MiB with %llu MiB of them free but warm",
	       (unsigned long long)before >> 20, (unsigned long long)room >> 20,
	       (unsigned long long)warm >> 20);
	CHECK_OP(room + warm / 4, >=, before);
	/* What is left serves page tables, and the kernel's reserves. */
	room -= MAX(room / 16, 48 * MiB);
	CHECK_OP(room, >, mem_bytes("MemFree"));
	hog(NULL, room);
	CHECK_EQ(vm_counter("oom_kill"), kills);
	say_reclaimed(&a);
	say_reclaimed(&b);
	CHECK_OP(pa_stats(a.fd).bytes_reclaimed + pa_stats(b.fd).bytes_reclaimed, >, 0);
	CHECK(pa_filled(a.base + keep, live, 1));
	CHECK(pa_filled(b.base + keep, live, 1));
	works(&a, live);
	works(&b, live);
	CHECK(pa_filled(a.base + keep, live, 1));
	CHECK(pa_filled(b.base + keep, live, 1));
	pa_close(&a);
	pa_close(&b);
}

/* A cgroup that goes */

static void test_removed(void)
{
	__u64 max = cgroup_bytes(), warm = warm_bytes(max), slack = pa_cgroup_slack(), keep, more;
	struct cgroup top = pa_cgroup_make(NULL, false), cg = pa_cgroup_make(&top, true), other;
	__u64 charge, small = max / 32;
	struct arena a;

	other = pa_cgroup_make(&top, true);
	pa_cgroup_join(&cg);
	open_huge(&a, 4 * max, PAGEARENA_HUGE_NEVER);
	keep = live_span(&a, small, 1);
	warm_span(&a, small);
	CHECK_OP(pa_cgroup_get(&cg, "memory.current") + slack, >=, 2 * small);
	pa_cgroup_quit();
	CHECK(!rmdir(cg.path));
	/* What was charged is the parent's now, and what comes as well. */
	charge = pa_cgroup_get(&top, "memory.current");
	CHECK_OP(charge + slack, >=, 2 * small);
	more = pa_alloc(&a, 3 * small, 0, 0);
	touch(a.base + more, 3 * small, 2);
	CHECK_EQ(pa_stats(a.fd).backed, 5 * small);
	CHECK_OP(pa_cgroup_get(&top, "memory.current") + slack, >=, charge + 3 * small);
	CHECK_OP(pa_cgroup_get(&top, "memory.current"), <=, charge + 3 * small + 2 * slack);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	/* Its free memory is found by the parent's reclaim: of before, and of after. */
	warm_span(&a, warm - 4 * small);
	pa_cgroup_set(&top, "memory.max", max);
	hog(&other, warm);
	no_kill(&top);
	say_reclaimed(&a);
	CHECK_OP(pa_stats(a.fd).bytes_reclaimed, >, 0);
	CHECK(pa_filled(a.base + keep, small, 1));
	CHECK(touched(a.base + more, 3 * small, 2));
	pa_check(&a);
	works(&a, small);
	/* Nothing stays behind. */
	charge = pa_cgroup_get(&top, "memory.current");
	more = pa_stats(a.fd).backed;
	pa_close(&a);
	CHECK_OP(pa_cgroup_get(&top, "memory.current"), <=, charge - MIN(charge, more) + slack);
}

static void send_fd(int sock, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {};
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf,
			      .msg_controllen = sizeof(u.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	CHECK_EQ(sendmsg(sock, &msg, 0), 1);
}

static int receive_fd(int sock)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf,
			      .msg_controllen = sizeof(u.buf) };
	struct cmsghdr *c;
	int fd;

	CHECK_EQ(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC), 1);
	c = CMSG_FIRSTHDR(&msg);
	CHECK(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

/* Whoever touches it, the creator's cgroup pays, and keeps to its own bounds. */
static void test_passed(void)
{
	__u64 max = cgroup_bytes(), warm = warm_bytes(max), slack = pa_cgroup_slack();
	struct cgroup cg = pa_cgroup_make(NULL, true), other = pa_cgroup_make(NULL, true);
	__u64 keep, charge, high = max / 2, live = live_bytes(max);
	struct arena a = {};
	int sock[2], go[2];
	char byte = 0;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	CHECK(!pipe(go));
	pa_cgroup_set(&cg, "memory.max", max);
	pid = fork();
	if (!pid) {
		pa_cgroup_join(&cg);
		open_huge(&a, 4 * max, PAGEARENA_HUGE_NEVER);
		keep = live_span(&a, live / 4, 1);
		send_fd(sock[0], a.fd);
		CHECK_EQ(read(go[0], &byte, 1), 1);
		CHECK(pa_filled(a.base + keep, live / 4, 1));
		pa_close(&a);
		_exit(0);
	}
	pa_cgroup_join(&other);
	a.fd = receive_fd(sock[1]);
	a.bytes = pa_info(a.fd).arena_bytes;
	a.page = pa_info(a.fd).span_page;
	a.granule = pa_info(a.fd).granule;
	a.id = pa_info(a.fd).arena_id;
	pa_map(&a);
	charge = pa_cgroup_get(&cg, "memory.current");
	keep = pa_alloc(&a, live, 0, 0);
	touch(a.base + keep, live, 2);
	/* But for page tables, which are those of who maps. */
	CHECK_OP(pa_cgroup_get(&other, "memory.current"), <, 4 * MiB + slack);
	CHECK_OP(pa_cgroup_get(&cg, "memory.current") + slack, >=, charge + live);
	/* Faults from here make the creator's cgroup reclaim at its limit. */
	warm_span(&a, warm / 2);
	charge = pa_alloc(&a, warm / 2 + a.page, 0, 0);
	touch(a.base + charge, warm / 2 + a.page, 3);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	pa_free(&a, charge);
	warm_span(&a, warm + MiB);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	CHECK_OP(pa_cgroup_get(&cg, "memory.current"), <=, max);
	no_kill(&cg);
	say_reclaimed(&a);
	CHECK(touched(a.base + keep, live, 2));
	pa_check(&a);

	/* And at memory.high, as far as there is free memory to be had. */
	pa_scavenge(&a, ALL, 0, NULL);
	pa_cgroup_set(&cg, "memory.high", high);
	warm_span(&a, high / 4 * 3);
	charge = pa_alloc(&a, high / 2 + MiB, CHUNK, 0);
	pa_free(&a, charge);
	charge = pa_stats(a.fd).bytes_reclaimed;
	warm_span(&a, high);
	pa_say("memory.high %llu MiB: %llu MiB charged, %llu MiB reclaimed",
	       (unsigned long long)high >> 20,
	       (unsigned long long)pa_cgroup_get(&cg, "memory.current") >> 20,
	       (unsigned long long)(pa_stats(a.fd).bytes_reclaimed - charge) >> 20);
	CHECK_OP(pa_stats(a.fd).bytes_reclaimed, >, charge);
	CHECK(touched(a.base + keep, live, 2));
	CHECK_EQ(write(go[1], &byte, 1), 1);
	pa_wait_ok(pid);
	CHECK(!munmap(a.base, a.bytes));
	a.base = NULL;
	/* It lives as long as it is held here, and is the creator's all the same. */
	CHECK_OP(pa_cgroup_get(&cg, "memory.current") + slack, >=, live);
	pa_cgroup_quit();
	pa_close(&a);
	CHECK_OP(pa_cgroup_get(&cg, "memory.current"), <=, 2 * slack);
}

/* Exactness */

static __u64 kernel_only(const struct cgroup *cg)
{
	static const char *const others[] = { "slab", "pagetables", "sec_pagetables", "percpu",
					      "kernel_stack", "sock", "vmalloc" };
	__u64 kernel = pa_cgroup_key(cg, "memory.stat", "kernel"), sum = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		sum += pa_cgroup_key(cg, "memory.stat", others[i]);
	return kernel - MIN(kernel, sum);
}

/*
 * The kernel counts by CPU, and adds up when a CPU has more than some dozen pages, or when it
 * is told to.  Returns whether it was: the figures are exact then.
 */
static bool refresh(void)
{
	char text[64];

	return pa_read_text(STAT_REFRESH, text, sizeof(text));
}

static __u64 node_reclaimable(void)
{
	refresh();
	return vm_counter("nr_kernel_misc_reclaimable") * (__u64)getpagesize();
}

/* What all must agree on; the same before and after each look, as nothing else goes on. */
struct exact {
	struct arena *a;
	struct cgroup cg;
	__u64 node;	/* reclaimable in the machine without this arena */
	__u64 kernel;	/* charged to the cgroup without this arena's pages */
	__u64 charge;
};

static void agree(struct exact *e, const char *step, bool all_mapped)
{
	__u64 slack = pa_cgroup_slack(), kernel, charge, node;
	struct pagearena_stats st = pa_stats(e->a->fd);
	__u64 rss;

	pa_check(e->a);
	pa_fdinfo_check(e->a->fd);
	CHECK_OP(st.reclaimable, <=, st.backed_free);
	rss = pa_smaps(e->a->base, e->a->bytes).rss;
	if (all_mapped ? rss != st.backed : rss > st.backed)
		pa_fail("%s: Rss %llu, backed %llu", step, (unsigned long long)rss,
			(unsigned long long)st.backed);
	node = node_reclaimable() - e->node;
	/*
	 * To the byte, unless the counters of the CPUs cannot be added up: each may be off by
	 * its threshold, which is 125 pages at most.
	 */
	if (refresh()) {
		if (node != st.reclaimable)
			pa_fail("%s: the node has %lld reclaimable, the arena %llu", step,
				(long long)node, (unsigned long long)st.reclaimable);
	} else {
		__u64 off = 125 * PAGE * (__u64)sysconf(_SC_NPROCESSORS_ONLN);

		CHECK_OP(node + off, >=, st.reclaimable);
		CHECK_OP((long long)node, <=, (long long)(st.reclaimable + off));
	}
	/* Charged ahead, and counted late, by some pages a CPU. */
	kernel = kernel_only(&e->cg) - e->kernel;
	charge = pa_cgroup_get(&e->cg, "memory.current") - e->charge;
	if ((__s64)(kernel - st.backed) > (__s64)slack ||
	    (__s64)(kernel - st.backed) < -(__s64)slack)
		pa_fail("%s: memory.stat has %lld more, %llu are backed", step, (long long)kernel,
			(unsigned long long)st.backed);
	if ((__s64)(charge - st.backed) > (__s64)(2 * slack) ||
	    (__s64)(charge - st.backed) < -(__s64)slack)
		pa_fail("%s: memory.current has %lld more, %llu are backed", step,
			(long long)charge, (unsigned long long)st.backed);
}

/* memory.reclaim takes more than it is asked for, and says EAGAIN; that is the kernel's. */
static void ask_back(const struct cgroup *cg, __u64 bytes)
{
	char path[192], text[32];

	snprintf(path, sizeof(path), "%s/memory.reclaim", cg->path);
	if (access(path, F_OK))
		SKIP("no memory.reclaim");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	pa_write_text(path, text);
}

static void test_exact(void)
{
	const __u64 big = 8 * MiB;
	struct pagearena_policy req;
	struct pagearena_stats st;
	struct arena a;
	struct exact e = { .a = &a };
	__u64 at[6], i;

	e.cg = pa_cgroup_make(NULL, true);
	pa_cgroup_join(&e.cg);
	refresh();
	open_huge(&a, 256 * MiB, PAGEARENA_HUGE_NEVER);
	e.node = node_reclaimable();
	e.kernel = kernel_only(&e.cg);
	e.charge = pa_cgroup_get(&e.cg, "memory.current");
	agree(&e, "set up", true);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		at[i] = pa_alloc(&a, big, CHUNK, 0);
	agree(&e, "allocated", true);
	CHECK_EQ(pa_stats(a.fd).backed, 0);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		pa_fill(a.base + at[i], big, i);
		agree(&e, "touched", true);
		CHECK_EQ(pa_stats(a.fd).backed, (i + 1) * big);
	}
	for (i = 0; i < ARRAY_SIZE(at); i += 2) {
		pa_free(&a, at[i]);
		agree(&e, "freed", true);
		st = pa_stats(a.fd);
		CHECK_EQ(st.reclaimable, (i / 2 + 1) * big);
		CHECK_EQ(st.backed_free, st.reclaimable);
	}
	CHECK_EQ(pa_scavenge(&a, big, 0, NULL), big);
	agree(&e, "scavenged", true);
	/* Of what is warm, and of what is not. */
	for (i = 0; i < ARRAY_SIZE(at); i += 2) {
		at[i] = pa_alloc(&a, big, CHUNK, 0);
		agree(&e, "allocated again", true);
		pa_fill(a.base + at[i], big, i);
		agree(&e, "touched again", true);
	}
	CHECK_EQ(pa_stats(a.fd).reclaimable, 0);
	CHECK_EQ(pa_promote(&a, at[1]), PAGEARENA_PROMOTE_DONE);
	agree(&e, "promoted", false);
	CHECK(pa_filled(a.base + at[1], big, 1));
	agree(&e, "promoted and touched", true);

	/* A huge folio beside live memory cannot be taken as it is; as a whole it can. */
	pa_free(&a, at[1]);
	at[1] = pa_alloc(&a, MiB, CHUNK, 0);
	st = pa_stats(a.fd);
	CHECK_EQ(st.backed_free - st.reclaimable, st.huge_bytes ? MiB : 0);
	pa_fill(a.base + at[1], MiB, 1);
	agree(&e, "part of a huge folio", true);
	CHECK_OP(pa_scavenge_flags(&a, ALL, 0, PAGEARENA_SCAVENGE_BREAK |
						       PAGEARENA_SCAVENGE_FORCE), >, 0);
	agree(&e, "demoted", false);
	CHECK(pa_filled(a.base + at[1], MiB, 1));
	agree(&e, "demoted and touched", true);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, 0);
	CHECK_EQ(pa_stats(a.fd).backed, 5 * big + MiB);

	/* A whole huge chunk, free. */
	CHECK_EQ(pa_promote(&a, at[3]), PAGEARENA_PROMOTE_DONE);
	CHECK(pa_filled(a.base + at[3], big, 3));
	pa_free(&a, at[3]);
	agree(&e, "freed a promoted span", true);
	CHECK_EQ(pa_stats(a.fd).reclaimable, big);
	req = (struct pagearena_policy){ .set = PAGEARENA_POLICY_LIMIT,
					 .limit = 5 * big - MiB };
	CHECK(!pa_policy_fd(a.fd, &req));
	CHECK_OP(pa_stats(a.fd).backed, <=, 5 * big - MiB);
	agree(&e, "limited", true);
	req = (struct pagearena_policy){ .set = PAGEARENA_POLICY_LIMIT };
	CHECK(!pa_policy_fd(a.fd, &req));
	agree(&e, "limit lifted", true);

	pa_free(&a, at[5]);
	agree(&e, "freed once more", true);
	st = pa_stats(a.fd);
	CHECK_OP(st.reclaimable, >=, big);
	ask_back(&e.cg, 2 * MiB);
	agree(&e, "reclaimed in part", true);
	CHECK_OP(pa_stats(a.fd).bytes_reclaimed, >, 0);
	for (i = 0; i < 50 && pa_stats(a.fd).reclaimable; i++)
		ask_back(&e.cg, 64 * MiB);
	agree(&e, "reclaimed", true);
	CHECK_EQ(pa_stats(a.fd).reclaimable, 0);
	CHECK(pa_filled(a.base + at[0], big, 0));
	CHECK(pa_filled(a.base + at[1], MiB, 1));
	CHECK(pa_filled(a.base + at[2], big, 2));
	CHECK(pa_filled(a.base + at[4], big, 4));
	pa_free(&a, at[0]);
	pa_free(&a, at[2]);
	pa_free(&a, at[4]);
	agree(&e, "all free", true);
	pa_close(&a);
	CHECK_EQ(node_reclaimable(), e.node);
	pa_cgroup_quit();
}

/* All that can be had, from everywhere; the kernel asks for halves, so it takes some rounds. */
static void drop(void)
{
	if (!pa_write_text(DROP_CACHES, "2"))
		SKIP("cannot write to " DROP_CACHES);
}

/* With granules larger than a page, what is free is not all to be had. */
static void test_granules(void)
{
	struct pagearena_setup setup = {
		.arena_bytes = 64 * MiB,
		.granule = 64 * KiB,
		.fit = PAGEARENA_FIT_BEST,
		.huge = PAGEARENA_HUGE_NEVER,
	};
	struct pagearena_stats st;
	struct exact e = {};
	struct arena a;
	__u64 at[64], backed;
	unsigned int i;

	e.a = &a;
	e.cg = pa_cgroup_make(NULL, true);
	pa_cgroup_join(&e.cg);
	pa_open(&a, setup);
	e.node = node_reclaimable();
	e.kernel = kernel_only(&e.cg);
	e.charge = pa_cgroup_get(&e.cg, "memory.current");
	for (i = 0; i < ARRAY_SIZE(at); i++)
		at[i] = live_span(&a, 5 * a.page, i);
	agree(&e, "touched", true);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		if (i % 8)
			pa_free(&a, at[i]);
		agree(&e, "freed", true);
	}
	st = pa_stats(a.fd);
	CHECK_OP(st.reclaimable, >, 0);
	CHECK_OP(st.reclaimable, <=, st.backed_free);
	/* Some of it goes on request, and all that can as soon as the kernel asks for it. */
	pa_scavenge(&a, MiB, 0, NULL);
	agree(&e, "scavenged in part", true);
	drop();
	drop();
	agree(&e, "dropped", true);
	CHECK_EQ(pa_stats(a.fd).reclaimable, 0);
	backed = pa_stats(a.fd).backed;
	CHECK_OP(backed, <, st.backed);
	CHECK_EQ(pa_scavenge(&a, ALL, 0, NULL), 0);
	CHECK_EQ(pa_stats(a.fd).backed, backed);
	for (i = 0; i < ARRAY_SIZE(at); i += 8)
		CHECK(pa_filled(a.base + at[i], 5 * a.page, i));
	pa_close(&a);
	CHECK_EQ(node_reclaimable(), e.node);
	pa_cgroup_quit();
}

/* MemAvailable, once what was there before has been given back. */
static __u64 available(void)
{
	__u64 was, now = mem_bytes("MemAvailable");
	unsigned int same = 0, i;

	for (i = 0; i < 100 && same < 5; i++) {
		usleep(50000);
		refresh();
		was = now;
		now = mem_bytes("MemAvailable");
		same = now < was + MiB / 2 && was < now + MiB / 2 ? same + 1 : 0;
	}
	return now;
}

/* KReclaimable, by which MemAvailable is true. */
static void test_available(void)
{
	const __u64 len = 96 * MiB;
	__u64 at, free0, used, freed, recl, misc, tolerance = 12 * MiB;
	unsigned int i;
	struct arena a;

	open_huge(&a, 256 * MiB, PAGEARENA_HUGE_AUTO);
	for (i = 0;; i++) {
		at = pa_alloc(&a, len, CHUNK, 0);
		free0 = available();
		touch(a.base + at, len, 1);
		refresh();
		used = mem_bytes("MemAvailable");
		recl = mem_bytes("KReclaimable") - mem_bytes("SReclaimable");
		pa_free(&a, at);
		refresh();
		freed = mem_bytes("MemAvailable");
		misc = mem_bytes("KReclaimable") - mem_bytes("SReclaimable");
		/* Others may have given back as much meanwhile. */
		if (used + len <= free0 + tolerance || i == 2)
			break;
		pa_scavenge(&a, ALL, 0, NULL);
	}
	pa_say("MemAvailable: %llu MiB, %llu in use, %llu free but warm",
	       (unsigned long long)free0 >> 20, (unsigned long long)used >> 20,
	       (unsigned long long)freed >> 20);
	pa_say("KReclaimable without slab: %llu KiB more",
	       (unsigned long long)(misc - recl) >> 10);
	CHECK_OP(used + len, <=, free0 + tolerance);
	if (!access(STAT_REFRESH, R_OK))
		CHECK_EQ(misc - recl, len);
	/* The kernel counts half of it, or all but its low watermark, as it says itself. */
	CHECK_OP(freed + tolerance, >=, used + len / 2);
	CHECK_OP(freed, <=, free0 + tolerance);
	pa_close(&a);
	refresh();
	CHECK_OP(mem_bytes("KReclaimable") - mem_bytes("SReclaimable"), <=, recl);
}

/* Driving the shrinker */

/* Its directory in debugfs, or a skip. */
static void shrinker_path(char *buf, size_t size, const char *file)
{
	static char dir[128];
	FILE *p;

	if (!dir[0]) {
		/* There is one, and its name ends in a number. */
		p = fopen(SHRINKERS, "re");
		if (!p)
			SKIP("this kernel has no SHRINKER_DEBUG");
		fclose(p);
		for (unsigned int i = 0; i < 1000 && !dir[0]; i++) {
			char path[128];

			snprintf(path, sizeof(path), SHRINKERS "/pagearena-%u", i);
			if (!access(path, F_OK))
				memcpy(dir, path, sizeof(dir));
		}
		if (!dir[0])
			pa_fail("no " SHRINKERS "/pagearena-*");
	}
	CHECK_OP(snprintf(buf, size, "%s/%s", dir, file), <, (int)size);
}

static __u64 cgroup_ino(const struct cgroup *cg)
{
	struct stat st;

	CHECK(!stat(cg->path, &st));
	return st.st_ino;
}

/* Pages by node that the shrinker counts for a cgroup; their sum is returned. */
static __u64 shrinker_count(__u64 ino, __u64 *by_node, unsigned int nodes)
{
	char path[192], line[512], *p, *end;
	__u64 sum = 0, n;
	unsigned int i;
	FILE *f;

	shrinker_path(path, sizeof(path), "count");
	f = fopen(path, "re");
	CHECK(f);
	memset(by_node, 0, nodes * sizeof(*by_node));
	while (fgets(line, sizeof(line), f)) {
		if (strtoull(line, &p, 10) != ino)
			continue;
		for (i = 0;; i++, p = end) {
			n = strtoull(p, &end, 10);
			if (end == p)
				break;
			CHECK_OP(i, <, nodes);
			by_node[i] = n;
			sum += n;
		}
	}
	fclose(f);
	return sum;
}

static void shrinker_scan(__u64 ino, unsigned int nid, __u64 nr)
{
	char path[192], text[64];

	shrinker_path(path, sizeof(path), "scan");
	snprintf(text, sizeof(text), "%llu %u %llu", (unsigned long long)ino, nid,
		 (unsigned long long)nr);
	CHECK(pa_write_text(path, text));
}

static void test_count_scan(void)
{
	enum { NR = 12, NODES = 16 };
	__u64 by_node[NODES], ino, at[NR], before, pages, freed;
	const __u64 len = CHUNK - 64 * KiB;
	struct pagearena_stats st;
	struct cgroup cg;
	unsigned int i, n, rounds, gone;
	struct arena a;

	shrinker_count(0, by_node, NODES);
	cg = pa_cgroup_make(NULL, true);
	ino = cgroup_ino(&cg);
	pa_cgroup_join(&cg);
	open_huge(&a, 64 * MiB, PAGEARENA_HUGE_NEVER);
	CHECK_EQ(shrinker_count(ino, by_node, NODES), 0);
	for (i = 0; i < NR; i++) {
		at[i] = pa_alloc(&a, len, CHUNK, 0);
		pa_fill(a.base + at[i], len, i);
		CHECK_EQ(live_span(&a, 64 * KiB, i), at[i] + len);
		CHECK_EQ(shrinker_count(ino, by_node, NODES), 0);
	}
	/* Freed in another order than they lie. */
	for (i = 0; i < NR; i++) {
		pa_free(&a, at[i * 5 % NR]);
		st = pa_stats(a.fd);
		CHECK_EQ(st.reclaimable, (i + 1) * len);
		CHECK_EQ(shrinker_count(ino, by_node, NODES) * PAGE, st.reclaimable);
		usleep(2000);
	}
	for (n = 0; n < NODES; n++)
		if (by_node[n])
			pa_say("node %u: %llu pages", n, (unsigned long long)by_node[n]);
	/* A few pages at a time: about so many go, and the oldest of a node first. */
	for (rounds = 0; rounds < 4 * NR; rounds++) {
		before = pa_stats(a.fd).reclaimable;
		if (!before)
			break;
		shrinker_count(ino, by_node, NODES);
		for (n = 0; !by_node[n]; n++)
			;
		pages = MiB / PAGE;
		shrinker_scan(ino, n, pages);
		st = pa_stats(a.fd);
		freed = (before - st.reclaimable) / PAGE;
		CHECK_OP(freed, <=, pages + CHUNK / PAGE);
		CHECK_EQ(shrinker_count(ino, by_node, NODES) * PAGE, st.reclaimable);
		/* With one node, there is one order. */
		for (i = 0, gone = 0; i < NR; i++)
			gone += !pa_query(&a, at[i * 5 % NR]).backed;
		for (i = 0; by_node[0] * PAGE == st.reclaimable && i < NR; i++)
			if (i < gone ? pa_query(&a, at[i * 5 % NR]).backed :
				       !pa_query(&a, at[i * 5 % NR]).backed)
				pa_fail("released in another order than freed: %u of %u, number %u",
					gone, NR, i);
	}
	pa_say("%u scans of 1 MiB for %u chunks", rounds, NR);
	CHECK_OP(rounds, <, 4 * NR);
	CHECK_OP(rounds, >=, NR / 2);
	st = pa_stats(a.fd);
	CHECK_EQ(st.bytes_reclaimed, NR * len);
	CHECK_EQ(st.backed, NR * 64 * KiB);
	for (i = 0; i < NR; i++)
		CHECK(pa_filled(a.base + at[i] + len, 64 * KiB, i));
	/* Nothing to be had: nothing happens, and the root's figures are not ours. */
	shrinker_scan(ino, 0, 1000);
	CHECK_EQ(pa_stats(a.fd).backed, NR * 64 * KiB);
	pa_check(&a);
	pa_close(&a);
	CHECK_EQ(shrinker_count(ino, by_node, NODES), 0);
	pa_cgroup_quit();
}

/*
 * Whole huge chunks go first, then those of which little is live; of one of which more than a
 * quarter is live nothing is counted or taken.
 */
static void scan_huge(__u64 live)
{
	enum { NODES = 16 };
	__u64 by_node[NODES], ino, whole, part, keep, i;
	bool sparse = live <= CHUNK / 4;
	__u64 goes = sparse ? 5 * CHUNK - live : 4 * CHUNK;
	struct pagearena_stats st;
	struct cgroup cg;
	struct arena a;
	unsigned int n;

	shrinker_count(0, by_node, NODES);
	cg = pa_cgroup_make(NULL, true);
	ino = cgroup_ino(&cg);
	pa_cgroup_join(&cg);
	open_huge(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	whole = pa_alloc(&a, 4 * CHUNK, CHUNK, 0);
	keep = pa_alloc(&a, live, CHUNK, 0);
	part = pa_alloc(&a, CHUNK - live, 0, 0);
	CHECK_EQ(part, keep + live);
	pa_fill(a.base + whole, 4 * CHUNK, 1);
	pa_fill(a.base + keep, CHUNK, 2);
	if (pa_stats(a.fd).huge_bytes != 5 * CHUNK)
		SKIP("no huge folios to be had");
	pa_free(&a, whole);
	pa_free(&a, part);
	CHECK_EQ(pa_stats(a.fd).backed_free, 5 * CHUNK - live);
	CHECK_EQ(pa_stats(a.fd).reclaimable, goes);
	CHECK_EQ(shrinker_count(ino, by_node, NODES) * PAGE, goes);
	for (i = 0; i < 40 && pa_stats(a.fd).reclaimable; i++) {
		for (n = 0; n < NODES; n++)
			if (by_node[n])
				shrinker_scan(ino, n, 512);
		st = pa_stats(a.fd);
		CHECK(!st.nr_demote || st.bytes_reclaimed == goes);
	}
	st = pa_stats(a.fd);
	CHECK_EQ(st.reclaimable, 0);
	CHECK_EQ(st.bytes_reclaimed, goes);
	CHECK_EQ(st.huge_bytes, sparse ? 0 : CHUNK);
	CHECK_EQ(st.nr_demote, sparse);
	CHECK(pa_filled(a.base + keep, live, 2));
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_quit();
}

static void test_scan_huge(void)
{
	scan_huge(768 * KiB);
}

static void test_scan_sparse(void)
{
	scan_huge(64 * KiB);
}

static void test_drop(void)
{
	__u64 keep, part, said, i, node = node_reclaimable();
	struct arena a, b, c;
	struct cgroup cg;

	/* Charged to a cgroup, and to the root; small, huge, and with live memory between. */
	cg = pa_cgroup_make(NULL, true);
	pa_cgroup_join(&cg);
	open_huge(&a, 64 * MiB, PAGEARENA_HUGE_NEVER);
	keep = live_span(&a, 256 * KiB, 1);
	for (i = 0; i < 64; i++) {
		part = pa_alloc(&a, 120 * KiB, 0, 0);
		touch(a.base + part, 120 * KiB, 2);
		live_span(&a, a.page, i);
		pa_free(&a, part);
		/* Else the next one takes it. */
		CHECK_EQ(pa_alloc(&a, a.page, 0, 0), part);
		pa_alloc(&a, 112 * KiB, 0, 0);
		pa_free(&a, part);
	}
	warm_span(&a, 16 * MiB);
	pa_cgroup_quit();
	open_huge(&b, 64 * MiB, PAGEARENA_HUGE_AUTO);
	CHECK_EQ(live_span(&b, 256 * KiB, 1), keep);
	pa_alloc(&b, CHUNK - 256 * KiB, 0, 0);
	warm_span(&b, 16 * MiB);
	open_huge(&c, 64 * MiB, PAGEARENA_HUGE_NEVER);
	CHECK_EQ(live_span(&c, 256 * KiB, 1), keep);
	/* The node's figure may be late by a chunk of each arena; STATS settles that. */
	said = pa_stats(a.fd).reclaimable + pa_stats(b.fd).reclaimable;
	CHECK_EQ(node_reclaimable() - node, said);
	for (i = 0; i < 8; i++) {
		if (!pa_stats(a.fd).reclaimable && !pa_stats(b.fd).reclaimable)
			break;
		drop();
	}
	pa_say("%llu times drop_caches", (unsigned long long)i);
	CHECK_EQ(pa_stats(a.fd).reclaimable, 0);
	CHECK_EQ(pa_stats(b.fd).reclaimable, 0);
	CHECK_EQ(pa_stats(a.fd).backed_free, 0);
	CHECK_EQ(pa_stats(c.fd).backed, 256 * KiB);
	CHECK_EQ(node_reclaimable(), node);
	CHECK(pa_filled(a.base + keep, 256 * KiB, 1));
	CHECK(pa_filled(b.base + keep, 256 * KiB, 1));
	CHECK(pa_filled(c.base + keep, 256 * KiB, 1));
	works(&a, 4 * MiB);
	works(&b, 4 * MiB);
	pa_check(&c);
	pa_close(&a);
	pa_close(&b);
	pa_close(&c);
}

/* Random load under reclaim */

struct load {
	struct arena *a;
	pthread_t thread;
	__u64 end;
	__u64 seed;
	__u64 ops;
	__u64 failed;
	bool may_fail;	/* calls may find no memory, and so may touches */
};

struct filled {
	char *addr;
	__u64 len;
	__u64 seed;
};

static void do_fill(void *arg)
{
	struct filled *f = arg;

	pa_fill(f->addr, f->len, f->seed);
}

static void verify(struct load *l, struct filled *f)
{
	if (!pa_filled(f->addr, f->len, f->seed))
		pa_fail("%llu bytes at %llu lost their contents", (unsigned long long)f->len,
			(unsigned long long)(f->addr - l->a->base));
}

/*
 * Allocates, writes, verifies and frees.  Memory that was written whole is there until it is
 * freed, whatever happens; where a touch found no memory the span is given up.
 */
static void *load_thread(void *arg)
{
	enum { SLOTS = 48 };
	struct filled slot[SLOTS] = {}, *f;
	struct pagearena_alloc req;
	struct load *l = arg;
	__u64 len, r;
	__u32 flags;

	while (pa_now() < l->end) {
		r = pa_random(&l->seed);

		f = &slot[r % SLOTS];
		l->ops++;
		if (f->len && (r >> 8) % 3 == 0) {
			verify(l, f);
			f->seed = r >> 16;
			do_fill(f);
			continue;
		}
		if (f->len) {
			verify(l, f);
			if (pa_free_fd(l->a->fd, (__u64)(f->addr - l->a->base), 0)) {
				/* A call that fails has changed nothing. */
				CHECK(l->may_fail && errno == ENOMEM);
				l->failed++;
				verify(l, f);
				continue;
			}
			f->len = 0;
			continue;
		}
		flags = (r >> 40) % 4 ? 0 : PAGEARENA_ALLOC_ZERO;
		flags |= (r >> 44) % 8 ? 0 : PAGEARENA_ALLOC_POPULATE;
		len = l->a->page * (1 + (r >> 8) % ((r >> 32) % 8 ? 8 : 1280 * KiB / l->a->page));
		if (pa_alloc_fd(l->a->fd, len, 0, flags, &req)) {
			if (!l->may_fail || errno != ENOMEM)
				pa_fail("ALLOC: %s", strerror(errno));
			l->failed++;
			continue;
		}
		*f = (struct filled){ l->a->base + req.offset, req.length, r >> 16 };
		if (!l->may_fail) {
			if (flags & PAGEARENA_ALLOC_ZERO)
				CHECK(pa_zero(f->addr, f->len));
			do_fill(f);
		} else if (pa_guarded(do_fill, f)) {
			l->failed++;
			if (!pa_free_fd(l->a->fd, req.offset, 0))
				f->len = 0;
			else if (pa_guarded(do_fill, f))
				/* Neither given up nor to be had: out of sight. */
				f->len = 0;
		}
	}
	for (f = slot; f < slot + SLOTS; f++)
		if (f->len)
			verify(l, f);
	return NULL;
}

static void load_start(struct load *l, unsigned int nr, struct arena *a, __u64 seconds,
		       bool may_fail)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		l[i] = (struct load){ .a = a, .seed = i + 100 * a->id, .may_fail = may_fail,
				      .end = pa_now() + seconds * SECOND };
		CHECK(!pthread_create(&l[i].thread, NULL, load_thread, &l[i]));
	}
}

static void load_stop(struct load *l, unsigned int nr, const char *what)
{
	__u64 ops = 0, failed = 0;
	struct pagearena_stats st;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		CHECK(!pthread_join(l[i].thread, NULL));
		ops += l[i].ops;
		failed += l[i].failed;
	}
	st = pa_stats(l->a->fd);
	pa_say("%s: %llu operations, %llu failed; %llu KiB reclaimed, %llu KiB touched again", what,
	       (unsigned long long)ops, (unsigned long long)failed,
	       (unsigned long long)st.bytes_reclaimed >> 10,
	       (unsigned long long)st.bytes_refault >> 10);
	CHECK_OP(ops, >, 0);
	pa_settled(l->a);
	pa_check(l->a);
}

static __u64 load_seconds(void)
{
	return pa_env("PA_PRESSURE_SECONDS", 4);
}

/* @shrink is called again and again while four threads use the arena. */
static void under_load(__u32 huge, void (*shrink)(const struct cgroup *cg, __u64 *seed))
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	__u64 end, last, seed = 1, rounds = 0;
	struct load l[4];
	struct arena a;
	unsigned int i;

	pa_cgroup_join(&cg);
	open_huge(&a, 256 * MiB, huge);
	/* With the worker at it, too. */
	pa_scavenging(&a, 20, 10, 50 * MS);
	/* A slow machine has longer, until there was something to take. */
	load_start(l, 4, &a, 10 * load_seconds(), false);
	end = pa_now() + load_seconds() * SECOND;
	last = pa_now() + 10 * load_seconds() * SECOND;
	for (; pa_now() < end || (pa_now() < last && !pa_stats(a.fd).bytes_reclaimed); rounds++) {
		shrink(&cg, &seed);
		if (rounds % 16 == 0)
			pa_recount(a.id);
		usleep(2000);
	}
	for (i = 0; i < 4; i++)
		__atomic_store_n(&l[i].end, 0, __ATOMIC_RELAXED);
	pa_scavenging(&a, 0, 10, 50 * MS);
	load_stop(l, 4, "load");
	pa_say("%llu times shrunk", (unsigned long long)rounds);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	CHECK_EQ(pa_stats(a.fd).nr_fault_denied, 0);
	CHECK_OP(pa_stats(a.fd).bytes_reclaimed, >, 0);
	pa_close(&a);
	pa_cgroup_quit();
}

static void shrink_drop(const struct cgroup *cg, __u64 *seed)
{
	(void)cg;
	(void)seed;
	drop();
}

static void shrink_reclaim(const struct cgroup *cg, __u64 *seed)
{
	ask_back(cg, (1 + pa_random(seed) % 16) * MiB);
}

static void shrink_scan(const struct cgroup *cg, __u64 *seed)
{
	enum { NODES = 16 };
	__u64 by_node[NODES], ino = cgroup_ino(cg);
	unsigned int n;

	shrinker_count(ino, by_node, NODES);
	for (n = 0; n < NODES; n++)
		if (by_node[n])
			shrinker_scan(ino, n, 1 + pa_random(seed) % 2048);
}

static void test_load_drop(void)
{
	under_load(PAGEARENA_HUGE_NEVER, shrink_drop);
	under_load(PAGEARENA_HUGE_AUTO, shrink_drop);
}

static void test_load_reclaim(void)
{
	under_load(PAGEARENA_HUGE_OFF, shrink_reclaim);
	under_load(PAGEARENA_HUGE_AUTO, shrink_reclaim);
}

static void test_load_scan(void)
{
	__u64 by_node[16];

	shrinker_count(0, by_node, 16);
	under_load(PAGEARENA_HUGE_NEVER, shrink_scan);
	under_load(PAGEARENA_HUGE_AUTO, shrink_scan);
}

/* Four threads in a cgroup that is too small for what they hold warm, with a hog beside them. */
static void test_load_max(void)
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct load l[4];
	struct arena a;
	__u64 end, max = pa_page > 4 * KiB ? 512 * MiB : 128 * MiB;
	unsigned int hogs = 0;

	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	open_huge(&a, 256 * MiB, PAGEARENA_HUGE_AUTO);
	warm_span(&a, max / 2);
	load_start(l, 4, &a, load_seconds(), false);
	for (end = pa_now() + load_seconds() * SECOND; pa_now() < end; hogs++) {
		pid_t pid = fork();

		if (!pid) {
			char *p = mmap(NULL, max * 5 / 8, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			CHECK(p != MAP_FAILED);
			touch(p, max * 5 / 8, 1);
			_exit(0);
		}
		pa_wait_ok(pid);
	}
	load_stop(l, 4, "load");
	pa_say("%u hogs", hogs);
	no_kill(&cg);
	CHECK_EQ(pa_stats(a.fd).nr_fault_failed, 0);
	CHECK_OP(pa_stats(a.fd).bytes_reclaimed, >, 0);
	pa_close(&a);
	pa_cgroup_quit();
}

/* Arenas that come and go while the shrinker looks at them. */
static void *drop_thread(void *arg)
{
	while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
		drop();
	return NULL;
}

static void test_come_and_go(void)
{
	__u64 end = pa_now() + load_seconds() * SECOND, node = node_reclaimable();
	unsigned int rounds, i;
	pthread_t thread;
	struct arena a[4];
	int over = 0;

	CHECK(!pthread_create(&thread, NULL, drop_thread, &over));
	for (rounds = 0; pa_now() < end; rounds++) {
		for (i = 0; i < ARRAY_SIZE(a); i++) {
			open_huge(&a[i], 64 * MiB, i % 3);
			pa_scavenging(&a[i], i % 2 ? 100 : 0, 0, 0);
			warm_span(&a[i], MiB + i * CHUNK);
		}
		for (i = 0; i < ARRAY_SIZE(a); i++) {
			__u64 at = live_span(&a[i], MiB, i);

			CHECK(pa_filled(a[i].base + at, MiB, i));
			pa_close(&a[i]);
		}
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	CHECK(!pthread_join(thread, NULL));
	pa_say("%u times %zu arenas", rounds, ARRAY_SIZE(a));
	CHECK_EQ(node_reclaimable(), node);
}

/* Faults on request */

static void fault_set(const char *dir, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (access(path, F_OK))
		return;
	pa_set(path, text);
}

/* Open while allocations fail: opening it again could fail, too. */
static int faults_fd = -1;

/* From here to faults_off(), allocations fail. */
static void faults_on(const char *dir, const char *percent, const char *filter)
{
	char path[128];

	fault_set(dir, "task-filter", filter);
	fault_set(dir, "ignore-gfp-wait", "N");
	fault_set(dir, "ignore-gfp-highmem", "N");
	fault_set(dir, "min-order", "0");
	fault_set(dir, "verbose", "0");
	fault_set(dir, "interval", "1");
	fault_set(dir, "space", "0");
	fault_set(dir, "times", "-1");
	fault_set(dir, "probability", "0");
	snprintf(path, sizeof(path), "%s/probability", dir);
	faults_fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(faults_fd >= 0);
	CHECK_EQ(write(faults_fd, percent, strlen(percent)), strlen(percent));
}

static void faults_off(void)
{
	unsigned int tries = 0;

	/* The write itself may be hit. */
	while (write(faults_fd, "0", 1) != 1)
		CHECK_OP(++tries, <, 10000);
	close(faults_fd);
}

/* What the kernel's log has complained about since it was opened. */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

static void log_check(int fd)
{
	static const char *const bad[] = { "WARNING:", "BUG:", "------------[ cut here",
					   "Oops", "possible circular", "INFO: task",
					   "INFO: rcu", "inconsistent lock" };
	char line[2048];
	unsigned int i;
	ssize_t n;

	if (fd < 0)
		return;
	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		line[n] = 0;
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			if (strstr(line, bad[i]))
				pa_fail("in the kernel's log: %s", line);
	}
	close(fd);
}

/*
 * Allocations fail at random, the module's and everybody's, while memory is taken away: no
 * touch of what was written loses anything, and when it is over all is as it should be.
 */
static void faulty(const char *dir, const char *percent, bool mine, __u32 huge)
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	__u64 end, seed = 1;
	int log = log_open();
	struct load l[4];
	struct arena a;
	bool scan;

	pa_cgroup_join(&cg);
	open_huge(&a, 256 * MiB, huge);
	pa_scavenging(&a, 20, 10, 50 * MS);
	scan = !access(SHRINKERS, F_OK);
	if (mine)
		CHECK(pa_write_text("/proc/self/make-it-fail", "1"));
	/* Threads inherit it. */
	load_start(l, 4, &a, load_seconds(), true);
	faults_on(dir, percent, mine ? "Y" : "N");
	for (end = pa_now() + load_seconds() * SECOND; pa_now() < end;) {
		char path[192];

		/* Files may fail to open, too: no call here insists. */
		pa_write_text(DROP_CACHES, "2");
		snprintf(path, sizeof(path), "%s/memory.reclaim", cg.path);
		pa_write_text(path, pa_random(&seed) % 2 ? "1M" : "16M");
		if (scan && access("/proc/self", F_OK) == 0)
			usleep(1000);
	}
	faults_off();
	if (mine)
		CHECK(pa_write_text("/proc/self/make-it-fail", "0"));
	pa_scavenging(&a, 0, 10, 50 * MS);
	load_stop(l, 4, mine ? "the process's faults" : "everybody's faults");
	pa_say("%llu faults without memory, %llu chunks not huge",
	       (unsigned long long)pa_stats(a.fd).nr_fault_failed,
	       (unsigned long long)pa_stats(a.fd).nr_huge_failed);
	CHECK_OP(pa_stats(a.fd).bytes_reclaimed, >, 0);
	usleep(200000);
	pa_check(&a);
	/* With memory to be had, everything works. */
	seed = live_span(&a, 4 * MiB, 1);
	CHECK(pa_filled(a.base + seed, 4 * MiB, 1));
	pa_close(&a);
	pa_cgroup_quit();
	log_check(log);
}

static void want_faults(const char *dir)
{
	if (access(dir, F_OK))
		SKIP("no %s in this kernel", dir);
}

static void test_fail_pages(void)
{
	want_faults(FAIL_PAGES);
	faulty(FAIL_PAGES, "30", true, PAGEARENA_HUGE_NEVER);
}

static void test_fail_pages_all(void)
{
	want_faults(FAIL_PAGES);
	faulty(FAIL_PAGES, "3", false, PAGEARENA_HUGE_AUTO);
}

static void test_fail_slab(void)
{
	want_faults(FAIL_SLAB);
	faulty(FAIL_SLAB, "20", true, PAGEARENA_HUGE_AUTO);
}

static void test_fail_slab_all(void)
{
	want_faults(FAIL_SLAB);
	faulty(FAIL_SLAB, "3", false, PAGEARENA_HUGE_NEVER);
}

/* A page that could not be had is told. */
static void test_fail_told(void)
{
	struct pollfd p = { .events = POLLPRI };
	struct pagearena_stats st;
	struct arena a;
	__u64 at, i;
	bool hit = false;

	want_faults(FAIL_PAGES);
	open_huge(&a, 64 * MiB, PAGEARENA_HUGE_NEVER);
	at = pa_alloc(&a, CHUNK, CHUNK, 0);
	/* With all in place that the page tables need: without, the kernel tries for ever. */
	CHECK(!pa_poke(a.base + at, 0));
	CHECK_EQ(pa_stats(a.fd).pressure_seq, 0);
	CHECK(pa_write_text("/proc/self/make-it-fail", "1"));
	faults_on(FAIL_PAGES, "100", "Y");
	for (i = PAGE; i < CHUNK && !hit; i += PAGE)
		hit = pa_poke(a.base + at + i, 1) == SIGBUS;
	faults_off();
	CHECK(hit);
	p.fd = a.fd;
	CHECK_EQ(poll(&p, 1, 1000), 1);
	CHECK_EQ(p.revents, POLLPRI);
	st = pa_stats(a.fd);
	CHECK(st.pressure_flags & PAGEARENA_PRESSURE_NOMEM);
	CHECK_OP(st.nr_fault_failed, >, 0);
	/* The span is as it was, and can be used now. */
	CHECK(pa_zero(a.base + at, CHUNK));
	pa_fill(a.base + at, CHUNK, 1);
	CHECK(pa_filled(a.base + at, CHUNK, 1));
	pa_check(&a);
	pa_close(&a);
}

/* Telling */

struct waiter {
	int fd;
	short events;
	int ready;
};

static void *poll_thread(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->fd, .events = POLLPRI };

	__atomic_store_n(&w->ready, 1, __ATOMIC_RELEASE);
	if (poll(&p, 1, 60000) == 1)
		w->events = p.revents;
	return NULL;
}

static void test_poll(void)
{
	__u64 max = cgroup_bytes(), warm = warm_bytes(max), live = live_bytes(max), keep, seq;
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct pollfd p = { .events = POLLPRI };
	__u64 at_max, scans;
	struct pagearena_stats st;
	struct waiter w = {};
	pthread_t thread;
	struct arena a, b;

	pa_cgroup_set(&cg, "memory.max", max);
	/* In another cgroup nothing is short. */
	open_huge(&b, 64 * MiB, PAGEARENA_HUGE_NEVER);
	warm_span(&b, 4 * MiB);
	pa_cgroup_join(&cg);
	open_huge(&a, 2 * max, PAGEARENA_HUGE_NEVER);
	keep = live_span(&a, live, 1);
	warm_span(&a, warm);
	p.fd = a.fd;
	CHECK_EQ(poll(&p, 1, 0), 0);
	w.fd = a.fd;
	CHECK(!pthread_create(&thread, NULL, poll_thread, &w));
	while (!__atomic_load_n(&w.ready, __ATOMIC_ACQUIRE))
		usleep(1000);
	hog(NULL, warm);
	CHECK(!pthread_join(thread, NULL));
	CHECK_EQ(w.events, POLLPRI);
	st = pa_stats_seen(a.fd);
	CHECK(st.pressure_flags & PAGEARENA_PRESSURE_RECLAIM);
	CHECK_OP(st.pressure_seq, >, 0);
	seq = st.pressure_seq;
	/* Answered: peace until there is new pressure. */
	pa_scavenge(&a, ALL, 0, NULL);
	at_max = pa_cgroup_key(&cg, "memory.events", "max");
	scans = vm_counter("pgscan_kswapd") + vm_counter("pgscan_direct");
	if (poll(&p, 1, 500)) {
		at_max = pa_cgroup_key(&cg, "memory.events", "max") - at_max;
		scans = vm_counter("pgscan_kswapd") + vm_counter("pgscan_direct") - scans;
		pa_fail("an event, 0x%llx, with %llu more at the limit and %llu pages scanned",
			(unsigned long long)pa_stats(a.fd).pressure_flags,
			(unsigned long long)at_max, (unsigned long long)scans);
	}
	CHECK_EQ(pa_stats(a.fd).pressure_flags, 0);
	CHECK_EQ(pa_stats(a.fd).pressure_seq, seq);
	/* A hog that all is there for is none. */
	hog(NULL, max / 4);
	CHECK_EQ(poll(&p, 1, 0), 0);
	warm_span(&a, warm);
	hog(NULL, warm);
	CHECK_EQ(poll(&p, 1, 1000), 1);
	st = pa_stats(a.fd);
	CHECK(st.pressure_flags & PAGEARENA_PRESSURE_RECLAIM);
	CHECK_OP(st.pressure_seq, >, seq);
	no_kill(&cg);
	CHECK_EQ(pa_stats(b.fd).pressure_seq, 0);
	CHECK_EQ(pa_stats(b.fd).backed_free, 4 * MiB);
	CHECK(pa_filled(a.base + keep, live, 1));
	pa_check(&a);
	pa_check(&b);
	pa_close(&a);
	pa_close(&b);
	pa_cgroup_quit();
}

/* An arena that has nothing free is told as well: its owner may have. */
static void test_poll_nothing_free(void)
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	struct pollfd p = { .events = POLLPRI };
	__u64 max = cgroup_bytes(), live = max / 2, keep;
	struct arena a, b;

	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	open_huge(&a, max, PAGEARENA_HUGE_NEVER);
	open_huge(&b, max, PAGEARENA_HUGE_NEVER);
	keep = live_span(&a, live, 1);
	warm_span(&b, max / 4);
	p.fd = a.fd;
	CHECK_EQ(poll(&p, 1, 0), 0);
	hog(NULL, max / 3);
	CHECK_EQ(poll(&p, 1, 1000), 1);
	CHECK_EQ(pa_stats(a.fd).pressure_flags, PAGEARENA_PRESSURE_RECLAIM);
	CHECK_EQ(pa_stats(a.fd).bytes_reclaimed, 0);
	CHECK(pa_filled(a.base + keep, live, 1));
	no_kill(&cg);
	pa_check(&a);
	pa_close(&a);
	pa_close(&b);
	pa_cgroup_quit();
}

/*
 * Little that is live, scattered over huge chunks: the shrinker breaks them, though the arena
 * does nothing by itself.
 */
static void test_scattered(void)
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	__u64 max = cgroup_bytes(), at, i, nr = max / 4 * 3 / CHUNK, live = 3 * PAGE;
	struct pagearena_stats st;
	struct arena a;

	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	open_huge(&a, max, PAGEARENA_HUGE_ALWAYS);
	pa_scavenging(&a, 0, 0, 0);
	for (i = 0; i < nr; i++) {
		at = pa_alloc(&a, live, CHUNK, 0);
		CHECK_EQ(at, i * CHUNK);
		pa_fill(a.base + at, live, i);
	}
	st = pa_stats(a.fd);
	if (st.huge_bytes != nr * CHUNK)
		SKIP("no huge folios to be had");
	CHECK_EQ(st.reclaimable, st.backed_free);
	hog(NULL, max / 4 * 3);
	no_kill(&cg);
	st = pa_stats(a.fd);
	pa_say("%llu of %llu huge chunks are left", (unsigned long long)st.huge_bytes / CHUNK,
	       (unsigned long long)nr);
	CHECK_OP(st.nr_demote, >=, nr / 3);
	CHECK_OP(st.bytes_reclaimed, >=, max / 4);
	CHECK_EQ(st.bytes_background, 0);
	for (i = 0; i < nr; i++)
		CHECK(pa_filled(a.base + i * CHUNK, live, i));
	at = pa_alloc(&a, CHUNK, CHUNK, 0);
	pa_fill(a.base + at, CHUNK, 1);
	CHECK(pa_filled(a.base + at, CHUNK, 1));
	no_kill(&cg);
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_quit();
}

/* The same while allocations fail: a chunk that cannot be broken stays as it is. */
static void test_fail_scattered(void)
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	__u64 at, i, nr = 24, live = 3 * PAGE, end, seed = 1;
	struct pagearena_stats st;
	int log = log_open();
	char path[192];
	struct arena a;

	want_faults(FAIL_PAGES);
	pa_cgroup_join(&cg);
	open_huge(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	pa_scavenging(&a, 0, 0, 0);
	for (i = 0; i < nr; i++) {
		at = pa_alloc(&a, live, CHUNK, 0);
		CHECK_EQ(at, i * CHUNK);
		pa_fill(a.base + at, live, i);
	}
	if (pa_stats(a.fd).huge_bytes != nr * CHUNK)
		SKIP("no huge folios to be had");
	snprintf(path, sizeof(path), "%s/memory.reclaim", cg.path);
	faults_on(FAIL_PAGES, "20", "N");
	for (end = pa_now() + SECOND; pa_now() < end;) {
		/* It may not find as much as that. */
		pa_write_text(path, pa_random(&seed) % 2 ? "2M" : "8M");
		for (i = 0; i < nr; i++)
			CHECK(pa_filled(a.base + i * CHUNK, live, i));
	}
	faults_off();
	for (i = 0; i < nr; i++)
		CHECK(pa_filled(a.base + i * CHUNK, live, i));
	pa_check(&a);
	/* What could not be had for want of memory is not given up: it counts, and goes now. */
	st = pa_stats(a.fd);
	pa_say("%llu broken, %llu times failed", (unsigned long long)st.nr_demote,
	       (unsigned long long)st.nr_demote_failed);
	CHECK_EQ(st.reclaimable, st.backed_free);
	CHECK_EQ(st.backed_free, st.huge_bytes / CHUNK * (CHUNK - ALIGN_UP(live, a.page)));
	for (i = 0; i < 20 && pa_stats(a.fd).huge_bytes; i++)
		drop();
	st = pa_stats(a.fd);
	CHECK_EQ(st.huge_bytes, 0);
	CHECK_EQ(st.backed_free, 0);
	for (i = 0; i < nr; i++)
		CHECK(pa_filled(a.base + i * CHUNK, live, i));
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_quit();
	log_check(log);
}

/* A chunk of which somebody holds a page stays huge. */
static void test_scattered_pinned(void)
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	__u64 at, i, nr = 8, live = 3 * PAGE;
	struct pagearena_stats st;
	struct arena a;
	struct iovec iov;
	int pipes[2];
	char c;

	pa_cgroup_join(&cg);
	open_huge(&a, 64 * MiB, PAGEARENA_HUGE_ALWAYS);
	pa_scavenging(&a, 0, 0, 0);
	for (i = 0; i < nr; i++) {
		at = pa_alloc(&a, live, CHUNK, 0);
		CHECK_EQ(at, i * CHUNK);
		pa_fill(a.base + at, live, i);
	}
	if (pa_stats(a.fd).huge_bytes != nr * CHUNK)
		SKIP("no huge folios to be had");
	/* A page in a pipe holds its folio. */
	CHECK(!pipe(pipes));
	iov = (struct iovec){ a.base + 2 * CHUNK, PAGE };
	if (vmsplice(pipes[1], &iov, 1, 0) < 0)
		SKIP("vmsplice: %s", strerror(errno));
	for (i = 0; i < 20; i++)
		drop();
	st = pa_stats(a.fd);
	CHECK_EQ(st.huge_bytes, CHUNK);
	CHECK_EQ(st.nr_demote, nr - 1);
	CHECK_OP(st.nr_demote_failed, >, 0);
	for (i = 0; i < nr; i++)
		CHECK(pa_filled(a.base + i * CHUNK, live, i));
	CHECK_EQ(read(pipes[0], &c, 1), 1);
	close(pipes[0]);
	close(pipes[1]);
	pa_check(&a);
	pa_close(&a);
	pa_cgroup_quit();
}

/* What costs more copying does not go at once, but soon: by the worker. */
static bool broken(void *arg)
{
	return pa_stats(((struct arena *)arg)->fd).nr_demote;
}

static void test_sparse_later(void)
{
	struct cgroup cg = pa_cgroup_make(NULL, true);
	__u64 max = cgroup_bytes(), at, i, nr = max / 4 / CHUNK, live = CHUNK / 8 * 3;
	struct pagearena_stats st;
	struct arena a, b;

	pa_cgroup_set(&cg, "memory.max", max);
	pa_cgroup_join(&cg);
	open_huge(&a, max, PAGEARENA_HUGE_ALWAYS);
	open_huge(&b, max, PAGEARENA_HUGE_NEVER);
	for (i = 0; i < nr; i++) {
		at = pa_alloc(&a, live, CHUNK, 0);
		CHECK_EQ(at, i * CHUNK);
		pa_fill(a.base + at, live, i);
	}
	st = pa_stats(a.fd);
	if (st.huge_bytes != nr * CHUNK)
		SKIP("no huge folios to be had");
	CHECK_EQ(st.reclaimable, 0);
	warm_span(&b, max / 4);
	pa_scavenging(&a, 100, 0, 0);
	usleep(300000);
	CHECK_EQ(pa_stats(a.fd).huge_bytes, nr * CHUNK);
	hog(NULL, max / 8 * 5);
	no_kill(&cg);
	CHECK(pa_wait_until(broken, &a, 10000));
	usleep(100000);
	st = pa_stats(a.fd);
	pa_say("%llu of %llu huge chunks are left", (unsigned long long)st.huge_bytes / CHUNK,
	       (unsigned long long)nr);
	CHECK_OP(st.huge_bytes, <, nr * CHUNK);
	for (i = 0; i < nr; i++)
		CHECK(pa_filled(a.base + i * CHUNK, live, i));
	no_kill(&cg);
	pa_scavenging(&a, 0, 0, 0);
	pa_settled(&a);
	pa_check(&a);
	pa_close(&a);
	pa_close(&b);
	pa_cgroup_quit();
}

static const struct pa_test tests[] = {
	{ "a cgroup's limit, small folios", test_cgroup },
	{ "a cgroup's limit, huge folios", test_cgroup_huge },
	{ "a cgroup's limit, folios of 64 KiB", test_cgroup_mid },
	{ "pressure from another arena", test_second_arena },
	{ "pressure from the arena's own faults", test_own_faults },
	{ "pressure from ALLOC_POPULATE", test_own_populate },
	{ "pressure from own faults, huge folios", test_own_huge },
	{ "100 arenas", test_100_arenas },
	{ "the whole machine", test_machine },
	{ "a cgroup that was removed", test_removed },
	{ "a descriptor that was passed", test_passed },
	{ "all figures agree after each step", test_exact },
	{ "all figures agree with large granules", test_granules },
	{ "MemAvailable is true", test_available },
	{ "shrinker: count and scan", test_count_scan },
	{ "shrinker: whole huge chunks", test_scan_huge },
	{ "shrinker: then the sparse", test_scan_sparse },
	{ "drop_caches drops it all", test_drop },
	{ "load and drop_caches", test_load_drop },
	{ "load and memory.reclaim", test_load_reclaim },
	{ "load and the shrinker's scan", test_load_scan },
	{ "load at a cgroup's limit", test_load_max },
	{ "arenas come and go under reclaim", test_come_and_go },
	{ "failing pages, this process", test_fail_pages },
	{ "failing pages, everywhere", test_fail_pages_all },
	{ "failing slabs, this process", test_fail_slab },
	{ "failing slabs, everywhere", test_fail_slab_all },
	{ "poll tells of a page that was not to be had", test_fail_told },
	{ "poll tells a cgroup's pressure", test_poll },
	{ "poll tells those with nothing free", test_poll_nothing_free },
	{ "scattered over huge chunks", test_scattered },
	{ "scattered, failing pages", test_fail_scattered },
	{ "scattered, pinned", test_scattered_pinned },
	{ "what costs more copying goes later", test_sparse_later },
};

int main(int argc, char **argv)
{
	char limit[24];

	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)(120 + 4 * load_seconds()));
	setenv("PAGEARENA_TEST_TIMEOUT", limit, 0);
	return pa_run(argc, argv, tests, ARRAY_SIZE(tests));
}
