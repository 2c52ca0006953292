/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mxchip: what its files share. */
#ifndef MXCHIP_H
#define MXCHIP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "chip_file.h"

#define MXCHIP_VERSION "0.1.0"

/* Exit codes, see --help */
#define EXIT_FIT	1
#define EXIT_USAGE	2
#define EXIT_INPUT	3
#define EXIT_OUTPUT	4

#define MAX_SETS	64
#define MAX_NUMBERS	64

struct number_list {
	unsigned int nr;
	uint32_t value[MAX_NUMBERS];
};

struct options {
	const char *chip;
	const char *image;
	const char *set[MAX_SETS];
	unsigned int nr_sets;
	const char *entry;
	const char *save;
	struct number_list tokens;
	struct number_list batch;
	bool estimate;
	bool json;
};

/* One line on stderr: "mxchip: ...", and end with this exit code. */
__attribute__((format(printf, 2, 3))) _Noreturn void mxchip_die(int code, const char *format, ...);

/* What the chip file says: "name", "file", "keys", "values", "area_mm2". Never NULL. */
json_t *report_chip(const struct mx_chip_config *config, const struct chip_file *file);

/*
 * Adds "model" and, if asked for, "estimates" to the report. A traditional chip's
 * area becomes that of the arrays in use. Return: the model fits.
 */
bool report_model(const struct mx_chip_config *config, const struct options *options,
		  json_t *report);

/* The report as text. */
void print_report(const struct mx_chip_config *config, const json_t *report);

#endif /* MXCHIP_H */
