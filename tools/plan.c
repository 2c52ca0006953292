// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Layout of PARAMS: the parameters of a BERT encoder one after the other, each
 * piece at a word boundary.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxmap.h"
#include "program.h"

static uint64_t take(struct plan *plan, uint64_t bytes)
{
	uint64_t at = plan->params_bytes;

	plan->params_bytes += (bytes + MXACCEL_WORD - 1) / MXACCEL_WORD * MXACCEL_WORD;
	return at;
}

/* Return: place of the weight */
static unsigned int add(struct plan *plan, enum weight_kind kind, const char *prefix,
		const char *const *names, uint32_t rows, uint32_t cols, const char *step)
{
	struct weight *weight = &plan->weight[plan->nr++];

	weight->kind = kind;
	for (; names[weight->nr_parts]; weight->nr_parts++)
		snprintf(weight->name[weight->nr_parts], sizeof(weight->name[0]), "%s%s", prefix,
			 names[weight->nr_parts]);
	weight->rows = rows * weight->nr_parts;
	weight->cols = cols;
	weight->bias = "";
	plan->parameters += (kind == WEIGHT_NORM ? 2ull : weight->rows) * cols;
	if (kind == WEIGHT_TIED || kind == WEIGHT_MATRIX)
		plan->parameters += weight->rows;
	snprintf(weight->step, sizeof(weight->step), "%s", step);
	switch (kind) {
	case WEIGHT_TABLE:
		weight->w_off = take(plan, rows * MXACCEL_TABLE_STRIDE(cols));
		weight->s_off = take(plan, 4ull * rows);
		break;
	case WEIGHT_TIED:
	case WEIGHT_MATRIX:
		weight->w_off = take(plan, MXACCEL_PANEL_BYTES(weight->rows, cols));
		weight->s_off = take(plan, 4ull * weight->rows);
		if (weight->factors)
			take(plan, 4ull * cols);
		weight->b_off = take(plan, 4ull * weight->rows);
		break;
	case WEIGHT_NORM:
		weight->w_off = take(plan, 4ull * cols);
		weight->b_off = take(plan, 4ull * cols);
		break;
	}
	return plan->nr - 1;
}

#define NAMES(...) ((const char *const []){ __VA_ARGS__, NULL })

/* The weight that is added next has factors for its inputs. */
static void smooth_next(struct plan *plan)
{
	plan->weight[plan->nr].factors = plan->smooth;
}

static void add_layer(struct plan *plan, const struct hf_config *c, unsigned int layer)
{
	char prefix[32], step[32];

	snprintf(prefix, sizeof(prefix), "encoder.layer.%u.", layer);
	snprintf(step, sizeof(step), "layer %u of %u", layer + 1, c->layers);
	smooth_next(plan);
	add(plan, WEIGHT_MATRIX, prefix,
	    NAMES("attention.self.query", "attention.self.key", "attention.self.value"),
	    c->hidden, c->hidden, step);
	add(plan, WEIGHT_MATRIX, prefix, NAMES("attention.output.dense"), c->hidden, c->hidden,
	    step);
	add(plan, WEIGHT_NORM, prefix, NAMES("attention.output.LayerNorm"), 1, c->hidden, step);
	smooth_next(plan);
	add(plan, WEIGHT_MATRIX, prefix, NAMES("intermediate.dense"), c->ffn, c->hidden, step);
	smooth_next(plan);
	add(plan, WEIGHT_MATRIX, prefix, NAMES("output.dense"), c->hidden, c->ffn, step);
	add(plan, WEIGHT_NORM, prefix, NAMES("output.LayerNorm"), 1, c->hidden, step);
}

static void add_heads(struct plan *plan, const struct hf_config *c)
{
	const struct heads *heads = &plan->heads;
	const char *step = heads->nsp || heads->mlm || heads->labels ? "heads" : "pooler";

	if (heads->pooler)
		plan->pooler = add(plan, WEIGHT_MATRIX, "pooler.", NAMES("dense"), c->hidden,
				   c->hidden, step);
	if (heads->nsp)
		plan->nsp = add(plan, WEIGHT_MATRIX, "cls.", NAMES("seq_relationship"), 2,
				c->hidden, step);
	if (heads->labels)
		plan->classifier = add(plan, WEIGHT_MATRIX, "", NAMES("classifier"),
				       heads->labels, c->hidden, step);
	if (!heads->mlm)
		return;
	plan->transform = add(plan, WEIGHT_MATRIX, "cls.predictions.", NAMES("transform.dense"),
			      c->hidden, c->hidden, step);
	plan->transform_norm = add(plan, WEIGHT_NORM, "cls.predictions.",
				   NAMES("transform.LayerNorm"), 1, c->hidden, step);
	plan->decoder = PLAN_WORDS;
	if (!heads->tied)
		plan->decoder = add(plan, WEIGHT_MATRIX, "cls.predictions.", NAMES("decoder"),
				    c->vocab, c->hidden, step);
	plan->weight[plan->decoder].bias = heads->decoder_bias;
}

int plan_make(const struct hf_config *c, const struct heads *heads, bool smooth,
	      struct plan *plan)
{
	bool tied = heads->mlm && heads->tied;
	unsigned int i;

	memset(plan, 0, sizeof(*plan));
	plan->heads = *heads;
	plan->smooth = smooth;
	plan->weight = calloc(PLAN_FIRST_LAYER + PLAN_PER_LAYER * c->layers + PLAN_HEADS,
			      sizeof(*plan->weight));
	if (!plan->weight)
		return mxmap_no_memory();
	add(plan, tied ? WEIGHT_TIED : WEIGHT_TABLE, "embeddings.", NAMES("word_embeddings"), c->vocab, c->hidden,
	    "embeddings");
	add(plan, WEIGHT_TABLE, "embeddings.", NAMES("position_embeddings"), c->positions,
	    c->hidden, "embeddings");
	add(plan, WEIGHT_TABLE, "embeddings.", NAMES("token_type_embeddings"), c->types,
	    c->hidden, "embeddings");
	add(plan, WEIGHT_NORM, "embeddings.", NAMES("LayerNorm"), 1, c->hidden, "embeddings");
	for (i = 0; i < c->layers; i++)
		add_layer(plan, c, i);
	add_heads(plan, c);
	return 0;
}

void plan_free(struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->nr; i++) {
		free(plan->weight[i].by_col);
		free(plan->weight[i].by_row);
	}
	free(plan->weight);
	plan->weight = NULL;
	plan->nr = 0;
}
