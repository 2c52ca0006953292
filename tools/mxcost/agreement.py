# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables (e): the chip model against the reference model, and estimates against runs."""

import importlib.util

from .chips import Failure, Misfit
from .tables import Table

# Our components that the reference counts as one: { title: (ours, reference's) }
INPLACE = {
    "ADC": ("adc", "adc"), "DAC": ("dac", "dac"), "array reads": ("array", "xbar"),
    "shift-and-add": ("shift_add", "s+a"),
    "registers and partial sums": ("register reduce", "inreg psum_red"),
    "network on chip": ("noc", "noc"), "activation buffer": ("buffer", "act_sram"),
    "small crossbars": ("small", "small_mac small_write"), "softmax": ("softmax", "softmax"),
    "normalisation": ("norm", "layernorm"), "activation functions": ("act", "gelu"),
    "requantisation": ("requant", "requant"), "static and idle ADCs": ("static adc_idle", "static"),
}
SYNERGY = {
    "digital fabric": ("fabric", "mac"), "dense bank reads": ("bank", "dense_read"),
    "activation buffer": ("buffer", "act_sram psum"),
    "function units": ("softmax norm act requant", "sfu"), "static": ("static", "static"),
}
TRADITIONAL = {
    "ADC": ("adc", "adc"), "DAC": ("dac", "dac"), "array reads": ("array", "xbar"),
    "shift-and-add": ("shift_add", "s+a"),
    "registers and partial sums": ("register reduce", "inreg psum_red"),
    "network on chip": ("noc", "noc"), "activation buffer": ("buffer", "act_sram"),
    "link to companion": ("offchip", "link"), "memristor writes": ("write", "mem_write"),
    "companion": ("companion", "companion_nl companion_attn"), "idle ADCs": ("adc_idle", "adc_idle"),
}


def load_reference(path):
    """The reference model as a module; it shares no code with the chip's."""
    if not path.is_file():
        raise Failure(f"there is no reference model {path}; --reference FILE names one, "
                      "--no-reference leaves its table out")
    spec = importlib.util.spec_from_file_location("mxcost_reference", path)
    module = importlib.util.module_from_spec(spec)
    import sys
    sys.modules[spec.name] = module     # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


class Reference:
    """Area (mm2), latency and interval (s), energy (mJ by component) of BERT-Large."""

    def __init__(self, model):
        self.model = model

    def figures(self, kind, cell_bits, offchip, tokens):
        m = self.model
        if kind == "synergy":
            one = m.mx1p(tokens)
            return one["area"]["TOTAL"], one["lat_us"] * 1e-6, None, one["e"], SYNERGY
        if kind == "inplace":
            one = m.mx1_latency(m.M, tokens)
            energy = m.mx1_energy(m.M, tokens)
            return (m.mx1_area(m.M)["TOTAL"], one["lat_us"] * 1e-6, one["interval_us"] * 1e-6,
                    energy, INPLACE)
        one = m.trad(tokens, 8 // cell_bits, "offchip" if offchip else "rewrite")
        return (one["area"], one["lat_us"] * 1e-6, one["interval_us"] * 1e-6, one["e"],
                TRADITIONAL)


def _sum(parts, names):
    return sum(parts.get(name, 0) for name in names.split())


def compare(estimator, reference, chip, tokens):
    """(quantity, unit, reference's, ours) of a chip that is as its file says."""
    keys = estimator.describe(chip)["keys"]
    kind = keys["chip"]["organisation"]
    offchip = keys.get("attention", {}).get("mode") == "offchip"
    point = estimator.point(chip, tokens, 1)    # first: the reference takes any length
    mm2, seconds, interval, energy, groups = Reference(reference).figures(
        kind, keys["large"]["cell_bits"], offchip, tokens)
    yield "area", "mm2", mm2, point.mm2
    yield "latency", "us", seconds * 1e6, point.seconds * 1e6
    if interval:
        yield "interval, batched", "us", interval * 1e6, estimator.interval(chip, tokens, 1) * 1e6
    ours = {name: joules * 1e3 for name, joules in point.energy.items()}
    for title, (mine, theirs) in groups.items():
        yield "  " + title, "mJ", _sum(energy, theirs), _sum(ours, mine)
    yield ("energy, host link left out", "mJ", energy["TOTAL"],
           sum(ours.values()) - ours.get("host", 0))


def table(estimator, reference, chips, tokens):
    """Rows for chips whose files are as installed: the reference knows no other keys."""
    result = Table("reference", "Agreement with the reference model, 1 plane of activations",
                   ["chip", "tokens", "", "unit", "reference", "model", "difference %"])
    for chip in chips:
        if chip.sets or chip.is_path:
            continue
        for length in tokens:
            try:
                rows = list(compare(estimator, reference, chip, length))
            except Misfit as misfit:
                result.notes.append(f"{chip.name}: {misfit}")
                continue
            for title, unit, theirs, ours in rows:
                off = 100 * (ours / theirs - 1) if theirs else 0 if not ours else None
                result.add(chip.name, length, title, unit, theirs, ours, off)
    result.notes.append("The reference model is an independent closed form; it takes a pooler "
                        "and a classifier for the head and no host link.")
    return result


def differences(run, estimate):
    """Counters that a run and an estimate disagree on: [(name, run's, estimate's)]"""
    return [(name, run[name], estimate[name]) for name in estimate
            if name in run and run[name] != estimate[name]]
