/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: commands that take time, their worker threads and the bottom half
 * that finishes them.
 */
#include "mxaccel.h"
#include "trace.h"

void mx_flow_init(MxFlow *flow)
{
    QTAILQ_INIT(&flow->tasks);
    flow->ready = false;
    flow->running = false;
}

/* Puts a flow in line if it has anything to run. */
static void mx_flow_line_up(MxLane *lane, MxFlow *flow)
{
    if (!flow->ready && !flow->running && !QTAILQ_EMPTY(&flow->tasks)) {
        flow->ready = true;
        QTAILQ_INSERT_TAIL(&lane->ready, flow, link);
    }
}

/* Takes the next task: flows in turn, each in its own order. */
static MxTask *mx_lane_next(MxLane *lane)
{
    MxFlow *flow = QTAILQ_FIRST(&lane->ready);
    MxTask *task;

    if (!flow) {
        return NULL;
    }
    task = QTAILQ_FIRST(&flow->tasks);
    QTAILQ_REMOVE(&flow->tasks, task, run_link);
    QTAILQ_REMOVE(&lane->ready, flow, link);
    flow->ready = false;
    flow->running = true;
    return task;
}

static void *mx_worker(void *opaque)
{
    MxLane *lane = opaque;
    MxState *s = lane->s;
    MxTask *task;

    qemu_mutex_lock(&s->lock);
    while (!s->quit) {
        task = s->held ? NULL : mx_lane_next(lane);
        if (!task) {
            qemu_cond_wait(&lane->wake, &s->lock);
            continue;
        }
        task->state = MX_TASK_RUNNING;
        qemu_mutex_unlock(&s->lock);

        trace_mxaccel_task_run(task->ops->name, task->cid);
        task->ops->run(task);
        trace_mxaccel_task_ran(task->ops->name, task->cid, task->status);

        qemu_mutex_lock(&s->lock);
        if (task->flow) {
            task->flow->running = false;
        }
        if (task->status == MX_JOB_FORGET && task->flow) {
            task->status = MXACCEL_ST_SUCCESS;
            task->state = MX_TASK_QUEUED;
            task->ops->renew(task);
            QTAILQ_INSERT_HEAD(&task->flow->tasks, task, run_link);
        } else {
            task->state = MX_TASK_DONE;
            QTAILQ_INSERT_TAIL(&s->done, task, run_link);
            qemu_bh_schedule(s->bh);
        }
        if (task->flow) {
            mx_flow_line_up(lane, task->flow);
        }
        qemu_cond_broadcast(&s->idle);
    }
    qemu_mutex_unlock(&s->lock);
    return NULL;
}

void mx_task_submit(MxState *s, MxTask *task, const MxTaskOps *ops,
                    MxCommand *cmd, MxContext *ctx)
{
    task->s = s;
    task->ops = ops;
    task->state = MX_TASK_NEW;
    task->queue = cmd->queue;
    task->ctx = ctx;
    task->cid = cmd->cid;
    task->submitted = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    task->queue->nr_tasks++;
    if (ctx) {
        ctx->nr_tasks++;
    }
    QTAILQ_INSERT_TAIL(&s->tasks, task, link);
    cmd->pending = true;
}

void mx_task_queue(MxTask *task, MxLaneId id)
{
    MxState *s = task->s;
    MxLane *lane = &s->lane[id];
    MxFlow *flow = task->ctx ? &task->ctx->flow[id] : &s->flow[id];

    trace_mxaccel_task_queue(task->ops->name, task->queue->qid, task->cid);
    qemu_mutex_lock(&s->lock);
    task->state = MX_TASK_QUEUED;
    task->flow = flow;
    QTAILQ_INSERT_TAIL(&flow->tasks, task, run_link);
    mx_flow_line_up(lane, flow);
    qemu_cond_signal(&lane->wake);
    qemu_mutex_unlock(&s->lock);
}

static bool mx_task_running(MxState *s)
{
    MxTask *task;

    QTAILQ_FOREACH(task, &s->tasks, link) {
        if (task->state == MX_TASK_RUNNING) {
            return true;
        }
    }
    return false;
}

static unsigned mx_orphans_back(MxState *s)
{
    MxTask *task;
    unsigned nr = 0;

    QTAILQ_FOREACH(task, &s->done, run_link) {
        nr += task->orphan;
    }
    return nr;
}

void mx_tasks_hold(MxState *s)
{
    MxTask *task;

    qemu_mutex_lock(&s->lock);
    s->held = true;
    QTAILQ_FOREACH(task, &s->tasks, link) {
        if (task->state == MX_TASK_RUNNING && task->ops->forget) {
            task->ops->forget(task);
        }
    }
    /* Faults are left behind. */
    qatomic_set(&s->hang_released, MX_RUNG_REMOVAL + 1);
    while (mx_task_running(s) || mx_orphans_back(s) < s->nr_orphans) {
        qemu_cond_wait(&s->idle, &s->lock);
    }
    qemu_mutex_unlock(&s->lock);
}

void mx_tasks_go_on(MxState *s)
{
    qemu_mutex_lock(&s->lock);
    s->held = false;
    qatomic_set(&s->hang_released, 0);
    for (unsigned id = 0; id < MX_NR_LANES; id++) {
        qemu_cond_signal(&s->lane[id].wake);
    }
    qemu_mutex_unlock(&s->lock);
}

void mx_tasks_reap(MxState *s)
{
    MxTask *task, *next;

    QTAILQ_FOREACH_SAFE(task, &s->done, run_link, next) {
        if (task->orphan) {
            QTAILQ_REMOVE(&s->done, task, run_link);
            s->nr_orphans--;
            task->ops->release(task);
            g_free(task);
        }
    }
}

void mx_task_adopt(MxState *s, MxTask *task, MxQueue *queue, MxContext *ctx,
                   MxTaskState state)
{
    task->s = s;
    task->queue = queue;
    task->ctx = ctx;
    queue->nr_tasks++;
    if (ctx) {
        ctx->nr_tasks++;
    }
    QTAILQ_INSERT_TAIL(&s->tasks, task, link);
    if (state == MX_TASK_QUEUED) {
        mx_task_queue(task, task->ops == &mx_job_ops ? MX_LANE_JOBS :
                      MX_LANE_PROGRAMMING);
    } else if (state == MX_TASK_TIMED) {
        mx_timing_adopt(task);
    } else if (state == MX_TASK_COPYING) {
        task->state = state;
        QTAILQ_INSERT_TAIL(&s->writes, task, run_link);
    } else {
        mx_task_done(task);
    }
}

/* Takes a task out of its flow; the lane forgets a flow that becomes empty. */
static void mx_task_unqueue(MxTask *task)
{
    MxState *s = task->s;
    MxFlow *flow = task->flow;
    unsigned id;

    QTAILQ_REMOVE(&flow->tasks, task, run_link);
    if (!flow->ready || !QTAILQ_EMPTY(&flow->tasks)) {
        return;
    }
    flow->ready = false;
    for (id = 0; id < MX_NR_LANES; id++) {
        if (flow == (task->ctx ? &task->ctx->flow[id] : &s->flow[id])) {
            QTAILQ_REMOVE(&s->lane[id].ready, flow, link);
        }
    }
}

void mx_task_done(MxTask *task)
{
    MxState *s = task->s;

    qemu_mutex_lock(&s->lock);
    task->state = MX_TASK_DONE;
    QTAILQ_INSERT_TAIL(&s->done, task, run_link);
    qemu_mutex_unlock(&s->lock);
    qemu_bh_schedule(s->bh);
}

bool mx_task_stop(MxTask *task, uint16_t status)
{
    MxState *s = task->s;
    bool stopped = true;

    qemu_mutex_lock(&s->lock);
    if (task->state == MX_TASK_QUEUED) {
        mx_task_unqueue(task);
    } else if (task->state == MX_TASK_COPYING) {
        QTAILQ_REMOVE(&s->writes, task, run_link);
    } else if (task->state == MX_TASK_TIMED) {
        mx_timing_drop(task);
    } else {
        stopped = task->state == MX_TASK_RUNNING && task->ops->stop;
        if (stopped) {
            task->stop_status = task->stop_status ?: status;
            task->ops->stop(task);
        }
        qemu_mutex_unlock(&s->lock);
        goto out;
    }
    qemu_mutex_unlock(&s->lock);
    task->status = status;
    task->result = 0;
    mx_task_done(task);
out:
    if (stopped) {
        trace_mxaccel_task_stop(task->ops->name, task->cid, status);
    }
    return stopped;
}

void mx_tasks_stop(MxState *s, const MxQueue *queue, const MxContext *ctx)
{
    MxTask *task;

    s->rung = MX_RUNG_QUEUE;
    QTAILQ_FOREACH(task, &s->tasks, link) {
        if ((queue && task->queue == queue) || (ctx && task->ctx == ctx)) {
            mx_task_stop(task, MXACCEL_ST_ABORTED);
        }
    }
    s->rung = MX_RUNG_ABORT;
}

static void mx_task_free(MxTask *task)
{
    task->ops->release(task);
    g_free(task);
}

/*
 * Forgets all tasks: frees them, but for the ones on a worker, which are told
 * to stop and freed when the worker returns them.
 */
void mx_tasks_orphan(MxState *s)
{
    MxTask *task, *next;
    MxTaskState state;

    QTAILQ_FOREACH_SAFE(task, &s->tasks, link, next) {
        qemu_mutex_lock(&s->lock);
        state = task->state;
        if (state == MX_TASK_QUEUED) {
            mx_task_unqueue(task);
        } else if (state == MX_TASK_COPYING) {
            QTAILQ_REMOVE(&s->writes, task, run_link);
        } else if (state == MX_TASK_TIMED) {
            mx_timing_drop(task);
        } else if (state == MX_TASK_DONE) {
            QTAILQ_REMOVE(&s->done, task, run_link);
        } else if (state == MX_TASK_RUNNING) {
            task->flow->running = false;
            task->flow = NULL;
            if (task->ops->stop) {
                task->stop_status = MXACCEL_ST_ABORTED;
                task->ops->stop(task);
            }
        }
        task->orphan = true;
        qemu_mutex_unlock(&s->lock);

        trace_mxaccel_task_orphan(task->ops->name, task->cid);
        QTAILQ_REMOVE(&s->tasks, task, link);
        task->queue->nr_tasks--;
        if (task->ctx) {
            task->ctx->nr_tasks--;
        }
        task->queue = NULL;
        task->ctx = NULL;
        if (state == MX_TASK_RUNNING) {
            s->nr_orphans++;
        } else {
            mx_task_free(task);
        }
    }
}

#define MX_PROGRESS_WAITS   (1ull << 63)

/* A task that waits gets on with what is before it. */
uint64_t mx_task_progress(MxState *s, const MxTask *task)
{
    const MxTask *other;
    uint64_t all = s->progress;

    QTAILQ_FOREACH(other, &s->tasks, link) {
        uint64_t own = other->ops->progress ? other->ops->progress(other) : 0;

        if (other == task && qatomic_read(&task->state) == MX_TASK_RUNNING) {
            return own;
        }
        all += own;
    }
    return MX_PROGRESS_WAITS | all;
}

void mx_task_finish(MxState *s, MxTask *task)
{
    MxQueue *q = task->queue;
    MxContext *ctx = task->ctx;

    s->progress += task->ops->progress ? task->ops->progress(task) : 0;
    if (task->orphan) {
        s->nr_orphans--;
        mx_task_free(task);
        mx_controller_settle(s);
        return;
    }
    task->ops->finish(task);
    QTAILQ_REMOVE(&s->tasks, task, link);
    q->nr_tasks--;
    if (ctx) {
        ctx->nr_tasks--;
    }
    mx_queue_complete(s, q, task->cid, task->status, task->field, task->result);
    mx_task_free(task);
    if (ctx && ctx->destroying && !ctx->nr_tasks) {
        mx_ctx_idle(s, ctx);
    }
    if (q->deleting && !q->nr_tasks) {
        q->live = false;
        q->deleting = false;
        mx_queue_complete(s, &s->queue[0], q->delete_cid, MXACCEL_ST_SUCCESS,
                          0, 0);
    }
}

static MxTask *mx_task_take_done(MxState *s)
{
    MxTask *task;

    qemu_mutex_lock(&s->lock);
    task = QTAILQ_FIRST(&s->done);
    if (task) {
        QTAILQ_REMOVE(&s->done, task, run_link);
    }
    qemu_mutex_unlock(&s->lock);
    return task;
}

static void mx_bottom_half(void *opaque)
{
    MxState *s = opaque;
    unsigned left = MX_BATCH_TASKS;
    bool all_done;
    MxTask *task;

    if (s->frozen) {
        return;
    }
    if (s->running && qatomic_read(&s->power_lost)) {
        mx_fatal(s, MXACCEL_FATAL_POWER);
    }
    while (left && (task = mx_task_take_done(s)) != NULL) {
        if (!mx_timing_hold(s, task)) {
            mx_task_finish(s, task);
        }
        left--;
    }
    all_done = left > 0;
    all_done &= mx_prog_copy(s);
    all_done &= mx_queues_run(s);
    mx_queues_flush(s);
    if (!all_done) {
        qemu_bh_schedule(s->bh);
    }
}

void mx_tasks_init(MxState *s)
{
    static const char *const names[MX_NR_LANES] = { "mx-jobs", "mx-prog" };
    unsigned id;

    QTAILQ_INIT(&s->tasks);
    QTAILQ_INIT(&s->writes);
    QTAILQ_INIT(&s->done);
    mx_timing_init(s);
    qemu_mutex_init(&s->lock);
    qemu_cond_init(&s->idle);
    s->bh = qemu_bh_new_guarded(mx_bottom_half, s,
                                &DEVICE(s)->mem_reentrancy_guard);
    for (id = 0; id < MX_NR_LANES; id++) {
        MxLane *lane = &s->lane[id];

        lane->s = s;
        QTAILQ_INIT(&lane->ready);
        mx_flow_init(&s->flow[id]);
        qemu_cond_init(&lane->wake);
        qemu_thread_create(&lane->thread, names[id], mx_worker, lane,
                           QEMU_THREAD_JOINABLE);
        lane->started = true;
    }
}

void mx_tasks_exit(MxState *s)
{
    MxTask *task;
    unsigned id;

    if (!s->bh) {
        return;
    }
    qemu_mutex_lock(&s->lock);
    s->quit = true;
    for (id = 0; id < MX_NR_LANES; id++) {
        qemu_cond_signal(&s->lane[id].wake);
    }
    qemu_mutex_unlock(&s->lock);
    for (id = 0; id < MX_NR_LANES; id++) {
        qemu_thread_join(&s->lane[id].thread);
        qemu_cond_destroy(&s->lane[id].wake);
    }
    qemu_cond_destroy(&s->idle);
    /* Only what was on a worker when the controller stopped is left. */
    while ((task = mx_task_take_done(s)) != NULL) {
        mx_task_free(task);
    }
    mx_timing_exit(s);
    qemu_bh_delete(s->bh);
    s->bh = NULL;
    qemu_mutex_destroy(&s->lock);
}
