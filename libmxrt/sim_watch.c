// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tells the application which macro-op a "sim:" chip is at.
 */
#include "sim.h"

void mxrt_sim_watch(void *opaque, const struct mxaccel_op *op, bool done)
{
	const struct mxrt_watch *watch = opaque;

	watch->op(watch->opaque, mxrt_op_name(op), done);
}
