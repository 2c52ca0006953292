// SPDX-License-Identifier: LGPL-2.1-or-later
/* Jobs as a host of the chip runs them: sizes, refusals, counters, several callers at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "chip.h"
#include "sample_model.h"

#define FIELD(member) ((uint16_t)offsetof(struct mxaccel_sqe, job.member))

static const struct mx_chip_config config = {
	.name = "unit", .organisation = "synergy", .clock_khz = 1000000,
	.banks = 3, .bank_rows = 256, .bank_cols = 1024, .cell_bits = 4, .intermediate_banks = 1,
	.small_rows = 128, .small_cols = 128, .dac_bits = 1, .adc_bits = 2, .digit_bits = 1,
	.fabric_macs = 1024, .fabric_utilisation_percent = 85, .layer_cycles = 300,
	.bank_port_bytes = 64, .softmax_lanes = 8, .norm_units = 1, .norm_lanes = 4,
	.act_lanes = 4, .act_cycles = 8, .requant_units = 1, .requant_lanes = 8,
	.recip_cycles = 16, .rsqrt_cycles = 16, .bus_bytes = 64, .buffer_kib = 96,
	.energy = { .mac = 0.23, .host_bit = 6 }, .power = { .misc_mw = 30 },
	.link_setup_cycles = 500, .link_bytes_per_10_cycles = 33, .cells_endurance = 1000000,
	.max_models = 4, .max_contexts = 4, .max_buffers = 4, .max_io_bytes = 4096, .max_sg = 16,
};

static struct sample_model sample;
static struct mx_chip *chip;
static uint32_t model;

static int power_on(void **state)
{
	struct mx_chip_params params = { .threads = 2 };
	uint64_t bytes;
	uint32_t prog;
	char err[256];

	(void)state;
	if (!sample_make(&sample, 0))
		return -1;
	chip = mx_chip_new(&config, &params, err, sizeof(err));
	if (!chip || mx_chip_prog_begin(chip, sample.content, sizeof(sample.section),
					sample.params_bytes, &prog))
		return -1;
	bytes = (sizeof(sample.section) + MXACCEL_PAGE - 1) / MXACCEL_PAGE * MXACCEL_PAGE;
	if (mx_chip_prog_write(chip, prog, 0, &sample.section, sizeof(sample.section)) ||
	    mx_chip_prog_write(chip, prog, bytes, sample.params, sample.params_bytes))
		return -1;
	return mx_chip_prog_commit(chip, prog, &model);
}

static int power_off(void **state)
{
	(void)state;
	mx_chip_model_put(chip, model);
	mx_chip_free(chip);
	return 0;
}

static uint16_t sizes(uint32_t entry, uint32_t nr_seq, uint32_t tokens, uint64_t *in,
		      uint64_t *out, uint16_t *field)
{
	return mx_chip_job_sizes(chip, model, entry, nr_seq, tokens, in, out, field);
}

static void job_sizes(void **state)
{
	uint64_t in, out;
	uint16_t field;

	(void)state;
	assert_int_equal(sizes(0, 3, 5, &in, &out, &field), MXACCEL_ST_SUCCESS);
	assert_int_equal(in, 3 * 5 * 4);
	assert_int_equal(out, 3 * 5 * SAMPLE_WIDTH * 4);
	assert_int_equal(sizes(1, 3, 5, &in, &out, &field), MXACCEL_ST_SUCCESS);
	assert_int_equal(in, 3 * 5 * 4);
	assert_int_equal(out, 3 * SAMPLE_WIDTH * 4);

	assert_int_equal(mx_chip_job_sizes(chip, model + 1, 0, 1, 1, &in, &out, &field),
			 MXACCEL_ST_BAD_MODEL);
	assert_int_equal(field, FIELD(model));
	assert_int_equal(sizes(2, 1, 1, &in, &out, &field), MXACCEL_ST_BAD_ENTRY);
	assert_int_equal(field, FIELD(entry));
	assert_int_equal(sizes(0, 0, 1, &in, &out, &field), MXACCEL_ST_BAD_FIELD);
	assert_int_equal(field, FIELD(nr_seq));
	assert_int_equal(sizes(0, 1, 0, &in, &out, &field), MXACCEL_ST_BAD_FIELD);
	assert_int_equal(field, FIELD(tokens));
	assert_int_equal(sizes(0, 1, SAMPLE_TOKENS + 1, &in, &out, &field), MXACCEL_ST_INPUT_LONG);
	assert_int_equal(field, FIELD(tokens));

	/* 4096 bytes: 128 sequences of 8 ids go in, 16 of 8 rows and 128 sentences come out. */
	assert_int_equal(sizes(1, 128, 8, &in, &out, &field), MXACCEL_ST_SUCCESS);
	assert_int_equal(sizes(1, 129, 8, &in, &out, &field), MXACCEL_ST_TOO_LARGE);
	assert_int_equal(field, FIELD(in_bytes));
	assert_int_equal(sizes(0, 16, 8, &in, &out, &field), MXACCEL_ST_SUCCESS);
	assert_int_equal(sizes(0, 17, 8, &in, &out, &field), MXACCEL_ST_TOO_LARGE);
	assert_int_equal(field, FIELD(out_bytes));
	assert_int_equal(sizes(1, 129, 1, &in, &out, &field), MXACCEL_ST_TOO_LARGE);
	assert_int_equal(field, FIELD(out_bytes));
	assert_int_equal(sizes(0, UINT32_MAX, 8, &in, &out, &field), MXACCEL_ST_TOO_LARGE);
}

struct io {
	struct mx_job job;
	int32_t ids[24];
	float out[24 * SAMPLE_WIDTH];
};

static int io_read(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
	struct io *io = opaque;

	memcpy(to, (uint8_t *)io->ids + offset, bytes);
	return 0;
}

static int io_write(void *opaque, uint64_t offset, const void *from, uint64_t bytes)
{
	struct io *io = opaque;

	memcpy((uint8_t *)io->out + offset, from, bytes);
	return 0;
}

static void prepare(struct io *io, uint32_t entry, uint32_t nr_seq, uint32_t tokens)
{
	uint32_t i;

	memset(io, 0, sizeof(*io));
	io->job.model = model;
	io->job.entry = entry;
	io->job.nr_seq = nr_seq;
	io->job.tokens = tokens;
	io->job.read = io_read;
	io->job.write = io_write;
	io->job.opaque = io;
	for (i = 0; i < nr_seq * tokens; i++)
		io->ids[i] = 1 + i % (SAMPLE_VOCAB - 1);
}

static void assert_moved(const struct mx_counters *before, const struct mx_counters *after,
			 const struct mx_counters *by)
{
	int i;

	for (i = 0; i < MXACCEL_CTR_NR; i++)
		assert_int_equal(after->v[i] - before->v[i], by->v[i]);
}

static void counters_advance_by_the_job(void **state)
{
	struct mx_counters chip_before, chip_after, model_before, model_after;
	struct io io;

	(void)state;
	mx_chip_counters(chip, &chip_before);
	assert_int_equal(mx_chip_model_counters(chip, model, &model_before), MXACCEL_ST_SUCCESS);
	prepare(&io, 0, 3, 8);
	mx_chip_job_run(chip, &io.job);
	assert_int_equal(io.job.status, MXACCEL_ST_SUCCESS);
	mx_chip_counters(chip, &chip_after);
	assert_int_equal(mx_chip_model_counters(chip, model, &model_after), MXACCEL_ST_SUCCESS);
	assert_moved(&chip_before, &chip_after, &io.job.counters);
	assert_moved(&model_before, &model_after, &io.job.counters);
	assert_int_equal(io.job.counters.v[MXACCEL_CTR_JOBS], 1);
	assert_int_equal(io.job.counters.v[MXACCEL_CTR_TOKENS], 24);
	assert_int_equal(io.job.result, io.job.counters.v[MXACCEL_CTR_CYCLES]);

	mx_chip_count(chip, MXACCEL_CTR_QUEUE_BYTES, 123);
	chip_before = chip_after;
	mx_chip_counters(chip, &chip_after);
	assert_int_equal(chip_after.v[MXACCEL_CTR_QUEUE_BYTES] -
			 chip_before.v[MXACCEL_CTR_QUEUE_BYTES], 123);
	assert_int_equal(mx_chip_model_counters(chip, model + 1, &model_after),
			 MXACCEL_ST_BAD_MODEL);
}

/* The estimate needs the model only, and is what a run counts. */
static void estimates_are_what_runs_count(void **state)
{
	static const uint32_t lengths[] = { 8, 1, 5 };
	struct mx_counters estimate;
	uint32_t entry, s, t;
	char err[256];
	struct io io;

	(void)state;
	for (entry = 0; entry < 2; entry++) {
		prepare(&io, entry, 3, 8);
		for (s = 0; s < 3; s++)
			for (t = lengths[s]; t < 8; t++)
				io.ids[8 * s + t] = 0;
		mx_chip_job_run(chip, &io.job);
		assert_int_equal(io.job.status, MXACCEL_ST_SUCCESS);
		assert_int_equal(mx_chip_estimate(&config, &sample.section, sizeof(sample.section),
						  entry, lengths, 3, 8, &estimate, NULL, err,
						  sizeof(err)), MXACCEL_ST_SUCCESS);
		assert_memory_equal(&estimate, &io.job.counters, sizeof(estimate));
		assert_true(estimate.v[MXACCEL_CTR_CYCLES] > 0);
		assert_true(estimate.v[MXACCEL_CTR_ENERGY_STATIC] > 0);
	}
}

static void assert_no_estimate(uint32_t entry, uint32_t length, uint32_t nr_seq, uint32_t tokens,
			       uint16_t status, const char *says)
{
	struct mx_counters counters;
	uint32_t lengths[2] = { length, 1 };
	char err[256] = "";

	assert_int_equal(mx_chip_estimate(&config, &sample.section, sizeof(sample.section), entry,
					  lengths, nr_seq, tokens, &counters, NULL, err,
					  sizeof(err)), status);
	if (!strstr(err, says))
		fail_msg("\"%s\" does not say \"%s\"", err, says);
}

static void estimates_of_impossible_jobs(void **state)
{
	struct mx_counters counters;
	char err[256];

	(void)state;
	assert_no_estimate(2, 1, 1, 1, MXACCEL_ST_BAD_ENTRY, "no entry 2, it has 2");
	assert_no_estimate(0, 1, 1, 9, MXACCEL_ST_INPUT_LONG, "9 tokens");
	assert_no_estimate(0, 1, 0, 8, MXACCEL_ST_BAD_FIELD, "nothing to do");
	assert_no_estimate(0, 0, 2, 8, MXACCEL_ST_BAD_FIELD, "sequence 0 has length 0");
	assert_no_estimate(0, 9, 2, 8, MXACCEL_ST_BAD_FIELD, "sequence 0 has length 9");
	assert_no_estimate(0, 1, 17, 8, MXACCEL_ST_TOO_LARGE, "17 sequences");
	assert_int_equal(mx_chip_estimate(&config, &sample.section, 16, 0, NULL, 1, 1, &counters,
					  NULL, err, sizeof(err)), MXACCEL_ST_BAD_IMAGE);
}

static void schedules_count_nothing(void **state)
{
	struct mx_counters before, after;
	struct mxaccel_span span;
	struct io io;

	(void)state;
	mx_chip_counters(chip, &before);
	prepare(&io, 0, 3, 8);
	io.job.out_room = sizeof(io.out);
	assert_int_equal(mx_chip_job_schedule(chip, &io.job), MXACCEL_ST_SUCCESS);
	assert_true(io.job.result > 0);
	memcpy(&span, io.out, sizeof(span));
	assert_true(span.ticks > 0);
	prepare(&io, 0, 3, 8);
	io.ids[5] = SAMPLE_VOCAB;
	assert_int_equal(mx_chip_job_schedule(chip, &io.job), MXACCEL_ST_INPUT_TOKEN);
	assert_int_equal(io.job.result, 5);
	prepare(&io, 2, 3, 8);
	assert_int_equal(mx_chip_job_schedule(chip, &io.job), MXACCEL_ST_BAD_ENTRY);
	assert_int_equal(io.job.field, FIELD(entry));
	mx_chip_counters(chip, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(mx_chip_entry_ops(chip, model, 0) > 2);
	assert_int_equal(mx_chip_entry_ops(chip, model, 2), 0);
	assert_int_equal(mx_chip_entry_ops(chip, model + 1, 0), 0);
}

static void refused_jobs_are_counted(void **state)
{
	struct mx_counters before, after;
	struct io io;

	(void)state;
	mx_chip_counters(chip, &before);
	prepare(&io, 7, 1, 1);
	mx_chip_job_run(chip, &io.job);
	assert_int_equal(io.job.status, MXACCEL_ST_BAD_ENTRY);
	assert_int_equal(io.job.field, FIELD(entry));
	prepare(&io, 0, 1, 1);
	io.job.model = model + 1;
	mx_chip_job_run(chip, &io.job);
	assert_int_equal(io.job.status, MXACCEL_ST_BAD_MODEL);
	prepare(&io, 0, 2, 4);
	io.ids[5] = SAMPLE_VOCAB;
	mx_chip_job_run(chip, &io.job);
	assert_int_equal(io.job.status, MXACCEL_ST_INPUT_TOKEN);
	assert_int_equal(io.job.result, 5);
	mx_chip_counters(chip, &after);
	assert_int_equal(after.v[MXACCEL_CTR_JOBS_FAILED] - before.v[MXACCEL_CTR_JOBS_FAILED], 3);
	assert_int_equal(after.v[MXACCEL_CTR_JOBS], before.v[MXACCEL_CTR_JOBS]);
}

static void *many_jobs(void *arg)
{
	uintptr_t wrong = 0;
	struct io want, io;
	int i;

	prepare(&want, 0, 3, 8);
	memcpy(&want.out, arg, sizeof(want.out));
	for (i = 0; i < 200; i++) {
		prepare(&io, 0, 3, 8);
		mx_chip_job_run(chip, &io.job);
		wrong += io.job.status || memcmp(io.out, want.out, sizeof(io.out));
	}
	return (void *)wrong;
}

static void callers_at_once(void **state)
{
	struct mx_counters before, after;
	pthread_t thread[3];
	struct io io;
	void *wrong;
	int i;

	(void)state;
	prepare(&io, 0, 3, 8);
	mx_chip_job_run(chip, &io.job);
	assert_int_equal(io.job.status, MXACCEL_ST_SUCCESS);
	mx_chip_counters(chip, &before);
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, many_jobs, io.out), 0);
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	mx_chip_counters(chip, &after);
	for (i = 0; i < MXACCEL_CTR_NR; i++)
		assert_int_equal(after.v[i] - before.v[i], 600 * io.job.counters.v[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(job_sizes),
		cmocka_unit_test(counters_advance_by_the_job),
		cmocka_unit_test(estimates_are_what_runs_count),
		cmocka_unit_test(estimates_of_impossible_jobs),
		cmocka_unit_test(schedules_count_nothing),
		cmocka_unit_test(refused_jobs_are_counted),
		cmocka_unit_test(callers_at_once),
	};

	return cmocka_run_group_tests_name("jobs", tests, power_on, power_off);
}
