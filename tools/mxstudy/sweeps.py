# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is varied. Everything else is as in the chip file that the study is made on."""

from .converters import CONVERTERS
from .effects import EFFECTS, SYNERGY

SWEEPS = CONVERTERS + EFFECTS + SYNERGY


def offered(sweeps, keys):
    """
    The sweeps that their chip can do, and of the others what it has not:
    {title: [key]}. @keys: those of a chip by its name, "" being the study's.
    """
    lacking = {sweep.title: [key for key in sweep.keys() if key not in keys[sweep.chip]]
               for sweep in sweeps}
    return ([sweep for sweep in sweeps if not lacking[sweep.title]],
            {title: absent for title, absent in lacking.items() if absent})


# How sums are rounded: a choice of the converter, not an effect. Steps by hand.
NOT_SWEPT = ("analog.adc_tie", "analog.adc_step_")


def without_sweep(sweeps, keys, chip=""):
    """Keys of [analog] that no sweep of a chip varies, so that a new effect is not overlooked."""
    used = {key for sweep in sweeps if sweep.chip == chip for key in sweep.keys()}
    return sorted(key for key in keys if key.startswith("analog.") and key not in used
                  and not key.startswith(NOT_SWEPT))
