# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the end-to-end tests share: the tools, images of models, and runs in the VM."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TOP = Path(__file__).resolve().parents[2]
BIN = TOP / "build" / "bin"
MODEL = TOP / "build" / "model-dir"
CONSOLES = Path(os.environ.get("MXVM_CONSOLES", TOP / "build" / "vm"))
sys.path.insert(0, str(TOP / "tests" / "reference"))

from make_bert import make_bert  # noqa: E402


def run(*command, check=True, timeout=600):
    """Runs a program; its output is in the answer. With check, it must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL, errors="replace")
    if check:
        assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stderr}"
    return done


def map_model(folder, image, *options, check=True):
    return run(BIN / "mxmap", folder, "-o", image, *options, check=check)


def infer(image, ids, folder, device="sim:mx1", entry=None, check=True, options=()):
    """mxrun on a batch of ids; returns its result, or with check=False what it printed."""
    ids_file, out_file = folder / "ids.npy", folder / "out.npy"
    np.save(ids_file, np.asarray(ids, dtype=np.int32))
    out_file.unlink(missing_ok=True)
    extra = ["--entry", entry] if entry else []
    done = run(BIN / "mxrun", image, "--ids", ids_file, "--out", out_file,
               "--device", device, *extra, *options, check=check)
    if check:
        return np.load(out_file)
    return done


def vm(script, folder, *options, check=True, timeout=600):
    """Runs a shell script in the VM, which may write to folder."""
    CONSOLES.mkdir(parents=True, exist_ok=True)
    console = CONSOLES / f"{folder.name}-{len(list(CONSOLES.glob('*.log')))}.log"
    return run(TOP / "mxvm", "--console", console, "--share", folder, "--timeout", timeout,
               *options, "--", "sh", "-euc", script, check=check, timeout=timeout + 60)


def pad(sequences):
    """One int32 array of sequences of different lengths, filled up with zeros."""
    ids = np.zeros((len(sequences), max(map(len, sequences))), dtype=np.int32)
    for row, sequence in zip(ids, sequences):
        row[:len(sequence)] = sequence
    return ids


def ragged(generator, vocab, lengths, tokens=None):
    """Random ids, the given number in each row, zeros after them."""
    ids = np.zeros((len(lengths), tokens or max(lengths)), dtype=np.int32)
    for row, length in zip(ids, lengths):
        row[:length] = generator.integers(1, vocab, length)
    return ids


@pytest.fixture(scope="session")
def model_image(tmp_path_factory):
    """The real model, mapped for mx1."""
    image = tmp_path_factory.mktemp("model") / "model.mxw"
    map_model(MODEL, image)
    return image


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A random model that fits the tiny chip: its folder, image and configuration."""
    folder = tmp_path_factory.mktemp("small")
    make_bert(folder / "bert", seed=3)
    map_model(folder / "bert", folder / "small.mxw", "--chip", "tiny")

    class Small:
        path = folder / "bert"
        image = folder / "small.mxw"
        config = json.loads((folder / "bert" / "config.json").read_text())

    return Small
