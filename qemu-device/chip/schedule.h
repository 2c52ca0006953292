/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When everything happens: a deterministic event-driven list schedule of the
 * tokens of all sequences over the resources of the chip.
 *
 * A token starts at a stage as soon as it has left the stages before, the
 * tokens before it have started there, and all of the stage's resources are
 * free. Of several that could start first, it is the one of the older
 * sequence, then of the later stage. What has started is not interrupted.
 */
#ifndef MX_CHIP_SCHEDULE_H
#define MX_CHIP_SCHEDULE_H

#include "stages.h"

/* Ticks by macro-op: how long resources were in use, and tokens waited for them. */
struct mx_op_times {
	uint64_t busy[MXACCEL_RES_NR];
	uint64_t stall[MXACCEL_RES_NR + 1];	/* the last: for other tokens, or a layer's end */
};

/* A sequence of a job: its length, and the ops that it runs. */
struct mx_schedule_seq {
	uint32_t length;
	uint32_t nr_ops;
};

/**
 * struct mx_flight - a sequence on its way
 * @stage:	its stages, @nr_stages of them, made for @made
 * @low:	first stage that it has not left
 * @high:	stage after the last one that had a token
 * @head:	by stage: next token
 * @start:	by stage: that token starts no earlier; UINT64_MAX if it is not there yet
 * @ready:	by token: end of its last stage
 * @all_ready:	end of the stages before the last one that waited for all tokens
 * @end:	last end of a token
 */
struct mx_flight {
	bool active;
	uint32_t seq, length;
	struct mx_stage *stage;
	uint32_t nr_stages;
	struct mx_schedule_seq made;
	uint32_t low, high;
	uint32_t *head;
	uint64_t *start;
	uint64_t *ready;
	uint64_t all_ready;
	uint64_t end;
};

/* Segments that are kept, and stages that they may have. */
#define MX_SEGMENTS 8
#define MX_SEGMENT_STAGES 32

/**
 * struct mx_segment - how a sequence alone on the chip passed some stages
 * @first, @nr:	the stages: from one that waits for all tokens to before the next one
 * @end:	last end of a token, like @ready from the start of the segment on
 * @ready:	by token: its end
 * @stall:	by stage, as in struct mx_op_times; the wait for all tokens is not in it
 */
struct mx_segment {
	uint32_t first, nr;
	uint64_t end;
	uint64_t *ready;
	uint64_t stall[MX_SEGMENT_STAGES][MXACCEL_RES_NR];
};

/**
 * struct mx_schedule - a schedule, or the memory for one
 * @layout:	of the entry
 * @free_at:	by resource
 * @times:	out: by macro-op of the entry
 * @ticks:	out: end of the last token
 * @blocked:	the next sequence finds no room beside the one on its way
 * @blocked_until: end of the one that it waited for
 * @segment:	that were met before, @nr_segments of them; layers are alike
 * @record:	where the stalls of the current segment go as well, or NULL
 * @span:	called for every use of a resource, by ascending start; may be NULL
 */
struct mx_schedule {
	struct mx_layout layout;
	uint64_t *free_at;
	struct mx_flight flight[MX_FLIGHTS];
	struct mx_op_times *times;
	uint64_t ticks;
	bool blocked;
	uint64_t blocked_until;
	struct mx_segment segment[MX_SEGMENTS];
	uint32_t nr_segments;
	struct mx_segment *record;
	void (*span)(void *opaque, const struct mxaccel_span *span);
	void *opaque;
};

/* Memory for sequences of up to @max_length. False without; mx_schedule_free() in any case. */
bool mx_schedule_init(struct mx_schedule *schedule, const struct mx_chip_config *config,
		      const struct mx_model *model, const struct mxaccel_entry *entry,
		      uint32_t max_length);
void mx_schedule_free(struct mx_schedule *schedule);

/*
 * Fills @times and @ticks. Sequences start in order, one after the other where
 * there is one fabric for all products, else two at once if the chip has room for
 * the K and V of both.
 */
void mx_schedule_run(struct mx_schedule *schedule, const struct mx_schedule_seq *seq,
		     uint32_t nr_seq);

/* ---------------------------------------------- schedule.c and segment.c */

static inline uint32_t mx_flight_tokens(const struct mx_flight *f, uint32_t stage)
{
	return f->stage[stage].all_rows ? f->length : 1;
}

/* Notes when the next token of a stage could start. */
void mx_schedule_look(const struct mx_schedule *schedule, struct mx_flight *f, uint32_t stage);
/* The next start of a token. False: there is none. */
bool mx_schedule_step(struct mx_schedule *schedule);
/* A sequence has ended. */
void mx_schedule_land(struct mx_schedule *schedule, struct mx_flight *f);
/* Takes a sequence that is alone on the chip to its end. */
void mx_schedule_alone(struct mx_schedule *schedule, struct mx_flight *f);

#endif /* MX_CHIP_SCHEDULE_H */
