// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Runs a program: its processes, their threads, and what must be true when all is over. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define KCOV		"/sys/kernel/debug/kcov"
#define KCOV_INIT	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)
#define KCOV_PCS	(1u << 14)

/* So often processes of one program are started anew that were killed for want of memory. */
#define OOM_KILLS	20

struct run *run;
struct totals *totals;
_Atomic __u32 *cover;
bool may_oom;

void fail(const char *fmt, ...)
{
	int first = 0;
	va_list args;

	if (atomic_compare_exchange_strong(&run->failed, &first, 1)) {
		va_start(args, fmt);
		vsnprintf(run->text, sizeof(run->text), fmt, args);
		va_end(args);
		atomic_store(&run->failed, 2);
	}
	_exit(EXIT_FAILURE);
}

/* What debugfs says of an arena; true where it cannot be asked. */
bool recount_ok(__u64 id, char *text, size_t size)
{
	char name[96];
	ssize_t got;
	int fd;

	snprintf(name, sizeof(name), DEBUGFS "/%llu/recount", id);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	do
		got = read(fd, text, size - 1);
	while (got < 0 && errno == EINTR);
	close(fd);
	text[MAX(got, (ssize_t)0)] = 0;
	return !strncmp(text, "ok", 2);
}

/* Where memory runs out the processes of a program are to die, not who runs it. */
void set_oom_score(int score)
{
	FILE *f = fopen("/proc/self/oom_score_adj", "we");

	if (f) {
		fprintf(f, "%d", score);
		fclose(f);
	}
}

/* Coverage */

static void kcov_begin(struct actor *a)
{
	int fd;

	a->kcov = NULL;
	if (!cover)
		return;
	fd = open(KCOV, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!ioctl(fd, KCOV_INIT, (unsigned long)KCOV_PCS)) {
		void *p = mmap(NULL, KCOV_PCS * sizeof(__u64), PROT_READ | PROT_WRITE, MAP_SHARED,
			       fd, 0);

		if (p != MAP_FAILED && !ioctl(fd, KCOV_ENABLE, 0UL))
			a->kcov = p;
	}
	/* The mapping keeps it; it ends with the thread. */
	close(fd);
}

/* Edges that were not known are counted. */
static void kcov_collect(struct actor *a)
{
	__u64 nr, i, last = 0, pc, h;

	if (!a->kcov)
		return;
	nr = MIN(atomic_load_explicit(&a->kcov[0], memory_order_relaxed), (__u64)KCOV_PCS - 1);
	for (i = 1; i <= nr; i++) {
		pc = a->kcov[i];
		h = (pc ^ (last << 7)) * 0x9e3779b97f4a7c15ULL >> 46;
		last = pc;
		if (!(atomic_load_explicit(&cover[h / 32], memory_order_relaxed) >> h % 32 & 1) &&
		    !(atomic_fetch_or(&cover[h / 32], 1u << h % 32) >> h % 32 & 1))
			atomic_fetch_add(&run->fresh, 1);
	}
}

static void kcov_reset(struct actor *a)
{
	if (a->kcov)
		atomic_store_explicit(&a->kcov[0], 0, memory_order_relaxed);
}

/* Threads */

/* Waits until all lines before this one are done.  Who had the turn may die before it wakes us. */
static bool wait_turn(const struct actor *a, __u32 line)
{
	struct timespec until;
	__u32 turn;

	while ((turn = atomic_load(&run->turn)) != line) {
		if (atomic_load(&run->failed))
			return false;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		syscall(SYS_futex, &run->turn, FUTEX_WAIT_BITSET, turn, &until, NULL, 1u << a->nr);
	}
	return true;
}

/* The next line may be done: wakes who is to do it. */
static void next_turn(__u32 line)
{
	const struct line *l = &run->prog->line[line];

	atomic_store(&run->turn, line);
	if (line < run->prog->nr)
		syscall(SYS_futex, &run->turn, FUTEX_WAKE_BITSET, ACTORS_MAX, NULL, NULL,
			1u << (l->proc * THREADS_MAX + l->thread));
}

static void *actor_main(void *arg)
{
	struct actor *a = arg;
	unsigned int thread = a->nr % THREADS_MAX;
	const struct program *p = run->prog;
	_Atomic __u32 *pos = &run->pos[a->nr];
	__u32 i;

	kcov_begin(a);
	for (i = atomic_load(pos); i < p->nr && !atomic_load(&run->failed); i++) {
		const struct line *l = &p->line[i];

		if (l->proc != a->proc || l->thread != thread)
			continue;
		if (p->cfg.serial && !wait_turn(a, i))
			break;
		atomic_store(pos, i + 1);
		kcov_reset(a);
		do_line(a, l);
		kcov_collect(a);
		if (p->cfg.serial)
			next_turn(i + 1);
	}
	atomic_store(pos, p->nr);
	return NULL;
}

static __noreturn void proc_main(unsigned int proc, int fd)
{
	struct actor actors[THREADS_MAX] = {};
	pthread_t threads[THREADS_MAX];
	unsigned int i, nr = (unsigned int)run->prog->cfg.threads;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	atomic_store(&run->proc[proc].pid, getpid());
	if (may_oom)
		set_oom_score(500);
	if (!proc_begin(proc, fd))
		fail("process %u cannot map the arena: %s", proc, strerror(errno));
	atomic_store(&run->proc[proc].ready, true);
	for (i = 0; i < nr; i++) {
		actors[i].proc = proc;
		actors[i].nr = proc * THREADS_MAX + i;
		if (i && pthread_create(&threads[i], NULL, actor_main, &actors[i]))
			fail("pthread_create: %s", strerror(errno));
	}
	actor_main(&actors[0]);
	for (i = 1; i < nr; i++)
		pthread_join(threads[i], NULL);
	/* Others may still want its memory, but not for long. */
	_exit(EXIT_SUCCESS);
}

/* False: for want of memory, where that may be. */
static bool start_proc(unsigned int proc, int fd)
{
	pid_t pid;

	atomic_store(&run->proc[proc].ready, false);
	atomic_store(&run->proc[proc].killed, false);
	pid = fork();
	if (!pid)
		proc_main(proc, fd);
	if (pid < 0 && !may_oom) {
		perror("fork");
		exit(EXIT_FAILURE);
	}
	atomic_store(&run->proc[proc].pid, MAX(pid, 0));
	return pid > 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A process was killed: what it was at is over. */
static void proc_killed(unsigned int proc)
{
	const struct program *p = run->prog;
	__u32 turn = atomic_load(&run->turn);

	atomic_store(&run->inexact, 1);
	adopt_orphans(proc);
	/* It may have been its turn: if the line was begun it is done now. */
	if (p->cfg.serial && turn < p->nr && p->line[turn].proc == proc &&
	    atomic_load(&run->pos[proc * THREADS_MAX + p->line[turn].thread]) > turn)
		next_turn(turn + 1);
}

static bool proc_done(unsigned int proc)
{
	unsigned int i;

	for (i = 0; i < run->prog->cfg.threads; i++)
		if (atomic_load(&run->pos[proc * THREADS_MAX + i]) < run->prog->nr)
			return false;
	return true;
}

/* Where all threads are, for a program that does not end. */
static void tell_where(void)
{
	unsigned int i, j;
	char name[64];
	char text[2000];
	ssize_t got;
	int fd;

	for (i = 0; i < run->prog->cfg.procs; i++) {
		for (j = 0; j < run->prog->cfg.threads; j++)
			fprintf(stderr, "# process %u, thread %u: before line %u\n", i, j,
				run->pos[i * THREADS_MAX + j]);
		snprintf(name, sizeof(name), "/proc/%d/stack", run->proc[i].pid);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		if (fd >= 0)
			close(fd);
		text[MAX(got, (ssize_t)0)] = 0;
		fprintf(stderr, "%s", text);
	}
}

static void kill_all(void)
{
	unsigned int i;

	for (i = 0; i < run->prog->cfg.procs; i++)
		if (run->proc[i].pid > 0)
			kill(run->proc[i].pid, SIGKILL);
}

/*
 * Waits for all processes; those that were killed begin anew where they were, unless it is over
 * with the program.
 */
static void supervise(int fd, unsigned int left, bool over, unsigned int seconds)
{
	double end = now() + seconds;
	unsigned int kills = 0, i;
	bool told = false;
	int status;
	pid_t pid;

	while (left) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid < 0)
			break;
		if (!pid) {
			if (!told && (now() > end || atomic_load(&run->failed) == 2)) {
				told = true;
				if (!atomic_load(&run->failed)) {
					tell_where();
					atomic_store(&run->failed, 2);
					snprintf(run->text, sizeof(run->text),
						 "not done in %u seconds", seconds);
				}
				kill_all();
			}
			usleep(200);
			continue;
		}
		for (i = 0; i < run->prog->cfg.procs; i++)
			if (run->proc[i].pid == pid)
				break;
		if (i == run->prog->cfg.procs)
			continue; /* a child whose parent was killed */
		atomic_store(&run->proc[i].ready, false);
		if (WIFSIGNALED(status) && !atomic_load(&run->failed)) {
			if (!run->proc[i].killed && !(may_oom && WTERMSIG(status) == SIGKILL)) {
				atomic_store(&run->failed, 2);
				snprintf(run->text, sizeof(run->text),
					 "process %u died of signal %d", i, WTERMSIG(status));
			}
			proc_killed(i);
			kills += !run->proc[i].killed;
			if (!proc_done(i) && !run->failed && !over) {
				over = kills >= OOM_KILLS || !start_proc(i, fd);
				if (!over)
					continue;
				kill_all();
			}
		}
		run->proc[i].pid = 0;
		left--;
	}
	/* Children of processes that were killed. */
	while (waitpid(-1, &status, 0) > 0)
		;
}

/* The arena of a program, or -1 if it cannot be had. */
static int make_arena(const struct config *cfg)
{
	struct pagearena_setup setup = {
		.size = sizeof(setup), .flags = (__u32)cfg->flags, .arena_bytes = cfg->bytes,
		.span_page = cfg->page, .granule = cfg->granule, .growth = cfg->growth,
		.limit = cfg->limit, .fit = (__u32)cfg->fit, .huge = (__u32)cfg->huge,
	};
	struct pagearena_policy policy = {
		.size = sizeof(policy),
		.set = PAGEARENA_POLICY_PROMOTE_PERCENT | PAGEARENA_POLICY_SCAVENGE_PERCENT |
		       PAGEARENA_POLICY_SCAVENGE_AGE,
		.promote_percent = (__u32)cfg->background,
		.scavenge_percent = (__u32)cfg->background,
		.scavenge_age_ns = 1000000,
	};
	struct pagearena_info info = { .size = sizeof(info) };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	/* Memory goes by pages at least; 0 is one. */
	if (setup.granule < (__u64)sysconf(_SC_PAGESIZE))
		setup.granule = 0;
	if (ioctl(fd, PAGEARENA_IOC_SETUP, &setup) || ioctl(fd, PAGEARENA_IOC_POLICY, &policy) ||
	    ioctl(fd, PAGEARENA_IOC_INFO, &info)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	run->arena_id = info.arena_id;
	run->tag = info.arena_id % 4095 + 1;
	run->bytes = setup.arena_bytes;
	run->page = setup.span_page;
	return fd;
}

/* In a process of its own, as the contents may be what kills. */
static void finish(int fd)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (may_oom)
			set_oom_score(500);
		if (!proc_begin(0, fd))
			fail("the last process cannot map the arena: %s", strerror(errno));
		final_check(fd);
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0)
		return;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && !atomic_load(&run->failed) &&
	    !(may_oom && WTERMSIG(status) == SIGKILL)) {
		atomic_store(&run->failed, 2);
		snprintf(run->text, sizeof(run->text), "the last process died of signal %d",
			 WTERMSIG(status));
	}
}

/**
 * run_program() - run a program on an arena of its own
 * @p: the program
 * @seconds: how long it may take
 *
 * Return: whether all was as it must be; run->text says what was not.
 */
enum run_result run_program(const struct program *p, unsigned int seconds)
{
	unsigned int i, started = 0;
	int fd;

	memset(run, 0, sizeof(*run));
	run->prog = p;
	fd = make_arena(&p->cfg);
	if (fd < 0) {
		if ((errno == ENOMEM && (may_oom || p->cfg.limit)) || errno == EINVAL)
			return RUN_SKIPPED;
		snprintf(run->text, sizeof(run->text), "no arena: %s", strerror(errno));
		return RUN_FAILED;
	}
	for (i = 0; i < p->cfg.procs; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, run->proc[i].inbox)) {
			perror("socketpair");
			exit(EXIT_FAILURE);
		}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (i = 0; i < p->cfg.procs; i++)
		started += start_proc(i, fd);
	/* The lines of a process that is not there are nobody's. */
	if (started < p->cfg.procs)
		kill_all();
	supervise(fd, started, started < p->cfg.procs, seconds);
	for (i = 0; i < p->cfg.procs; i++) {
		close(run->proc[i].inbox[0]);
		close(run->proc[i].inbox[1]);
	}
	if (!atomic_load(&run->failed))
		finish(fd);
	close(fd);
	return atomic_load(&run->failed) ? RUN_FAILED : RUN_GOOD;
}
