// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation and every copy from or to the user fails once: each way into
 * the driver is gone with the first failing, then the second, until none is
 * left. Whatever fails gives a plain error, and the next try works. What is lost
 * on the way is found by kmemleak (leaks.sh).
 *
 * Needs CONFIG_FAULT_INJECTION with failslab; other kernels skip it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

#define DEBUG		"/sys/kernel/debug"
#define DRIVER		"/sys/bus/pci/drivers/mxaccel"
#define MOST_FAILURES	2000	/* of one way; there are about 300 in the longest */
#define BUFFER_BYTES	65536

FIXTURE(fail_nth)
{
	int nth;		/* this thread's fail-nth file */
	struct mx_rig rig;
	struct testmodel *other;
	void *memory;
	char function[64];	/* PCI address */
};

/* Failures are quiet, and also come where the allocation could have waited. */
static int prepare_kernel(void)
{
	static const char * const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(path, sizeof(path), DEBUG "/%s", settings[i][0]);
		if (mx_write_file(path, settings[i][1]))
			return -1;
	}
	return 0;
}

FIXTURE_SETUP(fail_nth)
{
	char path[PATH_MAX];

	if (access(DEBUG "/failslab", F_OK))
		return;		/* A test that is skipped here would run all the same. */
	ASSERT_EQ(0, prepare_kernel());
	self->nth = open("/proc/thread-self/fail-nth", O_RDWR);
	ASSERT_GE(self->nth, 0);
	ASSERT_NE(NULL, realpath(mx_sysfs("device"), path));
	snprintf(self->function, sizeof(self->function), "%s", strrchr(path, '/') + 1);
	self->other = tm_make(77, 3 * 65536);
	self->memory = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(fail_nth)
{
	/* Skipped */
	if (!self->other)
		return;
	/* The device is as good as before. */
	rig_close(&self->rig);
	ASSERT_EQ(0, rig_open(&self->rig));
	EXPECT_EQ(0, rig_check(&self->rig));
	rig_close(&self->rig);
	EXPECT_EQ(0, mx_sysfs_number("jobs_in_flight"));
	tm_free(self->other);
	close(self->nth);
}

static void arm(int nth, int count)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", count);

	if (pwrite(nth, text, length, 0) != length)
		abort();
}

/* Ends it. Return: whether the failure has happened. Reading and writing can be hit, too. */
static bool disarm(int nth)
{
	char text[16] = "";
	ssize_t got = pread(nth, text, sizeof(text), 0);
	bool hit = got > 0 && text[0] == '0';

	while (pwrite(nth, "0", 1, 0) != 1)
		;
	return hit;
}

#define state_t FIXTURE_DATA(fail_nth)

/* A way into the driver; 0 or negative errno. What it made is undone by @undo. */
struct way {
	int (*go)(state_t *self);
	void (*undo)(state_t *self);
};

/* Return: 0, or 1 after saying what is wrong. */
static int sweep(state_t *self, const struct way *way, const char *name)
{
	int count, err, failures = 0;
	bool hit;

	for (count = 1; count < MOST_FAILURES; count++) {
		arm(self->nth, count);
		err = way->go(self);
		hit = disarm(self->nth);
		if (err && err != -ENOMEM && err != -EFAULT) {
			printf("# %s: failure %d gives %s\n", name, count, strerror(-err));
			return 1;
		}
		if (way->undo)
			way->undo(self);
		if (!hit) {
			printf("# %s: %d places to fail, %d of them with an error\n", name,
			       count - 1, failures);
			if (err || !failures)
				printf("# %s: %s\n", name, err ? strerror(-err) : "none failed");
			return err || !failures;
		}
		failures += !!err;
		err = way->go(self);
		if (err) {
			printf("# %s: after failure %d the next try gives %s\n", name, count,
			       strerror(-err));
			return 1;
		}
		if (way->undo)
			way->undo(self);
	}
	printf("# %s: does not work even after %d failures\n", name, count);
	return 1;
}

static void test_way(struct __test_metadata *_metadata, state_t *self, const struct way *way,
		     const char *name)
{
	if (access(DEBUG "/failslab", F_OK))
		SKIP(return, "this kernel has no failslab");
	EXPECT_EQ(0, sweep(self, way, name));
	fflush(stdout);
}

#define SWEEP(name, go, undo)						\
	TEST_F(fail_nth, name)						\
	{								\
		static const struct way way = { go, undo };		\
									\
		test_way(_metadata, self, &way, #name);			\
	}

/* ------------------------------------------------------------------ ways */

static int go_open(state_t *self __attribute__((unused)))
{
	int fd = open(mx_device(), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}
SWEEP(open, go_open, NULL)

static int go_query(state_t *self)
{
	struct mxaccel_query query = {
		.size = sizeof(query), .identify = (uintptr_t)self->memory,
		.health = (uintptr_t)self->memory + 8192,
	};

	return mx_ioctl(self->rig.fd, MXACCEL_IOC_QUERY, &query);
}
SWEEP(query, go_query, NULL)

static int go_program(state_t *self)
{
	return mx_program_shared(self->rig.fd, self->other, NULL);
}

static void undo_program(state_t *self)
{
	uint32_t model;

	/* It may be there although its result could not be delivered. */
	if (mx_model_open(self->rig.fd, self->other, &model))
		return;
	while (!mx_model_close(self->rig.fd, model))
		;
	mx_model_delete(self->rig.fd, model);
}
SWEEP(model_program, go_program, undo_program)

static int go_model_open(state_t *self)
{
	uint32_t model;
	int fd = mx_open(), err;

	if (fd < 0)
		return fd;
	err = mx_model_open(fd, self->rig.tm, &model);
	if (!err)
		err = mx_model_close(fd, model);
	close(fd);
	return err;
}
SWEEP(model_open_close, go_model_open, NULL)

static int go_model_list(state_t *self)
{
	struct mxaccel_model_list list = {
		.size = sizeof(list), .infos = (uintptr_t)self->memory, .count = 4,
	};

	return mx_ioctl(self->rig.fd, MXACCEL_IOC_MODEL_LIST, &list);
}
SWEEP(model_list, go_model_list, NULL)

static int create_buffer(void *memory)
{
	uint32_t handle;
	int fd = mx_open(), err;

	if (fd < 0)
		return fd;
	err = mx_buf_create(fd, MXACCEL_BUF_READ | MXACCEL_BUF_WRITE, memory, BUFFER_BYTES,
			    &handle);
	if (!err)
		err = mx_buf_free(fd, handle);
	close(fd);
	return err;
}

static int go_buffer_of_user(state_t *self)
{
	return create_buffer(self->memory);
}
SWEEP(buffer_of_user, go_buffer_of_user, NULL)

static int go_buffer_of_driver(state_t *self __attribute__((unused)))
{
	return create_buffer(NULL);
}
SWEEP(buffer_of_driver, go_buffer_of_driver, NULL)

static int go_map(state_t *self __attribute__((unused)))
{
	struct mxaccel_buf_create create = {
		.size = sizeof(create), .flags = MXACCEL_BUF_READ,
		.bytes = BUFFER_BYTES,
	};
	int fd = mx_open(), err;
	void *mapped;

	if (fd < 0)
		return fd;
	err = mx_ioctl(fd, MXACCEL_IOC_BUF_CREATE, &create);
	if (!err) {
		mapped = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			      create.mmap_offset);
		err = mapped == MAP_FAILED ? -errno : 0;
		if (!err)
			munmap(mapped, BUFFER_BYTES);
	}
	close(fd);
	return err;
}
SWEEP(map_buffer, go_map, NULL)

static int go_job(state_t *self)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 2, 3);
	int err = mx_submit(self->rig.fd, &submit);
	struct mxaccel_completion c[8];

	if (!err)
		err = mx_wait(self->rig.fd, 60000, c, 8);
	return err < 0 ? err : 0;
}

/* Reaps what a try has submitted that then failed. */
static void undo_job(state_t *self)
{
	struct mxaccel_completion c[8];

	while (mx_wait(self->rig.fd, 60000, c, 8) > 0)
		;
}
SWEEP(job, go_job, undo_job)

static int go_cancel(state_t *self)
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	int err = mx_submit(self->rig.fd, &submit);

	if (err)
		return err;
	return mx_cancel(self->rig.fd, submit.job);
}

static void undo_cancel(state_t *self)
{
	/* A long job that was not cancelled ends with its file. */
	rig_close(&self->rig);
	if (rig_open(&self->rig))
		abort();
}
SWEEP(cancel, go_cancel, undo_cancel)

static int go_counters(state_t *self)
{
	struct mxaccel_counters counters = {
		.size = sizeof(counters), .values = (uintptr_t)self->memory, .count = 8,
	};
	int err;

	err = mx_ioctl(self->rig.fd, MXACCEL_IOC_COUNTERS, &counters);
	if (!err) {
		counters.scope = MXACCEL_SCOPE_CONTEXT;
		err = mx_ioctl(self->rig.fd, MXACCEL_IOC_COUNTERS, &counters);
	}
	if (!err) {
		counters.scope = MXACCEL_SCOPE_MODEL;
		counters.model = self->rig.model;
		err = mx_ioctl(self->rig.fd, MXACCEL_IOC_COUNTERS, &counters);
	}
	return err;
}
SWEEP(counters, go_counters, NULL)

static int read_file(const char *path)
{
	char text[4096];
	int got = mx_read_file(path, text, sizeof(text));

	return got < 0 ? got : 0;
}

static int go_sysfs(state_t *self __attribute__((unused)))
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s", mx_sysfs("chip/free_bytes"));
	err = read_file(path);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s", mx_sysfs("health/wear_max"));
	return read_file(path);
}
SWEEP(sysfs, go_sysfs, NULL)

static int go_fdinfo(state_t *self)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->rig.fd);
	return read_file(path);
}
SWEEP(fdinfo, go_fdinfo, NULL)

TEST_HARNESS_MAIN
