# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sentences through the chip model, by mxmap and mxrun.

What was run is kept below the study's folder, by everything it depends on: a study that
was stopped goes on where it was, and one after a change runs what the change reaches.
"""

import hashlib
import json
import os
from dataclasses import dataclass

import numpy as np

from mxcost.chips import BIN, Failure, Variant, run

from .chip_text import with_keys
from .setting import Setting

IMAGES = 8      # that are kept at once, of 25 MB for the demo's model


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


def folder_hash(model):
    """Of what decides a model's embeddings."""
    found = hashlib.sha256()
    for path in sorted([*model.glob("*.safetensors"), model / "config.json", model / "vocab.txt"]):
        found.update(path.read_bytes())
    return found.hexdigest()


def digest(*parts):
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


class Chip:
    """
    Runs of a model on variants of a chip file.

    @text:	sentences that calibrate and smooth, one a line; None: no setting does
    """

    def __init__(self, chip, model, folder, text=None):
        self.model, self.folder = model, folder
        self.kept, self.images = folder / "runs", folder / "images"
        for new in (self.kept, self.images):
            new.mkdir(parents=True, exist_ok=True)
        path = Variant(chip).path
        if not path.is_file():
            raise Failure(f"there is no chip {chip}: no file {path}")
        report = json.loads(run(BIN / "mxchip", path, "--json"))
        self.keys = {f"{section}.{key}" for section, keys in report["keys"].items()
                     for key in keys}
        self.organisation = report["organisation"]
        self.text = path.read_text(encoding="utf-8")
        self.sentences = folder / "calibration.txt"
        if text:
            self.sentences.write_text(text, encoding="utf-8")
        self.of_maps = digest(file_hash(BIN / "mxmap"), folder_hash(model), text)
        self.tool = file_hash(BIN / "mxrun")

    @property
    def computes(self):
        """Whether it has fidelity=analog."""
        return any(key.startswith("analog.") for key in self.keys)

    def image(self, planes, setting, text):
        """(hash of what decides it, what makes it) of the image for a setting."""
        options = ["--planes", planes, *setting.mapping]
        if setting.calibrated or setting.mapping:
            options += ["--calibrate", self.sentences.name]
        if not setting.calibrated:
            text = self.text        # one image does for all variants
        key = digest(self.of_maps, text, *options)
        return key, lambda: self.map(key, options, text)

    def map(self, key, options, text):
        image = self.images / f"{key}.mxw"
        if image.exists():
            return image
        there = sorted(self.images.glob("*.mxw"), key=lambda path: path.stat().st_mtime)
        for old in there[:-(IMAGES - 1)]:
            old.unlink()
        chip, new = (self.images / f"{os.getpid()}{suffix}" for suffix in (".ini", ".new"))
        chip.write_text(text, encoding="utf-8")
        options = [self.sentences if option == self.sentences.name else option
                   for option in options]
        try:
            run(BIN / "mxmap", self.model, "-o", new, "--chip", chip, "--name", "study", *options)
            new.replace(image)
        finally:
            for file in (chip, new):
                file.unlink(missing_ok=True)
        return image

    def infer(self, ids, planes, setting=Setting(""), seed=0, analog=True):
        """Sentence embeddings, by the crossbars or by exact products."""
        text = with_keys(self.text, setting.sets)
        options = ",".join([*setting.device,
                            *(("fidelity=analog", f"seed={seed}") if analog else ())])
        key, image = self.image(planes, setting, text)
        kept = self.kept / (digest(text, options, self.tool, key,
                                   hashlib.sha256(ids.tobytes()).hexdigest()) + ".npz")
        if not kept.exists():
            self.run(ids, image(), text, options, kept)
        with np.load(kept) as found:
            return Answer(found["embeddings"], float(found["clamped"]))

    def run(self, ids, image, text, options, kept):
        base = kept.parent / f"{os.getpid()}"
        files = [base.with_suffix(suffix)
                 for suffix in (".ini", ".ids.npy", ".out.npy", ".json", ".npz")]
        chip, ids_file, out_file, report_file, new = files
        try:
            chip.write_text(text, encoding="utf-8")
            np.save(ids_file, ids)
            run(BIN / "mxrun", image, "--entry", "sentence", "--ids", ids_file, "--out", out_file,
                "--device", ",".join(filter(None, [f"sim:{chip}", options])),
                "--json", report_file)
            counters = json.loads(report_file.read_text(encoding="utf-8"))["counters"]
            clamped = counters["adc_saturations"] / max(1, counters["adc_conversions"])
            np.savez(new, embeddings=np.load(out_file), clamped=clamped)
            new.replace(kept)
        finally:
            for file in files:
                file.unlink(missing_ok=True)
