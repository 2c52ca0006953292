# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rewrites the tables of Documentation/comparison.rst, which are mxcost's output.

    PYTHONPATH=tools python3 -m mxcost.document [--check] [mxcost options]

A table stands between ".. mxcost: OPTIONS" and ".. end-mxcost".
"""

import contextlib
import difflib
import io
import re
import sys

from .__main__ import main as mxcost
from .chips import TOP

PAGE = TOP / "Documentation" / "comparison.rst"
BLOCK = re.compile(r"^(\.\. mxcost: ([^\n]*)\n).*?^(\.\. end-mxcost)$", re.M | re.S)


def refreshed(text, extra):
    """The page with its tables as they are now."""
    def block(match):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            if mxcost([*extra, *match[2].split(), "--rst"]):
                raise SystemExit(1)
        return f"{match[1]}\n{out.getvalue()}\n{match[3]}"
    return BLOCK.sub(block, text)


def main(arguments):
    check = "--check" in arguments
    old = PAGE.read_text(encoding="utf-8")
    new = refreshed(old, [one for one in arguments if one != "--check"])
    if check and old != new:
        sys.stderr.writelines(difflib.unified_diff(
            old.splitlines(True), new.splitlines(True), str(PAGE), "mxcost"))
        return 1
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
