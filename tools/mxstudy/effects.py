# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sweeps over effects of the cells, with and without what is meant to help."""

from dataclasses import replace

from .converters import OFFSET
from .setting import SIGN, TWOS, Setting, Sweep, along, analog, named

LEVELS = " (share of the highest level)"
SIGN_OFFSET = SIGN.plus(OFFSET, "sign and magnitude, offset weights")


def helped(label, base=SIGN, **keys):
    """The robust coding with a remedy."""
    return base.plus(analog(label, **keys))


COPIES = helped("4 copies of the 2 high slices", redundant_slices=2, redundant_copies=4)
SPARES = helped("8 spare columns", spare_cols=8)
CORRECTED = helped("array correction", correction="array")
COMPENSATED = helped("drift compensation", drift_compensation=1)

# Of cells near their highest conductance in AIHWKit's model of phase-change cells,
# docs/source/pcm_inference.rst.
DRIFT = analog("", drift_nu=0.049, drift_nu_sigma=0.008)
AGES = tuple(Setting(label, device=(f"age={seconds}",), at=seconds) for label, seconds in
             (("1 h", 3600), ("1 day", 86400), ("30 days", 30 * 86400), ("1 year", 365 * 86400)))


def square(size):
    """Arrays of another size."""
    return Setting(f"{size} x {size}", (f"large.rows={size}", f"large.cols={size}"))


def some_cells(key):
    return named("{} % of the cells", (replace(one, label=f"{100 * float(one.label):g}")
                                       for one in along(key, 0.05, 0.5)))


FEW, MANY = some_cells("analog.rtn_share")


EFFECTS = (
    Sweep("on-off", "Finite on/off ratio", "ratio of the highest to the lowest conductance",
          along("analog.on_off_ratio", 1000, 100, 20, 5, 2),
          (TWOS, TWOS.plus(OFFSET, "two's complement, offset weights"), SIGN_OFFSET,
           helped("array correction", SIGN_OFFSET, correction="array")), slow=True, log=True),
    Sweep("program-sigma", "Programming error, the same for every level",
          "standard deviation" + LEVELS,
          along("analog.program_sigma", 0.01, 0.02, 0.05),
          (TWOS, SIGN, SIGN_OFFSET, COPIES), seeded=True, log=True),
    Sweep("program-sigma-prop", "Programming error, proportional to the conductance",
          "standard deviation (share of the conductance)",
          along("analog.program_sigma_prop", 0.03, 0.1, 0.3),
          (TWOS, SIGN), seeded=True, log=True),
    Sweep("cell-bits-error", "Bits of a cell with programming errors",
          "bits of a cell (8: unsliced)", along("large.cell_bits", 2, 4, 8),
          (analog("2 % of the highest level", program_sigma=0.02),
           analog("10 % of the conductance", program_sigma_prop=0.1)), seeded=True,
          base=SIGN.plus(Setting("", ("large.adc_bits=16",))),
          note="Sign and magnitude; 16-bit ADC, so that nothing is clamped"),
    Sweep("stuck-at-0", "Cells stuck at the lowest conductance", "share of cells",
          along("analog.stuck_at_0", 0.01, 0.1), (SIGN, SPARES), seeded=True,
          log=True),
    Sweep("stuck-at-1", "Cells stuck at the highest conductance", "share of cells",
          along("analog.stuck_at_1", 0.0001, 0.001, 0.01), (SIGN, SPARES), seeded=True,
          log=True),
    Sweep("drift", "Drift", "age", AGES,
          (TWOS, SIGN, COMPENSATED), seeded=True, log=True,
          base=DRIFT, note="Exponents of the cells: mean 0.049, standard deviation 0.008"),
    Sweep("ir-drop", "IR drop", "ohm between neighbouring cells",
          along("analog.wire_ohm", 0.5, 1.0, 2.0, 5.0),
          (*(base.plus(square(128)) for base in (TWOS, SIGN, CORRECTED)),
           SIGN.plus(square(256))), slow=True, log=True, base=analog("", cell_ohm=10000),
          note="Cells at their highest level have 10 kohm"),
    Sweep("read-noise", "Read noise", "standard deviation" + LEVELS,
          along("analog.read_sigma", 0.005, 0.02), (TWOS, SIGN), seeded=True,
          log=True),
    Sweep("read-noise-prop", "Read noise, proportional to the conductance",
          "standard deviation (share of the conductance)",
          along("analog.read_sigma_prop", 0.01, 0.03, 0.1), (TWOS, SIGN), seeded=True,
          log=True),
    Sweep("telegraph", "Random telegraph noise", "share of the conductance that is lost",
          along("analog.rtn_amplitude", 0.05, 0.25, 0.5),
          (FEW.plus(SIGN), MANY.plus(SIGN), MANY.plus(COPIES)),
          seeded=True, log=True),
)

SYNERGY = (
    Sweep("mx1-banks", "mx1: random telegraph noise of the dense banks",
          "share of the conductance that is lost",
          along("analog.rtn_amplitude", 0.02, 0.05, 0.1, 0.25),
          some_cells("analog.rtn_share"), seeded=True, log=True, chip="mx1"),
    Sweep("mx1-small", "mx1: random telegraph noise of the small crossbars",
          "share of the conductance that is lost",
          along("analog.small_rtn_amplitude", 0.05, 0.25, 0.5),
          some_cells("analog.small_rtn_share"), seeded=True, log=True, chip="mx1"),
)
