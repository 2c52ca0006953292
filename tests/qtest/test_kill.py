# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU is killed while it programs, updates or deletes a model. Whenever that happens, the store opens
again, the models that were resident are, bit for bit, and the new one is there wholly or not
at all."""

import collections
import os
import random
import shutil
import subprocess
import threading
import time

import pytest

import hw
import model
from device import PAGE, Device, Ready, ctx_create, model_command, prog_begin, prog_end
from qemu import QemuError
from test_jobs import Bench
from test_reuse import chunks, digests, reuse

SEQUENCES = [[1, 2, 3], [49, 7]]
KEPT = model.make(variant=1, padding=3 * hw.CHUNK)
ADDED = model.make(variant=2, padding=5 * hw.CHUNK + 1000)
UPDATED = model.make(variant=3, padding=3 * hw.CHUNK)  # KEPT but for its first chunk
CHUNKS = 32  # of chip tiny


def chunks_of(image):
    return sum((len(part) + hw.CHUNK - 1) // hw.CHUNK for part in (image.model, image.params))


def wear(store):
    """Each chunk's number of programmings: after superblock and two directory copies."""
    with open(store, "rb") as file:
        file.seek(3 * PAGE)
        data = file.read(4 * CHUNKS)
    return [int.from_bytes(data[at:at + 4], "little") for at in range(0, len(data), 4)]


@pytest.fixture(scope="module")
def kill_at(tmp_path_factory):
    """The library that kills QEMU at a step."""
    library = tmp_path_factory.mktemp("kill") / "kill_at.so"
    source = os.path.join(os.path.dirname(__file__), "kill_at.c")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o",
                    library, source, "-ldl"], check=True)
    return library


class Story:
    """What a QEMU that may be killed at any moment is told to do, and what it has reported."""

    image = ADDED
    chunks = chunks_of(ADDED)  # that it takes beside KEPT

    def __init__(self, before):
        self.before = before  # contents that were resident
        self.phase = "nothing"

    def run(self, dev):
        raise NotImplementedError

    def may_be(self):
        """The sets of contents that the restarted device may have."""
        raise NotImplementedError


class Program(Story):
    """The model is programmed whole."""

    def write(self, dev, prog):
        params_at = (len(self.image.model) + PAGE - 1) // PAGE * PAGE
        assert dev.write_section(1, prog, 0, self.image.model).status == hw.ST_SUCCESS
        assert dev.write_section(1, prog, params_at, self.image.params).status == hw.ST_SUCCESS

    def run(self, dev):
        dev.enable()
        dev.admin(ctx_create(1))
        image = self.image
        self.phase = "write"
        prog = dev.admin(prog_begin(1, image.content, len(image.model), len(image.params)))
        self.write(dev, prog)
        self.phase = "commit"
        dev.admin(prog_end(hw.ADM_PROG_COMMIT, 1, prog))
        self.phase = "committed"

    def may_be(self):
        new = self.before | {self.image.content}
        return {"nothing": [self.before], "write": [self.before], "commit": [self.before, new],
                "committed": [new]}[self.phase]


class Update(Program):
    """A changed version of KEPT is programmed: one chunk, the others are shared."""
    image = UPDATED
    chunks = 2

    def write(self, dev, prog):
        params = chunks(self.image.params)
        taken, _ = reuse(dev, prog, digests(self.image.params))
        assert taken == set(range(1, len(params)))
        params_at = (len(self.image.model) + PAGE - 1) // PAGE * PAGE
        assert dev.write_section(1, prog, 0, self.image.model).status == hw.ST_SUCCESS
        assert dev.write_section(1, prog, params_at, params[0]).status == hw.ST_SUCCESS


class Delete(Story):
    """ADDED, which is resident, is deleted."""

    def run(self, dev):
        dev.enable()
        ident = next(i for i, content in dev.models().items() if content == ADDED.content)
        self.phase = "delete"
        dev.admin(model_command(hw.ADM_MODEL_DELETE, ident))
        self.phase = "deleted"

    def may_be(self):
        new = self.before - {ADDED.content}
        return {"nothing": [self.before], "delete": [self.before, new],
                "deleted": [new]}[self.phase]


class Bed:
    """A store with KEPT, and one with ADDED too; each round works on a copy."""

    def __init__(self, folder):
        self.folder, self.store = folder, folder / "cells"
        one, two = folder / "one", folder / "two"
        self.prepared = {Program: one, Update: one, Delete: two}
        self.contents = {Program: {KEPT.content}, Update: {KEPT.content},
                         Delete: {KEPT.content, ADDED.content}}
        self.expected = {KEPT.content: self.prepare(one, KEPT)}
        shutil.copy(one, two)
        self.expected[ADDED.content] = self.prepare(two, ADDED)
        self.expected[UPDATED.content] = self.prepare(folder / "three", UPDATED)
        self.outcomes = collections.Counter()

    def prepare(self, store, image):
        """Makes a model resident in a store; its results."""
        with Device(self.folder, options=f"store={store}") as dev:
            return Bench(Ready(dev, image)).run(SEQUENCES, model.ENTRY_TOKENS)

    def device(self):
        return Device(self.folder, options=f"store={self.store},threads=1")

    def fresh(self, kind):
        shutil.copy(self.prepared[kind], self.store)
        return kind(self.contents[kind])

    def play(self, story, dev):
        """False if QEMU was killed before the story's end."""
        try:
            story.run(dev)
            return True
        except (QemuError, OSError):
            return False
        finally:
            dev.qemu.close(kill=True)

    def check(self, story):
        """What the restarted device has is one of what it may have, and works."""
        worn = wear(self.prepared[type(story)])
        assert all(now >= then for now, then in zip(wear(self.store), worn))
        with self.device() as dev:
            assert "damaged" not in dev.qemu.output()
            ready = Ready(dev, KEPT)
            contents = set(dev.models().values())
            assert contents in story.may_be(), story.phase
            taken = chunks_of(KEPT) + (story.chunks if story.image.content in contents else 0)
            assert dev.free_bytes() == (CHUNKS - taken) * hw.CHUNK
            bench = Bench(ready)
            assert bench.run(SEQUENCES, model.ENTRY_TOKENS) == self.expected[KEPT.content]
            # The other model is there, or can come: it works, too.
            bench.model = dev.program(1, story.image)
            assert set(dev.models().values()) == {KEPT.content, story.image.content}
            assert bench.run(SEQUENCES, model.ENTRY_TOKENS) == self.expected[story.image.content]
        result = "new" if contents != story.before else "old"
        self.outcomes[f"{story.phase}: {result}"] += 1

    def told(self, title):
        kills = sum(self.outcomes.values())
        print(f"{title}: {kills} kills;", ", ".join(
            f"{number} in {what} state" for what, number in sorted(self.outcomes.items())))


@pytest.fixture
def bed(folder):
    return Bed(folder)


@pytest.mark.parametrize("kind", [Program, Update, Delete])
def test_killed_at_each_step(bed, kill_at, monkeypatch, kind):
    """Every system call that writes to the store, before, in the midst of and after it."""
    monkeypatch.setenv("KILL_STORE", str(bed.store))
    for step in range(1, 200):
        story = bed.fresh(kind)
        with monkeypatch.context() as preload:
            preload.setenv("LD_PRELOAD", str(kill_at))
            preload.setenv("KILL_AT", str(step))
            dev = bed.device()
        if bed.play(story, dev):
            break
        bed.check(story)
    bed.told(f"{kind.__name__.lower()}, step by step")
    # Each write has three steps, each of the three times of making durable two. What a deletion
    # changed in memory before its one time is the host's already: QEMU's end does not undo it.
    writes = {Program: 3, Update: 2, Delete: 0}[kind]
    assert step == (3 * writes + 7 if writes else 3)
    assert bed.outcomes == ({"write: old": 3 * writes, "commit: old": 4, "commit: new": 2}
                            if writes else {"delete: new": 2})


@pytest.mark.parametrize("kind", [Program, Update, Delete])
def test_killed_at_random(bed, kind):
    """Anywhere else: while it hashes, and while it changes the directory in memory."""
    generator = random.Random(4)
    story, dev = bed.fresh(kind), bed.device()
    begin = time.monotonic()
    assert bed.play(story, dev)
    seconds = time.monotonic() - begin
    for _ in range(40):
        story, dev = bed.fresh(kind), bed.device()
        timer = threading.Timer(generator.random() * seconds, dev.qemu.process.kill)
        timer.start()
        bed.play(story, dev)
        timer.cancel()
        timer.join()
        bed.check(story)
    bed.told(f"{kind.__name__.lower()}, at random")
