// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Programming a model: BEGIN reserves a slot and an extent (volatile), WRITE
 * fills the extent, COMMIT checks it and publishes it with one directory
 * update. Until then nothing durable refers to the extent.
 */
#include <string.h>

#include "directory.h"

/* Handle: tag above the slot number. */
#define SLOT_BITS	12
#define TAG_MASK	0xfffffu

_Static_assert(MX_NV_MAX_MODELS <= 1 << SLOT_BITS, "a handle holds every slot number");

/* The slot that is being programmed under this handle, or NULL. Caller holds lock. */
static struct mx_slot *prog_slot(struct mx_directory *dir, uint32_t prog)
{
	uint32_t number = prog & ((1u << SLOT_BITS) - 1);
	struct mx_slot *slot;

	if (number >= dir->nr_slots)
		return NULL;
	slot = &dir->slot[number];
	return slot->state == MX_SLOT_PROGRAMMING && slot->tag == prog >> SLOT_BITS ? slot : NULL;
}

static struct mx_slot *free_slot(struct mx_directory *dir)
{
	uint32_t i;

	for (i = 0; i < dir->nr_slots; i++)
		if (dir->slot[i].state == MX_SLOT_FREE)
			return &dir->slot[i];
	return NULL;
}

static uint16_t reserve(struct mx_directory *dir, const uint8_t content[32],
			uint64_t model_bytes, uint64_t params_bytes, uint32_t *prog)
{
	uint64_t bytes = mx_extent_bytes(model_bytes, params_bytes);
	struct mx_slot *slot = mx_directory_lookup(dir, content);
	uint64_t offset;

	if (slot) {
		slot->refs++;
		*prog = mx_directory_id(dir, slot);
		return MXACCEL_ST_RESIDENT;
	}
	if (model_bytes > MXACCEL_MODEL_MAX_BYTES || bytes > dir->capacity)
		return MXACCEL_ST_TOO_LARGE;
	slot = free_slot(dir);
	if (!slot)
		return MXACCEL_ST_NO_SLOT;
	offset = mx_directory_find_room(dir, bytes, NULL);
	if (offset == UINT64_MAX)
		return MXACCEL_ST_NO_SPACE;

	dir->next_tag = (dir->next_tag + 1) & TAG_MASK;
	if (!dir->next_tag)
		dir->next_tag = 1;
	slot->state = MX_SLOT_PROGRAMMING;
	slot->tag = dir->next_tag;
	slot->refs = 0;
	slot->writers = 0;
	memcpy(slot->content, content, sizeof(slot->content));
	slot->offset = offset;
	slot->bytes = bytes;
	slot->model_bytes = model_bytes;
	slot->params_bytes = params_bytes;
	*prog = slot->tag << SLOT_BITS | mx_directory_id(dir, slot);
	return MXACCEL_ST_SUCCESS;
}

uint16_t mx_chip_prog_begin(struct mx_chip *chip, const uint8_t content[32],
			    uint64_t model_bytes, uint64_t params_bytes, uint32_t *prog)
{
	struct mx_directory *dir = chip->directory;
	uint16_t status;

	if (model_bytes < sizeof(struct mxaccel_model))
		return MXACCEL_ST_BAD_FIELD;
	pthread_mutex_lock(&dir->lock);
	status = reserve(dir, content, model_bytes, params_bytes, prog);
	pthread_mutex_unlock(&dir->lock);
	return status;
}

uint16_t mx_chip_prog_write(struct mx_chip *chip, uint32_t prog, uint64_t offset,
			    const void *data, uint64_t bytes)
{
	struct mx_directory *dir = chip->directory;
	struct mx_slot *slot;
	uint16_t status = MXACCEL_ST_SUCCESS;

	pthread_mutex_lock(&dir->lock);
	slot = prog_slot(dir, prog);
	if (!slot)
		status = MXACCEL_ST_BAD_PROG;
	else if (offset > slot->bytes || bytes > slot->bytes - offset)
		status = MXACCEL_ST_BAD_RANGE;
	else
		slot->writers++;
	pthread_mutex_unlock(&dir->lock);
	if (status != MXACCEL_ST_SUCCESS)
		return status;

	memcpy(dir->nv.storage + slot->offset + offset, data, bytes);
	mx_chip_count(chip, MXACCEL_CTR_CELL_WRITES, bytes * (8 / chip->config.cell_bits));
	mx_chip_count(chip, MXACCEL_CTR_DMA_READ_BYTES, bytes);

	pthread_mutex_lock(&dir->lock);
	if (!--slot->writers)
		pthread_cond_broadcast(&dir->idle);
	pthread_mutex_unlock(&dir->lock);
	return MXACCEL_ST_SUCCESS;
}

/* Ends the programming for writers; returns its slot when the last has left, or NULL. */
static struct mx_slot *prog_end(struct mx_directory *dir, uint32_t prog)
{
	struct mx_slot *slot;

	pthread_mutex_lock(&dir->lock);
	slot = prog_slot(dir, prog);
	if (slot) {
		slot->state = MX_SLOT_ENDING;
		while (slot->writers)
			pthread_cond_wait(&dir->idle, &dir->lock);
	}
	pthread_mutex_unlock(&dir->lock);
	return slot;
}

static void release(struct mx_directory *dir, struct mx_slot *slot)
{
	pthread_mutex_lock(&dir->lock);
	slot->state = MX_SLOT_FREE;
	pthread_mutex_unlock(&dir->lock);
}

/* Takes a reference on the resident model with the content of @slot, if there is one. */
static bool take_twin(struct mx_directory *dir, const struct mx_slot *slot, uint32_t *id)
{
	struct mx_slot *twin;

	pthread_mutex_lock(&dir->lock);
	twin = mx_directory_lookup(dir, slot->content);
	if (twin) {
		twin->refs++;
		*id = mx_directory_id(dir, twin);
	}
	pthread_mutex_unlock(&dir->lock);
	return twin;
}

/* Caller holds commit_lock. */
static uint16_t publish(struct mx_chip *chip, struct mx_slot *slot,
			const struct mx_model *model, uint32_t *id)
{
	struct mx_directory *dir = chip->directory;

	if (take_twin(dir, slot, id)) {
		release(dir, slot);
		return MXACCEL_ST_SUCCESS;
	}
	if (mx_directory_commit(dir, slot)) {
		release(dir, slot);
		return MXACCEL_ST_STORE_ERROR;
	}
	*id = mx_directory_id(dir, slot);
	pthread_mutex_lock(&chip->count_lock);
	slot->model = *model;
	slot->model.id = *id;
	pthread_mutex_unlock(&chip->count_lock);
	pthread_mutex_lock(&dir->lock);
	slot->refs = 1;
	slot->state = MX_SLOT_VALID;
	pthread_mutex_unlock(&dir->lock);
	return MXACCEL_ST_SUCCESS;
}

uint16_t mx_chip_prog_commit(struct mx_chip *chip, uint32_t prog, uint32_t *id)
{
	struct mx_directory *dir = chip->directory;
	struct mx_slot *slot = prog_end(dir, prog);
	struct mx_model model;
	uint16_t status;

	if (!slot)
		return MXACCEL_ST_BAD_PROG;
	status = mx_directory_verify(chip, dir, slot, &model);
	if (status == MXACCEL_ST_SUCCESS &&
	    mx_nv_persist_storage(&dir->nv, slot->offset, slot->bytes))
		status = MXACCEL_ST_STORE_ERROR;
	if (status != MXACCEL_ST_SUCCESS) {
		release(dir, slot);
		return status;
	}
	pthread_mutex_lock(&dir->commit_lock);
	status = publish(chip, slot, &model, id);
	pthread_mutex_unlock(&dir->commit_lock);
	return status;
}

uint16_t mx_chip_prog_abort(struct mx_chip *chip, uint32_t prog)
{
	struct mx_slot *slot = prog_end(chip->directory, prog);

	if (!slot)
		return MXACCEL_ST_BAD_PROG;
	release(chip->directory, slot);
	return MXACCEL_ST_SUCCESS;
}
