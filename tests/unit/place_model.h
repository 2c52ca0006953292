/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs without parameters, for tests of placement: encoders, and random ones. */
#ifndef PLACE_MODEL_H
#define PLACE_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "place_policy.h"

enum { PLACE_QKV, PLACE_OUT, PLACE_UP, PLACE_DOWN, PLACE_WEIGHTS };
enum { PLACE_REGION_IDS, PLACE_REGION_ROWS, PLACE_REGION_SCORES, PLACE_REGION_SEQ, PLACE_REGIONS };
/* Units of random geometries, at most; layers of an encoder; tables and products of a program */
enum { PLACE_UNITS = 40, PLACE_LAYERS = 24, PLACE_OPS = 400 };

/**
 * struct place_model - a program
 * @section:	MODEL section with room for a placement table after the ops; the
 *		model points into it
 * @bytes:	of the section
 * @layer:	w_off of the encoder's weights
 */
struct place_model {
	struct mx_model model;
	struct mxaccel_model *section;
	uint64_t bytes;
	uint64_t layer[PLACE_LAYERS][PLACE_WEIGHTS];
	struct mxaccel_op op[PLACE_OPS];
	uint32_t nr_ops;
	uint64_t params_bytes;
};

static inline uint64_t place_take(struct place_model *m, uint64_t bytes)
{
	uint64_t at = m->params_bytes;

	m->params_bytes += (bytes + MXACCEL_WORD - 1) / MXACCEL_WORD * MXACCEL_WORD;
	return at;
}

static inline void place_add(struct place_model *m, struct mxaccel_op op)
{
	if (m->nr_ops == PLACE_OPS)
		abort();
	m->op[m->nr_ops++] = op;
}

static inline void place_table(struct place_model *m, uint8_t kind, uint32_t n, uint32_t k)
{
	place_add(m, (struct mxaccel_op){
		.opcode = MXACCEL_OP_EMBED, .kind = kind, .dst = PLACE_REGION_ROWS, .k = k, .n = n,
		.flags = kind == MXACCEL_EMBED_TOKEN ? 0 : MXACCEL_OPF_ACCUMULATE,
		.w_off = place_take(m, MXACCEL_TABLE_STRIDE(k) * n), .s_off = 0 });
}

/* A product within the region: inputs are its first half, outputs its second. */
static inline uint64_t place_product(struct place_model *m, uint32_t k, uint32_t n,
				     unsigned int planes, uint16_t region)
{
	uint64_t w_off = place_take(m, MXACCEL_PANEL_BYTES(n, k));
	unsigned int i;

	for (i = 0; i < planes; i++)
		place_add(m, (struct mxaccel_op){
			.opcode = MXACCEL_OP_MATMUL, .flags = i ? MXACCEL_OPF_ACCUMULATE : 0,
			.dst = region, .dst_col = 4096, .src = region, .k = k, .n = n,
			.w_off = w_off });
	return w_off;
}

static inline void place_attention(struct place_model *m, uint32_t hidden, uint32_t heads)
{
	place_add(m, (struct mxaccel_op){
		.opcode = MXACCEL_OP_MATMUL_DYN, .kind = MXACCEL_DYN_QK,
		.dst = PLACE_REGION_SCORES, .src = PLACE_REGION_ROWS, .src2 = PLACE_REGION_ROWS,
		.heads = heads, .k = hidden / heads });
	place_add(m, (struct mxaccel_op){
		.opcode = MXACCEL_OP_MATMUL_DYN, .kind = MXACCEL_DYN_PV,
		.dst = PLACE_REGION_ROWS, .src = PLACE_REGION_SCORES, .src2 = PLACE_REGION_ROWS,
		.dst_col = 4096, .heads = heads, .n = hidden / heads });
}

/* The ops as one entry, as a checked model has them. */
static inline void place_finish(struct place_model *m, uint32_t vocab, uint32_t max_tokens,
				uint32_t heads)
{
	struct mxaccel_region *region;
	struct mxaccel_entry *entry;

	place_add(m, (struct mxaccel_op){
		.opcode = MXACCEL_OP_STORE, .src = PLACE_REGION_ROWS, .k = 1 });
	m->bytes = sizeof(*m->section) + PLACE_REGIONS * sizeof(*region) + sizeof(*entry) +
		   m->nr_ops * sizeof(m->op[0]);
	m->section = calloc(1, m->bytes + PLACE_OPS * sizeof(struct mxaccel_place));
	if (!m->section)
		abort();
	region = (struct mxaccel_region *)(m->section + 1);
	entry = (struct mxaccel_entry *)(region + PLACE_REGIONS);
	*m->section = (struct mxaccel_model){
		.magic = MXACCEL_MODEL_MAGIC, .version = MXACCEL_MODEL_VERSION, .name = "place",
		.params_bytes = m->params_bytes, .vocab = vocab < 2 ? 2 : vocab,
		.max_tokens = max_tokens, .nr_regions = PLACE_REGIONS, .nr_entries = 1,
		.nr_ops = m->nr_ops };
	region[PLACE_REGION_IDS].kind = MXACCEL_REGION_IDS;
	region[PLACE_REGION_ROWS] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_ROWS, .cols = 12288 };
	region[PLACE_REGION_SCORES] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_SCORES, .cols = heads };
	region[PLACE_REGION_SEQ] = (struct mxaccel_region){
		.kind = MXACCEL_REGION_SEQ, .cols = 12288 };
	*entry = (struct mxaccel_entry){
		.name = "tokens", .nr_ops = m->nr_ops, .out_kind = MXACCEL_REGION_ROWS,
		.out_cols = 1 };
	memcpy(entry + 1, m->op, m->nr_ops * sizeof(m->op[0]));
	m->model.head = m->section;
	m->model.region = region;
	m->model.entry = entry;
	m->model.op = (struct mxaccel_op *)(entry + 1);
	m->model.params_bytes = m->params_bytes;
}

/* @vocab of 0: without embeddings */
static inline struct place_model *place_encoder(uint32_t layers, uint32_t hidden, uint32_t ffn,
						uint32_t heads, uint32_t vocab, uint32_t tokens,
						unsigned int planes)
{
	struct place_model *m = calloc(1, sizeof(*m));
	uint32_t i;

	if (!m)
		abort();
	place_add(m, (struct mxaccel_op){ .opcode = MXACCEL_OP_LOAD });
	if (vocab) {
		place_table(m, MXACCEL_EMBED_TOKEN, vocab, hidden);
		place_table(m, MXACCEL_EMBED_POSITION, tokens, hidden);
		place_table(m, MXACCEL_EMBED_FIXED, 2, hidden);
	}
	for (i = 0; i < layers; i++) {
		uint64_t *w = m->layer[i];

		w[PLACE_QKV] = place_product(m, hidden, 3 * hidden, planes, PLACE_REGION_ROWS);
		place_attention(m, hidden, heads);
		w[PLACE_OUT] = place_product(m, hidden, hidden, 1, PLACE_REGION_ROWS);
		w[PLACE_UP] = place_product(m, hidden, ffn, planes, PLACE_REGION_ROWS);
		w[PLACE_DOWN] = place_product(m, ffn, hidden, planes, PLACE_REGION_ROWS);
		place_add(m, (struct mxaccel_op){ .opcode = MXACCEL_OP_FENCE });
	}
	place_finish(m, vocab, tokens, heads);
	return m;
}

static inline void place_free(struct place_model *m)
{
	free(m->model.place);
	free(m->section);
	free(m);
}

static inline uint32_t place_draw(uint64_t *seed, uint32_t limit)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (*seed >> 33) % limit;
}

/*
 * A program of tables and products, some of them shared, and barriers at
 * random places; and a geometry that it may or may not fit.
 */
static inline struct place_model *place_random(uint64_t round, struct mx_place_geometry *g)
{
	uint64_t seed = round * 2654435761u + 1;
	struct place_model *m = calloc(1, sizeof(*m));
	uint32_t ops = 1 + place_draw(&seed, 30), i, n, k;

	if (!m)
		abort();
	*g = (struct mx_place_geometry){
		.organisation = 1 + place_draw(&seed, 3), .units = 1 + place_draw(&seed, PLACE_UNITS),
		.depth = 1 + place_draw(&seed, 12),
	};
	if (g->organisation != MXACCEL_PLACE_BANKS) {
		g->rows = 1 + place_draw(&seed, 16);
		g->cols = 1 + place_draw(&seed, 16);
	}
	place_add(m, (struct mxaccel_op){ .opcode = MXACCEL_OP_LOAD });
	for (i = 0; i < ops; i++) {
		k = 1 + place_draw(&seed, 40);
		n = 1 + place_draw(&seed, 40);
		switch (place_draw(&seed, 8)) {
		case 0:
			place_table(m, MXACCEL_EMBED_FIXED, n, k);
			break;
		case 1:
		case 2:
			place_attention(m, 8, 2);
			break;
		case 3:		/* once more what there was */
			place_add(m, m->op[place_draw(&seed, m->nr_ops)]);
			if (m->op[m->nr_ops - 1].opcode == MXACCEL_OP_LOAD)
				m->nr_ops--;
			break;
		case 4:
			place_product(m, k, n, 1, PLACE_REGION_SEQ);
			break;
		default:
			place_product(m, k, n, 1 + place_draw(&seed, 2), PLACE_REGION_ROWS);
		}
	}
	place_finish(m, 2, 16, 2);
	return m;
}

struct place_sum {
	const struct mx_place *place;
	const struct mx_model *model;
	uint64_t reads;
};

static inline void place_sum_window(void *arg, const struct mxaccel_op *ops, uint32_t nr_ops)
{
	struct place_sum *sum = arg;
	struct mx_model model = *sum->model;

	model.place = (struct mx_place *)sum->place;
	sum->reads += mx_place_busiest(&model, ops, nr_ops);
}

/* Reads of the busiest unit, all windows together */
static inline uint64_t place_score(const struct mx_place *place, const struct mx_model *model)
{
	struct place_sum sum = { .place = place, .model = model };

	mx_place_windows(model, place_sum_window, &sum);
	return sum.reads;
}

static inline void place_same(const struct mx_place *a, const struct mx_place *b)
{
	uint32_t i;

	assert_int_equal(a->nr, b->nr);
	for (i = 0; i < a->nr; i++) {
		assert_int_equal(a->span[i].w_off, b->span[i].w_off);
		assert_int_equal(a->span[i].first, b->span[i].first);
		assert_int_equal(a->span[i].units, b->span[i].units);
		assert_int_equal(a->span[i].fill, b->span[i].fill);
		assert_int_equal(a->span[i].tiles, b->span[i].tiles);
		assert_int_equal(a->span[i].passes, b->span[i].passes);
	}
	assert_int_equal(a->tiles, b->tiles);
	assert_int_equal(a->geometry.units, b->geometry.units);
	assert_int_equal(a->geometry.depth, b->geometry.depth);
}

#endif /* PLACE_MODEL_H */
