// SPDX-License-Identifier: GPL-2.0-only
/*
 * Suspend and resume. Processes are frozen meanwhile, so nothing is submitted.
 * Jobs in flight get some time to end; then open files outlive the sleep, and
 * the chip is told anew of their contexts, models and buffers. If jobs take
 * too long, or the chip does not come back as it was, it is a reset to them.
 */
#include <linux/delay.h>

#include "mxaccel_drv.h"

#define MX_SUSPEND_MS	2000U	/* for jobs to end, times the scale */

static bool mx_jobs_end(struct mx_dev *mx)
{
	unsigned long end = jiffies + mx_timeout(mx, MX_SUSPEND_MS);

	while (atomic_read(&mx->jobs)) {
		if (time_after(jiffies, end))
			return false;
		msleep(20);
	}
	return true;
}

static int mx_suspend(struct device *dev)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	mutex_lock(&mx->reset_lock);
	if (READ_ONCE(mx->state) != MX_LIVE)
		goto out;
	if (mx_jobs_end(mx)) {
		mx_set_state(mx, MX_SUSPENDED);
		mx_stop_chip(mx);
		synchronize_srcu(&mx->srcu);
	} else {
		mx_record_error(mx, "suspend: %d jobs do not end", atomic_read(&mx->jobs));
		mx_set_state(mx, MX_RESETTING);
		mx_quiesce(mx);
	}
out:
	mutex_unlock(&mx->reset_lock);
	return 0;
}

/* Tells the chip of an open file: nothing of it has changed meanwhile. */
static int mx_file_restore(struct mx_file *file)
{
	struct mx_dev *mx = file->mx;
	struct mx_grant *grant;
	struct mx_buf *buf;
	unsigned long index;
	int err;

	err = mx_ctx_command(mx, MXACCEL_ADM_CTX_CREATE, file->ctx);
	if (err)
		return err;
	xa_for_each(&file->models, index, grant) {
		err = mx_model_command(mx, MXACCEL_ADM_MODEL_GRANT, file->ctx, index);
		if (err)
			return err;
	}
	xa_for_each(&file->buffers, index, buf) {
		err = mx_buf_register(file, buf, index);
		if (err)
			return err;
	}
	return 0;
}

static int mx_files_restore(struct mx_dev *mx)
{
	struct mx_file *file;
	int err = 0;

	mutex_lock(&mx->files_lock);
	list_for_each_entry(file, &mx->files, node) {
		/* Those of an earlier generation have given everything back. */
		if (file->generation == mx->generation && file->ctx)
			err = mx_file_restore(file);
		if (err)
			break;
	}
	mutex_unlock(&mx->files_lock);
	return err;
}

static int mx_resume(struct device *dev)
{
	struct mx_dev *mx = dev_get_drvdata(dev);
	int err;

	mutex_lock(&mx->reset_lock);
	if (READ_ONCE(mx->state) == MX_SUSPENDED) {
		err = mx_bring_up(mx);
		if (!err)
			err = mx_files_restore(mx);
		if (!err) {
			mx_set_state(mx, MX_LIVE);
			goto out;
		}
		mx_record_error(mx, "resume: %d, resetting the chip", err);
		mx_set_state(mx, MX_RESETTING);
		mx_quiesce(mx);
	}
	mx_revive(mx);
out:
	mutex_unlock(&mx->reset_lock);
	return 0;
}

DEFINE_SIMPLE_DEV_PM_OPS(mx_pm_ops, mx_suspend, mx_resume);
