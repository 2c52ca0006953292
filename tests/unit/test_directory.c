// SPDX-License-Identifier: LGPL-2.1-or-later
/* Model directory: programming, references, room, and what the store keeps. */
#include "flaky_store.h"

#include <pthread.h>
#include <stdio.h>

#include "nv.h"
#include "sample_model.h"

static void make(struct sample_model *m, uint8_t variant)
{
	assert_true(sample_make(m, variant));
}

static uint16_t begin(struct mx_chip *chip, const struct sample_model *m, uint32_t *prog)
{
	return mx_chip_prog_begin(chip, m->content, sizeof(m->section), m->params_bytes, prog);
}

static void write_all(struct mx_chip *chip, const struct sample_model *m, uint32_t prog)
{
	assert_int_equal(mx_chip_prog_write(chip, prog, 0, &m->section, sizeof(m->section)), 0);
	assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE, m->params,
					    m->params_bytes), 0);
}

static uint16_t program(struct mx_chip *chip, const struct sample_model *m, uint32_t *id)
{
	uint32_t prog;
	uint16_t status = begin(chip, m, &prog);

	if (status)
		return status;
	write_all(chip, m, prog);
	return mx_chip_prog_commit(chip, prog, id);
}

static struct mxaccel_identify identify(struct mx_chip *chip)
{
	struct mxaccel_identify page;

	mx_chip_identify(chip, &page);
	return page;
}

/* Is it resident, and do all its bytes still hash to its content? */
static bool resident(struct mx_chip *chip, const struct sample_model *m)
{
	uint32_t id;

	return mx_chip_model_find(chip, m->content, &id) == MXACCEL_ST_SUCCESS;
}

#define ROOM		(10 * MXACCEL_CHUNK)
#define SAMPLE_ROOM	(2 * MXACCEL_CHUNK)	/* a chunk for each section */

static void a_new_chip_is_empty_and_knows_itself(void **state)
{
	struct mxaccel_model_info info;
	struct mxaccel_identify page;
	struct mx_chip *chip;
	struct store store;
	uint32_t i;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	page = identify(chip);
	assert_string_equal(page.chip, "unit");
	assert_string_equal(page.organisation, "synergy");
	assert_int_equal(page.serial, 42);
	assert_int_equal(page.free_bytes, ROOM);
	assert_int_equal(page.nr_models, 0);
	assert_int_equal(page.nr_values, MXACCEL_CHIP_NR);
	assert_int_equal(page.value[MXACCEL_CHIP_CAPACITY_BYTES], ROOM);
	assert_int_equal(page.value[MXACCEL_CHIP_ACT_BYTES], ROOM);
	assert_int_equal(page.value[MXACCEL_CHIP_MAX_MODELS], 4);
	assert_int_equal(page.value[MXACCEL_CHIP_MAX_CONTEXTS], 5);
	assert_int_equal(page.value[MXACCEL_CHIP_MAX_BUFFERS], 6);
	assert_int_equal(page.value[MXACCEL_CHIP_MAX_SG], 7);
	for (i = 0; i <= MXACCEL_CHIP_MAX_SG; i++)
		assert_true(page.value[i]);	/* none that every chip has was forgotten */
	for (i = 0; i < 4; i++) {
		assert_int_equal(mx_chip_model_info(chip, i, &info), 0);
		assert_int_equal(info.id, i);
		assert_int_equal(info.flags, 0);
		assert_int_equal(mx_chip_model_get(chip, i), MXACCEL_ST_BAD_MODEL);
		assert_int_equal(mx_chip_model_delete(chip, i), MXACCEL_ST_BAD_MODEL);
	}
	assert_int_equal(mx_chip_model_info(chip, 4, &info), MXACCEL_ST_BAD_MODEL);
	assert_int_equal(mx_chip_model_get(chip, UINT32_MAX), MXACCEL_ST_BAD_MODEL);
	mx_chip_free(chip);
	store_free(&store);
}

static void a_model_survives_power_cycles(void **state)
{
	struct mxaccel_model_info info;
	struct mx_counters before, after;
	static struct sample_model m;
	struct mx_chip *chip;
	struct store store;
	uint32_t id, again;

	(void)state;
	make(&m, 1);
	store_init(&store, &config);
	chip = power_on(&store);
	mx_chip_counters(chip, &before);
	assert_int_equal(program(chip, &m, &id), 0);
	mx_chip_counters(chip, &after);
	assert_int_equal(after.v[MXACCEL_CTR_CELL_WRITES] - before.v[MXACCEL_CTR_CELL_WRITES],
			 (sizeof(m.section) + m.params_bytes) * 8 / 4);
	assert_int_equal(after.v[MXACCEL_CTR_DMA_READ_BYTES] -
			 before.v[MXACCEL_CTR_DMA_READ_BYTES], sizeof(m.section) + m.params_bytes);

	assert_int_equal(mx_chip_model_info(chip, id, &info), 0);
	assert_int_equal(info.flags, MXACCEL_MODEL_VALID);
	assert_memory_equal(info.content, m.content, 32);
	assert_string_equal(info.name, "sample");
	assert_int_equal(info.model_bytes, sizeof(m.section));
	assert_int_equal(info.params_bytes, m.params_bytes);
	assert_int_equal(info.cells, SAMPLE_ROOM * 2);
	assert_int_equal(info.grants, 1);
	assert_int_equal(mx_chip_model_delete(chip, id), MXACCEL_ST_BUSY);

	chip = power_cycle(&store, chip);
	assert_int_equal(mx_chip_dropped_models(chip), 0);
	assert_int_equal(mx_chip_model_find(chip, m.content, &again), 0);
	assert_int_equal(again, id);
	assert_int_equal(mx_chip_model_info(chip, id, &info), 0);
	assert_int_equal(info.grants, 0);
	assert_int_equal(begin(chip, &m, &again), MXACCEL_ST_RESIDENT);
	assert_int_equal(again, id);
	assert_int_equal(mx_chip_model_delete(chip, id), MXACCEL_ST_BUSY);
	mx_chip_model_put(chip, id);
	assert_int_equal(mx_chip_model_delete(chip, id), 0);
	assert_int_equal(mx_chip_model_get(chip, id), MXACCEL_ST_BAD_MODEL);
	chip = power_cycle(&store, chip);
	assert_false(resident(chip, &m));
	assert_int_equal(identify(chip).free_bytes, ROOM);
	mx_chip_free(chip);
	store_free(&store);
}

static void room_and_slots_run_out_and_come_back(void **state)
{
	static const uint8_t page[MXACCEL_PAGE];
	static struct sample_model m[5];
	uint8_t content[32] = { 1 };
	uint32_t id[5], prog, big;
	struct mx_counters before, after;
	struct mx_chip *chip;
	struct store store;
	int i;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	for (i = 0; i < 5; i++)
		make(&m[i], i);
	for (i = 0; i < 4; i++)
		assert_int_equal(program(chip, &m[i], &id[i]), 0);
	assert_int_equal(program(chip, &m[4], &id[4]), MXACCEL_ST_NO_SLOT);
	assert_int_equal(identify(chip).free_bytes, ROOM - 4 * SAMPLE_ROOM);
	assert_int_equal(identify(chip).nr_models, 4);

	/* any chunks do, wherever they are; what does not fit wears no cell */
	mx_chip_model_put(chip, id[1]);
	assert_int_equal(mx_chip_model_delete(chip, id[1]), 0);
	assert_int_equal(identify(chip).free_bytes, ROOM - 3 * SAMPLE_ROOM);
	mx_chip_counters(chip, &before);
	assert_int_equal(mx_chip_prog_begin(chip, content, 200, ROOM - 3 * SAMPLE_ROOM, &prog), 0);
	assert_int_equal(identify(chip).free_bytes, ROOM - 3 * SAMPLE_ROOM);
	assert_int_equal(mx_chip_prog_write(chip, prog, 0, page, 1), MXACCEL_ST_NO_SPACE);
	mx_chip_counters(chip, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(mx_chip_prog_abort(chip, prog), 0);
	assert_int_equal(mx_chip_prog_begin(chip, content, 200, ROOM, &prog),
			 MXACCEL_ST_TOO_LARGE);
	assert_int_equal(mx_chip_prog_begin(chip, content, UINT64_MAX, 0, &prog),
			 MXACCEL_ST_TOO_LARGE);
	assert_int_equal(mx_chip_prog_begin(chip, content, 200, UINT64_MAX, &prog),
			 MXACCEL_ST_TOO_LARGE);
	assert_int_equal(mx_chip_prog_begin(chip, content, 127, 64, &prog), MXACCEL_ST_BAD_FIELD);
	assert_int_equal(program(chip, &m[4], &id[4]), 0);
	assert_int_equal(id[4], id[1]);

	/* the first write takes all the room that the model will need */
	for (i = 0; i < 5; i++) {
		mx_chip_model_put(chip, id[i]);
		if (i != 1)
			assert_int_equal(mx_chip_model_delete(chip, id[i]), 0);
	}
	assert_int_equal(mx_chip_prog_begin(chip, content, 200, ROOM - MXACCEL_CHUNK, &big), 0);
	assert_int_equal(mx_chip_prog_write(chip, big, 0, page, 0), 0);
	assert_int_equal(identify(chip).free_bytes, ROOM);
	assert_int_equal(mx_chip_prog_write(chip, big, 0, page, 1), 0);
	assert_int_equal(identify(chip).free_bytes, 0);
	assert_int_equal(begin(chip, &m[0], &prog), 0);
	assert_int_equal(mx_chip_prog_write(chip, prog, 0, page, 1), MXACCEL_ST_NO_SPACE);
	assert_int_equal(mx_chip_prog_abort(chip, big), 0);
	write_all(chip, &m[0], prog);
	assert_int_equal(mx_chip_prog_commit(chip, prog, &id[0]), 0);
	mx_chip_free(chip);
	store_free(&store);
}

static void handles_are_checked(void **state)
{
	static struct sample_model m;
	uint32_t prog, second, id;
	struct mx_chip *chip;
	struct store store;
	uint64_t room;

	(void)state;
	make(&m, 0);
	store_init(&store, &config);
	chip = power_on(&store);
	assert_int_equal(mx_chip_prog_write(chip, 0, 0, "x", 1), MXACCEL_ST_BAD_PROG);
	assert_int_equal(mx_chip_prog_commit(chip, 0, &id), MXACCEL_ST_BAD_PROG);
	assert_int_equal(mx_chip_prog_abort(chip, UINT32_MAX), MXACCEL_ST_BAD_PROG);

	assert_int_equal(begin(chip, &m, &prog), 0);
	room = 2 * MXACCEL_PAGE + (m.params_bytes - 1) / MXACCEL_PAGE * MXACCEL_PAGE;
	assert_int_equal(mx_chip_prog_write(chip, prog, room, "x", 0), 0);
	assert_int_equal(mx_chip_prog_write(chip, prog, room - 1, "xy", 2), MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_write(chip, prog, room, "x", 1), MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_write(chip, prog, UINT64_MAX, "x", 2),
			 MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_write(chip, prog, 1, "x", UINT64_MAX),
			 MXACCEL_ST_BAD_RANGE);
	assert_int_equal(mx_chip_prog_abort(chip, prog), 0);
	assert_int_equal(mx_chip_prog_abort(chip, prog), MXACCEL_ST_BAD_PROG);
	assert_int_equal(begin(chip, &m, &second), 0);
	assert_int_not_equal(prog, second);	/* same slot, other handle */
	assert_int_equal(mx_chip_prog_write(chip, prog, 0, "x", 1), MXACCEL_ST_BAD_PROG);
	assert_int_equal(mx_chip_prog_commit(chip, prog, &id), MXACCEL_ST_BAD_PROG);
	write_all(chip, &m, second);
	assert_int_equal(mx_chip_prog_commit(chip, second, &id), 0);
	assert_int_equal(mx_chip_prog_commit(chip, second, &id), MXACCEL_ST_BAD_PROG);
	mx_chip_free(chip);
	store_free(&store);
}

static void bad_content_is_refused_and_frees_its_room(void **state)
{
	static struct sample_model m;
	struct mx_chip *chip;
	struct store store;
	uint32_t prog, id;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	make(&m, 0);
	assert_int_equal(begin(chip, &m, &prog), 0);	/* nothing written at all */
	assert_int_equal(mx_chip_prog_commit(chip, prog, &id), MXACCEL_ST_BAD_HASH);
	assert_int_equal(begin(chip, &m, &prog), 0);
	write_all(chip, &m, prog);
	assert_int_equal(mx_chip_prog_write(chip, prog, MXACCEL_PAGE + m.params_bytes - 1,
					    "\xee", 1), 0);
	assert_int_equal(mx_chip_prog_commit(chip, prog, &id), MXACCEL_ST_BAD_HASH);

	make(&m, 0);
	m.section.op[OP_ACT].opcode = 99;
	assert_true(sample_seal(&m));
	assert_int_equal(program(chip, &m, &id), MXACCEL_ST_BAD_IMAGE);
	make(&m, 0);
	m.section.head.incompat = 1ull << 63;
	assert_true(sample_seal(&m));
	assert_int_equal(program(chip, &m, &id), MXACCEL_ST_BAD_VERSION);
	make(&m, 0);
	m.section.region[REGION_FFN].cols = 1 << 20;
	assert_true(sample_seal(&m));
	assert_int_equal(program(chip, &m, &id), MXACCEL_ST_TOO_LARGE);

	assert_int_equal(identify(chip).free_bytes, ROOM);
	assert_int_equal(identify(chip).nr_models, 0);
	make(&m, 0);
	assert_int_equal(program(chip, &m, &id), 0);
	mx_chip_free(chip);
	store_free(&store);
}

static void two_programmings_of_one_content_end_as_one_model(void **state)
{
	static struct sample_model m;
	uint32_t prog[2], id[2];
	struct mxaccel_model_info info;
	struct mx_chip *chip;
	struct store store;
	int i;

	(void)state;
	make(&m, 0);
	store_init(&store, &config);
	chip = power_on(&store);
	for (i = 0; i < 2; i++)
		assert_int_equal(begin(chip, &m, &prog[i]), 0);
	for (i = 0; i < 2; i++)
		write_all(chip, &m, prog[i]);
	for (i = 0; i < 2; i++)
		assert_int_equal(mx_chip_prog_commit(chip, prog[i], &id[i]), 0);
	assert_int_equal(id[0], id[1]);
	assert_int_equal(mx_chip_model_info(chip, id[0], &info), 0);
	assert_int_equal(info.grants, 2);
	assert_int_equal(identify(chip).nr_models, 1);
	assert_int_equal(identify(chip).free_bytes, ROOM - SAMPLE_ROOM);
	mx_chip_free(chip);
	store_free(&store);
}

static void a_failing_store_changes_nothing(void **state)
{
	static struct sample_model kept, added;
	struct mx_chip *chip;
	struct store store;
	uint32_t id, other;
	unsigned int i;

	(void)state;
	make(&kept, 0);
	make(&added, 1);
	store_init(&store, &config);
	chip = power_on(&store);
	assert_int_equal(program(chip, &kept, &id), 0);
	mx_chip_model_put(chip, id);
	for (i = 1; i <= 3; i++) {	/* the data, map and wear, the directory */
		store.fail_at = store.calls + i;
		assert_int_equal(program(chip, &added, &other), MXACCEL_ST_STORE_ERROR);
		assert_false(resident(chip, &added));
		assert_true(resident(chip, &kept));
	}
	store.fail_at = store.calls + 1;
	assert_int_equal(mx_chip_model_delete(chip, id), MXACCEL_ST_STORE_ERROR);
	assert_true(resident(chip, &kept));
	chip = power_cycle(&store, chip);
	assert_true(resident(chip, &kept));
	assert_false(resident(chip, &added));
	assert_int_equal(program(chip, &added, &other), 0);
	assert_int_equal(mx_chip_model_delete(chip, id), 0);
	chip = power_cycle(&store, chip);
	assert_false(resident(chip, &kept));
	assert_true(resident(chip, &added));
	mx_chip_free(chip);
	store_free(&store);
}

/*
 * Power goes in each persist() call of a format, two programmings and a
 * deletion, with some sectors of that call written, and then with some of
 * everything that was only in memory written as well (as a file's page cache
 * may do). Each time the store must open, and hold what had been reported.
 */
static void power_cuts_leave_the_old_or_the_new(void **state)
{
	static struct sample_model a, b;
	bool has_a, has_b, deleted;
	unsigned int cut, round;
	struct mx_chip *chip;
	struct store store;
	uint64_t at;
	uint32_t id;

	(void)state;
	make(&a, 1);
	make(&b, 2);
	for (cut = 1; cut <= 11; cut++) {
		for (round = 0; round < 40; round++) {
			store_init(&store, &config);
			store.cut_at = cut;
			store.seed = cut * 1000 + round;
			has_a = has_b = deleted = false;
			chip = try_power_on(&store, &config);
			if (chip) {
				has_a = program(chip, &a, &id) == MXACCEL_ST_SUCCESS;
				has_b = program(chip, &b, &id) == MXACCEL_ST_SUCCESS;
				if (has_a && !mx_chip_model_find(chip, a.content, &id)) {
					mx_chip_model_put(chip, id);
					deleted = mx_chip_model_delete(chip, id) == 0;
				}
				mx_chip_free(chip);
			}
			for (at = 0; round % 2 && at < store.bytes; at += SECTOR)
				if (next_random(&store.seed) & 1)
					memcpy(store.disk + at, store.nv + at, SECTOR);
			memcpy(store.nv, store.disk, store.bytes);
			store.cut_at = 0;
			chip = try_power_on(&store, &config);
			if (!chip)
				fail_msg("cut %u, round %u: %s", cut, round, err);
			if (has_b != resident(chip, &b) && has_b)
				fail_msg("cut %u, round %u: a published model is gone", cut,
					 round);
			if (deleted && resident(chip, &a))
				fail_msg("cut %u, round %u: a deleted model is back", cut, round);
			if (cut > 9)
				assert_true(has_a && has_b && deleted);
			if (!resident(chip, &a))
				assert_int_equal(program(chip, &a, &id), 0);
			if (!resident(chip, &b))
				assert_int_equal(program(chip, &b, &id), 0);
			mx_chip_free(chip);
			store_free(&store);
		}
	}
}

/* Changes a byte of the store for as long as a chip is powered on. */
static struct mx_chip *damaged(struct store *store, uint64_t at, uint8_t bits)
{
	struct mx_chip *chip;

	store->nv[at] ^= bits;
	chip = try_power_on(store, &config);
	store->nv[at] ^= bits;
	return chip;
}

static void damage_is_found_at_power_on(void **state)
{
	const struct mx_nv_layout layout = mx_nv_layout(&config);
	static struct sample_model m[2];
	unsigned int refused = 0;
	struct mx_chip *chip;
	struct store store;
	uint64_t i, at;
	uint32_t id;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	for (i = 0; i < 2; i++) {
		make(&m[i], i);
		assert_int_equal(program(chip, &m[i], &id), 0);
	}
	mx_chip_free(chip);
	assert_memory_equal(store.nv, store.disk, store.bytes);

	/* any byte of the superblock */
	for (i = 0; i < sizeof(struct mx_nv_super); i++) {
		assert_null(damaged(&store, i, 0x10));
		assert_true(err[0]);
	}
	/* any byte of the directories; the older copy knows the first model only */
	for (i = MXACCEL_PAGE; i < layout.wear; i++) {
		chip = damaged(&store, i, 0x10);
		assert_non_null(chip);
		assert_true(resident(chip, &m[0]));
		refused += !resident(chip, &m[1]);
		mx_chip_free(chip);
	}
	assert_int_equal(refused, sizeof(struct mx_nv_dir) + 4 * sizeof(struct mx_nv_record));
	/* any byte of the maps: two entries for each model */
	for (i = 0; i < 4 * layout.map_bytes; i++) {
		uint64_t slot = i / layout.map_bytes;
		bool used = slot < 2 && i % layout.map_bytes < 8;

		chip = damaged(&store, layout.maps + i, 1 << i % 8);
		assert_non_null(chip);
		assert_int_equal(mx_chip_dropped_models(chip), used);
		assert_int_equal(resident(chip, &m[0]), !(used && slot == 0));
		assert_int_equal(resident(chip, &m[1]), !(used && slot == 1));
		assert_int_equal(identify(chip).free_bytes, ROOM - (2 - used) * SAMPLE_ROOM);
		mx_chip_free(chip);
	}
	/* a bit of a model: that one is lost, the other is not */
	for (i = 0; i < SAMPLE_ROOM; i += 97) {
		bool used = i < sizeof(m[0].section) ||
			    (i >= MXACCEL_CHUNK && i < MXACCEL_CHUNK + m[0].params_bytes);

		chip = damaged(&store, layout.storage + i, 0x80);
		assert_non_null(chip);
		assert_int_equal(resident(chip, &m[0]), !used);
		assert_true(resident(chip, &m[1]));
		assert_int_equal(mx_chip_dropped_models(chip), used);
		mx_chip_free(chip);
	}
	/* both copies of the directory */
	at = MXACCEL_PAGE + layout.dir_bytes;
	store.nv[at] ^= 1;
	assert_null(damaged(&store, MXACCEL_PAGE, 1));
	assert_non_null(strstr(err, "both copies"));
	/* the superblock gone, models still there */
	memcpy(store.nv, store.disk, store.bytes);
	memset(store.nv, 0, MXACCEL_PAGE);
	assert_null(try_power_on(&store, &config));

	/* the end of the file lost: zeros in its place; the models can come back */
	memcpy(store.nv, store.disk, store.bytes);
	memset(store.nv + layout.storage + 4096, 0, store.bytes - layout.storage - 4096);
	chip = power_on(&store);
	assert_int_equal(mx_chip_dropped_models(chip), 2);
	for (i = 0; i < 2; i++)
		assert_int_equal(program(chip, &m[i], &id), 0);
	chip = power_cycle(&store, chip);
	assert_int_equal(mx_chip_dropped_models(chip), 0);
	assert_int_equal(identify(chip).nr_models, 2);
	mx_chip_free(chip);
	store_free(&store);
}

static void the_store_of_another_chip_is_refused(void **state)
{
	struct mx_chip_config other = config;
	struct mx_chip *chip;
	struct store store;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	mx_chip_free(chip);

	strcpy(other.name, "other");
	assert_null(try_power_on(&store, &other));
	assert_non_null(strstr(err, "chip \"unit\", this one is \"other\""));
	other = config;
	other.banks = 3;
	assert_null(try_power_on(&store, &other));
	assert_non_null(strstr(err, "geometry"));
	other = config;
	other.max_models = 5;
	assert_null(try_power_on(&store, &other));
	assert_non_null(strstr(err, "4 models"));
	other = config;
	strcpy(other.organisation, "inplace");
	assert_null(try_power_on(&store, &other));
	assert_non_null(strstr(err, "synergy"));
	/* what the layout does not depend on may change */
	other = config;
	other.clock_khz = 5;
	other.max_sg = 9;
	chip = try_power_on(&store, &other);
	assert_non_null(chip);
	mx_chip_free(chip);
	((struct mx_nv_super *)store.nv)->version = 1;
	assert_null(try_power_on(&store, &config));
	assert_non_null(strstr(err, "layout version 1, this chip model knows up to 3"));
	memset(store.nv, 'x', store.bytes);
	assert_null(try_power_on(&store, &config));
	assert_non_null(strstr(err, "does not belong"));
	store_free(&store);
}

/* Records whose checksum is right, and maps, which nobody honest wrote. */
static void forged_records_are_dropped(void **state)
{
	static const uint64_t odd[] = {
		0, 1, 127, 4096, MXACCEL_CHUNK, MXACCEL_CHUNK + 1, ROOM - 1, ROOM, ROOM + 1,
		(uint64_t)1 << 32, (uint64_t)1 << 47, INT64_MAX, UINT64_MAX - 65535, UINT64_MAX,
	};
	static const uint32_t chunk[] = { 0, 1, 2, 9, 10, 1 << 30, 1u << 31, UINT32_MAX };
	const size_t nr = ARRAY_SIZE(odd), nr_chunk = ARRAY_SIZE(chunk);
	const struct mx_nv_layout layout = mx_nv_layout(&config);
	const size_t sizes = nr * nr, maps = nr_chunk * nr_chunk;
	static struct sample_model m;
	struct mx_nv_record *record;
	struct mx_nv_dir *dir;
	struct mx_chip *chip;
	struct store store;
	uint32_t id, *map;
	size_t i;

	(void)state;
	make(&m, 0);
	store_init(&store, &config);
	chip = power_on(&store);
	assert_int_equal(program(chip, &m, &id), 0);
	mx_chip_free(chip);
	dir = (struct mx_nv_dir *)(store.nv + MXACCEL_PAGE + layout.dir_bytes);
	map = (uint32_t *)(store.nv + layout.maps + layout.map_bytes);
	record = (struct mx_nv_record *)(dir + 1);
	for (i = 0; i < sizes + maps + 3; i++) {
		memcpy(store.nv, store.disk, layout.storage);
		assert_int_equal(dir->generation, 2);
		assert_int_equal(record[0].flags, MX_NV_USED);
		record[1] = record[0];
		record[1].content[0] ^= 1;
		map[0] = 0;
		map[1] = 1;
		if (i < sizes) {
			record[1].model_bytes = odd[i % nr];
			record[1].params_bytes = odd[i / nr];
		} else if (i < sizes + maps) {
			map[0] = chunk[(i - sizes) % nr_chunk];
			map[1] = chunk[(i - sizes) / nr_chunk];
		} else {
			switch (i - sizes - maps) {
			case 0:	/* the same content twice */
				record[1] = record[0];
				break;
			case 1:
				record[1].flags = 2;
				break;
			default:	/* programmed in the future */
				record[1].programmed = 1;
			}
		}
		dir->crc32c = 0;
		dir->crc32c = mx_crc32c(dir, sizeof(*dir) + 4 * sizeof(*record));
		chip = power_on(&store);
		assert_true(resident(chip, &m));
		assert_int_equal(mx_chip_dropped_models(chip), 1);
		assert_int_equal(identify(chip).nr_models, 1);
		assert_int_equal(identify(chip).free_bytes, ROOM - SAMPLE_ROOM);
		mx_chip_free(chip);
	}
	store_free(&store);
}

/* ----------------------------------------------------------------- threads */

#define WORKERS 4

static struct sample_model shared_model[3];

struct worker {
	struct mx_chip *chip;
	uint64_t seed;
	unsigned int done;
	unsigned int wrong;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct mxaccel_model_info info;
	const struct sample_model *m;
	uint32_t prog, id;
	uint16_t status;
	int i;

	for (i = 0; i < 300; i++) {
		m = &shared_model[next_random(&w->seed) % 3];
		status = begin(w->chip, m, &prog);
		if (status == MXACCEL_ST_NO_SLOT)
			continue;
		if (status == MXACCEL_ST_RESIDENT) {
			id = prog;
		} else {
			mx_chip_prog_write(w->chip, prog, 0, &m->section, sizeof(m->section));
			mx_chip_prog_write(w->chip, prog, MXACCEL_PAGE, m->params,
					   m->params_bytes);
			if (next_random(&w->seed) % 8 == 0) {
				w->wrong += mx_chip_prog_abort(w->chip, prog) != 0;
				continue;
			}
			if (mx_chip_prog_commit(w->chip, prog, &id)) {
				w->wrong++;
				continue;
			}
		}
		w->wrong += mx_chip_model_info(w->chip, id, &info) ||
			    memcmp(info.content, m->content, 32) || !info.grants;
		w->wrong += mx_chip_model_delete(w->chip, id) != MXACCEL_ST_BUSY;
		mx_chip_model_put(w->chip, id);
		status = mx_chip_model_delete(w->chip, id);
		w->wrong += status && status != MXACCEL_ST_BUSY && status != MXACCEL_ST_BAD_MODEL;
		w->done++;
	}
	return NULL;
}

static void threads_may_program_and_delete_at_once(void **state)
{
	struct mx_chip_params params = { .threads = 1, .isa = MX_ISA_AUTO };
	struct worker worker[WORKERS];
	pthread_t thread[WORKERS];
	struct mxaccel_model_info info;
	uint32_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		make(&shared_model[i], i);
	worker[0].chip = mx_chip_new(&config, &params, err, sizeof(err));
	assert_non_null(worker[0].chip);
	for (i = 0; i < WORKERS; i++) {
		worker[i] = (struct worker){ .chip = worker[0].chip, .seed = i };
		assert_int_equal(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
	}
	for (i = 0; i < WORKERS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(worker[i].wrong, 0);
		assert_true(worker[i].done);
	}
	for (i = 0; i < config.max_models; i++) {
		assert_int_equal(mx_chip_model_info(worker[0].chip, i, &info), 0);
		assert_int_equal(info.grants, 0);
		if (info.flags & MXACCEL_MODEL_VALID)
			assert_int_equal(mx_chip_model_delete(worker[0].chip, i), 0);
	}
	assert_int_equal(identify(worker[0].chip).free_bytes, ROOM);
	mx_chip_free(worker[0].chip);
}

struct late_writer {
	struct mx_chip *chip;
	uint32_t prog;
	atomic_uint writes;
	uint8_t data[30 * MXACCEL_PAGE];
};

static void *write_until_refused(void *arg)
{
	struct late_writer *w = arg;

	do {
		memset(w->data, ++w->writes, sizeof(w->data));
	} while (!mx_chip_prog_write(w->chip, w->prog, 0, w->data, sizeof(w->data)));
	return NULL;
}

/* The end of a programming waits for its writes: no cell changes afterwards. */
static void no_write_outlasts_its_programming(void **state)
{
	static struct late_writer writer;
	uint8_t content[32] = { 1 };
	struct store store;
	uint8_t *after, *storage;
	pthread_t thread;
	uint32_t id;
	int round;

	(void)state;
	store_init(&store, &config);
	writer.chip = power_on(&store);
	storage = store.nv + store.bytes - ROOM;
	after = malloc(ROOM);
	assert_non_null(after);
	for (round = 0; round < 200; round++) {
		writer.writes = 0;
		assert_int_equal(mx_chip_prog_begin(writer.chip, content, 200,
						    29 * MXACCEL_PAGE, &writer.prog), 0);
		assert_int_equal(pthread_create(&thread, NULL, write_until_refused, &writer), 0);
		while (writer.writes < 3)
			;
		if (round % 2)
			assert_int_equal(mx_chip_prog_abort(writer.chip, writer.prog), 0);
		else
			assert_int_equal(mx_chip_prog_commit(writer.chip, writer.prog, &id),
					 MXACCEL_ST_BAD_HASH);
		memcpy(after, storage, ROOM);
		pthread_join(thread, NULL);
		assert_memory_equal(after, storage, ROOM);
	}
	free(after);
	mx_chip_free(writer.chip);
	store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_chip_is_empty_and_knows_itself),
		cmocka_unit_test(a_model_survives_power_cycles),
		cmocka_unit_test(room_and_slots_run_out_and_come_back),
		cmocka_unit_test(handles_are_checked),
		cmocka_unit_test(bad_content_is_refused_and_frees_its_room),
		cmocka_unit_test(two_programmings_of_one_content_end_as_one_model),
		cmocka_unit_test(a_failing_store_changes_nothing),
		cmocka_unit_test(power_cuts_leave_the_old_or_the_new),
		cmocka_unit_test(damage_is_found_at_power_on),
		cmocka_unit_test(the_store_of_another_chip_is_refused),
		cmocka_unit_test(forged_records_are_dropped),
		cmocka_unit_test(threads_may_program_and_delete_at_once),
		cmocka_unit_test(no_write_outlasts_its_programming),
	};

	return cmocka_run_group_tests_name("chip_directory", tests, NULL, NULL);
}
