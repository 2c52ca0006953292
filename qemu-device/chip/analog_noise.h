/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Normally distributed numbers and what cells need besides, the same on every host: no libm. */
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

/* mx_normal() between the entries of this, except for the first and last intervals. */
#define MX_NORMAL_BITS		14
#define MX_NORMAL_INTERVALS	(1 << MX_NORMAL_BITS)
#define MX_NORMAL_TAIL		64
const int32_t *mx_normal_table(void);

/* Natural logarithm of @x > 0, from IEEE operations alone. */
double mx_logarithm(double x);

#endif /* MX_CHIP_ANALOG_NOISE_H */
