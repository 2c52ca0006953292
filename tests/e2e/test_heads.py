# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxmap: heads beside the encoder, as published and fine-tuned checkpoints have them."""

import numpy as np
import pytest

from bert import Bert, l2_normalise
from conftest import TOP, infer, make_bert, map_model, pad
from make_bert import (classifier_layout, draw_tensors, pooler_layout, pretraining_layout)
from test_mxmap import ACCUMULATE, EMBED, MATMUL, Image, change_json, quantised, refused, rewrite

PANELS = 16
IDS = pad([[2, 9, 33, 51, 3], [2, 7, 3]])
DECODER = "cls.predictions.decoder"
# Sums of 96 products of numbers near 0.5 and 0.1 are some 0.5 apart; so near is the chip's.
NEAR = 0.04


def make_pretrained(folder, tied=True, labels=0, **options):
    """A folder with the heads of pretraining, and a classifier if it has labels."""
    config = make_bert(folder, **options)
    layout = [*pooler_layout(config), *pretraining_layout(config, tied)]
    if labels:
        layout += classifier_layout(config, labels)
    heads = draw_tensors(layout, np.random.default_rng(11), 0.1)
    for name in heads:
        if name.endswith("bias") and "LayerNorm" not in name:
            heads[name] *= 25       # one that is left out shall show
    prefix = "bert." if options.get("prefix") else ""
    heads = {(prefix if name.startswith("pooler") else "") + name: value
             for name, value in heads.items()}
    rewrite(folder, lambda tensors: tensors.update(heads))
    return config


def cosine(left, right):
    return (l2_normalise(left) * l2_normalise(right)).sum(axis=-1)


def check_pretrained(folder, image, tmp_path):
    """Every head answers as the float32 reference does."""
    reference = Bert.load(str(folder))
    hidden = reference.encode(IDS)
    words = infer(image, IDS, tmp_path, entry="mlm")
    want = reference.predict_words(hidden)
    keep = IDS != 0
    assert words.shape == want.shape and not words[~keep].any()
    assert cosine(words[keep], want[keep]).min() > 0.998
    assert (words[keep].argmax(axis=-1) == want[keep].argmax(axis=-1)).mean() > 0.7
    pooled = infer(image, IDS, tmp_path, entry="pooler")
    assert cosine(pooled, reference.pool(hidden)).min() > 0.99
    sentences = infer(image, IDS, tmp_path, entry="nsp")
    want = reference.next_sentence(hidden)
    assert sentences.shape == want.shape == (2, 2)
    assert np.abs(sentences - want).max() < NEAR


def old_names(tensors):
    for name in [name for name in tensors if "LayerNorm" in name]:
        new = name.replace("weight", "gamma").replace("bias", "beta")
        tensors[new] = tensors.pop(name)


def bias_of_decoder(tensors):
    tensors[DECODER + ".bias"] = tensors.pop("cls.predictions.bias")


def decoder_stored(tensors):
    tensors[DECODER + ".weight"] = tensors["embeddings.word_embeddings.weight"].copy()


VARIANTS = {"plain": {}, "prefix": dict(prefix=True), "old names": dict(change=old_names),
            "published": dict(prefix=True, change=old_names),
            "bias of the decoder": dict(change=bias_of_decoder),
            "tied and stored": dict(change=decoder_stored),
            "untied": dict(tied=False), "odd": dict(hidden=90, ffn=251, vocab=1003),
            "tanh": dict(act="gelu_new")}


@pytest.mark.parametrize("name", VARIANTS)
def test_pretrained(name, tmp_path):
    options = dict(VARIANTS[name])
    change = options.pop("change", None)
    make_pretrained(tmp_path / "bert", **options)
    if change:
        rewrite(tmp_path / "bert", change)
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw")
    assert "warning" not in done.stderr
    image = Image(tmp_path / "out.mxw")
    assert list(image.entries) == ["tokens", "sentence", "pooler", "nsp", "mlm"]
    check_pretrained(tmp_path / "bert", tmp_path / "out.mxw", tmp_path)
    embed = next(op for op in image.entries["mlm"] if op["opcode"] == EMBED)
    first, second = [op for op in image.entries["mlm"] if op["opcode"] == MATMUL][-2:]
    assert second["flags"] == ACCUMULATE and first["w_off"] == second["w_off"]
    tied = options.get("tied", True)
    assert (first["w_off"] == embed["w_off"]) == (first["s_off"] == embed["s_off"]) == tied
    assert embed["flags"] == (PANELS if tied else 0)


def test_a_tied_decoder_is_stored_once(tmp_path):
    """Bit by bit, and the encoder's results are those without the head."""
    make_pretrained(tmp_path / "bert")
    map_model(tmp_path / "bert", tmp_path / "tied.mxw")
    image = Image(tmp_path / "tied.mxw")
    reference = Bert.load(str(tmp_path / "bert"))
    q, scale = quantised(reference.tensor("embeddings.word_embeddings.weight"))
    decoder = [op for op in image.entries["mlm"] if op["opcode"] == MATMUL][-2]
    got = image.matrix(decoder)
    assert (got[0] == q).all() and (got[1] == scale).all()
    bias = reference.tensor("cls.predictions.bias")
    assert (image.floats(decoder["b_off"], len(bias)) == bias).all()
    count = sum(value.size for value in reference.tensors.values())
    assert image.card()["parameters"] == count

    rewrite(tmp_path / "bert", lambda tensors: [tensors.pop(name) for name in list(tensors)
                                                if name.startswith("cls.")])
    map_model(tmp_path / "bert", tmp_path / "plain.mxw")
    plain = Image(tmp_path / "plain.mxw")
    assert list(plain.entries) == ["tokens", "sentence", "pooler"]
    for entry in plain.entries:
        assert (infer(tmp_path / "tied.mxw", IDS, tmp_path, entry=entry) ==
                infer(tmp_path / "plain.mxw", IDS, tmp_path, entry=entry)).all()


@pytest.mark.parametrize("labels", [1, 3, 40])
def test_classifier(labels, tmp_path):
    make_pretrained(tmp_path / "bert", labels=labels, architecture="BertForSequenceClassification")
    rewrite(tmp_path / "bert", lambda tensors: [tensors.pop(name) for name in list(tensors)
                                                if name.startswith("cls.")])
    map_model(tmp_path / "bert", tmp_path / "out.mxw")
    assert list(Image(tmp_path / "out.mxw").entries) == ["tokens", "sentence", "pooler",
                                                         "classifier"]
    reference = Bert.load(str(tmp_path / "bert"))
    got = infer(tmp_path / "out.mxw", IDS, tmp_path, entry="classifier")
    want = reference.classify(reference.encode(IDS))
    assert got.shape == want.shape == (2, labels)
    assert np.abs(got - want).max() < NEAR


def test_all_heads_together(tmp_path):
    make_pretrained(tmp_path / "bert", labels=5)
    map_model(tmp_path / "bert", tmp_path / "out.mxw")
    check_pretrained(tmp_path / "bert", tmp_path / "out.mxw", tmp_path)
    reference = Bert.load(str(tmp_path / "bert"))
    got = infer(tmp_path / "out.mxw", IDS, tmp_path, entry="classifier")
    assert cosine(got, reference.classify(reference.encode(IDS))).min() > 0.99


# ----------------------------------------------------- heads that are left out

@pytest.mark.parametrize("lacks, entry, options", [
    ("pooler.dense.weight", "classifier", dict(labels=2)), ("pooler.dense.weight", "nsp", {}),
    ("classifier.bias", "classifier", dict(labels=2)), ("cls.seq_relationship.bias", "nsp", {}),
    ("cls.predictions.bias", "mlm", {}), ("cls.predictions.transform.dense.weight", "mlm", {}),
    ("cls.predictions.transform.LayerNorm.bias", "mlm", {}),
])
def test_heads_in_part(lacks, entry, options, tmp_path):
    make_pretrained(tmp_path / "bert", **options)
    rewrite(tmp_path / "bert", lambda tensors: tensors.pop(lacks))
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw")
    assert any("warning" in line and lacks in line and f'"{entry}"' in line
               for line in done.stderr.splitlines()), done.stderr
    assert entry not in Image(tmp_path / "out.mxw").entries


def test_untied_decoder_that_is_not_there(tmp_path):
    make_pretrained(tmp_path / "bert")
    change_json(tmp_path / "bert" / "config.json", tie_word_embeddings=False)
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw")
    assert DECODER in done.stderr and "mlm" not in Image(tmp_path / "out.mxw").entries


def test_classifier_of_tokens(tmp_path):
    make_pretrained(tmp_path / "bert", labels=9, architecture="BertForTokenClassification")
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw")
    assert "BertForTokenClassification" in done.stderr
    assert "classifier" not in Image(tmp_path / "out.mxw").entries


@pytest.mark.parametrize("value", [np.zeros((2, 95)), np.zeros(96), np.zeros((0, 96)),
                                   np.full((2, 96), np.nan)])
def test_bad_classifier(value, tmp_path):
    make_pretrained(tmp_path / "bert", labels=2)
    rewrite(tmp_path / "bert", lambda tensors: tensors.update(
        {"classifier.weight": value.astype(np.float32)}))
    refused(tmp_path, "classifier.weight")


def test_bad_decoder(tmp_path):
    make_pretrained(tmp_path / "bert", tied=False)
    rewrite(tmp_path / "bert", lambda tensors: tensors.update(
        {DECODER + ".weight": np.zeros((999, 96), np.float32)}))
    refused(tmp_path, DECODER, "[999, 96]", "[1000, 96]")


def chip(tmp_path, **keys):
    """The tiny chip with other values of some keys."""
    lines = (TOP / "qemu-device" / "chips" / "tiny.ini").read_text().splitlines()
    for key, value in keys.items():
        at = next(i for i, line in enumerate(lines) if line.split("=")[0].strip() == key)
        lines[at] = f"{key} = {value}"
    (tmp_path / "chip.ini").write_text("\n".join(lines) + "\n")
    return tmp_path / "chip.ini"


def test_result_as_wide_as_the_vocabulary(tmp_path):
    """The words of a long sequence pass a limit of the chip: without them the rest fits."""
    make_pretrained(tmp_path / "bert", vocab=3000, max_position=100, layers=1)
    target = chip(tmp_path, banks=5)
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw", "--chip", target)
    assert "warning" in done.stderr and "intermediates" in done.stderr
    assert list(Image(tmp_path / "out.mxw").entries) == ["tokens", "sentence", "pooler", "nsp"]
    limit = int(done.stderr.split("--max-tokens ")[1].split()[0])
    for tokens, there in ((limit, True), (limit + 1, False)):
        map_model(tmp_path / "bert", tmp_path / "out.mxw", "--chip", target, "-t", tokens)
        assert ("mlm" in Image(tmp_path / "out.mxw").entries) == there
    # As much as a job may transfer: 30 results of words
    target = chip(tmp_path, banks=5, io_bytes=4 * 3000 * 30)
    for tokens, there in ((30, True), (31, False)):
        done = map_model(tmp_path / "bert", tmp_path / "out.mxw", "--chip", target, "-t", tokens)
        assert ("mlm" in Image(tmp_path / "out.mxw").entries) == there
        assert ("transfers" in done.stderr) != there


def test_decoder_too_large(tmp_path):
    """An untied decoder is a second table, which may be one too many."""
    make_pretrained(tmp_path / "bert", vocab=3000, layers=1)
    target = chip(tmp_path, banks=3, bank_rows=768)
    map_model(tmp_path / "bert", tmp_path / "out.mxw", "--chip", target, "-t", 16)
    assert "mlm" in Image(tmp_path / "out.mxw").entries
    make_pretrained(tmp_path / "bert", vocab=3000, layers=1, tied=False)
    done = map_model(tmp_path / "bert", tmp_path / "out.mxw", "--chip", target, "-t", 16)
    assert "warning" in done.stderr and "too large" in done.stderr
    assert list(Image(tmp_path / "out.mxw").entries) == ["tokens", "sentence", "pooler", "nsp"]
