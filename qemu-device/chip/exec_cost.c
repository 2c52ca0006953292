// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The events of macro-ops. The formulas are those of Documentation/cost-model.rst
 * and depend on the op, the chip file and the length of the sequence only: not
 * on how the simulator batches or on what host it runs.
 */
#include "cost.h"

/* A product of @rows by @n outputs over @k inputs, @times over, in small crossbars. */
static void add_sub_ops(const struct mx_chip_config *config, uint64_t rows, uint64_t k, uint64_t n,
			uint64_t times, uint64_t *v)
{
	uint64_t sub_ops = times * rows * mx_up(k, config->small_rows) *
			   mx_up(n, config->small_cols) * mx_sub_steps(config);
	uint64_t macs = times * rows * k * n;

	v[MXACCEL_CTR_SUB_OPS] += sub_ops;
	v[MXACCEL_CTR_ADC_CONVERSIONS] += sub_ops * config->small_cols *
					  mx_col_conversions(config);
	v[MXACCEL_CTR_DAC_DRIVES] += sub_ops * config->small_rows;
	/* For as many products as a crossbar has rows: 8 bytes of operands, two 24-bit sums. */
	v[MXACCEL_CTR_BUFFER_BYTES] += macs * 14 / config->small_rows;
}

/* @arrays activated for each of @steps input steps, @rows over. */
static void add_array_reads(const struct mx_chip_config *config, uint64_t rows, uint64_t arrays,
			    uint64_t steps, uint64_t drives, uint64_t *v)
{
	uint64_t reads = rows * arrays * steps;

	v[MXACCEL_CTR_ARRAY_READS] += reads;
	v[MXACCEL_CTR_DAC_DRIVES] += reads * drives;
	v[MXACCEL_CTR_ADC_CONVERSIONS] += reads * mx_sums(config) * mx_row_groups(config);
}

static void add_transfer(const struct mx_chip_config *config, uint64_t bytes, uint64_t *v)
{
	v[MXACCEL_CTR_LINK_CYCLES] += config->link_setup_cycles +
				      mx_up(bytes * 10, config->link_bytes_per_10_cycles);
}

/* A nonlinear function of a traditional chip: 2 bytes out, 1 back for each element. */
static void add_companion(const struct mx_chip_config *config, uint64_t elements, uint64_t *v)
{
	if (config->kind == MX_TRADITIONAL)
		v[MXACCEL_CTR_OFFCHIP_BYTES] += MX_ELEMENT_BYTES * elements;
}

static void embed(const struct mx_chip_config *config, const struct mxaccel_op *op,
		  uint64_t length, uint64_t *v)
{
	v[MXACCEL_CTR_SFU_EMBED] += length * op->k;
	if (config->kind == MX_SYNERGY)
		/* In panels, a row has a few bytes of each of many words. */
		v[MXACCEL_CTR_BANK_READ_BYTES] += length * (op->flags & MXACCEL_OPF_PANELS ?
							    MXACCEL_PANEL_BYTES(1, op->k) :
							    MXACCEL_TABLE_STRIDE(op->k));
	else
		add_array_reads(config, length, mx_up(op->k, mx_outputs(config)), 1, 1, v);
}

static void matmul(const struct mx_chip_config *config, const struct mxaccel_op *op,
		   uint64_t rows, uint64_t *v)
{
	uint64_t k = op->k, n = op->n, arrays;

	v[MXACCEL_CTR_MACS_STATIC] += rows * k * n;
	if (op->flags & MXACCEL_OPF_ACCUMULATE)
		v[MXACCEL_CTR_SFU_ADD] += rows * n;
	v[MXACCEL_CTR_SFU_QUANT] += rows * k;
	if (config->kind == MX_SYNERGY) {
		v[MXACCEL_CTR_BANK_READ_BYTES] += MXACCEL_PANEL_BYTES(n, k) *
						  mx_up(rows, config->small_rows);
		add_sub_ops(config, rows, k, n, 1, v);
		return;
	}
	arrays = mx_up(k, config->large_rows) * mx_up(n, mx_outputs(config));
	add_array_reads(config, rows, arrays, mx_steps(config), config->large_rows, v);
	v[MXACCEL_CTR_BUFFER_BYTES] += rows * (k + n);
	v[MXACCEL_CTR_NOC_BYTES] += rows * (arrays * config->large_rows / config->multicast +
					    4 * n);
}

static void dynamic(const struct mx_chip_config *config, const struct mxaccel_op *op,
		    uint64_t length, uint64_t *v)
{
	bool scores = op->kind == MXACCEL_DYN_QK;
	uint64_t heads = op->heads, width = scores ? op->k : op->n;

	v[MXACCEL_CTR_MACS_DYNAMIC] += heads * length * length * width;
	v[MXACCEL_CTR_SFU_QUANT] += heads * length * (scores ? 2 * width : length + width);
	if (config->kind == MX_SYNERGY) {
		add_sub_ops(config, length, scores ? width : length, scores ? length : width,
			    heads, v);
	} else if (config->kind == MX_TRADITIONAL && config->attention == MX_ATTENTION_REWRITE) {
		add_array_reads(config, length, mx_operand_arrays(config, op, length),
				mx_steps(config), config->large_rows, v);
		v[MXACCEL_CTR_KV_CELL_WRITES] += heads * length * width *
						 mx_chip_weight_cells(config);
	} else if (config->kind == MX_TRADITIONAL) {
		/* Q and K leave for the scores; V leaves and the result comes back. */
		v[MXACCEL_CTR_OFFCHIP_BYTES] += 2 * heads * length * width;
	}
}

void mx_cost_op(struct mx_cost *cost, uint32_t index, uint32_t seq, uint64_t tokens)
{
	const struct mx_chip_config *config = cost->config;
	const struct mxaccel_op *op = cost->model->op + cost->entry->first_op + index;
	const struct mxaccel_region *region = cost->model->region;
	uint16_t rows_of = op->opcode == MXACCEL_OP_STORE ? op->src : op->dst;
	bool per_seq = op->opcode != MXACCEL_OP_FENCE &&
		       region[rows_of].kind == MXACCEL_REGION_SEQ;
	uint64_t length = cost->seq[seq].length, rows = per_seq ? 1 : length, elements;
	uint64_t *v = cost->op[index].v;

	cost->seq[seq].nr_ops = index + 1;
	switch (op->opcode) {
	case MXACCEL_OP_LOAD:
		add_transfer(config, 4 * tokens, v);
		break;
	case MXACCEL_OP_EMBED:
		embed(config, op, length, v);
		break;
	case MXACCEL_OP_MATMUL:
		matmul(config, op, rows, v);
		break;
	case MXACCEL_OP_MATMUL_DYN:
		dynamic(config, op, length, v);
		break;
	case MXACCEL_OP_SOFTMAX:
		elements = region[op->dst].cols * length * length;
		v[MXACCEL_CTR_SFU_SOFTMAX] += elements;
		if (config->attention == MX_ATTENTION_REWRITE)
			add_companion(config, elements, v);
		break;
	case MXACCEL_OP_NORM:
		v[MXACCEL_CTR_SFU_NORM] += rows * op->k;
		add_companion(config, rows * op->k, v);
		break;
	case MXACCEL_OP_ACT:
		v[MXACCEL_CTR_SFU_ACT] += rows * op->k;
		add_companion(config, rows * op->k, v);
		break;
	case MXACCEL_OP_ADD:
		v[MXACCEL_CTR_SFU_ADD] += rows * op->k;
		break;
	case MXACCEL_OP_QUANT:
		v[MXACCEL_CTR_SFU_QUANT] += rows * op->k;
		break;
	case MXACCEL_OP_POOL:
		v[MXACCEL_CTR_SFU_POOL] += length * op->k;
		break;
	case MXACCEL_OP_STORE:
		add_transfer(config, 4ull * cost->entry->out_cols * (per_seq ? 1 : tokens), v);
		v[MXACCEL_CTR_SEQUENCES]++;
		v[MXACCEL_CTR_TOKENS] += length;
		break;
	}
}
