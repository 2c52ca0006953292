# SPDX-License-Identifier: LGPL-2.1-or-later
"""A picture of each sweep: accuracy, and the distance from float32's embeddings."""

import math

import matplotlib
matplotlib.use("svg")
from matplotlib import pyplot as plt            # noqa: E402
from matplotlib.ticker import FuncFormatter     # noqa: E402

STYLE = {"svg.hashsalt": "mxstudy", "svg.fonttype": "path", "font.size": 10,
         "axes.spines.top": False, "axes.spines.right": False,
         "figure.constrained_layout.use": True}
SMALLEST = 1e-7     # of 1 - cosine: below it is float32's own rounding
DASHES = {1: "-", 2: "--"}


def lines(sweep):
    """{(planes, series): rows}, in order"""
    found = {}
    for row in sweep["rows"]:
        found.setdefault((row["planes"], row["series"]), []).append(row)
    return found


def error_bars(rows):
    """Over seeds; a single chip has none."""
    return [100 * (row["accuracy_seeds"] or 0) for row in rows]


def distance(row):
    return max(SMALLEST, 1 - row["cosine"])


def positions(sweep):
    """Where points lie along x: evenly, or as their logarithms do."""
    points = {row["point"]: row["at"] for row in sweep["rows"]}
    if not sweep["log"] or len(points) < 2:
        return {label: at for at, label in enumerate(points)}
    logs = {label: math.log(at) for label, at in points.items()}
    low, high = min(logs.values()), max(logs.values())
    return {label: (at - low) / (high - low) * (len(points) - 1) for label, at in logs.items()}


def float32_row(results, count):
    return next(row for row in results["baseline"]
                if row["name"] == "float32" and row["sentences"] == count)


def draw_sweep(results, sweep, folder):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    of_all = lines(sweep)
    series_names = list(dict.fromkeys(series for _, series in of_all))
    planes_vary = len({planes for planes, _ in of_all}) > 1
    colours = plt.get_cmap("tab10").colors
    places = positions(sweep)
    for number, ((planes, series), rows) in enumerate(of_all.items()):
        about = [series] if series else []
        if planes_vary:
            about.append(f"{planes} plane{'s' if planes > 1 else ''}")
        label = ", ".join(about) or "the chip"
        # Side by side, so that intervals do not hide each other.
        shift = 0.06 * (number - (len(of_all) - 1) / 2)
        at = [places[row["point"]] + shift for row in rows]
        look = {"color": colours[series_names.index(series)], "linestyle": DASHES[planes],
                "marker": "o", "markersize": 4, "label": label, "capsize": 3}
        left.errorbar(at, [100 * row["accuracy"] for row in rows], yerr=error_bars(rows), **look)
        right.errorbar(at, [distance(row) for row in rows],
                       yerr=[row["cosine_seeds"] or 0 for row in rows], **look)
    reference = float32_row(results, sweep["rows"][0]["sentences"])
    left.axhspan(100 * reference["accuracy_low"], 100 * reference["accuracy_high"],
                 color="0.92", zorder=0, label="float32 and its interval over sentences")
    left.axhline(100 * reference["accuracy"], color="0.6", zorder=0)
    left.axhline(100 / len(results["corpus"]["sections"]), color="0.6", linestyle=":",
                 label="by chance")
    left.set_ylim(0, 100)
    left.set_ylabel("accuracy, %")
    right.set_yscale("log")
    right.set_ylim(min(map(distance, sweep["rows"])) / 2, 2)
    right.set_ylabel("1 - mean cosine to float32")
    right.grid(axis="y", color="0.9")
    for axes in (left, right):
        axes.set_xticks(list(places.values()), list(places))
        axes.set_xlim(-0.4, len(places) - 0.6)
        axes.set_xlabel(sweep["axis"])
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False)
    figure.suptitle(sweep["title"])
    path = folder / f"{sweep['name']}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def draw(results, folder):
    with plt.rc_context(STYLE):
        return [draw_sweep(results, sweep, folder) for sweep in results["sweeps"]]
