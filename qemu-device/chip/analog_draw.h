/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the analog products: cells as they are made, by instruction set. The bits
 * do not depend on it: IEEE operations alone, of each lane in the same order.
 */
#ifndef MX_CHIP_ANALOG_DRAW_H
#define MX_CHIP_ANALOG_DRAW_H

#include "analog_kernel.h"

/**
 * struct mx_draw - what the cells of a slice share
 * @a:		parameters
 * @slice:	of the weights
 * @age:	of the cells, in seconds
 * @log_age:	its logarithm; 0: nothing drifts
 * @epoch:	how often they had been programmed before
 */
struct mx_draw {
	const struct mx_analog *a;
	uint32_t slice;
	uint32_t age;
	double log_age;
	uint32_t epoch;
};

/**
 * struct mx_lanes - 16 cells, or pairs of them, to be drawn
 * @place:	of each, below 2^40: see struct mx_analog_weights
 * @which:	of the cells at that place, see mx_which_cell()
 * @weight:	programmed
 * @first:	out: conductance in parts of a count; of a pair, the positive cell
 * @second:	out: the negative cell; 0 if there is none
 */
struct mx_lanes {
	uint64_t place[COLS];
	uint32_t which[COLS];
	int8_t weight[COLS];
	int16_t first[COLS], second[COLS];
};

/*
 * Cells that one place has in a slice: copies, and of the first place of a row of an
 * array those of the spare columns (@spare: 1 for the first, 0 for none).
 */
static inline uint32_t mx_which_cell(uint32_t slice, uint32_t copy, uint32_t spare)
{
	return slice | copy << 4 | spare << 8;
}

/**
 * struct mx_wires - the part of an array that takes part in a conversion
 * @rows:	that are active, below each other
 * @cols:	of the array; a multiple of 16
 * @below:	rows of the array between them and the sense amplifiers
 * @ratio:	resistance of a wire segment by that of a cell of conductance 1
 * @cell:	[rows][cols] conductances; out: effective ones
 * @sweeps:	out: of the relaxation
 */
struct mx_wires {
	size_t rows, cols, below;
	double ratio;
	int16_t *cell;
	uint32_t sweeps;
};

/**
 * struct mx_cell_kernel - functions of one instruction set
 * @draw:	draws 16 cells or pairs; returns which of them are stuck, first and
 *		second cells in the low and high half
 * @wires:	takes IR drop into account; false without memory
 */
struct mx_cell_kernel {
	uint32_t (*draw)(const struct mx_draw *draw, struct mx_lanes *lanes);
	bool (*wires)(struct mx_wires *wires);
};

extern const struct mx_cell_kernel mx_cells_portable, mx_cells_avx2, mx_cells_avx512;

#endif /* MX_CHIP_ANALOG_DRAW_H */
