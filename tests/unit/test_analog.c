// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Analog products of every instruction set of this host, with and without the
 * proof that conversions lose nothing, against the definition written as loops:
 * equal sums, codes, results and numbers of saturated conversions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analog.h"
#include "analog_noise.h"
#include "internal.h"
#include "kernels.h"
#include "pool.h"
#include "profile.h"

static uint32_t random_state = 1;

static uint32_t random_bits(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static void *need(void *memory)
{
	assert_non_null(memory);
	return memory;
}

/* ---------------------------------------------------------- the definition */

static int floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int round_half(int64_t sum, int64_t step, enum mx_adc_tie tie)
{
	int down = floor_div(sum, step);
	int64_t twice = 2 * (sum - down * step);

	if (twice > step || (twice == step && (tie == MX_HALF_UP || down % 2)))
		return down + 1;
	return down;
}

struct problem {
	struct mx_chip_config config;
	struct mx_analog analog;
	size_t rows, k, n, groups, conversions;
	uint8_t *x;		/* [rows][k] */
	int8_t *w;		/* [n][k] */
	int8_t *panels;
	int32_t shift;
	int32_t *sums, *codes;	/* what is right */
	int64_t *y;
	uint64_t saturated;
	int64_t *out;
};

static int value(const struct problem *p, uint8_t byte)
{
	return p->config.analog.input == MX_UNSIGNED ? byte : (int8_t)byte;
}

/* Digit @step of @x, and what it is worth. */
static int digit(const struct problem *p, int x, int step, int64_t *worth)
{
	int d = p->config.dac_bits, nr = p->analog.steps, size = 1 << d, i, rest;

	*worth = 1ll << (d * step);
	if (p->config.analog.input == MX_SIGN_MAGNITUDE)
		return (x < 0 ? -1 : 1) * (abs(x) / (int)*worth % size);
	if (p->config.analog.input == MX_UNSIGNED)
		return x / *worth % size;
	for (rest = x, i = 0; i < step; i++)
		rest = floor_div(rest, size);
	if (step + 1 < nr)
		return rest - floor_div(rest, size) * size;
	if (d > 1)
		return rest;
	*worth = -*worth;	/* -1 or 0 is left */
	return -rest;
}

static int level(const struct problem *p, int w, int slice)
{
	int size = 1 << p->config.cell_bits, i;
	int u = p->config.analog.mapping == MX_OFFSET ? w + 128 : abs(w);

	for (i = 0; i < slice; i++)
		u /= size;
	return u % size * (w < 0 && p->config.analog.mapping == MX_DIFFERENTIAL ? -1 : 1);
}

static void define(struct problem *p)
{
	const struct mx_analog_keys *keys = &p->config.analog;
	int adc = p->config.large_adc_bits;
	size_t g, n, t, r, at;
	uint32_t i, k;

	p->saturated = 0;
	for (t = 0; t < p->rows; t++)
		for (n = 0; n < p->n; n++) {
			int64_t y = 0;

			for (r = 0; r < p->k; r++)
				y -= (int64_t)(keys->mapping == MX_OFFSET ? 128 : 0) *
				     value(p, p->x[t * p->k + r]) +
				     p->shift * p->w[n * p->k + r];
			p->y[t * p->n + n] = y;
		}
	for (at = 0; at < p->conversions; at++) {
		int high = (1 << adc) - 1, low = 0, code;
		int64_t sum = 0, worth = 0;

		t = at % p->rows;
		n = at / p->rows % p->n;
		k = at / p->rows / p->n % p->analog.steps;
		i = at / p->rows / p->n / p->analog.steps % p->analog.slices;
		g = at / p->rows / p->n / p->analog.steps / p->analog.slices;
		if (keys->mapping == MX_DIFFERENTIAL || keys->input == MX_SIGN_MAGNITUDE ||
		    (keys->input == MX_TWOS_COMPLEMENT && p->config.dac_bits > 1 &&
		     k + 1 == p->analog.steps)) {
			high = (1 << (adc - 1)) - 1;
			low = -high;
		}
		for (r = g * p->analog.active; r < (g + 1) * p->analog.active && r < p->k; r++)
			sum += level(p, p->w[n * p->k + r], i) *
			       digit(p, value(p, p->x[t * p->k + r]), k, &worth);
		code = round_half(sum, keys->adc_steps[i], keys->adc_tie);
		if (code > high || code < low) {
			code = code > high ? high : low;
			p->saturated++;
		}
		p->sums[at] = sum;
		p->codes[at] = code;
		p->y[t * p->n + n] += worth * (1ll << (p->config.cell_bits * i)) *
				      keys->adc_steps[i] * code;
	}
}

/* ------------------------------------------------------------------- runs */

enum fill { RANDOM, SMALL, POSITIVE, LOWEST, HIGHEST, MIXED, ZERO };

static int fill_byte(enum fill fill, int low, int high, size_t i)
{
	switch (fill) {
	case SMALL:
		return (int)(random_bits() % 31) - (low < 0 ? 15 : 0);
	case POSITIVE:
		return (int)(random_bits() % 128);
	case LOWEST:
		return low;
	case HIGHEST:
		return high;
	case MIXED:
		return i % 2 ? low : high;
	case ZERO:
		return 0;
	default:
		return low + (int)(random_bits() % (unsigned int)(high - low + 1));
	}
}

static void setup(struct problem *p, enum fill fill_w, enum fill fill_x)
{
	struct mx_analog *a = &p->analog;
	bool is_unsigned = p->config.analog.input == MX_UNSIGNED;
	size_t i, j;

	mx_analog_init(a, &p->config, 1);
	p->groups = mx_analog_groups(a, p->k);
	p->conversions = p->groups * a->slices * a->steps * p->n * p->rows;
	p->x = need(malloc(p->rows * p->k));
	p->w = need(malloc(p->n * p->k));
	p->panels = need(aligned_alloc(64, MXACCEL_PANEL_BYTES(p->n, p->k)));
	p->sums = need(malloc(p->conversions * sizeof(*p->sums)));
	p->codes = need(malloc(p->conversions * sizeof(*p->codes)));
	p->y = need(malloc(p->rows * p->n * sizeof(*p->y)));
	p->out = need(malloc(p->rows * p->n * sizeof(*p->out)));
	p->shift = is_unsigned && random_bits() % 2 ? 128 : 0;
	for (i = 0; i < p->rows * p->k; i++)
		p->x[i] = is_unsigned ? fill_byte(fill_x, 0, 255, i) :
			fill_byte(fill_x, mx_analog_input_fits(a, -128) ? -128 : -127, 127, i);
	/* What lies beside the product must not matter. */
	memset(p->panels, 0x55, MXACCEL_PANEL_BYTES(p->n, p->k));
	for (i = 0; i < p->n; i++)
		for (j = 0; j < p->k; j++) {
			p->w[i * p->k + j] = fill_byte(fill_w,
				mx_analog_weight_fits(a, -128) ? -128 : -127, 127, i + j);
			p->panels[MXACCEL_PANEL_OFFSET(i, j, p->k)] = p->w[i * p->k + j];
		}
	define(p);
}

static void drop(struct problem *p)
{
	free(p->x);
	free(p->w);
	free(p->panels);
	free(p->sums);
	free(p->codes);
	free(p->y);
	free(p->out);
}

static void put(void *arg, size_t row, size_t nr_rows, size_t col,
		const int64_t block[][MXACCEL_PANEL_COLS])
{
	struct problem *p = arg;
	size_t r, c;

	for (r = 0; r < nr_rows; r++)
		for (c = 0; c < MXACCEL_PANEL_COLS && col + c < p->n; c++)
			p->out[(row + r) * p->n + col + c] = block[r][c];
}

/* What a step of @step counts does to the sums of a slice, as the definition has it. */
static struct mx_step_loss define_loss(const struct problem *p, uint32_t slice, int step)
{
	size_t inner = p->n * p->rows, at, g;
	struct mx_step_loss loss = { 0 };
	int64_t error, worth;
	uint32_t k;

	for (g = 0; g < p->groups * inner; g++) {
		for (error = 0, k = 0; k < p->analog.steps; k++) {
			int sum, code, in;

			at = ((g / inner * p->analog.slices + slice) * p->analog.steps + k) * inner;
			sum = p->sums[at + g % inner];
			code = round_half(sum, step, p->config.analog.adc_tie);
			in = code > p->analog.high[k] ? p->analog.high[k] :
			     code < p->analog.low[k] ? p->analog.low[k] : code;
			loss.clamped += in != code;
			loss.rounded += in == code && sum != in * step;
			digit(p, 0, k, &worth);
			error += worth * (sum - in * step);
		}
		loss.squares += error * error;
	}
	return loss;
}

/* A profile sees all sums, and changes no result. */
static void check_profile(struct problem *p, struct mx_analog_product *product, struct mx_pool *pool)
{
	struct mx_profile profile;
	uint32_t slice, i;

	mx_profile_init(&profile, &p->analog);
	product->profile = &profile;
	memset(p->out, 0x5a, p->rows * p->n * sizeof(*p->out));
	assert_int_equal(mx_analog_multiply(&p->analog, product, MX_ISA_AUTO, pool), 0);
	assert_memory_equal(p->out, p->y, p->rows * p->n * sizeof(*p->out));
	assert_int_equal(product->saturated, p->saturated);
	assert_int_equal(profile.conversions, p->conversions / p->analog.slices);
	for (slice = 0; slice < p->analog.slices; slice++) {
		for (i = 0; i < profile.nr_steps; i++) {
			struct mx_step_loss want = define_loss(p, slice, 1 << i);
			const struct mx_step_loss *got = &profile.loss[slice][i];

			assert_int_equal(got->clamped, want.clamped);
			assert_int_equal(got->rounded, want.rounded);
			assert_true(got->squares == want.squares);
		}
		assert_int_equal(profile.loss[slice][i - 1].clamped, 0);
	}
}

static void run(struct problem *p, enum mx_isa isa, struct mx_pool *pool, bool no_proof, bool trace)
{
	struct mx_analog_weights weights = {
		.panels = p->panels, .k = p->k, .n = p->n,
		.steps = trace ? p->config.analog.adc_steps : NULL,
	};
	struct mx_analog_prepared *prepared;
	struct mx_analog_product product = {
		.x = p->x, .x_stride = p->k,
		.x_shift = p->shift, .rows = p->rows, .no_proof = no_proof, .put = put, .arg = p,
	};
	size_t i, bytes = p->conversions * sizeof(int32_t);
	const struct mx_chip_config *c = &p->config;
	char what[160];

	snprintf(what, sizeof(what),
		 "%s%s%s: %zux%zux%zu, input %d dac %u mapping %d cell %u active %u adc %u step %u tie %d",
		 mx_isa_name(isa), no_proof ? ", no proof" : "", trace ? ", recorded" : "",
		 p->rows, p->k, p->n, c->analog.input, c->dac_bits, c->analog.mapping,
		 c->cell_bits, p->analog.active, c->large_adc_bits, c->analog.adc_steps[0],
		 c->analog.adc_tie);
	/* Steps of the product go before those of the chip file. */
	if (trace)
		memset(p->analog.keys.adc_steps, 0, sizeof(p->analog.keys.adc_steps));
	prepared = need(mx_analog_prepare(&p->analog, &weights, pool));
	product.prepared = prepared;
	if (trace) {
		product.sums = need(malloc(bytes));
		product.codes = need(malloc(bytes));
		memset(product.sums, 0x5a, bytes);
		memset(product.codes, 0x5a, bytes);
	}
	memset(p->out, 0x5a, p->rows * p->n * sizeof(*p->out));
	assert_int_equal(mx_analog_multiply(&p->analog, &product, isa, pool), 0);
	for (i = 0; i < p->rows * p->n; i++)
		if (p->out[i] != p->y[i])
			fail_msg("%s: [%zu][%zu] is %lld, not %lld", what, i / p->n, i % p->n,
				 (long long)p->out[i], (long long)p->y[i]);
	if (product.saturated != p->saturated)
		fail_msg("%s: %llu conversions saturated, not %llu", what,
			 (unsigned long long)product.saturated, (unsigned long long)p->saturated);
	for (i = 0; trace && i < p->conversions; i++)
		if (product.sums[i] != p->sums[i] || product.codes[i] != p->codes[i])
			fail_msg("%s: conversion %zu: %d gave %d, not %d giving %d", what, i,
				 product.sums[i], product.codes[i], p->sums[i], p->codes[i]);
	free(product.sums);
	free(product.codes);
	product.sums = product.codes = NULL;
	if (trace)
		check_profile(p, &product, pool);
	/* What is proved to lose nothing has nothing that saturates. */
	if (mx_analog_lossless(prepared))
		assert_int_equal(p->saturated, 0);
	mx_analog_prepared_free(prepared);
}

static struct mx_pool *pool;

static void try(struct problem *p, enum fill fill_w, enum fill fill_x)
{
	enum mx_isa isa;

	setup(p, fill_w, fill_x);
	for (isa = MX_ISA_PORTABLE; isa <= MX_ISA_AVX512; isa++) {
		if (!mx_isa_available(isa))
			continue;
		run(p, isa, pool, false, false);
		run(p, isa, pool, true, false);
	}
	run(p, MX_ISA_AUTO, pool, false, true);
	drop(p);
}

static struct problem problem(size_t rows, size_t k, size_t n)
{
	struct problem p = { .rows = rows, .k = k, .n = n };
	uint32_t i;

	p.config = (struct mx_chip_config){
		.kind = MX_INPLACE, .large_rows = 128, .large_cols = 128, .cell_bits = 2,
		.dac_bits = 1, .large_adc_bits = 8,
	};
	for (i = 0; i < MX_MAX_SLICES; i++)
		p.config.analog.adc_steps[i] = 1;
	return p;
}

static void every_configuration(void **state)
{
	static const uint32_t dacs[] = { 1, 2, 4, 8 }, cells[] = { 1, 2, 3, 4, 7, 8 };
	static const uint32_t steps[] = { 1, 2, 3, 6, 16 }, adcs[] = { 3, 6, 8, 16 };
	static const uint32_t rows[] = { 0, 16, 64 };
	uint32_t i, round, of;

	(void)state;
	for (round = 0; round < 3 * 2 * ARRAY_SIZE(dacs) * ARRAY_SIZE(cells) * 8; round++) {
		struct problem p = problem(1 + random_bits() % 40, 1 + random_bits() % 300,
					   1 + random_bits() % 40);

		of = round / 8;
		p.config.dac_bits = dacs[of % ARRAY_SIZE(dacs)];
		of /= ARRAY_SIZE(dacs);
		p.config.cell_bits = cells[of % ARRAY_SIZE(cells)];
		of /= ARRAY_SIZE(cells);
		p.config.analog.input = of % 3;
		p.config.analog.mapping = of / 3;
		p.config.large_adc_bits = adcs[random_bits() % ARRAY_SIZE(adcs)];
		p.config.analog.adc_tie = random_bits() % 2;
		p.config.analog.rows_active = rows[random_bits() % ARRAY_SIZE(rows)];
		for (i = 0; i < MX_MAX_SLICES; i++)
			p.config.analog.adc_steps[i] = round % 8 < 2 ? 1 :
						       steps[random_bits() % ARRAY_SIZE(steps)];
		try(&p, round % 2 ? RANDOM : SMALL, round % 3 ? RANDOM : SMALL);
	}
}

static void adversarial_operands(void **state)
{
	enum fill w, x;
	int mapping, input;

	(void)state;
	for (mapping = 0; mapping <= MX_OFFSET; mapping++)
		for (input = 0; input <= MX_UNSIGNED; input++)
			for (w = RANDOM; w <= ZERO; w++)
				for (x = RANDOM; x <= ZERO; x++) {
					/* few tokens, and enough for tables */
					struct problem p = problem((w + x) % 4 ? 2 : 32, 260, 17);

					p.config.large_adc_bits = 7 + random_bits() % 3;
					p.config.analog.mapping = mapping;
					p.config.analog.input = input;
					try(&p, w, x);
				}
}

/*
 * Columns whose halves fit bytes but whose sums do not: beyond the ADC's range, by a little
 * and by much, and exactly at its ends.
 */
static void sums_at_the_edge_of_a_byte(void **state)
{
	int mapping, bits, active;

	(void)state;
	for (mapping = 0; mapping <= MX_OFFSET; mapping++)
		for (bits = 6; bits <= 9; bits++)
			for (active = 0; active <= 64; active += 64) {
				struct problem p = problem(34, 150, 18);

				p.config.large_adc_bits = bits;
				p.config.analog.mapping = mapping;
				p.config.analog.input = bits % 2 ? MX_UNSIGNED : MX_TWOS_COMPLEMENT;
				p.config.analog.rows_active = active;
				try(&p, POSITIVE, active ? HIGHEST : RANDOM);
				try(&p, POSITIVE, MIXED);
				try(&p, MIXED, HIGHEST);
			}
}

static void every_number_of_tokens(void **state)
{
	static const size_t many[] = { 63, 64, 65, 127, 128, 129, 192, 200, 300 };
	size_t i;

	(void)state;
	for (i = 1; i < 20; i++) {
		struct problem p = problem(i, 100, 18);

		try(&p, RANDOM, RANDOM);
	}
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		struct problem p = problem(many[i], 140, 3);

		p.config.large_adc_bits = 6;
		p.config.analog.adc_steps[0] = 2;
		p.config.analog.adc_steps[1] = 3;
		try(&p, RANDOM, RANDOM);
	}
}

static void every_length(void **state)
{
	size_t i;

	(void)state;
	for (i = 1; i <= 140; i++) {
		struct problem p = problem(2, i, 3);

		p.config.large_adc_bits = 5;
		try(&p, RANDOM, RANDOM);
	}
}

/* With an ADC wide enough, whatever the rest: the exact product. */
static void a_lossless_converter_gives_the_exact_product(void **state)
{
	int mapping, input, i;
	size_t r;

	(void)state;
	for (i = 0; i < 40; i++) {
		struct problem p = problem(5, 1 + random_bits() % 400, 20);

		mapping = i % 2;
		input = i / 2 % 3;
		p.config.analog.mapping = mapping;
		p.config.analog.input = input;
		p.config.cell_bits = 1 + i % 4;
		p.config.dac_bits = 1 << i % 3;
		p.config.large_adc_bits = 16;
		setup(&p, RANDOM, RANDOM);
		assert_int_equal(p.saturated, 0);
		for (r = 0; r < p.rows * p.n; r++) {
			int64_t exact = 0;
			size_t k;

			for (k = 0; k < p.k; k++)
				exact += p.w[r % p.n * p.k + k] *
					 (value(&p, p.x[r / p.n * p.k + k]) - p.shift);
			assert_int_equal(p.y[r], exact);
		}
		run(&p, MX_ISA_AUTO, pool, false, false);
		run(&p, MX_ISA_AUTO, pool, true, false);
		drop(&p);
	}
}

/* Quantiles from tables, at (bits + 1/2) / 2^32, and symmetry and order all along. */
static void normal_numbers_are_quantiles(void **state)
{
	static const struct {
		uint32_t bits;
		double want;
	} known[] = {
		{ 0x80000000, 0 }, { 0xc0000000, 0.67448975 }, { 0xd7d4a5c2, 1.00723259 },
		{ 0xf999999a, 1.95996398 }, { 0xfeb851ec, 2.57582930 }, { 0xffbe76c9, 3.09023231 },
		{ 0xfffff528, 4.84091248 }, { 0, -6.33795775 }, { 0x028f5c29, -2.32634787 },
	};
	int32_t last = mx_normal(0), now;
	uint64_t bits;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		double got = mx_normal(known[i].bits) / (double)MX_NORMAL_ONE;

		if (got < known[i].want - 2e-5 || got > known[i].want + 2e-5)
			fail_msg("normal number of %08x is %.6f, not %.6f", known[i].bits, got,
				 known[i].want);
	}
	for (bits = 0; bits <= UINT32_MAX; bits += 9973) {
		now = mx_normal(bits);
		assert_true(now >= last);
		assert_in_range(now + mx_normal(~(uint32_t)bits) + 2, 0, 4);
		last = now;
	}
}

static int start(void **state)
{
	(void)state;
	pool = mx_pool_new(3);
	return pool ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	mx_pool_free(pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normal_numbers_are_quantiles),
		cmocka_unit_test(every_configuration),
		cmocka_unit_test(adversarial_operands),
		cmocka_unit_test(sums_at_the_edge_of_a_byte),
		cmocka_unit_test(every_number_of_tokens),
		cmocka_unit_test(every_length),
		cmocka_unit_test(a_lossless_converter_gives_the_exact_product),
	};

	return cmocka_run_group_tests_name("analog products", tests, start, stop);
}
