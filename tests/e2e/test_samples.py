# SPDX-License-Identifier: LGPL-2.1-or-later
"""The samples, with the real model on the chip model in this process."""

import re

import numpy as np

from bert import Bert, l2_normalise, mean_pool
from conftest import BIN, MODEL, run
from tokenizers import BertWordPieceTokenizer
from tokenizers.models import WordPiece

DEVICE = ("--device", "sim:mx1")


def test_default_questions(model_image):
    text = run(BIN / "semantic-search", model_image, *DEVICE).stdout
    for question, answer in (("bridges survive hot weather", "Bridges have joints"),
                             ("seat of the French government", "Paris is the capital"),
                             ("first person to write software", "Ada Lovelace")):
        lines = text.splitlines()
        at = next(number for number, line in enumerate(lines) if question in line)
        assert answer in lines[at + 1]


def test_cosines_and_counters(model_image, tmp_path):
    """The cosines are the reference's, nearly; the traffic is ids in and vectors out."""
    sentences = ["A cat sleeps on the sofa.", "The stock market fell today.",
                 "Kittens are playful."]
    (tmp_path / "mine.txt").write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    query = "Pets at home"
    done = run(BIN / "semantic-search", model_image, *DEVICE, "--sentences", tmp_path / "mine.txt",
               "--top", 3, query)
    got = {line[8:].strip(): float(line[:8]) for line in done.stdout.splitlines()
           if re.match(r"^ +-?\d\.\d{3}  ", line)}
    assert set(got) == set(sentences) and list(got.values()) == sorted(got.values(), reverse=True)
    tokenizer = BertWordPieceTokenizer(WordPiece.read_file(str(MODEL / "vocab.txt")))
    ids = [tokenizer.encode(text).ids for text in sentences + [query]]
    reference = Bert.load(str(MODEL))
    batches = [np.array([row]) for row in ids]
    rows = np.concatenate([l2_normalise(mean_pool(reference.encode(batch), batch))
                           for batch in batches])
    for sentence, cosine in zip(sentences, rows[:3] @ rows[3]):
        assert abs(got[sentence] - cosine) < 0.03
    counters = {fields[0]: int(fields[3]) for fields in map(str.split, done.stdout.splitlines())
                if len(fields) > 4 and fields[1].isdigit() and fields[3].isdigit()}
    longest = max(map(len, ids[:3]))
    assert counters["dma_read_bytes"] == 4 * (3 * longest + len(ids[3]))
    assert counters["dma_write_bytes"] == 4 * 4 * rows.shape[1]
    assert counters["sequences"] == 4 and counters["tokens"] == sum(map(len, ids))


def test_bad_input(model_image, tmp_path):
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    for arguments, words in (([], "image"), ([model_image, "--top", "0"], "--top"),
                             ([model_image, *DEVICE, "-s", tmp_path / "empty.txt"], "empty.txt"),
                             ([model_image, *DEVICE, "-s", tmp_path / "none.txt"], "none.txt"),
                             ([model_image, *DEVICE, "-s", tmp_path / "latin.txt"], "text 2"),
                             ([model_image, "--device", "sim:nothing"], "nothing"),
                             ([tmp_path / "empty.txt", *DEVICE], "empty.txt")):
        done = run(BIN / "semantic-search", *arguments, check=False)
        assert done.returncode in (1, 2) and words in done.stderr, (arguments, done.stderr)


def test_first_program(model_image):
    done = run(BIN / "first", model_image, "sim:mx1")
    assert re.match(r"^(-?\d\.\d{6} ){3}\.\.\.\n$", done.stdout)
    assert run(BIN / "first", check=False).returncode == 1
