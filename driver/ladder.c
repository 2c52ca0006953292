// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rungs between a job that does not end and a reset of the chip: does it
 * get on after all; can its queue pair be made anew. Documentation/recovery.rst
 * has the whole ladder.
 */
#include "mxaccel_drv.h"

/**
 * mx_progress() - ask the chip how far a command is
 * @mx:		device
 * @rq:		the command, held by mx_rq_hold()
 * @progress:	out: equal answers mean that it does not get on;
 *		MXACCEL_PROGRESS_NONE: the chip has no such command
 */
int mx_progress(struct mx_dev *mx, struct mx_rq *rq, u64 *progress)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_PROGRESS,
		.abort.qid = cpu_to_le16(rq->queue->qid),
		.abort.cid = cpu_to_le16(rq->cid),
	};

	if (!(mx->hw_features & MXACCEL_FEATURE_PROGRESS))
		return -EOPNOTSUPP;
	return mx_admin(mx, &sqe, MX_ADMIN_TIMEOUT_MS, progress, NULL);
}

static int mx_delete_qp(struct mx_dev *mx, struct mx_queue *q)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_DELETE_QP,
		.delete_qp.qid = cpu_to_le16(q->qid),
	};

	return mx_admin(mx, &sqe, MX_QUEUE_RESET_MS, NULL, NULL);
}

/**
 * mx_queue_reset() - end a queue pair and make it anew
 * @mx:		device, inside mx_enter(), by the watchdog only
 * @q:		I/O queue
 *
 * Its commands end with ECANCELED, files live on. If the chip does not even do
 * that, mx_admin() has it reset.
 */
void mx_queue_reset(struct mx_dev *mx, struct mx_queue *q)
{
	unsigned long generation = READ_ONCE(mx->generation);
	int err;

	mx_record_error(mx, "queue %u: a job does not stop, resetting the queue", q->qid);
	mx_dump_failure(mx, mx->last_error);
	mx_queue_block(q);
	err = mx_delete_qp(mx, q);
	if (err)
		goto failed;
	mx_queue_fail(q, -ECANCELED);
	mx_queue_start(q, false);
	err = mx_create_qp(mx, q);
	if (err)
		goto failed;
	mx_queue_open(q);
	/* Was the chip stopped meanwhile? Then the queue is not to be open. */
	if (READ_ONCE(mx->generation) != generation) {
		mx_queue_block(q);
		mx_queue_fail(q, -ENODEV);
		return;
	}
	mx->queue_resets++;
	dev_warn(&mx->dev, "queue %u was reset\n", q->qid);
	return;

failed:
	if (err != -ENODEV)
		mx_fail(mx, generation, "a queue cannot be reset");
}
