/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A chip in this process with a model on it, for trials. */
#ifndef TRIAL_H
#define TRIAL_H

#include "chip.h"
#include "image_writer.h"

/**
 * struct trial - a chip with one model
 * @chip:	the chip
 * @model:	id of the model, which is referenced
 */
struct trial {
	struct mx_chip *chip;
	uint32_t model;
};

/**
 * trial_begin() - a chip, and the model programmed
 * @params:	how the chip is hosted
 * @content:	content id of the model
 * @weights:	PARAMS section; dropped from memory while it is programmed
 *
 * Return: 0, or -1 after mxmap_fail(), with nothing to end.
 */
int trial_begin(struct trial *trial, const struct mx_chip_config *config,
		const struct mx_chip_params *params, const uint8_t content[32],
		const struct mxaccel_model *model, uint64_t model_bytes, const void *weights);
void trial_end(struct trial *trial);

/* Bytes of a job's result; 0 if the chip refuses the job. */
uint64_t trial_result_bytes(const struct trial *trial, uint32_t entry, uint32_t nr_seq,
			    uint32_t tokens);

/* Runs ids [nr_seq, tokens]; @out may be NULL. Return: 0 or -1 after mxmap_fail(). */
int trial_run(const struct trial *trial, uint32_t entry, const int32_t *ids, uint32_t nr_seq,
	      uint32_t tokens, void *out, uint64_t *cycles);

#endif /* TRIAL_H */
