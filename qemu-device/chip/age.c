// SPDX-License-Identifier: LGPL-2.1-or-later
/* The chip's clock, and cells that are programmed again because they have aged. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory.h"

/* Caller holds commit_lock, without which the clock does not change. */
static int set_clock(struct mx_directory *dir, uint32_t clock)
{
	uint32_t before = mx_directory_clock(dir);
	int rc;

	pthread_mutex_lock(&dir->lock);
	dir->nv.clock = clock;
	pthread_mutex_unlock(&dir->lock);
	rc = mx_nv_commit(&dir->nv, mx_nv_records(&dir->nv));
	if (rc) {
		pthread_mutex_lock(&dir->lock);
		dir->nv.clock = before;
		pthread_mutex_unlock(&dir->lock);
	}
	return rc;
}

int mx_chip_set_age(struct mx_chip *chip, uint32_t age, char *err, size_t err_bytes)
{
	struct mx_directory *dir = chip->directory;
	uint64_t clock;
	int rc = 0;

	if (age > MX_MAX_AGE) {
		snprintf(err, err_bytes, "age=%u: at most %u seconds", age, MX_MAX_AGE);
		return -EINVAL;
	}
	if (chip->params.fidelity != MX_ANALOG) {
		snprintf(err, err_bytes,
			 "age=%u: cells have no age with fidelity=exact; use fidelity=analog", age);
		return -EINVAL;
	}
	pthread_mutex_lock(&dir->commit_lock);
	clock = mx_directory_clock(dir);
	if (age < clock) {
		snprintf(err, err_bytes,
			 "age=%u: the chip's clock shows %llu seconds, and no chip gets younger: give %llu to %u, or no age to leave it so",
			 age, (unsigned long long)clock, (unsigned long long)clock, MX_MAX_AGE);
		rc = -EINVAL;
	} else if (age > clock) {
		rc = set_clock(dir, age);
		if (rc)
			snprintf(err, err_bytes,
				 "age=%u: writing the non-volatile store failed: %s", age,
				 strerror(-rc));
	}
	pthread_mutex_unlock(&dir->commit_lock);
	return rc;
}

uint32_t mx_chip_age(struct mx_chip *chip)
{
	struct mx_directory *dir = chip->directory;
	uint32_t clock;

	pthread_mutex_lock(&dir->lock);
	clock = mx_directory_clock(dir);
	pthread_mutex_unlock(&dir->lock);
	return clock;
}

/* Counts the wear of programming all chunks of a slot, unless one of them has no more life. */
static uint16_t wear(struct mx_directory *dir, const struct mx_slot *slot,
		     struct mx_pulses *pulses)
{
	uint32_t i;

	for (i = 0; i < slot->nr_chunks; i++)
		if (!mx_chunks_renewable(&dir->chunks, slot->map[i]))
			return MXACCEL_ST_WORN_OUT;
	for (i = 0; i < slot->nr_chunks; i++)
		mx_chunks_renew(&dir->chunks, slot->map[i], mx_slot_chunk_bytes(slot, i), pulses);
	return MXACCEL_ST_SUCCESS;
}

/* Programs all chunks with what they hold, and makes that durable, with their wear. */
static uint16_t program(struct mx_directory *dir, const struct mx_slot *slot)
{
	uint32_t first = MX_NO_CHUNK, last = 0, i;
	uint8_t *content = malloc(MXACCEL_CHUNK);
	int rc = content ? 0 : -ENOMEM;

	for (i = 0; i < slot->nr_chunks && !rc; i++) {
		memcpy(content, slot->view + (uint64_t)i * MXACCEL_CHUNK, MXACCEL_CHUNK);
		rc = mx_nv_write(&dir->nv, slot->map[i], 0, content, mx_slot_chunk_bytes(slot, i));
		first = slot->map[i] < first ? slot->map[i] : first;
		last = slot->map[i] > last ? slot->map[i] : last;
	}
	free(content);
	if (!rc)
		rc = mx_nv_persist_chunks(&dir->nv, first, last);
	if (!rc)
		rc = mx_nv_persist_map(&dir->nv, mx_directory_id(dir, slot));
	return rc == -ENOMEM ? MXACCEL_ST_NO_MEMORY : rc ? MXACCEL_ST_STORE_ERROR :
	       MXACCEL_ST_SUCCESS;
}

/* The cells are new: says so in the directory, or leaves it. Caller holds commit_lock. */
static uint16_t publish(struct mx_directory *dir, struct mx_slot *slot)
{
	uint32_t programmed = slot->programmed, epoch = slot->epoch, i;
	int rc;

	pthread_mutex_lock(&dir->lock);
	slot->programmed = mx_directory_clock(dir);
	if (slot->epoch < UINT32_MAX)
		slot->epoch++;
	dir->nv.refreshes++;
	pthread_mutex_unlock(&dir->lock);
	rc = mx_directory_commit(dir, NULL);
	pthread_mutex_lock(&dir->lock);
	if (rc) {
		slot->programmed = programmed;
		slot->epoch = epoch;
		dir->nv.refreshes--;
	}
	for (i = 0; i < slot->nr_chunks && !rc; i++)
		dir->chunks.chunk[slot->map[i]].written = slot->programmed;
	pthread_mutex_unlock(&dir->lock);
	return rc ? MXACCEL_ST_STORE_ERROR : MXACCEL_ST_SUCCESS;
}

uint16_t mx_chip_model_refresh(struct mx_chip *chip, uint32_t id)
{
	struct mx_directory *dir = chip->directory;
	uint16_t status = mx_chip_model_get(chip, id);
	struct mx_pulses pulses = { 0 };
	struct mx_slot *slot;

	if (status != MXACCEL_ST_SUCCESS)
		return status;
	slot = &dir->slot[id];
	pthread_mutex_lock(&dir->commit_lock);
	pthread_mutex_lock(&dir->lock);
	status = wear(dir, slot, &pulses);
	pthread_mutex_unlock(&dir->lock);
	if (status == MXACCEL_ST_SUCCESS) {
		status = program(dir, slot);
		mx_count_pulses(chip, slot->model_bytes + slot->params_bytes, &pulses);
	}
	if (status == MXACCEL_ST_SUCCESS)
		status = publish(dir, slot);
	pthread_mutex_unlock(&dir->commit_lock);
	mx_chip_model_put(chip, id);
	return status;
}
