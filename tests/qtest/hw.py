# SPDX-License-Identifier: LGPL-2.1-or-later
"""The numbers of uapi/, read from the headers: MXACCEL_FOO is hw.FOO, statuses are hw.ST_FOO,
counters are hw.CTR_FOO. Unknown names raise AttributeError."""

import re
from pathlib import Path

UAPI = Path(__file__).resolve().parents[2] / "uapi"
DEFINE = re.compile(r"^#define\s+MXACCEL_(\w+)\s+(.+?)\s*(?:/\*.*)?$", re.MULTILINE)
ROW = re.compile(r"^\tX\((\w+),\s*(\w+)", re.MULTILINE)
NUMBER = re.compile(r"\b(0x[0-9a-fA-F]+|\d+)[uU]?[lL]{0,2}\b")


def _list(text, name):
    """Rows of an X-macro list: first two columns."""
    start = text.index(f"#define MXACCEL_{name}(X)")
    return ROW.findall(text[start:text.index("\n\n", start)])


def _load():
    names = {}
    text = "".join((UAPI / f).read_text() for f in ("mxaccel_hw.h", "mxaccel_image.h"))
    for name, value in DEFINE.findall(text):
        value = NUMBER.sub(r"\1", value.replace("MXACCEL_", "").replace(" / ", " // "))
        try:
            names[name] = eval(value, {"__builtins__": {}}, dict(names))
        except (NameError, SyntaxError, TypeError):
            pass  # a macro with arguments or a text
    for name, value in _list(text, "STATUS_CODES"):
        names["ST_" + name] = int(value)
    for prefix, title in (("CTR", "COUNTERS"), ("CHIP", "CHIP_VALUES"),
                          ("HEALTH", "HEALTH_VALUES"), ("RES", "RESOURCES")):
        rows = _list(text, title)
        for index, (name, _) in enumerate(rows):
            names[f"{prefix}_{name}"] = index
        names[prefix + "_NR"] = len(rows)
    return names


globals().update(_load())
STATUS_NAMES = {value: name for name, value in globals().items() if name.startswith("ST_")}
