// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The image reader against good, damaged, odd and hostile images. Built with
 * the address and undefined-behaviour sanitizers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mini_image.h"
#include "mxrt.h"
#include "sample_model.h"

#define NR_MUTANTS 20000
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static int make_image(void **state)
{
	struct mini_image *image = malloc(sizeof(*image));

	*image = mini_image_make(0, 0);
	*state = image;
	return 0;
}

static int free_image(void **state)
{
	mini_image_free(*state);
	free(*state);
	return 0;
}

static int try_open(const struct mini_image *image)
{
	struct mxrt_image *opened = NULL;
	int err = mxrt_image_open_memory(image->data, image->bytes, MXRT_IMAGE_VERIFY, &opened);

	mxrt_image_close(opened);
	return err;
}

/* The image is refused with @err, and the sentence holds @words. */
static void refused(const struct mini_image *image, int err, const char *words)
{
	int got = try_open(image);

	if (got != err || !strstr(mxrt_last_error(), words))
		fail_msg("expected %d with \"%s\", got %d: %s", err, words, got, mxrt_last_error());
}

static void test_good(void **state)
{
	struct mini_image *mini = *state;
	struct mxrt_image_info info = { .size = sizeof(info) };
	struct mxrt_entry_info entry = { .size = sizeof(entry) };
	struct mxrt_image *image;

	assert_int_equal(mxrt_image_open_memory(mini->data, mini->bytes, 0, &image), 0);
	assert_int_equal(mxrt_image_info(image, &info), 0);
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(info.file_bytes, mini->bytes);
	assert_int_equal(info.nr_entries, 2);
	assert_int_equal(info.vocab, SAMPLE_VOCAB);
	assert_int_equal(info.max_tokens, SAMPLE_TOKENS);
	assert_int_equal(info.has_tokenizer, 1);
	assert_string_equal(info.name, "sample");
	assert_string_equal(info.chip, "tiny");
	assert_memory_equal(info.card, "{\"license\"", 10);
	assert_memory_equal(info.content, mini_image_header(mini)->content, 32);

	assert_int_equal(mxrt_image_entry(image, 0, &entry), 0);
	assert_string_equal(entry.name, "tokens");
	assert_int_equal(entry.input.dtype, MXRT_INT32);
	assert_int_equal(entry.input.nr_dims, 2);
	assert_int_equal(entry.output.dtype, MXRT_FLOAT32);
	assert_int_equal(entry.output.nr_dims, 3);
	assert_int_equal(entry.output.dim[0], MXRT_DIM_SEQ);
	assert_int_equal(entry.output.dim[1], MXRT_DIM_TOKENS);
	assert_int_equal(entry.output.dim[2], SAMPLE_WIDTH);
	assert_int_equal(mxrt_image_entry(image, 1, &entry), 0);
	assert_int_equal(entry.output.nr_dims, 2);
	assert_int_equal(entry.output.dim[1], SAMPLE_WIDTH);
	assert_int_equal(mxrt_image_entry(image, 2, &entry), -ENOENT);
	assert_int_equal(mxrt_image_find_entry(image, "sentence"), 1);
	assert_int_equal(mxrt_image_find_entry(image, "nothing"), -ENOENT);
	assert_non_null(strstr(mxrt_last_error(), "nothing"));
	mxrt_image_close(image);
}

static void test_tokens(void **state)
{
	struct mini_image *mini = *state;
	const int32_t whole[8] = { 2, 4, 5, 6, 9, 7, 3, 0 };	/* hello world ##s , a */
	const int32_t cut[4] = { 2, 4, 5, 3 };
	struct mxrt_image *image;
	int32_t ids[8];
	const char *text;
	size_t nr, bytes;

	assert_int_equal(mxrt_image_open_memory(mini->data, mini->bytes, 0, &image), 0);
	memset(ids, 0x55, sizeof(ids));
	assert_int_equal(mxrt_tokenize(image, "Hello worlds, \xc3\xa1", ids, 8, &nr), 0);
	assert_int_equal(nr, 7);
	assert_memory_equal(ids, whole, sizeof(whole));
	assert_int_equal(mxrt_tokenize(image, "hello worlds", ids, 4, &nr), 0);
	assert_int_equal(nr, 5);	/* of which 4 fitted */
	assert_memory_equal(ids, cut, sizeof(cut));
	assert_int_equal(mxrt_tokenize(image, "hello", ids, 1, NULL), -EINVAL);
	assert_int_equal(mxrt_tokenize(image, "\xff", ids, 8, NULL), -EILSEQ);
	assert_non_null(strstr(mxrt_last_error(), "UTF-8"));

	assert_int_equal(mxrt_image_token(image, 0, &text, &bytes), 0);
	assert_int_equal(bytes, 5);
	assert_memory_equal(text, "[PAD]", 5);
	assert_int_equal(mxrt_image_token(image, 9, &text, &bytes), 0);
	assert_int_equal(bytes, 1);
	assert_memory_equal(text, ",", 1);
	assert_int_equal(mxrt_image_token(image, 10, &text, &bytes), -EDOM);
	assert_int_equal(mxrt_image_token(image, -1, &text, &bytes), -EDOM);
	mxrt_image_close(image);
}

/* Any flipped bit is found: all of the header's, one of every other byte. */
static void test_flipped_bits(void **state)
{
	struct mini_image *image = *state;
	size_t byte, bit;

	for (byte = 0; byte < image->bytes; byte++) {
		for (bit = 0; bit < 8; bit++) {
			if (byte >= MXACCEL_PAGE && bit != byte % 7)
				continue;
			image->data[byte] ^= 1 << bit;
			if (!try_open(image))
				fail_msg("flipped bit %zu of byte %zu was not found", bit, byte);
			if (!strstr(mxrt_last_error(), "model image in memory: "))
				fail_msg("flipped bit %zu of byte %zu: %s", bit, byte,
					 mxrt_last_error());
			image->data[byte] ^= 1 << bit;
		}
	}
	assert_int_equal(try_open(image), 0);
}

/* The weights are left to mxrt_image_verify() and to loading, but they alone. */
static void test_flipped_weight(void **state)
{
	struct mini_image *mini = *state;
	struct mxrt_image *image;

	((uint8_t *)mini_image_data(mini, MXACCEL_SEC_PARAMS))[100] ^= 1;
	assert_int_equal(mxrt_image_open_memory(mini->data, mini->bytes, 0, &image), 0);
	assert_int_equal(mxrt_image_verify(image), -EBADMSG);
	assert_non_null(strstr(mxrt_last_error(), "PARAMS"));
	mxrt_image_close(image);
	((uint8_t *)mini_image_data(mini, MXACCEL_SEC_PARAMS))[100] ^= 1;
}

static void test_every_length(void **state)
{
	struct mini_image whole = *(struct mini_image *)*state;
	struct mini_image part;
	size_t bytes;

	for (bytes = 0; bytes < whole.bytes; bytes++) {
		/* Just that long, so that the sanitizer sees any read beyond. */
		part.bytes = bytes;
		assert_int_equal(posix_memalign((void **)&part.data, 8, bytes ? bytes : 8), 0);
		memcpy(part.data, whole.data, bytes);
		if (bytes < 8)
			refused(&part, -EINVAL, "not a model image");
		else
			refused(&part, -EBADMSG, "truncated");
		free(part.data);
		if (bytes > MXACCEL_PAGE + 100 && bytes + 200 < whole.bytes)
			bytes += 13;
	}
	part = mini_image_make(0, 0);
	part.bytes++;		/* its memory goes to the end of the page */
	refused(&part, -EBADMSG, "1 bytes after the image's end");
	mini_image_free(&part);
}

static void test_versions(void **state)
{
	struct mini_image *image = *state;
	struct mxaccel_image *header = mini_image_header(image);
	struct mxaccel_model *model = mini_image_data(image, MXACCEL_SEC_MODEL);
	struct mxaccel_tokenizer *tok = mini_image_data(image, MXACCEL_SEC_TOKENIZER);
	char words[64];
	int bit;

	header->major = 2;
	mini_image_seal(image);
	refused(image, -EPROTONOSUPPORT, "layout version 2.0");
	header->major = MXACCEL_IMAGE_MAJOR;
	header->minor = 77;		/* minor versions are compatible */
	header->compat = ~0ULL;
	mini_image_seal(image);
	assert_int_equal(try_open(image), 0);
	for (bit = 0; bit < 64; bit++) {
		snprintf(words, sizeof(words), "feature bit %d,", bit);
		header->incompat = 1ULL << bit;
		mini_image_seal(image);
		refused(image, -EPROTONOSUPPORT, words);
	}
	header->incompat = 0;
	model->incompat = 1ULL << 40;
	mini_image_seal(image);
	refused(image, -EPROTONOSUPPORT, "feature bit 40,");
	model->incompat = 0;
	model->version = 9;
	mini_image_seal(image);
	refused(image, -EPROTONOSUPPORT, "program of version 9");
	model->version = MXACCEL_MODEL_VERSION;
	tok->flags |= 1u << 31;
	mini_image_seal(image);
	refused(image, -EPROTONOSUPPORT, "feature bit 31,");
	tok->flags &= ~(1u << 31);
	mini_image_seal(image);
	assert_int_equal(try_open(image), 0);
}

static void test_section_table(void **state)
{
	static const struct {
		uint32_t section;
		size_t field;
		uint64_t value;
		const char *words;
	} cases[] = {
		{ 1, offsetof(struct mxaccel_section, offset), 4096, "inside of what ends" },
		{ 1, offsetof(struct mxaccel_section, offset), 0, "inside of what ends" },
		{ 1, offsetof(struct mxaccel_section, offset), 8193, "no page boundary" },
		{ 1, offsetof(struct mxaccel_section, offset), 1ULL << 40, "leaves the file" },
		{ 1, offsetof(struct mxaccel_section, offset), -4096ULL, "leaves the file" },
		{ 1, offsetof(struct mxaccel_section, bytes), 1ULL << 40, "leaves the file" },
		{ 1, offsetof(struct mxaccel_section, bytes), -1ULL, "leaves the file" },
		{ 1, offsetof(struct mxaccel_section, bytes), -8192ULL, "leaves the file" },
		{ 7, offsetof(struct mxaccel_section, bytes), 0x200, "leaves the file" },
		{ 0, offsetof(struct mxaccel_section, kind), 99, "no MODEL section" },
		{ 1, offsetof(struct mxaccel_section, kind), 99, "no PARAMS section" },
		{ 3, offsetof(struct mxaccel_section, kind), 1, "two MODEL sections" },
		{ 5, offsetof(struct mxaccel_section, kind), 2, "two PARAMS sections" },
		{ 7, offsetof(struct mxaccel_section, offset), 4096, "inside of what ends" },
	};
	struct mini_image *image = *state;
	struct mxaccel_image *header = mini_image_header(image);
	struct mxaccel_image saved = *header;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t *field = (uint8_t *)&header->section[cases[i].section] + cases[i].field;
		bool wide = cases[i].field;	/* kind, the first field, has 4 bytes */

		memcpy(field, &cases[i].value, 4);
		if (wide)
			memcpy(field, &cases[i].value, 8);
		mini_image_seal_header(image);
		refused(image, -EINVAL, cases[i].words);
		*header = saved;
	}
	header->nr_sections = MXACCEL_IMAGE_SECTIONS + 1;
	mini_image_seal_header(image);
	refused(image, -EINVAL, "49 sections");
	header->nr_sections = UINT32_MAX;
	mini_image_seal_header(image);
	refused(image, -EINVAL, "4294967295 sections");
	header->nr_sections = 0;
	mini_image_seal_header(image);
	refused(image, -EINVAL, "no MODEL section");
	*header = saved;
	header->section[0].kind = MXACCEL_SEC_PARAMS;
	header->section[1].kind = MXACCEL_SEC_MODEL;
	mini_image_seal_header(image);
	refused(image, -EINVAL, "does not follow");
	*header = saved;
	memset(header->name, 'x', sizeof(header->name));
	mini_image_seal_header(image);
	refused(image, -EINVAL, "not terminated");
	*header = saved;
	header->header_bytes = 8192;
	mini_image_seal_header(image);
	refused(image, -EINVAL, "header of 8192 bytes");
	*header = saved;
	header->content[5] ^= 1;
	mini_image_seal_header(image);
	refused(image, -EBADMSG, "content id");
	*header = saved;
	assert_int_equal(try_open(image), 0);
}

/* Changes one field of a section, which then must be refused although all digests are right. */
static void refused_with(struct mini_image *image, void *field, uint64_t value, size_t bytes,
			 const char *words)
{
	uint8_t saved[8];

	memcpy(saved, field, bytes);
	memcpy(field, &value, bytes);
	mini_image_seal(image);
	refused(image, -EINVAL, words);
	memcpy(field, saved, bytes);
}

static void test_contents(void **state)
{
	struct mini_image *image = *state;
	struct sample_section *model = mini_image_data(image, MXACCEL_SEC_MODEL);
	struct mxaccel_tokenizer *tok = mini_image_data(image, MXACCEL_SEC_TOKENIZER);
	struct mxaccel_golden *golden = mini_image_data(image, MXACCEL_SEC_GOLDEN);
	char *vocab = mini_image_data(image, MXACCEL_SEC_VOCAB);
	size_t vocab_bytes = mini_image_section(image, MXACCEL_SEC_VOCAB)->bytes;

	refused_with(image, &model->head.magic, 1, 4, "MODL");
	refused_with(image, &model->head.nr_regions, UINT32_MAX, 4, "regions");
	refused_with(image, &model->head.nr_entries, 3, 4, "3 entries");
	refused_with(image, &model->head.nr_ops, 0, 4, "0 ops");
	refused_with(image, &model->head.nr_steps, 1, 4, "1 rows of steps");
	refused_with(image, &model->head.params_bytes, 1, 8, "of PARAMS");
	refused_with(image, &model->head.vocab, 1, 4, "1 token ids");
	refused_with(image, &model->head.vocab, UINT32_MAX, 4, "token ids");
	refused_with(image, &model->head.vocab, 5, 4, "vocabulary of 10 tokens");
	refused_with(image, &model->head.max_tokens, 0, 4, "0 tokens at most");
	refused_with(image, model->entry[0].name, 0, 1, "no proper name");
	refused_with(image, &model->entry[0].first_op, 5, 4, "from LOAD");
	refused_with(image, &model->entry[1].first_op, UINT32_MAX, 4, "is made of ops");
	refused_with(image, &model->entry[1].nr_ops, UINT32_MAX, 4, "is made of ops");
	refused_with(image, &model->entry[1].out_kind, MXACCEL_REGION_SCORES, 1, "of kind 3");
	refused_with(image, &model->entry[1].out_cols, 0, 4, "0 columns");
	refused_with(image, &model->entry[1].out_cols, UINT32_MAX, 4, "columns");
	refused_with(image, &tok->cls, 10, 4, "cls 10");
	refused_with(image, &tok->unk, UINT32_MAX, 4, "unk 4294967295");
	refused_with(image, &tok->pad, 1, 4, "pad 1");
	refused_with(image, &tok->max_word, 0, 4, "words up to 0");
	refused_with(image, vocab + vocab_bytes - 1, 'x', 1, "open last line");
	refused_with(image, &golden->tokens, UINT32_MAX, 4, "GOLDEN");
	refused_with(image, &golden->nr_seq, 1U << 31, 4, "GOLDEN");
	refused_with(image, &golden->entry, 2, 4, "GOLDEN");
	memcpy(model->entry[1].name, model->entry[0].name, sizeof(model->entry[0].name));
	mini_image_seal(image);
	refused(image, -EINVAL, "two program entries");
	strcpy(model->entry[1].name, "sentence");
	mini_image_seal(image);
	assert_int_equal(try_open(image), 0);
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

/* Everything one can ask an image for */
static void ask(const struct mxrt_image *image)
{
	struct mxrt_image_info info = { .size = sizeof(info) };
	struct mxrt_entry_info entry = { .size = sizeof(entry) };
	const char *text;
	int32_t ids[16];
	uint32_t i;
	size_t bytes, sum = 0;

	mxrt_image_info(image, &info);
	sum += strlen(info.name) + strlen(info.chip) + strlen(info.builder);
	for (bytes = 0; bytes < info.card_bytes; bytes++)
		sum += info.card[bytes];
	for (i = 0; i < info.nr_entries; i++) {
		assert_int_equal(mxrt_image_entry(image, i, &entry), 0);
		assert_int_equal(mxrt_image_find_entry(image, entry.name), i);
	}
	for (i = 0; i < 16; i++)
		if (!mxrt_image_token(image, i, &text, &bytes))
			while (bytes)
				sum += text[--bytes];
	if (info.has_tokenizer)
		mxrt_tokenize(image, "hello worlds, a b", ids, 16, NULL);
	assert_true(sum);
}

/*
 * Mutants whose digests are right: what a hostile builder could write. They
 * are refused with a sentence, or work; the sanitizers watch.
 */
static void test_mutants(void **state)
{
	static const uint32_t kinds[] = {
		MXACCEL_SEC_MODEL, MXACCEL_SEC_VOCAB, MXACCEL_SEC_TOKENIZER, MXACCEL_SEC_GOLDEN,
	};
	struct mini_image *image = *state;
	struct mini_image mutant = mini_image_make(0, 0);
	unsigned int opened = 0, i, j;
	struct mxrt_image *handle;
	uint64_t seed = 42;

	for (i = 0; i < NR_MUTANTS; i++) {
		uint32_t kind = kinds[next_random(&seed) % 4];
		uint32_t changes = 1 + next_random(&seed) % 3;
		uint8_t *data = mini_image_data(&mutant, kind);
		uint64_t bytes = mini_image_section(&mutant, kind)->bytes;

		for (j = 0; j < changes; j++)
			data[next_random(&seed) % bytes] = next_random(&seed) >> 8;
		mini_image_seal(&mutant);
		if (next_random(&seed) % 4 == 0) {	/* the header, too */
			mutant.data[next_random(&seed) % MXACCEL_PAGE] ^= 1 + next_random(&seed) % 255;
			mini_image_seal_header(&mutant);
		}
		if (!mxrt_image_open_memory(mutant.data, mutant.bytes, 0, &handle)) {
			ask(handle);
			mxrt_image_close(handle);
			opened++;
		} else if (!strstr(mxrt_last_error(), "model image in memory: ")) {
			fail_msg("mutant %u: %s", i, mxrt_last_error());
		}
		memcpy(mutant.data, image->data, image->bytes);
	}
	mini_image_free(&mutant);
	/* Names, operands and tokens may be anything; so some must have come through. */
	assert_in_range(opened, NR_MUTANTS / 20, NR_MUTANTS - NR_MUTANTS / 20);
}

static void open_refused(const char *path, int err, const char *words)
{
	struct mxrt_image *image;
	int got = mxrt_image_open(path, 0, &image);

	if (got != err || !strstr(mxrt_last_error(), words))
		fail_msg("%s: expected %d with \"%s\", got %d: %s", path, err, words, got,
			 mxrt_last_error());
}

static void test_files(void **state)
{
	struct mini_image empty = { (uint8_t *)"", 0 }, text = { (uint8_t *)"hello, world", 12 };
	char dir[] = "/tmp/test_image.XXXXXX", path[64];
	struct mxrt_image *image;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/image.mxw", dir);
	open_refused(path, -ENOENT, path);
	open_refused(dir, -EISDIR, "not a regular file");
	open_refused("/dev/null", -EINVAL, "not a regular file");
	mini_image_write(&empty, path);
	open_refused(path, -EINVAL, "is empty");
	mini_image_write(&text, path);
	open_refused(path, -EINVAL, "not a model image");
	mini_image_write(*state, path);
	assert_int_equal(mxrt_image_open(path, MXRT_IMAGE_VERIFY, &image), 0);
	assert_int_equal(unlink(path), 0);
	ask(image);			/* lives on without its name */
	mxrt_image_close(image);
	assert_int_equal(mkfifo(path, 0600), 0);
	open_refused(path, -EINVAL, "not a regular file");	/* and does not wait for a writer */
	unlink(path);
	rmdir(dir);
}

/* Info structs of older and newer callers */
static void test_sizes(void **state)
{
	struct mini_image *mini = *state;
	struct {
		struct mxrt_image_info info;
		uint8_t more[16];
	} big;
	struct mxrt_image_info *info = &big.info;
	struct mxrt_image *image;

	assert_int_equal(mxrt_image_open_memory(mini->data, mini->bytes, 0, &image), 0);
	memset(&big, 0x55, sizeof(big));
	info->size = sizeof(big);
	assert_int_equal(mxrt_image_info(image, info), 0);
	assert_int_equal(info->size, sizeof(*info));
	assert_int_equal(big.more[0], 0x55);
	memset(&big, 0x55, sizeof(big));
	info->size = offsetof(struct mxrt_image_info, vocab);
	assert_int_equal(mxrt_image_info(image, info), 0);
	assert_int_equal(info->size, offsetof(struct mxrt_image_info, vocab));
	assert_int_equal(info->nr_entries, 2);
	assert_int_equal(info->vocab, 0x55555555);
	info->size = 0;
	assert_int_equal(mxrt_image_info(image, info), -EINVAL);
	assert_non_null(strstr(mxrt_last_error(), "sizeof"));
	assert_int_equal(mxrt_image_info(image, NULL), -EINVAL);
	assert_int_equal(mxrt_image_info(NULL, info), -EINVAL);
	mxrt_image_close(image);
	mxrt_image_close(NULL);
	assert_int_equal(mxrt_image_open_memory(mini->data + 1, mini->bytes - 1, 0, &image),
			 -EINVAL);
	assert_int_equal(mxrt_image_open_memory(mini->data, mini->bytes, 2, &image), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_tokens, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_flipped_bits, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_flipped_weight, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_every_length, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_versions, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_section_table, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_contents, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_mutants, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_files, make_image, free_image),
		cmocka_unit_test_setup_teardown(test_sizes, make_image, free_image),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
