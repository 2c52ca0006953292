// SPDX-License-Identifier: GPL-2.0-only
/*
 * What watches the driver: perf events, hwmon, fdinfo, tracepoints, debugfs. Each
 * is compared with the chip's own counters, and with events open the device goes
 * away and comes back.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

#define DRIVER	"/sys/bus/pci/drivers/mxaccel"
#define PMUS	"/sys/bus/event_source/devices"
#define TRACING	"/sys/kernel/tracing"

FIXTURE(observe)
{
	struct mx_rig rig;
	char name[32];		/* mxaccelN */
	char function[64];	/* PCI address */
};

FIXTURE_SETUP(observe)
{
	char path[PATH_MAX];

	ASSERT_NE(NULL, realpath(mx_sysfs("device"), path));
	snprintf(self->function, sizeof(self->function), "%s", strrchr(path, '/') + 1);
	ASSERT_NE(NULL, realpath(mx_sysfs(NULL), path));
	snprintf(self->name, sizeof(self->name), "%s", strrchr(path, '/') + 1);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(observe)
{
	rig_close(&self->rig);
}

/* The number in a file of the PMU: "type", or "events/cycles" after "event=". */
static long pmu_number(const char *pmu, const char *file)
{
	char path[PATH_MAX], text[64], *at;

	snprintf(path, sizeof(path), PMUS "/%s/%s", pmu, file);
	if (mx_read_file(path, text, sizeof(text)) < 0)
		return -1;
	at = strchr(text, '=');
	return strtol(at ? at + 1 : text, NULL, 0);
}

static struct perf_event_attr event_attr(const char *pmu, const char *event)
{
	char file[64];

	snprintf(file, sizeof(file), "events/%s", event);
	return (struct perf_event_attr){
		.size = sizeof(struct perf_event_attr),
		.type = pmu_number(pmu, "type"),
		.config = pmu_number(pmu, file),
	};
}

static int perf_open(struct perf_event_attr *attr, pid_t task, int cpu)
{
	int fd = syscall(SYS_perf_event_open, attr, task, cpu, -1, 0);

	return fd < 0 ? -errno : fd;
}

static long long perf_count(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? (long long)count : -errno;
}

/* Events count what sysfs counts, and nothing of before. */
TEST_F(observe, perf_counts)
{
	static const char * const events[] = { "cycles", "jobs", "tokens", "energy_static_fj" };
	struct perf_event_attr attr;
	long long before[4];
	char file[64];
	int fd[4], i;

	for (i = 0; i < 4; i++) {
		attr = event_attr(self->name, events[i]);
		fd[i] = perf_open(&attr, -1, 0);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(0, perf_count(fd[i]));
		snprintf(file, sizeof(file), "perf/%s", events[i]);
		before[i] = mx_sysfs_number(file);
	}
	ASSERT_EQ(0, rig_check(&self->rig));
	for (i = 0; i < 4; i++) {
		snprintf(file, sizeof(file), "perf/%s", events[i]);
		EXPECT_EQ(mx_sysfs_number(file) - before[i], perf_count(fd[i]));
		EXPECT_LT(0, perf_count(fd[i]));
		close(fd[i]);
	}
}

/* They are of the whole chip: no task, no sampling, no counter that there is not. */
TEST_F(observe, perf_refuses)
{
	struct perf_event_attr attr = event_attr(self->name, "cycles");

	EXPECT_EQ(-EOPNOTSUPP, perf_open(&attr, 0, 0));
	attr.sample_period = 1000;
	EXPECT_GT(0, perf_open(&attr, -1, 0));
	attr.sample_period = 0;
	attr.config = 0xffff;
	EXPECT_EQ(-EINVAL, perf_open(&attr, -1, 0));
	attr.config = 0;
	attr.config1 = 1;
	EXPECT_EQ(-EINVAL, perf_open(&attr, -1, 0));
	attr.config1 = 0;
	attr.exclude_user = 1;
	EXPECT_EQ(-EINVAL, perf_open(&attr, -1, 0));
}

/* Every counter of sysfs is an event, and energies tell their unit. */
TEST_F(observe, perf_names)
{
	char text[64], path[PATH_MAX];

	EXPECT_LE(0, pmu_number(self->name, "events/cycles"));
	EXPECT_LE(0, pmu_number(self->name, "events/adc_saturations"));
	snprintf(path, sizeof(path), PMUS "/%s/events/energy_adc_fj.unit", self->name);
	ASSERT_LT(0, mx_read_file(path, text, sizeof(text)));
	EXPECT_STREQ("uJ", text);
	snprintf(path, sizeof(path), PMUS "/%s/events/energy_adc_fj.scale", self->name);
	ASSERT_LT(0, mx_read_file(path, text, sizeof(text)));
	EXPECT_STREQ("1e-9", text);
	snprintf(path, sizeof(path), PMUS "/%s/events/cycles.unit", self->name);
	EXPECT_EQ(-ENOENT, mx_read_file(path, text, sizeof(text)));
}

/* An open event outlives its device, keeps its count, and keeps the module. */
TEST_F(observe, perf_outlives_device)
{
	struct perf_event_attr attr = event_attr(self->name, "jobs");
	int fd = perf_open(&attr, -1, 0), later;
	long long count;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rig_check(&self->rig));
	count = perf_count(fd);
	EXPECT_EQ(1, count);
	ASSERT_EQ(0, mx_write_file(DRIVER "/unbind", self->function));
	EXPECT_EQ(count, perf_count(fd));
	EXPECT_EQ(-ENODEV, perf_open(&attr, -1, 0));
	EXPECT_EQ(-1, syscall(SYS_delete_module, "mxaccel", O_NONBLOCK));
	ASSERT_EQ(0, mx_write_file(DRIVER "/bind", self->function));

	rig_close(&self->rig);
	ASSERT_EQ(0, rig_open(&self->rig));
	later = perf_open(&attr, -1, 0);
	ASSERT_LE(0, later);
	ASSERT_EQ(0, rig_check(&self->rig));
	EXPECT_EQ(count, perf_count(fd));
	EXPECT_EQ(1, perf_count(later));
	close(fd);
	close(later);
}

/* The energies of hwmon are the sum of the counters, in microjoules. */
TEST_F(observe, hwmon_energy)
{
	char path[PATH_MAX + 300], dir[PATH_MAX], text[64];
	long long total = 0, value;
	struct dirent *entry;
	DIR *hwmon;
	int i;

	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/hwmon", self->function);
	hwmon = opendir(dir);
	ASSERT_NE(NULL, hwmon);
	while ((entry = readdir(hwmon)) && strncmp(entry->d_name, "hwmon", 5))
		;
	ASSERT_NE(NULL, entry);
	/* Components are rounded down, each by less than 1. */
	for (i = 0; i <= 21; i++) {
		snprintf(path, sizeof(path), "%s/%s/energy%d_input", dir, entry->d_name, i + 1);
		ASSERT_LT(0, mx_read_file(path, text, sizeof(text)));
		value = atoll(text);
		total = i ? total - value : value;
	}
	closedir(hwmon);
	EXPECT_LE(0, total);
	EXPECT_GE(21, total);
}

/* A number behind a key of this file's fdinfo. */
static long long file_number(int fd, const char *key)
{
	char path[PATH_MAX], line[256];
	long long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			value = atoll(line + strlen(key) + 1);
	if (file)
		fclose(file);
	return value;
}

TEST_F(observe, fdinfo_counts)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 1);
	struct mxaccel_completion c;
	int other = mx_open();

	EXPECT_EQ(0, file_number(self->rig.fd, "mxaccel-jobs-submitted"));
	EXPECT_EQ(2, file_number(self->rig.fd, "mxaccel-buffers"));
	EXPECT_EQ(1, file_number(self->rig.fd, "mxaccel-models"));
	ASSERT_EQ(0, rig_check(&self->rig));
	EXPECT_EQ(1, file_number(self->rig.fd, "mxaccel-jobs-submitted"));
	EXPECT_EQ(1, file_number(self->rig.fd, "mxaccel-jobs-completed"));
	EXPECT_LT(0, file_number(self->rig.fd, "mxaccel-cycles-chip"));

	self->rig.in[0] = -5;	/* no token */
	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	ASSERT_EQ(1, mx_wait(self->rig.fd, 60000, &c, 1));
	EXPECT_EQ(1, file_number(self->rig.fd, "mxaccel-jobs-failed"));

	/* Nothing of this is seen in another file. */
	EXPECT_EQ(0, file_number(other, "mxaccel-jobs-submitted"));
	EXPECT_EQ(0, file_number(other, "mxaccel-cycles-chip"));
	EXPECT_NE(file_number(other, "mxaccel-client-id"),
		  file_number(self->rig.fd, "mxaccel-client-id"));
	close(other);
}

/* A job's lines in the trace have the id that its completion has. */
TEST_F(observe, trace_of_a_job)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 1);
	char line[512], submitted[64], completed[64];
	struct mxaccel_completion c;
	int seen = 0;
	FILE *trace;

	if (access(TRACING "/events/mxaccel", F_OK))
		SKIP(return, "this kernel has no tracepoints");
	ASSERT_EQ(0, mx_write_file(TRACING "/events/mxaccel/enable", "1"));
	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	ASSERT_EQ(1, mx_wait(self->rig.fd, 60000, &c, 1));
	ASSERT_EQ(0, mx_write_file(TRACING "/events/mxaccel/enable", "0"));
	snprintf(submitted, sizeof(submitted), "job=%llu ", (unsigned long long)submit.job);
	snprintf(completed, sizeof(completed), "error=%d", c.error);
	trace = fopen(TRACING "/trace", "r");
	ASSERT_NE(NULL, trace);
	while (fgets(line, sizeof(line), trace)) {
		if (!strstr(line, submitted))
			continue;
		if (strstr(line, "mx_job_submit:") && seen == 0)
			seen = 1;
		if (strstr(line, "mx_job_complete:") && strstr(line, completed) && seen == 1)
			seen = 2;
	}
	fclose(trace);
	EXPECT_EQ(2, seen);
}

TEST_HARNESS_MAIN
