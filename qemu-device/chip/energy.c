// SPDX-License-Identifier: LGPL-2.1-or-later
#include "energy.h"
#include "stages.h"

/* Bits of a partial sum. */
#define SUM_BITS 24

/* 36 J: more is no chip, and sums of many must not wrap. */
#define MOST_FJ 0x1p55

/* @count events of @pj picojoules each, in whole femtojoules. */
static uint64_t fj(double count, double pj)
{
	double energy = count * pj * 1000;

	return (uint64_t)(energy < MOST_FJ ? energy + 0.5 : MOST_FJ);
}

static bool is_crossbar_fabric(const struct mx_chip_config *c)
{
	return c->kind == MX_SYNERGY && c->fabric_kind == MX_FABRIC_CROSSBAR;
}

/* Conversions, drives, activations: of LARGE arrays, or of the fabric's crossbars. */
static void analog(const struct mx_chip_config *c, uint64_t *v)
{
	const struct mx_energy_keys *e = &c->energy;

	if (c->kind == MX_SYNERGY && !is_crossbar_fabric(c))
		return;
	v[MXACCEL_CTR_ENERGY_ADC] = fj(v[MXACCEL_CTR_ADC_CONVERSIONS], e->adc);
	v[MXACCEL_CTR_ENERGY_SHIFT_ADD] = fj(v[MXACCEL_CTR_ADC_CONVERSIONS], e->shift_add);
	v[MXACCEL_CTR_ENERGY_DAC] = fj(v[MXACCEL_CTR_DAC_DRIVES], e->dac);
	v[MXACCEL_CTR_ENERGY_ARRAY] = fj(v[MXACCEL_CTR_ARRAY_READS] + v[MXACCEL_CTR_SUB_OPS],
					 e->array_read);
}

/* Registers in front of and behind the arrays of a stationary product. */
static void registers(const struct mx_chip_config *c, uint64_t *v)
{
	double vectors = (double)v[MXACCEL_CTR_ARRAY_READS] / mx_steps(c);
	double sums = vectors * mx_outputs(c);

	/* Inputs are written once and read bit by bit, sums read and written. */
	v[MXACCEL_CTR_ENERGY_REGISTER] = fj(vectors * c->large_rows * 8 * 2 +
					    sums * SUM_BITS * 2, c->energy.register_bit);
	v[MXACCEL_CTR_ENERGY_REDUCE] = fj(sums, c->energy.reduce_add);
}

/* Bytes of K (QK) or V (PV) that went into the small crossbars. */
static uint64_t operand_bytes(const struct mxaccel_op *op, const uint64_t *v)
{
	/* Elements quantised are those of Q and K, or of the scores and V. */
	if (op->kind == MXACCEL_DYN_QK)
		return v[MXACCEL_CTR_SFU_QUANT] / 2;
	return v[MXACCEL_CTR_SFU_QUANT] - v[MXACCEL_CTR_MACS_DYNAMIC] / op->n;
}

static uint64_t requantised(const struct mxaccel_op *op, const uint64_t *v)
{
	if (op->opcode == MXACCEL_OP_MATMUL)
		return v[MXACCEL_CTR_MACS_STATIC] / op->k;
	return op->opcode == MXACCEL_OP_QUANT ? v[MXACCEL_CTR_SFU_QUANT] : 0;
}

void mx_energy_of_op(const struct mx_chip_config *c, const struct mxaccel_op *op,
		     struct mx_counters *counters)
{
	const struct mx_energy_keys *e = &c->energy;
	uint64_t *v = counters->v;
	uint64_t macs = v[MXACCEL_CTR_MACS_STATIC] + v[MXACCEL_CTR_MACS_DYNAMIC];
	uint64_t elements = v[MXACCEL_CTR_SFU_SOFTMAX] + v[MXACCEL_CTR_SFU_NORM] +
			    v[MXACCEL_CTR_SFU_ACT];

	analog(c, v);
	if (c->kind == MX_SYNERGY && !is_crossbar_fabric(c))
		v[MXACCEL_CTR_ENERGY_FABRIC] = fj(macs, e->mac);
	if (op && op->opcode == MXACCEL_OP_MATMUL && c->kind != MX_SYNERGY)
		registers(c, v);
	if (op && op->opcode == MXACCEL_OP_MATMUL_DYN && c->kind == MX_INPLACE)
		v[MXACCEL_CTR_ENERGY_SMALL] = fj(v[MXACCEL_CTR_MACS_DYNAMIC], e->dynamic_mac) +
					      fj(operand_bytes(op, v) * 8, e->sram_bit);
	if (op)
		v[MXACCEL_CTR_ENERGY_REQUANT] = fj(requantised(op, v), e->requant) +
						fj(v[MXACCEL_CTR_SFU_ADD], e->add);
	v[MXACCEL_CTR_ENERGY_NOC] = fj(v[MXACCEL_CTR_NOC_BYTES] * 8, e->noc_bit);
	v[MXACCEL_CTR_ENERGY_BUFFER] = fj(v[MXACCEL_CTR_BUFFER_BYTES] * 8, e->sram_bit);
	v[MXACCEL_CTR_ENERGY_BANK] = fj(v[MXACCEL_CTR_BANK_READ_BYTES] * 8, e->bank_bit);
	v[MXACCEL_CTR_ENERGY_SOFTMAX] = fj(v[MXACCEL_CTR_SFU_SOFTMAX], e->softmax);
	v[MXACCEL_CTR_ENERGY_NORM] = fj(v[MXACCEL_CTR_SFU_NORM], e->norm);
	v[MXACCEL_CTR_ENERGY_ACT] = fj(v[MXACCEL_CTR_SFU_ACT], e->act);
	v[MXACCEL_CTR_ENERGY_WRITE] = fj(v[MXACCEL_CTR_KV_CELL_WRITES], e->cell_write);
	v[MXACCEL_CTR_ENERGY_HOST] = fj((v[MXACCEL_CTR_DMA_READ_BYTES] +
					 v[MXACCEL_CTR_DMA_WRITE_BYTES]) * 8, e->host_bit);
	v[MXACCEL_CTR_ENERGY_OFFCHIP] = fj(v[MXACCEL_CTR_OFFCHIP_BYTES] * 8, e->offchip_bit);
	v[MXACCEL_CTR_ENERGY_COMPANION] = fj(elements, e->companion_element);
	if (c->kind == MX_TRADITIONAL && c->attention == MX_ATTENTION_OFFCHIP)
		v[MXACCEL_CTR_ENERGY_COMPANION] += fj(v[MXACCEL_CTR_MACS_DYNAMIC],
						      e->companion_mac);
}

/* SRAM that leaks. */
static double sram_kib(const struct mx_chip_config *c)
{
	double small, registers;

	if (c->kind != MX_INPLACE)
		return c->buffer_kib;
	small = (double)c->small_units * c->small_contexts * c->small_rows * c->small_cols;
	/* Double-buffered: a byte per input, three per partial sum. */
	registers = c->groups * (2.0 * c->large_rows + 2.0 * mx_outputs(c) * 3);
	return c->buffer_kib + (small + registers) / 1024;
}

void mx_energy_static(const struct mx_chip_config *c, double cycles, uint64_t arrays,
		      uint64_t conversions, struct mx_counters *counters)
{
	double ns = cycles * 1000000 / c->clock_khz;
	double mw = sram_kib(c) * c->power.sram_kib_mw + c->power.misc_mw, adcs, idle;

	if (c->kind == MX_SYNERGY && !is_crossbar_fabric(c))
		mw += c->fabric_macs * c->power.mac_uw / 1000;
	/* A milliwatt for a nanosecond is a picojoule. */
	counters->v[MXACCEL_CTR_ENERGY_STATIC] += fj(ns, mw);
	if (c->kind == MX_SYNERGY)
		return;
	adcs = (double)(c->kind == MX_INPLACE ? c->groups : arrays) * c->adcs;
	idle = adcs * ns;
	/* Those of a traditional chip convert so seldom that they count as always idle. */
	if (c->kind == MX_INPLACE)
		idle -= (double)conversions * 1000 / c->adc_mhz;
	if (idle > 0)
		counters->v[MXACCEL_CTR_ENERGY_ADC_IDLE] += fj(idle, c->power.adc_mw *
							       c->power.adc_idle);
}
