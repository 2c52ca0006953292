# SPDX-License-Identifier: LGPL-2.1-or-later
"""A BERT encoder's stages and their list schedule, written from the text of
Documentation/cost-model.rst and as plainly as it can be said.

Weights are taken to have units of their own (passes = 1), which small models have on
in-place and traditional chips; on synergy chips the banks are taken to be fast.
"""

from math import ceil, log2

from formulas import conversions

TICKS = 256
ALL = "barrier"


class Stages:
    """The stages of a sequence of `length` tokens: what each op takes, by organisation."""

    def __init__(self, chip, shape, planes, entry, length, flight):
        self.chip, self.length, self.flight = chip, length, flight
        self.kind = chip["chip"]["organisation"]
        self.list, self.wait, self.op = [], False, 0
        self.turns = {"norm": 0, "requant": 0, "table": 0}
        self.writing, self.entered, self.qk = None, False, 0
        self.program(shape, planes, entry)

    def key(self, section, name):
        return self.chip[section][name]

    def stage(self, latency, uses=(), rows=True, op=None):
        self.list.append({"op": self.op if op is None else op, "rows": rows, "wait": self.wait,
                          "latency": latency, "uses": [u for u in uses if u]})
        self.wait = False

    def once(self, op, cycles, uses=()):
        self.wait = True
        self.stage(cycles * TICKS, uses, rows=False, op=op)
        self.wait = True

    def turn(self, what, of):
        self.turns[what] += 1
        return what, (self.turns[what] - 1) % of

    # ------------------------------------------------------------ ops

    def bit(self):
        large = self.chip["large"]
        rate = large["adc_mhz"] * 1000 / self.key("chip", "clock_khz")
        active = self.key("analog", "rows_active") or large["rows"]
        return large["rows"] // active * max(
            large["settle_cycles"], ceil(large["cols"] / (large["adcs"] * rate) - 1e-9))

    def read(self):
        return ceil(8 / self.key("large", "dac_bits")) * self.bit()

    def tail(self):
        return sum(self.key("large", name) for name in
                   ("settle_cycles", "adc_cycles", "shift_cycles", "requant_cycles"))

    def link(self, count):
        time = int(count * TICKS / self.key("attention", "offchip_bytes") + 0.5)
        self.stage(time, [("offchip", 0, time)], rows=self.rows)

    def fabric(self, times, k, n):
        fabric, small = self.chip["fabric"], self.chip["small"]
        if fabric["kind"] == "digital":
            return -(-times * k * n * 100 * TICKS //
                     (fabric["macs"] * fabric["utilisation_percent"]))
        subs = (times * ceil(k / small["rows"]) * ceil(n / small["cols"]) *
                (8 // small["dac_bits"]) * (8 // small["digit_bits"]))
        each = ceil(small["cols"] * conversions(small) / fabric["adcs"])
        each = ceil(each * self.key("chip", "clock_khz") / (fabric["adc_mhz"] * 1000))
        return -(-subs * max(fabric["settle_cycles"], each) * TICKS // fabric["crossbars"])

    def embed(self, width):
        cycles = ceil(width / self.key("large", "port_bytes")) if self.kind == "synergy" \
            else self.bit()
        self.stage(cycles * TICKS, [("large", self.turn("table", 4), cycles * TICKS)])

    def requant(self, n):
        lanes, units = self.key("sfu", "requant_lanes"), self.key("sfu", "requant_units")
        cycles = ceil(n / lanes)
        return cycles, ("requant", self.turn("requant", units)[1], cycles * TICKS)

    def matmul(self, weight, k, n):
        bus = ceil(k / self.key("buffer", "bus_bytes"))
        out, requant = self.requant(n)
        if self.kind == "synergy":
            time = self.fabric(1, k, n)
            uses = [("small", 0, time), ("bus", 0, bus * TICKS), requant]
            self.stage((bus + out) * TICKS + time, uses, self.rows)
            return
        uses = [("large", weight, self.read() * TICKS), requant]
        latency = bus + self.read() + self.tail() + out
        if self.kind == "inplace":
            latency += 2 * ceil(log2(max(2, ceil(k / self.key("large", "rows")))))
            uses.append(("bus", 0, bus * TICKS))
        elif not self.key("attention", "overlap_link") and not self.entered:
            uses.append(("offchip", 0, self.turns_of_arrays * self.read() * TICKS))
        self.entered = True
        self.stage(latency * TICKS, uses, self.rows)

    def write_kv(self):
        if self.writing is not None:
            cycles = self.key("large", "rows") * self.key("cells", "row_cycles")
            self.once(self.writing, cycles, [("write", self.flight, cycles * TICKS)])
            self.writing = None

    def attention(self, heads, width, scores):
        length = self.length
        if self.kind == "synergy":
            self.wait |= scores
            self.qk = self.fabric(heads, width, length) if scores else \
                self.fabric(heads, length, width)
            self.stage(self.qk, [("small", 0, self.qk)])
            return
        if self.kind == "inplace":
            small = self.chip["small"]
            if scores:
                time = ceil(2 * heads * width / self.key("buffer", "bus_bytes")) * TICKS
                self.stage(time, [("small", 1, time), ("bus", 0, time)])
                self.wait = True
            blocks = ceil(width / small["rows"]) * ceil(length / small["cols"]) if scores else \
                ceil(length / small["rows"]) * ceil(width / small["cols"])
            self.qk = ceil(heads * blocks / small["units"]) * 8 * TICKS
            self.stage(self.qk, [("small", 0, self.qk)])
            return
        barrier = self.key("attention", "kv_barrier")
        if self.key("attention", "mode") == "offchip":
            self.link(heads * width * (3 if scores else 1))
            self.wait = bool(scores and barrier)
            return
        if scores:
            self.writing = self.op
            if barrier:
                self.write_kv()
        self.stage((self.read() + self.tail()) * TICKS,
                   [("large", ("kv", scores, self.flight), self.read() * TICKS)])

    def function(self, kind, elements):
        """SOFTMAX, NORM, ACT"""
        if self.kind == "traditional":
            if kind != "softmax" or self.key("attention", "mode") == "rewrite":
                self.link(3 * elements)
            return
        sfu = self.chip["sfu"]
        part = ceil(elements / sfu[f"{kind}_lanes"]) * TICKS
        if kind == "softmax":
            self.stage(max(0, part - self.qk) + sfu["recip_cycles"] * TICKS + part,
                       [("softmax", 0, 2 * part)])
        elif kind == "norm":
            self.stage(2 * part + sfu["rsqrt_cycles"] * TICKS,
                       [("norm", self.turn("norm", sfu["norm_units"])[1], 2 * part)], self.rows)
        else:
            self.stage(part + sfu["act_cycles"] * TICKS, [("act", 0, part)], self.rows)

    def fence(self):
        if self.kind == "traditional":
            self.write_kv()
        if self.kind != "inplace":
            self.once(self.op, self.key("fabric", "layer_cycles"))
        self.entered = False

    # -------------------------------------------------------- program

    def next(self, make, *values):
        self.op += 1
        make(*values)

    def wide(self, planes, weight, k, n):
        self.next(self.matmul, weight, k, n)
        if planes == 2:
            self.next(self.residual, k)
            self.next(self.matmul, weight, k, n)

    def residual(self, k):
        if self.kind != "traditional":
            cycles, requant = self.requant(k)
            self.stage(cycles * TICKS, [requant])

    def program(self, shape, planes, entry):
        layers, hidden, heads, ffn = shape[:4]
        self.rows = True
        for _ in range(3):
            self.next(self.embed, hidden)
        self.next(self.function, "norm", hidden)
        self.turns_of_arrays = planes  # of a token, in a layer: those that work most
        for layer in range(layers):
            self.wide(planes, (layer, "qkv"), hidden, 3 * hidden)
            self.next(self.attention, heads, hidden // heads, True)
            self.next(self.function, "softmax", heads * self.length)
            self.next(self.attention, heads, hidden // heads, False)
            self.next(self.matmul, (layer, "o"), hidden, hidden)
            self.op += 1  # ADD
            self.next(self.function, "norm", hidden)
            self.wide(planes, (layer, "ffn1"), hidden, ffn)
            self.next(self.function, "act", ffn)
            self.wide(planes, (layer, "ffn2"), ffn, hidden)
            self.op += 1
            self.next(self.function, "norm", hidden)
            self.next(self.fence)
        self.turns_of_arrays = 1
        if entry == 1:
            self.rows = False
            self.next(self.stage, 0, (), False)  # POOL
            self.next(self.matmul, "pooler", hidden, hidden)
            self.next(self.function, "act", hidden)


class Sequence:
    """A sequence on its way."""

    def __init__(self, number, stages, length, start):
        self.number, self.stages, self.length = number, stages, length
        self.next = [0] * len(stages)
        self.ready = [start] * length
        self.all_ready, self.end = start, start

    def tokens(self, i):
        return self.length if self.stages[i]["rows"] else 1

    def left(self, i, token):
        """Whether a token has left the stages before stage i."""
        return all(self.next[j] > token for j in range(i) if token < self.tokens(j))

    def done(self):
        return all(self.next[i] == self.tokens(i) for i in range(len(self.stages)))

    def candidates(self):
        """(stage, when its next token has left what it waits for, and when by itself)"""
        for i, stage in enumerate(self.stages):
            token = self.next[i]
            if token == self.tokens(i):
                continue
            if stage["wait"]:
                if not all(self.left(i, t) for t in range(self.length)):
                    break
                if not token:
                    self.all_ready = max(self.ready)
                yield i, max(self.all_ready, self.ready[token]), self.ready[token]
            elif self.left(i, token):
                yield i, self.ready[token], self.ready[token]


def run(chip, shape, planes, entry, lengths, together):
    """Counters of the schedule, by name; of LARGE the stalls only."""
    free, busy, stall, flying, waiting, end = {}, {}, {}, [None, None], list(lengths), 0
    places = 2 if together else 1
    started = 0

    def start(flight, at):
        nonlocal started
        if waiting:
            length = waiting.pop(0)
            stages = Stages(chip, shape, planes, entry, length, flight).list
            flying[flight] = Sequence(started, stages, length, at)
            started += 1
        else:
            flying[flight] = None

    for flight in range(places):
        start(flight, 0)
    while any(flying):
        best = None
        for flight, sequence in enumerate(flying):
            for i, ready, own in sequence.candidates() if sequence else ():
                uses = sequence.stages[i]["uses"]
                times = [free.get((kind, unit), 0) for kind, unit, _ in uses]
                at = max([ready] + times)
                rank = (at, sequence.number, -i)
                if best is None or rank < best[0]:
                    cause = uses[times.index(max(times))][0] if uses else None
                    best = rank, flight, i, ready, own, cause
        (at, _, _), flight, i, ready, own, cause = best
        sequence = flying[flight]
        stage, token = sequence.stages[i], sequence.next[i]
        for kind, unit, time in stage["uses"]:
            free[kind, unit] = at + time
            busy[stage["op"], kind] = busy.get((stage["op"], kind), 0) + time
        stall[stage["op"], ALL] = stall.get((stage["op"], ALL), 0) + ready - own
        if at > ready:
            stall[stage["op"], cause] = stall.get((stage["op"], cause), 0) + at - ready
        sequence.ready[token] = at + stage["latency"]
        sequence.end = max(sequence.end, sequence.ready[token])
        sequence.next[i] += 1
        if sequence.done():
            end = max(end, sequence.end)
            start(flight, sequence.end)

    counters = {"cycles": (end + TICKS // 2) // TICKS}
    for name, by_op in (("busy", busy), ("stall", stall)):
        for (_, kind), time in by_op.items():
            place = f"{name}_{kind}_cycles"
            counters[place] = counters.get(place, 0) + (time + TICKS // 2) // TICKS
    counters.pop("busy_large_cycles", None)
    return counters
