// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Losses of the steps that an ADC could have. Sums of integers, so that they do not
 * depend on which thread sees what.
 */
#include <stdlib.h>
#include <string.h>

#include "profile.h"

void mx_profile_init(struct mx_profile *profile, const struct mx_analog *target)
{
	int64_t largest = (int64_t)target->active * target->top * ((1 << target->dac_bits) - 1);

	memset(profile, 0, sizeof(*profile));
	profile->target = target;
	profile->nr_steps = 1;
	/* Cells with effects reach twice the highest level. */
	if (target->effects)
		largest *= 2;
	while (profile->nr_steps < MX_PROFILE_STEPS &&
	       (int64_t)target->high[0] << (profile->nr_steps - 1) < largest)
		profile->nr_steps++;
	pthread_mutex_init(&profile->lock, NULL);
}

struct mx_profile_part *mx_profile_begin(const struct mx_profile *profile)
{
	struct mx_profile_part *part = calloc(1, sizeof(*part));

	if (part)
		part->profile = profile;
	return part;
}

/* Errors of one step for @nr sums; TILE of them are worth vectors. */
static void convert(const struct mx_analog *a, uint32_t step, int32_t shift, const int32_t *sums,
		    size_t nr, int32_t *error, struct mx_step_loss *loss)
{
	int32_t half = 1 << shift >> 1, low = a->low[step], high = a->high[step];
	int32_t even = a->keys.adc_tie == MX_HALF_EVEN && shift ? 1 : 0, clamped = 0, rounded = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		int32_t up = sums[i] + half, code = up >> shift, in;

		code -= even & code & !(up & ((1 << shift) - 1));
		in = code > high ? high : code;
		in = in < low ? low : in;
		error[i] = sums[i] - in * (1 << shift);
		clamped += in != code;
		rounded += in == code && error[i];
	}
	loss->clamped += clamped;
	loss->rounded += rounded;
}

void mx_profile_add(struct mx_profile_part *part, uint32_t slice, uint32_t step, size_t column,
		    const int32_t *sums, size_t nr)
{
	const struct mx_analog *a = part->profile->target;
	int32_t parts = 0, error[TILE];
	uint32_t s;
	size_t i;

	while (a->unit >> (parts + 1))
		parts++;
	if (!slice)
		part->conversions += nr;
	for (s = 0; s < part->profile->nr_steps; s++) {
		struct mx_step_loss *loss = &part->loss[slice][s];
		int64_t *all = part->error[s][column];

		convert(a, step, parts + s, sums, nr, error, loss);
		for (i = 0; i < nr; i++)
			all[i] = (step ? all[i] : 0) + (int64_t)a->step_weight[step] * error[i];
		for (i = 0; step + 1 == a->steps && i < nr; i++)
			loss->squares += (__int128)all[i] * all[i];
	}
}

void mx_profile_end(struct mx_profile *profile, struct mx_profile_part *part)
{
	uint32_t slice, s;

	pthread_mutex_lock(&profile->lock);
	profile->conversions += part->conversions;
	for (slice = 0; slice < profile->target->slices; slice++) {
		for (s = 0; s < profile->nr_steps; s++) {
			profile->loss[slice][s].squares += part->loss[slice][s].squares;
			profile->loss[slice][s].clamped += part->loss[slice][s].clamped;
			profile->loss[slice][s].rounded += part->loss[slice][s].rounded;
		}
	}
	pthread_mutex_unlock(&profile->lock);
	free(part);
}
