# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/run itself: what it takes for a kernel's complaint, and how it reads TAP."""

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

LOADER = importlib.machinery.SourceFileLoader(
    "runner", str(Path(__file__).resolve().parents[1] / "run"))
runner = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", LOADER))
LOADER.exec_module(runner)

# The first line of each kind of complaint, as kernels 6.1 and 6.12 print them.
COMPLAINTS = {
    "oops": "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "die": "Oops: general protection fault, probably for non-canonical address 0xdead: 0000",
    "panic": "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009",
    "warning": "WARNING: CPU: 1 PID: 88 at driver/queue.c:120 mx_queue_submit+0x40/0x90",
    "kasan": "BUG: KASAN: slab-use-after-free in mx_job_done+0x1f/0x200 [mxaccel]",
    "ubsan": "UBSAN: array-index-out-of-bounds in driver/job.c:60:12",
    "ubsan shift": "UBSAN: shift-out-of-bounds in driver/queue.c:9:3",
    "sleep": "BUG: sleeping function called from invalid context at mm/slab.h:510",
    "lock cycle": "WARNING: possible circular locking dependency detected",
    "lock irq": "WARNING: inconsistent lock state",
    "lock held": "WARNING: lock held when returning to user space!",
    "rcu": "WARNING: suspicious RCU usage",
    "soft lockup": "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [jobs:120]",
    "rcu stall": "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "hung": "INFO: task jobs:97 blocked for more than 120 seconds.",
    "workqueue": "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 40s!",
    "refcount": "refcount_t: underflow; use-after-free.",
    "list": "list_del corruption. prev->next should be ffff88, but was dead000000000122",
    "objects": "ODEBUG: free active (active state 0) object: 00000000 object type: work_struct",
    "dma leak": "DMA-API: mxaccel 0000:01:00.0: device driver has pending DMA allocations "
                "while released from device [count=1]",
    "dma sync": "DMA-API: mxaccel 0000:01:00.0: device driver tries to sync DMA memory it has "
                "not allocated [device address=0x0000000000001000] [size=64 bytes]",
    "kmemleak": "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "iommu": "DMAR: [DMA Write NO_PASID] Request device [01:00.0] fault addr 0x1000",
    "irq": "irq 26: nobody cared (try booting with the \"irqpoll\" option)",
    "page": "BUG: Bad page state in process jobs  pfn:12345",
}
# What a healthy kernel prints.
HARMLESS = [
    "mxaccel: loading out-of-tree module taints kernel.",
    "mxaccel mxaccel0: job 3 is past its deadline: aborting it",
    "mxaccel mxaccel0: chip was reset: its models are kept, open files must be reopened",
    "kmemleak: Kernel memory leak detector initialized (mem pool available: 15744)",
    "kasan: KernelAddressSanitizer initialized",
    "DMA-API: preallocated 65536 debug entries",
    "DMA-API: debugging enabled by kernel config",
    "DMAR: Host address width 39",
    "Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
    "rcu: \tRCU lockdep checking is enabled.",
    "Running RCU self tests",
]


@pytest.fixture
def totals(capsys):
    result = runner.Totals()
    yield result
    capsys.readouterr()


@pytest.mark.parametrize("kind", COMPLAINTS)
def test_complaint_fails_the_suite(kind, tmp_path, totals):
    lines = [f"[    1.{number:06}] {line}" for number, line in enumerate(HARMLESS)]
    lines.insert(4, f"[   17.123456] {COMPLAINTS[kind]}")
    (tmp_path / "console.log").write_text("\n".join(lines))
    runner.check_consoles(totals, "suite", tmp_path)
    assert len(totals.failures) == 1 and "the kernel complained" in totals.failures[0]


def test_healthy_kernel_passes(tmp_path, totals):
    (tmp_path / "console.log").write_text("\n".join(HARMLESS))
    runner.check_consoles(totals, "suite", tmp_path)
    assert not totals.failures


def read(totals, text, status=0):
    reader = runner.TapReader(totals, "suite")
    for line in text.splitlines():
        reader.line(line)
    reader.finish(status)


def test_tap_counts(totals):
    read(totals, "TAP version 13\n1..3\nok 1 a\nok 2 b # SKIP no such kernel\nnot ok 3 c\n", 1)
    assert (totals.passed, totals.skipped, totals.failures) == (1, 1, ["suite: c"])


@pytest.mark.parametrize("text, status", [
    ("1..2\nok 1 a\n", 0),                   # stopped before its plan was done
    ("1..1\nok 1 a\n", 1),                   # ended with an error that no test explains
    ("", 0),                                 # ran no test
    ("1..1\nok 1 a\nBail out! broken\n", 0),
])
def test_incomplete_suite_fails(text, status, totals):
    read(totals, text, status)
    assert len(totals.failures) == 1


def test_suite_skipped_as_a_whole(totals):
    read(totals, "KTAP version 1\n1..0 # SKIP this kernel has no KUnit\n", None)
    assert (totals.passed, totals.skipped, totals.failures) == (0, 1, [])


@pytest.mark.parametrize("suite, expected", [
    ("selftests-6.12", ("6.12", "off")),
    ("selftests-debug-on", ("debug", "on")),
    ("selftests-6.1-pt", ("6.1", "pt")),
    ("interrupts-6.12", ("6.12", "off")),
])
def test_variant_of_a_suite(suite, expected):
    assert runner.selftest_variant(suite) == expected


@pytest.fixture
def here(tmp_path, monkeypatch):
    """What is meant for the VM runs on this machine."""
    run_lines = runner.run_lines
    monkeypatch.setattr(runner, "LOGS", tmp_path)
    monkeypatch.setattr(runner, "run_lines", lambda command, *rest: run_lines(
        command[command.index("--") + 1:], *rest))
    return tmp_path


def test_status_of_a_program_counts(here, totals):
    runner.run_in_vm(totals, "suite", "6.12", [], [
        ("good", "echo 1..1; echo ok 1 a"),
        ("ends badly", "echo 1..1; echo ok 1 b; exit 3"),
        ("setting", "X=5 sh -c 'echo 1..1; echo ok 1 $X'"),
    ])
    assert totals.passed == 3
    assert totals.failures == ["suite/ends badly: ended with status 3"]


def test_vm_that_ends_early_fails(here, totals):
    runner.run_in_vm(totals, "suite", "6.12", [], [("a", "kill $PPID"), ("b", "echo ok 1 b")])
    assert len(totals.failures) == 1 and "the VM ended during suite/a" in totals.failures[0]


def test_settings_are_on_devices_of_their_own(monkeypatch, totals):
    vms = []
    monkeypatch.setattr(runner, "listed", lambda kind: ["build/jobs", "build/ioctls"])
    monkeypatch.setattr(runner, "run_in_vm", lambda _totals, _suite, kernel, options, tests, part:
                        vms.append((kernel, " ".join(options), tests)))
    runner.run_interrupts(totals, "interrupts-6.1")
    assert {kernel for kernel, _, _ in vms} == {"6.1"}
    assert "--devices 3 --prop 0:vectors=1 --prop 1:queues=1 --prop 2:shadow=off" in vms[0][1]
    assert vms[0][2][2] == ("jobs, shadow=off", "MX_DEVICE=/dev/mxaccel2 build/jobs")
    assert "coalesce_count=8" in vms[1][1]
    assert vms[1][2] == [("jobs, coalescing", "MX_DEVICE=/dev/mxaccel0 build/jobs")]


def test_matrix_shows_the_last_run(here, totals, capsys):
    before = runner.counts(totals)
    read(totals, "1..3\nok 1 a\nok 2 b # SKIP no such kernel\nnot ok 3 c\n", 1)
    runner.keep_counts("selftests-6.1-pt", before, runner.counts(totals))
    capsys.readouterr()
    runner.print_matrix({"unit": runner.run_unit, "selftests-6.1-pt": runner.run_selftests})
    heading, unit, selftests = capsys.readouterr().out.splitlines()
    assert heading.split()[:6] == ["suite", "kernel", "IOMMU", "passed", "failed", "skipped"]
    assert unit.split()[0] == "unit" and "not run" in unit
    assert selftests.split()[:6] == ["selftests-6.1-pt", "6.1", "pt", "1", "1", "1"]
