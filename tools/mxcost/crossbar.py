# SPDX-License-Identifier: LGPL-2.1-or-later
"""The paper's computation crossbar with its 2-bit ADCs, in place of the digital stand-in.

How a crossbar of fixed resistors multiplies two streams of operands is not public. As we
read it, an encoder forms products of digits, each cell adds one of them to its column, and
a conversion reads a count. A count is exact only if it is at most 2^bits - 1, so that the
digits and the converter decide how many conversions a multiply-accumulate takes.
"""

from itertools import product

from .chips import Failure
from .published import PAPER
from .tables import Table, number

# bits: (pJ, um2, source); all at 1.28 GS/s
CONVERTERS = {
    2: (0.1, 120, "[D] from FORMS, halved per bit and rounded up"),
    4: (0.226, 284, "[S] FORMS"),
    7: (1.42, 845, "[S] ISAAC's, scaled"),
    8: (1.667, 1200, "[S] ISAAC"),
}
SAMPLES = 1.28e9
DIGITS = (1, 2, 4)

# One conversion reads a whole column, at the cost of the chip file's converter of 2 bits
COLUMN = ("fabric.kind=crossbar", "small.adc_bits=8")
# Settings of the chip file for the second table
DESIGNS = (
    ("2-bit ADC, 3 rows a conversion", ()),
    ("4-bit ADC, 15 rows", ("small.adc_bits=4", "energy.adc=0.226", "area.adc=284")),
    ("8-bit ADC, all 128 rows", ("small.adc_bits=8", "energy.adc=1.667", "area.adc=1200")),
    ("all 128 rows at a 2-bit ADC's cost: loses counts above 3", COLUMN),
)


def conversions(activation, weight, bits, rows=128):
    """Exact conversions of a multiply-accumulate of INT8 operands; None if a digit product
    already overflows one."""
    at_once = min(rows, (2 ** bits - 1) // ((2 ** activation - 1) * (2 ** weight - 1)))
    return (8 / activation) * (8 / weight) / at_once if at_once else None


def digits(chip_keys, macs):
    """What conversions cost at least, by digit size and converter; formulas only."""
    table = Table("digits", "The computation crossbar: exact conversions by digit and ADC size",
                  ["activation digit", "weight digit", "ADC bits", "conversions/MAC",
                   "pJ/MAC, ADC alone", "ADC area-time mm2.s", "source of the ADC"])
    for (activation, weight), bits in product(product(DIGITS, DIGITS), CONVERTERS):
        count = conversions(activation, weight, bits)
        if count and weight <= activation:
            picojoules, um2, source = CONVERTERS[bits]
            table.add(activation, weight, bits, count, count * picojoules,
                      count * macs * um2 * 1e-6 / SAMPLES, source)
    table.rows.sort(key=lambda row: row[4])
    table.notes += [
        f"A digital multiply-accumulate of the stand-in: {chip_keys['energy']['mac']} pJ. "
        "Digits of activations and weights may be exchanged. One inference has "
        f"{macs / 1e9:.1f} GMAC; area-time is the ADCs' area times the time that they all "
        f"convert at {SAMPLES / 1e9} GS/s, a floor of the chip's area-delay.",
        "The paper's area-delay is "
        f"{PAPER['area_delay_theirs']} mm2.s for the whole chip."]
    return table


def designs(estimator, chip, tokens, planes):
    """The chip model with kind = crossbar"""
    base = chip.plus("fabric.kind=crossbar")
    table = Table("crossbar", f"{chip.name} with computation crossbars, {tokens} tokens",
                  ["", "crossbars", "ADCs each", "mm2", "ms", "mJ", "W/mm2", "mm2.s",
                   "conversions/MAC"])

    def row(title, variant):
        try:
            p = estimator.point(variant, tokens, planes)
        except Failure:
            return
        fabric = estimator.describe(variant)["keys"]["fabric"]
        digital = fabric["kind"] == "digital"
        table.add(title, None if digital else fabric["crossbars"],
                  None if digital else fabric["adcs"], p.mm2, p.seconds * 1e3, p.joules * 1e3,
                  p.watts / p.mm2, p.area_delay,
                  None if digital else p.counters["adc_conversions"] / p.macs)

    row("digital stand-in", chip.plus("fabric.kind=digital"))
    for title, sets in DESIGNS:
        design = base.plus(*sets)
        row(title, design)
        sizes = [design.plus(f"fabric.crossbars={n}", f"fabric.adcs={a}")
                 for n in (4096, 16384, 65536, 262144) for a in (1, 4, 16, 64)]
        best = smallest(estimator, sizes, tokens, planes)
        if best:
            row("  of least area-delay", best)
    return table


def smallest(estimator, variants, tokens, planes):
    seen = []
    for variant in variants:
        try:
            seen.append((estimator.point(variant, tokens, planes).area_delay, variant))
        except Failure:
            continue
    return min(seen, key=lambda pair: pair[0], default=(None, None))[1]


def needed(estimator, chip, tokens, planes):
    """What an ADC would have to be for the paper's area-delay."""
    target = PAPER["area_delay_theirs"]
    table = Table("crossbar_needed", f"What reaches {target} mm2.s with computation crossbars, "
                  f"{tokens} tokens",
                  ["", "changed", "as it is", "reached", "at", "mm2.s there", "ms", "mJ", "W/mm2"])
    rate = ("fabric.adc_mhz", lambda v: f"fabric.adc_mhz={round(v)}", 1e6)
    for title, sets in DESIGNS:
        design = chip.plus("fabric.kind=crossbar", *sets)
        keys = estimator.describe(design)["keys"]
        number_of = ("fabric.crossbars", lambda v: f"fabric.crossbars={round(v)}", 2 ** 22)
        for key, setting, limit in (rate, number_of):
            section, name = key.split(".")
            low = keys[section][name]
            found = crossing(estimator, design, setting, low, limit, tokens, planes, target)
            if not found:
                continue
            reached, value, point = found
            table.add(title, key, low, "yes" if reached else "no", number(value),
                      point.area_delay, point.seconds * 1e3, point.joules * 1e3,
                      point.watts / point.mm2)
    table.notes.append("A column of 128 rows of which half the digits of each operand are set "
                       "counts to 32 on average; a 2-bit conversion tells counts to 3 apart.")
    table.notes.append("One key changed from the chip file on, up to a million MHz and four "
                       "million crossbars; \"no\" shows the least area-delay on the way.")
    return table


def crossing(estimator, design, setting, low, limit, tokens, planes, target):
    """The first of a geometric series of values that reaches the target, else the best"""
    best, value = None, low
    while value <= limit:
        try:
            point = estimator.point(design.plus(setting(value)), tokens, planes)
        except Failure:
            return best
        if point.area_delay <= target:
            return True, round(value), point
        if not best or point.area_delay < best[2].area_delay:
            best = False, round(value), point
        value *= 1.25
    return best


def tables(estimator, chips, tokens, planes):
    """For the first chip that can have such a fabric"""
    for chip in chips:
        keys = estimator.describe(chip)["keys"]
        if keys["chip"]["organisation"] == "synergy":
            macs = estimator.point(chip, tokens, planes).macs
            return [digits(keys, macs), designs(estimator, chip, tokens, planes),
                    needed(estimator, chip, tokens, planes)]
    raise Failure("computation crossbars need a chip of organisation synergy among those compared")
