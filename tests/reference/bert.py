# SPDX-License-Identifier: LGPL-2.1-or-later
"""Float32 reference of a BERT encoder, in numpy only.

It shares no code with the product: it reads a Hugging Face folder itself
(config.json, and model.safetensors or its shards) and computes every step in
IEEE binary32, unquantised. Tests compare the chip against it.

	model = Bert.load(folder)
	hidden = model.encode(ids)           # ids int32 [n, T], 0 is padding
	sentences = l2_normalise(mean_pool(hidden, ids))

As a program it does the same from files:

	bert.py FOLDER --ids ids.npy --out hidden.npy [--sentences pooled.npy]
"""
import argparse
import json
import math
import os
import sys

import numpy as np

DTYPES = {"F32": 4, "F16": 2, "BF16": 2}
PREFIX = "bert."


class ModelError(Exception):
    """The folder is no BERT encoder that this reference can run."""


def parse_safetensors(path):
    """Return {name: float32 array} of the float tensors in one safetensors file.

    The format: a little-endian 64-bit header length, that many bytes of JSON
    giving dtype, shape and byte range of each tensor, then the bytes.
    Integer tensors (old checkpoints store position ids) are left out.
    """
    with open(path, "rb") as file:
        raw = file.read()
    if len(raw) < 8:
        raise ModelError(f"{path}: {len(raw)} bytes, too short for a safetensors header")
    header_length = int.from_bytes(raw[:8], "little")
    data_start = 8 + header_length
    if data_start > len(raw):
        raise ModelError(f"{path}: header of {header_length} bytes runs past the end")
    header = json.loads(raw[8:data_start])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in DTYPES:
            continue
        begin, end = entry["data_offsets"]
        count = math.prod(entry["shape"])
        if not 0 <= begin <= end <= len(raw) - data_start:
            raise ModelError(f"{path}: tensor {name} lies outside the file")
        if end - begin != count * DTYPES[entry["dtype"]]:
            raise ModelError(f"{path}: tensor {name} has {end - begin} bytes for shape "
                             f"{entry['shape']} of {entry['dtype']}")
        body = raw[data_start + begin:data_start + end]
        tensors[name] = widen(body, entry["dtype"]).reshape(entry["shape"])
    return tensors


def widen(body, dtype):
    """Turn the bytes of an F32, F16 or BF16 tensor into a float32 vector, exactly."""
    if dtype == "F32":
        return np.frombuffer(body, "<f4").astype(np.float32)
    if dtype == "F16":
        return np.frombuffer(body, "<f2").astype(np.float32)
    # bfloat16 is the upper half of a binary32
    return (np.frombuffer(body, "<u2").astype(np.uint32) << 16).view(np.float32)


def read_tensors(folder):
    """Read model.safetensors, or every shard that its index names."""
    single = os.path.join(folder, "model.safetensors")
    index = single + ".index.json"
    if os.path.exists(single):
        return parse_safetensors(single)
    if not os.path.exists(index):
        raise ModelError(f"{folder}: neither model.safetensors nor its index")
    with open(index, encoding="utf-8") as file:
        weight_map = json.load(file)["weight_map"]
    tensors = {}
    for shard in sorted(set(weight_map.values())):
        held = parse_safetensors(os.path.join(folder, shard))
        tensors.update({name: held[name] for name in held if weight_map.get(name) == shard})
    absent = sorted(name for name in weight_map if name not in tensors
                    and not name.endswith("position_ids"))
    if absent:
        raise ModelError(f"{folder}: the index names {absent[0]}, no shard holds it")
    return tensors


# erf is 1 to within half a binary32 ulp beyond 4; steps of 2^-12 keep the
# error of straight lines between math.erf's values below 8e-9
ERF_POINTS = np.linspace(-4, 4, 8 * 4096 + 1)
ERF_VALUES = np.array([math.erf(point) for point in ERF_POINTS])


def erf(x):
    """Error function, float32 in and out, within 8e-9 before the final rounding."""
    return np.interp(x, ERF_POINTS, ERF_VALUES).astype(np.float32)


def gelu(x):
    """GELU with the exact error function."""
    return x * np.float32(0.5) * (np.float32(1) + erf(x * np.float32(math.sqrt(0.5))))


def gelu_new(x):
    """GELU by its tanh approximation."""
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.float32(0.5) * x * (np.float32(1) + np.tanh(inner))


def relu(x):
    return np.maximum(x, np.float32(0))


ACTIVATIONS = {"gelu": gelu, "gelu_new": gelu_new, "gelu_pytorch_tanh": gelu_new, "relu": relu}


def layer_norm(x, gamma, beta, eps):
    """Normalise over the last axis with the biased variance."""
    centred = x - x.mean(axis=-1, keepdims=True, dtype=np.float32)
    variance = (centred * centred).mean(axis=-1, keepdims=True, dtype=np.float32)
    return centred / np.sqrt(variance + np.float32(eps)) * gamma + beta


def softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


class Bert:
    """A BERT encoder: `config` is the parsed config.json, `tensors` name -> float32."""

    def __init__(self, config, tensors):
        if config.get("model_type", "bert") != "bert":
            raise ModelError(f"model_type is {config['model_type']}, not bert")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ModelError("only absolute position embeddings are BERT's")
        if config.get("hidden_act", "gelu") not in ACTIVATIONS:
            raise ModelError(f"unknown hidden_act {config['hidden_act']}")
        self.config = config
        self.hidden = config["hidden_size"]
        self.heads = config["num_attention_heads"]
        if self.hidden % self.heads:
            raise ModelError(f"hidden size {self.hidden} does not split into {self.heads} heads")
        self.eps = config.get("layer_norm_eps", 1e-12)
        self.activation = ACTIVATIONS[config.get("hidden_act", "gelu")]
        self.tensors = {name.removeprefix(PREFIX): value for name, value in tensors.items()}

    @classmethod
    def load(cls, folder):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        return cls(config, read_tensors(folder))

    def tensor(self, name):
        # checkpoints converted from TensorFlow say gamma and beta
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        old = old.replace("LayerNorm.bias", "LayerNorm.beta")
        for known in (name, old):
            if known in self.tensors:
                return self.tensors[known]
        raise ModelError(f"tensor {name} is missing")

    def linear(self, x, name):
        weight = self.tensor(name + ".weight")
        # One product of all rows: numpy would make one of each sequence, far slower.
        rows = x.reshape(-1, x.shape[-1]) @ weight.T
        return rows.reshape(*x.shape[:-1], len(weight)) + self.tensor(name + ".bias")

    def norm(self, x, name):
        return layer_norm(x, self.tensor(name + ".weight"), self.tensor(name + ".bias"), self.eps)

    def embed(self, ids):
        words = self.tensor("embeddings.word_embeddings.weight")
        positions = self.tensor("embeddings.position_embeddings.weight")
        types = self.tensor("embeddings.token_type_embeddings.weight")
        if ids.min() < 0 or ids.max() >= len(words):
            raise ValueError(f"ids must lie in 0..{len(words) - 1}")
        if ids.shape[1] > len(positions):
            raise ValueError(f"{ids.shape[1]} tokens, the model takes {len(positions)}")
        summed = words[ids] + types[0] + positions[:ids.shape[1]]
        return self.norm(summed, "embeddings.LayerNorm")

    def attend(self, x, mask, layer):
        """Self-attention of one layer; mask [n, 1, 1, T] is added to the scores."""
        n, tokens, _ = x.shape
        width = self.hidden // self.heads

        def split(name):
            heads = self.linear(x, f"{layer}.attention.self.{name}")
            return heads.reshape(n, tokens, self.heads, width).transpose(0, 2, 1, 3)

        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(width)) + mask
        mixed = softmax(scores) @ value
        return mixed.transpose(0, 2, 1, 3).reshape(n, tokens, self.hidden)

    def encode(self, ids):
        """Return last_hidden_state float32 [n, T, H] of ids int [n, T].

        Id 0 is padding and masked as a key; position ids count from 0, the
        token type is 0. Rows at padding positions are computed but mean nothing.
        """
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iu" or ids.size == 0:
            raise ValueError("ids must be a non-empty integer array [n, T]")
        lowest = np.finfo(np.float32).min
        mask = np.where(ids != 0, np.float32(0), lowest)[:, None, None, :]
        x = self.embed(ids)
        for number in range(self.config["num_hidden_layers"]):
            layer = f"encoder.layer.{number}"
            mixed = self.linear(self.attend(x, mask, layer), f"{layer}.attention.output.dense")
            x = self.norm(mixed + x, f"{layer}.attention.output.LayerNorm")
            inner = self.activation(self.linear(x, f"{layer}.intermediate.dense"))
            x = self.norm(self.linear(inner, f"{layer}.output.dense") + x,
                          f"{layer}.output.LayerNorm")
        return x

    def pool(self, hidden):
        """The pooler's output [n, H] of last_hidden_state [n, T, H]."""
        return np.tanh(self.linear(hidden[:, 0], "pooler.dense"))

    def next_sentence(self, hidden):
        """Logits [n, 2]: is the next sentence, is not."""
        return self.linear(self.pool(hidden), "cls.seq_relationship")

    def classify(self, hidden):
        """Logits [n, labels] of a fine-tuned classifier of sequences."""
        return self.linear(self.pool(hidden), "classifier")

    def predict_words(self, hidden):
        """Logits [n, T, vocab] of the word at each place."""
        x = self.activation(self.linear(hidden, "cls.predictions.transform.dense"))
        x = self.norm(x, "cls.predictions.transform.LayerNorm")
        decoder = self.tensors.get("cls.predictions.decoder.weight")
        if decoder is None:     # tied
            decoder = self.tensor("embeddings.word_embeddings.weight")
        bias = self.tensors.get("cls.predictions.bias")
        if bias is None:
            bias = self.tensor("cls.predictions.decoder.bias")
        rows = x.reshape(-1, x.shape[-1]) @ decoder.T
        return rows.reshape(*x.shape[:-1], len(decoder)) + bias


def mean_pool(hidden, ids):
    """Mean of the rows whose id is not 0: [n, T, H] -> [n, H]. All padding gives zeros."""
    keep = (np.asarray(ids) != 0).astype(np.float32)
    count = np.maximum(keep.sum(axis=1, keepdims=True), np.float32(1))
    return (hidden * keep[:, :, None]).sum(axis=1) / count


def l2_normalise(rows):
    """Scale each row to length one; a row of zeros stays zero."""
    length = np.sqrt((rows * rows).sum(axis=-1, keepdims=True))
    return rows / np.maximum(length, np.float32(1e-12))


def token_cosines(left, right, ids):
    """Cosine of each pair of token rows [n, T, H], without padding, as a vector."""
    keep = np.asarray(ids) != 0
    return (l2_normalise(left[keep]) * l2_normalise(right[keep])).sum(axis=-1)


def main():
    parser = argparse.ArgumentParser(description="Float32 reference of a BERT encoder")
    parser.add_argument("folder", help="Hugging Face folder")
    parser.add_argument("--ids", required=True, help="int32 [n, T] .npy, 0 is padding")
    parser.add_argument("--out", required=True, help="where last_hidden_state goes, .npy")
    parser.add_argument("--sentences", help="where the normalised means go, .npy")
    arguments = parser.parse_args()
    try:
        ids = np.load(arguments.ids)
        hidden = Bert.load(arguments.folder).encode(ids)
    except (ModelError, ValueError, OSError) as error:
        print(f"bert.py: {error}", file=sys.stderr)
        return 1
    np.save(arguments.out, hidden)
    if arguments.sentences:
        np.save(arguments.sentences, l2_normalise(mean_pool(hidden, ids)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
