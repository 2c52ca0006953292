// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Analog products for AVX-512 with VBMI: conversions from tables.
 *
 * A table has, for each pattern of LUT_ROWS input bits, the sum of the levels
 * whose bit is set: one vpermb adds six rows of a column for 64 tokens at
 * once, where popcounts of bit planes would take a dozen instructions.
 *
 * Sums stay bytes where the column allows it: its rows are added in two halves,
 * neither of which can leave a byte, and the two are added with saturation, which is
 * what an ADC of 8 bits does. Else each half, or smaller part, is widened to 16 bits.
 */
#include "analog_tables_avx512.h"

/* ------------------------------------------------------------ sums as bytes */

/* Adds some tables' entries of all steps of a block; @index: of the first of them */
VBMI static inline __always_inline void add_tables(const __m512i table[], size_t tables,
						   const uint8_t *index, __m512i sum[STEPS])
{
	size_t g;
	int k;

	for (g = 0; g < tables; g++, index += STEPS * BLOCK) {
		const __m512i entries = table[g];

#pragma GCC unroll 8
		for (k = 0; k < STEPS; k++)
			look_up(&sum[k], entries, index + k * BLOCK);
	}
}

/* Codes of a step from its two sums; adds one to @saturated where one was clamped. */
static inline __always_inline __m512i code_bytes(__m512i first, __m512i second, __m512i bottom,
						 __m512i top, const bool is_signed,
						 __m512i *saturated)
{
	__m512i all = _mm512_add_epi8(first, second), code;

	/* A sum beyond a byte comes out of the one, but not the other, addition. */
	if (is_signed)
		code = _mm512_max_epi8(bottom, _mm512_min_epi8(
			top, _mm512_adds_epi8(first, second)));
	else
		code = _mm512_min_epu8(top, _mm512_adds_epu8(first, second));
	*saturated = _mm512_mask_sub_epi8(*saturated, _mm512_cmpneq_epi8_mask(all, code),
					  *saturated, _mm512_set1_epi8(-1));
	return code;
}

/*
 * Codes of all steps are made signed bytes, c - 128 if they are not, and of a step that
 * counts negatively -1 - c, so that weights are 1 to 128 and sums 16-bit. What that changes
 * is in mx_lut_slice.bias.
 */
VBMI static inline __always_inline uint64_t convert_bytes(const struct mx_lut_slice *s,
		const __m512i *table, int32_t *acc, const bool is_signed)
{
	const int most = is_signed ? 127 : 255;
	const __m512i top = _mm512_set1_epi8(s->high < most ? s->high : most);
	const __m512i bottom = _mm512_set1_epi8(s->low < -128 ? -128 : s->low);
	const __m512i scale = _mm512_set1_epi32(s->scale), bias = _mm512_set1_epi32(s->bias);
	const __m512i flip = _mm512_set1_epi8(-128), last_flip = _mm512_set1_epi8(s->last_flip);
	__m512i saturated = _mm512_setzero_si512(), sum[STEPS], more[STEPS], y[2];
	size_t half = mx_lut_half(s->tables), b;
	int k, i;

	for (b = 0; b < s->blocks; b++, acc += BLOCK) {
		const uint8_t *index = s->index + b * s->block_stride;

#pragma GCC unroll 8
		for (k = 0; k < STEPS; k++)
			sum[k] = more[k] = _mm512_setzero_si512();
		add_tables(table, half, index, sum);
		add_tables(table + half, s->tables - half, index + half * STEPS * BLOCK, more);
		y[0] = y[1] = _mm512_setzero_si512();
#pragma GCC unroll 4
		for (k = 0; k < STEPS; k += 2) {
			const __m512i weights = _mm512_set1_epi16((1 << k) | (2 << k) << 8);
			__m512i even = code_bytes(sum[k], more[k], bottom, top, is_signed,
						  &saturated);
			__m512i odd = code_bytes(sum[k + 1], more[k + 1], bottom, top, is_signed,
						 &saturated);

			if (!is_signed)
				even = _mm512_xor_si512(even, flip);
			if (k + 2 == STEPS)
				odd = _mm512_xor_si512(odd, last_flip);
			else if (!is_signed)
				odd = _mm512_xor_si512(odd, flip);
			/* Bytes 0 to 7 of each 128-bit lane, and bytes 8 to 15. */
			y[0] = _mm512_add_epi16(y[0], _mm512_maddubs_epi16(
					weights, _mm512_unpacklo_epi8(even, odd)));
			y[1] = _mm512_add_epi16(y[1], _mm512_maddubs_epi16(
					weights, _mm512_unpackhi_epi8(even, odd)));
		}
#pragma GCC unroll 4
		for (i = 0; i < 4; i++) {
			__m512i part = i % 2 ? _mm512_unpackhi_epi16(y[i / 2], y[i / 2]) :
					       _mm512_unpacklo_epi16(y[i / 2], y[i / 2]);
			__m512i to = _mm512_add_epi32(bias, _mm512_load_si512(acc + 16 * i));

			/* The high half of a scale is 0. */
			_mm512_store_si512(acc + 16 * i, _mm512_dpwssd_epi32(to, part, scale));
		}
	}
	return _mm512_reduce_add_epi64(_mm512_sad_epu8(saturated, _mm512_setzero_si512()));
}

/* --------------------------------------------------------- sums as 16 bits */

/* Codes of sums; adds one to @saturated where one was clamped. */
static inline __always_inline __m512i codes_of(const struct mx_lut_slice *s, __m512i sum,
					       const bool rounds, __m512i *saturated)
{
	const __m512i one = _mm512_set1_epi16(1);
	__m512i code = sum, clamped, u;

	if (rounds) {
		u = _mm512_add_epi16(sum, _mm512_set1_epi16(s->half + s->offset * s->lsb));
		code = _mm512_srl_epi16(_mm512_mulhi_epu16(u, _mm512_set1_epi16(s->divisor)),
					_mm_cvtsi32_si128(s->shift));
		if (s->tie_even) {
			__mmask32 tie = _mm512_cmpeq_epi16_mask(u, _mm512_mullo_epi16(
					code, _mm512_set1_epi16(s->lsb)));

			tie = _mm512_mask_test_epi16_mask(tie, code, one);
			code = _mm512_mask_sub_epi16(code, tie, code, one);
		}
		code = _mm512_sub_epi16(code, _mm512_set1_epi16(s->offset));
	}
	clamped = _mm512_max_epi16(_mm512_min_epi16(code, _mm512_set1_epi16(s->high)),
				   _mm512_set1_epi16(s->low));
	*saturated = _mm512_mask_add_epi16(*saturated, _mm512_cmpneq_epi16_mask(code, clamped),
					   *saturated, one);
	return clamped;
}

/* Sums of four steps, from @index on, of a block: even and odd tokens. */
VBMI static inline __always_inline void sums_of(const struct mx_lut_slice *s, const __m512i *table,
		const int32_t *below, const uint8_t *index, __m512i even[4], __m512i odd[4])
{
	const __m512i bytes = _mm512_set1_epi16(0xff);
	size_t g, part, first, end;
	__m512i sum[4];
	int k;

#pragma GCC unroll 4
	for (k = 0; k < 4; k++)
		even[k] = odd[k] = _mm512_setzero_si512();
	for (part = 0, first = 0; first < s->tables; part++, first = end) {
		const __m512i raised = _mm512_set1_epi8(below[part]);
		const __m512i down = _mm512_set1_epi16(below[part]);

		end = s->tables - first < s->per_byte ? s->tables : first + s->per_byte;
#pragma GCC unroll 4
		for (k = 0; k < 4; k++)
			sum[k] = raised;
		for (g = first; g < end; g++) {
			const __m512i entries = table[g];

#pragma GCC unroll 4
			for (k = 0; k < 4; k++)
				look_up(&sum[k], entries, index + (g * STEPS + k) * BLOCK);
		}
#pragma GCC unroll 4
		for (k = 0; k < 4; k++) {
			even[k] = _mm512_add_epi16(even[k], _mm512_sub_epi16(
				_mm512_and_si512(sum[k], bytes), down));
			odd[k] = _mm512_add_epi16(odd[k], _mm512_sub_epi16(
				_mm512_srli_epi16(sum[k], 8), down));
		}
	}
}

VBMI static inline __always_inline uint64_t convert_words(const struct mx_lut_slice *s,
		const __m512i *table, const int32_t *below, int32_t *acc, const bool rounds)
{
	__m512i saturated = _mm512_setzero_si512(), even[4], odd[4], y[4], in_order[4];
	const __m512i scale = _mm512_set1_epi32(s->scale);
	size_t b;
	int i, k;

	for (b = 0; b < s->blocks; b++, acc += BLOCK) {
		const uint8_t *index = s->index + b * s->block_stride;

		for (i = 0; i < 4; i++)
			y[i] = _mm512_setzero_si512();
		for (k = 0; k < STEPS; k += 2) {
			const __m512i weights = _mm512_set1_epi32((uint16_t)s->step_weight[k] |
						(uint32_t)s->step_weight[k + 1] << 16);
			const int at = k % 4;

			if (!at)
				sums_of(s, table, below, index + k * BLOCK, even, odd);
			for (i = at; i < at + 2; i++) {
				even[i] = codes_of(s, even[i], rounds, &saturated);
				odd[i] = codes_of(s, odd[i], rounds, &saturated);
			}
			y[0] = _mm512_dpwssd_epi32(y[0], weights,
						   _mm512_unpacklo_epi16(even[at], even[at + 1]));
			y[1] = _mm512_dpwssd_epi32(y[1], weights,
						   _mm512_unpackhi_epi16(even[at], even[at + 1]));
			y[2] = _mm512_dpwssd_epi32(y[2], weights,
						   _mm512_unpacklo_epi16(odd[at], odd[at + 1]));
			y[3] = _mm512_dpwssd_epi32(y[3], weights,
						   _mm512_unpackhi_epi16(odd[at], odd[at + 1]));
		}
		in_order[0] = _mm512_unpacklo_epi32(y[0], y[2]);
		in_order[1] = _mm512_unpackhi_epi32(y[0], y[2]);
		in_order[2] = _mm512_unpacklo_epi32(y[1], y[3]);
		in_order[3] = _mm512_unpackhi_epi32(y[1], y[3]);
		for (i = 0; i < 4; i++)
			_mm512_store_si512(acc + 16 * i, _mm512_add_epi32(
				_mm512_load_si512(acc + 16 * i),
				_mm512_mullo_epi32(in_order[i], scale)));
	}
	/* Each lane has at most two per step and block. */
	return _mm512_reduce_add_epi32(_mm512_madd_epi16(saturated, _mm512_set1_epi16(1)));
}

/* What the sums of each part of a column's tables can fall below zero. */
static void lowest_sums(const struct mx_lut_slice *s, const int8_t *level, int32_t *below)
{
	const __m512i zero = _mm512_setzero_si512();
	size_t first, rows, r;

	for (first = 0; first < s->tables; first += s->per_byte, level += rows, below++) {
		__m512i sum = zero;

		rows = (s->tables - first < s->per_byte ? s->tables - first : s->per_byte) * LUT_ROWS;
		for (r = 0; r < rows; r += 64) {
			__mmask64 in = rows - r < 64 ? (1ull << (rows - r)) - 1 : ~0ull;
			__m512i negative = _mm512_min_epi8(_mm512_maskz_loadu_epi8(in, level + r),
							   zero);

			sum = _mm512_add_epi64(sum, _mm512_sad_epu8(
				_mm512_sub_epi8(zero, negative), zero));
		}
		*below = _mm512_reduce_add_epi64(sum);
	}
}

VBMI uint64_t mx_analog_tables_avx512(const struct mx_lut_slice *s)
{
	__m512i table[MAX_TABLES] MX_SCRATCH;
	int32_t below[MAX_TABLES] MX_SCRATCH;
	uint64_t saturated = 0;
	uint32_t c;

	for (c = 0; c < COLS; c++) {
		const int8_t *level = s->level + c * s->level_stride;
		int32_t *acc = s->acc[c];

		if (!(s->columns >> c & 1))
			continue;
		make_tables(level, s->tables, table);
		if (s->bytes >> c & 1) {
			saturated += s->has_signs ? convert_bytes(s, table, acc, true) :
						  convert_bytes(s, table, acc, false);
			continue;
		}
		lowest_sums(s, level, below);
		saturated += s->divisor ? convert_words(s, table, below, acc, true) :
					  convert_words(s, table, below, acc, false);
	}
	return saturated;
}
