/* SPDX-License-Identifier: GPL-2.0-only */
/* A job and its two doors: ioctl (job.c, wait.c) and io_uring (uring.c). */
#ifndef MXACCEL_JOB_H
#define MXACCEL_JOB_H

#include "mxaccel_drv.h"

struct io_uring_cmd;

/**
 * enum mx_door - where a job came from and its completion goes to
 * @MX_DOOR_IOCTL:	to mx_file.done, for MXACCEL_IOC_WAIT
 * @MX_DOOR_URING:	to the ring, by its task
 * @MX_DOOR_POLLED:	to mx_file.polled, for the task that polls its ring
 */
enum mx_door {
	MX_DOOR_IOCTL,
	MX_DOOR_URING,
	MX_DOOR_POLLED,
};

/**
 * enum mx_issue - who delivers the completion of a job that came by io_uring
 * @MX_ISSUING:	it is being submitted
 * @MX_ISSUED:	whoever completes it delivers it
 * @MX_ENDED:	it has completed while it was being submitted: the submitter delivers it
 */
enum mx_issue {
	MX_ISSUING,
	MX_ISSUED,
	MX_ENDED,
};

/**
 * struct mx_job - a job, from its submission until it was delivered
 * @rq:		its command
 * @ref:	the file's list, and whoever is cancelling it
 * @node:	in mx_file.running, .done or .polled; under mx_file.done_lock
 * @file:	valid while it is in a list, and as long as @cmd is
 * @in:		input buffer, while in flight; NULL: it does nothing, and needs none
 * @out:	result buffer, while in flight
 * @grant:	model, while in flight
 * @out_offset:	range of the result
 * @out_bytes:	as above
 * @deadline:	when the watchdog acts, in jiffies; the watchdog's, once submitted
 * @patience:	jiffies that it may take without getting on; 0: @deadline is one
 * @progress:	what the chip said the last time
 * @expired:	the watchdog has asked the chip to abort it
 * @completion:	for the user
 * @door:	where it came from
 * @issue:	enum mx_issue, for io_uring
 * @cmd:	of io_uring, until the completion is delivered
 * @owner:	the process's table of files, by which its end is noticed; never followed
 * @cancel_work: asks the chip to abort it, once
 * @cancelling:	it was queued
 */
struct mx_job {
	struct mx_rq rq;
	struct kref ref;
	struct list_head node;
	struct mx_file *file;
	struct mx_buf *in;
	struct mx_buf *out;
	struct mx_grant *grant;
	u64 out_offset;
	u32 out_bytes;
	unsigned long deadline;
	unsigned long patience;
	u64 progress;
	bool expired;
	struct mxaccel_completion completion;
	enum mx_door door;
	atomic_t issue;
	struct io_uring_cmd *cmd;
	void *owner;
	struct work_struct cancel_work;
	unsigned long cancelling;
};

struct mx_job *mx_job_new(struct mx_file *file, const struct mxaccel_submit *submit,
			  enum mx_door door);
int mx_job_start(struct mx_job *job, const struct mxaccel_submit *submit, bool nonblock);
void mx_job_put(struct mx_job *job);
bool mx_job_hold(struct mx_job *job);
void mx_job_release(struct mx_job *job);

void mx_uring_done(struct mx_job *job);
void mx_uring_cancel_work(struct work_struct *work);

#endif /* MXACCEL_JOB_H */
