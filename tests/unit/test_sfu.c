// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Function units: equal bits from every instruction set of this host, the
 * definitions on cases worked out by hand, and errors against binary64 libm.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "internal.h"
#include "kernels.h"
#include "sfu_math.h"

#define MAX 1100

static uint32_t random_state = 1;

static uint32_t random_bits(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

/* Numbers of many magnitudes, zeros and subnormals among them. */
static float random_float(void)
{
	float v = (float)((int32_t)random_bits() - (1 << 23)) / (1 << 23);

	switch (random_bits() % 32) {
	case 0:
		return 0.0f;
	case 1:
		return -0.0f;
	case 2:
		return v * 0x1p-130f;
	case 3:
		return v * 0x1p-20f;
	case 4:
		return v * 100.0f;
	case 5:
		return (float)(int)(v * 127);
	}
	return v * 4;
}

static void fill(float *x, size_t n)
{
	while (n--)
		*x++ = random_float();
}

static const struct mx_kernels *base = &mx_kernels_portable;

typedef void (*set_test)(const struct mx_kernels *k);

/* Calls @test for every set of this host other than the portable one. */
static void on_each_set(set_test test)
{
	enum mx_isa isa;
	int sets = 0;

	for (isa = MX_ISA_AVX2; isa <= MX_ISA_AVX512; isa++) {
		if (!mx_isa_available(isa))
			continue;
		sets++;
		test(mx_kernels_get(isa));
	}
	if (!sets)
		skip();
}

static int activation(const struct mx_kernels *k, const void *row, size_t i)
{
	return k->act_bytes == 2 ? ((const int16_t *)row)[i] : ((const int8_t *)row)[i];
}

/* One row through all functions of a set that take rows; gamma etc. from the same data. */
static void compare_row(const struct mx_kernels *k, size_t n)
{
	static float x[MAX], y[MAX], a[MAX], b[MAX], *other;
	static int8_t bytes[4 * MAX], qa[MAX + 64], qb[MAX + 64];
	static int16_t row_a[MAX + 64], row_b[MAX + 64];
	static int32_t ids[MAX];
	size_t padded = (n + 63) / 64 * 64, i, bytes_n = n * sizeof(float);
	float sa = -1, sb = -1;
	int kind;

	fill(x, n);
	fill(y, n);
	for (i = 0; i < n; i++)
		ids[i] = random_bits() % 3;
	for (i = 0; i < 4 * n; i++)
		bytes[i] = random_bits();

	for (i = 0; i < 2; i++) {
		other = i ? y : NULL;
		memset(qa, 1, sizeof(qa));
		memset(qb, 1, sizeof(qb));
		assert_true(base->quant_i8(x, other, n, qa, padded, &sa));
		assert_true(k->quant_i8(x, other, n, qb, padded, &sb));
		assert_memory_equal(&sa, &sb, sizeof(sa));
		assert_memory_equal(qa, qb, sizeof(qa));
		assert_true(base->quant_act(x, other, n, row_a, padded, &sa));
		assert_true(k->quant_act(x, other, n, row_b, padded, &sb));
		assert_memory_equal(&sa, &sb, sizeof(sa));
		for (size_t j = 0; j < padded; j++)
			assert_int_equal(activation(base, row_a, j), activation(k, row_b, j));
	}

#define SAME(call_a, call_b) do { \
		memcpy(a, y, bytes_n); \
		memcpy(b, y, bytes_n); \
		call_a; \
		call_b; \
		assert_memory_equal(a, b, bytes_n); \
	} while (0)
	SAME(assert_true(base->residual(x, NULL, a, n)), assert_true(k->residual(x, NULL, b, n)));
	SAME(assert_true(base->residual(a, NULL, a, n)), assert_true(k->residual(b, NULL, b, n)));
	SAME(assert_true(base->residual(x, y, a, n)), assert_true(k->residual(x, y, b, n)));
	SAME(base->embed(bytes, 0.37f, a, n, false), k->embed(bytes, 0.37f, b, n, false));
	SAME(base->embed(bytes, 0.37f, a, n, true), k->embed(bytes, 0.37f, b, n, true));
	SAME(base->softmax(x, a, n, n, NULL), k->softmax(x, b, n, n, NULL));
	SAME(base->softmax(x, a, n, n, ids), k->softmax(x, b, n, n, ids));
	SAME(base->softmax(a, a, n, n / 2 + 1, ids), k->softmax(b, b, n, n / 2 + 1, ids));
	SAME(base->norm_layer(x, a, n, y, x, 1e-5f), k->norm_layer(x, b, n, y, x, 1e-5f));
	SAME(base->norm_layer(a, a, n, x, x, 1e-5f), k->norm_layer(b, b, n, x, x, 1e-5f));
	SAME(base->norm_rms(x, a, n, y, 1e-5f), k->norm_rms(x, b, n, y, 1e-5f));
	SAME(base->norm_l2(x, a, n), k->norm_l2(x, b, n));
	SAME(base->add(x, a, a, n), k->add(x, b, b, n));
	for (kind = MXACCEL_ACT_GELU_ERF; kind <= MXACCEL_ACT_TANH; kind++) {
		SAME(base->act[kind](x, a, n), k->act[kind](x, b, n));
		SAME(base->act[kind](a, a, n), k->act[kind](b, b, n));
	}
	SAME(base->interleave4(bytes, n / 4, n / 4, (int8_t *)a),
	     k->interleave4(bytes, n / 4, n / 4, (int8_t *)b));
	ids[0] = 1;
	/* n rows of one column, and a few rows of many */
	SAME(base->pool_mean(x, 1, ids, n, a, 1), k->pool_mean(x, 1, ids, n, b, 1));
	for (i = 1; i <= 20 && i <= n; i++)
		SAME(base->pool_mean(x, n / i, ids, i, a, n / i),
		     k->pool_mean(x, n / i, ids, i, b, n / i));
#undef SAME
	assert_true(k->finite(x, n));
	x[random_bits() % n] = random_bits() % 2 ? -INFINITY : NAN;
	assert_false(k->finite(x, n));
	assert_false(k->quant_i8(x, NULL, n, qb, padded, &sb));
	assert_false(k->quant_act(x, NULL, n, row_b, padded, &sb));
	assert_false(k->residual(x, NULL, b, n));
}

static void compare_rows(const struct mx_kernels *k)
{
	size_t n;

	for (n = 1; n <= 140; n++)
		compare_row(k, n);
	compare_row(k, 384);
	compare_row(k, 1000);
	compare_row(k, 1024);
}

static void all_sets_give_the_same_bits(void **state)
{
	(void)state;
	on_each_set(compare_rows);
}

/* Every exponent and many mantissas of the functions, specials included. */
static void compare_maps(const struct mx_kernels *k)
{
	enum { BLOCK = 4096 };
	static float x[BLOCK], a[BLOCK], b[BLOCK];
	uint64_t bits;
	size_t i;
	int kind;

	for (bits = 0; bits <= UINT32_MAX; ) {
		for (i = 0; i < BLOCK; i++, bits += 4099)
			x[i] = mx_bits_float((uint32_t)bits);
		for (kind = MXACCEL_ACT_GELU_ERF; kind <= MXACCEL_ACT_TANH; kind++) {
			base->act[kind](x, a, BLOCK);
			k->act[kind](x, b, BLOCK);
			for (i = 0; i < BLOCK; i++) {
				if (isnan(a[i]) && isnan(b[i]))
					continue;
				if (memcmp(&a[i], &b[i], sizeof(a[i])))
					fail_msg("activation %d of %a: %a and %a", kind, x[i],
						 a[i], b[i]);
			}
		}
	}
}

static void all_sets_map_alike(void **state)
{
	(void)state;
	on_each_set(compare_maps);
}

static void quantisation_rounds_half_to_even(void **state)
{
	/* 127 is the largest, so that the scale is 1 */
	static const float x[] = { 127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -126.5f,
				   0.49999997f, 0.50000006f, -0.0f, -127, 3.9999998f, 0x1p-140f };
	static const int8_t want[] = { 127, 0, 2, 2, 0, -2, -2, 126, -126, 0, 1, 0, -127, 4, 0 };
	enum { N = sizeof(want) };
	int8_t q[64];
	float scale;

	(void)state;
	assert_true(base->quant_i8(x, NULL, N, q, 64, &scale));
	assert_true(scale == 1.0f);
	assert_memory_equal(q, want, N);
	for (int i = N; i < 64; i++)
		assert_int_equal(q[i], 0);
}

/* The whole range of magnitudes, each as the largest of its row: always 127, never more. */
static void quantisation_stays_in_range(void **state)
{
	float x[3], scale;
	uint32_t bits;
	int8_t q[64];

	(void)state;
	for (bits = 1; bits < 0x7f800000; bits += 65521) {
		x[0] = mx_bits_float(bits);
		x[1] = -x[0];
		x[2] = x[0] / 2;
		assert_true(base->quant_i8(x, NULL, 3, q, 64, &scale));
		if (x[0] < MX_QUANT_MIN) {
			assert_true(scale == 0.0f);
			assert_int_equal(q[0] | q[1] | q[2], 0);
		} else {
			assert_true(scale == x[0] / 127.0f && scale > 0);
			assert_int_equal(q[0], 127);
			assert_int_equal(q[1], -127);
			assert_true(q[2] == 64 || q[2] == 63);
		}
	}
	x[0] = x[1] = x[2] = 0;
	assert_true(base->quant_i8(x, NULL, 3, q, 64, &scale));
	assert_true(scale == 0.0f);
	x[1] = 0x1p-101f;
	assert_true(base->quant_i8(x, NULL, 3, q, 64, &scale));
	assert_true(scale == 0.0f && !q[1]);
}

/* What quantising leaves out, at most half a step, and exactly x - q * s. */
static void residual_is_what_is_left(void **state)
{
	float x[100], left[100], scale;
	int8_t q[128];

	(void)state;
	fill(x, 100);
	assert_true(base->quant_i8(x, NULL, 100, q, 128, &scale));
	assert_true(base->residual(x, NULL, left, 100));
	for (int i = 0; i < 100; i++) {
		assert_true(left[i] == x[i] - (float)q[i] * scale);
		assert_true(fabsf(left[i]) <= 0.5001f * scale);
	}
	/* Rows that quantise to zero are left whole. */
	x[0] = 0x1p-120f;
	assert_true(base->residual(x, NULL, left, 1));
	assert_true(left[0] == x[0]);
}

static void softmax_masks(void **state)
{
	static const float x[] = { 1, 100, 1, -INFINITY, 3e38f, 1 };
	static const int32_t ids[] = { 5, 0, 6, 7, 0, 8 };
	static const int32_t none[6];
	float y[6];

	(void)state;
	base->softmax(x, y, 6, 6, ids);
	assert_true(y[0] == 1.0f / 3 && y[2] == y[0] && y[5] == y[0]);
	assert_true(y[1] == 0 && y[3] == 0 && y[4] == 0);
	base->softmax(x, y, 6, 3, ids);
	assert_true(y[0] == 0.5f && y[1] == 0 && y[2] == 0.5f);
	assert_true(y[3] == 0 && y[4] == 0 && y[5] == 0);
	base->softmax(x, y, 6, 6, none);
	for (int i = 0; i < 6; i++)
		assert_true(y[i] == 0);
	base->softmax(x, y, 6, 1, NULL);
	assert_true(y[0] == 1 && y[1] == 0);
}

/* A NaN must reach some output, or else the job would succeed with wrong numbers. */
static void a_nan_is_never_lost(void **state)
{
	float x[40], y[40], gamma[40];
	int32_t ids[40];
	int kind, at;

	(void)state;
	for (at = 0; at < 40; at++) {
		for (int i = 0; i < 40; i++) {
			x[i] = (float)i;
			gamma[i] = 1;
			ids[i] = 1;
		}
		x[at] = mx_bits_float(at % 2 ? 0x7fc00000 : 0xffc00000);
		base->softmax(x, y, 40, 40, ids);
		assert_false(base->finite(y, 40));
		base->norm_layer(x, y, 40, gamma, gamma, 0.0f);
		assert_false(base->finite(y, 40));
		base->norm_rms(x, y, 40, gamma, 0.0f);
		assert_false(base->finite(y, 40));
		base->norm_l2(x, y, 40);
		assert_false(base->finite(y, 40));
		base->pool_mean(x, 1, ids, 40, y, 1);
		assert_false(base->finite(y, 1));
		for (kind = MXACCEL_ACT_GELU_ERF; kind <= MXACCEL_ACT_TANH; kind++) {
			base->act[kind](x, y, 40);
			assert_false(base->finite(y, 40));
		}
	}
}

static void norms_are_right(void **state)
{
	static float x[MAX], y[MAX], gamma[MAX], beta[MAX];
	static const size_t lengths[] = { 1, 7, 16, 33, 384, 1024 };
	size_t l, i, n;

	(void)state;
	for (l = 0; l < ARRAY_SIZE(lengths); l++) {
		double sum = 0, squares = 0, around = 0;

		n = lengths[l];
		for (i = 0; i < n; i++) {
			x[i] = (float)random_bits() / (1 << 24) * 3 - 1;
			gamma[i] = (float)random_bits() / (1 << 24) + 0.5f;
			beta[i] = (float)random_bits() / (1 << 24);
			sum += x[i];
			squares += (double)x[i] * x[i];
		}
		for (i = 0; i < n; i++)
			around += (x[i] - sum / n) * (x[i] - sum / n);
		base->norm_layer(x, y, n, gamma, beta, 1e-3f);
		for (i = 0; i < n; i++)
			assert_float_equal(y[i], (x[i] - sum / n) / sqrt(around / n + 1e-3) *
					   gamma[i] + beta[i], 4e-6);
		base->norm_rms(x, y, n, gamma, 1e-3f);
		for (i = 0; i < n; i++)
			assert_float_equal(y[i], x[i] / sqrt(squares / n + 1e-3) * gamma[i], 2e-6);
		base->norm_l2(x, y, n);
		for (i = 0; i < n; i++)
			assert_float_equal(y[i], x[i] / sqrt(squares), 1e-6);
	}
	memset(x, 0, sizeof(x));
	base->norm_l2(x, y, 33);
	for (i = 0; i < 33; i++)
		assert_true(y[i] == 0);
}

/* Distance in units of the last place of the exact value. */
static double ulps(float got, double exact)
{
	int exponent;

	frexp(exact, &exponent);
	if (exponent < -125)
		exponent = -125;
	return fabs(got - exact) / ldexp(1, exponent - 24);
}

/* Calls @check for about four million inputs between @low and @high. */
static double worst(double low, double high, double (*error)(float x))
{
	double at, most = 0, e;

	for (at = low; at <= high; at += (high - low) / (1 << 22)) {
		e = error((float)at);
		most = e > most ? e : most;
	}
	return most;
}

static double exp_error(float x)
{
	return ulps(mx_expf(x), exp((double)x));
}

static double erf_error(float x)
{
	return ulps(mx_erff(x), erf((double)x));
}

static double tanh_error(float x)
{
	return ulps(mx_tanhf(x), tanh((double)x));
}

static double mapped(int kind, float x)
{
	float y;

	base->act[kind](&x, &y, 1);
	return y;
}

static double gelu_erf_error(float x)
{
	return fabs(mapped(MXACCEL_ACT_GELU_ERF, x) - x * 0.5 * (1 + erf(x * M_SQRT1_2)));
}

static double gelu_tanh_error(float x)
{
	double inner = sqrt(M_2_PI) * (x + 0.044715 * (double)x * x * x);

	return fabs(mapped(MXACCEL_ACT_GELU_TANH, x) - x * 0.5 * (1 + tanh(inner)));
}

static double silu_error(float x)
{
	return fabs(mapped(MXACCEL_ACT_SILU, x) - x / (1 + exp(-(double)x)));
}

/* The bounds are those that sfu_math.h states. */
static void errors_are_as_stated(void **state)
{
	(void)state;
	assert_true(worst(-87, 88.7, exp_error) <= 0.953);
	assert_true(worst(-1, 1, exp_error) <= 0.953);
	assert_true(worst(-104, -87, exp_error) <= 0.953);
	assert_true(worst(-4.5, 4.5, erf_error) <= 2.454);
	assert_true(worst(-0.5, 0.5, erf_error) <= 2.454);
	assert_true(worst(-10, 10, tanh_error) <= 1.332);
	assert_true(worst(-0.7, 0.7, tanh_error) <= 1.332);
	assert_true(worst(-12, 12, gelu_erf_error) <= 4.5e-7);
	assert_true(worst(-12, 12, gelu_tanh_error) <= 1e-6);
	assert_true(worst(-20, 20, silu_error) <= 2e-6);
}

static void functions_at_their_ends(void **state)
{
	(void)state;
	assert_true(mx_expf(0.0f) == 1 && mx_expf(-0.0f) == 1);
	assert_true(mx_expf(-INFINITY) == 0 && mx_expf(INFINITY) == INFINITY);
	assert_true(mx_expf(-1e30f) == 0 && mx_expf(1e30f) == INFINITY);
	assert_true(mx_erff(INFINITY) == 1 && mx_erff(-INFINITY) == -1 && mx_erff(0.0f) == 0);
	assert_true(mx_tanhf(INFINITY) == 1 && mx_tanhf(-INFINITY) == -1 && mx_tanhf(0.0f) == 0);
	assert_true(mx_expf(NAN) != mx_expf(NAN) && mx_erff(NAN) != mx_erff(NAN) &&
		    mx_tanhf(NAN) != mx_tanhf(NAN));
	assert_true(mapped(MXACCEL_ACT_RELU, -3) == 0 && mapped(MXACCEL_ACT_RELU, 3) == 3);
	assert_true(mapped(MXACCEL_ACT_SILU, -200) == 0 && mapped(MXACCEL_ACT_SILU, 200) == 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sets_give_the_same_bits),
		cmocka_unit_test(all_sets_map_alike),
		cmocka_unit_test(quantisation_rounds_half_to_even),
		cmocka_unit_test(quantisation_stays_in_range),
		cmocka_unit_test(residual_is_what_is_left),
		cmocka_unit_test(softmax_masks),
		cmocka_unit_test(a_nan_is_never_lost),
		cmocka_unit_test(norms_are_right),
		cmocka_unit_test(errors_are_as_stated),
		cmocka_unit_test(functions_at_their_ends),
	};

	return cmocka_run_group_tests_name("function units", tests, NULL, NULL);
}
