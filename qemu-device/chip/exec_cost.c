// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What macro-ops cost. The formulas are those of the chip specification and
 * depend on the op, the chip file and the length of the sequence only: not on
 * how the simulator batches or on what host it runs.
 */
#include "exec.h"

/* A product of @rows by @n outputs over @k inputs, @times over. */
static void add_sub_ops(const struct mx_chip_config *config, uint64_t rows, uint64_t k, uint64_t n,
			uint64_t times, uint64_t *v)
{
	uint64_t steps = (8 / config->dac_bits) * (8 / config->digit_bits);
	uint64_t sub_ops = times * rows * mx_ceil_div(k, config->small_rows) *
			   mx_ceil_div(n, config->small_cols) * steps;
	/* A conversion tells counts up to 2^adc_bits - 1 apart. */
	uint64_t per_col = mx_ceil_div(config->small_rows, (1ull << config->adc_bits) - 1);

	v[MXACCEL_CTR_SUB_OPS] += sub_ops;
	v[MXACCEL_CTR_ADC_CONVERSIONS] += sub_ops * config->small_cols * per_col;
}

static void add_fabric_cycles(const struct mx_chip_config *config, uint64_t macs, uint64_t *v)
{
	uint64_t rate = (uint64_t)config->fabric_macs * config->fabric_utilisation_percent;

	v[MXACCEL_CTR_CYCLES] += ((__uint128_t)macs * 100 + rate - 1) / rate;
}

static void add_transfer(const struct mx_chip_config *config, uint64_t bytes, uint64_t *v)
{
	v[MXACCEL_CTR_LINK_CYCLES] += config->link_setup_cycles +
				      mx_ceil_div(bytes * 10, config->link_bytes_per_10_cycles);
}

void mx_cost_op(const struct mx_chip_config *config, const struct mx_model *model,
		const struct mxaccel_entry *entry, const struct mxaccel_op *op,
		uint64_t length, uint64_t tokens, struct mx_counters *counters)
{
	uint16_t rows_of = op->opcode == MXACCEL_OP_STORE ? op->src : op->dst;
	bool per_seq = op->opcode != MXACCEL_OP_FENCE &&
		       model->region[rows_of].kind == MXACCEL_REGION_SEQ;
	uint64_t rows = per_seq ? 1 : length, k = op->k, n = op->n, heads = op->heads, macs;
	uint64_t *v = counters->v;

	switch (op->opcode) {
	case MXACCEL_OP_LOAD:
		add_transfer(config, 4 * tokens, v);
		break;
	case MXACCEL_OP_EMBED:
		v[MXACCEL_CTR_SFU_EMBED] += length * k;
		/* A row in panels comes with the other fifteen of its words. */
		v[MXACCEL_CTR_BANK_READ_BYTES] += length * (op->flags & MXACCEL_OPF_PANELS ?
			MXACCEL_PANEL_BYTES(1, k) : MXACCEL_TABLE_STRIDE(k));
		break;
	case MXACCEL_OP_MATMUL:
		macs = rows * k * n;
		v[MXACCEL_CTR_MACS_STATIC] += macs;
		if (op->flags & MXACCEL_OPF_ACCUMULATE)
			v[MXACCEL_CTR_SFU_ADD] += rows * n;
		v[MXACCEL_CTR_SFU_QUANT] += rows * k;
		v[MXACCEL_CTR_BANK_READ_BYTES] += MXACCEL_PANEL_BYTES(n, k) *
						  mx_ceil_div(rows, config->small_rows);
		add_sub_ops(config, rows, k, n, 1, v);
		add_fabric_cycles(config, macs, v);
		break;
	case MXACCEL_OP_MATMUL_DYN:
		if (op->kind == MXACCEL_DYN_QK) {
			macs = heads * length * length * k;
			v[MXACCEL_CTR_SFU_QUANT] += 2 * heads * length * k;
			add_sub_ops(config, length, k, length, heads, v);
		} else {
			macs = heads * length * length * n;
			v[MXACCEL_CTR_SFU_QUANT] += heads * length * (length + n);
			add_sub_ops(config, length, length, n, heads, v);
		}
		v[MXACCEL_CTR_MACS_DYNAMIC] += macs;
		add_fabric_cycles(config, macs, v);
		break;
	case MXACCEL_OP_SOFTMAX:
		v[MXACCEL_CTR_SFU_SOFTMAX] += model->region[op->dst].cols * length * length;
		break;
	case MXACCEL_OP_NORM:
		v[MXACCEL_CTR_SFU_NORM] += rows * k;
		break;
	case MXACCEL_OP_ACT:
		v[MXACCEL_CTR_SFU_ACT] += rows * k;
		break;
	case MXACCEL_OP_ADD:
		v[MXACCEL_CTR_SFU_ADD] += rows * k;
		break;
	case MXACCEL_OP_QUANT:
		v[MXACCEL_CTR_SFU_QUANT] += rows * k;
		break;
	case MXACCEL_OP_POOL:
		v[MXACCEL_CTR_SFU_POOL] += length * k;
		break;
	case MXACCEL_OP_STORE:
		add_transfer(config, 4ull * entry->out_cols * (per_seq ? 1 : tokens), v);
		v[MXACCEL_CTR_SEQUENCES]++;
		v[MXACCEL_CTR_TOKENS] += length;
		break;
	case MXACCEL_OP_FENCE:
		v[MXACCEL_CTR_CYCLES] += config->layer_cycles;
		break;
	}
}
