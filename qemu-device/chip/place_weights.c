// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a program's weights need, and when they are used.
 */
#include <stdlib.h>

#include "place_policy.h"

/* An op's use of weights, then all uses of them within a window */
struct use {
	uint64_t w_off;
	uint64_t tiles;
	uint64_t bytes;
	uint32_t window;
	uint32_t reads;
};

struct collection {
	const struct mx_place_geometry *geometry;
	const struct mx_model *model;
	struct use *use;
	uint32_t nr;
	uint64_t *work;		/* of each window: tiles times reads */
	uint32_t nr_windows;
};

void mx_place_windows(const struct mx_model *model,
		      void (*fn)(void *arg, const struct mxaccel_op *ops, uint32_t nr_ops),
		      void *arg)
{
	uint32_t i, j, first;

	for (i = 0; i < model->head->nr_entries; i++) {
		const struct mxaccel_op *ops = model->op + model->entry[i].first_op;

		for (first = j = 0; j < model->entry[i].nr_ops; j++) {
			if (ops[j].opcode != MXACCEL_OP_MATMUL_DYN)
				continue;
			fn(arg, ops + first, j - first);
			first = j;
		}
		fn(arg, ops + first, j - first);
	}
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t bytes_of(const struct mxaccel_op *op)
{
	static const struct mx_place_geometry banks = { .organisation = MXACCEL_PLACE_BANKS };

	return mx_place_tiles(&banks, op) * MXACCEL_WORD;
}

static void collect(void *arg, const struct mxaccel_op *ops, uint32_t nr_ops)
{
	struct collection *c = arg;
	uint32_t i;

	for (i = 0; i < nr_ops; i++) {
		uint64_t tiles = mx_place_tiles(c->geometry, &ops[i]);
		struct use use = {
			.w_off = ops[i].w_off, .tiles = tiles, .bytes = bytes_of(&ops[i]),
			.window = c->nr_windows, .reads = mx_place_streams(c->model, &ops[i]),
		};

		if (!tiles)
			continue;
		if (use.reads)
			c->work[c->nr_windows] = plus(c->work[c->nr_windows], tiles);
		c->use[c->nr++] = use;
	}
	c->nr_windows++;
}

static int by_place_and_time(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	if (x->w_off != y->w_off)
		return x->w_off < y->w_off ? -1 : 1;
	return (x->window > y->window) - (x->window < y->window);
}

/* Makes one weight of the uses from @i on that share a w_off; returns how many those are. */
static uint32_t merge(const struct collection *c, uint32_t i, struct mx_place_weight *weight)
{
	uint32_t from = i, reads = 0;

	*weight = (struct mx_place_weight){ .w_off = c->use[i].w_off, .window = c->use[i].window };
	for (; i < c->nr && c->use[i].w_off == weight->w_off; i++) {
		const struct use *use = &c->use[i];

		if (use->tiles > weight->tiles)
			weight->tiles = use->tiles;
		if (use->bytes > weight->bytes)
			weight->bytes = use->bytes;
		if (i == from || use->window != c->use[i - 1].window)
			reads = 0;
		reads += use->reads;
		if (!reads)
			continue;
		if (!weight->reads || use->window == weight->window ||
		    c->work[use->window] > c->work[weight->window]) {
			weight->window = use->window;
			weight->reads = reads;
		}
	}
	return i - from;
}

struct mx_place_weights *mx_place_weights(const struct mx_place_geometry *geometry,
					  const struct mx_model *model)
{
	uint64_t nr_ops = model->head->nr_ops;
	struct collection c = { .geometry = geometry, .model = model };
	struct mx_place_weights *weights = NULL;
	uint32_t i;

	c.use = malloc((nr_ops + 1) * sizeof(*c.use));
	c.work = calloc(nr_ops + model->head->nr_entries, sizeof(*c.work));
	if (c.use && c.work) {
		mx_place_windows(model, collect, &c);
		qsort(c.use, c.nr, sizeof(*c.use), by_place_and_time);
		weights = calloc(1, sizeof(*weights) + c.nr * sizeof(weights->weight[0]));
	}
	for (i = 0; weights && i < c.nr;) {
		struct mx_place_weight *weight = &weights->weight[weights->nr++];

		i += merge(&c, i, weight);
		weights->tiles = plus(weights->tiles, weight->tiles);
		weights->bytes = plus(weights->bytes, weight->bytes);
	}
	free(c.use);
	free(c.work);
	return weights;
}
