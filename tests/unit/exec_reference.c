// SPDX-License-Identifier: LGPL-2.1-or-later
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exec_reference.h"
#include "sfu_math.h"

struct state {
	const struct mx_chip_config *config;
	const struct mx_model *model;
	const struct mxaccel_op *op;
	const int32_t *ids;
	uint32_t length;
	float **region;
	uint64_t *v;
};

static float *cell(struct state *s, uint32_t region, uint64_t row, uint64_t col)
{
	return &s->region[region][row * s->model->region[region].cols + col];
}

static float *score(struct state *s, uint32_t region, uint64_t head, uint64_t i, uint64_t j)
{
	return &s->region[region][(head * s->length + i) * s->length + j];
}

static const void *param(struct state *s, uint64_t offset)
{
	return s->model->params + offset;
}

static float alpha(struct state *s)
{
	float value;

	memcpy(&value, &s->op->alpha, sizeof(value));
	return value;
}

/* Sum in 16 interleaved lanes, then a tree. */
static float lane_sum(const float *x, uint64_t n)
{
	float lane[16] = { 0 };
	uint64_t i;
	int step;

	for (i = 0; i < n; i++)
		lane[i % 16] += x[i];
	for (step = 8; step; step /= 2)
		for (i = 0; i < (uint64_t)step; i++)
			lane[i] += lane[i + step];
	return lane[0];
}

/* Half to even, without trusting how the code under test does it. */
static int round_even(float x)
{
	float down = floorf(x), rest = x - down;
	int whole = (int)down;

	if (rest > 0.5f || (rest == 0.5f && whole % 2))
		whole++;
	return whole;
}

static float quantise(const float *x, uint64_t n, int *q)
{
	float m = 0, inv;
	uint64_t i;

	for (i = 0; i < n; i++)
		m = fabsf(x[i]) > m ? fabsf(x[i]) : m;
	memset(q, 0, n * sizeof(*q));
	if (m < 0x1p-100f)
		return 0;
	inv = 127.0f / m;
	for (i = 0; i < n; i++) {
		q[i] = round_even(x[i] * inv);
		q[i] = q[i] > 127 ? 127 : q[i] < -127 ? -127 : q[i];
	}
	return m / 127.0f;
}

static uint64_t up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static void count_product(struct state *s, uint64_t rows, uint64_t k, uint64_t n)
{
	const struct mx_chip_config *c = s->config;
	uint64_t most = (1u << c->adc_bits) - 1;
	uint64_t row = ((1u << c->dac_bits) - 1) * ((1u << c->digit_bits) - 1);
	uint64_t each = row > most ? c->small_rows * up(row, most) :
				     up(c->small_rows, most / row);
	uint64_t sub = rows * up(k, c->small_rows) * up(n, c->small_cols) * (8 / c->dac_bits) *
		       (8 / c->digit_bits);

	s->v[MXACCEL_CTR_SUB_OPS] += sub;
	s->v[MXACCEL_CTR_ADC_CONVERSIONS] += sub * c->small_cols * each;
	s->v[MXACCEL_CTR_DAC_DRIVES] += sub * c->small_rows;
}

static void count_macs(struct state *s, enum mxaccel_counter counter, uint64_t macs)
{
	s->v[counter] += macs;
	s->v[MXACCEL_CTR_BUFFER_BYTES] += (8 + 6) * macs / s->config->small_rows;
}

static void count_transfer(struct state *s, uint64_t bytes)
{
	s->v[MXACCEL_CTR_LINK_CYCLES] += s->config->link_setup_cycles +
					 up(bytes * 10, s->config->link_bytes_per_10_cycles);
}

static void do_embed(struct state *s)
{
	const struct mxaccel_op *op = s->op;
	uint64_t stride = up(op->k, 64) * 64, t, c, row, at;
	bool panels = op->flags & MXACCEL_OPF_PANELS;
	const int8_t *table = param(s, op->w_off);
	const float *scale = param(s, op->s_off);

	for (t = 0; t < s->length; t++) {
		row = op->kind == MXACCEL_EMBED_TOKEN ? (uint64_t)s->ids[t] :
		      op->kind == MXACCEL_EMBED_POSITION ? t : op->src2_col;
		for (c = 0; c < op->k; c++) {
			float *to = cell(s, op->dst, t, op->dst_col + c);
			float v;

			at = panels ? MXACCEL_PANEL_OFFSET(row, c, op->k) : row * stride + c;
			v = (float)table[at] * scale[row];
			*to = op->flags & MXACCEL_OPF_ACCUMULATE ? *to + v : v;
		}
	}
	s->v[MXACCEL_CTR_SFU_EMBED] += s->length * op->k;
	/* a row in panels: four bytes of each 64-byte word read */
	s->v[MXACCEL_CTR_BANK_READ_BYTES] += s->length * (panels ? up(op->k, 4) * 64 : stride);
}

static void do_matmul(struct state *s, uint64_t rows)
{
	const struct mxaccel_op *op = s->op;
	const int8_t *w = param(s, op->w_off);
	const float *scale = param(s, op->s_off), *bias = param(s, op->b_off);
	const float *factor = op->flags & MXACCEL_OPF_FACTORS ?
			      param(s, op->s_off + up(4ull * op->n, 64) * 64) : NULL;
	int *q = malloc(op->k * sizeof(*q));
	float *scaled = malloc(op->k * sizeof(*scaled));
	uint64_t r, j, i;

	for (r = 0; r < rows; r++) {
		const float *x = cell(s, op->src, r, op->src_col);
		float sx;

		for (i = 0; factor && i < op->k; i++)
			scaled[i] = x[i] * factor[i];
		sx = quantise(factor ? scaled : x, op->k, q);
		for (j = 0; j < op->n; j++) {
			int32_t acc = 0;
			float v;

			for (i = 0; i < op->k; i++)
				acc += q[i] * w[MXACCEL_PANEL_OFFSET(j, i, op->k)];
			v = (float)acc * (sx * scale[j]);
			if (op->flags & MXACCEL_OPF_BIAS)
				v = v + bias[j];
			if (op->flags & MXACCEL_OPF_ACCUMULATE)
				v = *cell(s, op->dst, r, op->dst_col + j) + v;
			*cell(s, op->dst, r, op->dst_col + j) = v;
		}
	}
	free(scaled);
	free(q);
	if (op->flags & MXACCEL_OPF_ACCUMULATE)
		s->v[MXACCEL_CTR_SFU_ADD] += rows * op->n;
	count_macs(s, MXACCEL_CTR_MACS_STATIC, rows * op->k * op->n);
	s->v[MXACCEL_CTR_SFU_QUANT] += rows * op->k;
	s->v[MXACCEL_CTR_BANK_READ_BYTES] += up(op->n, 16) * up(op->k, 4) * 64 *
					     up(rows, s->config->small_rows);
	count_product(s, rows, op->k, op->n);
}

static void do_residual(struct state *s, uint64_t rows)
{
	const struct mxaccel_op *op = s->op;
	const float *factor = op->flags & MXACCEL_OPF_FACTORS ? param(s, op->w_off) : NULL;
	float *scaled = malloc(op->k * sizeof(*scaled));
	int *q = malloc(op->k * sizeof(*q));
	uint64_t r, i;

	for (r = 0; r < rows; r++) {
		const float *x = cell(s, op->src, r, op->src_col);
		float scale;

		for (i = 0; i < op->k; i++)
			scaled[i] = factor ? x[i] * factor[i] : x[i];
		scale = quantise(scaled, op->k, q);
		for (i = 0; i < op->k; i++)
			*cell(s, op->dst, r, op->dst_col + i) = scaled[i] - (float)q[i] * scale;
	}
	free(scaled);
	free(q);
	s->v[MXACCEL_CTR_SFU_QUANT] += rows * op->k;
}

static void do_qk(struct state *s)
{
	const struct mxaccel_op *op = s->op;
	int *q = malloc(op->k * sizeof(*q)), *k = malloc(op->k * sizeof(*k));
	uint64_t h, i, j, c;

	for (h = 0; h < op->heads; h++) {
		for (i = 0; i < s->length; i++) {
			float sq = quantise(cell(s, op->src, i, op->src_col + h * op->k), op->k, q);

			for (j = 0; j < s->length; j++) {
				float sk = quantise(cell(s, op->src2, j,
							 op->src2_col + h * op->k), op->k, k);
				int32_t acc = 0;

				for (c = 0; c < op->k; c++)
					acc += q[c] * k[c];
				*score(s, op->dst, h, i, j) = alpha(s) * ((float)acc * (sq * sk));
			}
		}
		count_product(s, s->length, op->k, s->length);
	}
	free(q);
	free(k);
	s->v[MXACCEL_CTR_SFU_QUANT] += 2 * op->heads * s->length * op->k;
	count_macs(s, MXACCEL_CTR_MACS_DYNAMIC,
		   (uint64_t)op->heads * s->length * s->length * op->k);
}

static void do_pv(struct state *s)
{
	const struct mxaccel_op *op = s->op;
	uint64_t length = s->length, h, i, j, c;
	int *v = malloc(length * op->n * sizeof(*v)), *p = malloc(length * sizeof(*p));
	float *sv = malloc(length * sizeof(*sv)), *weighted = malloc(length * sizeof(*weighted));

	for (h = 0; h < op->heads; h++) {
		for (j = 0; j < length; j++)
			sv[j] = quantise(cell(s, op->src2, j, op->src2_col + h * op->n), op->n,
					 v + j * op->n);
		for (i = 0; i < length; i++) {
			float sp;

			for (j = 0; j < length; j++)
				weighted[j] = *score(s, op->src, h, i, j) * sv[j];
			sp = quantise(weighted, length, p);
			for (c = 0; c < op->n; c++) {
				int32_t acc = 0;

				for (j = 0; j < length; j++)
					acc += p[j] * v[j * op->n + c];
				*cell(s, op->dst, i, op->dst_col + h * op->n + c) = (float)acc * sp;
			}
		}
		count_product(s, length, length, op->n);
	}
	free(v);
	free(p);
	free(sv);
	free(weighted);
	s->v[MXACCEL_CTR_SFU_QUANT] += op->heads * length * (length + op->n);
	count_macs(s, MXACCEL_CTR_MACS_DYNAMIC, op->heads * length * length * op->n);
}

static void do_softmax(struct state *s)
{
	const struct mxaccel_op *op = s->op;
	uint64_t heads = s->model->region[op->dst].cols, h, i, j;
	float *e = malloc(s->length * sizeof(*e));
	bool *masked = malloc(s->length);

	for (h = 0; h < heads; h++) {
		for (i = 0; i < s->length; i++) {
			float max = -INFINITY, sum;

			for (j = 0; j < s->length; j++) {
				float x = *score(s, op->src, h, i, j);

				masked[j] = (op->flags & MXACCEL_OPF_PAD_MASK && !s->ids[j]) ||
					    (op->flags & MXACCEL_OPF_CAUSAL && j > i);
				if (!masked[j] && x > max)
					max = x;
			}
			for (j = 0; j < s->length; j++)
				e[j] = masked[j] ? 0 : mx_expf(*score(s, op->src, h, i, j) - max);
			sum = lane_sum(e, s->length);
			for (j = 0; j < s->length; j++)
				*score(s, op->dst, h, i, j) = masked[j] ? 0 : e[j] / sum;
		}
	}
	free(e);
	free(masked);
	s->v[MXACCEL_CTR_SFU_SOFTMAX] += heads * s->length * s->length;
}

static void do_norm(struct state *s, uint64_t rows)
{
	const struct mxaccel_op *op = s->op;
	const float *gamma = param(s, op->w_off), *beta = param(s, op->b_off);
	float *square = malloc(op->k * sizeof(*square)), n = (float)op->k;
	uint64_t r, i;

	for (r = 0; r < rows; r++) {
		const float *x = cell(s, op->src, r, op->src_col);
		float *y = cell(s, op->dst, r, op->dst_col), mean = 0, root;

		if (op->kind == MXACCEL_NORM_LAYER)
			mean = lane_sum(x, op->k) / n;
		for (i = 0; i < op->k; i++)
			square[i] = (x[i] - mean) * (x[i] - mean);
		root = lane_sum(square, op->k);
		root = sqrtf(op->kind == MXACCEL_NORM_L2 ? root : root / n + alpha(s));
		for (i = 0; i < op->k; i++) {
			if (op->kind == MXACCEL_NORM_LAYER)
				y[i] = (x[i] - mean) / root * gamma[i] + beta[i];
			else if (op->kind == MXACCEL_NORM_RMS)
				y[i] = x[i] / root * gamma[i];
			else
				y[i] = root == 0 ? 0 : x[i] / root;
		}
	}
	free(square);
	s->v[MXACCEL_CTR_SFU_NORM] += rows * op->k;
}

static float activation(uint8_t kind, float x)
{
	switch (kind) {
	case MXACCEL_ACT_GELU_ERF:
		return (0.5f * x) * (1.0f + mx_erff(x * 0.707106769f));
	case MXACCEL_ACT_GELU_TANH:
		return (0.5f * x) *
		       (1.0f + mx_tanhf(0.797884583f * (x + ((0.044715f * x) * x) * x)));
	case MXACCEL_ACT_RELU:
		return x < 0 ? 0 : x;
	case MXACCEL_ACT_SILU:
		return x / (1.0f + mx_expf(-x));
	}
	return mx_tanhf(x);
}

static void do_elements(struct state *s, uint64_t rows)
{
	const struct mxaccel_op *op = s->op;
	uint64_t r, i;

	for (r = 0; r < rows; r++) {
		for (i = 0; i < op->k; i++) {
			float x = *cell(s, op->src, r, op->src_col + i);
			float *to = cell(s, op->dst, r, op->dst_col + i);

			if (op->opcode == MXACCEL_OP_ACT)
				*to = activation(op->kind, x);
			else
				*to = x + *cell(s, op->src2, r, op->src2_col + i);
		}
	}
	s->v[op->opcode == MXACCEL_OP_ACT ? MXACCEL_CTR_SFU_ACT : MXACCEL_CTR_SFU_ADD] +=
		rows * op->k;
}

static void do_pool(struct state *s)
{
	const struct mxaccel_op *op = s->op;
	float *column = malloc(s->length * sizeof(*column)), count = 0;
	uint64_t t, c;

	for (t = 0; t < s->length; t++)
		count += s->ids[t] != 0;
	for (c = 0; c < op->k; c++) {
		for (t = 0; t < s->length; t++)
			column[t] = s->ids[t] ? *cell(s, op->src, t, op->src_col + c) : 0;
		*cell(s, op->dst, 0, op->dst_col + c) =
			op->kind == MXACCEL_POOL_MEAN ? lane_sum(column, s->length) / count :
			*cell(s, op->src, 0, op->src_col + c);
	}
	free(column);
	s->v[MXACCEL_CTR_SFU_POOL] += s->length * op->k;
}

static void do_store(struct state *s, const struct mxaccel_entry *entry, uint32_t tokens,
		     float *out)
{
	const struct mxaccel_op *op = s->op;
	uint32_t rows = entry->out_kind == MXACCEL_REGION_SEQ ? 1 : tokens, r;

	for (r = 0; r < rows; r++) {
		if (rows > 1 && r >= s->length)
			memset(out + r * op->k, 0, op->k * sizeof(*out));
		else
			memcpy(out + r * op->k, cell(s, op->src, r, op->src_col),
			       op->k * sizeof(*out));
	}
	count_transfer(s, 4ull * rows * op->k);
	s->v[MXACCEL_CTR_SEQUENCES]++;
	s->v[MXACCEL_CTR_TOKENS] += s->length;
}

void reference_run(const struct mx_chip_config *config, const struct mx_model *model,
		   uint32_t entry_nr, const int32_t *ids, uint32_t tokens, float *out,
		   struct mx_counters *counters)
{
	const struct mxaccel_entry *entry = &model->entry[entry_nr];
	struct state s = { config, model, NULL, ids, tokens, NULL, counters->v };
	uint32_t i, nr = model->head->nr_regions;
	uint64_t rows, cells;

	while (!ids[s.length - 1])
		s.length--;
	s.region = calloc(nr, sizeof(*s.region));
	for (i = 0; i < nr; i++) {
		cells = model->region[i].kind == MXACCEL_REGION_SCORES ? s.length : 1;
		s.region[i] = calloc(model->region[i].cols * cells + 1, s.length * sizeof(float));
	}
	for (i = 0; i < entry->nr_ops; i++) {
		s.op = &model->op[entry->first_op + i];
		rows = model->region[s.op->dst].kind == MXACCEL_REGION_SEQ ? 1 : s.length;
		switch (s.op->opcode) {
		case MXACCEL_OP_LOAD:
			count_transfer(&s, 4ull * tokens);
			break;
		case MXACCEL_OP_EMBED:
			do_embed(&s);
			break;
		case MXACCEL_OP_MATMUL:
			do_matmul(&s, rows);
			break;
		case MXACCEL_OP_MATMUL_DYN:
			if (s.op->kind == MXACCEL_DYN_QK)
				do_qk(&s);
			else
				do_pv(&s);
			break;
		case MXACCEL_OP_SOFTMAX:
			do_softmax(&s);
			break;
		case MXACCEL_OP_NORM:
			do_norm(&s, rows);
			break;
		case MXACCEL_OP_ACT:
		case MXACCEL_OP_ADD:
			do_elements(&s, rows);
			break;
		case MXACCEL_OP_QUANT:
			do_residual(&s, rows);
			break;
		case MXACCEL_OP_POOL:
			do_pool(&s);
			break;
		case MXACCEL_OP_STORE:
			do_store(&s, entry, tokens, out);
			break;
		case MXACCEL_OP_FENCE:
			break;
		}
	}
	for (i = 0; i < nr; i++)
		free(s.region[i]);
	free(s.region);
}
