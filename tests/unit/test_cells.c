// SPDX-License-Identifier: LGPL-2.1-or-later
/* Non-volatile cells: wear, verify retries, stuck cells, replacement of chunks. */
#include "large_model.h"

#include <math.h>

#include "philox.h"

/* --------------------------------------------------------------------- wear */

/* Random123's known answers for philox4x32-10. */
static void philox_is_the_published_one(void **state)
{
	static const uint32_t ones[4] = { ~0u, ~0u, ~0u, ~0u }, zeros[4];
	static const uint32_t pi[4] = { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 };
	static const uint32_t want[3][4] = {
		{ 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
		{ 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
		{ 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 },
	};
	uint32_t out[4];

	(void)state;
	mx_philox(0, zeros, out);
	assert_memory_equal(out, want[0], sizeof(out));
	mx_philox(UINT64_MAX, ones, out);
	assert_memory_equal(out, want[1], sizeof(out));
	mx_philox(0x299f31d0a4093822, pi, out);
	assert_memory_equal(out, want[2], sizeof(out));
}

/* Mean and variance over many chunks against those of the binomial distribution. */
static void draws_have_their_distribution(void **state)
{
	static const double rates[] = { 1e-6, 2e-5, 1e-3, 0.02 };
	const uint32_t n = 20000;
	uint8_t scratch[512];
	uint32_t i, r;

	(void)state;
	for (r = 0; r < ARRAY_SIZE(rates); r++) {
		double p = rates[r], mean = CELLS * p, variance = mean * (1 - p);
		double sum[2] = { 0 }, squares[2] = { 0 }, x;

		for (i = 0; i < n; i++) {
			x = mx_retries_draw(7, i, 1, CELLS, p);
			sum[0] += x;
			squares[0] += (x - mean) * (x - mean);
			/* inversion is for few faults only */
			x = r < 3 ? mx_faults_draw(7, i, p, CELLS, 512, scratch).cells : 0;
			sum[1] += x;
			squares[1] += (x - mean) * (x - mean);
		}
		/* four standard errors; the approximation of retries is no good below 10 */
		if (mean > 10) {
			assert_true(fabs(sum[0] / n - mean) < 4 * sqrt(variance / n) + 0.01);
			assert_true(fabs(squares[0] / n / variance - 1) < 0.05);
		}
		if (r < 3) {
			assert_true(fabs(sum[1] / n - mean) < 4 * sqrt(variance / n));
			assert_true(fabs(squares[1] / n / variance - 1) < 0.1);
		}
	}
	assert_int_equal(mx_retries_draw(7, 1, 1, CELLS, 0), 0);
	assert_int_equal(mx_faults_draw(7, 1, 0, CELLS, 512, scratch).cells, 0);
	assert_int_equal(mx_faults_draw(7, 1, 0.02, CELLS, 512, scratch).cols, 512);
	assert_int_equal(mx_faults_draw(7, 1, 1, CELLS, 512, scratch).cells, CELLS);
}

/* Programming wears the least worn chunks, survives power-off, and adds up. */
static void wear_is_levelled_and_kept(void **state)
{
	static struct large l;
	struct mx_health before, now;
	struct mx_chip *chip;
	struct store store;
	uint32_t id, round;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	large_make(&l, 1, 50 * 64 + CHUNK / 2);
	now = health(chip);
	assert_int_equal(now.chunks, 10);
	assert_int_equal(now.life_ppm, 1000000);
	assert_int_equal(now.endurance, 1000000);
	for (round = 1; round <= 25; round++) {
		before = now;
		must_program(chip, &l, 1, &id);
		assert_int_equal(mx_chip_model_delete(chip, id), 0);
		if (round % 5 == 0)
			chip = power_cycle(&store, chip);
		now = health(chip);
		assert_int_equal(now.wear_total, 2 * round);
		assert_true(now.wear_max - now.wear_min <= 1);
		assert_true(now.wear_max >= before.wear_max && now.wear_min >= before.wear_min);
	}
	assert_int_equal(now.wear_min, 5);
	assert_int_equal(now.life_ppm, 1000000 - 5);
	mx_chip_free(chip);
	store_free(&store);
}

/* A chunk that a model held for long comes first when it is free again. */
static void rested_chunks_come_first(void **state)
{
	static struct large rested, l;
	struct mx_chip *chip;
	struct store store;
	uint32_t id, id_l, round;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	large_make(&rested, 1, CHUNK);
	large_make(&l, 1, CHUNK / 2);
	must_program(chip, &rested, 1, &id);
	for (round = 0; round < 10; round++) {
		must_program(chip, &l, 1, &id_l);
		assert_int_equal(mx_chip_model_delete(chip, id_l), 0);
	}
	assert_int_equal(health(chip).wear_min, 1);
	assert_int_equal(health(chip).wear_max, 3);
	assert_int_equal(mx_chip_model_delete(chip, id), 0);
	must_program(chip, &l, 1, &id_l);
	assert_int_equal(health(chip).wear_min, 2);
	assert_int_equal(health(chip).wear_max, 3);
	mx_chip_free(chip);
	store_free(&store);
}

/* Retries depend on what was written where, not on how the writes were cut. */
static void retries_do_not_depend_on_the_cut(void **state)
{
	static const uint32_t cuts[] = { 64, 100, 4096, CHUNK - 1, CHUNK, 3 * CHUNK };
	struct mx_chip_config c = config;
	static struct large l;
	uint64_t retries[ARRAY_SIZE(cuts)], expected;
	uint32_t prog, id, i;
	uint64_t at, bytes;

	(void)state;
	c.cells_retry_ppm = 20000;
	large_make(&l, 3, 30000 * 2);
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		struct mx_chip *chip;
		struct store store;

		store_init(&store, &c);
		chip = power_on_as(&store, &c);
		assert_int_equal(begin(chip, &l, &prog), 0);
		assert_int_equal(mx_chip_prog_write(chip, prog, 0, &l.section,
						    sizeof(l.section)), 0);
		for (at = 0; at < l.params_bytes; at += bytes) {
			bytes = l.params_bytes - at < cuts[i] ? l.params_bytes - at : cuts[i];
			assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE + at,
							    l.params + at, bytes), 0);
		}
		assert_int_equal(mx_chip_prog_commit(chip, prog, &id), 0);
		retries[i] = counter(chip, MXACCEL_CTR_VERIFY_RETRIES);
		assert_int_equal(retries[i], retries[0]);
		assert_int_equal(health(chip).wear_total, 4);
		assert_int_equal(counter(chip, MXACCEL_CTR_CELL_WRITES),
				 2 * (sizeof(l.section) + l.params_bytes));
		mx_chip_model_put(chip, id);
		mx_chip_free(chip);
		store_free(&store);
	}
	expected = 2 * (sizeof(l.section) + l.params_bytes) * 0.02;
	assert_true(retries[0] > expected - 300 && retries[0] < expected + 300);
}

/* Each chunk takes three programmings; then there is none left, and what is resident stays. */
static void endurance_bounds_wear(void **state)
{
	struct mx_chip_config c = config;
	static struct large kept, l;
	uint32_t id, missing, round;
	struct mx_health now;
	struct mx_chip *chip;
	uint16_t status = 0;
	struct store store;

	(void)state;
	c.cells_endurance = 3;
	store_init(&store, &c);
	chip = power_on_as(&store, &c);
	large_make(&kept, 1, CHUNK);
	large_make(&l, 1, CHUNK / 2);
	must_program(chip, &kept, 1, &id);
	for (round = 0; round < 100; round++) {
		status = program(chip, &l, true, &missing, &id);
		if (status)
			break;
		mx_chip_model_put(chip, id);
		assert_int_equal(mx_chip_model_delete(chip, id), 0);
		if (round % 4 == 3) {
			mx_chip_free(chip);
			memcpy(store.nv, store.disk, store.bytes);
			chip = power_on_as(&store, &c);
		}
	}
	/* 8 chunks are not held by the model that stays: 4 rounds use them once */
	assert_int_equal(round, 4 * 3);
	assert_int_equal(status, MXACCEL_ST_WORN_OUT);
	assert_int_equal(missing, 0);
	assert_int_equal(free_chunks(chip), 0);
	now = health(chip);
	assert_int_equal(now.retired, 8);
	assert_int_equal(now.wear_max, 3);
	assert_int_equal(now.wear_total, 8 * 3 + 2);
	assert_int_equal(now.life_ppm, 2 * 666666 / 10);
	assert_intact(chip, &kept);
	/* no model can be that large: not even a new chip has the room */
	large_make(&l, 5, CHUNK);
	assert_int_equal(program(chip, &l, false, &missing, &id), MXACCEL_ST_WORN_OUT);
	mx_chip_free(chip);
	memcpy(store.nv, store.disk, store.bytes);
	chip = power_on_as(&store, &c);
	assert_intact(chip, &kept);
	assert_int_equal(health(chip).retired, 8);
	mx_chip_free(chip);
	store_free(&store);
}

/* A host that writes one place again and again wears it out, and nothing else. */
static void overwriting_wears(void **state)
{
	struct mx_chip_config c = config;
	static struct large l;
	static uint8_t data[CHUNK];
	uint32_t prog, id, missing, i;
	struct mx_chip *chip;
	struct store store;

	(void)state;
	c.cells_endurance = 3;
	store_init(&store, &c);
	chip = power_on_as(&store, &c);
	large_make(&l, 2, CHUNK);
	assert_int_equal(begin(chip, &l, &prog), 0);
	for (i = 1; i <= 3; i++) {
		assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE, data, CHUNK), 0);
		assert_int_equal(health(chip).wear_max, i);
	}
	assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE, data, 1),
			 MXACCEL_ST_WORN_OUT);
	assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE + CHUNK, data, CHUNK), 0);
	assert_int_equal(health(chip).wear_total, 4);
	assert_int_equal(mx_chip_prog_abort(chip, prog), 0);
	assert_int_equal(health(chip).retired, 1);
	assert_int_equal(counter(chip, MXACCEL_CTR_RETIRED_CHUNKS), 1);
	assert_int_equal(free_chunks(chip), 9);
	assert_int_equal(program(chip, &l, true, &missing, &id), 0);
	mx_chip_model_put(chip, id);
	assert_intact(chip, &l);
	mx_chip_free(chip);
	store_free(&store);
}

/* ------------------------------------------------------------------- faults */

/* 8 chunks of capacity, 2 spare; cells stuck at random, 1 spare column a chunk. */
static void faulty_columns_are_remapped_and_chunks_replaced(void **state)
{
	struct mx_chip_config c = config;
	uint32_t bad, cells, cols, id, missing, seed, i;
	unsigned int seen[4] = { 0 };
	static struct large l;

	(void)state;
	c.cells_spare_chunks = 2;
	c.cells_spare_cols = 1;
	c.cells_stuck_ppb = 5000;
	large_make(&l, 7, CHUNK);
	for (seed = 0; seed < 60; seed++) {
		struct mx_chip_params params = { .threads = 1, .isa = MX_ISA_AUTO, .seed = seed };
		struct mx_chip *chip = mx_chip_new(&c, &params, err, sizeof(err));
		uint8_t scratch[512];
		uint16_t status;

		if (!chip)
			fail_msg("%s", err);
		bad = cells = cols = 0;
		for (i = 0; i < 10; i++) {
			struct mx_faults f = mx_faults_draw(seed, i, 5e-6, CELLS, 512, scratch);

			assert_true(f.cols <= f.cells);
			bad += f.cols > 1;
			if (f.cols <= 1 && i - bad < 8) {
				cells += f.cells;
				cols += f.cols;
			}
		}
		assert_int_equal(health(chip).retired, bad);
		assert_int_equal(health(chip).spares_left, bad < 2 ? 2 - bad : 0);
		assert_int_equal(free_chunks(chip), bad < 2 ? 8 : 10 - bad);
		status = program(chip, &l, true, &missing, &id);
		seen[bad < 3 ? bad : 3]++;
		if (bad > 2) {
			assert_int_equal(status, MXACCEL_ST_WORN_OUT);
		} else {
			assert_int_equal(status, 0);
			assert_intact(chip, &l);
			assert_int_equal(counter(chip, MXACCEL_CTR_FAILED_CELLS), cells);
			assert_int_equal(counter(chip, MXACCEL_CTR_REMAPPED_COLS), cols);
			assert_int_equal(health(chip).stuck_cells, cells);
			assert_int_equal(health(chip).remapped_cols, cols);
			/* known faults are no news to the next programming */
			mx_chip_model_put(chip, id);
			assert_int_equal(mx_chip_model_delete(chip, id), 0);
		}
		mx_chip_free(chip);
	}
	for (i = 0; i < 4; i++)
		assert_true(seen[i]);
}

static void a_dead_chip_holds_nothing_but_lives(void **state)
{
	struct mx_chip_config c = config;
	struct mx_chip_params params = { .threads = 1, .isa = MX_ISA_AUTO };
	static struct large l;
	uint32_t id, missing;
	struct mx_chip *chip;

	(void)state;
	c.cells_stuck_ppb = 1000000000;
	chip = mx_chip_new(&c, &params, err, sizeof(err));
	assert_non_null(chip);
	large_make(&l, 1, CHUNK);
	assert_int_equal(program(chip, &l, true, &missing, &id), MXACCEL_ST_WORN_OUT);
	assert_int_equal(health(chip).retired, 10);
	assert_int_equal(health(chip).wear_min, 0);
	assert_int_equal(health(chip).life_ppm, 0);
	mx_chip_free(chip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(philox_is_the_published_one),
		cmocka_unit_test(draws_have_their_distribution),
		cmocka_unit_test(wear_is_levelled_and_kept),
		cmocka_unit_test(rested_chunks_come_first),
		cmocka_unit_test(retries_do_not_depend_on_the_cut),
		cmocka_unit_test(endurance_bounds_wear),
		cmocka_unit_test(overwriting_wears),
		cmocka_unit_test(faulty_columns_are_remapped_and_chunks_replaced),
		cmocka_unit_test(a_dead_chip_holds_nothing_but_lives),
	};

	return cmocka_run_group_tests_name("chip_cells", tests, NULL, NULL);
}
