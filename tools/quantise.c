// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Floats to INT8, streamed: a panel or a table row at a time, so that the
 * model is never in memory as a whole.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxmap.h"
#include "quantise.h"

double quantise_relative(const struct quantise_error *error)
{
	return error->signal > 0 ? sqrt(error->difference / error->signal) : 0;
}

bool quantise_row(const float *row, size_t nr, int8_t *q, float *scale,
		  struct quantise_error *error)
{
	/* Adding and subtracting it rounds to an integer, half to even. */
	const float rounder = 0x1.8p23f;
	uint32_t top = 0, bits;
	float largest;
	size_t i;

	for (i = 0; i < nr; i++) {
		memcpy(&bits, &row[i], sizeof(bits));
		bits &= 0x7fffffff;
		top = bits > top ? bits : top;
	}
	if (top >= 0x7f800000)
		return false;
	memcpy(&largest, &top, sizeof(largest));
	*scale = largest / 127;
	for (i = 0; i < nr; i++) {
		float value = *scale > 0 ? row[i] / *scale : 0;
		double difference;

		value = value > 127 ? 127 : value < -127 ? -127 : value;
		value = (value + rounder) - rounder;
		q[i] = value;
		difference = (double)row[i] - (double)value * *scale;
		error->difference += difference * difference;
		error->signal += (double)row[i] * row[i];
	}
	return true;
}

/* ---------------------------------------------------------------- PARAMS */

/* A weight on its way */
struct job {
	const struct checkpoint *checkpoint;
	const struct weight *weight;
	struct image_writer *writer;
	float *row;			/* cols floats, or a vector */
	int8_t *q;			/* 16 rows of cols */
	uint8_t *packed;		/* a panel, or a table row */
	float *scale;			/* rows */
	struct quantise_error error;
};

static int not_finite(const struct st_tensor *tensor, uint64_t row)
{
	return mxmap_fail("tensor %s of %s has a value in row %" PRIu64 " that is infinite or not a number",
			  tensor->name, tensor->file, row);
}

/* Fills up to the next word, where every piece of PARAMS starts. */
static int pad_word(struct image_writer *writer, uint64_t bytes)
{
	static const uint8_t zeros[MXACCEL_WORD];

	return image_write(writer, zeros, -bytes % MXACCEL_WORD);
}

static int write_floats(struct job *job, const float *at, uint64_t nr)
{
	if (image_write(job->writer, at, 4 * nr))
		return -1;
	return pad_word(job->writer, 4 * nr);
}

static int write_table(struct job *job)
{
	const struct weight *w = job->weight;
	const struct st_tensor *tensor = checkpoint_part(job->checkpoint, w, 0, false);
	uint64_t stride = MXACCEL_TABLE_STRIDE(w->cols);
	uint32_t r;

	memset(job->packed, 0, stride);
	for (r = 0; r < w->rows; r++) {
		st_read(tensor, (uint64_t)r * w->cols, w->cols, job->row);
		if (!quantise_row(job->row, w->cols, (int8_t *)job->packed, &job->scale[r],
				  &job->error))
			return not_finite(tensor, r);
		if (image_write(job->writer, job->packed, stride))
			return -1;
	}
	st_forget(tensor);
	return write_floats(job, job->scale, w->rows);
}

static void scale_row(const struct weight *w, uint32_t row, float *at)
{
	uint32_t i;

	for (i = 0; w->by_col && i < w->cols; i++)
		at[i] *= w->by_col[i];
	for (i = 0; w->by_row && i < w->cols; i++)
		at[i] *= w->by_row[row];
}

/* The next 16 output channels as a panel: words of 16 channels by 4 inputs */
static void pack_panel(struct job *job)
{
	uint32_t cols = job->weight->cols, groups = (cols + MXACCEL_PANEL_K - 1) / MXACCEL_PANEL_K;
	uint8_t *to = job->packed;
	uint32_t group, r;

	memset(to, 0, (uint64_t)groups * MXACCEL_WORD);
	for (group = 0; group < groups; group++) {
		uint32_t k = group * MXACCEL_PANEL_K;
		uint32_t nr = cols - k < MXACCEL_PANEL_K ? cols - k : MXACCEL_PANEL_K;

		for (r = 0; r < MXACCEL_PANEL_COLS; r++, to += MXACCEL_PANEL_K)
			memcpy(to, job->q + (uint64_t)r * cols + k, nr);
	}
}

static int write_panels(struct job *job)
{
	const struct weight *w = job->weight;
	uint32_t rows_of_part = w->rows / w->nr_parts, first, r;

	for (first = 0; first < w->rows; first += MXACCEL_PANEL_COLS) {
		memset(job->q, 0, (size_t)MXACCEL_PANEL_COLS * w->cols);
		for (r = first; r < w->rows && r < first + MXACCEL_PANEL_COLS; r++) {
			const struct st_tensor *tensor = checkpoint_part(job->checkpoint, w, r / rows_of_part,
							      false);
			uint64_t row = r % rows_of_part;

			st_read(tensor, row * w->cols, w->cols, job->row);
			scale_row(w, r, job->row);
			if (!quantise_row(job->row, w->cols, job->q + (uint64_t)(r - first) * w->cols,
					  &job->scale[r], &job->error))
				return not_finite(tensor, row);
		}
		pack_panel(job);
		if (image_write(job->writer, job->packed, MXACCEL_PANEL_BYTES(1, w->cols)))
			return -1;
	}
	return 0;
}

/* The biases of all parts, or a norm's vector; @bias: not gamma */
static int write_vector(struct job *job, bool bias)
{
	const struct weight *w = job->weight;
	uint64_t total = 0, i;
	unsigned int index;

	for (index = 0; index < w->nr_parts; index++) {
		const struct st_tensor *tensor = checkpoint_part(job->checkpoint, w, index, bias);
		uint64_t nr = tensor->dim[0];

		st_read(tensor, 0, nr, job->row);
		for (i = 0; i < nr; i++)
			if (!isfinite(job->row[i]))
				return not_finite(tensor, i);
		for (i = 0; bias && w->by_row && i < nr; i++)
			job->row[i] *= w->by_row[total + i];
		if (image_write(job->writer, job->row, 4 * nr))
			return -1;
		total += nr;
	}
	return pad_word(job->writer, 4 * total);
}

static int write_factors(struct job *job)
{
	const struct weight *w = job->weight;
	uint32_t i;

	for (i = 0; i < w->cols; i++)
		job->row[i] = w->by_col ? 1 / w->by_col[i] : 1;
	return write_floats(job, job->row, w->cols);
}

static int write_matrix(struct job *job)
{
	const struct weight *w = job->weight;
	unsigned int index;

	if (write_panels(job) || write_floats(job, job->scale, w->rows) ||
	    (w->factors && write_factors(job)))
		return -1;
	for (index = 0; index < w->nr_parts; index++)
		st_forget(checkpoint_part(job->checkpoint, w, index, false));
	return write_vector(job, true);
}

static int write_weight(struct job *job)
{
	uint64_t widest = job->weight->rows > job->weight->cols ? job->weight->rows :
							   job->weight->cols;
	uint64_t panel = MXACCEL_PANEL_BYTES(1, job->weight->cols);
	int ret = -1;

	job->row = malloc(widest * sizeof(*job->row));
	job->scale = malloc(widest * sizeof(*job->scale));
	job->q = malloc(panel);
	job->packed = malloc(panel);
	if (!job->row || !job->scale || !job->q || !job->packed)
		mxmap_no_memory();
	else if (job->weight->kind == WEIGHT_TABLE)
		ret = write_table(job);
	else if (job->weight->kind == WEIGHT_NORM)
		ret = write_vector(job, false) || write_vector(job, true) ? -1 : 0;
	else
		ret = write_matrix(job);
	free(job->row);
	free(job->scale);
	free(job->q);
	free(job->packed);
	return ret;
}

static void add_error(struct quantise_report *report, const struct job *job)
{
	const struct weight *w = job->weight;
	struct quantise_error *sum;
	double relative = quantise_relative(&job->error);

	if (w->kind == WEIGHT_NORM)
		return;
	sum = w->kind == WEIGHT_MATRIX ? &report->matrices : &report->tables;
	sum->difference += job->error.difference;
	sum->signal += job->error.signal;
	if (w->kind == WEIGHT_MATRIX && (!report->worst_name || relative > report->worst)) {
		report->worst = relative;
		report->worst_name = w->name[0];
	}
}

int quantise_params(const struct checkpoint *checkpoint, const struct plan *plan,
		    struct image_writer *writer, bool verbose, struct quantise_report *report)
{
	unsigned int steps = 0, step = 0;
	size_t at;

	memset(report, 0, sizeof(*report));
	for (at = 0; at < plan->nr; at++)
		steps += !at || strcmp(plan->weight[at].step, plan->weight[at - 1].step);
	for (at = 0; at < plan->nr; at++) {
		struct job job = {
			.checkpoint = checkpoint, .weight = &plan->weight[at], .writer = writer };

		if (!at || strcmp(job.weight->step, plan->weight[at - 1].step))
			mxmap_progress(++step, steps, job.weight->step);
		if (write_weight(&job))
			return -1;
		add_error(report, &job);
		if (verbose) {
			mxmap_progress_end();
			fprintf(stderr, "  %-36s %6u x %-6u relative error %.5f\n",
				job.weight->name[0], job.weight->rows, job.weight->cols,
				quantise_relative(&job.error));
		}
	}
	mxmap_progress_end();
	return 0;
}
