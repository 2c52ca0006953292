# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools see of the device in the VM: the distribution's perf counts a run of a model
as sysfs does (the command of driver.rst); the files of the PMU and of hwmon are those that
Documentation/ABI describes. (sysfs-class-mxaccel has a selftest of its own.)"""

import re
import shutil

import numpy as np
import pytest

from conftest import BIN, TOP, vm

EVENTS = ["cycles", "jobs", "tokens", "cell_writes", "energy_static_fj", "energy_adc_fj"]
PMU = "/sys/bus/event_source/devices/mxaccel0"
PERF = "/sys/class/mxaccel/mxaccel0/perf"
HWMON = "/sys/class/mxaccel/mxaccel0/device/hwmon/hwmon*"
# What the kernel's core puts into every device's folder, and into every PMU's.
CORE = re.compile(r"(uevent|device|subsystem|power|power/.*|type|perf_event_mux_interval_ms)$")


@pytest.fixture(scope="module")
def seen(small, tmp_path_factory):
    """A run in the VM; what it has seen is in files of this folder."""
    folder = tmp_path_factory.mktemp("observe")
    np.save(folder / "ids.npy", np.array([[2, 3, 4, 5, 6]], dtype=np.int32))
    mxrun = f"{BIN}/mxrun {small.image} --ids {folder}/ids.npy --out /tmp/out.npy"
    stat = f"perf stat -x ';' -o perf -a -e {','.join(f'mxaccel0/{e}/' for e in EVENTS)} --"
    vm(f"""
       cd {folder}
       counters() {{ (cd {PERF}; grep . {' '.join(EVENTS)}); }}
       (cd {PMU}; find . ! -type d) >pmu.files
       (cd {PMU}/events; grep . *) >pmu.events
       (cd {HWMON}; find . ! -type d) >hwmon.files
       (cd {HWMON}; grep . *_label) >hwmon.labels
       ls {PERF} >counters
       {mxrun}  # programs the cells
       counters >before
       {stat if shutil.which("perf") else ""} {mxrun}
       counters >after
       """, folder, "--prop", "chip=tiny")
    return folder


def pairs(path):
    """Lines NAME:VALUE."""
    return dict(line.split(":", 1) for line in path.read_text().splitlines())


def described(name):
    """The pages of an ABI document: what they are of, and their texts."""
    pages = {}
    for page in (TOP / "Documentation/ABI/testing" / name).read_text().split("\n\n"):
        form = re.fullmatch(r"What:\t\t(\S+)\nDate:\t\t.+\nKernelVersion:\t.+\nContact:\t.+\n"
                            r"Description:\n((?:\t\t.+\n?)+)", page)
        assert form, f"{name}: not a page:\n{page}"
        pages[form[1]] = " ".join(form[2].split())
    return pages


def files(path):
    names = [line.removeprefix("./") for line in path.read_text().splitlines()]
    return [name for name in names if not CORE.match(name)]


@pytest.mark.skipif(not shutil.which("perf"),
                    reason="there is no perf (Debian's package linux-perf)")
def test_perf_stat_counts_what_sysfs_counts(seen):
    before, after = pairs(seen / "before"), pairs(seen / "after")
    counted = {}
    for line in (seen / "perf").read_text().splitlines():
        if line and not line.startswith("#"):
            value, unit, event = line.split(";")[:3]
            counted[event.split("/")[1]] = (float(value), unit)
    for event in EVENTS:
        value, unit = counted[event]
        want = int(after[event]) - int(before[event])
        if event.endswith("_fj"):
            assert unit == "uJ"
            assert value == pytest.approx(want / 1e9, abs=0.006), event  # two digits are shown
        else:
            assert (value, unit) == (want, ""), event
    assert counted["jobs"][0] == 1
    assert counted["tokens"][0] == 5
    assert counted["cycles"][0] > 0


def test_pmu_files_are_those_described(seen):
    pages = described("sysfs-bus-event_source-devices-mxaccel")
    prefix = "/sys/bus/event_source/devices/mxaccel<n>/"
    counters = (seen / "counters").read_text().split()
    want = set()
    for page in pages:
        name = page.removeprefix(prefix)
        assert name != page
        of = [c for c in counters if "." not in name or c.endswith("_fj")]
        want |= {name.replace("<counter>", c) for c in of} if "<counter>" in name else {name}
    assert set(files(seen / "pmu.files")) == want
    for name, value in pairs(seen / "pmu.events").items():
        if "." in name:
            suffix = name.split(".")[1]
            assert f'"{value}"' in pages[f"{prefix}events/<counter>.{suffix}"]
        else:
            assert re.fullmatch(r"event=0x[0-9a-f]+", value)


def test_hwmon_files_are_those_described(seen):
    pages = described("sysfs-driver-mxaccel-hwmon")
    prefix = "/sys/bus/pci/drivers/mxaccel/.../hwmon/hwmon<i>/"
    live = [re.sub(r"^energy\d+_", "energy<c>_", name) for name in files(seen / "hwmon.files")]
    assert {prefix + name for name in live} == set(pages)
    # Each component is a counter, and its name is on its page.
    labels = pairs(seen / "hwmon.labels")
    energies = [c for c in (seen / "counters").read_text().split() if c.endswith("_fj")]
    assert labels["energy1_label"] == labels["power1_label"] == "total"
    components = [value for name, value in labels.items() if value != "total"]
    assert sorted(f"energy_{name}_fj" for name in components) == sorted(energies)
    named = set(re.findall(r'"(\w+)"', pages[prefix + "energy<c>_label"]))
    assert named == set(components) | {"total"}
    assert live.count("energy<c>_input") == len(energies) + 1
