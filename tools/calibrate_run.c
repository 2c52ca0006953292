// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Calibration: the text through the chip, with a profile of each product. Entries begin
 * with the same encoder; what one of them has shown is not looked at again.
 */
#include <stdlib.h>
#include <string.h>

#include "calibrate_run.h"
#include "mxmap.h"
#include "trial.h"

#define BATCH 32	/* sequences of a job, if it may transfer as many */
#define LOSSLESS_BITS 28 /* of a converter that takes any sum */

const struct mxaccel_op *calibrate_ops(const struct mxaccel_model *model)
{
	const struct mxaccel_region *regions = (const void *)(model + 1);
	const struct mxaccel_entry *entries = (const void *)(regions + model->nr_regions);

	return (const void *)(entries + model->nr_entries);
}

/* What is profiled now: products whose first op lies in the entry */
struct watch {
	struct calibrate_run *run;
	const struct mxaccel_op *first, *end;
};

static struct mx_profile *profile_of(void *opaque, uint32_t op)
{
	const struct watch *watch = opaque;
	struct product *product = watch->run->of_op[op];

	/* Of two ops of an entry that are alike each adds to the profile. */
	return product && product->op >= watch->first && product->op < watch->end ?
	       &product->profile : NULL;
}

static bool alike(const struct mxaccel_op *a, const struct mxaccel_op *b)
{
	return a->w_off == b->w_off && a->flags == b->flags && a->k == b->k && a->n == b->n;
}

static int find_products(const struct mxaccel_model *model, struct calibrate_run *run)
{
	const struct mxaccel_op *ops = calibrate_ops(model);
	uint32_t i, j;

	run->product = calloc(model->nr_ops, sizeof(*run->product));
	run->of_op = calloc(model->nr_ops, sizeof(*run->of_op));
	if (!run->product || !run->of_op)
		return mxmap_no_memory();
	for (i = 0; i < model->nr_ops; i++) {
		if (ops[i].opcode != MXACCEL_OP_MATMUL)
			continue;
		for (j = 0; j < run->nr_products; j++)
			if (alike(run->product[j].op, &ops[i]))
				break;
		if (j == run->nr_products)
			run->product[run->nr_products++].op = &ops[i];
		run->of_op[i] = &run->product[j];
	}
	return 0;
}

static int begin_profiles(struct calibrate_run *run, bool inputs)
{
	uint32_t i;

	for (i = 0; i < run->nr_products; i++) {
		struct product *product = &run->product[i];

		if (!inputs) {
			mx_profile_init(&product->profile, &run->target);
			continue;
		}
		product->profile.largest = calloc(product->op->k,
						  sizeof(*product->profile.largest));
		if (!product->profile.largest)
			return mxmap_no_memory();
	}
	return 0;
}

static int run_entry(const struct trial *trial, const struct calibration_text *text,
		     uint32_t entry, const char *what)
{
	uint32_t batch = BATCH, at, nr;

	while (batch > 1 && !trial_result_bytes(trial, entry, batch, text->width))
		batch /= 2;
	for (at = 0; at < text->used; at += nr) {
		nr = text->used - at < batch ? text->used - at : batch;
		mxmap_progress(at, text->used, what);
		if (trial_run(trial, entry, text->ids + (size_t)at * text->width, nr, text->width,
			      NULL, NULL))
			return -1;
	}
	return 0;
}

static bool has_new_products(const struct watch *watch)
{
	uint32_t i;

	for (i = 0; i < watch->run->nr_products; i++)
		if (watch->run->product[i].op >= watch->first &&
		    watch->run->product[i].op < watch->end)
			return true;
	return false;
}

static int run_all(const struct calibrate_input *input, const struct mx_chip_config *chip,
		   enum mx_fidelity fidelity, struct calibrate_run *run, const char *what)
{
	const struct mxaccel_model *model = input->model;
	const struct mxaccel_op *ops = calibrate_ops(model);
	const struct mxaccel_entry *entry = (const void *)ops;
	struct watch watch = { .run = run };
	struct mx_chip_params host = {
		.isa = MX_ISA_AUTO, .fidelity = fidelity, .profile = profile_of,
		.op_opaque = &watch,
	};
	struct trial trial;
	uint32_t i;
	int ret;

	ret = trial_begin(&trial, chip, &host, input->content, model, input->model_bytes,
			  input->params);
	if (ret)
		return ret;
	entry -= model->nr_entries;
	for (i = 0; i < model->nr_entries && !ret; i++) {
		watch.first = ops + entry[i].first_op;
		watch.end = watch.first + entry[i].nr_ops;
		if (has_new_products(&watch))
			ret = run_entry(&trial, input->text, i, what);
	}
	mxmap_progress_end();
	trial_end(&trial);
	return ret;
}

int calibrate_run(const struct calibrate_input *input, bool inputs, struct calibrate_run *run)
{
	struct mx_chip_config chip = *input->chip;
	uint32_t i;

	memset(run, 0, sizeof(*run));
	if (find_products(input->model, run))
		return -1;
	if (!inputs)
		mx_analog_init(&run->target, &chip, 0);
	if (begin_profiles(run, inputs))
		return -1;
	if (inputs)
		return run_all(input, &chip, MX_EXACT, run, "activations");
	chip.large_adc_bits = LOSSLESS_BITS;
	chip.analog.adc_range = MX_ADC_FIXED;
	for (i = 0; i < MX_MAX_SLICES; i++)
		chip.analog.adc_steps[i] = 1;
	return run_all(input, &chip, MX_ANALOG, run, "calibration");
}

void calibrate_run_free(struct calibrate_run *run)
{
	uint32_t i;

	for (i = 0; i < run->nr_products; i++)
		free(run->product[i].profile.largest);
	free(run->product);
	free(run->of_op);
}
