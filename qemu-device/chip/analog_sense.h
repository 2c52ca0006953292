/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fidelity=analog of synergy chips: weights are sensed in the dense banks, and multiplied by
 * the small computation crossbars, bit by bit. Documentation/analog.rst defines both.
 */
#ifndef MX_CHIP_ANALOG_SENSE_H
#define MX_CHIP_ANALOG_SENSE_H

#include "analog.h"

/* How the cells of a bank are drawn: weights + 128 in slices of cell_bits. */
void mx_bank_init(struct mx_analog *bank, const struct mx_chip_config *config, uint64_t seed);

/*
 * How a small crossbar computes: as an array of cells of digit_bits whose conversions take as
 * many rows as the ADC has codes for. Without effects if those cannot change a code.
 */
void mx_small_init(struct mx_analog *small, const struct mx_chip_config *config, uint64_t seed);

/* Whether a conversion of the small crossbars can take a row at least; needed for the above. */
bool mx_small_converts(const struct mx_chip_config *config);

/**
 * mx_bank_sense() - what the sense amplifiers make of a product's weights
 * @weights:	as programmed
 *
 * Return: panels to be freed, or NULL without memory.
 */
int8_t *mx_bank_sense(const struct mx_analog *bank, const struct mx_analog_weights *weights,
		      struct mx_pool *pool);

#endif /* MX_CHIP_ANALOG_SENSE_H */
