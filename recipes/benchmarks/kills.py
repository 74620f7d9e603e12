"""Kills of everything that writes files: what is visible then, and what the next run makes of it.

Paper: none; the claim is kranking's own: nothing half-written is visible, and the next run finishes.
Command: python recipes/benchmarks/kills.py --out runs/kills
Cost: 20 minutes on two cores, most of them exports; the same command resumes.
Expected: `whole`, `right` and `clean` equal `kills` in every row, and `wrong` is 0.

Each try forks a process that has imported all packages but has no threads yet, and ends it with SIGKILL:
half of the tries after a random time, half before a random one of its calls that open, rename or remove
a file. A second process then does the same work without an end. At last two processes work at once.
"""

import argparse
import contextlib
import hashlib
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import kranking as kr

EVENTS = ("open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir")
STATES = 20  # saved one after another
HEAD = ["operation", "kills", "whole", "right", "clean", "at once", "both", "one refused", "wrong"]


@dataclass(frozen=True)
class Operation:
    """What is killed.

    Attributes:
        backend: Keras backend of the processes.
        run: Does the work in a folder; returns its outcome, which every complete run has.
        damaged: Names of what is visible in the folder but not whole.
        before: Puts an earlier result into the folder.
        right_at_once: Whether an outcome is right while another process does the same work.
    """

    backend: str
    run: Callable[[Path, Path], Any]
    damaged: Callable[[Path, Path], list[str]]
    before: Callable[[Path, Path], None] = lambda folder, data: None
    right_at_once: Callable[[Any, Any], bool] = lambda found, expected: found == expected


@dataclass
class Row:
    """The counts of an operation; `whole`, `right` and `clean` are of the kills."""

    kills: int = 0
    whole: int = 0
    right: int = 0
    clean: int = 0
    at_once: int = 0
    both: int = 0
    one_refused: int = 0
    wrong: int = 0


def main() -> dict[str, Row]:
    given = parsed()
    out = Path(given.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    names = [name for name in OPERATIONS if given.only in (None, name)]
    if given.backend is None:
        for backend in sorted({OPERATIONS[name].backend for name in names}):
            again = [sys.executable, __file__, *sys.argv[1:], "--backend", backend]
            subprocess.run(again, env={**os.environ, "KERAS_BACKEND": backend}, check=True)
        return report(out)
    warm_up()
    data = out / "data"
    if not data.exists():
        run_to_end(lambda: prepare(data), out)
    for name in names:
        if OPERATIONS[name].backend == given.backend:
            measure(name, out, data, given)
    return {}


def measure(name: str, out: Path, data: Path, given: Any) -> None:
    """Adds to the counts of an operation until they are complete, and saves them after each try."""
    path, folder, operation = out / f"{name}.json", out / name, OPERATIONS[name]
    row = Row(**json.loads(path.read_text())) if path.is_file() else Row()
    if row.kills >= given.kills and row.at_once >= given.pairs:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    begin, events = time.perf_counter(), out / "events"
    expected = run_to_end(lambda: operation.run(folder, data), out, folder, events)
    seconds = time.perf_counter() - begin
    if str(expected).startswith("ValueError") or not events.is_file():
        raise RuntimeError(f"{name} must run to its end. Received: {expected}")
    last, complete = int(events.read_text()), digests(folder)
    print(f"{name}: {seconds:.1f} s, {last} calls", flush=True)
    for number in itertools.count(row.kills + row.at_once):
        drawn = random.Random(f"{given.seed} {name} {number}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if drawn.random() < 0.5:
            operation.before(folder, data)
        if row.kills < given.kills:
            limit = (
                (drawn.uniform(0, seconds), None) if number % 2 else (None, drawn.randrange(last))
            )
            if not killed(lambda: operation.run(folder, data), folder, out, *limit):
                continue  # it ended before
            what = f"{name} {number} {limit}"
            add_kill(row, operation, folder, data, out, (expected, complete), what)
        elif row.at_once < given.pairs:
            add_pair(row, operation, folder, data, out, expected, f"{name} {number}")
        else:
            break
        path.write_text(json.dumps(asdict(row)))
    shutil.rmtree(folder, ignore_errors=True)


def add_kill(row, operation, folder, data, out, expected, what) -> None:
    damaged = operation.damaged(folder, data)
    found = run_to_end(lambda: operation.run(folder, data), out)
    if str(found).startswith("ValueError") and digests(folder) == expected[1]:
        found = expected[0]  # the killed run had finished, so that the next one is refused
    expected = expected[0]
    left = leftovers(folder)
    row.kills += 1
    row.whole += not damaged
    row.right += found == expected and not operation.damaged(folder, data)
    row.clean += not left
    if damaged or left or found != expected:
        print(f"{what}: {damaged=} {left=} {str(found)[:1500]} {str(expected)[:300]}", flush=True)


def add_pair(row, operation, folder, data, out, expected, what) -> None:
    """Runs two processes at once; either may be refused, but not both, and by a clear error."""
    pair = [started(lambda: operation.run(folder, data), out / f"result.{i}") for i in range(2)]
    for pid in pair:
        os.waitpid(pid, 0)
    found = [json.loads((out / f"result.{i}").read_text()) for i in range(2)]
    right = [operation.right_at_once(one, expected) for one in found]
    refused = [str(one).startswith("ValueError") for one in found]
    good = not operation.damaged(folder, data) and not leftovers(folder)
    row.at_once += 1
    if good and all(right):
        row.both += 1
    elif good and any(right) and any(refused):
        row.one_refused += 1
    else:
        row.wrong += 1
        print(f"{what}: {good=} {[str(one)[:1500] for one in found]}", flush=True)


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob(".*") if p.suffix in (".tmp", ".replaced", ".unfinished")]


def started(
    work: Callable[[], Any], result: Path, prepared: Callable[[], None] | None = None
) -> int:
    """Forks a process that works, and writes the outcome or the error to a file."""
    result.unlink(missing_ok=True)
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        log = os.open(os.devnull, os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if prepared is not None:
            prepared()
        try:
            outcome = work()
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        result.write_text(json.dumps(outcome))
    finally:
        os._exit(0)


def run_to_end(work: Callable, out: Path, folder: Path | None = None, events: Any = None) -> Any:
    """Runs work in a forked process, counting its calls in a folder; returns the outcome."""
    count = [0]

    def hook():
        count[0] += 1

    def counted():
        done = work()
        if events is not None:
            events.write_text(str(count[0]))
        return done

    prepared = None if folder is None else lambda: on_events(folder, hook)
    os.waitpid(started(counted, out / "result", prepared), 0)
    return json.loads((out / "result").read_text())


def killed(work, folder: Path, out: Path, seconds: float | None, event: int | None) -> bool:
    """Runs work in a forked process and kills it after some seconds, or before an event."""
    count = itertools.count()

    def hook():
        if next(count) == event:
            os.killpg(0, signal.SIGKILL)

    child = started(
        work, out / "result", None if event is None else lambda: on_events(folder, hook)
    )
    if seconds is not None:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def on_events(folder: Path, hook: Callable[[], None]) -> None:
    """Calls a function before each call of this process that changes or opens a file of the folder."""

    def audit(event, arguments):
        if event in EVENTS and str(folder) in str(arguments[:2]):
            hook()

    sys.addaudithook(audit)


def warm_up() -> None:
    """Imports what the work needs; nothing here may start a thread, which a fork would not copy."""
    names = ["keras_tuner", "onnxruntime", "matplotlib"]
    if keras.backend.backend() == "tensorflow":
        names += ["tf2onnx", "tensorflow_serving.apis.prediction_log_pb2"]
    for name in names:
        importlib.import_module(name)


def report(out: Path) -> dict[str, Row]:
    rows = {
        n: Row(**json.loads((out / f"{n}.json").read_text()))
        for n in OPERATIONS
        if (out / f"{n}.json").is_file()
    }
    lines = [f"| {' | '.join(HEAD)} |", "|---|" + "---:|" * (len(HEAD) - 1)]
    lines += [
        f"| `{n}` | {' | '.join(str(v) for v in asdict(row).values())} |" for n, row in rows.items()
    ]
    kr.comparison.write_files(
        out,
        {
            "kills.json": {n: asdict(row) for n, row in rows.items()},
            "kills.md": "\n".join(lines) + "\n",
        },
    )
    print("\n".join(lines))
    return rows


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="runs/kills")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(OPERATIONS))
    parser.add_argument("--backend", help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(data: Path) -> None:
    """Writes the logs, a model and its bundles that the operations read."""
    kr.data.write_homefeed(data / "log", num_rows=1500, seed=0)
    rng = np.random.default_rng(0)
    rows = {
        "t": np.arange(20_000),
        "a": rng.normal(size=20_000),
        "save": rng.integers(0, 2, 20_000),
    }
    pq.write_table(pa.table(rows | {"id": rows["t"] % 500}), data / "rows.parquet")
    keras.utils.set_random_seed(0)
    model = tiny(np.arange(500))
    model.save(data / "model.keras")
    kr.export.export_model(model, data / "bundle", signatures=["serve"], **CHECKS)
    kr.export.export_model(model, data / "earlier", signatures=[], **CHECKS)


CHECKS = {"num_check_rows": 4}


def tiny(ids: np.ndarray) -> Any:
    columns = [
        kr.features.Numeric("a", mean=0.0, std=1.0, side="item"),
        kr.features.Categorical("id", vocabulary=tuple(ids.tolist()), embedding_dim=4, side="user"),
    ]
    return kr.RankingModel(columns, [kr.layers.MLP([4])], [kr.Task("save")])


def digests(folder: Path) -> dict[str, str]:
    """The hashes of all files that are visible."""
    files = (p for p in sorted(folder.rglob("[!.]*")) if p.is_file())
    visible = {p.relative_to(folder).as_posix(): p for p in files}
    return {
        name: hashlib.sha256(p.read_bytes()).hexdigest()
        for name, p in visible.items()
        if not any(part.startswith(".") for part in name.split("/"))
    }


def unreadable(folder: Path, data: Path) -> list[str]:
    """Visible files that are not complete files of their kind."""
    readers = {".json": json.load, ".npz": lambda f: dict(np.load(f)), ".parquet": pq.read_table}
    wrong = []
    for name in digests(folder):
        try:
            with (folder / name).open("rb") as file:
                readers.get(Path(name).suffix, lambda f: f.read())(file)
        except Exception as error:
            wrong.append(f"{name}: {error}")
    return wrong


def damaged_bundles(folder: Path, data: Path) -> list[str]:
    """Visible bundles whose files are not those of their manifest."""
    wrong = []
    for bundle in folder.glob("[!.]*"):
        try:
            listed = json.loads((bundle / "manifest.json").read_text())["files"]
        except (OSError, ValueError) as error:
            wrong.append(str(error))
            continue
        found = digests(bundle)
        found.pop("manifest.json")
        if found != {name: entry["sha256"] for name, entry in listed.items()}:
            wrong.append(bundle.name)
    return wrong


def earlier(folder: Path, data: Path) -> None:
    shutil.copytree(data / "earlier", folder / "bundle")


def answers(bundle: Path) -> Any:
    loaded = kr.export.load_bundle(bundle, threads=1)
    return {name: p.tolist() for name, p in loaded.predict(loaded.random_inputs(4)).items()}


def split_by_time(folder: Path, data: Path) -> Any:
    counts = kr.data.split_by_time(data / "rows.parquet", "t", folder / "split", rows_per_file=5000)
    return [counts, digests(folder)]


def damaged_split(folder: Path, data: Path) -> list[str]:
    """Visible parts that have not all of their rows."""
    rows = {"train": 16_000, "valid": 2000, "test": 2000}
    parts = {p.name: p for p in folder.glob("split/[!.]*")}
    return [name for name, p in parts.items() if pq.read_table(p).num_rows != rows.get(name)]


def score_parquet(folder: Path, data: Path) -> Any:
    kr.serving.score_parquet(
        data / "bundle",
        data / "rows.parquet",
        folder / "scores",
        keep=["t"],
        block_rows=1000,
        threads=1,
    )
    return digests(folder)


def compare(folder: Path, data: Path) -> Any:
    protocol = kr.training.Protocol(batch_size=512)
    variants = {"small": ("mlp", {"units": (4,)}), "large": ("mlp", {"units": (8,)})}
    options = {"seeds": 2, "latency_batch": None, "verbose": 0, "protocol": protocol}
    found = kr.comparison.compare(variants, log_files(data), "small", out=folder / "out", **options)
    return {name: found[name].metric for name in variants}


def search(folder: Path, data: Path) -> Any:
    log = log_files(data)
    space = kr.search.SearchSpace(["mlp"], log.features, log.tasks, batch_size=512)
    training, budget = (
        kr.search.Training(verbose=0, epochs=1),
        kr.budget.Budget(parameters=100_000_000),
    )
    options = {"trials": 3, "training": training, "method": "random", "baseline": None}
    found = kr.search.search(space, log, budget, out=folder / "out", **options)
    return {one.name: one.metric for one in found.found}


def log_files(data: Path) -> Any:
    columns = [kr.features.Numeric("pin_saves", side="item", transform="log", mean=4.0, std=2.0)]
    parts = (data / "log" / part for part in ("train", "valid", "test"))
    return kr.data.LogFiles(*parts, columns, [kr.Task("save")], "session_id")


def export_model(folder: Path, data: Path) -> Any:
    kr.export.export_model(
        data / "model.keras", folder / "bundle", formats=["onnx"], signatures=[], **CHECKS
    )
    return answers(folder / "bundle")


def compress_bundle(folder: Path, data: Path) -> Any:
    limits = {"max_auc_loss": 1.0, "max_ne_rise": 1.0, "num_rows": 1000}
    kr.export.compress_bundle(data / "earlier", folder / "bundle", data / "rows.parquet", **limits)
    return answers(folder / "bundle")


def split_tables(folder: Path, data: Path) -> Any:
    kr.export.split_tables(data / "earlier", folder / "bundle", min_bytes=1)
    return answers(folder / "bundle")


def write_triton(folder: Path, data: Path) -> Any:
    version = kr.serving.write_triton(data / "bundle", folder / "models", name="ranker")
    return [digests(version), digests(folder / "models")["ranker/config.pbtxt"]]


def damaged_triton(folder: Path, data: Path) -> list[str]:
    whole = digests(data / "bundle")["model.onnx"]
    versions = folder.glob("models/ranker/[!.]*/")
    return [p.name for p in versions if p.is_dir() and digests(p) != {"model.onnx": whole}]


def write_tf_serving(folder: Path, data: Path) -> Any:
    version = kr.serving.write_tf_serving(data / "bundle", folder / "models", name="ranker")
    return [digests(version), 'name: "ranker"' in (folder / "models/models.config").read_text()]


def damaged_tf_serving(folder: Path, data: Path) -> list[str]:
    whole = {f"models/ranker/V/{n}": d for n, d in digests(data / "bundle/saved_model").items()}
    wrong = []
    for version in folder.glob("models/ranker/[!.]*"):
        found = digests(version)
        warm = found.pop("assets.extra/tf_serving_warmup_requests", None)
        if warm is None or sorted(found.values()) != sorted(whole.values()):
            wrong.append(version.name)
    return wrong


def save_state(folder: Path, data: Path) -> Any:
    """Saves states whose weights all are one number, of this process and step, as the notes say."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(2000)])
    model.compile("adam", "mse")
    for step in range(STATES):
        number = os.getpid() + step / STATES
        model.set_weights([np.full(w.shape, number) for w in model.get_weights()])
        kr.training.save_state(model, folder / "state.npz", {"step": step, "number": number})
    notes = kr.training.load_state(model, folder / "state.npz")
    return [
        notes["step"],
        all((w == np.float32(notes["number"])).all() for w in model.get_weights()),
    ]


def one_state(found: Any, expected: Any) -> bool:
    """Whether what a process loaded is one whole state, of its own or of the other process."""
    return isinstance(found, list) and found[0] in range(STATES) and found[1] is True


def damaged_states(folder: Path, data: Path) -> list[str]:
    """Visible states that cannot be read, or are a mixture of two."""
    wrong = unreadable(folder, data)
    for path in folder.glob("[!.]*.npz") if not wrong else ():
        with np.load(path) as file:
            number = np.float32(json.loads(str(file["head"]))["notes"]["number"])
            weights = [a for n, a in file.items() if n.startswith("variable_") and a.size >= 2000]
            kept = [(a == number).all() or not a.any() for a in weights]  # slots of Adam are 0
        wrong += [] if all(kept) else [path.name]
    return wrong


OPERATIONS = {
    "split_by_time": Operation("torch", split_by_time, damaged_split),
    "score_parquet": Operation("torch", score_parquet, unreadable),
    "compare": Operation("torch", compare, unreadable),
    "search": Operation("torch", search, unreadable),
    "export_model": Operation("tensorflow", export_model, damaged_bundles, earlier),
    "compress_bundle": Operation("tensorflow", compress_bundle, damaged_bundles, earlier),
    "split_tables": Operation("tensorflow", split_tables, damaged_bundles, earlier),
    "write_triton": Operation("torch", write_triton, damaged_triton),
    "write_tf_serving": Operation("tensorflow", write_tf_serving, damaged_tf_serving),
    "save_state": Operation("torch", save_state, damaged_states, right_at_once=one_state),
}

if __name__ == "__main__":
    main()
