/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the backend of device nodes: its queue, and the two doors of the driver.
 */
#ifndef MXRT_NODE_QUEUE_H
#define MXRT_NODE_QUEUE_H

#include <liburing.h>

#include "node.h"

/**
 * struct node_queue - a queue on a file of its own
 * @node_fd:	the file
 * @by_ring:	jobs go through @ring, else by ioctl; what follows is for the ring
 * @next_id:	counts jobs
 * @place:	table of the jobs in flight, as many as the queue is deep
 * @first_free:	place that is free, the first of a chain
 */
struct node_queue {
	struct mxrt_queue base;
	int node_fd;
	bool by_ring;
	struct io_uring ring;
	uint64_t next_id;
	struct node_place {
		uint64_t user_data;
		uint32_t next_free;
	} *place;
	uint32_t first_free;
};

/* All return 0 or a negative errno, without a sentence; reap a count. */
int mxrt_node_ring_open(struct node_queue *queue, uint32_t depth);
void mxrt_node_ring_close(struct node_queue *queue);
int mxrt_node_ring_submit(struct node_queue *queue, struct mxaccel_submit *submit);
int mxrt_node_ring_reap(struct node_queue *queue, struct mxrt_completion *list, size_t max,
			int timeout_ms);

#endif /* MXRT_NODE_QUEUE_H */
