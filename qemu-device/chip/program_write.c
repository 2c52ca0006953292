// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writing cells of a model that is being programmed: chunks are taken and their
 * wear is counted first, under the lock; then cells are written without it.
 */
#include "directory.h"

/**
 * struct piece - part of a write that lies in one chunk
 * @i:		chunk of the map
 * @offset:	in the chunk
 * @bytes:	length
 */
struct piece {
	uint32_t i;
	uint32_t offset;
	uint32_t bytes;
};

/* The piece at the start of [offset, offset + bytes), which lies within the programming. */
static struct piece first_piece(const struct mx_slot *slot, uint64_t offset, uint64_t bytes)
{
	uint64_t section = mx_prog_pages(slot->model_bytes);
	struct piece piece = { .i = 0 };

	if (offset >= section) {
		offset -= section;
		piece.i = slot->nr_model;
	} else if (bytes > section - offset) {
		bytes = section - offset;
	}
	piece.i += offset / MXACCEL_CHUNK;
	piece.offset = offset % MXACCEL_CHUNK;
	piece.bytes = MXACCEL_CHUNK - piece.offset < bytes ? MXACCEL_CHUNK - piece.offset : bytes;
	return piece;
}

/* The first write of a programming reserves room for all that it may write. */
static uint16_t reserve(struct mx_directory *dir, struct mx_slot *slot)
{
	uint32_t missing = 0, i;
	uint16_t status;

	if (slot->reserving)
		return MXACCEL_ST_SUCCESS;
	for (i = 0; i < slot->nr_chunks; i++)
		missing += slot->map[i] == MX_NO_CHUNK;
	status = mx_chunks_reserve(&dir->chunks, missing);
	if (status == MXACCEL_ST_SUCCESS) {
		slot->reserving = true;
		slot->reserved = missing;
	}
	return status;
}

/* Has every piece cells that may be written? Changes nothing but the reservation. */
static uint16_t may_write(struct mx_directory *dir, struct mx_slot *slot, uint64_t offset,
			  uint64_t bytes)
{
	uint16_t status = bytes ? reserve(dir, slot) : MXACCEL_ST_SUCCESS;
	struct piece piece;

	for (; bytes && status == MXACCEL_ST_SUCCESS; offset += piece.bytes, bytes -= piece.bytes) {
		piece = first_piece(slot, offset, bytes);
		if (slot->map[piece.i] == MX_NO_CHUNK)
			continue;
		if (slot->map[piece.i] & MX_MAP_SHARED)
			status = MXACCEL_ST_BAD_RANGE;
		else if (!mx_chunks_endures(&dir->chunks, slot->map[piece.i], piece.bytes))
			status = MXACCEL_ST_WORN_OUT;
	}
	return status;
}

/* Takes the chunks that are missing and counts the wear of the write, before it happens. */
static void wear(struct mx_directory *dir, struct mx_slot *slot, uint64_t offset, uint64_t bytes,
		 struct mx_pulses *pulses)
{
	struct piece piece;

	for (; bytes; offset += piece.bytes, bytes -= piece.bytes) {
		piece = first_piece(slot, offset, bytes);
		if (slot->map[piece.i] == MX_NO_CHUNK) {
			slot->map[piece.i] = mx_chunks_take(&dir->chunks, pulses);
			slot->reserved--;
		}
		mx_chunks_pulse(&dir->chunks, slot->map[piece.i], piece.bytes, pulses);
	}
}

/* Neighbouring pieces in neighbouring chunks are written at once. */
static int write_cells(struct mx_directory *dir, const struct mx_slot *slot, uint64_t offset,
		       const uint8_t *data, uint64_t bytes)
{
	struct piece piece;
	int rc = 0;

	while (bytes && !rc) {
		struct piece next = first_piece(slot, offset, bytes);
		uint64_t run = next.bytes;

		piece = next;
		while (run < bytes && next.offset + next.bytes == MXACCEL_CHUNK) {
			uint32_t chunk = slot->map[next.i];

			next = first_piece(slot, offset + run, bytes - run);
			if (next.offset || slot->map[next.i] != chunk + 1)
				break;
			run += next.bytes;
		}
		rc = mx_nv_write(&dir->nv, slot->map[piece.i], piece.offset, data, run);
		offset += run;
		data += run;
		bytes -= run;
	}
	return rc;
}

void mx_count_pulses(struct mx_chip *chip, uint64_t bytes, const struct mx_pulses *pulses)
{
	pthread_mutex_lock(&chip->count_lock);
	chip->counters.v[MXACCEL_CTR_CELL_WRITES] += bytes * mx_chip_weight_cells(&chip->config);
	chip->counters.v[MXACCEL_CTR_VERIFY_RETRIES] += pulses->retries;
	chip->counters.v[MXACCEL_CTR_FAILED_CELLS] += pulses->failed_cells;
	chip->counters.v[MXACCEL_CTR_REMAPPED_COLS] += pulses->remapped_cols;
	pthread_mutex_unlock(&chip->count_lock);
}

uint16_t mx_chip_prog_write(struct mx_chip *chip, uint32_t prog, uint64_t offset,
			    const void *data, uint64_t bytes)
{
	struct mx_directory *dir = chip->directory;
	uint16_t status = MXACCEL_ST_SUCCESS;
	struct mx_pulses pulses = { 0 };
	struct mx_slot *slot;
	uint64_t span;
	int rc;

	pthread_mutex_lock(&dir->lock);
	slot = mx_prog_slot(dir, prog);
	span = slot ? mx_prog_pages(slot->model_bytes) + mx_prog_pages(slot->params_bytes) : 0;
	if (!slot)
		status = MXACCEL_ST_BAD_PROG;
	else if (offset > span || bytes > span - offset)
		status = MXACCEL_ST_BAD_RANGE;
	else
		status = may_write(dir, slot, offset, bytes);
	if (status == MXACCEL_ST_SUCCESS) {
		wear(dir, slot, offset, bytes, &pulses);
		slot->writers++;
	}
	pthread_mutex_unlock(&dir->lock);
	if (status != MXACCEL_ST_SUCCESS)
		return status;

	rc = write_cells(dir, slot, offset, data, bytes);
	mx_count_pulses(chip, bytes, &pulses);
	mx_chip_count(chip, MXACCEL_CTR_DMA_READ_BYTES, bytes);

	pthread_mutex_lock(&dir->lock);
	if (!--slot->writers)
		pthread_cond_broadcast(&dir->idle);
	pthread_mutex_unlock(&dir->lock);
	return rc ? MXACCEL_ST_STORE_ERROR : MXACCEL_ST_SUCCESS;
}
