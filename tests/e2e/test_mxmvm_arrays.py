# SPDX-License-Identifier: LGPL-2.1-or-later
"""Effects and remedies of whole arrays: mxmvm against tests/reference, and by their statistics."""

import json
import math
import sys

import numpy as np
import pytest
from analog import Crossbar
from analog_cells import Cells, nodal
from conftest import BIN, TOP, run
from crossbars import effective_levels, mxmvm, operands, settings
from test_mxmvm import test_contradictory_settings_are_refused_with_the_line as refused

WIRES = {"wire_ohm": 2, "cell_ohm": 10000}
STUCK = {"stuck_at_0": 0.01, "stuck_at_1": 0.005}


def compare(folder, shape, geometry, effects, cols=128, kind="normal"):
    crossbar = Crossbar(**geometry)
    w, x = operands(np.random.default_rng(5), crossbar, kind, *shape)
    cells = Cells(crossbar, seed=7, cols=cols, **effects)
    y, s, c, clamped = crossbar.multiply(w, x, cells)
    options = settings(cols=cols, **geometry, **effects) + ["--seed", "7"]
    got_y, got_s, got_c, report = mxmvm(folder, w, x, *options)
    np.testing.assert_array_equal(got_s, s)
    np.testing.assert_array_equal(got_c, c)
    np.testing.assert_array_equal(got_y, y)
    assert report["saturated"] == clamped
    for more in ([], ["--isa", "portable", "--threads", "1"], ["--isa", "avx2"]):
        again, counted = mxmvm(folder, w, x, *options, *more, record=False)
        np.testing.assert_array_equal(again, y)
        for name in set(counted) & set(report) - {"saturated"}:
            assert counted[name] == report[name]
    return cells, report


@pytest.mark.parametrize("mapping", ["differential", "offset"])
def test_all_that_wires_do_equals_the_formula(tmp_path, mapping):
    compare(tmp_path, (150, 300, 5), {"mapping": mapping}, WIRES)
    compare(tmp_path, (40, 70, 3), {"mapping": mapping, "rows": 32, "rows_active": 8},
            {"wire_ohm": 1, "cell_ohm": 2000, "on_off_ratio": 10}, cols=32)
    compare(tmp_path, (40, 20, 3), {"mapping": mapping, "cell_bits": 4, "dac_bits": 2},
            {"wire_ohm": 0.5, "cell_ohm": 1000000, **STUCK, "spare_cols": 3}, kind="extreme")


def test_the_nodal_solution_by_columns_is_the_whole_matrix_s():
    rows, cols, below = 5, 4, 3
    cells = np.random.default_rng(1).uniform(0, 0.5, (rows, cols))
    word = np.arange(rows * cols).reshape(rows, cols)
    bit = word + rows * cols
    matrix = np.zeros((2 * rows * cols, 2 * rows * cols))

    def join(a, b, g=1.0):
        for i, j in ((a, b), (b, a)):
            matrix[i, i] += g
            matrix[i, j] -= g

    for r, c in np.ndindex(rows, cols):
        join(word[r, c], bit[r, c], cells[r, c])
        if c:
            join(word[r, c - 1], word[r, c])
        if r:
            join(bit[r - 1, c], bit[r, c])
    matrix[word[:, 0], word[:, 0]] += 1
    matrix[bit[-1], bit[-1]] += 1 / (1 + below)
    drive = np.zeros((2 * rows * cols, rows))
    drive[word[:, 0], np.arange(rows)] = 1
    currents = np.linalg.solve(matrix, drive)[bit[-1]].T / (1 + below)
    np.testing.assert_allclose(nodal(cells, below), currents, rtol=1e-12)


@pytest.mark.parametrize("wire, cell, largest", [(2, 100000, 0.1), (2, 10000, 0.5),
                                                 (2, 2000, 2.0)])
def test_sums_behind_wires_are_those_of_the_network(tmp_path, wire, cell, largest):
    """In counts, beside the rounding of each cell: for all rows driven, and for random ones."""
    generator = np.random.default_rng(2)
    w = generator.integers(-128, 128, (64, 64)).astype(np.int8)
    w[-1] = 127
    got = effective_levels(tmp_path, w, *settings(mapping="offset", rows=64, cols=64,
                                                  wire_ohm=wire, cell_ohm=cell))
    for ideal, level in zip(Crossbar(mapping="offset").weight_slices(w)[:2], got):
        want = nodal(ideal.T * (wire / cell / 3)).T / (wire / cell / 3)
        rounding = 5 * math.sqrt(64 / 12) / 32
        assert np.abs(level.sum(axis=1) - want.sum(axis=1)).max() < rounding
        digits = (generator.random((500, 64)) < 0.5).astype(float)
        error = digits @ (level - want).T
        drop = digits @ (ideal - want).T
        assert np.abs(error).max() < largest + rounding
        assert np.sqrt((error ** 2).mean()) < 0.02 * np.sqrt((drop ** 2).mean()) + 1 / 32
        assert level.max() <= 3


def test_wires_of_no_resistance_change_nothing(tmp_path):
    w, x = operands(np.random.default_rng(3), Crossbar(), "normal", 40, 150, 8)
    y, s, _, _ = mxmvm(tmp_path, w, x, *settings(wire_ohm=0, cell_ohm=1000))
    thin, t, _, report = mxmvm(tmp_path, w, x, *settings(wire_ohm="0.000001", cell_ohm=1000000))
    assert report["sums_per_count"] == 32
    np.testing.assert_array_equal(t, 32 * s)
    np.testing.assert_array_equal(thin, y)


@pytest.mark.parametrize("geometry, spares", [
    ({}, 4), ({"mapping": "offset", "cell_bits": 4}, 9), ({"cell_bits": 1, "rows": 64}, 1),
], ids=str)
def test_spare_columns_replace_those_hurt_most(tmp_path, geometry, spares):
    cells, report = compare(tmp_path, (150, 300, 5), geometry, {**STUCK, "spare_cols": spares})
    assert report["spares_used"] == cells.nr_spares > 0
    assert report["stuck_cells"] == cells.nr_stuck


def test_as_many_cells_are_stuck_as_said_with_and_without_spares(tmp_path):
    """Spares have stuck cells of their own; what is left is less harm, not another rate."""
    w, x = operands(np.random.default_rng(4), Crossbar(), "uniform", 256, 512, 20)
    exact = x.astype(int) @ w.astype(int).T
    keys = {"stuck_at_0": 0.002, "stuck_at_1": 0.002, "adc_bits": 12}
    size, rate, before = 2 * 4 * w.size, 0.004, None
    for spares in (0, 8, 64):
        y, report = mxmvm(tmp_path, w, x, *settings(**keys, spare_cols=spares), record=False)
        noise = 5 * math.sqrt(size * rate * (1 - rate))
        if not spares:
            assert abs(report["stuck_cells"] - size * rate) < noise
        else:
            assert 0 < report["spares_used"] <= spares * 4 * 4 * 2
            assert report["stuck_cells"] < before
        before = report["stuck_cells"]
        error = np.abs(y - exact).mean()
        if not spares:
            plain = error
    assert error < 0.8 * plain


@pytest.mark.parametrize("geometry, slices, copies", [
    ({}, 1, 2), ({"mapping": "offset"}, 2, 3), ({"cell_bits": 1, "mapping": "offset"}, 8, 2),
], ids=str)
def test_copies_are_averaged(tmp_path, geometry, slices, copies):
    effects = {**STUCK, "redundant_slices": slices, "redundant_copies": copies}
    compare(tmp_path, (40, 150, 5), geometry, effects)


def test_copies_of_a_cell_err_by_themselves(tmp_path):
    w = np.full((300, 256), 0b01010101 - 128, np.int8)
    keys = {"mapping": "offset", "program_sigma_prop": 0.2}
    plain = effective_levels(tmp_path, w, *settings(**keys))
    four = effective_levels(tmp_path, w, *settings(**keys, redundant_slices=2,
                                                   redundant_copies=4))
    np.testing.assert_array_equal(four[:2], plain[:2])
    rounding = 1 / 32 ** 2 / 12
    for i in (2, 3):
        assert abs(four[i].var() / ((0.2 ** 2 + rounding) / 4 + rounding) - 1) < 0.03
        assert abs(four[i].mean() - 1) < 0.01


@pytest.mark.parametrize("geometry, effects", [
    ({}, {**STUCK}),
    ({"mapping": "offset"}, {**STUCK, **WIRES, "on_off_ratio": 20}),
    ({"mapping": "offset", "cell_bits": 4, "input": "unsigned", "adc_bits": 12},
     {**STUCK, "on_off_ratio": 7, "redundant_slices": 1, "redundant_copies": 3}),
    ({"rows": 32, "rows_active": 8, "input": "sign_magnitude"}, {**WIRES, "spare_cols": 2}),
    ({"mapping": "offset", "cell_bits": 8}, {"on_off_ratio": 10}),
], ids=str)
def test_codes_are_corrected_array_by_array(tmp_path, geometry, effects):
    for shape in ((150, 300, 5), (20, 130, 70)):
        _, report = compare(tmp_path, shape, geometry, {**effects, "correction": "array"})
        assert report["least_gain"] <= report["most_gain"]
        assert report["least_offset"] <= report["most_offset"]


def test_a_degenerate_array_has_gain_one(tmp_path):
    w = np.zeros((30, 128), np.int8)
    x = np.full((2, 128), 3, np.int8)
    y, report = mxmvm(tmp_path, w, x, *settings(program_sigma=0.02, correction="array"),
                      record=False)
    assert report["least_gain"] == report["most_gain"] == 4096


def error_of(folder, w, x, **keys):
    """Share of the product that is lost: of its variance, square root."""
    options = [part for name in [k for k in keys if k.startswith("--")]
               for part in (name, str(keys.pop(name)))]
    exact = x.astype(int) @ w.astype(int).T
    y, report = mxmvm(folder, w, x, *settings(**keys), *options, record=False)
    return np.sqrt(((y - exact) ** 2).mean() / (exact ** 2).mean()), report


def test_correction_takes_out_what_arrays_have_in_common(tmp_path):
    """IR drop, and the drift of all cells: most of the error goes, of a wide converter."""
    w, x = operands(np.random.default_rng(8), Crossbar(), "normal", 128, 256, 60)
    x //= 2
    for keys in ({"wire_ohm": 1, "cell_ohm": 100000}, {"wire_ohm": 2, "cell_ohm": 20000},
                 {"mapping": "offset", "wire_ohm": 1, "cell_ohm": 100000},
                 {"mapping": "offset", "stuck_at_1": 0.02}):
        plain, _ = error_of(tmp_path, w, x, adc_bits=14, **keys)
        corrected, _ = error_of(tmp_path, w, x, adc_bits=14, correction="array", **keys)
        print(keys, plain, corrected)
        assert corrected < 0.85 * plain


def test_drift_compensation_follows_the_age(tmp_path):
    w, x = operands(np.random.default_rng(9), Crossbar(), "normal", 128, 256, 60)
    keys = {"adc_bits": 14, "drift_nu": 0.06, "drift_nu_sigma": 0.01, "--age": 31536000}
    plain, _ = error_of(tmp_path, w, x, **keys)
    measured_once, _ = error_of(tmp_path, w, x, correction="array", **keys)
    followed, report = error_of(tmp_path, w, x, drift_compensation=1, **keys)
    both, _ = error_of(tmp_path, w, x, drift_compensation=1, correction="array", **keys)
    assert plain > 0.6 and measured_once > 0.6
    assert followed < 0.6 * plain and both < 0.6 * plain
    # The mean over cells of what they have lost, with their own exponents.
    left = 31536000 ** -0.06
    assert abs(4096 / report["least_gain"] / left - 1) < 0.1
    assert report["least_offset"] == report["most_offset"] == 0
    offset, _ = error_of(tmp_path, w, x, mapping="offset", drift_compensation=1, **keys)
    assert offset < 0.25 * error_of(tmp_path, w, x, mapping="offset", **keys)[0]


@pytest.mark.parametrize("cell_bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("mapping", ["differential", "offset"])
def test_cells_of_all_sizes(tmp_path, mapping, cell_bits):
    compare(tmp_path, (20, 140, 20), {"mapping": mapping, "cell_bits": cell_bits},
            {**STUCK, "on_off_ratio": 50, "wire_ohm": 1, "cell_ohm": 50000, "spare_cols": 1,
             "correction": "array"})


def chip_values(**keys):
    done = run(BIN / "mxchip", "mx1-inplace", "--json", *settings(**keys))
    report = json.loads(done.stdout)
    return report["values"], report["area_mm2"]


def test_cells_are_counted(tmp_path):
    plain, area = chip_values()
    spares, more = chip_values(spare_cols=8)
    copies, _ = chip_values(redundant_slices=2, redundant_copies=3)
    three, _ = chip_values(cell_bits=3)
    assert plain["array_weights"] == 128 * 128 // 4
    assert spares == plain and more["total"] > area["total"]
    assert abs(more["cells"] / area["cells"] - 136 / 128) < 1e-3
    # Four slices, two of which are there three times; three cells of three bits.
    assert copies["array_weights"] == 128 * (128 // 8)
    assert three["array_weights"] == 128 * (128 // 3)
    assert abs(copies["capacity_bytes"] / plain["capacity_bytes"] - 0.5) < 0.01
    done = run(BIN / "mxchip", "mx1-inplace", *settings(redundant_slices=4, redundant_copies=15,
                                                        cols=32), check=False)
    assert done.returncode == 3 and "the 60 cells of a weight" in done.stderr


@pytest.mark.parametrize("keys, part", [
    ({"cell_bits": 5}, "must be 1, 2, 3, 4 or 8"),
    ({"wire_ohm": 1}, "wire_ohm = 1 needs cell_ohm"),
    ({"wire_ohm": -1}, "expected a decimal number"),
    ({"wire_ohm": "nan"}, "expected a decimal number"),
    ({"wire_ohm": 1001}, "must be 0 to 1000"),
    ({"wire_ohm": 2, "cell_ohm": 1}, "less than wire_ohm"),
    ({"spare_cols": 65}, "must be 0 to 64"),
    ({"spare_cols": 17, "cols": 16}, "more than the 16 columns"),
    ({"spare_cols": 1, "cols": 24}, "a multiple of 16 columns"),
    ({"redundant_slices": 5, "redundant_copies": 2}, "a weight has 4 slices"),
    ({"redundant_slices": 1}, "two copies at least"),
    ({"redundant_copies": 2}, "redundancy takes a slice"),
    ({"redundant_slices": 1, "redundant_copies": 16}, "must be 0 to 15"),
    ({"correction": "all"}, "expected none or array"),
    ({"drift_compensation": 2}, "must be 0 to 1"),
], ids=lambda value: str(value)[:30])
def test_impossible_arrays_are_refused_with_the_line(tmp_path, keys, part):
    refused(tmp_path, keys, part)


def test_the_error_of_the_fast_solution_is_printed():
    done = run(sys.executable, TOP / "scripts/ir-drop-error", "--quick")
    assert "rms error" in done.stdout
