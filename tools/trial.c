// SPDX-License-Identifier: LGPL-2.1-or-later
/* A chip in this process with a model on it, for trials. */
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "mxmap.h"
#include "mxrt.h"
#include "trial.h"

#define WRITE_BYTES (1u << 20)

/* A job's ids and result; nobody may want the result */
struct transfer {
	const uint8_t *ids;
	uint8_t *out;
};

static int read_ids(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
	const struct transfer *transfer = opaque;

	memcpy(to, transfer->ids + offset, bytes);
	return 0;
}

static int write_out(void *opaque, uint64_t offset, const void *from, uint64_t bytes)
{
	struct transfer *transfer = opaque;

	if (transfer->out)
		memcpy(transfer->out + offset, from, bytes);
	return 0;
}

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + MXACCEL_PAGE - 1) / MXACCEL_PAGE * MXACCEL_PAGE;
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

int trial_begin(struct trial *trial, const struct mx_chip_config *config,
		const struct mx_chip_params *params, const uint8_t content[32],
		const struct mxaccel_model *model, uint64_t model_bytes, const void *weights)
{
	char err[256] = "";

	trial->chip = mx_chip_new(config, params, err, sizeof(err));
	if (!trial->chip)
		return mxmap_fail("cannot run the chip model: %s", err);
	if (!program(trial->chip, content, model, model_bytes, weights, &trial->model))
		return 0;
	mx_chip_free(trial->chip);
	return -1;
}

void trial_end(struct trial *trial)
{
	mx_chip_model_put(trial->chip, trial->model);
	mx_chip_free(trial->chip);
}

uint64_t trial_result_bytes(const struct trial *trial, uint32_t entry, uint32_t nr_seq,
			    uint32_t tokens)
{
	uint64_t in_bytes, out_bytes;
	uint16_t field;

	if (mx_chip_job_sizes(trial->chip, trial->model, entry, nr_seq, tokens, &in_bytes,
			      &out_bytes, &field))
		return 0;
	return out_bytes;
}

int trial_run(const struct trial *trial, uint32_t entry, const int32_t *ids, uint32_t nr_seq,
	      uint32_t tokens, void *out, uint64_t *cycles)
{
	struct transfer transfer = { (const uint8_t *)ids, out };
	struct mx_job job = {
		.model = trial->model, .entry = entry, .nr_seq = nr_seq, .tokens = tokens,
		.read = read_ids, .write = write_out, .opaque = &transfer };

	mx_chip_job_run(trial->chip, &job);
	if (cycles)
		*cycles = job.result;
	if (job.status)
		return mxmap_fail("the chip model fails at a trial: %s (%" PRIu64 ")",
				  mxrt_strerror(job.status), job.result);
	return 0;
}
