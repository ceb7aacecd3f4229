// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The kernel and devices as users of the memory: direct I/O, pipes, other processes,
 * io_uring, and the structures of the calls themselves.
 */
#include <linux/io_uring.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "pa_test.h"

#define BYTES	(1024 * KiB)

/* A huge folio is mapped whole, with what is free in it; so SMALL where that matters. */
enum { SMALL, HUGE };

static const struct pagearena_setup setups[] = {
	[SMALL] = { .arena_bytes = 64 << 20, .huge = PAGEARENA_HUGE_NEVER },
	[HUGE] = { .arena_bytes = 64 << 20, .huge = PAGEARENA_HUGE_ALWAYS },
};

/* A block device that does direct I/O and holds nothing that anybody wants. */
static int open_disk(void)
{
	struct stat st;
	int fd = open("/dev/ram0", O_RDWR | O_CLOEXEC | O_DIRECT);

	/* 1 is the major number of RAM disks, as of all memory devices. */
	if (fd < 0 || fstat(fd, &st) || !S_ISBLK(st.st_mode) || major(st.st_rdev) != 1)
		SKIP("no RAM disk /dev/ram0 for direct I/O");
	if (lseek(fd, 0, SEEK_END) < (off_t)(2 * BYTES))
		SKIP("/dev/ram0 is too small");
	return fd;
}

static void test_direct(void)
{
	int fd = open_disk();
	struct arena a;
	unsigned int i;
	__u64 at, to;

	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		pa_open(&a, setups[i]);
		at = pa_alloc(&a, BYTES, 0, 0);
		to = pa_alloc(&a, BYTES, 0, 0);
		pa_fill(a.base + at, BYTES, i);
		CHECK_EQ(pwrite(fd, a.base + at, BYTES, 0), BYTES);
		/* Into memory that nobody has touched yet. */
		CHECK_EQ(pread(fd, a.base + to, BYTES, 0), BYTES);
		CHECK(pa_filled(a.base + to, BYTES, i));
		CHECK_EQ(pa_stats(a.fd).backed_inuse, 2 * BYTES);
		/* And across the boundary of two spans. */
		CHECK_EQ(pwrite(fd, a.base + at + BYTES - 8192, 16384, 4096), 16384);
		CHECK_EQ(pread(fd, a.base + at, 16384, 4096), 16384);
		CHECK(!memcmp(a.base + at, a.base + at + BYTES - 8192, 8192));
		CHECK(!memcmp(a.base + at + 8192, a.base + to, 8192));
		pa_check(&a);
		pa_close(&a);
	}
	close(fd);
}

/* Direct I/O into memory that is not allocated fails, and makes no memory. */
static void test_direct_outside(void)
{
	int fd = open_disk();
	struct arena a;
	const __u64 unit = MAX(8 * KiB, pa_page);
	__u64 at;

	pa_open(&a, setups[SMALL]);
	at = pa_alloc(&a, unit, 0, 0);
	CHECK_ERR(pread(fd, a.base + at + unit, unit, 0), EFAULT);
	CHECK_ERR(pwrite(fd, a.base + at + unit, unit, 0), EFAULT);
	CHECK_OP(pread(fd, a.base + at, 2 * unit, 0), !=, 2 * unit);
	CHECK_OP(pa_stats(a.fd).backed, <=, unit);
	pa_check(&a);
	pa_close(&a);
	close(fd);
}

/* Plain read and write copy to and from the arena, and fault where it is not backed. */
static void test_read_write(void)
{
	int fd = (int)syscall(SYS_memfd_create, "pagearena-test", 1U);
	struct arena a;
	unsigned int i;
	__u64 at;

	if (fd < 0)
		SKIP("memfd_create: %s", strerror(errno));
	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		pa_open(&a, setups[i]);
		at = pa_alloc(&a, BYTES, 0, 0);
		pa_fill(a.base + at, BYTES, i);
		CHECK_EQ(pwrite(fd, a.base + at, BYTES, 0), BYTES);
		pa_free(&a, at);
		pa_scavenge(&a, ALL, 0, NULL);
		CHECK_ERR(pwrite(fd, a.base + at, BYTES, 0), EFAULT);
		CHECK_ERR(pread(fd, a.base + at, BYTES, 0), EFAULT);
		CHECK_EQ(pa_alloc(&a, BYTES, 0, 0), at);
		CHECK_EQ(pread(fd, a.base + at, BYTES, 0), BYTES);
		CHECK(pa_filled(a.base + at, BYTES, i));
		/* It ends where the span does. */
		if (i == SMALL)
			CHECK_EQ(pread(fd, a.base + at + BYTES - 8192, 16384, 0), 8192);
		pa_check(&a);
		pa_close(&a);
	}
	close(fd);
}

/* Pages go into a pipe by reference, and what comes out is copied in. */
static void test_vmsplice(void)
{
	struct arena a;
	const __u64 len = MAX(32 * KiB, pa_page);
	struct iovec iov;
	unsigned int i;
	int ends[2];
	__u64 at, to;

	CHECK(!pipe(ends));
	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		pa_open(&a, setups[i]);
		at = pa_alloc(&a, len, 0, 0);
		to = pa_alloc(&a, len, 0, 0);
		pa_fill(a.base + at, len, i);
		iov = (struct iovec){ a.base + at, len };
		if (vmsplice(ends[1], &iov, 1, 0) < 0)
			SKIP("vmsplice: %s", strerror(errno));
		/* By reference: it is seen what is written now. */
		pa_fill(a.base + at, len, i + 10);
		iov = (struct iovec){ a.base + to, len };
		CHECK_EQ(vmsplice(ends[0], &iov, 1, 0), len);
		CHECK(pa_filled(a.base + to, len, i + 10));
		iov = (struct iovec){ a.base + to + len, 8192 };
		if (i == SMALL)
			CHECK_ERR(vmsplice(ends[1], &iov, 1, 0), EFAULT);
		pa_check(&a);
		pa_close(&a);
	}
}

/* Another process reads and writes the memory as a debugger does. */
static void test_process_vm(void)
{
	struct iovec local, remote;
	static char buf[65536];
	const size_t len = MAX(16 * KiB, pa_page);
	struct arena a;
	unsigned int i;
	int ends[2];
	__u64 at;
	pid_t pid;

	CHECK(!pipe(ends));
	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		pa_open(&a, setups[i]);
		at = pa_alloc(&a, len, 0, 0);
		pa_fill(a.base + at, len, i);
		pid = fork();
		if (!pid) {
			local = (struct iovec){ buf, len };
			remote = (struct iovec){ a.base + at, len };
			if (process_vm_readv(getppid(), &local, 1, &remote, 1, 0) < 0) {
				if (errno == ENOSYS)
					SKIP("process_vm_readv: %s", strerror(errno));
				pa_fail("process_vm_readv: %s", strerror(errno));
			}
			CHECK(pa_filled(buf, len, i));
			pa_fill(buf, len, i + 10);
			CHECK_EQ(process_vm_writev(getppid(), &local, 1, &remote, 1, 0),
				 len);
			remote.iov_base = a.base + at + len;
			if (i == SMALL)
				CHECK_ERR(process_vm_readv(getppid(), &local, 1, &remote, 1, 0),
					  EFAULT);
			_exit(0);
		}
		pa_wait_ok(pid);
		CHECK(pa_filled(a.base + at, len, i + 10));
		pa_check(&a);
		pa_close(&a);
	}
}

/* As little of io_uring as moves bytes through a registered buffer. */
struct ring {
	int fd;
	struct io_uring_params p;
	char *sq;
	char *cq;
	struct io_uring_sqe *sqes;
};

static void ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = (int)syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		SKIP("io_uring_setup: %s", strerror(errno));
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * sizeof(__u32),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED, r->fd, IORING_OFF_SQES);
	CHECK(r->sq != MAP_FAILED && r->cq != MAP_FAILED && (void *)r->sqes != MAP_FAILED);
}

static __s32 ring_do(struct ring *r, __u8 opcode, int fd, void *addr, __u32 len, __u64 pos)
{
	__u32 *sq_tail = (void *)(r->sq + r->p.sq_off.tail);
	__u32 *sq_mask = (void *)(r->sq + r->p.sq_off.ring_mask);
	__u32 *sq_array = (void *)(r->sq + r->p.sq_off.array);
	__u32 *cq_head = (void *)(r->cq + r->p.cq_off.head);
	__u32 *cq_mask = (void *)(r->cq + r->p.cq_off.ring_mask);
	struct io_uring_cqe *cqes = (void *)(r->cq + r->p.cq_off.cqes);
	__u32 i = *sq_tail & *sq_mask;
	__s32 res;

	r->sqes[i] = (struct io_uring_sqe){
		.opcode = opcode,
		.fd = fd,
		.off = pos,
		.addr = (uintptr_t)addr,
		.len = len,
	};
	sq_array[i] = i;
	__atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_RELEASE);
	CHECK_EQ(syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
	res = cqes[*cq_head & *cq_mask].res;
	__atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
	return res;
}

static void test_io_uring(void)
{
	int fd = (int)syscall(SYS_memfd_create, "pagearena-test", 1U);
	struct iovec iov;
	struct arena a;
	struct ring r;
	unsigned int i;
	__u64 at;

	CHECK(fd >= 0);
	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		pa_open(&a, setups[i]);
		at = pa_alloc(&a, BYTES, 0, 0);
		pa_fill(a.base + at, BYTES, i);
		ring_open(&r);
		iov = (struct iovec){ a.base + at, BYTES };
		if (syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &iov, 1)) {
			/* Kernels before 6.5 take no memory that belongs to files. */
			if (errno == EOPNOTSUPP)
				SKIP("this kernel registers no memory of files");
			pa_fail("IORING_REGISTER_BUFFERS: %s", strerror(errno));
		}
		CHECK_EQ(ring_do(&r, IORING_OP_WRITE_FIXED, fd, a.base + at, BYTES, 0), BYTES);
		memset(a.base + at, 0, BYTES);
		CHECK_EQ(ring_do(&r, IORING_OP_READ_FIXED, fd, a.base + at, BYTES, 0), BYTES);
		CHECK(pa_filled(a.base + at, BYTES, i));

		/* Registered memory is pinned: it is released from the arena, but not reused. */
		pa_free(&a, at);
		pa_scavenge(&a, ALL, 0, NULL);
		CHECK_EQ(pa_alloc(&a, BYTES, 0, PAGEARENA_ALLOC_ZERO), at);
		CHECK_EQ(ring_do(&r, IORING_OP_READ_FIXED, fd, a.base + at, BYTES, 0), BYTES);
		pa_recount(a.id);
		CHECK(!syscall(SYS_io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
		munmap(r.sq, r.p.sq_off.array + r.p.sq_entries * sizeof(__u32));
		munmap(r.cq, r.p.cq_off.cqes + r.p.cq_entries * sizeof(struct io_uring_cqe));
		munmap(r.sqes, r.p.sq_entries * sizeof(*r.sqes));
		close(r.fd);
		pa_fill(a.base + at, BYTES, 3);
		CHECK(pa_filled(a.base + at, BYTES, 3));
		pa_check(&a);
		pa_close(&a);
	}
}

/* The structures of the calls lie in the arena itself, in memory that is not there yet. */
static void test_own_structs(void)
{
	struct arena a;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		struct pagearena_promote *promote;
		struct pagearena_scavenge *scavenge;
		struct pagearena_span *list;
		struct pagearena_stats *stats;
		struct pagearena_spans *spans;
		struct pagearena_alloc *req;
		struct pagearena_query *query;
		struct pagearena_free *ff;
		__u64 at, huge, chunk;

		pa_open(&a, setups[i]);
		huge = pa_info(a.fd).huge_size;
		at = pa_alloc(&a, 64 * KiB, 0, 0);
		req = (void *)(a.base + at);
		*req = (struct pagearena_alloc){ .size = sizeof(*req), .length = a.page };
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_ALLOC, req));
		CHECK_EQ(req->length, a.page);

		/* Read as zero from memory that is not backed: a size of 0. */
		CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_STATS, a.base + req->offset), EINVAL);
		if (i == SMALL)
			CHECK_ERR(ioctl(a.fd, PAGEARENA_IOC_STATS, a.base + req->offset + a.page),
				  EFAULT);

		/* A span frees itself. */
		ff = (void *)(a.base + req->offset);
		*ff = (struct pagearena_free){ .size = sizeof(*ff), .offset = req->offset };
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_FREE, ff));

		scavenge = (void *)(a.base + at + 8192);
		*scavenge = (struct pagearena_scavenge){ .size = sizeof(*scavenge),
							 .flags = PAGEARENA_SCAVENGE_BREAK |
								  PAGEARENA_SCAVENGE_FORCE,
							 .bytes = ALL };
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_SCAVENGE, scavenge));
		CHECK_EQ(scavenge->released >= a.page, 1);

		stats = (void *)(a.base + at + 8192);
		memset(stats, 0, sizeof(*stats));
		stats->size = sizeof(*stats);
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_STATS, stats));
		CHECK_EQ(stats->spans_inuse, 1);

		/* The list goes to pages that its own copying makes fault. */
		spans = (void *)(a.base + at + 16384);
		list = (void *)(a.base + at + 32768 - sizeof(*list));
		*spans = (struct pagearena_spans){ .size = sizeof(*spans),
						   .spans = (uintptr_t)list,
						   .count = 64 };
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_SPANS, spans));
		CHECK_OP(spans->count, >=, 2);
		CHECK_EQ(list[0].offset, 0);
		CHECK_EQ(list[0].state, PAGEARENA_SPAN_INUSE);

		query = (void *)(a.base + at + 40960);
		memset(query, 0, sizeof(*query));
		query->size = sizeof(*query);
		query->offset = at + 40960;
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_QUERY, query));
		CHECK_EQ(query->span.length, 64 * KiB);

		/* A chunk that is promoted while it holds the call and its results. */
		chunk = pa_alloc(&a, huge, huge, 0);
		pa_fill(a.base + chunk, 64 * KiB, 1);
		promote = (void *)(a.base + chunk + 32 * KiB);
		*promote = (struct pagearena_promote){
			.size = sizeof(*promote),
			.offset = chunk,
			.length = huge,
			.results = (uintptr_t)(a.base + chunk + huge - sizeof(__u32)),
			.nr_results = 1,
		};
		CHECK(!ioctl(a.fd, PAGEARENA_IOC_PROMOTE, promote));
		CHECK_EQ(promote->counts[*(__u32 *)(a.base + chunk + huge - sizeof(__u32))], 1);
		CHECK(pa_filled(a.base + chunk, 32 * KiB, 1));
		pa_check(&a);
		pa_close(&a);
	}
}

static const struct pa_test tests[] = {
	{ "direct I/O", test_direct },
	{ "direct I/O outside of spans", test_direct_outside },
	{ "read and write", test_read_write },
	{ "vmsplice", test_vmsplice },
	{ "process_vm_readv and writev", test_process_vm },
	{ "io_uring with registered buffers", test_io_uring },
	{ "structures of calls inside the arena", test_own_structs },
};

PA_MAIN(tests)
