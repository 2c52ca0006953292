// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tensors of a BERT checkpoint, by the names that a plan gives them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"
#include "mxmap.h"

#define FIRST_TENSOR "embeddings.word_embeddings.weight"

int checkpoint_open(const char *folder, struct checkpoint *checkpoint)
{
	if (st_open(folder, &checkpoint->set))
		return -1;
	checkpoint->prefix = st_find(checkpoint->set, "bert." FIRST_TENSOR) ? "bert." : "";
	return 0;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
	st_close(checkpoint->set);
	checkpoint->set = NULL;
}

const struct st_tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name,
					const char *suffix)
{
	static const char * const heads[] = { "cls.", "classifier" };
	const char *prefix = checkpoint->prefix;
	char full[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(heads); i++)
		if (!strncmp(name, heads[i], strlen(heads[i])))
			prefix = "";
	snprintf(full, sizeof(full), "%s%s%s", prefix, name, suffix);
	return st_find(checkpoint->set, full);
}

const struct st_tensor *checkpoint_part(const struct checkpoint *checkpoint,
					const struct weight *weight, unsigned int index, bool bias)
{
	const struct st_tensor *tensor;

	if (bias && *weight->bias)
		return checkpoint_find(checkpoint, weight->bias, "");
	tensor = checkpoint_find(checkpoint, weight->name[index], bias ? ".bias" : ".weight");
	if (!tensor && weight->kind == WEIGHT_NORM)
		tensor = checkpoint_find(checkpoint, weight->name[index],
					 bias ? ".beta" : ".gamma");
	return tensor;
}

static void print_shape(char *text, size_t room, const uint64_t *dim, unsigned int nr)
{
	size_t used = snprintf(text, room, "[");
	unsigned int i;

	for (i = 0; i < nr && used < room; i++)
		used += snprintf(text + used, room - used, "%s%" PRIu64, i ? ", " : "", dim[i]);
	if (used < room)
		snprintf(text + used, room - used, "]");
}

static int check_part(const struct checkpoint *checkpoint, const struct weight *weight,
		      unsigned int index, bool bias)
{
	const struct st_tensor *tensor = checkpoint_part(checkpoint, weight, index, bias);
	uint64_t want[2] = { weight->rows / weight->nr_parts, weight->cols };
	unsigned int nr = weight->kind == WEIGHT_NORM || bias ? 1 : 2;
	char found_text[160], want_text[64];

	if (weight->kind == WEIGHT_NORM)
		want[0] = weight->cols;
	if (!tensor)
		return mxmap_fail("the checkpoint lacks tensor %s.%s, with and without \"bert.\" before it",
				  weight->name[index], bias ? "bias" : "weight");
	if (tensor->nr_dims != nr || memcmp(tensor->dim, want, nr * sizeof(want[0]))) {
		print_shape(found_text, sizeof(found_text), tensor->dim, tensor->nr_dims);
		print_shape(want_text, sizeof(want_text), want, nr);
		return mxmap_fail("tensor %s of %s has shape %s, by config.json it should be %s",
				  tensor->name, tensor->file, found_text, want_text);
	}
	if (tensor->dtype == ST_OTHER)
		return mxmap_fail("tensor %s of %s is of type %s; supported are F32, F16 and BF16",
				  tensor->name, tensor->file, tensor->dtype_name);
	return 0;
}

int checkpoint_check(const struct checkpoint *checkpoint, const struct plan *plan)
{
	unsigned int i;
	size_t at;

	for (at = 0; at < plan->nr; at++) {
		const struct weight *weight = &plan->weight[at];

		for (i = 0; i < weight->nr_parts; i++)
			if (check_part(checkpoint, weight, i, false) ||
			    (weight->kind != WEIGHT_TABLE && check_part(checkpoint, weight, i, true)))
				return -1;
	}
	return 0;
}
