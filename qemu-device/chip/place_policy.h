/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside placement: the weights of a model as the policies see them. */
#ifndef MX_CHIP_PLACE_POLICY_H
#define MX_CHIP_PLACE_POLICY_H

#include "place.h"

/**
 * struct mx_place_weight - weights that ops of a model share
 * @w_off:	in PARAMS
 * @tiles:	of the op that has most
 * @bytes:	in PARAMS
 * @window:	where they are used; of several the one with the most work
 * @reads:	times that a token reads them there: 0 for tables, and for products
 *		of one row per sequence
 */
struct mx_place_weight {
	uint64_t w_off;
	uint64_t tiles;
	uint64_t bytes;
	uint32_t window;
	uint32_t reads;
};

/**
 * struct mx_place_weights - all weights of a model, by ascending w_off
 * @nr:		number of them
 * @tiles:	of all together, saturated
 * @bytes:	of all together, saturated
 */
struct mx_place_weights {
	uint32_t nr;
	uint64_t tiles;
	uint64_t bytes;
	struct mx_place_weight weight[];
};

/* Freed by free(). NULL without memory. */
struct mx_place_weights *mx_place_weights(const struct mx_place_geometry *geometry,
					  const struct mx_model *model);

/*
 * The policies: fill place->span[i] for weight i, whose w_off and tiles are
 * there. Return: SUCCESS, NO_MEMORY, TOO_LARGE.
 */
uint16_t mx_place_spread(const struct mx_place_weights *weights, const struct mx_model *model,
			 struct mx_place *place);
uint16_t mx_place_linear(const struct mx_place_weights *weights, struct mx_place *place);

/* Most reads of one unit by @nr spans, span i read @reads[i] times; UINT64_MAX without memory. */
uint64_t mx_place_peak(const struct mx_place_geometry *geometry,
		       const struct mx_place_span *const *span, const uint32_t *reads, uint32_t nr);

/* The span with this w_off, or NULL. */
const struct mx_place_span *mx_place_find(const struct mx_place *place, uint64_t w_off);

/* mx_place_busiest() for a placement that is not the model's yet. */
uint64_t mx_place_busiest_of(const struct mx_place *place, const struct mx_model *model,
			     const struct mxaccel_op *ops, uint32_t nr_ops);

/*
 * Calls @fn for each window of each entry that has ops, in order: ops up to a
 * MATMUL_DYN, or to the end of the entry.
 */
void mx_place_windows(const struct mx_model *model,
		      void (*fn)(void *arg, const struct mxaccel_op *ops, uint32_t nr_ops),
		      void *arg);

/* A MATMUL with a row per token. */
bool mx_place_streams(const struct mx_model *model, const struct mxaccel_op *op);

/*
 * The placement table of a MODEL section: its rules hold whatever the chip.
 * mx_place_table_check() wants the ops checked; BAD_IMAGE with a sentence,
 * NO_MEMORY or SUCCESS. *@place is the table as a placement if it was made for
 * @geometry, else NULL.
 */
uint16_t mx_place_table_check(const struct mx_place_geometry *geometry,
			      const struct mx_model *model, const struct mxaccel_place *table,
			      struct mx_place **place, char *err, size_t err_bytes);

static inline uint64_t mx_place_ceil(uint64_t a, uint64_t b)
{
	return a / b + !!(a % b);
}

#endif /* MX_CHIP_PLACE_POLICY_H */
