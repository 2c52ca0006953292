// SPDX-License-Identifier: LGPL-2.1-or-later
/* Macro-ops of the function units, and gathering from embedding tables. */
#include <string.h>

#include "exec.h"

/* Elements that one piece of row-wise work should have at least. */
#define PIECE_ELEMENTS 8192

/**
 * struct row_work - rows of the chunk, in pieces
 * @per_piece:	rows in each
 */
struct row_work {
	struct mx_run *run;
	const struct mxaccel_op *op;
	uint64_t rows;
	uint64_t per_piece;
	void (*row)(struct mx_run *run, const struct mxaccel_op *op, uint64_t row);
};

static void do_rows(void *arg, uint64_t i)
{
	struct row_work *work = arg;
	uint64_t row = i * work->per_piece, end = row + work->per_piece;

	for (; row < end && row < work->rows; row++)
		work->row(work->run, work->op, row);
}

/* Calls @fn for every row, each being about @cost elements of work. */
static void for_rows(struct mx_run *run, const struct mxaccel_op *op, uint64_t rows, uint64_t cost,
		     void (*fn)(struct mx_run *run, const struct mxaccel_op *op, uint64_t row))
{
	struct row_work work = { run, op, rows, PIECE_ELEMENTS / cost + 1, fn };

	mx_run_parallel(run, mx_ceil_div(rows, work.per_piece), rows * cost, do_rows, &work);
}

/* Position of a row of the chunk in its sequence. */
static uint64_t position_of(const struct mx_run *run, uint64_t row)
{
	uint32_t low = 0, high = run->nr_seq, middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (run->seq[middle].row <= row)
			low = middle;
		else
			high = middle;
	}
	return row - run->seq[low].row;
}

/* Bytes of a row in panels that are gathered at a time; a multiple of MXACCEL_PANEL_K */
#define GATHER 256

/* A row of a table in panels: four bytes in each word of its panel */
static void embed_panels(struct mx_run *run, const struct mxaccel_op *op, const int8_t *table,
			 uint64_t entry, float scale, float *dst)
{
	uint64_t k, w, bytes;
	int8_t row[GATHER] MX_SCRATCH;

	table += MXACCEL_PANEL_OFFSET(entry, 0, op->k);
	for (k = 0; k < op->k; k += GATHER) {
		bytes = op->k - k < GATHER ? op->k - k : GATHER;
		for (w = 0; w * MXACCEL_PANEL_K < bytes; w++)
			memcpy(row + w * MXACCEL_PANEL_K,
			       table + (k / MXACCEL_PANEL_K + w) * MXACCEL_WORD, MXACCEL_PANEL_K);
		run->kernels->embed(row, scale, dst + k, bytes,
				    op->flags & MXACCEL_OPF_ACCUMULATE);
	}
}

static void embed_row(struct mx_run *run, const struct mxaccel_op *op, uint64_t row)
{
	const int8_t *table = mx_param(run, op->w_off);
	const float *scale = mx_param(run, op->s_off);
	float *dst = mx_cell(run, op->dst, row, op->dst_col);
	uint64_t entry = op->src2_col;

	if (op->kind == MXACCEL_EMBED_TOKEN)
		entry = run->chunk_ids[row];
	else if (op->kind == MXACCEL_EMBED_POSITION)
		entry = position_of(run, row);
	if (op->flags & MXACCEL_OPF_PANELS)
		embed_panels(run, op, table, entry, scale[entry], dst);
	else
		run->kernels->embed(table + entry * MXACCEL_TABLE_STRIDE(op->k), scale[entry], dst,
				    op->k, op->flags & MXACCEL_OPF_ACCUMULATE);
}

uint16_t mx_op_embed(struct mx_run *run, const struct mxaccel_op *op)
{
	for_rows(run, op, run->rows, op->k, embed_row);
	return MXACCEL_ST_SUCCESS;
}

static float alpha_of(const struct mxaccel_op *op)
{
	float alpha;

	memcpy(&alpha, &op->alpha, sizeof(alpha));
	return alpha;
}

static void norm_row(struct mx_run *run, const struct mxaccel_op *op, uint64_t row)
{
	const float *src = mx_cell(run, op->src, row, op->src_col);
	float *dst = mx_cell(run, op->dst, row, op->dst_col);

	switch (op->kind) {
	case MXACCEL_NORM_LAYER:
		run->kernels->norm_layer(src, dst, op->k, mx_param(run, op->w_off),
					 mx_param(run, op->b_off), alpha_of(op));
		break;
	case MXACCEL_NORM_RMS:
		run->kernels->norm_rms(src, dst, op->k, mx_param(run, op->w_off), alpha_of(op));
		break;
	case MXACCEL_NORM_L2:
		run->kernels->norm_l2(src, dst, op->k);
		break;
	}
}

static void act_row(struct mx_run *run, const struct mxaccel_op *op, uint64_t row)
{
	run->kernels->act[op->kind](mx_cell(run, op->src, row, op->src_col),
				    mx_cell(run, op->dst, row, op->dst_col), op->k);
}

static void add_row(struct mx_run *run, const struct mxaccel_op *op, uint64_t row)
{
	run->kernels->add(mx_cell(run, op->src, row, op->src_col),
			  mx_cell(run, op->src2, row, op->src2_col),
			  mx_cell(run, op->dst, row, op->dst_col), op->k);
}

static void quant_row(struct mx_run *run, const struct mxaccel_op *op, uint64_t row)
{
	const float *factor = op->flags & MXACCEL_OPF_FACTORS ? mx_param(run, op->w_off) : NULL;

	if (!run->kernels->residual(mx_cell(run, op->src, row, op->src_col), factor,
				    mx_cell(run, op->dst, row, op->dst_col), op->k))
		atomic_store_explicit(&run->non_finite, true, memory_order_relaxed);
}

uint16_t mx_op_rowwise(struct mx_run *run, const struct mxaccel_op *op)
{
	uint64_t rows = mx_region_rows(run, op->dst);

	if (op->opcode == MXACCEL_OP_NORM)
		for_rows(run, op, rows, op->k, norm_row);
	else if (op->opcode == MXACCEL_OP_ACT)
		for_rows(run, op, rows, 4ull * op->k, act_row);
	else if (op->opcode == MXACCEL_OP_QUANT)
		for_rows(run, op, rows, 2ull * op->k, quant_row);
	else
		for_rows(run, op, rows, op->k, add_row);
	return MXACCEL_ST_SUCCESS;
}

static void pool_seq(struct mx_run *run, const struct mxaccel_op *op, uint64_t i)
{
	const struct mx_seq *seq = &run->seq[i];
	const float *src = mx_cell(run, op->src, seq->row, op->src_col);
	float *dst = mx_cell(run, op->dst, i, op->dst_col);

	if (op->kind == MXACCEL_POOL_FIRST)
		memcpy(dst, src, op->k * sizeof(*dst));
	else
		run->kernels->pool_mean(src, run->model->region[op->src].cols,
					run->chunk_ids + seq->row, seq->length, dst, op->k);
}

uint16_t mx_op_pool(struct mx_run *run, const struct mxaccel_op *op)
{
	/* Mean length for the cost: only the size of the pieces hangs on it. */
	for_rows(run, op, run->nr_seq, mx_ceil_div(run->rows, run->nr_seq) * op->k, pool_seq);
	return MXACCEL_ST_SUCCESS;
}

struct softmax_work {
	struct mx_run *run;
	const struct mxaccel_op *op;
	uint32_t heads;
};

static void softmax_rows(void *arg, uint64_t i)
{
	struct softmax_work *work = arg;
	const struct mxaccel_op *op = work->op;
	struct mx_run *run = work->run;
	struct mx_head_rows piece = mx_head_rows(run, work->heads, i);
	uint64_t length = piece.seq->length, row;
	const int32_t *ids = NULL;

	if (op->flags & MXACCEL_OPF_PAD_MASK)
		ids = run->chunk_ids + piece.seq->row;
	for (row = piece.row; row < piece.row + piece.nr_rows; row++)
		run->kernels->softmax(mx_scores(run, op->src, piece.seq, piece.head, row),
				      mx_scores(run, op->dst, piece.seq, piece.head, row), length,
				      op->flags & MXACCEL_OPF_CAUSAL ? row + 1 : length, ids);
}

uint16_t mx_op_softmax(struct mx_run *run, const struct mxaccel_op *op)
{
	struct softmax_work work = { run, op, run->model->region[op->dst].cols };

	mx_run_parallel(run, run->blocks * work.heads, 4 * run->cells * work.heads, softmax_rows,
			&work);
	return MXACCEL_ST_SUCCESS;
}
