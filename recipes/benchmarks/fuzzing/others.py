"""Splits, readers in other processes, deployments at once, metrics."""

import filecmp
import inspect
import itertools
import math
import os
import pickle
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.parquet as pq

import kranking as kr
from fuzzing import containers
from fuzzing.draw import Draw
from fuzzing.files import parts_of, put
from fuzzing.judge import Call, NotThereError
from fuzzing.older import moved, read_rows
from fuzzing.served import POOL, bundle_folder


def split_call(draw: Draw) -> Call:
    """A split by time or session: each row in one part, in order, whatever was there before."""
    rows = draw.whole(2, 12)
    columns = {
        "t": [draw.whole(0, 6) for _ in range(rows)],
        "s": [draw.pick(("x", "y", "z")) for _ in range(rows)],
        "row": list(range(rows)),
    }
    log = Path(tempfile.mkdtemp(prefix="fuzz"))
    for number, part in enumerate(parts_of(draw, columns)):
        put(draw, log / f"log/{number}.parquet", part, table=containers.table_of(part))
    by = draw.pick(("time", "time with sessions", "session"))
    odd = draw.pick(("none", "none", "leftover", "there", "null", "column"))
    out = log / "out"
    if odd == "leftover":
        (out / f".split.{os.getpid()}.tmp" / "train").mkdir(parents=True)
    elif odd == "there":
        (out / "test").mkdir(parents=True)
    elif odd == "null":
        columns = {n: [None if n != "row" else 0, *v[1:]] for n, v in columns.items()}
        shutil.rmtree(log / "log")
        put(draw, log / "log/0.parquet", columns)
    column = {"session": "s"}.get(by, "t") + (" " if odd == "column" else "")
    shares = {"train": 0.5, "test": 0.5}

    def run():
        source = str(log / "log")
        if by == "session":
            kr.data.split_by_session(source, column, out, shares=shares)
        else:
            session = "s" if "sessions" in by else None
            kr.data.split_by_time(source, column, out, shares=shares, session=session)
        # An empty part has no files.
        found = {name: sorted((out / name).glob("*.parquet")) for name in shares}
        return {
            n: [r for f in files for r in pq.read_table(f).to_pylist()]
            for n, files in found.items()
        }

    def right(found: dict) -> str | None:
        split_rows = [row for part in found.values() for row in part]
        if sorted(r["row"] for r in split_rows) != columns["row"]:
            return f"rows {[r['row'] for r in split_rows]}"
        if any(a["row"] > b["row"] for part in found.values() for a, b in itertools.pairwise(part)):
            return "rows in another order"
        first, last = found["train"], found["test"]
        if (
            by == "time"
            and first
            and last
            and max(r["t"] for r in first) >= min(r["t"] for r in last)
        ):
            return "a later row in an earlier part"
        shared = {r["s"] for r in first} & {r["s"] for r in last}
        return f"sessions {shared} in both parts" if by != "time" and shared else None

    refusal = {"there": "must", "null": "must", "column": "must"}.get(odd, "never")
    fault = "leftovers of a killed split (attack07)" if odd == "leftover" else f"splits: {odd}"
    names = ("'t", "'s", "out", "column")
    return Call("splits", fault, f"by {by}: {columns}", run, right, refusal, names)


def _reader(draw: Draw) -> Any:
    rows = draw.whole(200, 3000)
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    path = put(
        draw, folder / "x.parquet", {"a": [float(i) for i in range(rows)]}, row_group_size=500
    )
    features = [kr.features.Numeric("a", transform="none")]
    return read_rows(path, features, (), batch_size=7, labels=False, block_rows=100)


def _forked(draw: Draw) -> str | None:
    """Reads on in a forked child a reader that is being read."""
    batches = iter(_reader(draw))
    next(batches)
    child = os.fork()
    if not child:
        try:
            sum(1 for _ in batches)
        finally:
            os._exit(0)
    end = time.monotonic() + 8
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return None
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "the child waits for ever"


def _sent(draw: Draw) -> str | None:
    reader = _reader(draw)
    again = pickle.loads(pickle.dumps(reader))
    pairs = zip(reader, again)
    same = all(np.array_equal(a[0]["a"], b[0]["a"]) for a, b in pairs)
    return None if same else "other batches"


PROCESSES: dict[str, Callable[[Draw], str | None]] = {
    "a reader in a forked process (attack17)": _forked,
    "a reader in another process (serve12)": _sent,
}


def process_call(draw: Draw) -> Call:
    """A reader that is forked or sent."""
    fault = draw.pick(tuple(PROCESSES))
    run = PROCESSES[fault]
    return Call("readers, processes", fault, fault, lambda: run(draw), lambda wrong: wrong)


def deploy_call(draw: Draw, seed: int, out: Path) -> Call:
    """Two deployments at once, each with a slow disk: two versions, each whole."""
    first, second = draw.some(range(POOL), 2, 2)
    second = first if draw.chance(0.2) else second
    repository = Path(tempfile.mkdtemp(prefix="fuzz")) / "models"
    slow, copy = draw.pick((0.05, 0.1)), shutil.copyfile

    def copyfile(*given, **options):
        time.sleep(slow)
        return copy(*given, **options)

    def run():
        got: dict[int, Any] = {}

        def write(at: int, number: int) -> None:
            try:
                write_triton = moved("write_triton")
                got[at] = write_triton(bundle_folder(out, number), repository, name="r")
            except Exception as error:
                got[at] = error

        threads = [threading.Thread(target=write, args=pair) for pair in enumerate((first, second))]
        with mock.patch.object(shutil, "copyfile", copyfile):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return got

    def right(got: dict) -> str | None:
        for at, number in enumerate((first, second)):
            if isinstance(got[at], Exception):
                if type(got[at]) is not ValueError:
                    return f"{type(got[at]).__name__}: {got[at]}"
            elif not filecmp.cmp(
                bundle_folder(out, number) / "model.onnx", got[at] / "model.onnx", False
            ):
                return f"another bundle lies in {got[at].name}"
        names = [folder.name for folder in got.values() if isinstance(folder, Path)]
        return None if len(set(names)) == len(names) else f"both are version {names[0]}"

    fault = "two deployments at once (serve09, attack12)"
    return Call("deployments", fault, f"bundles {first} and {second}", run, right)


def metric_call(draw: Draw) -> Call:
    """A metric of logits or scores, against sums over rows and pairs."""
    rows = draw.whole(1, 12)
    y = [draw.pick((0.0, 1.0)) for _ in range(rows)]
    z = [draw.pick((-3.0, -0.5, 0.0, 0.5, 2.0, 50.0, -800.0)) for _ in range(rows)]
    w = [draw.pick((1.0, 1.0, 2.0, 0.0)) for _ in range(rows)]
    name = draw.pick(tuple(METRICS))
    odd = draw.pick(("none", "none", "label", "weight", "length", "nan"))
    given = {"y": list(y), "z": list(z), "w": list(w)}
    if odd != "none":
        w[0] = given["w"][0] = 1.0  # rows without weight are ignored, whatever they hold
        part = {"label": "y", "weight": "w", "length": "z", "nan": "z"}[odd]
        bad = {"label": 2.0, "weight": -1.0, "nan": math.nan}.get(odd)
        given[part] = [*given[part], 0.0] if odd == "length" else [bad, *given[part][1:]]
    function = getattr(kr.metrics, name, None)

    def run():
        if function is None:
            raise NotThereError(name)
        # Before there was the argument, all of these took logits.
        takes = "from_logits" in inspect.signature(function).parameters
        arrays = (np.array(given[part]) for part in "yzw")
        return function(*arrays, **({"from_logits": True} if takes else {}))

    def right(found: float) -> str | None:
        if odd == "nan" and math.isnan(found):
            return None
        expected = METRICS[name](list(zip(y, z, w)))
        same = (math.isnan(found) and math.isnan(expected)) or math.isclose(
            found, expected, rel_tol=1e-9, abs_tol=1e-12
        )
        return None if same else f"{found}, right is {expected}"

    refusal = {"none": "never", "nan": "may"}.get(odd, "must")
    names = ("y", "logits", "score", "weight", "length", "rows")
    return Call("metrics", f"metrics: {odd}", f"{name} of {given}", run, right, refusal, names)


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan


def _entropy(label: float, logit: float) -> float:
    return max(logit, 0.0) - label * logit + math.log1p(math.exp(-abs(logit)))


def _log_loss(rows: list) -> float:
    return _ratio(sum(w * _entropy(y, z) for y, z, w in rows), sum(w for *_, w in rows))


def _normalized(rows: list) -> float:
    total, positive = sum(w for *_, w in rows), sum(w * y for y, _, w in rows)
    if not 0 < positive < total:
        return math.nan
    q = positive / total
    return _log_loss(rows) / -(q * math.log(q) + (1 - q) * math.log(1 - q))


def _calibration(rows: list) -> float:
    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0

    return _ratio(sum(w * sigmoid(z) for _, z, w in rows), sum(w * y for y, _, w in rows))


def _auc(rows: list) -> float:
    won = both = 0.0
    for y, z, w in rows:
        for other, score, weight in rows:
            if y == 1 and other == 0:
                both += w * weight
                won += w * weight * ((z > score) + (z == score) / 2)
    return _ratio(won, both)


METRICS: dict[str, Callable[[list], float]] = {
    "log_loss": _log_loss,
    "normalized_entropy": _normalized,
    "calibration": _calibration,
    "auc": _auc,
}
