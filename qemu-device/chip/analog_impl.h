/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tiles in plain C, compiled once per instruction set: include after defining KERNEL. */
#include <string.h>

#include "analog_kernel.h"

static void tile8(const int8_t *level, const uint8_t *digit, size_t quads,
		  int32_t sums[COLS][TILE])
{
	size_t q;
	int c, t;

	memset(sums, 0, COLS * sizeof(*sums));
	for (q = 0; q < quads; q++, level += 4 * COLS, digit += 4 * TILE) {
		int16_t d[4][TILE];

		for (t = 0; t < TILE; t++) {
			d[0][t] = digit[4 * t];
			d[1][t] = digit[4 * t + 1];
			d[2][t] = digit[4 * t + 2];
			d[3][t] = digit[4 * t + 3];
		}
		for (c = 0; c < COLS; c++) {
			const int8_t *l = level + 4 * c;

			for (t = 0; t < TILE; t++)
				sums[c][t] += (l[0] * d[0][t] + l[1] * d[1][t]) +
					      (l[2] * d[2][t] + l[3] * d[3][t]);
		}
	}
}

static void tile16(const int16_t *level, const int16_t *digit, size_t pairs,
		   int32_t sums[COLS][TILE])
{
	size_t p;
	int c, t;

	memset(sums, 0, COLS * sizeof(*sums));
	for (p = 0; p < pairs; p++, level += 2 * COLS, digit += 2 * TILE)
		for (c = 0; c < COLS; c++)
			for (t = 0; t < TILE; t++)
				sums[c][t] += level[2 * c] * digit[2 * t] +
					      level[2 * c + 1] * digit[2 * t + 1];
}

const struct mx_analog_kernel KERNEL = { tile8, tile16, NULL };
