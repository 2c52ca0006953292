# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which assumptions reach the paper's figures: one key at a time, until a claim is met.

A lever changes our chip, its baseline or the job; for each claim the tool looks for the
setting at which the model says what the paper says.
"""

from dataclasses import dataclass
from typing import Callable

from .chips import Failure
from .claims import FOUR_ADCS
from .crossbar import COLUMN
from .published import DATA, PAPER
from .tables import Table, number


def shrink(estimator, variant, node):
    """The chip at another node: cells by its feature size, all other area by one factor."""
    keys = estimator.describe(variant)["keys"]["area"]
    sets = [f"area.{key}={value * DATA['node'][str(node)]['area']:.9g}"
            for key, value in keys.items() if key not in ("feature_nm", "cell_f2")]
    if "feature_nm" in keys:
        sets.append(f"area.feature_nm={node}")
    return variant.plus(*sets)


@dataclass
class Lever:
    """One thing to change.

    apply(case, value) gives the changed case. Either choices, or a range from the value
    as it is to the last one that makes sense.
    """

    title: str
    apply: Callable
    choices: tuple = ()
    limits: tuple = ()


@dataclass(frozen=True)
class Case:
    """What a claim is computed for."""

    ours: object
    base: object = None
    tokens: int = 128


@dataclass
class Claim:
    """metric(case) is compared with target; more is better."""

    title: str
    target: float
    metric: Callable
    base: object = None
    levers: tuple = ()


def ours_key(name, *limits, choices=(), also=()):
    """A key of our chip; also: further keys that follow it, as functions of its value"""
    def apply(case, value):
        sets = [f"{name}={text(value)}"] + [f"{key}={text(f(value))}" for key, f in also]
        return Case(case.ours.plus(*sets), case.base, case.tokens)
    follow = ", and " + " ".join(key for key, _ in also) if also else ""
    return Lever(name + follow, apply, tuple(choices), limits)


def base_key(name, *limits, choices=()):
    def apply(case, value):
        return Case(case.ours, case.base.plus(f"{name}={text(value)}"), case.tokens)
    return Lever(f"baseline: {name}", apply, tuple(choices), limits)


def text(value):
    return str(value) if isinstance(value, (int, str)) else f"{value:.9f}".rstrip("0").rstrip(".")


def tokens_lever():
    return Lever("tokens", lambda case, value: Case(case.ours, case.base, value),
                 choices=(16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 112, 128, 192, 256, 384, 512))


class Search:
    """Looks for the settings."""

    def __init__(self, ratios):
        self.ratios, self.of = ratios, ratios.of

    def figure(self, claim, lever, case, value):
        try:
            return claim.metric(lever.apply(case, value))
        except (Failure, KeyError, ZeroDivisionError):
            return None

    def choices(self, claim, lever, case):
        """(reached, setting, figure): of those that reach it the nearest, else the best"""
        seen = [(value, self.figure(claim, lever, case, value)) for value in lever.choices]
        seen = [(value, figure) for value, figure in seen if figure is not None]
        if not seen:
            return None
        reached = [pair for pair in seen if pair[1] >= claim.target]
        if reached:
            return True, *min(reached, key=lambda pair: pair[1])
        return False, *max(seen, key=lambda pair: pair[1])

    def limits(self, claim, lever, case):
        """The same within a range, by bisection"""
        near, far = lever.limits
        end = self.figure(claim, lever, case, far)
        if end is None:
            return None
        if end < claim.target:
            return False, far, end
        for _ in range(24):
            middle = (near + far) / 2
            if isinstance(lever.limits[1], int):
                middle = round(middle)
                if middle in (near, far):
                    break
            figure = self.figure(claim, lever, case, middle)
            if figure is not None and figure >= claim.target:
                far, end = middle, figure
            else:
                near = middle
        return True, far, end

    def rows(self, claim, case):
        for lever in claim.levers:
            found = (self.choices if lever.choices else self.limits)(claim, lever, case)
            if found:
                yield (lever.title, *found)


def levers_of(estimator, ours, base):
    """What there is to change in a chip of this organisation, and in the baseline."""
    keys = estimator.describe(ours)["keys"]
    kind = keys["chip"]["organisation"]
    area, energy, power = keys["area"], keys["energy"], keys["power"]
    node = Lever("node of the chip, its baseline left at 32 nm", lambda case, value: Case(
        case.ours if value == 32 else shrink(estimator, case.ours, value), case.base, case.tokens),
        choices=(32, 14))
    extra = COLUMN if kind == "synergy" else FOUR_ADCS
    both = Lever(" ".join(extra) + ", then the node", lambda case, value: Case(
        shrink(estimator, case.ours.plus(*extra), value) if value != 32 else
        case.ours.plus(*extra), case.base, case.tokens), choices=(32, 14))
    size = [both, ours_key("area.cell_f2", area["cell_f2"], 1.0), node,
            ours_key("area.control", area["control"], 0.0)]
    spend = [ours_key("power.misc_mw", power["misc_mw"], 0.0)]
    if kind == "synergy":
        banks, bits = keys["large"]["banks"], keys["large"]["cell_bits"]
        macs = keys["fabric"]["macs"]
        size += [ours_key("area.mac", area["mac"], 0.0),
                 ours_key("fabric.macs", choices=[macs * n // 8 for n in (1, 2, 4, 8, 16, 32, 64)]),
                 ours_key("large.cell_bits", choices=(bits, 8), also=[
                     ("large.banks", lambda b: 1 + -(-(banks - 1) * bits // b))]),
                 ours_key("area.bank_periphery", area["bank_periphery"], 0.0),
                 ours_key("area.sram_mib_mm2", area["sram_mib_mm2"], 0.0)]
        spend += [ours_key("energy.mac", energy["mac"], 0.0),
                  ours_key("energy.bank_bit", energy["bank_bit"], 0.0),
                  ours_key("energy.sram_bit", energy["sram_bit"], 0.0)]
    else:
        arrays, bits = keys["large"]["subarrays"], keys["large"]["cell_bits"]
        size += [ours_key("area.adc", area["adc"], 0.0),
                 ours_key("large.adcs", choices=(1, 2, 4, 8, 16), also=[
                     (key, lambda n, v=keys[key.split(".")[0]][key.split(".")[1]]: v * max(1, n // 2))
                     for key in ("small.units", "sfu.softmax_lanes", "sfu.act_lanes",
                                 "sfu.norm_lanes")]),
                 ours_key("large.cell_bits", choices=(bits, 4, 8), also=[
                     ("large.subarrays", lambda b: arrays * bits // b)]),
                 ours_key("area.small_mib_mm2", area["small_mib_mm2"], 0.0)]
        spend += [ours_key("energy.adc", energy["adc"], 0.0),
                  ours_key("energy.dac", energy["dac"], 0.0),
                  ours_key("energy.array_read", energy["array_read"], 0.0)]
    return size, spend


def baseline_levers(estimator, base):
    keys = estimator.describe(base)["keys"]
    return [base_key("power.adc_idle", keys["power"]["adc_idle"], 1.0),
            base_key("energy.offchip_bit", keys["energy"]["offchip_bit"], 1000.0),
            base_key("energy.cell_write", keys["energy"]["cell_write"], 3000.0),
            base_key("attention.kv_barrier", choices=(0, 1))]


def claims(search, ours, tokens):
    """The claims of the paper's abstract that can be computed, for one of our chips."""
    r, paper, of = search.ratios, PAPER, search.of
    size, spend = levers_of(of, ours, r.multi)
    first = [tokens_lever()]
    yield Claim("area, single-bit", paper["area_single_bit"],
                lambda c: r.area(c.ours, c.base, c.tokens), r.single, tuple(size + [
                    base_key("area.tile", of.describe(r.single)["keys"]["area"]["tile"], 1.2e6),
                    base_key("area.offchip_link", of.describe(r.single)["keys"]["area"][
                        "offchip_link"], 2e8)]))
    yield Claim("energy, multi-bit, K and V rewritten", paper["energy_multi_bit"],
                lambda c: r.energy(c.ours, c.base, c.tokens), r.multi,
                tuple(first + spend + baseline_levers(of, r.multi)))
    yield Claim("area-delay, the paper's GPU", paper["area_delay"],
                lambda c: paper["area_delay_gpu"] / r.point(c.ours, c.tokens).area_delay,
                None, tuple(first + size))
    if "A100 INT8" in r.published and tokens in r.published["A100 INT8"].tokens():
        yield Claim("area-delay, A100 INT8 measured, batch 1", paper["area_delay"],
                    lambda c: r.published_delay(c.ours, "A100 INT8", c.tokens), None, tuple(size))
        yield Claim("energy saved, A100 INT8, best batch, %", paper["energy_saved_percent"],
                    lambda c: r.saved_many(c.ours, "A100 INT8", c.tokens), None, tuple(spend))


def table(ratios, chips, tokens):
    """For each claim and chip what would have to be different."""
    search = Search(ratios)
    result = Table("levers", f"Which assumptions reach the paper's figures, {tokens} tokens",
                   ["claim", "chip", "model", "paper", "changed alone", "as it is", "reached",
                    "at", "model there"])
    for chip in chips:
        try:
            ratios.point(chip, tokens)
        except Failure:
            continue
        for claim in claims(search, chip, tokens):
            case = Case(chip, claim.base, tokens)
            now = claim.metric(case)
            if now >= claim.target:
                result.add(claim.title, chip.name, now, claim.target, "nothing", None, "yes",
                           None, now)
                continue
            for title, reached, value, figure in search.rows(claim, case):
                result.add(claim.title, chip.name, now, claim.target, title,
                           as_it_is(search.of, case, title), "yes" if reached else "no",
                           number(value), figure)
    saved, delay = PAPER["energy_saved_percent"], PAPER["area_delay"]
    multi, single = PAPER["area_multi_bit"], PAPER["area_single_bit"]
    ours = ratios.point(ratios.single, tokens).mm2 / ratios.point(ratios.multi, tokens).mm2
    result.notes += [
        f"{single}x against single-bit and {multi}x against multi-bit crossbars make the one "
        f"{single / multi:.1f} times as large as the other; here it is {ours:.2f} times.",
        "One thing is changed, everything else is as in the chip files. \"no\": not even at the "
        "last setting that was tried, which is the one shown.",
        f"{delay}x in area-delay with {saved} % less energy is {(1 - saved / 100) * delay:.1f} "
        "times the GPU's W/mm2.",
        "node: " + "; ".join(f"{name} nm: other area x {one['area']}, {one['source']}; energies "
                             "and rates unchanged" for name, one in DATA["node"].items())]
    return result


def as_it_is(estimator, case, title):
    name = title.split(",")[0].removeprefix("baseline: ")
    if name == "tokens":
        return case.tokens
    if "." not in name or "=" in name:
        return 32
    section, key = name.split(".")
    return estimator.describe(case.base if title.startswith("baseline") else case.ours)[
        "keys"][section][key]
