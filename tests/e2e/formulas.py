# SPDX-License-Identifier: LGPL-2.1-or-later
"""The events and energies of a BERT encoder on a synergy chip, written from the text of
Documentation/cost-model.rst. The chip file and the model's config.json are all this looks
at; it does not read the image's program. Time is test_schedule.py's.
"""

import configparser
from math import ceil

TIME = ("cycles", "energy_static_fj", "energy_adc_idle_fj")


def is_time(name):
    """Whether a counter comes from the schedule."""
    return name in TIME or name.startswith(("busy_", "stall_"))


def number(value):
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            pass
    return value


def read_chip(path):
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",))
    parser.read(path)
    return {section: {key: number(value) for key, value in parser[section].items()}
            for section in parser.sections()}


def panel_bytes(outputs, inputs):
    return ceil(outputs / 16) * ceil(inputs / 4) * 64


def table_stride(columns):
    return ceil(columns / 64) * 64


def conversions(small):
    """Of a column, for one sub-operation: as many rows at once as the ADC can tell apart."""
    most = 2 ** small["adc_bits"] - 1
    row = (2 ** small["dac_bits"] - 1) * (2 ** small["digit_bits"] - 1)
    if row > most:
        return small["rows"] * ceil(row / most)
    return ceil(small["rows"] / (most // row))


class Job:
    """Expected counters of entry "tokens" or "sentence" over a batch of ids."""

    def __init__(self, chip, config):
        self.chip, self.config = chip, config
        self.counters = {}
        self.op = 0  # which macro-op of the entry
        self.spent = {}

    def add(self, name, amount):
        self.counters[name] = self.counters.get(name, 0) + int(amount)

    def spend(self, part, events, key):
        """Energy of one op's events: whole femtojoules, summed over the job at the end, since
        an op is charged for all its sequences together."""
        place = (self.op, part, key)
        self.spent[place] = self.spent.get(place, 0) + events

    def product(self, kind, rows, inputs, outputs, times=1):
        """`times` products of [rows, inputs] by [inputs, outputs], one macro-op."""
        small = self.chip["small"]
        self.op += 1
        macs = times * rows * inputs * outputs
        subs = (times * rows * ceil(inputs / small["rows"]) * ceil(outputs / small["cols"])
                * (8 // small["dac_bits"]) * (8 // small["digit_bits"]))
        self.add("macs_" + kind, macs)
        self.add("dac_drives", subs * small["rows"])
        buffered = macs * 14 // small["rows"]
        self.add("buffer_bytes", buffered)
        self.spend("fabric", macs, "mac")
        self.spend("buffer", buffered * 8, "sram_bit")
        self.add("sub_ops", subs)
        self.add("adc_conversions", subs * small["cols"] * conversions(small))
        if kind == "static":
            read = panel_bytes(outputs, inputs) * ceil(rows / small["rows"])
            self.add("bank_read_bytes", read)
            self.spend("bank", read * 8, "bank_bit")
            self.spend("requant", rows * outputs, "requant")
            self.add("sfu_quant", rows * inputs)

    def element_op(self, kind, elements):
        self.op += 1
        self.add("sfu_" + kind, elements)
        self.spend(kind, elements, kind)

    def wide_product(self, rows, inputs, outputs):
        """A stationary product, and another of what quantising its input left out."""
        self.product("static", rows, inputs, outputs)
        self.op += 1
        self.add("sfu_quant", rows * inputs)
        self.spend("requant", rows * inputs, "requant")
        self.product("static", rows, inputs, outputs)
        self.add("sfu_add", rows * outputs)
        self.spend("requant", rows * outputs, "add")

    def transfer(self, payload):
        link = self.chip["link"]
        self.add("link_cycles",
                 link["setup_cycles"] + -(-payload * 10 // link["bytes_per_10_cycles"]))

    def sequence(self, length, tokens, entry):
        config = self.config
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        ffn, head = config["intermediate_size"], hidden // heads
        self.add("sequences", 1)
        self.add("tokens", length)
        self.op = 0
        self.transfer(4 * tokens)
        for _ in range(3):
            self.op += 1
            self.add("sfu_embed", length * hidden)
            self.add("bank_read_bytes", length * table_stride(hidden))
            self.spend("bank", length * table_stride(hidden) * 8, "bank_bit")
        self.element_op("norm", length * hidden)
        for _ in range(config["num_hidden_layers"]):
            self.wide_product(length, hidden, 3 * hidden)
            self.product("dynamic", length, head, length, heads)
            self.add("sfu_quant", 2 * heads * length * head)
            self.element_op("softmax", heads * length * length)
            self.product("dynamic", length, length, head, heads)
            self.add("sfu_quant", heads * length * (length + head))
            self.product("static", length, hidden, hidden)
            self.wide_product(length, hidden, ffn)
            self.element_op("act", length * ffn)
            self.wide_product(length, ffn, hidden)
            for _ in range(2):
                self.op += 1
                self.add("sfu_add", length * hidden)
                self.spend("requant", length * hidden, "add")
                self.element_op("norm", length * hidden)
        if entry == "sentence":
            self.add("sfu_pool", length * hidden)
            self.element_op("norm", hidden)
            result = 4 * hidden
        else:
            result = 4 * tokens * hidden
        self.transfer(result)
        self.add("dma_read_bytes", 4 * tokens)
        self.add("dma_write_bytes", result)
        self.op = "ids"
        self.spend("host", 4 * tokens * 8, "host_bit")
        self.op = "result"
        self.spend("host", result * 8, "host_bit")

    def add_energy(self):
        for (_, part, key), events in self.spent.items():
            self.add(f"energy_{part}_fj", int(events * self.chip["energy"][key] * 1000 + 0.5))


def expect(chip, config, ids, entry="tokens"):
    """Counters that one job over ids [n, T] adds, but those that is_time() tells; those not
    named stay as they are."""
    job = Job(chip, config)
    for row in ids:
        length = max(place + 1 for place, token in enumerate(row) if token)
        job.sequence(length, len(row), entry)
    job.add("jobs", 1)
    job.add_energy()
    return job.counters
