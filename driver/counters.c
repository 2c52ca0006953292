// SPDX-License-Identifier: GPL-2.0-only
/*
 * The chip's counters: of the whole device through the window of BAR0, which
 * shows all of them as they were at one moment, of contexts and models by an
 * admin command.
 */
#include <linux/io-64-nonatomic-lo-hi.h>

#include "mxaccel_drv.h"

/* Makes the window show this moment. */
static void mx_counters_latch(struct mx_dev *mx)
{
	lockdep_assert_held(&mx->latch_lock);
	writel(1, mx->regs + MXACCEL_REG_CTR_LATCH);
}

/**
 * mx_read_counter() - read one counter of the device
 * @mx:		device, inside mx_enter()
 * @index:	MXACCEL_CTR_*, below mx->nr_counters
 *
 * Any context: perf reads with interrupts off.
 */
u64 mx_read_counter(struct mx_dev *mx, unsigned int index)
{
	unsigned long flags;
	u64 value;

	raw_spin_lock_irqsave(&mx->latch_lock, flags);
	mx_counters_latch(mx);
	value = lo_hi_readq(mx->regs + MXACCEL_REG_CTR + 8 * index);
	raw_spin_unlock_irqrestore(&mx->latch_lock, flags);
	return value;
}

/**
 * mx_read_counters() - read all counters of a scope at one moment
 * @mx:		device, inside mx_enter()
 * @scope:	MXACCEL_SCOPE_*
 * @ctx:	context, for CONTEXT
 * @model:	model id, for MODEL
 * @values:	MXACCEL_PAGE bytes; mx->nr_counters of them are filled
 */
int mx_read_counters(struct mx_dev *mx, u32 scope, u32 ctx, u32 model, u64 *values)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_COUNTERS,
		.ctx = cpu_to_le32(ctx),
		.counters.scope = cpu_to_le32(scope),
		.counters.model = cpu_to_le32(model),
	};
	unsigned long flags;
	unsigned int i;
	int err;

	if (scope == MXACCEL_SCOPE_DEVICE) {
		raw_spin_lock_irqsave(&mx->latch_lock, flags);
		mx_counters_latch(mx);
		for (i = 0; i < mx->nr_counters; i++)
			values[i] = lo_hi_readq(mx->regs + MXACCEL_REG_CTR + 8 * i);
		raw_spin_unlock_irqrestore(&mx->latch_lock, flags);
		return 0;
	}
	err = mx_admin_page(mx, &sqe, &sqe.counters.addr, values);
	for (i = 0; !err && i < mx->nr_counters; i++)
		values[i] = le64_to_cpu((__force __le64)values[i]);
	return err;
}
