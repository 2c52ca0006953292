# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chips' time against a plain list schedule: every busy and stall counter, to the cycle."""

import pytest
from formulas import read_chip
from schedule import run
from test_agreement import estimate, variant

# layers, hidden, heads, ffn, vocabulary, positions
SMALL = (2, 96, 3, 200, 50, 64)
FAST_BANKS = {"port_bytes": 1048576}

CASES = [
    ("mx1", FAST_BANKS, True),
    ("tiny", FAST_BANKS, True),
    ("mx1", FAST_BANKS | {"macs": 64, "layer_cycles": 0, "softmax_lanes": 2}, True),
    ("mx1", FAST_BANKS | {"kind": "crossbar", "crossbars": 700, "adcs": 3}, True),
    ("mx1", FAST_BANKS | {"kind": "crossbar", "digit_bits": 2, "adc_bits": 3}, True),
    ("mx1", FAST_BANKS | {"kind": "crossbar", "digit_bits": 4}, True),
    ("mx1-inplace", {}, False),
    ("mx1-inplace", {"rows_active": 64}, False),
    ("mx1-inplace", {"adcs": 1, "bus_bytes": 1, "norm_units": 1}, False),
    ("mx1-inplace", {"units": 1, "act_lanes": 1, "requant_units": 1, "dac_bits": 2}, False),
    ("isaac-mb", {}, True),
    ("isaac-mb", {"rows_active": 16}, True),
    ("isaac-mb", {"mode": "offchip"}, True),
    ("isaac-mb", {"mode": "offchip", "kv_barrier": 1, "overlap_link": 1}, True),
    ("isaac-mb", {"kv_barrier": 1, "row_cycles": 7}, True),
    ("isaac-sb", {"overlap_link": 1, "offchip_bytes": 1.7}, True),
]


@pytest.mark.parametrize("planes, entry, lengths", [
    (1, 0, [1]), (2, 1, [19]), (2, 0, [9, 12]), (1, 1, [8, 8, 3, 15, 1])])
@pytest.mark.parametrize("chip, keys, several", CASES)
def test_time(chip, keys, several, planes, entry, lengths, tmp_path):
    """In-place layers share groups, so only sequences alone have units of their own there."""
    path = variant(chip, keys, tmp_path)
    lengths = lengths if several else lengths[:1]
    got = estimate(path, lengths, max(lengths), entry, SMALL, planes)
    want = run(read_chip(path), SMALL, planes, entry, lengths, chip.startswith("isaac"))
    assert {name: got[name] for name in want} == want
    rest = {name for name, value in got.items() if value and name not in want and
            name.startswith(("busy", "stall"))}
    assert rest <= {"busy_large_cycles"}
