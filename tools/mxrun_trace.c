// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A job's modelled schedule in Chrome's trace format, which ui.perfetto.dev and
 * chrome://tracing show: a process for each sequence, a thread for each unit of
 * a resource, an event for each block of tokens that an op sends through it
 * without a pause. Times are of the modelled chip, in microseconds.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxrun.h"

#define UNITS	65536	/* of a resource, at most */
#define FLAGS	(JSON_COMPACT | JSON_REAL_PRECISION(15))

/**
 * struct block - spans of one op on one unit that follow each other
 * @span:	the first; its ticks are those of all
 * @last:	token of the last one
 * @nr:		number of them
 */
struct block {
	struct mxrt_span span;
	uint32_t last;
	uint32_t nr;
};

struct trace {
	const struct mxrt_image *image;
	unsigned int entry;
	double ticks_per_us;
	FILE *file;
	int err;
};

static uint64_t track_of(const struct mxrt_span *span)
{
	return ((uint64_t)span->seq * 256 + span->resource) * UNITS + span->unit;
}

static int by_track(const void *a, const void *b)
{
	const struct mxrt_span *x = a, *y = b;

	if (track_of(x) != track_of(y))
		return track_of(x) < track_of(y) ? -1 : 1;
	return (x->start > y->start) - (x->start < y->start);
}

static int by_start(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	if (x->span.start != y->span.start)
		return x->span.start < y->span.start ? -1 : 1;
	return by_track(&x->span, &y->span);
}

/* Spans in the order of their tracks to blocks. Return: how many. */
static size_t make_blocks(const struct mxrt_span *spans, size_t count, bool merge,
			  struct block *blocks)
{
	struct block *block = NULL;
	size_t i, nr = 0;

	for (i = 0; i < count; i++) {
		if (merge && block && track_of(&block->span) == track_of(&spans[i]) &&
		    block->span.op == spans[i].op &&
		    block->span.start + block->span.ticks == spans[i].start) {
			block->span.ticks += spans[i].ticks;
		} else {
			block = &blocks[nr++];
			*block = (struct block){ .span = spans[i] };
		}
		block->last = spans[i].token;
		block->nr++;
	}
	return nr;
}

static void put(struct trace *trace, json_t *event, bool first)
{
	if (!first)
		fputs(",\n", trace->file);
	if (!event || json_dumpf(event, trace->file, FLAGS))
		trace->err = event ? -EIO : -ENOMEM;
	json_decref(event);
}

static uint32_t thread_of(const struct mxrt_span *span)
{
	return span->resource * UNITS + span->unit + 1;
}

/* Names of the sequences and units that come up; @spans in the order of their tracks. */
static void put_names(struct trace *trace, const struct mxrt_span *spans, size_t count)
{
	const struct mxrt_span *span, *last = NULL;
	const char *resource;
	char name[48];

	for (span = spans; span < spans + count; last = span++) {
		if (last && track_of(last) == track_of(span))
			continue;
		if (!last || last->seq != span->seq) {
			snprintf(name, sizeof(name), "sequence %u", span->seq);
			put(trace, json_pack("{s:s, s:s, s:I, s:{s:s}}", "name", "process_name",
					     "ph", "M", "pid", (json_int_t)span->seq,
					     "args", "name", name), !last);
		}
		resource = mxrt_resource_name(span->resource);
		snprintf(name, sizeof(name), "%s %u", resource ? resource : "unknown", span->unit);
		put(trace, json_pack("{s:s, s:s, s:I, s:I, s:{s:s}}", "name", "thread_name",
				     "ph", "M", "pid", (json_int_t)span->seq,
				     "tid", (json_int_t)thread_of(span), "args", "name", name),
		    false);
	}
}

static void put_block(struct trace *trace, const struct block *block)
{
	struct mxrt_op_info op = { .size = sizeof(op) };
	const struct mxrt_span *span = &block->span;
	char name[64], tokens[32];

	if (mxrt_image_op(trace->image, trace->entry, span->op, &op))
		snprintf(op.name, sizeof(op.name), "op %u", span->op);
	if (op.layer >= 0)
		snprintf(name, sizeof(name), "%s, layer %d", op.name, op.layer);
	else
		snprintf(name, sizeof(name), "%s", op.name);
	if (span->token == MXRT_SPAN_ALL)
		strcpy(tokens, "all");
	else if (block->nr == 1)
		snprintf(tokens, sizeof(tokens), "%u", span->token);
	else
		snprintf(tokens, sizeof(tokens), "%u-%u", span->token, block->last);
	put(trace, json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:{s:I, s:i, s:s, s:f}}",
			     "name", name, "cat", mxrt_resource_name(span->resource) ?: "unknown",
			     "ph", "X", "pid", (json_int_t)span->seq,
			     "tid", (json_int_t)thread_of(span),
			     "ts", span->start / trace->ticks_per_us,
			     "dur", span->ticks / trace->ticks_per_us, "args",
			     "op", (json_int_t)span->op, "layer", op.layer, "tokens", tokens,
			     "cycles", (double)span->ticks / MXRT_TICKS), false);
}

int write_trace(const struct mxrt_image *image, unsigned int entry, struct mxrt_span *spans,
		size_t count, uint32_t clock_khz, bool each_token, const char *path)
{
	struct trace trace = {
		.image = image,
		.entry = entry,
		.ticks_per_us = clock_khz * (double)MXRT_TICKS / 1000,
	};
	struct block *blocks = calloc(count ? count : 1, sizeof(*blocks));
	size_t i, nr;

	if (!blocks)
		return -ENOMEM;
	trace.file = output_open(path);
	if (!trace.file) {
		free(blocks);
		return -errno;
	}
	qsort(spans, count, sizeof(*spans), by_track);
	nr = make_blocks(spans, count, !each_token, blocks);
	qsort(blocks, nr, sizeof(*blocks), by_start);
	fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n", trace.file);
	put_names(&trace, spans, count);
	for (i = 0; i < nr && !trace.err; i++)
		put_block(&trace, &blocks[i]);
	fputs("\n]}\n", trace.file);
	free(blocks);
	return output_close(trace.file, path, trace.err);
}
