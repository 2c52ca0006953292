// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chip files: INI text to struct mx_chip_config. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ini.h>

#include "config_parser.h"

/* Longest line of a chip file; inih works with lines up to 200 bytes. */
#define LINE_BYTES 190

void mx_parser_fail(struct mx_parser *p, unsigned int line, const char *format, ...)
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
	struct mx_parser *p = stream;
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

static void take_word(struct mx_parser *p, const struct mx_key *key, const char *value)
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

static void take_number(struct mx_parser *p, const struct mx_key *key, const char *value)
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
static void take_real(struct mx_parser *p, const struct mx_key *key, const char *value)
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
	struct mx_parser *p = user;
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
static void take_default(struct mx_parser *p, const struct mx_key *key)
{
	if (key->type == MX_KEY_U32)
		*(uint32_t *)((char *)p->config + key->offset) = key->min;
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
	struct mx_parser p = {
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
		mx_config_check(&p);
	if (p.failed)
		return -EINVAL;
	*config = parsed;
	return 0;
}
