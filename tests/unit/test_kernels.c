// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Products of every instruction set of this host, and of the AVX-512 source
 * on SIMDe, against a plain triple loop: equal bits, nothing else written.
 */
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

void mx_gemm_avx512_simde(const struct mx_gemm *gemm, size_t row, size_t nr_rows, size_t panel,
			  size_t nr_panels);

struct variant {
	const char *name;
	enum mx_isa isa;	/* needed, AUTO: none */
	size_t act_bytes;
	mx_gemm_fn gemm;
};

static const struct variant variants[] = {
	{ "portable", MX_ISA_PORTABLE, 1, mx_gemm_portable },
#ifdef __x86_64__
	{ "avx2", MX_ISA_AVX2, 2, mx_gemm_avx2 },
	{ "avx512", MX_ISA_AVX512, 1, mx_gemm_avx512 },
#endif
	{ "avx512 on SIMDe", MX_ISA_AUTO, 1, mx_gemm_avx512_simde },
};

#define NR_VARIANTS ARRAY_SIZE(variants)

static uint32_t random_state = 1;

static uint32_t random_bits(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static float random_float(void)
{
	return (float)((int32_t)random_bits() - (1 << 23)) / (1 << 23);
}

static void *need(void *memory)
{
	assert_non_null(memory);
	return memory;
}

static void *aligned(size_t bytes)
{
	return need(aligned_alloc(64, (bytes + 63) / 64 * 64));
}

enum fill { RANDOM, LOWEST, HIGHEST, MIXED };

static int8_t operand(enum fill fill, bool weight, size_t i)
{
	switch (fill) {
	case LOWEST:
		return -128;
	case HIGHEST:
		return 127;
	case MIXED:
		return weight ? -128 : i % 2 ? 127 : -127;
	default:
		return random_bits();
	}
}

/**
 * struct problem - a product with its expected result
 *
 * The output has one spare column and row, to see writes out of place.
 */
struct problem {
	size_t rows, k, n;
	int8_t *a;	/* [rows][k] */
	int8_t *w;	/* [n][k] */
	int8_t *panels;
	float *row_scale, *col_scale, *bias, *want, *out;
	float alpha;
	bool accumulate;
};

/* What an output holds before a product that accumulates. */
static float before(const struct problem *p, size_t row, size_t col)
{
	return (float)((row * 7 + col * 13 + p->k) % 101) - 50;
}

static void make(struct problem *p, size_t rows, size_t k, size_t n, enum fill fill, bool bias)
{
	size_t i, j, c;

	p->rows = rows;
	p->k = k;
	p->n = n;
	p->a = need(malloc(rows * k));
	p->w = need(malloc(n * k));
	p->panels = aligned(MXACCEL_PANEL_BYTES(n, k));
	p->row_scale = need(malloc(rows * sizeof(float)));
	p->col_scale = need(malloc(n * sizeof(float)));
	p->bias = bias ? need(malloc(n * sizeof(float))) : NULL;
	p->want = need(malloc(rows * n * sizeof(float)));
	p->out = need(malloc((rows + 1) * (n + 1) * sizeof(float)));
	p->accumulate = random_bits() % 2;
	p->alpha = bias ? 1.0f : 0.125f + random_float() / 16;
	for (i = 0; i < rows * k; i++)
		p->a[i] = operand(fill, false, i);
	memset(p->panels, 0, MXACCEL_PANEL_BYTES(n, k));
	for (j = 0; j < n; j++) {
		for (c = 0; c < k; c++) {
			p->w[j * k + c] = operand(fill, true, j * k + c);
			p->panels[MXACCEL_PANEL_OFFSET(j, c, k)] = p->w[j * k + c];
		}
		p->col_scale[j] = random_float();
		if (bias)
			p->bias[j] = random_float();
	}
	for (i = 0; i < rows; i++)
		p->row_scale[i] = random_float();
	for (i = 0; i < rows; i++) {
		for (j = 0; j < n; j++) {
			int64_t acc = 0;
			float v;

			for (c = 0; c < k; c++)
				acc += p->a[i * k + c] * p->w[j * k + c];
			assert_true(acc == (int32_t)acc);
			v = (float)(int32_t)acc * (p->row_scale[i] * p->col_scale[j]);
			v = p->alpha * v;
			if (bias)
				v = v + p->bias[j];
			p->want[i * n + j] = p->accumulate ? before(p, i, j) + v : v;
		}
	}
}

static void drop(struct problem *p)
{
	free(p->a);
	free(p->w);
	free(p->panels);
	free(p->row_scale);
	free(p->col_scale);
	free(p->bias);
	free(p->want);
	free(p->out);
}

#define UNTOUCHED 0x7fa5a5a5u

/* Runs the part of the product from @row and @panel on, and looks at all of the output. */
static void try(const struct problem *p, const struct variant *variant, size_t row, size_t nr_rows,
		size_t panel, size_t nr_panels)
{
	size_t stride = (p->k * variant->act_bytes + 63) / 64 * 64, i, j, first, last;
	uint8_t *act = aligned(p->rows * stride);
	struct mx_gemm gemm = {
		.act = act, .act_stride = stride, .row_scale = p->row_scale, .panels = p->panels,
		.k = p->k, .n = p->n, .col_scale = p->col_scale, .bias = p->bias,
		.alpha = p->alpha, .accumulate = p->accumulate, .out = p->out, .out_stride = p->n + 1,
	};
	uint32_t bits, wanted;

	memset(act, 0, p->rows * stride);
	for (i = 0; i < p->rows; i++)
		for (j = 0; j < p->k; j++) {
			if (variant->act_bytes == 2)
				((int16_t *)(act + i * stride))[j] = p->a[i * p->k + j];
			else
				((int8_t *)(act + i * stride))[j] = p->a[i * p->k + j];
		}
	for (bits = UNTOUCHED, i = 0; i < (p->rows + 1) * (p->n + 1); i++)
		memcpy(&p->out[i], &bits, sizeof(bits));
	for (i = row; p->accumulate && i < row + nr_rows; i++)
		for (j = panel * MXACCEL_PANEL_COLS; j < p->n &&
		     j < (panel + nr_panels) * MXACCEL_PANEL_COLS; j++)
			p->out[i * (p->n + 1) + j] = before(p, i, j);
	variant->gemm(&gemm, row, nr_rows, panel, nr_panels);
	free(act);

	first = panel * MXACCEL_PANEL_COLS;
	last = first + nr_panels * MXACCEL_PANEL_COLS;
	for (i = 0; i <= p->rows; i++) {
		for (j = 0; j <= p->n; j++) {
			wanted = UNTOUCHED;
			if (i >= row && i < row + nr_rows && j < p->n && j >= first && j < last)
				memcpy(&wanted, &p->want[i * p->n + j], sizeof(wanted));
			memcpy(&bits, &p->out[i * (p->n + 1) + j], sizeof(bits));
			if (bits != wanted)
				fail_msg("%s: %zux%zux%zu, [%zu][%zu] is %08x, not %08x",
					 variant->name, p->rows, p->k, p->n, i, j, bits, wanted);
		}
	}
}

static void try_all(size_t rows, size_t k, size_t n, enum fill fill, bool bias)
{
	size_t panels = (n + MXACCEL_PANEL_COLS - 1) / MXACCEL_PANEL_COLS, i, row, panel;
	struct problem p;

	make(&p, rows, k, n, fill, bias);
	row = random_bits() % rows;
	panel = random_bits() % panels;
	for (i = 0; i < NR_VARIANTS; i++) {
		if (!mx_isa_available(variants[i].isa))
			continue;
		try(&p, &variants[i], 0, rows, 0, panels);
		try(&p, &variants[i], row, rows - row, panel, panels - panel);
		try(&p, &variants[i], row, 1, panel, 1);
	}
	drop(&p);
}

static void every_number_of_rows(void **state)
{
	size_t rows;

	(void)state;
	for (rows = 1; rows <= 27; rows++) {
		try_all(rows, 37, 50, RANDOM, rows % 2);
		try_all(rows, 128, 64, RANDOM, rows % 2);
	}
	try_all(191, 20, 33, RANDOM, true);
	try_all(192, 20, 33, RANDOM, true);
	try_all(193, 20, 33, RANDOM, true);
	try_all(389, 5, 18, RANDOM, true);
}

static void every_inner_length(void **state)
{
	static const size_t around[] = { 127, 255, 511, 512, 513, 516, 517, 1024, 1027, 1540, 4099 };
	size_t i;

	(void)state;
	for (i = 1; i <= 70; i++) {
		try_all(1, i, 20, RANDOM, true);
		try_all(7, i, 20, RANDOM, false);
	}
	for (i = 0; i < ARRAY_SIZE(around); i++) {
		try_all(2, around[i], 40, RANDOM, true);
		try_all(15, around[i], 40, RANDOM, true);
	}
}

static void every_number_of_outputs(void **state)
{
	size_t n;

	(void)state;
	for (n = 1; n <= 100; n++) {
		try_all(3, 19, n, RANDOM, n % 2);
		try_all(13, 19, n, RANDOM, n % 2);
	}
	/* More weights than meet all rows at a time. */
	try_all(29, 1027, 300, RANDOM, true);
	try_all(2, 4099, 90, RANDOM, true);
}

static void random_shapes(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 150; i++)
		try_all(1 + random_bits() % 60, 1 + random_bits() % 300, 1 + random_bits() % 200,
			RANDOM, random_bits() % 2);
}

static void extremes(void **state)
{
	enum fill fill;

	(void)state;
	for (fill = LOWEST; fill <= MIXED; fill++) {
		try_all(1, 1000, 17, fill, true);
		try_all(3, 1000, 17, fill, true);
		try_all(14, 1000, 17, fill, true);
	}
	/* The longest product: sums come as near to the ends of int32 as they can. */
	try_all(1, MXACCEL_MAX_K, 3, HIGHEST, false);
	try_all(5, MXACCEL_MAX_K, 3, MIXED, false);
}

static void the_best_set_is_chosen(void **state)
{
	enum mx_isa isa, best = MX_ISA_PORTABLE;

	(void)state;
	for (isa = MX_ISA_PORTABLE; isa <= MX_ISA_AVX512; isa++) {
		if (!mx_isa_available(isa))
			continue;
		assert_int_equal(mx_kernels_get(isa)->isa, isa);
		best = isa;
	}
	assert_int_equal(mx_kernels_get(MX_ISA_AUTO)->isa, best);
	for (isa = MX_ISA_AUTO; isa <= MX_ISA_AVX512; isa++)
		assert_int_equal(mx_isa_from_name(mx_isa_name(isa)), isa);
	assert_int_equal(mx_isa_from_name("sse9"), -1);
	assert_int_equal(mx_isa_from_name(""), -1);
	assert_false(mx_isa_available(MX_ISA_AVX512 + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_set_is_chosen),
		cmocka_unit_test(every_number_of_rows),
		cmocka_unit_test(every_inner_length),
		cmocka_unit_test(every_number_of_outputs),
		cmocka_unit_test(random_shapes),
		cmocka_unit_test(extremes),
	};

	return cmocka_run_group_tests_name("products", tests, NULL, NULL);
}
