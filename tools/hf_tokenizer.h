/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Vocabulary and tokenizer settings of a Hugging Face folder, as an image has them.
 */
#ifndef HF_TOKENIZER_H
#define HF_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "mxaccel_image.h"

/**
 * struct hf_tokenizer - contents of the VOCAB and TOKENIZER sections
 * @vocab:	tokens, each ended by '\n'
 * @vocab_bytes: their length
 * @nr_tokens:	number of tokens
 * @config:	the settings
 */
struct hf_tokenizer {
	char *vocab;
	size_t vocab_bytes;
	uint32_t nr_tokens;
	struct mxaccel_tokenizer config;
};

/* @max_tokens: ids that the model has. Return: 0 or -1 after mxmap_fail(). */
int hf_tokenizer_read(const char *folder, uint32_t max_tokens, struct hf_tokenizer *tokenizer);
void hf_tokenizer_free(struct hf_tokenizer *tokenizer);

#endif /* HF_TOKENIZER_H */
