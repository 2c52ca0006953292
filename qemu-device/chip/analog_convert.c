// SPDX-License-Identifier: LGPL-2.1-or-later
/* Conversions of one group of rows: sums, codes, shift-and-add. */
#include <string.h>

#include "analog_piece.h"

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

/* --------------------------------------------------------- by sums of tiles */

/* Where the conversions of a column are recorded; NULL if they are not. */
static int32_t *record(const struct work *work, int32_t *array, size_t group, uint32_t slice,
		       uint32_t step, size_t n)
{
	size_t at = ((group * work->a->slices + slice) * work->a->steps + step) * work->p->n + n;

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
		.divisor = a->unit * a->lsb[tile->slice],
		.half_even = a->keys.adc_tie == MX_HALF_EVEN,
		.low = a->low[tile->step], .high = a->high[tile->step],
		.weight = ((int64_t)a->step_weight[tile->step] * a->lsb[tile->slice]) *
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
	}
}

/* Digits of a block's tiles: of each step [r / per][TILE][per], 16-bit or, four to a word, bytes. */
void mx_analog_digits(struct work *work, size_t block, size_t group)
{
	const struct mx_analog *a = work->a;
	size_t first = group * a->active, rows = work->p->k - first, row, r, at;
	uint32_t step;

	if (rows > a->active)
		rows = a->active;
	for (row = block * BLOCK; row < (block + 1) * BLOCK && row < work->p->rows; row++) {
		const uint8_t *x = work->p->x + row * work->p->x_stride + first;

		for (step = 0; step < a->steps; step++) {
			uint8_t *bytes = mx_analog_digits_at(work, row / TILE, group, step);
			int16_t *words = (int16_t *)bytes;

			for (r = 0; r < rows; r++) {
				int digit = mx_analog_digit(a, x[r], step);

				at = (r / 2 * TILE + row % TILE) * 2 + r % 2;
				words[at] = digit;
				at = (r / 4 * TILE + row % TILE) * 4 + r % 4;
				bytes[mx_analog_pad(a->active, 4) * TILE * 2 + at] = digit;
			}
		}
	}
}

/* Levels of a slice to bytes in fours; false if one does not fit. */
static bool to_bytes(struct piece *piece, size_t rows)
{
	int8_t *bytes = (int8_t *)(piece->cells + mx_analog_pad(rows, 4) * COLS);
	size_t r, c;

	for (r = 0; r < mx_analog_pad(rows, 4); r++) {
		for (c = 0; c < COLS; c++) {
			int16_t level = piece->cells[(r / 2 * COLS + c) * 2 + r % 2];

			if (level > 127 || level < -128)
				return false;
			bytes[(r / 4 * COLS + c) * 4 + r % 4] = level;
		}
	}
	return true;
}

static void convert_with_tiles(struct work *work, struct piece *piece, size_t group,
			       uint32_t slice)
{
	const struct mx_analog *a = work->a;
	size_t first = group * a->active, rows = work->p->k - first;
	struct tile tile = { group, slice, 0, piece->hard[group][slice], 0, 0 };
	bool narrow;

	if (rows > a->active)
		rows = a->active;
	mx_analog_cells(a, work->p, piece->panel, first, rows, slice, piece->cells);
	narrow = to_bytes(piece, rows);
	for (tile.row = 0; tile.row < piece->rows; tile.row += TILE) {
		tile.rows = piece->rows - tile.row < TILE ? piece->rows - tile.row : TILE;
		for (tile.step = 0; tile.step < a->steps; tile.step++) {
			const uint8_t *digits = mx_analog_digits_at(work,
				(piece->row + tile.row) / TILE, group, tile.step);

			if (narrow && !a->step_signed[tile.step])
				work->kernel->tile8((int8_t *)(piece->cells +
							       mx_analog_pad(rows, 4) * COLS),
						    digits + mx_analog_pad(a->active, 4) * TILE * 2,
						    (rows + 3) / 4, piece->sums);
			else
				work->kernel->tile16(piece->cells, (const int16_t *)digits,
						     (rows + 1) / 2, piece->sums);
			convert_tile(work, piece, &tile);
		}
	}
}

/* --------------------------------------------------------------- by tables */

void mx_analog_plan_tables(struct work *work)
{
	const struct mx_analog *a = work->a;
	int32_t span = a->keys.mapping == MX_OFFSET ? a->top : 2 * a->top;
	int64_t sum = (int64_t)a->active * a->top, largest = sum;
	uint32_t i;

	for (i = 0; i < a->slices; i++)
		if (sum + 4 * a->lsb[i] > largest)
			largest = sum + 4 * a->lsb[i];
	/* Sums, and what rounding adds to them, are to be below 2^14. */
	if (!work->kernel->lut || a->effects || a->dac_bits > 1 || a->step_signed[0] ||
	    work->p->sums || work->p->codes || LUT_ROWS * span > 255 || largest >= 1 << 13)
		return;
	work->tables = mx_analog_pad((a->active + LUT_ROWS - 1) / LUT_ROWS, 4);
	work->index_bytes = MX_MAX_STEPS * work->tables * BLOCK;
}

/* Bit i of byte j of @m to bit j of byte i */
static uint64_t transpose(uint64_t m)
{
	uint64_t t;

	t = (m ^ m >> 7) & 0x00aa00aa00aa00aa;
	m ^= t ^ t << 7;
	t = (m ^ m >> 14) & 0x0000cccc0000cccc;
	m ^= t ^ t << 14;
	t = (m ^ m >> 28) & 0x00000000f0f0f0f0;
	return m ^ t ^ t << 28;
}

void mx_analog_index(struct work *work, size_t block, size_t group)
{
	size_t first = group * work->a->active, rows = work->p->k - first, t, g, s, r;
	uint8_t *index = work->index + (block * work->groups + group) * work->index_bytes;

	if (rows > work->a->active)
		rows = work->a->active;
	memset(index, 0, work->index_bytes);
	for (t = 0; t < BLOCK && block * BLOCK + t < work->p->rows; t++) {
		const uint8_t *x = work->p->x + (block * BLOCK + t) * work->p->x_stride + first;
		uint8_t *to = index + mx_lut_lane(t);

		for (g = 0; g * LUT_ROWS < rows; g++) {
			uint64_t bytes = 0;

			for (r = g * LUT_ROWS; r < (g + 1) * LUT_ROWS && r < rows; r++)
				bytes |= (uint64_t)x[r] << (8 * (r - g * LUT_ROWS));
			bytes = transpose(bytes);
			for (s = 0; s < MX_MAX_STEPS; s++)
				to[(s * work->tables + g) * BLOCK] = bytes >> (8 * s);
		}
	}
}

static void convert_with_tables(struct work *work, struct piece *piece, size_t group,
				uint32_t slice)
{
	const struct mx_analog *a = work->a;
	size_t first = group * a->active, rows = work->p->k - first, c;
	int32_t lsb = a->lsb[slice], bias = a->keys.mapping == MX_OFFSET ? 0 : a->top, i;
	struct mx_lut_column column = {
		.level = piece->level, .tables = work->tables,
		.block_stride = work->groups * work->index_bytes,
		.index = work->index + (piece->row / BLOCK * work->groups + group) *
			 work->index_bytes,
		.blocks = (piece->rows + BLOCK - 1) / BLOCK, .bias = bias, .span = bias + a->top,
		.lsb = lsb, .tie_even = lsb % 2 == 0 && a->keys.adc_tie == MX_HALF_EVEN,
		.low = a->low[0], .high = a->high[0] < INT16_MAX ? a->high[0] : INT16_MAX,
		.scale = lsb << (a->cell_bits * slice),
	};

	if (rows > a->active)
		rows = a->active;
	for (i = 0; i < MX_MAX_STEPS; i++)
		column.step_weight[i] = a->step_weight[i];
	if (lsb > 1) {
		/* 2^16 / lsb is too small for all but powers of two: more bits, shifted out. */
		while (lsb >> (column.shift + 1))
			column.shift++;
		if (lsb == 1 << column.shift) {
			column.divisor = 65536 >> column.shift;
			column.shift = 0;
		} else {
			column.divisor = (65536u << column.shift) / lsb + 1;
		}
		column.half = lsb / 2;
		column.offset = 2 * ((a->active * a->top + 2 * lsb) / (2 * lsb));
	}
	for (c = 0; c < COLS; c++) {
		if (!(piece->hard[group][slice] >> c & 1))
			continue;
		mx_analog_levels(a, piece->column + c * piece->stride + first, rows, slice,
				 piece->level);
		memset(piece->level + rows, 0, LUT_ROWS * work->tables + 64 - rows);
		column.acc = piece->fast[c];
		piece->saturated += work->kernel->lut(&column);
	}
}

void mx_analog_convert(struct work *work, struct piece *piece, size_t group)
{
	uint32_t slice;

	for (slice = 0; slice < work->a->slices; slice++) {
		if (!piece->hard[group][slice])
			continue;
		if (work->tables)
			convert_with_tables(work, piece, group, slice);
		else
			convert_with_tiles(work, piece, group, slice);
	}
}
