/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Philox4x32-10, the counter-based generator behind everything random in the
 * chip: the same key and counter give the same bits, in any order.
 * Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
#ifndef MX_PHILOX_H
#define MX_PHILOX_H

#include <stdint.h>

/* Counters of different uses never meet: their third word tells them apart. */
enum mx_philox_use {
	MX_PHILOX_STUCK,	/* faults.c: chunk, draw */
	MX_PHILOX_RETRY,	/* faults.c: chunk, wear */
	MX_PHILOX_CELL_STUCK,	/* analog_cells.c: place of the weight, slice */
	MX_PHILOX_CELL_PROGRAM,	/* place + epoch * 2^40, slice */
	MX_PHILOX_CELL_DRIFT,	/* place, slice */
	MX_PHILOX_CELL_RTN,	/* place + epoch * 2^40, slice * 256 + this, age */
	MX_PHILOX_READ,		/* mx_noise_key(), four columns * 256 + this, conversion */
};

static inline void mx_philox(uint64_t key, const uint32_t counter[4], uint32_t out[4])
{
	uint32_t k0 = key, k1 = key >> 32;
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	int round;

	for (round = 0; round < 10; round++) {
		uint64_t p0 = (uint64_t)0xd2511f53 * c0;
		uint64_t p1 = (uint64_t)0xcd9e8d57 * c2;

		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)p1;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p0;
		k0 += 0x9e3779b9;
		k1 += 0xbb67ae85;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

#endif /* MX_PHILOX_H */
