# SPDX-License-Identifier: LGPL-2.1-or-later
"""JOB with the flag SCHEDULE: spans instead of a result, and nothing counted."""

import struct
from collections import defaultdict

import pytest

import hw
import model
from device import Device, Ready, changed
from test_jobs import Bench, expect_embedding, floats

SPAN = struct.Struct("<QQIIIBBH")


def scheduled(sqe, out_bytes=None):
    sqe = changed(sqe, 1, "B", hw.JOB_SCHEDULE)
    return sqe if out_bytes is None else changed(sqe, 52, "I", out_bytes)


@pytest.fixture
def bench(ready):
    bench = Bench(ready)
    bench.dev.qemu.write(bench.input, struct.pack("<12i", *([5] * 12)))
    return bench


def read(bench, number):
    data = bench.dev.qemu.read(bench.output, number * SPAN.size)
    return [SPAN.unpack_from(data, at) for at in range(0, len(data), SPAN.size)]


def schedule(bench, sqe, room=1 << 18):
    done = bench.queue.run(scheduled(sqe, room))
    assert done.status == hw.ST_SUCCESS, hw.STATUS_NAMES[done.status]
    return read(bench, min(done.result, room // SPAN.size)), done.result


def test_spans(bench):
    """In order, each in its place, no unit in two uses at once, and over by the job's cycles."""
    sqe = bench.job(3, 4, model.ENTRY_TOKENS)
    spans, number = schedule(bench, sqe)
    assert number == len(spans) > 0
    before = bench.dev.latch()
    assert bench.queue.run(sqe).status == hw.ST_SUCCESS
    after = bench.dev.latch()
    ends, last = defaultdict(int), 0
    for start, ticks, seq, token, op, resource, rsvd, unit in spans:
        assert start >= last and ticks > 0
        assert seq < 3 and (token < 4 or token == hw.SPAN_ALL) and op < 5
        assert resource < hw.RES_NR and rsvd == 0
        assert start >= ends[resource, unit], "a unit in two uses"
        ends[resource, unit] = start + ticks
        last = start
    cycles = after[hw.CTR_CYCLES] - before[hw.CTR_CYCLES]
    assert max(ends.values()) <= cycles * hw.TICKS


def test_nothing_is_counted_or_computed(bench):
    before = bench.dev.counters(hw.SCOPE_CONTEXT, ctx=1)
    device = bench.dev.latch()
    spans, number = schedule(bench, bench.job(3, 4, model.ENTRY_TOKENS))
    assert len(spans) == number
    # Not even a failure.
    bench.dev.qemu.write(bench.input, bytes(48))
    bench.fails(scheduled(bench.job(3, 4, model.ENTRY_TOKENS)), hw.ST_INPUT_EMPTY, 0)
    bench.fails(scheduled(changed(bench.job(1, 1, 0), 8, "I", 3)), hw.ST_BAD_MODEL, 8)
    assert bench.dev.counters(hw.SCOPE_CONTEXT, ctx=1) == before
    after = bench.dev.latch()
    changes = {i for i in range(hw.CTR_NR) if after[i] != device[i]}
    assert changes == {hw.CTR_QUEUE_BYTES}


def test_room(bench):
    sqe = bench.job(3, 4, model.ENTRY_TOKENS)
    spans, number = schedule(bench, sqe)
    for room in (1, SPAN.size - 1, SPAN.size, 3 * SPAN.size + 5):
        bench.dev.qemu.write(bench.output, b"\xee" * 256)
        some, told = schedule(bench, sqe, room)
        assert (some, told) == (spans[:room // SPAN.size], number)
        end = room // SPAN.size * SPAN.size
        assert bench.dev.qemu.read(bench.output + end, 256 - end) == b"\xee" * (256 - end)
    bench.fails(scheduled(sqe, 0), hw.ST_BAD_RANGE, 52)
    most = bench.dev.chip_value(hw.CHIP_MAX_IO_BYTES)
    bench.fails(scheduled(sqe, most + 1), hw.ST_TOO_LARGE, 52)
    bench.fails(scheduled(sqe, most), hw.ST_BAD_RANGE, 40)


def test_it_takes_no_modelled_time(folder):
    with Device(folder, options="timing=on") as dev:
        bench = Bench(Ready(dev, model.make()))
        dev.qemu.write(bench.input, struct.pack("<2i", 7, 8))
        running = bench.queue.submit(bench.job(1, 2, model.ENTRY_EMBED))
        second = bench.queue.submit(
            scheduled(bench.job(1, 2, model.ENTRY_EMBED), 4096))
        answer = bench.queue.wait()
        assert (answer.cid, answer.status) == (second, hw.ST_SUCCESS)
        assert bench.queue.peek() is None
        dev.qemu.clock_step(1000)
        assert bench.queue.wait().cid == running
        assert floats(dev.qemu.read(bench.output, bench.out_bytes(2))) == \
            expect_embedding(bench.image, [[7, 8]])
