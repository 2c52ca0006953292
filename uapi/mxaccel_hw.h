/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * MX1 hardware contract: PCI identity, registers, queue entries, opcodes,
 * status codes and counters.
 *
 * This file is the only definition of what it describes. The device
 * (qemu-device/), the driver (driver/) and the tests include it;
 * Documentation/chip-specification.rst explains it and is checked against it.
 *
 * All multi-byte values are little-endian. Reserved fields must be zero; the
 * chip refuses an entry whose reserved fields are not, so that they can gain
 * a meaning later.
 */
#ifndef _UAPI_MXACCEL_HW_H
#define _UAPI_MXACCEL_HW_H

#include <linux/types.h>

#ifdef __cplusplus
#define MXACCEL_ASSERT(cond, what) static_assert(cond, what)
#else
#define MXACCEL_ASSERT(cond, what) _Static_assert(cond, what)
#endif
#define MXACCEL_ASSERT_SIZE(type, bytes) \
	MXACCEL_ASSERT(sizeof(type) == (bytes), "size of " #type)
#define MXACCEL_ASSERT_AT(type, member, offset) \
	MXACCEL_ASSERT(__builtin_offsetof(type, member) == (offset), "offset of " #member)

/* PCI identity */
#define MXACCEL_PCI_VENDOR_ID		0x1234
#define MXACCEL_PCI_DEVICE_ID		0x4d58
#define MXACCEL_PCI_CLASS		0x1200	/* processing accelerator */

#define MXACCEL_BAR_REGS		0
#define MXACCEL_BAR_DOORBELLS		2
#define MXACCEL_BAR_MSIX		4
#define MXACCEL_REGS_BYTES		0x10000

/*
 * Registers, BAR0. 32-bit registers take 4-byte accesses; 64-bit ones take
 * one 8-byte or two 4-byte accesses. Everything else reads as zero and
 * ignores writes. A surprise-removed device reads all ones.
 */
#define MXACCEL_REG_ID			0x000	/* ro32: MXACCEL_ID */
#define MXACCEL_REG_VERSION		0x004	/* ro32: major << 16 | minor of this interface */
#define MXACCEL_REG_CAP			0x008	/* ro64: MXACCEL_CAP_* fields */
#define MXACCEL_REG_PLATFORM		0x010	/* ro32: MXACCEL_PLATFORM_* */
#define MXACCEL_REG_TIMEOUT_SCALE	0x014	/* ro32: the driver multiplies its timeouts by this */
#define MXACCEL_REG_FEATURES		0x018	/* ro64: MXACCEL_FEATURE_* */
#define MXACCEL_REG_CTRL		0x020	/* rw32: MXACCEL_CTRL_* */
#define MXACCEL_REG_STATUS		0x024	/* ro32: MXACCEL_STATUS_* */
#define MXACCEL_REG_AQA			0x028	/* rw32: admin queue sizes - 1: CQ << 16 | SQ */
#define MXACCEL_REG_ASQ			0x030	/* rw64: admin submission queue, page-aligned */
#define MXACCEL_REG_ACQ			0x038	/* rw64: admin completion queue, page-aligned */
#define MXACCEL_REG_CLOCK_KHZ		0x040	/* ro32: chip clock, to turn cycles into time */
#define MXACCEL_REG_CTR_NR		0x044	/* ro32: number of counters in the window */
#define MXACCEL_REG_CTR_LATCH		0x048	/* wo32: any write copies all counters to the window */
#define MXACCEL_REG_CTR			0x1000	/* ro64 each: latched device-wide counters */

#define MXACCEL_ID			0x0031584d	/* "MX1" in memory order */
#define MXACCEL_VERSION_MAJOR		1
#define MXACCEL_VERSION_MINOR		0
#define MXACCEL_VERSION			(MXACCEL_VERSION_MAJOR << 16 | MXACCEL_VERSION_MINOR)

/* MXACCEL_REG_CAP: shift and mask (after the shift) of each field */
#define MXACCEL_CAP_MQES_SHIFT		0	/* largest queue, in entries, minus 1 */
#define MXACCEL_CAP_MQES_MASK		0xffffULL
#define MXACCEL_CAP_NQP_SHIFT		16	/* number of I/O queue pairs */
#define MXACCEL_CAP_NQP_MASK		0xffULL
#define MXACCEL_CAP_DBS_SHIFT		24	/* log2 of the doorbell page stride in bytes */
#define MXACCEL_CAP_DBS_MASK		0xfULL
#define MXACCEL_CAP_TO_SHIFT		32	/* longest enable or disable time, in 100 ms units */
#define MXACCEL_CAP_TO_MASK		0xffULL

/* MXACCEL_REG_FEATURES: what a chip can beyond version 1.0 */
#define MXACCEL_FEATURE_REUSE		(1ULL << 0)	/* PROG_REUSE */
#define MXACCEL_FEATURE_HEALTH		(1ULL << 1)	/* IDENTIFY_HEALTH */
#define MXACCEL_FEATURE_SCHEDULE	(1ULL << 2)	/* JOB with MXACCEL_JOB_SCHEDULE */
#define MXACCEL_FEATURE_REFRESH		(1ULL << 3)	/* MODEL_REFRESH; mxaccel_model_info.age, epoch */
#define MXACCEL_FEATURE_SHADOW		(1ULL << 8)	/* SHADOW */
#define MXACCEL_FEATURE_COALESCE	(1ULL << 9)	/* COALESCE */
#define MXACCEL_FEATURE_PROGRESS	(1ULL << 12)	/* PROGRESS */

#define MXACCEL_PROGRESS_NONE		(~0ULL)	/* result of PROGRESS: the chip has no such command */

#define MXACCEL_PLATFORM_QEMU		1
#define MXACCEL_PLATFORM_SILICON	2

#define MXACCEL_CTRL_EN			0x1	/* 1 enables the queues; 1 -> 0 is a controller reset */
#define MXACCEL_STATUS_RDY		0x1	/* follows CTRL_EN */
#define MXACCEL_STATUS_FATAL		0x2	/* stopped until reset; code in bits 15:8 */
#define MXACCEL_STATUS_CODE_SHIFT	8
#define MXACCEL_STATUS_CODE_MASK	0xff

/* Codes in MXACCEL_REG_STATUS when MXACCEL_STATUS_FATAL is set */
#define MXACCEL_FATAL_QUEUE_DMA		1	/* reading or writing a queue entry failed */
#define MXACCEL_FATAL_BAD_DOORBELL	2	/* doorbell value outside its queue, or of no queue */
#define MXACCEL_FATAL_BAD_ENABLE	3	/* AQA, ASQ or ACQ unusable when EN was set */
#define MXACCEL_FATAL_CQ_OVERFLOW	4	/* no free completion entry: the host never read them */
#define MXACCEL_FATAL_POWER		5	/* the chip lost power; a reset switches it on again */

/*
 * Doorbells, BAR2: one page per queue pair, the admin pair being 0, so that
 * a page can be handed to a process. Write-only, 32 bits.
 */
#define MXACCEL_DB_STRIDE		0x1000	/* from a pair's doorbells to the next */
#define MXACCEL_DB_SQ_TAIL		0x0	/* new tail of the submission queue */
#define MXACCEL_DB_CQ_HEAD		0x4	/* new head of the completion queue */

/* Queues: 2 to MXACCEL_CAP_MQES + 1 entries in DMA-contiguous, page-aligned memory. */
#define MXACCEL_QUEUE_MIN		2
#define MXACCEL_QUEUE_MAX		4096
#define MXACCEL_IO_QUEUES		16
#define MXACCEL_PAGE			4096
#define MXACCEL_CHUNK			65536	/* bytes: unit of digests, of wear and of reuse */

/* Admin opcodes (queue pair 0) */
#define MXACCEL_ADM_NOP			0x00	/* does nothing */
#define MXACCEL_ADM_IDENTIFY		0x01	/* writes a page about the device or its models */
#define MXACCEL_ADM_CREATE_QP		0x02	/* makes an I/O queue pair */
#define MXACCEL_ADM_DELETE_QP		0x03	/* ends an I/O queue pair */
#define MXACCEL_ADM_CTX_CREATE		0x04	/* makes a context */
#define MXACCEL_ADM_CTX_DESTROY		0x05	/* ends a context with all it owns */
#define MXACCEL_ADM_BUF_REGISTER	0x06	/* gives a context a buffer */
#define MXACCEL_ADM_BUF_UNREGISTER	0x07	/* takes a buffer away */
#define MXACCEL_ADM_MODEL_GRANT		0x08	/* lets a context use a model */
#define MXACCEL_ADM_MODEL_REVOKE	0x09	/* takes a grant back */
#define MXACCEL_ADM_PROG_BEGIN		0x10	/* reserves room for a model */
#define MXACCEL_ADM_PROG_WRITE		0x11	/* programs part of it */
#define MXACCEL_ADM_PROG_COMMIT		0x12	/* checks and publishes it */
#define MXACCEL_ADM_PROG_ABORT		0x13	/* gives the room back */
#define MXACCEL_ADM_MODEL_DELETE	0x14	/* removes a resident model */
#define MXACCEL_ADM_PROG_REUSE		0x15	/* takes over resident chunks of equal content */
#define MXACCEL_ADM_MODEL_REFRESH	0x16	/* programs the cells of a model again */
#define MXACCEL_ADM_ABORT		0x20	/* stops a job */
#define MXACCEL_ADM_COUNTERS		0x21	/* writes a snapshot of the counters */
#define MXACCEL_ADM_SHADOW		0x28	/* gives a queue pair shadow doorbells */
#define MXACCEL_ADM_COALESCE		0x29	/* makes a pair's interrupts fewer */
#define MXACCEL_ADM_PROGRESS		0x2c	/* tells whether a job gets on */

/* I/O opcodes (queue pairs 1 and up) */
#define MXACCEL_IO_NOP			0x00	/* does nothing */
#define MXACCEL_IO_JOB			0x80	/* runs an entry of a model */

/**
 * struct mxaccel_sqe - submission queue entry, 64 bytes
 * @opcode:	MXACCEL_ADM_* or MXACCEL_IO_*
 * @flags:	MXACCEL_JOB_* with JOB, else zero
 * @cid:	command id, chosen by the host, unique among the queue's commands in flight
 * @ctx:	context (protection domain); zero where the command has none
 *
 * The rest depends on the opcode. "result" below is mxaccel_cqe.result.
 */
struct mxaccel_sqe {
	__u8	opcode;
	__u8	flags;
	__le16	cid;
	__le32	ctx;
	/* private: described in place, for the opcodes that use them */
	union {
		__u8	raw[56];

		/* IDENTIFY: writes one MXACCEL_PAGE to @addr */
		struct {
			__le32	what;		/* MXACCEL_IDENTIFY_* */
			__le32	index;		/* MODELS: first directory slot to report */
			__le64	addr;		/* DMA address, page-aligned */
			__u8	rsvd[40];
		} identify;

		/* CREATE_QP */
		struct {
			__le16	qid;		/* 1 .. CAP.NQP */
			__le16	vector;		/* MSI-X vector */
			__le16	sq_entries;	/* minus 1 */
			__le16	cq_entries;	/* minus 1 */
			__le64	sq_addr;	/* DMA address, page-aligned */
			__le64	cq_addr;	/* DMA address, page-aligned */
			__le32	qflags;		/* MXACCEL_QP_* */
			__u8	rsvd[28];
		} create_qp;

		/* DELETE_QP: aborts what is in flight on the pair, completes after it */
		struct {
			__le16	qid;
			__u8	rsvd[54];
		} delete_qp;

		/*
		 * CTX_CREATE: @ctx is chosen by the host, 1 .. max_contexts.
		 * CTX_DESTROY: aborts the context's jobs and programming,
		 * drops its buffers and grants, completes after all that.
		 */

		/* BUF_REGISTER, BUF_UNREGISTER (handle only; busy while a job uses it) */
		struct {
			__le32	handle;		/* chosen by the host, 1 .. max_buffers */
			__le32	access;		/* MXACCEL_BUF_*: what the chip may do */
			__le64	bytes;		/* sum of the segments */
			__le64	sg_addr;	/* DMA-contiguous array of struct mxaccel_sg */
			__le32	sg_nr;		/* its entries, up to max_sg */
			__u8	rsvd[28];
		} buf;

		/* MODEL_GRANT and MODEL_REVOKE (context in @ctx), MODEL_DELETE, MODEL_REFRESH */
		struct {
			__le32	model;		/* model id */
			__u8	rsvd[52];
		} model;

		/*
		 * PROG_BEGIN: reserves room. result: programming handle, or the
		 * model's id with status RESIDENT if that content is there already.
		 * @ctx owns the programming; it gets the grant at COMMIT, and with
		 * status RESIDENT.
		 */
		struct {
			__u8	content[32];	/* content id, see mxaccel_image.h */
			__le64	model_bytes;	/* size of the MODEL section */
			__le64	params_bytes;	/* size of the PARAMS section */
			__u8	rsvd[8];
		} prog_begin;

		/*
		 * PROG_WRITE: copies host memory to @offset of the MODEL section
		 * followed, at the next MXACCEL_PAGE boundary, by PARAMS.
		 * PROG_COMMIT, PROG_ABORT: @prog only. COMMIT's result: model id.
		 */
		struct {
			__le32	prog;		/* programming handle */
			__le32	sg_nr;		/* WRITE: entries of the array at @sg_addr */
			__le64	offset;		/* WRITE: first byte programmed */
			__le64	bytes;		/* WRITE: sum of the segments */
			__le64	sg_addr;	/* WRITE: DMA-contiguous array of struct mxaccel_sg */
			__u8	rsvd[24];
		} prog;

		/*
		 * PROG_REUSE: before the first PROG_WRITE, for chunks of PARAMS whose
		 * content may be resident in other models. result: how many were taken
		 * over. A PROG_WRITE to one of those is refused. With status DMA_ERROR
		 * the programming is of no use any more, to be ended by PROG_ABORT.
		 */
		struct {
			__le32	prog;		/* programming handle */
			__le32	sg_nr;		/* entries of the array at @sg_addr */
			__le64	first;		/* first chunk, in units of MXACCEL_CHUNK bytes */
			__le32	nr;		/* chunks, 1 .. MXACCEL_REUSE_MAX */
			__u8	rsvd[4];
			__le64	sg_addr;	/* struct mxaccel_sg[] of the SHA-256 digests, 32 bytes each */
			__le64	addr;		/* page for the bitmap: bit i, lowest first, is set if chunk @first + i was taken over */
			__u8	rsvd2[16];
		} prog_reuse;

		/*
		 * ABORT: result 1 if the command was found and told to stop.
		 * PROGRESS: result differs from that of an earlier one while the
		 * command gets on, or, if it waits for its turn, what the chip does
		 * instead; MXACCEL_PROGRESS_NONE if it is not in flight.
		 */
		struct {
			__le16	qid;		/* queue pair of the command */
			__le16	cid;		/* its command id */
			__u8	rsvd[52];
		} abort;

		/*
		 * SHADOW: struct mxaccel_shadow at @addr, as long as the pair lives; before
		 * its first command
		 */
		struct {
			__le16	qid;		/* I/O queue pair */
			__u8	rsvd[6];
			__le64	addr;		/* DMA address, page-aligned */
			__u8	rsvd2[40];
		} shadow;

		/*
		 * COALESCE: a due interrupt is raised when @count completions have come
		 * together since the last one, or @time_us after it became due
		 */
		struct {
			__le16	qid;		/* I/O queue pair */
			__le16	count;		/* 0 and 1: at once */
			__le32	time_us;	/* up to MXACCEL_COALESCE_MAX_US */
			__u8	rsvd[48];
		} coalesce;

		/* COUNTERS: writes MXACCEL_CTR_NR __le64 to @addr */
		struct {
			__le32	scope;		/* MXACCEL_SCOPE_*; CONTEXT: the one in @ctx */
			__le32	model;		/* MODEL: its id */
			__le64	addr;		/* DMA address, page-aligned */
			__u8	rsvd[40];
		} counters;

		/*
		 * JOB: runs program @entry of @model over @nr_seq sequences of
		 * @tokens int32 ids each (0 = padding). result: modelled cycles,
		 * or what the status says. With MXACCEL_JOB_SCHEDULE nothing is computed
		 * or counted: the result is an array of struct mxaccel_span, by ascending
		 * start, as many as fit @out_bytes; result: how many there are.
		 */
		struct {
			__le32	model;		/* model id */
			__le16	entry;		/* program entry */
			__le16	rsvd0;
			__le32	nr_seq;		/* sequences */
			__le32	tokens;		/* ids per sequence */
			__le32	in_handle;	/* buffer of the ids */
			__le32	out_handle;	/* buffer of the result */
			__le64	in_offset;	/* of the ids in their buffer */
			__le64	out_offset;	/* of the result in its buffer */
			__le32	in_bytes;	/* must be nr_seq * tokens * 4 */
			__le32	out_bytes;	/* at least what the entry produces; SCHEDULE: any */
			__le32	timeout_ms;	/* 0: none */
			__u8	rsvd[4];
		} job;
	};
};
MXACCEL_ASSERT_SIZE(struct mxaccel_sqe, 64);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, ctx, 4);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, raw, 8);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, identify.addr, 16);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, create_qp.sq_addr, 16);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, create_qp.qflags, 32);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, buf.bytes, 16);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, buf.sg_nr, 32);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, prog_begin.model_bytes, 40);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, prog.offset, 16);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, prog.sg_addr, 32);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, prog_reuse.first, 16);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, prog_reuse.sg_addr, 32);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, shadow.addr, 16);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, coalesce.time_us, 12);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, counters.addr, 16);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, job.nr_seq, 16);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, job.in_offset, 32);
MXACCEL_ASSERT_AT(struct mxaccel_sqe, job.timeout_ms, 56);

#define MXACCEL_IDENTIFY_DEVICE		0	/* struct mxaccel_identify */
#define MXACCEL_IDENTIFY_MODELS		1	/* array of struct mxaccel_model_info */
#define MXACCEL_IDENTIFY_HEALTH		2	/* struct mxaccel_health */

#define MXACCEL_REUSE_MAX		(MXACCEL_PAGE * 8)	/* chunks of one PROG_REUSE */

#define MXACCEL_JOB_SCHEDULE		0x1	/* mxaccel_sqe.flags: the schedule, not the result */

#define MXACCEL_QP_IRQ			0x1	/* raise @vector on completions */

#define MXACCEL_BUF_READ		0x1	/* the chip may read it (inputs) */
#define MXACCEL_BUF_WRITE		0x2	/* the chip may write it (results) */

#define MXACCEL_SCOPE_DEVICE		0
#define MXACCEL_SCOPE_CONTEXT		1
#define MXACCEL_SCOPE_MODEL		2

#define MXACCEL_COALESCE_MAX_US		1000000

/**
 * struct mxaccel_shadow - doorbells in host memory, one 128-byte struct per queue pair
 * @sq_tail:	written by the host: as the doorbell, before each write of that
 * @cq_head:	written by the host: as the doorbell, instead of it
 * @cq_event:	written by the host: an interrupt is due when the completion entry of this
 *		index has been posted; MXACCEL_EVENT_NONE: never
 * @rsvd:	zero
 * @sq_event:	written by the chip: the doorbell need be rung only when the submission
 *		entry of this index has been put
 * @rsvd2:	zero
 *
 * Who writes a position then reads the other's event, and who writes an event then
 * reads the other's position, with a full barrier in between: so one of the two sees
 * what the other wrote. The chip does not look at @sq_tail but when it has fetched all
 * that it knows of.
 */
struct mxaccel_shadow {
	__le32	sq_tail;
	__le32	cq_head;
	__le32	cq_event;
	__u8	rsvd[52];
	__le32	sq_event;
	__u8	rsvd2[60];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_shadow, 128);
MXACCEL_ASSERT_AT(struct mxaccel_shadow, sq_event, 64);

#define MXACCEL_EVENT_NONE		0xffffffff

/**
 * struct mxaccel_cqe - completion queue entry, 16 bytes
 * @result:	of the command; with INPUT_TOKEN, the index of the offending id
 * @sq_head:	entries before this one have been fetched
 * @cid:	of the submission entry
 * @field:	with an error: byte offset of the offending field in the entry
 * @status:	bit 0: phase tag, inverted on each pass through the queue,
 *		1 on the first; bits 15:1: MXACCEL_ST_*
 */
struct mxaccel_cqe {
	__le64	result;
	__le16	sq_head;
	__le16	cid;
	__le16	field;
	__le16	status;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_cqe, 16);
MXACCEL_ASSERT_AT(struct mxaccel_cqe, sq_head, 8);
MXACCEL_ASSERT_AT(struct mxaccel_cqe, status, 14);

#define MXACCEL_CQE_PHASE		0x1
#define MXACCEL_CQE_STATUS_SHIFT	1

/**
 * struct mxaccel_sg - one piece of a buffer in host memory
 * @addr:	DMA address, any alignment
 * @bytes:	length, not zero
 * @rsvd:	zero
 */
struct mxaccel_sg {
	__le64	addr;
	__le32	bytes;
	__le32	rsvd;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_sg, 16);

/*
 * Status codes: name, value, errno that the driver reports, text.
 * The text ends up in front of users; it says what is wrong, not where.
 */
#define MXACCEL_STATUS_CODES(X) \
	X(SUCCESS,	  0, 0,		"success") \
	X(BAD_OPCODE,	  1, EOPNOTSUPP, "unknown command") \
	X(BAD_FIELD,	  2, EINVAL,	"a field of the command is out of range") \
	X(BAD_QUEUE,	  3, EINVAL,	"no such queue, or it exists already") \
	X(BAD_CTX,	  4, EINVAL,	"no such context, or it exists already") \
	X(BAD_BUFFER,	  5, ENOENT,	"no such buffer in this context, or it exists already") \
	X(BAD_RANGE,	  6, EFAULT,	"range lies outside its buffer, or the buffer is too small") \
	X(BAD_ACCESS,	  7, EACCES,	"buffer was not registered for this access") \
	X(BAD_MODEL,	  8, ENOENT,	"no such model is resident") \
	X(NOT_GRANTED,	  9, EACCES,	"model was not granted to this context") \
	X(BAD_ENTRY,	 10, EINVAL,	"model has no such program entry") \
	X(BAD_PROG,	 11, ENOENT,	"no such programming in progress in this context") \
	X(RESIDENT,	 12, EEXIST,	"a model of this content is resident already") \
	X(NO_SPACE,	 13, ENOSPC,	"not enough free non-volatile cells for the model") \
	X(NO_SLOT,	 14, ENOSPC,	"model directory or context table is full") \
	X(BAD_HASH,	 15, EBADMSG,	"content does not match its digest") \
	X(BAD_IMAGE,	 16, EINVAL,	"model or its program is malformed") \
	X(BAD_VERSION,	 17, EPROTONOSUPPORT, "model needs a version or feature this chip lacks") \
	X(TOO_LARGE,	 18, EFBIG,	"model does not fit this chip") \
	X(BUSY,		 19, EBUSY,	"in use") \
	X(DMA_ERROR,	 20, EIO,	"reading or writing host memory failed") \
	X(ABORTED,	 21, ECANCELED,	"aborted") \
	X(TIMEOUT,	 22, ETIMEDOUT,	"job passed its deadline") \
	X(INPUT_TOKEN,	 23, EDOM,	"token id outside the model's vocabulary") \
	X(INPUT_EMPTY,	 24, ENODATA,	"a sequence has no tokens") \
	X(INPUT_LONG,	 25, E2BIG,	"more tokens than the model takes") \
	X(NON_FINITE,	 26, ERANGE,	"computation produced an infinity or not-a-number") \
	X(NO_MEMORY,	 27, ENOMEM,	"simulator is out of host memory") \
	X(STORE_ERROR,	 28, EIO,	"writing the non-volatile store failed") \
	X(WORN_OUT,	 29, ENOSPC,	"too few working cells left for the model") \
	X(NO_STEPS,	 30, ENODATA,	"neither the model nor the chip file has steps for calibrated ADCs: map it with mxmap --calibrate for this chip") \
	X(MEMORY_ERROR,	 31, EIO,	"uncorrectable error in the chip's memory")

enum mxaccel_status {
#define MXACCEL_X(name, value, err, text) MXACCEL_ST_##name = value,
	MXACCEL_STATUS_CODES(MXACCEL_X)
#undef MXACCEL_X
	MXACCEL_ST_NR
};

/*
 * Counters: name, sysfs file in perf/, description. 64 bits, monotonic until
 * the device is powered off; index in the window = place in this list. New
 * ones are appended.
 */
#define MXACCEL_COUNTERS(X) \
	X(CYCLES,	 cycles,	 "modelled chip cycles of all jobs") \
	X(LINK_CYCLES,	 link_cycles,	 "modelled cycles of transfers over the host link") \
	X(JOBS,		 jobs,		 "jobs completed with success") \
	X(JOBS_FAILED,	 jobs_failed,	 "jobs completed with an error, aborted ones included") \
	X(SEQUENCES,	 sequences,	 "sequences processed") \
	X(TOKENS,	 tokens,	 "tokens processed, trailing padding excluded") \
	X(MACS_STATIC,	 macs_static,	 "multiply-accumulates of stationary products") \
	X(MACS_DYNAMIC,	 macs_dynamic,	 "multiply-accumulates of dynamic products (QK^T and PV)") \
	X(SUB_OPS,	 sub_ops,	 "activations of a small computation crossbar") \
	X(ADC_CONVERSIONS, adc_conversions, "analog-to-digital conversions") \
	X(BANK_READ_BYTES, bank_read_bytes, "bytes read from the large non-volatile banks") \
	X(CELL_WRITES,	 cell_writes,	 "non-volatile cells programmed") \
	X(SFU_EMBED,	 sfu_embed,	 "elements gathered from embedding tables") \
	X(SFU_QUANT,	 sfu_quant,	 "elements quantised") \
	X(SFU_SOFTMAX,	 sfu_softmax,	 "elements through softmax") \
	X(SFU_NORM,	 sfu_norm,	 "elements through normalisation") \
	X(SFU_ACT,	 sfu_act,	 "elements through an activation function") \
	X(SFU_ADD,	 sfu_add,	 "elements added") \
	X(SFU_POOL,	 sfu_pool,	 "elements pooled") \
	X(DMA_READ_BYTES, dma_read_bytes, "payload bytes read from the host: token ids and images") \
	X(DMA_WRITE_BYTES, dma_write_bytes, "payload bytes written to the host: results") \
	X(QUEUE_BYTES,	 queue_bytes,	 "bytes of queue entries, segment lists and admin pages") \
	X(ARRAY_READS,	 array_reads, "activations of one LARGE array for one input bit") \
	X(DAC_DRIVES,	 dac_drives, "wordline drives") \
	X(BUFFER_BYTES,	 buffer_bytes, "bytes in and out of the activation buffer") \
	X(NOC_BYTES,	 noc_bytes, "bytes through the network on chip") \
	X(OFFCHIP_BYTES,	 offchip_bytes, "bytes between a traditional chip and its companion") \
	X(KV_CELL_WRITES,	 kv_cell_writes, "memristor cells rewritten with K and V") \
	X(VERIFY_RETRIES,	 verify_retries, "further pulses after a cell was verified") \
	X(FAILED_CELLS,	 failed_cells, "cells found stuck or worn out") \
	X(REMAPPED_COLS,	 remapped_cols, "columns replaced by spare ones") \
	X(RETIRED_CHUNKS,	 retired_chunks, "chunks of cells taken out of use") \
	X(REUSED_CHUNKS,	 reused_chunks, "chunks of a model that were resident already and not programmed") \
	X(BUSY_LARGE,	 busy_large_cycles, "cycles in use, summed over units: LARGE crossbars: groups of arrays, or banks") \
	X(BUSY_SMALL,	 busy_small_cycles, "cycles in use, summed over units: small crossbars, or the compute fabric") \
	X(BUSY_SOFTMAX,	 busy_softmax_cycles, "cycles in use, summed over units: softmax lanes") \
	X(BUSY_NORM,	 busy_norm_cycles, "cycles in use, summed over units: normalisation units") \
	X(BUSY_ACT,	 busy_act_cycles, "cycles in use, summed over units: activation function unit") \
	X(BUSY_REQUANT,	 busy_requant_cycles, "cycles in use, summed over units: requantisation units") \
	X(BUSY_BUS,	 busy_bus_cycles, "cycles in use, summed over units: bus between buffer and crossbars") \
	X(BUSY_WRITE,	 busy_write_cycles, "cycles in use, summed over units: writing of K and V into memristors") \
	X(BUSY_OFFCHIP,	 busy_offchip_cycles, "cycles in use, summed over units: link to the companion") \
	X(STALL_LARGE,	 stall_large_cycles, "cycles that tokens waited for: LARGE crossbars") \
	X(STALL_SMALL,	 stall_small_cycles, "cycles that tokens waited for: small crossbars, or the compute fabric") \
	X(STALL_SOFTMAX,	 stall_softmax_cycles, "cycles that tokens waited for: softmax lanes") \
	X(STALL_NORM,	 stall_norm_cycles, "cycles that tokens waited for: normalisation units") \
	X(STALL_ACT,	 stall_act_cycles, "cycles that tokens waited for: activation function unit") \
	X(STALL_REQUANT,	 stall_requant_cycles, "cycles that tokens waited for: requantisation units") \
	X(STALL_BUS,	 stall_bus_cycles, "cycles that tokens waited for: bus between buffer and crossbars") \
	X(STALL_WRITE,	 stall_write_cycles, "cycles that tokens waited for: writing of K and V") \
	X(STALL_OFFCHIP,	 stall_offchip_cycles, "cycles that tokens waited for: link to the companion") \
	X(STALL_BARRIER,	 stall_barrier_cycles, "cycles that tokens waited for the K and V of all tokens") \
	X(ENERGY_ADC,	 energy_adc_fj, "femtojoules: conversions") \
	X(ENERGY_ADC_IDLE,	 energy_adc_idle_fj, "femtojoules: idle converters") \
	X(ENERGY_DAC,	 energy_dac_fj, "femtojoules: wordline drives") \
	X(ENERGY_ARRAY,	 energy_array_fj, "femtojoules: array activations") \
	X(ENERGY_SHIFT_ADD,	 energy_shift_add_fj, "femtojoules: shift-and-add") \
	X(ENERGY_REGISTER,	 energy_register_fj, "femtojoules: register files") \
	X(ENERGY_REDUCE,	 energy_reduce_fj, "femtojoules: reduction of partial sums") \
	X(ENERGY_NOC,	 energy_noc_fj, "femtojoules: network on chip") \
	X(ENERGY_BUFFER,	 energy_buffer_fj, "femtojoules: activation buffer") \
	X(ENERGY_BANK,	 energy_bank_fj, "femtojoules: reading dense banks") \
	X(ENERGY_FABRIC,	 energy_fabric_fj, "femtojoules: digital compute fabric") \
	X(ENERGY_SMALL,	 energy_small_fj, "femtojoules: small SRAM crossbars, writing them included") \
	X(ENERGY_SOFTMAX,	 energy_softmax_fj, "femtojoules: softmax") \
	X(ENERGY_NORM,	 energy_norm_fj, "femtojoules: normalisation") \
	X(ENERGY_ACT,	 energy_act_fj, "femtojoules: activation functions") \
	X(ENERGY_REQUANT,	 energy_requant_fj, "femtojoules: requantisation and addition") \
	X(ENERGY_WRITE,	 energy_write_fj, "femtojoules: programming memristor cells") \
	X(ENERGY_HOST,	 energy_host_fj, "femtojoules: host link") \
	X(ENERGY_OFFCHIP,	 energy_offchip_fj, "femtojoules: link to the companion") \
	X(ENERGY_COMPANION,	 energy_companion_fj, "femtojoules: companion") \
	X(ENERGY_STATIC,	 energy_static_fj, "femtojoules: leakage, clock, control") \
	X(ADC_SATURATIONS, adc_saturations, "conversions clamped to the end of the converter's range")

enum mxaccel_counter {
#define MXACCEL_X(name, file, text) MXACCEL_CTR_##name,
	MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X
	MXACCEL_CTR_NR
};
MXACCEL_ASSERT(MXACCEL_CTR_NR * 8 <= MXACCEL_PAGE, "counters fit a page");

/*
 * Resources that tokens wait for: name, track of a trace, description. In the
 * order of the counters BUSY_* and STALL_*; new ones are appended.
 */
#define MXACCEL_RESOURCES(X) \
	X(LARGE,	 large,		 "LARGE crossbars: groups of arrays, or banks") \
	X(SMALL,	 small,		 "small crossbars, or the compute fabric") \
	X(SOFTMAX,	 softmax,	 "softmax lanes") \
	X(NORM,		 norm,		 "normalisation units") \
	X(ACT,		 act,		 "activation function unit") \
	X(REQUANT,	 requant,	 "requantisation units") \
	X(BUS,		 bus,		 "bus between buffer and crossbars") \
	X(WRITE,	 write,		 "writing of K and V into memristors") \
	X(OFFCHIP,	 offchip,	 "link to the companion")

enum mxaccel_resource {
#define MXACCEL_X(name, track, text) MXACCEL_RES_##name,
	MXACCEL_RESOURCES(MXACCEL_X)
#undef MXACCEL_X
	MXACCEL_RES_NR
};

/* Times of a schedule are in parts of a cycle. */
#define MXACCEL_TICKS			256	/* of a cycle */
#define MXACCEL_SPAN_ALL		0xffffffff	/* mxaccel_span.token: all tokens */

/**
 * struct mxaccel_span - a resource in use, part of the schedule of a job
 * @start:	ticks from the start of the job
 * @ticks:	length of the use
 * @seq:	sequence of the job
 * @token:	place of the token in its sequence, or MXACCEL_SPAN_ALL
 * @op:		macro-op, counted from the entry's first
 * @resource:	MXACCEL_RES_*
 * @rsvd:	zero
 * @unit:	which one of the resource; LARGE: of the sets of units that weights of
 *		the entry share or do not share, the first that the op uses
 */
struct mxaccel_span {
	__le64	start;
	__le64	ticks;
	__le32	seq;
	__le32	token;
	__le32	op;
	__u8	resource;
	__u8	rsvd;
	__le16	unit;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_span, 32);
MXACCEL_ASSERT_AT(struct mxaccel_span, op, 24);
MXACCEL_ASSERT_AT(struct mxaccel_span, unit, 30);

/*
 * Numbers of the chip that software may show: name, sysfs file in chip/,
 * description. Index in mxaccel_identify.value = place in this list; new
 * ones are appended.
 */
#define MXACCEL_CHIP_VALUES(X) \
	X(CAPACITY_BYTES, capacity_bytes, "bytes of model storage in the non-volatile banks") \
	X(BANKS,	 banks,		 "large non-volatile banks") \
	X(BANK_ROWS,	 bank_rows,	 "wordlines of a bank") \
	X(BANK_COLS,	 bank_cols,	 "bitlines of a bank") \
	X(CELL_BITS,	 cell_bits,	 "bits per non-volatile cell") \
	X(SMALL_ROWS,	 small_rows,	 "wordlines of a small computation crossbar") \
	X(SMALL_COLS,	 small_cols,	 "bitlines of a small computation crossbar") \
	X(ADC_BITS,	 adc_bits,	 "bits of a conversion") \
	X(DAC_BITS,	 dac_bits,	 "bits driven per wordline and step") \
	X(FABRIC_MACS,	 fabric_macs,	 "INT8 multiply-accumulates per cycle of the compute fabric") \
	X(ACT_BYTES,	 act_bytes,	 "bytes of on-chip storage for intermediates") \
	X(CLOCK_KHZ,	 clock_khz,	 "chip clock in kHz") \
	X(MAX_MODELS,	 max_models,	 "slots of the model directory") \
	X(MAX_CONTEXTS,	 max_contexts,	 "contexts that may exist at once") \
	X(MAX_BUFFERS,	 max_buffers,	 "buffers a context may own") \
	X(MAX_IO_BYTES,	 max_io_bytes,	 "bytes a job may read, and may write") \
	X(MAX_SG,	 max_sg,	 "segments of one buffer or one programming write") \
	X(GROUPS,	 groups,	 "groups of LARGE arrays that share ADCs; 0 where banks are") \
	X(SUBARRAYS,	 subarrays,	 "LARGE arrays of a group") \
	X(LARGE_ROWS,	 large_rows,	 "wordlines of a LARGE array") \
	X(LARGE_COLS,	 large_cols,	 "bitlines of a LARGE array") \
	X(AREA_UM2,	 area_um2,	 "modelled silicon area in square micrometres")

enum mxaccel_chip_value {
#define MXACCEL_X(name, file, text) MXACCEL_CHIP_##name,
	MXACCEL_CHIP_VALUES(MXACCEL_X)
#undef MXACCEL_X
	MXACCEL_CHIP_NR
};

/**
 * struct mxaccel_identify - IDENTIFY_DEVICE page
 * @chip:	name of the chip (of its chip file), NUL-padded
 * @organisation: of the silicon, e.g. "synergy", NUL-padded
 * @serial:	serial number, which is the seed of all randomness
 * @free_bytes:	free model storage, in one piece
 * @nr_models:	resident models
 * @nr_values:	valid entries of @value
 * @value:	indexed by enum mxaccel_chip_value
 * @rsvd:	zero
 */
struct mxaccel_identify {
	char	chip[32];
	char	organisation[32];
	__le64	serial;
	__le64	free_bytes;
	__le32	nr_models;
	__le32	nr_values;
	__u8	rsvd[168];
	__le64	value[480];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_identify, MXACCEL_PAGE);
MXACCEL_ASSERT_AT(struct mxaccel_identify, serial, 64);
MXACCEL_ASSERT_AT(struct mxaccel_identify, value, 256);
MXACCEL_ASSERT(MXACCEL_CHIP_NR <= 480, "chip values fit the page");

/*
 * Wear and faults of the non-volatile cells: name, sysfs file in health/,
 * description. Index in mxaccel_health.value = place in this list; new ones
 * are appended.
 */
#define MXACCEL_HEALTH_VALUES(X) \
	X(CHUNKS,	 chunks,	 "chunks of cells: the unit of wear, faults and replacement") \
	X(RETIRED,	 retired,	 "chunks out of use: worn out, or with more faults than spares") \
	X(SPARES_LEFT,	 spares_left,	 "chunks that can still replace retired ones") \
	X(STUCK_CELLS,	 stuck_cells,	 "stuck cells in the chunks programmed so far") \
	X(REMAPPED_COLS, remapped_cols,	 "faulty columns of those, replaced by spare ones") \
	X(WEAR_MIN,	 wear_min,	 "programmings of the least worn chunk in use") \
	X(WEAR_MAX,	 wear_max,	 "programmings of the most worn chunk") \
	X(WEAR_TOTAL,	 wear_total,	 "programmings of all chunks together") \
	X(ENDURANCE,	 endurance,	 "programmings that a chunk survives") \
	X(LIFE_PPM,	 life_ppm,	 "mean life left of the chunks, in millionths") \
	X(AGE_SECONDS,	 age_seconds,	 "the chip's clock: seconds since it was new") \
	X(REFRESHES,	 refreshes,	 "models whose cells were programmed again, since the chip was new")

enum mxaccel_health_value {
#define MXACCEL_X(name, file, text) MXACCEL_HEALTH_##name,
	MXACCEL_HEALTH_VALUES(MXACCEL_X)
#undef MXACCEL_X
	MXACCEL_HEALTH_NR
};

/**
 * struct mxaccel_health - IDENTIFY_HEALTH page
 * @nr_values:	valid entries of @value
 * @value:	indexed by enum mxaccel_health_value
 * @rsvd:	zero
 */
struct mxaccel_health {
	__le32	nr_values;
	__u8	rsvd[60];
	__le64	value[504];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_health, MXACCEL_PAGE);
MXACCEL_ASSERT_AT(struct mxaccel_health, value, 64);
MXACCEL_ASSERT(MXACCEL_HEALTH_NR <= 504, "health values fit the page");

/**
 * struct mxaccel_model_info - a directory slot, in IDENTIFY_MODELS pages
 * @id:		model id, the directory slot
 * @flags:	MXACCEL_MODEL_VALID when the slot is in use
 * @content:	content id
 * @name:	NUL-padded
 * @model_bytes: of the MODEL section
 * @params_bytes: of the PARAMS section
 * @cells:	non-volatile cells it occupies
 * @grants:	contexts that may use it now
 * @age:	seconds since its cells were programmed, on the chip's clock
 * @epoch:	how often they were programmed again (MODEL_REFRESH)
 * @rsvd:	zero
 */
struct mxaccel_model_info {
	__le32	id;
	__le32	flags;
	__u8	content[32];
	char	name[48];
	__le64	model_bytes;
	__le64	params_bytes;
	__le64	cells;
	__le32	grants;
	__le32	age;
	__le32	epoch;
	__le32	rsvd;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_model_info, 128);
MXACCEL_ASSERT_AT(struct mxaccel_model_info, name, 40);
MXACCEL_ASSERT_AT(struct mxaccel_model_info, cells, 104);

#define MXACCEL_MODEL_VALID		0x1
#define MXACCEL_MODELS_PER_PAGE		(MXACCEL_PAGE / 128)

#endif /* _UAPI_MXACCEL_HW_H */
