# SPDX-License-Identifier: LGPL-2.1-or-later
"""timing=on in the VM, on a chip whose clock is so slow that its modelled time is longer than
what the host needs: a program waits at least that long. With timing=off it does not."""

import json
import re

import numpy as np

from conftest import TOP, infer, vm

VM_SCRIPT = """
cd {folder}
mxrun {image} --ids ids.npy --out on.npy --json on.json --device /dev/mxaccel0
mxrun {image} --ids ids.npy --out off.npy --json off.json --device /dev/mxaccel1
if mxrun {image} --ids ids.npy --out late.npy --device /dev/mxaccel0 --timeout 100 2>late.txt
then
	echo "a job was answered before its time"
	exit 1
fi
mxrun {image} --ids ids.npy --out after.npy --device /dev/mxaccel0
"""


def test_a_program_waits_for_the_modelled_end(small, tmp_path):
    text = (TOP / "qemu-device" / "chips" / "tiny.ini").read_text()
    slow, changes = re.subn(r"(?m)^clock_khz = \d+", "clock_khz = 2", text)
    assert changes == 1
    (tmp_path / "slow.ini").write_text(slow)
    ids = np.array([[7, 8, 9, 10]], dtype=np.int32)
    np.save(tmp_path / "ids.npy", ids)
    vm(VM_SCRIPT.format(folder=tmp_path, image=small.image), tmp_path, "--devices", 2,
       "--prop", f"chip={tmp_path / 'slow.ini'}", "--prop", "0:timing=on")
    on, off = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("on", "off"))
    assert on["modelled"] == off["modelled"]
    modelled = on["modelled"]["time_us"] * 1e-6
    assert modelled > 0.5, "longer than the host needs, or else this test says nothing"
    assert on["run"]["host_seconds"][0] >= modelled
    assert off["run"]["host_seconds"][0] < modelled
    assert "in time" in (tmp_path / "late.txt").read_text()
    assert not (tmp_path / "late.npy").exists()
    here = infer(small.image, ids, tmp_path, device="sim:tiny")
    for name in ("on", "off", "after"):
        assert np.load(tmp_path / f"{name}.npy").tobytes() == here.tobytes()
