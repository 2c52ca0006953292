// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The queue of a device node by io_uring: a ring, whose commands are our jobs.
 *
 * The ring's user_data is the job's id: a number that counts, above the job's place in
 * a table. The driver knows a job by the same.
 */
#include <stdlib.h>
#include <string.h>

#include "node_queue.h"

#define PLACE_BITS	16
#define PLACE_MASK	((1u << PLACE_BITS) - 1)

/* An entry of a ring with IORING_SETUP_SQE128 */
union big_sqe {
	struct io_uring_sqe sqe;
	uint8_t bytes[128];
};

int mxrt_node_ring_open(struct node_queue *queue, uint32_t depth)
{
	uint32_t i;
	int err;

	queue->place = calloc(depth, sizeof(*queue->place));
	if (!queue->place)
		return -ENOMEM;
	err = io_uring_queue_init(depth, &queue->ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);
	if (err) {
		free(queue->place);
		return err;
	}
	for (i = 0; i < depth; i++)
		queue->place[i].next_free = i + 1;
	queue->by_ring = true;
	queue->base.fd = queue->ring.ring_fd;
	return 0;
}

void mxrt_node_ring_close(struct node_queue *queue)
{
	io_uring_queue_exit(&queue->ring);
	free(queue->place);
}

static void take_cqe(struct node_queue *queue, const struct io_uring_cqe *cqe,
		     struct mxrt_completion *to)
{
	struct node_place *place = &queue->place[cqe->user_data & PLACE_MASK];
	uint64_t extra = cqe->big_cqe[0];

	*to = (struct mxrt_completion){
		.id = cqe->user_data,
		.user_data = place->user_data,
		.error = cqe->res,
		.status = cqe->res ? MXACCEL_URING_STATUS(extra) : 0,
		.result = cqe->res ? MXACCEL_URING_RESULT(extra) : extra,
	};
	place->next_free = queue->first_free;
	queue->first_free = cqe->user_data & PLACE_MASK;
}

/*
 * A job that was refused at once has ended by now. If nothing else waits to be reaped,
 * that is the answer; else it is reaped in its turn.
 */
static int refusal(struct node_queue *queue, uint64_t id)
{
	struct mxrt_completion done;
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(&queue->ring, &cqe) || cqe->user_data != id || cqe->res >= 0 ||
	    cqe->big_cqe[0])
		return 0;
	take_cqe(queue, cqe, &done);
	io_uring_cqe_seen(&queue->ring, cqe);
	return done.error;
}

int mxrt_node_ring_submit(struct node_queue *queue, struct mxaccel_submit *submit)
{
	uint32_t place = queue->first_free;
	union big_sqe *big = (union big_sqe *)io_uring_get_sqe(&queue->ring);
	int rc;

	if (!big)	/* not before as many are in flight as the ring has entries */
		return -EAGAIN;
	queue->first_free = queue->place[place].next_free;
	queue->place[place].user_data = submit->user_data;
	submit->job = ++queue->next_id << PLACE_BITS | place;
	submit->user_data = submit->job;
	memset(big->bytes, 0, sizeof(big->bytes));
	big->sqe.opcode = IORING_OP_URING_CMD;
	big->sqe.fd = queue->node_fd;
	big->sqe.cmd_op = MXACCEL_URING_SUBMIT;
	big->sqe.user_data = submit->job;
	memcpy(big->bytes + offsetof(struct io_uring_sqe, cmd), submit, sizeof(*submit));
	do {
		rc = io_uring_submit(&queue->ring);
	} while (rc == -EINTR);
	/* What the kernel could not take now is in the ring, and goes with the next call. */
	if (rc < 0 && rc != -EAGAIN && rc != -EBUSY)
		return rc;
	return refusal(queue, submit->job);
}

int mxrt_node_ring_reap(struct node_queue *queue, struct mxrt_completion *list, size_t max,
			int timeout_ms)
{
	struct __kernel_timespec limit = {
		.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000,
	};
	struct io_uring_cqe *cqe;
	size_t nr = 0;
	int err;

	if (!queue->base.in_flight)
		return -ENODATA;
	if (io_uring_sq_ready(&queue->ring))
		io_uring_submit(&queue->ring);
	if (timeout_ms < 0)
		err = io_uring_wait_cqe(&queue->ring, &cqe);
	else if (timeout_ms)
		err = io_uring_wait_cqe_timeout(&queue->ring, &cqe, &limit);
	else
		err = io_uring_peek_cqe(&queue->ring, &cqe);
	while (!err) {
		take_cqe(queue, cqe, &list[nr++]);
		io_uring_cqe_seen(&queue->ring, cqe);
		err = nr < max ? io_uring_peek_cqe(&queue->ring, &cqe) : -EAGAIN;
	}
	if (nr)
		return nr;
	return err == -EAGAIN ? -ETIME : err;
}
