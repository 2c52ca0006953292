# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU is killed while it programs or deletes a model. Whenever that happens, the store opens
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

SEQUENCES = [[1, 2, 3], [49, 7]]
KEPT = model.make(variant=1, padding=3 * hw.CHUNK)
ADDED = model.make(variant=2, padding=5 * hw.CHUNK + 1000)
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

    def __init__(self, before):
        self.before = before  # contents that were resident
        self.phase = "nothing"

    def run(self, dev):
        raise NotImplementedError

    def may_be(self):
        """The sets of contents that the restarted device may have."""
        raise NotImplementedError


class Program(Story):
    """ADDED is programmed."""

    def run(self, dev):
        dev.enable()
        dev.admin(ctx_create(1))
        image = ADDED
        self.phase = "write"
        prog = dev.admin(prog_begin(1, image.content, len(image.model), len(image.params)))
        params_at = (len(image.model) + PAGE - 1) // PAGE * PAGE
        assert dev.write_section(1, prog, 0, image.model).status == hw.ST_SUCCESS
        assert dev.write_section(1, prog, params_at, image.params).status == hw.ST_SUCCESS
        self.phase = "commit"
        dev.admin(prog_end(hw.ADM_PROG_COMMIT, 1, prog))
        self.phase = "committed"

    def may_be(self):
        new = self.before | {ADDED.content}
        return {"nothing": [self.before], "write": [self.before], "commit": [self.before, new],
                "committed": [new]}[self.phase]


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
        self.prepared = {Program: folder / "one", Delete: folder / "two"}
        self.contents = {Program: {KEPT.content}, Delete: {KEPT.content, ADDED.content}}
        with Device(folder, options=f"store={self.prepared[Program]}") as dev:
            self.expected = Bench(Ready(dev, KEPT)).run(SEQUENCES, model.ENTRY_TOKENS)
        shutil.copy(self.prepared[Program], self.prepared[Delete])
        with Device(folder, options=f"store={self.prepared[Delete]}") as dev:
            self.added = Bench(Ready(dev, ADDED)).run(SEQUENCES, model.ENTRY_TOKENS)
        self.outcomes = collections.Counter()

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
            taken = sum(chunks_of(image) for image in (KEPT, ADDED) if image.content in contents)
            assert dev.free_bytes() == (CHUNKS - taken) * hw.CHUNK
            bench = Bench(ready)
            assert bench.run(SEQUENCES, model.ENTRY_TOKENS) == self.expected
            # The other model is there, or can come: it works, too.
            bench.model = dev.program(1, ADDED)
            assert set(dev.models().values()) == {KEPT.content, ADDED.content}
            assert bench.run(SEQUENCES, model.ENTRY_TOKENS) == self.added
        result = "new" if contents != story.before else "old"
        self.outcomes[f"{story.phase}: {result}"] += 1

    def told(self, title):
        kills = sum(self.outcomes.values())
        print(f"{title}: {kills} kills;", ", ".join(
            f"{number} in {what} state" for what, number in sorted(self.outcomes.items())))


@pytest.fixture
def bed(folder):
    return Bed(folder)


@pytest.mark.parametrize("kind", [Program, Delete])
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
    # Three writes and three times making durable; what a deletion changed in memory
    # before its one is the host's already, so QEMU's end does not undo it.
    assert step == (16 if kind is Program else 3)
    assert bed.outcomes == ({"write: old": 9, "commit: old": 4, "commit: new": 2}
                            if kind is Program else {"delete: new": 2})


@pytest.mark.parametrize("kind", [Program, Delete])
def test_killed_at_random(bed, kind):
    """Anywhere else: while it hashes, and while it changes the directory in memory."""
    generator = random.Random(4)
    story, dev = bed.fresh(kind), bed.device()
    begin = time.monotonic()
    assert bed.play(story, dev)
    seconds = time.monotonic() - begin
    for _ in range(60):
        story, dev = bed.fresh(kind), bed.device()
        timer = threading.Timer(generator.random() * seconds, dev.qemu.process.kill)
        timer.start()
        bed.play(story, dev)
        timer.cancel()
        timer.join()
        bed.check(story)
    bed.told(f"{kind.__name__.lower()}, at random")
