// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Programming a model: BEGIN takes a slot, REUSE shares chunks of resident
 * models, WRITE takes free chunks and fills them, COMMIT checks all and
 * publishes it with one directory update. Until then nothing durable refers to
 * the chunks.
 */
#include <stdlib.h>
#include <string.h>

#include "directory.h"

/* Handle: tag above the slot number. */
#define SLOT_BITS	12
#define TAG_MASK	0xfffffu

uint64_t mx_prog_pages(uint64_t bytes)
{
	return (bytes + MXACCEL_PAGE - 1) / MXACCEL_PAGE * MXACCEL_PAGE;
}

_Static_assert(MX_NV_MAX_MODELS <= 1 << SLOT_BITS, "a handle holds every slot number");

struct mx_slot *mx_prog_slot(struct mx_directory *dir, uint32_t prog)
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

static uint16_t begin(struct mx_directory *dir, const uint8_t content[32],
		      uint64_t model_bytes, uint64_t params_bytes, uint32_t *prog)
{
	struct mx_slot *slot = mx_directory_lookup(dir, content);
	uint16_t status;

	if (slot) {
		slot->refs++;
		*prog = mx_directory_id(dir, slot);
		return MXACCEL_ST_RESIDENT;
	}
	if (model_bytes > MXACCEL_MODEL_MAX_BYTES)
		return MXACCEL_ST_TOO_LARGE;
	slot = free_slot(dir);
	if (!slot)
		return MXACCEL_ST_NO_SLOT;
	status = mx_slot_size(dir, slot, model_bytes, params_bytes);
	if (status != MXACCEL_ST_SUCCESS)
		return status;

	dir->next_tag = (dir->next_tag + 1) & TAG_MASK;
	if (!dir->next_tag)
		dir->next_tag = 1;
	slot->state = MX_SLOT_PROGRAMMING;
	slot->tag = dir->next_tag;
	slot->refs = 0;
	slot->writers = 0;
	memcpy(slot->content, content, sizeof(slot->content));
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
	status = begin(dir, content, model_bytes, params_bytes, prog);
	pthread_mutex_unlock(&dir->lock);
	return status;
}

/* Takes over chunk @i of the map if some model has it. Caller holds lock. */
static bool reuse(struct mx_directory *dir, struct mx_slot *slot, uint32_t i,
		  const uint8_t digest[32])
{
	uint32_t chunk = slot->map[i];

	if (chunk != MX_NO_CHUNK)
		return chunk & MX_MAP_SHARED;
	chunk = mx_chunks_find(&dir->chunks, digest, mx_slot_chunk_bytes(slot, i));
	if (chunk == MX_NO_CHUNK)
		return false;
	mx_chunks_get(&dir->chunks, chunk);
	slot->map[i] = chunk | MX_MAP_SHARED;
	if (slot->reserving) {
		slot->reserved--;
		mx_chunks_unreserve(&dir->chunks, 1);
	}
	return true;
}

uint16_t mx_chip_prog_reuse(struct mx_chip *chip, uint32_t prog, uint64_t first, uint32_t nr,
			    const uint8_t digests[][32], uint8_t *bitmap)
{
	struct mx_directory *dir = chip->directory;
	uint16_t status = MXACCEL_ST_SUCCESS;
	uint32_t reused = 0, params, i;
	struct mx_slot *slot;

	memset(bitmap, 0, (nr + 7ull) / 8);
	pthread_mutex_lock(&dir->lock);
	slot = mx_prog_slot(dir, prog);
	params = slot ? slot->nr_chunks - slot->nr_model : 0;
	if (!slot)
		status = MXACCEL_ST_BAD_PROG;
	else if (first > params || nr > params - first)
		status = MXACCEL_ST_BAD_RANGE;
	for (i = 0; i < nr && status == MXACCEL_ST_SUCCESS; i++)
		if (reuse(dir, slot, slot->nr_model + first + i, digests[i])) {
			bitmap[i / 8] |= 1 << i % 8;
			reused++;
		}
	pthread_mutex_unlock(&dir->lock);
	mx_chip_count(chip, MXACCEL_CTR_REUSED_CHUNKS, reused);
	return status;
}

/* Ends the programming for writers; returns its slot when the last has left, or NULL. */
static struct mx_slot *prog_end(struct mx_directory *dir, uint32_t prog)
{
	struct mx_slot *slot;

	pthread_mutex_lock(&dir->lock);
	slot = mx_prog_slot(dir, prog);
	if (slot) {
		slot->state = MX_SLOT_ENDING;
		while (slot->writers)
			pthread_cond_wait(&dir->idle, &dir->lock);
	}
	pthread_mutex_unlock(&dir->lock);
	return slot;
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

/**
 * struct written - chunks that a programming wrote: all are in [first, last]
 *
 * Made durable in one range, as what lies between them costs nothing if clean.
 */
struct written {
	uint32_t first;
	uint32_t last;
};

/*
 * Forgets which chunks were taken over, once the model's age is known from them. False if some
 * chunk of the map has no content.
 */
static bool seal(struct mx_directory *dir, struct mx_slot *slot, struct written *written)
{
	uint32_t clock, i;

	pthread_mutex_lock(&dir->lock);
	clock = mx_directory_clock(dir);
	pthread_mutex_unlock(&dir->lock);
	slot->programmed = clock;
	slot->epoch = 0;
	*written = (struct written) { .first = MX_NO_CHUNK };
	for (i = 0; i < slot->nr_chunks; i++) {
		uint32_t chunk = slot->map[i];

		if (chunk == MX_NO_CHUNK)
			return false;
		slot->map[i] &= ~MX_MAP_SHARED;
		if (chunk & MX_MAP_SHARED) {
			chunk &= ~MX_MAP_SHARED;
			if (dir->chunks.chunk[chunk].written < slot->programmed)
				slot->programmed = dir->chunks.chunk[chunk].written;
			continue;
		}
		dir->chunks.chunk[chunk].written = clock;
		written->first = chunk < written->first ? chunk : written->first;
		written->last = chunk > written->last ? chunk : written->last;
	}
	return true;
}

/* Caller holds commit_lock. */
static uint16_t publish(struct mx_chip *chip, struct mx_slot *slot, const uint8_t *digests,
			uint32_t *id)
{
	struct mx_directory *dir = chip->directory;

	if (take_twin(dir, slot, id)) {
		mx_slot_release(chip, slot);
		return MXACCEL_ST_SUCCESS;
	}
	if (mx_directory_commit(dir, slot)) {
		mx_slot_release(chip, slot);
		return MXACCEL_ST_STORE_ERROR;
	}
	*id = mx_directory_id(dir, slot);
	pthread_mutex_lock(&dir->lock);
	mx_slot_learn(dir, slot, digests);
	mx_chunks_reindex(&dir->chunks);
	slot->refs = 1;
	slot->state = MX_SLOT_VALID;
	pthread_mutex_unlock(&dir->lock);
	return MXACCEL_ST_SUCCESS;
}

uint16_t mx_chip_prog_commit(struct mx_chip *chip, uint32_t prog, uint32_t *id)
{
	struct mx_directory *dir = chip->directory;
	struct mx_slot *slot = prog_end(dir, prog);
	uint16_t status = MXACCEL_ST_BAD_HASH;
	struct written written;
	uint8_t *digests = NULL;

	if (!slot)
		return MXACCEL_ST_BAD_PROG;
	if (seal(dir, slot, &written))
		status = mx_slot_verify(chip, dir, slot, &digests);
	if (status == MXACCEL_ST_SUCCESS && chip->analog &&
	    !mx_model_steps(&chip->config, &slot->model, NULL))
		status = MXACCEL_ST_NO_STEPS;
	if (status == MXACCEL_ST_SUCCESS && written.first != MX_NO_CHUNK &&
	    mx_nv_persist_chunks(&dir->nv, written.first, written.last))
		status = MXACCEL_ST_STORE_ERROR;
	if (status != MXACCEL_ST_SUCCESS) {
		free(digests);
		mx_slot_release(chip, slot);
		return status;
	}
	pthread_mutex_lock(&dir->commit_lock);
	status = publish(chip, slot, digests, id);
	pthread_mutex_unlock(&dir->commit_lock);
	free(digests);
	return status;
}

uint16_t mx_chip_prog_abort(struct mx_chip *chip, uint32_t prog)
{
	struct mx_slot *slot = prog_end(chip->directory, prog);

	if (!slot)
		return MXACCEL_ST_BAD_PROG;
	mx_slot_release(chip, slot);
	return MXACCEL_ST_SUCCESS;
}
