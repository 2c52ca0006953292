// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of the device, the gate of its entry points, and the way from a
 * failure back to work: stop the chip, end what was in flight, reclaim what
 * files own, start again. Models survive, files do not.
 */
#include <linux/delay.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/module.h>

#include "mxaccel_drv.h"
#include "trace.h"

#define MX_SCALE_MAX	1000U
#define MX_ALL_ONES	0xffffffffU

static const char * const mx_state_names[] = {
	[MX_PROBING]	= "probing",
	[MX_LIVE]	= "live",
	[MX_SUSPENDED]	= "suspended",
	[MX_RESETTING]	= "resetting",
	[MX_DEAD]	= "dead",
	[MX_GONE]	= "gone",
};

const char *mx_state_name(enum mx_state state)
{
	return mx_state_names[state];
}

/**
 * mx_set_state() - the only place that changes the state
 * @mx:		device
 * @state:	wanted
 *
 * Leaving LIVE ends the generation: every file that is open dies.
 * Return: whether the state was changed; false if it cannot follow the old one.
 */
bool mx_set_state(struct mx_dev *mx, enum mx_state state)
{
	bool allowed;

	spin_lock(&mx->state_lock);
	allowed = mx_state_may_follow(mx->state, state);
	if (allowed) {
		trace_mx_state(mx, mx->state, state);
		/* Files outlive a sleep, unless something else follows it. */
		if ((mx->state == MX_LIVE && state != MX_SUSPENDED) ||
		    (mx->state == MX_SUSPENDED && state != MX_LIVE))
			WRITE_ONCE(mx->generation, mx->generation + 1);
		WRITE_ONCE(mx->state, state);
		WRITE_ONCE(mx->live_gen, state == MX_LIVE ? mx->generation : 0);
	}
	spin_unlock(&mx->state_lock);
	if (allowed) {
		wake_up_all(&mx->state_wait);
		mx_announce(mx);
	}
	return allowed;
}

/* Logs a failure of the device and keeps it for sysfs. */
void mx_record_error(struct mx_dev *mx, const char *format, ...)
{
	char text[sizeof(mx->last_error)];
	va_list args;

	va_start(args, format);
	vscnprintf(text, sizeof(text), format, args);
	va_end(args);
	dev_err(&mx->dev, "%s\n", text);
	trace_mx_fault(mx, text);
	spin_lock(&mx->state_lock);
	memcpy(mx->last_error, text, sizeof(text));
	spin_unlock(&mx->state_lock);
}

/**
 * mx_enter() - begin to use the hardware
 * @mx:		device
 * @idx:	for mx_exit()
 *
 * Until mx_exit(), no restart is completed and no resource of the device is
 * freed; commands fail with ENODEV once the chip was stopped. In between, no
 * user memory is touched or pinned: a process could make that last for ever,
 * and a reset with it. Return: false if the device is not live; then there is
 * no mx_exit().
 */
bool mx_enter(struct mx_dev *mx, int *idx)
{
	*idx = srcu_read_lock(&mx->srcu);
	if (READ_ONCE(mx->live_gen)) {
		/* For sparse, which knows no conditional locks. */
		__release(&mx->srcu);
		return true;
	}
	srcu_read_unlock(&mx->srcu, *idx);
	return false;
}

void mx_exit(struct mx_dev *mx, int idx)
{
	__acquire(&mx->srcu);
	srcu_read_unlock(&mx->srcu, idx);
}

static unsigned int mx_timeout_percent = 100;
module_param_named(timeout_percent, mx_timeout_percent, uint, 0644);
MODULE_PARM_DESC(timeout_percent,
		 "All timeouts of the driver, in percent of what they are, 1 to 100 (default 100)");

/* @ms in jiffies, as long as this platform needs */
unsigned long mx_timeout(struct mx_dev *mx, u64 ms)
{
	unsigned long percent = clamp(READ_ONCE(mx_timeout_percent), 1U, 100U);

	return max(mx_scaled_jiffies(ms, mx->scale) / 100 * percent, 1UL);
}

/*
 * Waits until the chip has followed CTRL: not RDY, or RDY or FATAL. -ENODEV if
 * it does not answer at all.
 */
static int mx_wait_status(struct mx_dev *mx, bool enabled, u32 *status)
{
	u32 bits = enabled ? MXACCEL_STATUS_RDY | MXACCEL_STATUS_FATAL : MXACCEL_STATUS_RDY;
	unsigned int cap_to = mx->cap >> MXACCEL_CAP_TO_SHIFT & MXACCEL_CAP_TO_MASK;
	u64 timeout_us = jiffies_to_usecs(mx_timeout(mx, max(cap_to, 1U) * 100));
	int err;

	err = read_poll_timeout(readl, *status,
				*status == MX_ALL_ONES || !!(*status & bits) == enabled,
				100, timeout_us, false, mx->regs + MXACCEL_REG_STATUS);
	if (*status == MX_ALL_ONES)
		return -ENODEV;
	return err;
}

/*
 * Ends all access of the chip to memory, orderly by CTRL, else by taking its
 * right to it, and then every command in flight, with ENODEV.
 */
static void mx_stop_locked(struct mx_dev *mx)
{
	u32 status = readl(mx->regs + MXACCEL_REG_STATUS);
	int err = -ENODEV;
	unsigned int i;

	lockdep_assert_held(&mx->ctrl_lock);
	/* No doorbell may follow the write to CTRL. */
	mx_queue_block(&mx->admin);
	for (i = 0; i < mx->nr_io; i++)
		mx_queue_block(&mx->io[i]);

	if (status != MX_ALL_ONES) {
		writel(0, mx->regs + MXACCEL_REG_CTRL);
		err = mx_wait_status(mx, false, &status);
	}
	/* Once is enough, should it be stopped again. */
	if (err && mx->pdev->is_busmaster) {
		dev_warn(&mx->dev, "chip does not stop (status %#x): bus mastering taken away\n",
			 status);
		pci_clear_master(mx->pdev);
	}

	mx_queue_fail(&mx->admin, -ENODEV);
	for (i = 0; i < mx->nr_io; i++)
		mx_queue_fail(&mx->io[i], -ENODEV);
}

/* Stops the chip and ends every command in flight with ENODEV. */
void mx_stop_chip(struct mx_dev *mx)
{
	mutex_lock(&mx->ctrl_lock);
	mx_stop_locked(mx);
	mutex_unlock(&mx->ctrl_lock);
}

/* What STATUS says of the chip's condition. */
static const char *mx_condition(u32 status)
{
	static const char *const fatal[] = {
		[MXACCEL_FATAL_QUEUE_DMA]	= " (fatal: no access to a queue entry)",
		[MXACCEL_FATAL_BAD_DOORBELL]	= " (fatal: bad doorbell)",
		[MXACCEL_FATAL_BAD_ENABLE]	= " (fatal: bad admin queue)",
		[MXACCEL_FATAL_CQ_OVERFLOW]	= " (fatal: a completion queue is full)",
		[MXACCEL_FATAL_POWER]		= " (fatal: the chip has lost power)",
	};
	unsigned int code = status >> MXACCEL_STATUS_CODE_SHIFT & MXACCEL_STATUS_CODE_MASK;

	if (status == MX_ALL_ONES)
		return " (no answer)";
	if (!(status & MXACCEL_STATUS_FATAL))
		return "";
	return code < ARRAY_SIZE(fatal) && fatal[code] ? fatal[code] : " (fatal)";
}

/**
 * mx_fail() - the chip misbehaved: stop it now, restart it soon
 * @mx:		device
 * @generation:	when it was seen; nothing happens if there was a reset since
 * @why:	what happened
 *
 * On return, memory that commands of @generation used is no longer accessed,
 * and their completion is under way.
 */
void mx_fail(struct mx_dev *mx, unsigned long generation, const char *why)
{
	u32 status;

	mutex_lock(&mx->ctrl_lock);
	if (READ_ONCE(mx->generation) == generation) {
		status = readl(mx->regs + MXACCEL_REG_STATUS);
		mx_record_error(mx, "%s, status %#x%s: resetting the chip", why, status,
				mx_condition(status));
		mx_dump_failure(mx, why);
		if (mx_set_state(mx, MX_RESETTING))
			queue_work(mx_workqueue, &mx->reset_work);
		mx_stop_locked(mx);
	}
	mutex_unlock(&mx->ctrl_lock);
}

/**
 * mx_quiesce() - end everything that uses the hardware
 * @mx:		device, not live any more
 *
 * On return no entry point is inside mx_enter(), and every file of before has
 * given its memory back. With reset_lock.
 */
void mx_quiesce(struct mx_dev *mx)
{
	struct mx_file *file;
	LIST_HEAD(buffers);

	lockdep_assert_held(&mx->reset_lock);
	mx_stop_chip(mx);
	mutex_lock(&mx->files_lock);
	list_for_each_entry(file, &mx->files, node)
		wake_up_all(&file->wait);
	mutex_unlock(&mx->files_lock);

	synchronize_srcu(&mx->srcu);

	mutex_lock(&mx->files_lock);
	list_for_each_entry(file, &mx->files, node)
		mx_file_reclaim(file, &buffers);
	mutex_unlock(&mx->files_lock);
	/* Unpinning may wait for a process, so it is left to a worker. */
	mx_bufs_put(&buffers, true);
}

/* Brings the chip from whatever state to RDY with a working admin queue. */
static int mx_enable_chip(struct mx_dev *mx)
{
	u32 aqa = (mx->admin.depth - 1) << 16 | (mx->admin.depth - 1);
	u32 status;
	int err;

	mutex_lock(&mx->ctrl_lock);
	writel(0, mx->regs + MXACCEL_REG_CTRL);
	err = mx_wait_status(mx, false, &status);
	if (err)
		goto out;
	mx_queue_start(&mx->admin, true);
	writel(aqa, mx->regs + MXACCEL_REG_AQA);
	lo_hi_writeq(mx->admin.sq_dma, mx->regs + MXACCEL_REG_ASQ);
	lo_hi_writeq(mx->admin.cq_dma, mx->regs + MXACCEL_REG_ACQ);
	writel(MXACCEL_CTRL_EN, mx->regs + MXACCEL_REG_CTRL);
	err = mx_wait_status(mx, true, &status);
	if (!err && (status & MXACCEL_STATUS_FATAL))
		err = -EIO;
out:
	mutex_unlock(&mx->ctrl_lock);
	if (err)
		mx_record_error(mx, "chip does not become ready, status %#x", status);
	return err;
}

/* What the chip says of itself, kept within bounds. */
static int mx_learn(struct mx_dev *mx)
{
	struct mxaccel_identify *identity = mx->identity;
	int err = mx_identify(mx, identity);

	if (err)
		return err;
	if (le32_to_cpu(identity->nr_values) <= MXACCEL_CHIP_MAX_SG) {
		mx_record_error(mx, "chip reports %u of the %u values this driver needs",
				le32_to_cpu(identity->nr_values), MXACCEL_CHIP_MAX_SG + 1);
		return -EPROTO;
	}
#define MX_BOUNDED(which, limit) \
	((u32)clamp_t(u64, le64_to_cpu(identity->value[MXACCEL_CHIP_##which]), 1, limit))
	mx->max_contexts = MX_BOUNDED(MAX_CONTEXTS, MX_MAX_CONTEXTS);
	mx->max_buffers = MX_BOUNDED(MAX_BUFFERS, MX_MAX_BUFFERS);
	mx->max_sg = MX_BOUNDED(MAX_SG, MX_MAX_SG);
	mx->max_models = MX_BOUNDED(MAX_MODELS, MX_MAX_MODELS);
#undef MX_BOUNDED
	return 0;
}

/**
 * mx_bring_up() - make chip and queues work, whatever state the chip is in
 * @mx:		device; the caller tells afterwards that it is LIVE
 *
 * With reset_lock. Return: 0; or an error, and the chip is stopped.
 */
int mx_bring_up(struct mx_dev *mx)
{
	unsigned int i;
	u32 scale;
	int err;

	lockdep_assert_held(&mx->reset_lock);
	if (readl(mx->regs + MXACCEL_REG_ID) != MXACCEL_ID) {
		mx_record_error(mx, "BAR0 does not answer as an MX1");
		return -ENODEV;
	}
	scale = readl(mx->regs + MXACCEL_REG_TIMEOUT_SCALE);
	mx->scale = clamp(scale, 1U, MX_SCALE_MAX);
	mx->job_margin = mx_timeout(mx, MX_JOB_MARGIN_MS);
	pci_set_master(mx->pdev);

	err = mx_enable_chip(mx);
	if (!err)
		err = mx_learn(mx);
	for (i = 0; !err && i < mx->nr_io; i++) {
		mx_queue_start(&mx->io[i], true);
		err = mx_create_qp(mx, &mx->io[i]);
	}
	if (err)
		mx_stop_chip(mx);
	return err;
}

/* Function level reset, of a chip that is stopped; false if there is nobody to reset. */
static bool mx_flr(struct mx_dev *mx)
{
	struct pci_dev *pdev = mx->pdev;

	if (!pci_device_is_present(pdev))
		return false;
	dev_warn(&mx->dev, "resetting the PCI function\n");
	if (pcie_reset_flr(pdev, PCI_RESET_DO_RESET))
		return false;
	pci_restore_state(pdev);
	pci_save_state(pdev);
	return true;
}

/**
 * mx_restart() - start the chip after power-on or reset
 * @mx:		device in PROBING or RESETTING
 *
 * With reset_lock. If a controller reset does not help, an FLR may. Return: 0, and
 * the device is LIVE; or an error, and it is DEAD (or still PROBING, for probe to
 * clean up).
 */
int mx_restart(struct mx_dev *mx)
{
	int err;

	err = mx_bring_up(mx);
	if (err && READ_ONCE(mx->state) == MX_RESETTING && mx_flr(mx))
		err = mx_bring_up(mx);
	if (!err && !mx_set_state(mx, MX_LIVE)) {
		mx_stop_chip(mx);
		err = -ENODEV;
	}
	if (err && READ_ONCE(mx->state) == MX_RESETTING) {
		dev_err(&mx->dev,
			"restart failed (%d): device is dead; try 'echo 1 > /sys/bus/pci/devices/%s/reset'\n",
			err, pci_name(mx->pdev));
		mx_set_state(mx, MX_DEAD);
	}
	return err;
}

static void mx_reset(struct mx_dev *mx)
{
	mutex_lock(&mx->reset_lock);
	if (READ_ONCE(mx->state) == MX_RESETTING) {
		mx_quiesce(mx);
		mx_revive(mx);
	}
	mutex_unlock(&mx->reset_lock);
}

void mx_reset_work(struct work_struct *work)
{
	mx_reset(container_of(work, struct mx_dev, reset_work));
}

/* Where a port cannot reset its link, a function level reset may be enough. */
void mx_link_work(struct work_struct *work)
{
	mx_reset(container_of(work, struct mx_dev, link_work.work));
}

/**
 * mx_revive() - restart after mx_quiesce(), and tell
 * @mx:		device in RESETTING or DEAD
 *
 * With reset_lock.
 */
void mx_revive(struct mx_dev *mx)
{
	if (READ_ONCE(mx->state) == MX_DEAD)
		mx_set_state(mx, MX_RESETTING);
	if (READ_ONCE(mx->state) != MX_RESETTING || mx_restart(mx))
		return;
	mx->resets++;
	dev_warn(&mx->dev, "chip was reset: its models are kept, open files must be reopened\n");
	mx_sysfs_models_refresh(mx);
}

/**
 * mx_condemn() - nobody begins to use the hardware any more, and all waits for it end
 * @mx:		device
 *
 * The chip is stopped here, not by whoever finds that it does not answer: with
 * the generation gone, mx_fail() leaves that to us. What is waited for next
 * (readers of sysfs, the holder of reset_lock) may be in such a command.
 */
void mx_condemn(struct mx_dev *mx)
{
	mx_set_state(mx, MX_GONE);
	mx_stop_chip(mx);
}

/**
 * mx_shut() - final end of all use of the hardware: removal, shutdown
 * @mx:		device
 */
void mx_shut(struct mx_dev *mx)
{
	mx_condemn(mx);
	mutex_lock(&mx->reset_lock);
	mx_quiesce(mx);
	mutex_unlock(&mx->reset_lock);
	/* Nobody is left who could queue them again. */
	cancel_work_sync(&mx->reset_work);
	cancel_delayed_work_sync(&mx->link_work);
	cancel_delayed_work_sync(&mx->watchdog);
}
