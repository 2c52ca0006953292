// SPDX-License-Identifier: GPL-2.0-only
/*
 * mxaccel: driver of the MX1 non-volatile crossbar accelerator. The PCI face:
 * probe, remove, resets that come from outside, the module.
 */
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "mxaccel_drv.h"

/* A segment of a buffer must fit mxaccel_sg.bytes, with room to spare. */
#define MX_SEGMENT_MAX	SZ_1G

static dev_t mx_devt;
static DEFINE_IDA(mx_ids);
struct workqueue_struct *mx_workqueue;
struct class mx_class = { .name = MX_NAME };

/*
 * A device that comes back shall have its name back, though files of before
 * may still be open.
 */
static void mx_id_free(struct mx_dev *mx)
{
	if (mx->id >= 0)
		ida_free(&mx_ids, mx->id);
	mx->id = -1;
}

/* Last reference: no file, no sysfs reader, no hardware is left. */
static void mx_dev_release(struct device *dev)
{
	struct mx_dev *mx = container_of(dev, struct mx_dev, dev);

	mx_id_free(mx);
	ida_destroy(&mx->contexts);
	cleanup_srcu_struct(&mx->srcu);
	pci_dev_put(mx->pdev);
	kfree(mx->identity);
	kfree(mx);
}

/* Everything that needs no hardware. The first reference is the driver's. */
static struct mx_dev *mx_dev_alloc(struct pci_dev *pdev)
{
	struct mx_dev *mx;
	int err = -ENOMEM;

	mx = kzalloc(sizeof(*mx), GFP_KERNEL);
	if (!mx)
		return ERR_PTR(err);
	mx->identity = kzalloc(sizeof(*mx->identity), GFP_KERNEL);
	if (!mx->identity)
		goto free_mx;
	err = init_srcu_struct(&mx->srcu);
	if (err)
		goto free_identity;
	mx->id = ida_alloc_max(&mx_ids, MX_MINORS - 1, GFP_KERNEL);
	if (mx->id < 0) {
		err = mx->id;
		goto free_srcu;
	}

	mx->pdev = pci_dev_get(pdev);
	mx->state = MX_PROBING;
	mx->generation = 1;
	mx->scale = 1;
	spin_lock_init(&mx->state_lock);
	init_waitqueue_head(&mx->state_wait);
	mutex_init(&mx->reset_lock);
	mutex_init(&mx->ctrl_lock);
	raw_spin_lock_init(&mx->latch_lock);
	mutex_init(&mx->files_lock);
	mutex_init(&mx->models_lock);
	INIT_LIST_HEAD(&mx->files);
	INIT_LIST_HEAD(&mx->model_nodes);
	INIT_WORK(&mx->reset_work, mx_reset_work);
	INIT_DELAYED_WORK(&mx->link_work, mx_link_work);
	INIT_DELAYED_WORK(&mx->watchdog, mx_watchdog);
	ida_init(&mx->contexts);
	strscpy(mx->last_error, "none", sizeof(mx->last_error));

	device_initialize(&mx->dev);
	mx->dev.class = &mx_class;
	mx->dev.parent = &pdev->dev;
	mx->dev.devt = MKDEV(MAJOR(mx_devt), mx->id);
	mx->dev.groups = mx_attr_groups;
	mx->dev.release = mx_dev_release;
	dev_set_drvdata(&mx->dev, mx);
	cdev_init(&mx->cdev, &mx_fops);
	mx->cdev.owner = THIS_MODULE;
	err = dev_set_name(&mx->dev, MX_NAME "%d", mx->id);
	if (err) {
		put_device(&mx->dev);
		return ERR_PTR(err);
	}
	return mx;

free_srcu:
	cleanup_srcu_struct(&mx->srcu);
free_identity:
	kfree(mx->identity);
free_mx:
	kfree(mx);
	return ERR_PTR(err);
}

/* Maps the BARs and sees whether a chip is behind them that we can drive. */
static int mx_map(struct mx_dev *mx)
{
	struct pci_dev *pdev = mx->pdev;
	resource_size_t doorbell_bytes;
	unsigned int pairs, dbs;
	u32 version;
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return dev_err_probe(&pdev->dev, err, "cannot enable the PCI function\n");
	err = pcim_iomap_regions(pdev, BIT(MXACCEL_BAR_REGS) | BIT(MXACCEL_BAR_DOORBELLS), MX_NAME);
	if (err)
		return dev_err_probe(&pdev->dev, err, "cannot map BAR0 and BAR2\n");
	mx->regs = pcim_iomap_table(pdev)[MXACCEL_BAR_REGS];
	mx->doorbells = pcim_iomap_table(pdev)[MXACCEL_BAR_DOORBELLS];
	if (pci_resource_len(pdev, MXACCEL_BAR_REGS) < MXACCEL_REGS_BYTES)
		return dev_err_probe(&pdev->dev, -ENODEV, "BAR0 is too small\n");

	if (readl(mx->regs + MXACCEL_REG_ID) != MXACCEL_ID)
		return dev_err_probe(&pdev->dev, -ENODEV, "BAR0 does not answer as an MX1\n");
	version = readl(mx->regs + MXACCEL_REG_VERSION);
	if (version >> 16 != MXACCEL_VERSION_MAJOR)
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "chip speaks interface %u.%u, this driver %u.x: update the older\n",
				     version >> 16, version & 0xffff, MXACCEL_VERSION_MAJOR);
	mx->cap = lo_hi_readq(mx->regs + MXACCEL_REG_CAP);
	mx->hw_features = lo_hi_readq(mx->regs + MXACCEL_REG_FEATURES);
	pairs = (mx->cap >> MXACCEL_CAP_NQP_SHIFT & MXACCEL_CAP_NQP_MASK) + 1;
	dbs = mx->cap >> MXACCEL_CAP_DBS_SHIFT & MXACCEL_CAP_DBS_MASK;
	doorbell_bytes = (resource_size_t)pairs << dbs;
	if (pairs < 2 || 1U << dbs < MXACCEL_DB_CQ_HEAD + sizeof(u32) ||
	    pci_resource_len(pdev, MXACCEL_BAR_DOORBELLS) < doorbell_bytes)
		return dev_err_probe(&pdev->dev, -ENODEV, "BAR2 does not hold %u queue pairs\n",
				     pairs);
	mx->nr_counters = min_t(u32, readl(mx->regs + MXACCEL_REG_CTR_NR),
				MXACCEL_PAGE / sizeof(u64));

	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		return dev_err_probe(&pdev->dev, err, "no usable DMA addressing\n");
	dma_set_max_seg_size(&pdev->dev, MX_SEGMENT_MAX);
	return 0;
}

static void mx_queues_free(struct mx_dev *mx)
{
	unsigned int i;

	for (i = 0; i < mx->nr_io; i++)
		mx_queue_free(&mx->io[i]);
	mx_queue_free(&mx->admin);
	mx->nr_io = 0;
	kfree(mx->io);
	kfree(mx->vectors);
	mx->io = NULL;
	mx->vectors = NULL;
}

/*
 * One vector for the admin queue and one for each I/O queue, as many as there
 * are processors; a single vector serves one queue of each kind.
 */
static int mx_queues_alloc(struct mx_dev *mx)
{
	unsigned int mqes = (mx->cap >> MXACCEL_CAP_MQES_SHIFT & MXACCEL_CAP_MQES_MASK) + 1;
	unsigned int nqp = mx->cap >> MXACCEL_CAP_NQP_SHIFT & MXACCEL_CAP_NQP_MASK;
	unsigned int admin_depth = clamp(mqes, MXACCEL_QUEUE_MIN + 0U, MX_ADMIN_DEPTH);
	unsigned int i, wanted;
	int err;

	wanted = min(num_online_cpus(), nqp);
	err = pci_alloc_irq_vectors(mx->pdev, 1, wanted + 1, PCI_IRQ_MSIX | PCI_IRQ_MSI);
	if (err < 0)
		return dev_err_probe(&mx->pdev->dev, err, "no interrupt vector\n");
	mx->nr_vectors = err;
	wanted = mx->nr_vectors > 1 ? mx->nr_vectors - 1 : 1;
	mx->io_depth = clamp(mqes, MXACCEL_QUEUE_MIN + 0U, MX_IO_DEPTH);

	err = -ENOMEM;
	mx->vectors = kcalloc(mx->nr_vectors, sizeof(*mx->vectors), GFP_KERNEL);
	mx->io = kcalloc(wanted, sizeof(*mx->io), GFP_KERNEL);
	if (!mx->vectors || !mx->io)
		goto undo;
	sema_init(&mx->admin_slots, admin_depth - 1);
	err = mx_queue_init(mx, &mx->admin, 0, admin_depth, 0);
	for (i = 0; !err && i < wanted; i++) {
		err = mx_queue_init(mx, &mx->io[i], i + 1, mx->io_depth,
				    mx->nr_vectors > 1 ? i + 1 : 0);
		if (!err)
			mx->nr_io++;
	}
	if (!err)
		err = mx_irq_init(mx);
	if (err)
		goto undo;
	return 0;

undo:
	mx_queues_free(mx);
	pci_free_irq_vectors(mx->pdev);
	return dev_err_probe(&mx->pdev->dev, err, "cannot set up %u queues\n", wanted + 1);
}

static void mx_queues_exit(struct mx_dev *mx)
{
	mx_irq_exit(mx);
	mx_queues_free(mx);
	pci_free_irq_vectors(mx->pdev);
}

static int mx_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct mx_dev *mx;
	int err;

	mx = mx_dev_alloc(pdev);
	if (IS_ERR(mx))
		return PTR_ERR(mx);
	err = mx_map(mx);
	if (err)
		goto put_dev;
	err = mx_queues_alloc(mx);
	if (err)
		goto put_dev;
	pci_set_drvdata(pdev, mx);

	mutex_lock(&mx->reset_lock);
	err = mx_restart(mx);
	mutex_unlock(&mx->reset_lock);
	if (err)
		goto exit_queues;
	err = cdev_device_add(&mx->cdev, &mx->dev);
	if (err)
		goto stop_chip;
	err = mx_sysfs_models_add(mx);
	if (err)
		goto del_cdev;

	mx_pmu_add(mx);
	mx_hwmon_add(mx);
	mx_debugfs_add(mx);

	/* For slot_reset, which finds the configuration space empty. */
	pci_save_state(pdev);
	dev_info(&mx->dev, "chip %.32s (%.32s) at %s: %u queues of %u, %u vectors, %u models\n",
		 mx->identity->chip, mx->identity->organisation, pci_name(pdev), mx->nr_io,
		 mx->io_depth, mx->nr_vectors, le32_to_cpu(mx->identity->nr_models));
	return 0;

del_cdev:
	mx_condemn(mx);
	cdev_device_del(&mx->cdev, &mx->dev);
stop_chip:
	mx_shut(mx);
exit_queues:
	pci_set_drvdata(pdev, NULL);
	mx_queues_exit(mx);
put_dev:
	put_device(&mx->dev);
	return err;
}

static void mx_remove(struct pci_dev *pdev)
{
	struct mx_dev *mx = pci_get_drvdata(pdev);

	dev_info(&mx->dev, "removed%s, %d jobs in flight end\n",
		 pci_device_is_present(pdev) ? "" : ", it is gone", atomic_read(&mx->jobs));
	/* Early, so that the readers of sysfs that are waited for end soon. */
	mx_condemn(mx);
	mx_debugfs_remove(mx);
	mx_hwmon_remove(mx);
	mx_pmu_remove(mx);
	mx_sysfs_models_remove(mx);
	cdev_device_del(&mx->cdev, &mx->dev);
	mx_id_free(mx);
	mx_shut(mx);
	pci_set_drvdata(pdev, NULL);
	mx_queues_exit(mx);
	put_device(&mx->dev);
}

static void mx_shutdown(struct pci_dev *pdev)
{
	mx_shut(pci_get_drvdata(pdev));
}

static const struct pci_device_id mx_ids_table[] = {
	{ PCI_DEVICE(MXACCEL_PCI_VENDOR_ID, MXACCEL_PCI_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, mx_ids_table);

static struct pci_driver mx_driver = {
	.name		= MX_NAME,
	.id_table	= mx_ids_table,
	.probe		= mx_probe,
	.remove		= mx_remove,
	.shutdown	= mx_shutdown,
	.err_handler	= &mx_error_handlers,
	.driver.pm	= pm_sleep_ptr(&mx_pm_ops),
};

static int __init mx_init(void)
{
	int err;

	err = mx_jobs_init();
	if (err)
		return err;
	err = -ENOMEM;
	mx_workqueue = alloc_workqueue(MX_NAME, WQ_UNBOUND, 0);
	if (!mx_workqueue)
		goto free_jobs;
	err = alloc_chrdev_region(&mx_devt, 0, MX_MINORS, MX_NAME);
	if (err)
		goto free_workqueue;
	err = class_register(&mx_class);
	if (err)
		goto free_region;
	err = mx_pmu_init();
	if (err)
		goto free_class;
	mx_debugfs_init();
	err = pci_register_driver(&mx_driver);
	if (err)
		goto free_debugfs;
	return 0;

free_debugfs:
	mx_debugfs_exit();
	mx_pmu_exit();
free_class:
	class_unregister(&mx_class);
free_region:
	unregister_chrdev_region(mx_devt, MX_MINORS);
free_workqueue:
	destroy_workqueue(mx_workqueue);
free_jobs:
	mx_jobs_exit();
	return err;
}

static void __exit mx_exit_module(void)
{
	pci_unregister_driver(&mx_driver);
	mx_debugfs_exit();
	mx_pmu_exit();
	/* Buffers whose last mapping went away are freed here. */
	destroy_workqueue(mx_workqueue);
	mx_jobs_exit();
	class_unregister(&mx_class);
	unregister_chrdev_region(mx_devt, MX_MINORS);
	ida_destroy(&mx_ids);
}

module_init(mx_init);
module_exit(mx_exit_module);

MODULE_DESCRIPTION("MX1 non-volatile crossbar accelerator");
MODULE_AUTHOR("mxaccel project");
MODULE_LICENSE("GPL");
