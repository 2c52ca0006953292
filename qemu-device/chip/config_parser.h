/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the chip: a chip file that is being read, for its parser and its checks. */
#ifndef MX_CHIP_CONFIG_PARSER_H
#define MX_CHIP_CONFIG_PARSER_H

#include <string.h>

#include "config_keys.h"
#include "internal.h"

struct mx_parser {
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

/* Keeps the first error; those after it may only be its consequences. @line 0: of no line. */
void __printf(3, 4)
mx_parser_fail(struct mx_parser *p, unsigned int line, const char *format, ...);
#define fail(p, ...) mx_parser_fail(p, __VA_ARGS__)

/* Line of a key, 0 if it is not there. */
static inline unsigned int line_of(const struct mx_parser *p, const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < mx_nr_keys; i++)
		if (!strcmp(mx_keys[i].section, section) && !strcmp(mx_keys[i].name, name) &&
		    p->seen[i])
			return p->seen[i];
	return 0;
}

/* What no single key shows: config_geometry.c; of [analog]: config_analog.c */
void mx_config_check(struct mx_parser *p);
void mx_config_check_cells(struct mx_parser *p);
void mx_config_check_analog(struct mx_parser *p);

#endif /* MX_CHIP_CONFIG_PARSER_H */
