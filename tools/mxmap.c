// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mxmap: maps a Hugging Face BERT folder to a model image (.mxw) for a chip.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <utf8proc.h>

#include "calibrate.h"
#include "card.h"
#include "digest.h"
#include "golden.h"
#include "heads.h"
#include "hf_config.h"
#include "hf_tokenizer.h"
#include "image_writer.h"
#include "mxmap.h"
#include "mxmap_options.h"
#include "place_report.h"
#include "program.h"
#include "quantise.h"
#include "smooth.h"

/* Everything that a mapping needs; freed as a whole. */
struct mapping {
	const struct options *options;
	struct mx_chip_config chip;
	struct hf_config config;
	struct hf_tokenizer tokenizer;
	struct checkpoint checkpoint;
	struct plan plan;
	struct mxaccel_model *model;
	uint64_t model_bytes;
	char name[sizeof(((struct mxaccel_model *)NULL)->name)];
	struct image_writer *writer;
	struct mxaccel_image header;
	struct mxaccel_section params;
	struct quantise_report report;
	json_t *placement;
	struct calibration_text text;
	json_t *calibration;
	struct timespec begin;
};

/* A name that every reader shows as it is: UTF-8 without control characters */
static int set_name(struct mapping *m)
{
	const char *given = m->options->name;
	char *folder = given ? NULL : card_folder_name(m->options->folder);
	const char *name = given ? given : folder ? folder : "model", *at = name;
	int ret = 0;

	while (*at && !ret) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &c);

		if (used < 1 || c < 0x20 || (c >= 0x7f && c < 0xa0))
			ret = mxmap_fail("the model's name is not printable UTF-8: give another with --name");
		else
			at += used;
	}
	if (!ret && (!*name || strlen(name) >= sizeof(m->name)))
		ret = mxmap_fail("the model's name \"%s\" must have 1 to %zu bytes: give another with --name",
				 name, sizeof(m->name) - 1);
	if (!ret)
		strcpy(m->name, name);
	free(folder);
	return ret;
}

static bool sets_steps(const struct mapping *m)
{
	return m->options->calibration.file && m->chip.kind != MX_SYNERGY;
}

/* Plan and program. Return: 0, -1 after a message, 1: too large, @why says for what */
static int try_layout(struct mapping *m, const struct heads *heads, uint32_t max_tokens,
		      char *why, size_t room)
{
	int policy;

	free(m->model);
	m->model = NULL;
	plan_free(&m->plan);
	if (plan_make(&m->config, heads, m->options->calibration.smooth >= 0, &m->plan))
		return -1;
	m->model = program_make(&m->config, &m->plan, m->name, max_tokens, m->options->planes,
				&m->model_bytes);
	if (!m->model)
		return -1;
	place_policy_from_name(m->options->place, &policy);
	if (place_apply(&m->chip, policy, &m->model, &m->model_bytes) ||
	    (sets_steps(m) &&
	     calibrate_reserve(&m->chip, &m->model, &m->model_bytes)))
		return -1;
	return place_fits(&m->chip, m->model, m->model_bytes, why, room) ? 0 : 1;
}

/* The result of "mlm" is as wide as the vocabulary: the rest may fit where that does not. */
static int lay_out(struct mapping *m, struct heads *heads, uint32_t max_tokens)
{
	char why[512], without[512];
	int ret = try_layout(m, heads, max_tokens, why, sizeof(why));

	if (ret > 0 && heads->mlm) {
		heads->mlm = false;
		ret = try_layout(m, heads, max_tokens, without, sizeof(without));
		if (ret > 0)
			strcpy(why, without);
		else if (!ret)
			mxmap_warn("the image gets no entry \"mlm\": with it, %s", why);
	}
	return ret > 0 ? mxmap_fail("%s", why) : ret;
}

static int check_calibration(const struct mapping *m)
{
	if (!m->options->calibration.file)
		return 0;
	if (m->chip.kind == MX_SYNERGY && m->options->calibration.smooth < 0)
		return mxmap_fail("--calibrate: chip %s is of organisation synergy, whose converters have no steps to set; use an inplace or traditional one, or --smooth",
				  m->chip.name);
	if (sets_steps(m) && m->chip.analog.adc_range == MX_ADC_FIXED)
		mxmap_warn("chip %s has adc_range = fixed and will not use the image's steps",
			   m->chip.name);
	return 0;
}

/* All that can be checked before anything is written */
static int prepare(struct mapping *m)
{
	uint32_t max_tokens = m->options->max_tokens;
	struct heads heads = { 0 };

	if (target_read(m->options->chip, &m->chip) || check_calibration(m) ||
	    hf_config_read(m->options->folder, &m->config) || set_name(m))
		return -1;
	if (!max_tokens)
		max_tokens = m->config.positions;
	if (max_tokens > m->config.positions)
		return mxmap_fail("--max-tokens %u: the model has positions for %u", max_tokens,
				  m->config.positions);
	if (m->options->plan)
		return lay_out(m, &heads, max_tokens);
	if (hf_tokenizer_read(m->options->folder, m->config.vocab, &m->tokenizer) ||
	    checkpoint_open(m->options->folder, &m->checkpoint) ||
	    heads_find(&m->checkpoint, &m->config, &heads) || lay_out(m, &heads, max_tokens))
		return -1;
	if (m->options->calibration.file &&
	    calibration_text_read(m->options->calibration.file, &m->tokenizer, max_tokens,
				  m->options->calibration.tokens, &m->text))
		return -1;
	return checkpoint_check(&m->checkpoint, &m->plan);
}

/* Where the weights lie, and what that gives */
static int report_placement(struct mapping *m)
{
	m->placement = place_report(&m->chip, m->options->place, m->model, m->model_bytes);
	return m->placement ? 0 : -1;
}

static int save_report(struct mapping *m)
{
	if (!m->options->report)
		return 0;
	if (m->calibration)
		json_object_set(m->placement, "calibration", m->calibration);
	return place_save(m->placement, m->options->report);
}

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

static int write_image(struct mapping *m)
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

/* Largest resident memory so far. Not getrusage(), whose peak begins with that of the parent. */
static double peak_megabytes(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %lu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib * 1024 / 1e6;
}

static void summary(const struct mapping *m)
{
	const struct mxaccel_image *header = &m->header;
	struct timespec now;

	fprintf(stderr, "%s: %s for %s, %" PRIu64 " parameters, %.1f MB, %u layers of %u, up to %u tokens, weights %.2f %% off, content ",
		m->options->output, m->name, m->chip.name, m->plan.parameters,
		header->file_bytes / 1e6, m->config.layers, m->config.hidden, m->model->max_tokens,
		100 * quantise_relative(&m->report.matrices));
	for (size_t i = 0; i < 6; i++)
		fprintf(stderr, "%02x", header->content[i]);
	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(stderr, "; took %.1f s and %.0f MB of memory\n",
		now.tv_sec - m->begin.tv_sec + (now.tv_nsec - m->begin.tv_nsec) / 1e9,
		peak_megabytes());
}

int main(int argc, char **argv)
{
	struct options options = {
		.chip = "mx1", .place = "spread", .planes = 2,
		.calibration = { .tokens = CALIBRATION_TOKENS, .smooth = -1 },
	};
	struct mapping m = { .options = &options };
	int ret = parse_options(argc, argv, &options);

	clock_gettime(CLOCK_MONOTONIC, &m.begin);
	if (ret)
		return ret < 0 ? 2 : 0;
	ret = prepare(&m) || report_placement(&m) || (!options.plan && write_image(&m)) ||
	      save_report(&m);
	if (!ret)
		place_print(m.placement, options.plan ? stdout : stderr);
	if (!ret && m.calibration)
		calibrate_print(m.calibration, stderr);
	if (!ret && !options.plan)
		summary(&m);
	image_abort(m.writer);
	json_decref(m.placement);
	json_decref(m.calibration);
	calibration_text_free(&m.text);
	free(m.model);
	plan_free(&m.plan);
	checkpoint_close(&m.checkpoint);
	hf_tokenizer_free(&m.tokenizer);
	hf_config_free(&m.config);
	return ret ? 1 : 0;
}
