// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The tokenizer on a small vocabulary: every rule once, and bad input.
 * tests/e2e/test_tokenizer.py compares it with the reference at large.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tokenizer.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALL_FLAGS (MXACCEL_TOK_LOWER | MXACCEL_TOK_STRIP_ACCENTS | MXACCEL_TOK_SPLIT_CJK)

enum {
	PAD, UNK, CLS, SEP, MASK, UN, AFF, ABLE, CAFE, CAFE_ACUTE, EAST, CAPITAL, DOT, I_DOT, TWICE,
	TWICE_AGAIN, A, MORE_A, NR
};

static const char vocabulary[] =
	"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\ncafe\ncaf\xc3\xa9\n\xe6\x9d\xb1\n"
	"\xe4\xba\xac\n.\ni\xcc\x87\ntwice\ntwice\na\n##a\n";

static struct mxaccel_tokenizer configuration(uint32_t flags)
{
	return (struct mxaccel_tokenizer){
		.flags = htole32(flags), .pad = htole32(PAD), .unk = htole32(UNK),
		.cls = htole32(CLS), .sep = htole32(SEP), .max_word = htole32(100),
	};
}

static struct mxrt_tokenizer *make(uint32_t flags)
{
	struct mxaccel_tokenizer config = configuration(flags);
	struct mxrt_tokenizer *tokenizer;
	char err[128] = "";

	if (mxrt_tokenizer_new(&config, vocabulary, strlen(vocabulary), &tokenizer, err,
			       sizeof(err)))
		fail_msg("%s", err);
	return tokenizer;
}

static void expect(uint32_t flags, const char *text, const int32_t *want, size_t nr_want)
{
	struct mxrt_tokenizer *tokenizer = make(flags);
	/* Exactly as long as the text, so that the sanitizer sees a read beyond it. */
	char *copy = malloc(strlen(text) ? strlen(text) : 1);
	int32_t ids[256];
	size_t nr, i;

	memcpy(copy, text, strlen(text));
	assert_int_equal(mxrt_tokenizer_encode(tokenizer, copy, strlen(text), ids,
					       ARRAY_SIZE(ids), &nr), 0);
	assert_int_equal(nr, nr_want + 2);
	assert_int_equal(ids[0], CLS);
	assert_int_equal(ids[nr - 1], SEP);
	for (i = 0; i < nr_want; i++)
		assert_int_equal(ids[i + 1], want[i]);
	free(copy);
	mxrt_tokenizer_free(tokenizer);
}

#define EXPECT(flags, text, ...) do {				\
	const int32_t want_[] = { __VA_ARGS__ };		\
	expect(flags, text, want_, ARRAY_SIZE(want_));		\
} while (0)

static void test_words(void **state)
{
	(void)state;
	expect(ALL_FLAGS, "", NULL, 0);
	expect(ALL_FLAGS, " \t\n", NULL, 0);
	EXPECT(ALL_FLAGS, "UNaffable.", UN, AFF, ABLE, DOT);
	EXPECT(ALL_FLAGS, "unaffablex un", UNK, UN);
	EXPECT(ALL_FLAGS, "aff", UNK);
	EXPECT(ALL_FLAGS, "un\xc2\xa0un\xe3\x80\x80un", UN, UN, UN);
	EXPECT(ALL_FLAGS, "u\xe2\x80\x8bn\x01", UN);
	EXPECT(ALL_FLAGS, "twice", TWICE_AGAIN);
}

static void test_flags(void **state)
{
	(void)state;
	EXPECT(ALL_FLAGS, "CAF\xc3\x89", CAFE);
	EXPECT(ALL_FLAGS, "cafe\xcc\x81", CAFE);
	EXPECT(MXACCEL_TOK_LOWER, "CAF\xc3\x89", CAFE_ACUTE);
	EXPECT(MXACCEL_TOK_STRIP_ACCENTS, "caf\xc3\xa9 CAF\xc3\x89", CAFE, UNK);
	EXPECT(0, "CAFE cafe", UNK, CAFE);
	EXPECT(ALL_FLAGS, "\xe6\x9d\xb1\xe4\xba\xac", EAST, CAPITAL);
	EXPECT(MXACCEL_TOK_LOWER, "\xe6\x9d\xb1\xe4\xba\xac", UNK);
	EXPECT(MXACCEL_TOK_LOWER, "\xc4\xb0", I_DOT);
}

static void test_special_tokens(void **state)
{
	(void)state;
	EXPECT(ALL_FLAGS, "un[SEP]un[MASK] [PAD]", UN, SEP, UN, MASK, PAD);
	EXPECT(ALL_FLAGS, "[sep", UNK, UNK);
}

static void test_long_words(void **state)
{
	int32_t want[150];
	char text[102];
	size_t i;

	(void)state;
	memset(text, 'a', 101);
	text[101] = 0;
	EXPECT(ALL_FLAGS, text, UNK);
	text[100] = 0;
	for (i = 0; i < 100; i++)
		want[i] = i ? MORE_A : A;
	expect(ALL_FLAGS, text, want, 100);
}

static void test_room(void **state)
{
	struct mxrt_tokenizer *tokenizer = make(ALL_FLAGS);
	size_t room, nr;

	(void)state;
	for (room = 2; room < 9; room++) {
		int32_t *ids = malloc(room * sizeof(*ids));

		assert_int_equal(mxrt_tokenizer_encode(tokenizer, "un a un a.", 10, ids, room,
						       &nr), 0);
		assert_int_equal(nr, 7);
		assert_int_equal(ids[0], CLS);
		assert_int_equal(ids[(room < nr ? room : nr) - 1], SEP);
		free(ids);
	}
	assert_int_equal(mxrt_tokenizer_encode(tokenizer, "un", 2, NULL, 1, &nr), -EINVAL);
	assert_int_equal(nr, 0);
	mxrt_tokenizer_free(tokenizer);
}

static void test_invalid_utf8(void **state)
{
	static const char * const bad[] = {
		"\xff", "un\x80", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf4\x90\x80\x80",
		"[SEP]\xe9", "\xe9[SEP]",
	};
	struct mxrt_tokenizer *tokenizer = make(ALL_FLAGS);
	int32_t ids[16];
	size_t nr, i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(mxrt_tokenizer_encode(tokenizer, bad[i], strlen(bad[i]), ids,
						       ARRAY_SIZE(ids), &nr), -EILSEQ);
		assert_int_equal(nr, 0);
	}
	assert_int_equal(mxrt_tokenizer_encode(tokenizer, "u\0n", 3, ids, ARRAY_SIZE(ids), &nr), 0);
	assert_int_equal(nr, 3);
	assert_int_equal(ids[1], UN);
	mxrt_tokenizer_free(tokenizer);
}

static void refuse(struct mxaccel_tokenizer config, const char *vocab, size_t bytes,
		   const char *about)
{
	struct mxrt_tokenizer *tokenizer;
	char err[128] = "";

	assert_int_equal(mxrt_tokenizer_new(&config, vocab, bytes, &tokenizer, err, sizeof(err)),
			 -EINVAL);
	assert_null(tokenizer);
	if (!strstr(err, about))
		fail_msg("\"%s\" does not say \"%s\"", err, about);
}

static void test_bad_sections(void **state)
{
	struct mxaccel_tokenizer config = configuration(ALL_FLAGS);
	size_t bytes = strlen(vocabulary);

	(void)state;
	refuse(config, "", 0, "line end");
	refuse(config, vocabulary, bytes - 1, "line end");
	config.flags = htole32(0x100);
	refuse(config, vocabulary, bytes, "0x100");
	config = configuration(ALL_FLAGS);
	config.sep = htole32(NR);
	refuse(config, vocabulary, bytes, "last token 18 is not among the 18");
	config = configuration(ALL_FLAGS);
	config.max_word = 0;
	refuse(config, vocabulary, bytes, "longest word");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_special_tokens),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_invalid_utf8),
		cmocka_unit_test(test_bad_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
