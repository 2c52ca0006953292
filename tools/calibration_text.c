// SPDX-License-Identifier: LGPL-2.1-or-later
/* Text for calibration: lines to token ids, of which an even sample is used. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "calibration_text.h"
#include "digest.h"
#include "mxmap.h"
#include "tokenizer.h"

#define MAX_BYTES (64u << 20)	/* of the file */
#define MAX_LINE 65536		/* bytes of a line */
#define MAX_LINES 100000
#define SPECIAL 2		/* [CLS] and [SEP], which any line has */

/* A sentence's ids in the buffer of all */
struct sentence {
	size_t first;
	uint32_t nr;
	bool cut;
};

struct reader {
	const char *path;
	struct mxrt_tokenizer *tokenizer;
	uint32_t max_tokens;
	struct sentence *sentence;
	int32_t *ids;
	size_t nr_ids, room;
	uint64_t tokens;
};

static bool blank(const char *line, size_t bytes)
{
	while (bytes && (*line == ' ' || *line == '\t' || *line == '\r')) {
		line++;
		bytes--;
	}
	return !bytes;
}

static int check_line(const char *path, const char *line, size_t bytes, size_t number)
{
	size_t at = 0;

	if (bytes > MAX_LINE)
		return mxmap_fail("%s: line %zu has %zu bytes, a sentence can have %u: one sentence a line",
				  path, number, bytes, MAX_LINE);
	if (memchr(line, 0, bytes))
		return mxmap_fail("%s: line %zu has a NUL: this is no text", path, number);
	while (at < bytes) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)line + at,
							 bytes - at, &c);

		if (used < 1)
			return mxmap_fail("%s: line %zu is not valid UTF-8", path, number);
		at += used;
	}
	return 0;
}

static int add_sentence(struct reader *r, const char *line, size_t bytes, size_t number,
			struct calibration_text *text)
{
	struct sentence *sentence = &r->sentence[text->lines];
	size_t nr;

	if (text->lines == MAX_LINES)
		return mxmap_fail("%s has more than %u sentences: a part of them is enough for calibration",
				  r->path, MAX_LINES);
	if (r->room - r->nr_ids < r->max_tokens) {
		size_t room = 2 * r->room + r->max_tokens;
		int32_t *ids = realloc(r->ids, room * sizeof(*ids));

		if (!ids)
			return mxmap_no_memory();
		r->ids = ids;
		r->room = room;
	}
	if (mxrt_tokenizer_encode(r->tokenizer, line, bytes, r->ids + r->nr_ids, r->max_tokens,
				  &nr))
		return mxmap_fail("%s: line %zu cannot be tokenised", r->path, number);
	if (nr <= SPECIAL) {
		text->nothing++;
		return 0;
	}
	sentence->first = r->nr_ids;
	sentence->cut = nr > r->max_tokens;
	sentence->nr = sentence->cut ? r->max_tokens : nr;
	r->nr_ids += sentence->nr;
	r->tokens += sentence->nr;
	text->lines++;
	return 0;
}

static int read_lines(struct reader *r, const char *at, size_t bytes, struct calibration_text *text)
{
	const char *end = at + bytes;
	size_t number;

	for (number = 1; at < end; number++) {
		const char *newline = memchr(at, '\n', end - at);
		size_t length = newline ? newline - at : end - at;

		if (check_line(r->path, at, length, number) ||
		    (!blank(at, length) && add_sentence(r, at, length, number, text)))
			return -1;
		at += length + 1;
	}
	if (!text->lines)
		return mxmap_fail(text->nothing ? "%s: no line has any token" :
						  "%s has no sentence: one a line is needed", r->path);
	return 0;
}

/* Sentences evenly over the file, as many as the budget allows. */
static void choose(struct reader *r, uint32_t budget, struct calibration_text *text)
{
	uint64_t before = 0, share = budget < r->tokens ? budget : r->tokens;
	uint32_t i;

	for (i = 0; i < text->lines; i++) {
		struct sentence sentence = r->sentence[i];

		if (!text->used ||
		    (text->tokens * r->tokens <= before * share &&
		     text->tokens + sentence.nr <= budget)) {
			r->sentence[text->used++] = sentence;
			text->tokens += sentence.nr;
			text->cut += sentence.cut;
			if (sentence.nr > text->width)
				text->width = sentence.nr;
		}
		before += sentence.nr;
	}
}

static int take(struct reader *r, struct calibration_text *text)
{
	uint32_t i;

	text->ids = calloc((size_t)text->used * text->width, sizeof(*text->ids));
	if (!text->ids)
		return mxmap_no_memory();
	for (i = 0; i < text->used; i++)
		memcpy(text->ids + (size_t)i * text->width, r->ids + r->sentence[i].first,
		       r->sentence[i].nr * sizeof(*r->ids));
	return 0;
}

static int parse(struct reader *r, const struct hf_tokenizer *tokenizer, const char *data,
		 size_t bytes, uint32_t budget, struct calibration_text *text)
{
	char err[256];

	if (r->max_tokens <= SPECIAL)
		return mxmap_fail("--max-tokens %u leaves no room for a word: calibration needs sentences",
				  r->max_tokens);
	if (mx_sha256(data, bytes, text->sha256))
		return mxmap_fail("the crypto library failed to hash");
	r->sentence = malloc((MAX_LINES + 1) * sizeof(*r->sentence));
	if (!r->sentence)
		return mxmap_no_memory();
	if (mxrt_tokenizer_new(&tokenizer->config, tokenizer->vocab, tokenizer->vocab_bytes,
			       &r->tokenizer, err, sizeof(err)))
		return mxmap_fail("%s", err);
	if (read_lines(r, data, bytes, text))
		return -1;
	choose(r, budget, text);
	return take(r, text);
}

int calibration_text_read(const char *path, const struct hf_tokenizer *tokenizer,
			  uint32_t max_tokens, uint32_t budget, struct calibration_text *text)
{
	struct reader r = { .path = path, .max_tokens = max_tokens };
	size_t bytes;
	char *data = mxmap_read_file(path, MAX_BYTES, &bytes);
	int ret;

	memset(text, 0, sizeof(*text));
	if (!data)
		return errno == ENOENT ? mxmap_fail("cannot open %s: no such file", path) : -1;
	ret = parse(&r, tokenizer, data, bytes, budget, text);
	if (!ret && text->nothing)
		mxmap_warn("%s: %u lines have no token and are left out", path, text->nothing);
	if (!ret && text->cut)
		mxmap_warn("%s: %u of the sentences are longer than %u tokens and are cut", path,
			   text->cut, max_tokens);
	mxrt_tokenizer_free(r.tokenizer);
	free(r.sentence);
	free(r.ids);
	free(data);
	return ret;
}

void calibration_text_free(struct calibration_text *text)
{
	free(text->ids);
	text->ids = NULL;
}
