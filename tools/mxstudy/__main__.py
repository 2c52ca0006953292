# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxstudy: what the analog crossbars do to a model's answers.

Sentences are labelled by a linear head on a model's embeddings, which come from float32,
from exact products and from the crossbars of a chip file, with converters and effects
varied one after the other. Writes tables and pictures.
"""

import argparse
import json
import sys
from pathlib import Path

from mxcost.chips import TOP, Failure
from mxcost.tables import render

from . import packages, report, sweeps

EPILOG = """\
writes study.json, study.md and a picture of each sweep to the folder; runs are kept in
its folder runs/, so that a stopped study goes on where it was

exit codes: 0 done; 1 no sentences, model or chip, or a run failed; 2 bad options"""


def positive(text):
    if not text.isdigit() or not 1 <= int(text) <= 100000:
        raise argparse.ArgumentTypeError(f"\"{text}\" is no number from 1 to 100000")
    return int(text)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="mxstudy", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--chip", default="mx1-inplace", help="a chip's name or chip file, of organisation "
        "inplace or traditional (default: mx1-inplace)")
    add("--model", type=Path, default=TOP / "build" / "model-dir", metavar="DIR",
        help="Hugging Face folder of a BERT (default: build/model-dir)")
    add("--folder", type=Path, default=TOP / "build" / "study", metavar="DIR",
        help="where results go (default: build/study)")
    add("--packages", type=Path, metavar="FILE", help="package descriptions, as `apt-cache "
        "dumpavail` prints them (default: what apt knows)")
    add("--sweep", action="append", metavar="NAME", choices=[one.name for one in sweeps.SWEEPS],
        help="only this one; may be repeated: %(choices)s")
    add("--seeds", type=positive, metavar="N", help="chips of each point that differs from chip "
        "to chip (default: 3)")
    add("--quick", action="store_true", help="few sentences, the ends of each sweep, 2 seeds")
    return parser.parse_args(arguments)


def study(options):
    """The results of a study."""
    try:
        from .chip import Chip
        from .study import FULL, QUICK, Texts, make, say
    except ImportError as error:
        raise Failure(f"{error}; scripts/setup tests installs what is needed") from None
    size = QUICK if options.quick else FULL
    if options.seeds:
        size = type(size)(**{**vars(size), "seeds": options.seeds})
    text = packages.read_text(options.packages) if options.packages else packages.apt_text()
    corpus = packages.make_corpus(text, size.train, size.test)
    say(f"sentences of {len(corpus.sections)} sections, SHA-256 {corpus.digest}")
    texts = Texts(options.model)
    chosen = [one for one in sweeps.SWEEPS if not options.sweep or one.name in options.sweep]
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        chips = {name: Chip(name or options.chip, options.model, options.folder,
                            "".join(f"{one.text}\n" for one in corpus.train[:size.calibrate]))
                 for name in {"", *(one.chip for one in chosen)}}
    except OSError as error:
        raise Failure(f"cannot write to {options.folder}: {error.strerror}") from None
    if not chips[""].computes:
        raise Failure(f"chip {options.chip} is of organisation {chips[''].organisation}, which "
                      "has no fidelity=analog")
    there, absent = sweeps.offered(chosen, {name: chip.keys for name, chip in chips.items()})
    for title, keys in absent.items():
        say(f"left out: {title}; the chip has no {', '.join(keys)}")
    if options.quick:
        there = [one.cut() for one in there]
    results = make(corpus, texts, chips, there, size)
    model = options.model.resolve().parent.name if options.model.is_symlink() else \
        options.model.name
    return {"chip": options.chip, "model": model, "corpus": {
        "sections": list(corpus.sections), "train": len(corpus.train), "test": len(corpus.test),
        "sha256": corpus.digest}, "not_offered": absent,
        "not_run": [one.title for one in sweeps.SWEEPS if one not in chosen],
        "not_swept": sweeps.without_sweep(sweeps.SWEEPS, chips[""].keys), **results}


def write(results, folder):
    from .plots import draw
    (folder / "study.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = render(report.tables(results), "markdown")
    (folder / "study.md").write_text(text, encoding="utf-8")
    pictures = draw(results, folder)
    sys.stdout.write(render(report.tables(results), "text"))
    print(f"mxstudy: {folder}/study.md, study.json and {len(pictures)} pictures",
          file=sys.stderr)


def main(arguments=None):
    options = parse(arguments)
    try:
        write(study(options), options.folder)
    except Failure as failure:
        print(f"mxstudy: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"mxstudy: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
