// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The chip program of a BERT encoder: regions, entries, macro-ops.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mxmap.h"
#include "program.h"

#define NO_LAYER 0xffff
#define MAX_ENTRIES 6
#define OPS_OF_LAYER 19
#define OPS_AROUND 16	/* at most: embedding, head, result */
#define NSP_COLS 2	/* is the next sentence, is not */

/*
 * Regions. WIDE holds Q, K and V side by side, then the attention's output,
 * then the inner activations of the feed-forward network.
 */
enum {
	IDS,		/* 0, which ops that mask may leave out */
	HIDDEN,		/* [T, hidden]: input and output of each layer */
	WIDE,		/* [T, max(3 * hidden, ffn)] */
	SCORES,		/* [heads, T, T] */
	MIXED,		/* [T, hidden]: attention over V; output of the network */
	RESIDUAL,	/* [T, hidden]: what an INT8 plane leaves out; with 2 planes */
	POOLED,		/* [1, hidden]: first token, or mean */
	POOLER,		/* [1, hidden] */
	CLASSES,	/* [1, labels] */
	WORDS,		/* [T, vocab] */
	NR_REGIONS
};

struct builder {
	const struct hf_config *config;
	const struct plan *plan;
	unsigned int planes;
	struct mxaccel_region region[NR_REGIONS];
	struct mxaccel_entry entry[MAX_ENTRIES];
	uint32_t nr_entries;
	struct mxaccel_op *op;
	uint32_t nr_ops;
	uint16_t layer;
};

static uint32_t float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static void emit(struct builder *b, struct mxaccel_op op)
{
	op.layer = b->layer;
	b->op[b->nr_ops++] = op;
}

static void embed(struct builder *b, uint8_t kind, unsigned int weight, uint16_t flags)
{
	const struct weight *w = &b->plan->weight[weight];

	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_EMBED, .kind = kind, .dst = HIDDEN, .src = IDS,
		.flags = flags | (w->kind == WEIGHT_TIED ? MXACCEL_OPF_PANELS : 0),
		 .k = w->cols, .n = w->rows, .w_off = w->w_off, .s_off = w->s_off });
}

static void norm(struct builder *b, unsigned int weight, uint16_t region)
{
	const struct weight *w = &b->plan->weight[weight];

	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_NORM, .kind = MXACCEL_NORM_LAYER, .dst = region,
		.src = region, .k = w->cols, .w_off = w->w_off, .b_off = w->b_off,
		.alpha = float_bits(b->config->eps) });
}

static void matmul(struct builder *b, unsigned int weight, uint16_t dst, uint16_t src)
{
	const struct weight *w = &b->plan->weight[weight];

	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_MATMUL, .dst = dst, .src = src,
		.flags = MXACCEL_OPF_BIAS | (w->factors ? MXACCEL_OPF_FACTORS : 0),
		.k = w->cols, .n = w->rows, .w_off = w->w_off, .s_off = w->s_off,
		.b_off = w->b_off });
}

/*
 * A product whose input has channels far larger than the rest, as the hidden
 * states of BERT have: one INT8 plane leaves the small ones too few steps.
 * The second plane is the quantised residual of the first, which @residual
 * holds: @src itself where nothing reads that afterwards.
 */
static void wide_matmul(struct builder *b, unsigned int weight, uint16_t dst, uint16_t src,
			uint16_t residual)
{
	const struct weight *w = &b->plan->weight[weight];

	matmul(b, weight, dst, src);
	if (b->planes < 2)
		return;
	/* The residual of scaled inputs is scaled: the second product takes it as it is. */
	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_QUANT, .kind = MXACCEL_QUANT_RESIDUAL, .dst = residual,
		.src = src, .k = w->cols, .flags = w->factors ? MXACCEL_OPF_FACTORS : 0,
		.w_off = w->factors ? MXACCEL_FACTORS(w->s_off, w->rows) : 0 });
	matmul(b, weight, dst, residual);
	b->op[b->nr_ops - 1].flags = MXACCEL_OPF_ACCUMULATE;
	b->op[b->nr_ops - 1].b_off = 0;
}

static void act(struct builder *b, uint8_t kind, uint16_t region, uint32_t cols)
{
	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_ACT, .kind = kind, .dst = region, .src = region, .k = cols });
}

/* The residual: hidden += what the region holds in its first columns */
static void add_to_hidden(struct builder *b, uint16_t region)
{
	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_ADD, .dst = HIDDEN, .src = HIDDEN, .src2 = region,
		.k = b->config->hidden });
}

static void attention(struct builder *b, unsigned int first)
{
	uint32_t hidden = b->config->hidden, heads = b->config->heads, width = hidden / heads;

	wide_matmul(b, first + PLAN_QKV, WIDE, HIDDEN, RESIDUAL);
	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_MATMUL_DYN, .kind = MXACCEL_DYN_QK, .dst = SCORES,
		.src = WIDE, .src2 = WIDE, .heads = heads, .src2_col = hidden, .k = width,
		.alpha = float_bits(1 / sqrt(width)) });
	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_SOFTMAX, .flags = MXACCEL_OPF_PAD_MASK, .dst = SCORES,
		.src = SCORES, .src2 = IDS });
	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_MATMUL_DYN, .kind = MXACCEL_DYN_PV, .dst = MIXED,
		.src = SCORES, .src2 = WIDE, .heads = heads, .src2_col = 2 * hidden, .n = width });
	matmul(b, first + PLAN_ATT_OUT, WIDE, MIXED);
	add_to_hidden(b, WIDE);
	norm(b, first + PLAN_ATT_NORM, HIDDEN);
}

static void encoder(struct builder *b)
{
	unsigned int layer;

	b->layer = NO_LAYER;
	emit(b, (struct mxaccel_op){ .opcode = MXACCEL_OP_LOAD, .dst = IDS });
	embed(b, MXACCEL_EMBED_TOKEN, PLAN_WORDS, 0);
	embed(b, MXACCEL_EMBED_POSITION, PLAN_POSITIONS, MXACCEL_OPF_ACCUMULATE);
	embed(b, MXACCEL_EMBED_FIXED, PLAN_TYPES, MXACCEL_OPF_ACCUMULATE);
	norm(b, PLAN_EMBED_NORM, HIDDEN);
	for (layer = 0; layer < b->config->layers; layer++) {
		unsigned int first = PLAN_FIRST_LAYER + layer * PLAN_PER_LAYER;

		b->layer = layer;
		attention(b, first);
		wide_matmul(b, first + PLAN_FFN_IN, WIDE, HIDDEN, RESIDUAL);
		act(b, b->config->act, WIDE, b->config->ffn);
		wide_matmul(b, first + PLAN_FFN_OUT, MIXED, WIDE, WIDE);
		add_to_hidden(b, MIXED);
		norm(b, first + PLAN_FFN_NORM, HIDDEN);
		emit(b, (struct mxaccel_op){ .opcode = MXACCEL_OP_FENCE });
	}
	b->layer = NO_LAYER;
}

static void begin_entry(struct builder *b, const char *name, uint8_t out_kind, uint32_t cols)
{
	struct mxaccel_entry *entry = &b->entry[b->nr_entries];

	strcpy(entry->name, name);
	entry->first_op = b->nr_ops;
	entry->out_kind = out_kind;
	entry->out_cols = cols;
	encoder(b);
}

static void end_entry(struct builder *b, uint16_t region)
{
	struct mxaccel_entry *entry = &b->entry[b->nr_entries++];

	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_STORE, .src = region, .k = entry->out_cols });
	entry->nr_ops = b->nr_ops - entry->first_op;
}

static void pool(struct builder *b, uint8_t kind)
{
	emit(b, (struct mxaccel_op){
		.opcode = MXACCEL_OP_POOL, .kind = kind, .dst = POOLED, .src = HIDDEN,
		.k = b->config->hidden });
}

/* An entry on the first token's hidden state: the pooler, and a classifier of @labels on it */
static void pooler_entry(struct builder *b, const char *name, unsigned int classifier,
			 uint32_t labels)
{
	begin_entry(b, name, MXACCEL_REGION_SEQ, labels ? labels : b->config->hidden);
	pool(b, MXACCEL_POOL_FIRST);
	matmul(b, b->plan->pooler, POOLER, POOLED);
	act(b, MXACCEL_ACT_TANH, POOLER, b->config->hidden);
	if (labels)
		matmul(b, classifier, CLASSES, POOLER);
	end_entry(b, labels ? CLASSES : POOLER);
}

/* Words for each token */
static void mlm_entry(struct builder *b)
{
	begin_entry(b, "mlm", MXACCEL_REGION_ROWS, b->config->vocab);
	wide_matmul(b, b->plan->transform, MIXED, HIDDEN, HIDDEN);
	act(b, b->config->act, MIXED, b->config->hidden);
	norm(b, b->plan->transform_norm, MIXED);
	wide_matmul(b, b->plan->decoder, WORDS, MIXED, MIXED);
	end_entry(b, WORDS);
}

static void build_entries(struct builder *b)
{
	const struct heads *heads = &b->plan->heads;

	begin_entry(b, "tokens", MXACCEL_REGION_ROWS, b->config->hidden);
	end_entry(b, HIDDEN);
	if (b->config->pool) {
		begin_entry(b, "sentence", MXACCEL_REGION_SEQ, b->config->hidden);
		pool(b, b->config->pool);
		emit(b, (struct mxaccel_op){
			.opcode = MXACCEL_OP_NORM, .kind = MXACCEL_NORM_L2, .dst = POOLED,
			.src = POOLED, .k = b->config->hidden });
		end_entry(b, POOLED);
	}
	if (heads->pooler)
		pooler_entry(b, "pooler", 0, 0);
	if (heads->nsp)
		pooler_entry(b, "nsp", b->plan->nsp, NSP_COLS);
	if (heads->labels)
		pooler_entry(b, "classifier", b->plan->classifier, heads->labels);
	if (heads->mlm)
		mlm_entry(b);
}

/* Regions have no holes: one that is not used, between used ones, has one column. */
static uint32_t fill_regions(struct builder *b)
{
	uint32_t hidden = b->config->hidden, ffn = b->config->ffn;
	const struct heads *heads = &b->plan->heads;
	uint32_t classes = heads->nsp ? NSP_COLS : 0;
	struct mxaccel_region *r = b->region;

	if (heads->labels > classes)
		classes = heads->labels;
	r[IDS].kind = MXACCEL_REGION_IDS;
	r[HIDDEN] = (struct mxaccel_region){ .kind = MXACCEL_REGION_ROWS, .cols = hidden };
	r[WIDE] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_ROWS, .cols = 3 * hidden > ffn ? 3 * hidden : ffn };
	r[SCORES] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_SCORES, .cols = b->config->heads };
	r[MIXED] = r[HIDDEN];
	r[RESIDUAL] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_ROWS, .cols = b->planes < 2 ? 1 : hidden };
	r[POOLED] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_SEQ, .cols = b->config->pool || heads->pooler ? hidden : 1 };
	r[POOLER] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_SEQ, .cols = heads->pooler ? hidden : 1 };
	r[CLASSES] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_SEQ, .cols = classes ? classes : 1 };
	r[WORDS] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_ROWS, .cols = b->config->vocab };
	if (heads->mlm)
		return WORDS + 1;
	if (classes)
		return CLASSES + 1;
	if (heads->pooler)
		return POOLER + 1;
	return b->config->pool ? POOLED + 1 : POOLED;
}

struct mxaccel_model *program_make(const struct hf_config *config, const struct plan *plan,
				   const char *name, uint32_t max_tokens, unsigned int planes,
				   uint64_t *bytes)
{
	size_t max_ops = MAX_ENTRIES * (OPS_AROUND + (size_t)OPS_OF_LAYER * config->layers);
	struct builder b = { .config = config, .plan = plan, .planes = planes };
	struct mxaccel_model *model = NULL;
	uint32_t nr_regions;
	uint8_t *at;

	b.op = calloc(max_ops, sizeof(*b.op));
	if (b.op) {
		nr_regions = fill_regions(&b);
		build_entries(&b);
		*bytes = sizeof(*model) + nr_regions * sizeof(b.region[0]) +
			 b.nr_entries * sizeof(b.entry[0]) + b.nr_ops * sizeof(b.op[0]);
		model = calloc(1, *bytes);
	}
	if (model) {
		model->magic = MXACCEL_MODEL_MAGIC;
		model->version = MXACCEL_MODEL_VERSION;
		strncpy(model->name, name, sizeof(model->name) - 1);
		model->params_bytes = plan->params_bytes;
		model->vocab = config->vocab;
		model->max_tokens = max_tokens;
		model->nr_regions = nr_regions;
		model->nr_entries = b.nr_entries;
		model->nr_ops = b.nr_ops;
		at = (uint8_t *)(model + 1);
		at = mempcpy(at, b.region, nr_regions * sizeof(b.region[0]));
		at = mempcpy(at, b.entry, b.nr_entries * sizeof(b.entry[0]));
		memcpy(at, b.op, b.nr_ops * sizeof(b.op[0]));
	} else {
		mxmap_no_memory();
	}
	free(b.op);
	return model;
}
