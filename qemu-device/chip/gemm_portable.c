// SPDX-License-Identifier: LGPL-2.1-or-later
/* Product and dequantisation in plain C: activations are int8. */
#include "kernels.h"

/* Rows that share one pass over a panel. */
#define ROWS 4
#define COLS MXACCEL_PANEL_COLS

/* acc[r][j] = row r . channel j of a panel of @words words, for @rows <= ROWS */
static __always_inline void dot_panel(const int8_t *act, size_t stride,
		int rows, const int8_t *panel, size_t words, int32_t acc[ROWS][COLS])
{
	size_t w;
	int r, j;

	for (r = 0; r < rows; r++)
		for (j = 0; j < COLS; j++)
			acc[r][j] = 0;
	for (w = 0; w < words; w++, panel += MXACCEL_WORD) {
		int16_t weight[MXACCEL_PANEL_K][COLS];

		for (j = 0; j < COLS; j++) {
			weight[0][j] = panel[4 * j];
			weight[1][j] = panel[4 * j + 1];
			weight[2][j] = panel[4 * j + 2];
			weight[3][j] = panel[4 * j + 3];
		}
		for (r = 0; r < rows; r++) {
			const int8_t *a = act + r * stride + w * MXACCEL_PANEL_K;

			for (j = 0; j < COLS; j++)
				acc[r][j] += (a[0] * weight[0][j] + a[1] * weight[1][j]) +
					     (a[2] * weight[2][j] + a[3] * weight[3][j]);
		}
	}
}

void mx_gemm_portable(const struct mx_gemm *gemm, size_t row, size_t nr_rows, size_t panel,
		      size_t nr_panels)
{
	size_t words = (gemm->k + MXACCEL_PANEL_K - 1) / MXACCEL_PANEL_K;
	const int8_t *act = gemm->act;
	int32_t acc[ROWS][COLS];
	size_t p, r, i, j, rows, cols;

	for (p = panel; p < panel + nr_panels; p++) {
		const int8_t *weights = gemm->panels + p * words * MXACCEL_WORD;
		size_t col = p * COLS;

		cols = gemm->n - col < COLS ? gemm->n - col : COLS;
		for (r = row; r < row + nr_rows; r += rows) {
			const int8_t *a = act + r * gemm->act_stride;

			rows = row + nr_rows - r < ROWS ? 1 : ROWS;
			if (rows == ROWS)
				dot_panel(a, gemm->act_stride, ROWS, weights, words, acc);
			else
				dot_panel(a, gemm->act_stride, 1, weights, words, acc);
			for (i = 0; i < rows; i++) {
				float *out = gemm->out + (r + i) * gemm->out_stride + col;

				for (j = 0; j < cols; j++) {
					float v = (float)acc[i][j] * (gemm->row_scale[r + i] *
								      gemm->col_scale[col + j]);

					v = v * gemm->alpha;
					if (gemm->bias)
						v = v + gemm->bias[col + j];
					out[j] = gemm->accumulate ? out[j] + v : v;
				}
			}
		}
	}
}
