/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 of several chunks at once, where the host's vectors make that faster. */
#ifndef MX_DIGEST_LANES_H
#define MX_DIGEST_LANES_H

#include "digest.h"

#define MX_DIGEST_LANES 16

/* As mx_digest_chunks(), with the same result; @run must be given. */
int mx_digest_chunks_lanes(const void *data, uint64_t bytes, mx_parallel_for run, void *runner,
			   uint8_t *digests);

/**
 * mx_digest_lanes_avx512() - SHA-256 of each of MX_DIGEST_LANES messages
 * @data:	the messages, one after another
 * @bytes:	length of each, a multiple of 64
 * @digests:	out: MX_DIGEST_BYTES for each
 *
 * On hosts with MX_ISA_AVX512.
 */
void mx_digest_lanes_avx512(const uint8_t *data, size_t bytes, uint8_t *digests);

#endif /* MX_DIGEST_LANES_H */
