// SPDX-License-Identifier: LGPL-2.1-or-later
/* Jobs as the hosts of the chip see them, and the counters. */
#include <string.h>

#include "internal.h"

#define FIELD_OF(member) offsetof(struct mxaccel_sqe, job.member)

static uint16_t bad_field(uint16_t *field, uint16_t offset, uint16_t status)
{
	*field = offset;
	return status;
}

uint16_t mx_job_sizes(const struct mx_chip_config *config, const struct mx_model *m,
		      uint32_t entry, uint32_t nr_seq, uint32_t tokens,
		      uint64_t *in_bytes, uint64_t *out_bytes, uint16_t *field)
{
	uint64_t rows = nr_seq;

	*field = 0;
	if (entry >= m->head->nr_entries)
		return bad_field(field, FIELD_OF(entry), MXACCEL_ST_BAD_ENTRY);
	if (!nr_seq)
		return bad_field(field, FIELD_OF(nr_seq), MXACCEL_ST_BAD_FIELD);
	if (!tokens)
		return bad_field(field, FIELD_OF(tokens), MXACCEL_ST_BAD_FIELD);
	if (tokens > m->head->max_tokens)
		return bad_field(field, FIELD_OF(tokens), MXACCEL_ST_INPUT_LONG);
	*in_bytes = (uint64_t)nr_seq * tokens * sizeof(int32_t);
	if (*in_bytes > config->max_io_bytes)
		return bad_field(field, FIELD_OF(in_bytes), MXACCEL_ST_TOO_LARGE);
	if (m->entry[entry].out_kind == MXACCEL_REGION_ROWS)
		rows *= tokens;
	/* rows is at most max_io_bytes / 4 here, so this cannot overflow */
	*out_bytes = rows * m->entry[entry].out_cols * sizeof(float);
	if (*out_bytes > config->max_io_bytes)
		return bad_field(field, FIELD_OF(out_bytes), MXACCEL_ST_TOO_LARGE);
	return MXACCEL_ST_SUCCESS;
}

uint16_t mx_chip_job_sizes(struct mx_chip *chip, uint32_t model, uint32_t entry,
			   uint32_t nr_seq, uint32_t tokens,
			   uint64_t *in_bytes, uint64_t *out_bytes, uint16_t *field)
{
	struct mx_model *m = mx_directory_model(chip, model);

	if (!m)
		return bad_field(field, FIELD_OF(model), MXACCEL_ST_BAD_MODEL);
	if (chip->analog && !mx_model_steps(&chip->config, m, NULL))
		return bad_field(field, FIELD_OF(model), MXACCEL_ST_NO_STEPS);
	return mx_job_sizes(&chip->config, m, entry, nr_seq, tokens, in_bytes, out_bytes, field);
}

uint32_t mx_chip_entry_ops(struct mx_chip *chip, uint32_t model, uint32_t entry)
{
	struct mx_model *m = mx_directory_model(chip, model);

	return m && entry < m->head->nr_entries ? m->entry[entry].nr_ops : 0;
}

static void add_counters(struct mx_counters *to, const struct mx_counters *from)
{
	int i;

	for (i = 0; i < MXACCEL_CTR_NR; i++)
		to->v[i] += from->v[i];
}

void mx_chip_job_run(struct mx_chip *chip, struct mx_job *job)
{
	struct mx_model *model = mx_directory_model(chip, job->model);
	uint64_t in_bytes, out_bytes;

	job->status = mx_chip_job_sizes(chip, job->model, job->entry, job->nr_seq, job->tokens,
					&in_bytes, &out_bytes, &job->field);
	if (job->status == MXACCEL_ST_SUCCESS) {
		pthread_mutex_lock(&chip->job_lock);
		mx_exec(chip, model, job);
		pthread_mutex_unlock(&chip->job_lock);
	} else {
		job->result = 0;
		memset(&job->counters, 0, sizeof(job->counters));
		job->counters.v[MXACCEL_CTR_JOBS_FAILED] = 1;
	}
	if (job->status == MX_JOB_FORGET)
		return;
	pthread_mutex_lock(&chip->count_lock);
	add_counters(&chip->counters, &job->counters);
	if (model)
		add_counters(&model->counters, &job->counters);
	pthread_mutex_unlock(&chip->count_lock);
}

uint16_t mx_chip_job_schedule(struct mx_chip *chip, struct mx_job *job)
{
	struct mx_model *model = mx_directory_model(chip, job->model);
	uint64_t in_bytes, out_bytes;

	memset(&job->counters, 0, sizeof(job->counters));
	job->result = 0;
	job->status = mx_chip_job_sizes(chip, job->model, job->entry, job->nr_seq, job->tokens,
					&in_bytes, &out_bytes, &job->field);
	if (job->status == MXACCEL_ST_SUCCESS)
		mx_exec_schedule(chip, model, job);
	return job->status;
}

void mx_chip_count(struct mx_chip *chip, enum mxaccel_counter counter, uint64_t amount)
{
	pthread_mutex_lock(&chip->count_lock);
	chip->counters.v[counter] += amount;
	pthread_mutex_unlock(&chip->count_lock);
}

void mx_chip_counters(struct mx_chip *chip, struct mx_counters *out)
{
	pthread_mutex_lock(&chip->count_lock);
	*out = chip->counters;
	pthread_mutex_unlock(&chip->count_lock);
}

uint16_t mx_chip_model_counters(struct mx_chip *chip, uint32_t id, struct mx_counters *out)
{
	/* The reference keeps the slot from being used for another model meanwhile. */
	uint16_t status = mx_chip_model_get(chip, id);

	if (status != MXACCEL_ST_SUCCESS)
		return status;
	pthread_mutex_lock(&chip->count_lock);
	*out = mx_directory_model(chip, id)->counters;
	pthread_mutex_unlock(&chip->count_lock);
	mx_chip_model_put(chip, id);
	return MXACCEL_ST_SUCCESS;
}
