/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a job costs: events of each macro-op (exec_cost.c), the schedule
 * (schedule.c) and the energy (energy.c), gathered by macro-op.
 */
#ifndef MX_CHIP_COST_H
#define MX_CHIP_COST_H

#include "schedule.h"

/**
 * struct mx_cost - the costs of a job being gathered
 * @op:		counters by macro-op of the entry, the last for what belongs to none
 * @seq:	the job's sequences, @nr_seq of them, and the ops that each ran
 * @schedule:	memory for it
 */
struct mx_cost {
	const struct mx_chip_config *config;
	const struct mx_model *model;
	const struct mxaccel_entry *entry;
	struct mx_counters *op;
	struct mx_schedule_seq *seq;
	uint32_t nr_seq;
	struct mx_schedule schedule;
	bool owns_op;
};

/*
 * Starts with nothing counted. @op: where to count, entry->nr_ops + 1 elements, or
 * NULL. False without memory; mx_cost_free() in any case.
 */
bool mx_cost_init(struct mx_cost *cost, const struct mx_chip_config *config,
		  const struct mx_model *model, const struct mxaccel_entry *entry,
		  struct mx_counters *op);
/* Tells the lengths of the sequences, none of which has run an op yet. False without memory. */
bool mx_cost_sequences(struct mx_cost *cost, const uint32_t *lengths, uint32_t nr_seq);
void mx_cost_free(struct mx_cost *cost);

/* Op @index of the entry has run for sequence @seq of @tokens ids, padding included. */
void mx_cost_op(struct mx_cost *cost, uint32_t index, uint32_t seq, uint64_t tokens);

/* Adds time and energy of what ran, then sums it up to @sum. */
void mx_cost_sum(struct mx_cost *cost, uint64_t tokens, struct mx_counters *sum);

/* LARGE arrays that a model takes with sequences of @tokens; 0 for synergy. */
uint64_t mx_cost_arrays(const struct mx_chip_config *config, const struct mx_model *model,
			const struct mxaccel_entry *entry, uint64_t tokens);

#endif /* MX_CHIP_COST_H */
