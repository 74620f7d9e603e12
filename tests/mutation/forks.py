"""Runs pytest in forks of a process that has imported what is slow to import, and run none of it."""

import gc
import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mutation import hook

SLOW_IMPORTS = (
    "tensorflow", "jax", "torch", "keras", "onnx", "onnxruntime", "tf2onnx", "pyarrow.csv",
    "pyarrow.dataset", "pyarrow.parquet", "matplotlib.pyplot", "rich.console", "sklearn", "keras_tuner",
)  # fmt: skip


@dataclass
class Job:
    """A run of some tests with some modules read from other text.

    `tests` maps a test file to the names that run, or to None: all. With `first`, the run ends at the first
    test that fails. With `known`, names of all tests that the file had, unknown ones run as well.
    """

    tree: str
    tests: dict
    files: dict = field(default_factory=dict)
    known: dict = field(default_factory=dict)
    first: bool = True
    count: bool = False
    seconds: float = 600


class Recorder:
    """What a fork's pytest reports: which tests ran, how they ended, and which blocks each ran."""

    def __init__(self, job, ran, hits):
        self.job, self.ran, self.hits, self.read = job, ran, hits, 0
        self.tests, self.errors = {}, []
        self.shared, self.own = set(), defaultdict(set)

    def _take(self):
        blocks = set(self.ran)
        self.ran.clear()
        if self.job.count:
            with open(self.hits) as lines:
                lines.seek(self.read)
                blocks.update(lines.read().split())
                self.read = lines.tell()
        return blocks

    def pytest_collection_modifyitems(self, items):
        """Leaves the tests that the job names, in the order of the file."""
        wanted = []
        for item in items:
            file = item.nodeid.split("::")[0]
            names = self.job.tests.get(file)
            new = file in self.job.known and item.nodeid not in self.job.known[file]
            if names is None or new or item.nodeid in names:
                wanted.append(item)
        items[:] = wanted

    def pytest_collectreport(self, report):
        """Keeps what a file raised on import."""
        if report.failed:
            self.errors.append((report.nodeid, str(report.longrepr)[-1500:]))

    def pytest_collection_finish(self):
        """Counts what importing ran for every test of the file."""
        self.shared |= self._take()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self):
        """Counts what fixtures ran for every test of the file: a later one may use them too."""
        try:
            return (yield)
        finally:
            self.shared |= self._take()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """Counts what the test ran for itself."""
        try:
            return (yield)
        finally:
            self.own[item.nodeid] |= self._take()

    def pytest_runtest_logreport(self, report):
        """Adds up a test's seconds, and keeps the worst of its outcomes."""
        seconds, outcome = self.tests.get(report.nodeid, (0.0, "passed"))
        if report.outcome != "passed":
            outcome = report.outcome
        self.tests[report.nodeid] = (round(seconds + report.duration, 3), outcome)
        if report.failed:
            self.errors.append((report.nodeid, str(report.longrepr)[-1500:]))

    def result(self, status):
        """Returns what the parent reads."""
        own = {name: sorted(blocks) for name, blocks in self.own.items()} if self.job.count else {}
        return {
            "status": int(status),
            "tests": self.tests,
            "errors": self.errors[:3],
            "shared": sorted(self.shared) if self.job.count else [],
            "own": own,
        }


class Server:
    """Runs jobs, each in a fork of this process: pytest starts in a tenth of a second, with all at hand."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self.site = self.folder / "site"
        self.site.mkdir()
        shutil.copy(hook.__file__, self.site / "sitecustomize.py")
        for name in SLOW_IMPORTS:
            if _of_backend(name) and importlib.util.find_spec(name.split(".")[0]):
                importlib.import_module(name)
        gc.freeze()

    def text(self, name, text):
        """Writes a module's text to a file of its own, and returns the path."""
        path = Path(tempfile.mkdtemp(prefix="text-", dir=self.folder)) / Path(name).name
        path.write_text(text, "utf-8")
        return str(path)

    def run(self, job):
        """Returns a job's result; its `status` is "hang" or "crash" where pytest did not end."""
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self.folder))
        (folder / "hits").touch()
        settings = {"files": job.files, "hits": str(folder / "hits") if job.count else ""}
        (folder / "mutation.json").write_text(json.dumps(settings), "utf-8")
        sys.stdout.flush()
        began, pid = time.monotonic(), os.fork()
        if not pid:
            _fork(job, folder, settings, str(self.site))
        ended = 0
        try:
            while not ended and time.monotonic() - began < job.seconds:
                ended, _ = os.waitpid(pid, os.WNOHANG)
                time.sleep(0.03)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # and what the tests started and left behind
            if not ended:
                os.waitpid(pid, 0)
        return self._result(folder, not ended, time.monotonic() - began)

    def _result(self, folder, late, seconds):
        path = folder / "result.json"
        result = json.loads(path.read_text("utf-8")) if path.exists() else {"status": "crash"}
        if late:
            result["status"] = "hang"
        if isinstance(result["status"], str):
            result["errors"] = [("", (folder / "output").read_text("utf-8", "replace")[-1500:])]
        result["seconds"] = round(seconds, 1)
        shutil.rmtree(folder, ignore_errors=True)
        return result

    def close(self):
        """Deletes the folder with texts and results."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _of_backend(name):
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return name == backend or name not in ("jax", "torch")


def share_out(items, processes, work):
    """Calls `work` with each item, in several processes that take the next one when they are free."""
    read, write = os.pipe()
    os.write(write, b"".join(index.to_bytes(4, "big") for index in range(len(items))))
    os.close(write)
    workers = []
    for _ in range(processes):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                while data := os.read(read, 4):
                    work(items[int.from_bytes(data, "big")])
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        workers.append(pid)
    os.close(read)
    states = [os.waitpid(pid, 0)[1] for pid in workers]
    if any(states):
        raise RuntimeError("a worker failed; its traceback is above")


def _fork(job, folder, settings, site):
    status = 1
    try:
        os.setsid()
        _run_pytest(job, folder, settings, site)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _run_pytest(job, folder, settings, site):
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT)
    for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(file, number)
    os.chdir(job.tree)
    here = Path(__file__).parents[1]
    sys.path[:] = [
        site,
        job.tree,
        *(p for p in sys.path if p and Path(p) not in (here, Path(site))),
    ]
    os.environ["PYTHONPATH"] = os.pathsep.join([site, job.tree])
    os.environ[hook.VARIABLE] = str(folder / "mutation.json")
    ran = set()
    hook.install(settings, ran.add)
    recorder = Recorder(job, ran, folder / "hits")
    options = ["-x"] if job.first else []
    options += ["-p", "no:xdist", f"--rootdir={job.tree}", f"--basetemp={folder / 'temporary'}"]
    status = pytest.main([*options, *job.tests], plugins=[recorder])
    (folder / "result.json").write_text(json.dumps(recorder.result(status)), "utf-8")
