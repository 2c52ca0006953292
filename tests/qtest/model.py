# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small models for the chip, made by hand: MODEL and PARAMS sections as
uapi/mxaccel_image.h lays them out."""

import hashlib
import struct
from dataclasses import dataclass

import hw

VOCAB, TOKENS = 50, 64
IDS, ROWS, OUT, POOLED = range(4)  # regions
ENTRY_EMBED, ENTRY_TOKENS, ENTRY_SENTENCE = range(3)


def digest(data):
    """A section's digest: SHA-256 over those of its chunks."""
    chunks = (data[at:at + hw.CHUNK] for at in range(0, len(data), hw.CHUNK))
    return hashlib.sha256(b"".join(hashlib.sha256(c).digest() for c in chunks)).digest()


@dataclass
class Image:
    """What is programmed, and what a test must know of it."""
    model: bytes
    params: bytes
    content: bytes
    width: int
    table: list
    scales: list


def _op(opcode, kind=0, flags=0, dst=0, src=0, src2=0, k=0, n=0, w_off=0, s_off=0, b_off=0):
    return struct.pack("<BBHHHHHIIIIIQQQIHH", opcode, kind, flags, dst, src, src2, 0, 0, 0, 0, k,
                       n, w_off, s_off, b_off, 0, 0, 0)


def _region(kind, cols=0):
    return struct.pack("<B3xI8x", kind, cols)


def _entry(name, first, nr, out_kind, cols):
    return struct.pack("<32sIIB3xI16x", name, first, nr, out_kind, cols)


class _Params:
    def __init__(self):
        self.data = b""

    def add(self, data):
        at = len(self.data)
        self.data += data + bytes(-len(data) % hw.WORD)
        return at


def make(width=16, variant=0, padding=0, bad_opcode=False):
    """A model with three entries: "embed" gives table[id] * scale[id], "tokens" a product of
    that, "sentence" its mean. padding: unused bytes of parameters."""
    params = _Params()
    stride = (width + hw.WORD - 1) // hw.WORD * hw.WORD
    table = [[(row * 7 + col * 3 + variant) % 255 - 127 for col in range(width)]
             for row in range(VOCAB)]
    scales = [2.0 ** -(row % 5) for row in range(VOCAB)]
    w_table = params.add(b"".join(struct.pack(f"<{width}b", *row) + bytes(stride - width)
                                  for row in table))
    s_table = params.add(struct.pack(f"<{VOCAB}f", *scales))
    panels = (width + 15) // 16 * ((width + 3) // 4) * 64
    w_product = params.add(bytes((i * 37 + 11) % 251 for i in range(panels))
                           if not width % 16 else bytes(panels))
    s_product = params.add(struct.pack(f"<{width}f", *([0.01] * width)))
    b_product = params.add(struct.pack(f"<{width}f", *([0.5] * width)))
    params.add(bytes(padding))

    load = _op(hw.OP_LOAD, dst=IDS)
    embed = _op(hw.OP_EMBED, hw.EMBED_TOKEN, dst=ROWS, src=IDS, k=width, n=VOCAB, w_off=w_table,
                s_off=s_table)
    product = _op(hw.OP_MATMUL, flags=hw.OPF_BIAS, dst=OUT, src=ROWS, k=width, n=width,
                  w_off=w_product, s_off=s_product, b_off=b_product)
    pool = _op(99 if bad_opcode else hw.OP_POOL, hw.POOL_MEAN, dst=POOLED, src=OUT, k=width)
    fence = _op(hw.OP_FENCE)
    entries = [(b"embed", [load, embed, _op(hw.OP_STORE, src=ROWS, k=width)], hw.REGION_ROWS),
               (b"tokens", [load, embed, product, fence, _op(hw.OP_STORE, src=OUT, k=width)],
                hw.REGION_ROWS),
               (b"sentence", [load, embed, product, pool, fence,
                              _op(hw.OP_STORE, src=POOLED, k=width)], hw.REGION_SEQ)]
    regions = [_region(hw.REGION_IDS), _region(hw.REGION_ROWS, width),
               _region(hw.REGION_ROWS, width), _region(hw.REGION_SEQ, width)]
    ops, heads = [], b""
    for name, code, out_kind in entries:
        heads += _entry(name, len(ops), len(code), out_kind, width)
        ops += code
    model = struct.pack("<IIQ48sQIIIII36x", hw.MODEL_MAGIC, hw.MODEL_VERSION, 0, b"qtest",
                        len(params.data), VOCAB, TOKENS, len(regions), len(entries), len(ops))
    model += b"".join(regions) + heads + b"".join(ops)
    content = hashlib.sha256(digest(model) + digest(params.data)).digest()
    return Image(model, params.data, content, width, table, scales)
