# SPDX-License-Identifier: LGPL-2.1-or-later
"""A model that differs in one weight from a resident one costs the chunk that the weight is
in: by the counters of the device, and both models are right afterwards."""

import json
import shutil
import struct

import numpy as np

from conftest import MODEL, infer, map_model, ragged, vm

CHUNK = 65536
WEIGHT = "encoder.layer.3.intermediate.dense.weight"
CHUNKS_SECTION, PARAMS_SECTION, MODEL_SECTION = 3, 2, 1


def sections(image):
    """{kind: data} of an image file."""
    data = image.read_bytes()
    number, = struct.unpack_from("<I", data, 216)
    found = {}
    for i in range(number):
        kind, _, offset, size = struct.unpack_from("<IIQQ", data, 1024 + 64 * i)
        found[kind] = data[offset:offset + size]
    return found


def change_one_weight(folder):
    """Halves the second largest weight of a row: no scale changes."""
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    length, = struct.unpack_from("<Q", data)
    entry = json.loads(data[8:8 + length])[WEIGHT]
    assert entry["dtype"] == "F32"
    start, end = (8 + length + at for at in entry["data_offsets"])
    weights = np.frombuffer(bytes(data[start:end]), np.float32).reshape(entry["shape"]).copy()
    column = np.argsort(np.abs(weights[5]))[-2]
    weights[5, column] /= 2
    data[start:end] = weights.tobytes()
    path.write_bytes(data)


VM_SCRIPT = """
cd {folder}
perf() {{ cat /sys/class/mxaccel/mxaccel0/perf/$1; }}
for run in one two again; do
	before="$(perf reused_chunks) $(perf cell_writes)"
	image=$run
	[ $run != again ] || image=one
	mxrun $image.mxw --ids ids.npy --out $run.npy --json $run.json
	echo "$before $(perf reused_chunks) $(perf cell_writes)" >$run.txt
done
cat /sys/class/mxaccel/mxaccel0/health/wear_total >wear
cat /sys/class/mxaccel/mxaccel0/chip/cell_bits >cell_bits
"""


def test_one_weight(tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(MODEL, changed, symlinks=False)
    change_one_weight(changed)
    images = tmp_path / "one.mxw", tmp_path / "two.mxw"
    map_model(MODEL, images[0])
    map_model(changed, images[1])
    one, two = (sections(image) for image in images)
    digests = [[s[CHUNKS_SECTION][at:at + 32] for at in range(0, len(s[CHUNKS_SECTION]), 32)]
               for s in (one, two)]
    different = [i for i, (a, b) in enumerate(zip(*digests)) if a != b]
    assert len(different) == 1

    vocab = json.loads((MODEL / "config.json").read_text())["vocab_size"]
    ids = ragged(np.random.default_rng(6), vocab, [30, 4])
    np.save(tmp_path / "ids.npy", ids)
    vm(VM_SCRIPT.format(folder=tmp_path), tmp_path)
    bits = int((tmp_path / "cell_bits").read_text())
    chunks = len(digests[0])
    model_bytes, params_bytes = len(one[MODEL_SECTION]), len(one[PARAMS_SECTION])
    expected = {"one": (0, model_bytes + params_bytes),
                "two": (chunks - 1, model_bytes + min(CHUNK, params_bytes - different[0] * CHUNK)),
                "again": (0, 0)}
    for run, (reused, sent) in expected.items():
        numbers = list(map(int, (tmp_path / f"{run}.txt").read_text().split()))
        assert numbers[2] - numbers[0] == reused, run
        cells = numbers[3] - numbers[1]
        assert 0 <= cells - sent * 8 / bits < chunks + 3, f"{run}: a part cell for each piece"
        model = json.loads((tmp_path / f"{run}.json").read_text())["model"]
        assert (model["reused_chunks"], model["programmed_bytes"]) == (reused, sent), run
        assert model["programmed"] == (run != "again")
    program_chunks = -(-model_bytes // CHUNK)
    assert int((tmp_path / "wear").read_text()) == 2 * program_chunks + chunks + 1

    results = {run: np.load(tmp_path / f"{run}.npy") for run in expected}
    assert results["one"].tobytes() == results["again"].tobytes()
    assert results["one"].tobytes() != results["two"].tobytes()
    for run, image in zip(("one", "two"), images):
        assert infer(image, ids, tmp_path).tobytes() == results[run].tobytes()
