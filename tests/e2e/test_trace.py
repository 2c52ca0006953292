# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxrun --trace: the file follows the format's rules and says what the counters say; and
mxrun --json. On a chip in process and on the device, which tell the same."""

import json
from collections import defaultdict

import numpy as np
import pytest

from conftest import BIN, TOP, ragged, run, vm

COUNTERS_KEPT = ("jobs", "tokens", "cycles", "macs_static")


def trace(small, folder, lengths, *options):
    config = small.config
    ids = ragged(np.random.default_rng(5), config["vocab_size"], lengths)
    np.save(folder / "ids.npy", ids)
    run(BIN / "mxrun", small.image, "--ids", folder / "ids.npy", "--device", "sim:tiny",
        "--trace", folder / "trace.json", "--out", folder / "out.npy", "--json",
        folder / "run.json", *options)
    return (json.loads((folder / "trace.json").read_text()),
            json.loads((folder / "run.json").read_text()))


def blocks(document):
    return [event for event in document["traceEvents"] if event["ph"] == "X"]


@pytest.mark.parametrize("options", [(), ("--trace-tokens",)])
def test_rules_of_the_format(small, tmp_path, options):
    document, report = trace(small, tmp_path, [20, 7, 1], *options)
    assert set(document) == {"traceEvents", "displayTimeUnit"}
    names, ends, last = {}, defaultdict(float), 0.0
    for event in document["traceEvents"]:
        if event["ph"] == "M":
            names[event["name"], event["pid"], event.get("tid")] = event["args"]["name"]
            continue
        assert event["ph"] == "X" and event["dur"] > 0
        assert event["ts"] >= last, "in order"
        last = event["ts"]
        assert ("process_name", event["pid"], None) in names
        assert names["thread_name", event["pid"], event["tid"]].startswith(event["cat"])
        # Units are the chip's: its sequences share them.
        unit = event["tid"]
        assert event["ts"] >= ends[unit] - 1e-9, "a unit does one thing at a time"
        ends[unit] = event["ts"] + event["dur"]
        cycles = event["args"]["cycles"]
        assert event["dur"] == pytest.approx(cycles * 1e3 / report["modelled"]["clock_khz"])
        if options:
            assert "-" not in event["args"]["tokens"]
    assert len(set(names.values())) == len({(k[0], k[2] or k[1], v) for k, v in names.items()})
    assert {event["pid"] for event in blocks(document)} == {0, 1, 2}
    assert max(ends.values()) <= report["modelled"]["chip_us"] + 1e-9
    assert max(ends.values()) > report["modelled"]["chip_us"] * 0.9


def test_sums_are_the_busy_counters(small, tmp_path):
    """But for what is rounded to whole cycles once per op and sequence. LARGE: a span is of all
    banks that an op's weights lie in."""
    lengths = [20, 7, 1]
    document, report = trace(small, tmp_path, lengths)
    busy, ops = defaultdict(float), defaultdict(set)
    for event in blocks(document):
        busy[event["cat"]] += event["args"]["cycles"]
        ops[event["cat"]].add((event["pid"], event["args"]["op"]))
    assert {"small", "norm", "act", "softmax", "requant"} <= set(busy)
    for name, cycles in busy.items():
        counted = report["counters"][f"busy_{name}_cycles"]
        if name == "large":
            assert cycles - len(ops[name]) <= counted
        else:
            assert abs(counted - cycles) <= len(ops[name]), name
    for name, counted in report["counters"].items():
        if name.startswith("busy_") and counted:
            assert name[5:-7] in busy


def test_blocks_are_the_tokens_together(small, tmp_path):
    whole, _ = trace(small, tmp_path, [16, 5])
    single, _ = trace(small, tmp_path, [16, 5], "--trace-tokens")
    assert len(blocks(whole)) < len(blocks(single))
    sums = [defaultdict(float), defaultdict(float)]
    for total, document in zip(sums, (whole, single)):
        for event in blocks(document):
            total[event["pid"], event["tid"], event["args"]["op"]] += event["args"]["cycles"]
    assert sums[0] == sums[1]


def test_names_are_the_models(small, tmp_path):
    document, _ = trace(small, tmp_path, [4])
    names = {event["name"] for event in blocks(document)}
    layers = small.config["num_hidden_layers"]
    for layer in range(layers):
        assert {f"{op}, layer {layer}" for op in ("MATMUL", "MATMUL_DYN QK", "MATMUL_DYN PV",
                                                  "SOFTMAX", "NORM", "ACT")} <= names
    assert f"MATMUL, layer {layers}" not in names


def test_alone_it_runs_nothing(small, tmp_path):
    np.save(tmp_path / "ids.npy", np.array([[5, 6]], dtype=np.int32))
    done = run(BIN / "mxrun", small.image, "--ids", tmp_path / "ids.npy", "--device", "sim:tiny",
               "--trace", tmp_path / "t.json")
    assert done.stdout == "" and blocks(json.loads((tmp_path / "t.json").read_text()))
    done = run(BIN / "mxrun", small.image, "--ids", tmp_path / "ids.npy", "--device", "sim:tiny",
               "--trace", tmp_path / "none" / "t.json", check=False)
    assert done.returncode == 4 and "none/t.json" in done.stderr
    assert not list(tmp_path.glob("*.part"))


def test_picture(small, tmp_path):
    trace(small, tmp_path, [16])
    for options in ([], ["--layer", "1"]):
        run(TOP / "scripts" / "trace-picture", tmp_path / "trace.json", tmp_path / "layer.svg",
            *options)
        picture = (tmp_path / "layer.svg").read_text()
        assert picture.count("<path") > 10 and "softmax" in picture
        assert picture.count("<!-- MATMUL, op") == 7  # two planes of Q, K, V and both FFN products
        assert "<!-- other layers" not in picture  # in mx1 they follow each other
    trace(small, tmp_path, [16], "--device", "sim:mx1-inplace")
    run(TOP / "scripts" / "trace-picture", tmp_path / "trace.json", tmp_path / "layer.svg")
    assert "<!-- other layers" in (tmp_path / "layer.svg").read_text()
    done = run(TOP / "scripts" / "trace-picture", tmp_path / "trace.json", tmp_path / "x.svg",
               "--layer", "99", check=False)
    assert done.returncode == 1 and "layer 99" in done.stderr
    assert not (tmp_path / "x.svg").exists()


VM_SCRIPT = """
cd {folder}
mxrun {image} --ids ids.npy --trace there.json --out there.npy --json there-run.json
"""


def test_the_device_tells_the_same(small, tmp_path):
    here, report = trace(small, tmp_path, [20, 7, 1])
    vm(VM_SCRIPT.format(folder=tmp_path, image=small.image), tmp_path, "--prop", "chip=tiny")
    assert json.loads((tmp_path / "there.json").read_text()) == here
    there = json.loads((tmp_path / "there-run.json").read_text())
    for name in COUNTERS_KEPT:
        assert there["counters"][name] == report["counters"][name]
    assert there["modelled"] == report["modelled"]
    assert there["device"]["backend"] == "device" and report["device"]["backend"] == "sim"
