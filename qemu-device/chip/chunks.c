// SPDX-License-Identifier: LGPL-2.1-or-later
/* The chunks of the non-volatile storage: room, choice, wear. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chunks.h"

uint64_t mx_chunks_for(uint64_t bytes)
{
	return bytes / MXACCEL_CHUNK + (bytes % MXACCEL_CHUNK != 0);
}

uint32_t mx_chunks_total(const struct mx_chip_config *config)
{
	return mx_chip_capacity(config) / MXACCEL_CHUNK + config->cells_spare_chunks;
}

static bool worn_out(const struct mx_chunks *chunks, uint32_t chunk)
{
	return chunks->wear[chunk] >= chunks->config->cells_endurance;
}

/* Not to be programmed any more? */
static bool unfit(const struct mx_chunks *chunks, uint32_t chunk)
{
	return worn_out(chunks, chunk) ||
	       chunks->chunk[chunk].faults.cols > chunks->config->cells_spare_cols;
}

static bool available(const struct mx_chunks *chunks, uint32_t chunk)
{
	return !chunks->chunk[chunk].refs && !unfit(chunks, chunk);
}

int mx_chunks_init(struct mx_chunks *chunks, const struct mx_chip_config *config, uint64_t seed,
		   __le32 *wear)
{
	uint32_t cols = mx_chunk_cols(config), size = 1, i;
	uint8_t *scratch = malloc(cols);

	*chunks = (struct mx_chunks) {
		.config = config, .seed = seed, .wear = wear, .nr = mx_chunks_total(config),
		.capacity = mx_chip_capacity(config) / MXACCEL_CHUNK,
	};
	while (size < 2 * chunks->nr)
		size *= 2;
	chunks->index_mask = size - 1;
	chunks->index = malloc(size * sizeof(chunks->index[0]));
	chunks->chunk = calloc(chunks->nr, sizeof(chunks->chunk[0]));
	if (!scratch || !chunks->index || !chunks->chunk) {
		free(scratch);
		return -ENOMEM;
	}
	for (i = 0; i < chunks->nr; i++)
		chunks->chunk[i].faults = mx_faults_draw(seed, i, config->cells_stuck_ppb * 1e-9,
							 mx_chunk_cells(config), cols, scratch);
	free(scratch);
	return 0;
}

void mx_chunks_ready(struct mx_chunks *chunks)
{
	uint32_t i;

	chunks->retired = 0;
	for (i = 0; i < chunks->nr; i++)
		chunks->retired += !chunks->chunk[i].refs && unfit(chunks, i);
	mx_chunks_reindex(chunks);
}

void mx_chunks_free(struct mx_chunks *chunks)
{
	free(chunks->chunk);
	free(chunks->index);
}

/* Chunks that could be in use at once. */
static uint32_t usable(const struct mx_chunks *chunks)
{
	uint32_t working = chunks->nr - chunks->retired;

	return working < chunks->capacity ? working : chunks->capacity;
}

uint32_t mx_chunks_room(const struct mx_chunks *chunks)
{
	uint32_t taken = chunks->used + chunks->reserved, most = usable(chunks);

	return taken < most ? most - taken : 0;
}

uint16_t mx_chunks_reserve(struct mx_chunks *chunks, uint32_t nr)
{
	if (nr <= mx_chunks_room(chunks)) {
		chunks->reserved += nr;
		return MXACCEL_ST_SUCCESS;
	}
	if ((uint64_t)nr + chunks->used + chunks->reserved <= chunks->capacity)
		return MXACCEL_ST_WORN_OUT;
	return MXACCEL_ST_NO_SPACE;
}

void mx_chunks_unreserve(struct mx_chunks *chunks, uint32_t nr)
{
	chunks->reserved -= nr;
}

/* The search goes on from here at the wear of the least worn free chunk. */
static void restart(struct mx_chunks *chunks)
{
	uint32_t i;

	chunks->level = UINT32_MAX;
	chunks->next = 0;
	for (i = 0; i < chunks->nr; i++)
		if (available(chunks, i) && chunks->wear[i] < chunks->level)
			chunks->level = chunks->wear[i];
}

static uint32_t choose(struct mx_chunks *chunks)
{
	for (;;) {
		for (; chunks->next < chunks->nr; chunks->next++)
			if (available(chunks, chunks->next) &&
			    chunks->wear[chunks->next] == chunks->level)
				return chunks->next;
		restart(chunks);
	}
}

static void wear(struct mx_chunks *chunks, uint32_t chunk)
{
	if (chunks->wear[chunk] < UINT32_MAX)
		chunks->wear[chunk]++;
	chunks->chunk[chunk].filled = 0;
}

uint32_t mx_chunks_take(struct mx_chunks *chunks, struct mx_pulses *pulses)
{
	uint32_t chunk = choose(chunks);
	const struct mx_faults *faults = &chunks->chunk[chunk].faults;

	if (!chunks->wear[chunk]) {
		pulses->failed_cells += faults->cells;
		pulses->remapped_cols += faults->cols;
	}
	chunks->reserved--;
	wear(chunks, chunk);
	mx_chunks_get(chunks, chunk);
	return chunk;
}

void mx_chunks_get(struct mx_chunks *chunks, uint32_t chunk)
{
	if (!chunks->chunk[chunk].refs++)
		chunks->used++;
}

void mx_chunks_claim(struct mx_chunks *chunks, uint32_t chunk, uint32_t filled)
{
	if (!chunks->chunk[chunk].refs && unfit(chunks, chunk))
		chunks->retired--;
	chunks->chunk[chunk].filled = filled;
	mx_chunks_get(chunks, chunk);
}

bool mx_chunks_put(struct mx_chunks *chunks, uint32_t chunk)
{
	uint32_t level = chunks->wear[chunk];

	if (--chunks->chunk[chunk].refs)
		return false;
	chunks->used--;
	chunks->chunk[chunk].bytes = 0;
	if (unfit(chunks, chunk)) {
		chunks->retired++;
		return true;
	}
	if (level < chunks->level || (level == chunks->level && chunk < chunks->next)) {
		chunks->level = level;
		chunks->next = chunk;
	}
	return false;
}

bool mx_chunks_endures(const struct mx_chunks *chunks, uint32_t chunk, uint32_t bytes)
{
	return bytes <= MXACCEL_CHUNK - chunks->chunk[chunk].filled || !worn_out(chunks, chunk);
}

/* Retries of the part [from, to) of what programs the chunk once. */
static uint64_t retries(const struct mx_chunks *chunks, uint32_t chunk, uint32_t from, uint32_t to)
{
	uint64_t all = mx_retries_draw(chunks->seed, chunk, chunks->wear[chunk],
				       mx_chunk_cells(chunks->config),
				       chunks->config->cells_retry_ppm * 1e-6);

	return all * to / MXACCEL_CHUNK - all * from / MXACCEL_CHUNK;
}

void mx_chunks_pulse(struct mx_chunks *chunks, uint32_t chunk, uint32_t bytes,
		     struct mx_pulses *pulses)
{
	uint32_t *filled = &chunks->chunk[chunk].filled;
	uint32_t now = bytes < MXACCEL_CHUNK - *filled ? bytes : MXACCEL_CHUNK - *filled;

	pulses->retries += retries(chunks, chunk, *filled, *filled + now);
	*filled += now;
	if (bytes == now)
		return;
	wear(chunks, chunk);
	*filled = bytes - now;
	pulses->retries += retries(chunks, chunk, 0, *filled);
}

uint32_t mx_chunks_break(struct mx_chunks *chunks, uint32_t nr)
{
	uint32_t broken;

	for (broken = 0; broken < nr && mx_chunks_room(chunks); broken++) {
		struct mx_faults *faults = &chunks->chunk[choose(chunks)].faults;

		faults->cols = chunks->config->cells_spare_cols + 1;
		if (faults->cells < faults->cols)
			faults->cells = faults->cols;
		chunks->retired++;
	}
	return broken;
}

bool mx_chunks_renewable(const struct mx_chunks *chunks, uint32_t chunk)
{
	return !worn_out(chunks, chunk);
}

void mx_chunks_renew(struct mx_chunks *chunks, uint32_t chunk, uint32_t bytes,
		     struct mx_pulses *pulses)
{
	wear(chunks, chunk);
	chunks->chunk[chunk].filled = bytes;
	pulses->retries += retries(chunks, chunk, 0, bytes);
}

void mx_chunks_health(const struct mx_chunks *chunks, struct mx_health *health)
{
	uint64_t endurance = chunks->config->cells_endurance, left = 0;
	uint32_t i;

	*health = (struct mx_health) {
		.chunks = chunks->nr, .retired = chunks->retired, .endurance = endurance,
		.wear_min = chunks->retired < chunks->nr ? UINT64_MAX : 0,
	};
	if (chunks->retired < chunks->nr - chunks->capacity)
		health->spares_left = chunks->nr - chunks->capacity - chunks->retired;
	for (i = 0; i < chunks->nr; i++) {
		uint64_t worn = chunks->wear[i];

		health->wear_total += worn;
		if (worn > health->wear_max)
			health->wear_max = worn;
		if (worn) {
			health->stuck_cells += chunks->chunk[i].faults.cells;
			health->remapped_cols += chunks->chunk[i].faults.cols;
		}
		if (!chunks->chunk[i].refs && unfit(chunks, i))
			continue;
		if (worn < health->wear_min)
			health->wear_min = worn;
		if (worn < endurance)
			left += (endurance - worn) * 1000000 / endurance;
	}
	health->life_ppm = left / chunks->nr;
}
