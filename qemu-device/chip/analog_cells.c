// SPDX-License-Identifier: LGPL-2.1-or-later
/* Cells without effects: the levels that they shall have. */
#include <string.h>

#include "analog_prepare.h"

void mx_analog_cells(const struct mx_analog *analog, const struct mx_analog_weights *weights,
		     size_t panel, size_t first, size_t rows, uint32_t slice, int16_t *level)
{
	size_t r, c, at;

	memset(level, 0, (rows + 3) / 4 * 4 * COLS * sizeof(*level));
	for (r = 0; r < rows; r++) {
		for (c = 0; c < COLS; c++) {
			at = MXACCEL_PANEL_OFFSET(panel * COLS + c, first + r, weights->k);
			level[(r / 2 * COLS + c) * 2 + r % 2] =
				mx_analog_level(analog, weights->panels[at], slice);
		}
	}
}
