# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxmvm against a plain numpy form of the published formulas: equal sums, codes and results."""

import itertools
import math

import numpy as np
import pytest
from analog import Crossbar
from conftest import BIN, TOP, run
from crossbars import effective_levels, mxmvm, operands, settings

INPUTS = ["twos_complement", "sign_magnitude", "unsigned"]
MAPPINGS = ["differential", "offset"]


def compare(folder, seed, kind, shape, **keys):
    """One configuration; returns how many conversions were equal."""
    steps = keys.pop("steps", None)
    crossbar = Crossbar(**keys, **({"steps": steps} if steps else {}))
    w, x = operands(np.random.default_rng(seed), crossbar, kind, *shape)
    options = settings(**keys)
    if steps and len(steps) == 1:
        options += settings(adc_step=steps[0])
    elif steps:
        # adc_step is for one step alone, and stands in the chip file.
        text = (TOP / "qemu-device/chips/mx1-inplace.ini").read_text()
        lines = [line for line in text.splitlines() if not line.startswith("adc_step ")]
        (folder / "calibrated.ini").write_text("\n".join(lines) + "\n")
        options += settings(adc_range="calibrated",
                            **{f"adc_step_{i}": step for i, step in enumerate(steps)})
    chip = folder / "calibrated.ini" if steps and len(steps) > 1 else "mx1-inplace"
    y, s, c, clamped = crossbar.multiply(w, x)
    got_y, got_s, got_c, report = mxmvm(folder, w, x, *options, chip=chip)
    assert got_s.shape == s.shape and got_c.shape == c.shape
    np.testing.assert_array_equal(got_s, s)
    np.testing.assert_array_equal(got_c, c)
    np.testing.assert_array_equal(got_y, y)
    assert report["saturated"] == clamped and report["conversions"] == s.size
    # Without a record, what is proved to lose nothing is not converted, or all is by tables.
    for more in ([], ["--convert-all"], ["--threads", "1", "--isa", "portable"]):
        fast_y, fast = mxmvm(folder, w, x, *options, *more, chip=chip, record=False)
        np.testing.assert_array_equal(fast_y, y)
        assert fast["saturated"] == clamped
    return s.size, clamped


@pytest.mark.parametrize("input_coding, mapping", itertools.product(INPUTS, MAPPINGS))
def test_sums_codes_and_results_equal_the_formulas(tmp_path, input_coding, mapping):
    cases = itertools.product([1, 2, 4], [1, 2, 3, 4, 8], [4, 8, 12])
    kinds = itertools.cycle(["uniform", "normal", "extreme"])
    actives = itertools.cycle([0, 32, 128, 16])
    ties = itertools.cycle(["half_even", "half_up"])
    steps = itertools.cycle([(1,), (2,), (3,), (4,), (6,), None])
    shapes = itertools.cycle([(17, 300, 5), (3, 128, 70), (33, 129, 2), (1, 1, 1)])
    conversions = clamped = 0
    for seed, (dac, cell, adc) in enumerate(cases):
        some, of_them = compare(
            tmp_path, seed, next(kinds), next(shapes), input=input_coding, mapping=mapping,
            dac_bits=dac, cell_bits=cell, adc_bits=adc, rows_active=next(actives),
            adc_tie=next(ties), steps=next(steps))
        conversions += some
        clamped += of_them
    print(f"{conversions} conversions equal, {clamped} of them clamped")
    assert clamped > 1000


def test_a_step_of_its_own_for_each_slice(tmp_path):
    for seed, mapping in enumerate(MAPPINGS):
        compare(tmp_path, seed, "uniform", (20, 200, 70), mapping=mapping, adc_bits=6,
                steps=(4, 2, 1, 3))


def test_the_chips_as_shipped(tmp_path):
    generator = np.random.default_rng(5)
    for chip, crossbar in (("mx1-inplace", Crossbar()),
                           ("isaac-mb", Crossbar(mapping="offset")),
                           ("isaac-sb", Crossbar(mapping="offset", cell_bits=1, adc_bits=7))):
        w, x = operands(generator, crossbar, "normal", 40, 500, 30)
        y, s, c, report = mxmvm(tmp_path, w, x, chip=chip)
        want_y, want_s, want_c, clamped = crossbar.multiply(w, x)
        np.testing.assert_array_equal(s, want_s)
        np.testing.assert_array_equal(c, want_c)
        np.testing.assert_array_equal(y, want_y)
        assert report["saturated"] == clamped


def test_a_wide_converter_gives_the_exact_product(tmp_path):
    w, x = operands(np.random.default_rng(6), Crossbar(), "uniform", 50, 700, 40)
    for mapping in MAPPINGS:
        y, report = mxmvm(tmp_path, w, x, *settings(adc_bits=12, mapping=mapping), record=False)
        np.testing.assert_array_equal(y, x.astype(int) @ w.astype(int).T)
        assert report["saturated"] == 0


BAD_KEYS = [
    ({"rows_active": 48}, "rows_active = 48: must divide the 128 rows"),
    ({"rows_active": 256}, "rows_active = 256"),
    ({"adc_step": 0}, "must be 1 to"),
    ({"adc_step": 1000}, "more than the largest sum, 384 counts"),
    ({"adc_step_1": 2}, "adc_step_1 is for adc_range = calibrated"),
    ({"adc_range": "calibrated"}, "adc_step is for adc_range = fixed"),
    ({"adc_tie": "half_odd"}, "expected half_even or half_up"),
    ({"input": "float"}, "expected twos_complement, sign_magnitude or unsigned"),
    ({"mapping": "both"}, "expected differential or offset"),
    ({"adc_bits": 1}, "2 bits at least"),
    ({"dac_bits": 3}, "must divide 8"),
    ({"colour": 1}, "unknown key colour"),
]


@pytest.mark.parametrize("keys, part", BAD_KEYS, ids=lambda value: str(value)[:30])
def test_contradictory_settings_are_refused_with_the_line(tmp_path, keys, part):
    w, x = np.zeros((2, 3), np.int8), np.zeros((1, 3), np.int8)
    done = mxmvm(tmp_path, w, x, *settings(**keys), check=False)
    assert done.returncode == 1 and part in done.stderr and ", line " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "y.npy").exists()


def test_bad_operands_are_refused(tmp_path):
    w, x = np.ones((2, 3), np.int8), np.ones((4, 3), np.int8)

    def refused(part, w=w, x=x, options=(), chip="mx1-inplace"):
        done = mxmvm(tmp_path, w, x, *options, chip=chip, check=False)
        assert done.returncode == 1 and part in done.stderr, done.stderr
        assert not (tmp_path / "y.npy").exists()

    refused("must be '|i1'", w=w.astype(np.float32))
    refused("must be '|i1' or '|u1'", x=x.astype(np.int16))
    refused("3 columns", x=np.ones((4, 5), np.int8))
    refused("dimensions", w=np.ones(3, np.int8))
    refused("nothing to multiply", w=np.ones((0, 3), np.int8))
    refused("input [1, 2] is 200", x=np.array([[1, 1, 1], [1, 1, 200]], np.uint8))
    refused("input [0, 1] is -1", x=np.array([[1, -1, 1]], np.int8),
            options=settings(input="unsigned"))
    refused("input [0, 1] is -128", x=np.array([[1, -128, 1]], np.int8),
            options=settings(input="sign_magnitude"))
    refused("weight [0, 2] is -128", w=np.array([[1, 1, -128]], np.int8),
            options=settings(cell_bits=1))
    refused("cannot open chip file", chip="/nowhere/chip.ini")
    done = run(BIN / "mxmvm", "--chip", "mx1-inplace", check=False)
    assert done.returncode == 2 and "--w is missing" in done.stderr
    # What a header claims is not believed, let alone allocated.
    np.save(tmp_path / "w.npy", w)
    claim = (tmp_path / "w.npy").read_bytes().replace(b"(2, 3)", b"(3333333333333333, 3)", 1)
    (tmp_path / "claim.npy").write_bytes(claim[:128] + b"\n" * 64)
    refused("truncated", options=["--w", tmp_path / "claim.npy"])
    refused("Is a directory", options=["--w", tmp_path])


@pytest.mark.parametrize("options, part", [
    (["--set", "analog.adc_step="], "expected section.key=value"),
    (["--set", "analog.adc_step=2\n[chip]"], "expected section.key=value"),
    (["--set", "analog.=2"], "expected section.key=value"),
    (["--set", "large.cells=2"], "has no key cells in section [large]"),
    (["--out", "-"], "give the name of a file"),
    (["--sums", ""], "give the name of a file"),
    (["--seed", "one"], "is not a number from 0"),
])
def test_bad_options_are_refused(tmp_path, options, part):
    w, x = np.ones((2, 3), np.int8), np.ones((4, 3), np.int8)
    done = mxmvm(tmp_path, w, x, *options, check=False)
    assert done.returncode == 2 and part in done.stderr, done.stderr
    assert not (tmp_path / "y.npy").exists()


def ks_distance(values):
    """Largest distance between the distribution of values and the standard normal one."""
    values = np.sort(values)
    normal = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in values])
    steps = np.arange(len(values) + 1) / len(values)
    return max(np.abs(normal - steps[1:]).max(), np.abs(normal - steps[:-1]).max())


def test_programming_error_is_normal_and_as_large_as_said(tmp_path):
    """State-independent: sigma of the highest level, in every cell of a pair."""
    w = np.full((300, 256), 0b01010101, np.int8)    # level 1 in each slice
    sigma = 0.05
    errors = effective_levels(tmp_path, w, *settings(program_sigma=sigma)) - 1
    # A cell at level 0 has no conductance to lose: only the cell at level 1 shows both sides.
    above = effective_levels(tmp_path, w, *settings(program_sigma=sigma, mapping="offset",
                                                    on_off_ratio=4))
    crossbar = Crossbar(mapping="offset", input="unsigned")
    above = above - crossbar.weight_slices(w) - 1    # the pedestal: 3 / (4 - 1) counts
    values = above.ravel()
    deviation = sigma * 3
    size = len(values)
    assert abs(values.mean()) < 5 * deviation / math.sqrt(size)
    # Levels are in 1/32 of a count, which adds 1/12 of its square to the variance.
    assert abs(values.var() / (deviation ** 2 + 1 / 32 ** 2 / 12) - 1) < 5 * math.sqrt(2 / size)
    smooth = values + np.random.default_rng(1).uniform(-1 / 64, 1 / 64, size)
    assert ks_distance(smooth / math.sqrt(deviation ** 2 + 2 / 32 ** 2 / 12)) < 2.2 / math.sqrt(size)
    # Neither slices nor rows nor columns go together.
    for other in (above[1], np.roll(above[0], 1, axis=0), np.roll(above[0], 1, axis=1)):
        assert abs(np.corrcoef(above[0].ravel(), other.ravel())[0, 1]) < 5 / math.sqrt(w.size)
    # A pair adds the errors of its cells: half of those of the cell at 0, which cannot go below.
    pair = deviation ** 2 * (1 + 0.5 - 1 / (2 * math.pi))
    assert abs(errors.var() / pair - 1) < 0.02
    assert abs(errors.mean() + deviation / math.sqrt(2 * math.pi)) < 0.003


def test_proportional_error_grows_with_the_level(tmp_path):
    levels = np.repeat(np.arange(4), 100)
    w = np.tile((levels * 0b01010101 - 128).astype(np.int8), (200, 1))
    got = effective_levels(tmp_path, w, *settings(program_sigma_prop=0.1, mapping="offset"))
    for level in range(4):
        values = got[:, :, levels == level]
        want = (0.1 * level) ** 2 + (1 / 32 ** 2 / 12 if level else 0)
        assert abs(values.mean() - level) < 0.004
        assert values.var() == 0 if not level else abs(values.var() / want - 1) < 0.03


def test_as_many_cells_are_stuck_as_said(tmp_path):
    rate_0, rate_1 = 0.01, 0.03
    w = np.full((400, 256), 0b01010101 - 128, np.int8)
    got = effective_levels(tmp_path, w, *settings(mapping="offset", stuck_at_0=rate_0,
                                                  stuck_at_1=rate_1))
    for level, rate in ((0, rate_0), (3, rate_1), (1, 1 - rate_0 - rate_1)):
        share = (got == level).mean()
        assert abs(share - rate) < 5 * math.sqrt(rate * (1 - rate) / got.size), (level, share)
    assert set(np.unique(got)) == {0, 1, 3}


def test_on_off_ratio_is_a_pedestal_that_pairs_and_digits_take_off(tmp_path):
    w, x = operands(np.random.default_rng(3), Crossbar(input="unsigned"), "uniform", 30, 200, 20)
    exact = x.astype(int) @ w.astype(int).T
    for mapping in MAPPINGS:
        # 1/32 of a count divides 3 / (17 - 1) evenly: nothing is lost but by the converter.
        y, s, _, _ = mxmvm(tmp_path, w, x, *settings(mapping=mapping, on_off_ratio=17,
                                                     adc_bits=16, input="unsigned"))
        plain = Crossbar(mapping=mapping, input="unsigned")
        _, want, _, _ = plain.multiply(w, x)
        digits, _ = plain.input_digits(x)
        active = np.stack([digits[:, :, :128].sum(axis=2), digits[:, :, 128:].sum(axis=2)])
        pedestal = 6 * active[:, None, :, None, :] if mapping == "offset" else 0
        np.testing.assert_array_equal(s, 32 * want + pedestal)
        # Each of 2 x 8 x 4 conversions rounds by half a code at most, weighted 255 x 85.
        assert np.abs(y - exact).max() <= (0 if mapping == "differential" else 2 * 255 * 85 / 2)


def test_cells_are_those_of_the_chip_not_of_the_run(tmp_path):
    w, x = operands(np.random.default_rng(4), Crossbar(), "normal", 40, 300, 50)
    effects = settings(program_sigma=0.05, stuck_at_1=0.01, on_off_ratio=20)
    y, s, c, report = mxmvm(tmp_path, w, x, *effects)
    assert (y != x.astype(int) @ w.astype(int).T).mean() > 0.9
    for options in (["--threads", "1", "--isa", "portable"], ["--isa", "avx2"]):
        again = mxmvm(tmp_path, w, x, *effects, *options)
        assert all(np.array_equal(a, b) for a, b in zip(again[:3], (y, s, c)))
    # The result is what the sums say.
    low, high = Crossbar().code_range(0)
    code = np.clip(np.rint(s / 32), low, high).astype(int)
    np.testing.assert_array_equal(c, code)
    factor = np.array([2 ** k for k in range(7)] + [-128])
    want = np.einsum("aiknt,i,k->tn", code, 4 ** np.arange(4), factor)
    np.testing.assert_array_equal(y, want)
    # Nor of what is recorded; sums of few errors, and of many, are computed differently.
    for sigma in (0.02, 0.05, 0.2):
        for more in ({}, {"mapping": "offset"}, {"adc_step": 2}):
            keys = settings(program_sigma=sigma, stuck_at_1=0.01, on_off_ratio=20, **more)
            recorded = mxmvm(tmp_path, w, x, *keys, "--isa", "portable")
            again, report = mxmvm(tmp_path, w, x, *keys, record=False)
            np.testing.assert_array_equal(again, recorded[0])
            assert report["saturated"] == recorded[3]["saturated"]
    # Other inputs meet the same cells; another chip has others.
    part, _ = mxmvm(tmp_path, w, x[7:11], *effects, record=False)
    np.testing.assert_array_equal(part, y[7:11])
    other, _ = mxmvm(tmp_path, w, x, *effects, "--seed", "1", record=False)
    assert (other != y).mean() > 0.9


@pytest.mark.parametrize("keys, part", [
    ({"on_off_ratio": 1.5}, "must be 2 at least"),
    ({"on_off_ratio": -3}, "expected a decimal number"),
    ({"stuck_at_0": 0.6, "stuck_at_1": 0.6}, "more than all cells together"),
    ({"stuck_at_0": 2}, "must be 0 to 1"),
    ({"program_sigma": 1.5}, "must be 0 to 1"),
    ({"program_sigma": "nan"}, "expected a decimal number"),
    ({"rows": 4096, "cell_bits": 4, "dac_bits": 8}, "too large to simulate"),
], ids=lambda value: str(value)[:30])
def test_impossible_effects_are_refused_with_the_line(tmp_path, keys, part):
    test_contradictory_settings_are_refused_with_the_line(tmp_path, keys, part)


def readings(folder, w, x, keys, count, **more):
    """Sums [reading, array, slice, bit, N, T] in counts, of readings of the same cells."""
    got = [mxmvm(folder, w, x, *settings(**keys), "--reading", str(i), **more)[1] / 32
           for i in range(count)]
    return np.stack(got)


@pytest.mark.parametrize("mapping, rows", [("offset", 128), ("differential", 100)])
def test_read_noise_has_the_variance_of_the_cells_and_is_normal(tmp_path, mapping, rows):
    """The sum of the cells' noise, as if each cell were read with its own, and as defined."""
    sigma, count = 0.02, 40
    generator = np.random.default_rng(11)
    w = generator.integers(-127, 128, (33, rows)).astype(np.int8)
    x = generator.integers(0, 256, (20, rows)).astype(np.uint8)
    keys = {"read_sigma": sigma, "mapping": mapping, "input": "unsigned", "adc_bits": 12}
    plain = Crossbar(mapping=mapping, input="unsigned", adc_bits=12)
    _, want, _, _ = plain.multiply(w, x)
    noise = readings(tmp_path, w, x, keys, count) - want
    active = plain.input_digits(x)[0].sum(axis=2)     # [bit, T]
    cells = active * (2 if mapping == "differential" else 1)
    deviation = 3 * sigma * np.sqrt(cells)[None, None, :, None, :]
    assert (noise[np.broadcast_to(deviation == 0, noise.shape)] == 0).all()
    kept = np.broadcast_to(deviation > 0, noise.shape)
    # Sums are in 1/32 of a count.
    total = np.sqrt(deviation ** 2 + 1 / 32 ** 2 / 12)
    values = (noise / total)[kept]
    size = len(values)
    assert abs(values.mean()) < 5 / math.sqrt(size)
    assert abs(values.var() - 1) < 5 * math.sqrt(2 / size)
    smooth = noise + generator.uniform(-1 / 64, 1 / 64, noise.shape)
    smooth = (smooth / np.sqrt(deviation ** 2 + 2 / 32 ** 2 / 12))[kept][:50000]
    assert ks_distance(smooth) < 2 / math.sqrt(len(smooth))
    # Cell by cell, each reading of each: the same distribution (two samples, Smirnov).
    bits = plain.input_digits(x)[0][0, 0].astype(bool)
    each = generator.normal(0, 3 * sigma, (4000, int(bits.sum()) * cells[0, 0] // active[0, 0]))
    one = np.sort(np.rint(32 * each.sum(axis=1)) / 32)
    other = np.sort(noise[:, :, :, 0, :, 0].ravel())
    at = np.concatenate([one, other])
    gap = np.abs(np.searchsorted(one, at, "right") / len(one) -
                 np.searchsorted(other, at, "right") / len(other)).max()
    assert gap < 2 * math.sqrt(1 / len(one) + 1 / len(other))
    # Readings, slices, bits, columns and rows are independent of each other.
    unit = np.where(kept, noise / total, 0)
    for axis in range(unit.ndim):
        if unit.shape[axis] > 1:
            first, second = unit.take(0, axis).ravel(), unit.take(1, axis).ravel()
            assert abs((first * second).mean()) < 5 / math.sqrt(first.size), axis


def test_read_noise_is_the_same_on_every_path(tmp_path):
    w, x = operands(np.random.default_rng(12), Crossbar(), "normal", 40, 300, 50)
    keys = settings(read_sigma=0.05, program_sigma=0.02)
    y, s, c, report = mxmvm(tmp_path, w, x, *keys)
    factor = np.array([2 ** k for k in range(7)] + [-128])
    code = np.clip(np.rint(s / 32), -127, 127).astype(int)
    np.testing.assert_array_equal(c, code)
    np.testing.assert_array_equal(y, np.einsum("aiknt,i,k->tn", code, 4 ** np.arange(4), factor))
    for options in ([], ["--threads", "1", "--isa", "portable"], ["--isa", "avx2"]):
        again, counted = mxmvm(tmp_path, w, x, *keys, *options, record=False)
        np.testing.assert_array_equal(again, y)
        assert counted["saturated"] == report["saturated"]
    part, _ = mxmvm(tmp_path, w, x[:5], *keys, record=False)
    np.testing.assert_array_equal(part, y[:5])
    for other in (["--reading", "1"], ["--seed", "1"]):
        changed, _ = mxmvm(tmp_path, w, x, *keys, *other, record=False)
        assert (changed != y).mean() > 0.9


def test_drift_is_a_power_of_the_age(tmp_path):
    w = np.full((200, 256), 127, np.int8)    # level 3 in each slice but the last
    keys = settings(mapping="offset", drift_nu=0.05)
    for age in (0, 1):
        assert (effective_levels(tmp_path, w, *keys, "--age", str(age)) == 3).all()
    for age in (2, 3600, 31536000, 1000000000):
        got = effective_levels(tmp_path, w, *keys, "--age", str(age))
        assert (got == math.floor(32 * 3 * age ** -0.05 + 0.5) / 32).all()
    # Each cell has an exponent of its own, the same at every age, and none grows.
    keys = settings(mapping="offset", drift_nu=0.05, drift_nu_sigma=0.01)
    young, old = (effective_levels(tmp_path, w, *keys, "--age", str(age))[:3]
                  for age in (3600, 31536000))
    for age, got in ((3600, young), (31536000, old)):
        nu = -np.log(got / 3) / math.log(age)
        assert abs(nu.mean() - 0.05) < 1e-4
        # Rounding to 1/32 of a count shows in the exponents.
        rounding = (1 / 32 / 12 ** 0.5 / got.mean() / math.log(age)) ** 2
        assert abs(nu.var() / (0.01 ** 2 + rounding) - 1) < 0.03
    assert (old <= young).all() and np.corrcoef(young.ravel(), old.ravel())[0, 1] > 0.9
    wild = effective_levels(tmp_path, w, *settings(mapping="offset", drift_nu_sigma=0.5),
                            "--age", "1000")
    assert wild.max() == 3 and abs((wild == 3).mean() - 0.5) < 0.02


def test_random_telegraph_noise_has_its_share_and_changes_with_age(tmp_path):
    w = np.full((200, 256), 127, np.int8)
    keys = settings(mapping="offset", rtn_share=0.2, rtn_amplitude=0.25)
    first, second = (effective_levels(tmp_path, w, *keys, "--age", str(age)) for age in (5, 6))
    for got in (first, second):
        assert set(np.unique(got)) == {2.25, 3}
        assert abs((got == 2.25).mean() - 0.1) < 5 * math.sqrt(0.1 * 0.9 / got.size)
    # Trapped twice: a cell that can be, 0.2, and half of the time, twice.
    both = ((first == 2.25) & (second == 2.25)).mean()
    assert abs(both - 0.05) < 5 * math.sqrt(0.05 * 0.95 / first.size)


def test_half_of_random_telegraph_noise_is_refused(tmp_path):
    test_contradictory_settings_are_refused_with_the_line(
        tmp_path, {"rtn_share": 0.1}, "one without the other has no effect")
    done = mxmvm(tmp_path, np.ones((1, 1), np.int8), np.ones((1, 1), np.int8), "--age", "-1",
                 check=False)
    assert done.returncode == 2 and "is not a number from 0 to 1000000000" in done.stderr
