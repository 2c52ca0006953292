// SPDX-License-Identifier: LGPL-2.1-or-later
/* The schedule of a job, for a trace: computed without running the job. */
#include <stdlib.h>
#include <string.h>

#include "exec.h"

/* Spans that are gathered to a write. */
#define STAGING 1024

/**
 * struct trace - spans on their way to the host
 * @nr:		spans so far
 * @room:	spans that the host takes
 * @staged:	gathered in @span
 */
struct trace {
	struct mx_job *job;
	uint64_t nr, room;
	uint32_t staged;
	bool failed;
	struct mxaccel_span span[STAGING];
};

static void flush(struct trace *trace)
{
	uint64_t first = (trace->nr < trace->room ? trace->nr : trace->room) - trace->staged;
	struct mx_job *job = trace->job;

	if (trace->staged && !trace->failed)
		trace->failed = job->write(job->opaque, first * sizeof(trace->span[0]), trace->span,
					   trace->staged * sizeof(trace->span[0]));
	trace->staged = 0;
}

static void add(void *opaque, const struct mxaccel_span *span)
{
	struct trace *trace = opaque;

	if (trace->nr++ >= trace->room)
		return;
	trace->span[trace->staged++] = *span;
	if (trace->staged == STAGING)
		flush(trace);
}

static uint16_t run_schedule(struct mx_run *run, struct trace *trace)
{
	struct mx_job *job = run->job;
	uint16_t status = mx_run_input(run);
	uint32_t i;

	if (status)
		return status;
	if (!mx_cost_sequences(&run->cost, run->length, job->nr_seq))
		return MXACCEL_ST_NO_MEMORY;
	for (i = 0; i < job->nr_seq; i++)
		run->cost.seq[i].nr_ops = run->entry->nr_ops;
	trace->job = job;
	trace->room = job->out_room / sizeof(trace->span[0]);
	run->cost.schedule.span = add;
	run->cost.schedule.opaque = trace;
	mx_schedule_run(&run->cost.schedule, run->cost.seq, job->nr_seq);
	flush(trace);
	job->result = trace->nr;
	return trace->failed ? MXACCEL_ST_DMA_ERROR : MXACCEL_ST_SUCCESS;
}

void mx_exec_schedule(struct mx_chip *chip, const struct mx_model *model, struct mx_job *job)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	struct mx_run *run = mx_run_new(chip, model, job);

	job->status = MXACCEL_ST_NO_MEMORY;
	if (trace && run)
		job->status = run_schedule(run, trace);
	if (run)
		mx_run_free(run);
	free(trace);
}
