# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chips' estimates of BERT-Large against the closed forms of reference/cost_model.py:
latency, energy and area within 1 %. `make agreement` prints the table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "reference"))
import cost_model as reference  # noqa: E402  pylint: disable=wrong-import-position

TOKENS = (128, 384, 512)
BERT_LARGE = (24, 1024, 16, 4096, 30522, 512)
POOLER = 1  # entry: that of the reference, whose head is a pooler
WITHIN = 0.01
OFFCHIP = {"mode": "offchip"}
ROWS = [("mx1", {}), ("mx1-inplace", {}), ("isaac-mb", {}), ("isaac-mb", OFFCHIP),
        ("isaac-sb", {}), ("isaac-sb", OFFCHIP)]


def variant(chip, keys, folder):
    """A chip file with some keys changed."""
    text = (TOP / "qemu-device/chips" / f"{chip}.ini").read_text(encoding="utf-8")
    for key, value in keys.items():
        text, found = re.subn(rf"^{key} = \S+", f"{key} = {value}", text, flags=re.M)
        assert found == 1, f"{chip} has {found} keys {key}"
    path = folder / f"{chip}.ini"
    path.write_text(text, encoding="utf-8")
    return path


def estimate(path, lengths, tokens, entry=POOLER, shape=BERT_LARGE, planes=1):
    """Counters, by name, of a job; "area" in mm2 and "arrays" besides."""
    done = subprocess.run([TOP / "build/tests/cost", path, *map(str, shape), str(planes),
                           str(entry), str(tokens), *map(str, lengths)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {name: float(value) if name == "area" else int(value)
            for name, value in map(str.split, done.stdout.splitlines())}


def energy_mj(counters):
    return sum(v for name, v in counters.items()
               if name.startswith("energy_") and name.endswith("_fj")) * 1e-12


def expected(chip, keys, tokens):
    """Latency in us, energy in mJ, area in mm2 by the reference."""
    if chip == "mx1-inplace":
        m = reference.M
        return (reference.mx1_latency(m, tokens)["lat_us"],
                reference.mx1_energy(m, tokens)["TOTAL"], reference.mx1_area(m)["TOTAL"])
    if chip == "mx1":
        p = reference.mx1p(tokens)
        return p["lat_us"], p["e"]["TOTAL"], p["area"]["TOTAL"]
    p = reference.trad(tokens, 4 if chip == "isaac-mb" else 8, keys.get("mode", "rewrite"))
    return p["lat_us"], p["e"]["TOTAL"], p["area"]


def compare(chip, keys, tokens, folder):
    """[(ours, the reference's)] for latency, energy, area"""
    got = estimate(variant(chip, keys, folder), [tokens], tokens)
    return list(zip((got["cycles"] / 1e3, energy_mj(got), got["area"]),
                    expected(chip, keys, tokens)))


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("chip, keys", ROWS)
def test_agreement(chip, keys, tokens, tmp_path):
    for name, (ours, theirs) in zip(("latency", "energy", "area"),
                                    compare(chip, keys, tokens, tmp_path)):
        assert abs(ours / theirs - 1) < WITHIN, f"{name}: {ours}, the reference says {theirs}"


def test_documented_times_are_those_of_the_model():
    text = (TOP / "Documentation/bert-large.rst").read_text(encoding="utf-8")
    said = set(re.findall(r"modelled: (\d+) cycles", text))
    cycles = estimate(TOP / "qemu-device/chips/mx1.ini", [128], 128, entry=0, planes=2)["cycles"]
    assert said == {str(cycles)}


def test_a_changed_figure_disagrees(tmp_path):
    """The table would show it if a chip file moved away from the reference."""
    (latency, microseconds), (energy, millijoules), (area, mm2) = compare(
        "mx1-inplace", {"adcs": "1", "array_read": "40"}, 128, tmp_path)
    assert latency / microseconds > 1.5 and energy / millijoules > 1.05 and area / mm2 < 0.95


def table(folder):
    print(f"{'chip':20s} {'tokens':>6s}" + "".join(
        f" {name + ' ' + unit:>12s} {'reference':>10s} {'differs':>8s}"
        for name, unit in (("latency", "us"), ("energy", "mJ"), ("area", "mm2"))))
    for chip, keys in ROWS:
        for tokens in TOKENS:
            pairs = compare(chip, keys, tokens, folder)
            print(f"{chip + (' offchip' if keys else ''):20s} {tokens:6d}" + "".join(
                f" {ours:12.1f} {theirs:10.1f} {100 * (ours / theirs - 1):+7.2f}%"
                for ours, theirs in pairs))


if __name__ == "__main__":
    import tempfile
    with tempfile.TemporaryDirectory() as name:
        table(Path(name))
