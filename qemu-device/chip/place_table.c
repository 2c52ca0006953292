// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Placements: made by a policy, or read from the table of an image, of which
 * every number is hostile until checked.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "model_check.h"
#include "place_policy.h"

static struct mx_place *new_place(const struct mx_place_geometry *geometry,
				  const struct mx_place_weights *weights)
{
	struct mx_place *place = calloc(1, sizeof(*place) +
					   weights->nr * sizeof(place->span[0]));
	uint32_t i;

	if (!place)
		return NULL;
	place->geometry = *geometry;
	place->tiles = weights->tiles;
	place->nr = weights->nr;
	for (i = 0; i < weights->nr; i++) {
		place->span[i].w_off = weights->weight[i].w_off;
		place->span[i].tiles = weights->weight[i].tiles;
	}
	return place;
}

uint16_t mx_place_make(const struct mx_place_geometry *geometry, const struct mx_model *model,
		       enum mx_place_policy policy, struct mx_place **place)
{
	struct mx_place_weights *weights = mx_place_weights(geometry, model);
	struct mx_place *made = weights ? new_place(geometry, weights) : NULL;
	uint16_t status = MXACCEL_ST_NO_MEMORY;

	if (made)
		status = policy == MX_PLACE_LINEAR ? mx_place_linear(weights, made) :
						     mx_place_spread(weights, model, made);
	if (status == MXACCEL_ST_SUCCESS)
		*place = made;
	else
		free(made);
	free(weights);
	return status;
}

void mx_place_write(const struct mx_place *place, struct mxaccel_model *head,
		    struct mxaccel_place *table)
{
	const struct mx_place_geometry *g = &place->geometry;
	uint32_t i;

	head->nr_places = place->nr;
	head->place_units = g->units;
	head->place_depth = g->depth;
	head->place_rows = g->rows;
	head->place_cols = g->cols;
	head->place_organisation = g->organisation;
	for (i = 0; i < place->nr; i++)
		table[i] = (struct mxaccel_place){
			.w_off = place->span[i].w_off, .first_unit = place->span[i].first,
			.nr_units = place->span[i].units, .fill = place->span[i].fill,
		};
}

static bool __printf(3, 4)
bad(char *err, size_t err_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, err_bytes, format, args);
	va_end(args);
	return false;
}

/* Reads entry @i, whose span has w_off and tiles. */
static bool read_entry(const struct mxaccel_place *entry, uint32_t i, struct mx_place *place,
		       char *err, size_t err_bytes)
{
	const struct mx_place_geometry *g = &place->geometry;
	struct mx_place_span *span = &place->span[i];
	uint64_t least = 1, most = span->tiles, left;

	if (entry->w_off != span->w_off)
		return bad(err, err_bytes,
			   "placement %u is of parameter %llu, where that of weights at %llu belongs",
			   i, (unsigned long long)entry->w_off, (unsigned long long)span->w_off);
	if (!mx_check_zero(entry->rsvd, sizeof(entry->rsvd)))
		return bad(err, err_bytes, "a reserved field of placement %u is not zero", i);
	if (entry->first_unit >= g->units)
		return bad(err, err_bytes, "placement %u starts at unit %u of %u", i,
			   entry->first_unit, g->units);
	span->first = entry->first_unit;
	span->units = entry->nr_units;
	span->fill = entry->fill;
	if (span->fill) {
		if (span->fill > g->depth || span->fill > span->tiles)
			return bad(err, err_bytes,
				   "placement %u fills its first unit with %u of %llu tiles, a unit holds %u",
				   i, span->fill, (unsigned long long)span->tiles, g->depth);
		left = span->tiles - span->fill;
		least = 1 + mx_place_ceil(left, g->depth);
		most = least;
		span->passes = left > g->depth ? g->depth : left > span->fill ? left : span->fill;
	}
	if (most > g->units)
		most = g->units;
	if (span->units < least || span->units > most)
		return bad(err, err_bytes,
			   "placement %u has %u units for %llu tiles, must be %llu to %llu", i,
			   span->units, (unsigned long long)span->tiles,
			   (unsigned long long)least, (unsigned long long)most);
	if (!span->fill)
		span->passes = mx_place_ceil(span->tiles, span->units);
	return true;
}

/* Whether the units hold what lies on them; the spans are good one by one. */
static uint16_t check_depth(const struct mx_place *place, char *err, size_t err_bytes)
{
	const struct mx_place_span **span = malloc((place->nr + 1ull) * sizeof(*span));
	uint32_t *once = malloc((place->nr + 1ull) * sizeof(*once)), i;
	uint64_t peak = UINT64_MAX;

	if (span && once) {
		for (i = 0; i < place->nr; i++) {
			span[i] = &place->span[i];
			once[i] = 1;
		}
		peak = mx_place_peak(&place->geometry, span, once, place->nr);
	}
	free(span);
	free(once);
	if (peak == UINT64_MAX)
		return MXACCEL_ST_NO_MEMORY;
	if (peak <= place->geometry.depth)
		return MXACCEL_ST_SUCCESS;
	bad(err, err_bytes, "the placement puts %llu tiles on a unit that holds %u",
	    (unsigned long long)peak, place->geometry.depth);
	return MXACCEL_ST_BAD_IMAGE;
}

static bool same(const struct mx_place_geometry *a, const struct mx_place_geometry *b)
{
	return a->organisation == b->organisation && a->units == b->units && a->rows == b->rows &&
	       a->cols == b->cols && a->depth == b->depth;
}

/* The geometry that a header names makes sense. */
static bool check_geometry(const struct mx_place_geometry *g, char *err, size_t err_bytes)
{
	bool banks = g->organisation == MXACCEL_PLACE_BANKS;

	if (g->organisation < MXACCEL_PLACE_BANKS || g->organisation > MXACCEL_PLACE_ARRAYS)
		return bad(err, err_bytes, "the placement is for unknown organisation %u",
			   g->organisation);
	if (!g->units || !g->depth)
		return bad(err, err_bytes, "the placement is for %u units that hold %u tiles each",
			   g->units, g->depth);
	if (banks ? g->rows || g->cols : !g->rows || !g->cols)
		return bad(err, err_bytes, "the placement is for tiles of %u x %u weights", g->rows,
			   g->cols);
	return true;
}

static uint16_t read_table(const struct mxaccel_place *table, struct mx_place *place, char *err,
			   size_t err_bytes)
{
	uint32_t i;

	for (i = 0; i < place->nr; i++)
		if (!read_entry(&table[i], i, place, err, err_bytes))
			return MXACCEL_ST_BAD_IMAGE;
	return check_depth(place, err, err_bytes);
}

/* One entry for each of the weights, which a chip of that geometry can hold. */
static bool check_weights(const struct mx_place_geometry *g, const struct mx_place_weights *weights,
			  uint32_t nr_places, char *err, size_t err_bytes)
{
	if (weights->nr != nr_places)
		return bad(err, err_bytes, "%u placements for the %u weights of the program",
			   nr_places, weights->nr);
	if (weights->tiles > (uint64_t)g->units * g->depth)
		return bad(err, err_bytes, "the placement is for a chip that cannot hold %llu tiles",
			   (unsigned long long)weights->tiles);
	return true;
}

uint16_t mx_place_table_check(const struct mx_place_geometry *geometry,
			      const struct mx_model *model, const struct mxaccel_place *table,
			      struct mx_place **place, char *err, size_t err_bytes)
{
	const struct mxaccel_model *head = model->head;
	const struct mx_place_geometry made_for = {
		.organisation = head->place_organisation, .units = head->place_units,
		.rows = head->place_rows, .cols = head->place_cols, .depth = head->place_depth,
	};
	struct mx_place_weights *weights;
	struct mx_place *read = NULL;
	uint16_t status = MXACCEL_ST_BAD_IMAGE;

	*place = NULL;
	if (!check_geometry(&made_for, err, err_bytes))
		return status;
	weights = mx_place_weights(&made_for, model);
	if (!weights)
		return MXACCEL_ST_NO_MEMORY;
	if (check_weights(&made_for, weights, head->nr_places, err, err_bytes)) {
		read = new_place(&made_for, weights);
		status = read ? read_table(table, read, err, err_bytes) : MXACCEL_ST_NO_MEMORY;
	}
	free(weights);
	if (status == MXACCEL_ST_SUCCESS && same(geometry, &made_for))
		*place = read;
	else
		free(read);
	return status;
}
