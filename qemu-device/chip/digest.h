/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Digests of images: what mxaccel_section.digest and mxaccel_image.content
 * are, and the CRC of headers. Used by the chip, the runtime and the mapper.
 */
#ifndef MX_DIGEST_H
#define MX_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MX_DIGEST_BYTES 32

/**
 * mx_parallel_for - calls fn(arg, i) once for each i in 0 .. n - 1
 *
 * In any order, possibly several at once; returns when all have returned.
 * @runner is whatever the implementation needs (a thread pool).
 */
typedef void (*mx_parallel_for)(void *runner, uint64_t n,
				void (*fn)(void *arg, uint64_t i), void *arg);

/* Chunks of MXACCEL_CHUNK bytes in @bytes, the last of them possibly shorter; 0 for 0. */
uint64_t mx_digest_nr_chunks(uint64_t bytes);

/**
 * mx_digest_chunks() - SHA-256 of every chunk of a section
 * @data:	section
 * @bytes:	its length
 * @run:	spreads the work, or NULL to do it here
 * @runner:	for @run
 * @digests:	out: MX_DIGEST_BYTES for each of mx_digest_nr_chunks(@bytes) chunks,
 *		which is the content of a MXACCEL_SEC_CHUNKS section
 *
 * Return: 0, or -EIO if the crypto library failed.
 */
int mx_digest_chunks(const void *data, uint64_t bytes, mx_parallel_for run, void *runner,
		     uint8_t *digests);

/**
 * mx_digest_section() - digest of a section as in struct mxaccel_section
 *
 * Parameters as for mx_digest_chunks(). Return: 0, -ENOMEM or -EIO.
 */
int mx_digest_section(const void *data, uint64_t bytes, mx_parallel_for run, void *runner,
		      uint8_t digest[MX_DIGEST_BYTES]);

/* Plain SHA-256. Return: 0 or -EIO. */
int mx_sha256(const void *data, size_t bytes, uint8_t digest[MX_DIGEST_BYTES]);

/* Content id of a model from the digests of its two sections. Return: 0 or -EIO. */
int mx_digest_content(const uint8_t model[MX_DIGEST_BYTES], const uint8_t params[MX_DIGEST_BYTES],
		      uint8_t content[MX_DIGEST_BYTES]);

/* CRC-32C (Castagnoli) of a range. "123456789" gives 0xe3069283. */
uint32_t mx_crc32c(const void *data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* MX_DIGEST_H */
