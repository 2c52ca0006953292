// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/mxaccelN: open, ioctl, poll, mmap, close. Arguments are copied in once
 * and out once, here; each operation passes the gate of mx_file_enter() for as
 * long as it uses the hardware.
 */
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mxaccel_drv.h"

#define MX_OPEN_WAIT_MS	30000U	/* for a reset that is under way */

static int mx_open(struct inode *inode, struct file *filp)
{
	struct mx_dev *mx = container_of(inode->i_cdev, struct mx_dev, cdev);
	struct mx_file *file;
	int idx, err;
	long left;

	while (!mx_enter(mx, &idx)) {
		if (READ_ONCE(mx->state) != MX_RESETTING)
			return -ENODEV;
		if (filp->f_flags & O_NONBLOCK)
			return -EAGAIN;
		left = wait_event_interruptible_timeout(mx->state_wait,
							READ_ONCE(mx->state) != MX_RESETTING,
							mx_timeout(mx, MX_OPEN_WAIT_MS));
		if (left < 0)
			return -EINTR;
		if (!left)
			return -ENODEV;
	}
	err = mx_file_create(mx, &file);
	mx_exit(mx, idx);
	if (err)
		return err;
	filp->private_data = file;
	return nonseekable_open(inode, filp);
}

static int mx_release(struct inode *inode, struct file *filp)
{
	mx_file_release(filp->private_data);
	return 0;
}

/*
 * A process that ends does not wait for its jobs: what it has put into rings is
 * aborted. (Kernels from 6.7 do so themselves, by cancelling, but not if the
 * ring is polled.)
 */
static int mx_flush(struct file *filp, fl_owner_t id)
{
	if (current->flags & PF_EXITING)
		mx_uring_end(filp->private_data, id);
	return 0;
}

static __poll_t mx_poll(struct file *filp, poll_table *wait)
{
	struct mx_file *file = filp->private_data;
	__poll_t mask = 0;

	poll_wait(filp, &file->wait, wait);
	if (mx_file_dead(file))
		return EPOLLHUP | EPOLLERR;
	spin_lock(&file->done_lock);
	if (!list_empty(&file->done))
		mask = EPOLLIN | EPOLLRDNORM;
	spin_unlock(&file->done_lock);
	return mask;
}

static int mx_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct mx_file *file = filp->private_data;
	int idx, err;

	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_buf_mmap(file, vma);
	mx_exit(file->mx, idx);
	return err;
}

static int mx_query(struct mx_file *file, void *arg)
{
	struct mxaccel_query *query = arg;
	struct mxaccel_identify *identity;
	struct mxaccel_health *health;
	struct mx_dev *mx = file->mx;
	int idx, err = -ENOMEM;

	if (query->health && !(mx->hw_features & MXACCEL_FEATURE_HEALTH))
		return -EOPNOTSUPP;
	identity = kmalloc(sizeof(*identity), GFP_KERNEL);
	health = kmalloc(sizeof(*health), GFP_KERNEL);
	if (!identity || !health)
		goto out;
	err = mx_file_enter(file, &idx);
	if (err)
		goto out;
	query->hw_version = readl(mx->regs + MXACCEL_REG_VERSION);
	query->hw_features = mx->hw_features;
	query->platform = readl(mx->regs + MXACCEL_REG_PLATFORM);
	query->features = MXACCEL_DRVFEAT_BUF_ALLOC | MXACCEL_DRVFEAT_BUF_USER |
			  MXACCEL_DRVFEAT_CANCEL | MXACCEL_DRVFEAT_NOP;
	if (IS_ENABLED(CONFIG_IO_URING))
		query->features |= MXACCEL_DRVFEAT_URING;
	if (mx->hw_features & MXACCEL_FEATURE_REUSE)
		query->features |= MXACCEL_DRVFEAT_REUSE;
	if (mx->hw_features & MXACCEL_FEATURE_HEALTH)
		query->features |= MXACCEL_DRVFEAT_HEALTH;
	if (mx->hw_features & MXACCEL_FEATURE_SCHEDULE)
		query->features |= MXACCEL_DRVFEAT_SCHEDULE;
	if (mx->hw_features & MXACCEL_FEATURE_REFRESH)
		query->features |= MXACCEL_DRVFEAT_REFRESH;
	query->queue_depth = min(MX_FILE_DEPTH, mx->io_depth - 1);
	if (query->identify)
		err = mx_identify(mx, identity);
	if (!err && query->health)
		err = mx_identify_health(mx, health);
	mx_exit(mx, idx);
	if (!err && query->identify &&
	    copy_to_user(u64_to_user_ptr(query->identify), identity, sizeof(*identity)))
		err = -EFAULT;
	if (!err && query->health &&
	    copy_to_user(u64_to_user_ptr(query->health), health, sizeof(*health)))
		err = -EFAULT;
out:
	kfree(health);
	kfree(identity);
	return err;
}

static int mx_counters(struct mx_file *file, void *arg)
{
	struct mxaccel_counters *counters = arg;
	struct mx_dev *mx = file->mx;
	u32 room = counters->count;
	u64 *values;
	int idx, err;

	if (counters->scope > MXACCEL_SCOPE_MODEL)
		return -EINVAL;
	if (counters->model && counters->scope != MXACCEL_SCOPE_MODEL)
		return -EINVAL;
	values = kmalloc(MXACCEL_PAGE, GFP_KERNEL);
	if (!values)
		return -ENOMEM;
	err = mx_file_enter(file, &idx);
	if (err)
		goto out;
	err = mx_read_counters(mx, counters->scope,
			       counters->scope == MXACCEL_SCOPE_CONTEXT ? file->ctx : 0,
			       counters->model, values);
	mx_exit(mx, idx);
	if (err)
		goto out;
	counters->count = mx->nr_counters;
	room = min(room, mx->nr_counters);
	if (copy_to_user(u64_to_user_ptr(counters->values), values, room * sizeof(u64)))
		err = -EFAULT;
out:
	kfree(values);
	return err;
}

/**
 * struct mx_ioctl - what the dispatcher knows of an ioctl
 * @run:	the implementation; @arg is the kernel's copy of the struct
 * @size:	of the struct as this driver knows it
 * @min_size:	of its first version
 * @out:	it has results, so the caller's struct must be writable
 */
struct mx_ioctl {
	int (*run)(struct mx_file *file, void *arg);
	u32 size;
	u32 min_size;
	bool out;
};

/* One that has grown: @last was the last member of its first version. */
#define MX_IOCTL_GROWN(name, type, last, fn, has_out) \
	[_IOC_NR(MXACCEL_IOC_##name)] = { fn, sizeof(struct type), \
					  offsetofend(struct type, last), has_out }
#define MX_IOCTL(name, type, fn, has_out) \
	[_IOC_NR(MXACCEL_IOC_##name)] = { fn, sizeof(struct type), sizeof(struct type), has_out }

static const struct mx_ioctl mx_ioctls[] = {
	MX_IOCTL_GROWN(QUERY, mxaccel_query, hw_features, mx_query, true),
	MX_IOCTL_GROWN(MODEL_PROGRAM, mxaccel_model_program, rsvd, mx_model_program, true),
	MX_IOCTL(MODEL_OPEN, mxaccel_model_open, mx_model_open, true),
	MX_IOCTL(MODEL_CLOSE, mxaccel_model_close, mx_model_close, false),
	MX_IOCTL_GROWN(MODEL_DELETE, mxaccel_model_delete, model, mx_model_delete, true),
	MX_IOCTL(MODEL_LIST, mxaccel_model_list, mx_model_list, true),
	MX_IOCTL(BUF_CREATE, mxaccel_buf_create, mx_buf_create, true),
	MX_IOCTL(BUF_FREE, mxaccel_buf_free, mx_buf_free, false),
	MX_IOCTL(SUBMIT, mxaccel_submit, mx_job_submit, true),
	MX_IOCTL(WAIT, mxaccel_wait, mx_job_wait, true),
	MX_IOCTL(CANCEL, mxaccel_cancel, mx_job_cancel, false),
	MX_IOCTL(COUNTERS, mxaccel_counters, mx_counters, true),
	MX_IOCTL(MODEL_REFRESH, mxaccel_model_refresh, mx_model_refresh, false),
};

/* The kernel's copy of an argument */
union mx_arg {
	u32 size;
	struct mxaccel_query query;
	struct mxaccel_model_program model_program;
	struct mxaccel_model_open model_open;
	struct mxaccel_model_close model_close;
	struct mxaccel_model_delete model_delete;
	struct mxaccel_model_list model_list;
	struct mxaccel_buf_create buf_create;
	struct mxaccel_buf_free buf_free;
	struct mxaccel_submit submit;
	struct mxaccel_wait wait;
	struct mxaccel_cancel cancel;
	struct mxaccel_counters counters;
	struct mxaccel_model_refresh model_refresh;
};

/*
 * Sees early whether the results can be delivered, so that nothing has been
 * done when they cannot: writes the first and the last word back as they are.
 */
static int mx_probe_write(void __user *to, const void *arg, u32 size)
{
	u32 last = round_down(size - 1, sizeof(u32));

	if (copy_to_user(to, arg, sizeof(u32)) ||
	    copy_to_user(to + last, arg + last, size - last))
		return -EFAULT;
	return 0;
}

static long mx_ioctl(struct file *filp, unsigned int cmd, unsigned long address)
{
	struct mx_file *file = filp->private_data;
	void __user *to = (void __user *)address;
	const struct mx_ioctl *ioctl;
	union mx_arg arg = {};
	u32 size;
	int err;

	if (_IOC_TYPE(cmd) != MXACCEL_IOC_TYPE || _IOC_NR(cmd) >= ARRAY_SIZE(mx_ioctls) ||
	    _IOC_DIR(cmd) != (_IOC_READ | _IOC_WRITE))
		return -ENOTTY;
	ioctl = &mx_ioctls[_IOC_NR(cmd)];
	if (mx_file_dead(file))
		return -ENODEV;

	if (get_user(size, (u32 __user *)to))
		return -EFAULT;
	if (size < ioctl->min_size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(&arg, ioctl->size, to, size);
	if (err)
		return err;
	/* It was read twice; another thread may have changed it. */
	arg.size = size;
	size = min(size, ioctl->size);
	if (ioctl->out) {
		err = mx_probe_write(to, &arg, size);
		if (err)
			return err;
	}
	err = ioctl->run(file, &arg);
	/* Also after an error, for the chip's status with it. */
	if (ioctl->out && copy_to_user(to, &arg, size) && !err)
		err = -EFAULT;
	return err;
}

const struct file_operations mx_fops = {
	.owner		= THIS_MODULE,
	.open		= mx_open,
	.flush		= mx_flush,
	.release	= mx_release,
	.unlocked_ioctl	= mx_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.poll		= mx_poll,
	.mmap		= mx_mmap,
	.show_fdinfo	= mx_show_fdinfo,
	.uring_cmd	= mx_uring_cmd,
	.uring_cmd_iopoll = mx_uring_iopoll,
};
