// SPDX-License-Identifier: LGPL-2.1-or-later
/* Non-volatile cells: sharing of chunks, wear, retries, faults, replacement, power cuts. */
#include "flaky_store.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>

#include "directory.h"
#include "nv.h"
#include "philox.h"
#include "sample_model.h"

#define CHUNK		MXACCEL_CHUNK
#define CELLS		(CHUNK * 2u)	/* of a chunk, at 4 bits */
#define MAX_CHUNKS	8

/**
 * struct large - a sample model with PARAMS of several chunks
 * @params:	PARAMS; what follows the sample's is arbitrary
 * @nr:		its chunks
 * @digest:	of each
 */
struct large {
	struct sample_section section;
	uint8_t params[MAX_CHUNKS * CHUNK];
	uint64_t params_bytes;
	uint32_t nr;
	uint8_t digest[MAX_CHUNKS][32];
	uint8_t content[32];
};

static void seal(struct large *l)
{
	uint8_t model[32], params[32];

	l->nr = mx_digest_nr_chunks(l->params_bytes);
	assert_int_equal(mx_digest_chunks(l->params, l->params_bytes, NULL, NULL, l->digest[0]), 0);
	assert_int_equal(mx_digest_section(&l->section, sizeof(l->section), NULL, NULL, model), 0);
	assert_int_equal(mx_sha256(l->digest, l->nr * 32, params), 0);
	assert_int_equal(mx_digest_content(model, params, l->content), 0);
}

/* A model whose last chunk has @tail bytes; chunks differ. */
static void make(struct large *l, uint32_t chunks, uint32_t tail)
{
	static struct sample_model m;
	uint64_t i;

	assert_true(sample_make(&m, 0));
	l->section = m.section;
	l->params_bytes = (chunks - 1) * CHUNK + tail;
	l->section.head.params_bytes = l->params_bytes;
	for (i = 0; i < l->params_bytes; i++)
		l->params[i] = i * 31 + i / CHUNK;
	memcpy(l->params, m.params, m.params_bytes);
	seal(l);
}

static uint16_t begin(struct mx_chip *chip, const struct large *l, uint32_t *prog)
{
	return mx_chip_prog_begin(chip, l->content, sizeof(l->section), l->params_bytes, prog);
}

/* Programs what is not there, @reuse permitting; *@missing: chunks written. */
static uint16_t program(struct mx_chip *chip, const struct large *l, bool reuse, uint32_t *missing,
			uint32_t *id)
{
	uint8_t bitmap[1] = { 0 };
	uint16_t status;
	uint32_t prog, i;

	*missing = 0;
	status = begin(chip, l, &prog);
	if (status)
		return status;
	if (reuse)
		assert_int_equal(mx_chip_prog_reuse(chip, prog, 0, l->nr, l->digest, bitmap), 0);
	status = mx_chip_prog_write(chip, prog, 0, &l->section, sizeof(l->section));
	for (i = 0; i < l->nr && !status; i++) {
		uint64_t left = l->params_bytes - i * CHUNK;

		if (bitmap[0] >> i & 1)
			continue;
		status = mx_chip_prog_write(chip, prog, MXACCEL_PAGE + i * CHUNK,
					    l->params + i * CHUNK, left < CHUNK ? left : CHUNK);
		*missing += 1;
	}
	if (!status)
		return mx_chip_prog_commit(chip, prog, id);
	assert_int_equal(mx_chip_prog_abort(chip, prog), 0);
	return status;
}

static void must_program(struct mx_chip *chip, const struct large *l, uint32_t missing,
			 uint32_t *id)
{
	uint32_t written;

	assert_int_equal(program(chip, l, true, &written, id), 0);
	assert_int_equal(written, missing);
	mx_chip_model_put(chip, *id);
}

static bool resident(struct mx_chip *chip, const struct large *l)
{
	uint32_t id;

	return mx_chip_model_find(chip, l->content, &id) == MXACCEL_ST_SUCCESS;
}

/* Is the model there, byte for byte, as jobs would see it? */
static void assert_intact(struct mx_chip *chip, const struct large *l)
{
	struct mx_model *model;
	uint32_t id;

	assert_int_equal(mx_chip_model_find(chip, l->content, &id), 0);
	model = mx_directory_model(chip, id);
	assert_memory_equal(model->head, &l->section, sizeof(l->section));
	assert_memory_equal(model->params, l->params, l->params_bytes);
}

static uint64_t free_chunks(struct mx_chip *chip)
{
	struct mxaccel_identify page;

	mx_chip_identify(chip, &page);
	assert_int_equal(page.free_bytes % CHUNK, 0);
	return page.free_bytes / CHUNK;
}

static struct mx_health health(struct mx_chip *chip)
{
	struct mx_health health;

	mx_chip_health(chip, &health);
	return health;
}

static uint64_t counter(struct mx_chip *chip, enum mxaccel_counter which)
{
	struct mx_counters counters;

	mx_chip_counters(chip, &counters);
	return counters.v[which];
}

static struct mx_chip *power_on_as(struct store *store, const struct mx_chip_config *c)
{
	struct mx_chip *chip = try_power_on(store, c);

	if (!chip)
		fail_msg("%s", err);
	return chip;
}

/* ------------------------------------------------------------------ sharing */

static void only_changed_chunks_are_programmed(void **state)
{
	static struct large a, b;
	uint32_t id_a, id_b;
	struct mx_chip *chip;
	struct store store;
	uint64_t cells;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	make(&a, 4, 1000);
	b = a;
	b.params[2 * CHUNK + 5] ^= 1;
	seal(&b);
	must_program(chip, &a, 4, &id_a);
	assert_int_equal(free_chunks(chip), 10 - 5);
	assert_int_equal(counter(chip, MXACCEL_CTR_REUSED_CHUNKS), 0);
	cells = counter(chip, MXACCEL_CTR_CELL_WRITES);
	must_program(chip, &b, 1, &id_b);
	assert_int_equal(counter(chip, MXACCEL_CTR_CELL_WRITES) - cells,
			 sizeof(b.section) * 2 + CELLS);
	assert_int_equal(counter(chip, MXACCEL_CTR_REUSED_CHUNKS), 3);
	assert_int_equal(free_chunks(chip), 10 - 5 - 2);
	assert_intact(chip, &a);
	assert_intact(chip, &b);

	/* either may go; the other keeps what they share */
	assert_int_equal(mx_chip_model_delete(chip, id_a), 0);
	assert_int_equal(free_chunks(chip), 10 - 5);
	chip = power_cycle(&store, chip);
	assert_int_equal(mx_chip_dropped_models(chip), 0);
	assert_intact(chip, &b);
	assert_int_equal(free_chunks(chip), 10 - 5);
	must_program(chip, &a, 1, &id_a);
	assert_intact(chip, &a);
	assert_int_equal(mx_chip_model_delete(chip, id_b), 0);
	chip = power_cycle(&store, chip);
	assert_intact(chip, &a);
	assert_int_equal(mx_chip_model_find(chip, a.content, &id_a), 0);
	assert_int_equal(mx_chip_model_delete(chip, id_a), 0);
	assert_int_equal(free_chunks(chip), 10);
	must_program(chip, &b, 4, &id_b);	/* what nobody holds is shared with nobody */
	mx_chip_free(chip);
	store_free(&store);
}

/* 8 chunks of weights fill the chip; a changed version fits only as it shares. */
static void a_model_that_fits_by_sharing_is_loaded(void **state)
{
	static struct large a, b;
	uint32_t id, missing;
	struct mx_chip *chip;
	struct store store;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	make(&a, 7, CHUNK);
	b = a;
	b.params[6 * CHUNK] ^= 1;
	seal(&b);
	must_program(chip, &a, 7, &id);
	assert_int_equal(free_chunks(chip), 2);
	assert_int_equal(program(chip, &b, false, &missing, &id), MXACCEL_ST_NO_SPACE);
	assert_int_equal(missing, 0);
	must_program(chip, &b, 1, &id);
	assert_int_equal(free_chunks(chip), 0);
	assert_intact(chip, &a);
	assert_intact(chip, &b);
	mx_chip_free(chip);
	store_free(&store);
}

static void reuse_is_checked(void **state)
{
	static struct large a, b;
	uint8_t bitmap[3] = { 0xff, 0xff, 0xff };
	uint32_t id, prog, missing;
	struct mx_chip *chip;
	struct store store;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	make(&a, 3, 100);
	must_program(chip, &a, 3, &id);
	make(&b, 4, CHUNK);	/* its third chunk starts as a's, but is longer */
	assert_int_equal(mx_chip_prog_reuse(chip, 0, 0, 1, b.digest, bitmap), MXACCEL_ST_BAD_PROG);
	assert_int_equal(begin(chip, &b, &prog), 0);
	assert_int_equal(mx_chip_prog_reuse(chip, prog, 5, 0, b.digest, bitmap),
			 MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_reuse(chip, prog, 2, 3, b.digest, bitmap),
			 MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_reuse(chip, prog, UINT64_MAX, 2, b.digest, bitmap),
			 MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_reuse(chip, prog, 4, 0, b.digest, bitmap), 0);
	bitmap[0] = 0xff;
	/* the digest of a chunk that is resident, but longer or shorter than this one */
	assert_int_equal(mx_chip_prog_reuse(chip, prog, 2, 1, a.digest + 2, bitmap), 0);
	assert_int_equal(bitmap[0], 0);
	assert_int_equal(bitmap[1], 0xff);
	assert_int_equal(mx_chip_prog_reuse(chip, prog, 0, 4, b.digest, bitmap), 0);
	assert_int_equal(bitmap[0], 3);
	assert_int_equal(mx_chip_prog_reuse(chip, prog, 1, 1, b.digest + 1, bitmap), 0);
	assert_int_equal(bitmap[0], 1);	/* again */
	/* chunks taken over are not written, not even in part; others are */
	assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE + 2 * CHUNK - 1, "xy", 2),
			 MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE - 1, "xy", 2),
			 MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_write(chip, prog, 0, &b.section, sizeof(b.section)), 0);
	assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE + 2 * CHUNK,
					    b.params + 2 * CHUNK, 2 * CHUNK), 0);
	/* the model that they came from may go meanwhile */
	assert_int_equal(mx_chip_model_delete(chip, id), 0);
	assert_int_equal(mx_chip_prog_commit(chip, prog, &id), 0);
	mx_chip_model_put(chip, id);
	assert_intact(chip, &b);

	/* a wrong promise costs the programming only */
	a = b;
	a.params[CHUNK + 7] ^= 1;
	seal(&a);
	memcpy(a.digest, b.digest, sizeof(a.digest));
	assert_int_equal(program(chip, &a, true, &missing, &id), MXACCEL_ST_BAD_HASH);
	assert_intact(chip, &b);
	assert_int_equal(free_chunks(chip), 10 - 5);
	mx_chip_free(chip);
	store_free(&store);
}

/* Chunks in any order: free ones are scattered, the model is whole all the same. */
static void scattered_chunks_make_a_whole(void **state)
{
	static struct large l[4];
	uint32_t id[4], missing, i;
	struct mx_chip *chip;
	struct store store;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	for (i = 0; i < 4; i++) {
		make(&l[i], i == 3 ? 4 : 1, i == 3 ? 77 * 64 : CHUNK);
		l[i].params[CHUNK / 2] ^= 1 + i;
		seal(&l[i]);
		if (i < 3)
			must_program(chip, &l[i], 1, &id[i]);
	}
	assert_int_equal(mx_chip_model_delete(chip, id[1]), 0);
	must_program(chip, &l[1], 1, &id[1]);	/* unworn chunks come first: 6, 7 */
	assert_int_equal(mx_chip_model_delete(chip, id[0]), 0);
	assert_int_equal(mx_chip_model_delete(chip, id[2]), 0);
	assert_int_equal(program(chip, &l[3], false, &missing, &id[3]), 0);	/* 8, 9, 0 .. 2 */
	assert_intact(chip, &l[3]);
	assert_intact(chip, &l[1]);
	chip = power_cycle(&store, chip);
	assert_intact(chip, &l[3]);
	assert_intact(chip, &l[1]);
	mx_chip_free(chip);
	store_free(&store);
}

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
	make(&l, 1, 50 * 64 + CHUNK / 2);
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
	make(&l, 3, 30000 * 2);
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
	make(&kept, 1, CHUNK);
	make(&l, 1, CHUNK / 2);
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
	make(&l, 5, CHUNK);
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
	make(&l, 2, CHUNK);
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
	make(&l, 7, CHUNK);
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
	make(&l, 1, CHUNK);
	assert_int_equal(program(chip, &l, true, &missing, &id), MXACCEL_ST_WORN_OUT);
	assert_int_equal(health(chip).retired, 10);
	assert_int_equal(health(chip).wear_min, 0);
	assert_int_equal(health(chip).life_ppm, 0);
	mx_chip_free(chip);
}

/* --------------------------------------------------------------- power cuts */

/*
 * Power goes in each persist() call of: load a, load b (which shares with a),
 * delete a, load it again; with any sectors of that call on disk, and every
 * other time with any sectors of all that was in memory.
 */
static void power_cuts_keep_shared_chunks_and_wear(void **state)
{
	static struct large a, b;
	unsigned int cut, round, intact[4] = { 0 };
	bool has_a, has_b, deleted, again, in_a, in_b;
	struct mx_chip *chip;
	struct store store;
	uint64_t at, worn;
	uint32_t id, missing;

	(void)state;
	make(&a, 3, 640);
	b = a;
	b.params[CHUNK + 9] ^= 1;
	seal(&b);
	for (cut = 3; cut <= 13; cut++) {
		for (round = 0; round < 24; round++) {
			store_init(&store, &config);
			store.cut_at = cut;
			store.seed = cut * 1000 + round;
			chip = power_on(&store);
			has_b = deleted = again = false;
			has_a = !program(chip, &a, true, &missing, &id);
			if (has_a)
				mx_chip_model_put(chip, id);
			worn = has_a ? health(chip).wear_total : 0;
			if (has_a) {
				has_b = !program(chip, &b, true, &missing, &id);
				worn = has_b ? health(chip).wear_total : worn;
			}
			if (has_b && !mx_chip_model_find(chip, a.content, &id))
				deleted = !mx_chip_model_delete(chip, id);
			if (deleted) {
				again = !program(chip, &a, true, &missing, &id);
				worn = again ? health(chip).wear_total : worn;
			}
			mx_chip_free(chip);
			for (at = 0; round % 2 && at < store.bytes; at += SECTOR)
				if (next_random(&store.seed) & 1)
					memcpy(store.disk + at, store.nv + at, SECTOR);
			memcpy(store.nv, store.disk, store.bytes);
			store.cut_at = 0;
			chip = power_on(&store);
			if (mx_chip_dropped_models(chip))
				fail_msg("cut %u, round %u: a model is damaged", cut, round);
			in_a = resident(chip, &a);
			in_b = resident(chip, &b);
			if ((has_a && !deleted && !in_a && cut != 9) || (has_b && !in_b) ||
			    (again && !in_a))
				fail_msg("cut %u, round %u: a model is gone", cut, round);
			if (in_a)
				assert_intact(chip, &a);
			if (in_b)
				assert_intact(chip, &b);
			assert_true(health(chip).wear_total >= worn);
			assert_int_equal(free_chunks(chip),
					 10 - (in_a && in_b ? 6 : in_a || in_b ? 4 : 0));
			intact[in_a + 2 * in_b]++;
			mx_chip_free(chip);
			store_free(&store);
		}
	}
	for (cut = 0; cut < 4; cut++)
		assert_true(intact[cut]);
}

/* A disk that fails under the cells: the write says so, all else stays. */
static void write_errors_are_told(void **state)
{
	static struct large a, b;
	struct mx_chip *chip;
	struct store store;
	uint32_t id, missing;
	int full;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	make(&a, 2, CHUNK);
	make(&b, 3, CHUNK);
	must_program(chip, &a, 2, &id);
	full = open("/dev/full", O_WRONLY);
	assert_true(full >= 0);
	chip->directory->nv.fd = full;
	assert_int_equal(program(chip, &b, true, &missing, &id), MXACCEL_ST_STORE_ERROR);
	chip->directory->nv.fd = store.fd;
	close(full);
	assert_intact(chip, &a);
	assert_int_equal(free_chunks(chip), 10 - 3);
	must_program(chip, &b, 1, &id);
	assert_intact(chip, &b);
	mx_chip_free(chip);
	store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_changed_chunks_are_programmed),
		cmocka_unit_test(a_model_that_fits_by_sharing_is_loaded),
		cmocka_unit_test(reuse_is_checked),
		cmocka_unit_test(scattered_chunks_make_a_whole),
		cmocka_unit_test(philox_is_the_published_one),
		cmocka_unit_test(draws_have_their_distribution),
		cmocka_unit_test(wear_is_levelled_and_kept),
		cmocka_unit_test(retries_do_not_depend_on_the_cut),
		cmocka_unit_test(endurance_bounds_wear),
		cmocka_unit_test(overwriting_wears),
		cmocka_unit_test(faulty_columns_are_remapped_and_chunks_replaced),
		cmocka_unit_test(a_dead_chip_holds_nothing_but_lives),
		cmocka_unit_test(power_cuts_keep_shared_chunks_and_wear),
		cmocka_unit_test(write_errors_are_told),
	};

	return cmocka_run_group_tests_name("chip_cells", tests, NULL, NULL);
}
