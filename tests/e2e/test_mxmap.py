# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxmap: what it writes, bit by bit, and what it refuses."""

import hashlib
import json
import os
import resource
import struct
import subprocess

import numpy as np
import pytest

from bert import Bert, l2_normalise, read_tensors
from conftest import BIN, TOP, infer, make_bert, map_model, pad, run
from make_bert import write_json, write_safetensors

LOAD, EMBED, MATMUL, MATMUL_DYN, NORM, POOL = 1, 2, 3, 4, 6, 9
ACCUMULATE = 1
MODEL, PARAMS, CHUNKS, VOCAB, TOKENIZER, CARD, GOLDEN = range(1, 8)
OP = struct.Struct("<BBHHHHHIIIIIQQQIHH")
OP_FIELDS = ("opcode kind flags dst src src2 heads dst_col src_col src2_col k n "
             "w_off s_off b_off alpha layer rsvd").split()


class Image:
    """A reader of .mxw files that shares no code with the library's."""

    def __init__(self, path):
        self.data = path.read_bytes()
        nr, = struct.unpack_from("<I", self.data, 216)
        self.content = self.data[40:72].hex()
        self.name = self.data[72:120].rstrip(b"\0").decode()
        self.chip = self.data[120:152].rstrip(b"\0").decode()
        self.sections = {}
        for index in range(nr):
            kind, _, offset, size = struct.unpack_from("<IIQQ", self.data, 1024 + 64 * index)
            assert offset % 4096 == 0
            self.sections[kind] = self.data[offset:offset + size]
        model = self.sections[MODEL]
        self.vocab, self.max_tokens, regions, entries, ops = struct.unpack_from("<5I", model, 72)
        at = 128 + 16 * regions
        self.regions = [(model[i], *struct.unpack_from("<I", model, i + 4))
                        for i in range(128, at, 16)]
        first = at + 64 * entries
        self.entries = {}
        for i in range(at, first, 64):
            begin, count = struct.unpack_from("<II", model, i + 32)
            self.entries[model[i:i + 32].rstrip(b"\0").decode()] = [
                dict(zip(OP_FIELDS, OP.unpack_from(model, first + 64 * (begin + op))))
                for op in range(count)]
        places, *self.place_geometry = struct.unpack_from("<5I", model, 92)
        self.places = [struct.unpack_from("<QIII", model, first + 64 * ops + 32 * i)
                       for i in range(places)]
        assert first + 64 * ops + 32 * places == len(model)

    def floats(self, offset, count):
        return np.frombuffer(self.sections[PARAMS], "<f4", count, offset)

    def matrix(self, op):
        """INT8 weights [n, k] and scales [n] of a MATMUL."""
        n, k = op["n"], op["k"]
        groups, words = -(-n // 16), -(-k // 4)
        raw = np.frombuffer(self.sections[PARAMS], np.int8, groups * words * 64, op["w_off"])
        whole = raw.reshape(groups, words, 16, 4).transpose(0, 2, 1, 3).reshape(groups * 16, -1)
        assert not whole[n:].any() and not whole[:, k:].any()
        return whole[:n, :k], self.floats(op["s_off"], n)

    def table(self, op):
        stride = -(-op["k"] // 64) * 64
        raw = np.frombuffer(self.sections[PARAMS], np.int8, op["n"] * stride, op["w_off"])
        raw = raw.reshape(op["n"], stride)
        assert not raw[:, op["k"]:].any()
        return raw[:, :op["k"]], self.floats(op["s_off"], op["n"])

    def card(self):
        return json.loads(self.sections[CARD])


def quantised(weights):
    scale = np.abs(weights).max(axis=1) / np.float32(127)
    with np.errstate(invalid="ignore"):
        q = np.rint(weights / scale[:, None])
    return np.where(scale[:, None] > 0, q, 0).astype(np.int8), scale


def change_json(path, **changes):
    value = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(value | changes))


def rewrite(folder, change):
    """Changes the tensors of a folder's only safetensors file: change(tensors) in place."""
    tensors = read_tensors(str(folder))
    change(tensors)
    write_safetensors(str(folder / "model.safetensors"), tensors, "f32")


def add_pooler(folder, hidden, seed=9):
    generator = np.random.default_rng(seed)
    rewrite(folder, lambda tensors: tensors.update({
        "pooler.dense.weight": generator.standard_normal((hidden, hidden)).astype(np.float32) / 10,
        "pooler.dense.bias": generator.standard_normal(hidden).astype(np.float32) / 10}))


def refused(folder, *words, options=(), name="out.mxw"):
    """mxmap must fail with one line that has the words, and leave nothing."""
    target = folder / name
    done = map_model(folder / "bert", target, *options, check=False)
    assert done.returncode in (1, 2), done.stderr
    lines = done.stderr.strip().splitlines()
    assert len([line for line in lines if line.startswith("mxmap: ")]) == 1, done.stderr
    for word in words:
        assert str(word) in lines[-1], done.stderr
    assert list(folder.glob(name + "*")) == []


# ------------------------------------------------------------- what it writes

def test_parameters_bit_by_bit(tmp_path):
    def zero_row(tensors):
        tensors["encoder.layer.1.intermediate.dense.weight"][7] = 0
        # Ties: 0.5 and 1.5 steps round to 0 and 2
        tensors["encoder.layer.0.output.dense.weight"][3] = 0
        tensors["encoder.layer.0.output.dense.weight"][3, :6] = [127, .5, 1.5, -.5, -2.5, 3.5]

    config = make_bert(tmp_path / "bert", hidden=90, heads=3, ffn=251, vocab=777, layers=2)
    rewrite(tmp_path / "bert", zero_row)
    map_model(tmp_path / "bert", tmp_path / "out.mxw")
    image, want = Image(tmp_path / "out.mxw"), read_tensors(str(tmp_path / "bert"))
    assert (image.vocab, image.max_tokens) == (777, config["max_position_embeddings"])
    ops = image.entries["tokens"]
    tables = [op for op in ops if op["opcode"] == EMBED]
    for op, name in zip(tables, ("word", "position", "token_type"), strict=True):
        q, scale = quantised(want[f"embeddings.{name}_embeddings.weight"])
        got = image.table(op)
        assert (got[0] == q).all() and (got[1] == scale).all(), name
    products = []
    for op in (op for op in ops if op["opcode"] == MATMUL):
        if op["flags"] & ACCUMULATE:    # the same weights, once more
            same = ("w_off", "s_off", "n", "k", "dst", "dst_col")
            assert all(op[field] == products[-1][field] for field in same) and not op["b_off"]
        else:
            products.append(op)
    norms = [op for op in ops if op["opcode"] == NORM]
    assert len(products) == 8 and len(norms) == 5
    for number, op in enumerate(products):
        layer = f"encoder.layer.{number // 4}."
        names = (["attention.self." + part for part in ("query", "key", "value")],
                 ["attention.output.dense"], ["intermediate.dense"], ["output.dense"])[number % 4]
        weights = np.concatenate([want[layer + name + ".weight"] for name in names])
        bias = np.concatenate([want[layer + name + ".bias"] for name in names])
        assert (op["n"], op["k"]) == weights.shape and op["layer"] == number // 4
        q, scale = quantised(weights)
        got = image.matrix(op)
        assert (got[0] == q).all() and (got[1] == scale).all(), names
        assert (image.floats(op["b_off"], len(bias)) == bias).all()
    tie = image.matrix(products[3])[0][3, :6]
    assert tie.tolist() == [127, 0, 2, 0, -2, 4]
    names = ["embeddings.LayerNorm"] + [f"encoder.layer.{layer}.{part}.LayerNorm" for layer in
                                        range(2) for part in ("attention.output", "output")]
    for op, name in zip(norms, names, strict=True):
        assert (image.floats(op["w_off"], 90) == want[name + ".weight"]).all()
        assert (image.floats(op["b_off"], 90) == want[name + ".bias"]).all()
        assert op["alpha"] == np.float32(1e-12).view(np.uint32)
    scores = next(op for op in ops if op["opcode"] == MATMUL_DYN)
    assert scores["alpha"] == np.float32(1 / np.sqrt(30)).view(np.uint32)


def test_same_input_same_bytes(tmp_path):
    make_bert(tmp_path / "bert")
    for name in ("a.mxw", "b.mxw"):
        map_model(tmp_path / "bert", tmp_path / name)
    assert (tmp_path / "a.mxw").read_bytes() == (tmp_path / "b.mxw").read_bytes()
    make_bert(tmp_path / "other", seed=2)
    map_model(tmp_path / "other", tmp_path / "c.mxw")
    assert Image(tmp_path / "c.mxw").content != Image(tmp_path / "a.mxw").content


def old_norms(tensors):
    for name in [name for name in tensors if "LayerNorm" in name]:
        new = name.replace("weight", "gamma").replace("bias", "beta")
        tensors[new] = tensors.pop(name)


def add_heads(tensors):
    tensors["cls.predictions.bias"] = np.full(1000, np.nan, np.float32)
    tensors["classifier.weight"] = np.zeros((2, 96), np.float32)


def test_checkpoint_variants_are_the_same_model(tmp_path):
    """Prefix, shards, old names and unrelated heads change nothing of the model."""
    variants = {"plain": {}, "prefix": dict(prefix=True), "shards": dict(shards=5),
                "both": dict(shards=3, prefix=True), "old": old_norms, "heads": add_heads}
    content = set()
    for name, variant in variants.items():
        folder = tmp_path / name / "bert"
        make_bert(folder, **(variant if isinstance(variant, dict) else {}))
        if callable(variant):
            rewrite(folder, variant)
        map_model(folder, tmp_path / f"{name}.mxw")
        content.add(Image(tmp_path / f"{name}.mxw").content)
    assert len(content) == 1


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_half_floats_are_widened_exactly(dtype, tmp_path):
    """The image of a 16-bit checkpoint is that of the same values in 32 bits."""
    def extremes(tensors):
        row = tensors["encoder.layer.0.output.dense.weight"][0]
        row[:8] = [6e-8, -6e-8, 6e-5, 6.1e-5, 0, -0.0, 1, -1.9]     # subnormal halves among them

    folder = tmp_path / "narrow" / "bert"
    make_bert(folder, hidden=96, heads=3)
    rewrite(folder, extremes)
    write_safetensors(str(folder / "model.safetensors"), read_tensors(str(folder)), dtype)
    map_model(folder, tmp_path / "narrow.mxw")
    rewrite(folder, lambda tensors: None)
    map_model(folder, tmp_path / "wide.mxw")
    assert Image(tmp_path / "narrow.mxw").content == Image(tmp_path / "wide.mxw").content


def test_golden_answer(small, tmp_path):
    """The answer that an image carries is what the runtime gets from the chip."""
    golden = Image(small.image).sections[GOLDEN]
    entry, nr_seq, tokens, _, cycles, out_bytes = struct.unpack_from("<4IQQ", golden)
    ids = np.frombuffer(golden, "<i4", nr_seq * tokens, 64).reshape(nr_seq, tokens)
    assert entry == 0 and cycles > 0 and (ids[0] > 0).all() and (ids == 0).any()
    out = infer(small.image, ids, tmp_path, device="sim:tiny")
    assert out.nbytes == out_bytes
    assert hashlib.sha256(out.tobytes()).digest() == golden[32:64]


def test_card(tmp_path):
    make_bert(tmp_path / "bert")
    readme = tmp_path / "bert" / "README.md"
    readme.write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# x\n")
    map_model(tmp_path / "bert", tmp_path / "out.mxw", "--name", "Grüße 1")
    image = Image(tmp_path / "out.mxw")
    card = image.card()
    assert card["name"] == image.name == "Grüße 1"
    assert (card["source"], card["license"], card["chip"]) == ("bert", "apache-2.0", "mx1")
    assert card["config"] == json.loads((tmp_path / "bert" / "config.json").read_text())
    # A row of N(0, 1) has its maximum near 2.8 sigma, a step of 1/127 of that, uniform error.
    assert 0.003 < card["quantisation"]["relative_error"] < 0.012


# ------------------------------------------------------------------- entries

def test_pooler(tmp_path):
    make_bert(tmp_path / "bert")
    map_model(tmp_path / "bert", tmp_path / "without.mxw")
    assert list(Image(tmp_path / "without.mxw").entries) == ["tokens", "sentence"]
    add_pooler(tmp_path / "bert", 96)
    map_model(tmp_path / "bert", tmp_path / "out.mxw")
    ids = pad([[2, 9, 33, 51, 3], [2, 7, 3]])
    got = infer(tmp_path / "out.mxw", ids, tmp_path, entry="pooler")
    reference = Bert.load(str(tmp_path / "bert"))
    want = np.tanh(reference.linear(reference.encode(ids)[:, 0], "pooler.dense"))
    assert got.shape == want.shape == (2, 96)
    assert (l2_normalise(got) * l2_normalise(want)).sum(axis=1).min() > 0.99


@pytest.mark.parametrize("modes, kind", [
    (dict(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False), 1),
    (dict(pooling_mode_cls_token=False, pooling_mode_mean_tokens=True), 2),
    (dict(pooling_mode_max_tokens=True), None),
    (dict(pooling_mode_cls_token=True, pooling_mode_mean_tokens=True), None),
])
def test_pooling(modes, kind, tmp_path):
    make_bert(tmp_path / "bert")
    (tmp_path / "bert" / "1_Pooling").mkdir()
    write_json(str(tmp_path / "bert" / "1_Pooling" / "config.json"), modes)
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw")
    entries = Image(tmp_path / "out.mxw").entries
    if kind is None:
        assert "sentence" not in entries and "warning" in done.stderr
    else:
        assert next(op for op in entries["sentence"] if op["opcode"] == POOL)["kind"] == kind


def test_dense_module_is_not_ignored(tmp_path):
    make_bert(tmp_path / "bert")
    write_json(str(tmp_path / "bert" / "modules.json"),
               [{"type": f"sentence_transformers.models.{name}"}
                for name in ("Transformer", "Pooling", "Dense")])
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw")
    assert "sentence" not in Image(tmp_path / "out.mxw").entries and "Dense" in done.stderr


@pytest.mark.parametrize("settings, flags", [
    ({}, 7), (dict(do_lower_case=False), 4), (dict(strip_accents=False), 5),
    (dict(do_lower_case=False, strip_accents=True), 6), (dict(tokenize_chinese_chars=False), 3),
    (dict(strip_accents=None, cls_token={"content": "[CLS]", "special": True}), 7),
])
def test_tokenizer_settings(settings, flags, tmp_path):
    make_bert(tmp_path / "bert")
    (tmp_path / "bert" / "tokenizer_config.json").write_text(json.dumps(settings))
    # Whatever the line ends of the file are
    vocab = (tmp_path / "bert" / "vocab.txt").read_bytes()
    (tmp_path / "bert" / "vocab.txt").write_bytes(vocab.replace(b"\n", b"\r\n").rstrip())
    map_model(tmp_path / "bert", tmp_path / "out.mxw")
    image = Image(tmp_path / "out.mxw")
    assert struct.unpack_from("<6I", image.sections[TOKENIZER]) == (flags, 0, 1, 2, 3, 100)
    assert image.sections[VOCAB] == vocab


# ---------------------------------------------------------------- the chip

def test_max_tokens(tmp_path):
    make_bert(tmp_path / "bert")
    map_model(tmp_path / "bert", tmp_path / "out.mxw", "--max-tokens", 17)
    assert Image(tmp_path / "out.mxw").max_tokens == 17
    ids = np.full((1, 18), 5)
    assert infer(tmp_path / "out.mxw", ids[:, :17], tmp_path).shape == (1, 17, 96)
    assert infer(tmp_path / "out.mxw", ids, tmp_path, check=False).returncode
    for bad in ("65", "0", "-1", "x", ""):
        refused(tmp_path, "max-tokens", options=("--max-tokens", bad), name="bad.mxw")


def test_intermediates_too_large(tmp_path):
    """The limit that the message gives is the largest one that works."""
    make_bert(tmp_path / "bert", max_position=400, layers=1, vocab=300)
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw", "--chip", "tiny", check=False)
    assert done.returncode == 1 and not (tmp_path / "out.mxw").exists()
    limit = int(done.stderr.split("--max-tokens ")[1].split()[0])
    map_model(tmp_path / "bert", tmp_path / "out.mxw", "--chip", "tiny", "--max-tokens", limit)
    refused(tmp_path, "intermediates", options=("--chip", "tiny", "--max-tokens", limit + 1),
            name="more.mxw")


def test_chip_by_path(tmp_path):
    make_bert(tmp_path / "bert")
    text = (TOP / "qemu-device" / "chips" / "tiny.ini").read_text()
    (tmp_path / "mine.ini").write_text(text.replace("\nbanks = 5", "\nbanks = 6"))
    map_model(tmp_path / "bert", tmp_path / "out.mxw", "--chip", tmp_path / "mine.ini")
    assert Image(tmp_path / "out.mxw").chip == "mine"
    (tmp_path / "mine.ini").write_text(text.replace("\nbanks = 5", "\nbanks = many"))
    refused(tmp_path, "mine.ini", "banks", options=("--chip", tmp_path / "mine.ini"), name="x.mxw")
    refused(tmp_path, "nothing.ini", options=("--chip", "nothing"), name="x.mxw")


# ----------------------------------------------------- broken checkpoints

def wrong_shape(tensors):
    tensors["encoder.layer.0.intermediate.dense.weight"] = np.zeros((96, 250), np.float32)


def wrong_rank(tensors):
    tensors["embeddings.LayerNorm.bias"] = np.zeros((1, 96), np.float32)


def not_a_number(tensors):
    tensors["encoder.layer.1.attention.self.value.weight"][5, 3] = np.nan


def infinite_bias(tensors):
    tensors["encoder.layer.1.output.dense.bias"][2] = -np.inf


def infinite_embedding(tensors):
    tensors["embeddings.word_embeddings.weight"][999, 95] = np.inf


@pytest.mark.parametrize("change, words", [
    (wrong_shape, ["encoder.layer.0.intermediate.dense.weight", "[96, 250]", "[250, 96]"]),
    (wrong_rank, ["embeddings.LayerNorm.bias", "[1, 96]", "[96]"]),
    (not_a_number, ["encoder.layer.1.attention.self.value.weight", "row 5"]),
    (infinite_bias, ["encoder.layer.1.output.dense.bias"]),
    (infinite_embedding, ["embeddings.word_embeddings.weight", "row 999"]),
])
def test_bad_tensors(change, words, tmp_path):
    make_bert(tmp_path / "bert")
    rewrite(tmp_path / "bert", change)
    refused(tmp_path, *words)


def header_of(path):
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8:8 + size]), data[8 + size:]


def with_header(path, header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


NAME = "encoder.layer.0.attention.self.query.weight"


def break_entry(**changes):
    def change(path):
        header, body = header_of(path)
        header[NAME] |= changes
        with_header(path, header, body)
    return change


def overlap(path):
    header, body = header_of(path)
    other = header["encoder.layer.0.attention.self.key.weight"]["data_offsets"]
    header[NAME]["data_offsets"] = [offset + 4 for offset in other]
    with_header(path, header, body)


def duplicate(path):
    header, body = header_of(path)
    text = json.dumps(header)
    with_header(path, ('{"%s": 1, ' % NAME + text[1:]).encode(), body)


HOSTILE = {
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: path.write_bytes(b"\x08\0\0\0"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "header beyond the file": lambda path: path.write_bytes(b"\xff\xff\xff\0\0\0\0\0{}"),
    "huge header": lambda path: path.write_bytes(b"\xff" * 8 + b"{}"),
    "header of 2^64 - 8": lambda path: path.write_bytes(b"\xf8" + b"\xff" * 7 + b"{}"),
    "no JSON": lambda path: with_header(path, b"{nonsense", b""),
    "not an object": lambda path: with_header(path, b"[1, 2]", b""),
    "deep JSON": lambda path: with_header(path, b"[" * 100000, b""),
    "binary header": lambda path: with_header(path, b"\xff\0\xfe" * 100, b""),
    "duplicate name": duplicate,
    "overlap": overlap,
    "offsets backwards": break_entry(data_offsets=[400, 0]),
    "offsets negative": break_entry(data_offsets=[-8, 36856]),
    "offsets no numbers": break_entry(data_offsets=["0", "4"]),
    "one offset": break_entry(data_offsets=[0]),
    "offsets beyond": break_entry(data_offsets=[1 << 62, (1 << 62) + 36864]),
    "shape overflows": break_entry(shape=[1 << 32, 1 << 32, 1 << 32]),
    "shape and bytes overflow": break_entry(shape=[1 << 62], data_offsets=[0, 0]),
    "negative shape": break_entry(shape=[-96, -96]),
    "fractional shape": break_entry(shape=[96.5, 96]),
    "too many dimensions": break_entry(shape=[1] * 50 + [96, 96]),
    "unknown dtype": break_entry(dtype="F3"),
    "no dtype": break_entry(dtype=None),
    "integer weights": break_entry(dtype="I32"),
    "wrong size": break_entry(dtype="F16"),
    "no entry": lambda path: with_header(path, {NAME: 7}, b""),
}


# Where another check would catch it too
REASONS = {"wrong size": ["do not fit"], "shape and bytes overflow": ["do not fit"],
           "overlap": ["overlap"], "integer weights": ["I32"], "unknown dtype": ["F3"]}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_safetensors(name, tmp_path):
    make_bert(tmp_path / "bert")
    path = tmp_path / "bert" / "model.safetensors"
    HOSTILE[name](path)
    refused(tmp_path, "model.safetensors", *REASONS.get(name, []))


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd", "", ".", 7,
                                   "absent.safetensors"])
def test_bad_shards(shard, tmp_path):
    make_bert(tmp_path / "bert", shards=2)
    (tmp_path / "secret.safetensors").write_bytes(
        (tmp_path / "bert" / "model-00001-of-00002.safetensors").read_bytes())
    index = tmp_path / "bert" / "model.safetensors.index.json"
    value = json.loads(index.read_text())
    value["weight_map"][NAME] = shard
    index.write_text(json.dumps(value))
    refused(tmp_path, "safetensors")


def test_tensor_in_two_shards(tmp_path):
    make_bert(tmp_path / "bert", shards=2)
    first, second = sorted((tmp_path / "bert").glob("model-*.safetensors"))
    second.write_bytes(first.read_bytes())
    refused(tmp_path, "both")


@pytest.mark.parametrize("change, words", [
    (lambda text: text.replace("[SEP]\n", "other\n"), ["[SEP]"]),
    (lambda text: text.replace("[PAD]\n[UNK]", "[UNK]\n[PAD]"), ["padding"]),
    (lambda text: text + "one\nmore\n", ["1002", "1000"]),
    (lambda text: "", ["empty"]),
])
def test_bad_vocabulary(change, words, tmp_path):
    make_bert(tmp_path / "bert")
    path = tmp_path / "bert" / "vocab.txt"
    path.write_text(change(path.read_text()))
    refused(tmp_path, "vocab.txt", *words)


def test_vocabulary_must_be_utf8(tmp_path):
    make_bert(tmp_path / "bert")
    path = tmp_path / "bert" / "vocab.txt"
    path.write_bytes(path.read_bytes().replace(b"\nthe\n", b"\nth\xe9\n"))
    refused(tmp_path, "vocab.txt", "line", "UTF-8")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "1_Pooling/config.json",
                                  "modules.json"])
def test_broken_json(name, tmp_path):
    make_bert(tmp_path / "bert")
    path = tmp_path / "bert" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"a": 1,\n}')
    refused(tmp_path, name, "line 2")


@pytest.mark.parametrize("change, words", [
    (dict(is_decoder=True), ["decoder"]), (dict(pad_token_id=5), ["pad_token_id"]),
    (dict(pad_token_id="1"), ["pad_token_id"]),
    (dict(layer_norm_eps="small"), ["layer_norm_eps"]),
    (dict(layer_norm_eps=-1), ["layer_norm_eps"]),
    (dict(layer_norm_eps=1e30), ["layer_norm_eps", "0 to 1"]),
    (dict(intermediate_size=1 << 40), ["intermediate_size"]),
    (dict(hidden_size=2.5), ["hidden_size"]),
    (dict(model_type="bert", architectures=["BertJapaneseThing"]), ["BertJapaneseThing"]),
])
def test_bad_config(change, words, tmp_path):
    make_bert(tmp_path / "bert")
    change_json(tmp_path / "bert" / "config.json", **change)
    refused(tmp_path, "config.json", *words)


# -------------------------------------------------------------- the output

def test_failure_keeps_the_old_image(tmp_path):
    make_bert(tmp_path / "bert")
    (tmp_path / "out.mxw").write_bytes(b"precious")
    rewrite(tmp_path / "bert", not_a_number)
    assert map_model(tmp_path / "bert", tmp_path / "out.mxw", check=False).returncode == 1
    assert (tmp_path / "out.mxw").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.glob("out.mxw*")] == ["out.mxw"]
    make_bert(tmp_path / "bert")
    map_model(tmp_path / "bert", tmp_path / "out.mxw")
    assert Image(tmp_path / "out.mxw").name == "bert"


@pytest.mark.parametrize("limit", [0, 4096, 200000])
def test_full_disk(limit, tmp_path):
    """A limit on file sizes stands for a full disk: writing stops in the middle."""
    make_bert(tmp_path / "bert")
    done = subprocess.run([BIN / "mxmap", tmp_path / "bert", "-o", tmp_path / "out.mxw"],
                          capture_output=True, text=True, restore_signals=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                (limit, limit)))
    assert done.returncode == 1 and "cannot write" in done.stderr and "out.mxw" in done.stderr
    assert list(tmp_path.glob("out.mxw*")) == []


def test_bad_targets(tmp_path):
    make_bert(tmp_path / "bert")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")    # for all that is no file; a device would be lost by a bug
    for target in (tmp_path / "folder", tmp_path / "pipe", tmp_path / "none" / "out.mxw"):
        done = map_model(tmp_path / "bert", target, check=False)
        assert done.returncode == 1 and str(target) in done.stderr
    assert (tmp_path / "folder").is_dir() and list(tmp_path.glob("folder?*")) == []
    assert (tmp_path / "pipe").is_fifo() and list(tmp_path.glob("pipe?*")) == []


def test_usage(tmp_path):
    make_bert(tmp_path / "bert")
    for arguments in ([], [tmp_path / "bert"], ["-o", tmp_path / "x"], ["--nonsense"],
                      [tmp_path / "bert", tmp_path, "-o", tmp_path / "x"]):
        done = run(BIN / "mxmap", *arguments, check=False)
        assert done.returncode == 2 and done.stderr
    for name in ("x" * 48, "two\nlines", ""):
        refused(tmp_path, "name", options=("--name", name))
    assert "usage" in run(BIN / "mxmap", "--help").stdout
