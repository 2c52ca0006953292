# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same bits whatever runs the chip: in process or in the VM, one thread or more, any
instruction set, any batch. And counters that equal the specification's formulas."""

import json

import numpy as np
import pytest

from conftest import BIN, MODEL, TOP, infer, ragged, run, vm
from formulas import expect, is_time, read_chip

ISAS = ["portable", "avx2", "avx512"]
CHIPS = TOP / "qemu-device" / "chips"

# Runs jobs one after another, and keeps what sysfs says before and after each.
VM_SCRIPT = """
snapshot() {{
	for file in /sys/class/mxaccel/mxaccel0/perf/*; do
		echo "${{file##*/}} $(cat "$file")"
	done >"$1"
}}
cd {folder}
mxrun model.mxw --ids ids0.npy --out warm.npy	# programs the model
snapshot before0
mxrun model.mxw --ids ids0.npy --out out0.npy
snapshot before1
mxrun model.mxw --ids ids1.npy --out out1.npy --entry sentence
snapshot before2
"""


def batches(vocab):
    generator = np.random.default_rng(11)
    return [ragged(generator, vocab, [64, 1, 17, 40, 128, 3, 90]),
            ragged(generator, vocab, [5, 33, 7], tokens=48)]


@pytest.fixture(scope="module")
def in_vm(model_image, tmp_path_factory):
    """Two jobs of the real model through QEMU's device, on one and on two chip threads."""
    config = json.loads((MODEL / "config.json").read_text())
    results = []
    for threads in (1, 2):
        folder = tmp_path_factory.mktemp(f"vm{threads}")
        (folder / "model.mxw").write_bytes(model_image.read_bytes())
        for index, ids in enumerate(batches(config["vocab_size"])):
            np.save(folder / f"ids{index}.npy", ids)
        vm(VM_SCRIPT.format(folder=folder), folder, "--prop", f"threads={threads}")
        results.append(folder)
    return results


def counters(path):
    return {name: int(value) for name, value in
            (line.split() for line in path.read_text().splitlines())}


def test_vm_equals_process(in_vm, model_image, tmp_path):
    config = json.loads((MODEL / "config.json").read_text())
    for index, (ids, entry) in enumerate(zip(batches(config["vocab_size"]),
                                             ["tokens", "sentence"])):
        here = infer(model_image, ids, tmp_path, entry=entry)
        for folder in in_vm:
            there = np.load(folder / f"out{index}.npy")
            assert there.tobytes() == here.tobytes(), f"{folder.name}, entry {entry}"


def test_vm_counters_equal_formulas(in_vm):
    """Every counter of perf/, also those that must stand still; queue_bytes is the
    queues' own traffic, which depends on the driver."""
    chip = read_chip(CHIPS / "mx1.ini")
    config = json.loads((MODEL / "config.json").read_text())
    for folder in in_vm:
        for index, (ids, entry) in enumerate(zip(batches(config["vocab_size"]),
                                                 ["tokens", "sentence"])):
            before = counters(folder / f"before{index}")
            after = counters(folder / f"before{index + 1}")
            change = {name: after[name] - before[name] for name in after
                      if name != "queue_bytes" and not is_time(name)}
            assert all(after[name] > before[name] for name in
                       ("cycles", "busy_small_cycles", "energy_static_fj"))
            expected = dict.fromkeys(change, 0) | expect(chip, config, ids.tolist(), entry)
            assert change == expected
            width = config["hidden_size"]
            results = ids.size * width if entry == "tokens" else len(ids) * width
            assert change["dma_read_bytes"] == 4 * ids.size
            assert change["dma_write_bytes"] == 4 * results
            assert after["queue_bytes"] > before["queue_bytes"]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 2])
def test_same_bits(isa, threads, model_image, tmp_path):
    flags = cpu_flags()
    if isa == "avx512" and not {"avx512f", "avx512_vnni"} <= flags:
        pytest.skip("this CPU has no AVX-512 VNNI; unit/test_kernels emulates it")
    if isa == "avx2" and "avx2" not in flags:
        pytest.skip("this CPU has no AVX2")
    ids = batches(30522)[0]
    reference = infer(model_image, ids, tmp_path, device="sim:mx1,threads=1,isa=portable")
    other = infer(model_image, ids, tmp_path, device=f"sim:mx1,threads={threads},isa={isa}")
    assert other.tobytes() == reference.tobytes()


def cpu_flags():
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("flags"):
                return set(line.split(":")[1].split())
    return set()


def test_batch_does_not_matter(model_image, tmp_path):
    """A sequence alone, padded further, or among others: the same bits."""
    ids = batches(30522)[0]
    together = infer(model_image, ids, tmp_path)
    for row, length in ((0, 64), (1, 1), (2, 17)):
        alone = infer(model_image, ids[row:row + 1, :length], tmp_path)
        assert alone[0].tobytes() == together[row, :length].tobytes()


def test_counters_of_a_random_model(small, tmp_path):
    """The same formulas hold for sizes that divide by nothing, on another chip."""
    ids = ragged(np.random.default_rng(2), small.config["vocab_size"], [64, 1, 17])
    np.save(tmp_path / "ids.npy", ids)
    run(BIN / "mxrun", small.image, "--ids", tmp_path / "ids.npy", "--out", tmp_path / "out.npy",
        "--device", "sim:tiny", "--json", tmp_path / "run.json")
    shown = json.loads((tmp_path / "run.json").read_text())["counters"]
    expected = expect(read_chip(CHIPS / "tiny.ini"), small.config, ids.tolist())
    assert {name: shown.get(name) for name in expected} == expected
