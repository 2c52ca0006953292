# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pictures, as SVG."""

from pathlib import Path

import matplotlib
matplotlib.use("svg")
from matplotlib import pyplot as plt            # noqa: E402
from matplotlib.ticker import FuncFormatter     # noqa: E402

from .chips import Failure, Misfit              # noqa: E402
from .published import PAPER, accelerators      # noqa: E402
from .report import COMPONENTS                  # noqa: E402
from .tables import number                      # noqa: E402
from .sensitivity import METRICS, effects       # noqa: E402

LENGTHS = (16, 32, 64, 96, 128, 192, 256, 384, 512)
TICKS = (16, 32, 64, 128, 256, 512)
AREA = {"cells": "memristor cells", "periphery": "select, decoders, sense amplifiers", "adc": "ADC",
        "converters": "drivers, sample-and-hold", "registers": "registers",
        "fabric": "compute fabric", "small_logic": "small crossbars, logic",
        "small_sram": "small crossbars, SRAM", "sfu": "function units",
        "buffer": "activation buffer", "noc": "network on chip",
        "control": "control, host interface", "tiles": "tiles without ADCs",
        "links": "links between chips"}
SHOWN_SHARE = 0.015     # components below it in every chip are drawn as one
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")

plt.rcParams.update({"svg.hashsalt": "mxcost", "svg.fonttype": "path", "font.size": 10,
                     "axes.spines.top": False, "axes.spines.right": False,
                     "figure.constrained_layout.use": True})


def save(figure, folder, name):
    path = Path(folder) / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def stacked(parts, totals, unit, title, folder, name):
    """Shares by component, one bar per chip; parts[chip][component], the sum at its end."""
    chips = list(parts)
    order = sorted({c for chip in chips for c in parts[chip]},
                   key=lambda c: -max(parts[chip].get(c, 0) / totals[chip] for chip in chips))
    large = [c for c in order
             if max(parts[chip].get(c, 0) / totals[chip] for chip in chips) >= SHOWN_SHARE]
    figure, axes = plt.subplots(figsize=(9.5, 1.6 + 0.75 * len(chips)))
    left = dict.fromkeys(chips, 0.0)
    colours = plt.get_cmap("tab20").colors
    rest = ["other"] if len(large) < len(order) else []
    for place, component in enumerate(large + rest):
        for row, chip in enumerate(chips):
            value = sum(v for c, v in parts[chip].items() if c not in large) \
                if component == "other" else parts[chip].get(component, 0)
            share = 100 * value / totals[chip]
            axes.barh(row, share, left=left[chip], color=colours[place % 20], height=0.62,
                      label=component if not row else None, edgecolor="white", linewidth=0.5)
            if share >= 6:
                axes.text(left[chip] + share / 2, row, f"{share:.0f}", ha="center", va="center",
                          fontsize=9)
            left[chip] += share
    axes.set_yticks(range(len(chips)),
                    [f"{chip}\n{number(totals[chip])} {unit}" for chip in chips])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the chip's total, %")
    axes.set_title(title)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return save(figure, folder, name)


def breakdowns(estimator, chips, tokens, planes, folder):
    area, energy, mm2, millijoules = {}, {}, {}, {}
    for chip in chips:
        try:
            point = estimator.point(chip, tokens, planes)
        except Misfit:
            continue
        area[chip.name] = {AREA[k]: v for k, v in point.area.items() if k != "total"}
        energy[chip.name] = {COMPONENTS[k]: v * 1e3 for k, v in point.energy.items()}
        mm2[chip.name], millijoules[chip.name] = point.mm2, point.joules * 1e3
    what = f"BERT-Large, {tokens} tokens, {planes} plane{'s' * (planes > 1)}"
    yield stacked(area, mm2, "mm²", f"Area by component ({what})", folder, "area")
    yield stacked(energy, millijoules, "mJ", f"Energy of one inference by component ({what})",
                  folder, "energy")


def lines(estimator, chips, planes, folder):
    """Latency and energy against tokens"""
    figure, both = plt.subplots(1, 2, figsize=(11, 5))
    # Chips may coincide in one of the two, so each has a dash of its own.
    for chip, dash in zip(chips, ("-", "-", "-", (0, (4, 3)), "--", ":") + ("-",) * len(chips)):
        seen = []
        for length in LENGTHS:
            try:
                seen.append(estimator.point(chip, length, planes))
            except Misfit:
                break
        tokens = [p.tokens for p in seen]
        both[0].plot(tokens, [p.seconds * 1e3 for p in seen], marker="o", ms=4, ls=dash,
                     label=chip.name)
        both[1].plot(tokens, [p.joules * 1e3 for p in seen], marker="o", ms=4, ls=dash)
    for marker, name in zip("x+1", ("A100 INT8", "V100 FP16", "T4 INT8")):
        other = accelerators()[name]
        at = [t for t in other.tokens() if other.batch_1(t)]
        style = {"marker": marker, "ms": 9, "mew": 2, "ls": "", "color": "black"}
        both[0].plot(at, [other.batch_1(t) * 1e3 for t in at], label=f"{name}, batch 1", **style)
        both[1].plot(at, [other.batch_1(t) * other.watts * 1e3 for t in at], **style)
    for axes, what, unit in zip(both, ("Latency", "Energy"), ("ms", "mJ")):
        axes.set(xscale="log", yscale="log", xlabel="tokens", ylabel=f"{what.lower()}, {unit}",
                 title=f"{what} of one sequence")
        axes.set_xticks(TICKS, minor=False)
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(PLAIN)
        axes.yaxis.set_major_formatter(PLAIN)
        axes.grid(True, alpha=0.3)
    both[1].set_title("Energy of one sequence (GPU: TDP × time)")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return save(figure, folder, "tokens")


def tornado(estimator, chip, tokens, planes, folder):
    """Area-delay and energy with each key halved and doubled, and in a batch"""
    figure, both = plt.subplots(1, 2, figsize=(12, 6))
    found = effects(estimator, chip, tokens, planes)
    for axes, which in zip(both, (3, 2)):
        top = sorted(found, key=lambda e, w=which: -e.strength(w))[:14]
        bars = [(f"{e.key} = {e.value:.10g} {e.mark}", e.halved and e.halved[which],
                 e.doubled and e.doubled[which]) for e in top if e.strength(which) > 0.005]
        factor = batched(estimator, chip, tokens, planes, which)
        if abs(factor - 1) > 0.005:
            bars.append((f"batch of {estimator.batch}", None, factor))
        for row, (_, half, twice) in enumerate(bars):
            for factor, colour in ((half, "tab:blue"), (twice, "tab:orange")):
                if factor:
                    axes.barh(row + (-0.19 if colour == "tab:blue" else 0.19),
                              100 * (factor - 1), color=colour, height=0.36, zorder=2)
        axes.set_yticks(range(len(bars)), [title for title, _, _ in bars])
        axes.invert_yaxis()
        axes.axvline(0, color="black", linewidth=0.8)
        axes.grid(True, axis="x", alpha=0.3)
        axes.set_xlabel("change, %")
        axes.set_title(f"{METRICS[which]} of {chip.name}, {tokens} tokens")
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in ("tab:blue", "tab:orange")]
    figure.legend(handles, ["key halved", "key doubled, or in a batch"],
                  loc="outside lower center", ncols=2, frameon=False)
    return save(figure, folder, f"sensitivity-{chip.name}")


def batched(estimator, chip, tokens, planes, which):
    """Factor of a sequence among many against one alone"""
    one = estimator.point(chip, tokens, planes)
    if which == 2:
        return estimator.joules_of_many(chip, tokens, planes) / one.joules
    return estimator.interval(chip, tokens, planes) / one.seconds


def claim(estimator, chips, planes, folder):
    """The paper's area-delay claim against the length of the sequence"""
    figure, axes = plt.subplots(figsize=(8, 4.8))
    for chip in chips:
        try:
            points = [estimator.point(chip, length, planes) for length in LENGTHS]
        except Failure:
            continue
        axes.plot(LENGTHS, [PAPER["area_delay_gpu"] / p.area_delay for p in points], marker="o",
                  ms=4, label=chip.name)
    axes.axhline(PAPER["area_delay"], color="black", linestyle="--", linewidth=1,
                 label=f"claimed by the paper: {PAPER['area_delay']}x")
    axes.set(xscale="log", yscale="log", xlabel="tokens",
             ylabel=f"{PAPER['area_delay_gpu']} mm²·s / area-delay of the chip",
             title="Area-delay against the paper's GPU, one sequence at a time")
    axes.set_xticks(TICKS, minor=False)
    axes.minorticks_off()
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100, 200, 500])
    axes.xaxis.set_major_formatter(PLAIN)
    axes.yaxis.set_major_formatter(PLAIN)
    axes.grid(True, alpha=0.3)
    axes.legend(frameon=False)
    return save(figure, folder, "area-delay")


def draw(estimator, chips, ours, tokens, planes, folder):
    """All pictures; the paths, as they are written."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"cannot make folder {folder}: {error.strerror}") from None
    yield from breakdowns(estimator, chips, tokens, planes, folder)
    yield lines(estimator, chips, planes, folder)
    yield claim(estimator, ours, planes, folder)
    for chip in ours:
        try:
            yield tornado(estimator, chip, tokens, planes, folder)
        except Misfit:
            continue
