"""Which tests can see a fault: a run of all tests, one process per file, that counts what each runs."""

import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path

from mutation import hook
from mutation.forks import Job, share_out
from mutation.sites import instrumented

BUDGET = 240  # seconds of tests, by their time without a fault, that a fault is shown to at most
BUDGET_OF_MORE = 60  # and of tests that do not run its block
BATCHES = (2, 6)  # files per process: most faults are seen by the first two


class Coverage:
    """The blocks that each test of a tree runs, and its seconds; kept in a file, a line per test file.

    Tests of files that changed since are counted anew, and all tests once the package changed.
    """

    def __init__(self, tree, path):
        self.tree, self.path = Path(tree), Path(path)
        self.modules = {
            str(p.relative_to(tree)): p for p in sorted(self.tree.glob("kranking/**/*.py"))
        }
        package = _digest(self.modules.values())
        self.stamps = {
            str(p.relative_to(self.tree)): package + _digest([p, *_shared(p, self.tree)])
            for p in sorted(self.tree.glob("tests/**/test_*.py"))
        }
        self.by_block = None
        self._read()

    def _read(self):
        lines = self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        records = {record["file"]: record for record in map(json.loads, lines)}
        self.files = {f: r for f, r in records.items() if r["stamp"] == self.stamps.get(f)}

    def collect(self, server, processes):
        """Runs the tests whose counts are missing or old."""
        missing = [file for file in self.stamps if file not in self.files]
        if not missing:
            return
        texts = {
            module_name(path): server.text(
                path, instrumented(file.read_text("utf-8"), path, hook.RAN)
            )
            for path, file in self.modules.items()
        }

        def count(file):
            job = Job(str(self.tree), {file: None}, texts, first=False, count=True, seconds=3600)
            result = server.run(job)
            record = {"file": file, "stamp": self.stamps[file], "tests": result.get("tests", {})}
            record |= {"shared": result.get("shared", []), "own": result.get("own", {})}
            append_line(self.path, record)
            said = (
                f"{file}: {result['status']}, {len(record['tests'])} tests, {result['seconds']} s"
            )
            print(
                said, *(f"{name}: {text}" for name, text in result["errors"]), sep="\n", flush=True
            )

        share_out(missing, processes, count)
        self._read()

    def passed(self, file):
        """Returns the seconds of each test of a file that passes without a fault."""
        tests = self.files[file]["tests"]
        return {name: seconds for name, (seconds, outcome) in tests.items() if outcome == "passed"}

    def tests(self, site):
        """Returns, for each file, the tests that run the fault's block."""
        whole_module = site.block.endswith(":")
        by_block = self._blocks()
        blocks = by_block if whole_module else [site.block]
        chosen = defaultdict(set)
        for block in blocks:
            if block == site.block or (whole_module and block.startswith(site.block)):
                for file, names in by_block.get(block, {}).items():
                    chosen[file] |= names
        return self._affordable(site, chosen, BUDGET)

    def more_tests(self, site, run):
        """Returns the other tests of the files with a test that runs the fault's block or its module."""
        mirror, module = f"tests/{site.room}/", f"{site.module}:"
        chosen = {}
        for block, files in self._blocks().items():
            for file in files if block.startswith(module) else ():
                if block == site.block or file.startswith(mirror):
                    chosen[file] = set(self.passed(file)) - run.get(file, set())
        chosen = {file: names for file, names in chosen.items() if names}
        return self._affordable(site, chosen, BUDGET_OF_MORE)

    def _affordable(self, site, chosen, budget):
        """Returns files in order and their tests, the cheapest first, within the budget.

        Test files named after the module come first, then those of its room, then the cheapest.
        """
        seconds = {file: self.passed(file) for file in chosen}
        mirror, stem = f"tests/{site.room}/", Path(site.module).stem.strip("_")

        def place(file):
            total = sum(seconds[file].get(name, 0) for name in chosen[file])
            return stem not in Path(file).stem, not file.startswith(mirror), total

        left, affordable = budget, defaultdict(set)
        for file in sorted(chosen, key=place):
            left -= 0.2  # collection
            for name in sorted(chosen[file], key=lambda name: seconds[file].get(name, 0)):
                left -= seconds[file].get(name, 0)
                if left > 0:
                    affordable[file].add(name)
        return affordable

    def _blocks(self):
        if self.by_block is None:
            self.by_block = defaultdict(lambda: defaultdict(set))
            for file, record in self.files.items():
                passed = set(self.passed(file))
                for block in record["shared"]:
                    self.by_block[block][file] |= passed
                for name, blocks in record["own"].items():
                    for block in blocks if name in passed else ():
                        self.by_block[block][file].add(name)
        return self.by_block

    def expected(self, chosen):
        """Returns the seconds that tests take without a fault."""
        return sum(
            self.passed(file).get(name, 0) for file, names in chosen.items() for name in names
        )


def batches(chosen):
    """Yields the tests in batches of files, each for a process of its own."""
    files = list(chosen)
    first, second = BATCHES
    for part in (files[:first], files[first : first + second], files[first + second :]):
        if part:
            yield {file: chosen[file] for file in part}


def module_name(path):
    """Returns the name under which the module at a path is imported."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def append_line(path, row):
    """Appends a row of JSON to a file that several processes write."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, (json.dumps(row) + "\n").encode())
    os.close(file)


def _shared(path, tree):
    """Returns the files that a test file may use: helpers beside it, and every test's conftest."""
    beside = (p for p in path.parent.glob("*.py") if not p.name.startswith("test_"))
    return sorted(
        {tree / "tests" / "conftest.py", *(beside if path.parent.name != "tests" else ())}
    )


def _digest(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
