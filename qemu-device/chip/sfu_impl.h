/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Digital function units: everything between the products. One source for
 * every instruction set: sfu_<isa>.c defines
 *	MX_SFU_TABLE	name of the struct mx_kernels
 *	MX_SFU_ISA	its enum mx_isa
 *	MX_SFU_GEMM	its product
 *	MX_SFU_ACT	type of a quantised activation
 * and includes this file, compiled with the flags of the set. Loops without
 * order vectorise by themselves; sums are written in 16 lanes. Compile with
 * -ffp-contract=off -fno-math-errno -fno-trapping-math and never -ffast-math.
 */
#include <math.h>
#include <string.h>

#include "kernels.h"
#include "sfu_math.h"

#define LANES 16
#define INFINITE_BITS 0x7f800000
/* Adding and taking away 1.5 * 2^23 rounds |x| < 2^22 to nearest even. */
#define ROUNDER 12582912.0f

/*
 * "ivdep" below: the iterations are independent, though the arrays of the
 * loop may be one and the same.
 */

struct lanes {
	__attribute__((vector_size(LANES * sizeof(float)))) float v;
};

static __always_inline void add_lanes(struct lanes *sum, const float *x)
{
	struct lanes some;

	memcpy(&some, x, sizeof(some));
	sum->v += some.v;
}

static __always_inline float lane_tree(const struct lanes *sum)
{
	float s[LANES];
	int step, l;

	memcpy(s, sum, sizeof(s));
	for (step = LANES / 2; step; step /= 2)
		for (l = 0; l < step; l++)
			s[l] += s[l + step];
	return s[0];
}

static float sum_of(const float *x, size_t n)
{
	float tail[LANES] = { 0 };
	struct lanes sum = { 0 };
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		add_lanes(&sum, x + i);
	memcpy(tail, x + i, (n - i) * sizeof(float));
	add_lanes(&sum, tail);
	return lane_tree(&sum);
}

/* Sum of (x - mean)^2 */
static float sum_of_squares(const float *x, float mean, size_t n)
{
	float tail[LANES] = { 0 };
	struct lanes sum = { 0 }, some;
	size_t i, l;

	for (i = 0; i + LANES <= n; i += LANES) {
		memcpy(&some, x + i, sizeof(some));
		some.v -= mean;
		sum.v += some.v * some.v;
	}
	for (l = 0; i + l < n; l++) {
		tail[l] = x[i + l] - mean;
		tail[l] *= tail[l];
	}
	add_lanes(&sum, tail);
	return lane_tree(&sum);
}

/* Bits of max |x|. As integers, a NaN is larger than an infinity, and that than any number. */
static __always_inline int32_t max_bits(const float *x, const float *factor,
							      size_t n)
{
	int32_t max = 0, bits;
	size_t i;

	for (i = 0; i < n; i++) {
		bits = mx_float_bits(factor ? x[i] * factor[i] : x[i]) & 0x7fffffff;
		max = bits > max ? bits : max;
	}
	return max;
}

/*
 * No clamp is needed: |x| <= m and inv <= 127 / m * (1 + 2^-24), so the product
 * is below 127.5 after its own rounding too.
 */
#define DEFINE_QUANT(name, type) \
static __always_inline bool name##_with(const float *x, \
	const float *factor, size_t n, type q[], size_t padded, float *scale) \
{ \
	int32_t bits = max_bits(x, factor, n); \
	float max = mx_bits_float(bits), inv; \
	size_t i; \
\
	*scale = 0; \
	if (max < MX_QUANT_MIN) { \
		memset(q, 0, padded * sizeof(*q)); \
		return true; \
	} \
	if (bits >= INFINITE_BITS) \
		return false; \
	*scale = max / 127.0f; \
	inv = 127.0f / max; \
	for (i = 0; i < n; i++) { \
		float v = factor ? x[i] * factor[i] : x[i]; \
\
		/* the low bits of the sum are the integer in two's complement */ \
		q[i] = (type)mx_float_bits(v * inv + ROUNDER); \
	} \
	memset(q + n, 0, (padded - n) * sizeof(*q)); \
	return true; \
} \
\
static bool name(const float *x, const float *factor, size_t n, type q[], size_t padded, \
		 float *scale) \
{ \
	if (factor) \
		return name##_with(x, factor, n, q, padded, scale); \
	return name##_with(x, NULL, n, q, padded, scale); \
}

DEFINE_QUANT(quant_i8, int8_t)
DEFINE_QUANT(quant_typed, MX_SFU_ACT)

static bool quant_act(const float *x, const float *factor, size_t n, void *q, size_t padded,
		      float *scale)
{
	return quant_typed(x, factor, n, q, padded, scale);
}

static __always_inline bool residual_with(const float *x, const float *factor, float *dst,
					  size_t n)
{
	int32_t bits = max_bits(x, factor, n);
	float max = mx_bits_float(bits), scale, inv, q;
	size_t i;

	if (bits >= INFINITE_BITS)
		return false;
	if (max < MX_QUANT_MIN) {
		for (i = 0; i < n; i++)
			dst[i] = factor ? x[i] * factor[i] : x[i];
		return true;
	}
	scale = max / 127.0f;
	inv = 127.0f / max;
	for (i = 0; i < n; i++) {
		float v = factor ? x[i] * factor[i] : x[i];

		q = (v * inv + ROUNDER) - ROUNDER;
		dst[i] = v - q * scale;
	}
	return true;
}

static bool residual(const float *x, const float *factor, float *dst, size_t n)
{
	return factor ? residual_with(x, factor, dst, n) : residual_with(x, NULL, dst, n);
}

static void interleave4(const int8_t *rows, size_t stride, size_t n, int8_t *out)
{
	const int8_t *a = rows, *b = a + stride, *c = b + stride, *d = c + stride;
	size_t i;

#pragma GCC ivdep
	for (i = 0; i < n; i++) {
		out[4 * i] = a[i];
		out[4 * i + 1] = b[i];
		out[4 * i + 2] = c[i];
		out[4 * i + 3] = d[i];
	}
}

static void embed(const int8_t *table, float scale, float *dst, size_t n, bool add)
{
	size_t i;

	if (add) {
#pragma GCC ivdep
		for (i = 0; i < n; i++)
			dst[i] = dst[i] + (float)table[i] * scale;
	} else {
#pragma GCC ivdep
		for (i = 0; i < n; i++)
			dst[i] = (float)table[i] * scale;
	}
}

/* Integers in the order of the binary32 numbers with these bits, -0 below +0. */
static __always_inline int32_t order_of(float x)
{
	int32_t bits = (int32_t)mx_float_bits(x);

	return bits ^ (int32_t)((uint32_t)(bits >> 31) & 0x7fffffff);
}

static __always_inline void softmax_with(const float *src, float *dst,
		size_t n, size_t limit, const int32_t *ids)
{
	int32_t best = INT32_MIN, order;
	float max, sum;
	size_t i;

	for (i = 0; i < limit; i++) {
		order = order_of(src[i]);
		order = ids && !ids[i] ? INT32_MIN : order;
		best = order > best ? order : best;
	}
	max = mx_bits_float((uint32_t)(best ^ (int32_t)((uint32_t)(best >> 31) & 0x7fffffff)));
#pragma GCC ivdep
	for (i = 0; i < limit; i++) {
		float e = mx_expf(src[i] - max);

		dst[i] = ids ? mx_select(!ids[i], 0.0f, e) : e;
	}
	if (limit < n)
		memset(dst + limit, 0, (n - limit) * sizeof(*dst));
	sum = sum_of(dst, limit);
	if (sum == 0.0f)	/* everything was masked: the largest element counts as 1 */
		return;
#pragma GCC ivdep
	for (i = 0; i < limit; i++)
		dst[i] = dst[i] / sum;
}

static void softmax(const float *src, float *dst, size_t n, size_t limit, const int32_t *ids)
{
	if (ids)
		softmax_with(src, dst, n, limit, ids);
	else
		softmax_with(src, dst, n, limit, NULL);
}

static void norm_layer(const float *src, float *dst, size_t n, const float *gamma,
		       const float *beta, float epsilon)
{
	float mean = sum_of(src, n) / (float)n;
	float deviation = sqrtf(sum_of_squares(src, mean, n) / (float)n + epsilon);
	size_t i;

#pragma GCC ivdep
	for (i = 0; i < n; i++)
		dst[i] = (src[i] - mean) / deviation * gamma[i] + beta[i];
}

static void norm_rms(const float *src, float *dst, size_t n, const float *gamma, float epsilon)
{
	float root = sqrtf(sum_of_squares(src, 0.0f, n) / (float)n + epsilon);
	size_t i;

#pragma GCC ivdep
	for (i = 0; i < n; i++)
		dst[i] = src[i] / root * gamma[i];
}

static void norm_l2(const float *src, float *dst, size_t n)
{
	float root = sqrtf(sum_of_squares(src, 0.0f, n));
	size_t i;

	if (root == 0.0f) {
		memset(dst, 0, n * sizeof(*dst));
		return;
	}
#pragma GCC ivdep
	for (i = 0; i < n; i++)
		dst[i] = src[i] / root;
}

#define DEFINE_MAP(name, expression) \
static void name(const float *src, float *dst, size_t n) \
{ \
	size_t i; \
\
	_Pragma("GCC ivdep") \
	for (i = 0; i < n; i++) { \
		float x = src[i]; \
\
		dst[i] = (expression); \
	} \
}

/* sqrt(1/2); sqrt(2/pi) */
DEFINE_MAP(gelu_erf, (0.5f * x) * (1.0f + mx_erff(x * 0.707106769f)))
DEFINE_MAP(gelu_tanh, (0.5f * x) *
	   (1.0f + mx_tanhf(0.797884583f * (x + ((0.044715f * x) * x) * x))))
DEFINE_MAP(relu, mx_select(x < 0.0f, 0.0f, x))
DEFINE_MAP(silu, x / (1.0f + mx_expf(-x)))
DEFINE_MAP(act_tanh, mx_tanhf(x))

static void add(const float *a, const float *b, float *dst, size_t n)
{
	size_t i;

#pragma GCC ivdep
	for (i = 0; i < n; i++)
		dst[i] = a[i] + b[i];
}

/* Columns that are pooled at a time: their lanes fit the first-level cache. */
#define POOL_COLS 64

static void pool_mean(const float *src, size_t stride, const int32_t *ids, size_t rows,
		      float *dst, size_t n)
{
	float sum[LANES][POOL_COLS];
	size_t col, cols, t, i, count = 0;
	int step, l;

	for (t = 0; t < rows; t++)
		count += ids[t] != 0;
	for (col = 0; col < n; col += cols) {
		cols = n - col < POOL_COLS ? n - col : POOL_COLS;
		memset(sum, 0, sizeof(sum));
		for (t = 0; t < rows; t++) {
			if (!ids[t])
				continue;
			for (i = 0; i < cols; i++)
				sum[t % LANES][i] += src[t * stride + col + i];
		}
		for (step = LANES / 2; step; step /= 2)
			for (l = 0; l < step; l++)
				for (i = 0; i < cols; i++)
					sum[l][i] += sum[l + step][i];
		for (i = 0; i < cols; i++)
			dst[col + i] = sum[0][i] / (float)count;
	}
}

static bool all_finite(const float *src, size_t n)
{
	return max_bits(src, NULL, n) < INFINITE_BITS;
}

const struct mx_kernels MX_SFU_TABLE = {
	.isa = MX_SFU_ISA,
	.act_bytes = sizeof(MX_SFU_ACT),
	.gemm = MX_SFU_GEMM,
	.quant_act = quant_act,
	.quant_i8 = quant_i8,
	.residual = residual,
	.interleave4 = interleave4,
	.embed = embed,
	.softmax = softmax,
	.norm_layer = norm_layer,
	.norm_rms = norm_rms,
	.norm_l2 = norm_l2,
	.act = {
		[MXACCEL_ACT_GELU_ERF] = gelu_erf,
		[MXACCEL_ACT_GELU_TANH] = gelu_tanh,
		[MXACCEL_ACT_RELU] = relu,
		[MXACCEL_ACT_SILU] = silu,
		[MXACCEL_ACT_TANH] = act_tanh,
	},
	.add = add,
	.pool_mean = pool_mean,
	.finite = all_finite,
};
