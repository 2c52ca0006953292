// SPDX-License-Identifier: LGPL-2.1-or-later
/* Cells: the levels that they have, once programmed. */
#include <string.h>

#include "analog_noise.h"
#include "analog_prepare.h"
#include "philox.h"

/* What differs from cell to cell. */
struct draws {
	uint32_t stuck;
	int32_t error, error_prop;	/* normal, see mx_normal() */
	int32_t drift;
	uint32_t rtn, trapped;
	double log_age;			/* 0: nothing drifts */
};

/* Of a cell that is not stuck, at its age. */
static int32_t aged(const struct mx_analog *a, int32_t g, const struct draws *draws)
{
	const struct mx_analog_keys *keys = &a->keys;
	double nu, now = g;

	if (!g)
		return 0;
	if (draws->log_age > 0) {
		nu = keys->drift_nu + keys->drift_nu_sigma * draws->drift / MX_NORMAL_ONE;
		/* Conductances do not grow. */
		if (nu > 0)
			now = now * mx_exp_minus(nu * draws->log_age);
	}
	if (draws->rtn < keys->rtn_share * 4294967296.0 && draws->trapped >> 31)
		now = now * (1 - keys->rtn_amplitude);
	return (int32_t)(now + 0.5);
}

/* Conductance of a cell that shall have a level, in parts of a count. */
static int32_t conductance(const struct mx_analog *a, int32_t level, const struct draws *draws)
{
	const struct mx_analog_keys *keys = &a->keys;
	/* Rates in 1/2^32; both are exact, because a double has 53 bits. */
	double at_0 = keys->stuck_at_0 * 4294967296.0, at_1 = keys->stuck_at_1 * 4294967296.0;
	int32_t highest = a->top * a->unit + a->pedestal, g = level * a->unit + a->pedestal;
	double error;

	if (draws->stuck < at_0)
		return a->pedestal;
	if (draws->stuck < at_0 + at_1)
		return highest;
	error = keys->program_sigma * (a->top * a->unit) * draws->error +
		keys->program_sigma_prop * g * draws->error_prop;
	error = error / MX_NORMAL_ONE;
	/* Where the error is beyond what a cell can be, so is the cell; rounds half up. */
	if (error > 2 * highest)
		error = 2 * highest;
	if (error < -2 * highest)
		error = -2 * highest;
	g += (int32_t)(error + 2 * highest + 0.5) - 2 * highest;
	return aged(a, g < 0 ? 0 : g > 2 * highest ? 2 * highest : g, draws);
}

/* @at: of the weight in its panels */
static int32_t effective_level(const struct mx_analog *a, const struct mx_analog_weights *weights,
			       size_t at, uint32_t slice, double log_age)
{
	uint64_t place = weights->place + at;
	int w = weights->panels[at];
	uint32_t counter[4] = { place, place >> 32, MX_PHILOX_CELL_STUCK, slice };
	int32_t level = mx_analog_level(a, w, slice);
	uint32_t stuck[4] = { 0 }, error[4] = { 0 }, drift[4], state[4];
	struct draws first, second;

	if (a->keys.stuck_at_0 > 0 || a->keys.stuck_at_1 > 0)
		mx_philox(a->seed, counter, stuck);
	first = (struct draws){ .stuck = stuck[0], .log_age = log_age };
	second = (struct draws){ .stuck = stuck[1], .log_age = log_age };
	if (a->keys.drift_nu_sigma > 0 || a->keys.rtn_share > 0) {
		counter[2] = MX_PHILOX_CELL_DRIFT;
		mx_philox(a->seed, counter, drift);
		first.drift = mx_normal(drift[0]);
		second.drift = mx_normal(drift[1]);
		first.rtn = drift[2];
		second.rtn = drift[3];
	}
	/* What each programming draws anew; places have less than 40 bits. */
	counter[1] |= weights->epoch << 8;
	if (a->keys.program_sigma > 0 || a->keys.program_sigma_prop > 0) {
		counter[2] = MX_PHILOX_CELL_PROGRAM;
		mx_philox(a->seed, counter, error);
		first.error = mx_normal(error[0]);
		first.error_prop = mx_normal(error[1]);
		second.error = mx_normal(error[2]);
		second.error_prop = mx_normal(error[3]);
	}
	if (a->keys.rtn_share > 0) {
		counter[2] = slice << 8 | MX_PHILOX_CELL_RTN;
		counter[3] = weights->age;
		mx_philox(a->seed, counter, state);
		first.trapped = state[0];
		second.trapped = state[1];
	}
	if (a->keys.mapping == MX_OFFSET)
		return conductance(a, level, &first);
	return conductance(a, level > 0 ? level : 0, &first) -
	       conductance(a, level < 0 ? -level : 0, &second);
}

void mx_analog_cells(const struct mx_analog *analog, const struct mx_analog_weights *weights,
		     size_t panel, size_t first, size_t rows, uint32_t slice, int16_t *level)
{
	double log_age = 0;
	size_t r, c, at;
	int16_t *to;

	if (weights->age > 1 && (analog->keys.drift_nu > 0 || analog->keys.drift_nu_sigma > 0))
		log_age = mx_logarithm(weights->age);
	memset(level, 0, (rows + 3) / 4 * 4 * COLS * sizeof(*level));
	for (r = 0; r < rows; r++) {
		for (c = 0; c < COLS; c++) {
			at = MXACCEL_PANEL_OFFSET(panel * COLS + c, first + r, weights->k);
			to = &level[(r / 2 * COLS + c) * 2 + r % 2];
			if (analog->effects)
				*to = effective_level(analog, weights, at, slice, log_age);
			else
				*to = mx_analog_level(analog, weights->panels[at], slice);
		}
	}
}
