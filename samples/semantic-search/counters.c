// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The accelerator's counters.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "counters.h"

static uint64_t read_number(const char *folder, const char *name)
{
	char path[256];
	uint64_t value;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	if (!file)
		err(1, "cannot open %s", path);
	if (fscanf(file, "%" SCNu64, &value) != 1)
		errx(1, "%s holds no number", path);
	fclose(file);
	return value;
}

void counters_read(struct mxrt_device *dev, struct counters *counters)
{
	struct mxrt_device_info info = { .size = sizeof(info) };
	size_t i;

	counters->nr = MAX_COUNTERS;
	if (mxrt_query(dev, &info) ||
	    mxrt_counters(dev, MXRT_SCOPE_DEVICE, NULL, counters->list, &counters->nr))
		errx(1, "%s", mxrt_last_error());
	if (counters->nr > MAX_COUNTERS)
		counters->nr = MAX_COUNTERS;
	if (strncmp(info.name, "/dev/", 5)) {
		snprintf(counters->from, sizeof(counters->from), "%s", info.name);
		return;
	}
	/* Whoever monitors a machine reads them here, without the runtime. */
	snprintf(counters->from, sizeof(counters->from), "/sys/class/mxaccel/%s/perf",
		 strrchr(info.name, '/') + 1);
	for (i = 0; i < counters->nr; i++)
		counters->list[i].value = read_number(counters->from, counters->list[i].name);
}

void counters_print(const struct counters *before, const struct counters *after)
{
	size_t i;

	printf("\n%-18s%20s%20s%20s  (%s)\n", "counter", "before", "after", "difference",
	       after->from);
	for (i = 0; i < after->nr; i++) {
		uint64_t from = before->list[i].value, to = after->list[i].value;

		if (from != to)
			printf("%-18s%20" PRIu64 "%20" PRIu64 "%20" PRIu64 "  %s\n",
			       after->list[i].name, from, to, to - from, after->list[i].text);
	}
}
