/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a stationary product sees in a job, for calibration: what each step that its ADCs
 * could have would cost, and how large its inputs get. It changes no result.
 */
#ifndef MX_CHIP_PROFILE_H
#define MX_CHIP_PROFILE_H

#include <pthread.h>

#include "analog.h"
#include "analog_kernel.h"

/* Steps 2^0, 2^1, ... up to MXACCEL_STEP_MAX */
#define MX_PROFILE_STEPS 21

/**
 * struct mx_step_loss - what a step of 2^i counts does to the sums of a slice
 * @squares:	sum of the squared errors of what the slice adds to the product in a group
 *		of rows, all input steps together with their factors; in parts of a count
 * @clamped:	conversions whose code is
 * @rounded:	others whose code times the step is not the sum
 */
struct mx_step_loss {
	unsigned __int128 squares;
	uint64_t clamped;
	uint64_t rounded;
};

/**
 * struct mx_profile - of one product; zero what shall not be collected
 * @target:	whose converters are looked at; NULL: nobody's
 * @nr_steps:	steps that are tried: larger ones clamp nothing and round more
 * @conversions: of each slice
 * @loss:	[slice][step]
 * @largest:	[k]: largest magnitude of each input; NULL: not wanted
 */
struct mx_profile {
	const struct mx_analog *target;
	uint32_t nr_steps;
	uint64_t conversions;
	struct mx_step_loss loss[MX_MAX_SLICES][MX_PROFILE_STEPS];
	float *largest;
	pthread_mutex_t lock;
};

/* Of the steps of an ADC; @target must stay. */
void mx_profile_init(struct mx_profile *profile, const struct mx_analog *target);

/**
 * struct mx_profile_part - what one thread adds
 * @error:	of the conversions at hand, over the input steps so far
 */
struct mx_profile_part {
	const struct mx_profile *profile;
	uint64_t conversions;
	struct mx_step_loss loss[MX_MAX_SLICES][MX_PROFILE_STEPS];
	int64_t error[MX_PROFILE_STEPS][COLS][TILE];
};

/* NULL without memory. */
struct mx_profile_part *mx_profile_begin(const struct mx_profile *profile);
/* Sums of a column, for up to TILE tokens; the input steps must follow each other. */
void mx_profile_add(struct mx_profile_part *part, uint32_t slice, uint32_t step, size_t column,
		    const int32_t *sums, size_t nr);
/* Adds the part to the profile, and frees it. */
void mx_profile_end(struct mx_profile *profile, struct mx_profile_part *part);

#endif /* MX_CHIP_PROFILE_H */
