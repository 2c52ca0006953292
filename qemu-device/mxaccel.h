/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1 as a QEMU PCIe device: state shared by its files.
 *
 * Threads. Everything here belongs to QEMU's big lock, except what MxState.lock
 * protects: the run queues and the state of a task. Two worker threads, one
 * for jobs and one for programming, call the chip; they see a task's own
 * memory and the chip, never guest memory, and never take the big lock, so
 * that it may be held while they are waited for. A task is submitted and
 * finished under the big lock; between the two it belongs to a worker.
 */
#ifndef HW_MXACCEL_MXACCEL_H
#define HW_MXACCEL_MXACCEL_H

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qom/object.h"
#include "compat.h"
#include "chip/chip.h"
#include "fault.h"

#define TYPE_MXACCEL "mxaccel"
OBJECT_DECLARE_SIMPLE_TYPE(MxState, MXACCEL)

#define MX_NR_QUEUES        (MXACCEL_IO_QUEUES + 1)     /* and the admin pair */
#define MX_MAX_VECTORS      32
#define MX_MSIX_BYTES       4096
#define MX_MSIX_PBA         2048
#define MX_BOUNCE_BYTES     (256 * KiB)

/* How much is done in one go before the main loop gets a turn. */
#define MX_BATCH_COMMANDS   256
#define MX_BATCH_TASKS      32
#define MX_BATCH_FETCH      16
#define MX_BATCH_BYTES      (4 * MiB)

/* No I/O command is fetched while jobs hold more host memory than this. */
#define MX_STAGED_BYTES     (256 * MiB)
/* Segments that all buffers together may have: 16 bytes of host memory each. */
#define MX_TOTAL_SEGMENTS   (16 * MiB)

typedef struct MxTask MxTask;
typedef struct MxDelayed MxDelayed;
typedef QTAILQ_HEAD(, MxTask) MxTaskList;

/* A worker thread's kind of work. */
typedef enum MxLaneId {
    MX_LANE_JOBS,
    MX_LANE_PROGRAMMING,
    MX_NR_LANES,
} MxLaneId;

/*
 * Tasks of one origin, in order; the flows of a lane take turns. One whose
 * task runs gets in line again when that task has ended.
 */
typedef struct MxFlow {
    MxTaskList tasks;
    bool ready;                     /* in MxLane.ready */
    bool running;                   /* a task of it is on the worker */
    QTAILQ_ENTRY(MxFlow) link;
} MxFlow;

typedef struct MxLane {
    MxState *s;
    QemuThread thread;
    QemuCond wake;
    bool started;
    QTAILQ_HEAD(, MxFlow) ready;
} MxLane;

typedef struct MxSegment {
    uint64_t addr;
    uint64_t start;                 /* offset in the list */
} MxSegment;

/* A checked segment list, copied from host memory. */
typedef struct MxSgList {
    uint32_t nr;
    uint64_t bytes;
    MxSegment *segment;
} MxSgList;

typedef struct MxBuffer {
    MxSgList sg;
    uint32_t access;
    uint32_t users;                 /* jobs in flight */
} MxBuffer;

/* A protection domain. */
typedef struct MxContext {
    uint32_t id;
    bool destroying;                /* CTX_DESTROY waits for the tasks */
    uint16_t destroy_cid;
    uint32_t nr_tasks;
    MxFlow flow[MX_NR_LANES];
    GHashTable *buffers;            /* handle -> MxBuffer */
    unsigned long *grants;          /* models, a reference held for each */
    struct mx_counters counters;    /* of its jobs */
} MxContext;

/* A programming under way, until COMMIT or ABORT. */
typedef struct MxProgramming {
    MxContext *ctx;
    uint64_t span;                  /* bytes that PROG_WRITE can address */
    uint32_t nr_writes;             /* in flight */
} MxProgramming;

typedef struct MxQueue {
    uint16_t qid;
    bool live;
    bool irq;
    uint16_t vector;
    uint32_t sq_entries, cq_entries;
    uint64_t sq_addr, cq_addr;
    uint32_t sq_head, sq_tail;
    uint32_t cq_head, cq_tail;
    bool phase;
    uint32_t nr_tasks;
    bool deleting;                  /* DELETE_QP waits for the tasks */
    uint16_t delete_cid;
    bool shadowed;
    uint64_t shadow;                /* struct mxaccel_shadow, if shadowed */
    uint32_t sq_event;              /* as it is there */
    uint32_t cq_told;               /* completions before it were announced */
    uint32_t nr_held;               /* completions behind a held interrupt */
    uint32_t hold_most;             /* COALESCE */
    uint32_t hold_us;
    int64_t hold_until;             /* on the guest's clock, ns; 0: none held */
} MxQueue;

/* What a completion says. */
typedef struct MxEntry {
    uint16_t cid;
    uint16_t status;
    uint16_t field;
    uint64_t result;
    bool old_phase;                 /* an injected fault: the host sees nothing */
} MxEntry;

/* A command that was fetched, and its answer. */
typedef struct MxCommand {
    MxQueue *queue;
    struct mxaccel_sqe sqe;
    uint16_t cid;
    uint32_t ctx;
    uint16_t status;
    uint16_t field;
    uint64_t result;
    bool pending;                   /* a task or a wait answers later */
} MxCommand;

typedef enum MxTaskState {
    MX_TASK_NEW,
    MX_TASK_QUEUED,                 /* in a flow */
    MX_TASK_RUNNING,                /* a worker has it */
    MX_TASK_COPYING,                /* in MxState.writes */
    MX_TASK_TIMED,                  /* in MxState.timed */
    MX_TASK_DONE,                   /* in MxState.done */
} MxTaskState;

/* What differs between kinds of tasks. */
typedef struct MxTaskOps {
    const char *name;
    void (*run)(MxTask *task);      /* on a worker */
    void (*stop)(MxTask *task);     /* ask run() to end; NULL: cannot */
    /* ask run() to end with MX_JOB_FORGET, and make it anew; NULL: cannot */
    void (*forget)(MxTask *task);
    void (*renew)(MxTask *task);
    /* grows while a worker has it and it gets on; NULL: nobody can tell */
    uint32_t (*progress)(const MxTask *task);
    /* time on the chip in ns once it has run, 0: none; NULL: never any */
    int64_t (*duration)(const MxTask *task);
    void (*finish)(MxTask *task);   /* under the big lock, not for orphans */
    void (*release)(MxTask *task);  /* under the big lock */
    void (*save)(const MxTask *task, QEMUFile *f);
    /* the task that save() wrote; NULL: it is damaged or does not fit */
    MxTask *(*load)(MxState *s, MxContext *ctx, bool done, QEMUFile *f);
} MxTaskOps;

/*
 * A command that takes time. Orphans have lost their queue and context to a
 * reset: nobody hears of them any more.
 */
struct MxTask {
    MxState *s;
    const MxTaskOps *ops;
    MxTaskState state;              /* protected by MxState.lock */
    MxQueue *queue;
    MxContext *ctx;                 /* NULL: command without a context */
    MxFlow *flow;                   /* queued or running, no orphan */
    bool orphan;
    uint16_t cid;
    uint16_t stop_status;           /* protected by MxState.lock; 0: run on */
    uint16_t status;
    uint16_t field;
    uint64_t result;
    int64_t submitted;              /* on the guest's clock, ns */
    int64_t duration;               /* MX_TASK_TIMED: on the chip, ns */
    QTAILQ_ENTRY(MxTask) link;      /* MxState.tasks */
    QTAILQ_ENTRY(MxTask) run_link;  /* a flow, writes, timed or done */
};

struct MxState {
    PCIDevice parent_obj;

    MemoryRegion regs;
    MemoryRegion doorbells;
    MemoryRegion msix;

    /* properties */
    char *chip_file;
    char *store_file;
    char *isa_name;
    char *fidelity;
    uint32_t age;
    uint32_t threads;
    uint32_t vectors;
    uint32_t queues;
    uint64_t seed;
    bool timing;
    bool shadow;
    bool coalescing;

    struct mx_chip_config config;
    struct mx_chip *chip;
    uint64_t nv_bytes;
    int store_fd;
    uint8_t chip_digest[32];        /* of the chip file */
    uint32_t nr_counters;
    VMChangeStateEntry *run_state;
    bool frozen;                    /* the machine is stopped: nothing reaches it */
    bool store_lent;                /* the lock was given up for who takes over */

    /* registers */
    uint32_t ctrl;
    uint32_t fatal;                 /* MXACCEL_FATAL_*, 0: none */
    bool running;                   /* the admin pair works */
    uint32_t aqa;
    uint64_t asq;
    uint64_t acq;
    struct mx_counters window;

    MxQueue queue[MX_NR_QUEUES];
    uint32_t next_queue;            /* the bottom half starts with */
    uint32_t irq_due;               /* queues whose vector is to be raised */
    QEMUTimer *hold_timer;          /* of interrupts that are held */
    uint64_t queue_bytes;           /* not yet in the chip's counter */

    GHashTable *contexts;           /* id -> MxContext */
    GHashTable *programmings;       /* handle -> MxProgramming */
    uint64_t nr_segments;           /* of all buffers */
    uint8_t *bounce;

    MxTaskList tasks;               /* all but orphans */
    MxTaskList writes;              /* PROG_WRITEs that go on */
    MxTaskList timed;               /* done, and wait for their modelled end */
    QEMUTimer *timer;               /* of the first of them */
    int64_t chip_free;              /* when the last job ended, ns */
    uint32_t nr_orphans;            /* on a worker since before a reset */
    uint64_t progress;              /* of all tasks that have ended */
    uint64_t staged_bytes;
    QEMUBH *bh;

    /* fault.c */
    uint32_t fault[MX_NR_FAULTS];
    QTAILQ_HEAD(, MxDelayed) delayed;
    QEMUTimer *flood;
    MxRung rung;                    /* of who is stopping tasks, if not ABORT */
    int hang_released;              /* hung jobs below this rung end; atomic */
    bool power_lost;                /* atomic */

    QemuMutex lock;                 /* protects what follows */
    bool quit;
    bool held;                      /* workers begin nothing */
    QemuCond idle;                  /* a worker has ended a task */
    MxLane lane[MX_NR_LANES];
    MxFlow flow[MX_NR_LANES];       /* of commands without a context */
    MxTaskList done;
};

/* mxaccel.c: the PCI function */
bool mx_dma_read(MxState *s, uint64_t addr, void *to, uint64_t bytes);
bool mx_dma_write(MxState *s, uint64_t addr, const void *from, uint64_t bytes);
bool mx_dma_valid(MxState *s, uint64_t addr, uint64_t bytes, DMADirection dir);
void mx_notify(MxState *s, uint32_t vector);
/* Switches the chip off and on: what is not non-volatile is gone. */
void mx_power_cycle(MxState *s);
bool mx_power_on(MxState *s, Error **errp);

/* regs.c: registers, doorbells, the controller's states */
void mx_regs_init(MxState *s);
void mx_fatal(MxState *s, uint32_t code);
/* Ends all but resident models and counters; workers may go on a while. */
void mx_controller_stop(MxState *s);
/* Starts the controller if CTRL.EN asks for it and no orphan is left. */
void mx_controller_settle(MxState *s);

/* queue.c: queue pairs */
void mx_queue_open(MxState *s, MxQueue *q, uint32_t sq_entries,
                   uint64_t sq_addr, uint32_t cq_entries,
                   uint64_t cq_addr, bool irq, uint16_t vector);
void mx_queue_doorbell(MxState *s, uint32_t qid, uint32_t reg, uint32_t value);
/* A position that the host gave; false, and a fatal error, if it cannot be. */
bool mx_queue_set_tail(MxState *s, MxQueue *q, uint32_t value);
bool mx_queue_set_head(MxState *s, MxQueue *q, uint32_t value);
void mx_queue_complete(MxState *s, MxQueue *q, uint16_t cid, uint16_t status,
                       uint16_t field, uint64_t result);
/* Writes a completion; faults have been seen to. */
void mx_queue_post(MxState *s, MxQueue *q, const MxEntry *entry);
/* Fetches from all queues; false if it stopped early to give others a turn. */
bool mx_queues_run(MxState *s);
/* Raises due interrupts and counts bytes: at the end of each entry point. */
void mx_queues_flush(MxState *s);

/* notify.c: shadow doorbells and interrupts */
void mx_notify_init(MxState *s);
void mx_notify_exit(MxState *s);
/* Sets the timer of interrupts that are held. */
void mx_notify_arm(MxState *s);
/* Reads the host's head of the completion queue; false after a fatal error. */
bool mx_shadow_head(MxState *s, MxQueue *q);
/* If the queue is drained, says so: true if more commands are there by now. */
bool mx_shadow_rest(MxState *s, MxQueue *q);
/* Is the vector to be raised, after completions were posted? */
bool mx_queue_announce(MxState *s, MxQueue *q);
void mx_shadow_command(MxState *s, MxCommand *cmd);
void mx_coalesce_command(MxState *s, MxCommand *cmd);

/* command.c: helpers to check a command */
void mx_fail(MxCommand *cmd, uint16_t status, uint16_t field);
bool mx_zero(MxCommand *cmd, uint16_t offset, uint16_t bytes);
bool mx_no_ctx(MxCommand *cmd);
MxContext *mx_command_ctx(MxState *s, MxCommand *cmd);
#define MX_FIELD(member) offsetof(struct mxaccel_sqe, member)
#define MX_ZERO(cmd, member) \
    mx_zero(cmd, MX_FIELD(member), sizeof((cmd)->sqe.member))

/* admin.c, ctx.c, prog.c, reuse.c, job.c: commands */
void mx_admin_command(MxState *s, MxCommand *cmd);
void mx_ctx_command(MxState *s, MxCommand *cmd);
uint32_t mx_ctx_grants(MxState *s, uint32_t model);
void mx_ctx_idle(MxState *s, MxContext *ctx);
void mx_ctx_drop_all(MxState *s);
void mx_prog_command(MxState *s, MxCommand *cmd);
MxProgramming *mx_prog_find(MxState *s, MxCommand *cmd, MxContext *ctx);
void mx_prog_reuse(MxState *s, MxCommand *cmd, MxContext *ctx);
void mx_prog_drop(MxState *s, MxContext *ctx);
/* Copies another part of the PROG_WRITEs under way; false if some remain. */
bool mx_prog_copy(MxState *s);
void mx_job_command(MxState *s, MxCommand *cmd);
bool mx_job_uses_model(const MxTask *task, uint32_t model);

/* sg.c: segment lists */
typedef struct MxSgFields {
    uint16_t bytes, addr, nr;       /* offsets in the entry, for reports */
} MxSgFields;
bool mx_sg_load(MxState *s, MxCommand *cmd, MxSgList *sg, uint64_t bytes,
                uint64_t addr, uint32_t nr, const MxSgFields *fields);
void mx_sg_free(MxSgList *sg);
bool mx_sg_read(MxState *s, const MxSgList *sg, uint64_t offset, void *to,
                uint64_t bytes);
bool mx_sg_write(MxState *s, const MxSgList *sg, uint64_t offset,
                 const void *from, uint64_t bytes);
bool mx_sg_writable(MxState *s, const MxSgList *sg, uint64_t offset,
                    uint64_t bytes);

/* task.c: work that takes time */
void mx_tasks_init(MxState *s);
void mx_tasks_exit(MxState *s);
void mx_flow_init(MxFlow *flow);
/* Makes @task, which the caller allocated with g_new0(), the command's. */
void mx_task_submit(MxState *s, MxTask *task, const MxTaskOps *ops,
                    MxCommand *cmd, MxContext *ctx);
void mx_task_queue(MxTask *task, MxLaneId lane);
/* Hands a task that no worker has to the bottom half to be finished. */
void mx_task_done(MxTask *task);
/* Tells a task to end with @status; false if it cannot be told any more. */
bool mx_task_stop(MxTask *task, uint16_t status);
void mx_tasks_stop(MxState *s, const MxQueue *queue, const MxContext *ctx);
void mx_tasks_orphan(MxState *s);

/*
 * No worker has anything when it returns: jobs are in their flows again, what
 * cannot be interrupted has ended. They begin nothing until mx_tasks_go_on().
 */
void mx_tasks_hold(MxState *s);
void mx_tasks_go_on(MxState *s);
/* Frees the orphans that workers have returned. */
void mx_tasks_reap(MxState *s);
/* Puts a task that was loaded where it had been. */
void mx_task_adopt(MxState *s, MxTask *task, MxQueue *queue, MxContext *ctx,
                   MxTaskState state);

/* The answer to PROGRESS. */
uint64_t mx_task_progress(MxState *s, const MxTask *task);

/* Answers a task's command, and the commands that waited for it to end. */
void mx_task_finish(MxState *s, MxTask *task);

/* timing.c: jobs take their modelled time */
void mx_timing_init(MxState *s);
void mx_timing_exit(MxState *s);
/* Takes a task that its worker has ended, and true, if it has to wait. */
bool mx_timing_hold(MxState *s, MxTask *task);
/* Lets a task go before its time. */
void mx_timing_drop(MxTask *task);
/* Takes a task that waited before the machine was restored. */
void mx_timing_adopt(MxTask *task);

/* vmstate.c: snapshots and migration; handover.c: what differs in size */
extern const VMStateDescription mx_vmstate;
extern const VMStateInfo mx_handover_cells, mx_handover_chip, mx_handover_work;
extern const MxTaskOps mx_job_ops, mx_prog_write_ops, mx_commit_ops,
                       mx_delete_ops, mx_refresh_ops;
MxContext *mx_ctx_new(MxState *s, uint32_t id);
void mx_buffer_add(MxState *s, MxContext *ctx, uint32_t handle, MxSgList sg,
                   uint32_t access);
void mx_sg_save(const MxSgList *sg, QEMUFile *f);
bool mx_sg_restore(MxSgList *sg, uint32_t max, QEMUFile *f);

/* fault.c: injected faults */
void mx_fault_class_init(ObjectClass *klass);
void mx_fault_init(MxState *s);
void mx_fault_exit(MxState *s);
bool mx_fault_take(MxState *s, MxFault fault);
bool mx_fault_completion(MxState *s, MxQueue *q, MxEntry *entry);
void mx_fault_forget(MxState *s, const MxQueue *q);
bool mx_fault_dma(MxState *s, uint64_t addr);
bool mx_fault_power_lost(MxState *s);
static inline bool mx_fault_absent(const MxState *s)
{
    return s->fault[MX_FAULT_ALL_ONES];
}

/* store.c: chip file and non-volatile area */
bool mx_chip_file_load(MxState *s, Error **errp);
bool mx_store_open(MxState *s, Error **errp);
void mx_store_close(MxState *s);
/* Gives the lock to whoever takes over, with all that was written; takes it back. */
void mx_store_lend(MxState *s);
bool mx_store_lock(MxState *s, Error **errp);
int mx_store_persist(void *opaque, uint64_t offset, uint64_t bytes);

#endif /* HW_MXACCEL_MXACCEL_H */
