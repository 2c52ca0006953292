/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the chip: the keys of chip files, for the parser. */
#ifndef MX_CHIP_CONFIG_KEYS_H
#define MX_CHIP_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "chip_config.h"

enum mx_key_type {
	MX_KEY_U32,
	MX_KEY_U64,
	MX_KEY_REAL,	/* decimal fraction, a double */
	MX_KEY_WORD,	/* one of @words; the field holds its index */
};

/* Organisations that have a key, as bits. */
#define MX_OF(kind)	(1u << (kind))
#define MX_OF_ALL	(MX_OF(MX_SYNERGY) | MX_OF(MX_INPLACE) | MX_OF(MX_TRADITIONAL))

/**
 * struct mx_key - a key of a chip file
 * @organisations: that have it, MX_OF() bits
 * @section:	where it stands
 * @name:	key
 * @offset:	of its field in struct mx_chip_config
 * @type:	of the field
 * @min:	smallest value
 * @max:	largest value
 * @words:	WORD: the choices, ended by NULL
 * @optional:	may be missing, and then has the value @min or the first word
 *
 * The limits keep every product of them that the model forms within 64 bits.
 */
struct mx_key {
	unsigned int organisations;
	const char *section;
	const char *name;
	size_t offset;
	enum mx_key_type type;
	uint64_t min;
	uint64_t max;
	const char *const *words;
	bool optional;
};

extern const struct mx_key mx_keys[];
extern const size_t mx_nr_keys;

#define MX_MAX_KEYS	192

#endif /* MX_CHIP_CONFIG_KEYS_H */
