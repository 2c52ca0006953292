# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chips, keys replaced in them, and what a job on them counts.

The numbers come from the chip library alone: area and estimates by mxchip, counters of
real runs by mxrun. Here they only become seconds, joules and square millimetres.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("MXCOST_BIN", TOP / "build" / "bin"))
CHIP_DIR = Path(os.environ.get("MXACCEL_CHIP_DIR") or TOP / "qemu-device" / "chips")


class Failure(Exception):
    """A sentence for the user."""


def run(*command, statuses=(0,)):
    """Runs one of the tools; what it wrote, or Failure with its own sentence."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, errors="replace")
    except OSError as error:
        raise Failure(f"cannot run {command[0]}: {error.strerror}; `make host` builds it") from None
    if done.returncode not in statuses:
        lines = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
        raise Failure(lines[-1] if ":" in lines[-1] else f"{command[0]}: {lines[-1]}")
    return done.stdout


@dataclass(frozen=True)
class Variant:
    """A chip file with some keys replaced: ("section.key=value", ...)."""

    chip: str
    sets: tuple = ()

    @property
    def name(self):
        return Path(self.chip).stem if self.is_path else self.chip

    @property
    def is_path(self):
        return "/" in self.chip or self.chip.endswith(".ini")

    @property
    def path(self):
        return Path(self.chip) if self.is_path else CHIP_DIR / f"{self.chip}.ini"

    def with_keys(self, **keys):
        """with_keys(energy__adc=2): the same chip with energy.adc = 2."""
        return self.plus(*(f"{key.replace('__', '.')}={value}" for key, value in keys.items()))

    def plus(self, *sets):
        return Variant(self.chip, self.sets + tuple(sets))

    def options(self):
        return [part for one in self.sets for part in ("--set", one)]


def marks(variant):
    """{"section.key": "[A]"}: where each value of a chip file comes from."""
    found, section, default = {}, "", ""
    for line in variant.path.read_text(encoding="utf-8").splitlines():
        if "unless said otherwise" in line:
            default = "[S]"
        heading = re.match(r"\s*\[(\w+)\]", line)
        if heading:
            section = heading[1]
        key = re.match(r"\s*(\w+)\s*=\s*[^;]*(?:;\s*(.*))?$", line)
        if key:
            mark = re.search(r"\[[ASD]\]", key[2] or "")
            paper = (key[2] or "").startswith("paper")
            found[f"{section}.{key[1]}"] = mark[0] if mark else "[S]" if paper else default
    for one in variant.sets:
        found[one.split("=")[0]] = "(--set)"
    return found


@dataclass(frozen=True)
class Point:
    """What a job on a chip counted, in SI units but for mm2."""

    chip: str
    tokens: int
    batch: int
    clock_hz: float
    counters: dict
    area: dict
    arrays: int

    @property
    def mm2(self):
        return self.area["total"]

    @property
    def seconds(self):
        return self.counters["cycles"] / self.clock_hz

    @property
    def energy(self):
        """Joules by component, those that are not zero."""
        return {name[len("energy_"):-len("_fj")]: value * 1e-15
                for name, value in self.counters.items()
                if name.startswith("energy_") and value}

    @property
    def joules(self):
        return sum(self.energy.values())

    @property
    def macs(self):
        return self.counters["macs_static"] + self.counters["macs_dynamic"]

    @property
    def watts(self):
        return self.joules / self.seconds

    @property
    def area_delay(self):
        return self.mm2 * self.seconds


class Misfit(Failure):
    """The model does not fit the chip, or no job of that length does."""


class Estimator:
    """Points by mxchip --estimate, each asked for once."""

    def __init__(self, images, tokens, batch):
        self.images, self.tokens, self.batch = images, tuple(tokens), batch
        self.reports, self.points = {}, {}

    def describe(self, variant):
        """mxchip's report without a model: keys, values, area."""
        if variant not in self.reports:
            self.reports[variant] = json.loads(
                run(BIN / "mxchip", variant.path, "--json", *variant.options()))
        return self.reports[variant]

    def _ask(self, variant, planes, tokens, batches):
        out = run(BIN / "mxchip", variant.path, self.images[planes], "--json", "--estimate",
                  "--tokens", ",".join(map(str, tokens)), "--batch", ",".join(map(str, batches)),
                  *variant.options(), statuses=(0, 1))
        report = json.loads(out)
        clock = report["keys"]["chip"]["clock_khz"] * 1e3
        for t in tokens:
            for b in batches:
                self.points[variant, planes, t, b] = report["model"].get("error", "no estimate")
        for one in report.get("estimates", []):
            key = (variant, planes, one["tokens"], one["batch"])
            self.points[key] = one["error"] if "error" in one else Point(
                variant.name, one["tokens"], one["batch"], clock, one["counters"],
                one["area_mm2"], one["arrays"])

    def point(self, variant, tokens, planes=1, batch=1):
        """The job of `batch` sequences of `tokens` tokens; Misfit if there can be none."""
        key = (variant, planes, tokens, batch)
        if key not in self.points:
            # All at once for chips as they are; of a variant, mostly one point is wanted.
            usual = not variant.sets and tokens in self.tokens and batch in (1, self.batch)
            self._ask(variant, planes, self.tokens if usual else (tokens,),
                      tuple(sorted({1, self.batch})) if usual else (batch,))
        found = self.points[key]
        if isinstance(found, str):
            raise Misfit(found)
        return found

    def interval(self, variant, tokens, planes=1):
        """Seconds between results of a full pipeline: what each further sequence adds."""
        one = self.point(variant, tokens, planes).seconds
        many = self.point(variant, tokens, planes, self.batch).seconds
        return (many - one) / (self.batch - 1) if self.batch > 1 else one

    def joules_of_many(self, variant, tokens, planes=1):
        """Joules of a sequence among many, by the same reckoning."""
        one = self.point(variant, tokens, planes).joules
        many = self.point(variant, tokens, planes, self.batch).joules
        return (many - one) / (self.batch - 1) if self.batch > 1 else one
