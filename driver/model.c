// SPDX-License-Identifier: GPL-2.0-only
/*
 * Models: programming them into the chip, granting them to files, the
 * directory. The driver knows a model by its content id only.
 */
#include <linux/capability.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mxaccel_drv.h"

#define MX_PROG_WINDOW	SZ_4M	/* pinned at a time while programming */
#define MX_PROG_MAX_BYTES BIT_ULL(48)	/* of a section; keeps sums from wrapping */

/* ------------------------------------------------------------ directory */

/*
 * Looks a content id up in the directory. Return: 0 with its id, -ENOENT, or
 * an error of the chip.
 */
static int mx_model_find(struct mx_dev *mx, const u8 *content, u32 *id)
{
	struct mxaccel_model_info *page;
	u32 index, i;
	int err = 0;

	page = kmalloc(MXACCEL_PAGE, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	for (index = 0; index < mx->max_models; index += MXACCEL_MODELS_PER_PAGE) {
		err = mx_identify_models(mx, index, page);
		if (err)
			goto out;
		for (i = 0; i < MXACCEL_MODELS_PER_PAGE; i++) {
			if (le32_to_cpu(page[i].flags) & MXACCEL_MODEL_VALID &&
			    !memcmp(page[i].content, content, sizeof(page[i].content))) {
				*id = index + i;
				goto out;
			}
		}
	}
	err = -ENOENT;
out:
	kfree(page);
	return err;
}

/* Is this content in slot @id? */
static int mx_model_check(struct mx_dev *mx, const u8 *content, u32 id)
{
	struct mxaccel_model_info *page;
	int err;

	page = kmalloc(MXACCEL_PAGE, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	err = mx_identify_models(mx, id, page);
	if (!err && (!(le32_to_cpu(page->flags) & MXACCEL_MODEL_VALID) ||
		     memcmp(page->content, content, sizeof(page->content))))
		err = -ENOENT;
	kfree(page);
	return err;
}

int mx_model_list(struct mx_file *file, void *arg)
{
	struct mxaccel_model_list *list = arg;
	struct mxaccel_model_info __user *to = u64_to_user_ptr(list->infos);
	struct mx_dev *mx = file->mx;
	struct mxaccel_model_info *page;
	u32 index, i, found = 0;
	int idx, err = 0;

	page = kmalloc(MXACCEL_PAGE, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	for (index = 0; !err && index < mx->max_models; index += MXACCEL_MODELS_PER_PAGE) {
		err = mx_file_enter(file, &idx);
		if (err)
			break;
		err = mx_identify_models(mx, index, page);
		mx_exit(mx, idx);
		for (i = 0; !err && i < MXACCEL_MODELS_PER_PAGE; i++) {
			if (!(le32_to_cpu(page[i].flags) & MXACCEL_MODEL_VALID))
				continue;
			if (found < list->count && copy_to_user(to + found, &page[i], sizeof(*to)))
				err = -EFAULT;
			found++;
		}
	}
	kfree(page);
	if (!err)
		list->count = found;
	return err;
}

/* --------------------------------------------------------------- grants */

/*
 * Counts one more use of a model by a file. With the first, the chip is told;
 * it may know already, as what programs a model is granted it.
 */
static int mx_grant_get(struct mx_file *file, u32 id)
{
	struct mx_grant *grant;
	int err = 0;

	mutex_lock(&file->lock);
	grant = xa_load(&file->models, id);
	if (grant) {
		grant->opens++;
		goto out;
	}
	err = -ENOMEM;
	grant = kzalloc(sizeof(*grant), GFP_KERNEL_ACCOUNT);
	if (!grant)
		goto revoke;
	grant->opens = 1;
	err = xa_err(xa_store(&file->models, id, grant, GFP_KERNEL_ACCOUNT));
	if (err)
		goto free;
	err = mx_model_command(file->mx, MXACCEL_ADM_MODEL_GRANT, file->ctx, id);
	if (!err)
		goto out;
	xa_erase(&file->models, id);
free:
	kfree(grant);
revoke:
	mx_model_command(file->mx, MXACCEL_ADM_MODEL_REVOKE, file->ctx, id);
out:
	mutex_unlock(&file->lock);
	return err;
}

/* The reverse; -EBUSY if it was the last use and jobs are in flight. */
static int mx_grant_put(struct mx_file *file, u32 id)
{
	struct mx_grant *grant;
	int err = -ENOENT;

	mutex_lock(&file->lock);
	grant = xa_load(&file->models, id);
	if (!grant)
		goto out;
	err = 0;
	if (grant->opens > 1) {
		grant->opens--;
		goto out;
	}
	err = -EBUSY;
	if (atomic_read(&grant->jobs))
		goto out;
	err = mx_model_command(file->mx, MXACCEL_ADM_MODEL_REVOKE, file->ctx, id);
	if (err)
		goto out;
	xa_erase(&file->models, id);
	kfree(grant);
out:
	mutex_unlock(&file->lock);
	return err;
}

/*
 * Uses the model in slot @id, if it has this content: since the slot was
 * looked up, the model may have been deleted and the slot been taken.
 */
static int mx_grant_checked(struct mx_file *file, const u8 *content, u32 id)
{
	int err = mx_grant_get(file, id);

	if (err)
		return err;
	err = mx_model_check(file->mx, content, id);
	if (err)
		mx_grant_put(file, id);
	return err;
}

int mx_model_open(struct mx_file *file, void *arg)
{
	struct mxaccel_model_open *open = arg;
	int idx, err;
	u32 id;

	if (open->flags || open->rsvd)
		return -EINVAL;
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_model_find(file->mx, open->content, &id);
	if (!err)
		err = mx_grant_checked(file, open->content, id);
	if (!err)
		open->model = id;
	mx_exit(file->mx, idx);
	return err;
}

int mx_model_close(struct mx_file *file, void *arg)
{
	struct mxaccel_model_close *close = arg;
	int idx, err;

	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_grant_put(file, close->model);
	mx_exit(file->mx, idx);
	return err;
}

int mx_model_delete(struct mx_file *file, void *arg)
{
	struct mxaccel_model_delete *request = arg;
	int idx, err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_model_command(file->mx, MXACCEL_ADM_MODEL_DELETE, 0, request->model);
	if (!err)
		mx_sysfs_models_refresh(file->mx);
	mx_exit(file->mx, idx);
	return err;
}

/* ---------------------------------------------------------- programming */

static int mx_prog_end(struct mx_file *file, u8 opcode, u32 prog, unsigned int timeout_ms,
		       u64 *result, u16 *status)
{
	struct mxaccel_sqe sqe = {
		.opcode = opcode,
		.ctx = cpu_to_le32(file->ctx),
		.prog.prog = cpu_to_le32(prog),
	};

	return mx_admin(file->mx, &sqe, timeout_ms, result, status);
}

static void mx_prog_abort(struct mx_file *file, u32 prog)
{
	u16 status;
	int idx;

	/* If the file is dead, the reset has aborted it. */
	if (mx_file_enter(file, &idx))
		return;
	if (mx_prog_end(file, MXACCEL_ADM_PROG_ABORT, prog, MX_DRAIN_TIMEOUT_MS, NULL, &status))
		dev_dbg(&file->mx->dev, "aborting a programming: %s\n", mx_status_text(status));
	mx_exit(file->mx, idx);
}

/* One pinned window to the chip. */
static int mx_prog_window(struct mx_file *file, u32 prog, u64 offset, struct mx_pages *mem,
			  u16 *status)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_PROG_WRITE,
		.ctx = cpu_to_le32(file->ctx),
		.prog.prog = cpu_to_le32(prog),
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
				  status);
		mx_pages_unmap(file->mx, mem);
	}
	mx_exit(file->mx, idx);
	return err;
}

/* Writes a section, a window of user memory at a time. */
static int mx_prog_section(struct mx_file *file, u32 prog, u64 offset, u64 addr, u64 bytes,
			   u16 *status)
{
	/* Even if no two pages of it are neighbours, the chip takes a window. */
	u64 pages = max(file->mx->max_sg - 1, 1U);
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
		err = mx_prog_window(file, prog, offset, &mem, status);
		mx_pages_put(&mem);
		if (err)
			return err;
		addr += part;
		offset += part;
		bytes -= part;
		cond_resched();
	}
	return 0;
}

/* A model id from the chip, which is not trusted */
static int mx_prog_model(struct mx_file *file, const struct mxaccel_model_program *program,
			 u64 result, u32 *id)
{
	struct mx_dev *mx = file->mx;

	if (result >= mx->max_models) {
		mx_record_error(mx, "chip gave model id %llu of %u", result, mx->max_models);
		return -EIO;
	}
	*id = result;
	return mx_grant_checked(file, program->content, result);
}

/*
 * Return: 0 with a programming handle in *@prog; or with *@resident set, and
 * the model's id in *@id, which is in use then; or an error.
 */
static int mx_prog_begin(struct mx_file *file, const struct mxaccel_model_program *program,
			 u32 *prog, u32 *resident, u32 *id, u16 *status)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_PROG_BEGIN,
		.ctx = cpu_to_le32(file->ctx),
		.prog_begin.model_bytes = cpu_to_le64(program->model_bytes),
		.prog_begin.params_bytes = cpu_to_le64(program->params_bytes),
	};
	int idx, err;
	u64 result;

	memcpy(sqe.prog_begin.content, program->content, sizeof(program->content));
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_admin(file->mx, &sqe, MX_DRAIN_TIMEOUT_MS, &result, status);
	if (!err) {
		*prog = result;
	} else if (*status == MXACCEL_ST_RESIDENT) {
		*status = MXACCEL_ST_SUCCESS;
		*resident = 1;
		err = mx_prog_model(file, program, result, id);
	}
	mx_exit(file->mx, idx);
	return err;
}

static int mx_prog_commit(struct mx_file *file, const struct mxaccel_model_program *program,
			  u32 prog, u32 *id, u16 *status)
{
	u64 bytes = program->model_bytes + program->params_bytes;
	struct mx_dev *mx = file->mx;
	unsigned int timeout_ms;
	int idx, err;
	u64 result;

	timeout_ms = MX_COMMIT_TIMEOUT_MS +
		     min_t(u64, div_u64(bytes, MX_COMMIT_BYTES_PER_MS), INT_MAX / 2);
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_prog_end(file, MXACCEL_ADM_PROG_COMMIT, prog, timeout_ms, &result, status);
	if (err)
		goto out;
	err = mx_prog_model(file, program, result, id);
	mx_sysfs_models_refresh(mx);
out:
	mx_exit(mx, idx);
	return err;
}

int mx_model_program(struct mx_file *file, void *arg)
{
	struct mxaccel_model_program *program = arg;
	u64 params_at = round_up(program->model_bytes, MXACCEL_PAGE);
	u32 prog, resident = 0, id = 0;
	u16 status = 0;
	int err;

	if (program->flags || program->rsvd || !program->model_bytes)
		return -EINVAL;
	if (program->model_bytes > MX_PROG_MAX_BYTES || program->params_bytes > MX_PROG_MAX_BYTES)
		return -EFBIG;

	err = mx_prog_begin(file, program, &prog, &resident, &id, &status);
	if (err || resident)
		goto out;
	err = mx_prog_section(file, prog, 0, program->model_addr, program->model_bytes, &status);
	if (!err)
		err = mx_prog_section(file, prog, params_at, program->params_addr,
				      program->params_bytes, &status);
	if (err)
		mx_prog_abort(file, prog);
	else
		err = mx_prog_commit(file, program, prog, &id, &status);
out:
	program->status = status;
	program->model = err ? 0 : id;
	program->resident = err ? 0 : resident;
	return err;
}
