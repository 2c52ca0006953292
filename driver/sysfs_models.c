// SPDX-License-Identifier: GPL-2.0-only
/*
 * models/ in sysfs: a folder for each resident model, named by its id. Kept in
 * step with the chip's directory after each change that goes through us.
 */
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "mxaccel_drv.h"

/**
 * struct mx_model_node - folder of a model
 * @kobj:	frees this
 * @mx:		device; valid while the folder is there
 * @node:	in mx_dev.model_nodes, under models_lock
 * @id:		model id
 * @seen:	still there, while refreshing
 * @info:	directory entry when the folder was made; grants and age change later
 */
struct mx_model_node {
	struct kobject kobj;
	struct mx_dev *mx;
	struct list_head node;
	u32 id;
	bool seen;
	struct mxaccel_model_info info;
};

struct mx_model_attr {
	struct attribute attr;
	ssize_t (*show)(struct mx_model_node *model, char *buf);
};

static ssize_t name_show(struct mx_model_node *model, char *buf)
{
	return mx_emit_text(buf, model->info.name, sizeof(model->info.name));
}

static ssize_t content_show(struct mx_model_node *model, char *buf)
{
	return sysfs_emit(buf, "%*phN\n", (int)sizeof(model->info.content), model->info.content);
}

static ssize_t model_bytes_show(struct mx_model_node *model, char *buf)
{
	return sysfs_emit(buf, "%llu\n", le64_to_cpu(model->info.model_bytes));
}

static ssize_t params_bytes_show(struct mx_model_node *model, char *buf)
{
	return sysfs_emit(buf, "%llu\n", le64_to_cpu(model->info.params_bytes));
}

static ssize_t cells_show(struct mx_model_node *model, char *buf)
{
	return sysfs_emit(buf, "%llu\n", le64_to_cpu(model->info.cells));
}

/* What may have changed: a field of the directory entry as it is now */
static ssize_t mx_model_show_now(struct mx_model_node *model, size_t field, char *buf)
{
	struct mx_dev *mx = model->mx;
	struct mxaccel_model_info *page;
	ssize_t ret = -ENODEV;
	int idx;

	page = kmalloc(MXACCEL_PAGE, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	if (mx_enter(mx, &idx)) {
		ret = mx_identify_models(mx, model->id, page);
		mx_exit(mx, idx);
	}
	if (!ret)
		ret = sysfs_emit(buf, "%u\n", le32_to_cpup((void *)page + field));
	kfree(page);
	return ret;
}

static ssize_t grants_show(struct mx_model_node *model, char *buf)
{
	return mx_model_show_now(model, offsetof(struct mxaccel_model_info, grants), buf);
}

static ssize_t holders_show(struct mx_model_node *model, char *buf)
{
	return mx_show_holders(model->mx, model->id, buf);
}

static ssize_t age_seconds_show(struct mx_model_node *model, char *buf)
{
	if (!(model->mx->hw_features & MXACCEL_FEATURE_REFRESH))
		return -EOPNOTSUPP;
	return mx_model_show_now(model, offsetof(struct mxaccel_model_info, age), buf);
}

static ssize_t refreshes_show(struct mx_model_node *model, char *buf)
{
	if (!(model->mx->hw_features & MXACCEL_FEATURE_REFRESH))
		return -EOPNOTSUPP;
	return mx_model_show_now(model, offsetof(struct mxaccel_model_info, epoch), buf);
}

#define MX_MODEL_ATTR(name) \
	static struct mx_model_attr mx_model_##name = __ATTR_RO(name)
MX_MODEL_ATTR(name);
MX_MODEL_ATTR(content);
MX_MODEL_ATTR(model_bytes);
MX_MODEL_ATTR(params_bytes);
MX_MODEL_ATTR(cells);
MX_MODEL_ATTR(grants);
MX_MODEL_ATTR(age_seconds);
MX_MODEL_ATTR(refreshes);
static struct mx_model_attr mx_model_holders = {
	.attr = { .name = "holders", .mode = 0400 },
	.show = holders_show,
};

static struct attribute *mx_model_attrs[] = {
	&mx_model_name.attr,
	&mx_model_content.attr,
	&mx_model_model_bytes.attr,
	&mx_model_params_bytes.attr,
	&mx_model_cells.attr,
	&mx_model_grants.attr,
	&mx_model_age_seconds.attr,
	&mx_model_refreshes.attr,
	&mx_model_holders.attr,
	NULL
};
ATTRIBUTE_GROUPS(mx_model);

static ssize_t mx_model_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct mx_model_node *model = container_of(kobj, struct mx_model_node, kobj);

	return container_of(attr, struct mx_model_attr, attr)->show(model, buf);
}

static const struct sysfs_ops mx_model_sysfs_ops = {
	.show = mx_model_attr_show,
};

static void mx_model_node_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct mx_model_node, kobj));
}

static const struct kobj_type mx_model_ktype = {
	.release = mx_model_node_release,
	.sysfs_ops = &mx_model_sysfs_ops,
	.default_groups = mx_model_groups,
};

/* Adds the folder of a slot; failing is only worth a warning. */
static void mx_model_node_add(struct mx_dev *mx, u32 id, const struct mxaccel_model_info *info)
{
	struct mx_model_node *model;
	int err;

	model = kzalloc(sizeof(*model), GFP_KERNEL);
	if (!model)
		return;
	model->mx = mx;
	model->id = id;
	model->seen = true;
	model->info = *info;
	err = kobject_init_and_add(&model->kobj, &mx_model_ktype, mx->models_dir, "%u", id);
	if (err) {
		dev_warn(&mx->dev, "cannot show model %u in sysfs: %d\n", id, err);
		kobject_put(&model->kobj);
		return;
	}
	list_add_tail(&model->node, &mx->model_nodes);
}

static void mx_model_node_del(struct mx_model_node *model)
{
	list_del(&model->node);
	kobject_del(&model->kobj);
	kobject_put(&model->kobj);
}

static bool mx_model_node_mark(struct mx_dev *mx, u32 id, const struct mxaccel_model_info *info)
{
	struct mx_model_node *model;

	list_for_each_entry(model, &mx->model_nodes, node) {
		if (model->id == id &&
		    !memcmp(model->info.content, info->content, sizeof(info->content))) {
			model->seen = true;
			return true;
		}
	}
	return false;
}

/* Compares with the whole directory in @slots, removes first: ids are used again. */
static void mx_model_nodes_update(struct mx_dev *mx, const struct mxaccel_model_info *slots)
{
	struct mx_model_node *model, *next;
	u32 id;

	list_for_each_entry(model, &mx->model_nodes, node)
		model->seen = false;
	for (id = 0; id < mx->max_models; id++)
		if (le32_to_cpu(slots[id].flags) & MXACCEL_MODEL_VALID)
			mx_model_node_mark(mx, id, &slots[id]);
	list_for_each_entry_safe(model, next, &mx->model_nodes, node)
		if (!model->seen)
			mx_model_node_del(model);
	for (id = 0; id < mx->max_models; id++)
		if (le32_to_cpu(slots[id].flags) & MXACCEL_MODEL_VALID &&
		    !mx_model_node_mark(mx, id, &slots[id]))
			mx_model_node_add(mx, id, &slots[id]);
}

/**
 * mx_sysfs_models_refresh() - bring models/ in step with the chip
 * @mx:		device, inside mx_enter() or with reset_lock
 */
void mx_sysfs_models_refresh(struct mx_dev *mx)
{
	u32 room = round_up(mx->max_models, MXACCEL_MODELS_PER_PAGE);
	struct mxaccel_model_info *slots;
	int err = -ENOMEM;
	u32 index;

	mutex_lock(&mx->models_lock);
	if (!mx->models_dir)
		goto unlock;
	slots = kvcalloc(room, sizeof(*slots), GFP_KERNEL);
	if (slots) {
		err = 0;
		for (index = 0; !err && index < room; index += MXACCEL_MODELS_PER_PAGE)
			err = mx_identify_models(mx, index, &slots[index]);
	}
	if (!err)
		mx_model_nodes_update(mx, slots);
	else if (err != -ENODEV)
		dev_warn(&mx->dev, "models/ in sysfs is out of date: %d\n", err);
	kvfree(slots);
unlock:
	mutex_unlock(&mx->models_lock);
}

int mx_sysfs_models_add(struct mx_dev *mx)
{
	struct kobject *dir = kobject_create_and_add("models", &mx->dev.kobj);
	int idx;

	if (!dir)
		return -ENOMEM;
	mutex_lock(&mx->models_lock);
	mx->models_dir = dir;
	mutex_unlock(&mx->models_lock);
	/* The device can be opened already, and fail; then its restart does this. */
	if (mx_enter(mx, &idx)) {
		mx_sysfs_models_refresh(mx);
		mx_exit(mx, idx);
	}
	return 0;
}

void mx_sysfs_models_remove(struct mx_dev *mx)
{
	struct mx_model_node *model, *next;

	mutex_lock(&mx->models_lock);
	list_for_each_entry_safe(model, next, &mx->model_nodes, node)
		mx_model_node_del(model);
	kobject_put(mx->models_dir);
	mx->models_dir = NULL;
	mutex_unlock(&mx->models_lock);
}
