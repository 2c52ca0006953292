#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the tables of Documentation/*.rst that repeat what the sources define.

A table stands between the lines

    .. begin-generated: NAME [ARGUMENT]
    .. end-generated

and comes from uapi/, qemu-device/chip/ or qemu-device/chips/, so that each
fact keeps one home. Without options the files are rewritten; with --check
nothing is written and the exit status tells whether anything is stale.
"""
import argparse
import configparser
import difflib
import re
import sys
import textwrap
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SIZES = {"__u8": 1, "char": 1, "__le16": 2, "__le32": 4, "__le64": 8,
         "__u16": 2, "__u32": 4, "__s32": 4, "__u64": 8,
         "struct mxaccel_section": 64}


class SourceError(Exception):
    """A source does not look as a generator expects."""


def source(path):
    return (TOP / path).read_text(encoding="utf-8")


HW = source("uapi/mxaccel_hw.h")
IMAGE = source("uapi/mxaccel_image.h")
NV = source("qemu-device/chip/nv.h")
IOCTL = source("uapi/mxaccel.h")
HEADERS = HW + IMAGE + NV + IOCTL


def rst(text):
    """Text of a comment as rst: one line, with names set as literals."""
    text = " ".join(text.split())
    text = re.sub(r"@([a-z_0-9]+)", r"``\1``", text)
    text = re.sub(r"(?<![\w`])((?:MXACCEL|MX_NV)_[A-Z0-9_]+\*?)", r"``\1``", text)
    return text.replace("\\", "\\\\")


def table(head, rows, widths):
    if not rows:
        raise SourceError("found no rows for a table headed " + ", ".join(head))
    out = [".. csv-table::", "   :header: " + csv_line(head),
           "   :widths: " + ", ".join(map(str, widths)), ""]
    return out + ["   " + csv_line(row) for row in rows]


def csv_line(cells):
    return ", ".join('"' + str(cell).replace('"', '""') + '"' for cell in cells)


def value_of(name):
    """Value of a numeric #define."""
    found = re.search(rf"^#define\s+{name}\s+(\S[^/\n]*)", HEADERS, re.M)
    if not found:
        raise SourceError(f"no #define of {name}")
    text = re.sub(r"(?<=[0-9a-fA-F])[uUlL]+\b", "", found.group(1)).strip()
    text = re.sub(r"\b(?:MXACCEL|MX_NV)_\w+", lambda m: str(value_of(m.group())), text)
    if not re.fullmatch(r"[0-9a-fA-Fx<>|&~+*()\s-]+", text):
        raise SourceError(f"{name} is not a number: {text}")
    return eval(text, {"__builtins__": {}})  # pylint: disable=eval-used


def defines(prefix, skip=()):
    """(name, value, comment) of #defines whose name is @prefix and one more word."""
    found = []
    for name, value, comment in re.findall(
            rf"^#define\s+({prefix}[A-Z0-9_]+)\s+(\([^)]*\)|\S+)[ \t]*(?:/\*\s*(.*?)\s*\*/)?$",
            HEADERS, re.M):
        if not any(name.endswith(s) for s in skip):
            found.append((name, value, comment))
    return found


def codes(prefix, *skip):
    rows = [[f"``{n}``", value_of(n) if v.startswith("(") else v, rst(c)]
            for n, v, c in defines(prefix, ("_SHIFT",) + skip)
            # the mask of a field that has a shift is part of the field
            if not (n.endswith("_MASK") and n[:-len("_MASK")] + "_SHIFT" in HEADERS)]
    for row in rows:
        if not row[2]:
            raise SourceError(f"{row[0]} has no comment")
    return table(["name", "value", "meaning"], rows, [40, 12, 48])


def registers():
    rows = []
    for name, offset, comment in defines("MXACCEL_REG_"):
        access, bits, text = re.fullmatch(r"(\w\w)(\d+)(?: each)?: (.*)", comment).groups()
        rows.append([f"``{offset}``", f"``{name}``", access, bits, rst(text)])
    return table(["offset", "name", "access", "bits", "meaning"], rows, [10, 34, 8, 8, 40])


def fields(register):
    rows = []
    for name, shift, comment in defines(f"MXACCEL_{register}_"):
        if not name.endswith("_SHIFT"):
            continue
        low = int(shift)
        mask = value_of(name[:-len("SHIFT")] + "MASK")
        rows.append([f"{low + mask.bit_length() - 1}:{low}", f"``{name[:-len('_SHIFT')]}``",
                     rst(comment)])
    return table(["bits", "field", "meaning"], rows, [10, 40, 50])


def xmacro(name):
    body = re.search(rf"#define {name}\(X\) \\\n((?:.*\\\n)*.*\n)", HW)
    if not body:
        raise SourceError(f"no X-macro {name}")
    return re.findall(r'X\((\w+),\s*(?:(-?\d+),\s*)?(\w+),\s*"(.*?)"\)', body.group(1))


def status_codes():
    return table(["value", "name", "errno", "meaning"],
                 [[v, f"``{n}``", "0" if e == "0" else f"``{e}``", t]
                  for n, v, e, t in xmacro("MXACCEL_STATUS_CODES")], [8, 22, 20, 50])


def indexed(name):
    return table(["index", "name", "sysfs file", "meaning"],
                 [[i, f"``{n}``", f"``{f}``", t] for i, (n, _, f, t) in enumerate(xmacro(name))],
                 [8, 26, 26, 40])


def members(body):
    """(offset, bytes, name) of the members of a packed-by-design struct."""
    offset, found = 0, []
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    for kind, name, count in re.findall(r"(__\w+|char|struct \w+)\s+(\w+)(?:\[(\w+)\])?;", body):
        if kind not in SIZES:
            raise SourceError(f"unknown type {kind}")
        count = int(count) if count.isdigit() else value_of(count) if count else 1
        found.append((offset, SIZES[kind] * count, name))
        offset += SIZES[kind] * count
    return found


def struct_table(name):
    """Layout of a struct with the descriptions of its kernel-doc comment."""
    body = re.search(rf"^struct {name} {{\n(.*?)^}};", HEADERS, re.M | re.S)
    doc = re.search(rf"/\*\*\n \* struct {name} - .*?\*/", HEADERS, re.S)
    if not body or not doc:
        raise SourceError(f"no struct {name} with a description")
    texts = {}
    for member, text in re.findall(r"^ \* @(\w+):\s*(.*?)(?=^ \* @|^ \*$|^ \*/|\Z| \*/)",
                                   doc.group(), re.M | re.S):
        texts[member] = rst(re.sub(r"\n \*", " ", text))
    rows = []
    for offset, size, member in members(body.group(1)):
        text = texts.get(member, "zero" if member.startswith("rsvd") else "")
        if not text:
            raise SourceError(f"{name}.{member} has no description")
        rows.append([offset, size, f"``{member}``", text])
    return table(["offset", "bytes", "field", "meaning"], rows, [8, 8, 20, 64])


def struct_note(name):
    """What the kernel-doc comment of a struct says after its members."""
    doc = re.search(rf"/\*\*\n \* struct {name} - .*?\*/", HEADERS, re.S)
    note = doc and re.search(r"\n \*\n((?: \* [^@].*\n)+) \*/$", doc.group())
    if not note:
        raise SourceError(f"struct {name} has no closing note")
    return textwrap.wrap(rst(re.sub(r"(?m)^ \* ", "", note.group(1))), 79)


def ioctls():
    rows = re.findall(r"^#define (MXACCEL_IOC_\w+)\s+_IOWR\(MXACCEL_IOC_TYPE, (0x\w+), "
                      r"struct (\w+)\)$", IOCTL, re.M)
    titles = dict(re.findall(r"/\*\*\n \* struct (\w+) - (.*)\n", IOCTL))
    return table(["number", "ioctl", "argument", "purpose"],
                 [[f"``{number}``", f"``{name}``", f"``struct {struct}``", rst(titles[struct])]
                  for name, number, struct in rows], [8, 30, 30, 40])


def sqe_table(member):
    """Layout of one command's part of struct mxaccel_sqe."""
    body = re.search(rf"\n\t\tstruct {{\n((?:(?!\t\tstruct {{).)*?)\t\t}} {member};", HW, re.S)
    if not body:
        raise SourceError(f"struct mxaccel_sqe has no {member}")
    notes = dict((name, rst(note)) for name, note in
                 re.findall(r"(\w+)(?:\[\d+\])?;\s*/\*\s*(.*?)\s*\*/", body.group(1)))
    rows = [[offset + 8, size, f"``{name}``",
             notes.get(name, "zero" if name.startswith("rsvd") else "")]
            for offset, size, name in members(body.group(1))]
    for row in rows:
        if not row[3]:
            raise SourceError(f"{member}.{row[2]} has no comment")
    return table(["offset", "bytes", "field", "meaning"], rows, [8, 8, 20, 64])


def chip_keys():
    path = "qemu-device/chip/config_keys.c"
    names = {"MXACCEL_PAGE": value_of("MXACCEL_PAGE"), "UINT32_MAX": 0xffffffff,
             "MX_NV_MAX_MODELS": value_of("MX_NV_MAX_MODELS")}
    text = source(path)
    words = {name: " or ".join(re.findall(r'"([\w-]+)"', body)) for name, body in
             re.findall(r"\*const (\w+)\[\] = {(.*?)}", text)}
    who = {"S": "synergy", "I": "inplace", "T": "traditional"}
    limits = {macro: (section, "0", high) for macro, section, high in
              re.findall(r'#define (ENERGY|AREA)\([^"]*"(\w+)", #name, [\w.]+, 0, (\d+)\)', text)}
    rows = []

    def number(expression):
        expression = re.sub(r"(?<=\d)u", "", expression)
        return eval(expression, {"__builtins__": {}}, names)  # pylint: disable=eval-used

    def add(organisations, section, key, span):
        rows.append([f"``[{section}]``", f"``{key}``", span,
                     "all" if organisations == "ALL" else
                     ", ".join(who[one] for one in organisations.split(" | "))])

    for macro, body in re.findall(
            r"^\t(KEY|KEY64|REAL|WORD|ENERGY|POWER|AREA|ANALOG(?:_KEY|_WORD)?)\((.*?)\),$", text,
            re.M | re.S):
        cells = [cell.strip().strip('"') for cell in body.split(", ")]
        if macro == "ANALOG_WORD":
            add("I | T", "analog", cells[0], words[cells[1]] + "; optional")
        elif macro == "ANALOG_KEY":
            add("I | T", "analog", cells[0],
                f"{number(cells[2])} to {number(cells[3])}; optional")
        elif macro == "ANALOG":
            add("I | T", "analog", cells[0], f"0 to {cells[1]}, decimal; optional")
        elif macro == "WORD":
            add(*cells[:3], words[cells[4]])
        elif macro in limits:
            section, low, high = limits[macro]
            add(cells[0], section, cells[1], f"{low} to {high}, decimal")
        elif macro == "POWER":
            add(cells[0], "power", cells[1], f"0 to {cells[2]}, decimal")
        else:
            low, high = re.sub(r"\s+", " ", ", ".join(cells[4:])).split(", ")
            add(*cells[:3], f"{number(low)} to {number(high)}" +
                (", decimal" if macro == "REAL" else ""))
    return table(["section", "key", "range", "organisations"], rows, [15, 30, 30, 25])


def chips():
    files = sorted((TOP / "qemu-device/chips").glob("*.ini"))
    parsed, rows = {}, {}
    for file in files:
        parsed[file.stem] = configparser.ConfigParser(inline_comment_prefixes=(";",))
        parsed[file.stem].read(file, encoding="utf-8")
    for chip in parsed.values():
        for section in chip.sections():
            for key in chip[section]:
                rows.setdefault((section, key), None)
    sections = list(dict.fromkeys(section for section, _ in rows))
    return table(["key"] + [f"``{name}``" for name in parsed],
                 [[f"``{s}.{k}``"] + [c.get(s, k, fallback="") for c in parsed.values()]
                  for s, k in sorted(rows, key=lambda row: sections.index(row[0]))],
                 [40] + [60 // len(parsed)] * len(parsed))


def function(path, name):
    """A function of a source file, with the comment above it."""
    found = re.search(rf"^/\*(?:(?!\*/).)*\*/\n[^\n;]*\b{name}\([^;{{]*\)\n{{\n.*?^}}$", source(path),
                      re.M | re.S)
    if not found:
        raise SourceError(f"no function {name} with a comment in {path}")
    lines = found.group().expandtabs(8).splitlines()
    return ["::", ""] + ["   " + line if line else "" for line in lines]


def faults():
    rows = re.findall(r'^    X\(\w+, "(fault-[a-z-]+)", ([^\n]+), \\\n\s+"([^"]+)"\)',
                      source("qemu-device/fault.h"), re.M)
    return table(["property", "meaning"], [[f"``{p}``", rst(text)] for p, _, text in rows],
                 [22, 78])


GENERATORS = {
    "registers": registers, "fields": fields, "codes": codes, "status-codes": status_codes,
    "counters": lambda: indexed("MXACCEL_COUNTERS"),
    "chip-values": lambda: indexed("MXACCEL_CHIP_VALUES"),
    "health-values": lambda: indexed("MXACCEL_HEALTH_VALUES"),
    "struct": struct_table, "struct-note": struct_note, "ioctls": ioctls, "sqe": sqe_table, "function": function,
    "chip-keys": chip_keys, "chips": chips, "faults": faults,
}


def fill(text, path):
    """Returns @text with every generated part made anew."""
    def one(match):
        name, *arguments = match.group(2).split()
        if name not in GENERATORS:
            raise SourceError(f"{path}: no generator {name}")
        return "\n".join([match.group(1), ""] + GENERATORS[name](*arguments) +
                         ["", ".. end-generated"])
    filled, count = re.subn(r"^(\.\. begin-generated: ([^\n]+))$.*?^\.\. end-generated$", one, text,
                            flags=re.M | re.S)
    if count != text.count(".. begin-generated:") or count != text.count(".. end-generated"):
        raise SourceError(f"{path}: begin-generated and end-generated do not pair")
    return filled


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true",
                        help="write nothing; fail with a diff if a file is stale")
    options = parser.parse_args()
    stale = []
    try:
        for path in sorted((TOP / "Documentation").glob("*.rst")):
            old = path.read_text(encoding="utf-8")
            new = fill(old, path.name)
            if new != old:
                stale.append((path, old, new))
    except SourceError as error:
        sys.exit(f"generate.py: {error}")
    for path, old, new in stale:
        if options.check:
            sys.stderr.writelines(difflib.unified_diff(
                old.splitlines(True), new.splitlines(True), str(path), "generated"))
        else:
            path.write_text(new, encoding="utf-8")
            print(f"{path.name}: rewritten")
    if options.check and stale:
        sys.exit(f"{len(stale)} file(s) are stale: run Documentation/generate.py")


if __name__ == "__main__":
    main()
