// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spread placement: what runs at once lies on different units, what runs at
 * different times shares them. Three ways are tried and the one whose busiest
 * units read least is taken:
 *
 *  - apart: the weights of a window have units of their own, in proportion to
 *    their work; of a window with more tiles than the chip has units, each
 *    weight takes as few passes as the window's slowest needs to be fastest;
 *  - in turn: tiles are dealt to the units window by window, which is as even
 *    as can be and always possible, but lets weights of a window share units;
 *  - linear, which can win where the program's windows differ much.
 */
#include <stdlib.h>
#include <string.h>

#include "place_policy.h"

/* Apart costs time with every weight; a program of more is dealt in turn. */
#define MAX_APART 4096

struct spread {
	const struct mx_place_weights *weights;
	struct mx_place *place;
	uint32_t *order;	/* weights by window, then w_off */
	uint32_t *passes;	/* apart: of each weight */
	uint32_t *level;	/* apart: tiles on each unit */
	uint32_t *mark;		/* apart: window that last took the unit, plus 1 */
	uint64_t cursor;	/* unit where the next weight is tried first */
};

/* Weights by window; those that no token reads last. */
struct rank {
	uint64_t window;
	uint32_t weight;
};

static int by_window(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;
	return (x->weight > y->weight) - (x->weight < y->weight);
}

static bool sort_weights(struct spread *s)
{
	struct rank *rank = malloc((s->weights->nr + 1ull) * sizeof(*rank));
	uint32_t i;

	s->order = malloc((s->weights->nr + 1ull) * sizeof(*s->order));
	if (rank && s->order) {
		for (i = 0; i < s->weights->nr; i++) {
			const struct mx_place_weight *w = &s->weights->weight[i];

			rank[i] = (struct rank){ w->reads ? w->window : UINT64_MAX, i };
		}
		qsort(rank, s->weights->nr, sizeof(*rank), by_window);
		for (i = 0; i < s->weights->nr; i++)
			s->order[i] = rank[i].weight;
	}
	free(rank);
	return rank && s->order;
}

/* ------------------------------------------------------------------ in turn */

static void deal(struct spread *s)
{
	uint32_t units = s->place->geometry.units, i;
	uint64_t at = 0;

	for (i = 0; i < s->place->nr; i++) {
		struct mx_place_span *span = &s->place->span[s->order[i]];

		span->first = at % units;
		span->units = span->tiles < units ? span->tiles : units;
		span->fill = 0;
		span->passes = mx_place_ceil(span->tiles, units);
		at += span->tiles;
	}
}

/* -------------------------------------------------------------------- apart */

static const struct mx_place_weight *weight_at(const struct spread *s, uint32_t i)
{
	return &s->weights->weight[s->order[i]];
}

/* Units that the window's weights @from .. @to - 1 take if none is read more than @limit times. */
static uint64_t units_within(struct spread *s, uint32_t from, uint32_t to, uint64_t limit)
{
	uint64_t units = 0;
	uint32_t i;

	for (i = from; i < to; i++) {
		const struct mx_place_weight *w = weight_at(s, i);
		uint64_t passes = limit / w->reads;

		if (passes > s->place->geometry.depth)
			passes = s->place->geometry.depth;
		if (!passes)
			return UINT64_MAX;
		s->passes[i] = passes;
		units += mx_place_ceil(w->tiles, passes);
	}
	return units;
}

/*
 * Passes for the weights of a window. The limit on reads of a unit is the
 * lowest for which the units suffice; units that are then left go to the
 * weights that gain from them, the slowest first.
 */
static bool choose_passes(struct spread *s, uint32_t from, uint32_t to)
{
	uint64_t units = s->place->geometry.units, low = 0, high = 1, used, middle;
	uint32_t i, best;

	while (units_within(s, from, to, high) > units) {
		if (high > (uint64_t)UINT32_MAX << 20)
			return false;	/* all passes are at the depth long before */
		low = high;
		high *= 2;
	}
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (units_within(s, from, to, middle) > units)
			low = middle;
		else
			high = middle;
	}
	used = units_within(s, from, to, high);
	for (;;) {
		best = to;
		for (i = from; i < to; i++) {
			uint64_t tiles = weight_at(s, i)->tiles, passes = s->passes[i];

			if (passes > 1 && (best == to || passes > s->passes[best]) &&
			    used - mx_place_ceil(tiles, passes) +
			    mx_place_ceil(tiles, passes - 1) <= units)
				best = i;
		}
		if (best == to)
			return true;
		used -= mx_place_ceil(weight_at(s, best)->tiles, s->passes[best]);
		s->passes[best]--;
		used += mx_place_ceil(weight_at(s, best)->tiles, s->passes[best]);
	}
}

/*
 * Finds @count units that follow each other, from the cursor on, each with
 * room for @passes tiles and not taken by @window, and puts the weight there.
 */
static bool put(struct spread *s, uint32_t i, uint64_t count, uint32_t passes, uint32_t window)
{
	struct mx_place_span *span = &s->place->span[s->order[i]];
	uint32_t units = s->place->geometry.units, depth = s->place->geometry.depth;
	uint64_t run = 0, at, k;

	/* A run may begin before the cursor comes round and end after it. */
	for (at = s->cursor; run < count; at++) {
		uint32_t unit = at % units;

		if (at - s->cursor >= units + count)
			return false;
		if (s->level[unit] + passes <= depth && (!window || s->mark[unit] != window))
			run++;
		else
			run = 0;
	}
	span->first = (at - count) % units;
	span->units = count;
	span->fill = 0;
	span->passes = mx_place_ceil(span->tiles, count);
	for (k = 0; k < count; k++) {
		uint32_t unit = (span->first + k) % units;

		s->level[unit] += span->tiles / count + (k < span->tiles % count);
		if (window)
			s->mark[unit] = window;
	}
	s->cursor = at % units;
	return true;
}

/* Weights that no token reads fill what is left, over as many units as possible. */
static bool put_rest(struct spread *s, uint32_t i)
{
	struct mx_place_geometry *g = &s->place->geometry;
	uint64_t tiles = weight_at(s, i)->tiles, passes;

	for (passes = mx_place_ceil(tiles, g->units); passes <= g->depth; passes++)
		if (put(s, i, mx_place_ceil(tiles, passes), passes, 0))
			return true;
	return false;
}

static bool apart(struct spread *s)
{
	uint32_t from, to, i, window = 0;

	for (from = 0; from < s->place->nr && weight_at(s, from)->reads; from = to) {
		for (to = from; to < s->place->nr && weight_at(s, to)->reads &&
		     weight_at(s, to)->window == weight_at(s, from)->window; to++)
			;
		if (!choose_passes(s, from, to))
			return false;
		window++;
		for (i = from; i < to; i++)
			if (!put(s, i, mx_place_ceil(weight_at(s, i)->tiles, s->passes[i]),
				 s->passes[i], window))
				return false;
	}
	for (i = from; i < s->place->nr; i++)
		if (!put_rest(s, i))
			return false;
	return true;
}

/* ------------------------------------------------------------ which is best */

struct score {
	const struct mx_place *place;
	const struct mx_model *model;
	uint64_t reads;
};

static void add_window(void *arg, const struct mxaccel_op *ops, uint32_t nr_ops)
{
	struct score *score = arg;
	uint64_t reads = mx_place_busiest_of(score->place, score->model, ops, nr_ops);

	score->reads = score->reads > UINT64_MAX - reads ? UINT64_MAX : score->reads + reads;
}

/* Reads of the busiest unit of each window, all windows together */
static uint64_t score_of(const struct mx_place *place, const struct mx_model *model)
{
	struct score score = { .place = place, .model = model };

	mx_place_windows(model, add_window, &score);
	return score.reads;
}

/* The best of three, @spare being room for another placement of the same weights */
static uint16_t choose(struct spread *s, const struct mx_model *model, struct mx_place *spare)
{
	struct mx_place *best = s->place;
	size_t bytes = sizeof(*best) + best->nr * sizeof(best->span[0]);
	uint64_t best_score, score;

	memcpy(spare, best, bytes);
	if (!apart(s))
		deal(s);
	best_score = score_of(best, model);
	s->place = spare;
	deal(s);
	score = score_of(spare, model);
	if (score < best_score) {
		memcpy(best, spare, bytes);
		best_score = score;
	}
	if (mx_place_linear(s->weights, spare) == MXACCEL_ST_SUCCESS) {
		score = score_of(spare, model);
		if (score < best_score) {
			memcpy(best, spare, bytes);
			best_score = score;
		}
	}
	s->place = best;
	return best_score == UINT64_MAX ? MXACCEL_ST_NO_MEMORY : MXACCEL_ST_SUCCESS;
}

uint16_t mx_place_spread(const struct mx_place_weights *weights, const struct mx_model *model,
			 struct mx_place *place)
{
	const struct mx_place_geometry *g = &place->geometry;
	struct spread s = { .weights = weights, .place = place };
	uint16_t status = MXACCEL_ST_NO_MEMORY;
	struct mx_place *spare;

	if (weights->tiles > (uint64_t)g->units * g->depth)
		return MXACCEL_ST_TOO_LARGE;
	if (!sort_weights(&s)) {
		free(s.order);
		return MXACCEL_ST_NO_MEMORY;
	}
	/* A product is read over all banks; and with a unit for each tile all are apart. */
	if (g->organisation == MXACCEL_PLACE_BANKS || weights->tiles <= g->units ||
	    weights->nr > MAX_APART) {
		deal(&s);
		free(s.order);
		return MXACCEL_ST_SUCCESS;
	}
	s.passes = calloc(weights->nr, sizeof(*s.passes));
	s.level = calloc(g->units, sizeof(*s.level));
	s.mark = calloc(g->units, sizeof(*s.mark));
	spare = malloc(sizeof(*spare) + place->nr * sizeof(place->span[0]));
	if (s.passes && s.level && s.mark && spare)
		status = choose(&s, model, spare);
	free(spare);
	free(s.mark);
	free(s.level);
	free(s.passes);
	free(s.order);
	return status;
}
