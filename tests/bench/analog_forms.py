# SPDX-License-Identifier: LGPL-2.1-or-later
"""Analog products in numpy, as peers of the chip model's: written from the formulas alone.

CrossSimForm computes as CrossSim does (3.2, style BITSLICED, BALANCED, on a CPU): a matrix is cut
into arrays of 128 x 128 in float32, a product runs array by array, and in an array step by step
and slice by slice, each with its converter; read noise is drawn for each cell, vector, step and
slice. batched() does the same without noise in as few and as large operations as numpy has.
"""

import numpy as np

ROWS = COLS = 128
SLICES, CELL_BITS, BITS, ADC_BITS = 4, 2, 8, 8
TOP = 2 ** CELL_BITS - 1
HIGH = 2 ** (ADC_BITS - 1) - 1


def slices_of(w):
    """Levels [slice, N, K] of differential pairs, signed."""
    w = w.astype(np.int64)
    return [np.sign(w) * (np.abs(w) >> CELL_BITS * i & TOP) for i in range(SLICES)]


class CrossSimForm:
    """Inputs are unsigned, 0 to 255; an ADC code is one count. Conductances are in parts of
    the highest one."""

    def __init__(self, w, program_sigma=0, on_off_ratio=0, read_sigma=0, seed=1):
        self.shape, self.read_sigma = w.shape, read_sigma
        self.generator = np.random.default_rng(seed)
        self.lowest = 1 / on_off_ratio if on_off_ratio else 0
        self.arrays = {}
        for row in range(0, w.shape[0], COLS):
            for col in range(0, w.shape[1], ROWS):
                part = w[row:row + COLS, col:col + ROWS]
                self.arrays[row, col] = [self.program(level, program_sigma)
                                         for level in slices_of(part)]

    def program(self, level, sigma):
        """Conductances of the positive and the negative cells; their difference, unless they
        are to be read one by one."""
        pair = []
        for cells in (np.maximum(level, 0), np.maximum(-level, 0)):
            g = self.lowest + (1 - self.lowest) * cells / TOP
            if sigma:
                g += self.generator.normal(0, sigma, g.shape)
            pair.append(g.astype(np.float32))
        return pair if self.read_sigma else pair[0] - pair[1]

    def read(self, cells, bits):
        """Currents of cells that have another error for each vector."""
        cells = np.broadcast_to(cells[:, :, None], cells.shape + bits.shape[1:])
        noisy = cells + self.generator.normal(0, self.read_sigma, cells.shape)
        return (noisy * bits).sum(axis=1).astype(np.float32)

    @staticmethod
    def convert(current):
        """The ADC: a code for each current, as a current."""
        high = np.float32(HIGH / TOP)
        levels = np.float32(2 * HIGH / (2 * high))
        code = current.clip(-high, high)
        code -= -high
        code *= levels
        np.rint(code, out=code)
        code /= levels
        code += -high
        return code

    def multiply_array(self, slices, vectors):
        rest = np.rint(vectors * (2 ** BITS - 1))
        columns = np.shape(slices[0])[-2]
        sums = [np.zeros((columns, vectors.shape[1]), np.float32) for _ in slices]
        for _ in range(BITS):
            bits = rest % 2
            rest = rest // 2
            for cells, total in zip(slices, sums):
                if self.read_sigma:
                    current = self.read(cells[0], bits) - self.read(cells[1], bits)
                else:
                    current = cells @ bits
                total += self.convert(current)
                total /= 2
        y = 0
        for i, total in enumerate(sums):
            total *= 2 ** BITS / (2 ** BITS - 1)
            if self.lowest:
                total /= 1 - self.lowest
            y = y + 2 ** (CELL_BITS * i) * total
        return y * TOP

    def multiply(self, x):
        """[N, K] times x [K, T]."""
        x = (x / (2 ** BITS - 1)).astype(np.float32)
        y = np.zeros((self.shape[0], x.shape[1]))
        for (row, col), slices in self.arrays.items():
            y[row:row + COLS] += self.multiply_array(slices, x[col:col + ROWS])
        return y * (2 ** BITS - 1)


def batched(w, x):
    """Signed inputs x [T, K]: a function that multiplies; operands are prepared before."""
    x = x.astype(np.int64)
    levels = [level.astype(np.float32).T for level in slices_of(w)]
    bits = [(x >> k & 1).astype(np.float32) for k in range(BITS)]

    def multiply():
        y = np.zeros((x.shape[0], w.shape[0]), np.float32)
        for first in range(0, w.shape[1], ROWS):
            for i, level in enumerate(levels):
                for k, bit in enumerate(bits):
                    s = bit[:, first:first + ROWS] @ level[first:first + ROWS]
                    np.rint(s, out=s)
                    np.clip(s, -HIGH, HIGH, out=s)
                    s *= 4 ** i * (2 ** k if k < 7 else -128)
                    y += s
        return y

    return multiply
