# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random commands, most of them nearly right, with resets in between: whatever comes, the
device neither hangs nor dies, answers each command it took, and works after a reset."""

import random
import struct

import pytest

import hw
import model
from device import (PAGE, RAM_BYTES, RAM_START, Device, abort, buf_register, buf_unregister,
                    changed, counters, create_qp, ctx_create, ctx_destroy, delete_qp, entry,
                    identify, job, model_command, prog_begin, prog_end, prog_reuse, prog_write)

VALUES = (0, 1, 2, 3, 7, 16, 17, 64, 255, 4095, 4096, 0x7fffffff, 0x80000000, 0xffffffff,
          1 << 40, 1 << 63, 0xffffffffffffffff, RAM_START + RAM_BYTES - 8, 0xe0000000)
FIELDS = ((1, "B"), (4, "I"), (8, "H"), (8, "I"), (10, "H"), (12, "H"), (12, "I"), (14, "H"),
          (16, "I"), (16, "Q"), (20, "I"), (24, "I"), (24, "Q"), (28, "I"), (32, "I"), (32, "Q"),
          (36, "I"), (40, "Q"), (48, "I"), (48, "Q"), (52, "I"), (56, "I"), (60, "I"))
RW = hw.BUF_READ | hw.BUF_WRITE


class Monkey:
    """Makes commands and follows what became of them."""

    def __init__(self, dev, seed):
        self.dev, self.dice = dev, random.Random(seed)
        self.images = [model.make(variant=v) for v in range(6)]
        self.bad = model.make(bad_opcode=True)
        self.data = dev.alloc(1 << 18)
        dev.qemu.write(self.data, struct.pack("<64I", *range(1, 65)))
        self.sections = [(image, dev.place(image.model), dev.place(image.params))
                         for image in self.images + [self.bad]]
        self.lists = [dev.sg((self.data, 1 << 16)), dev.sg((self.data + 1, 300), (self.data, 212)),
                      dev.sg(*[(self.data + 3 * i, 2) for i in range(200)]),
                      dev.sg((1 << 40, PAGE)), dev.place(self.dice.randbytes(PAGE))]
        self.progs, self.base = [1], dev.free
        self.start()

    def start(self):
        """Brings the device up, each time in the same memory, which is not endless."""
        self.dev.free = self.base
        self.dev.set_reg(hw.REG_CTRL, 0)
        self.dev.wait_status(0xffff, 0)
        self.admin = self.dev.enable(64, 64)
        self.queues = {1: self.dev.make_queue(1, 64, 64), 2: self.dev.make_queue(2, 64, 64)}
        self.dev.admin(ctx_create(1))
        for handle in (1, 2, 3):
            self.dev.admin(buf_register(1, handle, RW, 1 << 16, self.lists[0], 1))
        self.mark = self.dev.free

    def ctx(self):
        return self.dice.choice((1,) * 12 + (2, 2, 2, 3, 8, 9))

    def buffer(self):
        number = self.dice.randrange(5)
        return self.lists[number], (1, 2, 200, 1, 7)[number], (65536, 512, 400, PAGE, 99)[number]

    def programming(self):
        """A model's way into the chip, sometimes left half way."""
        dice, ctx = self.dice, self.ctx()
        image, model_at, params_at = dice.choice(self.sections)
        done = self.admin.run(prog_begin(ctx, image.content, len(image.model), len(image.params)))
        if done.status != hw.ST_SUCCESS:
            return
        prog = done.result
        self.progs = (self.progs + [prog])[-4:]
        lists = [self.dev.sg((model_at, len(image.model))),
                 self.dev.sg((params_at, len(image.params)))]
        for sqe in (prog_write(ctx, prog, 0, len(image.model), lists[0], 1),
                    prog_write(ctx, prog, PAGE, len(image.params), lists[1], 1),
                    prog_end(hw.ADM_PROG_COMMIT, ctx, prog)):
            if dice.random() < 0.9:
                self.admin.run(sqe)

    def admin_command(self):
        dice, ctx, page = self.dice, self.ctx(), self.data
        sg, number, size = self.buffer()
        slot, prog, handle = dice.randrange(5), dice.choice(self.progs), dice.randrange(6)
        return dice.choice((
            lambda: entry(hw.ADM_NOP), lambda: identify(dice.randrange(3), page),
            lambda: create_qp(dice.randrange(3, 17), page, page + PAGE),
            lambda: delete_qp(dice.randrange(3, 17)), lambda: ctx_create(ctx),
            lambda: ctx_create(ctx), lambda: ctx_destroy(dice.choice((1, 2, 2, 2, 3))),
            lambda: buf_register(ctx, handle, dice.choice((RW, 1, 2)), size, sg, number),
            lambda: buf_register(ctx, handle, RW, size, sg, number),
            lambda: buf_unregister(ctx, dice.randrange(3, 17)),
            lambda: model_command(hw.ADM_MODEL_GRANT, slot, ctx),
            lambda: model_command(hw.ADM_MODEL_GRANT, slot, ctx),
            lambda: model_command(hw.ADM_MODEL_REVOKE, slot, ctx),
            lambda: model_command(hw.ADM_MODEL_DELETE, slot),
            lambda: prog_write(ctx, prog, dice.choice(VALUES), size, sg, number),
            lambda: prog_reuse(ctx, prog, dice.choice((0, 0, 1, 99)), size // 32, sg, number, page),
            lambda: prog_end(dice.choice((hw.ADM_PROG_COMMIT, hw.ADM_PROG_ABORT)), ctx, prog),
            lambda: abort(dice.randrange(3), dice.randrange(64)),
            lambda: counters(dice.randrange(3), page, 0, 0)))()

    def io_command(self):
        dice = self.dice
        if dice.random() < 0.1:
            return entry(hw.IO_NOP)
        nr_seq, tokens = dice.choice(((1, 1), (1, 64), (7, 5), (60, 64)))
        sqe = job(self.ctx(), dice.randrange(3), nr_seq, tokens, dice.randrange(1, 5),
                  dice.randrange(1, 5), nr_seq * tokens * 64, dice.randrange(3),
                  timeout_ms=dice.choice((0, 0, 1)))
        return changed(sqe, 1, "B", dice.choice((0, 0, 0, hw.JOB_SCHEDULE)))

    def batch(self):
        """Some commands on some queue; every one must be answered, unless the device says that
        it has stopped. The statuses seen."""
        dice = self.dice
        queue = dice.choice((self.admin, self.queues[1], self.queues[2]))
        cids, seen = [], []
        for _ in range(dice.randrange(1, 12)):
            sqe = self.admin_command() if queue is self.admin else self.io_command()
            if dice.random() < 0.3:
                offset, form = dice.choice(FIELDS)
                mask = (1 << 8 * struct.calcsize("<" + form)) - 1
                sqe = changed(sqe, offset, form, dice.choice(VALUES) & mask)
            cids.append(queue.put(sqe))
        queue.ring()
        if dice.random() < 0.2:
            self.dev.qemu.clock_step(2)
        while cids and not self.dev.fatal():
            try:
                done = queue.wait(10)
            except TimeoutError:
                assert self.dev.fatal(), f"no answer to {cids}"
                break
            cids.remove(done.cid)
            assert done.status in hw.STATUS_NAMES and done.field < 64
            seen.append(done.status)
        return seen


@pytest.mark.parametrize("seed", range(4))
def test_random_commands(folder, seed):
    with Device(folder) as dev:
        monkey, seen = Monkey(dev, seed), []
        for turn in range(500):
            if dev.fatal() or monkey.dice.random() < 0.02:
                monkey.start()
            elif monkey.dice.random() < 0.1:
                monkey.programming()
            else:
                seen += monkey.batch()
            dev.free = monkey.mark
            assert dev.reg(hw.REG_ID) == hw.ID, turn
        kinds = {hw.STATUS_NAMES[status] for status in seen}
        assert len(kinds) > 10 and "ST_SUCCESS" in kinds, f"only {kinds}"
        monkey.start()
        for ident in dev.models():
            dev.admin(model_command(hw.ADM_MODEL_DELETE, ident))
        dev.program(1, model.make(variant=99))
        assert dev.qemu.close() == 0
