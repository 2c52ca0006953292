/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outlier-aware scaling of activations (SmoothQuant, Xiao et al. 2023): an input channel j
 * of a product is divided by s[j] = max |X[j]|^alpha / max |W[j]|^(1 - alpha) before it is
 * quantised, and the weights' column is multiplied by it.
 */
#ifndef SMOOTH_H
#define SMOOTH_H

#include "checkpoint.h"

/**
 * smooth_plan() - fill by_col and by_row of a plan that was made to be smoothed
 * @largest:	of each weight's inputs: calibrate_inputs()
 * @alpha:	0 to 1: how much of the outliers moves to the weights
 *
 * Inputs of Q, K and V and of the feed-forward network get factors, as the residual
 * path reads the same hidden states unscaled. Those of the attention's output are the
 * values, mixed: there the rows of V's weights are divided, which costs nothing.
 * Return: 0 or -1 after mxmap_fail().
 */
int smooth_plan(const struct checkpoint *checkpoint, float *const *largest, double alpha,
		struct plan *plan);

#endif /* SMOOTH_H */
