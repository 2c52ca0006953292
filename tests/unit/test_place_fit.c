// SPDX-License-Identifier: LGPL-2.1-or-later
/* mx_place_check(): what a model lacks on a chip, and what would make it fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "place_model.h"

static char err[512];

static uint16_t fits(const struct mx_chip_config *config, const struct place_model *m)
{
	err[0] = '\0';
	return mx_place_check(config, &m->model, m->bytes, err, sizeof(err));
}

/* Too small with one less of a key; the sentence names the value with which it fits. */
#define FITS_FROM(config, key, name, m, part) do {					\
	struct mx_chip_config chip = config;						\
	uint32_t advice;								\
	const char *at;									\
											\
	chip.key = 1;									\
	assert_int_equal(fits(&chip, m), MXACCEL_ST_TOO_LARGE);				\
	at = strstr(err, "with " name " = ");						\
	if (!strstr(err, part) || !at)							\
		fail_msg("\"%s\" lacks \"%s\" or what to do", err, part);		\
	advice = strtoul(at + strlen("with " name " = "), NULL, 10);			\
	chip.key = advice;								\
	if (fits(&chip, m) != MXACCEL_ST_SUCCESS)					\
		fail_msg("with %u: %s", advice, err);						\
	chip.key = advice - 1;								\
	assert_int_equal(fits(&chip, m), MXACCEL_ST_TOO_LARGE);				\
} while (0)

static void tokens_that_fit(const struct mx_chip_config *config, struct place_model *m,
			    const char *part)
{
	uint32_t advice;
	const char *at;

	assert_int_equal(fits(config, m), MXACCEL_ST_TOO_LARGE);
	at = strstr(err, "--max-tokens ");
	if (!strstr(err, part) || !at)
		fail_msg("\"%s\" lacks \"%s\" or what to do", err, part);
	advice = strtoul(at + strlen("--max-tokens "), NULL, 10);
	m->section->max_tokens = advice;
	if (fits(config, m) != MXACCEL_ST_SUCCESS)
		fail_msg("%u tokens: %s", advice, err);
	m->section->max_tokens++;
	assert_int_equal(fits(config, m), MXACCEL_ST_TOO_LARGE);
}

/* Chips that hold a model of 2 layers of 96 wide and its 64 tokens. */
static const struct mx_chip_config inplace = {
	.name = "ip", .kind = MX_INPLACE, .groups = 100, .subarrays = 16, .large_rows = 128,
	.large_cols = 128, .cell_bits = 2, .small_units = 4, .small_rows = 64, .small_cols = 32,
	.small_contexts = 16, .intermediate_kib = 65536, .max_io_bytes = 1 << 20,
	.cells_spare_chunks = 1,
};

static const struct mx_chip_config banks = {
	.name = "syn", .kind = MX_SYNERGY, .banks = 20, .bank_rows = 1024, .bank_cols = 512,
	.cell_bits = 4, .intermediate_banks = 16, .max_io_bytes = 1 << 20,
};

static const struct mx_chip_config traditional = {
	.name = "trad", .kind = MX_TRADITIONAL, .chips = 20, .tiles = 4, .groups = 8,
	.subarrays = 1, .large_rows = 128, .large_cols = 128, .cell_bits = 2,
	.intermediate_kib = 8192, .max_io_bytes = 1 << 20, .attention = MX_ATTENTION_REWRITE,
};

static void says_why_a_model_does_not_fit(void **state)
{
	struct place_model *m = place_encoder(2, 96, 384, 4, 1000, 64, 1);
	struct mx_chip_config chip;

	(void)state;
	assert_int_equal(fits(&inplace, m), MXACCEL_ST_SUCCESS);
	assert_int_equal(fits(&banks, m), MXACCEL_ST_SUCCESS);
	assert_int_equal(fits(&traditional, m), MXACCEL_ST_SUCCESS);

	FITS_FROM(inplace, groups, "groups", m, "arrays of 128 x 32");
	FITS_FROM(traditional, chips, "chips", m, "arrays of 128 x 32");
	chip = banks;
	chip.banks = 17;
	assert_int_equal(fits(&chip, m), MXACCEL_ST_TOO_LARGE);
	assert_non_null(strstr(err, "in 1 banks"));
	assert_non_null(strstr(err, "with banks = 18 "));
	chip.banks = 18;
	assert_int_equal(fits(&chip, m), MXACCEL_ST_SUCCESS);
	place_free(m);

	/* Bytes for twice as much, but 48 inputs fill no more than 48 of an array's 128 rows. */
	m = place_encoder(4, 48, 48, 4, 0, 16, 1);
	chip = inplace;
	chip.subarrays = 1;
	chip.groups = 79;
	assert_int_equal(fits(&chip, m), MXACCEL_ST_SUCCESS);
	chip.groups = 78;
	assert_true(mx_chip_capacity(&chip) > m->bytes + m->params_bytes + 2 * MXACCEL_CHUNK);
	assert_int_equal(fits(&chip, m), MXACCEL_ST_TOO_LARGE);
	if (!strstr(err, "arrays of 128 x 32 weights (44 for weights") ||
	    !strstr(err, "for all else)"))
		fail_msg("%s", err);
	place_free(m);

	m = place_encoder(2, 96, 384, 4, 1000, 64, 1);
	m->section->max_tokens = 300;
	tokens_that_fit(&inplace, m, "contexts of each small crossbar");
	m->section->max_tokens = 300;
	chip = inplace;
	chip.small_contexts = 64;
	chip.intermediate_kib = 8192;
	tokens_that_fit(&chip, m, "bytes of intermediates");
	m->section->max_tokens = 300;
	chip = inplace;
	chip.max_io_bytes = 400;
	tokens_that_fit(&chip, m, "transfers");
	chip.intermediate_kib = 1;
	chip.max_io_bytes = 1 << 20;
	assert_int_equal(fits(&chip, m), MXACCEL_ST_TOO_LARGE);
	assert_non_null(strstr(err, "one token needs"));

	/* K and V of longer sequences take more arrays, but only where they are rewritten. */
	chip = traditional;
	chip.chips = 5;
	m->section->max_tokens = 64;
	assert_int_equal(fits(&chip, m), MXACCEL_ST_SUCCESS);
	m->section->max_tokens = 700;
	chip.intermediate_kib = 1 << 20;
	assert_int_equal(fits(&chip, m), MXACCEL_ST_TOO_LARGE);
	assert_non_null(strstr(err, "K and V among it"));
	chip.attention = MX_ATTENTION_OFFCHIP;
	assert_int_equal(fits(&chip, m), MXACCEL_ST_SUCCESS);
	assert_int_equal(mx_place_check(&chip, &m->model, MXACCEL_MODEL_MAX_BYTES + 1, err,
					sizeof(err)), MXACCEL_ST_TOO_LARGE);
	assert_non_null(strstr(err, "any chip"));
	place_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_why_a_model_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
