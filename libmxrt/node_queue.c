// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The queue of a device node: a file of its own, whose completions are ours. Jobs go
 * there by ioctl, or by io_uring (node_uring.c).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "node_queue.h"

#define REAP_MOST 64

static struct node_queue *to_node_queue(struct mxrt_queue *queue)
{
	return (struct node_queue *)queue;
}

/* Opens the ring, if it is wanted and can be had. */
static int choose_door(struct mxrt_device *dev, struct node_queue *queue, uint32_t depth,
		       uint32_t flags)
{
	int err;

	if (flags == MXRT_QUEUE_IOCTL)
		return 0;
	err = -EOPNOTSUPP;
	if (mxrt_to_node(dev)->features & MXACCEL_DRVFEAT_URING)
		err = mxrt_node_ring_open(queue, depth);
	if (!err || flags != MXRT_QUEUE_URING)
		return 0;
	return mxrt_fail(err, err == -EOPNOTSUPP ?
			 "the driver of %s is older and has no io_uring: use MXRT_QUEUE_IOCTL, or no flag" :
			 "this process gets no io_uring for %s (containers and kernel.io_uring_disabled forbid it): use MXRT_QUEUE_IOCTL, or no flag",
			 dev->name);
}

int mxrt_node_queue_create(struct mxrt_device *dev, uint32_t depth, uint32_t flags,
			   struct mxrt_queue **out)
{
	struct node_device *node = mxrt_to_node(dev);
	struct node_queue *queue;
	int err;

	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return mxrt_fail(-ENOMEM, "no memory for a queue on %s", dev->name);
	pthread_mutex_lock(&dev->lock);
	err = mxrt_node_need_queue_fd(node);
	pthread_mutex_unlock(&dev->lock);
	if (!err) {
		queue->node_fd = node->queue_fd;
		queue->base.fd = node->queue_fd;
		err = choose_door(dev, queue, depth, flags);
	}
	if (err) {
		free(queue);
		return err;
	}
	*out = &queue->base;
	return 0;
}

const char *mxrt_node_queue_door(const struct mxrt_queue *queue)
{
	return ((const struct node_queue *)queue)->by_ring ? "io_uring" : "ioctl";
}

static int cancel_job(struct node_queue *queue, uint64_t id)
{
	struct mxaccel_cancel cancel = {
		.size = sizeof(cancel),
		.flags = queue->by_ring ? MXACCEL_CANCEL_USER_DATA : 0,
		.job = id,
	};

	return mxrt_node_ioctl(queue->node_fd, MXACCEL_IOC_CANCEL, &cancel);
}

static void drain_ring(struct node_queue *queue)
{
	struct mxrt_completion done[REAP_MOST];
	int reaped;

	while (queue->base.in_flight) {
		reaped = mxrt_node_ring_reap(queue, done, REAP_MOST, -1);
		if (reaped > 0)
			queue->base.in_flight -= reaped;
		else if (reaped != -EINTR)
			break;
	}
	mxrt_node_ring_close(queue);
}

static void drain_file(struct node_queue *queue)
{
	struct mxaccel_completion done[REAP_MOST];
	struct mxaccel_wait wait = {
		.size = sizeof(wait),
		.timeout_ms = UINT32_MAX,
		.completions = (uintptr_t)done,
	};

	do {
		wait.count = REAP_MOST;
	} while (!mxrt_node_ioctl(queue->node_fd, MXACCEL_IOC_WAIT, &wait));
}

void mxrt_node_queue_destroy(struct mxrt_queue *base)
{
	struct node_queue *queue = to_node_queue(base);
	uint32_t i;

	for (i = 0; i < base->in_flight; i++)
		cancel_job(queue, base->ids[i]);
	if (queue->by_ring)
		drain_ring(queue);
	else
		drain_file(queue);
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
		err = mxrt_node_ioctl(to_node_queue(queue)->node_fd, MXACCEL_IOC_MODEL_OPEN, &arg);
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
	if (to_node_queue(queue)->by_ring)
		err = mxrt_node_ring_submit(to_node_queue(queue), &submit);
	else
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

static int reap_file(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max,
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

	if (ioctl(queue->fd, MXACCEL_IOC_WAIT, &wait))
		return -errno;
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

int mxrt_node_reap(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max,
		   int timeout_ms)
{
	int reaped = to_node_queue(queue)->by_ring ?
		     mxrt_node_ring_reap(to_node_queue(queue), list, max, timeout_ms) :
		     reap_file(queue, list, max, timeout_ms);

	if (reaped >= 0)
		return reaped;
	switch (reaped) {
	case -ETIME:
		return mxrt_fail(-ETIME, "no job of %u in flight ended within %d ms",
				 queue->in_flight, timeout_ms);
	case -ENODATA:
		return mxrt_fail(-ENODATA, "nothing is in flight on the queue of %s",
				 queue->dev->name);
	case -EINTR:
		return mxrt_fail(-EINTR, "a signal interrupted the wait");
	default:
		return mxrt_node_fail(queue->dev, reaped, "wait for a job");
	}
}

int mxrt_node_cancel(struct mxrt_queue *queue, uint64_t id)
{
	int err = cancel_job(to_node_queue(queue), id);

	if (err == -ENOENT)
		return mxrt_fail(err, "no job %llu in flight", (unsigned long long)id);
	return err ? mxrt_node_fail(queue->dev, err, "cancel a job") : 0;
}
