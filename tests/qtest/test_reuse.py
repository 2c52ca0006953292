# SPDX-License-Identifier: LGPL-2.1-or-later
"""PROG_REUSE: chunks whose content is resident are not sent and not programmed again."""

import hashlib
import struct

import pytest

import hw
import model
from device import (IOAPIC, PAGE, RAM_BYTES, RAM_START, changed, ctx_create, ctx_destroy, job,
                    model_command, prog_begin, prog_end, prog_reuse, prog_write)
from test_commands import answers
from test_jobs import expect_embedding, floats

CHUNKS = 6


def image(variant=0, padding=5 * hw.CHUNK):
    """A model of six chunks, the last short; only the first differs between variants."""
    return model.make(variant=variant, padding=padding)


def chunks(params):
    return [params[at:at + hw.CHUNK] for at in range(0, len(params), hw.CHUNK)]


def digests(params):
    return b"".join(hashlib.sha256(chunk).digest() for chunk in chunks(params))


def begin(dev, img, ctx=1):
    return dev.admin(prog_begin(ctx, img.content, len(img.model), len(img.params)))


def reuse(dev, prog, data, first=0, ctx=1):
    """The chunks that the chip has, and the command's result."""
    page = dev.place(b"\xee" * PAGE)
    at = dev.place(data, 1)
    result = dev.admin(prog_reuse(ctx, prog, first, len(data) // 32, dev.sg((at, len(data))), 1,
                                  page))
    bitmap = int.from_bytes(dev.qemu.read(page, PAGE), "little")
    return {first + bit for bit in range(PAGE * 8) if bitmap >> bit & 1}, result


def check(dev, ready, ident, img):
    """The model gives its own embedding."""
    if not hasattr(ready, "buffers"):
        ready.buffers = dev.make_buffer(1, 1, PAGE), dev.make_buffer(1, 2, PAGE)
    source, result = ready.buffers
    dev.qemu.write(source, struct.pack("<3i", 7, 1, 49))
    done = ready.queue.run(job(1, ident, 1, 3, 1, 2, 3 * img.width * 4))
    assert done.status == hw.ST_SUCCESS
    assert floats(dev.qemu.read(result, 3 * img.width * 4)) == expect_embedding(img, [[7, 1, 49]])


def test_only_what_differs_is_programmed(ready):
    dev, one, two = ready.dev, image(1), image(2)
    first = dev.program(1, one)
    before = dev.latch()
    prog = begin(dev, two)
    taken, result = reuse(dev, prog, digests(two.params))
    assert taken == set(range(1, CHUNKS)) and result == CHUNKS - 1
    assert dev.write_section(1, prog, 0, two.model).status == hw.ST_SUCCESS
    params_at = (len(two.model) + PAGE - 1) // PAGE * PAGE
    assert dev.write_section(1, prog, params_at, two.params[:hw.CHUNK]).status == hw.ST_SUCCESS
    second = dev.admin(prog_end(hw.ADM_PROG_COMMIT, 1, prog))
    after = dev.latch()
    growth = {name: after[index] - before[index] for name, index in
              (("reused", hw.CTR_REUSED_CHUNKS), ("cells", hw.CTR_CELL_WRITES),
               ("dma", hw.CTR_DMA_READ_BYTES))}
    assert growth["reused"] == CHUNKS - 1
    sent = len(two.model) + hw.CHUNK
    assert growth["dma"] == sent, "digests are commands, not content"
    assert growth["cells"] == len(two.model) * 2 + hw.CHUNK * 2, "4 bits per cell"
    assert dev.models()[second] == two.content
    check(dev, ready, first, one)
    check(dev, ready, second, two)
    # The first can go; what the second shares stays.
    dev.admin(model_command(hw.ADM_MODEL_REVOKE, first, 1))
    dev.admin(model_command(hw.ADM_MODEL_DELETE, first))
    check(dev, ready, second, two)


def test_nothing_to_share(ready):
    dev, img = ready.dev, image(1)
    prog = begin(dev, img)
    assert reuse(dev, prog, bytes(32 * CHUNKS)) == (set(), 0)
    dev.admin(prog_end(hw.ADM_PROG_ABORT, 1, prog))
    check(dev, ready, dev.program(1, img), img)


def test_a_part_at_a_time(ready):
    """Some chunks from the middle; digests in odd pieces; what is not asked about is not taken."""
    dev, one, two = ready.dev, image(1), image(2)
    dev.program(1, one)
    prog = begin(dev, two)
    data = digests(two.params)
    assert reuse(dev, prog, data[32 * 2:32 * 4], first=2) == ({2, 3}, 2)
    page, at = dev.alloc(PAGE), dev.place(data, 1)
    pieces = [(at + 32 * 4 + i, 1) for i in range(31)] + [(at + 32 * 5 - 1, 33)]
    assert dev.admin(prog_reuse(1, prog, 4, 2, dev.sg(*pieces), 32, page)) == 2
    assert dev.qemu.read(page, PAGE) == b"\3" + bytes(PAGE - 1)
    params_at = (len(two.model) + PAGE - 1) // PAGE * PAGE
    for data, offset in ((two.model, 0), (two.params[:2 * hw.CHUNK], params_at)):
        assert dev.write_section(1, prog, offset, data).status == hw.ST_SUCCESS
    check(dev, ready, dev.admin(prog_end(hw.ADM_PROG_COMMIT, 1, prog)), two)


def test_a_chunk_taken_over_is_not_written(ready):
    dev, two = ready.dev, image(2)
    dev.program(1, image(1))
    prog = begin(dev, two)
    reuse(dev, prog, digests(two.params))
    params_at = (len(two.model) + PAGE - 1) // PAGE * PAGE
    page = dev.place(bytes(PAGE))
    for offset in (hw.CHUNK, hw.CHUNK - 1, len(two.params) - PAGE):
        done = dev.queues[0].run(prog_write(1, prog, params_at + offset, PAGE,
                                            dev.sg((page, PAGE)), 1))
        assert done.status == hw.ST_BAD_RANGE
    dev.admin(prog_end(hw.ADM_PROG_ABORT, 1, prog))


def test_a_lie_costs_the_programming_only(ready):
    """Digests of another model's chunks: COMMIT finds out."""
    dev, one, two = ready.dev, image(1), image(2)
    first = dev.program(1, one)
    free = dev.free_bytes()
    prog = begin(dev, two)
    taken, _ = reuse(dev, prog, digests(one.params))
    assert taken == set(range(CHUNKS))
    assert dev.write_section(1, prog, 0, two.model).status == hw.ST_SUCCESS
    answers(dev, prog_end(hw.ADM_PROG_COMMIT, 1, prog), hw.ST_BAD_HASH, 0)
    assert dev.free_bytes() == free
    check(dev, ready, first, one)


def test_the_end_of_a_context_gives_back(ready):
    dev, two = ready.dev, image(2)
    first = dev.program(1, image(1))
    dev.admin(ctx_create(2))
    reuse(dev, begin(dev, two, ctx=2), digests(two.params), ctx=2)
    dev.admin(ctx_destroy(2))
    dev.admin(model_command(hw.ADM_MODEL_REVOKE, first, 1))
    dev.admin(model_command(hw.ADM_MODEL_DELETE, first))
    assert first not in dev.models()
    check(dev, ready, dev.program(1, two), two)


def test_fields(ready):
    dev, img = ready.dev, image(1)
    prog = begin(dev, img)
    dev.admin(ctx_create(2))
    page, data = dev.place(b"\xee" * PAGE), dev.place(digests(img.params))
    sqe = prog_reuse(1, prog, 0, CHUNKS, dev.sg((data, 32 * CHUNKS)), 1, page)
    for ctx in (0, 3, 0xffffffff):
        answers(dev, changed(sqe, 4, "I", ctx), hw.ST_BAD_CTX, 4)
    for number in (prog + 1, 0, 0xffffffff):
        answers(dev, changed(sqe, 8, "I", number), hw.ST_BAD_PROG, 8)
    answers(dev, changed(sqe, 4, "I", 2), hw.ST_BAD_PROG, 8)
    for number in (0, 257, 0xffffffff):
        answers(dev, changed(sqe, 12, "I", number), hw.ST_BAD_FIELD, 12)
    for first in (1, CHUNKS, 1 << 32, 1 << 63, 0xffffffffffffffff):
        answers(dev, changed(sqe, 16, "Q", first), hw.ST_BAD_RANGE, 16)
    for number in (0, hw.REUSE_MAX + 1, 0xffffffff):
        answers(dev, changed(sqe, 24, "I", number), hw.ST_BAD_FIELD, 24)
    # The list is not as long as so many digests.
    for number in (CHUNKS - 1, CHUNKS + 1, hw.REUSE_MAX):
        answers(dev, changed(sqe, 24, "I", number), hw.ST_BAD_FIELD, 24)
    answers(dev, changed(sqe, 40, "Q", page + 32), hw.ST_BAD_FIELD, 40)
    assert dev.qemu.read(page, PAGE) == b"\xee" * PAGE
    dev.admin(sqe)


@pytest.mark.parametrize("address", [1 << 40, RAM_START + RAM_BYTES, 0xe0000000, IOAPIC,
                                     0xfffffffffffff000])
def test_addresses_outside_memory(ready, address):
    dev, img = ready.dev, image(2)
    dev.program(1, image(1))
    prog = begin(dev, img)
    data = dev.place(digests(img.params))
    sg, page = dev.sg((data, 32 * CHUNKS)), dev.alloc(PAGE)
    sqe = prog_reuse(1, prog, 0, CHUNKS, sg, 1, page)
    answers(dev, changed(sqe, 32, "Q", address), hw.ST_DMA_ERROR, 32)
    answers(dev, changed(sqe, 32, "Q", dev.sg((address, 32 * CHUNKS))), hw.ST_DMA_ERROR, 32)
    answers(dev, changed(sqe, 40, "Q", address & ~(PAGE - 1)), hw.ST_DMA_ERROR, 40)
    assert dev.fatal() == 0
    assert dev.admin(sqe) == CHUNKS - 1, "nothing was taken over by those"
