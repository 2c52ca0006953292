// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mxrun --resident, --delete, --refresh: the models in a device's cells.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "mxrun.h"

static void print_models(struct mxrt_device *dev)
{
	struct mxrt_device_info info = { .size = sizeof(info) };
	struct mxrt_resident *list = NULL;
	size_t room = 0, count = 0, i, j;

	/* Another program may load one meanwhile. */
	do {
		room = count;
		free(list);
		list = room ? calloc(room, sizeof(*list)) : NULL;
		if (room && !list)
			die(EXIT_JOB, "no memory for a list of %zu models", room);
		if (mxrt_models(dev, list, &count))
			die(EXIT_JOB, "%s", mxrt_last_error());
	} while (count > room);
	if (mxrt_query(dev, &info))
		die(EXIT_JOB, "%s", mxrt_last_error());
	printf("  id  users         bytes  content           name                  age  refreshed\n");
	for (i = 0; i < count; i++) {
		printf("%4" PRIu32 "  %5" PRIu32 "  %12" PRIu64 "  ", list[i].id, list[i].users,
		       list[i].program_bytes + list[i].params_bytes);
		for (j = 0; j < 8; j++)
			printf("%02x", list[i].content[j]);
		printf("  %-16s  %9" PRIu32 "  %9" PRIu32 "\n", list[i].name, list[i].age,
		       list[i].refreshes);
	}
	printf("%zu models; %" PRIu64 " of %" PRIu64 " bytes free\n", count, info.free_bytes,
	       info.capacity_bytes);
	free(list);
}

void manage_models(const struct options *options)
{
	struct mxrt_open_params params = { .size = sizeof(params) };
	struct mxrt_device *dev;

	if (mxrt_open(options->device, &params, &dev))
		die(EXIT_JOB, "%s", mxrt_last_error());
	if (options->delete && mxrt_model_delete(dev, options->id))
		die(EXIT_JOB, "%s", mxrt_last_error());
	if (options->refresh && mxrt_refresh(dev, options->refresh_id))
		die(EXIT_JOB, "%s", mxrt_last_error());
	if (options->resident)
		print_models(dev);
	mxrt_close(dev);
}
