// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reaping: completions of jobs that came by ioctl wait in their file until a
 * call fetches them.
 */
#include <linux/uaccess.h>

#include "job.h"

#define MX_REAP_BATCH	16	/* completions copied to the user at a time */

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
		mx_job_put(job);
	}
	return 0;
}

/* Something for a waiter: a completion, nothing left to wait for, or the end. */
static bool mx_wait_over(struct mx_file *file)
{
	bool over;

	spin_lock(&file->done_lock);
	over = !list_empty(&file->done) || file->nr_running == file->nr_uring;
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
		/* EINTR, but to go on if it was only work for this task, as of io_uring. */
		if (left < 0)
			return -ERESTARTNOHAND;
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
		mx_job_put(job);
	}
}
