// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The chip that an image is mapped for, and the job with a known answer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "chip_file.h"
#include "digest.h"
#include "golden.h"
#include "mxmap.h"
#include "mxrt.h"
#include "program.h"

#define GOLDEN_TOKENS 16	/* ids per sequence, if the model takes as many */
#define GOLDEN_SEQUENCES 2	/* the second is padded */
#define WRITE_BYTES (1u << 20)

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

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + MXACCEL_PAGE - 1) / MXACCEL_PAGE * MXACCEL_PAGE;
}

/* --------------------------------------------------------- the known answer */

struct result {
	const int32_t *ids;
	uint8_t *out;
};

static int read_ids(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
	const struct result *result = opaque;

	memcpy(to, (const uint8_t *)result->ids + offset, bytes);
	return 0;
}

static int write_out(void *opaque, uint64_t offset, const void *from, uint64_t bytes)
{
	struct result *result = opaque;

	memcpy(result->out + offset, from, bytes);
	return 0;
}

static int program(struct mx_chip *chip, const uint8_t content[32],
		   const struct mxaccel_model *model, uint64_t model_bytes, const uint8_t *params,
		   uint32_t *id)
{
	uint64_t at, start = page_up(model_bytes);
	uint32_t prog;
	uint16_t status;

	status = mx_chip_prog_begin(chip, content, model_bytes, model->params_bytes, &prog);
	if (!status) {
		status = mx_chip_prog_write(chip, prog, 0, model, model_bytes);
		for (at = 0; at < model->params_bytes && !status; at += WRITE_BYTES) {
			uint64_t left = model->params_bytes - at;

			if (left > WRITE_BYTES)
				left = WRITE_BYTES;
			status = mx_chip_prog_write(chip, prog, start + at, params + at, left);
			/* The chip has it now; one copy in memory is enough. */
			madvise((void *)(params + at), left, MADV_DONTNEED);
		}
		if (status)
			mx_chip_prog_abort(chip, prog);
		else
			status = mx_chip_prog_commit(chip, prog, id);
	}
	if (status)
		return mxmap_fail("the chip model refuses the image: %s", mxrt_strerror(status));
	return 0;
}

static int run(struct mx_chip *chip, uint32_t model_id, struct mxaccel_golden *golden)
{
	struct result result = { .ids = (const int32_t *)(golden + 1) };
	struct mx_job job = {
		.model = model_id, .entry = golden->entry, .nr_seq = golden->nr_seq,
		.tokens = golden->tokens, .read = read_ids, .write = write_out,
		.opaque = &result };
	uint64_t in_bytes, out_bytes;
	int ret = 0;

	job.status = mx_chip_job_sizes(chip, model_id, golden->entry, golden->nr_seq,
				       golden->tokens, &in_bytes, &out_bytes, &job.field);
	if (!job.status) {
		result.out = calloc(1, out_bytes);
		if (!result.out)
			return mxmap_no_memory();
		mx_chip_job_run(chip, &job);
	}
	golden->cycles = job.result;
	golden->out_bytes = out_bytes;
	if (job.status)
		ret = mxmap_fail("the chip model fails at a trial: %s (%" PRIu64 ")",
				 mxrt_strerror(job.status), job.result);
	else if (mx_sha256(result.out, out_bytes, golden->out_sha256))
		ret = mxmap_fail("the crypto library failed to hash");
	free(result.out);
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
	struct mx_chip *chip;
	char err[256] = "";
	uint32_t model_id;
	int ret = -1;

	*bytes = sizeof(*golden) + GOLDEN_SEQUENCES * tokens * sizeof(uint32_t);
	golden = calloc(1, *bytes);
	if (!golden)
		return mxmap_no_memory();
	golden->nr_seq = GOLDEN_SEQUENCES;
	golden->tokens = tokens;
	fill_ids(golden, model->vocab);
	chip = mx_chip_new(config, &host, err, sizeof(err));
	if (!chip) {
		mxmap_error("cannot run the chip model: %s", err);
	} else if (!program(chip, content, model, model_bytes, params, &model_id)) {
		ret = run(chip, model_id, golden);
		mx_chip_model_put(chip, model_id);
	}
	if (chip)
		mx_chip_free(chip);
	if (ret)
		free(golden);
	else
		*out = golden;
	return ret;
}
