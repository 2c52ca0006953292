/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small model that uses every macro-op, for tests of what takes models:
 * one encoder layer over 10 ids and up to 8 tokens, width 8, 2 heads.
 */
#ifndef SAMPLE_MODEL_H
#define SAMPLE_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "mxaccel_image.h"

enum {
	SAMPLE_VOCAB = 10, SAMPLE_TOKENS = 8, SAMPLE_WIDTH = 8, SAMPLE_HEADS = 2,
	SAMPLE_FFN = 12,
};

enum sample_region {
	REGION_IDS, REGION_X, REGION_QKV, REGION_SCORES, REGION_CONTEXT, REGION_FFN, REGION_POOLED,
	SAMPLE_REGIONS,
};

/* Ops of entry "tokens", then those of "sentence". */
enum sample_op {
	OP_LOAD, OP_EMBED_TOKEN, OP_EMBED_POSITION, OP_EMBED_FIXED, OP_NORM_LAYER, OP_MATMUL_QKV,
	OP_QK, OP_SOFTMAX, OP_PV, OP_MATMUL_OUT, OP_ADD, OP_NORM_RMS, OP_MATMUL_UP, OP_ACT,
	OP_MATMUL_DOWN, OP_FENCE, OP_STORE,
	OP_S_LOAD, OP_S_EMBED, OP_S_POOL, OP_S_NORM_L2, OP_S_STORE,
	SAMPLE_OPS,
};

struct sample_section {
	struct mxaccel_model head;
	struct mxaccel_region region[SAMPLE_REGIONS];
	struct mxaccel_entry entry[2];
	struct mxaccel_op op[SAMPLE_OPS];
};

struct sample_model {
	struct sample_section section;
	uint8_t params[16384];
	uint64_t params_bytes;
	uint8_t content[32];
};

static inline uint32_t sample_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* Room for @bytes of parameters, filled with small values that depend on @seed. */
static inline uint64_t sample_bytes(struct sample_model *m, uint64_t bytes, uint8_t seed)
{
	uint64_t at = m->params_bytes, i;

	for (i = 0; i < bytes; i++)
		m->params[at + i] = (uint8_t)((i * 37 + seed * 11) % 101) - 50;
	m->params_bytes += (bytes + MXACCEL_WORD - 1) / MXACCEL_WORD * MXACCEL_WORD;
	return at;
}

static inline uint64_t sample_floats(struct sample_model *m, uint32_t count, float value)
{
	uint64_t at = sample_bytes(m, count * 4ull, 0);
	uint32_t i;

	for (i = 0; i < count; i++)
		memcpy(m->params + at + i * 4ull, &value, 4);
	return at;
}

static inline struct mxaccel_op sample_embed(struct sample_model *m, uint8_t kind, uint32_t rows)
{
	uint64_t table = MXACCEL_TABLE_STRIDE(SAMPLE_WIDTH) * rows;

	return (struct mxaccel_op){
		.opcode = MXACCEL_OP_EMBED, .kind = kind,
		.flags = kind == MXACCEL_EMBED_TOKEN ? 0 : MXACCEL_OPF_ACCUMULATE,
		.dst = REGION_X, .src = REGION_IDS, .k = SAMPLE_WIDTH, .n = rows,
		.w_off = sample_bytes(m, table, kind), .s_off = sample_floats(m, rows, 0.01f),
	};
}

static inline struct mxaccel_op sample_matmul(struct sample_model *m, uint16_t dst, uint32_t n,
					      uint16_t src, uint32_t k)
{
	return (struct mxaccel_op){
		.opcode = MXACCEL_OP_MATMUL, .flags = MXACCEL_OPF_BIAS, .dst = dst, .src = src,
		.k = k, .n = n, .w_off = sample_bytes(m, MXACCEL_PANEL_BYTES(n, k), n),
		.s_off = sample_floats(m, n, 0.02f), .b_off = sample_floats(m, n, 0.5f),
	};
}

static inline struct mxaccel_op sample_norm(struct sample_model *m, uint8_t kind)
{
	return (struct mxaccel_op){
		.opcode = MXACCEL_OP_NORM, .kind = kind, .dst = REGION_X, .src = REGION_X,
		.k = SAMPLE_WIDTH, .alpha = sample_bits(1e-6f),
		.w_off = sample_floats(m, SAMPLE_WIDTH, 1.0f),
		.b_off = kind == MXACCEL_NORM_LAYER ? sample_floats(m, SAMPLE_WIDTH, 0.1f) : 0,
	};
}

static inline void sample_ops(struct sample_model *m)
{
	struct mxaccel_op *op = m->section.op;

	op[OP_LOAD] = (struct mxaccel_op){ .opcode = MXACCEL_OP_LOAD, .dst = REGION_IDS };
	op[OP_EMBED_TOKEN] = sample_embed(m, MXACCEL_EMBED_TOKEN, SAMPLE_VOCAB);
	op[OP_EMBED_POSITION] = sample_embed(m, MXACCEL_EMBED_POSITION, SAMPLE_TOKENS);
	op[OP_EMBED_FIXED] = sample_embed(m, MXACCEL_EMBED_FIXED, 2);
	op[OP_EMBED_FIXED].src2_col = 1;
	op[OP_NORM_LAYER] = sample_norm(m, MXACCEL_NORM_LAYER);
	op[OP_MATMUL_QKV] = sample_matmul(m, REGION_QKV, 3 * SAMPLE_WIDTH, REGION_X, SAMPLE_WIDTH);
	op[OP_QK] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_MATMUL_DYN, .kind = MXACCEL_DYN_QK, .dst = REGION_SCORES,
		.src = REGION_QKV, .src2 = REGION_QKV, .src2_col = SAMPLE_WIDTH,
		.heads = SAMPLE_HEADS, .k = SAMPLE_WIDTH / SAMPLE_HEADS, .alpha = sample_bits(0.5f),
	};
	op[OP_SOFTMAX] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_SOFTMAX, .flags = MXACCEL_OPF_PAD_MASK,
		.dst = REGION_SCORES, .src = REGION_SCORES, .src2 = REGION_IDS,
	};
	op[OP_PV] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_MATMUL_DYN, .kind = MXACCEL_DYN_PV, .dst = REGION_CONTEXT,
		.src = REGION_SCORES, .src2 = REGION_QKV, .src2_col = 2 * SAMPLE_WIDTH,
		.heads = SAMPLE_HEADS, .n = SAMPLE_WIDTH / SAMPLE_HEADS,
	};
	op[OP_MATMUL_OUT] = sample_matmul(m, REGION_QKV, SAMPLE_WIDTH, REGION_CONTEXT,
					  SAMPLE_WIDTH);
	op[OP_ADD] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_ADD, .dst = REGION_X, .src = REGION_X, .src2 = REGION_QKV,
		.k = SAMPLE_WIDTH,
	};
	op[OP_NORM_RMS] = sample_norm(m, MXACCEL_NORM_RMS);
	op[OP_MATMUL_UP] = sample_matmul(m, REGION_FFN, SAMPLE_FFN, REGION_X, SAMPLE_WIDTH);
	op[OP_ACT] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_ACT, .kind = MXACCEL_ACT_GELU_ERF, .dst = REGION_FFN,
		.src = REGION_FFN, .k = SAMPLE_FFN,
	};
	op[OP_MATMUL_DOWN] = sample_matmul(m, REGION_X, SAMPLE_WIDTH, REGION_FFN, SAMPLE_FFN);
	op[OP_FENCE] = (struct mxaccel_op){ .opcode = MXACCEL_OP_FENCE };
	op[OP_STORE] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_STORE, .src = REGION_X, .k = SAMPLE_WIDTH, .layer = 0xffff,
	};
	op[OP_S_LOAD] = op[OP_LOAD];
	op[OP_S_EMBED] = op[OP_EMBED_TOKEN];
	op[OP_S_POOL] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_POOL, .kind = MXACCEL_POOL_MEAN, .dst = REGION_POOLED,
		.src = REGION_X, .k = SAMPLE_WIDTH,
	};
	op[OP_S_NORM_L2] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_NORM, .kind = MXACCEL_NORM_L2, .dst = REGION_POOLED,
		.src = REGION_POOLED, .k = SAMPLE_WIDTH,
	};
	op[OP_S_STORE] = (struct mxaccel_op){
		.opcode = MXACCEL_OP_STORE, .src = REGION_POOLED, .k = SAMPLE_WIDTH,
	};
}

/* Content id after changes; false if the crypto library fails. */
static inline bool sample_seal(struct sample_model *m)
{
	uint8_t model[32], params[32];

	return !mx_digest_section(&m->section, sizeof(m->section), NULL, NULL, model) &&
	       !mx_digest_section(m->params, m->params_bytes, NULL, NULL, params) &&
	       !mx_digest_content(model, params, m->content);
}

/* Models of different @variant differ in their content. */
static inline bool sample_make(struct sample_model *m, uint8_t variant)
{
	memset(m, 0, sizeof(*m));
	m->section.head = (struct mxaccel_model){
		.magic = MXACCEL_MODEL_MAGIC, .version = MXACCEL_MODEL_VERSION, .name = "sample",
		.vocab = SAMPLE_VOCAB, .max_tokens = SAMPLE_TOKENS, .nr_regions = SAMPLE_REGIONS,
		.nr_entries = 2, .nr_ops = SAMPLE_OPS,
	};
	m->section.region[REGION_IDS].kind = MXACCEL_REGION_IDS;
	m->section.region[REGION_X] =
		(struct mxaccel_region){ .kind = MXACCEL_REGION_ROWS, .cols = SAMPLE_WIDTH };
	m->section.region[REGION_QKV] =
		(struct mxaccel_region){ .kind = MXACCEL_REGION_ROWS, .cols = 3 * SAMPLE_WIDTH };
	m->section.region[REGION_SCORES] =
		(struct mxaccel_region){ .kind = MXACCEL_REGION_SCORES, .cols = SAMPLE_HEADS };
	m->section.region[REGION_CONTEXT] =
		(struct mxaccel_region){ .kind = MXACCEL_REGION_ROWS, .cols = SAMPLE_WIDTH };
	m->section.region[REGION_FFN] =
		(struct mxaccel_region){ .kind = MXACCEL_REGION_ROWS, .cols = SAMPLE_FFN };
	m->section.region[REGION_POOLED] =
		(struct mxaccel_region){ .kind = MXACCEL_REGION_SEQ, .cols = SAMPLE_WIDTH };
	m->section.entry[0] = (struct mxaccel_entry){
		.name = "tokens", .nr_ops = OP_S_LOAD,
		.out_kind = MXACCEL_REGION_ROWS, .out_cols = SAMPLE_WIDTH,
	};
	m->section.entry[1] = (struct mxaccel_entry){
		.name = "sentence", .first_op = OP_S_LOAD, .nr_ops = SAMPLE_OPS - OP_S_LOAD,
		.out_kind = MXACCEL_REGION_SEQ, .out_cols = SAMPLE_WIDTH,
	};
	sample_ops(m);
	m->params[0] ^= variant;
	m->section.head.params_bytes = m->params_bytes;
	return sample_seal(m);
}

#endif /* SAMPLE_MODEL_H */
