// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Analog products for AVX-512 with VBMI: cells with effects, from tables.
 *
 * Levels in 1/32 of a count are whole counts, rounded, and what is left: parts that have a
 * table each. Sums of both parts, of each half of the rows, are bytes; where a column's
 * cannot be, it is left to the tiles.
 */
#include "analog_tables_avx512.h"

#define UNIT MX_ANALOG_UNIT
#define HALVES 2
#define COUNTS 0
#define LEFT 1
/* Bytes of a column's part, with what make_tables() reads behind its rows. */
#define PART_BYTES (LUT_PART_ROWS + 128)

/* A column: [part][half] for its two parts and the halves of its rows. */
struct parts {
	int8_t level[2][PART_BYTES];
	__m512i table[2][LUT_PART_ROWS / LUT_ROWS + 4];
	/* what sums can fall below zero */
	int32_t below[2][HALVES];
};

static void split(const int8_t *level, size_t rows, struct parts *parts)
{
	const __m512i sign = _mm512_set1_epi8(-128), half = _mm512_set1_epi8(UNIT / 2);
	size_t r;

	for (r = 0; r < PART_BYTES; r += 64) {
		__mmask64 in = r >= rows ? 0 : rows - r < 64 ? (1ull << (rows - r)) - 1 : ~0ull;
		__m512i l = _mm512_maskz_loadu_epi8(in, level + r), counts;

		/* Shifts of pairs of bytes: what comes from the neighbour is cut off. */
		counts = _mm512_xor_si512(_mm512_adds_epi8(l, half), sign);
		counts = _mm512_and_si512(_mm512_srli_epi16(counts, 5), _mm512_set1_epi8(7));
		counts = _mm512_sub_epi8(counts, _mm512_set1_epi8(4));
		_mm512_storeu_si512(parts->level[COUNTS] + r, counts);
		counts = _mm512_and_si512(_mm512_slli_epi16(counts, 5), _mm512_set1_epi8(-UNIT));
		_mm512_storeu_si512(parts->level[LEFT] + r, _mm512_sub_epi8(l, counts));
	}
}

/* Whether sums of some rows are bytes; sets what they can fall below zero. */
static bool fits_byte(const int8_t *level, size_t rows, int32_t *below)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i all = zero, negative = zero;
	size_t r;

	for (r = 0; r < rows; r += 64) {
		__mmask64 in = rows - r < 64 ? (1ull << (rows - r)) - 1 : ~0ull;
		__m512i size = _mm512_maskz_loadu_epi8(in, level + r);
		__mmask64 minus = _mm512_movepi8_mask(size);

		size = _mm512_abs_epi8(size);
		all = _mm512_add_epi64(all, _mm512_sad_epu8(size, zero));
		negative = _mm512_add_epi64(negative, _mm512_sad_epu8(
			_mm512_maskz_mov_epi8(minus, size), zero));
	}
	*below = _mm512_reduce_add_epi64(negative);
	return _mm512_reduce_add_epi64(all) <= 255;
}

static bool make_parts(const struct mx_lut_slice *s, const int8_t *level, struct parts *parts)
{
	size_t half = mx_lut_half(s->tables);
	int part;

	split(level, s->tables * LUT_ROWS, parts);
	for (part = COUNTS; part <= LEFT; part++) {
		const int8_t *of = parts->level[part];

		if (!fits_byte(of, half * LUT_ROWS, &parts->below[part][0]) ||
		    !fits_byte(of + half * LUT_ROWS, (s->tables - half) * LUT_ROWS,
			       &parts->below[part][1]))
			return false;
	}
	for (part = COUNTS; part <= LEFT; part++)
		make_tables(parts->level[part], s->tables, parts->table[part]);
	return true;
}

/* Adds entries of both parts' tables, for an index. */
static inline __always_inline void look_up_both(__m512i *counts, __m512i *left,
		__m512i count_entries, __m512i left_entries, const uint8_t *index)
{
	__m512i at, entry;

	asm("vmovdqa64 %6, %2\n\t"
	    "vpermb %4, %2, %3\n\t"
	    "vpermb %5, %2, %2\n\t"
	    "vpaddb %3, %0, %0\n\t"
	    "vpaddb %2, %1, %1"
	    : "+v"(*counts), "+v"(*left), "=&v"(at), "=&v"(entry)
	    : "v"(count_entries), "v"(left_entries), "m"(*(const uint8_t (*)[BLOCK])index));
}

/* Sums of four steps, of one half of the rows. */
VBMI static inline __always_inline void add_half(const struct parts *parts, size_t first, size_t end,
		int half, const uint8_t *index, __m512i counts[4], __m512i left[4])
{
	size_t g;
	int k;

#pragma GCC unroll 4
	for (k = 0; k < 4; k++) {
		counts[k] = _mm512_set1_epi8(parts->below[COUNTS][half]);
		left[k] = _mm512_set1_epi8(parts->below[LEFT][half]);
	}
	for (g = first; g < end; g++) {
		const __m512i c = parts->table[COUNTS][g], l = parts->table[LEFT][g];

#pragma GCC unroll 4
		for (k = 0; k < 4; k++)
			look_up_both(&counts[k], &left[k], c, l,
				     index + (g * MX_MAX_STEPS + k) * BLOCK);
	}
}

/* Codes of sums to which @up was added; adds one to @saturated where one was clamped. */
static inline __always_inline __m512i code_of(const struct mx_lut_slice *s, __m512i sum, __m512i up,
					      __m512i *saturated)
{
	const __m512i rest = _mm512_set1_epi16((1 << s->shift) - 1), one = _mm512_set1_epi16(1);
	__m512i code, in;

	sum = _mm512_add_epi16(sum, up);
	code = _mm512_sra_epi16(sum, _mm_cvtsi32_si128(s->shift));
	/* A tie: down to the even code. */
	if (s->tie_even)
		code = _mm512_mask_sub_epi16(code, _mm512_testn_epi16_mask(sum, rest), code,
					     _mm512_and_si512(code, one));
	in = _mm512_max_epi16(_mm512_min_epi16(code, _mm512_set1_epi16(s->high)),
			      _mm512_set1_epi16(s->low));
	*saturated = _mm512_mask_add_epi16(*saturated, _mm512_cmpneq_epi16_mask(code, in),
					   *saturated, one);
	return in;
}

VBMI static uint64_t convert_parts(const struct mx_lut_slice *s, const struct parts *parts,
				   int32_t *acc)
{
	const __m512i ones = _mm512_set1_epi8(1), unit = _mm512_set1_epi8(UNIT);
	const __m512i up = _mm512_set1_epi16(
		(1 << s->shift) / 2 - UNIT * (parts->below[COUNTS][0] + parts->below[COUNTS][1]) -
		(parts->below[LEFT][0] + parts->below[LEFT][1]));
	__m512i saturated = _mm512_setzero_si512(), counts[HALVES][4], left[HALVES][4], y[4];
	size_t half = mx_lut_half(s->tables), b;
	int i, j, k;

	for (b = 0; b < s->blocks; b++, acc += BLOCK) {
		const uint8_t *index = s->index + b * s->block_stride;

		for (i = 0; i < 4; i++)
			y[i] = _mm512_setzero_si512();
		for (k = 0; k < MX_MAX_STEPS; k += 4) {
			add_half(parts, 0, half, 0, index + k * BLOCK, counts[0], left[0]);
			add_half(parts, half, s->tables, 1, index + k * BLOCK, counts[1], left[1]);
#pragma GCC unroll 2
			for (j = 0; j < 4; j += 2) {
				const __m512i weights = _mm512_set1_epi32(
					(uint16_t)s->step_weight[k + j] |
					(uint32_t)s->step_weight[k + j + 1] << 16);
				__m512i low[2], high[2];

#pragma GCC unroll 2
				for (i = 0; i < 2; i++) {
					__m512i c0 = counts[0][j + i], c1 = counts[1][j + i];
					__m512i l0 = left[0][j + i], l1 = left[1][j + i];

					/* Bytes 0 to 7 of each 128-bit lane, and bytes 8 to 15. */
					low[i] = _mm512_add_epi16(
						_mm512_maddubs_epi16(_mm512_unpacklo_epi8(c0, c1), unit),
						_mm512_maddubs_epi16(_mm512_unpacklo_epi8(l0, l1), ones));
					high[i] = _mm512_add_epi16(
						_mm512_maddubs_epi16(_mm512_unpackhi_epi8(c0, c1), unit),
						_mm512_maddubs_epi16(_mm512_unpackhi_epi8(l0, l1), ones));
					low[i] = code_of(s, low[i], up, &saturated);
					high[i] = code_of(s, high[i], up, &saturated);
				}
				y[0] = _mm512_dpwssd_epi32(y[0], weights,
							   _mm512_unpacklo_epi16(low[0], low[1]));
				y[1] = _mm512_dpwssd_epi32(y[1], weights,
							   _mm512_unpackhi_epi16(low[0], low[1]));
				y[2] = _mm512_dpwssd_epi32(y[2], weights,
							   _mm512_unpacklo_epi16(high[0], high[1]));
				y[3] = _mm512_dpwssd_epi32(y[3], weights,
							   _mm512_unpackhi_epi16(high[0], high[1]));
			}
		}
		for (i = 0; i < 4; i++)
			_mm512_store_si512(acc + 16 * i, _mm512_add_epi32(
				_mm512_load_si512(acc + 16 * i),
				_mm512_mullo_epi32(y[i], _mm512_set1_epi32(s->scale))));
	}
	/* Each lane has at most two per step and block. */
	return _mm512_reduce_add_epi32(_mm512_madd_epi16(saturated, _mm512_set1_epi16(1)));
}

VBMI uint16_t mx_analog_parts_avx512(const struct mx_lut_slice *s, uint64_t *saturated)
{
	struct parts parts MX_SCRATCH;
	uint16_t left = 0;
	uint32_t c;

	for (c = 0; c < COLS; c++) {
		if (!(s->columns >> c & 1))
			continue;
		if (make_parts(s, s->level + c * s->level_stride, &parts))
			*saturated += convert_parts(s, &parts, s->acc[c]);
		else
			left |= 1u << c;
	}
	return left;
}
