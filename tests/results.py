# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pytest plugin that tells tests/run each result as it comes, as a TAP line."""

import os


def pytest_configure(config):
    output = open(int(os.environ["MX_RESULTS_FD"]), "w", buffering=1, encoding="utf-8")
    config.pluginmanager.register(Results(output))


class Results:
    """A test has three phases; it passes by its call, and fails by any of them."""

    def __init__(self, output):
        self.output = output
        self.failed_in, self.skipped, self.seconds = None, None, 0.0

    def line(self, text):
        self.output.write(" ".join(text.split()) + "\n")

    def pytest_collection_finish(self, session):
        self.line(f"1..{len(session.items)}")

    def pytest_collectreport(self, report):
        if report.failed:
            self.line(f"Bail out! cannot load {report.nodeid}")

    def pytest_runtest_logstart(self):
        self.failed_in, self.skipped, self.seconds = None, None, 0.0

    def pytest_runtest_logreport(self, report):
        self.seconds += report.duration
        # What a test measures, it prints: shown with its result.
        if report.when == "call" and report.passed:
            for text in report.capstdout.splitlines():
                self.line(f"# {text}")
        if report.failed and not self.failed_in:
            self.failed_in = report.when
        if report.skipped:
            self.skipped = report.longrepr[2] if isinstance(report.longrepr, tuple) else "skipped"

    def pytest_runtest_logfinish(self, nodeid):
        if self.failed_in:
            where = "" if self.failed_in == "call" else f" (in its {self.failed_in})"
            self.line(f"not ok - {nodeid}{where}")
        elif self.skipped:
            self.line(f"ok - {nodeid} # SKIP {self.skipped}")
        else:
            self.line(f"ok - {nodeid} ({self.seconds:.1f} s)")
