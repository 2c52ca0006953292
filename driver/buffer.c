// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers: pages of the user or of the driver, charged, mapped for the chip,
 * registered there under a handle of the file.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mxaccel_drv.h"

#define MX_MMAP_SHIFT		32		/* mmap offset of a handle */

static void mx_buf_free_memory(struct mx_buf *buf)
{
	unsigned int nr = buf->mem.nr_pages;

	mx_pages_put(&buf->mem);
	account_locked_vm(buf->mm, nr, false);
	mmdrop(buf->mm);
	kfree(buf);
}

static void mx_buf_release(struct kref *ref)
{
	mx_buf_free_memory(container_of(ref, struct mx_buf, ref));
}

static void mx_buf_release_work(struct work_struct *work)
{
	mx_buf_free_memory(container_of(work, struct mx_buf, release_work));
}

/*
 * Uncharging takes the mmap lock, which munmap() holds already, and unpinning
 * may wait for a page of a process: for places that cannot have that.
 */
static void mx_buf_release_later(struct kref *ref)
{
	struct mx_buf *buf = container_of(ref, struct mx_buf, ref);

	INIT_WORK(&buf->release_work, mx_buf_release_work);
	queue_work(mx_workqueue, &buf->release_work);
}

/* The chip has forgotten it. */
void mx_buf_unmap(struct mx_dev *mx, struct mx_buf *buf)
{
	mx_pages_unmap(mx, &buf->mem);
}

/* Drops the file's references to a list of buffers that are unmapped. */
void mx_bufs_put(struct list_head *buffers, bool later)
{
	struct mx_buf *buf, *next;

	list_for_each_entry_safe(buf, next, buffers, node) {
		list_del(&buf->node);
		kref_put(&buf->ref, later ? mx_buf_release_later : mx_buf_release);
	}
}

static bool mx_buf_needs_sync(struct mx_dev *mx, struct mx_buf *buf)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(&buf->mem.sgt, sg, i)
		if (dma_need_sync(&mx->pdev->dev, sg_dma_address(sg)))
			return true;
	return false;
}

/**
 * mx_buf_sync() - hand a range over between processor and chip
 * @mx:		device
 * @buf:	buffer
 * @offset:	of the range, inside the buffer
 * @bytes:	of the range
 * @for_cpu:	to the processor, else to the chip
 *
 * Only the range, as other jobs may be using the rest.
 */
void mx_buf_sync(struct mx_dev *mx, struct mx_buf *buf, u64 offset, u64 bytes, bool for_cpu)
{
	struct device *dma = &mx->pdev->dev;
	struct scatterlist *sg;
	u64 part;
	int i;

	if (!buf->need_sync)
		return;
	for_each_sgtable_dma_sg(&buf->mem.sgt, sg, i) {
		if (offset >= sg_dma_len(sg)) {
			offset -= sg_dma_len(sg);
			continue;
		}
		part = min_t(u64, bytes, sg_dma_len(sg) - offset);
		if (for_cpu)
			dma_sync_single_range_for_cpu(dma, sg_dma_address(sg), offset, part,
						      buf->mem.dir);
		else
			dma_sync_single_range_for_device(dma, sg_dma_address(sg), offset, part,
							 buf->mem.dir);
		bytes -= part;
		offset = 0;
		if (!bytes)
			break;
	}
}

/* A charged buffer with memory, known to nobody yet. */
static struct mx_buf *mx_buf_new(const struct mxaccel_buf_create *create)
{
	unsigned int first = create->addr ? offset_in_page(create->addr) : 0;
	unsigned long nr = DIV_ROUND_UP_ULL(first + create->bytes, PAGE_SIZE);
	bool write = create->flags & MXACCEL_BUF_WRITE;
	struct mx_buf *buf;
	int err;

	buf = kzalloc(sizeof(*buf), GFP_KERNEL_ACCOUNT);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	kref_init(&buf->ref);
	buf->bytes = create->bytes;
	buf->access = create->flags;
	buf->mem.dirty = write;
	buf->mem.dir = !write ? DMA_TO_DEVICE :
		       create->flags & MXACCEL_BUF_READ ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
	buf->mm = current->mm;
	mmgrab(buf->mm);
	err = account_locked_vm(buf->mm, nr, true);
	if (err)
		goto free_buf;
	if (create->addr)
		err = mx_pages_pin(&buf->mem, create->addr, create->bytes, write, true);
	else
		err = mx_pages_new(&buf->mem, create->bytes);
	if (err)
		goto uncharge;
	return buf;

uncharge:
	account_locked_vm(buf->mm, nr, false);
free_buf:
	mmdrop(buf->mm);
	kfree(buf);
	return ERR_PTR(err);
}

/* Tells the chip of a buffer that is mapped for it. */
int mx_buf_register(struct mx_file *file, struct mx_buf *buf, u32 handle)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_BUF_REGISTER,
		.ctx = cpu_to_le32(file->ctx),
		.buf.handle = cpu_to_le32(handle),
		.buf.access = cpu_to_le32(buf->access),
		.buf.bytes = cpu_to_le64(buf->bytes),
	};
	u16 status;

	return mx_admin_sg(file->mx, &sqe, &sqe.buf.sg_addr, &sqe.buf.sg_nr, &buf->mem.sgt,
			   &status);
}

/* Maps a buffer for the chip and tells the chip under which handle. */
static int mx_buf_publish(struct mx_file *file, struct mx_buf *buf, u32 *handle)
{
	struct mx_dev *mx = file->mx;
	int err;

	err = mx_pages_map(mx, &buf->mem);
	if (err)
		return err;
	buf->need_sync = mx_buf_needs_sync(mx, buf);
	/* The place is taken, but empty until the chip knows the buffer. */
	err = xa_alloc(&file->buffers, handle, NULL, XA_LIMIT(1, mx->max_buffers),
		       GFP_KERNEL_ACCOUNT);
	if (err) {
		err = err == -EBUSY ? -ENOSPC : err;
		goto unmap;
	}
	err = mx_buf_register(file, buf, *handle);
	if (err)
		goto release_handle;
	/* Cannot fail: the place is there. */
	xa_store(&file->buffers, *handle, buf, GFP_KERNEL_ACCOUNT);
	return 0;

release_handle:
	xa_release(&file->buffers, *handle);
unmap:
	mx_pages_unmap(mx, &buf->mem);
	return err;
}

int mx_buf_create(struct mx_file *file, void *arg)
{
	struct mxaccel_buf_create *create = arg;
	struct mx_buf *buf;
	u32 handle;
	int idx, err;

	if (!create->flags || create->flags & ~(MXACCEL_BUF_READ | MXACCEL_BUF_WRITE) ||
	    create->rsvd || !create->bytes || create->addr & 3)
		return -EINVAL;
	if (create->addr && create->addr + create->bytes < create->addr)
		return -EFAULT;
	if (create->bytes > MX_PAGES_MAX_BYTES)
		return -EFBIG;

	buf = mx_buf_new(create);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	err = mx_file_enter(file, &idx);
	if (!err) {
		err = mx_buf_publish(file, buf, &handle);
		mx_exit(file->mx, idx);
	}
	if (err) {
		kref_put(&buf->ref, mx_buf_release);
		return err;
	}
	create->handle = handle;
	create->mmap_offset = create->addr ? 0 : (u64)handle << MX_MMAP_SHIFT;
	return 0;
}

/* Takes a buffer that no job uses from chip and file. */
static struct mx_buf *mx_buf_unpublish(struct mx_file *file, u32 handle)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_BUF_UNREGISTER,
		.ctx = cpu_to_le32(file->ctx),
		.buf.handle = cpu_to_le32(handle),
	};
	struct mx_buf *buf;
	int err;

	/* The lock keeps jobs from starting with it. */
	mutex_lock(&file->lock);
	buf = xa_load(&file->buffers, handle);
	err = !buf ? -ENOENT : atomic_read(&buf->jobs) ? -EBUSY : 0;
	if (!err)
		err = mx_admin(file->mx, &sqe, MX_ADMIN_TIMEOUT_MS, NULL, NULL);
	if (!err) {
		xa_erase(&file->buffers, handle);
		mx_buf_unmap(file->mx, buf);
	}
	mutex_unlock(&file->lock);
	return err ? ERR_PTR(err) : buf;
}

int mx_buf_free(struct mx_file *file, void *arg)
{
	struct mxaccel_buf_free *request = arg;
	struct mx_buf *buf;
	int idx, err;

	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	buf = mx_buf_unpublish(file, request->handle);
	mx_exit(file->mx, idx);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	kref_put(&buf->ref, mx_buf_release);
	return 0;
}

/* ----------------------------------------------------------------- mmap */

static void mx_vma_open(struct vm_area_struct *vma)
{
	struct mx_buf *buf = vma->vm_private_data;

	kref_get(&buf->ref);
}

static void mx_vma_close(struct vm_area_struct *vma)
{
	struct mx_buf *buf = vma->vm_private_data;

	kref_put(&buf->ref, mx_buf_release_later);
}

static const struct vm_operations_struct mx_vm_ops = {
	.open	= mx_vma_open,
	.close	= mx_vma_close,
};

/**
 * mx_buf_mmap() - map a driver-allocated buffer
 * @file:	inside mx_file_enter()
 * @vma:	from the buffer's mmap_offset, shared, no longer than its pages
 *
 * The mapping keeps the memory, also after BUF_FREE, close or reset.
 */
int mx_buf_mmap(struct mx_file *file, struct vm_area_struct *vma)
{
	unsigned long handle = vma->vm_pgoff >> (MX_MMAP_SHIFT - PAGE_SHIFT);
	struct mx_buf *buf;
	int err;

	if (vma->vm_pgoff & (BIT(MX_MMAP_SHIFT - PAGE_SHIFT) - 1) || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	xa_lock(&file->buffers);
	buf = xa_load(&file->buffers, handle);
	if (buf && !buf->mem.pinned)
		kref_get(&buf->ref);
	else
		buf = NULL;
	xa_unlock(&file->buffers);
	if (!buf)
		return -EINVAL;

	err = -EINVAL;
	if (vma_pages(vma) > buf->mem.nr_pages)
		goto put;
#ifdef MX_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
#else
	vma->vm_flags |= VM_DONTEXPAND | VM_DONTDUMP;
#endif
	err = vm_map_pages_zero(vma, buf->mem.pages, buf->mem.nr_pages);
	if (err)
		goto put;
	vma->vm_private_data = buf;
	vma->vm_ops = &mx_vm_ops;
	return 0;

put:
	kref_put(&buf->ref, mx_buf_release_later);
	return err;
}
