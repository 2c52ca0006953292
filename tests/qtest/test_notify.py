# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shadow doorbells and interrupt coalescing: who tells whom, and who need not."""

import struct

import pytest

import hw
from device import PAGE, Device, Queue, create_qp, entry, job
from test_queues import NOP, Msix

SQ_TAIL, CQ_HEAD, CQ_EVENT, SQ_EVENT = 0, 4, 8, 64


def shadow(qid, addr):
    return entry(hw.ADM_SHADOW, struct.pack("<H6xQ", qid, addr))


def coalesce(qid, count, time_us):
    return entry(hw.ADM_COALESCE, struct.pack("<HHI", qid, count, time_us))


class Shadowed(Queue):
    """A queue whose host rings only when it must, and asks for interrupts as it likes."""

    def __init__(self, dev, qid=1, entries=8, vector=3):
        super().__init__(dev, qid, entries, entries)
        self.page = dev.alloc(PAGE)
        dev.qemu.write(self.page, bytes(128))
        self.set(CQ_EVENT, hw.EVENT_NONE)
        dev.admin(create_qp(qid, self.sq, self.cq, entries, entries, vector, hw.QP_IRQ))
        dev.admin(shadow(qid, self.page))
        self.rung, self.rings = 0, 0

    def set(self, offset, value):
        self.dev.qemu.write(self.page + offset, struct.pack("<I", value))

    def get(self, offset):
        return struct.unpack("<I", self.dev.qemu.read(self.page + offset, 4))[0]

    def ring(self):
        old, self.rung = self.rung, self.tail
        self.set(SQ_TAIL, self.tail)
        event = self.get(SQ_EVENT)
        if (event - old) % self.sq_entries < (self.tail - old) % self.sq_entries:
            self.rings += 1
            super().ring()

    def acknowledge(self):
        self.set(CQ_HEAD, self.head)

    def take(self):
        done = self.wait(acknowledge=False)
        self.acknowledge()
        return done


def test_commands_go_round_without_head_doorbells(up):
    queue = Shadowed(up)
    for _ in range(40):
        cid = queue.submit(NOP)
        assert queue.take().cid == cid
        assert queue.get(SQ_EVENT) == queue.tail, "drained: the next entry is to be rung for"
    assert queue.rings == 40 and up.fatal() == 0


def test_what_is_put_while_the_chip_is_at_work_is_found(up):
    """The doorbell names one entry, the memory three: all of them are fetched."""
    queue = Shadowed(up)
    cids = [queue.put(NOP) for _ in range(3)]
    queue.set(SQ_TAIL, 3)
    up.doorbell(1, hw.DB_SQ_TAIL, 1)
    assert [queue.take().cid for _ in cids] == cids
    assert queue.get(SQ_EVENT) == 3


def test_rings_again_after_a_large_job(ready):
    """One that uses the turn up: the bottom half says that the queue is drained."""
    dev, number = ready.dev, 40000
    size = 4 * number * ready.image.width
    queue = Shadowed(dev, 2)
    data, _ = dev.make_buffer(1, 1, 4 * number), dev.make_buffer(1, 2, size)
    dev.qemu.write(data, struct.pack("<I", 3) * number)
    for _ in range(2):
        queue.submit(job(1, ready.model, number, 1, 1, 2, size))
        assert queue.take().status == hw.ST_SUCCESS
    assert queue.rings == 2


def test_full_completion_queue(up):
    queue = Shadowed(up, entries=4)
    for _ in range(3):
        queue.submit(NOP)
    assert up.fatal() == 0
    queue.take()
    queue.submit(NOP)
    assert up.fatal() == 0, "there was room again, by memory alone"
    queue.submit(NOP)
    assert up.fatal() == hw.FATAL_CQ_OVERFLOW


@pytest.mark.parametrize("offset,value", [(SQ_TAIL, 8), (SQ_TAIL, 0xffffffff)])
def test_bad_positions_are_fatal(up, offset, value):
    queue = Shadowed(up)
    queue.put(NOP)
    queue.set(offset, value)
    up.doorbell(1, hw.DB_SQ_TAIL, 1)
    assert up.fatal() == hw.FATAL_BAD_DOORBELL


def test_bad_head_is_fatal(up):
    queue = Shadowed(up, entries=4)
    for _ in range(3):
        queue.submit(NOP)
    queue.set(CQ_HEAD, 4)
    queue.submit(NOP)
    assert up.fatal() == hw.FATAL_BAD_DOORBELL


def test_shadow_outside_memory_is_fatal(up):
    queue = up.make_queue(1)
    up.admin(shadow(1, 1 << 40))
    queue.submit(NOP)
    assert up.fatal() == hw.FATAL_QUEUE_DMA


def test_interrupts_only_when_asked_for(up):
    msix = Msix(up, 17)
    queue = Shadowed(up)
    queue.submit(NOP)
    assert not msix.take(3), "event NONE"
    queue.take()
    queue.set(CQ_EVENT, 1)
    queue.submit(NOP)
    assert msix.take(3)
    queue.submit(NOP)
    assert not msix.take(3), "asked for entry 1, not for 2"
    queue.take(), queue.take()
    queue.set(CQ_EVENT, 5)
    for _ in range(2):
        queue.submit(NOP)
    assert not msix.take(3)
    for _ in range(2):
        queue.put(NOP)
    queue.ring()
    assert msix.take(3), "entry 5 was among them"
    for _ in range(4):
        queue.take()
    queue.set(CQ_EVENT, 8)
    queue.submit(NOP)
    assert not msix.take(3), "an index that is none asks for nothing"


def test_refused(up):
    up.make_queue(1)
    page = up.alloc(PAGE)
    run = up.queues[0].run
    for qid in (0, 2, 17):
        assert run(shadow(qid, page))[3:] == (8, hw.ST_BAD_QUEUE)
        assert run(coalesce(qid, 2, 5))[3:] == (8, hw.ST_BAD_QUEUE)
    assert run(shadow(1, page + 8))[3:] == (16, hw.ST_BAD_FIELD)
    assert run(coalesce(1, 2, hw.COALESCE_MAX_US + 1))[3:] == (12, hw.ST_BAD_FIELD)
    up.admin(shadow(1, page))
    assert run(shadow(1, page))[3:] == (8, hw.ST_BUSY), "once"
    used = up.make_queue(2)
    used.run(NOP)
    assert run(shadow(2, page))[3:] == (8, hw.ST_BUSY), "before the first command"


def test_coalescing(up):
    msix = Msix(up, 17)
    queue = up.make_queue(1, vector=4, irq=True)
    up.admin(coalesce(1, 3, 50))
    queue.run(NOP)
    queue.run(NOP)
    assert not msix.take(4)
    queue.run(NOP)
    assert msix.take(4), "three"
    queue.run(NOP)
    up.qemu.clock_step(nanoseconds=49000)
    assert not msix.take(4)
    up.qemu.clock_step(nanoseconds=1001)
    assert msix.take(4), "the time is over"
    up.admin(coalesce(1, 0, 0))
    queue.run(NOP)
    assert msix.take(4), "each again"


def test_held_interrupt_of_completions_that_were_taken(up):
    msix = Msix(up, 17)
    queue = Shadowed(up)
    up.admin(coalesce(1, 3, 50))
    queue.set(CQ_EVENT, 0)
    queue.submit(NOP)
    queue.take()
    up.qemu.clock_step(nanoseconds=60000)
    assert not msix.take(3)
    queue.set(CQ_EVENT, 1)
    queue.submit(NOP)
    up.qemu.clock_step(nanoseconds=60000)
    assert msix.take(3)


def test_reset_forgets(up):
    msix = Msix(up, 17)
    queue = Shadowed(up)
    up.admin(coalesce(1, 3, 50))
    queue.set(CQ_EVENT, 0)
    queue.submit(NOP)
    up.disable()
    up.enable()
    up.qemu.clock_step(nanoseconds=60000)
    assert not msix.take(3), "of a queue that is gone"
    assert up.make_queue(1).run(NOP).status == hw.ST_SUCCESS


def test_chips_without(folder):
    with Device(folder, "shadow=off,coalescing=off,queues=2") as dev:
        assert not dev.reg(hw.REG_FEATURES, 8) & (hw.FEATURE_SHADOW | hw.FEATURE_COALESCE)
        assert dev.reg(hw.REG_CAP, 8) >> hw.CAP_NQP_SHIFT & hw.CAP_NQP_MASK == 2
        dev.enable()
        dev.make_queue(2)
        for sqe in (shadow(2, dev.alloc(PAGE)), coalesce(2, 2, 5)):
            assert dev.queues[0].run(sqe)[3:] == (0, hw.ST_BAD_OPCODE)
        queue = Queue(dev, 3, 16, 16)
        assert dev.queues[0].run(create_qp(3, queue.sq, queue.cq)).status == hw.ST_BAD_QUEUE
