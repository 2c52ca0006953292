// SPDX-License-Identifier: GPL-2.0-only
/* Jobs: results, refusals, waiting, polling, cancelling, deadlines, depth. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

FIXTURE(jobs)
{
	struct mx_rig rig;
	int fd;
};

FIXTURE_SETUP(jobs)
{
	ASSERT_EQ(0, rig_open(&self->rig));
	self->fd = self->rig.fd;
}

FIXTURE_TEARDOWN(jobs)
{
	EXPECT_EQ(0, rig_check(&self->rig));
	rig_close(&self->rig);
}

/* Runs a job to its end and gives its completion; the error of a call that failed. */
static int run(int fd, struct mxaccel_submit *submit, struct mxaccel_completion *c)
{
	int err = mx_submit(fd, submit);

	memset(c, 0, sizeof(*c));
	if (err)
		return err;
	err = mx_wait(fd, 25000, c, 1);
	return err < 0 ? err : c->error;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

TEST_F(jobs, result)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 7, 19);
	struct mxaccel_completion c;

	submit.user_data = 0x1122334455667788;
	ASSERT_EQ(0, run(self->fd, &submit, &c));
	EXPECT_EQ(submit.user_data, c.user_data);
	EXPECT_EQ(submit.job, c.job);
	EXPECT_EQ(0, c.status);
	EXPECT_EQ(0, c.field);
	EXPECT_LT(0, c.result);
	EXPECT_TRUE(rig_result_good(self->rig.in, self->rig.out, 7 * 19));
}

TEST_F(jobs, padding)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 2, 4);
	struct mxaccel_completion c;
	int i;

	/* Rows after a sequence's last id are zero. */
	memcpy(self->rig.in, (int32_t[]){ 5, 0, 6, 0, 7, 0, 0, 0 }, 32);
	memset(self->rig.out, 0xff, submit.out_bytes);
	ASSERT_EQ(0, run(self->fd, &submit, &c));
	EXPECT_TRUE(rig_result_good(self->rig.in, self->rig.out, 3));
	EXPECT_TRUE(rig_result_good(self->rig.in + 4, self->rig.out + 4 * TM_WIDTH, 1));
	for (i = 0; i < TM_WIDTH; i++) {
		ASSERT_EQ(0, self->rig.out[3 * TM_WIDTH + i]);
		ASSERT_EQ(0, self->rig.out[5 * TM_WIDTH + i]);
	}
}

TEST_F(jobs, refused_by_the_chip)
{
	struct mxaccel_submit good = rig_job(&self->rig, ENTRY_ROWS, 2, 5), bad;
	struct mxaccel_completion c;

	bad = good;
	bad.entry = TM_ENTRIES;
	EXPECT_EQ(-EINVAL, run(self->fd, &bad, &c));
	EXPECT_EQ(MXACCEL_ST_BAD_ENTRY, c.status);
	EXPECT_EQ(offsetof(struct mxaccel_sqe, job.entry), c.field);

	bad = good;
	bad.out_bytes -= 4;
	EXPECT_EQ(-EFAULT, run(self->fd, &bad, &c));
	EXPECT_EQ(MXACCEL_ST_BAD_RANGE, c.status);

	self->rig.in[7] = TM_VOCAB;
	EXPECT_EQ(-EDOM, run(self->fd, &good, &c));
	EXPECT_EQ(MXACCEL_ST_INPUT_TOKEN, c.status);
	EXPECT_EQ(7, c.result);
	self->rig.in[7] = -1;
	EXPECT_EQ(-EDOM, run(self->fd, &good, &c));

	memset(self->rig.in + 5, 0, 20);
	EXPECT_EQ(-ENODATA, run(self->fd, &good, &c));
	EXPECT_EQ(MXACCEL_ST_INPUT_EMPTY, c.status);
	EXPECT_EQ(1, c.result);

	bad = rig_job(&self->rig, ENTRY_ROWS, 1, TM_TOKENS + 1);
	EXPECT_EQ(-E2BIG, run(self->fd, &bad, &c));
	EXPECT_EQ(MXACCEL_ST_INPUT_LONG, c.status);
}

TEST_F(jobs, nothing_to_wait_for)
{
	struct mxaccel_completion c;

	EXPECT_EQ(-ENODATA, mx_wait(self->fd, 0, &c, 1));
	EXPECT_EQ(-ENODATA, mx_wait(self->fd, UINT32_MAX, &c, 1));
}

TEST_F(jobs, wait_times_out)
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	struct mxaccel_completion c;
	double start;

	ASSERT_EQ(0, mx_submit(self->fd, &submit));
	EXPECT_EQ(-ETIME, mx_wait(self->fd, 0, &c, 1));
	start = now();
	EXPECT_EQ(-ETIME, mx_wait(self->fd, 300, &c, 1));
	EXPECT_LE(0.28, now() - start);
	EXPECT_GT(5, now() - start);
	EXPECT_EQ(0, mx_cancel(self->fd, submit.job));
	EXPECT_EQ(1, mx_wait(self->fd, 20000, &c, 1));
}

TEST_F(jobs, completions_come_in_batches)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 1);
	struct mxaccel_completion c[40];
	uint32_t seen = 0;
	int i, got;

	for (i = 0; i < 40; i++) {
		submit.user_data = i;
		ASSERT_EQ(0, mx_submit(self->fd, &submit));
	}
	while (seen < 40) {
		got = mx_wait(self->fd, 20000, c + seen, 40 - seen > 33 ? 33 : 40 - seen);
		ASSERT_LT(0, got);
		seen += got;
	}
	for (i = 0; i < 40; i++) {
		EXPECT_EQ(0, c[i].error);
		EXPECT_EQ(i, (int)c[i].user_data);
	}
	EXPECT_EQ(-ENODATA, mx_wait(self->fd, 0, c, 1));
}

TEST_F(jobs, completion_that_cannot_be_delivered)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 1);
	struct mxaccel_completion c[3], *edge;
	int i;

	for (i = 0; i < 3; i++) {
		submit.user_data = i;
		ASSERT_EQ(0, mx_submit(self->fd, &submit));
	}
	usleep(300000);
	EXPECT_EQ(-EFAULT, mx_wait(self->fd, 20000, (void *)64, 3));
	edge = mx_edge_alloc(sizeof(*edge), PROT_READ | PROT_WRITE);
	EXPECT_EQ(-EFAULT, mx_wait(self->fd, 20000, edge, 3));
	/* Nothing was lost, and the order is the same. */
	EXPECT_EQ(3, mx_wait(self->fd, 20000, c, 3));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i, (int)c[i].user_data);
}

TEST_F(jobs, poll)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 1);
	struct pollfd poller = { .fd = self->fd, .events = POLLIN };
	struct mxaccel_completion c;

	EXPECT_EQ(0, poll(&poller, 1, 0));
	ASSERT_EQ(0, mx_submit(self->fd, &submit));
	EXPECT_EQ(1, poll(&poller, 1, 20000));
	EXPECT_EQ(POLLIN, poller.revents);
	EXPECT_EQ(1, mx_wait(self->fd, 0, &c, 1));
	EXPECT_EQ(0, poll(&poller, 1, 0));
}

TEST_F(jobs, cancel)
{
	struct mxaccel_submit running = rig_long_job(&self->rig), queued = running;
	struct mxaccel_completion c[2];
	double start;

	ASSERT_EQ(0, mx_submit(self->fd, &running));
	ASSERT_EQ(0, mx_submit(self->fd, &queued));
	usleep(50000);
	start = now();
	EXPECT_EQ(0, mx_cancel(self->fd, queued.job));
	EXPECT_EQ(1, mx_wait(self->fd, 20000, c, 1));
	EXPECT_EQ(queued.job, c[0].job);
	EXPECT_EQ(-ECANCELED, c[0].error);
	EXPECT_EQ(MXACCEL_ST_ABORTED, c[0].status);
	EXPECT_EQ(0, mx_cancel(self->fd, running.job));
	EXPECT_EQ(1, mx_wait(self->fd, 20000, c, 1));
	EXPECT_EQ(running.job, c[0].job);
	EXPECT_EQ(-ECANCELED, c[0].error);
	EXPECT_GT(10, now() - start);
	/* Now neither is in flight. */
	EXPECT_EQ(-ENOENT, mx_cancel(self->fd, running.job));
	EXPECT_EQ(-ENOENT, mx_cancel(self->fd, 0));
}

TEST_F(jobs, deadline)
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	struct mxaccel_completion c;
	double start = now();

	submit.timeout_ms = 200;
	EXPECT_EQ(-ETIMEDOUT, run(self->fd, &submit, &c));
	EXPECT_EQ(MXACCEL_ST_TIMEOUT, c.status);
	EXPECT_LE(0.18, now() - start);
	EXPECT_GT(15, now() - start);
}

TEST_F(jobs, as_many_as_the_depth)
{
	struct mxaccel_query query = { .size = sizeof(query) };
	struct mxaccel_submit first = rig_long_job(&self->rig), submit;
	struct mxaccel_completion c[64];
	uint32_t i, seen = 0;
	int got;

	ASSERT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_QUERY, &query));
	/* Short ones behind a long one, so that none ends meanwhile */
	ASSERT_EQ(0, mx_submit(self->fd, &first));
	submit = rig_job(&self->rig, ENTRY_ROWS, 1, 1);
	for (i = 1; i < query.queue_depth; i++)
		ASSERT_EQ(0, mx_submit(self->fd, &submit));
	EXPECT_EQ(-EAGAIN, mx_submit(self->fd, &submit));
	EXPECT_EQ(query.queue_depth, mx_sysfs_number("jobs_in_flight"));
	EXPECT_EQ(0, mx_cancel(self->fd, first.job));
	/* What is done but not reaped still counts. */
	usleep(500000);
	EXPECT_EQ(-EAGAIN, mx_submit(self->fd, &submit));
	while (seen < query.queue_depth) {
		got = mx_wait(self->fd, 20000, c, 64);
		ASSERT_LT(0, got);
		seen += got;
	}
	EXPECT_EQ(-ENODATA, mx_wait(self->fd, 0, c, 64));
	EXPECT_EQ(0, mx_sysfs_number("jobs_in_flight"));
}

static void ignore(int signal)
{
	(void)signal;
}

TEST_F(jobs, signal_during_wait)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval timer = { .it_value.tv_usec = 100000 };
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	struct mxaccel_completion c;

	sigaction(SIGALRM, &action, NULL);
	ASSERT_EQ(0, mx_submit(self->fd, &submit));
	setitimer(ITIMER_REAL, &timer, NULL);
	EXPECT_EQ(-EINTR, mx_wait(self->fd, UINT32_MAX, &c, 1));
	EXPECT_EQ(0, mx_cancel(self->fd, submit.job));
	EXPECT_EQ(1, mx_wait(self->fd, 20000, &c, 1));
}

struct waiter {
	int fd;
	int reaped, result;
};

static void *reap_all(void *opaque)
{
	struct waiter *waiter = opaque;
	struct mxaccel_completion c;

	while ((waiter->result = mx_wait(waiter->fd, 20000, &c, 1)) > 0)
		waiter->reaped++;
	return NULL;
}

TEST_F(jobs, several_threads_reap)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 8);
	struct waiter waiter[3];
	pthread_t thread[3];
	int i, reaped = 0;

	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, mx_submit(self->fd, &submit));
	for (i = 0; i < 3; i++) {
		waiter[i] = (struct waiter){ .fd = self->fd };
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, reap_all, &waiter[i]));
	}
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_EQ(-ENODATA, waiter[i].result);
		reaped += waiter[i].reaped;
	}
	EXPECT_EQ(100, reaped);
}

TEST_F(jobs, counters_of_a_scope)
{
	uint64_t before[64], after[64], device[64];
	struct mxaccel_counters counters = {
		.size = sizeof(counters), .scope = MXACCEL_SCOPE_CONTEXT, .count = 64,
		.values = (uintptr_t)before,
	};

	ASSERT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_COUNTERS, &counters));
	EXPECT_EQ(MXACCEL_CTR_NR, counters.count);
	ASSERT_EQ(0, rig_check(&self->rig));
	counters.values = (uintptr_t)after;
	ASSERT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_COUNTERS, &counters));
	EXPECT_EQ(before[MXACCEL_CTR_JOBS] + 1, after[MXACCEL_CTR_JOBS]);
	EXPECT_EQ(before[MXACCEL_CTR_TOKENS] + 10, after[MXACCEL_CTR_TOKENS]);

	counters.scope = MXACCEL_SCOPE_MODEL;
	counters.model = self->rig.model;
	ASSERT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_COUNTERS, &counters));
	EXPECT_LE(1, after[MXACCEL_CTR_JOBS]);
	counters.model = UINT32_MAX;
	EXPECT_EQ(-ENOENT, mx_ioctl(self->fd, MXACCEL_IOC_COUNTERS, &counters));

	/* Room for one: no more is written. */
	counters = (struct mxaccel_counters){
		.size = sizeof(counters), .count = 1, .values = (uintptr_t)device,
	};
	device[1] = 42;
	ASSERT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_COUNTERS, &counters));
	EXPECT_EQ(42, device[1]);
	EXPECT_EQ(MXACCEL_CTR_NR, counters.count);
}

TEST_HARNESS_MAIN
