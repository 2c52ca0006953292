/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model that the tests make themselves. Its product is by the identity, so
 * that results can be told in advance.
 *
 * Entry ENTRY_ROWS: embedding, one product; result [n, tokens, TM_WIDTH].
 * Entry ENTRY_LONG: embedding, TM_LONG_OPS products, first row of each
 * sequence; result [n, TM_WIDTH]. A job of many sequences takes minutes.
 */
#ifndef TESTMODEL_H
#define TESTMODEL_H

#include <stdint.h>

#include "mxaccel_image.h"

#define TM_WIDTH	256
#define TM_VOCAB	32
#define TM_TOKENS	64
#define TM_LONG_OPS	2048

enum { ENTRY_ROWS, ENTRY_LONG, TM_ENTRIES };
enum { TM_IDS, TM_A, TM_B, TM_FIRST, TM_REGIONS };

#define TM_ROWS_OPS	4
#define TM_OPS		(TM_ROWS_OPS + TM_LONG_OPS + 4)

struct tm_model {
	struct mxaccel_model head;
	struct mxaccel_region region[TM_REGIONS];
	struct mxaccel_entry entry[TM_ENTRIES];
	struct mxaccel_op op[TM_OPS];
};

/**
 * struct testmodel - what MODEL_PROGRAM needs
 * @model:	MODEL section
 * @params:	PARAMS section
 * @params_bytes: its size
 * @content:	content id
 * @chunks:	SHA-256 of each chunk of @params
 */
struct testmodel {
	struct tm_model model;
	uint8_t *params;
	uint64_t params_bytes;
	uint8_t content[32];
	uint8_t *chunks;
};

/*
 * Models of different @variant differ in content; @extra_bytes of parameters
 * are not used by any op. Ends the program if there is no memory.
 */
struct testmodel *tm_make(uint8_t variant, uint64_t extra_bytes);
void tm_free(struct testmodel *tm);
/* Content id after a change to @tm. */
void tm_seal(struct testmodel *tm);
/* Element @column of the result for an id, exact to 1 part in 100 of the row's largest. */
float tm_expect(uint32_t id, uint32_t column);

#endif /* TESTMODEL_H */
