// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Placement of a mapped model, and the report on it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mxmap.h"
#include "place.h"
#include "place_report.h"

/* Predicted besides the longest sequence */
#define SHORT_TOKENS 128

static const char *const unit_names[] = {
	[MXACCEL_PLACE_BANKS] = "bank", [MXACCEL_PLACE_GROUPS] = "group",
	[MXACCEL_PLACE_ARRAYS] = "array",
};

bool place_policy_from_name(const char *name, int *policy)
{
	*policy = strcmp(name, "linear") ? MX_PLACE_SPREAD : MX_PLACE_LINEAR;
	return *policy == MX_PLACE_LINEAR || !strcmp(name, "spread");
}

/* A program that is right by construction */
static struct mx_model view(const struct mxaccel_model *head)
{
	struct mx_model model = {
		.head = head, .region = (const void *)(head + 1),
		.params_bytes = head->params_bytes,
	};

	model.entry = (const void *)(model.region + head->nr_regions);
	model.op = (const void *)(model.entry + head->nr_entries);
	return model;
}

int place_apply(const struct mx_chip_config *config, int policy, struct mxaccel_model **model,
		uint64_t *bytes)
{
	struct mx_place_geometry geometry = mx_place_geometry(config);
	struct mx_model program = view(*model);
	struct mxaccel_model *grown;
	struct mx_place *place;
	uint64_t table;
	uint16_t status;

	status = mx_place_make(&geometry, &program, policy, &place);
	if (status == MXACCEL_ST_TOO_LARGE)
		return 0;
	if (status)
		return mxmap_no_memory();
	table = place->nr * sizeof(struct mxaccel_place);
	grown = realloc(*model, *bytes + table);
	if (!grown) {
		free(place);
		return mxmap_no_memory();
	}
	mx_place_write(place, grown, (void *)((uint8_t *)grown + *bytes));
	*model = grown;
	*bytes += table;
	free(place);
	return 0;
}

bool place_fits(const struct mx_chip_config *config, const struct mxaccel_model *model,
		uint64_t bytes, char *why, size_t room)
{
	struct mx_model program = view(model);

	return mx_place_check(config, &program, bytes, why, room) == MXACCEL_ST_SUCCESS;
}

/* ------------------------------------------------------------- the report */

/**
 * struct load - how busy units are, in reads that a token waits for
 * @steps:	of the busiest unit of each window, added up: a token's way through
 *		the program
 * @all:	of all units
 */
struct load {
	const struct mx_model *model;
	uint64_t steps, all;
};

static void add_window(struct load *load, const struct mxaccel_op *ops, uint32_t nr_ops)
{
	struct mx_place_span span;
	uint32_t i;

	load->steps += mx_place_busiest(load->model, ops, nr_ops);
	for (i = 0; i < nr_ops; i++)
		if (ops[i].opcode == MXACCEL_OP_MATMUL &&
		    load->model->region[ops[i].dst].kind == MXACCEL_REGION_ROWS &&
		    mx_place_of(load->model, ops[i].w_off, &span))
			load->all += span.tiles;
}

/* Of the program's first entry, "tokens" */
static struct load load_of(const struct mx_model *model)
{
	const struct mxaccel_op *ops = model->op + model->entry->first_op;
	struct load load = { .model = model };
	uint32_t i, first = 0;

	for (i = 0; i < model->entry->nr_ops; i++) {
		if (ops[i].opcode != MXACCEL_OP_MATMUL_DYN)
			continue;
		add_window(&load, ops + first, i - first);
		first = i;
	}
	add_window(&load, ops + first, i - first);
	return load;
}

static uint64_t units_used(const struct mx_place *place)
{
	uint64_t used = 0;
	uint32_t unit, i;

	for (unit = 0; unit < place->geometry.units; unit++) {
		for (i = 0; i < place->nr; i++)
			if (mx_place_on(place, &place->span[i], unit))
				break;
		used += i < place->nr;
	}
	return used;
}

static const struct mxaccel_op *user_of(const struct mx_model *model, uint64_t w_off)
{
	const struct mxaccel_op *op = model->op;

	while ((op->opcode != MXACCEL_OP_MATMUL && op->opcode != MXACCEL_OP_EMBED) ||
	       op->w_off != w_off)
		op++;
	return op;
}

/* Bytes that the weights would take without edges; *@list says where each lies. */
static uint64_t weights(const struct mx_model *model, json_t **list)
{
	uint64_t bytes = 0;
	uint32_t i;

	*list = json_array();
	for (i = 0; i < model->place->nr; i++) {
		const struct mx_place_span *span = &model->place->span[i];
		const struct mxaccel_op *op = user_of(model, span->w_off);
		bool table = op->opcode == MXACCEL_OP_EMBED;

		bytes += (uint64_t)op->n * op->k;
		json_array_append_new(*list, json_pack(
			"{s:I, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
			"w_off", (json_int_t)span->w_off, "kind", table ? "table" : "product",
			"layer", op->layer == 0xffff ? json_null() : json_integer(op->layer),
			"k", (json_int_t)op->k, "n", (json_int_t)op->n,
			"first", (json_int_t)span->first, "units", (json_int_t)span->units,
			"tiles", (json_int_t)span->tiles, "passes", (json_int_t)span->passes));
	}
	return bytes;
}

static json_t *predict(const struct mx_chip_config *config, const struct mxaccel_model *model,
		       uint64_t bytes)
{
	const uint32_t tokens[] = { SHORT_TOKENS, model->max_tokens };
	json_t *cycles = json_object();
	struct mx_counters counters;
	char why[256], name[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tokens); i++) {
		if (tokens[i] > model->max_tokens)
			continue;
		if (mx_chip_estimate(config, model, bytes, 0, &tokens[i], 1, tokens[i], &counters,
				     NULL, why, sizeof(why))) {
			mxmap_error("cannot estimate %u tokens: %s", tokens[i], why);
			json_decref(cycles);
			return NULL;
		}
		snprintf(name, sizeof(name), "%u", tokens[i]);
		json_object_set_new(cycles, name,
				    json_integer(counters.v[MXACCEL_CTR_CYCLES]));
	}
	return cycles;
}

static json_t *describe(const struct mx_chip_config *config, const char *policy,
			const struct mx_model *model, json_t *cycles)
{
	const struct mx_place *place = model->place;
	const struct mx_place_geometry *g = &place->geometry;
	const struct mxaccel_op *ops = model->op + model->entry->first_op;
	uint64_t all = (uint64_t)g->units * g->depth, passes = 0, bytes;
	uint64_t tile = g->organisation == MXACCEL_PLACE_BANKS ? MXACCEL_WORD :
								(uint64_t)g->rows * g->cols;
	struct load load = load_of(model);
	double steps = load.steps ? load.steps : 1;
	json_t *list;
	uint32_t i;

	for (i = 0; i < place->nr; i++)
		if (place->span[i].passes > passes)
			passes = place->span[i].passes;
	bytes = weights(model, &list);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:f, s:f, s:o, s:o}",
			 "model", model->head->name, "chip", config->name,
			 "organisation", config->organisation, "place", policy,
			 "unit", unit_names[g->organisation],
			 "units", (json_int_t)g->units, "depth", (json_int_t)g->depth,
			 "units_used", (json_int_t)units_used(place),
			 "tile_bytes", (json_int_t)tile,
			 "tiles", (json_int_t)place->tiles, "weights_bytes", (json_int_t)bytes,
			 "tiles_share", (double)place->tiles / all,
			 "weights_share", (double)bytes / all / tile,
			 "edges_share", 1 - (double)bytes / place->tiles / tile,
			 "passes", (json_int_t)passes, "steps", (json_int_t)load.steps,
			 "busiest_share", mx_place_busiest(model, ops, model->entry->nr_ops) / steps,
			 "mean_share", (double)load.all / g->units / steps,
			 "cycles", cycles, "weights", list);
}

json_t *place_report(const struct mx_chip_config *config, const char *policy,
		     const struct mxaccel_model *head, uint64_t bytes)
{
	json_t *report = NULL, *cycles;
	struct mx_model model;
	char why[256];

	if (mx_model_check(config, head, bytes, NULL, head->params_bytes, &model, why,
			   sizeof(why))) {
		mxmap_error("the program is refused: %s: this is a bug of mxmap", why);
		return NULL;
	}
	cycles = predict(config, head, bytes);
	if (cycles) {
		report = describe(config, policy, &model, cycles);
		if (!report)
			mxmap_no_memory();
	}
	mx_model_release(&model);
	return report;
}

json_t *place_summary(const json_t *report)
{
	json_t *summary = json_copy((json_t *)report);

	json_object_del(summary, "weights");
	json_object_del(summary, "model");
	json_object_del(summary, "chip");
	return summary;
}

int place_save(const json_t *report, const char *path)
{
	if (json_dump_file(report, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)))
		return mxmap_fail("cannot write %s: %s", path, strerror(errno));
	return 0;
}
