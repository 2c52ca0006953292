// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tells the application which macro-op a "sim:" chip is at.
 */
#include "sim.h"

static const char *name_of(const struct mxaccel_op *op)
{
	static const char * const names[] = {
		[MXACCEL_OP_LOAD] = "LOAD", [MXACCEL_OP_EMBED] = "EMBED",
		[MXACCEL_OP_MATMUL] = "MATMUL", [MXACCEL_OP_MATMUL_DYN] = "MATMUL_DYN QK",
		[MXACCEL_OP_SOFTMAX] = "SOFTMAX", [MXACCEL_OP_NORM] = "NORM",
		[MXACCEL_OP_ACT] = "ACT", [MXACCEL_OP_ADD] = "ADD", [MXACCEL_OP_POOL] = "POOL",
		[MXACCEL_OP_STORE] = "STORE", [MXACCEL_OP_FENCE] = "FENCE",
		[MXACCEL_OP_QUANT] = "QUANT",
	};

	if (op->opcode == MXACCEL_OP_MATMUL_DYN && op->kind == MXACCEL_DYN_PV)
		return "MATMUL_DYN PV";
	if (op->opcode < sizeof(names) / sizeof(names[0]) && names[op->opcode])
		return names[op->opcode];
	return "other";
}

void mxrt_sim_watch(void *opaque, const struct mxaccel_op *op, bool done)
{
	const struct mxrt_watch *watch = opaque;

	watch->op(watch->opaque, name_of(op), done);
}
