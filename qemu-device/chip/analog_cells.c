// SPDX-License-Identifier: LGPL-2.1-or-later
/* Cells: levels as programmed. */
#include <string.h>

#include "analog_kernel.h"

void mx_analog_cells(const struct mx_analog *analog, const struct mx_analog_product *product,
		     size_t panel, size_t first, size_t rows, uint32_t slice, int16_t *level)
{
	size_t r, c, k;

	memset(level, 0, (rows + 3) / 4 * 4 * COLS * sizeof(*level));
	for (r = 0; r < rows; r++) {
		for (c = 0; c < COLS; c++) {
			k = first + r;
			level[(r / 2 * COLS + c) * 2 + r % 2] = mx_analog_level(analog,
				product->panels[MXACCEL_PANEL_OFFSET(panel * COLS + c, k,
								     product->k)], slice);
		}
	}
}
