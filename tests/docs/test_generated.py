# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documentation/generate.py: the tables in the pages are those of the sources."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def generate(top, *options):
    return subprocess.run([sys.executable, top / "Documentation" / "generate.py", *options],
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def tree(tmp_path):
    for part in ("Documentation", "uapi", "qemu-device"):
        shutil.copytree(TOP / part, tmp_path / part)
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_pages_are_up_to_date():
    done = generate(TOP, "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path, old, new, page", [
    ("uapi/mxaccel_hw.h", '"no such queue, or it exists already"', '"no queue"',
     "chip-specification.rst"),
    ("uapi/mxaccel_hw.h", "#define MXACCEL_REG_CTR_NR\t\t0x044",
     "#define MXACCEL_REG_CTR_NR\t\t0x054", "chip-specification.rst"),
    ("uapi/mxaccel_image.h", "#define MXACCEL_SEC_GOLDEN\t\t7", "#define MXACCEL_SEC_GOLDEN\t\t8",
     "image-format.rst"),
    ("qemu-device/fault.h", "completions are written twice", "completions come twice",
     "qemu-device.rst"),
    ("qemu-device/chips/tiny.ini", "macs = 1024", "macs = 2048", "chip-specification.rst"),
    ("qemu-device/chip/config_keys.c", "max_models, 1,", "max_models, 2,",
     "chip-specification.rst"),
])
def test_a_changed_source_makes_its_page_stale(tree, path, old, new, page):
    edit(tree / path, old, new)
    before = (tree / "Documentation" / page).read_text(encoding="utf-8")
    done = generate(tree, "--check")
    assert done.returncode and page in done.stderr
    assert (tree / "Documentation" / page).read_text(encoding="utf-8") == before
    assert generate(tree).returncode == 0
    assert (tree / "Documentation" / page).read_text(encoding="utf-8") != before
    assert generate(tree, "--check").returncode == 0


def test_an_undescribed_field_is_an_error(tree):
    edit(tree / "uapi/mxaccel_hw.h", " * @cid:\tof the submission entry\n", "")
    done = generate(tree)
    assert done.returncode and "mxaccel_cqe.cid has no description" in done.stderr
