// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Analog products: parameters, and how a product is cut into pieces of 16
 * columns and up to 128 tokens.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analog_noise.h"
#include "analog_piece.h"
#include "internal.h"
#include "pool.h"
#include "profile.h"

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
			  keys->stuck_at_0 > 0 || keys->stuck_at_1 > 0 || keys->on_off_ratio > 0 ||
			  keys->read_sigma > 0 || keys->rtn_share > 0 ||
			  keys->drift_nu > 0 || keys->drift_nu_sigma > 0 ||
			  keys->wire_ohm > 0;
	if (analog->effects)
		analog->unit = MX_ANALOG_UNIT;
	analog->array_rows = config->large_rows;
	analog->array_cols = config->large_cols;
	/* Where nothing takes whole arrays, other ones do as well. */
	if (config->large_rows % analog->active)
		analog->array_rows = analog->active;
	if (config->large_cols % COLS)
		analog->array_cols = 8 * COLS;
	if (keys->on_off_ratio > 0)
		analog->pedestal = analog->unit * analog->top / (keys->on_off_ratio - 1) + 0.5;
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

/* --------------------------------------------------------------- product */

/* acc += sum of easy * x, with x as bytes that are not negative: see mx_analog_flip() */
static void multiply_easy(struct work *work, struct piece *piece)
{
	const struct mx_panel *panel = &work->prepared->panel[piece->panel];
	size_t quads = (work->prepared->w.k + 3) / 4, row, rows, t, c;
	int64_t flip = mx_analog_flip(work->a);
	int32_t sums[COLS];

	for (row = 0; row < piece->rows; row += TILE) {
		const uint8_t *tile = work->tile + (piece->row + row) * quads * 4;

		rows = piece->rows - row < TILE ? piece->rows - row : TILE;
		if (rows == TILE)
			work->kernel->tile8(panel->easy, tile, quads, piece->sums);
		for (t = 0; rows < TILE && t < rows; t++) {
			work->kernel->row8(panel->easy, tile + 4 * t, quads, sums);
			for (c = 0; c < COLS; c++)
				piece->sums[c][t] = sums[c];
		}
		for (c = 0; c < COLS; c++)
			for (t = 0; t < rows; t++)
				piece->acc[c][row + t] += piece->sums[c][t] -
							  flip * panel->easy_sum[c];
	}
}

/* What the chip takes off digitally. */
static void correct(const struct work *work, struct piece *piece, bool some_easy)
{
	const struct mx_analog *a = work->a;
	const struct mx_panel *panel = &work->prepared->panel[piece->panel];
	int64_t pedestal = 0, offset;
	size_t t, c;
	uint32_t i;

	/* Differential pairs subtract their pedestals by themselves. */
	if (a->keys.mapping == MX_OFFSET)
		for (i = 0; i < a->slices; i++)
			pedestal += (int64_t)a->pedestal << (a->cell_bits * i);
	/* Easy weights are w, not w + 128: with them it is off already. */
	offset = a->keys.mapping == MX_OFFSET && !some_easy ? 128 : 0;
	for (t = 0; t < piece->rows; t++) {
		/* rounded half up */
		int64_t twice = 2 * pedestal * work->sum_x[piece->row + t] + a->unit;
		int64_t off = twice / (2 * a->unit) - (twice % (2 * a->unit) < 0);

		off += offset * work->sum_x[piece->row + t];
		for (c = 0; c < COLS; c++)
			piece->out[t][c] = piece->acc[c][t] + piece->fast[c][t] - off -
					   work->p->x_shift * panel->sum[c];
	}
	for (t = piece->by_token; t < piece->rows; t++)
		for (c = 0; c < COLS; c++)
			piece->out[t][c] += piece->tokens[t][c];
}

static void compute(struct work *work, struct piece *piece)
{
	const struct mx_analog_product *p = work->p;
	const struct mx_panel *panel = &work->prepared->panel[piece->panel];
	uint16_t all = mx_analog_columns(work->prepared, piece->panel), columns[MX_MAX_SLICES];
	bool easy = work->proves && panel->easy;
	size_t group;
	uint32_t slice;

	memset(piece->fast, 0, COLS * sizeof(*piece->fast));
	memset(piece->tokens, 0, PIECE * sizeof(*piece->tokens));
	memset(piece->acc, 0, COLS * sizeof(*piece->acc));
	if (easy)
		multiply_easy(work, piece);
	if (panel->correction)
		mx_analog_convert_corrected(work, piece, all);
	for (group = 0; !panel->correction && group < work->prepared->groups; group++) {
		for (slice = 0; slice < work->a->slices; slice++)
			columns[slice] = work->proves ? panel->hard[group][slice] : all;
		mx_analog_convert(work, piece, group, columns);
	}
	correct(work, piece, easy);
	p->put(p->arg, piece->row, piece->rows, piece->panel * COLS,
	       (const int64_t (*)[COLS])piece->out);
}

static void run_piece(void *arg, uint64_t i)
{
	struct work *work = arg;
	size_t active = mx_analog_pad(work->a->active, 64);
	size_t columns = COLS * mx_analog_level_stride(work->a);
	struct piece piece = {
		.panel = i / work->token_pieces, .row = i % work->token_pieces * PIECE,
	};
	/* Each part is a multiple of 64 bytes. */
	size_t bytes[] = {
		columns, columns + LEVEL_SLACK, active * COLS * 2, active * COLS,
		COLS * sizeof(*piece.fast), PIECE * sizeof(*piece.tokens),
		COLS * sizeof(*piece.acc), PIECE * sizeof(*piece.out),
	};
	uint8_t *part_at[ARRAY_SIZE(bytes)], *memory;
	size_t all = 0, j;

	piece.rows = work->p->rows - piece.row < PIECE ? work->p->rows - piece.row : PIECE;
	piece.by_token = work->spread ? 0 : piece.rows / TILE * TILE;
	for (j = 0; j < ARRAY_SIZE(bytes); j++)
		all += bytes[j];
	memory = aligned_alloc(64, all);
	if (work->p->profile)
		piece.profile = mx_profile_begin(work->p->profile);
	if (!memory || (work->p->profile && !piece.profile)) {
		free(piece.profile);
		free(memory);
		atomic_store(&work->no_memory, true);
		return;
	}
	for (j = 0, all = 0; j < ARRAY_SIZE(bytes); all += bytes[j++])
		part_at[j] = memory + all;
	piece.column = (int8_t *)part_at[0];
	piece.level = (int8_t *)part_at[1];
	piece.cells = (int16_t *)part_at[2];
	piece.narrow = (int8_t *)part_at[3];
	piece.fast = (void *)part_at[4];
	piece.tokens = (void *)part_at[5];
	piece.acc = (void *)part_at[6];
	piece.out = (void *)part_at[7];
	compute(work, &piece);
	free(memory);
	if (piece.profile)
		mx_profile_end(work->p->profile, piece.profile);
	atomic_fetch_add_explicit(&work->saturated, piece.saturated, memory_order_relaxed);
}

/* Index and sums of the inputs of a block of tokens. */
static void prepare_block(void *arg, uint64_t block)
{
	struct work *work = arg;
	const struct mx_analog_product *p = work->p;
	size_t group, row, r, tile_bytes = mx_analog_pad(work->prepared->w.k, 4) * TILE;

	if (work->tile)
		memset(work->tile + block * BLOCK / TILE * tile_bytes, 0,
		       BLOCK / TILE * tile_bytes);
	for (row = block * BLOCK; row < (block + 1) * BLOCK && row < p->rows; row++) {
		const uint8_t *x = p->x + row * p->x_stride;
		bool is_signed = work->a->keys.input != MX_UNSIGNED;
		int64_t sum = 0;

		for (r = 0; r < work->prepared->w.k; r++)
			sum += is_signed ? (int8_t)x[r] : x[r];
		work->sum_x[row] = sum;
		for (r = 0; work->tile && r < work->prepared->w.k; r++)
			work->tile[row / TILE * tile_bytes + (r / 4 * TILE + row % TILE) * 4 + r % 4] =
				x[r] ^ mx_analog_flip(work->a);
	}
	if (work->spread)
		mx_analog_spread(work, block);
	if (work->digits)
		memset(mx_analog_digits_at(work, block * BLOCK / TILE, 0, 0), 0,
		       BLOCK / TILE * work->prepared->groups * work->a->steps *
		       mx_analog_digits_bytes(work->a));
	for (group = 0; group < work->prepared->groups; group++) {
		if (work->index)
			mx_analog_index(work, block, group);
		if (work->digits)
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
		.prepared = product->prepared,
		.token_pieces = (product->rows + PIECE - 1) / PIECE,
	};
	size_t k = product->prepared->w.k, groups = product->prepared->groups;
	size_t blocks = (product->rows + BLOCK - 1) / BLOCK;

	product->saturated = 0;
	work.proves = !product->no_proof && !product->sums && !product->codes &&
		      !product->profile &&
		      !analog->effects && k <= MAX_FAST_K;
	if (k <= MAX_FAST_K && product->rows >= TABLE_TOKENS)
		mx_analog_plan_tables(&work);
	mx_analog_plan_tiles(&work);
	mx_analog_plan_parts(&work);
	work.sum_x = malloc((product->rows + 1) * sizeof(*work.sum_x));
	if (work.tables || work.parts)
		work.index = aligned_alloc(64, blocks * groups * work.index_bytes);
	if (!work.tables)
		work.digits = aligned_alloc(64, blocks * (BLOCK / TILE) * groups *
					    analog->steps * mx_analog_digits_bytes(analog));
	if (analog->keys.read_sigma > 0)
		work.spread = malloc(blocks * BLOCK * groups * analog->steps *
				     sizeof(*work.spread));
	if (work.proves)
		work.tile = aligned_alloc(64, blocks * BLOCK * mx_analog_pad(k, 4));
	if (!work.sum_x || ((work.tables || work.parts) && !work.index) ||
	    (!work.tables && !work.digits) || (work.proves && !work.tile) ||
	    (analog->keys.read_sigma > 0 && !work.spread)) {
		atomic_store(&work.no_memory, true);
	} else {
		mx_pool_for(pool, blocks, prepare_block, &work);
		mx_pool_for(pool, product->prepared->nr_panels * work.token_pieces, run_piece, &work);
	}
	free(work.tile);
	free(work.spread);
	free(work.sum_x);
	free(work.index);
	free(work.digits);
	product->saturated = atomic_load(&work.saturated);
	return atomic_load(&work.no_memory) ? -ENOMEM : 0;
}
