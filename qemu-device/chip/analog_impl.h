/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tiles and conversions in plain C, compiled once per instruction set: include after
 * defining KERNEL, and OWN_TILES if tile8() and tile16() are there already.
 */
#include <string.h>

#include "analog_noise.h"
#include "analog_prepare.h"
#include "philox.h"

#ifndef OWN_TILES

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

static void levels(const struct mx_analog *analog, const int8_t *w, size_t bytes,
		   uint32_t slice, int8_t *level)
{
	mx_analog_levels(analog, w, bytes, slice, level);
}

static void row8(const int8_t *level, const uint8_t *digit, size_t quads, int32_t sums[COLS])
{
	size_t q;
	int c;

	memset(sums, 0, COLS * sizeof(*sums));
	for (q = 0; q < quads; q++, level += 4 * COLS, digit += 4 * TILE)
		for (c = 0; c < COLS; c++)
			sums[c] += (level[4 * c] * digit[0] + level[4 * c + 1] * digit[1]) +
				   (level[4 * c + 2] * digit[2] + level[4 * c + 3] * digit[3]);
}

/* Shifts of negative numbers round down with every compiler that builds this. */
static int32_t to_code(const struct mx_group_codes *group, uint32_t step, int32_t sum,
		       uint32_t *clamped)
{
	int32_t divisor = 1 << group->shift, up = sum + divisor / 2, code = up >> group->shift;
	int32_t in;

	if (group->half_even && divisor > 1 && !(up & (divisor - 1)))
		code &= ~1;
	in = code > group->high[step] ? group->high[step] : code;
	in = in < group->low[step] ? group->low[step] : in;
	*clamped += in != code;
	return in;
}

static uint64_t tile_codes(const struct mx_group_codes *group, int32_t acc[COLS][PIECE])
{
	int32_t sums[COLS][TILE] MX_SCRATCH;
	uint32_t clamped = 0, step;
	int c, t;

	for (step = 0; step < group->steps; step++) {
		tile8(group->level, group->digit + step * group->step_bytes, group->quads, sums);
		for (c = 0; c < COLS; c++)
			for (t = 0; t < TILE && group->columns >> c & 1; t++)
				acc[c][t] += group->weight[step] *
					     to_code(group, step, sums[c][t], &clamped);
	}
	return clamped;
}

/* Rounded half up: what is truncated is positive. */
static int32_t scaled(int32_t normal, double spread)
{
	return (int32_t)(normal * spread + (0x1p30 + 0.5)) - (1 << 30);
}

static void token_noise(const struct mx_token_noise *noise, uint32_t step, int32_t sums[COLS])
{
	uint32_t quad, word, bits[4];

	for (quad = 0; quad < COLS / 4; quad++) {
		const uint32_t counter[4] = {
			noise->key, noise->key >> 32,
			(noise->panel * (COLS / 4) + quad) << 8 | MX_PHILOX_READ,
			noise->conversion + step,
		};

		mx_philox(noise->seed, counter, bits);
		for (word = 0; word < 4; word++)
			sums[quad * 4 + word] += scaled(mx_normal(bits[word]), noise->spread[step]);
	}
}

static uint64_t token_codes(const struct mx_group_codes *group, size_t tokens,
			    int32_t acc[TILE][COLS])
{
	uint32_t clamped = 0, step;
	int32_t sums[COLS];
	size_t t;
	int c;

	for (t = 0; t < tokens; t++)
		for (step = 0; step < group->steps; step++) {
			row8(group->level, group->digit + step * group->step_bytes + 4 * t,
			     group->quads, sums);
			if (group->noise)
				token_noise(&group->noise[t], step, sums);
			for (c = 0; c < COLS; c++)
				if (group->columns >> c & 1)
					acc[t][c] += group->weight[step] *
						     to_code(group, step, sums[c], &clamped);
		}
	return clamped;
}

#endif

#ifndef OWN_TILES

/* Philox for 16 counters at once: see philox.h */
static void philox16(uint64_t key, uint32_t c[4][TILE])
{
	uint32_t k0 = key, k1 = key >> 32;
	int round, t;

	for (round = 0; round < 10; round++) {
		for (t = 0; t < TILE; t++) {
			uint64_t p0 = (uint64_t)0xd2511f53 * c[0][t];
			uint64_t p1 = (uint64_t)0xcd9e8d57 * c[2][t];
			uint32_t c1 = c[1][t], c3 = c[3][t];

			c[0][t] = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
			c[1][t] = (uint32_t)p1;
			c[2][t] = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
			c[3][t] = (uint32_t)p0;
		}
		k0 += 0x9e3779b9;
		k1 += 0xbb67ae85;
	}
}

/* mx_normal() of 16 numbers */
static void normal16(const int32_t *table, const uint32_t bits[TILE], int32_t normal[TILE])
{
	const uint32_t rest_bits = 32 - MX_NORMAL_BITS;
	uint32_t tails = 0;
	int t;

	for (t = 0; t < TILE; t++) {
		uint32_t at = bits[t] >> rest_bits, rest = bits[t] & ((1u << rest_bits) - 1);

		tails += at - MX_NORMAL_TAIL >= MX_NORMAL_INTERVALS - 2 * MX_NORMAL_TAIL;
		normal[t] = table[at] + (int32_t)((uint32_t)(table[at + 1] - table[at]) * rest >>
						  rest_bits);
	}
	for (t = 0; tails && t < TILE; t++)
		normal[t] = mx_normal(bits[t]);
}

static void noise(const struct mx_read_noise *noise, int32_t sums[COLS][TILE])
{
	uint32_t c[4][TILE], quad, word;
	int32_t normal[TILE];
	int t;

	for (quad = 0; quad < COLS / 4; quad++) {
		for (t = 0; t < TILE; t++) {
			c[0][t] = (uint32_t)noise->key[t];
			c[1][t] = (uint32_t)(noise->key[t] >> 32);
			c[2][t] = (noise->panel * (COLS / 4) + quad) << 8 | MX_PHILOX_READ;
			c[3][t] = noise->conversion;
		}
		philox16(noise->seed, c);
		for (word = 0; word < 4; word++) {
			int32_t *sum = sums[quad * 4 + word];

			normal16(noise->table, c[word], normal);
			for (t = 0; t < TILE; t++)
				sum[t] += scaled(normal[t], noise->spread[t]);
		}
	}
}

#endif

/* floor(sum / divisor + 1/2), and ties to the even code if that is the rule */
static int32_t round_to_code(const struct mx_converter *converter, int32_t sum)
{
	int64_t twice = 2 * (int64_t)sum + converter->divisor, whole = 2 * (int64_t)converter->divisor;
	int64_t code = twice / whole;

	if (twice % whole < 0)
		code--;
	if (converter->half_even && twice == code * whole && code % 2)
		code--;
	return code;
}

static uint32_t convert(const struct mx_converter *converter, const int32_t sum[TILE],
			int32_t code[TILE], int64_t acc[TILE])
{
	int32_t low = converter->low, high = converter->high, divisor = converter->divisor;
	int32_t even = converter->half_even, rounded[TILE], shift = 0, t;
	int64_t weight = converter->weight;
	uint32_t clamped = 0;

	if (divisor & (divisor - 1)) {
		for (t = 0; t < TILE; t++)
			rounded[t] = round_to_code(converter, sum[t]);
	} else if (divisor > 1) {
		while (divisor >> (shift + 1))
			shift++;
		/* Shifts of negative numbers round down with every compiler that builds this. */
		for (t = 0; t < TILE; t++) {
			int32_t up = sum[t] + divisor / 2, down = up >> shift;

			rounded[t] = down - ((up & (divisor - 1)) == 0 && down & even);
		}
	} else {
		memcpy(rounded, sum, sizeof(rounded));
	}
	for (t = 0; t < TILE; t++) {
		int32_t in = rounded[t] > high ? high : rounded[t];

		in = in < low ? low : in;
		clamped += in != rounded[t];
		code[t] = in;
		acc[t] += weight * in;
	}
	return clamped;
}

#ifndef OWN_TILES
const struct mx_analog_kernel KERNEL = {
	tile8, tile16, convert, levels, row8, tile_codes, token_codes, noise, NULL, NULL
};
#endif
