# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sentences through the chip model, by mxmap, mxchip and mxrun.

What was run is kept below the study's folder, by everything it depends on: a study that
was stopped goes on where it was, and one after a change runs what the change reaches.
"""

import hashlib
import json
import os
from dataclasses import dataclass

import numpy as np

from mxcost.chips import BIN, Failure, Variant, marks, run


@dataclass(frozen=True)
class Answer:
    """Embeddings [n, H] of a run; of its conversions, the share that was clamped"""

    embeddings: np.ndarray
    clamped: float

    def first(self, count):
        return Answer(self.embeddings[:count], self.clamped)


def file_hash(path):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}; `make host` builds the "
                      "tools") from None


class Chip:
    """Runs of a model on variants of a chip file."""

    def __init__(self, chip, model, folder):
        self.chip, self.folder = chip, folder
        self.kept = folder / "runs"
        self.kept.mkdir(parents=True, exist_ok=True)
        variant = Variant(chip)
        if not variant.path.is_file():
            raise Failure(f"there is no chip {chip}: no file {variant.path}")
        report = json.loads(run(BIN / "mxchip", variant.path, "--json"))
        if report["organisation"] == "synergy":
            raise Failure(f"chip {chip} is of organisation synergy, which has no "
                          "fidelity=analog; use an inplace or traditional one")
        self.keys = set(marks(variant))     # mxchip sets only those that the file has
        self.images = {planes: self.map(model, variant, planes) for planes in (1, 2)}
        self.tool = file_hash(BIN / "mxrun")

    def map(self, model, variant, planes):
        image = self.folder / f"model-{planes}.mxw"
        run(BIN / "mxmap", model, "-o", image, "--chip", variant.path, "--planes", planes)
        return image

    def infer(self, ids, planes, setting=None, seed=0):
        """Sentence embeddings; with a setting by its crossbars, without by exact products."""
        made = self.folder / f"chip-{os.getpid()}.ini"
        options = Variant(self.chip, setting.sets if setting else ()).options()
        run(BIN / "mxchip", Variant(self.chip).path, *options, "--save", made)
        device = ",".join([f"sim:{made}", *(setting.device if setting else ()),
                           *(("fidelity=analog", f"seed={seed}") if setting else ())])
        parts = [made.read_text(encoding="utf-8"), device.replace(str(made), ""), self.tool,
                 file_hash(self.images[planes]), hashlib.sha256(ids.tobytes()).hexdigest()]
        kept = self.kept / (hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32] + ".npz")
        try:
            if not kept.exists():
                self.run(ids, planes, device, kept)
        finally:
            made.unlink()
        with np.load(kept) as found:
            return Answer(found["embeddings"], float(found["clamped"]))

    def run(self, ids, planes, device, kept):
        base = kept.parent / f"{os.getpid()}"
        files = [base.with_suffix(suffix) for suffix in (".ids.npy", ".out.npy", ".json", ".npz")]
        ids_file, out_file, report_file, new = files
        np.save(ids_file, ids)
        try:
            run(BIN / "mxrun", self.images[planes], "--entry", "sentence", "--ids", ids_file,
                "--out", out_file, "--device", device, "--json", report_file)
            counters = json.loads(report_file.read_text(encoding="utf-8"))["counters"]
            clamped = counters["adc_saturations"] / max(1, counters["adc_conversions"])
            np.savez(new, embeddings=np.load(out_file), clamped=clamped)
            new.replace(kept)
        finally:
            for file in files:
                file.unlink(missing_ok=True)
