# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resets with work in flight, unplugging."""

import struct
import time

import pytest

import hw
import model
from device import (PAGE, Device, Ready, ctx_create, entry, job, model_command, prog_begin, prog_end,
                    prog_write)
from qemu import CHIPS

CAP_EXPRESS = 0x10
SLOT_CONTROL, SLOT_STATUS = 0x18, 0x1a
POWER_INDICATOR_OFF, POWER_OFF, PRESENT = 0x300, 0x400, 0x40
LONG, WIDTH = 5000, 192


def function_level_reset(dev):
    control = dev.pci.capability(CAP_EXPRESS) + 8
    dev.pci.set(control, dev.pci.get(control, 2) | 0x8000, 2)
    dev.setup_pci()


def controller_reset(dev):
    dev.disable()


def bus_reset(dev):
    control = dev.port.get(0x3e, 2)
    dev.port.set(0x3e, control | 0x40, 2)
    dev.port.set(0x3e, control, 2)
    dev.setup_pci()


def system_reset(dev):
    dev.qemu.qmp("system_reset")
    dev.qemu.wait_event("RESET")
    dev.qemu.enable_mmconfig()
    dev.setup_pci()


RESETS = [controller_reset, function_level_reset, bus_reset, system_reset]


@pytest.fixture
def busy(folder):
    """A device with a job running, jobs waiting, and a programming half done."""
    with Device(folder, options="isa=portable,threads=1") as dev:
        yield make_busy(dev)


def make_busy(dev):
    ready = Ready(dev, model.make(width=WIDTH))
    ids = struct.pack("<i", 1) * model.TOKENS
    source = dev.make_buffer(1, 1, LONG * len(ids))
    for at in range(0, LONG, 25):
        dev.qemu.write(source + at * len(ids), ids * 25)
    ready.output = dev.make_buffer(1, 2, LONG * WIDTH * 4)
    sqe = job(1, ready.model, LONG, model.TOKENS, 1, 2, LONG * WIDTH * 4, model.ENTRY_SENTENCE)
    for _ in range(3):
        ready.queue.put(sqe)
    ready.queue.ring()
    # Another context, whose job waits for its turn.
    dev.admin(ctx_create(2))
    dev.admin(model_command(hw.ADM_MODEL_GRANT, ready.model, 2))
    dev.qemu.write(dev.make_buffer(2, 1, PAGE), ids[:4])
    dev.make_queue(2).submit(job(2, ready.model, 1, 1, 1, 1, WIDTH * 4))
    ready.half = model.make(variant=9)
    prog = dev.admin(prog_begin(1, ready.half.content, len(ready.half.model),
                                len(ready.half.params)))
    assert dev.write_section(1, prog, 0, ready.half.model).status == hw.ST_SUCCESS
    assert ready.queue.peek() is None, "the jobs are long enough"
    return ready


def works(dev, image, ident, variant):
    """Everything a driver does after a reset."""
    dev.enable()
    assert dev.models()[ident] == image.content
    dev.admin(ctx_create(1))
    queue = dev.make_queue(1)
    other = model.make(variant=variant)
    dev.program(1, other)
    done = dev.queues[0].run(prog_begin(1, image.content, len(image.model), len(image.params)))
    assert (done.status, done.result) == (hw.ST_RESIDENT, ident)
    source, target = dev.make_buffer(1, 1, 4), dev.make_buffer(1, 2, WIDTH * 4)
    dev.qemu.write(source, struct.pack("<i", 3))
    assert queue.run(job(1, ident, 1, 1, 1, 2, WIDTH * 4)).status == hw.ST_SUCCESS
    result = struct.unpack(f"<{WIDTH}f", dev.qemu.read(target, WIDTH * 4))
    assert result == tuple(v * image.scales[3] for v in image.table[3])


@pytest.mark.parametrize("reset", RESETS)
def test_reset_with_work_in_flight(busy, reset):
    """Contexts, queues and jobs go; models and counters stay; nothing is written afterwards."""
    dev = busy.dev
    before = dev.latch()
    reset(dev)
    assert dev.reg(hw.REG_CTRL) == 0
    dev.wait_status(0xffff, 0)
    if reset is not controller_reset:
        assert dev.reg(hw.REG_AQA) == dev.reg(hw.REG_ASQ, 8) == 0
        assert dev.reg(hw.REG_CTR + 8 * hw.CTR_CELL_WRITES, 8) == 0
    memory = dev.qemu.read(busy.queue.cq, 256), dev.qemu.read(busy.output, 4096)
    works(dev, busy.image, busy.model, 1)
    after = dev.latch()
    assert all(new >= old for old, new in zip(before, after)), "counters never go back"
    assert (dev.qemu.read(busy.queue.cq, 256), dev.qemu.read(busy.output, 4096)) == memory
    assert busy.half.content not in dev.models().values()


@pytest.mark.parametrize("reset", RESETS)
def test_reset_of_an_idle_device(up, reset):
    for variant in range(3):
        reset(up)
        assert up.enable().run(entry(hw.ADM_NOP)).status == hw.ST_SUCCESS
        up.admin(ctx_create(1))
        up.program(1, model.make(variant=variant))
        assert len(up.models()) == variant + 1


@pytest.mark.parametrize("milliseconds", [0, 5, 20])
def test_reset_during_commit(folder, milliseconds):
    """The device is ready when it is decided whether the model is resident; if it is not, all
    its room is free again. (Before the commit has begun, while it runs, near its end.)"""
    image = model.make(padding=48 << 20)
    with Device(folder, chip="mx1") as dev:
        dev.enable()
        dev.admin(ctx_create(1))
        free, size = dev.free_bytes(), len(image.params)
        address, params_at = dev.alloc(size), (len(image.model) + PAGE - 1) // PAGE * PAGE
        dev.qemu.write(address, image.params.rstrip(b"\0"))
        prog = dev.admin(prog_begin(1, image.content, len(image.model), size))
        assert dev.write_section(1, prog, 0, image.model).status == hw.ST_SUCCESS
        dev.admin(prog_write(1, prog, params_at, size, dev.sg((address, size)), 1))
        dev.queues[0].submit(prog_end(hw.ADM_PROG_COMMIT, 1, prog))
        time.sleep(milliseconds / 1000)
        function_level_reset(dev)
        dev.enable()
        models = list(dev.models().values())
        assert (models, dev.free_bytes()) == ([], free) or models == [image.content]


def unplug(dev):
    """What a guest does when it is asked to let a device go: switch the slot off."""
    dev.qemu.qmp("device_del", id="mx0")
    slot = dev.port.capability(CAP_EXPRESS)
    control = dev.port.get(slot + SLOT_CONTROL, 2)
    dev.port.set(slot + SLOT_CONTROL, control | POWER_INDICATOR_OFF | POWER_OFF, 2)
    assert dev.qemu.wait_event("DEVICE_DELETED")
    assert not dev.port.get(slot + SLOT_STATUS, 2) & PRESENT


def test_unplug(up):
    unplug(up)
    assert up.pci.get(0) == 0xffffffff
    assert up.qemu.close() == 0


def test_unplug_with_work_in_flight(busy):
    unplug(busy.dev)
    assert busy.dev.qemu.close() == 0


def test_plug_again(folder):
    """Unplugging gives the store back."""
    store = folder / "cells"
    with Device(folder, options=f"store={store}") as dev:
        ready = Ready(dev, model.make(width=WIDTH))
        unplug(dev)
        dev.qemu.qmp("device_add", driver="mxaccel", id="mx0", bus="port0",
                     chip=str(CHIPS / "tiny.ini"), store=str(store))
        slot = dev.port.capability(CAP_EXPRESS)
        control = dev.port.get(slot + SLOT_CONTROL, 2)
        dev.port.set(slot + SLOT_CONTROL, control & ~(POWER_INDICATOR_OFF | POWER_OFF) | 0x100, 2)
        dev.setup_pci()
        works(dev, ready.image, ready.model, 1)


def test_quit_with_work_in_flight(busy):
    assert busy.dev.qemu.close() == 0
