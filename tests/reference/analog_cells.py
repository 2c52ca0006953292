# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stuck cells, wires, spare columns and copies make of weights, in plain numpy.

Independent of the chip model: Documentation/analog.rst is all that the two share. Arrays of
conductances are [rows, columns]; row 0 is the farthest from the sense amplifiers, column 0 the
nearest to the drivers.
"""

import numpy as np

UNIT = 32    # parts of a count


def philox(key, counter):
    """Philox4x32-10 of Salmon et al., SC 2011; counter: four arrays of 32-bit numbers."""
    mask = np.uint64(0xffffffff)
    c = [np.asarray(word, np.uint64) for word in np.broadcast_arrays(*counter)]
    k0, k1 = key & 0xffffffff, key >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xd2511f53), c[2] * np.uint64(0xcd9e8d57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9e3779b9) & 0xffffffff, (k1 + 0xbb67ae85) & 0xffffffff
    return c


def place(n, k, count):
    """Of the weight of output n and input k among those of a product with so many inputs."""
    quads = -(-count // 4)
    return ((n // 16 * quads + k // 4) * 16 + n % 16) * 4 + k % 4


def round_half_up(values):
    return np.floor(np.asarray(values) + 0.5).astype(np.int64)


# ------------------------------------------------------------------------------- wires

def nodal(cells, below=0):
    """Currents of the bitlines for each wordline driven alone, [rows, columns]: the network.

    cells: conductances in those of a wire segment; below: further segments of each bitline.
    Bitlines are eliminated column by column, then wordlines from column to column; all of it
    is exact. The tests compare it with the nodal matrix as a whole, for a small array.
    """
    rows, cols = cells.shape
    joined = np.r_[1, np.full(rows - 2, 2), 1] if rows > 1 else np.zeros(1)
    end = 1 / (1 + below)
    lines, pivots, right, reach = [], [], [], []
    for c in range(cols):
        line = np.diag(cells[:, c] + joined) - np.eye(rows, k=1) - np.eye(rows, k=-1)
        line[-1, -1] += end
        reach.append(np.linalg.solve(line, np.diag(cells[:, c])))
        pivot = np.diag(cells[:, c] + (2 if c + 1 < cols else 1)) - cells[:, [c]] * reach[c]
        if c:
            before = np.linalg.inv(pivots[-1])
            pivot -= before
            right.append(before @ right[-1])
        else:
            right.append(np.eye(rows))
        pivots.append(pivot)
    result, at = np.empty((rows, cols)), 0
    for c in reversed(range(cols)):
        at = np.linalg.solve(pivots[c], right[c] + at)
        result[:, c] = end * (reach[c][-1] @ at)
    return result


def relax(cells, below=0, settled=2.0 ** -20, most=2000):
    """Voltage across each cell with all rows driven: lines in turn, as the chip model does."""
    def pivots(cells, first, last):
        out = np.empty_like(cells)
        for i in range(len(cells)):
            wires = (1.0 if i else first) + (1.0 if i + 1 < len(cells) else last)
            out[i] = 1 / (cells[i] + wires - (out[i - 1] if i else 0.0))
        return out

    def solve(cells, pivot, across, source):
        at = np.empty_like(cells)
        at[0] = (cells[0] * across[0] + source) * pivot[0]
        for i in range(1, len(cells)):
            at[i] = (cells[i] * across[i] + at[i - 1]) * pivot[i]
        for i in range(len(cells) - 2, -1, -1):
            at[i] = at[i] + pivot[i] * at[i + 1]
        return at

    word_cells = np.ascontiguousarray(cells.T)
    word_pivots, bit_pivots = pivots(word_cells, 1.0, 0.0), pivots(cells, 0.0, 1 / (1 + below))
    bit = np.zeros_like(cells)
    for _ in range(most):
        word = solve(word_cells, word_pivots, np.ascontiguousarray(bit.T), 1.0).T
        before, bit = bit, solve(cells, bit_pivots, np.ascontiguousarray(word), 0.0)
        if np.abs(bit - before).max() <= settled:
            break
    return word - bit


# ------------------------------------------------------------------------------- cells

class Cells:
    """Effective levels of weights; keys have the names of the chip file's."""

    def __init__(self, crossbar, cols=128, seed=0, on_off_ratio=0, stuck_at_0=0, stuck_at_1=0,
                 wire_ohm=0, cell_ohm=0, spare_cols=0, redundant_slices=0, redundant_copies=1,
                 correction="none"):
        self.crossbar, self.cols, self.seed = crossbar, cols, seed
        self.top = 2 ** crossbar.cell_bits - 1
        self.pedestal = 0
        if on_off_ratio:
            self.pedestal = int(round_half_up(UNIT * self.top / (on_off_ratio - 1)))
        self.highest = UNIT * self.top + self.pedestal
        self.stuck = (stuck_at_0, stuck_at_1)
        self.ratio = wire_ohm / (cell_ohm * float(self.highest)) if wire_ohm else 0
        self.spare_cols = spare_cols
        self.redundant_slices, self.copies = redundant_slices, redundant_copies
        self.correction = correction
        self.nr_stuck = self.nr_spares = 0

    def states(self, rows, cols, count, which):
        """What cells are stuck at (-1, 0 or top), for the first and second of each pair."""
        where = place(cols, rows, count)
        bits = philox(self.seed, (where & 0xffffffff, where >> 32, 2, which))
        def one(word):
            at_0, at_1 = (rate * 2.0 ** 32 for rate in self.stuck)
            return np.where(word < at_0, 0, np.where(word < at_0 + at_1, self.top, -1))
        return one(bits[0]), one(bits[1])

    def pair(self, level):
        if self.crossbar.mapping == "offset":
            return level, None
        return np.maximum(level, 0), np.maximum(-level, 0)

    def harm(self, level, state):
        held = [np.where(s < 0, cell, s) for cell, s in zip(self.pair(level), state)
                if cell is not None]
        return int(np.abs(held[0] - (held[1] if len(held) > 1 else 0) - level).sum())

    def replace(self, level, states, spares):
        """Column of the array that each output has."""
        width = level.shape[1]
        harm = [self.harm(level[:, c], [s[:, c] for s in states]) for c in range(width)]
        at, free = list(range(width)), list(range(self.spare_cols))
        for c in sorted(range(width), key=lambda c: (-harm[c], c)):
            if not harm[c] or not free:
                break
            by_spare = [self.harm(level[:, c], spares[s]) for s in free]
            best = int(np.argmin(by_spare))
            if by_spare[best] < harm[c]:
                at[c] = self.cols + free.pop(best)
        return at

    def one_copy(self, level, first_row, first_col, count, which):
        """Levels, in parts of a count, of an array: [rows, columns]."""
        rows = first_row + np.arange(level.shape[0])[:, None]
        cols = first_col + np.arange(level.shape[1])[None, :]
        states = list(self.states(rows, cols, count, which))
        spares = [[s[:, 0] for s in self.states(rows, np.array([[first_col]]), count,
                                                which | (i + 1) << 8)]
                  for i in range(self.spare_cols)]
        at = self.replace(level, states, spares)
        for c, where in enumerate(at):
            if where >= self.cols:
                states[0][:, c], states[1][:, c] = spares[where - self.cols]
                self.nr_spares += 1
        out = 0
        for cell, state, sign in zip(self.pair(level), states, (1, -1)):
            if cell is None:
                continue
            self.nr_stuck += int((state >= 0).sum())
            held = UNIT * np.where(state < 0, cell, state) + self.pedestal
            out = out + sign * (self.wired(held, at) if self.ratio else held)
        return out

    def wired(self, cells, at):
        width = -(-(self.cols + self.spare_cols) // 16) * 16 if self.spare_cols else \
            -(-cells.shape[1] // 16) * 16
        array = np.zeros((cells.shape[0], width))
        array[:, at] = cells
        active, out = self.crossbar.active, np.empty_like(array)
        for first in range(0, len(array), active):
            group = array[first:first + active]
            below = self.crossbar.rows - first - len(group)
            out[first:first + active] = group * relax(group * self.ratio, below)
        return round_half_up(out[:, at])

    def fit(self, level, effective):
        """Gain and offset of an array, in 1/4096."""
        l, e = level.astype(np.int64).ravel(), effective.astype(np.int64).ravel()
        cells, sums = float(l.size), [float(v) for v in (l.sum(), e.sum(), l @ l, l @ e)]
        spread, gain = cells * sums[2] - sums[0] * sums[0], 1.0
        if spread > 0:
            gain = (cells * sums[3] - sums[0] * sums[1]) / (spread * UNIT)
        if not 1 / 64 <= gain <= 64:
            gain = 1.0
        offset = (sums[1] / UNIT - gain * sums[0]) / cells
        pedestal = self.pedestal / UNIT if self.crossbar.mapping == "offset" else 0.0
        return [int(round_half_up(4096 * v)) for v in (1 / gain, offset / gain - pedestal)]

    def effective(self, w):
        """Levels [slice, N, K] in parts of a count; corrections {(array, slice, column): ...}."""
        levels = self.crossbar.weight_slices(w)
        out, corrections = np.zeros_like(levels), {}
        rows, count = self.crossbar.rows, w.shape[1]
        for i, first_row, first_col in np.ndindex(len(levels), -(-count // rows),
                                                  -(-w.shape[0] // self.cols)):
            r = slice(first_row * rows, (first_row + 1) * rows)
            c = slice(first_col * self.cols, (first_col + 1) * self.cols)
            level = levels[i, c, r].T
            several = i + self.redundant_slices >= len(levels)
            copies = self.copies if several else 1
            total = sum(self.one_copy(level, r.start, c.start, count, i | copy << 4)
                        for copy in range(copies))
            out[i, c, r] = ((2 * total + copies) // (2 * copies)).T
            corrections[first_row, i, first_col] = self.fit(level, out[i, c, r].T)
        return out, corrections
