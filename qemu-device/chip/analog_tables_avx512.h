/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the conversions from tables: tables, and what is looked up in them. */
#ifndef MX_CHIP_ANALOG_TABLES_AVX512_H
#define MX_CHIP_ANALOG_TABLES_AVX512_H

#include <immintrin.h>

#include "analog_kernel.h"

/* Tables of a group at most: 4096 rows, rounded up to the four tables that are made at once. */
#define MAX_TABLES 688
#define HALF_ROWS 3
#define STEPS MX_MAX_STEPS

#define VBMI __attribute__((target("avx512vbmi")))

/*
 * Tables of a column. Of the eight halves of four tables, each has the sums of three rows
 * in eight bytes; entry p of a table is entry p % 8 of one plus entry p / 8 of another.
 */
VBMI static inline void make_tables(const int8_t *level, size_t tables, __m512i table[])
{
	/* Pattern bit j of the eight entries of a half. */
	static const __mmask64 set[HALF_ROWS] = {
		0xaaaaaaaaaaaaaaaa, 0xcccccccccccccccc, 0xf0f0f0f0f0f0f0f0,
	};
	static const uint8_t eighths[64] = {
		0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3,
		3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6,
		7, 7, 7, 7, 7, 7, 7, 7,
	};
	const __m512i eighth = _mm512_loadu_si512(eighths);
	const __m512i third = _mm512_add_epi8(eighth, _mm512_add_epi8(eighth, eighth));
	int64_t half[8] __attribute__((aligned(64)));
	size_t g;
	int j;

	for (g = 0; g < tables; g += 4) {
		__m512i rows = _mm512_loadu_si512(level + g * LUT_ROWS);
		__m512i halves = _mm512_setzero_si512();

		for (j = 0; j < HALF_ROWS; j++)
			halves = _mm512_add_epi8(halves, _mm512_maskz_permutexvar_epi8(
					set[j], _mm512_add_epi8(third, _mm512_set1_epi8(j)), rows));
		_mm512_store_si512(half, halves);
		for (j = 0; j < 4; j++)
			table[g + j] = _mm512_add_epi8(
				_mm512_set1_epi64(half[2 * j]),
				_mm512_permutexvar_epi8(_mm512_add_epi8(
					eighth, _mm512_set1_epi8(16 * j + 8)), halves));
	}
}

/*
 * sum += entries[index]. Not intrinsics: with eight sums GCC 12 copies each to another
 * register and back, for every table.
 */
static inline __always_inline void look_up(__m512i *sum, __m512i entries, const uint8_t *index)
{
	__m512i entry;

	asm("vmovdqa64 %3, %1\n\t"
	    "vpermb %2, %1, %1\n\t"
	    "vpaddb %1, %0, %0"
	    : "+v"(*sum), "=&v"(entry)
	    : "v"(entries), "m"(*(const uint8_t (*)[BLOCK])index));
}

#endif /* MX_CHIP_ANALOG_TABLES_AVX512_H */
