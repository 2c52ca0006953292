// SPDX-License-Identifier: LGPL-2.1-or-later
/* Power on and off, and what the chip says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analog_sense.h"
#include "area.h"
#include "directory.h"
#include "kernels.h"
#include "pool.h"

int mx_fidelity_from_name(const char *name)
{
	return !strcmp(name, "exact") ? MX_EXACT : !strcmp(name, "analog") ? MX_ANALOG : -1;
}

static bool analog_new(struct mx_chip *chip)
{
	chip->analog = malloc(sizeof(*chip->analog));
	if (!chip->analog)
		return false;
	if (chip->config.kind != MX_SYNERGY) {
		mx_analog_init(chip->analog, &chip->config, chip->params.seed);
		return true;
	}
	mx_small_init(chip->analog, &chip->config, chip->params.seed);
	chip->bank = malloc(sizeof(*chip->bank));
	if (chip->bank)
		mx_bank_init(chip->bank, &chip->config, chip->params.seed);
	return chip->bank;
}

struct mx_chip *mx_chip_new(const struct mx_chip_config *config,
			    const struct mx_chip_params *params, char *err, size_t err_bytes)
{
	struct mx_chip *chip;

	if (!mx_isa_available(params->isa)) {
		snprintf(err, err_bytes, "this host cannot run the %s kernels",
			 mx_isa_name(params->isa));
		return NULL;
	}
	if (params->fidelity == MX_ANALOG && config->kind == MX_SYNERGY &&
	    !mx_small_converts(config)) {
		snprintf(err, err_bytes,
			 "fidelity=analog: a row of digits of %u and %u bits is more than the %u-bit converters of the small crossbars tell apart",
			 config->dac_bits, config->digit_bits, config->adc_bits);
		return NULL;
	}
	chip = calloc(1, sizeof(*chip));
	if (!chip) {
		snprintf(err, err_bytes, "out of memory for a chip");
		return NULL;
	}
	chip->config = *config;
	chip->params = *params;
	pthread_mutex_init(&chip->job_lock, NULL);
	pthread_mutex_init(&chip->count_lock, NULL);
	chip->kernels = mx_kernels_get(params->isa);
	chip->pool = mx_pool_new(params->threads);
	if (!chip->pool) {
		snprintf(err, err_bytes, "cannot start worker threads");
		mx_chip_free(chip);
		return NULL;
	}
	if (params->fidelity == MX_ANALOG && !analog_new(chip)) {
		snprintf(err, err_bytes, "out of memory for a chip");
		mx_chip_free(chip);
		return NULL;
	}
	chip->directory = mx_directory_new(chip, err, err_bytes);
	if (!chip->directory ||
	    (params->age && mx_chip_set_age(chip, params->age, err, err_bytes))) {
		mx_chip_free(chip);
		return NULL;
	}
	return chip;
}

void mx_chip_free(struct mx_chip *chip)
{
	if (!chip)
		return;
	mx_directory_free(chip->directory);
	if (chip->pool)
		mx_pool_free(chip->pool);
	pthread_mutex_destroy(&chip->count_lock);
	pthread_mutex_destroy(&chip->job_lock);
	free(chip->analog);
	free(chip->bank);
	free(chip);
}

const struct mx_chip_config *mx_chip_config(const struct mx_chip *chip)
{
	return &chip->config;
}

uint32_t mx_chip_dropped_models(const struct mx_chip *chip)
{
	return chip->directory->dropped;
}

uint32_t mx_chip_break_chunks(struct mx_chip *chip, uint32_t nr)
{
	uint32_t broken;

	pthread_mutex_lock(&chip->directory->lock);
	broken = mx_chunks_break(&chip->directory->chunks, nr);
	pthread_mutex_unlock(&chip->directory->lock);
	mx_chip_count(chip, MXACCEL_CTR_RETIRED_CHUNKS, broken);
	return broken;
}

void mx_chip_health(struct mx_chip *chip, struct mx_health *health)
{
	pthread_mutex_lock(&chip->directory->lock);
	mx_chunks_health(&chip->directory->chunks, health);
	health->age_seconds = mx_directory_clock(chip->directory);
	health->refreshes = chip->directory->nv.refreshes;
	pthread_mutex_unlock(&chip->directory->lock);
}

void mx_chip_identify(struct mx_chip *chip, struct mxaccel_identify *page)
{
	const struct mx_chip_config *config = &chip->config;
	struct mx_directory *dir = chip->directory;
	double area[MX_AREA_NR];
	uint32_t i;

	memset(page, 0, sizeof(*page));
	memcpy(page->chip, config->name, sizeof(page->chip));
	memcpy(page->organisation, config->organisation, sizeof(page->organisation));
	page->serial = chip->params.seed;
	pthread_mutex_lock(&dir->lock);
	page->free_bytes = (uint64_t)mx_chunks_room(&dir->chunks) * MXACCEL_CHUNK;
	for (i = 0; i < dir->nr_slots; i++)
		page->nr_models += dir->slot[i].state == MX_SLOT_VALID;
	pthread_mutex_unlock(&dir->lock);

	page->nr_values = MXACCEL_CHIP_NR;
	page->value[MXACCEL_CHIP_CAPACITY_BYTES] = mx_chip_capacity(config);
	page->value[MXACCEL_CHIP_BANKS] = config->banks;
	page->value[MXACCEL_CHIP_BANK_ROWS] = config->bank_rows;
	page->value[MXACCEL_CHIP_BANK_COLS] = config->bank_cols;
	page->value[MXACCEL_CHIP_CELL_BITS] = config->cell_bits;
	page->value[MXACCEL_CHIP_SMALL_ROWS] = config->small_rows;
	page->value[MXACCEL_CHIP_SMALL_COLS] = config->small_cols;
	page->value[MXACCEL_CHIP_ADC_BITS] = config->adc_bits;
	page->value[MXACCEL_CHIP_DAC_BITS] = config->dac_bits;
	page->value[MXACCEL_CHIP_FABRIC_MACS] = config->fabric_macs;
	page->value[MXACCEL_CHIP_ACT_BYTES] = mx_chip_act_bytes(config);
	page->value[MXACCEL_CHIP_CLOCK_KHZ] = config->clock_khz;
	page->value[MXACCEL_CHIP_MAX_MODELS] = config->max_models;
	page->value[MXACCEL_CHIP_MAX_CONTEXTS] = config->max_contexts;
	page->value[MXACCEL_CHIP_MAX_BUFFERS] = config->max_buffers;
	page->value[MXACCEL_CHIP_MAX_IO_BYTES] = config->max_io_bytes;
	page->value[MXACCEL_CHIP_MAX_SG] = config->max_sg;
	page->value[MXACCEL_CHIP_GROUPS] = mx_chip_groups(config);
	page->value[MXACCEL_CHIP_SUBARRAYS] = config->subarrays;
	page->value[MXACCEL_CHIP_LARGE_ROWS] = config->large_rows;
	page->value[MXACCEL_CHIP_LARGE_COLS] = config->large_cols;
	page->value[MXACCEL_CHIP_AREA_UM2] = mx_chip_area(config, 0, area) * 1e6 + 0.5;
}
