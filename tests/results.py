# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pytest plugin that tells tests/run each result as it comes, as a TAP line."""

import os


def pytest_configure(config):
    config.results = open(int(os.environ["MX_RESULTS_FD"]), "w", buffering=1)
    config.pluginmanager.register(Results(config.results))


class Results:
    def __init__(self, output):
        self.output = output

    def pytest_collection_modifyitems(self, items):
        self.output.write(f"1..{len(items)}\n")

    def pytest_collectreport(self, report):
        if report.failed:
            self.output.write(f"Bail out! cannot load {report.nodeid}\n")

    def pytest_runtest_logreport(self, report):
        """A test has three phases; it passes by its call, and fails by any of them."""
        if report.failed:
            where = "" if report.when == "call" else f" ({report.when})"
            self.output.write(f"not ok - {report.nodeid}{where}\n")
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.output.write(f"ok - {report.nodeid} # SKIP {reason}\n".replace("\n", " ").strip() + "\n")
        elif report.when == "call":
            self.output.write(f"ok - {report.nodeid} ({report.duration:.1f} s)\n")
