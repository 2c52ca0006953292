# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables but for the claims: chips side by side, published accelerators, endurance."""

from .chips import Misfit
from .published import accelerators
from .tables import Table

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365.25 * 86400

COMPONENTS = {      # of energy; counters energy_*_fj
    "adc": "ADC", "adc_idle": "idle ADCs", "dac": "DAC", "array": "array reads",
    "shift_add": "shift-and-add", "register": "registers", "reduce": "partial sums",
    "noc": "network on chip", "buffer": "activation buffer", "bank": "dense bank reads",
    "fabric": "digital fabric", "small": "small SRAM crossbars", "softmax": "softmax",
    "norm": "normalisation", "act": "activation functions", "requant": "requantisation",
    "write": "memristor writes", "host": "host link", "offchip": "link to companion",
    "companion": "companion", "static": "static"}


def points(source, chips, tokens, planes):
    """{(chip, tokens): point}, without those that do not fit; and why not, by chip."""
    found, misfits = {}, {}
    for chip in chips:
        for length in tokens:
            try:
                found[chip, length] = source.point(chip, length, planes)
            except Misfit as error:
                misfits[chip] = str(error)
    return found, misfits


def side_by_side(estimator, source, chips, tokens, planes):
    """Table (a). `source` gives the points of single jobs: runs or estimates."""
    found, misfits = points(source, chips, tokens, planes)
    lengths = "/".join(map(str, tokens))
    table = Table(f"chips_planes_{planes}",
                  f"Chips side by side, {planes} plane{'s' * (planes > 1)} of activations",
                  ["", "unit", *(f"{chip.name} {lengths}" for chip in chips)])

    def row(title, unit, function):
        cells = []
        for chip in chips:
            cells.append([function(found[chip, t], chip) if (chip, t) in found else None
                          for t in tokens])
        if any(v for cell in cells for v in cell):
            table.add(title, unit, *cells)

    row("area", "mm2", lambda p, c: p.mm2)
    row("latency, one sequence", "us", lambda p, c: p.seconds * 1e6)
    row("host link, besides", "us", lambda p, c: p.counters["link_cycles"] / p.clock_hz * 1e6)
    row(f"interval in a batch of {estimator.batch}", "us",
        lambda p, c: estimator.interval(c, p.tokens, planes) * 1e6)
    row("inferences per second, batched", "1/s",
        lambda p, c: 1 / estimator.interval(c, p.tokens, planes))
    row("energy", "mJ", lambda p, c: p.joules * 1e3)
    row("energy of one in a batch", "mJ",
        lambda p, c: estimator.joules_of_many(c, p.tokens, planes) * 1e3)
    for component, title in COMPONENTS.items():
        row("  " + title, "mJ", lambda p, c, k=component: p.energy.get(k, 0) * 1e3)
    row("multiply-accumulates", "G", lambda p, c: p.macs / 1e9)
    row("energy per multiply-accumulate", "pJ", lambda p, c: p.joules / p.macs * 1e12)
    row("efficiency", "TOPS/W", lambda p, c: 2e-12 * p.macs / p.joules)
    row("power", "W", lambda p, c: p.watts)
    row("power density", "W/mm2", lambda p, c: p.watts / p.mm2)
    row("area-delay", "mm2.s", lambda p, c: p.area_delay)
    table.notes.append("Two operations to a multiply-accumulate; those of a second plane count."
                       if planes > 1 else "Two operations to a multiply-accumulate. The reference "
                       "model has one plane, too; mxmap makes two by default.")
    table.notes += [f"{chip.name}: {why}" for chip, why in misfits.items()]
    return table


def area(estimator, chips, tokens, planes):
    """Area by component, for the longest sequences."""
    found, _ = points(estimator, chips, tokens[-1:], planes)
    table = Table("area", f"Area by component, mm2 ({tokens[-1]} tokens)",
                  ["", *(chip.name for chip in chips)])
    parts = list(dict.fromkeys(part for point in found.values() for part in point.area))
    parts.sort(key=lambda part: part == "total")
    for part in parts:
        table.add(part, *(found[chip, tokens[-1]].area.get(part, 0)
                          if (chip, tokens[-1]) in found else None for chip in chips))
    table.notes.append("A traditional system is as large as its model: whole chips for the links, "
                       "parts of chips for the tiles.")
    return table


def _published_rows(table, other, tokens):
    for kind, (seconds, batch) in (("1", (other.batch_1(tokens), 1)), ("best", other.best(tokens))):
        if not seconds:
            continue
        size = kind if kind == "1" else f"best, {batch}" if batch else "best"
        table.add(other.name, tokens, size, other.mm2, seconds * 1e3,
                  other.mm2 * seconds if other.mm2 else None, other.watts,
                  other.watts / other.mm2 if other.mm2 else None, other.watts * seconds * 1e3,
                  f"watts: {other.watts_are}; {other.source}")


def published(estimator, chips, tokens, planes):
    """Table (c): published accelerators, and our chips in the same units."""
    table = Table("published", "Published accelerators on BERT-Large, and the chips",
                  ["", "tokens", "batch", "mm2", "ms/sequence", "mm2.s", "W", "W/mm2",
                   "mJ/sequence", "source"])
    others = accelerators().values()
    for length in tokens:
        for other in others:
            _published_rows(table, other, length)
        for chip in chips:
            try:
                one = estimator.point(chip, length, planes)
                interval = estimator.interval(chip, length, planes)
                joules = estimator.joules_of_many(chip, length, planes)
            except Misfit:
                continue
            mark = f"the model of this project, {planes} plane{'s' * (planes > 1)}"
            table.add(chip.name, length, "1", one.mm2, one.seconds * 1e3, one.area_delay,
                      one.watts, one.watts / one.mm2, one.joules * 1e3, mark)
            table.add(chip.name, length, f"of {estimator.batch}", one.mm2, interval * 1e3,
                      one.mm2 * interval, joules / interval, joules / interval / one.mm2,
                      joules * 1e3, mark)
    table.notes.append("mJ of a published accelerator are its watts times its time. TDP makes "
                       "that an upper bound; the chips' own are modelled.")
    table.notes += [f"{o.name}: {o.mm2} mm2, {o.watts} W ({o.watts_are}); {o.source}."
                    for o in others if not o.points]
    return table


def span(seconds):
    """A time in words."""
    for unit, size in (("years", YEAR), ("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def endurance(estimator, chips, tokens, planes, config):
    """Table (d): how fast cells wear where a chip writes memristors as it computes."""
    table = Table("endurance", "Endurance of cells that are written while the chip computes",
                  ["", "tokens", "cells written", "writes/s/cell", "energy mJ",
                   "life at 1e6", "at 1e8", "at 1e9", "what is written"])
    found, _ = points(estimator, chips, tokens, planes)
    for (chip, length), point in found.items():
        written = point.counters["kv_cell_writes"]
        if written:
            # All layers write the same arrays: those of one layer's K and V.
            cells = written / config["num_hidden_layers"]
            _wear(table, chip, point, written, cells, "K and V of each layer in the same arrays; "
                  "half as fast if two sets alternate")
        keys = estimator.describe(chip)["keys"]
        if "banks" in keys["large"]:
            large = keys["large"]
            written = intermediate_bytes(config, length) * 8 / large["cell_bits"]
            cells = large["intermediate_banks"] * large["bank_rows"] * large["bank_cols"]
            _wear(table, chip, point, written, cells,
                  "[A] only if intermediates, INT8, each once, were written to the intermediate "
                  "banks, evenly; as modelled they stay in SRAM",
                  energy=written * keys["energy"]["cell_write"] * 1e-12)
    table.notes.append("Back-to-back sequences, one at a time. Cells survive 1e6 to 1e9 writes "
                       "(X-Former); chip files: cells.endurance.")
    return table


def intermediate_bytes(config, tokens):
    """Q, K, V, scores, context and the rows between products and norms of every layer"""
    row = 8 * config["hidden_size"] + config["intermediate_size"] + \
        config["num_attention_heads"] * tokens
    return config["num_hidden_layers"] * tokens * row


def _wear(table, chip, point, written, cells, what, energy=None):
    rate = written / cells / point.seconds
    table.add(chip.name, point.tokens, written, rate,
              (point.energy.get("write", 0) if energy is None else energy) * 1e3,
              *(span(life / rate) for life in (1e6, 1e8, 1e9)), what)
