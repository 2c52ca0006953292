/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: what chip and host tell each other without registers: shadow doorbells,
 * and the interrupts that are raised, left out, or held until more completions
 * are there. struct mxaccel_shadow in mxaccel_hw.h says who reads what when.
 */
#include "mxaccel.h"
#include "trace.h"

#define MX_SHADOW(member) offsetof(struct mxaccel_shadow, member)

/* From one place of a ring forward to another */
static uint32_t mx_ring_distance(uint32_t from, uint32_t to, uint32_t entries)
{
    return (to + entries - from) % entries;
}

static bool mx_shadow_read(MxState *s, const MxQueue *q, uint64_t offset,
                           uint32_t *value)
{
    if (!mx_dma_read(s, q->shadow + offset, value, sizeof(*value))) {
        mx_fatal(s, MXACCEL_FATAL_QUEUE_DMA);
        return false;
    }
    le32_to_cpus(value);
    return true;
}

bool mx_shadow_head(MxState *s, MxQueue *q)
{
    uint32_t head;

    return mx_shadow_read(s, q, MX_SHADOW(cq_head), &head) &&
           mx_queue_set_head(s, q, head);
}

bool mx_shadow_rest(MxState *s, MxQueue *q)
{
    uint32_t event = cpu_to_le32(q->sq_tail), before = q->sq_tail, tail;

    if (!s->running || !q->live || q->deleting || !q->shadowed ||
        q->sq_head != q->sq_tail || q->sq_event == q->sq_tail) {
        return false;
    }
    q->sq_event = q->sq_tail;
    if (!mx_dma_write(s, q->shadow + MX_SHADOW(sq_event), &event,
                      sizeof(event))) {
        mx_fatal(s, MXACCEL_FATAL_QUEUE_DMA);
        return false;
    }
    smp_mb(); /* the host writes its tail, then reads this */
    return mx_shadow_read(s, q, MX_SHADOW(sq_tail), &tail) &&
           mx_queue_set_tail(s, q, tail) && tail != before;
}

/* Has the host asked for an interrupt for one of @nr entries before the tail? */
static bool mx_shadow_wants(MxState *s, const MxQueue *q, uint32_t nr)
{
    uint32_t event;

    smp_mb(); /* the host writes this, then looks at the entries */
    return mx_shadow_read(s, q, MX_SHADOW(cq_event), &event) &&
           event < q->cq_entries &&
           mx_ring_distance(q->cq_told, event, q->cq_entries) < nr;
}

void mx_notify_arm(MxState *s)
{
    int64_t first = INT64_MAX;

    for (unsigned i = 0; i < MX_NR_QUEUES; i++) {
        if (s->queue[i].hold_until) {
            first = MIN(first, s->queue[i].hold_until);
        }
    }
    if (first == INT64_MAX) {
        timer_del(s->hold_timer);
    } else {
        timer_mod_ns(s->hold_timer, first);
    }
}

bool mx_queue_announce(MxState *s, MxQueue *q)
{
    uint32_t nr = mx_ring_distance(q->cq_told, q->cq_tail, q->cq_entries);

    if (!s->running || !q->live || !nr) {
        return false;
    }
    if (q->shadowed && !q->hold_until && !mx_shadow_wants(s, q, nr)) {
        q->cq_told = q->cq_tail;
        return false;
    }
    q->cq_told = q->cq_tail;
    q->nr_held += nr;
    if (q->nr_held < q->hold_most) {
        if (!q->hold_until) {
            q->hold_until = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                            q->hold_us * 1000ll;
            mx_notify_arm(s);
        }
        return false;
    }
    q->nr_held = 0;
    q->hold_until = 0;
    return true;
}

/* Raises what was held long enough, unless the host has seen to it by itself. */
static void mx_hold_expired(void *opaque)
{
    MxState *s = opaque;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    for (unsigned i = 0; i < MX_NR_QUEUES; i++) {
        MxQueue *q = &s->queue[i];

        if (!q->hold_until || q->hold_until > now) {
            continue;
        }
        q->hold_until = 0;
        q->nr_held = 0;
        if (!s->running || !q->live ||
            (q->shadowed && (!mx_shadow_head(s, q) || q->cq_head == q->cq_tail))) {
            continue;
        }
        trace_mxaccel_irq(q->qid, q->vector);
        mx_notify(s, q->vector);
    }
    mx_notify_arm(s);
}

void mx_notify_init(MxState *s)
{
    s->hold_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, mx_hold_expired, s);
}

void mx_notify_exit(MxState *s)
{
    if (s->hold_timer) {
        timer_free(s->hold_timer);
        s->hold_timer = NULL;
    }
}

/* The I/O queue pair that a command names, or NULL. */
static MxQueue *mx_command_queue(MxState *s, MxCommand *cmd, uint32_t qid,
                                 uint16_t field)
{
    if (qid && qid <= s->queues && s->queue[qid].live &&
        !s->queue[qid].deleting) {
        return &s->queue[qid];
    }
    mx_fail(cmd, MXACCEL_ST_BAD_QUEUE, field);
    return NULL;
}

void mx_shadow_command(MxState *s, MxCommand *cmd)
{
    uint64_t addr = le64_to_cpu(cmd->sqe.shadow.addr);
    MxQueue *q;

    if (!s->shadow) {
        mx_fail(cmd, MXACCEL_ST_BAD_OPCODE, MX_FIELD(opcode));
        return;
    }
    if (!mx_no_ctx(cmd) || !MX_ZERO(cmd, shadow.rsvd) ||
        !MX_ZERO(cmd, shadow.rsvd2)) {
        return;
    }
    q = mx_command_queue(s, cmd, le16_to_cpu(cmd->sqe.shadow.qid),
                         MX_FIELD(shadow.qid));
    if (!q) {
        return;
    }
    if (addr % MXACCEL_PAGE) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(shadow.addr));
    } else if (q->shadowed || q->sq_tail || q->sq_head || q->cq_tail) {
        mx_fail(cmd, MXACCEL_ST_BUSY, MX_FIELD(shadow.qid));
    } else {
        q->shadow = addr;
        q->shadowed = true;
    }
}

void mx_coalesce_command(MxState *s, MxCommand *cmd)
{
    uint32_t time_us = le32_to_cpu(cmd->sqe.coalesce.time_us);
    MxQueue *q;

    if (!s->coalescing) {
        mx_fail(cmd, MXACCEL_ST_BAD_OPCODE, MX_FIELD(opcode));
        return;
    }
    if (!mx_no_ctx(cmd) || !MX_ZERO(cmd, coalesce.rsvd)) {
        return;
    }
    q = mx_command_queue(s, cmd, le16_to_cpu(cmd->sqe.coalesce.qid),
                         MX_FIELD(coalesce.qid));
    if (!q) {
        return;
    }
    if (time_us > MXACCEL_COALESCE_MAX_US) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(coalesce.time_us));
        return;
    }
    q->hold_most = le16_to_cpu(cmd->sqe.coalesce.count);
    q->hold_us = time_us;
}
