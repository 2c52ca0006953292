/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: programming, refresh and deletion of models.
 *
 * PROG_WRITE copies in slices under the big lock, as guest memory may be
 * touched nowhere else; what takes long in it goes on in the bottom half.
 * COMMIT (hashing), MODEL_DELETE and MODEL_REFRESH (wait for the store) run on
 * a worker.
 */
#include "mxaccel.h"
#include "qemu/bitmap.h"

#define MX_NO_MODEL UINT32_MAX

typedef struct MxProgTask {
    MxTask task;
    uint32_t prog;                  /* WRITE, COMMIT: handle */
    uint32_t model;                 /* COMMIT: out, DELETE, REFRESH: model id */
    bool ran;                       /* COMMIT: the programming has ended */
    bool granted;                   /* COMMIT: the context has the reference */
    MxProgramming *programming;     /* WRITE */
    MxSgList sg;                    /* WRITE */
    uint64_t offset;                /* WRITE: in the programming */
    uint64_t copied;                /* WRITE: bytes */
} MxProgTask;

/* The programming handle is at the same place in all commands. */
MxProgramming *mx_prog_find(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    uint32_t prog = le32_to_cpu(cmd->sqe.prog.prog);
    MxProgramming *p = g_hash_table_lookup(s->programmings,
                                           GUINT_TO_POINTER(prog));

    if (!p || p->ctx != ctx) {
        mx_fail(cmd, MXACCEL_ST_BAD_PROG, MX_FIELD(prog.prog));
        return NULL;
    }
    return p;
}

/* Aborts the programmings of a context; no task uses them any more. */
void mx_prog_drop(MxState *s, MxContext *ctx)
{
    GHashTableIter iter;
    gpointer prog, p;

    g_hash_table_iter_init(&iter, s->programmings);
    while (g_hash_table_iter_next(&iter, &prog, &p)) {
        if (((MxProgramming *)p)->ctx == ctx) {
            mx_chip_prog_abort(s->chip, GPOINTER_TO_UINT(prog));
            g_hash_table_iter_remove(&iter);
        }
    }
}

/* The context takes over a reference that the chip gave. */
static void mx_prog_grant(MxState *s, MxContext *ctx, uint32_t model)
{
    if (test_and_set_bit(model, ctx->grants)) {
        mx_chip_model_put(s->chip, model);
    }
}

static uint16_t mx_prog_begin_field(uint16_t status)
{
    return status == MXACCEL_ST_BAD_FIELD || status == MXACCEL_ST_NO_SPACE ||
           status == MXACCEL_ST_TOO_LARGE ?
           MX_FIELD(prog_begin.model_bytes) : 0;
}

static void mx_prog_begin(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    uint64_t model_bytes = le64_to_cpu(cmd->sqe.prog_begin.model_bytes);
    uint64_t params_bytes = le64_to_cpu(cmd->sqe.prog_begin.params_bytes);
    MxProgramming *p;
    uint16_t status;
    uint32_t prog;

    if (!MX_ZERO(cmd, prog_begin.rsvd)) {
        return;
    }
    status = mx_chip_prog_begin(s->chip, cmd->sqe.prog_begin.content,
                                model_bytes, params_bytes, &prog);
    if (status == MXACCEL_ST_SUCCESS) {
        /* The chip has checked that this cannot overflow. */
        p = g_new0(MxProgramming, 1);
        p->ctx = ctx;
        p->span = ROUND_UP(model_bytes, MXACCEL_PAGE) + params_bytes;
        g_hash_table_insert(s->programmings, GUINT_TO_POINTER(prog), p);
        cmd->result = prog;
    } else {
        mx_fail(cmd, status, mx_prog_begin_field(status));
        if (status == MXACCEL_ST_RESIDENT) {
            mx_prog_grant(s, ctx, prog);
            cmd->result = prog;
        }
    }
}

/*
 * Copies up to MX_BATCH_BYTES of a write; true when it has ended. The pieces
 * are whole numbers of cells, so that a write costs the same however it is cut.
 */
static bool mx_prog_write_slice(MxState *s, MxProgTask *t)
{
    uint64_t piece = MX_BOUNCE_BYTES - MX_BOUNCE_BYTES % s->config.cell_bits;
    uint64_t end = MIN(t->sg.bytes, t->copied + MX_BATCH_BYTES);

    while (t->copied < end) {
        uint64_t bytes = MIN(piece, t->sg.bytes - t->copied);

        if (!mx_sg_read(s, &t->sg, t->copied, s->bounce, bytes)) {
            t->task.status = MXACCEL_ST_DMA_ERROR;
            t->task.field = MX_FIELD(prog.sg_addr);
            return true;
        }
        t->task.status = mx_chip_prog_write(s->chip, t->prog,
                                            t->offset + t->copied, s->bounce,
                                            bytes);
        if (t->task.status != MXACCEL_ST_SUCCESS) {
            return true;
        }
        t->copied += bytes;
    }
    return t->copied == t->sg.bytes;
}

bool mx_prog_copy(MxState *s)
{
    MxTask *task = QTAILQ_FIRST(&s->writes);

    if (task) {
        QTAILQ_REMOVE(&s->writes, task, run_link);
        if (mx_prog_write_slice(s, container_of(task, MxProgTask, task))) {
            mx_task_done(task);
        } else {
            QTAILQ_INSERT_TAIL(&s->writes, task, run_link);
        }
    }
    return QTAILQ_EMPTY(&s->writes);
}

static void mx_prog_finish(MxTask *task)
{
}

static void mx_prog_write_release(MxTask *task)
{
    MxProgTask *t = container_of(task, MxProgTask, task);

    t->programming->nr_writes--;
    mx_sg_free(&t->sg);
}

static void mx_prog_write_save(const MxTask *task, QEMUFile *f)
{
    const MxProgTask *t = container_of(task, MxProgTask, task);

    qemu_put_be32(f, t->prog);
    qemu_put_be64(f, t->offset);
    qemu_put_be64(f, t->copied);
    mx_sg_save(&t->sg, f);
}

static MxTask *mx_prog_write_load(MxState *s, MxContext *ctx, bool done,
                                  QEMUFile *f)
{
    MxProgTask *t = g_new0(MxProgTask, 1);

    t->prog = qemu_get_be32(f);
    t->offset = qemu_get_be64(f);
    t->copied = qemu_get_be64(f);
    t->programming = g_hash_table_lookup(s->programmings,
                                         GUINT_TO_POINTER(t->prog));
    if (!t->programming || t->programming->ctx != ctx ||
        !mx_sg_restore(&t->sg, s->config.max_sg, f)) {
        g_free(t);
        return NULL;
    }
    t->programming->nr_writes++;
    return &t->task;
}

const MxTaskOps mx_prog_write_ops = {
    .name = "write",
    .finish = mx_prog_finish,
    .release = mx_prog_write_release,
    .save = mx_prog_write_save,
    .load = mx_prog_write_load,
};

static void mx_prog_write(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    static const MxSgFields fields = {
        .bytes = MX_FIELD(prog.bytes),
        .addr = MX_FIELD(prog.sg_addr),
        .nr = MX_FIELD(prog.sg_nr),
    };
    uint64_t offset = le64_to_cpu(cmd->sqe.prog.offset);
    uint64_t bytes = le64_to_cpu(cmd->sqe.prog.bytes);
    MxProgramming *p;
    MxProgTask *t;
    MxSgList sg;

    if (!MX_ZERO(cmd, prog.rsvd)) {
        return;
    }
    p = mx_prog_find(s, cmd, ctx);
    if (!p) {
        return;
    }
    if (offset > p->span || bytes > p->span - offset) {
        mx_fail(cmd, MXACCEL_ST_BAD_RANGE, MX_FIELD(prog.offset));
        return;
    }
    if (!mx_sg_load(s, cmd, &sg, bytes, le64_to_cpu(cmd->sqe.prog.sg_addr),
                    le32_to_cpu(cmd->sqe.prog.sg_nr), &fields)) {
        return;
    }
    t = g_new0(MxProgTask, 1);
    t->prog = le32_to_cpu(cmd->sqe.prog.prog);
    t->programming = p;
    t->sg = sg;
    t->offset = offset;
    if (mx_prog_write_slice(s, t)) {
        mx_fail(cmd, t->task.status, t->task.field);
        mx_sg_free(&t->sg);
        g_free(t);
        return;
    }
    p->nr_writes++;
    mx_task_submit(s, &t->task, &mx_prog_write_ops, cmd, ctx);
    t->task.state = MX_TASK_COPYING;
    QTAILQ_INSERT_TAIL(&s->writes, &t->task, run_link);
    qemu_bh_schedule(s->bh);
}

static void mx_commit_run(MxTask *task)
{
    MxProgTask *t = container_of(task, MxProgTask, task);

    task->status = mx_chip_prog_commit(task->s->chip, t->prog, &t->model);
    if (task->status != MXACCEL_ST_SUCCESS) {
        t->model = MX_NO_MODEL;
    }
    t->ran = true;
}

static void mx_commit_finish(MxTask *task)
{
    MxProgTask *t = container_of(task, MxProgTask, task);

    if (task->status == MXACCEL_ST_SUCCESS) {
        task->result = t->model;
        mx_prog_grant(task->s, task->ctx, t->model);
        t->granted = true;
    }
}

static void mx_commit_release(MxTask *task)
{
    MxProgTask *t = container_of(task, MxProgTask, task);

    if (!t->ran) {
        mx_chip_prog_abort(task->s->chip, t->prog);
    } else if (task->status == MXACCEL_ST_SUCCESS && !t->granted) {
        mx_chip_model_put(task->s->chip, t->model);
    }
}

/* Of COMMIT and MODEL_DELETE. */
static void mx_prog_task_save(const MxTask *task, QEMUFile *f)
{
    const MxProgTask *t = container_of(task, MxProgTask, task);

    qemu_put_be32(f, t->prog);
    qemu_put_be32(f, t->model);
    qemu_put_byte(f, t->ran);
}

static MxTask *mx_prog_task_load(MxState *s, QEMUFile *f)
{
    MxProgTask *t = g_new0(MxProgTask, 1);

    t->prog = qemu_get_be32(f);
    t->model = qemu_get_be32(f);
    t->ran = qemu_get_byte(f);
    return &t->task;
}

static MxTask *mx_commit_load(MxState *s, MxContext *ctx, bool done,
                              QEMUFile *f)
{
    MxTask *task = mx_prog_task_load(s, f);
    MxProgTask *t = container_of(task, MxProgTask, task);

    /* The reference that the chip gave with the model. */
    if (!ctx || (t->ran && !done) ||
        (t->ran && t->model != MX_NO_MODEL &&
         mx_chip_model_get(s->chip, t->model) != MXACCEL_ST_SUCCESS)) {
        g_free(t);
        return NULL;
    }
    return task;
}

/* Once it runs, it cannot be stopped: the model becomes resident, or not. */
const MxTaskOps mx_commit_ops = {
    .name = "commit",
    .run = mx_commit_run,
    .finish = mx_commit_finish,
    .release = mx_commit_release,
    .save = mx_prog_task_save,
    .load = mx_commit_load,
};

static void mx_delete_run(MxTask *task)
{
    MxProgTask *t = container_of(task, MxProgTask, task);

    task->status = mx_chip_model_delete(task->s->chip, t->model);
    if (task->status != MXACCEL_ST_SUCCESS) {
        task->field = MX_FIELD(model.model);
    }
}

static void mx_delete_release(MxTask *task)
{
}

static MxTask *mx_delete_load(MxState *s, MxContext *ctx, bool done,
                              QEMUFile *f)
{
    return mx_prog_task_load(s, f);
}

const MxTaskOps mx_delete_ops = {
    .name = "delete",
    .run = mx_delete_run,
    .finish = mx_prog_finish,
    .release = mx_delete_release,
    .save = mx_prog_task_save,
    .load = mx_delete_load,
};

static void mx_refresh_run(MxTask *task)
{
    MxProgTask *t = container_of(task, MxProgTask, task);

    task->status = mx_chip_model_refresh(task->s->chip, t->model);
    if (task->status == MXACCEL_ST_BAD_MODEL) {
        task->field = MX_FIELD(model.model);
    }
}

/* Once it runs, it cannot be stopped: the cells are new, or as old as before. */
const MxTaskOps mx_refresh_ops = {
    .name = "refresh",
    .run = mx_refresh_run,
    .finish = mx_prog_finish,
    .release = mx_delete_release,
    .save = mx_prog_task_save,
    .load = mx_delete_load,
};

static void mx_prog_end(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    MxProgramming *p;
    MxProgTask *t;
    uint32_t prog;

    if (!MX_ZERO(cmd, prog.sg_nr) || !MX_ZERO(cmd, prog.offset) ||
        !MX_ZERO(cmd, prog.bytes) || !MX_ZERO(cmd, prog.sg_addr) ||
        !MX_ZERO(cmd, prog.rsvd)) {
        return;
    }
    p = mx_prog_find(s, cmd, ctx);
    if (!p) {
        return;
    }
    if (p->nr_writes) {
        mx_fail(cmd, MXACCEL_ST_BUSY, MX_FIELD(prog.prog));
        return;
    }
    prog = le32_to_cpu(cmd->sqe.prog.prog);
    g_hash_table_remove(s->programmings, GUINT_TO_POINTER(prog));
    if (cmd->sqe.opcode == MXACCEL_ADM_PROG_ABORT) {
        mx_chip_prog_abort(s->chip, prog);
        return;
    }
    t = g_new0(MxProgTask, 1);
    t->prog = prog;
    mx_task_submit(s, &t->task, &mx_commit_ops, cmd, ctx);
    mx_task_queue(&t->task, MX_LANE_PROGRAMMING);
}

/* MODEL_DELETE, MODEL_REFRESH */
static void mx_model_task(MxState *s, MxCommand *cmd, const MxTaskOps *ops)
{
    MxProgTask *t;

    if (!mx_no_ctx(cmd) || !MX_ZERO(cmd, model.rsvd)) {
        return;
    }
    t = g_new0(MxProgTask, 1);
    t->model = le32_to_cpu(cmd->sqe.model.model);
    mx_task_submit(s, &t->task, ops, cmd, NULL);
    mx_task_queue(&t->task, MX_LANE_PROGRAMMING);
}

void mx_prog_command(MxState *s, MxCommand *cmd)
{
    MxContext *ctx;

    if (cmd->sqe.opcode == MXACCEL_ADM_MODEL_DELETE) {
        mx_model_task(s, cmd, &mx_delete_ops);
        return;
    }
    if (cmd->sqe.opcode == MXACCEL_ADM_MODEL_REFRESH) {
        mx_model_task(s, cmd, &mx_refresh_ops);
        return;
    }
    ctx = mx_command_ctx(s, cmd);
    if (!ctx) {
        return;
    }
    switch (cmd->sqe.opcode) {
    case MXACCEL_ADM_PROG_BEGIN:
        mx_prog_begin(s, cmd, ctx);
        break;
    case MXACCEL_ADM_PROG_WRITE:
        mx_prog_write(s, cmd, ctx);
        break;
    case MXACCEL_ADM_PROG_REUSE:
        mx_prog_reuse(s, cmd, ctx);
        break;
    default:
        mx_prog_end(s, cmd, ctx);
        break;
    }
}
