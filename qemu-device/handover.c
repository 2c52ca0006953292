/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: the parts of a snapshot whose size is known only when it is made. What
 * is read is checked as far as needed to end with an error and not otherwise;
 * it comes from a machine, not from the guest.
 */
#include "mxaccel.h"
#include "qemu/bitmap.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"

#define MX_HANDOVER_BLOCK   (64 * KiB)
#define MX_NO_BLOCK         UINT64_MAX

/* ------------------------------------------------------------------- cells */

/* Cells of memory go along, those of a store stay in their file. */
static bool mx_cells_write(MxState *s, QEMUFile *f)
{
    g_autofree uint8_t *block = g_malloc(MX_HANDOVER_BLOCK);
    uint64_t at, bytes;

    for (at = 0; at < s->nv_bytes; at += bytes) {
        off_t data = lseek(s->store_fd, at, SEEK_DATA);

        if (data < 0) {
            break;
        }
        at = QEMU_ALIGN_DOWN((uint64_t)data, MX_HANDOVER_BLOCK);
        bytes = MIN(MX_HANDOVER_BLOCK, s->nv_bytes - at);
        if (pread(s->store_fd, block, bytes, at) != (ssize_t)bytes) {
            return false;
        }
        if (!buffer_is_zero(block, bytes)) {
            qemu_put_be64(f, at);
            qemu_put_buffer(f, block, bytes);
        }
    }
    qemu_put_be64(f, MX_NO_BLOCK);
    return true;
}

static bool mx_cells_read(MxState *s, QEMUFile *f)
{
    g_autofree uint8_t *block = g_malloc(MX_HANDOVER_BLOCK);
    uint64_t at, bytes;

    if (ftruncate(s->store_fd, 0) < 0 ||
        ftruncate(s->store_fd, s->nv_bytes) < 0) {
        return false;
    }
    while ((at = qemu_get_be64(f)) != MX_NO_BLOCK) {
        if (at % MX_HANDOVER_BLOCK || at >= s->nv_bytes) {
            return false;
        }
        bytes = MIN(MX_HANDOVER_BLOCK, s->nv_bytes - at);
        if (qemu_get_buffer(f, block, bytes) != bytes ||
            pwrite(s->store_fd, block, bytes, at) != (ssize_t)bytes) {
            return false;
        }
    }
    return true;
}

static int mx_cells_put(QEMUFile *f, void *pv, size_t size,
                        const VMStateField *field, JSONWriter *json)
{
    MxState *s = pv;

    qemu_put_buffer(f, s->chip_digest, sizeof(s->chip_digest));
    qemu_put_byte(f, s->store_file != NULL);
    if (!s->store_file && !mx_cells_write(s, f)) {
        error_report("mxaccel: cannot read the cells");
        return -EIO;
    }
    return 0;
}

static int mx_cells_get(QEMUFile *f, void *pv, size_t size,
                        const VMStateField *field)
{
    MxState *s = pv;
    uint8_t digest[sizeof(s->chip_digest)];
    Error *err = NULL;
    bool store;

    qemu_get_buffer(f, digest, sizeof(digest));
    store = qemu_get_byte(f);
    if (memcmp(digest, s->chip_digest, sizeof(digest))) {
        error_report("mxaccel: the state is of another chip file than this "
                     "device's, '%s'", s->config.name);
        return -EINVAL;
    }
    if (store != (s->store_file != NULL)) {
        error_report("mxaccel: the state is of a device %s store=, this one "
                     "is %s", store ? "with" : "without",
                     store ? "without" : "with");
        return -EINVAL;
    }
    g_clear_pointer(&s->chip, mx_chip_free);
    if (s->store_fd < 0 ? !mx_store_open(s, &err) :
        s->store_lent && !mx_store_lock(s, &err)) {
        error_report_err(err);
        return -EBUSY;
    }
    s->store_lent = false;
    if (!store && !mx_cells_read(s, f)) {
        error_report("mxaccel: the state of the cells is damaged");
        return -EINVAL;
    }
    s->age = 0; /* the clock is kept with the cells */
    if (!mx_power_on(s, &err)) {
        error_report_err(err);
        return -EINVAL;
    }
    return 0;
}

const VMStateInfo mx_handover_cells = {
    .name = "cells",
    .get = mx_cells_get,
    .put = mx_cells_put,
};

/* -------------------------------------------------------------------- chip */

static int mx_stream_write(void *opaque, void *data, size_t bytes)
{
    qemu_put_buffer(opaque, data, bytes);
    return 0;
}

static int mx_stream_read(void *opaque, void *data, size_t bytes)
{
    return qemu_get_buffer(opaque, data, bytes) == bytes ? 0 : -EIO;
}

static int mx_chip_put(QEMUFile *f, void *pv, size_t size,
                       const VMStateField *field, JSONWriter *json)
{
    const struct mx_stream stream = { .move = mx_stream_write, .opaque = f };
    MxState *s = pv;

    return mx_chip_save(s->chip, &stream);
}

static int mx_chip_get(QEMUFile *f, void *pv, size_t size,
                       const VMStateField *field)
{
    const struct mx_stream stream = { .move = mx_stream_read, .opaque = f };
    MxState *s = pv;
    char why[256];

    if (mx_chip_restore(s->chip, &stream, why, sizeof(why)) < 0) {
        error_report("mxaccel: cannot restore the chip: %s", why);
        return -EINVAL;
    }
    return 0;
}

const VMStateInfo mx_handover_chip = {
    .name = "chip",
    .get = mx_chip_get,
    .put = mx_chip_put,
};

/* ---------------------------------------------------------------- contexts */

static void mx_ctx_put(MxState *s, const MxContext *ctx, QEMUFile *f)
{
    GHashTableIter iter;
    gpointer handle, value;
    unsigned long model;

    qemu_put_be32(f, ctx->id);
    qemu_put_byte(f, ctx->destroying);
    qemu_put_be16(f, ctx->destroy_cid);
    qemu_put_buffer(f, (uint8_t *)&ctx->counters, sizeof(ctx->counters));
    for (model = 0; model < s->config.max_models; model++) {
        qemu_put_byte(f, test_bit(model, ctx->grants));
    }
    qemu_put_be32(f, g_hash_table_size(ctx->buffers));
    g_hash_table_iter_init(&iter, ctx->buffers);
    while (g_hash_table_iter_next(&iter, &handle, &value)) {
        const MxBuffer *buffer = value;

        qemu_put_be32(f, GPOINTER_TO_UINT(handle));
        qemu_put_be32(f, buffer->access);
        mx_sg_save(&buffer->sg, f);
    }
}

static bool mx_ctx_get(MxState *s, QEMUFile *f)
{
    uint32_t id = qemu_get_be32(f), nr, handle, access;
    MxContext *ctx;
    MxSgList sg;

    if (!id || g_hash_table_lookup(s->contexts, GUINT_TO_POINTER(id))) {
        return false;
    }
    ctx = mx_ctx_new(s, id);
    ctx->destroying = qemu_get_byte(f);
    ctx->destroy_cid = qemu_get_be16(f);
    qemu_get_buffer(f, (uint8_t *)&ctx->counters, sizeof(ctx->counters));
    for (unsigned long model = 0; model < s->config.max_models; model++) {
        if (qemu_get_byte(f)) {
            if (mx_chip_model_get(s->chip, model) != MXACCEL_ST_SUCCESS) {
                return false;
            }
            set_bit(model, ctx->grants);
        }
    }
    for (nr = qemu_get_be32(f); nr; nr--) {
        handle = qemu_get_be32(f);
        access = qemu_get_be32(f);
        if (!mx_sg_restore(&sg, s->config.max_sg, f)) {
            return false;
        }
        mx_buffer_add(s, ctx, handle, sg, access);
    }
    return true;
}

static void mx_programmings_put(MxState *s, QEMUFile *f)
{
    GHashTableIter iter;
    gpointer prog, value;

    qemu_put_be32(f, g_hash_table_size(s->programmings));
    g_hash_table_iter_init(&iter, s->programmings);
    while (g_hash_table_iter_next(&iter, &prog, &value)) {
        const MxProgramming *p = value;

        qemu_put_be32(f, GPOINTER_TO_UINT(prog));
        qemu_put_be32(f, p->ctx->id);
        qemu_put_be64(f, p->span);
    }
}

static bool mx_programmings_get(MxState *s, QEMUFile *f)
{
    uint32_t nr, prog;
    MxProgramming *p;

    for (nr = qemu_get_be32(f); nr; nr--) {
        prog = qemu_get_be32(f);
        p = g_new0(MxProgramming, 1);
        p->ctx = g_hash_table_lookup(s->contexts,
                                     GUINT_TO_POINTER(qemu_get_be32(f)));
        p->span = qemu_get_be64(f);
        if (!p->ctx) {
            g_free(p);
            return false;
        }
        g_hash_table_insert(s->programmings, GUINT_TO_POINTER(prog), p);
    }
    return true;
}

/* ------------------------------------------------------------------- tasks */

/* Their place here is what the state names them by: new ones go last. */
static const MxTaskOps *const mx_kinds[] = {
    &mx_job_ops, &mx_prog_write_ops, &mx_commit_ops, &mx_delete_ops,
    &mx_refresh_ops,
};

static void mx_task_put(const MxTask *task, QEMUFile *f)
{
    unsigned kind = 0;

    while (mx_kinds[kind] != task->ops) {
        kind++;
    }
    qemu_put_byte(f, kind);
    qemu_put_byte(f, task->state);
    qemu_put_be16(f, task->queue->qid);
    qemu_put_be32(f, task->ctx ? task->ctx->id : 0);
    qemu_put_be16(f, task->cid);
    qemu_put_be16(f, task->stop_status);
    qemu_put_be16(f, task->status);
    qemu_put_be16(f, task->field);
    qemu_put_be64(f, task->result);
    qemu_put_be64(f, task->submitted);
    qemu_put_be64(f, task->duration);
    task->ops->save(task, f);
}

static bool mx_task_get(MxState *s, QEMUFile *f)
{
    unsigned kind = qemu_get_byte(f), state = qemu_get_byte(f);
    uint32_t qid = qemu_get_be16(f), id = qemu_get_be32(f);
    MxContext *ctx = g_hash_table_lookup(s->contexts, GUINT_TO_POINTER(id));
    MxTask head = { 0 }, *task;

    head.cid = qemu_get_be16(f);
    head.stop_status = qemu_get_be16(f);
    head.status = qemu_get_be16(f);
    head.field = qemu_get_be16(f);
    head.result = qemu_get_be64(f);
    head.submitted = qemu_get_be64(f);
    head.duration = qemu_get_be64(f);
    if (kind >= ARRAY_SIZE(mx_kinds) || qid >= MX_NR_QUEUES ||
        !s->queue[qid].live || (id && !ctx) || state > MX_TASK_DONE ||
        state == MX_TASK_NEW || state == MX_TASK_RUNNING ||
        (state == MX_TASK_COPYING) != (kind == 1 && state != MX_TASK_DONE)) {
        return false;
    }
    task = mx_kinds[kind]->load(s, ctx, state >= MX_TASK_TIMED, f);
    if (!task) {
        return false;
    }
    task->ops = mx_kinds[kind];
    task->cid = head.cid;
    task->stop_status = head.stop_status;
    task->status = head.status;
    task->field = head.field;
    task->result = head.result;
    task->submitted = head.submitted;
    task->duration = head.duration;
    task->s = s;
    if (task->stop_status && task->ops->stop) {
        task->ops->stop(task);
    }
    mx_task_adopt(s, task, &s->queue[qid], ctx, state);
    return true;
}

/*
 * Those in a list in the order of the list, the others as they were submitted;
 * an end byte follows the last.
 */
static void mx_tasks_put(MxState *s, QEMUFile *f)
{
    MxTaskList *lists[] = { &s->timed, &s->done, &s->writes };
    MxTask *task;

    for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
        QTAILQ_FOREACH(task, lists[i], run_link) {
            if (!task->orphan) {
                qemu_put_byte(f, 1);
                mx_task_put(task, f);
            }
        }
    }
    QTAILQ_FOREACH(task, &s->tasks, link) {
        if (task->state == MX_TASK_QUEUED) {
            qemu_put_byte(f, 1);
            mx_task_put(task, f);
        }
    }
    qemu_put_byte(f, 0);
}

static int mx_work_put(QEMUFile *f, void *pv, size_t size,
                       const VMStateField *field, JSONWriter *json)
{
    MxState *s = pv;
    GHashTableIter iter;
    gpointer ctx;

    qemu_put_be32(f, g_hash_table_size(s->contexts));
    g_hash_table_iter_init(&iter, s->contexts);
    while (g_hash_table_iter_next(&iter, NULL, &ctx)) {
        mx_ctx_put(s, ctx, f);
    }
    mx_programmings_put(s, f);
    mx_tasks_put(s, f);
    return 0;
}

static int mx_work_get(QEMUFile *f, void *pv, size_t size,
                       const VMStateField *field)
{
    MxState *s = pv;
    uint32_t nr;
    bool good = true;

    for (nr = qemu_get_be32(f); good && nr; nr--) {
        good = mx_ctx_get(s, f);
    }
    good = good && mx_programmings_get(s, f);
    while (good && qemu_get_byte(f)) {
        good = mx_task_get(s, f);
    }
    if (!good) {
        error_report("mxaccel: the state of contexts and commands is damaged");
        return -EINVAL;
    }
    return 0;
}

const VMStateInfo mx_handover_work = {
    .name = "work",
    .get = mx_work_get,
    .put = mx_work_put,
};
