# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chips whose cells give out, in the VM: what the user is told, and that what is resident stays.
And mxrun --resident and --delete, which that takes."""

import re

import numpy as np

from conftest import BIN, TOP, infer, map_model, run, vm
from make_bert import make_bert

ENDURANCE = 2
IDS = np.array([[5, 6, 7], [8, 9, 0]], dtype=np.int32)

WORN = """
cd {folder}
mxrun keep.mxw --ids ids.npy --out before.npy
: >log.txt
for round in $(seq 100); do
	if ! mxrun other.mxw --ids ids.npy --out other.npy 2>error.txt; then break; fi
	mxrun --resident >resident.txt
	id=$(awk '$5 == "other" {{ print $1 }}' resident.txt)
	mxrun --delete $id --resident >>log.txt
done
echo $round >rounds.txt
mxrun --resident >resident.txt
mxrun keep.mxw --ids ids.npy --out after.npy --counters -v >counters.txt
cat /sys/class/mxaccel/mxaccel0/health/retired >retired.txt
if mxrun --delete 63 2>none.txt; then exit 1; fi
"""


def chip(folder, **keys):
    text = (TOP / "qemu-device/chips/tiny.ini").read_text(encoding="utf-8")
    for key, value in keys.items():
        text, found = re.subn(rf"(?m)^{key} = \d+", f"{key} = {value}", text)
        assert found == 1, key
    path = folder / "chip.ini"
    path.write_text(text, encoding="utf-8")
    return path


def models(folder):
    """Two small models; keep.mxw and other.mxw share no chunk."""
    for seed, name in ((1, "keep"), (2, "other")):
        make_bert(folder / name, seed=seed)
        map_model(folder / name, folder / f"{name}.mxw", "--chip", "tiny", "--name", name)
    np.save(folder / "ids.npy", IDS)


def test_cells_wear_out(tmp_path):
    models(tmp_path)
    path = chip(tmp_path, endurance=ENDURANCE)
    vm(WORN.format(folder=tmp_path), tmp_path, "--prop", f"chip={path}")
    error = (tmp_path / "error.txt").read_text()
    assert "too few working cells left for model image other.mxw" in error
    assert "mxrun --resident, --delete" in error
    rounds = int((tmp_path / "rounds.txt").read_text())
    assert ENDURANCE < rounds < 100, "the chip has room for several, so it lasts some rounds"
    assert int((tmp_path / "retired.txt").read_text()) > 0
    resident = (tmp_path / "resident.txt").read_text()
    assert " keep " in resident and " other" not in resident and "\n1 models; " in resident
    assert " other" not in (tmp_path / "log.txt").read_text(), "deleted each time"
    here = infer(tmp_path / "keep.mxw", IDS, tmp_path, device="sim:tiny")
    for name in ("before", "after"):
        assert np.load(tmp_path / f"{name}.npy").tobytes() == here.tobytes()
    counters = (tmp_path / "counters.txt").read_text()
    assert re.search(r"cell_writes +0 ", counters), "what is resident is not programmed again"
    assert "no resident model 63" in (tmp_path / "none.txt").read_text()


def test_more_faults_than_spares(tmp_path):
    models(tmp_path)
    path = chip(tmp_path, stuck_ppb=30000000)
    script = f"""
cd {tmp_path}
if mxrun keep.mxw --ids ids.npy --out out.npy 2>error.txt; then exit 1; fi
mxrun --resident >resident.txt
"""
    vm(script, tmp_path, "--prop", f"chip={path}")
    assert "too few working cells" in (tmp_path / "error.txt").read_text()
    assert "\n0 models; 0 of " in (tmp_path / "resident.txt").read_text()
    assert not (tmp_path / "out.npy").exists()


def test_bad_options():
    for options, part in ((["--delete", "x"], "must be a number from 0"),
                          (["--delete"], "needs a value"),
                          (["--resident", "model.mxw"], "not about model.mxw"),
                          (["--resident", "--device", "/dev/null"], "/dev/null")):
        done = run(BIN / "mxrun", *options, check=False)
        assert done.returncode in (1, 2) and part in done.stderr, (options, done.stderr)
    done = run(BIN / "mxrun", "--resident", "--device", "sim:tiny")
    assert done.stdout.endswith("\n0 models; 2097152 of 2097152 bytes free\n")
