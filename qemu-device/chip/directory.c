// SPDX-License-Identifier: LGPL-2.1-or-later
/* Directory of resident models. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "directory.h"
#include "pool.h"

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + MXACCEL_PAGE - 1) / MXACCEL_PAGE * MXACCEL_PAGE;
}

uint64_t mx_extent_params(uint64_t model_bytes)
{
	return page_up(model_bytes);
}

uint64_t mx_extent_bytes(uint64_t model_bytes, uint64_t params_bytes)
{
	if (model_bytes > UINT64_MAX / 4 || params_bytes > UINT64_MAX / 4)
		return UINT64_MAX;
	return page_up(model_bytes) + page_up(params_bytes);
}

uint32_t mx_directory_id(const struct mx_directory *dir, const struct mx_slot *slot)
{
	return slot - dir->slot;
}

static int by_offset(const void *a, const void *b)
{
	const struct mx_slot *const *x = a, *const *y = b;

	return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

uint64_t mx_directory_find_room(struct mx_directory *dir, uint64_t bytes, uint64_t *largest)
{
	const struct mx_slot *used[MX_NV_MAX_MODELS];
	uint64_t at = 0, found = UINT64_MAX, most = 0;
	uint32_t i, n = 0;

	for (i = 0; i < dir->nr_slots; i++)
		if (dir->slot[i].state != MX_SLOT_FREE)
			used[n++] = &dir->slot[i];
	qsort(used, n, sizeof(used[0]), by_offset);
	for (i = 0; i <= n; i++) {
		uint64_t end = i < n ? used[i]->offset : dir->capacity;

		if (found == UINT64_MAX && end - at >= bytes)
			found = at;
		if (end - at > most)
			most = end - at;
		if (i < n)
			at = used[i]->offset + used[i]->bytes;
	}
	if (largest)
		*largest = most;
	return found;
}

struct mx_slot *mx_directory_lookup(struct mx_directory *dir, const uint8_t content[32])
{
	uint32_t i;

	for (i = 0; i < dir->nr_slots; i++)
		if (dir->slot[i].state == MX_SLOT_VALID &&
		    !memcmp(dir->slot[i].content, content, 32))
			return &dir->slot[i];
	return NULL;
}

int mx_directory_commit(struct mx_directory *dir, const struct mx_slot *added)
{
	uint32_t i;

	memset(dir->records, 0, dir->nr_slots * sizeof(dir->records[0]));
	pthread_mutex_lock(&dir->lock);
	for (i = 0; i < dir->nr_slots; i++) {
		const struct mx_slot *slot = &dir->slot[i];

		if (slot->state != MX_SLOT_VALID && slot != added)
			continue;
		dir->records[i].flags = MX_NV_USED;
		memcpy(dir->records[i].content, slot->content, 32);
		dir->records[i].offset = slot->offset;
		dir->records[i].model_bytes = slot->model_bytes;
		dir->records[i].params_bytes = slot->params_bytes;
	}
	pthread_mutex_unlock(&dir->lock);
	return mx_nv_commit(&dir->nv, dir->records);
}

uint16_t mx_directory_verify(struct mx_chip *chip, struct mx_directory *dir,
			     const struct mx_slot *slot, struct mx_model *model)
{
	const uint8_t *section = dir->nv.storage + slot->offset;
	const uint8_t *params = section + mx_extent_params(slot->model_bytes);
	uint8_t model_digest[32], params_digest[32], content[32];
	char err[160];
	int rc;

	rc = mx_digest_section(section, slot->model_bytes, mx_pool_for, chip->pool, model_digest);
	if (!rc)
		rc = mx_digest_section(params, slot->params_bytes, mx_pool_for, chip->pool,
				       params_digest);
	if (!rc)
		rc = mx_digest_content(model_digest, params_digest, content);
	if (rc)
		return MXACCEL_ST_NO_MEMORY;
	if (memcmp(content, slot->content, sizeof(content)))
		return MXACCEL_ST_BAD_HASH;
	return mx_model_check(&chip->config, section, slot->model_bytes, params,
			      slot->params_bytes, model, err, sizeof(err));
}

/* Does this record from the store make sense beside the slots taken over so far? */
static bool record_fits(const struct mx_directory *dir, const struct mx_nv_record *record)
{
	uint64_t bytes = mx_extent_bytes(record->model_bytes, record->params_bytes);
	uint32_t i;

	if (record->flags != MX_NV_USED || record->rsvd || !record->model_bytes ||
	    record->offset % MXACCEL_PAGE || record->offset > dir->capacity ||
	    bytes > dir->capacity - record->offset)
		return false;
	for (i = 0; i < dir->nr_slots; i++) {
		const struct mx_slot *slot = &dir->slot[i];

		if (slot->state == MX_SLOT_VALID &&
		    ((record->offset < slot->offset + slot->bytes &&
		      slot->offset < record->offset + bytes) ||
		     !memcmp(slot->content, record->content, 32)))
			return false;
	}
	return true;
}

/* Takes over the models of the store; damaged ones lose their slot and cells. */
static bool take_over(struct mx_chip *chip, struct mx_directory *dir)
{
	const struct mx_nv_record *records = mx_nv_records(&dir->nv);
	static const struct mx_nv_record unused;
	uint16_t status;
	uint32_t i;

	for (i = 0; i < dir->nr_slots; i++) {
		const struct mx_nv_record *record = &records[i];
		struct mx_slot *slot = &dir->slot[i];

		if (!memcmp(record, &unused, sizeof(unused)))
			continue;
		if (!record_fits(dir, record)) {
			dir->dropped++;
			continue;
		}
		memcpy(slot->content, record->content, 32);
		slot->offset = record->offset;
		slot->model_bytes = record->model_bytes;
		slot->params_bytes = record->params_bytes;
		slot->bytes = mx_extent_bytes(slot->model_bytes, slot->params_bytes);
		status = mx_directory_verify(chip, dir, slot, &slot->model);
		if (status == MXACCEL_ST_NO_MEMORY)
			return false;
		if (status != MXACCEL_ST_SUCCESS) {
			dir->dropped++;
			continue;
		}
		slot->model.id = i;
		slot->state = MX_SLOT_VALID;
	}
	return true;
}

struct mx_directory *mx_directory_new(struct mx_chip *chip, char *err, size_t err_bytes)
{
	uint32_t slots = chip->config.max_models;
	struct mx_directory *dir;

	dir = calloc(1, sizeof(*dir) + slots * sizeof(dir->slot[0]));
	if (!dir)
		goto no_memory;
	pthread_mutex_init(&dir->commit_lock, NULL);
	pthread_mutex_init(&dir->lock, NULL);
	pthread_cond_init(&dir->idle, NULL);
	dir->nr_slots = slots;
	dir->capacity = mx_chip_capacity(&chip->config);
	dir->records = calloc(slots, sizeof(dir->records[0]));
	if (!dir->records)
		goto no_memory;
	if (mx_nv_open(&dir->nv, &chip->config, &chip->params, err, err_bytes)) {
		mx_directory_free(dir);
		return NULL;
	}
	if (take_over(chip, dir))
		return dir;
no_memory:
	mx_directory_free(dir);
	snprintf(err, err_bytes, "out of memory for the model directory");
	return NULL;
}

void mx_directory_free(struct mx_directory *dir)
{
	if (!dir)
		return;
	pthread_cond_destroy(&dir->idle);
	pthread_mutex_destroy(&dir->lock);
	pthread_mutex_destroy(&dir->commit_lock);
	free(dir->records);
	free(dir);
}

/* The VALID slot with this id, or NULL. Caller holds lock. */
static struct mx_slot *valid_slot(struct mx_directory *dir, uint32_t id)
{
	if (id >= dir->nr_slots || dir->slot[id].state != MX_SLOT_VALID)
		return NULL;
	return &dir->slot[id];
}

struct mx_model *mx_directory_model(struct mx_chip *chip, uint32_t id)
{
	struct mx_directory *dir = chip->directory;
	struct mx_slot *slot;

	pthread_mutex_lock(&dir->lock);
	slot = valid_slot(dir, id);
	pthread_mutex_unlock(&dir->lock);
	return slot ? &slot->model : NULL;
}

uint16_t mx_chip_model_get(struct mx_chip *chip, uint32_t id)
{
	struct mx_directory *dir = chip->directory;
	struct mx_slot *slot;

	pthread_mutex_lock(&dir->lock);
	slot = valid_slot(dir, id);
	if (slot)
		slot->refs++;
	pthread_mutex_unlock(&dir->lock);
	return slot ? MXACCEL_ST_SUCCESS : MXACCEL_ST_BAD_MODEL;
}

void mx_chip_model_put(struct mx_chip *chip, uint32_t id)
{
	struct mx_directory *dir = chip->directory;
	struct mx_slot *slot;

	pthread_mutex_lock(&dir->lock);
	slot = valid_slot(dir, id);
	if (slot && slot->refs)
		slot->refs--;
	pthread_mutex_unlock(&dir->lock);
}

uint16_t mx_chip_model_delete(struct mx_chip *chip, uint32_t id)
{
	struct mx_directory *dir = chip->directory;
	uint16_t status = MXACCEL_ST_SUCCESS;
	struct mx_slot *slot;
	int rc;

	pthread_mutex_lock(&dir->commit_lock);
	pthread_mutex_lock(&dir->lock);
	slot = valid_slot(dir, id);
	if (!slot)
		status = MXACCEL_ST_BAD_MODEL;
	else if (slot->refs)
		status = MXACCEL_ST_BUSY;
	else
		slot->state = MX_SLOT_DELETING;
	pthread_mutex_unlock(&dir->lock);
	if (status == MXACCEL_ST_SUCCESS) {
		rc = mx_directory_commit(dir, NULL);
		pthread_mutex_lock(&dir->lock);
		slot->state = rc ? MX_SLOT_VALID : MX_SLOT_FREE;
		pthread_mutex_unlock(&dir->lock);
		if (rc)
			status = MXACCEL_ST_STORE_ERROR;
	}
	pthread_mutex_unlock(&dir->commit_lock);
	return status;
}

uint16_t mx_chip_model_info(struct mx_chip *chip, uint32_t id, struct mxaccel_model_info *info)
{
	struct mx_directory *dir = chip->directory;
	struct mx_slot *slot;

	if (id >= dir->nr_slots)
		return MXACCEL_ST_BAD_MODEL;
	memset(info, 0, sizeof(*info));
	info->id = id;
	pthread_mutex_lock(&dir->lock);
	slot = valid_slot(dir, id);
	if (slot) {
		info->flags = MXACCEL_MODEL_VALID;
		memcpy(info->content, slot->content, sizeof(info->content));
		memcpy(info->name, slot->model.head->name, sizeof(info->name));
		info->model_bytes = slot->model_bytes;
		info->params_bytes = slot->params_bytes;
		info->cells = slot->bytes * 8 / chip->config.cell_bits;
		info->grants = slot->refs;
	}
	pthread_mutex_unlock(&dir->lock);
	return MXACCEL_ST_SUCCESS;
}

uint16_t mx_chip_model_find(struct mx_chip *chip, const uint8_t content[32], uint32_t *id)
{
	struct mx_directory *dir = chip->directory;
	struct mx_slot *slot;

	pthread_mutex_lock(&dir->lock);
	slot = mx_directory_lookup(dir, content);
	if (slot)
		*id = mx_directory_id(dir, slot);
	pthread_mutex_unlock(&dir->lock);
	return slot ? MXACCEL_ST_SUCCESS : MXACCEL_ST_BAD_MODEL;
}
