# SPDX-License-Identifier: LGPL-2.1-or-later
"""Carries a command's streams between this process and the VM's ports."""

import os
import selectors
import socket
import sys
import time

CHUNK = 65536


class Channel:
    """One connected pair of sockets: `near` is ours, `far` is inherited by QEMU."""

    def __init__(self):
        self.near, self.far = socket.socketpair()


class Stream:
    """Output of the command: copied to a file descriptor until the end mark arrives.

    The mark is a random word that the VM writes after the command's last byte, because
    a port has no end of its own that would be ordered with its data.
    """

    def __init__(self, target, mark):
        self.target = target
        self.mark = mark
        self.held = b""
        self.ended = False

    def feed(self, data):
        data = self.held + data
        place = data.find(self.mark)
        if place >= 0:
            self.ended = True
            self.held = b""
            write_all(self.target, data[:place])
            return
        # The mark may begin at the end of this piece: that much waits for the next one.
        keep = min(len(self.mark) - 1, len(data))
        while keep and not self.mark.startswith(data[-keep:]):
            keep -= 1
        self.held = data[len(data) - keep:]
        write_all(self.target, data[:len(data) - keep])


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data):]


class Console:
    """The kernel's console: into a file, its end kept for error messages."""

    def __init__(self, path, echo):
        self.path = path
        self.file = open(path, "wb", buffering=0)
        self.echo = echo
        self.tail = b""

    def feed(self, data):
        self.file.write(data)
        self.tail = (self.tail + data)[-8192:]
        if self.echo:
            write_all(sys.stderr.fileno(), data.replace(b"\r", b""))

    def last_lines(self, count):
        lines = self.tail.decode(errors="replace").replace("\r", "").splitlines()
        return [line for line in lines if line.strip()][-count:]


class Relay:
    """Moves data between the VM's channels and ours until the command has ended.

    result is ("exit", status), ("fail", why), ("died", None) when QEMU went away, or
    ("timeout", None).
    """

    def __init__(self, control, console, console_channel):
        self.selector = selectors.PollSelector()
        self.control = control.near
        self.received = b""
        self.result = None
        self.ready_at = None
        self.streams = []
        self.input = None
        self.pending = b""
        self.open_channels = 0
        self.add(control, self.read_control)
        self.add(console_channel, console.feed)

    def add(self, channel, feed):
        self.open_channels += 1
        self.selector.register(channel.near, selectors.EVENT_READ, (channel.near, feed))

    def add_output(self, channel, descriptor, mark):
        stream = Stream(descriptor, mark)
        self.streams.append(stream)
        self.add(channel, stream.feed)

    def add_input(self, channel, descriptor):
        """Feeds descriptor to the VM; its end becomes the end of the command's input."""
        self.input = (channel.near, descriptor)
        self.selector.register(descriptor, selectors.EVENT_READ, None)

    def read_control(self, data):
        self.received += data
        while b"\n" in self.received:
            line, self.received = self.received.split(b"\n", 1)
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "ready":
                self.ready_at = time.monotonic()
            elif word == "exit":
                self.result = ("exit", int(rest))
            elif word == "fail":
                self.result = ("fail", rest)

    def read_input(self):
        near, descriptor = self.input
        try:
            data = os.read(descriptor, CHUNK)
        except OSError:
            data = b""
        self.selector.unregister(descriptor)
        if data:
            # The port may be full for long: the rest waits until it can be written.
            self.pending = data
            self.watch_input_port(near)
        else:
            near.shutdown(socket.SHUT_WR)

    def watch_input_port(self, near):
        try:
            key = self.selector.get_key(near)
            self.selector.modify(near, key.events | selectors.EVENT_WRITE, key.data)
        except KeyError:
            self.selector.register(near, selectors.EVENT_WRITE, (near, None))

    def write_input(self, near):
        try:
            sent = near.send(self.pending, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self.pending)
        self.pending = self.pending[sent:]
        if self.pending:
            return
        key = self.selector.get_key(near)
        if key.events & selectors.EVENT_READ:
            self.selector.modify(near, selectors.EVENT_READ, key.data)
        else:
            self.selector.unregister(near)
        self.selector.register(self.input[1], selectors.EVENT_READ, None)

    def finished(self):
        return self.result and (self.result[0] != "exit" or all(s.ended for s in self.streams))

    def run(self, deadline):
        """Relays until the command has ended, the VM is gone, or the deadline has passed."""
        while not self.finished():
            if deadline is not None and time.monotonic() >= deadline:
                self.result = ("timeout", None)
                return
            wait = None if deadline is None else max(0, deadline - time.monotonic())
            for key, events in self.selector.select(wait):
                if key.data is None:
                    self.read_input()
                    continue
                near, feed = key.data
                if events & selectors.EVENT_WRITE:
                    self.write_input(near)
                if events & selectors.EVENT_READ:
                    self.read_channel(near, feed)
            if not self.open_channels:
                self.result = ("died", None)
                return

    def read_channel(self, near, feed):
        try:
            data = near.recv(CHUNK)
        except ConnectionResetError:
            data = b""
        if data:
            feed(data)
        else:
            self.selector.unregister(near)
            self.open_channels -= 1

    def acknowledge(self):
        """Tells the VM that all was read; it powers off."""
        try:
            self.control.sendall(b"read\n")
        except OSError:
            pass

    def drain(self, seconds):
        """Reads what the console still says until QEMU is gone; False if it is not."""
        deadline = time.monotonic() + seconds
        if self.input and self.input[1] in self.selector.get_map():
            self.selector.unregister(self.input[1])
        while self.open_channels and time.monotonic() < deadline:
            for key, events in self.selector.select(0.2):
                near, feed = key.data
                if events & selectors.EVENT_READ:
                    self.read_channel(near, feed or (lambda data: None))
                else:
                    self.selector.unregister(near)
        return not self.open_channels
