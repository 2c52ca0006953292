// SPDX-License-Identifier: LGPL-2.1-or-later
/* Histograms of sums, one of each slice and step of a product. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

/* More of them would not make better steps, and all products have histograms at once. */
#define MAX_BINS 8192
/* Effects can take sums beyond what levels give; there is little, and the last bins take it. */
#define HEADROOM 2

static size_t size(const struct mx_profile *profile)
{
	return (size_t)profile->slices * profile->steps * profile->bins;
}

int mx_profile_init(struct mx_profile *profile, const struct mx_analog *analog)
{
	int64_t largest = (int64_t)analog->active * analog->top * analog->unit *
			  ((1 << analog->dac_bits) - 1) * (analog->effects ? HEADROOM : 1);

	memset(profile, 0, sizeof(*profile));
	profile->slices = analog->slices;
	profile->steps = analog->steps;
	while ((2 * largest >> profile->shift) >= MAX_BINS)
		profile->shift++;
	profile->lowest = -largest;
	profile->bins = (2 * largest >> profile->shift) + 1;
	profile->count = calloc(size(profile), sizeof(*profile->count));
	pthread_mutex_init(&profile->lock, NULL);
	return profile->count ? 0 : -ENOMEM;
}

void mx_profile_destroy(struct mx_profile *profile)
{
	if (profile->bins)
		pthread_mutex_destroy(&profile->lock);
	free(profile->count);
	free(profile->largest);
	memset(profile, 0, sizeof(*profile));
}

uint32_t *mx_profile_begin(const struct mx_profile *profile)
{
	return calloc(size(profile), sizeof(uint32_t));
}

void mx_profile_end(struct mx_profile *profile, uint32_t *counts)
{
	size_t i;

	pthread_mutex_lock(&profile->lock);
	for (i = 0; i < size(profile); i++)
		profile->count[i] += counts[i];
	pthread_mutex_unlock(&profile->lock);
	free(counts);
}
