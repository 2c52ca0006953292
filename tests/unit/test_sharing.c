// SPDX-License-Identifier: LGPL-2.1-or-later
/* Models that share chunks: what is programmed, and what stays. */
#include "large_model.h"

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
	large_make(&a, 4, 1000);
	b = a;
	b.params[2 * CHUNK + 5] ^= 1;
	large_seal(&b);
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
	large_make(&a, 7, CHUNK);
	b = a;
	b.params[6 * CHUNK] ^= 1;
	large_seal(&b);
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
	large_make(&a, 3, 100);
	must_program(chip, &a, 3, &id);
	large_make(&b, 4, CHUNK);	/* its third chunk starts as a's, but is longer */
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
	large_seal(&a);
	memcpy(a.digest, b.digest, sizeof(a.digest));
	assert_int_equal(program(chip, &a, true, &missing, &id), MXACCEL_ST_BAD_HASH);
	assert_intact(chip, &b);
	assert_int_equal(free_chunks(chip), 10 - 5);
	mx_chip_free(chip);
	store_free(&store);
}

/* Room that the first write reserved is given back for what is taken over after it. */
static void reuse_after_the_first_write_gives_room_back(void **state)
{
	static struct large a, b;
	uint8_t bitmap[1];
	struct mx_chip *chip;
	struct store store;
	uint32_t id, prog;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	large_make(&a, 3, CHUNK);
	b = a;
	b.params[2 * CHUNK] ^= 1;
	large_seal(&b);
	must_program(chip, &a, 3, &id);
	assert_int_equal(begin(chip, &b, &prog), 0);
	assert_int_equal(mx_chip_prog_write(chip, prog, 0, &b.section, sizeof(b.section)), 0);
	assert_int_equal(free_chunks(chip), 10 - 4 - 4);
	assert_int_equal(mx_chip_prog_reuse(chip, prog, 0, 3, b.digest, bitmap), 0);
	assert_int_equal(bitmap[0], 3);
	assert_int_equal(free_chunks(chip), 10 - 4 - 2);
	assert_int_equal(mx_chip_prog_abort(chip, prog), 0);
	assert_int_equal(free_chunks(chip), 10 - 4);
	mx_chip_free(chip);
	store_free(&store);
}

/* Two models that hold the same chunks twice: when one goes, the other's are found. */
static void every_copy_can_be_shared(void **state)
{
	static struct large a, b, c;
	uint32_t id_a, id_b, id, missing;
	struct mx_chip *chip;
	struct store store;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	large_make(&a, 3, CHUNK);
	b = a;
	b.params[2 * CHUNK] ^= 1;
	large_seal(&b);
	c = a;
	c.params[2 * CHUNK] ^= 2;
	large_seal(&c);
	must_program(chip, &a, 3, &id_a);
	assert_int_equal(program(chip, &b, false, &missing, &id_b), 0);
	assert_int_equal(missing, 3);
	mx_chip_model_put(chip, id_b);
	assert_int_equal(mx_chip_model_delete(chip, id_a), 0);
	must_program(chip, &c, 1, &id);
	assert_intact(chip, &b);
	assert_intact(chip, &c);
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
		large_make(&l[i], i == 3 ? 4 : 1, i == 3 ? 77 * 64 : CHUNK);
		l[i].params[CHUNK / 2] ^= 1 + i;
		large_seal(&l[i]);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_changed_chunks_are_programmed),
		cmocka_unit_test(a_model_that_fits_by_sharing_is_loaded),
		cmocka_unit_test(reuse_is_checked),
		cmocka_unit_test(reuse_after_the_first_write_gives_room_back),
		cmocka_unit_test(every_copy_can_be_shared),
		cmocka_unit_test(scattered_chunks_make_a_whole),
	};

	return cmocka_run_group_tests_name("chip_sharing", tests, NULL, NULL);
}
