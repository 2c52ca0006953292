/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calibration: sentences go through the chip in this process, and what its products see
 * of them gives the steps of their ADCs.
 */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include <stdbool.h>

#include <jansson.h>

#include "calibration_text.h"
#include "chip.h"
#include "program.h"

enum calibrate_method {
	CALIBRATE_MSE,	/* least squared error of clamping and rounding */
	CALIBRATE_MAX,	/* nothing is clamped */
};

/* "mse", "max"; false for anything else */
bool calibrate_method_from_name(const char *name, enum calibrate_method *method);

/**
 * struct calibrate_input - a mapped model, for a trial
 * @content:	its content id
 * @model:	MODEL section, of @model_bytes
 * @params:	PARAMS section; dropped from memory meanwhile
 */
struct calibrate_input {
	const struct mx_chip_config *chip;
	const struct calibration_text *text;
	const uint8_t *content;
	struct mxaccel_model *model;
	uint64_t model_bytes;
	const void *params;
	const struct plan *plan;
};

/* Appends a table of steps, all 1, to a MODEL section. Return: 0 or -1 after mxmap_fail(). */
int calibrate_reserve(const struct mx_chip_config *chip, struct mxaccel_model **model,
		      uint64_t *bytes);

/**
 * calibrate_steps() - fill a model's table of steps
 * @products:	out: for each product, its steps and what is clamped and rounded
 *
 * Of each product and slice, the power of two that suits the sums which the text gives,
 * on this chip with its effects and a converter that loses nothing.
 * Return: 0 or -1 after mxmap_fail().
 */
int calibrate_steps(const struct calibrate_input *input, enum calibrate_method method,
		    json_t **products);

/**
 * struct calibration_settings - how a model is calibrated
 * @file:	of sentences; NULL: it is not
 * @tokens:	that are used of it at most
 * @smooth:	alpha of smooth.h; negative: not smoothed
 */
struct calibration_settings {
	const char *file;
	enum calibrate_method method;
	uint32_t tokens;
	double smooth;
};

/* The CALIBRATION section, @products empty without steps. Return: 0 or -1. */
int calibrate_describe(const struct calibration_settings *settings,
		       const struct calibration_text *text, const struct mx_chip_config *chip,
		       json_t *products, json_t **calibration);

/* The same for people */
void calibrate_print(const json_t *calibration, FILE *to);

/**
 * calibrate_inputs() - the largest magnitude of each input of each weight
 * @largest:	out: for each weight of the plan, [cols], or NULL if no product of a first
 *		plane of activations uses it; free() each, and the array
 *
 * With exact products. Return: 0 or -1 after mxmap_fail().
 */
int calibrate_inputs(const struct calibrate_input *input, float ***largest);

#endif /* CALIBRATE_H */
