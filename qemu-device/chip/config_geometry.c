// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chip files: what contradicts itself in the geometry, and the sizes that follow from it. */
#include <inttypes.h>

#include "config_parser.h"

/* All crossbars together; more cannot be simulated. */
#define MAX_BYTES ((uint64_t)64 << 40)

static bool divides_8(uint32_t bits)
{
	return bits == 1 || bits == 2 || bits == 4 || bits == 8;
}

static uint64_t bank_bytes(const struct mx_chip_config *config)
{
	return (uint64_t)config->bank_rows * config->bank_cols * config->cell_bits / 8;
}

/* All LARGE crossbars that can hold models, those held back to replace worn ones included. */
static uint64_t model_cells_bytes(const struct mx_chip_config *config)
{
	uint64_t bytes;

	if (config->kind == MX_SYNERGY)
		return bank_bytes(config) * (config->banks - config->intermediate_banks);
	bytes = mx_chip_groups(config) * config->subarrays * mx_chip_array_weights(config);
	/* Columns that hold no whole weight are left over, and then what fills no chunk. */
	if (config->large_cols % mx_chip_weight_cells(config))
		bytes -= bytes % MXACCEL_CHUNK;
	return bytes;
}

static void check_divides_8(struct mx_parser *p, const char *section, const char *name, uint32_t bits)
{
	if (!divides_8(bits))
		fail(p, line_of(p, section, name), "%s = %" PRIu32 ": must divide 8", name, bits);
}

static void check_banks(struct mx_parser *p)
{
	const struct mx_chip_config *c = p->config;

	check_divides_8(p, "small", "dac_bits", c->dac_bits);
	check_divides_8(p, "small", "digit_bits", c->digit_bits);
	if (c->intermediate_banks >= c->banks)
		fail(p, line_of(p, "large", "intermediate_banks"),
		     "intermediate_banks = %" PRIu32 " leaves none of the %" PRIu32
		     " banks for models", c->intermediate_banks, c->banks);
	if (!p->failed && model_cells_bytes(c) <= MAX_BYTES && bank_bytes(c) % MXACCEL_CHUNK)
		fail(p, line_of(p, "large", "bank_cols"),
		     "a bank of %" PRIu32 " x %" PRIu32 " cells of %" PRIu32
		     " bits is not a multiple of %d bytes", c->bank_rows, c->bank_cols,
		     c->cell_bits, MXACCEL_CHUNK);
}

static void check_arrays(struct mx_parser *p)
{
	const struct mx_chip_config *c = p->config;

	check_divides_8(p, "large", "dac_bits", c->dac_bits);
	if (divides_8(c->cell_bits) && c->large_cols % (8 / c->cell_bits))
		fail(p, line_of(p, "large", "cols"),
		     "cols = %" PRIu32 ": must be a multiple of the %" PRIu32 " cells of a weight",
		     c->large_cols, 8 / c->cell_bits);
	if (c->large_cols < mx_chip_weight_cells(c))
		fail(p, line_of(p, "large", "cols"),
		     "cols = %" PRIu32 " have no room for the %" PRIu32 " cells of a weight, copies included",
		     c->large_cols, mx_chip_weight_cells(c));
	if (c->kind == MX_TRADITIONAL && c->area.tile < c->groups * c->area.tile_adc)
		fail(p, line_of(p, "area", "tile"),
		     "a tile of %g um2 has no room for its %" PRIu32 " ADCs of %g um2", c->area.tile,
		     c->groups, c->area.tile_adc);
}

void mx_config_check(struct mx_parser *p)
{
	const struct mx_chip_config *c = p->config;
	uint64_t capacity;

	/* In banks bytes lie as they are; slices of three bits leave the last one a bit short. */
	if (!divides_8(c->cell_bits) && (c->kind == MX_SYNERGY || c->cell_bits != 3))
		fail(p, line_of(p, "large", "cell_bits"), c->kind == MX_SYNERGY ?
		     "cell_bits = %" PRIu32 ": a byte must fill whole cells, so 1, 2, 4 or 8" :
		     "cell_bits = %" PRIu32 ": must be 1, 2, 3, 4 or 8", c->cell_bits);
	else if (c->kind == MX_SYNERGY)
		check_banks(p);
	else
		check_arrays(p);
	if (!p->failed && c->kind == MX_SYNERGY)
		mx_config_check_cells(p);
	else if (!p->failed)
		mx_config_check_analog(p);
	if (p->failed)
		return;
	capacity = model_cells_bytes(c);
	if (capacity > MAX_BYTES)
		fail(p, 0, "crossbars of more than 64 TiB in all cannot be simulated");
	else if (capacity < 2 * MXACCEL_CHUNK || capacity % MXACCEL_CHUNK)
		fail(p, 0, "the crossbars hold %" PRIu64 " bytes of models: must be a multiple of %d, and two of them at least",
		     capacity, MXACCEL_CHUNK);
	else if (c->cells_spare_chunks >= capacity / MXACCEL_CHUNK)
		fail(p, line_of(p, "cells", "spare_chunks"),
		     "spare_chunks = %" PRIu32 " leaves none of the %" PRIu64 " chunks of %d bytes for models",
		     c->cells_spare_chunks, capacity / MXACCEL_CHUNK, MXACCEL_CHUNK);
}

uint64_t mx_chip_groups(const struct mx_chip_config *config)
{
	uint64_t groups = config->groups;

	if (config->kind == MX_TRADITIONAL)
		groups *= (uint64_t)config->chips * config->tiles;
	return groups;
}

uint32_t mx_chip_weight_cells(const struct mx_chip_config *config)
{
	const struct mx_analog_keys *a = &config->analog;
	uint32_t cells = (8 + config->cell_bits - 1) / config->cell_bits;

	if (a->redundant_copies > 1)
		cells += a->redundant_slices * (a->redundant_copies - 1);
	return cells;
}

uint64_t mx_chip_array_weights(const struct mx_chip_config *config)
{
	return (uint64_t)config->large_rows * (config->large_cols / mx_chip_weight_cells(config));
}

uint32_t mx_chip_slices(const struct mx_chip_config *config)
{
	/* A pair of cells has the sign by itself. */
	uint32_t bits = config->analog.mapping == MX_DIFFERENTIAL ? 7 : 8;

	return (bits + config->cell_bits - 1) / config->cell_bits;
}

uint64_t mx_chip_capacity(const struct mx_chip_config *config)
{
	return model_cells_bytes(config) - (uint64_t)config->cells_spare_chunks * MXACCEL_CHUNK;
}

uint64_t mx_chip_act_bytes(const struct mx_chip_config *config)
{
	if (config->kind == MX_SYNERGY)
		return bank_bytes(config) * config->intermediate_banks;
	return (uint64_t)config->intermediate_kib << 10;
}
