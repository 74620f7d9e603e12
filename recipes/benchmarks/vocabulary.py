"""Growth of a training step with the rows of its tables, beside hand-written PyTorch.

Paper:    none.
Command:  python recipes/benchmarks/vocabulary.py --rows-file docs/results/vocabulary.json
Cost:     ten minutes on 2 cores, of which dense Adam takes most; `--smoke` half a one.
Expected: the step of `LazyAdam` hardly grows with the rows; that of Adam grows as they do.

Milliseconds of a step of 4,096 rows, in turns, each backend in a process of its own: ids drawn evenly or by
Zipf's law, embeddings of width 16, an MLP 128-64, one task. `by hand` is a PyTorch loop over the same ids:
one table, `nn.Embedding(sparse=True)` with SparseAdam, or dense with Adam. Ratios in `result.json` are
medians of `LazyAdam` on `--backend` over the other, at 3 M rows unless they say otherwise. Finished rounds
are kept in `--rows-file`.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import time
from pathlib import Path
from typing import Any

BATCH, WIDTH, UNITS = 4096, 16, (128, 64)
BACKENDS = ("tensorflow", "jax", "torch")
WAYS = ("lazy", "rows", "adam")  # of kranking
BY_HAND = ("sparse", "dense")


def main() -> None:
    args = parse()
    kept = json.loads(args.rows_file.read_text()) if args.rows_file.exists() else []
    done = {(row["round"], row["who"], row["way"], row["rows"], row["ids"]) for row in kept}
    workers = {who: worker(who) for who in (*args.backends, "by hand")}
    for number in range(args.rounds):
        for rows in args.rows:
            for ids in args.ids:
                for who in workers:
                    for way in BY_HAND if who == "by hand" else WAYS:
                        if (number, who, way, rows, ids) in done:
                            continue
                        given = (who, way, rows, ids, args.fields, args.steps)
                        row = {"round": number, "who": who, "way": way, "rows": rows, "ids": ids}
                        row["ms"] = workers[who].apply(measure, given)
                        kept.append(row)
                        keep(args.rows_file, kept)
    print(table(kept))
    result = ratios(kept, args)
    keep(args.rows_file.with_name("result.json"), result)
    print(json.dumps(result, indent=1))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="small and few: does it run?")
    parser.add_argument("--backend", default="tensorflow", choices=BACKENDS, help="of the ratios")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 3_000_000])
    parser.add_argument("--ids", nargs="+", default=["even", "zipf"], choices=["even", "zipf"])
    parser.add_argument("--fields", type=int, default=39)
    parser.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    parser.add_argument("--steps", type=int, default=30, help="steps of a measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows-file", type=Path, default=Path("runs/vocabulary/rows.json"))
    args = parser.parse_args()
    if args.smoke:
        args.rows, args.ids, args.fields, args.rounds = [20_000, 40_000], ["zipf"], 4, 1
        args.backends, args.steps = [args.backend], 2
    return args


def worker(who: str) -> Any:
    """Returns a process that stays: what it built and compiled serves every round."""
    os.environ["KERAS_BACKEND"] = who if who in BACKENDS else "torch"
    return multiprocessing.get_context("spawn").Pool(1)


_built: dict[Any, Any] = {}


def measure(who: str, way: str, rows: int, ids: str, fields: int, steps: int) -> float:
    """Returns the milliseconds of a step, after one round of steps that is not measured."""
    given = (who, way, rows, ids, fields)
    if given not in _built:
        batches = drawn(rows // fields, ids, fields, steps)
        _built[given] = (by_hand if who == "by hand" else by_kranking)(way, rows, *batches)
        _built[given]()
    start = time.perf_counter()
    _built[given]()
    return (time.perf_counter() - start) / steps * 1e3


def drawn(rows: int, ids: str, fields: int, steps: int) -> tuple[Any, Any]:
    """Returns ids of the fields, `(rows of the log, fields)`, and labels."""
    import numpy as np

    random = np.random.default_rng(0)
    shape = (BATCH * steps, fields)
    if ids == "even":
        values = random.integers(0, rows, shape)
    else:
        shares = np.arange(1, rows + 1) ** -1.1
        order = random.permutation(rows)  # frequent ids are anywhere in a table
        values = order[np.searchsorted(np.cumsum(shares) / shares.sum(), random.random(shape))]
    labels = random.integers(0, 2, len(values))
    return values.astype("int32"), labels.astype("float32")


def by_kranking(way: str, rows: int, ids: Any, labels: Any) -> Any:
    import keras

    import kranking as kr

    fields = ids.shape[1]
    features = [
        kr.features.Categorical(
            f"c{i}", hash_buckets=max(1, rows // fields - 1), embedding_dim=WIDTH
        )
        for i in range(fields)
    ]
    model = kr.RankingModel(features, [kr.layers.MLP(UNITS)], [kr.Task("save")])
    optimizers = {
        "lazy": kr.optimizers.LazyAdam,
        "rows": kr.optimizers.RowWiseAdagrad,
        "adam": keras.optimizers.Adam,
    }
    model.compile(optimizers[way](1e-3), weighted_metrics=None)
    x = kr.features.as_model_inputs({f"c{i}": ids[:, i].copy() for i in range(fields)})
    return lambda: model.fit(x, {"save": labels}, batch_size=BATCH, verbose=0, shuffle=False)


def by_hand(way: str, rows: int, ids: Any, labels: Any) -> Any:
    import numpy as np
    import torch

    fields = ids.shape[1]
    each = rows // fields
    places = torch.from_numpy(ids.astype(np.int64) + each * np.arange(fields))
    target = torch.from_numpy(labels)[:, None]
    table = torch.nn.Embedding(each * fields, WIDTH, sparse=way == "sparse")
    sizes = (fields * WIDTH, *UNITS, 1)
    layers: list[Any] = []
    for inputs, units in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
    mlp = torch.nn.Sequential(*layers[:-1])
    optimizers: list[Any] = [torch.optim.Adam(mlp.parameters())]
    kind = torch.optim.SparseAdam if way == "sparse" else torch.optim.Adam
    optimizers.append(kind(list(table.parameters())))

    def epoch():
        for start in range(0, len(places), BATCH):
            part = slice(start, start + BATCH)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                mlp(table(places[part]).flatten(1)), target[part]
            )
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()

    return epoch


def medians(kept: list[dict[str, Any]]) -> dict[Any, float]:
    grouped: dict[Any, list[float]] = {}
    for row in kept:
        key = (row["who"], row["way"], row["rows"], row["ids"])
        grouped.setdefault(key, []).append(row["ms"])
    return {key: statistics.median(values) for key, values in grouped.items()}


def ratios(kept: list[dict[str, Any]], args: argparse.Namespace) -> dict[str, float]:
    ms, ids, few, many = medians(kept), args.ids[-1], min(args.rows), max(args.rows)
    lazy = {rows: ms[args.backend, "lazy", rows, ids] for rows in (few, many)}
    return {
        "step_ratio_3m_to_100k": lazy[many] / lazy[few],
        "step_ratio_to_dense_adam_3m": lazy[many] / ms[args.backend, "adam", many, ids],
        "step_ratio_to_dense_adam_100k": lazy[few] / ms[args.backend, "adam", few, ids],
        "step_ratio_to_torch_sparse_adam_3m": lazy[many] / ms["by hand", "sparse", many, ids],
    }


def table(kept: list[dict[str, Any]]) -> str:
    """Returns the medians in Markdown, a line for each way."""
    from kranking.comparison import markdown_table

    ms = medians(kept)
    columns = list(dict.fromkeys((row["rows"], row["ids"]) for row in kept))
    ways = list(dict.fromkeys((row["who"], row["way"]) for row in kept))
    headings = ["backend", "optimizer", *(f"{rows:,} {ids}" for rows, ids in columns)]
    lines = [
        [*way, *(f"{ms[(*way, *c)]:.1f}" if (*way, *c) in ms else "–" for c in columns)]
        for way in ways
    ]
    return "\n".join(markdown_table(headings, lines, left=2))


def keep(path: Path, value: Any) -> None:
    from kranking.comparison import write_files

    write_files(path.parent, {path.name: value})


if __name__ == "__main__":
    main()
