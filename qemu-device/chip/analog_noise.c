// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Normal quantiles: algorithm AS 241 (PPND16), Wichura, Applied Statistics 37 (1988),
 * accurate to 1e-16, from IEEE operations alone; tabulated, but for the tails.
 */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "analog_noise.h"

#define TABLE_BITS	MX_NORMAL_BITS
#define INTERVALS	MX_NORMAL_INTERVALS
#define REST_BITS	(32 - TABLE_BITS)
/* Intervals at both ends that are computed: the quantile bends too much to interpolate. */
#define TAIL		MX_NORMAL_TAIL

/* Natural logarithm of x > 0: x = m 2^e, and ln m = 2 atanh((m - 1) / (m + 1)). */
static double logarithm(double x)
{
	const double ln2 = 0x1.62e42fefa39efp-1;
	double m, s, term, sum = 0;
	uint64_t bits;
	int e, i;

	memcpy(&bits, &x, sizeof(bits));
	e = (int)(bits >> 52) - 1023;
	bits = (bits & 0xfffffffffffff) | (uint64_t)1023 << 52;
	memcpy(&m, &bits, sizeof(m));
	if (m > 1.4142135623730951) {
		m = m * 0.5;
		e++;
	}
	s = (m - 1) / (m + 1);
	term = s;
	for (i = 1; i < 40; i += 2) {
		sum = sum + term / i;
		term = term * (s * s);
	}
	return e * ln2 + 2 * sum;
}

static double ratio(const double a[8], const double b[8], double r)
{
	double up = a[7], down = b[7];
	int i;

	for (i = 6; i >= 0; i--) {
		up = up * r + a[i];
		down = down * r + b[i];
	}
	return up / down;
}

/* For 0 < p < 1 */
static double quantile(double p)
{
	static const double a[8] = {
		3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427,
		13731.693765509461125, 45921.953931549871457, 67265.770927008700853,
		33430.575583588128105, 2509.0809287301226727,
	};
	static const double b[8] = {
		1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
		21213.794301586595867, 39307.895800092710610, 28729.085735721942674,
		5226.4952788528545610,
	};
	static const double c[8] = {
		1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
		3.64784832476320460504, 1.27045825245236838258, 0.241780725177450611770,
		0.0227238449892691845833, 7.74545014278341407640e-4,
	};
	static const double d[8] = {
		1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550,
		0.148103976427480074590, 0.0151986665636164571966, 5.47593808499534494600e-4,
		1.05075007164441684324e-9,
	};
	static const double e[8] = {
		6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
		0.296560571828504891230, 0.0265321895265761230930, 1.24266094738807843860e-3,
		2.71155556874348757815e-5, 2.01033439929228813265e-7,
	};
	static const double f[8] = {
		1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525,
		7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
		2.04426310338993978564e-15,
	};
	double q = p - 0.5, r, value;

	if (q >= -0.425 && q <= 0.425)
		return q * ratio(a, b, 0.180625 - q * q);
	r = sqrt(-logarithm(q < 0 ? p : 1 - p));
	value = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
	return q < 0 ? -value : value;
}

static int32_t table[INTERVALS + 1];
static pthread_once_t made = PTHREAD_ONCE_INIT;

static int32_t to_fixed(double value)
{
	return value < 0 ? -(int32_t)(0.5 - value * MX_NORMAL_ONE) :
			   (int32_t)(value * MX_NORMAL_ONE + 0.5);
}

static void make_table(void)
{
	int i;

	for (i = 1; i < INTERVALS; i++)
		table[i] = to_fixed(quantile((double)i / INTERVALS));
}

int32_t mx_normal(uint32_t bits)
{
	uint32_t at = bits >> REST_BITS;
	int64_t rest = bits & ((1u << REST_BITS) - 1);

	pthread_once(&made, make_table);
	if (at < TAIL || at >= INTERVALS - TAIL)
		return to_fixed(quantile((bits + 0.5) / 4294967296.0));
	return table[at] + (int32_t)((table[at + 1] - table[at]) * rest / (1 << REST_BITS));
}

const int32_t *mx_normal_table(void)
{
	pthread_once(&made, make_table);
	return table;
}

double mx_logarithm(double x)
{
	return logarithm(x);
}
