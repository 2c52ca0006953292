// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mxrun --profile: what the chip model's time in this process goes to.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mxrun.h"

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

void profile_op(void *opaque, const char *name, int done)
{
	struct profile *profile = opaque;
	unsigned int i;

	if (!done) {
		profile->begin = now();
		return;
	}
	for (i = 0; i < profile->nr && strcmp(profile->kind[i].name, name); i++)
		;
	if (i == MAX_KINDS)
		return;		/* shows as time outside of macro-ops */
	if (i == profile->nr) {
		profile->kind[i].name = name;
		profile->nr++;
	}
	profile->kind[i].calls++;
	profile->kind[i].seconds += now() - profile->begin;
}

static void print_line(const char *name, unsigned long calls, double seconds, double wall)
{
	printf("%-16s %8lu %10.3f ms %6.1f %%\n", name, calls, seconds * 1e3,
	       100 * seconds / wall);
}

void print_profile(const struct profile *profile, double wall)
{
	double products = 0, sum = 0;
	unsigned long calls = 0;
	unsigned int i;

	printf("%-16s %8s %13s %8s\n", "macro-op", "calls", "time", "share");
	for (i = 0; i < profile->nr; i++) {
		print_line(profile->kind[i].name, profile->kind[i].calls,
			   profile->kind[i].seconds, wall);
		sum += profile->kind[i].seconds;
		if (strncmp(profile->kind[i].name, "MATMUL", 6))
			continue;
		products += profile->kind[i].seconds;
		calls += profile->kind[i].calls;
	}
	print_line("outside of them", 0, wall - sum, wall);
	print_line("all products", calls, products, wall);
	printf("%-16s %8s %10.3f ms\n", "wall time", "", wall * 1e3);
}
