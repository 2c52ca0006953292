# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chip's clock, property age=, and MODEL_REFRESH."""

import re
import struct

import pytest

import hw
import model
from device import PAGE, Device, Ready, abort, ctx_create, identify, job, model_command
from qemu import CHIPS, QemuError
from test_commands import answers
from test_lifecycle import controller_reset, function_level_reset

YEAR = 31536000


@pytest.fixture
def chip(folder):
    """A small chip whose cells compute, with drift."""
    text = (CHIPS / "mx1-inplace.ini").read_text()
    for key, value in (("groups", 64), ("spare_chunks", 2), ("drift_nu", 0.05)):
        text, found = re.subn(rf"(?m)^{key} = \S+", f"{key} = {value}", text)
        assert found == 1, key
    path = folder / "aging.ini"
    path.write_text(text)
    return path


def on(folder, chip, options=""):
    return Device(folder, chip=None,
                  options=f"chip={chip},store={folder / 'cells'},fidelity=analog{options}")


def age(dev, seconds=None):
    if seconds is None:
        return dev.qemu.qmp("qom-get", path="mx0", property="age")
    return dev.qemu.qmp("qom-set", path="mx0", property="age", value=seconds)


def info(dev, slot):
    """Age of a model's cells, and how often they were programmed again."""
    page = dev.alloc(PAGE)
    dev.admin(identify(hw.IDENTIFY_MODELS, page))
    return struct.unpack("<II", dev.qemu.read(page + slot * 128 + 116, 8))


def health(dev, index):
    page = dev.alloc(PAGE)
    dev.admin(identify(hw.IDENTIFY_HEALTH, page))
    return struct.unpack("<Q", dev.qemu.read(page + 64 + index * 8, 8))[0]


def refresh(dev, slot):
    dev.admin(model_command(hw.ADM_MODEL_REFRESH, slot))


def test_time_passes_over_power_on_and_by_qom_set(folder, chip):
    with on(folder, chip) as dev:
        ready = Ready(dev, model.make())
        assert age(dev) == 0 and info(dev, ready.model) == (0, 0)
    with on(folder, chip, ",age=3600") as dev:
        dev.enable()
        assert info(dev, ready.model) == (3600, 0)
        dev.admin(ctx_create(1))
        young = dev.program(1, model.make(variant=1))
        age(dev, YEAR)
        assert age(dev) == health(dev, hw.HEALTH_AGE_SECONDS) == YEAR
        assert info(dev, ready.model) == (YEAR, 0)
        assert info(dev, young) == (YEAR - 3600, 0)
        for seconds, words in ((YEAR - 1, "no chip gets younger"),
                               (1000000001, "at most 1000000000 seconds")):
            with pytest.raises(QemuError, match=words):
                age(dev, seconds)
        refresh(dev, ready.model)
        assert info(dev, ready.model) == (0, 1) and info(dev, young) == (YEAR - 3600, 0)
        function_level_reset(dev)
        assert age(dev) == YEAR
    with on(folder, chip) as dev:
        dev.enable()
        assert age(dev) == YEAR and health(dev, hw.HEALTH_REFRESHES) == 1
        assert info(dev, ready.model) == (0, 1)
    with pytest.raises(QemuError, match=f"age=5: the chip's clock shows {YEAR} seconds"):
        on(folder, chip, ",age=5")


def test_without_analog_there_is_no_age(ready):
    with pytest.raises(QemuError, match="cells have no age with fidelity=exact"):
        age(ready.dev, 5)
    assert age(ready.dev) == 0
    refresh(ready.dev, ready.model)
    assert info(ready.dev, ready.model) == (0, 1)


def test_refresh_counts_and_needs_a_model(ready):
    dev = ready.dev
    before = dev.latch()
    worn = health(dev, hw.HEALTH_WEAR_TOTAL)
    refresh(dev, ready.model)
    after = dev.latch()
    assert after[hw.CTR_CELL_WRITES] == 2 * before[hw.CTR_CELL_WRITES]
    assert after[hw.CTR_DMA_READ_BYTES] == before[hw.CTR_DMA_READ_BYTES]
    chunks = sum((len(part) + hw.CHUNK - 1) // hw.CHUNK
                 for part in (ready.image.model, ready.image.params))
    assert health(dev, hw.HEALTH_WEAR_TOTAL) == worn + chunks
    for slot in (1, 4, 0xffffffff):
        answers(dev, model_command(hw.ADM_MODEL_REFRESH, slot), hw.ST_BAD_MODEL, 8)
    dev.admin(model_command(hw.ADM_MODEL_REVOKE, ready.model, 1))
    refresh(dev, ready.model)
    dev.admin(model_command(hw.ADM_MODEL_DELETE, ready.model))
    answers(dev, model_command(hw.ADM_MODEL_REFRESH, ready.model), hw.ST_BAD_MODEL, 8)


def test_refresh_while_a_job_runs(ready):
    """Neither waits for the other, and both end well."""
    dev = ready.dev
    dev.make_buffer(1, 1, PAGE)
    dev.make_buffer(1, 2, PAGE)
    dev.qemu.qmp("qom-set", path="mx0", property="fault-hang", value=1)
    cid = ready.queue.submit(job(1, ready.model, 1, 1, 1, 2, ready.image.width * 4))
    refresh(dev, ready.model)
    assert info(dev, ready.model) == (0, 1)
    dev.admin(abort(1, cid))
    assert ready.queue.wait().status == hw.ST_ABORTED


def test_refresh_of_worn_cells(folder):
    text = (CHIPS / "tiny.ini").read_text()
    text, found = re.subn(r"(?m)^endurance = \S+", "endurance = 2", text)
    assert found == 1
    (folder / "worn.ini").write_text(text)
    with Device(folder, chip=None, options=f"chip={folder / 'worn.ini'}") as dev:
        ready = Ready(dev, model.make())
        refresh(dev, ready.model)
        before = dev.latch()
        answers(dev, model_command(hw.ADM_MODEL_REFRESH, ready.model), hw.ST_WORN_OUT, 0)
        assert dev.latch()[hw.CTR_CELL_WRITES] == before[hw.CTR_CELL_WRITES]
        assert info(dev, ready.model) == (0, 1)
        assert dev.models() == {ready.model: ready.image.content}


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_power_cut_while_refreshing(folder, chip, step):
    """At whichever write: the model is whole, and as old as before or new."""
    with on(folder, chip) as dev:
        ready = Ready(dev, model.make())
        age(dev, 500)
        dev.qemu.qmp("qom-set", path="mx0", property="fault-power-cut", value=step)
        if step < 4:
            dev.queues[0].submit(model_command(hw.ADM_MODEL_REFRESH, ready.model))
            dev.wait_status(hw.STATUS_FATAL, hw.STATUS_FATAL)
            assert dev.fatal() == hw.FATAL_POWER
            controller_reset(dev)
            dev.enable()
        else:
            refresh(dev, ready.model)
            dev.qemu.qmp("qom-set", path="mx0", property="fault-power-cut", value=0)
        assert dev.models() == {ready.model: ready.image.content}
        assert info(dev, ready.model) == ((500, 0) if step < 4 else (0, 1))
        assert age(dev) == 500
        refresh(dev, ready.model)
        assert info(dev, ready.model)[0] == 0
