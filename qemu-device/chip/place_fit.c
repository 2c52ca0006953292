// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether a model fits a chip, and if not, what it lacks.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "place_policy.h"

struct fit {
	const struct mx_chip_config *config;
	const struct mx_model *model;
	struct mx_place_geometry geometry;
	char *err;
	size_t err_bytes;
};

static uint16_t __printf(2, 3)
too_large(const struct fit *fit, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fit->err, fit->err_bytes, format, args);
	va_end(args);
	return MXACCEL_ST_TOO_LARGE;
}

/* Cells are given out in chunks. */
static uint64_t chunk_up(uint64_t bytes)
{
	return mx_place_ceil(bytes, MXACCEL_CHUNK) * MXACCEL_CHUNK;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* ------------------------------------------------------------ what tokens need */

static uint64_t act_bytes(const struct fit *fit, uint64_t tokens)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < fit->model->head->nr_regions; i++)
		sum = plus(sum, mx_region_bytes(&fit->model->region[i], tokens));
	return sum;
}

static uint64_t result_bytes(const struct fit *fit, uint64_t tokens)
{
	uint64_t most = 4 * tokens;	/* the ids */
	uint32_t i;

	for (i = 0; i < fit->model->head->nr_entries; i++) {
		const struct mxaccel_entry *entry = &fit->model->entry[i];
		uint64_t rows = entry->out_kind == MXACCEL_REGION_ROWS ? tokens : 1;

		if (4 * rows * entry->out_cols > most)
			most = 4 * rows * entry->out_cols;
	}
	return most;
}

/*
 * Contexts of each small crossbar that K and V take. Those of the next layer
 * are written while those of this one are read.
 */
static uint64_t kv_contexts(const struct fit *fit, uint64_t tokens)
{
	const struct mx_chip_config *c = fit->config;
	uint64_t layer = 0, most = 0;
	uint32_t i, j, layers;

	for (i = 0; i < fit->model->head->nr_entries; i++) {
		const struct mxaccel_entry *entry = &fit->model->entry[i];
		const struct mxaccel_op *op = fit->model->op + entry->first_op;

		for (j = layers = 0; j < entry->nr_ops; j++) {
			if (op[j].opcode != MXACCEL_OP_MATMUL_DYN)
				continue;
			if (op[j].kind == MXACCEL_DYN_QK) {
				layer = op[j].heads * mx_place_ceil(tokens, c->small_cols) *
					mx_place_ceil(op[j].k, c->small_rows);
				layers++;
			} else {
				layer += op[j].heads * mx_place_ceil(tokens, c->small_rows) *
					 mx_place_ceil(op[j].n, c->small_cols);
			}
			if (layer * (layers > 1 ? 2 : 1) > most)
				most = layer * (layers > 1 ? 2 : 1);
		}
	}
	return mx_place_ceil(most, c->small_units);
}

/* Arrays that K and V of one layer are written into, and those of the next. */
static uint64_t kv_arrays(const struct fit *fit, uint64_t tokens)
{
	uint64_t most = 0, arrays;
	uint32_t i;

	if (fit->config->kind != MX_TRADITIONAL || fit->config->attention != MX_ATTENTION_REWRITE)
		return 0;
	for (i = 0; i < fit->model->head->nr_ops; i++) {
		const struct mxaccel_op *op = &fit->model->op[i];

		if (op->opcode != MXACCEL_OP_MATMUL_DYN || op->kind != MXACCEL_DYN_QK)
			continue;
		arrays = 4 * mx_place_ceil(tokens * op->heads * op->k,
					   mx_chip_array_weights(fit->config));
		if (arrays > most)
			most = arrays;
	}
	return most;
}

/* The longest sequence that needs no more than @room, 0 if none does; @need grows with it. */
static uint32_t longest(const struct fit *fit,
			uint64_t (*need)(const struct fit *fit, uint64_t tokens), uint64_t room)
{
	uint32_t low = 0, high = fit->model->head->max_tokens + 1;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (need(fit, middle) <= room)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct token_limit {
	uint64_t (*need)(const struct fit *fit, uint64_t tokens);
	const char *what;
	uint64_t room;
};

static uint16_t check_tokens(const struct fit *fit, const struct token_limit *limit)
{
	uint32_t tokens = fit->model->head->max_tokens, fewer;
	const char *chip = fit->config->name;
	uint64_t need = limit->need(fit, tokens);

	if (need <= limit->room)
		return MXACCEL_ST_SUCCESS;
	fewer = longest(fit, limit->need, limit->room);
	if (!fewer)
		return too_large(fit, "one token needs %" PRIu64 " %s, chip %s has %" PRIu64,
				 limit->need(fit, 1), limit->what, chip, limit->room);
	return too_large(fit, "%u tokens need %" PRIu64 " %s, chip %s has %" PRIu64 ": map with --max-tokens %u or less",
			 tokens, need, limit->what, chip, limit->room, fewer);
}

/* -------------------------------------------------------------------- cells */

static uint16_t check_banks(const struct fit *fit, uint64_t model_bytes)
{
	uint64_t need = plus(chunk_up(model_bytes), chunk_up(fit->model->params_bytes));
	uint64_t room = mx_chip_capacity(fit->config);
	uint64_t bank = (uint64_t)fit->geometry.depth * MXACCEL_WORD;

	if (need <= room)
		return MXACCEL_ST_SUCCESS;
	return too_large(fit, "the model needs %" PRIu64 " bytes of cells, chip %s has %" PRIu64 " in %u banks: it is %" PRIu64 " bytes too large; with banks = %" PRIu64 " the chip would hold it",
			 need, fit->config->name, room, fit->geometry.units, need - room,
			 fit->config->banks + mx_place_ceil(need - room, bank));
}

/* Arrays: weights whose rows and columns do not fill theirs, and all else as bytes */
static uint16_t check_arrays(const struct fit *fit, uint64_t model_bytes)
{
	const struct mx_place_geometry *g = &fit->geometry;
	const struct mx_chip_config *c = fit->config;
	uint64_t array = mx_chip_array_weights(c), room = mx_chip_capacity(c) / array;
	uint64_t all = plus(chunk_up(model_bytes), chunk_up(fit->model->params_bytes));
	uint64_t kv = kv_arrays(fit, fit->model->head->max_tokens), other, need, total;
	struct mx_place_weights *weights = mx_place_weights(g, fit->model);
	uint64_t unit_arrays = c->kind == MX_TRADITIONAL ? (uint64_t)c->tiles * c->groups : g->depth;
	uint64_t tiles;

	if (!weights) {
		snprintf(fit->err, fit->err_bytes, "out of memory");
		return MXACCEL_ST_NO_MEMORY;
	}
	tiles = weights->tiles;
	other = mx_place_ceil(all > weights->bytes ? all - weights->bytes : 0, array);
	free(weights);
	need = plus(plus(tiles, other), kv);
	if (need <= room)
		return MXACCEL_ST_SUCCESS;
	total = mx_place_ceil(plus(need, (uint64_t)g->units * g->depth - room), unit_arrays);
	return too_large(fit, "the model needs %" PRIu64 " arrays of %u x %u weights (%" PRIu64 " for weights, %" PRIu64 " for all else%s), chip %s has %" PRIu64 ": it is %" PRIu64 " arrays too large; with %s = %" PRIu64 " the chip would hold it",
			 need, g->rows, g->cols, tiles, plus(other, kv),
			 kv ? ", K and V among it" : "", c->name, room, need - room,
			 c->kind == MX_TRADITIONAL ? "chips" : "groups", total);
}

uint16_t mx_place_check(const struct mx_chip_config *config, const struct mx_model *model,
			uint64_t model_bytes, char *err, size_t err_bytes)
{
	const struct fit fit = {
		.config = config, .model = model, .geometry = mx_place_geometry(config),
		.err = err, .err_bytes = err_bytes,
	};
	const struct token_limit limits[] = {
		{ act_bytes, "bytes of intermediates", mx_chip_act_bytes(config) },
		{ result_bytes, "bytes of a job's transfers", config->max_io_bytes },
		{ kv_contexts, "contexts of each small crossbar for K and V",
		  config->small_contexts },
	};
	size_t i, nr = config->kind == MX_INPLACE ? ARRAY_SIZE(limits) : ARRAY_SIZE(limits) - 1;
	uint16_t status;

	if (model_bytes > MXACCEL_MODEL_MAX_BYTES)
		return too_large(&fit, "the program takes %" PRIu64 " bytes, more than the %u that any chip takes",
				 model_bytes, MXACCEL_MODEL_MAX_BYTES);
	if (config->kind == MX_SYNERGY)
		status = check_banks(&fit, model_bytes);
	else
		status = check_arrays(&fit, model_bytes);
	for (i = 0; i < nr && status == MXACCEL_ST_SUCCESS; i++)
		status = check_tokens(&fit, &limits[i]);
	return status;
}
