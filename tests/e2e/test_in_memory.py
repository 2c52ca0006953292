# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines that see no files of the host: Linux moves to another QEMU with jobs in flight, and
sleeps."""

import contextlib
import time

import numpy as np

from conftest import BIN, TOP, infer, run
from machine import Machine

SYSFS = "/sys/class/mxaccel/mxaccel0"
# A run is one job of all sentences.
SENTENCES, TOKENS = 1000, 32
IO_QUEUE = 1 << 1
LOOP = """
(n=0; echo 0 >/tmp/rounds
while [ ! -e /tmp/stop ] && {command} && cmp /tmp/vm.npy {expected}; do
	n=$((n + 1)); echo $n >/tmp/rounds; echo "sentences, round $n: right" >/dev/kmsg
done; touch /tmp/stopped) >/tmp/load 2>&1 &
"""
# A job is in flight and does not end; says how many did.
STAYS = """
[ $(cat {sysfs}/jobs_in_flight) = 1 ] && cat {sysfs}/perf/jobs >/tmp/jobs && sleep 1 &&
[ $(cat {sysfs}/perf/jobs) = $(cat /tmp/jobs) ] && cat /tmp/jobs
"""


class Moving:
    """A machine in memory, in a QEMU that it can leave for another."""

    def __init__(self, folder, small):
        ids = np.random.default_rng(1).integers(1, 90, (SENTENCES, TOKENS)).astype(np.int32)
        self.expected = infer(small.image, ids, folder, device="sim:tiny")
        np.save(folder / "expected.npy", self.expected)
        self.folder, self.number = folder, 0
        self.options = ["--prop", "chip=tiny", "--mem", "384M", "--timeout", "900",
                        "--module-arg", "job_timeout_ms=3000000"]
        for name in (BIN / "mxrun", small.image, folder / "ids.npy", folder / "expected.npy"):
            self.options += ["--in-memory", name]
        self.command = (f"mxrun {small.image} --ids {folder}/ids.npy --out /tmp/vm.npy "
                        f"--batch {SENTENCES}")

    def start(self, *options):
        self.number += 1
        folder = self.folder / f"machine{self.number}"
        folder.mkdir()
        return Machine(folder, *self.options, *options, share=False)


def tell(machine, what):
    machine.ok(f'echo "{what}; jobs in flight: $(cat {SYSFS}/jobs_in_flight), ended: '
               f'$(cat {SYSFS}/perf/jobs)" >/dev/kmsg')


def move(source, target, folder):
    """Live, over a socket; the source has ended then, as far as its guest is concerned."""
    uri = f"unix:{folder / 'stream'}"
    target.qmp("migrate-incoming", uri=uri)
    tell(source, "moving to another QEMU")
    source.qmp("migrate", uri=uri)
    deadline = time.monotonic() + 120
    while (status := source.qmp("query-migrate")["status"]) != "completed":
        assert status != "failed" and time.monotonic() < deadline, source.qmp("query-migrate")
        time.sleep(0.02)
    while not target.qmp("query-status")["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    source.__exit__()
    tell(target, "in another QEMU")


def test_migration(tmp_path, small):
    """A program runs sentences again and again while its machine moves on, twice: once while it
    runs, once with a job that for sure is in flight before and after. It notices nothing, and
    all its results are those of a machine that stays."""
    moving = Moving(tmp_path, small)
    with contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(moving.start(*options)) for options in
                                ((), ("--incoming", "defer"), ("--incoming", "defer")))
        first.ok("true", 300)
        first.ok(moving.command, 120)
        written = first.ok(f"cat {SYSFS}/perf/cell_writes")
        first.log()
        first.ok(LOOP.format(command=moving.command, expected=tmp_path / "expected.npy"))
        first.until("[ $(cat /tmp/rounds) -gt 0 ]", 120)
        first.until(f"[ $(cat {SYSFS}/jobs_in_flight) = 1 ]")
        move(first, second, tmp_path)
        second.until(f"[ $(cat /tmp/rounds) -gt {second.ok('cat /tmp/rounds')} ]", 120)

        # Both chips fetch nothing: the next job stays where it is.
        second.fault("stall", IO_QUEUE)
        third.fault("stall", IO_QUEUE)
        jobs = second.until(STAYS.format(sysfs=SYSFS), 120)
        move(second, third, tmp_path)
        assert third.ok(f"cat {SYSFS}/jobs_in_flight") == "1"
        assert third.ok(f"cat {SYSFS}/perf/jobs") == jobs
        rounds = third.ok("cat /tmp/rounds")
        third.fault("stall", 0)
        third.until(f"[ $(cat /tmp/rounds) -gt {rounds} ]", 120)
        third.ok("touch /tmp/stop")
        third.until("[ -e /tmp/stopped ]", 120)
        assert third.ok("cat /tmp/load") == "", "no run has failed, no result was another"
        third.seen = first.seen
        print(f"---- moved twice while jobs run:\n{third.log()}")
        assert third.ok(f"cat {SYSFS}/reset_count {SYSFS}/jobs_in_flight").split() == ["0", "0"]
        assert third.ok(f"cat {SYSFS}/perf/cell_writes") == written


def test_suspend(tmp_path):
    """The selftest of sleep, which takes the host's files away from a machine that sees them."""
    program = TOP / "build" / "selftests" / "suspend"
    done = run(TOP / "mxvm", "--prop", "chip=tiny", "--console", tmp_path / "console", "--timeout",
               "300", "--append", "suspend.pm_test_delay=1", "--in-memory", program, "--", program,
               check=False)
    assert done.returncode == 0 and "\nok 1 " in done.stdout, done.stdout + done.stderr
