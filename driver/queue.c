// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queue pairs: rings in coherent memory, command ids, completions.
 *
 * What the chip writes into a completion ring is not trusted: an id that is
 * out of range or not in flight is reported and dropped.
 */
#include <linux/errno.h>
#include <linux/module.h>
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

static bool mx_shadow_doorbells = true;
module_param_named(shadow_doorbells, mx_shadow_doorbells, bool, 0444);
MODULE_PARM_DESC(shadow_doorbells,
		 "Use doorbells in memory where the chip has them (default 1)");

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
	if (!qid || !mx_shadow_doorbells || !(mx->hw_features & MXACCEL_FEATURE_SHADOW))
		return 0;
	q->shadow = dma_alloc_coherent(dma, PAGE_SIZE, &q->shadow_dma, GFP_KERNEL);
	if (!q->shadow)
		goto free_cq;
	return 0;

free_cq:
	dma_free_coherent(dma, depth * sizeof(*q->cq), q->cq, q->cq_dma);
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
	if (q->shadow)
		dma_free_coherent(dma, PAGE_SIZE, q->shadow, q->shadow_dma);
	dma_free_coherent(dma, q->depth * sizeof(*q->cq), q->cq, q->cq_dma);
	dma_free_coherent(dma, q->depth * sizeof(*q->sq), q->sq, q->sq_dma);
	kfree(q->slots);
	q->slots = NULL;
}

/* Empty rings, before the chip gets to know of them; @live: and commands may follow. */
void mx_queue_start(struct mx_queue *q, bool live)
{
	spin_lock(&q->cq_lock);
	spin_lock(&q->sq_lock);
	memset(q->cq, 0, q->depth * sizeof(*q->cq));
	memset(q->sq, 0, q->depth * sizeof(*q->sq));
	WRITE_ONCE(q->cq_head, 0);
	WRITE_ONCE(q->cq_phase, MXACCEL_CQE_PHASE);
	q->sq_tail = 0;
	q->rung = 0;
	q->nr_irq = 0;
	q->live = live;
	q->shadowed = false;
	if (q->shadow)
		memset(q->shadow, 0, sizeof(*q->shadow));
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
	if (!rq->polled)
		WRITE_ONCE(q->nr_irq, q->nr_irq + 1);

	sqe->cid = cpu_to_le16(rq->cid);
	q->sq[q->sq_tail] = *sqe;
	q->sq_tail = mx_ring_next(q->sq_tail, q->depth);
	spin_unlock(&q->sq_lock);
	return 0;
}

/* Has the chip to be told, or does it look at the tail by itself? With sq_lock. */
static bool mx_queue_must_ring(struct mx_queue *q, u16 old)
{
	if (!q->shadowed)
		return true;
	dma_wmb();	/* the entries are there before the tail */
	WRITE_ONCE(q->shadow->sq_tail, cpu_to_le32(q->sq_tail));
	mb();		/* the chip writes its event, then reads the tail */
	return mx_ring_passed(le32_to_cpu(READ_ONCE(q->shadow->sq_event)), old, q->sq_tail,
			      q->depth);
}

/* Tells the chip of all that was put. Any context. */
void mx_queue_ring(struct mx_queue *q)
{
	u16 old;

	spin_lock(&q->sq_lock);
	old = q->rung;
	if (q->live && old != q->sq_tail) {
		q->rung = q->sq_tail;
		if (mx_queue_must_ring(q, old))
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
	/* Whoever says so looks at the ring afterwards, and asks for interrupts again. */
	if (q->shadowed)
		WRITE_ONCE(q->shadow->cq_event, cpu_to_le32(MXACCEL_EVENT_NONE));
	mx_queue_ring(q);
	mx_queue_poll(q);
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

/* With sq_lock. */
static void mx_rq_put_locked(struct mx_rq *rq)
{
	if (atomic_dec_and_test(&rq->holds))
		rq->queue->slots[rq->cid & MX_CID_SLOT_MASK].busy = false;
}

void mx_rq_put(struct mx_rq *rq)
{
	struct mx_queue *q = rq->queue;

	spin_lock(&q->sq_lock);
	mx_rq_put_locked(rq);
	spin_unlock(&q->sq_lock);
}

/* Commands of a queue that have ended, oldest first */
struct mx_ended {
	struct mx_rq *first;
	struct mx_rq **last;
};

static void mx_ended_add(struct mx_ended *ended, struct mx_rq *rq)
{
	rq->next = NULL;
	*ended->last = rq;
	ended->last = &rq->next;
}

/* Their places in the ring are free: the chip has been told, or is stopped. */
static void mx_ended_done(struct mx_queue *q, struct mx_ended *ended)
{
	struct mx_rq *rq, *next;

	if (!ended->first)
		return;
	spin_lock(&q->sq_lock);
	for (rq = ended->first; rq; rq = rq->next)
		mx_rq_put_locked(rq);
	spin_unlock(&q->sq_lock);
	for (rq = ended->first; rq; rq = next) {
		next = rq->next;
		rq->done(rq);
	}
}

/* Is there a new entry in the completion ring? Any context. */
bool mx_queue_pending(struct mx_queue *q)
{
	struct mxaccel_cqe *cqe = &q->cq[READ_ONCE(q->cq_head)];

	return mx_cqe_is_new(READ_ONCE(cqe->status), READ_ONCE(q->cq_phase));
}

/* The command that an entry completes, or NULL. With both locks. */
static struct mx_rq *mx_cqe_match(struct mx_queue *q, const struct mxaccel_cqe *cqe)
{
	struct mx_rq *rq;

	rq = mx_slot_complete(q->slots, q->depth - 1, le16_to_cpu(cqe->cid));
	if (rq && !rq->polled)
		WRITE_ONCE(q->nr_irq, q->nr_irq - 1);
	return rq;
}

/* Takes the next entry, which is new. Return: what it ends, or NULL. With both locks. */
static struct mx_rq *mx_queue_take(struct mx_queue *q)
{
	struct mxaccel_cqe cqe;
	struct mx_rq *rq;
	u16 next;

	/* The rest of the entry is valid once its phase is. */
	dma_rmb();
	cqe = q->cq[q->cq_head];
	rq = mx_cqe_match(q, &cqe);
	if (rq) {
		rq->status = le16_to_cpu(cqe.status) >> MXACCEL_CQE_STATUS_SHIFT;
		rq->error = mx_status_errno(rq->status);
		rq->field = le16_to_cpu(cqe.field);
		rq->result = le64_to_cpu(cqe.result);
	} else {
		dev_warn_ratelimited(&q->mx->dev,
				     "queue %u: completion of id %#x, which is not in flight, ignored\n",
				     q->qid, le16_to_cpu(cqe.cid));
	}
	next = mx_ring_next(q->cq_head, q->depth);
	WRITE_ONCE(q->cq_head, next);
	WRITE_ONCE(q->cq_phase, mx_ring_phase(next, q->cq_phase));
	return rq;
}

/*
 * Tells the chip that @got entries were taken, and from where on we want an interrupt.
 * With cq_lock. Return: whether there is a new entry, which may not have been announced.
 */
static bool mx_queue_seen(struct mx_queue *q, unsigned int got)
{
	if (!q->shadowed) {
		if (got)
			writel(q->cq_head, q->doorbell + MXACCEL_DB_CQ_HEAD);
		return false;
	}
	mb();	/* the entries were read before the chip may write them again */
	WRITE_ONCE(q->shadow->cq_head, cpu_to_le32(q->cq_head));
	WRITE_ONCE(q->shadow->cq_event,
		   cpu_to_le32(READ_ONCE(q->nr_irq) ? q->cq_head : MXACCEL_EVENT_NONE));
	mb();	/* the chip writes entries, then reads the event */
	return mx_queue_pending(q);
}

/**
 * mx_queue_poll() - process new completions
 * @q:		queue
 *
 * Process context. Return: whether there were any.
 */
bool mx_queue_poll(struct mx_queue *q)
{
	struct mx_ended ended = { .last = &ended.first };
	unsigned int seen = 0, got;
	struct mx_rq *rq;

	spin_lock(&q->cq_lock);
	do {
		got = 0;
		spin_lock(&q->sq_lock);
		while (seen + got < q->depth && q->live && mx_queue_pending(q)) {
			rq = mx_queue_take(q);
			if (rq)
				mx_ended_add(&ended, rq);
			got++;
		}
		spin_unlock(&q->sq_lock);
		seen += got;
		/* What comes in after this is announced. */
	} while (q->live && mx_queue_seen(q, got) && seen < q->depth);
	spin_unlock(&q->cq_lock);

	if (seen)
		set_bit(0, &q->looked);
	mx_ended_done(q, &ended);
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

/* The chip knows the queue now. */
void mx_queue_open(struct mx_queue *q)
{
	spin_lock(&q->sq_lock);
	q->live = true;
	spin_unlock(&q->sq_lock);
}

/* The chip has forgotten a blocked queue: every command in flight on it ends with @error. */
void mx_queue_fail(struct mx_queue *q, int error)
{
	struct mx_ended ended = { .last = &ended.first };
	struct mx_rq *rq;
	u16 i;

	spin_lock(&q->sq_lock);
	for (i = 0; i < q->depth - 1; i++) {
		rq = q->slots[i].rq;
		if (!rq)
			continue;
		q->slots[i].rq = NULL;
		rq->status = MXACCEL_ST_ABORTED;
		rq->error = error;
		rq->field = 0;
		rq->result = 0;
		mx_ended_add(&ended, rq);
	}
	spin_unlock(&q->sq_lock);
	mx_ended_done(q, &ended);
}
