# SPDX-License-Identifier: LGPL-2.1-or-later
"""fidelity=analog on whole models: equal to exact where nothing is lossy, and only there."""

import json
import re

import numpy as np
import pytest
from conftest import MODEL, TOP, infer, map_model, pad, ragged, vm


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The real model, mapped for the in-place chip."""
    path = tmp_path_factory.mktemp("inplace") / "model.mxw"
    map_model(MODEL, path, "--chip", "mx1-inplace")
    return path


@pytest.fixture
def ids():
    return ragged(np.random.default_rng(8), 20000, [40, 3, 17, 128])


def chip(folder, source="mx1-inplace", **keys):
    """A chip file with other values of some keys."""
    text = (TOP / f"qemu-device/chips/{source}.ini").read_text()
    for key, value in keys.items():
        text, found = re.subn(rf"^{key} = \S+", f"{key} = {value}", text, flags=re.M)
        assert found, key
    path = folder / "chip.ini"
    path.write_text(text)
    return path


def counted(image, ids, folder, device):
    """Result of a job, and what it counted."""
    report = folder / "report.json"
    result = infer(image, ids, folder, device, options=["--json", report])
    return result, json.loads(report.read_text())["counters"]


@pytest.mark.parametrize("mapping", ["differential", "offset"])
@pytest.mark.parametrize("coding", ["twos_complement", "sign_magnitude", "unsigned"])
def test_a_wide_converter_gives_the_exact_model(image, ids, tmp_path, mapping, coding):
    exact, plain = counted(image, ids, tmp_path, "sim:mx1-inplace")
    device = chip(tmp_path, adc_bits=12, mapping=mapping, input=coding)
    analog, counters = counted(image, ids, tmp_path, f"sim:{device},fidelity=analog")
    np.testing.assert_array_equal(analog.view(np.uint32), exact.view(np.uint32))
    assert counters["adc_saturations"] == plain["adc_saturations"] == 0
    assert counters["adc_conversions"] == plain["adc_conversions"]


def test_a_narrow_converter_shows_and_the_same_on_every_path(image, ids, tmp_path):
    exact = infer(image, ids, tmp_path, "sim:mx1-inplace")
    device = f"sim:{chip(tmp_path, adc_bits=6)},fidelity=analog"
    narrow, counters = counted(image, ids, tmp_path, device)
    assert counters["adc_saturations"] > 1000
    assert 0 < np.abs(narrow - exact).max()
    for options in ("threads=1", "threads=3,isa=avx2", "isa=portable"):
        again, others = counted(image, ids, tmp_path, f"{device},{options}")
        np.testing.assert_array_equal(again.view(np.uint32), narrow.view(np.uint32))
        assert others == counters
    # Each sequence by itself: what its neighbours are does not matter.
    for row in range(len(ids)):
        length = np.flatnonzero(ids[row])[-1] + 1
        alone = infer(image, pad([ids[row, :length]]), tmp_path, device)
        np.testing.assert_array_equal(alone[0], narrow[row, :length])


def test_noise_and_age_are_the_same_on_every_path(image, ids, tmp_path):
    text = chip(tmp_path, program_sigma=0.02, read_sigma=0.02, drift_nu=0.02,
                drift_nu_sigma=0.01, rtn_share=0.01, rtn_amplitude=0.3).read_text()
    (tmp_path / "noisy.ini").write_text(text)
    device = f"sim:{tmp_path / 'noisy.ini'},fidelity=analog"
    young = infer(image, ids, tmp_path, device)
    old = infer(image, ids, tmp_path, f"{device},age=86400")
    assert np.abs(old - young).max() > 0
    again = infer(image, ids, tmp_path, f"{device},age=86400,threads=3,isa=avx2")
    np.testing.assert_array_equal(again.view(np.uint32), old.view(np.uint32))
    # A sequence has its own noise, wherever it is in a batch.
    for row in (1, 2):
        length = np.flatnonzero(ids[row])[-1] + 1
        alone = infer(image, pad([ids[row, :length]]), tmp_path, f"{device},age=86400")
        np.testing.assert_array_equal(alone[0], old[row, :length])


def test_the_device_computes_the_same(image, ids, tmp_path):
    """The same chip, seed and age behind PCIe and in process: the same cells and noise."""
    text = chip(tmp_path, program_sigma=0.003, read_sigma=0.001, drift_nu=0.01,
                drift_nu_sigma=0.02).read_text()
    (tmp_path / "noisy.ini").write_text(text)
    (tmp_path / "model.mxw").write_bytes(image.read_bytes())
    here = infer(image, ids[:2], tmp_path,
                 f"sim:{tmp_path / 'noisy.ini'},fidelity=analog,age=86400,seed=7")
    exact = infer(image, ids[:2], tmp_path, "sim:mx1-inplace")
    assert np.abs(here - exact).max() > 0
    chip_of = ("--prop", f"chip={tmp_path / 'noisy.ini'}", "--prop", "fidelity=analog",
               "--prop", "seed=7", "--prop", f"store={tmp_path / 'cells'}")
    # Programmed when the chip was new, used a day later; then refreshed.
    vm(f"cd {tmp_path}; mxrun model.mxw --ids ids.npy --out new.npy", tmp_path, *chip_of)
    vm(f"""cd {tmp_path}
mxrun model.mxw --ids ids.npy --out there.npy
cd /sys/class/mxaccel/mxaccel0
cat models/0/age_seconds models/0/refreshes health/wear_total >{tmp_path}/before
mxrun --refresh 0 --resident >{tmp_path}/resident
cat models/0/age_seconds models/0/refreshes health/wear_total >{tmp_path}/after
cat health/age_seconds health/refreshes >{tmp_path}/health
cd {tmp_path}
mxrun model.mxw --ids ids.npy --out again.npy
if mxrun --refresh 1 2>error; then exit 1; fi
""", tmp_path, *chip_of, "--prop", "age=86400")
    new, there, again = (np.load(tmp_path / f"{name}.npy") for name in ("new", "there", "again"))
    np.testing.assert_array_equal(there.view(np.uint32), here.view(np.uint32))

    def alike(one, other):
        return (one * other).sum() / np.sqrt((one ** 2).sum() * (other ** 2).sum())
    # Drift is gone; errors of programming are others than before.
    assert alike(there, exact) < 0.9
    assert alike(new, exact) > 0.999 and alike(again, exact) > 0.999
    assert np.abs(again - new).max() > 0
    before, after = ([int(word) for word in (tmp_path / name).read_text().split()]
                     for name in ("before", "after"))
    assert before[:2] == [86400, 0] and after[:2] == [0, 1] and after[2] > before[2]
    assert (tmp_path / "health").read_text().split() == ["86400", "1"]
    assert "has no resident model 1" in (tmp_path / "error").read_text()
    line = (tmp_path / "resident").read_text().splitlines()[1].split()
    assert line[0] == "0" and line[-2:] == ["0", "1"]


def test_what_cannot_be_analog_is_refused(image, ids, tmp_path):
    text = (TOP / "qemu-device/chips/mx1.ini").read_text()
    text, found = re.subn(r"(?m)^digit_bits = 1", "digit_bits = 4", text)
    assert found == 1
    (tmp_path / "digits.ini").write_text(text)
    done = infer(image, ids, tmp_path, f"sim:{tmp_path / 'digits.ini'},fidelity=analog",
                 check=False)
    assert done.returncode == 1 and "digits of 1 and 4 bits is more than the 2-bit" in done.stderr
    for age, part in (("5", "age=5: cells have no age"), ("-1", "age=-1 is not a number"),
                      ("1000000001", "is not a number from 0 to 1000000000")):
        done = infer(image, ids, tmp_path, f"sim:mx1-inplace,age={age}", check=False)
        assert done.returncode == 1 and part in done.stderr
    done = infer(image, ids, tmp_path, "sim:mx1-inplace,fidelity=real", check=False)
    assert done.returncode == 1 and "use exact or analog" in done.stderr
