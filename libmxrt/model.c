// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Models: loading, sharing, describing, listing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int mxrt_load_refused(struct mxrt_device *dev, const struct mxrt_image *image,
		      unsigned int status)
{
	int err = mxrt_status_error(status);
	unsigned long long bytes = image->section[MXACCEL_SEC_PARAMS]->bytes +
				   image->section[MXACCEL_SEC_MODEL]->bytes;
	struct mxaccel_identify page = { 0 };
	unsigned long long capacity = ~0ULL;

	switch (status) {
	case MXACCEL_ST_BAD_HASH:
		/* Only now read all weights, to say what is damaged. */
		if (mxrt_image_verify(image))
			return err;
		return mxrt_fail(err,
				 "%s did not receive model image %s as it is in the file, which is not damaged; nothing was loaded: try again, and look for memory or bus errors",
				 dev->name, image->name);
	case MXACCEL_ST_NO_SPACE:
		return mxrt_fail(err,
				 "%s has no room for model image %s of %llu bytes: delete a resident model (mxrun --resident, --delete)",
				 dev->name, image->name, bytes);
	case MXACCEL_ST_WORN_OUT:
		return mxrt_fail(err,
				 "%s has too few working cells left for model image %s of %llu bytes: delete a resident model (mxrun --resident, --delete); its health counters tell how far the cells are worn",
				 dev->name, image->name, bytes);
	case MXACCEL_ST_NO_SLOT:
		return mxrt_fail(err,
				 "%s has no free model slot for model image %s: delete a resident model (mxrun --resident, --delete)",
				 dev->name, image->name);
	case MXACCEL_ST_TOO_LARGE:
		if (!dev->backend->identify(dev, &page))
			capacity = page.value[MXACCEL_CHIP_CAPACITY_BYTES];
		if (bytes > capacity)
			return mxrt_fail(err,
					 "model image %s (%llu bytes, mapped for chip %s) does not fit %s, which stores %llu bytes of models: it is %llu too large",
					 image->name, bytes, image->header->chip, dev->name, capacity,
					 bytes - capacity);
		return mxrt_fail(err,
				 "model image %s (%llu bytes, mapped for chip %s) does not fit %s: its storage for models or for intermediates is too small",
				 image->name, bytes, image->header->chip, dev->name);
	case MXACCEL_ST_BAD_VERSION:
		return mxrt_fail(err,
				 "model image %s needs a chip version or feature that %s lacks",
				 image->name, dev->name);
	case MXACCEL_ST_BAD_IMAGE:
		return mxrt_fail(err,
				 "%s refused model image %s: its program is malformed; map the model again",
				 dev->name, image->name);
	default:
		return mxrt_fail(err, "%s refused model image %s: %s", dev->name, image->name,
				 mxrt_strerror(status));
	}
}

/* Shares or makes the use of a content; dev->lock is held. */
static int use_get(struct mxrt_device *dev, const struct mxrt_image *image, uint32_t flags,
		   struct mxrt_use **out, struct mxrt_loaded *loaded)
{
	struct mxrt_use *use;
	int err;

	for (use = dev->uses; use; use = use->next) {
		if (memcmp(use->content, image->header->content, sizeof(use->content)))
			continue;
		use->users++;
		*out = use;
		return 0;
	}
	use = calloc(1, sizeof(*use));
	if (!use)
		return mxrt_fail(-ENOMEM, "no memory to load model image %s", image->name);
	memcpy(use->content, image->header->content, sizeof(use->content));
	err = dev->backend->load(dev, image, flags, use, loaded);
	if (err) {
		free(use);
		return err;
	}
	use->users = 1;
	use->next = dev->uses;
	dev->uses = use;
	*out = use;
	return 0;
}

static void use_put(struct mxrt_device *dev, struct mxrt_use *use)
{
	struct mxrt_use **at;

	if (--use->users)
		return;
	for (at = &dev->uses; *at != use; at = &(*at)->next)
		;
	*at = use->next;
	dev->backend->unload(dev, use);
	free(use);
}

int mxrt_load(struct mxrt_device *dev, const struct mxrt_image *image,
	      const struct mxrt_load_params *params, struct mxrt_model **out)
{
	struct mxrt_load_params p;
	struct mxrt_model *model;
	uint32_t nr_entries;
	int err;

	if (!dev || !image || !out)
		return mxrt_fail(-EINVAL, "%s: no device, image or out", __func__);
	err = mxrt_params_get(&p, sizeof(p), params, "mxrt_load_params");
	if (err)
		return err;
	if (p.flags & ~MXRT_LOAD_RESIDENT)
		return mxrt_fail(-EINVAL, "%s: unknown flags 0x%x", __func__, p.flags);
	nr_entries = image->model->nr_entries;
	model = calloc(1, sizeof(*model) + nr_entries * sizeof(model->entry[0]));
	if (!model)
		return mxrt_fail(-ENOMEM, "no memory to load model image %s", image->name);
	pthread_mutex_lock(&dev->lock);
	err = use_get(dev, image, p.flags, &model->use, &model->loaded);
	pthread_mutex_unlock(&dev->lock);
	if (err) {
		free(model);
		return err;
	}
	mxrt_device_get(dev);
	model->dev = dev;
	memcpy(model->content, image->header->content, sizeof(model->content));
	memcpy(model->name, image->model->name, sizeof(model->name));
	model->vocab = image->model->vocab;
	model->max_tokens = image->model->max_tokens;
	model->nr_entries = nr_entries;
	memcpy(model->entry, image->entry, nr_entries * sizeof(model->entry[0]));
	*out = model;
	return 0;
}

void mxrt_unload(struct mxrt_model *model)
{
	struct mxrt_device *dev;

	if (!model)
		return;
	dev = model->dev;
	pthread_mutex_lock(&dev->lock);
	use_put(dev, model->use);
	pthread_mutex_unlock(&dev->lock);
	free(model);
	mxrt_device_put(dev);
}

int mxrt_model_info(const struct mxrt_model *model, struct mxrt_model_info *info)
{
	struct mxrt_model_info full = { 0 };

	if (!model)
		return mxrt_fail(-EINVAL, "%s: no model", __func__);
	full.id = model->use->id;
	full.programmed = model->loaded.programmed;
	full.reused_chunks = model->loaded.reused;
	full.programmed_bytes = model->loaded.bytes;
	full.nr_entries = model->nr_entries;
	full.vocab = model->vocab;
	full.max_tokens = model->max_tokens;
	memcpy(full.content, model->content, sizeof(full.content));
	memcpy(full.name, model->name, sizeof(full.name));
	return mxrt_info_put(info, &full, sizeof(full), "mxrt_model_info");
}

int mxrt_model_find_entry(const struct mxrt_model *model, const char *name)
{
	char names[256] = "";
	size_t used = 0;
	uint32_t i;

	if (!model || !name)
		return mxrt_fail(-EINVAL, "%s: no model or no name", __func__);
	for (i = 0; i < model->nr_entries; i++) {
		if (!strcmp(model->entry[i].name, name))
			return i;
		if (used < sizeof(names))
			used += snprintf(names + used, sizeof(names) - used, "%s\"%s\"",
					 i ? ", " : "", model->entry[i].name);
	}
	return mxrt_fail(-ENOENT, "model %s has no program entry \"%s\", only %s", model->name, name,
			 names);
}

int mxrt_out_bytes(const struct mxrt_model *model, unsigned int entry,
		   size_t nr_seq, size_t tokens, size_t *bytes)
{
	size_t each;

	if (!model || !bytes)
		return mxrt_fail(-EINVAL, "%s: no model or no bytes", __func__);
	if (entry >= model->nr_entries)
		return mxrt_fail(-ENOENT, "model %s has no program entry %u, only %u of them",
				 model->name, entry, model->nr_entries);
	if (!nr_seq || !tokens)
		return mxrt_fail(-EINVAL, "nothing to do: %zu sequences of %zu tokens", nr_seq,
				 tokens);
	if (tokens > model->max_tokens)
		return mxrt_fail(-E2BIG, "%zu tokens per sequence, model %s takes at most %u", tokens,
				 model->name, model->max_tokens);
	each = sizeof(float) * model->entry[entry].out_cols;
	if (model->entry[entry].out_kind == MXACCEL_REGION_ROWS)
		each *= tokens;		/* all three factors are below 2^31 / 2^17, checked */
	if (__builtin_mul_overflow(each, nr_seq, bytes))
		return mxrt_fail(-EOVERFLOW, "the result of %zu sequences is larger than memory",
				 nr_seq);
	return 0;
}

void mxrt_resident_fill(struct mxrt_resident *to, const struct mxaccel_model_info *from)
{
	memset(to, 0, sizeof(*to));
	to->id = from->id;
	to->users = from->grants;
	memcpy(to->content, from->content, sizeof(to->content));
	memcpy(to->name, from->name, sizeof(to->name));
	to->name[sizeof(to->name) - 1] = 0;
	to->program_bytes = from->model_bytes;
	to->params_bytes = from->params_bytes;
	to->cells = from->cells;
	to->age = from->age;
	to->refreshes = from->epoch;
}

int mxrt_models(struct mxrt_device *dev, struct mxrt_resident *list, size_t *count)
{
	if (!dev || !count || (*count && !list))
		return mxrt_fail(-EINVAL, "%s: no device, count or list", __func__);
	return dev->backend->models(dev, list, count);
}

int mxrt_model_delete(struct mxrt_device *dev, unsigned int id)
{
	if (!dev)
		return mxrt_fail(-EINVAL, "%s: no device", __func__);
	return dev->backend->model_delete(dev, id);
}

int mxrt_refresh_refused(struct mxrt_device *dev, uint32_t id, int err)
{
	switch (err) {
	case -ENOENT:
		return mxrt_fail(err, "%s has no resident model %u", dev->name, id);
	case -ENOSPC:
		return mxrt_fail(err,
				 "model %u of %s stays as it is: some of its cells have been programmed as often as they endure; delete it and load it again, which gives it others",
				 id, dev->name);
	case -EPERM:
		return mxrt_fail(err, "refreshing models of %s needs CAP_SYS_ADMIN", dev->name);
	case -EOPNOTSUPP:
		return mxrt_fail(err, "%s cannot refresh models: its driver or chip is older",
				 dev->name);
	default:
		return mxrt_fail(err, "cannot refresh model %u of %s: %s", id, dev->name,
				 strerrordesc_np(-err));
	}
}

int mxrt_refresh(struct mxrt_device *dev, unsigned int id)
{
	if (!dev)
		return mxrt_fail(-EINVAL, "%s: no device", __func__);
	return dev->backend->refresh(dev, id);
}

int mxrt_set_age(struct mxrt_device *dev, unsigned int seconds)
{
	if (!dev)
		return mxrt_fail(-EINVAL, "%s: no device", __func__);
	if (!dev->backend->set_age)
		return mxrt_fail(-EOPNOTSUPP,
				 "%s: the clock of a real chip is not set by its programs, only that of a sim: device; QEMU has the property age for it",
				 dev->name);
	return dev->backend->set_age(dev, seconds);
}
