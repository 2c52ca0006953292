// SPDX-License-Identifier: LGPL-2.1-or-later
/* Arrays: their cells are drawn, wired, corrected, and cut into the panels. */
#include <stdlib.h>
#include <string.h>

#include "analog_array.h"
#include "analog_noise.h"
#include "pool.h"

/* ----------------------------------------------------------------- one copy */

/* 16 outputs of a row, from @col on; @age: of the cells. Returns who is stuck. */
static uint32_t draw_row(const struct mx_array *array, const struct mx_draw *draw, size_t row,
			 size_t col)
{
	size_t cols = array->cols - col < COLS ? array->cols - col : COLS, c;
	uint32_t mask = (1u << cols) - 1, stuck;
	struct mx_lanes lanes = { 0 };

	for (c = 0; c < cols; c++) {
		size_t at = array->at[col + c];
		size_t spare = at == col + c ? 0 : at + 1 - array->prepared->a->array_cols;

		lanes.place[c] = mx_array_place(array, row, spare ? 0 : col + c);
		lanes.which[c] = mx_which_cell(array->slice, array->copy, spare);
		lanes.weight[c] = mx_array_weight(array, row, col + c);
	}
	stuck = array->kernel->draw(draw, &lanes);
	for (c = 0; c < cols; c++) {
		array->first[row * array->width + array->at[col + c]] = lanes.first[c];
		array->second[row * array->width + array->at[col + c]] = lanes.second[c];
	}
	return stuck & (mask | mask << 16);
}

/* IR drop of each group of the array. */
static bool wire(const struct mx_array *array, int16_t *cell)
{
	const struct mx_analog *a = array->prepared->a;
	double highest = a->top * a->unit + a->pedestal;
	struct mx_wires wires = {
		.cols = array->width,
		.ratio = a->keys.wire_ohm / (a->keys.cell_ohm * highest),
	};
	size_t row;

	for (row = 0; row < array->rows; row += a->active) {
		wires.rows = array->rows - row < a->active ? array->rows - row : a->active;
		wires.below = a->array_rows - row - wires.rows;
		wires.cell = cell + row * array->width;
		if (!array->kernel->wires(&wires))
			return false;
	}
	return true;
}

/* Fills @first and @second; false without memory. */
static bool draw_copy(struct mx_array *array, uint32_t age, bool count)
{
	struct mx_analog_prepared *prepared = array->prepared;
	const struct mx_analog *a = prepared->a;
	struct mx_draw draw = {
		.a = a, .slice = array->slice, .age = age, .epoch = prepared->w.epoch,
	};
	size_t bytes = array->rows * array->width * sizeof(*array->first), row, col;
	uint64_t stuck = 0, spares = 0;

	if (age > 1 && (a->keys.drift_nu > 0 || a->keys.drift_nu_sigma > 0))
		draw.log_age = mx_logarithm(age);
	for (col = 0; col < array->stride; col++)
		array->at[col] = col;
	if (a->keys.spare_cols)
		mx_array_spares(array);
	memset(array->first, 0, bytes);
	memset(array->second, 0, bytes);
	for (row = 0; row < array->rows; row++)
		for (col = 0; col < array->cols; col += COLS)
			stuck += __builtin_popcount(draw_row(array, &draw, row, col));
	for (col = 0; col < array->cols; col++)
		spares += array->at[col] != col;
	if (count) {
		atomic_fetch_add(&prepared->stuck, stuck);
		atomic_fetch_add(&prepared->spares, spares);
	}
	return a->keys.wire_ohm <= 0 ||
	       (wire(array, array->first) &&
		(a->keys.mapping == MX_OFFSET || wire(array, array->second)));
}

/* ---------------------------------------------------------------- one array */

/* Mean over the copies, rounded half up. */
static bool draw_levels(struct mx_array *array, uint32_t age, bool count)
{
	int32_t copies = mx_analog_copies(array->prepared->a, array->slice), *sum = NULL;
	size_t all = array->rows * array->stride, r, c;
	bool done = false;

	if (copies > 1)
		sum = calloc(all, sizeof(*sum));
	if (copies > 1 && !sum)
		return false;
	for (array->copy = 0; array->copy < (uint32_t)copies; array->copy++) {
		if (!draw_copy(array, age, count))
			goto out;
		for (r = 0; r < array->rows; r++)
			for (c = 0; c < array->cols; c++) {
				size_t at = r * array->width + array->at[c];

				array->level[r * array->stride + c] = array->first[at] -
								      array->second[at];
			}
		for (r = 0; sum && r < all; r++)
			sum[r] += array->level[r];
	}
	for (r = 0; sum && r < all; r++) {
		int32_t twice = 2 * sum[r] + copies;

		array->level[r] = twice / (2 * copies) - (twice % (2 * copies) < 0);
	}
	done = true;
out:
	free(sum);
	return done;
}

static bool some_signed(const struct mx_analog *a)
{
	uint32_t step;

	for (step = 0; step < a->steps; step++)
		if (a->step_signed[step])
			return true;
	return false;
}

/* The part of a panel and group, as kernels take it. */
static bool pack(const struct mx_array *array, size_t panel, size_t group)
{
	struct mx_analog_prepared *prepared = array->prepared;
	struct mx_cells *cells = &prepared->panel[panel].cells[group][array->slice];
	size_t rows = mx_analog_rows(prepared, group), all = mx_analog_pad(rows, 4) * COLS, r, c;
	const int16_t *from = array->level + (group * prepared->a->active - array->row) *
			      array->stride + panel * COLS - array->col;

	cells->narrow = aligned_alloc(64, all);
	cells->wide = aligned_alloc(64, all * sizeof(*cells->wide));
	if (!cells->narrow || !cells->wide)
		return false;
	memset(cells->wide, 0, all * sizeof(*cells->wide));
	for (r = 0; r < rows; r++)
		for (c = 0; c < COLS; c++)
			cells->wide[(r / 2 * COLS + c) * 2 + r % 2] = from[r * array->stride + c];
	if (mx_analog_narrow(cells->wide, rows, cells->narrow)) {
		/* Signed digits are multiplied as words. */
		if (!some_signed(prepared->a)) {
			free(cells->wide);
			cells->wide = NULL;
		}
	} else {
		free(cells->narrow);
		cells->narrow = NULL;
		atomic_store(&prepared->some_wide, true);
	}
	return true;
}

static bool fill_panels(const struct mx_array *array, const struct mx_correction *correction)
{
	struct mx_analog_prepared *prepared = array->prepared;
	size_t active = prepared->a->active, panel, group;

	for (panel = array->col / COLS; panel * COLS < array->col + array->cols; panel++)
		for (group = array->row / active; group * active < array->row + array->rows;
		     group++) {
			if (!pack(array, panel, group))
				return false;
			if (correction)
				prepared->panel[panel].correction[group][array->slice] =
					*correction;
		}
	return true;
}

static bool make(struct mx_array *array)
{
	const struct mx_analog *a = array->prepared->a;
	uint32_t age = array->prepared->w.age;
	size_t all = array->rows * array->stride;
	bool corrected = mx_analog_corrects(a), changes, done = false;
	struct mx_correction correction;
	int16_t *fresh = NULL;

	/* Traps change with age, too. */
	changes = (age > 1 && (a->keys.drift_nu > 0 || a->keys.drift_nu_sigma > 0)) ||
		  (age && a->keys.rtn_share > 0);
	if (corrected && changes) {
		fresh = malloc(all * sizeof(*fresh));
		if (!fresh || !draw_levels(array, 0, false))
			goto out;
		memcpy(fresh, array->level, all * sizeof(*fresh));
	}
	if (!draw_levels(array, age, true))
		goto out;
	if (corrected)
		correction = mx_array_fit(array, fresh ? fresh : array->level);
	done = fill_panels(array, corrected ? &correction : NULL);
out:
	free(fresh);
	return done;
}

/* -------------------------------------------------------------- all of them */

struct arrays {
	struct mx_analog_prepared *prepared;
	const struct mx_cell_kernel *kernel;
	size_t across, down;
	atomic_bool no_memory;
};

static size_t up_to(size_t left, size_t most)
{
	return left < most ? left : most;
}

static void make_array(void *arg, uint64_t i)
{
	struct arrays *arrays = arg;
	struct mx_analog_prepared *prepared = arrays->prepared;
	const struct mx_analog *a = prepared->a;
	struct mx_array array = {
		.prepared = prepared, .kernel = arrays->kernel,
		.slice = i % a->slices,
		.row = i / a->slices % arrays->down * a->array_rows,
		.col = i / a->slices / arrays->down * a->array_cols,
	};
	size_t level, cell;
	uint8_t *memory;

	array.rows = up_to(prepared->w.k - array.row, a->array_rows);
	array.cols = up_to(prepared->w.n - array.col, a->array_cols);
	array.stride = mx_analog_pad(array.cols, COLS);
	array.width = a->keys.spare_cols ? mx_analog_pad(a->array_cols + a->keys.spare_cols, COLS) :
					   array.stride;
	level = array.rows * array.stride * sizeof(*array.level);
	cell = array.rows * array.width * sizeof(*array.first);
	memory = calloc(1, level + 2 * cell + array.stride * sizeof(*array.at) +
			(a->keys.spare_cols ? cell / 2 : 0));
	if (!memory) {
		atomic_store(&arrays->no_memory, true);
		return;
	}
	array.level = (int16_t *)memory;
	array.first = (int16_t *)(memory + level);
	array.second = (int16_t *)(memory + level + cell);
	array.at = (uint16_t *)(memory + level + 2 * cell);
	array.state = (uint8_t *)(array.at + array.stride);
	if (!make(&array))
		atomic_store(&arrays->no_memory, true);
	free(memory);
}

static const struct mx_cell_kernel *kernel_of(enum mx_isa isa)
{
#ifdef __x86_64__
	isa = mx_kernels_get(isa)->isa;
	if (isa == MX_ISA_AVX512)
		return &mx_cells_avx512;
	if (isa == MX_ISA_AVX2)
		return &mx_cells_avx2;
#endif
	return &mx_cells_portable;
}

bool mx_analog_arrays(struct mx_analog_prepared *prepared, struct mx_pool *pool)
{
	const struct mx_analog *a = prepared->a;
	struct arrays arrays = {
		.prepared = prepared, .kernel = kernel_of(prepared->w.isa),
		.across = (prepared->w.n + a->array_cols - 1) / a->array_cols,
		.down = (prepared->w.k + a->array_rows - 1) / a->array_rows,
	};

	mx_pool_for(pool, arrays.across * arrays.down * a->slices, make_array, &arrays);
	return !atomic_load(&arrays.no_memory);
}
