/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Normally distributed numbers, the same on every host: no libm. */
#ifndef MX_CHIP_ANALOG_NOISE_H
#define MX_CHIP_ANALOG_NOISE_H

#include <stdint.h>

/* One standard deviation */
#define MX_NORMAL_ONE 65536

/*
 * mx_normal() - the quantile of the standard normal distribution at (@bits + 1/2) / 2^32
 *
 * In units of 1 / MX_NORMAL_ONE. Uniform @bits give a normal number of at most 6.4
 * standard deviations; its distribution function is off by less than 1e-5.
 */
int32_t mx_normal(uint32_t bits);

#endif /* MX_CHIP_ANALOG_NOISE_H */
