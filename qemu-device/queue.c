/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: queue pairs. Commands are fetched in the doorbell write itself, and
 * those that need no worker are answered there: a hand-over to another thread
 * costs more than they do.
 */
#include "mxaccel.h"
#include "qemu/log.h"
#include "trace.h"

void mx_queue_open(MxState *s, MxQueue *q, uint32_t sq_entries,
                   uint64_t sq_addr, uint32_t cq_entries,
                   uint64_t cq_addr, bool irq, uint16_t vector)
{
    mx_fault_forget(s, q);
    *q = (MxQueue) {
        .qid = q - s->queue,
        .live = true,
        .irq = irq,
        .vector = vector,
        .sq_entries = sq_entries,
        .sq_addr = sq_addr,
        .cq_entries = cq_entries,
        .cq_addr = cq_addr,
        .phase = true,
    };
}

void mx_queue_complete(MxState *s, MxQueue *q, uint16_t cid, uint16_t status,
                       uint16_t field, uint64_t result)
{
    MxEntry entry = {
        .cid = cid, .status = status, .field = field, .result = result,
    };

    if (s->running && mx_fault_completion(s, q, &entry)) {
        mx_queue_post(s, q, &entry);
    }
}

void mx_queue_post(MxState *s, MxQueue *q, const MxEntry *entry)
{
    uint64_t addr = q->cq_addr + q->cq_tail * sizeof(struct mxaccel_cqe);
    uint64_t tail, result;
    uint32_t next;

    if (!s->running || mx_fault_absent(s)) {
        return;
    }
    trace_mxaccel_complete(q->qid, entry->cid, entry->status, entry->field,
                           entry->result);
    next = (q->cq_tail + 1) % q->cq_entries;
    if (next == q->cq_head && q->shadowed && !mx_shadow_head(s, q)) {
        return;
    }
    if (next == q->cq_head) {
        /* Nobody need read what a pair that is being deleted has to say. */
        if (!q->deleting) {
            mx_fatal(s, MXACCEL_FATAL_CQ_OVERFLOW);
        }
        return;
    }
    /*
     * The half with the phase tag goes last and in one store: the host may be
     * looking at the entry.
     */
    tail = q->sq_head | (uint64_t)entry->cid << 16 |
           (uint64_t)entry->field << 32 |
           (uint64_t)(entry->status << MXACCEL_CQE_STATUS_SHIFT |
                      (q->phase ^ entry->old_phase)) << 48;
    result = cpu_to_le64(entry->result);
    tail = cpu_to_le64(tail);
    if (!mx_dma_write(s, addr, &result, sizeof(result))) {
        mx_fatal(s, MXACCEL_FATAL_QUEUE_DMA);
        return;
    }
    smp_wmb(); /* the result is there before the phase tag */
    if (!mx_dma_write(s, addr + sizeof(result), &tail, sizeof(tail))) {
        mx_fatal(s, MXACCEL_FATAL_QUEUE_DMA);
        return;
    }
    s->queue_bytes += sizeof(struct mxaccel_cqe);
    q->cq_tail = next;
    if (!next) {
        q->phase = !q->phase;
    }
    if (q->irq) {
        s->irq_due |= 1u << q->qid;
    }
}

static void mx_io_command(MxState *s, MxCommand *cmd)
{
    switch (cmd->sqe.opcode) {
    case MXACCEL_IO_NOP:
        if (mx_no_ctx(cmd)) {
            MX_ZERO(cmd, raw);
        }
        break;
    case MXACCEL_IO_JOB:
        mx_job_command(s, cmd);
        break;
    default:
        mx_fail(cmd, MXACCEL_ST_BAD_OPCODE, MX_FIELD(opcode));
    }
}

static bool mx_check_flags(const MxQueue *q, MxCommand *cmd)
{
    uint8_t known = q->qid && cmd->sqe.opcode == MXACCEL_IO_JOB ?
                    MXACCEL_JOB_SCHEDULE : 0;

    if (cmd->sqe.flags & ~known) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(flags));
        return false;
    }
    return true;
}

/* Carries the next command out, or starts it. */
static void mx_queue_step(MxState *s, MxQueue *q, const struct mxaccel_sqe *sqe)
{
    MxCommand cmd = { .queue = q, .sqe = *sqe };

    s->queue_bytes += sizeof(cmd.sqe);
    q->sq_head = (q->sq_head + 1) % q->sq_entries;
    cmd.cid = le16_to_cpu(cmd.sqe.cid);
    cmd.ctx = le32_to_cpu(cmd.sqe.ctx);
    trace_mxaccel_command(q->qid, cmd.sqe.opcode, cmd.cid, cmd.ctx);

    if (mx_check_flags(q, &cmd)) {
        if (q->qid) {
            mx_io_command(s, &cmd);
        } else {
            mx_admin_command(s, &cmd);
        }
    }
    if (!cmd.pending) {
        mx_queue_complete(s, q, cmd.cid, cmd.status, cmd.field, cmd.result);
    }
}

/* Reads up to @most entries that lie in a row; 0 after a fatal error. */
static unsigned mx_queue_fetch(MxState *s, MxQueue *q, struct mxaccel_sqe *sqe,
                               unsigned most)
{
    unsigned end = q->sq_tail > q->sq_head ? q->sq_tail : q->sq_entries;
    unsigned nr = MIN(most, end - q->sq_head);

    if (mx_dma_read(s, q->sq_addr + q->sq_head * sizeof(*sqe), sqe,
                    nr * sizeof(*sqe))) {
        return nr;
    }
    mx_fatal(s, MXACCEL_FATAL_QUEUE_DMA);
    return 0;
}

/*
 * A queue rests while its tasks could fill its completion queue, and the I/O
 * queues while jobs hold much host memory: tasks that end start it again.
 */
static bool mx_queue_has_work(MxState *s, const MxQueue *q)
{
    return s->running && q->live && !q->deleting &&
           !(s->fault[MX_FAULT_STALL] >> q->qid & 1) && !mx_fault_absent(s) &&
           q->sq_head != q->sq_tail && q->nr_tasks < q->cq_entries &&
           (!q->qid || s->staged_bytes < MX_STAGED_BYTES);
}

/* Carries out some of what is there. */
static void mx_queue_work(MxState *s, MxQueue *q, unsigned *left)
{
    struct mxaccel_sqe sqe[MX_BATCH_FETCH];
    uint64_t staged = s->staged_bytes;
    unsigned nr = mx_queue_fetch(s, q, sqe, MIN(*left, MX_BATCH_FETCH));

    for (unsigned i = 0; i < nr && mx_queue_has_work(s, q); i++) {
        mx_queue_step(s, q, &sqe[i]);
        (*left)--;
        /* Copying input takes its time, too. */
        if (s->staged_bytes > staged + MX_BATCH_BYTES) {
            *left = 0;
            return;
        }
    }
}

static void mx_queue_run(MxState *s, MxQueue *q, unsigned *left)
{
    while (*left && (mx_queue_has_work(s, q) || mx_shadow_rest(s, q))) {
        mx_queue_work(s, q, left);
    }
}

bool mx_queues_run(MxState *s)
{
    unsigned left = MX_BATCH_COMMANDS;

    /* The queue after the one that used the turn up is the first next time. */
    for (unsigned i = 0; i < MX_NR_QUEUES && left; i++) {
        mx_queue_run(s, &s->queue[s->next_queue], &left);
        s->next_queue = (s->next_queue + 1) % MX_NR_QUEUES;
    }
    return left > 0;
}

void mx_queues_flush(MxState *s)
{
    uint32_t due = s->irq_due;

    s->irq_due = 0;
    if (s->queue_bytes) {
        mx_chip_count(s->chip, MXACCEL_CTR_QUEUE_BYTES, s->queue_bytes);
        s->queue_bytes = 0;
    }
    while (due) {
        MxQueue *q = &s->queue[ctz32(due)];

        due &= due - 1;
        if (!mx_queue_announce(s, q)) {
            continue;
        }
        trace_mxaccel_irq(q->qid, q->vector);
        if (!mx_fault_take(s, MX_FAULT_LOST_IRQ)) {
            mx_notify(s, q->vector);
        }
    }
}

static bool mx_bad_doorbell(MxState *s, const MxQueue *q, uint32_t value)
{
    qemu_log_mask(LOG_GUEST_ERROR, "mxaccel: bad doorbell value %u, queue %u\n",
                  value, (unsigned)(q - s->queue));
    mx_fatal(s, MXACCEL_FATAL_BAD_DOORBELL);
    return false;
}

bool mx_queue_set_tail(MxState *s, MxQueue *q, uint32_t value)
{
    if (value >= q->sq_entries) {
        return mx_bad_doorbell(s, q, value);
    }
    q->sq_tail = value;
    return true;
}

bool mx_queue_set_head(MxState *s, MxQueue *q, uint32_t value)
{
    uint32_t unread = (q->cq_tail + q->cq_entries - q->cq_head) % q->cq_entries;
    uint32_t read = (value + q->cq_entries - q->cq_head) % q->cq_entries;

    if (value >= q->cq_entries || read > unread) {
        return mx_bad_doorbell(s, q, value);
    }
    q->cq_head = value;
    return true;
}

void mx_queue_doorbell(MxState *s, uint32_t qid, uint32_t reg, uint32_t value)
{
    MxQueue *q = &s->queue[qid];
    unsigned left = MX_BATCH_COMMANDS;

    trace_mxaccel_doorbell(qid, reg, value);
    if (!s->running || q->deleting || mx_fault_absent(s)) {
        return;
    }
    if (!q->live) {
        mx_bad_doorbell(s, q, value);
    } else if (reg == MXACCEL_DB_CQ_HEAD) {
        mx_queue_set_head(s, q, value);
    } else if (mx_queue_set_tail(s, q, value)) {
        mx_queue_run(s, q, &left);
        mx_queues_flush(s);
        if (!left) {
            qemu_bh_schedule(s->bh);
        }
    }
}
