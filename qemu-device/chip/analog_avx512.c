// SPDX-License-Identifier: LGPL-2.1-or-later
/* Analog products for AVX-512: tiles with VNNI. Conversions from tables are beside. */
#include <immintrin.h>

#define OWN_TILES
#include "analog_impl.h"

/*
 * acc += dot products of four bytes of @digit and the four at @level. Not the intrinsic:
 * with sixteen of them GCC 12 moves its accumulators around and spills half.
 */
static inline __always_inline void add_four(__m512i *acc, __m512i digit, const int8_t *level)
{
	asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(*acc) : "v"(digit), "m"(*(const int8_t (*)[4])level));
}

static void tile8(const int8_t *level, const uint8_t *digit, size_t quads,
		  int32_t sums[COLS][TILE])
{
	__m512i acc[COLS];
	size_t q;
	int c;

#pragma GCC unroll 16
	for (c = 0; c < COLS; c++)
		acc[c] = _mm512_setzero_si512();
	for (q = 0; q < quads; q++, level += 4 * COLS, digit += 4 * TILE) {
		__m512i d = _mm512_loadu_si512(digit);

#pragma GCC unroll 16
		for (c = 0; c < COLS; c++)
			add_four(&acc[c], d, level + 4 * c);
	}
#pragma GCC unroll 16
	for (c = 0; c < COLS; c++)
		_mm512_storeu_si512(sums[c], acc[c]);
}

static void tile16(const int16_t *level, const int16_t *digit, size_t pairs,
		   int32_t sums[COLS][TILE])
{
	__m512i acc[COLS];
	size_t p;
	int c;

#pragma GCC unroll 16
	for (c = 0; c < COLS; c++)
		acc[c] = _mm512_setzero_si512();
	for (p = 0; p < pairs; p++, level += 2 * COLS, digit += 2 * TILE) {
		__m512i d = _mm512_loadu_si512(digit);

#pragma GCC unroll 16
		for (c = 0; c < COLS; c++) {
			int two;

			memcpy(&two, level + 2 * c, sizeof(two));
			acc[c] = _mm512_dpwssd_epi32(acc[c], d, _mm512_set1_epi32(two));
		}
	}
#pragma GCC unroll 16
	for (c = 0; c < COLS; c++)
		_mm512_storeu_si512(sums[c], acc[c]);
}

static void row8(const int8_t *level, const uint8_t *digit, size_t quads, int32_t sums[COLS])
{
	__m512i acc[2] = { _mm512_setzero_si512(), _mm512_setzero_si512() };
	size_t q;
	int four;

	for (q = 0; q < quads; q++) {
		memcpy(&four, digit + 4 * TILE * q, sizeof(four));
		acc[q % 2] = _mm512_dpbusd_epi32(acc[q % 2], _mm512_set1_epi32(four),
						 _mm512_loadu_si512(level + 4 * COLS * q));
	}
	_mm512_storeu_si512(sums, _mm512_add_epi32(acc[0], acc[1]));
}

static void levels(const struct mx_analog *analog, const int8_t *w, size_t bytes,
		   uint32_t slice, int8_t *level)
{
	const __m128i shift = _mm_cvtsi32_si128(slice * analog->cell_bits);
	/* Bytes are shifted as pairs: what comes from the neighbour is cut off. */
	const __m512i top = _mm512_set1_epi8(analog->top & 0xff >> slice * analog->cell_bits);
	const __m512i sign = _mm512_set1_epi8(-128);
	const __m512i most = _mm512_set1_epi8(mx_analog_weight_fits(analog, -128) ? 128 : 127);
	bool offset = analog->keys.mapping == MX_OFFSET;
	size_t i;

	for (i = 0; i < bytes; i += 64) {
		__m512i v = _mm512_loadu_si512(w + i), digit;

		digit = offset ? _mm512_xor_si512(v, sign) :
				 _mm512_min_epu8(_mm512_abs_epi8(v), most);
		digit = _mm512_and_si512(_mm512_srl_epi16(digit, shift), top);
		if (!offset)
			digit = _mm512_mask_sub_epi8(digit, _mm512_movepi8_mask(v),
						     _mm512_setzero_si512(), digit);
		_mm512_storeu_si512(level + i, digit);
	}
}

/* Codes of a vector of sums; @clamped: lanes whose code was clamped */
static inline __always_inline __m512i to_codes(const struct mx_group_codes *group, uint32_t step,
					       __m512i sum, __mmask16 *clamped)
{
	const __m512i rest = _mm512_set1_epi32((1 << group->shift) - 1);
	__m512i up = _mm512_add_epi32(sum, _mm512_set1_epi32((1 << group->shift) / 2));
	__m512i code = _mm512_sra_epi32(up, _mm_cvtsi32_si128(group->shift)), in;

	if (group->half_even && group->shift)
		code = _mm512_mask_and_epi32(code, _mm512_testn_epi32_mask(up, rest), code,
					     _mm512_set1_epi32(~1));
	in = _mm512_max_epi32(_mm512_min_epi32(code, _mm512_set1_epi32(group->high[step])),
			      _mm512_set1_epi32(group->low[step]));
	*clamped = _mm512_cmpneq_epi32_mask(code, in);
	return in;
}

static uint64_t tile_codes(const struct mx_group_codes *group, int32_t acc[COLS][PIECE])
{
	__m512i clamped = _mm512_setzero_si512(), sum[COLS];
	const __m512i one = _mm512_set1_epi32(1);
	uint32_t step;
	size_t q;
	int c;

	for (step = 0; step < group->steps; step++) {
		const __m512i weight = _mm512_set1_epi32(group->weight[step] & 0xffff);
		const uint8_t *digit = group->digit + step * group->step_bytes;
		const int8_t *level = group->level;

#pragma GCC unroll 16
		for (c = 0; c < COLS; c++)
			sum[c] = _mm512_setzero_si512();
		for (q = 0; q < group->quads; q++, level += 4 * COLS, digit += 4 * TILE) {
			__m512i d = _mm512_loadu_si512(digit);

#pragma GCC unroll 16
			for (c = 0; c < COLS; c++)
				add_four(&sum[c], d, level + 4 * c);
		}
#pragma GCC unroll 16
		for (c = 0; c < COLS; c++) {
			__mmask16 over;
			__m512i code = to_codes(group, step, sum[c], &over);

			if (!(group->columns >> c & 1))
				continue;
			clamped = _mm512_mask_add_epi32(clamped, over, clamped, one);
			/* Low halves of codes by weights; the high half of a weight is 0. */
			_mm512_storeu_si512(acc[c], _mm512_dpwssd_epi32(
				_mm512_loadu_si512(acc[c]), code, weight));
		}
	}
	return _mm512_reduce_add_epi32(clamped);
}

/* High and low halves of the products of 16 numbers by @m */
static inline __always_inline void multiply_wide(__m512i c, __m512i m, __m512i *high, __m512i *low)
{
	__m512i even = _mm512_mul_epu32(c, m), odd = _mm512_mul_epu32(_mm512_srli_epi64(c, 32), m);

	*high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
	*low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

/* Philox for 16 counters at once: see philox.h */
static inline __always_inline void philox16(uint64_t key, __m512i c[4])
{
	const __m512i m0 = _mm512_set1_epi64(0xd2511f53), m1 = _mm512_set1_epi64(0xcd9e8d57);
	uint32_t k0 = key, k1 = key >> 32;
	__m512i high0, low0, high1, low1;
	int round;

	for (round = 0; round < 10; round++) {
		multiply_wide(c[0], m0, &high0, &low0);
		multiply_wide(c[2], m1, &high1, &low1);
		c[0] = _mm512_xor_si512(_mm512_xor_si512(high1, c[1]), _mm512_set1_epi32(k0));
		c[1] = low1;
		c[2] = _mm512_xor_si512(_mm512_xor_si512(high0, c[3]), _mm512_set1_epi32(k1));
		c[3] = low0;
		k0 += 0x9e3779b9;
		k1 += 0xbb67ae85;
	}
}

/* mx_normal() of 16 numbers */
static inline __always_inline __m512i normal16(const int32_t *table, __m512i bits)
{
	const uint32_t rest_bits = 32 - MX_NORMAL_BITS;
	__m512i at = _mm512_srli_epi32(bits, rest_bits);
	__m512i rest = _mm512_and_si512(bits, _mm512_set1_epi32((1 << rest_bits) - 1));
	__m512i from = _mm512_i32gather_epi32(at, table, 4);
	__m512i step = _mm512_sub_epi32(_mm512_i32gather_epi32(at, table + 1, 4), from);
	__m512i normal = _mm512_add_epi32(from, _mm512_srli_epi32(_mm512_mullo_epi32(step, rest),
								  rest_bits));
	__mmask16 tails = _mm512_cmpge_epu32_mask(
		_mm512_sub_epi32(at, _mm512_set1_epi32(MX_NORMAL_TAIL)),
		_mm512_set1_epi32(MX_NORMAL_INTERVALS - 2 * MX_NORMAL_TAIL));
	uint32_t all_bits[TILE];
	int32_t all[TILE];
	int t;

	if (!tails)
		return normal;
	_mm512_storeu_si512(all_bits, bits);
	_mm512_storeu_si512(all, normal);
	for (t = 0; t < TILE; t++)
		if (tails >> t & 1)
			all[t] = mx_normal(all_bits[t]);
	return _mm512_loadu_si512(all);
}

/* Rounded half up: what is truncated is positive. */
static inline __always_inline __m256i scaled(__m256i normal, __m512d spread)
{
	__m512d value = _mm512_mul_pd(_mm512_cvtepi32_pd(normal), spread);

	return _mm256_sub_epi32(_mm512_cvttpd_epi32(_mm512_add_pd(value,
				_mm512_set1_pd(0x1p30 + 0.5))), _mm256_set1_epi32(1 << 30));
}

static void noise(const struct mx_read_noise *noise, int32_t sums[COLS][TILE])
{
	const __m512d first = _mm512_loadu_pd(noise->spread), second = _mm512_loadu_pd(noise->spread + 8);
	const __m512i keys = _mm512_loadu_si512(noise->key), more = _mm512_loadu_si512(noise->key + 8);
	uint32_t quad, word;
	__m512i c[4];

	for (quad = 0; quad < COLS / 4; quad++) {
		c[0] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(keys)),
					  _mm512_cvtepi64_epi32(more), 1);
		c[1] = _mm512_inserti64x4(_mm512_castsi256_si512(
				_mm512_cvtepi64_epi32(_mm512_srli_epi64(keys, 32))),
				_mm512_cvtepi64_epi32(_mm512_srli_epi64(more, 32)), 1);
		c[2] = _mm512_set1_epi32((noise->panel * (COLS / 4) + quad) << 8 | MX_PHILOX_READ);
		c[3] = _mm512_set1_epi32(noise->conversion);
		philox16(noise->seed, c);
		for (word = 0; word < 4; word++) {
			__m512i normal = normal16(noise->table, c[word]);
			int32_t *sum = sums[quad * 4 + word];
			__m512i add = _mm512_inserti64x4(_mm512_castsi256_si512(
				scaled(_mm512_castsi512_si256(normal), first)),
				scaled(_mm512_extracti64x4_epi64(normal, 1), second), 1);

			_mm512_storeu_si512(sum, _mm512_add_epi32(_mm512_loadu_si512(sum), add));
		}
	}
}

/* Noise of 16 columns and four steps, in lanes 4 * step + four columns, as are the counters. */
static void token_noise(const struct mx_token_noise *noise, uint32_t step, __m512i sum[4])
{
	const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	__m512i c[4], low[2], high[2], quad[4], even[2], odd[2], bits[4];
	uint32_t i;

	c[0] = _mm512_set1_epi32(noise->key);
	c[1] = _mm512_set1_epi32(noise->key >> 32);
	c[2] = _mm512_add_epi32(_mm512_set1_epi32(noise->panel * (COLS / 4)),
				_mm512_and_si512(lane, _mm512_set1_epi32(3)));
	c[2] = _mm512_or_si512(_mm512_slli_epi32(c[2], 8), _mm512_set1_epi32(MX_PHILOX_READ));
	c[3] = _mm512_add_epi32(_mm512_set1_epi32(noise->conversion + step),
				_mm512_srli_epi32(lane, 2));
	philox16(noise->seed, c);
	/* From a word to a vector, to the four words of four columns beside each other, */
	low[0] = _mm512_unpacklo_epi32(c[0], c[1]);
	high[0] = _mm512_unpackhi_epi32(c[0], c[1]);
	low[1] = _mm512_unpacklo_epi32(c[2], c[3]);
	high[1] = _mm512_unpackhi_epi32(c[2], c[3]);
	quad[0] = _mm512_unpacklo_epi64(low[0], low[1]);
	quad[1] = _mm512_unpackhi_epi64(low[0], low[1]);
	quad[2] = _mm512_unpacklo_epi64(high[0], high[1]);
	quad[3] = _mm512_unpackhi_epi64(high[0], high[1]);
	/* and from four columns of four steps to 16 of one. */
	for (i = 0; i < 2; i++) {
		even[i] = _mm512_shuffle_i32x4(quad[2 * i], quad[2 * i + 1], 0x88);
		odd[i] = _mm512_shuffle_i32x4(quad[2 * i], quad[2 * i + 1], 0xdd);
	}
	bits[0] = _mm512_shuffle_i32x4(even[0], even[1], 0x88);
	bits[1] = _mm512_shuffle_i32x4(odd[0], odd[1], 0x88);
	bits[2] = _mm512_shuffle_i32x4(even[0], even[1], 0xdd);
	bits[3] = _mm512_shuffle_i32x4(odd[0], odd[1], 0xdd);
	for (i = 0; i < 4; i++) {
		const __m512d spread = _mm512_set1_pd(noise->spread[step + i]);
		__m512i normal = normal16(noise->table, bits[i]);

		sum[i] = _mm512_add_epi32(sum[i], _mm512_inserti64x4(_mm512_castsi256_si512(
			scaled(_mm512_castsi512_si256(normal), spread)),
			scaled(_mm512_extracti64x4_epi64(normal, 1), spread), 1));
	}
}

/* Columns in lanes, and all steps of a token at once. */
static uint64_t token_codes(const struct mx_group_codes *group, size_t tokens,
			    int32_t acc[TILE][COLS])
{
	size_t q, t, step_bytes = group->step_bytes;
	uint64_t clamped = 0;
	uint32_t step;

	for (t = 0; t < tokens; t++) {
		__m512i sum[MX_MAX_STEPS], all = _mm512_loadu_si512(acc[t]);
		const uint8_t *digit = group->digit + 4 * t;

#pragma GCC unroll 8
		for (step = 0; step < MX_MAX_STEPS; step++)
			sum[step] = _mm512_setzero_si512();
		for (q = 0; q < group->quads; q++, digit += 4 * TILE) {
			__m512i level = _mm512_loadu_si512(group->level + 4 * COLS * q);

#pragma GCC unroll 8
			for (step = 0; step < MX_MAX_STEPS; step++) {
				int four;

				if (step >= group->steps)
					break;
				memcpy(&four, digit + step * step_bytes, sizeof(four));
				sum[step] = _mm512_dpbusd_epi32(sum[step],
								_mm512_set1_epi32(four), level);
			}
		}
		for (step = 0; group->noise && step < group->steps; step += 4)
			token_noise(&group->noise[t], step, sum + step);
#pragma GCC unroll 8
		for (step = 0; step < MX_MAX_STEPS; step++) {
			__mmask16 over;
			__m512i code;

			if (step >= group->steps)
				break;
			code = to_codes(group, step, sum[step], &over);
			clamped += __builtin_popcount(over & group->columns);
			all = _mm512_mask_add_epi32(all, group->columns, all, _mm512_mullo_epi32(
				code, _mm512_set1_epi32(group->weight[step])));
		}
		_mm512_storeu_si512(acc[t], all);
	}
	return clamped;
}

const struct mx_analog_kernel mx_analog_avx512 = {
	tile8, tile16, convert, levels, row8, tile_codes, token_codes, noise, NULL, NULL
};
const struct mx_analog_kernel mx_analog_avx512_vbmi = {
	tile8, tile16, convert, levels, row8, tile_codes, token_codes, noise, mx_analog_tables_avx512,
	mx_analog_parts_avx512
};
