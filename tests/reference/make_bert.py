# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make a random BERT folder in Hugging Face's layout, for tests.

	make_bert.py FOLDER --hidden 96 --heads 3 --layers 2 --ffn 250 --seed 1

Writes config.json, vocab.txt with a plausible WordPiece vocabulary, and
model.safetensors or shards with an index. The same options give the same
bytes. Weights are drawn so that activations stay as wide as a trained
model's: weights and embeddings N(0, 0.05), LayerNorm gamma near 1.
"""
import argparse
import json
import math
import os
import sys

import numpy as np

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
WORDS = ("the of and to in is for a on with that by this are as it be from or at an which can "
         "not file data library program user system tools python module package test server "
         "client network image text language kernel driver memory chip model sentence").split()
ENDINGS = ["##s", "##ed", "##ing", "##er", "##ly", "##al", "##ion", "##able", "##ness"]
SYLLABLES = [a + b + c for a in "bcdfghklmnprstvz" for b in "aeiou" for c in "lmnrst"]
DTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16"}
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}


def vocabulary(size):
    """A WordPiece vocabulary of `size` pieces; id 0 is [PAD]. A small one loses its tail."""
    pieces = SPECIAL + list(LETTERS + "0123456789" + PUNCTUATION)
    pieces += ["##" + c for c in LETTERS + "0123456789"]
    pieces += list("\u4e2d\u6587\u65e5\u672c\u8a9e") + WORDS + ENDINGS
    pieces += SYLLABLES + ["##" + s for s in SYLLABLES]
    pieces = list(dict.fromkeys(pieces))
    held = set(pieces)
    number = 0
    while len(pieces) < size:
        first, second = number % len(SYLLABLES), number // len(SYLLABLES)
        word = SYLLABLES[first] + SYLLABLES[second % len(SYLLABLES)] * (
            1 + second // len(SYLLABLES))
        number += 1
        if word not in held:
            held.add(word)
            pieces.append(word)
    return pieces[:size]


def layout(config):
    """(name, shape, kind) of every tensor of a BERT encoder, in checkpoint order."""
    hidden, ffn = config["hidden_size"], config["intermediate_size"]

    for name, rows in (("word", config["vocab_size"]),
                       ("position", config["max_position_embeddings"]),
                       ("token_type", config["type_vocab_size"])):
        yield f"embeddings.{name}_embeddings.weight", (rows, hidden), "weight"
    yield from norm("embeddings.LayerNorm", hidden)
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        for name in ("query", "key", "value"):
            yield from linear(f"{layer}.attention.self.{name}", hidden, hidden)
        yield from linear(f"{layer}.attention.output.dense", hidden, hidden)
        yield from norm(f"{layer}.attention.output.LayerNorm", hidden)
        yield from linear(f"{layer}.intermediate.dense", ffn, hidden)
        yield from linear(f"{layer}.output.dense", hidden, ffn)
        yield from norm(f"{layer}.output.LayerNorm", hidden)


def linear(name, outputs, inputs):
    yield name + ".weight", (outputs, inputs), "weight"
    yield name + ".bias", (outputs,), "bias"


def norm(name, width):
    yield name + ".weight", (width,), "gamma"
    yield name + ".bias", (width,), "bias"


def pooler_layout(config):
    """Of the pooler; as all that follows, not part of layout()."""
    yield from linear("pooler.dense", config["hidden_size"], config["hidden_size"])


def pretraining_layout(config, tied=True):
    """Of the two heads of pretraining. Their names never have a prefix."""
    hidden, vocab = config["hidden_size"], config["vocab_size"]

    yield "cls.predictions.bias", (vocab,), "bias"
    yield from linear("cls.predictions.transform.dense", hidden, hidden)
    yield from norm("cls.predictions.transform.LayerNorm", hidden)
    if not tied:
        yield "cls.predictions.decoder.weight", (vocab, hidden), "weight"
    yield from linear("cls.seq_relationship", 2, hidden)


def classifier_layout(config, labels):
    """Of the head of a model that was fine-tuned to tell classes apart."""
    yield from linear("classifier", labels, config["hidden_size"])


def draw_tensors(layout, generator, spread):
    """{name: float32 array} of a layout."""
    tensors = {}
    for name, shape, kind in layout:
        width = {"weight": spread, "bias": 0.02, "gamma": 0.1}[kind]
        drawn = (generator.standard_normal(shape) * width).astype(np.float32)
        tensors[name] = np.float32(1) + drawn if kind == "gamma" else drawn
    return tensors


def narrow(tensor, dtype):
    """The bytes of a float32 tensor as f32, f16 or bf16 (round to nearest even)."""
    if dtype == "f32":
        return tensor.astype("<f4").tobytes()
    if dtype == "f16":
        return tensor.astype("<f2").tobytes()
    bits = np.ascontiguousarray(tensor, "<f4").view("<u4").astype(np.uint64)
    rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16
    return rounded.astype("<u2").tobytes()


def safetensors_header(tensors):
    """First bytes of a file of these tensors, {name: (dtype, shape)}, and the bytes that follow."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape) in tensors.items():
        end = offset + math.prod(shape) * WIDTHS[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, offset


def write_safetensors(path, tensors, dtype):
    """Write one file: header length, JSON header padded to 8 bytes, tensor bytes."""
    shapes = {name: (DTYPES[dtype], tensor.shape) for name, tensor in tensors.items()}
    header, size = safetensors_header(shapes)
    with open(path, "wb") as file:
        file.write(header)
        file.writelines(narrow(tensor, dtype) for tensor in tensors.values())
    return size


def write_shards(folder, tensors, dtype, count):
    """Deal the tensors round robin into `count` shards, so that layers straddle files."""
    names, weight_map, total = list(tensors), {}, 0
    for shard in range(count):
        file_name = f"model-{shard + 1:05d}-of-{count:05d}.safetensors"
        held = {name: tensors[name] for name in names[shard::count]}
        total += write_safetensors(os.path.join(folder, file_name), held, dtype)
        weight_map.update(dict.fromkeys(held, file_name))
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(os.path.join(folder, "model.safetensors.index.json"), index)


def remove_old_weights(folder):
    """Clear an earlier run's files: a reader would take them before the new shards."""
    for name in os.listdir(folder):
        if name.startswith("model") and name.endswith((".safetensors", ".safetensors.index.json")):
            os.remove(os.path.join(folder, name))


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def make_bert(folder, hidden=96, heads=3, layers=2, ffn=250, vocab=1000, max_position=64,
              types=2, act="gelu", dtype="f32", prefix=False, shards=1, seed=1, spread=0.05,
              missing=None, architecture="BertModel"):
    """Write a random BERT folder and return its config.

    prefix: put `bert.` before every tensor name, as task models have it.
    shards: above 1, write that many files and an index.
    spread: standard deviation of weights and embeddings.
    missing: name (without prefix) of a tensor to leave out; it must exist.
    """
    if hidden % heads:
        raise ValueError(f"hidden {hidden} does not split into {heads} heads")
    config = {
        "architectures": [architecture], "model_type": "bert", "hidden_act": act,
        "hidden_size": hidden, "num_attention_heads": heads, "num_hidden_layers": layers,
        "intermediate_size": ffn, "vocab_size": vocab, "max_position_embeddings": max_position,
        "type_vocab_size": types, "layer_norm_eps": 1e-12, "pad_token_id": 0,
        "position_embedding_type": "absolute", "initializer_range": spread,
        "torch_dtype": {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[dtype],
    }
    tensors = draw_tensors(layout(config), np.random.default_rng(seed), spread)
    if missing is not None:
        if missing not in tensors:
            raise ValueError(f"no tensor {missing} to leave out")
        del tensors[missing]
    if prefix:
        tensors = {"bert." + name: tensor for name, tensor in tensors.items()}
    if not 1 <= shards <= len(tensors):
        raise ValueError(f"{len(tensors)} tensors do not fill {shards} shards")
    os.makedirs(folder, exist_ok=True)
    remove_old_weights(folder)
    write_json(os.path.join(folder, "config.json"), config)
    write_json(os.path.join(folder, "tokenizer_config.json"),
               {"do_lower_case": True, "tokenizer_class": "BertTokenizer"})
    with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8") as file:
        file.writelines(piece + "\n" for piece in vocabulary(vocab))
    if shards == 1:
        write_safetensors(os.path.join(folder, "model.safetensors"), tensors, dtype)
    else:
        write_shards(folder, tensors, dtype, shards)
    return config


def main():
    parser = argparse.ArgumentParser(description="Make a random BERT folder for tests",
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("folder")
    for name, value in (("hidden", 96), ("heads", 3), ("layers", 2), ("ffn", 250),
                        ("vocab", 1000), ("max-position", 64), ("types", 2), ("shards", 1),
                        ("seed", 1)):
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--spread", type=float, default=0.05, help="deviation of the weights")
    parser.add_argument("--act", default="gelu", help="hidden_act of the config")
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--prefix", action="store_true", help="put bert. before tensor names")
    parser.add_argument("--missing", help="tensor to leave out, named without prefix")
    parser.add_argument("--architecture", default="BertModel")
    try:
        make_bert(**vars(parser.parse_args()))
    except (ValueError, OSError) as error:
        print(f"make_bert.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
