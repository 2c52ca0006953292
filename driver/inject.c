// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors on demand, in the way of the kernel's fault injection: a folder of
 * debugfs for each kind, with probability, interval, times and so on
 * (Documentation/fault-injection of the kernel).
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>

#include "mxaccel_drv.h"

static DECLARE_FAULT_ATTR(mx_fail_admin);
static DECLARE_FAULT_ATTR(mx_fail_job);
static DECLARE_FAULT_ATTR(mx_lose_interrupt);

void mx_inject_init(struct dentry *root)
{
	fault_create_debugfs_attr("fail_admin", root, &mx_fail_admin);
	fault_create_debugfs_attr("fail_job", root, &mx_fail_job);
	fault_create_debugfs_attr("lose_interrupt", root, &mx_lose_interrupt);
}

/*
 * A task's fail-nth counts all kinds; of ours, only those that were asked for, so
 * that a sweep over failing allocations is one over these only.
 */
static bool mx_inject(struct fault_attr *attr)
{
	return attr->probability && should_fail(attr, 1);
}

/* Shall an admin command fail, as if the chip could not read host memory? */
bool mx_inject_admin(void)
{
	return mx_inject(&mx_fail_admin);
}

/* Shall a job, which has worked, be reported as one whose memory could not be read? */
bool mx_inject_job(void)
{
	return mx_inject(&mx_fail_job);
}

/* Shall an interrupt be taken for nobody's? What it was about is found by polling. */
bool mx_inject_interrupt(void)
{
	return mx_inject(&mx_lose_interrupt);
}
