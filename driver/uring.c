// SPDX-License-Identifier: GPL-2.0-only
/*
 * The second door: jobs as commands of io_uring. What is submitted together is
 * rung together, when the submitter's plug is pulled.
 *
 * Jobs name buffers that are pinned and mapped for the chip already, so that
 * io_uring's registered buffers would have nothing to add.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/io_uring_types.h>
#ifdef MX_HAVE_URING_CMD_H
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif
#include <linux/slab.h>

#include "job.h"

#ifndef MX_HAVE_URING_SQE_CMD
#define mx_cmd_payload(ioucmd)	((ioucmd)->cmd)
#else
#define mx_cmd_payload(ioucmd)	io_uring_sqe_cmd((ioucmd)->sqe)
#endif
/* Needs one completion of each, and gets one: the ring's task need not wake for each. */
#ifdef MX_HAVE_URING_LAZY
#define mx_cmd_in_task		io_uring_cmd_do_in_task_lazy
#else
#define mx_cmd_in_task		io_uring_cmd_complete_in_task
#endif

/* The payload of an entry of 128 bytes, less the header of an entry of 64 */
#define MX_CMD_BYTES	80

/* Our part of a command */
static struct mx_job **mx_cmd_job(struct io_uring_cmd *cmd)
{
	BUILD_BUG_ON(sizeof(struct mx_job *) > sizeof_field(struct io_uring_cmd, pdu));
	return (struct mx_job **)cmd->pdu;
}

/* Ends the command; the job is not ours any more. */
static void mx_uring_deliver(struct io_uring_cmd *cmd, struct mx_job *job,
			     unsigned int issue_flags)
{
	const struct mxaccel_completion *c = &job->completion;
	int error = c->error;
	u64 extra = c->result;

	if (error)
		extra = (u32)c->result * BIT_ULL(32) | (u32)c->field << 16 | c->status;
	io_uring_cmd_done(cmd, error, extra, issue_flags);
	mx_job_put(job);
}

static void mx_uring_in_task(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	mx_uring_deliver(cmd, *mx_cmd_job(cmd), issue_flags);
}

/* A job has completed, and nobody is submitting or polling it. */
void mx_uring_done(struct mx_job *job)
{
	mx_cmd_in_task(job->cmd, mx_uring_in_task);
}

/* ------------------------------------------------------------- the doorbell */

/**
 * struct mx_plug - a doorbell that waits until the submitter has no more commands
 * @cb:		@cb.data is the queue
 * @filp:	held, so that the device is there
 * @work:	rings instead of a submitter that is about to sleep
 */
struct mx_plug {
	struct blk_plug_cb cb;
	struct file *filp;
	struct work_struct work;
};

static void mx_plug_ring(struct mx_plug *plug)
{
	struct mx_file *file = plug->filp->private_data;
	int idx;

	/* After a reset nothing of what was put is left to be rung. */
	if (!mx_file_enter(file, &idx)) {
		mx_queue_kick(plug->cb.data);
		mx_exit(file->mx, idx);
	}
	fput(plug->filp);
	kfree(plug);
}

static void mx_plug_work(struct work_struct *work)
{
	mx_plug_ring(container_of(work, struct mx_plug, work));
}

static void mx_unplug(struct blk_plug_cb *cb, bool from_schedule)
{
	struct mx_plug *plug = container_of(cb, struct mx_plug, cb);

	/* Ringing alone will not do: the queue may not ask for interrupts yet. */
	if (from_schedule) {
		INIT_WORK(&plug->work, mx_plug_work);
		queue_work(mx_workqueue, &plug->work);
	} else {
		mx_plug_ring(plug);
	}
}

/* Return: false if the doorbell is to be rung now. */
static bool mx_uring_plug(struct io_uring_cmd *cmd, struct mx_queue *q)
{
	struct blk_plug_cb *cb = blk_check_plugged(mx_unplug, q, sizeof(struct mx_plug));
	struct mx_plug *plug = container_of(cb, struct mx_plug, cb);

	if (!cb)
		return false;
	if (!plug->filp)
		plug->filp = get_file(cmd->file);
	return true;
}

/* --------------------------------------------------------------- submission */

/* Copied once: the ring is memory of the process. */
static int mx_uring_get(struct io_uring_cmd *cmd, struct mxaccel_submit *submit)
{
	BUILD_BUG_ON(sizeof(*submit) != MX_CMD_BYTES);
	memcpy(submit, mx_cmd_payload(cmd), sizeof(*submit));
	barrier();
	if (submit->size < sizeof(*submit))
		return -EINVAL;
	return submit->size > sizeof(*submit) ? -E2BIG : 0;
}

/* Rings for a started job, or leaves that for later. The job may be gone after this. */
static void mx_uring_ring(struct io_uring_cmd *cmd, struct mx_job *job)
{
	struct mx_queue *q = job->rq.queue;

	if (mx_uring_plug(cmd, q))
		return;
	if (job->door == MX_DOOR_POLLED)
		mx_queue_ring(q);
	else
		mx_queue_kick(q);
}

static int mx_uring_issue(struct io_uring_cmd *cmd, struct mx_job *job,
			  const struct mxaccel_submit *submit, unsigned int issue_flags)
{
	struct mx_file *file = job->file;
	int idx, err;

	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_job_start(job, submit, issue_flags & IO_URING_F_NONBLOCK);
	if (!err)
		mx_uring_ring(cmd, job);
	mx_exit(file->mx, idx);
	return err;
}

/* What io_uring takes for "try again where waiting is allowed" must not be an answer. */
static int mx_uring_refuse(struct io_uring_cmd *cmd, int err, unsigned int issue_flags)
{
	if (err == -EBUSY)
		return -EAGAIN;
	if (err != -EAGAIN)
		return err;
	io_uring_cmd_done(cmd, err, 0, issue_flags);
	return -EIOCBQUEUED;
}

static int mx_uring_submit(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct mx_file *file = cmd->file->private_data;
	bool polled = issue_flags & IO_URING_F_IOPOLL;
	struct mxaccel_submit submit;
	struct mx_job *job;
	int err;

	if (!(issue_flags & IO_URING_F_SQE128))
		return -EINVAL;
	err = mx_uring_get(cmd, &submit);
	if (!err)
		err = mx_submit_check(&submit, file->mx->hw_features);
	if (err)
		return err;
	job = mx_job_new(file, &submit, polled ? MX_DOOR_POLLED : MX_DOOR_URING);
	if (!job)
		return -ENOMEM;
	job->cmd = cmd;
	job->owner = current->files;
	*mx_cmd_job(cmd) = job;

	err = mx_uring_issue(cmd, job, &submit, issue_flags);
	if (err) {
		mx_job_put(job);
		return mx_uring_refuse(cmd, err, issue_flags);
	}
#ifdef MX_HAVE_URING_CANCEL
	if (!polled && atomic_read(&job->issue) == MX_ISSUING)
		io_uring_cmd_mark_cancelable(cmd, issue_flags);
#endif
	/* From here on the command is another's, unless it has completed already. */
	if (atomic_cmpxchg(&job->issue, MX_ISSUING, MX_ISSUED) != MX_ISSUING)
		mx_uring_deliver(cmd, job, issue_flags);
	return -EIOCBQUEUED;
}

/* -------------------------------------------------------------------- polling */

/*
 * Called by whoever holds the lock of the command's ring: ends all jobs of that
 * ring that have completed. Return: how many.
 */
static int mx_uring_deliver_polled(struct mx_file *file, struct io_uring_cmd *cmd)
{
	struct io_ring_ctx *ring = cmd_to_io_kiocb(cmd)->ctx;
	struct mx_job *job, *next;
	LIST_HEAD(jobs);
	int nr = 0;

	spin_lock(&file->done_lock);
	list_for_each_entry_safe(job, next, &file->polled, node)
		if (cmd_to_io_kiocb(job->cmd)->ctx == ring)
			list_move_tail(&job->node, &jobs);
	spin_unlock(&file->done_lock);
	list_for_each_entry_safe(job, next, &jobs, node) {
		list_del_init(&job->node);
		mx_uring_deliver(job->cmd, job, 0);
		nr++;
	}
	return nr;
}

int mx_uring_iopoll(struct io_uring_cmd *cmd, struct io_comp_batch *batch, unsigned int poll_flags)
{
	struct mx_file *file = cmd->file->private_data;
	struct mx_job *job = *mx_cmd_job(cmd);
	int idx, nr;

	nr = mx_uring_deliver_polled(file, cmd);
	if (nr || mx_file_enter(file, &idx))
		return nr;
	mx_queue_poll(job->rq.queue);
	mx_exit(file->mx, idx);
	return mx_uring_deliver_polled(file, cmd);
}

/* ----------------------------------------------------------------- cancelling */

void mx_uring_cancel_work(struct work_struct *work)
{
	struct mx_job *job = container_of(work, struct mx_job, cancel_work);
	struct mx_dev *mx = job->rq.queue->mx;
	int idx;

	if (mx_enter(mx, &idx)) {
		mx_abort(mx, &job->rq);
		mx_exit(mx, idx);
	}
	mx_job_release(job);
	put_device(&mx->dev);
}

/* Has a job aborted by a worker, if it is in flight and that was not done yet. */
static void mx_uring_abort(struct mx_job *job)
{
	if (test_and_set_bit(0, &job->cancelling))
		return;
	if (!mx_job_hold(job)) {
		clear_bit(0, &job->cancelling);
		return;
	}
	get_device(&job->rq.queue->mx->dev);
	/* Not in the cache's constructor: debugging forgets work when its memory is freed. */
	INIT_WORK(&job->cancel_work, mx_uring_cancel_work);
	queue_work(mx_workqueue, &job->cancel_work);
}

/**
 * mx_uring_end() - abort what a process has submitted, as it ends
 * @file:	the file
 * @owner:	the process's table of files
 */
void mx_uring_end(struct mx_file *file, void *owner)
{
	struct mx_job *job;

	spin_lock(&file->done_lock);
	list_for_each_entry(job, &file->running, node)
		if (job->door != MX_DOOR_IOCTL && job->owner == owner)
			mx_uring_abort(job);
	spin_unlock(&file->done_lock);
}

int mx_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
#ifdef MX_HAVE_URING_CANCEL
	/* The ring or its task goes away; the completion still ends the command. */
	if (issue_flags & IO_URING_F_CANCEL) {
		mx_uring_abort(*mx_cmd_job(cmd));
		return 0;
	}
#endif
	if (cmd->cmd_op != MXACCEL_URING_SUBMIT)
		return -ENOTTY;
	return mx_uring_submit(cmd, issue_flags);
}
