// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * "sim:" backend: a chip model in this process, with memory for its cells.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

static struct sim_device *to_sim(struct mxrt_device *dev)
{
	return (struct sim_device *)dev;
}

static void sim_close(struct mxrt_device *dev)
{
	struct sim_device *sim = to_sim(dev);

	mx_chip_free(sim->chip);
	free(sim);
}

static int sim_query(struct mxrt_device *dev, struct mxrt_device_info *info)
{
	info->platform = MXRT_PLATFORM_SIM;
	snprintf(info->isa, sizeof(info->isa), "%s", mx_isa_name(mx_chip_isa(to_sim(dev)->chip)));
	return 0;
}

static int sim_identify(struct mxrt_device *dev, struct mxaccel_identify *page)
{
	mx_chip_identify(to_sim(dev)->chip, page);
	return 0;
}

static int sim_health(struct mxrt_device *dev, struct mxaccel_health *page)
{
	static const size_t place[] = {
#define MXACCEL_X(name, file, text) offsetof(struct mx_health, file),
		MXACCEL_HEALTH_VALUES(MXACCEL_X)
#undef MXACCEL_X
	};
	struct mx_health health;
	size_t i;

	mx_chip_health(to_sim(dev)->chip, &health);
	page->nr_values = MXACCEL_HEALTH_NR;
	for (i = 0; i < MXACCEL_HEALTH_NR; i++)
		memcpy(&page->value[i], (const uint8_t *)&health + place[i], sizeof(uint64_t));
	return 0;
}

static void sim_unload(struct mxrt_device *dev, struct mxrt_use *use)
{
	mx_chip_model_put(to_sim(dev)->chip, use->id);
}

static int sim_models(struct mxrt_device *dev, struct mxrt_resident *list, size_t *count)
{
	struct sim_device *sim = to_sim(dev);
	struct mxaccel_model_info info;
	size_t found = 0;
	uint32_t id;

	for (id = 0; id < sim->config.max_models; id++) {
		if (mx_chip_model_info(sim->chip, id, &info) || !(info.flags & MXACCEL_MODEL_VALID))
			continue;
		if (found < *count)
			mxrt_resident_fill(&list[found], &info);
		found++;
	}
	*count = found;
	return 0;
}

static int sim_model_delete(struct mxrt_device *dev, uint32_t id)
{
	uint16_t status = mx_chip_model_delete(to_sim(dev)->chip, id);

	if (!status)
		return 0;
	return mxrt_fail(mxrt_status_error(status), "cannot delete model %u of %s: %s", id,
			 dev->name, mxrt_strerror(status));
}

static int sim_refresh(struct mxrt_device *dev, uint32_t id)
{
	uint16_t status = mx_chip_model_refresh(to_sim(dev)->chip, id);

	return status ? mxrt_refresh_refused(dev, id, mxrt_status_error(status)) : 0;
}

static int sim_set_age(struct mxrt_device *dev, uint32_t seconds)
{
	char text[256];
	int err = mx_chip_set_age(to_sim(dev)->chip, seconds, text, sizeof(text));

	return err ? mxrt_fail(err, "%s: %s", dev->name, text) : 0;
}

static int sim_counters(struct mxrt_device *dev, unsigned int scope, uint32_t model,
			__u64 *values, uint32_t *count)
{
	struct mx_chip *chip = to_sim(dev)->chip;
	struct mx_counters counters = { 0 };
	uint16_t status = 0;
	uint32_t i;

	if (scope == MXRT_SCOPE_MODEL)
		status = mx_chip_model_counters(chip, model, &counters);
	else
		mx_chip_counters(chip, &counters);	/* the handle has the chip to itself */
	if (status)
		return mxrt_fail(mxrt_status_error(status), "no counters of model %u: %s", model,
				 mxrt_strerror(status));
	for (i = 0; i < *count && i < MXACCEL_CTR_NR; i++)
		values[i] = counters.v[i];
	*count = MXACCEL_CTR_NR;
	return 0;
}

/*
 * The chip calls these on the thread that runs the job, which has no other
 * moment to look at the clock.
 */
static void check_deadline(struct sim_io *io)
{
	if (io->deadline_ns && mxrt_now_ns() > io->deadline_ns)
		atomic_store(&io->job.stop, MXACCEL_ST_TIMEOUT);
}

static int io_read(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
	struct sim_io *io = opaque;

	check_deadline(io);
	memcpy(to, io->in + offset, bytes);
	return 0;
}

static int io_write(void *opaque, uint64_t offset, const void *from, uint64_t bytes)
{
	struct sim_io *io = opaque;

	check_deadline(io);
	memcpy(io->out + offset, from, bytes);
	return 0;
}

void mxrt_sim_run(struct mxrt_device *dev, struct sim_io *io)
{
	struct sim_device *sim = to_sim(dev);
	uint32_t age = atomic_exchange(&sim->age, 0);
	char text[256];

	/* Option age=: what was loaded has aged. Fails only if mxrt_set_age() let more time pass. */
	if (age)
		mx_chip_set_age(sim->chip, age, text, sizeof(text));
	io->job.read = io_read;
	io->job.write = io_write;
	io->job.opaque = io;
	check_deadline(io);
	mx_chip_job_run(sim->chip, &io->job);
}

static int sim_infer(struct mxrt_device *dev, struct mxrt_run *run)
{
	size_t done = 0;
	uint32_t batch;

	for (; done < run->nr_seq; done += batch) {
		struct sim_io io = {
			.in = run->ids + done * run->in_seq,
			.out = run->out + done * run->out_seq,
			.deadline_ns = run->deadline_ns,
		};

		batch = mxrt_run_batch(run, run->nr_seq - done, dev->max_io_bytes);
		io.job.model = run->model->use->id;
		io.job.entry = run->entry;
		io.job.nr_seq = batch;
		io.job.tokens = run->tokens;
		mxrt_sim_run(dev, &io);
		run->jobs++;
		if (io.job.status) {
			run->status = io.job.status;
			run->field = io.job.field;
			run->detail = io.job.result;
			run->first_seq = done;
			return mxrt_status_error(io.job.status);
		}
		run->cycles += io.job.result;
	}
	return 0;
}

static int sim_schedule(struct mxrt_device *dev, struct mxrt_run *run, struct mxaccel_span *spans,
			size_t *count)
{
	struct sim_io io = {
		.job.model = run->model->use->id,
		.job.entry = run->entry,
		.job.nr_seq = run->nr_seq,
		.job.tokens = run->tokens,
		.job.read = io_read,
		.job.write = io_write,
		.job.out_room = *count * sizeof(*spans),
		.in = run->ids,
		.out = (uint8_t *)spans,
		.deadline_ns = run->deadline_ns,
	};

	io.job.opaque = &io;
	mx_chip_job_schedule(to_sim(dev)->chip, &io.job);
	run->status = io.job.status;
	run->field = io.job.field;
	run->detail = io.job.result;
	*count = io.job.status ? 0 : io.job.result;
	return mxrt_status_error(io.job.status);
}

static int sim_buf_create(struct mxrt_buffer *buf)
{
	if (buf->wrapped)
		return 0;
	if (posix_memalign(&buf->ptr, MXACCEL_PAGE, buf->bytes))
		return mxrt_fail(-ENOMEM, "no memory for a buffer of %zu bytes", buf->bytes);
	memset(buf->ptr, 0, buf->bytes);
	return 0;
}

static void sim_buf_destroy(struct mxrt_buffer *buf)
{
	if (!buf->wrapped)
		free(buf->ptr);
}

static const struct mxrt_backend sim_backend = {
	.name = "sim",
	.close = sim_close,
	.query = sim_query,
	.identify = sim_identify,
	.health = sim_health,
	.load = mxrt_sim_load,
	.unload = sim_unload,
	.models = sim_models,
	.model_delete = sim_model_delete,
	.refresh = sim_refresh,
	.set_age = sim_set_age,
	.counters = sim_counters,
	.infer = sim_infer,
	.schedule = sim_schedule,
	.buf_create = sim_buf_create,
	.buf_destroy = sim_buf_destroy,
	.queue_create = mxrt_sim_queue_create,
	.queue_door = mxrt_sim_queue_door,
	.queue_destroy = mxrt_sim_queue_destroy,
	.submit = mxrt_sim_submit,
	.reap = mxrt_sim_reap,
	.cancel = mxrt_sim_cancel,
};

int mxrt_sim_open(const char *name, const struct mxrt_open_params *params,
		  struct mxrt_device **out)
{
	struct mx_chip_params chip_params = { 0 };
	struct sim_device *sim;
	char text[256] = "";
	int err;

	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return mxrt_fail(-ENOMEM, "no memory for %s", name);
	err = mxrt_sim_options(name, params, &sim->config, &chip_params);
	if (err)
		goto free_sim;
	if (chip_params.age && chip_params.fidelity != MX_ANALOG) {
		err = mxrt_fail(-EINVAL,
				"%s: age=%u: cells have no age with fidelity=exact; use fidelity=analog",
				name, chip_params.age);
		goto free_sim;
	}
	atomic_init(&sim->age, chip_params.age);
	chip_params.age = 0;
	sim->chip = mx_chip_new(&sim->config, &chip_params, text, sizeof(text));
	if (!sim->chip) {
		err = mxrt_fail(-EINVAL, "%s: the chip does not start: %s", name, text);
		goto free_sim;
	}
	err = mxrt_device_init(&sim->base, &sim_backend, name);
	if (err)
		goto free_chip;
	sim->base.queue_depth = SIM_QUEUE_DEPTH;
	sim->base.max_io_bytes = sim->config.max_io_bytes;
	*out = &sim->base;
	return 0;

free_chip:
	mx_chip_free(sim->chip);
free_sim:
	free(sim);
	return err;
}
