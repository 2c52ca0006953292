// SPDX-License-Identifier: LGPL-2.1-or-later
/* A model's slot: its map of chunks, and the check of what they hold. */
#include <stdlib.h>
#include <string.h>

#include "digest_lanes.h"
#include "directory.h"
#include "pool.h"

uint16_t mx_slot_size(struct mx_directory *dir, struct mx_slot *slot, uint64_t model_bytes,
		      uint64_t params_bytes)
{
	uint64_t nr = mx_chunks_for(model_bytes) + mx_chunks_for(params_bytes);

	if (nr > dir->chunks.capacity)
		return MXACCEL_ST_TOO_LARGE;
	slot->map = malloc(nr * sizeof(slot->map[0]));
	if (!slot->map)
		return MXACCEL_ST_NO_MEMORY;
	memset(slot->map, 0xff, nr * sizeof(slot->map[0]));
	slot->model_bytes = model_bytes;
	slot->params_bytes = params_bytes;
	slot->nr_model = mx_chunks_for(model_bytes);
	slot->nr_chunks = nr;
	slot->reserving = false;
	slot->reserved = 0;
	return MXACCEL_ST_SUCCESS;
}

void mx_slot_release(struct mx_chip *chip, struct mx_slot *slot)
{
	struct mx_directory *dir = chip->directory;
	uint32_t retired = 0, i;

	mx_nv_unview(slot->view, slot->nr_chunks);
	slot->view = NULL;
	pthread_mutex_lock(&dir->lock);
	mx_chunks_unreserve(&dir->chunks, slot->reserved);
	slot->reserved = 0;
	for (i = 0; i < slot->nr_chunks; i++)
		if (slot->map[i] != MX_NO_CHUNK)
			retired += mx_chunks_put(&dir->chunks, slot->map[i] & ~MX_MAP_SHARED);
	mx_chunks_reindex(&dir->chunks);
	mx_model_release(&slot->model);
	free(slot->map);
	slot->map = NULL;
	slot->state = MX_SLOT_FREE;
	pthread_mutex_unlock(&dir->lock);
	mx_chip_count(chip, MXACCEL_CTR_RETIRED_CHUNKS, retired);
}

uint32_t mx_slot_chunk_bytes(const struct mx_slot *slot, uint32_t i)
{
	uint64_t left = slot->model_bytes;

	if (i >= slot->nr_model) {
		i -= slot->nr_model;
		left = slot->params_bytes;
	}
	left -= (uint64_t)i * MXACCEL_CHUNK;
	return left < MXACCEL_CHUNK ? left : MXACCEL_CHUNK;
}

/* Return: SUCCESS, NO_MEMORY, BAD_HASH. */
static uint16_t check_content(struct mx_chip *chip, const struct mx_slot *slot,
			      const uint8_t *params, uint8_t *digests)
{
	uint64_t nr_params = slot->nr_chunks - slot->nr_model;
	uint8_t model_digest[32], params_digest[32], content[32];
	int rc;

	rc = mx_digest_section(slot->view, slot->model_bytes, mx_pool_for, chip->pool,
			       model_digest);
	if (!rc)
		rc = mx_digest_chunks_lanes(params, slot->params_bytes, mx_pool_for, chip->pool,
					    digests);
	if (!rc)
		rc = mx_sha256(digests, nr_params * 32, params_digest);
	if (!rc)
		rc = mx_digest_content(model_digest, params_digest, content);
	if (rc)
		return MXACCEL_ST_NO_MEMORY;
	return memcmp(content, slot->content, sizeof(content)) ? MXACCEL_ST_BAD_HASH :
								 MXACCEL_ST_SUCCESS;
}

uint16_t mx_slot_verify(struct mx_chip *chip, struct mx_directory *dir, struct mx_slot *slot,
			uint8_t **digests)
{
	uint64_t nr_params = slot->nr_chunks - slot->nr_model;
	const uint8_t *params;
	uint16_t status;
	char err[160];

	memset(&slot->model, 0, sizeof(slot->model));
	*digests = malloc(nr_params * 32 + 1);
	slot->view = mx_nv_view(&dir->nv, slot->map, slot->nr_chunks);
	status = *digests && slot->view ? MXACCEL_ST_SUCCESS : MXACCEL_ST_NO_MEMORY;
	if (status == MXACCEL_ST_SUCCESS) {
		params = slot->view + (uint64_t)slot->nr_model * MXACCEL_CHUNK;
		status = check_content(chip, slot, params, *digests);
	}
	if (status == MXACCEL_ST_SUCCESS)
		status = mx_model_check(&chip->config, slot->view, slot->model_bytes, params,
					slot->params_bytes, &slot->model, err, sizeof(err));
	slot->model.id = mx_directory_id(dir, slot);
	if (status != MXACCEL_ST_SUCCESS) {
		free(*digests);
		*digests = NULL;
	}
	return status;
}

void mx_slot_learn(struct mx_directory *dir, const struct mx_slot *slot, const uint8_t *digests)
{
	uint32_t i;

	for (i = slot->nr_model; i < slot->nr_chunks; i++)
		mx_chunks_learn(&dir->chunks, slot->map[i],
				digests + (i - slot->nr_model) * 32ull,
				mx_slot_chunk_bytes(slot, i));
}
