# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a device needs to come up: its chip file, its store, its properties; and what of a store
stays over a restart."""

import os
import struct
import subprocess

import pytest

import hw
import model
from device import ROOT_PORT, Device, Ready, ctx_create, prog_begin, prog_write
from qemu import CHIPS, Qemu, QemuError


def refused(folder, options, *words, arguments=()):
    """QEMU does not start, and says why with these words."""
    with pytest.raises(QemuError) as error:
        Qemu(folder, *ROOT_PORT, "-device", f"mxaccel,bus=port0,{options}", *arguments).close()
    for word in words:
        assert str(word) in str(error.value)


@pytest.fixture
def store(folder):
    return folder / "cells"


def with_store(folder, store, chip="tiny"):
    return Device(folder, options=f"store={store}", chip=chip)


def test_analog_cells_need_a_chip_that_has_them(folder):
    inplace = f"chip={CHIPS}/mx1-inplace.ini"
    refused(folder, f"{inplace},fidelity=real", "fidelity 'real' is not one of exact, analog")
    refused(folder, f"{inplace},age=5", "age=5", "fidelity=analog")
    refused(folder, f"{inplace},fidelity=analog,age=1000000001", "at most 1000000000 seconds")


def test_models_survive_a_restart(folder, store):
    with with_store(folder, store) as dev:
        ready = Ready(dev, model.make())
        written = dev.latch()[hw.CTR_CELL_WRITES]
        assert written > 0
    for _ in range(2):
        with with_store(folder, store) as dev:
            dev.enable()
            assert dev.models() == {ready.model: ready.image.content}
            again = dev.latch()
            assert again[hw.CTR_CELL_WRITES] == 0, "nothing is programmed again"
            dev.admin(ctx_create(1))
            done = dev.queues[0].run(prog_begin(1, ready.image.content, len(ready.image.model),
                                                len(ready.image.params)))
            assert (done.status, done.result) == (hw.ST_RESIDENT, ready.model)


def test_models_survive_a_killed_qemu(folder, store):
    dev = with_store(folder, store)
    ready = Ready(dev, model.make())
    dev.qemu.close(kill=True)
    with with_store(folder, store) as dev:
        dev.enable()
        assert dev.models() == {ready.model: ready.image.content}


def test_interrupted_programming_leaves_nothing(folder, store):
    dev = with_store(folder, store)
    first = Ready(dev, model.make(variant=1))
    image = model.make(variant=2)
    prog = dev.admin(prog_begin(1, image.content, len(image.model), len(image.params)))
    assert dev.write_section(1, prog, 0, image.model).status == hw.ST_SUCCESS
    free = dev.free_bytes()
    dev.qemu.close(kill=True)
    with with_store(folder, store) as dev:
        dev.enable()
        assert dev.models() == {first.model: first.image.content}
        assert dev.free_bytes() > free
        dev.admin(ctx_create(1))
        assert dev.queues[0].run(prog_write(1, prog, 0, 1, dev.sg((1 << 20, 1)), 1)).status == \
            hw.ST_BAD_PROG
        dev.program(1, image)


def test_store_has_its_blocks(folder, store):
    """So that no cell can be written in vain; also one that came with holes, which it keeps."""
    with with_store(folder, store) as dev:
        ready = Ready(dev, model.make())
        status = os.stat(store)
        assert status.st_size > dev.chip_value(hw.CHIP_CAPACITY_BYTES)
        assert status.st_blocks * 512 >= status.st_size
    holey = folder / "holey"
    subprocess.run(["cp", "--sparse=always", store, holey], check=True)
    assert os.stat(holey).st_blocks < status.st_blocks
    with with_store(folder, holey) as dev:
        dev.enable()
        assert dev.models() == {ready.model: ready.image.content}
        assert os.stat(holey).st_blocks * 512 >= status.st_size


@pytest.fixture
def small_disk(folder):
    """A file system that is smaller than the store of any chip but tiny."""
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "mxaccel-test", disk],
                      capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_store_on_a_full_file_system(folder, small_disk):
    """A clear error; no file is left behind, and one that was there stays as it is."""
    store = small_disk / "cells"
    refused(folder, f"chip={CHIPS}/mx1.ini,store={store}", store, "reserve", "No space left")
    assert not store.exists()
    with with_store(folder, folder / "whole") as dev:
        ready = Ready(dev, model.make())
    subprocess.run(["cp", "--sparse=always", folder / "whole", store], check=True)
    data, filler = store.read_bytes(), small_disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        with pytest.raises(OSError):
            while True:
                file.write(bytes(1 << 16))
    refused(folder, f"chip={CHIPS}/tiny.ini,store={store}", store, "reserve", "No space left")
    assert store.read_bytes() == data
    filler.unlink()
    with with_store(folder, store) as dev:
        dev.enable()
        assert dev.models() == {ready.model: ready.image.content}


def test_store_is_locked(folder, store):
    with with_store(folder, store) as dev:
        dev.enable()
        second = folder / "second"
        second.mkdir()
        refused(second, f"chip={CHIPS}/tiny.ini,store={store}", store, "in use")
        dev.admin(ctx_create(1))
    with_store(folder, store).qemu.close()


@pytest.mark.parametrize("change", [-1, 1, -4096, None])
def test_store_of_another_size(folder, store, change):
    with_store(folder, store).qemu.close()
    size = store.stat().st_size
    os.truncate(store, size + change if change else 0)
    refused(folder, f"chip={CHIPS}/tiny.ini,store={store}", store, str(size), "truncated")
    assert store.stat().st_size == (size + change if change else 0), "left as it was"


def test_store_of_another_chip(folder, store):
    """By size, and by what it says inside."""
    with_store(folder, store).qemu.close()
    refused(folder, f"chip={CHIPS}/mx1.ini,store={store}", store, "another chip")
    other = folder / "other.ini"
    other.write_text((CHIPS / "tiny.ini").read_text())
    refused(folder, f"chip={other},store={store}", store, "tiny", "other")


def test_store_full_of_garbage(folder, store):
    with_store(folder, store).qemu.close()
    data = os.urandom(store.stat().st_size)
    store.write_bytes(data)
    refused(folder, f"chip={CHIPS}/tiny.ini,store={store}", store)
    assert store.read_bytes() == data, "left as it was"


def test_damaged_model_is_dropped(folder, store):
    """A flipped bit in the cells is found at power-on, and told."""
    with with_store(folder, store) as dev:
        image = Ready(dev, model.make()).image
    data = bytearray(store.read_bytes())
    data[data.index(image.params[:64])] ^= 1
    store.write_bytes(data)
    with with_store(folder, store) as dev:
        dev.enable()
        assert dev.models() == {}
        assert "damaged" in dev.qemu.output() and str(store) in dev.qemu.output()
        dev.admin(ctx_create(1))
        dev.program(1, image)


def test_store_where_none_can_be(folder):
    tiny = f"chip={CHIPS}/tiny.ini"
    refused(folder, f"{tiny},store={folder}/none/cells", f"{folder}/none/cells", "No such file")
    refused(folder, f"{tiny},store={folder}", folder, "directory")
    refused(folder, f"{tiny},store=/dev/null", "/dev/null")


def test_chip_files(folder, monkeypatch):
    refused(folder, "chip=/nowhere/x.ini", "/nowhere/x.ini", "No such file")
    monkeypatch.delenv("MXACCEL_CHIP_DIR", raising=False)
    refused(folder, "chip=unheard-of", "unheard-of.ini", "MXACCEL_CHIP_DIR")
    monkeypatch.setenv("MXACCEL_CHIP_DIR", str(CHIPS))
    for chip in ("tiny", "mx1"):
        with Device(folder, f"chip={chip}", chip=None) as dev:
            dev.enable()
            assert dev.identity()[:32].rstrip(b"\0") == chip.encode()
    with Device(folder, chip=None) as dev:
        dev.enable()
        assert dev.identity()[:32].rstrip(b"\0") == b"mx1", "the default"
    bad = folder / "bad.ini"
    bad.write_text("[chip]\norganisation = synergy\nnonsense = 1\n")
    refused(folder, f"chip={bad}", bad, "nonsense")
    refused(folder, f"chip={folder}/.ini", ".ini")
    refused(folder, f"chip={folder}/", "regular file")


def test_properties(folder):
    tiny = f"chip={CHIPS}/tiny.ini"
    refused(folder, f"{tiny},isa=mmx", "mmx", "portable")
    refused(folder, f"{tiny},threads=65", "threads")
    refused(folder, f"{tiny},vectors=0", "vectors")
    refused(folder, f"{tiny},vectors=33", "vectors")
    with Device(folder, "seed=0x1122334455667788,vectors=1,threads=2,isa=portable") as dev:
        dev.enable()
        assert struct.unpack_from("<Q", dev.identity(), 64)[0] == 0x1122334455667788
        assert dev.pci.get(dev.pci.capability(0x11) + 2, 2) & 0x7ff == 0


def test_needs_an_express_slot(folder):
    with pytest.raises(QemuError) as error:
        Qemu(folder, "-device", "pci-bridge,chassis_nr=1,id=legacy", "-device",
             f"mxaccel,bus=legacy,addr=1,chip={CHIPS}/tiny.ini").close()
    assert "Express" in str(error.value) or "pci-bridge" in str(error.value)
