/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mxmap: a mapping under way. */
#ifndef MAPPING_H
#define MAPPING_H

#include <time.h>

#include "calibrate.h"
#include "checkpoint.h"
#include "hf_config.h"
#include "image_writer.h"
#include "mxmap_options.h"
#include "quantise.h"

/* Everything that a mapping needs; freed as a whole. */
struct mapping {
	const struct options *options;
	struct mx_chip_config chip;
	struct hf_config config;
	struct hf_tokenizer tokenizer;
	struct checkpoint checkpoint;
	struct plan plan;
	struct mxaccel_model *model;
	uint64_t model_bytes;
	char name[sizeof(((struct mxaccel_model *)NULL)->name)];
	struct image_writer *writer;
	struct mxaccel_image header;
	struct mxaccel_section params;
	struct quantise_report report;
	json_t *placement;
	struct calibration_text text;
	json_t *calibration;
	struct timespec begin;
};

/* Whether the image gets steps of the ADCs */
static inline bool sets_steps(const struct mapping *m)
{
	return m->options->calibration.file && m->chip.kind != MX_SYNERGY;
}

/* Writes the image of a mapping that has a program. Return: 0 or -1 after mxmap_fail(). */
int write_image(struct mapping *m);

#endif /* MAPPING_H */
