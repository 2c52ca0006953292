// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * semantic-search: finds the sentences that mean nearly the same as a question.
 *
 * Each sentence becomes a vector of length one on the accelerator; the nearest
 * are those with the largest cosine, which is then the dot product.
 */
#include <err.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mxrt.h>

#include "counters.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#ifndef SENTENCES_FILE
#define SENTENCES_FILE "sentences.txt"
#endif

static const char usage[] =
"usage: semantic-search IMAGE [options] [QUERY...]\n"
"\n"
"Embeds sentences on the accelerator and shows those nearest to each query.\n"
"\n"
"  -d, --device DEVICE   /dev/mxaccelN, PCI address or sim:CHIP\n"
"                        (default: the first /dev/mxaccelN)\n"
"  -s, --sentences FILE  one sentence per line (default: those of the sample)\n"
"  -k, --top K           sentences shown per query (default: 3)\n";

static char *const default_queries[] = {
	"How do bridges survive hot weather?",
	"How do animals find their way?",
	"Which city is the seat of the French government?",
	"What keeps my data safe from strangers?",
	"Is it healthy to go running?",
	"Who was the first person to write software?",
	"How can calculations save power?",
};

/* Texts and what the model makes of them: a row of @width floats each */
struct texts {
	char **text;
	size_t nr;
	float *vector;
	size_t width;
};

struct hit {
	size_t index;
	float cosine;
};

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		err(1, "out of memory");
	return memory;
}

static void read_sentences(const char *path, struct texts *texts)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0, slots = 0;
	ssize_t length;

	if (!file)
		err(1, "cannot open %s", path);
	while ((length = getline(&line, &room, file)) >= 0) {
		line[strcspn(line, "\r\n")] = 0;
		if (!*line)
			continue;
		if (texts->nr == slots) {
			slots = slots ? 2 * slots : 64;
			texts->text = realloc(texts->text, slots * sizeof(*texts->text));
			if (!texts->text)
				err(1, "out of memory");
		}
		texts->text[texts->nr] = strdup(line);
		if (!texts->text[texts->nr++])
			err(1, "out of memory");
	}
	if (ferror(file))
		err(1, "cannot read %s", path);
	if (!texts->nr)
		errx(1, "%s holds no sentence", path);
	free(line);
	fclose(file);
}

/* Width of the "sentence" entry's result */
static size_t embedding_width(const struct mxrt_image *image)
{
	struct mxrt_entry_info entry = { .size = sizeof(entry) };
	int index = mxrt_image_find_entry(image, "sentence");

	if (index < 0 || mxrt_image_entry(image, index, &entry))
		errx(1, "%s", mxrt_last_error());
	return entry.output.dim[1];
}

/* Ids of all texts, each padded with zeros to the longest: [nr, *tokens] */
static int32_t *tokenize(const struct mxrt_image *image, const struct texts *texts, size_t *tokens)
{
	struct mxrt_image_info info = { .size = sizeof(info) };
	int32_t *wide, *ids;
	size_t i, nr;

	if (mxrt_image_info(image, &info))
		errx(1, "%s", mxrt_last_error());
	wide = allocate(texts->nr, info.max_tokens * sizeof(*wide));
	*tokens = 0;
	for (i = 0; i < texts->nr; i++) {
		if (mxrt_tokenize(image, texts->text[i], wide + i * info.max_tokens,
				  info.max_tokens, &nr))
			errx(1, "text %zu: %s", i + 1, mxrt_last_error());
		nr = nr < info.max_tokens ? nr : info.max_tokens;
		*tokens = nr > *tokens ? nr : *tokens;
	}
	ids = allocate(texts->nr, *tokens * sizeof(*ids));
	for (i = 0; i < texts->nr; i++)
		memcpy(ids + i * *tokens, wide + i * info.max_tokens, *tokens * sizeof(*ids));
	free(wide);
	return ids;
}

static void embed(struct mxrt_model *model, const struct mxrt_image *image, struct texts *texts,
		  const char *what)
{
	struct mxrt_result result = { .size = sizeof(result) };
	size_t tokens;
	int32_t *ids = tokenize(image, texts, &tokens);
	struct mxrt_infer_params job = {
		.size = sizeof(job), .entry = "sentence", .nr_seq = texts->nr, .tokens = tokens,
		.ids = ids };

	texts->width = embedding_width(image);
	job.out_bytes = texts->nr * texts->width * sizeof(float);
	texts->vector = allocate(texts->nr, texts->width * sizeof(float));
	job.out = texts->vector;
	if (mxrt_infer(model, &job, &result))
		errx(1, "%s", mxrt_last_error());
	printf("%zu %s of up to %zu tokens: %.2f s here, %.2f M cycles on the chip\n", texts->nr,
	       what, tokens, result.host_ns / 1e9, result.cycles / 1e6);
	free(ids);
}

static int by_cosine(const void *left, const void *right)
{
	const struct hit *l = left, *r = right;

	if (l->cosine != r->cosine)
		return l->cosine < r->cosine ? 1 : -1;
	return l->index < r->index ? -1 : 1;
}

static void answer(const struct texts *sentences, const struct texts *queries, size_t query,
		   size_t top)
{
	struct hit *hits = allocate(sentences->nr, sizeof(*hits));
	const float *q = queries->vector + query * queries->width;
	size_t i, c;

	for (i = 0; i < sentences->nr; i++) {
		const float *s = sentences->vector + i * sentences->width;

		hits[i].index = i;
		for (c = 0; c < sentences->width; c++)
			hits[i].cosine += q[c] * s[c];
	}
	qsort(hits, sentences->nr, sizeof(*hits), by_cosine);
	printf("\n%s\n", queries->text[query]);
	for (i = 0; i < top && i < sentences->nr; i++)
		printf("  %6.3f  %s\n", hits[i].cosine, sentences->text[hits[i].index]);
	free(hits);
}

static size_t parse_top(const char *text)
{
	char *end;
	unsigned long top = strtoul(text, &end, 10);

	if (*end || end == text || *text == '-' || !top)
		errx(2, "--top %s is not a number above 0", text);
	return top;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "sentences", required_argument, NULL, 's' },
		{ "top", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *device = NULL, *file = SENTENCES_FILE;
	struct texts sentences = { 0 }, queries = { 0 };
	struct counters before, after;
	struct mxrt_device *dev;
	struct mxrt_image *image;
	struct mxrt_model *model;
	size_t top = 3, i;
	int option;

	while ((option = getopt_long(argc, argv, "d:s:k:h", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			device = optarg;
			break;
		case 's':
			file = optarg;
			break;
		case 'k':
			top = parse_top(optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind == argc)
		errx(2, "name a model image (--help says more)");
	queries.text = argv + optind + 1;
	queries.nr = argc - optind - 1;
	if (!queries.nr) {
		queries.text = (char **)default_queries;
		queries.nr = ARRAY_SIZE(default_queries);
	}
	read_sentences(file, &sentences);

	if (mxrt_open(device, NULL, &dev) || mxrt_image_open(argv[optind], 0, &image) ||
	    mxrt_load(dev, image, NULL, &model))
		errx(1, "%s", mxrt_last_error());
	counters_read(dev, &before);
	embed(model, image, &sentences, "sentences");
	embed(model, image, &queries, "queries");
	counters_read(dev, &after);
	for (i = 0; i < queries.nr; i++)
		answer(&sentences, &queries, i, top);
	counters_print(&before, &after);

	mxrt_unload(model);
	mxrt_image_close(image);
	mxrt_close(dev);
	for (i = 0; i < sentences.nr; i++)
		free(sentences.text[i]);
	free(sentences.text);
	free(sentences.vector);
	free(queries.vector);
	if (fflush(stdout) || ferror(stdout))
		err(1, "cannot write the answers");
	return 0;
}
