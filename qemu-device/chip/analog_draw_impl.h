/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cells in plain C, 16 at a time, compiled once per instruction set: include after
 * defining KERNEL. The lanes never meet, so that every set computes the same bits.
 */
#ifdef __AVX512F__
#include <immintrin.h>
#endif
#include <string.h>

#include "analog_draw.h"
#include "analog_noise.h"
#include "analog_wires_impl.h"
#include "philox.h"

/* 2^32: rates are in its parts, exactly, because a double has 53 bits. */
#define ALL_OF 4294967296.0

#ifdef __AVX512F__

/* High and low halves of the products of 16 numbers by @m */
static inline void multiply_lanes(__m512i c, __m512i m, __m512i *high, __m512i *low)
{
	__m512i even = _mm512_mul_epu32(c, m), odd = _mm512_mul_epu32(_mm512_srli_epi64(c, 32), m);

	*high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
	*low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

/* Compilers take multiplications of 64 bits for these of 32. */
static inline void philox_rounds(uint64_t key, uint32_t c[4][COLS])
{
	const __m512i m0 = _mm512_set1_epi64(0xd2511f53), m1 = _mm512_set1_epi64(0xcd9e8d57);
	__m512i c0 = _mm512_loadu_si512(c[0]), c1 = _mm512_loadu_si512(c[1]);
	__m512i c2 = _mm512_loadu_si512(c[2]), c3 = _mm512_loadu_si512(c[3]);
	__m512i high0, low0, high1, low1;
	uint32_t k0 = key, k1 = key >> 32;
	int round;

	for (round = 0; round < 10; round++) {
		multiply_lanes(c0, m0, &high0, &low0);
		multiply_lanes(c2, m1, &high1, &low1);
		c0 = _mm512_xor_si512(_mm512_xor_si512(high1, c1), _mm512_set1_epi32(k0));
		c1 = low1;
		c2 = _mm512_xor_si512(_mm512_xor_si512(high0, c3), _mm512_set1_epi32(k1));
		c3 = low0;
		k0 += 0x9e3779b9;
		k1 += 0xbb67ae85;
	}
	_mm512_storeu_si512(c[0], c0);
	_mm512_storeu_si512(c[1], c1);
	_mm512_storeu_si512(c[2], c2);
	_mm512_storeu_si512(c[3], c3);
}

#else

static inline void philox_rounds(uint64_t key, uint32_t c[4][COLS])
{
	uint32_t k0 = key, k1 = key >> 32;
	int round, t;

	for (round = 0; round < 10; round++) {
		for (t = 0; t < COLS; t++) {
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

#endif

/* Philox for 16 counters at once: see philox.h */
static inline void philox_lanes(uint64_t key, const struct mx_lanes *lanes, uint32_t high,
				uint32_t use, uint32_t age, uint32_t out[4][COLS])
{
	int t;

	for (t = 0; t < COLS; t++) {
		out[0][t] = (uint32_t)lanes->place[t];
		out[1][t] = (uint32_t)(lanes->place[t] >> 32) | high;
		/* The state of a trap is that of an age: it takes the place of which cell. */
		out[2][t] = use == MX_PHILOX_CELL_RTN ? lanes->which[t] << 8 | use : use;
		out[3][t] = use == MX_PHILOX_CELL_RTN ? age : lanes->which[t];
	}
	philox_rounds(key, out);
}

/* mx_normal() of 16 numbers */
static inline void normal_lanes(const uint32_t bits[COLS], int32_t normal[COLS])
{
	const uint32_t rest_bits = 32 - MX_NORMAL_BITS;
	const int32_t *table = mx_normal_table();
	uint32_t tails = 0;
	int t;

	for (t = 0; t < COLS; t++) {
		uint32_t at = bits[t] >> rest_bits, rest = bits[t] & ((1u << rest_bits) - 1);

		tails += at - MX_NORMAL_TAIL >= MX_NORMAL_INTERVALS - 2 * MX_NORMAL_TAIL;
		normal[t] = table[at] + (int32_t)((uint32_t)(table[at + 1] - table[at]) * rest >>
						  rest_bits);
	}
	for (t = 0; tails && t < COLS; t++)
		normal[t] = mx_normal(bits[t]);
}

/* What differs from cell to cell. */
struct cell_draws {
	uint32_t stuck[COLS];
	int32_t error[COLS], error_prop[COLS];	/* normal, see mx_normal() */
	int32_t drift[COLS];
	uint32_t rtn[COLS], trapped[COLS];
};

/* e^-y of 16 y >= 0: (e^-(y / 2^k))^(2^k), by a series where y / 2^k is small */
static inline void exp_lanes(double y[COLS])
{
	static const double inverse[] = {
		1, 1.0 / 2, 1.0 / 3, 1.0 / 4, 1.0 / 5, 1.0 / 6, 1.0 / 7, 1.0 / 8, 1.0 / 9,
	};
	int32_t halvings[COLS] = { 0 }, most = 0, i, t;
	double sum[COLS];
	uint32_t any;

	do {
		any = 0;
		for (t = 0; t < COLS; t++) {
			int32_t large = y[t] > 1.0 / 16;

			y[t] = large ? y[t] * 0.5 : y[t];
			halvings[t] += large;
			any |= large;
		}
		most += any;
	} while (any);
	for (t = 0; t < COLS; t++)
		sum[t] = 1;
	for (i = 8; i >= 0; i--)
		for (t = 0; t < COLS; t++)
			sum[t] = 1 - y[t] * inverse[i] * sum[t];
	for (i = 0; i < most; i++)
		for (t = 0; t < COLS; t++)
			sum[t] = i < halvings[t] ? sum[t] * sum[t] : sum[t];
	for (t = 0; t < COLS; t++)
		y[t] = sum[t];
}

/* At their age, of cells that are not stuck. */
static inline void age_lanes(const struct mx_draw *draw, const struct cell_draws *draws,
			     double now[COLS])
{
	const struct mx_analog_keys *keys = &draw->a->keys;
	double traps = keys->rtn_share * ALL_OF, left = 1 - keys->rtn_amplitude, y[COLS];
	int t;

	if (draw->log_age > 0) {
		for (t = 0; t < COLS; t++) {
			double nu = keys->drift_nu +
				    keys->drift_nu_sigma * draws->drift[t] / MX_NORMAL_ONE;

			/* Conductances do not grow. */
			y[t] = nu > 0 ? nu * draw->log_age : 0;
		}
		exp_lanes(y);
		for (t = 0; t < COLS; t++)
			now[t] = now[t] * y[t];
	}
	if (keys->rtn_share > 0)
		for (t = 0; t < COLS; t++)
			now[t] = draws->rtn[t] < traps && draws->trapped[t] >> 31 ?
				 now[t] * left : now[t];
}

/* Conductances of cells that shall have levels, in parts of a count; returns who is stuck. */
static inline uint32_t conduct(const struct mx_draw *draw, const struct cell_draws *draws,
			       const int32_t level[COLS], int16_t out[COLS])
{
	const struct mx_analog *a = draw->a;
	const struct mx_analog_keys *keys = &a->keys;
	double at_0 = keys->stuck_at_0 * ALL_OF, at_1 = at_0 + keys->stuck_at_1 * ALL_OF;
	int32_t highest = a->top * a->unit + a->pedestal, most = 2 * highest, g[COLS], t;
	double absolute = keys->program_sigma * (a->top * a->unit), now[COLS];
	uint32_t stuck = 0;

	for (t = 0; t < COLS; t++)
		g[t] = level[t] * a->unit + a->pedestal;
	if (keys->program_sigma > 0 || keys->program_sigma_prop > 0) {
		for (t = 0; t < COLS; t++) {
			double error = absolute * draws->error[t] +
				       keys->program_sigma_prop * g[t] * draws->error_prop[t];
			int32_t sum;

			error = error / MX_NORMAL_ONE;
			/* Beyond what a cell can be, so is the cell; rounds half up. */
			error = error > most ? most : error;
			error = error < -most ? -most : error;
			sum = g[t] + (int32_t)(error + most + 0.5) - most;
			sum = sum < 0 ? 0 : sum;
			g[t] = sum > most ? most : sum;
		}
	}
	if (draw->log_age > 0 || keys->rtn_share > 0) {
		for (t = 0; t < COLS; t++)
			now[t] = g[t];
		age_lanes(draw, draws, now);
		for (t = 0; t < COLS; t++)
			g[t] = (int32_t)(now[t] + 0.5);
	}
	if (at_1 > 0) {
		for (t = 0; t < COLS; t++) {
			g[t] = draws->stuck[t] < at_1 ? highest : g[t];
			g[t] = draws->stuck[t] < at_0 ? a->pedestal : g[t];
			stuck |= (uint32_t)(draws->stuck[t] < at_1) << t;
		}
	}
	for (t = 0; t < COLS; t++)
		out[t] = g[t];
	return stuck;
}

static uint32_t draw_lanes(const struct mx_draw *draw, struct mx_lanes *lanes)
{
	const struct mx_analog *a = draw->a;
	const struct mx_analog_keys *keys = &a->keys;
	/* What each programming draws anew; places have less than 40 bits. */
	uint32_t out[4][COLS], high = draw->epoch << 8, t, stuck;
	struct cell_draws first = { 0 }, second = { 0 };
	int32_t level[COLS], cell[COLS];

	if (keys->stuck_at_0 > 0 || keys->stuck_at_1 > 0) {
		philox_lanes(a->seed, lanes, 0, MX_PHILOX_CELL_STUCK, 0, out);
		memcpy(first.stuck, out[0], sizeof(out[0]));
		memcpy(second.stuck, out[1], sizeof(out[1]));
	}
	if (keys->drift_nu_sigma > 0 || keys->rtn_share > 0) {
		philox_lanes(a->seed, lanes, 0, MX_PHILOX_CELL_DRIFT, 0, out);
		normal_lanes(out[0], first.drift);
		normal_lanes(out[1], second.drift);
		memcpy(first.rtn, out[2], sizeof(out[2]));
		memcpy(second.rtn, out[3], sizeof(out[3]));
	}
	if (keys->program_sigma > 0 || keys->program_sigma_prop > 0) {
		philox_lanes(a->seed, lanes, high, MX_PHILOX_CELL_PROGRAM, 0, out);
		normal_lanes(out[0], first.error);
		normal_lanes(out[1], first.error_prop);
		normal_lanes(out[2], second.error);
		normal_lanes(out[3], second.error_prop);
	}
	if (keys->rtn_share > 0) {
		philox_lanes(a->seed, lanes, high, MX_PHILOX_CELL_RTN, draw->age, out);
		memcpy(first.trapped, out[0], sizeof(out[0]));
		memcpy(second.trapped, out[1], sizeof(out[1]));
	}
	for (t = 0; t < COLS; t++)
		level[t] = mx_analog_level(a, lanes->weight[t], draw->slice);
	for (t = 0; t < COLS; t++)
		cell[t] = level[t] > 0 ? level[t] : 0;
	stuck = conduct(draw, &first, cell, lanes->first);
	memset(lanes->second, 0, sizeof(lanes->second));
	if (keys->mapping == MX_OFFSET)
		return stuck;
	for (t = 0; t < COLS; t++)
		cell[t] = level[t] < 0 ? -level[t] : 0;
	return stuck | conduct(draw, &second, cell, lanes->second) << 16;
}

const struct mx_cell_kernel KERNEL = { draw_lanes, wires };
