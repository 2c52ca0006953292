/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Floats to the chip's INT8, and the parameters of a checkpoint to PARAMS.
 */
#ifndef QUANTISE_H
#define QUANTISE_H

#include <stdbool.h>

#include "checkpoint.h"
#include "image_writer.h"
#include "program.h"

/**
 * struct quantise_error - how far the INT8 weights are from the floats
 * @difference:	sum of the squared differences
 * @signal:	sum of the squared floats
 */
struct quantise_error {
	double difference, signal;
};

/* sqrt(difference / signal); 0 for no signal */
double quantise_relative(const struct quantise_error *error);

/**
 * quantise_row() - symmetric INT8 of a row: scale = max / 127, round half to even
 * @row:	floats
 * @nr:		their number
 * @q:		out, in -127 .. 127
 * @scale:	out: row[i] is about q[i] * scale; 0 for a row of zeros
 * @error:	added to
 *
 * Return: false if a float is infinite or not a number.
 */
bool quantise_row(const float *row, size_t nr, int8_t *q, float *scale,
		  struct quantise_error *error);

/**
 * struct quantise_report - for the model card
 * @tables:	embedding tables together
 * @matrices:	all matrices together
 * @worst:	relative error of the worst matrix
 * @worst_name:	its name
 */
struct quantise_report {
	struct quantise_error tables, matrices;
	double worst;
	const char *worst_name;
};

/* Writes PARAMS as the plan says, into the open section. @verbose: a line per parameter. */
int quantise_params(const struct checkpoint *checkpoint, const struct plan *plan,
		    struct image_writer *writer, bool verbose, struct quantise_report *report);

#endif /* QUANTISE_H */
