# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each key of each chip file: changed, it changes what a job or the chip costs, or it is one of
those that Documentation/cost-model.rst ("Keys without a cost") names."""

import re
import subprocess

import pytest
from conftest import TOP
from test_agreement import variant

CHIPS = ("mx1", "mx1-inplace", "isaac-mb")
SHAPE = (24, 1024, 16, 4096, 30522, 512)
CROSSBAR = {"fabric.crossbars", "fabric.adcs", "fabric.adc_mhz", "fabric.settle_cycles",
            "energy.adc", "energy.dac", "energy.array_read", "energy.shift_add", "area.adc",
            "area.dac", "area.sample_hold", "area.shift_add", "small.adc_bits"}
DIGITAL = {"fabric.macs", "fabric.utilisation_percent", "energy.mac", "power.mac_uw", "area.mac"}


def keys(chip):
    """(section, key, value) of a chip file."""
    section = None
    for line in (TOP / "qemu-device/chips" / f"{chip}.ini").read_text().splitlines():
        if match := re.match(r"\[(\w+)\]", line):
            section = match[1]
        elif match := re.match(r"(\w+) = (\S+)", line):
            yield section, match[1], match[2]


def cost(path):
    """All that tests/cost prints, or None if the chip file or the model is refused."""
    done = subprocess.run([TOP / "build/tests/cost", path, *map(str, SHAPE), "2", "1", "128", "128",
                           "100"], capture_output=True, text=True, timeout=60, check=False)
    return None if done.returncode else done.stdout


def others(value):
    if value == "digital":
        return ["crossbar"]
    if value == "rewrite":
        return ["offchip"]
    try:
        number = float(value)
    except ValueError:
        return []
    if "." in value:
        return [f"{number * 2:.6g}", f"{number / 2:.6g}"]
    return [str(new) for new in (int(number) * 2, int(number) // 2, int(number) + 1) if
            new != int(number)]


def silent(chip, folder, changed=None):
    """The keys of a chip file that change nothing, "section.key"; @changed: keys set before."""
    base = variant(chip, changed or {}, folder).read_text()
    path = folder / "one.ini"
    path.write_text(base)
    before, found = cost(path), set()
    assert before
    for section, key, value in keys(chip):
        if key == "organisation" or key in (changed or {}):
            continue
        after = []
        for new in others(value):
            text, count = re.subn(rf"(?m)(^\[{section}\].*(?:\n(?!\[).*)*?\n{key} = )\S+",
                                  rf"\g<1>{new}", base)
            assert count == 1, f"{chip}: {section}.{key}"
            path.write_text(text)
            after.append(cost(path))
        if not any(one and one != before for one in after):
            found.add(f"{section}.{key}")
    return found


def named(text, chip):
    """Keys that the documentation says cost nothing in a job of that chip."""
    table = text.split("Keys without a cost\n")[1].split("\nArea\n")[0]
    rows = re.findall(r'^   "([^"]*)", "([^"]*)", "', table, re.M)
    return set().union(*(re.findall(r"``([\w.*]+)``", row) for row, chips in rows
                         if {"all", chip, chip.split("-mb")[0]} & set(chips.split(", "))))


@pytest.mark.parametrize("chip", CHIPS)
def test_what_the_documentation_says(chip, tmp_path):
    text = (TOP / "Documentation/cost-model.rst").read_text(encoding="utf-8")
    quiet = named(text, chip)
    everything = {f"{section}.{key}" for section, key, _ in keys(chip)}
    quiet |= {key for key in everything if key.split(".")[0] + ".*" in quiet}
    assert silent(chip, tmp_path) == quiet & everything


def test_each_fabric_has_keys_of_its_own(tmp_path):
    digital = silent("mx1", tmp_path)
    crossbar = silent("mx1", tmp_path, {"kind": "crossbar"})
    assert CROSSBAR - {"small.adc_bits"} <= digital and not digital & DIGITAL
    assert DIGITAL <= crossbar and not crossbar & (CROSSBAR - {"fabric.settle_cycles"})
