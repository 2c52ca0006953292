// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Macro-ops of the crossbars: stationary products with weights from the
 * banks, and dynamic ones, whose second operand is quantised and laid out
 * like weights first.
 */
#include <string.h>

#include "exec.h"

/* Work of a multiply-accumulate in units of mx_run_parallel(), as a divisor. */
#define MACS_PER_UNIT 16
/* Rows of a chunk that one piece of quantising or multiplying takes. */
#define QUANT_ROWS 16
#define GEMM_ROWS 192
/* Pieces for each thread, so that none waits long for the slowest. */
#define PIECES_PER_THREAD 4

static void note_non_finite(struct mx_run *run)
{
	atomic_store_explicit(&run->non_finite, true, memory_order_relaxed);
}

/* ------------------------------------------------------- stationary */

/**
 * struct quant_work - quantising the input of a product
 * @act:	rows of @stride bytes
 */
struct quant_work {
	struct mx_run *run;
	const struct mxaccel_op *op;
	uint64_t rows;
	uint8_t *act;
	uint64_t stride;
	float *scale;
};

static void quant_rows(void *arg, uint64_t i)
{
	struct quant_work *work = arg;
	const struct mx_kernels *kernels = work->run->kernels;
	const struct mxaccel_op *op = work->op;
	uint64_t row = i * QUANT_ROWS, end = row + QUANT_ROWS;

	for (; row < end && row < work->rows; row++)
		if (!kernels->quant_act(mx_cell(work->run, op->src, row, op->src_col),
					mx_factors(work->run, op), op->k,
					work->act + row * work->stride,
					work->stride / kernels->act_bytes, &work->scale[row]))
			note_non_finite(work->run);
}

/**
 * struct gemm_work - a product that is split among the threads
 */
struct gemm_work {
	const struct mx_kernels *kernels;
	const struct mx_gemm *gemm;
	uint64_t rows;
	uint64_t nr_panels;
	uint64_t row_pieces;
	uint64_t rows_per_piece;
	uint64_t panels_per_piece;
};

static void multiply_piece(void *arg, uint64_t i)
{
	struct gemm_work *work = arg;
	uint64_t panel = i / work->row_pieces * work->panels_per_piece;
	uint64_t row = i % work->row_pieces * work->rows_per_piece;
	uint64_t panels = work->nr_panels - panel, rows = work->rows - row;

	if (panels > work->panels_per_piece)
		panels = work->panels_per_piece;
	if (rows > work->rows_per_piece)
		rows = work->rows_per_piece;
	work->kernels->gemm(work->gemm, row, rows, panel, panels);
}

/* By panels, so that weights are read once; by rows too where there are many or few panels. */
static void split(struct gemm_work *work, uint64_t threads)
{
	uint64_t wanted = threads > 1 ? threads * PIECES_PER_THREAD : 1;

	work->rows_per_piece = GEMM_ROWS;
	if (work->nr_panels < wanted)
		work->rows_per_piece = GEMM_ROWS / 4;
	work->row_pieces = mx_ceil_div(work->rows, work->rows_per_piece);
	work->panels_per_piece = work->nr_panels * work->row_pieces / wanted;
	/* An even number, because kernels take panels in pairs. */
	work->panels_per_piece &= ~1ull;
	if (work->panels_per_piece < 2)
		work->panels_per_piece = 2;
	if (work->panels_per_piece > 16)
		work->panels_per_piece = 16;
}

void mx_run_multiply(struct mx_run *run, const struct mx_gemm *gemm, uint64_t rows)
{
	struct gemm_work work = {
		.kernels = run->kernels, .gemm = gemm, .rows = rows,
		.nr_panels = mx_ceil_div(gemm->n, MXACCEL_PANEL_COLS),
	};

	split(&work, mx_pool_threads(run->chip->pool));
	mx_run_parallel(run, work.row_pieces * mx_ceil_div(work.nr_panels, work.panels_per_piece),
			rows * gemm->k * gemm->n / MACS_PER_UNIT, multiply_piece, &work);
}

/* Who calibrates waits for more than this loop. */
static void note_largest(struct mx_run *run, const struct mxaccel_op *op, float *largest)
{
	uint64_t rows = mx_region_rows(run, op->dst), row, i;

	for (row = 0; row < rows; row++) {
		const float *x = mx_cell(run, op->src, row, op->src_col);

		for (i = 0; i < op->k; i++) {
			float magnitude = x[i] < 0 ? -x[i] : x[i];

			if (magnitude > largest[i])
				largest[i] = magnitude;
		}
	}
}

uint16_t mx_op_matmul(struct mx_run *run, const struct mxaccel_op *op)
{
	const struct mx_chip_params *params = &run->chip->params;
	struct mx_profile *profile = NULL;
	struct quant_work work = {
		.run = run, .op = op, .rows = mx_region_rows(run, op->dst),
		.stride = mx_act_stride(run->kernels, op->k),
	};
	struct mx_gemm gemm = {
		.act_stride = work.stride,
		.panels = mx_param(run, op->w_off),
		.k = op->k,
		.n = op->n,
		.col_scale = mx_param(run, op->s_off),
		.bias = op->flags & MXACCEL_OPF_BIAS ? mx_param(run, op->b_off) : NULL,
		.alpha = 1.0f,
		.accumulate = op->flags & MXACCEL_OPF_ACCUMULATE,
		.out = mx_cell(run, op->dst, 0, op->dst_col),
		.out_stride = run->model->region[op->dst].cols,
	};

	if (params->profile)
		profile = params->profile(params->op_opaque, op - run->model->op);
	if (profile && profile->largest)
		note_largest(run, op, profile->largest);
	if (profile && !profile->target)
		profile = NULL;
	if (run->chip->analog) {
		gemm.panels = mx_op_lossless_panels(run, op);
		if (profile || !gemm.panels)
			return mx_op_matmul_analog(run, op, profile);
	}
	work.act = mx_buffer_get(&run->act, work.rows * work.stride);
	work.scale = mx_buffer_get(&run->scale, work.rows * sizeof(float));
	if (!work.act || !work.scale)
		return MXACCEL_ST_NO_MEMORY;
	gemm.act = work.act;
	gemm.row_scale = work.scale;
	mx_run_parallel(run, mx_ceil_div(work.rows, QUANT_ROWS), work.rows * op->k, quant_rows,
			&work);
	if (!run->non_finite)
		mx_run_multiply(run, &gemm, work.rows);
	return MXACCEL_ST_SUCCESS;
}

/* ---------------------------------------------------------- dynamic */

/**
 * struct dyn_work - a dynamic product
 * @heads:	heads
 * @width:	columns of a head in the ROWS operands: k of QK, n of PV
 * @bytes:	[head][padded chunk row][byte_stride]: the second operand, quantised
 * @byte_stride: multiple of MX_ACT_ALIGN
 * @second_scale: [head][chunk row]: its scales
 * @panels:	the same as panels; each head of a sequence at panels_at()
 * @act:	[head][chunk row]: the first operand; rows of @act_stride bytes
 * @act_scale:	[head][chunk row]
 * @ones:	scales of PV's columns
 */
struct dyn_work {
	struct mx_run *run;
	const struct mxaccel_op *op;
	bool qk;
	uint64_t heads;
	uint64_t width;
	int8_t *bytes;
	uint64_t byte_stride;
	float *second_scale;
	int8_t *panels;
	uint8_t *act;
	uint64_t act_stride;
	float *act_scale;
	float *ones;
};

/*
 * Bytes of the panels of one head: K has @length channels of width inputs, V
 * the reverse. Room is kept for lengths rounded up, which makes sums easy.
 */
static uint64_t panel_bytes(const struct dyn_work *work, uint64_t length)
{
	return work->qk ? MXACCEL_PANEL_BYTES(length, work->width) :
	       MXACCEL_PANEL_BYTES(work->width, length);
}

static int8_t *panels_of(const struct dyn_work *work, const struct mx_seq *seq, uint64_t head)
{
	uint64_t padded = mx_ceil_div(seq->length, MXACCEL_PANEL_COLS) * MXACCEL_PANEL_COLS;

	return work->panels + panel_bytes(work, seq->padded) * work->heads +
	       panel_bytes(work, padded) * head;
}

/* Channel j of the panels is row j of K. */
static void pack_keys(const struct dyn_work *work, const int8_t *rows, uint64_t length,
		      int8_t *panels)
{
	uint64_t words = mx_ceil_div(work->width, MXACCEL_PANEL_K), row, w;

	for (row = 0; row < length; row++) {
		const int8_t *from = rows + row * work->byte_stride;
		int8_t *to = panels + row / MXACCEL_PANEL_COLS * words * MXACCEL_WORD +
			     row % MXACCEL_PANEL_COLS * MXACCEL_PANEL_K;

		for (w = 0; w < words; w++)
			memcpy(to + w * MXACCEL_WORD, from + w * MXACCEL_PANEL_K, MXACCEL_PANEL_K);
	}
	/* Channels beyond the length are computed and dropped, but shall be defined. */
	for (; row % MXACCEL_PANEL_COLS; row++)
		for (w = 0; w < words; w++)
			memset(panels + (row / MXACCEL_PANEL_COLS * words + w) * MXACCEL_WORD +
			       row % MXACCEL_PANEL_COLS * MXACCEL_PANEL_K, 0, MXACCEL_PANEL_K);
}

/* Input j of the panels is row j of V; there are rows of zeros up to a multiple of four. */
static void pack_values(const struct dyn_work *work, const int8_t *rows, uint64_t length,
			int8_t *panels)
{
	uint64_t words = mx_ceil_div(length, MXACCEL_PANEL_K), w, p, cols;
	uint64_t nr_panels = mx_ceil_div(work->width, MXACCEL_PANEL_COLS);

	for (w = 0; w < words; w++) {
		for (p = 0; p < nr_panels; p++) {
			int8_t *to = panels + (p * words + w) * MXACCEL_WORD;

			cols = work->width - p * MXACCEL_PANEL_COLS;
			if (cols < MXACCEL_PANEL_COLS)
				memset(to, 0, MXACCEL_WORD);
			else
				cols = MXACCEL_PANEL_COLS;
			work->run->kernels->interleave4(rows + w * MXACCEL_PANEL_K *
							work->byte_stride + p * MXACCEL_PANEL_COLS,
							work->byte_stride, cols, to);
		}
	}
}

/* Quantises and packs K or V: one head of one sequence. */
static void prepare_second(void *arg, uint64_t i)
{
	struct dyn_work *work = arg;
	struct mx_run *run = work->run;
	const struct mxaccel_op *op = work->op;
	const struct mx_seq *seq = &run->seq[i / work->heads];
	uint64_t head = i % work->heads, row, at = head * run->rows + seq->row;
	int8_t *bytes = work->bytes + (head * run->padded + seq->padded) * work->byte_stride;

	for (row = 0; row < seq->length; row++)
		if (!run->kernels->quant_i8(mx_cell(run, op->src2, seq->row + row,
						    op->src2_col + head * work->width),
					    NULL, work->width, bytes + row * work->byte_stride,
					    work->byte_stride, &work->second_scale[at + row]))
			note_non_finite(run);
	if (run->non_finite)
		return;
	if (work->qk) {
		pack_keys(work, bytes, seq->length, panels_of(work, seq, head));
	} else {
		for (; row % MXACCEL_PANEL_K; row++)
			memset(bytes + row * work->byte_stride, 0, work->byte_stride);
		pack_values(work, bytes, seq->length, panels_of(work, seq, head));
	}
}

/* Quantises some rows of Q or P of a head, and multiplies them. */
static void multiply_rows(void *arg, uint64_t i)
{
	struct dyn_work *work = arg;
	struct mx_run *run = work->run;
	const struct mx_kernels *kernels = run->kernels;
	const struct mxaccel_op *op = work->op;
	struct mx_head_rows piece = mx_head_rows(run, work->heads, i);
	const struct mx_seq *seq = piece.seq;
	uint64_t at = piece.head * run->rows + seq->row, row, inner;
	const float *factor = work->qk ? NULL : work->second_scale + at, *x;
	struct mx_gemm gemm = {
		.act = work->act + (at + piece.row) * work->act_stride,
		.act_stride = work->act_stride,
		.row_scale = work->act_scale + at + piece.row,
		.panels = panels_of(work, seq, piece.head),
		.k = work->qk ? work->width : seq->length,
		.n = work->qk ? seq->length : work->width,
		.col_scale = work->qk ? work->second_scale + at : work->ones,
		.alpha = 1.0f,
	};

	if (work->qk) {
		memcpy(&gemm.alpha, &op->alpha, sizeof(gemm.alpha));
		gemm.out = mx_scores(run, op->dst, seq, piece.head, piece.row);
		gemm.out_stride = seq->length;
	} else {
		gemm.out = mx_cell(run, op->dst, seq->row + piece.row,
				   op->dst_col + piece.head * work->width);
		gemm.out_stride = run->model->region[op->dst].cols;
	}
	inner = gemm.k;
	for (row = piece.row; row < piece.row + piece.nr_rows; row++) {
		uint8_t *act = work->act + (at + row) * work->act_stride;

		if (work->qk)
			x = mx_cell(run, op->src, seq->row + row,
				    op->src_col + piece.head * work->width);
		else
			x = mx_scores(run, op->src, seq, piece.head, row);
		if (!kernels->quant_act(x, factor, inner, act,
					work->act_stride / kernels->act_bytes,
					&work->act_scale[at + row])) {
			note_non_finite(run);
			return;
		}
	}
	kernels->gemm(&gemm, 0, piece.nr_rows, 0, mx_ceil_div(gemm.n, MXACCEL_PANEL_COLS));
}

uint16_t mx_op_dyn(struct mx_run *run, const struct mxaccel_op *op)
{
	bool qk = op->kind == MXACCEL_DYN_QK;
	struct dyn_work work = {
		.run = run, .op = op, .qk = qk, .heads = op->heads, .width = qk ? op->k : op->n,
	};
	uint64_t longest = 0, head_rows = work.heads * run->rows, macs, i;

	for (i = 0; i < run->nr_seq; i++)
		if (run->seq[i].length > longest)
			longest = run->seq[i].length;
	work.byte_stride = mx_ceil_div(work.width, MX_ACT_ALIGN) * MX_ACT_ALIGN;
	work.act_stride = mx_act_stride(run->kernels, qk ? work.width : longest);
	work.bytes = mx_buffer_get(&run->bytes, work.heads * run->padded * work.byte_stride);
	work.second_scale = mx_buffer_get(&run->col_scale, (head_rows + work.width) *
					  sizeof(float));
	work.panels = mx_buffer_get(&run->panels, panel_bytes(&work, run->padded) * work.heads);
	work.act = mx_buffer_get(&run->act, head_rows * work.act_stride);
	work.act_scale = mx_buffer_get(&run->scale, head_rows * sizeof(float));
	if (!work.bytes || !work.second_scale || !work.panels || !work.act || !work.act_scale)
		return MXACCEL_ST_NO_MEMORY;
	work.ones = work.second_scale + head_rows;
	for (i = 0; i < work.width; i++)
		work.ones[i] = 1.0f;

	macs = run->cells * work.heads * work.width;
	mx_run_parallel(run, run->nr_seq * work.heads, macs / MACS_PER_UNIT, prepare_second, &work);
	if (run->non_finite)
		return MXACCEL_ST_SUCCESS;
	mx_run_parallel(run, run->blocks * work.heads, macs / MACS_PER_UNIT, multiply_rows, &work);
	return MXACCEL_ST_SUCCESS;
}
