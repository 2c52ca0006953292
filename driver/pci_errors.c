// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors of the PCI link, and resets of the function that others ask for.
 *
 *	correctable	is counted
 *	non-fatal	error_detected, mmio_enabled, resume: the chip is restarted by CTRL
 *	fatal		error_detected, slot_reset, resume: the link was reset
 *	permanent	error_detected: the device is dead
 *
 * A transaction was lost, which may have been a completion, so all but the first
 * end what is in flight.
 */
#include "mxaccel_drv.h"

#define MX_LINK_TIMEOUT	(10 * HZ)	/* for the kernel to reset a link */

static pci_ers_result_t mx_error_detected(struct pci_dev *pdev, pci_channel_state_t channel)
{
	struct mx_dev *mx = pci_get_drvdata(pdev);

	mx_record_error(mx, "PCI error, %s",
			channel == pci_channel_io_normal ? "non-fatal" :
			channel == pci_channel_io_frozen ? "fatal" :
			channel == pci_channel_io_perm_failure ? "permanent" : "unknown");
	mutex_lock(&mx->reset_lock);
	mx_set_state(mx, MX_RESETTING);
	mx_quiesce(mx);
	if (channel == pci_channel_io_perm_failure)
		mx_set_state(mx, MX_DEAD);
	mutex_unlock(&mx->reset_lock);
	if (channel == pci_channel_io_perm_failure)
		return PCI_ERS_RESULT_DISCONNECT;
	/* If the kernel cannot reset the link it tells us nothing any more. */
	queue_delayed_work(mx_workqueue, &mx->link_work, MX_LINK_TIMEOUT);
	return channel == pci_channel_io_normal ? PCI_ERS_RESULT_CAN_RECOVER :
						  PCI_ERS_RESULT_NEED_RESET;
}

/* After an error that is not fatal the link works; does the chip? */
static pci_ers_result_t mx_mmio_enabled(struct pci_dev *pdev)
{
	struct mx_dev *mx = pci_get_drvdata(pdev);

	return readl(mx->regs + MXACCEL_REG_ID) == MXACCEL_ID ? PCI_ERS_RESULT_RECOVERED :
								PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t mx_slot_reset(struct pci_dev *pdev)
{
	struct mx_dev *mx = pci_get_drvdata(pdev);

	pci_restore_state(pdev);
	pci_save_state(pdev);
	return readl(mx->regs + MXACCEL_REG_ID) == MXACCEL_ID ? PCI_ERS_RESULT_RECOVERED :
								PCI_ERS_RESULT_DISCONNECT;
}

static void mx_error_resume(struct pci_dev *pdev)
{
	struct mx_dev *mx = pci_get_drvdata(pdev);

	cancel_delayed_work(&mx->link_work);
	mutex_lock(&mx->reset_lock);
	mx_revive(mx);
	mutex_unlock(&mx->reset_lock);
}

#ifdef MX_HAVE_COR_ERROR_DETECTED
/* The link has repeated what was lost: there is nothing to do. */
static void mx_cor_error_detected(struct pci_dev *pdev)
{
	struct mx_dev *mx = pci_get_drvdata(pdev);

	dev_info_ratelimited(&mx->dev, "correctable PCI error\n");
}
#endif

/* FLR, by sysfs or VFIO. The lock is held until mx_reset_done(). */
static void mx_reset_prepare(struct pci_dev *pdev)
{
	struct mx_dev *mx = pci_get_drvdata(pdev);

	mutex_lock(&mx->reset_lock);
	mx_set_state(mx, MX_RESETTING);
	mx_quiesce(mx);
}

static void mx_reset_done(struct pci_dev *pdev)
{
	struct mx_dev *mx = pci_get_drvdata(pdev);

	mx_revive(mx);
	mutex_unlock(&mx->reset_lock);
}

const struct pci_error_handlers mx_error_handlers = {
	.error_detected	= mx_error_detected,
	.mmio_enabled	= mx_mmio_enabled,
	.slot_reset	= mx_slot_reset,
	.resume		= mx_error_resume,
	.reset_prepare	= mx_reset_prepare,
	.reset_done	= mx_reset_done,
#ifdef MX_HAVE_COR_ERROR_DETECTED
	.cor_error_detected = mx_cor_error_detected,
#endif
};
