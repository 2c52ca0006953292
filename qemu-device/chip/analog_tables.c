// SPDX-License-Identifier: LGPL-2.1-or-later
/* Conversions with tables: when they serve, and what the kernel takes: see struct mx_lut_slice. */
#include <string.h>

#include "analog_piece.h"

void mx_analog_plan_tables(struct work *work)
{
	const struct mx_analog *a = work->a;
	int64_t sum = (int64_t)a->active * a->top, largest = sum;
	uint32_t i;

	work->index_bytes = MX_MAX_STEPS * mx_lut_tables(a->active) * BLOCK;
	for (i = 0; i < a->slices; i++)
		if (sum + 4 * work->prepared->lsb[i] > largest)
			largest = sum + 4 * work->prepared->lsb[i];
	/* Sums, and what rounding adds to them, are to be below 2^14. */
	if (!work->kernel->lut || a->effects || a->dac_bits > 1 || a->step_signed[0] ||
	    work->p->sums || work->p->codes || work->p->profile || LUT_ROWS * a->top > 255 ||
	    largest >= 1 << 13)
		return;
	work->tables = mx_lut_tables(a->active);
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
	size_t first = group * work->a->active, rows = mx_analog_rows(work->prepared, group);
	uint8_t *index = work->index + (block * work->prepared->groups + group) * work->index_bytes;
	size_t t, g, r;
	uint32_t step;

	memset(index, 0, work->index_bytes);
	for (t = 0; t < BLOCK && block * BLOCK + t < work->p->rows; t++) {
		const uint8_t *x = work->p->x + (block * BLOCK + t) * work->p->x_stride + first;
		uint8_t *to = index + mx_lut_lane(t);

		for (g = 0; g * LUT_ROWS < rows; g++) {
			uint64_t bytes = 0;

			for (r = g * LUT_ROWS; r < (g + 1) * LUT_ROWS && r < rows; r++)
				bytes |= (uint64_t)x[r] << (8 * (r - g * LUT_ROWS));
			bytes = transpose(bytes);
			for (step = 0; step < MX_MAX_STEPS; step++)
				to[(g * MX_MAX_STEPS + step) * BLOCK] = bytes >> (8 * step);
		}
	}
}

/* Weights of a group, column by column; zeros behind them have no bit in any index. */
static void by_columns(const struct work *work, struct piece *piece, size_t group)
{
	size_t first = group * work->a->active, rows = mx_analog_rows(work->prepared, group), c, r;
	size_t stride = mx_analog_level_stride(work->a);
	const int8_t *panel = mx_analog_panel(work->prepared, piece->panel);

	for (c = 0; c < COLS; c++) {
		int8_t *to = piece->column + c * stride;

		if (first % 4)
			for (r = 0; r < rows; r++)
				to[r] = panel[((first + r) / 4 * COLS + c) * 4 + (first + r) % 4];
		else
			for (r = 0; r < rows; r += 4)
				memcpy(to + r, panel + (first * COLS + r * COLS + 4 * c), 4);
		/* Levels of 0 */
		memset(to + rows, work->a->keys.mapping == MX_OFFSET ? -128 : 0, stride - rows);
	}
}

static void set_rounding(struct mx_lut_slice *s, int32_t lsb, int32_t largest)
{
	/* 2^16 / lsb is too small for all but powers of two: more bits, shifted out. */
	while (lsb >> (s->shift + 1))
		s->shift++;
	if (lsb == 1 << s->shift) {
		s->divisor = 65536 >> s->shift;
		s->shift = 0;
	} else {
		s->divisor = (65536u << s->shift) / lsb + 1;
	}
	s->half = lsb / 2;
	s->offset = 2 * ((largest + 2 * lsb) / (2 * lsb));
}

/* What becomes of codes that are bytes, so that all weights of steps are positive. */
static void set_bias(struct mx_lut_slice *s, const struct mx_analog *a)
{
	const uint32_t last = MX_MAX_STEPS - 1;
	bool negative = a->step_weight[last] < 0;

	s->last_flip = (s->has_signs ? 0 : 0x80) ^ (negative ? 0xff : 0);
	if (s->has_signs)
		s->bias = negative ? 1 << last : 0;
	else
		s->bias = 128 * ((1 << last) - 1) + (negative ? -127 : 128) * (1 << last);
	s->bias *= s->scale;
}

void mx_analog_convert_tables(struct work *work, struct piece *piece, size_t group,
			      const uint16_t columns[MX_MAX_SLICES])
{
	const struct mx_analog *a = work->a;
	size_t stride = mx_analog_level_stride(a);
	bool any = false;
	uint32_t slice, i;

	for (slice = 0; slice < a->slices; slice++) {
		int32_t lsb = work->prepared->lsb[slice];
		struct mx_lut_slice s = {
			.level = piece->level, .level_stride = stride, .columns = columns[slice],
			.bytes = work->prepared->panel[piece->panel].bytes[group][slice],
			.tables = mx_lut_tables(mx_analog_rows(work->prepared, group)),
			.block_stride = work->prepared->groups * work->index_bytes,
			.index = work->index + (piece->row / BLOCK * work->prepared->groups +
						group) * work->index_bytes,
			.blocks = (piece->rows + BLOCK - 1) / BLOCK,
			.per_byte = 255 / (LUT_ROWS * a->top),
			.has_signs = a->keys.mapping == MX_DIFFERENTIAL,
			.lsb = lsb, .tie_even = lsb % 2 == 0 && a->keys.adc_tie == MX_HALF_EVEN,
			.low = a->low[0], .high = a->high[0] < INT16_MAX ? a->high[0] : INT16_MAX,
			.scale = lsb << (a->cell_bits * slice), .acc = piece->fast,
		};

		if (!s.columns)
			continue;
		for (i = 0; i < MX_MAX_STEPS; i++)
			s.step_weight[i] = a->step_weight[i];
		if (lsb > 1)
			set_rounding(&s, lsb, a->active * a->top);
		else
			set_bias(&s, a);
		if (!any)
			by_columns(work, piece, group);
		any = true;
		work->kernel->levels(a, piece->column, COLS * stride, slice, piece->level);
		piece->saturated += work->kernel->lut(&s);
	}
}

void mx_analog_plan_parts(struct work *work)
{
	const struct mx_analog *a = work->a;
	uint32_t i;

	work->parts = work->kernel->parts && work->fused && a->effects && a->dac_bits == 1 &&
		      a->keys.read_sigma == 0 && a->active <= LUT_PART_ROWS &&
		      work->p->rows >= TABLE_TOKENS;
	for (i = 0; i < a->slices; i++)
		if (work->prepared->lsb[i] > 256)
			work->parts = false;
}

uint16_t mx_analog_convert_parts(struct work *work, struct piece *piece, size_t group,
				 uint32_t slice, uint16_t columns, const int8_t *narrow)
{
	const struct mx_analog *a = work->a;
	size_t stride = mx_analog_level_stride(a), c, r;
	size_t rows = mx_analog_rows(work->prepared, group);
	struct mx_lut_slice s = {
		.level = piece->level, .level_stride = stride, .columns = columns,
		.tables = mx_lut_tables(rows),
		.block_stride = work->prepared->groups * work->index_bytes,
		.index = work->index + (piece->row / BLOCK * work->prepared->groups + group) *
			 work->index_bytes,
		.blocks = (piece->rows + BLOCK - 1) / BLOCK,
		.tie_even = a->keys.adc_tie == MX_HALF_EVEN, .low = a->low[0], .high = a->high[0],
		.scale = work->prepared->lsb[slice] << (a->cell_bits * slice), .acc = piece->fast,
	};
	uint32_t i;

	while (a->unit * work->prepared->lsb[slice] >> (s.shift + 1))
		s.shift++;
	for (i = 0; i < MX_MAX_STEPS; i++)
		s.step_weight[i] = a->step_weight[i];
	for (c = 0; c < COLS; c++) {
		for (r = 0; r < rows; r += 4)
			memcpy(piece->level + c * stride + r, narrow + r * COLS + 4 * c, 4);
		memset(piece->level + c * stride + r, 0, stride - r);
	}
	return work->kernel->parts(&s, &piece->saturated);
}
