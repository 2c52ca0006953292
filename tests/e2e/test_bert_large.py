# SPDX-License-Identifier: LGPL-2.1-or-later
"""BERT-Large whole on one chip: a checkpoint of its exact shape and published layout, every
parameter resident, up to 512 tokens, in process and in the VM, and the memory that it takes.

The weights are random: the published ones would answer better, not otherwise."""

import hashlib
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from bert import Bert, token_cosines
from conftest import BIN, TOP, infer, run, vm

NAME = "bert-large-uncased"
PARAMETERS = 335_141_888        # of the encoder with its pooler, as published
INT8 = PARAMETERS               # bytes
VOCAB = 30522
TOKENS = (128, 384, 512)
GUEST_BYTES = 1 << 30           # of the VM, mxvm's default


@pytest.fixture(scope="module")
def checkpoint():
    run(TOP / "scripts" / "make-checkpoint", NAME)
    return TOP / "build" / NAME


@pytest.fixture(scope="module")
def large(checkpoint, tmp_path_factory):
    """The image and the ids of some jobs in one folder."""
    folder = tmp_path_factory.mktemp("large")
    done = run(BIN / "mxmap", checkpoint, "-o", folder / "large.mxw", "--name", NAME)
    for tokens in TOKENS:
        ids = np.random.default_rng(tokens).integers(1, VOCAB, (1, tokens), dtype=np.int32)
        np.save(folder / f"ids{tokens}.npy", ids)

    class Large:
        path = folder
        image = folder / "large.mxw"
        said = done.stderr

    return Large


# A process inherits the peak of the one that started it, so a small one does that.
PEAK = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")


def peak_bytes(command):
    """Largest resident memory of a program that must succeed."""
    return int(run(sys.executable, "-c", PEAK, *command).stdout.split()[-1]) * 1024


def mxrun(image, ids, out, device):
    return [BIN / "mxrun", image, "--ids", ids, "--out", out, "--device", device]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def in_process(large):
    """Results and peak memory of a job of each length."""
    peaks = {tokens: peak_bytes(mxrun(large.image, large.path / f"ids{tokens}.npy",
                                   large.path / f"sim{tokens}.npy", "sim:mx1"))
             for tokens in TOKENS}
    return {tokens: digest(large.path / f"sim{tokens}.npy") for tokens in TOKENS}, peaks


def test_every_parameter_is_in_the_image(large):
    """Of the encoder with pooler, and of the head that tells next sentences."""
    said = re.search(r"(\d+) parameters", large.said)
    assert int(said[1]) == PARAMETERS + 2 * 1024 + 2
    # The words of 512 tokens are more than the chip holds, and mxmap says so.
    assert '"mlm"' in large.said and "intermediates" in large.said
    memory = re.search(r"took [\d.]+ s and (\d+) MB of memory", large.said)
    assert int(memory[1]) * 1e6 < 1.3 * INT8
    info = run(BIN / "mxrun", large.image, "--info").stdout
    assert re.findall(r"^entry +(\w+)", info, re.M) == ["tokens", "sentence", "pooler", "nsp"]
    weights, program = map(int, re.search(r"weights (\d+), program (\d+)", info).groups())
    assert INT8 < weights + program < 11 * (32 << 20)


def test_near_the_reference(large, checkpoint, in_process):
    hidden = np.load(large.path / "sim128.npy")
    ids = np.load(large.path / "ids128.npy")
    want = Bert.load(str(checkpoint)).encode(ids)
    cosines = token_cosines(hidden, want, ids)
    print(f"cosine to float32 over 128 tokens: least {cosines.min():.5f}, "
          f"mean {cosines.mean():.5f}")
    assert cosines.min() > 0.999
    # Which says something, as the tokens are not alike.
    assert token_cosines(want[:, 1:], want[:, :-1], ids[:, 1:]).mean() < 0.9


def test_memory_in_process(large, small, in_process, tmp_path):
    """The model as the chip holds it, its intermediates, and not much more."""
    np.save(tmp_path / "ids.npy", np.ones((1, 4), np.int32))
    without = peak_bytes(mxrun(small.image, tmp_path / "ids.npy", tmp_path / "out.npy", "sim:mx1"))
    for tokens, peak in in_process[1].items():
        print(f"{tokens} tokens: {peak / 1e6:.1f} MB, {without / 1e6:.1f} MB without the model")
        assert INT8 < peak - without < 1.3 * INT8


class Watcher(threading.Thread):
    """Samples the memory of the QEMU that works on a folder, without that of its guest."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.peak, self.stop = str(folder), {}, threading.Event()
        self.phase = "before"

    def process(self):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"qemu-system" in words[0] and any(self.folder.encode() in word for word in words):
                return path.parent
        return None

    def sample(self, process):
        size, total = 0, 0
        for line in (process / "smaps").read_text().splitlines():
            word = line.split(" ", 1)[0]
            if word == "Size:":
                size = int(line.split()[1])
            elif word == "Rss:" and size * 1024 != GUEST_BYTES:
                total += int(line.split()[1])
        return total * 1024

    def run(self):
        process = None
        while not self.stop.wait(0.02):
            process = process or self.process()
            try:
                used = self.sample(process) if process else 0
            except OSError:
                continue
            for mark in Path(self.folder).glob("phase-*"):
                self.phase = mark.name
            self.peak[self.phase] = max(self.peak.get(self.phase, 0), used)


VM_SCRIPT = """
cd {folder}
mxrun small.mxw --ids small.npy --out vm-small.npy
rm -f phase-*; touch phase-small; sleep 0.3; rm phase-small; touch phase-large
for tokens in {tokens}; do
	mxrun large.mxw --ids ids$tokens.npy --out vm$tokens.npy
done
cat /sys/class/mxaccel/mxaccel0/perf/dma_write_bytes
"""


def test_vm(large, small, in_process):
    """The same bits through driver and device, and QEMU holds the model once."""
    (large.path / "small.mxw").write_bytes(small.image.read_bytes())
    np.save(large.path / "small.npy", np.ones((1, 4), np.int32))
    watcher = Watcher(large.path)
    watcher.start()
    try:
        vm(VM_SCRIPT.format(folder=large.path, tokens=" ".join(map(str, TOKENS))), large.path,
           "--mem", GUEST_BYTES >> 20)
    finally:
        watcher.stop.set()
        watcher.join()
    for tokens in TOKENS:
        assert digest(large.path / f"vm{tokens}.npy") == in_process[0][tokens], tokens
    print("QEMU without its guest's memory:",
          {phase: f"{peak / 1e6:.1f} MB" for phase, peak in watcher.peak.items()})
    grown = watcher.peak["phase-large"] - watcher.peak["phase-small"]
    assert INT8 < grown < 1.3 * INT8
