// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Synergy chips: dense banks are read like memory; one fabric of small
 * crossbars carries out every product, static or dynamic; function units do
 * the rest.
 */
#include "stages.h"

/* a / b, rounded up, if that is a time that a stage may take. */
static uint64_t stage_time(unsigned __int128 a, unsigned __int128 b)
{
	a = (a + b - 1) / b;
	return a < MX_STAGE_MOST ? (uint64_t)a : MX_STAGE_MOST;
}

/* Time of the fabric for @times products of a row of @k by [k, n]. */
static uint64_t fabric(const struct mx_chip_config *c, uint64_t times, uint64_t k, uint64_t n)
{
	unsigned __int128 each, rate, sub_ops;

	if (c->fabric_kind == MX_FABRIC_DIGITAL) {
		rate = (uint64_t)c->fabric_macs * c->fabric_utilisation_percent;
		return stage_time(times * k * n * 100 * MXACCEL_TICKS, rate);
	}
	sub_ops = times * mx_up(k, c->small_rows) * mx_up(n, c->small_cols) * mx_sub_steps(c);
	/* Conversions of an ADC for one sub-operation, at adc_mhz. */
	each = mx_up(c->small_cols * mx_col_conversions(c), c->fabric_adcs);
	rate = (uint64_t)c->adc_mhz * 1000;
	each = (each * c->clock_khz + rate - 1) / rate;
	if (each < c->settle_cycles)
		each = c->settle_cycles;
	return stage_time(sub_ops * each * MXACCEL_TICKS, c->fabric_crossbars);
}

static void product(struct mx_build *b, struct mx_stage *stage, uint64_t time)
{
	stage->latency = mx_stage_time(stage->latency + time);
	mx_stage_use(b, stage, MX_RES_SMALL, time);
}

static void matmul(struct mx_build *b)
{
	const struct mx_chip_config *c = b->config;
	const struct mxaccel_op *op = b->op;
	struct mx_sets sets = mx_stage_sets(b->layout, b->op);
	uint64_t in = mx_cycles(mx_up(op->k, c->bus_bytes));
	uint64_t out = mx_cycles(mx_up(op->n, c->requant_lanes));
	struct mx_stage *stage = mx_stage_add(b, in + out);
	uint64_t rows = stage->all_rows ? b->length : 1;
	/* Of the bank that has most. */
	uint64_t read = mx_up(sets.passes * MXACCEL_WORD, c->bank_port_bytes);

	product(b, stage, fabric(c, 1, op->k, op->n));
	/* A block of rows shares one reading of the weights: each has its part of it. */
	mx_stage_use_sets(stage, &sets, mx_up(mx_cycles(read * mx_up(rows, c->small_rows)),
					       rows));
	mx_stage_use(b, stage, MX_RES_BUS, in);
	mx_stage_use_requant(b, stage, out);
}

static void dynamic(struct mx_build *b)
{
	const struct mxaccel_op *op = b->op;
	bool scores = op->kind == MXACCEL_DYN_QK;
	uint64_t time = scores ? fabric(b->config, op->heads, op->k, b->length) :
				 fabric(b->config, op->heads, b->length, op->n);

	if (mx_stage_new_kv(b))
		mx_stage_barrier(b);
	product(b, mx_stage_add(b, 0), time);
	b->scores = scores ? time : 0;
}

void mx_stages_synergy(struct mx_build *b)
{
	const struct mx_chip_config *c = b->config;
	struct mx_stage *stage;
	uint64_t time;

	switch (b->op->opcode) {
	case MXACCEL_OP_EMBED:
		time = mx_cycles(mx_up(b->op->k, c->bank_port_bytes));
		stage = mx_stage_add(b, time);
		mx_stage_use_table(b, stage, time);
		break;
	case MXACCEL_OP_MATMUL:
		matmul(b);
		break;
	case MXACCEL_OP_MATMUL_DYN:
		dynamic(b);
		break;
	case MXACCEL_OP_FENCE:
		mx_stage_once(b, (uint32_t)(b->op - b->layout->op), mx_cycles(c->layer_cycles));
		break;
	default:
		mx_stages_sfu(b);
	}
}
