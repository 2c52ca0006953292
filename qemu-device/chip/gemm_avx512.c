// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Product and dequantisation for AVX-512 VNNI: activations are int8.
 *
 * vpdpbusd multiplies unsigned by signed bytes, so weights enter as w + 128
 * (a flipped top bit) and 128 * (sum of the row) is taken off, which is exact
 * in the modular arithmetic of the accumulators. Weights of two panels meet
 * twelve rows at a time, those of four panels up to three rows. An activation
 * is broadcast from memory by the instruction itself.
 *
 * With MX_SIMDE the same source runs on any host, for the tests.
 */
#ifdef MX_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#define mx_gemm_avx512 mx_gemm_avx512_simde
/* One general block is enough here, and compiles in seconds. */
#undef __always_inline
#define __always_inline
#define MAX_UNROLL 1
#else
#include <immintrin.h>
#define MAX_UNROLL 16
#endif
#include <string.h>

#include "kernels.h"

#define COLS MXACCEL_PANEL_COLS
#define WORD MXACCEL_WORD
#define ROWS 12
#define FEW 3
#define MAX_PANELS 4

enum { UNROLL = MAX_UNROLL };

/* Vectors in C, where no instruction must be chosen and SIMDe lacks the function. */
struct ints {
	__attribute__((vector_size(64))) int32_t v;
};

struct floats {
	__attribute__((vector_size(64))) float v;
};

/* -128 * the sum of a row, which is padded with zeros to MX_ACT_ALIGN */
static __always_inline __m512i correction(const int8_t *act, size_t k)
{
	__m512i even = _mm512_setzero_si512(), odd = even, ones = _mm512_set1_epi8(1);
	int32_t part[COLS];
	uint32_t all = 0;
	size_t i;

	/* Two sums, as each product waits for the one before. */
	for (i = 0; i + MX_ACT_ALIGN < k; i += 2 * MX_ACT_ALIGN) {
		even = _mm512_dpbusd_epi32(even, ones, _mm512_loadu_si512(act + i));
		odd = _mm512_dpbusd_epi32(odd, ones, _mm512_loadu_si512(act + i + MX_ACT_ALIGN));
	}
	if (i < k)
		even = _mm512_dpbusd_epi32(even, ones, _mm512_loadu_si512(act + i));
	even = _mm512_add_epi32(even, odd);
	memcpy(part, &even, sizeof(part));
	for (i = 0; i < COLS; i++)
		all += part[i];
	return _mm512_set1_epi32(all * -128u);
}

/* The channels of a panel that exist; zeros beyond them */
static __always_inline struct floats load(const float *from, size_t cols)
{
	struct floats x;

	if (cols == COLS) {
		memcpy(&x, from, sizeof(x));
	} else {
		memset(&x, 0, sizeof(x));
		memcpy(&x, from, cols * sizeof(float));
	}
	return x;
}

/* Dequantises the sums of one row and panel, with the panel's scales and biases. */
static __always_inline void finish(const struct mx_gemm *gemm, size_t row, size_t panel,
				   __m512i acc, struct floats scale, struct floats bias)
{
	size_t col = panel * COLS, cols = gemm->n - col < COLS ? gemm->n - col : COLS;
	float *out = gemm->out + row * gemm->out_stride + col;
	struct floats x;
	struct ints sums;

	memcpy(&sums, &acc, sizeof(sums));
	x.v = __builtin_convertvector(sums.v, __typeof__(x.v));
	x.v = x.v * (gemm->row_scale[row] * scale.v);
	x.v = x.v * gemm->alpha;
	if (gemm->bias)
		x.v = x.v + bias.v;
	if (gemm->accumulate)
		x.v = load(out, cols).v + x.v;
	if (cols == COLS)
		memcpy(out, &x, sizeof(x));
	else
		memcpy(out, &x, cols * sizeof(float));
}

/*
 * Fixes that sums are in a register here. Left alone, GCC gathers all loads
 * of a step before its products, runs out of registers and spills the sums.
 */
static __always_inline void keep_in_register(__m512i *sums)
{
#ifndef MX_SIMDE
	__asm__ volatile("" : "+v"(*sums));
#else
	(void)sums;
#endif
}

/* @start: correction() of each row */
static __always_inline void block(const struct mx_gemm *gemm, size_t row, const int rows, size_t panel,
		  const int panels, size_t words, const __m512i *start)
{
	const int8_t *act = (const int8_t *)gemm->act + row * gemm->act_stride;
	const int8_t *weights = gemm->panels + panel * words * WORD;
	const __m512i top = _mm512_set1_epi8(-128);
	__m512i acc[ROWS][MAX_PANELS] MX_SCRATCH, weight[MAX_PANELS] MX_SCRATCH;
	struct floats scale, bias = { 0 };
	size_t w;
	int r, p;

#pragma GCC unroll UNROLL
	for (r = 0; r < rows; r++) {
#pragma GCC unroll UNROLL
		for (p = 0; p < panels; p++) {
			__builtin_prefetch(gemm->out + (row + r) * gemm->out_stride +
					   (panel + p) * COLS, 1);
			acc[r][p] = start[r];
		}
	}
	for (w = 0; w < words; w++) {
#pragma GCC unroll UNROLL
		for (p = 0; p < panels; p++)
			weight[p] = _mm512_xor_si512(top, _mm512_loadu_si512(
					weights + (p * words + w) * WORD));
#pragma GCC unroll UNROLL
		for (r = 0; r < rows; r++) {
			__m512i a;
			int four;

			memcpy(&four, act + r * gemm->act_stride + w * MXACCEL_PANEL_K,
			       sizeof(four));
			a = _mm512_set1_epi32(four);
#pragma GCC unroll UNROLL
			for (p = 0; p < panels; p++) {
				acc[r][p] = _mm512_dpbusd_epi32(acc[r][p], weight[p], a);
				keep_in_register(&acc[r][p]);
			}
		}
	}
#pragma GCC unroll UNROLL
	for (p = 0; p < panels; p++) {
		size_t col = (panel + p) * COLS;
		size_t cols = gemm->n - col < COLS ? gemm->n - col : COLS;

		scale = load(gemm->col_scale + col, cols);
		if (gemm->bias)
			bias = load(gemm->bias + col, cols);
#pragma GCC unroll UNROLL
		for (r = 0; r < rows; r++)
			finish(gemm, row + r, panel + p, acc[r][p], scale, bias);
	}
}

/* All panels of a range against up to ROWS rows, as many panels at a time as registers allow. */
#define DEFINE_ROWS(rows, panels) \
static void rows_##rows(const struct mx_gemm *gemm, size_t row, size_t panel, size_t nr_panels, \
			size_t words, const __m512i *start) \
{ \
	size_t end = panel + nr_panels; \
\
	for (; panel + (panels) <= end; panel += (panels)) \
		block(gemm, row, rows, panel, panels, words, start); \
	for (; panel < end; panel++) \
		block(gemm, row, rows, panel, 1, words, start); \
}

DEFINE_ROWS(1, 4)
DEFINE_ROWS(2, 4)
DEFINE_ROWS(3, 4)
DEFINE_ROWS(4, 2)
DEFINE_ROWS(5, 2)
DEFINE_ROWS(6, 2)
DEFINE_ROWS(7, 2)
DEFINE_ROWS(8, 2)
DEFINE_ROWS(9, 2)
DEFINE_ROWS(10, 2)
DEFINE_ROWS(11, 2)
DEFINE_ROWS(12, 2)

typedef void (*rows_fn)(const struct mx_gemm *gemm, size_t row, size_t panel, size_t nr_panels,
			size_t words, const __m512i *start);

static const rows_fn by_rows[ROWS + 1] = {
	NULL, rows_1, rows_2, rows_3, rows_4, rows_5, rows_6, rows_7, rows_8, rows_9, rows_10,
	rows_11, rows_12,
};

/* Rows whose corrections are kept at a time; a multiple of ROWS */
#define ROW_BLOCK 192
/* Bytes of weights that all rows of a block meet before the next: part of an L2 cache */
#define L2_WEIGHTS (256 * 1024)

void mx_gemm_avx512(const struct mx_gemm *gemm, size_t row, size_t nr_rows, size_t panel,
		    size_t nr_panels)
{
	size_t words = (gemm->k + MXACCEL_PANEL_K - 1) / MXACCEL_PANEL_K;
	__m512i start[ROW_BLOCK] MX_SCRATCH;
	size_t done, block_rows, blocks, left, rows, step, p, i;

	for (done = 0; done < nr_rows; done += block_rows) {
		const int8_t *act = (const int8_t *)gemm->act + (row + done) * gemm->act_stride;

		block_rows = nr_rows - done < ROW_BLOCK ? nr_rows - done : ROW_BLOCK;
		for (i = 0; i < block_rows; i++)
			start[i] = correction(act + i * gemm->act_stride, gemm->k);
		blocks = (block_rows + ROWS - 1) / ROWS;
		step = L2_WEIGHTS / (words * WORD) & ~(MAX_PANELS - 1ul);
		if (step < MAX_PANELS)
			step = MAX_PANELS;
		for (p = 0; p < nr_panels; p += step) {
			size_t panels = nr_panels - p < step ? nr_panels - p : step;

			for (i = 0, left = blocks; left; i += rows, left--) {
				rows = (block_rows - i + left - 1) / left;
				by_rows[rows](gemm, row + done + i, panel + p, panels, words,
					      start + i);
			}
		}
	}
}
