// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Linear placement: weights fill unit after unit in the order of PARAMS. What
 * a mapper does that thinks of room only; the mark that others must beat.
 */
#include "place_policy.h"

uint16_t mx_place_linear(const struct mx_place_weights *weights, struct mx_place *place)
{
	uint64_t depth = place->geometry.depth, at = 0;
	uint32_t i;

	if (weights->tiles > depth * place->geometry.units)
		return MXACCEL_ST_TOO_LARGE;
	for (i = 0; i < place->nr; i++) {
		struct mx_place_span *span = &place->span[i];
		uint64_t room = depth - at % depth, left;

		span->first = at / depth;
		span->fill = span->tiles < room ? span->tiles : room;
		left = span->tiles - span->fill;
		span->units = 1 + mx_place_ceil(left, depth);
		span->passes = left > depth ? depth : left > span->fill ? left : span->fill;
		at += span->tiles;
	}
	return MXACCEL_ST_SUCCESS;
}
