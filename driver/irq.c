// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts: one vector for each queue, or one for all. The handler looks whether a
 * ring has a new entry, a thread takes them.
 */
#include <linux/interrupt.h>

#include "mxaccel_drv.h"

/* The chip raises vector 0 when it stops with a fatal error. */
static bool mx_irq_fatal(struct mx_vector *vector)
{
	u32 status;

	if (vector->index)
		return false;
	status = readl(vector->mx->regs + MXACCEL_REG_STATUS);
	return status & MXACCEL_STATUS_FATAL;
}

/* Did somebody else take what this interrupt announced? */
static bool mx_irq_outrun(struct mx_vector *vector)
{
	struct mx_dev *mx = vector->mx;
	bool outrun = false;
	unsigned int i;

	if (!vector->index)
		outrun |= test_and_clear_bit(0, &mx->admin.looked);
	for (i = 0; i < mx->nr_io; i++)
		if (mx->io[i].vector == vector->index)
			outrun |= test_and_clear_bit(0, &mx->io[i].looked);
	return outrun;
}

/* Hard interrupt: is it ours, and is there work for the thread? */
static irqreturn_t mx_irq(int irq, void *data)
{
	struct mx_vector *vector = data;
	struct mx_dev *mx = vector->mx;
	unsigned int i;

	if (mx_inject_interrupt())
		return IRQ_HANDLED;
	if (!vector->index && mx_queue_pending(&mx->admin))
		return IRQ_WAKE_THREAD;
	for (i = 0; i < mx->nr_io; i++)
		if (mx->io[i].vector == vector->index && mx_queue_pending(&mx->io[i]))
			return IRQ_WAKE_THREAD;
	if (mx_irq_fatal(vector))
		return IRQ_WAKE_THREAD;
	return mx_irq_outrun(vector) ? IRQ_HANDLED : IRQ_NONE;
}

static irqreturn_t mx_irq_thread(int irq, void *data)
{
	struct mx_vector *vector = data;
	struct mx_dev *mx = vector->mx;
	bool any = false;
	unsigned int i;
	int idx;

	if (!vector->index)
		any |= mx_queue_poll(&mx->admin);
	for (i = 0; i < mx->nr_io; i++)
		if (mx->io[i].vector == vector->index)
			any |= mx_queue_poll(&mx->io[i]);
	if (!any && mx_irq_fatal(vector) && mx_enter(mx, &idx)) {
		mx_fail(mx, READ_ONCE(mx->generation), "chip reports a failure");
		mx_exit(mx, idx);
		any = true;
	}
	return any || mx_irq_outrun(vector) ? IRQ_HANDLED : IRQ_NONE;
}

/*
 * Prefers the processors whose queue it is. A hint only: with managed affinity the kernel
 * would shut an interrupt down with its last processor, and a job may be in flight.
 */
static void mx_irq_prefer(struct mx_vector *vector)
{
	struct mx_dev *mx = vector->mx;
	unsigned int cpu;

	/* The admin queue's, or the only one there is, may go anywhere. */
	if (!vector->index)
		return;
	for_each_possible_cpu(cpu)
		if (mx->io[cpu % mx->nr_io].vector == vector->index)
			cpumask_set_cpu(cpu, &vector->cpus);
	if (irq_set_affinity_and_hint(pci_irq_vector(mx->pdev, vector->index), &vector->cpus))
		dev_dbg(&mx->dev, "%s interrupts any processor\n", vector->name);
}

static void mx_irq_free(struct mx_vector *vector)
{
	int irq = pci_irq_vector(vector->mx->pdev, vector->index);

	irq_update_affinity_hint(irq, NULL);
	free_irq(irq, vector);
}

/* Requests every vector; the queues exist. */
int mx_irq_init(struct mx_dev *mx)
{
	unsigned int i;
	int err;

	for (i = 0; i < mx->nr_vectors; i++) {
		struct mx_vector *vector = &mx->vectors[i];

		vector->mx = mx;
		vector->index = i;
		snprintf(vector->name, sizeof(vector->name), "%s-%u", dev_name(&mx->dev), i);
		err = request_threaded_irq(pci_irq_vector(mx->pdev, i), mx_irq, mx_irq_thread, 0,
					   vector->name, vector);
		if (err)
			goto undo;
		mx_irq_prefer(vector);
	}
	return 0;

undo:
	while (i--)
		mx_irq_free(&mx->vectors[i]);
	return err;
}

void mx_irq_exit(struct mx_dev *mx)
{
	unsigned int i;

	for (i = 0; i < mx->nr_vectors; i++)
		mx_irq_free(&mx->vectors[i]);
}
