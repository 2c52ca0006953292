// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Blocking inference on a device node. Ids and results pass through one
 * driver-allocated buffer that is kept between calls: any host memory works,
 * and if memory or the memory-lock limit is short, smaller jobs do.
 */
#include <string.h>
#include <time.h>

#include "node.h"

#define STAGING_MIN	((uint64_t)64 << 10)
#define STAGING_MAX	((uint64_t)32 << 20)	/* results of a job, unless a sequence needs more */
#define PAUSE_MIN_NS	100000
#define PAUSE_MAX_NS	10000000
#define ALIGN64(x)	(((x) + 63) & ~(uint64_t)63)

static void staging_free(struct node_device *node)
{
	if (node->staging.ptr)
		mxrt_node_buf_free(node->fd, node->staging.handle, node->staging.ptr,
				   node->staging.bytes);
	node->staging.ptr = NULL;
	node->staging.bytes = 0;
}

static uint64_t staging_need(const struct mxrt_run *run, uint32_t batch)
{
	return ALIGN64(batch * run->in_seq) + batch * run->out_seq;
}

/* Makes room for *@batch sequences, or for fewer if memory is short. */
static int staging_get(struct node_device *node, const struct mxrt_run *run, uint32_t *batch)
{
	void *ptr;
	uint64_t bytes;
	int err;

	if (staging_need(run, *batch) <= node->staging.bytes)
		return 0;
	staging_free(node);
	for (;; *batch = (*batch + 1) / 2) {
		bytes = staging_need(run, *batch);
		if (bytes < STAGING_MIN && *batch > 1)
			bytes = STAGING_MIN;	/* for more than this call */
		bytes = (bytes + MXACCEL_PAGE - 1) & ~(uint64_t)(MXACCEL_PAGE - 1);
		ptr = NULL;
		err = mxrt_node_buf_create(node->fd, &ptr, bytes, MXRT_BUF_READ | MXRT_BUF_WRITE,
					   &node->staging.handle);
		if (err != -ENOMEM || *batch == 1)
			break;
	}
	if (err == -ENOMEM)
		return mxrt_fail(err,
				 "no %llu bytes for ids and results of a sequence on %s: out of memory, or over the memory-lock limit (ulimit -l)",
				 (unsigned long long)bytes, node->base.name);
	if (err)
		return mxrt_node_fail(&node->base, err, "get memory for ids and results");
	node->staging.ptr = ptr;
	node->staging.bytes = bytes;
	return 0;
}

/* Waits for the only job of the file that has @job; others' leftovers are dropped. */
static int wait_job(struct node_device *node, uint64_t job, struct mxaccel_completion *done)
{
	struct mxaccel_wait wait = {
		.size = sizeof(wait),
		.timeout_ms = UINT32_MAX,	/* the driver ends every job */
		.completions = (uintptr_t)done,
	};
	int err;

	do {
		wait.count = 1;
		err = mxrt_node_ioctl(node->fd, MXACCEL_IOC_WAIT, &wait);
		if (err)
			return mxrt_node_fail(&node->base, err, "wait for the job");
	} while (done->job != job);
	return 0;
}

/*
 * Submits the job. The device's queues are shared, so that others may have
 * filled them; there is nothing to wait on for a free place.
 */
static int submit_job(struct node_device *node, struct mxrt_run *run,
		      struct mxaccel_submit *submit)
{
	struct timespec pause = { .tv_nsec = PAUSE_MIN_NS };
	uint64_t now;
	int err;

	for (;;) {
		now = mxrt_now_ns();
		if (run->deadline_ns && now >= run->deadline_ns) {
			run->status = MXACCEL_ST_TIMEOUT;
			return -ETIMEDOUT;
		}
		if (run->deadline_ns)
			submit->timeout_ms = (run->deadline_ns - now + 999999) / 1000000;
		err = mxrt_node_ioctl(node->fd, MXACCEL_IOC_SUBMIT, submit);
		if (err != -EAGAIN)
			return err ? mxrt_node_fail(&node->base, err, "submit the job") : 0;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

static int run_job(struct node_device *node, struct mxrt_run *run, uint32_t batch,
		   struct mxaccel_completion *done)
{
	struct mxaccel_submit submit = {
		.size = sizeof(submit),
		.model = run->model->use->id,
		.entry = run->entry,
		.nr_seq = batch,
		.tokens = run->tokens,
		.in_handle = node->staging.handle,
		.out_handle = node->staging.handle,
		.out_offset = ALIGN64(batch * run->in_seq),
		.in_bytes = batch * run->in_seq,
		.out_bytes = batch * run->out_seq,
	};
	int err;

	err = submit_job(node, run, &submit);
	if (err)
		return err;
	return wait_job(node, submit.job, done);
}

int mxrt_node_infer(struct mxrt_device *dev, struct mxrt_run *run)
{
	struct node_device *node = mxrt_to_node(dev);
	struct mxaccel_completion done;
	uint64_t max = dev->max_io_bytes < STAGING_MAX ? dev->max_io_bytes : STAGING_MAX;
	uint32_t most = UINT32_MAX, wanted, batch;
	size_t at = 0;
	int err;

	for (; at < run->nr_seq; at += batch) {
		batch = mxrt_run_batch(run, run->nr_seq - at, max);
		if (batch > most)
			batch = most;
		wanted = batch;
		err = staging_get(node, run, &batch);
		if (err)
			return err;
		if (batch < wanted)
			most = batch;	/* do not try again for more */
		memcpy(node->staging.ptr, run->ids + at * run->in_seq, batch * run->in_seq);
		err = run_job(node, run, batch, &done);
		if (err)
			return err;
		run->jobs++;
		if (done.error) {
			run->status = done.status;
			run->field = done.field;
			run->detail = done.result;
			run->first_seq = at;
			return done.status ? done.error :
			       mxrt_node_fail(dev, done.error, "run the job");
		}
		run->cycles += done.result;
		memcpy(run->out + at * run->out_seq,
		       node->staging.ptr + ALIGN64(batch * run->in_seq), batch * run->out_seq);
	}
	return 0;
}

int mxrt_node_schedule(struct mxrt_device *dev, struct mxrt_run *run,
		       struct mxaccel_span *spans, size_t *count)
{
	struct node_device *node = mxrt_to_node(dev);
	uint64_t room = (*count ? *count : 1) * sizeof(*spans);
	/* All sequences are one piece here, and the spans are its result. */
	struct mxrt_run whole = { .in_seq = run->nr_seq * run->in_seq, .out_seq = room };
	struct mxaccel_submit submit = {
		.size = sizeof(submit),
		.flags = MXACCEL_SUBMIT_SCHEDULE,
		.model = run->model->use->id,
		.entry = run->entry,
		.nr_seq = run->nr_seq,
		.tokens = run->tokens,
		.out_offset = ALIGN64(whole.in_seq),
		.in_bytes = whole.in_seq,
		.out_bytes = room,
	};
	struct mxaccel_completion done;
	uint32_t one = 1;
	int err;

	if (!(node->features & MXACCEL_DRVFEAT_SCHEDULE))
		return mxrt_fail(-EOPNOTSUPP, "%s cannot tell schedules: its driver or chip is older",
				 dev->name);
	err = staging_get(node, &whole, &one);
	if (err)
		return err;
	submit.in_handle = node->staging.handle;
	submit.out_handle = node->staging.handle;
	memcpy(node->staging.ptr, run->ids, whole.in_seq);
	err = submit_job(node, run, &submit);
	if (!err)
		err = wait_job(node, submit.job, &done);
	if (err)
		return err;
	if (done.error) {
		run->status = done.status;
		run->field = done.field;
		run->detail = done.result;
		return done.status ? done.error : mxrt_node_fail(dev, done.error, "run the job");
	}
	if (*count)
		memcpy(spans, node->staging.ptr + submit.out_offset,
		       (done.result < *count ? done.result : *count) * sizeof(*spans));
	*count = done.result;
	return 0;
}
