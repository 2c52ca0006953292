# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chip files with keys replaced, added or left out."""

import re


def find_section(lines, name):
    """(first, end) of the lines below a heading; None without it."""
    heads = [at for at, line in enumerate(lines) if re.match(r"\s*\[", line)]
    for at, after in zip(heads, [*heads[1:], len(lines)]):
        if re.match(rf"\s*\[{re.escape(name)}\]", lines[at]):
            return at + 1, after
    return None


def with_keys(text, sets):
    """
    The text of a chip file with ("section.key=value", ...): a key that it does not have is
    added to the section, one without a value is left out. The chip model checks the result.
    """
    lines = text.splitlines()
    for one in sets:
        name, _, value = one.partition("=")
        section, _, key = name.partition(".")
        place = find_section(lines, section)
        if not place and not value:
            continue
        if not place:
            lines += [f"[{section}]"]
            place = len(lines), len(lines)
        first, end = place
        had = [at for at in range(first, end) if re.match(rf"\s*{re.escape(key)}\s*=", lines[at])]
        at = had[0] if had else first
        lines[at:at + len(had)] = [f"{key} = {value}"] if value else []
    return "\n".join(lines) + "\n"
