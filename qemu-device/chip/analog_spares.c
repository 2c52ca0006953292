// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spare columns: those of an array that stuck cells hurt most are replaced.
 *
 * The harm of a column is the sum over its rows of how far stuck cells are from the
 * levels that they should have. The column that is hurt most gets the spare column that
 * would be hurt least by the same weights, if that is less; then the next one. Spare
 * columns have cells of their own, stuck ones among them.
 */
#include <string.h>

#include "analog_array.h"
#include "philox.h"

enum stuck {
	STUCK_NOT,
	STUCK_AT_0,
	STUCK_AT_1,
};

static enum stuck state_of(const struct mx_analog *a, uint32_t bits)
{
	double at_0 = a->keys.stuck_at_0 * 4294967296.0, at_1 = a->keys.stuck_at_1 * 4294967296.0;

	return bits < at_0 ? STUCK_AT_0 : bits < at_0 + at_1 ? STUCK_AT_1 : STUCK_NOT;
}

/* Of a cell and column of the array, spare ones behind the others. */
static uint8_t draw_state(const struct mx_array *array, size_t row, size_t at)
{
	const struct mx_analog *a = array->prepared->a;
	size_t spare = at < a->array_cols ? 0 : at + 1 - a->array_cols;
	uint64_t place = mx_array_place(array, row, spare ? 0 : at);
	uint32_t counter[4] = {
		place, place >> 32, MX_PHILOX_CELL_STUCK,
		mx_which_cell(array->slice, array->copy, spare),
	};
	uint32_t bits[4];

	mx_philox(a->seed, counter, bits);
	return state_of(a, bits[0]) | state_of(a, bits[1]) << 2;
}

static int32_t held(const struct mx_analog *a, uint8_t state, int32_t level)
{
	return state == STUCK_AT_0 ? 0 : state == STUCK_AT_1 ? a->top : level;
}

/* Of the weights of output @col in column @at of the array, in counts. */
static uint64_t harm(const struct mx_array *array, size_t col, size_t at)
{
	const struct mx_analog *a = array->prepared->a;
	uint64_t sum = 0;
	size_t row;

	for (row = 0; row < array->rows; row++) {
		uint8_t state = array->state[row * array->width + at];
		int32_t level, now;

		if (!state)
			continue;
		level = mx_analog_level(a, mx_array_weight(array, row, col), array->slice);
		now = held(a, state & 3, level > 0 ? level : 0);
		if (a->keys.mapping == MX_DIFFERENTIAL)
			now -= held(a, state >> 2, level < 0 ? -level : 0);
		sum += now > level ? now - level : level - now;
	}
	return sum;
}

static void draw_states(struct mx_array *array)
{
	const struct mx_analog *a = array->prepared->a;
	size_t end = a->array_cols + a->keys.spare_cols, row, at;

	for (row = 0; row < array->rows; row++)
		for (at = 0; at < end; at++)
			if (at < array->cols || at >= a->array_cols)
				array->state[row * array->width + at] = draw_state(array, row, at);
}

/* The output that is hurt most and has not been looked at, the first of them; @cols: none. */
static size_t worst(const struct mx_array *array, const uint64_t *of)
{
	size_t col, found = array->cols;

	for (col = 0; col < array->cols; col++)
		if (of[col] && (found == array->cols || of[col] > of[found]))
			found = col;
	return found;
}

void mx_array_spares(struct mx_array *array)
{
	const struct mx_analog *a = array->prepared->a;
	uint8_t used[MX_MAX_SPARE_COLS] = { 0 };
	uint64_t of[MX_MAX_ARRAY_COLS], least, hurt;
	uint32_t left = a->keys.spare_cols, spare, best;
	size_t col;

	if (a->keys.stuck_at_0 <= 0 && a->keys.stuck_at_1 <= 0)
		return;
	draw_states(array);
	for (col = 0; col < array->cols; col++)
		of[col] = harm(array, col, col);
	while (left && (col = worst(array, of)) < array->cols) {
		least = of[col];
		best = a->keys.spare_cols;
		for (spare = 0; spare < a->keys.spare_cols; spare++) {
			if (used[spare])
				continue;
			hurt = harm(array, col, a->array_cols + spare);
			if (hurt < least) {
				least = hurt;
				best = spare;
			}
		}
		of[col] = 0;
		if (best == a->keys.spare_cols)
			continue;
		used[best] = 1;
		array->at[col] = a->array_cols + best;
		left--;
	}
}
