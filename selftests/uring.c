// SPDX-License-Identifier: GPL-2.0-only
/*
 * The door of io_uring: everything that the ioctl does, on plain and polled rings, from
 * worker threads and from the kernel's submitting thread; and jobs whose ring, process
 * or device goes away.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif
#define DEPTH		256
#define WAIT_S		25

/* An entry of a ring with IORING_SETUP_SQE128 */
union big_sqe {
	struct io_uring_sqe sqe;
	uint8_t bytes[128];
};

struct done {
	int res;
	uint64_t user_data;
	uint64_t extra;
};

FIXTURE(uring)
{
	struct mx_rig rig;
	struct io_uring ring;
};

FIXTURE_VARIANT(uring)
{
	unsigned int setup;
	unsigned int sqe_flags;
};

FIXTURE_VARIANT_ADD(uring, plain) {};
FIXTURE_VARIANT_ADD(uring, polled) { .setup = IORING_SETUP_IOPOLL };
FIXTURE_VARIANT_ADD(uring, worker) { .sqe_flags = IOSQE_ASYNC };
FIXTURE_VARIANT_ADD(uring, polled_worker) {
	.setup = IORING_SETUP_IOPOLL, .sqe_flags = IOSQE_ASYNC,
};
FIXTURE_VARIANT_ADD(uring, thread) { .setup = IORING_SETUP_SQPOLL };

static int ring_open(struct io_uring *ring, unsigned int setup)
{
	return io_uring_queue_init(DEPTH, ring, setup | IORING_SETUP_SQE128 | IORING_SETUP_CQE32);
}

FIXTURE_SETUP(uring)
{
	ASSERT_EQ(0, rig_open(&self->rig));
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
}

/* Jobs of rings that are gone end soon, or at their deadlines. */
static int jobs_left(void)
{
	int i, left = mx_sysfs_number("jobs_in_flight");

	for (i = 0; i < 6000 && left; i++) {
		usleep(10000);
		left = mx_sysfs_number("jobs_in_flight");
	}
	return left;
}

FIXTURE_TEARDOWN(uring)
{
	io_uring_queue_exit(&self->ring);
	EXPECT_EQ(0, jobs_left());
	EXPECT_EQ(0, rig_check(&self->rig));
	rig_close(&self->rig);
}

static void prepare(struct io_uring *ring, int fd, unsigned int flags,
		    const struct mxaccel_submit *submit)
{
	union big_sqe *big = (union big_sqe *)io_uring_get_sqe(ring);

	if (!big)
		abort();
	memset(big->bytes, 0, sizeof(big->bytes));
	big->sqe.opcode = IORING_OP_URING_CMD;
	big->sqe.flags = flags;
	big->sqe.fd = fd;
	big->sqe.cmd_op = MXACCEL_URING_SUBMIT;
	big->sqe.user_data = submit->user_data;
	memcpy(big->bytes + offsetof(struct io_uring_sqe, cmd), submit, sizeof(*submit));
}

static int reap(struct io_uring *ring, struct done *done)
{
	struct __kernel_timespec limit = { .tv_sec = WAIT_S };
	struct io_uring_cqe *cqe;
	int err;

	/* A polled ring knows no timeouts. */
	if (ring->flags & IORING_SETUP_IOPOLL)
		err = io_uring_wait_cqe(ring, &cqe);
	else
		err = io_uring_wait_cqe_timeout(ring, &cqe, &limit);
	if (err)
		return err;
	*done = (struct done){ cqe->res, cqe->user_data, cqe->big_cqe[0] };
	io_uring_cqe_seen(ring, cqe);
	return 0;
}

/* Runs a job to its end. Return: res. */
static int run_flags(struct io_uring *ring, int fd, unsigned int flags,
		     const struct mxaccel_submit *submit, struct done *done)
{
	int err;

	prepare(ring, fd, flags, submit);
	/* How many were taken is not known of the kernel's own thread. */
	err = io_uring_submit(ring);
	if (err < 0)
		return err;
	err = reap(ring, done);
	if (err)
		return err;
	return done->user_data == submit->user_data ? done->res : -EBADMSG;
}

#define run(submit, done) \
	run_flags(&self->ring, self->rig.fd, variant->sqe_flags, submit, done)

static const struct mxaccel_submit nop = {
	.size = sizeof(nop), .flags = MXACCEL_SUBMIT_NOP, .user_data = 77,
};

TEST_F(uring, features)
{
	struct mxaccel_query query = { .size = sizeof(query) };

	ASSERT_EQ(0, mx_ioctl(self->rig.fd, MXACCEL_IOC_QUERY, &query));
	EXPECT_TRUE(query.features & MXACCEL_DRVFEAT_NOP);
	EXPECT_TRUE(query.features & MXACCEL_DRVFEAT_URING);
}

TEST_F(uring, nop)
{
	struct mxaccel_submit broken;
	struct done done;
	int i;

	/* Several times round the chip's ring, unless other threads make each one slow. */
	for (i = 0; i < (variant->sqe_flags || variant->setup ? 200 : 5000); i++)
		ASSERT_EQ(0, run(&nop, &done));
	EXPECT_EQ(0, done.extra);
	/* Every other field is to be zero. */
	for (i = offsetof(struct mxaccel_submit, model);
	     i < offsetof(struct mxaccel_submit, job); i += 4) {
		broken = nop;
		((uint32_t *)&broken)[i / 4] = 1;
		EXPECT_EQ(-EINVAL, run(&broken, &done));
	}
}

TEST_F(uring, nop_by_ioctl)
{
	struct mxaccel_submit submit = nop, broken = nop;
	struct mxaccel_completion c;
	int i;

	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
		ASSERT_EQ(1, mx_wait(self->rig.fd, 20000, &c, 1));
		ASSERT_EQ(0, c.error);
		ASSERT_EQ(submit.job, c.job);
		ASSERT_EQ(77, c.user_data);
	}
	broken.tokens = 1;
	EXPECT_EQ(-EINVAL, mx_submit(self->rig.fd, &broken));
}

TEST_F(uring, result)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 7, 19);
	struct done done;

	submit.user_data = 0x1122334455667788;
	ASSERT_EQ(0, run(&submit, &done));
	EXPECT_LT(0, done.extra);	/* cycles */
	EXPECT_TRUE(rig_result_good(self->rig.in, self->rig.out, 7 * 19));
}

TEST_F(uring, form)
{
	static const struct {
		uint32_t size;
		int err;
	} sizes[] = {
		{ 0, -EINVAL }, { 4, -EINVAL }, { 79, -EINVAL }, { 81, -E2BIG },
		{ 4096, -E2BIG }, { UINT32_MAX, -E2BIG },
	};
	struct mxaccel_submit submit;
	struct io_uring small;
	union big_sqe *big;
	struct done done;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		submit = nop;
		submit.size = sizes[i].size;
		EXPECT_EQ(sizes[i].err, run(&submit, &done));
	}
	prepare(&self->ring, self->rig.fd, variant->sqe_flags, &nop);
	big = (union big_sqe *)self->ring.sq.sqes;
	big += (self->ring.sq.sqe_tail - 1) & (DEPTH - 1);
	big->sqe.cmd_op = MXACCEL_IOC_SUBMIT;
	ASSERT_LE(0, io_uring_submit(&self->ring));
	ASSERT_EQ(0, reap(&self->ring, &done));
	EXPECT_EQ(-ENOTTY, done.res);

	/* A ring of small entries */
	ASSERT_EQ(0, io_uring_queue_init(8, &small, variant->setup));
	big = (union big_sqe *)io_uring_get_sqe(&small);
	ASSERT_NE(NULL, big);
	memset(big, 0, sizeof(big->sqe));
	big->sqe.opcode = IORING_OP_URING_CMD;
	big->sqe.fd = self->rig.fd;
	big->sqe.cmd_op = MXACCEL_URING_SUBMIT;
	ASSERT_LE(0, io_uring_submit(&small));
	ASSERT_EQ(0, reap(&small, &done));
	EXPECT_EQ(-EINVAL, done.res);
	io_uring_queue_exit(&small);
}

#define BROKEN(field, value, error) { \
	offsetof(struct mxaccel_submit, field), \
	sizeof(((struct mxaccel_submit *)0)->field), value, error }

TEST_F(uring, one_broken_field)
{
	static const struct {
		unsigned int at, bytes;
		uint64_t value;
		int err;
	} broken[] = {
		BROKEN(flags, 0x80000000, -EINVAL),
		BROKEN(flags, MXACCEL_SUBMIT_NOP, -EINVAL),
		BROKEN(model, 0xffff, -ENOENT),
		BROKEN(entry, 0x10000, -ENOENT),
		BROKEN(nr_seq, 0, -EINVAL),
		BROKEN(nr_seq, 3, -EINVAL),
		BROKEN(tokens, 0, -EINVAL),
		BROKEN(tokens, 6, -EINVAL),
		BROKEN(in_handle, 0, -ENOENT),
		BROKEN(out_handle, 0xffffffff, -ENOENT),
		BROKEN(in_offset, UINT64_MAX, -EFAULT),
		BROKEN(out_offset, 1ull << 40, -EFAULT),
		BROKEN(in_bytes, 36, -EINVAL),
		BROKEN(out_bytes, UINT32_MAX, -EFAULT),
		BROKEN(rsvd, 1, -EINVAL),
	};
	struct mxaccel_submit good = rig_job(&self->rig, ENTRY_ROWS, 2, 5), submit;
	struct done done;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(broken); i++) {
		submit = good;
		memcpy((uint8_t *)&submit + broken[i].at, &broken[i].value, broken[i].bytes);
		EXPECT_EQ(broken[i].err, run(&submit, &done))
			TH_LOG("offset %u", broken[i].at);
		EXPECT_EQ(0, done.extra);
	}
	submit = good;
	submit.out_handle = good.in_handle;
	EXPECT_EQ(-EACCES, run(&submit, &done));
	/* What only the chip can see comes with its reason. */
	submit = good;
	submit.entry = 999;
	EXPECT_EQ(-EINVAL, run(&submit, &done));
	EXPECT_EQ(MXACCEL_ST_BAD_ENTRY, MXACCEL_URING_STATUS(done.extra));
	EXPECT_EQ(offsetof(struct mxaccel_sqe, job.entry), MXACCEL_URING_FIELD(done.extra));
	submit = good;
	self->rig.in[7] = 0x7fffffff;
	EXPECT_EQ(-EDOM, run(&submit, &done));
	EXPECT_EQ(MXACCEL_ST_INPUT_TOKEN, MXACCEL_URING_STATUS(done.extra));
	EXPECT_EQ(7, MXACCEL_URING_RESULT(done.extra));
}

TEST_F(uring, batches)
{
	struct mxaccel_query query = { .size = sizeof(query) };
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 4);
	uint32_t ended, refused, i, round;
	uint8_t seen[DEPTH];
	struct done done;

	ASSERT_EQ(0, mx_ioctl(self->rig.fd, MXACCEL_IOC_QUERY, &query));
	for (round = 0; round < 8; round++) {
		memset(seen, 0, sizeof(seen));
		ended = 0;
		refused = 0;
		for (i = 0; i < DEPTH; i++) {
			struct mxaccel_submit each = i % 3 ? nop : submit;

			each.user_data = i;
			prepare(&self->ring, self->rig.fd, variant->sqe_flags, &each);
		}
		ASSERT_LE(0, io_uring_submit(&self->ring));
		for (i = 0; i < DEPTH; i++) {
			ASSERT_EQ(0, reap(&self->ring, &done));
			ASSERT_LT(done.user_data, DEPTH);
			EXPECT_EQ(0, seen[done.user_data]++);
			ended += !done.res;
			refused += done.res == -EAGAIN;
		}
		EXPECT_EQ(DEPTH, ended + refused);
		EXPECT_LE(query.queue_depth, ended);
	}
	EXPECT_TRUE(rig_result_good(self->rig.in, self->rig.out, 4));
}

/* The two doors have completions of their own. */
TEST_F(uring, beside_ioctl)
{
	struct mxaccel_submit longest = rig_long_job(&self->rig), submit = nop;
	struct pollfd poller = { .fd = self->rig.fd, .events = POLLIN };
	struct mxaccel_cancel cancel = {
		.size = sizeof(cancel), .flags = MXACCEL_CANCEL_USER_DATA, .job = 5,
	};
	struct mxaccel_completion c;
	struct done done;

	longest.user_data = 5;
	prepare(&self->ring, self->rig.fd, variant->sqe_flags, &longest);
	ASSERT_LE(0, io_uring_submit(&self->ring));
	EXPECT_EQ(-ENODATA, mx_wait(self->rig.fd, 20000, &c, 1));
	EXPECT_EQ(0, poll(&poller, 1, 0));
	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	EXPECT_EQ(1, poll(&poller, 1, 20000));
	EXPECT_EQ(1, mx_wait(self->rig.fd, 20000, &c, 1));
	EXPECT_EQ(submit.job, c.job);
	/* A worker may not have got to it yet. */
	while (mx_ioctl(self->rig.fd, MXACCEL_IOC_CANCEL, &cancel) == -ENOENT)
		usleep(1000);
	ASSERT_EQ(0, reap(&self->ring, &done));
	EXPECT_EQ(-ECANCELED, done.res);
	EXPECT_EQ(MXACCEL_ST_ABORTED, MXACCEL_URING_STATUS(done.extra));
	EXPECT_EQ(-ENOENT, mx_ioctl(self->rig.fd, MXACCEL_IOC_CANCEL, &cancel));
}

TEST_F(uring, deadline)
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	struct done done;

	submit.timeout_ms = 100;
	EXPECT_EQ(-ETIMEDOUT, run(&submit, &done));
}

static void submit_long(struct mx_rig *rig, struct io_uring *ring, unsigned int flags,
			uint32_t timeout_ms)
{
	struct mxaccel_submit submit = rig_long_job(rig);
	int i;

	submit.timeout_ms = timeout_ms;
	for (i = 0; i < 5; i++)
		prepare(ring, rig->fd, flags, &submit);
	io_uring_submit(ring);
}

TEST_F(uring, ring_closed_with_jobs_in_flight)
{
	struct io_uring other;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	/* Before 6.7 nobody tells a driver of that, and the jobs run to their deadlines. */
	submit_long(&self->rig, &other, variant->sqe_flags, 1000);
	/* Workers may not have got to them yet, and what they then start is not looked for. */
	while (!mx_sysfs_number("jobs_in_flight"))
		usleep(1000);
	io_uring_queue_exit(&other);
	EXPECT_EQ(0, jobs_left());
}

/* The end of a process ends its jobs, which would take minutes. */
static void end_with_jobs(struct __test_metadata *_metadata, unsigned int setup,
			  unsigned int flags, bool killed)
{
	struct io_uring ring;
	struct mx_rig rig;
	int status, ready[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (rig_open(&rig) || ring_open(&ring, setup))
			_exit(1);
		/* Before 6.7 the kernel's submitting thread waits for its jobs. */
		submit_long(&rig, &ring, flags, setup & IORING_SETUP_SQPOLL ? 1000 : 0);
		while (!mx_sysfs_number("jobs_in_flight"))
			usleep(1000);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		if (killed)
			pause();
		_exit(0);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	if (killed)
		kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(killed, WIFSIGNALED(status));
	close(ready[0]);
	EXPECT_EQ(0, jobs_left());
}

TEST_F(uring, process_ends_with_jobs_in_flight)
{
	end_with_jobs(_metadata, variant->setup, variant->sqe_flags, false);
}

TEST_F(uring, process_killed_with_jobs_in_flight)
{
	end_with_jobs(_metadata, variant->setup, variant->sqe_flags, true);
}

TEST_F(uring, reset_with_jobs_in_flight)
{
	struct done done;
	char path[PATH_MAX], reset[PATH_MAX + 8];
	int i;

	submit_long(&self->rig, &self->ring, variant->sqe_flags, 0);
	while (mx_sysfs_number("jobs_in_flight") < 5)
		usleep(1000);
	ASSERT_NE(NULL, realpath(mx_sysfs("device"), path));
	snprintf(reset, sizeof(reset), "%s/reset", path);
	ASSERT_EQ(0, mx_write_file(reset, "1"));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, reap(&self->ring, &done));
		EXPECT_EQ(-ENODEV, done.res);
	}
	EXPECT_EQ(-ENODEV, run(&nop, &done));
	rig_close(&self->rig);
	ASSERT_EQ(0, rig_open(&self->rig));
}

TEST_HARNESS_MAIN
