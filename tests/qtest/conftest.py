# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the PCIe face share. Each test has a QEMU of its own."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import model  # noqa: E402
from device import Device, ctx_create  # noqa: E402


@pytest.fixture
def folder():
    """A short path: names of Unix sockets have little room."""
    path = Path(tempfile.mkdtemp(prefix="mxq"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def dev(folder):
    """A device that firmware has set up; disabled."""
    with Device(folder) as device:
        yield device


@pytest.fixture
def up(dev):
    """An enabled device."""
    dev.enable()
    return dev


class Ready:
    """An enabled device with a model, a context that may use it, and a queue."""

    def __init__(self, device, image):
        self.dev, self.image, self.ctx = device, image, 1
        device.enable()
        device.admin(ctx_create(self.ctx))
        self.model = device.program(self.ctx, image)
        self.queue = device.make_queue()


@pytest.fixture
def ready(dev):
    return Ready(dev, model.make())
