/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arithmetic of the chip, once per instruction set of the host. Every set
 * gives the same bits: products are exact integers, and all binary32 steps
 * are the same IEEE operations in the same order (no contraction, no libm).
 *
 * Sums of binary32 run in 16 lanes, element i in lane i mod 16, each from +0
 * in ascending i; then lane l + 8 is added to lane l for l < 8, l + 4 to l for
 * l < 4, and so on down to one.
 */
#ifndef MX_CHIP_KERNELS_H
#define MX_CHIP_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chip.h"

/*
 * Activation rows, quantised, lie in memory as the set's products like them:
 * elements of mx_kernels.act_bytes, zeros up to a multiple of this many bytes.
 */
#define MX_ACT_ALIGN 64

/*
 * For local arrays in loops. QEMU is built with -ftrivial-auto-var-init=zero, and
 * clearing them would cost a small product half of its time.
 */
#ifdef __has_attribute
#if __has_attribute(uninitialized)
#define MX_SCRATCH __attribute__((uninitialized))
#endif
#endif
#ifndef MX_SCRATCH
#define MX_SCRATCH
#endif

/* Rows whose largest magnitude is below this are taken as zero: 127 / m must not overflow. */
#define MX_QUANT_MIN 0x1p-100f

/**
 * struct mx_gemm - a product with its dequantisation
 * @act:	quantised rows, aligned to MX_ACT_ALIGN
 * @act_stride:	bytes from row to row, a multiple of MX_ACT_ALIGN
 * @row_scale:	of each row
 * @panels:	weights, see MXACCEL_PANEL_OFFSET; int8, aligned to MXACCEL_WORD
 * @k:		length of the dot products
 * @n:		output columns
 * @col_scale:	of each output column
 * @bias:	of each output column, or NULL
 * @alpha:	factor; 1 where there is none
 * @accumulate:	add the result to @out
 * @out:	first output
 * @out_stride:	elements from row to row
 *
 * out[r][j] (+)= alpha * ((float)acc * (row_scale[r] * col_scale[j])) + bias[j]
 */
struct mx_gemm {
	const void *act;
	size_t act_stride;
	const float *row_scale;
	const int8_t *panels;
	size_t k;
	size_t n;
	const float *col_scale;
	const float *bias;
	float alpha;
	bool accumulate;
	float *out;
	size_t out_stride;
};

typedef void (*mx_gemm_fn)(const struct mx_gemm *gemm, size_t row, size_t nr_rows,
			   size_t panel, size_t nr_panels);
typedef void (*mx_map_fn)(const float *src, float *dst, size_t n);

/**
 * struct mx_kernels - functions of one instruction set
 * @isa:	which
 * @act_bytes:	size of a quantised activation
 * @gemm:	some rows and panels of a product
 * @quant_act:	quantise a row of @n elements for @gemm: m = max |x|, scale = m / 127,
 *		q = x * (127 / m) rounded half to even; a row with m < MX_QUANT_MIN
 *		gets scale 0 and zeros. With @factor not NULL, x stands for
 *		x[i] * factor[i]. Pads with zeros to @padded elements.
 *		False: the row holds an infinity or a NaN.
 * @quant_i8:	the same, always to int8
 * @residual:	dst = x - (float)q * scale of that quantiser, x as there with @factor;
 *		False as there
 * @interleave4: out[4 * c + r] = row r [c] for 4 rows of @n bytes, @stride apart
 * @embed:	dst[i] = table[i] * scale, or with @add dst[i] + table[i] * scale
 * @softmax:	exp(x - max) / sum over the first @limit elements whose id is not
 *		0 (@ids may be NULL); zeros elsewhere up to @n, and everywhere if
 *		there is no such element.
 * @norm_layer, @norm_rms, @norm_l2: see mxaccel_image.h
 * @act:	indexed by MXACCEL_ACT_*
 * @add:	dst = a + b
 * @pool_mean:	mean over the rows with an id that is not 0: sum over rows in
 *		16 lanes (row t in lane t mod 16), divided by their number
 * @finite:	no element is an infinity or a NaN
 *
 * dst may be the same array as a source, but not overlap it otherwise. A NaN
 * in the input of a function is never lost: some output of it is one.
 */
struct mx_kernels {
	enum mx_isa isa;
	size_t act_bytes;
	mx_gemm_fn gemm;
	bool (*quant_act)(const float *x, const float *factor, size_t n, void *q, size_t padded,
			  float *scale);
	bool (*quant_i8)(const float *x, const float *factor, size_t n, int8_t *q, size_t padded,
			 float *scale);
	bool (*residual)(const float *x, const float *factor, float *dst, size_t n);
	void (*interleave4)(const int8_t *rows, size_t stride, size_t n, int8_t *out);
	void (*embed)(const int8_t *table, float scale, float *dst, size_t n, bool add);
	void (*softmax)(const float *src, float *dst, size_t n, size_t limit, const int32_t *ids);
	void (*norm_layer)(const float *src, float *dst, size_t n, const float *gamma,
			   const float *beta, float epsilon);
	void (*norm_rms)(const float *src, float *dst, size_t n, const float *gamma,
			 float epsilon);
	void (*norm_l2)(const float *src, float *dst, size_t n);
	mx_map_fn act[MXACCEL_ACT_TANH + 1];
	void (*add)(const float *a, const float *b, float *dst, size_t n);
	void (*pool_mean)(const float *src, size_t stride, const int32_t *ids, size_t rows,
			  float *dst, size_t n);
	bool (*finite)(const float *src, size_t n);
};

/* Of an instruction set that mx_isa_available(); AUTO: the best one. */
const struct mx_kernels *mx_kernels_get(enum mx_isa isa);

/*
 * Bytes from row to row of quantised activations: an odd number of cache
 * lines, so that equal places of neighbouring rows fall into different sets.
 */
static inline size_t mx_act_stride(const struct mx_kernels *kernels, size_t k)
{
	return ((k * kernels->act_bytes + MX_ACT_ALIGN - 1) / MX_ACT_ALIGN | 1) * MX_ACT_ALIGN;
}

extern const struct mx_kernels mx_kernels_portable;
extern const struct mx_kernels mx_kernels_avx2;
extern const struct mx_kernels mx_kernels_avx512;

void mx_gemm_portable(const struct mx_gemm *gemm, size_t row, size_t nr_rows, size_t panel,
		      size_t nr_panels);
void mx_gemm_avx2(const struct mx_gemm *gemm, size_t row, size_t nr_rows, size_t panel,
		  size_t nr_panels);
void mx_gemm_avx512(const struct mx_gemm *gemm, size_t row, size_t nr_rows, size_t panel,
		    size_t nr_panels);

#endif /* MX_CHIP_KERNELS_H */
