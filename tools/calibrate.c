// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Calibration: from the sums of a product's conversions to the steps of its ADCs, powers
 * of two, as shift-and-add is a shift then.
 */
#include <stdlib.h>
#include <string.h>

#include "calibrate_run.h"
#include "mxmap.h"

bool calibrate_method_from_name(const char *name, enum calibrate_method *method)
{
	*method = strcmp(name, "max") ? CALIBRATE_MSE : CALIBRATE_MAX;
	return *method == CALIBRATE_MAX || !strcmp(name, "mse");
}

int calibrate_reserve(const struct mx_chip_config *chip, struct mxaccel_model **model,
		      uint64_t *bytes)
{
	const struct mxaccel_op *ops = calibrate_ops(*model);
	struct mxaccel_model *grown;
	struct mxaccel_steps *table;
	uint32_t products = 0, i, j;

	for (i = 0; i < (*model)->nr_ops; i++)
		products += ops[i].opcode == MXACCEL_OP_MATMUL;
	grown = realloc(*model, *bytes + products * sizeof(*table));
	if (!grown)
		return mxmap_no_memory();
	table = (void *)((uint8_t *)grown + *bytes);
	memset(table, 0, products * sizeof(*table));
	for (i = 0; i < products; i++)
		for (j = 0; j < mx_chip_slices(chip); j++)
			table[i].step[j] = 1;
	mx_model_steps_geometry(chip, grown);
	grown->nr_steps = products;
	*model = grown;
	*bytes += products * sizeof(*table);
	return 0;
}

static uint32_t best_step(const struct mx_profile *profile, uint32_t slice,
			  enum calibrate_method method)
{
	const struct mx_step_loss *loss = profile->loss[slice];
	uint32_t best = 0, i;

	/* From the first step that clamps nothing on, steps only round more. */
	for (i = 1; i < profile->nr_steps && loss[i - 1].clamped; i++)
		if (method == CALIBRATE_MAX || loss[i].squares < loss[best].squares)
			best = i;
	return best;
}

static const struct weight *weight_of(const struct plan *plan, const struct mxaccel_op *op)
{
	size_t i;

	for (i = 0; i < plan->nr; i++)
		if (plan->weight[i].w_off == op->w_off)
			break;
	return &plan->weight[i];
}

/* Fills one product's row, and says how it is. */
static json_t *calibrate_product(const struct calibrate_input *input, struct product *product,
				 enum calibrate_method method, struct mxaccel_steps *row)
{
	json_t *steps = json_array(), *clamped = json_array(), *rounded = json_array();
	const struct mxaccel_op *op = product->op;
	double all = product->profile.conversions ? product->profile.conversions : 1;
	uint32_t i, best;

	for (i = 0; i < mx_chip_slices(input->chip); i++) {
		const struct mx_step_loss *loss = product->profile.loss[i];

		best = best_step(&product->profile, i, method);
		row->step[i] = 1u << best;
		json_array_append_new(steps, json_integer(row->step[i]));
		json_array_append_new(clamped, json_real(loss[best].clamped / all));
		json_array_append_new(rounded, json_real(loss[best].rounded / all));
	}
	return json_pack("{s:s, s:o, s:i, s:I, s:I, s:I, s:o, s:o, s:o}",
			 "weight", weight_of(input->plan, op)->name[0],
			 "layer", op->layer == 0xffff ? json_null() : json_integer(op->layer),
			 "plane", op->flags & MXACCEL_OPF_ACCUMULATE ? 2 : 1,
			 "k", (json_int_t)op->k, "n", (json_int_t)op->n,
			 "conversions", (json_int_t)product->profile.conversions * mx_chip_slices(input->chip),
			 "steps", steps, "clamped", clamped, "rounded", rounded);
}

static int fill_table(const struct calibrate_input *input, struct calibrate_run *run,
		      enum calibrate_method method, json_t **products)
{
	struct mxaccel_model *model = input->model;
	struct mxaccel_steps *table = (void *)((uint8_t *)model + input->model_bytes), *row;
	struct mxaccel_steps *of_product = calloc(run->nr_products + 1, sizeof(*of_product));
	uint32_t i;

	*products = json_array();
	if (!of_product)
		return mxmap_no_memory();
	for (i = 0; i < run->nr_products; i++)
		json_array_append_new(*products,
				      calibrate_product(input, &run->product[i], method,
							&of_product[i]));
	for (i = 0, row = table - model->nr_steps; i < model->nr_ops; i++)
		if (run->of_op[i])
			*row++ = of_product[run->of_op[i] - run->product];
	free(of_product);
	return json_array_size(*products) == run->nr_products ? 0 : mxmap_no_memory();
}

int calibrate_steps(const struct calibrate_input *input, enum calibrate_method method,
		    json_t **products)
{
	struct calibrate_run run;
	int ret = calibrate_run(input, false, &run) ||
		  fill_table(input, &run, method, products) ? -1 : 0;

	calibrate_run_free(&run);
	return ret;
}

int calibrate_inputs(const struct calibrate_input *input, float ***largest)
{
	struct calibrate_run run;
	uint32_t i;
	int ret = calibrate_run(input, true, &run);

	*largest = calloc(input->plan->nr, sizeof(**largest));
	if (!*largest && !ret)
		ret = mxmap_no_memory();
	for (i = 0; !ret && i < run.nr_products; i++) {
		const struct mxaccel_op *op = run.product[i].op;
		size_t at = weight_of(input->plan, op) - input->plan->weight;

		if (op->flags & MXACCEL_OPF_ACCUMULATE)
			continue;
		(*largest)[at] = run.product[i].profile.largest;
		run.product[i].profile.largest = NULL;
	}
	calibrate_run_free(&run);
	return ret;
}
