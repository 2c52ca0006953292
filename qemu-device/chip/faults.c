// SPDX-License-Identifier: LGPL-2.1-or-later
/* Draws of stuck cells and verify retries. */
#include <math.h>
#include <string.h>

#include "faults.h"
#include "philox.h"

#define CERTAIN 1e-300	/* a chance this small would leave the range of double */

uint32_t mx_chunk_cells(const struct mx_chip_config *config)
{
	return MXACCEL_CHUNK * mx_chip_weight_cells(config);
}

uint32_t mx_chunk_cols(const struct mx_chip_config *config)
{
	uint32_t rows = config->kind == MX_SYNERGY ? config->bank_rows : config->large_rows;
	uint32_t cols = rows ? mx_chunk_cells(config) / rows : 0;

	return cols ? cols : 1;
}

/* By squaring: only multiplications, so the same bits everywhere. */
static double power(double base, uint32_t exponent)
{
	double result = 1;

	for (; exponent; exponent >>= 1) {
		if (exponent & 1)
			result *= base;
		base *= base;
	}
	return result;
}

/* The number k with P(fewer than k) <= u < P(at most k) in a binomial distribution. */
static uint32_t binomial(uint32_t n, double p, double u)
{
	double chance = power(1 - p, n), sum = chance;
	uint32_t k = 0;

	if (chance < CERTAIN)
		return n * p;
	while (sum <= u && k < n) {
		chance *= (n - k) / (k + 1.0) * (p / (1 - p));
		sum += chance;
		k++;
	}
	return k;
}

struct mx_faults mx_faults_draw(uint64_t seed, uint32_t chunk, double p, uint32_t cells,
				uint32_t cols, uint8_t *scratch)
{
	uint32_t counter[4] = { chunk, 0, MX_PHILOX_STUCK, 0 };
	struct mx_faults faults = { 0 };
	uint32_t out[4], col, i;

	if (p <= 0)
		return faults;
	mx_philox(seed, counter, out);
	faults.cells = binomial(cells, p, (((uint64_t)out[0] << 32 | out[1]) >> 11) * 0x1p-53);
	if (power(1 - p, cells) < CERTAIN) {
		faults.cols = cols;
		return faults;
	}
	memset(scratch, 0, cols);
	for (i = 0; i < faults.cells; i++) {
		if (i % 4 == 0) {
			counter[1]++;
			mx_philox(seed, counter, out);
		}
		col = (uint64_t)out[i % 4] * cols >> 32;
		faults.cols += !scratch[col];
		scratch[col] = 1;
	}
	return faults;
}

uint64_t mx_retries_draw(uint64_t seed, uint32_t chunk, uint32_t wear, uint32_t cells, double p)
{
	const uint32_t counter[4] = { chunk, wear, MX_PHILOX_RETRY, 0 };
	double z, retries;
	uint32_t out[4];

	if (p <= 0)
		return 0;
	mx_philox(seed, counter, out);
	z = ((double)((uint64_t)out[0] + out[1] + out[2] + out[3]) * 0x1p-32 - 2) * sqrt(3);
	retries = cells * p + z * sqrt(cells * p * (1 - p)) + 0.5;
	return retries > 0 ? (uint64_t)retries : 0;
}
