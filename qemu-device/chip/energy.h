/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Energy, by component, from what was counted. Formulas:
 * Documentation/cost-model.rst. Femtojoules are whole: each is a count times a
 * figure of the chip file, rounded, so that they are the same on every host.
 */
#ifndef MX_CHIP_ENERGY_H
#define MX_CHIP_ENERGY_H

#include "internal.h"

/*
 * Sets the energies of a macro-op's counters from its events. @op may be NULL:
 * what belongs to no op.
 */
void mx_energy_of_op(const struct mx_chip_config *config, const struct mxaccel_op *op,
		     struct mx_counters *counters);

/**
 * mx_energy_static() - adds what only time costs
 * @cycles:	duration of the job
 * @arrays:	traditional: arrays in use
 * @conversions: of the job
 */
void mx_energy_static(const struct mx_chip_config *config, double cycles, uint64_t arrays,
		      uint64_t conversions, struct mx_counters *counters);

#endif /* MX_CHIP_ENERGY_H */
