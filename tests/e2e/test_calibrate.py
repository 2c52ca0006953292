# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxmap --calibrate: steps from sentences, in the image and used by the chip; bad text refused."""

import hashlib
import json
import re
import resource
import struct
import subprocess

import numpy as np
import pytest
from conftest import BIN, MODEL, TOP, infer, make_bert, map_model, ragged, run, vm

MATMUL, CALIBRATION = 3, 8
OP = struct.Struct("<BBHHHHHIIIIIQQQIHH")
SENTENCES = ["The kernel has a driver for this memory chip.", "A test of the language model.",
             "Python package that can use an image file, or text data.", "server and client",
             "this is not the library of the user", "Tools for the network system: a module"]


def chip(folder, bits, name="chip", range_="calibrated", steps=(), **keys):
    """The in-place chip with another converter; fixed takes one step, calibrated any number."""
    text = (TOP / "qemu-device/chips/mx1-inplace.ini").read_text()
    text = re.sub(r"(?m)^adc_bits = \d+", f"adc_bits = {bits}", text)
    lines = [f"adc_step{'' if range_ == 'fixed' else f'_{i}'} = {step}"
             for i, step in enumerate(steps)]
    text = re.sub(r"(?m)^adc_step = .*$", "\n".join(lines), text)
    for key, value in {"adc_range": range_, **keys}.items():
        text, found = re.subn(rf"(?m)^{key} = \S+", f"{key} = {value}", text)
        assert found, key
    path = folder / f"{name}.ini"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate")
    make_bert(folder / "bert", seed=5)
    (folder / "text").write_text("\n".join(SENTENCES * 4) + "\n")
    return folder


@pytest.fixture(scope="module")
def calibrated(bert):
    """A small model for a 5-bit converter: image and report."""
    device = chip(bert, 5, "five")
    map_model(bert / "bert", bert / "five.mxw", "--chip", device, "--calibrate", bert / "text",
              "--report", bert / "report.json")
    return bert / "five.mxw", device, json.loads((bert / "report.json").read_text())


def sections(image):
    data = image.read_bytes()
    nr, = struct.unpack_from("<I", data, 216)
    found = {}
    for index in range(nr):
        kind, _, offset, size = struct.unpack_from("<IIQQ", data, 1024 + 64 * index)
        found[kind] = data[offset:offset + size]
    return found


def steps_of(image):
    """The table of steps as [(op, steps)], and the geometry in the header."""
    model = sections(image)[1]
    regions, entries, ops, places = struct.unpack_from("<4I", model, 80)
    slices, cell, dac, rows_of_steps, rows, adc, mapping, coding = struct.unpack_from(
        "<3BIIBBB", model, 113)
    first = 128 + 16 * regions + 64 * entries
    products = [op for op in (OP.unpack_from(model, first + 64 * i) for i in range(ops))
                if op[0] == MATMUL]
    at = first + 64 * ops + 32 * places
    table = np.frombuffer(model, "<u4", offset=at).reshape(-1, 8)
    assert len(table) == rows_of_steps == len(products)
    return list(zip(products, table.tolist())), (slices, cell, dac, rows, adc, mapping, coding)


def test_the_table_is_in_the_image(calibrated, bert):
    image, _, report = calibrated
    table, geometry = steps_of(image)
    assert geometry == (4, 2, 1, 128, 5, 1, 1)
    # An op that is in several entries has the same steps in all of them.
    by_op = {}
    for op, steps in table:
        w_off, flags = op[12], op[2]
        assert by_op.setdefault((w_off, flags), steps) == steps
        assert all(step & (step - 1) == 0 < step for step in steps[:4]) and not any(steps[4:])
    products = report["calibration"]["products"]
    assert [p["steps"] for p in products] == [steps[:4] for steps in by_op.values()]
    assert [p["plane"] for p in products] == [1 + (flags & 1) for _, flags in by_op]
    assert len({tuple(p["steps"]) for p in products}) > 1
    section = json.loads(sections(image)[CALIBRATION])
    assert section == report["calibration"]
    text = section["text"]
    assert text["sha256"] == hashlib.sha256((bert / "text").read_bytes()).hexdigest()
    assert (text["file"], text["sentences"], text["used"]) == ("text", 24, 24)
    assert section["method"] == "mse" and section["chip"] == "five"


def test_the_same_text_gives_the_same_image(calibrated, bert, tmp_path):
    image, device, _ = calibrated
    map_model(bert / "bert", tmp_path / "five.mxw", "--chip", device, "--calibrate", bert / "text")
    assert (tmp_path / "five.mxw").read_bytes() == image.read_bytes()


def test_method_max_clamps_nothing(bert, calibrated, tmp_path):
    _, device, report = calibrated
    map_model(bert / "bert", tmp_path / "max.mxw", "--chip", device, "--calibrate", bert / "text",
              "--calibrate-method", "max", "--report", tmp_path / "max.json")
    largest = json.loads((tmp_path / "max.json").read_text())["calibration"]["products"]
    for product, mse in zip(largest, report["calibration"]["products"]):
        assert not any(product["clamped"])
        assert all(a >= b for a, b in zip(product["steps"], mse["steps"]))
    assert any(any(p["clamped"]) for p in report["calibration"]["products"])


def test_the_chip_uses_them(calibrated, bert, tmp_path):
    """The image's first; those of the chip file where the image has none; else refused."""
    image, device, _ = calibrated
    ids = ragged(np.random.default_rng(2), 900, [20, 7])
    own = chip(tmp_path, 5, "own", steps=(8, 8, 8, 8))
    fixed = chip(tmp_path, 5, "fixed", "fixed", (8,))
    plain, other = tmp_path / "plain.mxw", chip(tmp_path, 6, "other")
    map_model(bert / "bert", plain, "--chip", fixed)

    def analog(model, file):
        return infer(model, ids, tmp_path, f"sim:{file},fidelity=analog")

    from_image = analog(image, device)
    np.testing.assert_array_equal(analog(image, own), from_image)
    from_file = analog(plain, own)
    np.testing.assert_array_equal(from_file, analog(plain, fixed))
    np.testing.assert_array_equal(analog(image, fixed), from_file)
    assert np.abs(from_image - from_file).max() > 0
    for model, file in ((plain, device), (image, other)):
        done = infer(model, ids, tmp_path, f"sim:{file},fidelity=analog", check=False)
        assert done.returncode == 1 and "map it with mxmap --calibrate" in done.stderr
    # With exact products nobody asks for steps.
    np.testing.assert_array_equal(infer(plain, ids, tmp_path, f"sim:{device}"),
                                  infer(image, ids, tmp_path, f"sim:{own}"))


def test_a_single_product_needs_steps_in_the_chip_file(tmp_path):
    np.save(tmp_path / "w.npy", np.ones((16, 16), np.int8))
    command = [BIN / "mxmvm", "--chip", chip(tmp_path, 6), "--w", tmp_path / "w.npy", "--x",
               tmp_path / "w.npy", "--out", tmp_path / "y.npy"]
    done = run(*command, check=False)
    assert done.returncode == 1 and "calibrated without adc_step_0" in done.stderr
    run(*command, *(f"--set=analog.adc_step_{i}=1" for i in range(4)))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.full((16, 16), 16))


def test_the_device_computes_the_same(calibrated, tmp_path):
    image, device, _ = calibrated
    (tmp_path / "model.mxw").write_bytes(image.read_bytes())
    (tmp_path / "five.ini").write_bytes(device.read_bytes())
    ids = ragged(np.random.default_rng(3), 900, [9, 30])
    here = infer(image, ids, tmp_path, f"sim:{device},fidelity=analog")
    vm(f"cd {tmp_path}; mxrun model.mxw --ids ids.npy --out there.npy", tmp_path,
       "--prop", f"chip={tmp_path / 'five.ini'}", "--prop", "fidelity=analog")
    there = np.load(tmp_path / "there.npy")
    np.testing.assert_array_equal(there.view(np.uint32), here.view(np.uint32))


def test_calibration_helps_the_real_model(tmp_path):
    """At 5 bits, closer to the exact model than any step for all."""
    sentences = (TOP / "README.md").read_text().splitlines()
    (tmp_path / "text").write_text("\n".join(line for line in sentences if len(line) > 40))
    device, image, plain = chip(tmp_path, 5, "five"), tmp_path / "c.mxw", tmp_path / "p.mxw"
    map_model(MODEL, image, "--chip", device, "--calibrate", tmp_path / "text",
              "--calibrate-tokens", "64")
    map_model(MODEL, plain, "--chip", device)
    ids = ragged(np.random.default_rng(4), 20000, [30, 12, 20])
    exact = infer(plain, ids, tmp_path, f"sim:{device}", "sentence")

    def cosine(model, file):
        y = infer(model, ids, tmp_path, f"sim:{file},fidelity=analog", "sentence")
        return (y * exact).sum(axis=1).mean()

    fixed = [cosine(plain, chip(tmp_path, 5, f"f{step}", "fixed", (step,))) for step in (1, 2, 4)]
    assert cosine(image, device) > max(fixed)


def test_a_wide_converter_needs_no_calibration(bert, tmp_path):
    device = chip(tmp_path, 12)
    map_model(bert / "bert", tmp_path / "wide.mxw", "--chip", device, "--calibrate", bert / "text")
    assert all(steps[:4] == [1] * 4 for _, steps in steps_of(tmp_path / "wide.mxw")[0])


@pytest.mark.parametrize("keys", [
    {"mapping": "offset"}, {"input": "sign_magnitude", "mapping": "offset"},
    {"program_sigma": 0.05, "on_off_ratio": 20}])
def test_every_kind_of_cell_can_be_calibrated(bert, tmp_path, keys):
    device = chip(tmp_path, 5, **keys)
    map_model(bert / "bert", tmp_path / "m.mxw", "--chip", device, "--calibrate", bert / "text",
              "--calibrate-tokens", "40")
    table, geometry = steps_of(tmp_path / "m.mxw")
    assert geometry[5] == (2 if "mapping" in keys else 1)
    assert any(max(steps) > 1 for _, steps in table)
    ids = ragged(np.random.default_rng(2), 900, [20])
    assert np.isfinite(infer(tmp_path / "m.mxw", ids, tmp_path,
                             f"sim:{device},fidelity=analog")).all()


def test_a_part_of_a_long_text_is_used(bert, tmp_path):
    (tmp_path / "text").write_text("\n".join(f"the model {'the ' * (i % 9)}" for i in range(3000)))
    map_model(bert / "bert", tmp_path / "m.mxw", "--chip", chip(tmp_path, 6), "--calibrate",
              tmp_path / "text", "--calibrate-tokens", "100")
    text = json.loads(sections(tmp_path / "m.mxw")[CALIBRATION])["text"]
    assert text["sentences"] == 3000 and 80 < text["tokens"] <= 100 and text["used"] > 5


def test_long_and_odd_lines_are_noted(bert, tmp_path):
    (tmp_path / "text").write_text("the file\r\n\n \t\n" + "\x01\x02\n" + "data " * 500 + "\n")
    done = map_model(bert / "bert", tmp_path / "m.mxw", "--chip", chip(tmp_path, 6), "--calibrate",
                     tmp_path / "text")
    assert "1 lines have no token" in done.stderr
    assert re.search(r"1 of the sentences are longer than \d+ tokens and are cut", done.stderr)
    text = json.loads(sections(tmp_path / "m.mxw")[CALIBRATION])["text"]
    assert (text["sentences"], text["used"], text["cut"]) == (2, 2, 1)


BAD_TEXT = [
    (b"", "has no sentence"),
    (b"\n \n\t\r\n\n", "has no sentence"),
    (b"\x01\n\x02\x03\n", "no line has any token"),
    (b"good\na\0b\n", "line 2 has a NUL: this is no text"),
    (b"good\n\n\xff\xfe\n", "line 3 is not valid UTF-8"),
    (b"cut \xe4\xb8", "line 1 is not valid UTF-8"),
    (b"x " * 33000, "line 1 has 66000 bytes, a sentence can have 65536"),
    (b"the\n" * 100001, "has more than 100000 sentences"),
]


@pytest.mark.parametrize("content, part", BAD_TEXT, ids=[part for _, part in BAD_TEXT])
def test_bad_text_is_refused(bert, tmp_path, content, part):
    (tmp_path / "text").write_bytes(content)
    done = map_model(bert / "bert", tmp_path / "m.mxw", "--chip", chip(tmp_path, 6), "--calibrate",
                     tmp_path / "text", check=False)
    assert done.returncode == 1 and part in done.stderr
    assert not list(tmp_path.glob("m.mxw*"))


@pytest.mark.parametrize("options, part", [
    (["--calibrate", "nowhere/text"], "nowhere/text: no such file"),
    (["--calibrate", "."], "is not a file"),
    (["--calibrate", "TEXT", "--max-tokens", "2"], "no room for a word"),
    (["--calibrate", "TEXT", "--plan"], "leave one out"),
    (["--calibrate", "TEXT", "--calibrate-method", "best"], "must be mse or max"),
    (["--calibrate", "TEXT", "--calibrate-tokens", "0"], "is not a number from 1 to 65536"),
    (["--calibrate", "TEXT", "--chip", "tiny"], "organisation synergy"),
])
def test_bad_options_are_refused(bert, tmp_path, options, part):
    options = [bert / "text" if option == "TEXT" else option for option in options]
    done = map_model(bert / "bert", tmp_path / "m.mxw", "--chip", chip(tmp_path, 6), *options,
                     check=False)
    assert done.returncode and part in done.stderr
    assert not list(tmp_path.glob("m.mxw*"))


def test_steps_that_nobody_uses(bert, tmp_path):
    done = map_model(bert / "bert", tmp_path / "m.mxw", "--chip",
                     chip(tmp_path, 6, "fixed", "fixed", (1,)), "--calibrate", bert / "text")
    assert "has adc_range = fixed and will not use the image's steps" in done.stderr


def test_a_full_disk_leaves_nothing(bert, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))

    done = subprocess.run([BIN / "mxmap", bert / "bert", "-o", tmp_path / "m.mxw", "--chip",
                           chip(tmp_path, 6), "--calibrate", bert / "text"],
                          capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1 and "cannot write" in done.stderr
    assert not list(tmp_path.glob("m.mxw*"))


# --------------------------------------------------------------- smoothing

FACTORS = 0x20


def parameters(image, bert, layer):
    """Weights of a layer's products as the image has them, dequantised, with their factors."""
    found, model = sections(image), sections(image)[1]
    regions, entries, ops = struct.unpack_from("<3I", model, 80)
    first = 128 + 16 * regions + 64 * entries
    table = [OP.unpack_from(model, first + 64 * i) for i in range(ops)]
    products = {}
    for op in table:
        k, n, w_off, s_off, b_off = op[10:15]
        if op[0] != MATMUL or op[16] != layer or w_off in products or op[2] & 1:
            continue
        panels = np.frombuffer(found[2], np.int8, -(-n // 16) * -(-k // 4) * 64, w_off)
        w = panels.reshape(-(-n // 16), -(-k // 4), 16, 4).swapaxes(1, 2)
        scale = np.frombuffer(found[2], "<f4", n, s_off)
        bias = np.frombuffer(found[2], "<f4", n, b_off)
        factors = np.ones(k, np.float32)
        if op[2] & FACTORS:
            factors = np.frombuffer(found[2], "<f4", k, s_off + (4 * n + 63) // 64 * 64)
        products[w_off] = (w.reshape(-(-n // 16) * 16, -1)[:n, :k] * scale[:, None], bias, factors)
    return list(products.values())


@pytest.mark.parametrize("alpha", ["0", "0.5", "1"])
def test_smoothing_changes_nothing_but_the_rounding(bert, tmp_path, alpha):
    plain, smooth = tmp_path / "plain.mxw", tmp_path / "smooth.mxw"
    map_model(bert / "bert", plain, "--chip", "tiny")
    map_model(bert / "bert", smooth, "--chip", "tiny", "--calibrate", bert / "text", "--smooth",
              alpha)
    for layer in (0, 1):
        before, after = (parameters(image, bert, layer) for image in (plain, smooth))
        hidden = before[1][0].shape[1]
        values = after[0][1][2 * hidden:] / before[0][1][2 * hidden:]
        for number, ((w, bias, _), (scaled, moved, factors)) in enumerate(zip(before, after)):
            assert (factors > 0).all()
            assert number == 1 or np.ptp(factors) > 0
            back = scaled * factors
            if number == 0:
                # Values are divided by what the attention's output is multiplied by.
                back[2 * hidden:] /= values[:, None]
                moved = np.concatenate([moved[:2 * hidden], moved[2 * hidden:] / values])
            if number == 1:
                back = scaled * values
            np.testing.assert_allclose(moved, bias, rtol=1e-5)
            assert np.linalg.norm(back - w) / np.linalg.norm(w) < 0.03
    ids = ragged(np.random.default_rng(6), 900, [20, 33])
    a, b = (infer(image, ids, tmp_path, "sim:tiny", "sentence") for image in (plain, smooth))
    assert ((a * b).sum(axis=1) > 0.999).all() and np.abs(a - b).max() > 0
    assert json.loads(sections(smooth)[CALIBRATION])["smooth"] == float(alpha)


def test_smoothing_is_the_same_on_every_path(bert, tmp_path):
    device, image = chip(tmp_path, 6), tmp_path / "m.mxw"
    ids = ragged(np.random.default_rng(7), 900, [20, 33])
    for planes in ("1", "2"):
        map_model(bert / "bert", image, "--chip", device, "--calibrate", bert / "text",
                  "--smooth", "0.5", "--planes", planes)
        for fidelity in ("exact", "analog"):
            one, *others = (infer(image, ids, tmp_path, f"sim:{device},fidelity={fidelity}{isa}")
                            for isa in (",isa=portable", ",isa=avx2", ",threads=1", ""))
            for other in others:
                np.testing.assert_array_equal(one.view(np.uint32), other.view(np.uint32))


def test_smoothing_costs_nothing_in_the_program(bert, tmp_path):
    """The same modelled events and cycles, as the quantiser multiplies anyway."""
    ids, counters = ragged(np.random.default_rng(7), 900, [20, 33]), []
    for options in ([], ["--calibrate", bert / "text", "--smooth", "0.5"]):
        map_model(bert / "bert", tmp_path / "m.mxw", "--chip", "mx1", *options)
        infer(tmp_path / "m.mxw", ids, tmp_path, "sim:mx1",
              options=["--json", tmp_path / "counted.json"])
        counters.append(json.loads((tmp_path / "counted.json").read_text())["counters"])
    program = [{name: value for name, value in counted.items()
                if not name.startswith(("prog", "cell", "verify", "energy_prog"))}
               for counted in counters]
    assert program[0] == program[1]


def test_smoothing_helps_the_real_model(tmp_path):
    """With one plane of activations, closer to what two planes give, which sees nearly all."""
    text = TOP / "samples" / "semantic-search" / "sentences.txt"
    ids = ragged(np.random.default_rng(4), 20000, [30, 12, 20, 25])

    def embed(*options):
        map_model(MODEL, tmp_path / "m.mxw", *options)
        return infer(tmp_path / "m.mxw", ids, tmp_path, "sim:mx1", "sentence")

    two, one = embed("--planes", "2"), embed("--planes", "1")
    smooth = embed("--planes", "1", "--calibrate", text, "--smooth", "0.6")
    assert (two * smooth).sum(axis=1).mean() > (two * one).sum(axis=1).mean()


@pytest.mark.parametrize("options, part", [
    (["--smooth", "0.5"], "--smooth needs the activations of sentences: --calibrate FILE"),
    (["--smooth", "-0.1", "--calibrate", "x"], "--smooth -0.1 is not a number from 0 to 1"),
    (["--smooth", "1.5", "--calibrate", "x"], "is not a number from 0 to 1"),
    (["--smooth", "nan", "--calibrate", "x"], "is not a number from 0 to 1"),
    (["--smooth", "much", "--calibrate", "x"], "is not a number from 0 to 1"),
])
def test_bad_alphas_are_refused(bert, tmp_path, options, part):
    done = map_model(bert / "bert", tmp_path / "m.mxw", *options, check=False)
    assert done.returncode and part in done.stderr
