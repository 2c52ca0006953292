// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>

#include "exec_model.h"
#include "place.h"

#define MAX_OPS 96
#define MAX_PARAMS (1u << 20)

enum region { IDS, X, QKV, SCORES, PROBS, CONTEXT, FFN, POOLED, SENTENCE, NR_REGIONS };

const struct mx_chip_config exec_config = {
	.name = "unit", .organisation = "synergy", .clock_khz = 1000000,
	.banks = 4, .bank_rows = 1024, .bank_cols = 8192, .cell_bits = 4,
	.intermediate_banks = 1, .small_rows = 32, .small_cols = 16, .dac_bits = 2, .adc_bits = 3,
	.digit_bits = 4, .fabric_macs = 100, .fabric_utilisation_percent = 85,
	.bank_port_bytes = 32, .softmax_lanes = 5, .norm_units = 2, .norm_lanes = 3,
	.act_lanes = 7, .act_cycles = 8, .requant_units = 3, .requant_lanes = 9,
	.recip_cycles = 11, .rsqrt_cycles = 13, .bus_bytes = 16, .buffer_kib = 64,
	.energy = { .sram_bit = 0.05, .mac = 0.23, .bank_bit = 0.5, .softmax = 5, .norm = 4,
		    .act = 3, .requant = 1, .add = 0.25, .host_bit = 6 },
	.power = { .sram_kib_mw = 0.165, .mac_uw = 5, .misc_mw = 30 },
	.layer_cycles = 321, .link_setup_cycles = 77, .link_bytes_per_10_cycles = 33,
	.max_models = 4, .max_contexts = 4, .max_buffers = 4, .max_io_bytes = 1 << 26,
	.max_sg = 16,
};

struct build {
	struct exec_model *m;
	struct mxaccel_op op[MAX_OPS];
	uint32_t nr_ops;
	uint32_t random;
};

static uint32_t random_bits(struct build *b)
{
	b->random = b->random * 1664525 + 1013904223;
	return b->random >> 8;
}

static float random_float(struct build *b)
{
	return (float)((int32_t)random_bits(b) - (1 << 23)) / (1 << 23);
}

static uint64_t room(struct build *b, uint64_t bytes)
{
	uint64_t at = b->m->params_bytes;

	b->m->params_bytes += (bytes + MXACCEL_WORD - 1) / MXACCEL_WORD * MXACCEL_WORD;
	if (b->m->params_bytes > MAX_PARAMS)
		abort();
	return at;
}

static uint64_t floats(struct build *b, uint64_t nr, float mean, float spread)
{
	uint64_t at = room(b, nr * sizeof(float)), i;
	float *to = (float *)(b->m->params + at);

	for (i = 0; i < nr; i++)
		to[i] = mean + spread * random_float(b);
	return at;
}

static uint64_t table(struct build *b, uint32_t rows, uint32_t cols)
{
	uint64_t at = room(b, rows * MXACCEL_TABLE_STRIDE(cols)), r, c;

	for (r = 0; r < rows; r++)
		for (c = 0; c < cols; c++)
			b->m->params[at + r * MXACCEL_TABLE_STRIDE(cols) + c] = random_bits(b);
	return at;
}

static uint64_t panels(struct build *b, uint32_t n, uint32_t k)
{
	uint64_t at = room(b, MXACCEL_PANEL_BYTES(n, k)), i, j;

	for (j = 0; j < n; j++)
		for (i = 0; i < k; i++)
			b->m->params[at + MXACCEL_PANEL_OFFSET(j, i, k)] = random_bits(b);
	return at;
}

static struct mxaccel_op *op(struct build *b, uint8_t opcode, uint8_t kind, uint16_t dst,
			     uint16_t src, uint32_t k)
{
	struct mxaccel_op *o = &b->op[b->nr_ops++];

	if (b->nr_ops > MAX_OPS)
		abort();
	o->opcode = opcode;
	o->kind = kind;
	o->dst = dst;
	o->src = src;
	o->k = k;
	return o;
}

static void set_alpha(struct mxaccel_op *o, float alpha)
{
	memcpy(&o->alpha, &alpha, sizeof(alpha));
}

static void embed(struct build *b, uint8_t kind, uint32_t rows, uint32_t row)
{
	struct mxaccel_op *o = op(b, MXACCEL_OP_EMBED, kind, X, 0, EXEC_WIDTH);

	o->n = rows;
	o->src2_col = row;
	o->w_off = kind == MXACCEL_EMBED_POSITION ? panels(b, rows, EXEC_WIDTH) :
						    table(b, rows, EXEC_WIDTH);
	o->s_off = floats(b, rows, 0.02f, 0.01f);
	if (kind == MXACCEL_EMBED_TOKEN && !b->m->first_scale)
		b->m->first_scale = o->s_off;
	if (kind != MXACCEL_EMBED_TOKEN)
		o->flags = MXACCEL_OPF_ACCUMULATE;
	if (kind == MXACCEL_EMBED_POSITION)
		o->flags |= MXACCEL_OPF_PANELS;
}

static struct mxaccel_op *matmul(struct build *b, uint16_t dst, uint32_t dst_col, uint32_t n,
				 uint16_t src, uint32_t src_col, uint32_t k, bool bias)
{
	struct mxaccel_op *o = op(b, MXACCEL_OP_MATMUL, 0, dst, src, k);

	o->dst_col = dst_col;
	o->src_col = src_col;
	o->n = n;
	o->w_off = panels(b, n, k);
	o->s_off = floats(b, n, 0.003f, 0.001f);
	if (bias) {
		o->flags = MXACCEL_OPF_BIAS;
		o->b_off = floats(b, n, 0.0f, 0.1f);
	}
	return o;
}

/* Other scales, and factors behind them */
static void factors(struct build *b, struct mxaccel_op *o)
{
	o->s_off = floats(b, o->n, 0.003f, 0.001f);
	floats(b, o->k, 1.0f, 0.6f);
	o->flags |= MXACCEL_OPF_FACTORS;
}

static void norm(struct build *b, uint8_t kind, uint16_t region, uint32_t cols)
{
	struct mxaccel_op *o = op(b, MXACCEL_OP_NORM, kind, region, region, cols);

	if (kind != MXACCEL_NORM_L2) {
		o->w_off = floats(b, cols, 1.0f, 0.2f);
		set_alpha(o, 1e-5f);
	}
	if (kind == MXACCEL_NORM_LAYER)
		o->b_off = floats(b, cols, 0.0f, 0.2f);
}

/* The product once more, of what quantising left out, with the same weights. */
static void second_plane(struct build *b, const struct mxaccel_op *first)
{
	struct mxaccel_op *residual = op(b, MXACCEL_OP_QUANT, MXACCEL_QUANT_RESIDUAL, CONTEXT,
					 first->src, first->k);
	struct mxaccel_op *second = op(b, MXACCEL_OP_MATMUL, 0, first->dst, CONTEXT, first->k);

	residual->src_col = first->src_col;
	residual->dst_col = second->src_col = 3;
	/* What is left of scaled inputs is scaled. */
	residual->flags = first->flags & MXACCEL_OPF_FACTORS;
	if (residual->flags)
		residual->w_off = MXACCEL_FACTORS(first->s_off, first->n);
	second->dst_col = first->dst_col;
	second->n = first->n;
	second->w_off = first->w_off;
	second->s_off = first->s_off;
	second->flags = MXACCEL_OPF_ACCUMULATE;
}

static void attention(struct build *b, uint16_t flags)
{
	struct mxaccel_op *o;

	o = matmul(b, QKV, 0, 3 * EXEC_WIDTH, X, 0, EXEC_WIDTH, true);
	factors(b, o);
	second_plane(b, o);
	o = op(b, MXACCEL_OP_MATMUL_DYN, MXACCEL_DYN_QK, SCORES, QKV, EXEC_HEAD);
	o->src2 = QKV;
	o->src2_col = EXEC_WIDTH;
	o->heads = EXEC_HEADS;
	set_alpha(o, 0.3015f);
	o = op(b, MXACCEL_OP_SOFTMAX, 0, flags & MXACCEL_OPF_CAUSAL ? SCORES : PROBS, SCORES, 0);
	o->flags = flags;
	o = op(b, MXACCEL_OP_MATMUL_DYN, MXACCEL_DYN_PV, CONTEXT, o->dst, 0);
	o->n = EXEC_HEAD;
	o->src2 = QKV;
	o->src2_col = 2 * EXEC_WIDTH;
	o->dst_col = 2;
	o->heads = EXEC_HEADS;
	matmul(b, FFN, 5, EXEC_WIDTH, CONTEXT, 2, EXEC_WIDTH, false);
	o = op(b, MXACCEL_OP_ADD, 0, X, X, EXEC_WIDTH);
	o->src2 = FFN;
	o->src2_col = 5;
}

static void feed_forward(struct build *b)
{
	struct mxaccel_op *o;
	uint8_t kind;

	matmul(b, FFN, 0, EXEC_FFN, X, 0, EXEC_WIDTH, true);
	/* Each activation on ten columns. */
	for (kind = MXACCEL_ACT_GELU_ERF; kind <= MXACCEL_ACT_TANH; kind++) {
		o = op(b, MXACCEL_OP_ACT, kind, FFN, FFN, 10);
		o->dst_col = o->src_col = 10 * (kind - 1);
	}
	matmul(b, QKV, 1, EXEC_WIDTH, FFN, 0, EXEC_FFN, true);
	o = op(b, MXACCEL_OP_ADD, 0, X, QKV, EXEC_WIDTH);
	o->src_col = 1;
	o->src2 = X;
}

static void encoder(struct build *b)
{
	struct mxaccel_op *o;

	op(b, MXACCEL_OP_LOAD, 0, IDS, 0, 0);
	embed(b, MXACCEL_EMBED_TOKEN, EXEC_VOCAB, 0);
	embed(b, MXACCEL_EMBED_POSITION, EXEC_TOKENS, 0);
	embed(b, MXACCEL_EMBED_FIXED, 3, 1);
	norm(b, MXACCEL_NORM_LAYER, X, EXEC_WIDTH);
	attention(b, MXACCEL_OPF_PAD_MASK);
	norm(b, MXACCEL_NORM_RMS, X, EXEC_WIDTH);
	feed_forward(b);
	op(b, MXACCEL_OP_FENCE, 0, 0, 0, 0);
	norm(b, MXACCEL_NORM_LAYER, X, EXEC_WIDTH);
	attention(b, MXACCEL_OPF_PAD_MASK | MXACCEL_OPF_CAUSAL);
	/* Accumulated with a bias, too, onto columns that hold something else. */
	o = matmul(b, X, 4, EXEC_WIDTH - 9, CONTEXT, 2, EXEC_WIDTH, true);
	o->flags |= MXACCEL_OPF_ACCUMULATE;
	norm(b, MXACCEL_NORM_LAYER, X, EXEC_WIDTH);
	op(b, MXACCEL_OP_FENCE, 0, 0, 0, 0);
}

static void end_entry(struct build *b, struct mxaccel_entry *entry, const char *name,
		      uint32_t first, uint8_t kind, uint32_t cols)
{
	strcpy(entry->name, name);
	entry->first_op = first;
	entry->nr_ops = b->nr_ops - first;
	entry->out_kind = kind;
	entry->out_cols = cols;
}

void exec_model_place(struct exec_model *m, const struct mx_chip_config *config)
{
	struct mx_place_geometry geometry = mx_place_geometry(config);

	free(m->model.place);
	if (mx_place_make(&geometry, &m->model, MX_PLACE_SPREAD, &m->model.place))
		abort();
}

struct exec_model *exec_model_make(uint32_t seed)
{
	static const struct mxaccel_region regions[NR_REGIONS] = {
		[IDS] = { .kind = MXACCEL_REGION_IDS },
		[X] = { .kind = MXACCEL_REGION_ROWS, .cols = EXEC_WIDTH },
		[QKV] = { .kind = MXACCEL_REGION_ROWS, .cols = 3 * EXEC_WIDTH },
		[SCORES] = { .kind = MXACCEL_REGION_SCORES, .cols = EXEC_HEADS },
		[PROBS] = { .kind = MXACCEL_REGION_SCORES, .cols = EXEC_HEADS },
		[CONTEXT] = { .kind = MXACCEL_REGION_ROWS, .cols = EXEC_WIDTH + 4 },
		[FFN] = { .kind = MXACCEL_REGION_ROWS, .cols = EXEC_FFN },
		[POOLED] = { .kind = MXACCEL_REGION_SEQ, .cols = 2 * EXEC_WIDTH },
		[SENTENCE] = { .kind = MXACCEL_REGION_SEQ, .cols = EXEC_OUT },
	};
	struct exec_model *m = calloc(1, sizeof(*m));
	struct build b = { .m = m, .random = seed };
	struct mxaccel_entry *entry = calloc(EXEC_ENTRIES, sizeof(*entry));
	struct mxaccel_region *region = malloc(sizeof(regions));
	struct mxaccel_model *head = calloc(1, sizeof(*head));
	struct mxaccel_op *o, *ops;
	uint32_t first;

	m->params = aligned_alloc(MXACCEL_PAGE, MAX_PARAMS);
	memset(m->params, 0, MAX_PARAMS);
	memcpy(region, regions, sizeof(regions));

	encoder(&b);
	o = op(&b, MXACCEL_OP_STORE, 0, 0, X, EXEC_WIDTH - 3);
	o->src_col = 2;
	end_entry(&b, &entry[EXEC_ENTRY_TOKENS], "tokens", 0, MXACCEL_REGION_ROWS, EXEC_WIDTH - 3);

	first = b.nr_ops;
	encoder(&b);
	o = op(&b, MXACCEL_OP_POOL, MXACCEL_POOL_MEAN, POOLED, X, EXEC_WIDTH);
	o = op(&b, MXACCEL_OP_POOL, MXACCEL_POOL_FIRST, POOLED, X, EXEC_WIDTH);
	o->dst_col = EXEC_WIDTH;
	matmul(&b, SENTENCE, 0, EXEC_OUT, POOLED, 0, 2 * EXEC_WIDTH, true);
	op(&b, MXACCEL_OP_ACT, MXACCEL_ACT_TANH, SENTENCE, SENTENCE, EXEC_OUT);
	norm(&b, MXACCEL_NORM_L2, SENTENCE, EXEC_OUT);
	op(&b, MXACCEL_OP_STORE, 0, 0, SENTENCE, EXEC_OUT);
	end_entry(&b, &entry[EXEC_ENTRY_SENTENCE], "sentence", first, MXACCEL_REGION_SEQ,
		  EXEC_OUT);

	ops = malloc(b.nr_ops * sizeof(*ops));
	memcpy(ops, b.op, b.nr_ops * sizeof(*ops));
	head->vocab = EXEC_VOCAB;
	head->max_tokens = EXEC_TOKENS;
	head->nr_regions = NR_REGIONS;
	head->nr_entries = EXEC_ENTRIES;
	head->nr_ops = b.nr_ops;
	m->model.head = head;
	m->model.region = region;
	m->model.entry = entry;
	m->model.op = ops;
	m->model.params = m->params;
	m->model.params_bytes = m->params_bytes;
	exec_model_place(m, &exec_config);
	return m;
}

void exec_model_free(struct exec_model *m)
{
	free((void *)m->model.head);
	free((void *)m->model.region);
	free((void *)m->model.entry);
	free((void *)m->model.op);
	free(m->model.place);
	free(m->params);
	free(m);
}

uint32_t exec_model_op(const struct exec_model *m, uint32_t entry, uint8_t opcode)
{
	const struct mxaccel_op *ops = m->model.op + m->model.entry[entry].first_op;
	uint32_t i = 0;

	while (ops[i].opcode != opcode)
		i++;
	return i;
}
