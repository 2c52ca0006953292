// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Product and dequantisation for AVX2: activations are int16, weights are
 * widened to int16, and vpmaddwd adds two exact products per 32-bit lane.
 *
 * Many rows: a piece of a panel that fits half of the first-level cache is
 * widened once, to pairs of inputs for 8 channels a vector, and then meets six
 * rows at a time (12 accumulators). Few rows: weights are widened in registers
 * on their way, four inputs of 4 channels a vector.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

#define COLS MXACCEL_PANEL_COLS
#define WORD MXACCEL_WORD
#define FEW 3		/* rows that the direct way takes at a time */
#define ROWS 6		/* rows of a pass over a widened piece */
#define ROW_BLOCK 192	/* rows that share a widening; a multiple of ROWS */
#define PIECE 128	/* words of a panel per piece: 512 inputs, 16 KiB widened */

/* Eight sums. Not __m256i, or else GCC keeps two copies of each. */
struct sums {
	__attribute__((vector_size(32))) int32_t v;
};

/*
 * Fixes that sums are in a register here. Left alone, GCC gathers all loads
 * of a step before its additions, runs out of registers and spills the sums.
 */
static __always_inline void keep_in_register(struct sums *sums)
{
	__asm__ volatile("" : "+x"(sums->v));
}

#define AS_SUMS(vector) ((int32_t __attribute__((vector_size(32))))(vector))

enum { UNROLL = 8 };

/* How channels 0-7 and 8-15 lie in an accumulator before ordered(): 0 1 4 5 2 3 6 7 */
static __always_inline __m256i ordered(struct sums acc)
{
	return _mm256_permute4x64_epi64((__m256i)acc.v, 0xd8);
}

/* Sums of neighbours, in order */
static __always_inline __m256i in_pairs(struct sums a, struct sums b)
{
	struct sums pairs = { AS_SUMS(_mm256_hadd_epi32((__m256i)a.v, (__m256i)b.v)) };

	return ordered(pairs);
}

/* Dequantises 16 channels (in order) of one row and stores those that exist. */
static __always_inline void finish(const struct mx_gemm *gemm, size_t row, size_t panel, __m256i low, __m256i high)
{
	size_t col = panel * COLS, cols = gemm->n - col, h;
	float *out = gemm->out + row * gemm->out_stride + col;
	float scale[COLS] = { 0 }, bias[COLS] = { 0 }, result[COLS] = { 0 }, *to = out;
	const float *s = gemm->col_scale + col, *b = gemm->bias ? gemm->bias + col : NULL;
	__m256 v[2] = { _mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high) };

	if (cols < COLS) {
		s = memcpy(scale, s, cols * sizeof(float));
		if (b)
			b = memcpy(bias, b, cols * sizeof(float));
		to = memcpy(result, out, cols * sizeof(float));
	}
	for (h = 0; h < 2; h++) {
		__m256 both = _mm256_mul_ps(_mm256_set1_ps(gemm->row_scale[row]),
					    _mm256_loadu_ps(s + 8 * h));

		v[h] = _mm256_mul_ps(_mm256_mul_ps(v[h], both), _mm256_set1_ps(gemm->alpha));
		if (b)
			v[h] = _mm256_add_ps(v[h], _mm256_loadu_ps(b + 8 * h));
		if (gemm->accumulate)
			v[h] = _mm256_add_ps(_mm256_loadu_ps(to + 8 * h), v[h]);
		_mm256_storeu_ps(to + 8 * h, v[h]);
	}
	if (cols < COLS)
		memcpy(out, result, cols * sizeof(float));
}

static __always_inline const int16_t *act_row(const struct mx_gemm *gemm, size_t row)
{
	return (const int16_t *)((const char *)gemm->act + row * gemm->act_stride);
}

static __always_inline void few_rows(const struct mx_gemm *gemm, size_t row, const int rows, size_t panel,
		     size_t words)
{
	const int8_t *weights = gemm->panels + panel * words * WORD;
	const int16_t *act[FEW];
	struct sums acc[FEW][4] MX_SCRATCH;
	size_t w;
	int r, c;

#pragma GCC unroll UNROLL
	for (r = 0; r < rows; r++) {
		act[r] = act_row(gemm, row + r);
#pragma GCC unroll UNROLL
		for (c = 0; c < 4; c++)
			acc[r][c] = (struct sums){ 0 };
	}
	for (w = 0; w < words; w++) {
#pragma GCC unroll UNROLL
		for (c = 0; c < 4; c++) {
			const __m128i *bytes = (const __m128i *)(weights + w * WORD) + c;
			__m256i wide = _mm256_cvtepi8_epi16(_mm_load_si128(bytes));

#pragma GCC unroll UNROLL
			for (r = 0; r < rows; r++) {
				long long four;
				__m256i a;

				memcpy(&four, act[r] + 4 * w, sizeof(four));
				a = _mm256_set1_epi64x(four);
				acc[r][c].v += AS_SUMS(_mm256_madd_epi16(a, wide));
				keep_in_register(&acc[r][c]);
			}
		}
	}
#pragma GCC unroll UNROLL
	for (r = 0; r < rows; r++)
		finish(gemm, row + r, panel, in_pairs(acc[r][0], acc[r][1]),
		       in_pairs(acc[r][2], acc[r][3]));
}

/* Per word: inputs 0 1 of channels 0-7, of 8-15, then inputs 2 3 likewise. */
static void widen(const int8_t *weights, size_t words, __m256i *wide)
{
	size_t w, half;

	for (w = 0; w < words; w++, wide += 4) {
		for (half = 0; half < 2; half++) {
			const __m128i *bytes = (const __m128i *)(weights + w * WORD) + 2 * half;
			__m256 a = _mm256_castsi256_ps(_mm256_cvtepi8_epi16(bytes[0]));
			__m256 b = _mm256_castsi256_ps(_mm256_cvtepi8_epi16(bytes[1]));

			wide[half] = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
			wide[half + 2] = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
		}
	}
}

/* Adds what a widened piece contributes to the sums of some rows. */
static __always_inline void many_rows(const int16_t *act, size_t stride, const int rows, const __m256i *wide,
		      size_t words, struct sums (*sum)[2])
{
	const __m256i *end = wide + 4 * words;
	struct sums acc[ROWS][2] MX_SCRATCH;
	int r;

#pragma GCC unroll UNROLL
	for (r = 0; r < rows; r++) {
		acc[r][0] = sum[r][0];
		acc[r][1] = sum[r][1];
	}
	do {
#pragma GCC unroll UNROLL
		for (r = 0; r < rows; r++) {
			__m256i a;
			int two;

			memcpy(&two, act + r * stride, sizeof(two));
			a = _mm256_set1_epi32(two);
			acc[r][0].v += AS_SUMS(_mm256_madd_epi16(a, wide[0]));
			keep_in_register(&acc[r][0]);
			acc[r][1].v += AS_SUMS(_mm256_madd_epi16(a, wide[1]));
			keep_in_register(&acc[r][1]);
		}
		act += 2;
		wide += 2;
	} while (wide != end);
#pragma GCC unroll UNROLL
	for (r = 0; r < rows; r++) {
		sum[r][0] = acc[r][0];
		sum[r][1] = acc[r][1];
	}
}

static void panel_rows(const struct mx_gemm *gemm, size_t row, size_t nr_rows, size_t panel,
		       size_t words)
{
	const int8_t *weights = gemm->panels + panel * words * WORD;
	size_t stride = gemm->act_stride / sizeof(int16_t), first, piece, i;
	__m256i wide[4 * PIECE] MX_SCRATCH;
	struct sums sum[ROW_BLOCK][2] MX_SCRATCH;

	memset(sum, 0, nr_rows * sizeof(sum[0]));
	for (first = 0; first < words; first += piece) {
		const int16_t *act = act_row(gemm, row) + first * MXACCEL_PANEL_K;

		piece = words - first < PIECE ? words - first : PIECE;
		widen(weights + first * WORD, piece, wide);
		for (i = 0; i + ROWS <= nr_rows; i += ROWS)
			many_rows(act + i * stride, stride, ROWS, wide, piece, sum + i);
		act += i * stride;
		switch (nr_rows - i) {
		case 1:
			many_rows(act, stride, 1, wide, piece, sum + i);
			break;
		case 2:
			many_rows(act, stride, 2, wide, piece, sum + i);
			break;
		case 3:
			many_rows(act, stride, 3, wide, piece, sum + i);
			break;
		case 4:
			many_rows(act, stride, 4, wide, piece, sum + i);
			break;
		case 5:
			many_rows(act, stride, 5, wide, piece, sum + i);
			break;
		}
	}
	for (i = 0; i < nr_rows; i++)
		finish(gemm, row + i, panel, ordered(sum[i][0]), ordered(sum[i][1]));
}

void mx_gemm_avx2(const struct mx_gemm *gemm, size_t row, size_t nr_rows, size_t panel,
		  size_t nr_panels)
{
	size_t words = (gemm->k + MXACCEL_PANEL_K - 1) / MXACCEL_PANEL_K, p, done, rows;

	for (done = 0; done < nr_rows; done += rows) {
		rows = nr_rows - done < ROW_BLOCK ? nr_rows - done : ROW_BLOCK;
		for (p = panel; p < panel + nr_panels; p++) {
			if (rows == 1)
				few_rows(gemm, row + done, 1, p, words);
			else if (rows == 2)
				few_rows(gemm, row + done, 2, p, words);
			else if (rows == 3)
				few_rows(gemm, row + done, 3, p, words);
			else
				panel_rows(gemm, row + done, rows, p, words);
		}
	}
}
