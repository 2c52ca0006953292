# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sweeps over codings and converters, with cells as they should be."""

from .setting import CALIBRATED, SIGN, TWOS, Setting, Sweep, along, analog


def one_step(counts):
    return analog(f"{counts} count{'s' if counts > 1 else ''} to a step", adc_step=counts)


def adc(bits, more=Setting("")):
    return Setting(f"{bits}-bit ADC", (f"large.adc_bits={bits}",)).plus(more)


ADC_BITS = along("large.adc_bits", 8, 7, 6, 5, 4, 3)
DIFFERENTIAL = analog("differential", mapping="differential")
OFFSET = analog("offset", mapping="offset")
CODINGS = (TWOS, SIGN, analog("unsigned", input="unsigned"))
# Beyond an array's 128 rows the array itself is higher.
ROWS = (*along("analog.rows_active", 16, 32, 64), Setting("128"),
        *along("large.rows", 256, 512))
SMOOTH = (Setting("none"), *(Setting(alpha, mapping=(f"--smooth={alpha}",))
                             for alpha in ("0.3", "0.5", "0.7")))

CONVERTERS = (
    Sweep("adc-bits", "ADC bits, fixed and calibrated steps", "ADC bits", ADC_BITS,
          (one_step(1), one_step(2), CALIBRATED.plus(Setting(""), "calibrated steps"),
           one_step(1).plus(SIGN), CALIBRATED.plus(SIGN, "calibrated steps, sign and magnitude"))),
    Sweep("planes", "ADC bits with one and two planes of activations", "ADC bits", ADC_BITS,
          planes=(1, 2)),
    Sweep("smoothing", "Smoothed activations", "alpha", SMOOTH, (adc(8), adc(6), adc(5))),
    Sweep("rows", "Rows in one conversion", "rows active", ROWS,
          tuple(adc(bits) for bits in (8, 6, 5, 4)),
          note="256 and 512 are arrays of as many rows"),
    Sweep("cell-bits", "Bits of a cell", "bits of a cell (8: unsliced)",
          along("large.cell_bits", 1, 2, 3, 4, 8),
          (adc(10), adc(8), adc(8, SIGN))),
    Sweep("dac-bits", "Bits of an input step", "bits of a step", along("large.dac_bits", 1, 2, 4),
          tuple(adc(bits) for bits in (10, 8, 6))),
    Sweep("mapping", "Mapping of signed weights", "ADC bits", ADC_BITS[:-1],
          (DIFFERENTIAL, OFFSET)),
    Sweep("input", "Coding of signed inputs", "ADC bits", ADC_BITS[:-1], CODINGS),
    Sweep("input-step", "Coding of signed inputs, and counts to a step", "counts to a step",
          along("analog.adc_step", 1, 2, 4), CODINGS),
)
