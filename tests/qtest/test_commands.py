# SPDX-License-Identifier: LGPL-2.1-or-later
"""Admin commands: each with every field broken, and what the device makes of it."""

import struct

import pytest

import hw
import model
from device import (IOAPIC, PAGE, RAM_BYTES, RAM_START, Device, Queue, abort, buf_register, buf_unregister,
                    changed, counters, create_qp, ctx_create, ctx_destroy, delete_qp, entry,
                    identify, model_command, prog_begin, prog_end, prog_reuse, prog_write)

RW = hw.BUF_READ | hw.BUF_WRITE


def answers(dev, sqe, status, field):
    done = dev.queues[0].run(sqe)
    assert (hw.STATUS_NAMES[done.status], done.field, done.result) == \
        (hw.STATUS_NAMES[status], field, 0)


def valid(dev):
    """An entry of each admin command that the device of fixture `ready` would carry out, with
    the reserved ranges of its body."""
    page, queue = dev.alloc(PAGE), Queue(dev, 2, 16, 16)
    sg = dev.sg((page, PAGE))
    prog = dev.admin(prog_begin(1, bytes(32), 4096, 4096))
    return {
        "nop": (entry(hw.ADM_NOP), [(8, 64)]),
        "identify": (identify(hw.IDENTIFY_DEVICE, page), [(24, 64)]),
        "models": (identify(hw.IDENTIFY_MODELS, page), [(24, 64)]),
        "health": (identify(hw.IDENTIFY_HEALTH, page), [(24, 64)]),
        "create_qp": (create_qp(2, queue.sq, queue.cq), [(36, 64)]),
        "delete_qp": (delete_qp(1), [(10, 64)]),
        "ctx_create": (ctx_create(2), [(8, 64)]),
        "ctx_destroy": (ctx_destroy(1), [(8, 64)]),
        "buf_register": (buf_register(1, 1, RW, PAGE, sg, 1), [(36, 64)]),
        "buf_unregister": (buf_unregister(1, 7), [(12, 16), (16, 24), (24, 32), (32, 36),
                                                  (36, 64)]),
        "grant": (model_command(hw.ADM_MODEL_GRANT, 0, 1), [(12, 64)]),
        "revoke": (model_command(hw.ADM_MODEL_REVOKE, 0, 1), [(12, 64)]),
        "delete": (model_command(hw.ADM_MODEL_DELETE, 0), [(12, 64)]),
        "refresh": (model_command(hw.ADM_MODEL_REFRESH, 0), [(12, 64)]),
        "prog_begin": (prog_begin(1, bytes(31) + b"x", 4096, 4096), [(56, 64)]),
        "prog_reuse": (prog_reuse(1, prog, 0, 1, dev.sg((page, 32)), 1, page),
                       [(28, 32), (48, 64)]),
        "prog_write": (prog_write(1, prog, 0, PAGE, sg, 1), [(40, 64)]),
        "prog_commit": (prog_end(hw.ADM_PROG_COMMIT, 1, prog),
                        [(12, 16), (16, 24), (24, 32), (32, 40), (40, 64)]),
        "prog_abort": (prog_end(hw.ADM_PROG_ABORT, 1, prog),
                       [(12, 16), (16, 24), (24, 32), (32, 40), (40, 64)]),
        "abort": (abort(1, 1), [(12, 64)]),
        "shadow": (entry(hw.ADM_SHADOW, struct.pack("<H6xQ", 1, page)), [(10, 16), (24, 64)]),
        "coalesce": (entry(hw.ADM_COALESCE, struct.pack("<HHI", 1, 0, 0)), [(16, 64)]),
        "counters": (counters(hw.SCOPE_DEVICE, page), [(12, 16), (24, 64)]),
    }


WITHOUT_CTX = ("nop", "identify", "models", "health", "create_qp", "delete_qp", "delete", "abort",
               "refresh", "shadow", "coalesce", "counters")


def test_reserved_fields(ready):
    """Each byte of each reserved field of each command, and the flags."""
    dev = ready.dev
    dev.make_buffer(1, 7, PAGE)
    for name, (sqe, ranges) in valid(dev).items():
        answers(dev, changed(sqe, 1, "B", 0x80), hw.ST_BAD_FIELD, 1)
        for start, end in ranges:
            for at in {start, end - 1}:
                answers(dev, changed(sqe, at, "B", 1), hw.ST_BAD_FIELD, start)
        if name in WITHOUT_CTX:
            answers(dev, changed(sqe, 4, "I", 1), hw.ST_BAD_FIELD, 4)
    # None of them did anything.
    assert dev.models() == {ready.model: ready.image.content}
    assert dev.queues[1].run(entry(hw.IO_NOP)).status == hw.ST_SUCCESS


def test_contexts_that_do_not_exist(ready):
    dev = ready.dev
    for name, (sqe, _) in valid(dev).items():
        if name not in WITHOUT_CTX + ("ctx_create",):
            for ctx in (0, 2, 8, 9, 0xffffffff):
                answers(dev, changed(sqe, 4, "I", ctx), hw.ST_BAD_CTX, 4)
    answers(dev, counters(hw.SCOPE_CONTEXT, dev.alloc(PAGE), ctx=2), hw.ST_BAD_CTX, 4)


def test_unbroken_commands_work(ready):
    """The entries that the tests above break are right."""
    dev = ready.dev
    dev.make_buffer(1, 7, PAGE)
    commands = valid(dev)
    commands.pop("prog_commit")  # of nothing but zeros
    last = ["delete_qp", "revoke", "delete", "ctx_destroy"]
    for name in [name for name in commands if name not in last] + last:
        dev.admin(commands[name][0])
    assert dev.models() == {}


@pytest.mark.parametrize("opcode", [0x0a, 0x0f, 0x17, 0x1f, 0x22, 0x80, 0xff])
def test_unknown_opcodes(up, opcode):
    answers(up, entry(opcode), hw.ST_BAD_OPCODE, 0)


def test_identify(ready):
    dev = ready.dev
    page = dev.identity()
    assert page[:32].rstrip(b"\0") == b"tiny"
    assert page[32:64].rstrip(b"\0") == b"synergy"
    serial, free, nr_models, nr_values = struct.unpack_from("<QQII", page, 64)
    assert (serial, nr_models, nr_values) == (1, 1, hw.CHIP_NR)
    assert 0 < free < dev.chip_value(hw.CHIP_CAPACITY_BYTES)
    assert dev.chip_value(hw.CHIP_MAX_CONTEXTS) == 8
    assert dev.chip_value(hw.CHIP_CLOCK_KHZ) == dev.reg(hw.REG_CLOCK_KHZ)
    address = dev.alloc(PAGE)
    dev.admin(identify(hw.IDENTIFY_MODELS, address, 3))
    assert dev.qemu.read(address, 8) == struct.pack("<II", 3, 0), "slot 3 is free"
    dev.admin(identify(hw.IDENTIFY_MODELS, address))
    ident, flags, content, name, model_bytes, params_bytes, cells, grants = struct.unpack(
        "<II32s48sQQQI", dev.qemu.read(address, 116))
    assert (ident, flags, content) == (ready.model, hw.MODEL_VALID, ready.image.content)
    assert name.rstrip(b"\0") == b"qtest"
    assert (model_bytes, params_bytes) == (len(ready.image.model), len(ready.image.params))
    assert cells * 4 >= (model_bytes + params_bytes) * 8
    assert grants == 1


def test_identify_fields(up):
    page = up.alloc(PAGE)
    answers(up, identify(3, page), hw.ST_BAD_FIELD, 8)
    answers(up, identify(hw.IDENTIFY_HEALTH, page, 1), hw.ST_BAD_FIELD, 12)
    answers(up, identify(hw.IDENTIFY_DEVICE, page, 1), hw.ST_BAD_FIELD, 12)
    answers(up, identify(hw.IDENTIFY_MODELS, page, 4), hw.ST_BAD_FIELD, 12)
    answers(up, identify(hw.IDENTIFY_DEVICE, page + 8), hw.ST_BAD_FIELD, 16)
    for address in (1 << 40, RAM_START + RAM_BYTES, 0xe0000000, IOAPIC, 0xfffffffffffff000):
        answers(up, identify(hw.IDENTIFY_DEVICE, address), hw.ST_DMA_ERROR, 16)
    assert up.fatal() == 0


def health(dev):
    page = dev.alloc(PAGE)
    dev.admin(identify(hw.IDENTIFY_HEALTH, page))
    data = dev.qemu.read(page, PAGE)
    assert struct.unpack_from("<I", data) == (hw.HEALTH_NR,)
    return struct.unpack_from(f"<{hw.HEALTH_NR}Q", data, 64)


def test_health(up):
    """A new chip, and what programming a model of four chunks and a bit does to it."""
    new = health(up)
    capacity = up.chip_value(hw.CHIP_CAPACITY_BYTES)
    assert new[hw.HEALTH_CHUNKS] * hw.CHUNK >= capacity
    assert new[hw.HEALTH_WEAR_TOTAL] == new[hw.HEALTH_WEAR_MAX] == new[hw.HEALTH_RETIRED] == 0
    assert new[hw.HEALTH_LIFE_PPM] == 1000000
    assert new[hw.HEALTH_ENDURANCE] > 0
    up.admin(ctx_create(1))
    up.program(1, model.make(padding=4 * hw.CHUNK))
    worn = health(up)
    assert worn[hw.HEALTH_WEAR_TOTAL] >= 5
    assert worn[hw.HEALTH_WEAR_MAX] >= 1
    assert worn[hw.HEALTH_LIFE_PPM] < 1000000
    assert worn[hw.HEALTH_ENDURANCE] == new[hw.HEALTH_ENDURANCE]


def test_create_qp_fields(up):
    queue = Queue(up, 1, 16, 16)
    sqe = create_qp(1, queue.sq, queue.cq)
    for qid in (0, 17, 0xffff):
        answers(up, changed(sqe, 8, "H", qid), hw.ST_BAD_QUEUE, 8)
    answers(up, changed(sqe, 10, "H", 17), hw.ST_BAD_FIELD, 10)
    for offset in (12, 14):
        for size in (0, hw.QUEUE_MAX, 0xffff):
            answers(up, changed(sqe, offset, "H", size), hw.ST_BAD_FIELD, offset)
    for offset, address in ((16, queue.sq), (24, queue.cq)):
        answers(up, changed(sqe, offset, "Q", address + 64), hw.ST_BAD_FIELD, offset)
    answers(up, changed(sqe, 32, "I", 2), hw.ST_BAD_FIELD, 32)
    up.admin(sqe)
    answers(up, sqe, hw.ST_BAD_QUEUE, 8)
    for qid in (0, 2, 17, 0xffff):
        answers(up, delete_qp(qid), hw.ST_BAD_QUEUE, 8)


def test_ctx_create_fields(up):
    for ctx in (0, 9, 0xffffffff):
        answers(up, ctx_create(ctx), hw.ST_BAD_CTX, 4)
    for ctx in range(1, 9):
        up.admin(ctx_create(ctx))
        answers(up, ctx_create(ctx), hw.ST_BAD_CTX, 4)
    for ctx in range(1, 9):
        up.admin(ctx_destroy(ctx))
        answers(up, ctx_destroy(ctx), hw.ST_BAD_CTX, 4)


def test_buf_register_fields(up):
    up.admin(ctx_create(1))
    page = up.alloc(PAGE)
    sg = up.sg((page, PAGE))
    sqe = buf_register(1, 1, RW, PAGE, sg, 1)
    for handle in (0, 17, 0xffffffff):
        answers(up, changed(sqe, 8, "I", handle), hw.ST_BAD_BUFFER, 8)
    for access in (0, 4, 0xffffffff):
        answers(up, changed(sqe, 12, "I", access), hw.ST_BAD_FIELD, 12)
    for size in (0, PAGE - 1, PAGE + 1, 1 << 63):
        answers(up, changed(sqe, 16, "Q", size), hw.ST_BAD_FIELD, 16)
    for number in (0, 257, 0xffffffff):
        answers(up, changed(sqe, 32, "I", number), hw.ST_BAD_FIELD, 32)
    for address in (1 << 40, RAM_START + RAM_BYTES - 8, 0xe0000000, 0xfffffffffffffff8):
        answers(up, changed(sqe, 24, "Q", address), hw.ST_DMA_ERROR, 24)
    up.admin(sqe)
    answers(up, sqe, hw.ST_BAD_BUFFER, 8)
    up.admin(buf_unregister(1, 1))
    answers(up, buf_unregister(1, 1), hw.ST_BAD_BUFFER, 8)
    up.admin(sqe)


def test_hostile_segment_lists(up):
    up.admin(ctx_create(1))
    page = up.alloc(PAGE)

    def register(size, *segments, raw=None, handle=1):
        sg = up.place(raw) if raw else up.sg(*segments)
        number = len(raw) // 16 if raw else len(segments)
        return buf_register(1, handle, RW, size, sg, number)

    answers(up, register(8, (page, 8), (page, 0)), hw.ST_BAD_FIELD, 24)
    answers(up, register(16, (0xfffffffffffffff8, 16)), hw.ST_BAD_FIELD, 24)
    answers(up, register(8, raw=struct.pack("<QII", page, 8, 1)), hw.ST_BAD_FIELD, 24)
    answers(up, register(17, (page, 8), (page + 8, 8)), hw.ST_BAD_FIELD, 16)
    answers(up, register(15, (page, 8), (page + 8, 8)), hw.ST_BAD_FIELD, 16)
    # The sum of the lengths does not wrap at 32 bits.
    answers(up, register(8, (page, 0xfffffff8), (page, 16)), hw.ST_BAD_FIELD, 16)
    # The list itself is not aligned, segments overlap, or end at the last address.
    raw = struct.pack("<QIIQII", page, 8, 0, page + 4, 8, 0)
    address = up.alloc(PAGE) + 3
    up.qemu.write(address, raw)
    up.admin(buf_register(1, 1, RW, 16, address, 2))
    up.admin(register(8, (0xfffffffffffffff8, 8), handle=2))
    # The most segments there may be.
    up.admin(register(256, *[(page + i, 1) for i in range(256)], handle=3))


def test_buffers_are_counted(up):
    up.admin(ctx_create(1))
    for handle in range(1, 17):
        up.make_buffer(1, handle, 64)
    answers(up, buf_register(1, 17, RW, 64, up.sg((RAM_START, 64)), 1), hw.ST_BAD_BUFFER, 8)
    up.admin(ctx_destroy(1))
    up.admin(ctx_create(1))
    up.make_buffer(1, 1, 64)


def test_grants(ready):
    dev, last = ready.dev, ready.model
    dev.admin(ctx_create(2))
    for ident in (1, 4, 0xffffffff):
        answers(dev, model_command(hw.ADM_MODEL_GRANT, ident, 2), hw.ST_BAD_MODEL, 8)
        answers(dev, model_command(hw.ADM_MODEL_REVOKE, ident, 2), hw.ST_NOT_GRANTED, 8)
        answers(dev, model_command(hw.ADM_MODEL_DELETE, ident), hw.ST_BAD_MODEL, 8)
    answers(dev, model_command(hw.ADM_MODEL_REVOKE, last, 2), hw.ST_NOT_GRANTED, 8)
    for _ in range(2):
        dev.admin(model_command(hw.ADM_MODEL_GRANT, last, 2))
    dev.admin(model_command(hw.ADM_MODEL_REVOKE, last, 1))
    answers(dev, model_command(hw.ADM_MODEL_REVOKE, last, 1), hw.ST_NOT_GRANTED, 8)
    answers(dev, model_command(hw.ADM_MODEL_DELETE, last), hw.ST_BUSY, 8)
    dev.admin(ctx_destroy(2))
    dev.admin(model_command(hw.ADM_MODEL_DELETE, last))
    assert dev.models() == {}


def test_prog_fields(up):
    image = model.make()
    up.admin(ctx_create(1))
    up.admin(ctx_create(2))
    sizes = len(image.model), len(image.params)
    answers(up, prog_begin(1, image.content, sizes[0], 1 << 40), hw.ST_TOO_LARGE, 40)
    prog = up.admin(prog_begin(1, image.content, *sizes))
    span = (sizes[0] + PAGE - 1) // PAGE * PAGE + sizes[1]
    page = up.alloc(PAGE)
    sg = up.sg((page, PAGE))
    sqe = prog_write(1, prog, 0, PAGE, sg, 1)
    answers(up, changed(sqe, 8, "I", prog + 1), hw.ST_BAD_PROG, 8)
    answers(up, changed(sqe, 4, "I", 2), hw.ST_BAD_PROG, 8)
    for offset in (span - PAGE + 1, span + 1, 0xffffffffffffffff, 1 << 63):
        answers(up, changed(sqe, 16, "Q", offset), hw.ST_BAD_RANGE, 16)
    answers(up, changed(sqe, 24, "Q", span + 1), hw.ST_BAD_RANGE, 16)
    for size in (0, PAGE - 1, PAGE + 1):
        answers(up, changed(sqe, 24, "Q", size), hw.ST_BAD_FIELD, 24)
    for number in (0, 257):
        answers(up, changed(sqe, 12, "I", number), hw.ST_BAD_FIELD, 12)
    answers(up, changed(sqe, 32, "Q", 1 << 40), hw.ST_DMA_ERROR, 32)
    answers(up, changed(sqe, 32, "Q", up.sg((1 << 40, PAGE))), hw.ST_DMA_ERROR, 32)
    for opcode in (hw.ADM_PROG_COMMIT, hw.ADM_PROG_ABORT):
        answers(up, prog_end(opcode, 1, prog + 1), hw.ST_BAD_PROG, 8)
        answers(up, prog_end(opcode, 2, prog), hw.ST_BAD_PROG, 8)
    up.admin(prog_end(hw.ADM_PROG_ABORT, 1, prog))
    answers(up, prog_end(hw.ADM_PROG_ABORT, 1, prog), hw.ST_BAD_PROG, 8)


def test_programming_twice(ready):
    """What is resident is not programmed again, and a grant comes with the answer."""
    dev, image = ready.dev, ready.image
    dev.admin(ctx_create(2))
    written = dev.latch()[hw.CTR_CELL_WRITES]
    done = dev.queues[0].run(prog_begin(2, image.content, len(image.model), len(image.params)))
    assert (done.status, done.result) == (hw.ST_RESIDENT, ready.model)
    dev.admin(model_command(hw.ADM_MODEL_REVOKE, ready.model, 1))
    answers(dev, model_command(hw.ADM_MODEL_DELETE, ready.model), hw.ST_BUSY, 8)
    dev.admin(model_command(hw.ADM_MODEL_REVOKE, ready.model, 2))
    assert dev.latch()[hw.CTR_CELL_WRITES] == written


def test_bad_content_is_not_published(up):
    """A wrong byte, a malformed program: refused at COMMIT, and the room is free again."""
    up.admin(ctx_create(1))
    for damage in ("params", "model", "program"):
        image = model.make(bad_opcode=damage == "program")
        if damage == "params":
            image.params = bytes([image.params[0] ^ 1]) + image.params[1:]
        elif damage == "model":
            image.model = changed(image.model, 20, "B", 0x7a)
        prog = up.admin(prog_begin(1, image.content, len(image.model), len(image.params)))
        assert up.write_section(1, prog, 0, image.model).status == hw.ST_SUCCESS
        assert up.write_section(1, prog, PAGE, image.params).status == hw.ST_SUCCESS
        answers(up, prog_end(hw.ADM_PROG_COMMIT, 1, prog),
                hw.ST_BAD_IMAGE if damage == "program" else hw.ST_BAD_HASH, 0)
        answers(up, prog_end(hw.ADM_PROG_COMMIT, 1, prog), hw.ST_BAD_PROG, 8)
    assert up.models() == {}
    up.program(1, model.make())


def test_a_full_chip(up):
    """Models until there is no room, or no slot, and after a deletion one more."""
    up.admin(ctx_create(1))
    capacity = up.chip_value(hw.CHIP_CAPACITY_BYTES)
    idents = [up.program(1, model.make(variant=v, padding=capacity // 4)) for v in (1, 2)]
    image = model.make(variant=3, padding=capacity // 2)
    prog = up.admin(prog_begin(1, image.content, len(image.model), len(image.params)))
    assert up.write_section(1, prog, 0, image.model).status == hw.ST_NO_SPACE
    up.admin(prog_end(hw.ADM_PROG_ABORT, 1, prog))
    idents += [up.program(1, model.make(variant=v)) for v in (3, 4)]
    image = model.make(variant=5)
    answers(up, prog_begin(1, image.content, len(image.model), len(image.params)),
            hw.ST_NO_SLOT, 0)
    assert len(up.models()) == 4
    up.admin(model_command(hw.ADM_MODEL_REVOKE, idents[0], 1))
    up.admin(model_command(hw.ADM_MODEL_DELETE, idents[0]))
    up.program(1, image)
    assert sorted(up.models().values()) == sorted(
        model.make(variant=v, padding=p).content
        for v, p in ((2, capacity // 4), (3, 0), (4, 0), (5, 0)))


def test_destroying_a_context_ends_its_programming(up):
    image = model.make()
    sizes = len(image.model), len(image.params)
    up.admin(ctx_create(1))
    up.admin(ctx_create(2))
    prog = up.admin(prog_begin(1, image.content, *sizes))
    assert up.write_section(1, prog, 0, image.model).status == hw.ST_SUCCESS
    free = up.free_bytes()
    up.admin(ctx_destroy(1))
    assert up.free_bytes() > free
    answers(up, prog_end(hw.ADM_PROG_COMMIT, 2, prog), hw.ST_BAD_PROG, 8)
    up.program(2, image)


def test_counters_fields(ready):
    dev = ready.dev
    page = dev.alloc(PAGE)
    answers(dev, counters(3, page), hw.ST_BAD_FIELD, 8)
    answers(dev, counters(hw.SCOPE_DEVICE, page + 8), hw.ST_BAD_FIELD, 16)
    answers(dev, counters(hw.SCOPE_DEVICE, 1 << 40), hw.ST_DMA_ERROR, 16)
    answers(dev, counters(hw.SCOPE_MODEL, page, 3), hw.ST_BAD_MODEL, 12)
    answers(dev, counters(hw.SCOPE_MODEL, page, ready.model, 1), hw.ST_BAD_FIELD, 4)
    assert len(dev.counters(hw.SCOPE_MODEL, ready.model)) == hw.CTR_NR
    assert dev.counters(hw.SCOPE_CONTEXT, ctx=1) == (0,) * hw.CTR_NR


def test_abort_fields(ready):
    for qid in (2, 17, 0xffff):
        answers(ready.dev, abort(qid, 1), hw.ST_BAD_QUEUE, 8)
    for qid in (0, 1):
        assert ready.dev.admin(abort(qid, 77)) == 0, "no such command in flight"


def test_a_large_write_goes_on_in_the_background(folder):
    """More than the device copies at once; other commands are answered meanwhile."""
    with Device(folder, chip="mx1", options="threads=1") as dev:
        dev.enable()
        dev.admin(ctx_create(1))
        image = model.make(padding=40 << 20)
        prog = dev.admin(prog_begin(1, image.content, len(image.model), len(image.params)))
        assert dev.write_section(1, prog, 0, image.model).status == hw.ST_SUCCESS
        address = dev.alloc(len(image.params))
        dev.qemu.write(address, image.params.rstrip(b"\0"))  # the rest is fresh memory
        sg = dev.sg(*[(address + at, min(65536 + 1, len(image.params) - at))
                      for at in range(0, len(image.params), 65536 + 1)])
        number = (len(image.params) + 65536) // 65537
        before = dev.latch()
        admin = dev.queues[0]
        write = admin.put(prog_write(1, prog, PAGE, len(image.params), sg, number))
        commit = admin.put(prog_end(hw.ADM_PROG_COMMIT, 1, prog))
        nop = admin.put(entry(hw.ADM_NOP))
        admin.ring()
        done = {d.cid: d for d in (admin.wait() for _ in range(3))}
        assert (done[commit].status, done[commit].field) == (hw.ST_BUSY, 8)
        assert done[nop].status == done[write].status == hw.ST_SUCCESS
        after = dev.latch()
        assert after[hw.CTR_DMA_READ_BYTES] - before[hw.CTR_DMA_READ_BYTES] == len(image.params)
        assert after[hw.CTR_CELL_WRITES] - before[hw.CTR_CELL_WRITES] == len(image.params) * 2
        # Told to stop, it does, and the programming can go on.
        write = admin.put(prog_write(1, prog, PAGE, len(image.params), sg, number))
        stop = admin.put(abort(0, write))
        admin.ring()
        done = {d.cid: d for d in (admin.wait() for _ in range(2))}
        assert (done[stop].result, done[write].status) == (1, hw.ST_ABORTED)
        done = admin.run(prog_write(1, prog, PAGE, len(image.params), sg, number))
        assert done.status == hw.ST_SUCCESS
        dev.admin(prog_end(hw.ADM_PROG_COMMIT, 1, prog))
        assert list(dev.models().values()) == [image.content]
