# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs: results and counters, every field broken, isolation of contexts, deadlines, aborts."""

import struct

import pytest

import hw
import model
from device import (IOAPIC, PAGE, RAM_BYTES, RAM_START, Device, Ready, abort, buf_register,
                    buf_unregister, changed, ctx_create, ctx_destroy, delete_qp, entry, identify,
                    job, model_command)

# A job of this many sequences takes seconds: long enough to be caught in the act.
LONG = 5000


def floats(data):
    return struct.unpack(f"<{len(data) // 4}f", data)


class Bench:
    """Buffers 1 (input) and 2 (result) of the context of fixture `ready`."""

    def __init__(self, ready, in_bytes=1 << 16, out_bytes=1 << 20):
        self.dev, self.model, self.width = ready.dev, ready.model, ready.image.width
        self.image, self.queue = ready.image, ready.queue
        self.input = self.dev.make_buffer(1, 1, in_bytes, hw.BUF_READ)
        self.output = self.dev.make_buffer(1, 2, out_bytes, hw.BUF_WRITE)

    def out_bytes(self, rows):
        return rows * self.width * 4

    def job(self, nr_seq, tokens, entry_nr, **fields):
        rows = nr_seq * (1 if entry_nr == model.ENTRY_SENTENCE else tokens)
        return job(1, self.model, nr_seq, tokens, 1, 2, self.out_bytes(rows), entry_nr, **fields)

    def run(self, sequences, entry_nr):
        """Runs sequences of ids; the result's bytes."""
        tokens = max(map(len, sequences))
        ids = [list(s) + [0] * (tokens - len(s)) for s in sequences]
        flat = [i for s in ids for i in s]
        self.dev.qemu.write(self.input, struct.pack(f"<{len(flat)}i", *flat))
        sqe = self.job(len(ids), tokens, entry_nr)
        done = self.queue.run(sqe)
        assert done.status == hw.ST_SUCCESS, (hw.STATUS_NAMES[done.status], done)
        return self.dev.qemu.read(self.output, struct.unpack_from("<I", sqe, 52)[0])

    def fails(self, sqe, status, field, result=0):
        done = self.queue.run(sqe)
        assert (hw.STATUS_NAMES[done.status], done.field, done.result) == \
            (hw.STATUS_NAMES[status], field, result)

    def long_job(self, **fields):
        """One that is still running when the caller looks."""
        ids = struct.pack("<i", 1) * model.TOKENS
        if not getattr(self, "long_input", None):
            self.long_input = self.dev.make_buffer(1, 3, LONG * len(ids), hw.BUF_READ)
            self.long_output = self.dev.make_buffer(1, 4, self.out_bytes(LONG), hw.BUF_WRITE)
            for at in range(0, LONG, 100):
                self.dev.qemu.write(self.long_input + at * len(ids), ids * 100)
        return job(1, self.model, LONG, model.TOKENS, 3, 4, self.out_bytes(LONG),
                   model.ENTRY_SENTENCE, **fields)


@pytest.fixture
def bench(ready):
    return Bench(ready)


@pytest.fixture
def slow(folder):
    """A bench on which a long job takes its time."""
    with Device(folder, options="isa=portable,threads=1") as dev:
        yield Bench(Ready(dev, model.make(width=192)))


def expect_embedding(image, sequences):
    """Entry "embed": table[id] * scale[id]; zeros after a sequence's last token."""
    tokens = max(map(len, sequences))
    rows = []
    for sequence in sequences:
        length = max(i + 1 for i, ident in enumerate(sequence) if ident)
        for at in range(tokens):
            ident = sequence[at] if at < length else None
            rows += [0.0] * image.width if ident is None else \
                [v * image.scales[ident] for v in image.table[ident]]
    return tuple(rows)


@pytest.mark.parametrize("sequences", [[[1]], [[1, 2, 3, 49]], [[5, 0, 7], [9], [1, 2, 3]],
                                       [[i % 49 + 1 for i in range(64)]] * 16])
def test_results(bench, sequences):
    data = bench.run(sequences, model.ENTRY_EMBED)
    assert floats(data) == expect_embedding(bench.image, sequences)


def test_results_do_not_depend_on_the_batch(bench):
    sequences = [[5, 4, 7], [9], [1, 2, 3, 4, 5, 6]]
    row, alone = bench.width * 4, b""
    for sequence in sequences:
        data = bench.run([sequence], model.ENTRY_TOKENS)
        assert any(floats(data)) and len(data) == row * len(sequence)
        alone += data + bytes(row * (6 - len(sequence)))
    assert bench.run(sequences, model.ENTRY_TOKENS) == alone


def test_counters_follow_the_formulas(bench):
    """Everything this job adds, by the chip specification's formulas; over PCIe go the ids,
    the result, one submission and one completion entry."""
    sequences = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]
    lengths, tokens, width = [len(s) for s in sequences], 5, bench.width
    before = [bench.dev.latch(), bench.dev.counters(hw.SCOPE_CONTEXT, ctx=1),
              bench.dev.counters(hw.SCOPE_MODEL, bench.model)]
    admin_traffic = 2 * (64 + 16 + 8 * hw.CTR_NR)
    bench.run(sequences, model.ENTRY_TOKENS)
    after = [bench.dev.latch(), bench.dev.counters(hw.SCOPE_CONTEXT, ctx=1),
             bench.dev.counters(hw.SCOPE_MODEL, bench.model)]
    stride, panels = (width + 63) // 64 * 64, (width + 15) // 16 * ((width + 3) // 4) * 64
    macs = [length * width * width for length in lengths]
    buffered = [m * 14 // 128 for m in macs]
    sub_ops = sum(lengths) * 8 * 8
    in_bytes, out_bytes = 4 * tokens * 3, 4 * tokens * 3 * width
    link = sum(500 + -(-size * 10 // 33) for size in [4 * tokens, 4 * tokens * width] * 3)
    expected = {
        "LINK_CYCLES": link, "JOBS": 1, "SEQUENCES": 3, "TOKENS": sum(lengths),
        "MACS_STATIC": sum(macs), "SUB_OPS": sub_ops,
        "ADC_CONVERSIONS": sub_ops * 128 * -(-128 // 3),
        "BANK_READ_BYTES": panels * 3 + stride * sum(lengths),
        "SFU_EMBED": sum(lengths) * width, "SFU_QUANT": sum(lengths) * width,
        "DMA_READ_BYTES": in_bytes, "DMA_WRITE_BYTES": out_bytes,
        "DAC_DRIVES": sub_ops * 128, "BUFFER_BYTES": sum(buffered),
    }
    first_time_energy = None
    for scope, (old, new) in enumerate(zip(before, after)):
        delta = {name[4:]: new[index] - old[index] for name, index in vars(hw).items()
                 if name.startswith("CTR_") and name[4:] in expected}
        assert delta == expected, f"scope {scope}"
        # The rest are time and energy, see test_cost.c, which no scope lacks.
        modelled = [index for name, index in vars(hw).items()
                    if name == "CTR_CYCLES" or name.startswith(("CTR_BUSY", "CTR_STALL",
                                                                "CTR_ENERGY"))]
        time_energy = [new[index] - old[index] for index in modelled]
        first_time_energy = first_time_energy or time_energy
        assert sum(time_energy) > 0 and time_energy == first_time_energy
        other = sum(new) - sum(old) - sum(expected.values()) - sum(time_energy)
        assert other == (64 + 16 + admin_traffic if scope == hw.SCOPE_DEVICE else 0)


def test_segments_of_any_size(ready):
    """Input and result in many odd pieces, overlapping ones and ones out of order."""
    dev, width = ready.dev, ready.image.width
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    raw, out = struct.pack("<8i", *ids), dev.alloc(PAGE * 4)
    pieces, at = [], 0
    for size in (1, 2, 3, 5, 7, 11, 3):
        pieces.append((dev.place(raw[at:at + size], 1), size))
        at += size
    size = len(ids) * width * 4
    back = [(out + PAGE * i + 13, size // 4) for i in (3, 1, 0, 2)]
    dev.admin(buf_register(1, 1, hw.BUF_READ, 32, dev.sg(*pieces), len(pieces)))
    dev.admin(buf_register(1, 2, hw.BUF_WRITE, size, dev.sg(*back), 4))
    assert ready.queue.run(job(1, ready.model, 1, 8, 1, 2, size)).status == hw.ST_SUCCESS
    data = b"".join(dev.qemu.read(address, length) for address, length in back)
    assert floats(data) == expect_embedding(ready.image, [ids])


def test_offsets(bench):
    bench.dev.qemu.write(bench.input + 1001, struct.pack("<2i", 7, 8))
    size = bench.out_bytes(2)
    bench.dev.qemu.write(bench.output, b"\xee" * 8192)
    sqe = bench.job(1, 2, model.ENTRY_EMBED, in_offset=1001, out_offset=5)
    assert bench.queue.run(sqe).status == hw.ST_SUCCESS
    data = bench.dev.qemu.read(bench.output, 8192)
    assert floats(data[5:5 + size]) == expect_embedding(bench.image, [[7, 8]])
    assert set(data[:5] + data[5 + size:]) == {0xee}


def test_fields(bench):
    dev, ok = bench.dev, bench.job(2, 4, model.ENTRY_EMBED)
    dev.qemu.write(bench.input, struct.pack("<8i", *range(1, 9)))
    start = dev.latch()
    failures = [
        (changed(ok, 1, "B", 2), hw.ST_BAD_FIELD, 1),
        (changed(ok, 4, "I", 0), hw.ST_BAD_CTX, 4), (changed(ok, 4, "I", 2), hw.ST_BAD_CTX, 4),
        (changed(ok, 4, "I", 0xffffffff), hw.ST_BAD_CTX, 4),
        (changed(ok, 8, "I", 1), hw.ST_BAD_MODEL, 8),
        (changed(ok, 8, "I", 0xffffffff), hw.ST_BAD_MODEL, 8),
        (changed(ok, 12, "H", 3), hw.ST_BAD_ENTRY, 12),
        (changed(ok, 12, "H", 0xffff), hw.ST_BAD_ENTRY, 12),
        (changed(ok, 14, "B", 1), hw.ST_BAD_FIELD, 14),
        (changed(ok, 16, "I", 0), hw.ST_BAD_FIELD, 16),
        (changed(ok, 16, "I", 3), hw.ST_BAD_FIELD, 48),
        (changed(ok, 16, "I", 0xffffffff), hw.ST_TOO_LARGE, 48),
        (changed(ok, 20, "I", 0), hw.ST_BAD_FIELD, 20),
        (changed(ok, 20, "I", 65), hw.ST_INPUT_LONG, 20),
        (changed(ok, 24, "I", 3), hw.ST_BAD_BUFFER, 24),
        (changed(ok, 24, "I", 2), hw.ST_BAD_ACCESS, 24),
        (changed(ok, 28, "I", 0), hw.ST_BAD_BUFFER, 28),
        (changed(ok, 28, "I", 1), hw.ST_BAD_ACCESS, 28),
        (changed(ok, 32, "Q", (1 << 16) - 31), hw.ST_BAD_RANGE, 32),
        (changed(ok, 32, "Q", 0xffffffffffffffff), hw.ST_BAD_RANGE, 32),
        (changed(ok, 40, "Q", (1 << 20) - bench.out_bytes(8) + 1), hw.ST_BAD_RANGE, 40),
        (changed(ok, 40, "Q", 1 << 63), hw.ST_BAD_RANGE, 40),
        (changed(ok, 48, "I", 31), hw.ST_BAD_FIELD, 48),
        (changed(ok, 48, "I", 36), hw.ST_BAD_FIELD, 48),
        (changed(ok, 52, "I", bench.out_bytes(8) - 1), hw.ST_BAD_RANGE, 52),
        (changed(ok, 52, "I", 0), hw.ST_BAD_RANGE, 52),
        (changed(ok, 60, "I", 1), hw.ST_BAD_FIELD, 60),
    ]
    for sqe, status, field in failures:
        bench.fails(sqe, status, field)
    # flags are looked at before it is known that this is a job
    assert dev.latch()[hw.CTR_JOBS_FAILED] - start[hw.CTR_JOBS_FAILED] == len(failures) - 1
    assert bench.queue.run(ok).status == hw.ST_SUCCESS


def test_bad_input(bench):
    for ids, status, result in (([1, 50, 2, 3], hw.ST_INPUT_TOKEN, 1),
                                ([1, 2, 3, -1], hw.ST_INPUT_TOKEN, 3),
                                ([1, 2, 0, 0], hw.ST_INPUT_EMPTY, 1),
                                ([0, 0, 1, 2], hw.ST_INPUT_EMPTY, 0)):
        bench.dev.qemu.write(bench.input, struct.pack("<4i", *ids))
        bench.dev.qemu.write(bench.output, b"\xee" * 1024)
        done = bench.queue.run(bench.job(2, 2, model.ENTRY_TOKENS))
        assert (hw.STATUS_NAMES[done.status], done.result) == (hw.STATUS_NAMES[status], result)
        assert set(bench.dev.qemu.read(bench.output, 1024)) == {0xee}, "a failed job writes nothing"
    assert floats(bench.run([[1, 2]], model.ENTRY_EMBED)) == expect_embedding(bench.image, [[1, 2]])


@pytest.mark.parametrize("address", [1 << 40, RAM_START + RAM_BYTES - 32, 0xe0000000, IOAPIC,
                                     0xffffffffffffff00])
def test_buffers_outside_memory(bench, address):
    """Registering such is allowed; using it is a DMA error of the job, and only of it."""
    sg = bench.dev.sg((address, 128))
    bench.dev.admin(buf_register(1, 5, hw.BUF_READ | hw.BUF_WRITE, 128, sg, 1))
    bench.dev.qemu.write(bench.input, struct.pack("<16i", *range(1, 17)))
    bench.fails(job(1, bench.model, 1, 16, 5, 2, bench.out_bytes(16)), hw.ST_DMA_ERROR, 24)
    bench.fails(job(1, bench.model, 1, 2, 1, 5, bench.out_bytes(2)), hw.ST_DMA_ERROR, 28)
    assert bench.dev.fatal() == 0
    bench.run([[1]], model.ENTRY_EMBED)


def test_contexts_are_isolated(bench):
    """Handles mean nothing in another context, and grants are each context's own."""
    dev = bench.dev
    dev.admin(ctx_create(2))
    sqe = bench.job(1, 1, model.ENTRY_EMBED)
    dev.qemu.write(bench.input, struct.pack("<i", 1))
    bench.fails(changed(sqe, 4, "I", 2), hw.ST_NOT_GRANTED, 8)
    dev.admin(model_command(hw.ADM_MODEL_GRANT, bench.model, 2))
    bench.fails(changed(sqe, 4, "I", 2), hw.ST_BAD_BUFFER, 24)
    own = dev.make_buffer(2, 1, PAGE)
    dev.qemu.write(own, struct.pack("<i", 2))
    bench.fails(changed(sqe, 4, "I", 2), hw.ST_BAD_BUFFER, 28)
    done = bench.queue.run(changed(changed(sqe, 4, "I", 2), 28, "I", 1))
    assert done.status == hw.ST_SUCCESS
    assert floats(dev.qemu.read(own, bench.out_bytes(1))) == expect_embedding(bench.image, [[2]])
    dev.admin(model_command(hw.ADM_MODEL_REVOKE, bench.model, 1))
    bench.fails(sqe, hw.ST_NOT_GRANTED, 8)
    assert dev.counters(hw.SCOPE_CONTEXT, ctx=2)[hw.CTR_JOBS] == 1
    assert dev.counters(hw.SCOPE_CONTEXT, ctx=2)[hw.CTR_JOBS_FAILED] == 3


def test_many_jobs_in_flight(bench):
    """More jobs than entries, from several queues; every one is answered."""
    dev = bench.dev
    queues = [bench.queue] + [dev.make_queue(qid, 8, 8) for qid in (2, 3)]
    dev.qemu.write(bench.input, struct.pack("<32i", *([3] * 32)))
    sqe, total = bench.job(1, 32, model.ENTRY_TOKENS), 40
    for queue in queues:
        left, flying = total, 0
        while left or flying:
            while left and flying < 7:
                queue.put(sqe)
                left, flying = left - 1, flying + 1
            queue.ring()
            assert queue.wait().status == hw.ST_SUCCESS
            flying -= 1
    assert dev.latch()[hw.CTR_JOBS] == 3 * total


def test_more_than_the_device_stages(ready):
    """Jobs whose results do not fit the staging memory together wait for each other."""
    bench, jobs = Bench(ready, 1 << 18, 1 << 22), 80
    queue = bench.dev.make_queue(2, 128, 128)
    ids = struct.pack("<i", 7) * 2048
    for at in range(0, 1 << 18, len(ids)):
        bench.dev.qemu.write(bench.input + at, ids)
    for _ in range(jobs):
        queue.put(bench.job(1024, 64, model.ENTRY_EMBED))
    queue.ring()
    assert [queue.wait().status for _ in range(jobs)] == [hw.ST_SUCCESS] * jobs
    assert bench.dev.latch()[hw.CTR_DMA_WRITE_BYTES] == jobs << 22


def test_other_queues_work_beside_a_long_job(slow):
    other = slow.dev.make_queue(2)
    cid = slow.queue.submit(slow.long_job())
    for _ in range(20):
        assert other.run(entry(hw.IO_NOP)).status == hw.ST_SUCCESS
    assert slow.queue.peek() is None, "the job was long enough"
    assert slow.dev.admin(abort(1, cid)) == 1
    done = slow.queue.wait()
    assert (done.cid, done.status) == (cid, hw.ST_ABORTED)
    assert slow.dev.admin(abort(1, cid)) == 0, "gone"
    assert slow.dev.latch()[hw.CTR_JOBS_FAILED] == 1


def test_abort_of_a_waiting_job(slow):
    running, waiting = (slow.queue.put(slow.long_job()) for _ in range(2))
    slow.queue.ring()
    assert slow.dev.admin(abort(1, waiting)) == 1
    done = slow.queue.wait()
    assert (done.cid, done.status) == (waiting, hw.ST_ABORTED)
    assert slow.dev.admin(abort(1, running)) == 1
    assert slow.queue.wait().status == hw.ST_ABORTED
    assert slow.dev.counters(hw.SCOPE_CONTEXT, ctx=1)[hw.CTR_JOBS_FAILED] == 2
    assert slow.dev.latch()[hw.CTR_JOBS_FAILED] == 2


def test_deadline(slow):
    """By the guest's clock, which stands still until a test moves it."""
    running = slow.queue.put(slow.long_job(timeout_ms=1000))
    waiting = slow.queue.put(slow.long_job(timeout_ms=500))
    slow.queue.ring()
    slow.dev.qemu.clock_step(499)
    assert slow.queue.peek() is None
    slow.dev.qemu.clock_step(2)
    done = slow.queue.wait()
    assert (done.cid, done.status) == (waiting, hw.ST_TIMEOUT)
    assert slow.queue.peek() is None
    slow.dev.qemu.clock_step(500)
    done = slow.queue.wait()
    assert (done.cid, done.status) == (running, hw.ST_TIMEOUT)
    slow.dev.qemu.write(slow.input, struct.pack("<i", 1))
    assert slow.queue.run(slow.job(1, 1, 0, timeout_ms=1)).status == hw.ST_SUCCESS


def test_what_a_job_uses_is_busy(slow):
    cid = slow.queue.submit(slow.long_job())
    for command, field in ((buf_unregister(1, 3), 8), (buf_unregister(1, 4), 8),
                           (model_command(hw.ADM_MODEL_REVOKE, slow.model, 1), 8),
                           (model_command(hw.ADM_MODEL_DELETE, slow.model), 8)):
        done = slow.dev.queues[0].run(command)
        assert (done.status, done.field) == (hw.ST_BUSY, field)
    page = slow.dev.alloc(PAGE)
    slow.dev.admin(identify(hw.IDENTIFY_MODELS, page))
    assert struct.unpack("<I", slow.dev.qemu.read(page + 112, 4)) == (1,), "grants, not uses"
    slow.dev.admin(buf_unregister(1, 1))
    slow.dev.admin(abort(1, cid))
    assert slow.queue.wait().status == hw.ST_ABORTED
    slow.dev.admin(buf_unregister(1, 3))
    slow.dev.admin(model_command(hw.ADM_MODEL_REVOKE, slow.model, 1))
    slow.dev.admin(model_command(hw.ADM_MODEL_DELETE, slow.model))


def test_destroying_a_context_ends_its_jobs(slow):
    dev, admin = slow.dev, slow.dev.queues[0]
    cids = [slow.queue.put(slow.long_job()) for _ in range(3)]
    slow.queue.ring()
    destroy = admin.put(ctx_destroy(1))
    late = admin.put(ctx_destroy(1))
    admin.ring()
    done = [admin.wait() for _ in range(2)]
    assert [(d.cid, d.status) for d in done] == [(late, hw.ST_BAD_CTX), (destroy, hw.ST_SUCCESS)]
    done = [slow.queue.wait() for _ in cids]
    assert {(d.cid, d.status) for d in done} == {(cid, hw.ST_ABORTED) for cid in cids}
    assert slow.queue.run(slow.job(1, 1, 0)).status == hw.ST_BAD_CTX
    dev.admin(ctx_create(1))
    dev.admin(model_command(hw.ADM_MODEL_DELETE, slow.model))


def test_deleting_a_queue_ends_its_jobs(slow):
    dev = slow.dev
    other = dev.make_queue(2)
    cids = [slow.queue.put(slow.long_job()) for _ in range(2)]
    slow.queue.ring()
    stays = other.submit(slow.job(1, 1, 0))
    dev.qemu.write(slow.input, struct.pack("<i", 1))
    dev.admin(delete_qp(1))
    done = [slow.queue.wait(acknowledge=False) for _ in cids]
    assert {(d.cid, d.status) for d in done} == {(cid, hw.ST_ABORTED) for cid in cids}
    assert other.wait().cid == stays
    dev.make_queue(1)


def test_contexts_take_turns(slow):
    """A context's one job does not wait for all those another one has queued."""
    dev = slow.dev
    dev.admin(ctx_create(2))
    dev.admin(model_command(hw.ADM_MODEL_GRANT, slow.model, 2))
    dev.qemu.write(dev.make_buffer(2, 1, 1 << 16), struct.pack("<i", 1))
    other = dev.make_queue(2)
    for _ in range(6):
        slow.queue.put(slow.long_job())
    slow.queue.ring()
    other.submit(job(2, slow.model, 1, 1, 1, 1, slow.out_bytes(1)))
    dev.admin(abort(1, 1))
    assert other.wait().status == hw.ST_SUCCESS
    # The first, which was stopped, and no more than one that went before.
    assert slow.queue.wait().status == hw.ST_ABORTED
    if slow.queue.peek():
        slow.queue.wait()
    assert slow.queue.peek() is None
    dev.admin(ctx_destroy(1))
