// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programming models into the chip. If the caller gives the digests of the
 * parameters' chunks, only those are sent that no resident model has.
 */
#include <linux/bitmap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mxaccel_drv.h"

#define MX_PROG_WINDOW	SZ_4M	/* pinned at a time while programming */
#define MX_PROG_MAX_BYTES BIT_ULL(48)	/* of a section; keeps sums from wrapping */
#define MX_DIGEST_BYTES	32U
#define MX_REUSE_MOST	BIT_ULL(24)	/* chunks: larger models, over 1 TiB, are sent whole */

/**
 * struct mx_prog - a programming under way
 * @file:	whose it is
 * @args:	of the ioctl, results included
 * @handle:	of the chip
 * @chunks:	of the parameters
 * @taken:	little-endian bitmap of those that the chip has; NULL: none
 * @status:	MXACCEL_ST_* of the last command
 */
struct mx_prog {
	struct mx_file *file;
	struct mxaccel_model_program *args;
	u32 handle;
	u64 chunks;
	void *taken;
	u16 status;
};

static int mx_prog_end(struct mx_prog *prog, u8 opcode, unsigned int timeout_ms, u64 *result,
		       u16 *status)
{
	struct mxaccel_sqe sqe = {
		.opcode = opcode,
		.ctx = cpu_to_le32(prog->file->ctx),
		.prog.prog = cpu_to_le32(prog->handle),
	};

	return mx_admin(prog->file->mx, &sqe, timeout_ms, result, status);
}

static void mx_prog_abort(struct mx_prog *prog)
{
	struct mx_file *file = prog->file;
	u16 status;
	int idx;

	/* If the file is dead, the reset has aborted it. */
	if (mx_file_enter(file, &idx))
		return;
	if (mx_prog_end(prog, MXACCEL_ADM_PROG_ABORT, MX_DRAIN_TIMEOUT_MS, NULL, &status))
		dev_dbg(&file->mx->dev, "aborting a programming: %s\n", mx_status_text(status));
	mx_exit(file->mx, idx);
}

/* ----------------------------------------------------------------- reuse */

/* One command: @bitmap, a page, tells which of @nr chunks from @first the chip has. */
static int mx_reuse_command(struct mx_prog *prog, u64 first, u32 nr, struct mx_pages *digests,
			    void *bitmap)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_PROG_REUSE,
		.ctx = cpu_to_le32(prog->file->ctx),
		.prog_reuse.prog = cpu_to_le32(prog->handle),
		.prog_reuse.first = cpu_to_le64(first),
		.prog_reuse.nr = cpu_to_le32(nr),
	};
	struct mx_dev *mx = prog->file->mx;
	struct device *dma = &mx->pdev->dev;
	dma_addr_t at;
	void *mem;
	int err;

	mem = dma_alloc_coherent(dma, MXACCEL_PAGE, &at, GFP_KERNEL);
	if (!mem)
		return -ENOMEM;
	sqe.prog_reuse.addr = cpu_to_le64(at);
	digests->dir = DMA_TO_DEVICE;
	err = mx_pages_map(mx, digests);
	if (!err) {
		err = mx_admin_sg(mx, &sqe, &sqe.prog_reuse.sg_addr, &sqe.prog_reuse.sg_nr,
				  &digests->sgt, &prog->status);
		mx_pages_unmap(mx, digests);
	}
	if (!err)
		memcpy(bitmap, mem, DIV_ROUND_UP(nr, 8));
	dma_free_coherent(dma, MXACCEL_PAGE, mem, at);
	return err;
}

/* Asks about @nr chunks, a multiple of 8 unless they are the last. */
static int mx_reuse_part(struct mx_prog *prog, u64 first, u32 nr)
{
	struct mx_pages digests = {};
	int idx, err;

	if (signal_pending(current))
		return -EINTR;
	err = mx_pages_pin(&digests, prog->args->chunks_addr + first * MX_DIGEST_BYTES,
			   (u64)nr * MX_DIGEST_BYTES, false, false);
	if (err)
		return err;
	err = mx_file_enter(prog->file, &idx);
	if (!err) {
		err = mx_reuse_command(prog, first, nr, &digests, prog->taken + first / 8);
		mx_exit(prog->file->mx, idx);
	}
	mx_pages_put(&digests);
	return err;
}

/* Lets the chip take over what it has; to be done before anything is written. */
static int mx_reuse(struct mx_prog *prog)
{
	struct mx_dev *mx = prog->file->mx;
	u64 first;
	u32 most, nr;
	int err;

	if (!prog->args->chunks_addr || !(mx->hw_features & MXACCEL_FEATURE_REUSE) ||
	    !prog->chunks || prog->chunks > MX_REUSE_MOST || mx->max_sg < 2)
		return 0;
	/* Whatever pages the digests lie in, their list is not too long. */
	most = min_t(u64, MXACCEL_REUSE_MAX,
		     (mx->max_sg - 1ULL) * PAGE_SIZE / MX_DIGEST_BYTES);
	prog->taken = kvcalloc(BITS_TO_LONGS(prog->chunks), sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!prog->taken)
		return -ENOMEM;
	for (first = 0; first < prog->chunks; first += nr) {
		nr = min_t(u64, most, prog->chunks - first);
		err = mx_reuse_part(prog, first, nr);
		if (err)
			return err;
	}
	return 0;
}

/* --------------------------------------------------------------- writing */

/* One pinned window to the chip. */
static int mx_prog_window(struct mx_prog *prog, u64 offset, struct mx_pages *mem)
{
	struct mx_file *file = prog->file;
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_PROG_WRITE,
		.ctx = cpu_to_le32(file->ctx),
		.prog.prog = cpu_to_le32(prog->handle),
		.prog.offset = cpu_to_le64(offset),
		.prog.bytes = cpu_to_le64(mem->bytes),
	};
	int idx, err;

	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	mem->dir = DMA_TO_DEVICE;
	err = mx_pages_map(file->mx, mem);
	if (!err) {
		err = mx_admin_sg(file->mx, &sqe, &sqe.prog.sg_addr, &sqe.prog.sg_nr, &mem->sgt,
				  &prog->status);
		mx_pages_unmap(file->mx, mem);
	}
	mx_exit(file->mx, idx);
	return err;
}

/* Writes user memory to @offset of the programming, a window at a time. */
static int mx_prog_write(struct mx_prog *prog, u64 offset, u64 addr, u64 bytes)
{
	/* Even if no two pages of it are neighbours, the chip takes a window. */
	u64 pages = max(prog->file->mx->max_sg - 1, 1U);
	u64 window = min_t(u64, MX_PROG_WINDOW, pages * PAGE_SIZE);
	struct mx_pages mem;
	u64 part;
	int err;

	while (bytes) {
		if (signal_pending(current))
			return -EINTR;
		part = min(bytes, window - offset_in_page(addr));
		memset(&mem, 0, sizeof(mem));
		err = mx_pages_pin(&mem, addr, part, false, false);
		if (err)
			return err;
		err = mx_prog_window(prog, offset, &mem);
		mx_pages_put(&mem);
		if (err)
			return err;
		prog->args->programmed_bytes += part;
		addr += part;
		offset += part;
		bytes -= part;
		cond_resched();
	}
	return 0;
}

/* Writes the chunks of the parameters that were not taken over. */
static int mx_prog_params(struct mx_prog *prog)
{
	struct mxaccel_model_program *args = prog->args;
	u64 at = round_up(args->model_bytes, MXACCEL_PAGE);
	u64 first, end, from, bytes;
	int err;

	if (!prog->taken)
		return mx_prog_write(prog, at, args->params_addr, args->params_bytes);
	args->reused_chunks = prog->chunks;
	for (first = 0;; first = end) {
		first = find_next_zero_bit_le(prog->taken, prog->chunks, first);
		if (first >= prog->chunks)
			return 0;
		end = find_next_bit_le(prog->taken, prog->chunks, first);
		from = first * MXACCEL_CHUNK;
		bytes = min_t(u64, end * MXACCEL_CHUNK, args->params_bytes) - from;
		err = mx_prog_write(prog, at + from, args->params_addr + from, bytes);
		if (err)
			return err;
		args->reused_chunks -= end - first;
	}
}

/* ------------------------------------------------------- begin and commit */

/* A model id from the chip, which is not trusted */
static int mx_prog_model(struct mx_prog *prog, u64 result)
{
	struct mx_dev *mx = prog->file->mx;

	if (result >= mx->max_models) {
		mx_record_error(mx, "chip gave model id %llu of %u", result, mx->max_models);
		return -EIO;
	}
	prog->args->model = result;
	return mx_grant_checked(prog->file, prog->args->content, result);
}

/*
 * Return: 0 with a programming handle; or with args->resident set, and the model
 * in use; or an error.
 */
static int mx_prog_begin(struct mx_prog *prog)
{
	struct mxaccel_model_program *args = prog->args;
	struct mx_file *file = prog->file;
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_PROG_BEGIN,
		.ctx = cpu_to_le32(file->ctx),
		.prog_begin.model_bytes = cpu_to_le64(args->model_bytes),
		.prog_begin.params_bytes = cpu_to_le64(args->params_bytes),
	};
	int idx, err;
	u64 result;

	memcpy(sqe.prog_begin.content, args->content, sizeof(args->content));
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_admin(file->mx, &sqe, MX_DRAIN_TIMEOUT_MS, &result, &prog->status);
	if (!err) {
		prog->handle = result;
	} else if (prog->status == MXACCEL_ST_RESIDENT) {
		prog->status = MXACCEL_ST_SUCCESS;
		args->resident = 1;
		err = mx_prog_model(prog, result);
	}
	mx_exit(file->mx, idx);
	return err;
}

static int mx_prog_commit(struct mx_prog *prog)
{
	u64 bytes = prog->args->model_bytes + prog->args->params_bytes;
	struct mx_file *file = prog->file;
	unsigned int timeout_ms;
	int idx, err;
	u64 result;

	timeout_ms = MX_COMMIT_TIMEOUT_MS +
		     min_t(u64, div_u64(bytes, MX_COMMIT_BYTES_PER_MS), INT_MAX / 2);
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_prog_end(prog, MXACCEL_ADM_PROG_COMMIT, timeout_ms, &result, &prog->status);
	if (err)
		goto out;
	err = mx_prog_model(prog, result);
	mx_sysfs_models_refresh(file->mx);
out:
	mx_exit(file->mx, idx);
	return err;
}

int mx_model_program(struct mx_file *file, void *arg)
{
	struct mxaccel_model_program *args = arg;
	struct mx_prog prog = {
		.file = file,
		.args = args,
		.chunks = DIV_ROUND_UP_ULL(args->params_bytes, MXACCEL_CHUNK),
	};
	int err;

	if (args->flags || args->rsvd || args->rsvd2 || !args->model_bytes)
		return -EINVAL;
	if (args->model_bytes > MX_PROG_MAX_BYTES || args->params_bytes > MX_PROG_MAX_BYTES)
		return -EFBIG;

	args->resident = 0;
	args->reused_chunks = 0;
	args->programmed_bytes = 0;
	err = mx_prog_begin(&prog);
	if (err || args->resident)
		goto out;
	err = mx_reuse(&prog);
	if (!err)
		err = mx_prog_write(&prog, 0, args->model_addr, args->model_bytes);
	if (!err)
		err = mx_prog_params(&prog);
	if (err)
		mx_prog_abort(&prog);
	else
		err = mx_prog_commit(&prog);
	kvfree(prog.taken);
out:
	args->status = prog.status;
	if (err) {
		args->model = 0;
		args->resident = 0;
		args->reused_chunks = 0;
		args->programmed_bytes = 0;
	}
	return err;
}
