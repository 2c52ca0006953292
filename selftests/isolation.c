// SPDX-License-Identifier: GPL-2.0-only
/* What one file or process can do to another: nothing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

FIXTURE(two)
{
	struct mx_rig a, b;
};

FIXTURE_SETUP(two)
{
	ASSERT_EQ(0, rig_open(&self->a));
	ASSERT_EQ(0, rig_open(&self->b));
}

FIXTURE_TEARDOWN(two)
{
	EXPECT_EQ(0, rig_check(&self->a));
	EXPECT_EQ(0, rig_check(&self->b));
	rig_close(&self->a);
	rig_close(&self->b);
}

TEST_F(two, handles_of_the_other)
{
	struct mxaccel_submit submit = rig_job(&self->b, ENTRY_ROWS, 1, 3);
	struct mxaccel_completion c;
	uint32_t handle, mine;

	/* A handle that only the other has */
	ASSERT_EQ(0, mx_buf_create(self->a.fd, MXACCEL_BUF_READ, self->a.in, 64, &handle));
	EXPECT_EQ(-ENOENT, mx_buf_free(self->b.fd, handle));
	submit.in_handle = handle;
	EXPECT_EQ(-ENOENT, mx_submit(self->b.fd, &submit));
	/* The same number may be in use by both, and means each one's own. */
	ASSERT_EQ(0, mx_buf_create(self->b.fd, MXACCEL_BUF_READ, self->b.in, 64, &mine));
	EXPECT_EQ(handle, mine);
	EXPECT_EQ(0, mx_buf_free(self->a.fd, handle));
	EXPECT_EQ(0, mx_submit(self->b.fd, &submit));
	EXPECT_EQ(1, mx_wait(self->b.fd, 20000, &c, 1));
}

TEST_F(two, models_of_the_other)
{
	struct mxaccel_submit submit = rig_job(&self->b, ENTRY_ROWS, 1, 3);

	ASSERT_EQ(0, mx_model_close(self->b.fd, self->b.model));
	EXPECT_EQ(-ENOENT, mx_submit(self->b.fd, &submit));
	EXPECT_EQ(-ENOENT, mx_model_close(self->b.fd, self->a.model));
	EXPECT_EQ(-EBUSY, mx_model_delete(self->b.fd, self->a.model));
	EXPECT_EQ(0, rig_check(&self->a));
	ASSERT_EQ(0, mx_model_open(self->b.fd, self->b.tm, &self->b.model));
}

TEST_F(two, jobs_of_the_other)
{
	struct mxaccel_submit submit = rig_long_job(&self->a);
	struct mxaccel_completion c;

	ASSERT_EQ(0, mx_submit(self->a.fd, &submit));
	EXPECT_EQ(-ENOENT, mx_cancel(self->b.fd, submit.job));
	EXPECT_EQ(-ENODATA, mx_wait(self->b.fd, 0, &c, 1));
	EXPECT_EQ(0, mx_cancel(self->a.fd, submit.job));
	EXPECT_EQ(1, mx_wait(self->a.fd, 20000, &c, 1));
}

TEST_F(two, a_flood_by_the_other)
{
	struct mxaccel_submit flood = rig_job(&self->a, ENTRY_LONG, 4, TM_TOKENS);
	struct mxaccel_query query = { .size = sizeof(query) };
	uint32_t i;

	ASSERT_EQ(0, mx_ioctl(self->a.fd, MXACCEL_IOC_QUERY, &query));
	for (i = 0; i < query.queue_depth; i++)
		ASSERT_EQ(0, mx_submit(self->a.fd, &flood));
	EXPECT_EQ(-EAGAIN, mx_submit(self->a.fd, &flood));
	/* A job of ours does not wait for all of theirs. */
	EXPECT_EQ(0, rig_check(&self->b));
	EXPECT_LT(query.queue_depth / 2, mx_sysfs_number("jobs_in_flight"));
	close(self->a.fd);
	EXPECT_EQ(0, mx_sysfs_number("jobs_in_flight"));
	self->a.fd = -1;
	rig_close(&self->a);
	ASSERT_EQ(0, rig_open(&self->a));
}

/* A process with a job in flight; tells over @ready when it is. Does not return. */
static void victim(int ready)
{
	struct mxaccel_completion c;
	struct mxaccel_submit submit;
	struct mx_rig rig;

	if (rig_open(&rig))
		_exit(1);
	submit = rig_long_job(&rig);
	if (mx_submit(rig.fd, &submit) || mx_submit(rig.fd, &submit) || write(ready, "", 1) != 1)
		_exit(2);
	mx_wait(rig.fd, UINT32_MAX, &c, 1);
	_exit(3);
}

TEST_F(two, killed_with_jobs_in_flight)
{
	long long contexts = mx_sysfs_number("chip/max_contexts"), i;
	long long resets = mx_sysfs_number("reset_count");
	char path[64];
	int ready[2], status;
	pid_t pid;
	char byte;

	snprintf(path, sizeof(path), "models/%u/grants", self->a.model);
	EXPECT_EQ(2, mx_sysfs_number(path));
	/* More often than there are contexts, so that one lost would be missed. */
	for (i = 0; i < contexts + 2 && i < 12; i++) {
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		if (!pid)
			victim(ready[1]);
		close(ready[1]);
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		close(ready[0]);
		EXPECT_EQ(2, mx_sysfs_number("jobs_in_flight"));
		EXPECT_EQ(3, mx_sysfs_number(path));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		/* Nothing of it is left. */
		EXPECT_EQ(0, mx_sysfs_number("jobs_in_flight"));
		EXPECT_EQ(2, mx_sysfs_number(path));
	}
	EXPECT_EQ(resets, mx_sysfs_number("reset_count"));
}

static const char *read_sysfs(const char *name)
{
	static char text[4097];

	return mx_read_file(mx_sysfs(name), text, sizeof(text)) < 0 ? "" : text;
}

/* A process that uses a model, under a name of its own, until its input ends. */
static void hold_model(int ready, int until)
{
	struct mx_rig rig;
	char byte;

	prctl(PR_SET_NAME, "some holder");
	if (rig_open(&rig) || write(ready, "", 1) != 1)
		_exit(1);
	_exit(read(until, &byte, 1) != 0);
}

TEST_F(two, who_uses_a_model)
{
	struct mxaccel_model_delete delete = { .size = sizeof(delete), .model = self->a.model };
	int ready[2], until[2], status;
	char path[64], line[64], byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(until));
	pid = fork();
	if (!pid) {
		close(until[1]);
		hold_model(ready[1], until[0]);
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(-EBUSY, mx_ioctl(self->b.fd, MXACCEL_IOC_MODEL_DELETE, &delete));
	EXPECT_EQ(3, delete.nr_holders);
	EXPECT_EQ(getpid(), delete.holder_pid);

	ASSERT_EQ(0, mx_model_close(self->a.fd, self->a.model));
	ASSERT_EQ(0, mx_model_close(self->b.fd, self->b.model));
	EXPECT_EQ(-EBUSY, mx_ioctl(self->b.fd, MXACCEL_IOC_MODEL_DELETE, &delete));
	EXPECT_EQ(1, delete.nr_holders);
	EXPECT_EQ(pid, delete.holder_pid);
	EXPECT_STREQ("some holder", delete.holder);
	snprintf(path, sizeof(path), "models/%u/holders", self->a.model);
	snprintf(line, sizeof(line), "%d some holder", pid);
	EXPECT_STREQ(line, read_sysfs(path));
	EXPECT_TRUE(strstr(read_sysfs("holders"), line));

	/* As a program of before knows the call, it gets nothing that it has no room for. */
	delete = (struct mxaccel_model_delete){
		.size = 8, .model = self->a.model, .holder_pid = 7,
	};
	EXPECT_EQ(-EBUSY, mx_ioctl(self->b.fd, MXACCEL_IOC_MODEL_DELETE, &delete));
	EXPECT_EQ(7, delete.holder_pid);

	close(until[0]);
	close(until[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FALSE(strstr(read_sysfs("holders"), line));
	ASSERT_EQ(0, mx_model_open(self->a.fd, self->a.tm, &self->a.model));
	ASSERT_EQ(0, mx_model_open(self->b.fd, self->b.tm, &self->b.model));
}

TEST(as_many_files_as_contexts)
{
	long long contexts = mx_sysfs_number("chip/max_contexts"), i;
	int *fd = calloc(contexts, sizeof(*fd));

	for (i = 0; i < contexts; i++) {
		fd[i] = mx_open();
		ASSERT_LE(0, fd[i]);
	}
	EXPECT_EQ(-EBUSY, mx_open());
	close(fd[contexts / 2]);
	fd[contexts / 2] = mx_open();
	EXPECT_LE(0, fd[contexts / 2]);
	for (i = 0; i < contexts; i++)
		close(fd[i]);
	free(fd);
}

/* However many jobs each of many files has, there is a place for another's. */
TEST(files_share_the_queue)
{
	unsigned int files = mx_sysfs_number("chip/max_contexts"), nr[16] = { 0 }, i;
	struct mxaccel_submit submit;
	struct mx_rig rigs[16];

	if (files > 16)
		files = 16;
	for (i = 0; i < files; i++)
		ASSERT_EQ(0, rig_open(&rigs[i]));
	for (i = 0; i < files; i++) {
		submit = rig_job(&rigs[i], ENTRY_ROWS, 1, 1);
		while (!mx_submit(rigs[i].fd, &submit))
			nr[i]++;
		EXPECT_LT(0, nr[i]);
		EXPECT_EQ(nr[0], nr[i]);
	}
	for (i = 0; i < files; i++)
		rig_close(&rigs[i]);
}

TEST(a_forked_child_has_the_file_of_its_parent)
{
	struct mx_rig rig;
	int status;
	pid_t pid;

	ASSERT_EQ(0, rig_open(&rig));
	pid = fork();
	if (!pid) {
		/* Its copy of pinned memory is its own, so it makes a buffer. */
		struct mxaccel_submit submit = rig_job(&rig, ENTRY_ROWS, 1, 3);
		struct mxaccel_completion c;
		uint32_t in, out;
		void *mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

		memcpy(mem, rig.in, 12);
		if (mx_buf_create(rig.fd, MXACCEL_BUF_READ, mem, 12, &in) ||
		    mx_buf_create(rig.fd, MXACCEL_BUF_WRITE, mem + 16, 8000, &out))
			_exit(1);
		submit.in_handle = in;
		submit.out_handle = out;
		if (mx_submit(rig.fd, &submit) || mx_wait(rig.fd, 20000, &c, 1) != 1 || c.error)
			_exit(2);
		_exit(!rig_result_good(mem, mem + 16, 3));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, rig_check(&rig));
	rig_close(&rig);
}

TEST_HARNESS_MAIN
