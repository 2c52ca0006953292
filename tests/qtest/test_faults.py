# SPDX-License-Identifier: LGPL-2.1-or-later
"""Injected faults: each strikes as often as it was told, and leaves a device that works."""

import struct
import time

import pytest

import hw
import model
from device import PAGE, Device, Ready, ctx_create, delete_qp, entry, identify, job, abort
from device import prog_begin, prog_end
from qemu import QemuError
from test_lifecycle import (CAP_EXPRESS, PRESENT, SLOT_STATUS, WIDTH, controller_reset,
                            function_level_reset, works)

CAP_AER = 1
UNCORRECTABLE_STATUS, CORRECTABLE_STATUS = 4, 0x10
TIMEOUT_MS = 50


def knob(dev, name, value=None):
    """Reads a fault, or sets it."""
    if value is None:
        return dev.qemu.qmp("qom-get", path="mx0", property=f"fault-{name}")
    return dev.qemu.qmp("qom-set", path="mx0", property=f"fault-{name}", value=value)


@pytest.fixture
def faulty(folder):
    """A device with a job's buffers; run() submits a job."""
    with Device(folder, options="isa=portable,threads=1") as dev:
        ready = Ready(dev, model.make(width=WIDTH))
        ready.source, ready.target = dev.make_buffer(1, 1, PAGE), dev.make_buffer(1, 2, PAGE)
        dev.qemu.write(ready.source, struct.pack("<i", 3))
        yield ready


def a_job(ready, timeout_ms=0):
    return job(1, ready.model, 1, 1, 1, 2, WIDTH * 4, timeout_ms=timeout_ms)


def nop(queue):
    return queue.run(entry(hw.IO_NOP))


def test_list_of_properties(up):
    """All of them are there, at 0, with a limit; none can be set before the device is there."""
    properties = {p["name"]: p for p in up.qemu.qmp("qom-list", path="mx0")}
    faults = [name for name in properties if name.startswith("fault-")]
    assert len(faults) == 21
    for name in faults:
        assert knob(up, name[6:]) == 0
    with pytest.raises(QemuError, match="fault-hang-until=6: at most 5"):
        knob(up, "hang-until", 6)
    with pytest.raises(QemuError):
        knob(up, "drop", "many")
    described = {p["name"]: p["description"] for p in
                 up.qemu.qmp("device-list-properties", typename="mxaccel")
                 if p["name"].startswith("fault-")}
    assert sorted(described) == sorted(faults) and all(described.values())


def test_not_on_the_command_line(folder):
    with pytest.raises(QemuError, match="fault-drop is for qom-set"):
        Device(folder, options="fault-drop=1")


def test_drop(faulty):
    knob(faulty.dev, "drop", 2)
    for _ in range(2):
        faulty.queue.submit(entry(hw.IO_NOP))
    assert faulty.queue.peek() is None
    assert knob(faulty.dev, "drop") == 0
    assert nop(faulty.queue).status == hw.ST_SUCCESS


def test_admin_pair_is_spared_unless_named(faulty):
    dev = faulty.dev
    knob(dev, "drop", 1)
    dev.identity()
    assert knob(dev, "drop") == 1
    knob(dev, "queues", 1)
    assert nop(faulty.queue).status == hw.ST_SUCCESS
    dev.queues[0].submit(entry(hw.ADM_NOP))
    assert dev.queues[0].peek() is None
    assert knob(dev, "drop") == 0


def test_duplicate(faulty):
    knob(faulty.dev, "duplicate", 1)
    cid = faulty.queue.submit(entry(hw.IO_NOP))
    assert [faulty.queue.wait().cid for _ in range(2)] == [cid, cid]
    assert faulty.queue.peek() is None


def test_delay(faulty):
    """In time, it comes; what was faster overtakes it."""
    knob(faulty.dev, "delay-ms", TIMEOUT_MS)
    knob(faulty.dev, "delay", 1)
    late = faulty.queue.submit(entry(hw.IO_NOP))
    assert faulty.queue.peek() is None
    assert nop(faulty.queue).cid == late + 1
    faulty.dev.qemu.clock_step(TIMEOUT_MS - 1)
    assert faulty.queue.peek() is None
    faulty.dev.qemu.clock_step(1)
    assert faulty.queue.wait().cid == late


@pytest.mark.parametrize("forget", ["queue", "controller"])
def test_delayed_completion_does_not_outlive_its_queue(faulty, forget):
    dev = faulty.dev
    knob(dev, "delay-ms", TIMEOUT_MS)
    knob(dev, "delay", 1)
    faulty.queue.submit(entry(hw.IO_NOP))
    if forget == "queue":
        dev.admin(delete_qp(1))
    else:
        dev.disable()
        dev.enable()
    queue = dev.make_queue()
    dev.qemu.clock_step(2 * TIMEOUT_MS)
    assert queue.peek() is None
    assert nop(queue).status == hw.ST_SUCCESS


def test_status(faulty):
    knob(faulty.dev, "status", 1)
    assert nop(faulty.queue).status == 0x7fff
    assert nop(faulty.queue).status == hw.ST_SUCCESS


def test_phase(faulty):
    """The entry is there, but to the host it is an old one."""
    knob(faulty.dev, "phase", 1)
    faulty.queue.submit(entry(hw.IO_NOP))
    assert faulty.queue.peek() is None
    status = faulty.dev.qemu.read(faulty.queue.cq + 14, 2)
    assert struct.unpack("<H", status)[0] & hw.CQE_PHASE == 0
    faulty.queue.head += 1
    assert nop(faulty.queue).status == hw.ST_SUCCESS


def test_id(faulty):
    knob(faulty.dev, "id", 1)
    cid = faulty.queue.submit(entry(hw.IO_NOP))
    assert faulty.queue.wait().cid == cid ^ 0xffff


def test_stall(faulty):
    dev = faulty.dev
    other = dev.make_queue(2)
    knob(dev, "stall", 1 << 1)
    cid = faulty.queue.submit(entry(hw.IO_NOP))
    assert nop(other).status == hw.ST_SUCCESS
    assert faulty.queue.peek() is None
    knob(dev, "stall", 0)
    assert faulty.queue.wait().cid == cid


def vectors_raised(dev, address, number):
    return [struct.unpack("<I", dev.qemu.read(address + 4 * v, 4))[0] for v in range(number)]


def aim_vectors(dev, number):
    """Points MSI-X vectors at memory: a vector that is raised writes its number + 1."""
    address = dev.place(bytes(4 * number))
    table = 0xe0040000
    for vector in range(number):
        dev.qemu.store(table + 16 * vector, 8, address + 4 * vector)
        dev.qemu.store(table + 16 * vector + 8, 4, vector + 1)
        dev.qemu.store(table + 16 * vector + 12, 4, 0)
    at = dev.pci.capability(0x11) + 2
    dev.pci.set(at, 0x8000, 2)
    return address


def test_lost_interrupt(faulty):
    dev = faulty.dev
    address = aim_vectors(dev, 3)
    queue = dev.make_queue(2, vector=2, irq=True)
    knob(dev, "lost-irq", 1)
    assert nop(queue).status == hw.ST_SUCCESS
    assert vectors_raised(dev, address, 3)[2] == 0
    assert nop(queue).status == hw.ST_SUCCESS
    assert vectors_raised(dev, address, 3)[2] == 3


def test_flood(faulty):
    dev = faulty.dev
    address = aim_vectors(dev, 17)
    knob(dev, "flood", 5)
    assert vectors_raised(dev, address, 17) == [v + 1 for v in range(17)]
    dev.qemu.clock_step(milliseconds=1)
    assert knob(dev, "flood") == 0
    assert nop(faulty.queue).status == hw.ST_SUCCESS


RUNGS = ["deadline", "abort", "queue", "controller", "function"]


def climb(faulty, rung, timeout_ms):
    """Stops a hung job from a rung of the ladder; whether it has ended."""
    dev = faulty.dev
    if rung == "deadline":
        dev.qemu.clock_step(timeout_ms)
    elif rung == "abort":
        dev.queues[0].run(abort(1, faulty.cid))
    elif rung == "queue":
        dev.queues[0].submit(delete_qp(1))
    elif rung == "controller":
        dev.set_reg(hw.REG_CTRL, 0)
    else:
        function_level_reset(dev)
    if rung in RUNGS[:3]:
        return settles(lambda: faulty.queue.peek() is not None)
    dev.set_reg(hw.REG_AQA, 0x10001)
    dev.set_reg(hw.REG_CTRL, hw.CTRL_EN)
    return settles(lambda: dev.reg(hw.REG_STATUS) & hw.STATUS_RDY)


def settles(condition):
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return False


@pytest.mark.parametrize("until", range(6))
def test_hang(faulty, until):
    """Nothing below the rung that was chosen ends the job, and that one does."""
    dev = faulty.dev
    knob(dev, "hang-until", until)
    knob(dev, "hang", 1)
    faulty.cid = faulty.queue.submit(a_job(faulty, TIMEOUT_MS))
    time.sleep(0.05)
    assert faulty.queue.peek() is None
    for number, rung in enumerate(RUNGS[:until + 1]):
        assert climb(faulty, rung, TIMEOUT_MS) == (number == until), rung
    if until < 3:
        status = faulty.queue.wait(acknowledge=False).status
        assert status == (hw.ST_TIMEOUT if until < 3 else hw.ST_ABORTED)
    if until == 5:
        assert dev.qemu.close() == 0
        return
    if until >= 3:
        dev.disable()
        works(dev, faulty.image, faulty.model, 5)
    elif until < 2:
        assert faulty.queue.head and faulty.queue.run(a_job(faulty)).status == hw.ST_SUCCESS


def test_dma(faulty):
    knob(faulty.dev, "dma", 1)
    done = faulty.queue.run(a_job(faulty))
    assert done.status == hw.ST_DMA_ERROR
    assert faulty.queue.run(a_job(faulty)).status == hw.ST_SUCCESS


def test_dma_of_queue_entries(faulty):
    dev = faulty.dev
    knob(dev, "dma-queue", 1)
    faulty.queue.submit(entry(hw.IO_NOP))
    assert dev.fatal() == hw.FATAL_QUEUE_DMA
    controller_reset(dev)
    works(dev, faulty.image, faulty.model, 1)


def test_memory_error(faulty):
    dev = faulty.dev
    before = dev.counters()
    knob(dev, "memory", 1)
    dev.qemu.write(faulty.target, b"\xaa" * 64)
    assert faulty.queue.run(a_job(faulty)).status == hw.ST_MEMORY_ERROR
    assert dev.qemu.read(faulty.target, 64) == b"\xaa" * 64
    after = dev.counters()
    assert after[hw.CTR_JOBS_FAILED] == before[hw.CTR_JOBS_FAILED] + 1
    assert after[hw.CTR_JOBS] == before[hw.CTR_JOBS]
    assert faulty.queue.run(a_job(faulty)).status == hw.ST_SUCCESS


@pytest.mark.parametrize("kind, register, bit", [
    (1, CORRECTABLE_STATUS, 0x1), (2, UNCORRECTABLE_STATUS, 0x4000),
    (3, UNCORRECTABLE_STATUS, 0x40000)])
def test_aer(up, kind, register, bit):
    aer = up.pci.extended_capability(CAP_AER)
    knob(up, "aer", kind)
    assert up.pci.get(aer + register) == bit
    up.pci.set(aer + register, bit)
    assert up.pci.get(aer + register) == 0 == knob(up, "aer")
    assert up.queues[0].run(entry(hw.ADM_NOP)).status == hw.ST_SUCCESS


def test_all_ones(faulty):
    dev = faulty.dev
    knob(dev, "all-ones", 1)
    assert dev.pci.get(0) == 0xffffffff and dev.pci.get(0, 2) == 0xffff
    assert dev.reg(hw.REG_ID) == dev.reg(hw.REG_STATUS) == 0xffffffff
    assert dev.reg(hw.REG_CAP, 8) == 0xffffffffffffffff
    faulty.queue.submit(entry(hw.IO_NOP))
    dev.set_reg(hw.REG_CTRL, 0)
    knob(dev, "all-ones", 0)
    assert dev.reg(hw.REG_STATUS) == hw.STATUS_RDY, "the write to CTRL was lost"
    assert faulty.queue.peek() is None


@pytest.mark.parametrize("with_job", [False, True])
def test_remove(faulty, with_job):
    dev = faulty.dev
    if with_job:
        knob(dev, "hang-until", 5)
        knob(dev, "hang", 1)
        faulty.queue.submit(a_job(faulty))
    knob(dev, "remove", 1)
    assert dev.qemu.wait_event("DEVICE_DELETED")["device"] == "mx0"
    assert dev.pci.get(0) == 0xffffffff
    status = dev.port.get(dev.port.capability(CAP_EXPRESS) + SLOT_STATUS, 2)
    assert not status & PRESENT and status & 0x108 == 8, "presence has changed"
    assert dev.qemu.close() == 0


def health(dev):
    page = dev.alloc(PAGE)
    dev.admin(identify(hw.IDENTIFY_HEALTH, page))
    return struct.unpack(f"<{hw.HEALTH_NR}Q", dev.qemu.read(page + 64, 8 * hw.HEALTH_NR))


def test_stuck(faulty):
    dev = faulty.dev
    before, free = health(dev), dev.free_bytes()
    spares = before[hw.HEALTH_SPARES_LEFT]
    knob(dev, "stuck", spares + 2)
    after = health(dev)
    assert after[hw.HEALTH_RETIRED] == before[hw.HEALTH_RETIRED] + spares + 2
    assert dev.free_bytes() == free - 2 * hw.CHUNK
    assert faulty.queue.run(a_job(faulty)).status == hw.ST_SUCCESS, "resident models are safe"
    with pytest.raises(QemuError, match="fewer than 4294967295 chunks are free"):
        knob(dev, "stuck", 0xffffffff)
    assert dev.free_bytes() == 0
    other = model.make(variant=1)
    begun = dev.queues[0].run(prog_begin(1, other.content, len(other.model), len(other.params)))
    assert dev.write_section(1, begun.result, 0, other.model).status == hw.ST_WORN_OUT


@pytest.mark.parametrize("step", [1, 2, 3])
def test_power_cut_while_programming(folder, step):
    """At whichever write: the chip comes back with what it had."""
    with Device(folder, options=f"store={folder / 'cells'}") as dev:
        ready = Ready(dev, model.make(width=WIDTH))
        free, other = dev.free_bytes(), model.make(variant=1)
        begun = dev.queues[0].run(prog_begin(1, other.content, len(other.model),
                                             len(other.params)))
        at = (len(other.model) + PAGE - 1) // PAGE * PAGE
        assert dev.write_section(1, begun.result, 0, other.model).status == hw.ST_SUCCESS
        assert dev.write_section(1, begun.result, at, other.params).status == hw.ST_SUCCESS
        knob(dev, "power-cut", step)
        dev.queues[0].submit(prog_end(hw.ADM_PROG_COMMIT, 1, begun.result))
        dev.wait_status(hw.STATUS_FATAL, hw.STATUS_FATAL)
        assert dev.fatal() == hw.FATAL_POWER
        function_level_reset(dev)
        dev.enable()
        assert dev.models() == {ready.model: ready.image.content}
        assert dev.free_bytes() == free
        dev.admin(ctx_create(1))
        dev.program(1, other)
        assert len(dev.models()) == 2


def test_power_cut_without_a_store(faulty):
    """Cells of memory are non-volatile as long as the device is there."""
    dev = faulty.dev
    knob(dev, "power-cut", 1)
    other = model.make(variant=1)
    begun = dev.queues[0].run(prog_begin(1, other.content, len(other.model), len(other.params)))
    at = (len(other.model) + PAGE - 1) // PAGE * PAGE
    dev.write_section(1, begun.result, 0, other.model)
    dev.write_section(1, begun.result, at, other.params)
    dev.queues[0].submit(prog_end(hw.ADM_PROG_COMMIT, 1, begun.result))
    dev.wait_status(hw.STATUS_FATAL, hw.STATUS_FATAL)
    controller_reset(dev)
    works(dev, faulty.image, faulty.model, 2)



def progress(dev, qid, cid):
    sqe = entry(hw.ADM_PROGRESS, struct.pack("<HH", qid, cid))
    return dev.admin(sqe)


def test_progress(faulty):
    """It tells a job that computes from one that hangs, and knows who is waiting for whom."""
    dev = faulty.dev
    size = 3000 * model.TOKENS * 4
    source = dev.make_buffer(1, 3, size)
    for at in range(0, size, 6400):
        dev.qemu.write(source + at, struct.pack("<i", 1) * 1600)
    dev.make_buffer(1, 4, 3000 * WIDTH * 4)
    long = job(1, faulty.model, 3000, model.TOKENS, 3, 4, 3000 * WIDTH * 4, model.ENTRY_SENTENCE)
    first, second = faulty.queue.put(long), faulty.queue.put(long)
    faulty.queue.ring()
    for cid in (first, second):
        before = progress(dev, 1, cid)
        assert settles(lambda: progress(dev, 1, cid) != before)
    assert progress(dev, 1, 999) == 2 ** 64 - 1
    assert dev.queues[0].run(entry(hw.ADM_PROGRESS, struct.pack("<HH", 7, 1))).status == \
        hw.ST_BAD_QUEUE
    dev.admin(delete_qp(1))
    queue = dev.make_queue()
    knob(dev, "hang-until", 1)
    knob(dev, "hang", 1)
    stuck, behind = queue.submit(a_job(faulty)), queue.submit(a_job(faulty))
    time.sleep(0.05)
    before = progress(dev, 1, stuck), progress(dev, 1, behind)
    time.sleep(0.05)
    assert (progress(dev, 1, stuck), progress(dev, 1, behind)) == before
    dev.admin(abort(1, stuck))
    assert [queue.wait().status for _ in range(2)] == [hw.ST_ABORTED, hw.ST_SUCCESS]
    assert progress(dev, 1, behind) == 2 ** 64 - 1
