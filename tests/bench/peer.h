/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Product by oneDNN, the peer of the chip's exact product. */
#ifndef MX_BENCH_PEER_H
#define MX_BENCH_PEER_H

#include <stdint.h>

struct peer;

/* One of oneDNN's two ways to the same product, and whether activations are signed. */
enum peer_kind { PEER_MATMUL_U8, PEER_INNER_U8, PEER_MATMUL_S8, PEER_KINDS };

extern const char * const peer_names[PEER_KINDS];

/**
 * peer_new - a product of @rows by @k activations with int8 weights [@k][@n]
 *
 * The result is float: the sums times a factor for each channel, plus a bias.
 * Weights are brought into oneDNN's own layout here. NULL, with a sentence on
 * stderr, if oneDNN refuses.
 */
struct peer *peer_new(enum peer_kind kind, int64_t rows, int64_t n, int64_t k, const void *act,
		      const int8_t *weights, const float *factor, const float *bias);
/* Multiplies once; the result is [@rows][@n]. */
const float *peer_run(struct peer *peer);
void peer_free(struct peer *peer);

#endif /* MX_BENCH_PEER_H */
