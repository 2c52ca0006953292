// SPDX-License-Identifier: LGPL-2.1-or-later
/* Scales of input channels, from activations and weights. */
#include <math.h>
#include <stdlib.h>

#include "mxmap.h"
#include "smooth.h"

#define VALUES 2	/* part of the weights of Q, K and V */
/* Channels are not scaled further than that. */
#define MOST 0x1p20

/* max |W| of each column, with its rows scaled; free() it. NULL after mxmap_fail(). */
static float *largest_weights(const struct checkpoint *checkpoint, const struct weight *w)
{
	float *largest = calloc(w->cols, sizeof(*largest));
	float *row = malloc(w->cols * sizeof(*row));
	uint32_t rows_of_part = w->rows / w->nr_parts, r, i;

	for (r = 0; largest && row && r < w->rows; r++) {
		const struct st_tensor *tensor =
			checkpoint_part(checkpoint, w, r / rows_of_part, false);

		st_read(tensor, (uint64_t)(r % rows_of_part) * w->cols, w->cols, row);
		for (i = 0; i < w->cols; i++)
			largest[i] = fmaxf(largest[i],
					   fabsf(w->by_row ? row[i] * w->by_row[r] : row[i]));
	}
	if (!largest || !row)
		mxmap_no_memory();
	if (!row) {
		free(largest);
		largest = NULL;
	}
	free(row);
	return largest;
}

/* by_col of a weight */
static int scale_inputs(const struct checkpoint *checkpoint, const float *inputs, double alpha,
			struct weight *w)
{
	uint32_t i;

	w->by_col = largest_weights(checkpoint, w);
	if (!w->by_col)
		return -1;
	for (i = 0; i < w->cols; i++) {
		double s = pow(inputs[i], alpha) / pow(w->by_col[i], 1 - alpha);

		/* Channels that are never used, or lead nowhere, can stay. */
		if (!(inputs[i] > 0) || !(w->by_col[i] > 0))
			s = 1;
		w->by_col[i] = fmin(fmax(s, 1 / MOST), MOST);
	}
	return 0;
}

/* Divides the values where the attention's output wants its inputs divided. */
static int scale_values(const struct weight *output, struct weight *qkv)
{
	uint32_t part = qkv->rows / qkv->nr_parts, i;

	qkv->by_row = malloc(qkv->rows * sizeof(*qkv->by_row));
	if (!qkv->by_row)
		return mxmap_no_memory();
	for (i = 0; i < qkv->rows; i++)
		qkv->by_row[i] = i / part == VALUES ? 1 / output->by_col[i % part] : 1;
	return 0;
}

int smooth_plan(const struct checkpoint *checkpoint, float *const *largest, double alpha,
		struct plan *plan)
{
	static const unsigned int smoothed[] = {
		PLAN_ATT_OUT, PLAN_QKV, PLAN_FFN_IN, PLAN_FFN_OUT,
	};
	size_t layer, i;

	for (layer = PLAN_FIRST_LAYER; plan->weight[layer + PLAN_QKV].factors;
	     layer += PLAN_PER_LAYER) {
		for (i = 0; i < ARRAY_SIZE(smoothed); i++) {
			size_t at = layer + smoothed[i];

			if (scale_inputs(checkpoint, largest[at], alpha, &plan->weight[at]))
				return -1;
			if (smoothed[i] == PLAN_ATT_OUT &&
			    scale_values(&plan->weight[at], &plan->weight[layer + PLAN_QKV]))
				return -1;
		}
	}
	return 0;
}
