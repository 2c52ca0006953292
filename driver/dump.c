// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is left for who looks into a failure: a uevent at each change of state,
 * and a device core dump with registers, queues and the last commands. Commands
 * name contexts, models and addresses; what users computed is not in them.
 */
#include <linux/devcoredump.h>
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "mxaccel_drv.h"

#define MX_DUMP_BYTES	SZ_64K
#define MX_DUMP_LAST	16U	/* entries of a ring */

/**
 * mx_announce() - tell user space of a change of state
 * @mx:		device; nothing happens before it is registered
 *
 * "change" with MX_STATE, and MX_ERROR where something went wrong. May sleep.
 */
void mx_announce(struct mx_dev *mx)
{
	char state[32], error[sizeof(mx->last_error) + 16];
	char *env[] = { state, error, NULL };

	if (!mx->dev.kobj.state_in_sysfs)
		return;
	spin_lock(&mx->state_lock);
	snprintf(state, sizeof(state), "MX_STATE=%s", mx_state_name(mx->state));
	snprintf(error, sizeof(error), "MX_ERROR=%s", mx->last_error);
	spin_unlock(&mx->state_lock);
	kobject_uevent_env(&mx->dev.kobj, KOBJ_CHANGE, env);
}

struct mx_dump {
	char *text;
	size_t at;
};

static __printf(2, 3) void mx_dump(struct mx_dump *dump, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	dump->at += vscnprintf(dump->text + dump->at, MX_DUMP_BYTES - dump->at, format, args);
	va_end(args);
}

static void mx_dump_registers(struct mx_dump *dump, struct mx_dev *mx)
{
	static const struct {
		const char *name;
		u32 offset;
	} registers[] = {
		{ "ID", MXACCEL_REG_ID }, { "VERSION", MXACCEL_REG_VERSION },
		{ "CTRL", MXACCEL_REG_CTRL }, { "STATUS", MXACCEL_REG_STATUS },
		{ "AQA", MXACCEL_REG_AQA },
	};
	unsigned int i;
	u16 command = 0, status = 0;

	for (i = 0; i < ARRAY_SIZE(registers); i++)
		mx_dump(dump, "%s: %#010x\n", registers[i].name,
			readl(mx->regs + registers[i].offset));
	pci_read_config_word(mx->pdev, PCI_COMMAND, &command);
	pcie_capability_read_word(mx->pdev, PCI_EXP_DEVSTA, &status);
	mx_dump(dump, "PCI_COMMAND: %#06x\nPCI_EXP_DEVSTA: %#06x\n", command, status);
}

/* A ring's last entries, oldest first; the chip or the driver may be writing more. */
static void mx_dump_queue(struct mx_dump *dump, struct mx_queue *q)
{
	unsigned int i, at, nr = min_t(unsigned int, MX_DUMP_LAST, q->depth);

	mx_dump(dump, "\nqueue %u: depth %u vector %u live %u sq_tail %u cq_head %u phase %u\n",
		q->qid, q->depth, q->vector, q->live, q->sq_tail, q->cq_head, q->cq_phase);
	for (i = 0; i < q->depth - 1U; i++)
		if (READ_ONCE(q->slots[i].rq))
			mx_dump(dump, "in flight: cid %#06x\n",
				q->slots[i].tag << MX_CID_SLOT_BITS | i);
	for (i = nr; i; i--) {
		at = (q->sq_tail + q->depth - i) % q->depth;
		mx_dump(dump, "sqe %4u: %*ph\n", at, 64, &q->sq[at]);
	}
	for (i = nr; i; i--) {
		at = (q->cq_head + q->depth + nr / 2 - i) % q->depth;
		mx_dump(dump, "cqe %4u: %*ph\n", at, 16, &q->cq[at]);
	}
}

/**
 * mx_dump_failure() - leave a device core dump
 * @mx:		device, not stopped yet
 * @why:	what happened
 *
 * The dump belongs to the PCI function, which lives as long as somebody keeps
 * it; it must not keep this module's code.
 */
void mx_dump_failure(struct mx_dev *mx, const char *why)
{
	struct mx_dump dump = { .text = vzalloc(MX_DUMP_BYTES) };
	unsigned int i;

	if (!dump.text)
		return;
	mx_dump(&dump, "mxaccel core dump, version 1\ndevice: %s\nchip: %.32s\n",
		dev_name(&mx->dev), mx->identity->chip);
	mx_dump(&dump, "reason: %s\nstate: %s\ngeneration: %lu\nresets: %u\njobs: %d\n", why,
		mx_state_name(mx->state), mx->generation, mx->resets, atomic_read(&mx->jobs));
	mx_dump_registers(&dump, mx);
	mx_dump_queue(&dump, &mx->admin);
	for (i = 0; i < mx->nr_io; i++)
		mx_dump_queue(&dump, &mx->io[i]);
	dev_coredumpv(&mx->pdev->dev, dump.text, dump.at, GFP_KERNEL);
}
