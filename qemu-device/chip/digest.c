// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chunked SHA-256 (libcrypto) and CRC-32C. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "digest.h"
#include "mxaccel_image.h"

/* Chunks that one call of a parallel loop hashes: enough to hide the cost of the call. */
#define BATCH 8

struct chunk_work {
	const uint8_t *data;
	uint64_t bytes;
	uint8_t *digests;
	atomic_int error;
};

int mx_sha256(const void *data, size_t bytes, uint8_t digest[MX_DIGEST_BYTES])
{
	return EVP_Digest(data, bytes, digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

uint64_t mx_digest_nr_chunks(uint64_t bytes)
{
	return bytes / MXACCEL_CHUNK + (bytes % MXACCEL_CHUNK != 0);
}

static void hash_batch(void *arg, uint64_t batch)
{
	struct chunk_work *work = arg;
	uint64_t last = mx_digest_nr_chunks(work->bytes);
	uint64_t chunk;

	for (chunk = batch * BATCH; chunk < last && chunk < (batch + 1) * BATCH; chunk++) {
		uint64_t offset = chunk * MXACCEL_CHUNK;
		uint64_t bytes = work->bytes - offset;

		if (bytes > MXACCEL_CHUNK)
			bytes = MXACCEL_CHUNK;
		if (mx_sha256(work->data + offset, bytes, work->digests + chunk * MX_DIGEST_BYTES))
			atomic_store(&work->error, -EIO);
	}
}

int mx_digest_chunks(const void *data, uint64_t bytes, mx_parallel_for run, void *runner,
		     uint8_t *digests)
{
	struct chunk_work work = { .data = data, .bytes = bytes, .digests = digests };
	uint64_t batches = (mx_digest_nr_chunks(bytes) + BATCH - 1) / BATCH;
	uint64_t i;

	if (run && batches > 1) {
		run(runner, batches, hash_batch, &work);
	} else {
		for (i = 0; i < batches; i++)
			hash_batch(&work, i);
	}
	return atomic_load(&work.error);
}

int mx_digest_section(const void *data, uint64_t bytes, mx_parallel_for run, void *runner,
		      uint8_t digest[MX_DIGEST_BYTES])
{
	size_t all = mx_digest_nr_chunks(bytes) * MX_DIGEST_BYTES;
	uint8_t *digests = malloc(all ? all : 1);
	int rc;

	if (!digests)
		return -ENOMEM;
	rc = mx_digest_chunks(data, bytes, run, runner, digests);
	if (!rc)
		rc = mx_sha256(digests, all, digest);
	free(digests);
	return rc;
}

int mx_digest_content(const uint8_t model[MX_DIGEST_BYTES], const uint8_t params[MX_DIGEST_BYTES],
		      uint8_t content[MX_DIGEST_BYTES])
{
	uint8_t both[2 * MX_DIGEST_BYTES];

	memcpy(both, model, MX_DIGEST_BYTES);
	memcpy(both + MX_DIGEST_BYTES, params, MX_DIGEST_BYTES);
	return mx_sha256(both, sizeof(both), content);
}

static uint32_t crc_table[256];

static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_fill(void)
{
	uint32_t byte, bit, crc;

	for (byte = 0; byte < 256; byte++) {
		crc = byte;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		crc_table[byte] = crc;
	}
}

uint32_t mx_crc32c(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	pthread_once(&crc_once, crc_fill);
	while (bytes--)
		crc = crc >> 8 ^ crc_table[(crc ^ *p++) & 0xff];
	return ~crc;
}
