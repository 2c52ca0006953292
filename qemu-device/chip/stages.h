/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an entry's program is to the cost model: stages that the tokens of a
 * sequence pass one after the other, each with the resources that it keeps
 * busy for every token. Formulas: Documentation/cost-model.rst.
 *
 * stages.c is common; stages_{synergy,inplace,traditional}.c know what a
 * macro-op takes in one organisation. schedule.c finds out when it happens.
 */
#ifndef MX_CHIP_STAGES_H
#define MX_CHIP_STAGES_H

#include "internal.h"

#define MX_STAGE_USES 4
/* Tables that are read at once. */
#define MX_TABLE_PORTS 4
/* Sequences that are on their way at once. */
#define MX_FLIGHTS 2
/* Traditional: an element goes to the companion in 2 bytes and comes back in 1. */
#define MX_ELEMENT_BYTES 3

/**
 * struct mx_use - one resource in use by a stage
 * @first:	resource, an index into struct mx_layout.resource
 * @nr:		resources used together, in the ring of LARGE sets; 1 for others
 * @units:	units of the chip behind them, for the busy cycles
 * @ticks:	busy time for a token, from the start of the stage
 */
struct mx_use {
	uint32_t first;
	uint32_t nr;
	uint32_t units;
	uint64_t ticks;
};

/**
 * struct mx_stage - a step of every token of a sequence
 * @op:		macro-op, counted from the entry's first
 * @all_rows:	each token passes it; else only the first one does, for the sequence
 * @wait_all:	no token starts before every one has left the stages before
 * @prev:	the stage before that all tokens pass, or MX_NO_STAGE
 * @latency:	ticks from the start of a token to its end
 * @use:	resources, @nr_uses of them
 */
struct mx_stage {
	uint32_t op;
	bool all_rows;
	bool wait_all;
	uint32_t prev;
	uint64_t latency;
	uint32_t nr_uses;
	struct mx_use use[MX_STAGE_USES];
};

#define MX_NO_STAGE UINT32_MAX

struct mx_resource {
	uint8_t kind;		/* MXACCEL_RES_* */
	uint16_t unit;
};

/**
 * struct mx_layout - resources of a chip as an entry's program uses them
 * @nr_sets:	sets of LARGE units that every weight of the entry uses wholly or not
 *		at all; they are the resources 0 .. @nr_sets - 1
 * @bound:	first unit of each set, and of all units the number
 * @load:	by set: ticks that it is in use for a token; scratch
 * @written:	by region: barrier after which it was written last, plus 1
 * @max_stages:	room that mx_stages_make() needs
 */
struct mx_layout {
	const struct mx_chip_config *config;
	const struct mx_model *model;
	const struct mxaccel_entry *entry;
	const struct mxaccel_op *op;
	uint32_t nr_sets;
	uint32_t *bound;
	uint64_t *load;
	uint32_t *written;
	uint32_t nr_resources;
	struct mx_resource *resource;
	uint32_t max_stages;
};

/* False without memory. mx_layout_free() in any case. */
bool mx_layout_make(struct mx_layout *layout, const struct mx_chip_config *config,
		    const struct mx_model *model, const struct mxaccel_entry *entry);
void mx_layout_free(struct mx_layout *layout);

/**
 * mx_stages_make() - stages of a sequence
 * @length:	its tokens
 * @nr_ops:	ops of the entry that it runs; all, unless the job failed
 * @flight:	place among the sequences on their way, 0 .. MX_FLIGHTS - 1
 * @stage:	out: room for layout->max_stages
 *
 * Return: their number.
 */
uint32_t mx_stages_make(struct mx_layout *layout, uint64_t length, uint32_t nr_ops,
			uint32_t flight, struct mx_stage *stage);

/*
 * Contexts of the small crossbars that K and V of one layer take for a sequence,
 * at most over the entry's attentions; 0 where K and V are elsewhere.
 */
uint64_t mx_stages_contexts(const struct mx_chip_config *config, const struct mxaccel_op *op,
			    uint32_t nr_ops, uint64_t length);

/* Arrays that K and V of a layer take, double-buffered, where they are rewritten; else 0. */
uint64_t mx_stages_kv_arrays(const struct mx_chip_config *config, const struct mxaccel_op *op,
			     uint32_t nr_ops, uint64_t length);

/* ------------------------------------------------- for stages_*.c only */

/* Resources besides the LARGE sets, at layout->nr_sets + MX_RES_... */
enum {
	MX_RES_TABLES,					/* LARGE: rows of the tables, by op */
	MX_RES_KEYS = MX_RES_TABLES + MX_TABLE_PORTS,	/* LARGE: rewritten K, by flight */
	MX_RES_VALUES = MX_RES_KEYS + MX_FLIGHTS,
	MX_RES_SMALL = MX_RES_VALUES + MX_FLIGHTS,
	MX_RES_SMALL_WRITE,				/* SMALL: port for K and V */
	MX_RES_SOFTMAX,
	MX_RES_ACT,
	MX_RES_BUS,
	MX_RES_OFFCHIP,
	MX_RES_WRITE,					/* WRITE: by flight */
	MX_RES_UNITS = MX_RES_WRITE + MX_FLIGHTS,	/* NORM, then REQUANT */
};

/**
 * struct mx_build - stages of a sequence being made
 * @barrier:	barriers so far, plus 1
 * @op:		the op that it is at
 * @prev:	last stage that all tokens pass
 * @wait_all:	for the next stage
 * @norms, @products, @tables: uses of such units so far; units take turns
 * @scores:	inplace, synergy: ticks of the QK before the current op
 * @writing:	traditional: op whose K and V are still to be charged, plus 1
 * @layer_products: traditional: products since the layer began
 */
struct mx_build {
	struct mx_layout *layout;
	const struct mx_chip_config *config;
	uint64_t length;
	uint32_t flight;
	struct mx_stage *stage;
	uint32_t nr;
	uint32_t barrier;
	uint32_t prev;
	bool wait_all;
	const struct mxaccel_op *op;
	uint32_t norms, products, tables;
	uint64_t scores;
	uint32_t writing, layer_products;
};

/* Where the weights of an op lie, in sets. */
struct mx_sets {
	uint32_t first, nr, units;
	uint64_t passes;
};

static inline uint64_t mx_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

/* Longest time of a stage for a token: 4e9 cycles. Sums of them must not wrap. */
#define MX_STAGE_MOST ((uint64_t)1 << 40)

static inline uint64_t mx_stage_time(uint64_t ticks)
{
	return ticks < MX_STAGE_MOST ? ticks : MX_STAGE_MOST;
}

static inline uint64_t mx_cycles(uint64_t cycles)
{
	return cycles * MXACCEL_TICKS;
}

/* Groups of rows of an array that are active one after the other. */
uint64_t mx_row_groups(const struct mx_chip_config *config);
/* Cycles to convert all columns of an array for one input step. */
uint64_t mx_bit_cycles(const struct mx_chip_config *config);
/* Input steps of an INT8 value. */
uint64_t mx_steps(const struct mx_chip_config *config);
/* Columns that the INT8 weights of an array make. */
uint64_t mx_outputs(const struct mx_chip_config *config);
/* Sums of an array that are converted for a step: columns in use, copies taken together. */
uint64_t mx_sums(const struct mx_chip_config *config);
/* Arrays that rewritten K (for QK) or V (for PV) of one layer take. */
uint64_t mx_operand_arrays(const struct mx_chip_config *config, const struct mxaccel_op *op,
			   uint64_t length);
/* Synergy: sub-operations of an INT8 product on one crossbar, and conversions of a column. */
uint64_t mx_sub_steps(const struct mx_chip_config *config);
uint64_t mx_col_conversions(const struct mx_chip_config *config);

/* A stage of the current op; every token passes it unless the op's rows are those of a SEQ. */
struct mx_stage *mx_stage_add(struct mx_build *build, uint64_t latency);
/* One of the resources MX_RES_... in use. */
void mx_stage_use(struct mx_build *build, struct mx_stage *stage, uint32_t resource,
		  uint64_t ticks);
void mx_stage_use_norm(struct mx_build *build, struct mx_stage *stage, uint64_t ticks);
void mx_stage_use_requant(struct mx_build *build, struct mx_stage *stage, uint64_t ticks);
void mx_stage_use_table(struct mx_build *build, struct mx_stage *stage, uint64_t ticks);
/* LARGE units of a MATMUL's weights. */
struct mx_sets mx_stage_sets(const struct mx_layout *layout, const struct mxaccel_op *op);
void mx_stage_use_sets(struct mx_stage *stage, const struct mx_sets *sets, uint64_t ticks);

/*
 * For a MATMUL_DYN: whether its second operand is new since the last barrier, and
 * if so, how many columns of K and V that is, those of the PV behind a QK included.
 */
uint64_t mx_stage_new_kv(struct mx_build *build);
/* From here on nothing starts before all that is before has ended. */
void mx_stage_barrier(struct mx_build *build);
/* A stage that the sequence passes once, when all is done: a FENCE, writing. */
struct mx_stage *mx_stage_once(struct mx_build *build, uint32_t op, uint64_t latency);

/* Function units that synergy and inplace chips have in common: SOFTMAX, NORM, ACT, QUANT. */
void mx_stages_sfu(struct mx_build *build);

void mx_stages_synergy(struct mx_build *build);
void mx_stages_inplace(struct mx_build *build);
void mx_stages_traditional(struct mx_build *build);
/* What is still to be charged when the program ends. */
void mx_stages_traditional_end(struct mx_build *build);

#endif /* MX_CHIP_STAGES_H */
