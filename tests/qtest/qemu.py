# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU without a guest: memory, ports and PCI configuration through the qtest protocol, and
the machine's management through QMP."""

import base64
import json
import os
import socket
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("MXACCEL_QEMU", str(TOP / "build" / "qemu-system-x86_64"))
CHIPS = TOP / "qemu-device" / "chips"
SECONDS = 60

MMCONFIG = 0xb0000000
PCI_COMMAND, PCI_BAR0, PCI_BRIDGE_BUSES, PCI_BRIDGE_MEMORY = 0x04, 0x10, 0x18, 0x20
PCI_COMMAND_MEMORY, PCI_COMMAND_MASTER = 2, 4


class QemuError(Exception):
    """QEMU refused to start, or a QMP command; the text is what it said."""


class Connection:
    """A client of a Unix socket that speaks lines."""

    def __init__(self, listener):
        self.socket, _ = listener.accept()
        self.socket.settimeout(SECONDS)
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def send(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def receive(self):
        line = self.lines.readline()
        if not line:
            raise QemuError("QEMU is gone")
        return line.rstrip("\n")

    def close(self):
        self.lines.close()
        self.socket.close()


class Qemu:
    """A q35 machine; use as a context manager. folder is for its sockets."""

    def __init__(self, folder, *arguments, memory=256):
        self.folder, self.events = folder, []
        listeners = [self._listen("qtest"), self._listen("qmp")]
        command = [BINARY, "-accel", "qtest", "-machine", "q35", "-nodefaults", "-display",
                   "none", "-m", str(memory), "-L", "/usr/share/qemu", "-L",
                   "/usr/share/seabios", "-qtest-log", "/dev/null",
                   "-qtest", f"unix:{folder}/qtest", "-chardev",
                   f"socket,id=qmp,path={folder}/qmp", "-mon", "chardev=qmp,mode=control",
                   # so that an unplugged slot is the guest's business, not the firmware's
                   "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", *arguments]
        self.log = open(folder / "qemu.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)
        self.connections = []
        try:
            for listener in listeners:
                self.connections.append(self._accept(listener))
            self.qtest, self.monitor = self.connections
            self._receive_qmp()  # the greeting
            self.qmp("qmp_capabilities")
        except (QemuError, OSError) as error:
            self.process.wait(SECONDS)
            said = self.output().strip()
            self.close()
            raise QemuError(said or f"QEMU: {error}") from None
        finally:
            for listener in listeners:
                listener.close()

    def _listen(self, name):
        listener = socket.socket(socket.AF_UNIX)
        (self.folder / name).unlink(missing_ok=True)
        listener.bind(str(self.folder / name))
        listener.listen(1)
        listener.settimeout(0.05)
        return listener

    def output(self):
        self.log.flush()
        return Path(self.log.name).read_text(encoding="utf-8")

    def _accept(self, listener):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                return Connection(listener)
            except TimeoutError:
                if self.process.poll() is not None:
                    break
        self.process.kill()
        raise QemuError("no connection")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self, kill=False):
        """Ends QEMU; its exit status, None if it had to be killed."""
        if self.process.poll() is None and not kill and len(self.connections) == 2:
            try:
                self.qmp("quit")
            except (QemuError, OSError):
                pass
        elif self.process.poll() is None:
            self.process.kill()
        status = None
        try:
            status = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for connection in self.connections:
            connection.close()
        self.connections = []
        self.log.close()
        return status

    # -- QMP

    def _receive_qmp(self):
        return json.loads(self.monitor.receive())

    def qmp(self, command, **arguments):
        self.monitor.send(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = self._receive_qmp()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QemuError(answer["error"]["desc"])
            else:
                return answer["return"]

    def wait_event(self, name, seconds=SECONDS):
        """Waits for an event; others are kept."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event["data"]
            self.qmp("query-status")
            time.sleep(0.01)
        raise QemuError(f"no {name} within {seconds} s: {self.events}")

    # -- qtest: memory, ports and the virtual clock

    def command(self, text):
        self.qtest.send(text)
        answer = self.qtest.receive().split()
        if answer[0] != "OK":
            raise QemuError(f"{text[:60]}: {' '.join(answer)}")
        return answer[1] if len(answer) > 1 else None

    def load(self, address, size):
        return int(self.command(f"read{'?bw?l???q'[size]} {address:#x}"), 16)

    def store(self, address, size, value):
        self.command(f"write{'?bw?l???q'[size]} {address:#x} {value:#x}")

    def read(self, address, size):
        if not size:
            return b""
        return base64.b64decode(self.command(f"b64read {address:#x} {size:#x}"))

    def write(self, address, data):
        # QEMU looks for a line's end from its start at each piece it receives.
        for at in range(0, len(data), 8192):
            part = data[at:at + 8192]
            self.command(f"b64write {address + at:#x} {len(part):#x} "
                         f"{base64.b64encode(part).decode()}")

    def clock_step(self, milliseconds=0, nanoseconds=0):
        self.command(f"clock_step {milliseconds * 1000000 + nanoseconds}")

    # -- PCI

    def enable_mmconfig(self):
        self.command("outl 0xcf8 0x80000064")
        self.command("outl 0xcfc 0")
        self.command("outl 0xcf8 0x80000060")
        self.command(f"outl 0xcfc {MMCONFIG | 1:#x}")


class PciFunction:
    """Configuration space of a function, by MMCONFIG."""

    def __init__(self, qemu, bus, device):
        self.qemu, self.base = qemu, MMCONFIG + (bus << 20) + (device << 15)

    def get(self, offset, size=4):
        return self.qemu.load(self.base + offset, size)

    def set(self, offset, value, size=4):
        self.qemu.store(self.base + offset, size, value)

    def capability(self, ident):
        at = self.get(0x34, 1)
        while at:
            if self.get(at, 1) == ident:
                return at
            at = self.get(at + 1, 1)
        raise AssertionError(f"no capability {ident:#x}")

    def extended_capability(self, ident):
        at = 0x100
        while at:
            header = self.get(at)
            if header & 0xffff == ident:
                return at
            at = header >> 20
        raise AssertionError(f"no extended capability {ident:#x}")
