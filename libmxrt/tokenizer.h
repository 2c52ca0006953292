/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BERT's WordPiece tokenizer: text to the ids that a model takes.
 *
 * Gives the ids of Hugging Face's fast BertTokenizer: clean-up, CJK splitting,
 * accent stripping and lower-casing as the image says, words split at white
 * space and around punctuation, then greedy longest-match WordPiece. Special
 * tokens written out in the text ("[SEP]") become their ids.
 */
#ifndef MXRT_TOKENIZER_H
#define MXRT_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "mxaccel_image.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mxrt_tokenizer;

/**
 * mxrt_tokenizer_new() - tokenizer from an image's TOKENIZER and VOCAB sections
 * @config:	how to split text
 * @vocab:	tokens, each ended by '\n'; the first has id 0. Copied.
 * @vocab_bytes: their length
 * @out:	the tokenizer
 * @err:	on failure: a sentence that says what is wrong
 * @err_bytes:	room at @err
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int mxrt_tokenizer_new(const struct mxaccel_tokenizer *config, const char *vocab,
		       size_t vocab_bytes, struct mxrt_tokenizer **out,
		       char *err, size_t err_bytes);

/* Frees a tokenizer; NULL is fine. No call may be under way. */
void mxrt_tokenizer_free(struct mxrt_tokenizer *tokenizer);

/**
 * mxrt_tokenizer_encode() - ids of a text
 * @text:	UTF-8
 * @bytes:	its length; the text may hold NULs and needs none at its end
 * @ids:	[CLS], the text's tokens, [SEP]
 * @max_ids:	room at @ids, at least 2. What does not fit is cut off before [SEP].
 * @nr_ids:	ids that the whole text takes, more than @max_ids if it was cut
 *
 * May be called from several threads at once. Return: 0, -EILSEQ (the text is
 * not valid UTF-8), -EINVAL (@max_ids below 2), -ENOMEM.
 */
int mxrt_tokenizer_encode(const struct mxrt_tokenizer *tokenizer, const char *text, size_t bytes,
			  int32_t *ids, size_t max_ids, size_t *nr_ids);

#ifdef __cplusplus
}
#endif

#endif /* MXRT_TOKENIZER_H */
