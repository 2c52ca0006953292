// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chip files: INI text to struct mx_chip_config, and the sizes that follow from it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ini.h>

#include "config_keys.h"
#include "internal.h"
#include "nv.h"

/* Longest line of a chip file; inih works with lines up to 200 bytes. */
#define LINE_BYTES 190
/* All crossbars together; more cannot be simulated. */
#define MAX_BYTES ((uint64_t)64 << 40)

struct parser {
	struct mx_chip_config *config;
	const char *name;	/* of the chip */
	const char *text;
	size_t left;
	unsigned int line;
	unsigned int seen[MX_MAX_KEYS];	/* line of each key; 0: not there */
	bool failed;
	unsigned int err_line;
	char *err;
	size_t err_bytes;
};

/* Keeps the first error; those after it may only be its consequences. */
static void __printf(3, 4)
fail(struct parser *p, unsigned int line, const char *format, ...)
{
	va_list args;
	int used;

	if (p->failed)
		return;
	p->failed = true;
	p->err_line = line;
	if (line)
		used = snprintf(p->err, p->err_bytes, "chip file %s, line %u: ", p->name, line);
	else
		used = snprintf(p->err, p->err_bytes, "chip file %s: ", p->name);
	if (used < 0 || (size_t)used >= p->err_bytes)
		return;
	va_start(args, format);
	vsnprintf(p->err + used, p->err_bytes - used, format, args);
	va_end(args);
}

/*
 * Hands inih one line at a time. Reading by ourselves gives the line numbers
 * (inih's handler has none), takes text that is not NUL-terminated, and stops
 * inih from cutting long lines in two or joining indented ones to the one above.
 */
static char *next_line(char *to, int room, void *stream)
{
	struct parser *p = stream;
	const char *end;
	size_t bytes;

	if (!p->left || p->failed)
		return NULL;
	p->line++;
	end = memchr(p->text, '\n', p->left);
	bytes = end ? (size_t)(end - p->text) + 1 : p->left;
	if (bytes > LINE_BYTES || (int)bytes >= room) {
		fail(p, p->line, "longer than %d characters", LINE_BYTES);
		return NULL;
	}
	if (memchr(p->text, '\0', bytes)) {
		fail(p, p->line, "a NUL byte; this is not a chip file");
		return NULL;
	}
	memcpy(to, p->text, bytes);
	to[bytes] = '\0';
	p->text += bytes;
	p->left -= bytes;
	memmove(to, to + strspn(to, " \t"), strlen(to + strspn(to, " \t")) + 1);
	return to;
}

static void take_word(struct parser *p, const struct mx_key *key, const char *value)
{
	char list[160] = "";
	size_t i, used = 0;

	for (i = 0; key->words[i]; i++) {
		if (!strcmp(key->words[i], value)) {
			*(unsigned int *)((char *)p->config + key->offset) = i;
			return;
		}
		used += snprintf(list + used, sizeof(list) - used, "%s%s",
				 !i ? "" : key->words[i + 1] ? ", " : " or ", key->words[i]);
	}
	fail(p, p->line, "%s = %s: expected %s", key->name, value, list);
}

static void take_number(struct parser *p, const struct mx_key *key, const char *value)
{
	void *field = (char *)p->config + key->offset;
	uint64_t number = 0;
	size_t i;

	for (i = 0; value[i] >= '0' && value[i] <= '9' && number <= key->max; i++)
		number = number * 10 + (value[i] - '0');
	if (!i || (value[i] && number <= key->max))
		fail(p, p->line, "%s = %s: expected a decimal number", key->name, value);
	else if (number < key->min || number > key->max)
		fail(p, p->line, "%s = %s: must be %" PRIu64 " to %" PRIu64, key->name, value,
		     key->min, key->max);
	else if (key->type == MX_KEY_U64)
		*(uint64_t *)field = number;
	else
		*(uint32_t *)field = number;
}

/*
 * Digits, perhaps a point and more digits: 15 at most, so that the quotient
 * below is the double nearest to the text, whatever the locale.
 */
static void take_real(struct parser *p, const struct mx_key *key, const char *value)
{
	size_t digits = 0, point = 0, i;
	double number = 0, scale = 1;

	for (i = 0; value[i]; i++) {
		if (value[i] == '.' && !point && digits) {
			point = i;
			continue;
		}
		if (value[i] < '0' || value[i] > '9')
			break;
		number = number * 10 + (value[i] - '0');
		digits++;
		if (point)
			scale *= 10;
	}
	number /= scale;
	if (!digits || value[i] || (point && point + 1 == i) || digits > 15)
		fail(p, p->line, "%s = %s: expected a decimal number of up to 15 digits, like 0.39",
		     key->name, value);
	else if (number < (double)key->min || number > (double)key->max)
		fail(p, p->line, "%s = %s: must be %" PRIu64 " to %" PRIu64, key->name, value,
		     key->min, key->max);
	else
		*(double *)((char *)p->config + key->offset) = number;
}

static int take_key(void *user, const char *section, const char *name, const char *value)
{
	struct parser *p = user;
	const struct mx_key *key;
	bool elsewhere = false;
	size_t i;

	for (i = 0; i < mx_nr_keys; i++) {
		key = &mx_keys[i];
		if (strcmp(key->section, section) || strcmp(key->name, name))
			continue;
		if (key->organisations & MX_OF(p->config->kind))
			break;
		elsewhere = true;
	}
	if (i == mx_nr_keys && elsewhere) {
		fail(p, p->line, "a chip of this organisation has no key %s in section [%s]", name,
		     section);
		return 0;
	}
	if (i == mx_nr_keys) {
		fail(p, p->line, "unknown key %s in section [%s]", name, section);
		return 0;
	}
	if (p->seen[i]) {
		fail(p, p->line, "%s was given in line %u already", name, p->seen[i]);
		return 0;
	}
	/* What follows depends on it, key by key. */
	if (!p->seen[0] && i) {
		fail(p, p->line, "%s stands before organisation, which must be the first key",
		     name);
		return 0;
	}
	p->seen[i] = p->line;
	switch (key->type) {
	case MX_KEY_WORD:
		take_word(p, key, value);
		break;
	case MX_KEY_REAL:
		take_real(p, key, value);
		break;
	default:
		take_number(p, key, value);
		break;
	}
	return !p->failed;
}

/* What a key has that may be missing, and is. The field is zero: a WORD has its first word. */
static void take_default(struct parser *p, const struct mx_key *key)
{
	if (key->type == MX_KEY_U32)
		*(uint32_t *)((char *)p->config + key->offset) = key->min;
}

static unsigned int line_of(const struct parser *p, const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < mx_nr_keys; i++)
		if (!strcmp(mx_keys[i].section, section) && !strcmp(mx_keys[i].name, name) &&
		    p->seen[i])
			return p->seen[i];
	return 0;
}

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

static void check_divides_8(struct parser *p, const char *section, const char *name, uint32_t bits)
{
	if (!divides_8(bits))
		fail(p, line_of(p, section, name), "%s = %" PRIu32 ": must divide 8", name, bits);
}

static void check_banks(struct parser *p)
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

static void check_arrays(struct parser *p)
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

/* Where the range of the ADC, in codes and counts, contradicts what the array can deliver. */
static void check_adc_steps(struct parser *p)
{
	struct mx_analog_keys *a = &p->config->analog;
	uint32_t slices = mx_chip_slices(p->config), i;
	uint64_t active = a->rows_active ? a->rows_active : p->config->large_rows;
	uint64_t digit = p->config->dac_bits == 1 ? 1 : (1 << p->config->dac_bits) - 1;
	uint64_t largest = active * digit * ((1u << p->config->cell_bits) - 1);
	bool calibrated = a->adc_range == MX_ADC_CALIBRATED;
	unsigned int line;
	char name[16];

	if (calibrated && line_of(p, "analog", "adc_step"))
		fail(p, line_of(p, "analog", "adc_step"),
		     "adc_step is for adc_range = fixed; calibrated has adc_step_0 to adc_step_%" PRIu32,
		     slices - 1);
	for (i = 0; i < MX_MAX_SLICES; i++) {
		snprintf(name, sizeof(name), "adc_step_%" PRIu32, i);
		line = line_of(p, "analog", name);
		if (line && !calibrated)
			fail(p, line, "%s is for adc_range = calibrated; fixed has adc_step", name);
		else if (line && i >= slices)
			fail(p, line, "%s: a weight has %" PRIu32 " slices of %" PRIu32 " bits",
			     name, slices, p->config->cell_bits);
		else if (calibrated && i < slices && !a->adc_steps[i] && (line || a->adc_steps[0]))
			fail(p, line ? line : line_of(p, "analog", "adc_range"),
			     "adc_range = calibrated: %s must be 1 at least, or no slice has a step and images have them",
			     name);
		if (!calibrated && i < slices)
			a->adc_steps[i] = a->adc_step;
		if (a->adc_steps[i] > largest)
			fail(p, calibrated ? line : line_of(p, "analog", "adc_step"),
			     "a step of %" PRIu32 " counts is more than the largest sum, %" PRIu64
			     " counts", a->adc_steps[i], largest);
	}
	if (calibrated)
		a->adc_step = 0;
}

/* Effects and remedies that take whole arrays. */
static void check_arrays_effects(struct parser *p)
{
	const struct mx_chip_config *c = p->config;
	const struct mx_analog_keys *a = &c->analog;
	uint32_t slices = mx_chip_slices(c);
	const char *name = a->wire_ohm > 0 ? "wire_ohm" : a->spare_cols ? "spare_cols" :
			   a->correction == MX_CORRECT_ARRAY ? "correction" :
			   a->drift_compensation ? "drift_compensation" : NULL;

	if (name && c->large_cols % MXACCEL_PANEL_COLS)
		fail(p, line_of(p, "large", "cols"),
		     "cols = %" PRIu32 ": %s takes arrays of a multiple of %d columns",
		     c->large_cols, name, MXACCEL_PANEL_COLS);
	if (a->wire_ohm > 0 && a->cell_ohm <= 0)
		fail(p, line_of(p, "analog", "wire_ohm"),
		     "wire_ohm = %g needs cell_ohm, the resistance of a cell at its highest level",
		     a->wire_ohm);
	if (a->wire_ohm > 0 && a->cell_ohm < a->wire_ohm)
		fail(p, line_of(p, "analog", "cell_ohm"),
		     "cell_ohm = %g is less than wire_ohm = %g: nothing but the nearest cells would be read",
		     a->cell_ohm, a->wire_ohm);
	if (a->spare_cols > c->large_cols)
		fail(p, line_of(p, "analog", "spare_cols"),
		     "spare_cols = %" PRIu32 " are more than the %" PRIu32 " columns of an array",
		     a->spare_cols, c->large_cols);
	if (a->redundant_slices > slices)
		fail(p, line_of(p, "analog", "redundant_slices"),
		     "redundant_slices = %" PRIu32 ": a weight has %" PRIu32 " slices of %" PRIu32 " bits",
		     a->redundant_slices, slices, c->cell_bits);
	if ((a->redundant_slices > 0) != (a->redundant_copies > 1))
		fail(p, line_of(p, "analog", a->redundant_slices ? "redundant_slices" :
							       "redundant_copies"),
		     "redundant_slices = %" PRIu32 " and redundant_copies = %" PRIu32
		     ": redundancy takes a slice and two copies at least",
		     a->redundant_slices, a->redundant_copies);
}

/* Effects of cells, of any organisation. */
static void check_cells(struct parser *p)
{
	const struct mx_analog_keys *a = &p->config->analog;

	if (a->on_off_ratio != 0 && a->on_off_ratio < 2)
		fail(p, line_of(p, "analog", "on_off_ratio"),
		     "on_off_ratio = %g: must be 2 at least, or 0 for infinite",
		     a->on_off_ratio);
	if (a->stuck_at_0 + a->stuck_at_1 > 1)
		fail(p, line_of(p, "analog", "stuck_at_1"),
		     "stuck_at_0 = %g and stuck_at_1 = %g are more than all cells together",
		     a->stuck_at_0, a->stuck_at_1);
	if ((a->rtn_share > 0) != (a->rtn_amplitude > 0))
		fail(p, line_of(p, "analog", a->rtn_share > 0 ? "rtn_share" : "rtn_amplitude"),
		     "rtn_share = %g and rtn_amplitude = %g: one without the other has no effect",
		     a->rtn_share, a->rtn_amplitude);
	if ((a->small_rtn_share > 0) != (a->small_rtn_amplitude > 0))
		fail(p, line_of(p, "analog", a->small_rtn_share > 0 ? "small_rtn_share" :
							      "small_rtn_amplitude"),
		     "small_rtn_share = %g and small_rtn_amplitude = %g: one without the other has no effect",
		     a->small_rtn_share, a->small_rtn_amplitude);
}

static void check_analog(struct parser *p)
{
	const struct mx_chip_config *c = p->config;
	const struct mx_analog_keys *a = &c->analog;
	uint64_t active;

	if (a->rows_active > c->large_rows || (a->rows_active && c->large_rows % a->rows_active))
		fail(p, line_of(p, "analog", "rows_active"),
		     "rows_active = %" PRIu32 ": must divide the %" PRIu32 " rows of an array, or be 0 for all",
		     a->rows_active, c->large_rows);
	if (c->large_adc_bits < 2 && a->mapping == MX_DIFFERENTIAL)
		fail(p, line_of(p, "large", "adc_bits"),
		     "adc_bits = %" PRIu32 ": a differential sum has a sign, which takes 2 bits at least",
		     c->large_adc_bits);
	check_cells(p);
	check_arrays_effects(p);
	check_adc_steps(p);
	/* Cells reach four times the highest level, in 1/32 of a count: see analog_cells.c. */
	active = a->rows_active ? a->rows_active : c->large_rows;
	if (active << (c->cell_bits + c->dac_bits) > 1 << 23)
		fail(p, line_of(p, "large", "rows"),
		     "sums of %" PRIu64 " rows with cells of %" PRIu32 " bits and inputs of %" PRIu32
		     " bits at once are too large to simulate", active, c->cell_bits, c->dac_bits);
}

/* What no single key shows. */
static void check_geometry(struct parser *p)
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
		check_cells(p);
	else if (!p->failed)
		check_analog(p);
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

/* Fields that follow from others. */
static void complete(struct mx_chip_config *config)
{
	size_t i;

	strcpy(config->organisation, mx_keys[0].words[config->kind]);
	if (config->kind == MX_TRADITIONAL)
		config->subarrays = 1;	/* each has its own ADC */
	/* The small crossbars count: a code is a count. */
	for (i = 0; config->kind == MX_SYNERGY && i < MX_MAX_SLICES; i++)
		config->analog.adc_steps[i] = 1;
}

int mx_chip_config_parse(struct mx_chip_config *config, const char *name,
			 const char *text, size_t bytes, char *err, size_t err_bytes)
{
	struct mx_chip_config parsed = { 0 };
	struct parser p = {
		.config = &parsed, .name = name, .text = text, .left = bytes,
		.err = err, .err_bytes = err_bytes,
	};
	size_t i;
	int rc;

	if (!*name || strlen(name) >= sizeof(parsed.name))
		fail(&p, 0, "the name must have 1 to %zu characters", sizeof(parsed.name) - 1);
	else
		strcpy(parsed.name, name);

	rc = p.failed ? 0 : ini_parse_stream(next_line, &p, take_key, &p);
	if (rc > 0 && (!p.failed || (unsigned int)rc < p.err_line)) {
		p.failed = false;
		fail(&p, rc, "neither \"[section]\" nor \"key = value\"");
	} else if (rc < 0) {
		fail(&p, 0, "out of memory");
	}
	for (i = 0; i < mx_nr_keys; i++) {
		if (p.seen[i] || !(mx_keys[i].organisations & MX_OF(parsed.kind)))
			continue;
		if (mx_keys[i].optional)
			take_default(&p, &mx_keys[i]);
		else
			fail(&p, 0, "key %s is missing from section [%s]", mx_keys[i].name,
			     mx_keys[i].section);
	}
	complete(&parsed);
	if (!p.failed)
		check_geometry(&p);
	if (p.failed)
		return -EINVAL;
	*config = parsed;
	return 0;
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
