// SPDX-License-Identifier: LGPL-2.1-or-later
/* Steps of images: found for each product, on the chip they were made for; malformed ones refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "internal.h"
#include "sample_model.h"

#define PRODUCTS 4
#define SLICES 4

static const struct mx_chip_config small = {
	.name = "small", .kind = MX_INPLACE, .groups = 64, .subarrays = 32, .large_rows = 16,
	.large_cols = 16, .large_adc_bits = 6, .cell_bits = 2, .dac_bits = 1, .small_units = 2,
	.small_rows = 8, .small_cols = 8, .small_contexts = 16, .intermediate_kib = 64,
	.softmax_lanes = 8, .norm_units = 1, .norm_lanes = 4, .act_lanes = 4, .act_cycles = 8,
	.requant_units = 1, .requant_lanes = 8, .recip_cycles = 16, .rsqrt_cycles = 16,
	.adcs = 2, .adc_mhz = 1000, .clock_khz = 1000000, .settle_cycles = 1, .cluster = 8,
	.multicast = 8, .bus_bytes = 64, .buffer_kib = 96, .link_bytes_per_10_cycles = 33,
	.cells_endurance = 1000000, .max_models = 4, .max_io_bytes = 4096,
	.analog.adc_range = MX_ADC_CALIBRATED,
};

/* The sample model with steps made for its chip */
struct stepped {
	struct sample_section s;
	struct mxaccel_steps table[PRODUCTS + 1];
};

static struct sample_model sample;
static char err[512];

static uint16_t check(const struct stepped *p, struct mx_model *model)
{
	err[0] = '\0';
	return mx_model_check(&small, p, sizeof(p->s) + p->s.head.nr_steps * sizeof(p->table[0]),
			      sample.params, sample.params_bytes, model, err, sizeof(err));
}

static struct stepped stepped(void)
{
	struct stepped p = { 0 };
	uint32_t i, j;

	assert_true(sample_make(&sample, 0));
	p.s = sample.section;
	mx_model_steps_geometry(&small, &p.s.head);
	p.s.head.nr_steps = PRODUCTS;
	for (i = 0; i < PRODUCTS; i++)
		for (j = 0; j < SLICES; j++)
			p.table[i].step[j] = 10 * i + j + 1;
	return p;
}

static void each_product_has_its_row(void **state)
{
	static const int products[PRODUCTS] = {
		OP_MATMUL_QKV, OP_MATMUL_OUT, OP_MATMUL_UP, OP_MATMUL_DOWN,
	};
	struct stepped p = stepped();
	struct mx_model model;
	uint32_t i;

	(void)state;
	if (check(&p, &model) != MXACCEL_ST_SUCCESS)
		fail_msg("refused: %s", err);
	for (i = 0; i < PRODUCTS; i++)
		assert_ptr_equal(mx_model_steps(&small, &model, &model.op[products[i]]),
				 p.table[i].step);
	mx_model_release(&model);
}

/* The image first, then the chip file; neither: NULL. */
static void the_image_goes_first(void **state)
{
	struct mx_chip_config own = small, other, fixed = small;
	struct stepped p = stepped(), bare = stepped();
	struct mx_model model, none;
	const uint32_t *first = p.table[0].step;

	(void)state;
	own.analog.adc_steps[0] = 3;
	fixed.analog.adc_range = MX_ADC_FIXED;
	fixed.analog.adc_steps[0] = 1;
	memset(&bare.s.head.step_slices, 0, sizeof(bare.s.head) -
	       offsetof(struct mxaccel_model, step_slices));
	assert_int_equal(check(&p, &model), MXACCEL_ST_SUCCESS);
	assert_int_equal(check(&bare, &none), MXACCEL_ST_SUCCESS);
	assert_ptr_equal(mx_model_steps(&own, &model, NULL), first);
	assert_ptr_equal(mx_model_steps(&own, &none, NULL), own.analog.adc_steps);
	assert_null(mx_model_steps(&small, &none, NULL));
	assert_ptr_equal(mx_model_steps(&fixed, &model, NULL), fixed.analog.adc_steps);
#define OF_ANOTHER_CHIP(change) do {							\
	other = small;									\
	change;										\
	assert_null(mx_model_steps(&other, &model, NULL));				\
	other.analog.adc_steps[0] = 3;							\
	assert_ptr_equal(mx_model_steps(&other, &model, NULL), other.analog.adc_steps);	\
} while (0)
	OF_ANOTHER_CHIP(other.large_adc_bits++);
	OF_ANOTHER_CHIP(other.large_rows *= 2);
	OF_ANOTHER_CHIP(other.analog.rows_active = 8);
	OF_ANOTHER_CHIP(other.dac_bits = 2);
	OF_ANOTHER_CHIP(other.cell_bits = 1);
	OF_ANOTHER_CHIP(other.analog.mapping = MX_OFFSET);
	OF_ANOTHER_CHIP(other.analog.input = MX_UNSIGNED);
	mx_model_release(&model);
	mx_model_release(&none);
}

/* One change, and a part of the sentence. */
#define REFUSED(change, part) do {							\
	struct stepped p = stepped();							\
	struct mxaccel_model *head = &p.s.head;						\
	struct mxaccel_steps *t = p.table;						\
	struct mx_model model;								\
											\
	(void)t;									\
	(void)head;									\
	change;										\
	if (check(&p, &model) != MXACCEL_ST_BAD_IMAGE || !strstr(err, part))		\
		fail_msg("%s: \"%s\" is not BAD_IMAGE with \"%s\"", #change, err, part);	\
} while (0)

static void malformed_steps_are_refused(void **state)
{
	(void)state;
	REFUSED(head->nr_steps--, "3 rows of steps for 4 MATMULs");
	REFUSED(head->nr_steps++, "5 rows of steps for 4 MATMULs");
	REFUSED(head->nr_steps = 0, "there are none");
	REFUSED(head->nr_steps = 0; memset(&head->step_slices, 0, 3); head->step_rows = 0;
		head->step_adc_bits = 0; head->step_mapping = 0, "there are none");
	REFUSED(head->step_slices = 0, "steps for 0 slices");
	REFUSED(head->step_slices = 9, "steps for 9 slices");
	REFUSED(head->step_cell_bits = 0, "cells of 0 bits");
	REFUSED(head->step_dac_bits = 3, "digits of 3");
	REFUSED(head->step_rows = 0, "0 rows");
	REFUSED(head->step_adc_bits = 0, "to 0 bits");
	REFUSED(head->step_mapping = 0, "mapping 0");
	REFUSED(head->step_mapping = 3, "mapping 3");
	REFUSED(head->step_input = 0, "inputs 0");
	REFUSED(head->step_input = 4, "inputs 4");
	REFUSED(t[2].step[1] = 0, "row 2 of steps: slice 1 has a step of 0");
	REFUSED(t[3].step[3] = MXACCEL_STEP_MAX + 1, "row 3 of steps: slice 3");
	REFUSED(t[0].step[4] = 1, "slice 4 has a step, there are 4");
	REFUSED(head->step_slices = 5, "slice 4 has a step of 0");
}

static uint32_t out_bytes;

static int read_ids(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
	int32_t ids[SAMPLE_TOKENS];
	uint32_t i;

	(void)opaque;
	for (i = 0; i < SAMPLE_TOKENS; i++)
		ids[i] = 1 + i % (sample.section.head.vocab - 1);
	assert_true(offset + bytes <= sizeof(ids));
	memcpy(to, (uint8_t *)ids + offset, bytes);
	return 0;
}

static int write_result(void *opaque, uint64_t offset, const void *from, uint64_t bytes)
{
	assert_true(offset + bytes <= out_bytes);
	memcpy((uint8_t *)opaque + offset, from, bytes);
	return 0;
}

/* Every entry of a model that was taken, on the chip; results must not depend on what was. */
static void run_entries(struct mx_chip *chip, const struct mx_model *model)
{
	uint32_t i, again;

	for (i = 0; i < model->head->nr_entries; i++) {
		const struct mxaccel_entry *entry = &model->entry[i];
		uint8_t *out[2];

		out_bytes = 4 * entry->out_cols *
			    (entry->out_kind == MXACCEL_REGION_ROWS ? SAMPLE_TOKENS : 1);
		for (again = 0; again < 2; again++) {
			struct mx_job job = {
				.entry = i, .nr_seq = 1, .tokens = SAMPLE_TOKENS, .read = read_ids,
				.write = write_result,
			};

			job.opaque = out[again] = calloc(1, out_bytes);
			assert_non_null(out[again]);
			mx_exec(chip, model, &job);
			if (job.status != MXACCEL_ST_SUCCESS &&
			    job.status != MXACCEL_ST_NON_FINITE)
				fail_msg("entry %u ends with status %u", i, job.status);
		}
		assert_memory_equal(out[0], out[1], out_bytes);
		free(out[0]);
		free(out[1]);
	}
}

/* Each number of the table, and of what it was made for: refused, or its jobs end. */
static void any_steps_that_are_taken_run(void **state)
{
	static const uint32_t odd[] = {
		0, 1, 2, 3, 5, 255, 256, 257, 2047, 2048, 65535, 65536, MXACCEL_STEP_MAX - 1,
		MXACCEL_STEP_MAX, MXACCEL_STEP_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff,
	};
	struct mx_chip_params params = { .threads = 1, .isa = MX_ISA_AUTO, .fidelity = MX_ANALOG };
	struct mx_chip *chip = mx_chip_new(&small, &params, err, sizeof(err));
	const size_t words = sizeof(((struct stepped *)NULL)->table[0]) / 4 * PRODUCTS;
	const size_t first = offsetof(struct mxaccel_model, step_slices);
	uint32_t taken = 0, refused = 0, i, j;

	(void)state;
	if (!chip)
		fail_msg("%s", err);
	for (i = 0; i < words + sizeof(struct mxaccel_model) - first; i++) {
		for (j = 0; j < sizeof(odd) / sizeof(*odd); j++) {
			struct stepped p = stepped(), *exact;
			struct mx_model model;
			size_t bytes;

			if (i < words)
				((uint32_t *)p.table)[i] = odd[j];
			else
				((uint8_t *)&p.s.head)[first + i - words] = odd[j];
			/* A sanitizer sees the first byte beyond. */
			bytes = sizeof(p.s) + p.s.head.nr_steps * sizeof(p.table[0]);
			bytes = bytes < sizeof(p) ? bytes : sizeof(p);
			exact = malloc(bytes);
			assert_non_null(exact);
			memcpy(exact, &p, bytes);
			if (mx_model_check(&small, exact, bytes, sample.params, sample.params_bytes,
					   &model, err, sizeof(err)) == MXACCEL_ST_SUCCESS) {
				/* Made for another chip, which this one then knows no steps of. */
				if (mx_model_steps(&small, &model, NULL))
					run_entries(chip, &model);
				taken++;
				mx_model_release(&model);
			} else {
				refused++;
				assert_true(err[0]);
			}
			free(exact);
		}
	}
	print_message("%u tables taken, %u refused\n", taken, refused);
	assert_true(taken > 100 && refused > 100);
	mx_chip_free(chip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_product_has_its_row),
		cmocka_unit_test(the_image_goes_first),
		cmocka_unit_test(malformed_steps_are_refused),
		cmocka_unit_test(any_steps_that_are_taken_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
