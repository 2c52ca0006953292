// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the store holds after power cuts, kills and write errors, with models that share. */
#include "large_model.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

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
	large_make(&a, 3, 640);
	b = a;
	b.params[CHUNK + 9] ^= 1;
	large_seal(&b);
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
	large_make(&a, 2, CHUNK);
	large_make(&b, 3, CHUNK);
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

/* ------------------------------------------------------------------- kills */

enum phase { WITHOUT, PROGRAMMING, WITH, DELETING, NR_PHASES };

/**
 * struct told - what a process that will be killed has reported
 * @phase:	of model b
 * @worn:	total wear when it last came or went
 */
struct told {
	atomic_uint phase;
	atomic_ullong worn;
};

/* Loads b beside a and deletes it again, until it is killed. */
static void __attribute__((noreturn)) come_and_go(struct store *store, const struct large *b,
						  struct told *told)
{
	struct mx_chip *chip = try_power_on(store, &config);
	uint32_t id, missing;

	while (chip) {
		told->phase = PROGRAMMING;
		if (program(chip, b, true, &missing, &id))
			break;
		mx_chip_model_put(chip, id);
		told->worn = health(chip).wear_total;
		told->phase = WITH;
		told->phase = DELETING;
		if (mx_chip_model_delete(chip, id))
			break;
		told->phase = WITHOUT;
	}
	_exit(1);
}

/* A process with a chip is killed at random while it loads a changed version, or deletes it. */
static void kills_leave_the_old_or_the_new(void **state)
{
	unsigned int killed_in[NR_PHASES] = { 0 }, there[NR_PHASES] = { 0 }, round;
	static struct large a, b;
	uint32_t id;
	struct mx_chip *chip;
	struct store store;
	struct told *told;
	uint64_t seed = 4;
	int status;
	pid_t pid;
	bool in_b;

	(void)state;
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(told != MAP_FAILED);
	large_make(&a, 4, 640);
	b = a;
	b.params[CHUNK + 9] ^= 1;
	b.params[2 * CHUNK + 9] ^= 1;
	large_seal(&b);
	store_init(&store, &config);
	chip = power_on(&store);
	must_program(chip, &a, 4, &id);
	mx_chip_free(chip);
	for (round = 0; round < 300; round++) {
		told->phase = NR_PHASES;
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			come_and_go(&store, &b, told);
		while (told->phase == NR_PHASES && !waitpid(pid, &status, WNOHANG))
			;
		usleep(next_random(&seed) % 3000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));

		chip = power_on(&store);
		assert_int_equal(mx_chip_dropped_models(chip), 0);
		assert_intact(chip, &a);
		in_b = resident(chip, &b);
		if (in_b)
			assert_intact(chip, &b);
		if (told->phase == WITH || told->phase == WITHOUT)
			assert_int_equal(in_b, told->phase == WITH);
		assert_int_equal(free_chunks(chip), 10 - (in_b ? 8 : 5));
		assert_true(health(chip).wear_total >= told->worn);
		killed_in[told->phase]++;
		there[told->phase] += in_b;
		if (in_b) {
			assert_int_equal(mx_chip_model_find(chip, b.content, &id), 0);
			assert_int_equal(mx_chip_model_delete(chip, id), 0);
		}
		mx_chip_free(chip);
	}
	print_message("# %u kills: %u while programming (%u times it was resident), %u while deleting (%u), %u between\n",
		      round, killed_in[PROGRAMMING], there[PROGRAMMING], killed_in[DELETING],
		      there[DELETING], killed_in[WITH] + killed_in[WITHOUT]);
	assert_true(killed_in[PROGRAMMING]);
	munmap(told, sizeof(*told));
	store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_cuts_keep_shared_chunks_and_wear),
		cmocka_unit_test(write_errors_are_told),
		cmocka_unit_test(kills_leave_the_old_or_the_new),
	};

	return cmocka_run_group_tests_name("chip_power", tests, NULL, NULL);
}
