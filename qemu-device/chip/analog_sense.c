// SPDX-License-Identifier: LGPL-2.1-or-later
/* Dense banks and small computation crossbars, as cells that the analog products know. */
#include <stdlib.h>
#include <string.h>

#include "analog_prepare.h"
#include "analog_sense.h"
#include "pool.h"

/* Rows and columns that cells of a bank are drawn in at a time; nothing depends on it. */
#define DRAWN 128

/* The cells of both are unlike: the draws of the small crossbars have a key of their own. */
#define SMALL_SEED 0x736d616c6cULL

void mx_bank_init(struct mx_analog *bank, const struct mx_chip_config *config, uint64_t seed)
{
	struct mx_chip_config cells = *config;

	cells.analog.mapping = MX_OFFSET;
	cells.large_rows = DRAWN;
	cells.large_cols = DRAWN;
	cells.large_adc_bits = 1;	/* nothing is converted */
	mx_analog_init(bank, &cells, seed);
}

/* Whether trapped cells take less than half a count from the sum of a conversion. */
static bool harmless(const struct mx_analog *small)
{
	double most = MX_ANALOG_UNIT * small->top * small->keys.rtn_amplitude + 0.5;

	return small->active * ((1 << small->dac_bits) - 1) * most < MX_ANALOG_UNIT / 2;
}

/* Rows whose sums the converter tells apart. */
static uint32_t rows_of(const struct mx_chip_config *config)
{
	uint32_t row = ((1 << config->digit_bits) - 1) * ((1 << config->dac_bits) - 1);
	uint32_t rows = ((1 << config->adc_bits) - 1) / row;

	return rows < config->small_rows ? rows : config->small_rows;
}

bool mx_small_converts(const struct mx_chip_config *config)
{
	return rows_of(config) > 0;
}

void mx_small_init(struct mx_analog *small, const struct mx_chip_config *config, uint64_t seed)
{
	struct mx_chip_config array = *config;
	uint32_t i;

	array.cell_bits = config->digit_bits;
	array.large_rows = config->small_rows;
	array.large_cols = config->small_cols;
	array.large_adc_bits = config->adc_bits;
	array.analog = (struct mx_analog_keys){
		.input = config->dac_bits == 1 ? MX_TWOS_COMPLEMENT : MX_UNSIGNED,
		.mapping = MX_OFFSET, .adc_range = MX_ADC_FIXED, .adc_tie = MX_HALF_UP,
		.rows_active = rows_of(config),
		.rtn_share = config->analog.small_rtn_share,
		.rtn_amplitude = config->analog.small_rtn_amplitude, .adc_step = 1,
	};
	for (i = 0; i < MX_MAX_SLICES; i++)
		array.analog.adc_steps[i] = 1;
	mx_analog_init(small, &array, seed ^ SMALL_SEED);
	if (small->effects && harmless(small)) {
		array.analog.rtn_share = 0;
		mx_analog_init(small, &array, seed ^ SMALL_SEED);
	}
}

struct sensing {
	const struct mx_analog_prepared *prepared;
	int8_t *panels;
};

/* Nearest level of a cell of the panel's cells; halves go up. */
static int32_t sensed(const struct mx_analog *bank, const struct mx_cells *cells, size_t r, size_t c)
{
	int32_t g = cells->wide ? cells->wide[(r / 2 * COLS + c) * 2 + r % 2] :
				  cells->narrow[(r / 4 * COLS + c) * 4 + r % 4];
	int32_t level = g - bank->pedestal + MX_ANALOG_UNIT / 2;

	if (level < 0)
		return 0;
	level /= MX_ANALOG_UNIT;
	return level < bank->top ? level : bank->top;
}

static void sense_panel(void *arg, uint64_t nr)
{
	const struct sensing *sensing = arg;
	const struct mx_analog_prepared *prepared = sensing->prepared;
	const struct mx_analog *bank = prepared->a;
	uint16_t columns = mx_analog_columns(prepared, nr);
	size_t k = prepared->w.k, r, c, group;
	uint32_t slice;

	for (r = 0; r < k; r++) {
		group = r / bank->active;
		for (c = 0; c < COLS && columns >> c; c++) {
			int32_t w = -128;

			for (slice = 0; slice < bank->slices; slice++)
				w += sensed(bank, &prepared->panel[nr].cells[group][slice],
					    r % bank->active, c) << (slice * bank->cell_bits);
			sensing->panels[MXACCEL_PANEL_OFFSET(nr * COLS + c, r, k)] = w;
		}
	}
}

int8_t *mx_bank_sense(const struct mx_analog *bank, const struct mx_analog_weights *weights,
		      struct mx_pool *pool)
{
	size_t bytes = MXACCEL_PANEL_BYTES(weights->n, weights->k);
	int8_t *panels = aligned_alloc(MXACCEL_WORD, bytes);
	struct sensing sensing = { .panels = panels };
	struct mx_analog_prepared *prepared;

	if (!panels)
		return NULL;
	memcpy(panels, weights->panels, bytes);
	if (!bank->effects)
		return panels;
	prepared = mx_analog_prepare(bank, weights, pool);
	if (!prepared) {
		free(panels);
		return NULL;
	}
	sensing.prepared = prepared;
	mx_pool_for(pool, prepared->nr_panels, sense_panel, &sensing);
	mx_analog_prepared_free(prepared);
	return panels;
}
