/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fidelity=analog: stationary products as the in-place crossbars compute them.
 *
 * A group is the rows of one array that are active in one conversion. Inputs go
 * in as digits, a step after another; weights lie in slices. With the level
 * L[n][r] of a slice and the digit d[t][r] of a step
 *
 *	S = sum over the group's rows of L[n][r] * d[t][r]
 *	code = clamp(round(S / (unit * lsb)), low, high)
 *	y[t][n] = sum over groups, slices and steps of
 *		  lsb * code * 2^(cell_bits * slice) * weight(step)	(and corrections)
 *
 * Levels are in counts, or in 1/MX_ANALOG_UNIT of one if a cell effect is on, so that
 * all of it is integer arithmetic, equal on every host. Documentation/analog.rst has
 * the corrections and the effects.
 */
#ifndef MX_CHIP_ANALOG_H
#define MX_CHIP_ANALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chip.h"

struct mx_pool;
struct mx_profile;

/* Parts of a count that levels have while an effect is on. */
#define MX_ANALOG_UNIT 32
#define MX_MAX_STEPS 8

/**
 * struct mx_analog - how products are computed
 * @keys:	of the chip file
 * @seed:	serial number of the chip: key of all random numbers
 * @active:	rows of a full group
 * @slices:	cells, or pairs of them, of a weight
 * @cell_bits:	bits of a slice
 * @top:	highest level of a cell, 2^cell_bits - 1
 * @dac_bits:	bits of a step
 * @steps:	of an input
 * @step_weight: factor of a step's sums
 * @step_signed: a step's digits can be negative
 * @low, @high:	range of the codes of each step
 * @effects:	a cell effect is on
 * @unit:	parts of a count that levels are in: MX_ANALOG_UNIT or 1
 * @pedestal:	of a cell at level 0, in these parts; see on_off_ratio
 * @array_rows, @array_cols: inputs and outputs that an array takes, in whole groups and
 *		in 16 columns: see analog_array.h
 */
struct mx_analog {
	struct mx_analog_keys keys;
	uint64_t seed;
	uint32_t active;
	uint32_t slices;
	uint32_t cell_bits;
	int32_t top;
	uint32_t dac_bits;
	uint32_t steps;
	int32_t step_weight[MX_MAX_STEPS];
	bool step_signed[MX_MAX_STEPS];
	int32_t low[MX_MAX_STEPS], high[MX_MAX_STEPS];
	bool effects;
	int32_t unit;
	int32_t pedestal;
	uint32_t array_rows, array_cols;
};

/* From a chip file of an organisation whose cells compute. */
void mx_analog_init(struct mx_analog *analog, const struct mx_chip_config *config, uint64_t seed);

/* Scrambles 64 bits (Stafford's variant 13 of the finaliser of MurmurHash3). */
static inline uint64_t mx_scramble(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/*
 * What a row's read noise is keyed with, besides the seed: what is read (a hash of the
 * sequence; of its ids), by which product, and for which of its rows.
 */
static inline uint64_t mx_noise_key(uint64_t sequence, uint32_t product, uint32_t row)
{
	return mx_scramble(sequence ^ mx_scramble(((uint64_t)product << 32 | row) + 1));
}

/**
 * struct mx_analog_weights - the weights of a product
 * @panels:	see MXACCEL_PANEL_OFFSET; aligned to MXACCEL_WORD
 * @place:	where the first of them lies among the chip's cells: random numbers of
 *		a cell depend on it
 * @k:		length of the dot products
 * @n:		output columns
 * @age:	seconds since the cells were programmed
 * @epoch:	how often they had been programmed before: each time has errors of its own
 * @steps:	counts of a code, of each slice; NULL: those of the chip file
 * @isa:	that cells are drawn with; the bits do not depend on it
 */
struct mx_analog_weights {
	const int8_t *panels;
	uint64_t place;
	size_t k;
	size_t n;
	uint32_t age;
	uint32_t epoch;
	const uint32_t *steps;
	enum mx_isa isa;
};

struct mx_analog_prepared;

/* Of a digital correction: gain 1. */
#define MX_CORRECTION_ONE 4096

/**
 * struct mx_correction - what the digital side makes of the codes of a group and slice
 * @gain:	factor of their shift-and-add, in 1 / MX_CORRECTION_ONE
 * @offset:	counts to take off for each unit of the inputs' sum, in 1 / MX_CORRECTION_ONE,
 *		besides the pedestal that is taken off anyway
 */
struct mx_correction {
	int32_t gain;
	int32_t offset;
};

/**
 * mx_analog_prepare() - do once what depends on the weights alone
 *
 * Proves, or not, of each column slice that its conversions lose nothing, and with
 * effects draws the cells. That takes one byte for each weight and slice with effects,
 * two where a level is beyond 127 parts of a count; one for each weight of the panels of
 * which a part is proved; next to nothing else. @weights->panels must stay.
 * Return: what mx_analog_multiply() takes, or NULL without memory.
 */
struct mx_analog_prepared *mx_analog_prepare(const struct mx_analog *analog,
					     const struct mx_analog_weights *weights,
					     struct mx_pool *pool);
/* Panels of its weights; and gives it those to free, on which its cells depend with age. */
const int8_t *mx_analog_prepared_panels(const struct mx_analog_prepared *prepared);
void mx_analog_prepared_own(struct mx_analog_prepared *prepared, int8_t *panels);
/* Whether the cells of @prepared are those of @weights: programmed and aged alike. */
bool mx_analog_prepared_fits(const struct mx_analog_prepared *prepared,
			     const struct mx_analog_weights *weights);
/* NULL is harmless. */
void mx_analog_prepared_free(struct mx_analog_prepared *prepared);
/**
 * struct mx_analog_report - what became of the cells of a product
 * @stuck:	cells in use that are
 * @spares:	spare columns in use
 * @corrected:	arrays have digital corrections; of @corrections
 * @least, @most: of the arrays' corrections
 */
struct mx_analog_report {
	uint64_t stuck, spares;
	bool corrected;
	struct mx_correction least, most;
};

void mx_analog_report(const struct mx_analog_prepared *prepared, struct mx_analog_report *report);

/* Whether no conversion of any input loses anything: the product is the exact one. */
bool mx_analog_lossless(const struct mx_analog_prepared *prepared);

/**
 * struct mx_analog_product - a product y = x w of integers
 * @prepared:	the weights
 * @x:		inputs: int8, or uint8 if the input coding is unsigned
 * @x_stride:	bytes from row to row
 * @x_shift:	they stand for x - @x_shift: signed activations in unsigned coding
 * @rows:	rows of @x
 * @noise_key:	of each row, see mx_noise_key(); NULL without read noise
 * @sums:	S of all conversions, [group][slice][step][n][rows], or NULL
 * @codes:	their codes, likewise
 * @profile:	gets to know S of all conversions, or NULL: profile.h
 * @no_proof:	convert also what is proved to lose nothing; so do @sums, @codes and @profile
 * @put:	takes results: @nr_rows rows of MXACCEL_PANEL_COLS columns from
 *		[@row][@col]; on any thread
 * @arg:	for @put
 * @saturated:	out: conversions whose code was clamped
 */
struct mx_analog_product {
	const struct mx_analog_prepared *prepared;
	const uint8_t *x;
	size_t x_stride;
	int32_t x_shift;
	size_t rows;
	const uint64_t *noise_key;
	int32_t *sums;
	int32_t *codes;
	struct mx_profile *profile;
	bool no_proof;
	void (*put)(void *arg, size_t row, size_t nr_rows, size_t col,
		    const int64_t block[][MXACCEL_PANEL_COLS]);
	void *arg;
	uint64_t saturated;
};

/* Conversions groups of a product of length @k. */
static inline size_t mx_analog_groups(const struct mx_analog *analog, size_t k)
{
	return (k + analog->active - 1) / analog->active;
}

/**
 * mx_analog_multiply() - compute a product
 *
 * @isa picks the kernels, the bits do not depend on it nor on the threads.
 * Return: 0 or -ENOMEM.
 */
int mx_analog_multiply(const struct mx_analog *analog, struct mx_analog_product *product,
		       enum mx_isa isa, struct mx_pool *pool);

/*
 * -128 has no pair of cells where 7 bits are all there are: a model's is programmed as -127,
 * the most the pair can hold. (Models quantised symmetrically have none.)
 */
static inline bool mx_analog_weight_fits(const struct mx_analog *analog, int w)
{
	return analog->keys.mapping == MX_OFFSET || w > -128 ||
	       analog->slices * analog->cell_bits >= 8;
}

/* Nor does an input. @x: int8 or, for unsigned coding, uint8 */
static inline bool mx_analog_input_fits(const struct mx_analog *analog, int x)
{
	return analog->keys.input != MX_SIGN_MAGNITUDE || x > -128 ||
	       analog->steps * analog->dac_bits >= 8;
}

/* Level of a weight in a slice: of the cell, or of the pair of cells, in counts. */
static inline int mx_analog_level(const struct mx_analog *analog, int w, uint32_t slice)
{
	int magnitude = w < 0 ? -w : w;
	uint32_t shift = slice * analog->cell_bits;

	if (analog->keys.mapping == MX_OFFSET)
		return ((w + 128) >> shift) & analog->top;
	if (!mx_analog_weight_fits(analog, w))
		magnitude = 127;
	magnitude = (magnitude >> shift) & analog->top;
	return w < 0 ? -magnitude : magnitude;
}

/* Digit of an input byte in a step. */
static inline int mx_analog_digit(const struct mx_analog *analog, uint8_t byte, uint32_t step)
{
	int mask = (1 << analog->dac_bits) - 1, shift = step * analog->dac_bits;
	int x = (int8_t)byte, digit = (byte >> shift) & mask;

	if (analog->keys.input == MX_SIGN_MAGNITUDE) {
		digit = ((x < 0 ? -x : x) >> shift) & mask;
		return x < 0 ? -digit : digit;
	}
	if (analog->step_signed[step] && digit > mask >> 1)
		digit -= mask + 1;
	return digit;
}

#endif /* MX_CHIP_ANALOG_H */
