# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where mxmap puts weights on the chips there are, what it says of that, and what does not fit."""

import json
from math import ceil, prod

import numpy as np
import pytest

from conftest import BIN, MODEL, TOP, infer, make_bert, map_model, run
from test_mxmap import Image

CHIPS = sorted(path.stem for path in (TOP / "qemu-device" / "chips").glob("*.ini"))
LARGE = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 30522,
         "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
         "intermediate_size": 4096, "hidden_act": "gelu", "max_position_embeddings": 512,
         "type_vocab_size": 2, "layer_norm_eps": 1e-12}


def keys(path):
    """Keys of a chip file by section."""
    section, found = None, {}
    for line in path.read_text().splitlines():
        line = line.split(";")[0].strip()
        if line.startswith("["):
            section = line[1:-1]
        elif line:
            key, value = line.split("=")
            found[section, key.strip()] = value.strip()
    return found


def chip(folder, name, **changes):
    """A chip file with other values of some keys of [large] or [small]."""
    text = (TOP / "qemu-device" / "chips" / f"{name}.ini").read_text().splitlines()
    for key, value in changes.items():
        at = next(i for i, line in enumerate(text) if line.split("=")[0].strip() == key)
        text[at] = f"{key} = {value}"
    target = folder / f"{name}-changed.ini"
    target.write_text("\n".join(text) + "\n")
    return target


@pytest.fixture
def large(tmp_path):
    """BERT-Large without its weights: all that a plan needs."""
    folder = tmp_path / "bert-large"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LARGE))
    return folder


def plan(folder, target, *options):
    """mxmap --plan: the report as JSON."""
    report = target / "report.json"
    report.unlink(missing_ok=True)
    run(BIN / "mxmap", folder, "--plan", "--report", report, *options)
    return json.loads(report.read_text())


@pytest.mark.parametrize("policy", ["spread", "linear"])
@pytest.mark.parametrize("name", [name for name in CHIPS if name != "tiny"])
def test_every_chip_file(name, policy, large, tmp_path):
    chip_keys = keys(TOP / "qemu-device" / "chips" / f"{name}.ini")
    kind = chip_keys["chip", "organisation"]
    size = {key: int(value) for (section, key), value in chip_keys.items() if section == "large"}
    report = plan(large, tmp_path, "--chip", name, "--place", policy)
    assert report["place"] == policy and report["organisation"] == kind
    if kind == "synergy":
        tile = 64
        units = size["banks"] - size["intermediate_banks"]
        depth = size["bank_rows"] * size["bank_cols"] * size["cell_bits"] // 8 // tile
    else:
        tile = size["rows"] * size["cols"] * size["cell_bits"] // 8
        units = prod(size.get(key, 1) for key in ("chips", "tiles", "groups"))
        depth = size.get("subarrays", 1)
    assert (report["units"], report["depth"], report["tile_bytes"]) == (units, depth, tile)

    shapes = [(30522, 1024), (512, 1024), (2, 1024)]
    shapes += [(3072, 1024), (1024, 1024), (4096, 1024), (1024, 4096)] * 24
    assert [(weight["n"], weight["k"]) for weight in report["weights"]] == shapes
    for weight in report["weights"]:
        rows, cols = weight["k"], weight["n"]
        if weight["kind"] == "table":
            rows, cols = cols, rows
        tiles = rows * cols // 64 if kind == "synergy" else \
            ceil(rows / size["rows"]) * ceil(cols / (tile // size["rows"]))
        assert weight["tiles"] == tiles
        assert weight["passes"] >= ceil(tiles / weight["units"])
    total = sum(weight["tiles"] for weight in report["weights"])
    assert report["tiles"] == total <= units * depth
    assert report["tiles_share"] == pytest.approx(total / units / depth)
    assert 0 < report["mean_share"] <= report["busiest_share"] <= 1


def test_spread_is_what_the_cost_model_assumes(large, tmp_path):
    report = plan(large, tmp_path, "--chip", "mx1-inplace", "--planes", 1)
    layers = [weight for weight in report["weights"] if weight["layer"] is not None]
    assert [weight["units"] for weight in layers] == [768, 256, 1024, 1024] * 24
    assert {weight["passes"] for weight in layers} == {1}
    assert report["steps"] == 25
    linear = plan(large, tmp_path, "--chip", "mx1-inplace", "--planes", 1, "--place", "linear")
    assert linear["steps"] == 25 * 32 and linear["units_used"] == ceil(report["tiles"] / 32)


def test_plan_writes_nothing(large, tmp_path):
    done = run(BIN / "mxmap", large, "--plan", "--chip", "mx1-inplace")
    assert "layers 0-23" in done.stdout and "3072 of 3072 groups" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["bert-large"]
    assert [path.name for path in large.iterdir()] == ["config.json"]


def test_bad_options(large, tmp_path):
    done = run(BIN / "mxmap", large, "--plan", "--place", "evenly", check=False)
    assert done.returncode == 2 and "evenly" in done.stderr and "spread or linear" in done.stderr
    done = run(BIN / "mxmap", large, "--plan", "--report", tmp_path / "no" / "r.json", check=False)
    assert done.returncode == 1 and "no/r.json" in done.stderr
    done = run(BIN / "mxmap", large, check=False)
    assert done.returncode == 2 and "-o FILE" in done.stderr


def test_image_and_card(tmp_path):
    """The table is the report's; the card has the summary."""
    report = tmp_path / "report.json"
    done = map_model(MODEL, tmp_path / "out.mxw", "--chip", "mx1-inplace", "--report", report)
    assert 'placement "spread" on mx1-inplace' in done.stderr
    report = json.loads(report.read_text())
    image = Image(tmp_path / "out.mxw")
    assert image.place_geometry == [3072, 32, 128, 32]
    assert image.places == [(weight["w_off"], weight["first"], weight["units"], 0)
                            for weight in report["weights"]]
    card = image.card()["placement"]
    assert card == {key: report[key] for key in report if key not in ("weights", "model", "chip")}


def test_results_do_not_depend_on_the_placement(tmp_path):
    make_bert(tmp_path / "bert", seed=11)
    ids = np.random.default_rng(1).integers(1, 1000, (3, 20))
    images = {}
    for name, policy in (("mx1-inplace", "spread"), ("mx1-inplace", "linear"), ("mx1", "spread")):
        images[name, policy] = tmp_path / f"{name}-{policy}.mxw"
        map_model(tmp_path / "bert", images[name, policy], "--chip", name, "--place", policy)
    contents = {Image(path).content for path in images.values()}
    assert len(contents) == 3
    results = [infer(path, ids, tmp_path, device=f"sim:{name}").tobytes()
               for path in images.values() for name in ("mx1-inplace", "mx1", "isaac-mb", "tiny")]
    assert len(set(results)) == 1


def test_predicted_cycles(tmp_path):
    """The image's own placement is what a job is timed with; a foreign one is not."""
    make_bert(tmp_path / "bert", seed=12)
    ids = np.random.default_rng(2).integers(1, 1000, (1, 64))
    cycles = {}
    for policy in ("spread", "linear"):
        image = tmp_path / f"{policy}.mxw"
        report = tmp_path / "report.json"
        map_model(tmp_path / "bert", image, "--chip", "mx1-inplace", "--place", policy,
                  "--report", report)
        for name in ("mx1-inplace", "mx1"):
            told = tmp_path / "run.json"
            infer(image, ids, tmp_path, device=f"sim:{name}", entry="tokens",
                  options=("--json", told))
            cycles[policy, name] = json.loads(told.read_text())["counters"]["cycles"]
        assert json.loads(report.read_text())["cycles"] == {"64": cycles[policy, "mx1-inplace"]}
    assert cycles["linear", "mx1-inplace"] > 2 * cycles["spread", "mx1-inplace"]
    assert cycles["linear", "mx1"] == cycles["spread", "mx1"]


def test_naive_against_mapper():
    """The table in the documentation is what the command prints; the mapper never loses."""
    printed = run(TOP / "scripts" / "bench-placement", "--rst").stdout
    assert printed.strip() in (TOP / "Documentation" / "mapper.rst").read_text()
    rows = [line.strip().strip('"').split('", "') for line in printed.splitlines()[3:]]
    assert len(rows) == 3 * 3 * 2
    for model, name, _, _, _, linear, spread, _ in rows:
        if name == "isaac-mb":
            assert linear == spread
        elif name == "mx1-inplace":
            assert int(linear) > 20 * int(spread), model
        else:
            assert int(linear) > 1.5 * int(spread), model


# ------------------------------------------------------------------ what does not fit

@pytest.mark.parametrize("name, key, changes, what", [
    ("mx1", "banks", {"banks": 5}, "bytes of cells"),
    ("mx1-inplace", "groups", {"groups": 2000}, "arrays of 128 x 32 weights"),
    ("isaac-mb", "chips", {"chips": 3}, "K and V among it"),
    ("isaac-sb", "chips", {"chips": 3}, "arrays of 128 x 16 weights"),
])
def test_cells(name, key, changes, what, large, tmp_path):
    """The message names the value with which the model fits; one less does not do."""
    target = chip(tmp_path, name, **changes)
    done = run(BIN / "mxmap", large, "--plan", "--chip", target, check=False)
    assert done.returncode == 1 and done.stdout == "" and what in done.stderr
    enough = int(done.stderr.split(f"with {key} = ")[1].split()[0])
    for value, status in ((enough, 0), (enough - 1, 1)):
        target = chip(tmp_path, name, **{key: value})
        done = run(BIN / "mxmap", large, "--plan", "--chip", target, check=False)
        assert done.returncode == status, done.stderr


def test_contexts(large, tmp_path):
    """K and V of long sequences do not fit the small crossbars."""
    target = chip(tmp_path, "mx1-inplace", contexts=40)
    done = run(BIN / "mxmap", large, "--plan", "--chip", target, check=False)
    assert done.returncode == 1 and "contexts of each small crossbar" in done.stderr
    limit = int(done.stderr.split("--max-tokens ")[1].split()[0])
    for tokens, status in ((limit, 0), (limit + 1, 1)):
        done = run(BIN / "mxmap", large, "--plan", "--chip", target, "-t", tokens, check=False)
        assert done.returncode == status, done.stderr
