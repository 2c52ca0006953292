/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mxaccel.ko: what its files share. Documentation/driver.rst explains the
 * structure, the lifetimes and the locks.
 *
 * Locks, outermost first:
 *
 *	mx_dev.reset_lock	mutex: one reset, restart or removal at a time
 *	mx_dev.srcu		read: inside any entry point; hardware may be used
 *	mx_dev.files_lock	mutex: the list of files
 *	mx_dev.models_lock	mutex: the models/ folder of sysfs
 *	mx_file.lock		mutex: a file's buffers and models
 *	mx_dev.ctrl_lock	mutex: writes to CTRL and the admin queue registers
 *	mx_queue.cq_lock	spinlock: completion ring
 *	mx_queue.sq_lock	spinlock: submission ring and slots
 *	mx_file.done_lock	spinlock: a file's lists of jobs
 *	mx_dev.state_lock	spinlock: state and generation
 *	mx_pmu.lock		raw spinlock, interrupts off: which device perf counts
 *	mx_dev.latch_lock	raw spinlock, interrupts off: the counter window
 *
 * User memory is touched, pinned and charged with none of these held: a process
 * can make that take for ever, and mmap() comes in with mmap_lock held.
 *
 * No other spinlock is taken in interrupt context. SRCU readers sleep, but never
 * without a timeout or a wake-up by mx_quiesce(), which synchronizes.
 */
#ifndef MXACCEL_DRV_H
#define MXACCEL_DRV_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/semaphore.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "mxaccel.h"
#include "rules.h"

#define MX_NAME			"mxaccel"
#define MX_MINORS		64

/* All of these are multiplied by the device's MXACCEL_REG_TIMEOUT_SCALE. */
#define MX_ADMIN_TIMEOUT_MS	10000U	/* an admin command that only changes tables */
#define MX_DRAIN_TIMEOUT_MS	60000U	/* one that waits for jobs to stop */
#define MX_COMMIT_TIMEOUT_MS	60000U	/* PROG_COMMIT, plus 1 ms per MX_COMMIT_BYTES_PER_MS */
#define MX_JOB_MARGIN_MS	10000U	/* for the chip to act on a job's deadline itself */
#define MX_ABORT_TIMEOUT_MS	30000U	/* for an aborted job to complete */
#define MX_QUEUE_RESET_MS	30000U	/* DELETE_QP, which stops the queue's jobs */

#define MX_COMMIT_BYTES_PER_MS	10000U	/* slowest hashing that is not called a hang */

#define MX_ADMIN_DEPTH		64U	/* entries of the admin queue */
#define MX_IO_DEPTH		1024U	/* entries of an I/O queue, if the chip has as many */
#define MX_PAGES_MAX_BYTES	BIT_ULL(36)	/* keeps page counts and tables within int */

/* Bounds on what an untrusted chip may claim of itself */
#define MX_MAX_CONTEXTS		65535U
#define MX_MAX_BUFFERS		65535U
#define MX_MAX_SG		65536U
#define MX_MAX_MODELS		65536U

struct dentry;
struct io_comp_batch;
struct io_uring_cmd;
struct mx_dev;
struct mx_file;
struct mx_hwmon;
struct seq_file;
struct mx_queue;

/**
 * struct mx_rq - a command on its way through a queue
 * @done:	called once, in process context with no lock held, when the
 *		outcome below is valid
 * @next:	while being completed
 * @queue:	where it was submitted
 * @cid:	command id
 * @polled:	who waits for it looks at the ring, so that it needs no interrupt
 * @holds:	1 for the command itself, 1 for each ABORT that names @cid: the
 *		slot is not used again before the last is gone
 * @error:	0, or negative errno of the status
 * @status:	MXACCEL_ST_*
 * @field:	offending byte offset
 * @result:	of the command
 */
struct mx_rq {
	void (*done)(struct mx_rq *rq);
	struct mx_rq *next;
	struct mx_queue *queue;
	u16 cid;
	bool polled;
	atomic_t holds;
	int error;
	u16 status;
	u16 field;
	u64 result;
};

/**
 * struct mx_queue - submission and completion ring
 * @mx:		the device
 * @qid:	0 for the admin queue
 * @depth:	entries of each ring; at most @depth - 1 commands are in flight,
 *		so that neither ring can overflow
 * @vector:	index of its interrupt
 * @sq:		submission ring
 * @cq:		completion ring, written by the chip
 * @sq_dma:	its address for the chip
 * @cq_dma:	its address for the chip
 * @doorbell:	its page in BAR2
 * @shadow:	its doorbells in memory; NULL: the chip has none, or it is the admin queue
 * @shadow_dma:	their address for the chip
 * @shadowed:	the chip uses them
 * @sq_lock:	protects @live, @sq_tail, @rung, @hint, @slots
 * @live:	the chip serves it; changed with both locks
 * @sq_tail:	next free entry
 * @rung:	what the chip was last told of it
 * @hint:	slot to try first
 * @nr_irq:	commands in flight that wait for an interrupt
 * @slots:	@depth - 1 of them
 * @cq_lock:	protects @cq_phase and writes of @cq_head
 * @cq_head:	next entry to look at
 * @cq_phase:	its phase when it is new
 * @looked:	completions were taken without an interrupt, one of which may still come
 */
struct mx_queue {
	struct mx_dev *mx;
	u16 qid;
	u16 depth;
	u16 vector;
	struct mxaccel_sqe *sq;
	struct mxaccel_cqe *cq;
	dma_addr_t sq_dma;
	dma_addr_t cq_dma;
	void __iomem *doorbell;
	struct mxaccel_shadow *shadow;
	dma_addr_t shadow_dma;
	bool shadowed;

	spinlock_t sq_lock;
	bool live;
	u16 sq_tail;
	u16 rung;
	u16 hint;
	u16 nr_irq;
	struct mx_slot *slots;

	spinlock_t cq_lock;
	u16 cq_head;
	u16 cq_phase;
	unsigned long looked;
};

/* An interrupt vector, for the handler; @cpus submit to its queues, and are best interrupted */
struct mx_vector {
	struct mx_dev *mx;
	unsigned int index;
	char name[24];
	struct cpumask cpus;
};

/**
 * struct mx_dev - a chip
 * @dev:	class device; its release frees this struct
 * @cdev:	/dev/mxaccelN
 * @pdev:	PCI function, with a reference
 * @id:		N, until the device is removed
 * @regs:	BAR0; may be touched inside srcu while LIVE, or under @ctrl_lock
 * @doorbells:	BAR2
 * @srcu:	gate of every entry point
 * @state_lock:	protects @state, @generation
 * @state:	see enum mx_state
 * @generation:	counts resets, from 1
 * @live_gen:	@generation while LIVE, else 0: one word for the gate
 * @state_wait:	woken at every change of @state
 * @reset_lock:	one reset, restart or removal at a time
 * @ctrl_lock:	writes to CTRL and the admin queue registers
 * @reset_work:	restart after mx_fail()
 * @link_work:	the same after a PCI error that nobody has recovered from
 * @resets:	restarts that worked
 * @queue_resets: queue pairs made anew, by the watchdog
 * @last_error:	last failure of the device, for sysfs; under @state_lock
 * @scale:	factor of all timeouts
 * @job_margin:	MX_JOB_MARGIN_MS, scaled, in jiffies
 * @cap:	MXACCEL_REG_CAP
 * @hw_features: MXACCEL_REG_FEATURES
 * @nr_vectors:	interrupts in use
 * @vectors:	@nr_vectors of them
 * @admin:	admin queue
 * @admin_slots: free slots of it
 * @io:		@nr_io I/O queues
 * @nr_io:	their number
 * @io_depth:	entries of each
 * @identity:	of the chip when it was started; chip values are read from here
 * @max_contexts: bounded copies of chip values
 * @max_buffers: as above
 * @max_sg:	as above
 * @max_models:	as above
 * @nr_counters: counters in the window
 * @latch_lock:	the counter window
 * @contexts:	context ids in use
 * @files_lock:	protects @files, @nr_files and writes of @file_depth
 * @files:	open files that have a context
 * @nr_files:	their number
 * @file_depth:	jobs that each may have, see mx_file_depth()
 * @next_job:	job ids
 * @jobs:	jobs in flight
 * @watchdog:	looks after @jobs while there are any
 * @models_lock: protects @model_nodes
 * @models_dir:	models/ in sysfs
 * @model_nodes: its folders
 * @hwmon:	its sensors, if they are registered
 * @debugfs:	its folder
 * @clients:	files that were opened, for their ids
 */
struct mx_dev {
	struct device dev;
	struct cdev cdev;
	struct pci_dev *pdev;
	int id;

	void __iomem *regs;
	void __iomem *doorbells;

	struct srcu_struct srcu;
	spinlock_t state_lock;
	enum mx_state state;
	unsigned long generation;
	unsigned long live_gen;
	wait_queue_head_t state_wait;
	struct mutex reset_lock;
	struct mutex ctrl_lock;
	struct work_struct reset_work;
	struct delayed_work link_work;
	unsigned int resets;
	unsigned int queue_resets;
	char last_error[128];

	u32 scale;
	unsigned long job_margin;
	u64 cap;
	u64 hw_features;
	unsigned int nr_vectors;
	struct mx_vector *vectors;
	struct mx_queue admin;
	struct semaphore admin_slots;
	struct mx_queue *io;
	unsigned int nr_io;
	unsigned int io_depth;

	struct mxaccel_identify *identity;
	u32 max_contexts;
	u32 max_buffers;
	u32 max_sg;
	u32 max_models;
	u32 nr_counters;
	raw_spinlock_t latch_lock;

	struct ida contexts;
	struct mutex files_lock;
	struct list_head files;
	unsigned int nr_files;
	unsigned int file_depth;
	atomic64_t next_job;
	atomic_t jobs;
	struct delayed_work watchdog;

	struct mutex models_lock;
	struct kobject *models_dir;
	struct list_head model_nodes;

	struct mx_hwmon *hwmon;
	struct dentry *debugfs;
	atomic64_t clients;
};

/**
 * struct mx_pages - memory for the chip
 * @offset:	into the first page, where it begins
 * @bytes:	its length
 * @pages:	the pages
 * @nr_pages:	their number
 * @pinned:	they are a process's (unpin), not ours (free)
 * @dirty:	the chip may have written them
 * @sgt:	list for the chip, while mapped
 * @dir:	of the mapping
 */
struct mx_pages {
	unsigned int offset;
	u64 bytes;
	struct page **pages;
	unsigned int nr_pages;
	bool pinned;
	bool dirty;
	struct sg_table sgt;
	enum dma_data_direction dir;
};

/**
 * struct mx_buf - a buffer of a file
 * @ref:	the file, and each mapping by mmap()
 * @node:	while its file is being reclaimed
 * @mem:	its memory; mapped for the chip until the file gives it up
 * @mm:		charged with its pages, with a reference
 * @bytes:	length
 * @access:	MXACCEL_BUF_*
 * @jobs:	in flight that use it
 * @need_sync:	the DMA mapping is not coherent with the processor
 * @release_work: frees it when munmap() dropped the last reference
 */
struct mx_buf {
	struct kref ref;
	struct list_head node;
	struct mx_pages mem;
	struct mm_struct *mm;
	u64 bytes;
	u32 access;
	atomic_t jobs;
	bool need_sync;
	struct work_struct release_work;
};

/**
 * struct mx_grant - a model that a file may use
 * @opens:	MODEL_PROGRAM and MODEL_OPEN without MODEL_CLOSE; under mx_file.lock
 * @jobs:	in flight that use it
 */
struct mx_grant {
	unsigned int opens;
	atomic_t jobs;
};

/**
 * struct mx_file_stats - what a file did, for fdinfo
 * @submitted:	jobs handed to the chip
 * @completed:	jobs that ended well
 * @failed:	jobs that ended with an error
 */
struct mx_file_stats {
	u64 submitted;
	u64 completed;
	u64 failed;
};

/**
 * struct mx_file - an open file: a context of the chip
 * @mx:		device, with a reference
 * @generation:	of the device when it was opened
 * @ctx:	context id, 0 once it is reclaimed
 * @client:	number that no other file of the device has had
 * @opener:	process that opened it, with a reference
 * @comm:	its name then
 * @node:	in mx_dev.files
 * @lock:	protects @buffers, @models and the counts in them
 * @buffers:	struct mx_buf by handle
 * @models:	struct mx_grant by model id
 * @done_lock:	protects the following lists and counts
 * @running:	jobs in flight
 * @done:	jobs to reap, oldest first; those that came by io_uring have other ways
 * @polled:	jobs that have ended and wait for their ring to be polled
 * @stats:	counts of jobs
 * @nr_running:	length of @running
 * @nr_uring:	those of it that came by io_uring
 * @nr_jobs:	length of @running and @done; at most MX_FILE_DEPTH
 * @wait:	woken when a job is done and when the file dies
 */
struct mx_file {
	struct mx_dev *mx;
	unsigned long generation;
	u32 ctx;
	u64 client;
	struct pid *opener;
	char comm[TASK_COMM_LEN];
	struct list_head node;

	struct mutex lock;
	struct xarray buffers;
	struct xarray models;

	spinlock_t done_lock;
	struct list_head running;
	struct list_head done;
	struct mx_file_stats stats;
	struct list_head polled;
	unsigned int nr_running;
	unsigned int nr_uring;
	unsigned int nr_jobs;
	wait_queue_head_t wait;
};

/* pci.c */
extern struct class mx_class;
extern struct workqueue_struct *mx_workqueue;

/* irq.c */
int mx_irq_init(struct mx_dev *mx);
void mx_irq_exit(struct mx_dev *mx);

/* recover.c */
bool mx_set_state(struct mx_dev *mx, enum mx_state state);
const char *mx_state_name(enum mx_state state);
void mx_record_error(struct mx_dev *mx, const char *format, ...) __printf(2, 3);
bool mx_enter(struct mx_dev *mx, int *idx);
void mx_exit(struct mx_dev *mx, int idx);
void mx_stop_chip(struct mx_dev *mx);
void mx_fail(struct mx_dev *mx, unsigned long generation, const char *why);
void mx_quiesce(struct mx_dev *mx);
int mx_bring_up(struct mx_dev *mx);
int mx_restart(struct mx_dev *mx);
void mx_revive(struct mx_dev *mx);
void mx_condemn(struct mx_dev *mx);
void mx_shut(struct mx_dev *mx);
void mx_reset_work(struct work_struct *work);
void mx_link_work(struct work_struct *work);
unsigned long mx_timeout(struct mx_dev *mx, u64 ms);

/* pci_errors.c, power.c */
extern const struct pci_error_handlers mx_error_handlers;
extern const struct dev_pm_ops mx_pm_ops;

/* dump.c */
void mx_announce(struct mx_dev *mx);
void mx_dump_failure(struct mx_dev *mx, const char *why);

/* ladder.c */
int mx_progress(struct mx_dev *mx, struct mx_rq *rq, u64 *progress);
void mx_queue_reset(struct mx_dev *mx, struct mx_queue *q);

/* queue.c */
int mx_queue_init(struct mx_dev *mx, struct mx_queue *q, u16 qid, u16 depth, u16 vector);
void mx_queue_free(struct mx_queue *q);
void mx_queue_start(struct mx_queue *q, bool live);
void mx_queue_open(struct mx_queue *q);
void mx_queue_block(struct mx_queue *q);
void mx_queue_fail(struct mx_queue *q, int error);
int mx_queue_put(struct mx_queue *q, struct mx_rq *rq, struct mxaccel_sqe *sqe);
void mx_queue_ring(struct mx_queue *q);
void mx_queue_kick(struct mx_queue *q);
bool mx_queue_pending(struct mx_queue *q);
bool mx_queue_poll(struct mx_queue *q);
bool mx_rq_hold(struct mx_rq *rq);
void mx_rq_put(struct mx_rq *rq);
const char *mx_status_text(u16 status);
int mx_status_errno(u16 status);

/* admin.c */
int mx_admin(struct mx_dev *mx, struct mxaccel_sqe *sqe, unsigned int timeout_ms,
	     u64 *result, u16 *status);
int mx_admin_page(struct mx_dev *mx, struct mxaccel_sqe *sqe, __le64 *addr, void *page);
int mx_admin_sg(struct mx_dev *mx, struct mxaccel_sqe *sqe, __le64 *sg_addr, __le32 *sg_nr,
		struct sg_table *sgt, u16 *status);
int mx_identify(struct mx_dev *mx, struct mxaccel_identify *page);
int mx_identify_health(struct mx_dev *mx, struct mxaccel_health *page);
int mx_identify_models(struct mx_dev *mx, u32 index, struct mxaccel_model_info *page);
int mx_create_qp(struct mx_dev *mx, struct mx_queue *q);
int mx_ctx_command(struct mx_dev *mx, u8 opcode, u32 ctx);
int mx_model_command(struct mx_dev *mx, u8 opcode, u32 ctx, u32 model);
int mx_abort(struct mx_dev *mx, struct mx_rq *rq);

/* counters.c */
u64 mx_read_counter(struct mx_dev *mx, unsigned int index);
int mx_read_counters(struct mx_dev *mx, u32 scope, u32 ctx, u32 model, u64 *values);

/* pmu.c */
#ifdef CONFIG_PERF_EVENTS
int mx_pmu_init(void);
void mx_pmu_exit(void);
void mx_pmu_add(struct mx_dev *mx);
void mx_pmu_remove(struct mx_dev *mx);
#else
static inline int mx_pmu_init(void) { return 0; }
static inline void mx_pmu_exit(void) { }
static inline void mx_pmu_add(struct mx_dev *mx) { }
static inline void mx_pmu_remove(struct mx_dev *mx) { }
#endif

/* hwmon.c */
#if IS_REACHABLE(CONFIG_HWMON)
void mx_hwmon_add(struct mx_dev *mx);
void mx_hwmon_remove(struct mx_dev *mx);
#else
static inline void mx_hwmon_add(struct mx_dev *mx) { }
static inline void mx_hwmon_remove(struct mx_dev *mx) { }
#endif

/* fdinfo.c */
void mx_show_fdinfo(struct seq_file *out, struct file *filp);

/* debugfs.c; without debugfs in the kernel these do nothing */
void mx_debugfs_init(void);
void mx_debugfs_exit(void);
void mx_debugfs_add(struct mx_dev *mx);
void mx_debugfs_remove(struct mx_dev *mx);

/* inject.c */
#ifdef CONFIG_FAULT_INJECTION
void mx_inject_init(struct dentry *root);
bool mx_inject_admin(void);
bool mx_inject_job(void);
bool mx_inject_interrupt(void);
#else
static inline void mx_inject_init(struct dentry *root) { }
static inline bool mx_inject_admin(void) { return false; }
static inline bool mx_inject_job(void) { return false; }
static inline bool mx_inject_interrupt(void) { return false; }
#endif

/* chardev.c */
extern const struct file_operations mx_fops;

/* context.c */
int mx_file_create(struct mx_dev *mx, struct mx_file **out);
void mx_file_release(struct mx_file *file);
void mx_file_reclaim(struct mx_file *file, struct list_head *buffers);
bool mx_file_dead(struct mx_file *file);
int mx_file_enter(struct mx_file *file, int *idx);

/* holders.c */
#define MX_NO_MODEL	U32_MAX
u32 mx_holder(struct mx_dev *mx, u32 model, u32 *pid, char comm[TASK_COMM_LEN]);
ssize_t mx_show_holders(struct mx_dev *mx, u32 model, char *buf);

/* pages.c */
int mx_pages_new(struct mx_pages *mem, u64 bytes);
int mx_pages_pin(struct mx_pages *mem, u64 addr, u64 bytes, bool write, bool longterm);
void mx_pages_put(struct mx_pages *mem);
int mx_pages_map(struct mx_dev *mx, struct mx_pages *mem);
void mx_pages_unmap(struct mx_dev *mx, struct mx_pages *mem);

/* buffer.c */
int mx_buf_create(struct mx_file *file, void *arg);
int mx_buf_free(struct mx_file *file, void *arg);
int mx_buf_register(struct mx_file *file, struct mx_buf *buf, u32 handle);
int mx_buf_mmap(struct mx_file *file, struct vm_area_struct *vma);
void mx_buf_unmap(struct mx_dev *mx, struct mx_buf *buf);
void mx_bufs_put(struct list_head *buffers, bool later);
void mx_buf_sync(struct mx_dev *mx, struct mx_buf *buf, u64 offset, u64 bytes, bool for_cpu);

/* model.c */
int mx_grant_checked(struct mx_file *file, const u8 *content, u32 id);
int mx_model_open(struct mx_file *file, void *arg);
int mx_model_close(struct mx_file *file, void *arg);
int mx_model_delete(struct mx_file *file, void *arg);
int mx_model_refresh(struct mx_file *file, void *arg);
int mx_model_list(struct mx_file *file, void *arg);

/* program.c */
int mx_model_program(struct mx_file *file, void *arg);

/* job.c */
int mx_job_submit(struct mx_file *file, void *arg);
int mx_job_cancel(struct mx_file *file, void *arg);
void mx_watchdog(struct work_struct *work);
int mx_jobs_init(void);
void mx_jobs_exit(void);

/* wait.c */
int mx_job_wait(struct mx_file *file, void *arg);
void mx_jobs_discard(struct mx_file *file);

/* uring.c */
int mx_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
int mx_uring_iopoll(struct io_uring_cmd *cmd, struct io_comp_batch *batch,
		    unsigned int poll_flags);
void mx_uring_end(struct mx_file *file, void *owner);

/* sysfs.c */
extern const struct attribute_group *mx_attr_groups[];
ssize_t mx_emit_text(char *buf, const char *text, size_t room);

/* sysfs_models.c */
int mx_sysfs_models_add(struct mx_dev *mx);
void mx_sysfs_models_remove(struct mx_dev *mx);
void mx_sysfs_models_refresh(struct mx_dev *mx);

#endif /* MXACCEL_DRV_H */
