"""A pytest plugin that measures what each test costs, in CPU seconds, with the processes it starts.

`pytest --cpu-seconds FILE` prints the most expensive tests and each folder's share, and writes FILE: one
JSON row `[test, CPU seconds, seconds]` a line. A fixture counts for the first test that uses it.
"""

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

NUM_TESTS = 20


def pytest_addoption(parser):
    parser.addoption(
        "--cpu-seconds", metavar="FILE", type=Path, help="write each test's CPU seconds to FILE"
    )


def pytest_configure(config):
    if config.getoption("--cpu-seconds"):
        config.pluginmanager.register(CpuSeconds(), "cpu_seconds_of_tests")


def _clocks():
    return sum(os.times()[:4]), time.monotonic()


class CpuSeconds:
    """Measures in each worker of xdist, which sends its figures with its reports, and sums them up."""

    def __init__(self):
        self.before = (0.0, 0.0)
        self.rows = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self):
        self.before = _clocks()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self):
        report = yield
        now = _clocks()
        report.seconds = [after - before for after, before in zip(now, self.before, strict=True)]
        self.before = now
        return report

    def pytest_runtest_logreport(self, report):
        cpu, wall = self.rows.get(report.nodeid, (0.0, 0.0))
        self.rows[report.nodeid] = (cpu + report.seconds[0], wall + report.seconds[1])

    def pytest_terminal_summary(self, terminalreporter, config):
        if hasattr(config, "workerinput"):
            return
        rows = sorted(self.rows.items(), key=lambda row: -row[1][0])
        lines = [json.dumps([name, round(cpu, 3), round(wall, 3)]) for name, (cpu, wall) in rows]
        config.getoption("--cpu-seconds").write_text("".join(f"{line}\n" for line in lines))
        for line in table({name: cpu for name, (cpu, _) in rows}):
            terminalreporter.write_line(line)


def table(seconds):
    """Returns the lines of the summary: each folder's share, and the tests that cost most."""
    total, folders = sum(seconds.values()), Counter()
    for name, cpu in seconds.items():
        folders["/".join(name.split("::")[0].split("/")[:2])] += cpu
    yield f"CPU seconds of {len(seconds)} tests: {total:.0f}"
    yield from (f"{cpu:8.1f} {cpu / total:6.1%}  {name}" for name, cpu in folders.most_common())
    yield f"the {NUM_TESTS} most expensive tests"
    yield from (f"{cpu:8.1f}  {name}" for name, cpu in list(seconds.items())[:NUM_TESTS])
