# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables, and the ways to print them."""

import csv
import io
import json
import textwrap
from dataclasses import dataclass, field


def number(value):
    """Three significant digits and as many as an integer has; "-" for what there is not."""
    if value is None:
        return "-"
    if isinstance(value, list):
        same = len(set(value)) == 1
        return number(value[0]) if same else " / ".join(map(number, value))
    if isinstance(value, str) or (isinstance(value, int) and abs(value) < 1e7):
        return str(value)
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100 or (size >= 10 and float(value).is_integer()):
        return f"{value:.0f}"
    if size < 0.0001:
        return f"{value:.2e}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:.{digits}f}"


@dataclass
class Table:
    """Rows of cells: numbers, lists of them (one per token count), text, None.

    `name` identifies the table in JSON and CSV.
    """

    name: str
    title: str
    head: list
    rows: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def add(self, *cells):
        self.rows.append(list(cells))

    def text(self):
        cells = [[number(cell) for cell in row] for row in self.rows]
        last = len(self.head) - 1
        widths = [max(len(row[i]) for row in [self.head] + cells) for i in range(last)]
        room = max(30, 150 - sum(widths) - 2 * last)
        left = [any(isinstance(row[i], str) and row[i] != "-" for row in self.rows)
                for i in range(last + 1)]

        def line(row):
            front = "  ".join(cell.ljust(width) if left[i] else cell.rjust(width)
                              for i, (cell, width) in enumerate(zip(row, widths)))
            tail = textwrap.wrap(row[last], room) or [""]
            if not left[last]:
                tail = [tail[0].rjust(max(len(r[last]) for r in [self.head] + cells))]
            out = [(front + ("  " if widths else "") + tail[0]).rstrip()]
            return out + [" " * (len(front) + 2) + more for more in tail[1:]]

        out = [self.title, "=" * len(self.title), *line(list(self.head))]
        out.append("-" * min(150, max(map(len, out[2:]))))
        for row in cells:
            out += line(row)
        for note in self.notes:
            out += textwrap.wrap("* " + note, 150, subsequent_indent="  ")
        return "\n".join(out) + "\n"

    def markdown(self):
        def line(row):
            return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"

        out = [f"### {self.title}", "", line(self.head), "|" + "---|" * len(self.head)]
        out += [line([number(cell) for cell in row]) for row in self.rows]
        return "\n".join(out + [""] + [f"- {note}" for note in self.notes]) + "\n"

    def rst(self):
        out = [self.title, "-" * len(self.title), "", ".. csv-table::"]
        quoted = [", ".join('"' + number(cell).replace('"', '""') + '"' for cell in row)
                  for row in [self.head] + self.rows]
        out += ["   :header: " + quoted[0], ""] + ["   " + line for line in quoted[1:]] + [""]
        for note in self.notes:
            out += textwrap.wrap("- " + note, 90, subsequent_indent="  ")
        return "\n".join(out) + "\n"


def as_json(tables):
    return json.dumps([{"name": t.name, "title": t.title, "head": t.head, "rows": t.rows,
                        "notes": t.notes} for t in tables], indent=1) + "\n"


def plain(cell):
    """A cell for CSV: digits are not cut, lists have one form"""
    if isinstance(cell, list):
        return " / ".join(str(plain(one)) for one in cell)
    return "" if cell is None else cell


def as_csv(tables):
    """One list: the table's name in front of each row, a heading row for each table."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for table in tables:
        writer.writerow(["table", *table.head])
        for row in table.rows:
            writer.writerow([table.name, *(plain(cell) for cell in row)])
    return out.getvalue()


def render(tables, form):
    """Tables as text, markdown, rst, json or csv."""
    if form == "json":
        return as_json(tables)
    if form == "csv":
        return as_csv(tables)
    return "\n".join(getattr(table, form)() for table in tables)
