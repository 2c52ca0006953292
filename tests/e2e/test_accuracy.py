# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chip against a float32 reference that shares no code with it."""

import numpy as np
import pytest
from tokenizers import BertWordPieceTokenizer

from bert import Bert, l2_normalise, mean_pool, token_cosines
from conftest import MODEL, TOP, infer, make_bert, map_model, pad, ragged

SENTENCES = TOP / "samples" / "semantic-search" / "sentences.txt"


@pytest.fixture(scope="module")
def answers(model_image, tmp_path_factory):
    """Ids of the sample's sentences, their hidden states by the reference and the chip,
    and what the chip's own "sentence" entry makes of them."""
    folder = tmp_path_factory.mktemp("accuracy")
    tokenizer = BertWordPieceTokenizer(str(MODEL / "vocab.txt"), lowercase=True)
    lines = [line for line in SENTENCES.read_text().splitlines() if line.strip()]
    # Shortened sentences serve as queries: a few words that should find the whole.
    queries = [" ".join(line.split()[:6]) for line in lines]
    sequences = [tokenizer.encode(line).ids for line in lines + queries]
    ids = pad(sequences)
    reference = Bert.load(MODEL).encode(ids)
    return {"ids": ids, "lines": len(lines), "reference": reference,
            "chip": infer(model_image, ids, folder),
            "pooled": infer(model_image, ids, folder, entry="sentence")}


def test_sentences_are_enough(answers):
    assert answers["lines"] >= 200


def test_token_embeddings(answers):
    cosines = token_cosines(answers["chip"], answers["reference"], answers["ids"])
    print(f"mean cosine of {cosines.size} token embeddings: {cosines.mean():.5f}, "
          f"worst {cosines.min():.5f}")
    assert cosines.mean() >= 0.995


def sentence_pairs(answers):
    ids = answers["ids"]
    return (l2_normalise(mean_pool(answers["chip"], ids)),
            l2_normalise(mean_pool(answers["reference"], ids)))


def test_sentence_embeddings(answers):
    chip, reference = sentence_pairs(answers)
    cosines = (chip * reference).sum(axis=1)
    print(f"sentence embeddings: mean cosine {cosines.mean():.5f}, worst {cosines.min():.5f}")
    assert cosines.min() >= 0.99


def test_entry_sentence_is_the_normalised_mean(answers):
    chip, _ = sentence_pairs(answers)
    assert np.abs(answers["pooled"] - chip).max() < 1e-5


def test_top_answer(answers):
    """The nearest sentence to each query, and to each sentence among the others."""
    agree, total = 0, 0
    count = answers["lines"]
    nearest = []
    for vectors in sentence_pairs(answers):
        lines, queries = vectors[:count], vectors[count:]
        others = lines @ lines.T
        np.fill_diagonal(others, -2)
        nearest.append(np.concatenate([(queries @ lines.T).argmax(axis=1),
                                       others.argmax(axis=1)]))
    agree, total = (nearest[0] == nearest[1]).sum(), nearest[0].size
    print(f"same top-1 answer: {agree} of {total} queries")
    assert agree >= 0.98 * total


def test_one_plane_is_the_cheaper_and_worse_choice(answers, tmp_path):
    """mxmap --planes 1: what the second plane of activations buys, and costs."""
    map_model(MODEL, tmp_path / "one.mxw", "--planes", "1")
    ids = answers["ids"]
    cosines = token_cosines(infer(tmp_path / "one.mxw", ids, tmp_path), answers["reference"], ids)
    two = token_cosines(answers["chip"], answers["reference"], ids)
    print(f"mean cosine of token embeddings: one plane {cosines.mean():.5f}, "
          f"two planes {two.mean():.5f}")
    assert 0.99 <= cosines.mean() < two.mean()


ODD = {
    "odd sizes": dict(hidden=96, heads=3, ffn=250, vocab=1001, layers=3),
    "prefix": dict(hidden=96, heads=3, ffn=251, prefix=True),
    "fp16": dict(hidden=64, heads=2, ffn=130, dtype="f16"),
    "bf16 shards": dict(hidden=96, heads=3, ffn=384, dtype="bf16", shards=3, prefix=True),
    "one head": dict(hidden=50, heads=1, ffn=33, vocab=333),
    "wide": dict(hidden=256, heads=16, ffn=1000, layers=1),
    "tanh gelu": dict(hidden=96, heads=3, ffn=97, act="gelu_new"),
    "relu": dict(hidden=96, heads=6, ffn=97, act="relu"),
}


@pytest.mark.parametrize("name", ODD)
def test_random_models(name, tmp_path):
    folder, image = tmp_path / "bert", tmp_path / "odd.mxw"
    make_bert(folder, max_position=64, seed=len(name), **ODD[name])
    map_model(folder, image)
    reference = Bert.load(folder)
    generator = np.random.default_rng(5)
    vocab = ODD[name].get("vocab", 1000)
    for lengths in ([1], [17], [64], [1, 17, 64, 5, 33]):
        ids = ragged(generator, vocab, lengths)
        chip, expected = infer(image, ids, tmp_path), reference.encode(ids)
        assert chip.shape == expected.shape and chip.dtype == np.float32
        assert token_cosines(chip, expected, ids).mean() >= 0.99
        assert not chip[ids == 0].any(), "rows of trailing padding are zero"


def test_padding_inside_a_sequence(tmp_path, small):
    """A zero id among others is masked as a key, and computed as a query."""
    ids = ragged(np.random.default_rng(1), 1000, [20])
    ids[0, [3, 9]] = 0
    chip = infer(small.image, ids, tmp_path, device="sim:tiny")
    expected = Bert.load(small.path).encode(ids)
    assert token_cosines(chip, expected, np.ones_like(ids)).mean() >= 0.99
