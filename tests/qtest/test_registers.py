# SPDX-License-Identifier: LGPL-2.1-or-later
"""PCI identity and capabilities, registers, enabling and disabling."""

import random

import pytest

import hw
from device import BARS, BAR_BYTES, Queue, entry

CAP_EXPRESS, CAP_MSIX, CAP_PM, EXT_AER, EXT_SERIAL = 0x10, 0x11, 0x01, 0x0001, 0x0003
FLR_CAPABLE = 1 << 28


def test_identity(dev):
    assert dev.pci.get(0) == hw.PCI_DEVICE_ID << 16 | hw.PCI_VENDOR_ID
    assert dev.pci.get(8) >> 16 == hw.PCI_CLASS
    assert dev.reg(hw.REG_ID) == hw.ID
    assert dev.reg(hw.REG_VERSION) == hw.VERSION
    assert dev.reg(hw.REG_PLATFORM) == hw.PLATFORM_QEMU
    assert dev.reg(hw.REG_TIMEOUT_SCALE) >= 1
    assert dev.reg(hw.REG_FEATURES, 8) == \
        hw.FEATURE_REUSE | hw.FEATURE_HEALTH | hw.FEATURE_SCHEDULE | hw.FEATURE_REFRESH | \
        hw.FEATURE_SHADOW | hw.FEATURE_COALESCE | hw.FEATURE_PROGRESS
    assert dev.reg(hw.REG_CLOCK_KHZ) == 1000000
    assert dev.reg(hw.REG_CTR_NR) == hw.CTR_NR
    cap = dev.reg(hw.REG_CAP, 8)
    assert cap >> hw.CAP_MQES_SHIFT & hw.CAP_MQES_MASK == hw.QUEUE_MAX - 1
    assert cap >> hw.CAP_NQP_SHIFT & hw.CAP_NQP_MASK == hw.IO_QUEUES
    assert 1 << (cap >> hw.CAP_DBS_SHIFT & hw.CAP_DBS_MASK) == hw.DB_STRIDE
    assert cap >> hw.CAP_TO_SHIFT & hw.CAP_TO_MASK > 0
    assert dev.reg(hw.REG_CAP) | dev.reg(hw.REG_CAP + 4) << 32 == cap


def test_capabilities(dev):
    express = dev.pci.capability(CAP_EXPRESS)
    assert dev.pci.get(express + 2, 2) >> 4 & 0xf == 0, "a PCI Express endpoint"
    assert dev.pci.get(express + 4) & FLR_CAPABLE
    msix = dev.pci.capability(CAP_MSIX)
    assert (dev.pci.get(msix + 2, 2) & 0x7ff) + 1 == hw.IO_QUEUES + 1
    assert dev.pci.get(msix + 4) & 7 == hw.BAR_MSIX
    assert dev.pci.get(msix + 8) & 7 == hw.BAR_MSIX
    dev.pci.capability(CAP_PM)
    dev.pci.extended_capability(EXT_AER)
    assert dev.pci.get(dev.pci.extended_capability(EXT_SERIAL) + 4) == 1, "the seed"


def test_bar_sizes(dev):
    for bar, size in BAR_BYTES.items():
        dev.pci.set(0x10 + bar * 4, 0xffffffff)
        mask = dev.pci.get(0x10 + bar * 4) & ~0xf
        dev.pci.set(0x10 + bar * 4, BARS[bar])
        assert (~mask & 0xffffffff) + 1 == size


def test_wide_registers_by_halves(dev):
    for offset in (hw.REG_ASQ, hw.REG_ACQ):
        dev.set_reg(offset, 0x1122334455667000, 8)
        assert dev.reg(offset) == 0x55667000
        assert dev.reg(offset + 4) == 0x11223344
        dev.set_reg(offset + 4, 0xaabbccdd)
        dev.set_reg(offset, 0x99887000)
        assert dev.reg(offset, 8) == 0xaabbccdd99887000


def test_narrow_registers_ignore_wide_accesses(dev):
    assert dev.reg(hw.REG_ID, 8) == 0
    dev.set_reg(hw.REG_CTRL, hw.CTRL_EN, 8)
    assert dev.reg(hw.REG_STATUS) == 0


def test_read_only_registers(dev):
    before = [dev.reg(offset) for offset in range(0, hw.REG_CTRL, 4)]
    for offset in range(0, hw.REG_CTRL, 4):
        dev.set_reg(offset, 0xffffffff)
    dev.set_reg(hw.REG_STATUS, 0xffffffff)
    assert [dev.reg(offset) for offset in range(0, hw.REG_CTRL, 4)] == before
    assert dev.reg(hw.REG_STATUS) == 0


@pytest.mark.parametrize("seed", range(3))
def test_wild_accesses_are_harmless(dev, seed):
    """Any access of any size to any place of any BAR; a reset, and the device works."""
    wild = random.Random(seed)
    for _ in range(3000):
        bar = wild.choice(list(BARS))
        size = wild.choice((1, 2, 4, 8))
        limit = wild.choice((0x60, BAR_BYTES[bar]))
        address = BARS[bar] + wild.randrange(limit - size)
        if wild.random() < 0.5:
            dev.qemu.load(address, size)
        else:
            value = wild.choice((0, 1, (1 << 8 * size) - 1, wild.getrandbits(8 * size)))
            dev.qemu.store(address, size, value)
    dev.disable()
    assert dev.enable().run(entry(hw.ADM_NOP)).status == hw.ST_SUCCESS
    assert dev.reg(hw.REG_ID) == hw.ID


def test_undefined_registers_read_zero(dev):
    for offset in (0x4c, 0x50, 0x800, hw.REG_CTR + 8 * hw.CTR_NR, 0xfff8):
        dev.set_reg(offset, 0xffffffff)
        assert dev.reg(offset) == 0
        assert dev.reg(offset, 8) == 0
    for qid in (0, 1, 16, 17, 31):
        assert dev.qemu.load(BARS[hw.BAR_DOORBELLS] + qid * hw.DB_STRIDE, 4) == 0


def test_enable_and_disable(dev):
    assert dev.reg(hw.REG_STATUS) == 0
    for _ in range(3):
        admin = dev.enable()
        assert dev.reg(hw.REG_CTRL) == hw.CTRL_EN
        assert admin.run(entry(hw.ADM_NOP)).status == hw.ST_SUCCESS
        dev.disable()
        assert dev.reg(hw.REG_CTRL) == 0
        admin.submit(entry(hw.ADM_NOP))
        assert admin.peek() is None, "a disabled device fetches nothing"
        assert dev.reg(hw.REG_STATUS) == 0, "and has no doorbells"


@pytest.mark.parametrize("register,value", [
    (hw.REG_AQA, 31 << 16 | 0), (hw.REG_AQA, 0 << 16 | 31), (hw.REG_AQA, 4096 << 16 | 31),
    (hw.REG_AQA, 31 << 16 | 4096), (hw.REG_ASQ, 0x100800), (hw.REG_ACQ, 0x100001)])
def test_bad_enable(dev, register, value):
    admin = Queue(dev, 0, 32, 32)
    dev.set_reg(hw.REG_AQA, 31 << 16 | 31)
    dev.set_reg(hw.REG_ASQ, admin.sq, 8)
    dev.set_reg(hw.REG_ACQ, admin.cq, 8)
    dev.set_reg(register, value)
    dev.set_reg(hw.REG_CTRL, hw.CTRL_EN)
    assert dev.fatal() == hw.FATAL_BAD_ENABLE
    assert not dev.reg(hw.REG_STATUS) & hw.STATUS_RDY
    dev.disable()
    dev.enable()


def test_counter_window_is_latched(up):
    first = up.latch()
    assert first[hw.CTR_QUEUE_BYTES] == 0
    assert up.queues[0].run(entry(hw.ADM_NOP)).status == hw.ST_SUCCESS
    window = [up.reg(hw.REG_CTR + 8 * i, 8) for i in range(hw.CTR_NR)]
    assert window == first, "unchanged until the next latch"
    assert up.latch()[hw.CTR_QUEUE_BYTES] == 64 + 16
    low = up.reg(hw.REG_CTR + 8 * hw.CTR_QUEUE_BYTES)
    high = up.reg(hw.REG_CTR + 8 * hw.CTR_QUEUE_BYTES + 4)
    assert (low, high) == (80, 0)


def test_counters_survive_disabling(up):
    up.queues[0].run(entry(hw.ADM_NOP))
    before = up.latch()
    up.disable()
    assert up.latch() == before


def test_queues_at_the_end_of_memory_are_read_before_they_are_used(dev):
    """An admin queue outside memory: enabling works, the first fetch is fatal."""
    admin = dev.enable()
    dev.disable()
    dev.set_reg(hw.REG_ASQ, 1 << 40, 8)
    dev.set_reg(hw.REG_CTRL, hw.CTRL_EN)
    dev.wait_status(hw.STATUS_RDY, hw.STATUS_RDY)
    admin.tail = 1
    admin.ring()
    assert dev.fatal() == hw.FATAL_QUEUE_DMA
    dev.disable()
    dev.enable()
