// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs: submission, completion, reaping, cancelling, and the watchdog that
 * ends those the chip does not end itself.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mxaccel_drv.h"
#include "trace.h"

#define MX_REAP_BATCH	16	/* completions copied to the user at a time */
#define MX_WATCH_BATCH	16	/* expired jobs handled in one round */

static unsigned int mx_job_timeout_ms = 120000;
module_param_named(job_timeout_ms, mx_job_timeout_ms, uint, 0644);
MODULE_PARM_DESC(job_timeout_ms,
		 "Deadline of jobs that ask for none, in ms, times the platform's timeout scale (default 120000)");

/**
 * struct mx_job - a job, from SUBMIT until it was reaped
 * @rq:		its command
 * @ref:	the file's list, and whoever is cancelling it
 * @node:	in mx_file.running or mx_file.done; under mx_file.done_lock
 * @file:	valid while it is in a list
 * @in:		input buffer, while in flight
 * @out:	result buffer, while in flight
 * @grant:	model, while in flight
 * @out_offset:	range of the result
 * @out_bytes:	as above
 * @deadline:	when the watchdog acts, in jiffies; the watchdog's, once submitted
 * @expired:	the watchdog has asked the chip to abort it
 * @completion:	for the user
 */
struct mx_job {
	struct mx_rq rq;
	struct kref ref;
	struct list_head node;
	struct mx_file *file;
	struct mx_buf *in;
	struct mx_buf *out;
	struct mx_grant *grant;
	u64 out_offset;
	u32 out_bytes;
	unsigned long deadline;
	bool expired;
	struct mxaccel_completion completion;
};

static void mx_job_free(struct kref *ref)
{
	kfree(container_of(ref, struct mx_job, ref));
}

/* Ends the job's use of buffers and model. */
static void mx_job_unuse(struct mx_job *job)
{
	atomic_dec(&job->in->jobs);
	atomic_dec(&job->out->jobs);
	atomic_dec(&job->grant->jobs);
	atomic_dec(&job->file->mx->jobs);
}

/* mx_rq.done of a job */
static void mx_job_done(struct mx_rq *rq)
{
	struct mx_job *job = container_of(rq, struct mx_job, rq);
	struct mxaccel_completion *completion = &job->completion;
	struct mx_file *file = job->file;

	completion->result = rq->result;
	completion->status = rq->status;
	completion->field = rq->field;
	completion->error = rq->error;
	if (rq->status == MXACCEL_ST_ABORTED && READ_ONCE(job->expired))
		completion->error = -ETIMEDOUT;
	if (!completion->error && mx_inject_job()) {
		completion->status = MXACCEL_ST_DMA_ERROR;
		completion->error = -EIO;
	}
	trace_mx_job_complete(file->mx, completion->job, file->ctx, rq, completion->error);
	mx_buf_sync(file->mx, job->out, job->out_offset, job->out_bytes, true);
	mx_job_unuse(job);

	/* The file may be freed as soon as the lock is dropped. */
	spin_lock(&file->done_lock);
	list_move_tail(&job->node, &file->done);
	file->stats.completed += !completion->error;
	file->stats.failed += !!completion->error;
	file->nr_running--;
	wake_up_all(&file->wait);
	spin_unlock(&file->done_lock);
}

/* -------------------------------------------------------------- submission */

static struct mx_buf *mx_job_buffer(struct mx_file *file, u32 handle, u32 access,
				    u64 offset, u32 bytes)
{
	struct mx_buf *buf = xa_load(&file->buffers, handle);
	int err;

	if (!buf)
		return ERR_PTR(-ENOENT);
	err = mx_range_check(buf->bytes, buf->access, access, offset, bytes);
	return err ? ERR_PTR(err) : buf;
}

/* Looks up what the job names and marks it as used. */
static int mx_job_use(struct mx_file *file, struct mx_job *job, const struct mxaccel_submit *submit)
{
	int err = 0;

	mutex_lock(&file->lock);
	job->grant = xa_load(&file->models, submit->model);
	job->in = mx_job_buffer(file, submit->in_handle, MXACCEL_BUF_READ, submit->in_offset,
				submit->in_bytes);
	job->out = mx_job_buffer(file, submit->out_handle, MXACCEL_BUF_WRITE, submit->out_offset,
				 submit->out_bytes);
	if (!job->grant)
		err = -ENOENT;
	else if (IS_ERR(job->in))
		err = PTR_ERR(job->in);
	else if (IS_ERR(job->out))
		err = PTR_ERR(job->out);
	if (!err) {
		atomic_inc(&job->in->jobs);
		atomic_inc(&job->out->jobs);
		atomic_inc(&job->grant->jobs);
		atomic_inc(&file->mx->jobs);
	}
	mutex_unlock(&file->lock);
	return err;
}

/* Puts the job into its file's list; -EAGAIN if that is full. */
static int mx_job_enlist(struct mx_file *file, struct mx_job *job)
{
	int err = -EAGAIN;

	spin_lock(&file->done_lock);
	if (file->nr_jobs < min(MX_FILE_DEPTH, file->mx->io_depth - 1)) {
		list_add_tail(&job->node, &file->running);
		file->stats.submitted++;
		file->nr_running++;
		file->nr_jobs++;
		err = 0;
	}
	spin_unlock(&file->done_lock);
	return err;
}

static void mx_job_delist(struct mx_file *file, struct mx_job *job)
{
	spin_lock(&file->done_lock);
	list_del(&job->node);
	file->stats.submitted--;
	file->nr_running--;
	file->nr_jobs--;
	wake_up_all(&file->wait);
	spin_unlock(&file->done_lock);
}

/* With everything checked, hands the job to the queue of this processor. */
static int mx_job_start(struct mx_file *file, struct mx_job *job,
			const struct mxaccel_submit *submit)
{
	struct mx_dev *mx = file->mx;
	u32 timeout_ms = submit->timeout_ms;
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_IO_JOB,
		.flags = submit->flags & MXACCEL_SUBMIT_SCHEDULE ? MXACCEL_JOB_SCHEDULE : 0,
		.ctx = cpu_to_le32(file->ctx),
		.job.model = cpu_to_le32(submit->model),
		.job.entry = cpu_to_le16(submit->entry),
		.job.nr_seq = cpu_to_le32(submit->nr_seq),
		.job.tokens = cpu_to_le32(submit->tokens),
		.job.in_handle = cpu_to_le32(submit->in_handle),
		.job.out_handle = cpu_to_le32(submit->out_handle),
		.job.in_offset = cpu_to_le64(submit->in_offset),
		.job.out_offset = cpu_to_le64(submit->out_offset),
		.job.in_bytes = cpu_to_le32(submit->in_bytes),
		.job.out_bytes = cpu_to_le32(submit->out_bytes),
	};
	struct mx_queue *q;
	int err;

	if (!timeout_ms)
		timeout_ms = min_t(u64, (u64)READ_ONCE(mx_job_timeout_ms) * mx->scale, U32_MAX);
	sqe.job.timeout_ms = cpu_to_le32(timeout_ms);
	job->deadline = jiffies + msecs_to_jiffies(min_t(u32, timeout_ms, INT_MAX / 2)) +
			mx_timeout(mx, MX_JOB_MARGIN_MS);
	mx_buf_sync(mx, job->in, submit->in_offset, submit->in_bytes, false);

	err = mx_job_enlist(file, job);
	if (err)
		return err;
	q = &mx->io[raw_smp_processor_id() % mx->nr_io];
	err = mx_queue_submit(q, &job->rq, &sqe);
	if (err) {
		mx_job_delist(file, job);
		return err;
	}
	queue_delayed_work(mx_workqueue, &mx->watchdog, HZ);
	return 0;
}

int mx_job_submit(struct mx_file *file, void *arg)
{
	struct mxaccel_submit *submit = arg;
	struct mx_dev *mx = file->mx;
	struct mx_job *job;
	int idx, err;
	u64 id;

	err = mx_submit_check(submit, mx->hw_features);
	if (err)
		return err;

	job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	if (!job)
		return -ENOMEM;
	kref_init(&job->ref);
	job->rq.done = mx_job_done;
	job->file = file;
	job->out_offset = submit->out_offset;
	job->out_bytes = submit->out_bytes;
	/* Once it was started, it may be gone at any time. */
	id = atomic64_inc_return(&mx->next_job);
	job->completion.job = id;
	job->completion.user_data = submit->user_data;

	err = mx_file_enter(file, &idx);
	if (err)
		goto free_job;
	err = mx_job_use(file, job, submit);
	if (err)
		goto exit;
	err = mx_job_start(file, job, submit);
	if (err)
		goto unuse;
	mx_exit(mx, idx);
	submit->job = id;
	return 0;

unuse:
	mx_job_unuse(job);
exit:
	mx_exit(mx, idx);
free_job:
	kref_put(&job->ref, mx_job_free);
	return err;
}

/* ----------------------------------------------------------------- reaping */

/* Takes up to @max done jobs off the file. Return: how many. */
static unsigned int mx_jobs_take(struct mx_file *file, unsigned int max, struct list_head *jobs)
{
	struct mx_job *job, *next;
	unsigned int nr = 0;

	spin_lock(&file->done_lock);
	list_for_each_entry_safe(job, next, &file->done, node) {
		if (nr == max)
			break;
		list_move_tail(&job->node, jobs);
		nr++;
	}
	spin_unlock(&file->done_lock);
	return nr;
}

/* Delivers @nr jobs of a list, or puts them back in their place. */
static int mx_jobs_deliver(struct mx_file *file, struct list_head *jobs, unsigned int nr,
			   struct mxaccel_completion __user *to)
{
	struct mxaccel_completion batch[MX_REAP_BATCH];
	struct mx_job *job, *next;
	unsigned int i = 0;

	list_for_each_entry(job, jobs, node)
		batch[i++] = job->completion;
	if (copy_to_user(to, batch, nr * sizeof(*to))) {
		spin_lock(&file->done_lock);
		list_splice(jobs, &file->done);
		wake_up_all(&file->wait);
		spin_unlock(&file->done_lock);
		return -EFAULT;
	}
	spin_lock(&file->done_lock);
	file->nr_jobs -= nr;
	spin_unlock(&file->done_lock);
	list_for_each_entry_safe(job, next, jobs, node) {
		list_del(&job->node);
		kref_put(&job->ref, mx_job_free);
	}
	return 0;
}

/* Something for a waiter: a completion, nothing left to wait for, or the end. */
static bool mx_wait_over(struct mx_file *file)
{
	bool over;

	spin_lock(&file->done_lock);
	over = !list_empty(&file->done) || !file->nr_running;
	spin_unlock(&file->done_lock);
	return over || mx_file_dead(file);
}

/* Delivers what is done, up to @count completions. Return: how many, or -EFAULT. */
static int mx_jobs_reap(struct mx_file *file, u32 count, struct mxaccel_completion __user *to)
{
	unsigned int nr, reaped = 0;
	LIST_HEAD(jobs);

	count = min_t(u32, count, MX_FILE_DEPTH);
	while (reaped < count) {
		nr = mx_jobs_take(file, min(count - reaped, MX_REAP_BATCH + 0U), &jobs);
		if (!nr)
			break;
		if (mx_jobs_deliver(file, &jobs, nr, to + reaped))
			return reaped ? reaped : -EFAULT;
		reaped += nr;
	}
	return reaped;
}

int mx_job_wait(struct mx_file *file, void *arg)
{
	struct mxaccel_wait *wait = arg;
	long left = MAX_SCHEDULE_TIMEOUT;
	int reaped;

	if (wait->rsvd || !wait->count)
		return -EINVAL;
	if (wait->timeout_ms != U32_MAX)
		left = msecs_to_jiffies(wait->timeout_ms);
	/* Without the gate: nothing here touches the hardware. */
	do {
		left = wait_event_interruptible_timeout(file->wait, mx_wait_over(file), left);
		if (mx_file_dead(file))
			return -ENODEV;
		reaped = mx_jobs_reap(file, wait->count, u64_to_user_ptr(wait->completions));
		if (reaped) {
			wait->count = max(reaped, 0);
			return min(reaped, 0);
		}
		if (left < 0)
			return -EINTR;
		if (mx_wait_over(file))
			return -ENODATA;
		/* If there is time left, another thread was faster: wait for the next. */
	} while (left);
	return -ETIME;
}

/* Frees what was never reaped; no job is in flight. */
void mx_jobs_discard(struct mx_file *file)
{
	struct mx_job *job, *next;

	list_for_each_entry_safe(job, next, &file->done, node) {
		list_del(&job->node);
		kref_put(&job->ref, mx_job_free);
	}
}

/* --------------------------------------------------- cancelling, deadlines */

/* Keeps a job and its command id if it is in flight. With done_lock. */
static bool mx_job_hold(struct mx_job *job)
{
	if (!mx_rq_hold(&job->rq))
		return false;
	kref_get(&job->ref);
	return true;
}

static void mx_job_release(struct mx_job *job)
{
	mx_rq_put(&job->rq);
	kref_put(&job->ref, mx_job_free);
}

int mx_job_cancel(struct mx_file *file, void *arg)
{
	struct mxaccel_cancel *cancel = arg;
	struct mx_job *job, *found = NULL;
	int idx, err;

	if (cancel->flags)
		return -EINVAL;
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	spin_lock(&file->done_lock);
	list_for_each_entry(job, &file->running, node) {
		if (job->completion.job == cancel->job && mx_job_hold(job)) {
			found = job;
			break;
		}
	}
	spin_unlock(&file->done_lock);
	err = -ENOENT;
	if (found) {
		err = mx_abort(file->mx, &found->rq);
		mx_job_release(found);
	}
	mx_exit(file->mx, idx);
	return err;
}

static unsigned int mx_jobs_expired(struct mx_dev *mx, struct mx_job **expired)
{
	struct mx_file *file;
	struct mx_job *job;
	unsigned int nr = 0;

	mutex_lock(&mx->files_lock);
	list_for_each_entry(file, &mx->files, node) {
		spin_lock(&file->done_lock);
		list_for_each_entry(job, &file->running, node) {
			if (nr < MX_WATCH_BATCH && time_after(jiffies, job->deadline) &&
			    mx_job_hold(job))
				expired[nr++] = job;
		}
		spin_unlock(&file->done_lock);
	}
	mutex_unlock(&mx->files_lock);
	return nr;
}

/* A job that is past its deadline and the chip's chance to end it itself. */
static void mx_job_expire(struct mx_dev *mx, struct mx_job *job)
{
	enum mx_late late;

	/* Did we miss an interrupt? */
	if (mx_queue_poll(job->rq.queue))
		dev_warn(&mx->dev, "queue %u: an interrupt got lost\n", job->rq.queue->qid);
	/* Our hold is the last one if that has completed it. */
	late = mx_job_late(atomic_read(&job->rq.holds) != 1, job->expired, jiffies, job->deadline);
	if (late == MX_LATE_NOT)
		return;
	if (late == MX_LATE_RESET) {
		mx_fail(mx, READ_ONCE(mx->generation), "a job does not stop");
		return;
	}
	dev_warn(&mx->dev, "job %llu is past its deadline: aborting it\n", job->completion.job);
	WRITE_ONCE(job->expired, true);
	job->deadline = jiffies + mx_timeout(mx, MX_ABORT_TIMEOUT_MS);
	mx_abort(mx, &job->rq);
}

/* Runs every second while jobs are in flight. */
void mx_watchdog(struct work_struct *work)
{
	struct mx_dev *mx = container_of(work, struct mx_dev, watchdog.work);
	struct mx_job *expired[MX_WATCH_BATCH];
	unsigned int nr, i;
	u32 status;
	int idx;

	if (!mx_enter(mx, &idx))
		return;
	status = readl(mx->regs + MXACCEL_REG_STATUS);
	if (status & MXACCEL_STATUS_FATAL)
		mx_fail(mx, READ_ONCE(mx->generation), "chip reports a failure");
	nr = mx_jobs_expired(mx, expired);
	for (i = 0; i < nr; i++) {
		mx_job_expire(mx, expired[i]);
		mx_job_release(expired[i]);
	}
	if (atomic_read(&mx->jobs))
		queue_delayed_work(mx_workqueue, &mx->watchdog, HZ);
	mx_exit(mx, idx);
}
