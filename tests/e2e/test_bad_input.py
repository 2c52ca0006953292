# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input gets a clear error, nothing is lost, and the device works after it."""

import json
import struct

import numpy as np
import pytest

from conftest import BIN, infer, make_bert, map_model, ragged, run, vm

GOOD = [[2, 7, 8, 9, 3]]


def refused(image, ids, folder, *words, device="sim:tiny"):
    """mxrun must fail with one clear line that names the given words, and write nothing."""
    done = infer(image, ids, folder, device=device, check=False)
    assert done.returncode not in (0, 139, 134), done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert str(word) in lines[0], done.stderr
    assert not (folder / "out.npy").exists()
    return lines[0]


# ------------------------------------------------------------------ inputs

def test_id_outside_the_vocabulary(small, tmp_path):
    vocab = small.config["vocab_size"]
    refused(small.image, [[2, vocab, 3]], tmp_path, vocab)
    refused(small.image, [[2, -5, 3]], tmp_path, -5)
    assert infer(small.image, [[2, vocab - 1, 3]], tmp_path, "sim:tiny").shape[1] == 3


def test_no_tokens(small, tmp_path):
    refused(small.image, [[2, 3, 4], [0, 0, 0]], tmp_path, "no tokens")
    refused(small.image, np.zeros((0, 4)), tmp_path)
    refused(small.image, np.zeros((4, 0)), tmp_path)


def test_too_many_tokens(small, tmp_path):
    limit = small.config["max_position_embeddings"]
    ids = np.full((1, limit + 1), 5)
    refused(small.image, ids, tmp_path, limit)
    assert infer(small.image, ids[:, :limit], tmp_path, "sim:tiny").shape[1] == limit


def test_wrong_array(small, tmp_path):
    for array in (np.ones((2, 3), np.float32), np.ones(3, np.int32),
                  np.asfortranarray(np.ones((2, 3), np.int32))):
        np.save(tmp_path / "ids.npy", array)
        done = run(BIN / "mxrun", small.image, "--ids", tmp_path / "ids.npy",
                   "--out", tmp_path / "out.npy", "--device", "sim:tiny", check=False)
        assert done.returncode and "ids.npy" in done.stderr
    (tmp_path / "ids.npy").write_bytes(b"")
    done = run(BIN / "mxrun", small.image, "--ids", tmp_path / "ids.npy",
               "--out", tmp_path / "out.npy", "--device", "sim:tiny", check=False)
    assert done.returncode and "ids.npy" in done.stderr


def test_full_disk(small, tmp_path):
    np.save(tmp_path / "ids.npy", np.array(GOOD, np.int32))
    done = run(BIN / "mxrun", small.image, "--ids", tmp_path / "ids.npy",
               "--out", "/dev/full", "--device", "sim:tiny", check=False)
    assert done.returncode and "/dev/full" in done.stderr


def test_unknown_devices(small, tmp_path):
    for device in ("sim:nothing", "/dev/mxaccel99", "nonsense", "sim:tiny,threads=x"):
        done = infer(small.image, GOOD, tmp_path, device=device, check=False)
        assert done.returncode and device.split(",")[0].split(":")[-1] in done.stderr


# ------------------------------------------------------------------ images

def test_truncated_image(small, tmp_path):
    whole = small.image.read_bytes()
    damaged = tmp_path / "cut.mxw"
    for length in (0, 1, 100, 4095, 4096, 8192, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:length])
        refused(damaged, GOOD, tmp_path, "cut.mxw")


def test_flipped_bits(small, tmp_path):
    """One flipped bit anywhere: every byte of the header page, and places all over."""
    whole = small.image.read_bytes()
    generator = np.random.default_rng(8)
    places = list(range(0, 4096, 61)) + list(generator.integers(4096, len(whole), 60))
    damaged = tmp_path / "flipped.mxw"
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << int(generator.integers(8))
        damaged.write_bytes(data)
        refused(damaged, GOOD, tmp_path, "flipped.mxw")
    assert infer(small.image, GOOD, tmp_path, "sim:tiny").shape[0] == 1


def test_verify(small, tmp_path):
    """--verify looks at all weights, whatever a device may hold; else a chip does, when programmed."""
    data = bytearray(small.image.read_bytes())
    for entry in range(1024, 4096, 64):
        kind, _, offset = struct.unpack_from("<IIQ", data, entry)
        if kind == 2:
            break
    data[offset + 2 * 65536 + 5] ^= 8
    damaged = tmp_path / "weights.mxw"
    damaged.write_bytes(data)
    command = [BIN / "mxrun", damaged, "--ids", tmp_path / "ids.npy", "--out", tmp_path / "out.npy"]
    np.save(tmp_path / "ids.npy", np.array(GOOD, np.int32))
    for options in (["--verify", "--device", "sim:nothing"], ["--device", "sim:tiny"]):
        done = run(*command, *options, check=False)
        assert done.returncode and "weights.mxw" in done.stderr
        assert f"chunk 2 of section PARAMS, the 65536 bytes at byte {offset + 131072}" in done.stderr


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def patched(image, target, offset, value):
    """A copy of an image with other bytes in its header, and a checksum that fits them."""
    data = bytearray(image.read_bytes())
    data[offset:offset + len(value)] = value
    data[220:224] = bytes(4)
    data[220:224] = struct.pack("<I", crc32c(data[:4096]))
    target.write_bytes(data)
    return target


def test_unknown_version_and_feature(small, tmp_path):
    image = patched(small.image, tmp_path / "future.mxw", 8, struct.pack("<H", 77))
    refused(image, GOOD, tmp_path, "version", "77")
    image = patched(small.image, tmp_path / "feature.mxw", 24, struct.pack("<Q", 1 << 37))
    refused(image, GOOD, tmp_path, "feature", "37")
    # A compatible feature bit changes nothing.
    image = patched(small.image, tmp_path / "compatible.mxw", 32, struct.pack("<Q", 1 << 9))
    assert infer(image, GOOD, tmp_path, "sim:tiny").shape[0] == 1


def test_image_larger_than_the_chip(tmp_path):
    make_bert(tmp_path / "large", hidden=192, heads=3, layers=6, ffn=768, vocab=2000)
    done = map_model(tmp_path / "large", tmp_path / "large.mxw", "--chip", "tiny", check=False)
    assert done.returncode and "tiny" in done.stderr and "bytes" in done.stderr
    assert not (tmp_path / "large.mxw").exists()
    map_model(tmp_path / "large", tmp_path / "large.mxw")
    message = refused(tmp_path / "large.mxw", GOOD, tmp_path)
    assert "fit" in message or "large" in message


# ---------------------------------------------------------- checkpoints

def test_missing_tensor(tmp_path):
    name = "encoder.layer.1.attention.self.key.weight"
    make_bert(tmp_path / "bert", missing=name)
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw", check=False)
    assert done.returncode and name in done.stderr
    assert list(tmp_path.glob("out.mxw*")) == []


@pytest.mark.parametrize("change", [
    dict(model_type="gpt2", architectures=["GPT2LMHeadModel"]),
    dict(model_type="roberta", architectures=["RobertaModel"]),
    dict(position_embedding_type="relative_key"),
    dict(hidden_act="mystery"),
    dict(num_attention_heads=7),
    dict(hidden_size=97),
    dict(num_hidden_layers=0),
    dict(vocab_size=-1),
])
def test_other_architectures(change, tmp_path):
    make_bert(tmp_path / "bert")
    config = json.loads((tmp_path / "bert" / "config.json").read_text())
    (tmp_path / "bert" / "config.json").write_text(json.dumps(config | change))
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw", check=False)
    assert done.returncode and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "out.mxw").exists()


def test_no_folder(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        done = map_model(folder, tmp_path / "out.mxw", check=False)
        assert done.returncode and str(folder) in done.stderr


# ---------------------------------------------------------- through the VM

VM_SCRIPT = """
cd {folder}
fails() {{
	if "$@" 2>>errors; then echo "did not fail: $*" >>errors; exit 9; fi
	mxrun small.mxw --ids good.npy --out again.npy
	cmp again.npy first.npy
}}
mxrun small.mxw --ids good.npy --out first.npy
fails mxrun small.mxw --ids wild.npy --out x.npy
fails mxrun small.mxw --ids empty.npy --out x.npy
fails mxrun small.mxw --ids long.npy --out x.npy
# A chip that holds the model needs no weights from the file.
mxrun flipped.mxw --ids good.npy --out again.npy
cmp again.npy first.npy
fails mxrun flipped.mxw --verify --ids good.npy --out x.npy
fails mxrun large.mxw --ids good.npy --out x.npy
# A process killed in the middle of a job leaves nothing behind.
mxrun small.mxw --ids many.npy --out x.npy --repeat 100000 &
sleep 1
kill -9 $!
wait || true
mxrun small.mxw --ids good.npy --out again.npy
cmp again.npy first.npy
# The module stays while a file is open.
exec 9</dev/mxaccel0
if rmmod mxaccel 2>>errors; then exit 8; fi
exec 9<&-
mxrun small.mxw --ids good.npy --out again.npy
cmp again.npy first.npy
rmmod mxaccel
cp again.npy /tmp/only-in-the-vm.npy
"""


def test_in_the_vm(small, tmp_path):
    vocab = small.config["vocab_size"]
    limit = small.config["max_position_embeddings"]
    whole = bytearray(small.image.read_bytes())
    (tmp_path / "small.mxw").write_bytes(whole)
    whole[len(whole) // 2] ^= 4
    (tmp_path / "flipped.mxw").write_bytes(whole)
    make_bert(tmp_path / "large", hidden=192, heads=3, layers=6, ffn=768, vocab=2000)
    map_model(tmp_path / "large", tmp_path / "large.mxw")
    for name, ids in dict(good=GOOD, wild=[[2, vocab, 3]], empty=[[0, 0]],
                          long=np.full((1, limit + 1), 5),
                          many=ragged(np.random.default_rng(0), vocab, [limit] * 64)).items():
        np.save(tmp_path / f"{name}.npy", np.asarray(ids, np.int32))
    done = vm(VM_SCRIPT.format(folder=tmp_path), tmp_path, "--prop", "chip=tiny")
    # A result that went where it cannot stay is not lost in silence.
    assert "/tmp/only-in-the-vm.npy" in done.stderr
    here = infer(small.image, GOOD, tmp_path, "sim:tiny")
    assert np.load(tmp_path / "first.npy").tobytes() == here.tobytes()
    errors = (tmp_path / "errors").read_text()
    assert str(vocab) in errors and "flipped.mxw" in errors and "no tokens" in errors
