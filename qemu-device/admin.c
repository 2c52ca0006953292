/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: admin commands on the device itself: identity, counters, queue pairs,
 * ABORT. Those on contexts and models are in ctx.c and prog.c.
 */
#include "mxaccel.h"
#include "trace.h"

/* Answers with a page, at an address that the entry has at @field. */
static void mx_write_page(MxState *s, MxCommand *cmd, uint16_t field,
                          uint64_t addr, const void *data, uint64_t bytes)
{
    if (addr % MXACCEL_PAGE) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, field);
    } else if (!mx_dma_write(s, addr, data, bytes)) {
        mx_fail(cmd, MXACCEL_ST_DMA_ERROR, field);
    } else {
        s->queue_bytes += bytes;
    }
}

static void mx_health_page(MxState *s, struct mxaccel_health *page)
{
    struct mx_health health;

    mx_chip_health(s->chip, &health);
    page->nr_values = cpu_to_le32(MXACCEL_HEALTH_NR);
#define MXACCEL_X(name, file, text) \
    page->value[MXACCEL_HEALTH_##name] = cpu_to_le64(health.file);
    MXACCEL_HEALTH_VALUES(MXACCEL_X)
#undef MXACCEL_X
}

static void mx_identify(MxState *s, MxCommand *cmd)
{
    uint32_t what = le32_to_cpu(cmd->sqe.identify.what);
    uint32_t index = le32_to_cpu(cmd->sqe.identify.index);
    uint32_t max_models = s->config.max_models;
    union {
        struct mxaccel_identify device;
        struct mxaccel_model_info model[MXACCEL_MODELS_PER_PAGE];
        struct mxaccel_health health;
    } page;

    if (!mx_no_ctx(cmd) || !MX_ZERO(cmd, identify.rsvd)) {
        return;
    }
    memset(&page, 0, sizeof(page));
    if (what == MXACCEL_IDENTIFY_DEVICE) {
        if (!MX_ZERO(cmd, identify.index)) {
            return;
        }
        mx_chip_identify(s->chip, &page.device);
    } else if (what == MXACCEL_IDENTIFY_MODELS) {
        if (index >= max_models) {
            mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(identify.index));
            return;
        }
        for (uint32_t i = 0; i < MXACCEL_MODELS_PER_PAGE &&
             i < max_models - index; i++) {
            mx_chip_model_info(s->chip, index + i, &page.model[i]);
            /* The chip's references also are those of jobs in flight. */
            page.model[i].grants = cpu_to_le32(mx_ctx_grants(s, index + i));
        }
    } else if (what == MXACCEL_IDENTIFY_HEALTH) {
        if (!MX_ZERO(cmd, identify.index)) {
            return;
        }
        mx_health_page(s, &page.health);
    } else {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(identify.what));
        return;
    }
    mx_write_page(s, cmd, MX_FIELD(identify.addr),
                  le64_to_cpu(cmd->sqe.identify.addr), &page, sizeof(page));
}

static void mx_counters(MxState *s, MxCommand *cmd)
{
    uint32_t scope = le32_to_cpu(cmd->sqe.counters.scope);
    struct mx_counters counters;
    MxContext *ctx;

    if (!MX_ZERO(cmd, counters.rsvd) ||
        (scope != MXACCEL_SCOPE_MODEL && !MX_ZERO(cmd, counters.model)) ||
        (scope != MXACCEL_SCOPE_CONTEXT && !mx_no_ctx(cmd))) {
        return;
    }
    switch (scope) {
    case MXACCEL_SCOPE_DEVICE:
        mx_queues_flush(s);
        mx_chip_counters(s->chip, &counters);
        break;
    case MXACCEL_SCOPE_CONTEXT:
        ctx = mx_command_ctx(s, cmd);
        if (!ctx) {
            return;
        }
        counters = ctx->counters;
        break;
    case MXACCEL_SCOPE_MODEL:
        if (mx_chip_model_counters(s->chip,
                                   le32_to_cpu(cmd->sqe.counters.model),
                                   &counters) != MXACCEL_ST_SUCCESS) {
            mx_fail(cmd, MXACCEL_ST_BAD_MODEL, MX_FIELD(counters.model));
            return;
        }
        break;
    default:
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(counters.scope));
        return;
    }
    for (unsigned i = 0; i < MXACCEL_CTR_NR; i++) {
        cpu_to_le64s(&counters.v[i]);
    }
    mx_write_page(s, cmd, MX_FIELD(counters.addr),
                  le64_to_cpu(cmd->sqe.counters.addr), counters.v,
                  sizeof(counters.v));
}

static void mx_create_qp(MxState *s, MxCommand *cmd)
{
    uint32_t qid = le16_to_cpu(cmd->sqe.create_qp.qid);
    uint32_t vector = le16_to_cpu(cmd->sqe.create_qp.vector);
    uint32_t sq_entries = le16_to_cpu(cmd->sqe.create_qp.sq_entries) + 1;
    uint32_t cq_entries = le16_to_cpu(cmd->sqe.create_qp.cq_entries) + 1;
    uint64_t sq_addr = le64_to_cpu(cmd->sqe.create_qp.sq_addr);
    uint64_t cq_addr = le64_to_cpu(cmd->sqe.create_qp.cq_addr);
    uint32_t qflags = le32_to_cpu(cmd->sqe.create_qp.qflags);
    uint16_t field;

    if (!mx_no_ctx(cmd) || !MX_ZERO(cmd, create_qp.rsvd)) {
        return;
    }
    if (!qid || qid > s->queues || s->queue[qid].live) {
        mx_fail(cmd, MXACCEL_ST_BAD_QUEUE, MX_FIELD(create_qp.qid));
        return;
    }
    if (vector >= s->vectors) {
        field = MX_FIELD(create_qp.vector);
    } else if (sq_entries < MXACCEL_QUEUE_MIN ||
               sq_entries > MXACCEL_QUEUE_MAX) {
        field = MX_FIELD(create_qp.sq_entries);
    } else if (cq_entries < MXACCEL_QUEUE_MIN ||
               cq_entries > MXACCEL_QUEUE_MAX) {
        field = MX_FIELD(create_qp.cq_entries);
    } else if (sq_addr % MXACCEL_PAGE) {
        field = MX_FIELD(create_qp.sq_addr);
    } else if (cq_addr % MXACCEL_PAGE) {
        field = MX_FIELD(create_qp.cq_addr);
    } else if (qflags & ~MXACCEL_QP_IRQ) {
        field = MX_FIELD(create_qp.qflags);
    } else {
        mx_queue_open(s, &s->queue[qid], sq_entries, sq_addr, cq_entries,
                      cq_addr, qflags & MXACCEL_QP_IRQ, vector);
        return;
    }
    mx_fail(cmd, MXACCEL_ST_BAD_FIELD, field);
}

static void mx_delete_qp(MxState *s, MxCommand *cmd)
{
    uint32_t qid = le16_to_cpu(cmd->sqe.delete_qp.qid);
    MxQueue *q;

    if (!mx_no_ctx(cmd) || !MX_ZERO(cmd, delete_qp.rsvd)) {
        return;
    }
    if (!qid || qid > s->queues || !s->queue[qid].live ||
        s->queue[qid].deleting) {
        mx_fail(cmd, MXACCEL_ST_BAD_QUEUE, MX_FIELD(delete_qp.qid));
        return;
    }
    q = &s->queue[qid];
    if (!q->nr_tasks) {
        q->live = false;
        return;
    }
    q->deleting = true;
    q->delete_cid = cmd->cid;
    cmd->pending = true;
    mx_tasks_stop(s, q, NULL);
}

/* The task that ABORT or PROGRESS names; false if the entry is wrong. */
static bool mx_find_task(MxState *s, MxCommand *cmd, MxTask **found)
{
    uint32_t qid = le16_to_cpu(cmd->sqe.abort.qid);
    uint32_t cid = le16_to_cpu(cmd->sqe.abort.cid);
    MxTask *task;

    *found = NULL;
    if (!mx_no_ctx(cmd) || !MX_ZERO(cmd, abort.rsvd)) {
        return false;
    }
    if (qid >= MX_NR_QUEUES || !s->queue[qid].live) {
        mx_fail(cmd, MXACCEL_ST_BAD_QUEUE, MX_FIELD(abort.qid));
        return false;
    }
    QTAILQ_FOREACH(task, &s->tasks, link) {
        if (task->queue == &s->queue[qid] && task->cid == cid) {
            *found = task;
        }
    }
    return true;
}

static void mx_abort(MxState *s, MxCommand *cmd)
{
    MxTask *task;

    if (mx_find_task(s, cmd, &task) && task) {
        cmd->result = mx_task_stop(task, MXACCEL_ST_ABORTED);
    }
}

static void mx_progress(MxState *s, MxCommand *cmd)
{
    MxTask *task;

    if (mx_find_task(s, cmd, &task)) {
        cmd->result = task ? mx_task_progress(s, task) : MXACCEL_PROGRESS_NONE;
    }
}

void mx_admin_command(MxState *s, MxCommand *cmd)
{
    switch (cmd->sqe.opcode) {
    case MXACCEL_ADM_NOP:
        if (mx_no_ctx(cmd)) {
            MX_ZERO(cmd, raw);
        }
        break;
    case MXACCEL_ADM_IDENTIFY:
        mx_identify(s, cmd);
        break;
    case MXACCEL_ADM_CREATE_QP:
        mx_create_qp(s, cmd);
        break;
    case MXACCEL_ADM_DELETE_QP:
        mx_delete_qp(s, cmd);
        break;
    case MXACCEL_ADM_CTX_CREATE ... MXACCEL_ADM_MODEL_REVOKE:
        mx_ctx_command(s, cmd);
        break;
    case MXACCEL_ADM_PROG_BEGIN ... MXACCEL_ADM_MODEL_REFRESH:
        mx_prog_command(s, cmd);
        break;
    case MXACCEL_ADM_ABORT:
        mx_abort(s, cmd);
        break;
    case MXACCEL_ADM_PROGRESS:
        mx_progress(s, cmd);
        break;
    case MXACCEL_ADM_COUNTERS:
        mx_counters(s, cmd);
        break;
    case MXACCEL_ADM_SHADOW:
        mx_shadow_command(s, cmd);
        break;
    case MXACCEL_ADM_COALESCE:
        mx_coalesce_command(s, cmd);
        break;
    default:
        mx_fail(cmd, MXACCEL_ST_BAD_OPCODE, MX_FIELD(opcode));
    }
}
