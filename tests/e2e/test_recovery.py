# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults of the device under a real driver: what each rung of the ladder does, what users see,
and that models survive. One boot serves all cases; the kernel's log is looked at after each."""

import numpy as np
import pytest

from conftest import BIN, TOP, infer, map_model
from machine import Machine
from make_bert import make_bert

SYSFS = "/sys/class/mxaccel/mxaccel0"
FUNCTION = f"$(basename $(readlink -f {SYSFS}/device))"
# A job that asks for no deadline has 1 s to get on, an admin command 1 s, an abort 3 s.
OPTIONS = ("--module-arg", "timeout_percent=1", "--module-arg", "job_timeout_ms=10000",
           "--timeout", "900")


class Guest:
    """A machine that runs jobs of the small model and knows their results."""

    def __init__(self, machine, folder, small):
        self.machine, self.folder = machine, folder
        ids = np.array([[3, 5, 7, 11], [2, 9, 0, 0]], dtype=np.int32)
        self.expected = infer(small.image, ids, folder, device="sim:tiny")
        mxrun = f"{BIN}/mxrun {small.image} --device /dev/mxaccel0"
        self.command = f"{mxrun} --ids {folder}/ids.npy --out {folder}/vm.npy"
        np.save(folder / "many.npy", np.full((6000, 32), 5, dtype=np.int32))
        self.load = (f"(while {mxrun} --ids {folder}/many.npy --out {folder}/load.npy "
                     f"--batch 6000; do :; done) >{folder}/load 2>&1 &")

    def job(self, seconds=120):
        (self.folder / "vm.npy").unlink(missing_ok=True)
        return self.machine.run(self.command, seconds)

    def start_load(self):
        """Long jobs, one after the other until one fails; returns when there is one."""
        self.machine.ok(self.load)
        self.machine.until(f"[ $(cat {SYSFS}/jobs_in_flight) != 0 ]")

    def load_ended(self):
        """What the program said whose job failed."""
        self.machine.until("! pidof mxrun")
        said = self.machine.ok(f"tail -3 {self.folder}/load")
        assert said, "the job failed"
        return said

    def works(self):
        """A new open works, with the model that was there, and the right answers."""
        status, said = self.job()
        assert status == 0, said
        assert np.array_equal(np.load(self.folder / "vm.npy"), self.expected)

    def sysfs(self, name):
        return self.machine.ok(f"cat {SYSFS}/{name}")

    def cells_written(self):
        return int(self.sysfs("perf/cell_writes"))


@pytest.fixture(scope="module")
def guest(tmp_path_factory, small):
    folder = tmp_path_factory.mktemp("rec")
    make_bert(folder / "other", seed=4)
    map_model(folder / "other", folder / "other.mxw", "--chip", "tiny", "--name", "other")
    with Machine(folder, "--prop", "chip=tiny", "--prop", f"store={folder / 'cells'}",
                 *OPTIONS) as machine:
        machine.ok("true", 300)
        guest = Guest(machine, folder, small)
        guest.works()
        machine.log()
        yield guest


@pytest.fixture(autouse=True)
def afterwards(guest):
    """Whatever a case did: the log has no splat, jobs work, and no cell was programmed again."""
    guest.resets = int(guest.sysfs("reset_count"))
    guest.cells = guest.cells_written()
    guest.same_chip = True
    yield
    guest.machine.until(f"[ $(cat {SYSFS}/state) = live ]")
    guest.works()
    guest.machine.log()
    if guest.same_chip:
        assert guest.cells_written() == guest.cells
    assert guest.sysfs("jobs_in_flight") == "0"


def test_lost_interrupt(guest):
    guest.machine.fault("lost-irq", 1)
    guest.works()
    assert int(guest.sysfs("reset_count")) == guest.resets


@pytest.mark.parametrize("until, resets, sentence", [
    (1, 0, "aborting it"),
    (2, 0, "queue 1 was reset"),
    (3, 1, "chip was reset"),
    (4, 1, "resetting the PCI function"),
], ids=["abort", "queue", "controller", "function"])
def test_hung_job(guest, until, resets, sentence):
    """The job ends with an error, by the rung that helps and none above it."""
    guest.machine.fault("hang-until", until)
    guest.machine.fault("hang", 1)
    status, said = guest.job()
    assert status, said
    guest.machine.until(f"[ $(cat {SYSFS}/state) = live ]")
    log = guest.machine.log()
    assert sentence in log, log
    assert int(guest.sysfs("reset_count")) == guest.resets + resets
    print(f"---- hang, until {until}:\n{said}{log}")


def test_core_dump(guest):
    """It tells of registers, queues and commands; and a uevent told that it is there."""
    guest.machine.run("for d in /sys/class/devcoredump/devcd*; do echo 1 >$d/data; done")
    guest.machine.fault("hang-until", 2)
    guest.machine.fault("hang", 1)
    assert guest.job()[0]
    dump = guest.machine.ok("cat /sys/class/devcoredump/devcd*/data")
    for part in ("mxaccel core dump, version 1", "reason: ", "STATUS: 0x", "queue 0:", "queue 1:",
                 "in flight: cid", "sqe ", "cqe "):
        assert part in dump, dump
    guest.machine.run("for d in /sys/class/devcoredump/devcd*; do echo 1 >$d/data; done")


def test_lost_completion(guest):
    """The chip knows nothing of the command any more: its queue is made anew."""
    guest.machine.fault("drop", 1)
    assert guest.job()[0]
    assert "was reset" in guest.machine.log()
    assert int(guest.sysfs("reset_count")) == guest.resets


def test_long_job_is_not_a_hung_one(guest):
    """A chip that gets on is given time: many short jobs behind one another take longer than
    any of them may."""
    guest.machine.ok(" & ".join([guest.command.replace("vm.npy", f"{n}.npy") for n in range(4)])
                     + " & wait")
    assert "past its deadline" not in guest.machine.log()


@pytest.mark.parametrize("fault", ["status", "id", "phase", "duplicate", "memory", "dma"])
def test_wrong_answers(guest, fault):
    """An error for this job, or none; nothing worse."""
    guest.machine.fault(fault, 1)
    guest.job()
    guest.machine.until(f"[ $(cat {SYSFS}/state) = live ]")


def test_dma_of_queue_entries(guest):
    guest.machine.fault("dma-queue", 1)
    assert guest.job()[0]
    guest.machine.until(f"[ $(cat {SYSFS}/reset_count) = {guest.resets + 1} ]")
    assert "fatal" in guest.sysfs("last_error")


def test_interrupt_flood(guest):
    guest.machine.fault("flood", 20000)
    guest.works()
    guest.machine.fault("flood", 0)


@pytest.mark.parametrize("kind, resets", [(1, 0), (2, 1), (3, 1)],
                         ids=["correctable", "non-fatal", "fatal"])
def test_aer(guest, kind, resets):
    """All handlers of PCI errors are passed through."""
    guest.machine.fault("aer", kind)
    guest.machine.until(f"[ $(cat {SYSFS}/reset_count) = {guest.resets + resets} ]")
    guest.machine.until(f"[ $(cat {SYSFS}/state) = live ]")
    log = guest.machine.log()
    assert "AER" in log, log
    print(f"---- PCI error:\n{log}")


def test_aer_from_the_monitor(guest):
    assert "OK" in guest.machine.hmp("pcie_aer_inject_error mx0 DLP")
    guest.machine.until(f"[ $(cat {SYSFS}/reset_count) = {guest.resets + 1} ]")


def test_function_level_reset(guest):
    guest.machine.ok(f"echo 1 >/sys/bus/pci/devices/{FUNCTION}/reset")
    assert int(guest.sysfs("reset_count")) == guest.resets + 1


def test_all_ones(guest):
    """The device is dead while it does not answer, and comes back by a reset."""
    guest.machine.fault("all-ones", 1)
    assert guest.job()[0]
    guest.machine.until(f"[ $(cat {SYSFS}/state) = dead ]", 60)
    assert guest.job()[0]
    guest.machine.fault("all-ones", 0)
    guest.machine.ok(f"echo 1 >/sys/bus/pci/devices/{FUNCTION}/reset")


def plug(guest):
    """Once the guest has switched the empty slot off: a second later, if it was not asked."""
    guest.machine.until("echo 0 >/sys/bus/pci/slots/0/power; "
                        "dmesg | tail -1 | grep -q 'Already disabled'")
    guest.machine.qmp("device_add", driver="mxaccel", id="mx0", bus="slot0",
                      chip=str(TOP / "qemu-device/chips/tiny.ini"),
                      store=str(guest.folder / "cells"))
    guest.machine.until(f"[ -e {SYSFS}/state ] || {{ dmesg | tail -20; false; }}", 60)


def test_unplug_under_load(guest):
    """Jobs end with an error, the node goes; the same chip plugged in again has its models."""
    guest.same_chip = False
    guest.start_load()
    guest.machine.qmp("device_del", id="mx0")
    guest.machine.wait_event("DEVICE_DELETED")
    guest.machine.until(f"[ ! -e {SYSFS} ]")
    print(f"---- unplugged under load:\n{guest.load_ended()}")
    plug(guest)
    guest.works()
    assert guest.cells_written() == 0, "nothing had to be programmed"
    print(guest.machine.log())


# Opens the device, waits for an event, and then asks the driver for something.
HOLDER = """
import fcntl, os, select
file = os.open("/dev/mxaccel0", os.O_RDWR)
poll = select.poll()
poll.register(file, 0)
print("open", flush=True)
print("hung up" if poll.poll()[0][1] & select.POLLHUP else "an event", flush=True)
try:
    fcntl.ioctl(file, 0xc040b800, bytearray(64))  # QUERY
except OSError as error:
    print(error)
"""


def test_pulled_out_under_load(guest):
    """Nobody asks the guest: its slot is empty all at once. Who has a file open is told so."""
    guest.same_chip = False
    (guest.folder / "holder.py").write_text(HOLDER)
    guest.machine.ok(f"python3 {guest.folder}/holder.py >{guest.folder}/held 2>&1 &")
    guest.machine.until(f"grep -q open {guest.folder}/held")
    guest.start_load()
    guest.machine.fault("remove", 1)
    guest.machine.wait_event("DEVICE_DELETED")
    guest.machine.until(f"[ ! -e {SYSFS} ]")
    said, log = guest.load_ended(), guest.machine.log()
    assert "Card not present" in log and "removed, it is gone" in log, log
    print(f"---- pulled out under load:\n{said}\n{log}", end="")
    guest.machine.until("! pidof python3")
    held = (guest.folder / "held").read_text()
    assert "hung up" in held and "No such device" in held, held
    plug(guest)
    guest.works()
    assert guest.cells_written() == 0, "nothing had to be programmed"
    print(guest.machine.log())


def resident(guest):
    """The ids of the models that the chip holds, by name."""
    said = guest.machine.ok(f"{BIN}/mxrun --resident --device /dev/mxaccel0")
    return {words[4]: words[0] for words in map(str.split, said.splitlines()[1:-1])}


def program_other(guest):
    return guest.machine.run(f"{BIN}/mxrun {guest.folder}/other.mxw --ids {guest.folder}/ids.npy "
                             f"--out {guest.folder}/other.npy --device /dev/mxaccel0")


@pytest.mark.parametrize("step", [1, 2, 3])
def test_power_cut_while_programming(guest, step):
    """The chip comes back with the models that it had, and takes the new one then."""
    guest.same_chip = False
    before = resident(guest)
    guest.machine.fault("power-cut", step)
    status, said = program_other(guest)
    assert status, said
    guest.machine.until(f"[ $(cat {SYSFS}/state) = live ]")
    log = guest.machine.log()
    print(f"---- power lost while programming:\n{said}{log}")
    assert "has lost power" in log, log
    assert resident(guest) == before and before
    guest.works()
    assert guest.cells_written() == 0, "nothing had to be programmed"
    status, said = program_other(guest)
    assert status == 0, said
    guest.machine.ok(f"{BIN}/mxrun --delete {resident(guest)['other']} --device /dev/mxaccel0")


def test_stuck_cells(guest):
    """What is resident is safe, the rest of the chip is used, and health/ tells."""
    guest.same_chip = False
    retired = int(guest.sysfs("health/retired"))
    guest.machine.fault("stuck", 3)
    assert int(guest.sysfs("health/retired")) == retired + 3
    guest.works()
    assert guest.cells_written() == guest.cells
    status, said = program_other(guest)
    assert status == 0, said
    guest.machine.ok(f"{BIN}/mxrun --delete {resident(guest)['other']} --device /dev/mxaccel0")


def test_dead(guest):
    """A job that nothing ends: the device is dead until it is replaced."""
    guest.same_chip = False
    guest.machine.fault("hang-until", 5)
    guest.machine.fault("hang", 1)
    assert guest.job()[0]
    guest.machine.until(f"[ $(cat {SYSFS}/state) = dead ]", 60)
    status, said = guest.job()
    assert status, said
    print(f"---- dead:\n{said}{guest.machine.log()}")
    guest.machine.qmp("device_del", id="mx0")
    guest.machine.wait_event("DEVICE_DELETED")
    guest.machine.until(f"[ ! -e {SYSFS} ]")
    plug(guest)


def test_unload_with_work_in_flight(guest):
    """The module stays while a file is open, and goes when the last is closed."""
    guest.same_chip = False
    guest.machine.fault("hang-until", 1)
    guest.machine.fault("hang", 1)
    guest.machine.ok(f"({guest.command}) >/dev/null 2>&1 & sleep 0.5; ! rmmod mxaccel")
    guest.machine.until("! pidof mxrun")
