// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * WordPiece: words to the longest pieces that the vocabulary holds.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "tokenizer.h"
#include "tokenizer_unicode.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define FLAGS_KNOWN (MXACCEL_TOK_LOWER | MXACCEL_TOK_STRIP_ACCENTS | MXACCEL_TOK_SPLIT_CJK)
#define PREFIX "##"	/* of a piece that does not start a word */
#define MAX_LITERALS 5	/* [PAD] [UNK] [CLS] [SEP] [MASK] */
#define NOTHING UINT32_MAX

struct token {
	const char *text;
	uint32_t bytes;
};

struct mxrt_tokenizer {
	uint32_t flags, unk, cls, sep, max_word;
	char *vocab;
	struct token *token;
	uint32_t nr_tokens;
	uint32_t longest;		/* token, in bytes */
	uint32_t *slot;			/* hash table of ids, open addressing */
	uint32_t slot_mask;
	uint32_t literal[MAX_LITERALS];	/* special tokens that a text may spell out */
	uint32_t nr_literals;
};

/* Where an encoding stands: @nr goes on past @max, so that the whole length is known. */
struct output {
	int32_t *ids;
	size_t nr, max;
};

/* A word: its UTF-8 text, and where in it each character starts */
struct word {
	char *text;
	uint32_t *start;
};

static int fail(char *err, size_t err_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, err_bytes, format, args);
	va_end(args);
	return -EINVAL;
}

/* FNV-1a, which can be continued: the hash of a prefix leads to that of a longer one */
static uint32_t hash_more(uint32_t hash, const char *text, size_t bytes)
{
	while (bytes--)
		hash = (hash ^ (uint8_t)*text++) * 16777619u;
	return hash;
}

static uint32_t hash_start(const char *text, size_t bytes)
{
	return hash_more(2166136261u, text, bytes);
}

/* The slot that holds the token prefix + text, or the empty one where it belongs */
static uint32_t *find_slot(const struct mxrt_tokenizer *t, uint32_t hash, const char *prefix,
			   size_t prefix_bytes, const char *text, size_t bytes)
{
	uint32_t at = (hash ^ hash >> 15) & t->slot_mask;

	while (t->slot[at] != NOTHING) {
		const struct token *token = &t->token[t->slot[at]];

		if (token->bytes == prefix_bytes + bytes &&
		    !memcmp(token->text, prefix, prefix_bytes) &&
		    !memcmp(token->text + prefix_bytes, text, bytes))
			break;
		at = (at + 1) & t->slot_mask;
	}
	return &t->slot[at];
}

static int fill_table(struct mxrt_tokenizer *t)
{
	size_t slots = 16;
	uint32_t id;

	while (slots < 2 * (size_t)t->nr_tokens)
		slots *= 2;
	t->slot = malloc(slots * sizeof(*t->slot));
	if (!t->slot)
		return -ENOMEM;
	memset(t->slot, 0xff, slots * sizeof(*t->slot));
	t->slot_mask = slots - 1;
	for (id = 0; id < t->nr_tokens; id++) {
		const struct token *token = &t->token[id];

		/* Of equal tokens the last counts, as in the reference. */
		*find_slot(t, hash_start(token->text, token->bytes), "", 0, token->text,
			   token->bytes) = id;
		if (token->bytes > t->longest)
			t->longest = token->bytes;
	}
	return 0;
}

static int split_vocabulary(struct mxrt_tokenizer *t, size_t bytes, char *err, size_t err_bytes)
{
	const char *at = t->vocab, *end = t->vocab + bytes, *newline;
	size_t nr = 0;

	for (newline = at; newline < end; newline++)
		nr += *newline == '\n';
	if (!nr || end[-1] != '\n')
		return fail(err, err_bytes, "the vocabulary does not end with a line end");
	if (nr > INT32_MAX / 4)
		return fail(err, err_bytes, "the vocabulary has %zu tokens, more than ids", nr);
	t->token = calloc(nr, sizeof(*t->token));
	if (!t->token)
		return -ENOMEM;
	for (; at < end; at = newline + 1) {
		newline = memchr(at, '\n', end - at);
		if (newline - at > UINT16_MAX)
			return fail(err, err_bytes, "token %u of the vocabulary is %td bytes long",
				    t->nr_tokens, newline - at);
		t->token[t->nr_tokens].text = at;
		t->token[t->nr_tokens++].bytes = newline - at;
	}
	return 0;
}

static void add_literal(struct mxrt_tokenizer *t, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < t->nr_literals; i++)
		if (t->literal[i] == id)
			return;
	if (t->token[id].bytes)
		t->literal[t->nr_literals++] = id;
}

static int configure(struct mxrt_tokenizer *t, const struct mxaccel_tokenizer *config,
		     char *err, size_t err_bytes)
{
	const struct {
		const char *name;
		uint32_t id;
	} special[] = {
		{ "padding", le32toh(config->pad) }, { "unknown", le32toh(config->unk) },
		{ "first", le32toh(config->cls) }, { "last", le32toh(config->sep) },
	};
	static const char mask[] = "[MASK]";
	uint32_t id;
	size_t i;

	t->flags = le32toh(config->flags);
	if (t->flags & ~FLAGS_KNOWN)
		return fail(err, err_bytes, "the tokenizer has unknown flags 0x%x",
			    t->flags & ~FLAGS_KNOWN);
	t->max_word = le32toh(config->max_word);
	if (!t->max_word || t->max_word > UINT16_MAX)
		return fail(err, err_bytes, "the tokenizer's longest word of %u characters is not in 1 .. %u",
			    t->max_word, UINT16_MAX);
	for (i = 0; i < ARRAY_SIZE(special); i++) {
		if (special[i].id >= t->nr_tokens)
			return fail(err, err_bytes, "the tokenizer's %s token %u is not among the %u of the vocabulary",
				    special[i].name, special[i].id, t->nr_tokens);
		add_literal(t, special[i].id);
	}
	t->unk = special[1].id;
	t->cls = special[2].id;
	t->sep = special[3].id;
	id = *find_slot(t, hash_start(mask, strlen(mask)), "", 0, mask, strlen(mask));
	if (id != NOTHING)
		add_literal(t, id);
	return 0;
}

int mxrt_tokenizer_new(const struct mxaccel_tokenizer *config, const char *vocab,
		       size_t vocab_bytes, struct mxrt_tokenizer **out,
		       char *err, size_t err_bytes)
{
	struct mxrt_tokenizer *t = calloc(1, sizeof(*t));
	int ret = -ENOMEM;

	*out = NULL;
	if (t)
		t->vocab = malloc(vocab_bytes + 1);
	if (t && t->vocab) {
		memcpy(t->vocab, vocab, vocab_bytes);
		ret = split_vocabulary(t, vocab_bytes, err, err_bytes);
		if (!ret)
			ret = fill_table(t);
		if (!ret)
			ret = configure(t, config, err, err_bytes);
	}
	if (ret == -ENOMEM)
		fail(err, err_bytes, "out of memory for the vocabulary");
	if (ret)
		mxrt_tokenizer_free(t);
	else
		*out = t;
	return ret;
}

void mxrt_tokenizer_free(struct mxrt_tokenizer *t)
{
	if (!t)
		return;
	free(t->slot);
	free(t->token);
	free(t->vocab);
	free(t);
}

static void emit(struct output *out, uint32_t id)
{
	if (out->nr < out->max)
		out->ids[out->nr] = id;
	out->nr++;
}

static void emit_word(const struct mxrt_tokenizer *t, const struct word *word, size_t nr_chars,
		      uint32_t *hash, struct output *out)
{
	size_t begin = 0, mark = out->nr;

	while (begin < nr_chars) {
		size_t prefix_bytes = begin ? strlen(PREFIX) : 0, end;
		const char *text = word->text + word->start[begin];
		uint32_t before = hash_start(PREFIX, prefix_bytes), id = NOTHING;

		for (end = begin; end < nr_chars &&
		     word->start[end + 1] - word->start[begin] + prefix_bytes <= t->longest; end++) {
			before = hash_more(before, word->text + word->start[end],
					   word->start[end + 1] - word->start[end]);
			hash[end] = before;
		}
		for (; end > begin && id == NOTHING; end--)
			id = *find_slot(t, hash[end - 1], PREFIX, prefix_bytes, text,
					word->start[end] - word->start[begin]);
		if (id == NOTHING) {
			/* One unknown piece makes the whole word unknown. */
			out->nr = mark;
			emit(out, t->unk);
			return;
		}
		emit(out, id);
		begin = end + 1;
	}
}

/* Pieces of the word chars[0 .. nr) */
static int encode_word(const struct mxrt_tokenizer *t, const int32_t *chars, size_t nr,
		       struct output *out)
{
	uint32_t start_room[129], hash_room[128];
	char text_room[4 * 128];
	struct word word = { text_room, start_room };
	uint32_t *hash = hash_room;
	void *room = NULL;
	size_t i;

	if (nr > t->max_word) {
		emit(out, t->unk);
		return 0;
	}
	if (nr > 128) {
		room = malloc((2 * nr + 1) * sizeof(*hash) + 4 * nr);
		if (!room)
			return -ENOMEM;
		hash = room;
		word.start = hash + nr;
		word.text = (char *)(word.start + nr + 1);
	}
	word.start[0] = 0;
	for (i = 0; i < nr; i++)
		word.start[i + 1] = word.start[i] +
			utf8proc_encode_char(chars[i], (uint8_t *)word.text + word.start[i]);
	emit_word(t, &word, nr, hash, out);
	free(room);
	return 0;
}

/* Text without special tokens in it */
static int encode_plain(const struct mxrt_tokenizer *t, const char *text, size_t bytes,
			struct mxrt_chars *chars, struct output *out)
{
	size_t i, begin = 0;
	int ret = bytes ? mxrt_normalise(text, bytes, t->flags, chars) : 0;

	if (ret || !bytes)
		return ret;
	for (i = 0; i < chars->nr && !ret; i++) {
		int32_t c = chars->at[i];
		bool space = mxrt_is_space(c);

		if (!space && !mxrt_is_punctuation(c))
			continue;
		if (i > begin)
			ret = encode_word(t, chars->at + begin, i - begin, out);
		if (!ret && !space)
			ret = encode_word(t, chars->at + i, 1, out);
		begin = i + 1;
	}
	if (!ret && i > begin)
		ret = encode_word(t, chars->at + begin, i - begin, out);
	return ret;
}

/* The longest special token that starts here, or NOTHING */
static uint32_t match_literal(const struct mxrt_tokenizer *t, const char *text, size_t bytes)
{
	uint32_t i, best = NOTHING;

	for (i = 0; i < t->nr_literals; i++) {
		const struct token *token = &t->token[t->literal[i]];

		if (token->bytes <= bytes && token->text[0] == text[0] &&
		    !memcmp(token->text, text, token->bytes) &&
		    (best == NOTHING || token->bytes > t->token[best].bytes))
			best = t->literal[i];
	}
	return best;
}

int mxrt_tokenizer_encode(const struct mxrt_tokenizer *t, const char *text, size_t bytes,
			  int32_t *ids, size_t max_ids, size_t *nr_ids)
{
	struct output out = { ids, 0, max_ids - 1 };	/* [SEP] has a place of its own. */
	struct mxrt_chars chars = { 0 };
	size_t at = 0, begin = 0;
	int ret = 0;

	*nr_ids = 0;
	if (max_ids < 2)
		return -EINVAL;
	emit(&out, t->cls);
	while (at < bytes && !ret) {
		uint32_t id = match_literal(t, text + at, bytes - at);

		if (id == NOTHING) {
			at++;
			continue;
		}
		ret = encode_plain(t, text + begin, at - begin, &chars, &out);
		if (!ret)
			emit(&out, id);
		at += t->token[id].bytes;
		begin = at;
	}
	if (!ret)
		ret = encode_plain(t, text + begin, bytes - begin, &chars, &out);
	free(chars.at);
	if (ret)
		return ret;
	ids[out.nr < out.max ? out.nr : out.max] = t->sep;
	*nr_ids = out.nr + 1;
	return 0;
}
