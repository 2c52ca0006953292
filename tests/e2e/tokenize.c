// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * For test_tokenizer.py: the library's tokenizer without an image.
 *
 *	tokenize VOCAB FLAGS MAX_IDS <texts >ids
 *
 * Texts come as a decimal length, '\n', that many bytes; for each of them a
 * line leaves: the ids, or "error N". Special tokens are BERT's.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer.h"

static char *read_all(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;

	*bytes = 0;
	while (file && !feof(file) && !ferror(file)) {
		char *more = realloc(data, *bytes + 65536);

		if (!more)
			break;
		data = more;
		*bytes += fread(data + *bytes, 1, 65536, file);
	}
	if (!file || ferror(file) || fclose(file)) {
		fprintf(stderr, "tokenize: cannot read %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return data;
}

static uint32_t find(const char *vocab, size_t bytes, const char *token)
{
	size_t length = strlen(token);
	const char *at = vocab;
	uint32_t id;

	for (id = 0; at < vocab + bytes; id++) {
		const char *end = memchr(at, '\n', vocab + bytes - at);

		if (!end)
			break;
		if ((size_t)(end - at) == length && !memcmp(at, token, length))
			return id;
		at = end + 1;
	}
	fprintf(stderr, "tokenize: the vocabulary lacks %s\n", token);
	exit(1);
}

int main(int argc, char **argv)
{
	struct mxaccel_tokenizer config = { 0 };
	struct mxrt_tokenizer *tokenizer;
	size_t vocab_bytes, max_ids, length;
	char *vocab, err[256];
	int32_t *ids;

	if (argc != 4) {
		fprintf(stderr, "usage: tokenize VOCAB FLAGS MAX_IDS\n");
		return 2;
	}
	vocab = read_all(argv[1], &vocab_bytes);
	max_ids = strtoul(argv[3], NULL, 0);
	ids = malloc(max_ids * sizeof(*ids));
	config.flags = htole32(strtoul(argv[2], NULL, 0));
	config.pad = htole32(find(vocab, vocab_bytes, "[PAD]"));
	config.unk = htole32(find(vocab, vocab_bytes, "[UNK]"));
	config.cls = htole32(find(vocab, vocab_bytes, "[CLS]"));
	config.sep = htole32(find(vocab, vocab_bytes, "[SEP]"));
	config.max_word = htole32(100);
	if (!ids || mxrt_tokenizer_new(&config, vocab, vocab_bytes, &tokenizer, err, sizeof(err))) {
		fprintf(stderr, "tokenize: %s\n", ids ? err : "out of memory");
		return 1;
	}
	while (scanf("%zu", &length) == 1 && getchar() == '\n') {
		char *text = malloc(length + 1);
		size_t nr, i;
		int ret;

		if (!text || fread(text, 1, length, stdin) != length)
			return 1;
		ret = mxrt_tokenizer_encode(tokenizer, text, length, ids, max_ids, &nr);
		if (ret)
			printf("error %d", -ret);
		for (i = 0; i < nr && i < max_ids; i++)
			printf("%s%d", i ? " " : "", ids[i]);
		putchar('\n');
		free(text);
	}
	mxrt_tokenizer_free(tokenizer);
	free(ids);
	free(vocab);
	return 0;
}
