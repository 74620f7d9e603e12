"""Requests to bundles of a small pool: `score`, `rank`, `user_tower`, `tensors`, and scoring of files."""

import functools
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import kranking as kr
from fuzzing import containers, encode, oracle
from fuzzing.draw import Draw, Spec, draw_column, draw_spec
from fuzzing.judge import Call
from fuzzing.older import moved

POOL = 6
TASKS = ("save", "closeup")  # not in the order of the alphabet


def pool_specs(seed: int, number: int) -> list[Spec]:
    """Returns the declarations of a bundle of the pool."""
    user = Spec("user", "single", "text", "user", vocabulary=("a", "b", "DE", "7"))
    item = Spec("item", "single", "whole", "item", vocabulary=(1, 2, 7, 100))
    age = Spec("age", "number", side="item", mean=2.0, std=3.0)
    seen = Spec("seen", "sequence", "whole", "user", length=3, of="item")
    kinds = Spec("kinds", "list", "text", "item", vocabulary=("a", "b", "x y"), length=2)
    tags = Spec("tags", "separated", "text", "item", vocabulary=("p", "q"), length=2, separator=",")
    cover = Spec("cover", "vector", side="item", dim=2, nulls="zeros")
    uid = Spec("uid", "hashed", "whole", "user", buckets=1000)
    hashed = Spec("words", "hashed list", "text", "item", buckets=100, length=3)
    codes = Spec("codes", "hashed list", "whole", "item", buckets=100, length=2)
    log = Spec("log", "number", side="item", transform="log", nulls="mean", mean=1.0, std=2.0)
    scale = Spec("scale", "number", side="user", transform="scale", bounds=(0.0, 10.0), nulls=3.0)
    bucket = Spec(
        "bucket", "number", side="context", transform="bucketize", boundaries=(0.0, 0.5, 1e6)
    )
    narrow = Spec("narrow", "number", side="item", mean=0.0, std=1e-30)
    raw = Spec("raw", "number", side="item", transform="none", bounds=(-1.0, 1.0))
    pools = ([user, item, age], [user, item, seen, kinds, tags, cover], [uid, hashed, codes, age])
    pools += ([user, item, log, scale, bucket], [user, age, narrow, raw])
    if number < len(pools):
        return pools[number]
    draw = Draw(seed, 10**9 + number)
    drawn = [draw_spec(draw, f"f{i}") for i in range(4)]
    return [user, item, *(s for s in drawn if s.buckets != 10**9)]


def bundle_folder(out: Path, number: int) -> Path:
    return out / "pool" / str(number)


def export_pool(seed: int, out: Path) -> None:
    """Exports the bundles of the pool that are not there yet."""
    import keras

    for number in range(POOL):
        if bundle_folder(out, number).exists():
            continue
        keras.utils.set_random_seed(seed + number)
        features = encode.declarations(pool_specs(seed, number))
        tasks = [kr.Task(name) for name in TASKS]
        model = kr.RankingModel(features, [kr.layers.MLP([8], activation="relu")], tasks)
        random = np.random.default_rng(number)
        weights = [w + random.normal(0, 0.3, w.shape).astype(w.dtype) for w in model.get_weights()]
        model.set_weights(weights)
        kr.export.export_model(
            model, bundle_folder(out, number), formats=["onnx"], num_check_rows=4
        )


@functools.cache
def bundle(out: Path, number: int) -> Any:
    return kr.export.load_bundle(bundle_folder(out, number), threads=1)


def draw_request(draw: Draw, specs: list[Spec]) -> dict[str, list]:
    rows = draw.pick((1, 1, 2, 3, 5))
    columns = {}
    for spec in specs:
        table = next((s for s in specs if s.name == spec.of), spec)
        columns[spec.name] = draw_column(draw, _from(spec, table), rows)
        if draw.chance(0.15):  # a graph imputes what training refuses
            columns[spec.name][0] = None
    return columns


def _from(spec: Spec, table: Spec) -> Spec:
    return replace(spec, vocabulary=table.vocabulary)


def answers_of(out: Path, number: int, cells: dict[str, list]) -> list[dict[str, np.ndarray]]:
    """Returns what the model answers for the right inputs; several where several are right."""
    options = []
    widest = max((len(c.answers) for c in oracle.flat_cells(cells)), default=1)
    for which in range(max(widest, 1)):
        inputs = {name: _inputs(rows, which) for name, rows in cells.items()}
        for spec in kr_inputs(out, number):
            inputs[spec.name] = inputs[spec.name].astype(spec.dtype).reshape(-1, *spec.shape)
        options.append(bundle(out, number).predict(inputs))
    return options


def kr_inputs(out: Path, number: int) -> Any:
    return bundle(out, number).signature.inputs


def _inputs(rows: list, which: int) -> np.ndarray:
    def one(cell: oracle.Cell) -> float:
        value = cell.answers[min(which, len(cell.answers) - 1)] if cell.answers else 0
        return max(min(value, oracle.LARGEST), -oracle.LARGEST)

    return np.array(
        [[one(c) for c in row] if isinstance(row, list) else one(row) for row in rows], float
    )


def answer_difference(found: dict, options: list[dict], loose: bool) -> str | None:
    """Returns what is wrong about probabilities; of loose rows only whether they are probabilities."""
    for task in TASKS:
        x = np.asarray(found[task])
        if x.shape != options[0][task].shape:
            return f"{task} has shape {x.shape}, right is {options[0][task].shape}"
        if not ((x >= 0) & (x <= 1)).all():
            return f"{task} is {x.ravel().tolist()}"
        if not loose and not any(np.allclose(x, o[task], rtol=0, atol=2e-5) for o in options):
            return f"{task} is {x.ravel().tolist()}, right is {options[0][task].ravel().tolist()}"
    return None


def request_call(draw: Draw, seed: int, out: Path) -> Call:
    """A request of columns to a bundle."""
    number = draw.whole(0, POOL)
    specs = pool_specs(seed, number)
    oddity = draw.pick(encode.ODDITIES)
    columns = draw_request(draw, specs)
    given = encode.damage(draw, oddity, specs, columns)
    way = draw.pick(("score", "score", "rank", "tensors", "files"))
    if way == "files" and oddity not in ("none", "nulls", "extremes", "other kind", "container"):
        way = "score"
    cells, refusal = encode.expectation(specs, columns, oddity, served=True)
    if way == "rank" and isinstance(given, dict) and cells:
        return _rank_call(draw, out, number, specs, columns, given, oddity)
    way = "score" if way == "rank" else way
    if refusal == "never" and encode.no_interchange(given, columns):
        refusal = "may"
    if way == "files":
        given = _file(columns)
        if given is None:
            way, given = "score", dict(columns)
    ran = functools.partial(RUNS[way], bundle(out, number), given, out, number)
    return Call(
        f"requests, {way}",
        encode.fault_of(oddity, specs, columns) if oddity != "empty" else "requests of no rows",
        f"{oddity}: bundle {number} of {str(given)[:300]} {str(columns)[:200]}",
        ran,
        functools.partial(_right, out, number, cells),
        refusal,
        (*(s.name for s in specs), "Rows", "rows", "lengths"),
    )


def _right(out: Path, number: int, cells: dict, found: dict) -> str | None:
    loose = any(
        c.anything or any(abs(a) > oracle.LARGEST for a in c.answers)
        for c in oracle.flat_cells(cells)
    )
    return answer_difference(found, answers_of(out, number, cells), loose)


def _score(loaded: Any, given: Any, out: Path, number: int) -> dict:
    return loaded.score(given)


def _tensors(loaded: Any, given: Any, out: Path, number: int) -> dict:
    return loaded.run("serve", loaded.tensors("serve", given))


def _file(columns: dict[str, list]) -> str | None:
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    if len({len(v) for v in columns.values()}) > 1 or not next(iter(columns.values())):
        return None
    pq.write_table(containers.table_of(columns), folder / "x.parquet", row_group_size=2)
    return str(folder / "x.parquet")


def _score_file(loaded: Any, given: Any, out: Path, number: int) -> dict:
    scored = Path(given).parent / "scored"
    moved("score_parquet")(bundle_folder(out, number), given, scored, block_rows=3, threads=1)
    table = pq.read_table(scored)
    return {task: table[task].to_numpy()[:, None] for task in TASKS}


RUNS = {"score": _score, "tensors": _tensors, "files": _score_file}


def _rank_call(draw, out, number, specs, columns, given, oddity) -> Call:
    """One request and its candidates: the first row of user and context with each row of items."""
    once = [s for s in specs if s.side != "item"]
    each = [s for s in specs if s.side == "item"]
    request = {s.name: given[s.name][:1] for s in once}
    items = {s.name: given[s.name] for s in each}
    fault = encode.fault_of(oddity, specs, columns)
    count = len(columns[each[0].name])
    if draw.chance(0.15):
        items, count, fault = {n: x[:0] for n, x in items.items()}, 0, "rank with no candidates"
    shown = {s.name: columns[s.name][:1] * max(count, 1) for s in once}
    shown |= {s.name: columns[s.name][: max(count, 1)] for s in each}
    cells, refusal = encode.expectation(specs, shown, oddity, served=True)
    if oddity == "empty" or not count:
        refusal = "may" if refusal == "must" or oddity == "empty" else refusal

    def right(found: dict) -> str | None:
        if not count:
            shapes = {task: np.asarray(x).shape for task, x in found.items()}
            return None if set(shapes.values()) == {(0, 1)} else f"shapes {shapes}"
        return _right(out, number, cells, found)

    return Call(
        "requests, rank",
        fault,
        f"{oddity}: bundle {number}, {str(request)[:200]} {str(items)[:300]}",
        lambda: bundle(out, number).rank(request, items),
        right,
        refusal,
        (*(s.name for s in specs), "row", "lengths"),
    )


def tower_call(draw: Draw, seed: int, out: Path) -> Call:
    """The tower of users, of a row alone and among others."""
    number = draw.whole(0, POOL)
    specs = [s for s in pool_specs(seed, number) if s.side == "user"]
    every = pool_specs(seed, number)
    columns = {n: v for n, v in draw_request(draw, every).items() if n in {s.name for s in specs}}
    rows = len(next(iter(columns.values())))

    def run():
        loaded = bundle(out, number)
        alone = [loaded.user_tower({n: [v[i]] for n, v in columns.items()}) for i in range(rows)]
        return loaded.user_tower(columns), np.concatenate(alone)

    def right(found):
        together, alone = found
        same = together.shape == alone.shape and np.allclose(together, alone, atol=1e-5)
        return None if same else f"{together.tolist()}, alone {alone.tolist()}"

    what = f"bundle {number} of {columns}"
    return Call("requests, user_tower", encode.FAULTS["nulls"], what, run, right)


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())
