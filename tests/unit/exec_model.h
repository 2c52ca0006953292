/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A random model built in memory for the sequencer's tests: every macro-op
 * and kind, two attention layers, and sizes that are multiples of nothing.
 */
#ifndef EXEC_MODEL_H
#define EXEC_MODEL_H

#include "internal.h"

enum {
	EXEC_VOCAB = 60, EXEC_TOKENS = 150, EXEC_HEADS = 3, EXEC_HEAD = 11,
	EXEC_WIDTH = EXEC_HEADS * EXEC_HEAD, EXEC_FFN = 50, EXEC_OUT = 21,
};

/* Entries: rows for every token; one row a sequence. */
enum { EXEC_ENTRY_TOKENS, EXEC_ENTRY_SENTENCE, EXEC_ENTRIES };

extern const struct mx_chip_config exec_config;

/* Freed by exec_model_free(). @params may be changed by a test. */
struct exec_model {
	struct mx_model model;
	uint8_t *params;
	uint64_t params_bytes;
	uint64_t first_scale;	/* offset of the scales of the first entry's token table */
};

struct exec_model *exec_model_make(uint32_t seed);
/* Places the weights on another chip than exec_config. */
void exec_model_place(struct exec_model *m, const struct mx_chip_config *config);
void exec_model_free(struct exec_model *m);

/* Index of the first op with this opcode in an entry, from its first op on. */
uint32_t exec_model_op(const struct exec_model *m, uint32_t entry, uint8_t opcode);

#endif /* EXEC_MODEL_H */
