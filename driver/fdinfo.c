// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/PID/fdinfo/FD of an open file: what it uses of the device, in the
 * manner of the kernel's drm-usage-stats.
 */
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "mxaccel_drv.h"

static u64 mx_file_bytes(struct mx_file *file, unsigned int *buffers, unsigned int *models)
{
	struct mx_grant *grant;
	unsigned long index;
	struct mx_buf *buf;
	u64 bytes = 0;

	*buffers = 0;
	*models = 0;
	mutex_lock(&file->lock);
	xa_for_each(&file->buffers, index, buf) {
		bytes += buf->bytes;
		(*buffers)++;
	}
	xa_for_each(&file->models, index, grant)
		(*models)++;
	mutex_unlock(&file->lock);
	return bytes;
}

/* What the chip has counted for the file; it is asked, so only while it lives. */
static void mx_file_show_chip(struct seq_file *out, struct mx_file *file)
{
	struct mx_dev *mx = file->mx;
	u64 *values;
	int idx, err;

	values = kmalloc(MXACCEL_PAGE, GFP_KERNEL);
	if (!values)
		return;
	err = mx_file_enter(file, &idx);
	if (!err) {
		err = mx_read_counters(mx, MXACCEL_SCOPE_CONTEXT, file->ctx, 0, values);
		mx_exit(mx, idx);
	}
	if (!err) {
		seq_printf(out, "mxaccel-cycles-chip:\t%llu\n", values[MXACCEL_CTR_CYCLES]);
		seq_printf(out, "mxaccel-tokens:\t%llu\n", values[MXACCEL_CTR_TOKENS]);
		seq_printf(out, "mxaccel-maxfreq-chip:\t%llu Hz\n",
			   1000 * le64_to_cpu(mx->identity->value[MXACCEL_CHIP_CLOCK_KHZ]));
	}
	kfree(values);
}

void mx_show_fdinfo(struct seq_file *out, struct file *filp)
{
	struct mx_file *file = filp->private_data;
	unsigned int buffers = 0, models = 0, running;
	struct mx_file_stats stats;
	u64 bytes = 0;
	int idx;

	if (!mx_file_enter(file, &idx)) {
		bytes = mx_file_bytes(file, &buffers, &models);
		mx_exit(file->mx, idx);
	}
	spin_lock(&file->done_lock);
	stats = file->stats;
	running = file->nr_running;
	spin_unlock(&file->done_lock);

	seq_puts(out, "mxaccel-driver:\t" MX_NAME "\n");
	seq_printf(out, "mxaccel-pdev:\t%s\n", pci_name(file->mx->pdev));
	seq_printf(out, "mxaccel-client-id:\t%llu\n", file->client);
	seq_printf(out, "mxaccel-jobs-submitted:\t%llu\n", stats.submitted);
	seq_printf(out, "mxaccel-jobs-completed:\t%llu\n", stats.completed);
	seq_printf(out, "mxaccel-jobs-failed:\t%llu\n", stats.failed);
	seq_printf(out, "mxaccel-jobs-running:\t%u\n", running);
	seq_printf(out, "mxaccel-buffers:\t%u\n", buffers);
	seq_printf(out, "mxaccel-total-memory:\t%llu KiB\n", DIV_ROUND_UP_ULL(bytes, 1024));
	seq_printf(out, "mxaccel-models:\t%u\n", models);
	mx_file_show_chip(out, file);
}
