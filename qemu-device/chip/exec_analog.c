// SPDX-License-Identifier: LGPL-2.1-or-later
/* Stationary products with fidelity=analog. */
#include <stdlib.h>

#include "analog_sense.h"
#include "exec.h"

/* Rows that one piece of quantising takes. */
#define QUANT_ROWS 16

struct analog_work {
	struct mx_run *run;
	const struct mxaccel_op *op;
	uint64_t rows, stride;
	int8_t *act;
	float *row_scale;
	const float *col_scale, *bias;
};

static void quant_rows(void *arg, uint64_t i)
{
	struct analog_work *work = arg;
	const struct mxaccel_op *op = work->op;
	bool is_unsigned = work->run->chip->analog->keys.input == MX_UNSIGNED;
	uint64_t row, c;

	for (row = i * QUANT_ROWS; row < (i + 1) * QUANT_ROWS && row < work->rows; row++) {
		int8_t *act = work->act + row * work->stride;

		if (!work->run->kernels->quant_i8(mx_cell(work->run, op->src, row, op->src_col),
						  mx_factors(work->run, op), op->k, act, work->stride,
						  &work->row_scale[row]))
			atomic_store_explicit(&work->run->non_finite, true, memory_order_relaxed);
		for (c = 0; is_unsigned && c < op->k; c++)
			act[c] ^= 0x80;
	}
}

/* As the exact products dequantise, operation by operation. */
static void put(void *arg, size_t row, size_t nr_rows, size_t col,
		const int64_t block[][MXACCEL_PANEL_COLS])
{
	const struct analog_work *work = arg;
	const struct mxaccel_op *op = work->op;
	size_t cols = op->n - col < MXACCEL_PANEL_COLS ? op->n - col : MXACCEL_PANEL_COLS, r, j;

	for (r = 0; r < nr_rows; r++) {
		float *out = mx_cell(work->run, op->dst, row + r, op->dst_col) + col;

		for (j = 0; j < cols; j++) {
			float v = (float)block[r][j] *
				  (work->row_scale[row + r] * work->col_scale[col + j]);

			if (work->bias)
				v = v + work->bias[col + j];
			out[j] = op->flags & MXACCEL_OPF_ACCUMULATE ? out[j] + v : v;
		}
	}
}

/* Of a synergy chip: the weights as its banks give them. NULL without memory. */
static struct mx_analog_prepared *prepare_sensed(struct mx_run *run,
						 struct mx_analog_weights weights)
{
	struct mx_analog_prepared *prepared;
	int8_t *sensed = NULL;

	if (run->chip->bank->effects) {
		sensed = mx_bank_sense(run->chip->bank, &weights, run->chip->pool);
		if (!sensed)
			return NULL;
		weights.panels = sensed;
	}
	prepared = mx_analog_prepare(run->chip->analog, &weights, run->chip->pool);
	if (prepared)
		mx_analog_prepared_own(prepared, sensed);
	else
		free(sensed);
	return prepared;
}

/* Of an op; made when it first runs with cells of this age, and kept. NULL without memory. */
static const struct mx_analog_prepared *prepared_of(struct mx_run *run, const struct mxaccel_op *op)
{
	struct mx_analog_weights weights = {
		.panels = mx_param(run, op->w_off), .place = op->w_off, .k = op->k, .n = op->n,
		.age = run->age, .epoch = run->epoch, .isa = run->chip->params.isa,
		.steps = run->chip->bank ? NULL :
			 mx_model_steps(&run->chip->config, run->model, op),
	};
	struct mx_analog_prepared **prepared = &run->model->prepared[op - run->model->op];

	if (*prepared && !mx_analog_prepared_fits(*prepared, &weights)) {
		mx_analog_prepared_free(*prepared);
		*prepared = NULL;
	}
	if (!*prepared && run->chip->bank)
		*prepared = prepare_sensed(run, weights);
	else if (!*prepared)
		*prepared = mx_analog_prepare(run->chip->analog, &weights, run->chip->pool);
	return *prepared;
}

const int8_t *mx_op_lossless_panels(struct mx_run *run, const struct mxaccel_op *op)
{
	const struct mx_analog_prepared *prepared = prepared_of(run, op);

	return prepared && mx_analog_lossless(prepared) ? mx_analog_prepared_panels(prepared) : NULL;
}

/*
 * Read noise depends on a sequence's ids, the op and the row in the sequence, so not on
 * what else is in the batch. NULL without memory.
 */
static const uint64_t *noise_keys(struct mx_run *run, const struct mxaccel_op *op, uint64_t rows)
{
	bool per_sequence = run->model->region[op->dst].kind == MXACCEL_REGION_SEQ;
	uint64_t *key = mx_buffer_get(&run->bytes, rows * sizeof(*key)), hash;
	uint32_t i, j;

	for (i = 0; key && i < run->nr_seq; i++) {
		const struct mx_seq *seq = &run->seq[i];

		hash = 0;
		for (j = 0; j < seq->length; j++)
			hash = mx_scramble(hash + (uint32_t)run->chunk_ids[seq->row + j]);
		if (per_sequence)
			key[i] = mx_noise_key(hash, op - run->model->op, 0);
		for (j = 0; !per_sequence && j < seq->length; j++)
			key[seq->row + j] = mx_noise_key(hash, op - run->model->op, j);
	}
	return key;
}

uint16_t mx_op_matmul_analog(struct mx_run *run, const struct mxaccel_op *op,
			     struct mx_profile *profile)
{
	struct analog_work work = {
		.run = run, .op = op, .rows = mx_region_rows(run, op->dst),
		.stride = mx_ceil_div(op->k, MX_ACT_ALIGN) * MX_ACT_ALIGN,
		.col_scale = mx_param(run, op->s_off),
		.bias = op->flags & MXACCEL_OPF_BIAS ? mx_param(run, op->b_off) : NULL,
	};
	struct mx_analog_product product = {
		.prepared = prepared_of(run, op), .x_stride = work.stride, .rows = work.rows, .put = put, .arg = &work,
		.x_shift = run->chip->analog->keys.input == MX_UNSIGNED ? 128 : 0,
		.profile = profile,
	};

	work.act = mx_buffer_get(&run->act, work.rows * work.stride);
	work.row_scale = mx_buffer_get(&run->scale, work.rows * sizeof(float));
	if (!work.act || !work.row_scale || !product.prepared)
		return MXACCEL_ST_NO_MEMORY;
	mx_run_parallel(run, mx_ceil_div(work.rows, QUANT_ROWS), work.rows * op->k, quant_rows,
			&work);
	if (run->non_finite)
		return MXACCEL_ST_SUCCESS;
	if (run->chip->analog->keys.read_sigma > 0) {
		product.noise_key = noise_keys(run, op, work.rows);
		if (!product.noise_key)
			return MXACCEL_ST_NO_MEMORY;
	}
	product.x = (const uint8_t *)work.act;
	if (mx_analog_multiply(run->chip->analog, &product, run->chip->params.isa,
			       run->chip->pool))
		return MXACCEL_ST_NO_MEMORY;
	run->cost.op[op - run->model->op - run->entry->first_op].v[MXACCEL_CTR_ADC_SATURATIONS] +=
		product.saturated;
	return MXACCEL_ST_SUCCESS;
}
