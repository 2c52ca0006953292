// SPDX-License-Identifier: LGPL-2.1-or-later
/* The chip's clock, the age of each model's cells, and cells that are programmed again. */
#include "large_model.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static struct large a, b, c;

/* As config of flaky_store.h, but one whose cells compute: 10 chunks in 80 arrays. */
static struct mx_chip_config aging(void)
{
	struct mx_chip_config k = config;

	strcpy(k.organisation, "inplace");
	k.kind = MX_INPLACE;
	k.groups = 8;
	k.subarrays = 10;
	k.large_rows = 128;
	k.large_cols = 128;
	k.adcs = 1;
	k.large_adc_bits = 8;
	k.adc_mhz = 1000;
	k.settle_cycles = 1;
	k.cluster = 1;
	k.multicast = 1;
	k.small_units = 1;
	k.small_contexts = 8;
	k.intermediate_kib = 64;
	k.analog.adc_step = 1;
	for (int i = 0; i < MX_MAX_SLICES; i++)
		k.analog.adc_steps[i] = 1;
	return k;
}

static struct mx_chip *on(struct store *store, const struct mx_chip_config *k, uint32_t age)
{
	struct mx_chip_params params = {
		.threads = 1, .isa = MX_ISA_AUTO, .seed = 42, .fidelity = MX_ANALOG, .age = age,
		.nv_fd = store->fd, .persist = store_persist, .opaque = store,
	};

	err[0] = '\0';
	return mx_chip_new(k, &params, err, sizeof(err));
}

static struct mx_chip *must_on(struct store *store, const struct mx_chip_config *k, uint32_t age)
{
	struct mx_chip *chip = on(store, k, age);

	if (!chip)
		fail_msg("%s", err);
	return chip;
}

static struct mx_chip *off_and_on(struct store *store, struct mx_chip *chip, uint32_t age)
{
	struct mx_chip_config k = *mx_chip_config(chip);

	mx_chip_free(chip);
	memcpy(store->nv, store->disk, store->bytes);
	return must_on(store, &k, age);
}

static struct mxaccel_model_info info(struct mx_chip *chip, const struct large *l)
{
	struct mxaccel_model_info page;
	uint32_t id;

	assert_int_equal(mx_chip_model_find(chip, l->content, &id), 0);
	assert_int_equal(mx_chip_model_info(chip, id, &page), 0);
	return page;
}

static uint16_t refresh(struct mx_chip *chip, const struct large *l)
{
	return mx_chip_model_refresh(chip, info(chip, l).id);
}

static void models_age_with_the_chips_clock(void **state)
{
	struct mx_chip_config k = aging();
	struct mx_chip *chip;
	struct store store;
	uint32_t id;

	(void)state;
	large_make(&a, 2, 640);
	large_make(&b, 3, CHUNK);
	store_init(&store, &k);
	chip = must_on(&store, &k, 0);
	must_program(chip, &a, 2, &id);
	assert_int_equal(info(chip, &a).age, 0);
	chip = off_and_on(&store, chip, 1000);
	assert_int_equal(info(chip, &a).age, 1000);
	must_program(chip, &b, 2, &id);
	/* It shares a chunk of a's. */
	assert_int_equal(info(chip, &b).age, 1000);
	chip = off_and_on(&store, chip, 0);
	assert_int_equal(health(chip).age_seconds, 1000);
	assert_int_equal(mx_chip_set_age(chip, 1500, err, sizeof(err)), 0);
	assert_int_equal(info(chip, &a).age, 1500);
	assert_int_equal(mx_chip_set_age(chip, 1500, err, sizeof(err)), 0);
	assert_int_equal(mx_chip_set_age(chip, 1499, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "age=1499: the chip's clock shows 1500 seconds, and no chip gets younger: give 1500 to 1000000000, or no age to leave it so");
	assert_int_equal(mx_chip_set_age(chip, MX_MAX_AGE + 1, err, sizeof(err)), -EINVAL);
	chip = off_and_on(&store, chip, 0);
	assert_int_equal(info(chip, &a).age, 1500);
	mx_chip_free(chip);
	assert_null(on(&store, &k, 1499));
	assert_non_null(strstr(err, "no chip gets younger"));
	chip = must_on(&store, &k, MX_MAX_AGE);
	assert_int_equal(info(chip, &b).age, MX_MAX_AGE);
	assert_intact(chip, &a);
	assert_intact(chip, &b);
	/* Some of them may be the only ones that a damaged directory leaves. */
	store.fail_at = store.calls + 1;
	assert_int_equal(mx_chip_set_age(chip, MX_MAX_AGE, err, sizeof(err)), 0);
	mx_chip_free(chip);
	store_free(&store);
}

static void a_refresh_makes_cells_new_and_wears_them(void **state)
{
	struct mx_chip_config k = aging();
	uint64_t cells, retries, worn;
	struct mx_chip *chip;
	struct store store;
	uint32_t id, i;

	(void)state;
	k.cells_retry_ppm = 20000;
	large_make(&a, 3, 640);
	store_init(&store, &k);
	chip = must_on(&store, &k, 0);
	assert_int_equal(mx_chip_model_refresh(chip, 0), MXACCEL_ST_BAD_MODEL);
	assert_int_equal(mx_chip_model_refresh(chip, UINT32_MAX), MXACCEL_ST_BAD_MODEL);
	must_program(chip, &a, 3, &id);
	cells = counter(chip, MXACCEL_CTR_CELL_WRITES);
	assert_int_equal(mx_chip_set_age(chip, 5000, err, sizeof(err)), 0);
	for (i = 1; i < 4; i++) {
		retries = counter(chip, MXACCEL_CTR_VERIFY_RETRIES);
		worn = health(chip).wear_total;
		assert_int_equal(refresh(chip, &a), 0);
		assert_int_equal(info(chip, &a).age, 0);
		assert_int_equal(info(chip, &a).epoch, i);
		assert_int_equal(health(chip).refreshes, i);
		/* MODEL's chunk and three of PARAMS */
		assert_int_equal(health(chip).wear_total, worn + 4);
		assert_int_equal(counter(chip, MXACCEL_CTR_CELL_WRITES), cells * (i + 1));
		retries = counter(chip, MXACCEL_CTR_VERIFY_RETRIES) - retries;
		assert_true(retries > 0.9 * 0.02 * cells && retries < 1.1 * 0.02 * cells);
		assert_intact(chip, &a);
	}
	assert_int_equal(counter(chip, MXACCEL_CTR_DMA_READ_BYTES),
			 sizeof(a.section) + a.params_bytes);
	chip = off_and_on(&store, chip, 5600);
	assert_int_equal(info(chip, &a).age, 600);
	assert_int_equal(info(chip, &a).epoch, 3);
	assert_int_equal(health(chip).refreshes, 3);
	assert_int_equal(health(chip).wear_total, 16);
	/* A model in use can be refreshed, and cannot be deleted. */
	assert_int_equal(mx_chip_model_get(chip, id), 0);
	assert_int_equal(refresh(chip, &a), 0);
	assert_int_equal(mx_chip_model_delete(chip, id), MXACCEL_ST_BUSY);
	mx_chip_model_put(chip, id);
	assert_int_equal(mx_chip_model_delete(chip, id), 0);
	/* The next model in this slot has a history of its own. */
	must_program(chip, &a, 3, &id);
	assert_int_equal(info(chip, &a).epoch, 0);
	assert_int_equal(health(chip).refreshes, 4);
	mx_chip_free(chip);
	store_free(&store);
}

static void worn_out_cells_are_left_alone(void **state)
{
	struct mx_chip_config k = aging();
	struct mx_chip *chip;
	struct store store;
	uint32_t id;

	(void)state;
	k.cells_endurance = 2;
	large_make(&a, 2, 640);
	store_init(&store, &k);
	chip = must_on(&store, &k, 0);
	must_program(chip, &a, 2, &id);
	assert_int_equal(refresh(chip, &a), 0);
	assert_int_equal(mx_chip_set_age(chip, 7, err, sizeof(err)), 0);
	assert_int_equal(refresh(chip, &a), MXACCEL_ST_WORN_OUT);
	assert_int_equal(info(chip, &a).age, 7);
	assert_int_equal(info(chip, &a).epoch, 1);
	assert_int_equal(health(chip).wear_total, 6);
	assert_intact(chip, &a);
	mx_chip_free(chip);
	store_free(&store);
}

static void shared_chunks_are_as_old_as_they_are(void **state)
{
	struct mx_chip_config k = aging();
	struct mx_chip *chip;
	struct store store;
	uint32_t id;

	(void)state;
	large_make(&a, 3, 640);
	b = a;
	b.params[CHUNK + 9] ^= 1;
	large_seal(&b);
	c = b;
	c.params[2 * CHUNK + 9] ^= 1;
	large_seal(&c);
	store_init(&store, &k);
	chip = must_on(&store, &k, 0);
	must_program(chip, &a, 3, &id);
	assert_int_equal(mx_chip_set_age(chip, 100, err, sizeof(err)), 0);
	must_program(chip, &b, 1, &id);
	assert_int_equal(info(chip, &b).age, 100);
	assert_int_equal(refresh(chip, &b), 0);
	assert_int_equal(info(chip, &b).age, 0);
	assert_int_equal(info(chip, &a).age, 100);
	chip = off_and_on(&store, chip, 300);
	assert_int_equal(info(chip, &a).age, 300);
	/* All that it takes over was refreshed with b. */
	must_program(chip, &c, 1, &id);
	assert_int_equal(info(chip, &c).age, 200);
	mx_chip_free(chip);
	store_free(&store);
}

/*
 * Power goes in each persist() call of: set the clock (1), refresh (cells, wear, directory);
 * with any sectors of that call on disk.
 */
static void power_cuts_leave_the_old_or_the_new(void **state)
{
	struct mx_chip_config k = aging();
	unsigned int cut, round, old = 0, new = 0;
	struct mx_chip *chip;
	struct store store;
	uint32_t id, clock;
	bool set, done;

	(void)state;
	large_make(&a, 3, 640);
	for (cut = 1; cut <= 5; cut++) {
		for (round = 0; round < 24; round++) {
			store_init(&store, &k);
			store.seed = cut * 1000 + round;
			chip = must_on(&store, &k, 0);
			must_program(chip, &a, 3, &id);
			store.cut_at = store.calls + cut;
			set = !mx_chip_set_age(chip, 77, err, sizeof(err));
			done = set && !refresh(chip, &a);
			if (set && !done)
				assert_int_equal(info(chip, &a).age, 77);
			assert_int_equal(done, cut == 5);
			mx_chip_free(chip);
			memcpy(store.nv, store.disk, store.bytes);
			store.cut_at = 0;
			chip = must_on(&store, &k, 0);
			assert_int_equal(mx_chip_dropped_models(chip), 0);
			assert_intact(chip, &a);
			clock = health(chip).age_seconds;
			assert_true(clock == 77 || (!set && !clock));
			if (info(chip, &a).epoch) {
				assert_int_equal(info(chip, &a).age, 0);
				assert_int_equal(health(chip).refreshes, 1);
				assert_true(health(chip).wear_total == 8);
				new++;
			} else {
				assert_false(done);
				assert_int_equal(info(chip, &a).age, clock);
				assert_int_equal(health(chip).refreshes, 0);
				old++;
			}
			assert_int_equal(refresh(chip, &a), 0);
			mx_chip_free(chip);
			store_free(&store);
		}
	}
	assert_true(old > 24 && new > 24);
}

/* Refreshes until it is killed. */
static void __attribute__((noreturn)) go_on(struct store *store, const struct mx_chip_config *k,
					    atomic_uint *told)
{
	struct mx_chip *chip = on(store, k, 0);

	while (chip && !refresh(chip, &a))
		*told = info(chip, &a).epoch;
	_exit(1);
}

static void kills_leave_the_old_or_the_new(void **state)
{
	struct mx_chip_config k = aging();
	unsigned int round, before, after = 0;
	struct mx_chip *chip;
	struct store store;
	uint64_t seed = 9;
	atomic_uint *told;
	uint32_t id, epoch;
	int status;
	pid_t pid;

	(void)state;
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(told != MAP_FAILED);
	large_make(&a, 4, 640);
	store_init(&store, &k);
	chip = must_on(&store, &k, 3600);
	must_program(chip, &a, 4, &id);
	mx_chip_free(chip);
	for (round = 0; round < 100; round++) {
		before = *told;
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			go_on(&store, &k, told);
		while (*told == before && !waitpid(pid, &status, WNOHANG))
			;
		usleep(next_random(&seed) % 3000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		chip = must_on(&store, &k, 0);
		assert_int_equal(mx_chip_dropped_models(chip), 0);
		assert_intact(chip, &a);
		epoch = info(chip, &a).epoch;
		assert_true(epoch == *told || epoch == *told + 1);
		after += epoch != *told;
		*told = epoch;
		assert_int_equal(health(chip).refreshes, epoch);
		assert_true(health(chip).wear_total >= 5 * (epoch + 1));
		mx_chip_free(chip);
	}
	print_message("# %u kills in %u refreshes: %u times it was new, untold\n", round, *told,
		      after);
	munmap(told, sizeof(*told));
	store_free(&store);
}

static void a_failing_store_changes_no_age(void **state)
{
	struct mx_chip_config k = aging();
	struct mx_chip *chip;
	struct store store;
	uint32_t id, i;

	(void)state;
	large_make(&a, 2, 640);
	store_init(&store, &k);
	chip = must_on(&store, &k, 0);
	must_program(chip, &a, 2, &id);
	store.fail_at = store.calls + 1;
	assert_int_equal(mx_chip_set_age(chip, 50, err, sizeof(err)), -EIO);
	assert_non_null(strstr(err, "age=50: writing the non-volatile store failed"));
	assert_int_equal(health(chip).age_seconds, 0);
	assert_int_equal(mx_chip_set_age(chip, 50, err, sizeof(err)), 0);
	for (i = 1; i <= 3; i++) {
		store.fail_at = store.calls + i;
		assert_int_equal(refresh(chip, &a), MXACCEL_ST_STORE_ERROR);
		assert_int_equal(info(chip, &a).age, 50);
		assert_int_equal(info(chip, &a).epoch, 0);
		assert_int_equal(health(chip).refreshes, 0);
	}
	store.fail_at = 0;
	assert_int_equal(refresh(chip, &a), 0);
	chip = off_and_on(&store, chip, 0);
	assert_int_equal(info(chip, &a).epoch, 1);
	mx_chip_free(chip);
	store_free(&store);
}

/* A store of version 2 had zeros where clock, epochs and times are. */
static void older_stores_are_taken_over(void **state)
{
	struct mx_chip_config k = aging();
	struct mx_nv_super *super;
	struct mx_chip *chip;
	struct store store;
	uint32_t id;

	(void)state;
	large_make(&a, 2, 640);
	store_init(&store, &k);
	chip = must_on(&store, &k, 0);
	must_program(chip, &a, 2, &id);
	mx_chip_free(chip);
	super = (struct mx_nv_super *)store.nv;
	assert_int_equal(super->version, 3);
	super->version = 2;
	super->crc32c = 0;
	super->crc32c = mx_crc32c(super, sizeof(*super));
	super->crc32c ^= 1;
	assert_null(on(&store, &k, 0));
	assert_non_null(strstr(err, "damaged"));
	super->crc32c ^= 1;
	store.fail_at = store.calls + 1;
	assert_null(on(&store, &k, 0));
	assert_non_null(strstr(err, "superblock of the non-volatile store failed"));
	chip = must_on(&store, &k, 60);
	assert_intact(chip, &a);
	assert_int_equal(info(chip, &a).age, 60);
	chip = off_and_on(&store, chip, 0);
	assert_int_equal(super->version, 3);
	assert_int_equal(info(chip, &a).age, 60);
	mx_chip_free(chip);
	super->version = 4;
	assert_null(on(&store, &k, 0));
	assert_non_null(strstr(err, "has layout version 4, this chip model knows up to 3"));
	store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_age_with_the_chips_clock),
		cmocka_unit_test(a_refresh_makes_cells_new_and_wears_them),
		cmocka_unit_test(worn_out_cells_are_left_alone),
		cmocka_unit_test(shared_chunks_are_as_old_as_they_are),
		cmocka_unit_test(power_cuts_leave_the_old_or_the_new),
		cmocka_unit_test(kills_leave_the_old_or_the_new),
		cmocka_unit_test(a_failing_store_changes_no_age),
		cmocka_unit_test(older_stores_are_taken_over),
	};

	return cmocka_run_group_tests_name("chip_age", tests, NULL, NULL);
}
