# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chip specification's counter formulas for a BERT encoder, written from its text.

Documentation/chip-macro-ops.rst, section "Cost". The chip file and the model's config.json
are all this looks at; it does not read the image's program.
"""

import configparser
from math import ceil


def read_chip(path):
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",))
    parser.read(path)
    return {section: {key: int(value) if value.isdigit() else value
                      for key, value in parser[section].items()}
            for section in parser.sections()}


def panel_bytes(outputs, inputs):
    return ceil(outputs / 16) * ceil(inputs / 4) * 64


def table_stride(columns):
    return ceil(columns / 64) * 64


class Job:
    """Expected counters of entry "tokens" or "sentence" over a batch of ids."""

    def __init__(self, chip, config):
        self.chip, self.config = chip, config
        self.counters = {}

    def add(self, name, amount):
        self.counters[name] = self.counters.get(name, 0) + int(amount)

    def product(self, kind, rows, inputs, outputs, times=1):
        """`times` products of [rows, inputs] by [inputs, outputs], one macro-op."""
        small, fabric = self.chip["small"], self.chip["fabric"]
        macs = times * rows * inputs * outputs
        subs = (times * rows * ceil(inputs / small["rows"]) * ceil(outputs / small["cols"])
                * (8 // small["dac_bits"]) * (8 // small["digit_bits"]))
        self.add("macs_" + kind, macs)
        self.add("sub_ops", subs)
        self.add("adc_conversions",
                 subs * small["cols"] * ceil(small["rows"] / (2 ** small["adc_bits"] - 1)))
        rate = fabric["macs"] * fabric["utilisation_percent"]
        self.add("cycles", -(-macs * 100 // rate))
        if kind == "static":
            self.add("bank_read_bytes", panel_bytes(outputs, inputs) * ceil(rows / small["rows"]))
            self.add("sfu_quant", rows * inputs)

    def wide_product(self, rows, inputs, outputs):
        """A stationary product, and another of what quantising its input left out."""
        self.product("static", rows, inputs, outputs)
        self.add("sfu_quant", rows * inputs)
        self.product("static", rows, inputs, outputs)
        self.add("sfu_add", rows * outputs)

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
        self.transfer(4 * tokens)
        self.add("sfu_embed", 3 * length * hidden)
        self.add("bank_read_bytes", 3 * length * table_stride(hidden))
        self.add("sfu_norm", length * hidden)
        for _ in range(config["num_hidden_layers"]):
            self.wide_product(length, hidden, 3 * hidden)
            self.product("dynamic", length, head, length, heads)
            self.add("sfu_quant", 2 * heads * length * head)
            self.add("sfu_softmax", heads * length * length)
            self.product("dynamic", length, length, head, heads)
            self.add("sfu_quant", heads * length * (length + head))
            self.product("static", length, hidden, hidden)
            self.wide_product(length, hidden, ffn)
            self.add("sfu_act", length * ffn)
            self.wide_product(length, ffn, hidden)
            self.add("sfu_add", 2 * length * hidden)
            self.add("sfu_norm", 2 * length * hidden)
            self.add("cycles", self.chip["fabric"]["layer_cycles"])
        if entry == "sentence":
            self.add("sfu_pool", length * hidden)
            self.add("sfu_norm", hidden)
            result = 4 * hidden
        else:
            result = 4 * tokens * hidden
        self.transfer(result)
        self.add("dma_read_bytes", 4 * tokens)
        self.add("dma_write_bytes", result)


def expect(chip, config, ids, entry="tokens"):
    """Counters that one job over ids [n, T] adds; those not named stay as they are."""
    job = Job(chip, config)
    for row in ids:
        length = max(place + 1 for place, token in enumerate(row) if token)
        job.sequence(length, len(row), entry)
    job.add("jobs", 1)
    return job.counters
