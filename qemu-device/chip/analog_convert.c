// SPDX-License-Identifier: LGPL-2.1-or-later
/* Conversions of one group of rows: sums, codes, shift-and-add. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analog_noise.h"
#include "analog_piece.h"
#include "profile.h"

/* Where the conversions of a column are recorded; NULL if they are not. */
static int32_t *record(const struct work *work, int32_t *array, size_t group, uint32_t slice,
		       uint32_t step, size_t n)
{
	size_t at = ((group * work->a->slices + slice) * work->a->steps + step) * work->prepared->w.n + n;

	return array ? array + at * work->p->rows : NULL;
}

struct tile {
	size_t group;
	uint32_t slice, step;
	uint16_t columns;
	size_t row;		/* of the piece */
	size_t rows;
};

static void convert_tile(struct work *work, struct piece *piece, const struct tile *tile)
{
	const struct mx_analog *a = work->a;
	struct mx_converter converter = {
		.divisor = a->unit * work->prepared->lsb[tile->slice],
		.half_even = a->keys.adc_tie == MX_HALF_EVEN,
		.low = a->low[tile->step], .high = a->high[tile->step],
		.weight = ((int64_t)a->step_weight[tile->step] * work->prepared->lsb[tile->slice]) *
			  (1 << (a->cell_bits * tile->slice)),
	};
	int32_t code[TILE];
	size_t c;

	for (c = 0; c < COLS; c++) {
		size_t n = piece->panel * COLS + c, row = piece->row + tile->row;
		int32_t *sums, *codes;

		if (!(tile->columns >> c & 1))
			continue;
		piece->saturated += work->kernel->convert(&converter, piece->sums[c], code,
							  piece->acc[c] + tile->row);
		sums = record(work, work->p->sums, tile->group, tile->slice, tile->step, n);
		codes = record(work, work->p->codes, tile->group, tile->slice, tile->step, n);
		if (sums)
			memcpy(sums + row, piece->sums[c], tile->rows * sizeof(*sums));
		if (codes)
			memcpy(codes + row, code, tile->rows * sizeof(*codes));
		if (piece->profile)
			mx_profile_add(piece->profile, tile->slice, tile->step, c, piece->sums[c],
				       tile->rows);
	}
}

/*
 * Digits of a block's tiles, of each step: if there are @words, 16-bit [r / 2][TILE][2];
 * behind their place as bytes [r / 4][TILE][4].
 */
void mx_analog_digits(struct work *work, size_t block, size_t group)
{
	const struct mx_analog *a = work->a;
	size_t first = group * a->active, rows = mx_analog_rows(work->prepared, group), row, r, t;
	size_t bytes_at = mx_analog_pad(a->active, 4) * TILE * 2, tokens;
	uint32_t step, mask = ((1 << a->dac_bits) - 1) * 0x01010101u;

	for (row = block * BLOCK; row < (block + 1) * BLOCK && row < work->p->rows; row += TILE) {
		const uint8_t *x = work->p->x + row * work->p->x_stride + first;

		tokens = work->p->rows - row < TILE ? work->p->rows - row : TILE;
		for (r = 0; r < rows; r += 4) {
			uint32_t four[TILE] = { 0 };

			for (t = 0; t < tokens; t++)
				memcpy(&four[t], x + t * work->p->x_stride + r,
				       rows - r < 4 ? rows - r : 4);
			for (step = 0; step < a->steps; step++) {
				uint32_t *to = (uint32_t *)(mx_analog_digits_at(work, row / TILE, group,
										step) + bytes_at);

				/* Signed digits are never taken as bytes. */
				for (t = 0; !a->step_signed[step] && t < TILE; t++)
					to[r / 4 * TILE + t] = four[t] >> (step * a->dac_bits) & mask;
			}
		}
		for (step = 0; work->words && step < a->steps; step++) {
			int16_t *words = (int16_t *)mx_analog_digits_at(work, row / TILE, group, step);

			for (t = 0; t < tokens; t++)
				for (r = 0; r < rows; r++)
					words[(r / 2 * TILE + t) * 2 + r % 2] = mx_analog_digit(
						a, x[t * work->p->x_stride + r], step);
		}
	}
}

/* Magnitude that a sum cannot exceed: cells with effects reach four times the highest level. */
static int64_t largest_sum(const struct mx_analog *a)
{
	return (int64_t)a->active * a->top * ((1 << a->dac_bits) - 1) * a->unit *
	       (a->effects ? 4 : 1);
}

void mx_analog_plan_tiles(struct work *work)
{
	const struct mx_analog *a = work->a;
	int64_t all = 0;
	uint32_t step, slice;

	work->words = atomic_load(&work->prepared->some_wide) || (!a->effects && a->top > 127);
	work->fused = !work->p->sums && !work->p->codes && !work->p->profile;
	for (step = 0; step < a->steps; step++) {
		if (a->step_signed[step]) {
			work->words = true;
			work->fused = false;
		}
		for (slice = 0; slice < a->slices; slice++) {
			int64_t divisor = a->unit * work->prepared->lsb[slice], code = largest_sum(a) / divisor + 1;
			int64_t weight = llabs(a->step_weight[step]) * (int64_t)work->prepared->lsb[slice] <<
					 (a->cell_bits * slice);

			if ((divisor & (divisor - 1)) || weight > INT16_MAX ||
			    a->high[step] > INT16_MAX)
				work->fused = false;
			/* Noise knows no largest sum. */
			if (code > a->high[step] || a->keys.read_sigma > 0)
				code = a->high[step];
			all += weight * code;
		}
	}
	if (all * (int64_t)work->prepared->groups > INT32_MAX)
		work->fused = false;
}

/* Read noise of some tokens, from @row on. */
static void token_noises(const struct work *work, const struct piece *piece, const struct tile *of,
			 size_t row, size_t tokens, struct mx_token_noise *noise)
{
	const struct mx_analog *a = work->a;
	size_t at = (row / TILE * work->prepared->groups + of->group) * a->steps, t;
	uint32_t step;

	for (t = 0; t < tokens; t++) {
		noise[t] = (struct mx_token_noise){
			.seed = a->seed, .key = work->p->noise_key[row + t],
			.panel = piece->panel, .table = mx_normal_table(),
			.conversion = (of->group * a->slices + of->slice) * a->steps,
		};
		for (step = 0; step < a->steps; step++)
			noise[t].spread[step] = work->spread[(at + step) * TILE + t];
	}
}

/* All steps of a slice at once. */
static void convert_fused(struct work *work, struct piece *piece, const struct tile *of,
			  const int8_t *narrow, size_t rows)
{
	const struct mx_analog *a = work->a;
	struct mx_group_codes codes = {
		.level = narrow, .step_bytes = mx_analog_digits_bytes(a),
		.quads = (rows + 3) / 4, .columns = of->columns, .steps = a->steps,
		.half_even = a->keys.adc_tie == MX_HALF_EVEN,
	};
	struct mx_token_noise noise[TILE];
	size_t row, left;
	uint32_t i;

	while (a->unit * work->prepared->lsb[of->slice] >> (codes.shift + 1))
		codes.shift++;
	for (i = 0; i < a->steps; i++) {
		codes.low[i] = a->low[i];
		codes.high[i] = a->high[i];
		codes.weight[i] = a->step_weight[i] * work->prepared->lsb[of->slice] *
				  (1 << (a->cell_bits * of->slice));
	}
	for (row = 0; row < piece->rows; row += TILE) {
		codes.digit = mx_analog_digits_at(work, (piece->row + row) / TILE, of->group, 0) +
			      mx_analog_pad(a->active, 4) * TILE * 2;
		left = piece->rows - row < TILE ? piece->rows - row : TILE;
		if (work->spread) {
			token_noises(work, piece, of, piece->row + row, left, noise);
			codes.noise = noise;
		}
		if (row >= piece->by_token)
			piece->saturated += work->kernel->token_codes(&codes, left,
								      piece->tokens + row);
		else
			piece->saturated += work->kernel->tile_codes(
				&codes, (int32_t (*)[PIECE])(piece->fast[0] + row));
	}
}

/* The levels of a slice of a group, as bytes if they fit. */
static struct mx_cells levels_of(struct work *work, struct piece *piece, size_t group,
				 uint32_t slice)
{
	const struct mx_analog *a = work->a;
	const struct mx_panel *panel = &work->prepared->panel[piece->panel];
	size_t first = group * a->active, rows = mx_analog_rows(work->prepared, group);
	struct mx_cells cells = { NULL, piece->cells };

	if (panel->cells)
		return panel->cells[group][slice];
	if (first % 4 == 0 && a->top <= 127) {
		work->kernel->levels(a, mx_analog_panel(work->prepared, piece->panel) +
				     first * COLS, mx_analog_pad(rows, 4) * COLS, slice,
				     piece->narrow);
		cells.narrow = piece->narrow;
		if (!work->words)
			return cells;
	}
	mx_analog_cells(a, &work->prepared->w, piece->panel, first, rows, slice, piece->cells);
	if (!cells.narrow && mx_analog_narrow(piece->cells, rows, piece->narrow))
		cells.narrow = piece->narrow;
	return cells;
}

/*
 * Noise of the readings of a sum's cells, all at once: their variances add up, and what
 * they sum up to is normal if that of each is.
 */
void mx_analog_spread(struct work *work, size_t block)
{
	const struct mx_analog *a = work->a;
	double cell = a->keys.read_sigma * a->top * a->unit / MX_NORMAL_ONE;
	int pair = a->keys.mapping == MX_DIFFERENTIAL ? 2 : 1;
	size_t row, group, r, rows, at;
	uint32_t step;

	for (row = block * BLOCK; row < (block + 1) * BLOCK; row++) {
		for (group = 0; group < work->prepared->groups; group++) {
			const uint8_t *x = work->p->x + row * work->p->x_stride + group * a->active;

			rows = row < work->p->rows ? mx_analog_rows(work->prepared, group) : 0;
			for (step = 0; step < a->steps; step++) {
				int64_t squares = 0;

				for (r = 0; r < rows; r++) {
					int digit = mx_analog_digit(a, x[r], step);

					squares += digit * digit;
				}
				at = (row / TILE * work->prepared->groups + group) * a->steps + step;
				work->spread[at * TILE + row % TILE] = cell * sqrt(pair * squares);
			}
		}
	}
}

static void add_noise(struct work *work, struct piece *piece, const struct tile *tile)
{
	const struct mx_analog *a = work->a;
	size_t row = piece->row + tile->row, t;
	size_t at = (row / TILE * work->prepared->groups + tile->group) * a->steps + tile->step;
	struct mx_read_noise noise = {
		.seed = a->seed, .panel = piece->panel, .table = mx_normal_table(),
		.conversion = (tile->group * a->slices + tile->slice) * a->steps + tile->step,
	};

	for (t = 0; t < tile->rows; t++)
		noise.key[t] = work->p->noise_key[row + t];
	memcpy(noise.spread, work->spread + at * TILE, sizeof(noise.spread));
	work->kernel->noise(&noise, piece->sums);
}

static void convert_with_tiles(struct work *work, struct piece *piece, size_t group,
			       uint32_t slice, uint16_t columns)
{
	const struct mx_analog *a = work->a;
	size_t rows = mx_analog_rows(work->prepared, group);
	struct mx_cells cells = levels_of(work, piece, group, slice);
	struct tile tile = { group, slice, 0, columns, 0, 0 };

	if (work->parts && cells.narrow) {
		tile.columns = mx_analog_convert_parts(work, piece, group, slice, columns,
						       cells.narrow);
		if (!tile.columns)
			return;
	}
	if (work->fused && cells.narrow) {
		convert_fused(work, piece, &tile, cells.narrow, rows);
		return;
	}
	for (tile.row = 0; tile.row < piece->rows; tile.row += TILE) {
		tile.rows = piece->rows - tile.row < TILE ? piece->rows - tile.row : TILE;
		for (tile.step = 0; tile.step < a->steps; tile.step++) {
			const uint8_t *digits = mx_analog_digits_at(work,
				(piece->row + tile.row) / TILE, group, tile.step);

			if (cells.narrow && !a->step_signed[tile.step])
				work->kernel->tile8(cells.narrow,
						    digits + mx_analog_pad(a->active, 4) * TILE * 2,
						    (rows + 3) / 4, piece->sums);
			else
				work->kernel->tile16(cells.wide, (const int16_t *)digits,
						     (rows + 1) / 2, piece->sums);
			if (work->spread)
				add_noise(work, piece, &tile);
			convert_tile(work, piece, &tile);
		}
	}
}

void mx_analog_convert(struct work *work, struct piece *piece, size_t group,
		       const uint16_t columns[MX_MAX_SLICES])
{
	uint32_t slice;

	if (work->tables) {
		mx_analog_convert_tables(work, piece, group, columns);
		return;
	}
	for (slice = 0; slice < work->a->slices; slice++)
		if (columns[slice])
			convert_with_tiles(work, piece, group, slice, columns[slice]);
}
