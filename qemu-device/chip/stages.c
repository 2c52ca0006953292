// SPDX-License-Identifier: LGPL-2.1-or-later
/* Stages of a program: what all organisations have in common. */
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "stages.h"

/* Stages that the op which makes most of them takes. */
#define STAGES_PER_OP 3

uint64_t mx_row_groups(const struct mx_chip_config *config)
{
	uint32_t active = config->analog.rows_active;

	return active ? mx_up(config->large_rows, active) : 1;
}

uint64_t mx_bit_cycles(const struct mx_chip_config *config)
{
	/* An ADC makes adc_mhz * 1000 conversions in clock_khz * 1000 cycles. */
	uint64_t convert = mx_up(mx_sums(config) * config->clock_khz,
				 (uint64_t)config->adcs * config->adc_mhz * 1000);

	if (convert < config->settle_cycles)
		convert = config->settle_cycles;
	return convert * mx_row_groups(config);
}

uint64_t mx_steps(const struct mx_chip_config *config)
{
	return mx_up(8, config->dac_bits);
}

uint64_t mx_outputs(const struct mx_chip_config *config)
{
	uint64_t outputs = config->large_cols / mx_chip_weight_cells(config);

	return outputs ? outputs : 1;
}

uint64_t mx_sums(const struct mx_chip_config *config)
{
	/* Currents of copies are joined before the converter. */
	return mx_outputs(config) * mx_up(8, config->cell_bits);
}

uint64_t mx_operand_arrays(const struct mx_chip_config *config, const struct mxaccel_op *op,
			   uint64_t length)
{
	uint64_t cols = (uint64_t)op->heads * (op->kind == MXACCEL_DYN_QK ? op->k : op->n);

	return mx_up(length * cols, config->large_rows * mx_outputs(config));
}

uint64_t mx_sub_steps(const struct mx_chip_config *config)
{
	return (8 / config->dac_bits) * (8 / config->digit_bits);
}

uint64_t mx_col_conversions(const struct mx_chip_config *config)
{
	/* A conversion tells counts up to 2^adc_bits - 1 apart; so much comes from one row. */
	uint64_t most = (1ull << config->adc_bits) - 1;
	uint64_t row = ((1ull << config->dac_bits) - 1) * ((1ull << config->digit_bits) - 1);

	/* As many rows at once as fit; if not even one does, parts of a row. */
	return row <= most ? mx_up(config->small_rows, most / row) :
			     config->small_rows * mx_up(row, most);
}

/* ----------------------------------------------------------- layout */

static bool has_weights(const struct mxaccel_op *op)
{
	return op->opcode == MXACCEL_OP_MATMUL;
}

static uint32_t ring(const struct mx_layout *layout)
{
	return layout->model->place->geometry.units;
}

static struct mx_place_span span_of(const struct mx_layout *layout, const struct mxaccel_op *op)
{
	struct mx_place_span span = { 0 };

	mx_place_of(layout->model, op->w_off, &span);
	return span;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Cuts the units wherever a weight of the entry begins or ends. */
static void cut(struct mx_layout *layout)
{
	uint32_t *bound = layout->bound, units = ring(layout), i, nr = 0;

	bound[nr++] = 0;
	for (i = 0; i < layout->entry->nr_ops; i++) {
		struct mx_place_span span;

		if (!has_weights(&layout->op[i]))
			continue;
		span = span_of(layout, &layout->op[i]);
		bound[nr++] = span.first;
		bound[nr++] = (uint32_t)(((uint64_t)span.first + span.units) % units);
	}
	qsort(bound, nr, sizeof(*bound), compare);
	layout->nr_sets = 0;
	for (i = 0; i < nr; i++)
		if (!i || bound[i] != bound[layout->nr_sets - 1])
			bound[layout->nr_sets++] = bound[i];
	bound[layout->nr_sets] = units;
}

static void name(struct mx_layout *layout, uint32_t resource, uint32_t nr, uint8_t kind,
		 uint16_t unit)
{
	while (nr--) {
		layout->resource[layout->nr_sets + resource].kind = kind;
		layout->resource[layout->nr_sets + resource++].unit = unit++;
	}
}

static void name_resources(struct mx_layout *layout)
{
	const struct mx_chip_config *c = layout->config;
	uint32_t sets = layout->nr_sets, i;

	for (i = 0; i < sets; i++)
		layout->resource[i] = (struct mx_resource){ MXACCEL_RES_LARGE, (uint16_t)i };
	name(layout, MX_RES_TABLES, MX_RES_SMALL - MX_RES_TABLES, MXACCEL_RES_LARGE,
	     (uint16_t)sets);
	name(layout, MX_RES_SMALL, 2, MXACCEL_RES_SMALL, 0);
	name(layout, MX_RES_SOFTMAX, 1, MXACCEL_RES_SOFTMAX, 0);
	name(layout, MX_RES_ACT, 1, MXACCEL_RES_ACT, 0);
	name(layout, MX_RES_BUS, 1, MXACCEL_RES_BUS, 0);
	name(layout, MX_RES_OFFCHIP, 1, MXACCEL_RES_OFFCHIP, 0);
	name(layout, MX_RES_WRITE, MX_FLIGHTS, MXACCEL_RES_WRITE, 0);
	name(layout, MX_RES_UNITS, c->norm_units, MXACCEL_RES_NORM, 0);
	name(layout, MX_RES_UNITS + c->norm_units, c->requant_units, MXACCEL_RES_REQUANT, 0);
}

bool mx_layout_make(struct mx_layout *layout, const struct mx_chip_config *config,
		    const struct mx_model *model, const struct mxaccel_entry *entry)
{
	memset(layout, 0, sizeof(*layout));
	layout->config = config;
	layout->model = model;
	layout->entry = entry;
	layout->op = model->op + entry->first_op;
	layout->max_stages = STAGES_PER_OP * entry->nr_ops + 1;
	layout->bound = malloc((2ull * entry->nr_ops + 2) * sizeof(*layout->bound));
	layout->written = malloc(model->head->nr_regions * sizeof(*layout->written));
	if (!layout->bound || !layout->written)
		return false;
	cut(layout);
	layout->load = malloc(layout->nr_sets * sizeof(*layout->load));
	layout->nr_resources = layout->nr_sets + MX_RES_UNITS + config->norm_units +
			       config->requant_units;
	layout->resource = malloc(layout->nr_resources * sizeof(*layout->resource));
	if (!layout->load || !layout->resource)
		return false;
	name_resources(layout);
	return true;
}

void mx_layout_free(struct mx_layout *layout)
{
	free(layout->bound);
	free(layout->load);
	free(layout->written);
	free(layout->resource);
}

/* ----------------------------------------------------------- stages */

static struct mx_stage *add(struct mx_build *b, uint32_t op, uint64_t latency, bool all_rows)
{
	struct mx_stage *stage = &b->stage[b->nr];

	*stage = (struct mx_stage){
		.op = op, .all_rows = all_rows, .wait_all = b->wait_all, .prev = b->prev,
		.latency = mx_stage_time(latency) };
	b->wait_all = false;
	if (all_rows)
		b->prev = b->nr;
	b->nr++;
	return stage;
}

struct mx_stage *mx_stage_add(struct mx_build *b, uint64_t latency)
{
	bool per_seq = b->layout->model->region[b->op->dst].kind == MXACCEL_REGION_SEQ;

	return add(b, (uint32_t)(b->op - b->layout->op), latency, !per_seq);
}

struct mx_stage *mx_stage_once(struct mx_build *b, uint32_t op, uint64_t latency)
{
	struct mx_stage *stage;

	b->wait_all = true;
	stage = add(b, op, latency, false);
	b->wait_all = true;
	return stage;
}

void mx_stage_barrier(struct mx_build *b)
{
	b->barrier++;
	b->wait_all = true;
}

static void use(struct mx_stage *stage, uint32_t first, uint32_t nr, uint32_t units,
		uint64_t ticks)
{
	stage->use[stage->nr_uses++] = (struct mx_use){
		first, nr, units, mx_stage_time(ticks) };
}

void mx_stage_use(struct mx_build *b, struct mx_stage *stage, uint32_t resource, uint64_t ticks)
{
	use(stage, b->layout->nr_sets + resource, 1, 1, ticks);
}

void mx_stage_use_norm(struct mx_build *b, struct mx_stage *stage, uint64_t ticks)
{
	mx_stage_use(b, stage, MX_RES_UNITS + b->norms++ % b->config->norm_units, ticks);
}

void mx_stage_use_requant(struct mx_build *b, struct mx_stage *stage, uint64_t ticks)
{
	mx_stage_use(b, stage, MX_RES_UNITS + b->config->norm_units +
		     b->products++ % b->config->requant_units, ticks);
}

void mx_stage_use_table(struct mx_build *b, struct mx_stage *stage, uint64_t ticks)
{
	mx_stage_use(b, stage, MX_RES_TABLES + b->tables++ % MX_TABLE_PORTS, ticks);
}

struct mx_sets mx_stage_sets(const struct mx_layout *layout, const struct mxaccel_op *op)
{
	struct mx_place_span span = span_of(layout, op);
	const uint32_t *bound = layout->bound, *first;
	struct mx_sets sets = { .units = span.units, .passes = span.passes };
	uint32_t covered = 0, at;

	first = bsearch(&span.first, bound, layout->nr_sets, sizeof(*bound), compare);
	sets.first = (uint32_t)(first - bound);
	for (at = sets.first; covered < span.units; at = (at + 1) % layout->nr_sets) {
		covered += bound[at + 1] - bound[at];
		sets.nr++;
	}
	return sets;
}

void mx_stage_use_sets(struct mx_stage *stage, const struct mx_sets *sets, uint64_t ticks)
{
	use(stage, sets->first, sets->nr, sets->units, ticks);
}

/* Whether a region was written since the last barrier. */
static bool is_new(const struct mx_build *b, uint16_t region)
{
	return b->layout->written[region] == b->barrier;
}

static uint64_t operand_cols(const struct mxaccel_op *op)
{
	return (uint64_t)op->heads * (op->kind == MXACCEL_DYN_QK ? op->k : op->n);
}

uint64_t mx_stage_new_kv(struct mx_build *b)
{
	const struct mxaccel_op *end = b->layout->op + b->layout->entry->nr_ops, *next;
	uint64_t cols = operand_cols(b->op);

	if (!is_new(b, b->op->src2))
		return 0;
	if (b->op->kind == MXACCEL_DYN_PV)
		return cols;
	for (next = b->op + 1; next < end; next++) {
		if (next->opcode != MXACCEL_OP_MATMUL_DYN)
			continue;
		if (next->kind == MXACCEL_DYN_PV && is_new(b, next->src2))
			cols += operand_cols(next);
		break;
	}
	return cols;
}

void mx_stages_sfu(struct mx_build *b)
{
	const struct mx_chip_config *c = b->config;
	const struct mxaccel_op *op = b->op;
	struct mx_stage *stage;
	uint64_t pass;

	switch (op->opcode) {
	case MXACCEL_OP_SOFTMAX:
		/* The first pass runs while the scores come; the second normalises. */
		pass = mx_cycles(mx_up(b->layout->model->region[op->dst].cols * b->length,
				       c->softmax_lanes));
		stage = mx_stage_add(b, (pass > b->scores ? pass - b->scores : 0) +
				     mx_cycles(c->recip_cycles) + pass);
		mx_stage_use(b, stage, MX_RES_SOFTMAX, 2 * pass);
		break;
	case MXACCEL_OP_NORM:
		pass = mx_cycles(mx_up(op->k, c->norm_lanes));
		stage = mx_stage_add(b, 2 * pass + mx_cycles(c->rsqrt_cycles));
		mx_stage_use_norm(b, stage, 2 * pass);
		break;
	case MXACCEL_OP_ACT:
		pass = mx_cycles(mx_up(op->k, c->act_lanes));
		stage = mx_stage_add(b, pass + mx_cycles(c->act_cycles));
		mx_stage_use(b, stage, MX_RES_ACT, pass);
		break;
	case MXACCEL_OP_QUANT:
		pass = mx_cycles(mx_up(op->k, c->requant_lanes));
		stage = mx_stage_add(b, pass);
		mx_stage_use_requant(b, stage, pass);
		break;
	}
}

static void make_op(struct mx_build *b)
{
	switch (b->op->opcode) {
	case MXACCEL_OP_LOAD:
	case MXACCEL_OP_STORE:
	case MXACCEL_OP_ADD:	/* on the way of requantisation */
		break;
	case MXACCEL_OP_POOL:
		if (b->op->kind == MXACCEL_POOL_MEAN)
			b->wait_all = true;
		mx_stage_add(b, 0);
		break;
	default:
		if (b->config->kind == MX_SYNERGY)
			mx_stages_synergy(b);
		else if (b->config->kind == MX_INPLACE)
			mx_stages_inplace(b);
		else
			mx_stages_traditional(b);
	}
	if (b->op->opcode != MXACCEL_OP_FENCE && b->op->opcode != MXACCEL_OP_STORE)
		b->layout->written[b->op->dst] = b->barrier;
}

uint32_t mx_stages_make(struct mx_layout *layout, uint64_t length, uint32_t nr_ops,
			uint32_t flight, struct mx_stage *stage)
{
	struct mx_build b = {
		.layout = layout, .config = layout->config, .length = length, .flight = flight,
		.stage = stage, .barrier = 1, .prev = MX_NO_STAGE };
	uint32_t i;

	memset(layout->written, 0, layout->model->head->nr_regions * sizeof(*layout->written));
	for (i = 0; i < nr_ops; i++) {
		b.op = layout->op + i;
		make_op(&b);
	}
	if (layout->config->kind == MX_TRADITIONAL)
		mx_stages_traditional_end(&b);
	return b.nr;
}
