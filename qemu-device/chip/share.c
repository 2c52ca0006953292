// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which chunk holds which content: an open-addressed hash table that is built
 * anew when a model comes or goes, as that is rare and then nothing is deleted
 * from it one by one. A digest is as good as a hash.
 */
#include <string.h>

#include "chunks.h"

static uint32_t first_place(const struct mx_chunks *chunks, const uint8_t digest[32])
{
	uint32_t hash;

	memcpy(&hash, digest, sizeof(hash));
	return hash & chunks->index_mask;
}

void mx_chunks_learn(struct mx_chunks *chunks, uint32_t chunk, const uint8_t digest[32],
		     uint32_t bytes)
{
	memcpy(chunks->chunk[chunk].digest, digest, 32);
	chunks->chunk[chunk].bytes = bytes;
}

void mx_chunks_reindex(struct mx_chunks *chunks)
{
	uint32_t i, place;

	memset(chunks->index, 0xff, (chunks->index_mask + 1ull) * sizeof(chunks->index[0]));
	for (i = 0; i < chunks->nr; i++) {
		const struct mx_chunk *chunk = &chunks->chunk[i];

		/* Models programmed without PROG_REUSE may hold the same content twice. */
		if (!chunk->bytes || mx_chunks_find(chunks, chunk->digest, chunk->bytes) !=
				     MX_NO_CHUNK)
			continue;
		place = first_place(chunks, chunk->digest);
		while (chunks->index[place] != MX_NO_CHUNK)
			place = (place + 1) & chunks->index_mask;
		chunks->index[place] = i;
	}
}

uint32_t mx_chunks_find(const struct mx_chunks *chunks, const uint8_t digest[32], uint32_t bytes)
{
	uint32_t place = first_place(chunks, digest), i;

	for (; (i = chunks->index[place]) != MX_NO_CHUNK; place = (place + 1) & chunks->index_mask)
		if (chunks->chunk[i].bytes == bytes && !memcmp(chunks->chunk[i].digest, digest, 32))
			return i;
	return MX_NO_CHUNK;
}
