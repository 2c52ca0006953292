# SPDX-License-Identifier: LGPL-2.1-or-later
"""timing=on: a job's answer comes when the guest's clock, which stands still here until a
test moves it, has reached the job's modelled end; to the nanosecond."""

import struct

import pytest

import hw
import model
from device import Device, Ready, abort, changed, ctx_destroy, delete_qp, job
from test_jobs import Bench, expect_embedding, floats


class Timed(Bench):
    """A bench that knows how long its jobs take."""

    def __init__(self, ready):
        super().__init__(ready)
        self.clock_khz = self.dev.chip_value(hw.CHIP_CLOCK_KHZ)
        self.dev.qemu.write(self.input, struct.pack("<64i", *([3] * 64)))
        self.probe = self.dev.make_queue(7)
        self.dev.qemu.write(self.dev.make_buffer(1, 7, 4, hw.BUF_READ), struct.pack("<i", 9999))

    def sqe(self, tokens, **fields):
        return self.job(1, tokens, model.ENTRY_TOKENS, **fields)

    def duration(self, tokens):
        """In ns: what the counters of such a job say, which takes no time to find out."""
        before = self.dev.latch()
        cid = self.queue.submit(self.sqe(tokens))
        self.wait_for_worker()
        after = self.dev.latch()
        assert self.dev.admin(abort(1, cid)) == 1
        assert self.queue.wait().status == hw.ST_ABORTED
        cycles = sum(after[i] - before[i] for i in (hw.CTR_CYCLES, hw.CTR_LINK_CYCLES))
        return -(-cycles * 1000000 // self.clock_khz)

    def wait_for_worker(self):
        """Until all jobs of context 1 so far have left the worker: what comes after them in
        their context is refused by the chip, and answered at once."""
        self.probe.submit(job(1, self.model, 1, 1, 7, 2, self.out_bytes(1), model.ENTRY_TOKENS))
        assert self.probe.wait().status == hw.ST_INPUT_TOKEN

    def step(self, nanoseconds):
        self.dev.qemu.clock_step(nanoseconds=nanoseconds)

    def ends_after(self, nanoseconds, cid):
        """The next answer comes then, and not a nanosecond before."""
        self.step(nanoseconds - 1)
        assert self.queue.peek() is None
        self.step(1)
        done = self.queue.peek()
        assert done and done.cid == cid and done.status == hw.ST_SUCCESS, done
        self.queue.wait()


@pytest.fixture
def timed(folder):
    with Device(folder, options="timing=on") as dev:
        yield Timed(Ready(dev, model.make()))


def test_a_job_takes_its_time(timed):
    short, long = timed.duration(4), timed.duration(60)
    assert 0 < short < long
    for tokens, time in ((4, short), (60, long)):
        timed.dev.qemu.write(timed.output, b"\xee" * 64)
        cid = timed.queue.submit(timed.sqe(tokens))
        timed.wait_for_worker()
        assert timed.queue.peek() is None
        assert timed.dev.qemu.read(timed.output, 64) == b"\xee" * 64, "nothing is written before"
        timed.ends_after(time, cid)
        assert timed.dev.qemu.read(timed.output, 64) != b"\xee" * 64


def test_results_are_the_same(timed):
    cid = timed.queue.submit(timed.job(1, 3, model.ENTRY_EMBED))
    timed.wait_for_worker()
    timed.dev.qemu.clock_step(1000)
    assert timed.queue.wait().cid == cid
    data = timed.dev.qemu.read(timed.output, timed.out_bytes(3))
    assert floats(data) == expect_embedding(timed.image, [[3, 3, 3]])


def test_jobs_take_turns_on_the_chip(timed):
    """A job starts when the one before it ends, or when it is submitted if that is later."""
    time = timed.duration(32)
    first, second = (timed.queue.submit(timed.sqe(32)) for _ in range(2))
    timed.step(time // 2)
    third = timed.queue.submit(timed.sqe(32))
    timed.wait_for_worker()
    timed.ends_after(time - time // 2, first)
    timed.ends_after(time, second)
    timed.ends_after(time, third)
    timed.step(12345)
    fourth = timed.queue.submit(timed.sqe(32))
    timed.wait_for_worker()
    timed.ends_after(time, fourth)


def test_a_late_host_does_not_shift_what_follows(timed):
    """The clock passes two ends at once: the third job still starts at the second's end."""
    time = timed.duration(32)
    cids = [timed.queue.submit(timed.sqe(32)) for _ in range(3)]
    timed.wait_for_worker()
    timed.step(2 * time + 10)
    assert [timed.queue.wait().cid for _ in range(2)] == cids[:2]
    timed.ends_after(time - 10, cids[2])


def test_abort(timed):
    """An aborted job is answered at once, writes nothing, and the chip is free from then on."""
    time, start = timed.duration(32), timed.dev.latch()
    first, second, third = (timed.queue.submit(timed.sqe(32)) for _ in range(3))
    timed.wait_for_worker()
    timed.dev.qemu.write(timed.output, b"\xee" * 64)
    timed.step(time // 3)
    for cid in (second, first):
        assert timed.dev.admin(abort(1, cid)) == 1
        done = timed.queue.wait()
        assert (done.cid, done.status, done.result) == (cid, hw.ST_ABORTED, 0)
    assert timed.dev.qemu.read(timed.output, 64) == b"\xee" * 64
    assert timed.dev.admin(abort(1, first)) == 0, "gone"
    timed.ends_after(time, third)
    end = timed.dev.latch()
    # The chip had done the aborted ones, too, and the one that waited for the worker failed.
    assert end[hw.CTR_JOBS] - start[hw.CTR_JOBS] == 3
    assert end[hw.CTR_JOBS_FAILED] - start[hw.CTR_JOBS_FAILED] == 3


def test_deadline(timed):
    """One that passes before the modelled end counts, one after it does not."""
    times = {tokens: timed.duration(tokens) for tokens in (1, 64)}
    most = 1000000 // times[64] + 2
    queue = timed.dev.make_queue(2, 4096, 4096)
    cids = [queue.put(timed.sqe(64, timeout_ms=1)) for _ in range(most)]
    queue.ring()
    timed.wait_for_worker()
    timed.dev.qemu.clock_step(1)
    done = [queue.wait() for _ in cids]
    assert [d.cid for d in done] == cids
    good = 1000000 // times[64]
    assert [d.status for d in done] == \
        [hw.ST_SUCCESS] * good + [hw.ST_TIMEOUT] * (most - good)


def test_a_failed_job_does_not_wait(timed):
    first = timed.queue.submit(timed.sqe(32))
    bad = timed.queue.submit(changed(timed.sqe(1), 24, "I", 7))
    done = timed.queue.wait()
    assert (done.status, done.cid) == (hw.ST_INPUT_TOKEN, bad)
    timed.dev.qemu.clock_step(1000)
    assert timed.queue.wait().cid == first


def test_end_of_a_queue_and_of_a_context(timed):
    time = timed.duration(32)
    timed.queue.submit(timed.sqe(32))
    timed.wait_for_worker()
    timed.dev.admin(delete_qp(1))
    assert timed.queue.wait(acknowledge=False).status == hw.ST_ABORTED
    timed.queue = timed.dev.make_queue(1)
    timed.queue.submit(timed.sqe(32))
    timed.wait_for_worker()
    timed.dev.admin(ctx_destroy(1))
    assert timed.queue.wait().status == hw.ST_ABORTED
    timed.dev.qemu.clock_step(nanoseconds=4 * time)
    assert timed.queue.peek() is None


@pytest.mark.parametrize("how", ["disable", "flr", "end of QEMU"])
def test_reset(timed, how):
    """Nothing of a job that waits reaches the host, then or later; the next one is whole."""
    dev, time = timed.dev, timed.duration(32)
    for _ in range(3):
        timed.queue.submit(timed.sqe(32))
    timed.wait_for_worker()
    dev.qemu.write(timed.output, b"\xee" * 64)
    if how == "end of QEMU":
        assert dev.qemu.close() == 0
        return
    if how == "flr":
        express = dev.pci.capability(0x10)
        dev.pci.set(express + 8, dev.pci.get(express + 8, 2) | 0x8000, 2)
        dev.setup_pci()
    else:
        dev.disable()
    dev.qemu.clock_step(nanoseconds=4 * time)
    assert timed.queue.peek() is None
    assert dev.qemu.read(timed.output, 64) == b"\xee" * 64
    again = Timed(Ready(dev, timed.image))
    cid = again.queue.submit(again.sqe(32))
    again.wait_for_worker()
    again.ends_after(time, cid)
