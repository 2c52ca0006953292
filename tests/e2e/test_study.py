# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxstudy: the accuracy study on the real model, its sentences, head and intervals."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from conftest import BIN, MODEL, TOP, run

sys.path.insert(0, str(TOP / "tools"))

from mxcost.chips import Failure                            # noqa: E402
from mxstudy import head, packages, sweeps                  # noqa: E402
from mxstudy.chip import Chip                               # noqa: E402
from mxstudy.chip_text import with_keys                     # noqa: E402
from mxstudy.intervals import mean_and_half, wilson         # noqa: E402
from mxstudy.plots import positions                         # noqa: E402
from mxstudy.setting import CALIBRATED, Setting, Sweep      # noqa: E402
from mxstudy.study import Texts, points                     # noqa: E402

TOPICS = ("image editor", "chess game", "mail server", "python binding", "font family",
          "sound player", "web browser", "shell script", "kernel driver", "math solver",
          "text parser", "network monitor")


def package(name, section, text, source=None):
    lines = [f"Package: {name}"] + ([f"Source: {source} (1.0)"] if source else [])
    return "\n".join([*lines, f"Section: {section}", f"Description: {text}", " More of it.", "",
                      ""])


def made_up(count=150):
    """As apt prints them: sentences of twelve sections."""
    return "".join(package(f"p{topic}-{i}", f"section{topic}", f"{name} number {i} for all")
                   for topic, name in enumerate(TOPICS) for i in range(count))


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A quick study of some sweeps on what apt knows here: its folder and results."""
    folder = tmp_path_factory.mktemp("study")
    done = run(BIN / "mxstudy", "--quick", "--folder", folder, "--sweep", "adc-bits", "--sweep",
               "drift")
    return folder, json.loads((folder / "study.json").read_text()), done


def test_a_quick_study(quick):
    folder, results, done = quick
    assert results["corpus"]["sha256"] in done.stdout
    assert len(results["corpus"]["sections"]) == packages.SECTIONS
    assert not results["not_offered"]
    adc, drift = results["sweeps"]
    assert "Read noise" in results["not_run"] and "Drift" not in results["not_run"]
    wide, narrow, calibrated_wide, calibrated_narrow = adc["rows"]
    assert wide["clamped"] == 0 and wide["cosine"] > 0.99
    assert narrow["clamped"] > 0.1 and narrow["cosine"] < 0.8
    assert narrow["same"] < wide["same"]
    assert calibrated_wide["clamped"] == 0 and calibrated_wide["cosine"] > 0.99
    assert calibrated_narrow["cosine"] > narrow["cosine"] + 0.2
    new, old, compensated_new, compensated_old = drift["rows"]
    assert new["seeds"] == old["seeds"] == 2 and new["cosine_seeds"] > 0
    assert old["cosine"] < new["cosine"] and old["at"] > new["at"]
    assert compensated_new["cosine"] > new["cosine"]
    assert compensated_old["cosine"] > old["cosine"]
    markdown = (folder / "study.md").read_text()
    for sweep in results["sweeps"]:
        assert sweep["title"] in markdown and sweep["title"] in done.stdout
        root = xml.parse(folder / f"{sweep['name']}.svg").getroot()
        assert root.tag.endswith("svg") and len(list(root.iter())) > 100
    assert not [path for path in folder.rglob("*") if str(os.getpid()) in path.name]


def test_float32_is_its_own_reference_and_exact_is_near(quick):
    _, results, _ = quick
    rows = {(row["name"], row["planes"]): row for row in reversed(results["baseline"])}
    assert rows["float32", None]["same"] == 1 and rows["float32", None]["cosine"] > 1 - 1e-6
    assert rows["float32", None]["accuracy"] > 3 / packages.SECTIONS
    assert 0.99 < rows["exact", 1]["cosine"] < rows["exact", 2]["cosine"] < 1


def test_what_was_run_is_kept(quick):
    folder, results, _ = quick
    kept = {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    run(BIN / "mxstudy", "--quick", "--folder", folder, "--sweep", "adc-bits")
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()} == kept
    again = json.loads((folder / "study.json").read_text())
    assert again["sweeps"] == results["sweeps"][:1] and again["baseline"] == results["baseline"]


def test_a_lossless_converter_is_exact(tmp_path):
    chip, texts = Chip("mx1-inplace", MODEL, tmp_path), Texts(MODEL)
    ids = texts.ids(packages.make_corpus(made_up(), 10, 1).test)
    for planes in (1, 2):
        exact = chip.infer(ids, planes)
        wide = chip.infer(ids, planes, Setting("", ("large.adc_bits=12",)))
        narrow = chip.infer(ids, planes, Setting("", ("large.adc_bits=3",)))
        np.testing.assert_array_equal(wide.embeddings.view(np.uint32),
                                      exact.embeddings.view(np.uint32))
        assert wide.clamped == 0 < narrow.clamped
        assert (narrow.embeddings != exact.embeddings).any()
    noisy = Setting("", ("analog.program_sigma=0.01",))
    first, other = (chip.infer(ids, 1, noisy, seed).embeddings for seed in (1, 2))
    assert (first != other).any(), "each seed is another chip"


def test_a_key_that_the_chip_lacks_is_told(tmp_path):
    chip = Chip("mx1-inplace", MODEL, tmp_path)
    less = chip.keys - {"analog.stuck_at_0"}
    own = [sweep for sweep in sweeps.SWEEPS if not sweep.chip]
    there, absent = sweeps.offered(own, {"": less})
    assert absent["Cells stuck at the lowest conductance"] == ["analog.stuck_at_0"]
    assert {one.title for one in own} == {one.title for one in there} | set(absent)
    assert "analog.leak" in sweeps.without_sweep(own, {*less, "analog.leak"})


def test_every_key_of_the_chip_is_varied(tmp_path):
    chip = Chip("mx1-inplace", MODEL, tmp_path)
    assert not sweeps.without_sweep(sweeps.SWEEPS, chip.keys)


def test_every_setting_makes_a_chip(tmp_path):
    """Of all sweeps that there are keys for: what the chip model says of the chip file."""
    chips = {name: Chip(name or "mx1-inplace", MODEL, tmp_path) for name in ("", "mx1")}
    there, _ = sweeps.offered(sweeps.SWEEPS, {name: chip.keys for name, chip in chips.items()})
    made = {with_keys(chips[sweep.chip].text, setting.sets)
            for sweep in there for _, _, _, setting in points(sweep)}
    for text in made:
        (tmp_path / "chip.ini").write_text(text)
        run(BIN / "mxchip", tmp_path / "chip.ini")
    assert len(made) > 150


def test_what_is_common_to_a_sweep_gives_way():
    sweep = Sweep("", "", "", (Setting("p", ("a.b=2",)),),
                  (Setting("s", ("a.b=1", "a.c=1")),), base=Setting("", ("a.c=0",)))
    (_, _, _, setting), = points(sweep)
    assert with_keys("[a]\n", setting.sets) == "[a]\nb = 2\nc = 1\n"


def test_calibration_and_smoothing_reach_the_image(tmp_path):
    corpus = packages.make_corpus(made_up(), 10, 1)
    text = "".join(f"{one.text}\n" for one in corpus.train[:6])
    chip = Chip("mx1-inplace", MODEL, tmp_path, text)
    ids = Texts(MODEL).ids(corpus.test)
    narrow = Setting("", ("large.adc_bits=4",))
    fixed = chip.infer(ids, 1, narrow)
    assert chip.infer(ids, 1, narrow.plus(CALIBRATED)).clamped < fixed.clamped / 2
    smooth = chip.infer(ids, 1, Setting("", mapping=("--smooth=0.5",)), analog=False)
    assert (smooth.embeddings != chip.infer(ids, 1, analog=False).embeddings).any()
    assert len(list(tmp_path.glob("images/*.mxw"))) == 3


def test_keys_of_chip_files():
    text = ("[large]\nbits = 8   ; eight\n\n[analog]  ; effects\nstep = 1\nsigma=0\n"
            "[end]\nstep = 3\n")
    assert with_keys(text, ("analog.step=2",)) == text.replace("step = 1", "step = 2")
    assert with_keys(text, ("analog.step=",)) == text.replace("step = 1\n", "")
    assert with_keys(text, ("analog.nu=5",)) == text.replace("step = 1", "nu = 5\nstep = 1")
    assert with_keys(text, ("new.x=1",)) == text + "[new]\nx = 1\n"
    assert with_keys(text, ("analog.nu=", "other.x=")) == text
    assert with_keys(text, ("large.bits=4", "large.bits=6")).splitlines()[1] == "bits = 6"


def test_a_logarithmic_axis():
    rows = [{"point": str(at), "at": at} for at in (1000, 10, 1)]
    assert positions({"log": False, "rows": rows}) == {"1000": 0, "10": 1, "1": 2}
    assert positions({"log": True, "rows": rows}) == pytest.approx(
        {"1000": 2, "10": 2 / 3, "1": 0})


# ------------------------------------------------------------- sentences, head, intervals

def test_sentences_are_balanced_and_fixed():
    corpus = packages.make_corpus(made_up(), 40, 10)
    for side, count in ((corpus.train, 40), (corpus.test, 10)):
        labels = [one.label for one in side]
        assert all(labels.count(label) == count for label in range(12))
        assert sorted(labels[:12]) == list(range(12)), "the first ones are balanced, too"
    assert not {one.text for one in corpus.train} & {one.text for one in corpus.test}
    shuffled = "\n\n".join(reversed(made_up().strip().split("\n\n")))
    assert packages.make_corpus(shuffled, 40, 10) == corpus
    assert packages.make_corpus(made_up().replace("number 7 ", "number 7b "), 40,
                                10).digest != corpus.digest


def test_sentences_that_are_left_out():
    texts = [one for entries in packages.by_section(
        package("a", "games", "a game of chess") +
        package("a-data", "doc", "data of a game", source="a") +
        package("b", "games", "two words") +
        package("c", "games", "the same sentence twice") +
        package("d", "doc", "The same  sentence twice") +
        package("e", "non-free/games", "a game that is not free") +
        "Package: f\nSection: doc\n\n" +
        package("g", "doc", "the one with a newline").rstrip()).values() for one in entries]
    said = {text for _, text in texts}
    assert "the one with a newline" in said and len(said) == 2
    assert len(said & {"a game of chess", "data of a game"}) == 1, "one of each source"


def test_the_head_finds_the_minimum():
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 4, 400)
    x = generator.normal(0, 1, (4, 16))[labels] + generator.normal(0, 1, (400, 16))
    found = head.train(x, labels)
    assert (found.predict(x) == labels).mean() > 0.9

    def loss(weights):
        scores = head.with_one(x) @ weights
        fits = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(400), labels]
        return fits.mean() + head.PENALTY / 2 * (weights[:-1] ** 2).sum()

    least = loss(found.weights)
    for _ in range(20):
        assert loss(found.weights + generator.normal(0, 0.01, found.weights.shape)) > least


def test_intervals():
    # Wilson's interval of 0, 5 and 10 of 10, from his formula by hand
    for share, low, high in ((0, 0, 0.27753), (0.5, 0.23659, 0.76341), (1, 0.72247, 1)):
        assert wilson(share, 10) == pytest.approx((low, high), abs=1e-4)
    assert mean_and_half([2.0]) == (2.0, None)
    mean, half = mean_and_half([1.0, 2, 3, 4, 5])
    assert mean == 3 and half == pytest.approx(2.776 * np.sqrt(2.5 / 5))
    # The quantile of 13 degrees of freedom is not in the table: a wider one is taken.
    values = np.arange(14.0)
    assert mean_and_half(values)[1] >= 2.160 * values.std(ddof=1) / np.sqrt(14)


# ------------------------------------------------------------- documentation, bad input

def document(*options):
    return subprocess.run([sys.executable, "-B", "-m", "mxstudy.document", *map(str, options)],
                          env={**os.environ, "PYTHONPATH": str(TOP / "tools")}, text=True,
                          capture_output=True, timeout=60, check=False)


def test_documentation_has_the_tables_of_its_study(tmp_path):
    done = document("--check")
    assert done.returncode == 0, done.stderr
    results = json.loads((TOP / "Documentation" / "study.json").read_text())
    results["sweeps"][0]["rows"][0]["same"] = 0.0123
    (tmp_path / "other.json").write_text(json.dumps(results))
    done = document("--check", "--results", tmp_path / "other.json")
    assert done.returncode == 1 and '"1.2"' in done.stderr


@pytest.fixture
def study(tmp_path):
    def start(*options, path=None):
        done = run(BIN / "mxstudy", "--quick", "--folder", tmp_path / "folder", *options,
                   check=False) if path is None else subprocess.run(
            [BIN / "mxstudy", "--quick", "--folder", tmp_path / "folder"], text=True,
            capture_output=True, check=False, env={**os.environ, "PATH": path})
        assert "Traceback" not in done.stderr and not (tmp_path / "folder/study.json").exists()
        return done
    return start


@pytest.mark.parametrize("script, said", [
    ("exit 0", "0 source packages in 0 sections, too few for 12; `apt-get update`"),
    ("echo broken >&2; exit 100", "apt-cache dumpavail failed: broken"),
])
def test_no_apt_data(study, tmp_path, script, said):
    fake = tmp_path / "apt-cache"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    done = study(path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1 and said in done.stderr


def test_no_apt(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="cannot run apt-cache: No such file"):
        packages.apt_text()


@pytest.mark.parametrize("text, said", [
    (b"", "0 source packages in 0 sections"),
    (b"\x00\xff\xfe binary", "is not text"),
    (made_up(3).encode(), "sentences to"),
    (None, "cannot read"),
])
def test_bad_package_files(study, tmp_path, text, said):
    path = tmp_path / "packages"
    if text is not None:
        path.write_bytes(text)
    done = study("--packages", path)
    assert done.returncode == 1 and said in done.stderr


@pytest.mark.parametrize("options, status, said", [
    (["--model", "/nonexistent"], 1, "there is no model in /nonexistent"),
    (["--chip", "nope"], 1, "there is no chip nope"),
    (["--folder", "/proc/nope"], 1, "cannot write to /proc/nope"),
    (["--seeds", "0"], 2, "no number from 1"),
    (["--sweep", "nope"], 2, "invalid choice"),
])
def test_bad_options(study, tmp_path, options, status, said):
    path = tmp_path / "packages"
    path.write_text(made_up())
    done = study("--packages", path, *options)
    assert done.returncode == status and said in done.stderr, done.stderr


def test_a_broken_model(study, tmp_path):
    (tmp_path / "packages").write_text(made_up())
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "vocab.txt"):
        (model / name).write_bytes((Path(MODEL) / name).read_bytes())
    (model / "model.safetensors").write_bytes(b"short")
    done = study("--packages", tmp_path / "packages", "--model", model)
    assert done.returncode == 1 and "too short for a safetensors header" in done.stderr
