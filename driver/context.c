// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files. Each is a context of the chip, its protection domain: buffers,
 * granted models and jobs belong to it and end with it.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "mxaccel_drv.h"

/* Is the device gone, or was it reset since the file was opened? */
bool mx_file_dead(struct mx_file *file)
{
	return READ_ONCE(file->mx->live_gen) != file->generation;
}

/**
 * mx_file_enter() - begin an operation on a file
 * @file:	the file
 * @idx:	for mx_exit()
 *
 * Return: 0; -ENODEV when the file is dead, and there is no mx_exit().
 */
int mx_file_enter(struct mx_file *file, int *idx)
{
	if (!mx_enter(file->mx, idx))
		return -ENODEV;
	if (!mx_file_dead(file))
		return 0;
	mx_exit(file->mx, *idx);
	return -ENODEV;
}

/*
 * What a queue has room for is divided among the files, so that however many of them
 * fill their part, one more finds a place. With files_lock.
 */
static void mx_files_share(struct mx_dev *mx, int added)
{
	mx->nr_files += added;
	WRITE_ONCE(mx->file_depth, mx_file_depth(mx->io_depth, mx->nr_files));
}

/**
 * mx_file_create() - open a context
 * @mx:		device, inside mx_enter(); referenced by the file
 * @out:	the file
 *
 * Return: 0; -EBUSY when the chip has no context left; -ENODEV, -ENOMEM, or
 * what the chip says.
 */
int mx_file_create(struct mx_dev *mx, struct mx_file **out)
{
	unsigned long generation = READ_ONCE(mx->live_gen);
	struct mx_file *file;
	int err;

	/* It may have stopped to be live just now. */
	if (!generation)
		return -ENODEV;
	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	file->mx = mx;
	file->generation = generation;
	mutex_init(&file->lock);
	spin_lock_init(&file->done_lock);
	INIT_LIST_HEAD(&file->running);
	INIT_LIST_HEAD(&file->done);
	INIT_LIST_HEAD(&file->polled);
	init_waitqueue_head(&file->wait);
	xa_init_flags(&file->buffers, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&file->models, XA_FLAGS_ACCOUNT);

	err = ida_alloc_range(&mx->contexts, 1, mx->max_contexts, GFP_KERNEL);
	if (err < 0) {
		if (err == -ENOSPC) {
			dev_dbg(&mx->dev, "all %u contexts are in use\n", mx->max_contexts);
			err = -EBUSY;
		}
		goto free_file;
	}
	file->ctx = err;
	file->client = atomic64_inc_return(&mx->clients);
	err = mx_ctx_command(mx, MXACCEL_ADM_CTX_CREATE, file->ctx);
	if (err)
		goto free_ctx;

	get_device(&mx->dev);
	file->opener = get_pid(task_tgid(current));
	get_task_comm(file->comm, current);
	mutex_lock(&mx->files_lock);
	list_add_tail(&file->node, &mx->files);
	mx_files_share(mx, 1);
	mutex_unlock(&mx->files_lock);
	*out = file;
	return 0;

free_ctx:
	ida_free(&mx->contexts, file->ctx);
free_file:
	kfree(file);
	return err;
}

/* No job in flight? With the lock, so that the last one's completion is over. */
static bool mx_file_idle(struct mx_file *file)
{
	bool idle;

	spin_lock(&file->done_lock);
	idle = !file->nr_running;
	spin_unlock(&file->done_lock);
	return idle;
}

/*
 * The chip drops all it knows of the file and ends its jobs. If it cannot, it
 * is stopped, which ends them too.
 */
static void mx_file_destroy_context(struct mx_file *file)
{
	struct mx_dev *mx = file->mx;
	int err;

	err = mx_ctx_command(mx, MXACCEL_ADM_CTX_DESTROY, file->ctx);
	if (err == -ENODEV)
		return;
	if (err) {
		mx_fail(mx, file->generation, "chip does not give up a context");
		return;
	}
	/* Their completions are in the queue; only an interrupt may be missing. */
	if (!wait_event_timeout(file->wait, mx_file_idle(file),
				mx_timeout(mx, MX_ADMIN_TIMEOUT_MS)))
		mx_fail(mx, file->generation, "jobs did not end with their context");
}

/**
 * mx_file_reclaim() - take back everything a file has of the hardware
 * @file:	no operation on it is under way, and the chip has forgotten it
 * @buffers:	list that gets the file's buffers, unmapped, for mx_bufs_put()
 *
 * May be called again, and does nothing then.
 */
void mx_file_reclaim(struct mx_file *file, struct list_head *buffers)
{
	struct mx_dev *mx = file->mx;
	struct mx_grant *grant;
	struct mx_buf *buf;
	unsigned long index;

	if (!file->ctx)
		return;
	/* Commands have ended; the interrupt thread may still be delivering that. */
	while (!wait_event_timeout(file->wait, mx_file_idle(file), mx_timeout(mx, 1000)))
		dev_warn(&mx->dev, "waiting for %u ended jobs\n", file->nr_running);

	xa_for_each(&file->buffers, index, buf) {
		xa_erase(&file->buffers, index);
		mx_buf_unmap(mx, buf);
		list_add(&buf->node, buffers);
	}
	xa_for_each(&file->models, index, grant)
		kfree(grant);
	xa_destroy(&file->buffers);
	xa_destroy(&file->models);
	ida_free(&mx->contexts, file->ctx);
	file->ctx = 0;
}

/* Last close of the file, also by a killed process. */
void mx_file_release(struct mx_file *file)
{
	struct mx_dev *mx = file->mx;
	LIST_HEAD(buffers);
	int idx;

	if (!mx_file_enter(file, &idx)) {
		mx_file_destroy_context(file);
		mx_file_reclaim(file, &buffers);
		mx_exit(mx, idx);
	}
	mutex_lock(&mx->files_lock);
	list_del(&file->node);
	mx_files_share(mx, -1);
	/* If it was dead, mx_quiesce() has done this, or comes too late for it. */
	mx_file_reclaim(file, &buffers);
	mutex_unlock(&mx->files_lock);

	mx_bufs_put(&buffers, false);
	mx_jobs_discard(file);
	put_pid(file->opener);
	put_device(&mx->dev);
	kfree(file);
}
