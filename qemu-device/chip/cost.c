// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "energy.h"
#include "place.h"

bool mx_cost_init(struct mx_cost *cost, const struct mx_chip_config *config,
		  const struct mx_model *model, const struct mxaccel_entry *entry,
		  struct mx_counters *op)
{
	memset(cost, 0, sizeof(*cost));
	cost->config = config;
	cost->model = model;
	cost->entry = entry;
	cost->owns_op = !op;
	cost->op = op ? op : malloc((entry->nr_ops + 1ull) * sizeof(*op));
	if (!cost->op)
		return false;
	memset(cost->op, 0, (entry->nr_ops + 1ull) * sizeof(*op));
	return true;
}

bool mx_cost_sequences(struct mx_cost *cost, const uint32_t *lengths, uint32_t nr_seq)
{
	uint32_t longest = 1, i;

	cost->seq = malloc(nr_seq * sizeof(*cost->seq));
	if (!cost->seq)
		return false;
	for (i = 0; i < nr_seq; i++) {
		cost->seq[i].length = lengths[i];
		cost->seq[i].nr_ops = 0;
		if (lengths[i] > longest)
			longest = lengths[i];
	}
	if (!mx_schedule_init(&cost->schedule, cost->config, cost->model, cost->entry, longest))
		return false;
	cost->nr_seq = nr_seq;
	return true;
}

void mx_cost_free(struct mx_cost *cost)
{
	if (cost->owns_op)
		free(cost->op);
	free(cost->seq);
	mx_schedule_free(&cost->schedule);
}

static uint64_t cycles(uint64_t ticks)
{
	return (ticks + MXACCEL_TICKS / 2) / MXACCEL_TICKS;
}

/* The resources are in the order of their counters. */
_Static_assert(MXACCEL_CTR_BUSY_OFFCHIP - MXACCEL_CTR_BUSY_LARGE == MXACCEL_RES_OFFCHIP &&
	       MXACCEL_CTR_STALL_OFFCHIP - MXACCEL_CTR_STALL_LARGE == MXACCEL_RES_OFFCHIP &&
	       MXACCEL_CTR_STALL_BARRIER - MXACCEL_CTR_STALL_LARGE == MXACCEL_RES_NR,
	       "counters in the order of the resources");

static void add_times(const struct mx_op_times *times, uint64_t *v)
{
	int i;

	for (i = 0; i < MXACCEL_RES_NR; i++)
		v[MXACCEL_CTR_BUSY_LARGE + i] += cycles(times->busy[i]);
	for (i = 0; i <= MXACCEL_RES_NR; i++)
		v[MXACCEL_CTR_STALL_LARGE + i] += cycles(times->stall[i]);
}

static void add_schedule(struct mx_cost *cost, uint64_t tokens)
{
	struct mx_schedule *schedule = &cost->schedule;
	uint32_t nr_ops = cost->entry->nr_ops, i;
	uint64_t conversions = 0;

	mx_schedule_run(schedule, cost->seq, cost->nr_seq);
	for (i = 0; i < nr_ops; i++) {
		add_times(&schedule->times[i], cost->op[i].v);
		conversions += cost->op[i].v[MXACCEL_CTR_ADC_CONVERSIONS];
	}
	mx_energy_static(cost->config, (double)schedule->ticks / MXACCEL_TICKS,
			 mx_cost_arrays(cost->config, cost->model, cost->entry, tokens),
			 conversions, &cost->op[nr_ops]);
}

void mx_cost_sum(struct mx_cost *cost, uint64_t tokens, struct mx_counters *sum)
{
	const struct mxaccel_op *op = cost->model->op + cost->entry->first_op;
	uint32_t nr_ops = cost->entry->nr_ops, i, j;

	for (i = 0; i <= nr_ops; i++)
		mx_energy_of_op(cost->config, i < nr_ops ? &op[i] : NULL, &cost->op[i]);
	if (cost->nr_seq)
		add_schedule(cost, tokens);
	memset(sum, 0, sizeof(*sum));
	for (i = 0; i <= nr_ops; i++)
		for (j = 0; j < MXACCEL_CTR_NR; j++)
			sum->v[j] += cost->op[i].v[j];
	sum->v[MXACCEL_CTR_CYCLES] = cycles(cost->schedule.ticks);
}

uint64_t mx_cost_arrays(const struct mx_chip_config *config, const struct mx_model *model,
			const struct mxaccel_entry *entry, uint64_t tokens)
{
	if (config->kind == MX_SYNERGY)
		return 0;
	return model->place->tiles + mx_stages_kv_arrays(config, model->op + entry->first_op,
							 entry->nr_ops, tokens);
}

/* ----------------------------------------------------------- estimates */

static uint16_t check_job(const struct mx_chip_config *config, const struct mx_model *model,
			  uint32_t entry, const uint32_t *lengths, uint32_t nr_seq,
			  uint32_t tokens, char *err, size_t err_bytes)
{
	uint64_t in, out;
	uint16_t field;
	uint32_t i;

	switch (mx_job_sizes(config, model, entry, nr_seq, tokens, &in, &out, &field)) {
	case MXACCEL_ST_SUCCESS:
		break;
	case MXACCEL_ST_BAD_ENTRY:
		snprintf(err, err_bytes, "the model has no entry %u, it has %u", entry,
			 model->head->nr_entries);
		return MXACCEL_ST_BAD_ENTRY;
	case MXACCEL_ST_INPUT_LONG:
		snprintf(err, err_bytes, "%u tokens are more than the model's %u", tokens,
			 model->head->max_tokens);
		return MXACCEL_ST_INPUT_LONG;
	case MXACCEL_ST_TOO_LARGE:
		snprintf(err, err_bytes, "%u sequences of %u tokens pass the %u bytes of a job",
			 nr_seq, tokens, config->max_io_bytes);
		return MXACCEL_ST_TOO_LARGE;
	default:
		snprintf(err, err_bytes, "a job of %u sequences of %u tokens has nothing to do",
			 nr_seq, tokens);
		return MXACCEL_ST_BAD_FIELD;
	}
	for (i = 0; i < nr_seq; i++) {
		if (lengths[i] && lengths[i] <= tokens)
			continue;
		snprintf(err, err_bytes, "sequence %u has length %u, must be 1 to %u", i,
			 lengths[i], tokens);
		return MXACCEL_ST_BAD_FIELD;
	}
	return MXACCEL_ST_SUCCESS;
}

static uint16_t estimate(const struct mx_chip_config *config, const struct mx_model *model,
			 const struct mxaccel_entry *entry, const uint32_t *lengths,
			 uint32_t nr_seq, uint32_t tokens, struct mx_counters *counters)
{
	bool per_seq = entry->out_kind == MXACCEL_REGION_SEQ;
	uint64_t rows = per_seq ? nr_seq : (uint64_t)nr_seq * tokens;
	uint16_t status = MXACCEL_ST_NO_MEMORY;
	uint32_t op, i;
	struct mx_cost cost;

	if (mx_cost_init(&cost, config, model, entry, NULL) &&
	    mx_cost_sequences(&cost, lengths, nr_seq)) {
		for (op = 0; op < entry->nr_ops; op++)
			for (i = 0; i < nr_seq; i++)
				mx_cost_op(&cost, op, i, tokens);
		cost.op[entry->nr_ops].v[MXACCEL_CTR_DMA_READ_BYTES] =
			(uint64_t)nr_seq * tokens * sizeof(int32_t);
		cost.op[entry->nr_ops - 1].v[MXACCEL_CTR_DMA_WRITE_BYTES] =
			rows * entry->out_cols * sizeof(float);
		mx_cost_sum(&cost, tokens, counters);
		counters->v[MXACCEL_CTR_JOBS] = 1;
		status = MXACCEL_ST_SUCCESS;
	}
	mx_cost_free(&cost);
	return status;
}

uint16_t mx_chip_estimate(const struct mx_chip_config *config,
			  const void *model_section, uint64_t model_bytes, uint32_t entry,
			  const uint32_t *lengths, uint32_t nr_seq, uint32_t tokens,
			  struct mx_counters *counters, uint64_t *arrays,
			  char *err, size_t err_bytes)
{
	const struct mxaccel_model *head = model_section;
	struct mx_model model = { 0 };
	uint16_t status;

	if (err_bytes)
		*err = '\0';
	memset(counters, 0, sizeof(*counters));
	status = mx_model_check(config, head, model_bytes, NULL,
				model_bytes < sizeof(*head) ? 0 : head->params_bytes, &model, err,
				err_bytes);
	if (status == MXACCEL_ST_SUCCESS)
		status = check_job(config, &model, entry, lengths, nr_seq, tokens, err, err_bytes);
	if (status == MXACCEL_ST_SUCCESS) {
		status = estimate(config, &model, &model.entry[entry], lengths, nr_seq, tokens,
				  counters);
		if (status)
			snprintf(err, err_bytes, "out of memory");
		if (arrays)
			*arrays = mx_cost_arrays(config, &model, &model.entry[entry], tokens);
	}
	mx_model_release(&model);
	return status;
}
