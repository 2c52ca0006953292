# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables of a study's results."""

from mxcost.tables import Table


def percent(share):
    return f"{100 * share:.1f}"


def with_half(value, half, form):
    return form(value) if half is None else f"{form(value)} ± {form(half)}"


def cells(row):
    """Accuracy, its two intervals, and fidelity."""
    return [with_half(row["accuracy"], row["accuracy_seeds"], percent),
            f"{percent(row['accuracy_low'])} to {percent(row['accuracy_high'])}",
            percent(row["same"]),
            with_half(row["cosine"], row["cosine_seeds"], "{:.4f}".format),
            f"{row['cosine_worst']:.4f}"]


MEASURES = ["accuracy, %", "95 % over sentences", "as float32, %", "mean cosine", "worst cosine"]


def clamped(row):
    return f"{100 * row['clamped']:.3g}"


def corpus_table(results):
    table = Table("corpus", "Sentences", ["what", "value"])
    corpus = results["corpus"]
    table.add("labels, archive sections", ", ".join(corpus["sections"]))
    table.add("sentences to train, to test", f"{corpus['train']}, {corpus['test']}")
    table.add("SHA-256 of them", corpus["sha256"])
    table.add("chip file", results["chip"])
    table.add("model", results["model"])
    return table


def baseline_table(results):
    table = Table("baseline", "Without sweep", ["arithmetic", "planes", "sentences", *MEASURES,
                                                "clamped, %"])
    for row in results["baseline"]:
        table.add(row["name"], row["planes"], row["sentences"], *cells(row), clamped(row))
    table.notes.append("analog is the chip file as it is: effects off. The shorter set is the "
                       "one of the sweeps over seeds.")
    return table


def sweep_table(sweep):
    rows = sweep["rows"]
    table = Table(sweep["name"], sweep["title"], ["planes", "", sweep["axis"], *MEASURES,
                                                  "clamped, %"])
    lines = len({row["series"] for row in rows}) > 1
    if not lines:
        del table.head[1]
    for row in rows:
        series = [row["series"]] if lines else []
        table.add(row["planes"], *series, row["point"], *cells(row), clamped(row))
    about = f"{rows[0]['sentences']} sentences"
    if sweep["seeded"]:
        about += f"; mean of {rows[0]['seeds']} chips (seeds), ± half of the t interval over them"
    table.notes += [text + "." for text in (about, sweep["note"]) if text]
    return table


def tables(results):
    made = [corpus_table(results), baseline_table(results),
            *(sweep_table(sweep) for sweep in results["sweeps"])]
    made[0].notes += [f"Left out: {title}; the chip has no {', '.join(keys)}."
                      for title, keys in results["not_offered"].items()]
    if results["not_run"]:
        made[0].notes.append("Not run: " + "; ".join(results["not_run"]) + ".")
    if results["not_swept"]:
        made[0].notes.append("No sweep varies " + ", ".join(results["not_swept"]) + ".")
    return made
