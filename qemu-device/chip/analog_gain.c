// SPDX-License-Identifier: LGPL-2.1-or-later
/* Codes corrected array by array: each group and slice is converted by itself, then scaled. */
#include <string.h>

#include "analog_piece.h"

/* Sums of codes, which one group and slice shall have to themselves. */
static void clear(struct piece *piece)
{
	memset(piece->fast, 0, COLS * sizeof(*piece->fast));
	memset(piece->tokens, 0, PIECE * sizeof(*piece->tokens));
	memset(piece->acc, 0, COLS * sizeof(*piece->acc));
}

/* Sum of a row's inputs in a group. */
static int64_t sum_of(const struct work *work, size_t row, size_t group)
{
	const uint8_t *x = work->p->x + row * work->p->x_stride + group * work->a->active;
	size_t rows = mx_analog_rows(work->prepared, group), r;
	bool is_signed = work->a->keys.input != MX_UNSIGNED;
	int32_t sum = 0;

	for (r = 0; r < rows; r++)
		sum += is_signed ? (int8_t)x[r] : x[r];
	return sum;
}

/* Adds what is left of the sums, in 1 / MX_CORRECTION_ONE. */
static void add(struct piece *piece, const struct mx_correction *correction, const int64_t *sum,
		uint32_t shift)
{
	size_t t, c;

	for (t = 0; t < piece->rows; t++) {
		int64_t off = correction->offset * (sum[t] * (1 << shift));

		for (c = 0; c < COLS; c++) {
			int64_t codes = piece->acc[c][t] + piece->fast[c][t];

			if (t >= piece->by_token)
				codes += piece->tokens[t][c];
			piece->out[t][c] += correction->gain * codes - off;
		}
	}
}

void mx_analog_convert_corrected(struct work *work, struct piece *piece, uint16_t columns)
{
	const struct mx_panel *panel = &work->prepared->panel[piece->panel];
	int64_t sum[PIECE];
	size_t group, t, c;
	uint32_t slice;

	memset(piece->out, 0, piece->rows * sizeof(*piece->out));
	for (group = 0; group < work->prepared->groups; group++) {
		for (t = 0; t < piece->rows; t++)
			sum[t] = sum_of(work, piece->row + t, group);
		for (slice = 0; slice < work->a->slices; slice++) {
			uint16_t of[MX_MAX_SLICES] = { 0 };

			of[slice] = columns;
			clear(piece);
			mx_analog_convert(work, piece, group, of);
			add(piece, &panel->correction[group][slice], sum,
			    work->a->cell_bits * slice);
		}
	}
	clear(piece);
	/* Rounded half up; shifts of negative numbers round down with every compiler here. */
	for (t = 0; t < piece->rows; t++)
		for (c = 0; c < COLS; c++)
			piece->acc[c][t] = (piece->out[t][c] + MX_CORRECTION_ONE / 2) >> 12;
}
