# SPDX-License-Identifier: LGPL-2.1-or-later
"""The labelled sentences: one-line descriptions of Debian packages, labelled by section.

They are made from what apt knows on this machine, and are the same for the same lists:

* a sentence is the first line of a package's description, without its name; each source
  package gives one, that of the binary package whose name has the lowest SHA-256; sentences
  of less than three words or that occur twice are left out;
* the labels are the archive's largest sections, by the number of sentences;
* the SHA-256 of the source package's name decides the side: first byte below 64, test; and
  the order: the first so many of each section are taken, the same number of each.
"""

import hashlib
import subprocess
from collections import defaultdict
from dataclasses import dataclass

from mxcost.chips import Failure

SECTIONS = 12
HINT = "`apt-get update` fetches apt's lists; --packages FILE reads others"


@dataclass(frozen=True)
class Sentence:
    text: str
    label: int


@dataclass(frozen=True)
class Corpus:
    """Sentences come section by section in turn, so that a first part is balanced too."""

    sections: tuple
    train: tuple
    test: tuple

    @property
    def digest(self):
        lines = [f"{side} {self.sections[s.label]} {s.text}\n"
                 for side, part in (("train", self.train), ("test", self.test)) for s in part]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def apt_text():
    """What apt knows of all packages."""
    try:
        done = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=False,
                              stdin=subprocess.DEVNULL)
    except OSError as error:
        raise Failure(f"cannot run apt-cache: {error.strerror}; the sentences are Debian's "
                      "package descriptions; --packages FILE reads others") from None
    if done.returncode:
        raise Failure("apt-cache dumpavail failed: " +
                      done.stderr.decode(errors="replace").strip().replace("\n", " "))
    return done.stdout.decode(errors="replace")


def read_text(path):
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is not text; expected what `apt-cache dumpavail` prints") from None


def stanzas(text):
    """{field: first line} of each package."""
    found = {}
    for line in text.splitlines():
        if not line.strip():
            if found:
                yield found
            found = {}
        elif not line[0].isspace():
            name, _, value = line.partition(":")
            found.setdefault("Description" if name == "Description-en" else name, value.strip())
    if found:
        yield found


def name_hash(name):
    return hashlib.sha256(name.encode()).digest()


def by_section(text):
    """{section: [(hash of the source's name, sentence)]}, sorted"""
    sources = {}
    for package in stanzas(text):
        name, section = package.get("Package", ""), package.get("Section", "")
        sentence = " ".join(package.get("Description", "").split())
        if not name or not section or "/" in section or len(sentence.split()) < 3:
            continue
        source = package.get("Source", name).split(" ")[0]
        entry = (name_hash(name), sentence, section)
        sources[source] = min(sources.get(source, entry), entry)
    count = defaultdict(int)
    for _, sentence, _ in sources.values():
        count[sentence.casefold()] += 1
    found = defaultdict(list)
    for source, (_, sentence, section) in sources.items():
        if count[sentence.casefold()] == 1:
            found[section].append((name_hash(source), sentence))
    return {section: sorted(entries) for section, entries in found.items()}


def make_corpus(text, train, test):
    """A corpus of @train and @test sentences of each section, or Failure."""
    found = by_section(text)
    sections = sorted(found, key=lambda section: (-len(found[section]), section))[:SECTIONS]
    if len(sections) < SECTIONS:
        raise Failure(f"apt knows descriptions of {sum(map(len, found.values()))} source packages "
                      f"in {len(found)} sections, too few for {SECTIONS}; {HINT}")
    sides = {"train": [], "test": []}
    for label, section in enumerate(sections):
        for side, wanted in (("train", train), ("test", test)):
            there = [sentence for name, sentence in found[section]
                     if (name[0] < 64) == (side == "test")]
            if len(there) < wanted:
                raise Failure(f"section {section} has {len(there)} sentences to {side}, "
                              f"{wanted} are needed; {HINT}")
            sides[side].append([Sentence(one, label) for one in there[:wanted]])
    return Corpus(tuple(sections), *(tuple(one for turn in zip(*sides[side]) for one in turn)
                                     for side in ("train", "test")))
