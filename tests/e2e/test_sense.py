# SPDX-License-Identifier: LGPL-2.1-or-later
"""fidelity=analog of mx1: weights sensed in dense banks, products by the computation crossbars."""

import math

import numpy as np
import pytest
from conftest import BIN, TOP, infer, pad, ragged, run, vm
from test_fidelity import counted

LEVELS = np.arange(16)


def product(folder, w, x, *options, codes=False, check=True, **keys):
    """mxmvm on mx1 with keys of [analog]: y, and with codes the sums and codes."""
    paths = {name: folder / f"{name}.npy" for name in ("w", "x", "out", "sums", "codes")}
    np.save(paths["w"], w)
    np.save(paths["x"], x)
    sets = [word for key, value in keys.items() for word in ("--set", f"analog.{key}={value}")]
    record = ["--sums", paths["sums"], "--codes", paths["codes"]] if codes else []
    done = run(BIN / "mxmvm", "--chip", "mx1", "--w", paths["w"], "--x", paths["x"], "--out",
               paths["out"], *sets, *record, *options, check=check)
    if not check:
        return done
    y = np.load(paths["out"])
    return (y, np.load(paths["sums"]), np.load(paths["codes"])) if codes else y


def sensed(folder, w, *options, **keys):
    """The weights that the banks give: a product with the unit matrix, of exact crossbars."""
    x = np.eye(w.shape[1], dtype=np.int8)
    return product(folder, w, x, *options, **keys).T


def nibbles(w):
    """[low, high] levels of the two cells of each weight."""
    byte = w.astype(np.int64) + 128
    return np.stack([byte & 15, byte >> 4])


def weights(rows=500, cols=64, seed=1):
    return np.random.default_rng(seed).integers(-128, 128, (rows, cols)).astype(np.int8)


def close(share, p, n):
    return abs(share - p) < 5 * math.sqrt(p * (1 - p) / n)


def test_without_effects_it_is_the_exact_product(tmp_path):
    w, x = weights(70, 200), weights(9, 200, 2)
    exact = x.astype(np.int64) @ w.T.astype(np.int64)
    for options in ([], ["--convert-all"], ["--convert-all", "--isa", "portable"]):
        np.testing.assert_array_equal(product(tmp_path, w, x, *options), exact)
    y, sums, codes = product(tmp_path, w, x, codes=True)
    # 67 groups of three rows, the last of two; 8 bits of w + 128, 8 bits of x.
    assert sums.shape == (67, 8, 8, 70, 9) and codes.max() == 3 and codes.min() == 0
    np.testing.assert_array_equal(sums, codes)
    bits = (x.astype(np.uint8)[:, :3] >> np.arange(8)[:, None, None]) & 1
    cells = ((w.astype(np.int64) + 128)[:, :3] >> np.arange(8)[:, None, None]) & 1
    np.testing.assert_array_equal(sums[0], np.einsum("snk,btk->sbnt", cells, bits))
    factor = np.array([1, 2, 4, 8, 16, 32, 64, -128])
    back = np.einsum("gsbnt,s,b->tn", codes.astype(np.int64), 2 ** np.arange(8), factor)
    np.testing.assert_array_equal(back - 128 * x.astype(np.int64).sum(1)[:, None], y)


@pytest.mark.parametrize("amplitude", [0.04, 0.1, 0.3])
def test_telegraph_noise_misreads_its_share(tmp_path, amplitude):
    """A trapped cell gives the level nearest to what is left of it, and half of p are trapped."""
    w = weights()
    got = nibbles(sensed(tmp_path, w, rtn_share=0.2, rtn_amplitude=amplitude))
    held = nibbles(w)
    left = np.floor(32 * LEVELS * (1 - amplitude) + 0.5) / 32
    nearest = np.floor(left + 0.5).astype(int)
    assert ((got == held) | (got == nearest[held])).all()
    for level in LEVELS:
        cells = got[held == level]
        if nearest[level] == level:
            assert (cells == level).all()
        else:
            assert close((cells != level).mean(), 0.1, cells.size)
    # Who is trapped is another at each age, and for another chip.
    for options in (["--age", "5"], ["--seed", "9"]):
        other = nibbles(sensed(tmp_path, w, *options, rtn_share=0.2, rtn_amplitude=amplitude))
        assert (other != got).any()


def test_other_effects_of_banks(tmp_path):
    w = weights()
    held = nibbles(w)
    # The sense amplifiers know the lowest conductance.
    np.testing.assert_array_equal(sensed(tmp_path, w, on_off_ratio=10), w)
    np.testing.assert_array_equal(sensed(tmp_path, w, drift_nu=0.05), w)
    old = nibbles(sensed(tmp_path, w, "--age", "86400", drift_nu=0.02))
    left = np.floor(32 * LEVELS * 86400 ** -0.02 + 0.5) / 32
    np.testing.assert_array_equal(old, np.floor(left + 0.5).astype(int)[held])
    stuck = nibbles(sensed(tmp_path, w, stuck_at_0=0.03, stuck_at_1=0.05))
    between = (held > 0) & (held < 15)
    n = between.sum()
    assert close((stuck[between] == 0).mean(), 0.03, n)
    assert close((stuck[between] == 15).mean(), 0.05, n)
    # A normal error of 0.03 * 15 levels: beyond half a level is another level.
    noisy = nibbles(sensed(tmp_path, w, program_sigma=0.03))
    inner = (held > 3) & (held < 12)
    beyond = math.erfc(0.5 / (0.03 * 15) / math.sqrt(2))
    # Conductances are in 1/32 of a level: the half is up to 1/64 off.
    slack = 2 / 64 * math.sqrt(2 / math.pi) / 0.45
    assert abs((noisy != held)[inner].mean() - beyond) < slack
    assert abs((noisy - held)[inner].mean()) < 0.02
    assert noisy.min() >= 0 and noisy.max() <= 15


def test_telegraph_noise_of_the_crossbars(tmp_path):
    """All bits are 1: a conversion of three cells, j of them trapped, gives 3 - j * amplitude."""
    w, x = np.full((400, 63), 127, np.int8), np.ones((1, 63), np.int8)
    share, trapped = 0.4, 0.2
    _, sums, codes = product(tmp_path, w, x, codes=True, small_rtn_share=share,
                             small_rtn_amplitude=0.3)
    sums, codes = sums[:, :, 0].ravel(), codes[:, :, 0].ravel()
    left = math.floor(32 * 0.7 + 0.5)
    for j in range(4):
        p = math.comb(3, j) * trapped ** j * (1 - trapped) ** (3 - j)
        at = sums == 96 - j * (32 - left)
        assert close(at.mean(), p, at.size)
        assert (codes[at] == math.floor((96 - j * (32 - left)) / 32 + 0.5)).all()
    misread = 3 * trapped ** 2 * (1 - trapped) + trapped ** 3
    assert close((codes != 3).mean(), misread, codes.size)
    # Three cells that together lose less than half of one change nothing.
    exact = 63 * 127
    for options in ([], ["--convert-all"]):
        assert (product(tmp_path, w, x, *options, small_rtn_share=1,
                        small_rtn_amplitude=0.1) == exact).all()


def test_both_at_once_are_one_after_the_other(tmp_path):
    w, x = weights(50, 100), weights(6, 100, 2)
    banks = {"rtn_share": 0.3, "rtn_amplitude": 0.2}
    small = {"small_rtn_share": 0.3, "small_rtn_amplitude": 0.3}
    after = np.ascontiguousarray(sensed(tmp_path, w, **banks), np.int8)
    both = product(tmp_path, w, x, **banks, **small)
    np.testing.assert_array_equal(both, product(tmp_path, after, x, **small))
    for options in (["--isa", "portable"], ["--isa", "avx2", "--threads", "1"]):
        np.testing.assert_array_equal(product(tmp_path, w, x, *options, **banks, **small), both)


@pytest.mark.parametrize("keys, part", [
    ({"read_sigma": 0.1}, "a chip of this organisation has no key read_sigma"),
    ({"adc_step": 2}, "a chip of this organisation has no key adc_step"),
    ({"rtn_share": 0.1}, "one without the other has no effect"),
    ({"small_rtn_amplitude": 0.1}, "one without the other has no effect"),
    ({"small_rtn_share": 1.5, "small_rtn_amplitude": 0.1}, "small_rtn_share = 1.5"),
    ({"on_off_ratio": 1}, "must be 2 at least"),
    ({"stuck_at_0": 0.6, "stuck_at_1": 0.6}, "more than all cells together")])
def test_bad_keys(tmp_path, keys, part):
    done = product(tmp_path, weights(1, 1), weights(1, 1), check=False, **keys)
    assert done.returncode and part in done.stderr


def noisy_chip(folder, **keys):
    """The tiny chip, which is organised as mx1, with keys of [analog]."""
    text = (TOP / "qemu-device/chips/tiny.ini").read_text()
    text += "[analog]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
    (folder / "noisy.ini").write_text(text)
    return f"sim:{folder / 'noisy.ini'},fidelity=analog"


def test_a_model_without_effects_is_exact(model_image, tmp_path):
    ids = ragged(np.random.default_rng(8), 20000, [9, 3])
    exact, plain = counted(model_image, ids, tmp_path, "sim:mx1")
    same, counters = counted(model_image, ids, tmp_path, "sim:mx1,fidelity=analog,age=99")
    np.testing.assert_array_equal(same.view(np.uint32), exact.view(np.uint32))
    assert counters == plain


def test_a_model_with_effects_is_the_same_on_every_path(small, tmp_path):
    ids = ragged(np.random.default_rng(8), small.config["vocab_size"], [7, 3])
    exact = infer(small.image, ids, tmp_path, "sim:tiny")
    banks = {"rtn_share": 0.1, "rtn_amplitude": 0.1}
    got, counters = counted(small.image, ids, tmp_path, noisy_chip(tmp_path, **banks))
    assert np.abs(got - exact).max() > 0 and counters["adc_saturations"] == 0
    both = noisy_chip(tmp_path, **banks, small_rtn_share=0.1, small_rtn_amplitude=0.3)
    noisy = infer(small.image, ids, tmp_path, both)
    assert np.abs(noisy - got).max() > 0
    for options in ("threads=1,isa=avx2", "threads=3,isa=portable"):
        again = infer(small.image, ids, tmp_path, f"{both},{options}")
        np.testing.assert_array_equal(again.view(np.uint32), noisy.view(np.uint32))
    alone = infer(small.image, pad([ids[1, :3]]), tmp_path, both)
    np.testing.assert_array_equal(alone[0], noisy[1, :3])
    assert np.abs(infer(small.image, ids, tmp_path, f"{both},age=60") - noisy).max() > 0
    # Behind PCIe the same.
    (tmp_path / "model.mxw").write_bytes(small.image.read_bytes())
    np.save(tmp_path / "ids.npy", ids)
    vm(f"cd {tmp_path}; mxrun model.mxw --ids ids.npy --out there.npy", tmp_path,
       "--prop", f"chip={tmp_path / 'noisy.ini'}", "--prop", "fidelity=analog", "--prop", "seed=0")
    there = np.load(tmp_path / "there.npy")
    np.testing.assert_array_equal(there.view(np.uint32), noisy.view(np.uint32))
