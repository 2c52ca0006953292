// SPDX-License-Identifier: GPL-2.0-only
/*
 * Models: the directory, granting them to files, refresh, deletion. The driver knows a
 * model by its content id only.
 */
#include <linux/capability.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mxaccel_drv.h"

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
int mx_grant_checked(struct mx_file *file, const u8 *content, u32 id)
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

	request->holder_pid = 0;
	request->nr_holders = 0;
	memset(request->holder, 0, sizeof(request->holder));
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_model_command(file->mx, MXACCEL_ADM_MODEL_DELETE, 0, request->model);
	if (!err)
		mx_sysfs_models_refresh(file->mx);
	else if (err == -EBUSY)
		request->nr_holders = mx_holder(file->mx, request->model, &request->holder_pid,
						request->holder);
	mx_exit(file->mx, idx);
	return err;
}

/* Programs all cells: given as long as checking the content when that was loaded. */
static int mx_refresh(struct mx_dev *mx, u32 model)
{
	struct mxaccel_sqe sqe = {
		.opcode = MXACCEL_ADM_MODEL_REFRESH,
		.model.model = cpu_to_le32(model),
	};
	struct mxaccel_model_info *page;
	unsigned int timeout_ms;
	u64 bytes;
	int err;

	if (model >= mx->max_models)
		return -ENOENT;
	page = kmalloc(MXACCEL_PAGE, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	err = mx_identify_models(mx, model, page);
	bytes = le64_to_cpu(page->model_bytes) + le64_to_cpu(page->params_bytes);
	kfree(page);
	if (err)
		return err;
	timeout_ms = MX_COMMIT_TIMEOUT_MS +
		     min_t(u64, div_u64(bytes, MX_COMMIT_BYTES_PER_MS), INT_MAX / 2);
	return mx_admin(mx, &sqe, timeout_ms, NULL, NULL);
}

int mx_model_refresh(struct mx_file *file, void *arg)
{
	struct mxaccel_model_refresh *request = arg;
	int idx, err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!(file->mx->hw_features & MXACCEL_FEATURE_REFRESH))
		return -EOPNOTSUPP;
	err = mx_file_enter(file, &idx);
	if (err)
		return err;
	err = mx_refresh(file->mx, request->model);
	mx_exit(file->mx, idx);
	return err;
}
