// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The chip that an image is mapped for, and the job with a known answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chip_file.h"
#include "digest.h"
#include "golden.h"
#include "mxmap.h"
#include "trial.h"

#define GOLDEN_TOKENS 16	/* ids per sequence, if the model takes as many */
#define GOLDEN_SEQUENCES 2	/* the second is padded */

/* ------------------------------------------------------------- the chip */

int target_read(const char *name, struct mx_chip_config *config)
{
	struct chip_file file;
	char err[256];
	int ret = -1;

	if (chip_file_read(&file, name, err, sizeof(err)))
		mxmap_error("%s", err);
	else if (mx_chip_config_parse(config, file.name, file.text, file.bytes, err, sizeof(err)))
		mxmap_error("%s: %s", file.path, err);
	else
		ret = 0;
	chip_file_free(&file);
	return ret;
}

/* --------------------------------------------------------- the known answer */

/* The answer of the chip to golden's ids */
static int answer(const struct trial *trial, struct mxaccel_golden *golden)
{
	uint64_t cycles = 0;
	uint8_t *out;
	int ret;

	golden->out_bytes = trial_result_bytes(trial, golden->entry, golden->nr_seq,
					       golden->tokens);
	out = calloc(1, golden->out_bytes + 1);
	if (!out)
		return mxmap_no_memory();
	ret = trial_run(trial, golden->entry, (const int32_t *)(golden + 1), golden->nr_seq,
			golden->tokens, out, &cycles);
	golden->cycles = cycles;
	if (!ret && mx_sha256(out, golden->out_bytes, golden->out_sha256))
		ret = mxmap_fail("the crypto library failed to hash");
	free(out);
	return ret;
}

/* Ids all over the vocabulary, never 0; the last sequence is half padding. */
static void fill_ids(struct mxaccel_golden *golden, uint32_t vocab)
{
	uint32_t *id = (uint32_t *)(golden + 1);
	uint32_t s, t;

	for (s = 0; s < golden->nr_seq; s++)
		for (t = 0; t < golden->tokens; t++)
			if (s + 1 < golden->nr_seq || t < (golden->tokens + 1) / 2)
				id[s * golden->tokens + t] =
					1 + (101 + 7919ull * (s * golden->tokens + t)) % (vocab - 1);
}

int golden_make(const struct mx_chip_config *config, const uint8_t content[32],
		const struct mxaccel_model *model, uint64_t model_bytes, const void *params,
		struct mxaccel_golden **out, size_t *bytes)
{
	uint32_t tokens = model->max_tokens < GOLDEN_TOKENS ? model->max_tokens : GOLDEN_TOKENS;
	struct mx_chip_params host = { .isa = MX_ISA_AUTO };
	struct mxaccel_golden *golden;
	struct trial trial;
	int ret;

	*bytes = sizeof(*golden) + GOLDEN_SEQUENCES * tokens * sizeof(uint32_t);
	golden = calloc(1, *bytes);
	if (!golden)
		return mxmap_no_memory();
	golden->nr_seq = GOLDEN_SEQUENCES;
	golden->tokens = tokens;
	fill_ids(golden, model->vocab);
	ret = trial_begin(&trial, config, &host, content, model, model_bytes, params);
	if (!ret) {
		ret = answer(&trial, golden);
		trial_end(&trial);
	}
	if (ret)
		free(golden);
	else
		*out = golden;
	return ret;
}
