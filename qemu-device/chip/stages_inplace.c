// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * In-place chips: weights stay in groups of arrays, one array of a group is
 * active at a time; small SRAM crossbars hold K and V and multiply with them;
 * function units do the rest. Layers stream into each other.
 */
#include "stages.h"

/* The small crossbars and the activations that they take are digital INT8, bit-serial. */
#define SMALL_STEPS 8

/* Blocks of a [rows, cols] operand of one head in the small crossbars. */
static uint64_t blocks(const struct mx_chip_config *c, uint64_t rows, uint64_t cols)
{
	return mx_up(rows, c->small_rows) * mx_up(cols, c->small_cols);
}

/* K is [k, T] for each head, V is [T, n]. */
static uint64_t operand_blocks(const struct mx_chip_config *c, const struct mxaccel_op *op,
			       uint64_t length)
{
	return op->kind == MXACCEL_DYN_QK ? blocks(c, op->k, length) : blocks(c, length, op->n);
}

static uint64_t log2_up(uint64_t value)
{
	uint64_t bits = 0;

	while ((1ull << bits) < value)
		bits++;
	return bits;
}

static void product(struct mx_build *b)
{
	const struct mx_chip_config *c = b->config;
	const struct mxaccel_op *op = b->op;
	struct mx_sets sets = mx_stage_sets(b->layout, b->op);
	uint64_t in = mx_up(op->k, c->bus_bytes), out = mx_up(op->n, c->requant_lanes);
	uint64_t row_blocks = mx_up(op->k, c->large_rows);
	uint64_t read = sets.passes * mx_steps(c) * mx_bit_cycles(c);
	struct mx_stage *stage;

	if (sets.passes > 1)
		read += sets.passes * c->switch_cycles;
	stage = mx_stage_add(b, mx_cycles(in + read + c->settle_cycles + c->adc_cycles +
					  c->shift_cycles +
					  2 * log2_up(row_blocks < 2 ? 2 : row_blocks) +
					  c->requant_cycles + out));
	mx_stage_use_sets(stage, &sets, mx_cycles(read));
	mx_stage_use(b, stage, MX_RES_BUS, mx_cycles(in));
	mx_stage_use_requant(b, stage, mx_cycles(out));
}

/* Time of a query: a unit of the small crossbars for each head, or shares of them. */
static uint64_t query(const struct mx_build *b, const struct mxaccel_op *op)
{
	return mx_cycles(mx_up(operand_blocks(b->config, op, b->length) * op->heads,
			       b->config->small_units) * SMALL_STEPS);
}

static void dynamic(struct mx_build *b)
{
	uint64_t new_kv = mx_stage_new_kv(b), write, time = query(b, b->op);
	struct mx_stage *stage;

	if (new_kv) {
		write = mx_cycles(mx_up(new_kv, b->config->bus_bytes));
		stage = mx_stage_add(b, write);
		mx_stage_use(b, stage, MX_RES_SMALL_WRITE, write);
		mx_stage_use(b, stage, MX_RES_BUS, write);
		mx_stage_barrier(b);
	}
	stage = mx_stage_add(b, time);
	mx_stage_use(b, stage, MX_RES_SMALL, time);
	b->scores = b->op->kind == MXACCEL_DYN_QK ? time : 0;
}

void mx_stages_inplace(struct mx_build *b)
{
	uint64_t time = mx_cycles(mx_bit_cycles(b->config));
	struct mx_stage *stage;

	switch (b->op->opcode) {
	case MXACCEL_OP_EMBED:	/* a row is one input step */
		stage = mx_stage_add(b, time);
		mx_stage_use_table(b, stage, time);
		break;
	case MXACCEL_OP_MATMUL:
		product(b);
		break;
	case MXACCEL_OP_MATMUL_DYN:
		dynamic(b);
		break;
	default:
		mx_stages_sfu(b);
	}
}

uint64_t mx_stages_contexts(const struct mx_chip_config *c, const struct mxaccel_op *op,
			    uint32_t nr_ops, uint64_t length)
{
	uint64_t keys = 0, most = 0, sum;
	uint32_t i;

	if (c->kind != MX_INPLACE)
		return 0;
	for (i = 0; i < nr_ops; i++) {
		if (op[i].opcode != MXACCEL_OP_MATMUL_DYN)
			continue;
		sum = operand_blocks(c, &op[i], length) * op[i].heads;
		if (op[i].kind == MXACCEL_DYN_QK)
			keys = sum;
		else
			sum += keys;
		if (sum > most)
			most = sum;
	}
	return mx_up(most, c->small_units);
}
