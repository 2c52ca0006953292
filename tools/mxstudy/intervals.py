# SPDX-License-Identifier: LGPL-2.1-or-later
"""95 % confidence intervals."""

import math

Z = 1.959964
# Student's t, two-sided 95 %, by degrees of freedom (any table of it)
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262,
     14: 2.145, 19: 2.093, 29: 2.045}


def wilson(share, count):
    """Interval of a share that was measured on @count independent cases (Wilson, 1927)."""
    bottom = 1 + Z * Z / count
    middle = (share + Z * Z / (2 * count)) / bottom
    half = Z / bottom * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def mean_and_half(values):
    """Mean of measurements, and half of its t interval; None of a single one."""
    values = list(values)
    mean = sum(values) / len(values)
    freedom = len(values) - 1
    if not freedom:
        return mean, None
    # Between two entries that with fewer degrees of freedom is the wider.
    quantile = T[max(known for known in T if known <= freedom)]
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / freedom)
    return mean, quantile * spread / math.sqrt(len(values))
