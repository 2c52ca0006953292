// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The queue of a device node: a file of its own, whose completions are ours.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "node.h"

#define REAP_MOST 64

int mxrt_node_queue_create(struct mxrt_device *dev, uint32_t depth, struct mxrt_queue **out)
{
	struct node_device *node = mxrt_to_node(dev);
	struct mxrt_queue *queue;
	int err;

	(void)depth;	/* the driver has room for as many as it told */
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return mxrt_fail(-ENOMEM, "no memory for a queue on %s", dev->name);
	pthread_mutex_lock(&dev->lock);
	err = mxrt_node_need_queue_fd(node);
	pthread_mutex_unlock(&dev->lock);
	if (err) {
		free(queue);
		return err;
	}
	queue->fd = node->queue_fd;
	*out = queue;
	return 0;
}

void mxrt_node_queue_destroy(struct mxrt_queue *queue)
{
	struct mxaccel_cancel cancel = { .size = sizeof(cancel) };
	struct mxaccel_completion done[REAP_MOST];
	struct mxaccel_wait wait = {
		.size = sizeof(wait),
		.timeout_ms = UINT32_MAX,
		.completions = (uintptr_t)done,
	};
	uint32_t i;

	for (i = 0; i < queue->in_flight; i++) {
		cancel.job = queue->ids[i];
		mxrt_node_ioctl(queue->fd, MXACCEL_IOC_CANCEL, &cancel);
	}
	do {
		wait.count = REAP_MOST;
	} while (!mxrt_node_ioctl(queue->fd, MXACCEL_IOC_WAIT, &wait));
	free(queue);	/* the file stays, for the buffers */
}

/* A model is usable by the file that loaded it; this makes it usable by the queue's. */
static int need_model(struct mxrt_queue *queue, struct mxrt_use *use)
{
	struct mxaccel_model_open arg = { .size = sizeof(arg) };
	int err = 0;

	pthread_mutex_lock(&queue->dev->lock);
	if (!use->on_queue) {
		memcpy(arg.content, use->content, sizeof(arg.content));
		err = mxrt_node_ioctl(queue->fd, MXACCEL_IOC_MODEL_OPEN, &arg);
		use->on_queue = !err;
	}
	pthread_mutex_unlock(&queue->dev->lock);
	return err ? mxrt_node_fail(queue->dev, err, "use the model") : 0;
}

int mxrt_node_submit(struct mxrt_queue *queue, const struct mxrt_job *job, uint32_t in_bytes,
		     uint32_t out_bytes, uint64_t *id)
{
	struct mxaccel_submit submit = {
		.size = sizeof(submit),
		.user_data = job->user_data,
		.model = job->model->use->id,
		.entry = job->entry,
		.nr_seq = job->nr_seq,
		.tokens = job->tokens,
		.in_handle = job->in->handle,
		.out_handle = job->out->handle,
		.in_offset = job->in_offset,
		.out_offset = job->out_offset,
		.in_bytes = in_bytes,
		.out_bytes = out_bytes,
		.timeout_ms = job->timeout_ms,
	};
	int err;

	err = need_model(queue, job->model->use);
	if (err)
		return err;
	err = mxrt_node_ioctl(queue->fd, MXACCEL_IOC_SUBMIT, &submit);
	if (err == -EAGAIN)
		return mxrt_fail(err, "%s has no place for another job now: %s", queue->dev->name,
				 queue->in_flight ? "reap first" :
				 "it is full of other programs' jobs, try again later");
	if (err)
		return mxrt_node_fail(queue->dev, err, "submit a job");
	*id = submit.job;
	return 0;
}

int mxrt_node_reap(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max,
		   int timeout_ms)
{
	struct mxaccel_completion done[REAP_MOST];
	struct mxaccel_wait wait = {
		.size = sizeof(wait),
		.timeout_ms = timeout_ms < 0 ? UINT32_MAX : (uint32_t)timeout_ms,
		.completions = (uintptr_t)done,
		.count = max < REAP_MOST ? max : REAP_MOST,
	};
	uint32_t i;

	if (ioctl(queue->fd, MXACCEL_IOC_WAIT, &wait)) {
		switch (errno) {
		case ETIME:
			return mxrt_fail(-ETIME, "no job of %u in flight ended within %d ms",
					 queue->in_flight, timeout_ms);
		case ENODATA:
			return mxrt_fail(-ENODATA, "nothing is in flight on the queue of %s",
					 queue->dev->name);
		case EINTR:
			return mxrt_fail(-EINTR, "a signal interrupted the wait");
		default:
			return mxrt_node_fail(queue->dev, -errno, "wait for a job");
		}
	}
	for (i = 0; i < wait.count; i++)
		list[i] = (struct mxrt_completion){
			.id = done[i].job,
			.user_data = done[i].user_data,
			.error = done[i].error,
			.status = done[i].status,
			.result = done[i].result,
		};
	return wait.count;
}

int mxrt_node_cancel(struct mxrt_queue *queue, uint64_t id)
{
	struct mxaccel_cancel arg = { .size = sizeof(arg), .job = id };
	int err;

	err = mxrt_node_ioctl(queue->fd, MXACCEL_IOC_CANCEL, &arg);
	if (err == -ENOENT)
		return mxrt_fail(err, "no job %llu in flight", (unsigned long long)id);
	return err ? mxrt_node_fail(queue->dev, err, "cancel a job") : 0;
}
