// SPDX-License-Identifier: GPL-2.0-only
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testmodel.h"

#define EMBED_SCALE	0.01f

enum { AT_TABLE = 0 };

static uint64_t aligned(uint64_t bytes)
{
	return (bytes + MXACCEL_WORD - 1) / MXACCEL_WORD * MXACCEL_WORD;
}

static int8_t embedding(uint32_t id, uint32_t column)
{
	return (int8_t)((id * 31 + column * 7) % 255) - 127;
}

float tm_expect(uint32_t id, uint32_t column)
{
	return embedding(id, column) * EMBED_SCALE;
}

/* SHA-256 over the SHA-256 of each chunk. Return: the latter. */
static uint8_t *section_digest(const void *data, uint64_t bytes, uint8_t digest[32])
{
	uint64_t nr = (bytes + MXACCEL_CHUNK - 1) / MXACCEL_CHUNK, i;
	uint8_t *chunks = malloc(nr * 32 + 1);

	if (!chunks)
		abort();
	for (i = 0; i < nr; i++) {
		uint64_t left = bytes - i * MXACCEL_CHUNK;

		SHA256((const uint8_t *)data + i * MXACCEL_CHUNK,
		       left < MXACCEL_CHUNK ? left : MXACCEL_CHUNK, chunks + i * 32);
	}
	SHA256(chunks, nr * 32, digest);
	return chunks;
}

void tm_seal(struct testmodel *tm)
{
	uint8_t digests[64];

	free(section_digest(&tm->model, sizeof(tm->model), digests));
	free(tm->chunks);
	tm->chunks = section_digest(tm->params, tm->params_bytes, digests + 32);
	SHA256(digests, sizeof(digests), tm->content);
}

static void put_floats(struct testmodel *tm, uint64_t at, uint32_t count, float value)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		memcpy(tm->params + at + i * sizeof(value), &value, sizeof(value));
}

static void make_ops(struct testmodel *tm, uint64_t table_s, uint64_t weights, uint64_t weights_s)
{
	struct mxaccel_op load = { .opcode = MXACCEL_OP_LOAD, .dst = TM_IDS };
	struct mxaccel_op embed = {
		.opcode = MXACCEL_OP_EMBED, .kind = MXACCEL_EMBED_TOKEN, .dst = TM_A, .src = TM_IDS,
		.k = TM_WIDTH, .n = TM_VOCAB, .w_off = AT_TABLE, .s_off = table_s,
	};
	struct mxaccel_op product = {
		.opcode = MXACCEL_OP_MATMUL, .dst = TM_B, .src = TM_A, .k = TM_WIDTH, .n = TM_WIDTH,
		.w_off = weights, .s_off = weights_s,
	};
	struct mxaccel_op *op = tm->model.op;
	uint32_t i;

	*op++ = load;
	*op++ = embed;
	*op++ = product;
	*op++ = (struct mxaccel_op){ .opcode = MXACCEL_OP_STORE, .src = TM_B, .k = TM_WIDTH };

	*op++ = load;
	*op++ = embed;
	for (i = 0; i < TM_LONG_OPS; i++) {
		*op++ = product;
		product.dst = i % 2 ? TM_B : TM_A;
		product.src = i % 2 ? TM_A : TM_B;
	}
	*op++ = (struct mxaccel_op){
		.opcode = MXACCEL_OP_POOL, .kind = MXACCEL_POOL_FIRST, .dst = TM_FIRST, .src = TM_A,
		.k = TM_WIDTH,
	};
	*op++ = (struct mxaccel_op){ .opcode = MXACCEL_OP_STORE, .src = TM_FIRST, .k = TM_WIDTH };
}

static void make_tables(struct testmodel *tm)
{
	struct tm_model *model = &tm->model;

	model->head = (struct mxaccel_model){
		.magic = MXACCEL_MODEL_MAGIC, .version = MXACCEL_MODEL_VERSION, .name = "selftest",
		.params_bytes = tm->params_bytes, .vocab = TM_VOCAB, .max_tokens = TM_TOKENS,
		.nr_regions = TM_REGIONS, .nr_entries = TM_ENTRIES, .nr_ops = TM_OPS,
	};
	model->region[TM_IDS].kind = MXACCEL_REGION_IDS;
	model->region[TM_A] = (struct mxaccel_region){ MXACCEL_REGION_ROWS, .cols = TM_WIDTH };
	model->region[TM_B] = (struct mxaccel_region){ MXACCEL_REGION_ROWS, .cols = TM_WIDTH };
	model->region[TM_FIRST] = (struct mxaccel_region){ MXACCEL_REGION_SEQ, .cols = TM_WIDTH };
	model->entry[ENTRY_ROWS] = (struct mxaccel_entry){
		.name = "rows", .first_op = 0, .nr_ops = TM_ROWS_OPS,
		.out_kind = MXACCEL_REGION_ROWS, .out_cols = TM_WIDTH,
	};
	model->entry[ENTRY_LONG] = (struct mxaccel_entry){
		.name = "long", .first_op = TM_ROWS_OPS, .nr_ops = TM_LONG_OPS + 4,
		.out_kind = MXACCEL_REGION_SEQ, .out_cols = TM_WIDTH,
	};
}

struct testmodel *tm_make(uint8_t variant, uint64_t extra_bytes)
{
	uint64_t table_s = aligned(TM_VOCAB * MXACCEL_TABLE_STRIDE(TM_WIDTH));
	uint64_t weights = table_s + aligned(TM_VOCAB * sizeof(float));
	uint64_t weights_s = weights + MXACCEL_PANEL_BYTES(TM_WIDTH, TM_WIDTH);
	struct testmodel *tm = calloc(1, sizeof(*tm));
	uint32_t i, column;

	if (!tm)
		abort();
	tm->params_bytes = weights_s + aligned(TM_WIDTH * sizeof(float)) + extra_bytes;
	tm->params = calloc(1, tm->params_bytes);
	if (!tm->params)
		abort();
	for (i = 0; i < TM_VOCAB; i++)
		for (column = 0; column < TM_WIDTH; column++)
			tm->params[i * MXACCEL_TABLE_STRIDE(TM_WIDTH) + column] =
				embedding(i, column);
	put_floats(tm, table_s, TM_VOCAB, EMBED_SCALE);
	for (i = 0; i < TM_WIDTH; i++)
		tm->params[weights + MXACCEL_PANEL_OFFSET(i, i, TM_WIDTH)] = 127;
	put_floats(tm, weights_s, TM_WIDTH, 1.0f / 127);

	make_tables(tm);
	make_ops(tm, table_s, weights, weights_s);
	snprintf(tm->model.head.name, sizeof(tm->model.head.name), "selftest %u", variant);
	tm_seal(tm);
	return tm;
}

void tm_free(struct testmodel *tm)
{
	free(tm->chunks);
	free(tm->params);
	free(tm);
}
