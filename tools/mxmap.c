// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mxmap: maps a Hugging Face BERT folder to a model image (.mxw) for a chip.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <utf8proc.h>

#include "card.h"
#include "golden.h"
#include "heads.h"
#include "hf_config.h"
#include "hf_tokenizer.h"
#include "mapping.h"
#include "mxmap.h"
#include "place_report.h"
#include "program.h"

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
