# SPDX-License-Identifier: LGPL-2.1-or-later
"""Saving, restoring and migrating a machine: the device goes on as if nothing had happened."""

import struct
import time

import pytest

import hw
import model
from device import (PAGE, Device, Queue, Ready, abort, ctx_create, entry, job, prog_begin, prog_end,
                    prog_write)
from qemu import SECONDS, QemuError
from test_faults import knob
from test_lifecycle import WIDTH, function_level_reset, unplug, works

OPTIONS = "isa=portable,threads=1"
JOBS, LONG = 32, 60


class Incoming(Device):
    """A device whose machine gets its state from another one."""

    def __init__(self, folder, options, chip="tiny", arguments=()):
        folder.mkdir()
        self.queues = None
        super().__init__(folder, options=options, chip=chip,
                         arguments=("-incoming", "defer", *arguments))

    def setup_pci(self):
        """At first the guest of the other machine has done that."""
        if self.queues:
            super().setup_pci()

    def adopt(self, source):
        """Goes on where the other machine's guest was."""
        self.free = source.free
        self.queues = {}
        for qid, old in source.queues.items():
            queue = Queue.__new__(Queue)
            queue.__dict__.update(old.__dict__)
            queue.dev = self
            self.queues[qid] = queue


def wait_migration(qemu, wanted="completed"):
    deadline = time.monotonic() + SECONDS
    while (status := qemu.qmp("query-migrate").get("status")) != wanted:
        assert status not in ("failed", "completed") and time.monotonic() < deadline, status
        time.sleep(0.005)


def receive(target, source, uri):
    target.qemu.qmp("migrate-incoming", uri=uri)
    deadline = time.monotonic() + SECONDS
    while not target.qemu.qmp("query-status")["running"]:
        assert time.monotonic() < deadline, target.qemu.qmp("query-migrate")
        time.sleep(0.005)
    target.adopt(source)


def migrate(source, target, folder):
    """Live, over a socket."""
    uri = f"unix:{folder / 'stream'}"
    target.qemu.qmp("migrate-incoming", uri=uri)
    source.qemu.qmp("migrate", uri=uri)
    wait_migration(source.qemu)
    deadline = time.monotonic() + SECONDS
    while not target.qemu.qmp("query-status")["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    target.adopt(source)


def through_file(source, target, folder):
    """To a file; the machine of before has ended when the new one starts from it."""
    uri = f"file:{folder / 'saved'}"
    source.qemu.qmp("migrate", uri=uri)
    wait_migration(source.qemu)
    source.qemu.close()
    receive(target, source, uri)


WAYS = [migrate, through_file]


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def ids_of(number, tokens):
    return [1 + (number * 7 + i * 3) % (model.VOCAB - 1) for i in range(tokens)]


def submit_jobs(ready, number=JOBS, tokens=model.TOKENS, sequences=LONG, timeout_ms=0):
    """Different jobs, all in flight at once; {command id: where its result will be}."""
    dev, places = ready.dev, {}
    size = sequences * tokens * 4
    source = dev.make_buffer(ready.ctx, 1, number * size)
    target = dev.make_buffer(ready.ctx, 2, number * sequences * WIDTH * 4)
    queue = ready.queue
    for i in range(number):
        dev.qemu.write(source + i * size, struct.pack(f"<{tokens}i", *ids_of(i, tokens)) * sequences)
    for i in range(number):
        cid = queue.put(job(ready.ctx, ready.model, sequences, tokens, 1, 2, sequences * WIDTH * 4,
                            model.ENTRY_SENTENCE, in_offset=i * size,
                            out_offset=i * sequences * WIDTH * 4, timeout_ms=timeout_ms))
        places[cid] = target + i * sequences * WIDTH * 4
    queue.ring()
    return places


def collect(dev, places, sequences=LONG, qid=1):
    results = {}
    for _ in places:
        done = dev.queues[qid].wait()
        assert done.status == hw.ST_SUCCESS, hw.STATUS_NAMES.get(done.status)
        results[done.cid] = (done.result,
                             dev.qemu.read(places[done.cid], sequences * WIDTH * 4))
    assert dev.queues[qid].peek() is None
    return results


def start(folder, options=OPTIONS, entries=64):
    dev = Device(folder, options=options)
    ready = Ready(dev, model.make(width=WIDTH))
    ready.queue = dev.make_queue(2, sq_entries=entries, cq_entries=entries)
    return ready


def stop_clock(counters):
    """Counters without those of queue entries, which depend on what a test asks."""
    return [v for i, v in enumerate(counters) if i != hw.CTR_QUEUE_BYTES]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the jobs give, and what they add to the counters, in a machine that stays."""
    ready = start(tmp_path_factory.mktemp("mxq"))
    with ready.dev:
        places = submit_jobs(ready)
        results = collect(ready.dev, places, qid=2)
        return results, stop_clock(ready.dev.counters())


def test_idle(folder, way):
    """Models, contexts, buffers, queues and counters are there."""
    ready = start(folder)
    with ready.dev as source, Incoming(folder / "b", OPTIONS) as target:
        source.qemu.write(source.make_buffer(1, 1, PAGE), struct.pack("<i", 3))
        result = source.make_buffer(1, 2, PAGE)
        before = stop_clock(source.counters())
        way(source, target, folder)
        assert stop_clock(target.counters()) == before
        assert target.models() == {ready.model: ready.image.content}
        done = target.queues[2].run(job(1, ready.model, 1, 1, 1, 2, WIDTH * 4))
        assert done.status == hw.ST_SUCCESS
        assert struct.unpack(f"<{WIDTH}f", target.qemu.read(result, WIDTH * 4)) == tuple(
            v * ready.image.scales[3] for v in ready.image.table[3])
        function_level_reset(target)
        works(target, ready.image, ready.model, 4)


@pytest.mark.parametrize("delay", [0, 0.05])
def test_jobs_in_flight(folder, way, undisturbed, delay):
    """Every one of 32 jobs is answered once, with the same bits and the same counters."""
    ready = start(folder)
    with ready.dev as source, Incoming(folder / "b", OPTIONS) as target:
        places = submit_jobs(ready)
        time.sleep(delay)
        assert ready.queue.peek() is None or delay
        way(source, target, folder)
        results = collect(target, places, qid=2)
        assert results == undisturbed[0]
        assert stop_clock(target.counters()) == undisturbed[1]


def test_there_and_back(folder, undisturbed):
    """Several times, with jobs in flight all the while."""
    ready = start(folder)
    machines = [ready.dev]
    try:
        places = submit_jobs(ready)
        for hop in range(4):
            time.sleep(0.03)
            machines.append(Incoming(folder / f"hop{hop}", OPTIONS))
            migrate(machines[-2], machines[-1], folder / f"hop{hop}")
        assert collect(machines[-1], places, qid=2) == undisturbed[0]
        assert stop_clock(machines[-1].counters()) == undisturbed[1]
    finally:
        for machine in machines:
            machine.qemu.close()


def test_failed_migration(folder, undisturbed):
    """Nobody takes over: the machine goes on."""
    ready = start(folder, options=f"{OPTIONS},store={folder / 'cells'}")
    with ready.dev as dev:
        places = submit_jobs(ready)
        dev.qemu.qmp("migrate", uri="exec:sleep 0.05; exec cat >/dev/full")
        deadline = time.monotonic() + SECONDS
        while dev.qemu.qmp("query-migrate")["status"] not in ("failed", "completed"):
            assert time.monotonic() < deadline
        if not dev.qemu.qmp("query-status")["running"]:
            dev.qemu.qmp("cont")
        assert collect(dev, places, qid=2) == undisturbed[0]
        assert stop_clock(dev.counters()) == undisturbed[1]


def test_paused_machine(folder, undisturbed):
    """Nothing is written to the memory of a machine that stands still."""
    ready = start(folder)
    with ready.dev as dev:
        places = submit_jobs(ready)
        dev.qemu.qmp("stop")
        before = dev.qemu.read(ready.queue.cq, 64 * 16)
        time.sleep(0.3)
        assert dev.qemu.read(ready.queue.cq, 64 * 16) == before
        dev.qemu.qmp("cont")
        assert collect(dev, places, qid=2) == undisturbed[0]


def test_deadline(folder):
    """It goes by the guest's clock, wherever that is."""
    ready = start(folder)
    with ready.dev as source, Incoming(folder / "b", OPTIONS) as target:
        knob(source, "hang", 1)
        knob(target, "hang", 1)
        submit_jobs(ready, number=2, timeout_ms=1000)
        # qtest's clock is its own, and no part of the state.
        source.qemu.clock_step(600)
        target.qemu.clock_step(600)
        migrate(source, target, folder)
        target.qemu.clock_step(399)
        assert target.queues[2].peek() is None
        target.qemu.clock_step(1)
        assert target.queues[2].wait().status == hw.ST_TIMEOUT


def test_modelled_time(folder):
    """timing=on: jobs that wait for their end wait on."""
    options = f"{OPTIONS},timing=on"
    ready = start(folder, options)
    with ready.dev as source, Incoming(folder / "b", options) as target:
        places = submit_jobs(ready, number=3)
        time.sleep(0.5)
        migrate(source, target, folder)
        assert target.queues[2].peek() is None
        for _ in places:
            target.qemu.clock_step(1000)
        assert len(collect(target, places, qid=2)) == 3


def begin_programming(ready, other):
    dev = ready.dev
    done = dev.queues[0].run(prog_begin(1, other.content, len(other.model), len(other.params)))
    assert done.status == hw.ST_SUCCESS
    assert dev.write_section(1, done.result, 0, other.model).status == hw.ST_SUCCESS
    return done.result


def params_at(image):
    return (len(image.model) + PAGE - 1) // PAGE * PAGE


@pytest.mark.parametrize("store", [False, True])
def test_programming_under_way(folder, way, store):
    """It goes on at the other place: handle, chunks and wear are the same."""
    options = OPTIONS + (f",store={folder / 'cells'}" if store else "")
    ready = start(folder, options)
    other = model.make(width=WIDTH, variant=1, padding=100000)
    with ready.dev as source, Incoming(folder / "b", options) as target:
        prog = begin_programming(ready, other)
        half = len(other.params) // 2
        assert source.write_section(1, prog, params_at(other), other.params[:half]).status == 0
        free, before = source.free_bytes(), stop_clock(source.counters())
        way(source, target, folder)
        assert target.free_bytes() == free
        assert stop_clock(target.counters()) == before
        assert target.write_section(1, prog, params_at(other) + half,
                                    other.params[half:]).status == hw.ST_SUCCESS
        ident = target.admin(prog_end(hw.ADM_PROG_COMMIT, 1, prog))
        assert target.models() == {ready.model: ready.image.content, ident: other.content}
        function_level_reset(target)
        works(target, ready.image, ready.model, 7)


def test_commands_of_programming_in_flight(folder):
    """A large PROG_WRITE, then its COMMIT, are answered where they were not yet."""
    image = model.make(padding=24 << 20)
    with Device(folder, chip="mx1") as source, Incoming(folder / "b", "", "mx1") as target:
        source.enable()
        source.admin(ctx_create(1))
        size = len(image.params)
        address = source.alloc(size)
        source.qemu.write(address, image.params.rstrip(b"\0"))
        prog = source.admin(prog_begin(1, image.content, len(image.model), size))
        assert source.write_section(1, prog, 0, image.model).status == hw.ST_SUCCESS
        sqe = prog_write(1, prog, params_at(image), size, source.sg((address, size)), 1)
        written = source.queues[0].submit(sqe)
        migrate(source, target, folder)
        done = target.queues[0].wait()
        assert (done.cid, done.status) == (written, hw.ST_SUCCESS)
        committed = target.queues[0].submit(prog_end(hw.ADM_PROG_COMMIT, 1, prog))
        with Incoming(folder / "c", "", "mx1") as third:
            migrate(target, third, folder / "c")
            done = third.queues[0].wait()
            assert (done.cid, done.status) == (committed, hw.ST_SUCCESS)
            assert list(third.models().values()) == [image.content]


def test_store_is_handed_over(folder):
    """While it is on its way, then for good: one device has it at a time."""
    options = f"{OPTIONS},store={folder / 'cells'}"
    ready = start(folder, options)
    with ready.dev as source, Incoming(folder / "b", options) as target:
        with pytest.raises(QemuError, match="is in use by another"):
            Device(folder / "b", options=options)
        migrate(source, target, folder)
        # The source, should someone make it run again, must not touch the cells.
        source.qemu.qmp("cont")
        assert source.fatal() == hw.FATAL_POWER
        assert "have been handed over" in source.qemu.output()
        assert target.models() == {ready.model: ready.image.content}
        assert target.queues[0].run(entry(hw.ADM_NOP)).status == hw.ST_SUCCESS


def refused(target, uri):
    """The machine ends with a sentence."""
    try:
        target.qemu.qmp("migrate-incoming", uri=uri)
        target.qemu.process.wait(SECONDS)
    except (QemuError, OSError):
        target.qemu.process.wait(SECONDS)
    return target.qemu.output()


@pytest.mark.parametrize("options, chip, sentence", [
    (OPTIONS + ",seed=2", "tiny", "seed= differs"),
    (OPTIONS + ",vectors=3", "tiny", "vectors= differs"),
    (OPTIONS, "mx1", "of another chip file"),
    (OPTIONS + ",store={}/other", "tiny", "of a device without store="),
])
def test_state_of_another_device(folder, options, chip, sentence):
    uri = f"file:{folder / 'saved'}"
    with start(folder).dev as source:
        source.qemu.qmp("migrate", uri=uri)
        wait_migration(source.qemu)
    with Incoming(folder / "b", options.format(folder), chip) as target:
        assert sentence in refused(target, uri)


def test_cells_that_have_changed(folder):
    """A state that is older than the store does not fit it."""
    options, uri = f"{OPTIONS},store={folder / 'cells'}", f"file:{folder / 'saved'}"
    with start(folder, options).dev as source:
        source.qemu.qmp("migrate", uri=uri)
        wait_migration(source.qemu)
    (folder / "between").mkdir()
    with Device(folder / "between", options=options) as dev:
        dev.enable()
        dev.admin(ctx_create(1))
        dev.program(1, model.make(variant=5))
    with Incoming(folder / "b", options) as target:
        assert "the non-volatile cells have changed since" in refused(target, uri)


def test_damaged_state(folder):
    """Whatever was cut off or changed: an end with a message, not a crash."""
    ready = start(folder)
    with ready.dev as source:
        submit_jobs(ready, number=3)
        source.qemu.qmp("migrate", uri=f"file:{folder / 'saved'}")
        wait_migration(source.qemu)
    data = (folder / "saved").read_bytes()
    at = data.rindex(b"mxaccel", 0, data.index(b'{"'.ljust(2)) if b'{"configuration' in data
                     else len(data))
    for number, cut in enumerate([at + 2000, at + 40000, len(data) // 2]):
        (folder / "cut").write_bytes(data[:cut])
        with Incoming(folder / f"cut{number}", OPTIONS) as target:
            refused(target, f"file:{folder / 'cut'}")
            assert target.qemu.process.returncode != -11


def test_contexts_and_grants(folder):
    """Many of them, each with its own counters; what was refused before is refused after."""
    ready = start(folder)
    with ready.dev as source, Incoming(folder / "b", OPTIONS) as target:
        for ctx in range(2, 6):
            source.admin(ctx_create(ctx))
            source.make_buffer(ctx, ctx, PAGE, hw.BUF_READ)
        migrate(source, target, folder)
        for ctx in range(2, 6):
            assert target.queues[0].run(ctx_create(ctx)).status == hw.ST_BAD_CTX
            done = target.queues[2].run(job(ctx, ready.model, 1, 1, ctx, ctx, WIDTH * 4))
            assert done.status == hw.ST_NOT_GRANTED
        target.admin(ctx_create(6))


def test_work_goes_on_after_saving(folder, undisturbed):
    """What was saved stays alive as well: abort, unplugging, more jobs."""
    ready = start(folder)
    with ready.dev as dev:
        places = submit_jobs(ready)
        dev.qemu.qmp("migrate", uri=f"file:{folder / 'saved'}")
        wait_migration(dev.qemu)
        dev.qemu.qmp("cont")
        assert collect(dev, places, qid=2) == undisturbed[0]
        assert dev.queues[0].run(abort(2, 999)).result == 0
        unplug(dev)
        assert dev.qemu.close() == 0
