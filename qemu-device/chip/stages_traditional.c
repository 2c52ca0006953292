// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Traditional chips: every array has its ADC and keeps its weights; nonlinear
 * functions are computed by a companion behind the links. K and V are rewritten
 * into memristors, or attention is computed by the companion, too. A layer is
 * a pipeline that ends at its FENCE.
 */
#include <string.h>

#include "stages.h"

static void transfer(struct mx_build *b, uint64_t bytes)
{
	uint64_t time = (uint64_t)((double)bytes * MXACCEL_TICKS / b->config->offchip_bytes + 0.5);
	struct mx_stage *stage = mx_stage_add(b, time);

	mx_stage_use(b, stage, MX_RES_OFFCHIP, time);
}

/* Latency of a product behind its reads. */
static uint64_t tail(const struct mx_build *b)
{
	return b->config->settle_cycles + b->config->adc_cycles + b->config->shift_cycles +
	       b->config->requant_cycles;
}

/*
 * How long the arrays that have most to do need for a token of the layer that
 * begins here: a weight may be used twice, and weights may share arrays.
 */
static uint64_t layer_read(const struct mx_build *b)
{
	const struct mx_layout *layout = b->layout;
	const struct mxaccel_op *op, *end = layout->op + layout->entry->nr_ops;
	uint64_t step = mx_cycles(mx_steps(b->config) * mx_bit_cycles(b->config)), most = 0;
	uint32_t i, at;

	memset(layout->load, 0, layout->nr_sets * sizeof(*layout->load));
	for (op = b->op; op < end && op->opcode != MXACCEL_OP_FENCE; op++) {
		struct mx_sets sets;

		if (op->opcode != MXACCEL_OP_MATMUL)
			continue;
		sets = mx_stage_sets(layout, op);
		for (i = 0; i < sets.nr; i++) {
			at = (sets.first + i) % layout->nr_sets;
			layout->load[at] += sets.passes * step;
			if (layout->load[at] > most)
				most = layout->load[at];
		}
	}
	return most;
}

static void product(struct mx_build *b)
{
	const struct mx_chip_config *c = b->config;
	struct mx_sets sets = mx_stage_sets(b->layout, b->op);
	uint64_t in = mx_up(b->op->k, c->bus_bytes), out = mx_up(b->op->n, c->requant_lanes);
	uint64_t read = mx_cycles(sets.passes * mx_steps(c) * mx_bit_cycles(c));
	struct mx_stage *stage = mx_stage_add(b, read + mx_cycles(in + tail(b) + out));

	/* Inputs come over a bus in each tile, which nobody else waits for. */
	mx_stage_use_sets(stage, &sets, read);
	mx_stage_use_requant(b, stage, mx_cycles(out));
	/* While the link moves a token no other enters the layer, and the other way round. */
	if (!c->overlap_link && !b->layer_products++)
		mx_stage_use(b, stage, MX_RES_OFFCHIP, layer_read(b));
}

/* Charges the writing of all K and V arrays, which goes on in all at once, row by row. */
static void write_kv(struct mx_build *b)
{
	uint64_t time = mx_cycles((uint64_t)b->config->large_rows * b->config->cells_row_cycles);
	struct mx_stage *stage;

	if (!b->writing)
		return;
	stage = mx_stage_once(b, b->writing - 1, time);
	mx_stage_use(b, stage, MX_RES_WRITE + b->flight, time);
	b->writing = 0;
}

static void dynamic(struct mx_build *b)
{
	const struct mx_chip_config *c = b->config;
	const struct mxaccel_op *op = b->op;
	bool scores = op->kind == MXACCEL_DYN_QK;
	uint64_t new_kv = mx_stage_new_kv(b), read;
	struct mx_stage *stage;

	if (c->attention == MX_ATTENTION_OFFCHIP) {
		/* Q, K and V leave, the result comes back. */
		transfer(b, scores ? op->heads * op->k + new_kv : (uint64_t)op->heads * op->n);
		if (new_kv) {
			b->barrier++;
			b->wait_all = c->kv_barrier;
		}
		return;
	}
	if (new_kv) {
		write_kv(b);
		b->writing = (uint32_t)(op - b->layout->op) + 1;
		b->barrier++;
		if (c->kv_barrier)
			write_kv(b);
	}
	read = mx_cycles(mx_steps(c) * mx_bit_cycles(c));
	stage = mx_stage_add(b, read + mx_cycles(tail(b)));
	mx_stage_use(b, stage, (scores ? MX_RES_KEYS : MX_RES_VALUES) + b->flight, read);
}

static void fence(struct mx_build *b)
{
	uint32_t op = (uint32_t)(b->op - b->layout->op);

	write_kv(b);
	mx_stage_once(b, op, mx_cycles(b->config->layer_cycles));
	b->layer_products = 0;
}

void mx_stages_traditional(struct mx_build *b)
{
	uint64_t time = mx_cycles(mx_bit_cycles(b->config));
	struct mx_stage *stage;

	switch (b->op->opcode) {
	case MXACCEL_OP_EMBED:
		stage = mx_stage_add(b, time);
		mx_stage_use_table(b, stage, time);
		break;
	case MXACCEL_OP_MATMUL:
		product(b);
		break;
	case MXACCEL_OP_MATMUL_DYN:
		dynamic(b);
		break;
	case MXACCEL_OP_SOFTMAX:
		if (b->config->attention == MX_ATTENTION_REWRITE)
			transfer(b, MX_ELEMENT_BYTES * b->length *
				 b->layout->model->region[b->op->dst].cols);
		break;
	case MXACCEL_OP_NORM:
	case MXACCEL_OP_ACT:
		transfer(b, MX_ELEMENT_BYTES * (uint64_t)b->op->k);
		break;
	case MXACCEL_OP_FENCE:
		fence(b);
		break;
	}
}

void mx_stages_traditional_end(struct mx_build *b)
{
	write_kv(b);
}

/* K and V of a layer, in two sets: while one is read the other one is written. */
uint64_t mx_stages_kv_arrays(const struct mx_chip_config *c, const struct mxaccel_op *op,
			     uint32_t nr_ops, uint64_t length)
{
	uint64_t keys = 0, most = 0, sum;
	uint32_t i;

	if (c->kind != MX_TRADITIONAL || c->attention != MX_ATTENTION_REWRITE)
		return 0;
	for (i = 0; i < nr_ops; i++) {
		if (op[i].opcode != MXACCEL_OP_MATMUL_DYN)
			continue;
		sum = mx_operand_arrays(c, &op[i], length);
		if (op[i].kind == MXACCEL_DYN_QK)
			keys = sum;
		else
			sum += keys;
		if (sum > most)
			most = sum;
	}
	return 2 * most;
}
