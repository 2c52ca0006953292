// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * config.json of a BERT encoder, 1_Pooling/config.json and modules.json.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_config.h"
#include "mxaccel_image.h"
#include "mxmap.h"

#define MAX_JSON (16u << 20)
/* Far beyond any model, and small enough that no size computed from them overflows */
#define MAX_WIDTH MXACCEL_MAX_K
#define MAX_LAYERS 1024
#define MAX_VOCAB 16000000

int hf_read_json(const char *folder, const char *file, json_t **out)
{
	char *path = mxmap_path(folder, file), *text;
	json_error_t error;
	size_t bytes;
	int ret = -1;

	*out = NULL;
	if (!path)
		return -1;
	text = mxmap_read_file(path, MAX_JSON, &bytes);
	if (text) {
		*out = json_loadb(text, bytes, 0, &error);
		if (json_is_object(*out)) {
			ret = 0;
		} else {
			mxmap_error("%s: line %d: %s", path, *out ? 1 : error.line,
				    *out ? "not a JSON object" : error.text);
			json_decref(*out);
			*out = NULL;
		}
	} else if (errno == ENOENT) {
		ret = 1;
	}
	free(text);
	free(path);
	return ret;
}

static int get_number(const json_t *json, const char *key, uint32_t max, uint32_t fallback,
		      uint32_t *number)
{
	const json_t *value = json_object_get(json, key);

	if (!value && fallback) {
		*number = fallback;
		return 0;
	}
	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
	    json_integer_value(value) > max)
		return mxmap_fail("config.json: %s must be a number from 1 to %u", key, max);
	*number = json_integer_value(value);
	return 0;
}

const char *hf_architecture(const json_t *json)
{
	return json_string_value(json_array_get(json_object_get(json, "architectures"), 0));
}

static int check_architecture(const json_t *json)
{
	const char *type = json_string_value(json_object_get(json, "model_type"));
	const char *class = hf_architecture(json);
	const char *position = json_string_value(json_object_get(json, "position_embedding_type"));

	if (type && strcmp(type, "bert"))
		return mxmap_fail("config.json: model_type is %s; mxmap maps BERT encoders only",
				  type);
	if (class && strcmp(class, "BertModel") && strncmp(class, "BertFor", 7))
		return mxmap_fail("config.json: the architecture is %s; mxmap maps BERT encoders only",
				  class);
	if (!type && !class)
		return mxmap_fail("config.json: neither model_type nor architectures say that this is a BERT encoder");
	if (json_is_true(json_object_get(json, "is_decoder")) ||
	    json_is_true(json_object_get(json, "add_cross_attention")))
		return mxmap_fail("config.json: this BERT is a decoder; mxmap maps encoders only");
	if (position && strcmp(position, "absolute"))
		return mxmap_fail("config.json: position_embedding_type is %s; only absolute is supported",
				  position);
	return 0;
}

static int read_act(const json_t *json, uint8_t *act)
{
	static const struct {
		const char *name;
		uint8_t act;
	} acts[] = {
		{ "gelu", MXACCEL_ACT_GELU_ERF }, { "gelu_python", MXACCEL_ACT_GELU_ERF },
		{ "gelu_new", MXACCEL_ACT_GELU_TANH }, { "gelu_fast", MXACCEL_ACT_GELU_TANH },
		{ "gelu_pytorch_tanh", MXACCEL_ACT_GELU_TANH }, { "relu", MXACCEL_ACT_RELU },
		{ "silu", MXACCEL_ACT_SILU }, { "swish", MXACCEL_ACT_SILU },
		{ "tanh", MXACCEL_ACT_TANH },
	};
	const json_t *value = json_object_get(json, "hidden_act");
	const char *name = value ? json_string_value(value) : "gelu";
	size_t i;

	for (i = 0; name && i < ARRAY_SIZE(acts); i++) {
		if (!strcmp(name, acts[i].name)) {
			*act = acts[i].act;
			return 0;
		}
	}
	return mxmap_fail("config.json: hidden_act is %s; supported are gelu, gelu_new, gelu_pytorch_tanh, relu, silu, tanh",
			  name ? name : "not a name");
}

static int read_eps(const json_t *json, float *eps)
{
	const json_t *value = json_object_get(json, "layer_norm_eps");

	*eps = value ? json_number_value(value) : 1e-12;
	if ((value && !json_is_number(value)) || !(*eps >= 0 && *eps <= 1))
		return mxmap_fail("config.json: layer_norm_eps must be a number from 0 to 1");
	return 0;
}

/* Modules after the pooling that change a sentence's embedding, but for its length */
static bool has_more_modules(const json_t *modules)
{
	size_t i;

	for (i = 0; i < json_array_size(modules); i++) {
		const char *type = json_string_value(json_object_get(json_array_get(modules, i),
								     "type"));
		const char *class = type ? strrchr(type, '.') : NULL;

		class = class ? class + 1 : type;
		if (class && strcmp(class, "Transformer") && strcmp(class, "Pooling") &&
		    strcmp(class, "Normalize")) {
			mxmap_warn("modules.json: the sentence embedding passes a %s, which is not supported: the image gets no entry \"sentence\"",
				   class);
			return true;
		}
	}
	return false;
}

static int read_modules(const char *folder, bool *more)
{
	char *path = mxmap_path(folder, "modules.json"), *text;
	json_error_t error;
	size_t bytes;
	json_t *json;
	int ret = 0;

	*more = false;
	if (!path)
		return -1;
	text = mxmap_read_file(path, MAX_JSON, &bytes);
	if (text) {
		json = json_loadb(text, bytes, 0, &error);
		if (json)
			*more = has_more_modules(json);
		else
			ret = mxmap_fail("%s: line %d: %s", path, error.line, error.text);
		json_decref(json);
	} else if (errno != ENOENT) {
		ret = -1;
	}
	free(text);
	free(path);
	return ret;
}

/* Mean of the tokens, unless the folder says that its sentences are made in another way. */
static int read_pooling(const char *folder, uint8_t *pool)
{
	static const char prefix[] = "pooling_mode_";
	json_t *json, *value;
	const char *key;
	bool more, mean = false, first = false;
	int ret = read_modules(folder, &more);

	if (!ret)
		ret = hf_read_json(folder, "1_Pooling/config.json", &json);
	if (ret < 0)
		return -1;
	*pool = more ? 0 : MXACCEL_POOL_MEAN;
	if (ret > 0)
		return 0;
	json_object_foreach(json, key, value) {
		if (!json_is_true(value) || strncmp(key, prefix, strlen(prefix)))
			continue;
		if (!strcmp(key, "pooling_mode_mean_tokens")) {
			mean = true;
		} else if (!strcmp(key, "pooling_mode_cls_token")) {
			first = true;
		} else {
			mxmap_warn("1_Pooling/config.json: %s is not supported: the image gets no entry \"sentence\"",
				   key);
			*pool = 0;
		}
	}
	if (mean && first) {
		mxmap_warn("1_Pooling/config.json: two poolings side by side are not supported: the image gets no entry \"sentence\"");
		*pool = 0;
	} else if (first && *pool) {
		*pool = MXACCEL_POOL_FIRST;
	}
	json_decref(json);
	return 0;
}

int hf_config_read(const char *folder, struct hf_config *config)
{
	const json_t *pad, *json;
	int ret;

	memset(config, 0, sizeof(*config));
	ret = hf_read_json(folder, "config.json", &config->json);
	if (ret > 0)
		return mxmap_fail("%s has no config.json: not a Hugging Face folder, or none at all",
				  folder);
	json = config->json;
	if (ret || check_architecture(json) ||
	    get_number(json, "hidden_size", MAX_WIDTH / 4, 0, &config->hidden) ||
	    get_number(json, "num_attention_heads", UINT16_MAX, 0, &config->heads) ||
	    get_number(json, "num_hidden_layers", MAX_LAYERS, 0, &config->layers) ||
	    get_number(json, "intermediate_size", MAX_WIDTH, 0, &config->ffn) ||
	    get_number(json, "vocab_size", MAX_VOCAB, 0, &config->vocab) ||
	    get_number(json, "max_position_embeddings", MXACCEL_MAX_K, 0, &config->positions) ||
	    get_number(json, "type_vocab_size", MXACCEL_MAX_K, 2, &config->types) ||
	    read_act(json, &config->act) || read_eps(json, &config->eps) ||
	    read_pooling(folder, &config->pool))
		return -1;
	if (config->vocab < 2)
		return mxmap_fail("config.json: vocab_size is 1; id 0 alone is padding");
	if (config->hidden % config->heads)
		return mxmap_fail("config.json: hidden_size %u does not split into %u heads",
				  config->hidden, config->heads);
	pad = json_object_get(json, "pad_token_id");
	if (pad && !json_is_null(pad) && !json_is_integer(pad))
		return mxmap_fail("config.json: pad_token_id is not a number");
	if (json_integer_value(pad))
		return mxmap_fail("config.json: pad_token_id is %lld; padding is id 0 on this chip",
				  (long long)json_integer_value(pad));
	return 0;
}

void hf_config_free(struct hf_config *config)
{
	json_decref(config->json);
	config->json = NULL;
}
