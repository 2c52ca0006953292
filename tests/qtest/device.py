# SPDX-License-Identifier: LGPL-2.1-or-later
"""The MX1 from the host's side: registers, queue pairs, commands. As little as a driver can
be, and without a driver's care: tests break its rules on purpose."""

import struct
import time
from collections import namedtuple

import hw
from qemu import (PCI_BAR0, PCI_BRIDGE_BUSES, PCI_BRIDGE_MEMORY, PCI_COMMAND, PCI_COMMAND_MASTER,
                  PCI_COMMAND_MEMORY, SECONDS, CHIPS, PciFunction, Qemu)

Completion = namedtuple("Completion", "result sq_head cid field status")
BARS = {hw.BAR_REGS: 0xe0000000, hw.BAR_DOORBELLS: 0xe0020000, hw.BAR_MSIX: 0xe0040000}
BAR_BYTES = {hw.BAR_REGS: 0x10000, hw.BAR_DOORBELLS: 0x20000, hw.BAR_MSIX: 0x1000}
RAM_START, RAM_BYTES = 1 << 20, 255 << 20
IOAPIC = 0xfec00000  # registers of another device: no place for DMA either
PAGE = hw.PAGE
ROOT_PORT = ("-device", "pcie-root-port,id=port0,chassis=1,slot=1,addr=2")


def entry(opcode, body=b"", ctx=0, cid=0, flags=0):
    """A submission entry; the command id is set when it is submitted."""
    return struct.pack("<BBHI56s", opcode, flags, cid, ctx, body)


def changed(sqe, offset, form, value):
    """The entry with one field replaced."""
    data = bytearray(sqe)
    struct.pack_into("<" + form, data, offset, value)
    return bytes(data)


def identify(what, addr, index=0):
    return entry(hw.ADM_IDENTIFY, struct.pack("<IIQ", what, index, addr))


def create_qp(qid, sq_addr, cq_addr, sq_entries=16, cq_entries=16, vector=0, qflags=0):
    return entry(hw.ADM_CREATE_QP, struct.pack("<HHHHQQI", qid, vector, sq_entries - 1,
                                               cq_entries - 1, sq_addr, cq_addr, qflags))


def delete_qp(qid):
    return entry(hw.ADM_DELETE_QP, struct.pack("<H", qid))


def ctx_create(ctx):
    return entry(hw.ADM_CTX_CREATE, ctx=ctx)


def ctx_destroy(ctx):
    return entry(hw.ADM_CTX_DESTROY, ctx=ctx)


def buf_register(ctx, handle, access, size, sg_addr, sg_nr):
    return entry(hw.ADM_BUF_REGISTER, struct.pack("<IIQQI", handle, access, size, sg_addr, sg_nr),
                 ctx)


def buf_unregister(ctx, handle):
    return entry(hw.ADM_BUF_UNREGISTER, struct.pack("<I", handle), ctx)


def model_command(opcode, model, ctx=0):
    return entry(opcode, struct.pack("<I", model), ctx)


def prog_begin(ctx, content, model_bytes, params_bytes):
    return entry(hw.ADM_PROG_BEGIN, struct.pack("<32sQQ", content, model_bytes, params_bytes), ctx)


def prog_write(ctx, prog, offset, size, sg_addr, sg_nr):
    return entry(hw.ADM_PROG_WRITE, struct.pack("<IIQQQ", prog, sg_nr, offset, size, sg_addr), ctx)


def prog_reuse(ctx, prog, first, number, sg_addr, sg_nr, addr):
    return entry(hw.ADM_PROG_REUSE, struct.pack("<IIQI4xQQ", prog, sg_nr, first, number, sg_addr,
                                                addr), ctx)


def prog_end(opcode, ctx, prog):
    return entry(opcode, struct.pack("<I", prog), ctx)


def abort(qid, cid):
    return entry(hw.ADM_ABORT, struct.pack("<HH", qid, cid))


def counters(scope, addr, model=0, ctx=0):
    return entry(hw.ADM_COUNTERS, struct.pack("<IIQ", scope, model, addr), ctx)


def job(ctx, model, nr_seq, tokens, in_handle, out_handle, out_bytes, entry_nr=0, in_offset=0,
        out_offset=0, in_bytes=None, timeout_ms=0):
    in_bytes = nr_seq * tokens * 4 if in_bytes is None else in_bytes
    return entry(hw.IO_JOB, struct.pack(
        "<IHHIIIIQQIIII", model, entry_nr, 0, nr_seq, tokens, in_handle, out_handle, in_offset,
        out_offset, in_bytes, out_bytes, timeout_ms, 0), ctx)


class Queue:
    """A queue pair in guest memory."""

    def __init__(self, dev, qid, sq_entries, cq_entries):
        self.dev, self.qid = dev, qid
        self.sq_entries, self.cq_entries = sq_entries, cq_entries
        self.sq, self.cq = dev.alloc(sq_entries * 64), dev.alloc(cq_entries * 16)
        dev.qemu.write(self.cq, bytes(cq_entries * 16))
        self.tail = self.head = 0
        self.phase, self.next_cid = 1, 1

    def put(self, sqe, cid=None):
        """Writes an entry without telling the device; the command id."""
        if cid is None:
            cid, self.next_cid = self.next_cid, self.next_cid % 0xffff + 1
        self.dev.qemu.write(self.sq + self.tail * 64, changed(sqe, 2, "H", cid))
        self.tail = (self.tail + 1) % self.sq_entries
        return cid

    def ring(self):
        self.dev.doorbell(self.qid, hw.DB_SQ_TAIL, self.tail)

    def submit(self, sqe, cid=None):
        cid = self.put(sqe, cid)
        self.ring()
        return cid

    def peek(self):
        """The next completion if it is there; it stays in the queue."""
        data = self.dev.qemu.read(self.cq + self.head * 16, 16)
        result, sq_head, cid, field, status = struct.unpack("<QHHHH", data)
        if status & hw.CQE_PHASE != self.phase:
            return None
        return Completion(result, sq_head, cid, field, status >> hw.CQE_STATUS_SHIFT)

    def wait(self, seconds=SECONDS, acknowledge=True):
        deadline = time.monotonic() + seconds
        while (done := self.peek()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"queue {self.qid}: nothing completed, device status "
                                   f"{self.dev.reg(hw.REG_STATUS):#x}")
            time.sleep(0.001)
        self.head = (self.head + 1) % self.cq_entries
        if not self.head:
            self.phase ^= 1
        if acknowledge:
            self.dev.doorbell(self.qid, hw.DB_CQ_HEAD, self.head)
        return done

    def run(self, sqe):
        cid = self.submit(sqe)
        done = self.wait()
        assert done.cid == cid
        return done


class Device:
    """A device behind a root port, and the memory it works on."""

    def __init__(self, folder, options="", arguments=(), chip="tiny"):
        if chip:
            options = f"chip={CHIPS / chip}.ini,{options}"
        self.qemu = Qemu(folder, *ROOT_PORT, "-device",
                         f"mxaccel,id=mx0,bus=port0,{options}".rstrip(","), *arguments)
        self.free = RAM_START
        self.port, self.pci = PciFunction(self.qemu, 0, 2), PciFunction(self.qemu, 1, 0)
        self.queues = {}
        self.qemu.enable_mmconfig()
        self.setup_pci()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.close()

    def setup_pci(self):
        """What firmware does: bus numbers, windows, addresses."""
        self.port.set(PCI_BRIDGE_BUSES, 0x010100)
        self.port.set(PCI_BRIDGE_MEMORY, 0xe000e000)
        self.port.set(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2)
        for bar, address in BARS.items():
            self.pci.set(PCI_BAR0 + bar * 4, address)
            self.pci.set(PCI_BAR0 + bar * 4 + 4, 0)
        self.pci.set(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2)

    def alloc(self, size, align=PAGE):
        """Guest memory, never given back."""
        address = (self.free + align - 1) // align * align
        self.free = address + size
        assert self.free <= RAM_START + RAM_BYTES
        return address

    def place(self, data, align=PAGE):
        address = self.alloc(len(data), align)
        self.qemu.write(address, data)
        return address

    def sg(self, *segments):
        """A segment list in memory: its address."""
        return self.place(b"".join(struct.pack("<QII", addr, size, 0)
                                   for addr, size in segments), 16)

    # -- registers

    def reg(self, offset, size=4):
        return self.qemu.load(BARS[hw.BAR_REGS] + offset, size)

    def set_reg(self, offset, value, size=4):
        self.qemu.store(BARS[hw.BAR_REGS] + offset, size, value)

    def doorbell(self, qid, reg, value):
        self.qemu.store(BARS[hw.BAR_DOORBELLS] + qid * hw.DB_STRIDE + reg, 4, value)

    def wait_status(self, mask, value, seconds=SECONDS):
        deadline = time.monotonic() + seconds
        while (status := self.reg(hw.REG_STATUS)) & mask != value:
            assert time.monotonic() < deadline, f"STATUS stays {status:#x}"
            time.sleep(0.001)
        return status

    def fatal(self):
        """Code of the fatal error, 0 if there is none."""
        status = self.reg(hw.REG_STATUS)
        if not status & hw.STATUS_FATAL:
            return 0
        return status >> hw.STATUS_CODE_SHIFT & hw.STATUS_CODE_MASK

    def enable(self, sq_entries=32, cq_entries=32):
        admin = Queue(self, 0, sq_entries, cq_entries)
        self.queues = {0: admin}
        self.set_reg(hw.REG_AQA, (cq_entries - 1) << 16 | sq_entries - 1)
        self.set_reg(hw.REG_ASQ, admin.sq, 8)
        self.set_reg(hw.REG_ACQ, admin.cq, 8)
        self.set_reg(hw.REG_CTRL, hw.CTRL_EN)
        self.wait_status(hw.STATUS_RDY | hw.STATUS_FATAL, hw.STATUS_RDY)
        return admin

    def disable(self):
        self.set_reg(hw.REG_CTRL, 0)
        self.wait_status(0xffff, 0)

    def latch(self):
        self.set_reg(hw.REG_CTR_LATCH, 0)
        return [self.reg(hw.REG_CTR + 8 * i, 8) for i in range(hw.CTR_NR)]

    # -- commands that must succeed

    def admin(self, sqe):
        done = self.queues[0].run(sqe)
        assert done.status == hw.ST_SUCCESS, (hw.STATUS_NAMES[done.status], done.field)
        return done.result

    def make_queue(self, qid=1, sq_entries=16, cq_entries=16, vector=0, irq=False):
        queue = Queue(self, qid, sq_entries, cq_entries)
        self.admin(create_qp(qid, queue.sq, queue.cq, sq_entries, cq_entries, vector,
                             hw.QP_IRQ if irq else 0))
        self.queues[qid] = queue
        return queue

    def make_buffer(self, ctx, handle, size, access=None):
        """A buffer of one segment: its address."""
        address = self.alloc(size)
        access = hw.BUF_READ | hw.BUF_WRITE if access is None else access
        self.admin(buf_register(ctx, handle, access, size, self.sg((address, size)), 1))
        return address

    def counters(self, scope=hw.SCOPE_DEVICE, model=0, ctx=0):
        page = self.alloc(PAGE)
        self.admin(counters(scope, page, model, ctx))
        return struct.unpack(f"<{hw.CTR_NR}Q", self.qemu.read(page, hw.CTR_NR * 8))

    def models(self):
        """The directory: {model id: content}."""
        page, found = self.alloc(PAGE), {}
        self.admin(identify(hw.IDENTIFY_MODELS, page))
        for slot in range(min(hw.MODELS_PER_PAGE, self.chip_value(hw.CHIP_MAX_MODELS))):
            ident, flags, content = struct.unpack("<II32s", self.qemu.read(page + slot * 128, 40))
            if flags & hw.MODEL_VALID:
                found[ident] = content
        return found

    def identity(self):
        page = self.alloc(PAGE)
        self.admin(identify(hw.IDENTIFY_DEVICE, page))
        return self.qemu.read(page, PAGE)

    def chip_value(self, index):
        return struct.unpack_from("<Q", self.identity(), 256 + index * 8)[0]

    def free_bytes(self):
        return struct.unpack_from("<Q", self.identity(), 72)[0]

    def write_section(self, ctx, prog, offset, data):
        address = self.place(data)
        return self.queues[0].run(prog_write(ctx, prog, offset, len(data),
                                             self.sg((address, len(data))), 1))

    def program(self, ctx, image):
        """Programs a model (see model.py) for a context: its id."""
        done = self.queues[0].run(prog_begin(ctx, image.content, len(image.model),
                                             len(image.params)))
        if done.status == hw.ST_RESIDENT:
            return done.result
        assert done.status == hw.ST_SUCCESS, (hw.STATUS_NAMES[done.status], done.field)
        prog = done.result
        params_at = (len(image.model) + PAGE - 1) // PAGE * PAGE
        assert self.write_section(ctx, prog, 0, image.model).status == hw.ST_SUCCESS
        assert self.write_section(ctx, prog, params_at, image.params).status == hw.ST_SUCCESS
        return self.admin(prog_end(hw.ADM_PROG_COMMIT, ctx, prog))


class Ready:
    """An enabled device with a model, a context that may use it, and a queue."""

    def __init__(self, device, image):
        self.dev, self.image, self.ctx = device, image, 1
        device.enable()
        device.admin(ctx_create(self.ctx))
        self.model = device.program(self.ctx, image)
        self.queue = device.make_queue()
