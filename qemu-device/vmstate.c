/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: snapshots and migration. What has one size is listed here; cells, chip,
 * contexts and commands under way are in handover.c.
 *
 * The machine stands still when it is saved, and so does the device
 * (MxState.frozen). A job that a worker has is taken back and run again, by
 * whoever goes on: it has counted nothing. The non-volatile cells of a store
 * are not copied but handed over, by its lock.
 */
#include "mxaccel.h"

static int mx_pre_save(void *opaque)
{
    MxState *s = opaque;

    mx_tasks_hold(s);
    mx_tasks_reap(s);
    /* Not mx_queues_flush(): an interrupt would be lost here. */
    mx_chip_count(s->chip, MXACCEL_CTR_QUEUE_BYTES, s->queue_bytes);
    s->queue_bytes = 0;
    mx_store_lend(s);
    return 0;
}

/*
 * A member that is added gets a new version of this list, and VMSTATE_..._V()
 * with it; what only some drivers use, a subsection.
 */
static const VMStateDescription mx_vmstate_queue = {
    .name = "mxaccel-queue",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_UINT16(qid, MxQueue),
        VMSTATE_BOOL(live, MxQueue),
        VMSTATE_BOOL(irq, MxQueue),
        VMSTATE_UINT16(vector, MxQueue),
        VMSTATE_UINT32(sq_entries, MxQueue),
        VMSTATE_UINT32(cq_entries, MxQueue),
        VMSTATE_UINT64(sq_addr, MxQueue),
        VMSTATE_UINT64(cq_addr, MxQueue),
        VMSTATE_UINT32(sq_head, MxQueue),
        VMSTATE_UINT32(sq_tail, MxQueue),
        VMSTATE_UINT32(cq_head, MxQueue),
        VMSTATE_UINT32(cq_tail, MxQueue),
        VMSTATE_BOOL(phase, MxQueue),
        VMSTATE_BOOL(deleting, MxQueue),
        VMSTATE_UINT16(delete_cid, MxQueue),
        VMSTATE_BOOL(shadowed, MxQueue),
        VMSTATE_UINT64(shadow, MxQueue),
        VMSTATE_UINT32(sq_event, MxQueue),
        VMSTATE_UINT32(cq_told, MxQueue),
        VMSTATE_UINT32(nr_held, MxQueue),
        VMSTATE_UINT32(hold_most, MxQueue),
        VMSTATE_UINT32(hold_us, MxQueue),
        VMSTATE_INT64(hold_until, MxQueue),
        VMSTATE_END_OF_LIST()
    },
};

/* A queue of a damaged state must not lead out of the tables. */
static bool mx_queue_sane(const MxState *s, const MxQueue *q)
{
    return q->sq_entries >= MXACCEL_QUEUE_MIN &&
           q->sq_entries <= MXACCEL_QUEUE_MAX &&
           q->cq_entries >= MXACCEL_QUEUE_MIN &&
           q->cq_entries <= MXACCEL_QUEUE_MAX &&
           q->sq_head < q->sq_entries && q->sq_tail < q->sq_entries &&
           q->cq_head < q->cq_entries && q->cq_tail < q->cq_entries &&
           q->cq_told < q->cq_entries &&
           q->qid == q - s->queue && q->vector < s->vectors;
}

static int mx_post_load(void *opaque, int version)
{
    MxState *s = opaque;

    for (unsigned qid = 0; qid < MX_NR_QUEUES; qid++) {
        if (s->queue[qid].live && !mx_queue_sane(s, &s->queue[qid])) {
            return -EINVAL;
        }
    }
    s->next_queue %= MX_NR_QUEUES;
    s->irq_due &= (1u << MX_NR_QUEUES) - 1;
    mx_notify_arm(s);
    return 0;
}

/* What was under way in a machine that is rolled back is gone. */
static int mx_pre_load(void *opaque)
{
    MxState *s = opaque;

    mx_controller_stop(s);
    mx_tasks_hold(s);
    mx_tasks_reap(s);
    return 0;
}

/* The size is that of the whole state: the functions find what they need in it. */
#define MX_HANDOVER(part) { \
    .name = #part, \
    .info = &mx_handover_##part, \
    .flags = VMS_SINGLE, \
    .offset = 0, \
    .size = sizeof(MxState), \
}

const VMStateDescription mx_vmstate = {
    .name = "mxaccel",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_load = mx_pre_load,
    .post_load = mx_post_load,
    .pre_save = mx_pre_save,
    .fields = (VMStateField[]) {
        VMSTATE_UINT64_EQUAL(seed, MxState, "seed= differs"),
        VMSTATE_UINT32_EQUAL(vectors, MxState, "vectors= differs"),
        VMSTATE_UINT32_EQUAL(queues, MxState, "queues= differs"),
        VMSTATE_UINT32_EQUAL(nr_counters, MxState, "versions of the device differ"),
        VMSTATE_PCI_DEVICE(parent_obj, MxState),
        VMSTATE_STRUCT(parent_obj.exp.aer_log, MxState, 0,
                       vmstate_pcie_aer_log, PCIEAERLog),
        VMSTATE_MSIX(parent_obj, MxState),
        VMSTATE_UINT32(ctrl, MxState),
        VMSTATE_UINT32(fatal, MxState),
        VMSTATE_BOOL(running, MxState),
        VMSTATE_BOOL(power_lost, MxState),
        VMSTATE_UINT32(aqa, MxState),
        VMSTATE_UINT64(asq, MxState),
        VMSTATE_UINT64(acq, MxState),
        VMSTATE_UINT64_ARRAY(window.v, MxState, MXACCEL_CTR_NR),
        VMSTATE_STRUCT_ARRAY(queue, MxState, MX_NR_QUEUES, 1, mx_vmstate_queue,
                             MxQueue),
        VMSTATE_UINT32(next_queue, MxState),
        VMSTATE_UINT32(irq_due, MxState),
        VMSTATE_INT64(chip_free, MxState),
        MX_HANDOVER(cells),
        MX_HANDOVER(chip),
        MX_HANDOVER(work),
        VMSTATE_END_OF_LIST()
    },
};
