// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What an image tells: description, program entries, tokens.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "tokenizer.h"

int mxrt_image_info(const struct mxrt_image *image, struct mxrt_image_info *info)
{
	struct mxrt_image_info full = { 0 };

	if (!image)
		return mxrt_fail(-EINVAL, "%s: no image", __func__);
	full.major = image->header->major;
	full.minor = image->header->minor;
	full.nr_entries = image->model->nr_entries;
	full.vocab = image->model->vocab;
	full.max_tokens = image->model->max_tokens;
	full.has_tokenizer = !!image->tokenizer;
	full.nr_ops = image->model->nr_ops;
	full.file_bytes = image->bytes;
	full.program_bytes = image->section[MXACCEL_SEC_MODEL]->bytes;
	full.params_bytes = image->section[MXACCEL_SEC_PARAMS]->bytes;
	memcpy(full.content, image->header->content, sizeof(full.content));
	full.name = image->header->name;
	full.chip = image->header->chip;
	full.builder = image->header->builder;
	if (image->section[MXACCEL_SEC_CARD]) {
		full.card = mxrt_section_data(image, MXACCEL_SEC_CARD);
		full.card_bytes = image->section[MXACCEL_SEC_CARD]->bytes;
	}
	return mxrt_info_put(info, &full, sizeof(full), "mxrt_image_info");
}

int mxrt_image_entry(const struct mxrt_image *image, unsigned int index,
		     struct mxrt_entry_info *info)
{
	struct mxrt_entry_info full = { .index = index };
	const struct mxaccel_entry *entry;

	if (!image)
		return mxrt_fail(-EINVAL, "%s: no image", __func__);
	if (index >= image->model->nr_entries)
		return mxrt_fail(-ENOENT, "model image %s has no program entry %u, only %u of them",
				 image->name, index, image->model->nr_entries);
	entry = &image->entry[index];
	memcpy(full.name, entry->name, sizeof(full.name));
	full.nr_ops = entry->nr_ops;
	full.input = (struct mxrt_tensor){ MXRT_INT32, 2, { MXRT_DIM_SEQ, MXRT_DIM_TOKENS } };
	if (entry->out_kind == MXACCEL_REGION_ROWS)
		full.output = (struct mxrt_tensor){
			MXRT_FLOAT32, 3, { MXRT_DIM_SEQ, MXRT_DIM_TOKENS, entry->out_cols } };
	else
		full.output = (struct mxrt_tensor){
			MXRT_FLOAT32, 2, { MXRT_DIM_SEQ, entry->out_cols } };
	return mxrt_info_put(info, &full, sizeof(full), "mxrt_entry_info");
}

int mxrt_image_find_entry(const struct mxrt_image *image, const char *name)
{
	uint32_t i;

	if (!image || !name)
		return mxrt_fail(-EINVAL, "%s: no image or no name", __func__);
	for (i = 0; i < image->model->nr_entries; i++)
		if (!strcmp(image->entry[i].name, name))
			return i;
	return mxrt_fail(-ENOENT, "model image %s has no program entry \"%s\"", image->name, name);
}

int mxrt_tokenize(const struct mxrt_image *image, const char *text,
		  int32_t *ids, size_t max_ids, size_t *nr_ids)
{
	size_t count = 0;
	int err;

	if (!image || !text || !ids || max_ids < 2)
		return mxrt_fail(-EINVAL,
				 "%s: no image, text or ids, or room for %zu ids only", __func__,
				 max_ids);
	if (!image->tokenizer)
		return mxrt_fail(-ENODATA, "model image %s has no tokenizer: give it token ids",
				 image->name);
	err = mxrt_tokenizer_encode(image->tokenizer, text, strlen(text), ids, max_ids, &count);
	if (err)
		return mxrt_fail(err, "cannot tokenize the text of %zu bytes: %s", strlen(text),
				 mxrt_strerror(err));
	if (count < max_ids)
		memset(ids + count, 0, (max_ids - count) * sizeof(*ids));
	if (nr_ids)
		*nr_ids = count;
	return 0;
}

int mxrt_image_token(const struct mxrt_image *image, int32_t id, const char **text, size_t *bytes)
{
	uint32_t start;

	if (!image || !text || !bytes)
		return mxrt_fail(-EINVAL, "%s: no image, text or bytes", __func__);
	if (!image->nr_tokens)
		return mxrt_fail(-ENODATA, "model image %s has no vocabulary", image->name);
	if (id < 0 || (uint32_t)id >= image->nr_tokens)
		return mxrt_fail(-EDOM, "token id %d is outside the vocabulary of %u", id,
				 image->nr_tokens);
	start = id ? image->token_end[id - 1] + 1 : 0;
	*text = (const char *)mxrt_section_data(image, MXACCEL_SEC_VOCAB) + start;
	*bytes = image->token_end[id] - start;
	return 0;
}

const char *mxrt_op_name(const struct mxaccel_op *op)
{
	static const char * const names[] = {
		[MXACCEL_OP_LOAD] = "LOAD", [MXACCEL_OP_EMBED] = "EMBED",
		[MXACCEL_OP_MATMUL] = "MATMUL", [MXACCEL_OP_MATMUL_DYN] = "MATMUL_DYN QK",
		[MXACCEL_OP_SOFTMAX] = "SOFTMAX", [MXACCEL_OP_NORM] = "NORM",
		[MXACCEL_OP_ACT] = "ACT", [MXACCEL_OP_ADD] = "ADD", [MXACCEL_OP_POOL] = "POOL",
		[MXACCEL_OP_STORE] = "STORE", [MXACCEL_OP_FENCE] = "FENCE",
		[MXACCEL_OP_QUANT] = "QUANT",
	};

	if (op->opcode == MXACCEL_OP_MATMUL_DYN && op->kind == MXACCEL_DYN_PV)
		return "MATMUL_DYN PV";
	if (op->opcode < ARRAY_SIZE(names) && names[op->opcode])
		return names[op->opcode];
	return "other";
}

int mxrt_image_op(const struct mxrt_image *image, unsigned int entry, unsigned int index,
		  struct mxrt_op_info *info)
{
	struct mxrt_op_info full = { .index = index };
	const struct mxaccel_op *op;

	if (!image)
		return mxrt_fail(-EINVAL, "%s: no image", __func__);
	if (entry >= image->model->nr_entries)
		return mxrt_fail(-ENOENT, "model image %s has no program entry %u, only %u of them",
				 image->name, entry, image->model->nr_entries);
	if (index >= image->entry[entry].nr_ops)
		return mxrt_fail(-ENOENT, "entry \"%s\" has no macro-op %u, only %u of them",
				 image->entry[entry].name, index, image->entry[entry].nr_ops);
	op = (const struct mxaccel_op *)(image->entry + image->model->nr_entries) +
	     image->entry[entry].first_op + index;
	snprintf(full.name, sizeof(full.name), "%s", mxrt_op_name(op));
	full.layer = op->layer == UINT16_MAX ? -1 : op->layer;
	full.k = op->k;
	full.n = op->n;
	full.heads = op->heads;
	return mxrt_info_put(info, &full, sizeof(full), "mxrt_op_info");
}
