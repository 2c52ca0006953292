/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the backend of device nodes: what its files share.
 */
#ifndef MXRT_NODE_H
#define MXRT_NODE_H

#include "internal.h"
#include "mxaccel.h"

/**
 * struct node_device - a device node, by up to two files on it
 * @features:	MXACCEL_DRVFEAT_*
 * @fd:		models and mxrt_infer()
 * @queue_fd:	buffers and the queue, which so has completions and a poll() of
 *		its own; -1 until it is needed
 * @staging:	of @fd, for ids and results of mxrt_infer(); protected by infer_lock
 */
struct node_device {
	struct mxrt_device base;
	uint64_t features;
	int fd;
	int queue_fd;
	struct {
		uint32_t handle;
		uint64_t bytes;
		uint8_t *ptr;
	} staging;
};

static inline struct node_device *mxrt_to_node(struct mxrt_device *dev)
{
	return (struct node_device *)dev;
}

/* ioctl() that goes on after signals. Return: 0 or negative errno, no sentence. */
int mxrt_node_ioctl(int fd, unsigned long request, void *arg);

/* Makes a buffer; user memory if *@ptr is set, else allocates and maps. No sentence. */
int mxrt_node_buf_create(int fd, void **ptr, uint64_t bytes, unsigned int access,
			 uint32_t *handle);
void mxrt_node_buf_free(int fd, uint32_t handle, void *mapped, uint64_t bytes);

/* Opens queue_fd; dev->lock is held. */
int mxrt_node_need_queue_fd(struct node_device *node);

/* Sentence for an ioctl that failed */
int mxrt_node_fail(const struct mxrt_device *dev, int err, const char *what);

int mxrt_node_infer(struct mxrt_device *dev, struct mxrt_run *run);
int mxrt_node_schedule(struct mxrt_device *dev, struct mxrt_run *run,
		       struct mxaccel_span *spans, size_t *count);

int mxrt_node_queue_create(struct mxrt_device *dev, uint32_t depth, uint32_t flags,
			   struct mxrt_queue **out);
const char *mxrt_node_queue_door(const struct mxrt_queue *queue);
void mxrt_node_queue_destroy(struct mxrt_queue *queue);
int mxrt_node_submit(struct mxrt_queue *queue, const struct mxrt_job *job, uint32_t in_bytes,
		     uint32_t out_bytes, uint64_t *id);
int mxrt_node_reap(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max,
		   int timeout_ms);
int mxrt_node_cancel(struct mxrt_queue *queue, uint64_t id);

#endif /* MXRT_NODE_H */
