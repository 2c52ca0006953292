# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxcost and mxchip: the tables against the reference model, keys that change them, bad input."""

import csv
import importlib.util
import io
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

from conftest import BIN, TOP, run

CHIPS = TOP / "qemu-device" / "chips"
NAME = "bert-large-uncased"
TOKENS = (128, 384, 512)
OURS = ("mx1", "mx1-inplace")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Options that name the model, and where its images are kept."""
    run(TOP / "scripts" / "make-checkpoint", NAME)
    folder = tmp_path_factory.mktemp("mxcost")
    return ["--model", TOP / "build" / NAME, "--images", folder]


@pytest.fixture(scope="module")
def mxcost(images):
    def start(*options, check=True, estimate=True):
        extra = ["--estimate"] if estimate else []
        return run(BIN / "mxcost", *images, *extra, *options, check=check)
    return start


@pytest.fixture(scope="module")
def tables(mxcost):
    """Asks for tables: {name: {first cell(s): {column: cell}}}"""
    def ask(*options, estimate=True):
        out = mxcost("--json", *options, estimate=estimate).stdout
        return {table["name"]: table for table in json.loads(out)}
    return ask


@pytest.fixture(scope="module")
def all_tables(tables):
    return tables()


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location(
        "reference_model", TOP / "tests" / "reference" / "cost_model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def rows(table, column):
    """{first cell: list of figures} of a chip's column"""
    place = [name.split()[:1] for name in table["head"]].index([column])
    return {row[0].strip(): row[place] for row in table["rows"]}


# ------------------------------------------------------------- the figures

def test_reference_table_is_within_a_hundredth(all_tables):
    wanted = {"area", "latency", "energy, host link left out"}
    seen = set()
    for chip, tokens, what, _, theirs, ours, off in all_tables["reference"]["rows"]:
        if what in wanted:
            assert abs(ours / theirs - 1) < 0.01, (chip, tokens, what, theirs, ours)
            assert off == pytest.approx(100 * (ours / theirs - 1))
            seen.add((chip, tokens, what))
    assert len(seen) == 4 * len(TOKENS) * len(wanted)


@pytest.mark.parametrize("tokens", TOKENS)
def test_claims_follow_from_the_reference(all_tables, reference, tokens):
    """Section by section of the reference's own ratios, computed here from its functions."""
    at = TOKENS.index(tokens)
    m = reference
    area, inplace = m.mx1_area(m.M)["TOTAL"], m.mx1_energy(m.M, tokens)["TOTAL"]
    seconds = m.mx1_latency(m.M, tokens)["lat_us"] * 1e-6
    dense = m.mx1p(tokens)
    multi, single = m.trad(tokens, 4), m.trad(tokens, 8)
    link = m.replace(m.TECH, e_link_b=6.0)
    gated = m.trad(tokens, 4, "offchip", tech=link, gate=True)["e"]["TOTAL"]
    expected = {"mx1-inplace": {
        "area, multi-bit crossbars": multi["area"] / area,
        "area, multi-bit, without the baseline's links":
            m.trad(tokens, 4, io_area=False)["area"] / area,
        "area, single-bit crossbars": single["area"] / area,
        "energy, multi-bit, K and V rewritten": multi["e"]["TOTAL"] / inplace,
        "energy, single-bit, K and V rewritten": single["e"]["TOTAL"] / inplace,
        "energy, multi-bit, attention off chip":
            m.trad(tokens, 4, "offchip")["e"]["TOTAL"] / inplace,
        "energy, multi-bit, off chip, gated ADCs, 6 pJ/b link": gated / inplace,
        "area-delay, the paper's GPU (2.04 mm2.s)": 2.04 / (area * seconds),
    }, "mx1": {
        "area, multi-bit crossbars": multi["area"] / dense["area"]["TOTAL"],
        "energy, multi-bit, K and V rewritten": multi["e"]["TOTAL"] / dense["e"]["TOTAL"],
        "area-delay, the paper's GPU (2.04 mm2.s)":
            2.04 / (dense["area"]["TOTAL"] * dense["lat_us"] * 1e-6),
    }}
    if tokens != 512:
        card, watts, measured = m.PUB["A100 INT8 (TRT10.0)"]
        expected["mx1-inplace"]["area-delay, A100 INT8, batch 1"] = \
            card * measured[tokens][0] * 1e-3 / (area * seconds)
        expected["mx1-inplace"]["energy saved %, A100 INT8, batch 1"] = \
            100 * (1 - inplace / (watts * measured[tokens][0]))
    for chip, claims in expected.items():
        found = rows(all_tables["claims"], chip)
        for claim, figure in claims.items():
            assert found[claim][at] == pytest.approx(figure, rel=0.01), (chip, claim)


def test_derived_figures(all_tables):
    """Power, densities and efficiency from area, latency, energy and products."""
    for planes in (1, 2):
        for chip in OURS:
            found = rows(all_tables[f"chips_planes_{planes}"], chip)
            for i in range(len(TOKENS)):
                def cell(name, i=i, found=found):
                    return found[name][i]
                watts = cell("energy") * 1e-3 / (cell("latency, one sequence") * 1e-6)
                assert cell("power") == pytest.approx(watts)
                assert cell("power density") == pytest.approx(watts / cell("area"))
                assert cell("area-delay") == pytest.approx(
                    cell("area") * cell("latency, one sequence") * 1e-6)
                picojoules = cell("energy") / cell("multiply-accumulates")
                assert cell("energy per multiply-accumulate") == pytest.approx(picojoules)
                assert cell("efficiency") == pytest.approx(2 / picojoules)


def test_components_add_up(all_tables):
    for chip in OURS:
        found = rows(all_tables["chips_planes_1"], chip)
        names = [row[0] for row in all_tables["chips_planes_1"]["rows"]]
        parts = [name.strip() for name in names if name.startswith("  ")]
        for i in range(len(TOKENS)):
            assert sum(found[part][i] for part in parts) == pytest.approx(found["energy"][i])


def test_paper_is_never_ours(all_tables):
    """Its figures stand in its column only; ours move with the chip file, see below."""
    claims = all_tables["claims"]
    assert claims["head"][1] == "paper"
    paper = {row[0]: row[1] for row in claims["rows"] if row[1]}
    assert sorted(paper.values()) == ["18x", "39x", "3x", "68x", "68x", "69 %", "6x"]


@pytest.mark.parametrize("chip", ["mx1", "mx1-inplace", "isaac-mb"])
def test_runs_agree_with_estimates(mxcost, chip):
    done = mxcost("--chip", chip, "--tokens", "48,128", "--table", "chips", estimate=False)
    assert "4 runs; every counter as estimated" in done.stderr


# ------------------------------------------------------------- keys

ENERGY = {"energy", "energy of one in a batch", "energy per multiply-accumulate", "efficiency",
          "power", "power density"}
AREA = {"area", "power density", "area-delay"}
TIME = {"latency, one sequence", "interval in a batch of 8", "inferences per second, batched"}


@pytest.mark.parametrize("setting, changed", [
    ("mx1-inplace:energy.adc=3.334", ENERGY | {"ADC"}),
    ("mx1:energy.mac=0.1", ENERGY | {"digital fabric"}),
    ("mx1-inplace:area.cell_f2=12", AREA),
    ("mx1-inplace:large.adcs=4", ENERGY | AREA | TIME | {"idle ADCs", "static"}),
    ("mx1-inplace:power.adc_idle=0", ENERGY | {"idle ADCs"}),
    ("isaac-mb:energy.cell_write=60", ENERGY | {"memristor writes"}),
])
def test_one_key_changes_its_rows_and_no_others(tables, all_tables, setting, changed):
    chip = setting.split(":")[0]
    before, after = all_tables, tables("--set", setting, "--table", "chips")
    for name, table in after.items():
        for column in table["head"][2:]:
            old, new = (rows(t, column.split()[0]) for t in (before[name], table))
            moved = {row for row in new if new[row] != old.get(row)} | (set(old) - set(new))
            assert moved == (changed if column.split()[0] == chip else set()), column


def test_cell_bits(tables, all_tables):
    """Four bits a cell: half the arrays for the same model, and half the conversions."""
    sets = [option for key in ("large.cell_bits=4", "large.subarrays=16")
            for option in ("--set", f"mx1-inplace:{key}")]
    after = rows(tables(*sets, "--table", "chips")["chips_planes_1"], "mx1-inplace")
    before = rows(all_tables["chips_planes_1"], "mx1-inplace")
    for i in range(len(TOKENS)):
        assert after["ADC"][i] == pytest.approx(before["ADC"][i] / 2, rel=0.001)
        assert after["area"][i] < before["area"][i]
        assert after["softmax"][i] == before["softmax"][i]


def test_a_chip_file_anywhere(tables, tmp_path, all_tables):
    text = (CHIPS / "mx1.ini").read_text(encoding="utf-8")
    (tmp_path / "mine.ini").write_text(text.replace("mac = 0.23 ", "mac = 0.46 "),
                                       encoding="utf-8")
    found = rows(tables("--chip", tmp_path / "mine.ini", "--table", "chips")["chips_planes_1"],
                 "mine")
    before = rows(all_tables["chips_planes_1"], "mx1")
    for i in range(len(TOKENS)):
        assert found["digital fabric"][i] == pytest.approx(2 * before["digital fabric"][i])


# ------------------------------------------------------------- the claims' levers

def test_levers_reach_what_they_say(tables):
    """A crossing of the table, set by hand, has the claim's figure."""
    table = tables("--claims", "--tokens", "128", "--chip", "mx1")["levers"]
    found = {(row[0], row[4]): row for row in table["rows"]}
    row = found["energy, multi-bit, K and V rewritten", "energy.mac"]
    assert row[6] == "yes" and row[8] == pytest.approx(row[3], rel=0.001)
    claims = tables("--tokens", "128", "--chip", "mx1", "--table", "claims", "--set",
                    f"mx1:energy.mac={row[7]}")["claims"]
    assert rows(claims, "mx1")["energy, multi-bit, K and V rewritten"][0] == \
        pytest.approx(row[3], rel=0.01)
    row = found["area-delay, the paper's GPU", "area.control"]
    assert row[6] == "no" and row[8] < row[3]


def test_crossbar_counts(tables):
    """Conversions per product of the chip model are those of the formula, tails aside."""
    found = tables("--table", "crossbar", "--tokens", "128", "--chip", "mx1")
    per_mac = {row[0]: row[8] for row in found["crossbar"]["rows"]}
    assert per_mac["2-bit ADC, 3 rows a conversion"] == pytest.approx(64 * 43 / 128, rel=0.03)
    assert per_mac["8-bit ADC, all 128 rows"] == pytest.approx(64 / 128, rel=0.03)
    digits = {tuple(row[:3]): row[3] for row in found["digits"]["rows"]}
    assert digits[1, 1, 2] == pytest.approx(64 / 3)
    assert digits[2, 1, 8] == pytest.approx(32 / 85)
    assert (2, 2, 2) not in digits, "a product of two 2-bit digits exceeds 3"


# ------------------------------------------------------------- forms and pictures

@pytest.mark.parametrize("form", ["text", "markdown", "rst", "csv"])
def test_forms_have_every_row(mxcost, all_tables, form):
    names = ("chips", "area", "endurance")
    out = mxcost("--table", ",".join(names), *([] if form == "text" else [f"--{form}"])).stdout
    for name, table in all_tables.items():
        if not name.startswith(names):
            continue
        assert form == "csv" or table["title"] in out
        for row in table["rows"]:
            assert str(row[0]).strip() in out
    if form == "csv":
        named = [line[0] for line in csv.reader(io.StringIO(out))]
        for name, table in all_tables.items():
            if name.startswith(names):
                assert named.count(name) == len(table["rows"])


def test_pictures(mxcost, tmp_path):
    mxcost("--tokens", "128", "--table", "area", "--plots", tmp_path / "plots")
    names = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert names == {"area", "energy", "tokens", "area-delay", "sensitivity-mx1",
                     "sensitivity-mx1-inplace"}
    for path in (tmp_path / "plots").iterdir():
        root = xml.parse(path).getroot()
        assert root.tag.endswith("svg") and len(list(root.iter())) > 100


def test_documentation_has_these_tables(images):
    done = subprocess.run([sys.executable, "-B", "-m", "mxcost.document", "--check",
                           *map(str, images)], env={**os.environ, "PYTHONPATH": str(TOP / "tools")}, text=True,
                          capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------- bad input

@pytest.mark.parametrize("options, said", [
    (["--chip", "nope"], "there is no chip nope"),
    (["--set", "mx1"], "expected chip:section.key=value"),
    (["--set", "nope:energy.adc=1"], "chip nope is not among those compared"),
    (["--set", "mx1:energy.nope=1"], "no key nope in section [energy]"),
    (["--set", "mx1:energy.mac=lots"], "mac = lots: expected a decimal number"),
    (["--set", "mx1:energy.mac=-1"], "mac = -1: expected a decimal number"),
    (["--set", "mx1:large.cell_bits=3"], "cell_bits = 3"),
    (["--model", "/nonexistent"], "there is no model in /nonexistent"),
    (["--reference", "/nonexistent"], "there is no reference model /nonexistent"),
])
def test_bad_input_gets_a_sentence(mxcost, options, said):
    done = mxcost(*options, check=False)
    assert done.returncode == 1 and not done.stdout
    lines = done.stderr.strip().splitlines()
    assert said in lines[-1] and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("options", [["--tokens", "0"], ["--tokens", "x"], ["--batch", "1"],
                                     ["--planes", "3"], ["--table", "nope"]])
def test_bad_options(mxcost, options):
    done = mxcost(*options, check=False)
    assert done.returncode == 2 and not done.stdout and "error: " in done.stderr


def test_more_tokens_than_the_model_takes(tables):
    found = tables("--chip", "mx1-inplace", "--tokens", "100000", "--table", "chips,reference")
    for table in found.values():
        assert "mx1-inplace: 100000 tokens are more than the model's 512" in table["notes"]


def test_a_model_too_large_leaves_the_other_columns(tables, all_tables):
    found = tables("--chip", "tiny", "--chip", "mx1", "--table", "chips,claims")
    table = found["chips_planes_1"]
    assert any(note.startswith("tiny: ") and "bytes" in note for note in table["notes"])
    assert set(rows(table, "tiny")["area"]) == {None}
    assert rows(table, "mx1")["energy"] == rows(all_tables["chips_planes_1"], "mx1")["energy"]


def test_sequences_too_long_leave_the_others(tables):
    found = tables("--tokens", "128,513", "--chip", "mx1", "--table", "chips")
    area = rows(found["chips_planes_1"], "mx1")["area"]
    assert area[0] and area[1] is None and found["chips_planes_1"]["notes"][-1].startswith("mx1: ")


# ------------------------------------------------------------- mxchip

def mxchip(*options, check=True):
    return run(BIN / "mxchip", *options, check=check)


def test_mxchip_keys_and_area():
    report = json.loads(mxchip("mx1", "--json", "--set", "energy.mac=0.5").stdout)
    assert report["keys"]["energy"]["mac"] == 0.5
    assert report["organisation"] == "synergy"
    parts = {k: v for k, v in report["area_mm2"].items() if k != "total"}
    assert sum(parts.values()) == pytest.approx(report["area_mm2"]["total"])
    assert report["area_mm2"]["total"] == pytest.approx(35.14, abs=0.01)


def test_mxchip_saves_what_it_was_told(tmp_path):
    path = tmp_path / "other.ini"
    mxchip("mx1-inplace", "--set", "large.adcs=4", "--set", "energy.adc=1", "--save", path)
    old = (CHIPS / "mx1-inplace.ini").read_text(encoding="utf-8").splitlines()
    new = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in new if line not in old] == ["adcs = 4", "adc = 1"]
    assert json.loads(mxchip(path, "--json").stdout)["chip"] == "other"


@pytest.mark.parametrize("options, status, said", [
    ([], 2, "name one chip"),
    (["nope"], 3, "cannot open chip file"),
    (["mx1", "--set", "energy"], 2, "expected section.key=value"),
    (["mx1", "--set", "energy.nope=1"], 2, "no key nope in section [energy]"),
    (["mx1", "--set", "small.adc=1"], 2, "no key adc in section [small]"),
    (["mx1", "--set", "large.banks=1"], 3, "banks = 1: must be 2 to 65536"),
    (["mx1", "--estimate"], 2, "--estimate needs the image"),
    (["mx1", "--tokens", "0"], 2, "\"0\" is not a number from 1"),
    (["mx1", "/nonexistent.mxw"], 3, "/nonexistent.mxw"),
    (["mx1", "--save", "/nonexistent/x.ini"], 4, "cannot write /nonexistent/x.ini"),
])
def test_mxchip_refuses(options, status, said):
    done = mxchip(*options, check=False)
    assert done.returncode == status and said in done.stderr and not done.stdout


def test_mxchip_tells_what_does_not_fit(small):
    assert mxchip("tiny", small.image).returncode == 0
    done = mxchip("tiny", small.image, "--set", "large.bank_rows=256", "--json", check=False)
    model = json.loads(done.stdout)["model"]
    assert done.returncode == 1 and not model["fits"] and "bytes" in model["error"]


def test_mxchip_entry(small):
    done = mxchip("tiny", small.image, "--estimate", "--entry", "nope", check=False)
    assert done.returncode == 2 and "nope" in done.stderr
    report = json.loads(mxchip("tiny", small.image, "--estimate", "--tokens", "4,8", "--json").stdout)
    assert [one["tokens"] for one in report["estimates"]] == [4, 8]
    assert all(one["counters"]["cycles"] for one in report["estimates"])

