/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the analog products: cells array by array.
 *
 * An array holds one slice of consecutive output columns and as many inputs as it has
 * rows; the two cells of a differential pair, and the copies of a cell, lie at the same
 * place of arrays of their own. Panels and groups are cut out of it once it is whole.
 */
#ifndef MX_CHIP_ANALOG_ARRAY_H
#define MX_CHIP_ANALOG_ARRAY_H

#include "analog_draw.h"
#include "analog_prepare.h"

/**
 * struct mx_array - an array, or a pair of arrays
 * @row, @rows:	inputs that it takes: the first, and how many
 * @col, @cols:	outputs, likewise
 * @stride:	columns of @level, @cols up to a multiple of 16
 * @width:	columns of @first and @second: those of the array and its spare ones, up to
 *		a multiple of 16
 * @copy:	that is looked at
 * @level:	[rows][stride]: effective levels
 * @first, @second: [rows][width]: conductances of the cells of a copy
 * @at:		[stride]: column of the array that each output has
 * @state:	[rows][width]: 2 bits for the first and 2 for the second cell, what they are
 *		stuck at: see analog_spares.c
 */
struct mx_array {
	struct mx_analog_prepared *prepared;
	const struct mx_cell_kernel *kernel;
	uint32_t slice;
	size_t row, rows, col, cols;
	size_t stride, width;
	uint32_t copy;
	int16_t *level;
	int16_t *first, *second;
	uint16_t *at;
	uint8_t *state;
};

/* Place of the weight of an output and input of the array among the chip's cells. */
static inline uint64_t mx_array_place(const struct mx_array *array, size_t row, size_t col)
{
	const struct mx_analog_weights *w = &array->prepared->w;

	return w->place + MXACCEL_PANEL_OFFSET(array->col + col, array->row + row, w->k);
}

static inline int8_t mx_array_weight(const struct mx_array *array, size_t row, size_t col)
{
	const struct mx_analog_weights *w = &array->prepared->w;

	return w->panels[MXACCEL_PANEL_OFFSET(array->col + col, array->row + row, w->k)];
}

/* Copies that the cells of a slice have. */
static inline uint32_t mx_analog_copies(const struct mx_analog *a, uint32_t slice)
{
	return slice + a->keys.redundant_slices >= a->slices && a->keys.redundant_copies ?
	       a->keys.redundant_copies : 1;
}

/* Which column of the array each output of a copy has, by what is stuck: analog_spares.c. */
void mx_array_spares(struct mx_array *array);

/**
 * mx_array_fit() - gain and offset of an array: analog_correct.c
 * @fresh:	[rows][stride]: its levels right after programming
 *
 * @array->level has the present ones.
 */
struct mx_correction mx_array_fit(const struct mx_array *array, const int16_t *fresh);

#endif /* MX_CHIP_ANALOG_ARRAY_H */
