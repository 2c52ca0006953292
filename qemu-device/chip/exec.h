/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the sequencer: exec.c runs a job chunk by chunk and op by op,
 * exec_ops.c has the ops of the function units, exec_products.c those of the
 * crossbars, exec_cost.c what each op costs.
 *
 * A chunk is a run of sequences whose rows lie one after another, without
 * padding, so that a batch of short sentences becomes one large product. No
 * op mixes rows of two sequences, so results do not depend on the chunking.
 */
#ifndef MX_CHIP_EXEC_H
#define MX_CHIP_EXEC_H

#include "cost.h"
#include "kernels.h"
#include "pool.h"
#include "profile.h"

/* Rows that a chunk may have; a longer sequence is a chunk of its own. */
#define MX_CHUNK_ROWS 512
/* Rows of one head that are one piece of work. */
#define MX_HEAD_ROWS 64

/**
 * struct mx_seq - a sequence of the chunk
 * @length:	its rows: index of its last id that is not 0, plus 1
 * @row:	first of them in the chunk
 * @cells:	sum of length^2 of the sequences before it
 * @block:	sum of ceil(length / MX_HEAD_ROWS) of the sequences before it
 * @padded:	sum of the lengths of those, each rounded up to MXACCEL_PANEL_COLS
 */
struct mx_seq {
	uint32_t length;
	uint32_t row;
	uint64_t cells;
	uint64_t block;
	uint64_t padded;
};

/* Memory that grows and is used again. */
struct mx_buffer {
	void *data;
	uint64_t bytes;
};

/**
 * struct mx_run - a job that is being run
 * @ids:	whole input
 * @length:	of every sequence of the job
 * @sum_cols:	by region kind: columns of all regions of that kind which the entry uses
 * @region:	data of each region that the entry uses, for the chunk
 * @first:	first sequence of the chunk
 * @nr_seq:	sequences of the chunk
 * @rows, @cells, @blocks, @padded: of the chunk, see struct mx_seq
 * @chunk_ids:	[rows]
 * @act, @scale, @panels, @col_scale, @bytes: scratch of the products
 * @age, @epoch: of the model's cells, see struct mx_analog_weights
 * @cost:	what the job costs
 * @non_finite:	set by any worker that met an infinity or a NaN
 */
struct mx_run {
	struct mx_chip *chip;
	const struct mx_kernels *kernels;
	const struct mx_model *model;
	const struct mxaccel_entry *entry;
	struct mx_job *job;
	uint32_t age, epoch;

	int32_t *ids;
	uint32_t *length;
	bool *used;
	uint64_t sum_cols[MXACCEL_REGION_SEQ + 1];
	float **region;

	uint32_t first, nr_seq;
	struct mx_seq seq[MX_CHUNK_ROWS];
	uint64_t rows, cells, blocks, padded;
	int32_t *chunk_ids;

	struct mx_buffer arena, act, scale, panels, col_scale, bytes, staging;
	struct mx_cost cost;
	atomic_bool non_finite;
};

/* At least @bytes, aligned to MXACCEL_WORD, contents undefined; NULL without memory. */
void *mx_buffer_get(struct mx_buffer *buffer, uint64_t bytes);

static inline uint64_t mx_ceil_div(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static inline const void *mx_param(const struct mx_run *run, uint64_t offset)
{
	return run->model->params + offset;
}

/* Factors of a MATMUL's inputs, or NULL */
static inline const float *mx_factors(const struct mx_run *run, const struct mxaccel_op *op)
{
	return op->flags & MXACCEL_OPF_FACTORS ?
	       mx_param(run, MXACCEL_FACTORS(op->s_off, op->n)) : NULL;
}

/* Rows of a ROWS or SEQ region in the chunk. */
static inline uint64_t mx_region_rows(const struct mx_run *run, uint16_t region)
{
	return run->model->region[region].kind == MXACCEL_REGION_SEQ ? run->nr_seq : run->rows;
}

/* Element [row][col] of a ROWS or SEQ region. */
static inline float *mx_cell(const struct mx_run *run, uint16_t region, uint64_t row, uint64_t col)
{
	return run->region[region] + row * run->model->region[region].cols + col;
}

/* Row @row of head @head of a SCORES region, for a sequence of the chunk. */
static inline float *mx_scores(const struct mx_run *run, uint16_t region,
			       const struct mx_seq *seq, uint64_t head, uint64_t row)
{
	return run->region[region] + seq->cells * run->model->region[region].cols +
	       (head * seq->length + row) * seq->length;
}

/* Some rows of one head of one sequence: a piece of work on SCORES. */
struct mx_head_rows {
	const struct mx_seq *seq;
	uint64_t head;
	uint64_t row;
	uint64_t nr_rows;
};

/* Piece @i of run->blocks * heads. */
struct mx_head_rows mx_head_rows(const struct mx_run *run, uint32_t heads, uint64_t i);

/*
 * Calls fn(arg, i) for i < @nr, on all threads if @work, in elements or so,
 * is worth waking them.
 */
void mx_run_parallel(struct mx_run *run, uint64_t nr, uint64_t work,
		     void (*fn)(void *arg, uint64_t i), void *arg);

/* A product of @rows rows, by all threads if it is large enough. */
void mx_run_multiply(struct mx_run *run, const struct mx_gemm *gemm, uint64_t rows);

/* The ops; SUCCESS or NO_MEMORY, and non_finite may be set. */
uint16_t mx_op_embed(struct mx_run *run, const struct mxaccel_op *op);
uint16_t mx_op_softmax(struct mx_run *run, const struct mxaccel_op *op);
uint16_t mx_op_rowwise(struct mx_run *run, const struct mxaccel_op *op);	/* NORM, ACT, ADD, QUANT */
uint16_t mx_op_pool(struct mx_run *run, const struct mxaccel_op *op);
uint16_t mx_op_matmul(struct mx_run *run, const struct mxaccel_op *op);
uint16_t mx_op_matmul_analog(struct mx_run *run, const struct mxaccel_op *op,
			     struct mx_profile *profile);
/* Of an analog product whose conversions are proved to lose nothing, the weights; else NULL. */
const int8_t *mx_op_lossless_panels(struct mx_run *run, const struct mxaccel_op *op);
uint16_t mx_op_dyn(struct mx_run *run, const struct mxaccel_op *op);

/* Freed by mx_run_free(); NULL without memory. */
struct mx_run *mx_run_new(struct mx_chip *chip, const struct mx_model *model, struct mx_job *job);
void mx_run_free(struct mx_run *run);
/* Reads all ids, checks them, and finds the lengths of the sequences. */
uint16_t mx_run_input(struct mx_run *run);

#endif /* MX_CHIP_EXEC_H */
