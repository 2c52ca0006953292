// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Heads of a checkpoint: pooler, those of pretraining (masked words, next
 * sentence), and the classifier of a fine-tuned model.
 */
#include <string.h>

#include "heads.h"
#include "mxmap.h"

#define DECODER "cls.predictions.decoder"

static bool has(const struct checkpoint *checkpoint, const char *name)
{
	return checkpoint_find(checkpoint, name, "");
}

static void leave_out(const char *entry, const char *lacks)
{
	mxmap_warn("the checkpoint lacks %s: the image gets no entry \"%s\"", lacks, entry);
}

/* The decoder is the table of word embeddings, said by its absence or stored once more. */
static bool is_tied(const struct checkpoint *checkpoint)
{
	const struct st_tensor *decoder = checkpoint_find(checkpoint, DECODER, ".weight");
	const struct st_tensor *words = checkpoint_find(checkpoint, "embeddings.word_embeddings",
							".weight");

	return !decoder || (words && decoder->dtype == words->dtype &&
			    decoder->bytes == words->bytes &&
			    !memcmp(decoder->data, words->data, words->bytes));
}

static bool says_untied(const struct hf_config *config)
{
	return json_is_false(json_object_get(config->json, "tie_word_embeddings"));
}

static void find_mlm(const struct checkpoint *checkpoint, const struct hf_config *config,
		     struct heads *heads)
{
	static const char * const needed[] = {
		"cls.predictions.transform.dense.weight", "cls.predictions.transform.dense.bias",
	};
	static const char * const norms[][2] = {
		{ "cls.predictions.transform.LayerNorm.weight",
		  "cls.predictions.transform.LayerNorm.gamma" },
		{ "cls.predictions.transform.LayerNorm.bias",
		  "cls.predictions.transform.LayerNorm.beta" },
		{ "cls.predictions.bias", DECODER ".bias" },
	};
	const char *lacks = NULL;
	unsigned int found = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (has(checkpoint, needed[i]))
			found++;
		else
			lacks = lacks ? lacks : needed[i];
	}
	for (i = 0; i < ARRAY_SIZE(norms); i++) {
		if (has(checkpoint, norms[i][0]) || has(checkpoint, norms[i][1]))
			found++;
		else
			lacks = lacks ? lacks : norms[i][0];
	}
	heads->tied = is_tied(checkpoint);
	if (says_untied(config) && !has(checkpoint, DECODER ".weight"))
		lacks = lacks ? lacks : DECODER ".weight";
	heads->mlm = !lacks;
	if (lacks && found)
		leave_out("mlm", lacks);
	heads->decoder_bias = has(checkpoint, norms[2][0]) ? norms[2][0] : norms[2][1];
}

static void find_nsp(const struct checkpoint *checkpoint, struct heads *heads)
{
	if (!has(checkpoint, "cls.seq_relationship.weight"))
		return;
	heads->nsp = heads->pooler && has(checkpoint, "cls.seq_relationship.bias");
	if (!heads->nsp)
		leave_out("nsp", heads->pooler ? "cls.seq_relationship.bias" :
						 "pooler.dense.weight");
}

static int find_classifier(const struct checkpoint *checkpoint, const struct hf_config *config,
			   struct heads *heads)
{
	const struct st_tensor *weight = checkpoint_find(checkpoint, "classifier", ".weight");
	const char *class = hf_architecture(config->json);

	if (!weight)
		return 0;
	if (class && !strcmp(class, "BertForTokenClassification")) {
		mxmap_warn("the classifier of a %s works on each token, which is not supported: the image gets no entry \"classifier\"",
			   class);
		return 0;
	}
	if (!heads->pooler || !has(checkpoint, "classifier.bias")) {
		leave_out("classifier", heads->pooler ? "classifier.bias" : "pooler.dense.weight");
		return 0;
	}
	if (!weight->dim[0] || weight->dim[0] > MXACCEL_MAX_K || weight->nr_dims != 2)
		return mxmap_fail("tensor %s of %s must have a row for each of 1 to %u labels",
				  weight->name, weight->file, MXACCEL_MAX_K);
	heads->labels = weight->dim[0];
	return 0;
}

int heads_find(const struct checkpoint *checkpoint, const struct hf_config *config,
	       struct heads *heads)
{
	memset(heads, 0, sizeof(*heads));
	heads->pooler = has(checkpoint, "pooler.dense.weight");
	find_mlm(checkpoint, config, heads);
	find_nsp(checkpoint, heads);
	return find_classifier(checkpoint, config, heads);
}
