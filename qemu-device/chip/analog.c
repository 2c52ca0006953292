// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Analog products: parameters, and how a product is cut into pieces of 16
 * columns and up to 128 tokens.
 *
 * Of a column slice whose levels are such that no input can saturate its ADC,
 * nor be rounded by it, the conversions change nothing: all such slices of a
 * panel are one INT8 product. The others are converted one by one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analog_piece.h"
#include "internal.h"
#include "pool.h"

/* Longest product whose sums of INT8 products and of clamped codes fit 32 bits. */
#define MAX_FAST_K 16384

/* ------------------------------------------------------------ parameters */

void mx_analog_init(struct mx_analog *analog, const struct mx_chip_config *config, uint64_t seed)
{
	const struct mx_analog_keys *keys = &config->analog;
	uint32_t bits = keys->input == MX_SIGN_MAGNITUDE ? 7 : 8, i;
	uint32_t adc = config->large_adc_bits;

	*analog = (struct mx_analog){
		.keys = *keys, .seed = seed, .slices = mx_chip_slices(config),
		.active = keys->rows_active ? keys->rows_active : config->large_rows,
		.cell_bits = config->cell_bits, .top = (1 << config->cell_bits) - 1,
		.dac_bits = config->dac_bits, .unit = 1,
		.steps = (bits + config->dac_bits - 1) / config->dac_bits,
	};
	analog->effects = keys->program_sigma > 0 || keys->program_sigma_prop > 0 ||
			  keys->stuck_at_0 > 0 || keys->stuck_at_1 > 0 || keys->on_off_ratio > 0;
	if (analog->effects)
		analog->unit = MX_ANALOG_UNIT;
	if (keys->on_off_ratio > 0)
		analog->pedestal = analog->unit * analog->top / (keys->on_off_ratio - 1) + 0.5;
	for (i = 0; i < analog->slices; i++)
		analog->lsb[i] = keys->adc_steps[i];
	for (i = 0; i < analog->steps; i++) {
		bool last = i + 1 == analog->steps && keys->input == MX_TWOS_COMPLEMENT;

		analog->step_weight[i] = 1 << (i * analog->dac_bits);
		/* A single bit has no sign of its own: its sums are subtracted. */
		if (last && analog->dac_bits == 1)
			analog->step_weight[i] = -analog->step_weight[i];
		analog->step_signed[i] = keys->input == MX_SIGN_MAGNITUDE ||
					 (last && analog->dac_bits > 1);
		if (keys->mapping == MX_DIFFERENTIAL || analog->step_signed[i]) {
			analog->high[i] = (1 << (adc - 1)) - 1;
			analog->low[i] = -analog->high[i];
		} else {
			analog->high[i] = (1 << adc) - 1;
		}
	}
}

/* ----------------------------------------------------------------- proof */

/* Whether no input can take a sum of levels out of the range of any step. */
static bool lossless(const struct mx_analog *a, int32_t positive, int32_t negative)
{
	int32_t largest = (1 << a->dac_bits) - 1;
	uint32_t step;

	for (step = 0; step < a->steps; step++) {
		int32_t high = positive * largest, low = negative * largest;

		if (a->step_signed[step]) {
			high -= low;
			low = -high;
		}
		if (high > a->high[step] || low < a->low[step])
			return false;
	}
	return true;
}

/* Adds a slice of one column, from the group's first row @first on, to the weights at @easy. */
static void add_easy(const struct mx_analog *a, const int8_t *level, size_t first, size_t rows,
		     uint32_t slice, int8_t *easy)
{
	size_t r;

	for (r = first; r < first + rows; r++)
		easy[r / 4 * 4 * COLS + r % 4] += level[r - first] *
						  (1 << (a->cell_bits * slice));
}

/* Of one column slice of one group. */
static bool proved(const struct mx_analog *a, const int8_t *level, size_t rows)
{
	int32_t positive = 0, negative = 0;
	size_t r;

	if (a->keys.mapping == MX_OFFSET) {
		for (r = 0; r < rows; r++)
			positive += (uint8_t)level[r];
	} else {
		for (r = 0; r < rows; r++) {
			positive += level[r] > 0 ? level[r] : 0;
			negative += level[r] < 0 ? level[r] : 0;
		}
	}
	return lossless(a, positive, negative);
}

/* Fills piece->hard, easy, some_easy and some_hard. */
static void prove(const struct work *work, struct piece *piece)
{
	const struct mx_analog *a = work->a;
	size_t k = work->p->k, left = work->p->n - piece->panel * COLS, group, c, rows, first;
	size_t cols = left < COLS ? left : COLS; /* the last panel may have columns of nobody */
	uint32_t slice;

	memset(piece->easy, 0, mx_analog_pad(k, 4) * COLS);
	for (group = 0; group < work->groups; group++) {
		first = group * a->active;
		rows = k - first < a->active ? k - first : a->active;
		for (slice = 0; slice < a->slices; slice++) {
			piece->hard[group][slice] = (1u << cols) - 1;
			for (c = 0; work->proves && a->lsb[slice] == 1 && c < cols; c++) {
				mx_analog_levels(a, piece->column + c * piece->stride + first, rows,
						 slice, piece->level);
				if (!proved(a, piece->level, rows))
					continue;
				piece->hard[group][slice] &= ~(1 << c);
				piece->some_easy = true;
				add_easy(a, piece->level, first, rows, slice, piece->easy + 4 * c);
			}
			if (piece->hard[group][slice])
				piece->some_hard = true;
		}
	}
}

/* --------------------------------------------------------------- product */

/* acc += sum of easy * x, with x as bytes that are not negative: see mx_analog_flip() */
static void multiply_easy(struct work *work, struct piece *piece)
{
	size_t k = work->p->k, row, rows, r, t, c, tile_bytes = mx_analog_pad(k, 4) * TILE;
	int32_t shift[COLS] = { 0 };

	for (r = 0; r < k; r++)
		for (c = 0; c < COLS; c++)
			shift[c] += mx_analog_flip(work->a) *
				    piece->easy[(r / 4 * COLS + c) * 4 + r % 4];
	for (row = 0; row < piece->rows; row += TILE) {
		rows = piece->rows - row < TILE ? piece->rows - row : TILE;
		work->kernel->tile8(piece->easy, work->tile + (piece->row + row) / TILE * tile_bytes,
				    (k + 3) / 4, piece->sums);
		for (t = 0; t < rows; t++)
			for (c = 0; c < COLS; c++)
				piece->acc[c][row + t] += piece->sums[c][t] - shift[c];
	}
}

/* What the chip takes off digitally. */
static void correct(const struct work *work, struct piece *piece)
{
	const struct mx_analog *a = work->a;
	int64_t sum_w[COLS] = { 0 }, pedestal = 0, offset;
	size_t t, c, r;
	uint32_t i;

	/* Differential pairs subtract their pedestals by themselves. */
	if (a->keys.mapping == MX_OFFSET)
		for (i = 0; i < a->slices; i++)
			pedestal += (int64_t)a->pedestal << (a->cell_bits * i);
	if (work->p->x_shift)
		for (c = 0; c < COLS; c++)
			for (r = 0; r < work->p->k; r++)
				sum_w[c] += work->p->x_shift * piece->column[c * piece->stride + r];
	/* Easy weights are w, not w + 128: with them it is off already. */
	offset = a->keys.mapping == MX_OFFSET && !piece->some_easy ? 128 : 0;
	for (t = 0; t < piece->rows; t++) {
		/* rounded half up */
		int64_t twice = 2 * pedestal * work->sum_x[piece->row + t] + a->unit;
		int64_t off = twice / (2 * a->unit) - (twice % (2 * a->unit) < 0);

		off += offset * work->sum_x[piece->row + t];
		for (c = 0; c < COLS; c++)
			piece->out[t][c] = piece->acc[c][t] + piece->fast[c][t] - off - sum_w[c];
	}
}

static void compute(struct work *work, struct piece *piece)
{
	const struct mx_analog_product *p = work->p;
	size_t panel_bytes = mx_analog_pad(p->k, 4) * COLS, group, i, c;
	const int8_t *panel = p->panels + piece->panel * panel_bytes;

	for (i = 0; i < (p->k + 3) / 4; i++)
		for (c = 0; c < COLS; c++)
			memcpy(piece->column + c * piece->stride + 4 * i,
			       panel + (i * COLS + c) * 4, 4);
	memset(piece->fast, 0, COLS * sizeof(*piece->fast));
	memset(piece->acc, 0, COLS * sizeof(*piece->acc));
	prove(work, piece);
	if (piece->some_easy) {
		/* Levels of offset weights are w + 128, which no signed byte holds. */
		for (i = 0; work->a->keys.mapping == MX_OFFSET && i < panel_bytes; i++)
			piece->easy[i] ^= 0x80;
		multiply_easy(work, piece);
	}
	for (group = 0; piece->some_hard && group < work->groups; group++)
		mx_analog_convert(work, piece, group);
	correct(work, piece);
	p->put(p->arg, piece->row, piece->rows, piece->panel * COLS,
	       (const int64_t (*)[COLS])piece->out);
}

static void run_piece(void *arg, uint64_t i)
{
	struct work *work = arg;
	size_t k = mx_analog_pad(work->p->k, 64), active = mx_analog_pad(work->a->active, 64);
	struct piece piece = {
		.panel = i / work->token_pieces, .row = i % work->token_pieces * PIECE,
		.stride = k,
	};
	/* Each part is a multiple of 64 bytes. */
	size_t bytes[] = {
		COLS * piece.stride, active + LEVEL_SLACK, k * COLS,
		mx_analog_pad(work->groups * sizeof(*piece.hard), 64),
		active * COLS * 3, COLS * sizeof(*piece.fast), COLS * sizeof(*piece.acc),
		PIECE * sizeof(*piece.out),
	};
	uint8_t *part_at[ARRAY_SIZE(bytes)], *memory;
	size_t all = 0, j;

	piece.rows = work->p->rows - piece.row < PIECE ? work->p->rows - piece.row : PIECE;
	for (j = 0; j < ARRAY_SIZE(bytes); j++)
		all += bytes[j];
	memory = aligned_alloc(64, all);
	if (!memory) {
		atomic_store(&work->no_memory, true);
		return;
	}
	for (j = 0, all = 0; j < ARRAY_SIZE(bytes); all += bytes[j++])
		part_at[j] = memory + all;
	piece.column = (int8_t *)part_at[0];
	piece.level = (int8_t *)part_at[1];
	piece.easy = (int8_t *)part_at[2];
	piece.hard = (void *)part_at[3];
	piece.cells = (int16_t *)part_at[4];
	piece.fast = (void *)part_at[5];
	piece.acc = (void *)part_at[6];
	piece.out = (void *)part_at[7];
	compute(work, &piece);
	free(memory);
	atomic_fetch_add_explicit(&work->saturated, piece.saturated, memory_order_relaxed);
}

/* Index and sums of the inputs of a block of tokens. */
static void prepare_block(void *arg, uint64_t block)
{
	struct work *work = arg;
	const struct mx_analog_product *p = work->p;
	size_t group, row, r, tile_bytes = mx_analog_pad(p->k, 4) * TILE;

	if (work->tile)
		memset(work->tile + block * BLOCK / TILE * tile_bytes, 0,
		       BLOCK / TILE * tile_bytes);
	for (row = block * BLOCK; row < (block + 1) * BLOCK && row < p->rows; row++) {
		const uint8_t *x = p->x + row * p->x_stride;
		bool is_signed = work->a->keys.input != MX_UNSIGNED;
		int64_t sum = 0;

		for (r = 0; r < p->k; r++)
			sum += is_signed ? (int8_t)x[r] : x[r];
		work->sum_x[row] = sum;
		for (r = 0; work->tile && r < p->k; r++)
			work->tile[row / TILE * tile_bytes + (r / 4 * TILE + row % TILE) * 4 + r % 4] =
				x[r] ^ mx_analog_flip(work->a);
	}
	if (work->digits)
		memset(mx_analog_digits_at(work, block * BLOCK / TILE, 0, 0), 0,
		       BLOCK / TILE * work->groups * work->a->steps *
		       mx_analog_digits_bytes(work->a));
	for (group = 0; group < work->groups; group++) {
		if (work->tables)
			mx_analog_index(work, block, group);
		else
			mx_analog_digits(work, block, group);
	}
}

static const struct mx_analog_kernel *kernel_of(enum mx_isa isa)
{
#ifdef __x86_64__
	isa = mx_kernels_get(isa)->isa;
	if (isa == MX_ISA_AVX512)
		return __builtin_cpu_supports("avx512vbmi") ? &mx_analog_avx512_vbmi :
							       &mx_analog_avx512;
	if (isa == MX_ISA_AVX2)
		return &mx_analog_avx2;
#endif
	return &mx_analog_portable;
}

int mx_analog_multiply(const struct mx_analog *analog, struct mx_analog_product *product,
		       enum mx_isa isa, struct mx_pool *pool)
{
	struct work work = {
		.a = analog, .p = product, .kernel = kernel_of(isa),
		.groups = mx_analog_groups(analog, product->k),
		.token_pieces = (product->rows + PIECE - 1) / PIECE,
	};
	size_t panels = (product->n + COLS - 1) / COLS;
	size_t blocks = (product->rows + BLOCK - 1) / BLOCK;

	product->saturated = 0;
	work.proves = !product->no_proof && !product->sums && !product->codes &&
		      !analog->effects && product->k <= MAX_FAST_K;
	if (product->k <= MAX_FAST_K)
		mx_analog_plan_tables(&work);
	work.sum_x = malloc((product->rows + 1) * sizeof(*work.sum_x));
	if (work.tables)
		work.index = aligned_alloc(64, blocks * work.groups * work.index_bytes);
	else
		work.digits = aligned_alloc(64, blocks * (BLOCK / TILE) * work.groups *
					    analog->steps * mx_analog_digits_bytes(analog));
	if (work.proves)
		work.tile = aligned_alloc(64, blocks * BLOCK * mx_analog_pad(product->k, 4));
	if (!work.sum_x || !(work.index || work.digits) || (work.proves && !work.tile)) {
		atomic_store(&work.no_memory, true);
	} else {
		mx_pool_for(pool, blocks, prepare_block, &work);
		mx_pool_for(pool, panels * work.token_pieces, run_piece, &work);
	}
	free(work.tile);
	free(work.sum_x);
	free(work.index);
	free(work.digits);
	product->saturated = atomic_load(&work.saturated);
	return atomic_load(&work.no_memory) ? -ENOMEM : 0;
}
