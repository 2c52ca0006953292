// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Placement: geometry of chips, and what lies on which unit.
 */
#include <stdlib.h>
#include <string.h>

#include "place_policy.h"

struct mx_place_geometry mx_place_geometry(const struct mx_chip_config *config)
{
	struct mx_place_geometry g = { 0 };
	uint64_t units, depth;

	if (config->kind == MX_SYNERGY) {
		g.organisation = MXACCEL_PLACE_BANKS;
		units = config->banks - config->intermediate_banks;
		depth = (uint64_t)config->bank_rows * config->bank_cols * config->cell_bits / 8 /
			MXACCEL_WORD;
	} else {
		g.organisation = config->kind == MX_INPLACE ? MXACCEL_PLACE_GROUPS :
							      MXACCEL_PLACE_ARRAYS;
		units = mx_chip_groups(config);
		depth = config->subarrays;
		g.rows = config->large_rows;
		g.cols = mx_chip_array_weights(config) / config->large_rows;
	}
	/* What a chip has beyond that is not used. */
	g.units = units < UINT32_MAX ? units : UINT32_MAX;
	g.depth = depth < UINT32_MAX ? depth : UINT32_MAX;
	return g;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

uint64_t mx_place_tiles(const struct mx_place_geometry *g, const struct mxaccel_op *op)
{
	bool table = op->opcode == MXACCEL_OP_EMBED && !(op->flags & MXACCEL_OPF_PANELS);

	if (op->opcode != MXACCEL_OP_MATMUL && op->opcode != MXACCEL_OP_EMBED)
		return 0;
	if (g->organisation == MXACCEL_PLACE_BANKS)
		return table ? times(op->n, MXACCEL_TABLE_STRIDE(op->k) / MXACCEL_WORD) :
			       MXACCEL_PANEL_BYTES(op->n, op->k) / MXACCEL_WORD;
	if (table)
		return times(mx_place_ceil(op->n, g->rows), mx_place_ceil(op->k, g->cols));
	return times(mx_place_ceil(op->k, g->rows), mx_place_ceil(op->n, g->cols));
}

const struct mx_place_span *mx_place_find(const struct mx_place *place, uint64_t w_off)
{
	uint32_t from = 0, to = place ? place->nr : 0;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (place->span[middle].w_off == w_off)
			return &place->span[middle];
		if (place->span[middle].w_off < w_off)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

bool mx_place_of(const struct mx_model *model, uint64_t w_off, struct mx_place_span *span)
{
	const struct mx_place_span *found = mx_place_find(model->place, w_off);

	if (found)
		*span = *found;
	return found;
}

uint64_t mx_place_on(const struct mx_place *place, const struct mx_place_span *span, uint32_t unit)
{
	uint32_t units = place->geometry.units, depth = place->geometry.depth;
	uint64_t at = unit >= span->first ? unit - span->first : (uint64_t)unit + units - span->first;

	if (at >= span->units)
		return 0;
	if (!span->fill)
		return span->tiles / span->units + (at < span->tiles % span->units);
	if (!at)
		return span->fill;
	if (at + 1 < span->units)
		return depth;
	return span->tiles - span->fill - (at - 1) * depth;
}

/* ----------------------------------------------------------- the busiest unit */

/* From unit @unit on there are @reads more. */
struct step {
	uint64_t unit;
	int64_t reads;
};

/* Intervals that a span has units with equally many tiles in, and steps that they take. */
#define INTERVALS 3
#define STEPS (4 * INTERVALS)

struct steps {
	uint64_t units;
	struct step *at;
	size_t nr;
};

/* @reads on @count units from @first on, which may pass the last unit */
static void add_steps(struct steps *steps, uint64_t first, uint64_t count, int64_t reads)
{
	uint64_t end;

	first %= steps->units;
	end = first + count;
	if (!count || !reads)
		return;
	steps->at[steps->nr++] = (struct step){ first, reads };
	if (end > steps->units) {
		steps->at[steps->nr++] = (struct step){ 0, reads };
		end -= steps->units;
	}
	steps->at[steps->nr++] = (struct step){ end, -reads };
}

static int by_unit(const void *a, const void *b)
{
	const struct step *x = a, *y = b;

	return (x->unit > y->unit) - (x->unit < y->unit);
}

uint64_t mx_place_peak(const struct mx_place_geometry *geometry,
		       const struct mx_place_span *const *span, const uint32_t *reads, uint32_t nr)
{
	struct steps steps = { .units = geometry->units };
	int64_t now = 0, peak = 0;
	size_t i;

	steps.at = malloc((STEPS * (size_t)nr + 1) * sizeof(*steps.at));
	if (!steps.at)
		return UINT64_MAX;
	for (i = 0; i < nr; i++) {
		const struct mx_place_span *s = span[i];
		int64_t times = reads[i];

		if (!s->fill) {
			add_steps(&steps, s->first, s->units, s->tiles / s->units * times);
			add_steps(&steps, s->first, s->tiles % s->units, times);
		} else {
			uint64_t full = s->units > 2 ? s->units - 2 : 0;

			add_steps(&steps, s->first, 1, s->fill * times);
			add_steps(&steps, (uint64_t)s->first + 1, full, geometry->depth * times);
			add_steps(&steps, (uint64_t)s->first + 1 + full, s->units > 1,
				  (s->tiles - s->fill - full * geometry->depth) * times);
		}
	}
	qsort(steps.at, steps.nr, sizeof(*steps.at), by_unit);
	for (i = 0; i < steps.nr; i++) {
		now += steps.at[i].reads;
		if (now > peak && (i + 1 == steps.nr || steps.at[i + 1].unit != steps.at[i].unit))
			peak = now;
	}
	free(steps.at);
	return peak;
}

bool mx_place_streams(const struct mx_model *model, const struct mxaccel_op *op)
{
	return op->opcode == MXACCEL_OP_MATMUL &&
	       model->region[op->dst].kind == MXACCEL_REGION_ROWS;
}

uint64_t mx_place_busiest_of(const struct mx_place *place, const struct mx_model *model,
			     const struct mxaccel_op *ops, uint32_t nr_ops)
{
	const struct mx_place_span **span = malloc((nr_ops + 1ull) * sizeof(*span));
	uint32_t *reads = malloc((nr_ops + 1ull) * sizeof(*reads));
	uint64_t busiest = UINT64_MAX;
	uint32_t i, nr = 0;

	if (span && reads) {
		for (i = 0; i < nr_ops; i++) {
			reads[nr] = 1;
			span[nr] = mx_place_find(place, ops[i].w_off);
			if (span[nr] && mx_place_streams(model, &ops[i]))
				nr++;
		}
		busiest = nr ? mx_place_peak(&place->geometry, span, reads, nr) : 0;
	}
	free(span);
	free(reads);
	return busiest;
}

uint64_t mx_place_busiest(const struct mx_model *model, const struct mxaccel_op *ops,
			  uint32_t nr_ops)
{
	return mx_place_busiest_of(model->place, model, ops, nr_ops);
}
