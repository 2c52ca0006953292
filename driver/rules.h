/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver decides without touching hardware or locks: rings, command
 * ids, states, what a job may be, when it is late. Tested by mxaccel_kunit.ko.
 */
#ifndef MXACCEL_RULES_H
#define MXACCEL_RULES_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include "mxaccel.h"
#include "mxaccel_hw.h"

/* A command id is its slot, and a tag that tells one use of the slot from the next. */
#define MX_CID_SLOT_BITS	12
#define MX_CID_SLOT_MASK	(BIT(MX_CID_SLOT_BITS) - 1)
#define MX_CID_TAG_MASK		(U16_MAX >> MX_CID_SLOT_BITS)

struct mx_rq;

/**
 * enum mx_state - life of a device; changed by mx_set_state() only
 * @MX_PROBING:	probe is under way; nobody can open it yet
 * @MX_LIVE:	works
 * @MX_SUSPENDED: the system sleeps; files live on
 * @MX_RESETTING: being reset: files of before are dead, new opens wait
 * @MX_DEAD:	does not answer; an FLR through sysfs may revive it
 * @MX_GONE:	driver unbound or hardware removed; final
 */
enum mx_state {
	MX_PROBING,
	MX_LIVE,
	MX_SUSPENDED,
	MX_RESETTING,
	MX_DEAD,
	MX_GONE,
};

/* May a device go from one state to another? */
static inline bool mx_state_may_follow(enum mx_state from, enum mx_state to)
{
	static const u8 next[] = {
		[MX_PROBING]	= BIT(MX_LIVE) | BIT(MX_DEAD) | BIT(MX_GONE),
		[MX_LIVE]	= BIT(MX_SUSPENDED) | BIT(MX_RESETTING) | BIT(MX_GONE),
		[MX_SUSPENDED]	= BIT(MX_LIVE) | BIT(MX_RESETTING) | BIT(MX_GONE),
		[MX_RESETTING]	= BIT(MX_LIVE) | BIT(MX_DEAD) | BIT(MX_GONE),
		[MX_DEAD]	= BIT(MX_RESETTING) | BIT(MX_GONE),
		[MX_GONE]	= 0,
	};

	return next[from] & BIT(to);
}

/* ------------------------------------------------------------------ rings */

/* The entry after @index */
static inline u16 mx_ring_next(u16 index, u16 depth)
{
	return index + 1 == depth ? 0 : index + 1;
}

/* The phase of new completions at @next, after those before had @phase */
static inline u16 mx_ring_phase(u16 next, u16 phase)
{
	return next ? phase : phase ^ MXACCEL_CQE_PHASE;
}

/* Has a completion entry with this status word been written since the ring came round? */
static inline bool mx_cqe_is_new(__le16 status, u16 phase)
{
	return (le16_to_cpu(status) & MXACCEL_CQE_PHASE) == phase;
}

/*
 * Is the entry @event among those from @from to before @to? An index that is none is
 * taken for one of them: it comes from the chip.
 */
static inline bool mx_ring_passed(u32 event, u16 from, u16 to, u16 depth)
{
	if (event >= depth)
		return true;
	return from <= to ? event >= from && event < to : event >= from || event < to;
}

/* ------------------------------------------------------------ command ids */

/**
 * struct mx_slot - place of a command in a queue's table; under mx_queue.sq_lock
 * @rq:		command in flight, NULL when it has completed
 * @tag:	of the current use
 * @busy:	not free: in flight, or held by an ABORT
 */
struct mx_slot {
	struct mx_rq *rq;
	u8 tag;
	bool busy;
};

/**
 * mx_slot_take() - give a command a slot and an id
 * @slots:	table
 * @nr:		its length
 * @hint:	where to look first; moved on
 * @rq:		the command
 *
 * Return: the command id, negative when all slots are busy.
 */
static inline int mx_slot_take(struct mx_slot *slots, u16 nr, u16 *hint, struct mx_rq *rq)
{
	u16 i, at = *hint;

	for (i = 0; i < nr; i++, at++) {
		if (at >= nr)
			at = 0;
		if (slots[at].busy)
			continue;
		*hint = at + 1;
		slots[at].busy = true;
		slots[at].rq = rq;
		slots[at].tag = (slots[at].tag + 1) & MX_CID_TAG_MASK;
		return slots[at].tag << MX_CID_SLOT_BITS | at;
	}
	return -EAGAIN;
}

/* The command in flight that has this id, taken out of its slot, or NULL. @cid is not trusted. */
static inline struct mx_rq *mx_slot_complete(struct mx_slot *slots, u16 nr, u16 cid)
{
	u16 at = cid & MX_CID_SLOT_MASK;
	struct mx_rq *rq;

	if (at >= nr || slots[at].tag != cid >> MX_CID_SLOT_BITS)
		return NULL;
	rq = slots[at].rq;
	slots[at].rq = NULL;
	return rq;
}

/* ------------------------------------------------------------------- jobs */

/* A job that does nothing says nothing of models and buffers. */
static inline bool mx_submit_is_bare(const struct mxaccel_submit *submit)
{
	return !(submit->model | submit->entry | submit->nr_seq | submit->tokens |
		 submit->in_handle | submit->out_handle | submit->in_offset | submit->out_offset |
		 submit->in_bytes | submit->out_bytes | submit->timeout_ms | submit->rsvd);
}

/* Is the form of a job right, whatever its buffers and its model are? 0 or negative errno. */
static inline int mx_submit_check(const struct mxaccel_submit *submit, u64 hw_features)
{
	if (submit->flags == MXACCEL_SUBMIT_NOP)
		return mx_submit_is_bare(submit) ? 0 : -EINVAL;
	if (submit->flags & ~MXACCEL_SUBMIT_SCHEDULE || submit->rsvd || !submit->nr_seq ||
	    !submit->tokens || submit->in_bytes & 3 ||
	    submit->in_bytes / 4 / submit->tokens != submit->nr_seq ||
	    submit->in_bytes / 4 % submit->tokens)
		return -EINVAL;
	if (submit->entry > U16_MAX)
		return -ENOENT;
	if (submit->flags & MXACCEL_SUBMIT_SCHEDULE && !(hw_features & MXACCEL_FEATURE_SCHEDULE))
		return -EOPNOTSUPP;
	return 0;
}

/* May a job use @bytes from @offset of a buffer? 0 or negative errno. */
static inline int mx_range_check(u64 buffer_bytes, u32 buffer_access, u32 access, u64 offset,
				 u32 bytes)
{
	if (!(buffer_access & access))
		return -EACCES;
	if (offset > buffer_bytes || bytes > buffer_bytes - offset)
		return -EFAULT;
	return 0;
}

#define MX_FILE_DEPTH	128U	/* jobs of a file that are not reaped yet, if there is room */

/* Jobs that each of @files open files may have, so that all of them fit a queue of @depth. */
static inline u32 mx_file_depth(u32 depth, u32 files)
{
	return clamp((depth - 1) / max(files, 1U), 1U, MX_FILE_DEPTH);
}

/* --------------------------------------------------------------- deadlines */

/* @ms on a platform that is @scale times slower, in jiffies */
static inline unsigned long mx_scaled_jiffies(u64 ms, u32 scale)
{
	if (ms > div_u64(UINT_MAX / 2, max(scale, 1U)))
		return msecs_to_jiffies(UINT_MAX / 2);
	return msecs_to_jiffies(ms * scale);
}

/**
 * enum mx_late - what the watchdog does about a job
 * @MX_LATE_NOT:	nothing: it is in time, or has completed
 * @MX_LATE_ABORT:	asks the chip to abort it
 * @MX_LATE_RESET:	resets the chip, which did not abort it
 */
enum mx_late {
	MX_LATE_NOT,
	MX_LATE_ABORT,
	MX_LATE_RESET,
};

static inline enum mx_late mx_job_late(bool in_flight, bool abort_asked, unsigned long now,
				       unsigned long deadline)
{
	if (!in_flight || !time_after(now, deadline))
		return MX_LATE_NOT;
	return abort_asked ? MX_LATE_RESET : MX_LATE_ABORT;
}

#endif /* MXACCEL_RULES_H */
