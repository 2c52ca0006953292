# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rewrites the tables of Documentation/study.rst from the study kept beside it.

    PYTHONPATH=tools python3 -m mxstudy.document [--check] [--results study.json]

--results first takes the results of a study over into Documentation/study.json. The tables
stand between ".. begin-mxstudy" and ".. end-mxstudy".
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
BLOCK = re.compile(r"^(\.\. begin-mxstudy\n).*?^(\.\. end-mxstudy)$", re.M | re.S)


def refreshed(text, tables):
    """The page with the tables of the results."""
    if len(BLOCK.findall(text)) != 1:
        raise SystemExit(f"{PAGE}: there must be one block from .. begin-mxstudy to "
                         ".. end-mxstudy")
    return BLOCK.sub(lambda match: f"{match[1]}\n{render(tables, 'rst')}\n{match[2]}", text)


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
