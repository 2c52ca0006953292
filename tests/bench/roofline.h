/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host can do at most. */
#ifndef MX_BENCH_ROOFLINE_H
#define MX_BENCH_ROOFLINE_H

#include <stddef.h>
#include <stdint.h>

/* Multiply-accumulates that one call of roofline_vnni(@turns) does. */
#define ROOFLINE_MACS_PER_TURN (24 * 64)

/* vpdpbusd with all operands in registers, on the calling thread. */
void roofline_vnni(uint64_t turns);
/* Sum of @words 64-bit words, which is read once from memory. */
uint64_t roofline_read(const uint64_t *data, size_t words);

#endif /* MX_BENCH_ROOFLINE_H */
