/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a stationary product sees in a job, for calibration: how often its conversions
 * have which sum, and how large its inputs get. It changes no result.
 */
#ifndef MX_CHIP_PROFILE_H
#define MX_CHIP_PROFILE_H

#include <pthread.h>

#include "analog.h"

/**
 * struct mx_profile - of one product; zero what shall not be collected
 * @slices, @steps: of the chip, see struct mx_analog
 * @bins:	of each slice and step; 0: no sums
 * @lowest:	sum of the first bin, in parts of a count: mx_analog.unit
 * @shift:	a bin holds 2^shift neighbouring sums
 * @count:	[slice][step][bin]: conversions; protected by @lock while a job runs
 * @largest:	[k]: largest magnitude of each input; NULL: not wanted
 */
struct mx_profile {
	uint32_t slices, steps, bins;
	int32_t lowest;
	uint32_t shift;
	uint64_t *count;
	float *largest;
	pthread_mutex_t lock;
};

/* Without inputs: whoever wants them sets @largest. Return: 0 or -ENOMEM. */
int mx_profile_init(struct mx_profile *profile, const struct mx_analog *analog);
/* Frees @largest, too. */
void mx_profile_destroy(struct mx_profile *profile);

/* Middle of a bin, in parts of a count. */
static inline double mx_profile_sum(const struct mx_profile *profile, uint32_t bin)
{
	return profile->lowest + ((int64_t)bin << profile->shift) +
	       ((1 << profile->shift) - 1) / 2.0;
}

/* Counts of one thread, like @count: to be filled, then added up. NULL without memory. */
uint32_t *mx_profile_begin(const struct mx_profile *profile);
void mx_profile_end(struct mx_profile *profile, uint32_t *counts);

/* Sums of one slice and step. */
static inline void mx_profile_add(const struct mx_profile *profile, uint32_t *counts,
				  uint32_t slice, uint32_t step, const int32_t *sums, size_t nr)
{
	uint32_t *to = counts + (size_t)(slice * profile->steps + step) * profile->bins;
	size_t i;

	for (i = 0; i < nr; i++) {
		int64_t bin = ((int64_t)sums[i] - profile->lowest) >> profile->shift;

		bin = bin < 0 ? 0 : bin;
		to[bin < profile->bins ? bin : profile->bins - 1]++;
	}
}

#endif /* MX_CHIP_PROFILE_H */
