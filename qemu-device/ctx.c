/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: contexts, the buffers they own and the models they may use.
 */
#include "mxaccel.h"
#include "qemu/bitmap.h"

static void mx_buffer_free(gpointer opaque)
{
    MxBuffer *buffer = opaque;

    mx_sg_free(&buffer->sg);
    g_free(buffer);
}

/* Of a context without tasks. */
static void mx_ctx_free(MxState *s, MxContext *ctx)
{
    GHashTableIter iter;
    gpointer buffer;
    unsigned long model;

    mx_prog_drop(s, ctx);
    g_hash_table_iter_init(&iter, ctx->buffers);
    while (g_hash_table_iter_next(&iter, NULL, &buffer)) {
        s->nr_segments -= ((MxBuffer *)buffer)->sg.nr;
    }
    g_hash_table_destroy(ctx->buffers);
    for (model = find_first_bit(ctx->grants, s->config.max_models);
         model < s->config.max_models;
         model = find_next_bit(ctx->grants, s->config.max_models, model + 1)) {
        mx_chip_model_put(s->chip, model);
    }
    g_free(ctx->grants);
    g_free(ctx);
}

/* Contexts that may use a model. */
uint32_t mx_ctx_grants(MxState *s, uint32_t model)
{
    GHashTableIter iter;
    gpointer ctx;
    uint32_t nr = 0;

    g_hash_table_iter_init(&iter, s->contexts);
    while (g_hash_table_iter_next(&iter, NULL, &ctx)) {
        nr += test_bit(model, ((MxContext *)ctx)->grants);
    }
    return nr;
}

/* Ends a CTX_DESTROY: the last task has gone. */
void mx_ctx_idle(MxState *s, MxContext *ctx)
{
    uint16_t cid = ctx->destroy_cid;

    g_hash_table_remove(s->contexts, GUINT_TO_POINTER(ctx->id));
    mx_ctx_free(s, ctx);
    mx_queue_complete(s, &s->queue[0], cid, MXACCEL_ST_SUCCESS, 0, 0);
}

/* After mx_tasks_orphan(), or there would be tasks. */
void mx_ctx_drop_all(MxState *s)
{
    GHashTableIter iter;
    gpointer ctx;

    g_hash_table_iter_init(&iter, s->contexts);
    while (g_hash_table_iter_next(&iter, NULL, &ctx)) {
        g_hash_table_iter_remove(&iter);
        mx_ctx_free(s, ctx);
    }
}

MxContext *mx_ctx_new(MxState *s, uint32_t id)
{
    MxContext *ctx = g_new0(MxContext, 1);

    ctx->id = id;
    ctx->buffers = g_hash_table_new_full(NULL, NULL, NULL, mx_buffer_free);
    ctx->grants = bitmap_new(s->config.max_models);
    for (unsigned lane = 0; lane < MX_NR_LANES; lane++) {
        mx_flow_init(&ctx->flow[lane]);
    }
    g_hash_table_insert(s->contexts, GUINT_TO_POINTER(id), ctx);
    return ctx;
}

static void mx_ctx_create(MxState *s, MxCommand *cmd)
{
    if (!MX_ZERO(cmd, raw)) {
        return;
    }
    if (!cmd->ctx || cmd->ctx > s->config.max_contexts ||
        g_hash_table_lookup(s->contexts, GUINT_TO_POINTER(cmd->ctx))) {
        mx_fail(cmd, MXACCEL_ST_BAD_CTX, MX_FIELD(ctx));
        return;
    }
    mx_ctx_new(s, cmd->ctx);
}

static void mx_ctx_destroy(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    if (!MX_ZERO(cmd, raw)) {
        return;
    }
    if (!ctx->nr_tasks) {
        g_hash_table_remove(s->contexts, GUINT_TO_POINTER(ctx->id));
        mx_ctx_free(s, ctx);
        return;
    }
    ctx->destroying = true;
    ctx->destroy_cid = cmd->cid;
    cmd->pending = true;
    mx_tasks_stop(s, NULL, ctx);
}

void mx_buffer_add(MxState *s, MxContext *ctx, uint32_t handle, MxSgList sg,
                   uint32_t access)
{
    MxBuffer *buffer = g_new0(MxBuffer, 1);

    buffer->sg = sg;
    buffer->access = access;
    s->nr_segments += sg.nr;
    g_hash_table_insert(ctx->buffers, GUINT_TO_POINTER(handle), buffer);
}

static void mx_buf_register(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    static const MxSgFields fields = {
        .bytes = MX_FIELD(buf.bytes),
        .addr = MX_FIELD(buf.sg_addr),
        .nr = MX_FIELD(buf.sg_nr),
    };
    uint32_t handle = le32_to_cpu(cmd->sqe.buf.handle);
    uint32_t access = le32_to_cpu(cmd->sqe.buf.access);
    uint32_t nr = le32_to_cpu(cmd->sqe.buf.sg_nr);
    MxSgList sg;

    if (!MX_ZERO(cmd, buf.rsvd)) {
        return;
    }
    if (!handle || handle > s->config.max_buffers ||
        g_hash_table_lookup(ctx->buffers, GUINT_TO_POINTER(handle))) {
        mx_fail(cmd, MXACCEL_ST_BAD_BUFFER, MX_FIELD(buf.handle));
        return;
    }
    if (!access || access & ~(MXACCEL_BUF_READ | MXACCEL_BUF_WRITE)) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(buf.access));
        return;
    }
    if (nr <= s->config.max_sg && s->nr_segments + nr > MX_TOTAL_SEGMENTS) {
        mx_fail(cmd, MXACCEL_ST_NO_MEMORY, MX_FIELD(buf.sg_nr));
        return;
    }
    if (!mx_sg_load(s, cmd, &sg, le64_to_cpu(cmd->sqe.buf.bytes),
                    le64_to_cpu(cmd->sqe.buf.sg_addr), nr, &fields)) {
        return;
    }
    mx_buffer_add(s, ctx, handle, sg, access);
}

static void mx_buf_unregister(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    uint32_t handle = le32_to_cpu(cmd->sqe.buf.handle);
    MxBuffer *buffer;

    if (!MX_ZERO(cmd, buf.access) || !MX_ZERO(cmd, buf.bytes) ||
        !MX_ZERO(cmd, buf.sg_addr) || !MX_ZERO(cmd, buf.sg_nr) ||
        !MX_ZERO(cmd, buf.rsvd)) {
        return;
    }
    buffer = g_hash_table_lookup(ctx->buffers, GUINT_TO_POINTER(handle));
    if (!buffer) {
        mx_fail(cmd, MXACCEL_ST_BAD_BUFFER, MX_FIELD(buf.handle));
    } else if (buffer->users) {
        mx_fail(cmd, MXACCEL_ST_BUSY, MX_FIELD(buf.handle));
    } else {
        s->nr_segments -= buffer->sg.nr;
        g_hash_table_remove(ctx->buffers, GUINT_TO_POINTER(handle));
    }
}

/* Granting twice is granting once. */
static void mx_grant(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    uint32_t model = le32_to_cpu(cmd->sqe.model.model);

    if (!MX_ZERO(cmd, model.rsvd)) {
        return;
    }
    if (mx_chip_model_get(s->chip, model) != MXACCEL_ST_SUCCESS) {
        mx_fail(cmd, MXACCEL_ST_BAD_MODEL, MX_FIELD(model.model));
    } else if (test_and_set_bit(model, ctx->grants)) {
        mx_chip_model_put(s->chip, model);
    }
}

static void mx_revoke(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    uint32_t model = le32_to_cpu(cmd->sqe.model.model);
    MxTask *task;

    if (!MX_ZERO(cmd, model.rsvd)) {
        return;
    }
    if (model >= s->config.max_models || !test_bit(model, ctx->grants)) {
        mx_fail(cmd, MXACCEL_ST_NOT_GRANTED, MX_FIELD(model.model));
        return;
    }
    QTAILQ_FOREACH(task, &s->tasks, link) {
        if (task->ctx == ctx && mx_job_uses_model(task, model)) {
            mx_fail(cmd, MXACCEL_ST_BUSY, MX_FIELD(model.model));
            return;
        }
    }
    clear_bit(model, ctx->grants);
    mx_chip_model_put(s->chip, model);
}

void mx_ctx_command(MxState *s, MxCommand *cmd)
{
    MxContext *ctx;

    if (cmd->sqe.opcode == MXACCEL_ADM_CTX_CREATE) {
        mx_ctx_create(s, cmd);
        return;
    }
    ctx = mx_command_ctx(s, cmd);
    if (!ctx) {
        return;
    }
    switch (cmd->sqe.opcode) {
    case MXACCEL_ADM_CTX_DESTROY:
        mx_ctx_destroy(s, cmd, ctx);
        break;
    case MXACCEL_ADM_BUF_REGISTER:
        mx_buf_register(s, cmd, ctx);
        break;
    case MXACCEL_ADM_BUF_UNREGISTER:
        mx_buf_unregister(s, cmd, ctx);
        break;
    case MXACCEL_ADM_MODEL_GRANT:
        mx_grant(s, cmd, ctx);
        break;
    case MXACCEL_ADM_MODEL_REVOKE:
        mx_revoke(s, cmd, ctx);
        break;
    }
}
