# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counters of real runs: mxrun on the chip model, with the model's image."""

import json
from pathlib import Path

import numpy as np

from .chips import BIN, Failure, Point, run

SEED = 2410


class Runner:
    """Points like Estimator's, but each job is run; batches of one sequence only."""

    def __init__(self, estimator, folder, vocab):
        self.of, self.folder, self.vocab = estimator, Path(folder), vocab
        self.points = {}

    def _ids(self, tokens):
        path = self.folder / f"ids-{tokens}.npy"
        if not path.exists():
            generator = np.random.default_rng(SEED)
            np.save(path, generator.integers(1, self.vocab, (1, tokens), dtype=np.int32))
        return path

    def _chip_file(self, variant):
        """The chip file with its keys replaced, under the chip's own name."""
        if not variant.sets:
            return variant.path
        folder = self.folder / f"chip-{abs(hash(variant)):x}"
        folder.mkdir(exist_ok=True)
        path = folder / f"{variant.name}.ini"
        run(BIN / "mxchip", variant.path, "--save", path, *variant.options())
        return path

    def point(self, variant, tokens, planes=1, batch=1):
        """The job as it was run; Misfit where the estimate says that it cannot be."""
        if batch != 1:
            raise Failure("runs are of single sequences")
        key = variant, tokens, planes
        if key not in self.points:
            like = self.of.point(variant, tokens, planes)
            result = self.folder / "run.json"
            result.unlink(missing_ok=True)
            run(BIN / "mxrun", self.of.images[planes], "--ids", self._ids(tokens),
                "--out", self.folder / "out.npy", "--entry", "tokens", "--json", result,
                "--device", f"sim:{self._chip_file(variant)}")
            counters = json.loads(result.read_text(encoding="utf-8"))["counters"]
            self.points[key] = Point(like.chip, tokens, 1, like.clock_hz, counters, like.area,
                                     like.arrays)
        return self.points[key]
