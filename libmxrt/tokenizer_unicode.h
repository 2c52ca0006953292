/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text normalisation of the tokenizer: from UTF-8 to the code points that
 * words are made of.
 */
#ifndef MXRT_TOKENIZER_UNICODE_H
#define MXRT_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Growing array of code points */
struct mxrt_chars {
	int32_t *at;
	size_t nr;
	size_t room;
};

/**
 * mxrt_normalise() - clean, split CJK, strip accents, lower-case
 * @text:	UTF-8
 * @bytes:	its length
 * @flags:	MXACCEL_TOK_*
 * @out:	replaced by the result; starts as all zero, free @at in the end
 *
 * Return: 0, -EILSEQ, -ENOMEM.
 */
int mxrt_normalise(const char *text, size_t bytes, uint32_t flags, struct mxrt_chars *out);

bool mxrt_is_space(int32_t c);
bool mxrt_is_punctuation(int32_t c);

#endif /* MXRT_TOKENIZER_UNICODE_H */
