# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queue pairs: wrap and phase, doorbells, full completion queues, interrupts, faults."""

import struct

import pytest

import hw
from device import (BARS, IOAPIC, PAGE, RAM_BYTES, RAM_START, Queue, changed, create_qp, delete_qp, entry,
                    job)

NOP = entry(hw.IO_NOP)
CAP_MSIX = 0x11


@pytest.mark.parametrize("sq_entries,cq_entries", [(2, 2), (2, 16), (5, 3), (16, 16)])
def test_wrap_and_phase(up, sq_entries, cq_entries):
    queue = up.make_queue(1, sq_entries, cq_entries)
    for turn in range(4 * max(sq_entries, cq_entries)):
        done = queue.run(NOP)
        assert done.status == hw.ST_SUCCESS
        assert done.sq_head == (turn + 1) % sq_entries
    assert up.fatal() == 0


def test_a_batch_completes_in_order(up):
    queue = up.make_queue(1, 16, 16)
    for _ in range(5):
        cids = [queue.put(NOP) for _ in range(11)]
        queue.ring()
        assert [queue.wait().cid for _ in cids] == cids


def test_largest_queues(up):
    queue = up.make_queue(16, hw.QUEUE_MAX, hw.QUEUE_MAX)
    up.qemu.write(queue.sq, b"".join(changed(NOP, 2, "H", cid) for cid in range(4095)))
    queue.tail = 4095
    queue.ring()
    for cid in range(4095):
        assert queue.wait(acknowledge=False).cid == cid
    assert up.fatal() == 0


def test_all_queues_at_once(up):
    queues = [up.make_queue(qid) for qid in range(1, hw.IO_QUEUES + 1)]
    for queue in queues:
        for _ in range(10):
            queue.put(NOP)
    for queue in reversed(queues):
        queue.ring()
    for queue in queues:
        assert [queue.wait().cid for _ in range(10)] == list(range(1, 11))


def test_queue_can_be_deleted_and_made_again(up):
    for size in (4, 8):
        queue = up.make_queue(3, size, size)
        assert queue.run(NOP).status == hw.ST_SUCCESS
        up.admin(delete_qp(3))
    assert up.queues[0].run(delete_qp(3)).status == hw.ST_BAD_QUEUE


@pytest.mark.parametrize("qid,reg,value", [
    (0, hw.DB_SQ_TAIL, 32), (0, hw.DB_SQ_TAIL, 0xffffffff), (0, hw.DB_CQ_HEAD, 32),
    (0, hw.DB_CQ_HEAD, 2), (1, hw.DB_SQ_TAIL, 16), (1, hw.DB_CQ_HEAD, 1),
    (2, hw.DB_SQ_TAIL, 0), (16, hw.DB_CQ_HEAD, 0)])
def test_bad_doorbells_are_fatal(up, qid, reg, value):
    """Outside the queue, beyond what was posted, of no queue."""
    queue = up.make_queue(1)
    up.doorbell(qid, reg, value)
    assert up.fatal() == hw.FATAL_BAD_DOORBELL
    queue.submit(NOP)
    assert queue.peek() is None, "stopped until reset"
    up.disable()
    assert up.enable().run(entry(hw.ADM_NOP)).status == hw.ST_SUCCESS


def test_places_that_are_no_doorbells(up):
    for offset, size in ((8, 4), (0xffc, 4), (0, 8), (17 * hw.DB_STRIDE, 4), (0x1fffc, 4)):
        up.qemu.store(BARS[hw.BAR_DOORBELLS] + offset, size, 0xffffffff)
    assert up.fatal() == 0


def test_full_completion_queue_is_fatal(up):
    queue = up.make_queue(1, 16, 4)
    for _ in range(3):
        queue.put(NOP)
    queue.ring()
    assert up.fatal() == 0, "as many as there is room for"
    queue.submit(NOP)
    assert up.fatal() == hw.FATAL_CQ_OVERFLOW
    assert [queue.wait(acknowledge=False).cid for _ in range(3)] == [1, 2, 3]
    assert queue.peek() is None, "nothing was overwritten"


@pytest.mark.parametrize("which", ["sq", "cq"])
@pytest.mark.parametrize("address", [1 << 40, RAM_START + RAM_BYTES, BARS[hw.BAR_REGS],
                                     IOAPIC, 0xfffffffffffff000])
def test_queue_outside_memory_is_fatal(up, which, address):
    queue = Queue(up, 1, 16, 16)
    setattr(queue, which, address)
    up.admin(create_qp(1, queue.sq, queue.cq))
    up.doorbell(1, hw.DB_SQ_TAIL, 1)
    assert up.fatal() == hw.FATAL_QUEUE_DMA
    up.disable()
    up.enable()


def test_no_dma_without_bus_mastering(up):
    queue = up.make_queue(1)
    up.pci.set(4, 2, 2)
    queue.submit(NOP)
    assert up.fatal() == hw.FATAL_QUEUE_DMA
    up.pci.set(4, 6, 2)
    assert queue.peek() is None


@pytest.mark.parametrize("opcode", [0x01, 0x02, 0x7f, 0x81, 0xff])
def test_unknown_io_opcodes(up, opcode):
    done = up.make_queue(1).run(entry(opcode))
    assert (done.status, done.field) == (hw.ST_BAD_OPCODE, 0)


def test_io_nop_has_only_reserved_fields(up):
    queue = up.make_queue(1)
    assert queue.run(changed(NOP, 1, "B", 1))[3:] == (1, hw.ST_BAD_FIELD)
    assert queue.run(changed(NOP, 4, "I", 1))[3:] == (4, hw.ST_BAD_FIELD)
    assert queue.run(changed(NOP, 63, "B", 1))[3:] == (8, hw.ST_BAD_FIELD)


class Msix:
    """The MSI-X table, each vector a word in guest memory."""

    def __init__(self, dev, vectors):
        self.dev, self.base = dev, dev.alloc(4 * vectors)
        for vector in range(vectors):
            dev.qemu.write(BARS[hw.BAR_MSIX] + 16 * vector,
                           struct.pack("<QII", self.base + 4 * vector, 0xabc0 + vector, 0))
        self.capability = dev.pci.capability(CAP_MSIX)
        self.enable()

    def enable(self, value=0x8000):
        self.dev.pci.set(self.capability + 2, value, 2)

    def mask(self, vector, masked):
        self.dev.qemu.store(BARS[hw.BAR_MSIX] + 16 * vector + 12, 4, int(masked))

    def pending(self, vector):
        offset = self.dev.pci.get(self.capability + 8) & ~7
        return self.dev.qemu.load(BARS[hw.BAR_MSIX] + offset, 8) >> vector & 1

    def take(self, vector):
        """Whether the vector was raised since the last look."""
        word, = struct.unpack("<I", self.dev.qemu.read(self.base + 4 * vector, 4))
        self.dev.qemu.write(self.base + 4 * vector, bytes(4))
        assert word in (0, 0xabc0 + vector)
        return bool(word)


def test_msix(up):
    msix = Msix(up, 17)
    up.admin(entry(hw.ADM_NOP))
    assert msix.take(0), "the admin queue has vector 0"
    loud, quiet = up.make_queue(1, vector=5, irq=True), up.make_queue(2, vector=6)
    msix.take(0)
    assert not msix.take(5)
    loud.run(NOP)
    assert msix.take(5) and not msix.take(0)
    quiet.run(NOP)
    assert not msix.take(6), "without MXACCEL_QP_IRQ"
    msix.mask(5, True)
    loud.run(NOP)
    assert not msix.take(5) and msix.pending(5)
    msix.mask(5, False)
    assert msix.take(5) and not msix.pending(5)
    msix.enable(0)
    loud.run(NOP)
    assert not msix.take(5)


def test_queues_may_share_a_vector(up):
    msix = Msix(up, 17)
    queues = [up.make_queue(qid, vector=16, irq=True) for qid in (1, 2)]
    for queue in queues:
        queue.run(NOP)
        assert msix.take(16)


def test_fatal_errors_wake_the_driver(up):
    msix = Msix(up, 17)
    up.doorbell(0, hw.DB_SQ_TAIL, 0xffff)
    assert up.fatal() == hw.FATAL_BAD_DOORBELL
    assert msix.take(0)


def test_job_raises_its_vector(ready):
    msix = Msix(ready.dev, 17)
    queue = ready.dev.make_queue(2, vector=9, irq=True)
    data, size = ready.dev.make_buffer(1, 1, PAGE), 4 * ready.image.width
    ready.dev.qemu.write(data, struct.pack("<I", 3))
    assert queue.run(job(1, ready.model, 1, 1, 1, 1, size)).status == hw.ST_SUCCESS
    assert msix.take(9)
