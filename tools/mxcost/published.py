# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others have published: published.toml."""

from pathlib import Path

try:
    import tomllib
except ImportError:         # Python 3.10
    import tomli as tomllib

with open(Path(__file__).with_name("published.toml"), "rb") as _file:
    DATA = tomllib.load(_file)
PAPER = DATA["paper"]


class Accelerator:
    """An accelerator with what was measured on it; None where nothing was."""

    def __init__(self, entry):
        self.name, self.source = entry["name"], entry["source"]
        self.mm2, self.watts = entry.get("area_mm2"), entry["watts"]
        self.watts_are = entry["watts_are"]
        self.points = [tuple(point) for point in entry["points"]]
        self.derived = "derived_from" in entry

    def tokens(self):
        return sorted({point[0] for point in self.points})

    def batch_1(self, tokens):
        """Seconds of one sequence alone."""
        for length, batch, milliseconds in self.points:
            if length == tokens and batch == 1:
                return milliseconds / 1e3
        return None

    def best(self, tokens):
        """(seconds per sequence, batch) where it is fastest; batch 0: not named."""
        found = [(milliseconds / 1e3 / max(batch, 1), batch)
                 for length, batch, milliseconds in self.points
                 if length == tokens and batch != 1]
        return min(found, default=(None, None))


def accelerators():
    """All of them, by name. A derived one has the best batches of another, divided."""
    found = {}
    for entry in DATA["accelerator"]:
        found[entry["name"]] = one = Accelerator(entry)
        if one.derived:
            base = found[entry["derived_from"]]
            one.points = [(length, batch, milliseconds / entry["divide_by"])
                          for length, batch, milliseconds in base.points if batch != 1]
    return found
