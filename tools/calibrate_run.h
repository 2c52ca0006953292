/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside calibration: a run of the text with profiles of all products. */
#ifndef CALIBRATE_RUN_H
#define CALIBRATE_RUN_H

#include "calibrate.h"
#include "profile.h"

/**
 * struct product - a stationary product of the model, which may be in several entries
 * @op:		the first of its ops
 * @profile:	what it saw
 */
struct product {
	const struct mxaccel_op *op;
	struct mx_profile profile;
};

/**
 * struct calibrate_run - products, and the one of each op
 * @target:	the chip's converters, unless inputs are profiled
 * @of_op:	for each op of the model, its product, or NULL if it is no MATMUL
 */
struct calibrate_run {
	struct mx_analog target;
	struct product *product;
	uint32_t nr_products;
	struct product **of_op;
};

/**
 * calibrate_run() - run the text
 * @inputs:	profile inputs, with exact products; else sums, without loss
 *
 * Return: 0 or -1 after mxmap_fail(); calibrate_run_free() in any case.
 */
int calibrate_run(const struct calibrate_input *input, bool inputs, struct calibrate_run *run);
void calibrate_run_free(struct calibrate_run *run);

/* MATMULs of a MODEL section that is right by construction, in the order of its ops */
const struct mxaccel_op *calibrate_ops(const struct mxaccel_model *model);

#endif /* CALIBRATE_RUN_H */
