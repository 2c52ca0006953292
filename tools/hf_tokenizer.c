// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * vocab.txt and tokenizer_config.json of a BERT folder.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "hf_config.h"
#include "hf_tokenizer.h"
#include "mxmap.h"

#define MAX_VOCAB_BYTES (256u << 20)
#define MAX_WORD 100	/* as the reference tokenizer, where no setting reaches it */

/* One '\n' after each token, whatever line ends the file has. */
static int normalise_lines(struct hf_tokenizer *t)
{
	char *from = t->vocab, *to = t->vocab, *end = t->vocab + t->vocab_bytes;

	/* mxmap_read_file() leaves room for one more byte. */
	if (end > from && end[-1] != '\n')
		*end++ = '\n';
	while (from < end) {
		char *newline = memchr(from, '\n', end - from);
		size_t bytes = newline - from;

		if (bytes && from[bytes - 1] == '\r')
			bytes--;
		memmove(to, from, bytes);
		to += bytes;
		*to++ = '\n';
		from = newline + 1;
		t->nr_tokens++;
	}
	t->vocab_bytes = to - t->vocab;
	return t->nr_tokens ? 0 : mxmap_fail("vocab.txt is empty");
}

static int check_utf8(const struct hf_tokenizer *t)
{
	const char *at = t->vocab, *end = at + t->vocab_bytes;
	size_t line = 1;

	while (at < end) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)at,
							 end - at < 4 ? end - at : 4, &c);

		if (used < 1)
			return mxmap_fail("vocab.txt: line %zu is not valid UTF-8", line);
		line += *at == '\n';
		at += used;
	}
	return 0;
}

/* Id of a token; of equal ones the last, as everywhere. UINT32_MAX: not there */
static uint32_t find_token(const struct hf_tokenizer *t, const char *token)
{
	const char *at = t->vocab, *end = at + t->vocab_bytes;
	size_t length = strlen(token);
	uint32_t id, found = UINT32_MAX;

	for (id = 0; at < end; id++) {
		const char *newline = memchr(at, '\n', end - at);

		if ((size_t)(newline - at) == length && !memcmp(at, token, length))
			found = id;
		at = newline + 1;
	}
	return found;
}

/* A special token's text: a string, or an object that has it as "content" */
static const char *token_text(const json_t *json, const char *key, const char *fallback)
{
	const json_t *value = json_object_get(json, key);

	if (json_is_object(value))
		value = json_object_get(value, "content");
	return json_is_string(value) ? json_string_value(value) : fallback;
}

static int find_special(const struct hf_tokenizer *t, const json_t *json, const char *key,
			const char *fallback, uint32_t *id)
{
	const char *text = token_text(json, key, fallback);
	uint32_t found = find_token(t, text);

	if (found == UINT32_MAX)
		return mxmap_fail("vocab.txt lacks the token %s, which is the %s", text, key);
	*id = found;
	return 0;
}

/* true, false, or what holds if the file does not say */
static bool setting(const json_t *json, const char *key, bool fallback)
{
	const json_t *value = json_object_get(json, key);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

static int configure(struct hf_tokenizer *t, const json_t *json)
{
	struct mxaccel_tokenizer *config = &t->config;
	bool lower = setting(json, "do_lower_case", true);

	if (find_special(t, json, "pad_token", "[PAD]", &config->pad) ||
	    find_special(t, json, "unk_token", "[UNK]", &config->unk) ||
	    find_special(t, json, "cls_token", "[CLS]", &config->cls) ||
	    find_special(t, json, "sep_token", "[SEP]", &config->sep))
		return -1;
	if (config->pad)
		return mxmap_fail("vocab.txt: the padding token has id %u; padding is id 0 on this chip",
				  config->pad);
	if (lower)
		config->flags |= MXACCEL_TOK_LOWER;
	if (setting(json, "strip_accents", lower))
		config->flags |= MXACCEL_TOK_STRIP_ACCENTS;
	if (setting(json, "tokenize_chinese_chars", true))
		config->flags |= MXACCEL_TOK_SPLIT_CJK;
	config->max_word = MAX_WORD;
	return 0;
}

int hf_tokenizer_read(const char *folder, uint32_t max_tokens, struct hf_tokenizer *t)
{
	char *path = mxmap_path(folder, "vocab.txt");
	json_t *json = NULL;
	int ret;

	memset(t, 0, sizeof(*t));
	if (!path)
		return -1;
	t->vocab = mxmap_read_file(path, MAX_VOCAB_BYTES, &t->vocab_bytes);
	free(path);
	if (!t->vocab && errno == ENOENT)
		return mxmap_fail("%s has no vocab.txt", folder);
	if (!t->vocab || normalise_lines(t) || check_utf8(t))
		return -1;
	if (t->nr_tokens > max_tokens)
		return mxmap_fail("vocab.txt has %u tokens, config.json says vocab_size %u",
				  t->nr_tokens, max_tokens);
	ret = hf_read_json(folder, "tokenizer_config.json", &json);
	if (ret >= 0)
		ret = configure(t, json);
	json_decref(json);
	return ret;
}

void hf_tokenizer_free(struct hf_tokenizer *t)
{
	free(t->vocab);
	t->vocab = NULL;
}
