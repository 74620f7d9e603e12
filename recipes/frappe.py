"""Do our layers reach the published numbers? BARS's protocol on Frappe_x1, from public parts of Keras.

Paper:    Zhu et al., BARS: Towards open benchmarking for recommender systems, SIGIR 2022,
          https://arxiv.org/abs/2205.09626
Command:  python recipes/frappe.py --model DCNv2 --seeds 3 --data DIR     train, seeds 2021, 190034, 992817
          python recipes/frappe.py --table                                write its table in docs/results
Cost:     3 to 15 minutes of one core per training; `--smoke` half a minute on generated rows.
Expected: test AUC within 0.0015 of BARS's mean, see docs/results/frappe.md.

The protocol decides the result, more than the model does: mean binary cross-entropy plus λ/2 times the
sum of squares of all embedding tables at every step; Adam at 1e-3, gradient norm cut at 10; batches of
4,096; every epoch without a better validation AUC divides the learning rate by ten, two in a row end the
training, and the best epoch's weights are kept. Dense kernels start from Keras's Glorot uniform; BARS draws
from the normal of the same variance.

DIR holds train.parquet, valid.parquet and test.parquet: ten columns of ids and `label`. A finished training
is a row in `--results`, which a rerun skips.
"""

import argparse
import fcntl
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import training
from frappe_models import MODELS, Setting

import kranking as kr

FIELDS = (
    *("user", "item", "daytime", "weekday", "isweekend"),
    *("homework", "cost", "weather", "country", "city"),
)
WHOLE = 2**18  # rows that are permuted together: all of the train rows
SEEDS = (2021, 190034, 992817, 27011, 948432)  # BARS's
PAGE = Path(__file__).parents[1] / "docs" / "results" / "frappe.md"
ROWS = PAGE.parent / "frappe.json"
MARKS = ("<!-- written by recipes/frappe.py --table -->", "<!-- end -->")
HEADINGS = [
    *("model", "AUC", "BARS", "difference", "logloss", "BARS "),
    *("parameters", "BARS  ", "seconds an epoch", "seeds", "commit"),
]


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    if args.table:
        write_table(PAGE, table(read_rows(args.results)))
        return {}
    out = training.run_folder(args, f"frappe-{args.model}")
    data = made_up(out / "log") if args.smoke else Path(args.data)
    if args.smoke:
        args.results = out / "rows.json"
    for seed in SEEDS[: args.seeds]:
        done = find(read_rows(args.results), args.model, seed)
        if done is None:
            row = train(MODELS[args.model], data, seed, args)
            add_row(args.results, {"model": args.model, "seed": seed, **row})
        else:
            print(f"{args.model}, seed {seed}: already trained")
    rows = [
        r for seed in SEEDS[: args.seeds] if (r := find(read_rows(args.results), args.model, seed))
    ]
    result = summary(rows)
    kr.comparison.write_files(out, {"result.json": result})
    print(json.dumps(result, indent=1))
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "frappe")
    parser.add_argument("--model", default="DCNv2", choices=MODELS)
    parser.add_argument("--seeds", type=int, default=3, choices=range(1, len(SEEDS) + 1))
    parser.add_argument("--epochs", type=int, default=100, help="at most; two bad ones end it")
    parser.add_argument("--results", type=Path, default=ROWS, help="rows of finished trainings")
    parser.add_argument("--table", action="store_true", help="write the page's table and stop")
    args = parser.parse_args(arguments)
    if not (args.data or args.smoke or args.table):
        parser.error("--data: the folder with train.parquet, valid.parquet and test.parquet")
    if args.smoke:
        args.seeds, args.epochs = 1, 2
    return args


def train(setting: Setting, data: Path, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Trains once under the protocol and reports on the test rows."""
    keras.utils.set_random_seed(seed)
    model = build(setting, data / "train.parquet")
    adam = keras.optimizers.Adam(1e-3, epsilon=1e-8, global_clipnorm=10.0)
    model.compile(adam, weighted_metrics=None)
    # Not arrays: on TensorFlow, with a global seed, Keras 3.15 gives those one order for all epochs.
    rows = kr.data.read_parquet(
        data / "train.parquet", model, 4096, shuffle=True, seed=seed, block_rows=WHOLE
    )
    valid, test = (arrays(model, data / f"{part}.parquet") for part in ("valid", "test"))
    metrics = ["auc", "logloss"]
    best: dict[str, Any] = {"monitor": "val_label_auc", "mode": "max", "min_delta": 1e-6}
    seconds, started = training.EpochSeconds(), time.perf_counter()
    history = model.fit(
        rows,
        epochs=args.epochs,
        verbose=2,
        callbacks=[
            seconds,
            kr.training.RankingEvaluation(valid, metrics=metrics),
            keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=1, min_lr=1e-6, **best),
            keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True, **best),
        ],
    ).history
    scores = kr.training.RankingEvaluation(test, metrics=metrics, prefix="").evaluate(model)
    return {
        "auc": scores["label_auc"],
        "logloss": scores["label_logloss"],
        "valid_auc": max(history["val_label_auc"]),
        "epochs": len(history["loss"]),
        "params": model.work().parameters,
        "seconds_per_epoch": round(seconds.mean, 2),
        "seconds": round(time.perf_counter() - started),
        "backend": keras.backend.backend(),
        "reshuffled": True,
        "commit": commit(),
    }


def build(setting: Setting, train: Path) -> kr.RankingModel:
    """Builds a model: a vector of 10 for each id of the training rows, and one per field for unseen ids."""
    shared: dict[str, Any] = {
        "embedding_dim": 10,
        "initializer": keras.initializers.RandomNormal(stddev=1e-4),
        "regularizer": keras.regularizers.L2(setting.embedding_regularizer / 2),
    }
    sides = {"user": "user", "item": "item"}
    declared = [
        kr.features.Categorical(name, side=sides.get(name, "context"), **shared) for name in FIELDS
    ]
    features = kr.features.fit(declared, train)
    make = kr.architectures.get(setting.architecture).build
    return make(features, [kr.Task("label")], **setting.arguments)


def arrays(model: kr.RankingModel, path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads a whole file, because the set is small."""
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy() for name in FIELDS}
    return model.preprocess(columns), {"label": table["label"].to_numpy().astype("float32")}


def made_up(folder: Path) -> Path:
    """Writes three small files of random ids, for a trial without the data."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, part in enumerate(("train", "valid", "test")):
        random = np.random.default_rng(seed)
        ids = {name: random.integers(0, 20, 3_000).astype("int16") for name in FIELDS}
        label = (ids["user"] * 7 + ids["item"] + random.integers(0, 9, 3_000)) % 3 == 0
        pq.write_table(pa.table({"label": label.astype("int8"), **ids}), folder / f"{part}.parquet")
    return folder


def commit() -> str:
    """Returns the current commit, if this is a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of finished trainings."""
    return json.loads(path.read_text()) if path.exists() else []


def find(rows: list[dict[str, Any]], model: str, seed: int) -> dict[str, Any] | None:
    """Finds a row, except those from before batches were shuffled in each epoch."""
    return next(
        (r for r in rows if (r["model"], r["seed"]) == (model, seed) and r.get("reshuffled")), None
    )


def add_row(path: Path, row: dict[str, Any]) -> None:
    """Adds a row; safe with several processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        order = list(MODELS)
        others = [
            r for r in read_rows(path) if (r["model"], r["seed"]) != (row["model"], row["seed"])
        ]
        rows = sorted([*others, row], key=lambda r: (order.index(r["model"]), r["seed"]))
        lines = ",\n".join(json.dumps(r) for r in rows)
        kr.comparison.write_files(path.parent, {path.name: f"[\n{lines}\n]\n"})


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean and sample deviation over the seeds."""
    auc = [row["auc"] for row in rows]
    return {
        "auc_mean": statistics.fmean(auc),
        "auc_std": statistics.stdev(auc) if len(auc) > 1 else 0.0,
        "logloss_mean": statistics.fmean(row["logloss"] for row in rows),
        "params": float(rows[0]["params"]),
        "seconds_per_epoch": statistics.fmean(row["seconds_per_epoch"] for row in rows),
    }


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Returns the table of our figures and BARS's, with a line for each model."""
    lines = []
    for name, setting in MODELS.items():
        mine = [row for row in rows if row["model"] == name]
        theirs = setting.published
        target = theirs.get("mean", theirs.get("auc"))
        line = [name, "not run", "–", "–", "–", "–", "–", "–", "–", "0", "–"]
        if target:
            line[2] = f"{target:.4f}" + (" (mean)" if "mean" in theirs else "")
            line[5], line[7] = f"{theirs['logloss']:.4f}", f"{theirs['params']:,}"
        if mine:
            result = summary(mine)
            spread = f" ± {result['auc_std']:.4f}" if len(mine) > 1 else ""
            line[1] = f"{result['auc_mean']:.4f}{spread}"
            line[3] = f"{result['auc_mean'] - target:+.4f}" if target else "–"
            line[4] = f"{result['logloss_mean']:.4f}"
            line[6] = f"{result['params']:,.0f}"
            line[8] = f"{result['seconds_per_epoch']:.1f}"
            line[9] = f"{len(mine)}" + ("" if all(r.get("reshuffled") for r in mine) else " †")
            line[10] = ", ".join(sorted({row["commit"] for row in mine}))
        lines.append(line)
    return kr.comparison.markdown_table(HEADINGS, lines, left=1)


def write_table(page: Path, lines: list[str]) -> None:
    """Writes the table between its markers."""
    before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1], 1)[1]
    text = "\n".join([before + MARKS[0], *lines, MARKS[1] + after])
    kr.comparison.write_files(page.parent, {page.name: text})


if __name__ == "__main__":
    main()
