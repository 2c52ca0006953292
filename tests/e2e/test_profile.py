# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxrun --profile: every macro-op is in it, and looking changes nothing."""

import numpy as np

from conftest import BIN, infer, ragged, run


def test_profile(small, tmp_path):
    ids = ragged(np.random.default_rng(4), small.config["vocab_size"], [30, 4, 64])
    plain = infer(small.image, ids, tmp_path, device="sim:tiny")
    done = run(BIN / "mxrun", small.image, "--ids", tmp_path / "ids.npy", "--out",
               tmp_path / "seen.npy", "--device", "sim:tiny", "--profile", "--repeat", 3)
    assert (np.load(tmp_path / "seen.npy") == plain).all()
    lines = [line.split("  ") for line in done.stdout.splitlines() if line.endswith("%")]
    table = {line[0]: [word for word in " ".join(line[1:]).split() if word not in "ms%"]
             for line in lines}
    layers = small.config["num_hidden_layers"]
    calls = {name: int(row[0]) for name, row in table.items()}
    # One job is one chunk: an op is a call, however many runs there were.
    assert calls == {
        "LOAD": 1, "EMBED": 3, "NORM": 1 + 2 * layers, "MATMUL": 7 * layers, "QUANT": 3 * layers,
        "MATMUL_DYN QK": layers, "SOFTMAX": layers, "MATMUL_DYN PV": layers, "ADD": 2 * layers,
        "ACT": layers, "FENCE": layers, "STORE": 1, "outside of them": 0,
        "all products": 9 * layers}
    shares = {name: float(row[2]) for name, row in table.items()}
    whole = sum(share for name, share in shares.items() if name != "all products")
    assert abs(whole - 100) < 1
    products = sum(share for name, share in shares.items() if name.startswith("MATMUL"))
    assert abs(products - shares["all products"]) < 0.3


def test_profile_is_of_this_process(small, tmp_path):
    np.save(tmp_path / "ids.npy", np.ones((1, 2), np.int32))
    done = run(BIN / "mxrun", small.image, "--ids", tmp_path / "ids.npy", "--out",
               tmp_path / "out.npy", "--device", "/dev/mxaccel0", "--profile", check=False)
    assert done.returncode == 1 and "sim:" in done.stderr
