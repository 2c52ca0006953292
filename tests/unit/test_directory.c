// SPDX-License-Identifier: LGPL-2.1-or-later
/* Model directory: programming, references, room, and what the store keeps. */
#include <pthread.h>
#include <stdio.h>

#include "flaky_store.h"
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

/* Pages that a sample model takes. */
static uint64_t sample_pages(const struct sample_model *m)
{
	return 1 + (m->params_bytes + MXACCEL_PAGE - 1) / MXACCEL_PAGE;
}

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
	assert_int_equal(page.free_bytes, 131072);
	assert_int_equal(page.nr_models, 0);
	assert_int_equal(page.nr_values, MXACCEL_CHIP_NR);
	assert_int_equal(page.value[MXACCEL_CHIP_CAPACITY_BYTES], 131072);
	assert_int_equal(page.value[MXACCEL_CHIP_ACT_BYTES], 131072);
	assert_int_equal(page.value[MXACCEL_CHIP_MAX_MODELS], 4);
	assert_int_equal(page.value[MXACCEL_CHIP_MAX_CONTEXTS], 5);
	assert_int_equal(page.value[MXACCEL_CHIP_MAX_BUFFERS], 6);
	assert_int_equal(page.value[MXACCEL_CHIP_MAX_SG], 7);
	for (i = 0; i < MXACCEL_CHIP_NR; i++)
		assert_true(page.value[i]);	/* no value was forgotten */
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
	assert_int_equal(info.cells, sample_pages(&m) * MXACCEL_PAGE * 2);
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
	assert_int_equal(identify(chip).free_bytes, 131072);
	mx_chip_free(chip);
	store_free(&store);
}

static void room_and_slots_run_out_and_come_back(void **state)
{
	static struct sample_model m[5];
	uint8_t content[32] = { 1 };
	uint32_t id[5], prog, big;
	struct mx_chip *chip;
	struct store store;
	uint64_t taken;
	int i;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	for (i = 0; i < 5; i++)
		make(&m[i], i);
	for (i = 0; i < 4; i++)
		assert_int_equal(program(chip, &m[i], &id[i]), 0);
	assert_int_equal(program(chip, &m[4], &id[4]), MXACCEL_ST_NO_SLOT);
	taken = sample_pages(&m[0]) * MXACCEL_PAGE;
	assert_int_equal(identify(chip).free_bytes, 131072 - 4 * taken);
	assert_int_equal(identify(chip).nr_models, 4);

	/* the hole of the second model is used before the end */
	mx_chip_model_put(chip, id[1]);
	assert_int_equal(mx_chip_model_delete(chip, id[1]), 0);
	assert_int_equal(identify(chip).free_bytes, 131072 - 4 * taken);
	assert_int_equal(mx_chip_prog_begin(chip, content, 200, 131072 - 4 * taken, &prog),
			 MXACCEL_ST_NO_SPACE);
	assert_int_equal(mx_chip_prog_begin(chip, content, 200, 131072, &prog),
			 MXACCEL_ST_TOO_LARGE);
	assert_int_equal(mx_chip_prog_begin(chip, content, UINT64_MAX, 0, &prog),
			 MXACCEL_ST_TOO_LARGE);
	assert_int_equal(mx_chip_prog_begin(chip, content, 200, UINT64_MAX, &prog),
			 MXACCEL_ST_TOO_LARGE);
	assert_int_equal(mx_chip_prog_begin(chip, content, 127, 64, &prog), MXACCEL_ST_BAD_FIELD);
	assert_int_equal(program(chip, &m[4], &id[4]), 0);
	assert_int_equal(id[4], id[1]);
	assert_int_equal(identify(chip).free_bytes, 131072 - 4 * taken);

	/* everything in one piece again; a programming takes its room at once */
	for (i = 0; i < 5; i++) {
		mx_chip_model_put(chip, id[i]);
		if (i != 1)
			assert_int_equal(mx_chip_model_delete(chip, id[i]), 0);
	}
	assert_int_equal(mx_chip_prog_begin(chip, content, 200, 131072 - 4096, &big), 0);
	assert_int_equal(identify(chip).free_bytes, 0);
	assert_int_equal(program(chip, &m[0], &id[0]), MXACCEL_ST_NO_SPACE);
	assert_int_equal(mx_chip_prog_abort(chip, big), 0);
	assert_int_equal(program(chip, &m[0], &id[0]), 0);
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
	room = sample_pages(&m) * MXACCEL_PAGE;
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

	assert_int_equal(identify(chip).free_bytes, 131072);
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
	assert_int_equal(identify(chip).free_bytes, 131072 - sample_pages(&m) * MXACCEL_PAGE);
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
	for (i = 1; i <= 2; i++) {	/* the data, the directory */
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
	for (cut = 1; cut <= 9; cut++) {
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
			if (cut > 7)
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

static void damage_is_found_at_power_on(void **state)
{
	static struct sample_model m[2];
	uint64_t models = MXACCEL_PAGE + 2 * MXACCEL_PAGE;
	unsigned int refused = 0;
	struct mx_chip *chip;
	struct store store;
	uint32_t id;
	uint64_t i;

	(void)state;
	store_init(&store, &config);
	chip = power_on(&store);
	for (i = 0; i < 2; i++) {
		make(&m[i], i);
		assert_int_equal(program(chip, &m[i], &id), 0);
	}
	mx_chip_free(chip);

	/* any byte of the superblock */
	for (i = 0; i < sizeof(struct mx_nv_super); i++) {
		memcpy(store.nv, store.disk, store.bytes);
		store.nv[i] ^= 0x10;
		assert_null(try_power_on(&store, &config));
		assert_true(err[0]);
	}
	/* any byte of the directories; the older copy knows the first model only */
	for (i = MXACCEL_PAGE; i < models; i++) {
		memcpy(store.nv, store.disk, store.bytes);
		store.nv[i] ^= 0x10;
		chip = power_on(&store);
		assert_true(resident(chip, &m[0]));
		refused += !resident(chip, &m[1]);
		mx_chip_free(chip);
	}
	assert_int_equal(refused, sizeof(struct mx_nv_dir) + 4 * sizeof(struct mx_nv_record));
	/* both copies */
	memcpy(store.nv, store.disk, store.bytes);
	store.nv[MXACCEL_PAGE] ^= 1;
	store.nv[2 * MXACCEL_PAGE] ^= 1;
	assert_null(try_power_on(&store, &config));
	assert_non_null(strstr(err, "both copies"));
	/* the superblock gone, models still there */
	memcpy(store.nv, store.disk, store.bytes);
	memset(store.nv, 0, MXACCEL_PAGE);
	assert_null(try_power_on(&store, &config));

	/* a bit of a model: that one is lost, the other is not, and it can come back */
	for (i = 0; i < sample_pages(&m[0]) * MXACCEL_PAGE; i += 97) {
		bool used = i < sizeof(m[0].section) ||
			    (i >= MXACCEL_PAGE && i < MXACCEL_PAGE + m[0].params_bytes);

		memcpy(store.nv, store.disk, store.bytes);
		store.nv[models + i] ^= 0x80;
		chip = power_on(&store);
		assert_int_equal(resident(chip, &m[0]), !used);
		assert_true(resident(chip, &m[1]));
		assert_int_equal(mx_chip_dropped_models(chip), used);
		mx_chip_free(chip);
	}
	/* the end of the file lost: zeros in its place */
	memcpy(store.nv, store.disk, store.bytes);
	memset(store.nv + models + 4096, 0, store.bytes - models - 4096);
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
	other.bank_rows = 512;
	other.bank_cols = 512;
	assert_null(try_power_on(&store, &other));
	assert_non_null(strstr(err, "geometry"));
	other = config;
	other.max_models = 5;
	assert_null(try_power_on(&store, &other));
	assert_non_null(strstr(err, "4 models"));
	/* what the layout does not depend on may change */
	other = config;
	other.clock_khz = 5;
	other.max_sg = 9;
	chip = try_power_on(&store, &other);
	assert_non_null(chip);
	mx_chip_free(chip);
	memset(store.nv, 'x', store.bytes);
	assert_null(try_power_on(&store, &config));
	assert_non_null(strstr(err, "does not belong"));
	store_free(&store);
}

/* Records whose checksum is right but which nobody honest wrote. */
static void forged_records_are_dropped(void **state)
{
	static const uint64_t odd[] = {
		0, 1, 127, 128, 4095, 4096, 8192, 65536, 126976, 131072, 1 << 20,
		(uint64_t)1 << 32, INT64_MAX, UINT64_MAX - 4095, UINT64_MAX,
	};
	const size_t nr = ARRAY_SIZE(odd);
	static struct sample_model m;
	struct mx_nv_record *record;
	struct mx_nv_dir *dir;
	struct mx_chip *chip;
	struct store store;
	uint32_t id;
	size_t i;

	(void)state;
	make(&m, 0);
	store_init(&store, &config);
	chip = power_on(&store);
	assert_int_equal(program(chip, &m, &id), 0);
	mx_chip_free(chip);
	for (i = 0; i < nr * nr * nr + 6; i++) {
		memcpy(store.nv, store.disk, store.bytes);
		dir = (struct mx_nv_dir *)(store.nv + 2 * MXACCEL_PAGE);
		assert_int_equal(dir->generation, 2);
		record = (struct mx_nv_record *)(dir + 1);
		assert_int_equal(record[0].flags, MX_NV_USED);
		if (i < nr * nr * nr) {
			record[1] = record[0];
			record[1].content[0] ^= 1;
			record[1].offset = odd[i % nr];
			record[1].model_bytes = odd[i / nr % nr];
			record[1].params_bytes = odd[i / nr / nr];
		} else {
			record[1] = record[0];
			switch (i - nr * nr * nr) {
			case 0:	/* the same content twice, elsewhere */
				record[1].offset = 65536;
				memcpy(store.nv + 3 * MXACCEL_PAGE + 65536,
				       store.nv + 3 * MXACCEL_PAGE, 65536);
				break;
			case 1:
				record[1].flags = 2;
				break;
			case 2:
				record[1].rsvd = 1;
				break;
			default:	/* overlapping by a page or more */
				record[1].content[1] ^= 1;
				record[1].offset = (i - nr * nr * nr - 3) * MXACCEL_PAGE;
			}
		}
		dir->crc32c = 0;
		dir->crc32c = mx_crc32c(dir, sizeof(*dir) + 4 * sizeof(*record));
		chip = power_on(&store);
		assert_true(resident(chip, &m));
		assert_int_equal(mx_chip_dropped_models(chip), 1);
		assert_int_equal(identify(chip).nr_models, 1);
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
	params.nv = aligned_alloc(MXACCEL_PAGE, mx_chip_nv_bytes(&config));
	assert_non_null(params.nv);
	memset(params.nv, 0, mx_chip_nv_bytes(&config));
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
	assert_int_equal(identify(worker[0].chip).free_bytes, 131072);
	mx_chip_free(worker[0].chip);
	free(params.nv);
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
	storage = store.nv + store.bytes - 131072;
	after = malloc(131072);
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
		memcpy(after, storage, 131072);
		pthread_join(thread, NULL);
		assert_memory_equal(after, storage, 131072);
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
