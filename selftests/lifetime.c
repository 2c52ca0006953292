// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device goes away, or is reset, while it is in use: unbind, function
 * level reset, unloading of the module. Weights survive all of it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

#define DRIVER	"/sys/bus/pci/drivers/mxaccel"

FIXTURE(lifetime)
{
	struct mx_rig rig;
	char function[64];	/* PCI address */
	char reset[PATH_MAX];
	long long resets;
};

FIXTURE_SETUP(lifetime)
{
	char path[PATH_MAX];

	ASSERT_NE(NULL, realpath(mx_sysfs("device"), path));
	snprintf(self->function, sizeof(self->function), "%s", strrchr(path, '/') + 1);
	snprintf(self->reset, sizeof(self->reset), "/sys/bus/pci/devices/%s/reset",
		 self->function);
	self->resets = mx_sysfs_number("reset_count");
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(lifetime)
{
	rig_close(&self->rig);
	/* Whatever happened: a new file works, and nothing had to be programmed. */
	ASSERT_EQ(0, rig_open(&self->rig));
	EXPECT_EQ(0, rig_check(&self->rig));
	rig_close(&self->rig);
	EXPECT_EQ(0, mx_sysfs_number("jobs_in_flight"));
}

static int unbind_driver(const char *function)
{
	return mx_write_file(DRIVER "/unbind", function);
}

static int bind_driver(const char *function)
{
	return mx_write_file(DRIVER "/bind", function);
}

/* Every call on a dead file; returns how many do not say so. */
static int calls_that_work(struct mx_rig *rig)
{
	struct pollfd poller = { .fd = rig->fd, .events = POLLIN };
	struct mxaccel_submit submit = rig_job(rig, ENTRY_ROWS, 1, 1);
	struct mxaccel_query query = { .size = sizeof(query) };
	struct mxaccel_model_list list = { .size = sizeof(list) };
	struct mxaccel_counters counters = { .size = sizeof(counters) };
	struct mxaccel_completion c;
	uint32_t handle;
	int bad = 0;

	bad += mx_ioctl(rig->fd, MXACCEL_IOC_QUERY, &query) != -ENODEV;
	bad += mx_ioctl(rig->fd, MXACCEL_IOC_MODEL_LIST, &list) != -ENODEV;
	bad += mx_ioctl(rig->fd, MXACCEL_IOC_COUNTERS, &counters) != -ENODEV;
	bad += mx_program(rig->fd, rig->tm, NULL) != -ENODEV;
	bad += mx_model_open(rig->fd, rig->tm, &handle) != -ENODEV;
	bad += mx_model_close(rig->fd, rig->model) != -ENODEV;
	bad += mx_model_delete(rig->fd, rig->model) != -ENODEV;
	bad += mx_buf_create(rig->fd, MXACCEL_BUF_READ, rig->in, 64, &handle) != -ENODEV;
	bad += mx_buf_free(rig->fd, rig->in_handle) != -ENODEV;
	bad += mx_submit(rig->fd, &submit) != -ENODEV;
	bad += mx_wait(rig->fd, 0, &c, 1) != -ENODEV;
	bad += mx_cancel(rig->fd, 1) != -ENODEV;
	bad += poll(&poller, 1, 0) != 1 || poller.revents != (POLLHUP | POLLERR);
	bad += mmap(NULL, 4096, PROT_READ, MAP_SHARED, rig->fd, 1ULL << 32) != MAP_FAILED ||
	       errno != ENODEV;
	return bad;
}

struct waiter {
	int fd;
	int wait_result;
	int poll_events;
};

static void *wait_for_ever(void *opaque)
{
	struct waiter *waiter = opaque;
	struct mxaccel_completion c;

	waiter->wait_result = mx_wait(waiter->fd, UINT32_MAX, &c, 1);
	return NULL;
}

static void *poll_for_ever(void *opaque)
{
	struct waiter *waiter = opaque;
	struct pollfd poller = { .fd = waiter->fd, .events = POLLIN };

	poll(&poller, 1, -1);
	waiter->poll_events = poller.revents;
	return NULL;
}

static int do_unbind(FIXTURE_DATA(lifetime) *self)
{
	return unbind_driver(self->function);
}

static int do_reset(FIXTURE_DATA(lifetime) *self)
{
	return mx_write_file(self->reset, "1");
}

/* Lets the device go with jobs in flight and two threads asleep on them. */
static void lose_it(struct __test_metadata *_metadata, FIXTURE_DATA(lifetime) *self,
		    int (*lose)(FIXTURE_DATA(lifetime) *self))
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	struct mxaccel_buf_create create = {
		.size = sizeof(create), .flags = MXACCEL_BUF_READ, .bytes = 4096,
	};
	struct waiter waiter = { .fd = self->rig.fd };
	pthread_t thread[2];
	uint8_t *mem;

	ASSERT_EQ(0, mx_ioctl(self->rig.fd, MXACCEL_IOC_BUF_CREATE, &create));
	mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, self->rig.fd,
		   create.mmap_offset);
	ASSERT_NE(MAP_FAILED, mem);
	mem[0] = 5;
	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	ASSERT_EQ(0, pthread_create(&thread[0], NULL, wait_for_ever, &waiter));
	ASSERT_EQ(0, pthread_create(&thread[1], NULL, poll_for_ever, &waiter));
	usleep(100000);
	ASSERT_EQ(0, lose(self));
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	EXPECT_EQ(-ENODEV, waiter.wait_result);
	EXPECT_EQ(POLLHUP | POLLERR, waiter.poll_events);
	EXPECT_EQ(0, calls_that_work(&self->rig));
	/* Memory that is mapped stays memory. */
	EXPECT_EQ(5, mem[0]);
	munmap(mem, 4096);
}

TEST_F(lifetime, unbind_with_jobs_in_flight)
{
	lose_it(_metadata, self, do_unbind);
	EXPECT_EQ(-1, access(mx_sysfs(NULL), F_OK));
	/* It comes back under its name, though the old file is open. */
	ASSERT_EQ(0, bind_driver(self->function));
	EXPECT_EQ(0, access(mx_sysfs("state"), F_OK));
	EXPECT_EQ(0, calls_that_work(&self->rig));
}

TEST_F(lifetime, reset_with_jobs_in_flight)
{
	struct mxaccel_model_program program;
	char state[32];
	int fd;

	lose_it(_metadata, self, do_reset);
	mx_read_file(mx_sysfs("state"), state, sizeof(state));
	EXPECT_STREQ("live", state);
	EXPECT_EQ(self->resets + 1, mx_sysfs_number("reset_count"));
	fd = mx_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, mx_program(fd, self->rig.tm, &program));
	EXPECT_EQ(1, program.resident);
	EXPECT_EQ(0, calls_that_work(&self->rig));
	close(fd);
}

TEST_F(lifetime, close_with_jobs_in_flight)
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	int i;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	close(self->rig.fd);
	self->rig.fd = -1;
	EXPECT_EQ(0, mx_sysfs_number("jobs_in_flight"));
	EXPECT_EQ(self->resets, mx_sysfs_number("reset_count"));
}

/* Everything that a process does, over and over; ENODEV at any place means: again. */
static int hammer(double seconds)
{
	struct timespec t;
	struct mx_rig rig;
	double end;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &t);
	end = t.tv_sec + t.tv_nsec / 1e9 + seconds;
	do {
		err = rig_open(&rig);
		while (!err)
			err = rig_check(&rig);
		rig_close(&rig);
		/* While it is unbound there is no node. */
		if (err != -ENODEV && err != -ENOENT && err != -ENXIO)
			return err < 0 ? -err : 200 + err;
		clock_gettime(CLOCK_MONOTONIC, &t);
	} while (t.tv_sec + t.tv_nsec / 1e9 < end);
	return 0;
}

static void under_load(struct __test_metadata *_metadata, FIXTURE_DATA(lifetime) *self,
		       int (*lose)(FIXTURE_DATA(lifetime) *self), bool come_back)
{
	pid_t pid[3];
	int i, status;

	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(hammer(5));
	}
	for (i = 0; i < 15; i++) {
		usleep(200000 + 37000 * i % 150000);
		EXPECT_EQ(0, lose(self));
		if (come_back)
			EXPECT_EQ(0, bind_driver(self->function));
	}
	/* The last loss ends the endless checking of each. */
	sleep(3);
	EXPECT_EQ(0, lose(self));
	if (come_back)
		EXPECT_EQ(0, bind_driver(self->function));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

TEST_F_TIMEOUT(lifetime, reset_under_load, 120)
{
	under_load(_metadata, self, do_reset, false);
}

TEST_F_TIMEOUT(lifetime, unbind_under_load, 120)
{
	under_load(_metadata, self, do_unbind, true);
}

static void *reset_later(void *opaque)
{
	usleep(1000);
	mx_write_file(opaque, "1");
	return NULL;
}

TEST_F_TIMEOUT(lifetime, reset_while_programming, 60)
{
	struct mxaccel_model_program program;
	struct testmodel *tm = tm_make(77, 100000);
	pthread_t thread;
	int i, err, fd, interrupted = 0;

	for (i = 0; i < 20; i++) {
		fd = mx_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, pthread_create(&thread, NULL, reset_later, self->reset));
		do {
			err = mx_program(fd, tm, &program);
			if (!err) {
				mx_model_close(fd, program.model);
				mx_model_delete(fd, program.model);
			}
		} while (!err);
		EXPECT_EQ(-ENODEV, err);
		interrupted += err == -ENODEV;
		pthread_join(thread, NULL);
		close(fd);
	}
	EXPECT_EQ(20, interrupted);
	/* Either it is there, whole, or it can be programmed. */
	fd = mx_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, mx_program(fd, tm, &program));
	EXPECT_EQ(0, mx_model_close(fd, program.model));
	EXPECT_EQ(0, mx_model_delete(fd, program.model));
	close(fd);
	tm_free(tm);
}

/* Takes the function's right to access memory; true if that was possible. */
static bool clear_bus_master(const char *function)
{
	char path[PATH_MAX];
	uint16_t command;
	bool done;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", function);
	fd = open(path, O_RDWR);
	done = fd >= 0 && pread(fd, &command, 2, 4) == 2;
	command &= ~4;
	done = done && pwrite(fd, &command, 2, 4) == 2;
	close(fd);
	return done;
}

/* One more reset, within 10 s. */
static void wait_for_count(struct __test_metadata *_metadata, FIXTURE_DATA(lifetime) *self)
{
	int tries;

	for (tries = 0; tries < 100 && mx_sysfs_number("reset_count") == self->resets; tries++)
		usleep(100000);
	EXPECT_EQ(self->resets + 1, mx_sysfs_number("reset_count"));
}

/* The driver sees that the chip failed, and brings it back. */
static void wait_for_reset(struct __test_metadata *_metadata, FIXTURE_DATA(lifetime) *self)
{
	char error[256];

	wait_for_count(_metadata, self);
	mx_read_file(mx_sysfs("last_error"), error, sizeof(error));
	EXPECT_NE(NULL, strstr(error, "fatal")) {
		TH_LOG("last_error: %s", error);
	}
	EXPECT_EQ(0, calls_that_work(&self->rig));
}

TEST_F(lifetime, chip_fails_with_a_job)
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	struct mxaccel_completion c;

	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	ASSERT_TRUE(clear_bus_master(self->function));
	/* It cannot even read this one. */
	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	EXPECT_EQ(-ENODEV, mx_wait(self->rig.fd, 20000, &c, 1));
	wait_for_reset(_metadata, self);
}

TEST_F(lifetime, chip_fails_with_an_admin_command)
{
	struct mxaccel_model_list list = { .size = sizeof(list) };

	ASSERT_TRUE(clear_bus_master(self->function));
	EXPECT_EQ(-ENODEV, mx_ioctl(self->rig.fd, MXACCEL_IOC_MODEL_LIST, &list));
	wait_for_reset(_metadata, self);
}

static void *read_free_bytes(void *result)
{
	*(long long *)result = mx_sysfs_number("chip/free_bytes");
	return NULL;
}

/* What unbinding waits for, a reader of sysfs, itself waits for a chip that has failed. */
TEST_F(lifetime, unbind_while_sysfs_waits)
{
	long long result = 0;
	pthread_t thread;

	ASSERT_TRUE(clear_bus_master(self->function));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_free_bytes, &result));
	/* Without the right to raise interrupts, the failure is noticed after a second. */
	usleep(300000);
	EXPECT_EQ(0, do_unbind(self));
	pthread_join(thread, NULL);
	EXPECT_EQ(-ENODEV, result);
	ASSERT_EQ(0, bind_driver(self->function));
	EXPECT_EQ(0, calls_that_work(&self->rig));
}

TEST_F(lifetime, chip_fails_while_closing)
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);

	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	ASSERT_TRUE(clear_bus_master(self->function));
	close(self->rig.fd);
	/* A worker resets the chip: closing only waits for it if it was the first to notice. */
	wait_for_count(_metadata, self);
	self->rig.fd = mx_open();
	EXPECT_LE(0, self->rig.fd);
}

/* Loads the module that fits this kernel, from $MX_MODULE or a build folder. */
static int load_module(void)
{
	const char *given = getenv("MX_MODULE");
	char path[PATH_MAX];
	struct dirent *entry;
	int fd, err = -ENOENT;
	DIR *dir;

	if (given) {
		fd = open(given, O_RDONLY | O_CLOEXEC);
		return syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	}
	dir = opendir("build/modules");
	while (err && dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "build/modules/%s/mxaccel.ko", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
		close(fd);
	}
	if (dir)
		closedir(dir);
	return err;
}

TEST_F(lifetime, module_with_an_open_file)
{
	if (access("build/modules", F_OK) && !getenv("MX_MODULE"))
		SKIP(return, "no MX_MODULE to load again");
	EXPECT_EQ(-1, syscall(SYS_delete_module, "mxaccel", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
	EXPECT_EQ(0, rig_check(&self->rig));
	/* Also when the device is gone: the file's code is the module's. */
	ASSERT_EQ(0, unbind_driver(self->function));
	EXPECT_EQ(-1, syscall(SYS_delete_module, "mxaccel", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
	EXPECT_EQ(0, calls_that_work(&self->rig));
	close(self->rig.fd);
	self->rig.fd = -1;
	EXPECT_EQ(0, syscall(SYS_delete_module, "mxaccel", O_NONBLOCK));
	ASSERT_EQ(0, load_module());
	/* And once more after use */
	rig_close(&self->rig);
	ASSERT_EQ(0, rig_open(&self->rig));
	EXPECT_EQ(0, rig_check(&self->rig));
	close(self->rig.fd);
	self->rig.fd = -1;
	EXPECT_EQ(0, syscall(SYS_delete_module, "mxaccel", O_NONBLOCK));
	ASSERT_EQ(0, load_module());
}

TEST_HARNESS_MAIN
