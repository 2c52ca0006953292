// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system sleeps, as far as devices notice (pm_test): open files, buffers,
 * models and what they can do are the same afterwards. The program stays in
 * memory, as what its files lie on may not survive a sleep.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

FIXTURE(suspend)
{
	struct mx_rig rig;
	long long resets;
};

FIXTURE_SETUP(suspend)
{
	if (access("/sys/power/pm_test", W_OK))
		SKIP(return, "this kernel has no pm_test");
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	ASSERT_EQ(0, mx_write_file("/sys/power/sync_on_suspend", "0"));
	self->resets = mx_sysfs_number("reset_count");
	ASSERT_EQ(0, rig_open(&self->rig));
	ASSERT_EQ(0, rig_check(&self->rig));
}

FIXTURE_TEARDOWN(suspend)
{
	rig_close(&self->rig);
	EXPECT_EQ(0, mx_sysfs_number("jobs_in_flight"));
	EXPECT_EQ(0, mx_write_file("/sys/power/pm_test", "none"));
}

static int sleep_once(const char *level)
{
	int err = mx_write_file("/sys/power/pm_test", level);

	return err ? err : mx_write_file("/sys/power/state", "mem");
}

/*
 * One sleep only, as the test machine's root file system does not survive it. Short
 * jobs end first; their results wait to be reaped.
 */
TEST_F_TIMEOUT(suspend, with_jobs_in_flight, 120)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 1);
	struct mxaccel_completion c[8];
	int i, got = 0, n;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	ASSERT_EQ(0, sleep_once("devices"));
	while (got < 8) {
		n = mx_wait(self->rig.fd, 10000, c + got, 8 - got);
		ASSERT_LT(0, n);
		got += n;
	}
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, c[i].error);
	EXPECT_EQ(0, rig_check(&self->rig));
	EXPECT_EQ(self->resets, mx_sysfs_number("reset_count"));
}

TEST_HARNESS_MAIN
