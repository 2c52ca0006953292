// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The runtime as a program sees it, on chips in this process ("sim:"), or, with
 * MXRT_TEST_DEVICE=/dev/mxaccel0 in the environment, on a device with chip
 * "tiny", whose models are deleted. Linked with the shared library, so that
 * only public calls can be used.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mini_image.h"
#include "mxrt.h"
#include "runtime_help.h"
#include "sample_model.h"

#define W SAMPLE_WIDTH
#define T SAMPLE_TOKENS
#define MAX_COUNTERS 64

static struct mini_image mini;
static struct mxrt_image *image;

static int setup(void **state)
{
	(void)state;
	mini = mini_image_make(0, 0);
	return mxrt_image_open_memory(mini.data, mini.bytes, MXRT_IMAGE_VERIFY, &image);
}

static int teardown(void **state)
{
	(void)state;
	mxrt_image_close(image);
	mini_image_free(&mini);
	return 0;
}

static const char *node(void)
{
	return getenv("MXRT_TEST_DEVICE");
}

/* The device under test, one more handle of it if it is a real one. */
static struct mxrt_device *open_more(void)
{
	return open_sim(node() ? node() : "sim:tiny");
}

/* The device under test, without any model. */
static struct mxrt_device *open_empty(void)
{
	struct mxrt_device *dev = open_more();
	struct mxrt_resident list[4];
	size_t count = 4;

	must(mxrt_models(dev, list, &count));
	while (count)
		must(mxrt_model_delete(dev, list[--count].id));
	return dev;
}

static struct mxrt_model *load(struct mxrt_device *dev)
{
	struct mxrt_model *model;

	must(mxrt_load(dev, image, NULL, &model));
	return model;
}

static int infer(struct mxrt_model *model, const char *entry, const int32_t *ids, size_t nr_seq,
		 size_t tokens, float *out, size_t out_bytes, struct mxrt_result *result)
{
	struct mxrt_infer_params params = {
		.size = sizeof(params), .entry = entry, .nr_seq = nr_seq, .tokens = tokens,
		.ids = ids, .out = out, .out_bytes = out_bytes,
	};

	return mxrt_infer(model, &params, result);
}

static uint64_t counter(struct mxrt_device *dev, unsigned int scope,
			const struct mxrt_model *model, const char *name)
{
	struct mxrt_value list[MAX_COUNTERS];
	size_t count = MAX_COUNTERS, i;

	must(mxrt_counters(dev, scope, model, list, &count));
	for (i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return list[i].value;
	fail_msg("nothing is counted as %s", name);
	return 0;
}

/* What entry "sentence" is: the mean of the ids' table rows, with length 1. */
static void reference(const int32_t *ids, size_t tokens, double *out)
{
	struct sample_section *model = mini_image_data(&mini, MXACCEL_SEC_MODEL);
	const int8_t *table = (const int8_t *)mini_image_data(&mini, MXACCEL_SEC_PARAMS) +
			      model->op[OP_S_EMBED].w_off;
	double norm = 0;
	size_t t, c;

	for (c = 0; c < W; c++) {
		out[c] = 0;
		for (t = 0; t < tokens; t++)
			if (ids[t])
				out[c] += table[ids[t] * MXACCEL_TABLE_STRIDE(W) + c];
		norm += out[c] * out[c];
	}
	for (c = 0; c < W; c++)
		out[c] /= sqrt(norm);
}

static const int32_t batch[4][T] = {
	{ 2, 4, 5, 6, 9, 7, 3, 0 },
	{ 2, 8, 3, 0, 0, 0, 0, 0 },
	{ 1, 0, 9, 9, 9, 9, 9, 9 },
	{ 7, 0, 0, 0, 0, 0, 0, 0 },
};
static const size_t lengths[4] = { 7, 3, 8, 1 };

static void test_load(void **state)
{
	struct mxrt_device *dev = open_empty();
	struct mxrt_load_params resident = { .size = sizeof(resident), .flags = MXRT_LOAD_RESIDENT };
	struct mxrt_model_info info = { .size = sizeof(info) };
	struct mxrt_model *first, *second;
	struct mini_image damaged = mini_image_make(0, 0);
	struct mxrt_resident list[4];
	struct mxrt_image *bad;
	uint64_t writes;
	size_t count;

	(void)state;
	said(mxrt_load(dev, image, &resident, &first), -ENOENT, "not resident");
	first = load(dev);
	must(mxrt_model_info(first, &info));
	assert_int_equal(info.programmed, 1);
	assert_int_equal(info.vocab, SAMPLE_VOCAB);
	assert_int_equal(info.max_tokens, T);
	assert_string_equal(info.name, "sample");
	assert_memory_equal(info.content, mini_image_header(&mini)->content, 32);
	writes = counter(dev, MXRT_SCOPE_DEVICE, NULL, "cell_writes");
	assert_true(writes > 0);
	second = load(dev);		/* shared */
	must(mxrt_model_info(second, &info));
	assert_int_equal(info.programmed, 0);
	mxrt_unload(first);
	count = 4;
	must(mxrt_models(dev, list, &count));
	assert_int_equal(count, 1);
	assert_string_equal(list[0].name, "sample");
	assert_int_equal(list[0].id, info.id);
	assert_memory_equal(list[0].content, info.content, 32);
	said(mxrt_model_delete(dev, list[0].id), -EBUSY, "in use");
	mxrt_unload(second);
	must(mxrt_load(dev, image, &resident, &first));		/* outlives its use */
	assert_int_equal(counter(dev, MXRT_SCOPE_DEVICE, NULL, "cell_writes"), writes);
	mxrt_unload(first);
	((uint8_t *)mini_image_data(&damaged, MXACCEL_SEC_PARAMS))[64] ^= 4;
	must(mxrt_image_open_memory(damaged.data, damaged.bytes, 0, &bad));
	must(mxrt_load(dev, bad, NULL, &first));	/* the chip's copy is good */
	mxrt_unload(first);
	must(mxrt_model_delete(dev, list[0].id));
	said(mxrt_load(dev, bad, NULL, &first), -EBADMSG, "chunk 0 of section PARAMS");
	count = 4;
	must(mxrt_models(dev, list, &count));
	assert_int_equal(count, 0);
	mxrt_image_close(bad);
	mini_image_free(&damaged);
	list[0].id = info.id;
	said(mxrt_model_delete(dev, list[0].id), -ENOENT, "resident");
	must(mxrt_models(dev, list, &count));
	assert_int_equal(count, 0);
	mxrt_unload(NULL);
	mxrt_close(dev);
	mxrt_close(NULL);
}

/* What cannot be loaded leaves nothing behind, and what comes next works. */
static void test_load_refused(void **state)
{
	struct mxrt_device *dev = open_empty();
	struct mini_image other = mini_image_make(1, 0);
	struct sample_section *section;
	struct mxrt_resident list[4];
	struct mxrt_image *bad;
	struct mxrt_model *model;
	size_t count = 4;

	(void)state;
	((uint8_t *)mini_image_data(&other, MXACCEL_SEC_PARAMS))[64] ^= 4;
	must(mxrt_image_open_memory(other.data, other.bytes, 0, &bad));
	said(mxrt_load(dev, bad, NULL, &model), -EBADMSG, "PARAMS");
	mxrt_image_close(bad);

	section = mini_image_data(&other, MXACCEL_SEC_MODEL);
	section->op[OP_S_POOL].k = W + 1;	/* leaves its region */
	mini_image_seal(&other);
	must(mxrt_image_open_memory(other.data, other.bytes, 0, &bad));
	said(mxrt_load(dev, bad, NULL, &model), -EINVAL, "malformed");
	mxrt_image_close(bad);
	mini_image_free(&other);

	other = mini_image_make(2, 4 << 20);
	must(mxrt_image_open_memory(other.data, other.bytes, 0, &bad));
	said(mxrt_load(dev, bad, NULL, &model), -EFBIG, "does not fit");
	mxrt_image_close(bad);
	mini_image_free(&other);

	must(mxrt_models(dev, list, &count));
	assert_int_equal(count, 0);
	mxrt_unload(load(dev));
	mxrt_close(dev);
}

/* More models than there is room for: capacity 2 MiB, each 800 KiB. */
static void test_full(void **state)
{
	struct mxrt_device *dev = open_empty();
	struct mxrt_model *models[3] = { NULL };
	struct mxrt_model_info info = { .size = sizeof(info) };
	struct mxrt_image *images[3];
	struct mini_image minis[3];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		minis[i] = mini_image_make(i, 800 << 10);
		must(mxrt_image_open_memory(minis[i].data, minis[i].bytes, 0, &images[i]));
	}
	must(mxrt_load(dev, images[0], NULL, &models[0]));
	must(mxrt_load(dev, images[1], NULL, &models[1]));
	must(mxrt_model_info(models[0], &info));
	said(mxrt_load(dev, images[2], NULL, &models[2]), -ENOSPC, "no room");
	mxrt_unload(models[0]);
	said(mxrt_load(dev, images[2], NULL, &models[2]), -ENOSPC, "delete a resident model");
	must(mxrt_model_delete(dev, info.id));
	must(mxrt_load(dev, images[2], NULL, &models[2]));
	mxrt_close(dev);		/* the models keep it */
	mxrt_unload(models[1]);
	mxrt_unload(models[2]);
	for (i = 0; i < 3; i++) {
		mxrt_image_close(images[i]);
		mini_image_free(&minis[i]);
	}
}

static void test_infer(void **state)
{
	struct mxrt_device *dev = open_empty();
	struct mxrt_model *model = load(dev);
	struct mxrt_result result = { .size = sizeof(result) };
	float sentence[4][W], tokens[4][T][W], alone[T][W];
	uint64_t before = counter(dev, MXRT_SCOPE_HANDLE, NULL, "dma_read_bytes");
	double expected[W];
	size_t s, t, c;

	(void)state;
	must(infer(model, "sentence", batch[0], 4, T, sentence[0], sizeof(sentence), &result));
	assert_int_equal(result.jobs, 1);
	assert_int_equal(result.status, 0);
	assert_int_equal(result.out_bytes, sizeof(sentence));
	assert_true(result.host_ns > 0);
	assert_int_equal(counter(dev, MXRT_SCOPE_HANDLE, NULL, "dma_read_bytes") - before,
			 sizeof(batch));
	assert_int_equal(counter(dev, MXRT_SCOPE_HANDLE, NULL, "dma_write_bytes"),
			 sizeof(sentence));
	assert_int_equal(counter(dev, MXRT_SCOPE_MODEL, model, "sequences"), 4);
	assert_int_equal(counter(dev, MXRT_SCOPE_MODEL, model, "tokens"), 7 + 3 + 8 + 1);
	for (s = 0; s < 4; s++) {
		reference(batch[s], T, expected);
		for (c = 0; c < W; c++)
			assert_true(fabs(sentence[s][c] - expected[c]) < 1e-5);
	}
	before = counter(dev, MXRT_SCOPE_MODEL, model, "cycles");
	must(infer(model, "tokens", batch[0], 4, T, tokens[0][0], sizeof(tokens), &result));
	assert_true(result.cycles > 0);
	assert_int_equal(counter(dev, MXRT_SCOPE_MODEL, model, "cycles") - before, result.cycles);
	for (s = 0; s < 4; s++) {
		/* Alone and without padding: the same bits */
		must(infer(model, "tokens", batch[s], 1, lengths[s], alone[0], sizeof(alone), NULL));
		assert_memory_equal(alone, tokens[s], lengths[s] * sizeof(alone[0]));
		for (t = lengths[s]; t < T; t++)
			for (c = 0; c < W; c++)
				assert_true(tokens[s][t][c] == 0);
	}
	mxrt_unload(model);
	mxrt_close(dev);
}

/* Any alignment of host memory; entries by index, too. */
static void test_infer_unaligned(void **state)
{
	struct mxrt_device *dev = open_more();
	struct mxrt_model *model = load(dev);
	uint8_t ids[sizeof(batch) + 3], out[4 * W * sizeof(float) + 4];
	struct mxrt_infer_params params = {
		.size = sizeof(params), .entry_index = 1, .nr_seq = 4, .tokens = T,
		.ids = ids + 3, .out = out + 1, .out_bytes = sizeof(out) - 4,
	};
	float aligned[4][W];

	(void)state;
	must(infer(model, "sentence", batch[0], 4, T, aligned[0], sizeof(aligned), NULL));
	memcpy(ids + 3, batch, sizeof(batch));
	memset(out, 0x55, sizeof(out));
	must(mxrt_infer(model, &params, NULL));
	assert_memory_equal(out + 1, aligned, sizeof(aligned));
	assert_int_equal(out[0], 0x55);
	assert_int_equal(out[sizeof(out) - 1], 0x55);
	mxrt_unload(model);
	mxrt_close(dev);
}

static void test_infer_refused(void **state)
{
	struct mxrt_device *dev = open_empty();
	struct mxrt_model *model = load(dev);
	struct mxrt_result result = { .size = sizeof(result) };
	float good[4][W], out[4][W];
	int32_t ids[4][T];

	(void)state;
	must(infer(model, "sentence", batch[0], 4, T, good[0], sizeof(good), NULL));
	memcpy(ids, batch, sizeof(ids));
	ids[2][4] = SAMPLE_VOCAB;
	said(infer(model, "sentence", ids[0], 4, T, out[0], sizeof(out), &result), -EDOM,
	     "token id 10 (sequence 2, position 4)");
	assert_int_equal(result.status, MXACCEL_ST_INPUT_TOKEN);
	assert_string_equal(mxrt_strerror(result.status), "token id outside the model's vocabulary");
	ids[2][4] = -5;
	said(infer(model, "sentence", ids[0], 4, T, out[0], sizeof(out), NULL), -EDOM,
	     "token id -5 (sequence 2, position 4)");
	ids[2][4] = 1;
	memset(ids[3], 0, sizeof(ids[3]));
	said(infer(model, "sentence", ids[0], 4, T, out[0], sizeof(out), NULL), -ENODATA,
	     "sequence 3 has no tokens");
	said(infer(model, "sentence", ids[0], 1, 0, out[0], sizeof(out), NULL), -ENODATA,
	     "no tokens");
	said(infer(model, "sentence", ids[0], 0, T, out[0], sizeof(out), NULL), -EINVAL,
	     "0 sequences");
	said(infer(model, "sentence", ids[0], 1, T + 1, out[0], sizeof(out), NULL), -E2BIG,
	     "9 tokens per sequence, model sample takes at most 8");
	said(infer(model, "sentence", ids[0], 4, T, out[0], sizeof(out) - 1, NULL), -ENOBUFS,
	     "takes 128 bytes, there is room for 127");
	said(infer(model, "nothing", ids[0], 4, T, out[0], sizeof(out), NULL), -ENOENT,
	     "\"tokens\", \"sentence\"");
	said(infer(model, "sentence", NULL, 4, T, out[0], sizeof(out), NULL), -EINVAL, "no ids");
	said(infer(model, "sentence", ids[0], SIZE_MAX / 4, T, out[0], SIZE_MAX, NULL), -EOVERFLOW,
	     "larger than memory");
	said(mxrt_infer(model, NULL, NULL), -EINVAL, "");
	said(mxrt_infer(NULL, NULL, NULL), -EINVAL, "no model");
	must(infer(model, "sentence", batch[0], 4, T, out[0], sizeof(out), NULL));
	assert_memory_equal(out, good, sizeof(good));
	mxrt_unload(model);
	mxrt_close(dev);
}

/* A batch beyond max_io_bytes runs as several jobs, with the same result. */
static void test_infer_split(void **state)
{
	enum { MANY = 40000 };		/* 10 MiB for their tokens; tiny takes 4 MiB a job */
	struct mxrt_device *dev = open_empty();
	struct mxrt_model *model = load(dev);
	struct mxrt_result result = { .size = sizeof(result) };
	struct mxrt_infer_params params = { .size = sizeof(params), .timeout_ms = 1 };
	int32_t *ids = malloc(MANY * sizeof(batch[0]));
	float (*out)[W] = malloc(MANY * sizeof(*out));
	float four[4][W];
	size_t i;

	(void)state;
	must(infer(model, "sentence", batch[0], 4, T, four[0], sizeof(four), NULL));
	for (i = 0; i < MANY; i++)
		memcpy(ids + i * T, batch[i % 4], sizeof(batch[0]));
	must(infer(model, "sentence", ids, MANY, T, out[0], MANY * sizeof(*out), &result));
	assert_int_equal(result.jobs, 1);
	for (i = 0; i < MANY; i++)
		assert_memory_equal(out[i], four[i % 4], sizeof(*out));
	free(out);
	out = malloc(MANY * T * sizeof(*out));
	must(infer(model, "tokens", ids, MANY, T, out[0], MANY * T * sizeof(*out), &result));
	assert_int_equal(result.jobs, 3);
	assert_int_equal(counter(dev, MXRT_SCOPE_HANDLE, NULL, "jobs"), 1 + 1 + 3);
	assert_int_equal(counter(dev, MXRT_SCOPE_HANDLE, NULL, "sequences"), 4 + 2 * MANY);
	for (i = 4; i < MANY; i++)
		assert_memory_equal(out[i * T], out[i % 4 * T], T * sizeof(*out));
	/* The index of a bad id counts from the start of the whole batch. */
	ids[(MANY - 1) * T + 2] = 99;
	said(infer(model, "tokens", ids, MANY, T, out[0], MANY * T * sizeof(*out), &result), -EDOM,
	     "token id 99 (sequence 39999, position 2)");
	ids[(MANY - 1) * T + 2] = 0;
	/* Far more than a millisecond's work */
	params.nr_seq = MANY;
	params.tokens = T;
	params.ids = ids;
	params.out = out;
	params.out_bytes = MANY * T * sizeof(*out);
	said(mxrt_infer(model, &params, &result), -ETIMEDOUT, "in time");
	free(ids);
	free(out);
	mxrt_unload(model);
	mxrt_close(dev);
}

/* Threads and instruction sets change nothing. */
static void test_same_bits(void **state)
{
	static const char * const names[] = {
		"sim:tiny,threads=1,isa=portable", "sim:tiny,threads=2,isa=portable",
		"sim:tiny,threads=1", "sim:tiny,threads=2", "sim:tiny,threads=2,isa=avx2",
		"sim:tiny,threads=2,isa=avx512",
	};
	float first[4][T][W], out[4][T][W];
	struct mxrt_model *model;
	struct mxrt_device *dev;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (mxrt_open(names[i], NULL, &dev)) {
			said(-EINVAL, -EINVAL, "this CPU does not have it");
			continue;
		}
		model = load(dev);
		must(infer(model, "tokens", batch[0], 4, T, i ? out[0][0] : first[0][0],
			   sizeof(out), NULL));
		if (i)
			assert_memory_equal(out, first, sizeof(first));
		mxrt_unload(model);
		mxrt_close(dev);
	}
}

struct worker {
	struct mxrt_model *model;
	float expected[4][W];
	size_t number;
	bool good;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	char words[32];
	float out[4][W];
	int32_t bad[T] = { 100 + worker->number };
	size_t i;

	worker->good = true;
	for (i = 0; i < 200; i++) {
		if (infer(worker->model, "sentence", batch[0], 4, T, out[0], sizeof(out), NULL) ||
		    memcmp(out, worker->expected, sizeof(out)))
			worker->good = false;
		/* Each thread has a last error of its own. */
		snprintf(words, sizeof(words), "token id %d ", bad[0]);
		if (infer(worker->model, "sentence", bad, 1, T, out[0], sizeof(out), NULL) != -EDOM ||
		    !strstr(mxrt_last_error(), words))
			worker->good = false;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct mxrt_device *dev = open_more();
	struct mxrt_model *model = load(dev);
	struct worker workers[4];
	pthread_t threads[4];
	size_t i;

	(void)state;
	workers[0].model = model;
	must(infer(model, "sentence", batch[0], 4, T, workers[0].expected[0],
		   sizeof(workers[0].expected), NULL));
	for (i = 0; i < 4; i++) {
		workers[i] = workers[0];
		workers[i].number = i;
	}
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_true(workers[i].good);
	}
	mxrt_unload(model);
	mxrt_close(dev);
}

static void check_queue(uint32_t flags, const char *door)
{
	struct mxrt_device *dev = open_empty(), *stranger = open_more();
	struct mxrt_queue_params depth = { .size = sizeof(depth), .depth = 3, .flags = flags };
	struct mxrt_model *model = load(dev), *foreign = load(stranger);
	struct mxrt_buffer *in, *out, *wrapped;
	struct mxrt_queue *queue, *second;
	struct mxrt_completion done[4];
	float results[3][T][W], expected[3][T][W];
	struct mxrt_result result = { .size = sizeof(result) };
	uint64_t cycles = 0;
	uint64_t ids[3];
	struct pollfd fd = { .events = POLLIN };
	int left, reaped;
	size_t i;

	must(mxrt_queue_create(dev, &depth, &queue));
	assert_string_equal(mxrt_queue_door(queue), door);
	said(mxrt_queue_create(dev, NULL, &second), -EBUSY, "has a queue already");
	must(mxrt_buf_alloc(dev, sizeof(batch), MXRT_BUF_READ, &in));
	must(mxrt_buf_alloc(dev, sizeof(results), MXRT_BUF_WRITE, &out));
	must(mxrt_buf_wrap(dev, results, sizeof(results), MXRT_BUF_WRITE, &wrapped));
	said(mxrt_buf_wrap(dev, (char *)results + 1, 8, MXRT_BUF_WRITE, &wrapped), -EINVAL,
	     "aligned");
	said(mxrt_buf_alloc(dev, 0, MXRT_BUF_READ, &wrapped), -EINVAL, "0 bytes");
	said(mxrt_buf_alloc(dev, 8, 4, &wrapped), -EINVAL, "0x4");
	memcpy(mxrt_buf_ptr(in), batch, sizeof(batch));
	fd.fd = mxrt_queue_fd(queue);
	assert_int_equal(poll(&fd, 1, 0), 0);
	said(mxrt_reap(queue, done, 4, 0), -ENODATA, "nothing is in flight");

	struct mxrt_job job = {
		.size = sizeof(job), .model = model, .entry = 0, .nr_seq = 1, .tokens = T,
		.in = in, .out = out,
	};

	for (i = 0; i < 3; i++) {
		job.user_data = 100 + i;
		job.in_offset = i * sizeof(batch[0]);
		job.out_offset = i * sizeof(results[0]);
		job.out = i == 2 ? wrapped : out;
		must(mxrt_submit(queue, &job, &ids[i]));
	}
	said(mxrt_submit(queue, &job, NULL), -EAGAIN, "reap first");
	if (mxrt_cancel(queue, ids[1]))		/* a device may have finished it */
		assert_non_null(node());
	said(mxrt_cancel(queue, 12345), -ENOENT, "12345");
	for (left = 3; left; left -= reaped) {
		assert_int_equal(poll(&fd, 1, 10000), 1);
		reaped = mxrt_reap(queue, done, 4, -1);
		assert_in_range(reaped, 1, left);
		for (i = 0; i < (size_t)reaped; i++) {
			size_t job_nr = done[i].user_data - 100;

			assert_in_range(job_nr, 0, 2);
			assert_int_equal(done[i].id, ids[job_nr]);
			/* A device may have been faster than the cancel. */
			if (job_nr == 1)
				assert_true(done[i].error == -ECANCELED ||
					    (node() && !done[i].error));
			else
				assert_int_equal(done[i].error, 0);
			if (job_nr != 1)
				cycles += done[i].result;
		}
	}
	assert_int_equal(poll(&fd, 1, 0), 0);
	must(infer(model, "tokens", batch[0], 3, T, expected[0][0], sizeof(expected), NULL));
	assert_memory_equal(mxrt_buf_ptr(out), expected[0], sizeof(expected[0]));
	must(infer(model, "tokens", batch[0], 1, T, results[0][0], sizeof(results), &result));
	cycles -= result.cycles;
	must(infer(model, "tokens", batch[2], 1, T, results[0][0], sizeof(results), &result));
	assert_true(result.cycles > 0);
	assert_int_equal(cycles, result.cycles);
	assert_memory_equal(results[2], expected[2], sizeof(expected[2]));

	job.in_offset = 2;
	said(mxrt_submit(queue, &job, NULL), -EINVAL, "multiple of 4");
	job.in_offset = 4 * sizeof(batch[0]);
	said(mxrt_submit(queue, &job, NULL), -EFAULT, "leave a buffer");
	job.in_offset = -4ULL;
	said(mxrt_submit(queue, &job, NULL), -EFAULT, "leave a buffer");
	job.in_offset = 0;
	job.out = in;
	said(mxrt_submit(queue, &job, NULL), -EACCES, "not made for that");
	job.out = out;
	job.model = foreign;
	said(mxrt_submit(queue, &job, NULL), -EXDEV, "another device handle");
	job.model = model;
	job.entry = 2;
	said(mxrt_submit(queue, &job, NULL), -ENOENT, "no program entry 2");
	job.entry = 1;
	((int32_t *)mxrt_buf_ptr(in))[2] = 77;
	must(mxrt_submit(queue, &job, NULL));
	assert_int_equal(mxrt_reap(queue, done, 4, 10000), 1);
	assert_int_equal(done[0].error, -EDOM);
	assert_int_equal(done[0].status, MXACCEL_ST_INPUT_TOKEN);
	assert_int_equal(done[0].result, 2);
	must(mxrt_submit(queue, &job, NULL));
	mxrt_queue_destroy(queue);		/* with a job in flight */
	must(mxrt_queue_create(dev, NULL, &queue));
	mxrt_close(dev);
	mxrt_close(stranger);
	mxrt_queue_destroy(queue);
	mxrt_queue_destroy(NULL);
	mxrt_unload(model);
	mxrt_unload(foreign);
	mxrt_buf_free(in);
	mxrt_buf_free(out);
	mxrt_buf_free(wrapped);
	mxrt_buf_free(NULL);
}

static void test_queue(void **state)
{
	struct mxrt_queue_params params = { .size = sizeof(params), .flags = 3 };
	struct mxrt_device *dev = open_empty();
	struct mxrt_queue *queue;

	(void)state;
	said(mxrt_queue_create(dev, &params, &queue), -EINVAL, "one of MXRT_QUEUE_*");
	params.flags = MXRT_QUEUE_URING;
	if (!node())
		said(mxrt_queue_create(dev, &params, &queue), -EOPNOTSUPP, "no driver");
	mxrt_close(dev);
	assert_null(mxrt_queue_door(NULL));
	/* The VM allows io_uring, so that it is taken unless told otherwise. */
	check_queue(0, node() ? "io_uring" : "sim");
	if (node()) {
		check_queue(MXRT_QUEUE_IOCTL, "ioctl");
		check_queue(MXRT_QUEUE_URING, "io_uring");
	}
}

static struct mxrt_resident only(struct mxrt_device *dev)
{
	struct mxrt_resident list[2];
	size_t count = 2;

	must(mxrt_models(dev, list, &count));
	assert_int_equal(count, 1);
	return list[0];
}

static void test_refresh(void **state)
{
	struct mxrt_device *dev = open_empty();
	struct mxrt_model *model;
	uint64_t writes;
	unsigned int id;

	(void)state;
	said(mxrt_refresh(NULL, 0), -EINVAL, "no device");
	said(mxrt_refresh(dev, 0), -ENOENT, "has no resident model 0");
	writes = counter(dev, MXRT_SCOPE_DEVICE, NULL, "cell_writes");
	model = load(dev);
	writes = counter(dev, MXRT_SCOPE_DEVICE, NULL, "cell_writes") - writes;
	id = only(dev).id;
	assert_int_equal(only(dev).refreshes, 0);
	must(mxrt_refresh(dev, id));
	mxrt_unload(model);
	must(mxrt_refresh(dev, id));
	assert_int_equal(only(dev).refreshes, 2);
	assert_true(counter(dev, MXRT_SCOPE_DEVICE, NULL, "cell_writes") >= 3 * writes);
	must(mxrt_model_delete(dev, id));
	said(mxrt_refresh(dev, id), -ENOENT, "has no resident model");
	if (node())
		said(mxrt_set_age(dev, 5), -EOPNOTSUPP, "is not set by its programs");
	else
		said(mxrt_set_age(dev, 5), -EINVAL, "fidelity=exact");
	mxrt_close(dev);
}

/* The cosine of what cells make of a batch to what new ones made of it. */
static double alike(struct mxrt_model *model, const float *new, float *out)
{
	double dot = 0, a = 0, b = 0;
	size_t i;

	must(infer(model, "tokens", batch[0], 4, T, out, 4 * T * W * sizeof(float), NULL));
	for (i = 0; i < 4 * T * W; i++) {
		dot += (double)out[i] * new[i];
		a += (double)out[i] * out[i];
		b += (double)new[i] * new[i];
	}
	return dot / sqrt(a * b);
}

/* Cells that drift, on a chip in this process. */
static void test_age(void **state)
{
	char path[] = "/tmp/mxrt-age-XXXXXX.ini", name[128], line[512];
	static float new[4 * T * W], out[4 * T * W];
	FILE *from, *to;
	struct mxrt_model *model;
	struct mxrt_device *dev;
	double old;
	int fd;

	(void)state;
	if (node())	/* its clock is not ours */
		return;
	from = fopen(MXRT_CHIP_DIR "/mx1-inplace.ini", "re");
	fd = mkstemps(path, 4);
	assert_true(from && fd >= 0);
	to = fdopen(fd, "w");
	while (fgets(line, sizeof(line), from)) {
		if (strncmp(line, "drift_nu", 8))
			fputs(line, to);
		if (!strncmp(line, "[analog]", 8))
			fputs("drift_nu = 0.05\ndrift_nu_sigma = 0.05\n", to);
	}
	fclose(from);
	fclose(to);
	snprintf(name, sizeof(name), "sim:%s,fidelity=analog", path);
	dev = open_sim(name);
	model = load(dev);
	must(infer(model, "tokens", batch[0], 4, T, new, sizeof(new), NULL));
	assert_true(alike(model, new, out) > 1 - 1e-12);
	must(mxrt_set_age(dev, 31536000));
	assert_int_equal(only(dev).age, 31536000);
	old = alike(model, new, out);
	assert_true(old < 0.999);
	said(mxrt_set_age(dev, 31535999), -EINVAL, "no chip gets younger");
	said(mxrt_set_age(dev, 1000000001), -EINVAL, "at most 1000000000 seconds");
	assert_true(alike(model, new, out) == old);
	/* A drift without errors of programming: as it was. */
	must(mxrt_refresh(dev, only(dev).id));
	assert_int_equal(only(dev).age, 0);
	assert_true(alike(model, new, out) > 1 - 1e-12);
	assert_memory_equal(out, new, sizeof(new));
	mxrt_unload(model);
	mxrt_close(dev);

	/* The same age by the option: time passes before the first job. */
	snprintf(name, sizeof(name), "sim:%s,fidelity=analog,age=31536000", path);
	dev = open_sim(name);
	model = load(dev);
	assert_int_equal(only(dev).age, 0);
	assert_true(alike(model, new, out) == old);
	assert_int_equal(only(dev).age, 31536000);
	mxrt_unload(model);
	mxrt_close(dev);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_load_refused),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_infer),
		cmocka_unit_test(test_infer_unaligned),
		cmocka_unit_test(test_infer_refused),
		cmocka_unit_test(test_infer_split),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_age),
	};

	return cmocka_run_group_tests_name("runtime", tests, setup, teardown);
}
