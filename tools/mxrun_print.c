// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What mxrun shows to people.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxrun.h"

#define SHOWN_VALUES	8
#define SHOWN_ROWS	8

static void print_dims(const struct mxrt_tensor *tensor)
{
	uint32_t i;

	printf("%s [", tensor->dtype == MXRT_INT32 ? "int32" : "float32");
	for (i = 0; i < tensor->nr_dims; i++) {
		fputs(i ? ", " : "", stdout);
		if (tensor->dim[i] == MXRT_DIM_SEQ)
			putchar('n');
		else if (tensor->dim[i] == MXRT_DIM_TOKENS)
			putchar('T');
		else
			printf("%lld", (long long)tensor->dim[i]);
	}
	putchar(']');
}

void print_image(const struct mxrt_image *image)
{
	struct mxrt_image_info info = { .size = sizeof(info) };
	struct mxrt_entry_info entry = { .size = sizeof(entry) };
	unsigned int i;

	mxrt_image_info(image, &info);
	printf("name        %s\nchip        %s\nbuilder     %s\n", info.name, info.chip,
	       info.builder);
	printf("layout      %u.%u\ncontent     ", info.major, info.minor);
	for (i = 0; i < sizeof(info.content); i++)
		printf("%02x", info.content[i]);
	printf("\nfile        %llu bytes: weights %llu, program %llu (%u macro-ops)\n",
	       (unsigned long long)info.file_bytes, (unsigned long long)info.params_bytes,
	       (unsigned long long)info.program_bytes, info.nr_ops);
	printf("vocabulary  %u ids, tokenizer: %s\nsequence    at most %u tokens\n", info.vocab,
	       info.has_tokenizer ? "yes" : "no", info.max_tokens);
	for (i = 0; i < info.nr_entries; i++) {
		mxrt_image_entry(image, i, &entry);
		printf("entry       %s: ", entry.name);
		print_dims(&entry.input);
		fputs(" -> ", stdout);
		print_dims(&entry.output);
		printf(", %u macro-ops\n", entry.nr_ops);
	}
	if (info.card)
		printf("card        %.*s\n", (int)info.card_bytes, info.card);
}

static void print_vector(const float *values, size_t count)
{
	double squares = 0;
	size_t i;

	for (i = 0; i < count; i++)
		squares += (double)values[i] * values[i];
	for (i = 0; i < count && i < SHOWN_VALUES; i++)
		printf("%s% .6f", i ? " " : "", values[i]);
	printf("%s (%zu values, norm %.6f)\n", count > SHOWN_VALUES ? " ..." : "", count,
	       sqrt(squares));
}

void print_text(const struct mxrt_image *image, const char *text, const int32_t *ids,
		size_t nr_ids, const struct mxrt_entry_info *entry, const float *values)
{
	size_t cols = entry->output.dim[entry->output.nr_dims - 1];
	const char *token;
	size_t bytes, i;

	printf("text     %s\ntokens  ", text);
	for (i = 0; i < nr_ids; i++) {
		if (mxrt_image_token(image, ids[i], &token, &bytes))
			printf(" <%d>", ids[i]);
		else
			printf(" %.*s", (int)bytes, token);
	}
	printf(" (%zu)\n", nr_ids);
	if (entry->output.nr_dims == 2) {
		printf("%-8s ", entry->name);
		print_vector(values, cols);
		return;
	}
	for (i = 0; i < nr_ids && i < SHOWN_ROWS; i++) {
		printf("token %-3zu", i);
		print_vector(values + i * cols, cols);
	}
	if (nr_ids > SHOWN_ROWS)
		printf("... and %zu tokens more\n", nr_ids - SHOWN_ROWS);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void print_times(double *seconds, unsigned int count, size_t sequences, uint64_t cycles,
		 uint32_t clock_khz)
{
	qsort(seconds, count, sizeof(*seconds), compare);
	printf("runs %u: best %.3f ms, median %.3f ms, worst %.3f ms; %.1f sequences/s at the median\n",
	       count, seconds[0] * 1e3, seconds[count / 2] * 1e3, seconds[count - 1] * 1e3,
	       sequences / seconds[count / 2]);
	if (clock_khz)
		printf("modelled: %llu cycles, %.6f ms at %.3f GHz\n", (unsigned long long)cycles,
		       (double)cycles / clock_khz, clock_khz / 1e6);
}
