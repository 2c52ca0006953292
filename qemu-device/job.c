/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: jobs. The input is read when the command is fetched, the chip runs on
 * a worker between two host buffers, and the result is written by the bottom
 * half: all of it, or, if the job failed, nothing. A schedule takes the same way.
 */
#include "mxaccel.h"
#include "qemu/bitmap.h"
#include "trace.h"

typedef struct MxJob {
    MxTask task;
    struct mx_job job;
    MxBuffer *in, *out;             /* gone if the task is an orphan */
    uint32_t in_handle, out_handle;
    uint64_t in_bytes;
    uint64_t out_bytes, out_offset;
    uint8_t *in_host, *out_host;
    bool schedule;                  /* of the job, which is not run */
    bool ran;
    int hang;                       /* fault: ends above this rung; 0: does not hang */
    int released;                   /* the rung it was stopped from, plus 1; atomic */
    bool memory_error;              /* fault */
    QEMUTimer *deadline;
} MxJob;

static int mx_job_read(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
    MxJob *j = opaque;

    if (offset > j->in_bytes || bytes > j->in_bytes - offset) {
        return -EFAULT;
    }
    memcpy(to, j->in_host + offset, bytes);
    return 0;
}

static int mx_job_write(void *opaque, uint64_t offset, const void *from,
                        uint64_t bytes)
{
    MxJob *j = opaque;

    if (offset > j->out_bytes || bytes > j->out_bytes - offset) {
        return -EFAULT;
    }
    memcpy(j->out_host + offset, from, bytes);
    return 0;
}

/* An injected fault: the job ends when something strong enough stops it. */
static void mx_job_hang(MxJob *j)
{
    while (atomic_load(&j->job.stop) != MX_JOB_FORGET &&
           qatomic_read(&j->released) < j->hang &&
           qatomic_read(&j->task.s->hang_released) < j->hang) {
        g_usleep(1000);
    }
    j->task.status = atomic_load(&j->job.stop) ?: MXACCEL_ST_ABORTED;
}

static void mx_job_run(MxTask *task)
{
    MxJob *j = container_of(task, MxJob, task);

    if (j->hang) {
        mx_job_hang(j);
        return;
    }
    if (j->memory_error) {
        task->status = MXACCEL_ST_MEMORY_ERROR;
        return;
    }
    j->ran = true;
    if (j->schedule) {
        mx_chip_job_schedule(task->s->chip, &j->job);
    } else {
        mx_chip_job_run(task->s->chip, &j->job);
    }
    task->status = j->job.status;
    task->field = j->job.field;
    task->result = j->job.result;
}

static void mx_job_stop(MxTask *task)
{
    MxJob *j = container_of(task, MxJob, task);

    atomic_store(&j->job.stop, task->stop_status);
    qatomic_set(&j->released, MAX(j->released, (int)task->s->rung + 1));
}

/* One that was told to stop is about to end. */
static void mx_job_forget(MxTask *task)
{
    MxJob *j = container_of(task, MxJob, task);

    if (!task->stop_status || j->hang) {
        atomic_store(&j->job.stop, MX_JOB_FORGET);
    }
}

static void mx_job_renew(MxTask *task)
{
    MxJob *j = container_of(task, MxJob, task);

    atomic_store(&j->job.stop, task->stop_status);
    atomic_store(&j->job.progress, 0);
    j->ran = false;
    task->field = 0;
    task->result = 0;
}

static uint32_t mx_job_progress(const MxTask *task)
{
    return atomic_load(&container_of(task, MxJob, task)->job.progress);
}

/* A job that failed, or a schedule, has nothing to wait for. */
static int64_t mx_job_duration(const MxTask *task)
{
    const MxJob *j = container_of(task, MxJob, task);
    uint32_t khz = task->s->config.clock_khz;
    uint64_t cycles, ns;

    if (!j->ran || j->schedule || task->status != MXACCEL_ST_SUCCESS) {
        return 0;
    }
    cycles = j->job.counters.v[MXACCEL_CTR_CYCLES] +
             j->job.counters.v[MXACCEL_CTR_LINK_CYCLES];
    ns = muldiv64(cycles, 1000000, khz);
    return ns + (muldiv64(ns, khz, 1000000) < cycles);  /* rounded up */
}

/* A failure that the chip did not count, as it never saw the job. */
static void mx_job_count_failure(MxState *s, MxContext *ctx)
{
    mx_chip_count(s->chip, MXACCEL_CTR_JOBS_FAILED, 1);
    if (ctx) {
        ctx->counters.v[MXACCEL_CTR_JOBS_FAILED]++;
    }
}

static void mx_job_write_result(MxState *s, MxJob *j, uint64_t bytes)
{
    if (!mx_sg_write(s, &j->out->sg, j->out_offset, j->out_host, bytes)) {
        j->task.status = MXACCEL_ST_DMA_ERROR;
        j->task.field = MX_FIELD(job.out_handle);
        j->task.result = 0;
    }
}

/* Writes the spans that there is room for; nothing is counted. */
static void mx_job_finish_schedule(MxState *s, MxJob *j)
{
    uint64_t room = j->out_bytes / sizeof(struct mxaccel_span);
    uint64_t nr = MIN(j->task.result, room);

    if (j->task.status == MXACCEL_ST_SUCCESS && nr) {
        mx_job_write_result(s, j, nr * sizeof(struct mxaccel_span));
    }
}

static void mx_job_finish(MxTask *task)
{
    MxJob *j = container_of(task, MxJob, task);
    MxState *s = task->s;

    if (j->schedule) {
        mx_job_finish_schedule(s, j);
        return;
    }
    if (j->ran) {
        for (unsigned i = 0; i < MXACCEL_CTR_NR; i++) {
            task->ctx->counters.v[i] += j->job.counters.v[i];
        }
    }
    if (task->status == MXACCEL_ST_SUCCESS) {
        mx_job_write_result(s, j, j->out_bytes);
    }
    /* What the chip has not counted as a failure: it had no part in it. */
    if (task->status != MXACCEL_ST_SUCCESS &&
        (!j->ran || j->job.status == MXACCEL_ST_SUCCESS)) {
        mx_job_count_failure(s, task->ctx);
    }
}

static void mx_job_release(MxTask *task)
{
    MxJob *j = container_of(task, MxJob, task);
    MxState *s = task->s;

    if (!task->orphan) {
        j->in->users--;
        j->out->users--;
    }
    if (j->deadline) {
        timer_free(j->deadline);
    }
    mx_chip_model_put(s->chip, j->job.model);
    s->staged_bytes -= j->in_bytes + j->out_bytes;
    g_free(j->in_host);
    g_free(j->out_host);
}

static void mx_job_deadline(void *opaque)
{
    MxTask *task = opaque;

    task->s->rung = MX_RUNG_DEADLINE;
    mx_task_stop(task, MXACCEL_ST_TIMEOUT);
    task->s->rung = MX_RUNG_ABORT;
}

/* Injected faults. */
static void mx_job_spoil(MxState *s, MxJob *j)
{
    j->hang = mx_fault_take(s, MX_FAULT_HANG) ?
              (int)s->fault[MX_FAULT_HANG_UNTIL] + 1 : 0;
    j->memory_error = mx_fault_take(s, MX_FAULT_MEMORY);
}

/* Its buffers are found and its copies made: it takes their room from now on. */
static void mx_job_enter(MxState *s, MxJob *j)
{
    j->in->users++;
    j->out->users++;
    s->staged_bytes += j->in_bytes + j->out_bytes;
    j->job.read = mx_job_read;
    j->job.write = mx_job_write;
    j->job.opaque = j;
    j->job.out_room = j->out_bytes;
    mx_job_spoil(s, j);
}

/* The guest's clock, by which its own timeouts go: a paused machine misses none. */
static void mx_job_arm(MxJob *j, int64_t deadline_ms)
{
    j->deadline = timer_new_ms(QEMU_CLOCK_VIRTUAL, mx_job_deadline, &j->task);
    timer_mod(j->deadline, deadline_ms);
}

static void mx_job_save(const MxTask *task, QEMUFile *f)
{
    const MxJob *j = container_of(task, MxJob, task);
    int64_t deadline = j->deadline ? (int64_t)timer_expire_time_ns(j->deadline) :
                       -1;

    qemu_put_be32(f, j->job.model);
    qemu_put_be32(f, j->job.entry);
    qemu_put_be32(f, j->job.nr_seq);
    qemu_put_be32(f, j->job.tokens);
    qemu_put_be32(f, j->in_handle);
    qemu_put_be32(f, j->out_handle);
    qemu_put_be64(f, j->in_bytes);
    qemu_put_be64(f, j->out_bytes);
    qemu_put_be64(f, j->out_offset);
    qemu_put_be64(f, deadline);
    qemu_put_byte(f, j->schedule);
    qemu_put_byte(f, j->ran);
    qemu_put_be16(f, j->job.status);
    qemu_put_buffer(f, j->in_host, j->in_bytes);
    if (j->ran) {
        qemu_put_buffer(f, (uint8_t *)&j->job.counters, sizeof(j->job.counters));
        qemu_put_buffer(f, j->out_host, j->out_bytes);
    }
}

static MxTask *mx_job_load(MxState *s, MxContext *ctx, bool done, QEMUFile *f)
{
    MxJob *j = g_new0(MxJob, 1);
    int64_t deadline;

    j->job.model = qemu_get_be32(f);
    j->job.entry = qemu_get_be32(f);
    j->job.nr_seq = qemu_get_be32(f);
    j->job.tokens = qemu_get_be32(f);
    j->in_handle = qemu_get_be32(f);
    j->out_handle = qemu_get_be32(f);
    j->in_bytes = qemu_get_be64(f);
    j->out_bytes = qemu_get_be64(f);
    j->out_offset = qemu_get_be64(f);
    deadline = qemu_get_be64(f);
    j->schedule = qemu_get_byte(f);
    j->ran = qemu_get_byte(f);
    j->job.status = qemu_get_be16(f);
    j->in = ctx ? g_hash_table_lookup(ctx->buffers,
                                      GUINT_TO_POINTER(j->in_handle)) : NULL;
    j->out = ctx ? g_hash_table_lookup(ctx->buffers,
                                       GUINT_TO_POINTER(j->out_handle)) : NULL;
    if (!j->in || !j->out || j->in_bytes > s->config.max_io_bytes ||
        j->out_bytes > s->config.max_io_bytes ||
        j->out_offset > j->out->sg.bytes ||
        j->out_bytes > j->out->sg.bytes - j->out_offset || (j->ran && !done) ||
        mx_chip_model_get(s->chip, j->job.model) != MXACCEL_ST_SUCCESS) {
        g_free(j);
        return NULL;
    }
    j->in_host = g_malloc(j->in_bytes);
    j->out_host = g_malloc(j->out_bytes);
    qemu_get_buffer(f, j->in_host, j->in_bytes);
    if (j->ran) {
        qemu_get_buffer(f, (uint8_t *)&j->job.counters, sizeof(j->job.counters));
        qemu_get_buffer(f, j->out_host, j->out_bytes);
    }
    mx_job_enter(s, j);
    if (deadline >= 0) {
        mx_job_arm(j, deadline / SCALE_MS);
    }
    return &j->task;
}

const MxTaskOps mx_job_ops = {
    .name = "job",
    .run = mx_job_run,
    .stop = mx_job_stop,
    .forget = mx_job_forget,
    .renew = mx_job_renew,
    .progress = mx_job_progress,
    .duration = mx_job_duration,
    .finish = mx_job_finish,
    .release = mx_job_release,
    .save = mx_job_save,
    .load = mx_job_load,
};

bool mx_job_uses_model(const MxTask *task, uint32_t model)
{
    return task->ops == &mx_job_ops &&
           container_of(task, MxJob, task)->job.model == model;
}

/* The buffer that the entry names at @handle_field, if this use is allowed. */
static MxBuffer *mx_job_buffer(MxCommand *cmd, MxContext *ctx,
                               uint32_t handle, uint16_t handle_field,
                               uint32_t access, uint64_t offset,
                               uint16_t offset_field, uint64_t bytes)
{
    MxBuffer *buffer = g_hash_table_lookup(ctx->buffers,
                                           GUINT_TO_POINTER(handle));

    if (!buffer) {
        mx_fail(cmd, MXACCEL_ST_BAD_BUFFER, handle_field);
    } else if (!(buffer->access & access)) {
        mx_fail(cmd, MXACCEL_ST_BAD_ACCESS, handle_field);
    } else if (offset > buffer->sg.bytes ||
               bytes > buffer->sg.bytes - offset) {
        mx_fail(cmd, MXACCEL_ST_BAD_RANGE, offset_field);
    } else {
        return buffer;
    }
    return NULL;
}

/* Checks all that the entry says; fills what the job needs. */
static bool mx_job_check(MxState *s, MxCommand *cmd, MxContext *ctx, MxJob *j)
{
    uint32_t in_bytes = le32_to_cpu(cmd->sqe.job.in_bytes);
    uint32_t out_bytes = le32_to_cpu(cmd->sqe.job.out_bytes);
    uint16_t status, field = 0;

    status = mx_chip_job_sizes(s->chip, j->job.model, j->job.entry,
                               j->job.nr_seq, j->job.tokens, &j->in_bytes,
                               &j->out_bytes, &field);
    if (status != MXACCEL_ST_SUCCESS) {
        mx_fail(cmd, status, field);
        return false;
    }
    if (in_bytes != j->in_bytes) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(job.in_bytes));
        return false;
    }
    if (j->schedule) {
        j->out_bytes = out_bytes;
    }
    if (j->out_bytes > s->config.max_io_bytes) {
        mx_fail(cmd, MXACCEL_ST_TOO_LARGE, MX_FIELD(job.out_bytes));
        return false;
    }
    if (out_bytes < j->out_bytes || !out_bytes) {
        mx_fail(cmd, MXACCEL_ST_BAD_RANGE, MX_FIELD(job.out_bytes));
        return false;
    }
    j->out_offset = le64_to_cpu(cmd->sqe.job.out_offset);
    j->in = mx_job_buffer(cmd, ctx, le32_to_cpu(cmd->sqe.job.in_handle),
                          MX_FIELD(job.in_handle), MXACCEL_BUF_READ,
                          le64_to_cpu(cmd->sqe.job.in_offset),
                          MX_FIELD(job.in_offset), in_bytes);
    if (!j->in) {
        return false;
    }
    j->out = mx_job_buffer(cmd, ctx, le32_to_cpu(cmd->sqe.job.out_handle),
                           MX_FIELD(job.out_handle), MXACCEL_BUF_WRITE,
                           j->out_offset, MX_FIELD(job.out_offset), out_bytes);
    return j->out != NULL;
}

/* Reads the input and makes room for the result. */
static bool mx_job_stage(MxState *s, MxCommand *cmd, MxJob *j)
{
    uint64_t in_offset = le64_to_cpu(cmd->sqe.job.in_offset);

    j->in_host = g_try_malloc(j->in_bytes);
    j->out_host = g_try_malloc(j->out_bytes);
    if (!j->in_host || !j->out_host) {
        mx_fail(cmd, MXACCEL_ST_NO_MEMORY, 0);
    } else if (!mx_sg_read(s, &j->in->sg, in_offset, j->in_host,
                           j->in_bytes)) {
        mx_fail(cmd, MXACCEL_ST_DMA_ERROR, MX_FIELD(job.in_handle));
    } else if (!mx_sg_writable(s, &j->out->sg, j->out_offset, j->out_bytes)) {
        mx_fail(cmd, MXACCEL_ST_DMA_ERROR, MX_FIELD(job.out_handle));
    } else {
        return true;
    }
    g_free(j->in_host);
    g_free(j->out_host);
    return false;
}

static void mx_job_submit(MxState *s, MxCommand *cmd, MxContext *ctx, MxJob *j)
{
    uint32_t timeout_ms = le32_to_cpu(cmd->sqe.job.timeout_ms);

    j->in_handle = le32_to_cpu(cmd->sqe.job.in_handle);
    j->out_handle = le32_to_cpu(cmd->sqe.job.out_handle);
    mx_job_enter(s, j);
    mx_task_submit(s, &j->task, &mx_job_ops, cmd, ctx);
    if (timeout_ms) {
        mx_job_arm(j, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) + timeout_ms);
    }
    mx_task_queue(&j->task, MX_LANE_JOBS);
}

void mx_job_command(MxState *s, MxCommand *cmd)
{
    uint32_t model = le32_to_cpu(cmd->sqe.job.model);
    MxContext *ctx = NULL;
    MxJob *j;

    if (!MX_ZERO(cmd, job.rsvd0) || !MX_ZERO(cmd, job.rsvd)) {
        goto failed;
    }
    ctx = mx_command_ctx(s, cmd);
    if (!ctx) {
        goto failed;
    }
    if (mx_chip_model_get(s->chip, model) != MXACCEL_ST_SUCCESS) {
        mx_fail(cmd, MXACCEL_ST_BAD_MODEL, MX_FIELD(job.model));
        goto failed;
    }
    if (!test_bit(model, ctx->grants)) {
        mx_fail(cmd, MXACCEL_ST_NOT_GRANTED, MX_FIELD(job.model));
        goto failed_put;
    }
    j = g_new0(MxJob, 1);
    j->schedule = cmd->sqe.flags & MXACCEL_JOB_SCHEDULE;
    j->job.model = model;
    j->job.entry = le16_to_cpu(cmd->sqe.job.entry);
    j->job.nr_seq = le32_to_cpu(cmd->sqe.job.nr_seq);
    j->job.tokens = le32_to_cpu(cmd->sqe.job.tokens);
    trace_mxaccel_job(ctx->id, model, j->job.entry, j->job.nr_seq,
                      j->job.tokens);
    if (mx_job_check(s, cmd, ctx, j) && mx_job_stage(s, cmd, j)) {
        mx_job_submit(s, cmd, ctx, j);
        return;
    }
    g_free(j);
failed_put:
    mx_chip_model_put(s->chip, model);
failed:
    if (!(cmd->sqe.flags & MXACCEL_JOB_SCHEDULE)) {
        mx_job_count_failure(s, ctx);
    }
}
