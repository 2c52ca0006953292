/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a model's configuration to what the chip runs: where each parameter
 * lies in PARAMS, and the MODEL section with its programs.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>

#include "hf_config.h"
#include "mxaccel_image.h"

enum weight_kind {
	WEIGHT_TABLE,		/* int8 rows, a scale per row */
	WEIGHT_TIED,		/* table that is a matrix, too: as that */
	WEIGHT_MATRIX,		/* int8 panels, a scale and a bias per output channel */
	WEIGHT_NORM,		/* gamma and beta */
};

#define WEIGHT_MAX_PARTS 3

/**
 * struct weight - a parameter of the program, in the order of PARAMS
 * @name:	of the checkpoint's tensors, without prefix and ".weight" or
 *		".bias"; a matrix may be several on top of each other
 * @nr_parts:	number of them, of equal shape
 * @bias:	name of the bias where it is not that of the weight
 * @rows:	rows of a table, output channels of all parts; norm: 1
 * @cols:	columns, inputs
 * @w_off:	offset in PARAMS: table, panels or gamma
 * @s_off:	scales
 * @b_off:	bias or beta
 * @factors:	its inputs are multiplied by 1 / @by_col, which lies behind the scales:
 *		MXACCEL_FACTORS()
 * @by_col:	what columns of the checkpoint's are multiplied by; NULL: 1
 * @by_row:	what rows and bias are multiplied by; NULL: 1
 * @step:	what to tell the user who waits for it
 */
struct weight {
	enum weight_kind kind;
	char name[WEIGHT_MAX_PARTS][96];
	unsigned int nr_parts;
	const char *bias;
	uint32_t rows, cols;
	uint64_t w_off, s_off, b_off;
	bool factors;
	float *by_col, *by_row;
	char step[32];
};

/* Places of weights in a plan */
#define PLAN_WORDS	0
#define PLAN_POSITIONS	1
#define PLAN_TYPES	2
#define PLAN_EMBED_NORM	3
#define PLAN_FIRST_LAYER 4
/* Within a layer */
#define PLAN_QKV	0
#define PLAN_ATT_OUT	1
#define PLAN_ATT_NORM	2
#define PLAN_FFN_IN	3
#define PLAN_FFN_OUT	4
#define PLAN_FFN_NORM	5
#define PLAN_PER_LAYER	6
/* Weights of all heads, at most */
#define PLAN_HEADS	6

/**
 * struct heads - what a model has beside the encoder
 * @pooler:	dense layer on the first token
 * @nsp:	next sentence or not, on the pooler's output
 * @mlm:	words for each token
 * @tied:	@mlm's decoder is the table of word embeddings
 * @decoder_bias: name of its bias
 * @labels:	of the classifier on the pooler's output; 0: there is none
 */
struct heads {
	bool pooler, nsp, mlm, tied;
	const char *decoder_bias;
	uint32_t labels;
};

/**
 * struct plan - all parameters of a model
 * @weight:	embeddings, layers, heads
 * @nr:		number of them
 * @params_bytes: size of PARAMS
 * @parameters:	numbers in the checkpoint that they come from
 * @heads:	those that are in it
 * @smooth:	products of the layers can be smoothed: smooth.h
 * @pooler, @nsp, @classifier, @transform, @transform_norm, @decoder: places of
 *		weights, where @heads says that they are there
 */
struct plan {
	struct weight *weight;
	size_t nr;
	uint64_t params_bytes;
	uint64_t parameters;
	struct heads heads;
	bool smooth;
	unsigned int pooler, nsp, classifier, transform, transform_norm, decoder;
};

/* @smooth: with factors where smooth.h needs them. Return: 0 or -1 after mxmap_fail(). */
int plan_make(const struct hf_config *config, const struct heads *heads, bool smooth,
	      struct plan *plan);
void plan_free(struct plan *plan);

/**
 * program_make() - the MODEL section
 * @name:	of the model
 * @max_tokens:	longest sequence
 * @planes:	INT8 planes of the activations into the products that read hidden
 *		states, and the second of the feed-forward network: 1 or 2
 * @bytes:	out: its length
 *
 * Return: free() it. NULL after mxmap_fail().
 */
struct mxaccel_model *program_make(const struct hf_config *config, const struct plan *plan,
				   const char *name, uint32_t max_tokens, unsigned int planes,
				   uint64_t *bytes);

#endif /* PROGRAM_H */
