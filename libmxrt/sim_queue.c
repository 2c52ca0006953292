// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Queues of "sim:" devices: jobs wait in a ring and run inside mxrt_reap(),
 * because the library starts no threads of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sim.h"

struct sim_pending {
	struct sim_io io;
	uint64_t id;
	uint64_t user_data;
};

/**
 * struct sim_queue - the base's @fd is an eventfd that is readable while jobs wait
 */
struct sim_queue {
	struct mxrt_queue base;
	uint64_t next_id;
	uint32_t head;			/* oldest */
	struct sim_pending ring[];
};

static struct sim_queue *to_sim(struct mxrt_queue *queue)
{
	return (struct sim_queue *)queue;
}

int mxrt_sim_queue_create(struct mxrt_device *dev, uint32_t depth, uint32_t flags,
			  struct mxrt_queue **out)
{
	struct sim_queue *queue;

	if (flags)
		return mxrt_fail(-EOPNOTSUPP, "%s has no driver: give its queue no flags",
				 dev->name);
	queue = calloc(1, sizeof(*queue) + depth * sizeof(queue->ring[0]));
	if (!queue)
		return mxrt_fail(-ENOMEM, "no memory for a queue of %u jobs on %s", depth, dev->name);
	queue->base.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->base.fd < 0) {
		free(queue);
		return mxrt_fail(-errno, "cannot make an eventfd: %s", strerrordesc_np(errno));
	}
	queue->next_id = 1;
	*out = &queue->base;
	return 0;
}

const char *mxrt_sim_queue_door(const struct mxrt_queue *queue)
{
	(void)queue;
	return "sim";
}

void mxrt_sim_queue_destroy(struct mxrt_queue *queue)
{
	close(queue->fd);
	free(to_sim(queue));
}

int mxrt_sim_submit(struct mxrt_queue *queue, const struct mxrt_job *job, uint32_t in_bytes,
		    uint32_t out_bytes, uint64_t *id)
{
	struct sim_queue *sim = to_sim(queue);
	struct sim_pending *pending;

	(void)in_bytes;		/* both follow from the job, and were checked */
	(void)out_bytes;
	pending = &sim->ring[(sim->head + queue->in_flight) % queue->depth];
	*pending = (struct sim_pending){
		.io.in = (const uint8_t *)job->in->ptr + job->in_offset,
		.io.out = (uint8_t *)job->out->ptr + job->out_offset,
		.io.deadline_ns = job->timeout_ms ?
				  mxrt_now_ns() + job->timeout_ms * (uint64_t)1000000 : 0,
		.id = sim->next_id,
		.user_data = job->user_data,
	};
	pending->io.job.model = job->model->use->id;
	pending->io.job.entry = job->entry;
	pending->io.job.nr_seq = job->nr_seq;
	pending->io.job.tokens = job->tokens;
	if (!queue->in_flight && eventfd_write(queue->fd, 1))
		return mxrt_fail(-errno, "cannot signal the queue: %s", strerrordesc_np(errno));
	*id = sim->next_id++;
	return 0;
}

int mxrt_sim_reap(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max,
		  int timeout_ms)
{
	struct sim_queue *sim = to_sim(queue);
	struct sim_pending *pending = &sim->ring[sim->head];
	eventfd_t drained;

	if (!queue->in_flight)
		return mxrt_fail(-ENODATA, "nothing is in flight on the queue of %s",
				 queue->dev->name);
	/* One job per call: the caller waits for the first one, not for as many as fit. */
	(void)max;
	(void)timeout_ms;
	mxrt_sim_run(queue->dev, &pending->io);
	list[0] = (struct mxrt_completion){
		.id = pending->id,
		.user_data = pending->user_data,
		.error = mxrt_status_error(pending->io.job.status),
		.status = pending->io.job.status,
		.result = pending->io.job.result,
	};
	sim->head = (sim->head + 1) % queue->depth;
	if (queue->in_flight == 1)
		eventfd_read(queue->fd, &drained);
	return 1;
}

int mxrt_sim_cancel(struct mxrt_queue *queue, uint64_t id)
{
	struct sim_queue *sim = to_sim(queue);
	uint32_t i;

	for (i = 0; i < queue->in_flight; i++) {
		struct sim_pending *pending = &sim->ring[(sim->head + i) % queue->depth];

		if (pending->id != id)
			continue;
		atomic_store(&pending->io.job.stop, MXACCEL_ST_ABORTED);
		return 0;
	}
	return mxrt_fail(-ENOENT, "no job %llu in flight", (unsigned long long)id);
}
