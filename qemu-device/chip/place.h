/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement: which crossbars hold which weights of a model.
 *
 * A tile is what is read at once of a weight, a unit what reads one tile at a
 * time, and the depth of a unit the tiles that it holds:
 *
 *			unit			tile			depth
 *	inplace		group of arrays		array			subarrays
 *	traditional	array with its ADC	array			1
 *	synergy		bank for models		word of a bank's port	bank / word
 *
 * A product of K inputs by N outputs has ceil(K / rows) * ceil(N / (cols *
 * cell_bits / 8)) arrays, a table likewise with its rows as inputs; in banks
 * both have as many words as their bytes in PARAMS take. What lies on different
 * units is read at once, what shares a unit one after the other.
 */
#ifndef MX_CHIP_PLACE_H
#define MX_CHIP_PLACE_H

#include "internal.h"

/**
 * struct mx_place_span - where the weights at one w_off lie
 * @w_off:	in PARAMS
 * @first:	first unit
 * @units:	number of units; they follow each other, unit 0 follows the last
 * @fill:	0: tiles are dealt to the units in turn, tile j to unit
 *		(@first + j % @units) % units of the placement. Else the units are
 *		filled one after the other: @fill tiles on the first, then as many
 *		as each holds (linear placement)
 * @tiles:	of the weights
 * @passes:	tiles on the unit that has most: reads that a vector waits for;
 *		ceil(@tiles / @units) if @fill is 0
 */
struct mx_place_span {
	uint64_t w_off;
	uint32_t first;
	uint32_t units;
	uint32_t fill;
	uint64_t tiles;
	uint64_t passes;
};

/**
 * struct mx_place - placement of a model
 * @units:	of the chip, as far as the placement knows them: no more than the
 *		model has tiles
 * @depth:	tiles that a unit holds
 * @tiles:	of all weights together
 * @nr:		entries of @span, by ascending w_off
 */
struct mx_place {
	uint32_t units;
	uint64_t depth;
	uint64_t tiles;
	uint32_t nr;
	struct mx_place_span span[];
};

/* Units of a chip, and tiles that each holds. */
uint64_t mx_place_units(const struct mx_chip_config *config);
uint64_t mx_place_depth(const struct mx_chip_config *config);
/* Tiles of the weights that an op uses: MATMUL and EMBED; 0 for others. */
uint64_t mx_place_tiles(const struct mx_chip_config *config, const struct mxaccel_op *op);

/* Where the weights of a checked model's MATMUL or EMBED lie. False: no such op uses @w_off. */
bool mx_place_of(const struct mx_model *model, uint64_t w_off, struct mx_place_span *span);

/* Tiles of a span on one unit. */
uint64_t mx_place_on(const struct mx_place *place, const struct mx_place_span *span,
		     uint32_t unit);

/**
 * mx_place_busiest() - reads of the busiest unit for one token
 * @ops:	ops of the model that run at once, such as those between two MATMUL_DYN
 * @nr_ops:	number of them
 *
 * Counts every MATMUL with a row per token, so two planes of activations read
 * their weights twice; products that share units add up. Return: the reads of
 * the unit that has most of them.
 */
uint64_t mx_place_busiest(const struct mx_model *model, const struct mxaccel_op *ops,
			  uint32_t nr_ops);

#endif /* MX_CHIP_PLACE_H */
