/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exp, erf and tanh of the chip's digital function units.
 *
 * IEEE binary32, round to nearest even, one rounding per written operation, in
 * the written order: compile with -ffp-contract=off. No libm, table, branch
 * or FMA, so that every host and vector width gives the same bits.
 * Assumes subnormals are kept (no flush to zero) and round to nearest even.
 *
 * Errors were measured against a binary64 libm: exp on every float with
 * 2^-26 <= |x| <= 128, erf, tanh and GELU on every float with
 * 2^-14 <= |x| < 16; outside these, on a sample of at least 1 in 2048.
 */
#ifndef MX_SFU_MATH_H
#define MX_SFU_MATH_H

#include <stdint.h>
#include <string.h>

static inline uint32_t mx_float_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline float mx_bits_float(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* Integer selects: a compiler may not turn them into branches on floats. */
static inline float mx_select(int condition, float yes, float no)
{
	uint32_t mask = (uint32_t)-condition;

	return mx_bits_float((mx_float_bits(yes) & mask) | (mx_float_bits(no) & ~mask));
}

static inline float mx_absf(float x)
{
	return mx_bits_float(mx_float_bits(x) & 0x7fffffffu);
}

/*
 * e^x. Reduction by n*ln2 in two parts, degree 7 polynomial, scaling by two
 * powers of two so that results beyond the normal range round once.
 * Below -104 the result is +0, above 88.72284 (e^x > FLT_MAX) it is +inf.
 * NaN gives the same NaN, -inf 0, +inf +inf; e^0 is exactly 1.
 * Error: 0.952 ulp (at -59.939537); 0.750 units of 2^-149 where e^x is subnormal.
 */
static inline float mx_expf(float x)
{
	/* clamp on integers' side of the conversion: |n| <= 151 for any input */
	float low = mx_select(x < -104.0f, -104.0f, x);
	float c = mx_select(low > 89.0f, 89.0f, low);
	float safe = mx_select(c != c, 0.0f, c);
	/* 1.5 * 2^23 pushes the fraction out: round to nearest even */
	float shifted = safe * 1.44269504f + 12582912.0f;
	float n = shifted - 12582912.0f;
	float r = (safe - n * 0.693145752f) - n * 1.42860677e-6f;
	float p = 1.99133210e-4f;
	float rr = r * r;
	int32_t whole = (int32_t)(mx_float_bits(shifted) - 0x4b400000u);
	int32_t half = whole >> 1;

	p = p * r + 1.39354880e-3f;
	p = p * r + 8.33327509e-3f;
	p = p * r + 4.16664593e-2f;
	p = p * r + 1.66666672e-1f;
	p = p * r + 0.5f;
	p = (p * rr + r) + 1.0f;
	p = p * mx_bits_float((uint32_t)(half + 127) << 23);
	p = p * mx_bits_float((uint32_t)(whole - half + 127) << 23);
	p = mx_select(x < -104.0f, 0.0f, p);
	return mx_select(x != x, x, p);
}

/*
 * erf(x). Below 1 an odd polynomial; above, 1 - exp(-a * R(a)) with R fitted
 * to -log(erfc(a)) / a on [0.9, 4]; beyond 4 erf rounds to 1.
 * Odd in every bit; NaN gives the same NaN, +-inf +-1.
 * Error: 2.453 ulp (at 0.474788517), 1.44e-7 absolute (at 0.975388348).
 * GELU as (x * 0.5f) * (1.0f + mx_erff(x * 0.707106769f)): 4.49e-7 absolute
 * (at 5.07518); its negative tail is exactly -0 below -5.54303408, so relative
 * error there is total. GELU(-inf) is NaN (-inf * 0), whose sign bit is the host's.
 */
static inline float mx_erff(float x)
{
	float a = mx_absf(x);
	float b = mx_select(a > 4.0f, 4.0f, a);
	float t = b * b;
	float s = 7.889120752e-5f;
	float q = 1.0763424143e-5f;
	float big;

	s = s * t + -8.020841633e-4f;
	s = s * t + 5.189535208e-3f;
	s = s * t + -2.685444430e-2f;
	s = s * t + 1.128360033e-1f;
	s = s * t + -3.761262596e-1f;
	s = s * t + 1.128379107f;
	s = s * b;
	q = q * b + -3.180620552e-4f;
	q = q * b + 3.622927936e-3f;
	q = q * b + -2.372020483e-2f;
	q = q * b + 1.061876267e-1f;
	q = q * b + 6.351814866e-1f;
	q = q * b + 1.128641009f;
	big = 1.0f - mx_expf(-(q * b));
	big = mx_select(a < 1.0f, s, big);
	big = mx_bits_float(mx_float_bits(big) | (mx_float_bits(x) & 0x80000000u));
	return mx_select(x != x, x, big);
}

/*
 * tanh(x). Below 0.625 an odd polynomial; above, 1 - 2 / (e^(2a) + 1); beyond
 * 9.1 tanh rounds to 1. Odd in every bit; NaN gives the same NaN, +-inf +-1.
 * Error: 1.331 ulp (at 0.628309548), 7.93e-8 absolute.
 */
static inline float mx_tanhf(float x)
{
	float a = mx_absf(x);
	float b = mx_select(a > 10.0f, 10.0f, a);
	float t = b * b;
	float s = -5.672425032e-3f;
	float big;

	s = s * t + 2.060315013e-2f;
	s = s * t + -5.372523144e-2f;
	s = s * t + 1.333118528e-1f;
	s = s * t + -3.333326280e-1f;
	s = (s * t) * b + b;
	big = 1.0f - 2.0f / (mx_expf(b + b) + 1.0f);
	big = mx_select(a < 0.625f, s, big);
	big = mx_bits_float(mx_float_bits(big) | (mx_float_bits(x) & 0x80000000u));
	return mx_select(x != x, x, big);
}

#endif
