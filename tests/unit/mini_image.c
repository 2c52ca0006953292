// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "mini_image.h"
#include "sample_model.h"

static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n##s\na\nb\n,\n";
static const char card[] = "{\"license\": \"none\", \"source\": \"a test\"}";

static const struct mxaccel_tokenizer tokenizer = {
	.flags = MXACCEL_TOK_LOWER | MXACCEL_TOK_STRIP_ACCENTS | MXACCEL_TOK_SPLIT_CJK,
	.pad = 0, .unk = 1, .cls = 2, .sep = 3, .max_word = 100,
};

static const struct {
	struct mxaccel_golden head;
	int32_t ids[4];
} golden = {
	.head = { .entry = 1, .nr_seq = 2, .tokens = 2, .out_bytes = 64 },
	.ids = { 4, 5, 6, 0 },
};

static void *must(void *memory)
{
	if (memory)
		return memory;
	fputs("Bail out! no memory, or hashing failed\n", stdout);
	exit(1);
}

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + MXACCEL_PAGE - 1) / MXACCEL_PAGE * MXACCEL_PAGE;
}

/* Adds a section of @bytes, of which @data fills the first @given. */
static void add(struct mini_image *image, uint32_t kind, const void *data, uint64_t given,
		uint64_t bytes)
{
	uint64_t offset = round_up(image->bytes), end = offset + bytes;
	struct mxaccel_section *section;
	uint8_t *grown;

	if (posix_memalign((void **)&grown, MXACCEL_PAGE, round_up(end)))
		grown = NULL;
	must(grown);
	memset(grown, 0, round_up(end));
	memcpy(grown, image->data, image->bytes);
	memcpy(grown + offset, data, given);
	free(image->data);
	image->data = grown;
	image->bytes = end;
	section = &mini_image_header(image)->section[mini_image_header(image)->nr_sections++];
	*section = (struct mxaccel_section){ .kind = kind, .offset = offset, .bytes = bytes };
}

struct mxaccel_image *mini_image_header(struct mini_image *image)
{
	return (struct mxaccel_image *)image->data;
}

struct mxaccel_section *mini_image_section(struct mini_image *image, uint32_t kind)
{
	struct mxaccel_image *header = mini_image_header(image);
	struct mxaccel_section *found = NULL;
	uint32_t i;

	for (i = 0; i < header->nr_sections && !found; i++)
		if (header->section[i].kind == kind)
			found = &header->section[i];
	return must(found);
}

void *mini_image_data(struct mini_image *image, uint32_t kind)
{
	return image->data + mini_image_section(image, kind)->offset;
}

void mini_image_seal_header(struct mini_image *image)
{
	struct mxaccel_image *header = mini_image_header(image);

	header->crc32c = 0;
	header->crc32c = mx_crc32c(header, sizeof(*header));
}

void mini_image_seal(struct mini_image *image)
{
	struct mxaccel_image *header = mini_image_header(image);
	struct mxaccel_section *params = mini_image_section(image, MXACCEL_SEC_PARAMS);
	uint32_t i;

	if (mx_digest_chunks(image->data + params->offset, params->bytes, NULL, NULL,
			     mini_image_data(image, MXACCEL_SEC_CHUNKS)))
		must(NULL);
	for (i = 0; i < header->nr_sections; i++)
		if (mx_digest_section(image->data + header->section[i].offset,
				      header->section[i].bytes, NULL, NULL,
				      header->section[i].digest))
			must(NULL);
	if (mx_digest_content(mini_image_section(image, MXACCEL_SEC_MODEL)->digest, params->digest,
			      header->content))
		must(NULL);
	mini_image_seal_header(image);
}

struct mini_image mini_image_make(uint8_t variant, uint64_t extra_params)
{
	struct sample_model *model = must(malloc(sizeof(*model)));
	struct mini_image image = { must(calloc(1, MXACCEL_PAGE)), MXACCEL_PAGE };
	struct mxaccel_image *header;
	uint64_t params_bytes, i;
	uint8_t *extra;

	if (!sample_make(model, variant))
		must(NULL);
	params_bytes = model->params_bytes + extra_params;
	model->section.head.params_bytes = params_bytes;
	add(&image, MXACCEL_SEC_MODEL, &model->section, sizeof(model->section),
	    sizeof(model->section));
	add(&image, MXACCEL_SEC_PARAMS, model->params, model->params_bytes, params_bytes);
	add(&image, MXACCEL_SEC_CHUNKS, "", 0,
	    mx_digest_nr_chunks(params_bytes) * MX_DIGEST_BYTES);
	add(&image, MXACCEL_SEC_VOCAB, vocab, sizeof(vocab) - 1, sizeof(vocab) - 1);
	add(&image, MXACCEL_SEC_TOKENIZER, &tokenizer, sizeof(tokenizer), sizeof(tokenizer));
	add(&image, MINI_UNKNOWN_SECTION, "?", 1, 1);
	add(&image, MXACCEL_SEC_CARD, card, sizeof(card) - 1, sizeof(card) - 1);
	add(&image, MXACCEL_SEC_GOLDEN, &golden, sizeof(golden), sizeof(golden));
	/* Of two variants no chunk is the same but for the first: they share no cells. */
	extra = (uint8_t *)mini_image_data(&image, MXACCEL_SEC_PARAMS) + model->params_bytes;
	for (i = 0; i < extra_params; i++)
		extra[i] = i % 251 + variant;
	free(model);

	header = mini_image_header(&image);
	header->magic = MXACCEL_IMAGE_MAGIC;
	header->major = MXACCEL_IMAGE_MAJOR;
	header->minor = MXACCEL_IMAGE_MINOR;
	header->header_bytes = sizeof(*header);
	header->file_bytes = image.bytes;
	strcpy(header->name, "sample");
	strcpy(header->chip, "tiny");
	strcpy(header->builder, "mini_image");
	mini_image_seal(&image);
	return image;
}

void mini_image_free(struct mini_image *image)
{
	free(image->data);
	image->data = NULL;
}

void mini_image_write(const struct mini_image *image, const char *path)
{
	FILE *file = must(fopen(path, "wb"));

	if (fwrite(image->data, 1, image->bytes, file) != image->bytes || fclose(file))
		must(NULL);
}
