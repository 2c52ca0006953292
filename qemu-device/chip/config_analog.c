// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chip files: what contradicts itself in [analog]. */
#include <inttypes.h>
#include <stdio.h>

#include "config_parser.h"

/* Where the range of the ADC, in codes and counts, contradicts what the array can deliver. */
static void check_adc_steps(struct mx_parser *p)
{
	struct mx_analog_keys *a = &p->config->analog;
	uint32_t slices = mx_chip_slices(p->config), i;
	uint64_t active = a->rows_active ? a->rows_active : p->config->large_rows;
	uint64_t digit = p->config->dac_bits == 1 ? 1 : (1 << p->config->dac_bits) - 1;
	uint64_t largest = active * digit * ((1u << p->config->cell_bits) - 1);
	bool calibrated = a->adc_range == MX_ADC_CALIBRATED;
	unsigned int line;
	char name[16];

	if (calibrated && line_of(p, "analog", "adc_step"))
		fail(p, line_of(p, "analog", "adc_step"),
		     "adc_step is for adc_range = fixed; calibrated has adc_step_0 to adc_step_%" PRIu32,
		     slices - 1);
	for (i = 0; i < MX_MAX_SLICES; i++) {
		snprintf(name, sizeof(name), "adc_step_%" PRIu32, i);
		line = line_of(p, "analog", name);
		if (line && !calibrated)
			fail(p, line, "%s is for adc_range = calibrated; fixed has adc_step", name);
		else if (line && i >= slices)
			fail(p, line, "%s: a weight has %" PRIu32 " slices of %" PRIu32 " bits",
			     name, slices, p->config->cell_bits);
		else if (calibrated && i < slices && !a->adc_steps[i] && (line || a->adc_steps[0]))
			fail(p, line ? line : line_of(p, "analog", "adc_range"),
			     "adc_range = calibrated: %s must be 1 at least, or no slice has a step and images have them",
			     name);
		if (!calibrated && i < slices)
			a->adc_steps[i] = a->adc_step;
		if (a->adc_steps[i] > largest)
			fail(p, calibrated ? line : line_of(p, "analog", "adc_step"),
			     "a step of %" PRIu32 " counts is more than the largest sum, %" PRIu64
			     " counts", a->adc_steps[i], largest);
	}
	if (calibrated)
		a->adc_step = 0;
}

/* Effects and remedies that take whole arrays. */
static void check_arrays_effects(struct mx_parser *p)
{
	const struct mx_chip_config *c = p->config;
	const struct mx_analog_keys *a = &c->analog;
	uint32_t slices = mx_chip_slices(c);
	const char *name = a->wire_ohm > 0 ? "wire_ohm" : a->spare_cols ? "spare_cols" :
			   a->correction == MX_CORRECT_ARRAY ? "correction" :
			   a->drift_compensation ? "drift_compensation" : NULL;

	if (name && c->large_cols % MXACCEL_PANEL_COLS)
		fail(p, line_of(p, "large", "cols"),
		     "cols = %" PRIu32 ": %s takes arrays of a multiple of %d columns",
		     c->large_cols, name, MXACCEL_PANEL_COLS);
	if (a->wire_ohm > 0 && a->cell_ohm <= 0)
		fail(p, line_of(p, "analog", "wire_ohm"),
		     "wire_ohm = %g needs cell_ohm, the resistance of a cell at its highest level",
		     a->wire_ohm);
	if (a->wire_ohm > 0 && a->cell_ohm < a->wire_ohm)
		fail(p, line_of(p, "analog", "cell_ohm"),
		     "cell_ohm = %g is less than wire_ohm = %g: nothing but the nearest cells would be read",
		     a->cell_ohm, a->wire_ohm);
	if (a->spare_cols > c->large_cols)
		fail(p, line_of(p, "analog", "spare_cols"),
		     "spare_cols = %" PRIu32 " are more than the %" PRIu32 " columns of an array",
		     a->spare_cols, c->large_cols);
	if (a->redundant_slices > slices)
		fail(p, line_of(p, "analog", "redundant_slices"),
		     "redundant_slices = %" PRIu32 ": a weight has %" PRIu32 " slices of %" PRIu32 " bits",
		     a->redundant_slices, slices, c->cell_bits);
	if ((a->redundant_slices > 0) != (a->redundant_copies > 1))
		fail(p, line_of(p, "analog", a->redundant_slices ? "redundant_slices" :
							       "redundant_copies"),
		     "redundant_slices = %" PRIu32 " and redundant_copies = %" PRIu32
		     ": redundancy takes a slice and two copies at least",
		     a->redundant_slices, a->redundant_copies);
}

/* Effects of cells, of any organisation. */
void mx_config_check_cells(struct mx_parser *p)
{
	const struct mx_analog_keys *a = &p->config->analog;

	if (a->on_off_ratio != 0 && a->on_off_ratio < 2)
		fail(p, line_of(p, "analog", "on_off_ratio"),
		     "on_off_ratio = %g: must be 2 at least, or 0 for infinite",
		     a->on_off_ratio);
	if (a->stuck_at_0 + a->stuck_at_1 > 1)
		fail(p, line_of(p, "analog", "stuck_at_1"),
		     "stuck_at_0 = %g and stuck_at_1 = %g are more than all cells together",
		     a->stuck_at_0, a->stuck_at_1);
	if ((a->rtn_share > 0) != (a->rtn_amplitude > 0))
		fail(p, line_of(p, "analog", a->rtn_share > 0 ? "rtn_share" : "rtn_amplitude"),
		     "rtn_share = %g and rtn_amplitude = %g: one without the other has no effect",
		     a->rtn_share, a->rtn_amplitude);
	if ((a->small_rtn_share > 0) != (a->small_rtn_amplitude > 0))
		fail(p, line_of(p, "analog", a->small_rtn_share > 0 ? "small_rtn_share" :
							      "small_rtn_amplitude"),
		     "small_rtn_share = %g and small_rtn_amplitude = %g: one without the other has no effect",
		     a->small_rtn_share, a->small_rtn_amplitude);
}

void mx_config_check_analog(struct mx_parser *p)
{
	const struct mx_chip_config *c = p->config;
	const struct mx_analog_keys *a = &c->analog;
	uint64_t active;

	if (a->rows_active > c->large_rows || (a->rows_active && c->large_rows % a->rows_active))
		fail(p, line_of(p, "analog", "rows_active"),
		     "rows_active = %" PRIu32 ": must divide the %" PRIu32 " rows of an array, or be 0 for all",
		     a->rows_active, c->large_rows);
	if (c->large_adc_bits < 2 && a->mapping == MX_DIFFERENTIAL)
		fail(p, line_of(p, "large", "adc_bits"),
		     "adc_bits = %" PRIu32 ": a differential sum has a sign, which takes 2 bits at least",
		     c->large_adc_bits);
	mx_config_check_cells(p);
	check_arrays_effects(p);
	check_adc_steps(p);
	/* Cells reach four times the highest level, in 1/32 of a count: see analog_cells.c. */
	active = a->rows_active ? a->rows_active : c->large_rows;
	if (active << (c->cell_bits + c->dac_bits) > 1 << 23)
		fail(p, line_of(p, "large", "rows"),
		     "sums of %" PRIu64 " rows with cells of %" PRIu32 " bits and inputs of %" PRIu32
		     " bits at once are too large to simulate", active, c->cell_bits, c->dac_bits);
}
