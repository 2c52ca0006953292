/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for calibration: a sentence a line, as token ids. */
#ifndef CALIBRATION_TEXT_H
#define CALIBRATION_TEXT_H

#include "hf_tokenizer.h"

#define CALIBRATION_TOKENS 512	/* that are used, unless told otherwise */
#define CALIBRATION_MAX_TOKENS 65536

/**
 * struct calibration_text - sentences that a model is calibrated with
 * @sha256:	of the file
 * @lines:	of it that are sentences
 * @used:	of them, evenly spread over the file: rows of @ids
 * @tokens:	of these, [CLS] and [SEP] included
 * @cut:	of these, sentences that were longer than the model takes
 * @nothing:	lines that have no token: of control characters, say
 * @width:	tokens of the longest
 * @ids:	[used, width], filled up with zeros
 */
struct calibration_text {
	uint8_t sha256[32];
	uint32_t lines, used, tokens, cut, nothing, width;
	int32_t *ids;
};

/**
 * calibration_text_read() - sentences of a file
 * @max_tokens:	longest sequence that the model takes
 * @budget:	tokens to be used at most; one sentence is used in any case
 *
 * Return: 0 or -1 after mxmap_fail().
 */
int calibration_text_read(const char *path, const struct hf_tokenizer *tokenizer,
			  uint32_t max_tokens, uint32_t budget, struct calibration_text *text);
void calibration_text_free(struct calibration_text *text);

#endif /* CALIBRATION_TEXT_H */
