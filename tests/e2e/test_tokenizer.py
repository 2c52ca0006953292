# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library's WordPiece tokenizer against the reference, the package `tokenizers`.

Texts go through build/tests/tokenize, which calls mxrt_tokenizer_encode(); ids
must be equal, one by one.
"""
import os
import random
import string
import subprocess
import unicodedata
from pathlib import Path

import pytest
from tokenizers import BertWordPieceTokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer

TOP = Path(__file__).resolve().parents[2]
PROGRAM = TOP / "build/tests/tokenize"
LOWER, STRIP, CJK = 1, 2, 4
EILSEQ = 84
ROOM = 100000

# Lower-case letters that appeared after Unicode 15: whether they are known depends on the
# release of each library, and no vocabulary has them.
NEW_CASES = [(0x1c89, 0x1c89), (0xa7cb, 0xa7dc), (0x10d50, 0x10d65), (0x16ea0, 0x16eb8)]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def made_vocabulary():
    """Letters of many scripts, so that few words are [UNK] and differences show."""
    pieces = list(SPECIAL)
    singles = string.ascii_letters + string.digits + string.punctuation
    for first, last in ((0xa1, 0x17f), (0x250, 0x2af), (0x300, 0x36f), (0x370, 0x3ff),
                        (0x400, 0x45f), (0x5d0, 0x5ea), (0x620, 0x64a), (0x905, 0x94d),
                        (0x1100, 0x11c2), (0x3041, 0x3096), (0x30a1, 0x30fa), (0x4e00, 0x4eff),
                        (0xac00, 0xac20), (0x1f600, 0x1f620), (0x2010, 0x2027)):
        singles += "".join(map(chr, range(first, last + 1)))
    for letter in singles:
        pieces += [letter, "##" + letter]
    pieces += ["the", "cafe", "un", "##aff", "##able", "straße", "naïve", "##ing", "東京", "i̇"]
    return list(dict.fromkeys(pieces))


def vocabularies():
    folder = TOP / "build/model-dir"
    return ["made"] + (["model"] if (folder / "vocab.txt").exists() else [])


@pytest.fixture(scope="module")
def made_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("".join(piece + "\n" for piece in made_vocabulary()), encoding="utf-8")
    return path


@pytest.fixture(params=vocabularies())
def vocab(request, made_path):
    return made_path if request.param == "made" else TOP / "build/model-dir/vocab.txt"


def ours(vocab, texts, flags=LOWER | STRIP | CJK, room=ROOM):
    """A list of ids, or the negative errno, for each text (str or bytes)."""
    raw = [text if isinstance(text, bytes) else text.encode() for text in texts]
    data = b"".join(b"%d\n%s" % (len(text), text) for text in raw)
    done = subprocess.run([PROGRAM, str(vocab), str(flags), str(room)], input=data,
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(texts)
    return [-int(line.split()[1]) if line.startswith("error") else list(map(int, line.split()))
            for line in lines]


def reference(vocab, flags=LOWER | STRIP | CJK):
    return BertWordPieceTokenizer(WordPiece.read_file(str(vocab)), lowercase=bool(flags & LOWER),
                                  strip_accents=bool(flags & STRIP),
                                  handle_chinese_chars=bool(flags & CJK))


def compare(vocab, texts, flags=LOWER | STRIP | CJK):
    expected = [encoding.ids for encoding in reference(vocab, flags).encode_batch(texts)]
    got = ours(vocab, texts, flags)
    wrong = [(text, one, want) for text, one, want in zip(texts, got, expected)
             if one != want]
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, first: {wrong[0]!r}"


FLAGS = [LOWER | STRIP | CJK, LOWER | CJK, STRIP | CJK, CJK, LOWER | STRIP, 0]

HAND_PICKED = [
    "", " ", "\t\n\r ", "hello", "Hello, World!", "unaffable", "unaffableness",
    "Ünïcödé çafé naïve façade über Straße STRASSE", "cafe\u0301 e\u0301\u0323 \u0301alone",
    "東京は日本の首都です。", "机器学习模型在芯片上运行", "漢字とかな交じり文", "한국어 문장입니다 각 한글",
    "İstanbul'da IŞIK ığdır", "ΟΔΥΣΣΕΥΣ ΣΑΣ ς σ Σ", "ǅ ǈ ǋ Ǆ ĳ Ĳ ﬁ ﬂ", "K Å Ω kelvin angstrom ohm",
    "don't can't I'm \"quoted\" 'single' ``back``", "e-mail: a.b@c.de; http://x.y/z?q=1&r=2#s",
    "$100 <b>+=~^|`</b> €5 £6 ¥7 © ® ™ ± × ÷ ¿qué? ¡sí! «tu» „hi“ …—–", "1,234.56 3½ x² ¼",
    "😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️", "a\u0000b\u0007c\u007fd\u0085e\u009ff", "a\ufffdb\ufeffc\u200bd\u200ee\u00adf",
    "a\u00a0b\u1680c\u2003d\u2028e\u2029f\u202fg\u205fh\u3000i\u180ej\u000bk\u000cl",
    "a" * 99, "a" * 100, "a" * 101, "x" * 1000, ("é" * 100) + " " + ("é" * 101), "中" * 150,
    "e\u0301" * 60, "e\u0301" * 101, "\u1e69 \u1e9b\u0323 s\u0323\u0307 s\u0307\u0323 \u0344",
    "[CLS] x [SEP]", "a[SEP]b", "[sep]", "[SEP", "[[SEP]]", "[MASK]ed [UNK] [PAD] [ MASK ]",
    "[SEP][SEP]x[CLS]", "[S\u0301EP]", "\u0301[SEP]\u0301", "हिन्दी में वाक्य", "العَرَبِيَّة", "עִבְרִית",
    "ไทย ภาษา", "Ⅷ Ⓐ ⓐ", "Ꭰ ꭰ Ⴀ ა Ა", "\U0001d165\U0001d15e\U0001d1bb", "\u0390 \u1fe3 \u1fd3",
    "\ufb1d \ufb2c \ufb49", "\uf900 \ufa0e \U0002f800 \U0002ceb0 \U0002b820 \U00030000",
    "ẞ ß SS ſ", "\u2126 \u212a \u212b \u2000\u2001 \u037e \u0387 \u1fef \u2329\u232a",
]


@pytest.mark.parametrize("flags", FLAGS)
def test_hand_picked(vocab, flags):
    compare(vocab, HAND_PICKED, flags)


def all_characters():
    new = {c for first, last in NEW_CASES for c in range(first, last + 1)}
    return [chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000 and c not in new]


@pytest.mark.parametrize("flags", [LOWER | STRIP | CJK, CJK])
def test_every_code_point(made_path, flags, tmp_path):
    """Each alone between letters: removed, split off, spaced, or part of the word.

    The vocabulary holds each plane's characters as such, so that one that is kept is seen."""
    characters = all_characters()
    for begin in range(0, len(characters), 150000):
        part = characters[begin:begin + 150000]
        path = tmp_path / f"{begin}.txt"
        pieces = SPECIAL + ["a", "##a", "b", "##b"]
        seen = [c for c in part if not c.isspace() and c not in "ab"]
        pieces += seen + ["##" + c for c in seen]
        path.write_bytes("".join(piece + "\n" for piece in pieces).encode())
        # One text per character for the special planes would be slow: 50 to a text
        groups = [part[i:i + 50] for i in range(0, len(part), 50)]
        compare(path, [" ".join(f"a{c}b {c}" for c in group) for group in groups], flags)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("seed", range(3))
def test_random_text(vocab, flags, seed):
    """Words drawn from scripts, marks, spaces, punctuation, controls and all of Unicode."""
    generator = random.Random(f"{seed}/{flags}")
    everything = all_characters()
    pools = [string.ascii_letters, string.ascii_letters, string.printable, string.punctuation + " ",
             "".join(map(chr, range(0xa0, 0x250))), "".join(map(chr, range(0x300, 0x370))),
             "".join(map(chr, range(0x370, 0x600))), "".join(map(chr, range(0x900, 0xe00))),
             "".join(map(chr, range(0x1e00, 0x2070))), "".join(map(chr, range(0xac00, 0xd7a4))),
             "".join(map(chr, range(0x4e00, 0xa000))), "".join(map(chr, range(0x1f300, 0x1faff))),
             "\u0300\u0323\u0345\u0334\u093c\u094d\u3099\u302e\u1cd0\u0591\u05b0\u1dfb\u08d4",
             "İIıiΣσςßẞǅÅK" + "\u0307", everything]
    texts = []
    for _ in range(1500):
        text = ""
        for _ in range(generator.randint(1, 12)):
            pool = generator.choice(pools)
            text += "".join(generator.choices(pool, k=generator.randint(1, 8)))
            text += generator.choice(["", "", " ", "  ", "\n", "[SEP]", ".", "\u00a0"])
        texts.append(text)
    compare(vocab, texts, flags)


def test_order_of_marks(tmp_path):
    """Runs of combining marks, in and beyond the length that any script has.

    The vocabulary holds each mark, so that the order of those that are kept is seen."""
    generator = random.Random(3)
    marks = [c for c in all_characters() if unicodedata.category(c) in ("Mn", "Mc")]
    kept = [c for c in marks if unicodedata.combining(c) and
            BertNormalizer(strip_accents=True).normalize_str("a" + c) != "a"]
    assert len(kept) > 100
    path = tmp_path / "vocab.txt"
    path.write_bytes("".join(f"{p}\n" for p in SPECIAL + ["a", "##b"] +
                             ["##" + mark for mark in marks]).encode())
    texts = ["a" + "".join(generator.choice(generator.choice((marks, kept, kept)))
                           for _ in range(generator.randint(1, 40))) + "b" for _ in range(3000)]
    compare(path, texts)


def test_random_words(vocab):
    """Words glued from the vocabulary's own pieces: the longest match must win."""
    generator = random.Random(5)
    pieces = [line.removeprefix("##") for line in
              vocab.read_text(encoding="utf-8").splitlines() if not line.startswith("[")]
    texts = ["".join(generator.choices(pieces, k=generator.randint(1, 20))) + " " +
             "".join(generator.choices(pieces, k=3)) for _ in range(3000)]
    compare(vocab, texts)


@pytest.mark.parametrize("room", [2, 3, 4, 5, 8])
def test_cut(vocab, room):
    """What does not fit is dropped; [SEP] stays last."""
    texts = ["", "one", "one two three", "unaffable unaffable", "x" * 101 + " yes",
             "[SEP] [CLS] a b"]
    tokenizer = reference(vocab)
    tokenizer.enable_truncation(room)
    assert ours(vocab, texts, room=room) == [tokenizer.encode(text).ids for text in texts]


@pytest.mark.parametrize("raw", [b"\xff", b"abc\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82",
                                 b"\xf4\x90\x80\x80", b"ok \xc3( no", b"[SEP]\xe9"])
def test_invalid_utf8(vocab, raw):
    """Refused as a whole; the next text is unharmed."""
    results = ours(vocab, [b"fine", raw, b"fine"])
    assert results[1] == -EILSEQ
    assert results[0] == results[2] == reference(vocab).encode("fine").ids


def test_long_text_is_linear(vocab):
    """A megabyte of marks in falling order must not take quadratic time."""
    marks = "\u0345\u0301\u0323\u0334" * 120000
    results = ours(vocab, ["a" + marks + " fine", "fine"], room=64)
    assert results[0][0] == results[1][0] and results[1] == reference(vocab).encode("fine").ids


def test_bad_vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(SPECIAL), encoding="utf-8")
    done = subprocess.run([PROGRAM, str(path), "7", "64"], input=b"", capture_output=True)
    assert done.returncode == 1 and done.stderr


@pytest.fixture(scope="session", autouse=True)
def built():
    assert os.access(PROGRAM, os.X_OK), f"{PROGRAM} is not built: make host"
