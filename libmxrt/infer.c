// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Blocking inference: checks what the host can check, lets the backend run
 * it, and says in words what the chip objected to.
 */
#include <string.h>
#include <time.h>

#include "internal.h"

uint32_t mxrt_run_batch(const struct mxrt_run *run, size_t left, uint64_t max_bytes)
{
	uint64_t most = run->in_seq > run->out_seq ? run->in_seq : run->out_seq;
	uint64_t batch = max_bytes / most;

	if (batch > left)
		batch = left;
	return batch ? batch : 1;
}

/* The sentence for a job that the chip ended with an error */
int mxrt_run_explain(const struct mxrt_run *run, int err)
{
	const struct mxrt_model *model = run->model;
	size_t seq = run->first_seq + run->detail;
	size_t index;
	int32_t id;

	switch (run->status) {
	case MXACCEL_ST_INPUT_TOKEN:
		index = run->first_seq * run->tokens + run->detail;
		if (index >= run->nr_seq * run->tokens)
			break;		/* the chip talks nonsense */
		memcpy(&id, run->ids + index * sizeof(id), sizeof(id));
		return mxrt_fail(err,
				 "token id %d (sequence %zu, position %zu) is outside the vocabulary of model %s, ids 0 to %u",
				 id, index / run->tokens, index % run->tokens, model->name,
				 model->vocab - 1);
	case MXACCEL_ST_INPUT_EMPTY:
		return mxrt_fail(err, "sequence %zu has no tokens, only padding", seq);
	case MXACCEL_ST_INPUT_LONG:
		return mxrt_fail(err, "sequence %zu has more tokens than the %u model %s takes", seq,
				 model->max_tokens, model->name);
	case MXACCEL_ST_NON_FINITE:
		return mxrt_fail(err,
				 "macro-op %llu of entry \"%s\" of model %s met an infinity or not-a-number",
				 (unsigned long long)run->detail, model->entry[run->entry].name,
				 model->name);
	case MXACCEL_ST_TIMEOUT:
		return mxrt_fail(err, "%s did not finish %zu sequences in time", model->dev->name,
				 run->nr_seq);
	default:
		break;
	}
	return mxrt_fail(err, "%s refused the job: %s (status %u, field at byte %u)",
			 model->dev->name, mxrt_strerror(run->status), run->status, run->field);
}

int mxrt_run_lock(const struct mxrt_run *run)
{
	struct mxrt_device *dev = run->model->dev;
	struct timespec until = {
		run->deadline_ns / 1000000000u, run->deadline_ns % 1000000000u
	};
	int err;

	if (!run->deadline_ns)
		err = pthread_mutex_lock(&dev->infer_lock);
	else
		err = pthread_mutex_clocklock(&dev->infer_lock, CLOCK_MONOTONIC, &until);
	return err ? mxrt_fail(-err, "%s was busy with other calls until the time was over",
			       dev->name) : 0;
}

int mxrt_run_prepare(struct mxrt_model *model, const struct mxrt_infer_params *p, uint64_t start,
		     struct mxrt_run *run, size_t *out_bytes)
{
	uint64_t max = model->dev->max_io_bytes;
	int entry = p->entry_index;
	size_t in_bytes;
	int err;

	if (p->flags)
		return mxrt_fail(-EINVAL, "%s: unknown flags 0x%x", __func__, p->flags);
	if (!p->ids)
		return mxrt_fail(-EINVAL, "%s: no ids", __func__);
	if (p->entry) {
		entry = mxrt_model_find_entry(model, p->entry);
		if (entry < 0)
			return entry;
	}
	if (p->nr_seq && !p->tokens)
		return mxrt_fail(-ENODATA, "no tokens: sequences of length 0");
	err = mxrt_out_bytes(model, entry, p->nr_seq, p->tokens, out_bytes);
	if (err)
		return err;
	if (__builtin_mul_overflow(p->nr_seq, p->tokens * sizeof(int32_t), &in_bytes))
		return mxrt_fail(-EOVERFLOW, "%zu sequences of %zu ids are larger than memory",
				 p->nr_seq, p->tokens);
	*run = (struct mxrt_run){
		.model = model,
		.entry = entry,
		.tokens = p->tokens,
		.nr_seq = p->nr_seq,
		.ids = p->ids,
		.out = p->out,
		.in_seq = p->tokens * sizeof(int32_t),
		.out_seq = *out_bytes / p->nr_seq,
		.deadline_ns = p->timeout_ms ? start + p->timeout_ms * (uint64_t)1000000 : 0,
	};
	if (run->in_seq > max || run->out_seq > max)
		return mxrt_fail(-EFBIG,
				 "one sequence of %zu tokens has ids of %llu and a result of %llu bytes, a job of %s at most %llu",
				 p->tokens, (unsigned long long)run->in_seq,
				 (unsigned long long)run->out_seq, model->dev->name,
				 (unsigned long long)max);
	return 0;
}

static int check_room(const struct mxrt_infer_params *p, size_t out_bytes)
{
	if (!p->out)
		return mxrt_fail(-EINVAL, "%s: no out", __func__);
	if (p->out_bytes < out_bytes)
		return mxrt_fail(-ENOBUFS,
				 "the result of %zu sequences of %zu tokens takes %zu bytes, there is room for %zu",
				 p->nr_seq, p->tokens, out_bytes, p->out_bytes);
	return 0;
}

int mxrt_infer(struct mxrt_model *model, const struct mxrt_infer_params *params,
	       struct mxrt_result *result)
{
	struct mxrt_result full = { 0 };
	uint64_t start = mxrt_now_ns();
	struct mxrt_infer_params p;
	struct mxrt_run run = { 0 };
	size_t out_bytes = 0;
	int err, put_err;

	if (!model)
		return mxrt_fail(-EINVAL, "%s: no model", __func__);
	err = mxrt_params_get(&p, sizeof(p), params, "mxrt_infer_params");
	if (!err)
		err = mxrt_run_prepare(model, &p, start, &run, &out_bytes);
	if (!err)
		err = check_room(&p, out_bytes);
	if (!err)
		err = mxrt_run_lock(&run);
	if (!err) {
		err = model->dev->backend->infer(model->dev, &run);
		pthread_mutex_unlock(&model->dev->infer_lock);
		if (err && run.status)
			err = mxrt_run_explain(&run, err);
	}
	if (!result)
		return err;
	full.status = run.status;
	full.cycles = run.cycles;
	full.host_ns = mxrt_now_ns() - start;
	full.out_bytes = err ? 0 : out_bytes;
	full.jobs = run.jobs;
	put_err = mxrt_info_put(result, &full, sizeof(full), "mxrt_result");
	return err ? err : put_err;
}
