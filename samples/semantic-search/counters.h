/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The accelerator's counters: what it has done since power-on. */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <mxrt.h>

#define MAX_COUNTERS 128

/**
 * struct counters - all counters of a device at a time
 * @list:	names, meanings, values
 * @nr:		number of them
 * @from:	where the values were read
 */
struct counters {
	struct mxrt_value list[MAX_COUNTERS];
	size_t nr;
	char from[128];
};

/* From sysfs for a device of this machine, else from the runtime. Ends the program on failure. */
void counters_read(struct mxrt_device *dev, struct counters *counters);

/* A line for each counter that moved */
void counters_print(const struct counters *before, const struct counters *after);

#endif /* COUNTERS_H */
