# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VM that stays up while a test tells its shell and its QEMU what to do.

MXVM_KERNEL=6.1 in the environment takes another kernel than the usual one.
"""

import json
import os
import re
import select
import socket
import subprocess
import time

from conftest import TOP

SPLAT = re.compile(r"WARNING:|BUG:|Call Trace|Oops|INFO: task .* blocked|refcount|KASAN|kmemleak:")


class Machine:
    """mxvm with a shell; use as a context manager."""

    def __init__(self, folder, *options, command=("sh",), share=True):
        self.folder, self.socket = folder, folder / "qmp"
        self.console = folder / "console.log"
        kernel = os.environ.get("MXVM_KERNEL")
        options += ("--kernel", kernel) if kernel else ()
        self.process = subprocess.Popen(
            [str(o) for o in (TOP / "mxvm", "--qmp", self.socket, "--console", self.console,
                              *(("--share", folder) if share else ()), *options, "--",
                              *command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.seen, self.monitor, self.events = 0, None, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.monitor:
            self.monitor.close()

    def run(self, script, seconds=60):
        """Runs a script in the VM's shell: (status, what it said)."""
        mark = os.urandom(8).hex()
        self.process.stdin.write(f"( {script} ) 2>&1; echo {mark} $?\n".encode())
        said, deadline = b"", time.monotonic() + seconds
        end = re.compile(mark.encode() + rb" (\d+)\n")
        while not (found := end.search(said)):
            left = deadline - time.monotonic()
            ready = select.select([self.process.stdout], [], [], max(left, 0))[0]
            part = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert part, f"{script}: {'no answer' if left <= 0 else 'the VM ended'}: {said!r}"
            said += part
        return int(found[1]), said[:found.start()].decode(errors="replace")

    def ok(self, script, seconds=60):
        status, said = self.run(script, seconds)
        assert status == 0, f"{script}: {status}: {said}"
        return said.strip()

    def log(self):
        """What the kernel has said since the last time; a splat fails the test."""
        text = self.ok("dmesg")
        new, self.seen = text[self.seen:], len(text)
        assert not SPLAT.search(new), new
        return new

    def until(self, script, seconds=30):
        """Waits until a script succeeds."""
        deadline = time.monotonic() + seconds
        while (answer := self.run(script))[0]:
            assert time.monotonic() < deadline, f"{script}: {answer[1]}"
            time.sleep(0.2)
        return answer[1].strip()

    # -- QEMU's monitor

    def connect(self, seconds=60):
        """Opens the monitor, which a QEMU that has just been started may not have yet."""
        deadline = time.monotonic() + seconds
        self.monitor = socket.socket(socket.AF_UNIX)
        while self.monitor.connect_ex(str(self.socket)):
            assert time.monotonic() < deadline and self.process.poll() is None, "no monitor"
            time.sleep(0.05)
        self.lines = self.monitor.makefile("r")
        self.lines.readline()
        self.qmp("qmp_capabilities")

    def qmp(self, command, **arguments):
        if not self.monitor:
            self.connect()
        self.monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "event" in answer:
                self.events.append(answer)
            else:
                assert "return" in answer, answer
                return answer["return"]

    def wait_event(self, name, seconds=30):
        deadline = time.monotonic() + seconds
        while not any(event["event"] == name for event in self.events):
            assert time.monotonic() < deadline, f"no {name}"
            self.qmp("query-status")
            time.sleep(0.1)
        self.events = [event for event in self.events if event["event"] != name]

    def fault(self, name, value):
        self.qmp("qom-set", path="/machine/peripheral/mx0", property=f"fault-{name}", value=value)

    def hmp(self, line):
        return self.qmp("human-monitor-command", **{"command-line": line})
