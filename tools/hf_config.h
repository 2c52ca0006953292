/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a Hugging Face folder says about its model: config.json, and how a
 * sentence's embedding is made of its tokens'.
 */
#ifndef HF_CONFIG_H
#define HF_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/**
 * struct hf_config - an encoder that the chip can run
 * @hidden:	width of an embedding
 * @heads:	attention heads, which divide @hidden
 * @layers:	encoder layers
 * @ffn:	width of the feed-forward network
 * @vocab:	token ids
 * @positions:	longest sequence
 * @types:	token types, of which 0 is used
 * @eps:	of the layer norms
 * @act:	MXACCEL_ACT_* of the feed-forward network
 * @pool:	MXACCEL_POOL_* of a sentence's embedding; 0: none that the chip can make
 * @json:	config.json, for the model card
 */
struct hf_config {
	uint32_t hidden, heads, layers, ffn, vocab, positions, types;
	float eps;
	uint8_t act, pool;
	json_t *json;
};

/* Reads and checks. Return: 0 or -1 after mxmap_fail(). */
int hf_config_read(const char *folder, struct hf_config *config);
void hf_config_free(struct hf_config *config);

/* The class that the checkpoint was saved from, by config.json, or NULL */
const char *hf_architecture(const json_t *json);

/* A JSON object in a file of the folder. Return: 0, -1 after mxmap_fail(), 1: no such file. */
int hf_read_json(const char *folder, const char *file, json_t **out);

#endif /* HF_CONFIG_H */
