# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rewrites the tables of Documentation/study.rst from the study kept beside it.

    PYTHONPATH=tools python3 -m mxstudy.document [--check] [--results study.json]

--results first takes the results of a study over into Documentation/study.json. A table
stands between ".. mxstudy: NAME" and ".. end-mxstudy".
"""

import argparse
import difflib
import json
import re
import sys
from pathlib import Path

from mxcost.chips import TOP
from mxcost.tables import render

from . import report

PAGE = TOP / "Documentation" / "study.rst"
KEPT = TOP / "Documentation" / "study.json"
BLOCK = re.compile(r"^(\.\. mxstudy: ([^\n]*)\n).*?^(\.\. end-mxstudy)$", re.M | re.S)


def refreshed(text, tables):
    """The page with the tables of the results, each of which must have its place."""
    made = {table.name: table for table in tables}
    places = [match[2] for match in BLOCK.finditer(text)]
    if sorted(places) != sorted(made):
        raise SystemExit(f"{PAGE}: tables {', '.join(places)}; the results have "
                         f"{', '.join(made)}")
    return BLOCK.sub(lambda match: f"{match[1]}\n{render([made[match[2]]], 'rst')}\n{match[3]}",
                     text)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="mxstudy.document", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, show differences")
    parser.add_argument("--results", type=Path, metavar="FILE", help="a study's study.json")
    options = parser.parse_args(arguments)
    results = json.loads((options.results or KEPT).read_text(encoding="utf-8"))
    old = PAGE.read_text(encoding="utf-8")
    new = refreshed(old, report.tables(results))
    if options.check:
        sys.stderr.writelines(difflib.unified_diff(
            old.splitlines(True), new.splitlines(True), str(PAGE), "mxstudy"))
        return int(old != new)
    KEPT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
