// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A plugin for QEMU's TCG (7.2, as in Debian 12) that counts what the guest's instruction
 * counter does not tell apart, between the marks of bench.h:
 *
 *   - pages cleared, page faults, system calls
 *   - with profile=on, also iterations of string instructions, each instruction by its
 *     address, and what is done under each spin lock
 *
 * Options, as in "-plugin plugin.so,out=FILE,clear=ADDR,...": addresses of the guest's kernel,
 * in hexadecimal.
 *
 *   out=FILE     where the counts go
 *   clear=ADDR   a function that clears a page; may be given more than once
 *   fault=ADDR   entry of a page fault
 *   syscall=ADDR entry of a system call
 *   irq=ADDR     entry of an interrupt; may be given more than once
 *   lock=ADDR    a function that takes a spin lock; may be given more than once
 *   profile=on
 *
 * For each row it writes, medians over the samples and their sums,
 *
 *   row NUMBER samples N z PAGES f FAULTS s CALLS string ITERATIONS total INSTRUCTIONS
 *   sum NUMBER ...
 *
 * and with profile=on (where alone "string" and "total" are known), summed up over the samples
 * into which no interrupt came,
 *
 *   clean NUMBER samples N
 *   pc NUMBER ADDRESS COUNT
 *   lock NUMBER CALLER HOLDS INSTRUCTIONS MOST
 *
 * The kernel must not be moved about (nokaslr), and there must be one CPU.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

int qemu_plugin_version = 1;

#define MARKS		5 /* see enum mark in bench.h */
#define SAMPLES_MAX	1024
#define ADDRS_MAX	8
#define HELD_MAX	16
#define LOCKS_MAX	256
/* A function that takes a lock is no longer than this up to the instruction that does. */
#define LOCK_BYTES	64

enum { ZEROED, FAULTS, CALLS, STRING, TOTAL, KINDS };

static const char *const kinds[KINDS] = { "z", "f", "s", "string", "total" };

/** struct addrs - addresses that an option gave */
struct addrs {
	uint64_t addr[ADDRS_MAX];
	unsigned int nr;
};

static struct addrs clears, faults, syscalls, irqs, lock_fns;
static bool profile;
static FILE *out;

/* Between the marks START and STOP? */
static bool active;
static long row = -1;
static uint64_t sample[KINDS];
static uint64_t sums[KINDS];
static uint64_t samples[KINDS][SAMPLES_MAX];
static uint64_t nr_samples;
/* Samples without an interrupt, and whether this one had any. */
static uint64_t nr_clean;
static bool disturbed;

/** struct site - an instruction, as it was translated; one may be translated several times */
struct site {
	struct site *next;
	struct site *next_seen;
	uint64_t pc;
	uint64_t now; /* in this sample */
	uint64_t count;
};

static struct site *sites;
/* Those of this sample. */
static struct site *seen;

/** struct held - a spin lock that was taken since START */
struct held {
	uint64_t addr;
	uint64_t caller;
	uint64_t since;
};

static struct held held[HELD_MAX];
static unsigned int nr_held;
/* A lock was taken; who wanted it is seen when its function returns. */
static bool taken;

/** struct held_sum - how often locks were held, and for how many instructions */
struct held_sum {
	uint64_t holds;
	uint64_t sum;
	uint64_t most;
};

/** struct lock - what was done under the locks that one place takes */
struct lock {
	uint64_t caller;
	struct held_sum now; /* in this sample */
	struct held_sum all;
};

static struct lock locks[LOCKS_MAX];
static unsigned int nr_locks;

static bool is_in(const struct addrs *a, uint64_t pc, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < a->nr; i++)
		if (pc - a->addr[i] < len)
			return true;
	return false;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* What was counted outside of rows, or has been told. */
static void forget(void)
{
	struct site *s;

	for (s = sites; s; s = s->next)
		s->count = 0;
	memset(sums, 0, sizeof(sums));
	nr_samples = 0;
	nr_clean = 0;
	nr_locks = 0;
}

static void end_row(void)
{
	uint64_t n = nr_samples < SAMPLES_MAX ? nr_samples : SAMPLES_MAX;
	struct site *s;
	unsigned int i;
	int k;

	if (row >= 0 && n) {
		fprintf(out, "row %ld samples %" PRIu64, row, nr_samples);
		for (k = 0; k < KINDS; k++) {
			qsort(samples[k], n, sizeof(samples[k][0]), by_value);
			fprintf(out, " %s %" PRIu64, kinds[k], samples[k][n / 2]);
		}
		fprintf(out, "\nsum %ld samples %" PRIu64, row, nr_samples);
		for (k = 0; k < KINDS; k++)
			fprintf(out, " %s %" PRIu64, kinds[k], sums[k]);
		fprintf(out, "\n");
	}
	if (profile && row >= 0)
		fprintf(out, "clean %ld samples %" PRIu64 "\n", row, nr_clean);
	for (s = sites; s; s = s->next)
		if (s->count && row >= 0)
			fprintf(out, "pc %ld %016" PRIx64 " %" PRIu64 "\n", row, s->pc, s->count);
	for (i = 0; i < nr_locks; i++)
		fprintf(out, "lock %ld %016" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", row,
			locks[i].caller, locks[i].all.holds, locks[i].all.sum, locks[i].all.most);
	fflush(out);
	forget();
}

/* The profile of this sample goes to that of the row, or nowhere. */
static void end_sample(void)
{
	struct held_sum *now, *all;
	struct site *s;
	unsigned int i;

	while (seen) {
		s = seen;
		seen = s->next_seen;
		if (!disturbed)
			s->count += s->now;
		s->now = 0;
	}
	for (i = 0; i < nr_locks; i++) {
		now = &locks[i].now;
		all = &locks[i].all;
		if (!disturbed) {
			all->holds += now->holds;
			all->sum += now->sum;
			if (now->most > all->most)
				all->most = now->most;
		}
		*now = (struct held_sum){ 0 };
	}
	nr_clean += !disturbed;
}

static void on_mark(unsigned int cpu, void *data)
{
	int k;

	(void)cpu;
	switch ((uintptr_t)data) {
	case 1: /* MARK_ROW */
		row++;
		forget();
		break;
	case 2: /* MARK_START */
		memset(sample, 0, sizeof(sample));
		nr_held = 0;
		taken = false;
		disturbed = false;
		active = true;
		break;
	case 3: /* MARK_STOP */
		active = false;
		for (k = 0; k < KINDS; k++) {
			sums[k] += sample[k];
			if (nr_samples < SAMPLES_MAX)
				samples[k][nr_samples] = sample[k];
		}
		nr_samples++;
		if (profile)
			end_sample();
		break;
	case 4: /* MARK_END */
		end_row();
		break;
	}
}

static void on_event(unsigned int cpu, void *data)
{
	(void)cpu;
	if (active)
		sample[(uintptr_t)data]++;
}

static void on_irq(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	disturbed = true;
}

static void on_insn(unsigned int cpu, void *data)
{
	struct site *s = data;

	(void)cpu;
	if (!active)
		return;
	sample[TOTAL]++;
	if (!s->now++) {
		s->next_seen = seen;
		seen = s;
	}
	if (taken && !is_in(&lock_fns, s->pc, LOCK_BYTES)) {
		held[nr_held - 1].caller = s->pc;
		taken = false;
	}
}

/* The instruction of a lock function that takes the lock. */
static void on_lock(unsigned int cpu, uint32_t info, uint64_t addr, void *data)
{
	(void)cpu;
	(void)info;
	(void)data;
	if (!active || nr_held == HELD_MAX)
		return;
	/* A read and a write of the same instruction are one. */
	if (nr_held && held[nr_held - 1].addr == addr)
		return;
	held[nr_held++] = (struct held){ .addr = addr, .since = sample[TOTAL] };
	taken = true;
}

static void account(const struct held *h)
{
	uint64_t len = sample[TOTAL] - h->since;
	unsigned int i;

	for (i = 0; i < nr_locks && locks[i].caller != h->caller; i++)
		;
	if (i == LOCKS_MAX)
		return;
	if (i == nr_locks)
		locks[nr_locks++] = (struct lock){ .caller = h->caller };
	locks[i].now.holds++;
	locks[i].now.sum += len;
	if (len > locks[i].now.most)
		locks[i].now.most = len;
}

/* A spin lock is given back by a byte that becomes 0, wherever the function was inlined. */
static void on_store(unsigned int cpu, uint32_t info, uint64_t addr, void *data)
{
	unsigned int i;

	(void)cpu;
	(void)data;
	if (!active || !nr_held || qemu_plugin_mem_size_shift(info))
		return;
	for (i = 0; i < nr_held; i++) {
		if (held[i].addr != addr)
			continue;
		account(&held[i]);
		held[i] = held[--nr_held];
		return;
	}
}

/* rep movs or rep stos? */
static bool is_string(const unsigned char *p, size_t len)
{
	size_t i = 0;

	if (len < 2 || (p[0] != 0xf3 && p[0] != 0xf2))
		return false;
	i++;
	if ((p[i] & 0xf0) == 0x40)
		i++;
	return i < len && (p[i] == 0xa4 || p[i] == 0xa5 || p[i] == 0xaa || p[i] == 0xab);
}

/* lock cmpxchg?  On a machine with one CPU the kernel makes the prefix one without effect. */
static bool is_cmpxchg(const unsigned char *p, size_t len)
{
	size_t i = 0;

	if (len < 4 || (p[0] != 0xf0 && p[0] != 0x3e))
		return false;
	i++;
	if ((p[i] & 0xf0) == 0x40)
		i++;
	return p[i] == 0x0f && (p[i + 1] & 0xfe) == 0xb0;
}

static uintptr_t mark_of(const unsigned char *p, size_t len)
{
	static const unsigned char first[3] = { 0x0f, 0x1f, 0x80 };
	static const unsigned char last[3] = { 0x00, 0x41, 0x50 };

	if (len != 7 || memcmp(p, first, 3) || memcmp(p + 4, last, 3) || p[3] >= MARKS)
		return 0;
	return p[3];
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i, len;
	struct qemu_plugin_insn *insn;
	const unsigned char *p;
	struct site *site;
	uint64_t pc;

	(void)id;
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		pc = qemu_plugin_insn_vaddr(insn);
		p = qemu_plugin_insn_data(insn);
		len = qemu_plugin_insn_size(insn);
		if (mark_of(p, len)) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, CB_NO_REGS,
							       (void *)mark_of(p, len));
			continue;
		}
		if (profile && is_string(p, len))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_event, CB_NO_REGS,
							       (void *)STRING);
		if (is_in(&clears, pc, 1))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_event, CB_NO_REGS,
							       (void *)ZEROED);
		if (is_in(&faults, pc, 1))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_event, CB_NO_REGS,
							       (void *)FAULTS);
		if (is_in(&syscalls, pc, 1))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_event, CB_NO_REGS,
							       (void *)CALLS);
		if (!profile)
			continue;
		if (is_in(&irqs, pc, 1))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_irq, CB_NO_REGS, NULL);
		site = malloc(sizeof(*site));
		if (!site)
			abort();
		*site = (struct site){ .next = sites, .pc = pc };
		sites = site;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, CB_NO_REGS, site);
		if (is_in(&lock_fns, pc, LOCK_BYTES) && is_cmpxchg(p, len))
			qemu_plugin_register_vcpu_mem_cb(insn, on_lock, CB_NO_REGS, MEM_W, NULL);
		else
			qemu_plugin_register_vcpu_mem_cb(insn, on_store, CB_NO_REGS, MEM_W, NULL);
	}
}

static void on_end(uint64_t id, void *data)
{
	(void)id;
	(void)data;
	fclose(out);
}

static bool add(struct addrs *a, const char *value)
{
	if (a->nr == ADDRS_MAX)
		return false;
	a->addr[a->nr++] = strtoull(value, NULL, 16);
	return true;
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	bool good = true;
	char *value;
	int i;

	(void)info;
	for (i = 0; i < argc && good; i++) {
		value = strchr(argv[i], '=');
		if (!value)
			return -1;
		*value++ = '\0';
		if (!strcmp(argv[i], "out"))
			out = fopen(value, "we");
		else if (!strcmp(argv[i], "clear"))
			good = add(&clears, value);
		else if (!strcmp(argv[i], "fault"))
			good = add(&faults, value);
		else if (!strcmp(argv[i], "syscall"))
			good = add(&syscalls, value);
		else if (!strcmp(argv[i], "irq"))
			good = add(&irqs, value);
		else if (!strcmp(argv[i], "lock"))
			good = add(&lock_fns, value);
		else if (!strcmp(argv[i], "profile"))
			profile = !strcmp(value, "on");
		else
			good = false;
	}
	if (!good || !out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
