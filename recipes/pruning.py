"""What does pruning cost, and what does it gain? DeepLight's structural pruning at several sparsities.

Paper:    Deng et al., DeepLight: Deep lightweight feature interactions for accelerating CTR predictions
          in ad serving, WSDM 2021, https://arxiv.org/abs/2002.06987
Command:  python recipes/pruning.py --data DIR --out runs/pruning     Frappe_x1: train, valid, test.parquet
          python recipes/pruning.py                                   the synthetic home feed
Cost:     2 minutes of one core per training, 15 trainings; `--smoke` a minute in all.
Expected: on Frappe, AUC falls by 0.0006 at S = 0.5, 0.0017 at 0.9 and 0.0021 at 0.95, beside a standard
          deviation of 0.0004 over the seeds of the dense model; with `--embedding-ratio 0`, tables left
          whole, by 0.0005 at 0.9. A latency ratio of 1.

Trains `deep_light` with each seed at each target S of the sparsity, 0 being the dense model: the same
rows, epochs and steps of the optimizer for all. The schedule keeps the shape it has in the reference run,
1,440 decay steps in the course of the training, after a fifth of it as warm-up. The last epoch counts,
since an earlier one has fewer zeros; the learning rate falls to 0 along a cosine.

The latency is that of ONNX Runtime, whose kernels are dense: they multiply zeros like any other number,
so no gain is to be expected, and none is claimed. What shrinks is what is stored, once compressed.
A finished training is a small file in the run folder: the same command goes on where it was stopped.
"""

import argparse
import json
import statistics
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import logs
import matplotlib.pyplot as plt
import pyarrow.parquet as pq
import training
from rich.console import Console

import kranking as kr

TARGETS = [0.0, 0.5, 0.8, 0.9, 0.95]
DECAYS = 1_440  # 8 epochs of 18,000 steps, 100 steps a decay
console = Console()


@dataclass
class Source:
    """Rows, declarations and how to train on them."""

    name: str
    files: dict[str, Path]
    features: list[kr.features.Feature]
    tasks: list[kr.Task]
    batch_size: int
    learning_rate: float
    epochs: int
    dropout: float


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "pruning")
    source = frappe(Path(args.data)) if args.data else homefeed(out / "log", args)
    source.epochs = args.epochs or source.epochs
    source.features = kr.features.fit(source.features, source.files["train"])
    runs: dict[float, list[dict[str, Any]]] = {target: [] for target in args.sparsity}
    for seed in range(args.seed, args.seed + args.seeds):
        for target in args.sparsity:
            runs[target].append(trained_once(out, source, target, seed, args))
    result = figures(runs, source) | latencies(out, source, args)
    write_report(out, runs, result, source, args)
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "pruning")
    parser.add_argument("--seeds", type=int, help="trainings at each sparsity; default 3")
    parser.add_argument("--sparsity", type=float, nargs="+", help=f"targets; default {TARGETS}")
    parser.add_argument(
        "--embedding-ratio",
        type=float,
        default=0.444,
        help="sparsity of tables over that of kernels",
    )
    parser.add_argument("--epochs", type=int, help="default: 10 on Frappe, 5 on the home feed")
    parser.add_argument("--rows", type=int, help="rows of the synthetic log; default 200,000")
    parser.add_argument(
        "--units", type=int, nargs="+", help="widths of the MLP; default 400 400 400"
    )
    args = parser.parse_args(arguments)
    args.seeds = args.seeds or (2 if args.smoke else 3)
    args.sparsity = sorted(args.sparsity or ([0.0, 0.8] if args.smoke else TARGETS))
    args.epochs = args.epochs or (2 if args.smoke else None)
    args.rows = args.rows or (10_000 if args.smoke else 200_000)
    args.units = args.units or ([32, 32] if args.smoke else [400, 400, 400])
    return args


def frappe(folder: Path) -> Source:
    """Ten columns of ids, one label; every id keeps its row, the tables are held small."""
    files = {part: folder / f"{part}.parquet" for part in ("train", "valid", "test")}
    shared: dict[str, Any] = {
        "embedding_dim": 10,
        "initializer": keras.initializers.RandomNormal(stddev=1e-4),
        "regularizer": keras.regularizers.L2(0.025),
    }
    names = [name for name in pq.read_schema(files["train"]).names if name != "label"]
    features = [kr.features.Categorical(name, **shared) for name in names]
    return Source("frappe", files, features, [kr.Task("label")], 2048, 1e-3, 10, 0.2)


def homefeed(folder: Path, args: argparse.Namespace) -> Source:
    """The seeded synthetic log."""
    log = logs.homefeed(folder, args.rows, args.seed)
    files = {"train": log.train, "valid": log.valid, "test": log.test}
    return Source("homefeed", files, log.features, log.tasks, 2048, 3e-3, 5, 0.2)


def trained_once(
    out: Path, source: Source, target: float, seed: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Trains, or reads what an earlier run of the same settings has left; exports the first seed's."""
    settings = {
        "source": source.name,
        "declarations": kr.features.schema_hash(source.features),
        "epochs": source.epochs,
        "units": args.units,
        "embedding_ratio": args.embedding_ratio,
        "rows": args.rows if source.name == "homefeed" else None,
    }
    path = out / f"sparsity-{target:g}-seed-{seed}.json"
    if path.exists():
        done = json.loads(path.read_text())
        if done["settings"] != settings:
            raise SystemExit(f"{path} was trained otherwise: choose another --out. It has {done}")
        console.print(f"sparsity {target:g}, seed {seed}: already trained")
        return done
    console.rule(f"sparsity {target:g}, seed {seed}")
    keras.backend.clear_session()
    done, model = train(source, target, seed, args)
    if seed == args.seed:
        kr.export.export_model(
            model, bundle_of(out, target), formats=("onnx",), signatures=(), seed=seed
        )
    kr.comparison.write_files(path.parent, {path.name: {"settings": settings, **done}})
    return done


def bundle_of(out: Path, target: float) -> Path:
    """Where the model of a target is served from."""
    return out / "bundles" / f"sparsity-{target:g}"


def train(
    source: Source, target: float, seed: int, args: argparse.Namespace
) -> tuple[dict[str, Any], Any]:
    """Trains `deep_light` with a target sparsity and reports on the test rows."""
    keras.utils.set_random_seed(seed)
    model = kr.architectures.deep_light(
        source.features, source.tasks, units=args.units, dropout=source.dropout, batch_norm=True
    )
    read = {"model": model, "batch_size": source.batch_size}
    rows = kr.data.read_parquet(source.files["train"], shuffle=True, seed=seed, **read)
    steps, warmup = len(rows), max(min(1, source.epochs - 1), source.epochs // 5)
    cosine = keras.optimizers.schedules.CosineDecay(source.learning_rate, source.epochs * steps)
    model.compile(keras.optimizers.Adam(cosine), weighted_metrics=None)
    pruning = kr.training.StructuralPruning(
        target,
        warmup,
        embedding_ratio=args.embedding_ratio,
        decay_steps=max(1, source.epochs - warmup) * steps / DECAYS,
    )
    seconds, metrics = training.EpochSeconds(), ["auc", "logloss"]
    valid = kr.training.RankingEvaluation(
        kr.data.read_parquet(source.files["valid"], **read), metrics=metrics
    )
    history = model.fit(
        rows, epochs=source.epochs, callbacks=[seconds, pruning, valid], verbose=2
    ).history
    test = kr.data.read_parquet(source.files["test"], **read)
    scores = kr.training.RankingEvaluation(test, metrics=metrics, prefix="").evaluate(model)
    weights = b"".join(keras.ops.convert_to_numpy(w.value).tobytes() for w in model.weights)
    done = {
        "test": scores,
        "history": {name: [float(v) for v in values] for name, values in history.items()},
        "zeros": pruning.report(),
        "parameters": model.work().parameters,
        "compressed": len(zlib.compress(weights, 6)) / len(weights),
        "seconds_per_epoch": seconds.mean,
        "backend": keras.backend.backend(),
    }
    return done, model


def latencies(out: Path, source: Source, args: argparse.Namespace) -> dict[str, float]:
    """Measures the exported models in turns, one request of 100 rows on one thread."""
    preprocess = kr.features.Preprocessor(source.features)
    file = kr.features.find_files(source.files["test"])[0]
    batch = next(pq.ParquetFile(file).iter_batches(100, columns=list(preprocess.columns)))
    x = preprocess({name: batch.column(name) for name in batch.schema.names})
    calls = {}
    for target in args.sparsity:
        bundle = kr.export.load_bundle(bundle_of(out, target), threads=1)
        calls[f"{target:g}"] = lambda bundle=bundle: bundle.predict(x)
    rounds = 20 if args.smoke else 200
    measured = kr.serving.latency_in_turns(calls, rounds=rounds, batch=100, threads=1)
    result = {}
    for name in calls:
        result[f"latency_ms_{name}"] = measured.percentile(name, 50)
        result[f"latency_ratio_{name}"] = measured.ratio(name, next(iter(calls)))
    return result


def figures(runs: dict[float, list[dict[str, Any]]], source: Source) -> dict[str, float]:
    """The flat object of result.json: mean and sample deviation over the seeds, by target."""
    result: dict[str, float] = {}
    task = source.tasks[0].name
    for target, done in runs.items():
        values = {
            "auc": [run["test"][f"{task}_auc"] for run in done],
            "logloss": [run["test"][f"{task}_logloss"] for run in done],
            "zeros": [run["zeros"]["model"] for run in done],
            "zeros_embeddings": [run["zeros"]["embeddings"] for run in done],
            "compressed": [run["compressed"] for run in done],
        }
        for name, numbers in values.items():
            result[f"{name}_{target:g}"] = statistics.fmean(numbers)
            if name in ("auc", "logloss"):
                result[f"{name}_{target:g}_sd"] = deviation(numbers)
        # Equal seeds start alike and see the same batches: their difference spreads less.
        first = [run["test"][f"{task}_auc"] for run in next(iter(runs.values()))]
        changes = [new - old for new, old in zip(values["auc"], first, strict=True)]
        result[f"auc_change_{target:g}"] = statistics.fmean(changes)
        result[f"auc_change_{target:g}_sd"] = deviation(changes)
    return {name: float(value) for name, value in result.items()}


def deviation(numbers: list[float]) -> float:
    return statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def write_report(
    out: Path, runs: dict, result: dict[str, float], source: Source, args: argparse.Namespace
) -> None:
    """Prints the table, and writes it with a plot and the figures."""
    headings = [
        *("target S", "zeros, all weights", "zeros, tables", "AUC", "change of AUC", "logloss"),
        *("compressed to", "serving p50, 100 rows", "latency ratio"),
    ]
    rows = []
    for target in (f"{target:g}" for target in runs):
        auc, change, loss = (
            f"{result[f'{name}_{target}']:.5f} ± {result[f'{name}_{target}_sd']:.5f}"
            for name in ("auc", "auc_change", "logloss")
        )
        zeros = [f"{result[f'{name}_{target}']:.1%}" for name in ("zeros", "zeros_embeddings")]
        stored = f"{result[f'compressed_{target}']:.1%}"
        latency = f"{result[f'latency_ms_{target}']:.2f} ms"
        ratio = f"{result[f'latency_ratio_{target}']:.2f}×"
        rows.append([target, *zeros, auc, change, loss, stored, latency, ratio])
    plot(out / "pruning.png", runs, result, source)
    done = next(iter(runs.values()))[0]
    lines = [
        f"# {source.name}: deep_light at several sparsities, {args.seeds} seeds",
        "",
        *kr.comparison.markdown_table(headings, rows, left=1),
        "",
        f"Test rows, task {source.tasks[0].name!r}; mean ± sample standard deviation over the seeds. "
        "The change is seed by seed, from the first row.",
        "ONNX Runtime multiplies by zeros as by any number: a latency ratio away from 1 is noise.",
        "",
        f"- {source.epochs} epochs, batch {source.batch_size}, Adam from {source.learning_rate} along a "
        f"cosine; MLP {args.units} with batch norm, dropout {source.dropout}; tables at "
        f"{args.embedding_ratio} · S",
        f"- {done['parameters']:,} parameters; {done['seconds_per_epoch']:.1f} s per epoch; backend "
        f"{done['backend']}",
        "",
        "![AUC and logloss over the share of zeros](pruning.png)",
        "",
    ]
    kr.comparison.write_files(out, {"report.md": "\n".join(lines), "result.json": result})
    console.print("\n".join(lines[2 : 5 + len(rows)]), highlight=False, soft_wrap=True)
    console.print(f"Run folder: [bold]{out}[/] (report.md, pruning.png, result.json)")


def plot(path: Path, runs: dict, result: dict[str, float], source: Source) -> None:
    """Draws both metrics over the zeros: a dot for each training, the mean, the spread."""
    task = source.tasks[0].name
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    x = [result[f"zeros_{target:g}"] for target in runs]
    for axis, name in zip(axes, ("auc", "logloss"), strict=True):
        mean, spread = (
            [result[f"{name}_{target:g}{end}"] for target in runs] for end in ("", "_sd")
        )
        axis.errorbar(x, mean, yerr=spread, marker="o", capsize=3)
        for place, done in zip(x, runs.values(), strict=True):
            dots = [run["test"][f"{task}_{name}"] for run in done]
            axis.plot([place] * len(dots), dots, ".", color="0.6", zorder=0)
        label = {"auc": "AUC", "logloss": "logloss"}[name]
        axis.set(xlabel="share of zeros, all weights", ylabel=f"{label} of {task}, test rows")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
