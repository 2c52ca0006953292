/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: timing=on. The chip runs jobs one after another, so a job starts when
 * it was submitted or when the one before it ended, whichever is later, and
 * its answer waits until the guest's clock has reached its modelled end. The
 * host has computed it by then, or else the answer comes when it has.
 *
 * All of this belongs to QEMU's big lock.
 */
#include "mxaccel.h"
#include "trace.h"

static int64_t mx_timing_now(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

/* End of the first job in line: the one that is on the chip. */
static int64_t mx_timing_end(const MxState *s)
{
    const MxTask *task = QTAILQ_FIRST(&s->timed);

    return MAX(task->submitted, s->chip_free) + task->duration;
}

static void mx_timing_arm(MxState *s)
{
    if (QTAILQ_EMPTY(&s->timed)) {
        timer_del(s->timer);
    } else {
        timer_mod_ns(s->timer, mx_timing_end(s));
    }
}

/* Answers the jobs whose time has come. */
static void mx_timing_run(MxState *s)
{
    int64_t now = mx_timing_now();
    MxTask *task;

    while ((task = QTAILQ_FIRST(&s->timed)) != NULL && mx_timing_end(s) <= now) {
        s->chip_free = mx_timing_end(s);
        QTAILQ_REMOVE(&s->timed, task, run_link);
        mx_task_finish(s, task);
    }
    mx_timing_arm(s);
}

static void mx_timing_expired(void *opaque)
{
    MxState *s = opaque;

    mx_timing_run(s);
    mx_queues_flush(s);
    /* A queue may have rested because of these jobs. */
    qemu_bh_schedule(s->bh);
}

/* Takes a task that its worker has ended, and true, if it has to wait. */
bool mx_timing_hold(MxState *s, MxTask *task)
{
    if (!s->timing || task->orphan || !task->ops->duration) {
        return false;
    }
    task->duration = task->ops->duration(task);
    if (!task->duration) {
        return false;
    }
    trace_mxaccel_task_hold(task->ops->name, task->cid, task->duration);
    qemu_mutex_lock(&s->lock);
    task->state = MX_TASK_TIMED;
    qemu_mutex_unlock(&s->lock);
    QTAILQ_INSERT_TAIL(&s->timed, task, run_link);
    mx_timing_run(s);
    return true;
}

/* Lets a task go before its time. */
void mx_timing_drop(MxTask *task)
{
    MxState *s = task->s;

    if (task == QTAILQ_FIRST(&s->timed)) {
        s->chip_free = mx_timing_now();
    }
    QTAILQ_REMOVE(&s->timed, task, run_link);
    mx_timing_arm(s);
}

void mx_timing_adopt(MxTask *task)
{
    MxState *s = task->s;

    task->state = MX_TASK_TIMED;
    QTAILQ_INSERT_TAIL(&s->timed, task, run_link);
    mx_timing_arm(s);
}

void mx_timing_init(MxState *s)
{
    QTAILQ_INIT(&s->timed);
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, mx_timing_expired, s);
}

void mx_timing_exit(MxState *s)
{
    timer_free(s->timer);
    s->timer = NULL;
}
