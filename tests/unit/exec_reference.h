/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The specification of the macro-ops once more, as plainly as it can be said:
 * one sequence at a time, scalar, no scratch layouts. Bits and counters of
 * mx_exec() must equal those given here.
 */
#ifndef EXEC_REFERENCE_H
#define EXEC_REFERENCE_H

#include "internal.h"

/*
 * Runs @entry on one sequence of @tokens ids, padding included. @out: rows of
 * out_cols, for all @tokens or one. Adds to @counters what it costs, DMA and
 * JOBS aside.
 */
void reference_run(const struct mx_chip_config *config, const struct mx_model *model,
		   uint32_t entry, const int32_t *ids, uint32_t tokens, float *out,
		   struct mx_counters *counters);

#endif /* EXEC_REFERENCE_H */
