# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the PCIe face share. Each test has a QEMU of its own."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import model  # noqa: E402
from device import Device, Ready  # noqa: E402


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


@pytest.fixture
def ready(dev):
    return Ready(dev, model.make())
