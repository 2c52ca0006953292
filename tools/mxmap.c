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

#include "card.h"
#include "digest.h"
#include "golden.h"
#include "heads.h"
#include "hf_config.h"
#include "hf_tokenizer.h"
#include "image_writer.h"
#include "mxmap.h"
#include "place_report.h"
#include "program.h"
#include "quantise.h"

static const char usage[] =
"usage: mxmap MODELDIR [-o] IMAGE [options]\n"
"\n"
"Maps a Hugging Face BERT folder (config.json, model.safetensors or its shards,\n"
"vocab.txt) to a model image for a chip: weights become INT8, layers a program.\n"
"\n"
"  -o, --output FILE     image to write\n"
"  -c, --chip CHIP       name of a chip or path of a chip file (default: mx1)\n"
"  -n, --name NAME       name of the model (default: that of the folder)\n"
"  -t, --max-tokens N    longest sequence (default: as long as the model takes)\n"
"  -p, --planes N        INT8 planes of activations into Q, K, V and the feed-forward\n"
"                        network: 2 (default), or 1, which needs nearly half the work\n"
"                        but lets outlying channels drown the others\n"
"      --place POLICY    spread: products that run at once on different crossbars\n"
"                        (default); linear: one crossbar filled after the other\n"
"      --report FILE     write what the placement takes and gives, as JSON\n"
"      --plan            write no image, only show the placement; config.json is enough\n"
"  -v, --verbose         say what became of each parameter\n"
"  -h, --help            show this\n"
"      --version         show the version\n";

struct options {
	const char *folder, *output, *chip, *name, *place, *report;
	uint32_t max_tokens;
	unsigned int planes;
	bool verbose, plan;
};

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
	struct timespec begin;
};

static int parse_tokens(const char *text, uint32_t *tokens)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || !value || value > MXACCEL_MAX_K)
		return mxmap_fail("--max-tokens %s is not a number from 1 to %u", text,
				  MXACCEL_MAX_K);
	*tokens = value;
	return 0;
}

/* Return: 0, -1 after a message, 1: done already. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "chip", required_argument, NULL, 'c' },
		{ "name", required_argument, NULL, 'n' },
		{ "max-tokens", required_argument, NULL, 't' },
		{ "planes", required_argument, NULL, 'p' },
		{ "place", required_argument, NULL, 'P' },
		{ "report", required_argument, NULL, 'r' },
		{ "plan", no_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	int option, policy;

	while ((option = getopt_long(argc, argv, "o:c:n:t:p:vh", longs, NULL)) != -1) {
		switch (option) {
		case 'o':
			options->output = optarg;
			break;
		case 'c':
			options->chip = optarg;
			break;
		case 'n':
			options->name = optarg;
			break;
		case 't':
			if (parse_tokens(optarg, &options->max_tokens))
				return -1;
			break;
		case 'p':
			if (strcmp(optarg, "1") && strcmp(optarg, "2"))
				return mxmap_fail("--planes %s: there can be 1 or 2", optarg);
			options->planes = *optarg - '0';
			break;
		case 'P':
			options->place = optarg;
			if (!place_policy_from_name(optarg, &policy))
				return mxmap_fail("--place %s: must be spread or linear", optarg);
			break;
		case 'r':
			options->report = optarg;
			break;
		case 'l':
			options->plan = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		case 'V':
			puts("mxmap " MXMAP_VERSION);
			return 1;
		default:
			return -1;	/* getopt_long() has said what is wrong. */
		}
	}
	if (optind + 2 == argc && !options->output)
		options->output = argv[--argc];
	if (optind + 1 != argc)
		return mxmap_fail("name one model folder (mxmap --help says more)");
	options->folder = argv[optind];
	if (!options->output && !options->plan)
		return mxmap_fail("-o FILE is needed: where the image goes");
	return 0;
}

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
	if (plan_make(&m->config, heads, &m->plan))
		return -1;
	m->model = program_make(&m->config, &m->plan, m->name, max_tokens, m->options->planes,
				&m->model_bytes);
	if (!m->model)
		return -1;
	place_policy_from_name(m->options->place, &policy);
	if (place_apply(&m->chip, policy, &m->model, &m->model_bytes))
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

/* All that can be checked before anything is written */
static int prepare(struct mapping *m)
{
	uint32_t max_tokens = m->options->max_tokens;
	struct heads heads = { 0 };

	if (target_read(m->options->chip, &m->chip) ||
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
	return checkpoint_check(&m->checkpoint, &m->plan);
}

/* Where the weights lie, and what that gives */
static int report_placement(struct mapping *m)
{
	m->placement = place_report(&m->chip, m->options->place, m->model, m->model_bytes);
	if (!m->placement)
		return -1;
	return m->options->report ? place_save(m->placement, m->options->report) : 0;
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
	if (write_model(m) ||
	    image_section(m->writer, MXACCEL_SEC_VOCAB, m->tokenizer.vocab,
			  m->tokenizer.vocab_bytes) ||
	    image_section(m->writer, MXACCEL_SEC_TOKENIZER, &m->tokenizer.config,
			  sizeof(m->tokenizer.config)) ||
	    write_card(m) || write_golden(m))
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
	struct options options = { .chip = "mx1", .place = "spread", .planes = 2 };
	struct mapping m = { .options = &options };
	int ret = parse_options(argc, argv, &options);

	clock_gettime(CLOCK_MONOTONIC, &m.begin);
	if (ret)
		return ret < 0 ? 2 : 0;
	ret = prepare(&m) || report_placement(&m) || (!options.plan && write_image(&m));
	if (!ret)
		place_print(m.placement, options.plan ? stdout : stderr);
	if (!ret && !options.plan)
		summary(&m);
	image_abort(m.writer);
	json_decref(m.placement);
	free(m.model);
	plan_free(&m.plan);
	checkpoint_close(&m.checkpoint);
	hf_tokenizer_free(&m.tokenizer);
	hf_config_free(&m.config);
	return ret ? 1 : 0;
}
