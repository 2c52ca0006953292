// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sequencer: reads a job's ids, forms chunks of whole sequences, runs the
 * entry's macro-ops on each chunk, and writes results in the order of the
 * sequences.
 */
#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "exec.h"

/* Work below which waking the other threads costs more than it saves: some 10 us. */
#define PARALLEL_WORK 32768
/* Results are gathered to writes of about this size. */
#define STAGING_BYTES (1u << 20)

void *mx_buffer_get(struct mx_buffer *buffer, uint64_t bytes)
{
	if (bytes > buffer->bytes || !buffer->data) {
		free(buffer->data);
		buffer->bytes = mx_ceil_div(bytes, MXACCEL_WORD) * MXACCEL_WORD + MXACCEL_WORD;
		buffer->data = aligned_alloc(MXACCEL_WORD, buffer->bytes);
		if (!buffer->data)
			buffer->bytes = 0;
	}
	return buffer->data;
}

void mx_run_parallel(struct mx_run *run, uint64_t nr, uint64_t work,
		     void (*fn)(void *arg, uint64_t i), void *arg)
{
	uint64_t i;

	if (work >= PARALLEL_WORK) {
		mx_pool_for(run->chip->pool, nr, fn, arg);
		return;
	}
	for (i = 0; i < nr; i++)
		fn(arg, i);
}

struct mx_head_rows mx_head_rows(const struct mx_run *run, uint32_t heads, uint64_t i)
{
	uint64_t block = i / heads;
	uint32_t low = 0, high = run->nr_seq, middle;
	struct mx_head_rows piece;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (run->seq[middle].block <= block)
			low = middle;
		else
			high = middle;
	}
	piece.seq = &run->seq[low];
	piece.head = i % heads;
	piece.row = (block - piece.seq->block) * MX_HEAD_ROWS;
	piece.nr_rows = piece.seq->length - piece.row;
	if (piece.nr_rows > MX_HEAD_ROWS)
		piece.nr_rows = MX_HEAD_ROWS;
	return piece;
}

/* ------------------------------------------------------------ input */

/* Reads all ids, checks them, and finds the lengths of the sequences. */
uint16_t mx_run_input(struct mx_run *run)
{
	struct mx_job *job = run->job;
	uint64_t nr = (uint64_t)job->nr_seq * job->tokens, i, seq;
	uint32_t length;

	run->ids = malloc(nr * sizeof(*run->ids));
	run->length = malloc(job->nr_seq * sizeof(*run->length));
	if (!run->ids || !run->length)
		return MXACCEL_ST_NO_MEMORY;
	if (job->read(job->opaque, 0, run->ids, nr * sizeof(*run->ids)))
		return MXACCEL_ST_DMA_ERROR;
	run->cost.op[run->entry->nr_ops].v[MXACCEL_CTR_DMA_READ_BYTES] = nr * sizeof(*run->ids);
	for (i = 0; i < nr; i++) {
		if (run->ids[i] < 0 || (uint32_t)run->ids[i] >= run->model->head->vocab) {
			job->result = i;
			return MXACCEL_ST_INPUT_TOKEN;
		}
	}
	for (seq = 0; seq < job->nr_seq; seq++) {
		for (length = job->tokens; length; length--)
			if (run->ids[seq * job->tokens + length - 1])
				break;
		if (!length) {
			job->result = seq;
			return MXACCEL_ST_INPUT_EMPTY;
		}
		run->length[seq] = length;
	}
	return MXACCEL_ST_SUCCESS;
}

/* ----------------------------------------------------------- chunks */

static void note_region(struct mx_run *run, uint16_t region)
{
	const struct mxaccel_region *r = &run->model->region[region];

	if (run->used[region] || r->kind == MXACCEL_REGION_IDS)
		return;
	run->used[region] = true;
	run->sum_cols[r->kind] += r->cols;
}

/* Which regions the entry uses; the others get no memory. */
static uint16_t note_regions(struct mx_run *run)
{
	const struct mxaccel_op *op = run->model->op + run->entry->first_op, *end;
	uint32_t nr_regions = run->model->head->nr_regions;

	run->used = calloc(nr_regions, sizeof(*run->used));
	run->region = calloc(nr_regions, sizeof(*run->region));
	if (!run->used || !run->region)
		return MXACCEL_ST_NO_MEMORY;
	for (end = op + run->entry->nr_ops; op < end; op++) {
		if (op->opcode == MXACCEL_OP_FENCE)
			continue;
		if (op->opcode != MXACCEL_OP_STORE)
			note_region(run, op->dst);
		if (op->opcode != MXACCEL_OP_LOAD && op->opcode != MXACCEL_OP_EMBED)
			note_region(run, op->src);
		if (op->opcode == MXACCEL_OP_ADD || op->opcode == MXACCEL_OP_MATMUL_DYN)
			note_region(run, op->src2);
	}
	return MXACCEL_ST_SUCCESS;
}

static uint64_t region_elements(const struct mx_run *run, uint32_t region)
{
	const struct mxaccel_region *r = &run->model->region[region];
	uint64_t rows = r->kind == MXACCEL_REGION_ROWS ? run->rows :
			r->kind == MXACCEL_REGION_SCORES ? run->cells : run->nr_seq;
	uint64_t words = mx_ceil_div(rows * r->cols * sizeof(float), MXACCEL_WORD);

	return words * MXACCEL_WORD / sizeof(float);
}

static uint64_t chunk_bytes(const struct mx_run *run, uint64_t rows, uint64_t cells, uint64_t seqs)
{
	return (rows * run->sum_cols[MXACCEL_REGION_ROWS] +
		cells * run->sum_cols[MXACCEL_REGION_SCORES] +
		seqs * run->sum_cols[MXACCEL_REGION_SEQ]) * sizeof(float);
}

/*
 * Starts a chunk at sequence run->first: as many sequences as the row limit
 * and the chip's storage for intermediates allow, and one in any case.
 */
static uint16_t start_chunk(struct mx_run *run)
{
	uint64_t room = mx_chip_act_bytes(&run->chip->config), length, bytes = 0;
	uint32_t nr_regions = run->model->head->nr_regions, i;
	const struct mx_job *job = run->job;
	struct mx_seq *seq;
	float *at;

	run->nr_seq = 0;
	run->rows = 0;
	run->cells = 0;
	run->blocks = 0;
	run->padded = 0;
	while (run->first + run->nr_seq < job->nr_seq) {
		length = run->length[run->first + run->nr_seq];
		if (run->nr_seq &&
		    (run->rows + length > MX_CHUNK_ROWS ||
		     chunk_bytes(run, run->rows + length, run->cells + length * length,
				 run->nr_seq + 1) > room))
			break;
		seq = &run->seq[run->nr_seq++];
		*seq = (struct mx_seq){ length, run->rows, run->cells, run->blocks, run->padded };
		run->rows += length;
		run->cells += length * length;
		run->blocks += mx_ceil_div(length, MX_HEAD_ROWS);
		run->padded += mx_ceil_div(length, MXACCEL_PANEL_COLS) * MXACCEL_PANEL_COLS;
	}

	for (i = 0; i < nr_regions; i++)
		if (run->used[i])
			bytes += region_elements(run, i) * sizeof(float);
	at = mx_buffer_get(&run->arena, bytes + run->rows * sizeof(int32_t));
	if (!at)
		return MXACCEL_ST_NO_MEMORY;
	for (i = 0; i < nr_regions; i++) {
		if (!run->used[i])
			continue;
		run->region[i] = at;
		at += region_elements(run, i);
	}
	run->chunk_ids = (int32_t *)at;
	return MXACCEL_ST_SUCCESS;
}

/* -------------------------------------------------------------- ops */

static uint16_t load(struct mx_run *run)
{
	uint32_t i;

	for (i = 0; i < run->nr_seq; i++)
		memcpy(run->chunk_ids + run->seq[i].row,
		       run->ids + (uint64_t)(run->first + i) * run->job->tokens,
		       run->seq[i].length * sizeof(int32_t));
	return MXACCEL_ST_SUCCESS;
}

static uint16_t write_out(struct mx_run *run, uint64_t *offset, const void *data, uint64_t *bytes)
{
	if (*bytes && run->job->write(run->job->opaque, *offset, data, *bytes))
		return MXACCEL_ST_DMA_ERROR;
	/* STORE is the last op. */
	run->cost.op[run->entry->nr_ops - 1].v[MXACCEL_CTR_DMA_WRITE_BYTES] += *bytes;
	*offset += *bytes;
	*bytes = 0;
	return MXACCEL_ST_SUCCESS;
}

/* Results of the chunk, padded with rows of zeros, in few large writes. */
static uint16_t store(struct mx_run *run, const struct mxaccel_op *op)
{
	bool per_seq = run->entry->out_kind == MXACCEL_REGION_SEQ;
	uint64_t row_bytes = (uint64_t)run->entry->out_cols * sizeof(float);
	uint64_t out_rows = per_seq ? 1 : run->job->tokens, rows, row, i, staged = 0;
	uint64_t offset = run->first * out_rows * row_bytes;
	uint64_t room = row_bytes > STAGING_BYTES ? row_bytes : STAGING_BYTES;
	uint8_t *staging = mx_buffer_get(&run->staging, room);
	const float *src;
	uint16_t status;

	if (!staging)
		return MXACCEL_ST_NO_MEMORY;
	for (i = 0; i < run->nr_seq; i++) {
		rows = per_seq ? 1 : run->seq[i].length;
		for (row = 0; row < out_rows; row++) {
			if (staged + row_bytes > room) {
				status = write_out(run, &offset, staging, &staged);
				if (status)
					return status;
			}
			if (row < rows) {
				src = mx_cell(run, op->src, (per_seq ? i : run->seq[i].row) + row,
					      op->src_col);
				if (!run->kernels->finite(src, op->k)) {
					atomic_store(&run->non_finite, true);
					return MXACCEL_ST_SUCCESS;
				}
				memcpy(staging + staged, src, row_bytes);
			} else {
				memset(staging + staged, 0, row_bytes);
			}
			staged += row_bytes;
		}
	}
	return write_out(run, &offset, staging, &staged);
}

static uint16_t dispatch(struct mx_run *run, const struct mxaccel_op *op)
{
	switch (op->opcode) {
	case MXACCEL_OP_LOAD:
		return load(run);
	case MXACCEL_OP_EMBED:
		return mx_op_embed(run, op);
	case MXACCEL_OP_MATMUL:
		return mx_op_matmul(run, op);
	case MXACCEL_OP_MATMUL_DYN:
		return mx_op_dyn(run, op);
	case MXACCEL_OP_SOFTMAX:
		return mx_op_softmax(run, op);
	case MXACCEL_OP_NORM:
	case MXACCEL_OP_ACT:
	case MXACCEL_OP_ADD:
	case MXACCEL_OP_QUANT:
		return mx_op_rowwise(run, op);
	case MXACCEL_OP_POOL:
		return mx_op_pool(run, op);
	case MXACCEL_OP_STORE:
		return store(run, op);
	}
	return MXACCEL_ST_SUCCESS;	/* FENCE: time only */
}

static uint16_t run_op(struct mx_run *run, const struct mxaccel_op *op)
{
	const struct mx_chip_params *params = &run->chip->params;
	uint16_t status;

	if (params->op_step)
		params->op_step(params->op_opaque, op, false);
	status = dispatch(run, op);
	if (params->op_step)
		params->op_step(params->op_opaque, op, true);
	return status;
}

static uint16_t run_chunk(struct mx_run *run)
{
	const struct mxaccel_op *op = run->model->op + run->entry->first_op;
	struct mx_job *job = run->job;
	uint16_t status;
	uint32_t i, j;

	for (i = 0; i < run->entry->nr_ops; i++, op++) {
		status = atomic_load(&job->stop);
		atomic_fetch_add(&job->progress, 1);
		if (!status)
			status = run_op(run, op);
		if (!status && run->non_finite) {
			job->result = i;
			status = MXACCEL_ST_NON_FINITE;
		}
		if (status)
			return status;
		for (j = 0; j < run->nr_seq; j++)
			mx_cost_op(&run->cost, i, run->first + j, job->tokens);
	}
	return MXACCEL_ST_SUCCESS;
}

static uint16_t run_job(struct mx_run *run)
{
	uint16_t status = atomic_load(&run->job->stop);

	if (!status)
		status = mx_run_input(run);
	if (!status && !mx_cost_sequences(&run->cost, run->length, run->job->nr_seq))
		status = MXACCEL_ST_NO_MEMORY;
	if (!status)
		status = note_regions(run);
	for (run->first = 0; !status && run->first < run->job->nr_seq; run->first += run->nr_seq) {
		status = start_chunk(run);
		if (!status)
			status = run_chunk(run);
	}
	return status;
}

struct mx_run *mx_run_new(struct mx_chip *chip, const struct mx_model *model, struct mx_job *job)
{
	struct mx_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->chip = chip;
	run->kernels = chip->kernels;
	run->model = model;
	run->entry = &model->entry[job->entry];
	run->job = job;
	if (chip->analog)
		mx_directory_cells(chip, model, &run->age, &run->epoch);
	if (mx_cost_init(&run->cost, &chip->config, model, run->entry, job->op_counters))
		return run;
	mx_run_free(run);
	return NULL;
}

void mx_run_free(struct mx_run *run)
{
	struct mx_buffer *buffers[] = {
		&run->arena, &run->act, &run->scale, &run->panels, &run->col_scale, &run->bytes,
		&run->staging,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(buffers); i++)
		free(buffers[i]->data);
	free(run->ids);
	free(run->length);
	free(run->used);
	free(run->region);
	mx_cost_free(&run->cost);
	free(run);
}

void mx_exec(struct mx_chip *chip, const struct mx_model *model, struct mx_job *job)
{
	struct mx_run *run = mx_run_new(chip, model, job);
	fenv_t host;

	memset(&job->counters, 0, sizeof(job->counters));
	job->field = 0;
	job->result = 0;
	job->status = MXACCEL_ST_NO_MEMORY;
	if (run) {
		/* The caller may have set another rounding mode, or denormals to zero. */
		fegetenv(&host);
		fesetenv(FE_DFL_ENV);
		mx_pool_hold(chip->pool);
		job->status = run_job(run);
		mx_pool_release(chip->pool);
		mx_cost_sum(&run->cost, job->tokens, &job->counters);
		fesetenv(&host);
		mx_run_free(run);
	}
	if (job->status == MXACCEL_ST_SUCCESS) {
		job->counters.v[MXACCEL_CTR_JOBS] = 1;
		job->result = job->counters.v[MXACCEL_CTR_CYCLES];
	} else {
		job->counters.v[MXACCEL_CTR_JOBS_FAILED] = 1;
	}
}
