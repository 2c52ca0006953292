# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each key of a chip file does to the results, when halved and when doubled."""

from dataclasses import dataclass

from .chips import Failure, marks
from .tables import Table

# Keys that say how good a component is; geometry has few choices, so these are named.
QUALITY = ("energy", "power", "area")
GEOMETRY = {
    "synergy": ("large.cell_bits", "small.digit_bits", "fabric.macs", "fabric.crossbars",
                "fabric.adc_mhz", "fabric.layer_cycles", "buffer.kib", "chip.clock_khz"),
    "inplace": ("large.adcs", "large.adc_mhz", "large.cell_bits", "large.subarrays",
                "sfu.softmax_lanes", "sfu.norm_lanes", "sfu.act_lanes", "buffer.kib",
                "chip.clock_khz"),
    "traditional": ("large.adcs", "large.adc_mhz", "large.cell_bits", "cells.row_cycles",
                    "attention.offchip_bytes", "fabric.layer_cycles", "chip.clock_khz"),
}


@dataclass
class Effect:
    """Factors of area, latency, energy and area-delay against the chip file as it is."""

    key: str
    mark: str
    value: float
    halved: tuple       # or None where that is no chip, or holds the model no more
    doubled: tuple

    def strength(self, which):
        return max(abs(one[which] - 1) for one in (self.halved, self.doubled) if one)


METRICS = ("area", "latency", "energy", "area-delay")


def figures(estimator, variant, tokens, planes):
    point = estimator.point(variant, tokens, planes)
    return point.mm2, point.seconds, point.joules, point.area_delay


def scaled(value, factor):
    """A value as a chip file takes it"""
    if isinstance(value, int):
        whole = value * factor
        return None if whole < 1 or whole != int(whole) else str(int(whole))
    return f"{value * factor:.9f}".rstrip("0").rstrip(".")


def effects(estimator, variant, tokens, planes):
    """Effects of all keys that have one, the strongest on area-delay first."""
    described = estimator.describe(variant)
    keys, origin = described["keys"], marks(variant)
    base = figures(estimator, variant, tokens, planes)
    names = [f"{section}.{key}" for section in QUALITY for key in keys.get(section, {})]
    found = []
    for name in names + list(GEOMETRY[described["organisation"]]):
        section, key = name.split(".")
        value = keys[section][key]
        sides = []
        for factor in (0.5, 2):
            text = scaled(value, factor)
            try:
                after = figures(estimator, variant.plus(f"{name}={text}"), tokens, planes) \
                    if text and value else None
            except Failure:
                after = None
            sides.append(after and tuple(a / b for a, b in zip(after, base)))
        effect = Effect(name, origin.get(name, ""), value, *sides)
        if any(sides) and max(effect.strength(i) for i in range(4)) > 0.0005:
            found.append(effect)
    return sorted(found, key=lambda e: -e.strength(3))


def table(estimator, chips, tokens, planes, at_least=0.01):
    """Keys that move area, latency or energy by a hundredth when halved or doubled."""
    result = Table("sensitivity", f"What decides: keys halved and doubled, {tokens} tokens",
                   ["chip", "key", "value", "", *(f"{name} x" for name in METRICS)])
    for chip in chips:
        for effect in effects(estimator, chip, tokens, planes):
            if max(effect.strength(i) for i in range(4)) < at_least:
                continue
            result.add(chip.name, effect.key, effect.value, effect.mark,
                       *(f"{side(effect.halved, i)} .. {side(effect.doubled, i)}"
                         for i in range(4)))
    result.notes.append("Factor with the key at half and at twice its value; \"-\" where that is "
                        "no valid chip or the model does not fit it. One key at a time.")
    return result


def side(factors, which):
    return f"{factors[which]:.3f}" if factors else "-"
