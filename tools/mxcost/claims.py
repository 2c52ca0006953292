# SPDX-License-Identifier: LGPL-2.1-or-later
"""The paper's claims beside what the model says, and what decides each.

The paper's figures stand in a column of that name and nowhere else; no figure of ours is
made from them but for the ratios to its GPU and TPU, which say so.
"""

from .chips import Misfit, marks
from .published import PAPER, accelerators
from .tables import Table

# K and V in the companion chip, over a link of today, and ADCs that are off while idle
GATED = ("attention.mode=offchip", "energy.offchip_bit=6", "power.adc_idle=0")
OFFCHIP = ("attention.mode=offchip",)
PUMA_WRITES = ("energy.cell_write=1.38", "cells.row_cycles=86")
# Its nonlinear functions for nothing: products alone, and no links
PRODUCTS = ("attention.mode=offchip", "attention.overlap_link=1", "attention.offchip_bytes=1000000",
            "area.offchip_link=0")
FOUR_ADCS = ("large.adcs=4", "small.units=32", "small.contexts=32", "sfu.softmax_lanes=128",
             "sfu.act_lanes=32")


class Ratios:
    """Ratios of a baseline, or a published accelerator, to one of our chips."""

    def __init__(self, estimator, planes, baselines):
        self.of, self.planes = estimator, planes
        self.multi, self.single = baselines
        self.published = accelerators()

    def point(self, variant, tokens):
        return self.of.point(variant, tokens, self.planes)

    # The baselines run one plane, too, whenever ours does: both do the same products.
    def area(self, ours, base, tokens, links=True):
        there = self.point(base, tokens)
        return (there.mm2 - (0 if links else there.area.get("links", 0))) / \
            self.point(ours, tokens).mm2

    def energy(self, ours, base, tokens):
        return self.point(base, tokens).joules / self.point(ours, tokens).joules

    def area_delay(self, ours, base, tokens):
        return self.point(base, tokens).area_delay / self.point(ours, tokens).area_delay

    def through(self, ours, tokens):
        """mm2.s per sequence of a full pipeline"""
        return self.point(ours, tokens).mm2 * self.of.interval(ours, tokens, self.planes)

    def area_delay_many(self, ours, base, tokens):
        return self.through(base, tokens) / self.through(ours, tokens)

    def adcs(self, ours, base, tokens):
        """Converters, each with its area: traditional ones over ours"""
        return self.point(base, tokens).area.get("adc", 0) / self.point(ours, tokens).area["adc"]

    def published_delay(self, ours, name, tokens):
        other = self.published[name]
        seconds = other.batch_1(tokens)
        return other.mm2 * seconds / self.point(ours, tokens).area_delay if seconds else None

    def published_many(self, ours, name, tokens):
        other = self.published[name]
        seconds, _ = other.best(tokens)
        return other.mm2 * seconds / self.through(ours, tokens) if seconds else None

    def saved(self, ours, name, tokens):
        """Percent of its energy per sequence, batch 1"""
        other = self.published[name]
        seconds = other.batch_1(tokens)
        return 100 * (1 - self.point(ours, tokens).joules / (other.watts * seconds)) \
            if seconds else None

    def saved_many(self, ours, name, tokens):
        other = self.published[name]
        seconds, _ = other.best(tokens)
        joules = self.of.joules_of_many(ours, tokens, self.planes)
        return 100 * (1 - joules / (other.watts * seconds)) if seconds else None


class Claims:
    """The rows: (claim, paper's figure, function of (our chip, tokens), what decides)."""

    def __init__(self, estimator, planes, baselines, tokens):
        self.ratios = Ratios(estimator, planes, baselines)
        self.tokens = tokens
        self.rows = []
        self._marks = {base: marks(base) for base in baselines}
        self._crossbars()
        self._paper()
        self._published()

    def key(self, variant, name):
        """'energy.adc = 1.667 [S]' for the column that says what decides"""
        section, key = name.split(".")
        value = self.ratios.of.describe(variant)["keys"][section][key]
        shown = f"{value:g}" if isinstance(value, float) else value
        return f"{name} = {shown} {self._marks[variant].get(name, '')}".strip()

    def add(self, claim, paper, function, decides="", only=None):
        self.rows.append((claim, paper, function, decides, only))

    def _crossbars(self):
        r = self.ratios
        multi, single = r.multi, r.single
        for title, base, paper in (("multi-bit", multi, PAPER["area_multi_bit"]),
                                   ("single-bit", single, PAPER["area_single_bit"])):
            decides = f"bits per cell: {base.name} " + self.key(base, "large.cell_bits")
            self.add(f"area, {title} crossbars", f"{paper}x",
                     lambda c, t, b=base: r.area(c, b, t), decides)
            self.add(f"area, {title}, without the baseline's links", None,
                     lambda c, t, b=base: r.area(c, b, t, links=False),
                     self.key(base, "area.offchip_link"))
        self.add("area of the ADCs alone, multi-bit", None,
                 lambda c, t: r.adcs(c, multi, t), "an ADC per array in the baseline",
                 only="inplace")
        for title, base, paper in (("multi-bit", multi, PAPER["energy_multi_bit"]),
                                   ("single-bit", single, PAPER["energy_single_bit"])):
            idle = self.key(base, "power.adc_idle")
            self.add(f"energy, {title}, K and V rewritten", f"{paper}x",
                     lambda c, t, b=base: r.energy(c, b, t),
                     f"idle ADCs: {idle}; link: {self.key(base, 'energy.offchip_bit')}")
            self.add(f"energy, {title}, rewritten at 1.38 pJ a cell", None,
                     lambda c, t, b=base.plus(*PUMA_WRITES): r.energy(c, b, t),
                     "PUMA's write energy and time")
            self.add(f"energy, {title}, attention off chip", None,
                     lambda c, t, b=base.plus(*OFFCHIP): r.energy(c, b, t), idle)
            self.add(f"energy, {title}, off chip, gated ADCs, 6 pJ/b link", None,
                     lambda c, t, b=base.plus(*GATED): r.energy(c, b, t),
                     "what is left when the baseline's idle ADCs and link are")
        offchip = multi.plus(*OFFCHIP)
        self.add("area-delay, multi-bit, attention off chip", None,
                 lambda c, t: r.area_delay(c, offchip, t), "batch 1")
        self.add("area-delay of a full pipeline, multi-bit, off chip", None,
                 lambda c, t: r.area_delay_many(c, offchip, t), "every layer of the baseline busy")
        self.add("the same, its nonlinear functions and links for nothing", None,
                 lambda c, t: r.area_delay_many(c, multi.plus(*PRODUCTS), t),
                 "sharing ADCs buys latency and capacity, not throughput per area")

    def _paper(self):
        r = self.ratios
        for who in ("gpu", "tpu"):
            theirs = PAPER[f"area_delay_{who}"]
            self.add(f"area-delay, the paper's {who.upper()} ({theirs} mm2.s)",
                     f"{PAPER['area_delay']}x",
                     lambda c, t, a=theirs: a / r.point(c, t).area_delay,
                     "batch 1; sequence length; cell area; node")
        more = "large.adcs, and small crossbars and lanes to keep up"
        self.add("area-delay, the paper's GPU; 4 ADCs a group", None,
                 lambda c, t: PAPER["area_delay_gpu"] / r.point(c.plus(*FOUR_ADCS), t).area_delay,
                 more, only="inplace")
        self.add("area-delay, A100 INT8, batch 1; 4 ADCs a group", None,
                 lambda c, t: r.published_delay(c.plus(*FOUR_ADCS), "A100 INT8", t), more,
                 only="inplace")
        self.add("area, multi-bit crossbars; 4 ADCs a group", None,
                 lambda c, t: r.area(c.plus(*FOUR_ADCS), r.multi, t), more, only="inplace")

    def _published(self):
        r = self.ratios
        for name in r.published:
            other = r.published[name]
            if not other.points:
                continue
            if other.mm2 and not other.derived:
                self.add(f"area-delay, {name}, batch 1", None,
                         lambda c, t, n=name: r.published_delay(c, n, t), "batch 1")
            if other.mm2:
                self.add(f"area-delay, {name}, best batch", None,
                         lambda c, t, n=name: r.published_many(c, n, t),
                         "node: a 32 nm chip" if other.derived else "batch")
            if other.watts_are == "TDP" and not other.derived:
                self.add(f"energy saved %, {name}, batch 1", None,
                         lambda c, t, n=name: r.saved(c, n, t),
                         "TDP x time is an upper bound")
            paper = f"{PAPER['energy_saved_percent']} %" if name == "A100 INT8" else None
            if not other.derived:
                self.add(f"energy saved %, {name}, best batch", paper,
                         lambda c, t, n=name: r.saved_many(c, n, t),
                         f"{other.watts_are} watts x time" +
                         (", an upper bound" if other.watts_are == "TDP" else ""))

    def cells(self, variant, function, only):
        """One cell of the table: a figure for each token count"""
        kind = self.ratios.of.describe(variant)["organisation"]
        if only and only != kind:
            return None
        return [value(function, variant, t) for t in self.tokens]

    def table(self, chips):
        lengths = "/".join(map(str, self.tokens))
        table = Table("claims", "Claims: the paper's, and what the model says",
                      ["claim", "paper", *(f"{c.name} {lengths}" for c in chips),
                       "what decides it"])
        for claim, paper, function, decides, only in self.rows:
            table.add(claim, paper, *(self.cells(c, function, only) for c in chips), decides)
        saved = PAPER["energy_saved_percent"] / 100
        table.notes += [
            "The column \"paper\" is " + PAPER["name"] + "; a reading note of its full text is the "
            "source of what its abstract lacks.",
            f"{PAPER['area_delay']}x and {PAPER['energy_saved_percent']} % together say that the "
            f"paper's chip draws {(1 - saved) * PAPER['area_delay']:.0f} times the GPU's watts per "
            "mm2, if both are of the same delay: see W/mm2 in the other tables.",
            "[S] a published figure, [D] derived from one, [A] an assumption of ours."]
        return table


def value(function, variant, tokens):
    try:
        return function(variant, tokens)
    except (Misfit, KeyError, ZeroDivisionError):
        return None

