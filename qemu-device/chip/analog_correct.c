// SPDX-License-Identifier: LGPL-2.1-or-later
/* Digital correction of an array: gain and offset that its cells have on average. */
#include "analog_array.h"

/* Beyond these nothing sensible is left that could be scaled. */
#define MOST_GAIN 64.0

/* In 1 / MX_CORRECTION_ONE, rounded half up. */
static int32_t fixed(double value)
{
	double scaled = value * MX_CORRECTION_ONE;
	const double most = 1 << 30;

	scaled = scaled > most ? most : scaled < -most ? -most : scaled;
	/* What is truncated is positive. */
	return (int64_t)(scaled + (0x1p31 + 0.5)) - (1ll << 31);
}

static bool is_gain(double gain)
{
	return gain >= 1 / MOST_GAIN && gain <= MOST_GAIN;
}

/* Effective level ~ gain * level + offset, least squares over the cells in use. */
static void fit(const struct mx_array *array, const int16_t *fresh, double *gain, double *offset)
{
	const struct mx_analog *a = array->prepared->a;
	int64_t sum_l = 0, sum_e = 0, sum_ll = 0, sum_le = 0;
	double cells = (double)array->rows * array->cols, spread;
	size_t r, c;

	for (r = 0; r < array->rows; r++) {
		for (c = 0; c < array->cols; c++) {
			int64_t l = mx_analog_level(a, mx_array_weight(array, r, c), array->slice);
			int64_t e = fresh[r * array->stride + c];

			sum_l += l;
			sum_e += e;
			sum_ll += l * l;
			sum_le += l * e;
		}
	}
	spread = cells * sum_ll - (double)sum_l * sum_l;
	*gain = 1;
	if (spread > 0)
		*gain = (cells * sum_le - (double)sum_l * sum_e) / (spread * a->unit);
	if (!is_gain(*gain))
		*gain = 1;
	*offset = ((double)sum_e / a->unit - *gain * sum_l) / cells;
}

/* What is left of the conductances of an array at its age. */
static double left_of(const struct mx_array *array, const int16_t *fresh)
{
	int64_t both = 0, squares = 0;
	double left = 1;
	size_t r, c;

	for (r = 0; r < array->rows; r++) {
		for (c = 0; c < array->cols; c++) {
			int64_t then = fresh[r * array->stride + c];

			both += array->level[r * array->stride + c] * then;
			squares += then * then;
		}
	}
	if (squares > 0)
		left = (double)both / squares;
	return is_gain(left) ? left : 1;
}

struct mx_correction mx_array_fit(const struct mx_array *array, const int16_t *fresh)
{
	const struct mx_analog *a = array->prepared->a;
	double pedestal = a->keys.mapping == MX_OFFSET ? (double)a->pedestal / a->unit : 0;
	double gain = 1, offset = pedestal;

	if (a->keys.correction == MX_CORRECT_ARRAY)
		fit(array, fresh, &gain, &offset);
	if (a->keys.drift_compensation) {
		double left = left_of(array, fresh);

		gain = gain * left;
		offset = offset * left;
	}
	/* (S - offset * D) / gain; the pedestal is taken off as without correction. */
	return (struct mx_correction){ fixed(1 / gain), fixed(offset / gain - pedestal) };
}
