// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has the device or a model of it open, for those that are told EBUSY. A file is
 * named by the process that opened it, which may have passed it on since.
 */
#include <linux/sched.h>
#include <linux/sysfs.h>

#include "mxaccel_drv.h"

#define MX_HOLDER_LINE	(11 + TASK_COMM_LEN + 1)	/* the longest: number, name, newline */

/* Does a file count? With files_lock; the grant itself is not looked at. */
static bool mx_holds(struct mx_file *file, u32 model)
{
	return file->ctx && (model == MX_NO_MODEL || xa_load(&file->models, model));
}

/**
 * mx_holder() - who uses a model
 * @mx:		device
 * @model:	id
 * @pid:	out: of the process that opened the oldest such file, as the caller's PID
 *		namespace numbers it; 0 if there is none, or none that it can see
 * @comm:	out: its name then, terminated
 *
 * Return: how many files use it.
 */
u32 mx_holder(struct mx_dev *mx, u32 model, u32 *pid, char comm[TASK_COMM_LEN])
{
	struct mx_file *file;
	u32 nr = 0;

	*pid = 0;
	comm[0] = '\0';
	mutex_lock(&mx->files_lock);
	list_for_each_entry(file, &mx->files, node) {
		if (!mx_holds(file, model) || nr++)
			continue;
		*pid = pid_vnr(file->opener);
		if (*pid)
			strscpy(comm, file->comm, TASK_COMM_LEN);
	}
	mutex_unlock(&mx->files_lock);
	return nr;
}

/* One line for each file that is open or, unless @model is MX_NO_MODEL, that uses it. */
ssize_t mx_show_holders(struct mx_dev *mx, u32 model, char *buf)
{
	struct mx_file *file;
	int at = 0;

	mutex_lock(&mx->files_lock);
	list_for_each_entry(file, &mx->files, node)
		if (mx_holds(file, model) && at + MX_HOLDER_LINE < PAGE_SIZE)
			at += sysfs_emit_at(buf, at, "%d %s\n", pid_vnr(file->opener), file->comm);
	mutex_unlock(&mx->files_lock);
	return at;
}
