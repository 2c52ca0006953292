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
 *	synergy		bank for models		MXACCEL_WORD bytes	bank / word
 *
 * A product of K inputs by N outputs has ceil(K / rows) * ceil(N / (cols *
 * cell_bits / 8)) arrays, a table likewise with its rows as inputs; in banks
 * both have as many words as their bytes in PARAMS take. What lies on different
 * units is read at once, what shares a unit one after the other.
 *
 * Ops between two MATMUL_DYN run at once, for different tokens: a window. An
 * image may bring a placement (struct mxaccel_place). A chip of another geometry
 * than it was made for makes its own, and so does one that finds none.
 */
#ifndef MX_CHIP_PLACE_H
#define MX_CHIP_PLACE_H

#include "internal.h"

/**
 * struct mx_place_geometry - what a placement depends on
 * @organisation: MXACCEL_PLACE_*
 * @units:	of the chip
 * @rows:	weights that a tile has below each other; banks: 0
 * @cols:	weights that a tile has side by side; banks: 0
 * @depth:	tiles that a unit holds
 */
struct mx_place_geometry {
	uint8_t organisation;
	uint32_t units;
	uint32_t rows, cols;
	uint32_t depth;
};

/**
 * struct mx_place_span - where the weights at one w_off lie
 * @w_off:	in PARAMS
 * @first:	first unit
 * @units:	number of units; they follow each other, unit 0 follows the last
 * @fill:	0: tiles are dealt to the units in turn, tile j to unit
 *		(@first + j % @units) % units of the chip. Else the units are
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
 * @geometry:	of the chip
 * @tiles:	of all weights together
 * @nr:		entries of @span, by ascending w_off
 */
struct mx_place {
	struct mx_place_geometry geometry;
	uint64_t tiles;
	uint32_t nr;
	struct mx_place_span span[];
};

enum mx_place_policy {
	MX_PLACE_SPREAD,	/* what runs at once apart: place_spread.c */
	MX_PLACE_LINEAR,	/* unit after unit in the order of PARAMS: place_linear.c */
};

struct mx_place_geometry mx_place_geometry(const struct mx_chip_config *config);
/* Tiles of the weights that an op uses: MATMUL and EMBED; 0 for others. Saturates. */
uint64_t mx_place_tiles(const struct mx_place_geometry *geometry, const struct mxaccel_op *op);

/* Where the weights of a checked model's MATMUL or EMBED lie. False: no such op uses @w_off. */
bool mx_place_of(const struct mx_model *model, uint64_t w_off, struct mx_place_span *span);

/* Tiles of a span on one unit of the chip. */
uint64_t mx_place_on(const struct mx_place *place, const struct mx_place_span *span,
		     uint32_t unit);

/**
 * mx_place_busiest() - reads of the busiest unit for one token
 * @ops:	ops of the model that run at once, such as those of a window
 * @nr_ops:	number of them
 *
 * Counts every MATMUL with a row per token, so two planes of activations read
 * their weights twice; products that share units add up. Return: the reads of
 * the unit that has most of them; UINT64_MAX without memory.
 */
uint64_t mx_place_busiest(const struct mx_model *model, const struct mxaccel_op *ops,
			  uint32_t nr_ops);

/**
 * mx_place_make() - place a model's weights
 * @model:	ops and tables checked; its own placement is not looked at
 * @policy:	how
 * @place:	out: freed by free()
 *
 * The same for the same model and geometry. Return: SUCCESS, NO_MEMORY, or
 * TOO_LARGE if the units cannot hold all tiles.
 */
uint16_t mx_place_make(const struct mx_place_geometry *geometry, const struct mx_model *model,
		       enum mx_place_policy policy, struct mx_place **place);

/*
 * Writes a placement as the table of an image: the fields of *@head that
 * describe it, and @place->nr entries.
 */
void mx_place_write(const struct mx_place *place, struct mxaccel_model *head,
		    struct mxaccel_place *table);

/**
 * mx_place_check() - does a model fit a chip?
 * @model:	ops and tables checked
 * @model_bytes: of its MODEL section
 * @err:	else: a sentence with the resource, how much the model needs and
 *		the chip has of it, and what would make it fit
 *
 * Cells, intermediates, transfers, and the small crossbars that hold K and V.
 * Return: SUCCESS, TOO_LARGE, NO_MEMORY.
 */
uint16_t mx_place_check(const struct mx_chip_config *config, const struct mx_model *model,
			uint64_t model_bytes, char *err, size_t err_bytes);

#endif /* MX_CHIP_PLACE_H */
