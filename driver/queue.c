// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queue pairs: rings in coherent memory, command ids, completions.
 *
 * What the chip writes into a completion ring is not trusted: an id that is
 * out of range or not in flight is reported and dropped.
 */
#include <linux/errno.h>
#include <linux/interrupt.h>
#include <linux/slab.h>

#include "mxaccel_drv.h"

static const struct {
	u16 err;
	const char *text;
} mx_statuses[] = {
#define MXACCEL_X(name, value, err, text)	\
	[value] = { err, text },
	MXACCEL_STATUS_CODES(MXACCEL_X)
#undef MXACCEL_X
};

/* Negative errno of a status; EIO for one that this driver does not know. */
int mx_status_errno(u16 status)
{
	return status < ARRAY_SIZE(mx_statuses) ? -mx_statuses[status].err : -EIO;
}

const char *mx_status_text(u16 status)
{
	return status < ARRAY_SIZE(mx_statuses) ? mx_statuses[status].text : "unknown status";
}

/**
 * mx_queue_init() - allocate a queue pair's memory
 * @mx:		device
 * @q:		zeroed
 * @qid:	0 for the admin queue
 * @depth:	entries of each ring
 * @vector:	index of its interrupt
 */
int mx_queue_init(struct mx_dev *mx, struct mx_queue *q, u16 qid, u16 depth, u16 vector)
{
	u64 dbs = mx->cap >> MXACCEL_CAP_DBS_SHIFT & MXACCEL_CAP_DBS_MASK;
	struct device *dma = &mx->pdev->dev;

	q->mx = mx;
	q->qid = qid;
	q->depth = depth;
	q->vector = vector;
	q->doorbell = mx->doorbells + ((size_t)qid << dbs);
	spin_lock_init(&q->sq_lock);
	spin_lock_init(&q->cq_lock);

	q->slots = kcalloc(depth - 1, sizeof(*q->slots), GFP_KERNEL);
	if (!q->slots)
		return -ENOMEM;
	q->sq = dma_alloc_coherent(dma, depth * sizeof(*q->sq), &q->sq_dma, GFP_KERNEL);
	if (!q->sq)
		goto free_slots;
	q->cq = dma_alloc_coherent(dma, depth * sizeof(*q->cq), &q->cq_dma, GFP_KERNEL);
	if (!q->cq)
		goto free_sq;
	return 0;

free_sq:
	dma_free_coherent(dma, depth * sizeof(*q->sq), q->sq, q->sq_dma);
free_slots:
	kfree(q->slots);
	q->slots = NULL;
	return -ENOMEM;
}

/* The chip is stopped, and nothing is in flight. */
void mx_queue_free(struct mx_queue *q)
{
	struct device *dma;

	if (!q->slots)
		return;
	dma = &q->mx->pdev->dev;
	dma_free_coherent(dma, q->depth * sizeof(*q->cq), q->cq, q->cq_dma);
	dma_free_coherent(dma, q->depth * sizeof(*q->sq), q->sq, q->sq_dma);
	kfree(q->slots);
	q->slots = NULL;
}

/* Empty rings, before the chip gets to know of them. */
void mx_queue_start(struct mx_queue *q)
{
	spin_lock(&q->cq_lock);
	spin_lock(&q->sq_lock);
	memset(q->cq, 0, q->depth * sizeof(*q->cq));
	memset(q->sq, 0, q->depth * sizeof(*q->sq));
	WRITE_ONCE(q->cq_head, 0);
	WRITE_ONCE(q->cq_phase, MXACCEL_CQE_PHASE);
	q->sq_tail = 0;
	q->rung = 0;
	q->live = true;
	spin_unlock(&q->sq_lock);
	spin_unlock(&q->cq_lock);
}

/**
 * mx_queue_put() - put a command into the ring; the chip hears of it when it is rung
 * @q:		queue
 * @rq:		with @done set; lives until that was called
 * @sqe:	the entry, copied; its cid is filled in
 *
 * Return: 0; -ENODEV when the chip was stopped; -EAGAIN when the queue is full.
 */
int mx_queue_put(struct mx_queue *q, struct mx_rq *rq, struct mxaccel_sqe *sqe)
{
	int cid;

	spin_lock(&q->sq_lock);
	if (!q->live) {
		spin_unlock(&q->sq_lock);
		return -ENODEV;
	}
	cid = mx_slot_take(q->slots, q->depth - 1, &q->hint, rq);
	if (cid < 0) {
		spin_unlock(&q->sq_lock);
		return cid;
	}
	rq->queue = q;
	rq->cid = cid;
	atomic_set(&rq->holds, 1);

	sqe->cid = cpu_to_le16(rq->cid);
	q->sq[q->sq_tail] = *sqe;
	q->sq_tail = mx_ring_next(q->sq_tail, q->depth);
	spin_unlock(&q->sq_lock);
	return 0;
}

/* Tells the chip of all that was put. Any context. */
void mx_queue_ring(struct mx_queue *q)
{
	spin_lock(&q->sq_lock);
	if (q->live && q->rung != q->sq_tail) {
		q->rung = q->sq_tail;
		writel(q->sq_tail, q->doorbell + MXACCEL_DB_SQ_TAIL);
	}
	spin_unlock(&q->sq_lock);
}

/*
 * Rings, and looks whether anything has completed by then: what the chip does at
 * once needs no interrupt and no thread. Process context.
 */
void mx_queue_kick(struct mx_queue *q)
{
	mx_queue_ring(q);
	if (mx_queue_poll(q))
		set_bit(0, &q->looked);
}

/**
 * mx_rq_hold() - keep a command's id from being used again
 * @rq:		request, which must not go away meanwhile
 *
 * Return: false if the command has completed already.
 */
bool mx_rq_hold(struct mx_rq *rq)
{
	return atomic_inc_not_zero(&rq->holds);
}

void mx_rq_put(struct mx_rq *rq)
{
	struct mx_queue *q = rq->queue;

	if (!atomic_dec_and_test(&rq->holds))
		return;
	spin_lock(&q->sq_lock);
	q->slots[rq->cid & MX_CID_SLOT_MASK].busy = false;
	spin_unlock(&q->sq_lock);
}

static void mx_rqs_done(struct list_head *list)
{
	struct mx_rq *rq, *next;

	list_for_each_entry_safe(rq, next, list, node) {
		list_del(&rq->node);
		mx_rq_put(rq);
		rq->done(rq);
	}
}

/* Is there a new entry in the completion ring? Any context. */
bool mx_queue_pending(struct mx_queue *q)
{
	struct mxaccel_cqe *cqe = &q->cq[READ_ONCE(q->cq_head)];

	return mx_cqe_is_new(READ_ONCE(cqe->status), READ_ONCE(q->cq_phase));
}

/* The command that an entry completes, or NULL. */
static struct mx_rq *mx_cqe_match(struct mx_queue *q, const struct mxaccel_cqe *cqe)
{
	struct mx_rq *rq;

	spin_lock(&q->sq_lock);
	rq = mx_slot_complete(q->slots, q->depth - 1, le16_to_cpu(cqe->cid));
	spin_unlock(&q->sq_lock);
	return rq;
}

/**
 * mx_queue_poll() - process new completions
 * @q:		queue
 *
 * Process context. Return: whether there were any.
 */
bool mx_queue_poll(struct mx_queue *q)
{
	struct mxaccel_cqe cqe;
	unsigned int seen = 0;
	struct mx_rq *rq;
	LIST_HEAD(done);
	u16 next;

	spin_lock(&q->cq_lock);
	while (seen < q->depth && q->live && mx_queue_pending(q)) {
		/* The rest of the entry is valid once its phase is. */
		dma_rmb();
		cqe = q->cq[q->cq_head];
		rq = mx_cqe_match(q, &cqe);
		if (rq) {
			rq->status = le16_to_cpu(cqe.status) >> MXACCEL_CQE_STATUS_SHIFT;
			rq->error = mx_status_errno(rq->status);
			rq->field = le16_to_cpu(cqe.field);
			rq->result = le64_to_cpu(cqe.result);
			list_add_tail(&rq->node, &done);
		} else {
			dev_warn_ratelimited(&q->mx->dev,
					     "queue %u: completion of id %#x, which is not in flight, ignored\n",
					     q->qid, le16_to_cpu(cqe.cid));
		}
		next = mx_ring_next(q->cq_head, q->depth);
		WRITE_ONCE(q->cq_head, next);
		WRITE_ONCE(q->cq_phase, mx_ring_phase(next, q->cq_phase));
		seen++;
	}
	if (seen)
		writel(q->cq_head, q->doorbell + MXACCEL_DB_CQ_HEAD);
	spin_unlock(&q->cq_lock);

	mx_rqs_done(&done);
	return seen;
}

/* From now on nothing is submitted, and no completion is looked at. */
void mx_queue_block(struct mx_queue *q)
{
	spin_lock(&q->cq_lock);
	spin_lock(&q->sq_lock);
	q->live = false;
	spin_unlock(&q->sq_lock);
	spin_unlock(&q->cq_lock);
}

/* The chip was stopped: every command in flight on a blocked queue ends with ENODEV. */
void mx_queue_fail(struct mx_queue *q)
{
	struct mx_rq *rq;
	LIST_HEAD(done);
	u16 i;

	spin_lock(&q->sq_lock);
	for (i = 0; i < q->depth - 1; i++) {
		rq = q->slots[i].rq;
		if (!rq)
			continue;
		q->slots[i].rq = NULL;
		rq->status = MXACCEL_ST_ABORTED;
		rq->error = -ENODEV;
		rq->field = 0;
		rq->result = 0;
		list_add_tail(&rq->node, &done);
	}
	spin_unlock(&q->sq_lock);
	mx_rqs_done(&done);
}

/* The chip raises vector 0 when it stops with a fatal error. */
static bool mx_irq_fatal(struct mx_vector *vector)
{
	u32 status;

	if (vector->index)
		return false;
	status = readl(vector->mx->regs + MXACCEL_REG_STATUS);
	return status & MXACCEL_STATUS_FATAL;
}

/* Did somebody else take what this interrupt announced? */
static bool mx_irq_outrun(struct mx_vector *vector)
{
	struct mx_dev *mx = vector->mx;
	bool outrun = false;
	unsigned int i;

	if (!vector->index)
		outrun |= test_and_clear_bit(0, &mx->admin.looked);
	for (i = 0; i < mx->nr_io; i++)
		if (mx->io[i].vector == vector->index)
			outrun |= test_and_clear_bit(0, &mx->io[i].looked);
	return outrun;
}

/* Hard interrupt: is it ours, and is there work for the thread? */
static irqreturn_t mx_irq(int irq, void *data)
{
	struct mx_vector *vector = data;
	struct mx_dev *mx = vector->mx;
	unsigned int i;

	if (mx_inject_interrupt())
		return IRQ_HANDLED;
	if (!vector->index && mx_queue_pending(&mx->admin))
		return IRQ_WAKE_THREAD;
	for (i = 0; i < mx->nr_io; i++)
		if (mx->io[i].vector == vector->index && mx_queue_pending(&mx->io[i]))
			return IRQ_WAKE_THREAD;
	if (mx_irq_fatal(vector))
		return IRQ_WAKE_THREAD;
	return mx_irq_outrun(vector) ? IRQ_HANDLED : IRQ_NONE;
}

static irqreturn_t mx_irq_thread(int irq, void *data)
{
	struct mx_vector *vector = data;
	struct mx_dev *mx = vector->mx;
	bool any = false;
	unsigned int i;
	int idx;

	if (!vector->index)
		any |= mx_queue_poll(&mx->admin);
	for (i = 0; i < mx->nr_io; i++)
		if (mx->io[i].vector == vector->index)
			any |= mx_queue_poll(&mx->io[i]);
	if (!any && mx_irq_fatal(vector) && mx_enter(mx, &idx)) {
		mx_fail(mx, READ_ONCE(mx->generation), "chip reports a failure");
		mx_exit(mx, idx);
		any = true;
	}
	return any || mx_irq_outrun(vector) ? IRQ_HANDLED : IRQ_NONE;
}

/* Requests every vector; the queues exist. */
int mx_irq_init(struct mx_dev *mx)
{
	unsigned int i;
	int err;

	for (i = 0; i < mx->nr_vectors; i++) {
		struct mx_vector *vector = &mx->vectors[i];

		vector->mx = mx;
		vector->index = i;
		snprintf(vector->name, sizeof(vector->name), "%s-%u", dev_name(&mx->dev), i);
		err = request_threaded_irq(pci_irq_vector(mx->pdev, i), mx_irq, mx_irq_thread, 0,
					   vector->name, vector);
		if (err)
			goto undo;
	}
	return 0;

undo:
	while (i--)
		free_irq(pci_irq_vector(mx->pdev, i), &mx->vectors[i]);
	return err;
}

void mx_irq_exit(struct mx_dev *mx)
{
	unsigned int i;

	for (i = 0; i < mx->nr_vectors; i++)
		free_irq(pci_irq_vector(mx->pdev, i), &mx->vectors[i]);
}
