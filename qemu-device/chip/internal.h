/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the chip: what its files share. Hosts include chip.h only.
 */
#ifndef MX_CHIP_INTERNAL_H
#define MX_CHIP_INTERNAL_H

#include <pthread.h>

#include "chip.h"

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof(array) / sizeof(*(array)))
#endif

#ifndef __printf
#define __printf(text, first) __attribute__((format(printf, text, first)))
#endif

struct mx_pool;		/* pool.h: worker threads */
struct mx_analog;	/* analog.h: how crossbars compute, with fidelity=analog */
struct mx_kernels;	/* kernels.h: the functions of one instruction set */
struct mx_place;	/* place.h: which crossbars hold which weights */
struct mx_directory;	/* directory.h: resident models in the non-volatile area */

/**
 * struct mx_model - a resident model, checked; a view of its chunks, read-only
 * @id:		model id: its slot in the directory
 * @head:	MODEL section; @region, @entry, @op point to its tables
 * @params:	PARAMS section, of @params_bytes
 * @place:	where the weights lie: place.h
 * @prepared:	of each of @nr_prepared ops, with fidelity=analog, once it ran; made under mx_chip.job_lock
 * @counters:	since power-on; protected by mx_chip.count_lock
 *
 * Stays valid while a reference is held (mx_chip_model_get()).
 */
struct mx_model {
	uint32_t id;
	const struct mxaccel_model *head;
	const struct mxaccel_region *region;
	const struct mxaccel_entry *entry;
	const struct mxaccel_op *op;
	const uint8_t *params;
	uint64_t params_bytes;
	struct mx_place *place;
	struct mx_analog_prepared **prepared;
	uint32_t nr_prepared;
	struct mx_counters counters;
};

struct mx_chip {
	struct mx_chip_config config;
	struct mx_chip_params params;
	const struct mx_kernels *kernels;
	struct mx_analog *analog;	/* NULL: fidelity=exact */
	struct mx_analog *bank;		/* of synergy, where weights are sensed first; else NULL */
	struct mx_pool *pool;
	struct mx_directory *directory;	/* has its own lock */
	pthread_mutex_t job_lock;	/* held while a job runs: the chip runs one at a time */
	pthread_mutex_t count_lock;	/* protects @counters and those of the models */
	struct mx_counters counters;
};

/*
 * mx_model_check() - check a MODEL section against the chip and its PARAMS size
 *
 * Every header field, region, entry, op operand, shape and parameter range;
 * regions fit mx_chip_act_bytes() at max_tokens. After this, running any entry
 * needs no bounds check but those of ids and lengths. Fills *@model's pointers
 * and makes its placement, which mx_model_release() frees.
 * The section must be aligned to 8 bytes.
 * Return: SUCCESS, BAD_IMAGE, BAD_VERSION, TOO_LARGE, NO_MEMORY; a sentence in @err.
 */
uint16_t mx_model_check(const struct mx_chip_config *config,
			const void *model_section, uint64_t model_bytes,
			const void *params, uint64_t params_bytes,
			struct mx_model *model, char *err, size_t err_bytes);
/* Frees what the check made; harmless twice. */
void mx_model_release(struct mx_model *model);

/*
 * Steps of the ADCs for a MATMUL: those of the image if it was calibrated for a chip of
 * this geometry, else those of the chip file; NULL: there are none. Only for chips whose
 * cells compute.
 */
const uint32_t *mx_model_steps(const struct mx_chip_config *config, const struct mx_model *model,
			       const struct mxaccel_op *op);

/* Bytes of a region for a sequence of so many tokens, saturated. */
uint64_t mx_region_bytes(const struct mxaccel_region *region, uint64_t tokens);

/* The model with this id, or NULL; the caller holds a reference or the answer is momentary. */
struct mx_model *mx_directory_model(struct mx_chip *chip, uint32_t id);

/* How old the cells of a resident model are, in seconds, and how often they were programmed again. */
void mx_directory_cells(struct mx_chip *chip, const struct mx_model *model, uint32_t *age,
			uint32_t *epoch);

/* Runs a job on a referenced model: exec.c. Fills all out fields, counters included. */
void mx_exec(struct mx_chip *chip, const struct mx_model *model, struct mx_job *job);
/* The same for mx_chip_job_schedule(): trace.c. */
void mx_exec_schedule(struct mx_chip *chip, const struct mx_model *model, struct mx_job *job);

/* mx_chip_job_sizes() of a model, resident or not. */
uint16_t mx_job_sizes(const struct mx_chip_config *config, const struct mx_model *model,
		      uint32_t entry, uint32_t nr_seq, uint32_t tokens,
		      uint64_t *in_bytes, uint64_t *out_bytes, uint16_t *field);

#endif /* MX_CHIP_INTERNAL_H */
