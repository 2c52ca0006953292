/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mxmap: its command line. */
#ifndef MXMAP_OPTIONS_H
#define MXMAP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "calibrate.h"

struct options {
	const char *folder, *output, *chip, *name, *place, *report;
	struct calibration_settings calibration;
	uint32_t max_tokens;
	unsigned int planes;
	bool verbose, plan;
};

/* Return: 0, -1 after a message, 1: done already. */
int parse_options(int argc, char **argv, struct options *options);

#endif /* MXMAP_OPTIONS_H */
