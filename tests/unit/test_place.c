// SPDX-License-Identifier: LGPL-2.1-or-later
/* Placement of weights: the policies, on known and on random programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "place_policy.h"
#include "place_model.h"

#define ROUNDS 3000

static const struct mx_place_geometry mx1_inplace = {
	.organisation = MXACCEL_PLACE_GROUPS, .units = 3072, .rows = 128, .cols = 32, .depth = 32,
};

static struct mx_place *make(const struct mx_place_geometry *g, struct place_model *m,
			     enum mx_place_policy policy)
{
	struct mx_place *place = NULL;

	assert_int_equal(mx_place_make(g, &m->model, policy, &place), MXACCEL_ST_SUCCESS);
	return place;
}

static const struct mx_place_span *span_of(const struct mx_place *place, uint64_t w_off)
{
	const struct mx_place_span *span = mx_place_find(place, w_off);

	assert_non_null(span);
	return span;
}

static bool apart(const struct mx_place *place, uint64_t a, uint64_t b)
{
	const struct mx_place_span *x = span_of(place, a), *y = span_of(place, b);
	uint32_t i;

	for (i = 0; i < place->geometry.units; i++)
		if (mx_place_on(place, x, i) && mx_place_on(place, y, i))
			return false;
	return true;
}

/* What the cost model of mx1-inplace assumes of BERT-Large. */
static void bert_large_streams(void **state)
{
	static const uint32_t units[] = { 768, 256, 1024, 1024 };
	struct place_model *m;
	struct mx_place *place;
	uint32_t planes, layer, i, j;

	(void)state;
	for (planes = 1; planes <= 2; planes++) {
		m = place_encoder(24, 1024, 4096, 16, 30522, 512, planes);
		place = make(&mx1_inplace, m, MX_PLACE_SPREAD);
		m->model.place = place;
		for (layer = 0; layer < 24; layer++) {
			const uint64_t *w = m->layer[layer];

			for (i = 0; i < 4; i++) {
				assert_int_equal(span_of(place, w[i])->units, units[i]);
				assert_int_equal(span_of(place, w[i])->passes, 1);
			}
			for (i = PLACE_OUT; i <= PLACE_DOWN; i++) {
				for (j = PLACE_OUT; j < i; j++)
					assert_true(apart(place, w[i], w[j]));
				if (layer < 23)
					assert_true(apart(place, w[i],
							  m->layer[layer + 1][PLACE_QKV]));
			}
		}
		assert_int_equal(place_score(place, &m->model), 25 * planes);
		place_free(m);
		m = place_encoder(24, 1024, 4096, 16, 30522, 512, planes);
		m->model.place = make(&mx1_inplace, m, MX_PLACE_LINEAR);
		assert_int_equal(place_score(m->model.place, &m->model), 25 * 32 * planes);
		place_free(m);
	}
}

/* Half the groups: two passes, shared in proportion to the work. */
static void work_is_shared_in_proportion(void **state)
{
	struct mx_place_geometry g = mx1_inplace;
	struct place_model *m = place_encoder(2, 1024, 4096, 16, 0, 512, 1);
	const uint64_t *w = m->layer[0];
	struct mx_place *place;

	(void)state;
	g.units = 1536;
	place = make(&g, m, MX_PLACE_SPREAD);
	m->model.place = place;
	assert_int_equal(span_of(place, w[PLACE_OUT])->units, 128);
	assert_int_equal(span_of(place, w[PLACE_UP])->units, 512);
	assert_int_equal(span_of(place, w[PLACE_DOWN])->units, 512);
	assert_int_equal(span_of(place, m->layer[1][PLACE_QKV])->units, 384);
	/* Q, K, V of layer 0 run alone and have room for one pass. */
	assert_int_equal(span_of(place, w[PLACE_QKV])->units, 768);
	place_free(m);

	/* Two planes read all but the output projection twice: it may take two passes. */
	m = place_encoder(2, 1024, 4096, 16, 0, 512, 2);
	w = m->layer[0];
	g.units = 768 + 128 + 2048;
	place = make(&g, m, MX_PLACE_SPREAD);
	m->model.place = place;
	assert_int_equal(span_of(place, w[PLACE_OUT])->passes, 2);
	assert_int_equal(span_of(place, w[PLACE_UP])->passes, 1);
	assert_int_equal(place_score(place, &m->model), 6);
	place_free(m);
}

static void banks_are_striped(void **state)
{
	const struct mx_place_geometry g = {
		.organisation = MXACCEL_PLACE_BANKS, .units = 11, .depth = 524288,
	};
	struct place_model *m = place_encoder(24, 1024, 4096, 16, 30522, 512, 2);
	struct mx_place *place = make(&g, m, MX_PLACE_SPREAD);
	uint32_t i;

	(void)state;
	for (i = 0; i < place->nr; i++) {
		uint64_t tiles = place->span[i].tiles;

		assert_int_equal(place->span[i].units, tiles < 11 ? tiles : 11);
		assert_int_equal(place->span[i].passes, (tiles + 10) / 11);
	}
	assert_int_equal(span_of(place, m->layer[3][PLACE_OUT])->tiles, 1024 * 1024 / 64);
	free(place);
	place = make(&g, m, MX_PLACE_LINEAR);
	for (i = 0; i < place->nr; i++)
		assert_true(place->span[i].units <= 2);
	free(place);
	place_free(m);
}

/* Counts tile by tile, as the description of a span has it. */
static void count_tiles(const struct mx_place *place, const struct mx_place_span *span,
			uint64_t *on)
{
	uint32_t units = place->geometry.units, unit = span->first, room = span->fill;
	uint64_t j;

	memset(on, 0, units * sizeof(*on));
	for (j = 0; j < span->tiles; j++) {
		if (!span->fill) {
			on[(span->first + j % span->units) % units]++;
			continue;
		}
		if (!room) {
			unit = (unit + 1) % units;
			room = place->geometry.depth;
		}
		room--;
		on[unit]++;
	}
}

struct brute {
	const struct mx_place *place;
	uint64_t busiest;	/* of all windows, added up */
	bool apart;		/* no unit has two weights of a window */
};

static void brute_window(void *arg, const struct mxaccel_op *ops, uint32_t nr_ops)
{
	struct brute *brute = arg;
	uint64_t on[PLACE_UNITS], reads[PLACE_UNITS] = { 0 }, owner[PLACE_UNITS] = { 0 }, most = 0;
	uint32_t i, unit;

	for (i = 0; i < nr_ops; i++) {
		if (ops[i].opcode != MXACCEL_OP_MATMUL || ops[i].dst == PLACE_REGION_SEQ)
			continue;
		count_tiles(brute->place, span_of(brute->place, ops[i].w_off), on);
		for (unit = 0; unit < brute->place->geometry.units; unit++) {
			reads[unit] += on[unit];
			if (on[unit] && owner[unit] && owner[unit] != ops[i].w_off + 1)
				brute->apart = false;
			if (on[unit])
				owner[unit] = ops[i].w_off + 1;
			if (reads[unit] > most)
				most = reads[unit];
		}
	}
	brute->busiest += most;
}

static struct brute check_placement(const struct mx_place *place, const struct place_model *m)
{
	struct brute brute = { .place = place, .apart = true };
	uint64_t on[PLACE_UNITS], all[PLACE_UNITS] = { 0 }, sum;
	uint32_t i, unit;

	for (i = 0; i < place->nr; i++) {
		const struct mx_place_span *span = &place->span[i];
		uint64_t most = 0;

		if (i)
			assert_true(span->w_off > span[-1].w_off);
		count_tiles(place, span, on);
		for (unit = 0, sum = 0; unit < place->geometry.units; unit++) {
			assert_int_equal(mx_place_on(place, span, unit), on[unit]);
			sum += on[unit];
			all[unit] += on[unit];
			if (on[unit] > most)
				most = on[unit];
		}
		assert_int_equal(sum, span->tiles);
		assert_int_equal(most, span->passes);
	}
	for (unit = 0; unit < place->geometry.units; unit++)
		assert_true(all[unit] <= place->geometry.depth);
	mx_place_windows(&m->model, brute_window, &brute);
	assert_int_equal(place_score(place, &m->model), brute.busiest);
	return brute;
}

/* What dealing tiles in turn, window by window, gives */
static uint64_t dealt_score(const struct mx_place *like, const struct mx_place_weights *weights,
			    const struct place_model *m)
{
	size_t bytes = sizeof(*like) + like->nr * sizeof(like->span[0]);
	struct mx_place *dealt = malloc(bytes);
	uint32_t window, i, units = like->geometry.units;
	uint64_t at = 0, score;

	assert_non_null(dealt);
	memcpy(dealt, like, bytes);
	for (window = 0; window < 100; window++)
		for (i = 0; i < weights->nr; i++) {
			struct mx_place_span *span = &dealt->span[i];

			if (!weights->weight[i].reads || weights->weight[i].window != window)
				continue;
			span->first = at % units;
			span->units = span->tiles < units ? span->tiles : units;
			span->fill = 0;
			at += span->tiles;
		}
	score = place_score(dealt, &m->model);
	free(dealt);
	return score;
}

static void random_programs(void **state)
{
	unsigned int round, fitted = 0, better = 0, full = 0, roomy = 0, separate = 0;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		struct mx_place_geometry g;
		struct place_model *m = place_random(round, &g);
		struct mx_place *spread = NULL, *linear = NULL, *again;
		struct mx_place_weights *weights = mx_place_weights(&g, &m->model);
		bool fits;
		uint16_t status;

		assert_non_null(weights);
		fits = weights->tiles <= (uint64_t)g.units * g.depth;
		status = fits ? MXACCEL_ST_SUCCESS : MXACCEL_ST_TOO_LARGE;
		assert_int_equal(mx_place_make(&g, &m->model, MX_PLACE_SPREAD, &spread), status);
		assert_int_equal(mx_place_make(&g, &m->model, MX_PLACE_LINEAR, &linear), status);
		if (fits) {
			struct brute a = check_placement(spread, m), b = check_placement(linear, m);

			assert_true(a.busiest <= b.busiest);
			assert_true(a.busiest <= dealt_score(spread, weights, m));
			separate += a.apart;
			better += a.busiest < b.busiest;
			full += weights->tiles == (uint64_t)g.units * g.depth;
			if (weights->tiles <= g.units) {
				assert_true(a.apart);
				roomy++;
			}
			again = make(&g, m, MX_PLACE_SPREAD);
			place_same(again, spread);
			free(again);
			fitted++;
		}
		free(spread);
		free(linear);
		free(weights);
		place_free(m);
	}
	/* The programs are worth it. */
	assert_true(fitted > ROUNDS / 3 && fitted < ROUNDS && better > ROUNDS / 10 && full && roomy &&
		    separate > fitted / 4 * 3);
}

/* Programs, found by search, that linear placement suits best: spread must notice. */
static void linear_can_win(void **state)
{
	static const uint32_t rounds[] = { 170786, 231055, 291653 };
	struct mx_place_geometry g;
	struct mx_place *spread, *linear;
	struct place_model *m;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rounds); i++) {
		m = place_random(rounds[i], &g);
		g.organisation = MXACCEL_PLACE_GROUPS;
		if (!g.rows) {
			g.rows = 7;
			g.cols = 5;
		}
		spread = make(&g, m, MX_PLACE_SPREAD);
		linear = make(&g, m, MX_PLACE_LINEAR);
		assert_int_equal(place_score(spread, &m->model), place_score(linear, &m->model));
		free(spread);
		free(linear);
		place_free(m);
	}
}

/* A model that is small for the chip is spread over all of it. */
static void windows_begin_where_others_ended(void **state)
{
	struct place_model *m = place_encoder(6, 384, 1536, 12, 30522, 512, 2);
	struct mx_place *place = make(&mx1_inplace, m, MX_PLACE_SPREAD);
	uint32_t unit, i;

	(void)state;
	for (unit = 0; unit < place->geometry.units; unit++) {
		uint64_t on = 0;

		for (i = 0; i < place->nr; i++)
			on += mx_place_on(place, &place->span[i], unit);
		assert_in_range(on, 1, 2);
	}
	free(place);
	place_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bert_large_streams),
		cmocka_unit_test(work_is_shared_in_proportion),
		cmocka_unit_test(banks_are_striped),
		cmocka_unit_test(random_programs),
		cmocka_unit_test(linear_can_win),
		cmocka_unit_test(windows_begin_where_others_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
