/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the analog products: what is kept of the weights of one. */
#ifndef MX_CHIP_ANALOG_PREPARE_H
#define MX_CHIP_ANALOG_PREPARE_H

#include <stdatomic.h>

#include "analog_kernel.h"

/*
 * Longest product that is proved or done with tables: sums of INT8 products and
 * of clamped codes then fit 32 bits.
 */
#define MAX_FAST_K 16384

/**
 * struct mx_cells - levels of a slice of 16 columns and a group, with their effects
 * @narrow:	[rows / 4][COLS][4], if all are within -128 to 127; else NULL
 * @wide:	[rows / 2][COLS][2], rows up to a multiple of four; NULL if @narrow will do
 */
struct mx_cells {
	int8_t *narrow;
	int16_t *wide;
};

/**
 * struct mx_panel - 16 columns
 * @hard:	[group][slice]: columns whose conversions can lose something
 * @bytes:	[group][slice]: columns of steps of one bit and lsb 1 whose sums of the rows of
 *		mx_lut_half() tables, and of the other rows, are bytes each; and sums of
 *		both, if the ADC tells larger ones apart
 * @easy:	[k / 4][COLS][4]: sums of the other slices, as weights; the weights
 *		themselves if that is all of them; NULL if there are none
 * @own_easy:	@easy, if it is to be freed
 * @some_hard:	there are conversions that can lose something
 * @easy_sum:	of each column of @easy
 * @sum:	of each column of weights
 * @cells:	[group][slice], with effects; else NULL
 * @correction:	[group][slice], the same for all columns of an array; NULL: none
 */
struct mx_panel {
	uint16_t (*hard)[MX_MAX_SLICES];
	uint16_t (*bytes)[MX_MAX_SLICES];
	const int8_t *easy;
	int8_t *own_easy;
	bool some_hard;
	int64_t easy_sum[COLS];
	int64_t sum[COLS];
	struct mx_cells (*cells)[MX_MAX_SLICES];
	struct mx_correction (*correction)[MX_MAX_SLICES];
};

/**
 * struct mx_analog_prepared - the weights of a product
 * @lsb:	counts of a code, of each slice
 * @own_panels:	@w.panels, if they are to be freed: weights as sensed at that age
 * @groups:	of rows
 * @some_wide:	some cells are
 * @stuck, @spares: see struct mx_analog_report
 */
struct mx_analog_prepared {
	const struct mx_analog *a;
	struct mx_analog_weights w;
	int32_t lsb[MX_MAX_SLICES];
	int8_t *own_panels;
	size_t groups;
	size_t nr_panels;
	atomic_bool some_wide;
	atomic_uint_fast64_t stuck, spares;
	atomic_bool no_memory;
	struct mx_panel panel[];
};

static inline size_t mx_analog_pad(size_t rows, size_t unit)
{
	return (rows + unit - 1) / unit * unit;
}

/* Rows of a group. */
static inline size_t mx_analog_rows(const struct mx_analog_prepared *prepared, size_t group)
{
	size_t left = prepared->w.k - group * prepared->a->active;

	return left < prepared->a->active ? left : prepared->a->active;
}

/* Columns of a panel that are somebody's. */
static inline uint16_t mx_analog_columns(const struct mx_analog_prepared *prepared, size_t panel)
{
	size_t left = prepared->w.n - panel * COLS;

	return left < COLS ? (1u << left) - 1 : 0xffff;
}

static inline const int8_t *mx_analog_panel(const struct mx_analog_prepared *prepared, size_t panel)
{
	return prepared->w.panels + panel * mx_analog_pad(prepared->w.k, 4) * COLS;
}

/* Levels of a slice of @rows weights; those above 127 as their low byte. */
void mx_analog_levels(const struct mx_analog *analog, const int8_t *w, size_t rows,
		      uint32_t slice, int8_t *level);

/* Whether codes are corrected array by array. */
static inline bool mx_analog_corrects(const struct mx_analog *analog)
{
	return analog->effects && (analog->keys.correction == MX_CORRECT_ARRAY ||
				   analog->keys.drift_compensation);
}

/* Levels of a slice, without effects: analog_cells.c. [rows / 2][COLS][2], rows in fours */
void mx_analog_cells(const struct mx_analog *analog, const struct mx_analog_weights *weights,
		     size_t panel, size_t first, size_t rows, uint32_t slice, int16_t *level);
/* The same as bytes, [rows / 4][COLS][4]; false if one does not fit. */
bool mx_analog_narrow(const int16_t *level, size_t rows, int8_t *bytes);
/* Draws the cells of all arrays into the panels: analog_array.c; false without memory. */
bool mx_analog_arrays(struct mx_analog_prepared *prepared, struct mx_pool *pool);

#endif /* MX_CHIP_ANALOG_PREPARE_H */
