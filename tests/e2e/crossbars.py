# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxmvm as a function, and operands for it."""

import numpy as np
from conftest import BIN, run


def settings(**keys):
    where = {"rows": "large", "cell_bits": "large", "dac_bits": "large", "adc_bits": "large",
             "cols": "large"}
    return [part for key, value in keys.items()
            for part in ("--set", f"{where.get(key, 'analog')}.{key}={value}")]


def mxmvm(folder, w, x, *options, chip="mx1-inplace", check=True, record=True):
    np.save(folder / "w.npy", w)
    np.save(folder / "x.npy", x)
    more = ["--sums", folder / "s.npy", "--codes", folder / "c.npy"] if record else []
    done = run(BIN / "mxmvm", "--chip", chip, "--w", folder / "w.npy", "--x", folder / "x.npy",
               "--out", folder / "y.npy", *more, *options, check=check)
    if not check:
        return done
    report = {name: int(value) for name, value in map(str.split, done.stdout.splitlines())}
    if not record:
        return np.load(folder / "y.npy"), report
    return (np.load(folder / "y.npy"), np.load(folder / "s.npy"), np.load(folder / "c.npy"),
            report)


def operands(generator, crossbar, kind, n, k, t):
    low = -128 if crossbar.slices * crossbar.cell_bits >= 8 else -127
    if crossbar.input == "unsigned":
        x_low, x_high, x_type = 0, 255, np.uint8
    else:
        x_low = -128 if crossbar.bits * crossbar.dac_bits >= 8 else -127
        x_high, x_type = 127, np.int8
    if kind == "normal":
        w = generator.normal(0, 33, (n, k)).round().clip(low, 127)
        x = generator.normal(x_high / 3, 40, (t, k)).round().clip(x_low, x_high)
    elif kind == "extreme":
        w = generator.choice([low, 127], (n, k))
        x = generator.choice([x_low, x_high], (t, k), p=[0.1, 0.9])
    else:
        w = generator.integers(low, 128, (n, k))
        x = generator.integers(x_low, x_high + 1, (t, k))
    return w.astype(np.int8), x.astype(x_type)


def effective_levels(folder, w, *options, chip="mx1-inplace"):
    """Levels [slice, N, K] in counts: the sums of inputs that drive one row each."""
    count = w.shape[1]
    x = np.eye(count, dtype=np.uint8)
    _, s, _, report = mxmvm(folder, w, x, *settings(input="unsigned"), *options, chip=chip)
    arrays, slices, _, n, _ = s.shape
    assert report["sums_per_count"] == 32
    return s[:, :, 0].sum(axis=0).reshape(slices, n, count) / 32
