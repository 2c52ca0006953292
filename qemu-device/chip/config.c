// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chip files: INI text to struct mx_chip_config, and the sizes that follow from it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ini.h>

#include "internal.h"
#include "nv.h"

/* Longest line of a chip file; inih works with lines up to 200 bytes. */
#define LINE_BYTES 190

/**
 * struct key - a key of a chip file
 * @section:	where it stands
 * @name:	key
 * @offset:	of its field in struct mx_chip_config
 * @min:	smallest value
 * @max:	largest value; 0: the value is a word, not a number
 *
 * The limits keep every product of them that the model forms within 64 bits.
 */
struct key {
	const char *section;
	const char *name;
	size_t offset;
	uint32_t min;
	uint32_t max;
};

#define KEY(section, name, field, min, max) \
	{ section, name, offsetof(struct mx_chip_config, field), min, max }

static const struct key keys[] = {
	KEY("chip", "organisation", organisation, 0, 0),
	KEY("chip", "clock_khz", clock_khz, 1, 100000000),
	KEY("large", "banks", banks, 2, 65536),
	KEY("large", "bank_rows", bank_rows, 1, 1 << 20),
	KEY("large", "bank_cols", bank_cols, 1, 1 << 20),
	KEY("large", "cell_bits", cell_bits, 1, 8),
	KEY("large", "intermediate_banks", intermediate_banks, 1, 65535),
	KEY("small", "rows", small_rows, 1, 65536),
	KEY("small", "cols", small_cols, 1, 65536),
	KEY("small", "dac_bits", dac_bits, 1, 8),
	KEY("small", "adc_bits", adc_bits, 1, 16),
	KEY("small", "digit_bits", digit_bits, 1, 8),
	KEY("fabric", "macs", fabric_macs, 1, 1 << 24),
	KEY("fabric", "utilisation_percent", fabric_utilisation_percent, 1, 100),
	KEY("fabric", "layer_cycles", layer_cycles, 0, 1 << 30),
	KEY("link", "setup_cycles", link_setup_cycles, 0, 1 << 30),
	KEY("link", "bytes_per_10_cycles", link_bytes_per_10_cycles, 1, 1 << 30),
	KEY("limits", "models", max_models, 1, MX_NV_MAX_MODELS),
	KEY("limits", "contexts", max_contexts, 1, 65536),
	KEY("limits", "buffers", max_buffers, 1, 1 << 20),
	KEY("limits", "io_bytes", max_io_bytes, MXACCEL_PAGE, UINT32_MAX & ~(MXACCEL_PAGE - 1u)),
	KEY("limits", "sg", max_sg, 1, 1 << 24),
};

#define NR_KEYS ARRAY_SIZE(keys)

struct parser {
	struct mx_chip_config *config;
	const char *name;	/* of the chip */
	const char *text;
	size_t left;
	unsigned int line;
	unsigned int seen[NR_KEYS];	/* line of each key; 0: not there */
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

static void take_word(struct parser *p, const struct key *key, const char *value)
{
	char *field = (char *)p->config + key->offset;
	size_t bytes = strlen(value);

	if (!bytes || strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-_") != bytes)
		fail(p, p->line, "%s = %s: expected a word of lower-case letters, digits, - and _",
		     key->name, value);
	else if (bytes >= sizeof(p->config->organisation))
		fail(p, p->line, "%s = %s: longer than %zu characters", key->name, value,
		     sizeof(p->config->organisation) - 1);
	else
		memcpy(field, value, bytes + 1);
}

static void take_number(struct parser *p, const struct key *key, const char *value)
{
	uint32_t *field = (uint32_t *)((char *)p->config + key->offset);
	uint64_t number = 0;
	size_t i;

	for (i = 0; value[i] >= '0' && value[i] <= '9' && number <= UINT32_MAX; i++)
		number = number * 10 + (value[i] - '0');
	if (!i || (value[i] && number <= UINT32_MAX))
		fail(p, p->line, "%s = %s: expected a decimal number", key->name, value);
	else if (number < key->min || number > key->max)
		fail(p, p->line, "%s = %s: must be %" PRIu32 " to %" PRIu32, key->name, value,
		     key->min, key->max);
	else
		*field = number;
}

static int take_key(void *user, const char *section, const char *name, const char *value)
{
	struct parser *p = user;
	size_t i;

	for (i = 0; i < NR_KEYS; i++)
		if (!strcmp(keys[i].section, section) && !strcmp(keys[i].name, name))
			break;
	if (i == NR_KEYS) {
		fail(p, p->line, "unknown key %s in section [%s]", name, section);
		return 0;
	}
	if (p->seen[i]) {
		fail(p, p->line, "%s was given in line %u already", name, p->seen[i]);
		return 0;
	}
	p->seen[i] = p->line;
	if (keys[i].max)
		take_number(p, &keys[i], value);
	else
		take_word(p, &keys[i], value);
	return !p->failed;
}

static unsigned int line_of(const struct parser *p, const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < NR_KEYS; i++)
		if (!strcmp(keys[i].section, section) && !strcmp(keys[i].name, name))
			return p->seen[i];
	return 0;
}

static bool divides_8(uint32_t bits)
{
	return bits == 1 || bits == 2 || bits == 4 || bits == 8;
}

/* What no single key shows. */
static void check_geometry(struct parser *p)
{
	const struct mx_chip_config *c = p->config;
	uint64_t cells = (uint64_t)c->bank_rows * c->bank_cols * c->banks;

	if (!divides_8(c->cell_bits))
		fail(p, line_of(p, "large", "cell_bits"),
		     "cell_bits = %" PRIu32 ": a byte must fill whole cells, so 1, 2, 4 or 8",
		     c->cell_bits);
	if (!divides_8(c->dac_bits))
		fail(p, line_of(p, "small", "dac_bits"),
		     "dac_bits = %" PRIu32 ": must divide 8", c->dac_bits);
	if (!divides_8(c->digit_bits))
		fail(p, line_of(p, "small", "digit_bits"),
		     "digit_bits = %" PRIu32 ": must divide 8", c->digit_bits);
	if (c->intermediate_banks >= c->banks)
		fail(p, line_of(p, "large", "intermediate_banks"),
		     "intermediate_banks = %" PRIu32 " leaves none of the %" PRIu32
		     " banks for models", c->intermediate_banks, c->banks);
	if (cells * c->cell_bits / 8 > (uint64_t)1 << 46)
		fail(p, line_of(p, "large", "banks"),
		     "banks of more than 64 TiB in all cannot be simulated");
	if (p->failed)
		return;
	if ((uint64_t)c->bank_rows * c->bank_cols * c->cell_bits % (8 * MXACCEL_PAGE))
		fail(p, line_of(p, "large", "bank_cols"),
		     "a bank of %" PRIu32 " x %" PRIu32 " cells of %" PRIu32
		     " bits is not a multiple of %d bytes", c->bank_rows, c->bank_cols,
		     c->cell_bits, MXACCEL_PAGE);
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
	for (i = 0; i < NR_KEYS; i++)
		if (!p.seen[i])
			fail(&p, 0, "key %s is missing from section [%s]", keys[i].name,
			     keys[i].section);
	if (!p.failed)
		check_geometry(&p);
	if (p.failed)
		return -EINVAL;
	*config = parsed;
	return 0;
}

static uint64_t bank_bytes(const struct mx_chip_config *config)
{
	return (uint64_t)config->bank_rows * config->bank_cols * config->cell_bits / 8;
}

uint64_t mx_chip_capacity(const struct mx_chip_config *config)
{
	return bank_bytes(config) * (config->banks - config->intermediate_banks);
}

uint64_t mx_chip_act_bytes(const struct mx_chip_config *config)
{
	return bank_bytes(config) * config->intermediate_banks;
}
