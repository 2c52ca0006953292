// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Buffers and queues: what is the same for every backend.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static int buf_new(struct mxrt_device *dev, void *ptr, size_t bytes, unsigned int access,
		   struct mxrt_buffer **out)
{
	struct mxrt_buffer *buf;
	int err;

	if (!dev || !out || !bytes)
		return mxrt_fail(-EINVAL, "no device, no out, or a buffer of %zu bytes", bytes);
	if (!access || access & ~(MXRT_BUF_READ | MXRT_BUF_WRITE))
		return mxrt_fail(-EINVAL, "buffer access 0x%x is not made of MXRT_BUF_*", access);
	buf = calloc(1, sizeof(*buf));
	if (!buf)
		return mxrt_fail(-ENOMEM, "no memory for a buffer");
	buf->dev = dev;
	buf->ptr = ptr;
	buf->bytes = bytes;
	buf->access = access;
	buf->wrapped = !!ptr;
	err = dev->backend->buf_create(buf);
	if (err) {
		free(buf);
		return err;
	}
	mxrt_device_get(dev);
	*out = buf;
	return 0;
}

int mxrt_buf_alloc(struct mxrt_device *dev, size_t bytes, unsigned int access,
		   struct mxrt_buffer **out)
{
	return buf_new(dev, NULL, bytes, access, out);
}

int mxrt_buf_wrap(struct mxrt_device *dev, void *ptr, size_t bytes, unsigned int access,
		  struct mxrt_buffer **out)
{
	if (!ptr || (uintptr_t)ptr % sizeof(int32_t))
		return mxrt_fail(-EINVAL, "buffer at %p is not aligned to 4 bytes", ptr);
	return buf_new(dev, ptr, bytes, access, out);
}

void *mxrt_buf_ptr(const struct mxrt_buffer *buf)
{
	return buf ? buf->ptr : NULL;
}

void mxrt_buf_free(struct mxrt_buffer *buf)
{
	struct mxrt_device *dev;

	if (!buf)
		return;
	dev = buf->dev;
	dev->backend->buf_destroy(buf);
	free(buf);
	mxrt_device_put(dev);
}

static void set_has_queue(struct mxrt_device *dev, bool has_queue)
{
	pthread_mutex_lock(&dev->lock);
	dev->has_queue = has_queue;
	pthread_mutex_unlock(&dev->lock);
}

/* Takes the device's one place for a queue. */
static int claim(struct mxrt_device *dev)
{
	bool taken;

	pthread_mutex_lock(&dev->lock);
	taken = dev->has_queue;
	dev->has_queue = true;
	pthread_mutex_unlock(&dev->lock);
	if (!taken)
		return 0;
	return mxrt_fail(-EBUSY, "this handle of %s has a queue already: open the device again",
			 dev->name);
}

int mxrt_queue_create(struct mxrt_device *dev, const struct mxrt_queue_params *params,
		      struct mxrt_queue **out)
{
	struct mxrt_queue_params p;
	struct mxrt_queue *queue;
	uint64_t *ids;
	int err;

	if (!dev || !out)
		return mxrt_fail(-EINVAL, "%s: no device or no out", __func__);
	err = mxrt_params_get(&p, sizeof(p), params, "mxrt_queue_params");
	if (err)
		return err;
	if (p.flags > MXRT_QUEUE_URING || p.rsvd || p.depth > dev->queue_depth)
		return mxrt_fail(-EINVAL,
				 "queue of %u jobs with flags 0x%x, %s takes %u and one of MXRT_QUEUE_*",
				 p.depth, p.flags | p.rsvd, dev->name, dev->queue_depth);
	if (!p.depth)
		p.depth = dev->queue_depth;
	err = claim(dev);
	if (err)
		return err;
	ids = malloc(p.depth * sizeof(*ids));
	if (!ids)
		err = mxrt_fail(-ENOMEM, "no memory for a queue of %u jobs", p.depth);
	else
		err = dev->backend->queue_create(dev, p.depth, p.flags, &queue);
	if (err) {
		free(ids);
		set_has_queue(dev, false);
		return err;
	}
	queue->dev = dev;
	queue->depth = p.depth;
	queue->in_flight = 0;
	queue->ids = ids;
	mxrt_device_get(dev);
	*out = queue;
	return 0;
}

void mxrt_queue_destroy(struct mxrt_queue *queue)
{
	struct mxrt_device *dev;
	uint64_t *ids;

	if (!queue)
		return;
	dev = queue->dev;
	ids = queue->ids;
	dev->backend->queue_destroy(queue);
	free(ids);
	set_has_queue(dev, false);
	mxrt_device_put(dev);
}

static int check_range(const struct mxrt_buffer *buf, unsigned int access, uint64_t offset,
		       uint64_t bytes, const char *what)
{
	if (!(buf->access & access))
		return mxrt_fail(-EACCES, "the buffer for the %s was not made for that", what);
	if (offset % sizeof(int32_t))
		return mxrt_fail(-EINVAL, "offset %llu of the %s is not a multiple of 4",
				 (unsigned long long)offset, what);
	if (offset > buf->bytes || bytes > buf->bytes - offset)
		return mxrt_fail(-EFAULT, "the %s, %llu bytes at %llu, leave a buffer of %zu", what,
				 (unsigned long long)bytes, (unsigned long long)offset, buf->bytes);
	return 0;
}

static int check_job(const struct mxrt_queue *queue, const struct mxrt_job *job,
		     uint64_t *in_bytes, size_t *out_bytes)
{
	const struct mxrt_device *dev = queue->dev;
	int err;

	if (job->flags || !job->model || !job->in || !job->out)
		return mxrt_fail(-EINVAL, "job with flags 0x%x, or without model, in or out",
				 job->flags);
	if (job->model->dev != dev || job->in->dev != dev || job->out->dev != dev)
		return mxrt_fail(-EXDEV, "model or buffer is of another device handle than the queue");
	err = mxrt_out_bytes(job->model, job->entry, job->nr_seq, job->tokens, out_bytes);
	if (err)
		return err;
	*in_bytes = (uint64_t)job->nr_seq * job->tokens * sizeof(int32_t);
	if (*in_bytes > dev->max_io_bytes || *out_bytes > dev->max_io_bytes)
		return mxrt_fail(-EFBIG, "job of %llu bytes in and %zu out, %s takes %llu each way",
				 (unsigned long long)*in_bytes, *out_bytes, dev->name,
				 (unsigned long long)dev->max_io_bytes);
	err = check_range(job->in, MXRT_BUF_READ, job->in_offset, *in_bytes, "ids");
	if (err)
		return err;
	return check_range(job->out, MXRT_BUF_WRITE, job->out_offset, *out_bytes, "results");
}

int mxrt_submit(struct mxrt_queue *queue, const struct mxrt_job *job, uint64_t *id)
{
	struct mxrt_job ours;
	uint64_t in_bytes = 0, new_id;
	size_t out_bytes = 0;
	int err;

	if (!queue || !job)
		return mxrt_fail(-EINVAL, "%s: no queue or no job", __func__);
	err = mxrt_params_get(&ours, sizeof(ours), job, "mxrt_job");
	if (!err)
		err = check_job(queue, &ours, &in_bytes, &out_bytes);
	if (err)
		return err;
	if (queue->in_flight == queue->depth)
		return mxrt_fail(-EAGAIN, "all %u places of the queue are in flight: reap first",
				 queue->depth);
	err = queue->dev->backend->submit(queue, &ours, in_bytes, out_bytes, &new_id);
	if (err)
		return err;
	queue->ids[queue->in_flight++] = new_id;
	if (id)
		*id = new_id;
	return 0;
}

static void forget_id(struct mxrt_queue *queue, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < queue->in_flight; i++) {
		if (queue->ids[i] != id)
			continue;
		queue->in_flight--;
		memmove(queue->ids + i, queue->ids + i + 1,
			(queue->in_flight - i) * sizeof(queue->ids[0]));
		return;
	}
}

int mxrt_reap(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max, int timeout_ms)
{
	int count, i;

	if (!queue || !list || !max)
		return mxrt_fail(-EINVAL, "%s: no queue, no list, or room for %zu", __func__, max);
	count = queue->dev->backend->reap(queue, list, max, timeout_ms);
	for (i = 0; i < count; i++)
		forget_id(queue, list[i].id);
	return count;
}

int mxrt_cancel(struct mxrt_queue *queue, uint64_t id)
{
	if (!queue)
		return mxrt_fail(-EINVAL, "%s: no queue", __func__);
	return queue->dev->backend->cancel(queue, id);
}

const char *mxrt_queue_door(const struct mxrt_queue *queue)
{
	return queue ? queue->dev->backend->queue_door(queue) : NULL;
}

int mxrt_queue_fd(const struct mxrt_queue *queue)
{
	if (!queue)
		return mxrt_fail(-EINVAL, "%s: no queue", __func__);
	return queue->fd;
}
