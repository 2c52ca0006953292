// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What of an analog product depends on the weights alone.
 *
 * Of a column slice whose levels are such that no input can saturate its ADC,
 * nor be rounded by it, the conversions change nothing: all such slices of a
 * panel are one INT8 product. The others are converted one by one. Cells with
 * effects can lose something, all of them; they are drawn here, once.
 */
#include <stdlib.h>
#include <string.h>

#include "analog_prepare.h"
#include "pool.h"

/* ----------------------------------------------------------------- proof */

void mx_analog_levels(const struct mx_analog *analog, const int8_t *w, size_t rows,
		      uint32_t slice, int8_t *level)
{
	uint8_t shift = slice * analog->cell_bits, top = analog->top;
	uint8_t most = mx_analog_weight_fits(analog, -128) ? 128 : 127;
	size_t r;

	if (analog->keys.mapping == MX_OFFSET) {
		for (r = 0; r < rows; r++)
			level[r] = (uint8_t)((uint8_t)w[r] ^ 0x80) >> shift & top;
		return;
	}
	for (r = 0; r < rows; r++) {
		uint8_t magnitude = w[r] < 0 ? -w[r] : w[r], digit;

		digit = (magnitude > most ? most : magnitude) >> shift & top;
		level[r] = w[r] < 0 ? -digit : digit;
	}
}

/* Whether no input can take a sum of levels out of the range of any step. */
static bool lossless(const struct mx_analog *a, int32_t positive, int32_t negative)
{
	int32_t largest = (1 << a->dac_bits) - 1;
	uint32_t step;

	for (step = 0; step < a->steps; step++) {
		int32_t high = positive * largest, low = negative * largest;

		if (a->step_signed[step]) {
			high -= low;
			low = -high;
		}
		if (high > a->high[step] || low < a->low[step])
			return false;
	}
	return true;
}

/* Sums of the positive and of the negative levels of a column slice of one group. */
struct reach {
	int32_t positive, negative;
};

static struct reach reach_of(const struct mx_analog *a, const int8_t *level, size_t rows)
{
	struct reach reach = { 0, 0 };
	size_t r;

	if (a->keys.mapping == MX_OFFSET) {
		for (r = 0; r < rows; r++)
			reach.positive += (uint8_t)level[r];
	} else {
		for (r = 0; r < rows; r++) {
			reach.positive += level[r] > 0 ? level[r] : 0;
			reach.negative += level[r] < 0 ? level[r] : 0;
		}
	}
	return reach;
}

/* See mx_panel.bytes. */
static bool fits_bytes(const struct mx_analog *a, struct reach first, struct reach second)
{
	int32_t high = a->keys.mapping == MX_OFFSET ? 255 : 127, low = high - 255;

	return first.positive <= high && second.positive <= high &&
	       first.negative >= low && second.negative >= low &&
	       (a->high[0] <= high || (first.positive + second.positive <= high &&
				       first.negative + second.negative >= low));
}

/* Adds a slice of one column, from the group's first row @first on, to the weights at @easy. */
static void add_easy(const struct mx_analog *a, const int8_t *level, size_t first, size_t rows,
		     uint32_t slice, int8_t *easy)
{
	size_t r;

	for (r = first; r < first + rows; r++)
		easy[r / 4 * 4 * COLS + r % 4] += level[r - first] *
						  (1 << (a->cell_bits * slice));
}

/* Fills hard, bytes and easy of a panel; @column: a column's weights and levels, 2 * k bytes */
static void prove(struct mx_analog_prepared *prepared, size_t nr, int8_t *column, int8_t *easy)
{
	const struct mx_analog *a = prepared->a;
	const int8_t *panel = mx_analog_panel(prepared, nr);
	struct mx_panel *to = &prepared->panel[nr];
	uint16_t columns = mx_analog_columns(prepared, nr);
	size_t k = prepared->w.k, bytes = mx_analog_pad(k, 4) * COLS, group, c, r, first, rows;
	struct reach reach[2];
	int8_t *level = column + k;
	size_t half;
	bool any = false, same = true;
	uint32_t slice;

	memset(easy, 0, bytes);
	for (c = 0; c < COLS && columns >> c; c++) {
		for (r = 0; r < k; r++) {
			column[r] = panel[(r / 4 * COLS + c) * 4 + r % 4];
			to->sum[c] += column[r];
			if (!mx_analog_weight_fits(a, column[r]))
				same = false;
		}
		for (group = 0; group < prepared->groups; group++) {
			first = group * a->active;
			rows = mx_analog_rows(prepared, group);
			for (slice = 0; slice < a->slices; slice++) {
				if (!a->effects && prepared->lsb[slice] == 1 && k <= MAX_FAST_K) {
					mx_analog_levels(a, column + first, rows, slice, level);
					half = mx_lut_half(mx_lut_tables(rows)) * LUT_ROWS;
					half = half < rows ? half : rows;
					reach[0] = reach_of(a, level, half);
					reach[1] = reach_of(a, level + half, rows - half);
					if (fits_bytes(a, reach[0], reach[1]))
						to->bytes[group][slice] |= 1u << c;
					if (lossless(a, reach[0].positive + reach[1].positive,
						     reach[0].negative + reach[1].negative)) {
						add_easy(a, level, first, rows, slice,
							 easy + 4 * c);
						any = true;
						continue;
					}
				}
				to->hard[group][slice] |= 1u << c;
				to->some_hard = true;
			}
		}
	}
	if (!any)
		return;
	to->easy = panel;
	if (to->some_hard || !same) {
		/* Levels of offset weights are w + 128, which no signed byte holds. */
		for (r = 0; a->keys.mapping == MX_OFFSET && r < bytes; r++)
			easy[r] ^= 0x80;
		to->own_easy = aligned_alloc(64, mx_analog_pad(bytes, 64));
		if (!to->own_easy) {
			atomic_store(&prepared->no_memory, true);
			return;
		}
		to->easy = memcpy(to->own_easy, easy, bytes);
	}
	for (r = 0; r < k; r++)
		for (c = 0; c < COLS; c++)
			to->easy_sum[c] += to->easy[(r / 4 * COLS + c) * 4 + r % 4];
}

/* ----------------------------------------------------------------- cells */

bool mx_analog_narrow(const int16_t *level, size_t rows, int8_t *bytes)
{
	size_t r, c;

	for (r = 0; r < mx_analog_pad(rows, 4); r++) {
		for (c = 0; c < COLS; c++) {
			int16_t one = level[(r / 2 * COLS + c) * 2 + r % 2];

			if (one > 127 || one < -128)
				return false;
			bytes[(r / 4 * COLS + c) * 4 + r % 4] = one;
		}
	}
	return true;
}

/* --------------------------------------------------------------- the whole */

static void prepare_panel(void *arg, uint64_t nr)
{
	struct mx_analog_prepared *prepared = arg;
	struct mx_panel *panel = &prepared->panel[nr];
	size_t k = prepared->w.k;
	int8_t *scratch = malloc(2 * k + mx_analog_pad(k, 4) * COLS);

	panel->hard = calloc(prepared->groups, sizeof(*panel->hard));
	panel->bytes = calloc(prepared->groups, sizeof(*panel->bytes));
	if (prepared->a->effects)
		panel->cells = calloc(prepared->groups, sizeof(*panel->cells));
	if (mx_analog_corrects(prepared->a))
		panel->correction = calloc(prepared->groups, sizeof(*panel->correction));
	if (!scratch || !panel->hard || !panel->bytes ||
	    (prepared->a->effects && !panel->cells) ||
	    (mx_analog_corrects(prepared->a) && !panel->correction)) {
		atomic_store(&prepared->no_memory, true);
		free(scratch);
		return;
	}
	prove(prepared, nr, scratch, scratch + 2 * k);
	free(scratch);
}

struct mx_analog_prepared *mx_analog_prepare(const struct mx_analog *analog,
					     const struct mx_analog_weights *weights,
					     struct mx_pool *pool)
{
	size_t nr_panels = (weights->n + COLS - 1) / COLS;
	struct mx_analog_prepared *prepared;
	uint32_t i;

	prepared = calloc(1, sizeof(*prepared) + nr_panels * sizeof(*prepared->panel));
	if (!prepared)
		return NULL;
	prepared->a = analog;
	prepared->w = *weights;
	for (i = 0; i < analog->slices; i++)
		prepared->lsb[i] = weights->steps ? weights->steps[i] : analog->keys.adc_steps[i];
	prepared->groups = mx_analog_groups(analog, weights->k);
	prepared->nr_panels = nr_panels;
	mx_pool_for(pool, nr_panels, prepare_panel, prepared);
	if (atomic_load(&prepared->no_memory) ||
	    (analog->effects && !mx_analog_arrays(prepared, pool))) {
		mx_analog_prepared_free(prepared);
		return NULL;
	}
	return prepared;
}

const int8_t *mx_analog_prepared_panels(const struct mx_analog_prepared *prepared)
{
	return prepared->w.panels;
}

void mx_analog_prepared_own(struct mx_analog_prepared *prepared, int8_t *panels)
{
	prepared->own_panels = panels;
}

bool mx_analog_prepared_fits(const struct mx_analog_prepared *prepared,
			     const struct mx_analog_weights *weights)
{
	const struct mx_analog_keys *keys = &prepared->a->keys;
	bool ages = keys->drift_nu > 0 || keys->drift_nu_sigma > 0 || keys->rtn_share > 0 ||
		    prepared->own_panels;

	return prepared->w.epoch == weights->epoch && (!ages || prepared->w.age == weights->age);
}

void mx_analog_prepared_free(struct mx_analog_prepared *prepared)
{
	size_t i, group;
	uint32_t slice;

	for (i = 0; prepared && i < prepared->nr_panels; i++) {
		struct mx_panel *panel = &prepared->panel[i];

		for (group = 0; panel->cells && group < prepared->groups; group++) {
			for (slice = 0; slice < MX_MAX_SLICES; slice++) {
				free(panel->cells[group][slice].narrow);
				free(panel->cells[group][slice].wide);
			}
		}
		free(panel->cells);
		free(panel->correction);
		free(panel->own_easy);
		free(panel->hard);
		free(panel->bytes);
	}
	if (prepared)
		free(prepared->own_panels);
	free(prepared);
}

bool mx_analog_lossless(const struct mx_analog_prepared *prepared)
{
	size_t i;

	for (i = 0; i < prepared->nr_panels; i++)
		if (prepared->panel[i].some_hard || prepared->panel[i].own_easy)
			return false;
	return true;
}

static void widen(struct mx_analog_report *report, const struct mx_correction *one)
{
	if (!report->corrected)
		report->least = report->most = *one;
	report->corrected = true;
	if (one->gain < report->least.gain)
		report->least.gain = one->gain;
	if (one->gain > report->most.gain)
		report->most.gain = one->gain;
	if (one->offset < report->least.offset)
		report->least.offset = one->offset;
	if (one->offset > report->most.offset)
		report->most.offset = one->offset;
}

void mx_analog_report(const struct mx_analog_prepared *prepared, struct mx_analog_report *report)
{
	size_t panel, group;
	uint32_t slice;

	*report = (struct mx_analog_report){
		.stuck = atomic_load(&prepared->stuck), .spares = atomic_load(&prepared->spares),
	};
	if (!mx_analog_corrects(prepared->a))
		return;
	for (panel = 0; panel < prepared->nr_panels; panel++)
		for (group = 0; group < prepared->groups; group++)
			for (slice = 0; slice < prepared->a->slices; slice++)
				widen(report, &prepared->panel[panel].correction[group][slice]);
}
