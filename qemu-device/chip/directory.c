// SPDX-License-Identifier: LGPL-2.1-or-later
/* Directory of resident models. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "directory.h"

uint32_t mx_directory_id(const struct mx_directory *dir, const struct mx_slot *slot)
{
	return slot - dir->slot;
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

static int persist_map(struct mx_directory *dir, const struct mx_slot *slot)
{
	uint32_t id = mx_directory_id(dir, slot);

	memcpy(mx_nv_map(&dir->nv, id), slot->map, slot->nr_chunks * sizeof(slot->map[0]));
	return mx_nv_persist_map(&dir->nv, id);
}

int mx_directory_commit(struct mx_directory *dir, const struct mx_slot *added)
{
	int rc = added ? persist_map(dir, added) : 0;
	uint32_t i;

	if (rc)
		return rc;
	memset(dir->records, 0, dir->nr_slots * sizeof(dir->records[0]));
	pthread_mutex_lock(&dir->lock);
	for (i = 0; i < dir->nr_slots; i++) {
		const struct mx_slot *slot = &dir->slot[i];

		if (slot->state != MX_SLOT_VALID && slot != added)
			continue;
		dir->records[i].flags = MX_NV_USED;
		memcpy(dir->records[i].content, slot->content, 32);
		dir->records[i].model_bytes = slot->model_bytes;
		dir->records[i].params_bytes = slot->params_bytes;
		dir->records[i].programmed = slot->programmed;
		dir->records[i].epoch = slot->epoch;
	}
	pthread_mutex_unlock(&dir->lock);
	return mx_nv_commit(&dir->nv, dir->records);
}

/*
 * Takes a record and its map from the store into a slot, if they make sense
 * beside the slots taken over so far. A wrong map that names chunks there are is
 * left to the check of their content. SUCCESS, BAD_IMAGE, TOO_LARGE, NO_MEMORY.
 */
static uint16_t read_record(struct mx_directory *dir, struct mx_slot *slot,
			    const struct mx_nv_record *record)
{
	uint16_t status;
	uint32_t i;

	if (record->flags != MX_NV_USED || record->programmed > dir->nv.clock ||
	    !record->model_bytes ||
	    mx_directory_lookup(dir, record->content))
		return MXACCEL_ST_BAD_IMAGE;
	status = mx_slot_size(dir, slot, record->model_bytes, record->params_bytes);
	if (status != MXACCEL_ST_SUCCESS)
		return status;
	memcpy(slot->content, record->content, 32);
	slot->programmed = record->programmed;
	slot->epoch = record->epoch;
	memcpy(slot->map, mx_nv_map(&dir->nv, mx_directory_id(dir, slot)),
	       slot->nr_chunks * sizeof(slot->map[0]));
	for (i = 0; i < slot->nr_chunks; i++)
		if (slot->map[i] >= dir->chunks.nr)
			status = MXACCEL_ST_BAD_IMAGE;
	if (status != MXACCEL_ST_SUCCESS)
		memset(slot->map, 0xff, slot->nr_chunks * sizeof(slot->map[0]));
	for (i = 0; i < slot->nr_chunks && status == MXACCEL_ST_SUCCESS; i++) {
		struct mx_chunk *chunk = &dir->chunks.chunk[slot->map[i]];

		mx_chunks_get(&dir->chunks, slot->map[i]);
		/* A model is as old as the oldest of its chunks: they may be younger. */
		if (chunk->written < slot->programmed)
			chunk->written = slot->programmed;
	}
	return status;
}

/* Forgets a slot, at power-on and power-off. */
static void drop(struct mx_directory *dir, struct mx_slot *slot)
{
	uint32_t i;

	mx_nv_unview(slot->view, slot->nr_chunks);
	for (i = 0; slot->map && i < slot->nr_chunks; i++)
		if (slot->map[i] != MX_NO_CHUNK)
			mx_chunks_put(&dir->chunks, slot->map[i] & ~MX_MAP_SHARED);
	mx_model_release(&slot->model);
	free(slot->map);
	slot->map = NULL;
	slot->view = NULL;
}

/* Takes over the models of the store; damaged ones lose their slot and cells. */
static bool take_over(struct mx_chip *chip, struct mx_directory *dir)
{
	const struct mx_nv_record *records = mx_nv_records(&dir->nv);
	static const struct mx_nv_record unused;
	uint8_t *digests;
	uint16_t status;
	uint32_t i;

	for (i = 0; i < dir->nr_slots; i++) {
		struct mx_slot *slot = &dir->slot[i];

		if (!memcmp(&records[i], &unused, sizeof(unused)))
			continue;
		status = read_record(dir, slot, &records[i]);
		if (status == MXACCEL_ST_SUCCESS) {
			status = mx_slot_verify(chip, dir, slot, &digests);
			if (status == MXACCEL_ST_SUCCESS) {
				mx_slot_learn(dir, slot, digests);
				free(digests);
				slot->state = MX_SLOT_VALID;
				continue;
			}
		}
		drop(dir, slot);
		if (status == MXACCEL_ST_NO_MEMORY)
			return false;
		dir->dropped++;
	}
	mx_chunks_ready(&dir->chunks);
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
	dir->nv.fd = -1;
	dir->records = calloc(slots, sizeof(dir->records[0]));
	if (!dir->records)
		goto no_memory;
	if (mx_nv_open(&dir->nv, &chip->config, &chip->params, err, err_bytes)) {
		mx_directory_free(dir);
		return NULL;
	}
	if (!mx_chunks_init(&dir->chunks, &chip->config, chip->params.seed,
			    mx_nv_wear(&dir->nv)) && take_over(chip, dir))
		return dir;
no_memory:
	mx_directory_free(dir);
	snprintf(err, err_bytes, "out of memory for the model directory");
	return NULL;
}

void mx_directory_free(struct mx_directory *dir)
{
	uint32_t i;

	if (!dir)
		return;
	for (i = 0; i < dir->nr_slots; i++)
		drop(dir, &dir->slot[i]);
	mx_chunks_free(&dir->chunks);
	mx_nv_close(&dir->nv);
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

void mx_directory_cells(struct mx_chip *chip, const struct mx_model *model, uint32_t *age,
			uint32_t *epoch)
{
	struct mx_directory *dir = chip->directory;
	const struct mx_slot *slot = &dir->slot[model->id];

	pthread_mutex_lock(&dir->lock);
	*age = mx_directory_clock(dir) - slot->programmed;
	*epoch = slot->epoch;
	pthread_mutex_unlock(&dir->lock);
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
		if (rc) {
			pthread_mutex_lock(&dir->lock);
			slot->state = MX_SLOT_VALID;
			pthread_mutex_unlock(&dir->lock);
			status = MXACCEL_ST_STORE_ERROR;
		} else {
			mx_slot_release(chip, slot);
		}
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
		info->cells = (uint64_t)slot->nr_chunks * mx_chunk_cells(&chip->config);
		info->grants = slot->refs;
		info->age = mx_directory_clock(dir) - slot->programmed;
		info->epoch = slot->epoch;
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
