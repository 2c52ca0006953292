# SPDX-License-Identifier: LGPL-2.1-or-later
"""The study itself: from sentences to the results of every sweep, as plain data."""

import hashlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import BertWordPieceTokenizer

from mxcost.chips import TOP, Failure

from . import head
from .chip import Answer, folder_hash
from .intervals import mean_and_half, wilson
from .setting import Setting

sys.path.append(str(TOP / "tests" / "reference"))
from bert import Bert, ModelError, l2_normalise, mean_pool      # noqa: E402

AT_ONCE = 64        # sentences in float32


@dataclass(frozen=True)
class Size:
    """Sentences of each section to train, to test, to test where runs are slow or many; of
    those to train, how many mxmap samples for calibration; seeds of what differs from chip to
    chip."""

    train: int
    test: int
    first: int
    calibrate: int
    seeds: int


FULL = Size(train=200, test=20, first=5, calibrate=2400, seeds=3)
QUICK = Size(train=30, test=2, first=1, calibrate=12, seeds=2)


def say(text):
    print(f"mxstudy: {text}", file=sys.stderr, flush=True)


class Texts:
    """Sentences as token ids, and their float32 embeddings."""

    def __init__(self, model):
        for name in ("config.json", "vocab.txt"):
            if not (model / name).is_file():
                raise Failure(f"there is no model in {model}: no {model / name}; `make model` "
                              "fetches the demo's")
        try:
            self.bert = Bert.load(model)
        except (ModelError, ValueError, OSError) as error:
            raise Failure(f"{model}: {error}") from None
        self.digest = folder_hash(model)
        self.tokenizer = BertWordPieceTokenizer(str(model / "vocab.txt"), lowercase=True)
        self.tokenizer.enable_truncation(self.bert.config["max_position_embeddings"])

    def ids(self, sentences):
        rows = [self.tokenizer.encode(one.text).ids for one in sentences]
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int32)
        for row, tokens in zip(ids, rows):
            row[:len(tokens)] = tokens
        return ids

    def kept_float32(self, corpus, folder):
        """Of a whole corpus, computed once for each corpus and model."""
        kept = folder / "runs" / f"float32-{corpus.digest[:16]}-{self.digest[:16]}.npy"
        if not kept.exists():
            say(f"{len(corpus.train)} + {len(corpus.test)} sentences in float32")
            new = kept.with_suffix(f".{os.getpid()}.npy")
            np.save(new, self.float32(corpus.train + corpus.test))
            new.replace(kept)
        return np.load(kept)

    def float32(self, sentences):
        """[n, H]. Sentences of like length are done together."""
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i].text))
        found = np.zeros((len(sentences), self.bert.hidden), dtype=np.float32)
        for first in range(0, len(order), AT_ONCE):
            chosen = order[first:first + AT_ONCE]
            ids = self.ids([sentences[i] for i in chosen])
            found[chosen] = l2_normalise(mean_pool(self.bert.encode(ids), ids))
        return found


def labels(sentences):
    return np.array([one.label for one in sentences])


def kept_head(folder, embeddings, truth):
    """Trained once for the same embeddings, labels and head.py."""
    found = hashlib.sha256(embeddings.tobytes() + truth.tobytes())
    found.update(Path(head.__file__).read_bytes())
    kept = folder / "runs" / f"head-{found.hexdigest()[:32]}.npy"
    if not kept.exists():
        new = kept.with_suffix(f".{os.getpid()}.npy")
        np.save(new, head.train(embeddings, truth).weights)
        new.replace(kept)
    return head.Head(np.load(kept))


class Judge:
    """The head and what float32 makes of the test sentences: measures embeddings."""

    def __init__(self, corpus, texts, folder):
        embeddings = texts.kept_float32(corpus, folder)
        count = len(corpus.train)
        self.head = kept_head(folder, embeddings[:count], labels(corpus.train))
        self.reference = embeddings[count:]
        self.truth = labels(corpus.test)
        self.answers = self.head.predict(self.reference)

    def measure(self, runs):
        """Accuracy and fidelity of the first sentences, over runs with different seeds."""
        count = len(runs[0].embeddings)
        right, same, cosines = [], [], []
        for one in runs:
            said = self.head.predict(one.embeddings)
            right.append(float((said == self.truth[:count]).mean()))
            same.append(float((said == self.answers[:count]).mean()))
            # A sentence that became all zeros has no direction: its cosine is 0.
            cosines.append((l2_normalise(one.embeddings) * self.reference[:count]).sum(axis=1))
        accuracy, spread = mean_and_half(right)
        low, high = wilson(accuracy, count)
        cosine, cosine_spread = mean_and_half(float(one.mean()) for one in cosines)
        return {"sentences": count, "seeds": len(runs), "accuracy": accuracy,
                "accuracy_seeds": spread, "accuracy_low": low, "accuracy_high": high,
                "same": sum(same) / len(same), "cosine": cosine, "cosine_seeds": cosine_spread,
                "cosine_worst": min(float(one.min()) for one in cosines),
                "clamped": sum(one.clamped for one in runs) / len(runs)}


def points(sweep):
    """(planes, series, point, what both set)"""
    for planes in sweep.planes:
        for series in sweep.series:
            for point in sweep.points:
                yield planes, series, point, sweep.base.plus(series).plus(point)


SMOOTHED = Setting("", mapping=("--smooth=0.5",))
BASELINE = (("exact", Setting(""), False), ("exact, smoothed 0.5", SMOOTHED, False),
            ("analog", Setting(""), True))


def baseline(judge, chip, ids, first):
    """float32, exact and analog as the chip file has it; on all test sentences, the first."""
    runs = [("float32", None, Answer(judge.reference, 0.0))]
    runs += [(name, planes, chip.infer(ids, planes, setting, analog=analog))
             for name, setting, analog in BASELINE for planes in (2, 1)]
    return [{"name": name, "planes": planes, **judge.measure([answer.first(count)])}
            for name, planes, answer in runs for count in (len(ids), first)]


def make(corpus, texts, chips, sweeps, size):
    """The results: {"baseline": [...], "sweeps": [...]}. @chips by name, "" the study's."""
    judge = Judge(corpus, texts, chips[""].folder)
    ids, first = texts.ids(corpus.test), size.first * len(corpus.sections)
    begin, done = time.monotonic(), 0
    total = sum(len(list(points(sweep))) for sweep in sweeps)
    say(f"{len(ids)} test sentences, {int((ids != 0).sum())} tokens; {total} points")
    results = {"baseline": baseline(judge, chips[""], ids, first), "sweeps": []}
    for sweep in sweeps:
        seeds = range(1, size.seeds + 1) if sweep.seeded else (0,)
        part = ids[:first] if sweep.slow or sweep.seeded else ids
        rows = []
        for planes, series, point, setting in points(sweep):
            runs = [chips[sweep.chip].infer(part, planes, setting, seed) for seed in seeds]
            rows.append({"planes": planes, "series": series.label, "point": point.label,
                         "at": point.at,
                         "keys": [*setting.sets, *setting.device, *setting.mapping],
                         **judge.measure(runs)})
            done += 1
            say(f"[{done}/{total}, {time.monotonic() - begin:.0f} s] {sweep.name}: "
                f"{setting.label}: accuracy {rows[-1]['accuracy']:.3f}, "
                f"cosine {rows[-1]['cosine']:.4f}")
        results["sweeps"].append({"name": sweep.name, "title": sweep.title, "axis": sweep.axis,
                                  "log": sweep.log, "seeded": sweep.seeded, "note": sweep.note,
                                  "rows": rows})
    return results
