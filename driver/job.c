// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs, whichever door they come by: submission, completion, cancelling, and the
 * watchdog that ends those the chip does not end itself.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "job.h"
#include "trace.h"

#define MX_WATCH_BATCH	16	/* expired jobs handled in one round */

static unsigned int mx_job_timeout_ms = 120000;
module_param_named(job_timeout_ms, mx_job_timeout_ms, uint, 0644);
MODULE_PARM_DESC(job_timeout_ms,
		 "Deadline of jobs that ask for none, in ms, times the platform's timeout scale (default 120000)");

static struct kmem_cache *mx_job_cache;

/* With a constructor, and so not cleared at each use: mx_job_new() sets what matters. */
static void mx_job_construct(void *mem)
{
	struct mx_job *job = mem;

	INIT_LIST_HEAD(&job->node);
}

int mx_jobs_init(void)
{
	mx_job_cache = kmem_cache_create("mxaccel_job", sizeof(struct mx_job), 0, SLAB_ACCOUNT,
					 mx_job_construct);
	return mx_job_cache ? 0 : -ENOMEM;
}

void mx_jobs_exit(void)
{
	kmem_cache_destroy(mx_job_cache);
}

static void mx_job_free(struct kref *ref)
{
	kmem_cache_free(mx_job_cache, container_of(ref, struct mx_job, ref));
}

void mx_job_put(struct mx_job *job)
{
	kref_put(&job->ref, mx_job_free);
}

/* Ends the job's use of buffers and model. */
static void mx_job_unuse(struct mx_job *job)
{
	if (job->in) {
		atomic_dec(&job->in->jobs);
		atomic_dec(&job->out->jobs);
		atomic_dec(&job->grant->jobs);
	}
	atomic_dec(&job->file->mx->jobs);
}

/*
 * Moves an ended job to where its door looks for it. Return: whether it is to be
 * handed to its ring now. With done_lock.
 */
static bool mx_job_sort(struct mx_job *job)
{
	struct mx_file *file = job->file;

	file->nr_running--;
	if (job->door == MX_DOOR_IOCTL) {
		list_move_tail(&job->node, &file->done);
		return false;
	}
	list_del_init(&job->node);
	file->nr_uring--;
	file->nr_jobs--;
	if (atomic_cmpxchg(&job->issue, MX_ISSUING, MX_ENDED) == MX_ISSUING)
		return false;
	if (job->door == MX_DOOR_URING)
		return true;
	list_add_tail(&job->node, &file->polled);
	return false;
}

/* mx_rq.done of a job */
static void mx_job_done(struct mx_rq *rq)
{
	struct mx_job *job = container_of(rq, struct mx_job, rq);
	struct mxaccel_completion *completion = &job->completion;
	struct mx_file *file = job->file;
	bool to_ring;

	completion->result = rq->result;
	completion->status = rq->status;
	completion->field = rq->field;
	completion->error = rq->error;
	if (rq->status == MXACCEL_ST_ABORTED && rq->error != -ENODEV && READ_ONCE(job->expired))
		completion->error = -ETIMEDOUT;
	if (!completion->error && mx_inject_job()) {
		completion->status = MXACCEL_ST_DMA_ERROR;
		completion->error = -EIO;
	}
	trace_mx_job_complete(file->mx, completion->job, file->ctx, rq, completion->error);
	if (job->out)
		mx_buf_sync(file->mx, job->out, job->out_offset, job->out_bytes, true);
	mx_job_unuse(job);

	/* The file may be freed as soon as the lock is dropped, but for a job in @to_ring. */
	spin_lock(&file->done_lock);
	file->stats.completed += !completion->error;
	file->stats.failed += !!completion->error;
	to_ring = mx_job_sort(job);
	/* A waiter queues first and then looks at the lists, with the lock that we hold. */
	if (waitqueue_active(&file->wait))
		wake_up_all(&file->wait);
	spin_unlock(&file->done_lock);
	if (to_ring)
		mx_uring_done(job);
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
static int mx_job_use(struct mx_job *job, const struct mxaccel_submit *submit, bool nonblock)
{
	struct mx_file *file = job->file;
	struct mx_grant *grant;
	struct mx_buf *in, *out;
	int err = 0;

	if (nonblock && !mutex_trylock(&file->lock))
		return -EBUSY;
	if (!nonblock)
		mutex_lock(&file->lock);
	grant = xa_load(&file->models, submit->model);
	in = mx_job_buffer(file, submit->in_handle, MXACCEL_BUF_READ, submit->in_offset,
			   submit->in_bytes);
	out = mx_job_buffer(file, submit->out_handle, MXACCEL_BUF_WRITE, submit->out_offset,
			    submit->out_bytes);
	if (!grant)
		err = -ENOENT;
	else if (IS_ERR(in))
		err = PTR_ERR(in);
	else if (IS_ERR(out))
		err = PTR_ERR(out);
	if (!err) {
		job->grant = grant;
		job->in = in;
		job->out = out;
		atomic_inc(&in->jobs);
		atomic_inc(&out->jobs);
		atomic_inc(&grant->jobs);
	}
	mutex_unlock(&file->lock);
	return err;
}

/* Puts the job into its file's list; -EAGAIN if that is full. */
static int mx_job_enlist(struct mx_job *job)
{
	struct mx_file *file = job->file;
	int err = -EAGAIN;

	spin_lock(&file->done_lock);
	if (file->nr_jobs < READ_ONCE(file->mx->file_depth)) {
		list_add_tail(&job->node, &file->running);
		file->stats.submitted++;
		file->nr_uring += job->door != MX_DOOR_IOCTL;
		file->nr_running++;
		file->nr_jobs++;
		err = 0;
	}
	spin_unlock(&file->done_lock);
	return err;
}

static void mx_job_delist(struct mx_job *job)
{
	struct mx_file *file = job->file;

	spin_lock(&file->done_lock);
	list_del_init(&job->node);
	file->stats.submitted--;
	file->nr_uring -= job->door != MX_DOOR_IOCTL;
	file->nr_running--;
	file->nr_jobs--;
	wake_up_all(&file->wait);
	spin_unlock(&file->done_lock);
}

static void mx_job_fill(struct mx_job *job, const struct mxaccel_submit *submit, u32 timeout_ms,
			struct mxaccel_sqe *sqe)
{
	sqe->opcode = MXACCEL_IO_JOB;
	sqe->flags = submit->flags & MXACCEL_SUBMIT_SCHEDULE ? MXACCEL_JOB_SCHEDULE : 0;
	sqe->ctx = cpu_to_le32(job->file->ctx);
	sqe->job.model = cpu_to_le32(submit->model);
	sqe->job.entry = cpu_to_le16(submit->entry);
	sqe->job.nr_seq = cpu_to_le32(submit->nr_seq);
	sqe->job.tokens = cpu_to_le32(submit->tokens);
	sqe->job.in_handle = cpu_to_le32(submit->in_handle);
	sqe->job.out_handle = cpu_to_le32(submit->out_handle);
	sqe->job.in_offset = cpu_to_le64(submit->in_offset);
	sqe->job.out_offset = cpu_to_le64(submit->out_offset);
	sqe->job.in_bytes = cpu_to_le32(submit->in_bytes);
	sqe->job.out_bytes = cpu_to_le32(submit->out_bytes);
	sqe->job.timeout_ms = cpu_to_le32(timeout_ms);
}

/* The queue of this processor; the last ones share, if there are fewer queues. */
static struct mx_queue *mx_queue_here(struct mx_dev *mx)
{
	unsigned int cpu = raw_smp_processor_id();

	return &mx->io[cpu < mx->nr_io ? cpu : cpu % mx->nr_io];
}

/* With everything checked, gives the job to the queue of this processor. */
static int mx_job_queue(struct mx_job *job, const struct mxaccel_submit *submit)
{
	struct mx_dev *mx = job->file->mx;
	u32 timeout_ms = submit->timeout_ms;
	struct mxaccel_sqe sqe = { .opcode = MXACCEL_IO_NOP };
	struct mx_queue *q;
	int err;

	job->patience = 0;
	job->progress = 0;
	if (job->in) {
		/* One that asked for no deadline may take as long as it gets on. */
		if (!timeout_ms)
			job->patience = mx_timeout(mx, READ_ONCE(mx_job_timeout_ms));
		if (job->patience && !(mx->hw_features & MXACCEL_FEATURE_PROGRESS))
			timeout_ms = min_t(u64, jiffies_to_msecs(job->patience), U32_MAX);
		mx_job_fill(job, submit, timeout_ms, &sqe);
		mx_buf_sync(mx, job->in, submit->in_offset, submit->in_bytes, false);
	}
	job->deadline = jiffies + (job->patience && !timeout_ms ? job->patience : mx->job_margin);
	if (timeout_ms)
		job->deadline += msecs_to_jiffies(min_t(u32, timeout_ms, INT_MAX / 2));

	err = mx_job_enlist(job);
	if (err)
		return err;
	q = mx_queue_here(mx);
	/* Before it is given away: it may complete, and be gone, at any time after that. */
	trace_mx_job_submit(mx, job->completion.job, job->file->ctx, q->qid, &sqe);
	err = mx_queue_put(q, &job->rq, &sqe);
	/* A live file finds only a queue closed that is being made anew. */
	if (err == -ENODEV && !mx_file_dead(job->file))
		err = -EAGAIN;
	if (err) {
		mx_job_delist(job);
		return err;
	}
	/* One that is pending finds this job: it was counted before. */
	smp_mb();
	if (!delayed_work_pending(&mx->watchdog))
		queue_delayed_work(mx_workqueue, &mx->watchdog, HZ);
	return 0;
}

/**
 * mx_job_new() - a job that was not started yet
 * @file:	whose it is
 * @submit:	checked by mx_submit_check()
 * @door:	where it came from
 *
 * Return: the job, with one reference, or NULL.
 */
struct mx_job *mx_job_new(struct mx_file *file, const struct mxaccel_submit *submit,
			  enum mx_door door)
{
	struct mx_job *job = kmem_cache_alloc(mx_job_cache, GFP_KERNEL);

	if (!job)
		return NULL;
	/* Member by member: most of a job is of no use to one that does nothing. */
	kref_init(&job->ref);
	job->rq.done = mx_job_done;
	job->rq.polled = door == MX_DOOR_POLLED;
	atomic_set(&job->rq.holds, 0);
	job->file = file;
	job->in = NULL;
	job->out = NULL;
	job->grant = NULL;
	job->out_offset = submit->out_offset;
	job->out_bytes = submit->out_bytes;
	job->expired = false;
	job->door = door;
	atomic_set(&job->issue, MX_ISSUING);
	job->cmd = NULL;
	job->owner = NULL;
	job->cancelling = 0;
	job->completion.job = atomic64_inc_return(&file->mx->next_job);
	job->completion.user_data = submit->user_data;
	return job;
}

/**
 * mx_job_start() - put a job into its queue; the caller then rings
 * @job:	new; if this succeeds, it may be gone at any time
 * @submit:	what it is to do
 * @nonblock:	do not wait for a lock that is held for long
 *
 * Inside mx_enter(). Return: 0, or negative errno, and the job is still the caller's:
 * -EBUSY it would have waited, -EAGAIN there is no place for it.
 */
int mx_job_start(struct mx_job *job, const struct mxaccel_submit *submit, bool nonblock)
{
	int err;

	if (!(submit->flags & MXACCEL_SUBMIT_NOP)) {
		err = mx_job_use(job, submit, nonblock);
		if (err)
			return err;
	}
	atomic_inc(&job->file->mx->jobs);
	err = mx_job_queue(job, submit);
	if (err)
		mx_job_unuse(job);
	return err;
}

/* The ioctl */
int mx_job_submit(struct mx_file *file, void *arg)
{
	struct mxaccel_submit *submit = arg;
	struct mx_queue *q;
	struct mx_job *job;
	int idx, err;
	u64 id;

	err = mx_submit_check(submit, file->mx->hw_features);
	if (err)
		return err;
	job = mx_job_new(file, submit, MX_DOOR_IOCTL);
	if (!job)
		return -ENOMEM;
	id = job->completion.job;
	err = mx_file_enter(file, &idx);
	if (err)
		goto put_job;
	/* Keeps @job, and so the queue that it went to, for the ring. */
	kref_get(&job->ref);
	err = mx_job_start(job, submit, false);
	q = job->rq.queue;
	mx_job_put(job);
	if (!err)
		mx_queue_kick(q);
	mx_exit(file->mx, idx);
	if (err)
		goto put_job;
	submit->job = id;
	return 0;

put_job:
	mx_job_put(job);
	return err;
}

/* --------------------------------------------------- cancelling, deadlines */

/* Keeps a job and its command id if it is in flight. With done_lock. */
bool mx_job_hold(struct mx_job *job)
{
	if (!mx_rq_hold(&job->rq))
		return false;
	kref_get(&job->ref);
	return true;
}

void mx_job_release(struct mx_job *job)
{
	mx_rq_put(&job->rq);
	mx_job_put(job);
}

static bool mx_job_is_meant(const struct mx_job *job, const struct mxaccel_cancel *cancel)
{
	if (cancel->flags & MXACCEL_CANCEL_USER_DATA)
		return job->completion.user_data == cancel->job;
	return job->completion.job == cancel->job;
}

int mx_job_cancel(struct mx_file *file, void *arg)
{
	struct mxaccel_cancel *cancel = arg;
	struct mx_job *job, *found = NULL;
	int idx, err;

	if (cancel->flags & ~MXACCEL_CANCEL_USER_DATA)
		return -EINVAL;
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	spin_lock(&file->done_lock);
	list_for_each_entry(job, &file->running, node) {
		if (mx_job_is_meant(job, cancel) && mx_job_hold(job)) {
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
	u64 progress = 0;
	enum mx_late late;

	/* Did we miss an interrupt? */
	if (mx_queue_poll(job->rq.queue) && !job->rq.polled)
		dev_warn(&mx->dev, "queue %u: an interrupt got lost\n", job->rq.queue->qid);
	/* Our hold is the last one if that has completed it. */
	late = mx_job_late(atomic_read(&job->rq.holds) != 1, job->expired, jiffies, job->deadline);
	if (late == MX_LATE_NOT)
		return;
	if (late == MX_LATE_ABORT && job->patience && !mx_progress(mx, &job->rq, &progress) &&
	    progress != MXACCEL_PROGRESS_NONE && progress != job->progress) {
		job->progress = progress;
		job->deadline = jiffies + job->patience;
		return;
	}
	/* It may have completed since we looked. */
	if (progress == MXACCEL_PROGRESS_NONE) {
		mx_queue_poll(job->rq.queue);
		if (atomic_read(&job->rq.holds) == 1)
			return;
	}
	/* An abort does not bring a completion back that was lost. */
	if (late == MX_LATE_RESET || progress == MXACCEL_PROGRESS_NONE) {
		WRITE_ONCE(job->expired, true);
		mx_queue_reset(mx, job->rq.queue);
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
