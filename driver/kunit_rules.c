// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of rules.h. A module of their own: mxaccel_kunit.ko runs them
 * when it is loaded.
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "rules.h"

/* ------------------------------------------------------------------ rings */

static void ring_goes_round(struct kunit *test)
{
	u16 depth, index;
	unsigned int i;

	for (depth = 2; depth <= 4096; depth *= 2) {
		for (i = 0, index = 0; i < 3U * depth; i++) {
			KUNIT_ASSERT_EQ(test, index, i % depth);
			index = mx_ring_next(index, depth);
		}
	}
}

static void ring_of_odd_depth(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, mx_ring_next(1, 3), 2);
	KUNIT_EXPECT_EQ(test, mx_ring_next(2, 3), 0);
	KUNIT_EXPECT_EQ(test, mx_ring_next(U16_MAX - 1, U16_MAX), 0);
}

/* A chip that writes entries, and a driver that reads them, for several rounds. */
static void phase_wraps(struct kunit *test)
{
	__le16 entry[5] = {};
	u16 chip_phase = MXACCEL_CQE_PHASE, phase = MXACCEL_CQE_PHASE;
	u16 written = 0, head = 0;
	unsigned int i;

	for (i = 0; i < 23; i++) {
		KUNIT_ASSERT_FALSE(test, mx_cqe_is_new(entry[head], phase));
		entry[written] = cpu_to_le16(7 << MXACCEL_CQE_STATUS_SHIFT | chip_phase);
		KUNIT_ASSERT_TRUE(test, mx_cqe_is_new(entry[head], phase));
		if (++written == 5) {
			written = 0;
			chip_phase ^= MXACCEL_CQE_PHASE;
		}
		head = mx_ring_next(head, 5);
		phase = mx_ring_phase(head, phase);
	}
	KUNIT_EXPECT_EQ(test, head, 23 % 5);
	KUNIT_EXPECT_EQ(test, phase, chip_phase);
}

/* A full ring: every entry is new once, and none after the last. */
static void full_ring_is_read_once(struct kunit *test)
{
	u16 head = 0, phase = MXACCEL_CQE_PHASE;
	__le16 entry[4];
	unsigned int i, seen = 0;

	for (i = 0; i < 4; i++)
		entry[i] = cpu_to_le16(MXACCEL_CQE_PHASE);
	while (mx_cqe_is_new(entry[head], phase) && seen < 10) {
		head = mx_ring_next(head, 4);
		phase = mx_ring_phase(head, phase);
		seen++;
	}
	KUNIT_EXPECT_EQ(test, seen, 4);
}

/* What "from, and the entries before to" means, said by walking there. */
static bool walk_passes(u16 event, u16 from, u16 to, u16 depth)
{
	for (; from != to; from = mx_ring_next(from, depth))
		if (from == event)
			return true;
	return false;
}

/* All windows of a ring, against the walk */
static void ring_passes(struct kunit *test, u16 event, u16 depth)
{
	u16 from, to;

	for (from = 0; from < depth; from++) {
		for (to = 0; to < depth; to++) {
			bool want = walk_passes(event, from, to, depth);

			KUNIT_EXPECT_EQ_MSG(test, mx_ring_passed(event, from, to, depth), want,
					    "event %u, from %u to %u of %u", event, from, to,
					    depth);
		}
	}
}

static void doorbell_is_rung_for_what_was_asked(struct kunit *test)
{
	u16 depth, event;

	for (depth = 2; depth <= 5; depth++)
		for (event = 0; event < depth; event++)
			ring_passes(test, event, depth);
}

/* A chip that writes nonsense is rung for rather than forgotten. */
static void doorbell_is_rung_for_nonsense(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, mx_ring_passed(4, 0, 1, 4));
	KUNIT_EXPECT_TRUE(test, mx_ring_passed(0x10000, 0, 1, 4));
	KUNIT_EXPECT_TRUE(test, mx_ring_passed(U32_MAX, 3, 0, 4));
	KUNIT_EXPECT_FALSE(test, mx_ring_passed(3, 0, 1, 4));
}

static struct kunit_case rings[] = {
	KUNIT_CASE(doorbell_is_rung_for_what_was_asked),
	KUNIT_CASE(doorbell_is_rung_for_nonsense),
	KUNIT_CASE(ring_goes_round),
	KUNIT_CASE(ring_of_odd_depth),
	KUNIT_CASE(phase_wraps),
	KUNIT_CASE(full_ring_is_read_once),
	{ }
};

static struct kunit_suite rings_suite = { .name = "mxaccel_rings", .test_cases = rings };

/* ------------------------------------------------------------ command ids */

#define SLOTS	3U

/* Names of commands; nothing looks into them. */
static struct mx_rq *rq(unsigned long number)
{
	return (struct mx_rq *)(number << 4);
}

static void ids_find_their_commands(struct kunit *test)
{
	struct mx_slot slots[SLOTS] = {};
	u16 hint = 0;
	int cid[SLOTS];
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		cid[i] = mx_slot_take(slots, SLOTS, &hint, rq(i + 1));
		KUNIT_ASSERT_GE(test, cid[i], 0);
	}
	/* In another order than they were given */
	for (i = SLOTS; i--;)
		KUNIT_EXPECT_PTR_EQ(test, mx_slot_complete(slots, SLOTS, cid[i]), rq(i + 1));
}

static void table_full(struct kunit *test)
{
	struct mx_slot slots[SLOTS] = {};
	u16 hint = 0;
	unsigned int i;
	int cid;

	for (i = 0; i < SLOTS; i++)
		cid = mx_slot_take(slots, SLOTS, &hint, rq(i + 1));
	KUNIT_EXPECT_EQ(test, mx_slot_take(slots, SLOTS, &hint, rq(9)), -EAGAIN);
	/* Completed, but held by an ABORT: not free yet. */
	KUNIT_EXPECT_PTR_EQ(test, mx_slot_complete(slots, SLOTS, cid), rq(SLOTS));
	KUNIT_EXPECT_EQ(test, mx_slot_take(slots, SLOTS, &hint, rq(9)), -EAGAIN);
	slots[cid & MX_CID_SLOT_MASK].busy = false;
	KUNIT_EXPECT_GE(test, mx_slot_take(slots, SLOTS, &hint, rq(9)), 0);
}

static void completed_twice(struct kunit *test)
{
	struct mx_slot slots[SLOTS] = {};
	u16 hint = 0;
	int cid = mx_slot_take(slots, SLOTS, &hint, rq(1));

	KUNIT_EXPECT_PTR_EQ(test, mx_slot_complete(slots, SLOTS, cid), rq(1));
	KUNIT_EXPECT_NULL(test, mx_slot_complete(slots, SLOTS, cid));
}

/* The id of before does not hit the next command of its slot. */
static void stale_id(struct kunit *test)
{
	struct mx_slot slots[1] = {};
	u16 hint = 0;
	int old, new;
	unsigned int i;

	old = mx_slot_take(slots, 1, &hint, rq(1));
	for (i = 0; i < MX_CID_TAG_MASK; i++) {
		mx_slot_complete(slots, 1, slots[0].tag << MX_CID_SLOT_BITS);
		slots[0].busy = false;
		new = mx_slot_take(slots, 1, &hint, rq(2));
		KUNIT_ASSERT_NE(test, new, old);
		KUNIT_ASSERT_NULL(test, mx_slot_complete(slots, 1, old));
	}
	KUNIT_EXPECT_PTR_EQ(test, mx_slot_complete(slots, 1, new), rq(2));
}

static void wild_ids(struct kunit *test)
{
	struct mx_slot slots[SLOTS] = {};
	unsigned int cid, found = 0;
	u16 hint = 0;
	int given = mx_slot_take(slots, SLOTS, &hint, rq(1));

	for (cid = 0; cid <= U16_MAX; cid++)
		if (cid != given && mx_slot_complete(slots, SLOTS, cid))
			found++;
	KUNIT_EXPECT_EQ(test, found, 0);
	KUNIT_EXPECT_PTR_EQ(test, mx_slot_complete(slots, SLOTS, given), rq(1));
}

static struct kunit_case ids[] = {
	KUNIT_CASE(ids_find_their_commands),
	KUNIT_CASE(table_full),
	KUNIT_CASE(completed_twice),
	KUNIT_CASE(stale_id),
	KUNIT_CASE(wild_ids),
	{ }
};

static struct kunit_suite ids_suite = { .name = "mxaccel_ids", .test_cases = ids };

/* ----------------------------------------------------------------- states */

static void states_that_follow(struct kunit *test)
{
	/* Rows: from; columns: to. In the order of enum mx_state. */
	static const bool may[6][6] = {
		{ 0, 1, 0, 0, 1, 1 },
		{ 0, 0, 1, 1, 0, 1 },
		{ 0, 1, 0, 1, 0, 1 },
		{ 0, 1, 0, 0, 1, 1 },
		{ 0, 0, 0, 1, 0, 1 },
		{ 0, 0, 0, 0, 0, 0 },
	};
	int from, to;

	for (from = MX_PROBING; from <= MX_GONE; from++)
		for (to = MX_PROBING; to <= MX_GONE; to++)
			KUNIT_EXPECT_EQ_MSG(test, mx_state_may_follow(from, to), may[from][to],
					    "from %d to %d", from, to);
}

static void nothing_follows_gone(struct kunit *test)
{
	int to;

	for (to = MX_PROBING; to <= MX_GONE; to++)
		KUNIT_EXPECT_FALSE(test, mx_state_may_follow(MX_GONE, to));
}

/* A job is aborted when it is late, and the chip is reset when that does not help. */
static void ladder_of_a_late_job(struct kunit *test)
{
	unsigned long deadline = 1000;

	KUNIT_EXPECT_EQ(test, mx_job_late(true, false, 999, deadline), MX_LATE_NOT);
	KUNIT_EXPECT_EQ(test, mx_job_late(true, false, 1000, deadline), MX_LATE_NOT);
	KUNIT_EXPECT_EQ(test, mx_job_late(true, false, 1001, deadline), MX_LATE_ABORT);
	deadline = 2000;
	KUNIT_EXPECT_EQ(test, mx_job_late(true, true, 1999, deadline), MX_LATE_NOT);
	KUNIT_EXPECT_EQ(test, mx_job_late(true, true, 2001, deadline), MX_LATE_RESET);
	KUNIT_EXPECT_EQ(test, mx_job_late(false, true, 9999, deadline), MX_LATE_NOT);
	KUNIT_EXPECT_EQ(test, mx_job_late(false, false, 9999, deadline), MX_LATE_NOT);
}

/* jiffies wrap soon after boot, on purpose. */
static void deadline_beyond_the_wrap(struct kunit *test)
{
	unsigned long now = ULONG_MAX - 5;

	KUNIT_EXPECT_EQ(test, mx_job_late(true, false, now, now + 10), MX_LATE_NOT);
	KUNIT_EXPECT_EQ(test, mx_job_late(true, false, now + 11, now + 10), MX_LATE_ABORT);
}

static void timeouts_scale_and_do_not_wrap(struct kunit *test)
{
	unsigned long most = msecs_to_jiffies(UINT_MAX / 2);

	KUNIT_EXPECT_EQ(test, mx_scaled_jiffies(0, 10), 0);
	KUNIT_EXPECT_EQ(test, mx_scaled_jiffies(1000, 1), HZ);
	KUNIT_EXPECT_EQ(test, mx_scaled_jiffies(1000, 10), 10 * HZ);
	KUNIT_EXPECT_EQ(test, mx_scaled_jiffies(1000, 0), 0);
	KUNIT_EXPECT_EQ(test, mx_scaled_jiffies(U64_MAX, 1000), most);
	KUNIT_EXPECT_EQ(test, mx_scaled_jiffies(U64_MAX, 0), most);
	KUNIT_EXPECT_EQ(test, mx_scaled_jiffies(BIT_ULL(62), 4), most);
}

static struct kunit_case states[] = {
	KUNIT_CASE(states_that_follow),
	KUNIT_CASE(nothing_follows_gone),
	KUNIT_CASE(ladder_of_a_late_job),
	KUNIT_CASE(deadline_beyond_the_wrap),
	KUNIT_CASE(timeouts_scale_and_do_not_wrap),
	{ }
};

static struct kunit_suite states_suite = { .name = "mxaccel_states", .test_cases = states };

/* ------------------------------------------------------------------- jobs */

static const struct mxaccel_submit good_job = {
	.nr_seq = 3, .tokens = 5, .in_bytes = 3 * 5 * 4, .entry = 1,
};

static void job_forms(struct kunit *test)
{
	struct mxaccel_submit job = good_job;

	KUNIT_EXPECT_EQ(test, mx_submit_check(&job, 0), 0);
	job.entry = U16_MAX;
	KUNIT_EXPECT_EQ(test, mx_submit_check(&job, 0), 0);
	job.entry = U16_MAX + 1;
	KUNIT_EXPECT_EQ(test, mx_submit_check(&job, 0), -ENOENT);

#define REFUSED(field, value) do {						\
	job = good_job;							\
	job.field = value;						\
	KUNIT_EXPECT_EQ_MSG(test, mx_submit_check(&job, ~0ULL), -EINVAL,	\
			    "%s = %s", #field, #value);			\
} while (0)
	REFUSED(nr_seq, 0);
	REFUSED(tokens, 0);
	REFUSED(in_bytes, 0);
	REFUSED(in_bytes, 3 * 5 * 4 - 4);
	REFUSED(in_bytes, 3 * 5 * 4 + 1);
	REFUSED(in_bytes, 3 * 5 * 4 + 4);
	REFUSED(nr_seq, U32_MAX);
	REFUSED(tokens, U32_MAX);
	/* 3 more than a multiple of 2^32: a product of 32 bits would not notice. */
	REFUSED(nr_seq, 3 + (1U << 30));
	REFUSED(rsvd, 1);
	REFUSED(flags, ~MXACCEL_SUBMIT_SCHEDULE);
#undef REFUSED
}

static void job_features(struct kunit *test)
{
	struct mxaccel_submit job = good_job;

	job.flags = MXACCEL_SUBMIT_SCHEDULE;
	KUNIT_EXPECT_EQ(test, mx_submit_check(&job, 0), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, mx_submit_check(&job, ~MXACCEL_FEATURE_SCHEDULE), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, mx_submit_check(&job, MXACCEL_FEATURE_SCHEDULE), 0);
}

static void ranges(struct kunit *test)
{
	u32 rw = MXACCEL_BUF_READ | MXACCEL_BUF_WRITE;

	KUNIT_EXPECT_EQ(test, mx_range_check(4096, rw, MXACCEL_BUF_READ, 0, 4096), 0);
	KUNIT_EXPECT_EQ(test, mx_range_check(4096, rw, MXACCEL_BUF_READ, 4096, 0), 0);
	KUNIT_EXPECT_EQ(test, mx_range_check(4096, rw, MXACCEL_BUF_READ, 1, 4096), -EFAULT);
	KUNIT_EXPECT_EQ(test, mx_range_check(4096, rw, MXACCEL_BUF_READ, 4097, 0), -EFAULT);
	KUNIT_EXPECT_EQ(test, mx_range_check(4096, rw, MXACCEL_BUF_READ, U64_MAX, 2), -EFAULT);
	KUNIT_EXPECT_EQ(test, mx_range_check(4096, rw, MXACCEL_BUF_READ, 0, U32_MAX), -EFAULT);
	KUNIT_EXPECT_EQ(test, mx_range_check(4096, MXACCEL_BUF_READ, MXACCEL_BUF_WRITE, 0, 1),
			-EACCES);
	KUNIT_EXPECT_EQ(test, mx_range_check(4096, MXACCEL_BUF_WRITE, MXACCEL_BUF_READ, 0, 1),
			-EACCES);
}

static const struct mxaccel_submit bare_job = {
	.size = sizeof(bare_job), .flags = MXACCEL_SUBMIT_NOP, .user_data = U64_MAX, .job = U64_MAX,
};

/* One that does nothing: each field that would ask for something is refused by itself. */
static void bare_jobs(struct kunit *test)
{
	struct mxaccel_submit job = bare_job;
	size_t at;

	KUNIT_EXPECT_TRUE(test, mx_submit_is_bare(&job));
	KUNIT_EXPECT_EQ(test, mx_submit_check(&job, 0), 0);
	job.flags |= MXACCEL_SUBMIT_SCHEDULE;
	KUNIT_EXPECT_EQ(test, mx_submit_check(&job, ~0ULL), -EINVAL);

	for (at = offsetof(struct mxaccel_submit, model);
	     at < offsetof(struct mxaccel_submit, job); at += sizeof(u32)) {
		job = bare_job;
		*(u32 *)((u8 *)&job + at) = BIT(31);
		KUNIT_EXPECT_FALSE_MSG(test, mx_submit_is_bare(&job), "offset %zu", at);
		KUNIT_EXPECT_EQ_MSG(test, mx_submit_check(&job, ~0ULL), -EINVAL, "offset %zu", at);
	}
}

/* All files fill their shares: the queue has place for that, and none is left without. */
static void files_share_a_queue(struct kunit *test)
{
	u32 depth, files, each;

	for (depth = 2; depth <= 4096; depth *= 2) {
		for (files = 1; files < depth; files++) {
			each = mx_file_depth(depth, files);
			KUNIT_ASSERT_GE(test, each, 1);
			KUNIT_ASSERT_LE(test, each, MX_FILE_DEPTH);
			KUNIT_ASSERT_LT(test, each * files, depth);
			/* And no place is left that would do for one more of each. */
			if (each < MX_FILE_DEPTH)
				KUNIT_ASSERT_GE(test, (each + 1) * files, depth);
		}
	}
}

static void more_files_than_places(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, mx_file_depth(64, 64), 1);
	KUNIT_EXPECT_EQ(test, mx_file_depth(64, U32_MAX), 1);
	KUNIT_EXPECT_EQ(test, mx_file_depth(2, 1), 1);
	KUNIT_EXPECT_EQ(test, mx_file_depth(64, 0), 63);
	KUNIT_EXPECT_EQ(test, mx_file_depth(4096, 0), MX_FILE_DEPTH);
}

static struct kunit_case jobs[] = {
	KUNIT_CASE(bare_jobs),
	KUNIT_CASE(files_share_a_queue),
	KUNIT_CASE(more_files_than_places),
	KUNIT_CASE(job_forms),
	KUNIT_CASE(job_features),
	KUNIT_CASE(ranges),
	{ }
};

static struct kunit_suite jobs_suite = { .name = "mxaccel_jobs", .test_cases = jobs };

kunit_test_suites(&rings_suite, &ids_suite, &states_suite, &jobs_suite);

MODULE_DESCRIPTION("KUnit tests of mxaccel");
MODULE_AUTHOR("mxaccel project");
MODULE_LICENSE("GPL");
