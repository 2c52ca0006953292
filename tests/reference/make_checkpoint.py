# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make a checkpoint of exactly the shape and layout of a published model, with random weights.

	make_checkpoint.py bert-large-uncased FOLDER --vocab VOCAB.TXT

Names, shapes and configuration are the published ones, down to the prefix, LayerNorm's old
names gamma and beta, the heads of pretraining with their tied decoder, and the buffer of
position ids. Weights are as wide as trained ones, and a few channels of the hidden states
are far larger than the others, as in trained BERTs. The same options give the same bytes.
Tensors are drawn and written one by one: memory holds a few of them, not the model.
"""
import argparse
import os
import shutil
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from make_bert import (DTYPES, layout, narrow, pooler_layout, pretraining_layout,
                       remove_old_weights, safetensors_header, write_json)

# config.json as published
PUBLISHED = {
    "bert-large-uncased": {
        "architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1,
        "gradient_checkpointing": False, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 4096,
        "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert",
        "num_attention_heads": 16, "num_hidden_layers": 24, "pad_token_id": 0,
        "position_embedding_type": "absolute", "transformers_version": "4.6.0.dev0",
        "type_vocab_size": 2, "use_cache": True, "vocab_size": 30522,
    },
}
POSITION_IDS = "bert.embeddings.position_ids"
SPREAD = {"weight": 0.04, "bias": 0.02, "gamma": 0.1}
OUTLIERS = 3            # channels of the hidden states
OUTLYING = np.float32(8)   # times the others
# What layers add to the hidden states is narrower than these: else, with random weights, all
# tokens would be alike after a few layers.
BRANCH = np.float32(0.1)


def published_layout(config):
    """(name, shape, kind) as in the published file."""
    def old(name):
        if "LayerNorm" in name:
            return name.replace(".weight", ".gamma").replace(".bias", ".beta")
        return name

    for name, shape, kind in [*layout(config), *pooler_layout(config)]:
        yield "bert." + old(name), shape, kind
    for name, shape, kind in pretraining_layout(config):
        yield old(name), shape, kind


def draw(name, shape, kind, seed, outliers):
    """One tensor, float32. It hangs on its name and the seed only, not on other tensors."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    tensor = generator.standard_normal(shape, dtype=np.float32)
    tensor *= np.float32(SPREAD[kind])
    if kind == "gamma":
        tensor += np.float32(1)
    if name.endswith("output.dense.weight"):
        tensor *= BRANCH
        tensor[outliers] *= OUTLYING
    return tensor


def write_checkpoint(path, config, dtype, seed):
    """Write model.safetensors; return the parameters of the encoder with pooler, and of all."""
    tensors = list(published_layout(config))
    outliers = np.random.default_rng(seed).choice(config["hidden_size"], OUTLIERS, replace=False)
    positions = np.arange(config["max_position_embeddings"], dtype="<i8")
    shapes = {POSITION_IDS: ("I64", (1, len(positions)))}
    shapes.update((name, (DTYPES[dtype], shape)) for name, shape, _ in tensors)

    def body(tensor):
        return narrow(draw(*tensor, seed, outliers), dtype)

    with open(path, "wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        file.write(safetensors_header(shapes)[0])
        file.write(positions.tobytes())
        # A few at a time: what map() was given it makes, however slow the disk is.
        for first in range(0, len(tensors), 8):
            file.writelines(pool.map(body, tensors[first:first + 8]))
    sizes = [(int(np.prod(shape)), name.startswith("bert.")) for name, shape, _ in tensors]
    return sum(size for size, encoder in sizes if encoder), sum(size for size, _ in sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("name", choices=PUBLISHED)
    parser.add_argument("folder")
    parser.add_argument("--vocab", required=True, metavar="VOCAB.TXT",
                        help="vocabulary to put beside it: that of any uncased BERT")
    parser.add_argument("--dtype", choices=DTYPES, default="f16",
                        help="of the weights; published is f32 (default: f16)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    config = PUBLISHED[options.name]
    try:
        with open(options.vocab, encoding="utf-8") as file:
            lines = sum(1 for _ in file)
        if lines != config["vocab_size"]:
            raise ValueError(f"{options.vocab} has {lines} tokens, {options.name} has "
                             f"{config['vocab_size']}")
        os.makedirs(options.folder, exist_ok=True)
        remove_old_weights(options.folder)
        encoder, everything = write_checkpoint(
            os.path.join(options.folder, "model.safetensors"), config, options.dtype, options.seed)
        write_json(os.path.join(options.folder, "config.json"), config)
        write_json(os.path.join(options.folder, "tokenizer_config.json"),
                   {"do_lower_case": True, "model_max_length": 512})
        shutil.copyfile(options.vocab, os.path.join(options.folder, "vocab.txt"))
    except (ValueError, OSError) as error:
        print(f"make_checkpoint.py: {error}", file=sys.stderr)
        return 1
    print(f"{options.folder}: {options.name} with random weights: {encoder:,} parameters, "
          f"{everything:,} with the heads of pretraining")
    return 0


if __name__ == "__main__":
    sys.exit(main())
