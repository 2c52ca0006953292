// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs: what only somebody who debugs the driver wants to know. No ABI.
 *
 *	mxaccel/mxaccelN/queues		rings, commands in flight
 *	mxaccel/mxaccelN/contexts	open files and what they hold
 *	mxaccel/mxaccelN/registers	the control registers
 *	mxaccel/fail_*, lose_*		errors on demand, see inject.c
 */
#include <linux/debugfs.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>

#include "mxaccel_drv.h"

static struct dentry *mx_debugfs_root;

static void mx_queue_dump(struct seq_file *out, struct mx_queue *q)
{
	unsigned int in_flight = 0, held = 0;
	u16 i, tail, head, phase;
	bool live;

	spin_lock(&q->cq_lock);
	head = q->cq_head;
	phase = q->cq_phase;
	spin_unlock(&q->cq_lock);
	spin_lock(&q->sq_lock);
	live = q->live;
	tail = q->sq_tail;
	for (i = 0; i < q->depth - 1; i++) {
		in_flight += !!q->slots[i].rq;
		held += q->slots[i].busy && !q->slots[i].rq;
	}
	spin_unlock(&q->sq_lock);
	seq_printf(out, "%-5u %-6u %-7u %-5s %-8u %-8u %-6u %-10u %u\n", q->qid, q->vector,
		   q->depth, str_yes_no(live), tail, head, phase, in_flight, held);
}

static int queues_show(struct seq_file *out, void *data)
{
	struct mx_dev *mx = out->private;
	unsigned int i;

	seq_puts(out, "queue vector entries live  sq_tail  cq_head  phase  in_flight  held\n");
	mx_queue_dump(out, &mx->admin);
	for (i = 0; i < mx->nr_io; i++)
		mx_queue_dump(out, &mx->io[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queues);

static int contexts_show(struct seq_file *out, void *data)
{
	struct mx_dev *mx = out->private;
	struct mx_file *file;

	seq_puts(out, "context generation running unreaped submitted completed failed\n");
	mutex_lock(&mx->files_lock);
	list_for_each_entry(file, &mx->files, node) {
		spin_lock(&file->done_lock);
		seq_printf(out, "%-7u %-10lu %-7u %-8u %-9llu %-9llu %llu\n", file->ctx,
			   file->generation, file->nr_running, file->nr_jobs - file->nr_running,
			   file->stats.submitted, file->stats.completed, file->stats.failed);
		spin_unlock(&file->done_lock);
	}
	mutex_unlock(&mx->files_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(contexts);

static int registers_show(struct seq_file *out, void *data)
{
	static const struct {
		const char *name;
		unsigned int at, bytes;
	} registers[] = {
		{ "id", MXACCEL_REG_ID, 4 },
		{ "version", MXACCEL_REG_VERSION, 4 },
		{ "cap", MXACCEL_REG_CAP, 8 },
		{ "features", MXACCEL_REG_FEATURES, 8 },
		{ "ctrl", MXACCEL_REG_CTRL, 4 },
		{ "status", MXACCEL_REG_STATUS, 4 },
		{ "aqa", MXACCEL_REG_AQA, 4 },
		{ "asq", MXACCEL_REG_ASQ, 8 },
		{ "acq", MXACCEL_REG_ACQ, 8 },
		{ "platform", MXACCEL_REG_PLATFORM, 4 },
		{ "timeout_scale", MXACCEL_REG_TIMEOUT_SCALE, 4 },
	};
	struct mx_dev *mx = out->private;
	size_t i;
	u64 value;
	int idx;

	if (!mx_enter(mx, &idx))
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(registers); i++) {
		value = registers[i].bytes == 8 ? lo_hi_readq(mx->regs + registers[i].at) :
						  readl(mx->regs + registers[i].at);
		seq_printf(out, "%-14s %#0*llx\n", registers[i].name,
			   registers[i].bytes * 2 + 2, value);
	}
	mx_exit(mx, idx);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(registers);

void mx_debugfs_add(struct mx_dev *mx)
{
	mx->debugfs = debugfs_create_dir(dev_name(&mx->dev), mx_debugfs_root);
	debugfs_create_file("queues", 0400, mx->debugfs, mx, &queues_fops);
	debugfs_create_file("contexts", 0400, mx->debugfs, mx, &contexts_fops);
	debugfs_create_file("registers", 0400, mx->debugfs, mx, &registers_fops);
}

/* Waits for readers; before the queues are freed. */
void mx_debugfs_remove(struct mx_dev *mx)
{
	debugfs_remove(mx->debugfs);
	mx->debugfs = NULL;
}

void mx_debugfs_init(void)
{
	mx_debugfs_root = debugfs_create_dir(MX_NAME, NULL);
	mx_inject_init(mx_debugfs_root);
}

void mx_debugfs_exit(void)
{
	debugfs_remove(mx_debugfs_root);
}
