# SPDX-License-Identifier: LGPL-2.1-or-later
"""Crossbar products in plain numpy, from the published formulas: the reference of mxmvm.

Shafiee et al., "ISAAC", ISCA 2016: inputs bit by bit, weights in slices of cells, an ADC for
each sum, shift-and-add; offset weights with 128 * (sum of the inputs) taken off. Differential
pairs and sign-magnitude inputs are those of CrossSim's BALANCED core and SignMagnitudeDAC.
Nothing here is shared with, or made from, the chip model.
"""

import numpy as np
from analog_cells import UNIT


class Crossbar:
    """Parameters of a product, by the names of the chip file's keys."""

    def __init__(self, rows=128, cell_bits=2, dac_bits=1, adc_bits=8, input="twos_complement",
                 mapping="differential", rows_active=0, adc_tie="half_even", steps=(1,)):
        self.rows, self.cell_bits, self.dac_bits = rows, cell_bits, dac_bits
        self.adc_bits, self.input, self.mapping = adc_bits, input, mapping
        self.active = rows_active or rows
        self.tie = adc_tie
        self.slices = -(-(7 if mapping == "differential" else 8) // cell_bits)
        self.bits = -(-(7 if input == "sign_magnitude" else 8) // dac_bits)
        self.lsb = list(steps) * self.slices if len(steps) == 1 else list(steps)

    def weight_slices(self, w):
        """Levels [slice, N, K], signed for a differential pair."""
        w = w.astype(np.int64)
        level = 2 ** self.cell_bits
        if self.mapping == "offset":
            return np.stack([(w + 128) // level ** i % level for i in range(self.slices)])
        return np.stack([np.sign(w) * (np.abs(w) // level ** i % level)
                         for i in range(self.slices)])

    def input_digits(self, x):
        """Digits [bit, T, K] and the factor of each bit."""
        x = x.astype(np.int64)
        level = 2 ** self.dac_bits
        factors = [level ** k for k in range(self.bits)]
        if self.input == "sign_magnitude":
            return np.stack([np.sign(x) * (np.abs(x) // f % level) for f in factors]), factors
        digits = np.stack([(x // f) % level for f in factors])
        if self.input == "twos_complement":
            # The sign bit has a negative weight: as a factor if it is a step of its own,
            # else within its digit.
            if self.dac_bits == 1:
                factors[-1] = -factors[-1]
            else:
                digits[-1] -= level * (digits[-1] >= level // 2)
        return digits, factors

    def code_range(self, bit):
        signed_digit = self.input == "sign_magnitude" or (
            self.input == "twos_complement" and self.dac_bits > 1 and bit == self.bits - 1)
        if self.mapping == "differential" or signed_digit:
            high = 2 ** (self.adc_bits - 1) - 1
            return -high, high
        return 0, 2 ** self.adc_bits - 1

    def round(self, sums, step):
        whole, rest = np.divmod(sums, step)
        up = 2 * rest > step
        if self.tie == "half_up":
            up |= 2 * rest == step
        else:
            up |= (2 * rest == step) & (whole % 2 == 1)
        return whole + up

    def multiply(self, w, x, cells=None):
        """y [T, N], sums and codes [array, slice, bit, N, T], number of clamped codes.

        With cells (analog_cells.py), sums are in their parts of a count.
        """
        count, unit = w.shape[1], UNIT if cells else 1
        levels, corrections = cells.effective(w) if cells else (self.weight_slices(w), {})
        corrected = cells is not None and cells.correction == "array"
        digits, factors = self.input_digits(x)
        y = np.zeros((x.shape[0], w.shape[0]), np.int64)
        sums, codes, clamped = [], [], 0
        for first in range(0, count, self.active):
            rows = slice(first, min(first + self.active, count))
            total = x[:, rows].astype(np.int64).sum(axis=1, keepdims=True)
            for i in range(self.slices):
                part = np.zeros_like(y)
                for k in range(self.bits):
                    low, high = self.code_range(k)
                    s = levels[i][:, rows] @ digits[k][:, rows].T
                    rounded = self.round(s, unit * self.lsb[i])
                    code = np.clip(rounded, low, high)
                    clamped += int((rounded != code).sum())
                    sums.append(s)
                    codes.append(code)
                    part += (self.lsb[i] * factors[k] * code).T
                if corrected:
                    gain, offset = np.array([corrections[first // self.rows, i, n // cells.cols]
                                             for n in range(w.shape[0])]).T
                    part = gain * part - offset * total
                y += 2 ** (self.cell_bits * i) * part
        if corrected:
            y = (2 * y + 4096) // 8192
        if self.mapping == "offset":
            total = x.astype(np.int64).sum(axis=1, keepdims=True)
            y -= 128 * total
            if cells:
                weight = sum(2 ** (self.cell_bits * i) for i in range(self.slices))
                y -= (2 * cells.pedestal * weight * total + UNIT) // (2 * UNIT)
        shape = (-1, self.slices, self.bits, w.shape[0], x.shape[0])
        return y, np.reshape(sums, shape), np.reshape(codes, shape), clamped
