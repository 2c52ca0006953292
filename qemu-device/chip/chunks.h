/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The chunks of the non-volatile storage: MXACCEL_CHUNK bytes of cells each,
 * the unit of programming, sharing, wear, faults and replacement.
 *
 * A chunk is free, in use (named by maps of models and programmings, possibly
 * several), or retired: free, but worn out or with more faulty columns than
 * spares. As many chunks as the chip file says are held back from the capacity,
 * so that the first retirements cost none. No locks here: the directory's.
 */
#ifndef MX_CHIP_CHUNKS_H
#define MX_CHIP_CHUNKS_H

#include "faults.h"

#define MX_NO_CHUNK	UINT32_MAX
#define MX_MAX_CHUNKS	(1u << 30)	/* 64 TiB */

/**
 * struct mx_chunk - a chunk
 * @refs:	maps that name it
 * @filled:	bytes written since its wear was last counted
 * @written:	the chip's clock when its content was programmed, or a bound below that
 * @faults:	stuck cells, and the columns they spoil
 * @bytes:	length of its content if models may share it, or 0
 * @digest:	SHA-256 of that
 */
struct mx_chunk {
	uint32_t refs;
	uint32_t filled;
	uint32_t written;
	struct mx_faults faults;
	uint32_t bytes;
	uint8_t digest[32];
};

/**
 * struct mx_chunks - all of them
 * @nr:		chunks, spare ones included
 * @capacity:	of them, that may be in use at once
 * @used:	in use
 * @retired:	retired
 * @reserved:	free ones that programmings may take
 * @chunk:	each
 * @wear:	programmings of each, in the non-volatile area
 * @level:	no free chunk is less worn than this,
 * @next:	nor, if just as worn, has a lower number
 * @index:	hash table over the digests of chunks with @bytes
 * @index_mask:	its size - 1
 */
struct mx_chunks {
	const struct mx_chip_config *config;
	uint64_t seed;
	uint32_t nr;
	uint32_t capacity;
	uint32_t used;
	uint32_t retired;
	uint32_t reserved;
	struct mx_chunk *chunk;
	__le32 *wear;
	uint32_t level;
	uint32_t next;
	uint32_t *index;
	uint32_t index_mask;
};

/**
 * struct mx_pulses - what programming did to the cells
 * @retries:	pulses after verification failed
 * @failed_cells: stuck cells met for the first time
 * @remapped_cols: columns replaced for them
 */
struct mx_pulses {
	uint64_t retries;
	uint64_t failed_cells;
	uint64_t remapped_cols;
};

/* Chunks of the storage; and those that a number of bytes takes. */
uint32_t mx_chunks_total(const struct mx_chip_config *config);
uint64_t mx_chunks_for(uint64_t bytes);

/* All chunks are free; then mx_chunks_get() those in use and mx_chunks_ready(). 0 or -ENOMEM. */
int mx_chunks_init(struct mx_chunks *chunks, const struct mx_chip_config *config, uint64_t seed,
		   __le32 *wear);
void mx_chunks_ready(struct mx_chunks *chunks);
void mx_chunks_free(struct mx_chunks *chunks);

/* Free chunks that nobody has reserved. */
uint32_t mx_chunks_room(const struct mx_chunks *chunks);
/* SUCCESS; NO_SPACE; WORN_OUT: there would be room if no chunk had been retired. */
uint16_t mx_chunks_reserve(struct mx_chunks *chunks, uint32_t nr);
void mx_chunks_unreserve(struct mx_chunks *chunks, uint32_t nr);

/* Takes a reserved chunk: the least worn, of those the first. Counts its wear. */
uint32_t mx_chunks_take(struct mx_chunks *chunks, struct mx_pulses *pulses);
/* One more map, or one less, names a chunk. True: that retired it. */
void mx_chunks_get(struct mx_chunks *chunks, uint32_t chunk);
bool mx_chunks_put(struct mx_chunks *chunks, uint32_t chunk);
/* mx_chunks_get() by a programming that began before the chip was switched on. */
void mx_chunks_claim(struct mx_chunks *chunks, uint32_t chunk, uint32_t filled);

/* May @bytes, at most a chunk, be written to a chunk in use, or would that wear it out? */
bool mx_chunks_endures(const struct mx_chunks *chunks, uint32_t chunk, uint32_t bytes);
/*
 * Counts a write: each time the bytes of a whole chunk have been written to it,
 * its wear grows. Retries add up to the same however writes are cut.
 */
void mx_chunks_pulse(struct mx_chunks *chunks, uint32_t chunk, uint32_t bytes,
		     struct mx_pulses *pulses);

/* May all of a chunk in use be programmed again? Then: counts that, of @bytes from its start. */
bool mx_chunks_renewable(const struct mx_chunks *chunks, uint32_t chunk);
void mx_chunks_renew(struct mx_chunks *chunks, uint32_t chunk, uint32_t bytes,
		     struct mx_pulses *pulses);

/* Lets other models share a chunk; takes effect with mx_chunks_reindex(). */
void mx_chunks_learn(struct mx_chunks *chunks, uint32_t chunk, const uint8_t digest[32],
		     uint32_t bytes);
void mx_chunks_reindex(struct mx_chunks *chunks);
/* A chunk in use with this content, or MX_NO_CHUNK. */
uint32_t mx_chunks_find(const struct mx_chunks *chunks, const uint8_t digest[32], uint32_t bytes);

/*
 * A fault for tests: up to @nr free chunks, those that would be taken next, get more
 * faulty columns than spares. Return: how many, as what is reserved keeps its room.
 */
uint32_t mx_chunks_break(struct mx_chunks *chunks, uint32_t nr);

void mx_chunks_health(const struct mx_chunks *chunks, struct mx_health *health);

#endif /* MX_CHIP_CHUNKS_H */
