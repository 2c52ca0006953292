// SPDX-License-Identifier: GPL-2.0-only
/*
 * Admin commands: each waits for its completion, for a bounded time. A
 * command that does not complete means a chip that cannot be trusted with
 * memory any more, so it is stopped and reset.
 */
#include <linux/completion.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>

#include "mxaccel_drv.h"
#include "trace.h"

static ushort mx_coalesce_count;
module_param_named(coalesce_count, mx_coalesce_count, ushort, 0444);
MODULE_PARM_DESC(coalesce_count,
		 "Completions for one interrupt, where the chip can hold it (default 0: each)");

static uint mx_coalesce_us = 100;
module_param_named(coalesce_us, mx_coalesce_us, uint, 0444);
MODULE_PARM_DESC(coalesce_us,
		 "Longest time for which such an interrupt is held, in us, up to a second (default 100)");

struct mx_admin_rq {
	struct mx_rq rq;
	struct completion done;
};

static void mx_admin_done(struct mx_rq *rq)
{
	complete(&container_of(rq, struct mx_admin_rq, rq)->done);
}

/*
 * Waits for a command, and for no longer than the chip can be expected to
 * work on it. Return: NULL when it has completed, or what is wrong.
 */
static const char *mx_admin_wait(struct mx_dev *mx, struct mx_admin_rq *admin,
				 unsigned long timeout)
{
	unsigned long end = jiffies + timeout;

	while (!wait_for_completion_timeout(&admin->done, min(timeout, HZ + 0UL))) {
		if (mx_queue_poll(&mx->admin))
			dev_warn(&mx->dev, "admin queue: an interrupt got lost\n");
		if (try_wait_for_completion(&admin->done))
			return NULL;
		/* Its interrupt may have got lost as well. */
		if (readl(mx->regs + MXACCEL_REG_STATUS) & MXACCEL_STATUS_FATAL)
			return "failed";
		if (time_after_eq(jiffies, end))
			return "timed out";
	}
	return NULL;
}

/**
 * mx_admin() - run an admin command
 * @mx:		device, inside mx_enter() or with reset_lock
 * @sqe:	the entry; its cid is filled in
 * @timeout_ms:	before scaling
 * @result:	out, may be NULL
 * @status:	out: MXACCEL_ST_*, 0 if the chip was not asked; may be NULL
 *
 * Memory named by @sqe may be freed afterwards, whatever the outcome.
 * Return: 0, the errno of the status, -EBUSY if the admin queue stayed full,
 * -ENODEV if the chip was stopped.
 */
int mx_admin(struct mx_dev *mx, struct mxaccel_sqe *sqe, unsigned int timeout_ms,
	     u64 *result, u16 *status)
{
	unsigned long generation = READ_ONCE(mx->generation);
	unsigned long timeout = mx_timeout(mx, timeout_ms);
	struct mx_admin_rq admin = { .rq.done = mx_admin_done };
	u64 begin = ktime_get_ns();
	const char *wrong;
	char why[48];
	int err;

	if (status)
		*status = MXACCEL_ST_SUCCESS;
	if (mx_inject_admin()) {
		if (status)
			*status = MXACCEL_ST_DMA_ERROR;
		return -EIO;
	}
	if (down_timeout(&mx->admin_slots, timeout))
		return -EBUSY;
	init_completion(&admin.done);
	err = mx_queue_put(&mx->admin, &admin.rq, sqe);
	if (err)
		goto out;
	mx_queue_kick(&mx->admin);
	wrong = mx_admin_wait(mx, &admin, timeout);
	if (wrong) {
		snprintf(why, sizeof(why), "admin command %#x %s", sqe->opcode, wrong);
		mx_fail(mx, generation, why);
		/* Ended by mx_fail(), or by a completion that was just in time. */
		wait_for_completion(&admin.done);
	}
	err = admin.rq.error;
	if (result)
		*result = admin.rq.result;
	if (status && err != -ENODEV)
		*status = admin.rq.status;
	if (err)
		dev_dbg(&mx->dev, "admin command %#x: %s (field %u)\n", sqe->opcode,
			mx_status_text(admin.rq.status), admin.rq.field);
	trace_mx_admin(mx, sqe->opcode, le32_to_cpu(sqe->ctx), admin.rq.status, err,
		       ktime_get_ns() - begin);
out:
	up(&mx->admin_slots);
	return err;
}

/**
 * mx_admin_page() - run an admin command that writes a page
 * @mx:		device
 * @sqe:	the entry
 * @addr:	its field for the address of the page
 * @page:	MXACCEL_PAGE bytes, filled on success
 */
int mx_admin_page(struct mx_dev *mx, struct mxaccel_sqe *sqe, __le64 *addr, void *page)
{
	struct device *dma = &mx->pdev->dev;
	dma_addr_t at;
	void *mem;
	int err;

	mem = dma_alloc_coherent(dma, MXACCEL_PAGE, &at, GFP_KERNEL);
	if (!mem)
		return -ENOMEM;
	*addr = cpu_to_le64(at);
	err = mx_admin(mx, sqe, MX_ADMIN_TIMEOUT_MS, NULL, NULL);
	if (!err)
		memcpy(page, mem, MXACCEL_PAGE);
	dma_free_coherent(dma, MXACCEL_PAGE, mem, at);
	return err;
}

/**
 * mx_admin_sg() - run an admin command that names host memory
 * @mx:		device
 * @sqe:	the entry
 * @sg_addr:	its field for the address of the segment list
 * @sg_nr:	its field for the length of the list
 * @sgt:	the memory, mapped
 * @status:	out: MXACCEL_ST_*
 *
 * Return: as mx_admin(); -EFBIG with more segments than the chip takes.
 */
int mx_admin_sg(struct mx_dev *mx, struct mxaccel_sqe *sqe, __le64 *sg_addr, __le32 *sg_nr,
		struct sg_table *sgt, u16 *status)
{
	struct device *dma = &mx->pdev->dev;
	struct mxaccel_sg *list;
	struct scatterlist *sg;
	dma_addr_t at;
	size_t bytes;
	int err, i;

	*status = MXACCEL_ST_SUCCESS;
	if (sgt->nents > mx->max_sg) {
		dev_dbg(&mx->dev, "memory is in %u pieces, the chip takes %u\n",
			sgt->nents, mx->max_sg);
		return -EFBIG;
	}
	bytes = sgt->nents * sizeof(*list);
	list = dma_alloc_coherent(dma, bytes, &at, GFP_KERNEL | __GFP_NOWARN);
	if (!list)
		return -ENOMEM;
	for_each_sgtable_dma_sg(sgt, sg, i) {
		list[i].addr = cpu_to_le64(sg_dma_address(sg));
		list[i].bytes = cpu_to_le32(sg_dma_len(sg));
		list[i].rsvd = 0;
	}
	*sg_addr = cpu_to_le64(at);
	*sg_nr = cpu_to_le32(sgt->nents);
	err = mx_admin(mx, sqe, MX_DRAIN_TIMEOUT_MS, NULL, status);
	dma_free_coherent(dma, bytes, list, at);
	return err;
}

int mx_identify(struct mx_dev *mx, struct mxaccel_identify *page)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_IDENTIFY,
		.identify.what = cpu_to_le32(MXACCEL_IDENTIFY_DEVICE),
	};

	return mx_admin_page(mx, &sqe, &sqe.identify.addr, page);
}

/* For chips with MXACCEL_FEATURE_HEALTH */
int mx_identify_health(struct mx_dev *mx, struct mxaccel_health *page)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_IDENTIFY,
		.identify.what = cpu_to_le32(MXACCEL_IDENTIFY_HEALTH),
	};

	return mx_admin_page(mx, &sqe, &sqe.identify.addr, page);
}

/* Fills @page with MXACCEL_MODELS_PER_PAGE directory slots from @index on. */
int mx_identify_models(struct mx_dev *mx, u32 index, struct mxaccel_model_info *page)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_IDENTIFY,
		.identify.what = cpu_to_le32(MXACCEL_IDENTIFY_MODELS),
		.identify.index = cpu_to_le32(index),
	};

	return mx_admin_page(mx, &sqe, &sqe.identify.addr, page);
}

/* Gives a new pair its doorbells in memory, if it has them. */
static int mx_shadow_qp(struct mx_dev *mx, struct mx_queue *q, u16 *status)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_SHADOW,
		.shadow.qid = cpu_to_le16(q->qid),
		.shadow.addr = cpu_to_le64(q->shadow_dma),
	};
	int err;

	if (!q->shadow)
		return 0;
	err = mx_admin(mx, &sqe, MX_ADMIN_TIMEOUT_MS, NULL, status);
	q->shadowed = !err;
	return err;
}

static int mx_coalesce_qp(struct mx_dev *mx, struct mx_queue *q, u16 *status)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_COALESCE,
		.coalesce.qid = cpu_to_le16(q->qid),
		.coalesce.count = cpu_to_le16(mx_coalesce_count),
		.coalesce.time_us = cpu_to_le32(min_t(u32, mx_coalesce_us,
						      MXACCEL_COALESCE_MAX_US)),
	};

	if (mx_coalesce_count < 2 || !(mx->hw_features & MXACCEL_FEATURE_COALESCE))
		return 0;
	return mx_admin(mx, &sqe, MX_ADMIN_TIMEOUT_MS, NULL, status);
}

int mx_create_qp(struct mx_dev *mx, struct mx_queue *q)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_CREATE_QP,
		.create_qp.qid = cpu_to_le16(q->qid),
		.create_qp.vector = cpu_to_le16(q->vector),
		.create_qp.sq_entries = cpu_to_le16(q->depth - 1),
		.create_qp.cq_entries = cpu_to_le16(q->depth - 1),
		.create_qp.sq_addr = cpu_to_le64(q->sq_dma),
		.create_qp.cq_addr = cpu_to_le64(q->cq_dma),
		.create_qp.qflags = cpu_to_le32(MXACCEL_QP_IRQ),
	};
	u16 status;
	int err = mx_admin(mx, &sqe, MX_ADMIN_TIMEOUT_MS, NULL, &status);

	if (!err)
		err = mx_shadow_qp(mx, q, &status);
	if (!err)
		err = mx_coalesce_qp(mx, q, &status);
	if (err)
		mx_record_error(mx, "cannot create queue pair %u: %s", q->qid,
				mx_status_text(status));
	return err;
}

/* CTX_CREATE, or CTX_DESTROY, which waits for the context's jobs */
int mx_ctx_command(struct mx_dev *mx, u8 opcode, u32 ctx)
{
	struct mxaccel_sqe sqe = {
		.opcode = opcode,
		.ctx = cpu_to_le32(ctx),
	};

	return mx_admin(mx, &sqe, MX_DRAIN_TIMEOUT_MS, NULL, NULL);
}

/* MODEL_GRANT, MODEL_REVOKE, MODEL_DELETE */
int mx_model_command(struct mx_dev *mx, u8 opcode, u32 ctx, u32 model)
{
	struct mxaccel_sqe sqe = {
		.opcode = opcode,
		.ctx = cpu_to_le32(ctx),
		.model.model = cpu_to_le32(model),
	};

	return mx_admin(mx, &sqe, MX_DRAIN_TIMEOUT_MS, NULL, NULL);
}

/* Tells the chip to stop a command, which the caller holds by mx_rq_hold(). */
int mx_abort(struct mx_dev *mx, struct mx_rq *rq)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_ABORT,
		.abort.qid = cpu_to_le16(rq->queue->qid),
		.abort.cid = cpu_to_le16(rq->cid),
	};

	return mx_admin(mx, &sqe, MX_ADMIN_TIMEOUT_MS, NULL, NULL);
}
