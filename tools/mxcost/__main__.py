# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxcost: what chips cost, beside the paper's claims and published accelerators.

For each chip file and sequence length a BERT-Large inference is run on the chip model, and
its counters, with the areas and energies of the chip file, become the tables.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from . import agreement, crossbar, levers, report, sensitivity
from .chips import BIN, CHIP_DIR, TOP, Estimator, Failure, Misfit, Variant, run
from .claims import Claims
from .runs import Runner
from .tables import render

BASELINES = ("isaac-mb", "isaac-sb")
NO_DEFAULT = ("tiny",)
EPILOG = """\
tables: chips area claims published endurance reference levers crossbar sensitivity
(--table picks some; --claims is --table claims,levers,crossbar)

exit codes: 0 done; 1 a chip or a run failed, or runs and estimates disagree; 2 bad options"""
FIRST = ("chips", "area", "claims", "published", "endurance", "reference")
TABLES = FIRST + ("levers", "crossbar", "sensitivity")


def numbers(text):
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise argparse.ArgumentTypeError(f"\"{text}\" is no list of positive numbers")
    return found


def positive(text):
    return numbers(text)[-1]


def names(text):
    for name in text.split(","):
        if name not in TABLES:
            raise argparse.ArgumentTypeError(f"no table {name}; there are {' '.join(TABLES)}")
    return text.split(",")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="mxcost", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--chip", action="append", metavar="CHIP", help="a chip's name or chip file; may be "
        "repeated (default: all that are installed, but for tiny)")
    add("--set", action="append", default=[], metavar="CHIP:SEC.KEY=VAL",
        help="replace a key of a chip file; may be repeated")
    add("--tokens", type=numbers, default=[128, 384, 512], metavar="N[,N...]",
        help="sequence lengths (default: 128,384,512)")
    add("--batch", type=positive, default=8, metavar="N",
        help="sequences of a job that fills the pipeline (default: 8)")
    add("--planes", type=numbers, default=[1, 2], metavar="N[,N]",
        help="INT8 planes of activations, 1 or 2 (default: both; ratios use the first)")
    add("--model", type=Path, default=TOP / "build" / "bert-large-uncased", metavar="DIR",
        help="Hugging Face folder to map (default: build/bert-large-uncased, which "
        "scripts/make-checkpoint makes)")
    add("--images", type=Path, default=TOP / "build" / "mxcost", metavar="DIR",
        help="where its images are kept (default: build/mxcost)")
    add("--estimate", action="store_true", help="no runs: counters by the chip's own estimate")
    add("--table", type=names, metavar="NAME[,NAME...]", help="which tables")
    add("--claims", action="store_true", help="the claims, and what would reach them")
    add("--reference", type=Path, default=TOP / "tests" / "reference" / "cost_model.py",
        metavar="FILE", help="the reference model")
    add("--no-reference", action="store_true", help="leave its table out")
    for form in ("markdown", "rst", "json", "csv"):
        add(f"--{form}", action="store_const", dest="form", const=form, default="text")
    add("--plots", metavar="DIR", help="write the pictures, as SVG")
    options = parser.parse_args(arguments)
    if not set(options.planes) <= {1, 2}:
        parser.error("--planes: there can be 1 or 2")
    if options.batch < 2:
        parser.error("--batch: 2 at least, or there is no pipeline to fill")
    options.table = ["claims", "levers", "crossbar"] if options.claims else \
        options.table or list(FIRST)
    if options.no_reference:
        options.table = [name for name in options.table if name != "reference"]
    return options


def chosen_chips(options):
    """The chips of the tables with their keys replaced, and the two baselines."""
    given = options.chip or sorted(p.stem for p in CHIP_DIR.glob("*.ini")
                                   if p.stem not in NO_DEFAULT)
    chips = [Variant(name) for name in given]
    if not options.chip:        # ours first
        chips.sort(key=lambda chip: (chip.name in BASELINES, chip.name))
    for chip in chips:
        if not chip.path.is_file():
            raise Failure(f"there is no chip {chip.chip}: no file {chip.path}")
    sets = {}
    for one in options.set:
        name, colon, rest = one.partition(":")
        if not colon or "=" not in rest:
            raise Failure(f"--set {one}: expected chip:section.key=value, such as "
                          "mx1:energy.mac=0.2")
        if name not in [chip.name for chip in chips] + list(BASELINES):
            raise Failure(f"--set {one}: chip {name} is not among those compared: " +
                          ", ".join(chip.name for chip in chips))
        sets[name] = sets.get(name, ()) + (rest,)
    chips = [chip.plus(*sets.get(chip.name, ())) for chip in chips]
    known = {chip.name: chip for chip in chips}
    baselines = [known.get(name) or Variant(name, sets.get(name, ())) for name in BASELINES]
    return chips, baselines


def map_images(options):
    """An image for each number of planes, mapped if it is not there or older than its model."""
    config = options.model / "config.json"
    if not config.is_file():
        hint = "; `scripts/make-checkpoint bert-large-uncased` makes one of BERT-Large's shape" \
            if options.model.name == "bert-large-uncased" else ""
        raise Failure(f"there is no model in {options.model}: no {config}{hint}")
    options.images.mkdir(parents=True, exist_ok=True)
    images = {}
    for planes in options.planes:
        image = options.images / f"{options.model.resolve().name}-{planes}.mxw"
        newest = max(path.stat().st_mtime for path in
                     [*options.model.glob("*.json"), *options.model.glob("*.safetensors"),
                      BIN / "mxmap"] if path.exists())
        if not image.exists() or image.stat().st_mtime < newest:
            print(f"mxcost: mapping {options.model} to {image}", file=sys.stderr)
            run(BIN / "mxmap", options.model, "-o", image, "--planes", planes)
        images[planes] = image
    return images, json.loads(config.read_text(encoding="utf-8"))


def check_runs(estimator, runner, chips, options):
    """Every counter of every run against the estimate. The number that agree, or Failure."""
    agreed = 0
    for planes in options.planes:
        for chip in chips:
            for tokens in options.tokens:
                try:
                    ran = runner.point(chip, tokens, planes).counters
                except Misfit:
                    continue
                expected = estimator.point(chip, tokens, planes).counters
                wrong = agreement.differences(ran, expected)
                if wrong:
                    name, have, want = wrong[0]
                    raise Failure(f"chip {chip.name}, {tokens} tokens: {len(wrong)} counters "
                                  f"differ from the estimate; {name} is {have}, estimated {want}")
                agreed += 1
    return agreed


def is_ours(estimator, chip):
    return estimator.describe(chip)["organisation"] != "traditional"


def make_tables(options, estimator, source, chips, baselines, config):
    first, tokens = options.planes[0], options.tokens
    ours = [chip for chip in chips if is_ours(estimator, chip)]
    made = {
        "area": lambda: [report.area(estimator, chips, tokens, first)],
        "chips": lambda: [report.side_by_side(estimator, source, chips, tokens, planes)
                          for planes in options.planes],
        "claims": lambda: [Claims(estimator, first, baselines, tokens).table(ours)],
        "published": lambda: [report.published(estimator, ours, tokens, first)],
        "endurance": lambda: [report.endurance(estimator, chips, tokens, first, config)],
        "reference": lambda: [agreement.table(estimator, agreement.load_reference(
            options.reference), chips, tokens)],
        "levers": lambda: [levers.table(Claims(estimator, first, baselines, tokens).ratios, ours,
                                        tokens[0])],
        "crossbar": lambda: crossbar.tables(estimator, ours, tokens[0], first),
        "sensitivity": lambda: [sensitivity.table(estimator, ours, tokens[len(tokens) // 2],
                                                  first)],
    }
    return [table for name in options.table for table in made[name]()]


def pictures():
    """The module that draws, which alone needs matplotlib."""
    try:
        from . import plots
    except ImportError as error:
        raise Failure(f"--plots: {error}; scripts/setup tests installs it") from None
    return plots


def main(arguments=None):
    options = parse(arguments)
    try:
        if options.plots:
            pictures()
        chips, baselines = chosen_chips(options)
        images, config = map_images(options)
        estimator = Estimator(images, options.tokens, options.batch)
        for chip in chips:
            estimator.describe(chip)        # bad files and keys, before anything is run
        with tempfile.TemporaryDirectory(prefix="mxcost-") as folder:
            source = estimator
            if not options.estimate:
                source = Runner(estimator, folder, config["vocab_size"])
                agreed = check_runs(estimator, source, chips, options)
                print(f"mxcost: {agreed} runs; every counter as estimated", file=sys.stderr)
            tables = make_tables(options, estimator, source, chips, baselines, config)
        sys.stdout.write(render(tables, options.form))
        if options.plots:
            plots = pictures()
            ours = [chip for chip in chips if is_ours(estimator, chip)]
            for path in plots.draw(estimator, chips, ours, options.tokens[len(options.tokens) // 2],
                                   options.planes[0], options.plots):
                print(f"mxcost: wrote {path}", file=sys.stderr)
    except Failure as failure:
        print(f"mxcost: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
