// SPDX-License-Identifier: LGPL-2.1-or-later
/* mxmap: the image, section by section; with calibration MODEL and PARAMS more than once. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "card.h"
#include "digest.h"
#include "golden.h"
#include "mapping.h"
#include "mxmap.h"
#include "smooth.h"

static int write_model(struct mapping *m)
{
	const struct mxaccel_section *params, *model;
	size_t digest_bytes;
	void *digests;
	int ret;

	if (image_begin(m->writer, MXACCEL_SEC_MODEL) ||
	    image_write(m->writer, m->model, m->model_bytes))
		return -1;
	model = image_end(m->writer);
	if (!model || image_begin(m->writer, MXACCEL_SEC_PARAMS) ||
	    quantise_params(&m->checkpoint, &m->plan, m->writer, m->options->verbose, &m->report))
		return -1;
	params = image_end(m->writer);
	if (!params)
		return -1;
	if (params->bytes != m->plan.params_bytes)
		return mxmap_fail("wrote %" PRIu64 " bytes of parameters instead of %" PRIu64 ": this is a bug of mxmap",
				  (uint64_t)params->bytes, m->plan.params_bytes);
	m->params = *params;
	if (mx_digest_content(model->digest, params->digest, m->header.content))
		return mxmap_fail("the crypto library failed to hash");
	if (image_copy_chunks(m->writer, &digests, &digest_bytes))
		return -1;
	ret = image_section(m->writer, MXACCEL_SEC_CHUNKS, digests, digest_bytes);
	free(digests);
	return ret;
}

static int smooth(struct mapping *m, const struct calibrate_input *input)
{
	float **largest = NULL;
	size_t i;
	int ret = calibrate_inputs(input, &largest) ||
		  smooth_plan(&m->checkpoint, largest, m->options->calibration.smooth, &m->plan) ? -1 : 0;

	for (i = 0; largest && i < m->plan.nr; i++)
		free(largest[i]);
	free(largest);
	return ret;
}

/* Runs the model that was written, and writes it again with what this gave. */
static int calibrate(struct mapping *m, json_t **products)
{
	struct calibrate_input input = {
		.chip = &m->chip, .text = &m->text, .content = m->header.content,
		.model = m->model, .model_bytes = m->model_bytes, .plan = &m->plan,
		.params = image_map(m->writer, &m->params),
	};
	int ret;

	if (!input.params)
		return -1;
	ret = products ? calibrate_steps(&input, m->options->calibration.method, products) :
			 smooth(m, &input);
	munmap((void *)input.params, m->params.bytes);
	if (ret)
		return ret;
	image_rewind(m->writer);
	return write_model(m);
}

static int calibrate_all(struct mapping *m)
{
	json_t *products = json_array();
	int ret = 0;

	if (m->options->calibration.smooth >= 0)
		ret = calibrate(m, NULL);
	if (!ret && sets_steps(m)) {
		json_decref(products);
		ret = calibrate(m, &products);
	}
	if (!ret)
		ret = calibrate_describe(&m->options->calibration, &m->text, &m->chip, products,
					 &m->calibration);
	json_decref(products);
	return ret;
}

static int write_calibration(struct mapping *m)
{
	char *text = json_dumps(m->calibration, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	int ret;

	if (!text)
		return mxmap_no_memory();
	ret = image_section(m->writer, MXACCEL_SEC_CALIBRATION, text, strlen(text));
	free(text);
	return ret;
}

static int write_card(struct mapping *m)
{
	char *card = card_make(m->options->folder, m->name, m->chip.name, &m->config, &m->plan,
			       &m->report, m->placement);
	int ret;

	if (!card)
		return -1;
	ret = image_section(m->writer, MXACCEL_SEC_CARD, card, strlen(card));
	free(card);
	return ret;
}

static int write_golden(struct mapping *m)
{
	const void *params = image_map(m->writer, &m->params);
	struct mxaccel_golden *golden;
	size_t bytes;
	int ret;

	if (!params)
		return -1;
	ret = golden_make(&m->chip, m->header.content, m->model, m->model_bytes, params, &golden,
			  &bytes);
	munmap((void *)params, m->params.bytes);
	if (ret)
		return -1;
	ret = image_section(m->writer, MXACCEL_SEC_GOLDEN, golden, bytes);
	free(golden);
	return ret;
}

int write_image(struct mapping *m)
{
	struct image_writer *writer;

	m->writer = image_create(m->options->output);
	if (!m->writer)
		return -1;
	if (write_model(m) || (m->options->calibration.file && calibrate_all(m)) ||
	    image_section(m->writer, MXACCEL_SEC_VOCAB, m->tokenizer.vocab,
			  m->tokenizer.vocab_bytes) ||
	    image_section(m->writer, MXACCEL_SEC_TOKENIZER, &m->tokenizer.config,
			  sizeof(m->tokenizer.config)) ||
	    write_card(m) || write_golden(m) || (m->calibration && write_calibration(m)))
		return -1;
	strcpy(m->header.name, m->name);
	strcpy(m->header.chip, m->chip.name);
	strcpy(m->header.builder, "mxmap " MXMAP_VERSION);
	writer = m->writer;
	m->writer = NULL;
	return image_commit(writer, &m->header);
}
