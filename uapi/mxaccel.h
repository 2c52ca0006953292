/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * mxaccel driver interface: ioctls of /dev/mxaccelN.
 *
 * Every argument struct starts with its size, which the caller sets to
 * sizeof(struct). A newer caller on an older driver: fields the driver does
 * not know must be zero (else E2BIG). An older caller on a newer driver: the
 * missing fields count as zero. Reserved fields and unknown flags must be
 * zero (else EINVAL). Features are found by MXACCEL_IOC_QUERY, never by
 * comparing versions. Documentation/driver-interface.rst has the whole.
 *
 * Errors of every call: ENODEV the device is gone or was reset since open();
 * EFAULT bad pointer; EINVAL bad field; ENOTTY unknown ioctl. What else a
 * call returns is said at its struct.
 */
#ifndef _UAPI_MXACCEL_H
#define _UAPI_MXACCEL_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include "mxaccel_hw.h"

#define MXACCEL_IOC_TYPE	0xB8

/* mxaccel_query.features */
#define MXACCEL_DRVFEAT_BUF_ALLOC	(1ULL << 0)	/* driver-allocated buffers */
#define MXACCEL_DRVFEAT_BUF_USER	(1ULL << 1)	/* pinned user buffers */
#define MXACCEL_DRVFEAT_CANCEL		(1ULL << 2)	/* MXACCEL_IOC_CANCEL */
#define MXACCEL_DRVFEAT_REUSE		(1ULL << 3)	/* mxaccel_model_program.chunks_addr */
#define MXACCEL_DRVFEAT_HEALTH		(1ULL << 4)	/* mxaccel_query.health */
#define MXACCEL_DRVFEAT_SCHEDULE	(1ULL << 5)	/* MXACCEL_SUBMIT_SCHEDULE */
#define MXACCEL_DRVFEAT_REFRESH		(1ULL << 6)	/* MXACCEL_IOC_MODEL_REFRESH */
#define MXACCEL_DRVFEAT_NOP		(1ULL << 8)	/* MXACCEL_SUBMIT_NOP */
#define MXACCEL_DRVFEAT_URING		(1ULL << 9)	/* MXACCEL_URING_SUBMIT, MXACCEL_CANCEL_USER_DATA */

/**
 * struct mxaccel_query - what device and driver are (out only)
 * @size:	sizeof(struct)
 * @hw_version:	MXACCEL_REG_VERSION
 * @features:	MXACCEL_DRVFEAT_*
 * @identify:	address of a struct mxaccel_identify to fill, or 0
 * @queue_depth: jobs a file may have in flight or not yet reaped
 * @platform:	MXACCEL_PLATFORM_*
 * @hw_features: MXACCEL_REG_FEATURES
 * @health:	address of a struct mxaccel_health to fill, or 0; EOPNOTSUPP without
 *		MXACCEL_DRVFEAT_HEALTH
 *
 * REUSE, HEALTH, SCHEDULE and REFRESH are set in @features if driver and chip have them.
 */
struct mxaccel_query {
	__u32	size;
	__u32	hw_version;
	__u64	features;
	__u64	identify;
	__u32	queue_depth;
	__u32	platform;
	__u64	hw_features;
	__u64	health;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_query, 48);

/**
 * struct mxaccel_model_program - make a model resident and usable by this file
 * @size:	sizeof(struct)
 * @flags:	zero
 * @content:	content id
 * @model_addr:	address of the MODEL section
 * @model_bytes: its size
 * @params_addr: address of the PARAMS section, any alignment, only read
 * @params_bytes: its size
 * @model:	out: model id
 * @resident:	out: 1 if nothing had to be programmed
 * @status:	out: MXACCEL_ST_* of the chip, 0 if it was not asked
 * @rsvd:	zero
 * @chunks_addr: address of the SHA-256 digests of the parameters' chunks of
 *		MXACCEL_CHUNK bytes, 32 bytes each (an image's CHUNKS section); 0:
 *		everything is programmed
 * @programmed_bytes: out: bytes sent to the chip
 * @reused_chunks: out: chunks of resident models that were taken over instead
 * @rsvd2:	zero
 *
 * Atomic: interrupted or failed, nothing of it stays. Interruptible (EINTR),
 * but for the check of the content at the end. Counts as a use of the model,
 * to be ended by MODEL_CLOSE.
 * ENOSPC no room; EBADMSG content differs from @content; EFBIG, EINVAL,
 * EPROTONOSUPPORT refused by the chip, @status says why.
 */
struct mxaccel_model_program {
	__u32	size;
	__u32	flags;
	__u8	content[32];
	__u64	model_addr;
	__u64	model_bytes;
	__u64	params_addr;
	__u64	params_bytes;
	__u32	model;
	__u32	resident;
	__u32	status;
	__u32	rsvd;
	__u64	chunks_addr;
	__u64	programmed_bytes;
	__u32	reused_chunks;
	__u32	rsvd2;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_model_program, 112);
MXACCEL_ASSERT_AT(struct mxaccel_model_program, model, 72);
MXACCEL_ASSERT_AT(struct mxaccel_model_program, chunks_addr, 88);

/**
 * struct mxaccel_model_open - use a model that is resident already
 * @size:	sizeof(struct)
 * @flags:	zero
 * @content:	content id
 * @model:	out: model id
 * @rsvd:	zero
 *
 * Counts as one more use, to be ended by MODEL_CLOSE. ENOENT not resident.
 */
struct mxaccel_model_open {
	__u32	size;
	__u32	flags;
	__u8	content[32];
	__u32	model;
	__u32	rsvd;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_model_open, 48);

/**
 * struct mxaccel_model_close - end one use of a model; it stays resident
 * @size:	sizeof(struct)
 * @model:	model id
 *
 * The file may use the model until each MODEL_PROGRAM and MODEL_OPEN of it had
 * its MODEL_CLOSE. ENOENT not in use by this file; EBUSY it is the last use and
 * jobs are in flight.
 */
struct mxaccel_model_close {
	__u32	size;
	__u32	model;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_model_close, 8);

/**
 * struct mxaccel_model_delete - free a model's cells (needs CAP_SYS_ADMIN)
 * @size:	sizeof(struct)
 * @model:	model id
 * @holder_pid:	out, with EBUSY: process that opened the oldest of the files that use it;
 *		0: none, or none that the caller's PID namespace has
 * @nr_holders:	out, with EBUSY: files that use it; 0: a use that ended just now, or a driver
 *		from before it told
 * @holder:	out: name of that process when it opened the file, terminated
 *
 * EPERM; ENOENT not resident; EBUSY a file uses it (models/<id>/holders in sysfs names all).
 */
struct mxaccel_model_delete {
	__u32	size;
	__u32	model;
	__u32	holder_pid;
	__u32	nr_holders;
	char	holder[16];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_model_delete, 32);

/**
 * struct mxaccel_model_refresh - program a model's cells again (needs CAP_SYS_ADMIN)
 * @size:	sizeof(struct)
 * @model:	model id
 *
 * In place, whoever uses the model: its age (mxaccel_model_info.age) is 0 then. Returns when it
 * is done. EPERM; ENOENT not resident; ENOSPC some of the cells are worn out, nothing was done;
 * EOPNOTSUPP the chip cannot do that.
 */
struct mxaccel_model_refresh {
	__u32	size;
	__u32	model;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_model_refresh, 8);

/**
 * struct mxaccel_model_list - read the model directory
 * @size:	sizeof(struct)
 * @count:	in: room at @infos, in entries; out: resident models (may be more)
 * @infos:	address of struct mxaccel_model_info[], in order of id
 */
struct mxaccel_model_list {
	__u32	size;
	__u32	count;
	__u64	infos;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_model_list, 16);

/**
 * struct mxaccel_buf_create - make a buffer that jobs can name
 * @size:	sizeof(struct)
 * @flags:	MXACCEL_BUF_READ and/or MXACCEL_BUF_WRITE: what the chip may do
 * @addr:	user memory to pin, 4-byte aligned; 0: the driver allocates
 * @bytes:	length, not zero
 * @handle:	out: buffer handle, of this file only
 * @rsvd:	zero
 * @mmap_offset: out: offset for mmap() of a driver-allocated buffer
 *
 * Pinned and driver-allocated pages count against RLIMIT_MEMLOCK (ENOMEM). A
 * mapping keeps driver-allocated memory until munmap(). ENOSPC the file has as
 * many buffers as the chip allows (chip/max_buffers); EFBIG over 64 GiB, or in
 * more pieces of memory than the chip takes (chip/max_sg): use huge pages or
 * driver-allocated memory. Memory that the process may not write when it is
 * pinned must stay so. Pinned memory of a child after fork() is undefined; use
 * MADV_DONTFORK or exec.
 */
struct mxaccel_buf_create {
	__u32	size;
	__u32	flags;
	__u64	addr;
	__u64	bytes;
	__u32	handle;
	__u32	rsvd;
	__u64	mmap_offset;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_buf_create, 40);

/**
 * struct mxaccel_buf_free - drop a buffer
 * @size:	sizeof(struct)
 * @handle:	buffer handle
 *
 * ENOENT no such buffer of this file; EBUSY a job uses it.
 */
struct mxaccel_buf_free {
	__u32	size;
	__u32	handle;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_buf_free, 8);

/**
 * struct mxaccel_submit - start a job
 * @size:	sizeof(struct)
 * @flags:	MXACCEL_SUBMIT_*
 * @user_data:	comes back with the completion
 * @model:	model id in use by this file
 * @entry:	program entry of the model
 * @nr_seq:	sequences
 * @tokens:	int32 ids per sequence, 0 = padding
 * @in_handle:	buffer with the ids
 * @out_handle:	buffer for the result
 * @in_offset:	bytes into the buffer
 * @out_offset:	bytes into the buffer
 * @in_bytes:	nr_seq * tokens * 4
 * @out_bytes:	room for the result
 * @timeout_ms:	the job is aborted after it; 0: the driver's default
 * @rsvd:	zero
 * @job:	out: job id, unique on the device
 *
 * With MXACCEL_SUBMIT_SCHEDULE nothing is computed or counted: the result is an
 * array of struct mxaccel_span, as many as fit @out_bytes, and the completion's
 * result tells how many there are. EOPNOTSUPP the chip cannot do that.
 *
 * EAGAIN as many jobs in flight or not reaped as mxaccel_query.queue_depth, or as
 * this file's part of the queue, which is smaller while many files are open; ENOENT no such model or buffer of this file,
 * or an entry number that no model can have; EACCES the buffer was not made for
 * this access; EFAULT range outside the buffer. What only the chip can check
 * comes with the completion.
 */
struct mxaccel_submit {
	__u32	size;
	__u32	flags;
	__u64	user_data;
	__u32	model;
	__u32	entry;
	__u32	nr_seq;
	__u32	tokens;
	__u32	in_handle;
	__u32	out_handle;
	__u64	in_offset;
	__u64	out_offset;
	__u32	in_bytes;
	__u32	out_bytes;
	__u32	timeout_ms;
	__u32	rsvd;
	__u64	job;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_submit, 80);
MXACCEL_ASSERT_AT(struct mxaccel_submit, job, 72);

#define MXACCEL_SUBMIT_SCHEDULE	0x1	/* the job's schedule instead of its result */
#define MXACCEL_SUBMIT_NOP	0x2	/* nothing is done; but for size, flags and user_data all is zero */

/**
 * struct mxaccel_completion - outcome of a job
 * @user_data:	of the submission
 * @job:	job id
 * @result:	mxaccel_cqe.result: cycles, or what the status says
 * @error:	0 or negative errno
 * @status:	MXACCEL_ST_*
 * @field:	offending byte offset in the chip's entry, with an error
 */
struct mxaccel_completion {
	__u64	user_data;
	__u64	job;
	__u64	result;
	__s32	error;
	__u16	status;
	__u16	field;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_completion, 32);

/**
 * struct mxaccel_wait - reap completions of this file's jobs, oldest first
 * @size:	sizeof(struct)
 * @timeout_ms:	longest wait for the first completion; 0 does not wait,
 *		0xffffffff waits until a signal
 * @completions: address of struct mxaccel_completion[]
 * @count:	in: room at @completions, not zero; out: completions reaped
 * @rsvd:	zero
 *
 * poll() reports POLLIN when a completion is ready, POLLHUP when the file is
 * dead. ETIME nothing came in time; ENODATA nothing in flight and nothing to
 * reap; EINTR.
 */
struct mxaccel_wait {
	__u32	size;
	__u32	timeout_ms;
	__u64	completions;
	__u32	count;
	__u32	rsvd;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_wait, 24);

/**
 * struct mxaccel_cancel - ask to abort a job; its completion still comes
 * @size:	sizeof(struct)
 * @flags:	MXACCEL_CANCEL_USER_DATA or zero
 * @job:	job id; with USER_DATA the user_data of the submission, for those by io_uring
 *
 * ENOENT no such job of this file in flight. Of several jobs with that user_data,
 * the oldest in flight is meant.
 */
struct mxaccel_cancel {
	__u32	size;
	__u32	flags;
	__u64	job;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_cancel, 16);

#define MXACCEL_CANCEL_USER_DATA	0x1

/**
 * struct mxaccel_counters - read counters, all at one moment
 * @size:	sizeof(struct)
 * @scope:	MXACCEL_SCOPE_*; CONTEXT means this file
 * @model:	model id, for MODEL; else zero
 * @count:	in: room at @values; out: counters the device has
 * @values:	address of __u64[], indexed by enum mxaccel_counter
 *
 * ENOENT no such model.
 */
struct mxaccel_counters {
	__u32	size;
	__u32	scope;
	__u32	model;
	__u32	count;
	__u64	values;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_counters, 24);

#define MXACCEL_IOC_QUERY		_IOWR(MXACCEL_IOC_TYPE, 0x00, struct mxaccel_query)
#define MXACCEL_IOC_MODEL_PROGRAM	_IOWR(MXACCEL_IOC_TYPE, 0x01, struct mxaccel_model_program)
#define MXACCEL_IOC_MODEL_OPEN		_IOWR(MXACCEL_IOC_TYPE, 0x02, struct mxaccel_model_open)
#define MXACCEL_IOC_MODEL_CLOSE		_IOWR(MXACCEL_IOC_TYPE, 0x03, struct mxaccel_model_close)
#define MXACCEL_IOC_MODEL_DELETE	_IOWR(MXACCEL_IOC_TYPE, 0x04, struct mxaccel_model_delete)
#define MXACCEL_IOC_MODEL_LIST		_IOWR(MXACCEL_IOC_TYPE, 0x05, struct mxaccel_model_list)
#define MXACCEL_IOC_BUF_CREATE		_IOWR(MXACCEL_IOC_TYPE, 0x06, struct mxaccel_buf_create)
#define MXACCEL_IOC_BUF_FREE		_IOWR(MXACCEL_IOC_TYPE, 0x07, struct mxaccel_buf_free)
#define MXACCEL_IOC_SUBMIT		_IOWR(MXACCEL_IOC_TYPE, 0x08, struct mxaccel_submit)
#define MXACCEL_IOC_WAIT		_IOWR(MXACCEL_IOC_TYPE, 0x09, struct mxaccel_wait)
#define MXACCEL_IOC_CANCEL		_IOWR(MXACCEL_IOC_TYPE, 0x0a, struct mxaccel_cancel)
#define MXACCEL_IOC_COUNTERS		_IOWR(MXACCEL_IOC_TYPE, 0x0b, struct mxaccel_counters)
#define MXACCEL_IOC_MODEL_REFRESH	_IOWR(MXACCEL_IOC_TYPE, 0x0c, struct mxaccel_model_refresh)

/*
 * By io_uring: IORING_OP_URING_CMD on a ring made with IORING_SETUP_SQE128, this
 * number as cmd_op and a struct mxaccel_submit as the 80 bytes of the command. The
 * checks and errors are those of MXACCEL_IOC_SUBMIT; the job's end comes to that
 * ring alone: not to MXACCEL_IOC_WAIT and poll(). @job is not filled in.
 *
 * io_uring_cqe.res is 0, or the negative errno of the submission or of the job. On a
 * ring with IORING_SETUP_CQE32, big_cqe[0] is the job's result if res is 0, and else,
 * if the chip refused or ended the job, its status, field and (low half of) result.
 */
#define MXACCEL_URING_SUBMIT	_IOWR(MXACCEL_IOC_TYPE, 0x40, struct mxaccel_submit)
#define MXACCEL_URING_STATUS(big_cqe)	((__u16)(big_cqe))
#define MXACCEL_URING_FIELD(big_cqe)	((__u16)((big_cqe) >> 16))
#define MXACCEL_URING_RESULT(big_cqe)	((__u32)((big_cqe) >> 32))

#endif /* _UAPI_MXACCEL_H */
